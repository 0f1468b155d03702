// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The blocks of metrics.h: who has which, and adding them up.
 *
 * Blocks are made under a lock, put at the head of a list and never freed, so that
 * the list may be read without one. A key's destructor gives a block back when its
 * thread ends.
 */
#include <linux/types.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/metrics.h"

#define NAME_(name)	#name,
#define SLOTS		(2 * METRIC_NAMES_MAX)	/* a power of two */
#define NO_NAME		(~0U)

const char *const metric_counter_names[] = { METRIC_COUNTERS(NAME_) };
const char *const metric_summary_names[] = { METRIC_SUMMARIES(NAME_) METRIC_QUANTILES(NAME_) };
const char *const metric_space_names[] = { "read_per_namespace", "write_per_namespace",
						"quota_exceeded_error_per_namespace" };

__thread struct metrics *metrics_own_;
u32 metrics_gen_ = 1;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static struct metrics *blocks;		/* published with release */
static struct metrics nobody;

static char *names[METRIC_NAMES_MAX];
static u32 n_names;			/* published with release */
static u32 slots[SLOTS];		/* number + 1; atomic */
static bool used[METRIC_N_SPACES][METRIC_NAMES_MAX];	/* atomic */

static void give_back(void *block)
{
	struct metrics *m = block;

	__atomic_store_n(&m->taken, false, __ATOMIC_RELEASE);
}

static void make_key(void)
{
	if (pthread_key_create(&key, give_back))
		abort();	/* the process has no key left: it has just begun */
}

/* A block that nobody has, or a new one. */
static struct metrics *take_block(void)
{
	struct metrics *m;

	pthread_once(&once, make_key);
	pthread_mutex_lock(&lock);
	for (m = blocks; m; m = m->next)
		if (!__atomic_load_n(&m->taken, __ATOMIC_ACQUIRE))
			break;
	if (!m) {
		m = aligned_alloc(_Alignof(struct metrics), sizeof(*m));
		if (m) {
			memset(m, 0, sizeof(*m));
			m->gen = __atomic_load_n(&metrics_gen_, __ATOMIC_RELAXED);
			m->next = blocks;
			__atomic_store_n(&blocks, m, __ATOMIC_RELEASE);
		}
	}
	if (m)
		m->taken = true;
	pthread_mutex_unlock(&lock);
	if (m)
		pthread_setspecific(key, m);
	return m;
}

static void clear_sums(struct metric_sum *s, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		metric_set_(&s[i].count, 0);
		metric_set_(&s[i].sum, 0);
		metric_set_(&s[i].min, 0);
		metric_set_(&s[i].max, 0);
	}
}

static void clear_words(u64 *p, u32 n)
{
	for (u32 i = 0; i < n; i++)
		metric_set_(&p[i], 0);
}

struct metrics *metrics_renew(void)
{
	u32 gen = __atomic_load_n(&metrics_gen_, __ATOMIC_RELAXED);
	struct metrics *m = metrics_own_;

	if (!m) {
		m = take_block();
		metrics_own_ = m;
	}
	if (!m)
		return &nobody;		/* a thread without memory counts there */
	if (m->gen == gen)
		return m;
	clear_words(m->counters, METRIC_N_COUNTERS);
	clear_sums(m->sums, METRIC_N_SUMMARIES);
	for (u32 i = 0; i < METRIC_N_SUMMARIES; i++)
		if (m->hists[i])
			clear_words(m->hists[i], METRIC_BUCKETS);
	for (u32 i = 0; i < METRIC_N_SPACES; i++)
		if (m->spaces[i])
			clear_sums(m->spaces[i], METRIC_NAMES_MAX);
	__atomic_store_n(&m->gen, gen, __ATOMIC_RELEASE);
	return m;
}

/* The first value of a summary with percentiles; without memory it has none. */
void metric_add_first_(struct metrics *m, enum metric_summary s, u64 v, u64 n)
{
	u64 *hist = m == &nobody ? NULL : calloc(METRIC_BUCKETS, sizeof(*hist));

	if (!hist)
		return;
	hist[metric_bucket(v)] = n;
	__atomic_store_n(&m->hists[s], hist, __ATOMIC_RELEASE);
}

/* ---------------------------------------------------------------- names */

static u32 find_name(const char *name, u32 len, u32 *slot)
{
	u32 i = hash_bytes(0, name, len) & (SLOTS - 1), n;

	/* half of the slots stay empty */
	for (;; i = (i + 1) & (SLOTS - 1)) {
		n = __atomic_load_n(&slots[i], __ATOMIC_ACQUIRE);
		*slot = i;
		if (!n)
			return NO_NAME;
		if (!strncmp(names[n - 1], name, len) && !names[n - 1][len])
			return n - 1;
	}
}

static u32 add_name(const char *name, u32 len)
{
	u32 slot, id;

	pthread_mutex_lock(&lock);
	id = find_name(name, len, &slot);
	if (id == NO_NAME && n_names < METRIC_NAMES_MAX) {
		names[n_names] = strndup(name, len);
		if (names[n_names]) {
			id = n_names;
			__atomic_store_n(&slots[slot], id + 1, __ATOMIC_RELEASE);
			__atomic_store_n(&n_names, id + 1, __ATOMIC_RELEASE);
		}
	}
	pthread_mutex_unlock(&lock);
	return id;
}

