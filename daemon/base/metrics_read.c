// SPDX-License-Identifier: GPL-2.0-or-later
/* See metrics.h: what all threads have counted, added up; any thread, without a lock. */
#include <linux/types.h>
#include <math.h>
#include <sched.h>
#include <string.h>

#include "daemon/base/metrics.h"
#include "daemon/base/metrics_impl.h"

#define TRIES	1000	/* to find a block whose slots are not being emptied */

static u64 get(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static u32 get32(const u32 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* The next block that counts in this generation. */
static struct metrics *next_block(struct metrics *m)
{
	u64 gen = get(&metrics_epoch_) >> 32;

	m = m ? m->next : __atomic_load_n(&metrics_blocks_, __ATOMIC_ACQUIRE);
	while (m && __atomic_load_n(&m->epoch, __ATOMIC_ACQUIRE) >> 32 != gen)
		m = m->next;
	return m;
}

#define for_each_block(m)	for (m = next_block(NULL); m; m = next_block(m))

static void add_sum(struct metric_sum *to, const struct metric_sum *from)
{
	u64 n = get(&from->count), min = get(&from->min), max = get(&from->max);

	if (!n)
		return;
	if (!to->count || min < to->min)
		to->min = min;
	if (max > to->max)
		to->max = max;
	to->sum += get(&from->sum);
	to->count += n;
}

u64 metric_counter_read(enum metric_counter c)
{
	struct metrics *m;
	u64 n = 0;

	for_each_block(m)
		n += get(&m->counters[c]);
	return n;
}

/* How often the slots of @m were emptied; odd: they are right now, and that for long. */
static u32 turns_of(const struct metrics *m)
{
	u32 turns;

	for (u32 i = 0; i < TRIES; i++) {
		turns = __atomic_load_n(&m->turns, __ATOMIC_ACQUIRE);
		if (!(turns & 1))
			break;
		sched_yield();
	}
	return turns;
}

/* @to[i] += what @m has in @h: of all time, or of the last slots. */
static void add_values(u64 *to, const struct metrics *m, const struct metric_hist *h, bool recent)
{
	u32 now = (u32)get(&metrics_epoch_);

	for (u32 k = 0; k < METRIC_SLOTS; k++) {
		if (recent && now - get32(&m->slot_no[k]) >= METRIC_SLOTS)
			continue;
		for (u32 i = 0; i < h->n; i++)
			to[i] += get32(&h->slots[k * h->n + i]);
	}
	for (u32 i = 0; !recent && i < h->n; i++)
		to[i] += get(&h->older[i]);
}

static void add_hist(struct metric_view *v, const struct metrics *m, struct metric_hist *const *at)
{
	const struct metric_hist *h = __atomic_load_n(at, __ATOMIC_ACQUIRE);
	u64 all[METRIC_BUCKETS], recent[METRIC_BUCKETS];
	u32 turns;

	if (!h)
		return;
	for (u32 i = 0; i < TRIES; i++) {
		turns = turns_of(m);
		memset(all, 0, sizeof(all));
		memset(recent, 0, sizeof(recent));
		add_values(all, m, h, false);
		add_values(recent, m, h, true);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (get32(&m->turns) == turns)
			break;
	}
	for (u32 i = 0; i < h->n; i++) {
		v->hist[i] += all[i];
		v->recent[i] += recent[i];
	}
}

void metric_summary_read(enum metric_summary s, struct metric_view *v)
{
	struct metrics *m;

	memset(v, 0, sizeof(*v));
	v->bits = METRIC_BITS;
	for_each_block(m) {
		add_sum(&v->sum, &m->sums[s]);
		add_hist(v, m, &m->hists[s]);
	}
}

static const struct metric_named *named(const struct metrics *m, enum metric_space s, u32 name)
{
	const struct metric_named *all = __atomic_load_n(&m->spaces[s], __ATOMIC_ACQUIRE);

	return all ? &all[name] : NULL;
}

bool metric_space_read(enum metric_space s, u32 name, struct metric_sum *sum)
{
	struct metrics *m;

	memset(sum, 0, sizeof(*sum));
	if (!__atomic_load_n(&metrics_used_[s][name], __ATOMIC_RELAXED))
		return false;
	for_each_block(m) {
		const struct metric_named *x = named(m, s, name);

		if (x)
			add_sum(sum, &x->sum);
	}
	return true;
}

bool metric_space_view(enum metric_space s, u32 name, struct metric_view *v)
{
	struct metrics *m;

	memset(v, 0, sizeof(*v));
	v->bits = METRIC_SET_BITS;
	if (!metric_space_read(s, name, &v->sum))
		return false;
	for_each_block(m) {
		const struct metric_named *x = named(m, s, name);

		if (x)
			add_hist(v, m, &x->hist);
	}
	return true;
}

/* The middle of a bucket, but no value that was never added. */
static double bucket_value(const struct metric_view *v, u32 i)
{
	double x = i;

	if (i >= 2U << v->bits) {
		u32 shift = (i >> v->bits) - 1;
		u64 low = ((i & ((1ULL << v->bits) - 1)) + (1ULL << v->bits)) << shift;

		x = (double)low + (double)((1ULL << shift) - 1) / 2;
	}
	if (x < v->sum.min)
		x = v->sum.min;
	return x > v->sum.max ? v->sum.max : x;
}

static u64 number_of(const u64 *hist)
{
	u64 n = 0;

	for (u32 i = 0; i < METRIC_BUCKETS; i++)
		n += hist[i];
	return n;
}

/* The value in place @rank, from 1 on, of those of @hist in order. */
static double ranked(const struct metric_view *v, const u64 *hist, u64 rank)
{
	u64 n = 0;

	for (u32 i = 0; i < METRIC_BUCKETS; i++) {
		n += hist[i];
		if (n >= rank)
			return bucket_value(v, i);
	}
	return v->sum.max;
}

double metric_quantile(const struct metric_view *v, double q)
{
	u64 n = number_of(v->hist);
	double pos, low, high;

	if (!n)
		return 0;
	pos = q * (n + 1);
	if (pos < 1)
		return ranked(v, v->hist, 1);
	if (pos >= n)
		return ranked(v, v->hist, n);
	low = ranked(v, v->hist, (u64)pos);
	high = ranked(v, v->hist, (u64)pos + 1);
	return low + (pos - (u64)pos) * (high - low);
}

double metric_recent(const struct metric_view *v, double q)
{
	u64 n = number_of(v->recent), rank = ceil(q * n);

	return n ? ranked(v, v->recent, rank ? rank : 1) : NAN;
}
