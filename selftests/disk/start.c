// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Starts on directories with something wrong in them: each case is a directory of 40
 * transactions (snapshot.0, log.1, snapshot.14, log.15), one thing done to it, and
 * what is to come of it: it starts and has so much, or a sentence that names the
 * file and the place.
 */
#include "selftests/disk/common.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define NOBODY	65534
#define TAIL	33		/* digest of a snapshot, and its seal */

static void empty(const char *dir, const char *name)
{
	write_file(file_in(dir, name), "", 0);
}

static void mkdir_in(const char *dir, const char *name)
{
	unlink(file_in(dir, name));
	need(!mkdir(file_in(dir, name), 0755), "mkdir");
}

static void put(const char *dir, const char *name, off_t at, const void *bytes, size_t n)
{
	int fd = open(file_in(dir, name), O_WRONLY);

	need(fd >= 0, "%s", name);
	if (at < 0)
		at += lseek(fd, 0, SEEK_END);
	need(pwrite(fd, bytes, n, at) == (ssize_t)n && !close(fd), "%s", name);
}

static void version3(const char *dir, const char *name)
{
	put(dir, name, 4, "\0\0\0\3", 4);
}

static void magic(const char *dir, const char *name)
{
	put(dir, name, 0, "what", 4);
}

static void cut10(const char *dir, const char *name)
{
	need(!truncate(file_in(dir, name), 10), "truncate");
}

static void half(const char *dir, const char *name)
{
	struct stat st;

	need(!stat(file_in(dir, name), &st) && !truncate(file_in(dir, name), st.st_size / 2),
	     "truncate");
}

static void seal(const char *dir, const char *name)
{
	put(dir, name, -TAIL - 8, "\1", 1);
}

static void drop(const char *dir, const char *name)
{
	need(!unlink(file_in(dir, name)), "unlink");
}

/* The digest of a snapshot as it likes, its seal right. */
static void redigest(const char *dir, const char *name, u64 zxid_more, u64 digest_more)
{
	size_t len;
	u8 *b = read_file(file_in(dir, name), &len), *d = b + len - TAIL;

	jute_put64(d, jute_get64(d) + zxid_more);
	jute_put64(d + 12, jute_get64(d + 12) + digest_more);
	jute_put64(d + 20, adler32(1, b, len - 13));
	write_file(file_in(dir, name), b, len);
	free(b);
}

static void other_digest(const char *dir, const char *name)
{
	redigest(dir, name, 0, 1);
}

static void later_digest(const char *dir, const char *name)
{
	redigest(dir, name, 21, 0);
}

