/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whom a znode's ACL lets do what.
 *
 * Identities are what the kernel knows of the caller in the initial user
 * namespace: scheme "uid" with his file-system uid, scheme "gid" with his
 * file-system gid and supplementary groups, "world" for anyone. Being root in some
 * user namespace, or anywhere, adds nothing. Entries of other schemes (digest, ip,
 * ...) belong to sessions over TCP and give a local caller nothing.
 *
 * No state and no locks: an ACL is immutable, and is read under the RCU section
 * or pin that its view was taken in.
 */
#ifndef ZKERN_ACCESS_H
#define ZKERN_ACCESS_H

#include <linux/cred.h>
#include <linux/types.h>

#include "tree/tree.h"

/* ZooDefs.Perms */
#define ZKERN_PERM_READ		0x01
#define ZKERN_PERM_WRITE	0x02
#define ZKERN_PERM_CREATE	0x04
#define ZKERN_PERM_DELETE	0x08
#define ZKERN_PERM_ADMIN	0x10
#define ZKERN_PERM_ALL		0x1f

/**
 * struct zkern_caller - who asks.
 * @cred:  whose identities count
 * @also:  NULL, or a second one who must be allowed too (who made a snapshot, for
 *         whoever read(2)s it: a set-uid program handed the file as its standard
 *         input must not read with its own powers)
 * @owner: the tree's owner, whom no ACL binds
 */
struct zkern_caller {
	const struct cred *cred;
	const struct cred *also;
	bool owner;
};

/* The caller is the current task. */
static inline struct zkern_caller zkern_caller_current(bool owner)
{
	return (struct zkern_caller){ .cred = current_cred(), .owner = owner };
}

bool zkern_may_slow(const struct zk_acl *acl, u32 perms, const struct zkern_caller *who);

/* RCU or pin: does @acl give @who any of @perms? (ZooKeeper's rule: one suffices.) */
static inline bool zkern_may(const struct zk_acl *acl, u32 perms, const struct zkern_caller *who)
{
	if (likely(acl->world & perms) || who->owner)
		return true;
	return zkern_may_slow(acl, perms, who);
}

/*
 * RCU or pin: writes @acl as getACL shows it to one without ADMIN into @buf if it
 * fits in @cap: the password hashes of digest entries replaced by "x"
 * (FinalRequestProcessor). Returns the length either way.
 */
u32 zkern_acl_masked(const struct zk_acl *acl, u8 *buf, u32 cap);

#endif
