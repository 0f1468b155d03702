/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the disk tests share: transactions made by hand, a world that makes random
 * valid ones, data directories, files to be spoilt. One thread.
 */
#ifndef DISK_COMMON_H
#define DISK_COMMON_H

#include <linux/types.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/disk/disk.h"
#include "daemon/proto/jute.h"
#include "daemon/proto/zookeeper.h"

/* ------------------------------------------------------------ TAP */

/* One test; what follows a failure is said in a comment line. */
extern int tap_count, tap_failed;
extern const char *tap_prefix;	/* "# ": of a child, whose tests are its parent's one */
bool tap_say(bool good, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
bool tap_is(s64 got, s64 want, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/* What a test cannot go on without. */
void tap_bail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));

#define ok(cond, ...)		tap_say(cond, __FILE__, __LINE__, __VA_ARGS__)
#define is(got, want, ...)	tap_is(got, want, __FILE__, __LINE__, __VA_ARGS__)
#define need(cond, ...) do {						\
	if (!(cond))							\
		tap_bail(__FILE__, __LINE__, __VA_ARGS__);		\
} while (0)

/* ------------------------------------------------------------ transactions */

void b_header(struct jw *w, u64 session, s32 cxid, u64 zxid, s64 time, s32 type);
void b_path(struct jw *w, const char *path);
void b_acl(struct jw *w, s32 perms, const char *scheme, const char *id);
/* CreateTxn: open ACL, @pcversion. */
void b_create(struct jw *w, const char *path, const void *data, s32 len, bool ephemeral,
	      s32 pcversion);
void b_digest(struct jw *w, u64 digest);
/* Decodes and frees what was built; it must be valid. */
struct txn *b_done(struct jw *w);

/* ------------------------------------------------------------ the world */

/* A store in memory and random transactions that fit it. */
struct world {
	struct store *st;
	u64 zxid;
	u64 rnd;
	char **paths;		/* live, not ephemeral unless @owner says so */
	u64 *owners;
	u32 n;
	u64 sessions[8];	/* open ones, 0: none */
	bool digests;
};

void world_init(struct world *w, u64 seed);
/* The next one, applied; the caller's reference. */
struct txn *world_next(struct world *w);
void world_free(struct world *w);
u32 rnd(u64 *state, u32 below);

/* ------------------------------------------------------------ directories */

/* A temporary directory, removed at exit. */
const char *temp_dir(void);
void remove_tree(const char *dir);
void copy_dir(const char *from, const char *to);
/* "DIR/version-2/NAME", in a static buffer of a few. */
const char *file_in(const char *dir, const char *name);
/* The newest file of version-2 whose name begins with @prefix. */
const char *newest(const char *dir, const char *prefix);
int count_files(const char *dir, const char *prefix);
/* malloc'ed */
u8 *read_file(const char *path, size_t *len);
void write_file(const char *path, const void *bytes, size_t len);

/* ------------------------------------------------------------ disks */

struct try {
	struct disk *d;
	struct store *st;
	struct disk_recovery r;
	u64 durable;		/* by the callback */
	int err;		/* by the callback */
	char why[512];
};

struct disk_params params(const char *dir);
/* Opens and recovers into a store in memory: 0 or the error, t->why. */
int try_open(struct try *t, const char *dir);
int try_open_params(struct try *t, const struct disk_params *p);
/* Starts the log behind what was recovered. */
void try_start(struct try *t);
void try_close(struct try *t);
/* @n random transactions into the log of @t; its store follows. */
void feed(struct try *t, struct world *w, int n);

/* 0 if both trees are alike in every node, ACL and the digest. */
int compare_stores(struct store *a, struct store *b);

/* This program anew, as "--child WHAT DIR": threads do not survive a fork(). */
pid_t spawn(const char *what, const char *dir);
void child_write(const char *dir) __attribute__((noreturn));
int child_room(const char *dir);
int child_rights(const char *dir);
int child_make(const char *dir);
int child_show(const char *dir);

void test_txn(void);
void test_log(void);
void test_damage(void);
void test_snapshot(void);
void test_recover(void);
void test_room(void);
void test_failing(void);
void test_start(void);
void test_keys(void);
void test_keep(void);
void test_learner(void);

#endif
