/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the server counts: names and meanings are those of ZooKeeper's
 * ServerMetrics.java. The parts count, daemon/admin prints.
 *
 * Each thread counts in a block of its own, with plain loads and stores that are
 * only marked relaxed; whoever reads adds the blocks up. Nothing here takes a lock or
 * looks at a clock, but for a thread's first count. A block stays when its thread
 * ends and goes to the next one that begins.
 *
 * Resetting (srst) starts a generation: whoever counts next clears his block, and
 * blocks of an older generation are read as empty.
 *
 * Where the percentiles of ZooKeeper come from a random sample, ours come from a
 * histogram of all values: exact below 64, to 1/32 above (of a set's: 32 and 1/16).
 *
 * A histogram is cut in slots of time, of which each thread counts in one: so there are
 * quantiles of the last ten minutes, too, as those of Prometheus' Java client are (ten
 * minutes, five age buckets: the values of the last eight to ten minutes). Whoever has
 * the time at hand says it with metrics_turn(); a new slot is an epoch of its own, at
 * which each thread, before it counts again, empties its oldest slot into the sum of
 * the older ones. Thus counting costs the same as without slots.
 */
#ifndef ZKD_BASE_METRICS_H
#define ZKD_BASE_METRICS_H

#include <linux/types.h>

/*
 * All that 3.8.0 has, in the order in which its mntr prints them. Where nothing ever
 * counts there is no such thing here: queues of sessions and of reads in the commit
 * processor (reads do not pass it), caches of answers, a cleaner of dead watchers, TLS;
 * and what is prepared is handed on in the same step (proposal_process_time). Left out:
 * jvm_pause_time_ms (no JVM), netty_queued_buffer_capacity (no Netty).
 */
#define METRIC_COUNTERS(X) \
	X(proposal_count) X(watch_bytes) X(outstanding_changes_removed) X(throttled_ops) \
	X(stale_requests_dropped) X(large_requests_rejected) X(insecure_admin_count) \
	X(connection_rejected) X(cnxn_closed_without_zk_server_running) \
	X(sessionless_connections_expired) X(looking_count) X(dead_watchers_queued) \
	X(stale_requests) X(connection_drop_count) X(learner_proposal_received_count) \
	X(digest_mismatches_count) X(dead_watchers_cleared) X(response_packet_cache_hits) \
	X(bytes_received_count) X(add_dead_watcher_stall_time) \
	X(request_throttle_wait_count) X(requests_not_forwarded_to_commit_processor) \
	X(response_packet_cache_misses) X(ensemble_auth_success) \
	X(prep_processor_request_queued) X(learner_commit_received_count) X(stale_replies) \
	X(connection_request_count) X(response_bytes) X(ensemble_auth_fail) X(diff_count) \
	X(response_packet_get_children_cache_misses) X(connection_revalidate_count) \
	X(quit_leading_due_to_disloyal_voter) X(snap_count) X(unrecoverable_error_count) \
	X(unsuccessful_handshake) X(commit_count) X(stale_sessions_expired) \
	X(response_packet_get_children_cache_hits) X(sync_processor_request_queued) \
	X(outstanding_changes_queued) X(request_commit_queued) X(ensemble_auth_skip) \
	X(skip_learner_request_to_next_processor_count) X(tls_handshake_exceeded) \
	X(revalidate_count)

/* Average, least, greatest, number and sum. Times are milliseconds. */
#define METRIC_SUMMARIES(X) \
	X(socket_closing_time) X(proposal_process_time) X(leader_unavailable_time) \
	X(node_created_watch_count) X(session_queues_drained) \
	X(write_commit_proc_req_queued) X(connection_token_deficit) \
	X(read_commit_proc_req_queued) X(node_deleted_watch_count) \
	X(startup_txns_load_time) X(sync_processor_queue_size) X(follower_sync_time) \
	X(prep_processor_queue_size) X(fsynctime) X(inflight_snap_count) \
	X(reads_issued_from_session_queue) X(learner_request_processor_queue_size) \
	X(snapshottime) X(unavailable_time) X(startup_txns_loaded) \
	X(reads_after_write_in_session_queue) X(requests_in_session_queue) \
	X(write_commit_proc_issued) X(prep_process_time) X(pending_session_queue_size) \
	X(time_waiting_empty_pool_in_commit_processor_read_ms) X(commit_process_time) \
	X(dbinittime) X(inflight_diff_count) X(election_time) \
	X(commit_commit_proc_req_queued) X(sync_processor_batch_size) \
	X(node_children_watch_count) X(write_batch_time_in_commit_processor) \
	X(read_commit_proc_issued) X(concurrent_request_processing_in_commit_processor) \
	X(observer_sync_time) X(node_changed_watch_count) X(sync_process_time) \
	X(startup_snap_load_time)

