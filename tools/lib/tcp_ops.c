// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Each operation of the client protocol: its request written, its reply taken
 * apart (zookeeper.jute at 3.8). Replies are read with bounds from the frame that
 * tcp_call() leaves in the handle.
 */
#include "tcp.h"

#define MULTI_END	(-1)

static int malformed(struct tcp *t, const char *path)
{
	tcp_hangup(t);
	return zkern_fail(&t->zk, -EPROTO, "%.400s: the answer is malformed", path);
}

static void take_stat(struct jr *r, struct zkern_stat *st)
{
	memset(st, 0, sizeof(*st));
	st->czxid = jr_long(r);
	st->mzxid = jr_long(r);
	st->ctime = jr_long(r);
	st->mtime = jr_long(r);
	st->version = jr_int(r);
	st->cversion = jr_int(r);
	st->aversion = jr_int(r);
	st->ephemeral_owner = jr_long(r);
	st->data_len = jr_int(r);
	st->num_children = jr_int(r);
	st->pzxid = jr_long(r);
}

static void put_path(struct jw *w, const char *path)
{
	jw_str(w, path, strlen(path));
}

static void put_data(struct jw *w, const void *data, size_t len)
{
	if (len > INT32_MAX)
		w->err = -EMSGSIZE;
	else
		jw_str(w, data, data || len ? (s32)len : -1);
}

/* Freshness is the server's affair here: it refuses to serve a client that has
 * seen more than it has.
 */
static int check_want(struct zkern *zk, const struct zkern_want *want)
{
	if (want->flags & ZKERN_WANT_LINEARIZABLE)
		return zkern_fail(zk, -EOPNOTSUPP,
				  "over TCP the server's configuration says whether reads are linearizable");
	if (want->min_zxid || want->max_age_ms)
		return zkern_fail(zk, -EOPNOTSUPP,
				  "min_zxid and max_age are not offered over TCP");
	return 0;
}

int tcp_get(struct zkern *zk, const char *path, const struct zkern_want *want, bool data,
	    struct zkern_value *value)
{
	bool watch = want->flags & ZKERN_WANT_WATCH;
	struct jstr bytes = { NULL, -1 };
	struct tcp *t = tcp_of(zk);
	struct tcp_reply r;
	struct jw w;
	int err;

	err = check_want(zk, want);
	if (err)
		return err;
	tcp_begin(&w, data ? OP_GETDATA : OP_EXISTS);
	put_path(&w, path);
	jw_bool(&w, watch);
	err = tcp_call(t, &w, true, path, &r);
	value->seen.zxid = t->last_zxid;
	if (err == -ENOENT && watch && !data)
		tcp_watch_add(t, TCP_WATCH_EXIST, path);
	if (err)
		return err;
	if (data)
		bytes = jr_str(&r.body);
	take_stat(&r.body, &value->stat);
	if (r.body.err)
		return malformed(t, path);
	if (data && bytes.len < 0)
		value->stat.data_len = -1;
	if (bytes.p) {
		value->data = zkern_dup(bytes.p, bytes.len);
		if (!value->data)
			return zkern_fail(zk, -ENOMEM, "%.400s: out of memory", path);
		value->len = bytes.len;
	}
	err = watch ? tcp_watch_add(t, TCP_WATCH_DATA, path) : 0;
	if (err)
		zkern_value_free(value);
	return err;
}

int tcp_children(struct zkern *zk, const char *path, const struct zkern_want *want,
		 struct zkern_children *c)
{
	bool watch = want->flags & ZKERN_WANT_WATCH;
	struct tcp *t = tcp_of(zk);
	struct tcp_reply r;
	size_t cap = 0;
	struct jw w;
	s32 n, i;
	int err;

	err = check_want(zk, want);
	if (err)
		return err;
	tcp_begin(&w, OP_GETCHILDREN2);
	put_path(&w, path);
	jw_bool(&w, watch);
	err = tcp_call(t, &w, true, path, &r);
	c->seen.zxid = t->last_zxid;
	if (err)
		return err;
	n = jr_int(&r.body);
	for (i = 0; i < n && !r.body.err; i++) {
		struct jstr name = jr_str(&r.body);

		if (r.body.err)
			break;
		err = zkern_children_add(c, &cap, name.p, name.p ? name.len : 0);
		if (err)
			return zkern_fail(zk, err, "%.400s: out of memory", path);
	}
	take_stat(&r.body, &c->stat);
	if (r.body.err)
		return malformed(t, path);
	return watch ? tcp_watch_add(t, TCP_WATCH_CHILD, path) : 0;
}

