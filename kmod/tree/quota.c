// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Quotas: how many nodes and bytes are at and below a path P is kept in the data of
 * /zookeeper/quota P/zookeeper_stats for as long as there is a node
 * /zookeeper/quota P/zookeeper_limits. As in DataTree.java (updateQuotaStat,
 * updateQuotaForPath, setupQuota) it is the tree that does this, with every
 * transaction; the log has nothing of it:
 *
 *  - A change counts for the longest P that is the changed node's path or above it.
 *  - A stats node that is created gets what is there at that moment.
 *  - A tree that is loaded has all of its stats counted anew.
 *  - Only the stats node's data changes, not its stat.
 *
 * What a transaction adds to one stats node is written once, as the last thing, or
 * before the transaction does something to /zookeeper itself. Stats that do not parse
 * are left alone (DataTree dies of them), and so are quotas of paths of more than
 * MAX_DEPTH names, which bounds what a change costs.
 *
 * Locking: the writer lock is held throughout.
 */
#include <linux/crc32.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "internal.h"
#include "track.h"

#define TOP		"/zookeeper/quota"
#define TOP_LEN		(sizeof(TOP) - 1)
#define LIMITS		"/zookeeper_limits"
#define LIMITS_LEN	(sizeof(LIMITS) - 1)
#define STATS		"/zookeeper_stats"
#define STATS_LEN	(sizeof(STATS) - 1)
#define MAX_DEPTH	128

/* TOP and a node's path, with room behind it for LIMITS. */
struct where {
	char *path;
	size_t size;		/* of the allocation */
	size_t len;		/* without what may stand behind it */
};

static int where_make(struct zk_tree *tree, const struct zk_node *node, struct where *w)
{
	size_t len = zk_path_len(node);

	w->size = TOP_LEN + len + LIMITS_LEN;
	w->path = zk_mem_alloc(&tree->mem, ZK_MEM_META, w->size);
	if (!w->path)
		return -ENOMEM;
	w->len = TOP_LEN + len;
	memcpy(w->path, TOP, TOP_LEN);
	zk_path(node, w->path + TOP_LEN, len);
	return 0;
}

static void where_free(struct zk_tree *tree, struct where *w)
{
	zk_mem_free(&tree->mem, ZK_MEM_META, w->path, w->size);
}

/* A child of the node whose path is the first @len bytes. */
static struct zk_node *child_at(struct zk_tree *tree, struct where *w, size_t len,
				const char *slash_name, size_t n)
{
	char saved[LIMITS_LEN];
	struct zk_node *node;

	memcpy(saved, w->path + len, n);
	memcpy(w->path + len, slash_name, n);
	node = zk_find(tree, w->path, len + n);
	memcpy(w->path + len, saved, n);
	return node;
}

/* PathTrie.findMaxPrefix(): bytes of TOP and P; 0: there is no quota. */
static size_t longest_prefix(struct zk_tree *tree, struct where *w)
{
	size_t at = TOP_LEN, best = 0;
	u32 depth;

	for (depth = 0; at < w->len && depth < MAX_DEPTH; depth++) {
		do
			at++;
		while (at < w->len && w->path[at] != '/');
		if (!zk_find(tree, w->path, at))
			break;
		if (child_at(tree, w, at, LIMITS, LIMITS_LEN))
			best = at;
	}
	return best;
}

/* ------------------------------------------------------------ stats */

/* The text of @stats with other figures, into @text, which has ZK_TRACK_TEXT bytes. */
static int new_text(const struct zk_node *stats, s64 count, s64 bytes, char *text, u32 *len)
{
	struct zk_track track;
	struct zk_view view;
	int err = -ENOENT;

	rcu_read_lock();
	if (zk_view(stats, ZK_ZXID_LATEST, &view))
		err = zk_track_parse(&track, view.data, view.data_len);
	/* Its keys are in the node's data, which stays while the lock is held. */
	if (!err)
		*len = zk_track_print(&track,
				      (u64)zk_track_get(&track, "count") + (u64)count,
				      (u64)zk_track_get(&track, "bytes") + (u64)bytes, text);
	rcu_read_unlock();
	return err;
}

