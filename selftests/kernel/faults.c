// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every allocation that a call makes, and every copy from and to its caller's memory
 * where the kernel can do that too, is made to fail, one after the other, through
 * /proc/thread-self/fail-nth. The call must say ENOMEM or EFAULT and leave nothing behind.
 * Needs a kernel with fault injection (tools/vm/on debug); Debian's has none.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ev.h"

#define MOST	2000	/* more allocations and copies than any call here makes */
#define BIG	(100 * 1024)

static int inst, owner, fd;
static struct zkern_info before;

static bool switch_on(const char *file, const char *what)
{
	char path[128];
	bool good;
	int f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", file);
	f = open(path, O_WRONLY);
	if (f < 0)
		return false;
	good = write(f, what, strlen(what)) == (ssize_t)strlen(what);
	close(f);
	return good;
}

static int nth_fd;

/* A fault that is still to come may be met by the copying of our own text. */
static void set_nth(int n)
{
	char text[16];
	ssize_t len;

	snprintf(text, sizeof(text), "%d", n);
	do {
		len = pwrite(nth_fd, text, strlen(text), 0);
	} while (len < 0 && errno == EFAULT);
	need(len > 0, "fail-nth");
}

/* Has the fault been used up, before this very look at it? */
static bool nth_hit(void)
{
	char text[16] = "";
	ssize_t len = pread(nth_fd, text, sizeof(text) - 1, 0);

	if (len < 0 && errno == EFAULT)
		return false;
	need(len > 0, "fail-nth");
	return !atoi(text);
}

/* What a call leaves alone when it fails. */
static bool unchanged(void)
{
	struct zkern_info now;

	need(!zk_info(owner, &now), "info");
	return now.zxid == before.zxid && now.digest == before.digest &&
	       now.nodes == before.nodes && now.data_bytes == before.data_bytes &&
	       now.snapshots == before.snapshots && now.tree == before.tree;
}

/*
 * Runs @call with its first, second, ... allocation failing, until none is left. It
 * returns 0 or a negative errno, and undoes what it did when it succeeds.
 */
static void try_all(const char *what, int (*call)(void *arg), void *arg, bool changes)
{
	int n, err = 0, bad = 0, failures = 0, other = 0;
	bool hit = true;

	need(!zk_info(owner, &before), "info");
	for (n = 1; hit && n < MOST; n++) {
		set_nth(n);
		err = call(arg);
		hit = nth_hit();
		set_nth(0);
		if (err)
			failures++;
		/* a fault in some helper that can do without is no failure */
		if (err && err != -ENOMEM && err != -EFAULT)
			other = err;
		/* what it did is done when only its answer got lost */
		if (((err && err != -EFAULT) || !changes) && !unchanged())
			bad++;
		if (changes)
			need(!zk_info(owner, &before), "info");
	}
	ok(!hit && !err && !other && !bad, "%s: %d allocations, %d failures", what, n - 2,
	   failures);
	if (hit || err || other || bad)
		printf("# hit %d, last %d, other %d, changed %d\n", hit, err, other, bad);
}

static uint64_t zxid = 100;

/* Anew each time, since one that met a fault it could do without has applied. */
static int apply(void *arg)
{
	struct batch b = {};
	struct acl acl;
	char path[64];
	int err;

	(void)arg;
	acl_none(&acl);
	snprintf(path, sizeof(path), "%d", (int)zxid);
	acl_add(&acl, READ, "uid", path);
	/* us, who read it later */
	acl_add(&acl, READ, "uid", "0");
	batch_txn(&b, zxid);
	snprintf(path, sizeof(path), "/f%d", (int)zxid);
	batch_create_acl(&b, path, "data", &acl);
	batch_op(&b, ZKERN_OP_CREATE, strcat(path, "/e"), "x", 1, &open_acl, 1000 + zxid);
	batch_set(&b, "/set", "more", 1);
	batch_op(&b, ZKERN_OP_SETACL, "/acl", NULL, 0, &acl, 0)->version = 1;
	batch_delete(&b, path);
	err = zk_apply(owner, &b, NULL);
	zxid++;
	batch_free(&b);
	return err;
}

static int snapshot(void *arg)
{
	char buf[4096];
	int snap = zk_snapshot(fd, NULL, NULL), err = 0;

	(void)arg;
	if (snap < 0)
		return snap;
	if (read(snap, buf, sizeof(buf)) < 0)
		err = -errno;
	close(snap);
	return err;
}

static int open_close(void *arg)
{
	int f = zk_open(inst, O_RDONLY);

	(void)arg;
	if (f < 0)
		return f;
	close(f);
	return 0;
}

