/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A znode and its versions in memory.
 *
 * Layout (64 bit)
 * ---------------
 * struct zk_node is 80 bytes with its name behind it. Its versions hang on three
 * chains, newest first. Most nodes are written once, so a chain's first version
 * says nothing that the node says already, and its address is tagged to tell:
 *
 *   data   birth {len, crc, bytes}: version 0, mzxid and mtime are czxid and ctime
 *          data  {older, zxid, mzxid, mtime, version, len, crc, bytes}
 *          tombstone {older, zxid}: deleted
 *   acl    the shared ACL itself: aversion 0
 *          aclver {older, zxid, acl, aversion}
 *   dir    NULL: no child ever, cversion 0, pzxid is czxid; else the list of
 *          children and dirver {older, zxid, pzxid, cversion, num_children}
 *
 * Nodes with an owner (ephemeral, container, TTL) have struct zk_owned before them.
 *
 * So a znode with a name of 10 bytes and 100 bytes of data takes 96 + 112 bytes and
 * its share of the index, 8 to 16 (exactly a word a node when the number of nodes is a
 * power of two). Measured for 1 M of them under 1,000 parents, all told: 234 bytes in
 * the kernel (16 more in a memory cgroup, whose pointer goes with each object), 250
 * resident in the user home, where malloc makes it 112 + 128. A parent takes 32 + 32
 * more. selftests/tree has the bench (bench/, and kernel/bench.c for the module).
 *
 * Visibility
 * ----------
 * A version that the tree was loaded with is visible at every zxid (a fuzzy snapshot
 * may hold newer things than the zxid it was published at): its @older is ZK_BASE,
 * and a birth version's node has ZK_NODE_LOADED. Every other version is visible from
 * its zxid on.
 *
 * Locking: the writer changes; readers, in an RCU read section, follow the __rcu
 * words. Everything else in a node and in a version is constant once it can be
 * found, but for dirver's counters while their zxid is not published, and for the
 * writer's own bits in @hash.meta.
 */
#ifndef ZK_NODE_H
#define ZK_NODE_H

#include <linux/compiler.h>
#include <linux/list.h>

#include "acl.h"
#include "index.h"
#include "tree.h"

/* Tags of addresses in chains and in steps. */
#define ZK_TAG_MASK	7UL
#define ZK_TAG_DATA	0	/* data chain */
#define ZK_TAG_BIRTH	1
#define ZK_TAG_TOMB	2
#define ZK_TAG_ACLVER	0	/* acl chain */
#define ZK_TAG_ACL	1

/* For @older: nothing before this version, and it is visible at every zxid. */
#define ZK_BASE		((void *)4UL)

static inline unsigned int zk_tag_of(const void *p)
{
	return (unsigned long)p & ZK_TAG_MASK;
}

static inline void *zk_untag(const void *p)
{
	return (void *)((unsigned long)p & ~ZK_TAG_MASK);
}

static inline void *zk_tagged(const void *p, unsigned int tag)
{
	return (void *)((unsigned long)p | tag);
}

/* How every version but a first one begins. */
struct zk_ver {
	void __rcu *older;
	u64 zxid;
};

struct zk_birth {
	s32 len;
	u32 crc;
	u8 bytes[];
};

/* @mzxid is its zxid, but for what quota.c writes: that does not count as a change. */
struct zk_data {
	struct zk_ver ver;
	u64 mzxid;
	s64 mtime;
	s32 version;
	s32 len;
	u32 crc;
	u8 bytes[];
};

struct zk_aclver {
	struct zk_ver ver;
	struct zk_acl_ref *acl;
	s32 aversion;
};

struct zk_dirver {
	struct zk_ver ver;
	u64 pzxid;
	s32 cversion;
	s32 num_children;
};

/* @children: all lives', in order of creation; through zk_node.sibling */
struct zk_dir {
	struct list_head children;
	void __rcu *top;
};

/*
 * In the order in which a lookup comes by: the hash tells whether to go on to the data,
 * whose miss is the longest to wait for.
 */
struct zk_node {
	struct zk_hnode hash;
	void __rcu *data;
	struct zk_node *parent;		/* NULL: the root */
	u64 czxid;
	s64 ctime;
	void __rcu *acl;
	struct zk_dir __rcu *dir;
	struct list_head sibling;
	char name[];
};

/* @nodes: all lives' of one session, or all containers and TTL nodes */
struct zk_owner {
	struct zk_hnode hash;
	struct zk_dead dead;
	struct list_head nodes;
	u64 id;
	u64 live;			/* writer: that exist in its own view */
};

