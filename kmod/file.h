/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an open file is to the functions that read: the live tree of an instance
 * (device nodes) or one zxid of a pinned tree (snapshots). dev.c and snapshot.c
 * make them, read.c and owner.c use them.
 */
#ifndef ZKERN_FILE_H
#define ZKERN_FILE_H

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "instance.h"

struct zkern_kevents;
struct zkern_owner;
struct zkern_session;
struct zkern_watcher;

/* A zxid held readable; the pin holds the tree. */
struct zkern_pinned {
	struct zk_tree *tree;
	struct zk_pin pin;
};

/**
 * struct zkern_file - one open file.
 * @inst:     reference held
 * @pinned:   snapshot: what it shows; NULL: the live tree
 * @seen:     the highest zxid that an answer through this file has carried, see
 *            zkern_file_see(). Unused in snapshots
 * @heard_ns: snapshot: when a quorum had last been heard from as it was made
 * @generation: snapshot: of the tree that it shows
 * @own:      the owner's: its buffers and the tree it builds; under inst->lock
 * @session:  what its first ZKERN_REQUEST made, until it is closed; see request.h
 * @owner:    sees and does all: the owner's file, or a snapshot that it made
 * @watcher:  watch.c; NULL until something is watched, then it stays
 * @cred:     the opener's, for the watches; the file's; NULL: a handle of the kernel's
 * @events:   who waits for the watches' events
 * @kevents:  kapi_watch.c: whom a handle of the kernel's tells them
 */
struct zkern_file {
	struct zkern_inst *inst;
	struct zkern_pinned *pinned;
	u64 seen;
	s64 heard_ns;
	u64 generation;
	struct zkern_owner *own;
	struct zkern_session *session;
	bool owner;
	struct zkern_watcher *watcher;
	const struct cred *cred;
	wait_queue_head_t events;
	struct zkern_kevents *kevents;
};

static inline bool zkern_file_is_owner(const struct zkern_file *zf)
{
	return READ_ONCE(zf->owner);
}

/* Any: how long ago a quorum had been heard from, for what @zf shows; ~0: never. */
static inline u64 zkern_file_age_ms(const struct zkern_file *zf)
{
	return zf->pinned ? zkern_age_ms(zf->heard_ns) : zkern_inst_age_ms(zf->inst);
}

/* ------------------------------------------------------------ dev.c */

/*
 * The part of struct copying that every command shares: the size in the first
 * word, and what of the struct the caller knows. @size [out]. Sleeps. Returns 0,
 * -EFAULT, -EINVAL (shorter than the two first words), -E2BIG.
 */
int zkern_struct_in(void *s, size_t ksize, const void __user *arg, u32 *size);
/* Writes back @s from @from on, as far as the caller's struct reaches. Sleeps. */
int zkern_struct_out(const void *s, size_t from, size_t ksize, void __user *arg, u32 size);

#define zkern_struct_out_from(s, member, arg, size)	({		\
	typeof(s) __s = (s);						\
									\
	zkern_struct_out(__s, offsetof(typeof(*__s), member), sizeof(*__s), arg, size); \
})

/*
 * Gives the caller @file, which it takes over in any case, as a new descriptor: that goes
 * to *@fd, which is in @s, and @s from there on to the caller's struct. Sleeps. Returns 0,
 * -EMFILE, -EFAULT.
 */
int zkern_fd_out(struct file *file, __s32 *fd, const void *s, size_t ksize, void __user *arg,
		 u32 size);

/* ------------------------------------------------------------ file.c */

/*
 * A file of the live tree of instance @id, nobody's yet. Sleeps. Returns it or an ERR_PTR:
 * -ENOMEM, -ENODEV (no such instance).
 */
struct zkern_file *zkern_file_new(u32 id);
/* Sleeps: its watches go. Its session and what it owns have been given up before. */
void zkern_file_free(struct zkern_file *zf);

/* What a read is exact at. */
struct zkern_at {
	struct zk_tree *tree;
	u64 zxid;
};

/*
 * RCU: the tree and zxid that a read through @zf has to use now, and takes note
 * that the file has seen it. Errors: -ENODEV; -ESTALE: there is no tree yet, the
 * tree is behind what this file has seen, or the snapshot was revoked.
 */
int zkern_file_at(struct zkern_file *zf, struct zkern_at *at);

/*
 * Any: an answer at @zxid is going to be given; @seen is zkern_file_seen() from
 * before @zxid was read. -ESTALE: the file has seen more.
 */
int zkern_file_see(struct zkern_file *zf, u64 zxid, u64 seen);

/*
 * For reads that leave their RCU section between two looks: holds the live tree's
 * zxid in @pinned until zkern_unpin(). For a snapshot, *@p is its own pin and
 * nothing is taken. Errors as zkern_file_at().
 */
int zkern_pin(struct zkern_file *zf, struct zkern_pinned *pinned, struct zkern_pinned **p);
/* Drops what zkern_pin() took into @pinned; @p is what it gave. */
void zkern_unpin(struct zkern_pinned *pinned, struct zkern_pinned *p);

/* RCU, first thing in each section: -ESTALE once the pin was revoked. */
static inline int zkern_pinned_at(const struct zkern_pinned *p, struct zkern_at *at)
{
	at->tree = p->tree;
	at->zxid = p->pin.zxid;
	return zk_pin_valid(&p->pin) ? 0 : -ESTALE;
}

static inline u64 zkern_file_seen(const struct zkern_file *zf)
{
	/* before the tree and its zxid are looked at; see the head of file.c */
	return smp_load_acquire(&zf->seen);
}

