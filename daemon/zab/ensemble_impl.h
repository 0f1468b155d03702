/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A membership while its lines are being read; only ensemble*.c include
 * this. Lists of ids are in the order in which Java would have put them into its
 * maps, as its text shows that order.
 */
#ifndef ZKD_ZAB_ENSEMBLE_IMPL_H
#define ZKD_ZAB_ENSEMBLE_IMPL_H

#include "daemon/zab/ensemble.h"

#define DRAFT_IDS	256
#define ID_MAX		(ENSEMBLE_MAX - 1)

struct draft {
	char *why;
	size_t why_len;
	const char *key;		/* of the line that is read */
	char own_key[32];
	u32 n_keys;			/* different ones in all the lines */
	bool hierarchical;
	u64 version;
	bool is_server[DRAFT_IDS];
	struct peer peers[DRAFT_IDS];	/* by id */
	u8 servers[DRAFT_IDS];		/* their ids */
	u32 n_servers;
	struct peer_group groups[DRAFT_IDS];
	u32 n_groups;
	u32 group_of[DRAFT_IDS];	/* 1 + index in groups; 0: none */
	u8 grouped[DRAFT_IDS];		/* ids named in groups, servers or not */
	u32 n_grouped;
	bool has_weight[DRAFT_IDS];
	u64 weight[DRAFT_IDS];
	u8 weighed[DRAFT_IDS];		/* ids with a weight, servers or not */
	u32 n_weighed;
};

/* ensemble_line.c: says what is wrong with the line that is read; -EINVAL. */
int draft_wrong(struct draft *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* ensemble_line.c: the same of what Java's numbers or ports cannot be; -ERANGE. */
int draft_range(struct draft *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* ensemble_line.c: takes the line of d->key, which is not there yet, or passes it over.
 * 0, -EINVAL, -ERANGE (said), -ENOMEM. */
int draft_line(struct draft *d, const char *value);
/* ensemble_line.c: frees what @p holds. */
void draft_peer_clear(struct peer *p);
/* QuorumMaj.toString(), QuorumHierarchical.toString(): malloc'ed, or NULL. */
char *ensemble_text(const struct draft *d);

#endif
