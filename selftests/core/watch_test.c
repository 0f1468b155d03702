// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Watches: sets and tables against plain models, and what they cost.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/proto/zookeeper.h"
#include "daemon/server/watch.h"
#include "daemon/server/wset.h"
#include "selftests/core/core.h"

/* ------------------------------------------------------------ sets */

static void same_set(const struct wset *s, const bool *model, u32 n)
{
	u32 id, next = 0;

	wset_for_each(s, id) {
		for (; next < id; next++)
			check(!model[next]);
		check(model[id]);
		next = id + 1;
	}
	for (; next < n; next++)
		check(!model[next]);
}

void test_wset(void)
{
	enum { MAX = 5000 };
	static bool model[MAX];
	static u64 gone[MAX / 64 + 1];

	for (int round = 0; round < 60; round++) {
		u32 range = 1 + rnd(round % 2 ? 70 : MAX - 1), grow = 1 + rnd(3);
		struct wset s = { 0 };

		memset(model, 0, sizeof(model));
		for (int i = 0; i < 3000; i++) {
			u32 id = rnd(range);

			if (rnd(4) < grow) {
				check_eq(wset_add(&s, id), !model[id]);
				model[id] = true;
			} else {
				check_eq(wset_del(&s, id), model[id]);
				model[id] = false;
			}
			check_eq(wset_has(&s, id), model[id]);
		}
		same_set(&s, model, MAX);
		memset(gone, 0, sizeof(gone));
		for (u32 id = 0; id < MAX; id++) {
			if (rnd(2)) {
				gone[id / 64] |= 1ULL << id % 64;
				model[id] = false;
			}
		}
		wset_remove_all(&s, gone, MAX / 64 + 1);
		same_set(&s, model, MAX);
		wset_clear(&s);
		check(wset_empty(&s));
	}
}

/* ------------------------------------------------------------ the model */

#define PATHS		60
#define WATCHERS	150
#define NOT_SET		(-1)

static char paths[PATHS][32];
static int modes[2][PATHS][WATCHERS];	/* NOT_SET or enum watch_mode */
static u32 ids[WATCHERS];
static bool alive[WATCHERS];
static bool told[WATCHERS];
static int owners[WATCHERS];		/* their addresses are the owners */

static void make_paths(void)
{
	strcpy(paths[0], "/");
	for (int i = 1; i < PATHS; i++) {
		const char *parent = paths[rnd(i)];

		if (strlen(parent) > 24 || !strcmp(parent, "/"))
			parent = "";
		snprintf(paths[i], sizeof(paths[i]), "%.24s/%d", parent, i);
	}
}

static bool is_above(const char *up, const char *path)
{
	size_t n = strlen(up);

	if (!strcmp(up, "/"))
		return strcmp(path, "/") != 0;
	return !strncmp(up, path, n) && path[n] == '/';
}

static void on_told(void *arg, void *owner)
{
	int i = (int *)owner - owners;

	(void)arg;
	check(alive[i]);
	check(!told[i]);
	told[i] = true;
}

/* What WatchManager.triggerWatch does, in the plainest way. */
static void model_fire(int t, int event, int path, bool *expect)
{
	for (int p = 0; p < PATHS; p++) {
		for (int i = 0; i < WATCHERS; i++) {
			int *m = &modes[t][p][i];

			if (*m == WATCH_RECURSIVE && event != EVENT_CHILDREN &&
			    (p == path || is_above(paths[p], paths[path])))
				expect[i] = true;
			if (p != path || *m == NOT_SET || *m == WATCH_RECURSIVE)
				continue;
			expect[i] = true;
			if (*m == WATCH_STANDARD)
				*m = NOT_SET;
		}
	}
}

static void fire_in_parts(struct watches *w, int t, int event, const char *path, u32 stamp)
{
	struct watch_cursor at = { 0 };
	u32 budget;

	do {
		budget = rnd(4);
	} while (!watch_fire(w, t, event, path, strlen(path), stamp, &at, &budget, on_told,
			     NULL));
}

static void fire_both(struct watches *w, bool both)
{
	bool expect[WATCHERS] = { false };
	int path = rnd(PATHS), t = rnd(2);
	int event = both ? EVENT_DELETED : (int)(EVENT_CREATED + rnd(4));
	u32 stamp = watch_stamp(w);

	memset(told, 0, sizeof(told));
	fire_in_parts(w, t, event, paths[path], stamp);
	model_fire(t, event, path, expect);
	if (both) {
		fire_in_parts(w, !t, event, paths[path], stamp);
		model_fire(!t, event, path, expect);
	}
	check(!memcmp(told, expect, sizeof(told)));
}

static void model_gone(int i)
{
	alive[i] = false;
	for (int t = 0; t < 2; t++)
		for (int p = 0; p < PATHS; p++)
			modes[t][p][i] = NOT_SET;
}

