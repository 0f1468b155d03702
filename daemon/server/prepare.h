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
	/* reconfig */
	struct jstr joining;
	struct jstr leaving;
	struct jstr members;
	s64 from;		/* the membership's version; -1: any */
};

struct zab;

struct prep {
	const struct config *cfg;
	const struct zab *zab;	/* of an ensemble, else NULL */
	struct changes *ch;
	/* the transaction that is being made */
	u64 zxid;
	s64 time;
	u64 session;
	const struct auth_set *auth;
	s32 no_ephemerals;
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
	s32 no_ephemerals;	/* why the session may not own any; ZOK: it may */
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
/* A request that is refused before it is looked at: an error with the code @err. */
int prep_refuse(struct prep *p, const struct prep_ask *ask, s32 err, struct txn **txn);
/* The same for a session's begin and end, and for a container's or TTL node's. */
int prep_create_session(struct prep *p, const struct prep_ask *ask, s32 timeout,
			struct txn **txn);
int prep_close_session(struct prep *p, const struct prep_ask *ask, struct txn **txn);
int prep_delete_container(struct prep *p, const struct prep_ask *ask, const char *path,
			  u32 len, struct txn **txn, s32 *err);

/*
 * A transaction that was prepared by another server (a leader's PROPOSAL) and is
 * committed next: brings the records to where they would be if it had been prepared
 * here, and puts into p->out the body of the answer to the client's request that it came
 * from; the error for its header is @t->err. The caller calls changes_keep(). A
 * closeSession whose record does not list all the paths gets them beside it. -ENOMEM:
 * nothing was changed; -EUCLEAN: the tree cannot be the one that it was prepared for.
 */
int prep_replay(struct prep *p, struct txn *t);

/* ---- between prepare*.c and replay.c ---- */

/* Before anything is put into @p. */
void prep_begin(struct prep *p, const struct prep_ask *ask, s32 type);
/* The node that @op makes below @parent, into the records. Like all that return a code:
 * ZOK, or p->fail is set. */
s32 prep_add_node(struct prep *p, struct change *parent, const struct zk_op *op,
		  struct change **rec);
/* The record of a node that there is. ZNONODE, or p->fail is set. */
s32 prep_get_node(struct prep *p, const char *path, u32 len, struct change **rec);
/* Takes a node out of the records of it and its parent. */
s32 prep_forget(struct prep *p, struct change *parent, struct change *rec);
s32 prep_new_data(struct prep *p, struct change *rec, const void *data, s32 len, s32 version);
s32 prep_new_acl(struct prep *p, struct change *rec, const u8 *acl, u32 len, s32 version);
/* A Stat of the record, behind what is in p->out. */
void prep_put_stat(struct prep *p, const struct change *rec);
/* Of a multi's answer: a member's head, its type for a transaction of type @type, and
 * the answer when of @n members the one at @at was refused. */
void prep_result_head(struct prep *p, s32 type, bool done, s32 err);
s32 prep_result_type(s32 type);
void prep_refused(struct prep *p, u32 at, u32 n, s32 err);

/* Code for the answer (enum zk_error); with p->fail set nothing can be made. The
 * record is appended to p->txn, the result to p->out. */
s32 prep_op(struct prep *p, const struct wish *w, bool in_multi);
s32 prep_multi(struct prep *p, const u8 *body, u32 len);
/* A multi's next member, and its type in the request; false: its end, or it is malformed
 * (@r->err). */
bool prep_multi_next(struct jr *r, s32 *type, struct wish *w);
s32 prep_reconfig(struct prep *p, const struct wish *w);
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
