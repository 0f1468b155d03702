// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel store's lists (children, a session's ephemerals, containers and TTL
 * nodes) and snapshots. A list that does not fit one call is read from a snapshot
 * file, or with a larger buffer, so that it is one moment.
 */
#include <linux/types.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store/kernel.h"

#define PAGE_BUF	(32 * 1024)
#define BIG_BUF		(1024 * 1024)
#define LONG_BUF	(BIG_BUF + PAGE_BUF)	/* holds the longest path's entry */
#define GROUP		64	/* nodes read in one call */
#define LIST_BUF_MAX	(1024 * 1024 * 1024)

struct store_snap {
	int fd;
	u64 zxid;
	u32 tree;
	bool used;
};

/* ---------------------------------------------------------------- children */

/* A page of entries as a jute vector's elements. */
static int put_names(struct jw *out, const u8 *buf, const struct zkern_list *l)
{
	u32 at = 0, i, len;

	for (i = 0; i < l->count; i++) {
		if (l->used - at < sizeof(len))
			return -EPROTO;
		memcpy(&len, buf + at, sizeof(len));
		at += sizeof(len);
		if (l->used - at < len)
			return -EPROTO;
		jw_str(out, buf + at, len);
		at += len;
	}
	return out->err;
}

/* The last entry of a page: where the next one goes on. */
static void go_on_after(const u8 *buf, struct zkern_list *l, char **name)
{
	u32 at = 0, i, len = 0;

	for (i = 0; i < l->count; i++) {
		memcpy(&len, buf + at, sizeof(len));
		at += sizeof(len) + len;
	}
	memcpy(*name, buf + at - len, len);
	l->after = (uintptr_t)*name;
	l->after_len = len;
}

static int snap_fd(struct kernel *k, struct zkern_snapshot *s)
{
	memset(s, 0, sizeof(*s));
	s->size = sizeof(*s);
	return kernel_call(k->fd, ZKERN_SNAPSHOT, s);
}

/* All pages from a snapshot. */
static int long_children(struct kernel *k, struct zkern_list *l, struct jw *out, s32 *count)
{
	struct zkern_snapshot s;
	char *name = NULL;
	u8 *buf = NULL;
	int rc;

	rc = snap_fd(k, &s);
	if (rc)
		return rc;
	rc = -ENOMEM;
	buf = malloc(BIG_BUF);
	name = malloc(BIG_BUF);
	if (!buf || !name)
		goto out;
	l->after = 0;
	l->after_len = 0;
	l->buf = (uintptr_t)buf;
	l->buf_len = BIG_BUF;
	*count = 0;
	do {
		rc = kernel_call(s.fd, ZKERN_CHILDREN, l);
		if (!rc)
			rc = put_names(out, buf, l);
		if (rc)
			break;
		*count += l->count;
		if (l->more)
			go_on_after(buf, l, &name);
	} while (l->more);
out:
	close(s.fd);
	free(buf);
	free(name);
	return rc;
}

/* One try at the children and their parent's stat, appended to @out. */
static int list_children(struct kernel *k, struct zkern_list *l, struct jw *out)
{
	static __thread u8 page[PAGE_BUF];
	size_t at = out->len;
	s32 count;
	int rc;

	l->after = 0;
	l->after_len = 0;
	l->buf = (uintptr_t)page;
	l->buf_len = sizeof(page);
	rc = kernel_call(k->fd, ZKERN_CHILDREN, l);
	count = l->count;
	jw_int(out, 0);
	if (!rc && !l->more)
		rc = put_names(out, page, l);
	else if (!rc || rc == -EMSGSIZE)
		rc = long_children(k, l, out, &count);
	if (!rc)
		rc = out->err;
	if (!rc)
		jute_put32(out->buf + at, count);
	return rc;
}

/*
 * The list does not tell the parent's ACL, so ZKERN_GET is asked for it too: it is
 * that of the list's moment if it is the same node (czxid) of the same tree and
 * its ACL was not set since (aversion).
 */
int kernel_children(struct store *st, const char *path, u32 len, struct store_node *node,
		    struct jw *out)
{
	struct kernel *k = to_kernel(st);
	size_t at = out->len;
	struct store_node now;
	u32 tree;
	int rc;

	do {
		struct zkern_list l = {
			.size = sizeof(l), .path = (uintptr_t)path, .path_len = len,
		};

		out->len = at;
		tree = __atomic_load_n(&k->tree, __ATOMIC_ACQUIRE);
		rc = list_children(k, &l, out);
		node->zxid = l.zxid;
		if (rc)
			break;
		node->crc = 0;
		node->data_len = l.stat.data_len;
		kernel_stat(&l.stat, &node->stat);
		rc = st->ops->get(st, path, len, &now, NULL, 0);
		if (rc && rc != -ENOENT)
			break;
		node->acl_id = now.acl_id;
	} while (rc || now.stat.czxid != node->stat.czxid ||
		 now.stat.aversion != node->stat.aversion ||
		 tree != __atomic_load_n(&k->tree, __ATOMIC_ACQUIRE));
	if (rc)
		out->len = at;
	return rc == -EINVAL ? -ENOENT : rc;
}

