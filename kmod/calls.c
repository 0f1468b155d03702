// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZKERN_TAKE and ZKERN_ANSWER: the owner's side of calls.h, and what becomes of files'
 * requests and sessions when an owner or the instance goes.
 *
 * The owner's ioctls need no lock but the calls' own: an owner's file stays the owner's
 * until it is released, and then no call is under way in it.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "request.h"

void zkern_calls_init(struct zkern_calls *calls)
{
	spin_lock_init(&calls->lock);
	INIT_LIST_HEAD(&calls->queue);
	INIT_LIST_HEAD(&calls->news);
	INIT_LIST_HEAD(&calls->users);
	hash_init(calls->sessions);
}

bool zkern_calls_wait(struct zkern_inst *inst)
{
	struct zkern_calls *calls = &inst->calls;
	bool some;

	spin_lock(&calls->lock);
	some = zkern_inst_serves(inst) &&
	       (!list_empty(&calls->news) || !list_empty(&calls->queue));
	spin_unlock(&calls->lock);
	return some;
}

void zkern_calls_wake(struct zkern_inst *inst)
{
	wake_up_interruptible_poll(&inst->asks, EPOLLPRI);
}

/* Under the lock. */
static struct zkern_session *session_find(struct zkern_calls *calls, u64 file)
{
	struct zkern_session *s;

	hash_for_each_possible(calls->sessions, s, by_file, file)
		if (s->file == file)
			return s;
	return NULL;
}

/* ------------------------------------------------------------ who goes */

/* Under the lock: what the owner has of it is lost. */
static void session_lose(struct zkern_session *s, int error, struct list_head *dead)
{
	struct zkern_req *r, *next;

	list_for_each_entry_safe(r, next, &s->taken, link) {
		list_del(&r->link);
		zkern_req_fail(r, error, ZKERN_FATE_UNKNOWN, dead);
	}
	list_del_init(&s->news);
	s->told = false;
	s->close_told = false;
}

/* Under the lock: the same of @s that waits to be taken. */
static void session_refuse(struct zkern_calls *calls, const struct zkern_session *s, int error,
			   struct list_head *dead)
{
	struct zkern_req *r, *next;

	list_for_each_entry_safe(r, next, &calls->queue, link) {
		if (s && r->session != s)
			continue;
		list_del(&r->link);
		zkern_req_fail(r, error, ZKERN_FATE_NONE, dead);
	}
}

void zkern_calls_orphan(struct zkern_inst *inst)
{
	struct zkern_calls *calls = &inst->calls;
	struct zkern_session *s;
	struct hlist_node *next;
	LIST_HEAD(dead);
	int i;

	spin_lock(&calls->lock);
	calls->taken = false;
	hash_for_each_safe(calls->sessions, i, next, s, by_file) {
		session_lose(s, -ECONNRESET, &dead);
		if (s->id && !s->expired)
			list_add_tail(&s->news, &calls->news);
		else if (s->closed)
			zkern_session_drop(s, &dead);
	}
	spin_unlock(&calls->lock);
	zkern_calls_bury(&dead);
}

void zkern_calls_end(struct zkern_inst *inst)
{
	struct zkern_calls *calls = &inst->calls;
	struct zkern_session *s;
	struct hlist_node *next;
	LIST_HEAD(dead);
	int i;

	spin_lock(&calls->lock);
	calls->ended = true;
	session_refuse(calls, NULL, -ENODEV, &dead);
	hash_for_each_safe(calls->sessions, i, next, s, by_file) {
		session_lose(s, -ENODEV, &dead);
		if (s->closed)
			zkern_session_drop(s, &dead);
	}
	spin_unlock(&calls->lock);
	zkern_calls_bury(&dead);
}

/* ------------------------------------------------------------ take */

/* Where records go. */
struct out {
	void __user *at;
	u32 left;
	u32 wants;	/* the record that did not fit */
};

/* A record that is to be written, and what it is about. */
struct record {
	struct zkern_call call;
	const void *body;
	struct zkern_req *req;		/* reference; NULL: it is a session's */
	u8 passwd[ZKERN_PASSWD_LEN];
};

/* Under the lock: says so, if it fits. False: there is nothing to be said of it. */
static bool session_record(struct zkern_session *s, struct record *rec)
{
	struct zkern_call *c = &rec->call;

	c->file = s->file;
	if (!s->told && s->id && !s->expired) {
		c->kind = ZKERN_CALL_ATTACH;
		c->seq = s->id;
		c->op = s->timeout;
		c->body_len = sizeof(rec->passwd);
		memcpy(rec->passwd, s->passwd, sizeof(rec->passwd));
		rec->body = rec->passwd;
		return true;
	}
	c->kind = ZKERN_CALL_CLOSE;
	return s->closed && !s->close_told;
}

