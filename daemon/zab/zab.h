/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ZAB, the agreement on the order of transactions: a pure state machine. Events
 * go in through zab_step(), actions come out of it as a list; inside there is no
 * clock, socket, file, thread or random number. The core thread is its driver:
 * it feeds events and carries out the actions in their order. The simulator
 * (selftests/sim) drives the same machine.
 *
 * State and phase (QuorumPeer.ServerState, ZabState):
 *
 *   LOOKING/ELECTION --elected--> LEADING/DISCOVERY  -> SYNC -> BROADCAST
 *                    --other----> FOLLOWING/DISCOVERY -> SYNC -> BROADCAST
 *                    --observer-> OBSERVING/DISCOVERY -> SYNC -> BROADCAST
 *   and from each of them back to LOOKING/ELECTION: the leader, the quorum or the
 *   disk was lost, a deadline passed, the leader resigns, the epoch is used up.
 *
 * A single server without peers (no server.N lines) is an ensemble of one voter: it
 * leads at once, its own log is the quorum, and its zxids go on from the last one
 * without a new epoch, as ZooKeeperServer's do.
 *
 *   zab.c       life, the table of transitions, dispatch
 *   action.c    the list of actions, bytes
 *   election.c  FastLeaderElection
 *   leader.c    discovery, acknowledgements, commit
 *   handler.c   its learners, one by one
 *   master.c    a follower that serves observers
 *   sync.c      what a learner needs to have the leader's history
 *   learner.c   follower and observer
 *   choose.c    whom an observer observes
 *   confirm.c   whether this server's leader still leads
 *   members.c   the membership while it changes
 *   history.c   transactions in memory: committed ones that learners may still lack,
 *               and those that are not committed yet
 *   ensemble.c  who votes, and which sets are quorums
 *   packet.c    bytes
 *
 * What is logged but not known to be committed stays in the machine, unapplied,
 * until a leader has settled that it is committed (or has it cut off), whatever
 * happens between: readers of the tree never see it. (Apache ZooKeeper applies it
 * when it begins to look for a leader.) So does, at start, what the log has behind a tree
 * that was there before this process (kernel store). Where the tree is built at start
 * nothing tells it apart: that tree has all of the log, and nobody on the host sees it
 * until the server serves.
 *
 * Links. A connection between a learner and its leader is known by a number that is
 * never used twice: the driver's for those that come in, the machine's (with
 * ZAB_LINK_OUT) for the one that it asks for. Order is kept on a link; what is sent
 * is queued there by the driver, behind what was sent before, streams included.
 *
 * What the machine expects of its driver, beyond the order of actions:
 * - A DO_SAVE that cannot be done: nothing behind it on the list is carried out, and
 *   DISK_FAILED is fed, which takes that back (all but COMMITs and CLOSEs).
 * - After DO_TRUNCATE the next event is TRUNCATED (or DISK_FAILED), once the list is
 *   done. What was durable of the part cut off is not told by a later DURABLE.
 * - Between DO_RECEIVE and RECEIVED no PACKET of that link. DO_RECEIVE always ends, by
 *   RECEIVED or by LINK_DOWN of its link (nothing was changed), also when the machine
 *   has closed the link meanwhile or the disk failed: it looks for no leader before.
 * - Of ACKs that came on a link one behind the other, of transactions of one epoch and in
 *   their order, it may feed the last alone.
 * - zab_applied() as the tree grows, on every server: what the tree lacks is not let
 *   go here. DO_SEND_TREE names what it said last.
 * - A pause of the whole process counts as one tick: what came in meanwhile may be fed
 *   after a TICK that is late.
 */
#ifndef ZKD_ZAB_ZAB_H
#define ZKD_ZAB_ZAB_H

#include "daemon/disk/txn.h"
#include "daemon/zab/ensemble.h"
#include "daemon/zab/packet.h"

#define ZAB_LINK_OUT	(1ULL << 63)

