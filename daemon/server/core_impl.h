/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core thread from inside: what its files share. All of it belongs to the core
 * thread, but for what is marked otherwise.
 *
 *   core.c      life, the loop, timers, counters
 *   pipeline.c  propose, log, commit, apply, answer
 *   connect.c   connections and sessions come and go
 *   op.c        requests of connected clients that are no writes
 *   watchop.c   requests about watches
 *   fire.c      events of committed transactions
 *   orphan.c    ephemerals that were found without a session
 *   reap.c      container and TTL nodes that have had their time
 */
#ifndef ZKD_SERVER_CORE_IMPL_H
#define ZKD_SERVER_CORE_IMPL_H

#include <pthread.h>

#include "daemon/base/queue.h"
#include "daemon/client/client.h"
#include "daemon/server/prepare.h"
#include "daemon/server/session.h"
#include "daemon/server/watch.h"
#include "daemon/zab/zab.h"

#define RETRY_DISK_MS	1000	/* after it refused */
#define FIRE_BUDGET	4096	/* watchers told in one round, about */

/* A connection. Known from its connect request until REQ_GONE. */
struct client {
	struct client *next;	/* hash chain */
	struct conn *conn;	/* reference */
	struct sess *user_of;	/* its I/O thread may touch this one's pub */
	struct sess *sess;	/* the session it serves; NULL: none yet, or no more:
				 * its requests are dropped, it is being closed */
	struct auth_set *auth;	/* reference; as of its last request */
	u32 watcher;		/* WATCHER_NONE: has no watches */
	/* Its last request that waits, waits for this proposal to be applied. */
	u64 last_zxid;
	struct proposal *last;
};

enum proposal_kind {
	PROPOSAL_WRITE,
	PROPOSAL_OPEN,		/* createSession */
	PROPOSAL_CLOSE,		/* closeSession */
};

/* A transaction on its way and what happens when it is applied. */
struct proposal {
	struct proposal *next;
	struct txn *txn;		/* reference */
	enum proposal_kind kind;
	bool read_after;		/* some of @after look at the tree */
	bool expired;			/* CLOSE: nobody asked for it */
	struct sess *sess;		/* OPEN, CLOSE */
	struct message *reply;		/* or NULL */
	char *audit;			/* lines to write when it is applied, or NULL */
	struct message *events;		/* to be posted before it */
	struct message **events_tail;
	struct request *after;		/* requests that come next on their connections */
	struct request **after_tail;
};

/* One event on its way to all who watch for it; zero: none. */
struct event {
	struct core *c;
	u64 zxid;
	int type;
	const char *path;
	u32 len;
	u32 stamp;
	bool acl_known;
	u32 told;		/* watchers, who may not read the node too */
	struct zacl *acl;	/* reference; NULL: could not be read, nobody hears */
	struct blob *blob;	/* made when the first one hears of it */
};

/* How far the events of the oldest outstanding transaction are posted (fire.c). */
struct firing {
	u64 zxid;		/* 0: not begun */
	struct proposal *p;
	u32 op;			/* of the transaction */
	u32 shot;		/* of the operation's kinds of event */
	struct watch_cursor at;
	struct event event;
	bool in_paths;		/* closeSession: */
	s32 n_paths;		/* still to come */
	struct jr paths;
	struct jstr path;	/* the one at hand */
};

struct core {
	const struct config *cfg;
	struct store *st;
	struct disk *disk;
	struct client_side *side;	/* of all connections; NULL: none came yet */
	pthread_t thread;
	bool started;
	bool served;		/* was started, whether it runs or not */

	/* from other threads */
	struct queue queue;
	struct request durable_item;	/* in the queue while durable_posted */
	int durable_posted;		/* atomic */
	u64 durable;			/* atomic: zxid, by the log thread */
	int disk_errno;			/* atomic: the disk refused */
	int stopping;			/* atomic */

	struct zab *zab;
	struct changes ch;
	struct prep prep;
	struct sessions *sessions;
	struct watches *watches;
	u64 applied;			/* zxid */
	u32 committed;			/* of the outstanding: may be applied */
	u32 expiring;			/* outstanding proposals with ->expired */
	u32 budget;			/* of events, left in this round */
	struct firing firing;
	bool serving;			/* leading, the disk works */
	bool posted;			/* messages since the last client_flush() */
	bool sweep;			/* dead watchers to sweep out */
	u64 now_ms;			/* monotonic, of this round */
	u64 retry_ms;			/* when to try the disk again */
	u64 reap_ms;			/* when reap() has something to do next */
	struct reaper *reaper;
	u64 fresh_ms;			/* when to tell the store again that it is fresh */

	struct proposal *head;		/* outstanding, in order of zxid */
	struct proposal *tail;
	struct proposal *spare;		/* free list */
	struct zk_txn *batch;		/* for store->apply */
	u64 *digests;
	u32 batch_room;

	struct client **clients;	/* hash table by conn */
	u32 clients_size, n_clients;

	struct jw out;			/* scratch: an answer */
	struct core_stats stats;	/* atomic, relaxed */
};

