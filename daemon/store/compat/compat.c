// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the mimic headers in compat/linux/ cannot do inline: warnings, memory,
 * hashes, random bytes.
 */
#include <linux/bug.h>
#include <linux/kernel.h>
#include <linux/lockdep.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/siphash.h>
#include <linux/slab.h>

#include <endian.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__thread char compat_thread;

static void report(const char *what, const char *file, int line)
{
	fprintf(stderr, "zkern tree: %s at %s:%d\n", what, file, line);
}

#ifdef ZK_COMPAT_DEBUG
void compat_warn(const char *what, const char *file, int line)
{
	report(what, file, line);
	abort();
}

void compat_might_sleep(const char *file, int line)
{
	compat_check(!rcu_read_ongoing(), "sleeping in an RCU read section", file, line);
}
#else
void compat_warn(const char *what, const char *file, int line)
{
	report(what, file, line);
}

void compat_might_sleep(const char *file, int line)
{
	(void)file;
	(void)line;
}
#endif

void compat_check(bool ok, const char *what, const char *file, int line)
{
	if (likely(ok))
		return;
	report(what, file, line);
	abort();
}

/* ------------------------------------------------------------ memory */

#ifdef ZK_COMPAT_DEBUG
bool (*compat_may_alloc)(size_t size);

static bool may_alloc(size_t size)
{
	might_sleep();
	return !compat_may_alloc || compat_may_alloc(size);
}
#else
static bool may_alloc(size_t size)
{
	(void)size;
	return true;
}
#endif

void *kvmalloc(size_t size, gfp_t gfp)
{
	if (!may_alloc(size))
		return NULL;
	return gfp & __GFP_ZERO ? calloc(1, size) : malloc(size);
}

struct kmem_cache {
	unsigned int size;
};

struct kmem_cache *kmem_cache_create_usercopy(const char *name, unsigned int size,
					      unsigned int align, unsigned int flags,
					      unsigned int useroffset,
					      unsigned int usersize,
					      void (*ctor)(void *obj))
{
	struct kmem_cache *cache = kvmalloc(sizeof(*cache), GFP_KERNEL);

	(void)name;
	(void)align;
	(void)flags;
	(void)useroffset;
	(void)usersize;
	(void)ctor;
	if (cache)
		cache->size = size;
	return cache;
}

void kmem_cache_destroy(struct kmem_cache *cache)
{
	free(cache);
}

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t gfp)
{
	return kvmalloc(cache->size, gfp);
}

void kmem_cache_free(struct kmem_cache *cache, void *obj)
{
	(void)cache;
	free(obj);
}

void kvfree(const void *p)
{
	free((void *)p);
}

#ifdef __SANITIZE_THREAD__
char compat_gp;
#endif

/* ------------------------------------------------------------ hashes, random */

u64 siphash(const void *data, size_t len, const siphash_key_t *key)
{
	u8 out[crypto_shorthash_siphash24_BYTES];
	u64 v;

	_Static_assert(sizeof(*key) == crypto_shorthash_siphash24_KEYBYTES, "key size");
	crypto_shorthash_siphash24(out, data, len, (const u8 *)key);
	memcpy(&v, out, sizeof(v));
	return le64toh(v);
}

void get_random_bytes(void *buf, size_t len)
{
	randombytes_buf(buf, len);
}
