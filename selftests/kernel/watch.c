// SPDX-License-Identifier: GPL-2.0-or-later
/* Watches on the device: what fires when, one change at a time. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "ev.h"

static int inst, owner, fd;
static uint64_t zxid;

static int open_watcher(void)
{
	int f = zk_open(inst, O_RDONLY | O_NONBLOCK);

	need(f >= 0, "open");
	return f;
}

static void create(const char *path)
{
	zk_create(owner, ++zxid, path, "");
}

static void set(const char *path)
{
	static int32_t version;

	zk_set(owner, ++zxid, path, "x", ++version);
}

static void delete(const char *path)
{
	struct batch b = {};

	batch_txn(&b, ++zxid);
	batch_delete(&b, path);
	need(!zk_apply(owner, &b, NULL), "delete %s", path);
	batch_free(&b);
}

static void set_acl(const char *path, const struct acl *acl)
{
	static int32_t version;
	struct batch b = {};

	batch_txn(&b, ++zxid);
	batch_op(&b, ZKERN_OP_SETACL, path, NULL, 0, acl, 0)->version = ++version;
	need(!zk_apply(owner, &b, NULL), "set the ACL of %s", path);
	batch_free(&b);
}

static void test_once(void)
{
	struct zkern_get get = {};
	char buf[16];

	create("/a");
	is(read(fd, buf, 16), -1, "a file that watches nothing");
	is(errno, EINVAL, "  has nothing to be read");
	is(ev_get(fd, "/a", buf, 16, &get), 0, "a data watch, with the data");
	is(get.events, 0, "  no events wait");
	ok(ev_polls(fd, 0), "  nor does poll say so");
	set("/a");
	ok(ev_polls(fd, POLLIN), "the data is set: poll says so");
	get = (struct zkern_get){};
	is(zk_get(fd, "/a", buf, 16, &get), 0, "a read of it");
	is(get.events, 1, "  says that events wait");
	ev_is(fd, "changed /a", "  there it is");
	is(zk_get(fd, "/a", buf, 16, &get), 0, "then a read of it");
	is(get.events, 0, "  has none to tell of");
	set("/a");
	ev_is(fd, "", "one-shot");
	is(ev_exists(fd, "/b", NULL), -ENOENT, "exists of nothing");
	create("/b");
	ev_is(fd, "created /b", "  is told when it comes");
	is(ev_exists(fd, "/b", NULL), 0, "exists of something");
	delete("/b");
	ev_is(fd, "deleted /b", "  when it goes");
	is(ev_get(fd, "/b", buf, 16, NULL), -ENOENT, "get of nothing");
	is(ev_children(fd, "/b"), -ENOENT, "children of nothing");
	is(ev_count(fd), 0, "  leave no watch");
	is(ev_children(fd, "/"), 0, "a child watch");
	set("/a");
	ev_is(fd, "", "  is not about data");
	create("/b");
	ev_is(fd, "children /", "  but about children that come");
	is(ev_children(fd, "/"), 0, "again");
	delete("/b");
	ev_is(fd, "children /", "  and go");
	is(ev_get(fd, "/a", buf, 16, NULL), 0, "both kinds");
	is(ev_children(fd, "/a"), 0, "  on one node");
	is(ev_count(fd), 2, "  are two watches");
	delete("/a");
	ev_is(fd, "deleted /a", "  with one event when it goes");
	is(ev_count(fd), 0, "  and no watch left");
	is(ev_exists(fd, "nope", NULL), -EINVAL, "no watch on a bad path");
	is(ev_exists(fd, "/nope/", NULL), -EINVAL, "  nor on another");
}

static void test_persistent(void)
{
	create("/p");
	is(ev_add(fd, ZKERN_WATCH_PERSISTENT, "/p"), 0, "a persistent watch");
	is(ev_count(fd), 2, "  counts two");
	set("/p");
	create("/p/c");
	set("/p/c");
	set("/p");
	delete("/p/c");
	delete("/p");
	create("/p");
	ev_is(fd, "changed /p, children /p, changed /p, children /p, deleted /p, created /p",
	      "  tells of all, each once");
	is(ev_exists(fd, "/p", NULL), 0, "a read with a watch on its path");
	set("/p");
	set("/p");
	ev_is(fd, "changed /p", "  makes it one-shot");
	create("/p/c");
	ev_is(fd, "children /p", "  in that table");
	is(ev_add(fd, ZKERN_WATCH_PERSISTENT, "/p"), 0, "set again");
	is(ev_remove(fd, ZKERN_WATCH_DATA, "/p"), 0, "its data half is removed");
	set("/p");
	delete("/p/c");
	ev_is(fd, "children /p", "  and the other is there");
	is(ev_remove(fd, ZKERN_WATCH_DATA, "/p"), -ENOENT, "it cannot be removed twice");
	is(ev_remove(fd, ZKERN_WATCH_ANY, "/p"), 0, "the rest goes");
	is(ev_count(fd), 0, "  too");
	delete("/p");
	ev_is(fd, "", "  and is not heard of");
}

static void test_recursive(void)
{
	is(ev_add(fd, ZKERN_WATCH_RECURSIVE, "/r"), 0, "a recursive watch on nothing");
	create("/r");
	create("/r/a");
	create("/r/a/b");
	set("/r/a/b");
	create("/ra");
	delete("/r/a/b");
	ev_is(fd, "created /r, created /r/a, created /r/a/b, changed /r/a/b, deleted /r/a/b",
	      "  tells of all below, and of no children");
	is(ev_children(fd, "/r/a"), 0, "with a child watch below");
	create("/r/a/b");
	ev_is(fd, "created /r/a/b, children /r/a", "  both are told");
	is(ev_exists(fd, "/r/a/b", NULL), 0, "with a data watch below");
	set("/r/a/b");
	ev_is(fd, "changed /r/a/b", "  it is one event");
	is(ev_add(fd, ZKERN_WATCH_RECURSIVE, "/"), 0, "with another above");
	set("/r/a/b");
	create("/else");
	ev_is(fd, "changed /r/a/b, created /else", "  it is one event");
	is(ev_remove(fd, ZKERN_WATCH_ANY, "/r"), 0, "one is removed");
	set("/r/a/b");
	ev_is(fd, "changed /r/a/b", "  the other stays");
	is(ev_add(fd, ZKERN_WATCH_PERSISTENT, "/"), 0, "it becomes another kind");
	set("/r/a/b");
	create("/x");
	ev_is(fd, "children /", "  and is that only");
	is(ev_remove(fd, ZKERN_WATCH_ANY, "/"), 0, "it goes");
	delete("/x");
	delete("/else");
	delete("/ra");
}

static void test_multi(void)
{
	struct batch b = {};

	is(ev_add(fd, ZKERN_WATCH_RECURSIVE, "/m"), 0, "a recursive watch");
	is(ev_add(fd, ZKERN_WATCH_PERSISTENT, "/"), 0, "  and one of the root's children");
	batch_txn(&b, ++zxid);
	batch_create(&b, "/m", "");
	batch_create(&b, "/m/e", "");
	batch_set(&b, "/m", "x", 1);
	batch_delete(&b, "/m/e");
	batch_op(&b, ZKERN_OP_CREATE, "/m/f", "", 0, &open_acl, 77);
	batch_op(&b, ZKERN_OP_CREATE, "/m/g", "", 0, &open_acl, 77);
	is(zk_apply(owner, &b, NULL), 0, "a multi");
	ev_is(fd, "created /m, children /, created /m/e, changed /m, deleted /m/e, created /m/f, "
	      "created /m/g", "  is told in the order of its operations");
	batch_reset(&b);
	batch_txn(&b, ++zxid);
	batch_create(&b, "/m/h", "");
	batch_create(&b, "/m/h", "");
	is(zk_apply(owner, &b, NULL), -EEXIST, "one that fails");
	ev_is(fd, "", "  is not told at all");
	batch_reset(&b);
	batch_txn(&b, ++zxid);
	batch_op(&b, ZKERN_OP_CLOSE, "", NULL, 0, NULL, 77);
	is(zk_apply(owner, &b, NULL), 0, "a session ends");
	ev_is(fd, "deleted /m/f, deleted /m/g", "  and what it owned goes");
	is(ev_remove(fd, ZKERN_WATCH_ANY, "/m"), 0, "removed");
	is(ev_remove(fd, ZKERN_WATCH_CHILDREN, "/"), 0, "  one half");
	is(ev_remove(fd, ZKERN_WATCH_ANY, "/"), 0, "  the other");
	batch_free(&b);
}

static void test_read(void)
{
	char buf[64];
	long bad = 8;
	struct zkern_watch w = {};

	is(ev_add(fd, ZKERN_WATCH_PERSISTENT, "/r"), 0, "a watch");
	set("/r");
	set("/r");
	is(ev_cmd(fd, ZKERN_WATCH_COUNT, 0, NULL, &w), 0, "count");
	is(w.next, 40, "  says how long the next record is");
	ok(w.events == 1 && w.watches == 2 && w.bytes > 65536, "  and the rest");
	is(read(fd, buf, 39), -1, "a buffer that is too small");
	is(errno, EINVAL, "  is refused");
	is(syscall(SYS_read, fd, bad, 64), -1, "one that is not there");
	is(errno, EFAULT, "  too");
	is(read(fd, buf, 64), 40, "a record is given whole, or not");
	is(read(fd, buf, 64), 40, "  the next one");
	is(read(fd, buf, 64), -1, "  and then none");
	is(errno, EAGAIN, "  to be waited for");
	is(ev_queue(fd, 100), -EINVAL, "a queue that is too short");
	is(ev_queue(fd, 1 << 30), -EINVAL, "  or too long");
	set("/r");
	is(ev_queue(fd, 8192), 0, "another queue");
	set("/r");
	ev_is(fd, "changed /r, changed /r", "  has what the old one had");
	is(ev_remove(fd, ZKERN_WATCH_ANY, "/r"), 0, "removed");
}

static void test_overflow(void)
{
	int f = open_watcher(), i, n = 0;
	struct zkern_get get = {};
	struct ev_buf b = {};
	uint64_t last = 0;
	struct ev ev;

	is(ev_add(f, ZKERN_WATCH_PERSISTENT, "/r"), 0, "a watch");
	is(ev_queue(f, 4096), 0, "with a short queue");
	for (i = 0; i < 300; i++)
		set("/r");
	while (ev_next(f, &b, &ev) == 1 && ev.e.type == ZKERN_EV_CHANGED) {
		n++;
		last = ev.e.zxid;
	}
	is(n, 4096 / 40, "as many as fit are there");
	is(ev.e.type, ZKERN_EV_OVERFLOW, "then it says that it was full");
	is(ev.e.arg, 300 - n, "  how many are not there");
	ok(ev.e.zxid == last + 300 - n && ev.e.zxid == zxid, "  up to which zxid");
	ev_is(f, "", "  once");
	set("/r");
	is(zk_exists(f, "/r", &get), 0, "a read");
	is(get.events, 1, "  says that there are events");
	ev_is(f, "changed /r", "what comes later is told");
	is(ev_exists(f, "/r", NULL), 0, "one-shot");
	is(ev_add(f, ZKERN_WATCH_RECURSIVE, "/"), 0, "  and recursive");
	for (i = 0; i < 100; i++) {
		create("/tmp");
		delete("/tmp");
	}
	set("/r");
	while ((i = ev_next(f, &b, &ev)) == 1 && ev.e.type != ZKERN_EV_OVERFLOW)
		;
	is(i, 1, "an overflow");
	is(ev_count(f), 3, "  has spent the one-shot watch, and leaves the others");
	close(f);
}

static void test_list(void)
{
	static uint8_t buf[64 * 1024] __attribute__((aligned(8)));
	struct zkern_watch w = {};
	struct zkern_watch_entry e;
	int f = open_watcher(), i, n = 0, bad = 0, pages = 0;
	char path[64], *p;
	static char seen[3000];

	for (i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "/list/%d", i);
		if (i % 3)
			bad += ev_exists(f, path, NULL) != -ENOENT;
		if (i % 3 != 1)
			bad += ev_add(f, ZKERN_WATCH_RECURSIVE, path) != 0;
	}
	is(bad, 0, "3000 paths are watched");
	is(ev_count(f), 5000, "  by 5000 watches");
	do {
		w.buf = ptr(buf);
		w.buf_len = 3000;
		need(!ev_cmd(f, ZKERN_WATCH_LIST, 0, NULL, &w), "list");
		for (p = (char *)buf; p < (char *)buf + w.used; p += e.len) {
			memcpy(&e, p, sizeof(e));
			snprintf(path, sizeof(path), "%.*s", e.path_len, p + sizeof(e));
			i = atoi(path + 6);
			bad += strncmp(path, "/list/", 6) || seen[i]++ ||
			       e.children != (i % 3 == 1 ? 0 : 3) || e.data != (i % 3 == 1 ? 1 : 3);
			n++;
		}
		pages++;
	} while (w.after);
	is(bad, 0, "the list says what they are");
	is(n, 3000, "  all of them");
	ok(pages > 10, "  in pages (%d)", pages);
	w = (struct zkern_watch){ .buf = ptr(buf), .buf_len = 8 };
	is(ev_cmd(f, ZKERN_WATCH_LIST, 0, NULL, &w), -EMSGSIZE, "a page that is too small");
	ok(w.used >= 24 && w.used <= 32, "  is told what is needed (%u)", w.used);
	create("/list");
	for (i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "/list/%d", i);
		create(path);
	}
	n = 0;
	for (i = 0; i < 40; i++)
		n += strlen(ev_all(f)) > 0;
	is(ev_count(f), 4000, "the one-shot ones fire");
	close(f);
	f = open_watcher();
	is(ev_count(f), 0, "closing removes all");
	close(f);
}

static bool param(const char *name, int kb)
{
	char path[128], text[16];
	int f, n;

	snprintf(path, sizeof(path), "/sys/module/zkern/parameters/%s", name);
	snprintf(text, sizeof(text), "%d", kb);
	f = open(path, O_WRONLY);
	if (f < 0)
		return false;
	n = write(f, text, strlen(text));
	close(f);
	return n == (int)strlen(text);
}

static int fill(int f, int from)
{
	char path[64];
	int err = 0;

	while (!err) {
		snprintf(path, sizeof(path), "/limit/%08d", from++);
		err = ev_exists(f, path, NULL);
		if (err == -ENOENT)
			err = 0;
	}
	return err;
}

static void test_limits(void)
{
	int f = open_watcher(), g = open_watcher();
	long n;

	need(param("watch_file_kb", 128), "module parameter");
	is(fill(f, 0), -EDQUOT, "a file has its limit");
	n = ev_count(f);
	ok(n > 400 && n < 700, "  of 128 KiB (%ld watches)", n);
	is(ev_exists(f, "/limit/00000000", NULL), -ENOENT, "what is there may be set again");
	is(ev_queue(f, 1 << 20), -EDQUOT, "a queue counts, too");
	is(ev_exists(g, "/limit/x", NULL), -ENOENT, "another file has its own");
	need(param("watch_file_kb", 16384) && param("watch_user_kb", 512), "module parameter");
	is(fill(f, 10000), -ENOSPC, "a user has one");
	is(fill(g, 0), -ENOSPC, "  over all files");
	close(f);
	is(ev_exists(g, "/limit/y", NULL), -ENOENT, "closing one makes room");
	close(g);
	need(param("watch_user_kb", 262144), "module parameter");
}

/* As user 1000: watches, and tells over @arg's pipe what he is told. */
static int as_watcher(void *arg)
{
	int *io = arg, f = zk_open(inst, O_RDONLY | O_NONBLOCK);
	char go, buf[16];

	if (f < 0 || ev_exists(f, "/secret", NULL) || ev_exists(f, "/open", NULL) ||
	    ev_add(f, ZKERN_WATCH_RECURSIVE, "/tree") ||
	    ev_get(f, "/secret", buf, 16, NULL) != -EACCES ||
	    ev_children(f, "/secret") != -EACCES || ev_count(f) != 4)
		return 1;
	if (write(io[1], "x", 1) != 1 || read(io[2], &go, 1) != 1)
		return 2;
	return strcmp(ev_all(f), "changed /open, created /tree, created /tree/a") ||
	       ev_count(f) != 2 ? 3 : 0;
}

