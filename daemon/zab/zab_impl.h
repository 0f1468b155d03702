/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the machine share (zab.h says which part owns what).
 *
 * Memory. What an event brings is recorded, or refused with -ENOMEM before anything
 * changed. What follows from it is done by the "pump" of the state: each thing it does
 * reserves all that it needs, then does it whole, or leaves it for the next step
 * (->starved, and zab_deadline() asks for one soon). So no step is half done. Votes are
 * the exception: what finds no memory is lost, as it might be on the way.
 */
#ifndef ZKD_ZAB_IMPL_H
#define ZKD_ZAB_IMPL_H

#include <stdbool.h>

#include "daemon/zab/election.h"
#include "daemon/zab/zab.h"

#define ZXID(epoch, n)	((u64)(epoch) << 32 | (u32)(n))
#define EPOCH_OF(zxid)	((zxid) >> 32)
#define COUNT_OF(zxid)	((u32)(zxid))
#define EPOCH_MAX	0x7fffffffULL	/* Java's int in ACKEPOCH */

#define ZAB_PROTOCOL	0x10000		/* LearnerInfo.protocolVersion of Zab 1.0 */
/*
 * What a zkernd says behind LearnerInfo, where nobody else looks: that whatever it
 * acknowledges, NEWLEADER too, is on disk, and is what it votes with.
 */
#define ZAB_MARK	0x7a6b726e
#define LEARNERS_MAX	512		/* connections of learners, strangers included */
#define STRANGERS_MAX	32		/* that have not said who they are */
#define DISK_HISTORY_MAX 100000		/* transactions sent from the logs; beyond: SNAP */
#define STARVED_MS	50
#define SMALL_BYTES	64		/* of a packet from the pool */

/* ---- history.c ---- */

/*
 * Transactions in zxid order: [first, commit) are committed and kept for learners,
 * [commit, end) are logged or being logged. Indices only grow, but for cuts.
 */
struct window {
	struct txn **slots;
	u32 size;		/* a power of two */
	u64 first, commit, end;
	u64 floor;		/* zxid of the one before @first */
	u64 bytes;		/* of the committed ones */
};

int win_init(struct window *w);
void win_free(struct window *w);
int win_reserve(struct window *w, u32 n);
void win_push(struct window *w, struct txn *t);
/* The oldest one not committed is; its txn (the window's reference). */
struct txn *win_commit(struct window *w);
/* Drops everything after @zxid. */
void win_cut(struct window *w, u64 zxid);
/* Drops everything; what comes next follows @floor. */
void win_reset(struct window *w, u64 floor);
/* Drops committed ones until at most @count and @bytes are left, none after @keep. */
void win_trim(struct window *w, u32 count, u64 bytes, u64 keep);
/* The index of the first one after @zxid, ->end if there is none. */
u64 win_after(const struct window *w, u64 zxid);

static inline struct txn *win_at(const struct window *w, u64 i)
{
	return w->slots[i & (w->size - 1)];
}

/* The zxid of what stands before index @i. */
static inline u64 win_before(const struct window *w, u64 i)
{
	return i == w->first ? w->floor : win_at(w, i - 1)->zxid;
}

/* ---- a leader's learners ---- */

enum stage {
	STAGE_NEW,		/* connected */
	STAGE_INFO,		/* FOLLOWERINFO, OBSERVERINFO came */
	STAGE_EPOCH,		/* LEADERINFO was sent */
	STAGE_READY,		/* ACKEPOCH came */
	STAGE_SYNC,		/* history and NEWLEADER were sent; proposals follow */
	STAGE_ACKED,		/* NEWLEADER is acknowledged */
	STAGE_LIVE,		/* UPTODATE was sent */
};

/* SYNC packets owed: @count of them once @zxid is committed. */
struct owed {
	u64 zxid;
	u32 count;
};

struct learner {
	u64 link;
	u64 sid;
	enum stage stage;
	bool gone;		/* closed; freed at the end of the step */
	bool observer;		/* came with OBSERVERINFO */
	bool tree;		/* SNAP was what it needed */
	bool promised;		/* its ACKEPOCH counts */
	bool durable;		/* said ZAB_MARK, or is trusted without */
	bool settled;		/* has acknowledged UPTODATE */
	u64 last;		/* zxid of its ACKEPOCH */
	u64 acked;		/* it has all up to this zxid on disk */
	u64 told;		/* the last zxid that it was told is committed, when synced */
	u64 heard_ms;
	u64 heard;		/* half ticks */
	u64 due;		/* SyncLimitCheck: the proposal waited for, 0: none ... */
	u64 due_since;		/* ... since this half tick */
	u64 pings;		/* sent since it is LIVE, and ... */
	u64 pongs;		/* ... answered, in order */
	u64 round;		/* the last one that it was asked in, ... */
	u64 round_ping;		/* ... by this PING */
	u64 asks;		/* waits for this round itself; 0: for none */
	bool knows;		/* was told that it will be answered */
	struct owed *owed;	/* oldest first */
	u32 n_owed, owed_size;
};

