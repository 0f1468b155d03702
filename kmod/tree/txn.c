// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transactions: ZooKeeper's DataTree.processTxn() and what it calls (createNode,
 * deleteNode, setData, setACL, killSession), as steps that can be taken back.
 *
 * With ZK_TXN_REPLAY an operation that cannot be done is passed over as DataTree
 * does it, since the snapshot that is replayed over may hold the outcome of later
 * transactions already. Two things DataTree does not do as one would expect are
 * done as its history must have been: a node that is deleted while it still has
 * children takes them along (it was empty when it was deleted; the children came
 * later and come again), and the parent's counters are mended after every kind of
 * create that finds its node (DataTree leaves create2, createTTL, createContainer
 * out).
 *
 * Locking: zk_tree_link() takes the writer lock; zk_tree_publish(),
 * zk_tree_abort() or a link that fails give it back.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "internal.h"

/* ------------------------------------------------------------ create */

/*
 * DataTree.createNode() and setCversionPzxid(): only forward, so that a replay
 * does not revert what a later transaction made of it.
 */
static void forward_cversion(struct zk_tree *tree, struct zk_dirver *ver, s32 cversion)
{
	if (cversion == -1)
		cversion = (s32)((u32)ver->cversion + 1);
	if (cversion > ver->cversion) {
		ver->cversion = cversion;
		ver->pzxid = tree->link_zxid;
	}
}

/* Replay: the node is there already. */
static int recreate(struct zk_tree *tree, struct zk_node *node, const struct zk_op *op)
{
	struct zk_dirver *ver;
	int err;

	err = zk_add_acl(tree, node, op, NULL);
	if (!err)
		err = zk_change_dir(tree, node->parent, &ver);
	if (!err)
		forward_cversion(tree, ver, op->pcversion);
	return err;
}

/* A node with all that it needs to be hooked in, or nothing. */
static int node_make(struct zk_tree *tree, const struct zk_op *op, const char *name,
		     u32 name_len, struct zk_node **out)
{
	struct zk_acl_ref *acl;
	struct zk_birth *birth;
	struct zk_owner *home;
	struct zk_node *node;
	int err;

	err = zk_acl_get(&tree->acls, &tree->mem, op->acl, op->acl_len, &acl);
	if (err)
		return err;
	err = -ENOMEM;
	birth = zk_birth_new(&tree->mem, op->data, op->data_len, op->crc);
	if (!birth)
		goto put_acl;
	node = zk_node_new(&tree->mem, name, name_len, op->owner);
	if (!node)
		goto free_birth;
	if (op->owner) {
		home = zk_owner_get(tree, op->owner);
		if (!home)
			goto free_node;
		zk_owned_of(node)->home = home;
	}
	node->czxid = tree->link_zxid;
	node->ctime = tree->link_time;
	RCU_INIT_POINTER(node->data, zk_tagged(birth, ZK_TAG_BIRTH));
	RCU_INIT_POINTER(node->acl, zk_tagged(acl, ZK_TAG_ACL));
	*out = node;
	return 0;

free_node:
	zk_node_free(&tree->mem, node);
free_birth:
	zk_data_free(&tree->mem, zk_tagged(birth, ZK_TAG_BIRTH));
put_acl:
	zk_acl_put(&tree->acls, acl, tree->unlinked.pos);
	return err;
}

static int create(struct zk_tree *tree, const struct zk_op *op)
{
	struct zk_node *parent, *node;
	struct zk_dirver *ver;
	const char *name;
	u32 name_len, hash;
	int err;

	if (op->path_len == 1 && op->path[0] == '/')
		return tree->link_replay ? 0 : -EEXIST;
	err = zk_place(tree, op->path, op->path_len, &parent, &name, &name_len);
	if (err)
		return err == -ENOENT && tree->link_replay ? 0 : err;
	hash = zk_path_hash(tree, op->path, op->path_len);
	node = zk_find_hash(tree, op->path, op->path_len, hash);
	if (node)
		return tree->link_replay ? recreate(tree, node, op) : -EEXIST;

	err = zk_change_dir(tree, parent, &ver);
	if (!err)
		err = zk_step_reserve(tree);
	if (!err)
		err = node_make(tree, op, name, name_len, &node);
	if (err)
		return err;
	zk_attach(tree, parent, node, zk_chars(op->path, op->path_len), hash);
	forward_cversion(tree, ver, op->pcversion);
	ver->num_children++;
	zk_node_mark(node, ZK_NODE_TOUCHED);
	zk_step_note(tree, ZK_STEP_NODE, node, NULL);
	err = zk_quota_created(tree, node);
	return err ? err : zk_quota_count(tree, node, 1, max_t(s32, op->data_len, 0));
}

/* ------------------------------------------------------------ delete */

