// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Identities and their schemes, as ZooKeeper's providers have them
 * (IPAuthenticationProvider, DigestAuthenticationProvider), and the sets of them
 * that connections carry. Any thread; everything is immutable once made.
 *
 * The order of a set is that of the Java server, where it is a hash set: clients
 * see it in what "auth" of an ACL expands to, and in whoAmI.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/server/access.h"
#include "daemon/server/identity.h"
#include "daemon/server/path.h"

/* What one connection may pile up. */
#define MAX_IDS		64
#define MAX_ID_BYTES	4096

#define NUMBER_LEN	12	/* of a uid's text, with its NUL */

/* ------------------------------------------------------------ the schemes */

/* Java's Integer.parseInt for what fits an ACL: a sign, digits, no overflow. */
static bool parse_int(const u8 *p, size_t n, s64 *v)
{
	bool minus = false;

	if (n && (*p == '-' || *p == '+')) {
		minus = *p == '-';
		p++;
		n--;
	}
	if (!n)
		return false;
	*v = 0;
	for (; n; n--, p++) {
		if (*p < '0' || *p > '9')
			return false;
		*v = *v * 10 + (*p - '0');
		if (*v > 0x80000000LL)
			return false;
	}
	if (minus)
		*v = -*v;
	return *v <= 0x7fffffff;
}

/* "a.b.c.d", each part 0..255. IPv6 is not known to ZooKeeper's ip scheme. */
static bool parse_ipv4(const u8 *p, size_t n, u32 *addr)
{
	const u8 *end = p + n;

	*addr = 0;
	for (int i = 0; i < 4; i++) {
		const u8 *dot = memchr(p, '.', end - p);
		const u8 *stop = dot ? dot : end;
		s64 v;

		if ((i < 3) != !!dot || !parse_int(p, stop - p, &v) || v < 0 || v > 255)
			return false;
		*addr = *addr << 8 | (u32)v;
		p = stop + 1;
	}
	return true;
}

/* "a.b.c.d" or "a.b.c.d/bits". */
static bool parse_ip_range(struct jstr id, u32 *addr, u32 *mask)
{
	const u8 *slash = memchr(id.p, '/', id.len);
	s64 bits = 32;

	if (!parse_ipv4(id.p, slash ? (size_t)(slash - id.p) : (size_t)id.len, addr))
		return false;
	if (slash && !parse_int(slash + 1, id.p + id.len - slash - 1, &bits))
		return false;
	if (bits < 0 || bits > 32)
		return false;
	*mask = bits ? ~0U << (32 - bits) : 0;
	return true;
}

static bool ip_valid(struct jstr id)
{
	u32 addr, mask;

	return parse_ip_range(id, &addr, &mask);
}

static bool ip_matches(const char *have, struct jstr expr)
{
	u32 addr, mask, mine;

	return parse_ip_range(expr, &addr, &mask) &&
	       parse_ipv4((const u8 *)have, strlen(have), &mine) &&
	       (mine & mask) == (addr & mask);
}

/* Java's split(":") gives two parts: parts that are empty at the end do not count. */
static bool digest_valid(struct jstr id)
{
	s32 n = id.len, colons = 0;

	while (n > 0 && id.p[n - 1] == ':')
		n--;
	for (s32 i = 0; i < n; i++)
		colons += id.p[i] == ':';
	return colons == 1;
}

/* A decimal uid or gid as the kernel prints it. */
static bool number_valid(struct jstr id)
{
	u64 v = 0;

	if (id.len < 1 || id.len > 10 || (id.p[0] == '0' && id.len > 1))
		return false;
	for (s32 i = 0; i < id.len; i++) {
		if (id.p[i] < '0' || id.p[i] > '9')
			return false;
		v = v * 10 + (id.p[i] - '0');
	}
	return v < 0xffffffffu;		/* (uid_t)-1 is nobody at all */
}

static const struct scheme {
	const char *name;
	bool proof;
	bool (*valid)(struct jstr id);
} schemes[] = {
	{ "digest", true, digest_valid },
	{ "ip", false, ip_valid },
	{ "uid", true, number_valid },
	{ "gid", false, number_valid },
};

static const struct scheme *scheme_find(struct jstr name)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (jstr_is(name, schemes[i].name))
			return &schemes[i];
	return NULL;
}

bool identity_known(struct jstr scheme)
{
	return scheme_find(scheme);
}

bool identity_valid(struct jstr scheme, struct jstr id)
{
	const struct scheme *s = scheme_find(scheme);

	return s && id.len >= 0 && s->valid(id);
}

static struct jstr jstr_of(const char *s)
{
	return (struct jstr){ (const u8 *)s, strlen(s) };
}

