// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What operators are shown comes from: walks of tables that grow meanwhile, counters
 * of many threads, the log of digests.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/digestlog.h"
#include "daemon/base/metrics.h"
#include "daemon/server/session.h"
#include "daemon/server/watch.h"
#include "selftests/core/core.h"

#define BEFORE	1000	/* entries that are there all the time */
#define LATER	20000	/* that come while others are walked */

/* ------------------------------------------------------------ walks */

static u32 seen[BEFORE + LATER];

static void see_watch(void *arg, const char *path, u32 len, void *owner)
{
	char text[16] = "";

	check(owner == arg && len > 2 && len < sizeof(text));
	memcpy(text, path, len);
	seen[atoi(text + 2)]++;
}

static void watch(struct watches *w, u32 id, u32 i)
{
	char path[16];
	int n = snprintf(path, sizeof(path), "/w%u", i);

	check_eq(watch_add(w, WATCH_DATA, path, n, id, i % 3), 1);
}

void test_walk_watches(void)
{
	struct watches *w = watches_new();
	u32 id = watcher_new(w, w), other = watcher_new(w, seen), cursor = 0, next = BEFORE;
	u32 turns = 0;

	memset(seen, 0, sizeof(seen));
	for (u32 i = 0; i < BEFORE; i++)
		watch(w, id, i);
	check_eq(watch_add(w, WATCH_CHILD, "/c", 2, id, WATCH_STANDARD), 1);
	check_eq(watch_add(w, WATCH_DATA, "/gone", 5, other, WATCH_STANDARD), 1);
	watcher_gone(w, other);
	do {
		cursor = watches_some(w, WATCH_DATA, cursor, 30, see_watch, w);
		turns++;
		for (u32 k = 0; k < 500 && next < BEFORE + LATER; k++)
			watch(w, id, next++);
	} while (cursor);
	check(turns > 20);
	for (u32 i = 0; i < BEFORE; i++)
		check_eq(seen[i], 1);
	for (u32 i = BEFORE; i < BEFORE + LATER; i++)
		check(seen[i] <= 1);
	watches_free(w);
}

static void see_session(void *arg, struct sess *s)
{
	(void)arg;
	seen[s->pub.id]++;
}

void test_walk_sessions(void)
{
	struct sessions *ss = sessions_new(100, 1, 1, 0);
	u32 cursor = 0, next = BEFORE, turns = 0;

	memset(seen, 0, sizeof(seen));
	for (u32 i = 0; i < BEFORE; i++)
		check(session_restore(ss, i, 1000, 0));
	do {
		cursor = sessions_some(ss, cursor, 30, see_session, NULL);
		turns++;
		for (u32 k = 0; k < 500 && next < BEFORE + LATER; k++)
			check(session_restore(ss, next++, 1000, 0));
	} while (cursor);
	check(turns > 20);
	for (u32 i = 0; i < BEFORE; i++)
		check_eq(seen[i], 1);
	for (u32 i = BEFORE; i < BEFORE + LATER; i++)
		check(seen[i] <= 1);
	sessions_free(ss);
}

/* ------------------------------------------------------------ metrics */

static struct metric_view view;

/* Each bucket is a range of its own, one behind the other. */
static void check_buckets(void)
{
	u32 last = 0, b;

	for (u64 v = 0; v < 1 << 20; v++) {
		b = metric_bucket(v);
		check(b == last || b == last + 1);
		check(v >= 64 || b == v);
		last = b;
	}
	check_eq(metric_bucket((1ULL << 40) - 1), METRIC_BUCKETS - 1);
	check_eq(metric_bucket(~0ULL), METRIC_BUCKETS - 1);
}

static void *count_some(void *arg)
{
	(void)arg;
	for (u64 v = 1; v <= 1000; v++) {
		metric_count(METRIC_response_bytes, v);
		metric_add(METRIC_updatelatency, v);
		metric_add_path(METRIC_write_per_namespace, v % 2 ? "/odd/x" : "/even", 5 + v % 2,
				v);
	}
	return NULL;
}

static void sum_of(const char *name, u64 count, u64 sum)
{
	struct metric_sum s;

	for (u32 i = 0; i < metric_names(METRIC_write_per_namespace); i++) {
		if (strcmp(metric_name(METRIC_write_per_namespace, i), name))
			continue;
		check(metric_space_read(METRIC_write_per_namespace, i, &s));
		check(!metric_space_read(METRIC_read_per_namespace, i, &s) && !s.count);
		metric_space_read(METRIC_write_per_namespace, i, &s);
		check_eq(s.count, count);
		check_eq(s.sum, sum);
		return;
	}
	check(!"a name");
}

