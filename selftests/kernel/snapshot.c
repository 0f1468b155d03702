// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Snapshots: dumps of all sizes, what they outlive, how many there may be, and
 * that one which holds back too much is revoked.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"

#define USER	1234
#define LIMIT	64
#define BIG	(900 * 1024)

static int inst, owner, fd;

/* A dump's nodes, in memory. */
struct dump {
	uint8_t *buf;
	size_t len;
	size_t cap;
	int reads;
};

/* Reads @snap to its end, @step bytes at a time. 0 or -errno. */
static int dump_read(int snap, size_t step, struct dump *d)
{
	ssize_t n;

	d->len = 0;
	d->reads = 0;
	for (;;) {
		if (d->cap - d->len < step) {
			d->cap = d->cap * 2 + step;
			d->buf = realloc(d->buf, d->cap);
			need(d->buf, "out of memory");
		}
		n = read(snap, d->buf + d->len, step);
		if (n < 0)
			return -errno;
		if (!n)
			return 0;
		d->len += n;
		d->reads++;
	}
}

/* The @n-th node's record; NULL behind the last one. */
static struct zkern_node *dump_node(const struct dump *d, unsigned int n)
{
	struct zkern_node *node;
	size_t off = 0;

	for (;;) {
		if (off == d->len)
			return NULL;
		node = (void *)(d->buf + off);
		need(d->len - off >= sizeof(*node) && node->len >= sizeof(*node) &&
		     node->len % 8 == 0 && node->len <= d->len - off, "a broken record");
		if (!n--)
			return node;
		off += node->len;
	}
}

static struct zkern_node *dump_find(const struct dump *d, const char *path)
{
	struct zkern_node *node;
	unsigned int n;

	for (n = 0; (node = dump_node(d, n)); n++) {
		if (node->path_len == strlen(path) && !memcmp(node + 1, path, node->path_len))
			return node;
	}
	return NULL;
}

static void fill(void)
{
	char *big = malloc(BIG), path[32], deep[512];
	struct batch b = {};
	int i;

	memset(big, 'B', BIG);
	batch_txn(&b, 1);
	batch_create(&b, "/a", "1");
	batch_create(&b, "/a/x", "22");
	batch_create(&b, "/a/y", "333");
	batch_op(&b, ZKERN_OP_CREATE, "/a/x/null", NULL, -1, &open_acl, 0);
	batch_op(&b, ZKERN_OP_CREATE, "/big", big, BIG, &open_acl, 0);
	batch_create(&b, "/many", "");
	for (i = 0; i < 2000; i++) {
		snprintf(path, sizeof(path), "/many/%d", i);
		batch_create(&b, path, path);
	}
	memset(deep, 'p', sizeof(deep));
	deep[0] = '/';
	deep[500] = '\0';
	batch_create(&b, deep, "long name");
	need(!zk_apply(owner, &b, NULL), "apply");
	batch_free(&b);
	free(big);
}

