/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ZooKeeper's tree, as plainly as it can be said (DataTree.java): an array of nodes,
 * searched from its begin. What the stores are compared with.
 */
#ifndef STORE_MODEL_H
#define STORE_MODEL_H

#include <linux/types.h>

#include "daemon/store/store.h"

struct mnode {
	char *path;
	u8 *data;
	s32 data_len;
	int acl;		/* number of one of the test's ACLs */
	struct zk_stat stat;	/* num_children is counted when asked for */
};

struct model {
	struct mnode *nodes;
	u32 n;
	u64 zxid;
};

void model_init(struct model *m);
void model_copy(struct model *to, const struct model *from);
void model_free(struct model *m);
struct mnode *model_find(const struct model *m, const char *path, size_t len);
u32 model_children(const struct model *m, const char *path);
/* The transaction must fit; @acl_of tells an ACL's number by its bytes. */
void model_apply(struct model *m, const struct zk_txn *txn);

#define N_ACLS	12
/* ACL number @i, in jute. */
const u8 *test_acl(int i, u32 *len);
int test_acl_number(const u8 *acl, u32 len);

#endif
