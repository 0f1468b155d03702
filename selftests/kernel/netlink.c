// SPDX-License-Identifier: GPL-2.0-or-later
/* The generic netlink family, through libnl-3. */
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netlink/attr.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "tap.h"
#include "zk.h"

#define USER	1000
#define MANY	5000
#define LIMIT	64

static int inst, owner;

/* One answer's attributes, or as many as a dump has. */
struct answer {
	int count;
	int err;		/* the kernel's, negative */
	char ext[128];		/* what it said beside */
	int done;
	struct nlattr *attrs[ZKERN_A_MAX + 1];
	char *msg;		/* attrs point into it */
	void (*each)(struct answer *answer);
	char text[256 * 1024];	/* each() may use it */
	uint64_t zxid;
};

static struct answer answer;

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct answer *a = arg;
	struct nlmsghdr *h = nlmsg_hdr(msg);

	free(a->msg);
	a->msg = malloc(h->nlmsg_len);
	memcpy(a->msg, h, h->nlmsg_len);
	if (genlmsg_parse((void *)a->msg, 0, a->attrs, ZKERN_A_MAX, NULL))
		return NL_SKIP;
	a->count++;
	if (a->each)
		a->each(a);
	return NL_OK;
}

static int on_done(struct nl_msg *msg, void *arg)
{
	struct answer *a = arg;
	struct nlmsghdr *h = nlmsg_hdr(msg);

	/* an error in a dump stands in its last message */
	if (nlmsg_datalen(h) >= (int)sizeof(int))
		memcpy(&a->err, nlmsg_data(h), sizeof(int));
	a->done = 1;
	return NL_STOP;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct answer *a = arg;

	(void)msg;
	a->done = 1;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *err, void *arg)
{
	struct answer *a = arg;
	struct nlmsghdr *h = (struct nlmsghdr *)err - 1;
	struct nlattr *ext;
	int off = sizeof(*err);

	(void)from;
	a->err = err->error;
	a->done = 1;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		off += NLMSG_ALIGN(err->msg.nlmsg_len - sizeof(err->msg));
	ext = nla_find((void *)((char *)err + off), h->nlmsg_len - NLMSG_HDRLEN - off,
		       NLMSGERR_ATTR_MSG);
	if (ext)
		snprintf(a->ext, sizeof(a->ext), "%s", nla_get_string(ext));
	return NL_STOP;
}

static struct nl_sock *sock_new(int *family)
{
	struct nl_sock *s = nl_socket_alloc();
	int one = 1;

	if (!s || genl_connect(s))
		return NULL;
	setsockopt(nl_socket_get_fd(s), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	nl_socket_set_buffer_size(s, 1 << 20, 1 << 20);
	nl_socket_set_msg_buf_size(s, 128 * 1024);
	*family = genl_ctrl_resolve(s, ZKERN_GENL_NAME);
	return *family < 0 ? NULL : s;
}

static struct nl_msg *msg_new(int family, int cmd, int flags, int id, const char *path)
{
	struct nl_msg *msg = nlmsg_alloc_size(70000);

	genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, flags, cmd, ZKERN_GENL_VERSION);
	if (id >= 0)
		nla_put_u32(msg, ZKERN_A_INSTANCE, id);
	if (path)
		nla_put(msg, ZKERN_A_PATH, strlen(path), path);
	return msg;
}

static void callbacks(struct nl_sock *s, struct answer *a)
{
	nl_socket_disable_seq_check(s);
	nl_socket_modify_cb(s, NL_CB_VALID, NL_CB_CUSTOM, on_valid, a);
	nl_socket_modify_cb(s, NL_CB_FINISH, NL_CB_CUSTOM, on_done, a);
	nl_socket_modify_cb(s, NL_CB_ACK, NL_CB_CUSTOM, on_ack, a);
	nl_socket_modify_err_cb(s, NL_CB_CUSTOM, on_error, a);
}

