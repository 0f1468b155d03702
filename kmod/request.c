// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZKERN_REQUEST, and the session that an open file is: the callers' side of calls.h.
 *
 * What is asked is copied once and not looked into: the owner decodes it as it does a
 * client's. The same memory, as large as the greater of both, takes the answer, so that
 * an answer cannot fail for want of it.
 */
#include "request.h"

#include <linux/cred.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "trace.h"
#include "watch.h"

/* ------------------------------------------------------------ sessions */

/* Under the lock: counts one more for @uid. @fresh is used up if there is none yet. */
static struct zkern_user *user_take(struct zkern_calls *calls, kuid_t uid,
				    struct zkern_user **fresh)
{
	struct zkern_user *u;

	list_for_each_entry(u, &calls->users, link) {
		if (!uid_eq(u->uid, uid))
			continue;
		if (u->sessions == ZKERN_USER_SESSIONS)
			return NULL;
		u->sessions++;
		return u;
	}
	u = *fresh;
	*fresh = NULL;
	u->uid = uid;
	u->sessions = 1;
	list_add(&u->link, &calls->users);
	return u;
}

static void user_drop(struct zkern_user *u)
{
	if (--u->sessions)
		return;
	WARN_ON_ONCE(u->bytes);
	list_del(&u->link);
	kfree(u);
}

/* Under the lock. @s, @u are used up on success only, @u perhaps not even then. */
static int session_add(struct zkern_file *zf, struct zkern_session *s, struct zkern_user **u)
{
	struct zkern_calls *calls = &zf->inst->calls;

	if (calls->ended)
		return -ENODEV;
	s->user = user_take(calls, current_fsuid(), u);
	if (!s->user)
		return -ENOSPC;
	s->file = ++calls->last_file;
	INIT_LIST_HEAD(&s->news);
	INIT_LIST_HEAD(&s->taken);
	hash_add(calls->sessions, &s->by_file, s->file);
	/* pairs with session_of() */
	smp_store_release(&zf->session, s);
	return 0;
}

static struct zkern_session *session_of(struct zkern_file *zf)
{
	struct zkern_calls *calls = &zf->inst->calls;
	struct zkern_session *s, *fresh;
	struct zkern_user *u;
	int err = 0;

	/* pairs with session_add() */
	s = smp_load_acquire(&zf->session);
	if (s)
		return s;
	fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	u = kzalloc(sizeof(*u), GFP_KERNEL_ACCOUNT);
	if (!fresh || !u) {
		kfree(fresh);
		kfree(u);
		return ERR_PTR(-ENOMEM);
	}
	spin_lock(&calls->lock);
	s = zf->session;
	if (!s) {
		err = session_add(zf, fresh, &u);
		s = fresh;
		if (!err)
			fresh = NULL;
	}
	spin_unlock(&calls->lock);
	kfree(fresh);
	kfree(u);
	return err ? ERR_PTR(err) : s;
}

/* Under the lock. */
static void session_free(struct zkern_session *s)
{
	user_drop(s->user);
	kfree(s);
}

void zkern_session_drop(struct zkern_session *s, struct list_head *dead)
{
	struct zkern_req *r, *next;

	list_del_init(&s->news);
	hash_del(&s->by_file);
	s->dropped = true;
	s->n++;		/* not by the last request, but below */
	list_for_each_entry_safe(r, next, &s->taken, link) {
		list_del(&r->link);
		zkern_req_fail(r, -ECONNRESET, ZKERN_FATE_UNKNOWN, dead);
	}
	if (!--s->n)
		session_free(s);
}

void zkern_session_release(struct zkern_file *zf)
{
	struct zkern_calls *calls = &zf->inst->calls;
	struct zkern_session *s = zf->session;
	LIST_HEAD(dead);

	if (!s)
		return;
	spin_lock(&calls->lock);
	s->closed = true;
	if (calls->ended || (!s->told && (!s->id || s->expired)))
		zkern_session_drop(s, &dead);
	else if (list_empty(&s->news))
		list_add_tail(&s->news, &calls->news);
	spin_unlock(&calls->lock);
	zkern_calls_wake(zf->inst);
	zkern_calls_bury(&dead);
}

/* ------------------------------------------------------------ requests */

void zkern_req_put(struct zkern_req *r)
{
	if (!refcount_dec_and_test(&r->refs))
		return;
	put_cred(r->cred);
	kvfree(r->buf);
	kfree(r);
}

