// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tree that outlives its daemon: kept when the log knows it, rebuilt when not.
 * Only where the module is loaded; instance 78.
 */
#include "selftests/disk/common.h"

#include <unistd.h>

#include "daemon/proto/zookeeper.h"

static int kernel_open(struct try *t, const char *dir)
{
	const struct store_params sp = { .kind = "kernel", .instance = 78, .label = "test" };
	struct disk_params p = params(dir);
	const char *why = "";
	int rc;

	memset(t, 0, sizeof(*t));
	rc = disk_open(&p, &t->d, t->why, sizeof(t->why));
	need(!rc, "%s", t->why);
	rc = store_open(&sp, &t->st, &why);
	need(!rc, "store: %s", why);
	rc = disk_recover(t->d, t->st, &t->r, t->why, sizeof(t->why));
	if (!rc)
		t->st->ops->set_state(t->st, STORE_STANDALONE, 0);
	return rc;
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
	world_free(&w);
}
