// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What servers of an ensemble do to each other's files: a tree sent and received, the
 * end cut off, the log read for a learner.
 */
#include "selftests/disk/common.h"

#include <dirent.h>
#include <unistd.h>

#define TXNS	300

/* A directory with a log of @n transactions in several files, some snapshots, and the
 * digest of the tree after each. */
struct past {
	const char *dir;
	struct world w;
	struct try t;
	u64 digests[TXNS + 1];
};

static u64 digest_of(struct store *st)
{
	struct store_info info;

	need(!st->ops->info(st, &info), "info");
	return info.digest;
}

static void past_init(struct past *p, u64 seed, int snap_every)
{
	p->dir = temp_dir();
	world_init(&p->w, seed);
	need(!try_open(&p->t, p->dir), "%s", p->t.why);
	try_start(&p->t);
	for (int i = 1; i <= TXNS; i++) {
		feed(&p->t, &p->w, 1);
		p->digests[i] = digest_of(p->w.st);
		if (i % snap_every == 0) {
			disk_flush(p->t.d);
			need(!disk_snapshot(p->t.d, p->t.st, NULL, 0), "snapshot");
		}
	}
	disk_flush(p->t.d);
}

static void past_free(struct past *p)
{
	try_close(&p->t);
	world_free(&p->w);
}

/* ---------------------------------------------------------------- a tree sent */

static int gather(void *arg, const void *p, size_t len)
{
	struct jw *w = arg;

	jw_bytes(w, p, len);
	return w->err;
}

static void send_tree(struct past *p, const struct disk_session *s, u32 n, struct jw *w)
{
	struct store_snap *snap;
	u64 zxid, digest, nodes;

	jw_init(w, 0);
	need(!p->t.st->ops->snap_open(p->t.st, &snap, &zxid, &digest, &nodes), "snap");
	is(disk_tree_write(p->t.d, p->t.st, snap, s, n, gather, w), 0, "a tree is written");
	jw_str(w, "BenWasHere", 10);
}

/* Feeds @w in pieces of up to @most; what the receiver said last, and *@used in all. */
static int receive(struct disk_receive *rx, const struct jw *w, u64 seed, u32 most,
		   size_t *used, bool *whole)
{
	size_t at = 0;
	int rc = 0;

	*whole = false;
	while (at < w->len && !*whole && !rc) {
		size_t n = 1 + rnd(&seed, most), took;

		if (n > w->len - at)
			n = w->len - at;
		rc = disk_receive_bytes(rx, w->buf + at, n, &took, whole);
		at += took;
	}
	*used = at;
	return rc;
}

static void test_tree(u32 most)
{
	static const struct disk_session sess[] = { { 7, 4000 }, { 1ULL << 56, 9000 } };
	struct disk_receive *rx;
	struct disk_recovery r;
	struct past p;
	struct try t;
	struct jw w;
	size_t used;
	bool whole;

	past_init(&p, 77, 1000);
	send_tree(&p, sess, 2, &w);
	need(!try_open(&t, temp_dir()), "%s", t.why);
	try_start(&t);
	need(!disk_receive_begin(t.d, TXNS, &rx), "begin");
	is(receive(rx, &w, most, most, &used, &whole), 0, "received in pieces of %u", most);
	ok(whole && used == w.len - 14, "to where it ends");
	is(disk_receive_end(rx), 0, "and put in place");
	is(disk_reload(t.d, t.st, &r, t.why, sizeof(t.why)), 0, "then loaded: %s", t.why);
	is(r.zxid, TXNS, "as of its zxid");
	is(compare_stores(p.t.st, t.st), 0, "the trees are alike");
	ok(r.n_sessions == 2 && r.sessions[0].id + r.sessions[1].id == 7 + (1ULL << 56),
	   "with the sessions");
	free(r.sessions);
	try_close(&t);
	past_free(&p);
	jw_free(&w);
}

static void put_node(struct jw *w, const char *path, u64 owner)
{
	jw_str(w, path, strlen(path));
	jw_str(w, "x", 1);
	jw_long(w, -1);
	for (u32 k = 0; k < 4; k++)
		jw_long(w, 1);
	for (u32 k = 0; k < 3; k++)
		jw_int(w, 0);
	jw_long(w, owner);
	jw_long(w, 1);
}

