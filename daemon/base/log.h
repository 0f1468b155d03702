/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's log: one line each to standard error, "TIME LEVEL text" (without
 * the time under systemd, which adds its own). Any thread.
 */
#ifndef ZKD_BASE_LOG_H
#define ZKD_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
void log_print(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)	log_print(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)	log_print(LOG_WARN, __VA_ARGS__)
#define log_info(...)	log_print(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	log_print(LOG_DEBUG, __VA_ARGS__)

/* At most once a second per place, for what clients can provoke; tells how many
 * were left out. */
void log_limited(enum log_level level, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define log_ratelimited(level, ...) log_limited(level, __FILE__, __LINE__, __VA_ARGS__)

#endif
