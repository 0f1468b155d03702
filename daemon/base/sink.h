/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A place that lines are written to by a thread of its own, through a bounded queue:
 * who has a line does not wait for a full pipe, a stopped terminal or a slow disk. What
 * finds no room is counted; or, if the sink was made to stall, its producer waits.
 * Any thread, but for what is marked main().
 */
#ifndef ZKD_BASE_SINK_H
#define ZKD_BASE_SINK_H

#include <stdbool.h>

struct sink_params {
	const char *name;	/* of the thread */
	const char *path;	/* appended to; NULL: @fd */
	int fd;			/* not closed */
	unsigned int bytes;	/* of the queue; a line is at most half of it */
	bool stall;		/* never lose a line: writes that fail are tried again */
	/* The writer's, when it has written and once a second after sink_poke(); may
	 * put lines. True: call again in a second. NULL: none. */
	bool (*idle)(void *arg);
	/* The writer's: a write failed with @err (negative), once a second at most; 0: it
	 * works again. NULL: none. */
	void (*failed)(void *arg, int err);
	void *arg;
};

struct sink;

/* main(). 0 or -errno. Lines may be put at once; they are written from sink_start(). */
int sink_new(const struct sink_params *p, struct sink **sink);
int sink_start(struct sink *s);
/* Takes a copy of a whole line. False: no room, it is lost and counted. */
bool sink_put(struct sink *s, const char *line, unsigned int len);
void sink_poke(struct sink *s);
/* main(). Opens the path anew, for who has moved the file away. 0, or -errno and the old
 * one stays. */
int sink_reopen(struct sink *s);
/* Waits until what is queued now is written, at most @ms; false: it is not. Safe in a
 * signal handler. */
bool sink_flush(struct sink *s, unsigned int ms);
/* Lines that found no room, and lines whose write failed. */
unsigned long sink_lost(const struct sink *s);
unsigned long sink_failed(const struct sink *s);
/* Whether a producer waits for room. */
bool sink_stalled(const struct sink *s);
/* main(). Flushes for at most @ms, and frees @s, if its writer is not stuck. */
void sink_free(struct sink *s, unsigned int ms);

#endif
