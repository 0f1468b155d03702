// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store in the kernel: /dev/zkernN, owned by this process. Opening it, and the
 * reads of single nodes, each of which is one ioctl.
 */
#include <linux/types.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/store/kernel.h"

#define CONTROL		"/dev/zkern"
#define NODE_WAIT_MS	5000		/* for a new instance's device node */
#define ACL_GUESS	512
#define OTHER_MODULE	"stop what uses it, rmmod zkern, then modprobe the one of this version"

int kernel_call(int fd, unsigned long cmd, void *arg)
{
	int rc;

	do {
		rc = ioctl(fd, cmd, arg);
	} while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : 0;
}

void kernel_stat(const struct zkern_stat *from, struct zk_stat *to)
{
	to->czxid = from->czxid;
	to->mzxid = from->mzxid;
	to->pzxid = from->pzxid;
	to->ctime = from->ctime;
	to->mtime = from->mtime;
	to->version = from->version;
	to->cversion = from->cversion_stored;
	to->aversion = from->aversion;
	to->num_children = from->num_children;
	to->owner = from->owner_stored;
}

/* ---------------------------------------------------------------- reading */

/*
 * One ZKERN_GET, and the number of the tree that answered it: told by a number
 * that did not change meanwhile and was not odd (a swap under way).
 */
static int get(struct kernel *k, struct zkern_get *g, u32 *tree)
{
	int rc;

	for (;;) {
		*tree = __atomic_load_n(&k->tree, __ATOMIC_ACQUIRE);
		if (*tree & 1) {
			sched_yield();
			continue;
		}
		rc = kernel_call(k->fd, ZKERN_GET, g);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&k->tree, __ATOMIC_RELAXED) == *tree)
			break;
	}
	/* a path that cannot be is one that is not there */
	return rc == -EINVAL ? -ENOENT : rc;
}

void kernel_node(struct store_node *node, const struct zkern_get *g, u32 tree)
{
	node->zxid = g->zxid;
	node->acl_id = store_acl_id(tree, g->acl_id);
	node->crc = g->crc;
	node->data_len = g->stat.data_len;
	kernel_stat(&g->stat, &node->stat);
}

static int kernel_get(struct store *st, const char *path, u32 len, struct store_node *node,
		      void *buf, u32 cap)
{
	struct zkern_get g = {
		.size = sizeof(g),
		.flags = buf ? 0 : ZKERN_GET_NODATA,
		.path = (uintptr_t)path,
		.path_len = len,
		.buf = (uintptr_t)buf,
		.buf_len = buf ? cap : 0,
	};
	u32 tree;
	int rc = get(to_kernel(st), &g, &tree);

	node->zxid = g.zxid;
	if (!rc || rc == -EMSGSIZE)
		kernel_node(node, &g, tree);
	return rc;
}

static int kernel_acl(struct store *st, const char *path, u32 len, struct store_node *node,
		      struct jw *out)
{
	struct zkern_get g = {
		.size = sizeof(g),
		.flags = ZKERN_GET_ACL,
		.path = (uintptr_t)path,
		.path_len = len,
		.len = ACL_GUESS,
	};
	u32 tree;
	u8 *room;
	int rc;

	do {
		room = jw_room(out, g.len);
		if (!room)
			return out->err;
		g.buf = (uintptr_t)room;
		g.buf_len = g.len;
		rc = get(to_kernel(st), &g, &tree);
	} while (rc == -EMSGSIZE);
	node->zxid = g.zxid;
	if (!rc) {
		out->len += g.len;
		kernel_node(node, &g, tree);
	}
	return rc;
}

static int kernel_info(struct store *st, struct store_info *info)
{
	struct kernel *k = to_kernel(st);
	struct zkern_info i = { .size = sizeof(i) };
	int rc = kernel_call(k->fd, ZKERN_INFO, &i);

	memset(info, 0, sizeof(*info));
	if (rc)
		return rc;
	info->kind = "kernel";
	info->zxid = i.zxid;
	info->digest = i.digest;
	info->taken_up = k->taken_up;
	info->stats.zxid = i.zxid;
	info->stats.digest = i.digest;
	info->stats.nodes = i.nodes;
	info->stats.ephemerals = i.ephemerals;
	info->stats.data_bytes = i.data_bytes;
	info->stats.bytes = i.bytes;
	info->stats.retained = i.retained;
	info->stats.pins = i.snapshots;
	return 0;
}

static int kernel_set_state(struct store *st, enum store_state state, u64 heard_ms)
{
	struct zkern_set_state s = {
		.size = sizeof(s), .state = state, .heard_ms = heard_ms,
	};

	/* an older module cannot take back what is to be seen */
	if (state == STORE_HIDDEN && to_kernel(st)->api < 4)
		return 0;
	return kernel_call(to_kernel(st)->fd, ZKERN_SET_STATE, &s);
}

/* An older module's readers have nothing to ask. */
static int kernel_confirm(struct store *st, u64 done, u64 *asked)
{
	struct zkern_confirm q = { .size = sizeof(q), .done = done };
	int rc = kernel_call(to_kernel(st)->fd, ZKERN_CONFIRM, &q);

	*asked = q.asked;
	return rc == -ENOTTY ? 0 : rc;
}

static int kernel_ask_fd(struct store *st)
{
	return to_kernel(st)->api < 3 ? -1 : to_kernel(st)->fd;
}

/* ---------------------------------------------------------------- local programs */

static int kernel_calls_fd(struct store *st)
{
	return to_kernel(st)->api < 5 ? -1 : to_kernel(st)->fd;
}

