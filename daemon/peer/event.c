// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Events on their way to the core thread, and how much of them there may be: each
 * source (a link, an election connection) has a share of its own, and all links
 * together IN_TOTAL times that. Who has nothing at the core may always send one, so
 * nobody is kept waiting by others for ever.
 *
 * A source that is over its share is not read. The core's peer_event_free() sets
 * peers.resume then, and the thread looks at all that wait.
 */
#include <stdlib.h>

#include "daemon/peer/internal.h"

struct counted {
	struct share *share;	/* NULL: not counted */
	u64 cost;
	struct peer_event ev;	/* last: bytes follow it */
};

static struct counted *counted(struct peer_event *ev)
{
	return container_of(ev, struct counted, ev);
}

struct share *share_new(void)
{
	struct share *s = calloc(1, sizeof(*s));

	if (s)
		s->refs = 1;
	return s;
}

void share_put(struct share *s)
{
	if (s && !__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
		free(s);
}

static bool fits(struct peers *p, struct share *s, u64 cost, u64 max)
{
	u64 own = __atomic_load_n(&s->bytes, __ATOMIC_SEQ_CST);
	u64 all = __atomic_load_n(&p->in_bytes, __ATOMIC_SEQ_CST);

	return !own || (own + cost <= max && all + cost <= IN_TOTAL * p->p.in_max);
}

bool share_take(struct peers *p, struct share *s, u64 cost, u64 max, bool *stalled)
{
	if (fits(p, s, cost, max))
		return true;
	/* Pairs with peer_event_free(): it sees this, or we see what it gave back. */
	__atomic_add_fetch(&p->n_stalled, 1, __ATOMIC_SEQ_CST);
	if (fits(p, s, cost, max)) {
		__atomic_sub_fetch(&p->n_stalled, 1, __ATOMIC_SEQ_CST);
		return true;
	}
	*stalled = true;
	return false;
}

void share_unstall(struct peers *p, bool *stalled)
{
	if (*stalled)
		__atomic_sub_fetch(&p->n_stalled, 1, __ATOMIC_SEQ_CST);
	*stalled = false;
}

struct peer_event *event_new(enum peer_event_type type, u64 link, u32 len)
{
	struct counted *c = malloc(sizeof(*c) + len);

	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->ev.type = type;
	c->ev.link = link;
	c->ev.len = len;
	return &c->ev;
}

struct peer_event *event_of(struct peers *p, struct share *s, u64 cost,
			    enum peer_event_type type, u64 link, u32 len)
{
	struct peer_event *ev = event_new(type, link, len);

	if (!ev)
		return NULL;
	counted(ev)->share = s;
	counted(ev)->cost = cost;
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&s->bytes, cost, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&p->in_bytes, cost, __ATOMIC_SEQ_CST);
	return ev;
}

void event_deliver(struct peers *p, struct peer_event *ev)
{
	p->p.deliver(p->p.arg, ev);
	p->delivered = true;
}

void event_drop(struct peer_event *ev)
{
	if (ev)
		free(counted(ev));
}

void peer_event_free(struct peers *p, struct peer_event *ev)
{
	struct counted *c;

	if (!ev)
		return;
	c = counted(ev);
	if (ev->type == PEER_RECEIVED) {
		pthread_mutex_lock(&p->gate.lock);
		if (p->gate.link == ev->link)
			p->gate.ended = false;
		pthread_mutex_unlock(&p->gate.lock);
	}
	if (c->share) {
		__atomic_sub_fetch(&c->share->bytes, c->cost, __ATOMIC_SEQ_CST);
		__atomic_sub_fetch(&p->in_bytes, c->cost, __ATOMIC_SEQ_CST);
		share_put(c->share);
		if (__atomic_load_n(&p->n_stalled, __ATOMIC_SEQ_CST)) {
			__atomic_store_n(&p->resume, true, __ATOMIC_SEQ_CST);
			queue_kick(&p->inbox);
		}
	}
	free(c);
}
