// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store's contract (daemon/store/store.h), the same tests on both back ends:
 *
 *     store memory|kernel [SEED]
 *
 * kernel wants the module loaded and root; it uses instance 77.
 */
#include <linux/types.h>
#include <linux/zkern.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "selftests/kernel/tap.h"
#include "selftests/store/model.h"

#define INSTANCE	77
#define PATHS		400
#define MAX_OPS		4

static struct store_params params;
static struct store *st;
static struct model model;
static u64 rnd_state;

static u32 rnd(u32 below)
{
	rnd_state = rnd_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (rnd_state >> 33) % below;
}

/* ------------------------------------------------------------ transactions */

/* One with room for its own bytes. */
struct tx {
	struct zk_txn t;
	struct zk_op ops[MAX_OPS];
	char paths[MAX_OPS][200];
	u8 data[MAX_OPS][3000];
};

static u32 crc_of(const char *path, u32 len, const void *data, s32 data_len)
{
	u32 crc = crc32(0, NULL, 0);

	if (len > 1)
		crc = crc32(crc, (const u8 *)path, len);
	return data_len > 0 ? crc32(crc, data, data_len) : crc;
}

static void tx_begin(struct tx *x, u64 zxid)
{
	memset(&x->t, 0, sizeof(x->t));
	x->t.zxid = zxid;
	x->t.time = 1600000000000 + zxid;
	x->t.ops = x->ops;
}

static struct zk_op *tx_op(struct tx *x, enum zk_op_type type, const char *path)
{
	u32 i = x->t.n_ops++;
	struct zk_op *op = &x->ops[i];

	memset(op, 0, sizeof(*op));
	op->type = type;
	strcpy(x->paths[i], path);
	op->path = x->paths[i];
	op->path_len = strlen(path);
	op->pcversion = -1;
	op->acl = test_acl(0, &op->acl_len);
	return op;
}

static void op_data(struct tx *x, struct zk_op *op, const void *data, s32 len)
{
	u8 *d = x->data[op - x->ops];

	if (len > 0)
		memcpy(d, data, len);
	op->data = len > 0 ? d : NULL;
	op->data_len = len;
	op->crc = crc_of(op->path, op->path_len, d, len);
}

static void op_text(struct tx *x, struct zk_op *op, const char *text)
{
	op_data(x, op, text, strlen(text));
}

static int apply1(struct tx *x)
{
	int err = 0, n = st->ops->apply(st, &x->t, 1, NULL, &err);

	return n == 1 ? 0 : err;
}

/* Applies to store and model; it must fit. */
static void both(struct tx *x)
{
	int rc = apply1(x);

	need(!rc, "apply: %s", strerror(-rc));
	model_apply(&model, &x->t);
}

static void some_data(struct tx *x, struct zk_op *op)
{
	u8 b[3000];
	s32 len, i;

	switch (rnd(10)) {
	case 0:
		len = -1;
		break;
	case 1:
		len = 0;
		break;
	case 2:
		len = rnd(sizeof(b));
		break;
	default:
		len = rnd(40);
	}
	for (i = 0; i < len; i++)
		b[i] = rnd(256);
	op_data(x, op, b, len);
}

/* A random operation that fits @m, added to @x. */
static void some_op(struct tx *x, const struct model *m)
{
	static u32 serial;
	struct mnode *n = &m->nodes[rnd(m->n)];
	u32 kind = rnd(12);
	struct zk_op *op;
	char path[200];

	if (kind == 0) {
		op = tx_op(x, ZK_OP_CLOSE, "");
		op->owner = 1 + rnd(5);
		op->acl_len = 0;
	} else if (kind < 6 && m->n < PATHS && strlen(n->path) < 150 &&
		   !(n->stat.owner && n->stat.owner < 10)) {
		snprintf(path, sizeof(path), "%s/n%u", n->path[1] ? n->path : "", serial++);
		op = tx_op(x, ZK_OP_CREATE, path);
		some_data(x, op);
		op->acl = test_acl(rnd(N_ACLS), &op->acl_len);
		op->pcversion = n->stat.cversion + 1;
		switch (rnd(8)) {
		case 0:
			op->owner = ZK_OWNER_CONTAINER;
			break;
		case 1:
			op->owner = ZK_OWNER_TTL_MASK | (1 + rnd(100000));
			break;
		case 2:
		case 3:
			op->owner = 1 + rnd(5);
			break;
		}
	} else if (kind < 8 && n->path[1] && !model_children(m, n->path)) {
		tx_op(x, ZK_OP_DELETE, n->path)->acl_len = 0;
	} else if (kind < 10) {
		op = tx_op(x, ZK_OP_SETDATA, n->path);
		some_data(x, op);
		op->version = n->stat.version + 1;
		op->acl_len = 0;
	} else {
		op = tx_op(x, ZK_OP_SETACL, n->path);
		op->acl = test_acl(rnd(N_ACLS), &op->acl_len);
		op->version = n->stat.aversion + 1;
	}
}

