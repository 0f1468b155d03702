// SPDX-License-Identifier: GPL-2.0-or-later
/* See acl.h. */
#include "acl.h"

#include <asm/unaligned.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/string.h>

/* ZooDefs.Ids.OPEN_ACL_UNSAFE */
const u8 zk_acl_open[] =
	"\0\0\0\1\0\0\0\37\0\0\0\5world\0\0\0\6anyone";
const u32 zk_acl_open_len = sizeof(zk_acl_open) - 1;

/* What is left of a jute record to read. */
struct reader {
	const u8 *p;
	u32 left;
};

static bool read_int(struct reader *r, s32 *v)
{
	if (r->left < 4)
		return false;
	*v = (s32)get_unaligned_be32(r->p);
	r->p += 4;
	r->left -= 4;
	return true;
}

/* A null string reads as an empty one: it names no scheme that anybody has. */
static bool read_string(struct reader *r, const u8 **s, u32 *len)
{
	s32 n;

	if (!read_int(r, &n) || n < -1)
		return false;
	*len = n < 0 ? 0 : n;
	if (r->left < *len)
		return false;
	*s = r->p;
	r->p += *len;
	r->left -= *len;
	return true;
}

static bool is(const u8 *s, u32 len, const char *word)
{
	return len == strlen(word) && !memcmp(s, word, len);
}

/*
 * Checks a vector<ACL> and tells what world:anyone may. The count needs no bound
 * of its own: each entry takes 12 bytes at least, and @len is at most ZK_ACL_MAX.
 */
static bool check(const u8 *jute, u32 len, u32 *world)
{
	struct reader r = { jute, len };
	const u8 *scheme, *id;
	u32 scheme_len, id_len;
	s32 count, perms;

	*world = 0;
	if (!read_int(&r, &count) || count < 0)
		return false;
	while (count--) {
		if (!read_int(&r, &perms) ||
		    !read_string(&r, &scheme, &scheme_len) ||
		    !read_string(&r, &id, &id_len))
			return false;
		if (is(scheme, scheme_len, "world") && is(id, id_len, "anyone"))
			*world |= perms;
	}
	return !r.left;
}

void zk_acls_init(struct zk_acls *acls, struct zk_mem *mem, struct list_head *dead)
{
	zk_index_init(&acls->by_content, mem);
	zk_index_init(&acls->by_id, mem);
	get_random_bytes(&acls->key, sizeof(acls->key));
	acls->next_id = 1;
	acls->dead = dead;
}

static size_t ref_size(const struct zk_acl_ref *ref)
{
	return offsetof(struct zk_acl_ref, jute) + ref->acl.len;
}

static void ref_free(struct zk_mem *mem, struct zk_acl_ref *ref)
{
	zk_mem_free(mem, ZK_MEM_META, ref, ref_size(ref));
}

void zk_acls_destroy(struct zk_acls *acls, struct zk_mem *mem)
{
	struct zk_hnode *node;

	while ((node = zk_index_pop(&acls->by_content)))
		ref_free(mem, container_of(node, struct zk_acl_ref, by_content));
	zk_index_destroy(&acls->by_content);
	zk_index_destroy(&acls->by_id);
}

static u32 hash_of(const struct zk_acls *acls, const void *p, size_t len)
{
	return (u32)siphash(p, len, &acls->key);
}

static struct zk_acl_ref *find(const struct zk_acls *acls, const u8 *jute, u32 len,
			       u32 hash)
{
	struct zk_acl_ref *ref = NULL;
	struct zk_hnode *node;

	rcu_read_lock();
	for (node = zk_index_first(&acls->by_content, hash); node;
	     node = zk_index_next(node)) {
		ref = container_of(node, struct zk_acl_ref, by_content);
		if (ref->acl.len == len && !memcmp(ref->jute, jute, len))
			break;
		ref = NULL;
	}
	rcu_read_unlock();
	return ref;
}

static struct zk_acl_ref *ref_new(struct zk_acls *acls, struct zk_mem *mem,
				  const u8 *jute, u32 len, u32 world)
{
	struct zk_acl_ref *ref;

	ref = zk_mem_alloc(mem, ZK_MEM_META, offsetof(struct zk_acl_ref, jute) + len);
	if (!ref)
		return NULL;
	memcpy(ref->jute, jute, len);
	ref->refs = 0;
	ref->acl.id = acls->next_id++;
	ref->acl.world = world;
	ref->acl.len = len;
	ref->acl.jute = ref->jute;
	ref->by_id.hash = hash_of(acls, &ref->acl.id, sizeof(ref->acl.id));
	ref->by_content.hash = hash_of(acls, jute, len);
	zk_index_insert(&acls->by_id, &ref->by_id);
	zk_index_insert(&acls->by_content, &ref->by_content);
	return ref;
}

int zk_acl_get(struct zk_acls *acls, struct zk_mem *mem, const u8 *jute, u32 len,
	       struct zk_acl_ref **out)
{
	struct zk_acl_ref *ref;
	u32 world;

	if (len == 4 && get_unaligned_be32(jute) == U32_MAX) {
		jute = zk_acl_open;
		len = zk_acl_open_len;
	}
	if (len > ZK_ACL_MAX)
		return -EINVAL;
	ref = find(acls, jute, len, hash_of(acls, jute, len));
	if (!ref) {
		if (!check(jute, len, &world))
			return -EINVAL;
		ref = ref_new(acls, mem, jute, len, world);
	}
	if (!ref)
		return -ENOMEM;
	ref->refs++;
	*out = ref;
	return 0;
}

static void release(struct zk_mem *mem, struct zk_dead *dead)
{
	ref_free(mem, container_of(dead, struct zk_acl_ref, dead));
}

void zk_acl_put(struct zk_acls *acls, struct zk_acl_ref *ref, u64 at)
{
	if (--ref->refs)
		return;
	zk_index_remove(&acls->by_id, &ref->by_id);
	zk_index_remove(&acls->by_content, &ref->by_content);
	ref->dead.at = at;
	ref->dead.release = release;
	list_add_tail(&ref->dead.link, acls->dead);
}

void zk_acls_grow(struct zk_acls *acls, unsigned int steps)
{
	zk_index_grow(&acls->by_id, steps);
	zk_index_grow(&acls->by_content, steps);
}

const struct zk_acl *zk_acls_by_id(const struct zk_acls *acls, u64 id)
{
	struct zk_hnode *node = zk_index_first(&acls->by_id,
					       hash_of(acls, &id, sizeof(id)));
	struct zk_acl_ref *ref;

	for (; node; node = zk_index_next(node)) {
		ref = container_of(node, struct zk_acl_ref, by_id);
		if (ref->acl.id == id)
			return &ref->acl;
	}
	return NULL;
}
