// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The frame of a transaction: header, record, digest (see prepare.h). What the
 * single operations check and write is in prepare_op.c.
 *
 * The bytes are built in a buffer that is used again; a transaction is then one
 * allocation, as txn_decode() makes it: struct txn, operations, bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/server/prepare.h"

#define HEADER_LEN	32	/* long session, int cxid, long zxid, long time, int type */
#define TYPE_AT		28
#define OPS_MIN		16
#define KEEP_BYTES	(64 * 1024)	/* of a buffer between transactions */

int prep_init(struct prep *p, const struct config *cfg, struct changes *ch)
{
	memset(p, 0, sizeof(*p));
	p->cfg = cfg;
	p->ch = ch;
	jw_init(&p->txn, 0);
	jw_init(&p->unlisted, 0);
	jw_init(&p->out, 0);
	jw_init(&p->acl, 0);
	jw_init(&p->path, 0);
	jw_init(&p->quota, 0);
	p->ops = malloc(OPS_MIN * sizeof(*p->ops));
	p->ops_room = OPS_MIN;
	return p->ops ? 0 : -ENOMEM;
}

void prep_free(struct prep *p)
{
	jw_free(&p->txn);
	jw_free(&p->unlisted);
	jw_free(&p->out);
	jw_free(&p->acl);
	jw_free(&p->path);
	jw_free(&p->quota);
	free(p->ops);
}

bool prep_is_write(s32 op)
{
	switch (op) {
	case OP_CREATE:
	case OP_CREATE2:
	case OP_CREATETTL:
	case OP_CREATECONTAINER:
	case OP_DELETE:
	case OP_DELETECONTAINER:
	case OP_SETDATA:
	case OP_SETACL:
	case OP_MULTI:
	case OP_CHECK:
	case OP_RECONFIG:
		return true;
	}
	return false;
}

s32 prep_fail(struct prep *p, int err)
{
	if (!p->fail)
		p->fail = err;
	return ZSYSTEMERROR;
}

struct zk_op *prep_add_op(struct prep *p, enum zk_op_type type)
{
	struct zk_op *op;

	if (p->n_ops == p->ops_room) {
		op = realloc(p->ops, 2 * p->ops_room * sizeof(*op));
		if (!op) {
			prep_fail(p, -ENOMEM);
			return NULL;
		}
		p->ops = op;
		p->ops_room *= 2;
	}
	op = &p->ops[p->n_ops++];
	memset(op, 0, sizeof(*op));
	op->type = type;
	return op;
}

const void *prep_put(struct prep *p, const void *bytes, s32 len)
{
	size_t at = p->txn.len + 4;

	jw_str(&p->txn, bytes, len);
	return (const void *)at;
}

/* A buffer for the next transaction; a failure of the last one is forgotten. */
static void reuse(struct jw *w)
{
	if (w->err || w->cap > KEEP_BYTES) {
		jw_free(w);
		jw_init(w, 0);
	}
	w->len = 0;
}

void prep_begin(struct prep *p, const struct prep_ask *ask, s32 type)
{
	p->zxid = ask->zxid;
	p->time = ask->time;
	p->session = ask->session;
	p->auth = ask->auth;
	p->no_ephemerals = ask->no_ephemerals;
	p->fail = 0;
	p->n_ops = 0;
	reuse(&p->txn);
	jw_free(&p->unlisted);
	jw_init(&p->unlisted, 0);
	reuse(&p->out);
	reuse(&p->acl);
	reuse(&p->path);
	reuse(&p->quota);
	jw_long(&p->txn, ask->session);
	jw_int(&p->txn, ask->cxid);
	jw_long(&p->txn, ask->zxid);
	jw_long(&p->txn, ask->time);
	jw_int(&p->txn, type);
	changes_begin(p->ch);
}

static const void *at(const u8 *bytes, const void *offset)
{
	return bytes + (uintptr_t)offset;
}

static struct txn *to_txn(struct prep *p, const struct prep_ask *ask, s32 type, s32 err)
{
	struct txn *t = malloc(sizeof(*t) + p->n_ops * sizeof(*t->ops) + p->txn.len);

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->refs = 1;
	t->len = p->txn.len;
	t->session = ask->session;
	t->cxid = ask->cxid;
	t->type = type;
	t->zxid = ask->zxid;
	t->time = ask->time;
	t->err = err;
	t->n_ops = p->n_ops;
	t->ops = (struct zk_op *)(t + 1);
	t->bytes = (u8 *)(t->ops + t->n_ops);
	memcpy(t->bytes, p->txn.buf, t->len);
	for (u32 i = 0; i < t->n_ops; i++) {
		struct zk_op *op = &t->ops[i];

		*op = p->ops[i];
		op->path = op->path_len ? at(t->bytes, op->path) : NULL;
		op->data = op->data_len > 0 ? at(t->bytes, op->data) : NULL;
		op->acl = op->acl_len ? at(t->bytes, op->acl) : NULL;
	}
	return t;
}