static void test_dump(void)
{
	struct zkern_snapshot s;
	struct zkern_node *node;
	struct zkern_info info;
	struct dump d = {}, e = {};
	unsigned int n;
	int snap;

	need(!zk_info(fd, &info), "info");
	snap = zk_snapshot(fd, NULL, &s);
	ok(snap >= 0, "a snapshot");
	ok(s.zxid == 1 && s.digest == info.digest && s.nodes == 2008 && info.nodes == 2008,
	   "  says zxid, digest, nodes");
	ok(fcntl(snap, F_GETFD) == FD_CLOEXEC, "  is closed on exec");
	is(dump_read(snap, 1 << 20, &d), 0, "its dump");
	for (n = 0; (node = dump_node(&d, n)); n++)
		;
	is(n, 2008, "  has all nodes");
	ok(read(snap, d.buf, 100) == 0, "  and stays at its end");
	close(snap);
	node = dump_node(&d, 0);
	ok(node->path_len == 1 && ((char *)(node + 1))[0] == '/', "the root comes first");
	ok(dump_find(&d, "/a") < dump_find(&d, "/a/x") &&
	   dump_find(&d, "/a/x") < dump_find(&d, "/a/x/null") &&
	   dump_find(&d, "/a/x/null") < dump_find(&d, "/a/y") &&
	   dump_find(&d, "/a/y") < dump_find(&d, "/big"), "pre-order");
	node = dump_find(&d, "/a/x");
	ok(node->data_len == 2 && !memcmp((char *)(node + 1) + 4, "22", 2) &&
	   node->crc == crc_of("/a/x", "22", 2) && node->acl_len == open_acl.len &&
	   !memcmp((char *)(node + 1) + 6, open_acl.bytes, open_acl.len) &&
	   node->stat.czxid == 1 && node->stat.num_children == 1 && !node->flags,
	   "a record has data, ACL, stat");
	ok(dump_find(&d, "/a/x/null")->data_len == -1, "null data is told from empty data");
	ok(dump_find(&d, "/big")->data_len == BIG, "large data is whole");

	snap = zk_snapshot(fd, NULL, NULL);
	is(dump_read(snap, BIG + 4096, &e), 0, "the dump in other pieces");
	ok(e.len == d.len && !memcmp(e.buf, d.buf, d.len), "  is the same (%d and %d reads)",
	   e.reads, d.reads);
	close(snap);

	snap = zk_snapshot(fd, "/a", NULL);
	is(dump_read(snap, 300, &e), 0, "a subtree in small pieces");
	ok(dump_node(&e, 3) && !dump_node(&e, 4) && dump_find(&e, "/a/x/null"), "  of 4 nodes");
	close(snap);
	snap = zk_snapshot(fd, "/big", NULL);
	is(read(snap, d.buf, 100) < 0 ? -errno : 0, -EMSGSIZE, "a record that does not fit");
	is(read(snap, d.buf, BIG) < 0 ? -errno : 0, -EMSGSIZE, "  by a little");
	n = dump_find(&d, "/big")->len;
	is(read(snap, d.buf, n), n, "  fits a buffer of its size");
	is(read(snap, d.buf, n), 0, "  and was the only one");
	close(snap);
	is(zk_snapshot(fd, "/nope", NULL), -ENOENT, "a snapshot of nothing");
	is(zk_snapshot(fd, "a", NULL), -EINVAL, "a snapshot of a bad path");
	free(d.buf);
	free(e.buf);
}

/* An address that the compiler need not understand. */
static ssize_t read_at(int f, volatile uintptr_t at, size_t size)
{
	ssize_t n = read(f, (void *)at, size);

	return n < 0 ? -errno : n;
}

static void test_faults(void)
{
	struct zkern_snapshot s = { .size = sizeof(s), .flags = 1 };
	char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct dump d = {};
	ssize_t n;
	int snap;

	is(zk_ioctl(fd, ZKERN_SNAPSHOT, &s), -EINVAL, "an unknown flag");
	s.flags = 0;
	s.size = offsetof(struct zkern_snapshot, fd);
	is(zk_ioctl(fd, ZKERN_SNAPSHOT, &s), -EINVAL, "no room for the descriptor");
	need(p != MAP_FAILED && !mprotect(p + 2 * 4096, 4096, PROT_NONE), "mmap");
	snap = zk_snapshot(fd, NULL, NULL);
	need(snap >= 0, "snapshot");
	is(read_at(snap, 8, 4096), -EFAULT, "a bad buffer");
	is(read_at(snap, (uintptr_t)p + 2 * 4096, 4096), -EFAULT, "a hole");
	n = read(snap, p + 4096, 4096);
	ok(n > 0 && n <= 4096, "  loses nothing: the dump begins");
	is(((struct zkern_node *)(p + 4096))->path_len, 1, "  at the root");
	is(dump_read(snap, 1 << 20, &d), 0, "  and goes on to the end");
	ok(!dump_find(&d, "/") && dump_find(&d, "/many/1999"), "  without repeating");
	ok(lseek(snap, 0, SEEK_SET) < 0, "a snapshot does not seek");
	ok(pread(snap, p, 4096, 0) < 0, "  at all");
	is(zk_ioctl(snap, ZKERN_APPLY, NULL), -ENOTTY, "  and is no device");
	is(zk_ioctl(snap, ZKERN_SNAPSHOT, NULL), -ENOTTY, "  to make another one of");
	close(snap);
	munmap(p, 3 * 4096);
	free(d.buf);
}

