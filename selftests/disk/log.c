// SPDX-License-Identifier: GPL-2.0-or-later
/* The transaction log written and read back; files as ZooKeeper leaves them. */
#include "selftests/disk/common.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

/* Bytes of the log file as FileTxnLog writes it, by its description alone. */
static bool file_is_right(const char *path, int want, u64 first)
{
	static const u8 head[16] = { 'Z', 'K', 'L', 'G', 0, 0, 0, 2 };
	size_t len, at = 16;
	u8 *b = read_file(path, &len);
	int n = 0;
	bool good = len >= 16 && !memcmp(b, head, 16);

	while (good && at + 12 <= len) {
		u32 l = jute_get32(b + at + 8);

		if (!l)
			break;
		good = at + 12 + l + 1 <= len && b[at + 12 + l] == 'B' &&
		       jute_get64(b + at) == adler32(1, b + at + 12, l) &&
		       jute_get64(b + at + 12 + 12) == first + n;
		at += 12 + l + 1;
		n++;
	}
	for (; good && at < len; at++)
		good = !b[at];
	free(b);
	return good && n == want;
}

static void test_round_trip(void)
{
	const char *dir = temp_dir();
	struct disk_params p = params(dir);
	struct try t, u;
	struct world w;
	struct disk_stats s;

	p.prealloc_bytes = 64 << 20;
	world_init(&w, 2);
	is(try_open_params(&t, &p), 0, "a new directory: %s", t.why);
	ok(t.r.zxid == 0 && t.r.n_sessions == 0 && count_files(dir, "snapshot.") == 1 &&
	   count_files(dir, "log.") == 0, "begins with snapshot.0 and no log");
	try_start(&t);
	feed(&t, &w, 3000);
	disk_flush(t.d);
	is(__atomic_load_n(&t.durable, __ATOMIC_ACQUIRE), 3000, "all of it is durable");
	disk_stats(t.d, &s);
	ok(s.fsyncs && s.fsyncs <= 3000 && s.fsync_ns_max, "%llu groups for 3000 transactions",
	   s.fsyncs);
	is(size_of(file_in(dir, "log.1")), (64 << 20) + 16, "the file's size is ZooKeeper's");
	ok(file_is_right(file_in(dir, "log.1"), 3000, 1), "the file is ZooKeeper's to the byte");
	try_close(&t);

	is(try_open_params(&u, &p), 0, "recovered: %s", u.why);
	ok(u.r.zxid == 3000 && u.r.replayed == 3000, "every transaction was");
	is(u.r.digest_mismatches, 0, "all digests fit");
	is(compare_stores(w.st, u.st), 0, "the tree is the same");
	try_start(&u);
	feed(&u, &w, 100);
	disk_flush(u.d);
	ok(file_is_right(file_in(dir, "log.bb9"), 100, 3001), "a new file after a start");
	try_close(&u);
	is(try_open_params(&u, &p), 0, "recovered from two files: %s", u.why);
	is(u.r.zxid, 3100, "to the last one");
	is(compare_stores(w.st, u.st), 0, "the tree is the same");
	try_close(&u);
	world_free(&w);
}

static void test_sizes(void)
{
	const char *dir = temp_dir();
	struct disk_params p = params(dir);
	struct try t;
	struct world w;
	struct txn *x;
	struct jw b;
	struct zk_txn zk;
	u8 *data = calloc(1, 5 << 20);
	int err, i;

	world_init(&w, 3);
	is(try_open_params(&t, &p), 0, "open: %s", t.why);
	try_start(&t);
	for (i = 1; i <= 5; i++) {
		char path[16];

		snprintf(path, sizeof(path), "/big%d", i);
		memset(data, i, 5 << 20);
		jw_init(&b, 0);
		b_header(&b, 1, i, i, i, OP_CREATE);
		b_create(&b, path, data, i * (1 << 20) - 7 * i, false, i);
		x = b_done(&b);
		disk_append(t.d, x);
		txn_to_zk(x, &zk);
		need(w.st->ops->apply(w.st, &zk, 1, NULL, &err) == 1, "apply");
		txn_put(x);
	}
	disk_flush(t.d);
	is(t.durable, 5, "records of megabytes");
	ok(file_is_right(file_in(dir, "log.1"), 5, 1), "are whole in the file");
	try_close(&t);
	is(try_open_params(&t, &p), 0, "recovered: %s", t.why);
	is(compare_stores(w.st, t.st), 0, "the tree is the same");
	try_close(&t);

	p.max_txn_bytes = 1 << 20;
	is(try_open_params(&t, &p), -EBADMSG, "a record above the bound is an error");
	ok(strstr(t.why, "log.1") && strstr(t.why, "offset"), "that says where: %s", t.why);
	try_close(&t);
	free(data);
	world_free(&w);
}

