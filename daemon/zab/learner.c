// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Follower and observer (Learner.java, Follower.java, Observer.java).
 *
 * Nothing that the leader sends is applied before UPTODATE, which says that a quorum
 * has its history: COMMITs until then only mark what will be. What this server had
 * logged and the leader did not have cut off is part of the leader's history, so it is
 * marked by DIFF or TRUNC.
 *
 * NEWLEADER is acknowledged when all that came before it is durable and then
 * currentEpoch is (ZOOKEEPER-3911, 4643, 4646, 4785), and before it no proposal is
 * (LearnerHandler takes the first ACK for NEWLEADER's); after it each one is, by its own
 * ACK, once durable. A COMMIT names the oldest that is not committed, or the link is
 * closed (FollowerZooKeeperServer.commit()).
 */
#include <assert.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/zab/zab_impl.h"

#define ACTIVATE_HEAD	8	/* long: the leader to be, before INFORMANDACTIVATE's txn */

/* FollowLeader(), observeLeader() up to connectToLeader(). -ENOENT: no such server. */
int learner_begin(struct zab *z, u64 leader)
{
	struct following *fo = &z->fo;
	struct zab_action *a;
	bool master;
	u64 whom;

	if (leader == z->p.myid ||
	    (!ensemble_find(z->e, leader) && !(z->next && ensemble_find(z->next, leader)))) {
		log_warn("ensemble: server %lld was elected, which cannot be followed",
			 (long long)leader);
		return -ENOENT;
	}
	whom = choose_master(z, leader, &master);
	memset(fo, 0, sizeof(*fo));
	z->leader = leader;
	fo->whom = whom;
	fo->master = master;
	/* what stands between may be Apache's, which passes only plain questions on */
	fo->unsure = master;
	fo->link = ZAB_LINK_OUT | ++z->links;
	fo->connected = true;
	zab_clock(z);
	fo->heard = z->halves;
	zab_become(z, z->observer ? ZAB_OBSERVING : ZAB_FOLLOWING, ZAB_DISCOVERY);
	a = zab_emit(z, ZAB_DO_CONNECT);
	a->to = whom;
	a->link = fo->link;
	a->master = master;
	return 0;
}

void learner_end(struct zab *z)
{
	struct following *fo = &z->fo;

	if (fo->connected)
		zab_emit(z, ZAB_DO_CLOSE)->link = fo->link;
	fo->connected = false;
	waiting_free(&fo->sync_waiting);
	waiting_free(&fo->revalidations);
}

/* Phase 1, a follower's first step: CEPOCH(f.p). */
int learner_link_up(struct zab *z)
{
	struct following *fo = &z->fo;
	u8 info[24];

	if (fo->stage != FOLLOW_CONNECT)
		return -EINVAL;
	if (!zab_room(z, 1, 1))
		return -ENOMEM;
	jute_put64(info, z->p.myid);
	jute_put32(info + 8, ZAB_PROTOCOL);
	jute_put64(info + 12, z->e->version);
	jute_put32(info + 20, ZAB_MARK);
	zab_emit_packet(z, fo->link, z->observer ? ZP_OBSERVERINFO : ZP_FOLLOWERINFO,
			ZXID(z->accepted, 0), info, sizeof(info));
	fo->stage = FOLLOW_INFO;
	fo->heard = z->halves;
	return 0;
}

static const char *whose(const struct zab *z)
{
	return z->fo.master ? "the observer master" : "the leader";
}

void learner_link_down(struct zab *z)
{
	z->fo.connected = false;
	zab_give_up(z, "the link to %s, server %lld, is lost", whose(z), (long long)z->fo.whom);
}

/* What the leader did is not to be: says so, and looks for another one. */
static int bad(struct zab *z, const struct zab_packet *p, const char *what)
{
	zab_give_up(z, "%s, server %lld, sent %s 0x%llx: %s", whose(z),
		    (long long)z->fo.whom, zab_packet_name(p->type), p->zxid, what);
	return 0;
}

/* ---------------------------------------------------------------- discovery */

/* Phase 1, a follower's second step: ACK-E. */
static int on_leaderinfo(struct zab *z, const struct zab_packet *p)
{
	u64 epoch = EPOCH_OF(p->zxid);
	s32 current = -1;
	u8 data[4];

	if (p->type != ZP_LEADERINFO || p->len < 4)
		return bad(z, p, "LEADERINFO was due");
	if (epoch < z->accepted || epoch > EPOCH_MAX)
		return bad(z, p, "the epoch is lower than one that was accepted, or too high");
	if (!zab_room(z, 3, 1))
		return -ENOMEM;
	z->epoch = epoch;
	if (epoch > z->accepted) {
		z->accepted = epoch;
		current = zab_standing(z);
		zab_emit(z, ZAB_DO_SAVE_ACCEPTED)->zxid = epoch;
	}
	jute_put32(data, current);
	zab_emit_packet(z, z->fo.link, ZP_ACKEPOCH, z->last, data, sizeof(data));
	z->fo.stage = FOLLOW_EPOCH;
	zab_become(z, z->state, ZAB_SYNC);
	return 0;
}

/* ---------------------------------------------------------------- synchronisation */

/* The own log is now the beginning of the leader's history. */
static void history_begins(struct zab *z)
{
	z->fo.marked = z->w.end;
	z->fo.unacked = z->w.end;
	z->fo.stage = FOLLOW_SYNC;
}

void learner_truncated(struct zab *z)
{
	history_begins(z);
}

void learner_received(struct zab *z)
{
	z->fo.covered = z->last;
	history_begins(z);
}

static bool is_logged(const struct zab *z, u64 zxid)
{
	return zxid <= z->committed || win_before(&z->w, win_after(&z->w, zxid)) == zxid;
}

static int on_trunc(struct zab *z, const struct zab_packet *p)
{
	struct zab_action *a;

	if (p->zxid > z->last || !is_logged(z, p->zxid))
		return bad(z, p, "that is not in the log here");
	if (!zab_room(z, 1, 0))
		return -ENOMEM;
	log_warn("ensemble: the log is cut after 0x%llx, it goes to 0x%llx", p->zxid, z->last);
	z->busy = BUSY_TRUNCATE;
	z->busy_zxid = p->zxid;
	z->busy_link = z->fo.link;
	a = zab_emit(z, ZAB_DO_TRUNCATE);
	a->zxid = p->zxid;
	a->reload = p->zxid < z->committed;
	return 0;
}

static int on_snap(struct zab *z, const struct zab_packet *p)
{
	struct zab_action *a;

	/* nothing could ever follow it */
	if (EPOCH_OF(p->zxid) > z->epoch)
		return bad(z, p, "it is of a later epoch than the leader");
	if (!zab_room(z, 1, 0))
		return -ENOMEM;
	log_info("ensemble: %s sends its tree as of 0x%llx", whose(z), p->zxid);
	z->busy = BUSY_RECEIVE;
	z->busy_zxid = p->zxid;
	z->busy_link = z->fo.link;
	a = zab_emit(z, ZAB_DO_RECEIVE);
	a->link = z->fo.link;
	a->zxid = p->zxid;
	return 0;
}

/* Learner.syncWithLeader(), the first packet of it. */
static int on_op(struct zab *z, const struct zab_packet *p)
{
	switch (p->type) {
	case ZP_DIFF:
		log_info("ensemble: %s sends what is missing up to 0x%llx", whose(z),
			 p->zxid);
		history_begins(z);
		return 0;
	case ZP_TRUNC:
		return on_trunc(z, p);
	case ZP_SNAP:
		return on_snap(z, p);
	}
	return bad(z, p, "DIFF, TRUNC or SNAP was due");
}

static int on_newleader(struct zab *z, const struct zab_packet *p)
{
	struct ensemble *e;
	char why[128];

	if (z->fo.stage != FOLLOW_SYNC || z->fo.newleader || p->zxid != ZXID(z->epoch, 0))
		return bad(z, p, "it is not due, or of another epoch");
	if (z->p.reconfig && p->len > 1) {
		if (!zab_room(z, 1, 0))
			return -ENOMEM;
		e = ensemble_parse((const char *)p->data, p->len, why, sizeof(why));
		if (!e)
			return bad(z, p, why);
		z->fo.members = e->version;
		members_seen(z, e);
	}
	z->fo.newleader = true;
	z->fo.target = z->last;
	return 0;
}

/* Phase 2, a follower's second step: ACK-LD, after f.a and the history are on disk. */
static void ack_newleader(struct zab *z)
{
	struct following *fo = &z->fo;

	if (fo->stage != FOLLOW_SYNC || !fo->newleader || z->durable < fo->target ||
	    !zab_room(z, 2, 1))
		return;
	if (z->current != z->epoch)
		zab_emit(z, ZAB_DO_SAVE_CURRENT)->zxid = z->epoch;
	z->current = z->epoch;
	zab_emit_packet(z, fo->link, ZP_ACK, ZXID(z->epoch, 0), NULL, -1);
	fo->stage = FOLLOW_ACKED;
}

/* What is marked is committed, once the leader is known to be established. */
static void commit_marked(struct zab *z)
{
	u64 n = z->fo.marked - z->w.commit;

	if (z->fo.stage != FOLLOW_LIVE || (s64)n <= 0 || !zab_room(z, n * (1 + z->ld.n), 0))
		return;
	while (n--) {
		master_inform(z, win_at(&z->w, z->w.commit));
		zab_commit_one(z);
	}
}

/*
 * Another membership is in force. @leader: who is to lead by it, ~0ULL: that is not said
 * (processReconfig()). True: this server must find its place anew.
 */
static bool activate(struct zab *z, u64 leader)
{
	bool other = members_adopt(z, z->next);

	if (leader == ~0ULL)
		return other || !ensemble_votes(z->e, z->leader);
	if (leader != z->leader || other)
		z->suggested = leader;
	return leader != z->leader || other;
}

/*
 * What a leader of Apache's puts into NEWLEADER may be proposed in this epoch and not be
 * agreed on yet; then it comes with its own COMMIT.
 */
static bool only_proposed(const struct zab *z)
{
	u64 version = z->next->version;

	return COUNT_OF(version) && EPOCH_OF(version) == z->epoch && version > z->committed;
}

/* Phase 3 begins. Leader.waitForStartup() is over; it ignores this second ACK. */
static int on_uptodate(struct zab *z, const struct zab_packet *p)
{
	struct following *fo = &z->fo;

	if (fo->stage != FOLLOW_ACKED)
		return bad(z, p, "NEWLEADER is not acknowledged");
	if (!zab_room(z, 3 + (fo->marked - z->w.commit), 1))
		return -ENOMEM;
	zab_emit_packet(z, fo->link, ZP_ACK, ZXID(z->epoch, 0), NULL, -1);
	fo->stage = FOLLOW_LIVE;
	election_settle(z->el, z->epoch);
	commit_marked(z);
	if (z->next && z->next->version <= fo->members && !only_proposed(z) &&
	    activate(z, ~0ULL)) {
		zab_give_up(z, "the membership changed");
		return 0;
	}
	zab_become(z, z->state, ZAB_BROADCAST);
	z->ld.epoch_fixed = master_is(z);
	log_info("ensemble: %s server %lld in epoch %llu, at 0x%llx",
		 z->observer ? "observing" : "following", (long long)z->fo.whom, z->epoch,
		 z->committed);
	return 0;
}

/* ---------------------------------------------------------------- transactions */

/*
 * Numbers have no gaps (only warned about by 3.8, refused by 3.9.5): with one in the log a
 * server does not start again. Epochs may begin late where this server's own do, for tests.
 */
static bool follows(const struct zab *z, u64 zxid)
{
	bool begins = EPOCH_OF(zxid) > EPOCH_OF(z->last) || !COUNT_OF(z->last);

	if (z->p.skip && begins)
		return zxid > z->last && COUNT_OF(zxid);
	if (EPOCH_OF(zxid) == EPOCH_OF(z->last))
		return zxid == z->last + 1;
	return zxid > z->last && COUNT_OF(zxid) == 1;
}

/* A transaction that comes next: into the window and the log. */
static int take(struct zab *z, const struct zab_packet *p, const u8 *data, s32 len, u32 acts)
{
	const char *why = "malformed";
	struct ensemble *e = NULL;
	struct zab_action *a;
	struct txn *t;
	int rc;

	if (len <= 0)
		return bad(z, p, "no transaction in it");
	rc = txn_decode(data, len, &t, &why);
	if (rc == -ENOMEM)
		return rc;
	if (rc)
		return bad(z, p, why);
	if (t->zxid != p->zxid || EPOCH_OF(t->zxid) > z->epoch || !follows(z, t->zxid)) {
		rc = bad(z, p, "it does not follow what came before");
		goto out;
	}
	if (win_reserve(&z->w, 1) || !zab_room(z, 2 + acts, 0)) {
		rc = -ENOMEM;
		goto out;
	}
	if (members_in(t) && z->p.reconfig) {
		rc = members_of(t, &e);
		if (rc == -EBADMSG)
			rc = bad(z, p, "the membership in it is none");
		if (!e)
			goto out;
		members_seen(z, e);
	}
	win_push(&z->w, t);
	z->last = t->zxid;
	a = zab_emit(z, ZAB_DO_LOG);
	a->txn = t;
	a->zxid = t->zxid;
out:
	txn_put(t);
	return rc;
}

/* Sent although it is part of the tree that came before (a leader of Apache's does). */
static bool known(const struct zab *z, u64 zxid)
{
	return zxid <= z->fo.covered;
}

static int on_proposal(struct zab *z, const struct zab_packet *p)
{
	return known(z, p->zxid) ? 0 : take(z, p, p->data, p->len, 0);
}

/* COMMITANDACTIVATE, INFORMANDACTIVATE. Before UPTODATE, NEWLEADER's is what counts. */
static void on_activate(struct zab *z, const struct zab_packet *p)
{
	if (!z->p.reconfig || z->fo.stage != FOLLOW_LIVE || !z->next ||
	    z->next->version > p->zxid || p->len < ACTIVATE_HEAD)
		return;
	if (activate(z, jute_get64(p->data)))
		zab_give_up(z, "the membership changed");
}

static int on_commit(struct zab *z, const struct zab_packet *p)
{
	struct following *fo = &z->fo;

	if (known(z, p->zxid))
		return 0;
	if (fo->marked == z->w.end)
		return bad(z, p, "nothing is proposed");
	if (win_at(&z->w, fo->marked)->zxid != p->zxid)
		return bad(z, p, "another one is the next");
	if (!zab_room(z, 2 + (fo->marked + 1 - z->w.commit) * (1 + z->ld.n), 0))
		return -ENOMEM;
	if (p->type == ZP_COMMITANDACTIVATE && p->len >= ACTIVATE_HEAD &&
	    master_activates(z, win_at(&z->w, fo->marked), jute_get64(p->data)))
		return -ENOMEM;
	fo->marked++;
	commit_marked(z);
	if (p->type == ZP_COMMITANDACTIVATE)
		on_activate(z, p);
	return 0;
}

static int on_inform(struct zab *z, const struct zab_packet *p)
{
	s32 head = p->type == ZP_INFORMANDACTIVATE ? ACTIVATE_HEAD : 0;
	u64 end = z->w.end;
	int rc;

	if (known(z, p->zxid))
		return 0;
	if (!z->observer)
		return bad(z, p, "this is no observer");
	if (p->len <= head)
		return bad(z, p, "no transaction in it");
	if (z->fo.marked != end)
		return bad(z, p, "what was proposed before is not committed");
	rc = take(z, p, p->data + head, p->len - head, 2);
	if (rc || z->w.end == end)
		return rc;
	z->fo.marked++;
	commit_marked(z);
	if (head)
		on_activate(z, p);
	return 0;
}

/* Each proposal of this epoch by itself (SendAckRequestProcessor). */
static void ack_proposals(struct zab *z)
{
	struct following *fo = &z->fo;
	struct zab_bytes *b;
	u64 i, from;
	u32 n = 0;

	if (z->observer || fo->stage < FOLLOW_ACKED)
		return;
	if (fo->unacked < z->w.first)
		fo->unacked = z->w.first;
	while (fo->unacked != z->w.end &&
	       EPOCH_OF(win_at(&z->w, fo->unacked)->zxid) != z->epoch)
		fo->unacked++;
	from = fo->unacked;
	for (i = from; i != z->w.end && win_at(&z->w, i)->zxid <= z->durable; i++)
		n++;
	if (!n || !zab_room(z, 1, 0))
		return;
	b = zab_bytes_new(n * ZP_HEAD);
	if (!b) {
		z->starved = true;
		return;
	}
	for (i = 0; i < n; i++)
		zab_put_empty(b->bytes + i * ZP_HEAD, ZP_ACK, win_at(&z->w, from + i)->zxid);
	zab_emit_bytes(z, fo->link, b);
	fo->unacked = from + n;
}

void learner_pump(struct zab *z)
{
	if (z->busy != BUSY_NO)
		return;
	ack_newleader(z);
	ack_proposals(z);
	commit_marked(z);
	confirm_follow(z);
	master_pump(z);
}

/* ---------------------------------------------------------------- packets */

static int on_sync(struct zab *z, const struct zab_packet *p)
{
	bool own;
	int rc;

	if (confirm_synced(z, p))
		return 0;
	if (!z->fo.syncs) {
		log_ratelimited(LOG_WARN, "ensemble: a SYNC that was not asked for");
		return 0;
	}
	rc = master_synced(z, &own);
	if (rc)
		return rc;
	z->fo.syncs--;
	if (own)
		zab_emit(z, ZAB_DO_SYNCED);
	return 0;
}

static int pass_up(struct zab *z, const struct zab_packet *p)
{
	struct zab_action *a;

	if (!zab_room(z, 1, 0))
		return -ENOMEM;
	a = zab_emit(z, ZAB_DO_PACKET);
	a->link = z->fo.link;
	a->from = z->fo.whom;
	a->packet = *p;
	return 0;
}

static int on_revalidate(struct zab *z, const struct zab_packet *p)
{
	bool own;
	int rc = master_revalidated(z, p, &own);

	return rc || !own ? rc : pass_up(z, p);
}

static int on_ping(struct zab *z, const struct zab_packet *p)
{
	int rc = pass_up(z, p);

	if (rc)
		return rc;
	/* this observer master says that it knows of what confirm.c asks */
	if (z->fo.master && p->len > 0)
		z->fo.unsure = false;
	master_ping(z);
	return 0;
}

static int on_history(struct zab *z, const struct zab_packet *p)
{
	bool live = z->fo.stage == FOLLOW_LIVE;

	switch (p->type) {
	case ZP_PROPOSAL:
		return on_proposal(z, p);
	case ZP_COMMIT:
	case ZP_COMMITANDACTIVATE:
		return on_commit(z, p);
	case ZP_INFORM:
	case ZP_INFORMANDACTIVATE:
		return on_inform(z, p);
	case ZP_NEWLEADER:
		return on_newleader(z, p);
	case ZP_UPTODATE:
		return on_uptodate(z, p);
	case ZP_PING:
		/* syncWithLeader() does not answer those */
		return live ? on_ping(z, p) : 0;
	case ZP_REVALIDATE:
		if (live)
			return on_revalidate(z, p);
		break;
	case ZP_SYNC:
		if (live)
			return on_sync(z, p);
	}
	return bad(z, p, "it is not for a learner now");
}

int learner_packet(struct zab *z, const struct zab_event *ev)
{
	const struct zab_packet *p = ev->packet;

	z->fo.heard = z->halves;
	switch (z->fo.stage) {
	case FOLLOW_CONNECT:
		return bad(z, p, "it was not asked yet");
	case FOLLOW_INFO:
		return on_leaderinfo(z, p);
	case FOLLOW_EPOCH:
		return on_op(z, p);
	case FOLLOW_SYNC:
	case FOLLOW_ACKED:
	case FOLLOW_LIVE:
		return on_history(z, p);
	}
	return -EINVAL;
}

void learner_half_tick(struct zab *z)
{
	u32 ticks = z->fo.stage == FOLLOW_LIVE ? z->p.sync_limit : z->p.init_limit;

	if (z->fo.stage == FOLLOW_CONNECT && z->p.connect_limit)
		ticks = z->p.connect_limit;
	/* a tree on its way: the link itself knows whether anything comes */
	if (z->busy != BUSY_NO)
		z->fo.heard = z->halves;
	/* the own disk takes its time, the leader waits */
	if (z->fo.stage == FOLLOW_SYNC && z->fo.newleader)
		z->fo.heard = z->halves;
	if (z->halves - z->fo.heard > 2ULL * ticks)
		zab_give_up(z, "nothing heard from %s, server %lld, for %u ticks", whose(z),
			    (long long)z->fo.whom, ticks);
	else
		master_half_tick(z);
}

/* ---------------------------------------------------------------- the driver's own */

/* Whom the answer to @packet is for. */
static struct waiting *answered(struct zab *z, const struct zab_packet *packet)
{
	bool revalidate = packet->type == ZP_REVALIDATE && packet->len >= 8;

	return revalidate && z->state != ZAB_LEADING ? &z->fo.revalidations : NULL;
}

int zab_send(struct zab *z, u64 link, const struct zab_packet *packet)
{
	struct waiting *w = answered(z, packet);
	const struct learner *l;
	struct zab_bytes *b;

	if (z->phase != ZAB_BROADCAST || !z->e)
		return -ENOTCONN;
	if (z->state == ZAB_LEADING) {
		l = handler_find(z, link);
		if (!l || l->stage != STAGE_LIVE)
			return -ENOTCONN;
	} else {
		link = z->fo.link;
	}
	if (!zab_room(z, 1, 0) || (w && !waiting_room(w)))
		return -ENOMEM;
	b = zab_encode(packet);
	if (!b)
		return -ENOMEM;
	zab_emit_bytes(z, link, b);
	if (w)
		waiting_add(w, 0, jute_get64(packet->data));
	return 0;
}

int zab_sync(struct zab *z, const struct zab_packet *request)
{
	int rc;

	if (z->state != ZAB_FOLLOWING && z->state != ZAB_OBSERVING)
		return -ENOTCONN;
	if (!waiting_room(&z->fo.sync_waiting))
		return -ENOMEM;
	rc = zab_send(z, z->fo.link, request);
	if (rc)
		return rc;
	waiting_add(&z->fo.sync_waiting, 0, 0);
	z->fo.syncs++;
	return 0;
}
