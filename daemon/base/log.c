// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The daemon's log: levels, and what a line looks like. A line is made on the stack and
 * handed over whole, so lines of several threads do not mix. What may come from a
 * client is made harmless: control characters become '?', so that nobody forges a line
 * or talks to a terminal.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/sink.h"

#define LINE_MAX_BYTES	2048
#define RING_BYTES	(256 * 1024)
#define END_MS		1000	/* to get the last lines out */
#define LIMIT_PLACES	128
#define TELL_SECONDS	5

const char *const log_level_names[] = { "error", "warn", "info", "debug", "trace", NULL };
static const char *const level_tag[] = { "ERROR", "WARN", "INFO", "DEBUG", "TRACE" };
static const int level_prio[] = { 3, 4, 6, 7, 7 };
static int max_level = LOG_INFO;	/* atomic */

/* A place in the source that log_limited() was called from. */
struct limit_place {
	const char *file;
	int line;
	enum log_level level;
	char text[160];		/* of the last one that was printed, maybe cut */
	time_t second;
	unsigned long left_out;
};

static struct sink *sink;		/* NULL: standard error, by who logs */
static bool to_file;
static int running;			/* atomic: the sink's thread writes */
static unsigned long lost_told;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool stderr_is_journal;

static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;
static struct limit_place limit_places[LIMIT_PLACES];

/* ---------------------------------------------------------------- levels */

void log_set_level(enum log_level level)
{
	int v = (int)level < LOG_ERROR ? LOG_ERROR : (int)level > LOG_TRACE ? LOG_TRACE :
		(int)level;

	__atomic_store_n(&max_level, v, __ATOMIC_RELAXED);
}

enum log_level log_get_level(void)
{
	return __atomic_load_n(&max_level, __ATOMIC_RELAXED);
}

bool log_level_parse(const char *name, enum log_level *level)
{
	int i;

	for (i = 0; log_level_names[i]; i++) {
		if (!strcasecmp(name, log_level_names[i])) {
			*level = i;
			return true;
		}
	}
	return false;
}

/* ---------------------------------------------------------------- where to */

static void look_at_stderr(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!env || sscanf(env, "%llu:%llu", &dev, &ino) != 2)
		return;
	stderr_is_journal = !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

static bool is_journal(void)
{
	pthread_once(&once, look_at_stderr);
	return stderr_is_journal && !to_file;
}

static void to_stderr(const char *line, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(STDERR_FILENO, line, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;		/* there is nobody to tell */
		line += n;
		len -= n;
	}
}

static void emit(const char *line, size_t len)
{
	bool on = __atomic_load_n(&running, __ATOMIC_ACQUIRE);

	if (on || to_file)
		sink_put(sink, line, len);
	if (!on)
		to_stderr(line, len);
}

static void poke_writer(void)
{
	if (__atomic_load_n(&running, __ATOMIC_ACQUIRE))
		sink_poke(sink);
}

/* ---------------------------------------------------------------- lines */

static int put_head(char *buf, size_t size, enum log_level level)
{
	char thread[17] = "";
	struct timespec ts;
	struct tm tm;

	prctl(PR_GET_NAME, thread);
	if (is_journal())
		return snprintf(buf, size, "<%d>%s [%s] ", level_prio[level], level_tag[level],
				thread);
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	return snprintf(buf, size, "%04d-%02d-%02d %02d:%02d:%02d.%03ld %s [%s] ",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
			tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000000, level_tag[level], thread);
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
	emit(buf, n);
	errno = saved;
}

void log_raw(enum log_level level, const char *text, unsigned int len)
{
	char head[96];
	char *line;
	int n = put_head(head, sizeof(head), level);

	line = malloc(n + len);
	if (!line)
		return;
	memcpy(line, head, n);
	memcpy(line + n, text, len);
	emit(line, n + len);
	free(line);
}

