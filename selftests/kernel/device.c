// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The device's reads, one by one, and what they say to bad requests. Built for 32
 * bits as well: the same structs must mean the same.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"

#define PAGE	4096
#define BIG	(1024 * 1024 - 100)

static int owner, fd, inst;

/* @pages readable and writable ones with a hole behind them. */
static char *guarded(size_t pages)
{
	char *p = mmap(NULL, (pages + 1) * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(p != MAP_FAILED, "mmap");
	need(!mprotect(p + pages * PAGE, PAGE, PROT_NONE), "mprotect");
	return p;
}

static void test_empty(void)
{
	struct zkern_info info;
	struct zkern_list list;
	char buf[64];
	int other, o;

	inst = zk_new(~0u, ~0u);
	need(inst >= 0, "cannot make an instance (%d)", inst);
	other = zk_open(inst, O_RDONLY);
	is(zk_info(other, &info), 0, "info of a new instance");
	ok(info.api == ZKERN_API_VERSION && info.instance == (uint32_t)inst &&
	   info.state == ZKERN_STATE_EMPTY && !info.zxid && info.age_ms == ~0ull &&
	   !info.owner_pid, "  says that it is empty, never heard of, and nobody's");
	is(zk_exists(other, "/", NULL), -ESTALE, "an empty instance gives no stat");
	is(zk_children(other, "/", "", buf, sizeof(buf), &list), -ESTALE, "  no children");
	is(zk_snapshot(other, NULL, NULL), -ESTALE, "  no snapshot");
	o = zk_open(inst, O_RDWR);
	need(!zk_own(o, NULL), "own");
	is(zk_exists(o, "/", NULL), 0, "  but its owner sees the root");
	is(zk_info(other, &info), 0, "info of an owned instance");
	ok(info.owner_pid == (uint32_t)getpid() && !strcmp((char *)info.label, "a test"),
	   "  names the owner");
	close(other);
	close(o);
	is(zk_del(inst, 0), 0, "the instance is removed");
	is(zk_del(inst, 0), -ENODEV, "  once");
	is(zk_open(inst, O_RDONLY), -ENOENT, "  and its node is gone");
}

static void test_get(void)
{
	struct zkern_get get = {};
	struct zkern_stat *st = &get.stat;
	char buf[64];

	zk_create(owner, 10, "/a", "hello");
	is(zk_get(fd, "/a", buf, sizeof(buf), &get), 0, "get");
	ok(get.len == 5 && !memcmp(buf, "hello", 5), "  gives the data");
	ok(get.zxid == 10 && get.state == ZKERN_STATE_STANDALONE && get.age_ms < 100000,
	   "  zxid, state, age");
	ok(st->czxid == 10 && st->mzxid == 10 && st->pzxid == 10 && st->ctime == 10000 &&
	   st->mtime == 10000 && !st->version && !st->cversion && !st->aversion &&
	   st->data_len == 5 && !st->num_children && !st->ephemeral_owner, "  and the stat");
	ok(get.crc == crc_of("/a", "hello", 5), "  and the CRC");

	zk_set(owner, 11, "/a", "more than hello", 1);
	zk_create(owner, 12, "/a/b", "");
	is(zk_get(fd, "/a", buf, sizeof(buf), &get), 0, "get after a change");
	ok(get.len == 15 && get.zxid == 12 && st->mzxid == 11 && st->version == 1 &&
	   st->pzxid == 12 && st->cversion == 1 && st->num_children == 1 && st->czxid == 10,
	   "  gives what is new");

	memset(buf, 'x', sizeof(buf));
	is(zk_get(fd, "/a", buf, 14, &get), -EMSGSIZE, "a buffer too small by one");
	ok(get.len == 15 && st->version == 1 && get.zxid == 12 && buf[0] == 'x',
	   "  gives length and stat and leaves the buffer");
	is(zk_get(fd, "/a", buf, 15, &get), 0, "a buffer that just fits");
	ok(buf[14] == 'o' && buf[15] == 'x', "  is filled to its end and not further");

	is(zk_get(fd, "/a/b", buf, 0, &get), 0, "empty data wants no buffer");
	ok(!get.len && !st->data_len, "  and has length 0");
	is(zk_exists(fd, "/a", &get), 0, "exists");
	ok(!get.len && st->data_len == 15 && get.crc, "  gives the stat alone");
	is(zk_exists(fd, "/nope", &get), -ENOENT, "what is not there does not exist");
	ok(get.zxid == 12 && !st->czxid && !st->data_len, "  as of a zxid, with an empty stat");
	is(zk_exists(fd, "/", &get), 0, "the root exists");
}

static void test_paths(void)
{
	static const char * const bad[] = {
		"", "a", "//", "/a/", "/a//b", "/.", "/..", "/a/./b", "/a/../b",
	};
	struct zkern_get get = { .size = sizeof(get), .path = ptr("/a\0b"), .path_len = 4 };
	char longest[700], deep[512] = "";
	struct batch b = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		is(zk_exists(fd, bad[i], NULL), -EINVAL, "path '%s' is refused", bad[i]);
	get.flags = ZKERN_GET_NODATA;
	is(zk_ioctl(fd, ZKERN_GET, &get), -EINVAL, "a path with a NUL is refused");
	is(zk_exists(fd, "/.a", NULL), -ENOENT, "path '/.a' is not");
	get.path_len = ZKERN_PATH_MAX + 1;
	is(zk_ioctl(fd, ZKERN_GET, &get), -EINVAL, "a path over the limit is refused");

	batch_txn(&b, 20);
	memset(longest, 'n', sizeof(longest));
	longest[0] = '/';
	for (i = 255; i <= 257; i++) {
		longest[i] = '\0';
		batch_create(&b, longest, "long");
		longest[i] = 'n';
	}
	longest[699] = '\0';
	batch_create(&b, longest, "longest");
	for (i = 0; i < 100; i++) {
		strcat(deep, "/d");
		batch_create(&b, deep, "deep");
	}
	need(!zk_apply(owner, &b, NULL), "apply");
	batch_free(&b);
	for (i = 255; i <= 257; i++) {
		longest[i] = '\0';
		is(zk_exists(fd, longest, NULL), 0, "a path of %u bytes is found", i);
		longest[i] = 'n';
	}
	is(zk_exists(fd, longest, NULL), 0, "a path of 699 bytes is found");
	longest[698] = '\0';
	is(zk_exists(fd, longest, NULL), -ENOENT, "  one of 698 is not");
	is(zk_exists(fd, deep, NULL), 0, "a path of 100 levels is found");
	deep[strlen(deep) - 2] = '\0';
	is(zk_exists(fd, deep, NULL), 0, "  and its parent");
}

static void test_data(void)
{
	static const int sizes[] = { 1, 4095, 4096, 32768, 32769, 65536, BIG };
	char *data = malloc(BIG), *buf = malloc(BIG), name[32];
	struct zkern_get get = {};
	struct batch b = {};
	unsigned int i;

	for (i = 0; i < BIG; i++)
		data[i] = i * 7 + i / 256;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		snprintf(name, sizeof(name), "/size%d", sizes[i]);
		batch_txn(&b, 30 + i);
		batch_op(&b, ZKERN_OP_CREATE, name, data, sizes[i], &open_acl, 0);
		need(!zk_apply(owner, &b, NULL), "apply %s", name);
		batch_reset(&b);
		memset(buf, 0, BIG);
		is(zk_get(fd, name, buf, BIG, &get), 0, "get %d bytes", sizes[i]);
		ok(get.len == (unsigned int)sizes[i] && !memcmp(buf, data, get.len),
		   "  are those that were written");
	}
	batch_txn(&b, 39);
	batch_op(&b, ZKERN_OP_CREATE, "/null", NULL, -1, &open_acl, 0);
	need(!zk_apply(owner, &b, NULL), "apply /null");
	is(zk_get(fd, "/null", buf, BIG, &get), 0, "get null data");
	ok(!get.len && get.stat.data_len == -1, "  which is not empty data");
	batch_free(&b);
	free(data);
	free(buf);
}

