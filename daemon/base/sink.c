// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lines to a file by a thread of its own (sink.h). The ring holds the bytes of whole
 * lines. Producers hold the lock for a copy; the writer copies out what there is, and
 * writes without the lock, so that only it can be stuck.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/sink.h"

#define CHUNK_BYTES	(16 * 1024)
#define RETRY_MS	100

struct sink {
	struct sink_params p;
	char *path;
	int fd;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t more;		/* lines for the writer */
	pthread_cond_t room;		/* for producers that stall */
	unsigned long put, taken;	/* bytes so far; taken <= put <= taken + p.bytes */
	unsigned long queued;		/* atomic: put */
	unsigned long written;		/* atomic: done with, written or given up */
	unsigned long lost;		/* atomic: lines that found no room */
	unsigned long failed;		/* atomic: lines whose write failed */
	unsigned int waiting;		/* atomic: producers that stall */
	bool ending, poked;
	time_t said;			/* the writer's: when @failed was called last */
	char chunk[CHUNK_BYTES];	/* the writer's */
	char ring[];
};

/* ---------------------------------------------------------------- files */

static int open_path(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);

	return fd < 0 ? -errno : fd;
}

int sink_new(const struct sink_params *p, struct sink **sink)
{
	struct sink *s = calloc(1, sizeof(*s) + p->bytes);

	if (!s)
		return -ENOMEM;
	s->p = *p;
	s->fd = p->fd;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
	pthread_cond_init(&s->room, NULL);
	if (p->path) {
		s->path = strdup(p->path);
		s->fd = s->path ? open_path(p->path) : -ENOMEM;
		if (s->fd < 0) {
			int rc = s->fd;

			free(s->path);
			free(s);
			return rc;
		}
	}
	*sink = s;
	return 0;
}

/* The number stays the same, so that a write under way has a file in any case. */
int sink_reopen(struct sink *s)
{
	int fd, rc = 0;

	if (!s->path)
		return 0;
	fd = open_path(s->path);
	if (fd < 0)
		return fd;
	if (dup3(fd, s->fd, O_CLOEXEC) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* ---------------------------------------------------------------- producers */

static void copy_in(struct sink *s, const char *line, unsigned int len)
{
	unsigned int at = s->put % s->p.bytes;
	unsigned int first = len < s->p.bytes - at ? len : s->p.bytes - at;

	memcpy(s->ring + at, line, first);
	memcpy(s->ring, line + first, len - first);
	s->put += len;
	__atomic_store_n(&s->queued, s->put, __ATOMIC_RELEASE);
	pthread_cond_signal(&s->more);
}

static bool has_room(const struct sink *s, unsigned int len)
{
	return s->put + len - s->taken <= s->p.bytes;
}

bool sink_put(struct sink *s, const char *line, unsigned int len)
{
	bool fits;

	pthread_mutex_lock(&s->lock);
	if (s->p.stall && len <= s->p.bytes / 2) {
		__atomic_add_fetch(&s->waiting, 1, __ATOMIC_RELAXED);
		while (!has_room(s, len))
			pthread_cond_wait(&s->room, &s->lock);
		__atomic_sub_fetch(&s->waiting, 1, __ATOMIC_RELAXED);
	}
	fits = has_room(s, len);
	if (fits)
		copy_in(s, line, len);
	else
		__atomic_add_fetch(&s->lost, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&s->lock);
	return fits;
}

void sink_poke(struct sink *s)
{
	pthread_mutex_lock(&s->lock);
	s->poked = true;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
}

unsigned long sink_lost(const struct sink *s)
{
	return __atomic_load_n(&s->lost, __ATOMIC_RELAXED);
}

unsigned long sink_failed(const struct sink *s)
{
	return __atomic_load_n(&s->failed, __ATOMIC_RELAXED);
}

bool sink_stalled(const struct sink *s)
{
	return __atomic_load_n(&s->waiting, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------- the writer */

static void nap(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static void say_failed(struct sink *s, int err)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (!s->p.failed || s->said == ts.tv_sec + 1)
		return;
	s->said = ts.tv_sec + 1;
	s->p.failed(s->p.arg, err);
}

static unsigned int lines_in(const char *buf, unsigned int len)
{
	unsigned int n = 0;

	while (len--)
		n += *buf++ == '\n';
	return n;
}

static void write_chunk(struct sink *s, const char *buf, unsigned int len)
{
	ssize_t n;
	int err;

	while (len) {
		n = write(s->fd, buf, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0) {
			buf += n;
			len -= n;
			if (s->said && s->p.failed)
				s->p.failed(s->p.arg, 0);
			s->said = 0;
			continue;
		}
		err = n ? -errno : -EIO;
		say_failed(s, err);
		if (!s->p.stall) {
			__atomic_add_fetch(&s->failed, lines_in(buf, len),
					   __ATOMIC_RELAXED);
			return;
		}
		nap(RETRY_MS);
	}
}

static unsigned int copy_out(struct sink *s)
{
	unsigned int at = s->taken % s->p.bytes;
	unsigned long n = s->put - s->taken;

	if (n > CHUNK_BYTES)
		n = CHUNK_BYTES;
	if (n > s->p.bytes - at)
		n = s->p.bytes - at;
	memcpy(s->chunk, s->ring + at, n);
	s->taken += n;
	pthread_cond_broadcast(&s->room);
	return n;
}

/* Until there is something to write; for a second only, if @idle wants to be called. */
static void wait_for_lines(struct sink *s, bool again)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec++;
	while (s->put == s->taken && !s->ending && !s->poked) {
		if (!again)
			pthread_cond_wait(&s->more, &s->lock);
		else if (pthread_cond_timedwait(&s->more, &s->lock, &ts))
			return;
	}
}

static void *writer(void *arg)
{
	struct sink *s = arg;
	bool again = false;
	unsigned int n;

	pthread_mutex_lock(&s->lock);
	while (!s->ending || s->put != s->taken) {
		wait_for_lines(s, again);
		s->poked = false;
		n = copy_out(s);
		pthread_mutex_unlock(&s->lock);
		write_chunk(s, s->chunk, n);
		__atomic_add_fetch(&s->written, n, __ATOMIC_RELEASE);
		again = s->p.idle && s->p.idle(s->p.arg);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---------------------------------------------------------------- life */

int sink_start(struct sink *s)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -pthread_create(&s->thread, NULL, writer, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	s->started = !rc;
	if (!rc)
		pthread_setname_np(s->thread, s->p.name);
	return rc;
}

bool sink_flush(struct sink *s, unsigned int ms)
{
	unsigned long until = __atomic_load_n(&s->queued, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&s->written, __ATOMIC_ACQUIRE) < until) {
		if (!ms--)
			return false;
		nap(1);
	}
	return true;
}

void sink_free(struct sink *s, unsigned int ms)
{
	if (!s)
		return;
	if (s->started) {
		if (!sink_flush(s, ms))
			return;		/* stuck: left to the end of the process */
		pthread_mutex_lock(&s->lock);
		s->ending = true;
		pthread_cond_signal(&s->more);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	if (s->path)
		close(s->fd);
	free(s->path);
	free(s);
}
