/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the kernel store share: kernel.c (open, single nodes),
 * kernel_list.c (children, lists, snapshots), kernel_write.c (apply, load).
 *
 * The device file is owned by the core thread and read by all; each call is one
 * ioctl where it can be, and holds no lock.
 */
#ifndef ZKD_STORE_KERNEL_H
#define ZKD_STORE_KERNEL_H

#include <linux/zkern.h>

#include "daemon/store/backend.h"

struct kernel {
	struct store st;
	int fd;
	bool taken_up;
	u32 api;		/* the module's ZKERN_API_VERSION; 0: not known */
	u32 tree;		/* number of the tree that is served; odd while another
				 * is being swapped in
				  */
	/* the core thread's: records on their way to the kernel */
	struct jw out;
	u32 out_cmd;		/* of what is in @out: ZKERN_LOAD_NODES or _TXNS */
};

static inline struct kernel *to_kernel(struct store *st)
{
	return (struct kernel *)st;
}

/* ioctl() that answers with a negative errno. */
int kernel_call(int fd, unsigned long cmd, void *arg);
/* The stat as stored, of the one shown. */
void kernel_stat(const struct zkern_stat *from, struct zk_stat *to);
/* A node as it was got, from the tree of number @tree. */
void kernel_node(struct store_node *node, const struct zkern_get *g, u32 tree);

int kernel_children(struct store *st, const char *path, u32 len, struct store_node *node,
		    struct jw *out);
int kernel_owned(struct store *st, u64 session,
		 int (*fn)(void *arg, const char *path, u32 len), void *arg);
int kernel_owned_nodes(struct store *st, u64 session,
		       int (*fn)(void *arg, const char *path, u32 len,
				 const struct store_node *node), void *arg);
int kernel_timed(struct store *st, int (*fn)(void *arg, const char *path, u32 len), void *arg);
int kernel_snap_open(struct store *st, struct store_snap **snap, u64 *zxid, u64 *digest,
		     u64 *nodes);
int kernel_snap_each(struct store_snap *snap, const char *top, u32 top_len,
		     int (*fn)(void *arg, const struct store_rec *rec), void *arg);
void kernel_snap_close(struct store_snap *snap);

int kernel_apply(struct store *st, const struct zk_txn *txns, int n, u64 *digests, int *err);
int kernel_load_begin(struct store *st, u64 nodes);
int kernel_load_node(struct store *st, const struct store_rec *rec);
int kernel_load_txn(struct store *st, const struct zk_txn *txn, u64 *digest);
int kernel_load_commit(struct store *st, u64 zxid);
void kernel_load_abort(struct store *st);

#endif
