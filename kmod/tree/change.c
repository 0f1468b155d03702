// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The steps that transactions are made of: finding a node in the writer's view,
 * adding a version to one of its chains, hooking a node in and out.
 *
 * Each step first gets all the memory it needs, then links, then is noted (undo.c);
 * it happens whole or not at all. What a step adds carries the transaction's zxid,
 * which no reader looks at before it is published.
 *
 * Locking: the writer lock is held throughout.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/rculist.h>
#include <linux/string.h>

#include "internal.h"

/* ------------------------------------------------------------ finding */

struct zk_node *zk_find(struct zk_tree *tree, const char *path, size_t len)
{
	struct zk_node *node;

	lockdep_assert_held(&tree->lock);
	/* What exists in the writer's view is not freed while the lock is held. */
	rcu_read_lock();
	node = zk_lookup(tree, path, len, ZK_ZXID_LATEST);
	rcu_read_unlock();
	return node;
}

struct zk_node *zk_find_hash(struct zk_tree *tree, const char *path, size_t len, u32 hash)
{
	struct zk_node *node;

	lockdep_assert_held(&tree->lock);
	if (zk_index_lacks(&tree->nodes, hash))
		return NULL;
	rcu_read_lock();
	node = zk_lookup_hash(tree, path, len, hash, ZK_ZXID_LATEST);
	rcu_read_unlock();
	return node;
}

bool zk_live(struct zk_tree *tree, const struct zk_node *node)
{
	bool live;

	lockdep_assert_held(&tree->lock);
	rcu_read_lock();
	live = zk_node_exists(node, ZK_ZXID_LATEST);
	rcu_read_unlock();
	return live;
}

int zk_place(struct zk_tree *tree, const char *path, size_t len, struct zk_node **parent,
	     const char **name, u32 *name_len)
{
	size_t slash = len;

	if (!len || len > ZK_PATH_MAX || path[0] != '/')
		return -EINVAL;
	while (path[slash - 1] != '/')
		slash--;
	/* An empty name, or "//name": the parent of "/name" is "", never "/". */
	if (slash == len || slash == 2)
		return -EINVAL;
	*name = path + slash;
	*name_len = len - slash;
	/* Most nodes that are loaded come after a sibling. */
	if (tree->load_parent && zk_path_is(tree->load_parent, path, slash - 1))
		*parent = tree->load_parent;
	else
		*parent = slash == 1 ? tree->root : zk_find(tree, path, slash - 1);
	return *parent ? 0 : -ENOENT;
}

static struct zk_dirver *top_dirver(struct zk_tree *tree, struct zk_node *node)
{
	struct zk_dir *dir = zk_deref(tree, node->dir);

	return dir ? zk_deref(tree, dir->top) : NULL;
}

/* ------------------------------------------------------------ single steps */

/* Takes a node's old value out of the digest, once in a transaction. */
static int touch(struct zk_tree *tree, struct zk_node *node)
{
	int err;

	if (zk_node_meta(node) & ZK_NODE_TOUCHED)
		return 0;
	err = zk_step_reserve(tree);
	if (err)
		return err;
	rcu_read_lock();
	tree->next.digest -= zk_node_digest(node, ZK_ZXID_LATEST);
	rcu_read_unlock();
	zk_node_mark(node, ZK_NODE_TOUCHED);
	zk_step_note(tree, ZK_STEP_TOUCH, node, NULL);
	return 0;
}

static int add_dir(struct zk_tree *tree, struct zk_node *node)
{
	struct zk_dir *dir;
	int err;

	if (zk_deref(tree, node->dir))
		return 0;
	err = zk_step_reserve(tree);
	if (err)
		return err;
	dir = zk_dir_new(&tree->mem);
	if (!dir)
		return -ENOMEM;
	rcu_assign_pointer(node->dir, dir);
	zk_step_note(tree, ZK_STEP_DIR, node, NULL);
	return 0;
}

int zk_change_dir(struct zk_tree *tree, struct zk_node *node, struct zk_dirver **out)
{
	struct zk_dirver *old, *ver;
	int err;

	err = touch(tree, node);
	if (!err)
		err = add_dir(tree, node);
	if (err)
		return err;
	old = top_dirver(tree, node);
	*out = old;
	if (zk_node_meta(node) & ZK_NODE_DIR_TOUCHED)
		return 0;
	err = zk_step_reserve(tree);
	if (err)
		return err;
	ver = zk_dirver_new(&tree->mem);
	if (!ver)
		return -ENOMEM;
	RCU_INIT_POINTER(ver->ver.older, old);
	ver->ver.zxid = tree->link_zxid;
	ver->pzxid = old ? old->pzxid : node->czxid;
	ver->cversion = old ? old->cversion : 0;
	ver->num_children = old ? old->num_children : 0;
	rcu_assign_pointer(zk_deref(tree, node->dir)->top, ver);
	zk_node_mark(node, ZK_NODE_DIR_TOUCHED);
	zk_step_note(tree, ZK_STEP_DIRVER, node, ver);
	*out = ver;
	return 0;
}

int zk_add_tomb(struct zk_tree *tree, struct zk_node *node)
{
	struct zk_ver *tomb;
	int err;

	err = touch(tree, node);
	if (!err)
		err = zk_step_reserve(tree);
	if (err)
		return err;
	tomb = zk_tomb_new(&tree->mem);
	if (!tomb)
		return -ENOMEM;
	RCU_INIT_POINTER(tomb->older, zk_deref(tree, node->data));
	tomb->zxid = tree->link_zxid;
	rcu_assign_pointer(node->data, zk_tagged(tomb, ZK_TAG_TOMB));
	zk_step_note(tree, ZK_STEP_TOMB, node, tomb);
	return 0;
}