/* Both ends of both pipes are in both processes; who reads first gets what is for him. */
static void *changes(void *arg)
{
	struct acl mine, open = open_acl;
	struct batch b = {};
	int *io = arg;
	char c;

	acl_none(&mine);
	acl_add(&mine, ALL, "uid", "0");
	need(read(io[0], &c, 1) == 1, "the watcher does not watch");
	set("/secret");
	set("/open");
	create("/tree");
	batch_txn(&b, ++zxid);
	batch_create_acl(&b, "/tree/hid", "", &mine);
	batch_create(&b, "/tree/a", "");
	need(!zk_apply(owner, &b, NULL), "apply");
	set_acl("/tree/a", &mine);
	set("/tree/a");
	set_acl("/tree/hid", &open);
	set_acl("/tree/hid", &mine);
	delete("/tree/hid");
	need(write(io[3], "x", 1) == 1, "write");
	batch_free(&b);
	return NULL;
}

static void test_acl(void)
{
	struct acl mine;
	pthread_t t;
	int io[4];

	acl_none(&mine);
	acl_add(&mine, ALL, "uid", "0");
	create("/open");
	create("/secret");
	set_acl("/secret", &mine);
	need(!pipe(io) && !pipe(io + 2), "pipe");
	need(!pthread_create(&t, NULL, changes, io), "thread");
	is(as_user(1000, 1000, 1000, as_watcher, io), 0,
	   "who may not read a node is not told of it, but for its watch being spent");
	pthread_join(t, NULL);
	ev_is(fd, "", "nobody else is told");
	is(ev_exists(fd, "/secret", NULL), 0, "root");
	set("/secret");
	ev_is(fd, "changed /secret", "  is");
	close(io[0]), close(io[1]), close(io[2]), close(io[3]);
}

