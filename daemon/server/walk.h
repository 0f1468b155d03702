/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies of the core thread's tables, for whoever shows them (dump, wchc, wchp,
 * wchs and the admin server's commands). Any thread but the core's own and those that
 * it waits for: the calls block until the core has answered.
 *
 * The core copies a bounded number of entries at a time and handles requests between,
 * so a long table delays nobody. What changes meanwhile may be in the copy or not;
 * what is there all the time is in it exactly once.
 */
#ifndef ZKD_SERVER_WALK_H
#define ZKD_SERVER_WALK_H

#include "daemon/server/core.h"

/*
 * Runs @fn on the core thread, again and again while it returns true, with a round of
 * the core's between. The core must be running until then (core_stop()). -ENOMEM: not
 * run, or not to its end.
 */
int core_call(struct core *c, bool (*fn)(struct core *c, void *arg), void *arg);

struct walk_session {
	u64 id;
	u64 expires_ms;		/* monotonic; unless something is heard of it */
	s32 timeout;		/* ms */
	bool local;		/* of this server alone */
};

/* All sessions that may expire, by the time when they do; malloc'ed. */
int walk_sessions(struct core *c, struct walk_session **out, u32 *n);

/* A path on which there are data watches. */
struct walk_path {
	u32 len;
	char path[];
};

struct walk_watch {
	u64 session;
	const struct walk_path *path;
};

struct walk_chunk;

struct walk_watches {
	struct walk_watch *watches;	/* those on one path stand together */
	u64 n;
	u64 n_paths;
	struct walk_chunk *chunks;
};

/*
 * The data watches of all connections. As in ZooKeeper these are the ones that the
 * commands show: those of exists and getData, and persistent ones.
 */
int walk_watches(struct core *c, struct walk_watches *w);
/* By session instead, and paths as they came. */
void walk_by_session(struct walk_watches *w);
u64 walk_count_sessions(const struct walk_watches *w);	/* after walk_by_session() */
void walk_free(struct walk_watches *w);

#endif
