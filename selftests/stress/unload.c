// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The module goes while others open it, read, take snapshots and ask by netlink; and comes
 * back, sometimes at the second try, when one of its allocations was made to fail.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../kernel/tap.h"
#include "faults.h"
#include "net.h"

#define MODULE	"/zkern.ko"
#define USERS	3
#define CHANCE	2
#define MOST	600	/* allocations and copies of a load, more or less */

static atomic_bool done;

/* Whatever it finds. What it is told may be anything: only the kernel is looked at. */
static void use(struct worker *w)
{
	struct zkern_watch add = {
		.size = sizeof(add), .cmd = ZKERN_WATCH_ADD, .kind = ZKERN_WATCH_RECURSIVE,
		.path = ptr("/"), .path_len = 1,
	};
	struct zkern_list list;
	int fd, snap;

	fd = zk_open(rnd(w, 2), O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return;
	w->rounds++;
	w->good += zk_get(fd, "/node-5", w->buf, BIG, NULL) >= 0;
	zk_children(fd, "/", "", w->buf, BIG, &list);
	if (!zk_ioctl(fd, ZKERN_WATCH, &add) && rnd(w, 2)) {
		usleep(rnd(w, 40000));
		w->good += read(fd, w->buf, BIG) > 0;
	}
	snap = zk_snapshot(fd, NULL, NULL);
	close(fd);
	if (snap < 0)
		return;
	while (read(snap, w->buf, 1000) > 0 && rnd(w, 20))
		;
	close(snap);
}

static void *user(void *arg)
{
	static const struct job job = { .name = "user" };
	struct worker *w = arg;

	w->job = &job;
	worker_arm(w, true);
	while (!done) {
		use(w);
		if (w->number == 0 && !net_family(w))
			net_status(w);
		usleep(rnd(w, 20000));
	}
	calm(w);
	return NULL;
}

/* @nth: so many allocations and copies on, one fails; 0: none does. */
static int load(int nth)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC), nth_fd, err;
	char text[16];

	need(fd >= 0, MODULE);
	nth_fd = with_faults ? open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC) : -1;
	snprintf(text, sizeof(text), "%d", nth);
	if (nth_fd >= 0)
		need(pwrite(nth_fd, text, strlen(text), 0) > 0, "fail-nth");
	err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	/* the fault that was not met may be met now */
	while (nth_fd >= 0 && pwrite(nth_fd, "0", 1, 0) != 1)
		;
	close(nth_fd);
	close(fd);
	return err;
}

static int unload_between(void)
{
	double end = now() + LONG;
	int err;

	do {
		err = syscall(SYS_delete_module, "zkern", O_NONBLOCK) ? -errno : 0;
		if (err)
			usleep(1000);
	} while (err == -EAGAIN && now() < end);
	return err;
}

static void fill(int owner)
{
	struct batch b = {};
	char path[16];
	int i;

	batch_txn(&b, 1);
	for (i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "/node-%d", i);
		batch_create(&b, path, path);
	}
	need(!zk_apply(owner, &b, NULL), "apply");
	batch_free(&b);
}

/* One life of the module; @failed counts the loads that were made to fail: early, once. */
static int cycle(struct worker *me, int *failed)
{
	int err = load(with_faults && rnd(me, 3) ? 1 + rnd(me, *failed ? MOST : 20) : 0);
	int inst, owner;

	if (err == -ENOMEM || err == -EFAULT) {
		++*failed;
		err = load(0);
	}
	if (err)
		return err;
	inst = zk_instance(&owner);
	fill(owner);
	usleep(30000);
	/* half of them leave an instance for the module to remove */
	close(owner);
	if (rnd(me, 2))
		zk_del(inst, 0);
	return unload_between();
}

struct lives unload(unsigned int seed, int cycles)
{
	static struct worker users[USERS];
	struct worker me = { .seed = seed };
	struct lives lives = {};
	pthread_t t[USERS];
	int i;

	need(!unload_between(), "unload");
	for (i = 0; i < USERS; i++) {
		struct worker *w = &users[i];

		w->number = i;
		w->seed = seed * 1000 + i;
		w->buf = calloc(1, BIG);
		need(w->buf, "memory");
		if (!i)
			net_open(w);
		need(!pthread_create(&t[i], NULL, user, w), "thread");
	}
	chance(CHANCE);
	for (; lives.cycles < cycles && !lives.err; lives.cycles++)
		lives.err = cycle(&me, &lives.failed);
	chance(0);
	done = true;
	for (i = 0; i < USERS; i++) {
		pthread_join(t[i], NULL);
		lives.used += users[i].rounds;
		free(users[i].buf);
	}
	need(!load(0), "the module does not come back");
	return lives;
}
