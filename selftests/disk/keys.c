// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What keys of zoo.cfg ask of the disk: how snapshots are packed, when logs are
 * rolled, what is purged; the snapshot at an orderly end; figures; records longer
 * than any client could send.
 */
#include "selftests/disk/common.h"

#include <unistd.h>

#include "daemon/proto/zookeeper.h"

static void packed(enum file_how how, const char *ending)
{
	const char *dir = temp_dir();
	struct disk_params p = params(dir);
	char name[64];
	struct world w;
	struct try t;
	size_t plain, len;
	int i;
	u8 *b;

	p.packed = how;
	world_init(&w, 90 + how);
	need(!try_open_params(&t, &p), "%s", t.why);
	try_start(&t);
	/* the second has ACLs that the first had not, and is put together from parts */
	for (i = 0; i < 2; i++) {
		feed(&t, &w, 300);
		disk_flush(t.d);
		need(!disk_snapshot(t.d, t.st, NULL, 0), "snapshot");
		disk_flush(t.d);
	}
	feed(&t, &w, 10);
	disk_flush(t.d);
	try_close(&t);
	snprintf(name, sizeof(name), "snapshot.258%s", ending);
	ok(!access(file_in(dir, name), F_OK), "%s is written", name);
	is(try_open_params(&t, &p), 0, "%s is read: %s", name, t.why);
	ok(t.r.snapshot_zxid == 600 && t.r.zxid == 610 && !t.r.digest_mismatches,
	   "and the log behind it");
	is(compare_stores(w.st, t.st), 0, "the tree is the same");
	try_close(&t);

	/* every part of it spoilt is found */
	b = read_file(file_in(dir, name), &len);
	for (i = 0, plain = 0; i < 50; i++) {
		size_t at = len * i / 50;

		b[at] ^= 0x10;
		write_file(file_in(dir, name), b, len);
		b[at] ^= 0x10;
		plain += try_open_params(&t, &p) || t.r.snapshot_zxid != 600 ||
			 !compare_stores(w.st, t.st);
		try_close(&t);
	}
	is(plain, 50, "spoilt in 50 places: passed over, or nothing that counts");
	/* and so is every end that comes too soon, but for what follows the digest */
	for (i = 0, plain = 0; i < 50; i++) {
		write_file(file_in(dir, name), b, len * i / 50);
		plain += !try_open_params(&t, &p) && t.r.snapshot_zxid == 300;
		try_close(&t);
	}
	is(plain, 50, "cut off in 50 places: passed over");
	free(b);
	world_free(&w);
}

static void test_roll(void)
{
	const char *dir = temp_dir();
	struct disk_params p = params(dir);
	struct world w;
	struct try t;
	int i, n;

	p.log_bytes_max = 4096;
	world_init(&w, 95);
	need(!try_open_params(&t, &p), "%s", t.why);
	try_start(&t);
	for (i = 0; i < 100; i++) {
		feed(&t, &w, 3);
		disk_flush(t.d);
	}
	try_close(&t);
	n = count_files(dir, "log.");
	ok(n > 5, "txnLogSizeLimitInKb: %d logs", n);
	is(try_open_params(&t, &p), 0, "are read: %s", t.why);
	is(t.r.zxid, 300, "all of them");
	try_close(&t);
	world_free(&w);
}

static void test_last(void)
{
	static const struct disk_session some = { 0x1234, 30000 };
	const char *dir = temp_dir();
	struct disk_stats s;
	struct world w;
	struct try t;

	world_init(&w, 96);
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	disk_snapshot_last(t.d, t.st, NULL, 0);
	is(count_files(dir, "snapshot."), 1, "an orderly end without any change: no snapshot");
	feed(&t, &w, 25);
	disk_flush(t.d);
	disk_snapshot_last(t.d, t.st, &some, 1);
	ok(!access(file_in(dir, "snapshot.19"), F_OK), "with changes: a snapshot");
	disk_stats(t.d, &s);
	ok(s.last_snapshot_zxid == 25 && s.snapshots >= 1 && !s.snapshot_errors && s.fsyncs &&
	   s.room_free, "the figures say so");
	try_close(&t);
	is(try_open(&t, dir), 0, "started: %s", t.why);
	ok(t.r.zxid == 25 && !t.r.replayed && t.r.n_sessions == 1, "nothing is replayed");
	try_start(&t);
	disk_snapshot_last(t.d, t.st, &some, 1);
	is(count_files(dir, "snapshot."), 2, "and again without a change: no other snapshot");
	try_close(&t);
	world_free(&w);
}

static void test_purge(void)
{
	const char *dir = temp_dir();
	struct disk_params p = params(dir);
	struct world w;
	struct try t;
	int i;

	p.packed = FILE_GZIP;
	world_init(&w, 97);
	need(!try_open_params(&t, &p), "%s", t.why);
	try_start(&t);
	for (i = 0; i < 6; i++) {
		feed(&t, &w, 20);
		disk_flush(t.d);
		need(!disk_snapshot(t.d, t.st, NULL, 0), "snapshot");
		disk_flush(t.d);
	}
	feed(&t, &w, 5);
	disk_flush(t.d);
	is(disk_purge(t.d, 2), -EINVAL, "fewer than 3 are not kept");
	is(disk_purge(t.d, 3), 0, "purged");
	is(count_files(dir, "snapshot."), 3, "3 snapshots are left");
	is(count_files(dir, "log."), 4, "and the logs from the one on that the oldest needs");
	try_close(&t);
	is(try_open_params(&t, &p), 0, "started: %s", t.why);
	is(compare_stores(w.st, t.st), 0, "the tree is the same");
	try_close(&t);
	world_free(&w);
}

/* A session that had a million ephemerals ends in one transaction. */
static void test_long(void)
{
	const char *dir = temp_dir();
	struct disk_params p = params(dir);
	struct txn *x;
	char path[64];
	struct try t;
	struct jw w;
	int i;

	jw_init(&w, 0);
	b_header(&w, 0x1234, 1, 1, 1, OP_CREATESESSION);
	jw_int(&w, 30000);
	x = b_done(&w);
	need(!try_open_params(&t, &p), "%s", t.why);
	try_start(&t);
	disk_append(t.d, x);
	txn_put(x);
	jw_init(&w, 0);
	b_header(&w, 0x1234, 2, 2, 1, OP_CLOSESESSION);
	jw_int(&w, 1000000);
	for (i = 0; i < 1000000; i++) {
		snprintf(path, sizeof(path), "/services/instance-%010d", i);
		b_path(&w, path);
	}
	x = b_done(&w);
	ok(x->len > 30000000, "a closeSession of %u bytes", x->len);
	disk_append(t.d, x);
	txn_put(x);
	disk_flush(t.d);
	is(__atomic_load_n(&t.durable, __ATOMIC_ACQUIRE), 2, "is written");
	try_close(&t);
	is(try_open_params(&t, &p), 0, "and read: %s", t.why);
	ok(t.r.zxid == 2 && !t.r.n_sessions, "the session is closed");
	try_close(&t);
	p.max_txn_bytes = 1 << 20;
	is(try_open_params(&t, &p), -EBADMSG, "where less is allowed");
	ok(strstr(t.why, "log.1: damaged at offset 65: impossible length"), "%s", t.why);
	try_close(&t);
}

void test_keys(void)
{
	packed(FILE_PLAIN, "");
	packed(FILE_GZIP, ".gz");
	packed(FILE_SNAPPY, ".snappy");
	test_roll();
	test_last();
	test_purge();
	test_long();
}
