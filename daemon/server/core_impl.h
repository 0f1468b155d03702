/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core thread from inside: what its files share. All of it belongs to the core
 * thread, but for what is marked otherwise.
 *
 *   core.c      life, the loop, timers, counters
 *   pipeline.c  propose, commit
 *   apply.c     what is committed is applied and answered
 *   quorum.c    drives ZAB: its actions, its events
 *   role.c      what this server is, and whom it serves
 *   reconfig.c  the membership changes
 *   remote.c    what passes between a learner's clients and their leader
 *   connect.c   connections and sessions come and go
 *   confirm.c   reads that wait until a quorum confirmed who leads
 *   op.c        requests of connected clients that are no writes
 *   watchop.c   requests about watches
 *   fire.c      events of committed transactions
 *   upgrade.c   sessions of one server become the ensemble's
 *   readonly.c  serving readers without a quorum
 *   orphan.c    ephemerals that were found without a session
 *   reap.c      container and TTL nodes that have had their time
 */
#ifndef ZKD_SERVER_CORE_IMPL_H
#define ZKD_SERVER_CORE_IMPL_H

#include <pthread.h>

#include "daemon/base/queue.h"
#include "daemon/client/client.h"
#include "daemon/peer/peer.h"
#include "daemon/server/prepare.h"
#include "daemon/server/session.h"
#include "daemon/server/watch.h"
#include "daemon/zab/zab.h"

#define CORE_RETRY_MS	10	/* when short of memory, at first: core_back_off() */
#define RETRY_DISK_MS	1000	/* after it refused */
#define FIRE_BUDGET	4096	/* watchers told in one round, about */

/* A connection. Known from its connect request until REQ_GONE. */
struct client {
	struct client *next;	/* hash chain */
	struct list_head link;	/* all of them, in the order in which they came */
	struct conn *conn;	/* reference */
	struct sess *user_of;	/* its I/O thread may touch this one's pub */
	struct sess *sess;	/* the session it serves; NULL: none yet, or no more:
				 * its requests are dropped, it is being closed */
	struct auth_set *auth;	/* reference; as of its last request */
	u32 watcher;		/* WATCHER_NONE: has no watches */
	/* Its last request that waits, waits for this proposal to be applied; ~0: which
	 * the leader has not numbered yet. */
	u64 last_zxid;
	struct proposal *last;
	/* Requests from the first read on that is not confirmed (confirm.c). */
	struct request *kept;
	struct request **kept_tail;
	struct list_head keeping;	/* of those with such, unless there are none */
};

#define ZXID_UNKNOWN	(~0ULL)

enum proposal_kind {
	PROPOSAL_WRITE,
	PROPOSAL_OPEN,		/* createSession */
	PROPOSAL_CLOSE,		/* closeSession */
	PROPOSAL_SYNC,		/* a learner's sync: no transaction */
};

/*
 * A transaction on its way and what happens when it is applied. On a learner also a
 * request that the leader is to make a transaction of: then it is on its session's list
 * (struct sess, ->asked), or, a sync, on the core's.
 */
struct proposal {
	struct proposal *next;
	struct txn *txn;		/* reference; NULL: none yet */
	s32 cxid;			/* of a request at the leader */
	struct request *request;	/* such a one of a client: its answer is not made yet */
	s32 refused;			/* its error, whatever the leader says; or ZOK */
	bool moved;			/* the answer: its session is elsewhere, be closed */
	enum proposal_kind kind;
	bool read_after;		/* some of @after look at the tree */
	bool expired;			/* CLOSE: nobody asked for it */
	struct sess *sess;		/* OPEN, CLOSE */
	struct message *reply;		/* or NULL */
	char *audit;			/* lines to write when it is applied, or NULL */
	u64 began_ms;			/* when it was asked for, ... */
	u64 committed_ms;		/* ... and agreed; monotonic */
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

/* One who wants to go on with a session, while the leader is asked. */
struct reviving {
	struct reviving *next;
	struct conn *conn;	/* reference */
	u64 id;
	s32 timeout;
	bool old;		/* struct hello */
};

/* What the leader's packets say who is asking: the last list of ids, read. */
struct ids_cache {
	u8 *bytes;
	u32 len;
	struct auth_set *auth;
};

#define BROKEN_MAX	512	/* links; there are no more than servers, and strangers */
#define AFTER_MAX	4
#define PACKETS_MAX	4	/* not ZAB's own, out of one step */

struct core {
	const struct config *cfg;
	struct core_env env;
	struct store *st;
	struct disk *disk;
	struct client_side *side;	/* of all connections; NULL: none came yet */
	pthread_t thread;
	bool started;
	bool served;		/* was started, whether it runs or not */

