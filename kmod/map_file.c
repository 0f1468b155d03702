// SPDX-License-Identifier: GPL-2.0-only
/*
 * ZKERN_MAP, and the files that it makes: one for each call, referring to the pages of a
 * node that all share (map.c). A mapping of the file holds the file, so pages go when
 * nobody has them mapped.
 *
 * Pages are put in by faults, read-only and shared only, and are never taken out of a
 * mapping by us: what revokes a node wipes its pages. So there is nothing to race with, and
 * no access that would end in a signal.
 */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "access.h"
#include "file.h"
#include "map.h"
#include "quota.h"

static uint map_max = 4096;
module_param(map_max, uint, 0644);
MODULE_PARM_DESC(map_max, "nodes that a user (uid) may have mapped at a time");

#define TRIES	8		/* larger pages for a node that grows meanwhile */

static DEFINE_XARRAY(map_quota);	/* quota.h */

/**
 * struct map_file - one file.
 * @inst: reference held
 * @mapped: one of its files is this
 * @seen: the version that read(2) gave last
 * @uid:  counted for
 */
struct map_file {
	struct zkern_inst *inst;
	struct zkern_mapped *mapped;
	u64 seen;
	kuid_t uid;
};

/* ------------------------------------------------------------ mmap */

static unsigned long map_pages(const struct map_file *mf)
{
	return 1 + mf->mapped->n_pages;
}

/* The vma holds the file. */
static vm_fault_t map_fault(struct vm_fault *vmf)
{
	struct map_file *mf = vmf->vma->vm_file->private_data;
	unsigned long at = vmf->pgoff;

	/* map_mmap() lets none be, and no mapping grows */
	if (WARN_ON_ONCE(at >= map_pages(mf)))
		return VM_FAULT_SIGBUS;
	if (at)
		vmf->page = zkern_mapped_page(mf->mapped, at - 1);
	else
		vmf->page = virt_to_page(mf->inst->maps->page);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct map_vm_ops = {
	.fault = map_fault,
};

static int map_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct map_file *mf = file->private_data;
	unsigned long pages = map_pages(mf);

	/* a private one would go stale, page by page, once it was written to */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EPERM;
	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	vma->vm_flags &= ~(VM_MAYWRITE | VM_MAYEXEC);
	vma->vm_flags |= VM_DONTEXPAND | VM_DONTDUMP;
	vma->vm_ops = &map_vm_ops;
	return 0;
}

/* ------------------------------------------------------------ waiting */

static __poll_t map_poll(struct file *file, poll_table *wait)
{
	struct map_file *mf = file->private_data;
	u64 shown;

	poll_wait(file, &mf->mapped->wait, wait);
	shown = zkern_mapped_shown(mf->mapped);
	if (!shown)
		return EPOLLIN | EPOLLRDNORM | EPOLLHUP;
	return shown != READ_ONCE(mf->seen) ? EPOLLIN | EPOLLRDNORM : 0;
}

/*
 * Is there another version than the file has seen, or none? It is @shown, and has been seen
 * from here on. Of several who read one file, one gets it.
 */
static bool map_take(struct map_file *mf, u64 *shown)
{
	u64 seen = READ_ONCE(mf->seen);

	do {
		*shown = zkern_mapped_shown(mf->mapped);
		if (!*shown)
			return true;
		if (*shown == seen)
			return false;
	} while (!try_cmpxchg(&mf->seen, &seen, *shown));
	return true;
}

static ssize_t map_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	struct map_file *mf = file->private_data;
	u64 shown;
	int err;

	if (count < sizeof(shown))
		return -EINVAL;
	if (!map_take(mf, &shown)) {
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_interruptible(mf->mapped->wait, map_take(mf, &shown));
		if (err)
			return err;
	}
	if (!shown)
		return 0;
	return copy_to_user(buf, &shown, sizeof(shown)) ? -EFAULT : sizeof(shown);
}

/* Is waiting for another version than @version over? */
static bool map_differs(const struct zkern_mapped *mapped, u64 version)
{
	u64 shown = zkern_mapped_shown(mapped);

	return !shown || shown != version;
}

static long map_wait(struct map_file *mf, void __user *arg)
{
	struct zkern_mapped *mapped = mf->mapped;
	struct zkern_map_wait req;
	ktime_t timeout;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	if (req.flags || req.pad)
		return -EINVAL;
	timeout = req.timeout_ms ? ms_to_ktime(req.timeout_ms) : KTIME_MAX;
	err = 0;
	if (!map_differs(mapped, req.version))
		err = wait_event_interruptible_hrtimeout(mapped->wait,
							 map_differs(mapped, req.version),
							 timeout);
	if (err)
		return err == -ETIME ? -ETIMEDOUT : -EINTR;
	req.version = zkern_mapped_shown(mapped);
	return zkern_struct_out_from(&req, version, arg, size);
}

static long map_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (_IOC_TYPE(cmd) == ZKERN_IOC && _IOC_NR(cmd) == _IOC_NR(ZKERN_MAP_WAIT))
		return map_wait(file->private_data, (void __user *)arg);
	return -ENOTTY;
}

/* ------------------------------------------------------------ the file */

static void map_free(struct map_file *mf)
{
	if (mf->mapped)
		zkern_mapped_put(mf->inst->maps, mf->mapped);
	zkern_inst_put(mf->inst);
	zkern_quota_drop_of(&map_quota, mf->uid, 1);
	kfree(mf);
}

static int map_release(struct inode *inode, struct file *file)
{
	map_free(file->private_data);
	return 0;
}

