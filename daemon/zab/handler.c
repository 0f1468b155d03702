// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whom this server serves: the learners that came to a leader, or the observers that came
 * to a follower (LearnerHandler.java), one by one. Who they are, what they lack, when they
 * are up to date; their packets, their silence. What is to be agreed on with them is the
 * leader's (leader.c), what a follower does for them master.c's.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/zab/zab_impl.h"

#define OP_SYNC		9	/* ZooDefs.OpCode.sync, in a REQUEST */
#define REQUEST_HEAD	16	/* long session, int cxid, int type */
#define OWED_PACKETS	4096	/* SYNC packets answered by one action at most */

struct learner *handler_find(const struct zab *z, u64 link)
{
	for (u32 i = 0; i < z->ld.n; i++)
		if (z->ld.learners[i]->link == link && !z->ld.learners[i]->gone)
			return z->ld.learners[i];
	return NULL;
}

/* Follower or observer as it said (LearnerHandler.getLearnerType). */
bool handler_forwards(const struct learner *l)
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
void handler_drop(struct zab *z, struct learner *l, const char *fmt, ...)
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
		log_ratelimited(LOG_WARN,
				"ensemble: closing a link that says it is server %lld's: %s",
				(long long)l->sid, why);
	else
		log_warn("ensemble: closing the link of server %lld: %s", (long long)l->sid, why);
	zab_emit(z, ZAB_DO_CLOSE)->link = l->link;
	forget(l);
}

void handlers_sweep(struct zab *z)
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

void handlers_free(struct zab *z)
{
	struct leading *ld = &z->ld;

	for (u32 i = 0; i < ld->n; i++)
		learner_free(ld->learners[i]);
	free(ld->learners);
	zab_bytes_put(ld->newleader);
	zab_bytes_put(ld->activation);
	memset(ld, 0, sizeof(*ld));
}

void handlers_end(struct zab *z)
{
	for (u32 i = 0; i < z->ld.n; i++)
		if (!z->ld.learners[i]->gone)
			zab_emit(z, ZAB_DO_CLOSE)->link = z->ld.learners[i]->link;
	handlers_free(z);
}

/* ---------------------------------------------------------------- discovery */

void handler_leaderinfo(struct zab *z, struct learner *l)
{
	u8 version[4];

	jute_put32(version, ZAB_PROTOCOL);
	zab_emit_packet(z, l->link, ZP_LEADERINFO, ZXID(z->epoch, 0), version, sizeof(version));
	l->stage = STAGE_EPOCH;
}

/* NEWLEADER's bytes: the same for everybody. @e: the last membership proposed. */
struct zab_bytes *handlers_newleader(const struct ensemble *e, u64 epoch)
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

/* INFORMANDACTIVATE (Leader.buildInformAndActivePacket()). */
struct zab_bytes *handlers_activation(const struct txn *t, u64 leader)
{
	struct zab_packet p = { .type = ZP_INFORMANDACTIVATE, .zxid = t->zxid };
	struct zab_bytes *b;
	u8 *data;

