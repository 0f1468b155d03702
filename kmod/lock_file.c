// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZKERN_LOCK_OPEN, and the files that it makes; see lock.h.
 *
 * A file that waits is in the queue as long as its thread is in the call, or, with
 * ZKERN_LOCK_ASYNC, until it is fetched or taken back. While a thread waits (@busy), other
 * threads with the same file get EBUSY, so that what it waits for is nobody else's.
 */
#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "access.h"
#include "file.h"
#include "lock.h"
#include "quota.h"
#include "trace.h"

static uint lock_max = 4096;
module_param(lock_max, uint, 0644);
MODULE_PARM_DESC(lock_max, "lock files that a user (uid) may have at a time");

#define LOCK_FLAGS	(ZKERN_LOCK_TRY | ZKERN_LOCK_ASYNC | ZKERN_LOCK_KILLABLE | \
			 ZKERN_LOCK_PASSED)

static DEFINE_XARRAY(lock_quota);	/* quota.h */

/* Takes the locks' lock, and brings @lf up to the lease. Returns what the clock says. */
static s64 lf_enter(struct zkern_lock_file *lf) __acquires(&lf->inst->locks->lock)
{
	struct zkern_locks *ls = lf->inst->locks;
	s64 now = zkern_locks_enter(ls);

	zkern_lock_settle(ls, lf->lock, now);
	return now;
}

static void lf_leave(struct zkern_lock_file *lf) __releases(&lf->inst->locks->lock)
{
	zkern_locks_leave(lf->inst->locks);
}

/* ------------------------------------------------------------ locking */

/* Under the lock; it holds it. */
static void lf_show(struct zkern_lock_file *lf, struct zkern_lock *q, s64 now)
{
	q->mode = lf->mode;
	q->token_hi = lf->base;
	q->token_lo = lf->token;
	q->end_ns = lf->inst->locks->end_ns;
	q->now_ns = now;
}

static int lf_fetch(struct zkern_lock_file *lf, struct zkern_lock *q, s64 now)
{
	lf->fetched = true;
	lf_show(lf, q, now);
	return 0;
}

/*
 * Under the lock, it WAITS: 0 if that has to be waited for in this thread, else why not. It
 * is dropped then, but with -EINPROGRESS.
 */
static int lf_stay(struct zkern_lock_file *lf, s64 now)
{
	struct zkern_locks *ls = lf->inst->locks;
	int err = 0;

	/* the owner's to give: he may come back as long as there is a lease to be renewed */
	if (!lf->lock->grant && !ls->owned && (lf->try || !ls->end_ns))
		err = -ENOTCONN;
	else if (!lf->lock->grant && lf->try && !zkern_inst_serves(lf->inst))
		err = -ENOTCONN;
	else if (lf->try)
		err = zkern_lock_tries(lf->lock, lf);
	if (!err && lf->async)
		return -EINPROGRESS;
	if (!err && zkern_lock_in_ring(ls, lf))
		err = -EDEADLK;
	if (err) {
		zkern_lock_drop(ls, lf, 0, now);
		return err;
	}
	lf->busy = true;
	hash_add(ls->waiting, &lf->waiting, lf->pid);
	return 0;
}

/* Under the lock: asks anew. 1: it has to be waited for. */
static int lf_begin(struct zkern_lock_file *lf, struct zkern_lock *q, s64 now)
{
	int err;

	lf->mode = q->mode;
	lf->async = q->flags & ZKERN_LOCK_ASYNC;
	lf->try = q->flags & ZKERN_LOCK_TRY;
	lf->passed = q->flags & ZKERN_LOCK_PASSED;
	lf->pid = task_pid_nr(current);
	lf->born = current->start_boottime;
	zkern_lock_queue(lf->inst->locks, lf, now);
	if (lf->state == ZKERN_LF_HELD)
		return lf_fetch(lf, q, now);
	err = lf_stay(lf, now);
	return err ?: 1;
}