/* The same, of which mntr shows percentiles too. */
#define METRIC_QUANTILES(X) \
	X(prep_processor_queue_time_ms) X(close_session_prep_time) \
	X(read_commitproc_time_ms) X(updatelatency) X(local_write_committed_time_ms) \
	X(request_throttle_queue_time_ms) X(readlatency) X(quorum_ack_latency) \
	X(om_commit_process_time_ms) X(read_final_proc_time_ms) \
	X(commit_propagation_latency) X(dead_watchers_cleaner_latency) \
	X(write_final_proc_time_ms) X(proposal_ack_creation_latency) X(proposal_latency) \
	X(om_proposal_process_time_ms) X(sync_processor_queue_and_flush_time_ms) \
	X(propagation_latency) X(server_write_committed_time_ms) \
	X(sync_processor_queue_time_ms) X(sync_processor_queue_flush_time_ms) \
	X(write_commitproc_time_ms)

#define METRIC_ENUM_(name)	METRIC_##name,

enum metric_counter {
	METRIC_COUNTERS(METRIC_ENUM_)
	METRIC_N_COUNTERS
};

enum metric_summary {
	METRIC_SUMMARIES(METRIC_ENUM_)
	METRIC_N_PLAIN,
	METRIC_before_quantiles = METRIC_N_PLAIN - 1,
	METRIC_QUANTILES(METRIC_ENUM_)
	METRIC_N_SUMMARIES
};

/* Sets of summaries: by the first name of a path, or by a server's id. */
enum metric_space {
	METRIC_read_per_namespace,
	METRIC_write_per_namespace,
	METRIC_quota_exceeded_error_per_namespace,	/* only counted */
	METRIC_N_PATH_SPACES,
	METRIC_learner_handler_qp_size = METRIC_N_PATH_SPACES,
	METRIC_ack_latency,				/* these have percentiles, too */
	METRIC_learner_handler_qp_time_ms,
	METRIC_N_SPACES
};

/* Names told apart, of either kind; later ones are not counted. */
#define METRIC_NAMES_MAX	512
#define METRIC_NAME_LEN		128	/* nor are longer ones */
#define METRIC_BITS		5	/* 32 buckets for each power of two */
#define METRIC_BUCKETS		1152	/* up to 2^40 */
#define METRIC_SET_BITS		4
#define METRIC_SET_BUCKETS	336	/* up to 2^24 */
#define METRIC_SLOTS		5
#define METRIC_SLOT_MS		120000

struct metric_sum {
	u64 count;
	u64 sum;
	u64 min;		/* undefined while @count is 0 */
	u64 max;
};

/* Values by their size: @n buckets for each slot, and for all that is older. */
struct metric_hist {
	u32 n;
	u32 *slots;		/* METRIC_SLOTS times @n */
	u64 older[];
};

/* What is counted under one name. */
struct metric_named {
	struct metric_sum sum;
	struct metric_hist *hist;	/* NULL: nothing yet, or only counted */
};

struct metrics {
	u64 counters[METRIC_N_COUNTERS];
	struct metric_sum sums[METRIC_N_SUMMARIES];
	struct metric_hist *hists[METRIC_N_SUMMARIES];	/* NULL: nothing yet */
	struct metric_named *spaces[METRIC_N_SPACES];	/* by the name's number; or NULL */
	u64 epoch;
	u32 slot;					/* which one is counted in */
	u32 turns;					/* odd: slots are being emptied */
	u32 slot_no[METRIC_SLOTS];			/* of which time each is */
	char last_name[METRIC_NAME_LEN];		/* number looked up last */
	u32 last_len;
	u32 last_id;
	u32 last_server;				/* number of the one counted last */
	bool taken;
	struct metrics *next;
} __attribute__((aligned(64)));

extern __thread struct metrics *metrics_own_;
extern u64 metrics_epoch_;	/* the generation, and the time's slot */
extern u64 metrics_turn_ms_;	/* when the next slot begins */

/* The thread's block, made or cleared first. Never NULL: short of memory it is one
 * that nobody reads. */
struct metrics *metrics_renew(void);

static inline struct metrics *metrics_own(void)
{
	struct metrics *m = metrics_own_;

	if (__builtin_expect(m && m->epoch == __atomic_load_n(&metrics_epoch_,
							      __ATOMIC_RELAXED), 1))
		return m;
	return metrics_renew();
}

void metrics_turn_(u64 now_ms);

/* Any thread: the time, monotonic. What is counted from now on is of then; one that lies
 * before what was said already says nothing. */