/* Receives up to the end of the answer; its error. */
static int receive(struct nl_sock *s, struct answer *a)
{
	int err;

	while (!a->done) {
		err = nl_recvmsgs_default(s);
		if (err < 0 && !a->done)
			return -EIO;
	}
	return a->err;
}

static void clear(struct answer *a)
{
	a->count = 0;
	a->err = 0;
	a->done = 0;
	a->ext[0] = '\0';
	a->each = NULL;
	memset(a->attrs, 0, sizeof(a->attrs));
}

/* Sends (and frees) @msg on @s, waits for the answer. */
static int ask_on(struct nl_sock *s, struct nl_msg *msg, struct answer *a)
{
	void (*each)(struct answer *) = a->each;
	int err;

	clear(a);
	a->each = each;
	callbacks(s, a);
	err = nl_send_auto(s, msg);
	nlmsg_free(msg);
	err = err < 0 ? -EIO : receive(s, a);
	a->each = NULL;
	return err;
}

static int ask(int cmd, int flags, int id, const char *path)
{
	struct nl_sock *s;
	int family, err;

	s = sock_new(&family);
	if (!s)
		return -ECONNREFUSED;
	err = ask_on(s, msg_new(family, cmd, flags | NLM_F_REQUEST, id, path), &answer);
	nl_socket_free(s);
	return err;
}

static int get(const char *path)
{
	return ask(ZKERN_CMD_GET, NLM_F_ACK, inst, path);
}

static bool data_is(const struct answer *a, const char *data)
{
	struct nlattr *d = a->attrs[ZKERN_A_DATA];

	return d && nla_len(d) == (int)strlen(data) && !memcmp(nla_data(d), data, nla_len(d));
}

/* ------------------------------------------------------------ reading */

static void fill(void)
{
	char *big = malloc(70000), path[64];
	struct batch b = {};
	struct acl acl;
	int i;

	memset(big, 'b', 70000);
	batch_txn(&b, 1);
	batch_create(&b, "/a", "hello");
	batch_create(&b, "/a/empty", "");
	batch_op(&b, ZKERN_OP_CREATE, "/a/null", NULL, -1, &open_acl, 0);
	batch_op(&b, ZKERN_OP_CREATE, "/big", big, 70000, &open_acl, 0);
	batch_op(&b, ZKERN_OP_CREATE, "/fits", big, 65531, &open_acl, 0);
	batch_op(&b, ZKERN_OP_CREATE, "/over", big, 65532, &open_acl, 0);
	acl_none(&acl);
	acl_add(&acl, READ, "uid", "1000");
	batch_create_acl(&b, "/user", "secret", &acl);
	batch_create(&b, "/user/below", "");
	acl_none(&acl);
	acl_add(&acl, READ, "uid", "0");
	batch_create_acl(&b, "/root", "secret", &acl);
	batch_create(&b, "/many", "");
	for (i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "/many/child-%d", i);
		batch_create(&b, path, path);
	}
	need(!zk_apply(owner, &b, NULL), "apply");
	batch_free(&b);
	free(big);
}

