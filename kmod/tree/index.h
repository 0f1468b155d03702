/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hash index for one writer and lock-free readers, whose inserts cannot fail.
 *
 * A recursively split ordered list (Shalev and Shavit, "Split-Ordered Lists:
 * Lock-Free Extensible Hash Tables", 2006). All nodes are in one singly linked
 * list, ordered by their 32-bit hash, and never move in it. A bucket is a
 * shortcut into the list: one word, itself linked into the list just before the
 * first node that may belong to it. With 2^L buckets, a node's bucket is told by
 * the top L bits of its hash, so that going to 2^(L+1) only adds a shortcut into
 * the middle of each bucket's stretch. (The paper takes the low bits and orders
 * by the reversed hash; the top bits make the same splits, need no reversal, and
 * neighbouring buckets are neighbours in memory.)
 *
 *  - The shortcuts that level L added are in an array of their own, 2^(L-1) words.
 *    A word that is NULL is not set up yet; its stretch is then reached from the
 *    bucket that it splits. Level 0 is the list's head.
 *  - Words and nodes link to what comes next. Bit 0 tells that this is a bucket's
 *    word and not a node; the list's end is such a tagged NULL.
 *  - Where nodes have equal hashes, all of them are found, in no promised order.
 *
 * Growing is the writer's housekeeping (zk_index_grow()), a few words a call. If
 * there is no memory for a level, it is tried again later and stretches are longer
 * until then. The index does not shrink: an emptied tree keeps at most 8 bytes for
 * each node of its fullest hour, until it is freed.
 *
 * Locking: the writer is alone (the tree's writer lock); readers are in an RCU
 * read section. A removed node may be freed after a grace period.
 */
#ifndef ZK_INDEX_H
#define ZK_INDEX_H

#include <linux/compiler.h>
#include <linux/types.h>

#include "mem.h"

#define ZK_INDEX_LEVELS	31
#define ZK_INDEX_RESERVE	24	/* 128 MiB of words */

/* One word of the list: a tagged pointer to what comes next. */
struct zk_hword {
	void __rcu *next;
};

/**
 * struct zk_hnode - in whatever is indexed.
 * @meta: fills the hole; the owner's, the index does not touch it
 */
struct zk_hnode {
	struct zk_hword word;
	u32 hash;
	u32 meta;
};

struct zk_index {
	struct zk_hword head;
	u32 level;	/* buckets: 2^level; acquire before ->split */
	u32 ready;	/* writer: words of the last level that are set up */
	u64 count;
	u64 retry_at;	/* writer: no memory for a level: not before this count */
	struct zk_hword *split[ZK_INDEX_LEVELS + 1];
	struct zk_mem *mem;
};

/* An empty index that accounts to @mem. */
void zk_index_init(struct zk_index *index, struct zk_mem *mem);
/* Frees the levels; the nodes are the caller's. Nobody reads any more. */
void zk_index_destroy(struct zk_index *index);

/* Writer. @node->hash is set. */
void zk_index_insert(struct zk_index *index, struct zk_hnode *node);
void zk_index_remove(struct zk_index *index, struct zk_hnode *node);
/* Writer: no node has @hash. Unlike a search it goes no further than its bucket. */
bool zk_index_lacks(const struct zk_index *index, u32 hash);
/* Writer: sets up at most @steps words, and a new level when it is time. Sleeps. */
void zk_index_grow(struct zk_index *index, unsigned int steps);
/*
 * Writer: buckets for @count nodes (at most 2^ZK_INDEX_RESERVE) at once: cheap while
 * there are no nodes, and filling it is quicker then. A lack of memory shows only in
 * the speed. Sleeps.
 */
void zk_index_reserve(struct zk_index *index, u64 count);
/*
 * Fetches into the cache what looking for @hash will touch: first the bucket, then,
 * some hundred ns later, the node that it leads to.
 */
void zk_index_warm_bucket(const struct zk_index *index, u32 hash);
void zk_index_warm_node(const struct zk_index *index, u32 hash);

/* RCU: a node with this hash, or NULL; and the next one with the same hash. */
struct zk_hnode *zk_index_first(const struct zk_index *index, u32 hash);
struct zk_hnode *zk_index_next(const struct zk_hnode *node);

/*
 * Takes the first node off the list, or NULL, leaving the buckets broken: only for
 * the end, when nobody reads any more. Then only this and _destroy() may follow.
 */
struct zk_hnode *zk_index_pop(struct zk_index *index);

#endif
