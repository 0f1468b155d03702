// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What happens: bursts of requests on one slot after another, and between them
 * whatever befalls sessions, connections and servers.
 */
#include "differ.h"

#define TIMEOUT		300000	/* of sessions that shall live, ms */
#define SHORT_TIMEOUT	3000	/* of one that shall expire */
#define NODES_MAX	4000	/* then the tree is thinned out */

static struct scope scope = { .prefix = "" };

/* ------------------------------------------------------------ learning */

static void on_reply(struct differ *d, u32 slot, s32 op, s32 err, struct jr *body)
{
	struct jstr p;

	(void)d;
	if (err || slot < FIRST_SLOT || slot > LAST_SLOT)
		return;
	if (op != OP_CREATE && op != OP_CREATE2 && op != OP_CREATETTL)
		return;
	p = jr_str(body);
	if (p.len > 10 && p.p[p.len - 1] >= '0' && p.p[p.len - 1] <= '9')
		learn_path(p.p, p.len);
}

/* ------------------------------------------------------------ thinning out */

struct leaves {
	char **v;
	u32 n, cap;
};

static void on_node(void *arg, const char *path, u32 children)
{
	struct leaves *l = arg;

	if (children || !strncmp(path, "/zookeeper", 10) || rnd(4) == 0)
		return;
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 256;
		l->v = must(realloc(l->v, l->cap * sizeof(*l->v)));
	}
	l->v[l->n++] = must(strdup(path));
}

/* The walker deletes most leaves: as actions, so that a trace has them. */
static void walk_and_thin(struct differ *d)
{
	struct leaves l = { 0 };
	struct jw w;
	u32 i, total;

	barrier(d, false);
	total = walk(d, on_node, &l);
	jw_init(&w, 0);
	for (i = 0; i < l.n; i++) {
		if (total > NODES_MAX) {
			jw_str(&w, l.v[i], strlen(l.v[i]));
			jw_int(&w, -1);
			act_req(d, WALKER, OP_DELETE, 0, &w);
		}
		free(l.v[i]);
	}
	free(l.v);
	jw_free(&w);
	slot_flush(d, WALKER, false, false);
	act_simple(d, A_WALK, WALKER, 0, NULL, 0);
}

/* ------------------------------------------------------------ events of a session's life */

static void authenticate(struct differ *d, u32 n)
{
	struct jw w;

	jw_init(&w, 0);
	body_auth(&w, "digest", user_auth(rnd(USERS)));
	act_req(d, n, OP_AUTH, F_ALONE | F_FLUSH, &w);
}

static void connect_slot(struct differ *d, u32 n)
{
	if (d->slots[n].live)
		act_simple(d, A_RECON, n, rnd(5) ? RECON_RIGHT : RECON_OLD, NULL, 0);
	else
		act_simple(d, A_OPEN, n, TIMEOUT, NULL, 0);
	if (rnd(4))
		authenticate(d, n);
}

/* Lengths that no frame may have, and frames that are no requests. */
static void raw(struct differ *d, u32 n)
{
	static const struct {
		const char *s;
		u32 len;
	} bad[] = {
#define E(s) { s, sizeof(s) - 1 }
		E("\xff\xff\xff\xff"), E("\x80\0\0\0"), E("\0\x10\0\0"), E("\x7f\xff\xff\xff"),
		E("\0\0\0\0"), E("\0\0\0\4\0\0\0\1"), E("\0\0\0\7\0\0\0\1\0\0\0"), E("ruok"),
		E("GET / HTTP/1.1\r\n\r\n"),
#undef E
	};
	u32 i = rnd(sizeof(bad) / sizeof(*bad));

	act_simple(d, A_RAW, n, 0, bad[i].s, bad[i].len);
}

static void hello(struct differ *d)
{
	static const s32 cuts[] = { 4, 8, 20, 28, 43 };
	static const u8 passwd[ZK_PASSWD_LEN];
	struct jw w;
	u32 k = rnd(8), n;

	jw_init(&w, 0);
	connect_request(&w, 0, 30000, 0, passwd, true);
	n = w.len;
	if (k < 5) {		/* a whole frame, that is too short for what it is */
		n = 4 + cuts[k];
		jute_put32(w.buf, cuts[k]);
	} else if (k == 5) {
		jute_put32(w.buf, -1);
	} else if (k == 6) {
		jute_put64(w.buf + 8, 1ULL << 50);	/* a zxid in the future */
	} else {
		memcpy(w.buf, "\x16\3\1\2", 4);
	}
	act_simple(d, A_HELLO, WALKER, 0, w.buf, n);
	jw_free(&w);
}

static void words(struct differ *d)
{
	static const char *const w[] = { "ruok", "srvr", "mntr", "isro" };
	u32 i = rnd(4);

	act_simple(d, A_WORD, WALKER, 0, w[i], 4);
}

