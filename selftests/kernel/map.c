// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mapped nodes: what is in the pages, what mappings are refused, who may have one and
 * when it is revoked, waiting. What races is in map_race.c, preemption in map_step.c.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tap.h"
#include "mapped.h"

#define USER	1000

static int inst, owner, fd;
static uint64_t zxid = 10;

static void set(const char *path, const char *data)
{
	struct zkern_get get = {};

	need(!zk_exists(owner, path, &get), "exists %s", path);
	zk_set(owner, ++zxid, path, data, get.stat.version + 1);
}

static void create(const char *path, const char *data)
{
	zk_create(owner, ++zxid, path, data);
}

static void delete(const char *path)
{
	struct batch b = {};

	batch_txn(&b, ++zxid);
	batch_delete(&b, path);
	need(!zk_apply(owner, &b, NULL), "delete %s", path);
	batch_free(&b);
}

static void set_acl(const char *path, uint32_t perms, const char *scheme, const char *id)
{
	struct batch b = {};
	struct acl acl;

	acl_none(&acl);
	acl_add(&acl, perms, scheme, id);
	batch_txn(&b, ++zxid);
	batch_op(&b, ZKERN_OP_SETACL, path, NULL, 0, &acl, 0)->version = 1;
	need(!zk_apply(owner, &b, NULL), "setacl %s", path);
	batch_free(&b);
}

/* Is the page what ZKERN_GET says (MA)? */
static bool agrees(struct mapped *m, const char *path)
{
	static char a[ZKERN_MAP_DATA_MAX], b[ZKERN_MAP_DATA_MAX];
	struct zkern_map_got got;
	struct zkern_get get = {};
	struct zkern_stat stat;

	if (mapped_get(m, a, sizeof(a), &got, &stat) || zk_get(fd, path, b, sizeof(b), &get))
		return false;
	return got.zxid == get.zxid && got.len == get.stat.data_len &&
	       !memcmp(&stat, &get.stat, sizeof(stat)) && !memcmp(a, b, get.len) &&
	       zkern_map_slot(&m->map, got.version)->crc == get.crc;
}

/* Bytes of the node's pages, behind the head, that are not zero. */
static size_t bytes_left(const struct mapped *m)
{
	const uint8_t *p = (const uint8_t *)(m->map.node + 1);
	size_t n = m->req.map_len - m->req.node_off - sizeof(*m->map.node), left = 0;

	while (n--)
		left += *p++ != 0;
	return left;
}

