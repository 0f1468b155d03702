// SPDX-License-Identifier: GPL-2.0-only
/*
 * The owner's side of locks: ZKERN_LOCK_TAKE, ZKERN_LOCK_ANSWER, ZKERN_LEASE; see lock.h.
 *
 * As with requests (calls.c), an owner's file stays the owner's until it is released, and
 * then no call is under way in it.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "file.h"
#include "lock.h"

/* 0, or why the caller cannot do what the owner does. */
static int owner_check(struct zkern_file *zf)
{
	if (!zkern_file_is_owner(zf))
		return -EPERM;
	return rcu_access_pointer(zf->inst->tree) ? 0 : -ENODEV;
}

/* ------------------------------------------------------------ take */

/* Where records go. */
struct out {
	void __user *at;
	u32 left;
	u32 wants;	/* the record that did not fit */
};

/* The next record, which is as good as written; a reference to its lock in *@l. */
static int next_record(struct zkern_inst *inst, struct zkern_lock_call *c, struct out *out,
		       struct zkern_plock **l)
{
	struct zkern_locks *ls = inst->locks;
	s64 now = zkern_locks_enter(ls);
	int err = 0;

	ls->owned = true;
	*l = zkern_lock_next(ls, now);
	if (!*l || !zkern_inst_serves(inst)) {
		err = -ENOENT;
		goto out;
	}
	*c = (struct zkern_lock_call){
		.len = ALIGN(sizeof(*c) + (*l)->path_len, 8), .mode = (*l)->want,
		.lock = (*l)->id, .seq = (*l)->seq, .base = (*l)->grant ? (*l)->base : 0,
		.path_len = (*l)->path_len,
	};
	out->wants = c->len;
	if (c->len > out->left) {
		err = -EMSGSIZE;
		goto out;
	}
	(*l)->refs++;
	zkern_lock_told(ls, *l);
out:
	zkern_locks_leave(ls);
	return err;
}

static int put_record(struct out *out, const struct zkern_lock_call *c, const char *path)
{
	u32 pad = c->len - sizeof(*c) - c->path_len;

	if (copy_to_user(out->at, c, sizeof(*c)) ||
	    copy_to_user(out->at + sizeof(*c), path, c->path_len) ||
	    clear_user(out->at + sizeof(*c) + c->path_len, pad))
		return -EFAULT;
	out->at += c->len;
	out->left -= c->len;
	return 0;
}

static int take_one(struct zkern_inst *inst, struct out *out)
{
	struct zkern_locks *ls = inst->locks;
	struct zkern_lock_call c;
	struct zkern_plock *l;
	int err;

	err = next_record(inst, &c, out, &l);
	if (err)
		return err;
	err = put_record(out, &c, l->path);
	zkern_locks_enter(ls);
	if (err)
		zkern_lock_untold(ls, l);
	zkern_lock_put(ls, l);
	zkern_locks_leave(ls);
	return err;
}

long zkern_ioctl_lock_take(struct zkern_file *zf, void __user *arg)
{
	struct zkern_take q;
	struct out out;
	u32 size;
	int err;

	err = zkern_struct_in(&q, sizeof(q), arg, &size);
	if (err)
		return err;
	if (q.flags || q.pad)
		return -EINVAL;
	err = owner_check(zf);
	if (err)
		return err;
	out = (struct out){ .at = u64_to_user_ptr(q.buf), .left = q.buf_len };
	q.count = 0;
	do {
		err = take_one(zf->inst, &out);
		q.count += !err;
		cond_resched();
	} while (!err && !fatal_signal_pending(current));
	q.used = q.buf_len - out.left;
	if (err == -EMSGSIZE && !q.count)
		q.used = out.wants;
	else if (err == -ENOENT || err == -EMSGSIZE || q.count)
		err = 0;
	if (zkern_struct_out_from(&q, used, arg, size))
		return -EFAULT;
	return err;
}

/* ------------------------------------------------------------ answer */

static bool reply_valid(const struct zkern_lock_reply *a)
{
	switch (a->kind) {
	case ZKERN_LOCK_GRANT:
	case ZKERN_LOCK_QUEUED:
	case ZKERN_LOCK_REVOKE:
	case ZKERN_LOCK_LOST:
		return !a->err;
	case ZKERN_LOCK_REFUSE:
		return a->err && a->err < MAX_ERRNO;
	}
	return false;
}

