// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The state machine of daemon/zab/zab.h. One thread uses it; nothing here looks
 * at a clock, a socket, a file or another thread.
 *
 * Broadcast with its own log as one of the voters: a proposal enters the queue of
 * outstanding ones and the log; a voter's acknowledgement is the last zxid that is
 * durable there; the head of the queue commits as soon as more than half of the
 * voters have acknowledged it (Leader.tryToCommit). Commits leave in zxid order.
 *
 * zxids go on from the last one found at start, as ZooKeeperServer.getNextZxid
 * does for a single server: its epoch is that of its log and does not change.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/zab/zab.h"

#define RING_MIN	64

struct voter {
	u64 id;
	u64 acked;		/* durable there up to this zxid */
};

/* Queues of power-of-two size; indices only grow. */
struct proposals {
	struct txn **slots;
	u32 size, head, tail;
};

struct actions {
	struct zab_action *slots;
	u32 size, head, tail;
};

struct zab {
	enum zab_state state;
	u64 myid;
	u64 last_zxid;		/* proposed or found in the log */
	u64 committed;
	u32 n_voters;
	struct voter voters[sizeof(((struct zab_params *)0)->voters) / sizeof(u64)];
	struct proposals out;
	struct actions acts;
};

/* What may follow what; a single server never follows or observes. */
static const bool transitions[4][4] = {
	[ZAB_LOOKING] = {
		[ZAB_LEADING] = true,
		[ZAB_FOLLOWING] = true,
		[ZAB_OBSERVING] = true,
	},
	[ZAB_LEADING] = { [ZAB_LOOKING] = true },
	[ZAB_FOLLOWING] = { [ZAB_LOOKING] = true },
	[ZAB_OBSERVING] = { [ZAB_LOOKING] = true },
};

static struct voter *voter_find(struct zab *z, u64 id)
{
	for (u32 i = 0; i < z->n_voters; i++)
		if (z->voters[i].id == id)
			return &z->voters[i];
	return NULL;
}

/* Parameters are copied. NULL: memory, or @p names no voters, too many, or none
 * of them is myid. The caller owns the machine. */
struct zab *zab_new(const struct zab_params *p)
{
	struct zab *z = calloc(1, sizeof(*z));

	if (!z)
		return NULL;
	if (!p->n_voters || p->n_voters > sizeof(z->voters) / sizeof(z->voters[0]))
		goto fail;
	z->state = ZAB_LOOKING;
	z->myid = p->myid;
	z->n_voters = p->n_voters;
	for (u32 i = 0; i < p->n_voters; i++)
		z->voters[i].id = p->voters[i];
	if (!voter_find(z, z->myid))
		goto fail;
	z->out.slots = calloc(RING_MIN, sizeof(*z->out.slots));
	z->acts.slots = calloc(RING_MIN, sizeof(*z->acts.slots));
	if (!z->out.slots || !z->acts.slots)
		goto fail;
	z->out.size = RING_MIN;
	z->acts.size = RING_MIN;
	return z;
fail:
	zab_free(z);
	return NULL;
}

/* Drops outstanding proposals and unread actions with it. NULL is fine. */
void zab_free(struct zab *z)
{
	struct zab_action a;

	if (!z)
		return;
	while (zab_next(z, &a))
		if (a.type == ZAB_DO_COMMIT)
			txn_put(a.txn);
	while (z->out.head != z->out.tail)
		txn_put(z->out.slots[z->out.head++ & (z->out.size - 1)]);
	free(z->out.slots);
	free(z->acts.slots);
	free(z);
}