/* A struct of any size, at the end of a page, in front of a hole. */
static int get_sized(uint32_t size, int junk_at)
{
	char *p = guarded(2), *at = p + 2 * PAGE - (size < 4 ? 4 : size);
	struct zkern_get get = {
		.size = size, .flags = ZKERN_GET_NODATA, .path = ptr("/a"), .path_len = 2,
	};
	int err;

	memcpy(at, &get, size < sizeof(get) ? (size < 4 ? 4 : size) : sizeof(get));
	if (junk_at)
		at[junk_at] = 1;
	err = zk_ioctl(fd, ZKERN_GET, at);
	munmap(p, 3 * PAGE);
	return err;
}

static void test_sizes(void)
{
	struct { struct zkern_get get; uint64_t more[2]; } wide = {};
	struct zkern_get get = {};

	is(get_sized(0, 0), -EINVAL, "a struct of size 0 is refused");
	is(get_sized(7, 0), -EINVAL, "  of size 7");
	is(get_sized(8, 0), -EINVAL, "  of size 8: there is no path");
	is(get_sized(28, 0), 0, "one that ends behind the path's length will do");
	is(get_sized(offsetof(struct zkern_get, len), 0), 0, "one without results too");
	is(get_sized(sizeof(struct zkern_get), 0), 0, "one of the kernel's size");
	is(get_sized(sizeof(struct zkern_get) + 64, 0), 0, "a longer one, zeros");
	is(get_sized(sizeof(struct zkern_get) + 64, sizeof(struct zkern_get) + 63), -E2BIG,
	   "a longer one with something in its last byte");
	is(get_sized(PAGE, 0), 0, "one of a page");
	is(get_sized(PAGE + 1, 0), -E2BIG, "one of more than a page");

	get.size = offsetof(struct zkern_get, zxid);
	get.flags = ZKERN_GET_NODATA;
	get.path = ptr("/a");
	get.path_len = 2;
	get.zxid = 77;
	is(zk_ioctl(fd, ZKERN_GET, &get), 0, "a short struct");
	ok(get.state == ZKERN_STATE_STANDALONE && get.zxid == 77, "  is written up to its end");
	wide.get = get;
	wide.get.size = sizeof(wide);
	is(zk_ioctl(fd, ZKERN_GET, &wide), 0, "a long struct");
	ok(wide.get.zxid && wide.get.size == sizeof(wide) && !wide.more[0],
	   "  is written up to the kernel's end");
	is(zk_ioctl(fd, _IOWR(ZKERN_IOC, _IOC_NR(ZKERN_GET), char[3]), &wide), 0,
	   "the size in the command does not matter");
}

