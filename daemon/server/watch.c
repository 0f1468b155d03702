// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of watches: see watch.h. One hash table with a row for each watched
 * path serves data and child watches; rows that have persistent watches, which
 * are rare, hang their sets on a side block.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/proto/zookeeper.h"
#include "daemon/server/watch.h"
#include "daemon/server/wset.h"

#define N_TABLES	2
#define N_MODES		3
#define BUCKETS_MIN	64
#define WATCHERS_MIN	64
#define NO_WATCHER	WATCHER_NONE
#define WATCH_COST	160	/* beside the path: row, side, their heads, its bucket */

struct side {
	struct wset sets[N_TABLES][N_MODES];
};

struct row {
	struct row *next;
	u32 hash;
	u32 len : 31;
	u32 has_side : 1;
	union {
		struct wset std[N_TABLES];
		struct side *side;
	};
	char path[];
};

struct watcher {
	void *owner;		/* NULL: free or dead */
	u32 count;		/* its watches; free: the next free one */
	u32 stamp;
	u64 bytes;		/* watcher_bytes() */
};

struct watches {
	u64 key;
	struct row **buckets;
	u32 n_buckets;		/* power of two */
	u32 n_rows;
	u64 n_watches;
	u32 n_watching;		/* watchers that have watches */
	u64 row_bytes;		/* memory of the rows and their sets */
	u64 n_recursive[N_TABLES];
	u32 stamp;
	struct watcher *watchers;
	u32 n_watchers;		/* room; a multiple of 64 */
	u32 free_watcher;
	u64 *dead;		/* bits: being swept */
	u64 *dying;		/* bits: gone since this sweep began */
	u32 n_dead, n_dying;
	bool sweeping;
	u32 cursor;
};

struct watches *watches_new(void)
{
	struct watches *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->key = hash_key();
	w->n_buckets = BUCKETS_MIN;
	w->free_watcher = NO_WATCHER;
	w->buckets = calloc(w->n_buckets, sizeof(*w->buckets));
	if (!w->buckets) {
		free(w);
		return NULL;
	}
	return w;
}

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

/* The same as the calls of wset.h, counting what they take and give. */
static int set_add(struct watches *w, struct wset *s, u32 id)
{
	u64 before = set_bytes(s);
	int rc = wset_add(s, id);

	w->row_bytes += set_bytes(s) - before;
	return rc;
}

static bool set_del(struct watches *w, struct wset *s, u32 id)
{
	u64 before = set_bytes(s);
	bool had = wset_del(s, id);

	w->row_bytes += set_bytes(s) - before;
	return had;
}

static void set_clear(struct watches *w, struct wset *s)
{
	w->row_bytes -= set_bytes(s);
	wset_clear(s);
}

static void set_remove_all(struct watches *w, struct wset *s, const u64 *gone, u32 words)
{
	u64 before = set_bytes(s);

	wset_remove_all(s, gone, words);
	w->row_bytes += set_bytes(s) - before;
}

/* ------------------------------------------------------------ rows */

static struct wset *row_set(struct row *r, int t, int mode)
{
	if (r->has_side)
		return &r->side->sets[t][mode];
	return mode == WATCH_STANDARD ? &r->std[t] : NULL;
}

static void row_free(struct watches *w, struct row *r)
{
	for (int t = 0; t < N_TABLES; t++) {
		for (int m = 0; m < N_MODES; m++) {
			struct wset *s = row_set(r, t, m);

			if (s)
				set_clear(w, s);
		}
	}
	w->row_bytes -= chunk(sizeof(*r) + r->len);
	if (r->has_side) {
		w->row_bytes -= chunk(sizeof(*r->side));
		free(r->side);
	}
	free(r);
}

static bool row_empty(struct row *r)
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

/* Makes room in the row for persistent watches. */
static int row_add_side(struct watches *w, struct row *r)
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

static struct row **row_find(const struct watches *w, const char *path, u32 len)
{
	return row_slot(w, path, len, path_hash(w, path, len));
}

