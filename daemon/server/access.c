// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ACLs: the check (ZooKeeperServer.checkACL) and what a client may set
 * (PrepRequestProcessor.fixupACL). Who a client is stands in identity.c.
 *
 * Any thread; the cache of ACLs belongs to the thread that uses it.
 *
 * Besides ZooKeeper's schemes (world, ip, digest, auth) ids of the schemes "uid"
 * and "gid" are valid: they are what a local program is known by on the device.
 * sasl and x509 have no provider here, as in a ZooKeeper that was not given one.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/server/access.h"
#include "daemon/server/identity.h"
#include "daemon/server/path.h"

/* What "auth" may expand to in one ACL; ZooKeeper has no bound of its own, but no
 * peer could read a transaction beyond its jute.maxbuffer. */
#define ACL_MAX_BYTES	(1024 * 1024)

#define CACHE_SLOTS	256	/* a power of two */
#define CACHE_MAX_ACL	16384	/* bytes; longer ones are asked for each time */

static bool skip_checks;

void access_configure(bool skip_acl)
{
	skip_checks = skip_acl;
}

struct ace {
	const u8 *start;
	u32 len;
	s32 perms;
	struct jstr scheme;
	struct jstr id;
};

static bool ace_next(struct jr *r, struct ace *a)
{
	a->start = r->p;
	a->perms = jr_int(r);
	a->scheme = jr_str(r);
	a->id = jr_str(r);
	a->len = r->p - a->start;
	return !r->err;
}

static bool is_world(const struct ace *a)
{
	return jstr_is(a->scheme, "world") && jstr_is(a->id, "anyone");
}

static bool ace_matches(const struct ace *a, const struct auth_set *auth)
{
	if (is_world(a))
		return true;
	for (u32 i = 0; auth && i < auth->n; i++)
		if (jstr_is(a->scheme, auth->ids[i].scheme) &&
		    identity_matches(&auth->ids[i], a->id))
			return true;
	return false;
}

bool access_allowed(const u8 *acl, u32 acl_len, u32 perms, const struct auth_set *auth)
{
	struct ace a;
	struct jr r;
	s32 n;

	if (skip_checks || (auth && auth->super))
		return true;
	jr_init(&r, acl, acl_len);
	n = jr_int(&r);
	if (!r.err && n <= 0)
		return true;	/* no ACL at all forbids nothing */
	for (; n > 0 && ace_next(&r, &a); n--)
		if (((u32)a.perms & perms) && ace_matches(&a, auth))
			return true;
	return false;
}

/* ------------------------------------------------------------ the cache */

/* @bytes is NULL for an ACL that gives all it gives to world:anyone. */
struct cache_slot {
	const struct store *st;	/* NULL: empty */
	u64 id;
	u32 world;		/* bits that everybody has */
	u32 len;
	u8 *bytes;
};

static __thread struct cache_slot *cache;
static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

static void cache_free(void *arg)
{
	struct cache_slot *slots = arg;

	for (int i = 0; i < CACHE_SLOTS; i++)
		free(slots[i].bytes);
	free(slots);
	cache = NULL;
}

static void cache_make_key(void)
{
	pthread_key_create(&cache_key, cache_free);
}

/* NULL when memory is short: then every check asks the store. */
static struct cache_slot *cache_slot(const struct store *st, u64 id)
{
	u64 h = (id ^ (uintptr_t)st >> 4) * 0x9e3779b97f4a7c15ULL;

	if (!cache) {
		pthread_once(&cache_once, cache_make_key);
		cache = calloc(CACHE_SLOTS, sizeof(*cache));
		if (cache && pthread_setspecific(cache_key, cache)) {
			free(cache);
			cache = NULL;
		}
	}
	return cache ? &cache[h >> 56 & (CACHE_SLOTS - 1)] : NULL;
}

void access_forget(const struct store *st)
{
	for (int i = 0; cache && i < CACHE_SLOTS; i++) {
		if (cache[i].st != st)
			continue;
		free(cache[i].bytes);
		memset(&cache[i], 0, sizeof(cache[i]));
	}
}

static u32 world_bits(const u8 *acl, u32 len)
{
	struct ace a;
	u32 bits = 0;
	struct jr r;
	s32 n;

	jr_init(&r, acl, len);
	n = jr_int(&r);
	if (!r.err && n <= 0)
		return ~0U;
	for (; n > 0 && ace_next(&r, &a); n--)
		if (is_world(&a))
			bits |= a.perms;
	return bits;
}

static void cache_fill(struct cache_slot *s, const struct store *st, u64 id,
		       const struct jw *acl)
{
	u8 *bytes;

	if (!s || acl->len > CACHE_MAX_ACL)
		return;
	bytes = malloc(acl->len);
	if (!bytes)
		return;
	memcpy(bytes, acl->buf, acl->len);
	free(s->bytes);
	s->bytes = bytes;
	s->st = st;
	s->id = id;
	s->len = acl->len;
	s->world = world_bits(acl->buf, acl->len);
}

