// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZKERN_SNAPSHOT: one zxid of a tree as a file.
 *
 * The file holds a pin, and through it the tree: it stays usable when the tree is
 * swapped out or the instance removed. It holds the module too, as every open
 * file does. The ioctls that it takes are read.c's and list.c's; this file has
 * read(2), which packs whole struct zkern_node records.
 *
 * snap->lock guards the place in the walk and the buffer. Records are gathered in
 * the buffer within an RCU section, each beginning with a look whether the pin
 * still stands, and copied out between sections. The place moves on only when the
 * caller has his bytes, so that a read that failed can be repeated.
 */
#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "file.h"
#include "quota.h"
#include "trace.h"
#include "walk.h"

#define SNAP_CHUNK	(64 * 1024)
#define SNAP_STEPS	512		/* records per RCU section */

struct zkern_snap {
	struct zkern_file file;
	struct zkern_pinned pinned;
	struct mutex lock;		/* next, buf, cap */
	struct zk_node *top;
	struct zk_node *next;		/* NULL: at the end */
	u8 *buf;
	u32 cap;
	kuid_t uid;			/* counted for */
};

/* What one gathering found. */
struct snap_batch {
	struct zk_node *next;		/* the place behind it */
	u32 used;			/* bytes of whole records in snap->buf */
	u64 need;			/* the record at @next wants so much */
};

static struct zkern_snap *to_snap(struct zkern_file *zf)
{
	return container_of(zf, struct zkern_snap, file);
}

/* ------------------------------------------------------------ records */

static u64 rec_len(const struct zkern_rec *rec, size_t path_len)
{
	u64 len = sizeof(struct zkern_node) + (u64)path_len + rec->acl_len;

	if (rec->readable && rec->view.data_len > 0)
		len += rec->view.data_len;
	return ALIGN(len, 8);
}

static void rec_head(const struct zkern_rec *rec, size_t path_len, struct zkern_node *head)
{
	memset(head, 0, sizeof(*head));
	head->len = rec_len(rec, path_len);
	head->path_len = path_len;
	head->acl_len = rec->acl_len;
	head->acl_id = rec->view.acl->id;
	if (rec->readable) {
		head->data_len = rec->view.data_len;
		head->crc = rec->view.crc;
	} else {
		head->flags = ZKERN_NODE_HIDDEN;
	}
	zkern_stat_fill(&head->stat, &rec->view);
}

/*
 * RCU, pinned: one whole record to @to, if @room is enough. Returns its length
 * either way; @into: whether the walk goes on with its children.
 */
static u64 rec_put(const struct zk_node *node, u64 zxid, const struct zkern_caller *who, u8 *to,
		   u32 room, bool *into)
{
	const u32 fixed = sizeof(struct zkern_node);
	struct zkern_node head;
	struct zkern_rec rec;
	size_t path_len;
	u64 len, end;

	if (!zkern_rec_look(node, zxid, who, &rec))
		return 0;
	*into = rec.readable;
	path_len = zk_path(node, (char *)to + fixed, room > fixed ? room - fixed : 0);
	len = rec_len(&rec, path_len);
	if (len > room)
		return len;
	rec_head(&rec, path_len, &head);
	memcpy(to, &head, fixed);
	end = fixed + path_len;
	if (rec.readable && rec.view.data_len > 0) {
		memcpy(to + end, rec.view.data, rec.view.data_len);
		end += rec.view.data_len;
	}
	zkern_rec_acl(&rec, to + end, rec.acl_len);
	end += rec.acl_len;
	memset(to + end, 0, len - end);
	return len;
}

/* One RCU section's worth of records, at most @room bytes. */
static int snap_gather(struct zkern_snap *snap, const struct zkern_caller *who, u32 room,
		       struct snap_batch *b)
{
	struct zkern_at at;
	bool into = false;
	u32 steps;
	u64 len;
	int err;

