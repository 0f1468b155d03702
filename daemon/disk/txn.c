// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transactions decoded (SerializeUtils.deserializeTxn, DataTree.processTxn): the
 * header, the record of each type into operations for the tree, the digest.
 *
 * A transaction is one block of memory: struct txn, its ops, its bytes. What a
 * count in the bytes claims is believed only as far as there are bytes for it.
 */
#include <linux/types.h>

#include "daemon/base/crc32.h"
#include "daemon/disk/txn.h"
#include "daemon/proto/zookeeper.h"

#define TXN_HEADER_LEN	32	/* long, int, long, long, int */
#define TXN_DIGEST_LEN	12	/* int, long */
#define TTL_MAX		0xffffffffffLL

/*
 * ZooDefs.Ids.OPEN_ACL_UNSAFE: what a null ACL stands for
 * (ReferenceCountedACLCache.convertAcls).
 */
const u8 txn_open_acl[TXN_OPEN_ACL_LEN] = {
	0, 0, 0, 1, 0, 0, 0, 31,
	0, 0, 0, 5, 'w', 'o', 'r', 'l', 'd',
	0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e',
};

/* Where a decoder puts its operations: nowhere while they are counted. */
struct op_sink {
	struct zk_op *ops;
	u32 n;
	u32 room;
	const char *why;
};

u32 txn_crc(const char *path, size_t path_len, const void *data, s32 data_len)
{
	u32 crc = 0;

	if (path_len > 1 || (path_len == 1 && path[0] != '/'))
		crc = crc32_fast(crc, path, path_len);
	if (data_len > 0)
		crc = crc32_fast(crc, data, data_len);
	return crc;
}

static int bad(struct op_sink *sink, const char *why)
{
	sink->why = why;
	return -EBADMSG;
}

static void add_op(struct op_sink *sink, const struct zk_op *op)
{
	if (sink->n < sink->room) {
		struct zk_op *o = &sink->ops[sink->n];

		*o = *op;
		if (o->type == ZK_OP_CREATE || o->type == ZK_OP_SETDATA)
			o->crc = txn_crc(o->path, o->path_len, o->data, o->data_len);
	}
	sink->n++;
}

static void read_path(struct jr *r, struct zk_op *op)
{
	struct jstr s = jr_str(r);

	if (s.len < 1 || s.p[0] != '/') {
		r->err = -EBADMSG;
	} else {
		op->path = (const char *)s.p;
		op->path_len = s.len;
	}
}

static void read_data(struct jr *r, struct zk_op *op)
{
	struct jstr s = jr_str(r);

	op->data = s.p;
	op->data_len = s.len;
}

int txn_read_acl(struct jr *r, const u8 **acl, u32 *len)
{
	const u8 *start = r->p;
	s32 count = jr_int(r);

	if (!r->err && count == -1) {
		*acl = txn_open_acl;
		*len = sizeof(txn_open_acl);
		return 0;
	}
	if (count < 0)
		r->err = -EBADMSG;
	while (!r->err && count-- > 0) {
		jr_int(r);
		jr_str(r);
		jr_str(r);
	}
	if (r->err)
		return r->err;
	*acl = start;
	*len = r->p - start;
	return 0;
}

/* CreateTxn, CreateTTLTxn, CreateContainerTxn, and CreateTxnV0 of old logs. */
static int read_create(struct jr *r, s32 type, u64 session, struct op_sink *sink)
{
	struct zk_op op = { .type = ZK_OP_CREATE };
	bool plain = type == OP_CREATE || type == OP_CREATE2;
	s64 ttl;

	read_path(r, &op);
	read_data(r, &op);
	txn_read_acl(r, &op.acl, &op.acl_len);
	if (plain)
		op.owner = jr_bool(r) ? session : 0;
	if (r->err)
		return bad(sink, "malformed create");
	if (type == OP_CREATE && jr_left(r) < 4) {
		op.pcversion = -1;
		r->p = r->end;
	} else {
		op.pcversion = jr_int(r);
	}
	if (type == OP_CREATETTL) {
		ttl = jr_long(r);
		if (!r->err && (ttl <= 0 || ttl > TTL_MAX))
			return bad(sink, "create with a ttl out of range");
		op.owner = ZK_OWNER_TTL_MASK | (u64)ttl;
	} else if (type == OP_CREATECONTAINER) {
		op.owner = ZK_OWNER_CONTAINER;
	}
	if (r->err)
		return bad(sink, "malformed create");
	add_op(sink, &op);
	return 0;
}

static int read_delete(struct jr *r, struct op_sink *sink)
{
	struct zk_op op = { .type = ZK_OP_DELETE };

	read_path(r, &op);
	if (r->err)
		return bad(sink, "malformed delete");
	add_op(sink, &op);
	return 0;
}

static int read_setdata(struct jr *r, struct op_sink *sink)
{
	struct zk_op op = { .type = ZK_OP_SETDATA };

	read_path(r, &op);
	read_data(r, &op);
	op.version = jr_int(r);
	if (r->err)
		return bad(sink, "malformed setData");
	add_op(sink, &op);
	return 0;
}

static int read_setacl(struct jr *r, struct op_sink *sink)
{
	struct zk_op op = { .type = ZK_OP_SETACL };

	read_path(r, &op);
	txn_read_acl(r, &op.acl, &op.acl_len);
	op.version = jr_int(r);
	if (r->err)
		return bad(sink, "malformed setACL");
	add_op(sink, &op);
	return 0;
}

static int read_check(struct jr *r, struct op_sink *sink)
{
	struct zk_op op;

	read_path(r, &op);
	jr_int(r);
	return r->err ? bad(sink, "malformed check") : 0;
}

