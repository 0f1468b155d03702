// SPDX-License-Identifier: GPL-2.0-or-later
/* Making and freeing nodes and versions. See node.h. */
#include "node.h"

#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

/*
 * The chains' words have three bits to spare (zk_mem_alloc()), the layout is what
 * node.h says, and the longest name fits its field.
 */
static void check_layout(void)
{
	BUILD_BUG_ON(offsetof(struct zk_node, name) != 80);
	BUILD_BUG_ON(sizeof(struct zk_owned) % 8);
	BUILD_BUG_ON(offsetof(struct zk_data, ver) ||
		     offsetof(struct zk_aclver, ver) ||
		     offsetof(struct zk_dirver, ver));
	BUILD_BUG_ON(ZK_PATH_MAX - 1 > ZK_NODE_NAME_MASK);
}

static size_t node_size(u32 name_len, bool owned)
{
	return (owned ? sizeof(struct zk_owned) : 0) +
	       offsetof(struct zk_node, name) + name_len;
}

static void *node_start(const struct zk_node *node)
{
	return zk_node_meta(node) & ZK_NODE_OWNED ? (void *)zk_owned_of(node) :
						    (void *)node;
}

static size_t own_size(const struct zk_node *node)
{
	return node_size(zk_name_len(node), zk_node_meta(node) & ZK_NODE_OWNED);
}

struct zk_node *zk_node_new(struct zk_mem *mem, const char *name, u32 len, u64 owner)
{
	struct zk_owned *owned;
	struct zk_node *node;
	void *p;

	check_layout();
	p = zk_mem_alloc(mem, ZK_MEM_META, node_size(len, owner));
	if (!p)
		return NULL;
	node = p;
	if (owner) {
		owned = p;
		owned->owner = owner;
		owned->home = NULL;
		node = zk_node_of_owned(owned);
	}
	memset(node, 0, offsetof(struct zk_node, name));
	node->hash.meta = len | (owner ? ZK_NODE_OWNED : 0);
	memcpy(node->name, name, len);
	return node;
}

static size_t birth_size(s32 len)
{
	return offsetof(struct zk_birth, bytes) + max_t(s32, len, 0);
}

static size_t data_size(s32 len)
{
	return offsetof(struct zk_data, bytes) + max_t(s32, len, 0);
}

struct zk_birth *zk_birth_new(struct zk_mem *mem, const void *bytes, s32 len, u32 crc)
{
	struct zk_birth *birth = zk_mem_alloc(mem, ZK_MEM_DATA, birth_size(len));

	if (!birth)
		return NULL;
	birth->len = len;
	birth->crc = crc;
	if (len > 0)
		memcpy(birth->bytes, bytes, len);
	return birth;
}

struct zk_data *zk_data_new(struct zk_mem *mem, const void *bytes, s32 len, u32 crc)
{
	struct zk_data *data = zk_mem_alloc(mem, ZK_MEM_DATA, data_size(len));

	if (!data)
		return NULL;
	RCU_INIT_POINTER(data->ver.older, NULL);
	data->len = len;
	data->crc = crc;
	if (len > 0)
		memcpy(data->bytes, bytes, len);
	return data;
}

struct zk_ver *zk_tomb_new(struct zk_mem *mem)
{
	return zk_mem_alloc(mem, ZK_MEM_META, sizeof(struct zk_ver));
}

struct zk_aclver *zk_aclver_new(struct zk_mem *mem)
{
	return zk_mem_alloc(mem, ZK_MEM_META, sizeof(struct zk_aclver));
}

struct zk_dir *zk_dir_new(struct zk_mem *mem)
{
	struct zk_dir *dir = zk_mem_alloc(mem, ZK_MEM_META, sizeof(*dir));

	if (!dir)
		return NULL;
	INIT_LIST_HEAD(&dir->children);
	RCU_INIT_POINTER(dir->top, NULL);
	return dir;
}

struct zk_dirver *zk_dirver_new(struct zk_mem *mem)
{
	return zk_mem_alloc(mem, ZK_MEM_META, sizeof(struct zk_dirver));
}

static size_t chain_size(const void *tagged, enum zk_mem_kind *kind)
{
	const void *p = zk_untag(tagged);

	*kind = ZK_MEM_DATA;
	switch (zk_tag_of(tagged)) {
	case ZK_TAG_BIRTH:
		return birth_size(((const struct zk_birth *)p)->len);
	case ZK_TAG_TOMB:
		*kind = ZK_MEM_META;
		return sizeof(struct zk_ver);
	default:
		return data_size(((const struct zk_data *)p)->len);
	}
}

void zk_data_free(struct zk_mem *mem, void *tagged)
{
	enum zk_mem_kind kind;
	size_t size = chain_size(tagged, &kind);

	zk_mem_free(mem, kind, zk_untag(tagged), size);
}

size_t zk_data_cost(const void *tagged)
{
	enum zk_mem_kind kind;

	return zk_mem_cost(chain_size(tagged, &kind));
}

void zk_aclver_free(struct zk_mem *mem, void *tagged)
{
	if (zk_tag_of(tagged) == ZK_TAG_ACLVER)
		zk_mem_free(mem, ZK_MEM_META, tagged, sizeof(struct zk_aclver));
}

size_t zk_aclver_cost(const void *tagged)
{
	return zk_tag_of(tagged) == ZK_TAG_ACLVER ?
	       zk_mem_cost(sizeof(struct zk_aclver)) : 0;
}

void zk_dirver_free(struct zk_mem *mem, struct zk_dirver *ver)
{
	zk_mem_free(mem, ZK_MEM_META, ver, sizeof(*ver));
}

size_t zk_dirver_cost(void)
{
	return zk_mem_cost(sizeof(struct zk_dirver));
}

void zk_dir_free(struct zk_mem *mem, struct zk_dir *dir)
{
	zk_mem_free(mem, ZK_MEM_META, dir, sizeof(*dir));
}

size_t zk_dir_cost(void)
{
	return zk_mem_cost(sizeof(struct zk_dir));
}

void zk_node_free(struct zk_mem *mem, struct zk_node *node)
{
	zk_mem_free(mem, ZK_MEM_META, node_start(node), own_size(node));
}

size_t zk_node_cost(const struct zk_node *node)
{
	return zk_mem_cost(own_size(node));
}

struct zk_acl_ref *zk_acl_of(const void *tagged)
{
	const void *p = zk_untag(tagged);

	if (zk_tag_of(tagged) == ZK_TAG_ACL)
		return (struct zk_acl_ref *)p;
	return ((const struct zk_aclver *)p)->acl;
}
