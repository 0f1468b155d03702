// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZKERN_CHILDREN, and the owner's ZKERN_OWNED and ZKERN_TIMED: pages of names.
 *
 * One call is one page, exact at one zxid, which is pinned for it. Entries are
 * gathered in a kernel buffer, an RCU section per bufferful, and copied out
 * between the sections. The pin can be revoked under us: then ESTALE.
 */
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "access.h"
#include "file.h"
#include "trace.h"
#include "watch.h"

#define LIST_CHUNK	(32 * 1024)
#define LIST_STEPS	1024		/* entries per RCU section */

enum list_kind { LIST_CHILDREN, LIST_OWNED, LIST_TIMED };

/*
 * struct list_fill - a page being filled.
 * @chunk, @cap, @used: the kernel buffer
 * @node:  the next entry, NULL: there is none
 * @need:  the entry at @node wants a kernel buffer of this size
 * @full:  the entry at @node does not fit the caller's buffer any more
 */
struct list_fill {
	enum list_kind kind;
	struct zkern_pinned *p;
	struct zkern_list *req;
	u8 *chunk;
	u32 cap;
	u32 used;
	u32 need;
	struct zk_node *node;
	bool full;
};

/* RCU */
static struct zk_node *list_next(const struct list_fill *f, const struct zk_node *node)
{
	u64 zxid = f->p->pin.zxid;

	switch (f->kind) {
	case LIST_CHILDREN:
		return zk_next_child(node, zxid);
	case LIST_OWNED:
		return zk_next_owned(node, zxid);
	case LIST_TIMED:
		return zk_next_timed(node, zxid);
	}
	return NULL;
}

/* RCU: writes the entry if it fits, returns its length either way. */
static size_t list_entry_bytes(const struct list_fill *f, const struct zk_node *node, u8 *to,
			       size_t cap)
{
	const char *name;
	u32 len;

	if (f->kind != LIST_CHILDREN)
		return zk_path(node, (char *)to, cap);
	name = zk_name(node, &len);
	if (len <= cap)
		memcpy(to, name, len);
	return len;
}

/* RCU: appends f->node's entry; false: no room, f->full or f->need says where. */
static bool list_put(struct list_fill *f)
{
	u32 room = f->cap - f->used, len32;
	size_t len, total;

	len = list_entry_bytes(f, f->node, f->chunk + f->used + sizeof(u32),
			       room > sizeof(u32) ? room - sizeof(u32) : 0);
	total = len + sizeof(u32);
	if (total > f->req->buf_len - f->req->used - f->used) {
		f->full = true;
		f->need = total;
		return false;
	}
	if (total > room) {
		f->need = total;
		return false;
	}
	len32 = len;
	memcpy(f->chunk + f->used, &len32, sizeof(len32));
	f->used += total;
	f->req->count++;
	return true;
}

/* One RCU section's worth. */
static int list_gather(struct list_fill *f)
{
	struct zkern_at at;
	u32 steps;
	int err;

	f->used = 0;
	f->need = 0;
	rcu_read_lock();
	err = zkern_pinned_at(f->p, &at);
	for (steps = 0; !err && f->node && steps < LIST_STEPS; steps++) {
		if (!list_put(f))
			break;
		f->node = list_next(f, f->node);
	}
	rcu_read_unlock();
	return err;
}

/* An entry longer than the kernel buffer (which is empty now) wants a larger one. */
static int list_grow(struct list_fill *f)
{
	if (f->full || f->need <= f->cap)
		return 0;
	kvfree(f->chunk);
	f->cap = f->need;
	f->chunk = kvmalloc(f->cap, GFP_KERNEL_ACCOUNT);
	return f->chunk ? 0 : -ENOMEM;
}