static void test_roll(void)
{
	const char *dir = temp_dir();
	struct try t;
	struct world w;
	int i, n = 0;

	world_init(&w, 4);
	is(try_open(&t, dir), 0, "open: %s", t.why);
	try_start(&t);
	for (i = 0; i < 20; i++) {
		feed(&t, &w, 50);
		disk_flush(t.d);
		n += !disk_snapshot(t.d, t.st, NULL, 0);
	}
	disk_flush(t.d);
	is(n, 20, "snapshots");
	is(count_files(dir, "log."), 20, "a log for each");
	is(count_files(dir, "snapshot."), 21, "and the first one");
	is(size_of(file_in(dir, "log.33")) > 0, true, "named by its first transaction");
	try_close(&t);
	is(try_open(&t, dir), 0, "recovered: %s", t.why);
	ok(t.r.zxid == 1000 && t.r.snapshot_zxid == 1000 && t.r.replayed == 0,
	   "from the last snapshot alone");
	is(compare_stores(w.st, t.st), 0, "the tree is the same");
	is(disk_purge(t.d, 2), -EINVAL, "purging to less than three");
	is(disk_purge(t.d, 3), 0, "purging");
	is(count_files(dir, "snapshot."), 3, "leaves three snapshots");
	/*
	 * 900, 950, 1000: log.901-950 (385), log.951-1000 (3b7), and the one that
	 * begins at or before 900 (353)
	 */
	is(count_files(dir, "log."), 3, "and the logs that they need");
	ok(size_of(file_in(dir, "log.353")) > 0 && size_of(file_in(dir, "log.321")) < 0,
	   "the oldest of them begins before the oldest snapshot");
	try_close(&t);
	unlink(file_in(dir, "snapshot.3e8"));
	unlink(file_in(dir, "snapshot.3b6"));
	is(try_open(&t, dir), 0, "the oldest snapshot left and the logs: %s", t.why);
	is(compare_stores(w.st, t.st), 0, "give the same tree");
	try_close(&t);
	world_free(&w);
}

static void test_due(void)
{
	const char *dir = temp_dir();
	struct try t;
	struct world w;
	int i;

	world_init(&w, 5);
	is(try_open(&t, dir), 0, "open: %s", t.why);
	try_start(&t);
	ok(!disk_snapshot_due(t.d, 100, 0), "no snapshot is due at the begin");
	feed(&t, &w, 50);
	ok(!disk_snapshot_due(t.d, 100, 0), "nor after half of the count");
	feed(&t, &w, 51);
	ok(disk_snapshot_due(t.d, 100, 0), "it is after the count");
	ok(!disk_snapshot_due(t.d, 100000, 0) && disk_snapshot_due(t.d, 100000, 1000),
	   "or by bytes");
	disk_flush(t.d);
	for (i = 0; disk_snapshot(t.d, t.st, NULL, 0) == -EBUSY && i < 12000; i++)
		usleep(10000);
	ok(!disk_snapshot_due(t.d, 100, 0), "and then not again");
	try_close(&t);
	world_free(&w);
}