/* Keeps errno. Longer lines are cut. */
void log_print(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > log_get_level())
		return;
	va_start(ap, fmt);
	put_line(level, "", fmt, ap);
	va_end(ap);
}

/* ---------------------------------------------------------------- limits */

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

static time_t now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + 1;		/* 0 is never */
}

/* Whether this one is printed; @tail: what to say of those that were not. */
static bool limit_passes(struct limit_place *pl, time_t now, char *tail, size_t size)
{
	if (pl->second == now) {
		pl->left_out++;
		return false;
	}
	if (pl->left_out)
		snprintf(tail, size, " (%lu similar suppressed)", pl->left_out);
	pl->second = now;
	pl->left_out = 0;
	return true;
}

/* @file must live forever (it is __FILE__). */
void log_limited(enum log_level level, const char *file, int line, const char *fmt, ...)
{
	char tail[64] = "";
	struct limit_place *pl;
	bool print, poke;
	va_list ap;

	if (level > log_get_level())
		return;
	pthread_mutex_lock(&limit_lock);
	pl = limit_find(file, line);
	pl->level = level;
	print = limit_passes(pl, now_s(), tail, sizeof(tail));
	if (print) {
		va_start(ap, fmt);
		vsnprintf(pl->text, sizeof(pl->text), fmt, ap);
		va_end(ap);
	}
	poke = pl->left_out == 1;
	pthread_mutex_unlock(&limit_lock);
	if (poke)
		poke_writer();
	if (!print)
		return;
	va_start(ap, fmt);
	put_line(level, tail, fmt, ap);
	va_end(ap);
}

/* Tells of lines left out at places where none came for a while; true if there are
 * others to look at again. */
static bool tell_left_out(void)
{
	time_t now = now_s();
	bool more = false;
	int i;

	for (i = 0; i < LIMIT_PLACES; i++) {
		struct limit_place pl;

		pthread_mutex_lock(&limit_lock);
		pl = limit_places[i];
		if (pl.left_out && now - pl.second >= TELL_SECONDS)
			limit_places[i].left_out = 0;
		pthread_mutex_unlock(&limit_lock);
		if (!pl.file)
			break;
		if (pl.left_out && now - pl.second >= TELL_SECONDS)
			log_print(pl.level, "%lu similar suppressed: %s", pl.left_out, pl.text);
		else
			more |= pl.left_out;
	}
	return more;
}

/* ---------------------------------------------------------------- life */

static bool idle(void *arg)
{
	/* not of failed writes: this line's would be the next */
	unsigned long lost = sink_lost(sink), n = lost - lost_told;

	(void)arg;
	lost_told = lost;
	if (n)
		log_warn("%lu lines of the log are lost: they came faster than they could be written",
			 n);
	return tell_left_out();
}

int log_open_file(const char *path)
{
	const struct sink_params p = {
		.name = "log", .path = path, .fd = STDERR_FILENO, .bytes = RING_BYTES,
		.idle = idle,
	};
	int rc = sink_new(&p, &sink);

	/* not touched by log_start(), when other threads log already */
	if (!rc && path)
		to_file = true;
	return rc;
}

int log_reopen(void)
{
	return sink ? sink_reopen(sink) : 0;
}

int log_start(void)
{
	int rc = sink ? 0 : log_open_file(NULL);

	if (!rc)
		rc = sink_start(sink);
	__atomic_store_n(&running, !rc, __ATOMIC_RELEASE);
	return rc;
}

void log_flush(unsigned int ms)
{
	if (__atomic_load_n(&running, __ATOMIC_ACQUIRE))
		sink_flush(sink, ms);
}

void log_stop(void)
{
	if (!__atomic_exchange_n(&running, 0, __ATOMIC_ACQ_REL))
		return;
	to_file = false;
	sink_free(sink, END_MS);
	sink = NULL;
}

unsigned long log_lost(void)
{
	return sink ? sink_lost(sink) + sink_failed(sink) : 0;
}