static void test_frozen(void)
{
	struct zkern_get get = {};
	struct zkern_info info;
	struct dump d = {}, e = {};
	struct batch b = {};
	int snap, twin;
	char buf[64];

	snap = zk_snapshot(fd, NULL, NULL);
	twin = zk_snapshot(fd, NULL, NULL);
	need(snap >= 0 && twin >= 0, "snapshots");
	is(dump_read(twin, 1 << 20, &d), 0, "a dump");
	batch_txn(&b, 2);
	batch_set(&b, "/a", "changed", 1);
	batch_delete(&b, "/a/y");
	batch_create(&b, "/new", "");
	batch_op(&b, ZKERN_OP_SETACL, "/a/x", NULL, 0, &open_acl, 0)->version = 1;
	need(!zk_apply(owner, &b, NULL), "apply");
	is(zk_get(fd, "/a", buf, sizeof(buf), &get), 0, "the device shows changes");
	ok(get.len == 7 && get.zxid == 2, "  at 2");
	is(zk_get(snap, "/a", buf, sizeof(buf), &get), 0, "the snapshot does not");
	ok(get.len == 1 && get.zxid == 1 && !get.stat.version, "  at 1");
	is(zk_exists(snap, "/new", NULL), -ENOENT, "  nor what is new");
	is(zk_exists(snap, "/a/y", NULL), 0, "  and still what is gone");
	is(zk_info(snap, &info), 0, "its info");
	ok(info.zxid == 1 && info.nodes == 2008 && info.snapshots == 2, "  is of 1");
	get = (struct zkern_get){ .min_zxid = 2 };
	is(zk_exists(snap, "/a", &get), -ESTALE, "it does not reach 2");
	close(twin);

	is(zk_del(inst, ZKERN_DEL_FORCE), 0, "the instance is removed under it");
	is(zk_exists(fd, "/a", NULL), -ENODEV, "  the device is dead");
	is(zk_info(fd, &info), -ENODEV, "  wholly");
	is(zk_apply(owner, &b, NULL), -ENODEV, "  for its owner too");
	is(zk_exists(snap, "/a/y", NULL), 0, "  the snapshot lives");
	is(zk_info(snap, &info), 0, "  with info");
	ok(info.zxid == 1 && info.nodes == 2008, "  of 1");
	is(dump_read(snap, 1 << 20, &e), 0, "  and a dump");
	ok(d.len == e.len && !memcmp(d.buf, e.buf, d.len), "  just as before");
	close(snap);
	close(fd);
	close(owner);
	batch_free(&b);
	free(d.buf);
	free(e.buf);
}

/* Takes all a user may have; returns 0 if the count was as it should be. */
static int take_all(void *arg)
{
	int fds[LIMIT], f = zk_open(*(int *)arg, O_RDONLY), i;

	for (i = 0; i < LIMIT; i++) {
		fds[i] = zk_snapshot(f, NULL, NULL);
		if (fds[i] < 0)
			return 1;
	}
	if (zk_snapshot(f, NULL, NULL) != -ENOSPC)
		return 2;
	close(fds[7]);
	fds[7] = zk_snapshot(f, NULL, NULL);
	if (fds[7] < 0)
		return 3;
	if (zk_snapshot(f, NULL, NULL) != -ENOSPC)
		return 4;
	return 0;
}

static void test_limits(void)
{
	int fds[2 * LIMIT], i, n = 0;

	is(as_user(USER, USER, USER, take_all, &inst), 0, "a user has 64 snapshots");
	is(as_user(USER, USER, USER, take_all, &inst), 0, "  which end with his process");
	is(as_user(USER + 1, USER, USER, take_all, &inst), 0, "  and so has another");
	for (i = 0; i < 2 * LIMIT; i++) {
		fds[i] = zk_snapshot(owner, NULL, NULL);
		n += fds[i] >= 0;
	}
	is(n, 2 * LIMIT, "the owner has more");
	for (i = 0; i < 2 * LIMIT; i++)
		close(fds[i]);
}

