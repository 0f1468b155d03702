// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See prometheus.h. A summary's quantiles are of the last eight to ten minutes, as those
 * of the Java client that 3.8's PrometheusMetricsProvider registers with: the median of
 * the basic ones, three of the advanced ones. Of the metrics of the JVM those have a
 * meaning here that are about the process.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/admin/prometheus.h"
#include "daemon/admin/quotas.h"
#include "daemon/admin/values.h"
#include "daemon/base/log.h"
#include "daemon/base/metrics.h"

struct page {
	struct jw *out;
	bool (*wanted)(void *arg, const char *name);
	void *arg;
};

/* A double, and never an exponent for what counts: Prometheus reads both. */
static const char *real(double x, char *buf)
{
	if (isnan(x))
		snprintf(buf, 32, "NaN");
	else if (x == floor(x) && fabs(x) < 1e15)
		snprintf(buf, 32, "%.1f", x);
	else
		snprintf(buf, 32, "%.15g", x);
	return buf;
}

static bool head(const struct page *p, const char *name, const char *type)
{
	if (!p->wanted(p->arg, name))
		return false;
	jw_printf(p->out, "# HELP %s %s\n# TYPE %s %s\n", name, name, name, type);
	return true;
}

static void sample(const struct page *p, const char *name, double x)
{
	char buf[32];

	jw_printf(p->out, "%s %s\n", name, real(x, buf));
}

static void one(const struct page *p, const char *name, const char *type, double x)
{
	if (head(p, name, type))
		sample(p, name, x);
}

static void put_gauge(void *arg, const struct value *v)
{
	one(arg, v->name, "gauge", v->kind == VALUE_REAL ? v->real : (double)v->whole);
}

/* ------------------------------------------------------------ summaries */

static const double quantiles[] = { 0.5, 0.9, 0.99 };

static void put_summary(const struct page *p, enum metric_summary s, struct metric_view *v)
{
	const char *name = metric_summary_names[s];
	u32 n = s < METRIC_N_PLAIN ? 1 : 3;
	char buf[32];

	if (!head(p, name, "summary"))
		return;
	metric_summary_read(s, v);
	for (u32 i = 0; i < n; i++)
		jw_printf(p->out, "%s{quantile=\"%g\",} %s\n", name, quantiles[i],
			  real(metric_recent(v, quantiles[i]), buf));
	jw_printf(p->out, "%s_count %s\n", name, real(v->sum.count, buf));
	jw_printf(p->out, "%s_sum %s\n", name, real(v->sum.sum, buf));
}

/* A label's value: the name of a node. */
static void put_label(struct jw *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '\\' || *s == '"')
			jw_bytes(out, "\\", 1);
		jw_bytes(out, s, 1);
	}
}

static void put_keyed(struct jw *out, const char *name, const char *end, const char *key,
		      const char *more, double x)
{
	char buf[32];

	jw_printf(out, "%s%s{key=\"", name, end);
	put_label(out, key);
	jw_printf(out, "\",%s} %s\n", more, real(x, buf));
}

static void put_space(const struct page *p, enum metric_space space, struct metric_view *v)
{
	const char *name = metric_space_names[space];
	u32 n = metric_space_has_percentiles(space) ? 3 : 1;
	char label[32];

	if (!head(p, name, "summary"))
		return;
	for (u32 i = 0; i < metric_names(space); i++) {
		if (!metric_space_view(space, i, v))
			continue;
		for (u32 k = 0; k < n; k++) {
			snprintf(label, sizeof(label), "quantile=\"%g\",", quantiles[k]);
			put_keyed(p->out, name, "", metric_name(space, i), label,
				  metric_recent(v, quantiles[k]));
		}
		put_keyed(p->out, name, "_count", metric_name(space, i), "", v->sum.count);
		put_keyed(p->out, name, "_sum", metric_name(space, i), "", v->sum.sum);
	}
}

static void put_counters(const struct page *p, enum metric_space space)
{
	const char *name = metric_space_names[space];
	struct metric_sum s;

	if (!head(p, name, "counter"))
		return;
	for (u32 i = 0; i < metric_names(space); i++)
		if (metric_space_read(space, i, &s))
			put_keyed(p->out, name, "", metric_name(space, i), "", s.count);
}

static void put_quotas(const struct page *p, struct store *st)
{
	struct quota_sums q;
	int err = quota_sums(st, &q);

	if (err)
		log_ratelimited(LOG_WARN, "the figures of quotas: %s", strerror(-err));
	for (u32 f = 0; f < QUOTA_N_FIGURES; f++) {
		if (!head(p, quota_figure_names[f], "gauge"))
			continue;
		for (u32 i = 0; i < q.n; i++)
			if (q.v[i].has[f])
				put_keyed(p->out, quota_figure_names[f], "", q.v[i].name, "",
					  q.v[i].sum[f]);
	}
	quota_sums_free(&q);
}

/* ------------------------------------------------------------ the process */

/* The fields of /proc/self/stat behind the name; 0 where there are none. */
static u64 stat_field(u32 nth)
{
	char text[2048], *s = NULL;
	FILE *f = fopen("/proc/self/stat", "re");

	if (f) {
		text[fread(text, 1, sizeof(text) - 1, f)] = 0;
		fclose(f);
		s = strrchr(text, ')');
	}
	for (u32 i = 2; s && i < nth; i++)
		s = strchr(s + 1, ' ');
	return s ? strtoull(s + 1, NULL, 10) : 0;
}

static void put_process(const struct page *p)
{
	double hz = sysconf(_SC_CLK_TCK), since;
	struct timespec wall, boot;

	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	since = wall.tv_sec + wall.tv_nsec / 1e9 - boot.tv_sec - boot.tv_nsec / 1e9;
	one(p, "process_cpu_seconds_total", "counter", (stat_field(14) + stat_field(15)) / hz);
	one(p, "process_start_time_seconds", "gauge",
	    floor((since + stat_field(22) / hz) * 1000) / 1000);
	one(p, "process_virtual_memory_bytes", "gauge", stat_field(23));
	one(p, "process_resident_memory_bytes", "gauge",
	    (double)stat_field(24) * sysconf(_SC_PAGESIZE));
}

void prometheus_text(struct client_side *cs, bool (*wanted)(void *arg, const char *name),
		     void *arg, struct jw *out)
{
	struct page p = { .out = out, .wanted = wanted, .arg = arg };
	struct metric_view v;

	metrics_turn(coarse_ms());
	values_gauges(cs, put_gauge, &p);
	put_quotas(&p, cs->st);
	for (u32 i = 0; i < METRIC_N_COUNTERS; i++)
		one(&p, metric_counter_names[i], "counter", metric_counter_read(i));
	put_counters(&p, METRIC_quota_exceeded_error_per_namespace);
	for (u32 i = 0; i < METRIC_N_SUMMARIES; i++)
		put_summary(&p, i, &v);
	put_space(&p, METRIC_read_per_namespace, &v);
	put_space(&p, METRIC_write_per_namespace, &v);
	put_space(&p, METRIC_learner_handler_qp_size, &v);
	put_space(&p, METRIC_ack_latency, &v);
	put_space(&p, METRIC_learner_handler_qp_time_ms, &v);
	values_own(cs, put_gauge, &p);
	if (cs->cfg->process_info)
		put_process(&p);
}
