/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store: the one way in which zkernd reaches its tree. Two back ends:
 * "memory", the tree in this process (kmod/tree on liburcu), and "kernel", the
 * tree in zkern.ko behind /dev/zkernN. Nothing above this header knows which
 * one it has; selftests/store runs the same tests on both.
 *
 * Threads: the core thread is the writer (apply, load, set_state). get,
 * children, owned, owned_nodes, timed, acl and snapshots may be called from any thread that
 * called store_thread_init(). Every call is exact at one zxid.
 *
 * Errors are negative errno. Paths are absolute, valid, not NUL-terminated.
 */
#ifndef ZKD_STORE_H
#define ZKD_STORE_H

#include <linux/types.h>
#include "daemon/proto/jute.h"
#include "kmod/tree/tree.h"

/* Follows enum zkern_state of the UAPI. */
enum store_state {
	STORE_HIDDEN = 0,	/* nobody else is to see the tree, or the next one loaded */
	STORE_LEADING = 1,
	STORE_FOLLOWING = 2,
	STORE_OBSERVING = 3,
	STORE_DISCONNECTED = 4,
	STORE_STANDALONE = 6,
};

/* A node as of @zxid, without its bytes. */
struct store_node {
	u64 zxid;
	u64 acl_id;		/* equal ids, equal ACLs; never reused while the store is open */
	u32 crc;		/* of path and data, struct zk_view */
	s32 data_len;		/* -1: null */
	struct zk_stat stat;	/* as stored */
};

/* A node with its bytes; the pointers live as long as said where it is used. */
struct store_rec {
	const char *path;
	u32 path_len;
	u32 acl_len;
	const u8 *acl;		/* vector<ACL> in jute */
	const void *data;
	struct store_node node;
};

struct store_info {
	const char *kind;	/* "memory" or "kernel" */
	u64 zxid;
	u64 digest;
	bool taken_up;		/* a tree was found in the kernel, of an earlier owner */
	struct zk_tree_stats stats;
};

struct store_params {
	const char *kind;	/* "auto", "kernel", "memory" */
	int instance;		/* kernel: /dev/zkernN, made if missing; -1: 0 */
	const char *label;	/* what status tools show, <= 63 bytes */
};

struct store;
struct store_snap;

struct store_ops {
	const char *kind;
	void (*close)(struct store *st);
	int (*info)(struct store *st, struct store_info *info);

	/*
	 * The node at @path; its data is copied to @buf if it fits in @cap, else
	 * -EMSGSIZE with @node filled in (data_len tells the room needed). @buf NULL:
	 * no data wanted, no EMSGSIZE. -ENOENT: @node->zxid is still set.
	 */
	int (*get)(struct store *st, const char *path, u32 len, struct store_node *node,
		   void *buf, u32 cap);
	/* The ACL of @path, appended to @out; @node as of the same zxid. */
	int (*acl)(struct store *st, const char *path, u32 len, struct store_node *node,
		   struct jw *out);
	/*
	 * The children's names as a jute vector<string> (count, then strings),
	 * appended to @out; one moment however long. @node: the parent, without its
	 * crc. On an error @out is as it was, but for its ->err.
	 */
	int (*children)(struct store *st, const char *path, u32 len,
			struct store_node *node, struct jw *out);
	/*
	 * Calls @fn for each ephemeral of @session (path only) until it returns
	 * non-zero, and returns that. @fn may call the store. One zxid.
	 */
	int (*owned)(struct store *st, u64 session,
		     int (*fn)(void *arg, const char *path, u32 len), void *arg);
	/* The same, each with its node: cheaper than a get for each. */
	int (*owned_nodes)(struct store *st, u64 session,
			   int (*fn)(void *arg, const char *path, u32 len,
				     const struct store_node *node), void *arg);
	/* As owned(), all container and TTL nodes. */
	int (*timed)(struct store *st,
		     int (*fn)(void *arg, const char *path, u32 len), void *arg);

	/*
	 * A picture of the whole tree. @fn gets each node in pre-order from @top on;
	 * pointers live until it returns; it may take its time and do I/O; non-zero
	 * ends the walk and is returned. Writes go on meanwhile. One walk a snapshot
	 * (-ESPIPE). -ENOENT: no @top.
	 */
	int (*snap_open)(struct store *st, struct store_snap **snap, u64 *zxid,
			 u64 *digest, u64 *nodes);
	int (*snap_each)(struct store_snap *snap, const char *top, u32 top_len,
			 int (*fn)(void *arg, const struct store_rec *rec), void *arg);
	void (*snap_close)(struct store_snap *snap);

	/*
	 * Apply @n committed transactions in order. Returns how many were applied
	 * and published; fewer than @n only on an error, which goes to @err
	 * (-ENOMEM: nothing of that one is visible, try again later; others: this
	 * tree and the log disagree). @digests (may be NULL): the tree's digest after
	 * each. With ZK_TXN_ASIDE no transaction: the zxid stays.
	 */
	int (*apply)(struct store *st, const struct zk_txn *txns, int n, u64 *digests,
		     int *err);
	/*
	 * Build another tree beside the served one and swap it in. @nodes: about how
	 * many are to come; 0: not known.
	 */
	int (*load_begin)(struct store *st, u64 nodes);
	int (*load_node)(struct store *st, const struct store_rec *rec);
	int (*load_txn)(struct store *st, const struct zk_txn *txn, u64 *digest);
	int (*load_commit)(struct store *st, u64 zxid);
	void (*load_abort)(struct store *st);
	int (*set_state)(struct store *st, enum store_state state, u64 heard_ms);
	/*
	 * Reads of local programs that want a quorum to confirm who leads first: says that
	 * the first @done of them are answered (the tree has what they are to see), and
	 * gives in *@asked how many have asked; those that @done counts must have been told
	 * of before the quorum was asked. When @ask_fd() can be read there are more. NULL,
	 * both: no others read this tree.
	 */
	int (*confirm)(struct store *st, u64 done, u64 *asked);
	int (*ask_fd)(struct store *st);

	/*
	 * What programs on this host ask through the device: calls_take() fills @buf with
	 * struct zkern_call records, calls_answer() gives the kernel struct zkern_reply ones
	 * (linux/zkern.h). While there is something to take calls_fd(), the owner's file, says
	 * POLLPRI. One thread; -1, and the others not called: nobody asks anything here. @used:
	 * bytes in @buf, 0: there is nothing; -EMSGSIZE: what the first record wants.
	 */
	int (*calls_fd)(struct store *st);
	int (*calls_take)(struct store *st, void *buf, u32 len, u32 *used);
	int (*calls_answer)(struct store *st, const void *buf, u32 len);
};

struct store {
	const struct store_ops *ops;
	u64 zxid;		/* published; written by the core thread, read by all
				 * through store_zxid()
				  */
};

/*
 * Opens the store that @p asks for. "auto" takes the kernel if /dev/zkern is
 * there, and says on the log which one it took. Error text goes to @why (static
 * or thread-local). Errors: -ENODEV no module (kind "kernel"), -EBUSY the instance
 * has another owner, -EACCES, -ENOMEM.
 */
int store_open(const struct store_params *p, struct store **st, const char **why);

static inline u64 store_zxid(const struct store *st)
{
	return __atomic_load_n(&st->zxid, __ATOMIC_ACQUIRE);
}

/* Each thread that touches a store or RCU, at its begin and end. */
void store_thread_init(void);
void store_thread_exit(void);

#endif
