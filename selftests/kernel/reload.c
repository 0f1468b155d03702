// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loading and unloading: refused while anything is open, and again and again
 * between readers who never stop.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <netlink/attr.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include "tap.h"
#include "zk.h"

#define MODULE	"/zkern.ko"
/* Loading takes seconds on a kernel that looks into all that is loaded. */
#define CYCLES	(20 + 80 / zk_times())
#define READERS	3

static int load(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC), err;

	need(fd >= 0, MODULE);
	err = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return err;
}

static int unload(void)
{
	return syscall(SYS_delete_module, "zkern", O_NONBLOCK) ? -errno : 0;
}

static void fill(int owner, int nodes)
{
	struct batch b = {};
	char path[64];
	int i;

	batch_txn(&b, 1);
	for (i = 0; i < nodes; i++) {
		snprintf(path, sizeof(path), "/node-%d", i);
		batch_create(&b, path, path);
	}
	need(!zk_apply(owner, &b, NULL), "apply");
	batch_free(&b);
}

/* A dump that has begun and waits for its receiver. */
static struct nl_sock *begin_dump(int inst)
{
	struct nl_sock *s = nl_socket_alloc();
	struct nl_msg *msg = nlmsg_alloc();
	int family;

	need(s && msg && !genl_connect(s), "netlink");
	family = genl_ctrl_resolve(s, ZKERN_GENL_NAME);
	need(family >= 0, "family");
	nl_socket_set_buffer_size(s, 4096, 32768);
	genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, NLM_F_REQUEST | NLM_F_DUMP,
		    ZKERN_CMD_SUBTREE, ZKERN_GENL_VERSION);
	nla_put_u32(msg, ZKERN_A_INSTANCE, inst);
	nla_put(msg, ZKERN_A_PATH, 1, "/");
	need(nl_send_auto(s, msg) > 0, "send");
	nlmsg_free(msg);
	return s;
}

static void test_refused(void)
{
	int owner, inst = zk_instance(&owner), f, snap;
	struct nl_sock *s;

	fill(owner, 5000);
	is(unload(), -EAGAIN, "the module stays while a file is open");
	f = open("/dev/zkern", O_RDWR);
	snap = zk_snapshot(owner, NULL, NULL);
	s = begin_dump(inst);
	close(owner);
	is(unload(), -EAGAIN, "  the control node, a snapshot or a dump");
	close(f);
	is(unload(), -EAGAIN, "  a snapshot or a dump");
	need(!zk_del(inst, 0), "del");
	is(unload(), -EAGAIN, "  be it of an instance that is gone");
	close(snap);
	is(unload(), -EAGAIN, "  a dump");
	nl_socket_free(s);
	is(unload(), 0, "  and goes when nothing is");
	is(load(), 0, "  and comes back");
}

static atomic_bool stop;

static void *reader(void *arg)
{
	long *reads = arg;
	struct zkern_list list;
	char buf[4096];
	int f, snap;

	while (!stop) {
		f = zk_open(0, O_RDONLY);
		if (f >= 0) {
			snap = zk_snapshot(f, NULL, NULL);
			if (!zk_get(f, "/node-5", buf, sizeof(buf), NULL))
				++*reads;
			zk_children(f, "/", "", buf, sizeof(buf), &list);
			close(f);
			if (snap >= 0) {
				while (read(snap, buf, sizeof(buf)) > 0)
					;
				close(snap);
			}
		}
		usleep(20000);
	}
	return NULL;
}

static int unload_between(void)
{
	int i, err = -EAGAIN;

	for (i = 0; err == -EAGAIN && i < LONG * 1000; i++) {
		err = unload();
		if (err)
			usleep(1000);
	}
	return err;
}

static void test_cycles(void)
{
	pthread_t t[READERS];
	long reads[READERS] = {};
	int i, cycles = CYCLES, failed = 0, owner, inst;

	need(!unload(), "unload");
	for (i = 0; i < READERS; i++)
		need(!pthread_create(&t[i], NULL, reader, &reads[i]), "thread");
	for (i = 0; i < cycles; i++) {
		if (load()) {
			failed++;
			break;
		}
		inst = zk_instance(&owner);
		fill(owner, 20);
		usleep(30000);
		/* half of them leave an instance for the module to remove */
		close(owner);
		if (i % 2)
			zk_del(inst, 0);
		if (unload_between()) {
			failed++;
			break;
		}
	}
	stop = 1;
	for (i = 0; i < READERS; i++)
		pthread_join(t[i], NULL);
	is(failed, 0, "%d times loaded and unloaded under readers", i);
	ok(reads[0] + reads[1] + reads[2] > 0, "  who read (%ld times)",
	   reads[0] + reads[1] + reads[2]);
	is(load(), 0, "the module is there again");
}

int main(void)
{
	test_refused();
	test_cycles();
	return tap_end();
}
