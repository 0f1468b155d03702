// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guarantee C under failing allocations: the n-th fails, for every n that there is, and
 * nothing shows; that nothing is lost either is for the count of bytes, and for the leak
 * checker at the end of the program.
 */
#include "user.h"

/* Allocations of other threads (the reclaimer's) are left alone. */
static __thread s64 fail_at;

static bool fail_nth(size_t size)
{
	(void)size;
	return !fail_at || --fail_at;
}

static bool fail_all(size_t size)
{
	(void)size;
	return fail_at <= 0;
}

static struct zt_rand dice;

static bool fail_some(size_t size)
{
	(void)size;
	return !fail_at || zt_below(&dice, 40);
}

static void fail_now(bool now)
{
	fail_at = now;
}

/* ------------------------------------------------------------ transactions */

struct scene {
	struct zk_op op[6];
	u32 n;
	u32 flags;
};

static struct zk_op with_acl(struct zk_op op, u32 acl)
{
	op.acl = zt_acls[acl].jute;
	op.acl_len = zt_acls[acl].len;
	return op;
}

static struct zk_op set_acl(const char *path, u32 acl)
{
	struct zk_op op = with_acl(zt_create(path, NULL, 0, 0), acl);

	op.type = ZK_OP_SETACL;
	op.version = 3;
	return op;
}

static struct zk_tree *furnished(void)
{
	struct zk_tree *tree = zt_tree(0);
	struct zk_op op[6];

	op[0] = zt_create("/d", "d", 1, 0);
	op[1] = zt_create("/d/e1", "e", 1, 7);
	op[2] = zt_create("/d/e2", "e", 1, 7);
	op[3] = zt_create("/d/s", NULL, -1, 0);
	op[4] = zt_create("/d/s/t", "t", 1, 0);
	op[5] = zt_create("/c", "c", 1, ZK_OWNER_CONTAINER);
	zt_equal(zt_apply(tree, op, 6), 0);
	/* A quota, of /c. */
	op[0] = zt_create("/zookeeper", NULL, 0, 0);
	op[1] = zt_create("/zookeeper/quota", NULL, 0, 0);
	op[2] = zt_create("/zookeeper/quota/c", NULL, 0, 0);
	op[3] = zt_create("/zookeeper/quota/c/zookeeper_limits", NULL, 0, 0);
	op[4] = zt_create("/zookeeper/quota/c/zookeeper_stats", NULL, 0, 0);
	zt_equal(zt_apply(tree, op, 5), 0);
	return tree;
}

static void check_same(struct zk_tree *tree, const struct zk_tree_stats *before, u64 order)
{
	struct zk_tree_stats after;

	zk_tree_stats(tree, &after);
	zt_check(!memcmp(before, &after, sizeof(after)));
	zt_equal(zt_verify(tree).order, order);
}

/* Returns how many allocations the scene makes. */
static u32 play(const struct scene *s)
{
	struct zk_tree *tree = furnished();
	struct zk_txn txn = { .time = 5, .flags = s->flags, .n_ops = s->n, .ops = s->op };
	struct zk_tree_stats before;
	struct zk_link_result res;
	u64 order;
	u32 n = 0;
	int err;

	zk_tree_reclaim(tree, true);
	zk_tree_stats(tree, &before);
	order = zt_verify(tree).order;
	txn.zxid = before.zxid + 1;
	do {
		fail_at = ++n;
		err = zk_tree_link(tree, &txn, &res);
		fail_at = 0;
		if (err) {
			zt_equal(err, -ENOMEM);
			check_same(tree, &before, order);
		}
	} while (err && n < 1000 && !zt_failed());
	if (!err) {
		/* From here on nothing may depend on memory. */
		compat_may_alloc = fail_all;
		fail_at = 1;
		zk_tree_publish(tree);
		fail_at = 0;
		compat_may_alloc = fail_nth;
		zk_tree_stats(tree, &before);
		zt_equal(before.digest, res.digest);
		zt_verify(tree);
	}
	zt_tree_done(tree);
	return n - 1;
}

