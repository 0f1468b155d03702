// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The blocks of metrics.h: who has which, and counting in them. Adding them up is
 * metrics_read.c's.
 *
 * Blocks are made under a lock, put at the head of a list and never freed, so that
 * the list may be read without one. A key's destructor gives a block back when its
 * thread ends.
 */
#include <linux/types.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/metrics.h"
#include "daemon/base/metrics_impl.h"

#define NAME_(name)	#name,
#define SLOTS		(2 * METRIC_NAMES_MAX)	/* a power of two */
#define NO_NAME		(~0U)

const char *const metric_counter_names[] = { METRIC_COUNTERS(NAME_) };
const char *const metric_summary_names[] = { METRIC_SUMMARIES(NAME_) METRIC_QUANTILES(NAME_) };
const char *const metric_space_names[] = { "read_per_namespace", "write_per_namespace",
						"quota_exceeded_error_per_namespace",
						"learner_handler_qp_size", "ack_latency",
						"learner_handler_qp_time_ms" };

__thread struct metrics *metrics_own_;
u64 metrics_epoch_ = 1ULL << 32;
u64 metrics_turn_ms_;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
struct metrics *metrics_blocks_;
static struct metrics nobody;

static char *names[METRIC_NAMES_MAX];
static u32 n_names;			/* published with release */
static u32 slots[SLOTS];		/* number + 1; atomic */
static u64 servers[METRIC_NAMES_MAX];	/* the same by ids */
static char *server_names[METRIC_NAMES_MAX];
static u32 n_servers;
bool metrics_used_[METRIC_N_SPACES][METRIC_NAMES_MAX];

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
	for (m = metrics_blocks_; m; m = m->next)
		if (!__atomic_load_n(&m->taken, __ATOMIC_ACQUIRE))
			break;
	if (!m) {
		m = aligned_alloc(_Alignof(struct metrics), sizeof(*m));
		if (m) {
			memset(m, 0, sizeof(*m));	/* of no epoch yet */
			m->next = metrics_blocks_;
			__atomic_store_n(&metrics_blocks_, m, __ATOMIC_RELEASE);
		}
	}
	if (m)
		m->taken = true;
	pthread_mutex_unlock(&lock);
	if (m)
		pthread_setspecific(key, m);
	return m;
}

static void clear_sum(struct metric_sum *s)
{
	metric_set_(&s->count, 0);
	metric_set_(&s->sum, 0);
	metric_set_(&s->min, 0);
	metric_set_(&s->max, 0);
}

/* The values of slot @k go to those that are older: empty it is again. */
static void hist_turn(struct metric_hist *h, u32 k)
{
	u32 *slot = h ? &h->slots[k * h->n] : NULL;

	for (u32 i = 0; h && i < h->n; i++) {
		if (!slot[i])
			continue;
		metric_set_(&h->older[i], h->older[i] + slot[i]);
		__atomic_store_n(&slot[i], 0, __ATOMIC_RELAXED);
	}
}

static void hist_clear(struct metric_hist *h)
{
	for (u32 k = 0; k < METRIC_SLOTS; k++)
		hist_turn(h, k);
	for (u32 i = 0; h && i < h->n; i++)
		metric_set_(&h->older[i], 0);
}

/* Each histogram of the block. */
#define for_each_hist(m, h, code)						\
	do {									\
		struct metric_hist *h;						\
										\
		for (u32 i_ = 0; i_ < METRIC_N_SUMMARIES; i_++) {		\
			h = (m)->hists[i_];					\
			code;							\
		}								\
		for (u32 i_ = 0; i_ < METRIC_N_SPACES * METRIC_NAMES_MAX; i_++) { \
			struct metric_named *of_ = (m)->spaces[i_ / METRIC_NAMES_MAX]; \
										\
			h = of_ ? of_[i_ % METRIC_NAMES_MAX].hist : NULL;	\
			code;							\
		}								\
	} while (0)

/* srst was asked for since the thread counted last. */
static void clear_block(struct metrics *m)
{
	for (u32 i = 0; i < METRIC_N_COUNTERS; i++)
		metric_set_(&m->counters[i], 0);
	for (u32 i = 0; i < METRIC_N_SUMMARIES; i++)
		clear_sum(&m->sums[i]);
	for (u32 i = 0; i < METRIC_N_SPACES; i++)
		for (u32 k = 0; m->spaces[i] && k < METRIC_NAMES_MAX; k++)
			clear_sum(&m->spaces[i][k].sum);
	for_each_hist(m, h, hist_clear(h));
}

/* The thread counts in the slot of @no from now on, which may hold what is ten minutes
 * old or more. */
static void begin_slot(struct metrics *m, u32 no)
{
	u32 k = no % METRIC_SLOTS;

	if (m->slot_no[k] != no) {
		__atomic_store_n(&m->turns, m->turns + 1, __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_RELEASE);
		for_each_hist(m, h, hist_turn(h, k));
		__atomic_store_n(&m->slot_no[k], no, __ATOMIC_RELAXED);
		__atomic_store_n(&m->turns, m->turns + 1, __ATOMIC_RELEASE);
	}
	m->slot = k;
}

struct metrics *metrics_renew(void)
{
	u64 epoch = __atomic_load_n(&metrics_epoch_, __ATOMIC_RELAXED);
	struct metrics *m = metrics_own_;

