/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The znode tree: one writer, lock-free readers, every read exact at one zxid.
 *
 * One source, two homes: the kernel module compiles these files with kernel
 * RCU, zkernd compiles the same files with liburcu (daemon/store/compat/ comes
 * first on its include path). Nothing in this directory tests which home it is.
 *
 * How reading works
 * -----------------
 * A node has three chains of immutable versions, newest first: its data, its
 * ACL, and its child list's counters. Each version carries the zxid that made
 * it. A reader notes the tree's published zxid Z once and takes, from each
 * chain it needs, the newest version with zxid <= Z. A node exists at Z if its
 * data chain has such a version and that version is not a tombstone. Hash
 * chains and child lists hold nodes of all lives; readers skip those that do
 * not exist at their Z.
 *
 * Guarantees (tests name them by letter):
 *
 *  A) A reader inside one RCU read section, or holding a pin that was not
 *     revoked, sees the tree exactly as of its zxid in all its calls, however
 *     many nodes they touch.
 *  B) A transaction is linked first, invisible, and then published by one store
 *     of the zxid. All of it is seen or none.
 *  C) If linking fails (allocation, or an operation that the tree refuses)
 *     everything is undone; no reader and no later call can tell that it was
 *     tried.
 *  D) A version that was replaced, or a node that was deleted, at zxid S is kept
 *     until no pin is older than S and a grace period has passed after that.
 *     It is then unlinked and freed after one more grace period.
 *  E) Looking up a path is one hash probe plus one comparison of names along the
 *     parents of the candidate. It does not grow with the tree.
 *  F) Applying an operation does not grow with the number of nodes, siblings,
 *     readers or pins.
 *  G) What pins hold back is bounded (zk_tree_params.retain_limit): beyond it
 *     the oldest revocable pin is revoked, and its holder told so by
 *     zk_pin_valid() / -ESTALE.
 *
 * Locking
 * -------
 * tree->lock (mutex)     the writer: link, publish, abort, load, reclaim.
 * tree->pin_lock (spin)  the list of pins, and {published zxid, digest} as a pair.
 * RCU                    everything that readers touch.
 * Functions say "Writer" (caller holds the writer lock through zk_tree_link()),
 * "RCU" (call inside rcu_read_lock()), or "any" in their comment.
 */
#ifndef ZK_TREE_H
#define ZK_TREE_H

#include <linux/list.h>
#include <linux/types.h>

struct zk_tree;
struct zk_node;
struct zk_acl;

/*
 * Longest path in bytes, without a terminating NUL (DataTree has no limit of its
 * own; jute.maxbuffer of 1 MiB bounds a request, and this bounds our stacks).
 */
#define ZK_PATH_MAX	(1024 * 1024)

/* Longest ACL in jute, and longest data: what a transaction must not exceed. */
#define ZK_ACL_MAX	(1024 * 1024)
#define ZK_DATA_MAX	(1024 * 1024 * 1024)

#define ZK_ZXID_LATEST	(~0ULL)	/* the writer's own view: linked, maybe unpublished */

/*
 * ephemeralOwner as stored (EphemeralType.java): container and TTL nodes are
 * told by it; clients are shown 0 for them.
 */
#define ZK_OWNER_CONTAINER	0x8000000000000000ULL
#define ZK_OWNER_TTL_MASK	0xff00000000000000ULL

/**
 * struct zk_stat - a znode's stat as stored, i.e. as StatPersisted plus counts.
 * @cversion: as stored: the number of children ever created. A client is shown
 *            2 * cversion - num_children (DataNode.copyStat).
 * @owner:    ephemeralOwner as stored, see ZK_OWNER_*.
 */
struct zk_stat {
	u64 czxid;
	u64 mzxid;
	u64 pzxid;
	s64 ctime;		/* ms since 1970 */
	s64 mtime;
	s32 version;
	s32 cversion;
	s32 aversion;
	s32 num_children;
	u64 owner;
};