static void test_states(void)
{
	is(ev_add(fd, ZKERN_WATCH_STATE, NULL), 0, "states are watched");
	is(zk_state(owner, ZKERN_STATE_LEADING, 0), 0, "a new state");
	is(zk_state(owner, ZKERN_STATE_LEADING, 0), 0, "  said twice");
	ev_is(fd, "state 1", "  is told once");
	is(ev_add(fd, ZKERN_WATCH_STATE, "/a"), -EINVAL, "it has no path");
	is(ev_exists(fd, "/hidden", NULL), -ENOENT, "a watch");
	is(zk_state(owner, ZKERN_STATE_EMPTY, 0), 0, "the tree is hidden");
	is(ev_exists(fd, "/x", NULL), -ESTALE, "  nothing can be watched then");
	is(ev_add(fd, ZKERN_WATCH_PERSISTENT, "/x"), -ESTALE, "  nothing");
	is(ev_exists(owner, "/x", NULL), -ESTALE, "  by its owner neither");
	create("/hidden");
	ev_is(fd, "state 0", "  nor is anything told but that");
	ok(ev_polls(fd, 0), "  or polled for");
	is(zk_state(owner, ZKERN_STATE_STANDALONE, 0), 0, "it is to be seen again");
	ev_is(fd, "created /hidden, state 6", "  and what has come of it");
	is(ev_remove(fd, ZKERN_WATCH_STATE, NULL), 0, "enough of that");
	is(ev_remove(fd, ZKERN_WATCH_STATE, NULL), -ENOENT, "  once");
}

