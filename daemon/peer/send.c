// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the core sends, gathered. Packets are written one behind the other into chunks
 * that all links share, each only once if it goes to one link after the other. What goes
 * to a link and stands right behind what went to it before is the same item: a round of
 * the core is an item for each link, however many packets it sends. It is given to the
 * thread "peers" by peer_flush(), or when there is much of it.
 *
 * What is long stays where it is, and is an item by itself.
 *
 * The core thread, all of it but chunk_put().
 */
#include <stdlib.h>

#include "daemon/peer/internal.h"

#define COPY_MAX	4096	/* bytes of a packet that is copied */
#define GATHER_MAX	65536	/* bytes of items, until they are given over */
#define RUNS		256

struct sender {
	struct chunk *chunk;	/* NULL: none yet */
	u32 last_at, last_len;	/* in it: the last packet; 0: none */
	struct item *first, *last;	/* in the order in which they go out */
	u64 bytes;		/* of these */
	struct item *runs[RUNS];	/* by link: those that may become longer */
};

void chunk_put(struct chunk *c)
{
	if (!__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		free(c);
}

int send_init(struct peers *p)
{
	p->sender = calloc(1, sizeof(*p->sender));
	return p->sender ? 0 : -ENOMEM;
}

static struct item **run_of(struct sender *s, u64 link)
{
	return &s->runs[(link ^ link >> 32) % RUNS];
}

/* True: there was something. */
static bool give_over(struct peers *p)
{
	struct sender *s = p->sender;
	struct item *it, *next;

	if (!s->first)
		return false;
	for (it = s->first; it; it = next) {
		next = (struct item *)it->cmd.next;
		*run_of(s, it->cmd.link) = NULL;
		queue_add(&p->inbox, it);
	}
	s->first = NULL;
	s->last = NULL;
	s->bytes = 0;
	return true;
}

void send_before(struct peers *p)
{
	give_over(p);
}

void peer_flush(struct peers *p)
{
	if (give_over(p))
		queue_kick(&p->inbox);
}

void send_free(struct peers *p)
{
	struct sender *s = p->sender;

	if (!s)
		return;
	give_over(p);
	if (s->chunk)
		chunk_put(s->chunk);
	free(s);
	p->sender = NULL;
}

/* Behind what was sent before. */
static void gather(struct peers *p, struct item *it, size_t len)
{
	struct sender *s = p->sender;

	if (s->last)
		s->last->cmd.next = &it->cmd;
	else
		s->first = it;
	s->last = it;
	s->bytes += len;
}

/* By itself. */
static void send_item(struct peers *p, struct item *it, size_t len)
{
	gather(p, it, len);
	*run_of(p->sender, it->cmd.link) = NULL;
	if (p->sender->bytes > GATHER_MAX)
		peer_flush(p);
}

/* Where a packet of @len bytes is to be written; NULL: memory. */
static u8 *packet_room(struct sender *s, size_t len)
{
	struct chunk *c = s->chunk;

	if (c && CHUNK_BYTES - c->used >= len)
		return c->bytes + c->used;
	c = malloc(sizeof(*c));
	if (!c)
		return NULL;
	c->refs = 1;
	c->used = 0;
	if (s->chunk)
		chunk_put(s->chunk);
	s->chunk = c;
	s->last_len = 0;
	return c->bytes;
}

/* What was written there is a packet; or the last one again, which is taken instead. */
static u32 packet_at(struct sender *s, u32 len)
{
	struct chunk *c = s->chunk;

	if (len == s->last_len && !memcmp(c->bytes + s->last_at, c->bytes + c->used, len))
		return s->last_at;
	s->last_at = c->used;
	s->last_len = len;
	c->used += len;
	return s->last_at;
}

/* The packet of @len bytes that was written where packet_room() said. */
static int send_packet(struct peers *p, u64 link, u32 len)
{
	struct sender *s = p->sender;
	struct item **run = run_of(s, link), *it = *run;
	u32 at = packet_at(s, len);

	if (it && it->cmd.link == link && it->chunk == s->chunk && it->at + it->len == at) {
		it->len += len;
		s->bytes += len;
	} else {
		it = item_new(ITEM_RUN, link);
		if (!it)
			return -ENOMEM;
		__atomic_add_fetch(&s->chunk->refs, 1, __ATOMIC_RELAXED);
		it->chunk = s->chunk;
		it->at = at;
		it->len = len;
		*run = it;
		gather(p, it, len);
	}
	if (s->bytes > GATHER_MAX)
		peer_flush(p);
	return 0;
}

int peer_send(struct peers *p, u64 link, struct zab_bytes *b)
{
	struct item *it;
	u8 *to;

	if (b->len <= COPY_MAX) {
		to = packet_room(p->sender, b->len);
		if (!to)
			return -ENOMEM;
		memcpy(to, b->bytes, b->len);
		return send_packet(p, link, b->len);
	}
	it = item_new(ITEM_BYTES, link);
	if (!it)
		return -ENOMEM;
	it->bytes = zab_bytes_get(b);
	send_item(p, it, b->len);
	return 0;
}

static void put_head(u8 *to, s32 type, const struct txn *t)
{
	jute_put32(to, type);
	jute_put64(to + 4, t->zxid);
	jute_put32(to + 12, t->len);
}

int peer_send_txn(struct peers *p, u64 link, s32 packet_type, struct txn *t)
{
	size_t len = TXN_HEAD + (size_t)t->len + TXN_TAIL;
	struct item *it;
	u8 *to;

	if (len <= COPY_MAX) {
		to = packet_room(p->sender, len);
		if (!to)
			return -ENOMEM;
		put_head(to, packet_type, t);
		memcpy(to + TXN_HEAD, t->bytes, t->len);
		jute_put32(to + TXN_HEAD + t->len, -1);	/* no ids */
		return send_packet(p, link, len);
	}
	it = item_new(ITEM_TXN, link);
	if (!it)
		return -ENOMEM;
	it->txn = txn_get(t);
	put_head(it->head, packet_type, t);
	send_item(p, it, len);
	return 0;
}
