// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Answers to reads: what each checks, in which order, and the bytes of its answer
 * (FinalRequestProcessor.processRequest, DataTree, DataNode.copyStat).
 *
 * Used by I/O threads and by the core thread; nothing is shared but the store.
 * An answer is exact at one zxid, which is the zxid in its header. Reads that
 * need several looks at the store (multiRead, an ACL that is not cached) look again
 * when a transaction came between, up to READ_TRIES times.
 *
 * Data goes from the store into the caller's output buffer without a stop.
 */
#include <string.h>

#include "daemon/base/metrics.h"
#include "daemon/server/access.h"
#include "daemon/server/identity.h"
#include "daemon/server/path.h"
#include "daemon/server/read.h"
#include "daemon/server/read_multi.h"

#define READ_TRIES	64
#define FRAME_HEAD	20	/* int length, int xid, long zxid, int err */
#define GUESS		1024	/* bytes of data that are tried first */

/* One answer on its way. A step returns 0 or negative errno; what the client is
 * to be told stands in ->err. */
struct rd {
	struct store *st;
	const struct auth_set *auth;
	u64 session;
	struct jr in;
	struct jw *out;
	s32 err;		/* enum zk_error */
	bool keep_body;		/* a body goes out although there is an error */
	bool have_zxid;
	u64 zxid;
	struct read_watch *watch;
};

void stat_put(u8 *p, const struct zk_stat *st, s32 data_len)
{
	u64 owner = st->owner;

	if (owner == ZK_OWNER_CONTAINER ||
	    (owner & ZK_OWNER_TTL_MASK) == ZK_OWNER_TTL_MASK)
		owner = 0;
	jute_put64(p, st->czxid);
	jute_put64(p + 8, st->mzxid);
	jute_put64(p + 16, st->ctime);
	jute_put64(p + 24, st->mtime);
	jute_put32(p + 32, st->version);
	jute_put32(p + 36, 2 * (u32)st->cversion - st->num_children);
	jute_put32(p + 40, st->aversion);
	jute_put64(p + 44, owner);
	jute_put32(p + 52, data_len < 0 ? 0 : data_len);
	jute_put32(p + 56, st->num_children);
	jute_put64(p + 60, st->pzxid);
}

static void put_stat(struct jw *out, const struct store_node *node)
{
	u8 *p = jw_add(out, ZK_STAT_LEN);

	if (p)
		stat_put(p, &node->stat, node->data_len);
}

/* ------------------------------------------------------------ steps */

/* This part of the answer is as of @zxid. All parts must agree. */
static int rd_at(struct rd *r, u64 zxid)
{
	if (r->have_zxid && r->zxid != zxid)
		return -EAGAIN;
	r->have_zxid = true;
	r->zxid = zxid;
	return 0;
}

static int rd_refuse(struct rd *r, s32 err)
{
	r->err = err;
	return 0;
}

/* What the store said of a node: 0 and ->err clear if it is there. */
static int rd_found(struct rd *r, int err, const struct store_node *node)
{
	if (err == -ENOENT)
		r->err = ZNONODE;
	else if (err == -EINVAL || err == -ENAMETOOLONG)
		return rd_refuse(r, ZNONODE);	/* no such path at any zxid */
	else if (err)
		return err;
	return rd_at(r, node->zxid);
}

/* READ and the like, after the node was found. */
static int rd_check(struct rd *r, struct jstr path, const struct store_node *node, u32 perms)
{
	int err = access_check(r->st, (const char *)path.p, path.len, node, perms, r->auth);

	if (err == -EACCES)
		return rd_refuse(r, ZNOAUTH);
	return err;
}

/* What the Java server cannot find whatever the tree holds; the store takes only
 * well-formed paths. */
static bool path_can_be(struct jstr path)
{
	if (path.p[0] != '/' || memchr(path.p, 0, path.len))
		return false;
	if (path.len == 1)
		return true;
	for (s32 i = 1; i < path.len; i++)
		if (path.p[i] == '/' && path.p[i - 1] == '/')
			return false;
	return path.p[path.len - 1] != '/';
}

/* The path of a request; sets ->err if it is null or cannot be. "" is the root. */
static struct jstr rd_path(struct rd *r)
{
	struct jstr path = jr_str(&r->in);

