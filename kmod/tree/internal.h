/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tree's own structure, and what its files owe each other.
 *
 *   tree.c     life, references, statistics, pins
 *   read.c     everything that readers call
 *   txn.c      linking a transaction, operation by operation
 *   change.c   the steps that operations are made of
 *   undo.c     taking it back; turning it into what is to be reclaimed
 *   load.c     filling a tree from a snapshot
 *   quota.c    what is counted of subtrees, with every transaction
 *   reclaim.c  grace periods, unlinking, freeing; revoking pins
 *   owner.c digest.c acl.c node.c index.c steps.c mem.c track.c: parts without the
 *              tree's locks, called under them
 *
 * Every change of a published tree goes: a step is linked and noted in @undo (change.c);
 * either all steps are taken back in reverse order, or the zxid is published and
 * each step's superseded part goes to the queue @retired (undo.c). The queue is in
 * the order of zxids, and four cursors move over it:
 *
 *   freed <= unlinked <= loose <= end
 *
 *   [loose, end)       a pin may still need it
 *   [unlinked, loose)  no pin needs it; one grace period, then it is unlinked
 *   [freed, unlinked)  unlinked; one more grace period, then it is freed
 *
 * One grace period serves both: struct zk_grace notes how far each cursor may move
 * when it has passed.
 */
#ifndef ZK_TREE_INTERNAL_H
#define ZK_TREE_INTERNAL_H

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/siphash.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "acl.h"
#include "index.h"
#include "node.h"
#include "steps.h"
#include "tree.h"

/* What changes with each transaction and is published with its zxid. */
struct zk_counts {
	u64 digest;
	u64 nodes;
	u64 ephemerals;
	u64 data_bytes;
	u64 owners;
	u64 limits;		/* nodes of that name below /zookeeper: is there a quota? */
};

/* What the transaction adds to a quota's stats, and has not been written yet. */
struct zk_quota_due {
	struct zk_node *stats;	/* NULL: nothing */
	s64 count;
	s64 bytes;
};

/* Where the cursors may go when a grace period has passed. */
struct zk_grace {
	u64 free_to;
	u64 unlink_to;
};

struct zk_tree {
	/* Readers. */
	u64 zxid;			/* published: store-release under pin_lock */
	struct zk_node *root;
	siphash_key_t key;
	struct zk_index nodes;		/* by path; without the root */
	struct zk_index owners;		/* by session */
	struct zk_owner timed;		/* containers and TTL nodes */
	struct zk_acls acls;

	/* Writer. */
	struct mutex lock;
	struct zk_mem mem;
	bool live;			/* published for readers */
	bool root_loaded;
	bool quota_loaded;
	struct zk_node *load_parent;	/* of the node loaded last, or NULL */
	struct zk_counts next;		/* the writer's view */
	struct zk_quota_due quota_due;
	struct zk_steps undo;
	u64 superseding;		/* steps in @undo that supersede something */
	u64 created;			/* nodes that @undo created */
	u64 link_zxid;
	u64 link_mzxid;
	s64 link_time;
	bool link_replay;
	bool link_aside;
	u64 acl_mark;			/* acls.next_id before the transaction */
	struct zk_steps retired;
	struct zk_cursor freed, unlinked, loose;
	u64 retained;			/* bytes in [freed, end) */
	u64 held;			/* bytes in [loose, end) */
	u64 retain_limit;
	struct list_head dead;		/* struct zk_dead, by @at */

	/* One grace period by call_rcu() at a time. */
	bool waiting;			/* writer */
	struct zk_grace grace;		/* writer */
	struct rcu_head grace_rcu;
	struct work_struct grace_work;
	struct work_struct kick_work;

	spinlock_t pin_lock;		/* pins; zxid and counts as a pair */
	struct list_head pins;		/* pin_lock; by zxid, oldest first */
	u64 n_pins;			/* pin_lock */
	struct zk_counts now;		/* pin_lock; belongs to @zxid */