enum zab_state {
	ZAB_LOOKING,
	ZAB_FOLLOWING,
	ZAB_LEADING,
	ZAB_OBSERVING,
};

enum zab_phase {
	ZAB_ELECTION,
	ZAB_DISCOVERY,
	ZAB_SYNC,
	ZAB_BROADCAST,
};

enum zab_event_type {
	ZAB_EV_START,		/* what recovery found: @zxid, @accepted, @current; @n_found of
				 * @found, logged behind @zxid and not known to be committed.
				 * Once, but for a single server whose disk is back */
	ZAB_EV_TICK,		/* the time is @now_ms: due by zab_deadline() */
	ZAB_EV_VOTE,		/* @from, @vote: a notification of the election port */
	ZAB_EV_ABSENT,		/* @from: as it seems, that server does not run: it has closed
				 * its election connection, or nobody listens there */
	ZAB_EV_LINK_UP,		/* @link: a learner came; or the one asked for is there */
	ZAB_EV_LINK_DOWN,	/* @link: lost, or never came to be; not after DO_CLOSE */
	ZAB_EV_PACKET,		/* @link, @packet */
	ZAB_EV_PROPOSE,		/* @txn: numbered by zab_next_zxid(); leading only */
	ZAB_EV_DURABLE,		/* @zxid: the own log is durable up to it */
	ZAB_EV_TRUNCATED,	/* @zxid: DO_TRUNCATE is done, log and tree end there: at the
				 * old end, if what it asked for is no end of anything here */
	ZAB_EV_RECEIVED,	/* @zxid: DO_RECEIVE is done, on disk and in the tree */
	ZAB_EV_DISK_FAILED,	/* nothing more becomes durable here */
	ZAB_EV_DISK_BACK,	/* it does again: durable up to @zxid, where the log ends */
	ZAB_EV_RESIGN,		/* leader: let another one lead (before a planned stop) */
};

struct zab_event {
	enum zab_event_type type;
	u64 now_ms;		/* monotonic; with every event */
	u64 zxid;
	u64 accepted;		/* acceptedEpoch, currentEpoch of the files */
	u64 current;
	u64 from;		/* server id */
	u64 link;
	const struct zab_vote *vote;
	const struct zab_packet *packet;
	struct txn *txn;
	struct txn **found;
	u32 n_found;
};

enum zab_action_type {
	ZAB_DO_LOG,		/* @txn: append to the own log */
	ZAB_DO_COMMIT,		/* @txn: agreed; apply in this order. The action owns
				 * one reference */
	ZAB_DO_STATE,		/* @state, @phase: what this server is now; @link: on
				 * FOLLOWING and OBSERVING the leader's id. Clients are
				 * served in BROADCAST alone */
	ZAB_DO_FAIL,		/* what was proposed here or asked for and is not
				 * committed has no outcome known here: @zxid is the last
				 * one that has */
	ZAB_DO_NOTIFY,		/* @to, @bytes: a vote (body) for the election port */
	ZAB_DO_CONNECT,		/* @to, @link: to that server's quorum port; if @master, to
				 * its port for observers */
	ZAB_DO_SEND,		/* @link, @bytes: one or more packets, encoded */
	ZAB_DO_SEND_TXN,	/* @link, @packet_type PROPOSAL or INFORM, @txn: encode and
				 * send. The action owns one reference */
	ZAB_DO_SEND_HISTORY,	/* @link, @zxid, @to: PROPOSAL and COMMIT (INFORM for an
				 * observer: @observer) of all in the own logs after @zxid
				 * up to @to */
	ZAB_DO_SEND_TREE,	/* @link, @zxid: SNAP's stream, of the tree as it is now,
				 * which is as of @zxid; no packet before it */
	ZAB_DO_CLOSE,		/* @link; what was queued for it may be dropped */
	ZAB_DO_SAVE_ACCEPTED,	/* @zxid: epoch, durable before the next action */
	ZAB_DO_SAVE_CURRENT,
	ZAB_DO_TRUNCATE,	/* @zxid: cut the log after it; if @reload, the tree must be
				 * built anew as it has more */
	ZAB_DO_RECEIVE,		/* @link, @zxid: the stream that follows on it replaces tree
				 * and files */
	ZAB_DO_PACKET,		/* @link, @from, @packet: not ZAB's own: REQUEST (no SYNC),
				 * REVALIDATE, PING with sessions (on the leader); PING,
				 * REVALIDATE (on the learner, which answers); PING of an
				 * observer, on its master */
	ZAB_DO_MEMBERS,		/* @ensemble (good until the next step), of version @zxid, is
				 * @in_force, or else proposed: keep it (the dynamic file;
				 * the next one), and its addresses */
	ZAB_DO_SYNCED,		/* the oldest unanswered zab_sync() of this learner is due */
	ZAB_DO_ACKED,		/* a leader: server @from (itself, too) has acknowledged @zxid,
				 * which was proposed at @to, by the leader's clock */
	ZAB_DO_CONFIRMED,	/* @zxid: all zab_confirm() that gave this number or a lower
				 * one are answered with yes */
};

