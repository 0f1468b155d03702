// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The leader (Leader.java; Zab 1.0's phases 1 to 3).
 *
 * Discovery. A quorum, this server included, says FOLLOWERINFO; the new epoch is one
 * above all accepted ones (getEpochToPropose), saved, and told by LEADERINFO. A quorum,
 * this server included, says ACKEPOCH; nobody in it may be ahead of this server
 * (waitForEpochAck).
 * Synchronisation. Each follower gets what it lacks and NEWLEADER (sync.c). When a
 * quorum, this server included, has acknowledged that (waitForNewLeaderAck), all that
 * this server had when it was elected is committed (startZkServer). The own part in it:
 * the history is durable, then currentEpoch is saved, then it counts.
 * Broadcast. PROPOSAL, ACK, COMMIT.
 *
 * An acknowledgement of a zxid stands for all before it: a follower logs what comes on
 * its link in the order in which it came, everything that it lacked came before
 * NEWLEADER on the same link, and it acknowledges what is durable. That holds for
 * Apache's as well (SyncRequestProcessor is one queue and flushes before it passes
 * anything on). It counts only while its link is up; a follower that comes back
 * acknowledges again.
 *
 * COMMIT of what a follower got before NEWLEADER is never sent between NEWLEADER and
 * UPTODATE: Apache 3.8 fails on it (ZOOKEEPER-4394). It is made up for behind UPTODATE.
 */
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/zab/zab_impl.h"

/*
 * By its id, whatever it takes itself for: it may not know of the membership that made it
 * a voter, and that one may need it (SyncedLearnerTracker.addAck()).
 */
bool leader_votes(const struct zab *z, const struct learner *l)
{
	return !l->gone && l->stage > STAGE_NEW && l->sid != z->p.myid &&
	       (ensemble_votes(z->e, l->sid) || (z->next && ensemble_votes(z->next, l->sid)));
}

/* Leader.lead() up to getEpochToPropose(). */
void leader_begin(struct zab *z)
{
	handlers_free(z);
	z->leader = z->p.myid;
	z->ld.next_epoch = z->accepted + 1;
	z->ld.own_epoch = zab_standing(z);
	z->ld.own_last = z->last;
	zab_clock(z);
	zab_limit(z, z->p.init_limit);
	zab_become(z, ZAB_LEADING, ZAB_DISCOVERY);
}

/* ---------------------------------------------------------------- quorums */

static bool has_info(const struct zab *z, const struct learner *l, u64 unused)
{
	(void)z;
	(void)unused;
	return l->stage >= STAGE_INFO;
}

static bool has_promised(const struct zab *z, const struct learner *l, u64 unused)
{
	(void)z;
	(void)unused;
	return l->promised;
}

static bool has_synced(const struct zab *z, const struct learner *l, u64 unused)
{
	(void)z;
	(void)unused;
	return l->stage >= STAGE_ACKED;
}

/*
 * Apache's follower that loses its leader before UPTODATE votes with the tree it had, not
 * with what it has logged and acknowledged (ZOOKEEPER-4712): till then that counts for nothing.
 */
static bool has_acked(const struct zab *z, const struct learner *l, u64 zxid)
{
	(void)z;
	return l->stage >= STAGE_ACKED && l->acked >= zxid && (l->durable || l->settled);
}

/* LearnerHandler.synced() */
static bool is_heard(const struct zab *z, const struct learner *l, u64 unused)
{
	u64 ticks = z->p.sync_limit;

	(void)unused;
	if (l->stage < STAGE_ACKED)
		ticks += z->p.init_limit;
	return z->halves <= l->heard + 2 * ticks;
}

/*
 * Whether the voters of which @has is true are a quorum, @self being this server's part;
 * if @both, of the membership that was proposed as well (SyncedLearnerTracker).
 */
static bool quorum(const struct zab *z, bool self, bool both,
		   bool (*has)(const struct zab *z, const struct learner *l, u64 arg), u64 arg)
{
	struct idset s = { { 0 } };

	if (self)
		idset_add(&s, z->p.myid);
	for (u32 i = 0; i < z->ld.n; i++) {
		const struct learner *l = z->ld.learners[i];

		if (leader_votes(z, l) && has(z, l, arg))
			idset_add(&s, l->sid);
	}
	return ensemble_quorum(z->e, &s) &&
	       (!both || !z->next || ensemble_quorum(z->next, &s));
}

bool leader_quorum(const struct zab *z,
		   bool (*has)(const struct zab *z, const struct learner *l, u64 arg), u64 arg)
{
	return quorum(z, true, true, has, arg);
}

