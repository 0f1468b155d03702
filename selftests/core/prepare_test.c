// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Preparation against the memory store: whatever clients write, and however far
 * the applying is behind, the tree comes out as it was foretold.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/server/access.h"
#include "daemon/server/prepare.h"
#include "selftests/core/core.h"

#define LAG_MAX		40
#define SESSIONS	5

/* Another server: gets the same transactions as bytes, and is behind in its own way. */
struct other {
	struct store *st;
	struct changes ch;
	struct prep prep;
	struct txn *waiting[LAG_MAX];
	u32 n;
};

static const u8 open_acl[] = {
	0, 0, 0, 1, 0, 0, 0, 31,
	0, 0, 0, 5, 'w', 'o', 'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e',
};

/* world may all but delete; two entries, so that it is none of the usual ones */
static const u8 other_acl[] = {
	0, 0, 0, 2, 0, 0, 0, 23,
	0, 0, 0, 5, 'w', 'o', 'r', 'l', 'd', 0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e',
	0, 0, 0, 31, 0, 0, 0, 6, 'd', 'i', 'g', 'e', 's', 't', 0, 0, 0, 3, 'a', ':', 'b',
};

static struct config cfg = {
	.digest_enabled = true,
	.extended_types = true,
	.max_buffer = 0xfffff,
};
static struct store *st;
static struct changes ch;
static struct prep prep;
static struct txn *waiting[LAG_MAX];
static u32 n_waiting;
static u64 zxid;
static s64 now;
static u32 n_ok, n_refused;
static bool all_open;	/* every node is anybody's */
static struct other other;

static void begin(void)
{
	struct store_params p = { .kind = "memory" };
	const char *why = "";
	struct store_info info;

	store_thread_init();
	check(!store_open(&p, &st, &why));
	check(!st->ops->info(st, &info));
	check(!changes_init(&ch, st, 0, info.digest, true));
	check(!prep_init(&prep, &cfg, &ch));
	memset(&other, 0, sizeof(other));
	check(!store_open(&p, &other.st, &why));
	check(!changes_init(&other.ch, other.st, 0, info.digest, true));
	check(!prep_init(&other.prep, &cfg, &other.ch));
	zxid = 0;
	now = 1000;
	all_open = false;
}

static void other_apply(void)
{
	for (u32 i = 0; i < other.n; i++) {
		struct txn *t = other.waiting[i];
		struct zk_txn zk;
		u64 digest;
		int err = 0;

		txn_to_zk(t, &zk);
		check_eq(other.st->ops->apply(other.st, &zk, 1, &digest, &err), 1);
		if (t->has_digest)
			check_eq(digest, t->digest);
		changes_applied(&other.ch, t->zxid);
		txn_put(t);
	}
	other.n = 0;
}

/* The other server comes to the same answer and the same tree from the bytes alone. */
static void other_take(const struct txn *t, const struct jw *answer)
{
	struct jw *out = &other.prep.out;
	struct txn *d;

	check(!txn_decode(t->bytes, t->len, &d, NULL));
	check_eq(prep_replay(&other.prep, d), 0);
	changes_keep(&other.ch);
	check_eq(out->len, answer->len);
	check(out->len == answer->len && (!out->len || !memcmp(out->buf, answer->buf, out->len)));
	check_eq(other.ch.digest, ch.digest);
	check_eq(!!d->unlisted, !!t->unlisted);
	other.waiting[other.n++] = d;
	if (other.n == LAG_MAX || !rnd(15))
		other_apply();
}

static void compare_record(struct change *rec)
{
	struct store_node node;

	check(!st->ops->get(st, rec->path, rec->len, &node, NULL, 0));
	check(!memcmp(&node.stat, &rec->stat, sizeof(node.stat)));
	check_eq(node.crc, rec->crc);
	check_eq(node.data_len, rec->data_len);
}

