// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transactions that other servers prepared, brought onto the records as if they had been
 * prepared here (DataTree.processTxn, and what FinalRequestProcessor answers from its
 * result). So digests, the ACLs that events ask for, and the answers of learners'
 * clients come from the one place where a leader's come from.
 *
 * The checks were made where it was prepared. What does not fit the tree nevertheless is
 * -EUCLEAN: applying it would fail as well.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/server/path.h"
#include "daemon/server/prepare.h"

#define HEADER_LEN	32

struct replay {
	struct prep *p;
	const struct txn *t;
	u32 op;			/* the next of t->ops */
};

static struct change *find(struct replay *r, const char *path, u32 len)
{
	struct change *rec;
	int rc = change_get(r->p->ch, path, len, &rec);

	if (!rc)
		return rec;
	prep_fail(r->p, rc == -ENOENT ? -EUCLEAN : rc);
	return NULL;
}

static struct change *find_parent(struct replay *r, const struct zk_op *op)
{
	if (op->path_len < 2) {
		prep_fail(r->p, -EUCLEAN);
		return NULL;
	}
	return find(r, op->path, path_parent(op->path, op->path_len));
}

static void create(struct replay *r, const struct zk_op *op, s32 type)
{
	struct change *parent = find_parent(r, op), *rec;
	struct prep *p = r->p;
	int rc;

	if (!parent)
		return;
	rc = change_get(p->ch, op->path, op->path_len, &rec);
	if (rc != -ENOENT) {
		prep_fail(p, rc ? rc : -EUCLEAN);
		return;
	}
	if (prep_add_node(p, parent, op, &rec))
		return;
	jw_str(&p->out, op->path, op->path_len);
	if (type != OP_CREATE)
		prep_put_stat(p, rec);
}

static void delete(struct replay *r, const struct zk_op *op)
{
	struct change *parent = find_parent(r, op), *rec;

	rec = parent ? find(r, op->path, op->path_len) : NULL;
	if (rec && rec->stat.num_children > 0)
		prep_fail(r->p, -EUCLEAN);
	else if (rec)
		prep_forget(r->p, parent, rec);
}

static void set_data(struct replay *r, const struct zk_op *op, s32 type)
{
	struct change *rec = find(r, op->path, op->path_len);

	if (!rec || prep_new_data(r->p, rec, op->data, op->data_len, op->version))
		return;
	if (type == OP_RECONFIG)
		jw_str(&r->p->out, op->data, op->data_len);
	prep_put_stat(r->p, rec);
}

static void set_acl(struct replay *r, const struct zk_op *op)
{
	struct change *rec = find(r, op->path, op->path_len);

	if (rec && !prep_new_acl(r->p, rec, op->acl, op->acl_len, op->version))
		prep_put_stat(r->p, rec);
}

/* One that may stand in a multi. */
static void replay_op(struct replay *r, s32 type)
{
	const struct zk_op *op;

	if (type == OP_CHECK)
		return;		/* it has nothing for the tree */
	if (r->op == r->t->n_ops) {
		prep_fail(r->p, -EUCLEAN);
		return;
	}
	op = &r->t->ops[r->op++];
	switch (op->type) {
	case ZK_OP_CREATE:
		create(r, op, type);
		break;
	case ZK_OP_DELETE:
		delete(r, op);
		break;
	case ZK_OP_SETDATA:
		set_data(r, op, type);
		break;
	case ZK_OP_SETACL:
		set_acl(r, op);
		break;
	case ZK_OP_CLOSE:
		prep_fail(r->p, -EUCLEAN);
		break;
	}
}

/* The place of the first error among the members, or -1. */
static s32 refused_at(struct jr in, s32 n, s32 *err)
{
	for (s32 i = 0; i < n; i++) {
		s32 type = jr_int(&in);
		struct jstr s = jr_str(&in);

		if (in.err)
			break;
		if (type == OP_ERROR && s.len >= 4) {
			*err = jute_get32(s.p);
			return i;
		}
	}
	return -1;
}

static void replay_multi(struct replay *r)
{
	struct prep *p = r->p;
	s32 n, at, err = ZOK;
	struct jr in;

	jr_init(&in, r->t->bytes, r->t->len);
	jr_take(&in, HEADER_LEN);
	n = jr_int(&in);
	at = refused_at(in, n, &err);
	if (at >= 0)
		prep_refused(p, at, n, err);
	for (s32 i = 0; at < 0 && i < n && !p->fail; i++) {
		s32 type = jr_int(&in);

		jr_str(&in);
		prep_result_head(p, prep_result_type(type), false, ZOK);
		replay_op(r, type);
	}
	prep_result_head(p, -1, true, -1);
}

/* Whether the record, which may be missing, lists as many paths. */
static bool lists_all(const struct txn *t, u32 n)
{
	struct jr in;

	jr_init(&in, t->bytes, t->len - (t->has_digest ? 12 : 0));
	jr_take(&in, HEADER_LEN);
	return jr_int(&in) == (s32)n && !in.err;
}

static void replay_close(struct replay *r, struct txn *t)
{
	struct prep *p = r->p;
	struct jw *list;
	size_t at = p->txn.len;

	if (prep_close(p, t->session))
		return;
	list = p->unlisted.buf ? &p->unlisted : &p->txn;
	if (t->unlisted || lists_all(t, jute_get32(list->buf + at)))
		return;
	t->unlisted = list->buf;
	t->unlisted_at = at;
	t->unlisted_len = list->len;
	jw_init(list, 0);
}

int prep_replay(struct prep *p, struct txn *t)
{
	const struct prep_ask ask = {
		.zxid = t->zxid,
		.time = t->time,
		.session = t->session,
		.cxid = t->cxid,
	};
	struct replay r = { .p = p, .t = t };

	prep_begin(p, &ask, t->type);
	switch (t->type) {
	case OP_ERROR:
	case OP_CREATESESSION:
		break;
	case OP_CLOSESESSION:
		replay_close(&r, t);
		break;
	case OP_MULTI:
		replay_multi(&r);
		break;
	default:
		replay_op(&r, t->type);
	}
	if (p->out.err)
		prep_fail(p, p->out.err);
	if (p->fail)
		changes_undo(p->ch);
	return p->fail;
}