/* Before @node's data goes, which may be the stats of a quota. */
static int flush_for(struct zk_tree *tree, const struct zk_node *node)
{
	return zk_node_meta(node) & ZK_NODE_NO_DIGEST ? zk_quota_flush(tree) : 0;
}

/* DataTree.deleteNode(): the parent's pzxid moves even if the child is not there. */
static int leave_parent(struct zk_tree *tree, struct zk_node *parent, s32 children)
{
	struct zk_dirver *ver;
	int err;

	err = zk_change_dir(tree, parent, &ver);
	if (err)
		return err;
	ver->num_children -= children;
	if (tree->link_zxid > ver->pzxid)
		ver->pzxid = tree->link_zxid;
	return 0;
}

static int delete_leaf(struct zk_tree *tree, struct zk_node *node)
{
	s32 len;
	int err;

	err = flush_for(tree, node);
	len = zk_data_len(tree, node);
	if (!err)
		err = leave_parent(tree, node->parent, 1);
	if (!err)
		err = zk_add_tomb(tree, node);
	if (err)
		return err;
	zk_owner_count(tree, node, false);
	tree->next.limits -= zk_quota_is_limits(node);
	tree->next.nodes--;
	tree->next.data_bytes -= zk_path_chars(node) + len;
	return zk_quota_count(tree, node, -1, -len);
}

/* The first leaf below @node in the writer's view, itself if it has no children. */
static struct zk_node *first_leaf(struct zk_node *node)
{
	struct zk_node *child;

	rcu_read_lock();
	while ((child = zk_first_child(node, ZK_ZXID_LATEST)))
		node = child;
	rcu_read_unlock();
	return node;
}

static struct zk_node *sibling_after(struct zk_node *node)
{
	struct zk_node *next;

	rcu_read_lock();
	next = zk_next_child(node, ZK_ZXID_LATEST);
	rcu_read_unlock();
	return next;
}

/*
 * Children before their parent; a node is left only when what follows is known,
 * so that the deleted ones are not met again.
 */
static int delete_all(struct zk_tree *tree, struct zk_node *top)
{
	struct zk_node *node = first_leaf(top), *next;
	int err;

	while (node != top) {
		next = sibling_after(node);
		next = next ? first_leaf(next) : node->parent;
		err = delete_leaf(tree, node);
		if (err)
			return err;
		node = next;
		cond_resched();
	}
	return delete_leaf(tree, top);
}

static bool has_children(const struct zk_node *node)
{
	const struct zk_dirver *ver;
	bool has;

	rcu_read_lock();
	ver = zk_dir_at(node, ZK_ZXID_LATEST);
	has = ver && ver->num_children;
	rcu_read_unlock();
	return has;
}

static int delete(struct zk_tree *tree, const struct zk_op *op)
{
	struct zk_node *parent, *node;
	const char *name;
	u32 name_len;
	int err;

	err = zk_place(tree, op->path, op->path_len, &parent, &name, &name_len);
	if (err)
		return err == -ENOENT && tree->link_replay ? 0 : err;
	node = zk_find(tree, op->path, op->path_len);
	if (!node)
		return tree->link_replay ? leave_parent(tree, parent, 0) : -ENOENT;
	if (!has_children(node))
		return delete_leaf(tree, node);
	return tree->link_replay ? delete_all(tree, node) : -ENOTEMPTY;
}

/*
 * DataTree.killSession(). An ephemeral has no children unless a log that never
 * came from a leader says so; then they go with it.
 */
static int close_session(struct zk_tree *tree, const struct zk_op *op, u32 *closed)
{
	struct zk_owner *owner;
	struct zk_owned *owned;
	struct zk_node *node;
	int err;

	rcu_read_lock();
	owner = zk_owner_find(tree, op->owner);
	rcu_read_unlock();
	if (!owner)
		return 0;
	/* Deleted nodes stay on the list: nobody else takes them off meanwhile. */
	list_for_each_entry(owned, &owner->nodes, link) {
		node = zk_node_of_owned(owned);
		if (!zk_live(tree, node))
			continue;
		err = delete_all(tree, node);
		if (err)
			return err;
		(*closed)++;
		cond_resched();
	}
	return 0;
}

/* ------------------------------------------------------------ set */

static int set_data(struct zk_tree *tree, const struct zk_op *op)
{
	struct zk_node *node = zk_find(tree, op->path, op->path_len);
	s32 len;
	int err;

	if (!node)
		return tree->link_replay ? 0 : -ENOENT;
	err = flush_for(tree, node);
	len = zk_data_len(tree, node);
	if (!err)
		err = zk_add_data(tree, node, op);
	return err ? err : zk_quota_count(tree, node, 0, max_t(s32, op->data_len, 0) - len);
}

