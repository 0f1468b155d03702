// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * FastLeaderElection.lookForLeader() and what WorkerReceiver does beside it, turned from
 * a loop that waits on a queue into steps: a notification, or time. Each server votes for
 * the best that it has heard of (epoch, zxid, id), says so whenever that changes, and has
 * found a leader when a quorum votes alike and nothing better is heard for a while; or
 * when a quorum of those who have settled names one that says itself that it leads.
 *
 * What differs from there:
 * - The own notification is not sent to itself: the own vote is counted at once.
 * - Who is no voter gets an answer only if he is looking. Two servers that each take the
 *   other for no voter would answer each other for ever.
 * - A better vote of an earlier round does not end the wait for better ones: who sent it
 *   is told of this round, and will vote in it.
 * - Whose first vote in this round is worse than the own one is told that at once.
 * - While looking, who is no voter is told the vote of this round, not that of the last one.
 * - Who answered this round's vote as one that had a leader, and looks for one himself a
 *   moment later, is told it again: he has not counted it.
 * - Nobody is voted for who has less than what is known here to be committed: who leads
 *   next has that. Apache ZooKeeper's follower that loses its leader between NEWLEADER and
 *   UPTODATE votes with that leader's epoch and without what it was sent, and would have
 *   what others acknowledged cut off.
 * - Nobody waits for better votes (finalizeWait) where none can come: all voters vote alike,
 *   or do not run, as far as can be seen. One who comes up a moment later finds a leader, as
 *   he would after finalizeWait.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/zab/election.h"

#define IDS		256
#define SURE_MAX_MS	(5 * ELECTION_FINALIZE_MS)
#define NOBODY		((u64)LLONG_MIN)	/* Long.MIN_VALUE: an observer's first vote */
#define NO_ZXID		(~0ULL)

/* Vote.java. Numbers are compared as Java's longs. */
struct vote {
	bool there;
	u8 state;		/* enum zab_peer_state */
	bool versioned;		/* version > 0 */
	s64 leader;
	s64 zxid;
	s64 round;
	s64 epoch;
};

enum phase { IDLE, LOOKING, SURE, OVER };	/* SURE: a quorum agrees, better may come */

struct election {
	u64 myid;
	election_send send;
	void *arg;
	struct ensemble *ensemble;
	struct ensemble *pending;	/* for the next rounds */
	struct ensemble *next;		/* pending, of this round */
	struct ensemble *newer;
	struct ensemble *told;		/* whose text others are told: the one in force */
	enum phase phase;
	s64 round;			/* logicalclock */
	struct vote first;		/* the one it begins with */
	s64 floor;			/* committed, whoever leads has it */
	bool told_floor;		/* in this round */
	struct vote mine;		/* proposedLeader, -Zxid, -Epoch; later the one that won */
	struct vote received[IDS];	/* recvset: of this round */
	struct vote settled[IDS];	/* outofelection */
	struct idset deaf;		/* not looking yet when they were told of this round */
	struct idset absent;		/* who does not run, as far as can be seen */
	u64 ask_ms;			/* notTimeout */
	u64 sure_ms;			/* since when a quorum has agreed on mine; ~0: it has not */
	u64 deadline;
};

/* ---------------------------------------------------------------- votes */

static struct vote vote_of(const struct zab_vote *v)
{
	return (struct vote) {
		.there = true,
		.state = v->state,
		.versioned = v->version > 0,
		.leader = v->leader,
		.zxid = v->zxid,
		.round = v->round,
		.epoch = v->epoch,
	};
}

/*
 * Vote.equals(). Votes of servers that have settled are the same if they are for the same
 * leader of the same epoch; with one that does not tell its version, of the same leader
 * (ZOOKEEPER-1805, -1732).
 */
static bool same(const struct vote *a, const struct vote *b)
{
	if (a->leader != b->leader)
		return false;
	if (a->state == PEER_LOOKING || b->state == PEER_LOOKING)
		return a->zxid == b->zxid && a->round == b->round && a->epoch == b->epoch;
	return a->versioned != b->versioned || a->epoch == b->epoch;
}

/* totalOrderPredicate(): @a is to be preferred. Who has no weight never is. */
static bool better(const struct election *el, const struct vote *a, const struct vote *b)
{
	const struct peer *p = ensemble_find(el->ensemble, a->leader);

	if (p && !p->weight)
		return false;
	if ((a->zxid < el->floor) != (b->zxid < el->floor))
		return a->zxid >= el->floor;
	if (a->epoch != b->epoch)
		return a->epoch > b->epoch;
	if (a->zxid != b->zxid)
		return a->zxid > b->zxid;
	return a->leader > b->leader;
}

