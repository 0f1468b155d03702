// SPDX-License-Identifier: GPL-2.0-or-later
/* Decoding of each type of transaction, whole, short and wrong. */
#include "selftests/disk/common.h"

#include <zlib.h>

#define S	0x123456789abcdefULL	/* the session */

static struct txn *of(s32 type, struct jw *rec, bool digest)
{
	struct jw w;

	jw_init(&w, 0);
	b_header(&w, S, 7, 0x500000003, 1234567890123, type);
	jw_bytes(&w, rec->buf, rec->len);
	if (digest)
		b_digest(&w, 0xfeedfacecafebeef);
	rec->len = 0;
	return b_done(&w);
}

static bool path_is(const struct zk_op *op, const char *path)
{
	return op->path_len == strlen(path) && !memcmp(op->path, path, op->path_len);
}

static u32 crc_of(const char *path, const char *data)
{
	u32 crc = crc32(0, (const u8 *)path, strlen(path));

	return crc32(crc, (const u8 *)data, strlen(data));
}

static void test_creates(struct jw *w)
{
	struct txn *t;

	b_create(w, "/a/b", "data", 4, true, 5);
	t = of(OP_CREATE, w, true);
	ok(t->session == S && t->cxid == 7 && t->zxid == 0x500000003 &&
	   t->time == 1234567890123 && t->type == OP_CREATE, "the header");
	ok(t->has_digest && t->digest_version == 2 && t->digest == 0xfeedfacecafebeef,
	   "the digest");
	ok(t->n_ops == 1 && t->ops[0].type == ZK_OP_CREATE && path_is(t->ops, "/a/b") &&
	   t->ops[0].data_len == 4 && !memcmp(t->ops[0].data, "data", 4) &&
	   t->ops[0].owner == S && t->ops[0].pcversion == 5 && t->ops[0].acl_len == 27,
	   "create");
	ok(t->ops[0].crc == crc_of("/a/b", "data"), "the crc of path and data");
	txn_put(t);

	b_path(w, "/old");
	jw_str(w, NULL, -1);
	jw_int(w, -1);
	jw_bool(w, false);
	t = of(OP_CREATE, w, false);
	ok(t->n_ops == 1 && t->ops[0].pcversion == -1 && t->ops[0].data_len == -1 &&
	   t->ops[0].owner == 0 && !t->has_digest, "CreateTxnV0, null data, no digest");
	ok(t->ops[0].acl_len == 27 && t->ops[0].acl[7] == 31, "a null ACL is the open one");
	txn_put(t);

	b_path(w, "/c");
	jw_str(w, "", 0);
	b_acl(w, 1, "ip", "127.0.0.1");
	jw_int(w, 3);
	t = of(OP_CREATECONTAINER, w, true);
	ok(t->n_ops == 1 && t->ops[0].owner == ZK_OWNER_CONTAINER && t->ops[0].pcversion == 3 &&
	   t->ops[0].data_len == 0 && t->has_digest, "createContainer");
	txn_put(t);

	b_path(w, "/t");
	jw_str(w, "x", 1);
	b_acl(w, 1, "ip", "127.0.0.1");
	jw_int(w, 3);
	jw_long(w, 86400000);
	t = of(OP_CREATETTL, w, true);
	ok(t->ops[0].owner == (0xff00000000000000ULL | 86400000), "createTTL");
	txn_put(t);
}

static void test_others(struct jw *w)
{
	struct txn *t;

	b_path(w, "/a");
	t = of(OP_DELETE, w, true);
	ok(t->n_ops == 1 && t->ops[0].type == ZK_OP_DELETE && path_is(t->ops, "/a"), "delete");
	txn_put(t);
	b_path(w, "/a");
	t = of(OP_DELETECONTAINER, w, false);
	ok(t->n_ops == 1 && t->ops[0].type == ZK_OP_DELETE, "deleteContainer");
	txn_put(t);

	b_path(w, "/");
	jw_str(w, "root", 4);
	jw_int(w, 9);
	t = of(OP_SETDATA, w, true);
	ok(t->ops[0].type == ZK_OP_SETDATA && t->ops[0].version == 9 &&
	   t->ops[0].crc == crc_of("", "root"), "setData; the root's path counts as empty");
	txn_put(t);
	b_path(w, "/zookeeper/config");
	jw_str(w, "server.1=", 9);
	jw_int(w, -1);
	t = of(OP_RECONFIG, w, true);
	ok(t->n_ops == 1 && t->ops[0].type == ZK_OP_SETDATA && t->ops[0].version == -1,
	   "reconfig");
	txn_put(t);

	b_path(w, "/a");
	b_acl(w, 4, "digest", "u:h");
	jw_int(w, 2);
	t = of(OP_SETACL, w, true);
	ok(t->ops[0].type == ZK_OP_SETACL && t->ops[0].version == 2 &&
	   t->ops[0].acl_len == 4 + 4 + 4 + 6 + 4 + 3, "setACL");
	txn_put(t);

	b_path(w, "/a");
	jw_int(w, 2);
	t = of(OP_CHECK, w, true);
	ok(t->n_ops == 0 && t->has_digest, "check does nothing");
	txn_put(t);
	jw_int(w, ZBADVERSION);
	t = of(OP_ERROR, w, true);
	ok(t->n_ops == 0 && t->err == ZBADVERSION && t->has_digest, "error");
	txn_put(t);
}