static void test_lock(void)
{
	const char *dir = temp_dir();
	struct disk_params p = params(dir);
	struct disk *d, *e;
	char why[256] = "";
	int status, fds[2];
	pid_t pid;
	char c;

	need(!disk_open(&p, &d, why, sizeof(why)), "%s", why);
	is(disk_open(&p, &e, why, sizeof(why)), -EBUSY, "one server a directory");
	ok(strstr(why, dir) && strstr(why, "in use"), "it says so: %s", why);
	disk_close(d);

	need(!pipe(fds), "pipe");
	pid = fork();
	if (!pid) {
		c = disk_open(&p, &d, why, sizeof(why)) != 0;
		_exit(write(fds[1], &c, 1) == 1 && pause());
	}
	need(read(fds[0], &c, 1) == 1 && !c, "the child");
	is(disk_open(&p, &e, why, sizeof(why)), -EBUSY, "held by another process");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	is(disk_open(&p, &e, why, sizeof(why)), 0, "free when that is killed");
	disk_close(e);
}

static void test_directories(void)
{
	const char *dir = temp_dir(), *logs = temp_dir();
	struct disk_params p = params(dir);
	char deep[600], why[256];
	struct disk *d;
	struct try t;
	struct world w;
	int rc;

	snprintf(deep, sizeof(deep), "%s/a/b/c", dir);
	p.data_dir = deep;
	p.log_dir = logs;
	world_init(&w, 6);
	is(try_open_params(&t, &p), 0, "directories are made: %s", t.why);
	try_start(&t);
	feed(&t, &w, 10);
	disk_flush(t.d);
	try_close(&t);
	ok(count_files(deep, "snapshot.") == 1 && count_files(logs, "log.") == 1 &&
	   !count_files(deep, "log."), "dataLogDir has the log");
	is(try_open_params(&t, &p), 0, "recovered: %s", t.why);
	is(t.r.zxid, 10, "from both");
	try_close(&t);
	world_free(&w);
	p.data_dir = logs;
	p.log_dir = deep;
	is(disk_open(&p, &d, why, sizeof(why)), -EINVAL, "the two mixed up");
	ok(strstr(why, "dataLogDir"), "%s", why);

	p.data_dir = "/proc/self/nothing";
	p.log_dir = NULL;
	rc = disk_open(&p, &d, why, sizeof(why));
	ok(rc < 0 && strstr(why, "/proc/self/nothing"), "a directory that cannot be: %s", why);
}

static void test_epochs(void)
{
	const char *dir = temp_dir();
	struct disk_params p = params(dir);
	struct disk *d;
	char why[256];
	size_t len;
	u64 e;
	u8 *b;

	need(!disk_open(&p, &d, why, sizeof(why)), "%s", why);
	is(disk_epoch_read(d, "currentEpoch", &e), -ENOENT, "no epoch file");
	is(disk_epoch_write(d, "currentEpoch", 4711), 0, "written");
	b = read_file(file_in(dir, "currentEpoch"), &len);
	ok(len == 4 && !memcmp(b, "4711", 4), "ASCII, no newline");
	free(b);
	ok(!disk_epoch_read(d, "currentEpoch", &e) && e == 4711, "read back");
	is(disk_epoch_write(d, "currentEpoch", 4712), 0, "replaced");
	ok(!disk_epoch_read(d, "currentEpoch", &e) && e == 4712, "read back");
	write_file(file_in(dir, "acceptedEpoch"), "17\n", 3);
	ok(!disk_epoch_read(d, "acceptedEpoch", &e) && e == 17, "with a newline");
	write_file(file_in(dir, "acceptedEpoch"), "x7", 2);
	is(disk_epoch_read(d, "acceptedEpoch", &e), -EBADMSG, "no number");
	write_file(file_in(dir, "acceptedEpoch"), "", 0);
	is(disk_epoch_read(d, "acceptedEpoch", &e), -EBADMSG, "empty");
	disk_close(d);
}

void test_log(void)
{
	test_round_trip();
	test_sizes();
	test_roll();
	test_due();
	test_lock();
	test_directories();
	test_epochs();
}
