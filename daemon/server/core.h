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
struct peers;
struct peer_event;
struct peer_link;

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

/* What the core takes from outside beside its parameters; the simulator has its own. */
struct core_env {
	u64 (*mono_ms)(void *arg);	/* may step by the kernel's tick */
	u64 (*wall_ms)(void *arg);	/* since 1970 */
	void (*nap)(void *arg, u32 ms);	/* nothing can go on before */
	void *arg;
	bool threads;			/* the core may have some beside its own */
};

/* Builds the core over an opened store and a recovered disk; starts its thread
 * with core_start(). Owns neither store nor disk. */
struct core *core_new(const struct config *cfg, struct store *st, struct disk *disk,
		      const struct disk_recovery *rec);
/* The same in another world; @env is copied. */
struct core *core_new_in(const struct core_env *env, const struct config *cfg,
			 struct store *st, struct disk *disk,
			 const struct disk_recovery *rec);
/* Bytes of a packet between servers at most. */
u32 core_max_packet(const struct config *cfg);
/* Before core_start(): it is one of cfg->ensemble. @accepted, @current: its epochs. The
 * caller keeps @p until core_free(). */
void core_join(struct core *c, struct peers *p, u64 accepted, u64 current);
/*
 * Before core_start(): @fn is called on the core thread with each membership that is
 * proposed or (@in_force) takes effect, before it does, to keep it and to heed it.
 */
void core_on_members(struct core *c, void (*fn)(void *arg, struct ensemble *e, bool in_force),
		     void *arg);
/* Any thread: the membership in force, a reference of the caller's. NULL: one server. */
struct ensemble *core_members(struct core *c);
/* Any thread: peer_links(), peer_links_reset(); 0 of a single server. */
u32 core_links(struct core *c, struct peer_link *out, u32 max);
void core_links_reset(struct core *c);
/* Any thread: peers' deliver() and wake(). */
void core_deliver(void *core, struct peer_event *ev);
void core_wake(void *core);
int core_start(struct core *c);
/*
 * core_start() in its parts, for who drives the core himself, in one thread: begins; one
 * round, which says whether more should follow (false: it has ended, after core_end()),
 * and when the next one is due at the latest if nothing comes in, in ms from now.
 */
int core_begin(struct core *c);
bool core_round(struct core *c);
int core_wait_ms(struct core *c);
void core_end(struct core *c);
/* Stops taking requests, finishes what is proposed, joins the thread. */
void core_stop(struct core *c);
/* After core_stop(): a snapshot of what there is, if it ever served. */
void core_snapshot(struct core *c);
void core_free(struct core *c);

/* Any thread. Takes over the request (malloc'ed). Never blocks; what a client may
 * have outstanding is bounded by the I/O thread (it stops reading from it). */
void core_submit(struct core *c, struct request *r);

/* Whom a server serves. */
enum core_serves {
	CORE_SERVES_ALL,
	CORE_SERVES_NOBODY,
	CORE_SERVES_READERS,	/* no quorum: read-only clients (readonly.c) */
};

/* Counters that srvr, stat, mntr print; any thread, relaxed. */
struct core_stats {
	u64 zxid;
	u64 outstanding;
	u64 sessions;		/* that the ensemble knows */
	u64 local_sessions;	/* of this server alone */
	u64 watches;
	u64 watched_paths;
	u64 watchers;		/* connections that watch something */
	u64 watch_bytes;	/* memory of the tables of watches */
	u64 proposals;
	u64 commits;
	u64 serves;		/* enum core_serves */
	u64 state;		/* enum zab_state */
	u64 phase;		/* enum zab_phase */
	u64 leader;		/* its id; ~0: none */
	u64 master;		/* whom this server follows or observes; ~0: nobody */
	u64 epoch;
	/* of a leader */
	u64 learners;		/* connected */
	u64 followers;		/* that have all */
	u64 observers;
	u64 pending_syncs;	/* wait for what was proposed before them */
	u64 leads_since_ms;	/* monotonic, coarse */
	u64 last_size;		/* of proposals, bytes; ~0: there was none */
	u64 min_size;
	u64 max_size;
};
void core_stats(struct core *c, struct core_stats *s);

#endif
