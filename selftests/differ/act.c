// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Doing actions, keeping them, telling what led to a difference.
 *
 * A trace is text, a line for each action: kind, slot, flags, op, xid, value, body in
 * hex ("-": none).
 */
#include <errno.h>
#include "differ.h"

#define SHOW_LAST 12	/* of the actions that name the same path */

/* ------------------------------------------------------------ telling */

static struct jstr path_of(const struct action *a)
{
	struct jstr none = { NULL, -1 };
	struct jr r;

	if (a->kind != A_REQ || a->op == OP_MULTI || a->op == OP_MULTIREAD ||
	    a->op == OP_SETWATCHES || a->op == OP_SETWATCHES2 || a->op == OP_AUTH)
		return none;
	jr_init(&r, a->body, a->len);
	return jr_str(&r);
}

static bool names(const struct action *a, struct jstr path)
{
	return path.len > 1 && a->len >= (u32)path.len &&
	       memmem(a->body, a->len, path.p, path.len);
}

static void show(const struct differ *d, u32 i, struct text *t)
{
	t_reset(t);
	describe(&d->acts[i], t);
	printf("  #%u %s\n", i, t->s);
}

void differs(struct differ *d, u32 action, const char *what, const char *a, const char *b)
{
	struct jstr path = { NULL, -1 };
	struct text t = { 0 };
	u32 i, n, from;

	printf("DIFFERENCE seed %llu action %u requests %llu: %s\n",
	       (unsigned long long)d->seed, action, (unsigned long long)d->ops, what);
	printf("  %s: %s\n  %s: %s\n", side_name[0], a, side_name[1], b);
	if (d->part) {
		describe(d->part, &t);
		printf("  answering %s\n", t.s);
	}
	printf("at and before it:\n");
	if (d->nacts) {
		path = path_of(&d->acts[action]);
		from = action > 8 ? action - 8 : 0;
		for (i = from; i <= action; i++)
			show(d, i, &t);
		printf("what named its path before:\n");
		for (i = from, n = 0; i-- > 0 && n < SHOW_LAST;)
			if (names(&d->acts[i], path)) {
				show(d, i, &t);
				n++;
			}
	}
	if (d->trace) {
		trace_write(d, d->trace);
		printf("trace: %s\n", d->trace);
	}
	fflush(stdout);
	exit(2);
}

/* ------------------------------------------------------------ traces */

void trace_write(const struct differ *d, const char *file)
{
	FILE *f = fopen(file, "w");
	u32 i, k;

	if (!f)
		die("%s: %s", file, strerror(errno));
	for (i = 0; i < d->nacts; i++) {
		const struct action *a = &d->acts[i];

		fprintf(f, "%u %u %u %d %d %lld ", a->kind, a->slot, a->flags, a->op, a->xid,
			(long long)a->value);
		for (k = 0; k < a->len; k++)
			fprintf(f, "%02x", a->body[k]);
		fprintf(f, a->len ? "\n" : "-\n");
	}
	fclose(f);
}

/* FNV-1a of all actions so far: equal for equal sequences. */
u64 trace_hash(const struct differ *d)
{
	u64 h = 0xcbf29ce484222325ULL;
	u32 i, k;

	for (i = 0; i < d->nacts; i++) {
		const struct action *a = &d->acts[i];
		s64 head[] = { a->kind, a->slot, a->flags, a->op, a->xid, a->value, a->len };

		for (k = 0; k < sizeof(head) / sizeof(*head); k++)
			h = (h ^ (u64)head[k]) * 0x100000001b3ULL;
		for (k = 0; k < a->len; k++)
			h = (h ^ a->body[k]) * 0x100000001b3ULL;
	}
	return h;
}

