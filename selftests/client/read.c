// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Answers to reads, byte by byte, from a real store in memory. The rules are
 * those of FinalRequestProcessor; selftests/protocol checks the same against
 * Apache ZooKeeper.
 */
#include <pthread.h>
#include <zlib.h>

#include "selftests/client/test.h"

#define TIME	1500000000000LL
#define SID	0x1234567890ULL

static u64 last_zxid;

static void apply(struct store *st, struct zk_op *op, const char *path)
{
	struct zk_txn txn = {
		.zxid = ++last_zxid, .time = TIME + last_zxid, .n_ops = 1, .ops = op,
	};
	int err = 0;

	op->path = path;
	op->path_len = strlen(path);
	op->crc = crc32(crc32(0, (const Bytef *)path, op->path_len), op->data,
			op->data_len > 0 ? op->data_len : 0);
	if (st->ops->apply(st, &txn, 1, NULL, &err) != 1) {
		printf("# cannot apply to %s: %d\n", path, err);
		abort();
	}
}

void test_create(struct store *st, const char *path, const void *data, s32 len, u64 owner,
		 const char *acl)
{
	struct jstr a = acl_of(acl ? acl : "31 world anyone");
	struct zk_op op = {
		.type = ZK_OP_CREATE, .pcversion = -1, .data = data, .data_len = len,
		.acl = a.p, .acl_len = a.len, .owner = owner,
	};

	apply(st, &op, path);
}

void test_set(struct store *st, const char *path, const void *data, s32 len, s32 version)
{
	struct zk_op op = {
		.type = ZK_OP_SETDATA, .data = data, .data_len = len, .version = version,
	};

	apply(st, &op, path);
}

void test_setacl(struct store *st, const char *path, const char *acl, s32 version)
{
	struct jstr a = acl_of(acl);
	struct zk_op op = {
		.type = ZK_OP_SETACL, .acl = a.p, .acl_len = a.len, .version = version,
	};

	apply(st, &op, path);
}

void test_delete(struct store *st, const char *path)
{
	struct zk_op op = { .type = ZK_OP_DELETE };

	apply(st, &op, path);
}

/*
 * 1 /a "hello"          2 /a/b empty    3 /a/c null    4 /a/d then 5 deleted
 * 6 /e ephemeral        7 /t TTL        8 /k container
 * 9 /closed digest only 10 /half: world may read, a digest all
 */
struct store *test_store(void)
{
	struct store_params p = { .kind = "memory", .instance = -1 };
	const char *why = "";
	struct store *st;

	last_zxid = 0;
	if (store_open(&p, &st, &why)) {
		printf("# no store: %s\n", why);
		abort();
	}
	test_create(st, "/a", "hello", 5, 0, NULL);
	test_create(st, "/a/b", "", 0, 0, NULL);
	test_create(st, "/a/c", NULL, -1, 0, NULL);
	test_create(st, "/a/d", "x", 1, 0, NULL);
	test_delete(st, "/a/d");
	test_create(st, "/e", "", 0, SID, NULL);
	test_create(st, "/t", "", 0, ZK_OWNER_TTL_MASK | 1000, NULL);
	test_create(st, "/k", "", 0, ZK_OWNER_CONTAINER, NULL);
	test_create(st, "/closed", "secret", 6, 0, "31 digest joe:pw");
	test_create(st, "/half", "open", 4, 0, "1 world anyone, 31 digest joe:pw");
	return st;
}

void test_store_close(struct store *st)
{
	access_forget(st);
	st->ops->close(st);
}

/* ------------------------------------------------------------ building */

static struct store *st;
static struct auth_set *nobody;
static struct jw ask, got, want;
static struct read_watch rw;

static void begin(void)
{
	st = test_store();
	nobody = access_initial("127.0.0.1");
	jw_init(&ask, 0);
	jw_init(&got, 0);
	jw_init(&want, 0);
}