/* Applies the oldest @n; the tree must be what the transactions say. */
static void apply(u32 n)
{
	struct zk_txn batch[LAG_MAX];
	u64 digests[LAG_MAX];
	struct change *rec;
	int err = 0;

	for (u32 i = 0; i < n; i++)
		txn_to_zk(waiting[i], &batch[i]);
	check_eq(st->ops->apply(st, batch, n, digests, &err), n);
	for (u32 i = 0; i < n; i++)
		if (waiting[i]->has_digest)
			check_eq(digests[i], waiting[i]->digest);
	if (n)
		changes_applied(&ch, waiting[n - 1]->zxid);
	for (u32 i = 0; i < n; i++)
		txn_put(waiting[i]);
	n_waiting -= n;
	memmove(waiting, waiting + n, n_waiting * sizeof(waiting[0]));
	if (n_waiting)
		return;
	list_for_each_entry(rec, &ch.cached, link)
		compare_record(rec);
}

static void end(void)
{
	apply(n_waiting);
	other_apply();
	prep_free(&other.prep);
	changes_free(&other.ch);
	access_forget(other.st);
	other.st->ops->close(other.st);
	prep_free(&prep);
	changes_free(&ch);
	access_forget(st);
	st->ops->close(st);
	store_thread_exit();
}

/* What we made must be what recovery will read. */
static void compare_decoded(const struct txn *t)
{
	const char *why = "";
	struct txn *d;

	check(!txn_decode(t->bytes, t->len, &d, &why));
	if (*why) {
		printf("# %s\n", why);
		return;
	}
	check_eq(d->zxid, t->zxid);
	check_eq(d->type, t->type);
	check_eq(d->session, t->session);
	check_eq(d->cxid, t->cxid);
	check_eq(d->time, t->time);
	check_eq(d->err, t->err);
	check_eq(d->timeout, t->timeout);
	check_eq(d->has_digest, t->has_digest);
	check_eq(d->digest, t->digest);
	check_eq(d->n_ops, t->n_ops);
	for (u32 i = 0; i < d->n_ops && i < t->n_ops; i++) {
		const struct zk_op *a = &d->ops[i], *b = &t->ops[i];

		check_eq(a->type, b->type);
		check_eq(a->path_len, b->path_len);
		check(!a->path_len || !memcmp(a->path, b->path, a->path_len));
		check_eq(a->data_len, b->data_len);
		check(a->data_len <= 0 || !memcmp(a->data, b->data, a->data_len));
		check_eq(a->crc, b->crc);
		check_eq(a->version, b->version);
		check_eq(a->pcversion, b->pcversion);
		check_eq(a->owner, b->owner);
		check_eq(a->acl_len, b->acl_len);
		check(!a->acl_len || !memcmp(a->acl, b->acl, a->acl_len));
	}
	txn_put(d);
}

static struct prep_ask ask(u64 session)
{
	now += rnd(3);
	return (struct prep_ask){ .zxid = zxid + 1, .time = now, .session = session, .cxid = 5 };
}

/* Takes the transaction over, as if it were proposed. */
static void keep(struct txn *t)
{
	compare_decoded(t);
	other_take(t, &prep.out);
	changes_keep(&ch);
	zxid = t->zxid;
	waiting[n_waiting++] = t;
	if (n_waiting == LAG_MAX || !rnd(20))
		apply(rnd(n_waiting) + 1);
}

static s32 write_op(u64 session, s32 op, struct jw *body)
{
	struct prep_ask a = ask(session);
	struct txn *t = NULL;
	s32 err = 0;

	check(!body->err);
	check(!prep_request(&prep, &a, op, body->buf, body->len, &t, &err));
	if (t)
		keep(t);
	jw_free(body);
	if (err)
		n_refused++;
	else
		n_ok++;
	return err;
}

/* ------------------------------------------------------------ requests */

static void put_create(struct jw *w, const char *path, const char *data, s32 flags, s64 ttl)
{
	jw_str(w, path, strlen(path));
	jw_str(w, data, data ? (s32)strlen(data) : -1);
	if (all_open || rnd(5))
		jw_bytes(w, open_acl, sizeof(open_acl));
	else
		jw_bytes(w, other_acl, sizeof(other_acl));
	jw_int(w, flags);
	if (ttl >= 0)
		jw_long(w, ttl);
}

