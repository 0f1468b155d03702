// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The leader (Leader.java, LearnerHandler.java; Zab 1.0's phases 1 to 3).
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
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/zab/zab_impl.h"

#define OP_SYNC		9	/* ZooDefs.OpCode.sync, in a REQUEST */
#define REQUEST_HEAD	16	/* long session, int cxid, int type */
#define OWED_PACKETS	4096	/* SYNC packets answered by one action at most */

struct learner *leader_find(const struct zab *z, u64 link)
{
	for (u32 i = 0; i < z->ld.n; i++)
		if (z->ld.learners[i]->link == link && !z->ld.learners[i]->gone)
			return z->ld.learners[i];
	return NULL;
}

/*
 * By its id, whatever it takes itself for: it may not know of the membership that made it
 * a voter, and that one may need it (SyncedLearnerTracker.addAck()).
 */
bool leader_votes(const struct zab *z, const struct learner *l)
{
	return !l->gone && l->stage > STAGE_NEW && l->sid != z->p.myid &&
	       (ensemble_votes(z->e, l->sid) || (z->next && ensemble_votes(z->next, l->sid)));
}

/* Follower or observer as it said (LearnerHandler.getLearnerType). */
static bool forwards(const struct learner *l)
{
	return !l->gone && l->stage >= STAGE_SYNC;
}

static void learner_free(struct learner *l)
{
	free(l->owed);
	free(l);
}

/* Takes it off the list of who counts at once; it is freed when the step ends. */
static void forget(struct learner *l)
{
	l->gone = true;
}

/* Closes the link, and says why. */
void leader_drop(struct zab *z, struct learner *l, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	if (l->gone)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (l->stage == STAGE_NEW)
		log_ratelimited(LOG_WARN, "ensemble: closing the link of a stranger: %s", why);
	else if (l->stage < STAGE_READY)
		log_ratelimited(LOG_WARN, "ensemble: closing a link that says it is server %lld's: %s",
				(long long)l->sid, why);
	else
		log_warn("ensemble: closing the link of server %lld: %s", (long long)l->sid, why);
	zab_emit(z, ZAB_DO_CLOSE)->link = l->link;
	forget(l);
}

static void sweep(struct zab *z)
{
	u32 n = 0;

	for (u32 i = 0; i < z->ld.n; i++) {
		if (z->ld.learners[i]->gone)
			learner_free(z->ld.learners[i]);
		else
			z->ld.learners[n++] = z->ld.learners[i];
	}
	z->ld.n = n;
}

void leader_free(struct zab *z)
{
	struct leading *ld = &z->ld;

	for (u32 i = 0; i < ld->n; i++)
		learner_free(ld->learners[i]);
	free(ld->learners);
	zab_bytes_put(ld->newleader);
	memset(ld, 0, sizeof(*ld));
}

void leader_end(struct zab *z)
{
	for (u32 i = 0; i < z->ld.n; i++)
		if (!z->ld.learners[i]->gone)
			zab_emit(z, ZAB_DO_CLOSE)->link = z->ld.learners[i]->link;
	leader_free(z);
}

