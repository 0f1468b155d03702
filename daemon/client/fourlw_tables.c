// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The four-letter words that print tables: sessions and what expires (dump), and
 * watches (wchs, wchc, wchp). Run on the thread of report.h.
 */
#include <stdlib.h>
#include <time.h>

#include "daemon/client/fourlw.h"
#include "daemon/client/report.h"
#include "daemon/server/walk.h"
#include "daemon/zab/zab.h"

#define CNXN_TICK_MS	10000	/* of NIOServerCnxnFactory's cnxnExpiryQueue */

/* ------------------------------------------------------------ dump */

/* Date.toString() of a moment of the monotonic clock. */
static void put_date(struct jw *out, u64 ms)
{
	struct timespec wall, mono;
	char text[64];
	struct tm tm;
	time_t t;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	t = wall.tv_sec + ((s64)ms - (s64)(mono.tv_sec * 1000 + mono.tv_nsec / 1000000)) / 1000;
	if (!localtime_r(&t, &tm) ||
	    !strftime(text, sizeof(text), "%a %b %d %H:%M:%S %Z %Y", &tm))
		text[0] = 0;
	jw_printf(out, "%s", text);
}

/* One thing that expires, as ExpiryQueue.dump() lists them. */
struct expiring {
	u64 ms;
	u64 session;
	s32 timeout;
	const char *name;	/* of a connection; NULL: a session */
};

static int by_time(const void *a, const void *b)
{
	const struct expiring *x = a, *y = b;

	return x->ms < y->ms ? -1 : x->ms > y->ms;
}

static void put_expiring(struct jw *out, const char *what, struct expiring *e, u32 n)
{
	u32 sets = 0, k;

	qsort(e, n, sizeof(*e), by_time);
	for (u32 i = 0; i < n; i++)
		sets += !i || e[i].ms != e[i - 1].ms;
	jw_printf(out, "%s Sets (%u)/(%u):\n", what, sets, n);
	for (u32 i = 0; i < n; i = k) {
		for (k = i; k < n && e[k].ms == e[i].ms; k++)
			;
		jw_printf(out, "%u expire at ", k - i);
		put_date(out, e[i].ms);
		jw_printf(out, ":\n");
		for (u32 j = i; j < k; j++) {
			if (e[j].name)
				jw_printf(out, "\tip: %s sessionId: 0x%llx\n", e[j].name,
					  e[j].session);
			else
				jw_printf(out, "\t0x%llx\n", e[j].session);
		}
	}
}

/* ExpiryQueue.roundToNextInterval() */
u64 expiry_round(u64 ms, u64 tick)
{
	return (ms / tick + 1) * tick;
}

struct owned {
	struct jw *out;
	u64 session;
	u32 n;		/* of this session */
	u32 sessions;	/* that had any */
};

static int put_owned(void *arg, const char *path, u32 len)
{
	struct owned *o = arg;

	if (!o->n++) {
		o->sessions++;
		jw_printf(o->out, "0x%llx:\n", o->session);
	}
	jw_bytes(o->out, "\t", 1);
	jw_bytes(o->out, path, len);
	jw_bytes(o->out, "\n", 1);
	return o->out->err;
}

static void put_ephemerals(struct client_side *cs, struct jw *out,
			   const struct walk_session *s, u32 n)
{
	struct owned o = { .out = out };
	struct jw text;

	/* their number comes first */
	jw_init(&text, 0);
	o.out = &text;
	for (u32 i = 0; i < n && !text.err; i++) {
		o.session = s[i].id;
		o.n = 0;
		cs->st->ops->owned(cs->st, s[i].id, put_owned, &o);
	}
	jw_printf(out, "ephemeral nodes dump:\nSessions with Ephemerals (%u):\n", o.sessions);
	jw_bytes(out, text.buf, text.len);
	if (text.err)
		out->err = text.err;
	jw_free(&text);
}

static int by_id(const void *a, const void *b)
{
	const struct expiring *x = a, *y = b;

	return x->session < y->session ? -1 : x->session > y->session;
}

/* Those that are local, or that are not; their number. */
static u32 expiring_of(const struct client_side *cs, const struct walk_session *s, u32 n,
		       bool local, struct expiring *e)
{
	u32 found = 0;

	for (u32 i = 0; i < n; i++) {
		if (s[i].local != local)
			continue;
		e[found].ms = expiry_round(s[i].expires_ms, cs->cfg->tick_ms);
		e[found].timeout = s[i].timeout;
		e[found++].session = s[i].id;
	}
	return found;
}

