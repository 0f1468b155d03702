// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZKERN_GET as it nearly always is: a struct of our size, a short path, a little
 * data, nothing to wait for, the pages there. All of it is done with two
 * openings of user memory, one for the request and one for the answer, and one RCU
 * section. Whatever is unusual, errors too, is left to read.c, which begins anew:
 * what has been written to the caller by then is only what he would get.
 *
 * Nothing here sleeps between rcu_read_lock() and rcu_read_unlock(): page faults
 * are off while the answer is written.
 */
#include <linux/build_bug.h>
#include <linux/kconfig.h>
#include <linux/uaccess.h>

#include "access.h"
#include "file.h"
#include "trace.h"
#include "watch.h"

#define HOT_DATA	512	/* more than that the string instructions do better */

#define REQUEST		offsetof(struct zkern_get, len)
#define ANSWER		(sizeof(struct zkern_get) - REQUEST)

static_assert(REQUEST % sizeof(u64) == 0);

/* Between user_access_begin() and _end(). False: a fault. */
static __always_inline bool hot_in(void *to, const void __user *from, size_t len)
{
	for (; len >= sizeof(u64); to += sizeof(u64), from += sizeof(u64), len -= sizeof(u64))
		unsafe_get_user(*(u64 *)to, (const u64 __user *)from, fault);
	for (; len; to++, from++, len--)
		unsafe_get_user(*(u8 *)to, (const u8 __user *)from, fault);
	return true;
fault:
	return false;
}

static __always_inline bool hot_out(void __user *to, const void *from, size_t len)
{
	for (; len >= sizeof(u64); to += sizeof(u64), from += sizeof(u64), len -= sizeof(u64))
		unsafe_put_user(*(const u64 *)from, (u64 __user *)to, fault);
	for (; len; to++, from++, len--)
		unsafe_put_user(*(const u8 *)from, (u8 __user *)to, fault);
	return true;
fault:
	return false;
}

/* The request, up to REQUEST, and its path. May sleep. False: not for us. */
static __always_inline bool hot_request(struct zkern_get *get, char *path,
					const void __user *arg)
{
	const void __user *from;
	size_t len;

	if (!user_access_begin(arg, REQUEST))
		return false;
	if (!hot_in(get, arg, REQUEST))
		goto fault;
	from = u64_to_user_ptr(get->path);
	len = get->path_len;
	if (get->size != sizeof(*get) || (get->flags & ~ZKERN_GET_NODATA) || get->min_zxid ||
	    get->max_age_ms || !len || len > ZKERN_PATH_SMALL || !access_ok(from, len))
		goto fault;
	if (!hot_in(path, from, len))
		goto fault;
	user_access_end();
	return path[0] == '/';
fault:
	user_access_end();
	return false;
}

/* What the answer says beside the view. */
struct hot_answer {
	u64 zxid;
	u64 age_ms;
	u32 state;
	u32 crc;
	u32 len;
	u32 events;
};

/* RCU, page faults off: data and results. False: a page was not there. */
static __always_inline bool hot_answer(const struct zkern_get *get, struct zkern_get __user *out,
				       const struct zk_view *view, const struct hot_answer *a)
{
	const struct zk_stat *st = &view->stat;
	void __user *to = u64_to_user_ptr(get->buf);
	/* no calls while user memory is open */
	u64 shown = zkern_owner_is_timed(st->owner) ? 0 : st->owner;
	s32 cversion = zkern_cversion_shown(st);

	if (!access_ok(to, a->len) || !user_access_begin(&out->len, ANSWER))
		return false;
	if (!hot_out(to, view->data, a->len))
		goto fault;
	unsafe_put_user(a->len, &out->len, fault);
	unsafe_put_user(0, &out->err, fault);
	unsafe_put_user(a->crc, &out->crc, fault);
	unsafe_put_user(a->state, &out->state, fault);
	unsafe_put_user(a->zxid, &out->zxid, fault);
	unsafe_put_user(view->acl->id, &out->acl_id, fault);
	unsafe_put_user(a->age_ms, &out->age_ms, fault);
	unsafe_put_user(st->czxid, &out->stat.czxid, fault);
	unsafe_put_user(st->mzxid, &out->stat.mzxid, fault);
	unsafe_put_user(st->pzxid, &out->stat.pzxid, fault);
	unsafe_put_user(st->ctime, &out->stat.ctime, fault);
	unsafe_put_user(st->mtime, &out->stat.mtime, fault);
	unsafe_put_user(st->version, &out->stat.version, fault);
	unsafe_put_user(cversion, &out->stat.cversion, fault);
	unsafe_put_user(st->aversion, &out->stat.aversion, fault);
	unsafe_put_user(view->data_len, &out->stat.data_len, fault);
	unsafe_put_user(st->num_children, &out->stat.num_children, fault);
	unsafe_put_user(st->cversion, &out->stat.cversion_stored, fault);
	unsafe_put_user(shown, &out->stat.ephemeral_owner, fault);
	unsafe_put_user(st->owner, &out->stat.owner_stored, fault);
	unsafe_put_user(a->events, &out->events, fault);
	unsafe_put_user(0, &out->pad, fault);
	user_access_end();
	return true;
fault:
	user_access_end();
	return false;
}

/* RCU: finds the node and answers. */
static __always_inline bool hot_read(struct zkern_file *zf, const struct zkern_get *get,
				     const char *path, struct zkern_get __user *out,
				     struct hot_answer *a)
{
	struct zkern_caller who = zkern_caller_current(zkern_file_is_owner(zf));
	struct zk_view view __uninitialized;
	struct zkern_at at;
	struct zk_node *node;
	bool done;

	if (zkern_file_at_inline(zf, &at))
		return false;
	node = zk_lookup(at.tree, path, get->path_len, at.zxid);
	if (!node || !zk_view(node, at.zxid, &view))
		return false;
	a->zxid = at.zxid;
	/* behind the tree's zxid */
	a->events = zkern_watch_waits(zf, at.zxid);
	a->crc = 0;
	a->len = 0;
	if (likely(zkern_may(view.acl, ZKERN_PERM_READ, &who)))
		a->crc = view.crc;
	else if (!(get->flags & ZKERN_GET_NODATA))
		return false;
	if (!(get->flags & ZKERN_GET_NODATA) && view.data_len > 0)
		a->len = view.data_len;
	if (a->len > get->buf_len || a->len > HOT_DATA)
		return false;
	pagefault_disable();
	done = hot_answer(get, out, &view, a);
	pagefault_enable();
	return done;
}

bool zkern_get_hot(struct zkern_file *zf, void __user *arg)
{
	char path[ZKERN_PATH_SMALL] __uninitialized;
	struct zkern_get get __uninitialized;
	struct hot_answer a;
	bool done;

	if (!IS_ENABLED(CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS) || trace_zkern_read_enabled() ||
	    !hot_request(&get, path, arg))
		return false;
	a.state = READ_ONCE(zf->inst->state);
	a.age_ms = zkern_file_age_ms(zf);
	rcu_read_lock();
	done = hot_read(zf, &get, path, arg, &a);
	rcu_read_unlock();
	return done;
}