static inline void metrics_turn(u64 now_ms)
{
	if (__builtin_expect(now_ms >= __atomic_load_n(&metrics_turn_ms_, __ATOMIC_RELAXED), 0))
		metrics_turn_(now_ms);
}

static inline void metric_set_(u64 *p, u64 v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

static inline void metric_sum_add_(struct metric_sum *s, u64 v, u64 n)
{
	if (!s->count || v < s->min)
		metric_set_(&s->min, v);
	if (v > s->max)
		metric_set_(&s->max, v);
	metric_set_(&s->sum, s->sum + v * n);
	metric_set_(&s->count, s->count + n);
}

/* Exact below 2^(@bits + 1), and 2^@bits for each power of two above; @n at most. */
static inline u32 metric_bucket_(u64 v, u32 bits, u32 n)
{
	u32 shift, at;

	if (v < 2U << bits)
		return v;
	shift = 63 - __builtin_clzll(v) - bits;
	at = (shift << bits) + (u32)(v >> shift);
	return at < n ? at : n - 1;
}

static inline u32 metric_bucket(u64 v)
{
	return metric_bucket_(v, METRIC_BITS, METRIC_BUCKETS);
}

/* @n more of @v. */
static inline void metric_hist_add_(const struct metrics *m, struct metric_hist *h, u32 bucket,
				    u32 n)
{
	u32 *p = &h->slots[m->slot * h->n + bucket];

	__atomic_store_n(p, *p + n, __ATOMIC_RELAXED);
}

/* Any thread: @n more. */
static inline void metric_count(enum metric_counter c, u64 n)
{
	u64 *p = &metrics_own()->counters[c];

	metric_set_(p, *p + n);
}

void metric_add_first_(struct metrics *m, enum metric_summary s, u64 v, u64 n);

/* Any thread: the same value @n times. */
static inline void metric_add_n(enum metric_summary s, u64 v, u64 n)
{
	struct metrics *m = metrics_own();
	struct metric_hist *h;

	metric_sum_add_(&m->sums[s], v, n);
	h = m->hists[s];
	if (__builtin_expect(!h, 0))
		metric_add_first_(m, s, v, n);
	else
		metric_hist_add_(m, h, metric_bucket(v), n);
}

static inline void metric_add(enum metric_summary s, u64 v)
{
	metric_add_n(s, v, 1);
}

/* Values one by one that are often the same as the one before. */
struct metric_run {
	enum metric_summary s;
	u64 v;
	u64 n;
};

static inline void metric_run_end(struct metric_run *r)
{
	if (r->n)
		metric_add_n(r->s, r->v, r->n);
	r->n = 0;
}

static inline void metric_run_add(struct metric_run *r, u64 v)
{
	if (r->v != v)
		metric_run_end(r);
	r->v = v;
	r->n++;
}

/* Any thread: one more value for the first name of @path; none for the root. */
void metric_add_path(enum metric_space s, const char *path, u32 len, u64 v);
/* The same for a server. */
void metric_add_server(enum metric_space s, u64 id, u64 v);

/* ---- reading: any thread ---- */

/* A summary of all threads. */
struct metric_view {
	struct metric_sum sum;
	u32 bits;			/* METRIC_BITS or METRIC_SET_BITS */
	u64 hist[METRIC_BUCKETS];	/* of all time */
	u64 recent[METRIC_BUCKETS];	/* of the slots of the last ten minutes */
};

u64 metric_counter_read(enum metric_counter c);
void metric_summary_read(enum metric_summary s, struct metric_view *v);
/* False: nothing was ever added for that name. */
bool metric_space_read(enum metric_space s, u32 name, struct metric_sum *sum);
/* The same with its values. */
bool metric_space_view(enum metric_space s, u32 name, struct metric_view *v);
/* How many names there are of a set's kind, and each one. */
u32 metric_names(enum metric_space s);
const char *metric_name(enum metric_space s, u32 name);

static inline bool metric_space_has_percentiles(enum metric_space s)
{
	return s >= METRIC_ack_latency;
}
/*
 * The value that the part @q of all are not greater than: as Dropwizard's
 * UniformSnapshot.getValue, in between two values by their distance. 0 if there are
 * none.
 */
double metric_quantile(const struct metric_view *v, double q);
/*
 * The value that the part @q of those of the last ten minutes are not greater than, one of
 * those added (but for a bucket's width); NaN if there are none: as simpleclient's
 * CKMSQuantiles.
 */
double metric_recent(const struct metric_view *v, double q);
/* Everything is zero again. */
void metrics_reset(void);

extern const char *const metric_counter_names[METRIC_N_COUNTERS];
extern const char *const metric_summary_names[METRIC_N_SUMMARIES];
extern const char *const metric_space_names[METRIC_N_SPACES];

#endif