void zkern_calls_bury(struct list_head *dead)
{
	struct zkern_req *r, *next;

	list_for_each_entry_safe(r, next, dead, link)
		zkern_req_put(r);
}

void zkern_req_finish(struct zkern_req *r, struct list_head *dead)
{
	struct zkern_session *s = r->session;

	r->state = ZKERN_REQ_DONE;
	list_add_tail(&r->link, dead);
	s->user->bytes -= r->cost;
	if (!--s->n && s->dropped)
		session_free(s);
	complete(&r->done);
}

void zkern_req_fail(struct zkern_req *r, int error, u32 fate, struct list_head *dead)
{
	r->error = error;
	r->fate = fate;
	zkern_req_finish(r, dead);
}

static struct zkern_req *req_new(const struct zkern_request *q)
{
	u32 room = max(q->buf_len, q->out_cap);
	struct zkern_req *r;

	r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	if (!r)
		return ERR_PTR(-ENOMEM);
	r->buf = kvmalloc(max(room, 1U), GFP_KERNEL_ACCOUNT);
	if (!r->buf) {
		kfree(r);
		return ERR_PTR(-ENOMEM);
	}
	init_completion(&r->done);
	refcount_set(&r->refs, 1);
	r->cred = get_current_cred();
	r->pid = task_tgid_nr(current);
	r->op = q->op;
	r->len = q->buf_len;
	r->cap = q->out_cap;
	r->cost = room;
	if (copy_from_user(r->buf, u64_to_user_ptr(q->buf), r->len)) {
		zkern_req_put(r);
		return ERR_PTR(-EFAULT);
	}
	return r;
}

static int req_queue(struct zkern_inst *inst, struct zkern_session *s, struct zkern_req *r,
		     u32 flags)
{
	struct zkern_calls *calls = &inst->calls;
	int err = 0;

	spin_lock(&calls->lock);
	if (calls->ended)
		err = -ENODEV;
	else if (s->expired)
		err = -ESHUTDOWN;
	else if ((flags & ZKERN_REQUEST_NOWAIT) && !(calls->taken && zkern_inst_serves(inst)))
		err = -ENOTCONN;
	else if (s->n >= ZKERN_FILE_REQUESTS || s->user->bytes + r->cost > ZKERN_USER_BYTES)
		err = -EAGAIN;
	if (!err) {
		s->n++;
		s->user->bytes += r->cost;
		r->session = s;
		r->seq = ++calls->last_seq;
		refcount_inc(&r->refs);
		list_add_tail(&r->link, &calls->queue);
	}
	spin_unlock(&calls->lock);
	if (!err)
		zkern_calls_wake(inst);
	return err;
}

/* The caller gives up, unless it is taken (and he is not @leaving). What it left: */
enum left { LEFT_DONE, LEFT_WITHDRAWN, LEFT_TAKEN };

static enum left req_leave(struct zkern_inst *inst, struct zkern_req *r, bool leaving)
{
	struct zkern_calls *calls = &inst->calls;
	enum left left = LEFT_DONE;
	LIST_HEAD(dead);

	spin_lock(&calls->lock);
	if (r->state == ZKERN_REQ_QUEUED) {
		list_del(&r->link);
		zkern_req_fail(r, 0, ZKERN_FATE_NONE, &dead);
		left = LEFT_WITHDRAWN;
	} else if (r->state != ZKERN_REQ_DONE) {
		r->gone = leaving;
		left = LEFT_TAKEN;
	}
	spin_unlock(&calls->lock);
	zkern_calls_bury(&dead);
	return left;
}

/* jiffies that are left until @end, at least one */
static long time_left(unsigned long end)
{
	return max(1L, (long)(end - jiffies));
}

/*
 * Returns 0 when it is done; else @fate says what is known. A signal that comes before it
 * is taken withdraws it; later only one that kills ends the wait.
 */
