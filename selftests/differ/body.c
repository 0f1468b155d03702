// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random requests. Names are few, so that operations meet; one in some is wrong in one
 * of the ways there are.
 *
 * Left out, as 3.8 itself goes wrong:
 *   create and create2 with the container flag, createContainer with another: its digest
 *     does not match its own log
 *   check by itself where it succeeds: never answered
 *   createTTL with a negative TTL and no TTL flag: it logs a TTL that it cannot apply
 *   a null path in a multi: it takes a zxid for that and logs nothing
 *   a null in an ACL in a multi, create with a TTL flag in a multi: what the operations
 *     before it would have done stays in its mind for a while
 *   checkWatches of a path that does not begin with a slash: whether it throws depends on
 *     others' watches
 *   a null path for a persistent watch: a client's first one is taken, its next throws
 * Left out for chance: TTLs that could pass. Left to known.py: a client's own address in
 * an ACL, which is another where a server is in a VM, and the sequence shall not be.
 */
#include "differ.h"

#define LEARNED 64

static char *learned[LEARNED];
static u32 learned_len[LEARNED];
static const struct scope *scope;
static bool no_null;	/* paths, and in ACLs */
static bool in_multi;

static bool one_in(u32 n)
{
	return !rnd(n);
}

/* ------------------------------------------------------------ paths */

/* Paths that the servers made up: sequential nodes. */
void learn_path(const u8 *p, u32 len)
{
	u32 i = rnd(LEARNED);

	if (len > 400)
		return;
	free(learned[i]);
	learned[i] = must(malloc(len + 1));
	memcpy(learned[i], p, len);
	learned_len[i] = len;
}

static u32 good_path(char *b)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "\xc3\xa9" };
	u32 i, n = 0, depth = 1 + rnd(2) + rnd(3);

	for (i = 0; i < depth; i++)
		n += sprintf(b + n, "/%s", names[rnd(6) * (one_in(3) ? 1 : rnd(2))]);
	return n;
}

static u32 bad_path(char *b)
{
	static const struct {
		const char *s;
		u32 len;
	} ends[] = {
#define E(s) { s, sizeof(s) - 1 }
		E("/"), E("//a"), E("/a/"), E("/."), E("/.."), E("/./a"), E("/a/../b"),
		E("/a\0b"), E("\0"), E("/\x01"), E("/\x1f" "a"), E("/\x7f"), E("/\xc2\x80"),
		E("/\xc2\x9f"), E("/\xc2\xa0"), E("/\xed\xa0\x80"), E("/\xed\x9f\xbf"),
		E("/\xee\x80\x80"), E("/\xef\xa3\xbf"), E("/\xef\xa4\x80"), E("/\xef\xbf\xaf"),
		E("/\xef\xbf\xb0"), E("/\xef\xbf\xbd"), E("/\xff"), E("/\xc3"),
		E("/\xf0\x9f\x98\x80"),
		E("/\xc0\x80"), E("/..."), E("/ "), E("/\\"), E("/a%2fb"), E("/\xe2\x28\xa1"),
		E("/a/zookeeper"), E("/-1"), E("/0000000001"),
#undef E
	};
	u32 i = rnd(sizeof(ends) / sizeof(*ends)), n = one_in(2) ? good_path(b) : 0;

	memcpy(b + n, ends[i].s, ends[i].len);
	return n + ends[i].len;
}

static u32 odd_path(char *b)
{
	static const char *const odd[] = {
		"", "a", "a/b", "/", "/", "/", "/zookeeper", "/zookeeper/config", "/zookeeper/x",
		"/zookeeper/x/y", "/zookeepe", "/zookeeper2", "x" };
	u32 i = rnd(sizeof(odd) / sizeof(*odd) + 1);

	if (i == sizeof(odd) / sizeof(*odd)) {
		b[0] = '/';
		memset(b + 1, 'n', 3000);
		return 3001;
	}
	strcpy(b, odd[i]);
	return strlen(b);
}