	data = malloc(8 + t->len);
	if (!data)
		return NULL;
	jute_put64(data, leader);
	memcpy(data + 8, t->bytes, t->len);
	p.data = data;
	p.len = 8 + t->len;
	b = zab_encode(&p);
	free(data);
	return b;
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
		handler_drop(z, l, "%s before FOLLOWERINFO", zab_packet_name(p->type));
		return 0;
	}
	if (z->state == ZAB_FOLLOWING && p->type != ZP_OBSERVERINFO) {
		handler_drop(z, l, "only observers are served here");
		return 0;
	}
	if (p->len < 12) {
		handler_drop(z, l, "FOLLOWERINFO without an id and a version");
		return 0;
	}
	sid = jute_get64(p->data);
	version = jute_get32(p->data + 8);
	if (p->len >= 20)
		config = jute_get64(p->data + 12);
	if (version < ZAB_PROTOCOL) {
		handler_drop(z, l, "server %lld speaks version 0x%x of the protocol",
			     (long long)sid, version);
		return 0;
	}
	if (sid == z->p.myid || accepted >= EPOCH_MAX) {
		handler_drop(z, l, "server %lld says that its accepted epoch is %llu",
			     (long long)sid, accepted);
		return 0;
	}
	if (config > z->e->version) {
		handler_drop(z, l, "server %lld has a later membership, 0x%llx, here it is 0x%llx",
			     (long long)sid, config, z->e->version);
		return 0;
	}
	if (z->ld.epoch_fixed && accepted > z->epoch) {
		handler_drop(z, l, "server %lld has accepted epoch %llu, this one is %llu",
			     (long long)sid, accepted, z->epoch);
		/* who follows already is another one */
		z->ld.outrun |= p->type == ZP_FOLLOWERINFO && ensemble_votes(z->e, sid) &&
				!is_following(z, sid);
		return 0;
	}
	if (!zab_room(z, 2, 1))
		return -ENOMEM;
	l->sid = sid;
	l->durable = z->p.trust || (p->len >= 24 && jute_get32(p->data + 20) == ZAB_MARK);
	l->observer = p->type == ZP_OBSERVERINFO;
	l->stage = STAGE_INFO;
	if (z->ld.epoch_fixed)
		handler_leaderinfo(z, l);
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
			handler_drop(z, old, "it has connected anew");
	}
}

