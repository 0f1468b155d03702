// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random requests: every ioctl on every kind of file, with fields that are often
 * nearly right, and netlink messages with attributes of any kind. Nothing is
 * expected of them but that the tree is as before, and that the kernel has said
 * nothing (which the VM's runner sees to). `fuzz SEED` repeats a run.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "tap.h"
#include "zk.h"

#define ROUNDS	30000
#define MESSAGES 20000

static unsigned int seed = 20240601;
static int inst, owner, fd;
static char *area;		/* two pages, then a hole */

static unsigned int rnd(unsigned int n)
{
	return rand_r(&seed) % n;
}

static uint64_t some_pointer(void)
{
	switch (rnd(8)) {
	case 0:
		return 0;
	case 1:
		return ptr(area + 2 * 4096);
	case 2:
		return ptr(area + 2 * 4096 - rnd(16));
	case 3:
		return ~0ull - rnd(4096);
	case 4:
		return 0xffff888000000000ull + rnd(1 << 20);
	default:
		return ptr(area + rnd(2 * 4096));
	}
}

static uint32_t some_number(void)
{
	switch (rnd(8)) {
	case 0:
		return 0;
	case 1:
		return ~0u - rnd(4);
	case 2:
		return 0x80000000u + rnd(16);
	case 3:
		return 1u << rnd(32);
	case 4:
		return 4096 + rnd(64);
	default:
		return rnd(64);
	}
}

/* Words of a struct: pointers in pairs of words, paths, numbers, zeros. */
static void some_struct(uint32_t *words, unsigned int n, uint32_t size)
{
	static const char * const paths[] = { "/", "/a", "/a/b", "/nope", "/a/", "x" };
	unsigned int i;
	uint64_t p;

	for (i = 0; i < n; i++) {
		words[i] = rnd(4) ? 0 : some_number();
		if (rnd(5) || i + 1 == n)
			continue;
		p = some_pointer();
		memcpy(words + i, &p, 8);
		i++;
	}
	words[0] = rnd(10) ? size : some_number();
	words[1] = rnd(10) ? rnd(3) : some_number();
	if (rnd(3)) {
		const char *path = paths[rnd(ARRAY_SIZE(paths))];

		p = ptr(path);
		memcpy(words + 2, &p, 8);
		words[4] = strlen(path);
	}
}

static void junk_area(void)
{
	int i;

	for (i = 0; i < 2 * 4096; i += 4) {
		uint32_t v = rnd(3) ? some_number() : (uint32_t)rand_r(&seed);

		memcpy(area + i, &v, 4);
	}
}

/* One request of a kind that cannot take the instance away. */
static void request(const int *files, int n)
{
	static const struct { unsigned long cmd; uint32_t size; } cmds[] = {
		{ ZKERN_INFO, sizeof(struct zkern_info) },
		{ ZKERN_GET, sizeof(struct zkern_get) },
		{ ZKERN_GET, sizeof(struct zkern_get) },
		{ ZKERN_READ, sizeof(struct zkern_read) },
		{ ZKERN_CHILDREN, sizeof(struct zkern_list) },
		{ ZKERN_SNAPSHOT, sizeof(struct zkern_snapshot) },
		{ ZKERN_OWN, sizeof(struct zkern_own) },
		{ ZKERN_APPLY, sizeof(struct zkern_apply) },
		{ ZKERN_LOAD, sizeof(struct zkern_load) },
		{ ZKERN_OWNED, sizeof(struct zkern_list) },
		{ ZKERN_TIMED, sizeof(struct zkern_list) },
		{ ZKERN_CONFIRM, sizeof(struct zkern_confirm) },
		{ ZKERN_WATCH, sizeof(struct zkern_watch) },
		{ ZKERN_REQUEST, sizeof(struct zkern_request) },
		{ ZKERN_TAKE, sizeof(struct zkern_take) },
		{ ZKERN_ANSWER, sizeof(struct zkern_answer) },
		{ ZKERN_LOCK_OPEN, sizeof(struct zkern_lock_open) },
		{ ZKERN_LOCK, sizeof(struct zkern_lock) },
		{ ZKERN_LOCKED, sizeof(struct zkern_lock) },
		{ ZKERN_UNLOCK, 0 },
		{ ZKERN_LOCK_TAKE, sizeof(struct zkern_take) },
		{ ZKERN_LOCK_ANSWER, sizeof(struct zkern_lock_answer) },
		{ ZKERN_LEASE, sizeof(struct zkern_lease) },
	};
	unsigned int pick = rnd(ARRAY_SIZE(cmds));
	bool asks = cmds[pick].cmd == ZKERN_REQUEST;
	uint32_t words[64];
	int err;

	some_struct(words, 64, cmds[pick].size);
	/* nobody answers: it is not to wait for long */
	if (asks) {
		words[2] = rnd(4) ? 5 : some_number();
		words[3] = 1;
	}
	if (cmds[pick].cmd == ZKERN_LOCK) {
		words[1] &= ~ZKERN_LOCK_KILLABLE;
		words[2] = rnd(10) ? 1 + rnd(2) : some_number();
		words[3] = rnd(10) ? 1 : 0;
	}
	/* a tree that was begun is not swapped in */
	if (cmds[pick].cmd == ZKERN_LOAD && words[1] == ZKERN_LOAD_COMMIT)
		words[1] = ZKERN_LOAD_BEGIN;
	err = zk_ioctl(files[rnd(n)], cmds[pick].cmd,
		       asks || rnd(20) ? (void *)words : (void *)(uintptr_t)some_pointer());
	if (!err && cmds[pick].cmd == ZKERN_SNAPSHOT)
		close(((struct zkern_snapshot *)words)->fd);
	if (!err && cmds[pick].cmd == ZKERN_LOCK_OPEN)
		close(((struct zkern_lock_open *)words)->fd);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* Ends whatever waits, again and again; usec 0: no more. */
static void alarms(int usec)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval every = { { 0, usec }, { 0, usec } };

	need(!sigaction(SIGALRM, &sa, NULL) && !setitimer(ITIMER_REAL, &every, NULL), "timer");
}

static void test_ioctls(void)
{
	struct zkern_info before, after;
	struct zkern_instance req;
	struct zkern_lock_open lock = {
		.size = sizeof(lock), .path = ptr("/a"), .path_len = 2,
	};
	int files[7], i, control;

	files[0] = fd;
	files[1] = owner;
	files[2] = zk_snapshot(fd, NULL, NULL);
	files[3] = zk_snapshot(owner, "/a", NULL);
	files[4] = zk_open(inst, O_WRONLY);
	for (i = 5; i < 7; i++) {
		need(!zk_ioctl(files[4], ZKERN_LOCK_OPEN, &lock), "lock file");
		files[i] = lock.fd;
	}
	need(!zk_info(fd, &before), "info");
	alarms(10000);
	for (i = 0; i < ROUNDS; i++) {
		if (i % 100 == 0)
			junk_area();
		request(files, 7);
		if (i % 64 == 0 && read(files[2 + rnd(2)], area, rnd(8192)) < 0)
			(void)errno;
	}
	alarms(0);
	need(!zk_info(fd, &after), "info");
	ok(before.zxid == after.zxid && before.digest == after.digest && before.tree == after.tree,
	   "%d random ioctls change nothing", ROUNDS);

	control = open("/dev/zkern", O_RDWR);
	for (i = 0; i < 2000; i++) {
		some_struct((void *)&req, 4, sizeof(req));
		/* not the one we stand on */
		if (req.id == (uint32_t)inst)
			continue;
		zk_ioctl(control, rnd(2) ? ZKERN_NEW : ZKERN_DEL, &req);
	}
	close(control);
	is(zk_exists(fd, "/a", NULL), 0, "2,000 on the control node leave this one alone");
	for (i = 0; i < ZKERN_MAX_INSTANCES; i++) {
		if (i != inst)
			zk_del(i, ZKERN_DEL_FORCE);
	}
	for (i = 2; i < 7; i++)
		close(files[i]);
}

/* ------------------------------------------------------------ netlink */

static int nl_socket(void)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	struct timeval tv = { .tv_usec = 100000 };
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);

	need(s >= 0 && !connect(s, (void *)&to, sizeof(to)), "netlink");
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return s;
}