	memset(b, 0, sizeof(*b));
	b->next = snap->next;
	rcu_read_lock();
	err = zkern_pinned_at(&snap->pinned, &at);
	for (steps = 0; !err && b->next && steps < SNAP_STEPS; steps++) {
		len = rec_put(b->next, at.zxid, who, snap->buf + b->used, room - b->used, &into);
		if (len > room - b->used) {
			b->need = len;
			break;
		}
		b->used += len;
		b->next = zkern_walk_next(snap->top, b->next, at.zxid, into);
	}
	rcu_read_unlock();
	return err;
}

/* ------------------------------------------------------------ large records */

/* The pieces of a record that does not fit the buffer, in their order. */
enum big_piece { BIG_HEAD, BIG_DATA, BIG_ACL, BIG_PAD, BIG_END };

/*
 * struct big - a record on its way out, piece by piece.
 * @off:  within the piece
 * @done: bytes handed over
 */
struct big {
	const struct zkern_caller *who;
	struct zkern_rec rec;
	u32 path_len;
	enum big_piece piece;
	u32 off;
	u64 done;
	u64 len;
};

static int snap_room(struct zkern_snap *snap, u32 cap)
{
	u8 *buf;

	if (cap <= snap->cap)
		return 0;
	buf = kvmalloc(cap, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;
	kvfree(snap->buf);
	snap->buf = buf;
	snap->cap = cap;
	return 0;
}

/* Looks the record up and makes room for the pieces that must be whole. */
static int big_begin(struct zkern_snap *snap, struct big *big)
{
	struct zkern_at at;
	int err;

	rcu_read_lock();
	err = zkern_pinned_at(&snap->pinned, &at);
	if (!err) {
		zkern_rec_look(snap->next, at.zxid, big->who, &big->rec);
		big->path_len = zk_path(snap->next, NULL, 0);
		big->len = rec_len(&big->rec, big->path_len);
	}
	rcu_read_unlock();
	if (err)
		return err;
	return snap_room(snap, max_t(u32, sizeof(struct zkern_node) + big->path_len,
				     big->rec.acl_len));
}

/* RCU, pinned: the next bytes into snap->buf; returns how many. */
static u32 big_fill(struct zkern_snap *snap, struct big *big)
{
	u32 data_len = big->rec.readable && big->rec.view.data_len > 0 ?
		       big->rec.view.data_len : 0;
	struct zkern_node head;
	u32 n = 0;

	switch (big->piece) {
	case BIG_HEAD:
		rec_head(&big->rec, big->path_len, &head);
		memcpy(snap->buf, &head, sizeof(head));
		zk_path(snap->next, (char *)snap->buf + sizeof(head), big->path_len);
		n = sizeof(head) + big->path_len;
		big->piece = BIG_DATA;
		break;
	case BIG_DATA:
		n = min_t(u32, data_len - big->off, snap->cap);
		if (n)
			memcpy(snap->buf, big->rec.view.data + big->off, n);
		big->off += n;
		if (big->off == data_len)
			big->piece = BIG_ACL;
		break;
	case BIG_ACL:
		n = big->rec.acl_len;
		zkern_rec_acl(&big->rec, snap->buf, snap->cap);
		big->piece = BIG_PAD;
		break;
	case BIG_PAD:
		n = big->len - big->done;
		memset(snap->buf, 0, n);
		big->piece = BIG_END;
		break;
	case BIG_END:
		break;
	}
	return n;
}

/* One record larger than the buffer, to @to, which has room for it. */
static int snap_big(struct zkern_snap *snap, const struct zkern_caller *who, void __user *to,
		    struct snap_batch *b)
{
	struct big big = { .who = who };
	struct zkern_at at;
	u32 n = 0;
	int err;

	err = big_begin(snap, &big);
	while (!err && big.piece != BIG_END) {
		rcu_read_lock();
		err = zkern_pinned_at(&snap->pinned, &at);
		if (!err)
			n = big_fill(snap, &big);
		rcu_read_unlock();
		if (!err && copy_to_user(to + big.done, snap->buf, n))
			err = -EFAULT;
		big.done += n;
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	if (err)
		return err;
	rcu_read_lock();
	err = zkern_pinned_at(&snap->pinned, &at);
	if (!err)
		b->next = zkern_walk_next(snap->top, snap->next, at.zxid, big.rec.readable);
	rcu_read_unlock();
	b->used = big.len;
	return err;
}

/* ------------------------------------------------------------ the file */

/*
 * Under snap->lock: the next bytes to @to, whole records. Returns how many, 0 at
 * the end, -EMSGSIZE if not even one fits.
 */
static ssize_t snap_step(struct zkern_snap *snap, const struct zkern_caller *who,
			 void __user *to, size_t room)
{
	struct snap_batch b;
	int err;

	err = snap_gather(snap, who, min_t(size_t, room, snap->cap), &b);
	if (err)
		return err;
	if (b.used) {
		if (copy_to_user(to, snap->buf, b.used))
			return -EFAULT;
	} else if (b.next) {
		if (b.need > room)
			return -EMSGSIZE;
		err = snap_big(snap, who, to, &b);
		if (err)
			return err;
	}
	snap->next = b.next;
	return b.used;
}

static void snap_trace(struct zkern_snap *snap, u64 bytes, int err, u64 start)
{
	char path[ZKERN_TRACE_PATH];
	struct zkern_at at;
	size_t len = 0;

	rcu_read_lock();
	if (!zkern_pinned_at(&snap->pinned, &at))
		len = zk_path(snap->top, path, sizeof(path));
	rcu_read_unlock();
	trace_zkern_read(snap->file.inst->id, ZKERN_TRACE_DUMP, path,
			 len > sizeof(path) ? 0 : len, snap->pinned.pin.zxid,
			 min_t(u64, bytes, U32_MAX), err, start ? ktime_get_ns() - start : 0);
}

static ssize_t snap_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	u64 start = trace_zkern_read_enabled() ? ktime_get_ns() : 0;
	struct zkern_file *zf = file->private_data;
	struct zkern_snap *snap = to_snap(zf);
	struct zkern_caller who = zkern_caller_current(zf->owner);
	ssize_t n = 0, total = 0;

	who.also = file->f_cred;
	if (mutex_lock_interruptible(&snap->lock))
		return -EINTR;
	if (!snap->buf)
		n = snap_room(snap, SNAP_CHUNK);
	while (!n && snap->next && count > total) {
		n = snap_step(snap, &who, buf + total, count - total);
		if (n <= 0)
			break;
		total += n;
		n = fatal_signal_pending(current) ? -EINTR : 0;
		cond_resched();
	}
	mutex_unlock(&snap->lock);
	if (trace_zkern_read_enabled())
		snap_trace(snap, total, n, start);
	return total ? total : n;
}

static long snap_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct zkern_file *zf = file->private_data;
	void __user *uarg = (void __user *)arg;

	if (_IOC_TYPE(cmd) != ZKERN_IOC)
		return -ENOTTY;
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(ZKERN_GET):
		return likely(zkern_get_hot(zf, uarg)) ? 0 : zkern_ioctl_get(zf, uarg);
	case _IOC_NR(ZKERN_READ):
		return zkern_ioctl_read(zf, uarg);
	case _IOC_NR(ZKERN_CHILDREN):
		return zkern_ioctl_children(zf, uarg);
	case _IOC_NR(ZKERN_INFO):
		return zkern_ioctl_info(zf, uarg);
	}
	return -ENOTTY;
}