/* ------------------------------------------------------------ waiting, sharing */

struct reader {
	pthread_t thread;
	pid_t tid;
	int fd;
	int n;			/* read(2)'s, or -errno */
	struct ev ev;
};

static void *read_thread(void *arg)
{
	struct reader *r = arg;
	struct ev_buf b = {};

	__atomic_store_n(&r->tid, gettid(), __ATOMIC_RELEASE);
	r->n = ev_next(r->fd, &b, &r->ev);
	return NULL;
}

static bool asleep(pid_t tid)
{
	char path[64], line[256], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fgets(line, sizeof(line), f) && strrchr(line, ')'))
		sscanf(strrchr(line, ')'), ") %c", &state);
	fclose(f);
	return state == 'S';
}

static void falls_asleep(struct reader *r)
{
	double end = now() + LONG;

	while (!__atomic_load_n(&r->tid, __ATOMIC_ACQUIRE) || !asleep(r->tid)) {
		need(now() < end, "a reader does not wait");
		usleep(1000);
	}
}

static void start(struct reader *r, int f)
{
	*r = (struct reader){ .fd = f };
	need(!pthread_create(&r->thread, NULL, read_thread, r), "thread");
	falls_asleep(r);
}

static void join(struct reader *r)
{
	need(!pthread_join(r->thread, NULL), "join");
}