bool identity_is_proof(const struct auth_id *id)
{
	const struct scheme *s = scheme_find(jstr_of(id->scheme));

	return s && s->proof;
}

bool identity_matches(const struct auth_id *have, struct jstr expr)
{
	if (expr.len < 0)
		return false;
	if (!strcmp(have->scheme, "ip"))
		return ip_matches(have->id, expr);
	return jstr_is(expr, have->id);
}

u32 identity_user_len(const struct auth_id *id)
{
	if (!strcmp(id->scheme, "digest"))
		return strcspn(id->id, ":");
	return strlen(id->id);
}

/* ------------------------------------------------------------ sets */

/* One UTF-8 sequence of at most @n bytes; bad bytes are U+FFFD one by one. */
static size_t utf8_next(const u8 *p, size_t n, u32 *c)
{
	size_t len = *p < 0x80 ? 1 : *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : *p >= 0xc2 ? 2 : 0;

	*c = 0xfffd;
	if (!len || len > n)
		return 1;
	if (len == 1) {
		*c = *p;
		return 1;
	}
	*c = *p & (0x7f >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			*c = 0xfffd;
			return 1;
		}
		*c = *c << 6 | (p[i] & 0x3f);
	}
	return len;
}

/* String.hashCode(): over UTF-16 code units. */
static u32 java_hash(const char *s)
{
	const u8 *p = (const u8 *)s;
	size_t n = strlen(s);
	u32 h = 0, c;

	while (n) {
		size_t k = utf8_next(p, n, &c);

		if (c >= 0x10000) {
			h = 31 * h + (0xd7c0 + (c >> 10));
			c = 0xdc00 | (c & 0x3ff);
		}
		h = 31 * h + c;
		p += k;
		n -= k;
	}
	return h;
}

/* Where ConcurrentHashMap of @n elements keeps an Id (its generated hashCode). */
static u32 java_bucket(const struct auth_id *id, u32 n)
{
	u32 h = 37 * (37 * 17 + java_hash(id->scheme)) + java_hash(id->id);
	u32 size = 16;

	while (n >= size - size / 4)
		size *= 2;
	return (h ^ h >> 16) & (size - 1);
}

static char *copy_str(char **at, const char *s)
{
	char *p = *at;
	size_t n = strlen(s) + 1;

	memcpy(p, s, n);
	*at += n;
	return p;
}

/* A set of @n ids, copied, in the order that they have in Java. */
static struct auth_set *make_set(const struct auth_id *ids, u32 n, bool super)
{
	size_t bytes = sizeof(struct auth_set) + n * sizeof(*ids);
	struct auth_set *set;
	char *at;

	for (u32 i = 0; i < n; i++)
		bytes += strlen(ids[i].scheme) + strlen(ids[i].id) + 2;
	set = malloc(bytes);
	if (!set)
		return NULL;
	set->refs = 1;
	set->n = n;
	set->super = super;
	at = (char *)&set->ids[n];
	for (u32 i = 0; i < n; i++) {
		struct auth_id id = { copy_str(&at, ids[i].scheme), copy_str(&at, ids[i].id) };
		u32 j = i;

		for (; j && java_bucket(&set->ids[j - 1], n) > java_bucket(&id, n); j--)
			set->ids[j] = set->ids[j - 1];
		set->ids[j] = id;
	}
	return set;
}

/* In the order in which they stand, with the strings behind them. */
static void read_ids(struct jr *r, s32 n, struct auth_set *set)
{
	char *at = (char *)&set->ids[n];

	for (; n > 0; n--) {
		struct jstr part[2];
		char *copy[2];

		for (int i = 0; i < 2; i++) {
			part[i] = jr_str(r);
			copy[i] = at;
			if (part[i].len > 0)
				memcpy(at, part[i].p, part[i].len);
			at += part[i].len > 0 ? part[i].len : 0;
			*at++ = 0;
		}
		/* what our strings cannot hold is nobody's */
		if (r->err || part[0].len < 0 || part[1].len < 0 ||
		    memchr(part[0].p, 0, part[0].len) || memchr(part[1].p, 0, part[1].len))
			continue;
		set->ids[set->n].scheme = copy[0];
		set->ids[set->n++].id = copy[1];
		set->super |= !strcmp(copy[0], "super");
	}
}

struct auth_set *access_read_auth(const u8 *ids, u32 len)
{
	struct auth_set *set;
	struct jr r;
	s32 n = 0;