static int crc_of(struct zk_tree *tree, const struct zk_node *stats, const char *text, u32 len,
		  u32 *out)
{
	size_t n = zk_path_len(stats);
	char *path = zk_mem_alloc(&tree->mem, ZK_MEM_META, n);
	u32 crc;

	if (!path)
		return -ENOMEM;
	zk_path(stats, path, n);
	crc = crc32_le(~0U, (const u8 *)path, n);
	*out = ~crc32_le(crc, (const u8 *)text, len);
	zk_mem_free(&tree->mem, ZK_MEM_META, path, n);
	return 0;
}

static int write_text(struct zk_tree *tree, struct zk_node *stats, const char *text, u32 len)
{
	u32 crc;
	int err = crc_of(tree, stats, text, len, &crc);

	return err ? err : zk_add_bytes(tree, stats, text, len, crc);
}

static int add_figures(struct zk_tree *tree, struct zk_node *stats, s64 count, s64 bytes)
{
	char *text = zk_mem_alloc(&tree->mem, ZK_MEM_META, ZK_TRACK_TEXT);
	u32 len;
	int err;

	if (!text)
		return -ENOMEM;
	err = new_text(stats, count, bytes, text, &len);
	if (!err)
		err = write_text(tree, stats, text, len);
	zk_mem_free(&tree->mem, ZK_MEM_META, text, ZK_TRACK_TEXT);
	return err == -EINVAL ? 0 : err;
}

int zk_quota_flush(struct zk_tree *tree)
{
	struct zk_quota_due *due = &tree->quota_due;
	struct zk_node *stats = due->stats;

	due->stats = NULL;
	return stats ? add_figures(tree, stats, due->count, due->bytes) : 0;
}

static int add_due(struct zk_tree *tree, struct zk_node *stats, s64 count, s64 bytes)
{
	struct zk_quota_due *due = &tree->quota_due;
	int err = 0;

	if (due->stats != stats) {
		err = zk_quota_flush(tree);
		due->stats = stats;
		due->count = 0;
		due->bytes = 0;
	}
	due->count += count;
	due->bytes += bytes;
	return err;
}

int zk_quota_count(struct zk_tree *tree, const struct zk_node *node, s64 count, s64 bytes)
{
	struct zk_node *stats = NULL;
	struct where w;
	size_t len;
	int err;

	if (likely(!tree->next.limits))
		return 0;
	err = where_make(tree, node, &w);
	if (err)
		return err;
	len = longest_prefix(tree, &w);
	if (len)
		stats = child_at(tree, &w, len, STATS, STATS_LEN);
	where_free(tree, &w);
	return stats ? add_due(tree, stats, count, bytes) : 0;
}

/* ------------------------------------------------------------ counting */

bool zk_quota_is_limits(const struct zk_node *node)
{
	return zk_node_meta(node) & ZK_NODE_NO_DIGEST && zk_name_len(node) == LIMITS_LEN - 1 &&
	       !memcmp(node->name, LIMITS + 1, LIMITS_LEN - 1);
}

static bool is_named(const struct zk_node *node, const char *name, u32 len)
{
	return zk_name_len(node) == len && !memcmp(node->name, name, len);
}

/* Bytes of TOP P if @node is TOP P/zookeeper_stats, else 0. */
static size_t stats_of(const struct zk_node *node)
{
	const struct zk_node *p = node->parent;

	if (!(zk_node_meta(node) & ZK_NODE_NO_DIGEST) ||
	    !is_named(node, STATS + 1, STATS_LEN - 1))
		return 0;
	if (!p->parent || !p->parent->parent || !p->parent->parent->parent)
		return 0;	/* not below TOP, or the root's quota */
	while (p->parent->parent->parent)
		p = p->parent;
	return is_named(p, "quota", 5) ? zk_path_len(node) - STATS_LEN : 0;
}

