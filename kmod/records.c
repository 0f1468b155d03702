// SPDX-License-Identifier: GPL-2.0-only
/* Records handed over by an owner; see records.h. */
#include "records.h"

#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/zkern.h>

#define OPS_KEEP	1024
#define TXN_FLAGS	(ZKERN_TXN_REPLAY | ZKERN_TXN_ASIDE)

static_assert((int)ZKERN_OP_CREATE == ZK_OP_CREATE);
static_assert((int)ZKERN_OP_DELETE == ZK_OP_DELETE);
static_assert((int)ZKERN_OP_SETDATA == ZK_OP_SETDATA);
static_assert((int)ZKERN_OP_SETACL == ZK_OP_SETACL);
static_assert((int)ZKERN_OP_CLOSE == ZK_OP_CLOSE);
static_assert(ZKERN_TXN_REPLAY == ZK_TXN_REPLAY);
static_assert(ZKERN_TXN_ASIDE == ZK_TXN_ASIDE);
static_assert(sizeof(struct zkern_txn) % 8 == 0);
static_assert(sizeof(struct zkern_op) % 8 == 0);
static_assert(sizeof(struct zkern_node) % 8 == 0);

/*
 * A record: its fixed part, then path, data and ACL, then zeros to a multiple of
 * 8. Returns where the path begins, or NULL if the lengths do not add up.
 */
static const u8 *record_tail(const void *at, u32 left, u32 fixed, u32 len, u32 path_len,
			     s32 data_len, u32 acl_len)
{
	u64 end = fixed + (u64)path_len + (data_len > 0 ? data_len : 0) + acl_len;
	const u8 *bytes = at;
	u64 i;

	if (data_len < -1 || len < fixed || len > left || len != ALIGN(end, 8))
		return NULL;
	for (i = end; i < len; i++) {
		if (bytes[i])
			return NULL;
	}
	return bytes + fixed;
}

static int op_parse(const void *at, u32 left, struct zk_op *op)
{
	const struct zkern_op *rec = at;
	const u8 *tail;

	if (left < sizeof(*rec))
		return -EINVAL;
	if (rec->type < ZKERN_OP_CREATE || rec->type > ZKERN_OP_CLOSE)
		return -EINVAL;
	tail = record_tail(at, left, sizeof(*rec), rec->len, rec->path_len, rec->data_len,
			   rec->acl_len);
	if (!tail)
		return -EINVAL;
	op->type = rec->type;
	op->version = rec->version;
	op->pcversion = rec->pcversion;
	op->path = (const char *)tail;
	op->path_len = rec->path_len;
	tail += rec->path_len;
	op->data_len = rec->data_len;
	op->data = rec->data_len > 0 ? tail : NULL;
	tail += max(rec->data_len, 0);
	op->acl = tail;
	op->acl_len = rec->acl_len;
	op->crc = rec->crc;
	op->owner = rec->owner;
	return rec->len;
}

static int ops_reserve(struct zkern_ops *ops, u32 n)
{
	if (n <= ops->cap)
		return 0;
	zkern_ops_free(ops);
	ops->ops = kvmalloc_array(n, sizeof(*ops->ops), GFP_KERNEL_ACCOUNT);
	if (!ops->ops)
		return -ENOMEM;
	ops->cap = n;
	return 0;
}

int zkern_txn_parse(const void *at, u32 left, struct zkern_ops *ops, struct zk_txn *txn)
{
	const struct zkern_txn *rec = at;
	u32 i, off = sizeof(*rec);
	int len, err;

	if (left < sizeof(*rec) || rec->len < sizeof(*rec) || rec->len > left || rec->len % 8 ||
	    rec->pad || (rec->flags & ~TXN_FLAGS))
		return -EINVAL;
	if (rec->n_ops > (rec->len - sizeof(*rec)) / sizeof(struct zkern_op))
		return -EINVAL;
	err = ops_reserve(ops, rec->n_ops);
	if (err)
		return err;
	for (i = 0; i < rec->n_ops; i++) {
		len = op_parse(at + off, rec->len - off, &ops->ops[i]);
		if (len < 0)
			return len;
		off += len;
		cond_resched();
	}
	if (off != rec->len)
		return -EINVAL;
	txn->zxid = rec->zxid;
	txn->time = rec->time;
	txn->flags = rec->flags;
	txn->n_ops = rec->n_ops;
	txn->ops = ops->ops;
	return rec->len;
}

int zkern_node_parse(const void *at, u32 left, struct zkern_load_node *node)
{
	const struct zkern_node *rec = at;
	struct zk_view *view = &node->view;
	const u8 *tail;

	if (left < sizeof(*rec) || rec->flags)
		return -EINVAL;
	tail = record_tail(at, left, sizeof(*rec), rec->len, rec->path_len, rec->data_len,
			   rec->acl_len);
	if (!tail)
		return -EINVAL;
	memset(node, 0, sizeof(*node));
	node->path = (const char *)tail;
	node->path_len = rec->path_len;
	tail += rec->path_len;
	view->data_len = rec->data_len;
	view->data = rec->data_len > 0 ? tail : NULL;
	view->crc = rec->crc;
	node->acl = tail + max(rec->data_len, 0);
	node->acl_len = rec->acl_len;
	view->stat.czxid = rec->stat.czxid;
	view->stat.mzxid = rec->stat.mzxid;
	view->stat.pzxid = rec->stat.pzxid;
	view->stat.ctime = rec->stat.ctime;
	view->stat.mtime = rec->stat.mtime;
	view->stat.version = rec->stat.version;
	view->stat.cversion = rec->stat.cversion_stored;
	view->stat.aversion = rec->stat.aversion;
	view->stat.owner = rec->stat.owner_stored;
	return rec->len;
}

void zkern_ops_trim(struct zkern_ops *ops)
{
	if (ops->cap > OPS_KEEP)
		zkern_ops_free(ops);
}

void zkern_ops_free(struct zkern_ops *ops)
{
	kvfree(ops->ops);
	ops->ops = NULL;
	ops->cap = 0;
}