static void end(void)
{
	jw_free(&ask);
	jw_free(&got);
	jw_free(&want);
	auth_set_put(nobody);
	test_store_close(st);
}

static void put_path(struct jw *w, const char *path)
{
	jw_str(w, path, path ? (s32)strlen(path) : -1);
}

/* Runs @op with what stands in @ask; true if the answer is @err, @zxid and what
 * stands in @want. */
static bool answers(s32 op, s32 err, u64 zxid)
{
	bool ok;
	int rc;

	got.len = 0;
	jw_bytes(&got, "before", 6);
	rc = read_answer(st, nobody, SID, 77, op, ask.buf, ask.len, &got, &rw);
	ok = !rc && got.len == 6 + 20 + want.len && jute_get32(got.buf + 6) == 16 + want.len &&
	     jute_get32(got.buf + 10) == 77 && jute_get64(got.buf + 14) == zxid &&
	     (s32)jute_get32(got.buf + 22) == err && rw.zxid == zxid && rw.err == err &&
	     (!want.len || !memcmp(got.buf + 26, want.buf, want.len));
	if (!ok) {
		printf("# op %d: %d, %zu bytes for %zu", op, rc, got.len - 6, 20 + want.len);
		if (!rc)
			printf(", zxid %llu, err %d\n#", jute_get64(got.buf + 14),
			       (s32)jute_get32(got.buf + 22));
		for (size_t i = 26; i < got.len; i++)
			printf(" %02x", got.buf[i]);
		printf("\n");
	}
	ask.len = 0;
	want.len = 0;
	return ok;
}

static void want_stat(u64 czxid, u64 mzxid, u64 pzxid, s32 version, s32 cversion,
		      s32 aversion, u64 owner, s32 len, s32 children)
{
	jw_long(&want, czxid);
	jw_long(&want, mzxid);
	jw_long(&want, TIME + czxid);
	jw_long(&want, TIME + mzxid);
	jw_int(&want, version);
	jw_int(&want, cversion);
	jw_int(&want, aversion);
	jw_long(&want, owner);
	jw_int(&want, len);
	jw_int(&want, children);
	jw_long(&want, pzxid);
}

static void ask_path(const char *path, bool watch)
{
	put_path(&ask, path);
	jw_bool(&ask, watch);
}

static bool test_exists(void)
{
	begin();
	ask_path("/a", false);
	/* cversion: three children made, two there: 2 * 3 - 2 */
	want_stat(1, 1, 5, 0, 4, 0, 0, 5, 2);
	CHECK(answers(OP_EXISTS, ZOK, 10));
	CHECK(!rw.wanted);
	ask_path("/a/b", true);
	want_stat(2, 2, 2, 0, 0, 0, 0, 0, 0);
	CHECK(answers(OP_EXISTS, ZOK, 10));
	CHECK(rw.wanted && rw.path_len == 4);
	ask_path("/e", false);
	want_stat(6, 6, 6, 0, 0, 0, SID, 0, 0);
	CHECK(answers(OP_EXISTS, ZOK, 10));
	ask_path("/t", false);
	want_stat(7, 7, 7, 0, 0, 0, 0, 0, 0);
	CHECK(answers(OP_EXISTS, ZOK, 10));
	ask_path("/k", false);
	want_stat(8, 8, 8, 0, 0, 0, 0, 0, 0);
	CHECK(answers(OP_EXISTS, ZOK, 10));
	ask_path("/a/d", true);
	CHECK(answers(OP_EXISTS, ZNONODE, 10) && rw.wanted);
	ask_path("/closed", false);	/* 3.8.0 asks for no permission here */
	want_stat(9, 9, 9, 0, 0, 0, 0, 6, 0);
	CHECK(answers(OP_EXISTS, ZOK, 10));
	end();
	return true;
}