/* ------------------------------------------------------------ comparing */

static int bad_node(const struct mnode *n)
{
	struct zk_stat want = n->stat;
	struct store_node got;
	static u8 buf[4000];
	struct jw acl;
	int rc, bad = 0;
	u32 len = strlen(n->path);

	want.num_children = model_children(&model, n->path);
	rc = st->ops->get(st, n->path, len, &got, buf, sizeof(buf));
	bad |= rc || got.zxid != model.zxid || got.data_len != n->data_len ||
	       memcmp(&got.stat, &want, sizeof(want)) ||
	       got.crc != crc_of(n->path, len, n->data, n->data_len) ||
	       (n->data_len > 0 && memcmp(buf, n->data, n->data_len));
	if (n->data_len > 0) {
		rc = st->ops->get(st, n->path, len, &got, buf, n->data_len - 1);
		bad |= rc != -EMSGSIZE || got.data_len != n->data_len ||
		       memcmp(&got.stat, &want, sizeof(want));
	}
	rc = st->ops->get(st, n->path, len, &got, NULL, 0);
	bad |= rc || got.data_len != n->data_len;
	jw_init(&acl, 0);
	jw_int(&acl, 4711);
	rc = st->ops->acl(st, n->path, len, &got, &acl);
	bad |= rc || test_acl_number(acl.buf + 4, acl.len - 4) != n->acl ||
	       jute_get32(acl.buf) != 4711;
	jw_free(&acl);
	return bad;
}

static bool is_child(const char *path, const char *parent, const char **name)
{
	size_t len = strlen(parent);

	if (len == 1)
		len = 0;
	if (strncmp(path, parent, len) || path[len] != '/' || !path[len + 1])
		return false;
	*name = path + len + 1;
	return !strchr(*name, '/');
}

static int bad_children(const struct mnode *n)
{
	struct store_node got, plain;
	struct jw out;
	struct jr r;
	const char *name;
	int rc, bad = 0;
	u32 i, len = strlen(n->path), seen = 0;
	s32 count, k;

	jw_init(&out, 0);
	rc = st->ops->children(st, n->path, len, &got, &out);
	jr_init(&r, out.buf, out.len);
	count = jr_int(&r);
	bad |= rc || count != (s32)model_children(&model, n->path);
	bad |= st->ops->get(st, n->path, len, &plain, NULL, 0) ||
	       memcmp(&plain.stat, &got.stat, sizeof(got.stat)) ||
	       plain.acl_id != got.acl_id || plain.data_len != got.data_len ||
	       got.zxid != model.zxid;
	for (k = 0; !bad && k < count; k++) {
		struct jstr s = jr_str(&r);

		for (i = 0; i < model.n; i++) {
			if (is_child(model.nodes[i].path, n->path, &name) &&
			    strlen(name) == (size_t)s.len && !memcmp(name, s.p, s.len))
				seen++;
		}
	}
	bad |= r.err || jr_left(&r) || seen != (u32)count;
	jw_free(&out);
	return bad;
}

struct lists {
	u64 owner;
	bool timed;
	u32 n, bad;
};

static int one_listed(void *arg, const char *path, u32 len)
{
	struct lists *l = arg;
	struct mnode *n = model_find(&model, path, len);
	struct store_node node;
	u64 owner = n ? n->stat.owner : 0;

	l->n++;
	/* the store may be called from here */
	l->bad += !n || st->ops->get(st, path, len, &node, NULL, 0) ||
		  (l->timed ? owner < 10 : owner != l->owner);
	return 0;
}

static int one_known(void *arg, const char *path, u32 len, const struct store_node *node)
{
	struct lists *l = arg;
	struct store_node want;

	l->n++;
	l->bad += st->ops->get(st, path, len, &want, NULL, 0) || node->zxid != want.zxid ||
		  node->acl_id != want.acl_id || node->crc != want.crc ||
		  node->data_len != want.data_len ||
		  memcmp(&node->stat, &want.stat, sizeof(want.stat)) ||
		  node->stat.owner != l->owner;
	return 0;
}

static int stop_at_once(void *arg, const char *path, u32 len)
{
	(void)path;
	(void)len;
	++*(int *)arg;
	return 4711;
}