static s32 create(u64 session, const char *path, s32 flags)
{
	bool ttl = flags == CREATE_TTL || flags == CREATE_TTL_SEQ;
	s32 op = rnd(2) ? OP_CREATE : OP_CREATE2;
	struct jw w;

	jw_init(&w, 0);
	put_create(&w, path, rnd(4) ? "some data" : NULL, flags, ttl ? (s64)rnd(1000) + 1 : -1);
	return write_op(session, ttl ? OP_CREATETTL : flags == CREATE_CONTAINER ?
			OP_CREATECONTAINER : op, &w);
}

static void put_versioned(struct jw *w, const char *path, s32 version)
{
	jw_str(w, path, strlen(path));
	jw_int(w, version);
}

static s32 delete(u64 session, const char *path, s32 version)
{
	struct jw w;

	jw_init(&w, 0);
	put_versioned(&w, path, version);
	return write_op(session, OP_DELETE, &w);
}

static void put_set(struct jw *w, const char *path, const char *data, s32 version)
{
	jw_str(w, path, strlen(path));
	jw_str(w, data, data ? (s32)strlen(data) : -1);
	jw_int(w, version);
}

static s32 set_data(u64 session, const char *path, const char *data)
{
	struct jw w;

	jw_init(&w, 0);
	put_set(&w, path, data, -1);
	return write_op(session, OP_SETDATA, &w);
}

static s32 set_acl(u64 session, const char *path)
{
	struct jw w;

	jw_init(&w, 0);
	jw_str(&w, path, strlen(path));
	if (rnd(2))
		jw_bytes(&w, open_acl, sizeof(open_acl));
	else
		jw_bytes(&w, other_acl, sizeof(other_acl));
	jw_int(&w, -1);
	return write_op(session, OP_SETACL, &w);
}

static void member(struct jw *w, s32 type)
{
	jw_int(w, type);
	jw_bool(w, type == -1);
	jw_int(w, -1);
}

static void some_path(char *path, size_t room)
{
	u32 depth = 1 + rnd(3);

	*path = 0;
	while (depth--)
		snprintf(path + strlen(path), room - strlen(path), "/n%u", rnd(6));
}

static s32 some_multi(u64 session)
{
	char path[32];
	struct jw w;

	jw_init(&w, 0);
	for (u32 n = rnd(6); n; n--) {
		some_path(path, sizeof(path));
		switch (rnd(4)) {
		case 0:
			member(&w, OP_CREATE);
			put_create(&w, path, "m", rnd(5), -1);
			break;
		case 1:
			member(&w, OP_DELETE);
			put_versioned(&w, path, -1);
			break;
		case 2:
			member(&w, OP_SETDATA);
			put_set(&w, path, "new", -1);
			break;
		case 3:
			member(&w, OP_CHECK);
			put_versioned(&w, path, rnd(2) - 1);
			break;
		}
	}
	member(&w, -1);
	return write_op(session, OP_MULTI, &w);
}

static void close_session(u64 session)
{
	struct prep_ask a = ask(session);
	struct txn *t = NULL;

	check(!prep_close_session(&prep, &a, &t));
	if (t)
		keep(t);
}

static void open_session(u64 session)
{
	struct prep_ask a = ask(session);
	struct txn *t = NULL;

	check(!prep_create_session(&prep, &a, 4000, &t));
	if (t)
		keep(t);
}

/* ------------------------------------------------------------ tests */

static void random_step(u64 session)
{
	char path[32];

	some_path(path, sizeof(path));
	switch (rnd(12)) {
	case 0: case 1: case 2: case 3:
		create(session, path, rnd(7));
		break;
	case 4: case 5:
		delete(session, path, rnd(3) ? -1 : (s32)rnd(3));
		break;
	case 6: case 7:
		set_data(session, path, rnd(3) ? "other data" : NULL);
		break;
	case 8:
		set_acl(session, path);
		break;
	case 9: case 10:
		some_multi(session);
		break;
	case 11:
		if (rnd(4))
			break;
		close_session(session);
		open_session(session);
		break;
	}
}

