// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selftests/zab/net.h"

#define RETRY_MS	100	/* between attempts to connect */
#define MAX_PACKET	(1 << 20)

/* What is on its way on a link: bytes, or a tree. */
struct cargo {
	struct cargo *next;
	struct zab_bytes *bytes;
	void *tree;
	u64 zxid;
	u64 at;			/* not before */
};

struct end {
	u32 node;
	u64 link;
	bool open;		/* this server knows of it and has not closed it */
	struct cargo *head, **tail;	/* to this end */
	bool asked;		/* a delivery is on the world's list */
	bool snap;		/* SNAP was delivered, waits for net_receive() */
	bool receiving;
	u64 moved;		/* when anything last came */
};

struct conn {
	struct conn *next;
	u64 number;
	bool up;		/* accepted */
	bool broken;		/* both ends will know, or do */
	u64 since;
	struct end e[2];	/* the learner's, the leader's */
};

struct net {
	struct net_params p;
	struct conn *conns;
	u64 numbers, links;
	u32 latency;
	bool up[NET_MAX], leads[NET_MAX], paused[NET_MAX];
	bool cut[NET_MAX][NET_MAX];
	u64 vote_at[NET_MAX][NET_MAX];
	net_spy spy;
};

struct net *net_new(const struct net_params *p)
{
	struct net *n = calloc(1, sizeof(*n));

	n->p = *p;
	n->latency = 5;
	return n;
}

static void cargo_free(struct net *n, struct cargo *c)
{
	zab_bytes_put(c->bytes);
	if (c->tree)
		n->p.tree_free(c->tree);
	free(c);
}

static void unload(struct net *n, struct end *e)
{
	struct cargo *c;

	while ((c = e->head)) {
		e->head = c->next;
		cargo_free(n, c);
	}
	e->tail = &e->head;
}

void net_free(struct net *n)
{
	struct conn *c;

	while ((c = n->conns)) {
		n->conns = c->next;
		unload(n, &c->e[0]);
		unload(n, &c->e[1]);
		free(c);
	}
	free(n);
}

static u64 later(struct net *n)
{
	return world_now(n->p.w) + 1 + world_rnd(n->p.w, n->latency);
}

static struct conn *by_number(struct net *n, u64 number)
{
	for (struct conn *c = n->conns; c; c = c->next)
		if (c->number == number)
			return c;
	return NULL;
}

static struct conn *find(struct net *n, u32 node, u64 link, u32 *side)
{
	for (struct conn *c = n->conns; c; c = c->next)
		for (u32 i = 0; i < 2; i++)
			if (c->e[i].node == node && c->e[i].link == link && c->e[i].open) {
				*side = i;
				return c;
			}
	return NULL;
}

static void remove_conn(struct net *n, struct conn *gone)
{
	struct conn **p = &n->conns;

	while (*p != gone)
		p = &(*p)->next;
	*p = gone->next;
	unload(n, &gone->e[0]);
	unload(n, &gone->e[1]);
	free(gone);
}

static void sweep(struct net *n)
{
	struct conn *c, *next;

	for (c = n->conns; c; c = next) {
		next = c->next;
		if (c->broken && !c->e[0].open && !c->e[1].open && !c->e[0].asked &&
		    !c->e[1].asked)
			remove_conn(n, c);
	}
}

static void event(struct net *n, u32 node, enum zab_event_type type, u64 link)
{
	struct zab_event ev = { .type = type, .link = link };

	n->p.deliver(n->p.arg, node, &ev);
}

static void deliver(void *arg, u64 number, u64 side);

/* The end hears of what is there for it, or that the link broke, some time. */
static void ask(struct net *n, struct conn *c, u32 side, u64 at)
{
	struct end *e = &c->e[side];

	if (e->asked || !e->open)
		return;
	e->asked = true;
	world_at(n->p.w, at, deliver, n, c->number, side, NULL);
}

static void break_conn(struct net *n, struct conn *c)
{
	if (c->broken)
		return;
	c->broken = true;
	for (u32 i = 0; i < 2; i++)
		ask(n, c, i, later(n));
}

/* One packet, or what is left of a cargo; true if the end is to be asked again. */
static bool deliver_bytes(struct net *n, struct conn *c, u32 side)
{
	struct end *e = &c->e[side];
	struct cargo *g = e->head;
	struct zab_bytes *b = g->bytes;
	u64 link = e->link, number = c->number;
	u32 node = e->node, from = c->e[!side].node;
	size_t at = 0, need;

	/* it may go while the packets are taken */
	e->head = g->next;
	if (!e->head)
		e->tail = &e->head;
	while (at < b->len) {
		struct zab_packet pkt;
		struct zab_event ev = { .type = ZAB_EV_PACKET, .link = link, .packet = &pkt };
		ssize_t used = zab_packet_read(b->bytes + at, b->len - at, MAX_PACKET, &pkt, &need);

		if (used <= 0) {
			fprintf(stderr, "net: %zd of a packet, %zu bytes left\n", used,
				b->len - at);
			abort();
		}
		at += used;
		if (n->spy)
			n->spy(n->p.arg, from, node, &pkt);
		n->p.deliver(n->p.arg, node, &ev);
		c = by_number(n, number);
		if (!c || !c->e[side].open)
			break;
	}
	g->next = NULL;
	cargo_free(n, g);
	return c && c->e[side].open;
}

