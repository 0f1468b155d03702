// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Filling a tree from a snapshot, before anybody can find it: nodes come with their
 * whole stat and are visible at every zxid (ZK_NODE_LOADED, ZK_BASE). Nothing is
 * superseded and nobody reads, so that changes are made in place.
 *
 * Locking: takes the writer lock, for the sake of its checks.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/rculist.h>

#include "internal.h"

/* What a node is made of; all of it is there before anything is linked. */
struct parts {
	struct zk_acl_ref *acl;
	void *data;		/* tagged */
	struct zk_aclver *aclver;
	struct zk_dir *dir;
	struct zk_dirver *dirver;
	struct zk_node *node;
};

static void *data_from(struct zk_mem *mem, const struct zk_view *view)
{
	const struct zk_stat *st = &view->stat;
	struct zk_birth *birth;
	struct zk_data *data;

	if (!st->version && st->mzxid == st->czxid && st->mtime == st->ctime) {
		birth = zk_birth_new(mem, view->data, view->data_len, view->crc);
		return birth ? zk_tagged(birth, ZK_TAG_BIRTH) : NULL;
	}
	data = zk_data_new(mem, view->data, view->data_len, view->crc);
	if (!data)
		return NULL;
	RCU_INIT_POINTER(data->ver.older, ZK_BASE);
	data->ver.zxid = st->mzxid;
	data->mzxid = st->mzxid;
	data->mtime = st->mtime;
	data->version = st->version;
	return data;
}

int zk_load_bytes(struct zk_tree *tree, struct zk_node *node, const void *bytes, u32 len,
		  u32 crc)
{
	struct zk_view view;
	void *old = zk_deref(tree, node->data), *data;

	rcu_read_lock();
	if (!zk_view(node, ZK_ZXID_LATEST, &view))
		old = NULL;
	rcu_read_unlock();
	if (!old)
		return -ENOENT;
	view.data = bytes;
	tree->next.data_bytes += (s32)len - max_t(s32, view.data_len, 0);
	view.data_len = len;
	view.crc = crc;
	data = data_from(&tree->mem, &view);
	if (!data)
		return -ENOMEM;
	rcu_assign_pointer(node->data, data);
	zk_data_free(&tree->mem, old);
	return 0;
}

static struct zk_aclver *aclver_from(struct zk_mem *mem, struct zk_acl_ref *acl,
				     const struct zk_stat *st)
{
	struct zk_aclver *ver = zk_aclver_new(mem);

	if (!ver)
		return NULL;
	RCU_INIT_POINTER(ver->ver.older, ZK_BASE);
	ver->ver.zxid = 0;
	ver->acl = acl;
	ver->aversion = st->aversion;
	return ver;
}

static struct zk_dirver *dirver_from(struct zk_mem *mem, const struct zk_stat *st)
{
	struct zk_dirver *ver = zk_dirver_new(mem);

	if (!ver)
		return NULL;
	RCU_INIT_POINTER(ver->ver.older, ZK_BASE);
	ver->ver.zxid = 0;
	ver->pzxid = st->pzxid;
	ver->cversion = st->cversion;
	ver->num_children = 0;
	return ver;
}

static void parts_free(struct zk_tree *tree, struct parts *parts)
{
	struct zk_mem *mem = &tree->mem;

	if (parts->node)
		zk_node_free(mem, parts->node);
	if (parts->dirver)
		zk_dirver_free(mem, parts->dirver);
	if (parts->dir)
		zk_dir_free(mem, parts->dir);
	if (parts->aclver)
		zk_aclver_free(mem, parts->aclver);
	if (parts->data)
		zk_data_free(mem, parts->data);
	if (parts->acl)
		zk_acl_put(&tree->acls, parts->acl, tree->unlinked.pos);
}

static int parts_make(struct zk_tree *tree, struct parts *parts,
		      const struct zk_view *view, const u8 *acl, u32 acl_len)
{
	const struct zk_stat *st = &view->stat;
	struct zk_mem *mem = &tree->mem;
	int err;

	if (view->data_len < -1 || view->data_len > ZK_DATA_MAX)
		return -EINVAL;
	err = zk_acl_get(&tree->acls, mem, acl, acl_len, &parts->acl);
	if (err)
		return err;
	parts->data = data_from(mem, view);
	if (!parts->data)
		return -ENOMEM;
	if (st->aversion) {
		parts->aclver = aclver_from(mem, parts->acl, st);
		if (!parts->aclver)
			return -ENOMEM;
	}
	if (st->cversion || st->pzxid != st->czxid) {
		parts->dir = zk_dir_new(mem);
		parts->dirver = dirver_from(mem, st);
		if (!parts->dir || !parts->dirver)
			return -ENOMEM;
	}
	return 0;
}

static void set_words(struct zk_node *node, const struct parts *parts)
{
	RCU_INIT_POINTER(node->data, parts->data);
	RCU_INIT_POINTER(node->acl, parts->aclver ? (void *)parts->aclver :
			 zk_tagged(parts->acl, ZK_TAG_ACL));
	if (parts->dir)
		RCU_INIT_POINTER(parts->dir->top, (void *)parts->dirver);
	RCU_INIT_POINTER(node->dir, parts->dir);
}

