/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tree will look like once all that is proposed is applied
 * (PrepRequestProcessor's outstandingChanges), and a cache of what it looks like
 * now. Core thread only.
 *
 * A record is one path's node. It is outstanding while a transaction that changed
 * it is not applied; after that it stays as a cache of the store, which nobody but
 * this thread's transactions changes, until it is the least recently used one.
 *
 * All changes to records between changes_begin() and changes_keep() belong to one
 * transaction; changes_undo() takes them back, be it that an operation of a multi
 * was refused, be it that memory is short.
 *
 * A session that closes may have a million ephemerals. Those that have no record get
 * none for that; the session is remembered instead, and until its end is applied the
 * store is not believed that they are there.
 *
 * The digest that the tree will have is kept along (DataTree's nodes digest,
 * AdHash over DigestCalculator).
 */
#ifndef ZKD_SERVER_CHANGE_H
#define ZKD_SERVER_CHANGE_H

#include <linux/list.h>

#include "daemon/server/request.h"
#include "daemon/store/store.h"

/* An ACL, shared by reference among records. */
struct zacl {
	u32 refs;
	u32 world;		/* bits that everybody has */
	u32 len;
	u8 bytes[];
};

struct change {
	struct change *next;	/* hash chain */
	struct list_head link;	/* outstanding, in order of zxid; or cached, by use */
	struct list_head born;	/* changes.born; empty: not on it */
	u64 zxid;		/* last transaction that changed it here */
	u32 hash;
	u32 len;
	bool exists;
	s32 data_len;
	u32 crc;		/* of path and data */
	u32 path_crc;
	u32 digest;		/* its part of the tree's */
	s32 cversion;		/* of the transaction @cversion_zxid, which counts on past */
	u64 cversion_zxid;	/* the end of its range: see count_child() */
	struct zk_stat stat;
	struct zacl *acl;	/* kept after the node's deletion */
	u64 acl_zxid;		/* last transaction that changed it here */
	char path[];
};

struct undo;

#define CHANGE_ACLS	64	/* ACLs remembered */
#define CHANGE_ENDS	256	/* chains of sessions that close */

/* A session's end that is not applied. */
struct change_end {
	struct list_head link;	/* changes.ends */
	struct list_head chain;
	u64 session;
	u64 zxid;
	u32 nodes;		/* without a record */
};

struct change_acl_id {
	u64 id;
	struct zacl *acl;
};

struct changes {
	struct store *st;
	u64 key;
	u64 applied;		/* zxid */
	struct change **buckets;
	u32 n_buckets;
	u32 n;
	u64 cached_bytes;
	u64 max_cached;		/* bytes */
	struct list_head outstanding;
	struct list_head born;	/* of these, ephemerals that the store may not have yet */
	struct list_head cached;
	struct list_head ends;	/* in order of zxid */
	struct list_head end_chains[CHANGE_ENDS];	/* the same, by session */
	bool digests;		/* keep digests */
	bool quiet;		/* nothing is counted: another server prepares */
	u64 digest;		/* of the tree with all that is outstanding */
	struct zacl *acls[CHANGE_ACLS];			/* by content */
	struct change_acl_id acl_ids[CHANGE_ACLS];	/* by the store's id */
	struct jw scratch;
	struct undo *undo;
	u32 n_undo, undo_room;
	u64 undo_digest;
	struct change_end *undo_end;	/* of the transaction that is being made */
};

int changes_init(struct changes *ch, struct store *st, u64 zxid, u64 digest, bool digests);
void changes_free(struct changes *ch);

void changes_begin(struct changes *ch);
void changes_keep(struct changes *ch);
void changes_undo(struct changes *ch);

/*
 * The record of the node at @path as it will be. 0; -ENOENT: there is no such node
 * (or the path is none); -ENOMEM or the store's error. Good until the next call
 * of changes_applied() or changes_trim().
 */
int change_get(struct changes *ch, const char *path, u32 len, struct change **rec);
/* Before changing a record: 0 or -ENOMEM. */
int change_touch(struct changes *ch, struct change *rec, u64 zxid);
/* A record for a node that is to be created; touched. */
int change_add(struct changes *ch, const char *path, u32 len, u64 zxid, struct change **rec);
/* It was created, an ephemeral: is found by changes_for_each_born() until it is applied. */
void change_born(struct changes *ch, struct change *rec);
/* After changing one: brings the digest up to date. */
void change_digest(struct changes *ch, struct change *rec);
/* CRC of the record's path and @data, for rec->crc. */
u32 change_crc(const struct change *rec, const void *data, s32 data_len);
/* The record if there is one in memory. */
struct change *change_peek(struct changes *ch, const char *path, u32 len);
/* The store's @node at @path, which has no record, goes with its session, whose
 * changes_end() comes next: takes it out of the digest. */
void change_ends(struct changes *ch, const char *path, u32 len, const struct store_node *node);
/* @session ends with the transaction @zxid, and with it @nodes for which change_ends()
 * was called. 0 or -ENOMEM. */
int changes_end(struct changes *ch, u64 session, u64 zxid, u32 nodes);
/* Whether that is so, and not applied. */
bool changes_ended(const struct changes *ch, u64 session);

/* All up to @zxid is applied. */
void changes_applied(struct changes *ch, u64 zxid);
/* What is outstanding will not be applied: forgets it, and all that is cached. */
void changes_reset(struct changes *ch, u64 digest);
/* Drops the least recently used cached records beyond the bound, or all of them. */
void changes_trim(struct changes *ch, bool all);

/* Some of them may be deleted since, or in the store already. */
#define changes_for_each_born(ch, rec) \
	list_for_each_entry(rec, &(ch)->born, born)

struct zacl *zacl_get(struct zacl *a);
void zacl_put(struct zacl *a);
/* One for these bytes (a vector<ACL>); NULL: memory. */
struct zacl *zacl_make(struct changes *ch, const u8 *bytes, u32 len);
/* Whether @auth may do any of @perms by it. */
bool zacl_allows(const struct zacl *a, u32 perms, const struct auth_set *auth);

#endif