/* Whole, but no store can be built from it: what is there stays. */
static void test_no_tree(void)
{
	static const struct {
		const char *paths[5];
		u64 owner;	/* of the first */
		int rc;
	} cases[] = {
		{ { "", "/zookeeper", "/a", "/a/b" }, 0, 0 },
		{ { "", "/a/b", "/a" }, 0, -EBADMSG },
		{ { "", "/a", "/a" }, 0, -EBADMSG },
		{ { "", "/a", "" }, 0, -EBADMSG },
		{ { "", "a" }, 0, -EBADMSG },
		{ { "", "/a/" }, 0, -EBADMSG },
		{ { "", "//a" }, 0, -EBADMSG },
		{ { "" }, 7, -EBADMSG },
	};
	const char *dir = temp_dir();
	struct try t;

	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	for (u32 i = sizeof(cases) / sizeof(cases[0]); i--;) {
		struct disk_receive *rx;
		struct jw w;
		size_t used;
		bool whole;

		jw_init(&w, 0);
		jw_int(&w, 0);
		jw_int(&w, 0);
		put_node(&w, cases[i].paths[0], cases[i].owner);
		for (u32 k = 1; cases[i].paths[k]; k++)
			put_node(&w, cases[i].paths[k], 0);
		jw_str(&w, "/", 1);
		need(!disk_receive_begin(t.d, 9, &rx), "begin");
		is(receive(rx, &w, i, 100000, &used, &whole), 0, "tree %u comes", i);
		ok(whole, "whole");
		is(disk_receive_end(rx), cases[i].rc, "and is one, or not");
		is(count_files(dir, "snapshot.9"), !cases[i].rc, "only then it is put in place");
		is(count_files(dir, ".snapshot"), 0, "and nothing is left of it");
		jw_free(&w);
	}
	try_close(&t);
}

static void test_broken_tree(void)
{
	const char *dir;
	struct disk_receive *rx;
	struct past p;
	struct try t;
	struct jw w;
	size_t used, at;
	bool whole;
	u64 seed = 5;
	int bad = 0, left = 0, k;

	past_init(&p, 78, 1000);
	send_tree(&p, NULL, 0, &w);
	dir = temp_dir();
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	for (k = 0; k < 40; k++) {
		struct jw part = w;

		part.len = rnd(&seed, w.len - 20);
		need(!disk_receive_begin(t.d, 9, &rx), "begin");
		bad += receive(rx, &part, k, 5000, &used, &whole) != 0 || whole;
		disk_receive_abort(rx);
		left += count_files(dir, ".snapshot");
	}
	is(bad, 0, "a tree that ends too soon is not whole");
	is(left, 0, "and leaves nothing behind");
	for (k = 0; k < 200; k++) {
		u8 old[4];

		at = rnd(&seed, w.len - 4);
		memcpy(old, w.buf + at, 4);
		jute_put32(w.buf + at, (k & 1 ? 0x80000000 : 0x7fffff00) + k);
		need(!disk_receive_begin(t.d, 9, &rx), "begin");
		receive(rx, &w, k, 100000, &used, &whole);
		disk_receive_abort(rx);
		memcpy(w.buf + at, old, 4);
	}
	ok(true, "any four bytes may be wrong");
	try_close(&t);
	past_free(&p);
	jw_free(&w);
}

/* What was there before and differs from what the leader has goes. */
static void test_replace(void)
{
	struct disk_receive *rx;
	struct disk_recovery r;
	struct past mine, theirs;
	struct jw w;
	size_t used;
	bool whole;

	past_init(&mine, 80, 70);
	past_init(&theirs, 81, 1000);
	send_tree(&theirs, NULL, 0, &w);
	need(!disk_receive_begin(mine.t.d, 100, &rx), "begin");
	need(!receive(rx, &w, 1, 100000, &used, &whole) && whole, "received");
	is(disk_receive_end(rx), 0, "a tree of an earlier zxid than the log's");
	is(disk_reload(mine.t.d, mine.t.st, &r, mine.t.why, sizeof(mine.t.why)), 0, "loaded: %s",
	   mine.t.why);
	free(r.sessions);
	is(r.zxid, 100, "nothing later is left");
	is(digest_of(mine.t.st), digest_of(theirs.t.st), "the trees are alike");
	is(count_files(mine.dir, "log."), 0, "no log is left");
	try_close(&mine.t);
	need(!try_open(&mine.t, mine.dir), "%s", mine.t.why);
	is(mine.t.r.zxid, 100, "and a new start finds the same");
	is(digest_of(mine.t.st), digest_of(theirs.t.st), "tree");
	past_free(&mine);
	past_free(&theirs);
	jw_free(&w);
}

