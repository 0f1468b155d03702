/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The schemes of identities: which ids are well-formed, what matches what, how a
 * client proves one (ZooKeeper's authentication providers).
 */
#ifndef ZKD_SERVER_IDENTITY_H
#define ZKD_SERVER_IDENTITY_H

#include "daemon/server/request.h"

static inline bool jstr_is(struct jstr s, const char *lit)
{
	size_t n = strlen(lit);

	return s.len >= 0 && (size_t)s.len == n && !memcmp(s.p, lit, n);
}

/* Whether there is such a scheme for ACLs ("world" and "auth" are none). */
bool identity_known(struct jstr scheme);
/* Whether @id is well-formed for @scheme; false for unknown schemes. */
bool identity_valid(struct jstr scheme, struct jstr id);
/* Whether the identity names its holder, so that "auth" in an ACL means it. */
bool identity_is_proof(const struct auth_id *id);
/* Whether the identity @have is meant by @expr in an ACE of the same scheme. */
bool identity_matches(const struct auth_id *have, struct jstr expr);
/* The name without its proof, for whoAmI: "user" of "user:hash". Bytes of @id->id. */
u32 identity_user_len(const struct auth_id *id);

#endif