static int map(void *arg)
{
	struct zkern_map req = { .size = sizeof(req), .path = ptr(arg),
				 .path_len = strlen(arg) };
	int err = zk_ioctl(fd, ZKERN_MAP, &req);
	void *p;

	if (err)
		return err;
	p = mmap(NULL, req.map_len, PROT_READ, MAP_SHARED, req.fd, 0);
	err = p == MAP_FAILED ? -errno : 0;
	if (!err)
		munmap(p, req.map_len);
	close(req.fd);
	return err;
}

static int get_big(void *arg)
{
	return zk_get(fd, "/big", arg, BIG, NULL);
}

static int get_acl(void *arg)
{
	struct zkern_get get = { .flags = ZKERN_GET_ACL };

	return zk_get(fd, "/acl", arg, BIG, &get);
}

static int children(void *arg)
{
	struct zkern_list list;

	return zk_children(fd, "/", "", arg, BIG, &list);
}

/* What a file's first watches take, a list of them, and another queue. */
static int watch(void *arg)
{
	struct zkern_watch list = { .buf = ptr(arg), .buf_len = BIG };
	int f = zk_open(inst, O_RDONLY | O_NONBLOCK), err;

	if (f < 0)
		return f;
	err = ev_exists(f, "/not-there", NULL);
	if (err == -ENOENT)
		err = ev_add(f, ZKERN_WATCH_RECURSIVE, "/");
	if (!err)
		err = ev_children(f, "/");
	if (!err)
		err = ev_queue(f, 1 << 20);
	if (!err)
		err = ev_cmd(f, ZKERN_WATCH_LIST, 0, NULL, &list);
	close(f);
	return err;
}

static int new_del(void *arg)
{
	int id = zk_new(~0u, ~0u), err;

	(void)arg;
	if (id < 0)
		return id;
	do {
		err = zk_del(id, 0);
	} while (err == -ENOMEM);
	return err;
}

static int own(void *arg)
{
	int f = zk_open(*(int *)arg, O_RDWR), err;

	if (f < 0)
		return f;
	err = zk_own(f, NULL);
	close(f);
	return err;
}

static int load(void *arg)
{
	struct batch b = {};
	int err;

	(void)arg;
	batch_node(&b, "/", "", 0, &open_acl);
	batch_node(&b, "/l", "data", 4, &open_acl);
	batch_node(&b, "/l/e", "data", 4, &open_acl)->stat.owner_stored = 5;
	err = zk_load(owner, ZKERN_LOAD_BEGIN, NULL, NULL);
	if (!err)
		err = zk_load(owner, ZKERN_LOAD_NODES, &b, NULL);
	zk_load(owner, ZKERN_LOAD_ABORT, NULL, NULL);
	batch_free(&b);
	return err;
}

int main(void)
{
	struct batch b = {};
	char *big = calloc(1, BIG);
	int other;

	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (nth_fd < 0 || !switch_on("failslab/ignore-gfp-wait", "N")) {
		printf("ok 1 - failing allocations # SKIP this kernel injects no faults\n1..1\n");
		return 0;
	}
	switch_on("fail_page_alloc/ignore-gfp-wait", "N");
	switch_on("fail_page_alloc/min-order", "0");
	switch_on("failslab/verbose", "0");
	switch_on("fail_page_alloc/verbose", "0");
	switch_on("fail_usercopy/verbose", "0");
	inst = zk_instance(&owner);
	fd = zk_open(inst, O_RDONLY);
	batch_txn(&b, 1);
	batch_create(&b, "/set", "data");
	batch_create(&b, "/acl", "data");
	batch_op(&b, ZKERN_OP_CREATE, "/big", big, BIG, &open_acl, 0);
	batch_op(&b, ZKERN_OP_CREATE, "/medium", big, BIG / 5, &open_acl, 0);
	need(!zk_apply(owner, &b, NULL), "apply");
	batch_free(&b);

	try_all("apply", apply, NULL, true);
	try_all("snapshot and dump", snapshot, NULL, false);
	try_all("open", open_close, NULL, false);
	try_all("get of large data", get_big, big, false);
	try_all("get of an ACL", get_acl, big, false);
	try_all("children", children, big, false);
	try_all("load", load, NULL, false);
	try_all("map", map, "/set", false);
	try_all("map of several pages", map, "/medium", false);
	try_all("watch", watch, big, false);
	try_all("new and del", new_del, NULL, false);
	other = zk_new(~0u, ~0u);
	need(other >= 0, "new");
	try_all("own", own, &other, false);
	is(zk_del(other, 0), 0, "the other instance goes");
	close(fd);
	close(owner);
	is(zk_del(inst, 0), 0, "the instance goes");
	free(big);
	return tap_end();
}