static const struct {
	const char *what;
	void (*spoil)(const char *dir, const char *name);
	const char *name;
	const char *drop[2];	/* files to remove besides */
	u64 zxid;		/* 0: it does not start */
	const char *say;	/* and says */
	int mismatches;
	bool trust;		/* zkern.trustGaps */
} cases[] = {
	{ .what = "an empty log", .spoil = empty, .name = "log.29", .zxid = 40 },
	{ .what = "a log without all of its header", .spoil = cut10, .name = "log.15",
	  .zxid = 20 },
	{ .what = "a directory as a log", .spoil = mkdir_in, .name = "log.29",
	  .say = "log.29: Is a directory" },
	{ .what = "a directory in a log's place", .spoil = mkdir_in, .name = "log.15",
	  .say = "log.15: Is a directory" },
	{ .what = "a log of version 3", .spoil = version3, .name = "log.15",
	  .say = "log.15: a log of version 3; this program reads version 2 (at offset 4)" },
	{ .what = "something else as a log", .spoil = magic, .name = "log.15",
	  .say = "log.15: damaged at offset 0: not a transaction log" },
	{ .what = "the log between two", .spoil = drop, .name = "log.1",
	  .drop = { "snapshot.14" },
	  .say = "log.15: offset 16 has transaction 0x15, but the one before it is 0x0" },
	{ .what = "the same, trusted", .spoil = drop, .name = "log.1",
	  .drop = { "snapshot.14" }, .zxid = 40, .trust = true, .mismatches = -1 },
	{ .what = "all logs gone", .spoil = drop, .name = "log.1", .drop = { "log.15" },
	  .zxid = 20 },

	{ .what = "an empty snapshot", .spoil = empty, .name = "snapshot.14", .zxid = 40 },
	{ .what = "an empty snapshot to which no log leads", .spoil = empty,
	  .name = "snapshot.99", .say = "snapshot.99 cannot be read, and the log does not" },
	{ .what = "a directory as a snapshot", .spoil = mkdir_in, .name = "snapshot.28",
	  .zxid = 40 },
	{ .what = "a snapshot of version 3", .spoil = version3, .name = "snapshot.14",
	  .zxid = 40 },
	{ .what = "the only one of version 3", .spoil = version3, .name = "snapshot.14",
	  .drop = { "snapshot.0" },
	  .say = "snapshot.14: damaged before offset 16 (header): of a version" },
	{ .what = "something else as the only snapshot", .spoil = magic,
	  .name = "snapshot.14", .drop = { "snapshot.0" },
	  .say = "snapshot.14: damaged before offset 16 (header): not a snapshot" },
	{ .what = "half a snapshot", .spoil = half, .name = "snapshot.14", .zxid = 40 },
	{ .what = "half of the only snapshot", .spoil = half, .name = "snapshot.14",
	  .drop = { "snapshot.0" }, .say = "(nodes): it ends too soon; no other snapshot" },
	{ .what = "a snapshot with a wrong checksum", .spoil = seal, .name = "snapshot.14",
	  .zxid = 40 },
	{ .what = "the only one with a wrong checksum", .spoil = seal,
	  .name = "snapshot.14", .drop = { "snapshot.0" }, .say = "(checksum): wrong checksum" },
	{ .what = "a snapshot to which no log leads", .spoil = seal, .name = "snapshot.14",
	  .drop = { "log.1" }, .say = "snapshot.14 cannot be read, and the log does not" },
	{ .what = "a snapshot with another digest, no log behind it",
	  .spoil = other_digest, .name = "snapshot.14", .drop = { "log.15" }, .zxid = 20,
	  .mismatches = 1 },
	{ .what = "a snapshot that was written for longer than the log goes",
	  .spoil = later_digest, .name = "snapshot.14",
	  .say = "ends with transaction 0x28, but" },
	{ .what = "the same, trusted", .spoil = later_digest, .name = "snapshot.14",
	  .zxid = 40, .trust = true },

	{ .what = "a packed log, which is none", .spoil = empty, .name = "log.15.gz",
	  .zxid = 40 },
	{ .what = "names that are none", .spoil = empty, .name = "snapshot.", .zxid = 40 },
	{ .what = "a snapshot packed as none is", .spoil = empty, .name = "snapshot.28.xz",
	  .zxid = 40 },
	{ .what = "a snapshot that gzip did not pack", .spoil = empty,
	  .name = "snapshot.28.gz", .zxid = 40 },
	{ .what = "a snapshot that snappy did not pack", .spoil = empty,
	  .name = "snapshot.28.snappy", .zxid = 40 },
	{ .what = "the only one, not packed", .spoil = empty, .name = "snapshot.0.snappy",
	  .drop = { "snapshot.0", "snapshot.14" },
	  .say = "snapshot.0.snappy: damaged at offset 0: not packed as .snappy" },
};

static void make_base(const char *dir)
{
	struct world w;
	struct try t;

	world_init(&w, 80);
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	feed(&t, &w, 20);
	disk_flush(t.d);
	need(!disk_snapshot(t.d, t.st, NULL, 0), "snapshot");
	feed(&t, &w, 20);
	disk_flush(t.d);
	try_close(&t);
	world_free(&w);
}

static void test_cases(const char *base)
{
	const char *work = temp_dir(), *told;
	struct disk_params p;
	struct try t;
	size_t i;
	int rc, k;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		copy_dir(base, work);
		cases[i].spoil(work, cases[i].name);
		for (k = 0; k < 2 && cases[i].drop[k]; k++)
			need(!unlink(file_in(work, cases[i].drop[k])), "unlink");
		p = params(work);
		p.trust_gaps = cases[i].trust;
		rc = try_open_params(&t, &p);
		told = rc ? t.why : "it starts";
		if (cases[i].zxid)
			ok(!rc && t.r.zxid == cases[i].zxid &&
			   (cases[i].mismatches < 0 ||
			    (int)t.r.digest_mismatches == cases[i].mismatches),
			   "%s: %s", cases[i].what, told);
		else
			ok(rc && strstr(t.why, cases[i].say), "%s: %s", cases[i].what, told);
		try_close(&t);
	}
}

/* ------------------------------------------------------------ directories */