	if (r->in.err || path.len < 0)
		r->err = ZMARSHALLINGERROR;
	else if (!path.len)
		path = (struct jstr){ (const u8 *)"/", 1 };
	else if (!path_can_be(path))
		r->err = ZNONODE;
	return path;
}

/* Path and watch flag. The whole request must parse before its path is judged. */
static struct jstr rd_path_watch(struct rd *r)
{
	struct jr raw = r->in;
	struct jstr path = rd_path(r);
	bool wanted = jr_bool(&r->in);
	struct jstr sent = jr_str(&raw);

	if (r->in.err) {
		r->err = ZMARSHALLINGERROR;
	} else if (r->watch && sent.len >= 0) {
		r->watch->wanted = wanted;
		r->watch->path = sent.p;
		r->watch->path_len = sent.len;
	}
	return path;
}

/* ------------------------------------------------------------ the reads */

/* DataTree.updateReadStat(), what is read beside the node's Stat. */
static void count_read(struct jstr path, size_t bytes)
{
	metric_add_path(METRIC_read_per_namespace, (const char *)path.p, path.len,
			zk_chars((const char *)path.p, path.len) + bytes + ZK_STAT_LEN);
}

static int rd_exists(struct rd *r)
{
	struct jstr path = rd_path_watch(r);
	struct store_node node;
	int err;

	if (r->err == ZNONODE && memchr(path.p, 0, path.len))
		r->err = ZBADARGUMENTS;
	if (r->err)
		return 0;
	err = r->st->ops->get(r->st, (const char *)path.p, path.len, &node, NULL, 0);
	err = rd_found(r, err, &node);
	if (!err && !r->err) {
		put_stat(r->out, &node);
		count_read(path, 0);
	}
	return err;
}

/* Data straight into the output: int length, the bytes, Stat. */
static int put_data(struct rd *r, struct jstr path)
{
	struct store_node node;
	size_t want = GUESS;
	u8 *p;
	int err;

	do {
		size_t room;

		p = jw_room(r->out, 4 + want + ZK_STAT_LEN);
		if (!p)
			return r->out->err;
		room = r->out->cap < r->out->limit ? r->out->cap : r->out->limit;
		room -= r->out->len + 4 + ZK_STAT_LEN;
		err = r->st->ops->get(r->st, (const char *)path.p, path.len, &node, p + 4,
				      room > 0x7fffffff ? 0x7fffffff : room);
		want = node.data_len > 0 ? node.data_len : 0;
	} while (err == -EMSGSIZE);
	err = rd_found(r, err, &node);
	if (err || r->err)
		return err;
	err = rd_check(r, path, &node, PERM_READ);
	if (err || r->err)
		return err;
	jute_put32(p, node.data_len);
	stat_put(p + 4 + want, &node.stat, node.data_len);
	r->out->len += 4 + want + ZK_STAT_LEN;
	count_read(path, want);
	return 0;
}

static int rd_getdata(struct rd *r)
{
	struct jstr path = rd_path_watch(r);

	return r->err ? 0 : put_data(r, path);
}

/* Of the names in a vector of strings, as this server made it. */
static size_t list_chars(const u8 *list)
{
	size_t chars = 0;
	u32 len;

	for (u32 n = jute_get32(list); n; n--) {
		len = jute_get32(list + 4);
		chars += zk_chars((const char *)list + 8, len);
		list += 4 + len;
	}
	return chars;
}

static int put_children(struct rd *r, struct jstr path, bool with_stat)
{
	struct store_node node;
	size_t at = r->out->len;
	int err;

	err = r->st->ops->children(r->st, (const char *)path.p, path.len, &node, r->out);
	if (!err)
		err = r->out->err;
	err = rd_found(r, err, &node);
	if (err || r->err)
		return err;
	err = rd_check(r, path, &node, PERM_READ);
	if (!err && !r->err)
		count_read(path, list_chars(r->out->buf + at));
	if (!err && !r->err && with_stat)
		put_stat(r->out, &node);
	return err;
}

static int rd_children(struct rd *r)
{
	struct jstr path = rd_path_watch(r);

	return r->err ? 0 : put_children(r, path, false);
}

static int rd_children2(struct rd *r)
{
	struct jstr path = rd_path_watch(r);

	return r->err ? 0 : put_children(r, path, true);
}

