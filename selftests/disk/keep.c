// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tree that outlives its daemon: kept when the log knows it, rebuilt when not.
 * Only where the module is loaded; instance 78.
 */
#include "selftests/disk/common.h"

#include <linux/zkern.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemon/proto/zookeeper.h"

static int member_open(struct try *t, const char *dir, bool member)
{
	const struct store_params sp = { .kind = "kernel", .instance = 78, .label = "test" };
	struct disk_params p = params(dir);
	const char *why = "";
	int rc;

	memset(t, 0, sizeof(*t));
	p.member = member;
	rc = disk_open(&p, &t->d, t->why, sizeof(t->why));
	need(!rc, "%s", t->why);
	rc = store_open(&sp, &t->st, &why);
	need(!rc, "store: %s", why);
	rc = disk_recover(t->d, t->st, &t->r, t->why, sizeof(t->why));
	if (!rc && !member)
		t->st->ops->set_state(t->st, STORE_STANDALONE, 0);
	return rc;
}

static int kernel_open(struct try *t, const char *dir)
{
	return member_open(t, dir, false);
}

/* Into the log alone, as a daemon that dies before it applies. */
static void log_only(struct try *t, struct world *w, int n)
{
	while (n-- > 0) {
		struct txn *x = world_next(w);

		disk_append(t->d, x);
		txn_put(x);
	}
	disk_flush(t->d);
}

static void check(const char *dir, struct world *w, bool kept, u64 replayed, const char *what)
{
	struct try t;
	u32 i, open = 0;
	int rc = kernel_open(&t, dir);

	for (i = 0; i < 8; i++)
		open += w->sessions[i] != 0;
	is(rc, 0, "%s: %s", what, t.why);
	is(t.r.kept, kept, "%s: the tree is %s", what, kept ? "kept" : "built anew");
	is(t.r.zxid, w->zxid, "%s: the zxid", what);
	if (kept)
		is(t.r.replayed, replayed, "%s: what is missing is applied", what);
	ok(!compare_stores(w->st, t.st), "%s: every node is right", what);
	ok(t.r.n_sessions == open && !t.r.digest_mismatches, "%s: the sessions too", what);
	try_close(&t);
}

/* Whether others may read the tree. */
static bool seen(void)
{
	struct zkern_get g = { .size = sizeof(g), .flags = ZKERN_GET_NODATA, .path_len = 1 };
	int fd = open("/dev/zkern78", O_RDONLY), rc;

	need(fd >= 0, "/dev/zkern78: %s", strerror(errno));
	g.path = (uintptr_t)"/";
	rc = ioctl(fd, ZKERN_GET, &g) ? errno : 0;
	close(fd);
	need(!rc || rc == ESTALE, "reading: %s", strerror(rc));
	return !rc;
}

/* A member of an ensemble: what is behind its tree may never be committed. */
static void test_member(const char *dir, struct world *w)
{
	struct zk_txn zk = { 0 };
	struct store_info info;
	u64 before = w->zxid;
	struct try t;
	int err;

	need(!member_open(&t, dir, true), "%s", t.why);
	ok(t.r.kept && !t.r.n_tail && t.r.zxid == before, "a member's tree is kept");
	ok(seen(), "  and read");
	try_start(&t);
	log_only(&t, w, 30);
	try_close(&t);
	for (int i = 0; i < 2; i++) {
		need(!member_open(&t, dir, true), "%s", t.why);
		ok(t.r.kept && !t.r.replayed && t.r.zxid == before, "nothing is applied to it");
		is(t.r.n_tail, 30, "but given, all that was logged");
		ok(t.r.tail[0]->zxid == before + 1 && disk_logged(&t.r) == w->zxid,
		   "  in order");
		need(!t.st->ops->info(t.st, &info), "info");
		is(info.zxid, before, "  the tree is where it was");
		ok(seen(), "  and read");
		try_close(&t);
	}

	/* a tree with which the log does not agree, and one that nobody vouched for since */
	need(!member_open(&t, dir, true), "%s", t.why);
	zk.zxid = w->zxid + 1;
	need(t.st->ops->apply(t.st, &zk, 1, NULL, &err) == 1, "apply");
	try_close(&t);
	for (int i = 0; i < 2; i++) {
		need(!member_open(&t, dir, true), "%s", t.why);
		ok(!t.r.kept && !t.r.n_tail && t.r.zxid == w->zxid,
		   "another tree is built, of all");
		ok(!compare_stores(w->st, t.st), "  every node is right");
		ok(!seen(), "  and nobody else sees it");
		try_close(&t);
	}
	check(dir, w, false, 0, "and a single server's");
	ok(seen(), "  is seen");
}

void test_keep(void)
{
	const char *dir = temp_dir(), *other = temp_dir();
	struct world w, v;
	struct try t;
	struct zk_txn zk = { 0 };
	int err;

	world_init(&w, 50);
	is(kernel_open(&t, dir), 0, "a new directory: %s", t.why);
	ok(!t.r.kept, "there is nothing to keep");
	try_start(&t);
	feed(&t, &w, 500);
	disk_flush(t.d);
	try_close(&t);
	check(dir, &w, true, 0, "the daemon ended");

	need(!kernel_open(&t, dir), "%s", t.why);
	try_start(&t);
	feed(&t, &w, 100);
	log_only(&t, &w, 30);
	try_close(&t);
	check(dir, &w, true, 30, "it ended before it applied what it had logged");

	need(!kernel_open(&t, dir), "%s", t.why);
	try_start(&t);
	feed(&t, &w, 20);
	disk_flush(t.d);
	need(!disk_snapshot(t.d, t.st, t.r.sessions, 0), "snapshot");
	disk_flush(t.d);
	try_close(&t);
	/* a snapshot of just this zxid, whose sessions are none */
	memset(w.sessions, 0, sizeof(w.sessions));
	check(dir, &w, true, 0, "the log has nothing behind the snapshot");

	/* a tree that is ahead of the log */
	need(!kernel_open(&t, dir), "%s", t.why);
	zk.zxid = w.zxid + 1;
	need(t.st->ops->apply(t.st, &zk, 1, NULL, &err) == 1, "apply");
	try_close(&t);
	check(dir, &w, false, 0, "a transaction that is not in the log");

	/* a tree with the log's zxid and other contents */
	need(!kernel_open(&t, dir), "%s", t.why);
	try_start(&t);
	log_only(&t, &w, 1);
	zk.zxid = w.zxid;
	need(t.st->ops->apply(t.st, &zk, 1, NULL, &err) == 1, "apply");
	try_close(&t);
	check(dir, &w, false, 0, "the same zxid with another digest");

	/* another directory altogether */
	world_init(&v, 51);
	check(other, &v, false, 0, "another data directory");
	world_free(&v);
	check(dir, &w, false, 0, "and back");
	test_member(dir, &w);
	world_free(&w);
}