/**
 * struct zk_view - one node as of one zxid. Pointers are valid as long as the
 * RCU section or the pin under which it was taken.
 * @data:     NULL if @data_len <= 0
 * @data_len: bytes; -1 is ZooKeeper's null data, which is not empty data
 * @crc:      CRC-32 (IEEE, zlib's) of path followed by data: the part of the
 *            node's digest that does not change with its stat
 * @acl:      shared ACL
 *
 * In the kernel @data may be copied to user space from where it is; names and ACLs
 * may not (hardened usercopy): they go through a buffer.
 */
struct zk_view {
	const void *data;
	s32 data_len;
	u32 crc;
	const struct zk_acl *acl;
	struct zk_stat stat;
};

/**
 * struct zk_acl - an ACL, shared by all nodes that have an equal one.
 * @id:    never reused in this tree's life
 * @world: permission bits granted to world:anyone (0 if none), the fast path
 * @len:   bytes of @jute
 * @jute:  vector<ACL> as on the wire: int32 count, then (int32 perms, string
 *         scheme, string id) each; well-formed (checked when interned)
 */
struct zk_acl {
	u64 id;
	u32 world;
	u32 len;
	const u8 *jute;
};

/* ------------------------------------------------------------ life, state */

/*
 * Before the first and after the last tree: slab caches and the workqueue that
 * reclaims. Sleep. -ENOMEM. Each home calls them once; zk_tree_exit() waits for
 * dropped trees to be gone, and complains if one is still referred to.
 */
int zk_tree_init(void);
void zk_tree_exit(void);

struct zk_tree_params {
	u64 retain_limit;	/* bytes that pins may hold back; 0: 256 MiB */
};

struct zk_tree_stats {
	u64 zxid;		/* published */
	u64 digest;		/* of the published tree (DigestCalculator, version 2) */
	u64 nodes;		/* as of the published zxid, root included */
	u64 ephemerals;
	u64 data_bytes;		/* of data, and characters of paths (approximate_data_size) */
	u64 bytes;		/* memory held, all told: nodes, versions, index, ACLs */
	u64 retained;		/* of these, superseded and not freed yet */
	u64 pins;
	u64 owners;		/* sessions with ephemerals */
};

/*
 * A tree with only the root "/" (no data: empty, ACL world:anyone all, all
 * zeros in its stat) at zxid 0. Sleeps. Returns NULL when memory is short. The
 * caller owns one reference.
 */
struct zk_tree *zk_tree_alloc(const struct zk_tree_params *params);
/* any; _get never fails on a tree the caller already has a reference to. */
struct zk_tree *zk_tree_get(struct zk_tree *tree);
/*
 * Drops a reference; the last one frees the tree after a grace period. Readers
 * that found the tree by RCU must take a reference with _tryget or stay in the
 * same RCU section. May be called from atomic context.
 */
void zk_tree_put(struct zk_tree *tree);
bool zk_tree_tryget(struct zk_tree *tree);

/* any: the published zxid, with acquire semantics. */
u64 zk_tree_zxid(const struct zk_tree *tree);
/* any: how long Java takes a string in UTF-8 to be: characters in UTF-16 (String.length()). */
size_t zk_chars(const char *s, size_t len);
/* any: counters; zxid and digest belong together, the rest is of about now. */
void zk_tree_stats(struct zk_tree *tree, struct zk_tree_stats *st);

/* ------------------------------------------------------------ pins */

/**
 * struct zk_pin - holds one zxid readable for longer than an RCU section.
 * @zxid, @digest: the published tree at the moment of zk_pin_take()
 * @revocable:     set by the caller before zk_pin_take(); only the owner of the
 *                 tree may take pins that guarantee G cannot revoke
 *
 * With a valid pin, node pointers that exist at @zxid stay valid from one RCU
 * section to the next. Read zk_pin_valid() inside each new RCU section before
 * touching them.
 */