static void deliver_snap(struct net *n, struct conn *c, u32 side)
{
	struct zab_packet pkt = { .type = ZP_SNAP, .zxid = c->e[side].head->zxid, .len = -1 };
	struct zab_event ev = { .type = ZAB_EV_PACKET, .link = c->e[side].link, .packet = &pkt };

	c->e[side].snap = true;
	if (n->spy)
		n->spy(n->p.arg, c->e[!side].node, c->e[side].node, &pkt);
	n->p.deliver(n->p.arg, c->e[side].node, &ev);
}

static void deliver_tree(struct net *n, struct conn *c, u32 side)
{
	struct end *e = &c->e[side];
	struct cargo *g = e->head;
	struct zab_event ev = { .type = ZAB_EV_RECEIVED, .link = e->link, .zxid = g->zxid };
	u32 node = e->node;

	e->head = g->next;
	if (!e->head)
		e->tail = &e->head;
	e->snap = false;
	e->receiving = false;
	n->p.tree(n->p.arg, node, e->link, g->zxid, g->tree);
	g->tree = NULL;
	cargo_free(n, g);
	n->p.deliver(n->p.arg, node, &ev);
}

/* The side was told that the link is no more. */
static void end_link(struct net *n, struct conn *c, u32 side)
{
	u64 link = c->e[side].link;
	u32 node = c->e[side].node;

	c->e[side].open = false;
	unload(n, &c->e[side]);
	event(n, node, ZAB_EV_LINK_DOWN, link);
}

static void deliver(void *arg, u64 number, u64 side)
{
	struct net *n = arg;
	struct conn *c = by_number(n, number);
	struct end *e = &c->e[side];
	u64 now = world_now(n->p.w);

	e->asked = false;
	if (!e->open) {
		sweep(n);
		return;
	}
	if (n->paused[e->node]) {
		ask(n, c, side, now + 20);
		return;
	}
	if (c->broken) {
		end_link(n, c, side);
		sweep(n);
		return;
	}
	if (!e->head || (e->snap && !e->receiving))
		return;
	if (n->cut[c->e[!side].node][e->node]) {
		if (now - e->moved > n->p.init_ms)
			break_conn(n, c);
		else
			ask(n, c, side, now + 20);
		return;
	}
	if (e->head->at > now) {
		ask(n, c, side, e->head->at);
		return;
	}
	e->moved = now;
	if (e->head->bytes)
		deliver_bytes(n, c, side);
	else if (!e->snap)
		deliver_snap(n, c, side);
	else
		deliver_tree(n, c, side);
	c = by_number(n, number);
	if (c && c->e[side].open && c->e[side].head)
		ask(n, c, side, c->e[side].head->at);
	sweep(n);
}

static void load(struct net *n, u32 node, u64 link, struct cargo *g)
{
	u32 side;
	struct conn *c = find(n, node, link, &side);
	struct end *to;

	if (!c || c->broken || !c->up || !c->e[!side].open) {
		cargo_free(n, g);
		return;
	}
	to = &c->e[!side];
	g->at = later(n);
	if (!to->head)
		to->moved = world_now(n->p.w);
	*to->tail = g;
	to->tail = &g->next;
	ask(n, c, !side, g->at);
}

void net_send(struct net *n, u32 node, u64 link, struct zab_bytes *b)
{
	struct cargo *g = calloc(1, sizeof(*g));

	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	g->bytes = b;
	load(n, node, link, g);
}

void net_send_packet(struct net *n, u32 node, u64 link, s32 type, u64 zxid, const void *data,
		     s32 len)
{
	struct zab_packet pkt = { .type = type, .zxid = zxid, .data = data, .len = len };
	struct zab_bytes *b;
	struct jw w;

	jw_init(&w, 0);
	zab_packet_write(&w, &pkt);
	b = malloc(sizeof(*b) + w.len);
	b->refs = 1;
	b->len = w.len;
	memcpy(b->bytes, w.buf, w.len);
	jw_free(&w);
	net_send(n, node, link, b);
	zab_bytes_put(b);
}

void net_send_tree(struct net *n, u32 node, u64 link, u64 zxid, void *tree)
{
	struct cargo *g = calloc(1, sizeof(*g));

	g->tree = tree;
	g->zxid = zxid;
	load(n, node, link, g);
}

void net_receive(struct net *n, u32 node, u64 link)
{
	u32 side;
	struct conn *c = find(n, node, link, &side);

	if (!c || !c->e[side].head || !c->e[side].snap)
		return;
	c->e[side].receiving = true;
	/* a tree takes its time */
	c->e[side].head->at = later(n) + world_rnd(n->p.w, 10 * n->latency);
	ask(n, c, side, c->e[side].head->at);
}