static int list_page(struct list_fill *f)
{
	void __user *buf = u64_to_user_ptr(f->req->buf);
	int err = 0;

	while (!err && f->node && !f->full) {
		err = list_gather(f);
		if (err)
			break;
		if (copy_to_user(buf + f->req->used, f->chunk, f->used))
			return -EFAULT;
		f->req->used += f->used;
		err = list_grow(f);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	if (err)
		return err;
	f->req->more = f->node ? 1 : 0;
	if (f->full && !f->req->count) {
		f->req->used = f->need;
		return -EMSGSIZE;
	}
	return 0;
}

/* RCU: where a page of the owner's lists begins. */
static int list_start_whole(struct list_fill *f, const struct zkern_at *at, const char *after)
{
	struct zkern_list *req = f->req;
	struct zk_view view;
	bool timed;

	/* only what zk_next_owned() and zk_next_timed() can go on from */
	if (f->kind == LIST_OWNED && (!req->owner || zkern_owner_is_timed(req->owner)))
		return -EINVAL;
	if (!after) {
		f->node = f->kind == LIST_OWNED ?
			zk_first_owned(at->tree, req->owner, at->zxid) :
			zk_first_timed(at->tree, at->zxid);
		return 0;
	}
	f->node = zk_lookup(at->tree, after, req->after_len, at->zxid);
	if (!f->node || !zk_view(f->node, at->zxid, &view))
		return -ESTALE;
	timed = zkern_owner_is_timed(view.stat.owner);
	if (f->kind == LIST_OWNED ? view.stat.owner != req->owner : !timed)
		return -ESTALE;
	f->node = list_next(f, f->node);
	return 0;
}

/*
 * RCU: the parent, its stat and ACL, and where the page begins. @path has room
 * for @after behind the parent's path_len, and a slash between.
 */
static int list_start_children(struct list_fill *f, const struct zkern_at *at,
			       const struct zkern_caller *who, const char *path, u32 after_path_len)
{
	struct zkern_list *req = f->req;
	struct zk_node *parent;
	struct zk_view view;

	parent = zkern_find(at, path, req->path_len, &view);
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	zkern_stat_fill(&req->stat, &view);
	if (!zkern_may(view.acl, ZKERN_PERM_READ, who))
		return -EACCES;
	if (!after_path_len) {
		f->node = zk_first_child(parent, at->zxid);
		return 0;
	}
	f->node = zk_lookup(at->tree, path, after_path_len, at->zxid);
	if (!f->node)
		return -ESTALE;
	f->node = list_next(f, f->node);
	return 0;
}

static int list_run(struct zkern_file *zf, struct list_fill *f, const char *path, u32 after_len)
{
	struct zkern_caller who = zkern_caller_current(zkern_file_is_owner(zf));
	struct zkern_pinned here;
	struct zkern_at at;
	int err;

	if (f->req->flags & ZKERN_WATCH_ONCE)
		err = zkern_watch_pin(zf, ZKERN_WATCH_READ_CHILDREN, path, f->req->path_len, &here,
				      &f->p);
	else
		err = zkern_pin(zf, &here, &f->p);
	if (err)
		return err;
	f->cap = min_t(u32, LIST_CHUNK, max_t(u32, f->req->buf_len, 64));
	f->chunk = kvmalloc(f->cap, GFP_KERNEL_ACCOUNT);
	if (!f->chunk) {
		err = -ENOMEM;
		goto out;
	}
	f->req->zxid = f->p->pin.zxid;
	rcu_read_lock();
	err = zkern_pinned_at(f->p, &at);
	if (!err)
		err = f->kind == LIST_CHILDREN ?
			list_start_children(f, &at, &who, path, after_len) :
			list_start_whole(f, &at, path);
	rcu_read_unlock();
	if (!err)
		err = list_page(f);
	kvfree(f->chunk);
	if (err && err != -EMSGSIZE) {
		f->req->used = 0;
		f->req->count = 0;
	}
out:
	zkern_unpin(&here, f->p);
	return err;
}

static void list_clear(struct zkern_file *zf, struct zkern_list *req)
{
	req->used = 0;
	req->count = 0;
	req->more = 0;
	req->zxid = 0;
	req->events = 0;
	memset(&req->stat, 0, sizeof(req->stat));
	req->state = READ_ONCE(zf->inst->state);
	req->age_ms = zkern_file_age_ms(zf);
}

static int list_in(struct zkern_list *req, void __user *arg, u32 *size)
{
	int err;

	err = zkern_struct_in(req, sizeof(*req), arg, size);
	if (err)
		return err;
	if ((req->flags & ~(ZKERN_LINEARIZABLE | ZKERN_WATCH_ONCE)) ||
	    req->path_len > ZKERN_PATH_MAX ||
	    req->after_len > ZKERN_PATH_MAX || !req->after != !req->after_len)
		return -EINVAL;
	if ((req->flags & ZKERN_WATCH_ONCE) && req->after)
		return -EINVAL;
	return 0;
}

/* What the answer says also with these errors. */
static bool list_answers(int err)
{
	return !err || err == -EMSGSIZE || err == -ENOENT || err == -EACCES ||
	       err == -ESTALE || err == -EINVAL;
}

static int list_copy_after(const struct zkern_list *req, char *to)
{
	if (copy_from_user(to, u64_to_user_ptr(req->after), req->after_len))
		return -EFAULT;
	/* an entry is a name: with a slash it would name some other node */
	return memchr(to, '/', req->after_len) ? -EINVAL : 0;
}

/* "/parent/after" in one buffer, the parent's path being its head. */
static char *list_paths(const struct zkern_list *req, u32 *after_path_len)
{
	u32 parent = req->path_len, room = parent + req->after_len + 1;
	char *path;
	int err = 0;

	if (!parent)
		return ERR_PTR(-EINVAL);
	path = kvmalloc(room, GFP_KERNEL_ACCOUNT);
	if (!path)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(path, u64_to_user_ptr(req->path), parent))
		err = -EFAULT;
	else if (path[0] != '/')
		err = -EINVAL;
	*after_path_len = 0;
	if (!err && req->after_len) {
		if (parent > 1)
			path[parent++] = '/';
		err = list_copy_after(req, path + parent);
		*after_path_len = parent + req->after_len;
	}
	if (err) {
		kvfree(path);
		return ERR_PTR(err);
	}
	return path;
}