static int rd_getacl(struct rd *r)
{
	struct jstr path = rd_path(r);
	size_t at = r->out->len;
	struct store_node node;
	u32 len;
	int err;

	if (r->err)
		return 0;
	err = r->st->ops->acl(r->st, (const char *)path.p, path.len, &node, r->out);
	if (!err)
		err = r->out->err;
	err = rd_found(r, err, &node);
	if (err || r->err)
		return err;
	len = r->out->len - at;
	if (!access_allowed(r->out->buf + at, len, PERM_READ | PERM_ADMIN, r->auth))
		return rd_refuse(r, ZNOAUTH);
	if (!access_allowed(r->out->buf + at, len, PERM_ADMIN, r->auth))
		access_mask(r->out, at);
	put_stat(r->out, &node);
	return 0;
}

static int count_node(void *arg, const struct store_rec *rec)
{
	(void)rec;
	(*(u32 *)arg)++;
	return 0;
}

/* All nodes below the one at @path, from a picture taken now. */
static int count_below(struct rd *r, struct jstr path, u32 *n)
{
	u64 zxid, digest, nodes;
	struct store_snap *snap;
	int err;

	err = r->st->ops->snap_open(r->st, &snap, &zxid, &digest, &nodes);
	if (err)
		return err;
	*n = 0;
	err = rd_at(r, zxid);
	if (!err && path.len == 1)
		*n = nodes;
	else if (!err)
		err = r->st->ops->snap_each(snap, (const char *)path.p, path.len,
					    count_node, n);
	r->st->ops->snap_close(snap);
	if (!err)
		(*n)--;		/* the node itself */
	return err;
}

static int rd_count(struct rd *r)
{
	bool unnamed = jr_left(&r->in) >= 4 && !jute_get32(r->in.p);
	struct jstr path = rd_path(r);
	struct store_node node;
	u32 n;
	int err;

	if (r->err)
		return 0;
	err = r->st->ops->get(r->st, (const char *)path.p, path.len, &node, NULL, 0);
	err = rd_found(r, err, &node);
	if (!err && !r->err)
		err = rd_check(r, path, &node, PERM_READ);
	if (err || r->err)
		return err;
	err = count_below(r, path, &n);
	/* In Java's map of paths "/" begins with "" and a slash, too. */
	if (!err)
		jw_int(r->out, n + unnamed);
	return err;
}

struct owned_walk {
	struct jw *out;
	struct jstr prefix;	/* null: all */
	u32 n;
};

static int put_owned(void *arg, const char *path, u32 len)
{
	struct owned_walk *w = arg;

	if (w->prefix.len > 0 &&
	    (len < (u32)w->prefix.len || memcmp(path, w->prefix.p, w->prefix.len)))
		return 0;
	jw_str(w->out, path, len);
	w->n++;
	return w->out->err;
}

/* Java's trim(): whatever is not above a blank. */
static bool means_all(struct jstr prefix)
{
	const u8 *p = prefix.p;
	s32 n = prefix.len;

	while (n > 0 && p[n - 1] <= ' ')
		n--;
	while (n > 0 && *p <= ' ') {
		p++;
		n--;
	}
	return n <= 0 || (n == 1 && *p == '/');
}

static int rd_ephemerals(struct rd *r)
{
	struct owned_walk w = { .out = r->out, .prefix = jr_str(&r->in) };
	size_t at = r->out->len;
	u8 *as_java = NULL;
	int err;

	if (r->in.err)
		return rd_refuse(r, ZMARSHALLINGERROR);
	if (means_all(w.prefix)) {
		w.prefix.len = -1;
	} else {
		as_java = malloc(3 * (size_t)w.prefix.len);
		if (!as_java)
			return -ENOMEM;
		w.prefix.len = path_recode(w.prefix.p, w.prefix.len, as_java);
		w.prefix.p = as_java;
	}
	jw_int(r->out, 0);
	err = r->st->ops->owned(r->st, r->session, put_owned, &w);
	free(as_java);
	if (!err && !r->out->err)
		jute_put32(r->out->buf + at, w.n);
	/* the zxid read now is no older than what the store walked */
	return err;
}

static int rd_whoami(struct rd *r)
{
	u32 n = r->auth ? r->auth->n : 0;

	jw_int(r->out, n);
	for (u32 i = 0; i < n; i++) {
		const struct auth_id *id = &r->auth->ids[i];

		jw_str(r->out, id->scheme, strlen(id->scheme));
		jw_str(r->out, id->id, identity_user_len(id));
	}
	return 0;
}