void net_close(struct net *n, u32 node, u64 link)
{
	u32 side;
	struct conn *c = find(n, node, link, &side);
	bool receiving;

	if (!c)
		return;
	receiving = c->e[side].receiving;
	/* a tree on its way may be there already, or not */
	if (receiving && !c->broken && world_once_in(n->p.w, 2)) {
		deliver_tree(n, c, side);
		c = find(n, node, link, &side);
		if (!c)
			return;
		receiving = false;
	}
	break_conn(n, c);
	c->e[side].open = false;
	unload(n, &c->e[side]);
	if (receiving)
		event(n, node, ZAB_EV_LINK_DOWN, link);
}

static void attempt(void *arg, u64 number, u64 unused)
{
	struct net *n = arg;
	struct conn *c = by_number(n, number);
	u64 now = world_now(n->p.w);
	u32 a, b;

	(void)unused;
	c->e[0].asked = false;
	a = c->e[0].node;
	b = c->e[1].node;
	if (!c->e[0].open || c->broken) {
		if (c->e[0].open)
			end_link(n, c, 0);
		c->broken = true;
		sweep(n);
		return;
	}
	if (n->up[b] && n->leads[b] && !n->cut[a][b] && !n->cut[b][a] && !n->paused[b] &&
	    !n->paused[a]) {
		c->up = true;
		c->e[1].link = ++n->links;
		c->e[1].open = true;
		event(n, b, ZAB_EV_LINK_UP, c->e[1].link);
		c = by_number(n, number);
		if (c && c->e[0].open)
			event(n, a, ZAB_EV_LINK_UP, c->e[0].link);
		return;
	}
	if (now - c->since > n->p.init_ms) {
		c->broken = true;
		end_link(n, c, 0);
		sweep(n);
		return;
	}
	c->e[0].asked = true;
	world_at(n->p.w, now + RETRY_MS, attempt, n, number, 0, NULL);
}

void net_connect(struct net *n, u32 node, u64 to, u64 link)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (to >= n->p.nodes)
		abort();
	c->number = ++n->numbers;
	c->since = world_now(n->p.w);
	for (u32 i = 0; i < 2; i++) {
		c->e[i].tail = &c->e[i].head;
		c->e[i].moved = c->since;
	}
	c->e[0].node = node;
	c->e[0].link = link;
	c->e[0].open = true;
	c->e[0].asked = true;
	c->e[1].node = to;
	c->next = n->conns;
	n->conns = c;
	world_at(n->p.w, later(n), attempt, n, c->number, 0, NULL);
}

/* ---- votes: one connection for a pair, the order is kept ---- */

struct letter {
	struct net *n;
	struct zab_bytes *b;
};

static void letter_free(void *arg)
{
	struct letter *l = arg;

	zab_bytes_put(l->b);
	free(l);
}

static void deliver_vote(void *arg, u64 from, u64 to)
{
	struct letter *l = arg;
	struct net *n = l->n;
	struct zab_vote v;
	struct zab_event ev = { .type = ZAB_EV_VOTE, .from = from, .vote = &v };

	if (n->paused[to]) {
		world_at(n->p.w, world_now(n->p.w) + 20, deliver_vote, l, from, to, letter_free);
		return;
	}
	if (n->up[to] && !n->cut[from][to]) {
		if (zab_vote_read(l->b->bytes, l->b->len, &v))
			abort();
		n->p.deliver(n->p.arg, to, &ev);
	}
	letter_free(l);
}

void net_notify(struct net *n, u32 from, u64 to, struct zab_bytes *b)
{
	struct letter *l;
	u64 at = later(n);

	if (to >= n->p.nodes || n->cut[from][to])
		return;
	if (at < n->vote_at[from][to])
		at = n->vote_at[from][to];
	n->vote_at[from][to] = at;
	l = malloc(sizeof(*l));
	l->n = n;
	l->b = b;
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	world_at(n->p.w, at, deliver_vote, l, from, to, letter_free);
}

/* ---- what happens to it ---- */

void net_up(struct net *n, u32 node, bool up)
{
	n->up[node] = up;
	if (up)
		return;
	n->leads[node] = false;
	n->paused[node] = false;
	for (struct conn *c = n->conns; c; c = c->next)
		for (u32 i = 0; i < 2; i++)
			if (c->e[i].node == node) {
				break_conn(n, c);
				c->e[i].open = false;
				unload(n, &c->e[i]);
			}
}

void net_lead(struct net *n, u32 node, bool leads)
{
	n->leads[node] = leads;
}

void net_pause(struct net *n, u32 node, bool paused)
{
	n->paused[node] = paused;
}

void net_cut(struct net *n, u32 from, u32 to, bool cut)
{
	n->cut[from][to] = cut;
}

void net_heal(struct net *n)
{
	memset(n->cut, 0, sizeof(n->cut));
	memset(n->paused, 0, sizeof(n->paused));
	n->latency = 5;
}

void net_latency(struct net *n, u32 ms)
{
	n->latency = ms;
}

void net_break_one(struct net *n, u32 node)
{
	for (struct conn *c = n->conns; c; c = c->next)
		if (c->up && !c->broken && (c->e[0].node == node || c->e[1].node == node)) {
			break_conn(n, c);
			return;
		}
}

void net_set_spy(struct net *n, net_spy spy)
{
	n->spy = spy;
}
