// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who sees what: ACLs against uid, gid and groups, from inside user namespaces,
 * through files that somebody else opened, in lists, dumps and ACLs.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"

#define USER	1000
#define GROUP	2000
#define EXTRA	3000

static int inst, owner, fd;

static void node(struct batch *b, const char *path, uint32_t perms, const char *scheme,
		 const char *id)
{
	struct acl acl;

	acl_none(&acl);
	acl_add(&acl, perms, scheme, id);
	batch_create_acl(b, path, "secret", &acl);
}

static void fill(void)
{
	struct batch b = {};
	struct acl acl;

	batch_txn(&b, 1);
	batch_create(&b, "/open", "");
	node(&b, "/user", READ, "uid", "1000");
	node(&b, "/root", READ, "uid", "0");
	node(&b, "/group", READ, "gid", "2000");
	node(&b, "/extra", READ, "gid", "3000");
	node(&b, "/writers", WRITE | CREATE | DELETE | ADMIN, "uid", "1000");
	node(&b, "/digest", ALL, "digest", "user:hash=");
	node(&b, "/nobody", ALL, "uid", "4294967295");
	node(&b, "/zeros", ALL, "uid", "01000");
	node(&b, "/space", ALL, "uid", " 1000");
	node(&b, "/sign", ALL, "uid", "+1000");
	node(&b, "/long", ALL, "uid", "18446744073709552616");
	node(&b, "/part", ALL, "uid", "1000x");
	node(&b, "/none", ALL, "uid", "");
	node(&b, "/case", ALL, "UID", "1000");
	node(&b, "/world", READ, "world", "anyone");
	node(&b, "/some", READ, "world", "someone");
	node(&b, "/user/child", ALL, "world", "anyone");
	node(&b, "/root/child", ALL, "world", "anyone");
	acl_none(&acl);
	acl_add(&acl, WRITE, "world", "anyone");
	acl_add(&acl, READ, "uid", "7");
	acl_add(&acl, READ, "uid", "1000");
	acl_add(&acl, ALL, "digest", "user:hash=");
	batch_create_acl(&b, "/mixed", "secret", &acl);
	need(!zk_apply(owner, &b, NULL), "apply");
	batch_free(&b);
}

struct look {
	int fd;			/* or -1: open it there */
	const char *path;
	int (*setup)(void);
};

static int get_in_child(void *arg)
{
	struct look *look = arg;
	struct zkern_get get = {};
	char buf[64] = "";
	int f = look->fd >= 0 ? look->fd : zk_open(inst, O_RDONLY), err;

	if (look->setup && look->setup())
		return 126;
	err = zk_get(f, look->path, buf, sizeof(buf), &get);
	/* refused: nothing may show but what everybody may know */
	if (err && (buf[0] || get.len || get.crc))
		return 125;
	if (zk_exists(f, look->path, &get) || (err && get.crc) || get.stat.czxid != 1)
		return 124;
	return -err;
}

static int as(uid_t uid, gid_t gid, gid_t extra, const char *path)
{
	struct look look = { .fd = -1, .path = path };

	return as_user(uid, gid, extra, get_in_child, &look);
}

static void test_matrix(void)
{
	static const char * const never[] = {
		"/digest", "/nobody", "/zeros", "/space", "/sign", "/long", "/part", "/none",
		"/case", "/some",
	};
	unsigned int i;
	char buf[64];

	is(as(USER, 1, 1, "/user"), 0, "the user reads what is his");
	is(as(USER + 1, 1, 1, "/user"), EACCES, "  another does not");
	is(as(0, 0, 0, "/user"), EACCES, "  nor root");
	is(as(0, 0, 0, "/root"), 0, "root reads what is root's");
	is(as(USER, 1, 1, "/root"), EACCES, "  the user does not");
	is(as(1, GROUP, 1, "/group"), 0, "a group reads what is its");
	is(as(1, 1, GROUP, "/group"), 0, "  by a supplementary group too");
	is(as(GROUP, 1, 1, "/group"), EACCES, "  a user of that number does not");
	is(as(1, GROUP, EXTRA, "/extra"), 0, "another group as well");
	is(as(1, GROUP, 1, "/extra"), EACCES, "  but not that one");
	is(as(USER, 1, 1, "/writers"), EACCES, "writing is not reading");
	is(as(USER, 1, 1, "/mixed"), 0, "one entry of several suffices");
	is(as(7, 1, 1, "/mixed"), 0, "  any");
	is(as(8, 1, 1, "/mixed"), EACCES, "  not none");
	is(as(8, 1, 1, "/world"), 0, "the world is everybody");
	for (i = 0; i < ARRAY_SIZE(never); i++)
		ok(as(USER, 1, 1, never[i]) == EACCES && as(0, 0, 0, never[i]) == EACCES,
		   "nobody here reads %s", never[i]);
	is(zk_exists(owner, "/digest", NULL), 0, "the owner");
	is(zk_get(owner, "/digest", buf, sizeof(buf), NULL), 0, "  reads all");
}