static void snap_free(struct zkern_snap *snap)
{
	struct zkern_inst *inst = snap->file.inst;

	trace_zkern_snapshot(inst->id, false, snap->pinned.pin.zxid,
			     READ_ONCE(snap->pinned.pin.revoked));
	zk_pin_drop(snap->pinned.tree, &snap->pinned.pin);
	atomic_dec(&inst->snapshots);
	zkern_inst_put(inst);
	if (!snap->file.owner)
		zkern_quota_drop(snap->uid);
	kvfree(snap->buf);
	mutex_destroy(&snap->lock);
	kfree(snap);
}

static int snap_release(struct inode *inode, struct file *file)
{
	snap_free(to_snap(file->private_data));
	return 0;
}

static const struct file_operations snap_fops = {
	.owner = THIS_MODULE,
	.read = snap_read,
	.unlocked_ioctl = snap_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = snap_release,
	.llseek = no_llseek,
};

/* ------------------------------------------------------------ making one */

/* Sets @snap->top; the path is the request's. */
static int snap_top(struct zkern_snap *snap, const char *path, u32 len)
{
	struct zkern_at at;
	int err;

	rcu_read_lock();
	err = zkern_pinned_at(&snap->pinned, &at);
	if (!err) {
		snap->top = zk_lookup(at.tree, path, len, at.zxid);
		if (!snap->top)
			err = zkern_path_error(path, len);
	}
	rcu_read_unlock();
	snap->next = snap->top;
	return err;
}

