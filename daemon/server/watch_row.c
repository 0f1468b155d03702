// SPDX-License-Identifier: GPL-2.0-or-later
/* The rows of the tables of watches, and the memory that they take: watch_impl.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/server/watch_impl.h"

/* ------------------------------------------------------------ memory */

/* What malloc makes of a request: header, and steps of 16. */
static u64 chunk(size_t n)
{
	return n + 8 < 32 ? 32 : (n + 8 + 15) & ~15ULL;
}

static u64 set_bytes(const struct wset *s)
{
	size_t n = wset_bytes(s);

	return n ? chunk(n) : 0;
}

u64 watch_bytes(const struct watches *w)
{
	return chunk(sizeof(*w)) + w->n_buckets * sizeof(*w->buckets) +
	       w->n_watchers * sizeof(*w->watchers) + w->n_watchers / 4 + w->row_bytes;
}

int row_set_add(struct watches *w, struct wset *s, u32 id)
{
	u64 before = set_bytes(s);
	int rc = wset_add(s, id);

	w->row_bytes += set_bytes(s) - before;
	return rc;
}

bool row_set_del(struct watches *w, struct wset *s, u32 id)
{
	u64 before = set_bytes(s);
	bool had = wset_del(s, id);

	w->row_bytes += set_bytes(s) - before;
	return had;
}

void row_set_clear(struct watches *w, struct wset *s)
{
	w->row_bytes -= set_bytes(s);
	wset_clear(s);
}

void row_set_remove_all(struct watches *w, struct wset *s, const u64 *gone, u32 words)
{
	u64 before = set_bytes(s);

	wset_remove_all(s, gone, words);
	w->row_bytes += set_bytes(s) - before;
}

/* ------------------------------------------------------------ rows */

void row_free(struct watches *w, struct row *r)
{
	for (int t = 0; t < N_TABLES; t++) {
		for (int m = 0; m < N_MODES; m++) {
			struct wset *s = row_set(r, t, m);

			if (s)
				row_set_clear(w, s);
		}
	}
	w->row_bytes -= chunk(sizeof(*r) + r->len);
	if (r->has_side) {
		w->row_bytes -= chunk(sizeof(*r->side));
		free(r->side);
	}
	free(r);
}

bool row_empty(struct row *r)
{
	for (int t = 0; t < N_TABLES; t++) {
		for (int m = 0; m < N_MODES; m++) {
			struct wset *s = row_set(r, t, m);

			if (s && !wset_empty(s))
				return false;
		}
	}
	return true;
}

int row_add_side(struct watches *w, struct row *r)
{
	struct side *side;

	if (r->has_side)
		return 0;
	side = calloc(1, sizeof(*side));
	if (!side)
		return -ENOMEM;
	for (int t = 0; t < N_TABLES; t++)
		side->sets[t][WATCH_STANDARD] = r->std[t];
	r->side = side;
	r->has_side = 1;
	w->row_bytes += chunk(sizeof(*side));
	return 0;
}

static u32 path_hash(const struct watches *w, const char *path, u32 len)
{
	return hash_bytes(w->key, path, len);
}

/* Where the pointer to the row is, or the end of its bucket's chain. */
static struct row **row_slot(const struct watches *w, const char *path, u32 len, u32 hash)
{
	struct row **p = &w->buckets[hash & (w->n_buckets - 1)];

	for (; *p; p = &(*p)->next)
		if ((*p)->hash == hash && (*p)->len == len && !memcmp((*p)->path, path, len))
			break;
	return p;
}

struct row **row_find(const struct watches *w, const char *path, u32 len)
{
	return row_slot(w, path, len, path_hash(w, path, len));
}

void row_unlink(struct watches *w, struct row **slot)
{
	struct row *r = *slot;

	*slot = r->next;
	w->n_rows--;
	row_free(w, r);
}

/* Twice the buckets; stays as it is when memory is short. A sweep starts over,
 * for rows have moved. */
static void grow(struct watches *w)
{
	u32 n = w->n_buckets * 2;
	struct row **b, *r, *next;

	b = n ? calloc(n, sizeof(*b)) : NULL;
	if (!b)
		return;
	for (u32 i = 0; i < w->n_buckets; i++) {
		for (r = w->buckets[i]; r; r = next) {
			next = r->next;
			r->next = b[r->hash & (n - 1)];
			b[r->hash & (n - 1)] = r;
		}
	}
	free(w->buckets);
	w->buckets = b;
	w->n_buckets = n;
	w->cursor = 0;
}

struct row *row_get(struct watches *w, const char *path, u32 len)
{
	u32 hash = path_hash(w, path, len);
	struct row **slot = row_slot(w, path, len, hash), *r = *slot;

	if (r)
		return r;
	if (len >= 1U << 31)
		return NULL;
	r = calloc(1, sizeof(*r) + len);
	if (!r)
		return NULL;
	r->hash = hash;
	r->len = len;
	memcpy(r->path, path, len);
	w->row_bytes += chunk(sizeof(*r) + len);
	*slot = r;
	if (++w->n_rows > w->n_buckets)
		grow(w);
	return r;
}
