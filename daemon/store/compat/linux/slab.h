/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Slab caches over malloc(); sizes are the caller's. */
#ifndef COMPAT_LINUX_SLAB_H
#define COMPAT_LINUX_SLAB_H

#include <linux/types.h>

#define GFP_KERNEL		0u
#define GFP_KERNEL_ACCOUNT	0u
#define __GFP_NOWARN		0u
#define __GFP_ZERO		1u
#define SLAB_ACCOUNT		0u

/*
 * With ZK_COMPAT_DEBUG: asked before every allocation that goes through here; false
 * makes it fail. NULL: none fails.
 */
extern bool (*compat_may_alloc)(size_t size);

struct kmem_cache;

struct kmem_cache *kmem_cache_create_usercopy(const char *name, unsigned int size,
					      unsigned int align, unsigned int flags,
					      unsigned int useroffset,
					      unsigned int usersize,
					      void (*ctor)(void *obj));
void kmem_cache_destroy(struct kmem_cache *cache);
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp);
void kmem_cache_free(struct kmem_cache *cache, void *obj);

void *kvmalloc(size_t size, gfp_t gfp);
void kvfree(const void *p);
#define kzalloc(size, gfp)	kvmalloc(size, (gfp) | __GFP_ZERO)
#define kfree(p)		kvfree(p)

#endif