static void test_sessions(struct jw *w)
{
	struct txn *t;

	jw_int(w, 30000);
	t = of(OP_CREATESESSION, w, true);
	ok(t->n_ops == 0 && t->timeout == 30000 && t->has_digest, "createSession");
	txn_put(t);
	jw_int(w, 2);
	b_path(w, "/e1");
	b_path(w, "/e2");
	t = of(OP_CLOSESESSION, w, true);
	ok(t->n_ops == 1 && t->ops[0].type == ZK_OP_CLOSE && t->ops[0].owner == S &&
	   t->has_digest && t->digest == 0xfeedfacecafebeef, "closeSession with its paths");
	txn_put(t);
	t = of(OP_CLOSESESSION, w, false);
	ok(t->n_ops == 1 && !t->has_digest, "closeSession of before 3.6");
	txn_put(t);
	t = of(OP_CLOSESESSION, w, true);
	ok(t->n_ops == 1 && t->has_digest && t->digest == 0xfeedfacecafebeef,
	   "closeSession without paths, with a digest");
	txn_put(t);
	jw_int(w, 1);
	b_path(w, "/abc");
	t = of(OP_CLOSESESSION, w, false);
	ok(t->n_ops == 1 && !t->has_digest, "closeSession as long as a digest");
	txn_put(t);
}

static void sub(struct jw *w, s32 type, void (*fill)(struct jw *w))
{
	struct jw s;

	jw_init(&s, 0);
	fill(&s);
	jw_int(w, type);
	jw_str(w, s.buf, s.len);
	jw_free(&s);
}

static void f_create(struct jw *w) { b_create(w, "/m", "1", 1, false, 1); }
static void f_delete(struct jw *w) { b_path(w, "/d"); }
static void f_check(struct jw *w) { b_path(w, "/k"); jw_int(w, 1); }
static void f_error(struct jw *w) { jw_int(w, ZNODEEXISTS); }

static void test_multi(struct jw *w)
{
	struct txn *t;

	jw_int(w, 3);
	sub(w, OP_CREATE, f_create);
	sub(w, OP_CHECK, f_check);
	sub(w, OP_DELETE, f_delete);
	t = of(OP_MULTI, w, true);
	ok(t->n_ops == 2 && t->ops[0].type == ZK_OP_CREATE && t->ops[1].type == ZK_OP_DELETE &&
	   path_is(&t->ops[1], "/d") && t->has_digest, "multi");
	txn_put(t);
	jw_int(w, 3);
	sub(w, OP_CREATE, f_create);
	sub(w, OP_ERROR, f_error);
	sub(w, OP_DELETE, f_delete);
	t = of(OP_MULTI, w, true);
	ok(t->n_ops == 0 && t->has_digest, "a multi that failed does nothing");
	txn_put(t);
	jw_int(w, 0);
	t = of(OP_MULTI, w, true);
	ok(t->n_ops == 0 && t->has_digest, "an empty multi");
	txn_put(t);
}

static int decode(const u8 *b, size_t n)
{
	struct txn *t = NULL;
	const char *why = NULL;
	/* of its own, so that a sanitizer sees a step too far */
	u8 *copy = malloc(n ? n : 1);
	int rc;

	memcpy(copy, b, n);
	rc = txn_decode(copy, n, &t, &why);
	free(copy);
	if (rc && !why)
		rc = 1;
	if (!rc)
		txn_put(t);
	return rc;
}

/* Every prefix, and every byte changed: an answer, never a step outside. */
static void test_malformed(struct world *w)
{
	int i, bad = 0, accepted = 0;
	size_t k;

	for (i = 0; i < 300; i++) {
		struct txn *t = world_next(w);
		size_t core = t->len - (t->has_digest ? 12 : 0);

		for (k = 0; k < t->len; k++) {
			int rc = decode(t->bytes, k);
			bool may = t->type == OP_CLOSESESSION || t->type == OP_CREATE ||
				   k >= core;

			bad += rc != 0 && rc != -EBADMSG;
			accepted += rc == 0 && !may;
		}
		for (k = 0; k < t->len; k++) {
			int rc;

			t->bytes[k] ^= 0xff;
			rc = decode(t->bytes, t->len);
			bad += rc != 0 && rc != -EBADMSG;
			t->bytes[k] ^= 0xff;
		}
		txn_put(t);
	}
	is(bad, 0, "short and spoilt transactions: taken, or EBADMSG with a reason");
	is(accepted, 0, "no transaction that lacks its end is taken");
}

static void test_counts(struct jw *w)
{
	static const s32 types[] = { OP_MULTI, OP_CLOSESESSION };
	struct jw all;
	size_t i;

	for (i = 0; i < 2; i++) {
		jw_init(&all, 0);
		b_header(&all, S, 1, 1, 1, types[i]);
		jw_int(&all, 0x7fffffff);
		jw_int(&all, 0x7fffffff);
		is(decode(all.buf, all.len), -EBADMSG, "a count that the bytes cannot hold");
		jw_free(&all);
	}
	jw_init(&all, 0);
	b_header(&all, S, 1, 1, 1, OP_CREATE);
	b_path(&all, "/x");
	jw_str(&all, "", 0);
	jw_int(&all, 0x7fffffff);
	jw_bool(&all, false);
	jw_int(&all, 1);
	is(decode(all.buf, all.len), -EBADMSG, "an ACL longer than its bytes");
	jw_free(&all);
	jw_init(&all, 0);
	b_header(&all, S, 1, 1, 1, OP_CREATETTL);
	b_path(&all, "/x");
	jw_str(&all, "", 0);
	jw_int(&all, 0);
	jw_int(&all, 1);
	jw_long(&all, 1LL << 40);
	is(decode(all.buf, all.len), -EBADMSG, "a ttl out of range");
	jw_free(&all);
	(void)w;
}

void test_txn(void)
{
	struct world world;
	struct jw w;

	jw_init(&w, 0);
	test_creates(&w);
	test_others(&w);
	test_sessions(&w);
	test_multi(&w);
	test_counts(&w);
	jw_free(&w);
	world_init(&world, 1);
	test_malformed(&world);
	world_free(&world);
}