static void near(double got, double want)
{
	if (got < want * 0.97 || got > want * 1.03) {
		printf("# %g is not near %g\n", got, want);
		check(false);
	}
}

void test_metrics(void)
{
	struct metric_run run = { .s = METRIC_fsynctime };
	pthread_t threads[4];

	check_buckets();
	metrics_reset();
	metric_summary_read(METRIC_updatelatency, &view);
	check(!view.sum.count && metric_quantile(&view, 0.5) == 0);
	/* threads that are gone still count, one after the other and at once */
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 4; i++)
			check(!pthread_create(&threads[i], NULL, count_some, NULL));
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
	}
	check_eq(metric_counter_read(METRIC_response_bytes), 8 * 500500);
	metric_summary_read(METRIC_updatelatency, &view);
	check_eq(view.sum.count, 8000);
	check_eq(view.sum.sum, 8 * 500500);
	check_eq(view.sum.min, 1);
	check_eq(view.sum.max, 1000);
	near(metric_quantile(&view, 0.5), 500);
	near(metric_quantile(&view, 0.95), 950);
	near(metric_quantile(&view, 0.999), 999);
	check(metric_quantile(&view, 1) <= 1000);
	sum_of("odd", 4000, 8 * 250000);
	sum_of("even", 4000, 8 * 250500);
	/* Dropwizard: between two values by the distance */
	metrics_reset();
	for (u64 v = 10; v <= 40; v += 10)
		metric_add(METRIC_readlatency, v);
	metric_summary_read(METRIC_readlatency, &view);
	check(metric_quantile(&view, 0.5) == 25 && metric_quantile(&view, 0.99) == 40);
	check(metric_quantile(&view, 0.01) == 10);
	/* servers by their ids, with percentiles */
	for (u64 v = 0; v < 100; v++)
		metric_add_server(METRIC_ack_latency, v % 2 ? 7 : ~0ULL, v / 2);
	check_eq(metric_names(METRIC_ack_latency), 2);
	check(!strcmp(metric_name(METRIC_ack_latency, 0), "-1"));
	check(metric_space_view(METRIC_ack_latency, 1, &view) && view.sum.count == 50);
	near(metric_quantile(&view, 0.5), 24.5);
	near(metric_recent(&view, 0.9), 44.5);
	check(!metric_space_view(METRIC_learner_handler_qp_size, 1, &view));
	/* the root has no name, nor has what is too long */
	metric_add_path(METRIC_write_per_namespace, "/", 1, 1);
	sum_of("odd", 0, 0);
	for (u64 i = 0; i < 10; i++)
		metric_run_add(&run, i / 4);
	metric_run_end(&run);
	metric_summary_read(METRIC_fsynctime, &view);
	check_eq(view.sum.count, 10);
	check_eq(view.sum.sum, 8);
	check_eq(view.hist[1], 4);
	metrics_reset();
	check_eq(metric_counter_read(METRIC_response_bytes), 0);
}

static struct metric_view *recent(enum metric_summary s)
{
	metric_summary_read(s, &view);
	return &view;
}

static struct metric_view *recent_of(const char *name)
{
	for (u32 i = 0; i < metric_names(METRIC_write_per_namespace); i++)
		if (!strcmp(metric_name(METRIC_write_per_namespace, i), name) &&
		    metric_space_view(METRIC_read_per_namespace, i, &view))
			return &view;
	check(!"a name");
	return &view;
}

static void *count_once(void *arg)
{
	metric_add(METRIC_readlatency, *(u64 *)arg);
	return NULL;
}

static void count_elsewhere(u64 v)
{
	pthread_t t;

	check(!pthread_create(&t, NULL, count_once, &v));
	pthread_join(t, NULL);
}