/* ------------------------------------------------------------ multiRead */

static void put_multi_head(struct jw *out, s32 type, bool done, s32 err)
{
	jw_int(out, type);
	jw_bool(out, done);
	jw_int(out, err);
}

/* One part; a null path fails the whole, what was answered before it stays. */
static int multi_part(struct rd *r, s32 type)
{
	size_t at = r->out->len;
	struct jstr path = rd_path(r);
	s32 part_err;
	int err = 0;

	jr_bool(&r->in);
	if (r->err == ZMARSHALLINGERROR)
		return 0;
	if (!r->err) {
		put_multi_head(r->out, type, false, 0);
		err = type == OP_GETDATA ? put_data(r, path) : put_children(r, path, false);
	}
	if (err || !r->err)
		return err;
	part_err = r->err;
	r->err = ZOK;
	r->out->len = at;
	put_multi_head(r->out, OP_ERROR, false, part_err);
	jw_int(r->out, part_err);
	return 0;
}

static int rd_multi(struct rd *r)
{
	int err = 0;
	s32 type;

	if (!multi_parses(r->in))
		return rd_refuse(r, ZMARSHALLINGERROR);
	r->keep_body = true;
	while (!err && !r->err && multi_next(&r->in, &type)) {
		if (is_multi_read(type))
			err = multi_part(r, type);
		else
			r->err = ZMARSHALLINGERROR;
	}
	put_multi_head(r->out, OP_ERROR, true, -1);
	return err;
}

/* ------------------------------------------------------------ the way in */

static int (*read_step(s32 op))(struct rd *r)
{
	switch (op) {
	case OP_EXISTS:
		return rd_exists;
	case OP_GETDATA:
		return rd_getdata;
	case OP_GETACL:
		return rd_getacl;
	case OP_GETCHILDREN:
		return rd_children;
	case OP_GETCHILDREN2:
		return rd_children2;
	case OP_MULTIREAD:
		return rd_multi;
	case OP_GETEPHEMERALS:
		return rd_ephemerals;
	case OP_GETALLCHILDRENNUMBER:
		return rd_count;
	case OP_WHOAMI:
		return rd_whoami;
	}
	return NULL;
}

bool read_is_read(s32 op)
{
	return read_step(op);
}

bool read_wants_watch(s32 op, const u8 *body, u32 len)
{
	struct jr in;

	if (op != OP_GETDATA && op != OP_EXISTS && op != OP_GETCHILDREN &&
	    op != OP_GETCHILDREN2)
		return false;
	jr_init(&in, body, len);
	jr_str(&in);
	return jr_bool(&in);
}

/* One try; fills in the frame's head. */
static int read_try(struct rd *r, int (*step)(struct rd *r), s32 xid, size_t start)
{
	u8 *p;
	int err;

	if (!jw_add(r->out, FRAME_HEAD))
		return r->out->err;
	err = step(r);
	if (!err)
		err = r->out->err;
	if (err)
		return err;
	if (!r->have_zxid)
		r->zxid = store_zxid(r->st);
	if (r->err && !r->keep_body)
		r->out->len = start + FRAME_HEAD;
	if (r->out->len - start - 4 > 0x7fffffff)
		return -EMSGSIZE;
	p = r->out->buf + start;
	jute_put32(p, r->out->len - start - 4);
	jute_put32(p + 4, xid);
	jute_put64(p + 8, r->zxid);
	jute_put32(p + 16, r->err);
	return 0;
}

int read_answer(struct store *st, const struct auth_set *auth, u64 session, s32 xid,
		s32 op, const u8 *body, u32 len, struct jw *out, struct read_watch *watch)
{
	int (*step)(struct rd *r) = read_step(op);
	size_t start = out->len;
	int err = step ? -EAGAIN : -EINVAL;

	for (int i = 0; i < READ_TRIES && err == -EAGAIN; i++) {
		struct rd r = {
			.st = st, .auth = auth, .session = session, .out = out,
			.watch = watch,
		};

		if (watch)
			memset(watch, 0, sizeof(*watch));
		jr_init(&r.in, body, len);
		err = read_try(&r, step, xid, start);
		if (err) {
			out->len = start;
		} else if (watch) {
			watch->err = r.err;
			watch->zxid = r.zxid;
		}
	}
	return err;
}
