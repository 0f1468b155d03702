// SPDX-License-Identifier: GPL-2.0-or-later
/* See model.h. */
#include <asm/unaligned.h>
#include <linux/crc32.h>

#include "model.h"

void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	m->n = 1;
	m->node[0].used = true;
	m->node[0].path[0] = '/';
	m->node[0].path_len = 1;
}

struct model_node *model_find(struct model *m, const char *path, u32 len)
{
	u32 i;

	for (i = 0; i < MODEL_NODES; i++)
		if (m->node[i].used && m->node[i].path_len == len &&
		    !memcmp(m->node[i].path, path, len))
			return &m->node[i];
	return NULL;
}

/* Bytes of the path's parent; 1 for a child of the root; 0 if it has none. */
static u32 parent_len(const char *path, u32 len)
{
	u32 n = len;

	if (len < 2 || path[0] != '/')
		return 0;
	while (path[n - 1] != '/')
		n--;
	return n == 1 ? 1 : n - 1;
}

static struct model_node *parent_of(struct model *m, const char *path, u32 len)
{
	return model_find(m, path, parent_len(path, len));
}

static bool is_child(const struct model_node *node, const struct model_node *of)
{
	u32 len = parent_len(node->path, node->path_len);

	return node->used && len && len == of->path_len && !memcmp(node->path, of->path, len);
}

static bool is_below(const struct model_node *node, const struct model_node *top)
{
	return node->used && node->path_len > top->path_len &&
	       !memcmp(node->path, top->path, top->path_len) &&
	       node->path[top->path_len] == '/';
}

static s32 children_of(struct model *m, const struct model_node *node)
{
	s32 n = 0;
	u32 i;

	for (i = 0; i < MODEL_NODES; i++)
		n += is_child(&m->node[i], node);
	return n;
}

static int acl_of(const struct zk_op *op)
{
	u32 i;

	for (i = 0; i < ZT_ACLS; i++)
		if (zt_acls[i].len == op->acl_len &&
		    !memcmp(zt_acls[i].jute, op->acl, op->acl_len))
			return i;
	return -1;
}

static void set_bytes(struct model_node *node, const struct zk_op *op)
{
	node->data_len = op->data_len;
	if (op->data_len > 0)
		memcpy(node->data, op->data, op->data_len);
}

static void bump_parent(struct model_node *parent, s32 pcversion, u64 zxid)
{
	if (pcversion == -1)
		pcversion = parent->stat.cversion + 1;
	if (pcversion > parent->stat.cversion) {
		parent->stat.cversion = pcversion;
		parent->stat.pzxid = zxid;
	}
}

static int do_create(struct model *m, const struct zk_txn *txn, const struct zk_op *op)
{
	bool replay = txn->flags & ZK_TXN_REPLAY;
	struct model_node *parent, *node;
	u32 i;

	node = model_find(m, op->path, op->path_len);
	if (node && node->path_len == 1)
		return replay ? 0 : -EEXIST;
	parent = parent_of(m, op->path, op->path_len);
	if (!parent)
		return replay ? 0 : -ENOENT;
	if (node) {
		if (!replay)
			return -EEXIST;
		node->acl = acl_of(op);
		bump_parent(parent, op->pcversion, txn->zxid);
		return 0;
	}
	/* Below ephemerals nothing is created; no server proposes it. */
	if (parent->stat.owner && parent->stat.owner < ZK_OWNER_CONTAINER)
		return -ENOSPC;
	for (i = 0; i < MODEL_NODES && m->node[i].used; i++)
		;
	if (i == MODEL_NODES || op->path_len > MODEL_PATH)
		return -ENOSPC;
	node = &m->node[i];
	memset(node, 0, sizeof(*node));
	node->used = true;
	node->born = ++m->births;
	node->path_len = op->path_len;
	memcpy(node->path, op->path, op->path_len);
	set_bytes(node, op);
	node->acl = acl_of(op);
	node->stat.czxid = txn->zxid;
	node->stat.mzxid = txn->zxid;
	node->stat.pzxid = txn->zxid;
	node->stat.ctime = txn->time;
	node->stat.mtime = txn->time;
	node->stat.owner = op->owner;
	bump_parent(parent, op->pcversion, txn->zxid);
	m->n++;
	return 0;
}