	struct kref kref;
	struct rcu_head free_rcu;
	struct work_struct free_work;
};

/* For rcu_dereference_protected() by the writer. */
#define zk_deref(tree, p) \
	rcu_dereference_protected(p, lockdep_is_held(&(tree)->lock))

/* ---- tree.c: the workqueue of all trees */
extern struct workqueue_struct *zk_wq;

/* ---- read.c */
u32 zk_path_hash(const struct zk_tree *tree, const char *path, size_t len);
/* RCU: zk_lookup() where the path's hash is known; it is not the root's. */
struct zk_node *zk_lookup_hash(struct zk_tree *tree, const char *path, size_t len, u32 hash,
			       u64 zxid);

/* ---- owner.c */
/* RCU */
struct zk_owner *zk_owner_find(struct zk_tree *tree, u64 id);
/*
 * Writer: the list that a node of @owner goes to, made if need be; or NULL when
 * memory is short. Sleeps.
 */
struct zk_owner *zk_owner_get(struct zk_tree *tree, u64 owner);
/* Writer: lets go of a list that may be empty now. @at: see struct zk_dead. */
void zk_owner_put(struct zk_tree *tree, struct zk_owner *owner, u64 at);
/* Writer: a node came into or left the writer's view. */
void zk_owner_count(struct zk_tree *tree, struct zk_node *node, bool added);
/* At the end: all lists. */
void zk_owners_destroy(struct zk_tree *tree);

/* ---- digest.c */
/* RCU: what a node adds to the tree's digest as of @zxid. */
u64 zk_node_digest(const struct zk_node *node, u64 zxid);

/* ---- change.c: all of it for the writer; what may fail sleeps */
/* A node that exists, in the writer's own view, or NULL. */
struct zk_node *zk_find(struct zk_tree *tree, const char *path, size_t len);
/* The same where the path's hash is known; it is not the root's. */
struct zk_node *zk_find_hash(struct zk_tree *tree, const char *path, size_t len, u32 hash);
/* Does it exist in the writer's view? */
bool zk_live(struct zk_tree *tree, const struct zk_node *node);
/* Where a new node goes and what it is called. -EINVAL, -ENOENT. */
int zk_place(struct zk_tree *tree, const char *path, size_t len, struct zk_node **parent,
	     const char **name, u32 *name_len);
/* Bytes of the node's data in the writer's view; null counts 0. */
s32 zk_data_len(struct zk_tree *tree, const struct zk_node *node);
/*
 * The counters to change: a version of this transaction, which the next operations
 * of it change in place (closing a session with a million ephemerals in one node
 * costs that node one version). -ENOMEM.
 */
int zk_change_dir(struct zk_tree *tree, struct zk_node *node, struct zk_dirver **ver);
/*
 * A tombstone, data or an ACL as @op says on top of the node's. @aversion: the new
 * one, or NULL to leave it. -ENOMEM; -EINVAL for what is no ACL.
 */
int zk_add_tomb(struct zk_tree *tree, struct zk_node *node);
int zk_add_data(struct zk_tree *tree, struct zk_node *node, const struct zk_op *op);
int zk_add_acl(struct zk_tree *tree, struct zk_node *node, const struct zk_op *op,
	       const s32 *aversion);
/* Other data, and nothing of the stat changed but its length. -ENOMEM. */
int zk_add_bytes(struct zk_tree *tree, struct zk_node *node, const void *bytes, u32 len,
		 u32 crc);
/*
 * Makes @node reachable below @parent, which has a dir, and by its owner
 * (zk_owned.home is set), and counts it. @chars and @hash: of its path, zk_chars().
 */
void zk_attach(struct zk_tree *tree, struct zk_node *parent, struct zk_node *node,
	       size_t chars, u32 hash);
