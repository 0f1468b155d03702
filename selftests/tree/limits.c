// SPDX-License-Identifier: GPL-2.0-or-later
/* What pins may hold back, and what a failed or aborted transaction leaves. */
#include "zt.h"

#define LIMIT	(256 * 1024)

static struct zk_tree *tree_with(const char *path)
{
	struct zk_tree *tree = zt_tree(LIMIT);
	struct zk_op op = zt_create(path, "0", 1, 0);

	zt_equal(zt_apply(tree, &op, 1), 0);
	return tree;
}

/* Writes about @kib KiB over and over the same node. */
static void write_kib(struct zk_tree *tree, const char *path, u32 kib)
{
	static const u8 data[1024];
	struct zk_op op = zt_set(path, data, sizeof(data), 1);

	while (kib--)
		zt_equal(zt_apply(tree, &op, 1), 0);
}

void zt_retain_limit(void)
{
	struct zk_tree *tree = tree_with("/a");
	struct zk_pin old = { .revocable = true }, young = { .revocable = true };
	struct zk_tree_stats st;
	struct zt_sum before;

	zk_pin_take(tree, &old);
	write_kib(tree, "/a", 100);
	zk_pin_take(tree, &young);
	before = zt_walk(tree, young.zxid);
	zk_tree_reclaim(tree, true);
	zk_tree_stats(tree, &st);
	zt_check(st.retained > 99 * 1024 && st.retained <= LIMIT);
	zt_check(zk_pin_valid(&old));

	/* Over the limit with the old one, not with the young one alone. */
	write_kib(tree, "/a", 180);
	zt_check(!zk_pin_valid(&old));
	zt_check(zk_pin_valid(&young));
	zk_tree_reclaim(tree, true);
	zk_tree_stats(tree, &st);
	zt_check(st.retained <= LIMIT);
	zt_equal(zt_walk(tree, young.zxid).order, before.order);
	zt_equal(zt_walk(tree, young.zxid).digest, young.digest);

	write_kib(tree, "/a", 400);
	zt_check(!zk_pin_valid(&young));
	zk_tree_stats(tree, &st);
	zt_equal(st.pins, 2);
	zk_pin_drop(tree, &young);
	zk_pin_drop(tree, &old);
	zt_verify(tree);
	zt_tree_done(tree);
}

void zt_retain_owner_pin(void)
{
	struct zk_tree *tree = tree_with("/a");
	struct zk_pin owner = { .revocable = false }, other = { .revocable = true };
	struct zk_tree_stats st;

	zk_pin_take(tree, &owner);
	write_kib(tree, "/a", 1);
	zk_pin_take(tree, &other);
	write_kib(tree, "/a", 1000);
	/* The other one is not sacrificed: nothing would be freed by it. */
	zt_check(zk_pin_valid(&owner) && zk_pin_valid(&other));
	zt_equal(zt_walk(tree, owner.zxid).digest, owner.digest);
	zt_equal(zt_walk(tree, other.zxid).digest, other.digest);
	zk_tree_stats(tree, &st);
	zt_check(st.retained > 999 * 1024);

	/* Once it is gone, the other is the oldest, and over the limit. */
	zk_pin_drop(tree, &owner);
	write_kib(tree, "/a", 1);
	zt_check(!zk_pin_valid(&other));
	zk_pin_drop(tree, &other);
	zt_tree_done(tree);
}

static void try_abort(struct zk_tree *tree, const struct zk_op *op, u32 n, u32 flags)
{
	struct zk_tree_stats before, after;
	struct zk_link_result res, again;
	struct zk_txn txn = { .time = 7, .flags = flags, .n_ops = n, .ops = op };
	struct zt_sum sum = zt_verify(tree);

	zk_tree_stats(tree, &before);
	txn.zxid = before.zxid + 1;
	zt_equal(zk_tree_link(tree, &txn, &res), 0);
	zt_equal(zt_walk(tree, before.zxid).order, sum.order);
	zk_tree_abort(tree);
	zk_tree_stats(tree, &after);
	zt_check(!memcmp(&before, &after, sizeof(before)));
	zt_equal(zt_verify(tree).order, sum.order);

	zt_equal(zk_tree_link(tree, &txn, &again), 0);
	zt_equal(again.digest, res.digest);
	zk_tree_abort(tree);
}

