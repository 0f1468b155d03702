// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/zkernN: opening, and which function serves which ioctl.
 *
 * Reading needs the file open for reading, writing and owning need it open for writing,
 * so that the node's mode can part readers from others. Past that, read.c asks the
 * ACLs about whoever makes the call, not about whoever opened the file.
 */
#include "dev.h"

#include <linux/compat.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/uaccess.h>

#include "file.h"
#include "lock.h"
#include "map.h"
#include "request.h"
#include "watch.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

int zkern_struct_in(void *s, size_t ksize, const void __user *arg, u32 *size)
{
	if (get_user(*size, (const u32 __user *)arg))
		return -EFAULT;
	if (*size < 2 * sizeof(u32))
		return -EINVAL;
	if (*size > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(s, ksize, arg, *size);
}

int zkern_struct_out(const void *s, size_t from, size_t ksize, void __user *arg, u32 size)
{
	size_t end = min_t(size_t, ksize, size);

	if (end <= from)
		return 0;
	return copy_to_user(arg + from, s + from, end - from) ? -EFAULT : 0;
}

int zkern_fd_out(struct file *file, __s32 *fd, const void *s, size_t ksize, void __user *arg,
		 u32 size)
{
	int err;

	*fd = get_unused_fd_flags(O_CLOEXEC);
	if (*fd < 0) {
		fput(file);
		return *fd;
	}
	err = zkern_struct_out(s, (void *)fd - s, ksize, arg, size);
	if (err) {
		put_unused_fd(*fd);
		fput(file);
		return err;
	}
	fd_install(*fd, file);
	return 0;
}

static int dev_open(struct inode *inode, struct file *file)
{
	struct zkern_file *zf;

	zf = zkern_file_new(iminor(inode));
	if (IS_ERR(zf))
		return PTR_ERR(zf);
	zf->cred = file->f_cred;
	file->private_data = zf;
	return stream_open(inode, file);
}

static int dev_release(struct inode *inode, struct file *file)
{
	struct zkern_file *zf = file->private_data;

	zkern_owner_release(zf);
	/* first, since many watches take a while: the session's ephemerals wait for this */
	zkern_session_release(zf);
	zkern_file_free(zf);
	return 0;
}

/* A switch and not a table: ZKERN_GET shall not pay for an indirect call. */
static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct zkern_file *zf = file->private_data;
	bool may_read = file->f_mode & FMODE_READ;
	bool may_write = file->f_mode & FMODE_WRITE;
	void __user *uarg = (void __user *)arg;

	if (_IOC_TYPE(cmd) != ZKERN_IOC)
		return -ENOTTY;
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(ZKERN_GET):
		if (!may_read)
			return -EBADF;
		return likely(zkern_get_hot(zf, uarg)) ? 0 : zkern_ioctl_get(zf, uarg);
	case _IOC_NR(ZKERN_CHILDREN):
		return may_read ? zkern_ioctl_children(zf, uarg) : -EBADF;
	case _IOC_NR(ZKERN_READ):
		return may_read ? zkern_ioctl_read(zf, uarg) : -EBADF;
	case _IOC_NR(ZKERN_SNAPSHOT):
		return may_read ? zkern_ioctl_snapshot(zf, uarg) : -EBADF;
	case _IOC_NR(ZKERN_MAP):
		return may_read ? zkern_ioctl_map(zf, uarg) : -EBADF;
	case _IOC_NR(ZKERN_WATCH):
		return may_read ? zkern_ioctl_watch(zf, uarg) : -EBADF;
	case _IOC_NR(ZKERN_INFO):
		return zkern_ioctl_info(zf, uarg);
	case _IOC_NR(ZKERN_REQUEST):
		return may_write ? zkern_ioctl_request(zf, uarg) : -EBADF;
	case _IOC_NR(ZKERN_LOCK_OPEN):
		return may_write ? zkern_ioctl_lock_open(zf, uarg) : -EBADF;
	case _IOC_NR(ZKERN_OWN):
		return may_write ? zkern_ioctl_own(zf, uarg) : -EBADF;
	/* from here on the functions want the owner's file, which may do both */
	case _IOC_NR(ZKERN_APPLY):
		return zkern_ioctl_apply(zf, uarg);
	case _IOC_NR(ZKERN_LOAD):
		return zkern_ioctl_load(zf, uarg);
	case _IOC_NR(ZKERN_SET_STATE):
		return zkern_ioctl_set_state(zf, uarg);
	case _IOC_NR(ZKERN_OWNED):
		return zkern_ioctl_owned(zf, uarg);
	case _IOC_NR(ZKERN_TIMED):
		return zkern_ioctl_timed(zf, uarg);
	case _IOC_NR(ZKERN_CONFIRM):
		return zkern_ioctl_confirm(zf, uarg);
	case _IOC_NR(ZKERN_TAKE):
		return zkern_ioctl_take(zf, uarg);
	case _IOC_NR(ZKERN_ANSWER):
		return zkern_ioctl_answer(zf, uarg);
	case _IOC_NR(ZKERN_LOCK_TAKE):
		return zkern_ioctl_lock_take(zf, uarg);
	case _IOC_NR(ZKERN_LOCK_ANSWER):
		return zkern_ioctl_lock_answer(zf, uarg);
	case _IOC_NR(ZKERN_LEASE):
		return zkern_ioctl_lease(zf, uarg);
	}
	return -ENOTTY;
}

static ssize_t dev_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	return zkern_watch_read(file->private_data, file->f_flags & O_NONBLOCK, buf, len);
}

/*
 * Watches' events; and the owner hears of readers who want to be confirmed and of what
 * files ask it to do.
 */
static __poll_t dev_poll(struct file *file, poll_table *wait)
{
	struct zkern_file *zf = file->private_data;
	struct zkern_inst *inst = zf->inst;
	__poll_t mask = zkern_watch_poll(zf, file, wait);

	if (!zkern_file_is_owner(zf))
		return mask;
	poll_wait(file, &inst->asks, wait);
	if (atomic64_read(&inst->asked) > READ_ONCE(inst->told))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (zkern_calls_wait(inst))
		mask |= EPOLLPRI;
	if (zkern_locks_news(inst))
		mask |= EPOLLRDBAND;
	return mask;
}

const struct file_operations zkern_dev_fops = {
	.owner = THIS_MODULE,
	.open = dev_open,
	.release = dev_release,
	.read = dev_read,
	.poll = dev_poll,
	.unlocked_ioctl = dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = no_llseek,
};