/* DataTree.getCounts(): the node at @path and all below. */
static void count_all(struct zk_tree *tree, const char *path, size_t len, s64 *count, s64 *bytes)
{
	struct zk_node *top = zk_find(tree, path, len), *node = top;

	*count = 0;
	*bytes = 0;
	while (node) {
		*count += 1;
		*bytes += zk_data_len(tree, node);
		rcu_read_lock();
		node = zk_next_preorder(top, node, ZK_ZXID_LATEST);
		rcu_read_unlock();
		cond_resched();
	}
}

/*
 * What the stats node @stats is to say, to @write. Its path is taken from @node's,
 * which stands beside it, or is it; @len: of TOP P.
 */
static int recount(struct zk_tree *tree, struct zk_node *stats, const struct zk_node *node,
		   size_t len, int (*write)(struct zk_tree *tree, struct zk_node *stats,
					    const char *text, u32 len))
{
	size_t size = zk_path_len(node);
	struct zk_track empty = { .n = 0 };
	char *path, *text;
	s64 count, bytes;
	int err = -ENOMEM;

	path = zk_mem_alloc(&tree->mem, ZK_MEM_META, size);
	text = zk_mem_alloc(&tree->mem, ZK_MEM_META, ZK_TRACK_TEXT);
	if (path && text) {
		zk_path(node, path, size);
		count_all(tree, path + TOP_LEN, len - TOP_LEN, &count, &bytes);
		err = write(tree, stats, text, zk_track_print(&empty, count, bytes, text));
	}
	zk_mem_free(&tree->mem, ZK_MEM_META, text, ZK_TRACK_TEXT);
	zk_mem_free(&tree->mem, ZK_MEM_META, path, size);
	return err;
}

int zk_quota_created(struct zk_tree *tree, struct zk_node *node)
{
	size_t len = stats_of(node);
	int err = 0;

	if (len)
		err = zk_quota_flush(tree);
	if (len && !err)
		err = recount(tree, node, node, len, write_text);
	return err;
}

/* ------------------------------------------------------------ loading */

static int load_text(struct zk_tree *tree, struct zk_node *stats, const char *text, u32 len)
{
	u32 crc;
	int err = crc_of(tree, stats, text, len, &crc);

	return err ? err : zk_load_bytes(tree, stats, text, len, crc);
}

static bool is_leaf(const struct zk_node *node)
{
	bool leaf;

	rcu_read_lock();
	leaf = !zk_first_child(node, ZK_ZXID_LATEST);
	rcu_read_unlock();
	return leaf;
}

/* @node is below TOP. */
static int load_one(struct zk_tree *tree, const struct zk_node *node)
{
	struct zk_node *stats;
	struct where w;
	size_t len;
	int err;

	if (!zk_quota_is_limits(node) || !is_leaf(node) || !node->parent->parent->parent->parent)
		return 0;
	/* The path of a quota's node, behind another TOP. */
	err = where_make(tree, node->parent, &w);
	if (err)
		return err;
	len = w.len - TOP_LEN;
	memmove(w.path, w.path + TOP_LEN, len);
	stats = child_at(tree, &w, len, STATS, STATS_LEN);
	where_free(tree, &w);
	return stats ? recount(tree, stats, node, len, load_text) : 0;
}

int zk_quota_load(struct zk_tree *tree)
{
	struct zk_node *top, *node;
	int err = 0;

	if (tree->quota_loaded)
		return 0;
	tree->next = tree->now;
	top = tree->next.limits ? zk_find(tree, TOP, TOP_LEN) : NULL;
	for (node = top; node && !err; cond_resched()) {
		if (node != top)
			err = load_one(tree, node);
		rcu_read_lock();
		node = zk_next_preorder(top, node, ZK_ZXID_LATEST);
		rcu_read_unlock();
	}
	tree->quota_loaded = !err;
	tree->now = tree->next;
	return err;
}
