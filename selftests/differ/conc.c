// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Clients that really run at the same time, each in a subtree of its own: what each is
 * answered does not depend on the others, but for zxids, whose order differs between two
 * servers. Each client's bursts are sent at each server as soon as the burst before is
 * answered there.
 */
#include <errno.h>
#include <poll.h>
#include "differ.h"


struct req {
	struct action a;
	bool last;	/* of a burst */
};

struct client {
	u32 slot;
	struct req *reqs;
	u32 n;
	u32 sent[SIDES];	/* requests sent */
};

static void make_program(struct client *c, u32 k, u32 requests, u32 depth)
{
	static char prefix[CONC_CLIENTS][8];
	struct scope sc = { .prefix = prefix[k], .conc = true };
	u32 i, flags, left = 0;
	struct jw w;

	sprintf(prefix[k], "/c%u", k);
	c->slot = CONC_SLOT + k;
	c->n = requests;
	memset(c->sent, 0, sizeof(c->sent));
	c->reqs = must(calloc(requests, sizeof(*c->reqs)));
	for (i = 0; i < requests; i++) {
		struct req *r = &c->reqs[i];

		jw_init(&w, 0);
		r->a.kind = A_REQ;
		r->a.slot = c->slot;
		r->a.xid = i + 1;
		r->a.op = body_random(&sc, &w, &flags);
		r->a.body = w.buf;
		r->a.len = w.len;
		left = left ? left - 1 : rnd(rnd(2) ? depth : 1 + depth / 4);
		if (flags || r->a.op == OP_SETACL || i == requests - 1)
			left = 0;
		r->last = !left;
	}
}

/* Sends one burst, at one server. */
static void send_burst(struct differ *d, struct client *c, int side)
{
	struct conn *conn = &d->slots[c->slot].c[side];

	while (c->sent[side] < c->n) {
		u32 i = c->sent[side]++;
		struct req *r = &c->reqs[i];

		put_frame(&conn->out, r->a.xid, r->a.op, r->a.body, r->a.len);
		if (r->last)
			break;
	}
	conn_flush(conn);
}

/* Answers to requests sent, of each client, at one server. */
static void tell_left(const struct differ *d, const struct client *cl, int side, struct text *t)
{
	u32 k;

	for (k = 0; k < CONC_CLIENTS; k++)
		t_fmt(t, " slot %u: %u of %u, %u to be sent", cl[k].slot,
		      conn_replies(&d->slots[cl[k].slot].c[side]), cl[k].sent[side],
		      cl[k].n - cl[k].sent[side]);
}

static void no_end(struct differ *d, const struct client *cl)
{
	struct text t[SIDES] = { { 0 } };
	int side;

	for (side = 0; side < SIDES; side++)
		tell_left(d, cl, side, &t[side]);
	differs(d, d->nacts - 1, "whether all answers come to concurrent clients", t[0].s, t[1].s);
}

/* Until every client has had every answer, at both servers. */
static void run(struct differ *d, struct client *cl)
{
	struct pollfd p[CONC_CLIENTS * SIDES];
	s64 end = now_ms() + ANSWER_MS;
	u32 k, left;
	int side;

	do {
		left = 0;
		for (k = 0; k < CONC_CLIENTS; k++)
			for (side = 0; side < SIDES; side++) {
				struct conn *c = &d->slots[cl[k].slot].c[side];
				bool all = conn_replies(c) == cl[k].sent[side];

				if (c->eof)
					differs(d, d->nacts - 1, "a connection's end",
						side ? "" : "closed", side ? "closed" : "");
				if (all && cl[k].sent[side] < cl[k].n)
					send_burst(d, &cl[k], side);
				else if (all)
					left--;
				left++;
				p[k * SIDES + side].fd = c->fd;
				p[k * SIDES + side].events = POLLIN;
			}
		if (!left)
			break;
		if (poll(p, CONC_CLIENTS * SIDES, 1000) > 0)
			end = now_ms() + ANSWER_MS;
		for (k = 0; k < CONC_CLIENTS; k++)
			for (side = 0; side < SIDES; side++)
				if (p[k * SIDES + side].revents)
					conn_read(&d->slots[cl[k].slot].c[side], 0);
	} while (now_ms() < end);
	if (left)
		no_end(d, cl);
}

/* The frames of one client, a window of requests at a time. */
static void compare(struct differ *d, struct client *c)
{
	struct slot *s = &d->slots[c->slot];
	u32 i;

	s->nq = 0;
	s->all = must(calloc(c->n, sizeof(*s->all)));
	for (i = 0; i < c->n; i++) {
		s->all[i].op = c->reqs[i].a.op;
		s->all[i].xid = i + 1;
		s->all[i].part = &c->reqs[i].a;
		s->all[i].action = d->nacts - 1;
	}
	s->nall = c->n;
	compare_frames(d, c->slot, false, true);
	free(s->all);
	s->all = NULL;
	s->nall = 0;
	s->xid = c->n;
}

void do_conc(struct differ *d, u64 seed, u32 requests)
{
	u64 state = rnd_state();
	struct client cl[CONC_CLIENTS];
	char path[8];
	struct jw w;
	u32 k, i;

	rnd_seed(seed);
	jw_init(&w, 0);
	for (k = 0; k < CONC_CLIENTS; k++) {
		struct action a = { .op = OP_CREATE };

		make_program(&cl[k], k, requests, d->depth);
		do_open(d, cl[k].slot, 300000);
		sprintf(path, "/c%u", k);
		w.len = 0;
		body_create(&w, path, 0);
		a.body = w.buf;
		a.len = w.len;
		slot_request(d, cl[k].slot, &a, d->nacts - 1);
		slot_flush(d, cl[k].slot, false, false);
		w.len = 0;
		body_auth(&w, "digest", user_auth(k));
		a = (struct action){ .op = OP_AUTH, .xid = XID_AUTH, .body = w.buf, .len = w.len };
		slot_request(d, cl[k].slot, &a, d->nacts - 1);
		slot_flush(d, cl[k].slot, false, false);
	}
	barrier(d, false);
	run(d, cl);
	for (k = 0; k < CONC_CLIENTS; k++)
		compare(d, &cl[k]);
	barrier(d, true);
	for (k = 0; k < CONC_CLIENTS; k++) {
		struct action a = { .op = OP_CLOSESESSION, .flags = F_FLUSH | F_CLOSES };

		slot_request(d, cl[k].slot, &a, d->nacts - 1);
		barrier(d, true);
		for (i = 0; i < requests; i++)
			free(cl[k].reqs[i].a.body);
		free(cl[k].reqs);
		d->ops += requests;
	}
	jw_free(&w);
	rnd_seed(state);
}