static int set_acl(struct zk_tree *tree, const struct zk_op *op)
{
	struct zk_node *node = zk_find(tree, op->path, op->path_len);

	if (!node)
		return tree->link_replay ? 0 : -ENOENT;
	return zk_add_acl(tree, node, op, &op->version);
}

/* ------------------------------------------------------------ transactions */

static int do_op(struct zk_tree *tree, const struct zk_op *op, struct zk_link_result *res)
{
	if (op->data_len < -1 || op->data_len > ZK_DATA_MAX)
		return -EINVAL;
	switch (op->type) {
	case ZK_OP_CREATE:
		return create(tree, op);
	case ZK_OP_DELETE:
		return delete(tree, op);
	case ZK_OP_SETDATA:
		return set_data(tree, op);
	case ZK_OP_SETACL:
		return set_acl(tree, op);
	case ZK_OP_CLOSE:
		return close_session(tree, op, &res->closed);
	}
	return -EINVAL;
}

/* ZK_TXN_ASIDE: nothing that a digest, or a list, would tell of. */
static bool may_be_aside(const struct zk_txn *txn)
{
	static const char below[] = "/zookeeper/";
	u32 i;

	for (i = 0; i < txn->n_ops; i++)
		if (txn->ops[i].type != ZK_OP_SETDATA ||
		    txn->ops[i].path_len < sizeof(below) ||
		    memcmp(txn->ops[i].path, below, sizeof(below) - 1))
			return false;
	return true;
}

static bool may_link(const struct zk_tree *tree, const struct zk_txn *txn)
{
	if (txn->flags & ZK_TXN_ASIDE)
		return may_be_aside(txn);
	if (txn->zxid == ZK_ZXID_LATEST)
		return false;
	/* A tree that is being loaded takes what the log has. */
	return txn->zxid > tree->zxid || (!tree->live && txn->flags & ZK_TXN_REPLAY);
}

static int link_ops(struct zk_tree *tree, const struct zk_txn *txn,
		    struct zk_link_result *res)
{
	int err;

	if (!may_link(tree, txn))
		return -EINVAL;
	err = zk_quota_load(tree);
	if (err)
		return err;
	tree->link_aside = txn->flags & ZK_TXN_ASIDE;
	tree->link_zxid = tree->link_aside ? tree->zxid : txn->zxid;
	tree->link_mzxid = txn->zxid;
	tree->link_time = txn->time;
	tree->link_replay = txn->flags & ZK_TXN_REPLAY;
	tree->next = tree->now;
	tree->load_parent = NULL;	/* it may go */
	tree->acl_mark = tree->acls.next_id;
	tree->quota_due.stats = NULL;
	for (res->failed_op = 0; res->failed_op < txn->n_ops; res->failed_op++) {
		err = do_op(tree, &txn->ops[res->failed_op], res);
		if (err) {
			zk_undo_all(tree);
			return err;
		}
		cond_resched();
	}
	res->failed_op = 0;
	err = zk_quota_flush(tree);
	if (err) {
		zk_undo_all(tree);
		return err;
	}
	zk_steps_digest(tree);
	res->digest = tree->next.digest;
	return 0;
}

int zk_tree_link(struct zk_tree *tree, const struct zk_txn *txn, struct zk_link_result *res)
{
	int err;

	might_sleep();
	memset(res, 0, sizeof(*res));
	zk_reclaim_throttle(tree);
	mutex_lock(&tree->lock);
	err = link_ops(tree, txn, res);
	if (err) {
		res->closed = 0;
		mutex_unlock(&tree->lock);
	}
	return err;
}

void zk_tree_publish(struct zk_tree *tree)
{
	unsigned int steps = 2 * tree->created + 2;

	lockdep_assert_held(&tree->lock);
	if (!tree->link_replay && !tree->link_aside)
		tree->live = true;
	spin_lock(&tree->pin_lock);
	tree->now = tree->next;
	/* Pairs with zk_tree_zxid(). */
	smp_store_release(&tree->zxid, tree->link_zxid);
	spin_unlock(&tree->pin_lock);

	zk_retire_all(tree);
	zk_index_grow(&tree->nodes, steps);
	zk_index_grow(&tree->owners, steps);
	zk_acls_grow(&tree->acls, steps);
	zk_reclaim_kick(tree);
	mutex_unlock(&tree->lock);
}

void zk_tree_abort(struct zk_tree *tree)
{
	lockdep_assert_held(&tree->lock);
	zk_undo_all(tree);
	mutex_unlock(&tree->lock);
}

int zk_tree_apply(struct zk_tree *tree, const struct zk_txn *txn, struct zk_link_result *res)
{
	int err = zk_tree_link(tree, txn, res);

	if (!err)
		zk_tree_publish(tree);
	return err;
}
