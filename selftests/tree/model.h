/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plain model that the tree is checked against: an array of nodes with their
 * paths, nothing shared, nothing linked, every question answered by a search, every
 * version kept by copying the whole. It follows ZooKeeper's DataTree.java by itself,
 * not the tree's source.
 */
#ifndef ZT_MODEL_H
#define ZT_MODEL_H

#include "zt.h"

#define MODEL_NODES	256
#define MODEL_PATH	40
#define MODEL_DATA	24

struct model_node {
	bool used;
	u64 born;		/* order of creation */
	u32 path_len;
	char path[MODEL_PATH];
	s32 data_len;
	u8 data[MODEL_DATA];
	u32 acl;		/* in zt_acls */
	struct zk_stat stat;	/* num_children is worked out when compared */
};

struct model {
	u64 zxid;
	u64 births;
	u32 n;			/* used ones */
	struct model_node node[MODEL_NODES];
};

void model_init(struct model *m);
/* The node at @path, or NULL. */
struct model_node *model_find(struct model *m, const char *path, u32 len);
/*
 * What the tree must answer to @txn, and does it if that is 0; otherwise *@m is in
 * pieces. Operations' ACLs are told by their jute. -ENOSPC: nothing to try the tree
 * with (the model is full, or an ephemeral would have a child).
 */
int model_apply(struct model *m, const struct zk_txn *txn, struct zk_link_result *res);
u64 model_digest(struct model *m);
/* Checks everything that can be asked of the tree as of the model's zxid. */
void model_compare(struct model *m, struct zk_tree *tree);

#endif
