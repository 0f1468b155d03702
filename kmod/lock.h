/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locks: see the UAPI header ("locks"), whose lettered guarantees the tests go by.
 *
 *   lock.c       the table of locks and what becomes of each: who gets it, what the owner is
 *                to be asked, and the lease. Nothing there sleeps, copies or knows of users
 *   lock_file.c  lock files: ZKERN_LOCK_OPEN, ZKERN_LOCK, ... poll
 *   lock_owner.c the owner's side: ZKERN_LOCK_TAKE, ZKERN_LOCK_ANSWER, ZKERN_LEASE
 *
 * How it works
 *   What the host wants of a lock is a mode, @want. Each time that the owner has to do
 *   something for it anew, @seq grows and the lock goes on @news; the owner is told the
 *   newest of it, and what he says is heeded if it is about that @seq. So neither side has to
 *   know what the other had in mind, however their messages cross.
 *   @grant is what the host has. lock_run() is the only place where a file gets a lock, and
 *   where more is asked for: it is called after each change, and leaves nothing undone.
 *
 *   A lease that ends does so for all locks at once: ls->term grows. A lock of an older term
 *   has no grant, whatever it says, and whoever touches it first settles that; the work does
 *   for those that nobody touches. ls->all has those of older terms first. Everybody who
 *   takes ls->lock with zkern_locks_enter() has looked at the clock.
 *
 * All of it is under ls->lock, a leaf but for wait queues, unless it is said otherwise.
 */
#ifndef ZKERN_LOCK_H
#define ZKERN_LOCK_H

#include <linux/hashtable.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/zkern.h>

struct zkern_file;
struct zkern_inst;

#define ZKERN_LOCK_BITS		10
#define ZKERN_LOCK_WAIT_BITS	6

/**
 * struct zkern_locks - those of an instance.
 * @inst:    constant, no reference
 * @ended:   the instance was removed
 * @owned:   this owner takes part
 * @last_id: the last lock's
 * @term:    grows when all grants are void
 * @end_ns:  of the lease (boot time), 0: there is none
 * @session, @timeout, @passwd: what the owner said of it
 * @all:     struct zkern_plock, those of older terms first
 * @news:    of these, the owner is to be told; oldest first
 * @idle:    of these, the host has them and no file refers to them; oldest first
 * @waiting: struct zkern_lock_file in which a thread waits, by its number
 * @walk:    the number of the last search for a ring
 */
struct zkern_locks {
	struct zkern_inst *inst;
	spinlock_t lock;		/* all of this, and of all locks and lock files */
	bool ended;
	bool owned;
	u64 last_id;
	u64 term;
	s64 end_ns;
	u64 session;
	s32 timeout;
	u8 passwd[ZKERN_PASSWD_LEN];
	struct list_head all;
	struct list_head news;
	struct list_head idle;
	u32 n_idle;
	u64 walk;
	struct hrtimer timer;		/* at end_ns */
	struct work_struct work;
	DECLARE_HASHTABLE(by_path, ZKERN_LOCK_BITS);
	DECLARE_HASHTABLE(by_id, ZKERN_LOCK_BITS);
	DECLARE_HASHTABLE(waiting, ZKERN_LOCK_WAIT_BITS);
};

/**
 * struct zkern_plock - the lock of one path.
 * @holders, @waiters: struct zkern_lock_file; who asked first is first
 * @id, @path: constant
 * @seq:    of what the owner is to do
 * @term:   of @grant
 * @base:   the last grant's czxid
 * @turns, @turns_ns: @others: how many more may have it, and until when
 * @refs:   files, and records being written for the owner
 * @walk:   the last search that came by
 * @want, @grant: enum zkern_lock_mode. With a grant they are equal
 * @others: of other hosts wait
 * @behind: the owner has said that the host is not the first
 * @known:  this owner was told something that he has to be told the end of
 */
struct zkern_plock {
	struct hlist_node by_path;
	struct hlist_node by_id;
	struct list_head all;
	struct list_head news;
	struct list_head idle;
	struct list_head walking;
	struct list_head holders;
	struct list_head waiters;
	u64 id;
	u64 seq;
	u64 term;
	u64 base;
	u64 walk;
	s64 turns_ns;
	u32 turns;
	u32 refs;
	u8 want;
	u8 grant;
	bool others;
	bool behind;
	bool known;
	u32 path_len;
	char path[];
};

enum zkern_lock_file_state {
	ZKERN_LF_IDLE,		/* @error: why it does not wait any more */
	ZKERN_LF_WAITS,
	ZKERN_LF_HELD,
	ZKERN_LF_LOST,		/* it held it */
};

/**
 * struct zkern_lock_file - one open lock file.
 * @inst: reference held
 * @lock: reference held
 * @uid:  counted for
 * @state: written under ls->lock, read anywhere
 * @link: in holders or waiters
 * @wait: for @state, and for poll
 * @busy: a thread is about to wait, waits, or has not seen yet that it need not
 * @async, @try, @passed: flags of who asked
 * @fetched: who asked has been told that it is held
 * @error: a negative errno
 * @waiting, @pid, @born: the thread that asked, what makes it unmistakable
 */