/* Leader.lead() up to getEpochToPropose(). */
void leader_begin(struct zab *z)
{
	leader_free(z);
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

static bool has_acked(const struct zab *z, const struct learner *l, u64 zxid)
{
	(void)z;
	return l->stage >= STAGE_ACKED && l->acked >= zxid;
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

static void send_leaderinfo(struct zab *z, struct learner *l)
{
	u8 version[4];

	jute_put32(version, ZAB_PROTOCOL);
	zab_emit_packet(z, l->link, ZP_LEADERINFO, ZXID(z->epoch, 0), version, sizeof(version));
	l->stage = STAGE_EPOCH;
}

/* NEWLEADER's bytes: the same for everybody. @e: the last membership proposed. */
static struct zab_bytes *make_newleader(const struct ensemble *e, u64 epoch)
{
	struct zab_packet pkt = { .type = ZP_NEWLEADER, .zxid = ZXID(epoch, 0) };
	char *text = ensemble_print(e);
	struct zab_bytes *b;

	if (!text)
		return NULL;
	pkt.data = (const u8 *)text;
	pkt.len = strlen(text);
	b = zab_encode(&pkt);
	free(text);
	return b;
}

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
	ld->newleader = make_newleader(first ? first : z->next ? z->next : z->e,
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
			send_leaderinfo(z, ld->learners[i]);
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

static bool is_following(const struct zab *z, u64 sid)
{
	for (u32 i = 0; i < z->ld.n; i++) {
		const struct learner *l = z->ld.learners[i];

		if (!l->gone && l->stage >= STAGE_ACKED && !l->observer && l->sid == sid)
			return true;
	}
	return false;
}

/* FOLLOWERINFO or OBSERVERINFO: LearnerInfo { long sid, int version, long config }. */
static int on_info(struct zab *z, struct learner *l, const struct zab_packet *p)
{
	u64 accepted = EPOCH_OF(p->zxid), sid, config = 0;
	s32 version;

	if (p->type != ZP_FOLLOWERINFO && p->type != ZP_OBSERVERINFO) {
		leader_drop(z, l, "%s before FOLLOWERINFO", zab_packet_name(p->type));
		return 0;
	}
	if (p->len < 12) {
		leader_drop(z, l, "FOLLOWERINFO without an id and a version");
		return 0;
	}
	sid = jute_get64(p->data);
	version = jute_get32(p->data + 8);
	if (p->len >= 20)
		config = jute_get64(p->data + 12);
	if (version < ZAB_PROTOCOL) {
		leader_drop(z, l, "server %lld speaks version 0x%x of the protocol",
			    (long long)sid, version);
		return 0;
	}
	if (sid == z->p.myid || accepted >= EPOCH_MAX) {
		leader_drop(z, l, "server %lld says that its accepted epoch is %llu",
			    (long long)sid, accepted);
		return 0;
	}
	if (config > z->e->version) {
		leader_drop(z, l, "server %lld has a later membership, 0x%llx, here it is 0x%llx",
			    (long long)sid, config, z->e->version);
		return 0;
	}
	if (z->ld.epoch_fixed && accepted > z->epoch) {
		leader_drop(z, l, "server %lld has accepted epoch %llu, this one is %llu",
			    (long long)sid, accepted, z->epoch);
		/* who follows already is another one */
		z->ld.outrun |= p->type == ZP_FOLLOWERINFO && ensemble_votes(z->e, sid) &&
				!is_following(z, sid);
		return 0;
	}
	if (!zab_room(z, 2, 1))
		return -ENOMEM;
	l->sid = sid;
	l->observer = p->type == ZP_OBSERVERINFO;
	l->stage = STAGE_INFO;
	if (z->ld.epoch_fixed)
		send_leaderinfo(z, l);
	else if (accepted >= z->ld.next_epoch)
		z->ld.next_epoch = accepted + 1;
	return 0;
}

/*
 * A server has one connection; older ones are leftovers. Not before the new one answers:
 * until then it may be of anybody who knows an id. (LearnerHandlers of 3.8 stay side by
 * side, each for as long as it is heard of.)
 */
static void drop_older(struct zab *z, const struct learner *l)
{
	for (u32 i = 0; i < z->ld.n && z->ld.learners[i] != l; i++) {
		struct learner *old = z->ld.learners[i];

		if (!old->gone && old->stage > STAGE_NEW && old->sid == l->sid)
			leader_drop(z, old, "it has connected anew");
	}
}

/* Phase 1, the leader's third step: ACK-E(f.a, h_f) of Zab, { int currentEpoch }. */
static void on_ackepoch(struct zab *z, struct learner *l, const struct zab_packet *p)
{
	const struct leading *ld = &z->ld;
	s32 current;

	if (p->type != ZP_ACKEPOCH || p->len < 4) {
		leader_drop(z, l, "%s where ACKEPOCH was due", zab_packet_name(p->type));
		return;
	}
	current = jute_get32(p->data);
	/* -1: it had accepted this epoch before, so this does not count. */
	if (z->phase == ZAB_DISCOVERY && current != -1) {
		/* StateSummary.isMoreRecentThan() */
		if (current < 0 || (u64)current > ld->own_epoch ||
		    ((u64)current == ld->own_epoch && p->zxid > ld->own_last)) {
			leader_drop(z, l,
				    "it is ahead: epoch %d, 0x%llx; here epoch %llu, 0x%llx",
				    current, p->zxid, ld->own_epoch, ld->own_last);
			return;
		}
		l->promised = true;
	}
	drop_older(z, l);
	l->last = p->zxid;
	l->stage = STAGE_READY;
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

/* Those who do not vote can wait until there is something agreed on to give them. */
static void sync_learners(struct zab *z)
{
	if (z->phase < ZAB_SYNC)
		return;
	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		if (l->gone || l->stage != STAGE_READY)
			continue;
		if (z->phase == ZAB_SYNC && !leader_votes(z, l))
			continue;
		if (!leader_sync(z, l))
			return;
	}
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

/* UPTODATE, and the COMMITs that were held back for it. False: no memory. */
static bool make_live(struct zab *z, struct learner *l)
{
	u64 from = l->told > z->ld.base ? l->told : z->ld.base, n = 0;
	struct zab_bytes *b;

	/* What was proposed in this epoch has numbers without a gap. */
	if (!l->observer && z->committed > from)
		n = z->committed - from;
	if (n > ~0U / ZP_HEAD - 1 || !zab_room(z, 1, 0))
		return false;
	b = zab_bytes_new((n + 1) * ZP_HEAD);
	if (!b) {
		z->starved = true;
		return false;
	}
	zab_put_empty(b->bytes, ZP_UPTODATE, ~0ULL);
	for (u64 i = 1; i <= n; i++)
		zab_put_empty(b->bytes + i * ZP_HEAD, ZP_COMMIT, from + i);
	zab_emit_bytes(z, l->link, b);
	l->stage = STAGE_LIVE;
	log_info("ensemble: %s %lld is up to date", l->observer ? "observer" : "follower",
		 (long long)l->sid);
	return true;
}

static void make_all_live(struct zab *z)
{
	if (z->phase != ZAB_BROADCAST)
		return;
	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		if (!l->gone && l->stage == STAGE_ACKED && !make_live(z, l))
			return;
	}
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

		if (!forwards(l) || l->observer)
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
	u8 to[8];
	struct zab_packet p = { .type = ZP_INFORMANDACTIVATE, .zxid = t->zxid };
	struct zab_bytes *b, *newleader;
	u8 *data;

	if (!zab_room(z, 3 + z->ld.n, z->ld.n))
		return false;
	data = malloc(sizeof(to) + t->len);
	if (!data) {
		z->starved = true;
		return false;
	}
	jute_put64(to, leader);
	memcpy(data, to, sizeof(to));
	memcpy(data + sizeof(to), t->bytes, t->len);
	p.data = data;
	p.len = sizeof(to) + t->len;
	b = zab_encode(&p);
	free(data);
	newleader = b ? make_newleader(z->next, z->epoch) : NULL;
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

		if (l->gone || !forwards(l))
			continue;
		if (l->stage != STAGE_LIVE)
			leader_drop(z, l, "the membership changed while it joined");
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
		if (l->observer && forwards(l)) {
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

/* Leader.processSync(): answered behind the COMMIT of what was outstanding. */
static int on_sync(struct zab *z, struct learner *l)
{
	u64 zxid = zab_outstanding(z) ? z->last : z->committed;
	struct owed *o = l->n_owed ? &l->owed[l->n_owed - 1] : NULL;

	if (o && o->zxid == zxid && o->count != ~0U) {
		o->count++;
		return 0;
	}
	if (l->n_owed == l->owed_size) {
		u32 size = l->owed_size ? 2 * l->owed_size : 8;

		o = realloc(l->owed, size * sizeof(*o));
		if (!o)
			return -ENOMEM;
		l->owed = o;
		l->owed_size = size;
	}
	l->owed[l->n_owed++] = (struct owed){ .zxid = zxid, .count = 1 };
	return 0;
}

static bool pay(struct zab *z, struct learner *l, u32 n)
{
	struct zab_bytes *b;

	if (!zab_room(z, 1, 0))
		return false;
	b = zab_bytes_new(n * ZP_HEAD);
	if (!b) {
		z->starved = true;
		return false;
	}
	for (u32 i = 0; i < n; i++)
		zab_put_empty(b->bytes + i * ZP_HEAD, ZP_SYNC, 0);
	zab_emit_bytes(z, l->link, b);
	return true;
}

static void answer_syncs(struct zab *z)
{
	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];
		u32 done = 0;

		if (l->gone)
			continue;
		while (done < l->n_owed && l->owed[done].zxid <= z->committed) {
			struct owed *o = &l->owed[done];
			u32 n = o->count < OWED_PACKETS ? o->count : OWED_PACKETS;

			if (!pay(z, l, n))
				break;
			o->count -= n;
			done += !o->count;
		}
		l->n_owed -= done;
		if (l->n_owed)
			memmove(l->owed, l->owed + done, l->n_owed * sizeof(*l->owed));
	}
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
	sync_learners(z);
	establish(z);
	sync_learners(z);
	make_all_live(z);
	do {
		before = z->committed;
		if (z->phase == ZAB_BROADCAST)
			commit_agreed(z);
		confirm_lead(z);
		answer_syncs(z);
	} while (z->committed != before);
	sweep(z);
	let_go(z);
}

/* ---------------------------------------------------------------- links, packets */

/* At most so many that do not say who they are; the oldest goes. */
static void limit_strangers(struct zab *z)
{
	struct learner *oldest = NULL;
	u32 n = 0;

	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		if (l->gone || l->stage != STAGE_NEW)
			continue;
		if (!oldest)
			oldest = l;
		n++;
	}
	if (n > STRANGERS_MAX)
		leader_drop(z, oldest, "there are too many that have not said who they are");
}

/* For one more: the oldest goes that has said who it is, and then nothing; rather one that
 * is no member. False: all have said more. */
static bool make_room(struct zab *z)
{
	struct learner *oldest = NULL;

	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		if (l->gone || l->stage >= STAGE_READY)
			continue;
		if (!oldest)
			oldest = l;
		if (!ensemble_find(z->e, l->sid)) {
			oldest = l;
			break;
		}
	}
	if (oldest)
		leader_drop(z, oldest, "there are too many");
	sweep(z);
	return oldest;
}

int leader_link_up(struct zab *z, u64 link)
{
	struct leading *ld = &z->ld;
	struct learner *l;

	if (leader_find(z, link))
		return -EINVAL;
	if (!zab_room(z, 3, 0))
		return -ENOMEM;
	if (ld->n >= LEARNERS_MAX && !make_room(z)) {
		log_ratelimited(LOG_WARN, "ensemble: a learner too many, there are %u", ld->n);
		zab_emit(z, ZAB_DO_CLOSE)->link = link;
		return 0;
	}
	if (ld->n == ld->size) {
		u32 size = ld->size ? 2 * ld->size : 8;
		struct learner **p = realloc(ld->learners, size * sizeof(*p));

		if (!p)
			return -ENOMEM;
		ld->learners = p;
		ld->size = size;
	}
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->link = link;
	l->heard = z->halves;
	l->heard_ms = z->now;
	ld->learners[ld->n++] = l;
	limit_strangers(z);
	return 0;
}

void leader_link_down(struct zab *z, u64 link)
{
	struct learner *l = leader_find(z, link);

	if (!l)
		return;
	if (l->stage >= STAGE_READY)
		log_warn("ensemble: the link of server %lld is lost", (long long)l->sid);
	else if (l->stage > STAGE_NEW)
		log_ratelimited(LOG_WARN, "ensemble: a link that said it is server %lld's is lost",
				(long long)l->sid);
	forget(l);
}

static void on_ack(struct zab *z, struct learner *l, const struct zab_packet *p)
{
	if (p->type != ZP_ACK) {
		leader_drop(z, l, "%s where NEWLEADER's ACK was due", zab_packet_name(p->type));
	} else if (p->zxid != ZXID(z->epoch, 0)) {
		leader_drop(z, l, "ACK of 0x%llx where NEWLEADER's was due", p->zxid);
	} else {
		l->stage = STAGE_ACKED;
		/* SyncLimitCheck.start() */
		l->due = 0;
	}
}

/* Leader.processAck() */
static void on_proposal_ack(struct zab *z, struct learner *l, u64 zxid)
{
	if (!COUNT_OF(zxid))
		return;		/* of UPTODATE */
	if (zxid > z->last) {
		leader_drop(z, l, "ACK of 0x%llx, which was not proposed", zxid);
		return;
	}
	if (zxid > l->acked)
		l->acked = zxid;
	if (l->due && zxid >= l->due) {
		l->due = zxid < z->last ? z->last : 0;
		l->due_since = z->halves;
	}
}

static int pass_up(struct zab *z, struct learner *l, const struct zab_packet *p)
{
	struct zab_action *a;

	if (!zab_room(z, 1, 0))
		return -ENOMEM;
	a = zab_emit(z, ZAB_DO_PACKET);
	a->link = l->link;
	a->from = l->sid;
	a->packet = *p;
	return 0;
}

static int on_request(struct zab *z, struct learner *l, const struct zab_packet *p)
{
	if (p->len < REQUEST_HEAD) {
		leader_drop(z, l, "REQUEST of %d bytes", p->len);
		return 0;
	}
	if (jute_get32(p->data + 12) != OP_SYNC)
		return pass_up(z, l, p);
	return confirm_asked(p) ? confirm_ask(z, l) : on_sync(z, l);
}

static int on_ping(struct zab *z, struct learner *l, const struct zab_packet *p)
{
	int rc = 0;

	if (p->len > 0 && p->len % 12) {
		leader_drop(z, l, "PING of %d bytes", p->len);
		return 0;
	}
	if (l->stage != STAGE_LIVE)
		return 0;
	if (p->len > 0)
		rc = pass_up(z, l, p);
	if (!rc)
		confirm_pong(l);
	return rc;
}

static int on_live(struct zab *z, struct learner *l, const struct zab_packet *p)
{
	switch (p->type) {
	case ZP_ACK:
		on_proposal_ack(z, l, p->zxid);
		return 0;
	case ZP_PING:
		return on_ping(z, l, p);
	case ZP_REVALIDATE:
	case ZP_REQUEST:
		if (l->stage == STAGE_LIVE)
			return p->type == ZP_REQUEST ? on_request(z, l, p) : pass_up(z, l, p);
	}
	leader_drop(z, l, "%s is not for a leader now", zab_packet_name(p->type));
	return 0;
}

int leader_packet(struct zab *z, const struct zab_event *ev)
{
	struct learner *l = leader_find(z, ev->link);
	const struct zab_packet *p = ev->packet;

	if (!l)
		return 0;
	l->heard = z->halves;
	l->heard_ms = z->now;
	switch (l->stage) {
	case STAGE_NEW:
		return on_info(z, l, p);
	case STAGE_EPOCH:
		on_ackepoch(z, l, p);
		return 0;
	case STAGE_SYNC:
		on_ack(z, l, p);
		return 0;
	case STAGE_ACKED:
	case STAGE_LIVE:
		return on_live(z, l, p);
	case STAGE_INFO:
	case STAGE_READY:
		break;
	}
	leader_drop(z, l, "%s before it was asked", zab_packet_name(p->type));
	return 0;
}

/* ---------------------------------------------------------------- time */

/* Silence of a tick more than Apache's own limits, which the links keep as well. */
static void check_learner(struct zab *z, struct learner *l)
{
	u64 silent = z->halves - l->heard;

	if (l->gone)
		return;
	if (l->stage < STAGE_READY && l->stage != STAGE_INFO && silent > 2ULL * z->p.init_limit)
		leader_drop(z, l, "nothing heard for %u ticks", z->p.init_limit);
	else if (l->stage == STAGE_LIVE && silent > 2ULL * z->p.sync_limit)
		leader_drop(z, l, "nothing heard for %u ticks", z->p.sync_limit);
	else if (l->stage >= STAGE_ACKED && l->due &&
		 z->halves - l->due_since > 2ULL * z->p.sync_limit)
		leader_drop(z, l, "0x%llx is not acknowledged for %u ticks", l->due,
			    z->p.sync_limit);
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
	for (u32 i = 0; i < z->ld.n; i++)
		check_learner(z, z->ld.learners[i]);
	if (z->phase != ZAB_BROADCAST || !zab_room(z, z->ld.n, z->ld.n))
		return;
	for (u32 i = 0; i < z->ld.n; i++)
		if (forwards(z->ld.learners[i]))
			confirm_ping(z, z->ld.learners[i]);
}

u64 zab_pending_syncs(const struct zab *z)
{
	u64 n = 0;

	for (u32 i = 0; i < z->ld.n; i++)
		for (u32 k = 0; k < z->ld.learners[i]->n_owed; k++)
			n += z->ld.learners[i]->owed[k].count;
	return n;
}

u32 zab_learners(const struct zab *z, struct zab_learner *out, u32 max)
{
	u32 n = 0;

	for (u32 i = 0; i < z->ld.n && n < max; i++) {
		const struct learner *l = z->ld.learners[i];

		if (l->gone || l->stage == STAGE_NEW)
			continue;
		out[n++] = (struct zab_learner){
			.sid = l->sid,
			.link = l->link,
			.observer = l->observer,
			.synced = l->stage == STAGE_LIVE,
			.acked = l->acked,
			.heard_ms = l->heard_ms,
		};
	}
	return n;
}
