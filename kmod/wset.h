/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A set of small numbers in one word and as little as it can beyond it: nothing for
 * one member, a sorted array for few, a bitmap where that is not larger.
 *
 * Adding never allocates: wset_need() says what a member would take, the caller
 * brings a block of that size. Blocks come from zk_mem_alloc(ZK_MEM_META).
 *
 * Locking: the caller's, for each set.
 */
#ifndef ZKERN_WSET_H
#define ZKERN_WSET_H

#include <linux/types.h>

#include "tree/mem.h"

#define WSET_MAX_ID	((1U << 30) - 1)

/* 0: empty; odd: the one member, shifted; else a pointer to a struct wset_big. */
struct wset {
	unsigned long v;
};

/* A block of memory that is handed over with its size; NULL: none. */
struct wset_block {
	void *mem;
	size_t size;
};

static inline bool wset_empty(const struct wset *s)
{
	return !s->v;
}

bool wset_has(const struct wset *s, u32 id);
/* Bytes of the block that wset_add() wants for @id; 0: none. */
size_t wset_need(const struct wset *s, u32 id);
/*
 * Adds @id. @block has what wset_need() said, or more; on return it is what the caller
 * has to free: the block that was replaced, or his own if it was not wanted.
 */
void wset_add(struct wset *s, u32 id, struct wset_block *block);
/* Whether it was there. A block that is not needed any more goes back to @mem. */
bool wset_del(struct wset *s, u32 id, struct zk_mem *mem);
/* The smallest member >= *@id, into *@id; false: there is none. */
bool wset_next(const struct wset *s, u32 *id);
/* Empties it. */
void wset_clear(struct wset *s, struct zk_mem *mem);

#endif
