/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mapped nodes: pages with a node's data that programs read without a call. What they
 * are to those is said in the UAPI header ("mapped nodes"), and tests go by its letters.
 *
 *   map.c       the pages and the table of mapped nodes; what the writer does
 *   map_file.c  ZKERN_MAP and the files that it makes: mmap, poll, read, wait
 *
 * Locking
 *   maps->lock  (mutex) the table, what is written to pages, struct zkern_mapped but
 *               for what is said there. The writer holds it from before the first
 *               page is written until the tree's zxid is published, once for each
 *               transaction; who maps a node holds it from before he looks at the tree
 *               until the node is in the table. So the table has every node that is
 *               mapped, its pages are as of the published zxid, and that zxid is the
 *               one in the tree's page, whenever the lock can be taken.
 *   Order: inst->lock, the tree's writer lock, maps->lock, RCU. Readers of pages take none.
 */
#ifndef ZKERN_MAP_H
#define ZKERN_MAP_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rhashtable-types.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/zkern.h>

#include "tree/tree.h"

struct page;
struct zkern_file;

/**
 * struct zkern_maps - what is mapped of an instance.
 * @page: of the tree; its said_n and said are written under inst->lock
 * @table, @all: struct zkern_mapped that are not revoked
 * @changed: of these, by the transaction that is being published
 */
struct zkern_maps {
	struct zkern_map_tree *page;
	struct mutex lock;		/* see above */
	struct rhashtable table;
	struct list_head all;
	struct list_head changed;
};

/**
 * struct zkern_mapped - one node's pages.
 * @node:   the key in the table. Never looked into but by the writer; valid while in
 *          the table
 * @pages, @n_pages, @slot_len, @room: never change; @room: bytes of data that fit a slot
 * @version: that was written last
 * @shown:  that readers can see, 0: revoked. Written under lock, read anywhere
 * @acl_id, @world: of the ACL when it was last written; does it let anyone READ?
 * @filled: bytes of data in each slot
 * @files:  that refer to it; the last one frees it
 * @wait:   for @shown to change
 */
struct zkern_mapped {
	struct rhash_head hash;
	const struct zk_node *node;
	struct list_head link;
	struct list_head changed;
	struct zkern_map_node *pages;
	u32 n_pages;
	u32 slot_len;
	u32 room;
	u64 version;
	u64 shown;
	u64 acl_id;
	bool world;
	bool revoked;
	u32 filled[2];
	u64 files;
	wait_queue_head_t wait;
};

/* ------------------------------------------------------------ an instance's life */

/* Any; sleeps. With a page at zxid 0, tree 1, EMPTY. NULL: memory is short. */
struct zkern_maps *zkern_maps_alloc(void);
/* No file refers to it. Sleeps. NULL is fine. */
void zkern_maps_free(struct zkern_maps *maps);

/* ------------------------------------------------------------ the writer, inst->lock */

/*
 * @txn was linked on @tree, and will be published: writes it to the pages, which show it
 * from here on. zkern_maps_publish() has to follow. Allocates nothing, cannot fail.
 * Between the two: zk_tree_publish() alone.
 */
void zkern_maps_apply(struct zkern_maps *maps, struct zk_tree *tree, const struct zk_txn *txn);
/* It is published: who waits is woken. */
void zkern_maps_publish(struct zkern_maps *maps);

/* Around the moment in which another tree, now at @zxid, takes the old one's place. */
void zkern_maps_swap_begin(struct zkern_maps *maps);
void zkern_maps_swap_end(struct zkern_maps *maps, u64 zxid, u64 generation);

/* The tree is hidden: inst->state says so already. Sleeps. */
void zkern_maps_hide(struct zkern_maps *maps);
/* The instance goes: inst->tree is NULL already. Sleeps. */
void zkern_maps_end(struct zkern_maps *maps);

/* What the owner says of the tree, or the kernel of him. */
void zkern_maps_say(struct zkern_maps *maps, u32 state, s64 heard_ns);

/* ------------------------------------------------------------ map_file.c */

/* ZKERN_MAP. Sleeps. */
long zkern_ioctl_map(struct zkern_file *zf, void __user *arg);

/* ------------------------------------------------------------ map.c for map_file.c */

/* Pages with room for @len bytes of data, in no table; or NULL. Sleeps. */
struct zkern_mapped *zkern_mapped_alloc(u32 len);
/* No file refers to it, and it is in no table. NULL is fine. Sleeps. */
void zkern_mapped_free(struct zkern_mapped *mapped);

/* Under maps->lock: the node's pages, or NULL. */
struct zkern_mapped *zkern_mapped_find(struct zkern_maps *maps, const struct zk_node *node);
/*
 * Under maps->lock, RCU: puts @mapped into the table, as @node is now, @view at the
 * published @zxid. -ENOMEM.
 */
int zkern_mapped_add(struct zkern_maps *maps, struct zkern_mapped *mapped,
		     const struct zk_node *node, const struct zk_view *view, u64 zxid);
/* Under maps->lock: @mapped, in the table, is revoked, and who waits is told. */
void zkern_mapped_revoke(struct zkern_maps *maps, struct zkern_mapped *mapped,
			 enum zkern_map_why why);
/* A file lets go. Sleeps. */
void zkern_mapped_put(struct zkern_maps *maps, struct zkern_mapped *mapped);
/* Any: the version that is to be seen, with all that it brought; 0: revoked. */
static inline u64 zkern_mapped_shown(const struct zkern_mapped *mapped)
{
	/* pairs with mapped_show() in map.c */
	return smp_load_acquire(&mapped->shown);
}

/* Any: the page at @index of the node's pages. */
struct page *zkern_mapped_page(const struct zkern_mapped *mapped, unsigned long index);

#endif