	/* from other threads */
	struct queue queue;
	struct queue peer_queue;	/* struct peer_event; kicked through @queue */
	struct request durable_item;	/* in the queue while durable_posted */
	int durable_posted;		/* atomic */
	u64 durable;			/* atomic: zxid, by the log thread */
	int disk_errno;			/* atomic: the disk refused */
	int stopping;			/* atomic */

	struct peers *peers;		/* NULL: a single server */
	struct peer_event *peer_todo;	/* taken out of the queue, not handled yet */
	u64 accepted, current;		/* epochs, as found at start */
	u64 broken[BROKEN_MAX];		/* links to be told of as down */
	u32 n_broken;
	struct zab_action packets[PACKETS_MAX];	/* to be handled when the actions are done */
	u32 n_packets;
	struct zab_event after[AFTER_MAX];	/* follow from the step at hand */
	u32 n_after;
	u64 receiving;			/* the link that a tree comes on; 0: none does */
	bool save_failed;		/* an epoch could not be written, in this step */
	bool disk_failed;
	void (*on_members)(void *arg, struct ensemble *e, bool in_force);
	void *on_members_arg;
	pthread_mutex_t members_lock;
	struct ensemble *members;	/* in force; members_lock for other threads */
	u64 out_link;			/* a learner's, to its leader */
	u64 pinged_ms;			/* a learner: by its leader, last */
	u64 logs_ms;			/* when to look again how far back the logs reach */
	u64 heard_ms;			/* when a quorum was heard from, as far as known */
	u64 resigned_ms;		/* when we began to end; 0: not */
	struct {			/* count.c; 0: not */
		u64 looks_ms;		/* since when a leader is looked for, ... */
		u64 lost_ms;		/* ... there is none, ... */
		u64 syncs_ms;		/* ... it tells us what we lack */
	} counts;
	enum peer_port port;		/* that is open to learners */
	u64 *below;			/* observer master: sessions of its observers that gave a
					 * sign of life since the leader's last ping, each once */
	u32 n_below, below_size;
	bool begun;			/* serves since this step */
	struct proposal *syncs;		/* a learner's, in order */
	struct proposal *syncs_last;
	struct reviving *revivals;
	struct ids_cache ids;
	struct jw wire;			/* scratch: a packet's data */
	struct jw wire_auth;

	struct zab *zab;
	struct changes ch;
	struct prep prep;
	struct sessions *sessions;	/* that the ensemble knows */
	struct sessions *locals;	/* of this server alone; ids are ->sessions' */
	struct watches *watches;
	u64 applied;			/* zxid */
	u32 committed;			/* of the outstanding: may be applied */
	bool outlives;			/* the tree is there after this process: it is never to
					 * have what the own log may lack */
	bool hidden;			/* it may have what is not committed: it was built, and
					 * this server has not served since */
	struct txn **found;		/* at start, behind the tree: for ZAB; or NULL */
	u32 n_found;
	u32 expiring;			/* outstanding proposals with ->expired */
	u32 budget;			/* of events, left in this round */
	struct firing firing;
	bool open;			/* connections are let in */
	bool readonly;			/* and are those of readers */
	bool mixed;			/* the tree is not as of one zxid: it came from a
					 * server that wrote meanwhile, and what it wrote
					 * has not followed yet */
	u64 alone_ms;			/* when to begin to serve readers; 0: not, or done */
	bool serving;			/* writes are taken: an ensemble, or the disk, works */
	bool leading;			/* and it is this server that prepares them */
	bool posted;			/* messages since the last client_flush() */
	bool sweep;			/* dead watchers to sweep out */
	u64 now_ms;			/* monotonic, of this round */
	u64 retry_ms;			/* when to try the disk again */
	u64 reap_ms;			/* when reap() has something to do next */
	struct reaper *reaper;
	u64 fresh_ms;			/* when to tell the store again that it is fresh */