static void test_get(void)
{
	struct zkern_stat st;
	struct nl_sock *s;
	struct nl_msg *msg;
	int family;

	is(get("/a"), 0, "get");
	ok(data_is(&answer, "hello"), "  gives the data");
	ok(nla_get_u64(answer.attrs[ZKERN_A_ZXID]) == 1 &&
	   nla_get_u32(answer.attrs[ZKERN_A_STATE]) == ZKERN_STATE_STANDALONE &&
	   nla_get_u64(answer.attrs[ZKERN_A_AGE_MS]) < 600000, "  zxid, state, age");
	memcpy(&st, nla_data(answer.attrs[ZKERN_A_STAT]), sizeof(st));
	ok(nla_len(answer.attrs[ZKERN_A_STAT]) == sizeof(st) && st.czxid == 1 &&
	   st.data_len == 5 && st.num_children == 2, "  and the stat");
	is(get("/a/empty"), 0, "get of empty data");
	ok(data_is(&answer, ""), "  is empty");
	is(get("/a/null"), 0, "get of null data");
	ok(!answer.attrs[ZKERN_A_DATA], "  is nothing");
	is(get("/fits"), 0, "get of as much as fits");
	ok(nla_len(answer.attrs[ZKERN_A_DATA]) == 65531, "  is all of it");
	is(get("/over"), -EMSGSIZE, "get of a byte more");
	ok(strstr(answer.ext, "device"), "  says where to go: '%s'", answer.ext);
	is(get("/big"), -EMSGSIZE, "get of much more");
	is(ask(ZKERN_CMD_EXISTS, NLM_F_ACK, inst, "/big"), 0, "exists");
	ok(!answer.attrs[ZKERN_A_DATA] && answer.attrs[ZKERN_A_STAT], "  gives the stat alone");
	is(get("/nope"), -ENOENT, "get of nothing");
	ok(strstr(answer.ext, "no such znode"), "  says so: '%s'", answer.ext);
	is(get("/a/"), -EINVAL, "get of a malformed path");
	is(get("a"), -EINVAL, "  and of another");
	is(ask(ZKERN_CMD_GET, NLM_F_ACK, inst, NULL), -EINVAL, "get without a path");
	ok(strstr(answer.ext, "path"), "  says so: '%s'", answer.ext);
	is(ask(ZKERN_CMD_GET, NLM_F_ACK, -1, "/a"), -EINVAL, "get without an instance");
	is(ask(ZKERN_CMD_GET, NLM_F_ACK, 255, "/a"), -ENODEV, "get of an instance that is not");
	is(ask(ZKERN_CMD_GET, NLM_F_ACK, 70000, "/a"), -ENODEV, "  or cannot be");

	s = sock_new(&family);
	need(s, "socket");
	msg = msg_new(family, ZKERN_CMD_GET, NLM_F_REQUEST | NLM_F_ACK, inst, "/a");
	nla_put_u64(msg, ZKERN_A_MIN_ZXID, 1);
	is(ask_on(s, msg, &answer), 0, "get of a zxid that is reached");
	msg = msg_new(family, ZKERN_CMD_GET, NLM_F_REQUEST | NLM_F_ACK, inst, "/a");
	nla_put_u64(msg, ZKERN_A_MIN_ZXID, 2);
	is(ask_on(s, msg, &answer), -ESTALE, "  of one that is not");
	nl_socket_free(s);
}

static int get_as_user(void *arg)
{
	return -get(arg);
}

/* A socket that root opened, used by the user, and the other way round. */
static struct nl_sock *lent;
static int lent_family;

static int get_lent(void *arg)
{
	return -ask_on(lent, msg_new(lent_family, ZKERN_CMD_GET, NLM_F_REQUEST | NLM_F_ACK, inst,
				     arg), &answer);
}

static int elsewhere(void *arg)
{
	(void)arg;
	if (unshare(CLONE_NEWNET))
		return 126;
	return -get("/a");
}

static int user_elsewhere(void *arg)
{
	(void)arg;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return 126;
	return -get("/a");
}

static void test_access(void)
{
	is(get("/user"), -EACCES, "root does not read what is the user's");
	is(as_user(USER, 1, 1, get_as_user, "/user"), 0, "  the user does");
	is(as_user(USER, 1, 1, get_as_user, "/root"), EACCES, "  not what is root's");
	is(get("/root"), 0, "  root does");
	is(ask(ZKERN_CMD_EXISTS, NLM_F_ACK, inst, "/user"), 0, "all may know that it is there");
	lent = sock_new(&lent_family);
	need(lent, "socket");
	is(as_user(USER, 1, 1, get_lent, "/root"), EACCES, "root's socket lends nothing");
	is(as_user(USER, 1, 1, get_lent, "/user"), EACCES, "  and both must be let in");
	is(as_user(USER, 1, 1, get_lent, "/a"), 0, "  as they are to what is open");
	nl_socket_free(lent);
	is(as_user(0, 0, 0, elsewhere, NULL), 0, "root reads from another network namespace");
	is(as_user(USER, 1, 1, user_elsewhere, NULL), EPERM, "a user does not");
}