static int bad_lists(void)
{
	u32 want_timed = 0, i;
	struct lists l;
	int bad = 0, calls = 0, rc;
	u64 s;

	for (s = 1; s <= 6; s++) {
		u32 want = 0;

		for (i = 0; i < model.n; i++)
			want += model.nodes[i].stat.owner == s;
		l = (struct lists){ .owner = s };
		rc = st->ops->owned(st, s, one_listed, &l);
		bad += rc || l.bad || l.n != want;
		l = (struct lists){ .owner = s };
		rc = st->ops->owned_nodes(st, s, one_known, &l);
		bad += rc || l.bad || l.n != want;
	}
	for (i = 0; i < model.n; i++)
		want_timed += model.nodes[i].stat.owner > 10;
	l = (struct lists){ .timed = true };
	rc = st->ops->timed(st, one_listed, &l);
	bad += rc || l.bad || l.n != want_timed;
	if (want_timed)
		bad += st->ops->timed(st, stop_at_once, &calls) != 4711 || calls != 1;
	return bad;
}

static int compare_all(void)
{
	int bad = 0;
	u32 i;

	for (i = 0; i < model.n; i++) {
		if (bad_node(&model.nodes[i]) || bad_children(&model.nodes[i])) {
			printf("# differs: %s\n", model.nodes[i].path);
			bad++;
		}
	}
	bad += bad_lists();
	if (store_zxid(st) != model.zxid)
		bad++;
	return bad;
}

static u64 digest_of(void)
{
	struct store_info info;

	need(!st->ops->info(st, &info), "info");
	return info.digest;
}

/* ------------------------------------------------------------ the tests */

static void test_random(void)
{
	static struct tx batch[20];
	static struct zk_txn txns[20];
	static u64 digests[20];
	int round, bad = 0, i, n, k, err, applied = 0;
	struct store_node node;
	struct model ahead;

	for (round = 0; round < 300; round++) {
		bool want_digests = rnd(2);

		n = 1 + rnd(20);
		model_copy(&ahead, &model);
		for (i = 0; i < n; i++) {
			tx_begin(&batch[i], model.zxid + 1 + i);
			for (k = rnd(4) ? 1 : rnd(MAX_OPS + 1); k > 0; k--) {
				struct zk_txn one;

				some_op(&batch[i], &ahead);
				/* later operations see the earlier ones */
				one = batch[i].t;
				one.n_ops = 1;
				one.ops = &batch[i].ops[batch[i].t.n_ops - 1];
				model_apply(&ahead, &one);
			}
			txns[i] = batch[i].t;
		}
		model_free(&ahead);
		err = 0;
		if (st->ops->apply(st, txns, n, want_digests ? digests : NULL, &err) != n || err) {
			printf("# round %d: %s\n", round, strerror(-err));
			bad++;
			break;
		}
		for (i = 0; i < n; i++)
			model_apply(&model, &txns[i]);
		model.zxid = txns[n - 1].zxid;
		bad += want_digests && digests[n - 1] != digest_of();
		applied += n;
		if (round % 15 == 0)
			bad += compare_all();
	}
	bad += compare_all();
	is(bad, 0, "%d random transactions: as the model, %u nodes", applied, model.n);
	is(st->ops->get(st, "/nothing", 8, &node, NULL, 0), -ENOENT, "no such node");
	ok(node.zxid == model.zxid, "as of a zxid");
	is(st->ops->get(st, "/nothing/at/all", 15, &node, NULL, 0), -ENOENT, "nor below it");
}

static void refuse(const char *what, int want, struct tx *bad)
{
	static struct tx good[2];
	static int turn;
	/* with digests wanted, a back end may go another way */
	u64 digests[3] = { 0 }, *wanted = turn++ & 1 ? digests : NULL;
	struct zk_txn t[3];
	int err = 0, n;

	tx_begin(&good[0], model.zxid + 1);
	op_text(&good[0], tx_op(&good[0], ZK_OP_SETDATA, "/"), what);
	if (bad->t.zxid > model.zxid)
		bad->t.zxid = model.zxid + 2;
	tx_begin(&good[1], model.zxid + 3);
	t[0] = good[0].t;
	t[1] = bad->t;
	t[2] = good[1].t;
	n = st->ops->apply(st, t, 3, wanted, &err);
	model_apply(&model, &t[0]);
	is(err, want, "%s is refused", what);
	ok(n == 1 && !compare_all() && (!wanted || digests[0] == digest_of()),
	   "%s leaves no trace", what);
}