static int reserve_proposal(struct proposals *q)
{
	struct txn **slots;

	if (q->tail - q->head < q->size)
		return 0;
	slots = malloc(2 * q->size * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (u32 i = q->head; i != q->tail; i++)
		slots[i & (2 * q->size - 1)] = q->slots[i & (q->size - 1)];
	free(q->slots);
	q->slots = slots;
	q->size *= 2;
	return 0;
}

/* Room for @n more actions, so that a step that began can end. */
static int reserve_actions(struct actions *q, u32 n)
{
	struct zab_action *slots;
	u32 size = q->size;

	while (q->tail - q->head + n > size)
		size *= 2;
	if (size == q->size)
		return 0;
	slots = malloc(size * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (u32 i = q->head; i != q->tail; i++)
		slots[i & (size - 1)] = q->slots[i & (q->size - 1)];
	free(q->slots);
	q->slots = slots;
	q->size = size;
	return 0;
}

static struct zab_action *emit(struct zab *z, enum zab_action_type type)
{
	struct actions *q = &z->acts;
	struct zab_action *a;

	assert(q->tail - q->head < q->size);
	a = &q->slots[q->tail++ & (q->size - 1)];
	memset(a, 0, sizeof(*a));
	a->type = type;
	a->state = z->state;
	return a;
}

static void become(struct zab *z, enum zab_state state)
{
	assert(transitions[z->state][state]);
	z->state = state;
	emit(z, ZAB_DO_STATE)->zxid = z->committed;
}

static bool has_quorum(const struct zab *z, u64 zxid)
{
	u32 n = 0;

	for (u32 i = 0; i < z->n_voters; i++)
		n += z->voters[i].acked >= zxid;
	return n > z->n_voters / 2;
}

/* Action room for all that is outstanding must have been reserved. */
static void commit_agreed(struct zab *z)
{
	struct proposals *q = &z->out;

	while (q->head != q->tail) {
		struct txn *txn = q->slots[q->head & (q->size - 1)];
		struct zab_action *a;

		if (!has_quorum(z, txn->zxid))
			break;
		q->head++;
		z->committed = txn->zxid;
		a = emit(z, ZAB_DO_COMMIT);
		a->txn = txn;		/* the queue's reference goes with it */
		a->zxid = txn->zxid;
	}
}

static int on_start(struct zab *z, const struct zab_event *ev)
{
	if (z->state != ZAB_LOOKING)
		return -EINVAL;
	if (reserve_actions(&z->acts, 1))
		return -ENOMEM;
	z->last_zxid = ev->zxid;
	z->committed = ev->zxid;
	voter_find(z, z->myid)->acked = ev->zxid;
	/* The only vote there is was cast. */
	if (z->n_voters == 1)
		become(z, ZAB_LEADING);
	return 0;
}

static int on_propose(struct zab *z, const struct zab_event *ev)
{
	struct proposals *q = &z->out;
	struct zab_action *a;

	if (z->state != ZAB_LEADING || ev->txn->zxid != zab_next_zxid(z))
		return -EINVAL;
	if (reserve_proposal(q) || reserve_actions(&z->acts, 1))
		return -ENOMEM;
	q->slots[q->tail++ & (q->size - 1)] = txn_get(ev->txn);
	z->last_zxid = ev->txn->zxid;
	a = emit(z, ZAB_DO_LOG);
	a->txn = ev->txn;
	a->zxid = ev->txn->zxid;
	return 0;
}

static int on_durable(struct zab *z, const struct zab_event *ev)
{
	struct voter *self = voter_find(z, z->myid);

	/* The log cannot hold what was never proposed. */
	if (ev->zxid > z->last_zxid)
		return -EINVAL;
	if (reserve_actions(&z->acts, zab_outstanding(z)))
		return -ENOMEM;
	if (ev->zxid > self->acked)
		self->acked = ev->zxid;
	if (z->state == ZAB_LEADING)
		commit_agreed(z);
	return 0;
}

static int on_disk_failed(struct zab *z)
{
	if (z->state == ZAB_LOOKING)
		return 0;
	if (reserve_actions(&z->acts, 2))
		return -ENOMEM;
	while (z->out.head != z->out.tail)
		txn_put(z->out.slots[z->out.head++ & (z->out.size - 1)]);
	emit(z, ZAB_DO_FAIL)->zxid = z->committed;
	become(z, ZAB_LOOKING);
	return 0;
}

/*
 * Feeds one event; the event's txn stays the caller's (the machine takes its own
 * reference). 0, -ENOMEM (not taken, try again), -EINVAL (not legal in this
 * state, or a proposal whose zxid is not the next).
 */
int zab_step(struct zab *z, const struct zab_event *ev)
{
	switch (ev->type) {
	case ZAB_EV_START:
		return on_start(z, ev);
	case ZAB_EV_PROPOSE:
		return on_propose(z, ev);
	case ZAB_EV_DURABLE:
		return on_durable(z, ev);
	case ZAB_EV_DISK_FAILED:
		return on_disk_failed(z);
	case ZAB_EV_TICK:
		return 0;	/* nobody to wait for in an ensemble of one */
	}
	return -EINVAL;
}

/* Takes the next action. A LOG's txn is good until the next zab_step(); a
 * COMMIT's reference passes to the caller. */
bool zab_next(struct zab *z, struct zab_action *a)
{
	struct actions *q = &z->acts;

	if (q->head == q->tail)
		return false;
	*a = q->slots[q->head++ & (q->size - 1)];
	return true;
}

enum zab_state zab_state(const struct zab *z)
{
	return z->state;
}

u64 zab_next_zxid(const struct zab *z)
{
	return z->last_zxid + 1;
}

u64 zab_committed(const struct zab *z)
{
	return z->committed;
}

u32 zab_outstanding(const struct zab *z)
{
	return z->out.tail - z->out.head;
}
