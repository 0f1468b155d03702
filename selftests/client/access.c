// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Identities and ACLs. The expectations are what Apache ZooKeeper 3.8 answers
 * (selftests/protocol asks it for the same), or its documentation's examples.
 */
#include "selftests/client/test.h"

struct jstr acl_of(const char *text)
{
	static struct jw bufs[4];
	static int turn;
	struct jw *w = &bufs[turn++ & 3];
	char word[3][256];
	s32 n = 0;
	int used;

	if (!w->limit)
		jw_init(w, 0);
	w->len = 0;
	jw_int(w, 0);
	while (sscanf(text, " %255s %255s %255[^ ,]%n", word[0], word[1], word[2],
		      &used) == 3) {
		const char *id = strcmp(word[2], "-") ? word[2] : "";

		jw_int(w, atoi(word[0]));
		jw_str(w, word[1], strlen(word[1]));
		jw_str(w, id, strcmp(id, "NULL") ? (s32)strlen(id) : -1);
		n++;
		text += used;
		text += strspn(text, ", ");
	}
	jute_put32(w->buf, n);
	return (struct jstr){ w->buf, w->len };
}

static struct jstr js(const char *s)
{
	return (struct jstr){ (const u8 *)s, strlen(s) };
}

static struct auth_set *with(struct auth_set *old, const char *scheme, const char *proof)
{
	s32 err;
	struct auth_set *set = access_add_auth(old, scheme, (const u8 *)proof, strlen(proof),
					       "super:D/InIHSb7yEEbrWz8b9l71RjZJU=", &err);

	auth_set_put(old);
	if (!set || err)
		abort();
	return set;
}

static bool has(const struct auth_set *set, const char *scheme, const char *id)
{
	for (u32 i = 0; i < set->n; i++)
		if (!strcmp(set->ids[i].scheme, scheme) && !strcmp(set->ids[i].id, id))
			return true;
	return false;
}

static bool test_digest(void)
{
	struct auth_set *set = access_initial("127.0.0.1");

	set = with(set, "digest", "joe:secret");
	CHECK(has(set, "digest", "joe:oesAybBun9icKJjQSTRN8OBueSc="));
	CHECK(has(set, "ip", "127.0.0.1"));
	CHECK(!set->super);
	set = with(set, "digest", "nocolon");
	CHECK(has(set, "digest", "nocolon:Ra+cHr2ZoHvBjtNArFGNGlVie4g="));
	CHECK(set->n == 3);
	set = with(set, "digest", "joe:secret");
	CHECK(set->n == 3);
	set = with(set, "digest", "super:test");
	CHECK(has(set, "digest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU="));
	CHECK(set->super);
	set = with(set, "digest", "");
	CHECK(has(set, "digest", ":2jmj7l5rSw0yVb/vlWAYkK/YBwk="));
	CHECK(set->super);
	auth_set_put(set);
	return true;
}

static bool test_refused_proofs(void)
{
	static const char *const schemes[] = { "world", "auth", "super", "sasl", "x509", "" };
	struct auth_set *set = access_initial("127.0.0.1");
	s32 err = 0;

	for (int i = 0; i < 6; i++) {
		CHECK(!access_add_auth(set, schemes[i], (const u8 *)"a:b", 3, NULL, &err));
		CHECK(err == ZAUTHFAILED);
	}
	CHECK(!access_add_auth(set, "digest", NULL, 0, NULL, &err));
	CHECK(err == ZAUTHFAILED);
	auth_set_put(set);
	return true;
}

/* A client that goes on proving identities is refused at some point. */
static bool test_many_proofs(void)
{
	struct auth_set *set = access_initial("127.0.0.1");
	char proof[32];
	s32 err = ZOK;
	int i;

	for (i = 0; i < 10000 && !err; i++) {
		struct auth_set *next;

		snprintf(proof, sizeof(proof), "u%d:x", i);
		next = access_add_auth(set, "digest", (u8 *)proof, strlen(proof), NULL, &err);
		if (next) {
			auth_set_put(set);
			set = next;
		}
	}
	CHECK(err == ZAUTHFAILED && i > 10 && i < 1000);
	auth_set_put(set);
	return true;
}

