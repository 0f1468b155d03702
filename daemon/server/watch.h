/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches: who wants to hear of what (WatchManager.java, twice: data watches and
 * child watches). Core thread only; knows nothing of connections: a watcher is a
 * number that belongs to an opaque owner.
 *
 * Kinds of watch, per table, path and watcher at most one (the last one set):
 * standard (fires once), persistent, persistent recursive (fires for everything
 * below too, and never for a change of children).
 *
 * Memory. A watched path costs 32 bytes and its name; its watchers are sets of
 * numbers (wset.h). There is no list of paths per watcher: one that goes is marked
 * dead at once, hears nothing more, and is swept out of the sets a few paths at a
 * time by watch_sweep(); only then is its number given out again. What a watcher's
 * watches can cost at most is counted, so that it can be bounded.
 *
 * Work. watch_fire() and watch_sweep() do as much as they are told to and go on from
 * there at the next call.
 */
#ifndef ZKD_SERVER_WATCH_H
#define ZKD_SERVER_WATCH_H

#include <linux/types.h>

struct watches;

enum watch_table {
	WATCH_DATA,
	WATCH_CHILD,
};

enum watch_mode {
	WATCH_STANDARD,
	WATCH_PERSISTENT,
	WATCH_RECURSIVE,
};

#define WATCHER_NONE	(~0U)

struct watches *watches_new(void);
void watches_free(struct watches *w);

/* A number for @owner (not NULL), or WATCHER_NONE when memory is short. */
u32 watcher_new(struct watches *w, void *owner);
/* The watcher and all its watches go. */
void watcher_gone(struct watches *w, u32 id);

/* 1: new, 0: there was one already (its mode is now @mode), -ENOMEM. */
int watch_add(struct watches *w, enum watch_table t, const char *path, u32 len, u32 id,
	      enum watch_mode mode);
/* What the watches of @id cost, bytes, were it alone with its paths. */
u64 watcher_bytes(const struct watches *w, u32 id);
/* Whether there was one. */
bool watch_remove(struct watches *w, enum watch_table t, const char *path, u32 len, u32 id);
/* Whether anybody has one on exactly this path: what 3.8's checkWatches asks. */
bool watch_any(const struct watches *w, enum watch_table t, const char *path, u32 len);
/* Whether there are recursive ones, those of the dead included until swept. */
bool watch_any_recursive(const struct watches *w, enum watch_table t);

/* How far a firing has come; all zero: not begun. */
struct watch_cursor {
	u32 up;			/* bytes of the path left off: recursive watches above */
	u32 set;
	u32 id;
};

/*
 * Fires @event (enum EVENT_*) of @path: calls @fn for the owner of each watcher
 * that is to hear of it, once each, and removes the standard watches. Watchers that
 * had @stamp already are passed over, and those that are told now get it: one stamp
 * for two tables is DataTree.deleteNode's "processed". Take stamps with
 * watch_stamp(). @fn may call watcher_gone(), and nothing else of this.
 *
 * Each path looked up and each watcher looked at takes one of @budget. False: it is
 * used up; call again with the same @at to go on. Until then nothing may be added,
 * removed or swept; watchers may go.
 */
u32 watch_stamp(struct watches *w);
bool watch_fire(struct watches *w, enum watch_table t, int event, const char *path, u32 len,
		u32 stamp, struct watch_cursor *at, u32 *budget,
		void (*fn)(void *arg, void *owner), void *arg);

/* False: nobody watches anything, nothing can fire. */
bool watches_exist(const struct watches *w);
/* Sweeps dead watchers out of about @rows table rows; true: there is more to do. */
bool watch_sweep(struct watches *w, u32 rows);

/*
 * Walks one table, about @n watches and rows a call: @fn for each watcher of each row, the
 * watchers of one row one after the other with the same @path. Begin with @cursor 0,
 * go on with what is returned, until that is 0. Whatever happens to the table between
 * calls, a watch that stays is seen once. @fn must not call any of this.
 */
u32 watches_some(const struct watches *w, enum watch_table t, u32 cursor, u32 n,
		 void (*fn)(void *arg, const char *path, u32 len, void *owner), void *arg);

struct watch_counts {
	u64 watches;		/* both tables, of living watchers */
	u64 watchers;		/* that have any */
	u64 paths;		/* rows, those of the dead included until swept */
	u64 bytes;		/* watch_bytes() */
};
void watch_counts(const struct watches *w, struct watch_counts *c);
/* Memory of all of it. */
u64 watch_bytes(const struct watches *w);

#endif