static int req_wait(struct zkern_inst *inst, struct zkern_req *r, u32 timeout_ms, u32 *fate)
{
	/* a tick more: not a moment too early */
	long left = timeout_ms ? msecs_to_jiffies(timeout_ms) + 1 : MAX_SCHEDULE_TIMEOUT;
	unsigned long end = jiffies + left;
	int err;

	*fate = ZKERN_FATE_NONE;
	left = wait_for_completion_interruptible_timeout(&r->done, left);
	if (left > 0)
		return 0;
	err = left ? (timeout_ms ? -EINTR : -ERESTARTSYS) : -ETIMEDOUT;
	switch (req_leave(inst, r, !left)) {
	case LEFT_DONE:
		return 0;
	case LEFT_WITHDRAWN:
		return err;
	case LEFT_TAKEN:
		break;
	}
	*fate = ZKERN_FATE_UNKNOWN;
	if (!left)
		return err;
	left = wait_for_completion_killable_timeout(&r->done, timeout_ms ? time_left(end) :
							      MAX_SCHEDULE_TIMEOUT);
	if (left > 0)
		return 0;
	switch (req_leave(inst, r, true)) {
	case LEFT_DONE:
		return 0;
	case LEFT_WITHDRAWN:	/* an owner who could not take it gave it back */
		*fate = ZKERN_FATE_NONE;
		break;
	case LEFT_TAKEN:
		break;
	}
	return left ? -EINTR : -ETIMEDOUT;
}

/* It is done: nobody else has it now. */
static int req_result(struct zkern_file *zf, struct zkern_req *r, struct zkern_request *q)
{
	u64 seen;

	q->fate = r->fate;
	if (r->fate != ZKERN_FATE_ANSWERED)
		return r->error;
	q->err = r->err;
	q->zxid = r->zxid;
	q->out_len = r->out_len;
	seen = zkern_file_seen(zf);
	if (r->zxid > seen)
		zkern_file_see(zf, r->zxid, seen);
	/* the owner has applied that before it answered */
	q->events = zkern_watch_waits(zf, r->zxid);
	if (copy_to_user(u64_to_user_ptr(q->out), r->buf, min(r->out_len, r->cap)))
		return -EFAULT;
	return r->out_len > r->cap ? -EMSGSIZE : 0;
}

static int request_do(struct zkern_file *zf, struct zkern_session *s, struct zkern_request *q)
{
	struct zkern_req *r = req_new(q);
	int err;

	if (IS_ERR(r))
		return PTR_ERR(r);
	err = req_queue(zf->inst, s, r, q->flags);
	if (!err)
		err = req_wait(zf->inst, r, q->timeout_ms, &q->fate);
	if (!err)
		err = req_result(zf, r, q);
	zkern_req_put(r);
	return err;
}

/* ZooDefs.OpCode: what changes something, and sync and whoAmI, which need the owner. */
static bool op_allowed(s32 op)
{
	switch (op) {
	case 1:		/* create */
	case 2:		/* delete */
	case 5:		/* setData */
	case 7:		/* setACL */
	case 9:		/* sync */
	case 14:	/* multi */
	case 15:	/* create2 */
	case 19:	/* createContainer */
	case 21:	/* createTTL */
	case 107:	/* whoAmI */
		return true;
	}
	return false;
}

static void session_show(struct zkern_file *zf, struct zkern_session *s, struct zkern_request *q)
{
	spin_lock(&zf->inst->calls.lock);
	q->session = s->id;
	q->session_ms = s->timeout;
	spin_unlock(&zf->inst->calls.lock);
}

static int request_check(const struct zkern_request *q)
{
	if ((q->flags & ~ZKERN_REQUEST_NOWAIT) || q->cookie)
		return -EINVAL;
	if (!op_allowed(q->op))
		return -EOPNOTSUPP;
	return q->buf_len > ZKERN_REQUEST_MAX || q->out_cap > ZKERN_REQUEST_MAX ? -EMSGSIZE : 0;
}

long zkern_ioctl_request(struct zkern_file *zf, void __user *arg)
{
	u64 start = trace_zkern_request_enabled() ? ktime_get_ns() : 0;
	struct zkern_session *s;
	struct zkern_request q;
	u32 size;
	int err;

	err = zkern_struct_in(&q, sizeof(q), arg, &size);
	if (err)
		return err;
	memset_startat(&q, 0, out_len);
	err = request_check(&q);
	if (err == -EINVAL)
		return err;
	if (!err) {
		s = session_of(zf);
		err = PTR_ERR_OR_ZERO(s);
	}
	if (!err) {
		err = request_do(zf, s, &q);
		session_show(zf, s, &q);
	}
	if (trace_zkern_request_enabled())
		trace_zkern_request(zf->inst->id, q.op, q.buf_len, q.zxid, q.err, err,
				    start ? ktime_get_ns() - start : 0);
	if (zkern_struct_out_from(&q, out_len, arg, size))
		return -EFAULT;
	return err;
}