static void test_refused(void)
{
	static struct tx x;

	tx_begin(&x, model.zxid + 1);
	op_text(&x, tx_op(&x, ZK_OP_CREATE, "/r"), "r");
	op_text(&x, tx_op(&x, ZK_OP_CREATE, "/r/s"), "s");
	both(&x);

	tx_begin(&x, model.zxid + 2);
	op_text(&x, tx_op(&x, ZK_OP_CREATE, "/r"), "again");
	refuse("a create of what is there", -EEXIST, &x);
	tx_begin(&x, model.zxid + 2);
	op_text(&x, tx_op(&x, ZK_OP_CREATE, "/none/x"), "x");
	refuse("a create without a parent", -ENOENT, &x);
	tx_begin(&x, model.zxid + 2);
	tx_op(&x, ZK_OP_DELETE, "/none");
	refuse("a delete of nothing", -ENOENT, &x);
	tx_begin(&x, model.zxid + 2);
	tx_op(&x, ZK_OP_DELETE, "/r");
	refuse("a delete with children", -ENOTEMPTY, &x);
	tx_begin(&x, model.zxid + 2);
	op_text(&x, tx_op(&x, ZK_OP_SETDATA, "/none"), "x");
	refuse("a set of nothing", -ENOENT, &x);
	tx_begin(&x, model.zxid + 2);
	tx_op(&x, ZK_OP_SETACL, "/none");
	refuse("an ACL for nothing", -ENOENT, &x);
	tx_begin(&x, model.zxid);
	refuse("a zxid that does not grow", -EINVAL, &x);
	tx_begin(&x, model.zxid + 2);
	op_text(&x, tx_op(&x, ZK_OP_CREATE, "/r/t"), "t");
	op_text(&x, tx_op(&x, ZK_OP_SETDATA, "/r"), "set");
	tx_op(&x, ZK_OP_DELETE, "/r/s");
	tx_op(&x, ZK_OP_DELETE, "/r/u");
	refuse("a multi whose last part does not fit", -ENOENT, &x);

	tx_begin(&x, model.zxid + 1);
	tx_op(&x, ZK_OP_DELETE, "/r/s");
	tx_op(&x, ZK_OP_DELETE, "/r");
	both(&x);
}

#define MANY	100000
#define OWNER	77

struct many {
	int n, bad;
	u64 zxid;
};

/* In the order of their creation, all as of one zxid. */
static int one_of_many(void *arg, const char *path, u32 len, const struct store_node *node)
{
	struct many *m = arg;
	char want[32];

	snprintf(want, sizeof(want), "/many/child-%06d", m->n++);
	m->bad += len != strlen(want) || memcmp(path, want, len) || node->zxid != m->zxid ||
		  node->stat.owner != OWNER;
	return 0;
}

/* ZK_TXN_ASIDE: the node of the members is written, and the zxid stays. */
static void test_aside(void)
{
	static const char path[] = "/zookeeper/config";
	static struct tx x, aside;
	u64 zxid = model.zxid + 1;
	struct store_info before, after;
	struct store_node node;
	char buf[8] = "";

	tx_begin(&x, zxid);
	op_text(&x, tx_op(&x, ZK_OP_CREATE, "/zookeeper"), "");
	op_text(&x, tx_op(&x, ZK_OP_CREATE, path), "old");
	both(&x);
	need(!st->ops->info(st, &before), "info");
	tx_begin(&aside, zxid + 1000);
	aside.t.flags = ZK_TXN_ASIDE | ZK_TXN_REPLAY;
	op_text(&aside, tx_op(&aside, ZK_OP_SETDATA, path), "aside");
	is(apply1(&aside), 0, "a change beside the transactions");
	need(!st->ops->info(st, &after), "info");
	ok(after.zxid == zxid && store_zxid(st) == zxid && after.digest == before.digest,
	   "the zxid stays, the digest too");
	ok(!st->ops->get(st, path, sizeof(path) - 1, &node, buf, sizeof(buf)) &&
	   node.zxid == zxid && node.stat.mzxid == zxid + 1000 && !strcmp(buf, "aside"),
	   "it is read at once, with its mzxid");
	aside.t.n_ops = 0;
	op_text(&aside, tx_op(&aside, ZK_OP_SETDATA, "/zookeeper"), "aside");
	is(apply1(&aside), -EINVAL, "of a node that counts in the digest");
	tx_begin(&x, zxid + 1);
	tx_op(&x, ZK_OP_DELETE, path);
	tx_op(&x, ZK_OP_DELETE, "/zookeeper");
	both(&x);
	is(compare_all(), 0, "transactions go on");
}