static void compare_counts(struct watches *w)
{
	u64 n = 0, watching = 0;
	struct watch_counts c;

	for (int i = 0; i < WATCHERS; i++) {
		u64 before = n;

		for (int t = 0; t < 2; t++)
			for (int p = 0; p < PATHS; p++)
				n += modes[t][p][i] != NOT_SET;
		watching += n > before;
	}
	watch_counts(w, &c);
	check_eq(c.watches, n);
	check_eq(c.watchers, watching);
	for (int t = 0; t < 2; t++) {
		for (int p = 0; p < PATHS; p++) {
			bool any = false;

			for (int i = 0; i < WATCHERS; i++)
				any |= modes[t][p][i] != NOT_SET;
			check_eq(watch_any(w, t, paths[p], strlen(paths[p])), any);
		}
	}
}

void test_watch_model(void)
{
	struct watches *w = watches_new();
	struct watch_counts c;

	make_paths();
	memset(modes, NOT_SET, sizeof(modes));
	for (int step = 0; step < 60000; step++) {
		int i = rnd(WATCHERS), p = rnd(PATHS), t = rnd(2), what = rnd(100);
		u32 len = strlen(paths[p]);

		if (!alive[i]) {
			ids[i] = watcher_new(w, &owners[i]);
			check(ids[i] != WATCHER_NONE);
			alive[i] = true;
		} else if (what < 70) {
			int mode = rnd(4) ? WATCH_STANDARD : (int)rnd(3);

			check_eq(watch_add(w, t, paths[p], len, ids[i], mode),
				 modes[t][p][i] == NOT_SET);
			modes[t][p][i] = mode;
		} else if (what < 80) {
			check_eq(watch_remove(w, t, paths[p], len, ids[i]),
				 modes[t][p][i] != NOT_SET);
			modes[t][p][i] = NOT_SET;
		} else if (what < 96) {
			fire_both(w, what < 85);
		} else if (what < 98) {
			watch_sweep(w, 1 + rnd(20));
		} else {
			watcher_gone(w, ids[i]);
			model_gone(i);
		}
		if (step % 500 == 0)
			compare_counts(w);
	}
	for (int i = 0; i < WATCHERS; i++) {
		if (alive[i])
			watcher_gone(w, ids[i]);
		model_gone(i);
	}
	while (watch_sweep(w, 100))
		;
	watch_counts(w, &c);
	check_eq(c.watches, 0);
	check_eq(c.paths, 0);
	check(!watches_exist(w));
	watches_free(w);
}

/* ------------------------------------------------------------ memory */

static struct watches *many(u32 watchers, u32 n_paths, bool each)
{
	struct watches *w = watches_new();
	char path[48];

	for (u32 i = 0; i < watchers; i++)
		check_eq(watcher_new(w, &owners[i % WATCHERS]), i);
	for (u32 p = 0; p < n_paths; p++) {
		u32 len = snprintf(path, sizeof(path), "/watched/path-%08u", p);

		for (u32 i = 0; i < watchers; i++)
			if (each || i == p % watchers)
				check_eq(watch_add(w, WATCH_DATA, path, len, i, 0), 1);
	}
	return w;
}

/* DESIGN 12: a tenth of the 77 bytes of ZooKeeper's default manager. */
void test_watch_dense(void)
{
	struct watches *w = many(1000, 1000, true);
	u64 bytes = watch_bytes(w);

	printf("# dense: %.2f bytes a watch\n", bytes / 1e6);
	check(bytes * 10 < 77 * 1000000);
	watches_free(w);
}

/* And where hardly two watch the same: below the 84 of its optimised manager. */
void test_watch_sparse(void)
{
	struct watches *w = many(1000, 100000, false);
	u64 bytes = watch_bytes(w);

	printf("# sparse: %.1f bytes a watch\n", bytes / 1e5);
	check(bytes < 84 * 100000);
	watches_free(w);
}

void test_watch_sweep(void)
{
	struct watches *w = many(1000, 200, true);
	struct watch_counts c;
	u32 id, rounds = 0;

	for (u32 i = 0; i < 500; i++)
		watcher_gone(w, i);
	watch_counts(w, &c);
	check_eq(c.watches, 500 * 200);
	/* numbers still in sets are not given out */
	for (u32 i = 0; i < 24; i++)
		check(watcher_new(w, &owners[0]) >= 1000);
	while (watch_sweep(w, 16))
		rounds++;
	check(rounds > 4);
	id = watcher_new(w, &owners[0]);
	check_eq(id, 0);
	/* who has the number now hears nothing of what the earlier one watched */
	memset(told, 0, sizeof(told));
	watcher_gone(w, id);
	for (u32 i = 500; i < 1000; i++)
		watcher_gone(w, i);
	while (watch_sweep(w, 1000))
		;
	watch_counts(w, &c);
	check_eq(c.watches, 0);
	check_eq(c.paths, 0);
	watches_free(w);
}

static void on_none(void *arg, void *owner)
{
	(void)arg;
	(void)owner;
}