/* Takes it out of index, child list and owner's list. */
void zk_detach(struct zk_tree *tree, struct zk_node *node, u64 at);
/* ---- quota.c: all of it for the writer, sleeps; -ENOMEM */
/*
 * A change of @node has been linked: nodes and bytes that came, or went, by it. Before
 * data of nodes below /zookeeper is changed, and as the last step of a transaction,
 * zk_quota_flush() is called.
 */
int zk_quota_count(struct zk_tree *tree, const struct zk_node *node, s64 count, s64 bytes);
int zk_quota_flush(struct zk_tree *tree);
/* Before that, if the change is that @node was created. */
int zk_quota_created(struct zk_tree *tree, struct zk_node *node);
/* To be counted in zk_counts.limits? */
bool zk_quota_is_limits(const struct zk_node *node);
/* All nodes of a snapshot are loaded; does its work once. */
int zk_quota_load(struct zk_tree *tree);

/* ---- load.c */
/* Like zk_add_bytes(), in place, in a tree that is being loaded. -ENOMEM. */
int zk_load_bytes(struct zk_tree *tree, struct zk_node *node, const void *bytes, u32 len,
		  u32 crc);

/* ---- undo.c */
/* Steps of a transaction. All name a node; @by is the version that was added. */
enum zk_step_kind {
	ZK_STEP_NODE,		/* created */
	ZK_STEP_TOUCH,		/* the digest no longer counts it */
	ZK_STEP_DATA,
	ZK_STEP_TOMB,
	ZK_STEP_ACL,
	ZK_STEP_DIR,		/* got its struct zk_dir */
	ZK_STEP_DIRVER,
};

/* Writer: notes a step; room was reserved (zk_step_reserve()). */
void zk_step_note(struct zk_tree *tree, enum zk_step_kind kind, struct zk_node *node,
		  void *by);
/* Writer: room for one more step of any kind, here and in @retired. -ENOMEM. */
int zk_step_reserve(struct zk_tree *tree);
/* Writer: takes all steps back and waits until no reader can have seen them. */
void zk_undo_all(struct zk_tree *tree);
/* Writer: puts into the digest what the steps took out, as it is now. */
void zk_steps_digest(struct zk_tree *tree);
/* Writer, after publishing: moves what was superseded to @retired. */
void zk_retire_all(struct zk_tree *tree);

/* ---- reclaim.c */
/*
 * What a superseded thing is; entries of @retired. @by is the version above it,
 * for a node its tombstone.
 */
enum zk_retired_kind {
	ZK_RETIRED_DATA,	/* zk_data */
	ZK_RETIRED_BIRTH,
	ZK_RETIRED_ACLVER,
	ZK_RETIRED_ACL,		/* a reference of a node's first ACL */
	ZK_RETIRED_DIRVER,
	ZK_RETIRED_NODE,
	ZK_RETIRED_DATA_ASIDE,	/* zk_data, at the zxid that the tree stayed at: */
	ZK_RETIRED_BIRTH_ASIDE,	/* pins of it may need it, too */
};

/* Writer: appends to @retired, for which there is room. */
void zk_retire(struct zk_tree *tree, enum zk_retired_kind kind, void *obj,
	       struct zk_ver *by);
/*
 * Writer, after publishing: revokes pins that hold back too much, and sees that a
 * grace period is under way if there is something to wait for.
 */
void zk_reclaim_kick(struct zk_tree *tree);
/* Not writer: waits for grace periods while what no pin holds is over the limit. */
void zk_reclaim_throttle(struct zk_tree *tree);
void zk_reclaim_init(struct zk_tree *tree);
/* At the end, nobody reads any more: frees all of @retired and of @dead. */
void zk_reclaim_destroy(struct zk_tree *tree);
/* Writer: frees the dead up to @at. */
void zk_free_dead(struct zk_tree *tree, u64 at);
/* Any: something may have become free to go. */
void zk_reclaim_poke(struct zk_tree *tree);

#endif