/* Quantiles are of the last eight to ten minutes: simpleclient's TimeWindowQuantiles. */
void test_metrics_window(void)
{
	u64 now = 1000ULL * METRIC_SLOT_MS;

	metrics_reset();
	metrics_turn(now);
	check(isnan(metric_recent(recent(METRIC_readlatency), 0.5)));
	metric_add_n(METRIC_readlatency, 10, 98);
	metric_add_n(METRIC_readlatency, 20, 2);
	metric_add(METRIC_snapshottime, 7);
	for (int i = 0; i < 9; i++)
		metric_add_path(METRIC_read_per_namespace, "/win/x", 6, 30);
	metric_add_path(METRIC_read_per_namespace, "/win", 4, 5000000);
	count_elsewhere(1);
	/* values that were there, and none in between */
	check(metric_recent(recent(METRIC_readlatency), 0.5) == 10);
	check(metric_recent(&view, 0.9) == 10 && metric_recent(&view, 0.99) == 20);
	check(metric_recent(recent_of("win"), 0.5) == 30);
	near(metric_recent(&view, 0.99), 5000000);
	/* one more in each slot, until the first ones leave */
	for (u32 slot = 1; slot < METRIC_SLOTS; slot++) {
		metrics_turn(now + slot * METRIC_SLOT_MS);
		metric_add(METRIC_readlatency, 100);
		check(metric_recent(recent(METRIC_readlatency), 0.5) == 10);
		check_eq(view.sum.count, 101 + slot);
	}
	metrics_turn(now + METRIC_SLOTS * METRIC_SLOT_MS - 1);
	check(metric_recent(recent(METRIC_snapshottime), 0.5) == 7);
	now += METRIC_SLOTS * METRIC_SLOT_MS;
	metrics_turn(now);
	/* gone from the window even where nobody counts any more, not from what is since the
	 * start */
	check(isnan(metric_recent(recent(METRIC_snapshottime), 0.5)));
	check_eq(view.sum.sum, 7);
	check_eq(view.hist[7], 1);
	check(isnan(metric_recent(recent_of("win"), 0.5)));
	check_eq(view.sum.count, 10);
	near(metric_recent(recent(METRIC_readlatency), 0.01), 100);
	check_eq(view.sum.count, 105);
	near(metric_quantile(&view, 0.5), 10);
	/* a slot is counted in anew, by a thread that slept for long, too */
	metric_add(METRIC_snapshottime, 9);
	check(metric_recent(recent(METRIC_snapshottime), 0.5) == 9);
	now += 1000ULL * METRIC_SLOTS * METRIC_SLOT_MS;
	metrics_turn(now);
	check(isnan(metric_recent(recent(METRIC_readlatency), 0.5)));
	count_elsewhere(2);
	check(metric_recent(recent(METRIC_readlatency), 0.99) == 2);
	check_eq(view.hist[10], 98);
	check_eq(view.sum.count, 106);
	/* a clock that goes back says nothing */
	metrics_turn(0);
	check(metric_recent(recent(METRIC_readlatency), 0.99) == 2);
	metrics_reset();
	check(isnan(metric_recent(recent(METRIC_readlatency), 0.5)) && !view.sum.count);
	metric_add(METRIC_readlatency, 3);
	check(metric_recent(recent(METRIC_readlatency), 0.5) == 3);
	check_eq(view.hist[10], 0);
}

/* More names than are told apart: those that are stay right. */
void test_metric_names(void)
{
	char path[32];

	metrics_reset();
	for (int round = 0; round < 3; round++) {
		for (u32 i = 0; i < 3 * METRIC_NAMES_MAX; i++) {
			int n = snprintf(path, sizeof(path), "/n%u/below", i);

			metric_add_path(METRIC_write_per_namespace, path, n, i);
		}
	}
	check_eq(metric_names(METRIC_write_per_namespace), METRIC_NAMES_MAX);
	sum_of("n0", 3, 0);
	sum_of("n300", 3, 900);
	metrics_reset();
}

void test_digest_log(void)
{
	static struct digest_entry e[DIGEST_LOG_MAX];

	digest_log_clear();
	check_eq(digest_log_copy(e), 0);
	for (u64 zxid = 1; zxid < 10 * DIGEST_LOG_EVERY; zxid++)
		digest_log_note(zxid, zxid * 3);
	check_eq(digest_log_copy(e), 9);
	check_eq(e[8].zxid, 9 * DIGEST_LOG_EVERY);
	check_eq(e[8].digest, 27 * DIGEST_LOG_EVERY);
	for (u64 k = 1; k <= 2 * DIGEST_LOG_MAX; k++)
		digest_log_note(k * DIGEST_LOG_EVERY, k);
	check_eq(digest_log_copy(e), DIGEST_LOG_MAX);
	check_eq(e[0].digest, DIGEST_LOG_MAX + 1);
	check_eq(e[DIGEST_LOG_MAX - 1].digest, 2 * DIGEST_LOG_MAX);
	digest_log_clear();
}