/* Root in a user namespace of one's own. */
static int become_ns_root(void)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int f;

	/* who has changed his ids may not write to his own /proc else */
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) || unshare(CLONE_NEWUSER))
		return -1;
	f = open("/proc/self/setgroups", O_WRONLY);
	if (f < 0 || write(f, "deny", 4) != 4)
		return -1;
	close(f);
	f = open("/proc/self/uid_map", O_WRONLY);
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (f < 0 || write(f, map, strlen(map)) != (ssize_t)strlen(map))
		return -1;
	close(f);
	f = open("/proc/self/gid_map", O_WRONLY);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	if (f < 0 || write(f, map, strlen(map)) != (ssize_t)strlen(map))
		return -1;
	close(f);
	return geteuid() || getegid();
}

static int ns(uid_t uid, const char *path)
{
	struct look look = { .fd = -1, .path = path, .setup = become_ns_root };

	return as_user(uid, GROUP, GROUP, get_in_child, &look);
}

static int privileges_in_ns(void *arg)
{
	int f = zk_open(inst, O_RDWR);

	(void)arg;
	if (become_ns_root())
		return 1;
	if (zk_own(f, NULL) != -EPERM)
		return 2;
	if (zk_new(~0u, ~0u) != -EACCES)
		return 3;
	if (zk_del(inst, ZKERN_DEL_FORCE) != -EACCES)
		return 4;
	return 0;
}

static int control_handed_on(void *arg)
{
	struct zkern_instance req = { .size = sizeof(req), .id = ~0u, .uid = ~0u };
	int f = *(int *)arg;

	if (zk_ioctl(f, ZKERN_NEW, &req) != -EPERM)
		return 1;
	req.id = inst;
	req.flags = ZKERN_DEL_FORCE;
	return zk_ioctl(f, ZKERN_DEL, &req) == -EPERM ? 0 : 2;
}

static void test_namespaces(void)
{
	int f = open("/proc/sys/kernel/unprivileged_userns_clone", O_WRONLY);

	/* Debian's switch; on by default */
	if (f >= 0) {
		need(write(f, "1", 1) == 1, "unprivileged_userns_clone");
		close(f);
	}
	is(ns(USER, "/root"), EACCES, "root of a user namespace is not root");
	is(ns(USER, "/user"), 0, "  but the user he is");
	is(ns(USER + 1, "/user"), EACCES, "  and no other");
	is(ns(USER, "/group"), 0, "  and in the group he is in");
	is(as_user(USER, USER, USER, privileges_in_ns, NULL), 0,
	   "  and owns, makes, removes nothing");
	f = open("/dev/zkern", O_RDWR);
	is(as_user(USER, USER, USER, control_handed_on, &f), 0,
	   "the control node, handed on, gives nothing");
	close(f);
}

/* Files that root opened, used by the user: his own identities count. */
static void test_handed_on(void)
{
	struct look look = { .fd = fd, .path = "/root" };

	is(as_user(USER, 1, 1, get_in_child, &look), EACCES, "root's file lends no identity");
	look.path = "/user";
	is(as_user(USER, 1, 1, get_in_child, &look), 0, "  and takes none away");
	look.fd = owner;
	look.path = "/digest";
	is(as_user(USER, 1, 1, get_in_child, &look), 0, "the owner's file is the owner");
}

struct names {
	int fd;
	char seen[4096];
};

/* Names and contents in a dump: "path=data " each, hidden ones "path=# ". */
static int dump_names(int snap, char *out)
{
	static uint8_t buf[65536];
	ssize_t n, off;

	*out = '\0';
	for (;;) {
		n = read(snap, buf, sizeof(buf));
		if (n <= 0)
			return n ? -errno : 0;
		for (off = 0; off < n;) {
			struct zkern_node *node = (void *)(buf + off);
			bool hidden = node->flags & ZKERN_NODE_HIDDEN;

			sprintf(out + strlen(out), "%.*s=%s%.*s/%u ", node->path_len,
				(char *)(node + 1), hidden ? "#" : "",
				node->data_len > 0 ? node->data_len : 0,
				(char *)(node + 1) + node->path_len, node->acl_len);
			if (hidden && (node->crc || node->data_len))
				return -EBADMSG;
			off += node->len;
		}
	}
}

static int share_mem(void *arg, int snap)
{
	struct names *names = arg;

	return dump_names(snap, names->seen);
}

/* In a child: makes a snapshot and looks at it; the text comes through a pipe. */
static int pipe_fd[2];

static int dump_as(void *arg)
{
	struct names names = {};
	int snap = *(int *)arg;

	if (snap < 0)
		snap = zk_snapshot(fd, NULL, NULL);
	if (snap < 0 || share_mem(&names, snap))
		return 1;
	return write(pipe_fd[1], names.seen, strlen(names.seen) + 1) < 0;
}