/* More steps than fit into a chunk of the queues. */
static void abort_many(struct zk_tree *tree)
{
	u32 n = 1000, i;
	struct zk_op *op = kvmalloc(n * sizeof(*op), GFP_KERNEL);

	if (!zt_check(op))
		return;
	for (i = 0; i < n; i++)
		op[i] = zt_set("/a", "changed", 7, i);
	try_abort(tree, op, n, 0);
	kvfree(op);
}

static u64 acl_id(struct zk_tree *tree, const char *path)
{
	u64 zxid = zk_tree_zxid(tree), id = 0;
	struct zk_node *node;
	struct zk_view view;

	rcu_read_lock();
	node = zk_lookup(tree, path, strlen(path), zxid);
	if (zt_check(node && zk_view(node, zxid, &view)))
		id = view.acl->id;
	rcu_read_unlock();
	return id;
}

/* ACLs that an aborted transaction brought take no ids with them. */
static void check_acl_ids(struct zk_tree *tree)
{
	struct zk_op op = zt_create("/id1", "x", 1, 0);
	u64 id;

	op.acl = zt_acls[1].jute;
	op.acl_len = zt_acls[1].len;
	zt_equal(zt_apply(tree, &op, 1), 0);
	id = acl_id(tree, "/id1");
	op = zt_create("/id2", "x", 1, 0);
	op.acl = zt_acls[2].jute;
	op.acl_len = zt_acls[2].len;
	try_abort(tree, &op, 1, 0);
	zt_equal(zt_apply(tree, &op, 1), 0);
	zt_equal(acl_id(tree, "/id2"), id + 1);
}

void zt_abort(void)
{
	struct zk_tree *tree = tree_with("/a");
	struct zk_op op[8];
	u32 i;

	op[0] = zt_create("/a/e", "x", 1, 3);
	op[1] = zt_create("/a/f", NULL, -1, 0);
	op[2] = zt_create("/a/f/g", "y", 1, ZK_OWNER_CONTAINER);
	zt_equal(zt_apply(tree, op, 3), 0);
	zk_tree_reclaim(tree, true);

	/* All kinds of steps, some of them on what the transaction itself has made. */
	op[0] = zt_create("/b", "x", 1, 4);
	op[1] = zt_set("/b", "longer", 6, 1);
	op[2] = zt_delete("/b");
	op[3] = zt_create("/b", "y", 1, 0);
	op[4] = zt_create("/b/c", "y", 1, ZK_OWNER_TTL_MASK | 9);
	op[5] = zt_create("/b", "", 0, 0);
	op[5].type = ZK_OP_SETACL;
	op[5].acl = zt_acls[3].jute;
	op[5].acl_len = zt_acls[3].len;
	op[5].version = 9;
	op[6] = (struct zk_op){ .type = ZK_OP_CLOSE, .owner = 3 };
	op[7] = zt_delete("/a/f/g");
	try_abort(tree, op, 8, 0);
	/* With replay: create of what exists, delete of a whole subtree. */
	op[0] = zt_create("/a/e", "x", 1, 3);
	op[1] = zt_delete("/a");
	op[2] = zt_delete("/nothing");
	try_abort(tree, op, 3, ZK_TXN_REPLAY);

	abort_many(tree);
	check_acl_ids(tree);
	/* Refused in the end: all that came before it is taken back too. */
	op[0] = zt_delete("/a/e");
	op[1] = zt_create("/c", "z", 1, 8);
	op[2] = zt_delete("/a");
	for (i = 0; i < 3; i++) {
		struct zt_sum sum = zt_verify(tree);

		zt_equal(zt_apply(tree, op, 3), -ENOTEMPTY);
		zt_equal(zt_verify(tree).order, sum.order);
	}
	zt_tree_done(tree);
}
