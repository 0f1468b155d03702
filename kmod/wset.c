// SPDX-License-Identifier: GPL-2.0-only
/*
 * See wset.h. Numbers are given out from the lowest, so that a set with many members
 * is dense: a thousand files that watch one path cost it 160 bytes.
 */
#include "wset.h"

#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <linux/string.h>

/* @room: array: members; bitmap: words, and WSET_BITMAP */
struct wset_big {
	u32 n;
	u32 room;
	union {
		u64 words[0];
		u32 ids[0];
	};
};

static_assert(sizeof(struct wset_big) == 8);

#define WSET_BITMAP	BIT(31)
#define WSET_FIRST	2	/* members of the smallest array */

static bool is_one(const struct wset *s)
{
	return s->v & 1;
}

static u32 the_one(const struct wset *s)
{
	return s->v >> 1;
}

static void set_one(struct wset *s, u32 id)
{
	s->v = (unsigned long)id << 1 | 1;
}

static struct wset_big *big(const struct wset *s)
{
	return (struct wset_big *)s->v;
}

static bool is_bitmap(const struct wset_big *b)
{
	return b->room & WSET_BITMAP;
}

static u32 words_of(const struct wset_big *b)
{
	return b->room & ~WSET_BITMAP;
}

/* All sizes are multiples of 16, which is what blocks come in. */
static size_t ids_size(u32 room)
{
	return sizeof(struct wset_big) + room * sizeof(u32);
}

/* Words for members up to @max, with one part in eight to grow. */
static u32 bitmap_words(u32 max)
{
	u32 n = max / 64 + 1;

	return (n + n / 8) | 1;
}

static size_t bits_size(u32 max)
{
	return sizeof(struct wset_big) + (size_t)bitmap_words(max) * sizeof(u64);
}

static size_t size_of(const struct wset_big *b)
{
	return is_bitmap(b) ? sizeof(*b) + (size_t)words_of(b) * sizeof(u64) :
			      ids_size(b->room);
}

/* Where @id is in the array, or belongs. */
static u32 find(const struct wset_big *b, u32 id)
{
	u32 lo = 0, hi = b->n;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (b->ids[mid] < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool wset_has(const struct wset *s, u32 id)
{
	const struct wset_big *b;
	u32 i;

	if (!s->v)
		return false;
	if (is_one(s))
		return the_one(s) == id;
	b = big(s);
	if (is_bitmap(b))
		return id / 64 < words_of(b) && b->words[id / 64] & BIT_ULL(id % 64);
	i = find(b, id);
	return i < b->n && b->ids[i] == id;
}

/* What a set that has no room for @id becomes. */
struct wset_next_form {
	bool bitmap;
	u32 room;
	size_t size;
};

static void next_form(const struct wset *s, u32 id, struct wset_next_form *f)
{
	const struct wset_big *b = is_one(s) ? NULL : big(s);
	u32 max, room;

	if (b && is_bitmap(b)) {
		max = id;
		room = 0;
	} else {
		max = max(id, b ? b->ids[b->n - 1] : the_one(s));
		room = b ? 2 * b->room + 2 : WSET_FIRST;
	}
	f->bitmap = !room || bits_size(max) <= ids_size(room);
	f->room = f->bitmap ? bitmap_words(max) : room;
	f->size = f->bitmap ? bits_size(max) : ids_size(room);
}

static bool has_room(const struct wset *s, u32 id)
{
	if (!s->v)
		return true;
	if (is_one(s))
		return false;
	if (is_bitmap(big(s)))
		return id / 64 < words_of(big(s));
	return big(s)->n < big(s)->room;
}

size_t wset_need(const struct wset *s, u32 id)
{
	struct wset_next_form f;

	if (has_room(s, id) || wset_has(s, id))
		return 0;
	next_form(s, id, &f);
	return f.size;
}

static void put(struct wset_big *b, u32 id)
{
	u32 i;

	if (is_bitmap(b)) {
		b->words[id / 64] |= BIT_ULL(id % 64);
	} else {
		i = find(b, id);
		memmove(&b->ids[i + 1], &b->ids[i], (b->n - i) * sizeof(u32));
		b->ids[i] = id;
	}
	b->n++;
}

/* Moves the set to @block, and what it was in to @block. */
static void change_form(struct wset *s, u32 id, struct wset_block *block)
{
	struct wset_big *to = block->mem, *from = is_one(s) ? NULL : big(s);
	struct wset_next_form f;
	u32 member = 0;

	next_form(s, id, &f);
	to->n = 0;
	to->room = f.room | (f.bitmap ? WSET_BITMAP : 0);
	if (f.bitmap)
		memset(to->words, 0, f.room * sizeof(u64));
	for (; wset_next(s, &member); member++)
		put(to, member);
	block->mem = from;
	block->size = from ? size_of(from) : 0;
	s->v = (unsigned long)to;
}

void wset_add(struct wset *s, u32 id, struct wset_block *block)
{
	if (wset_has(s, id))
		return;
	if (!s->v) {
		set_one(s, id);
		return;
	}
	if (!has_room(s, id))
		change_form(s, id, block);
	put(big(s), id);
}

/* After a removal: back to the small forms. */
static void shrink(struct wset *s, struct zk_mem *mem)
{
	struct wset_big *b = big(s);
	u32 id = 0;

	if (b->n > 1)
		return;
	if (b->n && wset_next(s, &id))
		set_one(s, id);
	else
		s->v = 0;
	zk_mem_free(mem, ZK_MEM_META, b, size_of(b));
}

bool wset_del(struct wset *s, u32 id, struct zk_mem *mem)
{
	struct wset_big *b;
	u32 i;

	if (!wset_has(s, id))
		return false;
	if (is_one(s)) {
		s->v = 0;
		return true;
	}
	b = big(s);
	b->n--;
	if (is_bitmap(b)) {
		b->words[id / 64] &= ~BIT_ULL(id % 64);
	} else {
		i = find(b, id);
		memmove(&b->ids[i], &b->ids[i + 1], (b->n - i) * sizeof(u32));
	}
	shrink(s, mem);
	return true;
}

static bool next_in_bitmap(const struct wset_big *b, u32 *id)
{
	u32 w = *id / 64;
	u64 bits;

	if (w >= words_of(b))
		return false;
	bits = b->words[w] & (~0ULL << (*id % 64));
	while (!bits) {
		if (++w == words_of(b))
			return false;
		bits = b->words[w];
	}
	*id = w * 64 + __ffs64(bits);
	return true;
}

bool wset_next(const struct wset *s, u32 *id)
{
	const struct wset_big *b;
	u32 i;

	if (!s->v)
		return false;
	if (is_one(s)) {
		if (the_one(s) < *id)
			return false;
		*id = the_one(s);
		return true;
	}
	b = big(s);
	if (is_bitmap(b))
		return next_in_bitmap(b, id);
	i = find(b, *id);
	if (i == b->n)
		return false;
	*id = b->ids[i];
	return true;
}

void wset_clear(struct wset *s, struct zk_mem *mem)
{
	if (s->v && !is_one(s))
		zk_mem_free(mem, ZK_MEM_META, big(s), size_of(big(s)));
	s->v = 0;
}