/* Phase 1, the leader's third step: ACK-E(f.a, h_f) of Zab, { int currentEpoch }. */
static void on_ackepoch(struct zab *z, struct learner *l, const struct zab_packet *p)
{
	const struct leading *ld = &z->ld;
	s32 current;

	if (p->type != ZP_ACKEPOCH || p->len < 4) {
		handler_drop(z, l, "%s where ACKEPOCH was due", zab_packet_name(p->type));
		return;
	}
	current = jute_get32(p->data);
	/* -1: it had accepted this epoch before, so this does not count. */
	if (z->phase == ZAB_DISCOVERY && current != -1) {
		/* StateSummary.isMoreRecentThan() */
		if (current < 0 || (u64)current > ld->own_epoch ||
		    ((u64)current == ld->own_epoch && p->zxid > ld->own_last)) {
			handler_drop(z, l,
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

/* Those who do not vote can wait until there is something agreed on to give them. */
void handlers_sync(struct zab *z)
{
	if (z->phase < ZAB_SYNC)
		return;
	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		if (l->gone || l->stage != STAGE_READY)
			continue;
		if (z->phase == ZAB_SYNC && !leader_votes(z, l))
			continue;
		if (z->state == ZAB_FOLLOWING && master_holds(z, l))
			continue;
		if (!handler_sync(z, l))
			return;
	}
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

void handlers_settle(struct zab *z)
{
	if (z->phase != ZAB_BROADCAST)
		return;
	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		if (!l->gone && l->stage == STAGE_ACKED && !make_live(z, l))
			return;
	}
}

/* ---------------------------------------------------------------- syncs */

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

void handlers_answer_syncs(struct zab *z)
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
		handler_drop(z, oldest, "there are too many that have not said who they are");
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
		handler_drop(z, oldest, "there are too many");
	handlers_sweep(z);
	return oldest;
}

int handler_link_up(struct zab *z, u64 link)
{
	struct leading *ld = &z->ld;
	struct learner *l;

	if (handler_find(z, link))
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

void handler_link_down(struct zab *z, u64 link)
{
	struct learner *l = handler_find(z, link);

	if (!l)
		return;
	if (l->stage >= STAGE_READY)
		log_warn("ensemble: the link of server %lld is lost", (long long)l->sid);
	else if (l->stage > STAGE_NEW)
		log_ratelimited(LOG_WARN, "ensemble: a link that said it is server %lld's is lost",
				(long long)l->sid);
	forget(l);
}

/* Leader.processAck() */
static void on_proposal_ack(struct zab *z, struct learner *l, u64 zxid)
{
	if (!COUNT_OF(zxid)) {
		l->settled = true;	/* of UPTODATE */
		return;
	}
	if (zxid > z->last) {
		handler_drop(z, l, "ACK of 0x%llx, which was not proposed", zxid);
		return;
	}
	leader_tell_acks(z, l->sid, l->acked, zxid);
	if (zxid > l->acked)
		l->acked = zxid;
	if (l->due && zxid >= l->due) {
		l->due = zxid < z->last ? z->last : 0;
		l->due_since = z->halves;
	}
}

/*
 * A follower of Apache's begins to log what it was sent when NEWLEADER comes, and may
 * acknowledge some of that first (ZOOKEEPER-4685); NEWLEADER's own ACK comes all the same.
 * It must not be left now: it would vote with this epoch and without its history.
 */
static void on_ack(struct zab *z, struct learner *l, const struct zab_packet *p)
{
	if (p->type != ZP_ACK) {
		handler_drop(z, l, "%s where NEWLEADER's ACK was due", zab_packet_name(p->type));
	} else if (COUNT_OF(p->zxid)) {
		on_proposal_ack(z, l, p->zxid);
	} else if (p->zxid != ZXID(z->epoch, 0)) {
		handler_drop(z, l, "ACK of 0x%llx where NEWLEADER's was due", p->zxid);
	} else {
		handler_synced(z, l);
		/* SyncLimitCheck.start() */
		l->due = 0;
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
	bool sync;

	if (p->len < REQUEST_HEAD) {
		handler_drop(z, l, "REQUEST of %d bytes", p->len);
		return 0;
	}
	sync = jute_get32(p->data + 12) == OP_SYNC;
	if (sync && confirm_asked(p))
		return confirm_ask(z, l);
	if (z->state == ZAB_FOLLOWING)
		return master_request(z, l, p, sync);
	return sync ? on_sync(z, l) : pass_up(z, l, p);
}

static int on_ping(struct zab *z, struct learner *l, const struct zab_packet *p)
{
	int rc = 0;

	if (p->len > 0 && p->len % 12) {
		handler_drop(z, l, "PING of %d bytes", p->len);
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
		if (l->stage == STAGE_LIVE)
			return z->state == ZAB_FOLLOWING ? master_revalidate(z, l, p) :
							   pass_up(z, l, p);
		break;
	case ZP_REQUEST:
		if (l->stage == STAGE_LIVE)
			return on_request(z, l, p);
	}
	handler_drop(z, l, "%s is not due now", zab_packet_name(p->type));
	return 0;
}

int handler_packet(struct zab *z, const struct zab_event *ev)
{
	struct learner *l = handler_find(z, ev->link);
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
	handler_drop(z, l, "%s before it was asked", zab_packet_name(p->type));
	return 0;
}

/* ---------------------------------------------------------------- time */

/* Silence of a tick more than Apache's own limits, which the links keep as well. */
void handler_check(struct zab *z, struct learner *l)
{
	u64 silent = z->halves - l->heard;

	if (l->gone)
		return;
	if (l->stage < STAGE_READY && l->stage != STAGE_INFO && silent > 2ULL * z->p.init_limit)
		handler_drop(z, l, "nothing heard for %u ticks", z->p.init_limit);
	else if (l->stage == STAGE_LIVE && silent > 2ULL * z->p.sync_limit)
		handler_drop(z, l, "nothing heard for %u ticks", z->p.sync_limit);
	else if (l->stage >= STAGE_ACKED && l->due &&
		 z->halves - l->due_since > 2ULL * z->p.sync_limit)
		handler_drop(z, l, "0x%llx is not acknowledged for %u ticks", l->due,
			     z->p.sync_limit);
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
