// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel store's writes: transactions applied in batches, another tree built.
 * All of it on the core thread; k->out is its buffer.
 */
#include <linux/types.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/kernel.h"

#define BATCH	(1024 * 1024)	/* bytes to gather before a call */

/* ---------------------------------------------------------------- records */

/* Appends the bytes behind a record's fixed part, then zeros to a multiple of 8. */
static void put_tail(struct jw *w, const char *path, u32 path_len, const void *data,
		     s32 data_len, const u8 *acl, u32 acl_len)
{
	u8 *p;
	size_t pad;

	jw_bytes(w, path, path_len);
	if (data_len > 0)
		jw_bytes(w, data, data_len);
	jw_bytes(w, acl, acl_len);
	pad = -w->len & 7;
	p = jw_add(w, pad);
	if (p)
		memset(p, 0, pad);
}

static void put_op(struct jw *w, const struct zk_op *op)
{
	struct zkern_op o = {
		.type = op->type,
		.version = op->version,
		.pcversion = op->pcversion,
		.path_len = op->path_len,
		.data_len = op->data_len,
		.acl_len = op->acl_len,
		.crc = op->crc,
		.owner = op->owner,
	};
	size_t at = w->len;
	u32 len;

	jw_bytes(w, &o, sizeof(o));
	put_tail(w, op->path, op->path_len, op->data, op->data_len, op->acl, op->acl_len);
	if (w->err)
		return;
	len = w->len - at;
	memcpy(w->buf + at + offsetof(struct zkern_op, len), &len, sizeof(len));
}

static int put_txn(struct jw *w, const struct zk_txn *txn)
{
	struct zkern_txn t = {
		.flags = txn->flags,
		.zxid = txn->zxid,
		.time = txn->time,
		.n_ops = txn->n_ops,
	};
	size_t at = w->len;
	u32 i, len;

	jw_bytes(w, &t, sizeof(t));
	for (i = 0; i < txn->n_ops && !w->err; i++)
		put_op(w, &txn->ops[i]);
	if (w->err)
		return w->err;
	len = w->len - at;
	memcpy(w->buf + at + offsetof(struct zkern_txn, len), &len, sizeof(len));
	return 0;
}

static int put_node(struct jw *w, const struct store_rec *rec)
{
	const struct zk_stat *st = &rec->node.stat;
	struct zkern_node n = {
		.path_len = rec->path_len,
		.data_len = rec->node.data_len,
		.acl_len = rec->acl_len,
		.crc = rec->node.crc,
		.stat = {
			.czxid = st->czxid,
			.mzxid = st->mzxid,
			.pzxid = st->pzxid,
			.ctime = st->ctime,
			.mtime = st->mtime,
			.version = st->version,
			.aversion = st->aversion,
			.data_len = rec->node.data_len,
			.cversion_stored = st->cversion,
			.owner_stored = st->owner,
		},
	};
	size_t at = w->len;
	u32 len;

	jw_bytes(w, &n, sizeof(n));
	put_tail(w, rec->path, rec->path_len, rec->data, rec->node.data_len, rec->acl,
		 rec->acl_len);
	if (w->err)
		return w->err;
	len = w->len - at;
	memcpy(w->buf + at + offsetof(struct zkern_node, len), &len, sizeof(len));
	return 0;
}

/* Empties the buffer; one that grew large is given back. */
static void out_clear(struct kernel *k)
{
	if (k->out.cap > 4 * BATCH) {
		jw_free(&k->out);
		jw_init(&k->out, ZKERN_APPLY_MAX);
	}
	k->out.len = 0;
	k->out.err = 0;
}

/* ---------------------------------------------------------------- apply */

/* Applies the transactions in the buffer; returns how many were. */
static int apply_out(struct kernel *k, u64 *digest, int *err)
{
	struct zkern_apply a = {
		.size = sizeof(a),
		.buf = (uintptr_t)k->out.buf,
		.buf_len = k->out.len,
	};

	*err = kernel_call(k->fd, ZKERN_APPLY, &a);
	if (a.applied || !*err)
		__atomic_store_n(&k->st.zxid, a.zxid, __ATOMIC_RELEASE);
	if (digest)
		*digest = a.digest;
	out_clear(k);
	return a.applied;
}