static void test_requests(void)
{
	struct zkern_get get = { .flags = 4 };
	struct zkern_info info;
	int wo, ro;

	is(zk_get(fd, "/a", NULL, 0, &get), -EINVAL, "an unknown flag");
	get.flags = ZKERN_GET_NODATA | ZKERN_GET_ACL;
	is(zk_get(fd, "/a", NULL, 0, &get), -EINVAL, "two flags that exclude each other");
	is(zk_ioctl(fd, _IO(ZKERN_IOC, 0xbf), NULL), -ENOTTY, "an unknown command");
	is(zk_ioctl(fd, _IO('y', _IOC_NR(ZKERN_GET)), NULL), -ENOTTY, "somebody else's command");
	is(zk_ioctl(fd, ZKERN_NEW, NULL), -ENOTTY, "the control node's command");
	wo = zk_open(inst, O_WRONLY);
	is(zk_exists(wo, "/a", NULL), -EBADF, "reading a file that is open for writing");
	is(zk_info(wo, &info), 0, "  but info is for all");
	close(wo);
	ro = zk_open(inst, O_RDONLY);
	is(zk_own(ro, NULL), -EBADF, "owning by a file that is open for reading");
	close(ro);
	ok(read(fd, &info, 1) == -1 && errno == EINVAL, "there is nothing to read(2)");
	ok(lseek(fd, 0, SEEK_SET) == -1 && errno == ESPIPE, "  and nowhere to seek");
}

