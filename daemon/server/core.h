/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core thread: sessions, watches, the pipeline (prepare, propose, log,
 * commit, apply, fire, reply) and ZAB, all owned by one thread. Others talk to it
 * through core_submit().
 */
#ifndef ZKD_SERVER_CORE_H
#define ZKD_SERVER_CORE_H

#include "daemon/base/config.h"
#include "daemon/disk/disk.h"
#include "daemon/server/request.h"
#include "daemon/store/store.h"

struct core;

/* What an I/O thread may touch of a session without asking the core: it stores
 * the coarse monotonic time of the last packet, the core's expiry looks at it.
 * Freed when the session has ended and no connection is left that was told of it
 * (request.h). */
struct session {
	u64 id;
	u64 heard_ms;		/* atomic, relaxed */
	s32 timeout;		/* ms, negotiated */
	bool closing;		/* atomic: expired, moved or closed: requests get
				 * their error from the core */
};

/* Builds the core over an opened store and a recovered disk; starts its thread
 * with core_start(). Owns neither store nor disk. */
struct core *core_new(const struct config *cfg, struct store *st, struct disk *disk,
		      const struct disk_recovery *rec);
int core_start(struct core *c);
/* Stops taking requests, finishes what is proposed, joins the thread. */
void core_stop(struct core *c);
/* After core_stop(): a snapshot of what there is, if it ever served. */
void core_snapshot(struct core *c);
void core_free(struct core *c);

/* Any thread. Takes over the request (malloc'ed). Never blocks; what a client may
 * have outstanding is bounded by the I/O thread (it stops reading from it). */
void core_submit(struct core *c, struct request *r);

/* Counters that srvr, stat, mntr print; any thread, relaxed. */
struct core_stats {
	u64 zxid;
	u64 outstanding;
	u64 sessions;
	u64 watches;
	u64 watched_paths;
	u64 watchers;		/* connections that watch something */
	u64 watch_bytes;	/* memory of the tables of watches */
	u64 proposals;
	u64 commits;
};
void core_stats(struct core *c, struct core_stats *s);

#endif