/* validVoter(): of the membership in force or of the next one. */
static bool is_voter(const struct election *el, u64 id)
{
	return id < IDS && (ensemble_votes(el->ensemble, id) ||
			    (el->next && ensemble_votes(el->next, id)));
}

/* getVoteTracker(), hasAllQuorums(): who votes as @v does is a quorum; if @both, in both. */
static bool agreed(const struct election *el, const struct vote *votes, const struct vote *v,
		   bool both)
{
	struct idset s = { 0 };
	u32 id;

	for (id = 0; id < IDS; id++)
		if (votes[id].there && same(v, &votes[id]))
			idset_add(&s, id);
	return ensemble_quorum(el->ensemble, &s) &&
	       (!both || !el->next || ensemble_quorum(el->next, &s));
}

/*
 * checkLeader(): the leader says itself that it leads, so that nobody follows one that
 * is gone; this server does by being in the same round.
 */
static bool leads(const struct election *el, const struct vote *votes, const struct vote *v)
{
	if (v->leader == (s64)el->myid)
		return v->round == el->round;
	return votes[v->leader].there && votes[v->leader].state == PEER_LEADING;
}

/* ---------------------------------------------------------------- telling */

static void tell(struct election *el, u64 to, const struct vote *v, s64 round, s32 state)
{
	const struct zab_vote out = {
		.state = state,
		.leader = v->leader,
		.zxid = v->zxid,
		.round = round,
		.epoch = v->epoch,
		.version = 2,
		.config = el->told->text,
		.config_len = strlen(el->told->text),
	};

	el->send(el->arg, to, &out);
}

/* sendNotifications() */
static void tell_all(struct election *el)
{
	u32 id;

	for (id = 0; id < IDS; id++)
		if (id != el->myid && is_voter(el, id))
			tell(el, id, &el->mine, el->round, PEER_LOOKING);
}

/* updateProposal() and what it says to itself. */
static void propose(struct election *el, const struct vote *v)
{
	el->mine = *v;
	el->sure_ms = ~0ULL;
	el->mine.there = true;
	el->mine.state = PEER_LOOKING;
	el->mine.versioned = false;
	el->mine.round = el->round;
	if (is_voter(el, el->myid) && is_voter(el, v->leader))
		el->received[el->myid] = el->mine;
	tell_all(el);
}

/* ---------------------------------------------------------------- the end of a round */

static void finish(struct election *el, const struct vote *v)
{
	el->mine = *v;
	el->phase = OVER;
	el->deadline = ~0ULL;
}

/*
 * No better vote can come: from those who vote alike nothing but that. (Who is voted for
 * must be there.)
 */
static bool unanimous(const struct election *el)
{
	u32 id;

	if (el->mine.leader < 0 || idset_has(&el->absent, el->mine.leader))
		return false;
	for (id = 0; id < IDS; id++) {
		if (!is_voter(el, id) || idset_has(&el->absent, id))
			continue;
		if (!el->received[id].there || !same(&el->mine, &el->received[id]))
			return false;
	}
	return true;
}

/*
 * Each notification makes the wait for better ones longer, as there; but who never stops
 * sending some holds up nobody here.
 */
static void wait_for_better(struct election *el, u64 now_ms)
{
	if (el->sure_ms == ~0ULL)
		el->sure_ms = now_ms;
	el->phase = SURE;
	el->deadline = now_ms + ELECTION_FINALIZE_MS;
	if (el->deadline > el->sure_ms + SURE_MAX_MS)
		el->deadline = el->sure_ms + SURE_MAX_MS;
}

/* After a change of votes: waits for what may still come if a quorum agrees. */
static void count(struct election *el, u64 now_ms)
{
	bool sure = agreed(el, el->received, &el->mine, true);

	if (sure && unanimous(el)) {
		finish(el, &el->mine);
	} else if (sure) {
		wait_for_better(el, now_ms);
	} else {
		el->sure_ms = ~0ULL;
		el->phase = LOOKING;
		el->deadline = now_ms + el->ask_ms;
	}
}

/* ---------------------------------------------------------------- notifications */

