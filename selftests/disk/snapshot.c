// SPDX-License-Identifier: GPL-2.0-or-later
/* Snapshots written, read, spoilt, interrupted. */
#include "selftests/disk/common.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

/* A directory with nothing but one snapshot of a random tree, and sessions. */
static const char *make(u64 seed, int txns, struct world *w)
{
	static const struct disk_session some[] = { { 5, 10000 }, { 7, 20000 }, { 0, 1 } };
	const char *dir = temp_dir();
	struct try t;

	world_init(w, seed);
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	feed(&t, w, txns);
	disk_flush(t.d);
	need(!disk_snapshot(t.d, t.st, some, 3), "snapshot");
	disk_flush(t.d);
	try_close(&t);
	unlink(file_in(dir, "log.1"));
	unlink(file_in(dir, "snapshot.0"));
	return dir;
}

static bool has_session(const struct try *t, u64 id, s32 timeout)
{
	u32 i;

	for (i = 0; i < t->r.n_sessions; i++) {
		if (t->r.sessions[i].id == id && t->r.sessions[i].timeout == timeout)
			return true;
	}
	return false;
}

static void test_round_trip(void)
{
	const char *dir, *name;
	struct world w;
	struct try t;
	char packed[700], cmd[1500];

	dir = make(20, 2000, &w);
	is(try_open(&t, dir), 0, "a snapshot alone: %s", t.why);
	ok(t.r.zxid == 2000 && t.r.snapshot_zxid == 2000 && !t.r.replayed, "its zxid");
	is(t.r.digest_mismatches, 0, "its digest");
	is(compare_stores(w.st, t.st), 0, "the tree is the same");
	ok(t.r.n_sessions == 3 && has_session(&t, 5, 10000) && has_session(&t, 7, 20000) &&
	   has_session(&t, 0, 1), "the sessions are the same");
	try_close(&t);

	name = newest(dir, "snapshot.");
	snprintf(packed, sizeof(packed), "%s.gz", name);
	snprintf(cmd, sizeof(cmd), "gzip %s", name);
	need(!system(cmd) && !access(packed, F_OK), "gzip");
	is(try_open(&t, dir), 0, "packed with gzip: %s", t.why);
	is(compare_stores(w.st, t.st), 0, "the tree is the same");
	try_close(&t);
	world_free(&w);
}

/* More ACLs from one snapshot to the next, then fewer. */
static void test_acls(void)
{
	const char *dir = temp_dir();
	struct world w;
	struct try t, u;
	int i, bad = 0;

	world_init(&w, 21);
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	for (i = 0; i < 8; i++) {
		feed(&t, &w, i < 4 ? 300 : 3);
		disk_flush(t.d);
		bad += disk_snapshot(t.d, t.st, NULL, 0);
		disk_flush(t.d);
		{
			const char *copy = temp_dir();

			copy_dir(dir, copy);
			bad += try_open(&u, copy) != 0 || u.r.replayed ||
			       compare_stores(w.st, u.st);
			try_close(&u);
		}
	}
	is(bad, 0, "snapshot after snapshot, with ACLs known and new");
	try_close(&t);
	world_free(&w);
}

static void test_spoilt(void)
{
	const char *dir, *work = temp_dir();
	struct world w;
	struct try t;
	char name[40], why[512] = "";
	size_t len, k;
	int bad = 0, unclear = 0, n = 0;
	u8 *b;

	dir = make(22, 30, &w);
	snprintf(name, sizeof(name), "snapshot.1e");
	b = read_file(file_in(dir, name), &len);
	copy_dir(dir, work);
	for (k = 0; k < len; k++) {
		/* the file's version and dbid mean nothing to anybody */
		if (k >= 4 && k < 16)
			k = 16;
		b[k] ^= 0xff;
		write_file(file_in(work, name), b, len);
		b[k] ^= 0xff;
		if (try_open(&t, work) != -EBADMSG) {
			printf("# byte %zu of %zu: %s\n", k, len, t.why);
			bad++;
		}
		unclear += !strstr(t.why, "no other snapshot can be read");
		try_close(&t);
		n++;
	}
	/* the adler-32 over version and dbid finds those too */
	for (k = 4; k < 16; k++) {
		b[k] ^= 0xff;
		write_file(file_in(work, name), b, len);
		b[k] ^= 0xff;
		bad += try_open(&t, work) != -EBADMSG;
		try_close(&t);
	}
	is(bad, 0, "each of %d bytes changed: not a snapshot", n + 12);
	is(unclear, 0, "and it is said");
	bad = 0;
	n = 0;
	for (k = 0; k < len; k++) {
		int rc;

		write_file(file_in(work, name), b, k);
		rc = try_open(&t, work);
		/* before 3.6 it ended with the first seal */
		if (rc != -EBADMSG)
			n++;
		bad += rc && rc != -EBADMSG;
		strcpy(why, t.why);
		try_close(&t);
	}
	is(bad, 0, "cut at each byte: %s", why);
	is(n, 1, "is a snapshot only behind the first seal");
	free(b);
	world_free(&w);
}