static void row_unlink(struct watches *w, struct row **slot)
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

static struct row *row_get(struct watches *w, const char *path, u32 len)
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

void watches_free(struct watches *w)
{
	struct row *r, *next;

	if (!w)
		return;
	for (u32 i = 0; i < w->n_buckets; i++) {
		for (r = w->buckets[i]; r; r = next) {
			next = r->next;
			row_free(w, r);
		}
	}
	free(w->buckets);
	free(w->watchers);
	free(w->dead);
	free(w->dying);
	free(w);
}

/* ------------------------------------------------------------ watchers */

static int widen_bits(u64 **bits, u32 from, u32 to)
{
	u64 *b = realloc(*bits, to / 64 * sizeof(u64));

	if (!b)
		return -ENOMEM;
	memset(b + from / 64, 0, (to - from) / 64 * sizeof(u64));
	*bits = b;
	return 0;
}

/* The free list is kept so that low numbers go first: sets stay dense. */
static int more_watchers(struct watches *w)
{
	u32 old = w->n_watchers, n = old ? old * 2 : WATCHERS_MIN;
	struct watcher *ws;

	if (n > WSET_MAX_ID)
		return -ENOMEM;
	/* Each may be wider than n_watchers says; none is ever narrower. */
	if (widen_bits(&w->dead, old, n) || widen_bits(&w->dying, old, n))
		return -ENOMEM;
	ws = realloc(w->watchers, n * sizeof(*ws));
	if (!ws)
		return -ENOMEM;
	w->watchers = ws;
	w->n_watchers = n;
	for (u32 i = n; i-- > old;) {
		ws[i].owner = NULL;
		ws[i].stamp = 0;
		ws[i].count = w->free_watcher;
		w->free_watcher = i;
	}
	return 0;
}

u32 watcher_new(struct watches *w, void *owner)
{
	u32 id;

	if (w->free_watcher == NO_WATCHER && more_watchers(w))
		return WATCHER_NONE;
	id = w->free_watcher;
	w->free_watcher = w->watchers[id].count;
	w->watchers[id].owner = owner;
	w->watchers[id].count = 0;
	w->watchers[id].stamp = 0;
	w->watchers[id].bytes = 0;
	return id;
}

static void watcher_release(struct watches *w, u32 id)
{
	w->watchers[id].count = w->free_watcher;
	w->free_watcher = id;
}

void watcher_gone(struct watches *w, u32 id)
{
	struct watcher *me = &w->watchers[id];

	me->owner = NULL;
	if (!me->count) {
		watcher_release(w, id);
		return;
	}
	w->n_watches -= me->count;
	w->n_watching--;
	w->dying[id / 64] |= 1ULL << id % 64;
	w->n_dying++;
}

/* ------------------------------------------------------------ setting */

static void count_watch(struct watches *w, u32 id, u32 path_len)
{
	w->n_watches++;
	w->watchers[id].bytes += WATCH_COST + path_len;
	if (!w->watchers[id].count++)
		w->n_watching++;
}

static void uncount_watch(struct watches *w, u32 id, u32 path_len)
{
	w->n_watches--;
	w->watchers[id].bytes -= WATCH_COST + path_len;
	if (!--w->watchers[id].count)
		w->n_watching--;
}

int watch_add(struct watches *w, enum watch_table t, const char *path, u32 len, u32 id,
	      enum watch_mode mode)
{
	struct row *r = row_get(w, path, len);
	bool had = false;
	int rc;

	if (!r)
		return -ENOMEM;
	rc = mode == WATCH_STANDARD ? 0 : row_add_side(w, r);
	if (!rc)
		rc = set_add(w, row_set(r, t, mode), id);
	if (rc < 0) {
		if (row_empty(r))
			row_unlink(w, row_find(w, path, len));
		return rc;
	}
	if (rc && mode == WATCH_RECURSIVE)
		w->n_recursive[t]++;
	for (int m = 0; m < N_MODES; m++) {
		struct wset *s = m == (int)mode ? NULL : row_set(r, t, m);

		if (s && set_del(w, s, id)) {
			had = true;
			if (m == WATCH_RECURSIVE)
				w->n_recursive[t]--;
		}
	}
	if (!rc || had)
		return 0;
	count_watch(w, id, len);
	return 1;
}