int zk_add_acl(struct zk_tree *tree, struct zk_node *node, const struct zk_op *op,
	       const s32 *aversion)
{
	void *old = zk_deref(tree, node->acl);
	struct zk_acl_ref *acl;
	struct zk_aclver *ver;
	int err;

	err = touch(tree, node);
	if (!err)
		err = zk_step_reserve(tree);
	if (!err)
		err = zk_acl_get(&tree->acls, &tree->mem, op->acl, op->acl_len, &acl);
	if (err)
		return err;
	ver = zk_aclver_new(&tree->mem);
	if (!ver) {
		zk_acl_put(&tree->acls, acl, tree->unlinked.pos);
		return -ENOMEM;
	}
	RCU_INIT_POINTER(ver->ver.older, old);
	ver->ver.zxid = tree->link_zxid;
	ver->acl = acl;
	if (aversion)
		ver->aversion = *aversion;
	else
		ver->aversion = zk_tag_of(old) == ZK_TAG_ACL ? 0 :
				((struct zk_aclver *)old)->aversion;
	rcu_assign_pointer(node->acl, (void *)ver);
	zk_step_note(tree, ZK_STEP_ACL, node, ver);
	return 0;
}

s32 zk_data_len(struct zk_tree *tree, const struct zk_node *node)
{
	const void *p = zk_deref(tree, node->data);

	if (zk_tag_of(p) == ZK_TAG_BIRTH)
		return max_t(s32, ((struct zk_birth *)zk_untag(p))->len, 0);
	return max_t(s32, ((struct zk_data *)p)->len, 0);
}

int zk_add_data(struct zk_tree *tree, struct zk_node *node, const struct zk_op *op)
{
	struct zk_data *data;
	int err;

	err = touch(tree, node);
	if (!err)
		err = zk_step_reserve(tree);
	if (err)
		return err;
	data = zk_data_new(&tree->mem, op->data, op->data_len, op->crc);
	if (!data)
		return -ENOMEM;
	RCU_INIT_POINTER(data->ver.older, zk_deref(tree, node->data));
	data->ver.zxid = tree->link_zxid;
	data->mzxid = tree->link_mzxid;
	data->mtime = tree->link_time;
	data->version = op->version;
	tree->next.data_bytes += max_t(s32, op->data_len, 0) - zk_data_len(tree, node);
	rcu_assign_pointer(node->data, (void *)data);
	zk_step_note(tree, ZK_STEP_DATA, node, data);
	return 0;
}

int zk_add_bytes(struct zk_tree *tree, struct zk_node *node, const void *bytes, u32 len,
		 u32 crc)
{
	struct zk_data *data;
	struct zk_view view;
	int err;

	err = touch(tree, node);
	if (!err)
		err = zk_step_reserve(tree);
	if (err)
		return err;
	rcu_read_lock();
	err = zk_view(node, ZK_ZXID_LATEST, &view) ? 0 : -ENOENT;
	rcu_read_unlock();
	if (err)
		return err;
	data = zk_data_new(&tree->mem, bytes, len, crc);
	if (!data)
		return -ENOMEM;
	RCU_INIT_POINTER(data->ver.older, zk_deref(tree, node->data));
	data->ver.zxid = tree->link_zxid;
	data->mzxid = view.stat.mzxid;
	data->mtime = view.stat.mtime;
	data->version = view.stat.version;
	tree->next.data_bytes += (s32)len - zk_data_len(tree, node);
	rcu_assign_pointer(node->data, (void *)data);
	zk_step_note(tree, ZK_STEP_DATA, node, data);
	return 0;
}

/* ------------------------------------------------------------ nodes */

/* Is it /zookeeper, what is below which no digest counts? */
static bool is_proc(const struct zk_tree *tree, const struct zk_node *node)
{
	return node->parent == tree->root && zk_name_len(node) == 9 &&
	       !memcmp(node->name, "zookeeper", 9);
}

void zk_attach(struct zk_tree *tree, struct zk_node *parent, struct zk_node *node,
	       size_t chars, u32 hash)
{
	struct zk_owned *owned;

	node->parent = parent;
	node->hash.hash = hash;
	if (zk_node_meta(parent) & ZK_NODE_NO_DIGEST || is_proc(tree, parent))
		node->hash.meta |= ZK_NODE_NO_DIGEST;
	list_add_tail_rcu(&node->sibling, &zk_deref(tree, parent->dir)->children);
	if (zk_node_meta(node) & ZK_NODE_OWNED) {
		owned = zk_owned_of(node);
		list_add_tail_rcu(&owned->link, &owned->home->nodes);
	}
	zk_index_insert(&tree->nodes, &node->hash);
	zk_owner_count(tree, node, true);
	tree->next.limits += zk_quota_is_limits(node);
	tree->next.nodes++;
	tree->next.data_bytes += chars + zk_data_len(tree, node);
}

void zk_detach(struct zk_tree *tree, struct zk_node *node, u64 at)
{
	struct zk_owned *owned;

	zk_index_remove(&tree->nodes, &node->hash);
	list_del_rcu(&node->sibling);
	if (zk_node_meta(node) & ZK_NODE_OWNED) {
		owned = zk_owned_of(node);
		list_del_rcu(&owned->link);
		zk_owner_put(tree, owned->home, at);
	}
}