struct zkern_lock_file {
	struct zkern_inst *inst;
	struct zkern_plock *lock;
	kuid_t uid;
	u8 state;
	u8 mode;
	bool busy;
	bool async;
	bool try;
	bool passed;
	bool fetched;
	int error;
	u64 base;
	u64 token;
	struct list_head link;
	struct hlist_node waiting;
	pid_t pid;
	u64 born;
	wait_queue_head_t wait;
};

/* ------------------------------------------------------------ an instance's life */

/* The module's beginning. */
void zkern_locks_init(void);
/* Any; sleeps. Or NULL. */
struct zkern_locks *zkern_locks_alloc(struct zkern_inst *inst);
/* No file refers to them. Sleeps. NULL is fine. */
void zkern_locks_free(struct zkern_locks *ls);
/* Under inst->lock, the tree is gone. Sleeps. */
void zkern_locks_end(struct zkern_locks *ls);
/* Under inst->lock: the owner goes. */
void zkern_locks_orphan(struct zkern_locks *ls);
/* Under inst->lock: the state is another one. */
void zkern_locks_state(struct zkern_locks *ls);

/* ------------------------------------------------------------ lock.c */

/* Takes ls->lock, and ends the lease if that is due. Returns what the clock says. */
s64 zkern_locks_enter(struct zkern_locks *ls) __acquires(&ls->lock);
void zkern_locks_leave(struct zkern_locks *ls) __releases(&ls->lock);
/* Any; sleeps: settles all locks. */
void zkern_locks_settle(struct zkern_locks *ls);
/* Any: whether the owner would take something now. */
bool zkern_locks_news(struct zkern_inst *inst);

/* Sleeps: a reference to the lock of this path, or an ERR_PTR: -ENOMEM, -ENODEV. */
struct zkern_plock *zkern_lock_get(struct zkern_locks *ls, const char *path, u32 len);

/* All below are between enter and leave, and @now is what enter returned. */

void zkern_lock_put(struct zkern_locks *ls, struct zkern_plock *l);
struct zkern_plock *zkern_lock_find(struct zkern_locks *ls, u64 id);
/* What the owner is to be told next, or NULL. */
struct zkern_plock *zkern_lock_next(struct zkern_locks *ls, s64 now);

/* Makes @lf, which is IDLE, HELD or let it WAIT. */
void zkern_lock_queue(struct zkern_locks *ls, struct zkern_lock_file *lf, s64 now);
/* It neither holds it nor waits for it any more: IDLE, with @error. */
void zkern_lock_drop(struct zkern_locks *ls, struct zkern_lock_file *lf, int error, s64 now);
/* @lf's state is as the lease has it. */
void zkern_lock_settle(struct zkern_locks *ls, struct zkern_plock *l, s64 now);
/* What a file that only tries has to be told of, if it is not yet: -EAGAIN or 0. */
int zkern_lock_tries(struct zkern_plock *l, const struct zkern_lock_file *lf);
/* Would @lf, which waits, in this thread, wait in a ring? */
bool zkern_lock_in_ring(struct zkern_locks *ls, struct zkern_lock_file *lf);

/* What the owner says; @seq was looked at. */
int zkern_lock_granted(struct zkern_locks *ls, struct zkern_plock *l, u64 base, s64 now);
void zkern_lock_behind(struct zkern_locks *ls, struct zkern_plock *l, s64 now);
void zkern_lock_revoke(struct zkern_locks *ls, struct zkern_plock *l, u32 turns, u32 ms,
		       s64 now);
void zkern_lock_lost(struct zkern_locks *ls, struct zkern_plock *l, s64 now);
void zkern_lock_refuse(struct zkern_locks *ls, struct zkern_plock *l, int error, s64 now);
/* The owner has been told of @l as it is now: off the news. */
void zkern_lock_told(struct zkern_locks *ls, struct zkern_plock *l);
/* He could not be: on them again. */
void zkern_lock_untold(struct zkern_locks *ls, struct zkern_plock *l);
/* A lease that ends at @end_ns, for another session than before if @fresh. */
void zkern_lease_set(struct zkern_locks *ls, s64 end_ns, bool fresh, s64 now);

/* ------------------------------------------------------------ ioctls */

/* lock_file.c. Sleeps. */
long zkern_ioctl_lock_open(struct zkern_file *zf, void __user *arg);

/* lock_owner.c; the owner's, -EPERM for others. Sleep. */
long zkern_ioctl_lock_take(struct zkern_file *zf, void __user *arg);
long zkern_ioctl_lock_answer(struct zkern_file *zf, void __user *arg);
long zkern_ioctl_lease(struct zkern_file *zf, void __user *arg);

#endif
