/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What watches are made of.
 *
 * Rows. For each path that is watched, each table (data, children) and each mode (one-shot,
 * persistent, recursive), a row with the set of the watchers (wset.h): 24 bytes and the
 * path. They stand in an index by the path's hash, the tree's own (tree/index.h), so
 * that no insertion is ever slow. A watcher is a number; to find what it watches
 * it keeps the hashes of its paths, 4 bytes a path. A hash may be stale (a one-shot watch
 * that fired): they are cleared out when the array is full.
 *
 * Queues. Each watcher has a ring of bytes, allocated when it began, charged to who began.
 * Firing copies whole records into it and allocates nothing, so that it cannot fail. What
 * finds no room is counted as lost until the ring has been read to its end.
 *
 * What may be read. Records are queued before the change that they tell of can be seen,
 * and may be read once it can (guarantees F, G). A record has the era and the zxid of its
 * transaction; an era has one tree. struct zkern_watches says by (@coming, @era) which
 * era the live tree is of: that of @coming is @era, any other one's is the era before.
 * So the one store that swaps the tree makes the new era's records readable. In
 * the same way the store of a state other than EMPTY makes those from @hidden_from on
 * readable, and the store of the zxid those of a transaction.
 *
 * Locking
 *   w->lock     mutex: rows, watchers' counts and hashes, everything not named below. The
 *               writer holds it from before the first event until what they tell of
 *               is published. Nobody who holds it touches user memory, or allocates more
 *               than a level of the index: what is set is allocated before.
 *   w->seq      seqcount, written under w->lock and with preemption off: @coming and
 *               @era as a pair
 *   q->reading  mutex: who takes records out of the ring. Before w->lock.
 *   q->lock     spinlock: @head, @tail, @lost*. Only w->lock's holder moves @tail, only
 *               q->reading's holder moves @head; the ring's bytes are copied without it.
 * A watcher lives as long as its file; who finds one under w->lock may use it there.
 */
#ifndef ZKERN_WATCH_IMPL_H
#define ZKERN_WATCH_IMPL_H

#include <linux/cred.h>
#include <linux/mutex.h>
#include <linux/seqlock.h>
#include <linux/siphash.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "file.h"
#include "tree/index.h"
#include "watch.h"
#include "wset.h"

enum watch_table {
	WATCH_DATA,
	WATCH_CHILD,
	WATCH_TABLES,
};

enum watch_mode {
	WATCH_ONCE,
	WATCH_PERSISTENT,
	WATCH_RECURSIVE,
	WATCH_MODES,
};

/* node.meta */
#define WROW_LEN	0x1fffffu	/* bytes of the path */
#define WROW_CHILD	0x200000u	/* of WATCH_CHILD */
#define WROW_MODE_SHIFT	22		/* two bits */
#define WROW_PASS	0x1000000u	/* == w->pass: looked at in this swap */

struct wrow {
	struct zk_hnode node;
	struct wset set;
	char path[];
};

static inline u32 wrow_len(const struct wrow *row)
{
	return row->node.meta & WROW_LEN;
}

static inline enum watch_table wrow_table(const struct wrow *row)
{
	return row->node.meta & WROW_CHILD ? WATCH_CHILD : WATCH_DATA;
}

static inline enum watch_mode wrow_mode(const struct wrow *row)
{
	return row->node.meta >> WROW_MODE_SHIFT & 3;
}

/* What one watch counts against the limits. */
static inline u64 watch_cost(u32 len)
{
	return 96 + len;
}

struct zkern_watches {
	struct zkern_inst *inst;
	struct mutex lock;		/* see above */
	struct zk_mem mem;
	struct zk_index rows;
	siphash_key_t key;
	struct xarray files;		/* watchers by number; its own lock, too */
	u64 n_recursive[WATCH_TABLES];	/* watches of that mode */
	u32 stamp;			/* of the event that is being told */
	u32 pass;			/* WROW_PASS or 0 */
	struct list_head woken;		/* watchers to be woken when it can be seen */
	wait_queue_head_t gone;		/* poll: woken when the instance goes */

	seqcount_t seq;
	struct zk_tree *coming;		/* only compared */
	u64 era;
	u64 hidden_from;		/* first era not to be read while EMPTY */

	struct zkern_pinned base;	/* EMPTY: what was seen last; .tree NULL: nothing */
	char *path;			/* the writer's, for paths of nodes */
	size_t path_cap;
};

struct zkern_watcher {
	struct zkern_watches *w;
	struct zkern_file *zf;
	const struct cred *cred;	/* zf's opener; NULL: the kernel, whom no ACL binds */
	u32 id;
	u32 stamp;
	bool states;			/* wants ZKERN_EV_STATE */
	u64 count;			/* watches */
	u64 bytes;			/* what they cost */
	u64 charged;			/* to the user */
	u32 *hashes;
	u32 n_hashes, cap_hashes;
	struct list_head woken;

	struct mutex reading;		/* see above */
	spinlock_t lock;		/* see above */
	u8 *ring;
	u32 cap;			/* a multiple of 8 */
	u64 head, tail;			/* bytes ever read, written */
	u32 lost;			/* records left out since the ring was full */
	u64 lost_first, lost_zxid;	/* zxid of the first and the last of them */
	u64 lost_era;			/* of the last */
};

/* ------------------------------------------------------------ watch_table.c: w->lock */

