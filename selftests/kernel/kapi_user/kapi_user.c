// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that reads and watches znodes, for the tests: does what is written to
 * /proc/zkern_kapi. "open N", "close"; "get PATH" (with the kernel's own rights) or
 * "mine PATH" (with the writer's), which is done in a section that may not sleep, and
 * reading tells what came of it: "error length state version zxid data".
 * "events N" opens a handle that can watch; "watch KIND PATH" and "unwatch KIND PATH",
 * without a path for KIND 6; "slow MS" makes each call of the callback last; after "told"
 * reading tells what it was called with since the last time: "events left_out wrong",
 * then as "type zxid path" the last of them.
 */
#include <linux/delay.h>
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

/* What the callback was told, under this lock. */
static DEFINE_SPINLOCK(told_lock);
static struct told {
	u32 events;
	u32 left_out;		/* as said by overflow events */
	u32 wrong;		/* out of order, or of what could not be read yet */
	u64 zxid;
	char last[128];
} told;
static unsigned int slow_ms;

static struct zkern_file *told_by;	/* == handle, for the callback */

static u64 zxid_now(void)
{
	struct zkern_file *zf = READ_ONCE(told_by);
	struct zkern_kget get = {};

	if (zf)
		zkern_kget(zf, "/", 1, NULL, &get);
	return get.zxid;
}

static void tell(void *arg, const struct zkern_watch_event *ev, const char *path)
{
	u64 now = ev->type == ZKERN_KEV_GONE ? 0 : zxid_now();

	spin_lock(&told_lock);
	if (ev->type == ZKERN_EV_OVERFLOW)
		told.left_out += ev->arg;
	else
		told.events++;
	if (arg != &told || (now && now < ev->zxid) ||
	    (ev->type != ZKERN_KEV_GONE && ev->zxid < told.zxid))
		told.wrong++;
	told.zxid = ev->zxid;
	snprintf(told.last, sizeof(told.last), "%u %llu %.*s", ev->type, ev->zxid,
		 (int)ev->path_len, path);
	spin_unlock(&told_lock);
	if (READ_ONCE(slow_ms))
		msleep(READ_ONCE(slow_ms));
}

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

static int do_events(const char *arg)
{
	struct zkern_file *zf;
	u32 id;

	if (kstrtou32(arg, 10, &id) || handle)
		return -EINVAL;
	memset(&told, 0, sizeof(told));
	zf = zkern_kopen_watching(id, tell, &told);
	if (IS_ERR(zf))
		return PTR_ERR(zf);
	handle = zf;
	WRITE_ONCE(told_by, zf);
	return 0;
}

static int do_watch(const char *arg, bool on)
{
	const char *path = strchr(arg, ' ');
	u32 kind = arg[0] - '0', len;
	u64 zxid;

	if (!handle)
		return -EINVAL;
	path = path ? path + 1 : NULL;
	len = path ? strlen(path) : 0;
	return on ? zkern_kwatch(handle, kind, path, len, &zxid) :
		    zkern_kunwatch(handle, kind, path, len);
}

static int do_told(void)
{
	spin_lock(&told_lock);
	snprintf(answer, sizeof(answer), "%u %u %u %s\n", told.events, told.left_out,
		 told.wrong, told.last);
	told.events = 0;
	told.left_out = 0;
	told.wrong = 0;
	told.last[0] = '\0';
	spin_unlock(&told_lock);
	return 0;
}

static int do_slow(const char *arg)
{
	return kstrtouint(arg, 10, &slow_ms);
}

static int do_close(void)
{
	if (!handle)
		return -EINVAL;
	zkern_kclose(handle);
	WRITE_ONCE(told_by, NULL);
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

static int do_line(const char *line)
{
	if (!strncmp(line, "open ", 5))
		return do_open(line + 5);
	if (!strncmp(line, "events ", 7))
		return do_events(line + 7);
	if (!strncmp(line, "watch ", 6))
		return do_watch(line + 6, true);
	if (!strncmp(line, "unwatch ", 8))
		return do_watch(line + 8, false);
	if (!strncmp(line, "slow ", 5))
		return do_slow(line + 5);
	if (!strncmp(line, "get ", 4))
		return do_get(line + 4, NULL);
	if (!strncmp(line, "mine ", 5))
		return do_get(line + 5, current_cred());
	if (!strcmp(line, "told"))
		return do_told();
	return strcmp(line, "close") ? -EINVAL : do_close();
}

static ssize_t user_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char line[128];
	int err;

	if (len >= sizeof(line) || copy_from_user(line, buf, len))
		return -EINVAL;
	line[len] = '\0';
	mutex_lock(&lock);
	err = do_line(line);
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