static void dump_text(uid_t uid, int snap, char *out, size_t size)
{
	need(!pipe(pipe_fd), "pipe");
	need(!as_user(uid, 1, 1, dump_as, &snap), "dump");
	close(pipe_fd[1]);
	memset(out, 0, size);
	need(read(pipe_fd[0], out, size - 1) > 0, "read");
	close(pipe_fd[0]);
}

/* Has a snapshot made by another user sent over. */
static int sock[2];

static int make_and_send(void *arg)
{
	int snap = zk_snapshot(fd, NULL, NULL);
	char space[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { .iov_base = "s", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	(void)arg;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &snap, sizeof(int));
	return snap < 0 || sendmsg(sock[1], &msg, 0) != 1;
}

static int snapshot_of(uid_t uid)
{
	char space[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = space, .msg_controllen = sizeof(space),
	};
	int snap;

	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, sock), "socketpair");
	need(!as_user(uid, 1, 1, make_and_send, NULL), "snapshot");
	need(recvmsg(sock[0], &msg, 0) == 1 && CMSG_FIRSTHDR(&msg), "recvmsg");
	memcpy(&snap, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(snap));
	close(sock[0]);
	close(sock[1]);
	return snap;
}

static void test_dumps(void)
{
	static char text[8192], other[8192];
	int snap;

	dump_text(USER, -1, text, sizeof(text));
	ok(strstr(text, "/user=secret/") && strstr(text, "/user/child=secret/"),
	   "the user's dump has what is his, and below");
	ok(strstr(text, "/root=#/0 "), "  of root's it has that it is there");
	ok(!strstr(text, "/root/child"), "  and nothing below");
	ok(strstr(text, "/digest=#/0 "), "  nor an ACL");
	ok(strstr(text, "/writers=#/") && !strstr(text, "/writers=#/0 "),
	   "  but the ACL that he may administer");
	dump_text(0, -1, other, sizeof(other));
	ok(strstr(other, "/root/child=secret") && !strstr(other, "/user/child"),
	   "root's has it the other way round");

	snap = snapshot_of(USER);
	is(dump_names(snap, other), 0, "a user's snapshot, read by root");
	ok(!strstr(other, "secret/31 /root") && strstr(other, "/root=#") &&
	   strstr(other, "/user=#") && !strstr(other, "child"), "  shows what both may see");
	close(snap);
	snap = zk_snapshot(fd, NULL, NULL);
	dump_text(USER, snap, other, sizeof(other));
	ok(strstr(other, "/root=#") && strstr(other, "/user=#") && !strstr(other, "child") &&
	   strstr(other, "/world=secret"), "root's snapshot, read by a user, as well");
	close(snap);
	snap = zk_snapshot(owner, NULL, NULL);
	dump_text(USER, snap, other, sizeof(other));
	ok(strstr(other, "/digest=secret") && strstr(other, "/root/child=secret"),
	   "the owner's snapshot is the owner's, whoever reads it");
	close(snap);
}

static int list_in_child(void *arg)
{
	struct zkern_list list;
	char buf[64];
	int f = zk_open(inst, O_RDONLY);

	return -zk_children(f, arg, "", buf, sizeof(buf), &list);
}

static void test_children(void)
{
	is(as_user(USER, 1, 1, list_in_child, "/user"), 0, "the user lists what is his");
	is(as_user(USER, 1, 1, list_in_child, "/root"), EACCES, "  not what is not");
	is(as_user(USER, 1, 1, list_in_child, "/"), 0, "  and the root");
}

static int acl_in_child(void *arg)
{
	struct look *look = arg;
	struct zkern_get get = { .flags = ZKERN_GET_ACL };
	char buf[256] = "";
	int f = zk_open(inst, O_RDONLY), err;

	err = zk_get(f, look->path, buf, sizeof(buf), &get);
	if (err)
		return -err;
	if (memmem(buf, get.len, "user:hash=", 10))
		return 101;
	if (memmem(buf, get.len, "\0\0\0\6user:x", 10))
		return 102;
	return 0;
}

static int acl_as(uid_t uid, const char *path)
{
	struct look look = { .path = path };

	return as_user(uid, 1, 1, acl_in_child, &look);
}

static void test_acls(void)
{
	struct zkern_get get = { .flags = ZKERN_GET_ACL };
	char buf[256];

	is(acl_as(USER, "/mixed"), 102, "READ shows an ACL, its hash masked");
	is(acl_as(8, "/mixed"), EACCES, "without READ or ADMIN there is none");
	is(acl_as(USER, "/writers"), 0, "ADMIN shows it");
	is(acl_as(USER, "/root"), EACCES, "not for others");
	is(zk_get(owner, "/mixed", buf, sizeof(buf), &get), 0, "the owner");
	ok(memmem(buf, get.len, "user:hash=", 10), "  sees the hash");
}

int main(void)
{
	inst = zk_instance(&owner);
	fd = zk_open(inst, O_RDONLY);
	need(fd >= 0, "open");
	fill();
	test_matrix();
	test_namespaces();
	test_handed_on();
	test_dumps();
	test_children();
	test_acls();
	close(fd);
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
