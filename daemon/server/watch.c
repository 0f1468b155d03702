// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of watches: see watch.h. Their rows are in watch_row.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/proto/zookeeper.h"
#include "daemon/server/watch_impl.h"

#define BUCKETS_MIN	64
#define WATCHERS_MIN	64
#define NO_WATCHER	WATCHER_NONE
#define WATCH_COST	160	/* beside the path: row, side, their heads, its bucket */

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
		rc = row_set_add(w, row_set(r, t, mode), id);
	if (rc < 0) {
		if (row_empty(r))
			row_unlink(w, row_find(w, path, len));
		return rc;
	}
	if (rc && mode == WATCH_RECURSIVE)
		w->n_recursive[t]++;
	for (int m = 0; m < N_MODES; m++) {
		struct wset *s = m == (int)mode ? NULL : row_set(r, t, m);

		if (s && row_set_del(w, s, id)) {
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

		if (s && row_set_del(w, s, id)) {
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
			row_set_clear(f->w, s);
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
				row_set_remove_all(w, s, w->dead, words);
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
