/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A transaction on its way: the bytes as they stand in the log and in a PROPOSAL
 * (TxnHeader, record, TxnDigest), and what the tree is to do, decoded once.
 *
 * Owned by reference; immutable once made but for what is the log's, so any thread
 * may read it. The ops point into the bytes.
 */
#ifndef ZKD_DISK_TXN_H
#define ZKD_DISK_TXN_H

#include "daemon/proto/jute.h"
#include "kmod/tree/tree.h"

struct txn {
	struct txn *next;	/* the log's queue (base/queue.h) */
	u32 refs;		/* atomic */
	u32 len;
	/* TxnHeader */
	u64 session;
	s32 cxid;
	s32 type;		/* enum zk_opcode */
	u64 zxid;
	s64 time;		/* ms since 1970 */
	/* TxnDigest, if has_digest: of the tree after this transaction */
	bool has_digest;
	bool rolls;		/* the log's: it begins a new file */
	s32 digest_version;
	u64 digest;
	/* createSession: the timeout. error: the code */
	s32 timeout;
	s32 err;
	u32 n_ops;
	struct zk_op *ops;
	u8 *bytes;
	/* closeSession made here, of so many ephemerals that their paths do not stand in
	 * the record: malloc'ed, a vector<string> of them from @unlisted_at on. Not
	 * logged. */
	u8 *unlisted;
	size_t unlisted_at;
	size_t unlisted_len;
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

/*
 * The zxid in the header of an encoded transaction, without decoding it. -EBADMSG
 * if there is no whole header.
 */
int txn_peek_zxid(const void *bytes, size_t len, u64 *zxid);
/*
 * CRC-32 of path and data as struct zk_view wants it; the root's path counts as
 * empty (DigestCalculator.calculateDigest).
 */
u32 txn_crc(const char *path, size_t path_len, const void *data, s32 data_len);
/*
 * Reads a vector<ACL>; @acl points into what @r reads, or, for a null vector, to
 * txn_open_acl. 0, or the reader's error.
 */
int txn_read_acl(struct jr *r, const u8 **acl, u32 *len);
/* OPEN_ACL_UNSAFE as jute vector<ACL>: world:anyone, all permissions. */
#define TXN_OPEN_ACL_LEN	27
extern const u8 txn_open_acl[TXN_OPEN_ACL_LEN];

#endif
