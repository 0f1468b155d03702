/* SPDX-License-Identifier: GPL-2.0-only */
/* Walking a subtree in pre-order, leaving out what the caller may not list. */
#ifndef ZKERN_WALK_H
#define ZKERN_WALK_H

#include <linux/types.h>

#include "access.h"
#include "tree/tree.h"

/**
 * struct zkern_rec - what one caller is shown of one node.
 * @view:     the node; its data and ACL are valid as the view is
 * @readable: he may see data and child names
 * @admin:    he may see the ACL unmasked
 * @acl_len:  of the ACL as he is shown it
 */
struct zkern_rec {
	struct zk_view view;
	bool readable;
	bool admin;
	u32 acl_len;
};

/* RCU, pinned: false if @node does not exist at @zxid. */
bool zkern_rec_look(const struct zk_node *node, u64 zxid, const struct zkern_caller *who,
		    struct zkern_rec *rec);
/* RCU, pinned: the ACL as shown, if it fits in @cap; nothing of it otherwise. */
void zkern_rec_acl(const struct zkern_rec *rec, u8 *buf, u32 cap);

/* RCU, pinned: the node after @node in @top's subtree; @into: with its children. */
struct zk_node *zkern_walk_next(const struct zk_node *top, struct zk_node *node, u64 zxid,
				bool into);

#endif
