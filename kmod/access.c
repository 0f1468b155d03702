// SPDX-License-Identifier: GPL-2.0-only
/*
 * ACLs against the caller's identities; see access.h. Everything here runs in
 * the reader's own RCU section and neither sleeps nor allocates.
 */
#include "access.h"

#include <linux/cred.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include <asm/unaligned.h>

/* One entry of an ACL, pointing into its bytes. */
struct acl_entry {
	u32 perms;
	const char *scheme;
	u32 scheme_len;
	const char *id;
	u32 id_len;
};

/* Where we are in a jute vector<ACL>. */
struct acl_cursor {
	const u8 *p;
	u32 left;
	u32 entries;
};

static bool take_u32(struct acl_cursor *c, u32 *v)
{
	if (c->left < 4)
		return false;
	*v = get_unaligned_be32(c->p);
	c->p += 4;
	c->left -= 4;
	return true;
}

/* A jute string; its length -1 is null, for us empty. */
static bool take_string(struct acl_cursor *c, const char **s, u32 *len)
{
	u32 n;

	if (!take_u32(c, &n))
		return false;
	if (n == U32_MAX)
		n = 0;
	if (n > c->left)
		return false;
	*s = (const char *)c->p;
	*len = n;
	c->p += n;
	c->left -= n;
	return true;
}

static void acl_begin(struct acl_cursor *c, const struct zk_acl *acl)
{
	c->p = acl->jute;
	c->left = acl->len;
	c->entries = 0;
	/* -1 is a null vector: no entries */
	if (!take_u32(c, &c->entries) || c->entries > S32_MAX)
		c->entries = 0;
}

/* The tree takes only well-formed ACLs; still nothing here reads past the end. */
static bool acl_next(struct acl_cursor *c, struct acl_entry *e)
{
	if (!c->entries)
		return false;
	c->entries--;
	return take_u32(c, &e->perms) &&
	       take_string(c, &e->scheme, &e->scheme_len) &&
	       take_string(c, &e->id, &e->id_len);
}

static bool scheme_is(const struct acl_entry *e, const char *name)
{
	return e->scheme_len == strlen(name) && !memcmp(e->scheme, name, e->scheme_len);
}

/* A decimal number as it is printed: no sign, no spaces, no leading zeros. */
static bool parse_id(const struct acl_entry *e, u32 *id)
{
	u64 v = 0;
	u32 i;

	if (!e->id_len || e->id_len > 10 || (e->id_len > 1 && e->id[0] == '0'))
		return false;
	for (i = 0; i < e->id_len; i++) {
		if (e->id[i] < '0' || e->id[i] > '9')
			return false;
		v = v * 10 + (e->id[i] - '0');
	}
	/* ~0 is no id but the mark of an unmapped one */
	if (v >= U32_MAX)
		return false;
	*id = v;
	return true;
}

/* group_info is sorted (groups_sort()). */
static bool cred_in_group(const struct cred *cred, kgid_t gid)
{
	const struct group_info *gi = cred->group_info;
	int lo = 0, hi = gi->ngroups - 1;

	if (gid_eq(gid, cred->fsgid))
		return true;
	while (lo <= hi) {
		int mid = lo + (hi - lo) / 2;

		if (gid_eq(gi->gid[mid], gid))
			return true;
		if (gid_lt(gi->gid[mid], gid))
			lo = mid + 1;
		else
			hi = mid - 1;
	}
	return false;
}

static bool entry_is_for(const struct acl_entry *e, const struct cred *cred)
{
	u32 id;

	if (scheme_is(e, "world"))
		return e->id_len == 6 && !memcmp(e->id, "anyone", 6);
	if (scheme_is(e, "uid"))
		return parse_id(e, &id) && uid_eq(cred->fsuid, make_kuid(&init_user_ns, id));
	if (scheme_is(e, "gid"))
		return parse_id(e, &id) && cred_in_group(cred, make_kgid(&init_user_ns, id));
	return false;
}

static bool cred_may(const struct zk_acl *acl, u32 perms, const struct cred *cred)
{
	struct acl_cursor c;
	struct acl_entry e;

	acl_begin(&c, acl);
	while (acl_next(&c, &e)) {
		if ((e.perms & perms) && entry_is_for(&e, cred))
			return true;
	}
	return false;
}

bool zkern_may_slow(const struct zk_acl *acl, u32 perms, const struct zkern_caller *who)
{
	if (!cred_may(acl, perms, who->cred))
		return false;
	return !who->also || who->also == who->cred || cred_may(acl, perms, who->also);
}

/* Appends to a buffer, counting also what no longer fits. */
struct acl_out {
	u8 *buf;
	u32 cap;
	u32 len;
};

static void put_bytes(struct acl_out *o, const void *p, u32 n)
{
	if (o->len <= o->cap && n <= o->cap - o->len)
		memcpy(o->buf + o->len, p, n);
	o->len += n;
}

static void put_u32(struct acl_out *o, u32 v)
{
	__be32 be = cpu_to_be32(v);

	put_bytes(o, &be, sizeof(be));
}

u32 zkern_acl_masked(const struct zk_acl *acl, u8 *buf, u32 cap)
{
	struct acl_out o = { .buf = buf, .cap = cap };
	struct acl_cursor c;
	struct acl_entry e;

	acl_begin(&c, acl);
	put_u32(&o, c.entries);
	while (acl_next(&c, &e)) {
		const char *colon = NULL;

		if (scheme_is(&e, "digest"))
			colon = memchr(e.id, ':', e.id_len);
		put_u32(&o, e.perms);
		put_u32(&o, e.scheme_len);
		put_bytes(&o, e.scheme, e.scheme_len);
		if (!colon) {
			put_u32(&o, e.id_len);
			put_bytes(&o, e.id, e.id_len);
			continue;
		}
		put_u32(&o, colon - e.id + 2);
		put_bytes(&o, e.id, colon - e.id);
		put_bytes(&o, ":x", 2);
	}
	return o.len;
}
