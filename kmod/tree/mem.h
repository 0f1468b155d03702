/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory of trees: exact-size slab caches in steps of 16 bytes, and the count of
 * what a tree holds. Callers give the size back when they free, so objects need
 * no header of their own.
 */
#ifndef ZK_MEM_H
#define ZK_MEM_H

#include <linux/types.h>

/*
 * What one tree holds. Changed under the tree's writer lock, or when nobody else
 * has the tree; read anywhere.
 */
struct zk_mem {
	u64 bytes;
};

/*
 * Objects of ZK_MEM_DATA may be copied to user space in place (hardened usercopy
 * lets only these through); everything else is ZK_MEM_META.
 */
enum zk_mem_kind {
	ZK_MEM_META,
	ZK_MEM_DATA,
	ZK_MEM_KINDS,
};

/* Makes and removes the caches. Sleep. -ENOMEM. */
int zk_mem_init(void);
void zk_mem_exit(void);

/*
 * @size > 0 bytes, uninitialised (_zalloc: zeroed), or NULL. Sleeps. Aligned to 8
 * at least, so that the three lowest bits of the address can carry a tag.
 */
void *zk_mem_alloc(struct zk_mem *mem, enum zk_mem_kind kind, size_t size);
void *zk_mem_zalloc(struct zk_mem *mem, size_t size);
/* Any context that may take slab locks. NULL is allowed. */
void zk_mem_free(struct zk_mem *mem, enum zk_mem_kind kind, void *obj, size_t size);
/*
 * Bytes that an object of @size really takes: the step it is rounded up to, and
 * 8 for what the allocator keeps with it (in the kernel the pointer to the memory
 * cgroup, in user space malloc's chunk size).
 */
size_t zk_mem_cost(size_t size);

#endif