/* A leader's, and those of them who observe also a follower's (master.c). */
struct leading {
	u64 next_epoch;		/* the highest accepted epoch that was seen, and one */
	bool epoch_fixed;	/* LEADERINFO may go out */
	bool saving;		/* SAVE_CURRENT is on the list of the last step */
	bool self_synced;	/* the own history is durable and the epoch saved */
	bool resigning;
	bool outrun;		/* a voter has accepted a later epoch */
	bool retired;		/* a reconfiguration made another one the leader */
	u64 stuck;		/* half ticks that a proposed membership could not be agreed on */
	u64 base;		/* this epoch's proposals are numbered after it */
	u64 own_epoch;		/* StateSummary of this server when it was elected */
	u64 own_last;
	struct zab_bytes *newleader;	/* NEWLEADER, encoded */
	struct zab_bytes *activation;	/* master: INFORMANDACTIVATE of ... */
	u64 activates;			/* ... this zxid; NULL: none is due */
	struct learner **learners;
	u32 n, size;
};

/* ---- a learner's leader ---- */

enum follow_stage {
	FOLLOW_CONNECT,
	FOLLOW_INFO,		/* FOLLOWERINFO was sent, waits for LEADERINFO */
	FOLLOW_EPOCH,		/* ACKEPOCH was sent, waits for DIFF, TRUNC or SNAP */
	FOLLOW_SYNC,		/* history comes, up to NEWLEADER */
	FOLLOW_ACKED,		/* NEWLEADER is acknowledged */
	FOLLOW_LIVE,		/* UPTODATE came */
};

/* Who waits for answers of the leader, in the order in which it was asked. */
struct waiter {
	u64 link;		/* of an observer; 0: this server's own question */
	u64 id;			/* a session */
	u32 count;		/* so many, one behind the other */
};

struct waiting {
	struct waiter *list;	/* a ring */
	u32 head, n, size;
};

/* How far a round is that a learner has asked its leader for (confirm.c). */
enum ask {
	ASK_NOT,
	ASK_SYNC,
	ASK_PROPOSAL,
	ASK_DONE,
};

struct following {
	u64 link;
	u64 whom;		/* the server at its other end */
	bool master;		/* it is an observer master, no leader */
	bool connected;		/* there is something to close */
	enum follow_stage stage;
	bool newleader;		/* came; is acknowledged when ... */
	u64 members;		/* the version of the membership in it */
	u64 target;		/* ... everything up to here is durable */
	u64 marked;		/* index in the window: what is before it commits with
				 * UPTODATE, at once after it */
	u64 unacked;		/* index: the first proposal not yet acknowledged */
	u64 covered;		/* SNAP's zxid: what the leader repeats up to it is known */
	u64 heard;		/* half ticks */
	u64 syncs;		/* unanswered: zab_sync(), and those of observers */
	struct waiting sync_waiting;
	struct waiting revalidations;
	enum ask ask;		/* the leader, whether it still leads */
	u64 ahead;		/* @syncs that are answered before it */
	bool sure;		/* this leader has said that it will answer */
	bool unsure;		/* it has not: its SYNC confirms nothing */
};

/* Whether this server's leader still leads (confirm.c). */
struct confirming {
	u64 round;		/* the last one that began */
	bool flying;		/* it is not over */
	bool wanted;		/* another one is to begin */
};

/* Observer masters, as an observer tries them (choose.c). */
struct choice {
	u64 seed;
	u64 version;		/* of the membership that they are of */
	u8 ids[ENSEMBLE_MAX];
	u32 n, next;
	u32 rounds;		/* in which nobody served it, one behind the other */
};

enum busy { BUSY_NO, BUSY_TRUNCATE, BUSY_RECEIVE };

struct actions {
	struct zab_action *slots;
	u32 size, head, tail;
};

struct zab {
	struct zab_params p;
	struct ensemble *e;	/* in force; NULL: a single server */
	struct ensemble *next;	/* proposed; NULL: none */
	struct ensemble *was;	/* in force before */
	u64 suggested;		/* who is to lead by the last reconfiguration; ~0ULL */
	bool observer;		/* by the membership */
	bool born;		/* START came */
	bool disk_bad;
	bool starved;
	enum zab_state state;
	enum zab_phase phase;
	u64 now;
	u64 halves;		/* half ticks since the beginning */
	u64 half_ms;		/* the next one */
	u64 limit;		/* half tick by which this phase must be over */

