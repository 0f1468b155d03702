// SPDX-License-Identifier: GPL-2.0-or-later
/* Who makes and removes instances; and who does not behave. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../kernel/tap.h"
#include "model.h"

/* Owned, filled and read while it lives. */
static void use_instance(struct worker *w, int owner, int reader)
{
	struct zkern_get get = {};
	uint64_t z = 1;
	char path[16];
	int i, err;

	if (!may_fail(w, zk_own(owner, NULL), "own"))
		return;
	if (!may_fail(w, zk_state(owner, ZKERN_STATE_STANDALONE, 0), "state"))
		return;
	for (i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "/n%d", i);
		batch_reset(&w->batch);
		batch_txn(&w->batch, z++);
		batch_create(&w->batch, path, path);
		if (!may_fail(w, zk_apply(owner, &w->batch, NULL), "apply"))
			continue;
		err = zk_get(reader, path, w->buf, BIG, &get);
		if (may_fail(w, err, "get of a young instance"))
			right(w, get.zxid == z - 1 && get.len == strlen(path) &&
			      !memcmp(w->buf, path, get.len), "a young instance's node");
	}
}

/* Lives and is removed with all of its files open. */
void round_instances(struct worker *w)
{
	int inst = zk_new(~0u, ~0u), owner, reader, snap = -1, err;
	struct zkern_info info;

	if (!may_fail(w, inst, "new"))
		return;
	owner = zk_open(inst, O_RDWR);
	reader = zk_open(inst, O_RDONLY);
	/* the node may be what failed */
	may_fail_also(w, owner < 0 ? owner : 0, w->armed ? -ENOENT : 0, "open");
	if (owner >= 0 && reader >= 0) {
		use_instance(w, owner, reader);
		snap = zk_snapshot(owner, NULL, NULL);
	}
	calm(w);
	err = zk_del(inst, rnd(w, 2) && owner >= 0 ? ZKERN_DEL_FORCE : 0);
	if (err == -EBUSY)
		err = zk_del(inst, ZKERN_DEL_FORCE);
	right(w, !err, "del: %d", err);
	harm(w);
	if (reader >= 0) {
		err = zk_info(reader, &info);
		right(w, err == -ENODEV || (w->armed && (err == -ENOMEM || err == -EFAULT)),
		      "info of what was removed: %d", err);
	}
	if (snap >= 0) {
		do {
			err = read(snap, w->buf, BIG);
		} while (err > 0);
		may_fail(w, err < 0 ? -errno : 0, "a snapshot of what was removed");
		close(snap);
	}
	if (owner >= 0)
		close(owner);
	if (reader >= 0)
		close(reader);
}

#define SLOTS	6

static atomic_int slots[SLOTS];		/* descriptor + 1; 0: none */

/*
 * A file that others close while it is used. What its number stands for then may be any
 * other file of ours: the answers are not looked at.
 */
void round_shared_file(struct worker *w)
{
	unsigned int slot = rnd(w, SLOTS);
	struct zkern_get get = { .min_zxid = published + rnd(w, 2), .timeout_ms = 50 };
	struct zkern_list list;
	int f;

	switch (rnd(w, 6)) {
	case 0:
		f = zk_open(main_inst, O_RDONLY);
		if (rnd(w, 3) == 0 && f >= 0) {
			int snap = zk_snapshot(f, NULL, NULL);

			close(f);
			f = snap;
		}
		if (f < 0)
			break;
		w->good++;
		f = atomic_exchange(&slots[slot], f + 1);
		if (f)
			close(f - 1);
		break;
	case 1:
		f = atomic_exchange(&slots[slot], 0);
		if (f)
			close(f - 1);
		break;
	case 2:
		zk_children(slots[slot] - 1, "/list", "", w->buf, BIG, &list);
		break;
	default:
		zk_get(slots[slot] - 1, "/g3/1", w->buf, BIG, &get);
	}
}