struct zk_pin {
	struct list_head link;
	u64 zxid;
	u64 digest;
	u64 nodes;		/* node count at @zxid */
	bool revocable;
	bool revoked;
};

/* any, does not sleep. The pin holds a reference to the tree. */
void zk_pin_take(struct zk_tree *tree, struct zk_pin *pin);
void zk_pin_drop(struct zk_tree *tree, struct zk_pin *pin);
/* RCU: false once the pin was revoked: nodes found earlier must not be touched. */
bool zk_pin_valid(const struct zk_pin *pin);

/* ------------------------------------------------------------ reading (RCU) */

/*
 * RCU: the node at @path (absolute, not NUL-terminated, any bytes; "/" is the
 * root) as of @zxid, or NULL. A malformed path finds nothing.
 */
struct zk_node *zk_lookup(struct zk_tree *tree, const char *path, size_t len, u64 zxid);
/* RCU: fill @view for a node; false if it does not exist at @zxid. */
bool zk_view(const struct zk_node *node, u64 zxid, struct zk_view *view);
/*
 * RCU: children that exist at @zxid, in order of their creation. zk_next_child
 * takes a child that existed at @zxid when found (same section, or pinned).
 */
struct zk_node *zk_first_child(const struct zk_node *parent, u64 zxid);
struct zk_node *zk_next_child(const struct zk_node *child, u64 zxid);
/* RCU: the node after @node in pre-order within @top's subtree at @zxid, or NULL. */
struct zk_node *zk_next_preorder(const struct zk_node *top, const struct zk_node *node,
				 u64 zxid);
/* RCU: the parent; NULL for the root. */
struct zk_node *zk_parent(const struct zk_node *node);
/* RCU: a node's own name (not NUL-terminated; "" for the root). */
const char *zk_name(const struct zk_node *node, u32 *len);
/*
 * RCU: writes the absolute path into @buf if it fits in @cap; returns its length
 * either way. "/" for the root.
 */
size_t zk_path(const struct zk_node *node, char *buf, size_t cap);
/* RCU: ephemerals of a session as of @zxid. */
struct zk_node *zk_first_owned(struct zk_tree *tree, u64 owner, u64 zxid);
struct zk_node *zk_next_owned(const struct zk_node *node, u64 zxid);
/* RCU: container and TTL nodes as of @zxid (for the reaper). */
struct zk_node *zk_first_timed(struct zk_tree *tree, u64 zxid);
struct zk_node *zk_next_timed(const struct zk_node *node, u64 zxid);
/* RCU: the ACL with this id if any node still uses it, or NULL. */
const struct zk_acl *zk_acl_by_id(struct zk_tree *tree, u64 id);

/* ------------------------------------------------------------ writing */

enum zk_op_type {
	ZK_OP_CREATE = 1,	/* path, data, acl, owner, pcversion */
	ZK_OP_DELETE,		/* path */
	ZK_OP_SETDATA,		/* path, data, version */
	ZK_OP_SETACL,		/* path, acl, version (the new aversion) */
	ZK_OP_CLOSE,		/* owner: delete all its ephemerals */
};

/**
 * struct zk_op - one operation of a transaction; nothing is owned, the bytes
 * need only live through the call.
 * @pcversion: CREATE: the parent's cversion after it, -1: one more than now
 *             (CreateTxn.parentCVersion)
 * @version:   SETDATA/SETACL: the new version (SetDataTxn.version)
 * @crc:       CREATE/SETDATA: CRC-32 of path then data (see struct zk_view)
 * @acl:       vector<ACL> in jute
 */
struct zk_op {
	enum zk_op_type type;
	s32 version;
	s32 pcversion;
	u32 path_len;
	const char *path;
	const void *data;
	s32 data_len;		/* -1: null */
	u32 crc;
	const u8 *acl;
	u32 acl_len;
	u64 owner;
};

