// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZKERN_GET, ZKERN_READ and ZKERN_INFO.
 *
 * hot.c has had the plain ZKERN_GETs before they come here. The way is the same:
 * an RCU section in which the node is found, its ACL asked and its data copied to
 * the caller, with page faults off, so that nothing in the section sleeps. No lock
 * and no reference is taken. If the copy faults, we leave the section, bring the
 * page in and look again, at what is then the zxid; if that does not help or the
 * data is large, the zxid is pinned and the data goes through a kernel buffer,
 * chunk by chunk, an RCU section each.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "access.h"
#include "file.h"
#include "trace.h"
#include "watch.h"

#define GET_ATOMIC_MAX	(32 * 1024)	/* copied with preemption of RCU held off */
#define GET_CHUNK	(32 * 1024)
#define GET_TRIES	3

#define GET_WHAT	(ZKERN_GET_NODATA | ZKERN_GET_ACL)
#define GET_FLAGS	(GET_WHAT | ZKERN_LINEARIZABLE | ZKERN_WATCH_ONCE)

static u64 trace_start(void)
{
	return trace_zkern_read_enabled() ? ktime_get_ns() : 0;
}

static void trace_get(struct zkern_file *zf, const struct zkern_get *get, const char *path,
		      int err, u64 start)
{
	u32 op = ZKERN_TRACE_GET;

	if (!trace_zkern_read_enabled())
		return;
	if (get->flags & ZKERN_GET_NODATA)
		op = ZKERN_TRACE_EXISTS;
	else if (get->flags & ZKERN_GET_ACL)
		op = ZKERN_TRACE_ACL;
	trace_zkern_read(zf->inst->id, op, path, get->path_len, get->zxid, get->len, err,
			 start ? ktime_get_ns() - start : 0);
}

/* RCU: fills in what everybody may know of the node, and @view. */
static int get_find(const struct zkern_at *at, struct zkern_get *get, const char *path,
		    struct zk_view *view)
{
	struct zk_node *node;

	get->zxid = at->zxid;
	node = zkern_find(at, path, get->path_len, view);
	if (IS_ERR(node))
		return PTR_ERR(node);
	zkern_stat_fill(&get->stat, view);
	get->acl_id = view->acl->id;
	return 0;
}

/* RCU: the node, and whether its data may be had and fits. */
static int get_look(const struct zkern_at *at, const struct zkern_caller *who,
		    struct zkern_get *get, const char *path, struct zk_view *view)
{
	int err;

	err = get_find(at, get, path, view);
	if (unlikely(err))
		return err;
	if (likely(zkern_may(view->acl, ZKERN_PERM_READ, who)))
		get->crc = view->crc;
	else if (!(get->flags & ZKERN_GET_NODATA))
		return -EACCES;
	if (get->flags & ZKERN_GET_NODATA)
		return 0;
	get->len = view->data_len > 0 ? view->data_len : 0;
	return get->len > get->buf_len ? -EMSGSIZE : 0;
}

/* RCU: -EAGAIN: the page was not there. */
static int get_copy(const struct zkern_get *get, const struct zk_view *view)
{
	void __user *buf = u64_to_user_ptr(get->buf);
	unsigned long left;

	if (!access_ok(buf, get->len))
		return -EFAULT;
	pagefault_disable();
	left = __copy_to_user_inatomic(buf, view->data, get->len);
	pagefault_enable();
	return left ? -EAGAIN : 0;
}

/* Pinned: the data through a kernel buffer. */
static int get_chunks(const struct zkern_pinned *p, const struct zkern_caller *who,
		      struct zkern_get *get, const char *path, void *chunk)
{
	void __user *buf = u64_to_user_ptr(get->buf);
	struct zkern_at at;
	struct zk_view view;
	u32 off, n;
	int err;

