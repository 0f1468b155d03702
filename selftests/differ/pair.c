// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A slot: one session at each server, whose connections get the same requests and
 * must give the same frames.
 */
#include <unistd.h>
#include "differ.h"

static u32 current;	/* the slot with requests not flushed */

void put_frame(struct jw *w, s32 xid, s32 op, const void *body, u32 len)
{
	jw_int(w, 8 + len);
	jw_int(w, xid);
	jw_int(w, op);
	jw_bytes(w, body, len);
}

bool op_is_write(s32 op)
{
	switch (op) {
	case OP_CREATE:
	case OP_CREATE2:
	case OP_CREATECONTAINER:
	case OP_CREATETTL:
	case OP_DELETE:
	case OP_DELETECONTAINER:
	case OP_SETDATA:
	case OP_SETACL:
	case OP_CHECK:
	case OP_MULTI:
	case OP_RECONFIG:
	case OP_CLOSESESSION:
		return true;
	}
	return false;
}

void slot_down(struct slot *s)
{
	conn_close(&s->c[0]);
	conn_close(&s->c[1]);
	s->up = false;
	s->nq = 0;
	s->acl_set = false;
}

/* The client goes away. The servers have seen it when this returns: what others ask then
 * (checkWatches) is not to hang on how fast that is. */
void slot_drop(struct differ *d, u32 n)
{
	struct slot *s = &d->slots[n];
	int side;

	if (!s->up)
		return;
	for (side = 0; side < SIDES; side++)
		if (!conn_hang_up(&s->c[side]))
			differs(d, d->nacts - 1, "the end of a dropped connection",
				side ? "closed" : "open", side ? "open" : "not asked");
	slot_down(s);
}

/* A setWatches that asks for what came after the slot's last zxid: each server's. */
static void patch_zxid(struct differ *d, struct slot *s, int side, s32 op, u32 at)
{
	struct jw *w = &s->c[side].out;
	u8 *p = w->buf + at + 12;

	if ((op == OP_SETWATCHES || op == OP_SETWATCHES2) && w->len - at >= 20 &&
	    (s64)jute_get64(p) == REL_LAST)
		jute_put64(p, s->last_zxid[ds_of(d, side)]);
}

void slot_request(struct differ *d, u32 n, const struct action *a, u32 number)
{
	struct slot *s = &d->slots[n];
	struct pending *q;
	int side;

	if (current != n)
		flush_current(d);
	current = n;
	s->acl_set |= a->op == OP_SETACL;
	q = &s->q[s->nq++];
	q->op = a->op;
	q->xid = a->xid ? a->xid : ++s->xid;
	q->action = number;
	q->part = NULL;
	for (side = 0; side < SIDES; side++) {
		u32 at = s->c[side].out.len;

		put_frame(&s->c[side].out, q->xid, q->op, a->body, a->len);
		patch_zxid(d, s, side, q->op, at);
	}
	d->ops++;
	/* one is left for a barrier's ping */
	if ((a->flags & F_FLUSH) || s->nq == PENDING_MAX - 1 || s->c[0].out.len > BURST_BYTES)
		slot_flush(d, n, a->flags & F_CLOSES, a->op == OP_CLOSESESSION);
}

/* ------------------------------------------------------------ comparing */

