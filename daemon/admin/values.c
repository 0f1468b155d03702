// SPDX-License-Identifier: GPL-2.0-or-later
/* See values.h. */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/admin/quotas.h"
#include "daemon/admin/values.h"
#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/zab/zab.h"

const char *values_real(double x, char *buf)
{
	size_t n = snprintf(buf, 32, "%.4f", x);

	while (n > 2 && buf[n - 1] == '0' && buf[n - 2] != '.')
		buf[--n] = 0;
	return buf;
}

static double rounded(double x)
{
	return floor(x * 10000 + 0.5) / 10000;
}

static double average(u64 sum, u64 count)
{
	return count ? rounded((double)sum / count) : 0;
}

struct sink {
	value_fn fn;
	void *arg;
};

static void text(const struct sink *k, const char *name, const char *s)
{
	const struct value v = { .name = name, .kind = VALUE_TEXT, .text = s };

	k->fn(k->arg, &v);
}

static void whole(const struct sink *k, const char *name, s64 x)
{
	const struct value v = { .name = name, .kind = VALUE_WHOLE, .whole = x };

	k->fn(k->arg, &v);
}

static void real(const struct sink *k, const char *name, double x)
{
	const struct value v = { .name = name, .kind = VALUE_REAL, .real = x };

	k->fn(k->arg, &v);
}

/* ------------------------------------------------------------ gauges */

static u64 count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	u64 n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n > 3 ? n - 3 : 0;	/* ".", ".." and the folder's own */
}

static u64 max_fds(void)
{
	struct rlimit lim = { 0, 0 };

	getrlimit(RLIMIT_NOFILE, &lim);
	return lim.rlim_cur;
}

static const struct core_stats no_stats;

const char *values_state(struct client_side *cs)
{
	struct core_stats s = no_stats;

	if (!cs->cfg->ensemble)
		return "standalone";
	core_stats(cs->core, &s);
	if (s.serves == CORE_SERVES_READERS)
		return "read-only";
	if (s.phase != ZAB_BROADCAST)
		return "broken";
	return s.state == ZAB_LEADING ? "leader" :
	       s.state == ZAB_OBSERVING ? "observer" : "follower";
}

enum core_serves values_serves(struct client_side *cs)
{
	struct core_stats s = no_stats;

	core_stats(cs->core, &s);
	return s.serves;
}

/* "leading - broadcast" (QuorumPeer.getDetailedPeerState()). */
static const char *peer_state(const struct core_stats *s, char *buf, size_t len)
{
	static const char *const states[] = { "looking", "following", "leading", "observing" };
	static const char *const phases[] = { "", " - discovery", " - synchronization",
					      " - broadcast" };

	snprintf(buf, len, "%s%s", states[s->state & 3], phases[s->phase & 3]);
	return buf;
}

/* QuorumZooKeeperServer's, and those of the roles. */
static void ensemble_gauges(struct client_side *cs, const struct sink *k,
			    const struct core_stats *s)
{
	struct ensemble *e;
	char state[64];

	if (!cs->cfg->ensemble || s->serves == CORE_SERVES_READERS)
		return;
	e = core_members(cs->core);
	text(k, "peer_state", peer_state(s, state, sizeof(state)));
	whole(k, "quorum_size", ensemble_voters(e));
	ensemble_put(e);
	if (s->state == ZAB_OBSERVING && s->phase == ZAB_BROADCAST)
		whole(k, "observer_master_id", s->master);
	/* FollowerZooKeeperServer.registerMetrics() */
	if (s->state == ZAB_FOLLOWING && s->phase == ZAB_BROADCAST && cs->cfg->observer_port)
		whole(k, "synced_observers", s->observers);
	if (s->state != ZAB_LEADING)
		return;
	whole(k, "learners", s->learners);
	whole(k, "synced_followers", s->followers);
	whole(k, "synced_non_voting_followers", 0);
	whole(k, "synced_observers", s->observers);
	whole(k, "pending_syncs", s->pending_syncs);
	whole(k, "leader_uptime", s->phase == ZAB_BROADCAST ? coarse_ms() - s->leads_since_ms : 0);
	whole(k, "last_proposal_size", s->last_size);
	whole(k, "min_proposal_size", s->min_size);
	whole(k, "max_proposal_size", s->max_size);
}

/* The order of a Java map that mntr's readers are used to. */
void values_gauges(struct client_side *cs, value_fn fn, void *arg)
{
	const struct sink k = { fn, arg };
	struct io_stats s = stats_sum(cs);
	struct store_info info = { .zxid = 0 };
	struct core_stats core = { .zxid = 0 };

	cs->st->ops->info(cs->st, &info);
	core_stats(cs->core, &core);
	whole(&k, "ephemerals_count", info.stats.ephemerals);
	whole(&k, "num_alive_connections", conns_count(cs));
	real(&k, "avg_latency", average(s.total_latency, s.count));
	whole(&k, "outstanding_requests", __atomic_load_n(&cs->outstanding, __ATOMIC_RELAXED));
	whole(&k, "znode_count", values_nodes(&info));
	whole(&k, "global_sessions", core.sessions);
	whole(&k, "non_mtls_remote_conn_count", 0);	/* counted by Netty only */
	whole(&k, "last_client_response_size", s.last_size);
	whole(&k, "packets_sent", s.sent);
	whole(&k, "packets_received", s.received);
	whole(&k, "max_client_response_size", s.max_size);
	real(&k, "connection_drop_probability", throttle_drop(&cs->throttle));
	whole(&k, "watch_count", core.watches);
	whole(&k, "auth_failed_count", __atomic_load_n(&cs->auth_failed, __ATOMIC_RELAXED));
	whole(&k, "min_latency", s.min_latency);
	whole(&k, "max_file_descriptor_count", max_fds());
	whole(&k, "approximate_data_size", info.stats.data_bytes);
	whole(&k, "open_file_descriptor_count", count_fds());
	whole(&k, "local_sessions", core.local_sessions);
	whole(&k, "uptime", coarse_ms() - cs->started_ms);
	whole(&k, "max_latency", s.max_latency);
	whole(&k, "outstanding_tls_handshake", 0);
	whole(&k, "min_client_response_size", s.min_size);
	whole(&k, "non_mtls_local_conn_count", 0);
	ensemble_gauges(cs, &k, &core);
}