/* A better one, but for what it lacks. */
static void tell_floor(struct election *el, const struct vote *v)
{
	if (el->told_floor || v->zxid >= el->floor || v->epoch <= el->mine.epoch)
		return;
	el->told_floor = true;
	log_warn("election: server %lld wants to lead from 0x%llx in epoch %lld, but 0x%llx is committed: not voting for it",
		 (long long)v->leader, (unsigned long long)v->zxid, (long long)v->epoch,
		 (unsigned long long)el->floor);
}

/* One of those who look as well. */
static void looking(struct election *el, u64 from, const struct vote *v, u64 now_ms)
{
	if (v->zxid == (s64)NO_ZXID)
		return;
	tell_floor(el, v);
	if (v->round < el->round) {
		count(el, now_ms);
		return;
	}
	if (v->round > el->round) {
		el->round = v->round;
		memset(el->received, 0, sizeof(el->received));
		propose(el, better(el, v, &el->first) ? v : &el->first);
	} else if (better(el, v, &el->mine)) {
		propose(el, v);
	}
	el->received[from] = *v;
	el->received[from].versioned = false;
	count(el, now_ms);
}

/*
 * receivedFollowingNotification(): one who has settled. Joins those of this round, or
 * of any other, if they are a quorum and have a leader. Of the membership in force: a
 * server that alone knows of a proposal that came to nothing must find them as well (in
 * 3.8 it does not, until there is another leader).
 */
static void has_leader(struct election *el, u64 from, const struct vote *v)
{
	if (v->round == el->round) {
		el->received[from] = *v;
		el->received[from].versioned = false;
		if (agreed(el, el->received, v, false) && leads(el, el->received, v)) {
			finish(el, v);
			return;
		}
	}
	el->settled[from] = *v;
	if (agreed(el, el->settled, v, false) && leads(el, el->settled, v)) {
		el->round = v->round;
		finish(el, v);
	}
}

/* Keeps the newest membership that is heard of. */
static void look_at_config(struct election *el, const struct zab_vote *v)
{
	const struct ensemble *known = el->newer ? el->newer : el->ensemble;
	struct ensemble *e;
	char why[128];

	if (!v->config || (v->config_len == strlen(el->told->text) &&
			   !memcmp(v->config, el->told->text, v->config_len)))
		return;
	e = ensemble_parse(v->config, v->config_len, why, sizeof(why));
	if (!e)
		return;
	if (e->version > known->version) {
		ensemble_put(el->newer);
		el->newer = ensemble_get(e);
	}
	ensemble_put(e);
}

/*
 * Of an earlier round; or it has just begun to look, and what it was sent before it did is
 * lost to it: 3.8 lets it ask again, after a while.
 */
static bool is_behind(const struct election *el, u64 from, const struct vote *v)
{
	if (v->round != el->round || better(el, v, &el->mine))
		return v->round < el->round;
	return idset_has(&el->deaf, from) ||
	       (!el->received[from].there && better(el, &el->mine, v));
}

/* Waiting for better votes: one more that votes alike may be the last one missing. */
static void settle_sooner(struct election *el, u64 from, const struct vote *v)
{
	if (v->state == PEER_LOOKING && same(&el->mine, v)) {
		el->received[from] = *v;
		el->received[from].versioned = false;
	}
	if (unanimous(el))
		finish(el, &el->mine);
}

void election_absent(struct election *el, u64 id)
{
	if ((el->phase != LOOKING && el->phase != SURE) || id == el->myid || id >= IDS)
		return;
	idset_add(&el->absent, id);
	if (el->phase == SURE && unanimous(el))
		finish(el, &el->mine);
}

void election_vote(struct election *el, u64 from, const struct zab_vote *in, u64 now_ms)
{
	struct vote v = vote_of(in);

	if ((el->phase != LOOKING && el->phase != SURE) || from == el->myid)
		return;
	look_at_config(el, in);
	if (!is_voter(el, from)) {
		if (v.state == PEER_LOOKING)
			tell(el, from, &el->mine, el->round, PEER_LOOKING);
		return;
	}
	/* one that lags behind is told so at once */
	if (v.state == PEER_LOOKING && is_behind(el, from, &v))
		tell(el, from, &el->mine, el->round, PEER_LOOKING);
	if (v.state == PEER_LOOKING)
		idset_del(&el->deaf, from);
	else
		idset_add(&el->deaf, from);
	idset_del(&el->absent, from);
	if (!is_voter(el, v.leader))
		return;
	if (el->phase == SURE && !better(el, &v, &el->mine)) {
		wait_for_better(el, now_ms);
		settle_sooner(el, from, &v);
		return;
	}
	el->phase = LOOKING;
	el->deadline = now_ms + el->ask_ms;
	if (v.state == PEER_LOOKING)
		looking(el, from, &v, now_ms);
	else if (v.state == PEER_FOLLOWING || v.state == PEER_LEADING)
		has_leader(el, from, &v);
}