	struct proposal *head;		/* outstanding, in order of zxid */
	struct proposal *tail;
	struct proposal *proposed;	/* the first of them that is not committed */
	struct proposal *spare;		/* free list */
	struct zk_txn *batch;		/* for store->apply */
	u64 *digests;
	u32 batch_room;

	struct list_head all_clients;
	struct list_head keeping;	/* clients with requests that are kept */
	u64 confirmed;			/* the last round (zab_confirm()) ... */
	u64 released;			/* ... and the last that was acted on */
	int ask_fd;			/* they ask; -1: there are none */
	struct local_asks {		/* of programs on this host (struct store_ops) */
		bool polled;		/* whether any ask was looked at, before this round */
		bool told;		/* and some do */
		u64 looked_ms;		/* when it was last known */
		u64 asked;		/* so many have asked */
		u64 round;		/* the one for those up to @covers; 0: none */
		u64 covers;
		u64 agreed;		/* zxid: what they are to see; 0: not known yet */
		u64 done;		/* so many are answered */
	} local;
	struct client **clients;	/* hash table by conn */
	u32 clients_size, n_clients;

	struct jw out;			/* scratch: an answer */
	struct core_stats stats;	/* atomic, relaxed */
};

/* ---- core.c ---- */
u64 core_wall_ms(const struct core *c);
u64 core_coarse_ms(const struct core *c);	/* monotonic; steps by the kernel's tick */
void core_nap(struct core *c, u32 ms);
/* Naps for @ms, CORE_RETRY_MS at first; returns for how long to the next time. */
u32 core_back_off(struct core *c, u32 ms);
/* Committed ones, for a snapshot, malloc'ed; NULL: no memory, which was said. */
struct disk_session *core_sessions(struct core *c, u32 *n);
/* Those that the disk knows, with their whole timeout from now on. */
int core_restore(struct core *c, const struct disk_recovery *rec);
/* ZAB has what was found behind the tree. */
void core_drop_tail(struct core *c);
void core_count(struct core *c);	/* brings c->stats up to date */

/* ---- pipeline.c ---- */
/* Why one of these was refused; -EROFS: there is no zxid to be had. */
const char *pipeline_error(int rc);
/* A client's write. Takes @r over. */
void pipeline_write(struct core *c, struct client *cl, struct request *r);
/* 0, or negative errno: not proposed. @reply is posted when it is applied (taken over
 * on success only); it is @cl's, who may be NULL. */
int pipeline_open(struct core *c, struct sess *s, struct client *cl, struct message *reply);
int pipeline_close(struct core *c, struct sess *s, s32 cxid, struct client *cl,
		   struct message *reply);
int pipeline_delete_container(struct core *c, const char *path, u32 len);
/* The leader: a write of a client of another server, that was prepared for it. @s: of a
 * session's begin or end. Takes @t over. */
int pipeline_propose(struct core *c, enum proposal_kind kind, struct sess *s, struct txn *t);
/* What the next transaction will be; its zxid is 0 if this epoch has no more. */
struct prep_ask pipeline_ask(const struct core *c, u64 session, s32 cxid,
			     const struct auth_set *auth);
/* Whether anything that @cl asked for is not answered yet. */
bool pipeline_busy(const struct core *c, const struct client *cl);
/* Whether events of a transaction that is not published yet are being posted: what
 * looks at watches has to wait for it, by pipeline_after(). */
bool pipeline_firing(const struct core *c);
/* Runs @r after all that @cl asked for before (and, with @all, after all that anybody
 * did); takes it over. Only if something is outstanding. */
void pipeline_after(struct core *c, struct client *cl, struct request *r, bool all);
/* @cl's requests from now on come after @p. */
void pipeline_last(struct client *cl, struct proposal *p);
/* Agreed: takes the reference over. */
void pipeline_commit(struct core *c, struct txn *t);
/* What is committed is applied; what is not has no known outcome and is dropped. */
void pipeline_drop(struct core *c);
/* The records begin anew from the tree as it is. */
void pipeline_reset(struct core *c);
void pipeline_free(struct core *c);
struct proposal *proposal_new(struct core *c);
void proposal_free(struct core *c, struct proposal *p);

/* ---- apply.c ---- */
/* Applies what is committed, as far as @budget reaches. */
void pipeline_apply(struct core *c, u32 *budget);
/* Whether something is committed that is not applied yet, and not only for want of the own
 * log, which tells when it has it (quorum_durable()). */
bool pipeline_may_apply(const struct core *c);
/* All that is committed; waits for the log if need be, but not for longer than a tick. */
void pipeline_apply_all(struct core *c);

/* ---- role.c ---- */
/* ZAB_DO_STATE. */
void role_set(struct core *c, const struct zab_action *a);
/* Other threads hear of what this server is, and whom it serves. */
void role_tell(struct core *c);
/* The store does, and how long ago a quorum was heard from. */
void role_tell_store(struct core *c);

/* ---- quorum.c ---- */
/* Begins, with what recovery found. */
void quorum_start(struct core *c);
/* One event into ZAB, and what it wants done; what it commits is applied later, with what
 * others commit in the same round (quorum_run()). */
void quorum_step(struct core *c, const struct zab_event *ev);
/* Carries out what ZAB wants done. */
void quorum_drain(struct core *c);
/* The same, and applies. */
void quorum_run(struct core *c);
/* What was queued for other servers goes out. */
void quorum_flush(struct core *c);
/* What the log thread reported since. */
void quorum_durable(struct core *c);
void quorum_disk_failed(struct core *c);
void quorum_disk_back(struct core *c);
/* This server gives up a link. */
void quorum_break(struct core *c, u64 link);
/* Of other servers, a bounded number of them. True: there are more. */
bool quorum_events(struct core *c);
/* A timer: each round. */
void quorum_timers(struct core *c);
/* When quorum_timers() has something to do next. */
u64 quorum_next_ms(const struct core *c);
/* At the end: whether there is still something to wait for. */
bool quorum_ending(struct core *c);
void quorum_free(struct core *c);

/* ---- count.c ---- */
/* ZAB_DO_STATE. */
void count_state(struct core *c, enum zab_state state, enum zab_phase phase);
/* ZAB_DO_LOG, ZAB_DO_COMMIT, ZAB_DO_ACKED. */
void count_proposal(struct core *c, const struct zab_action *a);
void count_commit(struct core *c, const struct zab_action *a);
void count_acked(struct core *c, const struct zab_action *a);
/* @n from @p on were applied since @began_ms, and are not answered yet. */
void count_applied(struct core *c, const struct proposal *p, u32 n, u64 began_ms);
/* @n requests of clients were handled in this round; how long they had waited. */
struct metric_run;
void count_requests(struct core *c, u64 n, struct metric_run *waited);

/* ---- reconfig.c ---- */
/* ZAB_DO_MEMBERS. */
void reconfig_members(struct core *c, const struct zab_action *a);

/* ---- remote.c ---- */
/* On a learner. Sends a request to the leader as a proposal that waits. @r: a client's
 * write, taken over on success only. @refused: upgrade_session(). */
int remote_write(struct core *c, struct client *cl, struct request *r, s32 refused);
int remote_open(struct core *c, struct sess *s, struct client *cl, struct message *reply);
int remote_close(struct core *c, struct sess *s, s32 cxid, struct client *cl,
		 struct message *reply);
int remote_sync(struct core *c, struct client *cl, struct request *r);
/* The oldest sync's turn has come. */
void remote_synced(struct core *c);
/* A quorum was heard of, through the server that this one learns from; @passed_on: its sign
 * of life was the leader's own. */
void remote_heard(struct core *c, bool passed_on);
/* Asks whether the session lives; takes nothing over. */
int remote_revive(struct core *c, struct client *cl, u64 id, s32 timeout, bool old);
/* The waiting request that @t came from, out of its list; NULL: another server's. */
struct proposal *remote_take(struct core *c, const struct txn *t);
/* What @s's clients wait for will not be answered. */
void remote_forget(struct core *c, struct sess *s);
/* The same for all of them. */
void remote_drop(struct core *c);
/* A packet of another server that is not ZAB's own. */
void remote_packet(struct core *c, const struct zab_action *a);
void remote_free(struct core *c);

/* ---- connect.c ---- */
struct client *client_find(struct core *c, const struct conn *conn);
void connect_request(struct core *c, struct request *r);
void connect_gone(struct core *c, struct request *r);
/* The leader said whether the session lives. */
void connect_revived(struct core *c, const struct reviving *v, bool valid);
/* One that the ensemble knows, or this server alone; or NULL. */
struct sess *connect_session(struct core *c, u64 id);
/* Nobody is served for a while: all connections are closed. */
void connect_close_all(struct core *c);
/* Ends a client's part in its session and asks its I/O thread to close. */
void client_close(struct core *c, struct client *cl);
void connect_expired(void *core, struct sess *s);
/* The same of a session that nobody else knows, and its orderly end. */
void connect_local_expired(void *core, struct sess *s);
void connect_local_ended(struct core *c, struct sess *s);
/* The proposal of a session's begin or end is applied. */
void connect_opened(struct core *c, struct sess *s);
void connect_ended(struct core *c, struct sess *s);
/* The frame of a ConnectResponse; @s NULL: refused. NULL: memory. */
struct message *connect_answer(const struct core *c, struct conn *conn, struct sess *s,
			       bool old_client);
void clients_free(struct core *c);

/* ---- op.c ---- */
void op_request(struct core *c, struct request *r);
/* The client has proved another identity. */
void op_auth(struct core *c, struct request *r);
/* A request whose turn it is among those of its client. Takes it over. */
void op_go(struct core *c, struct client *cl, struct request *r);
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

/* ---- confirm.c ---- */
/* Keeps @r, which it takes over, if it has to wait for a confirmation or for one that
 * does. False: it has not. */
bool confirm_keep(struct core *c, struct client *cl, struct request *r);
/* Those go on that are confirmed. What is agreed is applied, as far as can be. */
void confirm_release(struct core *c);
/* Looks whether local programs ask. Each round, before the timers. */
void confirm_local(struct core *c);
/* Nobody is served any more. */
void confirm_lost(struct core *c);
/* @cl serves no session any more. */
void confirm_forget(struct client *cl);

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

/* ---- upgrade.c ---- */
/*
 * Before a write of @cl is sent on: if it makes an ephemeral and the session is local,
 * the ensemble is told of the session first. *@refused: that is not allowed, and what
 * makes an ephemeral is to fail with this error; else ZOK. Negative errno: it can
 * neither be told nor refused now.
 */
int upgrade_session(struct core *c, struct client *cl, const struct request *r, s32 *refused);

/* ---- readonly.c ---- */
/* Whether this server looks for a leader may have changed. */
void readonly_look(struct core *c);
/* The tree is about to be another one. */
void readonly_end(struct core *c);
/* A timer: each round. */
void readonly_timer(struct core *c);
/* Whether readers are told ZNOTREADONLY. */
bool readonly_refuses(const struct core *c, s32 op);

/* ---- orphan.c ---- */
/* At start, before clients come. */
void orphans_close(struct core *c);

/* ---- reap.c ---- */
/* A timer: each round. */
void reap(struct core *c);
/* Waits for its thread; nothing may be submitted to the core after that. */
void reap_free(struct core *c);

#endif