bool watch_remove(struct watches *w, enum watch_table t, const char *path, u32 len, u32 id)
{
	struct row **slot = row_find(w, path, len);
	bool had = false;

	if (!*slot)
		return false;
	for (int m = 0; m < N_MODES; m++) {
		struct wset *s = row_set(*slot, t, m);

		if (s && set_del(w, s, id)) {
			had = true;
			if (m == WATCH_RECURSIVE)
				w->n_recursive[t]--;
		}
	}
	if (!had)
		return false;
	uncount_watch(w, id, len);
	if (row_empty(*slot))
		row_unlink(w, slot);
	return true;
}

u64 watcher_bytes(const struct watches *w, u32 id)
{
	return w->watchers[id].bytes;
}

bool watch_any(const struct watches *w, enum watch_table t, const char *path, u32 len)
{
	struct row *r = *row_find(w, path, len);
	u32 id;

	if (!r)
		return false;
	for (int m = 0; m < N_MODES; m++) {
		struct wset *s = row_set(r, t, m);

		if (!s)
			continue;
		wset_for_each(s, id)
			if (w->watchers[id].owner)
				return true;
	}
	return false;
}

/* ------------------------------------------------------------ firing */

u32 watch_stamp(struct watches *w)
{
	if (!++w->stamp) {
		for (u32 i = 0; i < w->n_watchers; i++)
			w->watchers[i].stamp = 0;
		w->stamp = 1;
	}
	return w->stamp;
}

struct firing {
	struct watches *w;
	u32 stamp;
	u32 *budget;
	void (*fn)(void *arg, void *owner);
	void *arg;
};

/* From @id on. @spent: standard watches, which have had their one event with this.
 * False: the budget is used up, *@id says where to go on. */
static bool tell(struct firing *f, const struct wset *s, u32 *id, const struct row *spent)
{
	for (; s && wset_next(s, id); (*id)++) {
		struct watcher *who = &f->w->watchers[*id];

		if (!*f->budget)
			return false;
		--*f->budget;
		if (!who->owner)
			continue;
		if (spent)
			uncount_watch(f->w, *id, spent->len);
		if (who->stamp == f->stamp)
			continue;
		who->stamp = f->stamp;
		f->fn(f->arg, who->owner);
	}
	*id = 0;
	return true;
}

static u32 parent_len(const char *path, u32 len)
{
	if (len <= 1)
		return 0;
	while (len && path[len - 1] != '/')
		len--;
	return len > 1 ? len - 1 : len;
}

/* The sets of the path itself, in the order of their modes. */
static bool fire_row(struct firing *f, enum watch_table t, int event, struct row **slot,
		     struct watch_cursor *at)
{
	struct row *r = *slot;

	for (; at->set < N_MODES; at->set++) {
		struct wset *s = row_set(r, t, at->set);

		if (at->set == WATCH_RECURSIVE && event == EVENT_CHILDREN)
			break;
		if (!tell(f, s, &at->id, at->set == WATCH_STANDARD ? r : NULL))
			return false;
		if (at->set == WATCH_STANDARD)
			set_clear(f->w, s);
	}
	if (row_empty(r))
		row_unlink(f->w, slot);
	return true;
}