static void test_many(void)
{
	static struct tx x;
	struct zk_txn *t = calloc(1000, sizeof(*t));
	struct zk_op *ops = calloc(1000, sizeof(*ops));
	char (*paths)[32] = calloc(1000, 32);
	struct store_node node;
	struct many all = { .n = 0 };
	u64 zxid = model.zxid;
	int i, k, err, bad = 0;
	struct jw out;
	struct jr r;

	tx_begin(&x, ++zxid);
	op_text(&x, tx_op(&x, ZK_OP_CREATE, "/many"), "");
	need(!apply1(&x), "create");
	for (i = 0; i < MANY; i += 1000) {
		for (k = 0; k < 1000; k++) {
			snprintf(paths[k], 32, "/many/child-%06d", i + k);
			ops[k] = x.ops[0];
			ops[k].path = paths[k];
			ops[k].path_len = strlen(paths[k]);
			ops[k].owner = OWNER;
			ops[k].pcversion = i + k + 1;
			ops[k].crc = crc_of(paths[k], ops[k].path_len, NULL, 0);
			t[k] = (struct zk_txn){
				.zxid = ++zxid, .time = 1, .n_ops = 1, .ops = &ops[k],
			};
		}
		need(st->ops->apply(st, t, 1000, NULL, &err) == 1000, "apply: %s", strerror(-err));
	}
	model.zxid = zxid;
	jw_init(&out, 0);
	is(st->ops->children(st, "/many", 5, &node, &out), 0, "%d children", MANY);
	jr_init(&r, out.buf, out.len);
	ok(jr_int(&r) == MANY && node.stat.num_children == MANY && node.zxid == zxid,
	   "all of them");
	for (i = 0; i < MANY; i++) {
		struct jstr s = jr_str(&r);
		char want[32];

		snprintf(want, sizeof(want), "child-%06d", i);
		bad += s.len != 12 || memcmp(s.p, want, 12);
	}
	ok(!bad && !r.err && !jr_left(&r), "in the order of their creation");
	all.zxid = zxid;
	is(st->ops->owned_nodes(st, OWNER, one_of_many, &all), 0, "of one session");
	ok(all.n == MANY && !all.bad, "all of them too (%d, %d bad)", all.n, all.bad);
	jw_free(&out);
	jw_init(&out, 1000);
	is(st->ops->children(st, "/many", 5, &node, &out), -EMSGSIZE, "more than may be");
	is(out.len, 0, "leaves nothing behind");
	jw_free(&out);
	for (i = MANY; i > 0; i -= 1000) {
		for (k = 0; k < 1000; k++) {
			snprintf(paths[k], 32, "/many/child-%06d", i - 1 - k);
			ops[k].type = ZK_OP_DELETE;
			ops[k].acl_len = 0;
			t[k].zxid = ++zxid;
		}
		need(st->ops->apply(st, t, 1000, NULL, &err) == 1000, "apply: %s", strerror(-err));
	}
	tx_begin(&x, ++zxid);
	tx_op(&x, ZK_OP_DELETE, "/many");
	need(!apply1(&x), "delete");
	model.zxid = zxid;
	/* the root's child list has changed twice */
	model_find(&model, "/", 1)->stat.cversion++;
	model_find(&model, "/", 1)->stat.pzxid = zxid;
	is(compare_all(), 0, "and all gone again");
	free(t);
	free(ops);
	free(paths);
}

/* ------------------------------------------------------------ snapshots */

struct walk {
	struct model *want;
	struct store_snap *snap;
	const char *top;
	u32 n, bad;
	char before[200];
	int rc;
};

static int one_walked(void *arg, const struct store_rec *rec)
{
	struct walk *w = arg;
	struct mnode *n = model_find(w->want, rec->path, rec->path_len);
	struct zk_stat want;

	w->n++;
	if (!n) {
		w->bad++;
		return 0;
	}
	want = n->stat;
	want.num_children = model_children(w->want, n->path);
	w->bad += rec->node.zxid != w->want->zxid || rec->node.data_len != n->data_len ||
		  memcmp(&rec->node.stat, &want, sizeof(want)) ||
		  test_acl_number(rec->acl, rec->acl_len) != n->acl ||
		  rec->node.crc != crc_of(n->path, rec->path_len, n->data, n->data_len) ||
		  (n->data_len > 0 && memcmp(rec->data, n->data, n->data_len));
	return 0;
}

static void *walk_thread(void *arg)
{
	struct walk *w = arg;

	store_thread_init();
	w->rc = st->ops->snap_each(w->snap, w->top, strlen(w->top), one_walked, w);
	store_thread_exit();
	return NULL;
}