static __attribute__((noinline)) u32 name_id(struct metrics *m, const char *name, u32 len)
{
	u32 slot, id;

	id = find_name(name, len, &slot);
	if (id == NO_NAME && __atomic_load_n(&n_names, __ATOMIC_RELAXED) < METRIC_NAMES_MAX)
		id = add_name(name, len);
	if (id != NO_NAME) {
		memcpy(m->last_name, name, len);
		m->last_len = len;
		m->last_id = id;
	}
	return id;
}

static struct metric_sum *space_of(struct metrics *m, enum metric_space s)
{
	struct metric_sum *sums = m->spaces[s];

	if (!sums && m != &nobody) {
		sums = calloc(METRIC_NAMES_MAX, sizeof(*sums));
		__atomic_store_n(&m->spaces[s], sums, __ATOMIC_RELEASE);
	}
	return sums;
}

/* The number of the first name in @path, which begins with a slash. */
static u32 path_id(struct metrics *m, const char *path, u32 len)
{
	u32 n = m->last_len + 1;

	/* most often it is the name of last time */
	if (n > 1 && n <= len && (n == len || path[n] == '/') &&
	    !memcmp(path + 1, m->last_name, n - 1))
		return m->last_id;
	for (n = 1; n < len && path[n] != '/'; n++)
		;
	return n > 1 && n <= METRIC_NAME_LEN ? name_id(m, path + 1, n - 1) : NO_NAME;
}

void metric_add_path(enum metric_space s, const char *path, u32 len, u64 v)
{
	struct metrics *m = metrics_own();
	struct metric_sum *sums = space_of(m, s);
	u32 id;

	if (!sums || len < 2 || path[0] != '/')
		return;
	id = path_id(m, path, len);
	if (id == NO_NAME)
		return;
	if (!sums[id].count)
		__atomic_store_n(&used[s][id], true, __ATOMIC_RELAXED);
	metric_sum_add_(&sums[id], v, 1);
}

u32 metric_names(void)
{
	return __atomic_load_n(&n_names, __ATOMIC_ACQUIRE);
}

const char *metric_name(u32 name)
{
	return names[name];
}

/* ---------------------------------------------------------------- reading */

static u64 get(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* The next block that counts in this generation. */
static struct metrics *next_block(struct metrics *m)
{
	u32 gen = __atomic_load_n(&metrics_gen_, __ATOMIC_RELAXED);

	m = m ? m->next : __atomic_load_n(&blocks, __ATOMIC_ACQUIRE);
	while (m && __atomic_load_n(&m->gen, __ATOMIC_ACQUIRE) != gen)
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

void metric_summary_read(enum metric_summary s, struct metric_view *v)
{
	struct metrics *m;

	memset(v, 0, sizeof(*v));
	for_each_block(m) {
		u64 *hist = __atomic_load_n(&m->hists[s], __ATOMIC_ACQUIRE);

		add_sum(&v->sum, &m->sums[s]);
		for (u32 i = 0; hist && i < METRIC_BUCKETS; i++)
			v->hist[i] += get(&hist[i]);
	}
}

bool metric_space_read(enum metric_space s, u32 name, struct metric_sum *sum)
{
	struct metrics *m;

	memset(sum, 0, sizeof(*sum));
	if (!__atomic_load_n(&used[s][name], __ATOMIC_RELAXED))
		return false;
	for_each_block(m) {
		struct metric_sum *sums = __atomic_load_n(&m->spaces[s], __ATOMIC_ACQUIRE);

		if (sums)
			add_sum(sum, &sums[name]);
	}
	return true;
}

/* The middle of a bucket, but no value that was never added. */
static double bucket_value(const struct metric_view *v, u32 i)
{
	double x = i;

	if (i >= 64) {
		u32 shift = (i - 64) / 32 + 1;

		x = (double)((u64)((i - 64) % 32 + 32) << shift) +
		    (double)((1ULL << shift) - 1) / 2;
	}
	if (x < v->sum.min)
		x = v->sum.min;
	return x > v->sum.max ? v->sum.max : x;
}

/* The value in place @rank, from 1 on, of all values in order. */
static double ranked(const struct metric_view *v, u64 rank)
{
	u64 n = 0;

	for (u32 i = 0; i < METRIC_BUCKETS; i++) {
		n += v->hist[i];
		if (n >= rank)
			return bucket_value(v, i);
	}
	return v->sum.max;
}

double metric_quantile(const struct metric_view *v, double q)
{
	double pos, low, high;
	u64 n = 0;

	for (u32 i = 0; i < METRIC_BUCKETS; i++)
		n += v->hist[i];
	if (!n)
		return 0;
	pos = q * (n + 1);
	if (pos < 1)
		return ranked(v, 1);
	if (pos >= n)
		return ranked(v, n);
	low = ranked(v, (u64)pos);
	high = ranked(v, (u64)pos + 1);
	return low + (pos - (u64)pos) * (high - low);
}

void metrics_reset(void)
{
	__atomic_add_fetch(&metrics_gen_, 1, __ATOMIC_RELAXED);
}