	if (!m) {
		m = take_block();
		metrics_own_ = m;
	}
	if (!m)
		return &nobody;		/* a thread without memory counts there */
	if (m->epoch == epoch)
		return m;
	if (m->epoch >> 32 != epoch >> 32)
		clear_block(m);
	begin_slot(m, epoch);
	__atomic_store_n(&m->epoch, epoch, __ATOMIC_RELEASE);
	return m;
}

void metrics_turn_(u64 now_ms)
{
	u32 no = now_ms / METRIC_SLOT_MS;

	pthread_mutex_lock(&lock);
	if (now_ms >= metrics_turn_ms_) {
		__atomic_add_fetch(&metrics_epoch_, no - (u32)metrics_epoch_, __ATOMIC_RELAXED);
		__atomic_store_n(&metrics_turn_ms_, (no + 1ULL) * METRIC_SLOT_MS, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&lock);
}

void metrics_reset(void)
{
	__atomic_add_fetch(&metrics_epoch_, 1ULL << 32, __ATOMIC_RELAXED);
}

static struct metric_hist *new_hist(const struct metrics *m, u32 n)
{
	size_t of = sizeof(struct metric_hist) + n * sizeof(u64);
	struct metric_hist *h = NULL;

	if (m != &nobody)
		h = calloc(1, of + METRIC_SLOTS * n * sizeof(u32));
	if (h) {
		h->n = n;
		h->slots = (u32 *)((char *)h + of);
	}
	return h;
}

/* The first value of a summary; without memory it has no quantiles. */
void metric_add_first_(struct metrics *m, enum metric_summary s, u64 v, u64 n)
{
	struct metric_hist *h = new_hist(m, METRIC_BUCKETS);

	if (!h)
		return;
	metric_hist_add_(m, h, metric_bucket(v), n);
	__atomic_store_n(&m->hists[s], h, __ATOMIC_RELEASE);
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

static struct metric_named *space_of(struct metrics *m, enum metric_space s)
{
	struct metric_named *all = m->spaces[s];

	if (!all && m != &nobody) {
		all = calloc(METRIC_NAMES_MAX, sizeof(*all));
		__atomic_store_n(&m->spaces[s], all, __ATOMIC_RELEASE);
	}
	return all;
}

static void named_add(struct metrics *m, struct metric_named *x, u64 v)
{
	struct metric_hist *h = x->hist;

	metric_sum_add_(&x->sum, v, 1);
	if (!h) {
		h = new_hist(m, METRIC_SET_BUCKETS);
		__atomic_store_n(&x->hist, h, __ATOMIC_RELEASE);
	}
	if (h)
		metric_hist_add_(m, h, metric_bucket_(v, METRIC_SET_BITS, METRIC_SET_BUCKETS), 1);
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
	struct metric_named *all = space_of(m, s);
	u32 id;

	if (!all || len < 2 || path[0] != '/')
		return;
	id = path_id(m, path, len);
	if (id == NO_NAME)
		return;
	if (!all[id].sum.count)
		__atomic_store_n(&metrics_used_[s][id], true, __ATOMIC_RELAXED);
	if (s == METRIC_quota_exceeded_error_per_namespace)
		metric_sum_add_(&all[id].sum, v, 1);
	else
		named_add(m, &all[id], v);
}

/* ---------------------------------------------------------------- servers */

static u32 add_server(u64 id)
{
	char text[24];
	u32 n;

	pthread_mutex_lock(&lock);
	for (n = 0; n < n_servers && servers[n] != id; n++)
		;
	if (n == n_servers && n < METRIC_NAMES_MAX) {
		snprintf(text, sizeof(text), "%lld", (long long)id);
		server_names[n] = strdup(text);
		servers[n] = id;
		if (server_names[n])
			__atomic_store_n(&n_servers, n + 1, __ATOMIC_RELEASE);
		else
			n = METRIC_NAMES_MAX;
	}
	pthread_mutex_unlock(&lock);
	return n < METRIC_NAMES_MAX ? n : NO_NAME;
}

static u32 find_server(struct metrics *m, u64 id)
{
	u32 n = __atomic_load_n(&n_servers, __ATOMIC_ACQUIRE), i = m->last_server;

	if (i >= n || servers[i] != id)
		for (i = 0; i < n && servers[i] != id; i++)
			;
	if (i == n)
		i = n < METRIC_NAMES_MAX ? add_server(id) : NO_NAME;
	if (i != NO_NAME)
		m->last_server = i;
	return i;
}

void metric_add_server(enum metric_space s, u64 id, u64 v)
{
	struct metrics *m = metrics_own();
	struct metric_named *all = space_of(m, s);
	u32 n = all ? find_server(m, id) : NO_NAME;

	if (n == NO_NAME)
		return;
	if (!all[n].sum.count)
		__atomic_store_n(&metrics_used_[s][n], true, __ATOMIC_RELAXED);
	named_add(m, &all[n], v);
}

u32 metric_names(enum metric_space s)
{
	return __atomic_load_n(s < METRIC_N_PATH_SPACES ? &n_names : &n_servers, __ATOMIC_ACQUIRE);
}

const char *metric_name(enum metric_space s, u32 name)
{
	return s < METRIC_N_PATH_SPACES ? names[name] : server_names[name];
}