/*
 * Replay over a fuzzy snapshot: an operation that finds its work done or its node
 * gone is passed over as DataTree.processTxn does, not refused.
 */
#define ZK_TXN_REPLAY	1
/*
 * No transaction of the log: the tree stays at its zxid, readers at it see the change
 * from now on (the one exception to A; who holds a pin sees the one or the other), and
 * @zxid is only the mzxid of what is set. Of SETDATA below /zookeeper alone, which no
 * digest counts (ZKDatabase.initConfigInZKDatabase); else -EINVAL.
 */
#define ZK_TXN_ASIDE	2

/**
 * struct zk_txn - one committed transaction.
 * @zxid: must be greater than the tree's; at REPLAY on a tree that was never
 *        published any zxid is taken
 * @time: ms since 1970, the TxnHeader's time
 */
struct zk_txn {
	u64 zxid;
	s64 time;
	u32 flags;
	u32 n_ops;		/* 0: only the zxid moves */
	const struct zk_op *ops;
};

/* What zk_tree_link() says of its outcome. */
struct zk_link_result {
	u64 digest;		/* the tree's digest after the transaction */
	u32 failed_op;		/* index of the refused operation, on error */
	u32 closed;		/* CLOSE: ephemerals deleted */
};

/*
 * Links a transaction, invisible to readers, and returns holding the writer
 * lock; the caller then calls exactly one of zk_tree_publish() and
 * zk_tree_abort(). On error nothing has changed and the lock is not held.
 * Sleeps. Errors: -ENOMEM; -EEXIST (create of what exists); -ENOENT (no node, or
 * create without a parent); -ENOTEMPTY; -EINVAL (path, ACL or zxid); -EBUSY is
 * never returned. Between link and publish the module queues watch events.
 */
int zk_tree_link(struct zk_tree *tree, const struct zk_txn *txn, struct zk_link_result *res);
/*
 * Writer, between zk_tree_link() and its end: calls @fn once for each node that the
 * transaction makes, changes (data, ACL, counters of children) or deletes, in the order of
 * the first change; @zxid is what its versions carry. In the writer's view
 * (ZK_ZXID_LATEST) a node is as it will be, and those deleted are not there.
 */
void zk_tree_touched(struct zk_tree *tree,
		     void (*fn)(void *arg, const struct zk_node *node, u64 zxid), void *arg);
void zk_tree_publish(struct zk_tree *tree);
void zk_tree_abort(struct zk_tree *tree);
/* Link and publish. */
int zk_tree_apply(struct zk_tree *tree, const struct zk_txn *txn, struct zk_link_result *res);

/*
 * Loading: fills a tree that nobody can find yet. zk_tree_load() takes nodes with
 * their whole stat, parents before children (the order of snapshots and of
 * zk_next_preorder()); num_children is ignored and counted. Then transactions may
 * be replayed with ZK_TXN_REPLAY, and zk_tree_load_done() sets what is published; it
 * fails with -ENOMEM, having done nothing, when quotas' figures cannot be counted.
 * Errors of zk_tree_load(): -ENOMEM, -EINVAL, -ENOENT (no parent), -EEXIST (the
 * root may be given once and replaces the fresh one's data, ACL and stat).
 * zk_tree_load_begin() may come first: about so many nodes are to be expected.
 */
void zk_tree_load_begin(struct zk_tree *tree, u64 nodes);
int zk_tree_load(struct zk_tree *tree, const char *path, size_t path_len,
		 const struct zk_view *view, const u8 *acl, u32 acl_len);
int zk_tree_load_done(struct zk_tree *tree, u64 zxid);

/*
 * Frees what can be freed now; runs by itself after grace periods. Sleeps. For
 * tests and for a writer that wants to wait: with @wait, returns only when
 * nothing is retained that no pin holds.
 */
void zk_tree_reclaim(struct zk_tree *tree, bool wait);

#endif