void test_prepare_random(void)
{
	struct zk_tree_stats stats;
	struct store_info info;

	begin();
	ch.max_cached = 8192;	/* records come and go */
	for (int i = 0; i < 60000; i++)
		random_step(0x100 + rnd(SESSIONS));
	for (int i = 0; i < SESSIONS; i++)
		close_session(0x100 + i);
	apply(n_waiting);
	check(!st->ops->info(st, &info));
	stats = info.stats;
	check_eq(stats.ephemerals, 0);
	check_eq(info.digest, ch.digest);
	check(stats.nodes > 10);
	check_eq(info.zxid, zxid);
	check(n_ok > 10000 && n_refused > 10000);
	end();
}

void test_prepare_multi(void)
{
	static const s32 expect[] = { 0, 0, ZNONODE, ZRUNTIMEINCONSISTENCY };
	struct change *rec;
	struct jw w;
	struct jr r;
	u64 digest;

	begin();
	check_eq(create(1, "/a", 0), ZOK);
	check_eq(create(1, "/a/x-", CREATE_PERSISTENT_SEQ), ZOK);
	digest = ch.digest;
	jw_init(&w, 0);
	member(&w, OP_CREATE);
	put_create(&w, "/a/x-", "m", CREATE_PERSISTENT_SEQ, -1);
	member(&w, OP_SETDATA);
	put_set(&w, "/a", "new", 0);
	member(&w, OP_DELETE);
	put_versioned(&w, "/nowhere", -1);
	member(&w, OP_DELETE);
	put_versioned(&w, "/a/x-0000000001", -1);
	member(&w, -1);
	check_eq(write_op(1, OP_MULTI, &w), ZOK);
	jr_init(&r, prep.out.buf, prep.out.len);
	for (int i = 0; i < 4; i++) {
		check_eq(jr_int(&r), OP_ERROR);
		check(!jr_bool(&r));
		check_eq(jr_int(&r), expect[i]);
		check_eq(jr_int(&r), expect[i]);
	}
	check_eq(jr_int(&r), -1);
	check(jr_bool(&r));
	check_eq(jr_int(&r), -1);
	check(!r.err && !jr_left(&r));
	check_eq(ch.digest, digest);
	check(!change_get(&ch, "/a", 2, &rec));
	check_eq(rec->stat.version, 0);
	check_eq(rec->stat.cversion, 1);
	check_eq(rec->stat.num_children, 1);
	check(change_get(&ch, "/a/x-0000000001", 15, &rec) == -ENOENT);
	/* the sequence goes on as if it had not been */
	check_eq(create(1, "/a/x-", CREATE_PERSISTENT_SEQ), ZOK);
	check(!change_get(&ch, "/a/x-0000000001", 15, &rec));
	end();
}

static u32 count_paths(const struct txn *t)
{
	return jute_get32(t->bytes + 32);
}

void test_prepare_close(void)
{
	struct prep_ask a;
	struct txn *t;

	begin();
	all_open = true;
	check_eq(create(7, "/a", 0), ZOK);
	check_eq(create(7, "/a/e1", CREATE_EPHEMERAL), ZOK);
	check_eq(create(7, "/a/e2", CREATE_EPHEMERAL), ZOK);
	check_eq(create(8, "/a/e3", CREATE_EPHEMERAL), ZOK);
	check_eq(create(8, "/a/e3/no", 0), ZNOCHILDRENFOREPHEMERALS);
	apply(n_waiting);
	/* deleted, made by another, and new since: none of it applied */
	check_eq(delete(7, "/a/e1", -1), ZOK);
	check_eq(create(8, "/a/e1", CREATE_EPHEMERAL), ZOK);
	check_eq(create(7, "/a/e4", CREATE_EPHEMERAL), ZOK);
	check_eq(set_data(7, "/a/e2", "x"), ZOK);
	a = ask(7);
	check(!prep_close_session(&prep, &a, &t));
	check_eq(count_paths(t), 2);
	keep(t);
	check_eq(set_data(7, "/a/e2", "x"), ZNONODE);
	check_eq(set_data(7, "/a/e4", "x"), ZNONODE);
	check_eq(set_data(7, "/a/e1", "x"), ZOK);
	a = ask(8);
	check(!prep_close_session(&prep, &a, &t));
	check_eq(count_paths(t), 2);
	keep(t);
	check_eq(delete(8, "/a", -1), ZOK);
	end();
}