static void on_signal(int sig)
{
	(void)sig;
}

static void test_wait(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	int f = zk_open(inst, O_RDONLY), ep, g;
	struct epoll_event ee = { .events = EPOLLIN | EPOLLET };
	struct reader r;

	need(f >= 0, "open");
	sigaction(SIGUSR1, &sa, NULL);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR2, &sa, NULL);
	is(ev_add(f, ZKERN_WATCH_PERSISTENT, "/r"), 0, "a watch on a file that waits");
	start(&r, f);
	set("/r");
	join(&r);
	ok(r.n == 1 && r.ev.e.type == ZKERN_EV_CHANGED && r.ev.e.zxid == zxid, "it waits");
	start(&r, f);
	pthread_kill(r.thread, SIGUSR1);
	join(&r);
	is(r.n, -EINTR, "a signal ends that");
	start(&r, f);
	pthread_kill(r.thread, SIGUSR2);
	falls_asleep(&r);
	set("/r");
	join(&r);
	is(r.n, 1, "  or not (SA_RESTART)");

	g = open_watcher();
	ep = epoll_create1(EPOLL_CLOEXEC);
	is(epoll_ctl(ep, EPOLL_CTL_ADD, g, &ee), 0, "epoll, before anything is watched");
	is(epoll_wait(ep, &ee, 1, 0), 0, "  has nothing");
	is(ev_exists(g, "/r", NULL), 0, "  a watch");
	set("/r");
	is(epoll_wait(ep, &ee, 1, LONG * 1000), 1, "  fires");
	ok(ee.events == EPOLLIN, "  to be read");
	is(epoll_wait(ep, &ee, 1, 0), 0, "  told once (edge)");
	ev_is(g, "changed /r", "  read");
	close(ep);
	close(g);
	close(f);
}