static bool test_getdata(void)
{
	begin();
	ask_path("/a", false);
	jw_str(&want, "hello", 5);
	want_stat(1, 1, 5, 0, 4, 0, 0, 5, 2);
	CHECK(answers(OP_GETDATA, ZOK, 10));
	ask_path("/a/c", false);
	jw_int(&want, -1);
	want_stat(3, 3, 3, 0, 0, 0, 0, 0, 0);
	CHECK(answers(OP_GETDATA, ZOK, 10));
	test_set(st, "/a/c", "", 0, 1);
	ask_path("/a/c", true);
	jw_int(&want, 0);
	want_stat(3, 11, 3, 1, 0, 0, 0, 0, 0);
	CHECK(answers(OP_GETDATA, ZOK, 11) && rw.wanted);
	ask_path("/closed", false);
	CHECK(answers(OP_GETDATA, ZNOAUTH, 11));
	ask_path("/nothing", true);
	CHECK(answers(OP_GETDATA, ZNONODE, 11) && rw.wanted && rw.err == ZNONODE);
	end();
	return true;
}

/* Sizes around every buffer's end, and one larger than any. */
static bool test_sizes(void)
{
	static const s32 sizes[] = { 1, 900, 1023, 1024, 1025, 4096, 70000, 1000000 };
	static u8 data[1000000];

	begin();
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = i * 7 + i / 251;
	for (int i = 0; i < 8; i++) {
		jw_free(&got);
		jw_init(&got, 0);
		test_set(st, "/a", data, sizes[i], i + 1);
		ask_path("/a", false);
		jw_str(&want, data, sizes[i]);
		want_stat(1, 11 + i, 5, i + 1, 4, 0, 0, sizes[i], 2);
		CHECK(answers(OP_GETDATA, ZOK, 11 + i));
	}
	end();
	return true;
}

/* What a writer's limit on the output means: an error, nothing appended. */
static bool test_limit(void)
{
	static u8 data[5000];

	begin();
	test_set(st, "/a", data, sizeof(data), 1);
	jw_free(&got);
	jw_init(&got, 3000);
	ask_path("/a", false);
	CHECK(read_answer(st, nobody, SID, 1, OP_GETDATA, ask.buf, ask.len, &got, NULL) ==
	      -EMSGSIZE);
	CHECK(got.len == 0);
	end();
	return true;
}

static bool test_children(void)
{
	begin();
	ask_path("/a", false);
	jw_int(&want, 2);
	put_path(&want, "b");
	put_path(&want, "c");
	CHECK(answers(OP_GETCHILDREN, ZOK, 10));
	ask_path("/a", true);
	jw_int(&want, 2);
	put_path(&want, "b");
	put_path(&want, "c");
	want_stat(1, 1, 5, 0, 4, 0, 0, 5, 2);
	CHECK(answers(OP_GETCHILDREN2, ZOK, 10) && rw.wanted);
	ask_path("/a/b", false);
	jw_int(&want, 0);
	CHECK(answers(OP_GETCHILDREN, ZOK, 10));
	ask_path("/closed", false);
	CHECK(answers(OP_GETCHILDREN2, ZNOAUTH, 10));
	ask_path("/none", false);
	CHECK(answers(OP_GETCHILDREN, ZNONODE, 10));
	end();
	return true;
}

static bool test_paths(void)
{
	static const char *const none[] = { "a", "/a/", "//a", "/a//b", "a/b", "/a/b/" };

	begin();
	for (int i = 0; i < 6; i++) {
		ask_path(none[i], false);
		CHECK(answers(OP_GETDATA, ZNONODE, 10));
		ask_path(none[i], true);
		CHECK(answers(OP_EXISTS, ZNONODE, 10));
	}
	jw_str(&ask, "/a\0b", 4);
	jw_bool(&ask, false);
	CHECK(answers(OP_EXISTS, ZBADARGUMENTS, 10));
	jw_str(&ask, "/a\0b", 4);
	jw_bool(&ask, false);
	CHECK(answers(OP_GETDATA, ZNONODE, 10));
	ask_path(NULL, false);
	CHECK(answers(OP_GETDATA, ZMARSHALLINGERROR, 10));
	/* "" is the root */
	put_path(&ask, "");
	jw_bool(&ask, false);
	jw_int(&want, 6);
	put_path(&want, "a");
	put_path(&want, "e");
	put_path(&want, "t");
	put_path(&want, "k");
	put_path(&want, "closed");
	put_path(&want, "half");
	CHECK(answers(OP_GETCHILDREN, ZOK, 10));
	end();
	return true;
}