/* ------------------------------------------------------------ dumps */

static void each_child(struct answer *a)
{
	struct nlattr *name = a->attrs[ZKERN_A_NAME];
	char want[32];

	snprintf(want, sizeof(want), "child-%d", a->count - 1);
	if (!name || nla_len(name) != (int)strlen(want) ||
	    memcmp(nla_data(name), want, strlen(want)))
		a->text[0]++;
	a->zxid |= nla_get_u64(a->attrs[ZKERN_A_ZXID]);
}

static void each_node(struct answer *a)
{
	struct nlattr *data = a->attrs[ZKERN_A_DATA], *path = a->attrs[ZKERN_A_PATH];
	struct zkern_stat st;

	memcpy(&st, nla_data(a->attrs[ZKERN_A_STAT]), sizeof(st));
	if (strlen(a->text) > sizeof(a->text) / 2)
		return;
	sprintf(a->text + strlen(a->text), "%.*s=%.*s%s/%d ", nla_len(path),
		(char *)nla_data(path), data ? (nla_len(data) < 40 ? nla_len(data) : 3) : 0,
		data ? (char *)nla_data(data) : "",
		a->attrs[ZKERN_A_TRUNCATED] ? "!" : data ? "" : "-", st.data_len);
}

static int dump(int cmd, const char *path, void (*each)(struct answer *))
{
	memset(answer.text, 0, sizeof(answer.text));
	answer.zxid = 0;
	answer.each = each;
	return ask(cmd, NLM_F_DUMP, inst, path);
}

static int dump_as_user(void *arg)
{
	if (dump(ZKERN_CMD_SUBTREE, arg, each_node))
		return 1;
	return strstr(answer.text, "/user=secret/6 ") && strstr(answer.text, "/user/below=/0 ") &&
	       strstr(answer.text, "/root=-/6 ") ? 0 : 2;
}

static void test_dumps(void)
{
	is(dump(ZKERN_CMD_CHILDREN, "/many", each_child), 0, "children");
	ok(answer.count == MANY && !answer.text[0] && answer.zxid == 1,
	   "  are all there, in order, at one zxid");
	is(dump(ZKERN_CMD_CHILDREN, "/a/empty", each_child), 0, "children of a leaf");
	ok(!answer.count, "  are none");
	is(dump(ZKERN_CMD_CHILDREN, "/nope", NULL), -ENOENT, "children of nothing");
	is(dump(ZKERN_CMD_CHILDREN, "/user", NULL), -EACCES, "children that are not shown");
	is(dump(ZKERN_CMD_CHILDREN, "/a/", NULL), -EINVAL, "children of a malformed path");
	is(dump(ZKERN_CMD_SUBTREE, "/a", each_node), 0, "a subtree");
	ok(!strcmp(answer.text, "/a=hello/5 /a/empty=/0 /a/null=-/-1 "), "  in pre-order: %s",
	   answer.text);
	is(dump(ZKERN_CMD_SUBTREE, "/", each_node), 0, "the whole tree");
	is(answer.count, 10 + MANY, "  has all but what is below the user's");
	ok(strstr(answer.text, "/big=!/70000 "), "  data that cannot fit is left out");
	ok(strstr(answer.text, "/user=-/6 "), "  data that is not shown as well, otherwise");
	is(as_user(USER, 1, 1, dump_as_user, "/"), 0, "the user's picture is his");
}