/* RCU: the live tree if this file may see it; else NULL and *@err. */
static inline struct zk_tree *zkern_file_tree(struct zkern_file *zf, int *err)
{
	struct zk_tree *tree = rcu_dereference(zf->inst->tree);

	if (unlikely(!tree))
		*err = -ENODEV;
	else if (unlikely(READ_ONCE(zf->inst->state) == ZKERN_STATE_EMPTY) &&
		 !zkern_file_is_owner(zf))
		*err = -ESTALE;
	else
		return tree;
	return NULL;
}

/* RCU: zkern_file_at() for the one place where a call is too much. */
static __always_inline int zkern_file_at_inline(struct zkern_file *zf, struct zkern_at *at)
{
	u64 seen;
	int err;

	if (zf->pinned)
		return zkern_pinned_at(zf->pinned, at);
	seen = zkern_file_seen(zf);
	at->tree = zkern_file_tree(zf, &err);
	if (unlikely(!at->tree))
		return err;
	at->zxid = zk_tree_zxid(at->tree);
	return likely(at->zxid == seen) ? 0 : zkern_file_see(zf, at->zxid, seen);
}

/*
 * Has it confirmed by a quorum if @flags have ZKERN_LINEARIZABLE, waits for @min_zxid,
 * then checks @max_age_ms (none of them: nothing to do). Sleeps. Errors: -ETIMEDOUT,
 * -EINTR, -ENODEV, -ESTALE; -ENOTCONN, -EINVAL.
 */
int zkern_file_fresh_slow(struct zkern_file *zf, u32 flags, u64 min_zxid, u32 timeout_ms,
			  u32 max_age_ms);

static inline int zkern_file_fresh(struct zkern_file *zf, u32 flags, u64 min_zxid,
				   u32 timeout_ms, u32 max_age_ms)
{
	if (likely(!min_zxid && !max_age_ms && !(flags & ZKERN_LINEARIZABLE)))
		return 0;
	return zkern_file_fresh_slow(zf, flags, min_zxid, timeout_ms, max_age_ms);
}

/* Any: containers and TTL nodes have an owner that is no session (EphemeralType). */
static inline bool zkern_owner_is_timed(u64 owner)
{
	return owner == ZK_OWNER_CONTAINER || (owner & ZK_OWNER_TTL_MASK) == ZK_OWNER_TTL_MASK;
}

/* Any: as clients see it (DataNode.copyStat()), in arithmetic that wraps as Java's. */
static inline s32 zkern_cversion_shown(const struct zk_stat *st)
{
	return 2 * (u32)st->cversion - (u32)st->num_children;
}

/* Any: a stat as clients are shown it. */
void zkern_stat_fill(struct zkern_stat *out, const struct zk_view *view);

#define ZKERN_PATH_SMALL	256

/*
 * A path from user space: into @small if it fits there, else into memory that
 * zkern_path_free() frees. Sleeps. Checks only what is cheap; call
 * zkern_path_error() when nothing was found under it. Returns it or an ERR_PTR:
 * -EINVAL, -ENOMEM, -EFAULT.
 */
char *zkern_path_in(char small[ZKERN_PATH_SMALL], u64 uptr, u32 len);

static inline void zkern_path_free(const char *small, char *path)
{
	if (path != small)
		kvfree(path);
}

/* Any: why nothing was found at @path: -ENOENT, or -EINVAL if nothing can be. */
int zkern_path_error(const char *path, u32 len);

/*
 * RCU: the node at @path as of @at, and what it is then in @view; or an ERR_PTR, of
 * zkern_path_error().
 */
static inline struct zk_node *zkern_find(const struct zkern_at *at, const char *path, u32 len,
					 struct zk_view *view)
{
	struct zk_node *node;

	node = zk_lookup(at->tree, path, len, at->zxid);
	if (unlikely(!node || !zk_view(node, at->zxid, view)))
		return ERR_PTR(zkern_path_error(path, len));
	return node;
}

/* ------------------------------------------------------------ read.c */

/* Commands of both kinds of file. @arg: the caller's struct. Sleep. */
long zkern_ioctl_info(struct zkern_file *zf, void __user *arg);
long zkern_ioctl_get(struct zkern_file *zf, void __user *arg);
long zkern_ioctl_read(struct zkern_file *zf, void __user *arg);

/* ------------------------------------------------------------ hot.c */

/*
 * ZKERN_GET if it is a plain one: true: done, 0 is returned; false: as if nothing
 * had been tried. May sleep.
 */
bool zkern_get_hot(struct zkern_file *zf, void __user *arg);

/* ------------------------------------------------------------ list.c */

long zkern_ioctl_children(struct zkern_file *zf, void __user *arg);
/* The owner's lists. -EPERM for others. */
long zkern_ioctl_owned(struct zkern_file *zf, void __user *arg);
long zkern_ioctl_timed(struct zkern_file *zf, void __user *arg);

/* ------------------------------------------------------------ snapshot.c */

long zkern_ioctl_snapshot(struct zkern_file *zf, void __user *arg);

/* ------------------------------------------------------------ owner.c */

long zkern_ioctl_own(struct zkern_file *zf, void __user *arg);
long zkern_ioctl_apply(struct zkern_file *zf, void __user *arg);
long zkern_ioctl_load(struct zkern_file *zf, void __user *arg);
long zkern_ioctl_set_state(struct zkern_file *zf, void __user *arg);
long zkern_ioctl_confirm(struct zkern_file *zf, void __user *arg);
/* The last copy of the file is being closed: gives up what it owns. Sleeps. */
void zkern_owner_release(struct zkern_file *zf);

#endif