/* ---------------------------------------------------------------- the end cut off */

static void test_cut(void)
{
	struct disk_recovery r;
	struct past p;
	int wrong = 0, refused = 0;
	u64 z, to = TXNS;

	past_init(&p, 82, 40);
	is(disk_truncate(p.t.d, TXNS + 1, p.t.why, sizeof(p.t.why)), -ENOENT,
	   "what was never there is no place to cut at");
	ok(strstr(p.t.why, "0x12d"), "%s", p.t.why);
	for (z = TXNS; z > 10; z -= 1 + z % 7) {
		refused += disk_truncate(p.t.d, z, p.t.why, sizeof(p.t.why)) != 0;
		if (disk_reload(p.t.d, p.t.st, &r, p.t.why, sizeof(p.t.why))) {
			wrong++;
			break;
		}
		free(r.sessions);
		wrong += r.zxid != z || digest_of(p.t.st) != p.digests[z];
		to = z;
	}
	is(refused, 0, "cut at many zxids, each before the last: %s", p.t.why);
	is(wrong, 0, "each time the tree is as it was then: %s", p.t.why);
	is(disk_truncate(p.t.d, to + 1, p.t.why, sizeof(p.t.why)), -ENOENT,
	   "what was cut off is not there any more");
	try_close(&p.t);
	need(!try_open(&p.t, p.dir), "%s", p.t.why);
	is(p.t.r.zxid, to, "a new start finds the same end");
	is(digest_of(p.t.st), p.digests[to], "and tree");
	past_free(&p);
}

/* Cut, then other transactions behind it: nobody sees the old ones again. */
static void test_cut_and_on(void)
{
	struct disk_recovery r;
	struct past p;
	struct world w;

	past_init(&p, 83, 1000);
	need(!disk_truncate(p.t.d, 150, p.t.why, sizeof(p.t.why)), "%s", p.t.why);
	need(!disk_reload(p.t.d, p.t.st, &r, p.t.why, sizeof(p.t.why)), "%s", p.t.why);
	free(r.sessions);
	world_init(&w, 83);
	for (int i = 0; i < 150; i++)
		txn_put(world_next(&w));
	is(compare_stores(w.st, p.t.st), 0, "cut at 150");
	w.rnd = 4711;
	feed(&p.t, &w, 50);
	disk_flush(p.t.d);
	try_close(&p.t);
	need(!try_open(&p.t, p.dir), "%s", p.t.why);
	is(p.t.r.zxid, 200, "50 others are logged behind it");
	is(compare_stores(w.st, p.t.st), 0, "and found at the next start");
	world_free(&w);
	past_free(&p);
}

/* ---------------------------------------------------------------- the log read */

static void test_history(void)
{
	struct disk_history *h;
	struct past p;
	int wrong = 0, rc;
	const u8 *b;
	u64 z, zxid, from;

	past_init(&p, 84, 45);
	is(disk_history_first(p.t.d), 1, "the logs begin with the first one");
	for (from = 0; from < TXNS; from += 13) {
		rc = disk_history_open(p.t.d, from, &h);
		if (rc) {
			wrong++;
			continue;
		}
		for (z = from + 1; z <= TXNS; z++) {
			ssize_t n = disk_history_next(h, &b, &zxid);

			wrong += n <= 0 || zxid != z || jute_get64(b + 12) != z;
		}
		wrong += disk_history_next(h, &b, &zxid) != 0;
		disk_history_close(h);
	}
	is(wrong, 0, "from many places on, each one in its order");
	is(disk_history_open(p.t.d, TXNS + 5, &h), -ENOENT, "but not from behind the end");
	is(disk_history_open(p.t.d, (7ULL << 32) | 3, &h), -ENOENT, "nor of another epoch");
	unlink(file_in(p.dir, "log.1"));
	is(disk_history_open(p.t.d, 5, &h), -ENOENT, "nor where a file is gone");
	ok(disk_history_first(p.t.d) > 5, "which is known before");
	past_free(&p);
}

void test_learner(void)
{
	test_tree(1 << 20);
	test_tree(100);
	test_tree(1);
	test_no_tree();
	test_broken_tree();
	test_replace();
	test_cut();
	test_cut_and_on();
	test_history();
}
