// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An observer master: a follower that serves observers (ObserverMaster.java). They get
 * what they lack from this server's own history, and each transaction that it commits.
 * handler.c does with them what it does with a leader's learners.
 *
 * What their clients want goes to the leader as if it came from here: REQUEST, SYNC,
 * REVALIDATE. The leader answers the last two in the order in which it was asked, this
 * server's own among them, so who is to hear is kept in that order. A SYNC's answer comes
 * behind the COMMITs that it is to come behind, and they go on as INFORMs before it.
 *
 * An observer may come from a master that was quicker and have more than is committed here:
 * of this epoch only what is committed anywhere can be in its log, so it waits until that
 * is here, too. (3.8 has it cut that off, and its clients see time go back.)
 *
 * PING is passed on when the leader's comes, so that who hears of it has heard of a quorum
 * (in 3.8 a master pings by its own clock). Its data, which no other server looks at, says
 * that this master knows of confirm.c's question.
 */
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/zab/zab_impl.h"

#define WAITING_MAX	(1U << 20)
#define WAITING_MIN	8

bool master_is(const struct zab *z)
{
	return z->p.masters && z->state == ZAB_FOLLOWING && z->phase == ZAB_BROADCAST;
}

/* ---------------------------------------------------------------- who is to hear */

void waiting_free(struct waiting *w)
{
	free(w->list);
	*w = (struct waiting){ 0 };
}

bool waiting_room(struct waiting *w)
{
	u32 size = w->size ? 2 * w->size : WAITING_MIN;
	struct waiter *list;

	if (w->n < w->size)
		return true;
	list = w->n < WAITING_MAX ? malloc(size * sizeof(*list)) : NULL;
	if (!list)
		return false;
	for (u32 i = 0; i < w->n; i++)
		list[i] = w->list[(w->head + i) % w->size];
	free(w->list);
	*w = (struct waiting){ .list = list, .n = w->n, .size = size };
	return true;
}

void waiting_add(struct waiting *w, u64 link, u64 id)
{
	struct waiter *last = &w->list[(w->head + w->n - 1) % (w->size ? w->size : 1)];

	if (w->n && last->link == link && last->id == id && last->count != ~0U) {
		last->count++;
		return;
	}
	w->list[(w->head + w->n++) % w->size] = (struct waiter){
		.link = link, .id = id, .count = 1,
	};
}

u64 waiting_take(struct waiting *w, u64 id)
{
	for (u32 i = 0; i < w->n; i++) {
		struct waiter *t = &w->list[(w->head + i) % w->size];
		u64 link = t->link;

		if (t->id != id)
			continue;
		if (--t->count)
			return link;
		/* it is the first, unless the leader does not answer in order */
		for (; i; i--)
			w->list[(w->head + i) % w->size] = w->list[(w->head + i - 1) % w->size];
		w->head = (w->head + 1) % w->size;
		w->n--;
		return link;
	}
	return 0;
}

/* A packet as it came, for who is to have it, and room to send it. */
static int copy(struct zab *z, const struct zab_packet *p, struct zab_bytes **b)
{
	if (!zab_room(z, 1, 0))
		return -ENOMEM;
	*b = zab_encode(p);
	return *b ? 0 : -ENOMEM;
}

/* ---------------------------------------------------------------- what observers ask for */

/* As it came, to the leader. */
static int pass_on(struct zab *z, struct learner *l, const struct zab_packet *p,
		   struct waiting *w, u64 id)
{
	struct zab_bytes *b;
	int rc;

	if (w && !waiting_room(w)) {
		if (w->n < WAITING_MAX)
			return -ENOMEM;
		handler_drop(z, l, "the leader owes too many answers");
		return 0;
	}
	rc = copy(z, p, &b);
	if (rc)
		return rc;
	zab_emit_bytes(z, z->fo.link, b);
	if (w)
		waiting_add(w, l->link, id);
	return 0;
}

int master_request(struct zab *z, struct learner *l, const struct zab_packet *p, bool sync)
{
	int rc = pass_on(z, l, p, sync ? &z->fo.sync_waiting : NULL, 0);

	if (!rc && sync && !l->gone)
		z->fo.syncs++;
	return rc;
}