	jr_init(&r, ids, ids ? len : 0);
	if (ids)
		n = jr_int(&r);
	if (n < 0)
		n = 0;
	/* an id is two lengths at least */
	if (r.err || (u32)n > len / 8)
		return NULL;
	set = calloc(1, sizeof(*set) + n * (sizeof(*set->ids) + 2) + len);
	if (!set)
		return NULL;
	set->refs = 1;
	read_ids(&r, n, set);
	if (r.err) {
		free(set);
		return NULL;
	}
	return set;
}

void access_put_auth(struct jw *out, const struct auth_set *auth)
{
	jw_int(out, auth ? (s32)auth->n : 0);
	for (u32 i = 0; auth && i < auth->n; i++) {
		jw_str(out, auth->ids[i].scheme, strlen(auth->ids[i].scheme));
		jw_str(out, auth->ids[i].id, strlen(auth->ids[i].id));
	}
}

struct auth_set *access_initial(const char *ip)
{
	struct auth_id id = { "ip", ip };

	return make_set(&id, 1, false);
}

static struct auth_id number_id(const char *scheme, u32 number, char text[NUMBER_LEN])
{
	snprintf(text, NUMBER_LEN, "%u", number);
	return (struct auth_id){ scheme, text };
}

struct auth_set *access_local(u32 uid, u32 gid, const u32 *groups, u32 n)
{
	struct auth_id *ids = malloc((n + 2) * (sizeof(*ids) + NUMBER_LEN));
	char (*text)[NUMBER_LEN] = (void *)&ids[n + 2];
	struct auth_set *set;
	u32 made = 2;

	if (!ids)
		return NULL;
	ids[0] = number_id("uid", uid, text[0]);
	ids[1] = number_id("gid", gid, text[1]);
	for (u32 i = 0; i < n; i++) {
		if (groups[i] == gid)
			continue;
		ids[made] = number_id("gid", groups[i], text[made]);
		made++;
	}
	set = make_set(ids, made, false);
	free(ids);
	return set;
}

static struct auth_set *add_ids(const struct auth_set *old, const struct auth_id *add,
				u32 n_add, bool super)
{
	struct auth_id ids[MAX_IDS];
	u32 n = old->n;

	memcpy(ids, old->ids, n * sizeof(*ids));
	for (u32 i = 0; i < n_add; i++) {
		u32 j = 0;

		while (j < n && (strcmp(ids[j].scheme, add[i].scheme) ||
				 strcmp(ids[j].id, add[i].id)))
			j++;
		if (j < n)
			continue;
		if (n == MAX_IDS)
			return NULL;
		ids[n++] = add[i];
	}
	return make_set(ids, n, super || old->super);
}

static char *make_digest_id(const u8 *auth, u32 len)
{
	const u8 *colon = memchr(auth, ':', len);
	size_t user = colon ? (size_t)(colon - auth) : len;
	u8 sha[EVP_MAX_MD_SIZE];
	unsigned int n;
	char *id;

	/* A NUL cannot be in our ids; in Java's such a user could log in, but no
	 * client can write one by intent. */
	if (user > MAX_ID_BYTES || memchr(auth, 0, user))
		return NULL;
	if (!EVP_Digest(auth, len, sha, &n, EVP_sha1(), NULL))
		return NULL;
	id = malloc(user + 1 + 4 * ((n + 2) / 3) + 1);
	if (!id)
		return NULL;
	memcpy(id, auth, user);
	id[user] = ':';
	EVP_EncodeBlock((u8 *)id + user + 1, sha, n);
	return id;
}

/* "user:password" to "user:base64(sha1(user:password))", of the text that Java makes
 * of the bytes. */
static char *digest_id(const u8 *auth, u32 len)
{
	u8 *text = malloc(3 * (size_t)len + 1);
	char *id;

	if (!text)
		return NULL;
	id = make_digest_id(text, utf8_clean(auth, len, text));
	free(text);
	return id;
}

struct auth_set *access_add_auth(const struct auth_set *old, const char *scheme,
				 const u8 *auth, u32 auth_len, const char *super_digest,
				 s32 *err)
{
	struct auth_set *set = NULL;

	*err = ZAUTHFAILED;
	if (!strcmp(scheme, "ip")) {
		/* proves nothing new: the address is in every set */
		set = add_ids(old, NULL, 0, false);
	} else if (!strcmp(scheme, "digest") && auth) {
		char *id = digest_id(auth, auth_len);
		bool super = id && super_digest && !strcmp(id, super_digest);
		struct auth_id add[2] = { { "super", "" }, { "digest", id } };

		if (id)
			set = add_ids(old, super ? add : add + 1, super ? 2 : 1, super);
		free(id);
	}
	if (set)
		*err = ZOK;
	return set;
}
