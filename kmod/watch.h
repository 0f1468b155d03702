/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watches of open files: what the rest of the module calls. The rules that they follow are
 * in the UAPI header, by letter; watch_impl.h has what they are made of.
 *
 * The writer (whoever holds inst->lock) calls the _begin and _end functions around the
 * moment at which a change is to be seen: between them the watches' lock is held, so
 * nobody sets a watch, and what has changed is in the queues before anybody can read
 * it. Lock order: inst->lock, the tree's lock, the watches' lock, the maps' lock.
 */
#ifndef ZKERN_WATCH_H
#define ZKERN_WATCH_H

#include <linux/poll.h>
#include <linux/types.h>

#include "file.h"

struct zkern_watches;

/* Sleep. NULL: no memory. The caller owns it; @inst owns the caller. */
struct zkern_watches *zkern_watches_new(struct zkern_inst *inst);
/* No file of the instance is open. */
void zkern_watches_free(struct zkern_watches *w);

/* ------------------------------------------------------------ the writer: watch_fire.c */

/* @txn has been linked to the live tree and is about to be published. Sleeps. */
void zkern_watch_apply_begin(struct zkern_watches *w, struct zk_tree *tree,
			     const struct zk_txn *txn);
/* It has been published: wakes who is to read of it. */
void zkern_watch_apply_end(struct zkern_watches *w);

/* ------------------------------------------------------------ the writer: watch_swap.c */

/* @tree is about to be put in the place of the live one. Sleeps. */
void zkern_watch_swap_begin(struct zkern_watches *w, struct zk_tree *tree);
void zkern_watch_swap_end(struct zkern_watches *w);
/* inst->state is about to become @state, which it is not; and is it now. Sleep. */
void zkern_watch_state_begin(struct zkern_watches *w, u32 state);
void zkern_watch_state_end(struct zkern_watches *w);
/* The instance has no tree any more, for good: who waits is told. Sleeps. */
void zkern_watch_gone(struct zkern_watches *w);

/* ------------------------------------------------------------ readers: watch.c */

/* What a read is to leave a watch for. */
enum zkern_watch_read {
	ZKERN_WATCH_READ_DATA,		/* where there is a node that the caller may READ */
	ZKERN_WATCH_READ_EXISTS,	/* in any case */
	ZKERN_WATCH_READ_CHILDREN,	/* as DATA */
};

/*
 * zkern_pin() that also sets a one-shot watch, at the zxid that is pinned. A watch that is
 * not to be set is no error: what is read at that zxid says why. Sleeps. Errors:
 * as zkern_pin(), -ENOMEM, -EDQUOT, -ENOSPC; -EINVAL for a snapshot, and for a path
 * that no node can have. Call zkern_unpin() after.
 */
int zkern_watch_pin(struct zkern_file *zf, enum zkern_watch_read what, const char *path,
		    u32 len, struct zkern_pinned *pinned, struct zkern_pinned **p);

/* The last copy of the file is being closed: its watches and queue go. Sleeps. */
void zkern_watch_release(struct zkern_file *zf);

long zkern_ioctl_watch(struct zkern_file *zf, void __user *arg);
/*
 * One command, whose fields go together, with @path in the kernel (NULL: none). @zxid is
 * filled in for ADD, the other [out] fields for LIST. Sleeps. Errors: the UAPI's.
 */
int zkern_watch_do(struct zkern_file *zf, struct zkern_watch *req, const char *path);

/* ------------------------------------------------------------ readers: watch_queue.c */

/* read(2). Sleeps. */
ssize_t zkern_watch_read(struct zkern_file *zf, bool nonblock, char __user *buf, size_t len);
/*
 * read(2) of the kernel's: the next record into @ev and its path into the @room bytes of
 * @path. False: there is none to be read yet, or no room for it. Sleeps.
 */
bool zkern_watch_next(struct zkern_file *zf, struct zkern_watch_event *ev, char *path, u32 room);
/* Any: the instance was removed; what had happened before can still be read. */
bool zkern_watch_is_gone(struct zkern_file *zf);
/* poll(2): what there is, for a file that watches, or may begin to. */
__poll_t zkern_watch_poll(struct zkern_file *zf, struct file *file, poll_table *wait);

u32 zkern_watch_waits_slow(struct zkern_file *zf, u64 zxid);

/*
 * Any: @events of an answer at @zxid, which was read from the tree before: the queue has
 * what was published with it.
 */
static inline u32 zkern_watch_waits(struct zkern_file *zf, u64 zxid)
{
	return unlikely(READ_ONCE(zf->watcher)) ? zkern_watch_waits_slow(zf, zxid) : 0;
}

#endif