	u64 accepted;		/* acceptedEpoch, currentEpoch */
	u64 current;
	u64 epoch;		/* of the leader that leads or is followed */
	u64 leader;		/* its id; ~0ULL */

	u64 last;		/* the end of the own log */
	u64 durable;		/* of it */
	u64 committed;
	u64 sure;		/* of it, what an established leader said is; at start, nothing */
	u64 applied;
	u64 logged_from;
	struct window w;

	enum busy busy;
	u64 busy_zxid;
	u64 busy_link;

	struct election *el;
	bool electing;
	u64 look_ms;		/* not looking for a leader before */
	u32 fails;		/* in a row, to get into BROADCAST */
	bool ran;		/* it was in BROADCAST before this LOOKING */
	u64 links;		/* numbers given out */

	struct leading ld;
	struct following fo;
	struct confirming cf;
	struct choice ch;

	struct actions acts;
	struct zab_bytes **pool;
	u32 pool_n, pool_size;
};

/* ---- action.c ---- */

/*
 * Room for @acts actions and @packets small packets, beyond what zab_give_up() may take
 * at any time. False: memory; ->starved is set.
 */
bool zab_room(struct zab *z, u32 acts, u32 packets);
/* Of the room reserved. */
struct zab_action *zab_emit(struct zab *z, enum zab_action_type type);
/* A packet of at most SMALL_BYTES. */
void zab_emit_packet(struct zab *z, u64 link, s32 type, u64 zxid, const void *data, s32 len);
void zab_emit_bytes(struct zab *z, u64 link, struct zab_bytes *b);
void zab_emit_txn(struct zab *z, u64 link, s32 type, struct txn *t);
struct zab_bytes *zab_bytes_new(u32 len);
struct zab_bytes *zab_encode(const struct zab_packet *pkt);
/* @n packets without data into @b at @at: type, zxid. */
void zab_put_empty(u8 *at, s32 type, u64 zxid);
/* DISK_FAILED: the list is taken back, but for COMMITs and CLOSEs. */
void zab_take_back(struct zab *z);
void zab_actions_free(struct zab *z);

/* ---- zab.c ---- */

