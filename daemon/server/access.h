/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACLs over TCP: who may do what (ZooKeeperServer.checkACL, PrepRequestProcessor.
 * fixupACL), and the proof of identities (digest, ip).
 */
#ifndef ZKD_SERVER_ACCESS_H
#define ZKD_SERVER_ACCESS_H

#include "daemon/server/request.h"
#include "daemon/store/store.h"

/* skipACL of the configuration; once, before other threads run. */
void access_configure(bool skip_acl);
/* Whether @auth has any of @perms by the ACL @acl (jute vector<ACL>). */
bool access_allowed(const u8 *acl, u32 acl_len, u32 perms, const struct auth_set *auth);
/* The same for a node just read: looks its ACL up by node->acl_id in a per-thread
 * cache and asks the store only on a miss. 0, -EACCES, -EAGAIN (the node got another
 * ACL since: read it again; never on the core thread), or the store's error. */
int access_check(struct store *st, const char *path, u32 len, const struct store_node *node,
		 u32 perms, const struct auth_set *auth);
/* Drops what this thread has cached of @st's ACLs; only needed where another store
 * may later be at the same address (tests). */
void access_forget(const struct store *st);
/* Replaces the ACL that begins at @at, at the end of @out, by one whose digests are
 * hidden, as a client without ADMIN gets it. */
void access_mask(struct jw *out, size_t at);
/* A client's ACL for a create or setACL: validates and expands "auth", writes the
 * vector<ACL> to store into @out. An enum zk_error: ZOK, ZINVALIDACL,
 * ZMARSHALLINGERROR (malformed, or where the Java server trips over a null), or
 * ZSYSTEMERROR (memory). */
s32 access_fixup(const u8 *acl, u32 acl_len, const struct auth_set *auth, struct jw *out);
/* addauth: a new set with @scheme's proof added, or NULL with *err set to an
 * enum zk_error (ZAUTHFAILED). @super_digest may be NULL. */
struct auth_set *access_add_auth(const struct auth_set *old, const char *scheme,
				 const u8 *auth, u32 auth_len, const char *super_digest,
				 s32 *err);
/* The set of a local program: uid:@uid, gid:@gid and gids of @groups. NULL: memory. */
struct auth_set *access_local(u32 uid, u32 gid, const u32 *groups, u32 n);
/* The set of a fresh connection: ip:@ip. */
struct auth_set *access_initial(const char *ip);
/* What another server says that its client is: a vector<Id>, which may be null (NULL).
 * NULL: memory, or malformed. */
struct auth_set *access_read_auth(const u8 *ids, u32 len);
/* The same to be sent. */
void access_put_auth(struct jw *out, const struct auth_set *auth);

#endif
