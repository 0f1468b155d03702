// SPDX-License-Identifier: GPL-2.0-only
/*
 * At which tree and zxid a read through an open file is exact.
 *
 * Guarantee C of the UAPI (zxids seen through one file never go backwards) holds
 * by itself as long as the tree stays: its zxid only grows. The owner may swap in
 * a tree with a lower zxid, when his log's tail was cut off. So each file keeps
 * the highest zxid it has answered with; a file that has seen more than the new
 * tree has gets ESTALE until that has caught up. A file opened since, or one that
 * saw less, reads on at once. The owner's own file is exempt: it made the swap.
 *
 * Threads that share a file: @seen is loaded first, with acquire, then the tree's
 * pointer, then its zxid. Whoever raised @seen had read that zxid from that tree
 * before, so we see that tree or a later one, and no spurious ESTALE.
 */
#include "file.h"

#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "watch.h"

struct zkern_file *zkern_file_new(u32 id)
{
	struct zkern_file *zf;

	zf = kzalloc(sizeof(*zf), GFP_KERNEL_ACCOUNT);
	if (!zf)
		return ERR_PTR(-ENOMEM);
	zf->inst = zkern_inst_find(id);
	if (!zf->inst) {
		kfree(zf);
		return ERR_PTR(-ENODEV);
	}
	init_waitqueue_head(&zf->events);
	return zf;
}

void zkern_file_free(struct zkern_file *zf)
{
	zkern_watch_release(zf);
	zkern_inst_put(zf->inst);
	kfree(zf);
}

int zkern_file_see(struct zkern_file *zf, u64 zxid, u64 seen)
{
	if (zkern_file_is_owner(zf))
		return 0;
	if (zxid < seen)
		return -ESTALE;
	while (seen < zxid && !try_cmpxchg64(&zf->seen, &seen, zxid))
		;
	return 0;
}

int zkern_file_at(struct zkern_file *zf, struct zkern_at *at)
{
	return zkern_file_at_inline(zf, at);
}

int zkern_pin(struct zkern_file *zf, struct zkern_pinned *pinned, struct zkern_pinned **p)
{
	u64 seen;
	int err;

	if (zf->pinned) {
		*p = zf->pinned;
		return 0;
	}
	seen = zkern_file_seen(zf);
	rcu_read_lock();
	do {
		pinned->tree = zkern_file_tree(zf, &err);
		if (!pinned->tree) {
			rcu_read_unlock();
			return err;
		}
		/* fails only for a tree that has just been swapped out */
	} while (!zk_tree_tryget(pinned->tree));
	rcu_read_unlock();
	pinned->pin.revocable = !zkern_file_is_owner(zf);
	zk_pin_take(pinned->tree, &pinned->pin);
	zk_tree_put(pinned->tree);	/* the pin has its own */
	err = zkern_file_see(zf, pinned->pin.zxid, seen);
	if (err) {
		zk_pin_drop(pinned->tree, &pinned->pin);
		return err;
	}
	*p = pinned;
	return 0;
}

void zkern_unpin(struct zkern_pinned *pinned, struct zkern_pinned *p)
{
	if (p == pinned)
		zk_pin_drop(pinned->tree, &pinned->pin);
}

int zkern_file_fresh_slow(struct zkern_file *zf, u32 flags, u64 min_zxid, u32 timeout_ms,
			  u32 max_age_ms)
{
	int err = 0;

	if (flags & ZKERN_LINEARIZABLE)
		err = zf->pinned ? -EINVAL :
				   zkern_inst_confirm(zf->inst, timeout_ms ?: ZKERN_CONFIRM_MS);
	if (err)
		return err;
	if (zf->pinned)
		err = min_zxid > zf->pinned->pin.zxid ? -ESTALE : 0;
	else if (min_zxid)
		err = zkern_inst_wait(zf->inst, min_zxid, timeout_ms);
	if (!err && max_age_ms && zkern_file_age_ms(zf) > max_age_ms)
		err = -ESTALE;
	return err;
}

void zkern_stat_fill(struct zkern_stat *out, const struct zk_view *view)
{
	const struct zk_stat *st = &view->stat;

	out->czxid = st->czxid;
	out->mzxid = st->mzxid;
	out->pzxid = st->pzxid;
	out->ctime = st->ctime;
	out->mtime = st->mtime;
	out->version = st->version;
	out->cversion = zkern_cversion_shown(st);
	out->aversion = st->aversion;
	out->data_len = view->data_len;
	out->num_children = st->num_children;
	out->cversion_stored = st->cversion;
	out->owner_stored = st->owner;
	out->ephemeral_owner = st->owner;
	if (zkern_owner_is_timed(st->owner))
		out->ephemeral_owner = 0;
}

char *zkern_path_in(char small[ZKERN_PATH_SMALL], u64 uptr, u32 len)
{
	char *path = small;

	if (!len || len > ZKERN_PATH_MAX)
		return ERR_PTR(-EINVAL);
	if (unlikely(len > ZKERN_PATH_SMALL)) {
		path = kvmalloc(len, GFP_KERNEL_ACCOUNT);
		if (!path)
			return ERR_PTR(-ENOMEM);
	}
	if (copy_from_user(path, u64_to_user_ptr(uptr), len)) {
		zkern_path_free(small, path);
		return ERR_PTR(-EFAULT);
	}
	if (path[0] != '/') {
		zkern_path_free(small, path);
		return ERR_PTR(-EINVAL);
	}
	return path;
}

/* The rules of PathUtils.validatePath() that need no table of characters. */
int zkern_path_error(const char *path, u32 len)
{
	u32 i, start = 1;

	if (path[0] != '/')
		return -EINVAL;
	if (len == 1)
		return -ENOENT;
	for (i = 1; i <= len; i++) {
		if (i < len && path[i] == '\0')
			return -EINVAL;
		if (i < len && path[i] != '/')
			continue;
		if (i == start || (i == start + 1 && path[start] == '.') ||
		    (i == start + 2 && path[start] == '.' && path[start + 1] == '.'))
			return -EINVAL;
		start = i + 1;
	}
	return -ENOENT;
}
