// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether the leader that this server is, or follows, still leads: what a read needs to
 * know that must see every write that was acknowledged, to anybody, before it was asked.
 *
 * A leader sends PING to those who vote and waits for a quorum of answers. Any kind of
 * follower answers each PING that comes behind UPTODATE by one, in order, so counting
 * tells which answer is whose. Who answers has read a PING that was sent after the round
 * began, so it still followed this leader at a time after that: before it promises
 * another epoch to anybody it closes this link, for good. An epoch that could have
 * acknowledged anything earlier has a quorum of promises made earlier, and one of them
 * would be of a server that answers. So nothing was acknowledged before the round began
 * but what this leader had committed.
 *
 * One round is under way at a time; all who ask meanwhile share the next one.
 *
 * A learner asks its leader: a REQUEST of type sync with a byte behind its path. A leader
 * that knows of it says so, when it is asked for the first time, by a SYNC with the zxid
 * -1, and after a round, behind what it had committed, by one with its epoch's first. Those
 * are in no order with the SYNCs of clients, whose zxid is 0. Apache's does not look at the
 * body and answers as to any: that confirms nothing (it may have been deposed). Then the
 * learner has it propose something that changes nothing, a setData without a path in the
 * name of a session that is none: that becomes a transaction of type error, and when it
 * comes back agreed, a quorum followed that leader after it was asked.
 *
 * An observer master of ours asks its leader so for its observers. One of Apache's would take
 * both of the leader's SYNCs for those of clients: an observer asks only a master that says,
 * by its PING's data, that it is one of ours, and has any other propose.
 */
#include "daemon/zab/zab_impl.h"

#define OP_SETDATA	5	/* ZooDefs.OpCode */
#define OP_SYNC		9
#define REQUEST_HEAD	16	/* long session, int cxid, int type */
#define REQUEST_MAX	32

u64 zab_confirm(struct zab *z)
{
	if (z->phase != ZAB_BROADCAST)
		return 0;
	z->cf.wanted = true;
	return z->cf.round + 1;
}

void confirm_end(struct zab *z)
{
	z->cf.wanted = false;
	z->cf.flying = false;
}

static bool begin(struct zab *z)
{
	if (!z->cf.wanted)
		return false;
	z->cf.wanted = false;
	z->cf.flying = true;
	z->cf.round++;
	return true;
}

static void over(struct zab *z)
{
	z->cf.flying = false;
	zab_emit(z, ZAB_DO_CONFIRMED)->zxid = z->cf.round;
}

/* ---------------------------------------------------------------- the leader */

void confirm_ping(struct zab *z, struct learner *l)
{
	zab_emit_packet(z, l->link, ZP_PING, z->last, NULL, -1);
	if (l->stage == STAGE_LIVE)
		l->pings++;
}

void confirm_pong(struct learner *l)
{
	if (l->pongs < l->pings)
		l->pongs++;
}

static bool has_answered(const struct zab *z, const struct learner *l, u64 round)
{
	(void)z;
	return l->stage == STAGE_LIVE && l->round == round && l->pongs >= l->round_ping;
}

/* Who becomes up to date during a round is asked, too: others may have gone. */
static bool ask_followers(struct zab *z)
{
	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		if (l->gone || l->stage != STAGE_LIVE || l->round == z->cf.round ||
		    !leader_votes(z, l))
			continue;
		if (!zab_room(z, 1, 1))
			return false;
		confirm_ping(z, l);
		l->round = z->cf.round;
		l->round_ping = l->pings;
	}
	return true;
}

/* Learners that asked; what they are to see was committed before. */
static bool answer_learners(struct zab *z)
{
	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		if (l->gone || !l->asks || l->asks > z->cf.round)
			continue;
		if (!zab_room(z, 2, 1))
			return false;
		zab_emit_packet(z, l->link, ZP_SYNC, ZXID(z->epoch, 0), NULL, -1);
		l->asks = 0;
	}
	return true;
}

void confirm_lead(struct zab *z)
{
	if (z->phase != ZAB_BROADCAST)
		return;
	while (z->cf.flying || begin(z)) {
		if (z->e && (!ask_followers(z) || !leader_quorum(z, has_answered, z->cf.round)))
			return;
		if (!answer_learners(z) || !zab_room(z, 1, 0))
			return;
		over(z);
	}
}

int confirm_ask(struct zab *z, struct learner *l)
{
	if (!zab_room(z, 1, 1))
		return -ENOMEM;
	if (!l->knows)
		zab_emit_packet(z, l->link, ZP_SYNC, ~0ULL, NULL, -1);
	l->knows = true;
	l->asks = zab_confirm(z);
	return 0;
}

bool confirm_asked(const struct zab_packet *p)
{
	s32 path;

	if (p->len < REQUEST_HEAD + 4)
		return false;
	path = jute_get32(p->data + REQUEST_HEAD);
	if (path < 0)
		path = 0;
	return p->len - REQUEST_HEAD - 4 > path && p->data[REQUEST_HEAD + 4 + path];
}

/* ---------------------------------------------------------------- a learner */

/* Of no session: theirs have a time where this has chance. */
static u64 own_session(const struct zab *z)
{
	return z->p.myid << 56 | z->p.chance >> 8;
}

static bool ask_leader(struct zab *z, s32 op)
{
	struct jw w;
	u8 data[REQUEST_MAX];

	if (!zab_room(z, 1, 1))
		return false;
	w = (struct jw){ .buf = data, .cap = sizeof(data), .limit = sizeof(data) };
	jw_long(&w, own_session(z));
	jw_int(&w, (s32)z->cf.round);
	jw_int(&w, op);
	jw_str(&w, "", 0);
	if (op == OP_SYNC) {
		jw_bool(&w, true);
	} else {
		jw_str(&w, "", 0);
		jw_int(&w, -1);
	}
	zab_emit_packet(z, z->fo.link, ZP_REQUEST, ~0ULL, data, w.len);
	return true;
}

/* Each way of asking is tried once; what comes back goes on from there. */
void confirm_follow(struct zab *z)
{
	struct following *fo = &z->fo;

	if (fo->stage != FOLLOW_LIVE || z->phase != ZAB_BROADCAST)
		return;
	while (z->cf.flying || begin(z)) {
		if (fo->ask == ASK_DONE) {
			if (!answer_learners(z) || !zab_room(z, 1, 0))
				return;
			fo->ask = ASK_NOT;
			over(z);
			continue;
		}
		if (fo->ask != ASK_NOT)
			return;
		if (!ask_leader(z, fo->unsure ? OP_SETDATA : OP_SYNC))
			return;
		fo->ask = fo->unsure ? ASK_PROPOSAL : ASK_SYNC;
		fo->ahead = fo->syncs;
	}
}

bool confirm_synced(struct zab *z, const struct zab_packet *p)
{
	struct following *fo = &z->fo;

	if (p->zxid == ~0ULL) {
		fo->sure = true;
	} else if (p->zxid) {
		if (fo->ask == ASK_SYNC)
			fo->ask = ASK_DONE;
	} else if (fo->ask != ASK_SYNC || fo->sure) {
		return false;
	} else if (fo->ahead) {
		fo->ahead--;
		return false;
	} else {
		fo->unsure = true;
		fo->ask = ASK_NOT;
	}
	return true;
}

void confirm_committed(struct zab *z, const struct txn *t)
{
	if (z->state != ZAB_LEADING && z->fo.ask == ASK_PROPOSAL &&
	    t->session == own_session(z) && t->cxid == (s32)z->cf.round)
		z->fo.ask = ASK_DONE;
}