static const struct file_operations map_fops = {
	.owner = THIS_MODULE,
	.mmap = map_mmap,
	.poll = map_poll,
	.read = map_read,
	.unlocked_ioctl = map_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = map_release,
	.llseek = no_llseek,
};

static struct map_file *map_new(struct zkern_inst *inst)
{
	struct map_file *mf = kzalloc(sizeof(*mf), GFP_KERNEL_ACCOUNT);
	int err;

	if (!mf)
		return ERR_PTR(-ENOMEM);
	mf->uid = current_uid();
	err = zkern_quota_take_of(&map_quota, mf->uid, 1, READ_ONCE(map_max));
	if (err) {
		kfree(mf);
		return ERR_PTR(err);
	}
	mf->inst = inst;
	zkern_inst_get(inst);
	return mf;
}

/*
 * Under maps->lock, RCU: @mf gets @node's pages, or @spare becomes these. -EAGAIN: @spare
 * has not room for @len bytes, which has to be.
 */
static int map_place(struct map_file *mf, const struct zk_node *node,
		     const struct zk_view *view, u64 zxid, struct zkern_mapped **spare,
		     u32 *len)
{
	struct zkern_maps *maps = mf->inst->maps;
	struct zkern_mapped *mapped = zkern_mapped_find(maps, node);
	int err;

	*len = max_t(s32, view->data_len, 0);
	/* what is too long for any is not there in a small one either */
	if (*len > ZKERN_MAP_DATA_MAX)
		*len = 0;
	if (!mapped || mapped->room < *len) {
		if ((*spare)->room < *len)
			return -EAGAIN;
		if (mapped)
			zkern_mapped_revoke(maps, mapped, ZKERN_MAP_GROWN);
		mapped = *spare;
		err = zkern_mapped_add(maps, mapped, node, view, zxid);
		if (err)
			return err;
		*spare = NULL;
	}
	mapped->files++;
	mf->mapped = mapped;
	mf->seen = mapped->version;
	return 0;
}

/* One look at the tree. Errors as of reads, -EAGAIN as map_place(). */
static int map_look(struct zkern_file *zf, struct map_file *mf, const char *path,
		    struct zkern_map *req, struct zkern_mapped **spare, u32 *len)
{
	struct zkern_caller who = zkern_caller_current(zkern_file_is_owner(zf));
	struct zkern_maps *maps = zf->inst->maps;
	struct zk_node *node;
	struct zkern_at at;
	struct zk_view view;
	int err;

	if (mutex_lock_killable(&maps->lock))
		return -EINTR;
	rcu_read_lock();
	err = zkern_file_at(zf, &at);
	if (err)
		goto out;
	req->zxid = at.zxid;
	node = zkern_find(&at, path, req->path_len, &view);
	if (IS_ERR(node))
		err = PTR_ERR(node);
	else if (!zkern_may(view.acl, ZKERN_PERM_READ, &who))
		err = -EACCES;
	else
		err = map_place(mf, node, &view, at.zxid, spare, len);
out:
	rcu_read_unlock();
	mutex_unlock(&maps->lock);
	return err;
}

/* Finds or makes the node's pages for @mf. */
static int map_find(struct zkern_file *zf, struct map_file *mf, const char *path,
		    struct zkern_map *req)
{
	struct zkern_mapped *spare = NULL;
	u32 len = 0;
	int err, i;

	for (i = 0; i < TRIES; i++) {
		zkern_mapped_free(spare);
		spare = zkern_mapped_alloc(len);
		if (!spare)
			return -ENOMEM;
		err = map_look(zf, mf, path, req, &spare, &len);
		if (err != -EAGAIN)
			break;
	}
	zkern_mapped_free(spare);
	return err;
}

static void map_describe(const struct map_file *mf, struct zkern_map *req)
{
	req->map_len = map_pages(mf) * PAGE_SIZE;
	req->tree_off = 0;
	req->node_off = PAGE_SIZE;
	req->data_max = mf->mapped->room;
}

/* A file for @mf, which it takes over in any case, and its descriptor. */
static int map_install(struct map_file *mf, struct zkern_map *req, void __user *arg, u32 size)
{
	struct file *file;

	map_describe(mf, req);
	file = anon_inode_getfile("[zkern-map]", &map_fops, mf, O_RDONLY);
	if (IS_ERR(file)) {
		map_free(mf);
		return PTR_ERR(file);
	}
	file->f_mode &= ~(FMODE_PREAD | FMODE_PWRITE);
	return zkern_fd_out(file, &req->fd, req, sizeof(*req), arg, size);
}

long zkern_ioctl_map(struct zkern_file *zf, void __user *arg)
{
	char small[ZKERN_PATH_SMALL] __uninitialized;
	struct map_file *mf;
	struct zkern_map req;
	char *path;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	/* a caller who could not be told the descriptor would only leak it */
	if (req.flags || size < offsetofend(struct zkern_map, data_max))
		return -EINVAL;
	path = zkern_path_in(small, req.path, req.path_len);
	if (IS_ERR(path))
		return PTR_ERR(path);
	req.fd = -1;
	req.zxid = 0;
	req.now_ns = ktime_get_boottime_ns();
	mf = map_new(zf->inst);
	if (IS_ERR(mf)) {
		err = PTR_ERR(mf);
	} else {
		err = map_find(zf, mf, path, &req);
		if (err)
			map_free(mf);
		else
			err = map_install(mf, &req, arg, size);
	}
	zkern_path_free(small, path);
	if (err && zkern_struct_out_from(&req, zxid, arg, size))
		err = -EFAULT;
	return err;
}