static void req_record(struct zkern_req *r, struct record *rec)
{
	struct zkern_call *c = &rec->call;

	c->kind = ZKERN_CALL_REQUEST;
	c->file = r->session->file;
	c->seq = r->seq;
	c->op = r->op;
	c->body_len = r->len;
	c->uid = from_kuid(&init_user_ns, r->cred->fsuid);
	c->gid = from_kgid(&init_user_ns, r->cred->fsgid);
	c->pid = r->pid;
	c->n_groups = min(r->cred->group_info->ngroups, ZKERN_CALL_GROUPS);
	rec->body = r->buf;
	rec->req = r;
}

/* Under the lock: the next one, which is as good as written. -ENOENT, -EMSGSIZE. */
static int next_record(struct zkern_calls *calls, struct record *rec, struct out *out)
{
	struct zkern_call *c = &rec->call;
	struct zkern_session *s = NULL;
	struct zkern_req *r;

	memset(rec, 0, sizeof(*rec));
	while (!list_empty(&calls->news)) {
		s = list_first_entry(&calls->news, struct zkern_session, news);
		if (session_record(s, rec))
			break;
		list_del_init(&s->news);
		s = NULL;
	}
	r = list_first_entry_or_null(&calls->queue, struct zkern_req, link);
	if (!s && !r)
		return -ENOENT;
	if (!s)
		req_record(r, rec);
	c->len = ALIGN(sizeof(*c) + c->n_groups * sizeof(u32) + c->body_len, 8);
	out->wants = c->len;
	if (c->len > out->left)
		return -EMSGSIZE;
	if (!s) {
		r->session->told = true;
		r->state = ZKERN_REQ_TAKEN;
		refcount_inc(&r->refs);
		list_move_tail(&r->link, &r->session->taken);
	} else if (c->kind == ZKERN_CALL_ATTACH) {
		s->told = true;
	} else {
		s->close_told = true;
		list_del_init(&s->news);
	}
	return 0;
}

/* It could not be written: as it was before. */
static void untake(struct zkern_calls *calls, struct record *rec)
{
	struct zkern_session *s;
	struct zkern_req *r = rec->req;
	LIST_HEAD(dead);

	spin_lock(&calls->lock);
	if (r && r->state == ZKERN_REQ_TAKEN && r->gone) {
		list_del(&r->link);
		zkern_req_fail(r, 0, ZKERN_FATE_NONE, &dead);
	} else if (r && r->state == ZKERN_REQ_TAKEN) {
		r->state = ZKERN_REQ_QUEUED;
		list_move(&r->link, &calls->queue);
	}
	s = r ? NULL : session_find(calls, rec->call.file);
	if (s && rec->call.kind == ZKERN_CALL_ATTACH)
		s->told = false;
	else if (s)
		s->close_told = false;
	if (s)
		list_move(&s->news, &calls->news);
	spin_unlock(&calls->lock);
	zkern_calls_bury(&dead);
}

static int put(struct out *out, const void *p, u32 len)
{
	if (copy_to_user(out->at, p, len))
		return -EFAULT;
	out->at += len;
	out->left -= len;
	return 0;
}

static int put_groups(struct out *out, const struct zkern_call *c, const struct cred *cred)
{
	u32 i, gid;
	int err = 0;

	for (i = 0; i < c->n_groups && !err; i++) {
		gid = from_kgid(&init_user_ns, cred->group_info->gid[i]);
		err = put(out, &gid, sizeof(gid));
	}
	return err;
}

static int put_record(struct out *out, const struct record *rec)
{
	static const u8 zeros[8];
	const struct zkern_call *c = &rec->call;
	u32 pad = c->len - sizeof(*c) - c->n_groups * sizeof(u32) - c->body_len;
	int err;

	err = put(out, c, sizeof(*c));
	if (!err && rec->req)
		err = put_groups(out, c, rec->req->cred);
	if (!err)
		err = put(out, rec->body, c->body_len);
	return err ?: put(out, zeros, pad);
}

static int take_one(struct zkern_inst *inst, struct out *out)
{
	const struct out before = *out;
	struct record rec;
	int err;

	spin_lock(&inst->calls.lock);
	err = zkern_inst_serves(inst) ? next_record(&inst->calls, &rec, out) : -ENOENT;
	spin_unlock(&inst->calls.lock);
	if (err)
		return err;
	err = put_record(out, &rec);
	if (err) {
		*out = before;
		untake(&inst->calls, &rec);
	}
	if (rec.req)
		zkern_req_put(rec.req);
	return err;
}