/* Each request cut at every byte is a marshalling error, with no body. */
static bool test_cut(void)
{
	static const s32 ops[] = {
		OP_EXISTS, OP_GETDATA, OP_GETCHILDREN, OP_GETCHILDREN2, OP_GETACL,
		OP_GETALLCHILDRENNUMBER, OP_GETEPHEMERALS, OP_MULTIREAD,
	};

	begin();
	for (int i = 0; i < 8; i++) {
		struct jw whole;

		jw_init(&whole, 0);
		if (ops[i] == OP_MULTIREAD) {
			jw_int(&whole, OP_GETDATA);
			jw_bool(&whole, false);
			jw_int(&whole, -1);
		}
		put_path(&whole, "/a");
		if (i < 4 || ops[i] == OP_MULTIREAD)
			jw_bool(&whole, false);
		if (ops[i] == OP_MULTIREAD) {
			jw_int(&whole, -1);
			jw_bool(&whole, true);
			jw_int(&whole, -1);
		}
		for (size_t n = 0; n < whole.len; n++) {
			jw_bytes(&ask, whole.buf, n);
			CHECK(answers(ops[i], ZMARSHALLINGERROR, 10));
			CHECK(!read_wants_watch(ops[i], whole.buf, n));
		}
		jw_free(&whole);
	}
	jw_int(&ask, -2);
	jw_bool(&ask, true);
	CHECK(answers(OP_GETDATA, ZMARSHALLINGERROR, 10) && !rw.wanted);
	end();
	return true;
}

static void want_acl(const char *acl)
{
	struct jstr a = acl_of(acl);

	jw_bytes(&want, a.p, a.len);
}

static bool test_getacl(void)
{
	struct auth_set *old;
	s32 err;

	begin();
	put_path(&ask, "/a");
	want_acl("31 world anyone");
	want_stat(1, 1, 5, 0, 4, 0, 0, 5, 2);
	CHECK(answers(OP_GETACL, ZOK, 10));
	put_path(&ask, "/half");
	want_acl("1 world anyone, 31 digest joe:x");
	want_stat(10, 10, 10, 0, 0, 0, 0, 4, 0);
	CHECK(answers(OP_GETACL, ZOK, 10));
	put_path(&ask, "/closed");
	CHECK(answers(OP_GETACL, ZNOAUTH, 10));
	old = nobody;
	nobody = access_add_auth(old, "digest", (u8 *)"super:test", 10,
				 "super:D/InIHSb7yEEbrWz8b9l71RjZJU=", &err);
	auth_set_put(old);
	put_path(&ask, "/half");
	want_acl("1 world anyone, 31 digest joe:pw");
	want_stat(10, 10, 10, 0, 0, 0, 0, 4, 0);
	CHECK(answers(OP_GETACL, ZOK, 10));
	end();
	return true;
}

/* A change of the ACL is seen at once, cached or not. */
static bool test_acl_changes(void)
{
	begin();
	for (int i = 0; i < 600; i++) {
		bool shut = i % 3 == 1;

		test_setacl(st, "/a", shut ? "31 digest joe:pw" : i & 1 ?
			    "31 world anyone" : "1 ip 127.0.0.1", i + 1);
		got.len = 0;
		ask.len = 0;
		ask_path("/a", false);
		CHECK(!read_answer(st, nobody, SID, 1, OP_GETDATA, ask.buf, ask.len, &got, &rw));
		CHECK(rw.err == (shut ? ZNOAUTH : ZOK));
	}
	end();
	return true;
}

