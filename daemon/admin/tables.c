// SPDX-License-Identifier: GPL-2.0-or-later
/* See tables.h. */
#include <errno.h>
#include <stdlib.h>

#include "daemon/admin/tables.h"
#include "daemon/base/digestlog.h"
#include "daemon/server/walk.h"

#define DIGEST_VERSION	2	/* DigestCalculator */

static void put_connection(struct jout *j, const struct conn_view *v, bool brief)
{
	const struct conn_stats *s = &v->stats;
	struct jout in;

	jout_object(j, &in);
	jout_key(j, "remote_socket_address");
	jout_string(j, v->name + (v->name[0] == '/'));
	jout_field(j, "interest_ops", v->reads);
	jout_field(j, "outstanding_requests", v->asked);
	jout_field(j, "packets_received", s->received);
	jout_field(j, "packets_sent", s->sent);
	if (!brief) {
		jout_field(j, "session_id", v->session);
		jout_key(j, "last_operation");
		jout_string(j, s->op == -1 ? "NA" : stats_op(s->op));
		jout_field(j, "established", s->established_ms);
		jout_field(j, "session_timeout", v->timeout);
		jout_field(j, "last_cxid", s->last_cxid);
		jout_field(j, "last_zxid", s->last_zxid);
		jout_field(j, "last_response_time", s->last_ms);
		jout_field(j, "last_latency", s->last_latency);
		jout_field(j, "min_latency", s->min_latency);
		jout_field(j, "avg_latency", s->count ? s->total_latency / s->count : 0);
		jout_field(j, "max_latency", s->max_latency);
	}
	jout_object_end(j, &in);
}

void table_connections(struct client_side *cs, struct jout *j, bool brief)
{
	struct conn_view *v;
	struct jout in;
	u32 n;

	if (conns_view(cs, &v, &n))
		j->out->err = -ENOMEM;
	jout_array(j, &in);
	for (u32 i = 0; i < n; i++)
		put_connection(j, &v[i], brief);
	jout_array_end(j, &in);
	free(v);
}

static void put_expiries(struct client_side *cs, struct jout *j, const struct walk_session *s,
			 u32 n)
{
	struct jout in, list;
	u64 last = 0, at;

	jout_key(j, "expiry_time_to_session_ids");
	jout_object(j, &in);
	for (u32 i = 0; i < n; i++) {
		at = expiry_round(s[i].expires_ms, cs->cfg->tick_ms);
		if (!i || at != last) {
			if (i)
				jout_array_end(j, &list);
			jout_key_number(j, at);
			jout_array(j, &list);
			last = at;
		}
		jout_number(j, s[i].id);
	}
	if (n)
		jout_array_end(j, &list);
	jout_object_end(j, &in);
}

struct owned {
	struct jout *j;
	struct jout list;
	u64 session;
	bool any;
};

static int put_owned(void *arg, const char *path, u32 len)
{
	struct owned *o = arg;

	if (!o->any) {
		jout_key_number(o->j, o->session);
		jout_array(o->j, &o->list);
		o->any = true;
	}
	jout_text(o->j, path, len);
	return o->j->out->err;
}

void table_sessions(struct client_side *cs, struct jout *j)
{
	struct owned o = { .j = j };
	struct walk_session *s;
	struct jout in;
	u32 n;

	if (walk_sessions(cs->core, &s, &n))
		j->out->err = -ENOMEM;
	put_expiries(cs, j, s, n);
	jout_key(j, "session_id_to_ephemeral_paths");
	jout_object(j, &in);
	for (u32 i = 0; i < n && !j->out->err; i++) {
		o.session = s[i].id;
		o.any = false;
		cs->st->ops->owned(cs->st, s[i].id, put_owned, &o);
		if (o.any)
			jout_array_end(j, &o.list);
	}
	jout_object_end(j, &in);
	free(s);
}

void table_digests(struct client_side *cs, struct jout *j)
{
	struct digest_entry *e = malloc(DIGEST_LOG_MAX * sizeof(*e));
	struct jout in, one;
	u32 n = 0;

	if (!e)
		j->out->err = -ENOMEM;
	else if (cs->cfg->digest_enabled)
		n = digest_log_copy(e);
	jout_array(j, &in);
	for (u32 i = 0; i < n; i++) {
		jout_object(j, &one);
		jout_field(j, "zxid", e[i].zxid);
		jout_field(j, "digest", e[i].digest);
		jout_field(j, "digest_version", DIGEST_VERSION);
		jout_object_end(j, &one);
	}
	jout_array_end(j, &in);
	free(e);
}

static void watch_key(struct jout *j, const struct walk_watch *w, bool by_session)
{
	char *path;

	if (by_session) {
		jout_key_number(j, w->session);
		return;
	}
	path = strndup(w->path->path, w->path->len);
	if (!path)
		j->out->err = -ENOMEM;
	jout_key(j, path ? path : "");
	free(path);
}

static bool same_key(const struct walk_watch *a, const struct walk_watch *b, bool by_session)
{
	return by_session ? a->session == b->session : a->path == b->path;
}

void table_watches(struct client_side *cs, struct jout *j, bool by_session)
{
	struct walk_watches w;
	struct jout in, list;

	if (walk_watches(cs->core, &w))
		j->out->err = -ENOMEM;
	if (by_session)
		walk_by_session(&w);
	jout_object(j, &in);
	for (u64 i = 0; i < w.n; i++) {
		if (!i || !same_key(&w.watches[i], &w.watches[i - 1], by_session)) {
			if (i)
				jout_array_end(j, &list);
			watch_key(j, &w.watches[i], by_session);
			jout_array(j, &list);
		}
		if (by_session)
			jout_text(j, w.watches[i].path->path, w.watches[i].path->len);
		else
			jout_number(j, w.watches[i].session);
	}
	if (w.n)
		jout_array_end(j, &list);
	jout_object_end(j, &in);
	walk_free(&w);
}

void table_watch_summary(struct client_side *cs, struct jout *j)
{
	struct walk_watches w;

	if (walk_watches(cs->core, &w))
		j->out->err = -ENOMEM;
	walk_by_session(&w);
	jout_field(j, "num_connections", walk_count_sessions(&w));
	jout_field(j, "num_paths", w.n_paths);
	jout_field(j, "num_total_watches", w.n);
	walk_free(&w);
}