/* Bytes that several actions may share. */
struct zab_bytes {
	u32 refs;		/* atomic */
	u32 len;
	u8 bytes[];
};
struct zab_bytes *zab_bytes_get(struct zab_bytes *b);
void zab_bytes_put(struct zab_bytes *b);

struct zab_action {
	enum zab_action_type type;
	enum zab_state state;
	enum zab_phase phase;
	u64 zxid;
	u64 to;
	u64 from;
	u64 link;
	s32 packet_type;
	bool observer;
	bool reload;
	bool master;
	struct zab_packet packet;	/* good until the next zab_step() */
	struct zab_bytes *bytes;	/* reference */
	struct ensemble *ensemble;
	bool in_force;
	struct txn *txn;
};
/* Drops what the action holds (references to txn and bytes). */
void zab_action_drop(struct zab_action *a);

struct zab;

struct zab_params {
	u64 myid;
	struct ensemble *ensemble;	/* NULL: a single server */
	u32 tick_ms;
	u32 init_limit;			/* ticks */
	u32 sync_limit;			/* ticks */
	u32 connect_limit;		/* ticks, to connect to a leader; 0: init_limit */
	u32 snap_syncs;			/* observers are refused while so many learners are sent
					 * a tree ... */
	u32 diff_syncs;			/* ... or what they lack; 0: no bound */
	bool force_snap;		/* every learner is sent the tree */
	bool trust;			/* every follower has on disk what it acknowledges */
	u32 tell_acks;			/* DO_ACKED for one in so many transactions; 0: none */
	u32 history_max;		/* committed transactions kept, 500 (commitLogCount) */
	u64 history_bytes;		/* and bytes of them at most */
	u32 max_packet;			/* bytes */
	bool leader_serves;
	bool reconfig;			/* reconfigEnabled */
	u32 skip;			/* numbers that an epoch of this leader begins behind, for
					 * tests of its end (testingonly.initialZxid) */
	struct ensemble *next;		/* proposed, as far as was known; NULL */
	u64 chance;			/* a number that no other life of a server has */
	bool masters;			/* observers are served by followers
					 * (observerMasterPort) */
	/* an observer that has lost whom it observed waits by chance, at most so long
	 * (observer.election.DelayMs); and so long besides when it has tried all masters, or
	 * there are none (observer.reconnectDelayMs) */
	u32 election_delay_ms;
	u32 reconnect_delay_ms;
};

/* NULL: memory, or @p->ensemble does not name myid. The caller owns the machine. */
struct zab *zab_new(const struct zab_params *p);
void zab_free(struct zab *z);
/*
 * Feeds one event. The actions are read with zab_next() until it says false,
 * before the next event. The event's txns, vote and packet stay the caller's.
 * -ENOMEM: the event was not taken, nothing changed; -EINVAL: not legal in this state,
 * the caller's mistake. What a peer does wrong closes its link and says why on the log,
 * and is no error.
 */