static bool test_ephemerals(void)
{
	begin();
	test_create(st, "/a/e1", "", 0, SID, NULL);
	test_create(st, "/a/e2", "", 0, SID + 1, NULL);
	put_path(&ask, "/a");
	jw_int(&want, 1);
	put_path(&want, "/a/e1");
	CHECK(answers(OP_GETEPHEMERALS, ZOK, 12));
	put_path(&ask, " /nothing");
	jw_int(&want, 0);
	CHECK(answers(OP_GETEPHEMERALS, ZOK, 12));
	put_path(&ask, NULL);
	CHECK(!read_answer(st, nobody, SID, 1, OP_GETEPHEMERALS, ask.buf, ask.len, &got, &rw));
	CHECK(jute_get32(got.buf + got.len - 4 - 2 - 4 - 5 - 4) == 2);
	ask.len = 0;
	end();
	return true;
}

static bool test_count(void)
{
	begin();
	put_path(&ask, "/a");
	jw_int(&want, 2);
	CHECK(answers(OP_GETALLCHILDRENNUMBER, ZOK, 10));
	put_path(&ask, "/a/b");
	jw_int(&want, 0);
	CHECK(answers(OP_GETALLCHILDRENNUMBER, ZOK, 10));
	put_path(&ask, "/");
	jw_int(&want, 8);
	CHECK(answers(OP_GETALLCHILDRENNUMBER, ZOK, 10));
	put_path(&ask, "");	/* so Apache ZooKeeper */
	jw_int(&want, 9);
	CHECK(answers(OP_GETALLCHILDRENNUMBER, ZOK, 10));
	put_path(&ask, "/closed");
	CHECK(answers(OP_GETALLCHILDRENNUMBER, ZNOAUTH, 10));
	put_path(&ask, "/none");
	CHECK(answers(OP_GETALLCHILDRENNUMBER, ZNONODE, 10));
	end();
	return true;
}

static bool test_whoami(void)
{
	struct auth_set *old;
	s32 err;

	begin();
	jw_int(&want, 1);
	put_path(&want, "ip");
	put_path(&want, "127.0.0.1");
	CHECK(answers(OP_WHOAMI, ZOK, 10));
	old = nobody;
	nobody = access_add_auth(old, "digest", (u8 *)"joe:secret", 10, NULL, &err);
	auth_set_put(old);
	CHECK(!read_answer(st, nobody, SID, 1, OP_WHOAMI, NULL, 0, &got, &rw));
	CHECK(memmem(got.buf, got.len, "\0\0\0\6digest\0\0\0\3joe", 17));
	end();
	return true;
}

/* ------------------------------------------------------------ multiRead */

static void ask_part(s32 type, const char *path)
{
	jw_int(&ask, type);
	jw_bool(&ask, false);
	jw_int(&ask, -1);
	ask_path(path, true);
}

static void multi_head(struct jw *w, s32 type, bool done, s32 err)
{
	jw_int(w, type);
	jw_bool(w, done);
	jw_int(w, err);
}

static bool test_multiread(void)
{
	begin();
	ask_part(OP_GETDATA, "/a");
	ask_part(OP_GETCHILDREN, "/a");
	ask_part(OP_GETDATA, "/none");
	ask_part(OP_GETCHILDREN, "/closed");
	multi_head(&ask, -1, true, -1);
	multi_head(&want, OP_GETDATA, false, 0);
	jw_str(&want, "hello", 5);
	want_stat(1, 1, 5, 0, 4, 0, 0, 5, 2);
	multi_head(&want, OP_GETCHILDREN, false, 0);
	jw_int(&want, 2);
	put_path(&want, "b");
	put_path(&want, "c");
	multi_head(&want, -1, false, ZNONODE);
	jw_int(&want, ZNONODE);
	multi_head(&want, -1, false, ZNOAUTH);
	jw_int(&want, ZNOAUTH);
	multi_head(&want, -1, true, -1);
	CHECK(answers(OP_MULTIREAD, ZOK, 10) && !rw.wanted);
	multi_head(&ask, -1, true, -1);
	multi_head(&want, -1, true, -1);
	CHECK(answers(OP_MULTIREAD, ZOK, 10));
	/* a read among writes, and an operation that is no part of any multi */
	ask_part(OP_GETDATA, "/a");
	multi_head(&ask, OP_DELETE, false, -1);
	put_path(&ask, "/a");
	jw_int(&ask, -1);
	multi_head(&ask, -1, true, -1);
	CHECK(answers(OP_MULTIREAD, ZMARSHALLINGERROR, 10));
	multi_head(&ask, OP_PING, false, -1);
	multi_head(&ask, -1, true, -1);
	CHECK(answers(OP_MULTIREAD, ZMARSHALLINGERROR, 10));
	end();
	return true;
}

