// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that reads znodes, for the tests: what is written to /proc/zkern_kapi, as
 * "open N", "close", "get PATH" (with the kernel's own rights) or "mine PATH" (with the
 * writer's), is done in a section that may not sleep, and reading tells what came of it:
 * "error length state version zxid data".
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/zkern_kapi.h>

static DEFINE_MUTEX(lock);		/* all of these */
static DEFINE_SPINLOCK(atomic);
static struct zkern_file *handle;
static char answer[256];

static int do_open(const char *arg)
{
	struct zkern_file *zf;
	u32 id;

	if (kstrtou32(arg, 10, &id) || handle)
		return -EINVAL;
	zf = zkern_kopen(id);
	if (IS_ERR(zf))
		return PTR_ERR(zf);
	handle = zf;
	return 0;
}

static int do_close(void)
{
	if (!handle)
		return -EINVAL;
	zkern_kclose(handle);
	handle = NULL;
	return 0;
}

static int do_get(const char *path, const struct cred *cred)
{
	char data[64];
	struct zkern_kget get = { .buf = data, .buf_len = sizeof(data) };
	int err;

	if (!handle)
		return -EINVAL;
	spin_lock_irq(&atomic);
	err = zkern_kget(handle, path, strlen(path), cred, &get);
	spin_unlock_irq(&atomic);
	snprintf(answer, sizeof(answer), "%d %u %u %d %llu %.*s\n", err, get.len, get.state,
		 get.stat.version, get.zxid, err ? 0 : (int)get.len, data);
	return 0;
}

static ssize_t user_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char line[128];
	int err = -EINVAL;

	if (len >= sizeof(line) || copy_from_user(line, buf, len))
		return -EINVAL;
	line[len] = '\0';
	mutex_lock(&lock);
	if (!strncmp(line, "open ", 5))
		err = do_open(line + 5);
	else if (!strcmp(line, "close"))
		err = do_close();
	else if (!strncmp(line, "get ", 4))
		err = do_get(line + 4, NULL);
	else if (!strncmp(line, "mine ", 5))
		err = do_get(line + 5, current_cred());
	mutex_unlock(&lock);
	return err ? err : len;
}

static ssize_t user_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	ssize_t n;

	mutex_lock(&lock);
	n = simple_read_from_buffer(buf, len, pos, answer, strlen(answer));
	mutex_unlock(&lock);
	return n;
}

static const struct proc_ops user_ops = {
	.proc_read = user_read,
	.proc_write = user_write,
};

static int __init user_init(void)
{
	return proc_create("zkern_kapi", 0644, NULL, &user_ops) ? 0 : -ENOMEM;
}

static void __exit user_exit(void)
{
	remove_proc_entry("zkern_kapi", NULL);
	if (handle)
		zkern_kclose(handle);
}

module_init(user_init);
module_exit(user_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("reads znodes for zkern's tests");
