// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Each writing operation of the client protocol: its request written, its reply taken
 * apart (zookeeper.jute at 3.8). It goes the handle's way (->call): to a server, or
 * through the device, which takes the same records. Replies are read with bounds from
 * what the call leaves in the handle.
 */
#include "internal.h"

#define MULTI_END	(-1)

static int malformed(struct zkern *zk, const char *path)
{
	if (zk->way->broken)
		zk->way->broken(zk);
	return zkern_fail(zk, -EPROTO, "%.400s: the answer is malformed", path);
}

void zkern_begin(struct jw *w, s32 op)
{
	jw_init(w, 0);
	jw_int(w, 0);
	jw_int(w, 0);
	jw_int(w, op);
}

void zkern_take_stat(struct jr *r, struct zkern_stat *st)
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

void zkern_put_path(struct jw *w, const char *path)
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
	zkern_put_path(w, path);
	put_data(w, data, len);
	put_acl(w, p->acl, p->n_acl);
	jw_int(w, mode);
	if (p->flags & ZKERN_TTL)
		jw_long(w, p->ttl_ms);
}

int zkern_do_create(struct zkern *zk, const char *path, const void *data, size_t len,
		    const struct zkern_create_params *params, char **created,
		    struct zkern_value *value)
{
	struct op_reply r = { 0 };
	struct jstr made;
	struct jw w;
	int err;

	zkern_begin(&w, create_op(params));
	put_create(&w, path, data, len, params);
	err = zk->way->call(zk, &w, false, path, &r);
	value->seen.zxid = r.zxid;
	value->seen.events = r.events;
	if (err)
		return err;
	made = jr_str(&r.body);
	zkern_take_stat(&r.body, &value->stat);
	if (r.body.err || !made.p)
		return malformed(zk, path);
	*created = zkern_dup(made.p, made.len);
	return *created ? 0 : zkern_fail(zk, -ENOMEM, "%.400s: out of memory", path);
}

int zkern_do_set(struct zkern *zk, const char *path, const void *data, size_t len, s32 version,
		 struct zkern_value *value)
{
	struct op_reply r = { 0 };
	struct jw w;
	int err;

	zkern_begin(&w, OP_SETDATA);
	zkern_put_path(&w, path);
	put_data(&w, data, len);
	jw_int(&w, version);
	err = zk->way->call(zk, &w, false, path, &r);
	value->seen.zxid = r.zxid;
	value->seen.events = r.events;
	if (err)
		return err;
	zkern_take_stat(&r.body, &value->stat);
	return r.body.err ? malformed(zk, path) : 0;
}

int zkern_do_delete(struct zkern *zk, const char *path, s32 version)
{
	struct op_reply r = { 0 };
	struct jw w;

	zkern_begin(&w, OP_DELETE);
	zkern_put_path(&w, path);
	jw_int(&w, version);
	return zk->way->call(zk, &w, false, path, &r);
}

int zkern_do_set_acl(struct zkern *zk, const char *path, const struct zkern_acl *acl, size_t n,
		     s32 aversion)
{
	struct op_reply r = { 0 };
	struct jw w;

	zkern_begin(&w, OP_SETACL);
	zkern_put_path(&w, path);
	put_acl(&w, acl, n);
	jw_int(&w, aversion);
	return zk->way->call(zk, &w, false, path, &r);
}

int zkern_do_sync(struct zkern *zk, const char *path)
{
	struct op_reply r = { 0 };
	struct jw w;

	zkern_begin(&w, OP_SYNC);
	zkern_put_path(&w, path);
	return zk->way->call(zk, &w, true, path, &r);
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
	zkern_put_path(w, op->path);
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
			zkern_take_stat(r, &op->stat);
		if (r->err || !path.p || op->created)
			return -EPROTO;
		op->created = zkern_dup(path.p, path.len);
		if (!op->created)
			return -ENOMEM;
		break;
	case OP_SETDATA:
		zkern_take_stat(r, &op->stat);
		break;
	case OP_DELETE:
	case OP_CHECK:
		break;
	default:
		return -EPROTO;
	}
	return r->err ? -EPROTO : 0;
}

int zkern_do_multi(struct zkern *zk, struct zkern_multi_op *ops, size_t n)
{
	struct op_reply r = { 0 };
	int err, refused = 0;
	struct jw w;
	size_t i;
	s32 code;

	zkern_begin(&w, OP_MULTI);
	for (i = 0; i < n; i++)
		put_multi_op(&w, &ops[i]);
	jw_int(&w, MULTI_END);
	jw_bool(&w, true);
	jw_int(&w, -1);
	err = zk->way->call(zk, &w, false, "multi", &r);
	for (i = 0; !err && i < n; i++) {
		err = take_result(&r.body, &ops[i], &code);
		if (err == -ENOMEM)
			zkern_fail(zk, err, "multi: out of memory");
		else if (err)
			return malformed(zk, "multi");
		if (!err && ops[i].err && ops[i].err != -ECANCELED && !refused) {
			zk->zk_error = code;
			refused = zkern_fail_path(zk, ops[i].err, ops[i].path);
		}
	}
	return err ? err : refused;
}