u32 watch_hash(const struct zkern_watches *w, const char *path, u32 len);
/* The row, or NULL. */
struct wrow *wrow_find(struct zkern_watches *w, u32 hash, const char *path, u32 len,
		       enum watch_table t, enum watch_mode mode);
/* The rows of a path in one table, by mode; NULL where there is none. True: any. */
bool wrow_find_all(struct zkern_watches *w, u32 hash, const char *path, u32 len,
		   enum watch_table t, struct wrow *rows[WATCH_MODES]);
/* The rows with this hash one after the other; after NULL the first. */
struct wrow *wrow_of_hash(struct zkern_watches *w, u32 hash, struct wrow *row);
/* The first row with this hash that was not looked at in this pass; it is now. */
struct wrow *wrow_next_unseen(struct zkern_watches *w, u32 hash);
/* All rows of the path are looked at in this pass. */
void wrow_mark_path(struct zkern_watches *w, u32 hash, const char *path, u32 len);
/* Takes a row out and frees it with its set. */
void wrow_free(struct zkern_watches *w, struct wrow *row);
/* A watch of @q is no more. */
void watch_uncount(struct zkern_watcher *q, u32 len);

/* What adding a watch brings along, so that nothing is allocated under the lock. */
struct watch_spare {
	struct zk_mem mem;		/* what is counted here goes to w->mem */
	struct wrow *row[WATCH_TABLES];
	struct wset_block block[WATCH_TABLES];
	size_t want_block[WATCH_TABLES];
	bool want_row[WATCH_TABLES];
	u32 *hashes;
	u32 cap_hashes, want_hashes;
	u64 charge, want_charge;
};

/*
 * Sets watches in the tables of @tables (bits). 0; -EAGAIN: @spare says what is
 * wanted, fill it without the lock and call again; -EDQUOT.
 */
int watch_add(struct zkern_watcher *q, u32 tables, enum watch_mode mode, const char *path,
	      u32 len, struct watch_spare *spare);
/* Without the lock: gets what is wanted. Sleeps. -ENOMEM, -ENOSPC. */
int watch_spare_fill(struct zkern_watcher *q, struct watch_spare *spare, const char *path,
		     u32 len);
/* Under the lock: what is left over is not w->mem's; then without it: frees it. */
void watch_spare_free(struct zkern_watcher *q, struct watch_spare *spare);
/* Any; sleeps. @n more of the user's, who is q->cred, if any. -ENOSPC, -ENOMEM. */
int watch_charge(struct zkern_watcher *q, u64 n);
/* Any; sleeps. And @n less. */
void watch_discharge(struct zkern_watcher *q, u64 n);
/* Any: what the watches and the queue of a file may count. */
u64 watch_file_limit(void);
/* How many there were in the tables of @tables. */
u32 watch_remove(struct zkern_watcher *q, u32 tables, const char *path, u32 len);
/* Removes some of all of them; false: there are none any more. */
bool watch_remove_some(struct zkern_watcher *q);
/* Drops stale hashes and sorts the rest. */
void watch_compact(struct zkern_watcher *q);

/* ------------------------------------------------------------ watch_queue.c */

/* w->lock: a record for @q; or it is counted as lost. */
void watch_push(struct zkern_watcher *q, u32 type, u64 era, u64 zxid, u32 arg,
		const char *path, u32 len);
/* w->lock: counts one as lost. */
void watch_lose(struct zkern_watcher *q, u64 era, u64 zxid);
/*
 * w->lock and q->reading: *@ring of *@cap bytes becomes the queue, and they what it was;
 * with an error they are what they were. -EBUSY: too small; -EDQUOT.
 */
int watch_ring_swap(struct zkern_watcher *q, u8 **ring, u32 *cap);
/* w->lock: wakes who was pushed something. */
void watch_wake(struct zkern_watches *w);
/* Any: bytes of the record that read(2) would give now, 0: none. */
u32 watch_ready(struct zkern_watcher *q);

/* ------------------------------------------------------------ watch_fire.c: w->lock */

/**
 * struct watch_event - one change of one node, being told.
 * @tree, @at: where the ACL is looked up
 * @txn, @op:  the transaction and how far it has come: an ACL that it gave counts; or NULL
 */
struct watch_event {
	struct zkern_watches *w;
	u32 type;
	u32 stamp;
	u64 era;
	u64 zxid;
	const char *path;
	u32 len;
	struct zk_tree *tree;
	u64 at;
	const struct zk_txn *txn;
	u32 op;
	const struct zk_acl *acl;	/* NULL: nobody may */
	bool acl_known;
	struct zk_acl raw;
};

/* DataTree's createNode, deleteNode, setData: everything but the path and ACL is set. */
void watch_created(struct watch_event *e, const char *path, u32 len);
void watch_deleted(struct watch_event *e, const char *path, u32 len);
void watch_changed(struct watch_event *e, const char *path, u32 len);
void watch_children(struct watch_event *e, const char *path, u32 len);
/* The path of the parent: its length; 0 for the root. */
u32 watch_parent_len(const char *path, u32 len);
/*
 * A path into w->path. Sleep; false: no memory. @node is held by more than an RCU section.
 */
bool watch_path_of(struct zkern_watches *w, const struct zk_node *node, u32 *len);
bool watch_path_copy(struct zkern_watches *w, const char *path, u32 len);
/* Everybody loses an event. */
void watch_lose_all(struct zkern_watches *w, u64 era, u64 zxid);

#endif