static int send_fd(int sock, int f)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &f, sizeof(f));
	return sendmsg(sock, &m, 0) == 1 ? 0 : -1;
}

static int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int f = -1;

	if (recvmsg(sock, &m, 0) == 1 && CMSG_FIRSTHDR(&m))
		memcpy(&f, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(f));
	return f;
}

/* The watches are the open file's, whoever has it. */
static void test_shared(void)
{
	int f = open_watcher(), g, s[2], status;
	pid_t pid;

	is(ev_add(f, ZKERN_WATCH_PERSISTENT, "/r"), 0, "a watch");
	g = dup(f);
	close(f);
	set("/r");
	ev_is(g, "changed /r", "dup(2): a copy has it when the first one is closed");
	set("/r");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(LONG);
		_exit(strcmp(ev_all(g), "changed /r") || ev_add(g, ZKERN_WATCH_PERSISTENT, "/m"));
	}
	need(waitpid(pid, &status, 0) == pid, "wait");
	is(status, 0, "fork(2): a child reads its events, and sets watches");
	ev_is(g, "", "  which are gone here");
	is(ev_count(g), 4, "  and its watches are ours");
	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, s), "socketpair");
	set("/m");
	is(send_fd(s[0], g), 0, "SCM_RIGHTS: sent");
	close(g);
	set("/r");
	g = receive_fd(s[1]);
	ev_is(g, "changed /m, changed /r", "  it watches also on its way");
	close(g);
	close(s[0]);
	close(s[1]);
}

static void test_bad(void)
{
	struct zkern_get get = { .flags = ZKERN_WATCH_ONCE | ZKERN_GET_ACL };
	struct zkern_watch w = {};
	char buf[16];
	int snap, f;

	is(zk_get(fd, "/r", buf, 16, &get), -EINVAL, "no watch on an ACL");
	snap = zk_snapshot(fd, NULL, NULL);
	is(ev_exists(snap, "/r", NULL), -EINVAL, "nor through a snapshot");
	is(ev_add(snap, ZKERN_WATCH_PERSISTENT, "/r"), -ENOTTY, "  at all");
	close(snap);
	f = zk_open(inst, O_WRONLY);
	is(ev_add(f, ZKERN_WATCH_PERSISTENT, "/r"), -EBADF, "a file not open for reading");
	close(f);
	is(ev_cmd(fd, 99, 0, NULL, NULL), -EINVAL, "an unknown command");
	is(ev_add(fd, 99, "/r"), -EINVAL, "an unknown kind");
	is(ev_add(fd, ZKERN_WATCH_DATA, "/r"), -EINVAL, "one that is only for removing");
	is(ev_remove(fd, ZKERN_WATCH_PERSISTENT, "/r"), -EINVAL, "  or for adding");
	is(ev_cmd(fd, ZKERN_WATCH_COUNT, 0, "/r", NULL), -EINVAL, "a path that is not wanted");
	w.buf = 8;
	is(ev_cmd(fd, ZKERN_WATCH_ADD, ZKERN_WATCH_PERSISTENT, "/r", &w), -EINVAL, "a buffer");
	w = (struct zkern_watch){ .after = 1ull << 40 };
	is(ev_cmd(fd, ZKERN_WATCH_LIST, 0, NULL, &w), -EINVAL, "a place that is none");
	is(ev_count(fd), 0, "nothing was set");
	is(ev_get(fd, "/r", buf, 0, NULL), -EMSGSIZE, "data that does not fit");
	is(ev_count(fd), 1, "  leaves the watch");
	is(ev_remove(fd, ZKERN_WATCH_ANY, "/r"), 0, "removed");
}