/* LearnerSessionTracker.dumpSessions(): it is the leader that knows when these expire. */
static void put_global(struct jw *out, struct expiring *e, u32 n)
{
	qsort(e, n, sizeof(*e), by_id);
	jw_printf(out, "Global Sessions(%u):\n", n);
	for (u32 i = 0; i < n; i++)
		jw_printf(out, "0x%llx\t%dms\n", e[i].session, e[i].timeout);
}

static void put_trackers(struct client_side *cs, struct jw *out, struct expiring *e,
			 const struct walk_session *s, u32 n)
{
	struct core_stats st = { .zxid = 0 };
	u32 found = expiring_of(cs, s, n, true, e);
	bool locals = cs->cfg->ensemble && (cs->cfg->local_sessions || found);

	core_stats(cs->core, &st);
	jw_printf(out, "SessionTracker dump:\n");
	if (locals)
		put_expiring(out, "Local Session", e, found);
	found = expiring_of(cs, s, n, false, e);
	if (cs->cfg->ensemble && st.state != ZAB_LEADING)
		put_global(out, e, found);
	else
		put_expiring(out, locals ? "Global Session" : "Session", e, found);
}

static int put_sessions(struct client_side *cs, struct jw *out)
{
	struct walk_session *s;
	struct expiring *e;
	u32 n;
	int err = walk_sessions(cs->core, &s, &n);

	if (err)
		return err;
	e = calloc(n + 1, sizeof(*e));
	if (!e) {
		free(s);
		return -ENOMEM;
	}
	put_trackers(cs, out, e, s, n);
	put_ephemerals(cs, out, s, n);
	free(e);
	free(s);
	return 0;
}

/* When a silent connection would be closed, by the last that it was told. */
static int put_cnxns(struct client_side *cs, struct jw *out)
{
	struct conn_view *v;
	struct expiring *e;
	u32 n;

	if (conns_view(cs, &v, &n))
		return -ENOMEM;
	e = calloc(n + 1, sizeof(*e));
	for (u32 i = 0; e && i < n; i++) {
		u64 last = v[i].stats.last_ms ? v[i].stats.last_ms : coarse_ms();

		u32 left = v[i].session ? (u32)v[i].timeout : cs->cfg->sessionless_ms;

		e[i].ms = expiry_round(last + left, CNXN_TICK_MS);
		e[i].session = v[i].session;
		e[i].name = v[i].name;
	}
	jw_printf(out, "Connections dump:\n");
	if (e)
		put_expiring(out, "Connections", e, n);
	free(v);
	free(e);
	return e ? 0 : -ENOMEM;
}

void say_dump(struct client_side *cs, struct jw *out)
{
	int err = put_sessions(cs, out);

	if (!err)
		err = put_cnxns(cs, out);
	if (err)
		out->err = err;
}

/* ------------------------------------------------------------ watches */

static void put_path(struct jw *out, const char *before, const struct walk_path *p)
{
	jw_bytes(out, before, strlen(before));
	jw_bytes(out, p->path, p->len);
	jw_bytes(out, "\n", 1);
}

void say_wchp(struct client_side *cs, struct jw *out)
{
	struct walk_watches w;
	int err = walk_watches(cs->core, &w);

	for (u64 i = 0; i < w.n && !err; i++) {
		if (!i || w.watches[i].path != w.watches[i - 1].path)
			put_path(out, "", w.watches[i].path);
		jw_printf(out, "\t0x%llx\n", w.watches[i].session);
	}
	jw_printf(out, "\n");
	if (err)
		out->err = err;
	walk_free(&w);
}

void say_wchc(struct client_side *cs, struct jw *out)
{
	struct walk_watches w;
	int err = walk_watches(cs->core, &w);

	walk_by_session(&w);
	for (u64 i = 0; i < w.n && !err; i++) {
		if (!i || w.watches[i].session != w.watches[i - 1].session)
			jw_printf(out, "0x%llx\n", w.watches[i].session);
		put_path(out, "\t", w.watches[i].path);
	}
	jw_printf(out, "\n");
	if (err)
		out->err = err;
	walk_free(&w);
}

void say_wchs(struct client_side *cs, struct jw *out)
{
	struct walk_watches w;

	if (walk_watches(cs->core, &w))
		out->err = -ENOMEM;
	walk_by_session(&w);
	jw_printf(out, "%llu connections watching %llu paths\nTotal watches:%llu\n",
		  walk_count_sessions(&w), w.n_paths, w.n);
	walk_free(&w);
}