static void failing_txns(void)
{
	struct scene scenes[] = {
		{ { zt_create("/new", "data", 4, 0) }, 1, 0 },
		{ { with_acl(zt_create("/d/s/t/deep", "data", 4, 99), 2) }, 1, 0 },
		{ { zt_create("/c/ttl", "data", 4, ZK_OWNER_TTL_MASK | 5) }, 1, 0 },
		{ { zt_set("/d/s", "longer", 6, 2) }, 1, 0 },
		{ { set_acl("/d/s", 3) }, 1, 0 },
		{ { zt_delete("/d/e1") }, 1, 0 },
		{ { { .type = ZK_OP_CLOSE, .owner = 7 } }, 1, 0 },
		{ { zt_delete("/d") }, 1, ZK_TXN_REPLAY },
		{ { with_acl(zt_create("/d/s", "x", 1, 0), 1), zt_delete("/d/none") }, 2,
		  ZK_TXN_REPLAY },
		{ { zt_delete("/zookeeper/quota/c/zookeeper_stats"),
		    zt_create("/zookeeper/quota/c/zookeeper_stats", "x", 1, 0),
		    zt_set("/c", "ccc", 3, 1) }, 3, 0 },
		{ { zt_create("/m", "m", 1, 7), zt_set("/m", "mm", 2, 1), set_acl("/m", 2),
		    zt_delete("/m"), zt_create("/m", NULL, -1, 0),
		    zt_create("/m/k", "k", 1, 8) }, 6, 0 },
	};
	u32 i, n;

	compat_may_alloc = fail_nth;
	for (i = 0; i < ARRAY_SIZE(scenes); i++) {
		n = play(&scenes[i]);
		zt_check(n >= scenes[i].n);
	}
	compat_may_alloc = NULL;
}

/* ------------------------------------------------------------ the rest */

static void failing_trees(void)
{
	struct zk_tree *tree;
	u32 n = 0;

	compat_may_alloc = fail_nth;
	do {
		fail_at = ++n;
		tree = zk_tree_alloc(NULL);
	} while (!tree && n < 100);
	fail_at = 0;
	compat_may_alloc = NULL;
	zt_check(n > 4);
	if (zt_check(tree))
		zt_tree_done(tree);
}

static void failing_loads(void)
{
	struct zk_view root = { .data = "root", .data_len = 4 };
	struct zk_view view = {
		.data = "data", .data_len = 4,
		.stat = { .czxid = 1, .mzxid = 2, .pzxid = 3, .cversion = 1, .aversion = 4,
			  .owner = 6 },
	};
	static const char * const paths[] = { "/", "/a", "/a/b", "/a/c" };
	struct zk_tree *tree = zt_tree(0);
	struct zk_view *v;
	u32 i, n;
	int err;

	compat_may_alloc = fail_nth;
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		v = i ? &view : &root;
		v->crc = zt_crc(paths[i], strlen(paths[i]), v->data, v->data_len);
		n = 0;
		do {
			fail_at = ++n;
			err = zk_tree_load(tree, paths[i], strlen(paths[i]), v,
					   zt_acls[i].jute, zt_acls[i].len);
			fail_at = 0;
		} while (err == -ENOMEM && n < 100);
		zt_equal(err, 0);
		zt_check(n > 1);
		zt_verify(tree);
	}
	compat_may_alloc = NULL;
	zt_equal(zk_tree_load_done(tree, 9), 0);
	zt_verify(tree);
	zt_tree_done(tree);
}

static void failing_random(void)
{
	dice.state = zt_seed;
	zt_memory_fails = fail_now;
	compat_may_alloc = fail_some;
	zt_random_run(zt_seed + 2, true);
	compat_may_alloc = NULL;
	zt_memory_fails = NULL;
}

const struct zt_case zt_user_cases[] = {
	{ "the n-th allocation fails in transactions (C)", failing_txns },
	{ "the n-th allocation fails making a tree", failing_trees },
	{ "the n-th allocation fails loading", failing_loads },
	{ "allocations fail in random operations (C)", failing_random },
	{ NULL, NULL },
};
