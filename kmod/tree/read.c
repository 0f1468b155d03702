// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading the tree. Everything here runs in an RCU read section, takes no lock and
 * writes nothing. The writer reads its own view with ZK_ZXID_LATEST.
 */
#include <linux/prefetch.h>
#include <linux/rcupdate.h>
#include <linux/rculist.h>
#include <linux/string.h>

#include "internal.h"

/* ------------------------------------------------------------ chains */

/* A version's word in a chain: is it visible at @zxid? Else what came before it. */
static bool visible(const struct zk_ver *ver, u64 zxid, void **older)
{
	*older = rcu_dereference(ver->older);
	return ver->zxid <= zxid || *older == ZK_BASE;
}

/* The newest element of the data chain at @zxid; NULL if the node was not there. */
static void *data_at(const struct zk_node *node, u64 zxid)
{
	void *p = rcu_dereference(node->data);

	while (p && zk_tag_of(p) != ZK_TAG_BIRTH) {
		void *older;

		if (visible(zk_untag(p), zxid, &older))
			return zk_tag_of(p) == ZK_TAG_TOMB ? NULL : p;
		p = older;
	}
	if (node->czxid > zxid && !(zk_node_meta(node) & ZK_NODE_LOADED))
		return NULL;
	return p;
}

static void *acl_at(const struct zk_node *node, u64 zxid)
{
	void *p = rcu_dereference(node->acl);
	void *older;

	while (p && zk_tag_of(p) == ZK_TAG_ACLVER) {
		if (visible(p, zxid, &older))
			return p;
		p = older;
	}
	return p;
}

const struct zk_dirver *zk_dir_at(const struct zk_node *node, u64 zxid)
{
	struct zk_dir *dir = rcu_dereference(node->dir);
	void *p = dir ? rcu_dereference(dir->top) : NULL;
	void *older;

	while (p) {
		if (visible(p, zxid, &older))
			return p;
		p = older;
	}
	return NULL;
}

bool zk_node_exists(const struct zk_node *node, u64 zxid)
{
	return data_at(node, zxid);
}

static void view_data(const struct zk_node *node, const void *p, struct zk_view *view)
{
	const struct zk_birth *birth;
	const struct zk_data *data;

	if (zk_tag_of(p) == ZK_TAG_BIRTH) {
		birth = zk_untag(p);
		view->data = birth->len > 0 ? birth->bytes : NULL;
		view->data_len = birth->len;
		view->crc = birth->crc;
		view->stat.mzxid = node->czxid;
		view->stat.mtime = node->ctime;
		view->stat.version = 0;
		return;
	}
	data = p;
	view->data = data->len > 0 ? data->bytes : NULL;
	view->data_len = data->len;
	view->crc = data->crc;
	view->stat.mzxid = data->mzxid;
	view->stat.mtime = data->mtime;
	view->stat.version = data->version;
}

static void view_dir(const struct zk_node *node, u64 zxid, struct zk_stat *stat)
{
	const struct zk_dirver *ver = zk_dir_at(node, zxid);

	stat->pzxid = ver ? ver->pzxid : node->czxid;
	stat->cversion = ver ? ver->cversion : 0;
	stat->num_children = ver ? ver->num_children : 0;
}

bool zk_view(const struct zk_node *node, u64 zxid, struct zk_view *view)
{
	void *data = data_at(node, zxid);
	void *acl = acl_at(node, zxid);

	if (!data || !acl)
		return false;
	view_data(node, data, view);
	view_dir(node, zxid, &view->stat);
	view->acl = &zk_acl_of(acl)->acl;
	view->stat.aversion = zk_tag_of(acl) == ZK_TAG_ACL ? 0 :
			      ((struct zk_aclver *)acl)->aversion;
	view->stat.czxid = node->czxid;
	view->stat.ctime = node->ctime;
	view->stat.owner = zk_owner_of(node);
	return true;
}

/* ------------------------------------------------------------ paths */

struct zk_node *zk_parent(const struct zk_node *node)
{
	return node->parent;
}

const char *zk_name(const struct zk_node *node, u32 *len)
{
	*len = zk_name_len(node);
	return node->name;
}

size_t zk_path_len(const struct zk_node *node)
{
	size_t len = 0;

	if (!node->parent)
		return 1;
	for (; node->parent; node = node->parent)
		len += 1 + zk_name_len(node);
	return len;
}

size_t zk_chars(const char *s, size_t len)
{
	size_t i, n = 0;

	/* A byte that does not continue a character begins one, or a pair of them. */
	for (i = 0; i < len; i++)
		n += (((u8)s[i] & 0xc0) != 0x80) + ((u8)s[i] >= 0xf0);
	return n;
}

size_t zk_path_chars(const struct zk_node *node)
{
	size_t n = 0;

	if (!node->parent)
		return 1;
	for (; node->parent; node = node->parent)
		n += 1 + zk_chars(node->name, zk_name_len(node));
	return n;
}