void zab_become(struct zab *z, enum zab_state state, enum zab_phase phase);
/* Back to LOOKING, and why. */
void zab_give_up(struct zab *z, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The oldest transaction that is not committed is. Room for one action. */
void zab_commit_one(struct zab *z);
/* The epoch that counts in an election: currentEpoch, or that of the last transaction. */
u64 zab_standing(const struct zab *z);
/* A new phase must be over after @ticks. */
void zab_limit(struct zab *z, u32 ticks);
/* LOOKING is over: time begins to count. */
void zab_clock(struct zab *z);

/* ---- members.c; its functions with @e take that reference over, or say so ---- */

/* Whether @t changes the membership. */
bool members_in(const struct txn *t);
/* To what. -EBADMSG: to nothing that can be; -ENOMEM. */
int members_of(const struct txn *t, struct ensemble **e);
struct ensemble *members_renumber(const struct ensemble *e, u64 version);
/* @e was proposed. Room for one action. */
void members_seen(struct zab *z, struct ensemble *e);
/* @e (the caller's) is in force. Room for one action. True: this server's role changed. */
bool members_adopt(struct zab *z, struct ensemble *e);
/* The log was cut. */
void members_cut(struct zab *z);
/* Who leads once the one proposed by @zxid is in force. */
u64 members_leader(const struct zab *z, u64 zxid);

/* ---- handler.c, sync.c ---- */

void handlers_free(struct zab *z);
/* Closes all links. */
void handlers_end(struct zab *z);
/* Those that are gone are freed. */
void handlers_sweep(struct zab *z);
int handler_link_up(struct zab *z, u64 link);
void handler_link_down(struct zab *z, u64 link);
int handler_packet(struct zab *z, const struct zab_event *ev);
struct learner *handler_find(const struct zab *z, u64 link);
/* Closes the link, and says why. */
void handler_drop(struct zab *z, struct learner *l, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Whether transactions go to @l: it was told what it lacked. */
bool handler_forwards(const struct learner *l);
/* Room for a small packet. */
void handler_leaderinfo(struct zab *z, struct learner *l);
/* NEWLEADER's bytes: the same for everybody. @e: the last membership proposed. NULL: memory. */
struct zab_bytes *handlers_newleader(const struct ensemble *e, u64 epoch);
/* INFORMANDACTIVATE's; @leader is to lead. NULL: memory. */
struct zab_bytes *handlers_activation(const struct txn *t, u64 leader);
/* Sends @l what it lacks and NEWLEADER. False: no memory. */
bool handler_sync(struct zab *z, struct learner *l);
/* It has: NEWLEADER is acknowledged. */
void handler_synced(struct zab *z, struct learner *l);
/* The same for all that are ready for it. */
void handlers_sync(struct zab *z);
/* UPTODATE for all that have acknowledged NEWLEADER. */
void handlers_settle(struct zab *z);
/* The SYNCs that are due. */
void handlers_answer_syncs(struct zab *z);
/* Silence. Room for a CLOSE. */
void handler_check(struct zab *z, struct learner *l);

/* ---- leader.c ---- */

void leader_begin(struct zab *z);
void leader_pump(struct zab *z);
void leader_half_tick(struct zab *z);
int leader_propose(struct zab *z, const struct zab_event *ev);
bool leader_votes(const struct zab *z, const struct learner *l);
/* Whether this server and the voters of which @has is true are a quorum, of the membership
 * that was proposed as well. */
bool leader_quorum(const struct zab *z,
		   bool (*has)(const struct zab *z, const struct learner *l, u64 arg), u64 arg);
/* Server @sid, which had acknowledged all up to @from, has now those up to @to. */
void leader_tell_acks(struct zab *z, u64 sid, u64 from, u64 to);

/* ---- master.c ---- */

/* Whether this server follows, and serves observers. */
bool master_is(const struct zab *z);
void master_pump(struct zab *z);
void master_half_tick(struct zab *z);
/* The leader's PING came. */
void master_ping(struct zab *z);
/* @l must wait until this server has what @l has. */
bool master_holds(const struct zab *z, const struct learner *l);
/* REQUEST, one of type sync if @sync, and REVALIDATE of an observer. -ENOMEM. */
int master_request(struct zab *z, struct learner *l, const struct zab_packet *p, bool sync);
int master_revalidate(struct zab *z, struct learner *l, const struct zab_packet *p);
/* SYNC and REVALIDATE of the leader; unless it is this server's @own (then there is room for
 * an action) an observer hears of it. -ENOMEM. */
int master_synced(struct zab *z, bool *own);
int master_revalidated(struct zab *z, const struct zab_packet *p, bool *own);
/* @t is to be in force with the next master_inform() of it. -ENOMEM. */
int master_activates(struct zab *z, const struct txn *t, u64 leader);
/* @t is about to be committed here. Room for an action for each observer. */
void master_inform(struct zab *z, struct txn *t);
/* Of a ring: room for one more (false: memory, or there are too many); one more; the oldest
 * one of @id goes, its link (0: an own one, or there is none). */
bool waiting_room(struct waiting *w);
void waiting_add(struct waiting *w, u64 link, u64 id);
u64 waiting_take(struct waiting *w, u64 id);
void waiting_free(struct waiting *w);

/* ---- choose.c ---- */

void choose_init(struct zab *z);
/* Whom to connect with while @leader leads; @master: to his port for observers. */
u64 choose_master(struct zab *z, u64 leader, bool *master);
/* It serves. */
void choose_done(struct zab *z);
/* How long an observer waits, in ms, before it looks for a leader again; 0 for others. */
u64 choose_wait(struct zab *z);

/* ---- confirm.c ---- */

/* This server does not lead or follow any more. */
void confirm_end(struct zab *z);
/* In BROADCAST: whatever can be done about rounds. */
void confirm_lead(struct zab *z);
void confirm_follow(struct zab *z);
/* Sends PING. Room for it. */
void confirm_ping(struct zab *z, struct learner *l);
/* @l, which is LIVE, answered one. */
void confirm_pong(struct learner *l);
/* Whether a REQUEST of type sync asks for a round. */
bool confirm_asked(const struct zab_packet *p);
/* @l asks for one. -ENOMEM. */
int confirm_ask(struct zab *z, struct learner *l);
/* On a learner: whether this SYNC is the answer to its own question. */
bool confirm_synced(struct zab *z, const struct zab_packet *p);
/* On any server: @t is agreed. */
void confirm_committed(struct zab *z, const struct txn *t);

/* ---- learner.c ---- */

int learner_begin(struct zab *z, u64 leader);
void learner_end(struct zab *z);
void learner_pump(struct zab *z);
void learner_half_tick(struct zab *z);
int learner_link_up(struct zab *z);
void learner_link_down(struct zab *z);
int learner_packet(struct zab *z, const struct zab_event *ev);
void learner_truncated(struct zab *z);
void learner_received(struct zab *z);

#endif