static void test_content(void)
{
	struct zkern_map_got got;
	struct zkern_stat stat;
	struct mapped m, same;
	struct batch b = {};
	uint64_t version;

	create("/a", "one");
	is(mapped_open(fd, "/a", &m), 0, "a node is mapped");
	ok(m.req.map_len == 2 * (uint32_t)getpagesize() && m.req.zxid == zxid &&
	   m.req.data_max > 1000, "  in two pages, with room for %u bytes", m.req.data_max);
	ok(mapped_says(&m, "one") && agrees(&m, "/a"), "MA: it has data and stat");
	set("/a", "another one");
	ok(mapped_says(&m, "another one") && agrees(&m, "/a"), "MA: of now, too");
	set("/a", "two");
	ok(mapped_says(&m, "two") && agrees(&m, "/a"), "  and when it is shorter");
	set("/a", "3");
	mapped_get(&m, NULL, 0, &got, NULL);
	ok(!memcmp(zkern_map_slot(&m.map, got.version)->data, "3\0\0\0\0\0\0\0\0\0\0", 11),
	   "MG: nothing of the longer one that was there is behind it");
	create("/a/child", "");
	is(mapped_get(&m, NULL, 0, &got, &stat), -EMSGSIZE, "a buffer that is too small");
	ok(got.len == 1 && stat.num_children == 1, "  gets length and stat: a child was made");
	ok(agrees(&m, "/a"), "  as ZKERN_GET has it");
	mapped_get(&m, NULL, 0, &got, NULL);
	version = got.version;
	create("/a/child/deeper", "");
	set("/a/child", "x");
	mapped_get(&m, NULL, 0, &got, NULL);
	ok(got.version == version && got.zxid == zxid,
	   "what other nodes change is no version of this one, but counts in its zxid");
	batch_txn(&b, ++zxid);
	batch_op(&b, ZKERN_OP_SETDATA, "/a", NULL, -1, NULL, 0)->version = 9;
	need(!zk_apply(owner, &b, NULL), "set null");
	is(mapped_get(&m, NULL, 0, &got, NULL), 0, "null data");
	is(got.len, -1, "  is that");
	set("/a", "");
	is(mapped_get(&m, NULL, 0, &got, NULL), 0, "empty data");
	is(got.len, 0, "  is something else");
	batch_reset(&b);
	batch_txn(&b, ++zxid);
	batch_set(&b, "/a", "first", 20);
	batch_set(&b, "/a", "second", 21);
	need(!zk_apply(owner, &b, NULL), "multi");
	ok(mapped_says(&m, "second") && agrees(&m, "/a"), "a multi that sets it twice");
	is(mapped_open(fd, "/a", &same), 0, "it is mapped a second time");
	set("/a", "shared");
	ok(mapped_says(&m, "shared") && mapped_says(&same, "shared"), "  both say the same");
	ok(!memcmp(m.map.node, same.map.node, sizeof(*m.map.node)), "  and are one page");
	mapped_close(&same);
	set("/a", "alone");
	ok(mapped_says(&m, "alone"), "one goes, the other stays current");
	close(m.fd);
	set("/a", "no file");
	ok(mapped_says(&m, "no file"), "so it does when its file is closed");
	munmap(m.base, m.req.map_len);
	is(mapped_open(fd, "/", &m), 0, "the root");
	ok(agrees(&m, "/"), "  is a node too");
	mapped_close(&m);
	batch_free(&b);
}

static char big[ZKERN_MAP_DATA_MAX + 2];

static void set_len(const char *path, unsigned int len)
{
	memset(big, 'b', len);
	big[len] = '\0';
	set(path, big);
}

static void test_sizes(void)
{
	struct zkern_map_got got;
	struct zkern_stat stat;
	struct mapped m, large;
	const struct zkern_map_slot *slot;
	unsigned int i, bad = 0;

	create("/size", "small");
	is(mapped_open(fd, "/size", &m), 0, "a small node");
	for (i = 0; i < 40; i++) {
		set_len("/size", m.req.data_max - i);
		bad += !agrees(&m, "/size");
	}
	is(bad, 0, "as much as fits, and a little less");
	set_len("/size", m.req.data_max + 1);
	slot = zkern_map_slot(&m.map, zkern_map_load(&m.map.node->done));
	ok(slot->flags == ZKERN_MAP_LONG && slot->stat.data_len == (int)m.req.data_max + 1,
	   "more is left out, and said so");
	is(mapped_get(&m, big, sizeof(big), &got, &stat), -EAGAIN, "  which no reader takes");
	ok(!memchr(slot->data, 'b', m.req.data_max), "MG: nor is anything of it there");
	set("/size", "back");
	ok(mapped_says(&m, "back") && agrees(&m, "/size"), "short again, it is back");
	set_len("/size", 20000);
	is(mapped_open(fd, "/size", &large), 0, "a long one is mapped");
	ok(large.req.data_max >= 20000 && agrees(&large, "/size"), "  with room (%u bytes)",
	   large.req.data_max);
	is(mapped_why(&m), ZKERN_MAP_GROWN, "  in the place of the small one");
	is(bytes_left(&m), 0, "  that has nothing any more");
	mapped_close(&m);
	set_len("/size", ZKERN_MAP_DATA_MAX);
	is(mapped_open(fd, "/size", &m), 0, "the longest");
	ok(m.req.data_max == ZKERN_MAP_DATA_MAX && agrees(&m, "/size"), "  is there");
	mapped_close(&large);
	set_len("/size", ZKERN_MAP_DATA_MAX + 1);
	is(mapped_open(fd, "/size", &large), 0, "a longer one can be mapped");
	ok(zkern_map_slot(&large.map, zkern_map_load(&large.map.node->done))->flags &
	   ZKERN_MAP_LONG, "  but not its data");
	is(mapped_why(&m), 0, "  and the one that was stays");
	mapped_close(&large);
	mapped_close(&m);
}