long zkern_ioctl_take(struct zkern_file *zf, void __user *arg)
{
	struct zkern_inst *inst = zf->inst;
	struct zkern_take q;
	struct out out;
	u32 size;
	int err;

	err = zkern_struct_in(&q, sizeof(q), arg, &size);
	if (err)
		return err;
	if (q.flags || q.pad)
		return -EINVAL;
	if (!zkern_file_is_owner(zf))
		return -EPERM;
	if (!rcu_access_pointer(inst->tree))
		return -ENODEV;
	WRITE_ONCE(inst->calls.taken, true);
	out = (struct out){ .at = u64_to_user_ptr(q.buf), .left = q.buf_len };
	q.count = 0;
	do {
		err = take_one(inst, &out);
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

/* Under the lock: the request that @a answers, off its list; or NULL. */
static struct zkern_req *req_find(struct zkern_calls *calls, const struct zkern_reply *a)
{
	struct zkern_session *s = session_find(calls, a->file);
	struct zkern_req *r;

	if (!s)
		return NULL;
	list_for_each_entry(r, &s->taken, link) {
		if (r->seq != a->seq)
			continue;
		list_del(&r->link);
		r->state = ZKERN_REQ_ANSWERED;
		return r;
	}
	return NULL;
}

static int answer_req(struct zkern_calls *calls, const struct zkern_reply *a,
		      const void __user *body)
{
	struct zkern_req *r;
	LIST_HEAD(dead);
	int err = 0;

	spin_lock(&calls->lock);
	r = req_find(calls, a);
	spin_unlock(&calls->lock);
	if (!r)
		return 0;
	/* off the list it is ours, whoever waits for it */
	if (a->kind == ZKERN_REPLY_ANSWER &&
	    copy_from_user(r->buf, body, min(a->body_len, r->cap)))
		err = -EFAULT;
	r->err = a->err;
	r->zxid = a->zxid;
	r->out_len = a->body_len;
	spin_lock(&calls->lock);
	if (err)
		zkern_req_fail(r, -ECONNRESET, ZKERN_FATE_UNKNOWN, &dead);
	else if (a->kind == ZKERN_REPLY_FAILED)
		zkern_req_fail(r, -a->err, a->fate, &dead);
	else
		zkern_req_fail(r, 0, ZKERN_FATE_ANSWERED, &dead);
	spin_unlock(&calls->lock);
	zkern_calls_bury(&dead);
	return err;
}

static int answer_session(struct zkern_calls *calls, const struct zkern_reply *a,
			  const void __user *body)
{
	u8 passwd[ZKERN_PASSWD_LEN] = {};
	struct zkern_session *s;
	LIST_HEAD(dead);

	if (a->kind == ZKERN_REPLY_SESSION && copy_from_user(passwd, body, sizeof(passwd)))
		return -EFAULT;
	spin_lock(&calls->lock);
	s = session_find(calls, a->file);
	if (s && a->kind == ZKERN_REPLY_SESSION) {
		s->id = a->zxid;
		s->timeout = a->err;
		memcpy(s->passwd, passwd, sizeof(passwd));
	} else if (s && a->kind == ZKERN_REPLY_EXPIRED) {
		s->expired = true;
		session_refuse(calls, s, -ESHUTDOWN, &dead);
	} else if (s && s->close_told) {
		zkern_session_drop(s, &dead);
	}
	spin_unlock(&calls->lock);
	zkern_calls_bury(&dead);
	return 0;
}

static bool reply_valid(const struct zkern_reply *a, u32 left)
{
	if (a->len > left || a->len % 8 || a->len < sizeof(*a) || a->pad ||
	    a->body_len > a->len - sizeof(*a))
		return false;
	switch (a->kind) {
	case ZKERN_REPLY_ANSWER:
		return true;
	case ZKERN_REPLY_FAILED:
		return a->err > 0 && a->err < MAX_ERRNO && a->fate <= ZKERN_FATE_UNKNOWN;
	case ZKERN_REPLY_SESSION:
		return a->zxid && a->err > 0 && a->body_len == ZKERN_PASSWD_LEN;
	case ZKERN_REPLY_EXPIRED:
	case ZKERN_REPLY_ENDED:
		return true;
	}
	return false;
}

/* Returns its length. */
static int answer_one(struct zkern_calls *calls, const void __user *from, u32 left)
{
	const void __user *body = from + sizeof(struct zkern_reply);
	struct zkern_reply a;
	int err;

	if (left < sizeof(a))
		return -EINVAL;
	if (copy_from_user(&a, from, sizeof(a)))
		return -EFAULT;
	if (!reply_valid(&a, left))
		return -EINVAL;
	if (a.kind == ZKERN_REPLY_ANSWER || a.kind == ZKERN_REPLY_FAILED)
		err = answer_req(calls, &a, body);
	else
		err = answer_session(calls, &a, body);
	return err ?: a.len;
}

long zkern_ioctl_answer(struct zkern_file *zf, void __user *arg)
{
	struct zkern_answer q;
	const void __user *from;
	u32 size, left;
	int len = 0;

	len = zkern_struct_in(&q, sizeof(q), arg, &size);
	if (len)
		return len;
	if (q.flags || q.buf_len > ZKERN_APPLY_MAX)
		return -EINVAL;
	if (!zkern_file_is_owner(zf))
		return -EPERM;
	if (!rcu_access_pointer(zf->inst->tree))
		return -ENODEV;
	from = u64_to_user_ptr(q.buf);
	q.done = 0;
	for (left = q.buf_len; left; left -= len) {
		len = answer_one(&zf->inst->calls, from, left);
		if (len < 0)
			break;
		from += len;
		q.done++;
		cond_resched();
	}
	if (zkern_struct_out_from(&q, done, arg, size))
		return -EFAULT;
	return len < 0 ? len : 0;
}
