/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The figures that mntr, the admin server's "monitor" and Prometheus show: what they
 * are called, in which order, and where they come from. Any thread that called
 * store_thread_init().
 */
#ifndef ZKD_ADMIN_VALUES_H
#define ZKD_ADMIN_VALUES_H

#include "daemon/client/internal.h"

/* As Java's Version.getFullVersion(): the ZooKeeper that we answer like, and whose
 * server it is; no date, so that builds are reproducible. */
#define VALUES_VERSION	"3.8.0-zkern-0.1.0"

enum value_kind { VALUE_TEXT, VALUE_WHOLE, VALUE_REAL };

struct value {
	const char *name;	/* without mntr's "zk_" */
	enum value_kind kind;
	const char *text;
	s64 whole;
	double real;		/* rounded to four places */
};

typedef void (*value_fn)(void *arg, const struct value *v);

/* All: in 3.8.0's order, then our own. */
void values_each(struct client_side *cs, value_fn fn, void *arg);
/* Those that are looked up when asked for: ZooKeeperServer.registerMetrics(). */
void values_gauges(struct client_side *cs, value_fn fn, void *arg);

/* Our own, "zkern_...": what 3.8.0 has not; counts since the start, never reset. */
void values_own(struct client_side *cs, value_fn fn, void *arg);

/* What this server is: "leader", "follower", "observer", "standalone", "read-only"; of an
 * ensemble and serving nobody: "broken" (ServerStats.getServerState() has no word for it). */
const char *values_state(struct client_side *cs);
/* Which clients are served. */
enum core_serves values_serves(struct client_side *cs);

/* Rounded to four places and as Java prints a double ("0.0", "1.25"); @buf of 32. */
const char *values_real(double x, char *buf);
/* The Java server counts the root twice, as "" and "/". */
static inline u64 values_nodes(const struct store_info *info)
{
	return info->stats.nodes + 1;
}

#endif