/* Appends one record; on failure the buffer is as it was. */
static int put_whole(struct kernel *k, const struct zk_txn *txn, const struct store_rec *node)
{
	size_t before = k->out.len;
	int rc = txn ? put_txn(&k->out, txn) : put_node(&k->out, node);

	if (rc) {
		k->out.len = before;
		k->out.err = 0;
	}
	return rc;
}

/* As many as make a batch; one at a time where each one's digest is wanted. */
int kernel_apply(struct store *st, const struct zk_txn *txns, int n, u64 *digests, int *err)
{
	struct kernel *k = to_kernel(st);
	int done = 0, i, rc;

	*err = 0;
	out_clear(k);
	while (done < n && !*err) {
		rc = 0;
		for (i = done; i < n && !rc && k->out.len < BATCH; i++) {
			rc = put_whole(k, &txns[i], NULL);
			if (digests)
				break;
		}
		if (k->out.len)
			done += apply_out(k, digests ? &digests[done] : NULL, err);
		else
			*err = rc;
	}
	return done;
}

/* ---------------------------------------------------------------- load */

static int load(struct kernel *k, struct zkern_load *l)
{
	l->size = sizeof(*l);
	return kernel_call(k->fd, ZKERN_LOAD, l);
}

/* Hands over what was gathered. */
static int load_out(struct kernel *k, u64 *digest)
{
	struct zkern_load l = {
		.cmd = k->out_cmd,
		.buf = (uintptr_t)k->out.buf,
		.buf_len = k->out.len,
	};
	int rc = 0;

	if (k->out.len)
		rc = load(k, &l);
	if (digest)
		*digest = l.digest;
	out_clear(k);
	return rc;
}

int kernel_load_begin(struct store *st, u64 nodes)
{
	struct zkern_load l = { .cmd = ZKERN_LOAD_BEGIN, .nodes = nodes };
	int rc;

	out_clear(to_kernel(st));
	rc = load(to_kernel(st), &l);
	if (rc == -E2BIG && nodes) {	/* only a hint, and a module without it */
		l.nodes = 0;
		rc = load(to_kernel(st), &l);
	}
	return rc;
}

void kernel_load_abort(struct store *st)
{
	struct zkern_load l = { .cmd = ZKERN_LOAD_ABORT };

	out_clear(to_kernel(st));
	load(to_kernel(st), &l);
}

/* Appends a record of a kind, after what was gathered before has made way. */
static int load_put(struct kernel *k, u32 cmd, const struct zk_txn *txn,
		    const struct store_rec *node)
{
	int rc = 0;

	if (k->out_cmd != cmd || k->out.len >= BATCH)
		rc = load_out(k, NULL);
	k->out_cmd = cmd;
	if (rc)
		return rc;
	rc = put_whole(k, txn, node);
	if (rc && k->out.len) {
		rc = load_out(k, NULL);
		if (!rc)
			rc = put_whole(k, txn, node);
	}
	return rc;
}

int kernel_load_node(struct store *st, const struct store_rec *rec)
{
	return load_put(to_kernel(st), ZKERN_LOAD_NODES, NULL, rec);
}

int kernel_load_txn(struct store *st, const struct zk_txn *txn, u64 *digest)
{
	struct kernel *k = to_kernel(st);
	int rc = load_put(k, ZKERN_LOAD_TXNS, txn, NULL);

	return rc || !digest ? rc : load_out(k, digest);
}

/* The number is odd while it is not known which tree a reader finds. */
int kernel_load_commit(struct store *st, u64 zxid)
{
	struct kernel *k = to_kernel(st);
	struct zkern_load l = { .cmd = ZKERN_LOAD_COMMIT, .zxid = zxid };
	int rc = load_out(k, NULL);

	if (rc)
		return rc;
	__atomic_add_fetch(&k->tree, 1, __ATOMIC_SEQ_CST);
	rc = load(k, &l);
	if (!rc) {
		k->taken_up = false;
		__atomic_store_n(&st->zxid, zxid, __ATOMIC_RELEASE);
	}
	__atomic_add_fetch(&k->tree, 1, __ATOMIC_SEQ_CST);
	return rc;
}