static int nibble(char c)
{
	return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

static void parse_line(struct action *a, const char *line)
{
	unsigned int kind, slot, flags;
	int op, xid, at = 0;
	long long value;
	const char *p;
	u32 i;

	memset(a, 0, sizeof(*a));
	if (sscanf(line, "%u %u %u %d %d %lld %n", &kind, &slot, &flags, &op, &xid, &value,
		   &at) < 6 || kind >= A_KINDS || slot >= SLOTS || !at)
		die("no action: %s", line);
	a->kind = kind;
	a->slot = slot;
	a->flags = flags;
	a->op = op;
	a->xid = xid;
	a->value = value;
	p = line + at;
	if (*p == '-')
		return;
	a->len = strspn(p, "0123456789abcdef") / 2;
	a->body = must(malloc(a->len));
	for (i = 0; i < a->len; i++)
		a->body[i] = nibble(p[2 * i]) << 4 | nibble(p[2 * i + 1]);
}

void trace_run(struct differ *d, const char *file)
{
	FILE *f = fopen(file, "r");
	size_t cap = 0;
	char *line = NULL;
	struct action a;

	if (!f)
		die("%s: %s", file, strerror(errno));
	while (getline(&line, &cap, f) > 0) {
		parse_line(&a, line);
		act(d, &a);
	}
	free(line);
	fclose(f);
}

/* ------------------------------------------------------------ doing */

static void do_request(struct differ *d, struct action *a)
{
	struct slot *s = &d->slots[a->slot];

	if (!s->up)
		return;
	if (a->op == OP_CLOSESESSION) {
		barrier(d, false);
		a->flags |= F_FLUSH | F_CLOSES;
	}
	if ((a->flags & F_ALONE) || (s->acl_set && op_is_write(a->op)))
		slot_flush(d, a->slot, false, false);
	if (s->up)
		slot_request(d, a->slot, a, d->nacts - 1);
	if (a->op == OP_CLOSESESSION)
		barrier(d, true);
}

static void do_raw(struct differ *d, const struct action *a)
{
	struct slot *s = &d->slots[a->slot];

	if (!s->up)
		return;
	conn_send(&s->c[0], a->body, a->len);
	conn_send(&s->c[1], a->body, a->len);
	slot_flush(d, a->slot, true, false);
}

static void keep(struct differ *d, const struct action *a)
{
	if (d->nacts == d->acts_cap) {
		d->acts_cap = d->acts_cap ? 2 * d->acts_cap : 4096;
		d->acts = must(realloc(d->acts, d->acts_cap * sizeof(*a)));
	}
	d->acts[d->nacts++] = *a;
}

void act(struct differ *d, struct action *a)
{
	u32 n = a->slot;

	if (a->kind != A_REQ)
		flush_current(d);
	keep(d, a);
	switch (a->kind) {
	case A_OPEN:
		do_open(d, n, a->value);
		break;
	case A_REQ:
		do_request(d, a);
		break;
	case A_RAW:
		do_raw(d, a);
		break;
	case A_DROP:
		barrier(d, false);
		slot_drop(d, n);
		break;
	case A_RECON:
		barrier(d, false);
		do_recon(d, n, a->value);
		break;
	case A_EXPIRE:
		do_expire(d, n, a);
		break;
	case A_HELLO:
		do_hello(d, a);
		break;
	case A_WORD:
		barrier(d, false);
		do_word(d, a);
		break;
	case A_BARRIER:
		barrier(d, false);
		break;
	case A_WALK:
		barrier(d, false);
		walk(d, NULL, NULL);
		break;
	case A_RESTART:
		do_restart(d, a->value);
		break;
	case A_CLOSE:
		slot_request(d, WALKER, &(struct action){ .op = OP_CLOSESESSION,
			     .flags = F_FLUSH | F_CLOSES }, d->nacts - 1);
		break;
	case A_CONC:
		barrier(d, false);
		do_conc(d, a->value, a->op);
		break;
	}
}

/* Takes what @body holds and leaves it empty. */
void act_req(struct differ *d, u32 slot, s32 op, u32 flags, struct jw *body)
{
	struct action a = { .kind = A_REQ, .slot = slot, .op = op,
			    .flags = flags };

	if (body->err)
		die("a body that does not fit");
	a.body = body->buf;
	a.len = body->len;
	jw_init(body, 0);
	if (op == OP_AUTH)
		a.xid = XID_AUTH;
	if (op == OP_SETWATCHES || op == OP_SETWATCHES2)
		a.xid = XID_SETWATCHES;
	act(d, &a);
}

void act_simple(struct differ *d, u32 kind, u32 slot, s64 value, const void *body, u32 len)
{
	struct action a = { .kind = kind, .slot = slot, .value = value, .len = len };

	if (len) {
		a.body = must(malloc(len));
		memcpy(a.body, body, len);
	}
	act(d, &a);
}