size_t zk_path(const struct zk_node *node, char *buf, size_t cap)
{
	size_t len = zk_path_len(node);
	size_t at = len;
	u32 n;

	if (len > cap)
		return len;
	buf[0] = '/';
	for (; node->parent; node = node->parent) {
		n = zk_name_len(node);
		at -= n;
		memcpy(buf + at, node->name, n);
		buf[--at] = '/';
	}
	return len;
}

/*
 * Compares names from the path's end upwards. Names have no slash, so a path that
 * gives out just at the root has matched whole.
 */
bool zk_path_is(const struct zk_node *node, const char *path, size_t len)
{
	u32 n;

	for (; node->parent; node = node->parent) {
		n = zk_name_len(node);
		if (len <= n || memcmp(path + len - n, node->name, n))
			return false;
		len -= n + 1;
		if (path[len] != '/')
			return false;
	}
	return !len;
}

u32 zk_path_hash(const struct zk_tree *tree, const char *path, size_t len)
{
	return (u32)siphash(path, len, &tree->key);
}

/*
 * In a large tree each of these is a miss of its own: the data is on its way while
 * the path is compared.
 */
static void zk_prefetch_data(const struct zk_node *node)
{
	const char *data = zk_untag(rcu_access_pointer(node->data));

	prefetch(data);
	prefetch(data + 64);
}

struct zk_node *zk_lookup_hash(struct zk_tree *tree, const char *path, size_t len, u32 hash,
			       u64 zxid)
{
	struct zk_hnode *h;
	struct zk_node *node;

	for (h = zk_index_first(&tree->nodes, hash); h; h = zk_index_next(h)) {
		node = container_of(h, struct zk_node, hash);
		zk_prefetch_data(node);
		if (zk_path_is(node, path, len) && zk_node_exists(node, zxid))
			return node;
	}
	return NULL;
}

struct zk_node *zk_lookup(struct zk_tree *tree, const char *path, size_t len, u64 zxid)
{
	if (len == 1 && path[0] == '/')
		return zk_node_exists(tree->root, zxid) ? tree->root : NULL;
	if (!len || len > ZK_PATH_MAX)
		return NULL;
	return zk_lookup_hash(tree, path, len, zk_path_hash(tree, path, len), zxid);
}

/* ------------------------------------------------------------ lists */

static struct zk_node *child_from(struct list_head *at, const struct list_head *end,
				  u64 zxid)
{
	struct zk_node *node;

	while (at != end) {
		node = list_entry_rcu(at, struct zk_node, sibling);
		if (zk_node_exists(node, zxid))
			return node;
		at = rcu_dereference(list_next_rcu(&node->sibling));
	}
	return NULL;
}

struct zk_node *zk_first_child(const struct zk_node *parent, u64 zxid)
{
	struct zk_dir *dir = rcu_dereference(parent->dir);

	if (!dir)
		return NULL;
	return child_from(rcu_dereference(list_next_rcu(&dir->children)),
			  &dir->children, zxid);
}

struct zk_node *zk_next_child(const struct zk_node *child, u64 zxid)
{
	struct zk_dir *dir;

	if (!child->parent)
		return NULL;
	dir = rcu_dereference(child->parent->dir);
	return child_from(rcu_dereference(list_next_rcu(&child->sibling)),
			  &dir->children, zxid);
}

struct zk_node *zk_next_preorder(const struct zk_node *top, const struct zk_node *node,
				 u64 zxid)
{
	struct zk_node *next = zk_first_child(node, zxid);

	for (; !next && node != top; node = node->parent)
		next = zk_next_child(node, zxid);
	return next;
}

static struct zk_node *owned_from(struct list_head *at, const struct list_head *end,
				  u64 zxid)
{
	struct zk_owned *owned;
	struct zk_node *node;

	while (at != end) {
		owned = list_entry_rcu(at, struct zk_owned, link);
		node = zk_node_of_owned(owned);
		if (zk_node_exists(node, zxid))
			return node;
		at = rcu_dereference(list_next_rcu(&owned->link));
	}
	return NULL;
}

static struct zk_node *first_of(struct zk_owner *owner, u64 zxid)
{
	return owned_from(rcu_dereference(list_next_rcu(&owner->nodes)), &owner->nodes,
			  zxid);
}

static struct zk_node *next_of(const struct zk_node *node, u64 zxid)
{
	struct zk_owned *owned = zk_owned_of(node);

	return owned_from(rcu_dereference(list_next_rcu(&owned->link)),
			  &owned->home->nodes, zxid);
}

struct zk_node *zk_first_owned(struct zk_tree *tree, u64 owner, u64 zxid)
{
	struct zk_owner *o = zk_owner_find(tree, owner);

	return o ? first_of(o, zxid) : NULL;
}

struct zk_node *zk_next_owned(const struct zk_node *node, u64 zxid)
{
	return next_of(node, zxid);
}

struct zk_node *zk_first_timed(struct zk_tree *tree, u64 zxid)
{
	return first_of(&tree->timed, zxid);
}

struct zk_node *zk_next_timed(const struct zk_node *node, u64 zxid)
{
	return next_of(node, zxid);
}

const struct zk_acl *zk_acl_by_id(struct zk_tree *tree, u64 id)
{
	return zk_acls_by_id(&tree->acls, id);
}