/* The tree changes while a dump stands still. */
static void test_dump_frozen(void)
{
	struct batch b = {};
	struct nl_sock *s;
	struct nl_msg *msg;
	char path[64];
	int family, i;

	s = sock_new(&family);
	need(s, "socket");
	clear(&answer);
	memset(answer.text, 0, sizeof(answer.text));
	answer.each = each_child;
	callbacks(s, &answer);
	msg = msg_new(family, ZKERN_CMD_CHILDREN, NLM_F_REQUEST | NLM_F_DUMP, inst, "/many");
	need(nl_send_auto(s, msg) > 0, "send");
	nlmsg_free(msg);
	batch_txn(&b, 2);
	for (i = 0; i < MANY; i++) {
		snprintf(path, sizeof(path), "/many/child-%d", i);
		batch_delete(&b, path);
	}
	batch_create(&b, "/many/new", "");
	need(!zk_apply(owner, &b, NULL), "apply");
	is(receive(s, &answer), 0, "a dump during which all children go");
	ok(answer.count == MANY && !answer.text[0], "  has them all (%d)", answer.count);
	nl_socket_free(s);
	is(dump(ZKERN_CMD_CHILDREN, "/many", NULL), 0, "the next one");
	is(answer.count, 1, "  has what is there");
	batch_free(&b);
}

static void each_nothing(struct answer *a)
{
	(void)a;
}

/* Dumps left standing count as snapshots of their user. */
static int dumps_left(void *arg)
{
	struct nl_sock *s[LIMIT + 1];
	struct nl_msg *msg;
	int family, i, f = zk_open(inst, O_RDONLY);

	(void)arg;
	/* without room to receive, a dump does not get to its end */
	for (i = 0; i <= LIMIT; i++) {
		s[i] = sock_new(&family);
		if (!s[i])
			return 1;
		nl_socket_set_buffer_size(s[i], 4096, 32768);
		msg = msg_new(family, ZKERN_CMD_SUBTREE, NLM_F_REQUEST | NLM_F_DUMP, inst, "/");
		clear(&answer);
		callbacks(s[i], &answer);
		if (nl_send_auto(s[i], msg) < 0)
			return 2;
		nlmsg_free(msg);
	}
	answer.each = each_nothing;
	if (receive(s[LIMIT], &answer) != -ENOSPC)
		return 3;
	if (zk_snapshot(f, NULL, NULL) != -ENOSPC)
		return 4;
	nl_socket_free(s[0]);
	return zk_snapshot(f, NULL, NULL) >= 0 ? 0 : 5;
}

/* ------------------------------------------------------------ instances */

static int manage_as_user(void *arg)
{
	(void)arg;
	if (ask(ZKERN_CMD_NEW, NLM_F_ACK, -1, NULL) != -EPERM)
		return 1;
	return ask(ZKERN_CMD_DEL, NLM_F_ACK, inst, NULL) == -EPERM ? 0 : 2;
}

static int manage_elsewhere(void *arg)
{
	(void)arg;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return 126;
	return manage_as_user(NULL);
}

static void test_manage(void)
{
	struct zkern_info info;
	int id, f;

	is(ask(ZKERN_CMD_NEW, NLM_F_ACK, -1, NULL), 0, "an instance is made");
	id = nla_get_u32(answer.attrs[ZKERN_A_INSTANCE]);
	f = zk_open(id, O_RDWR);
	ok(f >= 0, "  with a node");
	is(ask(ZKERN_CMD_NEW, NLM_F_ACK, id, NULL), -EEXIST, "not twice");
	ok(strstr(answer.ext, "exists"), "  which is said: '%s'", answer.ext);
	is(ask(ZKERN_CMD_NEW, NLM_F_ACK, 256, NULL), -EINVAL, "not with any number");
	is(as_user(USER, 1, 1, manage_as_user, NULL), 0, "a user makes and removes none");
	is(as_user(USER, 1, 1, manage_elsewhere, NULL), 0, "  nor as root of a namespace");
	need(!zk_own(f, NULL), "own");
	is(ask(ZKERN_CMD_DEL, NLM_F_ACK, id, NULL), -EBUSY, "an owner keeps it");
	is(ask(ZKERN_CMD_STATUS, NLM_F_ACK, id, NULL), 0, "status");
	memcpy(&info, nla_data(answer.attrs[ZKERN_A_INFO]), sizeof(info));
	ok(nla_len(answer.attrs[ZKERN_A_INFO]) == sizeof(info) && info.size == sizeof(info) &&
	   info.instance == (unsigned int)id && info.owner_pid == (unsigned int)getpid() &&
	   !strcmp((char *)info.label, "a test"), "  says whose it is");
	close(f);
	is(ask(ZKERN_CMD_STATUS, NLM_F_DUMP, -1, NULL), 0, "status of all");
	is(answer.count, 2, "  are two");
	is(ask(ZKERN_CMD_DEL, NLM_F_ACK, id, NULL), 0, "the instance is removed");
	is(ask(ZKERN_CMD_DEL, NLM_F_ACK, id, NULL), -ENODEV, "  once");
	is(ask(ZKERN_CMD_STATUS, NLM_F_ACK, id, NULL), -ENODEV, "  and has no status");
	is(ask(ZKERN_CMD_DEL, NLM_F_ACK, -1, NULL), -EINVAL, "removing what is not named");
	is(ask(ZKERN_CMD_EVENT, NLM_F_ACK, id, NULL), -EOPNOTSUPP, "events cannot be asked for");
}