int zab_step(struct zab *z, const struct zab_event *ev);
bool zab_next(struct zab *z, struct zab_action *a);
/* When it wants to see a TICK, at the latest; ~0ULL: never. */
u64 zab_deadline(const struct zab *z);

/* The tree has all up to @zxid. */
void zab_applied(struct zab *z, u64 zxid);
/* The last transaction in the own logs' reach is @zxid, the first @first: how far back
 * DO_SEND_HISTORY can go. ~0ULL: nothing. */
void zab_logged_from(struct zab *z, u64 first);

enum zab_state zab_state(const struct zab *z);
enum zab_phase zab_phase(const struct zab *z);
/* LEADING in BROADCAST: the zxid that the next proposal must carry; 0: this epoch has
 * no more. */
u64 zab_next_zxid(const struct zab *z);
u64 zab_committed(const struct zab *z);
u64 zab_last_zxid(const struct zab *z);	/* logged or being logged */
/* Proposed and not committed yet. */
u32 zab_outstanding(const struct zab *z);
u64 zab_epoch(const struct zab *z);
/* The server that leads, as far as this one knows; ~0ULL: none. */
u64 zab_leader(const struct zab *z);
/* The one that this server follows or observes: its leader, or its observer master; a
 * leader itself. ~0ULL: none. */
u64 zab_master(const struct zab *z);
/* The membership in force; the machine's reference. NULL: a single server. */
struct ensemble *zab_ensemble(const struct zab *z);
/*
 * The one that was proposed and is not in force yet; NULL: there is none. A leader takes
 * no other transaction of type reconfig meanwhile (-EINVAL), nor one whose data is no
 * membership; its version must be its zxid.
 */
struct ensemble *zab_next_ensemble(const struct zab *z);
/*
 * Leader.isQuorumSynced(): whether a quorum of @e follows (not observes) this leader. What
 * is not so must not be proposed (NEWCONFIGNOQUORUM): it could not be agreed on.
 */
bool zab_quorum_synced(const struct zab *z, const struct ensemble *e);

/*
 * Learner: sends @packet (REQUEST, REVALIDATE, PING; their data may be empty, not null:
 * Apache's leader fails on that) to the leader. Leader: sends it
 * (REVALIDATE) on @link. 0; -ENOTCONN: no such link (any more); -ENOMEM.
 * The action is appended to the list.
 */
int zab_send(struct zab *z, u64 link, const struct zab_packet *packet);
/* Learner: asks for a SYNC for session @session; @body is the request's. The same
 * errors. Its DO_SYNCED come in the order of the calls. */
int zab_sync(struct zab *z, const struct zab_packet *request);
/*
 * Asks whether the leader that this server is, or follows, still leads. The answer to the
 * number given is a DO_CONFIRMED: a quorum followed that leader at some time after this
 * call, and all that anybody can have been told is done before it was committed by
 * DO_COMMITs before that action. No answer comes once this server has left BROADCAST.
 * Cheap: all who ask until a round begins (at the next step; zab_deadline() asks for
 * one) or while another one is under way share it. A round is one PING to each follower
 * and its answer; on a learner, one more packet to its leader and back. 0: not in
 * BROADCAST.
 */
u64 zab_confirm(struct zab *z);

/* What mntr, stat and the admin server show of the learners; of a leader, or of a follower
 * with observers. */
struct zab_learner {
	u64 sid;
	u64 link;
	bool observer;
	bool synced;		/* has UPTODATE */
	u64 acked;
	u64 heard_ms;
};
u32 zab_learners(const struct zab *z, struct zab_learner *out, u32 max);
/* A leader's: syncs of learners' clients that wait for what was proposed before them. */
u64 zab_pending_syncs(const struct zab *z);

#endif
