// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * multi (MultiOperationRecord, PrepRequestProcessor.pRequestHelper, MultiResponse;
 * as Debian's 3.8.0 does it, where later ones differ).
 *
 * One of its operations refused: the transaction is still a multi, whose members
 * up to there stand as they were made, then the error, then RUNTIMEINCONSISTENCY
 * for each that was not tried; none of it is done.
 */
#include <string.h>

#include "daemon/server/prepare.h"

struct member {
	s32 type;		/* as in the request */
	struct wish wish;
};

bool prep_multi_next(struct jr *r, s32 *type, struct wish *w)
{
	bool done;

	*type = jr_int(r);
	done = jr_bool(r);
	jr_int(r);
	if (r->err || done)
		return false;
	switch (*type) {
	case OP_CREATE:
	case OP_CREATE2:
	case OP_CREATECONTAINER:
	case OP_CREATETTL:
	case OP_DELETE:
	case OP_SETDATA:
	case OP_CHECK:
		if (wish_read(r, *type, w) && w->path.len >= 0)
			return true;
	}
	/* Reads may stand in a multiRead only; a null path throws. */
	r->err = -EBADMSG;
	return false;
}

/* In a multi the flags say what is created. False: 3.8 has no record for it. */
static bool settle_type(struct member *m)
{
	struct wish *w = &m->wish;
	bool ttl = w->flags == CREATE_TTL || w->flags == CREATE_TTL_SEQ;

	switch (m->type) {
	case OP_CREATE:
	case OP_CREATE2:
	case OP_CREATECONTAINER:
	case OP_CREATETTL:
		break;
	default:
		return true;
	}
	if (ttl) {
		w->type = OP_CREATETTL;
		return m->type == OP_CREATETTL;
	}
	w->type = w->flags == CREATE_CONTAINER ? OP_CREATECONTAINER : OP_CREATE;
	w->ttl = -1;
	return true;
}

static bool well_formed(const u8 *body, u32 len, u32 *n)
{
	struct member m;
	struct jr r;

	jr_init(&r, body, len);
	for (*n = 0; prep_multi_next(&r, &m.type, &m.wish);)
		(*n)++;
	return !r.err;
}

void prep_result_head(struct prep *p, s32 type, bool done, s32 err)
{
	jw_int(&p->out, type);
	jw_bool(&p->out, done);
	jw_int(&p->out, err);
}

s32 prep_result_type(s32 type)
{
	return type == OP_CREATETTL || type == OP_CREATECONTAINER ? OP_CREATE2 : type;
}

static void put_error(struct prep *p, s32 err)
{
	jw_int(&p->txn, OP_ERROR);
	jw_int(&p->txn, 4);
	jw_int(&p->txn, err);
}

void prep_refused(struct prep *p, u32 at, u32 n, s32 err)
{
	p->out.len = 0;
	for (u32 i = 0; i < n; i++) {
		s32 e = i < at ? ZOK : i == at ? err : ZRUNTIMEINCONSISTENCY;

		prep_result_head(p, OP_ERROR, false, e);
		jw_int(&p->out, e);
	}
}

static s32 one(struct prep *p, struct member *m)
{
	size_t start = p->txn.len;
	s32 err;

	if (!settle_type(m))
		return ZMARSHALLINGERROR;
	jw_int(&p->txn, m->wish.type);
	jw_int(&p->txn, 0);
	prep_result_head(p, prep_result_type(m->wish.type), false, ZOK);
	err = prep_op(p, &m->wish, true);
	if (p->txn.err)
		return prep_fail(p, p->txn.err);
	if (err)
		p->txn.len = start;
	else
		jute_put32(p->txn.buf + start + 4, p->txn.len - start - 8);
	return err;
}

s32 prep_multi(struct prep *p, const u8 *body, u32 len)
{
	struct member m;
	u32 n, i = 0;
	s32 err = ZOK;
	struct jr r;

	if (!well_formed(body, len, &n))
		return ZMARSHALLINGERROR;
	jw_int(&p->txn, n);
	jr_init(&r, body, len);
	while (!err && prep_multi_next(&r, &m.type, &m.wish)) {
		err = one(p, &m);
		/* An exception that is not the client's fault takes it all. */
		if (p->fail || err == ZMARSHALLINGERROR)
			return err;
		i += !err;
	}
	if (err) {
		put_error(p, err);
		for (u32 k = i + 1; k < n; k++)
			put_error(p, ZRUNTIMEINCONSISTENCY);
		prep_refused(p, i, n, err);
		changes_undo(p->ch);
		changes_begin(p->ch);
		p->n_ops = 0;
	}
	prep_result_head(p, -1, true, -1);
	return ZOK;
}