static int check_stored(struct store *st, const char *path, u32 len,
			const struct store_node *node, u32 perms,
			const struct auth_set *auth, struct cache_slot *s)
{
	struct store_node now;
	struct jw acl;
	int err;

	jw_init(&acl, 0);
	err = st->ops->acl(st, path, len, &now, &acl);
	if (err == -ENOENT || (!err && now.acl_id != node->acl_id))
		err = -EAGAIN;
	if (!err)
		err = acl.err;
	if (!err) {
		cache_fill(s, st, node->acl_id, &acl);
		if (!access_allowed(acl.buf, acl.len, perms, auth))
			err = -EACCES;
	}
	jw_free(&acl);
	return err;
}

int access_check(struct store *st, const char *path, u32 len, const struct store_node *node,
		 u32 perms, const struct auth_set *auth)
{
	struct cache_slot *s;

	if (skip_checks || (auth && auth->super))
		return 0;
	s = cache_slot(st, node->acl_id);
	if (!s || s->st != st || s->id != node->acl_id)
		return check_stored(st, path, len, node, perms, auth, s);
	if (s->world & perms)
		return 0;
	return access_allowed(s->bytes, s->len, perms, auth) ? 0 : -EACCES;
}

/* ------------------------------------------------------------ hiding digests */

/* "user:hash" becomes "user:x", as replaceAll(":.*", ":x") has it: '.' ends at a
 * line's end. */
static void put_masked(struct jw *out, struct jstr id)
{
	size_t at = out->len;
	s32 i = 0;

	jw_int(out, 0);
	while (i < id.len) {
		if (id.p[i] != ':') {
			jw_bytes(out, &id.p[i++], 1);
			continue;
		}
		jw_bytes(out, ":x", 2);
		while (i < id.len && id.p[i] != '\n' && id.p[i] != '\r')
			i++;
	}
	if (!out->err)
		jute_put32(out->buf + at, out->len - at - 4);
}

void access_mask(struct jw *out, size_t at)
{
	size_t len = out->len - at, end = out->len;
	struct jr in;
	s32 n;

	/* each byte makes at most two: nothing moves while we read what we write behind */
	if (!jw_room(out, 2 * len))
		return;
	jr_init(&in, out->buf + at, len);
	n = jr_int(&in);
	jw_int(out, n);
	for (; n > 0; n--) {
		s32 perms = jr_int(&in);
		struct jstr scheme = jr_str(&in);
		struct jstr id = jr_str(&in);

		jw_int(out, perms);
		jw_str(out, scheme.p, scheme.len);
		if (jstr_is(scheme, "digest") && id.len >= 0)
			put_masked(out, id);
		else
			jw_str(out, id.p, id.len);
	}
	memmove(out->buf + at, out->buf + end, out->len - end);
	out->len -= end - at;
}

/* ------------------------------------------------------------ fixupACL */

/* The ACEs seen so far, to leave out what is there twice: a hash table, as a
 * client may send very many. */
struct ace_set {
	struct ace *slots;
	u32 mask;
};

static __thread u64 ace_key;

/* @max: bytes of the vector, so that the table is no larger than the request. */
static int ace_set_init(struct ace_set *set, s32 n, u32 max)
{
	u32 size = 16;

	while (size < 4 * (u32)n && size < max)
		size *= 2;
	set->mask = size - 1;
	if (!ace_key)
		ace_key = hash_key();
	set->slots = calloc(size, sizeof(*set->slots));
	return set->slots ? 0 : -ENOMEM;
}

/* Where it is, or where it would go. */
static struct ace *ace_set_find(const struct ace_set *set, const struct ace *a)
{
	u32 i = hash_bytes(ace_key, a->start, a->len) & set->mask;

	for (; set->slots[i].start; i = (i + 1) & set->mask)
		if (set->slots[i].len == a->len &&
		    !memcmp(set->slots[i].start, a->start, a->len))
			break;
	return &set->slots[i];
}

/* True if it was not there. */
static bool ace_set_add(struct ace_set *set, const struct ace *a)
{
	struct ace *slot = ace_set_find(set, a);

	if (slot->start)
		return false;
	*slot = *a;
	return true;
}

/*
 * Does looking for what is there twice throw in Java? An ACE with a null in it does not
 * survive being compared with an earlier one that is like it up to there: perms, then
 * the scheme, then the id (ACL.equals, Id.equals).
 */
static bool nulls_throw(struct ace_set *set, struct jr r)
{
	bool thrown = false;
	struct ace a;

	for (s32 n = jr_int(&r); n > 0 && !thrown && ace_next(&r, &a); n--) {
		bool perms = !ace_set_add(set, &(struct ace){ .start = a.start, .len = 4 });

		if (a.scheme.len < 0) {
			thrown = perms;
			continue;
		}
		a.len = 8 + a.scheme.len;
		thrown = !ace_set_add(set, &a) && a.id.len < 0;
	}
	memset(set->slots, 0, (set->mask + 1) * sizeof(*set->slots));
	return thrown;
}