long zkern_ioctl_children(struct zkern_file *zf, void __user *arg)
{
	u64 start = trace_zkern_read_enabled() ? ktime_get_ns() : 0;
	struct zkern_list req;
	struct list_fill f = { .kind = LIST_CHILDREN, .req = &req };
	u32 size, after_path_len;
	char *path;
	int err;

	err = list_in(&req, arg, &size);
	if (err)
		return err;
	if (req.owner)
		return -EINVAL;
	path = list_paths(&req, &after_path_len);
	if (IS_ERR(path))
		return PTR_ERR(path);
	err = zkern_file_fresh(zf, req.flags, req.min_zxid, req.timeout_ms, req.max_age_ms);
	if (!err) {
		list_clear(zf, &req);
		err = list_run(zf, &f, path, after_path_len);
		req.events = zkern_watch_waits(zf, req.zxid);
		if (list_answers(err) && zkern_struct_out_from(&req, used, arg, size))
			err = -EFAULT;
	}
	if (trace_zkern_read_enabled())
		trace_zkern_read(zf->inst->id, ZKERN_TRACE_CHILDREN, path, req.path_len, req.zxid,
				 req.used, err, start ? ktime_get_ns() - start : 0);
	kvfree(path);
	return err;
}

static long list_whole(struct zkern_file *zf, void __user *arg, enum list_kind kind)
{
	struct zkern_list req;
	struct list_fill f = { .kind = kind, .req = &req };
	char *after = NULL;
	u32 size;
	int err;

	if (!zkern_file_is_owner(zf))
		return -EPERM;
	err = list_in(&req, arg, &size);
	if (err)
		return err;
	if (req.flags || req.path || req.path_len || (kind == LIST_TIMED && req.owner))
		return -EINVAL;
	if (req.after_len) {
		after = kvmalloc(req.after_len, GFP_KERNEL_ACCOUNT);
		if (!after)
			return -ENOMEM;
		if (copy_from_user(after, u64_to_user_ptr(req.after), req.after_len)) {
			err = -EFAULT;
			goto out;
		}
	}
	err = zkern_file_fresh(zf, req.flags, req.min_zxid, req.timeout_ms, req.max_age_ms);
	if (err)
		goto out;
	list_clear(zf, &req);
	err = list_run(zf, &f, after, 0);
	if (list_answers(err) && zkern_struct_out_from(&req, used, arg, size))
		err = -EFAULT;
out:
	kvfree(after);
	return err;
}

long zkern_ioctl_owned(struct zkern_file *zf, void __user *arg)
{
	return list_whole(zf, arg, LIST_OWNED);
}

long zkern_ioctl_timed(struct zkern_file *zf, void __user *arg)
{
	return list_whole(zf, arg, LIST_TIMED);
}