/* The picture itself; on error nothing is left. */
static struct zkern_snap *snap_new(struct zkern_file *zf, const char *path, u32 len)
{
	struct zkern_snap *snap;
	struct zkern_pinned *p;
	int err;

	snap = kzalloc(sizeof(*snap), GFP_KERNEL_ACCOUNT);
	if (!snap)
		return ERR_PTR(-ENOMEM);
	snap->uid = current_uid();
	snap->file.owner = zkern_file_is_owner(zf);
	if (!snap->file.owner) {
		err = zkern_quota_take(snap->uid);
		if (err)
			goto err_free;
	}
	snap->file.generation = READ_ONCE(zf->inst->generation);
	snap->file.heard_ns = READ_ONCE(zf->inst->heard_ns);
	err = zkern_pin(zf, &snap->pinned, &p);
	if (err)
		goto err_quota;
	mutex_init(&snap->lock);
	snap->file.inst = zf->inst;
	zkern_inst_get(zf->inst);
	atomic_inc(&zf->inst->snapshots);
	snap->file.pinned = &snap->pinned;
	trace_zkern_snapshot(zf->inst->id, true, snap->pinned.pin.zxid, false);
	err = snap_top(snap, path, len);
	if (err) {
		snap_free(snap);
		return ERR_PTR(err);
	}
	return snap;

err_quota:
	if (!snap->file.owner)
		zkern_quota_drop(snap->uid);
err_free:
	kfree(snap);
	return ERR_PTR(err);
}

/* A file for @snap, which it takes over in any case. */
static struct file *snap_file(struct zkern_snap *snap)
{
	struct file *file;

	file = anon_inode_getfile("[zkern-snapshot]", &snap_fops, &snap->file, O_RDONLY);
	if (IS_ERR(file)) {
		snap_free(snap);
		return file;
	}
	file->f_mode &= ~(FMODE_PREAD | FMODE_PWRITE);
	return file;
}

static int snap_install(struct zkern_snap *snap, struct zkern_snapshot *req, void __user *arg,
			u32 size)
{
	struct file *file;

	req->zxid = snap->pinned.pin.zxid;
	req->digest = snap->pinned.pin.digest;
	req->nodes = snap->pinned.pin.nodes;
	file = snap_file(snap);
	if (IS_ERR(file))
		return PTR_ERR(file);
	return zkern_fd_out(file, &req->fd, req, sizeof(*req), arg, size);
}

long zkern_ioctl_snapshot(struct zkern_file *zf, void __user *arg)
{
	char small[ZKERN_PATH_SMALL] __uninitialized;
	struct zkern_snapshot req;
	struct zkern_snap *snap;
	char *path = small;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	/* a caller who could not be told the descriptor would only leak it */
	if (req.flags || size < offsetofend(struct zkern_snapshot, fd) ||
	    !req.path != !req.path_len)
		return -EINVAL;
	if (req.path_len) {
		path = zkern_path_in(small, req.path, req.path_len);
		if (IS_ERR(path))
			return PTR_ERR(path);
	} else {
		small[0] = '/';
		req.path_len = 1;
	}
	snap = snap_new(zf, path, req.path_len);
	zkern_path_free(small, path);
	if (IS_ERR(snap))
		return PTR_ERR(snap);
	return snap_install(snap, &req, arg, size);
}