static bool test_valid_ids(void)
{
	static const struct {
		const char *scheme, *id;
		bool valid;
	} t[] = {
		{ "digest", "u:p", true }, { "digest", ":p", true }, { "digest", "u:p:", true },
		{ "digest", "u", false }, { "digest", "u:", false }, { "digest", ":", false },
		{ "digest", "", false }, { "digest", "a:b:c", false },
		{ "ip", "1.2.3.4", true }, { "ip", "01.2.3.4", true }, { "ip", "+1.2.3.4", true },
		{ "ip", "1.2.3.256", false }, { "ip", "-4.2.3.4", false },
		{ "ip", " 1.2.3.4", false }, { "ip", "1.2.3", false },
		{ "ip", "1.2.3.4.5", false }, { "ip", "1.2.3.", false },
		{ "ip", "1.2.3.4/0", true }, { "ip", "1.2.3.4/32", true },
		{ "ip", "1.2.3.4/33", false }, { "ip", "1.2.3.4/", false },
		{ "ip", "1.2.3.4/-1", false }, { "ip", "1.2.3.4/8/8", false },
		{ "ip", "::1", false }, { "ip", "", false },
		{ "ip", "99999999999.2.3.4", false },
		{ "sasl", "joe", false }, { "x509", "CN=joe", false }, { "super", "", false },
		{ "world", "anyone", false }, { "auth", "", false },
		{ "uid", "0", true }, { "uid", "1000", true }, { "uid", "01", false },
		{ "uid", "4294967295", false }, { "uid", "joe", false }, { "gid", "5", true },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		if (identity_valid(js(t[i].scheme), js(t[i].id)) != t[i].valid) {
			printf("# %s:%s\n", t[i].scheme, t[i].id);
			return false;
		}
	}
	return true;
}

static bool test_allowed(void)
{
	static const struct {
		const char *acl;
		u32 perm;
		bool allowed;
	} t[] = {
		{ "31 world anyone", PERM_READ, true },
		{ "1 world anyone", PERM_WRITE, false },
		{ "1 world anyone, 2 ip 10.1.2.3", PERM_WRITE, true },
		{ "2 ip 10.1.2.4", PERM_WRITE, false },
		{ "2 ip 10.1.2.4/31", PERM_WRITE, false },
		{ "2 ip 10.1.2.4/29", PERM_WRITE, true },
		{ "2 ip 11.0.0.0/0", PERM_WRITE, true },
		{ "2 ip 10.255.255.255/8", PERM_WRITE, true },
		{ "2 ip 10.1.2.3/99", PERM_WRITE, false },
		{ "31 digest joe:oesAybBun9icKJjQSTRN8OBueSc=", PERM_ADMIN, true },
		{ "31 digest joe:other", PERM_ADMIN, false },
		{ "31 sasl joe:oesAybBun9icKJjQSTRN8OBueSc=", PERM_ADMIN, false },
		{ "31 world everyone", PERM_READ, false },
		{ "1 digest a:b, 16 world anyone", PERM_READ | PERM_ADMIN, true },
		{ "", PERM_READ, true },
	};
	struct auth_set *set = with(access_initial("10.1.2.3"), "digest", "joe:secret");

	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct jstr a = acl_of(t[i].acl);

		if (access_allowed(a.p, a.len, t[i].perm, set) != t[i].allowed) {
			printf("# %s\n", t[i].acl);
			return false;
		}
	}
	set = with(set, "digest", "super:test");
	CHECK(access_allowed(acl_of("1 digest a:b").p, acl_of("1 digest a:b").len, 2, set));
	auth_set_put(set);
	return true;
}

static bool fixes(const char *in, const struct auth_set *auth, s32 err, const char *want)
{
	struct jstr a = acl_of(in), w = acl_of(want);
	struct jw out;
	bool ok;
	s32 got;

	jw_init(&out, 0);
	got = access_fixup(a.p, a.len, auth, &out);
	ok = got == err && (err || (out.len == (size_t)w.len && !memcmp(out.buf, w.p, w.len)));
	if (!ok)
		printf("# '%s': %d, %zu bytes\n", in, got, out.len);
	jw_free(&out);
	return ok;
}