void shared_files_end(void)
{
	int i, f;

	for (i = 0; i < SLOTS; i++) {
		f = atomic_exchange(&slots[i], 0);
		if (f)
			close(f - 1);
	}
}

/* What a process does that is about to be killed; it has all of our files. */
static void be_killed(struct worker *w)
{
	struct zkern_get get = {};
	struct zkern_watch add = {
		.size = sizeof(add), .cmd = ZKERN_WATCH_ADD, .kind = ZKERN_WATCH_RECURSIVE,
		.path = ptr("/g4"), .path_len = 3,
	};
	struct zkern_list list;
	int snap;

	for (;;) {
		zk_get(w->fd, "/g5/1", w->buf, BIG, &get);
		zk_children(w->fd, "/list", "", w->buf, BIG, &list);
		snap = zk_snapshot(w->fd, NULL, NULL);
		if (snap >= 0 && read(snap, w->buf, BIG) > 0 && rnd(w, 2))
			close(snap);
		get = (struct zkern_get){
			.min_zxid = published + (1ull << 40), .timeout_ms = rnd(w, 30),
		};
		zk_exists(w->fd, "/list", &get);
		/* the parent has the file, too, which it does not read events from */
		if (!zk_ioctl(w->fd, ZKERN_WATCH, &add) && !rnd(w, 8) &&
		    read(w->fd, w->buf, BIG) < 0)
			usleep(100);
	}
}

void round_killed(struct worker *w)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid)
		be_killed(w);
	if (!may_fail_also(w, pid < 0 ? -errno : 0, w->armed ? -EAGAIN : 0, "fork"))
		return;
	usleep(rnd(w, 60000));
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EFAULT)
		;
}

/* A page that is there, one that is not, and addresses that are nobody's. */
static uint64_t nowhere(struct worker *w)
{
	static char *pages;

	if (!pages)
		pages = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	switch (rnd(w, 4)) {
	case 0:
		return 8;
	case 1:
		return ~0ull - rnd(w, 4096);
	case 2:
		return 0xffff888000000000ull + rnd(w, 1 << 20);
	default:
		return ptr(pages) + rnd(w, 4096);
	}
}

/* Requests that point to where nothing is. */
void round_junk(struct worker *w)
{
	static const char path[] = "/g2/2";
	struct zkern_get get = {
		.size = sizeof(get), .path = ptr(path), .path_len = 5,
		.buf = ptr(w->buf), .buf_len = BIG,
	};
	struct zkern_list list = {
		.size = sizeof(list), .path = ptr("/list"), .path_len = 5,
		.buf = nowhere(w), .buf_len = 4096,
	};
	struct zkern_read many = {
		.size = sizeof(many), .gets = nowhere(w), .count = 1 + rnd(w, 9),
	};
	struct zkern_watch watch = {
		.size = sizeof(watch), .cmd = ZKERN_WATCH_ADD, .kind = ZKERN_WATCH_PERSISTENT,
		.path = nowhere(w), .path_len = 5,
	};
	struct before b = before_read(-1);
	int err;

	switch (rnd(w, 6)) {
	case 0:
		get.path = nowhere(w);
		err = zk_ioctl(w->fd, ZKERN_GET, &get);
		break;
	case 1:
		get.buf = nowhere(w);
		err = zk_ioctl(w->fd, ZKERN_GET, &get);
		break;
	case 2:
		err = zk_ioctl(w->fd, ZKERN_CHILDREN, &list);
		break;
	case 3:
		err = zk_ioctl(w->fd, ZKERN_READ, &many);
		break;
	case 4:
		err = zk_ioctl(w->fd, ZKERN_WATCH, &watch);
		break;
	default:
		err = zk_ioctl(w->fd, ZKERN_GET, (void *)(uintptr_t)nowhere(w));
	}
	right(w, err == -EFAULT || (w->armed && err == -ENOMEM) ||
	      (err == -ESTALE && hidden_since(&b)), "junk: %d", err);
	w->good += err == -EFAULT;
	usleep(200);
}