/* ---------------------------------------------------------------- life */

struct election *election_new(u64 myid, election_send send, void *arg)
{
	struct election *el = calloc(1, sizeof(*el));

	if (!el)
		return NULL;
	el->myid = myid;
	el->send = send;
	el->arg = arg;
	el->deadline = ~0ULL;
	return el;
}

void election_free(struct election *el)
{
	if (!el)
		return;
	ensemble_put(el->ensemble);
	ensemble_put(el->pending);
	ensemble_put(el->next);
	ensemble_put(el->newer);
	ensemble_put(el->told);
	free(el);
}

void election_pending(struct election *el, struct ensemble *next)
{
	ensemble_get(next);
	ensemble_put(el->pending);
	el->pending = next;
}

void election_floor(struct election *el, u64 zxid)
{
	el->floor = zxid;
	el->told_floor = false;
}

static void swap(struct ensemble **field, struct ensemble *e)
{
	ensemble_get(e);
	ensemble_put(*field);
	*field = e;
}

int election_begin(struct election *el, struct ensemble *e, u64 zxid, u64 epoch, u64 now_ms)
{
	bool votes = ensemble_votes(e, el->myid);
	bool newer = el->pending && el->pending->version > e->version;

	swap(&el->told, e);
	swap(&el->ensemble, e);
	swap(&el->next, newer ? el->pending : NULL);
	swap(&el->newer, NULL);
	memset(el->received, 0, sizeof(el->received));
	memset(el->settled, 0, sizeof(el->settled));
	memset(&el->deaf, 0, sizeof(el->deaf));
	memset(&el->absent, 0, sizeof(el->absent));
	el->first = (struct vote) {
		.leader = votes ? el->myid : NOBODY,
		.zxid = votes ? zxid : NOBODY,
		.epoch = votes ? epoch : NOBODY,
	};
	/*
	 * Who has no vote has no round of his own: he is in that of the first voter that he
	 * hears of, who tells him at once. (He may have a vote in the membership that others
	 * know as proposed: were he in a later round than they, nobody would be elected, as in
	 * 3.8.)
	 */
	el->round = votes ? (u64)el->round + 1 : 0;
	el->ask_ms = ELECTION_ASK_MIN_MS;
	propose(el, &el->first);
	count(el, now_ms);
	return 0;
}

void election_tick(struct election *el, u64 now_ms)
{
	if (now_ms < el->deadline)
		return;
	if (el->phase == SURE) {
		finish(el, &el->mine);
		return;
	}
	if (el->phase != LOOKING)
		return;
	tell_all(el);
	el->ask_ms = el->ask_ms * 2 < ELECTION_ASK_MAX_MS ? el->ask_ms * 2 : ELECTION_ASK_MAX_MS;
	el->deadline = now_ms + el->ask_ms;
}

u64 election_deadline(const struct election *el)
{
	return el->deadline;
}

bool election_over(const struct election *el, struct zab_vote *v)
{
	if (el->phase != OVER)
		return false;
	*v = (struct zab_vote) {
		.state = el->mine.state,
		.leader = el->mine.leader,
		.zxid = el->mine.zxid,
		.round = el->mine.round,
		.epoch = el->mine.epoch,
	};
	return true;
}

struct ensemble *election_newer(const struct election *el)
{
	return el->newer;
}

void election_answer(struct election *el, u64 from, const struct zab_vote *v, s32 state)
{
	if (el->phase != OVER || from == el->myid || v->state != PEER_LOOKING)
		return;
	tell(el, from, &el->mine, is_voter(el, from) ? el->mine.round : el->round, state);
}

void election_settle(struct election *el, u64 epoch)
{
	if (el->phase == OVER)
		el->mine.epoch = epoch;
}

void election_members(struct election *el, struct ensemble *e)
{
	swap(&el->told, e);
}

void election_suggest(struct election *el, u64 leader, u64 zxid)
{
	struct vote v = el->mine;

	v.there = true;
	v.leader = leader;
	v.zxid = zxid;
	finish(el, &v);
}

u64 election_round(const struct election *el)
{
	return el->round;
}
