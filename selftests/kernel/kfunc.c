// SPDX-License-Identifier: GPL-2.0-or-later
/* Znodes for BPF programs, and the example of it: an XDP program that obeys one. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"
#include "kfunc.skel.h"

#define PORT	"7311"
#define ROUNDS	3000

static struct kfunc *k;
static int inst, owner;

static uint64_t zxid_of(int fd)
{
	struct zkern_info info;

	need(!zk_info(fd, &info), "info");
	return info.zxid;
}

/* Runs the program that calls all kfuncs for @path. */
static int look(const char *path)
{
	struct bpf_test_run_opts opts = { .sz = sizeof(opts) };

	memset(k->bss->path, 0, sizeof(k->bss->path));
	strcpy(k->bss->path, path);
	memset(k->bss->data, 0, sizeof(k->bss->data));
	need(!bpf_prog_test_run_opts(bpf_program__fd(k->progs.look), &opts), "running it");
	return k->bss->got;
}

static void reads(void)
{
	char large[100];
	struct batch b = { 0 };

	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	is(look("/a"), -ENOENT, "no such node");
	zk_create(owner, 1, "/a", "value");
	is(look("/a"), 5, "its length comes");
	ok(!memcmp(k->bss->data, "value", 5), "and its data");
	is(k->bss->got_stat, 0, "its stat");
	ok(k->bss->stat.czxid == 1 && k->bss->stat.data_len == 5, "is the node's");
	is(k->bss->got_short, -EINVAL, "a stat of another size is refused");
	is(k->bss->got_state, 0, "the tree's state");
	ok(k->bss->state.zxid == 1 && k->bss->state.state == ZKERN_STATE_STANDALONE &&
	   k->bss->state.age_ms < 1000ull * LONG, "is told");
	zk_set(owner, 2, "/a", large, 1);
	is(look("/a"), -EMSGSIZE, "more data than there is room for");
	ok(!k->bss->data[0], "none of it comes");
	ok(!k->bss->got_stat && k->bss->stat.version == 1, "but the stat does");
	is(look("a"), -EINVAL, "a path without a slash");
	is(look("/a//b"), -EINVAL, "a path with an empty name");
	batch_txn(&b, 3);
	batch_op(&b, ZKERN_OP_CREATE, "/null", NULL, -1, &open_acl, 0);
	need(!zk_apply(owner, &b, NULL), "null data");
	batch_free(&b);
	ok(!look("/null") && k->bss->stat.data_len == -1, "null data has no bytes");
}

static void acls(void)
{
	struct batch b = { 0 };
	struct acl root;

	acl_none(&root);
	acl_add(&root, ALL, "uid", "0");
	batch_txn(&b, 4);
	batch_create_acl(&b, "/roots", "secret", &root);
	need(!zk_apply(owner, &b, NULL), "a node of root's");
	batch_free(&b);
	is(look("/roots"), -EACCES, "a program has no identity, not even its loader's");
	is(k->bss->got_stat, -EACCES, "and sees no stat of it");
}

static void *set_on(void *arg)
{
	static const char *const values[] = { "aaaaaaaaaaaaaaaa", "bbbbbbbb" };
	bool *stop = arg;
	uint64_t zxid = 10;

	zk_create(owner, zxid, "/race", values[0]);
	for (int i = 1; !__atomic_load_n(stop, __ATOMIC_RELAXED); i++)
		zk_set(owner, zxid + i, "/race", values[i % 2], i);
	return NULL;
}