int master_revalidate(struct zab *z, struct learner *l, const struct zab_packet *p)
{
	if (p->len < 12) {
		handler_drop(z, l, "REVALIDATE of %d bytes", p->len);
		return 0;
	}
	return pass_on(z, l, p, &z->fo.revalidations, jute_get64(p->data));
}

/* ---------------------------------------------------------------- the leader's answers */

int master_synced(struct zab *z, bool *own)
{
	u64 link;
	struct learner *l;

	if (!zab_room(z, 1, 1))
		return -ENOMEM;
	link = waiting_take(&z->fo.sync_waiting, 0);
	*own = !link;
	l = link ? handler_find(z, link) : NULL;
	if (l)
		zab_emit_packet(z, link, ZP_SYNC, 0, NULL, -1);
	return 0;
}

int master_revalidated(struct zab *z, const struct zab_packet *p, bool *own)
{
	struct zab_bytes *b;
	u64 link;
	int rc;

	*own = true;
	if (p->len < 9)
		return 0;
	rc = copy(z, p, &b);
	if (rc)
		return rc;
	link = waiting_take(&z->fo.revalidations, jute_get64(p->data));
	*own = !link;
	if (link && handler_find(z, link))
		zab_emit_bytes(z, link, b);
	else
		zab_bytes_put(b);
	return 0;
}

void master_ping(struct zab *z)
{
	static const u8 knows = 1;

	if (!master_is(z) || !zab_room(z, z->ld.n, z->ld.n))
		return;
	for (u32 i = 0; i < z->ld.n; i++)
		if (handler_forwards(z->ld.learners[i]))
			zab_emit_packet(z, z->ld.learners[i]->link, ZP_PING, z->committed, &knows,
					sizeof(knows));
}

/* ---------------------------------------------------------------- transactions */

int master_activates(struct zab *z, const struct txn *t, u64 leader)
{
	if (!master_is(z) || z->ld.activation)
		return 0;
	z->ld.activation = handlers_activation(t, leader);
	z->ld.activates = t->zxid;
	return z->ld.activation ? 0 : -ENOMEM;
}

void master_inform(struct zab *z, struct txn *t)
{
	bool activates = z->ld.activation && z->ld.activates == t->zxid;

	if (!master_is(z))
		return;
	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		if (!handler_forwards(l))
			continue;
		if (!activates)
			zab_emit_txn(z, l->link, ZP_INFORM, t);
		else if (l->stage == STAGE_LIVE)
			zab_emit_bytes(z, l->link, zab_bytes_get(z->ld.activation));
		else
			handler_drop(z, l, "the membership changed while it joined");
	}
	if (!activates)
		return;
	zab_bytes_put(z->ld.activation);
	z->ld.activation = NULL;
	zab_bytes_put(z->ld.newleader);
	z->ld.newleader = NULL;
}

bool master_holds(const struct zab *z, const struct learner *l)
{
	return l->last > z->committed && EPOCH_OF(l->last) == z->epoch;
}

/* What handlers_sync() needs: NEWLEADER of this epoch, with what is in force. */
static bool has_newleader(struct zab *z)
{
	if (!z->ld.n || z->ld.newleader)
		return true;
	z->ld.newleader = handlers_newleader(z->e, z->epoch);
	if (!z->ld.newleader)
		z->starved = true;
	return z->ld.newleader;
}

void master_pump(struct zab *z)
{
	if (!master_is(z))
		return;
	if (has_newleader(z))
		handlers_sync(z);
	handlers_settle(z);
	handlers_sweep(z);
}

void master_half_tick(struct zab *z)
{
	if (!master_is(z))
		return;
	for (u32 i = 0; i < z->ld.n; i++) {
		struct learner *l = z->ld.learners[i];

		handler_check(z, l);
		if (!l->gone && l->stage == STAGE_READY &&
		    z->halves - l->heard > 2ULL * z->p.init_limit)
			handler_drop(z, l, "it has 0x%llx, which does not come here in %u ticks",
				     l->last, z->p.init_limit);
	}
}
