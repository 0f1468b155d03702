/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the tree share. They are written over kmod/tree/tree.h in kernel
 * idiom, so that the same source is a program (user/main.c, over daemon/store/compat)
 * and a module (kernel/main.c). Nothing here or in the tests tells which.
 */
#ifndef ZT_H
#define ZT_H

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "tree.h"

/* ---- checks: the first that fails in a test is told, and the test is not ok */
void zt_fail(const char *file, int line, const char *what, u64 got, u64 want);
bool zt_failed(void);

#define zt_check(c) \
	((c) ? true : (zt_fail(__FILE__, __LINE__, #c, 0, 1), false))
#define zt_equal(got, want) ({						\
	u64 __got = (u64)(got);						\
	u64 __want = (u64)(want);					\
									\
	if (__got != __want)						\
		zt_fail(__FILE__, __LINE__, #got, __got, __want);	\
	__got == __want;						\
})

/* ---- the suite */
struct zt_case {
	const char *name;
	void (*run)(void);
};

/* Every case of the files below, ended by one without a name. */
extern const struct zt_case zt_cases[];

/* Where random runs begin, and how long cases take: 1, 2, ... */
extern u64 zt_seed;
extern u32 zt_scale;

/*
 * Runs all cases of @tables (up to a NULL), or those whose names contain @only,
 * printing TAP by @print. Returns how many were not ok.
 */
int zt_run(const struct zt_case * const *tables, const char *only,
	   void (*print)(const char *line));

/*
 * If set, called around transactions: allocations may fail in between, and -ENOMEM is
 * then an answer, if nothing changed.
 */
extern void (*zt_memory_fails)(bool now);

/* ---- small tools */
struct zt_rand {
	u64 state;
};

u32 zt_rand(struct zt_rand *r);
/* 0 <= result < @n */
u32 zt_below(struct zt_rand *r, u32 n);

/* CRC-32 of a path ("/" counts as "") and data: zk_op.crc. */
u32 zt_crc(const char *path, size_t len, const void *data, s32 data_len);

/* ACLs in jute. */
struct zt_acl {
	const u8 *jute;
	u32 len;
	u32 world;
};

#define ZT_ACLS	4
extern const struct zt_acl zt_acls[ZT_ACLS];	/* [0] is the open one */

/* One operation, its crc worked out. @path ends with a NUL. */
struct zk_op zt_create(const char *path, const void *data, s32 len, u64 owner);
struct zk_op zt_delete(const char *path);
struct zk_op zt_set(const char *path, const void *data, s32 len, s32 version);
/* Applies @n operations as one transaction at the next zxid; the error. */
int zt_apply(struct zk_tree *tree, const struct zk_op *ops, u32 n);
int zt_apply_at(struct zk_tree *tree, u64 zxid, const struct zk_op *ops, u32 n);

/*
 * RCU: the sum of the digests of all nodes as of @zxid, each worked out anew from
 * its path and bytes, and how many nodes there are. Checks children's counts too.
 */
struct zt_sum {
	u64 digest;
	u64 nodes;
	u64 order;	/* of the walk: equal walks give equal values */
};

struct zt_sum zt_walk(struct zk_tree *tree, u64 zxid);
/* The same for the published zxid, and checks it against the statistics. */
struct zt_sum zt_verify(struct zk_tree *tree);

/* A tree for a test; fails the test if there is none. */
struct zk_tree *zt_tree(u64 retain_limit);
/* Waits for what it retains, checks that this is nothing, and drops it. */
void zt_tree_done(struct zk_tree *tree);

/* ---- the cases */
void zt_random_run(u64 seed, bool replay);
void zt_random(void);
void zt_random_replay(void);
void zt_readers(void);
void zt_pins_stable(void);
void zt_pairs(void);
void zt_retain_limit(void);
void zt_retain_owner_pin(void);
void zt_many_children(void);
void zt_deep(void);
void zt_names(void);
void zt_bad_input(void);
void zt_abort(void);
void zt_index_hashes(void);
void zt_index_readers(void);
void zt_collisions(void);
void zt_acls_shared(void);
void zt_apache_log(void);
void zt_replay_rules(void);
void zt_load(void);
void zt_aside(void);
void zt_close_many(void);
void zt_quota(void);
void zt_quota_load(void);
void zt_track(void);

#endif