static void race(void)
{
	pthread_t writer;
	bool stop = false;
	int seen[2] = { 0 }, torn = 0, len;

	need(!pthread_create(&writer, NULL, set_on, &stop), "thread");
	for (int i = 0; i < ROUNDS || !seen[0] || !seen[1]; i++) {
		len = look("/race");
		if (len == -ENOENT)
			continue;
		if (len == 16 && !strcmp(k->bss->data, "aaaaaaaaaaaaaaaa"))
			seen[0]++;
		else if (len == 8 && !strcmp(k->bss->data, "bbbbbbbb"))
			seen[1]++;
		else
			torn++;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
	ok(!torn, "while it is set, a value is whole (%d and %d of them)", seen[0], seen[1]);
}

static void traces(void)
{
	zk_set(owner, zxid_of(owner) + 1, "/a", "traced", 2);
	look("/a");
	k->bss->tgid = getpid();
	k->links.on_rename = bpf_program__attach(k->progs.on_rename);
	need(k->links.on_rename, "attaching");
	need(!prctl(PR_SET_NAME, "renamed"), "prctl");
	bpf_link__destroy(k->links.on_rename);
	k->links.on_rename = NULL;
	ok(k->bss->traced && k->bss->got_traced == 6 &&
	   !memcmp(k->bss->data_traced, "traced", 6), "a tracing program reads as well");
}

/* ------------------------------------------------------------ XDP */

struct net {
	int from, to;
	struct sockaddr_in addr;
};

static void net_up(struct net *n)
{
	struct ifreq lo = { .ifr_name = "lo" };

	n->from = socket(AF_INET, SOCK_DGRAM, 0);
	n->to = socket(AF_INET, SOCK_DGRAM, 0);
	n->addr = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(atoi(PORT)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	need(!ioctl(n->to, SIOCGIFFLAGS, &lo), "lo");
	lo.ifr_flags |= IFF_UP;
	need(!ioctl(n->to, SIOCSIFFLAGS, &lo), "lo up");
	need(!bind(n->to, (struct sockaddr *)&n->addr, sizeof(n->addr)), "bind");
}

/* A packet: it is dropped on its way, or is there when it was sent (loopback). */
static bool passes(struct net *n)
{
	struct pollfd p = { .fd = n->to, .events = POLLIN };
	char c = 'x';

	need(sendto(n->from, &c, 1, 0, (struct sockaddr *)&n->addr, sizeof(n->addr)) == 1,
	     "send");
	if (poll(&p, 1, 1000) != 1)
		return false;
	return recv(n->to, &c, 1, 0) == 1;
}

/* The example, as a program of its own; its output in *@out. */
static pid_t start_obey(int *out, const char *path)
{
	char id[16], line[64] = "";
	int fds[2];
	pid_t pid;

	snprintf(id, sizeof(id), "%d", inst);
	need(!pipe(fds), "pipe");
	pid = fork();
	if (!pid) {
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		execl("/t/obey", "obey", "lo", path, id, NULL);
		_exit(127);
	}
	close(fds[1]);
	*out = fds[0];
	if (read(*out, line, sizeof(line) - 1) <= 0 || strncmp(line, "obeying", 7))
		printf("# obey says: %s\n", line);
	return pid;
}

static void obeys(void)
{
	uint64_t zxid = zxid_of(owner);
	char line[64] = "";
	struct net n;
	pid_t pid;
	int out, status;

	net_up(&n);
	pid = start_obey(&out, "/drop-port");
	ok(passes(&n), "XDP: without the node all pass");
	zk_create(owner, ++zxid, "/drop-port", PORT);
	ok(!passes(&n), "XDP: the port that it names is dropped");
	zk_set(owner, ++zxid, "/drop-port", "1", 1);
	ok(passes(&n), "XDP: not when it names another");
	zk_set(owner, ++zxid, "/drop-port", PORT, 2);
	ok(!passes(&n), "XDP: and dropped again");
	zk_set(owner, ++zxid, "/drop-port", "no number", 3);
	ok(passes(&n), "XDP: what is no port drops nothing");
	kill(pid, SIGTERM);
	need(read(out, line, sizeof(line) - 1) > 0, "obey's last line");
	need(waitpid(pid, &status, 0) == pid, "obey's end");
	ok(!status && atoi(line) == 2, "it counted what it dropped: %s", strtok(line, "\n"));
	close(out);
	close(n.from);
	close(n.to);
}

/* ------------------------------------------------------------ the end */

static void ends(void)
{
	int empty;

	empty = zk_new(~0U, ~0U);
	need(empty >= 0, "another instance");
	k->bss->instance = empty;
	is(look("/a"), -ESTALE, "a tree that is not there yet");
	ok(!k->bss->got_state && k->bss->state.state == ZKERN_STATE_EMPTY, "is a state");
	need(!zk_del(empty, 0), "its end");
	is(look("/a"), -ENODEV, "an instance that is gone");
	is(k->bss->got_state, -ENODEV, "has no state");
	k->bss->instance = ~0U;
	is(look("/a"), -ENODEV, "no such number");
	close(owner);
	need(!zk_del(inst, 0), "the end of the first");
	errno = 0;
	ok(syscall(SYS_delete_module, "zkern", O_NONBLOCK) && errno == EWOULDBLOCK,
	   "the module stays while a program is loaded that calls it");
}

int main(void)
{
	inst = zk_instance(&owner);
	k = kfunc__open_and_load();
	need(k, "loading the programs");
	k->bss->instance = inst;
	reads();
	acls();
	race();
	traces();
	obeys();
	ends();
	kfunc__destroy(k);
	return tap_end();
}