/* What 3.8 has no figure for: the disk's room and its failures, memory of watches. */
void values_own(struct client_side *cs, value_fn fn, void *arg)
{
	const struct sink k = { fn, arg };
	struct core_stats core = { .zxid = 0 };
	struct disk_stats disk;

	core_stats(cs->core, &core);
	disk_stats(cs->disk, &disk);
	whole(&k, "zkern_data_dir_free_bytes", disk.room_free);
	whole(&k, "zkern_data_dir_room_low", disk.room_low);
	whole(&k, "zkern_data_dir_room_warnings", disk.room_warnings);
	whole(&k, "zkern_log_errors", disk.log_errors);
	whole(&k, "zkern_log_bytes", disk.log_bytes);
	whole(&k, "zkern_fsyncs", disk.fsyncs);
	whole(&k, "zkern_fsync_threshold_exceed_count", disk.fsyncs_slow);
	whole(&k, "zkern_snapshots", disk.snapshots);
	whole(&k, "zkern_snapshot_errors", disk.snapshot_errors);
	whole(&k, "zkern_watch_memory_bytes", core.watch_bytes);
}

/* ------------------------------------------------------------ metrics */

static void named(const struct sink *k, const char *prefix, const char *name, s64 x)
{
	char *full;

	if (asprintf(&full, "%s_%s", prefix, name) < 0)
		return;
	whole(k, full, x);
	free(full);
}

static void summary(const struct sink *k, const char *name, const struct metric_sum *s)
{
	char full[256];

	snprintf(full, sizeof(full), "avg_%s", name);
	real(k, full, average(s->sum, s->count));
	named(k, "min", name, s->count ? s->min : 0);
	named(k, "max", name, s->max);
	named(k, "cnt", name, s->count);
	named(k, "sum", name, s->sum);
}

static void quantiles(const struct sink *k, const char *name, const struct metric_view *v)
{
	named(k, "p50", name, (s64)(metric_quantile(v, 0.5) + 0.5));
	named(k, "p95", name, (s64)(metric_quantile(v, 0.95) + 0.5));
	named(k, "p99", name, (s64)(metric_quantile(v, 0.99) + 0.5));
	named(k, "p999", name, (s64)(metric_quantile(v, 0.999) + 0.5));
}

static void spaces(const struct sink *k, enum metric_space space, struct metric_view *v)
{
	char full[256];

	for (u32 i = 0; i < metric_names(space); i++) {
		if (!metric_space_view(space, i, v))
			continue;
		snprintf(full, sizeof(full), "%s_%s", metric_name(space, i),
			 metric_space_names[space]);
		summary(k, full, &v->sum);
		if (metric_space_has_percentiles(space))
			quantiles(k, full, v);
	}
}

/* Of a set of counters each is shown by its own name. */
static void counters(const struct sink *k, enum metric_space space)
{
	struct metric_sum s;

	for (u32 i = 0; i < metric_names(space); i++)
		if (metric_space_read(space, i, &s))
			named(k, metric_name(space, i), metric_space_names[space], s.count);
}

/* What quotas allow and use. If that is not to be had now, the rest is. */
static void quotas(const struct sink *k, struct store *st)
{
	struct quota_sums q;
	int err = quota_sums(st, &q);

	if (err)
		log_ratelimited(LOG_WARN, "the figures of quotas: %s", strerror(-err));
	for (u32 f = 0; f < QUOTA_N_FIGURES; f++)
		for (u32 i = 0; i < q.n; i++)
			if (q.v[i].has[f])
				named(k, q.v[i].name, quota_figure_names[f], q.v[i].sum[f]);
	quota_sums_free(&q);
}

void values_each(struct client_side *cs, value_fn fn, void *arg)
{
	const struct sink k = { fn, arg };
	struct metric_view v;

	text(&k, "version", VALUES_VERSION);
	text(&k, "server_state", values_state(cs));
	values_gauges(cs, fn, arg);
	quotas(&k, cs->st);
	for (u32 i = 0; i < METRIC_N_COUNTERS; i++)
		whole(&k, metric_counter_names[i], metric_counter_read(i));
	counters(&k, METRIC_quota_exceeded_error_per_namespace);
	for (u32 i = 0; i < METRIC_N_SUMMARIES; i++) {
		metric_summary_read(i, &v);
		summary(&k, metric_summary_names[i], &v.sum);
		if (i >= METRIC_N_PLAIN)
			quantiles(&k, metric_summary_names[i], &v);
	}
	spaces(&k, METRIC_learner_handler_qp_size, &v);
	spaces(&k, METRIC_read_per_namespace, &v);
	spaces(&k, METRIC_write_per_namespace, &v);
	spaces(&k, METRIC_ack_latency, &v);
	spaces(&k, METRIC_learner_handler_qp_time_ms, &v);
	values_own(cs, fn, arg);
}