static int try_map(int prot, int flags, size_t len, off_t off, int f)
{
	void *p = mmap(NULL, len, prot, flags, f, off);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, len);
	return 0;
}

static int in_child(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	need(pid >= 0, "fork");
	if (!pid)
		_exit(fn(arg));
	need(waitpid(pid, &status, 0) == pid, "wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int read_in_child(void *arg)
{
	return !mapped_says(arg, "plain");
}

static int write_in_child(void *arg)
{
	struct mapped *m = arg;

	*(volatile char *)(uintptr_t)m->map.node = 1;
	return 0;
}

static void test_mmap(void)
{
	size_t page = getpagesize(), len;
	struct mapped m;
	void *p;
	int f;

	create("/m", "plain");
	need(!mapped_open(fd, "/m", &m), "map");
	len = m.req.map_len;
	is(try_map(PROT_READ | PROT_WRITE, MAP_SHARED, len, 0, m.fd), -EACCES, "not to be written");
	is(try_map(PROT_READ | PROT_WRITE, MAP_PRIVATE, len, 0, m.fd), -EINVAL, "not private");
	is(try_map(PROT_READ, MAP_PRIVATE, len, 0, m.fd), -EINVAL, "  even if read only");
	is(try_map(PROT_READ | PROT_EXEC, MAP_SHARED, len, 0, m.fd), -EPERM, "not executable");
	is(try_map(PROT_READ, MAP_SHARED, len + page, 0, m.fd), -EINVAL, "not beyond its end");
	is(try_map(PROT_READ, MAP_SHARED, page, len, m.fd), -EINVAL, "not behind it");
	is(try_map(PROT_READ, MAP_SHARED, page, page, m.fd), 0, "a part will do");
	is(mprotect(m.base, len, PROT_READ | PROT_WRITE) ? -errno : 0, -EACCES,
	   "mprotect does not make it writable");
	is(mprotect(m.base, len, PROT_READ | PROT_EXEC) ? -errno : 0, -EACCES,
	   "  nor executable");
	p = mremap(m.base, len, len + page, MREMAP_MAYMOVE);
	ok(p == MAP_FAILED, "mremap does not make it longer");
	f = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	need(f >= 0, "/proc/self/mem");
	ok(pwrite64(f, "x", 1, (off64_t)ptr(m.map.node)) < 0,
	   "nor can it be written past its mode");
	ok(pread64(f, big, 64, (off64_t)ptr(m.map.node)) == 64 &&
	   !memcmp(big, m.map.node, 64), "  but be read as memory is");
	close(f);
	is(in_child(write_in_child, &m), 128 + SIGSEGV, "who writes to it, is to blame");
	is(in_child(read_in_child, &m), 0, "a child has it too");
	is(madvise(m.base, len, MADV_DONTNEED), 0, "dropped from the page tables,");
	ok(mapped_says(&m, "plain"), "  it comes back");
	p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(p != MAP_FAILED, "mmap");
	ok(mremap(m.base, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p, "it can be moved");
	m.base = p;
	m.map.tree = p;
	m.map.node = (void *)((char *)p + m.req.node_off);
	ok(mapped_says(&m, "plain"), "  and is read there");
	munmap((char *)p + page, page);
	ok(zkern_map_load(&m.map.tree->zxid) == zxid, "half of it can go");
	close(m.fd);
	munmap(p, page);
	f = zk_open(inst, O_WRONLY);
	is(mapped_fd(f, "/m", &m), -EBADF, "who may not read the device maps nothing");
	close(f);
	is(mapped_fd(fd, "/none", &m), -ENOENT, "nor is there what is not there");
	ok(m.req.zxid == zxid, "  as of a zxid");
	is(mapped_fd(fd, "none", &m), -EINVAL, "a path is a path");
}

static int map_as(void *arg)
{
	struct mapped m;
	int err = mapped_open(fd, arg, &m);

	return err ? -err : mapped_says(&m, "secret") ? 0 : 126;
}

static void test_access(void)
{
	struct mapped m, n;
	struct zkern_get get = {};

	create("/acl", "secret");
	need(!mapped_open(fd, "/acl", &m), "map");
	set_acl("/acl", ALL, "uid", "0");
	is(mapped_why(&m), ZKERN_MAP_ACL, "MF: an ACL that does not let all read revokes");
	is(bytes_left(&m), 0, "  and nothing is left in the page");
	set("/acl", "secret");
	is(bytes_left(&m), 0, "  nor comes there");
	is(as_user(USER, USER, USER, map_as, "/acl"), EACCES, "who may not read it cannot map it");
	is(as_user(0, 0, 0, map_as, "/acl"), 0, "  who may, can");
	is(mapped_open(fd, "/acl", &n), 0, "it is mapped anew");
	set_acl("/acl", ALL, "uid", "1000");
	is(mapped_why(&n), ZKERN_MAP_ACL, "MF: an ACL for others revokes");
	is(as_user(USER, USER, USER, map_as, "/acl"), 0, "  who can map it now");
	is(mapped_fd(owner, "/acl", &n), 0, "  and so can the owner");
	mapped_close(&m);
	close(n.fd);
	set_acl("/acl", READ, "world", "anyone");
	need(!mapped_open(fd, "/acl", &m), "map");
	set_acl("/acl", READ | WRITE, "world", "anyone");
	is(mapped_why(&m), 0, "MF: who all may read before and after, stays");
	need(!zk_exists(fd, "/acl", &get), "exists");
	ok(agrees(&m, "/acl"), "  with the new stat");
	set_acl("/acl", READ, "uid", "1000");
	is(mapped_why(&m), ZKERN_MAP_ACL, "  until not all may");
	mapped_close(&m);
}

/* Sends @fd to a child of another user, who has no right to the node but reads it. */
static int receive_in_child(void *arg)
{
	char buf[CMSG_SPACE(sizeof(int))] = "", byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = buf,
			      .msg_controllen = sizeof(buf) };
	struct mapped *m = arg;
	void *p;

	if (recvmsg(m->req.fd, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return 1;
	memcpy(&m->fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	p = mmap(NULL, m->req.map_len, PROT_READ, MAP_SHARED, m->fd, 0);
	if (p == MAP_FAILED)
		return 2;
	m->map.tree = p;
	m->map.node = (void *)((char *)p + m->req.node_off);
	return !mapped_says(m, "handed on");
}

static void test_handed_on(void)
{
	char buf[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = buf,
			      .msg_controllen = sizeof(buf) };
	struct mapped m, child;
	struct cmsghdr *c;
	int pair[2];

	create("/hand", "handed on");
	set_acl("/hand", ALL, "uid", "0");
	need(!mapped_open(fd, "/hand", &m), "map");
	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &m.fd, sizeof(int));
	need(sendmsg(pair[0], &msg, 0) == 1, "sendmsg");
	child = m;
	child.req.fd = pair[1];
	is(as_user(USER, USER, USER, receive_in_child, &child), 0,
	   "MF: who is handed the file has what it gives");
	close(pair[0]);
	close(pair[1]);
	mapped_close(&m);
}

static void test_revoked(void)
{
	struct batch b = {};
	struct mapped m, n;
	int other, o;

	create("/gone", "was here");
	need(!mapped_open(fd, "/gone", &m), "map");
	delete("/gone");
	is(mapped_why(&m), ZKERN_MAP_DELETED, "MF: a node that is deleted is revoked");
	is(bytes_left(&m), 0, "  and wiped");
	create("/gone", "again");
	is(mapped_why(&m), ZKERN_MAP_DELETED, "  the next one of its name is another");
	is(mapped_open(fd, "/gone", &n), 0, "  that can be mapped");
	ok(mapped_says(&n, "again"), "  and read");
	mapped_close(&m);
	batch_txn(&b, ++zxid);
	batch_delete(&b, "/gone");
	batch_create(&b, "/gone", "in one");
	need(!zk_apply(owner, &b, NULL), "multi");
	is(mapped_why(&n), ZKERN_MAP_DELETED, "deleted and made again in one transaction too");
	mapped_close(&n);

	need(!mapped_open(fd, "/gone", &m), "map");
	batch_reset(&b);
	batch_txn(&b, zxid + 1);
	batch_set(&b, "/gone", "never", 1);
	batch_delete(&b, "/not there");
	is(zk_apply(owner, &b, NULL), -ENOENT, "a transaction that is refused");
	ok(mapped_says(&m, "in one") && zkern_map_load(&m.map.tree->zxid) == zxid,
	   "  leaves no trace in the pages");
	mapped_close(&m);

	batch_reset(&b);
	batch_txn(&b, ++zxid);
	batch_op(&b, ZKERN_OP_CREATE, "/eph", "e", 1, &open_acl, 77);
	need(!zk_apply(owner, &b, NULL), "ephemeral");
	need(!mapped_open(fd, "/eph", &m), "map");
	batch_reset(&b);
	batch_txn(&b, ++zxid);
	batch_op(&b, ZKERN_OP_CLOSE, "", NULL, 0, NULL, 77);
	need(!zk_apply(owner, &b, NULL), "close");
	is(mapped_why(&m), ZKERN_MAP_DELETED, "an ephemeral goes with its session");
	mapped_close(&m);

	other = zk_instance(&o);
	zk_create(o, 5, "/x", "x");
	n.fd = zk_open(other, O_RDONLY);
	need(!mapped_open(n.fd, "/x", &m), "map");
	is(zk_del(other, ZKERN_DEL_FORCE), 0, "an instance is removed");
	ok(mapped_why(&m) == ZKERN_MAP_REMOVED && !zkern_map_load(&m.map.tree->tree),
	   "MF: its nodes are revoked, and it is said");
	is(bytes_left(&m), 0, "  nothing is left");
	mapped_close(&m);
	close(o);
	batch_free(&b);
}

static struct zkern_map_said said(const struct mapped *m)
{
	uint64_t n = zkern_map_load(&m->map.tree->said_n);

	return m->map.tree->said[n & 1];
}

static void test_tree(void)
{
	struct zkern_load load = {};
	struct zkern_info info;
	struct batch b = {};
	struct mapped m, n;
	int id, o, f;

	id = zk_instance(&o);
	f = zk_open(id, O_RDONLY);
	zk_create(o, 50, "/t", "old");
	need(!mapped_open(f, "/t", &m), "map");
	need(!zk_info(f, &info), "info");
	ok(said(&m).state == ZKERN_STATE_STANDALONE && m.map.tree->tree == info.tree &&
	   zkern_map_load(&m.map.tree->zxid) == 50, "the tree's page says what the tree is");
	is(zk_state(o, ZKERN_STATE_LEADING, ~0ull), 0, "it leads, and has heard of nobody");
	ok(said(&m).state == ZKERN_STATE_LEADING && said(&m).heard_ns == ZKERN_MAP_NEVER,
	   "  which is said");
	is(zk_state(o, ZKERN_STATE_LEADING, 5000), 0, "it has heard 5 s ago");
	ok(m.req.now_ns - said(&m).heard_ns < 60ll * 1000000000 &&
	   m.req.now_ns - said(&m).heard_ns > 4ll * 1000000000 - 60ll * 1000000000,
	   "  by the clock of ZKERN_MAP");
	batch_node(&b, "/t", "new", 3, &open_acl);
	need(!zk_load(o, ZKERN_LOAD_BEGIN, NULL, NULL), "begin");
	need(!zk_load(o, ZKERN_LOAD_NODES, &b, NULL), "nodes");
	ok(mapped_says(&m, "old"), "a tree that is built changes nothing");
	load.zxid = 40;
	is(zk_load(o, ZKERN_LOAD_COMMIT, NULL, &load), 0, "until it is swapped in, older by 10");
	is(mapped_why(&m), ZKERN_MAP_TREE, "MD: all is revoked");
	ok(zkern_map_load(&m.map.tree->zxid) == 40 && m.map.tree->tree == info.tree + 1,
	   "  and the tree's page has the new number and zxid");
	close(f);
	f = zk_open(id, O_RDONLY);
	is(mapped_open(f, "/t", &n), 0, "mapped again");
	ok(mapped_says(&n, "new"), "  it says the new");
	zk_set(o, 41, "/t", "newer", 1);
	ok(mapped_says(&n, "newer") && bytes_left(&m) == 0, "  and goes on, the old one does not");
	mapped_close(&m);
	is(zk_state(o, ZKERN_STATE_EMPTY, 0), 0, "the tree is hidden");
	is(mapped_why(&n), ZKERN_MAP_TREE, "MF: all is revoked");
	mapped_close(&n);
	is(mapped_fd(f, "/t", &n), -ESTALE, "  and nothing can be mapped");
	is(zk_state(o, ZKERN_STATE_FOLLOWING, 0), 0, "it is shown");
	is(mapped_open(f, "/t", &n), 0, "  and can be mapped");
	close(o);
	ok(said(&n).state == ZKERN_STATE_ORPHANED, "the owner goes, which is said");
	ok(mapped_says(&n, "newer"), "  and changes nothing else");
	mapped_close(&n);
	close(f);
	is(zk_del(id, 0), 0, "removed");
	batch_free(&b);
}

/* ------------------------------------------------------------ waiting */

struct waiter {
	pthread_t thread;
	int fd;
	struct zkern_map_wait req;
	int err;
	int over;
};

static void *wait_thread(void *arg)
{
	struct waiter *w = arg;

	w->err = zk_ioctl(w->fd, ZKERN_MAP_WAIT, &w->req);
	__atomic_store_n(&w->over, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void *read_thread(void *arg)
{
	struct waiter *w = arg;
	ssize_t n = read(w->fd, &w->req.version, sizeof(w->req.version));

	w->err = n < 0 ? -errno : (int)n;
	__atomic_store_n(&w->over, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void start(struct waiter *w, int f, uint64_t version, uint32_t timeout_ms,
		  void *(*fn)(void *arg))
{
	*w = (struct waiter){ .fd = f, .req = { .size = sizeof(w->req), .version = version,
						.timeout_ms = timeout_ms } };
	need(!pthread_create(&w->thread, NULL, fn, w), "thread");
}

static int join(struct waiter *w)
{
	need(!pthread_join(w->thread, NULL), "join");
	return w->err;
}

static bool over(struct waiter *w)
{
	return __atomic_load_n(&w->over, __ATOMIC_ACQUIRE);
}

static int polls(int f, int timeout_ms)
{
	struct pollfd p = { .fd = f, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1 ? p.revents : 0;
}

static void on_signal(int sig)
{
	(void)sig;
}

static void test_wait(void)
{
	struct zkern_map_got got;
	struct waiter w, v;
	struct mapped m;
	uint64_t version;

	create("/w", "0");
	need(!mapped_open(fd, "/w", &m), "map");
	need(!mapped_get(&m, big, sizeof(big), &got, NULL), "get");
	start(&w, m.fd, got.version + 1, 0, wait_thread);
	is(join(&w), 0, "MH: another version than there is is not waited for");
	ok(w.req.version == got.version, "  it is told");
	start(&w, m.fd, got.version, 50, wait_thread);
	is(join(&w), -ETIMEDOUT, "a time may be named");
	start(&w, m.fd, got.version, 0, wait_thread);
	start(&v, m.fd, got.version, LONG * 1000, wait_thread);
	set("/a", "not this one");
	usleep(20000);
	ok(!over(&w) && !over(&v), "what changes others does not end it");
	set("/w", "1");
	is(join(&w), 0, "MH: a change ends it");
	is(join(&v), 0, "  for all");
	ok(w.req.version == got.version + 1, "  who are told the version");
	start(&w, m.fd, w.req.version, 0, wait_thread);
	/* until it is seen: it may not sleep yet */
	while (!over(&w)) {
		pthread_kill(w.thread, SIGUSR1);
		usleep(1000);
	}
	is(join(&w), -EINTR, "a signal ends it");
	w.req = (struct zkern_map_wait){ .size = sizeof(w.req), .flags = 1 };
	is(zk_ioctl(m.fd, ZKERN_MAP_WAIT, &w.req), -EINVAL, "there are no flags");
	is(zk_ioctl(m.fd, ZKERN_GET, &w.req), -ENOTTY, "nor other commands");

	ok(polls(m.fd, 0) == POLLIN, "it is readable: there was a change");
	is(read(m.fd, &version, sizeof(version)), 8, "that is read");
	ok(version == got.version + 1, "  and is the version");
	is(polls(m.fd, 0), 0, "  and then there is none");
	is(fcntl(m.fd, F_SETFL, O_NONBLOCK), 0, "not to wait");
	is(read(m.fd, &version, sizeof(version)) < 0 ? -errno : 0, -EAGAIN, "  is possible");
	is(read(m.fd, &version, 4) < 0 ? -errno : 0, -EINVAL, "half of a version is none");
	is(fcntl(m.fd, F_SETFL, 0), 0, "to wait");
	start(&w, m.fd, 0, 0, read_thread);
	usleep(20000);
	ok(!over(&w), "  until there is one");
	set("/w", "2");
	is(join(&w), 8, "  is too");
	start(&w, m.fd, 0, 0, read_thread);
	start(&v, m.fd, got.version + 2, 0, wait_thread);
	usleep(20000);
	delete("/w");
	is(join(&w), 0, "a node that goes is the end of reading");
	is(join(&v), 0, "  and of waiting");
	ok(v.req.version == 0, "  for there is no version");
	ok(polls(m.fd, 0) == (POLLIN | POLLHUP), "  and is a hangup");
	v.req.version = 0;
	is(zk_ioctl(m.fd, ZKERN_MAP_WAIT, &v.req), 0, "  nor is another one waited for");
	mapped_close(&m);
}

static void test_epoll(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct mapped m;
	int e = epoll_create1(EPOLL_CLOEXEC);

	create("/e", "0");
	need(!mapped_open(fd, "/e", &m), "map");
	need(e >= 0 && !epoll_ctl(e, EPOLL_CTL_ADD, m.fd, &ev), "epoll");
	is(epoll_wait(e, &ev, 1, 0), 0, "epoll: nothing yet");
	set("/e", "1");
	is(epoll_wait(e, &ev, 1, LONG * 1000), 1, "  a change");
	is(epoll_wait(e, &ev, 1, 0), 0, "  is told once, edge-triggered");
	set("/e", "2");
	is(epoll_wait(e, &ev, 1, LONG * 1000), 1, "  and the next one again");
	close(e);
	mapped_close(&m);
}

/* ------------------------------------------------------------ limits */

static int map_many(void *arg)
{
	unsigned int n = *(unsigned int *)arg, i;
	struct mapped m;
	int err = 0;

	for (i = 0; !err && i < n; i++)
		err = mapped_fd(fd, "/a", &m);
	return i == n && err == -ENOSPC ? 0 : err ? 2 : 1;
}

static void test_limits(void)
{
	const char *param = "/sys/module/zkern/parameters/map_max";
	unsigned int n = 9;
	char old[32] = "";
	int f = open(param, O_RDWR | O_CLOEXEC);

	need(f >= 0 && read(f, old, sizeof(old) - 1) > 0, "%s", param);
	need(pwrite(f, "8\n", 2, 0) == 2, "%s", param);
	is(as_user(USER, USER, USER, map_many, &n), 0, "a user's ninth of eight is refused");
	is(as_user(USER, USER, USER, map_many, &n), 0, "  which he gets back when they go");
	need(pwrite(f, old, strlen(old), 0) > 0, "%s", param);
	close(f);
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &sa, NULL);
	alarm(2 * LONG);
	inst = zk_instance(&owner);
	fd = zk_open(inst, O_RDONLY);
	need(fd >= 0, "open");
	test_content();
	test_sizes();
	test_mmap();
	test_access();
	test_handed_on();
	test_revoked();
	test_tree();
	test_wait();
	test_epoll();
	test_limits();
	close(fd);
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
