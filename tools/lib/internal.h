/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of libzkern share: the handle that each way to the tree embeds
 * as its first member, the table of what a way can do, and how errors are told.
 * No locks: one thread at a time per handle (zkern.h).
 */
#ifndef ZKERN_LIB_INTERNAL_H
#define ZKERN_LIB_INTERNAL_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

/* The names that daemon/proto/jute.h is written in. */
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#include "daemon/proto/jute.h"
#include "daemon/proto/zookeeper.h"
#include "zkern.h"

#define ZKERN_NS_PER_MS	1000000

/* Nothing here is part of the library's interface. */
#pragma GCC visibility push(hidden)

/* A reply's header, with what follows it. */
struct op_reply {
	s32 xid;
	s32 err;
	s64 zxid;
	u32 events;		/* 1: of what had changed by then wait */
	struct jr body;
};

/*
 * One way to the tree. A NULL entry is not offered that way: handle.c answers
 * -EOPNOTSUPP. Paths were checked, results zeroed, before an entry is called; on
 * error it has freed what it allocated.
 */
struct zkern_way {
	enum zkern_via via;
	const char *name;
	void (*close)(struct zkern *zk);
	int (*get)(struct zkern *zk, const char *path, const struct zkern_want *want,
		   bool data, struct zkern_value *value);
	int (*get_many)(struct zkern *zk, const char *const *paths, size_t n,
			const struct zkern_want *want, struct zkern_value *values);
	int (*children)(struct zkern *zk, const char *path, const struct zkern_want *want,
			struct zkern_children *children);
	int (*get_acl)(struct zkern *zk, const char *path, struct zkern_acls *acls);
	int (*dump)(struct zkern *zk, const char *path,
		    int (*fn)(void *arg, const struct zkern_record *rec), void *arg,
		    struct zkern_seen *seen);
	int (*info)(struct zkern *zk, struct zkern_info *info);
	/* ZKERN_MAP: fills in @req, whose fd is the caller's. */
	int (*map)(struct zkern *zk, const char *path, struct zkern_map *req);
	/* Until @path's mzxid is not @mzxid, 0: until it is there; as zkern_map_wait(). */
	int (*wait)(struct zkern *zk, const char *path, u64 mzxid, int timeout_ms);
	/*
	 * A write, or sync (write.c): sends what zkern_begin() began, and waits; frees @w.
	 * Sends it again after a lost connection if @again (it changes nothing). Returns 0
	 * with @r filled in (body valid until the next call), the errno of r->err with
	 * zk_error set, or why there is no answer. @path: for the message.
	 */
	int (*call)(struct zkern *zk, struct jw *w, bool again, const char *path,
		    struct op_reply *r);
	void (*broken)(struct zkern *zk);	/* the answer made no sense; or NULL */
	void (*set_timeout)(struct zkern *zk, u32 ms);
	int (*add_auth)(struct zkern *zk, const char *scheme, const void *cred, size_t len);
	int (*add_watch)(struct zkern *zk, const char *path, bool recursive);
	int (*next_event)(struct zkern *zk, int timeout_ms, struct zkern_event *event);
	u64 (*session_id)(const struct zkern *zk);
	u32 (*session_timeout)(const struct zkern *zk);
	int (*instance_new)(struct zkern *zk, u32 *id, u32 uid);
	int (*instance_del)(struct zkern *zk, u32 id, bool force);
	int (*instance_each)(struct zkern *zk,
			     int (*fn)(void *arg, const struct zkern_info *info),
			     void *arg);
};

struct zkern {
	const struct zkern_way *way;
	int zk_error;
	bool undone;		/* zkern_undone() */
	char msg[512];
};

/* Notes the message and returns @err (negative errno). */
int zkern_fail(struct zkern *zk, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What a public function that takes a path begins with: 0, or -EINVAL. */
int zkern_check_path(struct zkern *zk, const char *path);
/* "PATH: what @err means"; returns @err. */
int zkern_fail_path(struct zkern *zk, int err, const char *path);
/* Hands a handle's message to a caller who gets no handle. */
void zkern_why(const struct zkern *zk, char *why, size_t why_len);
/* @code: KeeperException.Code of a reply; 0 gives 0. */
int zkern_errno_of(int code);
/* What a code means, in a few words; NULL for one that is not known. */
const char *zkern_code_text(int code);

/* ------------------------------------------------------------ write.c */

#define OP_HEAD		12	/* bytes that zkern_begin() writes */
/* Begins a request: room for the length, xid (filled in by who sends it), type. */
void zkern_begin(struct jw *w, s32 op);
void zkern_put_path(struct jw *w, const char *path);
void zkern_take_stat(struct jr *r, struct zkern_stat *st);
int zkern_do_create(struct zkern *zk, const char *path, const void *data, size_t len,
		    const struct zkern_create_params *params, char **created,
		    struct zkern_value *value);
int zkern_do_set(struct zkern *zk, const char *path, const void *data, size_t len, s32 version,
		 struct zkern_value *value);
int zkern_do_delete(struct zkern *zk, const char *path, s32 version);
int zkern_do_set_acl(struct zkern *zk, const char *path, const struct zkern_acl *acl, size_t n,
		     s32 aversion);
int zkern_do_sync(struct zkern *zk, const char *path);
int zkern_do_multi(struct zkern *zk, struct zkern_multi_op *ops, size_t n);

/* ------------------------------------------------------------ handle.c */

/* A copy of @len bytes with a NUL behind; NULL when memory is short. */
void *zkern_dup(const void *p, size_t len);
/* Appends a name to a growing list; *@cap is its room. 0 or -ENOMEM. */
int zkern_children_add(struct zkern_children *c, size_t *cap, const void *name, size_t len);
/* ACLs from a jute vector<ACL>; 0, -EPROTO, -ENOMEM. */
int zkern_acls_parse(struct jr *r, struct zkern_acls *acls);
/* Milliseconds on a clock that only goes forward. */
s64 zkern_now_ms(void);

#pragma GCC visibility pop

#endif
