/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What quotas allow and what is used of them, by the first names of their paths
 * (QuotaMetricsUtils.java): from the tree, when it is asked for. Any thread that called
 * store_thread_init().
 */
#ifndef ZKD_ADMIN_QUOTAS_H
#define ZKD_ADMIN_QUOTAS_H

#include "daemon/store/store.h"

/* In the order in which mntr has them. */
enum quota_figure {
	QUOTA_BYTES_LIMIT,
	QUOTA_COUNT_USAGE,
	QUOTA_COUNT_LIMIT,
	QUOTA_BYTES_USAGE,
	QUOTA_N_FIGURES
};

/* quota_count_limit_per_namespace, ... */
extern const char *const quota_figure_names[QUOTA_N_FIGURES];

struct quota_sum {
	char *name;			/* NUL-terminated, of any length */
	bool has[QUOTA_N_FIGURES];
	s64 sum[QUOTA_N_FIGURES];
};

struct quota_sums {
	struct quota_sum *v;
	u32 n;
	u32 cap;
};

/*
 * One node after the other, as 3.8: changes may come in between. 3.8 ends mntr in its
 * middle at a text that is no quota's; here that node says nothing. 0, -ENOMEM or the
 * store's error; @q is to be given to quota_sums_free() in any case.
 */
int quota_sums(struct store *st, struct quota_sums *q);
void quota_sums_free(struct quota_sums *q);

#endif