static void each_event(struct answer *a)
{
	struct zkern_info info;

	memcpy(&info, nla_data(a->attrs[ZKERN_A_INFO]), sizeof(info));
	sprintf(a->text + strlen(a->text), "%u:%u:%llu%s ",
		nla_get_u32(a->attrs[ZKERN_A_INSTANCE]), nla_get_u32(a->attrs[ZKERN_A_STATE]),
		(unsigned long long)nla_get_u64(a->attrs[ZKERN_A_ZXID]),
		a->attrs[ZKERN_A_REMOVED] ? ":gone" : "");
	if (info.owner_pid || a->attrs[ZKERN_A_REMOVED])
		a->done = 1;
}

static void test_events(void)
{
	struct zkern_load load = { .zxid = 30 };
	char want[256];
	struct nl_sock *s;
	int family, f;

	s = sock_new(&family);
	need(s, "socket");
	need(!nl_socket_add_membership(s, genl_ctrl_resolve_grp(s, ZKERN_GENL_NAME,
								ZKERN_GENL_GROUP_STATE)),
	     "membership");
	clear(&answer);
	memset(answer.text, 0, sizeof(answer.text));
	answer.each = each_event;
	callbacks(s, &answer);

	need(zk_new(9, ~0u) == 9, "new");
	f = zk_open(9, O_RDWR);
	need(f >= 0 && !zk_own(f, NULL), "own");
	need(!zk_state(f, ZKERN_STATE_LEADING, 0), "state");
	need(!zk_state(f, ZKERN_STATE_LEADING, 5), "the same state");
	zk_create(f, 20, "/x", "");
	need(!zk_state(f, ZKERN_STATE_FOLLOWING, 0), "state");
	need(!zk_load(f, ZKERN_LOAD_BEGIN, NULL, NULL) &&
	     !zk_load(f, ZKERN_LOAD_COMMIT, NULL, &load), "swap");
	close(f);
	f = zk_open(9, O_RDWR);
	need(!zk_own(f, NULL), "own");
	need(!zk_del(9, ZKERN_DEL_FORCE), "del");
	close(f);
	is(receive(s, &answer), 0, "events");
	snprintf(want, sizeof(want), "9:%d:0 9:%d:0 9:%d:20 9:%d:30 9:%d:30 9:%d:30 9:%d:30:gone ",
		 ZKERN_STATE_EMPTY, ZKERN_STATE_LEADING, ZKERN_STATE_FOLLOWING,
		 ZKERN_STATE_FOLLOWING, ZKERN_STATE_ORPHANED, ZKERN_STATE_DISCONNECTED,
		 ZKERN_STATE_DISCONNECTED);
	ok(!strcmp(answer.text, want), "  tell of each change, once: %s", answer.text);
	nl_socket_free(s);
}

int main(void)
{
	inst = zk_instance(&owner);
	fill();
	test_get();
	test_access();
	test_dumps();
	test_manage();
	test_events();
	is(as_user(USER, 1, 1, dumps_left, NULL), 0, "dumps left standing count");
	test_dump_frozen();
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