int tcp_get_acl(struct zkern *zk, const char *path, struct zkern_acls *acls)
{
	struct tcp *t = tcp_of(zk);
	struct tcp_reply r;
	struct jw w;
	int err;

	tcp_begin(&w, OP_GETACL);
	put_path(&w, path);
	err = tcp_call(t, &w, true, path, &r);
	acls->seen.zxid = t->last_zxid;
	if (err)
		return err;
	err = zkern_acls_parse(&r.body, acls);
	if (err == -ENOMEM)
		return zkern_fail(zk, err, "%.400s: out of memory", path);
	take_stat(&r.body, &acls->stat);
	return err || r.body.err ? malformed(t, path) : 0;
}

static void put_acl(struct jw *w, const struct zkern_acl *acl, size_t n)
{
	static const struct zkern_acl all = { PERM_ALL, "world", "anyone" };
	size_t i;

	if (!acl) {
		acl = &all;
		n = 1;
	}
	jw_int(w, n);
	for (i = 0; i < n; i++) {
		jw_int(w, acl[i].perms);
		jw_str(w, acl[i].scheme, strlen(acl[i].scheme));
		jw_str(w, acl[i].id, strlen(acl[i].id));
	}
}

static s32 create_op(const struct zkern_create_params *p)
{
	if (p->flags & ZKERN_CONTAINER)
		return OP_CREATECONTAINER;
	if (p->flags & ZKERN_TTL)
		return OP_CREATETTL;
	return OP_CREATE2;
}

/* CreateRequest, or CreateTTLRequest; and CreateMode.java's number. */
static void put_create(struct jw *w, const char *path, const void *data, size_t len,
		       const struct zkern_create_params *p)
{
	s32 mode = p->flags & (ZKERN_EPHEMERAL | ZKERN_SEQUENTIAL);

	if (p->flags & ZKERN_CONTAINER)
		mode = CREATE_CONTAINER;
	else if (p->flags & ZKERN_TTL)
		mode = mode ? CREATE_TTL_SEQ : CREATE_TTL;
	put_path(w, path);
	put_data(w, data, len);
	put_acl(w, p->acl, p->n_acl);
	jw_int(w, mode);
	if (p->flags & ZKERN_TTL)
		jw_long(w, p->ttl_ms);
}

int tcp_create(struct zkern *zk, const char *path, const void *data, size_t len,
	       const struct zkern_create_params *params, char **created,
	       struct zkern_value *value)
{
	struct tcp *t = tcp_of(zk);
	struct tcp_reply r;
	struct jstr made;
	struct jw w;
	int err;

	tcp_begin(&w, create_op(params));
	put_create(&w, path, data, len, params);
	err = tcp_call(t, &w, false, path, &r);
	value->seen.zxid = t->last_zxid;
	if (err)
		return err;
	value->seen.zxid = r.zxid;
	made = jr_str(&r.body);
	take_stat(&r.body, &value->stat);
	if (r.body.err || !made.p)
		return malformed(t, path);
	*created = zkern_dup(made.p, made.len);
	return *created ? 0 : zkern_fail(zk, -ENOMEM, "%.400s: out of memory", path);
}

int tcp_set(struct zkern *zk, const char *path, const void *data, size_t len, s32 version,
	    struct zkern_value *value)
{
	struct tcp *t = tcp_of(zk);
	struct tcp_reply r;
	struct jw w;
	int err;

	tcp_begin(&w, OP_SETDATA);
	put_path(&w, path);
	put_data(&w, data, len);
	jw_int(&w, version);
	err = tcp_call(t, &w, false, path, &r);
	value->seen.zxid = t->last_zxid;
	if (err)
		return err;
	value->seen.zxid = r.zxid;
	take_stat(&r.body, &value->stat);
	return r.body.err ? malformed(t, path) : 0;
}