/* Under the lock: goes on with what was asked with ASYNC. 1: it has to be waited for. */
static int lf_resume(struct zkern_lock_file *lf, struct zkern_lock *q, s64 now)
{
	int err;

	if (lf->mode != q->mode)
		return -EBUSY;
	if (lf->state == ZKERN_LF_HELD)
		return lf_fetch(lf, q, now);
	if (q->flags & ZKERN_LOCK_ASYNC)
		return -EINPROGRESS;
	lf->async = false;
	lf->try = q->flags & ZKERN_LOCK_TRY;
	lf->passed = q->flags & ZKERN_LOCK_PASSED;
	lf->pid = task_pid_nr(current);
	lf->born = current->start_boottime;
	err = lf_stay(lf, now);
	return err ?: 1;
}

/* Under the lock. 1: it has to be waited for. */
static int lf_ask(struct zkern_lock_file *lf, struct zkern_lock *q, s64 now)
{
	int err = lf->error;

	if (lf->busy)
		return -EBUSY;
	switch (lf->state) {
	case ZKERN_LF_IDLE:
		lf->error = 0;
		if (err)
			return err;	/* of what was asked with ASYNC */
		break;
	case ZKERN_LF_WAITS:
		return lf_resume(lf, q, now);
	case ZKERN_LF_HELD:
		return lf->fetched ? -EDEADLK : lf_resume(lf, q, now);
	case ZKERN_LF_LOST:
		if (lf->fetched)
			return -ESTALE;
		break;			/* nobody knew of it */
	}
	return lf->inst->locks->ended ? -ENODEV : lf_begin(lf, q, now);
}

static bool lf_waits(const struct zkern_lock_file *lf)
{
	return READ_ONCE(lf->state) == ZKERN_LF_WAITS;
}

/* @end: of CLOCK_MONOTONIC, or KTIME_MAX. 0: it does not wait any more. */
static int lf_sleep(struct zkern_lock_file *lf, u32 flags, ktime_t end)
{
	ktime_t left = end == KTIME_MAX ? end : ktime_sub(end, ktime_get());
	long ticks = MAX_SCHEDULE_TIMEOUT;
	int err;

	if (left <= 0)
		return -ETIMEDOUT;
	if (flags & ZKERN_LOCK_KILLABLE) {
		/* a tick more: not a moment too early */
		if (end != KTIME_MAX)
			ticks = nsecs_to_jiffies(left) + 1;
		ticks = wait_event_killable_timeout(lf->wait, !lf_waits(lf), ticks);
		return ticks > 0 ? 0 : ticks ? -EINTR : -ETIMEDOUT;
	}
	err = wait_event_interruptible_hrtimeout(lf->wait, !lf_waits(lf), left);
	if (err == -ETIME)
		return -ETIMEDOUT;
	return err && end != KTIME_MAX ? -EINTR : err;
}

/*
 * Under the lock: the wait has ended with @err. 1: it was there and is lost again, before
 * anybody knew.
 */
static int lf_end(struct zkern_lock_file *lf, struct zkern_lock *q, int err, s64 now)
{
	lf->busy = false;
	switch (lf->state) {
	case ZKERN_LF_WAITS:
		zkern_lock_drop(lf->inst->locks, lf, 0, now);
		return err;
	case ZKERN_LF_HELD:
		if (!fatal_signal_pending(current))
			return lf_fetch(lf, q, now);
		zkern_lock_drop(lf->inst->locks, lf, 0, now);
		return -EINTR;
	case ZKERN_LF_LOST:
		return err ?: 1;
	}
	err = lf->error;
	lf->error = 0;
	return err;
}

static int lf_lock(struct zkern_lock_file *lf, struct zkern_lock *q)
{
	ktime_t end = q->timeout_ms ? ktime_add_ms(ktime_get(), q->timeout_ms) : KTIME_MAX;
	int err;
	s64 now;

	do {
		now = lf_enter(lf);
		err = lf_ask(lf, q, now);
		lf_leave(lf);
		if (err <= 0)
			return err;
		err = lf_sleep(lf, q->flags, end);
		now = lf_enter(lf);
		err = lf_end(lf, q, err, now);
		lf_leave(lf);
	} while (err > 0);
	return err;
}

static void lf_trace(struct zkern_lock_file *lf, const struct zkern_lock *q, int err, u64 start)
{
	trace_zkern_lock(lf->inst->id, lf->lock->path, lf->lock->path_len, q->mode, q->token_hi,
			 q->token_lo, err, start ? ktime_get_ns() - start : 0);
}