static void leave(struct model *m, struct model_node *node, u64 zxid)
{
	struct model_node *parent = parent_of(m, node->path, node->path_len);

	if (zxid > parent->stat.pzxid)
		parent->stat.pzxid = zxid;
	node->used = false;
	m->n--;
}

static int do_delete(struct model *m, const struct zk_txn *txn, const struct zk_op *op)
{
	struct model_node *node = model_find(m, op->path, op->path_len);
	struct model_node *parent = parent_of(m, op->path, op->path_len);
	bool replay = txn->flags & ZK_TXN_REPLAY;
	u32 i;

	if (op->path_len == 1)
		return -EINVAL;
	if (!node) {
		if (!replay)
			return -ENOENT;
		if (parent && txn->zxid > parent->stat.pzxid)
			parent->stat.pzxid = txn->zxid;
		return 0;
	}
	if (children_of(m, node)) {
		if (!replay)
			return -ENOTEMPTY;
		for (i = 0; i < MODEL_NODES; i++) {
			if (is_below(&m->node[i], node)) {
				m->node[i].used = false;
				m->n--;
			}
		}
	}
	leave(m, node, txn->zxid);
	return 0;
}

static int do_set(struct model *m, const struct zk_txn *txn, const struct zk_op *op)
{
	struct model_node *node = model_find(m, op->path, op->path_len);

	if (!node)
		return txn->flags & ZK_TXN_REPLAY ? 0 : -ENOENT;
	if (op->type == ZK_OP_SETACL) {
		node->acl = acl_of(op);
		node->stat.aversion = op->version;
		return 0;
	}
	set_bytes(node, op);
	node->stat.version = op->version;
	node->stat.mzxid = txn->zxid;
	node->stat.mtime = txn->time;
	return 0;
}

static int do_close(struct model *m, const struct zk_txn *txn, const struct zk_op *op,
		    struct zk_link_result *res)
{
	struct model_node *node;
	u32 i;

	for (i = 0; i < MODEL_NODES; i++) {
		node = &m->node[i];
		if (!node->used || node->stat.owner != op->owner)
			continue;
		leave(m, node, txn->zxid);
		res->closed++;
	}
	return 0;
}

int model_apply(struct model *m, const struct zk_txn *txn, struct zk_link_result *res)
{
	const struct zk_op *op;
	u32 i;
	int err;

	memset(res, 0, sizeof(*res));
	for (i = 0; i < txn->n_ops; i++) {
		op = &txn->ops[i];
		switch (op->type) {
		case ZK_OP_CREATE:
			err = do_create(m, txn, op);
			break;
		case ZK_OP_DELETE:
			err = do_delete(m, txn, op);
			break;
		case ZK_OP_SETDATA:
		case ZK_OP_SETACL:
			err = do_set(m, txn, op);
			break;
		default:
			err = do_close(m, txn, op, res);
		}
		if (err) {
			res->failed_op = i;
			return err;
		}
	}
	m->zxid = txn->zxid;
	return 0;
}

static u32 digest_of(const struct model_node *node)
{
	const struct zk_stat *st = &node->stat;
	u32 crc = ~0U;
	u8 b[60];

	if (node->path_len > 11 && !memcmp(node->path, "/zookeeper/", 11))
		return 0;
	if (node->path_len > 1)
		crc = crc32_le(crc, (const u8 *)node->path, node->path_len);
	if (node->data_len > 0)
		crc = crc32_le(crc, node->data, node->data_len);
	put_unaligned_be64(st->czxid, b);
	put_unaligned_be64(st->mzxid, b + 8);
	put_unaligned_be64(st->pzxid, b + 16);
	put_unaligned_be64(st->ctime, b + 24);
	put_unaligned_be64(st->mtime, b + 32);
	put_unaligned_be32(st->version, b + 40);
	put_unaligned_be32(st->cversion, b + 44);
	put_unaligned_be32(st->aversion, b + 48);
	put_unaligned_be64(st->owner, b + 52);
	return ~crc32_le(crc, b, sizeof(b));
}

u64 model_digest(struct model *m)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < MODEL_NODES; i++)
		if (m->node[i].used)
			sum += digest_of(&m->node[i]);
	return sum;
}

