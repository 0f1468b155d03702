// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches for other modules: see include/linux/zkern_kapi.h. A handle's watches and queue are
 * an open file's; who is woken when there is something to be read is a work item, which
 * reads and calls.
 */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "kapi.h"
#include "watch.h"

/* Who is told. */
struct zkern_kevents {
	struct zkern_file *zf;
	zkern_kevent_fn fn;
	void *arg;
	wait_queue_entry_t wait;
	struct work_struct work;
	bool over;		/* the work's: nothing comes any more */
	char path[ZKERN_WATCH_QUEUE_LEN];	/* any that fits into the queue */
};

/* Under the lock of zf->events. */
static int wake(wait_queue_entry_t *wait, unsigned int mode, int flags, void *key)
{
	struct zkern_kevents *k = container_of(wait, struct zkern_kevents, wait);

	queue_work(system_unbound_wq, &k->work);
	return 0;
}

static void tell(struct work_struct *work)
{
	struct zkern_kevents *k = container_of(work, struct zkern_kevents, work);
	struct zkern_watch_event ev;
	/* before the rest is read: nothing comes after it */
	bool gone = zkern_watch_is_gone(k->zf);

	while (zkern_watch_next(k->zf, &ev, k->path, sizeof(k->path))) {
		k->fn(k->arg, &ev, k->path);
		cond_resched();
	}
	if (!gone || k->over)
		return;
	k->over = true;
	ev = (struct zkern_watch_event){ .len = sizeof(ev), .type = ZKERN_KEV_GONE };
	k->fn(k->arg, &ev, k->path);
}

struct zkern_file *zkern_kopen_watching(u32 id, zkern_kevent_fn fn, void *arg)
{
	struct zkern_kevents *k = kvzalloc(sizeof(*k), GFP_KERNEL);
	struct zkern_file *zf;

	if (!k)
		return ERR_PTR(-ENOMEM);
	zf = zkern_file_new(id);
	if (IS_ERR(zf)) {
		kvfree(k);
		return zf;
	}
	k->zf = zf;
	k->fn = fn;
	k->arg = arg;
	INIT_WORK(&k->work, tell);
	init_waitqueue_func_entry(&k->wait, wake);
	add_wait_queue(&zf->events, &k->wait);
	zf->kevents = k;
	return zf;
}
EXPORT_SYMBOL_GPL(zkern_kopen_watching);

void zkern_kevents_end(struct zkern_file *zf)
{
	struct zkern_kevents *k = zf->kevents;

	if (!k)
		return;
	remove_wait_queue(&zf->events, &k->wait);
	cancel_work_sync(&k->work);
	kvfree(k);
}

static int command(struct zkern_file *zf, u32 cmd, u32 kind, const char *path, u32 len,
		   u64 *zxid)
{
	struct zkern_watch req = { .cmd = cmd, .kind = kind, .path_len = len };
	bool takes_path = kind != ZKERN_WATCH_STATE;
	int err;

	if (!zf->kevents || takes_path != !!path || len > ZKERN_PATH_MAX)
		return -EINVAL;
	if (zkern_watch_is_gone(zf))
		return -ENODEV;
	err = zkern_watch_do(zf, &req, path);
	if (zxid)
		*zxid = req.zxid;
	return err;
}

int zkern_kwatch(struct zkern_file *zf, u32 kind, const char *path, u32 path_len, u64 *zxid)
{
	return command(zf, ZKERN_WATCH_ADD, kind, path, path_len, zxid);
}
EXPORT_SYMBOL_GPL(zkern_kwatch);

int zkern_kunwatch(struct zkern_file *zf, u32 kind, const char *path, u32 path_len)
{
	if (kind == ZKERN_WATCH_PERSISTENT || kind == ZKERN_WATCH_RECURSIVE)
		kind = ZKERN_WATCH_ANY;
	return command(zf, ZKERN_WATCH_REMOVE, kind, path, path_len, NULL);
}
EXPORT_SYMBOL_GPL(zkern_kunwatch);