bool zab_quorum_synced(const struct zab *z, const struct ensemble *e)
{
	struct idset s = { { 0 } };

	if (z->state != ZAB_LEADING || z->phase != ZAB_BROADCAST || !z->e)
		return false;
	if (ensemble_votes(e, z->p.myid))
		idset_add(&s, z->p.myid);
	for (u32 i = 0; i < z->ld.n; i++) {
		const struct learner *l = z->ld.learners[i];

		if (!l->gone && !l->observer && l->stage == STAGE_LIVE && l->sid < ENSEMBLE_MAX &&
		    is_heard(z, l, 0))
			idset_add(&s, l->sid);
	}
	return ensemble_quorum(e, &s);
}

/* ---------------------------------------------------------------- discovery */

/* Phase 1, the leader's second step: NEWEPOCH(e'). */
static void fix_epoch(struct zab *z)
{
	struct leading *ld = &z->ld;
	struct ensemble *first = NULL;

	if (ld->epoch_fixed || !quorum(z, true, false, has_info, 0))
		return;
	if (!zab_room(z, 3 + ld->n, ld->n))
		return;
	/* ZOOKEEPER-1783: the membership of the files gets a number that all know */
	if (z->p.reconfig && !z->e->version && !z->next) {
		first = members_renumber(z->e, ZXID(ld->next_epoch, 0));
		if (!first) {
			z->starved = true;
			return;
		}
	}
	ld->newleader = handlers_newleader(first ? first : z->next ? z->next : z->e,
					   ld->next_epoch);
	if (!ld->newleader) {
		ensemble_put(first);
		z->starved = true;
		return;
	}
	if (first)
		members_seen(z, first);
	ld->epoch_fixed = true;
	z->epoch = ld->next_epoch;
	z->accepted = z->epoch;
	ld->base = ZXID(z->epoch, 0);
	zab_emit(z, ZAB_DO_SAVE_ACCEPTED)->zxid = z->epoch;
	for (u32 i = 0; i < ld->n; i++)
		if (!ld->learners[i]->gone && ld->learners[i]->stage == STAGE_INFO)
			handler_leaderinfo(z, ld->learners[i]);
	zab_limit(z, z->p.init_limit);
}

static void end_discovery(struct zab *z)
{
	if (z->phase != ZAB_DISCOVERY || !z->ld.epoch_fixed ||
	    !quorum(z, true, false, has_promised, 0) || !zab_room(z, 1, 0))
		return;
	zab_limit(z, z->p.init_limit);
	zab_become(z, ZAB_LEADING, ZAB_SYNC);
}

/* ---------------------------------------------------------------- synchronisation */

/*
 * Phase 2: the own acknowledgement of NEWLEADER. What the epoch file says must never
 * be more than what the log has (ZOOKEEPER-4643, 4785), so it is saved when the whole
 * history is durable; it counts from the next step on, when the driver has done it.
 */
static void sync_self(struct zab *z)
{
	struct leading *ld = &z->ld;

	if (z->phase != ZAB_SYNC || ld->saving || ld->self_synced || z->durable < z->last ||
	    !zab_room(z, 1, 0))
		return;
	zab_emit(z, ZAB_DO_SAVE_CURRENT)->zxid = z->epoch;
	z->current = z->epoch;
	ld->saving = true;
}

/* Phase 2, the leader's second step: all of the own history is committed. */
static void establish(struct zab *z)
{
	struct leading *ld = &z->ld;

	if (z->phase != ZAB_SYNC || !ld->self_synced || !quorum(z, true, true, has_synced, 0))
		return;
	if (!zab_room(z, zab_outstanding(z) + 2, 0))
		return;
	while (z->w.commit != z->w.end)
		zab_commit_one(z);
	/* ZOOKEEPER-1324: what the last leader proposed is in force now */
	if (z->next) {
		ld->resigning = members_leader(z, 0) != z->p.myid;
		members_adopt(z, z->next);
	}
	log_info("ensemble: leading epoch %llu, 0x%llx is committed", z->epoch, z->committed);
	election_settle(z->el, z->epoch);
	zab_become(z, ZAB_LEADING, ZAB_BROADCAST);
}

/* ---------------------------------------------------------------- broadcast */

/* A transaction of type reconfig: from now on two quorums. */
static int propose_members(struct zab *z, const struct txn *t)
{
	struct ensemble *e;
	int rc;

	if (!z->e || !z->p.reconfig || z->next)
		return -EINVAL;
	rc = members_of(t, &e);
	if (rc)
		return rc == -ENOMEM ? rc : -EINVAL;
	if (e->version != t->zxid) {
		ensemble_put(e);
		return -EINVAL;
	}
	/*
	 * NEWLEADER tells of it when it is in force: who joins takes it for that when
	 * UPTODATE comes (in 3.8 too, whose leader tells of it at once: then one who joins
	 * makes others believe what was never agreed on).
	 */
	members_seen(z, e);
	return 0;
}