/* A path into @b (4096 bytes); -1: null. */
static s32 some_path(char *b)
{
	u32 pre = strlen(scope->prefix), k = rnd(100), i;

	memcpy(b, scope->prefix, pre);
	if (k < 70)
		return pre + good_path(b + pre);
	if (k < 88 && !scope->conc) {
		i = rnd(LEARNED);
		if (learned[i]) {
			memcpy(b, learned[i], learned_len[i]);
			return learned_len[i];
		}
	}
	if (k < 94)
		return pre + good_path(b + pre);
	if (k < 97)
		return pre + bad_path(b + pre);
	if (scope->conc)
		return pre + good_path(b + pre);
	return k == 99 && one_in(3) && !no_null ? -1 : (s32)odd_path(b);
}

void body_path(const struct scope *sc, struct jw *w)
{
	char b[4096];
	s32 n;

	scope = sc;
	n = some_path(b);
	jw_str(w, b, n);
}

static void put_path(struct jw *w)
{
	body_path(scope, w);
}

/* ------------------------------------------------------------ other fields */

static void put_cstr(struct jw *w, const char *s)
{
	jw_str(w, s, strlen(s));
}

static void put_data(struct jw *w)
{
	static u8 b[20000];
	u32 k = rnd(100), i, n;

	if (k < 5) {
		jw_int(w, -1);
		return;
	}
	n = k < 15 ? 0 : k < 80 ? rnd(20) : k < 99 ? rnd(300) : rnd(sizeof(b));
	for (i = 0; i < n; i++)
		b[i] = rnd64();
	jw_str(w, b, n);
}

static void put_version(struct jw *w)
{
	static const s32 odd[] = { -2, 99, 0x7fffffff, -0x7fffffff - 1, 1000000 };
	u32 k = rnd(20);

	jw_int(w, k < 12 ? -1 : k < 19 ? (s32)rnd(4) : odd[rnd(5)]);
}

