/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A transaction on its way: the bytes as they stand in the log and in a PROPOSAL
 * (TxnHeader, record, TxnDigest), and what the tree is to do, decoded once.
 *
 * Owned by reference; immutable once made, so any thread may read it. The ops
 * point into the bytes.
 */
#ifndef ZKD_DISK_TXN_H
#define ZKD_DISK_TXN_H

#include "daemon/proto/jute.h"
#include "kmod/tree/tree.h"

struct txn {
	u32 refs;		/* atomic */
	u32 len;
	struct txn *next;	/* the queue that it is in */
	/* TxnHeader */
	u64 session;
	s32 cxid;
	s32 type;		/* enum zk_opcode */
	u64 zxid;
	s64 time;		/* ms since 1970 */
	/* TxnDigest, if has_digest: of the tree after this transaction */
	bool has_digest;
	s32 digest_version;
	u64 digest;
	/* createSession: the timeout. error: the code */
	s32 timeout;
	s32 err;
	u32 n_ops;
	struct zk_op *ops;
	u8 *bytes;
};

/*
 * Decodes @len bytes (copied) into a transaction with one reference. The crc
 * of creates and sets is computed here, once. Errors: -EBADMSG,
 * -ENOMEM; @why (may be NULL) says what was wrong.
 */
int txn_decode(const void *bytes, size_t len, struct txn **txn, const char **why);
struct txn *txn_get(struct txn *txn);
void txn_put(struct txn *txn);
/* The form the store takes; valid as long as @txn. */
void txn_to_zk(const struct txn *txn, struct zk_txn *out);

#endif