static int kernel_calls_take(struct store *st, void *buf, u32 len, u32 *used)
{
	struct zkern_take t = { .size = sizeof(t), .buf = (uintptr_t)buf, .buf_len = len };
	int rc = kernel_call(to_kernel(st)->fd, ZKERN_TAKE, &t);

	*used = t.used;
	return rc;
}

static int kernel_calls_answer(struct store *st, const void *buf, u32 len)
{
	struct zkern_answer a = { .size = sizeof(a), .buf = (uintptr_t)buf, .buf_len = len };

	return kernel_call(to_kernel(st)->fd, ZKERN_ANSWER, &a);
}

/* ---------------------------------------------------------------- open, close */

static void kernel_close(struct store *st)
{
	struct kernel *k = to_kernel(st);

	close(k->fd);
	jw_free(&k->out);
	free(k);
}

static const struct store_ops kernel_ops = {
	.kind = "kernel",
	.close = kernel_close,
	.info = kernel_info,
	.get = kernel_get,
	.acl = kernel_acl,
	.children = kernel_children,
	.owned = kernel_owned,
	.owned_nodes = kernel_owned_nodes,
	.timed = kernel_timed,
	.snap_open = kernel_snap_open,
	.snap_each = kernel_snap_each,
	.snap_close = kernel_snap_close,
	.apply = kernel_apply,
	.load_begin = kernel_load_begin,
	.load_node = kernel_load_node,
	.load_txn = kernel_load_txn,
	.load_commit = kernel_load_commit,
	.load_abort = kernel_load_abort,
	.set_state = kernel_set_state,
	.confirm = kernel_confirm,
	.ask_fd = kernel_ask_fd,
	.calls_fd = kernel_calls_fd,
	.calls_take = kernel_calls_take,
	.calls_answer = kernel_calls_answer,
};

/* Makes the instance through the control node. */
static int new_instance(u32 id)
{
	struct zkern_instance i = { .size = sizeof(i), .id = id, .uid = ~0U };
	int fd, rc;

	fd = open(CONTROL, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENXIO ? -ENODEV : -errno;
	rc = kernel_call(fd, ZKERN_NEW, &i);
	close(fd);
	return rc == -EEXIST ? 0 : rc;
}

/* The instance's device node: it appears a moment after the instance. */
static int open_node(const char *name, int wait_ms)
{
	const struct timespec ts = { .tv_nsec = 10 * 1000 * 1000 };
	int fd;

	for (;;) {
		fd = open(name, O_RDWR | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT || wait_ms <= 0)
			return -errno;
		nanosleep(&ts, NULL);
		wait_ms -= 10;
	}
}

static int own(struct kernel *k, const struct store_params *p)
{
	struct zkern_own o = { .size = sizeof(o) };
	int rc;

	if (p->label)
		snprintf((char *)o.label, sizeof(o.label), "%s", p->label);
	rc = kernel_call(k->fd, ZKERN_OWN, &o);
	if (rc)
		return rc;
	k->taken_up = o.state == ZKERN_STATE_ORPHANED;
	k->st.zxid = o.zxid;
	return 0;
}

/*
 * An older module takes all that it knows: what it does not know is zero, or asked for
 * again without. But it is not the one that was installed with this zkernd.
 */
static void check_module(struct kernel *k)
{
	struct zkern_info i = { .size = sizeof(i) };

	if (!kernel_call(k->fd, ZKERN_INFO, &i))
		k->api = i.api;
	if (k->api && k->api < ZKERN_API_VERSION)
		log_warn("store: the loaded module zkern is older (interface %u) than this zkernd (%u): "
			 OTHER_MODULE, i.api, ZKERN_API_VERSION);
}

static const char *explain(int rc, const char *name)
{
	static __thread char text[256];

	if (rc == -ENODEV)
		return "no " CONTROL ": the module zkern is not loaded";
	if (rc == -EBUSY)
		snprintf(text, sizeof(text),
			 "%s has an owner: another zkernd serves from it (--instance takes another)",
			 name);
	else if (rc == -E2BIG)
		snprintf(text, sizeof(text),
			 "%s: the loaded module zkern is older than this zkernd and does not know what it asks: "
			 OTHER_MODULE, name);
	else
		snprintf(text, sizeof(text), "%s: %s", name, strerror(-rc));
	return text;
}

int kernel_store_open(const struct store_params *p, struct store **st, const char **why)
{
	u32 id = p->instance < 0 ? 0 : p->instance;
	struct kernel *k = calloc(1, sizeof(*k));
	char name[32];
	int rc;

	snprintf(name, sizeof(name), "/dev/zkern%u", id);
	if (!k) {
		*why = "out of memory";
		return -ENOMEM;
	}
	jw_init(&k->out, ZKERN_APPLY_MAX);
	k->st.ops = &kernel_ops;
	k->fd = open_node(name, 0);
	if (k->fd == -ENOENT || k->fd == -ENXIO) {
		rc = new_instance(id);
		k->fd = rc ? rc : open_node(name, NODE_WAIT_MS);
	}
	rc = k->fd < 0 ? k->fd : own(k, p);
	if (rc) {
		*why = explain(rc, name);
		if (k->fd >= 0)
			close(k->fd);
		free(k);
		return rc;
	}
	check_module(k);
	if (k->taken_up)
		log_info("store: %s has a tree at zxid 0x%llx", name, k->st.zxid);
	*st = &k->st;
	return 0;
}
