/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The metrics in Prometheus' text format 0.0.4, as its Java client writes what 3.8's
 * PrometheusMetricsProvider registers. On the admin thread.
 */
#ifndef ZKD_ADMIN_PROMETHEUS_H
#define ZKD_ADMIN_PROMETHEUS_H

#include "daemon/client/internal.h"

/* @wanted says whether the samples of that name are asked for. */
void prometheus_text(struct client_side *cs, bool (*wanted)(void *arg, const char *name),
		     void *arg, struct jw *out);

#endif