static void set_birth(struct zk_node *node, const struct zk_stat *st)
{
	node->czxid = st->czxid;
	node->ctime = st->ctime;
	zk_node_mark(node, ZK_NODE_LOADED);
}

/* A parent that its own stat gave no dir, or the counters of one that has. */
static struct zk_dirver *parent_dir(struct zk_tree *tree, struct zk_node *parent)
{
	struct zk_stat st = { .pzxid = parent->czxid };
	struct zk_dir *dir = zk_deref(tree, parent->dir);
	struct zk_dirver *ver;

	if (dir)
		return zk_deref(tree, dir->top);
	dir = zk_dir_new(&tree->mem);
	if (!dir)
		return NULL;
	ver = dirver_from(&tree->mem, &st);
	if (!ver) {
		zk_dir_free(&tree->mem, dir);
		return NULL;
	}
	RCU_INIT_POINTER(dir->top, (void *)ver);
	rcu_assign_pointer(parent->dir, dir);
	return ver;
}

static void digest_add(struct zk_tree *tree, struct zk_node *node)
{
	rcu_read_lock();
	tree->next.digest += zk_node_digest(node, ZK_ZXID_LATEST);
	rcu_read_unlock();
}

static int load_node(struct zk_tree *tree, struct parts *parts, const char *path,
		     size_t len, u32 hash, const struct zk_view *view)
{
	struct zk_owner *home = NULL;
	struct zk_node *parent;
	struct zk_dirver *ver;
	const char *name;
	u32 name_len;
	int err;

	zk_index_warm_node(&tree->nodes, hash);
	err = zk_place(tree, path, len, &parent, &name, &name_len);
	if (err)
		return err;
	if (zk_find_hash(tree, path, len, hash))
		return -EEXIST;
	ver = parent_dir(tree, parent);
	parts->node = zk_node_new(&tree->mem, name, name_len, view->stat.owner);
	if (!ver || !parts->node)
		return -ENOMEM;
	if (view->stat.owner) {
		home = zk_owner_get(tree, view->stat.owner);
		if (!home)
			return -ENOMEM;
		zk_owned_of(parts->node)->home = home;
	}
	set_birth(parts->node, &view->stat);
	set_words(parts->node, parts);
	zk_attach(tree, parent, parts->node, zk_chars(path, len), hash);
	tree->load_parent = parent;
	ver->num_children++;
	digest_add(tree, parts->node);
	zk_index_grow(&tree->nodes, 4);
	zk_index_grow(&tree->owners, 4);
	zk_acls_grow(&tree->acls, 4);
	return 0;
}

static int load_root(struct zk_tree *tree, struct parts *parts, const struct zk_view *view)
{
	struct zk_node *root = tree->root;
	void *acl = zk_deref(tree, root->acl);

	if (tree->root_loaded || zk_deref(tree, root->dir))
		return -EEXIST;
	if (view->stat.owner)
		return -EINVAL;
	rcu_read_lock();
	tree->next.digest -= zk_node_digest(root, ZK_ZXID_LATEST);
	rcu_read_unlock();
	tree->next.data_bytes += max_t(s32, view->data_len, 0);
	zk_data_free(&tree->mem, zk_deref(tree, root->data));
	zk_acl_put(&tree->acls, zk_acl_of(acl), tree->unlinked.pos);
	zk_aclver_free(&tree->mem, acl);
	set_birth(root, &view->stat);
	set_words(root, parts);
	digest_add(tree, root);
	tree->root_loaded = true;
	return 0;
}

int zk_tree_load(struct zk_tree *tree, const char *path, size_t path_len,
		 const struct zk_view *view, const u8 *acl, u32 acl_len)
{
	u32 hash = zk_path_hash(tree, path, path_len);
	struct parts parts = { };
	int err;

	mutex_lock(&tree->lock);
	tree->next = tree->now;
	/* On its way while the parts are made. */
	zk_index_warm_bucket(&tree->nodes, hash);
	err = tree->live ? -EINVAL : parts_make(tree, &parts, view, acl, acl_len);
	if (!err) {
		if (!path_len || (path_len == 1 && path[0] == '/'))
			err = load_root(tree, &parts, view);
		else
			err = load_node(tree, &parts, path, path_len, hash, view);
	}
	if (err)
		parts_free(tree, &parts);
	else
		tree->now = tree->next;
	/* Nobody reads: the dead need not wait. */
	zk_free_dead(tree, ~0ULL);
	mutex_unlock(&tree->lock);
	return err;
}

void zk_tree_load_begin(struct zk_tree *tree, u64 nodes)
{
	mutex_lock(&tree->lock);
	if (!tree->live)
		zk_index_reserve(&tree->nodes, nodes);
	mutex_unlock(&tree->lock);
}

int zk_tree_load_done(struct zk_tree *tree, u64 zxid)
{
	int err;

	mutex_lock(&tree->lock);
	err = zk_quota_load(tree);
	if (err)
		goto unlock;
	tree->live = true;
	tree->load_parent = NULL;
	spin_lock(&tree->pin_lock);
	if (zxid > tree->zxid)
		smp_store_release(&tree->zxid, zxid);	/* pairs with zk_tree_zxid() */
	spin_unlock(&tree->pin_lock);
unlock:
	mutex_unlock(&tree->lock);
	return err;
}