static void compare_node(struct model *m, struct model_node *want, struct zk_tree *tree)
{
	struct zk_node *node = zk_lookup(tree, want->path, want->path_len, m->zxid);
	struct zk_stat *st = &want->stat;
	struct zk_view v;
	char path[MODEL_PATH];

	if (!zt_check(node) || !zt_check(zk_view(node, m->zxid, &v)))
		return;
	zt_equal(v.stat.czxid, st->czxid);
	zt_equal(v.stat.mzxid, st->mzxid);
	zt_equal(v.stat.pzxid, st->pzxid);
	zt_equal(v.stat.ctime, st->ctime);
	zt_equal(v.stat.mtime, st->mtime);
	zt_equal(v.stat.version, st->version);
	zt_equal(v.stat.cversion, st->cversion);
	zt_equal(v.stat.aversion, st->aversion);
	zt_equal(v.stat.owner, st->owner);
	zt_equal(v.stat.num_children, children_of(m, want));
	zt_equal(v.data_len, want->data_len);
	zt_check(want->data_len <= 0 ? !v.data :
		 v.data && !memcmp(v.data, want->data, want->data_len));
	zt_check(v.acl->len == zt_acls[want->acl].len &&
		 !memcmp(v.acl->jute, zt_acls[want->acl].jute, v.acl->len));
	zt_equal(v.acl->world, zt_acls[want->acl].world);
	zt_check(zk_acl_by_id(tree, v.acl->id) == v.acl);
	zt_equal(zk_path(node, path, sizeof(path)), want->path_len);
	zt_check(!memcmp(path, want->path, want->path_len));
}

/* The model's child that was born first after @after. */
static struct model_node *next_child(struct model *m, struct model_node *parent, u64 after)
{
	struct model_node *next = NULL;
	u32 i;

	for (i = 0; i < MODEL_NODES; i++)
		if (is_child(&m->node[i], parent) && m->node[i].born > after &&
		    (!next || m->node[i].born < next->born))
			next = &m->node[i];
	return next;
}

static void compare_children(struct model *m, struct model_node *parent,
			     struct zk_tree *tree)
{
	struct zk_node *node = zk_lookup(tree, parent->path, parent->path_len, m->zxid);
	struct model_node *want = next_child(m, parent, 0);

	if (!zt_check(node))
		return;
	for (node = zk_first_child(node, m->zxid); node;
	     node = zk_next_child(node, m->zxid)) {
		if (!zt_check(want))
			return;
		zt_check(zk_lookup(tree, want->path, want->path_len, m->zxid) == node);
		want = next_child(m, parent, want->born);
	}
	zt_check(!want);
}

/* Every node that the tree lists for @owner is the model's, and as many. */
static void compare_owned(struct model *m, struct zk_tree *tree, u64 owner, bool timed)
{
	struct zk_node *node = timed ? zk_first_timed(tree, m->zxid) :
				       zk_first_owned(tree, owner, m->zxid);
	struct model_node *want;
	char path[MODEL_PATH];
	u32 n = 0, i, len;

	while (node) {
		len = zk_path(node, path, sizeof(path));
		want = model_find(m, path, len);
		zt_check(want && (timed ? want->stat.owner >= ZK_OWNER_CONTAINER :
					  want->stat.owner == owner));
		n++;
		node = timed ? zk_next_timed(node, m->zxid) : zk_next_owned(node, m->zxid);
	}
	for (i = 0; i < MODEL_NODES; i++) {
		want = &m->node[i];
		if (want->used && want->stat.owner &&
		    (timed ? want->stat.owner >= ZK_OWNER_CONTAINER :
			     want->stat.owner == owner))
			n--;
	}
	zt_equal(n, 0);
}

void model_compare(struct model *m, struct zk_tree *tree)
{
	u64 owner;
	u32 i;

	rcu_read_lock();
	for (i = 0; i < MODEL_NODES; i++) {
		if (!m->node[i].used)
			continue;
		compare_node(m, &m->node[i], tree);
		compare_children(m, &m->node[i], tree);
	}
	for (owner = 1; owner < 8; owner++)
		compare_owned(m, tree, owner, false);
	compare_owned(m, tree, 0, true);
	rcu_read_unlock();
}