static int finish(struct prep *p, const struct prep_ask *ask, s32 type, bool digest,
		  struct txn **txn)
{
	struct txn *t;

	if (digest) {
		jw_int(&p->txn, 2);
		jw_long(&p->txn, p->ch->digest);
	}
	if (p->txn.err)
		prep_fail(p, p->txn.err);
	if (p->out.err)
		prep_fail(p, p->out.err);
	t = p->fail ? NULL : to_txn(p, ask, type, 0);
	if (!t) {
		changes_undo(p->ch);
		return p->fail ? p->fail : -ENOMEM;
	}
	t->has_digest = digest;
	t->digest_version = digest ? 2 : 0;
	t->digest = digest ? p->ch->digest : 0;
	*txn = t;
	return 0;
}

/* What was begun becomes an error transaction: without a digest, as in 3.8. */
static int finish_error(struct prep *p, const struct prep_ask *ask, s32 err, struct txn **txn)
{
	int rc;

	changes_undo(p->ch);
	changes_begin(p->ch);
	p->n_ops = 0;
	p->out.len = 0;
	p->txn.len = HEADER_LEN;
	if (!p->txn.err)
		jute_put32(p->txn.buf + TYPE_AT, OP_ERROR);
	jw_int(&p->txn, err);
	rc = finish(p, ask, OP_ERROR, false, txn);
	if (!rc)
		(*txn)->err = err;
	return rc;
}

static s32 one_op(struct prep *p, s32 op, const u8 *body, u32 len)
{
	struct wish w;
	struct jr r;

	jr_init(&r, body, len);
	if (!wish_read(&r, op, &w))
		return ZMARSHALLINGERROR;
	return prep_op(p, &w, false);
}

int prep_request(struct prep *p, const struct prep_ask *ask, s32 op, const u8 *body, u32 len,
		 struct txn **txn, s32 *err)
{
	prep_begin(p, ask, op);
	if (op == OP_MULTI)
		*err = prep_multi(p, body, len);
	else
		*err = one_op(p, op, body, len);
	if (p->fail) {
		changes_undo(p->ch);
		return p->fail;
	}
	if (*err)
		return finish_error(p, ask, *err, txn);
	if (op == OP_CHECK) {
		changes_undo(p->ch);
		return -EOPNOTSUPP;
	}
	return finish(p, ask, op, p->cfg->digest_enabled, txn);
}

int prep_refuse(struct prep *p, const struct prep_ask *ask, s32 err, struct txn **txn)
{
	prep_begin(p, ask, OP_ERROR);
	return finish_error(p, ask, err, txn);
}

int prep_create_session(struct prep *p, const struct prep_ask *ask, s32 timeout,
			struct txn **txn)
{
	int rc;

	prep_begin(p, ask, OP_CREATESESSION);
	jw_int(&p->txn, timeout);
	rc = finish(p, ask, OP_CREATESESSION, p->cfg->digest_enabled, txn);
	if (!rc)
		(*txn)->timeout = timeout;
	return rc;
}

int prep_close_session(struct prep *p, const struct prep_ask *ask, struct txn **txn)
{
	int rc;

	prep_begin(p, ask, OP_CLOSESESSION);
	if (prep_close(p, ask->session)) {
		changes_undo(p->ch);
		return p->fail;
	}
	rc = finish(p, ask, OP_CLOSESESSION, p->cfg->digest_enabled, txn);
	if (!rc && p->unlisted.buf) {
		(*txn)->unlisted = p->unlisted.buf;
		(*txn)->unlisted_at = p->unlisted_at;
		(*txn)->unlisted_len = p->unlisted.len;
		jw_init(&p->unlisted, 0);
	}
	return rc;
}

int prep_delete_container(struct prep *p, const struct prep_ask *ask, const char *path,
			  u32 len, struct txn **txn, s32 *err)
{
	struct wish w = {
		.type = OP_DELETECONTAINER,
		.path = { (const u8 *)path, len },
	};

	prep_begin(p, ask, OP_DELETECONTAINER);
	*err = prep_op(p, &w, false);
	if (p->fail) {
		changes_undo(p->ch);
		return p->fail;
	}
	if (*err)
		return finish_error(p, ask, *err, txn);
	return finish(p, ask, OP_DELETECONTAINER, p->cfg->digest_enabled, txn);
}