static void test_faults(void)
{
	char *p = guarded(2), *end = p + 2 * PAGE, *fresh;
	struct zkern_get get = {};
	size_t big = 16 * PAGE;
	int err;

	is(zk_ioctl(fd, ZKERN_GET, NULL), -EFAULT, "no struct");
	is(zk_ioctl(fd, ZKERN_GET, end), -EFAULT, "a struct in a hole");
	is(zk_get(fd, "/size4096", end, 4096, &get), -EFAULT, "a buffer in a hole");
	is(zk_get(fd, "/size4096", end - 4095, 4096, &get), -EFAULT, "  one that reaches into it");
	is(zk_get(fd, "/size4096", end - 4096, 4096, &get), 0, "  one just before it");
	is(zk_get(fd, "/size65536", end - 4096, 65536, &get), -EFAULT, "  one for large data");
	is(zk_get(fd, "/size1", (void *)-4096l, 1, &get), -EFAULT, "a buffer in the kernel");
	is(zk_get(fd, "/size65536", (void *)-4096l, 65536, &get), -EFAULT, "  and for large data");

	get = (struct zkern_get){ .size = sizeof(get), .flags = ZKERN_GET_NODATA };
	memcpy(end - 2, "/a", 2);
	get.path = ptr(end - 2);
	get.path_len = 2;
	is(zk_ioctl(fd, ZKERN_GET, &get), 0, "a path just before a hole");
	get.path_len = 3;
	is(zk_ioctl(fd, ZKERN_GET, &get), -EFAULT, "  one that reaches into it");

	need(!mprotect(p, PAGE, PROT_READ), "mprotect");
	is(zk_get(fd, "/size1", p, 1, NULL), -EFAULT, "a buffer that is read-only");
	munmap(p, 3 * PAGE);

	fresh = mmap(NULL, big, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(fresh != MAP_FAILED, "mmap");
	get.flags = 0;
	is(zk_get(fd, "/size4096", fresh + 100, 4096, &get), 0, "a buffer nobody has touched yet");
	ok(get.len == 4096 && fresh[100 + 4095] == (char)(4095 * 7 + 4095 / 256), "  has it all");
	is(zk_get(fd, "/size32768", fresh + 4096, big - 4096, &get), 0, "  a larger one");
	ok(fresh[4096 + 32767] == (char)(32767 * 7 + 32767 / 256), "  too");
	munmap(fresh, big);
	fresh = mmap(NULL, big, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(fresh != MAP_FAILED, "mmap");
	is(zk_get(fd, "/size65536", fresh, big, &get), 0, "  and one for large data");
	ok(fresh[65535] == (char)(65535 * 7 + 65535 / 256), "  too");
	munmap(fresh, big);

	/* results into a struct that may only be read */
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(p != MAP_FAILED, "mmap");
	get.path_len = 2;
	get.path = ptr("/a");
	get.flags = ZKERN_GET_NODATA;
	memcpy(p, &get, sizeof(get));
	need(!mprotect(p, PAGE, PROT_READ), "mprotect");
	err = zk_ioctl(fd, ZKERN_GET, p);
	is(err, -EFAULT, "a struct that is read-only");
	munmap(p, PAGE);
}

static void test_acl(void)
{
	struct zkern_get get = { .flags = ZKERN_GET_ACL };
	uint8_t buf[64];

	is(zk_get(fd, "/a", buf, sizeof(buf), &get), 0, "the ACL");
	ok(get.len == open_acl.len && !memcmp(buf, open_acl.bytes, get.len), "  is jute's");
	is(zk_get(fd, "/a", buf, 26, &get), -EMSGSIZE, "  and wants room");
	ok(get.len == 27, "  of its length");
	is(zk_get(fd, "/nope", buf, 64, &get), -ENOENT, "  and a node");
}

static void test_read(void)
{
	static const char * const paths[] = { "/a", "/nope", "bad", "/size1", "/a/b" };
	struct zkern_get gets[5];
	struct zkern_read req = {
		.size = sizeof(req), .gets = ptr(gets), .count = 5,
	};
	char buf[5][16];
	int i;

	memset(gets, 0, sizeof(gets));
	for (i = 0; i < 5; i++) {
		gets[i].size = sizeof(gets[i]);
		gets[i].path = ptr(paths[i]);
		gets[i].path_len = strlen(paths[i]);
		gets[i].buf = ptr(buf[i]);
		gets[i].buf_len = 16;
	}
	gets[4].buf = 8;		/* empty data: not touched */
	gets[0].buf_len = 3;
	is(zk_ioctl(fd, ZKERN_READ, &req), 0, "five paths at once");
	ok(gets[0].err == EMSGSIZE && gets[0].len == 15, "  one too long");
	ok(gets[1].err == ENOENT, "  one not there");
	ok(gets[2].err == EINVAL, "  one malformed");
	ok(!gets[3].err && gets[3].len == 1, "  one read");
	ok(!gets[4].err && !gets[4].len, "  one empty");
	ok(gets[3].zxid == req.zxid && gets[4].zxid == req.zxid && gets[1].zxid == req.zxid &&
	   req.zxid >= 39 && req.state == ZKERN_STATE_STANDALONE, "  all at one zxid");
	gets[3].buf = 8;
	is(zk_ioctl(fd, ZKERN_READ, &req), 0, "a bad buffer");
	ok(gets[3].err == EFAULT, "  is its entry's trouble");
	gets[1].min_zxid = 1;
	is(zk_ioctl(fd, ZKERN_READ, &req), -EINVAL, "an entry does not wait");
	gets[1].min_zxid = 0;
	gets[1].size -= 8;
	is(zk_ioctl(fd, ZKERN_READ, &req), -EINVAL, "entries are of one size");
	gets[1].size += 8;
	req.count = 6;
	req.gets = 8;
	is(zk_ioctl(fd, ZKERN_READ, &req), -EFAULT, "no array");
	req.count = ZKERN_READ_MAX + 1;
	is(zk_ioctl(fd, ZKERN_READ, &req), -EINVAL, "too many entries");
	req.count = 0;
	is(zk_ioctl(fd, ZKERN_READ, &req), 0, "no entries");
	req.flags = 1;
	is(zk_ioctl(fd, ZKERN_READ, &req), -EINVAL, "an unknown flag");
}

int main(void)
{
	test_empty();
	inst = zk_instance(&owner);
	fd = zk_open(inst, O_RDONLY);
	need(fd >= 0, "open");
	test_get();
	test_paths();
	test_data();
	test_sizes();
	test_requests();
	test_faults();
	test_acl();
	test_read();
	close(fd);
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