/* ---------------------------------------------------------------- lists */

/* The whole of a list in one call, however large its buffer must be. */
static int whole_list(struct kernel *k, unsigned long cmd, struct zkern_list *l, u8 **buf)
{
	u64 cap = PAGE_BUF;
	int rc;

	for (;;) {
		*buf = malloc(cap);
		if (!*buf)
			return -ENOMEM;
		l->buf = (uintptr_t)*buf;
		l->buf_len = cap;
		rc = kernel_call(k->fd, cmd, l);
		if (rc == -EMSGSIZE || (!rc && l->more)) {
			free(*buf);
			cap *= 4;
			if (cap > LIST_BUF_MAX)
				return -EMSGSIZE;
			continue;
		}
		if (rc)
			free(*buf);
		return rc;
	}
}

/* The entry at @at of a list; moves @at past it. -EPROTO: it is not whole. */
static int entry(const struct zkern_list *l, const u8 *buf, u32 *at, const char **path, u32 *len)
{
	if (l->used - *at < sizeof(*len))
		return -EPROTO;
	memcpy(len, buf + *at, sizeof(*len));
	*at += sizeof(*len);
	if (l->used - *at < *len)
		return -EPROTO;
	*path = (const char *)buf + *at;
	*at += *len;
	return 0;
}

static int each_path(struct kernel *k, unsigned long cmd, struct zkern_list *l,
		     int (*fn)(void *arg, const char *path, u32 len), void *arg)
{
	u32 at = 0, i, len;
	const char *path;
	u8 *buf;
	int rc;

	rc = whole_list(k, cmd, l, &buf);
	if (rc)
		return rc;
	for (i = 0; i < l->count && !rc; i++) {
		rc = entry(l, buf, &at, &path, &len);
		if (!rc)
			rc = fn(arg, path, len);
	}
	free(buf);
	return rc;
}

int kernel_owned(struct store *st, u64 session,
		 int (*fn)(void *arg, const char *path, u32 len), void *arg)
{
	struct zkern_list l = { .size = sizeof(l), .owner = session };

	return each_path(to_kernel(st), ZKERN_OWNED, &l, fn, arg);
}

/* @n nodes at once; those that are gone since are left out. */
static int read_group(struct kernel *k, struct zkern_get *gets, u32 n,
		      int (*fn)(void *arg, const char *path, u32 len,
				const struct store_node *node), void *arg)
{
	struct zkern_read r = { .size = sizeof(r), .gets = (uintptr_t)gets, .count = n };
	u32 i, tree = __atomic_load_n(&k->tree, __ATOMIC_ACQUIRE);
	int rc = kernel_call(k->fd, ZKERN_READ, &r);
	struct store_node node;

	if (tree & 1 || tree != __atomic_load_n(&k->tree, __ATOMIC_ACQUIRE))
		return -EAGAIN;
	for (i = 0; i < n && !rc; i++) {
		if (gets[i].err == ENOENT)
			continue;
		if (gets[i].err)
			return -(int)gets[i].err;
		kernel_node(&node, &gets[i], tree);
		rc = fn(arg, (const char *)(uintptr_t)gets[i].path, gets[i].path_len, &node);
	}
	return rc;
}

/* The nodes of a page of paths. Whoever swaps trees is the core thread; another that meets
 * a swap gets -EAGAIN. */
static int read_page(struct kernel *k, const struct zkern_list *l, const u8 *buf,
		     int (*fn)(void *arg, const char *path, u32 len,
			       const struct store_node *node), void *arg)
{
	struct zkern_get gets[GROUP];
	u32 at = 0, i = 0, n, len;
	const char *path;
	int rc = 0;

	while (i < l->count && !rc) {
		for (n = 0; n < GROUP && i < l->count; n++, i++) {
			rc = entry(l, buf, &at, &path, &len);
			if (rc)
				break;
			gets[n] = (struct zkern_get){
				.size = sizeof(gets[n]),
				.flags = ZKERN_GET_NODATA,
				.path = (uintptr_t)path,
				.path_len = len,
			};
		}
		if (!rc)
			rc = read_group(k, gets, n, fn, arg);
	}
	return rc;
}

/* Page by page, each from where the one before it ended: of one moment as long as no
 * transaction comes between, which is the core thread's to say. */
static int long_owned(struct kernel *k, struct zkern_list *l,
		      int (*fn)(void *arg, const char *path, u32 len,
				const struct store_node *node), void *arg)
{
	u8 *buf = malloc(LONG_BUF);
	char *last = malloc(LONG_BUF);
	u64 zxid = 0;
	int rc = buf && last ? 0 : -ENOMEM;

	l->buf = (uintptr_t)buf;
	l->buf_len = LONG_BUF;
	l->more = 1;
	while (!rc && l->more) {
		rc = kernel_call(k->fd, ZKERN_OWNED, l);
		if (!rc && l->after_len && l->zxid != zxid)
			rc = -EAGAIN;
		zxid = l->zxid;
		if (!rc)
			rc = read_page(k, l, buf, fn, arg);
		if (!rc && l->more)
			go_on_after(buf, l, &last);
	}
	free(buf);
	free(last);
	return rc;
}