/* The family's number, asked of the controller by hand. */
static int nl_family(int s)
{
	struct {
		struct nlmsghdr n;
		struct genlmsghdr g;
		struct nlattr a;
		char name[8];
	} req = {
		.n = { .nlmsg_len = sizeof(req), .nlmsg_type = GENL_ID_CTRL,
		       .nlmsg_flags = NLM_F_REQUEST },
		.g = { .cmd = CTRL_CMD_GETFAMILY },
		.a = { .nla_len = NLA_HDRLEN + 6, .nla_type = CTRL_ATTR_FAMILY_NAME },
		.name = ZKERN_GENL_NAME,
	};
	char buf[8192];
	struct nlattr *a;
	ssize_t n, off;

	need(send(s, &req, sizeof(req), 0) == sizeof(req), "send");
	n = recv(s, buf, sizeof(buf), 0);
	for (off = NLMSG_HDRLEN + GENL_HDRLEN; off + NLA_HDRLEN < n; off += NLA_ALIGN(a->nla_len)) {
		a = (void *)(buf + off);
		if (a->nla_type == CTRL_ATTR_FAMILY_ID)
			return *(uint16_t *)(a + 1);
	}
	need(false, "no family");
	return -1;
}

/* A message of a few attributes; returns its length. */
static unsigned int some_message(char *buf, int family)
{
	struct nlmsghdr *n = (void *)buf;
	struct genlmsghdr *g = (void *)(n + 1);
	unsigned int len = NLMSG_HDRLEN + GENL_HDRLEN, attrs = rnd(6);
	uint32_t v;

	memset(buf, 0, 4096);
	n->nlmsg_type = family;
	n->nlmsg_flags = NLM_F_REQUEST | (rnd(2) ? NLM_F_DUMP : NLM_F_ACK);
	g->version = 1;
	do {
		g->cmd = rnd(__ZKERN_CMD_MAX + 2);
	} while (g->cmd == ZKERN_CMD_NEW || g->cmd == ZKERN_CMD_DEL);
	while (attrs--) {
		struct nlattr *a = (void *)(buf + len);
		unsigned int size = rnd(40);

		a->nla_type = rnd(4) ? 1 + rnd(2) : rnd(ZKERN_A_MAX + 4);
		v = rnd(2) ? (uint32_t)inst : some_number();
		memcpy(a + 1, rnd(2) ? (void *)&v : (void *)"/a/b", 4);
		if (rnd(3))
			size = 1 + rnd(4);
		a->nla_len = NLA_HDRLEN + size;
		if (!rnd(30))
			a->nla_len = some_number();
		len += NLA_ALIGN(NLA_HDRLEN + size);
	}
	n->nlmsg_len = rnd(30) ? len : some_number();
	return len;
}

