/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's log: one line each, "TIME LEVEL [thread] text", to standard error or a
 * file; under systemd (standard error is the journal) "<priority>" in place of the time.
 * Any thread.
 *
 * Until log_start() a line is written by who logs it. After that it is queued, and a
 * thread of the log's own writes it: nobody waits for a full pipe, a stopped terminal
 * or a slow disk. The queue is bounded; what finds no room is counted, and the count
 * is logged when there is room again.
 */
#ifndef ZKD_BASE_LOG_H
#define ZKD_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* "error", "warn", "info", "debug", "trace", NULL: as zkern.logLevel has them. */
extern const char *const log_level_names[];

/* At once, for all threads. What is no level is taken as the nearest. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* By its name; false: there is no such level. */
bool log_level_parse(const char *name, enum log_level *level);

void log_print(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)	log_print(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)	log_print(LOG_WARN, __VA_ARGS__)
#define log_info(...)	log_print(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	log_print(LOG_DEBUG, __VA_ARGS__)
#define log_trace(...)	log_print(LOG_TRACE, __VA_ARGS__)

/* At most once a second per place, for what clients can provoke; how many were left
 * out is told by the next one, or after some seconds. The format must live forever. */
void log_limited(enum log_level level, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define log_ratelimited(level, ...) log_limited(level, __FILE__, __LINE__, __VA_ARGS__)

/* ---- for main() ---- */

/*
 * From now on to @path, appended (NULL: to standard error), and until log_start() to
 * standard error as well. 0 or -errno, and the log stays where it is. Once.
 */
int log_open_file(const char *path);
/* Opens the file anew, for who has moved it away. 0 or -errno, and the old one stays. */
int log_reopen(void);
/* The daemon has started: from now on a thread of the log's own writes. 0 or -errno:
 * goes on without. */
int log_start(void);
/* Waits until what is queued is written, at most @ms. Safe in a signal handler. */
void log_flush(unsigned int ms);
/* Flushes; after it lines are written by who logs them again. */
void log_stop(void);
/* Lines lost so far because they came faster than they could be written. */
unsigned long log_lost(void);
/* A line made elsewhere, newline included, whatever the level; its bytes as they are. */
void log_raw(enum log_level level, const char *text, unsigned int len);

#endif