/*
 * CloseSessionTxn: the paths to delete, which are the session's ephemerals, so
 * that the tree needs the session alone. The record is missing in logs of before
 * 3.6 and with closeSessionTxn.enabled=false; a digest of version 2 may then
 * stand there at once: two paths of no length could not.
 */
static int read_close(struct jr *r, u64 session, struct op_sink *sink)
{
	struct zk_op op = { .type = ZK_OP_CLOSE, .owner = session };
	s32 count;

	add_op(sink, &op);
	if (jr_left(r) < 4 ||
	    (jr_left(r) == TXN_DIGEST_LEN && jute_get32(r->p) == 2))
		return 0;
	count = jr_int(r);
	if (count < -1)
		return bad(sink, "malformed closeSession");
	while (!r->err && count-- > 0)
		jr_str(r);
	return r->err ? bad(sink, "malformed closeSession") : 0;
}

/* One operation that may stand alone or in a multi. */
static int read_op(struct jr *r, s32 type, u64 session, struct op_sink *sink)
{
	switch (type) {
	case OP_CREATE:
	case OP_CREATE2:
	case OP_CREATETTL:
	case OP_CREATECONTAINER:
		return read_create(r, type, session, sink);
	case OP_DELETE:
	case OP_DELETECONTAINER:
		return read_delete(r, sink);
	case OP_SETDATA:
	case OP_RECONFIG:
		return read_setdata(r, sink);
	case OP_SETACL:
		return read_setacl(r, sink);
	case OP_CHECK:
		return read_check(r, sink);
	default:
		return bad(sink, "unknown type of transaction");
	}
}

/* MultiTxn. An error among its members means that none of them was done. */
static int read_multi(struct jr *r, u64 session, struct op_sink *sink)
{
	bool failed = false;
	s32 count = jr_int(r);
	int rc;

	if (count < 0)
		return bad(sink, "malformed multi");
	while (!r->err && count-- > 0) {
		s32 type = jr_int(r);
		struct jstr s = jr_str(r);
		struct jr sub;

		if (r->err || !s.p)
			return bad(sink, "malformed multi");
		jr_init(&sub, s.p, s.len);
		if (type == OP_ERROR) {
			failed = true;
			jr_int(&sub);
			rc = sub.err ? bad(sink, "malformed multi") : 0;
		} else {
			rc = read_op(&sub, type, session, sink);
		}
		if (rc)
			return rc;
	}
	if (r->err)
		return bad(sink, "malformed multi");
	if (failed)
		sink->n = 0;
	return 0;
}

static int read_record(struct jr *r, struct txn *t, struct op_sink *sink)
{
	switch (t->type) {
	case OP_MULTI:
		return read_multi(r, t->session, sink);
	case OP_CREATESESSION:
		t->timeout = jr_int(r);
		return r->err ? bad(sink, "malformed createSession") : 0;
	case OP_CLOSESESSION:
		return read_close(r, t->session, sink);
	case OP_ERROR:
		t->err = jr_int(r);
		return r->err ? bad(sink, "malformed error transaction") : 0;
	default:
		return read_op(r, t->type, t->session, sink);
	}
}

static int read_header(struct jr *r, struct txn *t)
{
	t->session = jr_long(r);
	t->cxid = jr_int(r);
	t->zxid = jr_long(r);
	t->time = jr_long(r);
	t->type = jr_int(r);
	return r->err;
}

static void read_digest(struct jr *r, struct txn *t)
{
	if (r->err || jr_left(r) < TXN_DIGEST_LEN)
		return;
	t->has_digest = true;
	t->digest_version = jr_int(r);
	t->digest = jr_long(r);
}

int txn_peek_zxid(const void *bytes, size_t len, u64 *zxid)
{
	if (len < TXN_HEADER_LEN)
		return -EBADMSG;
	*zxid = jute_get64((const u8 *)bytes + 12);
	return 0;
}

/* Twice over the bytes: count the operations, then fill them in. */
int txn_decode(const void *bytes, size_t len, struct txn **txn, const char **why)
{
	struct op_sink count = { 0 }, sink = { 0 };
	struct txn head = { 0 };
	struct txn *t;
	struct jr r;
	int rc;

	jr_init(&r, bytes, len);
	if (len > INT32_MAX || read_header(&r, &head)) {
		count.why = "malformed transaction header";
		rc = -EBADMSG;
	} else {
		rc = read_record(&r, &head, &count);
	}
	if (rc) {
		if (why)
			*why = count.why;
		return rc;
	}
	read_digest(&r, &head);

	t = malloc(sizeof(*t) + (size_t)count.n * sizeof(*t->ops) + len);
	if (!t) {
		if (why)
			*why = "out of memory";
		return -ENOMEM;
	}
	*t = head;
	t->refs = 1;
	t->len = len;
	t->n_ops = count.n;
	t->ops = (struct zk_op *)(t + 1);
	t->bytes = (u8 *)(t->ops + count.n);
	memcpy(t->bytes, bytes, len);

	sink.ops = t->ops;
	sink.room = count.n;
	if (count.n) {
		jr_init(&r, t->bytes, len);
		read_header(&r, &head);
		read_record(&r, &head, &sink);
	}
	*txn = t;
	return 0;
}

struct txn *txn_get(struct txn *txn)
{
	__atomic_add_fetch(&txn->refs, 1, __ATOMIC_RELAXED);
	return txn;
}

void txn_put(struct txn *txn)
{
	if (txn && !__atomic_sub_fetch(&txn->refs, 1, __ATOMIC_ACQ_REL)) {
		free(txn->unlisted);
		free(txn);
	}
}

void txn_to_zk(const struct txn *txn, struct zk_txn *out)
{
	out->zxid = txn->zxid;
	out->time = txn->time;
	out->flags = 0;
	out->n_ops = txn->n_ops;
	out->ops = txn->ops;
}