/* ---- core.c ---- */
u64 core_wall_ms(void);
u64 core_coarse_ms(void);	/* monotonic; steps by the kernel's tick */
void core_count(struct core *c);	/* brings c->stats up to date */

/* ---- pipeline.c ---- */
/* Begins to lead from c->applied on. */
void pipeline_start(struct core *c);
/* A client's write. Takes @r over. */
void pipeline_write(struct core *c, struct client *cl, struct request *r);
/* 0, or negative errno: not proposed. @reply is posted when it is applied (taken over
 * on success only). */
int pipeline_open(struct core *c, struct sess *s, struct message *reply);
int pipeline_close(struct core *c, struct sess *s, s32 cxid, struct message *reply);
int pipeline_delete_container(struct core *c, const char *path, u32 len);
/* Whether anything that @cl asked for is not answered yet. */
bool pipeline_busy(const struct core *c, const struct client *cl);
/* Whether events of a transaction that is not published yet are being posted: what
 * looks at watches has to wait for it, by pipeline_after(). */
bool pipeline_firing(const struct core *c);
/* Runs @r after all that @cl asked for before (and, with @all, after all that anybody
 * did); takes it over. Only if something is outstanding. */
void pipeline_after(struct core *c, struct client *cl, struct request *r, bool all);
/* What the log thread reported since. */
void pipeline_durable(struct core *c);
void pipeline_disk_failed(struct core *c);
/* Carries out what ZAB wants done. */
void pipeline_run(struct core *c);
/* While serving, twice a tick: tells the store that a quorum, which a single server
 * is by itself, is there. Local readers judge by it how old the tree may be. */
void pipeline_fresh(struct core *c);
void pipeline_free(struct core *c);

/* ---- connect.c ---- */
struct client *client_find(struct core *c, const struct conn *conn);
void connect_request(struct core *c, struct request *r);
void connect_gone(struct core *c, struct request *r);
/* Ends a client's part in its session and asks its I/O thread to close. */
void client_close(struct core *c, struct client *cl);
void connect_expired(void *core, struct sess *s);
/* The proposal of a session's begin or end is applied. */
void connect_opened(struct core *c, struct sess *s);
void connect_ended(struct core *c, struct sess *s);
/* The frame of a ConnectResponse; @s NULL: refused. NULL: memory. */
struct message *connect_answer(struct conn *conn, struct sess *s, bool old_client);
void clients_free(struct core *c);

/* ---- op.c ---- */
void op_request(struct core *c, struct request *r);
/* The client has proved another identity. */
void op_auth(struct core *c, struct request *r);
/* One that waited: its turn has come. */
void op_run_after(struct core *c, struct request *r, u64 zxid);
void request_free(struct request *r);
/* A message to @conn with room for @len bytes. NULL: memory. */
struct message *message_new(struct conn *conn, enum message_kind kind, u32 len);
/* A reply frame. */
struct message *reply_new(struct conn *conn, s32 xid, u64 zxid, s32 err,
			  const void *body, u32 len);
/* The same in answer to @r, which it takes over unless memory is short (NULL). */
struct message *reply_for(struct request *r, u64 zxid, s32 err, const void *body, u32 len);
/* Posts; NULL (memory was short) closes the connection of @cl instead. */
void post(struct core *c, struct client *cl, struct message *m);
/* For a message without a client to blame. */
void post_message(struct core *c, struct message *m);

/* ---- watchop.c ---- */
/* Sets the watch that a read asked for. 0, -ENOMEM, or -EDQUOT (logged): the client
 * has as many as it may (zkern.clientWatchLimitInKb). To a read or an addWatch that is
 * answered with ZQUOTAEXCEEDED; a setWatches, whose answer no client looks at, closes
 * the connection. */
int watch_read(struct core *c, struct client *cl, enum watch_table t, const void *path,
	       u32 len);
/* Requests that only concern watches: the error for the reply (enum zk_error), its
 * body into c->out. -ENOMEM in *@fail closes the connection. */
bool watchop_is(s32 op);
s32 watchop_run(struct core *c, struct client *cl, const struct request *r, int *fail);

/* ---- fire.c ---- */
/* Makes events of @p's transaction, which is about to be published, as many as @budget
 * lets it (watch_fire()): posts them, or puts them into a proposal's. True: all of them.
 * After false the next call must be for the same one. */
bool fire_txn(struct core *c, struct proposal *p, u32 *budget);
/* At the end: what an unfinished firing holds. */
void fire_free(struct core *c);
/* The frame of a notification; one reference. NULL: memory. */
struct blob *fire_blob(int event, const char *path, u32 len);
/* Wakes nobody: an answer, or the publishing, does. */
void fire_to(struct core *c, struct client *cl, struct blob *b, u64 zxid);

/* ---- orphan.c ---- */
/* At start, before clients come. */
void orphans_close(struct core *c);

/* ---- reap.c ---- */
/* A timer: each round. */
void reap(struct core *c);
/* Waits for its thread; nothing may be submitted to the core after that. */
void reap_free(struct core *c);

#endif