int leader_propose(struct zab *z, const struct zab_event *ev)
{
	struct txn *t = ev->txn;
	struct zab_action *a;
	int rc;

	if (z->state != ZAB_LEADING || z->phase != ZAB_BROADCAST || !t || !t->zxid ||
	    t->zxid != zab_next_zxid(z))
		return -EINVAL;
	if (win_reserve(&z->w, 1) || !zab_room(z, 2 + z->ld.n, 0))
		return -ENOMEM;
	rc = members_in(t) ? propose_members(z, t) : 0;
	if (rc)
		return rc;
	win_push(&z->w, t);
	if (EPOCH_OF(z->last) < z->epoch)
		z->ld.base = t->zxid - 1;
	z->last = t->zxid;
	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		if (!handler_forwards(l) || l->observer)
			continue;
		zab_emit_txn(z, l->link, ZP_PROPOSAL, t);
		if (!l->due) {
			l->due = t->zxid;
			l->due_since = z->halves;
		}
	}
	a = zab_emit(z, ZAB_DO_LOG);
	a->txn = t;
	a->zxid = t->zxid;
	return 0;
}

static bool agreed(const struct zab *z, u64 zxid)
{
	if (!z->e)
		return z->durable >= zxid;
	return quorum(z, z->durable >= zxid, z->next && zxid >= z->next->version, has_acked, zxid);
}

/*
 * COMMITANDACTIVATE: the membership proposed is in force. Who is between NEWLEADER and
 * UPTODATE knows another one: he comes again.
 */
static bool activate(struct zab *z, struct txn *t)
{
	u64 leader = members_leader(z, t->zxid);
	struct zab_bytes *b, *newleader;
	u8 to[8];

	if (!zab_room(z, 3 + z->ld.n, z->ld.n))
		return false;
	jute_put64(to, leader);
	b = handlers_activation(t, leader);
	newleader = b ? handlers_newleader(z->next, z->epoch) : NULL;
	if (!newleader) {
		if (b)
			zab_bytes_put(b);
		z->starved = true;
		return false;
	}
	zab_bytes_put(z->ld.newleader);
	z->ld.newleader = newleader;
	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		if (l->gone || !handler_forwards(l))
			continue;
		if (l->stage != STAGE_LIVE)
			handler_drop(z, l, "the membership changed while it joined");
		else if (l->observer)
			zab_emit_bytes(z, l->link, zab_bytes_get(b));
		else
			zab_emit_packet(z, l->link, ZP_COMMITANDACTIVATE, t->zxid, to, sizeof(to));
	}
	zab_bytes_put(b);
	zab_commit_one(z);
	members_adopt(z, z->next);
	if (leader != z->p.myid) {
		log_warn("ensemble: server %lld is to lead", (long long)leader);
		z->ld.retired = true;
		z->suggested = leader;
		zab_limit(z, z->p.sync_limit);
	}
	return true;
}

/* A SYNC comes before the COMMIT of what was proposed after it was asked for. */
static u64 next_owed(const struct zab *z)
{
	u64 next = ~0ULL;

	for (u32 i = 0; i < z->ld.n; i++) {
		const struct learner *l = z->ld.learners[i];

		if (l->n_owed && l->owed[0].zxid > z->committed && l->owed[0].zxid < next)
			next = l->owed[0].zxid;
	}
	return next;
}