static void test_snapshots(void)
{
	struct model frozen[4];
	struct walk w[4];
	pthread_t threads[4];
	u64 zxid, digest, nodes;
	static struct tx x;
	int i, k, bad = 0;
	u32 walked = 0;

	for (i = 0; i < 4; i++) {
		u64 now = digest_of();

		model_copy(&frozen[i], &model);
		memset(&w[i], 0, sizeof(w[i]));
		w[i].want = &frozen[i];
		w[i].top = "/";
		bad += st->ops->snap_open(st, &w[i].snap, &zxid, &digest, &nodes) != 0;
		bad += zxid != model.zxid || nodes != model.n || digest != now;
		for (k = 0; k < 300; k++) {
			tx_begin(&x, model.zxid + 1);
			some_op(&x, &model);
			both(&x);
		}
	}
	is(bad, 0, "four snapshots, with changes between");
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, walk_thread, &w[i]);
	for (k = 0; k < 2000; k++) {
		tx_begin(&x, model.zxid + 1);
		some_op(&x, &model);
		both(&x);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		bad += w[i].rc || w[i].bad || w[i].n != frozen[i].n;
		walked += w[i].n;
		st->ops->snap_close(w[i].snap);
		model_free(&frozen[i]);
	}
	is(bad, 0, "read while writes go on: %u nodes, each as it was", walked);
	is(compare_all(), 0, "and the tree is as it is");
}

static int keep_path(void *arg, const struct store_rec *rec)
{
	struct walk *w = arg;
	u32 top = strlen(w->top);

	/* parents first, and nothing but the subtree */
	w->bad += rec->path_len < top || memcmp(rec->path, w->top, top) ||
		  (w->n == 0 && rec->path_len != top);
	w->n++;
	return w->n == 3 ? 99 : 0;
}

static void test_subtree(void)
{
	static const char *const paths[] = { "/t", "/t/a", "/t/a/b", "/t/c", "/tt" };
	struct walk w = { .top = "/t" };
	u64 zxid, digest, nodes;
	static struct tx x;
	int i;

	for (i = 0; i < 5; i++) {
		tx_begin(&x, model.zxid + 1);
		op_text(&x, tx_op(&x, ZK_OP_CREATE, paths[i]), paths[i]);
		both(&x);
	}
	need(!st->ops->snap_open(st, &w.snap, &zxid, &digest, &nodes), "snapshot");
	is(st->ops->snap_each(w.snap, "/t", 2, keep_path, &w), 99, "a walk that is ended");
	ok(w.n == 3 && !w.bad, "in a subtree");
	is(st->ops->snap_each(w.snap, "/t", 2, keep_path, &w), -ESPIPE, "one walk a snapshot");
	st->ops->snap_close(w.snap);
	need(!st->ops->snap_open(st, &w.snap, &zxid, &digest, &nodes), "snapshot");
	is(st->ops->snap_each(w.snap, "/none", 5, keep_path, &w), -ENOENT, "of nothing");
	st->ops->snap_close(w.snap);
	for (i = 4; i >= 0; i--) {
		tx_begin(&x, model.zxid + 1);
		tx_op(&x, ZK_OP_DELETE, paths[i == 3 ? 3 : i]);
		both(&x);
	}
}

/* ------------------------------------------------------------ loading */

static int load_model_node(const struct mnode *n)
{
	struct store_rec rec = {
		.path = n->path, .path_len = strlen(n->path), .data = n->data,
		.node.data_len = n->data_len, .node.stat = n->stat,
		.node.crc = crc_of(n->path, strlen(n->path), n->data, n->data_len),
	};

	rec.acl = test_acl(n->acl, &rec.acl_len);
	return st->ops->load_node(st, &rec);
}