static int cmp_str(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static u32 last_action(const struct differ *d)
{
	return d->nacts ? d->nacts - 1 : 0;
}

/* The events that wait on a connection, sorted. */
static char **events_of(struct differ *d, int side, struct slot *s, u32 *count)
{
	struct conn *c = &s->c[side];
	char **v = must(calloc(c->nframes + 1, sizeof(*v)));
	struct text t = { 0 };
	u32 i, n = 0;

	for (i = 0; i < c->nframes; i++) {
		const u8 *p = conn_frame(c, i);

		if (!frame_is_event(p, c->frames[i].len))
			continue;
		canon(d, side, s, 0, false, p, c->frames[i].len, &t);
		v[n++] = must(strdup(t.s));
	}
	free(t.s);
	qsort(v, n, sizeof(*v), cmp_str);
	*count = n;
	return v;
}

static void compare_sorted_events(struct differ *d, struct slot *s)
{
	u32 n[SIDES], i;
	char **v[SIDES];
	int side;

	for (side = 0; side < SIDES; side++)
		v[side] = events_of(d, side, s, &n[side]);
	for (i = 0; i < n[0] || i < n[1]; i++) {
		const char *a = i < n[0] ? v[0][i] : "nothing", *b = i < n[1] ? v[1][i] : "nothing";

		if (strcmp(a, b))
			differs(d, last_action(d), "a set of events", a, b);
		d->events++;
	}
	for (side = 0; side < SIDES; side++) {
		for (i = 0; i < n[side]; i++)
			free(v[side][i]);
		free(v[side]);
	}
}

/* The next frame from *@i on that is to be compared; NULL at the end. */
static const u8 *next_frame(const struct conn *c, bool replies_only, u32 *i, u32 *len)
{
	for (; *i < c->nframes; (*i)++) {
		const u8 *p = conn_frame(c, *i);

		*len = c->frames[*i].len;
		if (replies_only && frame_is_event(p, *len))
			continue;
		(*i)++;
		return p;
	}
	return NULL;
}

/* Writes of clients that run at the same time: these two are one. */
static bool pair_up(struct differ *d, s32 op, const u8 *const *p)
{
	if (!op_is_write(op) || jute_get64(p[0] + 4) == ~0ULL)
		return true;
	return zxid_pair(d, jute_get64(p[0] + 4), jute_get64(p[1] + 4));
}

static void answered(struct differ *d, u32 n, const struct pending *q, const u8 *p, u32 len)
{
	struct jr r;

	if (!d->on_reply || len < 16)
		return;
	jr_init(&r, p + 16, len - 16);
	d->on_reply(d, n, q->op, (s32)jute_get32(p + 12), &r);
}

/* Takes and compares all frames that are here on slot @n. */
void compare_frames(struct differ *d, u32 n, bool unordered, bool loose)
{
	static struct text t[SIDES];
	struct slot *s = &d->slots[n];
	struct pending *all = s->all ? s->all : s->q;
	u32 i[SIDES] = { 0 }, len[SIDES], done = 0, n_q = s->all ? s->nall : s->nq;
	const u8 *p[SIDES];
	int side;

	if (unordered)
		compare_sorted_events(d, s);
	for (;;) {
		struct pending *q = done < n_q ? &all[done] : NULL;
		bool event = false;
		char what[32];
		s32 op = q ? q->op : OP_PING;

		d->part = q ? q->part : NULL;

		for (side = 0; side < SIDES; side++)
			p[side] = next_frame(&s->c[side], unordered, &i[side], &len[side]);
		if (!p[0] && !p[1])
			break;
		if (p[0] && p[1]) {
			event = frame_is_event(p[0], len[0]);
			if (loose && !event && !frame_is_event(p[1], len[1]) &&
			    !pair_up(d, op, p))
				differs(d, q->action, "a zxid that was another's", "", "");
		}
		for (side = 0; side < SIDES; side++) {
			t_reset(&t[side]);
			if (p[side])
				canon(d, side, s, op, loose, p[side], len[side], &t[side]);
			else
				t_str(&t[side], "nothing");
		}
		snprintf(what, sizeof(what), "a frame to slot %u", n);
		if (strcmp(t[0].s, t[1].s))
			differs(d, q ? q->action : last_action(d), what, t[0].s, t[1].s);
		if (d->answers)
			printf("#%u slot %u %s: %s\n", q ? q->action : last_action(d), n,
			       op_name(op), t[0].s);
		if (event) {
			d->events++;
			continue;
		}
		if (!q)
			differs(d, last_action(d), "an answer to nothing", t[0].s, t[1].s);
		if ((s32)jute_get32(p[0]) != (q->op == OP_PING ? XID_PING : q->xid))
			differs(d, q->action, "the xid", t[0].s, t[1].s);
		answered(d, n, q, p[0], len[0]);
		done++;
	}
	d->part = NULL;
	if (!s->all) {
		memmove(s->q, s->q + done, (s->nq - done) * sizeof(*s->q));
		s->nq -= done;
	}
	conn_consume(&s->c[0]);
	conn_consume(&s->c[1]);
}

/* ------------------------------------------------------------ flushing */

/* A server that closed, where the other has not yet. */
static void agree_on_eof(struct differ *d, struct slot *s, u32 action, bool closes)
{
	int side;

	if (!closes && !s->c[0].eof && !s->c[1].eof)
		return;
	for (side = 0; side < SIDES; side++)
		if (!conn_wait_eof(&s->c[side]))
			differs(d, action, "the end of the connection",
				s->c[0].eof ? "closed" : "open", s->c[1].eof ? "closed" : "open");
}

void slot_flush(struct differ *d, u32 n, bool closes, bool unordered)
{
	struct slot *s = &d->slots[n];
	u32 first = s->nq ? s->q[0].action : last_action(d);
	u32 last = s->nq ? s->q[s->nq - 1].action : last_action(d);
	bool end = s->nq && s->q[s->nq - 1].op == OP_CLOSESESSION;
	int side;

	for (side = 0; side < SIDES; side++)
		conn_flush(&s->c[side]);
	for (side = 0; side < SIDES; side++)
		if (!conn_wait(&s->c[side], s->nq))
			differs(d, first, "whether an answer comes at all",
				side ? "it came" : "none", side ? "none" : "not asked yet");
	agree_on_eof(d, s, last, closes);
	compare_frames(d, n, unordered, false);
	s->acl_set = false;
	if (s->c[0].eof) {
		slot_down(s);
		if (end)
			s->live = false;
	}
	if (current == n)
		current = 0;
}

void flush_current(struct differ *d)
{
	u32 n = current;

	if (n)
		slot_flush(d, n, false, false);
}

/* Every connection has had all that was queued for it before. */
void barrier(struct differ *d, bool unordered)
{
	struct slot *s;
	int side;
	u32 n;

	flush_current(d);
	for (n = 0; n < SLOTS; n++) {
		s = &d->slots[n];
		if (!s->up)
			continue;
		s->q[s->nq].op = OP_PING;
		s->q[s->nq].xid = XID_PING;
		s->q[s->nq].part = NULL;
		s->q[s->nq++].action = last_action(d);
		for (side = 0; side < SIDES; side++) {
			put_frame(&s->c[side].out, XID_PING, OP_PING, NULL, 0);
			conn_flush(&s->c[side]);
		}
	}
	for (n = 0; n < SLOTS; n++)
		if (d->slots[n].up)
			slot_flush(d, n, false, unordered);
}
