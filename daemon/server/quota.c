// SPDX-License-Identifier: GPL-2.0-or-later
/* See quota.h. Which quota is a path's is told as in kmod/tree/quota.c. */
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/server/quota.h"
#include "kmod/tree/track.h"

#define TOP		"/zookeeper/quota"
#define TOP_LEN		(sizeof(TOP) - 1)
#define LIMITS		"/zookeeper_limits"
#define STATS		"/zookeeper_stats"
#define MAX_DEPTH	128

/* A node's text and what it says. */
struct figures {
	struct zk_track track;
	char text[ZK_TRACK_MAX];
};

/* 0 or the store's error, -ENOENT among them. */
static int look(struct prep *p, const char *path, u32 len, struct store_node *node, void *buf,
		u32 cap)
{
	struct store *st = p->ch->st;
	int rc = st->ops->get(st, path, len, node, buf, cap);

	return rc == -EINVAL || rc == -ENAMETOOLONG ? -ENOENT : rc;
}

/* The path of the node @name below TOP and the quota's path, into p->quota. */
static u32 put_path(struct prep *p, const char *path, u32 len, const char *name)
{
	p->quota.len = 0;
	jw_bytes(&p->quota, TOP, TOP_LEN);
	jw_bytes(&p->quota, path, len);
	jw_bytes(&p->quota, name, strlen(name));
	return p->quota.len;
}

static int look_at(struct prep *p, const char *path, u32 len, const char *name,
		   struct store_node *node, void *buf, u32 cap)
{
	u32 n = put_path(p, path, len, name);

	if (p->quota.err)
		return p->quota.err;
	return look(p, (const char *)p->quota.buf, n, node, buf, cap);
}

static u32 name_end(const char *path, u32 at, u32 len)
{
	do
		at++;
	while (at < len && path[at] != '/');
	return at;
}

/* Bytes of the longest prefix of @path that has a quota; 0: none. */
static int find_quota(struct prep *p, const char *path, u32 len, u32 *best)
{
	struct store_node node;
	u32 at = 0;
	int rc;

	*best = 0;
	rc = look(p, TOP, TOP_LEN, &node, NULL, 0);
	if (!rc && !node.stat.num_children)
		rc = -ENOENT;
	for (u32 depth = 0; !rc && at < len && depth < MAX_DEPTH; depth++) {
		at = name_end(path, at, len);
		rc = look_at(p, path, at, "", &node, NULL, 0);
		if (rc || !node.stat.num_children)
			break;
		rc = look_at(p, path, at, LIMITS, &node, NULL, 0);
		if (!rc)
			*best = at;
		if (rc == -ENOENT)
			rc = 0;
	}
	return rc == -ENOENT ? 0 : rc;
}

/* -ENOENT: no such node; -EINVAL: it says nothing. */
static int read_figures(struct prep *p, const char *path, u32 len, const char *name,
			struct figures *f)
{
	struct store_node node;
	int rc = look_at(p, path, len, name, &node, f->text, sizeof(f->text));

	if (rc == -EMSGSIZE)
		return -EINVAL;
	return rc ? rc : zk_track_parse(&f->track, f->text, node.data_len);
}

/* One of count and bytes: how much there will be, and what the limits are. */
static s32 check_one(const char *path, u32 len, const char *what, s64 now, s64 soft, s64 hard)
{
	s64 limit = hard > -1 ? hard : soft;

	if (now <= limit)
		return ZOK;
	log_ratelimited(LOG_WARN, "quota exceeded: %.*s has %s %lld, the %s limit is %lld",
			len < 1024 ? (int)len : 1024, path, what, (long long)now,
			hard > -1 ? "hard" : "soft", (long long)limit);
	return hard > -1 ? ZQUOTAEXCEEDED : ZOK;
}

static s64 sum(s64 a, s64 b)
{
	return (u64)a + (u64)b;
}

static int check_figures(struct prep *p, const char *path, u32 len, s64 count, s64 bytes,
			 s32 *err)
{
	s64 soft_count, hard_count, soft_bytes, hard_bytes;
	struct figures f;
	int rc;

	rc = read_figures(p, path, len, LIMITS, &f);
	if (rc)
		return rc;
	soft_count = zk_track_get(&f.track, "count");
	hard_count = zk_track_get(&f.track, "countHardLimit");
	soft_bytes = zk_track_get(&f.track, "bytes");
	hard_bytes = zk_track_get(&f.track, "byteHardLimit");
	if (soft_count <= -1 && hard_count <= -1)
		count = 0;
	if (soft_bytes <= -1 && hard_bytes <= -1)
		bytes = 0;
	if (!count && !bytes)
		return 0;
	rc = read_figures(p, path, len, STATS, &f);
	if (rc)
		return rc;
	if (count)
		*err = check_one(path, len, "count", sum(zk_track_get(&f.track, "count"), count),
				 soft_count, hard_count);
	if (!*err && bytes)
		*err = check_one(path, len, "bytes", sum(zk_track_get(&f.track, "bytes"), bytes),
				 soft_bytes, hard_bytes);
	return 0;
}

s32 quota_check(struct prep *p, const char *path, u32 len, s64 count, s64 bytes)
{
	s32 err = ZOK;
	u32 best;
	int rc;

	if (!p->cfg->enforce_quota)
		return ZOK;
	rc = find_quota(p, path, len, &best);
	if (!rc && best)
		rc = check_figures(p, path, best, count, bytes, &err);
	if (rc == -EINVAL)
		return ZMARSHALLINGERROR;
	if (rc && rc != -ENOENT)
		return prep_fail(p, rc);
	if (err == ZQUOTAEXCEEDED)
		metric_add_path(METRIC_quota_exceeded_error_per_namespace, path, len, 1);
	return err;
}

void quota_freshen(struct prep *p, struct change *rec)
{
	u32 tail = strlen(STATS);
	struct store_node node;

	if (rec->len <= TOP_LEN + tail || memcmp(rec->path, TOP "/", TOP_LEN + 1) ||
	    memcmp(rec->path + rec->len - tail, STATS, tail))
		return;
	if (!look(p, rec->path, rec->len, &node, NULL, 0))
		rec->data_len = node.data_len;
}
