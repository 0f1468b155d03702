// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sets of watcher numbers: see wset.h. Numbers are handed out from the lowest, so
 * a set that holds many of them is dense; 1000 clients that watch one path cost
 * that path 144 bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/server/wset.h"

struct wset_big {
	u32 n;
	u32 room;		/* array: members; bitmap: words, and the flag */
	union {
		u32 ids[0];
		u64 words[0];
	};
};

#define BITMAP		(1U << 31)

static bool is_one(const struct wset *s)
{
	return s->v & 1;
}

static struct wset_big *big(const struct wset *s)
{
	return (struct wset_big *)s->v;
}

static bool is_bitmap(const struct wset_big *b)
{
	return b->room & BITMAP;
}

static u32 words(const struct wset_big *b)
{
	return b->room & ~BITMAP;
}

static void set_one(struct wset *s, u32 id)
{
	s->v = (uintptr_t)id << 1 | 1;
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
		return s->v >> 1 == id;
	b = big(s);
	if (is_bitmap(b))
		return id / 64 < words(b) && b->words[id / 64] >> id % 64 & 1;
	i = find(b, id);
	return i < b->n && b->ids[i] == id;
}

static struct wset_big *new_array(u32 room)
{
	struct wset_big *b = malloc(sizeof(*b) + room * sizeof(u32));

	if (b) {
		b->n = 0;
		b->room = room;
	}
	return b;
}

/* A bitmap up to @max, with some room to grow: one part in eight. */
static struct wset_big *new_bitmap(u32 max)
{
	u32 n = max / 64 + 1;
	struct wset_big *b;

	n += n / 8;
	b = calloc(1, sizeof(*b) + (size_t)n * sizeof(u64));
	if (b)
		b->room = n | BITMAP;
	return b;
}

static int add_to_bitmap(struct wset *s, u32 id)
{
	struct wset_big *b = big(s);

	if (id / 64 >= words(b)) {
		struct wset_big *wider = new_bitmap(id);

		if (!wider)
			return -ENOMEM;
		memcpy(wider->words, b->words, words(b) * sizeof(u64));
		wider->n = b->n;
		free(b);
		b = wider;
		s->v = (uintptr_t)b;
	}
	if (b->words[id / 64] >> id % 64 & 1)
		return 0;
	b->words[id / 64] |= 1ULL << id % 64;
	b->n++;
	return 1;
}

/* The full array becomes a larger one, or a bitmap if that is not larger. */
static int grow_array(struct wset *s, u32 id)
{
	struct wset_big *b = big(s), *g;
	u32 max = b->ids[b->n - 1] > id ? b->ids[b->n - 1] : id;

	if (2 * b->room >= max / 32) {
		g = new_bitmap(max);
		if (!g)
			return -ENOMEM;
		for (u32 i = 0; i < b->n; i++)
			g->words[b->ids[i] / 64] |= 1ULL << b->ids[i] % 64;
		g->n = b->n;
		free(b);
	} else {
		g = realloc(b, sizeof(*b) + 2 * b->room * sizeof(u32));
		if (!g)
			return -ENOMEM;
		g->room *= 2;
	}
	s->v = (uintptr_t)g;
	return 0;
}

static int add_to_array(struct wset *s, u32 id)
{
	struct wset_big *b = big(s);
	u32 i = find(b, id);

	if (i < b->n && b->ids[i] == id)
		return 0;
	if (b->n == b->room) {
		if (grow_array(s, id))
			return -ENOMEM;
		b = big(s);
		if (is_bitmap(b))
			return add_to_bitmap(s, id);
	}
	memmove(&b->ids[i + 1], &b->ids[i], (b->n - i) * sizeof(u32));
	b->ids[i] = id;
	b->n++;
	return 1;
}

int wset_add(struct wset *s, u32 id)
{
	struct wset_big *b;

	if (!s->v) {
		set_one(s, id);
		return 1;
	}
	if (is_one(s)) {
		if (s->v >> 1 == id)
			return 0;
		b = new_array(4);
		if (!b)
			return -ENOMEM;
		b->ids[0] = s->v >> 1;
		b->n = 1;
		s->v = (uintptr_t)b;
	}
	return is_bitmap(big(s)) ? add_to_bitmap(s, id) : add_to_array(s, id);
}

/* After a removal: back to the small forms. */
static void shrink(struct wset *s)
{
	struct wset_big *b = big(s);
	u32 id = 0;

	if (b->n > 1)
		return;
	if (!b->n) {
		s->v = 0;
	} else {
		wset_next(s, &id);
		set_one(s, id);
	}
	free(b);
}

bool wset_del(struct wset *s, u32 id)
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
		b->words[id / 64] &= ~(1ULL << id % 64);
	} else {
		i = find(b, id);
		memmove(&b->ids[i], &b->ids[i + 1], (b->n - i) * sizeof(u32));
	}
	shrink(s);
	return true;
}

static bool next_in_bitmap(const struct wset_big *b, u32 *id)
{
	u32 w = *id / 64;
	u64 bits;

	if (w >= words(b))
		return false;
	bits = b->words[w] & ~0ULL << *id % 64;
	while (!bits) {
		if (++w == words(b))
			return false;
		bits = b->words[w];
	}
	*id = w * 64 + __builtin_ctzll(bits);
	return true;
}

bool wset_next(const struct wset *s, u32 *id)
{
	const struct wset_big *b;
	u32 i;

	if (!s->v)
		return false;
	if (is_one(s)) {
		if (s->v >> 1 < *id)
			return false;
		*id = s->v >> 1;
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

static bool has_bit(const u64 *bits, u32 n, u32 id)
{
	return id / 64 < n && bits[id / 64] >> id % 64 & 1;
}

void wset_remove_all(struct wset *s, const u64 *gone, u32 n)
{
	struct wset_big *b;
	u32 keep = 0;

	if (!s->v)
		return;
	if (is_one(s)) {
		if (has_bit(gone, n, s->v >> 1))
			s->v = 0;
		return;
	}
	b = big(s);
	if (is_bitmap(b)) {
		for (u32 i = 0; i < words(b); i++) {
			if (i < n)
				b->words[i] &= ~gone[i];
			keep += __builtin_popcountll(b->words[i]);
		}
	} else {
		for (u32 i = 0; i < b->n; i++)
			if (!has_bit(gone, n, b->ids[i]))
				b->ids[keep++] = b->ids[i];
	}
	b->n = keep;
	shrink(s);
}

void wset_clear(struct wset *s)
{
	if (s->v && !is_one(s))
		free(big(s));
	s->v = 0;
}

size_t wset_bytes(const struct wset *s)
{
	const struct wset_big *b;

	if (!s->v || is_one(s))
		return 0;
	b = big(s);
	return sizeof(*b) + (is_bitmap(b) ? words(b) * sizeof(u64) : b->room * sizeof(u32));
}