static void put_ace(struct jw *out, s32 perms, const struct auth_id *id)
{
	jw_int(out, perms);
	jw_str(out, id->scheme, strlen(id->scheme));
	jw_str(out, id->id, strlen(id->id));
}

static bool is_ascii(struct jstr s)
{
	for (s32 i = 0; i < s.len; i++)
		if (s.p[i] >= 0x80)
			return false;
	return true;
}

/* With the id as Java reads it: what is no UTF-8 is replaced. */
static void put_cleaned(struct jw *out, const struct ace *a)
{
	size_t at;
	u8 *p;

	jw_int(out, a->perms);
	jw_str(out, a->scheme.p, a->scheme.len);
	at = out->len;
	jw_int(out, 0);
	p = jw_room(out, 3 * (size_t)a->id.len);
	if (!p)
		return;
	out->len += utf8_clean(a->id.p, a->id.len, p);
	jute_put32(out->buf + at, out->len - at - 4);
}

/* Appends what @a stands for; @n counts. An enum zk_error. */
static s32 fixup_one(const struct ace *a, const struct auth_set *auth, struct jw *out, s32 *n)
{
	s32 before = *n;

	if (a->scheme.len < 0)
		return ZINVALIDACL;
	if (jstr_is(a->scheme, "auth")) {
		for (u32 i = 0; auth && i < auth->n; i++) {
			if (!identity_is_proof(&auth->ids[i]))
				continue;
			put_ace(out, a->perms, &auth->ids[i]);
			(*n)++;
		}
		return *n > before ? ZOK : ZINVALIDACL;
	}
	if (a->id.len < 0)
		return identity_known(a->scheme) || jstr_is(a->scheme, "world") ?
		       ZMARSHALLINGERROR : ZINVALIDACL;
	if (!is_world(a) && !identity_valid(a->scheme, a->id))
		return ZINVALIDACL;
	(*n)++;
	if (is_ascii(a->id))
		jw_bytes(out, a->start, a->len);
	else
		put_cleaned(out, a);
	return ZOK;
}

static bool well_formed(const u8 *acl, u32 len, s32 *n, bool *nulls)
{
	struct ace a;
	struct jr r;

	*nulls = false;
	jr_init(&r, acl, len);
	*n = jr_int(&r);
	*nulls = false;
	for (s32 i = 0; i < *n; i++) {
		if (!ace_next(&r, &a))
			return false;
		*nulls |= a.scheme.len < 0 || a.id.len < 0;
	}
	return !r.err;
}

/*
 * Looking for what is there twice (removeDuplicates) comes before all else, and ACL's
 * and Id's equals() throw at a null scheme if the permissions are equal, and at a null
 * id if the schemes are, too.
 */
static s32 check_nulls(const u8 *acl, u32 len, s32 n)
{
	struct ace_set set;
	s32 err = ZOK;
	struct ace a;
	struct jr r;

	if (ace_set_init(&set, 2 * n, len))
		return ZSYSTEMERROR;
	jr_init(&r, acl, len);
	jr_int(&r);
	while (!err && n-- > 0 && ace_next(&r, &a)) {
		struct ace perms = { .start = a.start, .len = 4 };
		struct ace named = { .start = a.start };

		named.len = 8 + (a.scheme.len < 0 ? 0 : a.scheme.len);
		if (a.scheme.len < 0 ? ace_set_find(&set, &perms)->start :
		    a.id.len < 0 ? ace_set_find(&set, &named)->start : NULL)
			err = ZMARSHALLINGERROR;
		ace_set_add(&set, &perms);
		ace_set_add(&set, &named);
	}
	free(set.slots);
	return err;
}

s32 access_fixup(const u8 *acl, u32 acl_len, const struct auth_set *auth, struct jw *out)
{
	size_t start = out->len;
	s32 err = ZOK, n, left, made = 0;
	struct ace_set set;
	struct ace a;
	struct jr r;
	bool nulls;

	if (!well_formed(acl, acl_len, &n, &nulls))
		return ZMARSHALLINGERROR;
	if (n <= 0)
		return ZINVALIDACL;
	if (nulls)
		err = check_nulls(acl, acl_len, n);
	if (err)
		return err;
	if (ace_set_init(&set, n, acl_len))
		return ZSYSTEMERROR;
	jr_init(&r, acl, acl_len);
	if (nulls && nulls_throw(&set, r))
		err = ZMARSHALLINGERROR;
	left = jr_int(&r);
	jw_int(out, 0);
	for (; !err && left > 0 && ace_next(&r, &a); left--) {
		if (ace_set_add(&set, &a))
			err = fixup_one(&a, auth, out, &made);
		if (!err && out->len - start > ACL_MAX_BYTES + acl_len)
			err = ZINVALIDACL;
	}
	free(set.slots);
	if (out->err)
		return ZSYSTEMERROR;
	if (err)
		out->len = start;
	else
		jute_put32(out->buf + start, made);
	return err;
}
