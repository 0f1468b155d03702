/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What metrics.c, which counts, and metrics_read.c share. */
#ifndef ZKD_BASE_METRICS_IMPL_H
#define ZKD_BASE_METRICS_IMPL_H

#include "daemon/base/metrics.h"

extern struct metrics *metrics_blocks_;		/* a list that only grows; published with release */
/* Was anything ever added for that name? Atomic. */
extern bool metrics_used_[METRIC_N_SPACES][METRIC_NAMES_MAX];

#endif
