// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The list of actions between zab_step() and its driver, and the bytes that they carry.
 * Small packets come from a pool that is filled before a step begins to act.
 */
#include <assert.h>
#include <stdlib.h>

#include "daemon/zab/zab_impl.h"

#define ACTIONS_MIN	64

struct zab_bytes *zab_bytes_new(u32 len)
{
	struct zab_bytes *b = malloc(sizeof(*b) + len);

	if (!b)
		return NULL;
	b->refs = 1;
	b->len = len;
	return b;
}

struct zab_bytes *zab_bytes_get(struct zab_bytes *b)
{
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

/* Any thread. NULL is fine. */
void zab_bytes_put(struct zab_bytes *b)
{
	if (b && !__atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL))
		free(b);
}

void zab_action_drop(struct zab_action *a)
{
	zab_bytes_put(a->bytes);
	if (a->txn && (a->type == ZAB_DO_COMMIT || a->type == ZAB_DO_SEND_TXN))
		txn_put(a->txn);
	a->bytes = NULL;
	a->txn = NULL;
}

/* The whole packet as bytes of its own. NULL: memory. */
struct zab_bytes *zab_encode(const struct zab_packet *pkt)
{
	struct zab_bytes *b;
	struct jw w;

	jw_init(&w, 0);
	zab_packet_write(&w, pkt);
	b = w.err ? NULL : zab_bytes_new(w.len);
	if (b)
		memcpy(b->bytes, w.buf, w.len);
	jw_free(&w);
	return b;
}

static bool fill_pool(struct zab *z, u32 n)
{
	struct zab_bytes **pool;

	if (n > z->pool_size) {
		pool = realloc(z->pool, n * sizeof(*pool));
		if (!pool)
			return false;
		z->pool = pool;
		z->pool_size = n;
	}
	while (z->pool_n < n) {
		struct zab_bytes *b = zab_bytes_new(SMALL_BYTES);

		if (!b)
			return false;
		z->pool[z->pool_n++] = b;
	}
	return true;
}

static bool more_actions(struct actions *q, u32 n)
{
	struct zab_action *slots;
	u64 size = q->size ? q->size : ACTIONS_MIN;

	while ((u64)(q->tail - q->head) + n > size)
		size *= 2;
	if (size == q->size)
		return true;
	if (size > 1U << 26)
		return false;
	slots = malloc(size * sizeof(*slots));
	if (!slots)
		return false;
	for (u32 i = q->head; i != q->tail; i++)
		slots[i & (size - 1)] = q->slots[i & (q->size - 1)];
	free(q->slots);
	q->slots = slots;
	q->size = size;
	return true;
}

bool zab_room(struct zab *z, u32 acts, u32 packets)
{
	/* zab_give_up(): a CLOSE for each link, FAIL, STATE */
	u32 base = 8 + z->ld.n;

	if (more_actions(&z->acts, acts + base) && fill_pool(z, packets))
		return true;
	z->starved = true;
	return false;
}

struct zab_action *zab_emit(struct zab *z, enum zab_action_type type)
{
	struct actions *q = &z->acts;
	struct zab_action *a;

	assert(q->tail - q->head < q->size);
	a = &q->slots[q->tail++ & (q->size - 1)];
	memset(a, 0, sizeof(*a));
	a->type = type;
	a->state = z->state;
	a->phase = z->phase;
	return a;
}

void zab_emit_bytes(struct zab *z, u64 link, struct zab_bytes *b)
{
	struct zab_action *a = zab_emit(z, ZAB_DO_SEND);

	a->link = link;
	a->bytes = b;
}

void zab_emit_packet(struct zab *z, u64 link, s32 type, u64 zxid, const void *data, s32 len)
{
	struct zab_packet pkt = { .type = type, .zxid = zxid, .data = data, .len = len };
	struct zab_bytes *b;
	struct jw w;

	assert(z->pool_n);
	b = z->pool[--z->pool_n];
	/* a writer that may not grow */
	w = (struct jw){ .buf = b->bytes, .cap = SMALL_BYTES, .limit = SMALL_BYTES };
	zab_packet_write(&w, &pkt);
	assert(!w.err);
	b->len = w.len;
	zab_emit_bytes(z, link, b);
}

void zab_emit_txn(struct zab *z, u64 link, s32 type, struct txn *t)
{
	struct zab_action *a = zab_emit(z, ZAB_DO_SEND_TXN);

	a->link = link;
	a->packet_type = type;
	a->zxid = t->zxid;
	a->txn = txn_get(t);
}

void zab_put_empty(u8 *at, s32 type, u64 zxid)
{
	jute_put32(at, type);
	jute_put64(at + 4, zxid);
	jute_put32(at + 12, -1);
	jute_put32(at + 16, -1);
}

/* Takes the next action; what it holds passes to the caller. */
bool zab_next(struct zab *z, struct zab_action *a)
{
	struct actions *q = &z->acts;

	if (q->head == q->tail)
		return false;
	*a = q->slots[q->head++ & (q->size - 1)];
	return true;
}

void zab_take_back(struct zab *z)
{
	struct actions *q = &z->acts;
	u32 n = q->tail - q->head;

	while (n--) {
		struct zab_action a = q->slots[q->head++ & (q->size - 1)];

		if (a.type == ZAB_DO_COMMIT || a.type == ZAB_DO_CLOSE)
			q->slots[q->tail++ & (q->size - 1)] = a;
		else
			zab_action_drop(&a);
	}
}

void zab_actions_free(struct zab *z)
{
	struct zab_action a;

	while (zab_next(z, &a))
		zab_action_drop(&a);
	free(z->acts.slots);
	while (z->pool_n)
		free(z->pool[--z->pool_n]);
	free(z->pool);
}