/* Between enter and leave. */
static int answer(struct zkern_locks *ls, struct zkern_plock *l, const struct zkern_lock_reply *a,
		  s64 now)
{
	switch (a->kind) {
	case ZKERN_LOCK_GRANT:
		return zkern_lock_granted(ls, l, a->base, now);
	case ZKERN_LOCK_QUEUED:
		zkern_lock_behind(ls, l, now);
		break;
	case ZKERN_LOCK_REVOKE:
		zkern_lock_revoke(ls, l, a->turns, a->ms, now);
		break;
	case ZKERN_LOCK_LOST:
		zkern_lock_lost(ls, l, now);
		break;
	case ZKERN_LOCK_REFUSE:
		zkern_lock_refuse(ls, l, -(int)a->err, now);
		break;
	}
	return 0;
}

static int answer_one(struct zkern_locks *ls, const void __user *from)
{
	struct zkern_lock_reply a;
	struct zkern_plock *l;
	int err = 0;
	s64 now;

	if (copy_from_user(&a, from, sizeof(a)))
		return -EFAULT;
	if (!reply_valid(&a))
		return -EINVAL;
	now = zkern_locks_enter(ls);
	l = zkern_lock_find(ls, a.lock);
	if (l) {
		l->refs++;
		zkern_lock_settle(ls, l, now);
		if (l->seq == a.seq)
			err = answer(ls, l, &a, now);
		zkern_lock_put(ls, l);
	}
	zkern_locks_leave(ls);
	return err;
}

long zkern_ioctl_lock_answer(struct zkern_file *zf, void __user *arg)
{
	const struct zkern_lock_reply __user *from;
	struct zkern_lock_answer q;
	u32 size;
	int err;

	err = zkern_struct_in(&q, sizeof(q), arg, &size);
	if (err)
		return err;
	if (q.flags)
		return -EINVAL;
	err = owner_check(zf);
	if (err)
		return err;
	from = u64_to_user_ptr(q.buf);
	for (q.done = 0; !err && q.done < q.count; q.done += !err) {
		if (fatal_signal_pending(current))
			err = -EINTR;
		else
			err = answer_one(zf->inst->locks, from + q.done);
		cond_resched();
	}
	if (zkern_struct_out_from(&q, done, arg, size))
		return -EFAULT;
	return err;
}

/* ------------------------------------------------------------ lease */

/* Between enter and leave. */
static int lease_set(struct zkern_locks *ls, const struct zkern_lease *q, s64 now)
{
	bool fresh = ls->session && ls->session != q->session;

	if (q->end_ns < 0 || q->end_ns > now + (s64)ZKERN_LEASE_MAX_MS * NSEC_PER_MSEC ||
	    (!q->session && q->end_ns > now))
		return -EINVAL;
	ls->owned = true;
	ls->session = q->session;
	ls->timeout = q->timeout;
	memcpy(ls->passwd, q->passwd, sizeof(ls->passwd));
	zkern_lease_set(ls, q->end_ns, fresh, now);
	return 0;
}

static void lease_show(const struct zkern_locks *ls, struct zkern_lease *q)
{
	q->session = ls->session;
	q->timeout = ls->timeout;
	memcpy(q->passwd, ls->passwd, sizeof(q->passwd));
	q->end_ns = ls->end_ns;
}

long zkern_ioctl_lease(struct zkern_file *zf, void __user *arg)
{
	struct zkern_locks *ls = zf->inst->locks;
	struct zkern_lease q;
	u32 size;
	int err;

	err = zkern_struct_in(&q, sizeof(q), arg, &size);
	if (err)
		return err;
	if ((q.flags & ~ZKERN_LEASE_ASK) || q.pad)
		return -EINVAL;
	err = owner_check(zf);
	if (err)
		return err;
	q.now_ns = zkern_locks_enter(ls);
	if (q.flags & ZKERN_LEASE_ASK)
		lease_show(ls, &q);
	else
		err = lease_set(ls, &q, q.now_ns);
	zkern_locks_leave(ls);
	/* who was told that it is over finds what there is to be taken */
	zkern_locks_settle(ls);
	if (zkern_struct_out_from(&q, session, arg, size))
		return -EFAULT;
	return err;
}