/* Watches of all kinds by @n watchers on 50 paths, gone in each of the ways there are. */
static void come_and_go(struct watches *w, u32 n)
{
	u32 ids[200], budget, one = 200;
	struct watch_cursor at;
	char path[32];

	for (u32 i = 0; i < n; i++)
		ids[i] = watcher_new(w, &owners[i % WATCHERS]);
	for (u32 p = 0; p < 50; p++) {
		u32 len = snprintf(path, sizeof(path), "/come/and/go-%u", p);

		for (u32 i = 0; i < n; i++)
			watch_add(w, i & 1, path, len, ids[i], (i + p) % 3);
		at = (struct watch_cursor){ 0 };
		budget = 1000000;
		check(watch_fire(w, WATCH_DATA, EVENT_DATACHANGED, path, len, ++one, &at,
				 &budget, on_none, NULL));
		for (u32 i = 0; i < n / 2; i++)
			watch_remove(w, i & 1, path, len, ids[i]);
	}
	for (u32 i = 0; i < n; i++)
		watcher_gone(w, ids[i]);
	while (watch_sweep(w, 16))
		;
}

/* What is counted as their memory goes when they go. */
void test_watch_memory(void)
{
	struct watches *w = watches_new();
	struct watch_counts c;
	u64 none;
	u32 id;

	come_and_go(w, 200);
	none = watch_bytes(w);
	id = watcher_new(w, &owners[0]);
	check_eq(watch_add(w, WATCH_DATA, "/one", 4, id, 0), 1);
	check(watch_bytes(w) > none);
	watch_counts(w, &c);
	check_eq(c.bytes, watch_bytes(w));
	watch_remove(w, WATCH_DATA, "/one", 4, id);
	check_eq(watch_bytes(w), none);
	for (u32 n = 1; n <= 200; n = n * 3 + 1) {
		come_and_go(w, n);
		check_eq(watch_bytes(w), none);
	}
	watches_free(w);
}

#define STORM	100000

static u32 heard[STORM];
static u32 calls;

static void on_storm(void *arg, void *owner)
{
	(void)arg;
	heard[(u32 *)owner - heard]++;
	calls++;
}

/* One path, as many watchers as a server has sessions: told a slice at a time, each
 * once, and who goes meanwhile is told no more. */
void test_watch_storm(void)
{
	struct watches *w = watches_new();
	struct watch_cursor at = { 0 };
	u32 slices = 0, most = 0, gone = 0, budget, stamp;
	struct watch_counts c;

	for (u32 i = 0; i < STORM; i++) {
		check_eq(watcher_new(w, &heard[i]), i);
		check_eq(watch_add(w, WATCH_DATA, "/storm", 6, i,
				   i % 3 ? WATCH_STANDARD : WATCH_PERSISTENT), 1);
	}
	stamp = watch_stamp(w);
	do {
		budget = 1000;
		calls = 0;
		slices++;
		if (slices == 10)
			for (u32 i = STORM - 100; i < STORM; i++, gone++)
				watcher_gone(w, i);
	} while (!watch_fire(w, WATCH_DATA, EVENT_DATACHANGED, "/storm", 6, stamp, &at,
			     &budget, on_storm, NULL) && (calls <= 1000 || most++ < 1));
	check_eq(most, 0);
	check(slices > STORM / 1000);
	for (u32 i = 0; i < STORM; i++)
		check_eq(heard[i], i < STORM - 100);
	watch_counts(w, &c);
	check_eq(c.watches, (STORM - 100) / 3);
	watches_free(w);
}

/* What is set, fired, removed and set anew adds up to nothing in the end. */
void test_watch_cost(void)
{
	struct watches *w = watches_new();
	u32 id = watcher_new(w, &owners[0]), budget = 100;
	struct watch_cursor at = { 0 };
	u64 one;

	alive[0] = true;
	memset(told, 0, sizeof(told));
	check_eq(watcher_bytes(w, id), 0);
	check_eq(watch_add(w, WATCH_DATA, "/abc", 4, id, WATCH_STANDARD), 1);
	one = watcher_bytes(w, id);
	check(one > 4);
	check(watch_bytes(w) > one);
	check_eq(watch_add(w, WATCH_DATA, "/abc", 4, id, WATCH_PERSISTENT), 0);
	check_eq(watcher_bytes(w, id), one);
	check_eq(watch_add(w, WATCH_CHILD, "/abcdefgh", 9, id, WATCH_STANDARD), 1);
	check_eq(watcher_bytes(w, id), 2 * one + 5);
	check(watch_remove(w, WATCH_DATA, "/abc", 4, id));
	check(watch_fire(w, WATCH_CHILD, EVENT_CHILDREN, "/abcdefgh", 9, watch_stamp(w), &at,
			 &budget, on_told, NULL));
	check_eq(watcher_bytes(w, id), 0);
	watches_free(w);
}