static int by_depth(const void *a, const void *b)
{
	const struct mnode *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* Parents first: in the order of their paths. */
static int load_model(struct model *m)
{
	int rc = st->ops->load_begin(st, m->n);
	u32 i;

	qsort(m->nodes, m->n, sizeof(*m->nodes), by_depth);
	for (i = 0; i < m->n && !rc; i++)
		rc = load_model_node(&m->nodes[i]);
	return rc;
}

static void test_load(void)
{
	u64 before = digest_of(), digest;
	struct mnode orphan = { .path = "/no/parent" };
	static struct tx x;
	int rc;

	is(load_model(&model), 0, "the same tree loaded");
	is(digest_of() == before, true, "which nobody sees");
	is(compare_all(), 0, "the old one is read");
	is(st->ops->load_commit(st, model.zxid + 5), 0, "swapped in");
	model.zxid += 5;
	ok(digest_of() == before, "the digest is the same");
	is(compare_all(), 0, "every node too");
	tx_begin(&x, model.zxid + 1);
	op_text(&x, tx_op(&x, ZK_OP_CREATE, "/after"), "load");
	both(&x);
	is(compare_all(), 0, "and it goes on from there");

	need(!load_model(&model), "load");
	tx_begin(&x, model.zxid - 3);
	x.t.flags = ZK_TXN_REPLAY;
	op_text(&x, tx_op(&x, ZK_OP_CREATE, "/after"), "load");
	x.ops[0].pcversion = model_find(&model, "/", 1)->stat.cversion;
	tx_op(&x, ZK_OP_DELETE, "/not/there");
	op_text(&x, tx_op(&x, ZK_OP_SETDATA, "/not/there"), "x");
	is(st->ops->load_txn(st, &x.t, &digest), 0, "replay passes over what is done");
	tx_begin(&x, model.zxid + 1);
	x.t.flags = ZK_TXN_REPLAY;
	op_text(&x, tx_op(&x, ZK_OP_CREATE, "/replayed"), "new");
	is(st->ops->load_txn(st, &x.t, &digest), 0, "and does the rest");
	model_apply(&model, &x.t);
	is(st->ops->load_commit(st, model.zxid), 0, "swapped in");
	ok(digest_of() == digest, "replay told the digest");
	is(compare_all(), 0, "the tree is what it should be");

	need(!load_model(&model), "load");
	rc = load_model_node(&orphan);
	if (!rc)
		rc = st->ops->load_commit(st, model.zxid + 1);
	is(rc, -ENOENT, "a node without a parent");
	st->ops->load_abort(st);
	is(compare_all(), 0, "nothing has changed");
	is(st->ops->load_commit(st, model.zxid + 1), -EINVAL, "nothing to commit");
}

/* ------------------------------------------------------------ readers */

/*
 * Readers while transactions are applied and trees swapped. /x and /y have the
 * zxid of their last change as data; the ACL tells which tree it is.
 */
static bool stop;
static u32 reader_bad, reader_reads;
static u64 acl_of_id[64];	/* id -> ACL number + 1, seen by any */

static void note_acl(u64 id, int number)
{
	u64 key = id * 16 + number, seen;
	u32 i;

	for (i = 0; i < 64; i++) {
		seen = 0;
		if (__atomic_compare_exchange_n(&acl_of_id[i], &seen, key, false,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return;
		if (seen == key)
			return;
		if (seen / 16 == id) {	/* the same id for another ACL */
			__atomic_add_fetch(&reader_bad, 1, __ATOMIC_RELAXED);
			return;
		}
	}
}

static void *reader(void *arg)
{
	const char *path = arg;
	u64 last = 0;

	store_thread_init();
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct store_node node, again;
		char text[32] = "";
		struct jw acl;
		int rc = st->ops->get(st, path, 2, &node, text, sizeof(text) - 1);

		if (rc || strtoull(text, NULL, 10) != node.stat.mzxid ||
		    node.stat.mzxid > node.zxid || node.zxid < last)
			__atomic_add_fetch(&reader_bad, 1, __ATOMIC_RELAXED);
		last = node.zxid;
		jw_init(&acl, 0);
		if (!st->ops->acl(st, path, 2, &again, &acl) && again.acl_id == node.acl_id)
			note_acl(node.acl_id, test_acl_number(acl.buf, acl.len));
		jw_free(&acl);
		acl.len = 0;
		if (!st->ops->children(st, "/", 1, &again, &acl) && again.zxid < last)
			__atomic_add_fetch(&reader_bad, 1, __ATOMIC_RELAXED);
		jw_free(&acl);
		__atomic_add_fetch(&reader_reads, 1, __ATOMIC_RELAXED);
	}
	store_thread_exit();
	return NULL;
}

static void set_pair(struct tx *x, u64 zxid)
{
	const char *const p[] = { "/x", "/y" };
	char text[32];
	int i;

	tx_begin(x, zxid);
	snprintf(text, sizeof(text), "%llu", zxid);
	for (i = 0; i < 2; i++)
		op_text(x, tx_op(x, ZK_OP_SETDATA, p[i]), text);
}

static void test_readers(void)
{
	static char *const paths[] = { "/x", "/y" };
	pthread_t threads[3];
	static struct tx x;
	int i, k, bad = 0;

	tx_begin(&x, model.zxid + 1);
	for (i = 0; i < 2; i++) {
		char text[32];

		snprintf(text, sizeof(text), "%llu", x.t.zxid);
		op_text(&x, tx_op(&x, ZK_OP_CREATE, paths[i]), text);
	}
	both(&x);
	for (i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, reader, paths[i & 1]);
	for (i = 0; i < 30; i++) {
		for (k = 0; k < 100; k++) {
			set_pair(&x, model.zxid + 1);
			both(&x);
		}
		tx_begin(&x, model.zxid + 1);
		tx_op(&x, ZK_OP_SETACL, "/x")->acl = test_acl(i % N_ACLS, &x.ops[0].acl_len);
		both(&x);
		/* another tree, in which /x and /y have other ACLs */
		model_find(&model, "/x", 2)->acl = (i + 3) % N_ACLS;
		model_find(&model, "/y", 2)->acl = (i + 5) % N_ACLS;
		bad += load_model(&model) || st->ops->load_commit(st, model.zxid);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	is(bad, 0, "30 trees swapped in");
	ok(reader_reads > 100 && !reader_bad, "%u reads meanwhile, %u of them wrong",
	   reader_reads, reader_bad);
	is(compare_all(), 0, "the last tree is right");
}

/* ------------------------------------------------------------ take up */

/* Calls that a module of an earlier version refuses: what it does not know is set. */
static bool no_nodes, no_own;
static u32 refused;

int __real_ioctl(int fd, unsigned long cmd, ...);
int __wrap_ioctl(int fd, unsigned long cmd, ...);

int __wrap_ioctl(int fd, unsigned long cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	if ((no_own && cmd == ZKERN_OWN) ||
	    (no_nodes && cmd == ZKERN_LOAD && ((struct zkern_load *)arg)->nodes)) {
		refused++;
		errno = E2BIG;
		return -1;
	}
	return __real_ioctl(fd, cmd, arg);
}

static void test_old_module(void)
{
	struct store_params p = params;
	bool kernel = !strcmp(params.kind, "kernel");
	const char *why = "";
	struct store *other;

	no_nodes = true;
	is(st->ops->load_begin(st, 1000), 0, "a hint that an older module refuses is left out");
	no_nodes = false;
	st->ops->load_abort(st);
	is(refused, kernel, "it was given");
	is(compare_all(), 0, "all is as it was");
	if (!kernel)
		return;
	no_own = true;
	p.instance = INSTANCE + 1;
	is(store_open(&p, &other, &why), -E2BIG, "a call that an older module refuses");
	no_own = false;
	ok(strstr(why, "module zkern is older") && strstr(why, "rmmod zkern"), "says so: %s", why);
}

static void test_take_up(void)
{
	struct store_info info, after;
	struct store *other = NULL;
	const char *why = "";

	need(!st->ops->info(st, &info), "info");
	ok(!strcmp(info.kind, params.kind) && info.zxid == model.zxid &&
	   info.stats.nodes == model.n, "info");
	is(st->ops->set_state(st, STORE_STANDALONE, 0), 0, "a state");
	if (strcmp(params.kind, "kernel"))
		return;
	is(store_open(&params, &other, &why), -EBUSY, "one owner: %s", why);
	st->ops->close(st);
	need(!store_open(&params, &st, &why), "open again: %s", why);
	need(!st->ops->info(st, &after), "info");
	ok(after.taken_up && after.zxid == info.zxid && after.digest == info.digest &&
	   after.stats.nodes == info.stats.nodes, "the tree is there for the next owner");
	is(compare_all(), 0, "every node of it");
}

int main(int argc, char **argv)
{
	struct store_info info;
	const char *why = "";
	u32 len;
	int rc;

	if (argc < 2) {
		fprintf(stderr, "usage: store memory|kernel [SEED]\n");
		return 2;
	}
	rnd_state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	test_acl(0, &len);
	params = (struct store_params){
		.kind = argv[1], .instance = INSTANCE, .label = "store test",
	};
	store_thread_init();
	rc = store_open(&params, &st, &why);
	need(!rc, "store: %s", why);
	need(!st->ops->info(st, &info), "info");
	ok(!info.taken_up && info.zxid == 0, "a new tree");
	/* a root of our own, as the model has it */
	model_init(&model);
	is(load_model(&model), 0, "the root");
	is(st->ops->load_commit(st, 0), 0, "the tree");
	is(compare_all(), 0, "is as the model's");
	test_random();
	test_refused();
	test_aside();
	test_many();
	test_snapshots();
	test_subtree();
	test_load();
	test_old_module();
	test_take_up();
	test_readers();
	st->ops->close(st);
	model_free(&model);
	store_thread_exit();
	return tap_end();
}