/* A multiRead is one moment: the writer keeps two nodes equal by setting one,
 * then the other; no answer may show the second ahead of the first or behind by
 * more than the one step, and all zxids agree. */
static int writing;

static void *write_pairs(void *arg)
{
	u32 n = 0;

	(void)arg;
	store_thread_init();
	while (__atomic_load_n(&writing, __ATOMIC_RELAXED)) {
		n++;
		test_set(st, "/a/b", &n, 4, n);
		test_set(st, "/a/c", &n, 4, n);
	}
	store_thread_exit();
	return NULL;
}

static bool one_moment(void)
{
	u64 zxid = jute_get64(got.buf + 8), m1, m2;
	const u8 *first = got.buf + 20 + 9, *second = first + 4 + 4 + ZK_STAT_LEN + 9;
	u32 a, b;

	memcpy(&a, first + 4, 4);
	memcpy(&b, second + 4, 4);
	m1 = jute_get64(first + 8 + 8);
	m2 = jute_get64(second + 8 + 8);
	CHECK(a == b || a == b + 1);
	CHECK(m1 <= zxid && m2 <= zxid && (m1 > m2) == (a != b));
	CHECK(zxid == (m1 > m2 ? m1 : m2));
	return true;
}

static bool test_multiread_moment(void)
{
	u32 zero = 0, answered = 0, passed_on = 0;
	pthread_t writer;
	bool ok = true;

	begin();
	test_set(st, "/a/c", &zero, 4, 1);
	test_set(st, "/a/b", &zero, 4, 1);
	test_set(st, "/a/c", &zero, 4, 1);
	ask_part(OP_GETDATA, "/a/b");
	ask_part(OP_GETDATA, "/a/c");
	multi_head(&ask, -1, true, -1);
	writing = 1;
	if (pthread_create(&writer, NULL, write_pairs, NULL))
		abort();
	for (int i = 0; i < 20000 && ok; i++) {
		int err;

		got.len = 0;
		err = read_answer(st, nobody, SID, 1, OP_MULTIREAD, ask.buf, ask.len, &got, &rw);
		if (err == -EAGAIN)
			passed_on++;
		else if (err)
			ok = false;
		else
			ok = one_moment(), answered++;
	}
	__atomic_store_n(&writing, 0, __ATOMIC_RELAXED);
	pthread_join(writer, NULL);
	CHECK(ok);
	CHECK(answered > passed_on);
	end();
	return true;
}

const struct test read_tests[] = {
	{ "exists", test_exists },
	{ "getData", test_getdata },
	{ "data of all sizes", test_sizes },
	{ "an answer beyond the limit is an error", test_limit },
	{ "getChildren, getChildren2", test_children },
	{ "odd paths", test_paths },
	{ "cut requests", test_cut },
	{ "getACL hides digests", test_getacl },
	{ "an ACL's change is seen at once", test_acl_changes },
	{ "getEphemerals", test_ephemerals },
	{ "getAllChildrenNumber", test_count },
	{ "whoAmI", test_whoami },
	{ "multiRead", test_multiread },
	{ "multiRead is one moment", test_multiread_moment },
	{ NULL, NULL },
};
