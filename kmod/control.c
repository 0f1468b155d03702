// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/zkern: ZKERN_NEW and ZKERN_DEL. No state of its own; instance.c locks.
 *
 * The node's mode is 0600: nothing that it does is for anyone but
 * CAP_SYS_ADMIN in the initial user namespace, which each call checks for the
 * caller besides (an open file handed on gives its receiver nothing).
 */
#include "control.h"

#include <linux/capability.h>
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "file.h"

static long control_new(void __user *arg)
{
	struct zkern_instance req;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	if (req.flags)
		return -EINVAL;
	err = zkern_inst_new(req.id, req.uid);
	if (err < 0)
		return err;
	req.id = err;
	err = zkern_struct_out_from(&req, id, arg, size);
	if (err)
		zkern_inst_del(req.id, true);
	return err;
}

static long control_del(void __user *arg)
{
	struct zkern_instance req;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	if (req.flags & ~ZKERN_DEL_FORCE)
		return -EINVAL;
	return zkern_inst_del(req.id, req.flags & ZKERN_DEL_FORCE);
}

static long control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	if (_IOC_TYPE(cmd) != ZKERN_IOC)
		return -ENOTTY;
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(ZKERN_NEW):
		return capable(CAP_SYS_ADMIN) ? control_new(uarg) : -EPERM;
	case _IOC_NR(ZKERN_DEL):
		return capable(CAP_SYS_ADMIN) ? control_del(uarg) : -EPERM;
	}
	return -ENOTTY;
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = no_llseek,
};

static struct miscdevice control_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "zkern",
	.fops = &control_fops,
	.mode = 0600,
};

int zkern_control_init(void)
{
	return misc_register(&control_dev);
}

void zkern_control_exit(void)
{
	misc_deregister(&control_dev);
}