/* Those that only the store knows: gone, as soon as the end is prepared, and there
 * again, should it be taken back. */
void test_prepare_close_unseen(void)
{
	struct change *rec;
	struct prep_ask a;
	struct txn *t;
	u64 digest;

	begin();
	check_eq(create(7, "/a", 0), ZOK);
	check_eq(create(7, "/a/e1", CREATE_EPHEMERAL), ZOK);
	check_eq(create(7, "/a/e2", CREATE_EPHEMERAL), ZOK);
	check_eq(create(7, "/e3", CREATE_EPHEMERAL), ZOK);
	apply(n_waiting);
	changes_trim(&ch, true);
	digest = ch.digest;
	a = ask(7);
	check(!prep_close_session(&prep, &a, &t));
	check_eq(count_paths(t), 3);
	check(change_get(&ch, "/a/e1", 5, &rec) == -ENOENT);
	check(ch.digest != digest);
	changes_undo(&ch);
	txn_put(t);
	check_eq(ch.digest, digest);
	check(!change_get(&ch, "/a/e1", 5, &rec));
	check_eq(set_data(7, "/a/e2", "x"), ZOK);
	/* one with a record that is outstanding, one with a cached one, one without */
	a = ask(7);
	check(!prep_close_session(&prep, &a, &t));
	check_eq(count_paths(t), 3);
	keep(t);
	check(change_get(&ch, "/a/e1", 5, &rec) == -ENOENT);
	check_eq(set_data(8, "/e3", "x"), ZNONODE);
	/* a second end has nothing left, what comes after it is its own */
	a = ask(7);
	check(!prep_close_session(&prep, &a, &t));
	check_eq(count_paths(t), 0);
	keep(t);
	check_eq(create(8, "/e3", CREATE_EPHEMERAL), ZOK);
	check_eq(delete(8, "/a", -1), ZOK);
	a = ask(8);
	check(!prep_close_session(&prep, &a, &t));
	check_eq(count_paths(t), 1);
	keep(t);
	end();
}

/* More ephemerals than a record may list: it lists none, and they go all the same. */
void test_prepare_close_many(void)
{
	struct prep_ask a;
	struct change *rec;
	struct txn *t;
	struct jr r;

	begin();
	cfg.max_buffer = 1024;
	check_eq(create(7, "/a", 0), ZOK);
	for (int i = 0; i < 100; i++)
		check_eq(create(7, "/a/e-", CREATE_EPHEMERAL_SEQ), ZOK);
	a = ask(7);
	check(!prep_close_session(&prep, &a, &t));
	check_eq(t->len, 32 + 4 + 12);
	check_eq(count_paths(t), 0);
	jr_init(&r, t->unlisted, t->unlisted_len);
	jr_take(&r, t->unlisted_at);
	check_eq(jr_int(&r), 100);
	for (int i = 0; i < 100; i++)
		check_eq(jr_str(&r).len, strlen("/a/e-0000000000"));
	check(!r.err && !jr_left(&r));
	keep(t);
	check(!change_get(&ch, "/a", 2, &rec));
	check_eq(rec->stat.num_children, 0);
	cfg.max_buffer = 0xfffff;
	end();
}