/* Whoever may not create at the root any more, may again. */
static void open_root(struct differ *d)
{
	struct jw w;

	jw_init(&w, 0);
	jw_str(&w, "/", 1);
	jw_int(&w, 1);
	jw_int(&w, PERM_ALL);
	jw_str(&w, "world", 5);
	jw_str(&w, "anyone", 6);
	jw_int(&w, -1);
	flush_current(d);
	act_req(d, WALKER, OP_SETACL, F_FLUSH, &w);
}

static void expire(struct differ *d)
{
	static u32 count;
	char marker[64];
	struct jw w;
	u32 i, flags;
	s32 op;

	open_root(d);
	jw_init(&w, 0);
	act_simple(d, A_OPEN, SHORT_SLOT, SHORT_TIMEOUT, NULL, 0);
	sprintf(marker, "/expires%u", count++);
	body_create(&w, marker, CREATE_EPHEMERAL);
	act_req(d, SHORT_SLOT, OP_CREATE, F_FLUSH, &w);
	for (i = 0; i < 20; i++) {
		do {
			w.len = 0;
			op = body_random(&scope, &w, &flags);
		} while (flags || (op != OP_CREATE && op != OP_GETDATA && op != OP_MULTI));
		act_req(d, SHORT_SLOT, op, 0, &w);
	}
	jw_free(&w);
	act_simple(d, A_EXPIRE, SHORT_SLOT, 0, marker, strlen(marker));
}

static void incident(struct differ *d, u32 n)
{
	u32 k = rnd(100);

	if (k < 15)
		act_simple(d, A_DROP, n, 0, NULL, 0);
	else if (k < 45)
		act_simple(d, A_RECON, n, rnd(5), NULL, 0);
	else if (k < 60)
		raw(d, n);
	else if (k < 80)
		hello(d);
	else
		words(d);
}

/* ------------------------------------------------------------ the run */

static void burst(struct differ *d, u32 n)
{
	static const s32 xids[] = { -3, -5, 0x7fffffff, -0x7fffffff - 1, -2, -4, -8 };
	u32 i, len = 1 + rnd(DEPTH), flags;
	struct jw w;
	s32 op;

	jw_init(&w, 0);
	for (i = 0; i < len && d->slots[n].up; i++) {
		w.len = 0;
		op = body_random(&scope, &w, &flags);
		if (i % d->depth == d->depth - 1)
			flags |= F_FLUSH;
		if (op != OP_PING && !(flags & ~F_FLUSH) && !rnd(200)) {
			struct action a = { .kind = A_REQ, .slot = n, .op = op, .flags = flags,
					    .len = w.len, .body = w.buf, .xid = xids[rnd(7)] };
			jw_init(&w, 0);
			act(d, &a);
			continue;
		}
		act_req(d, n, op, flags, &w);
	}
	jw_free(&w);
	if (d->slots[n].up)
		slot_flush(d, n, false, false);
}

static void restart(struct differ *d, u32 count)
{
	static const enum restart how[] = { RESTART_KILL, RESTART_SWAP, RESTART_STOP,
		RESTART_SWAP };

	act_simple(d, A_RESTART, WALKER, how[count % 4], NULL, 0);
}

/* Has @every of requests passed since the last time? */
static bool due(const struct differ *d, u64 every, u64 *last)
{
	if (!every || d->ops < *last + every)
		return false;
	*last = d->ops;
	return true;
}

static void concurrent(struct differ *d)
{
	struct action a = { .kind = A_CONC, .slot = WALKER, .value = rnd64() >> 1, .op = 1000 };

	open_root(d);
	act(d, &a);
}

void generate(struct differ *d, const struct plan *p)
{
	u64 walked = 0, restarted = 0, expired = 0, conc = 0, said = 0;
	u32 n, restarts = 0;

	d->on_reply = on_reply;
	while (d->ops < p->ops) {
		n = FIRST_SLOT + rnd(LAST_SLOT - FIRST_SLOT + 1);
		if (!d->slots[n].up)
			connect_slot(d, n);
		burst(d, n);
		if (!rnd(4))
			act_simple(d, A_BARRIER, WALKER, 0, NULL, 0);
		if (!rnd(30))
			incident(d, FIRST_SLOT + rnd(LAST_SLOT - FIRST_SLOT + 1));
		if (due(d, p->walk_every, &walked))
			walk_and_thin(d);
		if (due(d, p->expire_every, &expired))
			expire(d);
		if (due(d, p->conc_every, &conc))
			concurrent(d);
		if (due(d, p->restart_every, &restarted))
			restart(d, restarts++);
		if (due(d, 50000, &said)) {
			printf("progress %llu requests, %llu events\n",
			       (unsigned long long)d->ops, (unsigned long long)d->events);
			fflush(stdout);
		}
	}
	walk_and_thin(d);
	act_simple(d, A_WORD, WALKER, 0, "mntr", 4);
	for (n = 0; n < (p->restart_every ? 4 : 2); n++)
		restart(d, restarts++);
}