/* The owner may watch as well: poll has both. */
static void test_owner(void)
{
	is(ev_exists(owner, "/r", NULL), 0, "the owner watches");
	set("/r");
	ok(ev_polls(owner, POLLIN), "  and is told");
	is(ev_remove(owner, ZKERN_WATCH_ANY, "/r"), -ENOENT, "  once");
}

/* What happened in the tree before is before all answers from this one, at lower zxids too. */
static void test_swapped(void)
{
	struct zkern_get get = { .flags = ZKERN_GET_NODATA };
	struct zkern_load l = {};
	int f = open_watcher();
	struct batch b = {};

	create("/swap");
	is(ev_add(f, ZKERN_WATCH_PERSISTENT, "/swap"), 0, "a watch");
	l.zxid = zxid;
	set("/swap");
	batch_node(&b, "/", "", 0, &open_acl);
	batch_node(&b, "/r", "", 0, &open_acl);
	batch_node(&b, "/m", "", 0, &open_acl);
	need(!zk_load(owner, ZKERN_LOAD_BEGIN, NULL, NULL), "begin");
	need(!zk_load(owner, ZKERN_LOAD_NODES, &b, NULL), "nodes");
	is(zk_load(owner, ZKERN_LOAD_COMMIT, NULL, &l), 0, "an older tree is swapped in");
	batch_free(&b);
	is(zk_get(f, "/r", NULL, 0, &get), 0, "what is read");
	is(get.zxid, l.zxid, "  is of a lower zxid than the event that waits");
	is(get.events, 1, "  which it tells of");
	ev_is(f, "changed /swap, deleted /swap", "  and what the tree did");
	close(f);
}

static void test_end(void)
{
	int f = zk_open(inst, O_RDONLY), g = open_watcher();
	char buf[64];
	struct reader r;

	need(f >= 0, "open");
	is(ev_exists(f, "/r", NULL), 0, "a watch, waited for");
	start(&r, f);
	set("/m");
	is(ev_add(fd, ZKERN_WATCH_PERSISTENT, "/m"), 0, "one with an event");
	set("/m");
	is(zk_del(inst, ZKERN_DEL_FORCE), 0, "the instance is removed");
	join(&r);
	is(r.n, -ENODEV, "who waits is told");
	ok(ev_polls(fd, POLLIN | POLLERR | POLLHUP), "poll has what was before, and that");
	is(read(fd, buf, 64), 40, "which is read first");
	is(read(fd, buf, 64), -1, "  and then");
	is(errno, ENODEV, "  that it is gone");
	ok(ev_polls(g, POLLERR | POLLHUP), "a file that watched nothing is told, too");
	is(ev_exists(fd, "/r", NULL), -ENODEV, "nothing more is watched");
	is(ev_add(g, ZKERN_WATCH_PERSISTENT, "/r"), -ENODEV, "  by nobody");
	close(f);
	close(g);
	close(fd);
	close(owner);
}

int main(void)
{
	inst = zk_instance(&owner);
	fd = open_watcher();
	test_once();
	test_persistent();
	test_recursive();
	test_multi();
	test_read();
	test_overflow();
	test_list();
	test_limits();
	test_acl();
	test_states();
	test_wait();
	test_shared();
	test_bad();
	test_owner();
	test_swapped();
	test_end();
	return tap_end();
}