	rcu_read_lock();
	err = zkern_pinned_at(p, &at);
	if (!err)
		err = get_look(&at, who, get, path, &view);
	rcu_read_unlock();
	for (off = 0; !err && off < get->len; off += n) {
		n = min_t(u32, get->len - off, GET_CHUNK);
		rcu_read_lock();
		err = zkern_pinned_at(p, &at);
		if (!err)
			memcpy(chunk, view.data + off, n);
		rcu_read_unlock();
		if (!err && copy_to_user(buf + off, chunk, n))
			err = -EFAULT;
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

/* The way that always gets there. @p: the caller's pin, NULL: none yet. */
static int get_slow(struct zkern_file *zf, struct zkern_pinned *p, const struct zkern_caller *who,
		    struct zkern_get *get, const char *path)
{
	struct zkern_pinned here, *use = p;
	void *chunk;
	int tries, err;

	chunk = kvmalloc(GET_CHUNK, GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return -ENOMEM;
	if (p) {
		err = get_chunks(p, who, get, path, chunk);
		goto out;
	}
	for (tries = 0; tries < GET_TRIES; tries++) {
		err = zkern_pin(zf, &here, &use);
		if (err)
			break;
		err = get_chunks(use, who, get, path, chunk);
		zkern_unpin(&here, use);
		/* a pin of our own was revoked: take another one */
		if (err != -ESTALE || zf->pinned)
			break;
	}
out:
	kvfree(chunk);
	return err;
}

/* Data and stat. @p: see get_slow(). Sleeps. */
static int get_data(struct zkern_file *zf, struct zkern_pinned *p, const struct zkern_caller *who,
		    struct zkern_get *get, const char *path)
{
	struct zkern_at at;
	struct zk_view view;
	int tries, err;

	for (tries = 0; tries < GET_TRIES; tries++) {
		rcu_read_lock();
		err = unlikely(p) ? zkern_pinned_at(p, &at) : zkern_file_at(zf, &at);
		if (likely(!err))
			err = get_look(&at, who, get, path, &view);
		if (!err && get->len) {
			if (unlikely(get->len > GET_ATOMIC_MAX))
				err = -EFBIG;
			else
				err = get_copy(get, &view);
		}
		rcu_read_unlock();
		if (likely(err != -EAGAIN))
			break;
		if (fault_in_writeable(u64_to_user_ptr(get->buf), get->len))
			return -EFAULT;
	}
	if (unlikely(err == -EAGAIN || err == -EFBIG))
		err = get_slow(zf, p, who, get, path);
	return err;
}

/* RCU: the ACL into @buf if it fits in @cap; get->len is its length either way. */
static int get_acl_look(const struct zkern_at *at, const struct zkern_caller *who,
			struct zkern_get *get, const char *path, u8 *buf, u32 cap)
{
	struct zk_view view;
	int err;

	err = get_find(at, get, path, &view);
	if (err)
		return err;
	if (zkern_may(view.acl, ZKERN_PERM_READ, who))
		get->crc = view.crc;
	if (zkern_may(view.acl, ZKERN_PERM_ADMIN, who)) {
		get->len = view.acl->len;
		if (get->len <= cap)
			memcpy(buf, view.acl->jute, get->len);
	} else if (zkern_may(view.acl, ZKERN_PERM_READ, who)) {
		get->len = zkern_acl_masked(view.acl, buf, cap);
	} else {
		return -EACCES;
	}
	return get->len > get->buf_len ? -EMSGSIZE : 0;
}

/* The ACL goes through a kernel buffer: it may have to be masked. Sleeps. */
static int get_acl(struct zkern_file *zf, struct zkern_pinned *p, const struct zkern_caller *who,
		   struct zkern_get *get, const char *path)
{
	struct zkern_at at;
	u32 cap = 512;
	u8 *buf;
	int err;

	for (;;) {
		buf = kvmalloc(cap, GFP_KERNEL_ACCOUNT);
		if (!buf)
			return -ENOMEM;
		rcu_read_lock();
		err = p ? zkern_pinned_at(p, &at) : zkern_file_at(zf, &at);
		if (!err)
			err = get_acl_look(&at, who, get, path, buf, cap);
		rcu_read_unlock();
		if (err || get->len <= cap)
			break;
		cap = get->len;
		kvfree(buf);
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	if (!err && copy_to_user(u64_to_user_ptr(get->buf), buf, get->len))
		err = -EFAULT;
	kvfree(buf);
	return err;
}

static int get_node(struct zkern_file *zf, struct zkern_pinned *p, const struct zkern_caller *who,
		    struct zkern_get *get, const char *path)
{
	int err;

	memset_startat(get, 0, len);
	get->state = READ_ONCE(zf->inst->state);
	if (likely(!(get->flags & ZKERN_GET_ACL)))
		err = get_data(zf, p, who, get, path);
	else
		err = get_acl(zf, p, who, get, path);
	/*
	 * what is known stands in the struct also when the answer is an error, but
	 * a length stands for bytes only with these two
	 */
	if (unlikely(err && err != -EMSGSIZE))
		get->len = 0;
	get->age_ms = zkern_file_age_ms(zf);
	return err;
}

static int get_check(const struct zkern_get *get)
{
	if ((get->flags & ~GET_FLAGS) || (get->flags & GET_WHAT) == GET_WHAT)
		return -EINVAL;
	if ((get->flags & ZKERN_WATCH_ONCE) && (get->flags & ZKERN_GET_ACL))
		return -EINVAL;
	return 0;
}

/* Sets a watch at the zxid that it reads at. */
static int get_watching(struct zkern_file *zf, const struct zkern_caller *who,
			struct zkern_get *get, const char *path)
{
	struct zkern_pinned here, *p;
	int tries, err;

	for (tries = 0; tries < GET_TRIES; tries++) {
		err = zkern_watch_pin(zf, get->flags & ZKERN_GET_NODATA ? ZKERN_WATCH_READ_EXISTS :
				      ZKERN_WATCH_READ_DATA, path, get->path_len, &here, &p);
		if (err) {
			memset_startat(get, 0, len);
			break;
		}
		err = get_node(zf, p, who, get, path);
		zkern_unpin(&here, p);
		/* the pin was revoked: the watch is there, and is set anew at a later zxid */
		if (err != -ESTALE)
			break;
	}
	return err;
}

long zkern_ioctl_get(struct zkern_file *zf, void __user *arg)
{
	char small[ZKERN_PATH_SMALL] __uninitialized;
	u64 start = trace_start();
	struct zkern_caller who;
	struct zkern_get get;
	char *path;
	u32 size;
	int err;

	err = zkern_struct_in(&get, sizeof(get), arg, &size);
	if (err)
		return err;
	err = get_check(&get);
	if (err)
		return err;
	path = zkern_path_in(small, get.path, get.path_len);
	if (IS_ERR(path))
		return PTR_ERR(path);
	who = zkern_caller_current(zkern_file_is_owner(zf));
	err = zkern_file_fresh(zf, get.flags, get.min_zxid, get.timeout_ms, get.max_age_ms);
	if (likely(!err)) {
		if (unlikely(get.flags & ZKERN_WATCH_ONCE))
			err = get_watching(zf, &who, &get, path);
		else
			err = get_node(zf, NULL, &who, &get, path);
		get.events = zkern_watch_waits(zf, get.zxid);
		if (zkern_struct_out_from(&get, len, arg, size))
			err = -EFAULT;
	}
	trace_get(zf, &get, path, err, start);
	zkern_path_free(small, path);
	return err;
}

/*
 * One entry of ZKERN_READ. What goes wrong with the entry alone is in its err;
 * returned is what ends the call.
 */
static int read_entry(struct zkern_file *zf, struct zkern_pinned *p, const struct zkern_caller *who,
		      void __user *entry, u32 stride)
{
	char small[ZKERN_PATH_SMALL] __uninitialized;
	u64 start = trace_start();
	struct zkern_get get;
	char *path;
	u32 size;
	int err;

	err = zkern_struct_in(&get, sizeof(get), entry, &size);
	if (err)
		return err;
	if (size != stride || get.min_zxid || get.timeout_ms || get.max_age_ms ||
	    (get.flags & (ZKERN_LINEARIZABLE | ZKERN_WATCH_ONCE)) || get_check(&get))
		return -EINVAL;
	path = zkern_path_in(small, get.path, get.path_len);
	if (IS_ERR(path)) {
		memset_startat(&get, 0, len);
		get.err = -PTR_ERR(path);
		return zkern_struct_out_from(&get, len, entry, size);
	}
	err = get_node(zf, p, who, &get, path);
	trace_get(zf, &get, path, err, start);
	zkern_path_free(small, path);
	if (err == -ESTALE || err == -EINTR)
		return err;
	get.err = -err;
	return zkern_struct_out_from(&get, len, entry, size);
}

static int read_entries(struct zkern_file *zf, struct zkern_pinned *p, const struct zkern_read *req)
{
	struct zkern_caller who = zkern_caller_current(zkern_file_is_owner(zf));
	void __user *entry = u64_to_user_ptr(req->gets);
	u32 i, stride;
	int err = 0;

	if (!req->count)
		return 0;
	if (get_user(stride, (u32 __user *)entry))
		return -EFAULT;
	for (i = 0; !err && i < req->count; i++, entry += stride) {
		err = read_entry(zf, p, &who, entry, stride);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

long zkern_ioctl_read(struct zkern_file *zf, void __user *arg)
{
	struct zkern_pinned here, *p;
	struct zkern_read req;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	if ((req.flags & ~ZKERN_LINEARIZABLE) || req.count > ZKERN_READ_MAX)
		return -EINVAL;
	err = zkern_file_fresh(zf, req.flags, req.min_zxid, req.timeout_ms, req.max_age_ms);
	if (err)
		return err;
	req.state = READ_ONCE(zf->inst->state);
	err = zkern_pin(zf, &here, &p);
	if (err)
		return err;
	req.zxid = p->pin.zxid;
	err = read_entries(zf, p, &req);
	zkern_unpin(&here, p);
	req.events = zkern_watch_waits(zf, req.zxid);
	return err ?: zkern_struct_out_from(&req, state, arg, size);
}

long zkern_ioctl_info(struct zkern_file *zf, void __user *arg)
{
	struct zkern_info info;
	u32 size;
	int err;

	err = zkern_struct_in(&info, sizeof(info), arg, &size);
	if (err)
		return err;
	err = zkern_inst_info(zf->inst, &info, true);
	if (zf->pinned) {
		/* a snapshot outlives its instance: what it shows does not change */
		info.api = ZKERN_API_VERSION;
		info.instance = zf->inst->id;
		info.state = READ_ONCE(zf->inst->state);
		info.zxid = zf->pinned->pin.zxid;
		info.digest = zf->pinned->pin.digest;
		info.nodes = zf->pinned->pin.nodes;
		info.tree = zf->generation;
		info.age_ms = zkern_age_ms(zf->heard_ns);
		err = 0;
	}
	return err ?: zkern_struct_out_from(&info, api, arg, size);
}
