/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a client's write to a numbered transaction (PrepRequestProcessor.java):
 * checked against the tree as it will be when all that was proposed before is
 * applied, with the bytes that go to the log, the operations for the tree, and the
 * body of the answer, which is certain from here on. Core thread only; makes
 * nothing known to anybody.
 *
 * A write that is refused is a transaction too: an error with the code.
 */
#ifndef ZKD_SERVER_PREPARE_H
#define ZKD_SERVER_PREPARE_H

#include "daemon/base/config.h"
#include "daemon/disk/txn.h"
#include "daemon/server/change.h"

/* One operation as a client asks for it. */
struct wish {
	s32 type;		/* enum zk_opcode */
	struct jstr path;
	struct jstr data;
	const u8 *acl;		/* vector<ACL> */
	u32 acl_len;
	s32 flags;
	s64 ttl;
	s32 version;
};

struct prep {
	const struct config *cfg;
	struct changes *ch;
	/* the transaction that is being made */
	u64 zxid;
	s64 time;
	u64 session;
	const struct auth_set *auth;
	int fail;		/* -ENOMEM and the like: nothing can be made */
	struct jw txn;		/* its bytes */
	struct jw unlisted;	/* closeSession: the paths, when they are too many for it */
	size_t unlisted_at;
	struct jw out;		/* the answer's body */
	struct zk_op *ops;	/* pointers are offsets into the bytes until the end */
	u32 n_ops, ops_room;
	struct jw acl;		/* scratch: the ACL as it will be stored */
	struct jw path;		/* scratch: a sequential name */
	struct jw quota;	/* scratch: the path of a quota's node */
};

/* Who asks and what is known from outside. */
struct prep_ask {
	u64 zxid;
	s64 time;		/* ms since 1970 */
	u64 session;
	s32 cxid;
	const struct auth_set *auth;
};

int prep_init(struct prep *p, const struct config *cfg, struct changes *ch);
void prep_free(struct prep *p);

/* Whether @op is a write: has a transaction. */
bool prep_is_write(s32 op);

/*
 * Makes the transaction for a client's request. *@err: the code for the answer's
 * header; the answer's body is in p->out until the next call. The caller proposes
 * the transaction, whose reference it owns, and then calls changes_keep(), or
 * changes_undo() if it cannot. Negative errno: nothing was changed; -EOPNOTSUPP: a
 * request that 3.8 never answers (check alone, with success).
 */
int prep_request(struct prep *p, const struct prep_ask *ask, s32 op, const u8 *body, u32 len,
		 struct txn **txn, s32 *err);
/* The same for a session's begin and end, and for a container's or TTL node's. */
int prep_create_session(struct prep *p, const struct prep_ask *ask, s32 timeout,
			struct txn **txn);
int prep_close_session(struct prep *p, const struct prep_ask *ask, struct txn **txn);
int prep_delete_container(struct prep *p, const struct prep_ask *ask, const char *path,
			  u32 len, struct txn **txn, s32 *err);

/* ---- between prepare.c, prepare_op.c and prepare_multi.c ---- */

/* Code for the answer (enum zk_error); with p->fail set nothing can be made. The
 * record is appended to p->txn, the result to p->out. */
s32 prep_op(struct prep *p, const struct wish *w, bool in_multi);
s32 prep_multi(struct prep *p, const u8 *body, u32 len);
/* Reads what a request of type @type asks for; false: malformed. */
bool wish_read(struct jr *r, s32 type, struct wish *w);
/* Gives up: p->fail. */
s32 prep_fail(struct prep *p, int err);
/* One more operation, all zero but the type. NULL: p->fail is set. */
struct zk_op *prep_add_op(struct prep *p, enum zk_op_type type);
/* Appends a jute string and returns where its bytes begin. */
const void *prep_put(struct prep *p, const void *bytes, s32 len);
/*
 * A session's ephemerals, all of them, into the record, or beside it when that would
 * get longer than jute.maxbuffer: such a record could never be read back by Apache
 * ZooKeeper, and needs not be: every server deletes what the session owns, whatever
 * the record lists (DataTree.killSession). 0 or p->fail.
 */
int prep_close(struct prep *p, u64 session);

#endif
