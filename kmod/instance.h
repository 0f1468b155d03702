/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One instance: one tree, at most one owner, and what its readers wait for.
 *
 * Who may touch what
 *   inst->lock      everything the owner does, and the end of the instance. It
 *                   is held over whole batches; nothing a reader does takes it.
 *   inst->meta_lock label and pid of the owner. A leaf, never held for long.
 *   inst->tree      read under RCU, replaced under inst->lock. NULL: the instance
 *                   was removed. The pointer owns a reference to the tree.
 *   inst->state,    read with READ_ONCE(), written under inst->lock.
 *   heard_ns
 *   inst->asked     anybody counts it up; the owner answers (zkern_inst_confirm()).
 *   inst->calls     has its own lock (calls.h), a leaf. So have inst->locks (lock.h).
 *   inst->told,     as state. What was published before @confirmed was raised is seen
 *   confirmed, lost by who has seen that (release, acquire).
 *
 * Registered instances are in a table that only instance.c sees. An open file, a
 * snapshot, another module's handle and a running netlink dump each hold a reference;
 * the memory of an instance outlives its removal until the last of them goes, and a
 * grace period.
 */
#ifndef ZKERN_INSTANCE_H
#define ZKERN_INSTANCE_H

#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/zkern.h>

#include "calls.h"
#include "tree/tree.h"

struct cred;
struct pid;
struct zkern_file;
struct zkern_locks;
struct zkern_maps;
struct zkern_watches;

#define ZKERN_NEVER_HEARD	S64_MIN

struct zkern_inst {
	struct zk_tree __rcu *tree;
	u32 state;			/* enum zkern_state */
	u32 id;
	s64 heard_ns;			/* boot time (may lie before boot), or ZKERN_NEVER_HEARD */
	u64 age_cache;			/* see zkern_inst_age_ms(); 0: nothing */
	u64 generation;			/* of the tree: grows with each swap */
	wait_queue_head_t wait;		/* for a zxid, a state, an answer, or the end */

	atomic64_t asked;		/* readers who want to be confirmed, so far */
	u64 told;			/* of these, the owner knows of */
	u64 confirmed;			/* of these, are */
	u64 lost;			/* how often no quorum could be asked any more */
	wait_queue_head_t asks;		/* the owner's poll */
	struct zkern_calls calls;	/* what files ask the owner to do */

	struct mutex lock;		/* the owner's doings, and the end */
	struct zkern_file *owner;	/* under lock */
	kuid_t owner_uid;		/* who may own it; INVALID_UID: CAP_SYS_ADMIN only */

	spinlock_t meta_lock;		/* owner_pid, label */
	struct pid *owner_pid;
	u8 label[sizeof_field(struct zkern_info, label)];

	struct zkern_maps *maps;	/* see map.h */
	struct zkern_watches *watches;	/* see watch.h */
	struct zkern_locks *locks;	/* see lock.h */

	atomic_t snapshots;
	struct kref ref;
	struct rcu_head rcu;
};

/*
 * Makes an instance and its device node. @want: the number, or ~0 for the lowest
 * free one; @uid: may own it besides CAP_SYS_ADMIN, ~0: nobody. The caller has
 * checked the privilege. Sleeps. Returns the number, -EEXIST, -ENOSPC, -EINVAL
 * or -ENOMEM.
 */
int zkern_inst_new(u32 want, u32 uid);

/*
 * Removes an instance: from here on its files answer ENODEV; snapshots go on.
 * @force: also when it has an owner (else -EBUSY). Sleeps. -ENODEV: no such.
 */
int zkern_inst_del(u32 id, bool force);

/* Any: a reference to a registered instance, or NULL. Sleeps. */
struct zkern_inst *zkern_inst_find(u32 id);
/* RCU: a registered instance, no reference taken, or NULL. Any context. */
struct zkern_inst *zkern_inst_peek(u32 id);
/* Any: the first registered instance with a number of at least @id, or NULL. */
struct zkern_inst *zkern_inst_next(u32 id);
void zkern_inst_get(struct zkern_inst *inst);
void zkern_inst_put(struct zkern_inst *inst);

