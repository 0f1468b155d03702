/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parsing of what an owner hands over: struct zkern_txn, zkern_op and zkern_node
 * records. The bytes are kernel memory, 8-aligned, and stay while the results,
 * which point into them, are used. Everything in them is suspect: no length is
 * believed before it was held against what is there. No state, no locks.
 */
#ifndef ZKERN_RECORDS_H
#define ZKERN_RECORDS_H

#include <linux/types.h>

#include "tree/tree.h"

/* An array of operations that is used again. Zeroed: empty. */
struct zkern_ops {
	struct zk_op *ops;
	u32 cap;
};

/* One node to load. view.acl is not set. */
struct zkern_load_node {
	const char *path;
	u32 path_len;
	const u8 *acl;
	u32 acl_len;
	struct zk_view view;
};

/*
 * The transaction at @at. Sleeps. Returns its length in bytes (a multiple of 8, at
 * most @left), -EINVAL or -ENOMEM. txn->ops is in @ops, until the next call.
 */
int zkern_txn_parse(const void *at, u32 left, struct zkern_ops *ops, struct zk_txn *txn);

/* The node at @at; returns as zkern_txn_parse(). */
int zkern_node_parse(const void *at, u32 left, struct zkern_load_node *node);

/* Gives back the memory of an unusually large transaction. */
void zkern_ops_trim(struct zkern_ops *ops);
void zkern_ops_free(struct zkern_ops *ops);

#endif
