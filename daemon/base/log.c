// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The daemon's log. A line is made on the stack and written with one write(), so
 * lines of several threads do not mix. What may come from a client is made
 * harmless: control characters become '?', so that nobody forges a line or talks
 * to a terminal.
 *
 * Under systemd (standard error is the journal's stream, JOURNAL_STREAM) lines
 * begin with "<priority>", which the journal takes off, in place of the time.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/log.h"

#define LINE_MAX_BYTES	2048
#define LIMIT_PLACES	128

static enum log_level max_level = LOG_INFO;
static const char *const level_name[] = { "ERROR", "WARN", "INFO", "DEBUG" };
static const int level_prio[] = { 3, 4, 6, 7 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool to_journal;

/* A place in the source that log_limited() was called from. */
struct limit_place {
	const char *file;
	int line;
	time_t second;
	unsigned long left_out;
};

static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;
static struct limit_place limit_places[LIMIT_PLACES];

static void look_at_stderr(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!env || sscanf(env, "%llu:%llu", &dev, &ino) != 2)
		return;
	to_journal = !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

/* Any thread, at any time. */
void log_set_level(enum log_level level)
{
	__atomic_store_n(&max_level, level, __ATOMIC_RELAXED);
}

static int put_head(char *buf, size_t size, enum log_level level)
{
	struct timespec ts;
	struct tm tm;

	pthread_once(&once, look_at_stderr);
	if (to_journal)
		return snprintf(buf, size, "<%d>%s ", level_prio[level], level_name[level]);
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	return snprintf(buf, size, "%04d-%02d-%02d %02d:%02d:%02d.%03ld %s ",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
			tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000, level_name[level]);
}

static void put_line(enum log_level level, const char *tail, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

static void put_line(enum log_level level, const char *tail, const char *fmt, va_list ap)
{
	int saved = errno;
	char buf[LINE_MAX_BYTES];
	size_t room = sizeof(buf) - strlen(tail) - 1;	/* the newline */
	size_t n = put_head(buf, room, level);
	int m = vsnprintf(buf + n, room - n, fmt, ap);

	if (m < 0)
		m = 0;
	n = (size_t)m < room - n ? n + m : room - 1;
	n += sprintf(buf + n, "%s", tail);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)buf[i] < 0x20 || buf[i] == 0x7f)
			buf[i] = '?';
	buf[n++] = '\n';
	while (write(STDERR_FILENO, buf, n) < 0 && errno == EINTR)
		;
	errno = saved;
}

/* Any thread; keeps errno. Longer lines are cut. */
void log_print(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > __atomic_load_n(&max_level, __ATOMIC_RELAXED))
		return;
	va_start(ap, fmt);
	put_line(level, "", fmt, ap);
	va_end(ap);
}

/* The entry of a place; when there are too many, places share the last one. */
static struct limit_place *limit_find(const char *file, int line)
{
	int i;

	for (i = 0; i < LIMIT_PLACES - 1 && limit_places[i].file; i++)
		if (limit_places[i].line == line && !strcmp(limit_places[i].file, file))
			break;
	limit_places[i].file = file;
	limit_places[i].line = line;
	return &limit_places[i];
}

/* Any thread; @file must live forever (it is __FILE__). */
void log_limited(enum log_level level, const char *file, int line, const char *fmt, ...)
{
	char tail[64] = "";
	struct limit_place *pl;
	struct timespec ts;
	bool print;
	va_list ap;

	if (level > __atomic_load_n(&max_level, __ATOMIC_RELAXED))
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	pthread_mutex_lock(&limit_lock);
	pl = limit_find(file, line);
	print = pl->second != ts.tv_sec + 1;	/* 0 is never */
	if (print) {
		if (pl->left_out)
			snprintf(tail, sizeof(tail), " (%lu more like it not shown)",
				 pl->left_out);
		pl->second = ts.tv_sec + 1;
		pl->left_out = 0;
	} else {
		pl->left_out++;
	}
	pthread_mutex_unlock(&limit_lock);
	if (!print)
		return;
	va_start(ap, fmt);
	put_line(level, tail, fmt, ap);
	va_end(ap);
}
