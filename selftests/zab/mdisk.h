/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server's disk and what is built from it, as a model: a tree is the list of the
 * transactions that made it; the disk has trees (snapshots), a log of which a part is
 * durable, and the two epoch files.
 */
#ifndef SELFTESTS_ZAB_MDISK_H
#define SELFTESTS_ZAB_MDISK_H

#include "daemon/disk/txn.h"
#include "selftests/zab/world.h"

/* A transaction: its number, and what tells it from another one of that number. */
struct mrec {
	u64 zxid;
	u64 id;
};

struct mtree {
	struct mrec *r;
	u32 n, size;
};

void mtree_free(struct mtree *t);
void mtree_add(struct mtree *t, u64 zxid, u64 id);
void mtree_copy(struct mtree *to, const struct mtree *from, u32 n);
u64 mtree_zxid(const struct mtree *t);

#define MDISK_SNAPS	4

struct mdisk {
	struct txn **log;	/* references */
	u32 n, size;
	u32 durable;		/* so many of them */
	struct mtree snaps[MDISK_SNAPS];	/* oldest first; the first one may be empty */
	u32 n_snaps;
	u64 accepted, current;
};

void mdisk_init(struct mdisk *d);
void mdisk_free(struct mdisk *d);
void mdisk_append(struct mdisk *d, struct txn *t);
/* The power fails: of what is not durable some of the beginning may be there. */
void mdisk_crash(struct mdisk *d, struct world *w);
/* What is not durable is gone. */
void mdisk_take_back(struct mdisk *d);
/* The durable end of the log; what the snapshots have if it is empty. */
u64 mdisk_durable(const struct mdisk *d);
/* Recovery: the tree of the newest snapshot and the log. */
void mdisk_load(const struct mdisk *d, struct mtree *t);
/* False: it has nothing that goes as far as @zxid and no further. */
bool mdisk_truncate(struct mdisk *d, u64 zxid);
/* A leader's tree replaces all; copied. */
void mdisk_replace(struct mdisk *d, const struct mtree *t);
/* A snapshot of the first @n of @t; the log before the oldest snapshot kept goes. */
void mdisk_snapshot(struct mdisk *d, const struct mtree *t, u32 n);
/* The first zxid in the log, ~0ULL. */
u64 mdisk_first(const struct mdisk *d);

/* A transaction (createSession) that is told from others by @id. */
struct txn *mtxn_new(u64 zxid, u64 id, u32 timeout);
/* A reconfig: @text is what the membership is to be. */
struct txn *mtxn_members(u64 zxid, u64 id, const char *text);

#endif