int tcp_delete(struct zkern *zk, const char *path, s32 version)
{
	struct tcp_reply r;
	struct jw w;

	tcp_begin(&w, OP_DELETE);
	put_path(&w, path);
	jw_int(&w, version);
	return tcp_call(tcp_of(zk), &w, false, path, &r);
}

int tcp_set_acl(struct zkern *zk, const char *path, const struct zkern_acl *acl, size_t n,
		s32 aversion)
{
	struct tcp_reply r;
	struct jw w;

	tcp_begin(&w, OP_SETACL);
	put_path(&w, path);
	put_acl(&w, acl, n);
	jw_int(&w, aversion);
	return tcp_call(tcp_of(zk), &w, false, path, &r);
}

int tcp_sync(struct zkern *zk, const char *path)
{
	struct tcp_reply r;
	struct jw w;

	tcp_begin(&w, OP_SYNC);
	put_path(&w, path);
	return tcp_call(tcp_of(zk), &w, true, path, &r);
}

/* ------------------------------------------------------------ multi */

static s32 multi_type(const struct zkern_multi_op *op)
{
	switch (op->type) {
	case ZKERN_MULTI_CREATE:
		return create_op(&op->params);
	case ZKERN_MULTI_SET:
		return OP_SETDATA;
	case ZKERN_MULTI_DELETE:
		return OP_DELETE;
	default:
		return OP_CHECK;
	}
}

static void put_multi_op(struct jw *w, const struct zkern_multi_op *op)
{
	jw_int(w, multi_type(op));
	jw_bool(w, false);
	jw_int(w, -1);
	if (op->type == ZKERN_MULTI_CREATE) {
		put_create(w, op->path, op->data, op->len, &op->params);
		return;
	}
	put_path(w, op->path);
	if (op->type == ZKERN_MULTI_SET)
		put_data(w, op->data, op->len);
	jw_int(w, op->version);
}

/* One result; its slot's ZooKeeper code goes to @code. */
static int take_result(struct jr *r, struct zkern_multi_op *op, s32 *code)
{
	struct jstr path;
	s32 type = jr_int(r);

	if (jr_bool(r))
		return -EPROTO;
	jr_int(r);
	*code = 0;
	switch (type) {
	case OP_ERROR:
		*code = jr_int(r);
		op->err = *code && *code != ZRUNTIMEINCONSISTENCY ? zkern_errno_of(*code) :
								    -ECANCELED;
		break;
	case OP_CREATE:
	case OP_CREATE2:
	case OP_CREATETTL:
	case OP_CREATECONTAINER:
		path = jr_str(r);
		if (type != OP_CREATE)
			take_stat(r, &op->stat);
		if (r->err || !path.p || op->created)
			return -EPROTO;
		op->created = zkern_dup(path.p, path.len);
		if (!op->created)
			return -ENOMEM;
		break;
	case OP_SETDATA:
		take_stat(r, &op->stat);
		break;
	case OP_DELETE:
	case OP_CHECK:
		break;
	default:
		return -EPROTO;
	}
	return r->err ? -EPROTO : 0;
}

int tcp_multi(struct zkern *zk, struct zkern_multi_op *ops, size_t n)
{
	struct tcp *t = tcp_of(zk);
	struct tcp_reply r;
	int err, refused = 0;
	struct jw w;
	size_t i;
	s32 code;

	tcp_begin(&w, OP_MULTI);
	for (i = 0; i < n; i++)
		put_multi_op(&w, &ops[i]);
	jw_int(&w, MULTI_END);
	jw_bool(&w, true);
	jw_int(&w, -1);
	err = tcp_call(t, &w, false, "multi", &r);
	for (i = 0; !err && i < n; i++) {
		err = take_result(&r.body, &ops[i], &code);
		if (err == -ENOMEM)
			zkern_fail(zk, err, "multi: out of memory");
		else if (err)
			return malformed(t, "multi");
		if (!err && ops[i].err && ops[i].err != -ECANCELED && !refused) {
			zk->zk_error = code;
			refused = zkern_fail_path(zk, ops[i].err, ops[i].path);
		}
	}
	return err ? err : refused;
}
