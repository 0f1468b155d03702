// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A disk without room: nothing is acknowledged that is not there, what was is
 * there, and it goes on when there is room again. On a small tmpfs of our own.
 */
#include "selftests/disk/common.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool small_disk(const char *dir, const char *size)
{
	char opt[64];

	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return false;
	(void)!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	snprintf(opt, sizeof(opt), "size=%s", size);
	return !mount("none", dir, "tmpfs", 0, opt);
}

static void fill(const char *path, size_t leave)
{
	static u8 block[4096];
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	struct stat st;

	need(fd >= 0, "%s", path);
	memset(block, 1, sizeof(block));
	while (write(fd, block, sizeof(block)) > 0)
		;
	need(!fstat(fd, &st) && !ftruncate(fd, st.st_size > (off_t)leave ?
					   st.st_size - leave : 0), "ftruncate");
	close(fd);
}

static void append_big(struct try *t, u64 zxid)
{
	static u8 data[10000];
	char path[32];
	struct jw w;
	struct txn *x;

	jw_init(&w, 0);
	b_header(&w, 1, zxid, zxid, 1, OP_CREATE);
	snprintf(path, sizeof(path), "/b%llx", zxid);
	memset(data, 'd', sizeof(data));
	b_create(&w, path, data, sizeof(data), false, zxid);
	x = b_done(&w);
	disk_append(t->d, x);
	txn_put(x);
}

static void check_log_full(const char *dir)
{
	char hog[300];
	struct try t;
	u64 zxid = 0, last;
	int rc;

	snprintf(hog, sizeof(hog), "%s/hog", dir);
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	append_big(&t, ++zxid);
	disk_flush(t.d);
	is(t.durable, 1, "there is room");
	fill(hog, 0);
	while (!__atomic_load_n(&t.err, __ATOMIC_ACQUIRE) && zxid < 1000) {
		append_big(&t, ++zxid);
		disk_flush(t.d);
	}
	is(t.err, ENOSPC, "no room is said");
	last = __atomic_load_n(&t.durable, __ATOMIC_ACQUIRE);
	is(last, zxid - 1, "all but the last one was durable");
	append_big(&t, zxid + 1);
	disk_flush(t.d);
	is(__atomic_load_n(&t.durable, __ATOMIC_ACQUIRE), last, "what is appended now is dropped");

	rc = disk_snapshot(t.d, t.st, NULL, 0);
	disk_flush(t.d);
	is(rc, 0, "a snapshot is tried");
	ok(count_files(dir, "snapshot.") == 1 && !count_files(dir, ".snapshot."),
	   "and leaves nothing behind");

	t.err = 0;
	is(disk_retry(t.d), 0, "trying again");
	append_big(&t, last + 1);
	disk_flush(t.d);
	is(t.err, ENOSPC, "still no room");
	unlink(hog);
	t.err = 0;
	is(disk_retry(t.d), 0, "there is room now");
	append_big(&t, last + 1);
	append_big(&t, last + 2);
	disk_flush(t.d);
	ok(!t.err && __atomic_load_n(&t.durable, __ATOMIC_ACQUIRE) == last + 2, "it goes on");
	try_close(&t);
	is(try_open(&t, dir), 0, "recovered: %s", t.why);
	is(t.r.zxid, last + 2, "all of it");
	try_close(&t);
}

/* In a child, for it moves to a mount namespace of its own. */
int child_room(const char *dir)
{
	if (!small_disk(dir, "1m"))
		return 77;
	check_log_full(dir);
	return tap_failed != 0;
}

void test_room(void)
{
	int status, rc;
	pid_t pid;

	pid = spawn("room", temp_dir());
	waitpid(pid, &status, 0);
	rc = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	ok(!rc || rc == 77, "a disk without room%s", rc == 77 ? " # SKIP no right to mount" : "");
}