bool watch_fire(struct watches *w, enum watch_table t, int event, const char *path, u32 len,
		u32 stamp, struct watch_cursor *at, u32 *budget,
		void (*fn)(void *arg, void *owner), void *arg)
{
	struct firing f = { .w = w, .stamp = stamp, .budget = budget, .fn = fn, .arg = arg };
	u32 here = len - at->up;
	struct row **slot;

	while (w->n_rows) {
		if (!*budget)
			return false;
		--*budget;
		slot = row_find(w, path, here);
		if (*slot && here == len && !fire_row(&f, t, event, slot, at))
			return false;
		if (*slot && here != len &&
		    !tell(&f, row_set(*slot, t, WATCH_RECURSIVE), &at->id, NULL))
			return false;
		if (!w->n_recursive[t] || event == EVENT_CHILDREN)
			break;
		here = parent_len(path, here);
		if (!here)
			break;
		at->up = len - here;
	}
	return true;
}

bool watch_any_recursive(const struct watches *w, enum watch_table t)
{
	return w->n_recursive[t];
}

bool watches_exist(const struct watches *w)
{
	return w->n_rows != 0;
}

/* ------------------------------------------------------------ sweeping */

static void sweep_row(struct watches *w, struct row *r)
{
	u32 words = w->n_watchers / 64;

	for (int t = 0; t < N_TABLES; t++) {
		struct wset *rec = row_set(r, t, WATCH_RECURSIVE);
		u32 id;

		if (rec)
			wset_for_each(rec, id)
				w->n_recursive[t] -= w->dead[id / 64] >> id % 64 & 1;
		for (int m = 0; m < N_MODES; m++) {
			struct wset *s = row_set(r, t, m);

			if (s)
				set_remove_all(w, s, w->dead, words);
		}
	}
}

static void sweep_bucket(struct watches *w, u32 bucket)
{
	struct row **slot = &w->buckets[bucket];

	while (*slot) {
		sweep_row(w, *slot);
		if (row_empty(*slot))
			row_unlink(w, slot);
		else
			slot = &(*slot)->next;
	}
}

static void sweep_done(struct watches *w)
{
	for (u32 id = w->n_watchers; id-- > 0;)
		if (w->dead[id / 64] >> id % 64 & 1)
			watcher_release(w, id);
	memset(w->dead, 0, w->n_watchers / 8);
	w->n_dead = 0;
	w->sweeping = false;
}

bool watch_sweep(struct watches *w, u32 rows)
{
	if (!w->sweeping) {
		u64 *bits = w->dead;

		if (!w->n_dying)
			return false;
		w->dead = w->dying;
		w->dying = bits;
		w->n_dead = w->n_dying;
		w->n_dying = 0;
		w->cursor = 0;
		w->sweeping = true;
	}
	while (rows-- && w->cursor < w->n_buckets)
		sweep_bucket(w, w->cursor++);
	if (w->cursor == w->n_buckets)
		sweep_done(w);
	return w->sweeping || w->n_dying;
}

/* ------------------------------------------------------------ walking */

static u32 show_row(const struct watches *w, struct row *r, enum watch_table t,
		     void (*fn)(void *arg, const char *path, u32 len, void *owner), void *arg)
{
	u32 id, n = 1;

	for (int m = 0; m < N_MODES; m++) {
		struct wset *s = row_set(r, t, m);

		if (!s)
			continue;
		wset_for_each(s, id) {
			n++;
			if (w->watchers[id].owner)
				fn(arg, r->path, r->len, w->watchers[id].owner);
		}
	}
	return n;
}

u32 watches_some(const struct watches *w, enum watch_table t, u32 cursor, u32 n,
		 void (*fn)(void *arg, const char *path, u32 len, void *owner), void *arg)
{
	u32 done = 0;

	do {
		for (struct row *r = w->buckets[cursor & (w->n_buckets - 1)]; r; r = r->next)
			done += show_row(w, r, t, fn, arg);
		done++;
		cursor = hash_cursor_next(cursor, w->n_buckets);
	} while (cursor && done < n);
	return cursor;
}

void watch_counts(const struct watches *w, struct watch_counts *c)
{
	c->watches = w->n_watches;
	c->paths = w->n_rows;
	c->watchers = w->n_watching;
	c->bytes = watch_bytes(w);
}
