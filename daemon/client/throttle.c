// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many clients may connect a second (BlueThrottle.java): a bucket of tokens that
 * fills with time. A new session takes one of them, or as many as its weight; one that
 * finds too few left is refused. With a freeze time, connections are also refused by
 * chance, before the bucket is empty: the chance grows each time that the bucket is
 * found empty, and falls when it is found full enough, at most once a freeze time.
 *
 * Shared by the I/O threads, under its own lock, which they do not take while there is
 * no limit.
 */
#include <stdlib.h>

#include "daemon/base/metrics.h"
#include "daemon/client/internal.h"

void throttle_init(struct throttle *t, const struct config *cfg, u64 now_ms)
{
	u32 weight = cfg->connect_weighed ? cfg->connect_weight_new : 1;

	pthread_mutex_init(&t->lock, NULL);
	t->cfg = cfg;
	t->max = cfg->connect_tokens * weight;
	t->fill = cfg->connect_fill_count * weight;
	t->tokens = t->max;
	t->filled_ms = now_ms;
	t->frozen_ms = now_ms;
	t->drop = 0;
	t->seed = now_ms;
}

void throttle_destroy(struct throttle *t)
{
	pthread_mutex_destroy(&t->lock);
}

static void fill(struct throttle *t, u64 now_ms)
{
	u64 diff = now_ms - t->filled_ms, more;

	if (diff <= t->cfg->connect_fill_ms)
		return;
	if (diff > 0xffffffff)
		diff = 0xffffffff;
	more = diff * t->fill / t->cfg->connect_fill_ms;
	t->tokens = more > t->max - t->tokens ? t->max : t->tokens + more;
	t->filled_ms = now_ms;
}

/* Whether chance lets it pass. */
static bool lucky(struct throttle *t, u64 now_ms)
{
	const struct config *cfg = t->cfg;
	u32 taken = t->max - t->tokens;

	if (now_ms - t->frozen_ms > (u64)cfg->connect_freeze_ms) {
		if (taken == t->max && t->drop < 1)
			t->drop += cfg->connect_drop_increase;
		else if (taken <= t->max * cfg->connect_decrease_ratio + 0.5 && t->drop > 0)
			t->drop -= cfg->connect_drop_decrease;
		t->drop = t->drop > 1 ? 1 : t->drop < 0 ? 0 : t->drop;
		t->frozen_ms = now_ms;
	}
	return rand_r(&t->seed) / ((double)RAND_MAX + 1) >= t->drop;
}

bool throttle_admits(struct throttle *t, bool renew, u64 now_ms)
{
	const struct config *cfg = t->cfg;
	bool local = cfg->ensemble && cfg->local_sessions;
	u32 need = !cfg->connect_weighed ? 1 : renew ? cfg->connect_weight_renew :
		   local ? cfg->connect_weight_local : cfg->connect_weight_new;
	u32 deficit;
	bool ok;

	if (!t->max) {
		metric_add(METRIC_connection_token_deficit, 0);
		return true;
	}
	pthread_mutex_lock(&t->lock);
	fill(t, now_ms);
	ok = (t->cfg->connect_freeze_ms < 0 || lucky(t, now_ms)) && t->tokens >= need;
	if (ok)
		t->tokens -= need;
	deficit = t->max - t->tokens;
	pthread_mutex_unlock(&t->lock);
	if (ok)
		metric_add(METRIC_connection_token_deficit, deficit);
	return ok;
}

double throttle_drop(struct throttle *t)
{
	double drop;

	pthread_mutex_lock(&t->lock);
	drop = t->drop;
	pthread_mutex_unlock(&t->lock);
	return drop;
}
