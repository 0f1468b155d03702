// SPDX-License-Identifier: GPL-2.0-or-later
#include "zk.h"

#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

int zk_ioctl(int fd, unsigned long cmd, void *arg)
{
	int n = ioctl(fd, cmd, arg);

	return n < 0 ? -errno : n;
}

/* ------------------------------------------------------------ instances */

static int control(unsigned long cmd, struct zkern_instance *req)
{
	int fd = open("/dev/zkern", O_RDWR | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = zk_ioctl(fd, cmd, req);
	close(fd);
	return err;
}

int zk_new(uint32_t want, uint32_t uid)
{
	struct zkern_instance req = { .size = sizeof(req), .id = want, .uid = uid };
	int err = control(ZKERN_NEW, &req);

	return err ? err : (int)req.id;
}

int zk_del(uint32_t id, uint32_t flags)
{
	struct zkern_instance req = { .size = sizeof(req), .id = id, .flags = flags };

	return control(ZKERN_DEL, &req);
}

int zk_open(int id, int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/zkern%d", id);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int zk_own(int fd, struct zkern_own *own)
{
	struct zkern_own mine = { .label = "a test" };

	if (!own)
		own = &mine;
	own->size = sizeof(*own);
	return zk_ioctl(fd, ZKERN_OWN, own);
}

int zk_state(int fd, uint32_t state, uint64_t heard_ms)
{
	struct zkern_set_state req = {
		.size = sizeof(req), .state = state, .heard_ms = heard_ms,
	};

	return zk_ioctl(fd, ZKERN_SET_STATE, &req);
}

int zk_info(int fd, struct zkern_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return zk_ioctl(fd, ZKERN_INFO, info);
}

int zk_instance(int *owner)
{
	int id = zk_new(~0u, ~0u);

	need(id >= 0, "cannot make an instance (%d)", id);
	*owner = zk_open(id, O_RDWR);
	need(*owner >= 0, "cannot open instance %d (%d)", id, *owner);
	need(!zk_own(*owner, NULL), "cannot own instance %d", id);
	need(!zk_state(*owner, ZKERN_STATE_STANDALONE, 0), "cannot set the state");
	return id;
}

/* ------------------------------------------------------------ transactions */

const struct acl open_acl = {
	.len = 27,
	.bytes = "\0\0\0\1\0\0\0\37\0\0\0\5world\0\0\0\6anyone",
};

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = v >> 24;
	p[1] = v >> 16;
	p[2] = v >> 8;
	p[3] = v;
}

void acl_none(struct acl *acl)
{
	memset(acl, 0, sizeof(*acl));
	acl->len = 4;
}

static void acl_string(struct acl *acl, const char *s)
{
	put32(acl->bytes + acl->len, strlen(s));
	memcpy(acl->bytes + acl->len + 4, s, strlen(s));
	acl->len += 4 + strlen(s);
}

void acl_add(struct acl *acl, uint32_t perms, const char *scheme, const char *id)
{
	put32(acl->bytes + acl->len, perms);
	acl->len += 4;
	acl_string(acl, scheme);
	acl_string(acl, id);
	acl->bytes[3]++;
}

uint32_t crc_of(const char *path, const void *data, int32_t len)
{
	size_t n = strlen(path), i;
	uint32_t crc = ~0u;
	int k;

	for (i = 0; i < n + (len > 0 ? len : 0); i++) {
		crc ^= i < n ? (uint8_t)path[i] : ((const uint8_t *)data)[i - n];
		for (k = 0; k < 8; k++)
			crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* @n zeroed bytes at the end. */
static void *batch_more(struct batch *b, size_t n)
{
	void *p;

	if (b->len + n > b->cap) {
		b->cap = (b->len + n) * 2;
		b->buf = realloc(b->buf, b->cap);
		need(b->buf, "out of memory");
	}
	p = b->buf + b->len;
	memset(p, 0, n);
	b->len += n;
	return p;
}

struct zkern_txn *batch_txn(struct batch *b, uint64_t zxid)
{
	struct zkern_txn *txn;

	b->txn = b->len;
	txn = batch_more(b, sizeof(*txn));
	txn->len = sizeof(*txn);
	txn->zxid = zxid;
	txn->time = 1000 * zxid;
	return txn;
}

/* A record's fixed part of @fixed bytes and its three tails; returns the offset. */
static size_t batch_record(struct batch *b, size_t fixed, const char *path, const void *data,
			   int32_t data_len, const struct acl *acl, uint32_t *len)
{
	size_t at = b->len, path_len = strlen(path), dlen = data_len > 0 ? data_len : 0;
	size_t total = fixed + path_len + dlen + (acl ? acl->len : 0);
	uint8_t *p;

	*len = (total + 7) & ~(size_t)7;
	p = batch_more(b, *len);
	memcpy(p + fixed, path, path_len);
	if (dlen)
		memcpy(p + fixed + path_len, data, dlen);
	if (acl)
		memcpy(p + fixed + path_len + dlen, acl->bytes, acl->len);
	return at;
}

struct zkern_op *batch_op(struct batch *b, uint32_t type, const char *path, const void *data,
			  int32_t data_len, const struct acl *acl, uint64_t owner)
{
	struct zkern_txn *txn;
	struct zkern_op *op;
	uint32_t len;
	size_t at;

	at = batch_record(b, sizeof(*op), path, data, data_len, acl, &len);
	op = (void *)(b->buf + at);
	op->len = len;
	op->type = type;
	op->pcversion = -1;
	op->path_len = strlen(path);
	op->data_len = data_len;
	op->acl_len = acl ? acl->len : 0;
	op->owner = owner;
	if (type == ZKERN_OP_CREATE || type == ZKERN_OP_SETDATA)
		op->crc = crc_of(path, data, data_len);
	txn = (void *)(b->buf + b->txn);
	txn->len += len;
	txn->n_ops++;
	return op;
}

void batch_create_acl(struct batch *b, const char *path, const char *data, const struct acl *acl)
{
	batch_op(b, ZKERN_OP_CREATE, path, data, strlen(data), acl, 0);
}

void batch_create(struct batch *b, const char *path, const char *data)
{
	batch_create_acl(b, path, data, &open_acl);
}

void batch_set(struct batch *b, const char *path, const char *data, int32_t version)
{
	batch_op(b, ZKERN_OP_SETDATA, path, data, strlen(data), NULL, 0)->version = version;
}

void batch_delete(struct batch *b, const char *path)
{
	batch_op(b, ZKERN_OP_DELETE, path, NULL, 0, NULL, 0);
}

struct zkern_node *batch_node(struct batch *b, const char *path, const void *data,
			      int32_t data_len, const struct acl *acl)
{
	struct zkern_node *node;
	uint32_t len;
	size_t at;

	at = batch_record(b, sizeof(*node), path, data, data_len, acl, &len);
	node = (void *)(b->buf + at);
	node->len = len;
	node->path_len = strlen(path);
	node->data_len = data_len;
	node->acl_len = acl->len;
	node->crc = crc_of(path, data, data_len);
	return node;
}

void batch_reset(struct batch *b)
{
	b->len = 0;
	b->txn = 0;
}

void batch_free(struct batch *b)
{
	free(b->buf);
	memset(b, 0, sizeof(*b));
}

int zk_apply(int fd, struct batch *b, struct zkern_apply *res)
{
	struct zkern_apply mine;

	if (!res)
		res = &mine;
	memset(res, 0, sizeof(*res));
	res->size = sizeof(*res);
	res->buf = ptr(b->buf);
	res->buf_len = b->len;
	return zk_ioctl(fd, ZKERN_APPLY, res);
}

int zk_load(int fd, uint32_t cmd, struct batch *b, struct zkern_load *res)
{
	struct zkern_load mine = {};

	if (!res)
		res = &mine;
	res->size = sizeof(*res);
	res->cmd = cmd;
	res->buf = b ? ptr(b->buf) : 0;
	res->buf_len = b ? b->len : 0;
	return zk_ioctl(fd, ZKERN_LOAD, res);
}

void zk_create(int fd, uint64_t zxid, const char *path, const char *data)
{
	struct batch b = {};

	batch_txn(&b, zxid);
	batch_create(&b, path, data);
	need(!zk_apply(fd, &b, NULL), "create %s", path);
	batch_free(&b);
}

void zk_set(int fd, uint64_t zxid, const char *path, const char *data, int32_t version)
{
	struct batch b = {};

	batch_txn(&b, zxid);
	batch_set(&b, path, data, version);
	need(!zk_apply(fd, &b, NULL), "set %s", path);
	batch_free(&b);
}

/* ------------------------------------------------------------ reading */

int zk_get(int fd, const char *path, void *buf, uint32_t len, struct zkern_get *get)
{
	struct zkern_get mine = {};

	if (!get)
		get = &mine;
	get->size = sizeof(*get);
	get->path = ptr(path);
	get->path_len = strlen(path);
	get->buf = ptr(buf);
	get->buf_len = len;
	return zk_ioctl(fd, ZKERN_GET, get);
}

int zk_exists(int fd, const char *path, struct zkern_get *get)
{
	struct zkern_get mine = {};
	int err;

	if (!get)
		get = &mine;
	get->flags = ZKERN_GET_NODATA;
	err = zk_get(fd, path, NULL, 0, get);
	get->flags = 0;
	return err;
}

int zk_children(int fd, const char *path, const char *after, void *buf, uint32_t len,
		struct zkern_list *list)
{
	memset(list, 0, sizeof(*list));
	list->size = sizeof(*list);
	list->path = ptr(path);
	list->path_len = strlen(path);
	if (*after) {
		list->after = ptr(after);
		list->after_len = strlen(after);
	}
	list->buf = ptr(buf);
	list->buf_len = len;
	return zk_ioctl(fd, ZKERN_CHILDREN, list);
}

int zk_snapshot(int fd, const char *path, struct zkern_snapshot *snap)
{
	struct zkern_snapshot mine;
	int err;

	if (!snap)
		snap = &mine;
	memset(snap, 0, sizeof(*snap));
	snap->size = sizeof(*snap);
	if (path) {
		snap->path = ptr(path);
		snap->path_len = strlen(path);
	}
	err = zk_ioctl(fd, ZKERN_SNAPSHOT, snap);
	return err ? err : snap->fd;
}

const char *entry(const struct zkern_list *list, uint32_t n, char *name, size_t size)
{
	const uint8_t *p = (const uint8_t *)(uintptr_t)list->buf;
	uint32_t off = 0, len;

	for (;;) {
		need(off + 4 <= list->used, "no %u-th of %u entries", n, list->count);
		memcpy(&len, p + off, 4);
		need(len < size && off + 4 + len <= list->used, "an entry has %u bytes", len);
		if (!n--)
			break;
		off += 4 + len;
	}
	memcpy(name, p + off + 4, len);
	name[len] = '\0';
	return name;
}

/* ------------------------------------------------------------ processes */

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

int zk_times(void)
{
	const char *text = getenv("ZKERN_VM_TIMES");
	int times = text ? atoi(text) : 1;

	return times < 1 ? 1 : times;
}

int as_user(uid_t uid, gid_t gid, gid_t gid2, int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	need(pid >= 0, "fork");
	if (!pid) {
		alarm(LONG);
		if (setgroups(1, &gid2) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
			_exit(127);
		_exit(fn(arg));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}