static void set_retain(const char *mb)
{
	int f = open("/sys/module/zkern/parameters/retain_mb", O_WRONLY);

	need(f >= 0 && write(f, mb, strlen(mb)) == (ssize_t)strlen(mb), "retain_mb");
	close(f);
}

static void test_revoked(void)
{
	char *data = malloc(64 * 1024), buf[64];
	struct zkern_list list;
	struct zkern_info info;
	int mine = -1, theirs, i;
	struct batch b = {};

	set_retain("1");
	inst = zk_instance(&owner);
	set_retain("256");
	fd = zk_open(inst, O_RDONLY);
	zk_create(owner, 1, "/r", "first");
	theirs = zk_snapshot(fd, NULL, NULL);
	need(theirs >= 0, "snapshot");
	memset(data, 'd', 64 * 1024);
	for (i = 0; i < 40; i++) {
		batch_reset(&b);
		batch_txn(&b, 2 + i);
		batch_op(&b, ZKERN_OP_SETDATA, "/r", data, 64 * 1024, NULL, 0)->version = 1 + i;
		need(!zk_apply(owner, &b, NULL), "apply");
		if (i == 5)
			is(zk_exists(theirs, "/r", NULL), 0, "a snapshot that holds back little");
		if (i == 20) {
			mine = zk_snapshot(owner, NULL, NULL);
			need(mine >= 0, "snapshot");
		}
	}
	is(zk_exists(theirs, "/r", NULL), -ESTALE, "one that holds back too much is revoked");
	is(zk_children(theirs, "/", "", buf, sizeof(buf), &list), -ESTALE, "  for children");
	is(read(theirs, buf, sizeof(buf)) < 0 ? -errno : 0, -ESTALE, "  for its dump");
	is(zk_info(theirs, &info), 0, "  but says what it was");
	ok(info.zxid == 1, "  at 1");
	is(zk_exists(mine, "/r", NULL), 0, "the owner's is not revoked");
	is(zk_exists(fd, "/r", NULL), 0, "the device reads on");
	need(!zk_info(fd, &info), "info");
	ok(info.retained > 1024 * 1024, "  and says what is held back (%llu)",
	   (unsigned long long)info.retained);
	close(mine);
	close(theirs);
	for (i = 0; i < 1000 && info.retained; i++) {
		usleep(10000);
		need(!zk_info(fd, &info), "info");
	}
	is(info.retained, 0, "  until the snapshots are closed");
	close(fd);
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	batch_free(&b);
	free(data);
}

/* The owner's dump, loaded into another instance, is the same tree. */
static void test_round_trip(void)
{
	int snap = zk_snapshot(owner, NULL, NULL), o2, id;
	struct zkern_load load = { .zxid = 1 };
	struct zkern_info a, b;
	struct dump d = {};
	struct batch batch;

	need(snap >= 0 && !dump_read(snap, 1 << 20, &d), "dump");
	id = zk_instance(&o2);
	batch = (struct batch){ .buf = d.buf, .len = d.len };
	need(!zk_load(o2, ZKERN_LOAD_BEGIN, NULL, NULL), "begin");
	is(zk_load(o2, ZKERN_LOAD_NODES, &batch, &load), 0, "a dump is loaded");
	load.zxid = 1;
	is(zk_load(o2, ZKERN_LOAD_COMMIT, NULL, &load), 0, "  into another instance");
	need(!zk_info(fd, &a) && !zk_info(o2, &b), "info");
	ok(a.digest == b.digest && a.nodes == b.nodes && a.data_bytes == b.data_bytes,
	   "  and is the same tree");
	close(snap);
	close(o2);
	zk_del(id, 0);
	free(d.buf);
}

int main(void)
{
	inst = zk_instance(&owner);
	fd = zk_open(inst, O_RDONLY);
	need(fd >= 0, "open");
	fill();
	test_dump();
	test_faults();
	test_round_trip();
	test_limits();
	test_frozen();
	test_revoked();
	return tap_end();
}