static void test_netlink(void)
{
	int s = nl_socket(), family = nl_family(s), i;
	char buf[65536];

	for (i = 0; i < MESSAGES; i++) {
		unsigned int len = some_message(buf, family);

		if (send(s, buf, len, MSG_DONTWAIT) < 0 && rnd(2)) {
			close(s);
			s = nl_socket();
		}
		while (rnd(4) && recv(s, buf, sizeof(buf), MSG_DONTWAIT) > 0)
			;
		/* dumps are left half way, too */
		if (!rnd(50)) {
			close(s);
			s = nl_socket();
		}
	}
	close(s);
	is(zk_exists(fd, "/a/b", NULL), 0, "%d random netlink messages", MESSAGES);
}

int main(int argc, char **argv)
{
	struct batch b = {};

	if (argc > 1)
		seed = strtoul(argv[1], NULL, 0);
	printf("# seed %u\n", seed);
	area = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	need(area != MAP_FAILED && !mprotect(area + 2 * 4096, 4096, PROT_NONE), "mmap");
	/* not 0, which is what a struct that is too short names */
	inst = zk_new(100, ~0u);
	owner = zk_open(inst, O_RDWR);
	need(inst == 100 && !zk_own(owner, NULL), "own");
	need(!zk_state(owner, ZKERN_STATE_STANDALONE, 0), "state");
	fd = zk_open(inst, O_RDONLY);
	batch_txn(&b, 1);
	batch_create(&b, "/a", "data");
	batch_create(&b, "/a/b", "more");
	batch_op(&b, ZKERN_OP_CREATE, "/a/e", NULL, -1, &open_acl, 5);
	need(!zk_apply(owner, &b, NULL), "apply");
	batch_free(&b);
	test_ioctls();
	test_netlink();
	close(fd);
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
