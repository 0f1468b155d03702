/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACLs, each kept once for all nodes that have an equal one (ZooKeeper's
 * ReferenceCountedACLCache), found by content and by id.
 *
 * Locking: references are counted by the writer alone. Readers find ACLs through
 * nodes and by id, in an RCU read section. One that nobody refers to any more
 * leaves the indexes at once and goes to the tree's list of the dead, to be freed
 * after a grace period.
 */
#ifndef ZK_ACL_H
#define ZK_ACL_H

#include <linux/list.h>
#include <linux/siphash.h>

#include "index.h"
#include "tree.h"

/* Off the indexes, and freed when the reclaimer has freed all up to entry @at. */
struct zk_dead {
	struct list_head link;
	u64 at;
	void (*release)(struct zk_mem *mem, struct zk_dead *dead);
};

/**
 * struct zk_acl_ref - a shared ACL with what the table keeps of it.
 * @refs: versions that refer to it (writer)
 * @acl:  what readers see; its jute follows in @jute
 */
struct zk_acl_ref {
	struct zk_hnode by_content;
	struct zk_hnode by_id;
	struct zk_dead dead;
	u64 refs;
	struct zk_acl acl;
	u8 jute[];
};

struct zk_acls {
	struct zk_index by_content;
	struct zk_index by_id;
	siphash_key_t key;
	u64 next_id;
	struct list_head *dead;
};

void zk_acls_init(struct zk_acls *acls, struct zk_mem *mem, struct list_head *dead);
/* Frees the table and all ACLs in it. Nobody reads any more. */
void zk_acls_destroy(struct zk_acls *acls, struct zk_mem *mem);

/*
 * Writer: the ACL equal to @jute, with one more reference; the caller drops it with
 * zk_acl_put(). Sleeps. -EINVAL if @jute is not a whole vector<ACL> or is longer
 * than ZK_ACL_MAX; -ENOMEM. The null vector is the open ACL, as in
 * ReferenceCountedACLCache.convertAcls().
 */
int zk_acl_get(struct zk_acls *acls, struct zk_mem *mem, const u8 *jute, u32 len,
	       struct zk_acl_ref **ref);
/* Writer. @at: see struct zk_dead. */
void zk_acl_put(struct zk_acls *acls, struct zk_acl_ref *ref, u64 at);
/* Writer: sets up what the table has grown by, see zk_index_grow(). Sleeps. */
void zk_acls_grow(struct zk_acls *acls, unsigned int steps);
/* RCU */
const struct zk_acl *zk_acls_by_id(const struct zk_acls *acls, u64 id);

/* What a tree without other orders gives to its root: all to world:anyone. */
extern const u8 zk_acl_open[];
extern const u32 zk_acl_open_len;

#endif