int kernel_owned_nodes(struct store *st, u64 session,
		       int (*fn)(void *arg, const char *path, u32 len,
				 const struct store_node *node), void *arg)
{
	static __thread u8 page[PAGE_BUF];
	struct zkern_list l = {
		.size = sizeof(l), .owner = session,
		.buf = (uintptr_t)page, .buf_len = sizeof(page),
	};
	struct kernel *k = to_kernel(st);
	int rc = kernel_call(k->fd, ZKERN_OWNED, &l);

	if (rc == -EMSGSIZE || (!rc && l.more))
		return long_owned(k, &l, fn, arg);
	return rc ? rc : read_page(k, &l, page, fn, arg);
}

int kernel_timed(struct store *st, int (*fn)(void *arg, const char *path, u32 len), void *arg)
{
	struct zkern_list l = { .size = sizeof(l) };

	return each_path(to_kernel(st), ZKERN_TIMED, &l, fn, arg);
}

/* ---------------------------------------------------------------- snapshots */

/* Called by the core thread, which alone swaps trees: the number stays. */
int kernel_snap_open(struct store *st, struct store_snap **out, u64 *zxid, u64 *digest,
		     u64 *nodes)
{
	struct kernel *k = to_kernel(st);
	struct store_snap *s = calloc(1, sizeof(*s));
	struct zkern_snapshot z;
	int rc;

	if (!s)
		return -ENOMEM;
	rc = snap_fd(k, &z);
	if (rc) {
		free(s);
		return rc;
	}
	s->fd = z.fd;
	s->zxid = z.zxid;
	s->tree = __atomic_load_n(&k->tree, __ATOMIC_RELAXED);
	*zxid = z.zxid;
	*digest = z.digest;
	*nodes = z.nodes;
	*out = s;
	return 0;
}

void kernel_snap_close(struct store_snap *s)
{
	close(s->fd);
	free(s);
}

/* The record at @p, of at most @left bytes: its length, or an error. */
static int parse_node(const struct store_snap *s, const u8 *p, size_t left,
		      struct store_rec *rec)
{
	struct zkern_node n;
	u64 data;

	if (left < sizeof(n))
		return -EPROTO;
	memcpy(&n, p, sizeof(n));
	data = n.data_len > 0 ? n.data_len : 0;
	if (n.len > left || sizeof(n) + (u64)n.path_len + data + n.acl_len > n.len)
		return -EPROTO;
	p += sizeof(n);
	rec->path = (const char *)p;
	rec->path_len = n.path_len;
	rec->data = data ? p + n.path_len : NULL;
	rec->acl = p + n.path_len + data;
	rec->acl_len = n.acl_len;
	rec->node.zxid = s->zxid;
	rec->node.acl_id = store_acl_id(s->tree, n.acl_id);
	rec->node.crc = n.crc;
	rec->node.data_len = n.data_len;
	kernel_stat(&n.stat, &rec->node.stat);
	return n.len;
}

static bool is_below(const struct store_rec *rec, const char *top, u32 top_len)
{
	if (top_len == 1)
		return true;
	return rec->path_len >= top_len && !memcmp(rec->path, top, top_len) &&
	       (rec->path_len == top_len || rec->path[top_len] == '/');
}

/* Reads whole records; a buffer too small for one is made larger. */
static ssize_t read_some(struct store_snap *s, u8 **buf, size_t *cap)
{
	ssize_t n;
	u8 *b;

	for (;;) {
		n = read(s->fd, *buf, *cap);
		if (n >= 0)
			return n;
		if (errno == EINTR)
			continue;
		if (errno != EMSGSIZE || *cap > LIST_BUF_MAX)
			return -errno;
		b = realloc(*buf, *cap * 4);
		if (!b)
			return -ENOMEM;
		*buf = b;
		*cap *= 4;
	}
}

int kernel_snap_each(struct store_snap *s, const char *top, u32 top_len,
		     int (*fn)(void *arg, const struct store_rec *rec), void *arg)
{
	size_t cap = BIG_BUF;
	u8 *buf = malloc(cap);
	struct store_rec rec;
	bool found = false;
	ssize_t n, at;
	int rc = 0, len;

	if (!buf)
		return -ENOMEM;
	if (s->used)
		rc = -ESPIPE;
	s->used = true;
	while (!rc) {
		n = read_some(s, &buf, &cap);
		if (n <= 0) {
			rc = n;
			break;
		}
		for (at = 0; at < n && !rc; at += len) {
			len = parse_node(s, buf + at, n - at, &rec);
			if (len < 0) {
				rc = len;
			} else if (is_below(&rec, top, top_len)) {
				found = true;
				rc = fn(arg, &rec);
			}
		}
	}
	free(buf);
	return rc || found ? rc : -ENOENT;
}