static bool test_fixup(void)
{
	struct auth_set *set = access_initial("10.1.2.3");

	CHECK(fixes("31 world anyone", set, ZOK, "31 world anyone"));
	CHECK(fixes("-1 world anyone", set, ZOK, "-1 world anyone"));
	CHECK(fixes("31 world anyone, 31 world anyone", set, ZOK, "31 world anyone"));
	CHECK(fixes("31 world anyone, 1 world anyone, 31 world anyone", set, ZOK,
		    "31 world anyone, 1 world anyone"));
	CHECK(fixes("", set, ZINVALIDACL, ""));
	CHECK(fixes("31 world nobody", set, ZINVALIDACL, ""));
	CHECK(fixes("31 auth -", set, ZINVALIDACL, ""));
	CHECK(fixes("31 sasl joe", set, ZINVALIDACL, ""));
	CHECK(fixes("31 world anyone, 31 bogus x", set, ZINVALIDACL, ""));
	CHECK(fixes("31 digest NULL", set, ZMARSHALLINGERROR, ""));
	CHECK(fixes("31 world NULL", set, ZMARSHALLINGERROR, ""));
	CHECK(fixes("31 bogus NULL", set, ZINVALIDACL, ""));
	set = with(set, "digest", "joe:secret");
	CHECK(fixes("31 auth -, 1 world anyone", set, ZOK,
		    "31 digest joe:oesAybBun9icKJjQSTRN8OBueSc=, 1 world anyone"));
	CHECK(fixes("3 auth NULL", set, ZOK, "3 digest joe:oesAybBun9icKJjQSTRN8OBueSc="));
	auth_set_put(set);
	return true;
}

static bool test_fixup_malformed(void)
{
	struct auth_set *set = access_initial("10.1.2.3");
	struct jstr a = acl_of("31 world anyone, 1 ip 1.2.3.4");
	struct jw out;
	u8 buf[8];

	jw_init(&out, 0);
	for (s32 n = 0; n < a.len; n++)
		CHECK(access_fixup(a.p, n, set, &out) == ZMARSHALLINGERROR);
	jute_put32(buf, 0x7fffffff);
	CHECK(access_fixup(buf, 4, set, &out) == ZMARSHALLINGERROR);
	jute_put32(buf, -1);
	CHECK(access_fixup(buf, 4, set, &out) == ZINVALIDACL);
	jute_put32(buf, -7);
	CHECK(access_fixup(buf, 4, set, &out) == ZINVALIDACL);
	jw_free(&out);
	auth_set_put(set);
	return true;
}

/* Very many entries, all different or all expanding: bounded time and memory. */
static bool test_fixup_huge(void)
{
	struct auth_set *set = access_initial("10.1.2.3");
	struct jw in, out;
	char id[32];

	for (int i = 0; i < 60; i++) {
		snprintf(id, sizeof(id), "someuser%d:x", i);
		set = with(set, "digest", id);
	}
	jw_init(&in, 0);
	jw_init(&out, 0);
	jw_int(&in, 50000);
	for (int i = 0; i < 50000; i++) {
		jw_int(&in, i);
		jw_str(&in, "auth", 4);
		jw_str(&in, "", 0);
	}
	CHECK(access_fixup(in.buf, in.len, set, &out) == ZINVALIDACL);
	CHECK(out.cap < 16 * 1024 * 1024);
	in.len = 0;
	jw_int(&in, 40000);
	for (int i = 0; i < 40000; i++) {
		jw_int(&in, i);
		jw_str(&in, "world", 5);
		jw_str(&in, "anyone", 6);
	}
	CHECK(access_fixup(in.buf, in.len, set, &out) == ZOK);
	CHECK(out.len == in.len && !memcmp(out.buf, in.buf, in.len));
	jw_free(&in);
	jw_free(&out);
	auth_set_put(set);
	return true;
}

const struct test access_tests[] = {
	{ "digests are those of DigestAuthenticationProvider", test_digest },
	{ "other schemes cannot be proved", test_refused_proofs },
	{ "identities of one connection are bounded", test_many_proofs },
	{ "which ids are well-formed", test_valid_ids },
	{ "what an ACL allows", test_allowed },
	{ "what becomes of a client's ACL", test_fixup },
	{ "malformed ACLs are told from invalid ones", test_fixup_malformed },
	{ "huge ACLs take bounded time and memory", test_fixup_huge },
	{ NULL, NULL },
};