static long ioctl_lock(struct zkern_lock_file *lf, void __user *arg)
{
	u64 start = trace_zkern_lock_enabled() ? ktime_get_ns() : 0;
	struct zkern_lock q;
	u32 size;
	int err;

	err = zkern_struct_in(&q, sizeof(q), arg, &size);
	if (err)
		return err;
	if ((q.flags & ~LOCK_FLAGS) || !q.mode || q.mode > ZKERN_LOCK_EXCLUSIVE)
		return -EINVAL;
	memset_startat(&q, 0, token_hi);
	err = lf_lock(lf, &q);
	if (trace_zkern_lock_enabled())
		lf_trace(lf, &q, err, start);
	if (!err && zkern_struct_out_from(&q, token_hi, arg, size))
		err = -EFAULT;		/* he has it; ZKERN_LOCKED tells the token */
	return err;
}

static long ioctl_locked(struct zkern_lock_file *lf, void __user *arg)
{
	struct zkern_lock q;
	u32 size;
	s64 now;
	int err;

	err = zkern_struct_in(&q, sizeof(q), arg, &size);
	if (err)
		return err;
	if (q.flags || q.timeout_ms)
		return -EINVAL;
	err = -ENOLCK;
	now = lf_enter(lf);
	if (lf->fetched && lf->state == ZKERN_LF_LOST)
		err = -ESTALE;
	else if (lf->fetched && lf->state == ZKERN_LF_HELD)
		err = lf_fetch(lf, &q, now);
	lf_leave(lf);
	if (!err && zkern_struct_out_from(&q, mode, arg, size))
		err = -EFAULT;
	return err;
}

/* Under the lock. */
static int lf_unlock(struct zkern_lock_file *lf, s64 now)
{
	int err = 0;

	if (lf->busy)
		return -EBUSY;
	if (lf->state == ZKERN_LF_IDLE)
		err = -ENOLCK;
	else if (lf->state == ZKERN_LF_LOST && lf->fetched)
		err = -ESTALE;
	lf->error = 0;
	if (err != -ENOLCK)
		zkern_lock_drop(lf->inst->locks, lf, 0, now);
	return err;
}

static long ioctl_unlock(struct zkern_lock_file *lf)
{
	struct zkern_lock q = {};
	int err;
	s64 now;

	now = lf_enter(lf);
	if (lf->state == ZKERN_LF_HELD)
		lf_show(lf, &q, now);
	q.mode = ZKERN_LOCK_NONE;
	err = lf_unlock(lf, now);
	lf_leave(lf);
	if (trace_zkern_lock_enabled())
		lf_trace(lf, &q, err, 0);
	return err;
}

/* ------------------------------------------------------------ the file */

static long lf_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct zkern_lock_file *lf = file->private_data;

	if (_IOC_TYPE(cmd) != ZKERN_IOC)
		return -ENOTTY;
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(ZKERN_LOCK):
		return ioctl_lock(lf, (void __user *)arg);
	case _IOC_NR(ZKERN_UNLOCK):
		return ioctl_unlock(lf);
	case _IOC_NR(ZKERN_LOCKED):
		return ioctl_locked(lf, (void __user *)arg);
	}
	return -ENOTTY;
}

/* Under the lock. */
static __poll_t lf_mask(const struct zkern_lock_file *lf)
{
	const __poll_t in = EPOLLIN | EPOLLRDNORM;

	switch (lf->state) {
	case ZKERN_LF_IDLE:
		return lf->error ? in : 0;
	case ZKERN_LF_HELD:
		return (lf->fetched ? 0 : in) |
		       (lf->lock->others || !list_empty(&lf->lock->waiters) ? EPOLLPRI : 0);
	case ZKERN_LF_LOST:
		return lf->fetched ? EPOLLERR | EPOLLHUP : in;
	}
	return 0;
}

static __poll_t lf_poll(struct file *file, poll_table *wait)
{
	struct zkern_lock_file *lf = file->private_data;
	__poll_t mask;

	poll_wait(file, &lf->wait, wait);
	lf_enter(lf);
	mask = lf_mask(lf);
	lf_leave(lf);
	return mask;
}