/* Whatever runs out of memory leaves all as it was, and works the next time. */
static void starve(s32 op, struct jw *body)
{
	struct prep_ask a = ask(3);
	struct txn *t = NULL;
	u64 digest = ch.digest;
	unsigned int n;
	s32 err;
	int rc;

	for (n = 1; n < 200; n++) {
		fail_allocation(n);
		if (op == OP_CLOSESESSION)
			rc = prep_close_session(&prep, &a, &t);
		else
			rc = prep_request(&prep, &a, op, body->buf, body->len, &t, &err);
		fail_allocation(0);
		if (!rc)
			break;
		check_eq(rc, -ENOMEM);
		check_eq(ch.digest, digest);
		check_eq(ch.n_undo, 0);
		check(list_empty(&ch.outstanding));
	}
	check(n > 1 && n < 200);
	if (t)
		keep(t);
	jw_free(body);
	apply(n_waiting);
}

void test_prepare_memory(void)
{
	struct jw w;

	begin();
	for (int i = 0; i < 40; i++) {
		char path[32], other[32];

		snprintf(path, sizeof(path), "/p%d", i);
		snprintf(other, sizeof(other), "/q%d", i);
		changes_trim(&ch, true);
		jw_init(&w, 0);
		put_create(&w, path, "data", i % 4, -1);
		starve(OP_CREATE2, &w);
		jw_init(&w, 0);
		member(&w, OP_CREATE);
		put_create(&w, other, "data", 0, -1);
		for (int k = 0; k < 40; k++) {
			member(&w, OP_CREATE);
			snprintf(path, sizeof(path), "/q%d/%d", i, k);
			put_create(&w, path, "data", 1, -1);
		}
		member(&w, -1);
		starve(OP_MULTI, &w);
		changes_trim(&ch, true);
		jw_init(&w, 0);
		jw_str(&w, other, strlen(other));
		jw_bytes(&w, other_acl, sizeof(other_acl));
		jw_int(&w, -1);
		starve(OP_SETACL, &w);
		changes_trim(&ch, true);
		jw_init(&w, 0);
		starve(OP_CLOSESESSION, &w);
	}
	end();
}

/* Parents with so many children behind them, at zxid 1. */
static void load_into(struct store *to, struct changes *records, const s32 *cversions, u32 n)
{
	struct store_rec rec = { .acl = open_acl, .acl_len = sizeof(open_acl) };
	struct store_info info;
	char path[32];

	check(!to->ops->load_begin(to, 0));
	for (u32 i = 0; i < n; i++) {
		rec.path_len = snprintf(path, sizeof(path), "/w%u", i);
		rec.path = path;
		rec.node.crc = txn_crc(path, rec.path_len, NULL, 0);
		rec.node.stat.cversion = cversions[i];
		check(!to->ops->load_node(to, &rec));
	}
	check(!to->ops->load_commit(to, 1));
	check(!to->ops->info(to, &info));
	records->applied = 1;
	changes_reset(records, info.digest);
}

static void load_parents(const s32 *cversions, u32 n)
{
	load_into(st, &ch, cversions, n);
	load_into(other.st, &other.ch, cversions, n);
	zxid = 1;
}

/* Past the end of the numbers the digests are still the tree's, however far behind
 * that is, and whatever of it was taken back. */
void test_prepare_wrap(void)
{
	static const s32 cversions[] = {
		0x7ffffffc, 0x7fffffff, -0x7fffffff - 1, -4, -1,
	};
	u32 n = sizeof(cversions) / sizeof(cversions[0]);
	char path[32];
	struct jw w;

	begin();
	load_parents(cversions, n);
	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "/w%u/x%d-", rnd(n), i);
		if (rnd(3)) {
			check_eq(create(1, path, CREATE_PERSISTENT_SEQ), ZOK);
			continue;
		}
		jw_init(&w, 0);
		for (u32 k = rnd(5); k; k--) {
			member(&w, OP_CREATE);
			put_create(&w, path, "m", CREATE_EPHEMERAL_SEQ, -1);
		}
		if (!rnd(3)) {
			member(&w, OP_CHECK);
			put_versioned(&w, "/nowhere", -1);
		}
		member(&w, -1);
		check_eq(write_op(1, OP_MULTI, &w), ZOK);
	}
	close_session(1);
	end();
}
