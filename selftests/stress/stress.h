/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every interface of the module at once, while allocations fail and copies from and to
 * the callers' memory do.
 *
 * A job (struct job) is a kind of user: a function that does one round of what such a
 * user does and checks the answers. stress.c has the table of them, runs each in some
 * threads, and makes things fail for these. To add an interface, write its round and add
 * a line to the table.
 *
 * What a round may expect of its calls: see may_fail(). Nothing in a round may allocate,
 * and its thread's own system calls fail now and then as well; what must not (putting
 * things in order) goes between calm() and harm().
 *
 * The tree that the main instance holds is described in model.h.
 */
#ifndef STRESS_H
#define STRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../kernel/zk.h"

#define BIG	(256 * 1024)

struct job;

/**
 * struct worker - one thread of a job.
 * @fd:    the main instance, opened for reading; reopened now and then
 * @nl:    a generic netlink socket, and its family
 * @buf:   BIG bytes for answers
 * @batch: has room for whatever the job applies
 * @seen:  the highest zxid that @fd has shown
 * @armed: its calls fail now and then
 * @state: the job's own
 */
struct worker {
	const struct job *job;
	int number;
	unsigned int seed;
	int fd;
	int nl, family;
	int make_it_fail;	/* what arms this thread */
	uint8_t *buf;
	struct batch batch;
	uint64_t seen;
	bool armed;
	uint64_t state[4];
	/* the score */
	long rounds, failed, wrongs;
	atomic_long good;
};

/**
 * struct job - a kind of user.
 * @threads: how many at a time
 * @round:   see above
 * @uid:     of these; 0: root. They keep root's capabilities all the same
 * @last:    goes on until all others have ended, since these may wait for it
 */
struct job {
	const char *name;
	int threads;
	void (*round)(struct worker *w);
	unsigned int uid;
	bool last;
};

extern int main_inst;
extern atomic_bool stopping;
extern bool with_faults;

unsigned int rnd(struct worker *w, unsigned int n);

/* No calls of this thread fail until harm(). */
void calm(struct worker *w);
void harm(struct worker *w);

/*
 * The score of one call: @err is 0, a result, or a negative errno. True if it is good.
 * An injected failure is counted; whatever else failed is wrong, and is reported with the
 * text, unless it is one of those that @also names (0: none).
 */
bool may_fail_also(struct worker *w, long err, int also, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define may_fail(w, err, ...)	may_fail_also(w, err, 0, __VA_ARGS__)

/* An answer that must not be: counted, and the first of them shown. */
void wrong(struct worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define right(w, cond, ...)	do {		\
	if (!(cond))				\
		wrong(w, __VA_ARGS__);		\
} while (0)

/* Opens @w->fd anew. */
void reopen(struct worker *w);

/* A worker of the calling thread; its job's calls fail if @armed. Ends the program if not. */
void worker_begin(struct worker *w, const struct job *job, int number, unsigned int seed,
		  bool armed);
void worker_end(struct worker *w);

/* Calls of threads between harm() and calm() fail with this chance, in percent. */
void chance(int percent);

/* ------------------------------------------------------------ the jobs */

void round_get(struct worker *w);
void round_many(struct worker *w);
void round_children(struct worker *w);
void round_snapshot(struct worker *w);
void round_map(struct worker *w);
void round_wait(struct worker *w);
void round_confirmed(struct worker *w);
void round_info(struct worker *w);
void round_private(struct worker *w);
void round_quota(struct worker *w);
void round_watch(struct worker *w);
void round_watch_all(struct worker *w);
void round_watch_once(struct worker *w);
void round_watch_shared(struct worker *w);
void round_request(struct worker *w);
void round_serve(struct worker *w);
void round_netlink_get(struct worker *w);
void round_netlink_dump(struct worker *w);
void round_netlink_status(struct worker *w);
void round_owner(struct worker *w);
void round_answer(struct worker *w);
void round_rebuild(struct worker *w);
void round_instances(struct worker *w);
void round_shared_file(struct worker *w);
void round_killed(struct worker *w);
void round_junk(struct worker *w);

/* The instance, owned and filled; before anything fails. Ends the program if it cannot. */
void owner_begin(void);
/* The owner's file, which stays what it is until owner_leave(). */
int owner_enter(void);
void owner_leave(void);
/* Calm: puts everything of the owner away. */
void owner_end(void);

/* Calm: closes what round_shared_file() left open. */
void shared_files_end(void);
/* Calm: the same of round_watch_shared(). */
void shared_watchers_end(void);

/*
 * Calm, in the end: a tree rebuilt of the main one's dump has its digest. False: it has
 * not, and what differs was said.
 */
bool rebuilt_is_same(struct worker *w);

/* What came of the module's goings and comings: see unload(). */
struct lives {
	int err;		/* of the last one */
	int cycles;
	int failed;		/* loads that were made to fail */
	long used;		/* times that somebody used it */
};

/* The module goes and comes @cycles times under those who use it; it is there in the end. */
struct lives unload(unsigned int seed, int cycles);

#endif