struct zk_owned {
	u64 owner;
	struct zk_owner *home;
	struct list_head link;
};

/* zk_hnode.meta: the name's length in the lower 20 bits */
#define ZK_NODE_NAME_MASK	0xfffffu
#define ZK_NODE_LOADED		0x100000u	/* the birth version is visible always */
#define ZK_NODE_OWNED		0x200000u	/* struct zk_owned before it */
#define ZK_NODE_NO_DIGEST	0x400000u	/* below /zookeeper/ */
#define ZK_NODE_TOUCHED		0x800000u	/* writer: changed in this transaction */
#define ZK_NODE_DIR_TOUCHED	0x1000000u	/* writer: its top dirver is of this one */

static inline u32 zk_node_meta(const struct zk_node *node)
{
	return READ_ONCE(node->hash.meta);
}

static inline u32 zk_name_len(const struct zk_node *node)
{
	return zk_node_meta(node) & ZK_NODE_NAME_MASK;
}

static inline struct zk_owned *zk_owned_of(const struct zk_node *node)
{
	return (struct zk_owned *)node - 1;
}

static inline struct zk_node *zk_node_of_owned(struct zk_owned *owned)
{
	return (struct zk_node *)(owned + 1);
}

/* 0 for a node that nobody owns. */
static inline u64 zk_owner_of(const struct zk_node *node)
{
	return zk_node_meta(node) & ZK_NODE_OWNED ? zk_owned_of(node)->owner : 0;
}

/* Writer: set and clear bits of the meta word that readers also read. */
static inline void zk_node_mark(struct zk_node *node, u32 bits)
{
	WRITE_ONCE(node->hash.meta, node->hash.meta | bits);
}

static inline void zk_node_unmark(struct zk_node *node, u32 bits)
{
	WRITE_ONCE(node->hash.meta, node->hash.meta & ~bits);
}

/* ZooKeeper's EphemeralType: containers and TTL nodes are no session's. */
static inline bool zk_owner_is_timed(u64 owner)
{
	return owner == ZK_OWNER_CONTAINER ||
	       (owner & ZK_OWNER_TTL_MASK) == ZK_OWNER_TTL_MASK;
}

/* --------------------------------------------------------- making, freeing */

/* All of these sleep and return NULL when memory is short. @meta: ZK_NODE_*. */
struct zk_node *zk_node_new(struct zk_mem *mem, const char *name, u32 len, u64 owner);
struct zk_birth *zk_birth_new(struct zk_mem *mem, const void *bytes, s32 len, u32 crc);
struct zk_data *zk_data_new(struct zk_mem *mem, const void *bytes, s32 len, u32 crc);
struct zk_ver *zk_tomb_new(struct zk_mem *mem);
struct zk_aclver *zk_aclver_new(struct zk_mem *mem);
struct zk_dir *zk_dir_new(struct zk_mem *mem);
struct zk_dirver *zk_dirver_new(struct zk_mem *mem);

/*
 * One object each, after the grace period it needs. A zk_data_free() takes any
 * (tagged) element of a data chain, zk_aclver_free() one of an acl chain (the
 * shared ACL itself is not freed and its reference not dropped).
 */
void zk_data_free(struct zk_mem *mem, void *tagged);
void zk_aclver_free(struct zk_mem *mem, void *tagged);
void zk_dirver_free(struct zk_mem *mem, struct zk_dirver *ver);
void zk_dir_free(struct zk_mem *mem, struct zk_dir *dir);
/* The node alone, without what hangs on it. */
void zk_node_free(struct zk_mem *mem, struct zk_node *node);
/* What these would give back, in bytes (zk_mem_cost()). */
size_t zk_data_cost(const void *tagged);
size_t zk_aclver_cost(const void *tagged);
size_t zk_dirver_cost(void);
size_t zk_dir_cost(void);
size_t zk_node_cost(const struct zk_node *node);

/* The ACL that an element of an acl chain refers to. */
struct zk_acl_ref *zk_acl_of(const void *tagged);

/* --------------------------------------------------------- reading (RCU) */

/* Does the node exist at @zxid? */
bool zk_node_exists(const struct zk_node *node, u64 zxid);
/* The counters as of @zxid; false if there were none yet. */
const struct zk_dirver *zk_dir_at(const struct zk_node *node, u64 zxid);
/* Bytes of the node's path. */
size_t zk_path_len(const struct zk_node *node);
/* Its characters, zk_chars(). */
size_t zk_path_chars(const struct zk_node *node);
/* Is @path the node's? */
bool zk_path_is(const struct zk_node *node, const char *path, size_t len);

#endif
