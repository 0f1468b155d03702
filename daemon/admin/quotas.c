// SPDX-License-Identifier: GPL-2.0-or-later
/* See quotas.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/admin/quotas.h"
#include "kmod/tree/track.h"

#define TOP		"/zookeeper/quota"
#define TOP_LEN		(sizeof(TOP) - 1)
#define LIMITS		"/zookeeper_limits"
#define STATS		"/zookeeper_stats"
#define MAX_DEPTH	130	/* names below TOP: as deep as quotas are kept, and their nodes */

const char *const quota_figure_names[QUOTA_N_FIGURES] = {
	[QUOTA_BYTES_LIMIT] = "quota_bytes_limit_per_namespace",
	[QUOTA_COUNT_USAGE] = "quota_count_usage_per_namespace",
	[QUOTA_COUNT_LIMIT] = "quota_count_limit_per_namespace",
	[QUOTA_BYTES_USAGE] = "quota_bytes_usage_per_namespace",
};

/* The path that is looked at, and room for what a node says. */
struct walk {
	struct store *st;
	struct quota_sums *q;
	struct jw path;
	char text[ZK_TRACK_MAX];
};

static bool ends_with(const struct jw *path, const char *end)
{
	size_t len = strlen(end);

	return path->len > len && !memcmp(path->buf + path->len - len, end, len);
}

/*
 * The sums of the name behind TOP, which is @len bytes. What is below a node comes
 * right behind it, so that it is the last one's or a new name. NULL: short of memory.
 */
static struct quota_sum *sum_of(struct quota_sums *q, const char *name, size_t len)
{
	struct quota_sum *s = q->n ? &q->v[q->n - 1] : NULL;
	u32 cap = q->cap ? 2 * q->cap : 16;

	if (s && strlen(s->name) == len && !memcmp(s->name, name, len))
		return s;
	if (q->n == q->cap) {
		s = realloc(q->v, cap * sizeof(*s));
		if (!s)
			return NULL;
		q->v = s;
		q->cap = cap;
	}
	s = &q->v[q->n];
	memset(s, 0, sizeof(*s));
	s->name = strndup(name, len);
	if (!s->name)
		return NULL;
	q->n++;
	return s;
}

static void add(struct quota_sum *s, enum quota_figure f, s64 x)
{
	s->has[f] = true;
	s->sum[f] = (u64)s->sum[f] + (u64)x;
}

/* The hard limit, if there is one. */
static s64 limit(const struct zk_track *t, const char *hard, const char *soft)
{
	s64 x = zk_track_get(t, hard);

	return x > -1 ? x : zk_track_get(t, soft);
}

/* A leaf. */
static int take(struct walk *w)
{
	bool limits = ends_with(&w->path, LIMITS);
	const char *name = (const char *)w->path.buf + TOP_LEN + 1, *end;
	size_t len = w->path.len - TOP_LEN - 1;
	struct store_node node;
	struct quota_sum *s;
	struct zk_track t;
	int err;

	if (!limits && !ends_with(&w->path, STATS))
		return 0;
	err = w->st->ops->get(w->st, (const char *)w->path.buf, w->path.len, &node, w->text,
			      sizeof(w->text));
	if (err)
		return err == -EMSGSIZE ? 0 : err;
	if (zk_track_parse(&t, w->text, node.data_len))
		return 0;
	end = memchr(name, '/', len);
	s = sum_of(w->q, name, end ? (size_t)(end - name) : len);
	if (!s)
		return -ENOMEM;
	if (limits) {
		add(s, QUOTA_COUNT_LIMIT, limit(&t, "countHardLimit", "count"));
		add(s, QUOTA_BYTES_LIMIT, limit(&t, "byteHardLimit", "bytes"));
	} else {
		add(s, QUOTA_COUNT_USAGE, zk_track_get(&t, "count"));
		add(s, QUOTA_BYTES_USAGE, zk_track_get(&t, "bytes"));
	}
	return 0;
}

static int look(struct walk *w, u32 depth);

static int look_below(struct walk *w, u32 depth, const u8 *list)
{
	size_t len = w->path.len;
	u32 name_len;
	int err = 0;

	for (u32 n = jute_get32(list); n && !err; n--) {
		name_len = jute_get32(list + 4);
		jw_bytes(&w->path, "/", 1);
		jw_bytes(&w->path, list + 8, name_len);
		err = w->path.err ? w->path.err : look(w, depth + 1);
		w->path.len = len;
		list += 4 + name_len;
	}
	return err;
}

/* The node at ->path and all below; one that has just gone is nothing. */
static int look(struct walk *w, u32 depth)
{
	struct store_node node;
	struct jw list;
	int err;

	jw_init(&list, 0);
	err = w->st->ops->children(w->st, (const char *)w->path.buf, w->path.len, &node, &list);
	if (!err)
		err = list.err;
	if (!err && !node.stat.num_children)
		err = depth ? take(w) : 0;
	else if (!err && depth < MAX_DEPTH)
		err = look_below(w, depth, list.buf);
	jw_free(&list);
	return err == -ENOENT ? 0 : err;
}

int quota_sums(struct store *st, struct quota_sums *q)
{
	struct walk w = { .st = st, .q = q };
	int err;

	memset(q, 0, sizeof(*q));
	jw_init(&w.path, 0);
	jw_bytes(&w.path, TOP, TOP_LEN);
	err = w.path.err ? w.path.err : look(&w, 0);
	jw_free(&w.path);
	return err;
}

void quota_sums_free(struct quota_sums *q)
{
	for (u32 i = 0; i < q->n; i++)
		free(q->v[i].name);
	free(q->v);
	memset(q, 0, sizeof(*q));
}