static void lf_free(struct zkern_lock_file *lf)
{
	struct zkern_locks *ls = lf->inst->locks;
	s64 now;

	if (lf->lock) {
		now = lf_enter(lf);
		zkern_lock_drop(ls, lf, 0, now);
		zkern_lock_put(ls, lf->lock);
		lf_leave(lf);
	}
	zkern_inst_put(lf->inst);
	zkern_quota_drop_of(&lock_quota, lf->uid, 1);
	kfree(lf);
}

static int lf_release(struct inode *inode, struct file *file)
{
	lf_free(file->private_data);
	return 0;
}

static const struct file_operations lf_fops = {
	.owner = THIS_MODULE,
	.poll = lf_poll,
	.unlocked_ioctl = lf_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = lf_release,
	.llseek = no_llseek,
};

/* ------------------------------------------------------------ opening */

static struct zkern_lock_file *lf_new(struct zkern_inst *inst)
{
	struct zkern_lock_file *lf = kzalloc(sizeof(*lf), GFP_KERNEL_ACCOUNT);
	int err;

	if (!lf)
		return ERR_PTR(-ENOMEM);
	lf->uid = current_uid();
	err = zkern_quota_take_of(&lock_quota, lf->uid, 1, READ_ONCE(lock_max));
	if (err) {
		kfree(lf);
		return ERR_PTR(err);
	}
	lf->inst = inst;
	zkern_inst_get(inst);
	INIT_LIST_HEAD(&lf->link);
	init_waitqueue_head(&lf->wait);
	return lf;
}

/* May the caller lock the node at @path? As over TCP: make a child, and see the others. */
static int may_lock(struct zkern_file *zf, const char *path, u32 len)
{
	struct zkern_caller who = zkern_caller_current(zkern_file_is_owner(zf));
	struct zk_node *node;
	struct zkern_at at;
	struct zk_view view;
	int err;

	rcu_read_lock();
	err = zkern_file_at(zf, &at);
	if (err)
		goto out;
	node = zkern_find(&at, path, len, &view);
	if (IS_ERR(node))
		err = PTR_ERR(node);
	else if (!zkern_may(view.acl, ZKERN_PERM_CREATE, &who) ||
		 !zkern_may(view.acl, ZKERN_PERM_READ, &who))
		err = -EACCES;
out:
	rcu_read_unlock();
	return err;
}

static int lf_open(struct zkern_file *zf, const char *path, struct zkern_lock_open *req,
		   void __user *arg, u32 size)
{
	struct zkern_lock_file *lf;
	struct file *file;
	int err;

	err = may_lock(zf, path, req->path_len);
	if (err)
		return err;
	lf = lf_new(zf->inst);
	if (IS_ERR(lf))
		return PTR_ERR(lf);
	lf->lock = zkern_lock_get(zf->inst->locks, path, req->path_len);
	if (IS_ERR(lf->lock)) {
		err = PTR_ERR(lf->lock);
		lf->lock = NULL;
		lf_free(lf);
		return err;
	}
	file = anon_inode_getfile("[zkern-lock]", &lf_fops, lf, O_RDONLY);
	if (IS_ERR(file)) {
		lf_free(lf);
		return PTR_ERR(file);
	}
	return zkern_fd_out(file, &req->fd, req, sizeof(*req), arg, size);
}

long zkern_ioctl_lock_open(struct zkern_file *zf, void __user *arg)
{
	char small[ZKERN_PATH_SMALL] __uninitialized;
	struct zkern_lock_open req;
	char *path;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	/* a caller who could not be told the descriptor would only leak it */
	if (req.flags || size < offsetofend(struct zkern_lock_open, fd))
		return -EINVAL;
	if (req.path_len > ZKERN_LOCK_PATH_MAX)
		return -ENAMETOOLONG;
	path = zkern_path_in(small, req.path, req.path_len);
	if (IS_ERR(path))
		return PTR_ERR(path);
	err = lf_open(zf, path, &req, arg, size);
	zkern_path_free(small, path);
	return err;
}