static void test_dirs(const char *base)
{
	const char *a = temp_dir(), *b = temp_dir();
	struct disk_params p;
	char path[600];
	struct world w;
	struct try t;

	copy_dir(base, a);
	p = params(a);
	p.log_dir = b;
	is(try_open_params(&t, &p), -EINVAL, "logs in dataDir when there is a dataLogDir");
	ok(strstr(t.why, "data directory") && strstr(t.why, "has logs"), "%s", t.why);
	p = params(b);
	p.log_dir = a;
	is(try_open_params(&t, &p), -EINVAL, "snapshots in dataLogDir");
	ok(strstr(t.why, "log directory") && strstr(t.why, "has snapshots"), "%s", t.why);

	a = temp_dir();
	p = params(a);
	p.log_dir = b;
	world_init(&w, 81);
	is(try_open_params(&t, &p), 0, "two directories: %s", t.why);
	try_start(&t);
	feed(&t, &w, 10);
	disk_flush(t.d);
	try_close(&t);
	ok(count_files(a, "snapshot.") == 1 && !count_files(a, "log.") &&
	   count_files(b, "log.") == 1 && !count_files(b, "snapshot."), "each has its own");
	is(try_open_params(&t, &p), 0, "and again: %s", t.why);
	is(t.r.zxid, 10, "with all there was");
	is(compare_stores(w.st, t.st), 0, "the tree is the same");
	{
		struct try other;
		struct disk_params q = params(temp_dir());

		q.log_dir = b;
		is(try_open_params(&other, &q), -EBUSY, "dataLogDir is locked too");
		ok(strstr(other.why, "in use by another"), "%s", other.why);
	}
	try_close(&t);
	world_free(&w);

	a = temp_dir();
	snprintf(path, sizeof(path), "%s/version-2", a);
	write_file(path, "", 0);
	is(try_open(&t, a), -ENOTDIR, "version-2 is a file");
	ok(strstr(t.why, path) && strstr(t.why, "Not a directory"), "%s", t.why);
}

/* ------------------------------------------------------------ rights */

static void forbid(const char *dir, const char *name, mode_t mode)
{
	static const char *const all[] = { "", "snapshot.0", "snapshot.14", "log.1", "log.15" };
	size_t i;

	need(!chown(dir, NOBODY, NOBODY), "chown");
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		need(!chown(file_in(dir, all[i]), NOBODY, NOBODY), "chown %s", all[i]);
	need(!chmod(file_in(dir, name), mode), "chmod");
}

/* As nobody: "NAME MODE" in the file "case" of @dir says what is forbidden. */
int child_rights(const char *dir)
{
	char name[40] = "", path[600];
	unsigned int mode = 0;
	struct try t;
	FILE *f;
	int rc;

	snprintf(path, sizeof(path), "%s/case", dir);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%39s %o", name, &mode) != 2)
		return 2;
	fclose(f);
	forbid(dir, name, mode);
	if (setgid(NOBODY) || setuid(NOBODY))
		return 77;
	rc = try_open(&t, dir);
	printf("# %s %o: %s\n", name, mode, rc ? t.why : "starts");
	rc = rc && strstr(t.why, "Permission denied") &&
	     strstr(t.why, strcmp(name, ".") ? name : "version-2") ? 0 : 1;
	if (t.d)
		try_close(&t);
	return rc;
}

static void test_rights(const char *base)
{
	static const char *const what[] = {
		"log.15 0", "snapshot.14 0", ". 0", ". 0500", "log.1 0",
	};
	size_t i;
	char path[600];
	int status, rc;
	pid_t pid;

	for (i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		const char *dir = temp_dir();

		if (geteuid()) {
			ok(true, "%s forbidden # SKIP not root", what[i]);
			continue;
		}
		copy_dir(base, dir);
		/* log.1 is read only where the newer snapshot is not there */
		if (!strcmp(what[i], "log.1 0"))
			half(dir, "snapshot.14");
		snprintf(path, sizeof(path), "%s/case", dir);
		write_file(path, what[i], strlen(what[i]));
		pid = spawn("rights", dir);
		waitpid(pid, &status, 0);
		rc = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		ok(!rc || rc == 77, "%s forbidden: said with the name%s", what[i],
		   rc == 77 ? " # SKIP cannot be nobody" : "");
	}
}

/* ------------------------------------------------------------ epochs */

static void test_epochs(void)
{
	static const char *const wrong[] = {
		"", "x", "-1", "1x", "99999999999999999999999", "1 2",
	};
	const char *dir = temp_dir();
	struct try t;
	size_t i;
	u64 e;

	need(!try_open(&t, dir), "%s", t.why);
	is(disk_epoch_read(t.d, "currentEpoch", &e), -ENOENT, "no epoch");
	need(!disk_epoch_write(t.d, "currentEpoch", 7), "write");
	ok(!disk_epoch_read(t.d, "currentEpoch", &e) && e == 7, "an epoch");
	write_file(file_in(dir, "currentEpoch"), "12\n", 3);
	ok(!disk_epoch_read(t.d, "currentEpoch", &e) && e == 12, "with an end of line");
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		write_file(file_in(dir, "currentEpoch"), wrong[i], strlen(wrong[i]));
		is(disk_epoch_read(t.d, "currentEpoch", &e), -EBADMSG, "epoch \"%s\"", wrong[i]);
	}
	try_close(&t);
}

void test_start(void)
{
	const char *base = temp_dir();

	make_base(base);
	test_cases(base);
	test_dirs(base);
	test_rights(base);
	test_epochs();
}