/*
 * Waits until the tree has reached @min_zxid (and has a tree to show), bounded by
 * @timeout_ms (0: not bounded). Returns 0, -ETIMEDOUT, -EINTR or -ENODEV.
 */
int zkern_inst_wait(struct zkern_inst *inst, u64 min_zxid, u32 timeout_ms);

/*
 * Has the owner ask a quorum whether the tree has all that anybody was told is done, and
 * waits for that, at most @timeout_ms (not 0). Sleeps. Returns 0, -ENOTCONN (nobody can be
 * asked, or not any more), -ETIMEDOUT, -EINTR or -ENODEV.
 */
int zkern_inst_confirm(struct zkern_inst *inst, u32 timeout_ms);

/*
 * Any: wakes those who wait for what has just been published. Cheap when there
 * are none. The caller has published before.
 */
static inline void zkern_inst_wake(struct zkern_inst *inst)
{
	if (wq_has_sleeper(&inst->wait))
		wake_up_all(&inst->wait);
}

/* Under inst->lock: changes the state, wakes and tells the world if it is new. */
void zkern_inst_set_state(struct zkern_inst *inst, u32 state);

/* Any: whether the owner can have writes done, as it last said. */
static inline bool zkern_inst_serves(const struct zkern_inst *inst)
{
	switch (READ_ONCE(inst->state)) {
	case ZKERN_STATE_LEADING:
	case ZKERN_STATE_FOLLOWING:
	case ZKERN_STATE_OBSERVING:
	case ZKERN_STATE_STANDALONE:
		return true;
	}
	return false;
}

/*
 * Under inst->lock: takes over the caller's reference to @tree and puts it in the
 * place of the present one. Readers in flight end on the old one.
 */
void zkern_inst_swap_tree(struct zkern_inst *inst, struct zk_tree *tree);

/* Any: a new tree with the module's limits, or NULL. Sleeps. */
struct zk_tree *zkern_tree_alloc(void);

/*
 * Any: how long ago, in ms, @heard_ns was; ~0 for never. To the tick, and rather
 * too old than too young.
 */
u64 zkern_age_ms(s64 heard_ns);
/* Any: the heard_ns of something heard @ms ago; ~0 is never. */
s64 zkern_heard_ns(u64 ms);

u64 zkern_inst_age_slow(struct zkern_inst *inst);

/*
 * Any: the age of the live tree. The clock is asked once a tick, whoever asks
 * first; until the next one the answer stands in @age_cache, the tick's number in
 * the upper half and the age in the lower one.
 */
static inline u64 zkern_inst_age_ms(struct zkern_inst *inst)
{
	u64 cache = READ_ONCE(inst->age_cache);

	if (likely(cache && cache >> 32 == (u32)jiffies))
		return (u32)cache;
	return zkern_inst_age_slow(inst);
}

/* Under inst->lock. */
void zkern_inst_set_heard(struct zkern_inst *inst, s64 heard_ns);

/*
 * Any: everything but what the caller's position gives (pid namespace: the
 * current task's, if @pid). Sleeps not. -ENODEV after the removal.
 */
int zkern_inst_info(struct zkern_inst *inst, struct zkern_info *info, bool pid);

/*
 * Whether readers that come past the device node (netlink) may read at all: what
 * the node's mode says of others.
 */
bool zkern_inst_open_to_all(void);

/* @fops: of the instances' device nodes */
int zkern_inst_init(const struct file_operations *fops);
/*
 * The module is going, no file is open: removes all instances, and lets nobody
 * make more. Events are still sent, so the netlink family has to be there.
 */
void zkern_inst_close(void);
/* After zkern_inst_close(). */
void zkern_inst_exit(void);

#endif