static void put_acl_entry(struct jw *w)
{
	static const char *const bad[][2] = {
		{ "world", "anyon" }, { "world", "" }, { "digest", "u" }, { "digest", "a:b:c" },
		{ "digest", ":" }, { "digest", "" }, { "ip", "1.2.3" }, { "ip", "1.2.3.256" },
		{ "ip", "1.2.3.4/33" }, { "ip", "1.2.3.4/" }, { "ip", "::1" }, { "ip", "1.2.3.-4" },
		{ "x509", "CN=a" }, { "sasl", "a" }, { "super", "" }, { "", "" },
		{ "nosuch", "x" } };
	static const char *const ips[] = {
		"0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "1.2.3.4", "01.2.3.4/32", "0.0.0.0/0" };
	static const s32 odd_perms[] = { 0, 63 & ~AUTH_BIT, -1 & ~AUTH_BIT, 0x7fffff00 };
	s32 perms = one_in(3) ? PERM_ALL : one_in(30) ? odd_perms[rnd(4)] : (s32)rnd(32);
	u32 k = rnd(no_null ? 98 : 100);

	if (k < 30) {
		jw_int(w, perms);
		put_cstr(w, "world");
		put_cstr(w, "anyone");
	} else if (k < 55) {
		jw_int(w, perms);
		put_cstr(w, "digest");
		put_cstr(w, user_id(rnd(USERS)));
	} else if (k < 75) {
		jw_int(w, perms | AUTH_BIT);
		put_cstr(w, "auth");
		if (one_in(10))
			put_data(w);
		else
			put_cstr(w, "");
	} else if (k < 88) {
		jw_int(w, perms);
		put_cstr(w, "ip");
		put_cstr(w, ips[rnd(6)]);
	} else if (k < 93) {
		jw_int(w, perms);
		put_cstr(w, "digest");
		put_cstr(w, "nobody:xxxx");
	} else if (k < 98) {
		u32 i = rnd(sizeof(bad) / sizeof(*bad));

		jw_int(w, perms);
		put_cstr(w, bad[i][0]);
		put_cstr(w, bad[i][1]);
	} else {
		jw_int(w, perms);
		jw_int(w, one_in(2) ? -1 : 0);
		jw_int(w, -1);
	}
}

static void put_acl(struct jw *w)
{
	u32 k = rnd(100), i, n;

	if (k < 72) {
		jw_int(w, 1);
		jw_int(w, PERM_ALL);
		put_cstr(w, "world");
		put_cstr(w, "anyone");
		return;
	}
	if (k == 99) {
		jw_int(w, one_in(2) ? -1 : 0);
		return;
	}
	n = 1 + (one_in(2) ? rnd(3) : 0);
	jw_int(w, n);
	for (i = 0; i < n; i++)
		put_acl_entry(w);
}

static void put_paths(struct jw *w, u32 max)
{
	u32 n = rnd(max + 1);

	jw_int(w, n);
	while (n--)
		put_path(w);
}

/* ------------------------------------------------------------ bodies */

static s32 some_flags(s32 op)
{
	static const s32 odd[] = { 7, -1, 100, 8, -2 };
	u32 k = rnd(100);

	if (k < 2)
		return odd[rnd(5)];
	if (op == OP_CREATECONTAINER)
		return CREATE_CONTAINER;
	if (op == OP_CREATETTL)
		return k < 90 ? 5 + (s32)rnd(2) : (s32)rnd(4);
	if (k < 5 && !in_multi)
		return 5 + rnd(2);
	return k < 60 ? 0 : 1 + (s32)rnd(3);
}

static void put_create(struct jw *w, s32 op)
{
	static const s64 odd[] = { 0, 1LL << 40, -1, -0x7fffffffffffffffLL - 1 };
	s32 flags = some_flags(op);
	bool ttl = flags == CREATE_TTL || flags == CREATE_TTL_SEQ;

	put_path(w);
	put_data(w);
	put_acl(w);
	jw_int(w, flags);
	if (op == OP_CREATETTL)
		jw_long(w, one_in(12) ? odd[rnd(ttl ? 4 : 2)] : (1LL << 39) + rnd(1000000));
}

void body_create(struct jw *w, const char *path, s32 flags)
{
	put_cstr(w, path);
	jw_str(w, "x", 1);
	jw_int(w, 1);
	jw_int(w, PERM_ALL);
	put_cstr(w, "world");
	put_cstr(w, "anyone");
	jw_int(w, flags);
}

void body_auth(struct jw *w, const char *scheme, const char *auth)
{
	jw_int(w, 0);
	put_cstr(w, scheme);
	put_cstr(w, auth);
}

static void put_record(struct jw *w, s32 op);

static void multi_head(struct jw *w, s32 op, bool done)
{
	jw_int(w, op);
	jw_bool(w, done);
	jw_int(w, -1);
}

static void put_multi(struct jw *w, bool reads)
{
	static const s32 writes[] = {
		OP_CREATE, OP_CREATE, OP_CREATE, OP_CREATE2, OP_DELETE, OP_DELETE, OP_SETDATA,
		OP_SETDATA, OP_CHECK, OP_CREATECONTAINER, OP_CREATETTL };
	u32 n = one_in(30) ? 0 : 1 + rnd(one_in(5) ? 12 : 4);
	s32 op;

	while (n--) {
		op = reads ? (one_in(2) ? OP_GETDATA : OP_GETCHILDREN) : writes[rnd(11)];
		if (one_in(150))
			op = one_in(2) ? OP_EXISTS : OP_SETACL;
		multi_head(w, op, false);
		put_record(w, op);
	}
	multi_head(w, -1, true);
}

static void put_record(struct jw *w, s32 op)
{
	static const s64 rel[] = { 0, REL_LAST, REL_LAST, REL_LAST };

	switch (op) {
	case OP_CREATE:
	case OP_CREATE2:
	case OP_CREATECONTAINER:
	case OP_CREATETTL:
		put_create(w, op);
		break;
	case OP_DELETE:
	case OP_CHECK:
		put_path(w);
		put_version(w);
		break;
	case OP_SETDATA:
		put_path(w);
		put_data(w);
		put_version(w);
		break;
	case OP_SETACL:
		put_path(w);
		put_acl(w);
		put_version(w);
		break;
	case OP_EXISTS:
	case OP_GETDATA:
	case OP_GETCHILDREN:
	case OP_GETCHILDREN2:
		put_path(w);
		jw_bool(w, one_in(4));
		break;
	case OP_GETACL:
	case OP_SYNC:
	case OP_GETEPHEMERALS:
	case OP_GETALLCHILDRENNUMBER:
		put_path(w);
		break;
	case OP_ADDWATCH:
		no_null = true;
		put_path(w);
		no_null = false;
		jw_int(w, one_in(20) ? 2 - (s32)rnd(5) : (s32)rnd(2));
		break;
	case OP_CHECKWATCHES:
	case OP_REMOVEWATCHES:
		put_path(w);
		jw_int(w, one_in(20) ? (s32)rnd(8) - 2 : 1 + (s32)rnd(3));
		break;
	case OP_SETWATCHES:
	case OP_SETWATCHES2:
		jw_long(w, scope->conc ? 0 : rel[rnd(4)]);
		put_paths(w, 3);
		put_paths(w, 3);
		put_paths(w, 3);
		if (op == OP_SETWATCHES2) {
			no_null = true;
			put_paths(w, 2);
			put_paths(w, 1);
			no_null = false;
		}
		break;
	case OP_MULTI:
	case OP_MULTIREAD:
		in_multi = op == OP_MULTI;
		no_null = in_multi;
		put_multi(w, op == OP_MULTIREAD);
		no_null = false;
		in_multi = false;
		break;
	case OP_RECONFIG:
		put_cstr(w, "server.2=127.0.0.1:1:2;3");
		put_cstr(w, "");
		put_cstr(w, "");
		jw_long(w, -1);
		break;
	case OP_DELETECONTAINER:
		put_path(w);
		break;
	}
}

/* ------------------------------------------------------------ choosing */

static const struct {
	s32 op;
	u32 weight;
} weights[] = {
	{ OP_CREATE, 150 }, { OP_CREATE2, 70 }, { OP_CREATECONTAINER, 25 }, { OP_CREATETTL, 30 },
	{ OP_DELETE, 150 }, { OP_EXISTS, 80 }, { OP_GETDATA, 100 }, { OP_SETDATA, 110 },
	{ OP_GETACL, 40 }, { OP_SETACL, 40 }, { OP_GETCHILDREN, 50 }, { OP_GETCHILDREN2, 40 },
	{ OP_SYNC, 10 }, { OP_CHECK, 4 }, { OP_MULTI, 70 }, { OP_MULTIREAD, 30 },
	{ OP_GETEPHEMERALS, 10 }, { OP_GETALLCHILDRENNUMBER, 10 }, { OP_WHOAMI, 5 },
	{ OP_ADDWATCH, 18 }, { OP_CHECKWATCHES, 10 }, { OP_REMOVEWATCHES, 25 },
	{ OP_SETWATCHES, 6 }, { OP_SETWATCHES2, 6 }, { OP_PING, 10 },
	/* from here on not where clients run at the same time */
	{ OP_AUTH, 8 }, { OP_RECONFIG, 2 }, { OP_DELETECONTAINER, 2 }, { OP_CLOSESESSION, 2 },
	{ 0, 1 },
};

static s32 some_op(bool conc)
{
	u32 i, n = sizeof(weights) / sizeof(*weights), sum = 0, k;

	if (conc)
		n -= 5;
	for (i = 0; i < n; i++)
		sum += weights[i].weight;
	k = rnd(sum);
	for (i = 0; k >= weights[i].weight; i++)
		k -= weights[i].weight;
	return weights[i].op;
}

static void random_auth(struct jw *w, u32 *flags)
{
	static const char *const schemes[] = { "nosuch", "world", "sasl", "", "auth", "super" };
	u32 k = rnd(100);

	*flags |= F_ALONE | F_FLUSH;
	if (k < 75) {
		body_auth(w, "digest", user_auth(rnd(USERS)));
	} else if (k < 82) {
		body_auth(w, "digest", SUPER_AUTH);
	} else if (k < 90) {
		body_auth(w, "ip", "whatever");
	} else if (k < 94) {
		body_auth(w, "digest", "nocolon");
	} else {
		body_auth(w, schemes[rnd(6)], "x");
		*flags |= F_CLOSES;
	}
}

/* Would 3.8's answer to it (or to no answer) be one of those left out? */
static bool left_out(s32 op, const struct jw *w)
{
	struct jstr path;
	s32 i, n;
	struct jr r;

	jr_init(&r, w->buf, w->len);
	path = jr_str(&r);
	if (op == OP_ADDWATCH)
		return path.len < 0 && !r.err;
	if (op == OP_SETWATCHES2)
		return true;
	if (op == OP_CHECKWATCHES)
		return path.len > 0 && path.p[0] != '/';
	if (op == OP_CHECK)
		return !r.err && jr_int(&r) != 0x7ffffff0 && !r.err;
	if (op != OP_CREATE && op != OP_CREATE2 && op != OP_CREATECONTAINER &&
	    op != OP_CREATETTL)
		return false;
	jr_str(&r);
	n = jr_int(&r);
	for (i = 0; i < n && !r.err; i++) {
		jr_int(&r);
		jr_str(&r);
		jr_str(&r);
	}
	i = jr_int(&r);
	if (r.err)
		return false;
	if (op == OP_CREATECONTAINER)
		return i >= 0 && i < CREATE_CONTAINER;
	return op == OP_CREATETTL || i == CREATE_CONTAINER;
}

/* Cut it, or put something else into it. */
static void spoil(s32 op, struct jw *w)
{
	static const s32 odd[] = { -1, -2, 0x7fffffff, 1 << 20, 100000, -0x7fffffff - 1 };
	u32 was = w->len, at;
	u8 old[4];

	if (!w->len)
		return;
	if (one_in(2) || op == OP_MULTI || w->len < 8 || scope->conc) {
		w->len = rnd(w->len);
		if (left_out(op, w))
			w->len = was;
		return;
	}
	at = rnd(w->len - 3);
	memcpy(old, w->buf + at, 4);
	if (one_in(2))
		jute_put32(w->buf + at, odd[rnd(6)]);
	else
		w->buf[at] ^= 1 << rnd(8);
	if (left_out(op, w))
		memcpy(w->buf + at, old, 4);
}

s32 body_random(const struct scope *sc, struct jw *w, u32 *flags)
{
	static const s32 unknown[] = { 10, 23, -1, -2, 108, 1000, 0x7fffffff, 99 };
	s32 op = some_op(sc->conc);

	scope = sc;
	*flags = 0;
	switch (op) {
	case 0:
		/* answered out of turn, then closed: nothing else may be in flight */
		*flags = F_ALONE | F_FLUSH | F_CLOSES;
		put_path(w);
		return unknown[rnd(8)];
	case OP_AUTH:
		random_auth(w, flags);
		return op;
	case OP_CHECK:
		put_path(w);
		jw_int(w, 0x7ffffff0);
		break;
	case OP_CHECKWATCHES:
		do {
			w->len = 0;
			put_record(w, op);
		} while (left_out(op, w));
		break;
	default:
		put_record(w, op);
	}
	if (one_in(70))
		spoil(op, w);
	return op;
}
