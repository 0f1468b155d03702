// SPDX-License-Identifier: GPL-2.0-or-later
/* See mem.h. */
#include "mem.h"

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>

#define STEP	16
#define LARGEST	512
#define N_STEPS	(LARGEST / STEP)

/* Made before the first tree and removed after the last: read without locks. */
static struct kmem_cache *caches[ZK_MEM_KINDS][N_STEPS];

static const char * const kind_name[ZK_MEM_KINDS] = {
	[ZK_MEM_META] = "meta",
	[ZK_MEM_DATA] = "data",
};

static struct kmem_cache *cache_create(enum zk_mem_kind kind, unsigned int i)
{
	unsigned int size = (i + 1) * STEP;
	char name[32];

	snprintf(name, sizeof(name), "zkern_%s-%u", kind_name[kind], size);
	return kmem_cache_create_usercopy(name, size, 8, SLAB_ACCOUNT, 0,
					  kind == ZK_MEM_DATA ? size : 0, NULL);
}

int zk_mem_init(void)
{
	unsigned int kind, i;

	for (kind = 0; kind < ZK_MEM_KINDS; kind++) {
		for (i = 0; i < N_STEPS; i++) {
			caches[kind][i] = cache_create(kind, i);
			if (!caches[kind][i]) {
				zk_mem_exit();
				return -ENOMEM;
			}
		}
	}
	return 0;
}

void zk_mem_exit(void)
{
	unsigned int kind, i;

	for (kind = 0; kind < ZK_MEM_KINDS; kind++) {
		for (i = 0; i < N_STEPS; i++) {
			kmem_cache_destroy(caches[kind][i]);
			caches[kind][i] = NULL;
		}
	}
}

static struct kmem_cache *cache_of(enum zk_mem_kind kind, size_t size)
{
	return size <= LARGEST ? caches[kind][(size - 1) / STEP] : NULL;
}

static void *alloc(struct zk_mem *mem, enum zk_mem_kind kind, size_t size, gfp_t gfp)
{
	struct kmem_cache *cache = cache_of(kind, size);
	void *obj;

	if (cache)
		obj = kmem_cache_alloc(cache, gfp);
	else
		obj = kvmalloc(size, gfp);
	if (obj)
		WRITE_ONCE(mem->bytes, mem->bytes + zk_mem_cost(size));
	return obj;
}

void *zk_mem_alloc(struct zk_mem *mem, enum zk_mem_kind kind, size_t size)
{
	return alloc(mem, kind, size, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
}

void *zk_mem_zalloc(struct zk_mem *mem, size_t size)
{
	return alloc(mem, ZK_MEM_META, size,
		     GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_ZERO);
}

void zk_mem_free(struct zk_mem *mem, enum zk_mem_kind kind, void *obj, size_t size)
{
	struct kmem_cache *cache;

	/* what was never had has no size */
	if (!obj)
		return;
	cache = cache_of(kind, size);
	if (cache)
		kmem_cache_free(cache, obj);
	else
		kvfree(obj);
	WRITE_ONCE(mem->bytes, mem->bytes - zk_mem_cost(size));
}

size_t zk_mem_cost(size_t size)
{
	return ALIGN(size, STEP) + 8;
}
