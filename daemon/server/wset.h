/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A set of watcher numbers in eight bytes and as little as it can beyond them:
 * nothing for one member, a sorted array for few, a bitmap where that is smaller.
 * Core thread only.
 */
#ifndef ZKD_SERVER_WSET_H
#define ZKD_SERVER_WSET_H

#include <linux/types.h>

#define WSET_MAX_ID	((1U << 31) - 1)

/* 0: empty; odd: the one member, shifted; else a pointer to a struct wset_big. */
struct wset {
	uintptr_t v;
};

static inline bool wset_empty(const struct wset *s)
{
	return !s->v;
}

bool wset_has(const struct wset *s, u32 id);
/* 1: added; 0: was there; -ENOMEM: as it was. */
int wset_add(struct wset *s, u32 id);
/* Whether it was there. */
bool wset_del(struct wset *s, u32 id);
/* The smallest member >= *@id, into *@id. */
bool wset_next(const struct wset *s, u32 *id);
/* Removes every member whose bit is set in @gone (of @words words). */
void wset_remove_all(struct wset *s, const u64 *gone, u32 words);
void wset_clear(struct wset *s);
/* Bytes held beyond the set itself. */
size_t wset_bytes(const struct wset *s);

#define wset_for_each(set, id) \
	for ((id) = 0; wset_next((set), &(id)); (id)++)

#endif