/* An unreadable snapshot is passed over where the log leads to it. */
static void test_pass_over(void)
{
	const char *dir = temp_dir();
	struct world w;
	struct try t;
	size_t len;
	u8 *b;

	world_init(&w, 23);
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	feed(&t, &w, 100);
	disk_flush(t.d);
	need(!disk_snapshot(t.d, t.st, NULL, 0), "snapshot");
	disk_flush(t.d);
	feed(&t, &w, 100);
	disk_flush(t.d);
	need(!disk_snapshot(t.d, t.st, NULL, 0), "snapshot");
	disk_flush(t.d);
	feed(&t, &w, 10);
	disk_flush(t.d);
	try_close(&t);
	b = read_file(file_in(dir, "snapshot.c8"), &len);
	b[len / 2] ^= 1;
	write_file(file_in(dir, "snapshot.c8"), b, len);
	is(try_open(&t, dir), 0, "the newest is spoilt: %s", t.why);
	ok(t.r.snapshot_zxid == 100 && t.r.zxid == 210, "the one before, and the log");
	is(compare_stores(w.st, t.st), 0, "the tree is the same");
	try_close(&t);

	need(!unlink(file_in(dir, "log.65")), "unlink");
	is(try_open(&t, dir), -EBADMSG, "the log between is missing");
	ok(strstr(t.why, "snapshot.c8 cannot be read"), "%s", t.why);
	try_close(&t);
	need(!unlink(file_in(dir, "log.c9")), "unlink");
	is(try_open(&t, dir), -EBADMSG, "the log behind is missing too: %s", t.why);
	try_close(&t);
	free(b);
	world_free(&w);
}

#define BEGUN	"begun"		/* a file that says that the child is at it */

/* Writes, with a snapshot every so often, until it is killed. */
void child_write(const char *dir)
{
	struct world w;
	struct try t;

	world_init(&w, 5);
	if (try_open(&t, dir))
		_exit(9);
	while (w.zxid < t.r.zxid)
		txn_put(world_next(&w));
	try_start(&t);
	for (;;) {
		feed(&t, &w, 40);
		disk_flush(t.d);
		disk_snapshot(t.d, t.st, NULL, 0);
		write_file(file_in(dir, BEGUN), "", 0);
	}
}

/* A directory for others to read: three logs, two snapshots, 500 transactions. */
int child_make(const char *dir)
{
	static const struct disk_session some = { 0x1234, 30000 };
	struct world w;
	struct try t;
	int i;

	world_init(&w, 40);
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	for (i = 0; i < 3; i++) {
		feed(&t, &w, i < 2 ? 200 : 100);
		disk_flush(t.d);
		if (i < 2)
			need(!disk_snapshot(t.d, t.st, &some, 1), "snapshot");
		disk_flush(t.d);
	}
	try_close(&t);
	world_free(&w);
	return tap_failed != 0;
}

/* kill -9 while snapshots are written: whatever is there afterwards is whole. */
static void test_killed(void)
{
	const char *dir = temp_dir();
	int round, status, rounds = 0, bad = 0, interrupted = 0, leftovers = 0;
	u64 seen = 0;
	struct try t;

	for (round = 0; round < 25; round++) {
		pid_t pid;
		int waits;

		unlink(file_in(dir, BEGUN));
		pid = spawn("write", dir);
		for (waits = 0; waits < 60000 && access(file_in(dir, BEGUN), F_OK); waits++)
			usleep(2000);
		usleep(round * 5000);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		bad += !WIFSIGNALED(status) || waits == 60000;
		interrupted += count_files(dir, ".snapshot.") > 0;
		if (try_open(&t, dir) || t.r.digest_mismatches || t.r.zxid < seen) {
			printf("# round %d: %s\n", round, t.why);
			bad++;
		}
		seen = t.r.zxid;
		rounds += seen > 0;
		leftovers += count_files(dir, ".snapshot.");
		disk_purge(t.d, 3);
		try_close(&t);
	}
	ok(rounds > 10, "it had begun in %d of 25 rounds", rounds);
	is(bad, 0, "killed 25 times at work, %llu transactions: all of it recovers", seen);
	is(leftovers, 0, "what was left of %d snapshots is removed", interrupted);
}

void test_snapshot(void)
{
	test_round_trip();
	test_acls();
	test_spoilt();
	test_pass_over();
	test_killed();
}
