/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tables of watches are made of, between watch.c and watch_row.c. One hash
 * table with a row for each watched path serves data and child watches; rows that
 * have persistent watches, which are rare, hang their sets on a side block.
 */
#ifndef ZKD_SERVER_WATCH_IMPL_H
#define ZKD_SERVER_WATCH_IMPL_H

#include "daemon/server/watch.h"
#include "daemon/server/wset.h"

#define N_TABLES	2
#define N_MODES		3

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

/* The watchers of @mode in table @t, or NULL: there can be none. */
static inline struct wset *row_set(struct row *r, int t, int mode)
{
	if (r->has_side)
		return &r->side->sets[t][mode];
	return mode == WATCH_STANDARD ? &r->std[t] : NULL;
}

/* The same as the calls of wset.h, counting what they take and give. */
int row_set_add(struct watches *w, struct wset *s, u32 id);
bool row_set_del(struct watches *w, struct wset *s, u32 id);
void row_set_clear(struct watches *w, struct wset *s);
void row_set_remove_all(struct watches *w, struct wset *s, const u64 *gone, u32 words);

/* Where the pointer to the path's row is, or the end of its bucket's chain. */
struct row **row_find(const struct watches *w, const char *path, u32 len);
/* The row, made if need be; NULL: no memory, or no such path can be. */
struct row *row_get(struct watches *w, const char *path, u32 len);
/* Makes room in the row for persistent watches. -ENOMEM. */
int row_add_side(struct watches *w, struct row *r);
/* Does nobody watch it? */
bool row_empty(struct row *r);
/* Takes the row out of its bucket, and frees it. */
void row_unlink(struct watches *w, struct row **slot);
/* Frees it with all its sets. */
void row_free(struct watches *w, struct row *r);

#endif