/* Leader.tryToCommit(), for all that can be: COMMIT, INFORM, then the own tree. */
static void commit_agreed(struct zab *z)
{
	u64 limit = next_owed(z);
	struct zab_bytes *b = NULL;
	u32 n = 0, followers = 0, observers = 0;

	if (z->ld.retired)
		return;
	while (z->w.commit + n != z->w.end &&
	       win_at(&z->w, z->w.commit + n)->zxid <= limit &&
	       agreed(z, win_at(&z->w, z->w.commit + n)->zxid)) {
		struct txn *t = win_at(&z->w, z->w.commit + n);

		if (z->next && t->zxid == z->next->version) {
			if (!n && activate(z, t) && !z->ld.retired)
				continue;
			break;
		}
		n++;
	}
	if (!n)
		return;
	for (u32 i = 0; i < z->ld.n; i++) {
		followers += z->ld.learners[i]->stage == STAGE_LIVE && !z->ld.learners[i]->observer;
		observers += z->ld.learners[i]->observer;
	}
	if (!zab_room(z, n * (1 + observers) + followers, 0))
		return;
	if (followers) {
		b = zab_bytes_new(n * ZP_HEAD);
		if (!b) {
			z->starved = true;
			return;
		}
		for (u32 i = 0; i < n; i++)
			zab_put_empty(b->bytes + i * ZP_HEAD, ZP_COMMIT,
				      win_at(&z->w, z->w.commit + i)->zxid);
	}
	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		if (l->gone)
			continue;
		if (l->observer && handler_forwards(l)) {
			for (u32 k = 0; k < n; k++)
				zab_emit_txn(z, l->link, ZP_INFORM,
					     win_at(&z->w, z->w.commit + k));
		} else if (!l->observer && l->stage == STAGE_LIVE) {
			zab_emit_bytes(z, l->link, zab_bytes_get(b));
		}
	}
	while (n--)
		zab_commit_one(z);
	zab_bytes_put(b);
}

/* Lets go once nothing is without an outcome: it was asked to, or the numbers are used up. */
static void let_go(struct zab *z)
{
	bool resigning = z->ld.resigning;

	if (z->phase != ZAB_BROADCAST || zab_next_zxid(z) || zab_outstanding(z) || z->ld.retired)
		return;
	if (!zab_room(z, 0, 0))
		return;
	zab_give_up(z, resigning ? "this leader resigns" : "the numbers of this epoch are used up");
	/* The others choose among themselves first. */
	if (resigning)
		z->look_ms = z->now + (u64)z->p.sync_limit * z->p.tick_ms;
}

void leader_pump(struct zab *z)
{
	u64 before;

	if (!z->e) {
		commit_agreed(z);
		confirm_lead(z);
		return;
	}
	fix_epoch(z);
	end_discovery(z);
	sync_self(z);
	handlers_sync(z);
	establish(z);
	handlers_sync(z);
	handlers_settle(z);
	do {
		before = z->committed;
		if (z->phase == ZAB_BROADCAST)
			commit_agreed(z);
		confirm_lead(z);
		handlers_answer_syncs(z);
	} while (z->committed != before);
	handlers_sweep(z);
	let_go(z);
}

/* ---------------------------------------------------------------- time */

static bool may_ack(const struct zab *z, const struct learner *l, u64 zxid)
{
	return !l->observer || has_acked(z, l, zxid);
}

/*
 * A voter of the members that were proposed lost its link before it had acknowledged them,
 * and came back as what it is by those in force, an observer: nobody asks it. As a new
 * leader's voter it would be (3.8 waits for ever, and takes no writes).
 */
static bool is_stuck(struct zab *z)
{
	struct leading *ld = &z->ld;

	if (z->phase != ZAB_BROADCAST || !z->next || z->next->version <= z->committed ||
	    quorum(z, true, true, may_ack, z->next->version))
		ld->stuck = 0;
	else
		ld->stuck++;
	return ld->stuck > 2ULL * z->p.sync_limit;
}

/* Twice a tick (the loop of Leader.lead()): PING; every second time, is there a quorum? */
void leader_half_tick(struct zab *z)
{
	if (z->phase != ZAB_BROADCAST && z->halves > z->limit) {
		zab_give_up(z, "no quorum of followers in %u ticks, in phase %d",
			    z->p.init_limit, z->phase);
		return;
	}
	if (z->ld.retired && z->halves > z->limit) {
		zab_give_up(z, "another server is to lead");
		return;
	}
	/*
	 * It promised a later epoch to somebody who did not come to lead, and may not
	 * follow this one any more. 3.8 leaves it outside until the leader changes.
	 */
	if (z->ld.outrun) {
		zab_give_up(z, "a voter has accepted a later epoch: a new one is needed");
		return;
	}
	if (z->phase == ZAB_BROADCAST && z->halves % 2 == 0 &&
	    !quorum(z, true, true, is_heard, 0)) {
		zab_give_up(z, "too few followers are heard of");
		return;
	}
	if (is_stuck(z)) {
		zab_give_up(z, "who is to vote by the proposed membership only observes");
		return;
	}
	for (u32 i = 0; i < z->ld.n; i++)
		handler_check(z, z->ld.learners[i]);
	if (z->phase != ZAB_BROADCAST || !zab_room(z, z->ld.n, z->ld.n))
		return;
	for (u32 i = 0; i < z->ld.n; i++)
		if (handler_forwards(z->ld.learners[i]))
			confirm_ping(z, z->ld.learners[i]);
}
