// SPDX-License-Identifier: GPL-2.0-or-later
/* Trees of odd shapes: very wide, very deep, long names, any bytes; and bad input. */
#include "zt.h"

static void create(struct zk_tree *tree, const char *path, const void *data, s32 len)
{
	struct zk_op op = zt_create(path, data, len, 0);

	zt_equal(zt_apply(tree, &op, 1), 0);
}

static s32 num_children(struct zk_tree *tree, const char *path)
{
	u64 zxid = zk_tree_zxid(tree);
	struct zk_view view = { };
	struct zk_node *node;

	rcu_read_lock();
	node = zk_lookup(tree, path, strlen(path), zxid);
	zt_check(node && zk_view(node, zxid, &view));
	rcu_read_unlock();
	return view.stat.num_children;
}

/* Lists in pieces, as a paged read does: a pin, and a read section for each piece. */
static u32 list_paged(struct zk_tree *tree, const char *path, const struct zk_pin *pin)
{
	struct zk_node *node;
	u32 n = 0;

	rcu_read_lock();
	node = zk_lookup(tree, path, strlen(path), pin->zxid);
	node = zk_first_child(node, pin->zxid);
	for (; node; node = zk_next_child(node, pin->zxid)) {
		if (++n % 1000)
			continue;
		rcu_read_unlock();
		cond_resched();
		rcu_read_lock();
		zt_check(zk_pin_valid(pin));
	}
	rcu_read_unlock();
	return n;
}

void zt_many_children(void)
{
	u32 many = 100000 * zt_scale, i;
	struct zk_tree *tree = zt_tree(1ULL << 34);
	struct zk_pin pin = { .revocable = true };
	struct zk_op op;
	char path[32];

	create(tree, "/p", NULL, 0);
	for (i = 0; i < many && !zt_failed(); i++) {
		sprintf(path, "/p/%u", i);
		create(tree, path, path, 8);
		cond_resched();
	}
	zt_equal(num_children(tree, "/p"), many);
	zk_pin_take(tree, &pin);
	for (i = 0; i < many && !zt_failed(); i += 2) {
		sprintf(path, "/p/%u", i);
		op = zt_delete(path);
		zt_equal(zt_apply(tree, &op, 1), 0);
		cond_resched();
	}
	zt_equal(num_children(tree, "/p"), many / 2);
	zt_equal(list_paged(tree, "/p", &pin), many);
	zk_pin_drop(tree, &pin);
	zk_pin_take(tree, &pin);
	zt_equal(list_paged(tree, "/p", &pin), many / 2);
	zk_pin_drop(tree, &pin);
	zt_tree_done(tree);
}

void zt_close_many(void)
{
	u32 many = 50000 * zt_scale, i;
	struct zk_tree *tree = zt_tree(1ULL << 34);
	struct zk_tree_stats before, after;
	struct zk_txn txn = { .time = 1, .n_ops = 1 };
	struct zk_pin pin = { .revocable = true };
	struct zk_link_result res;
	struct zk_op op;
	char path[32];

	create(tree, "/p", NULL, 0);
	for (i = 0; i < many && !zt_failed(); i++) {
		sprintf(path, "/p/%u", i);
		op = zt_create(path, "x", 1, 1 + (i & 1));
		zt_equal(zt_apply(tree, &op, 1), 0);
		cond_resched();
	}
	zk_tree_stats(tree, &before);
	zt_equal(before.ephemerals, many);
	zt_equal(before.owners, 2);
	zk_pin_take(tree, &pin);
	op = (struct zk_op){ .type = ZK_OP_CLOSE, .owner = 2 };
	txn.ops = &op;
	txn.zxid = zk_tree_zxid(tree) + 1;
	zt_equal(zk_tree_apply(tree, &txn, &res), 0);
	zt_equal(res.closed, many / 2);
	zk_tree_stats(tree, &after);
	zt_equal(after.ephemerals, many / 2);
	zt_equal(after.owners, 1);
	zt_equal(list_paged(tree, "/p", &pin), many);
	zt_equal(num_children(tree, "/p"), many / 2);
	zk_pin_drop(tree, &pin);
	zk_tree_reclaim(tree, true);
	rcu_read_lock();
	zt_check(!zk_first_owned(tree, 2, zk_tree_zxid(tree)));
	zt_check(zk_first_owned(tree, 1, zk_tree_zxid(tree)));
	rcu_read_unlock();
	/* A session without ephemerals: nothing to do, and no error. */
	txn.zxid++;
	zt_equal(zk_tree_apply(tree, &txn, &res), 0);
	zt_equal(res.closed, 0);
	zt_tree_done(tree);
}

#define DEPTH	500

void zt_deep(void)
{
	char *path = kvmalloc(DEPTH * 16, GFP_KERNEL);
	struct zk_tree *tree = zt_tree(0);
	struct zk_txn txn = { .flags = ZK_TXN_REPLAY, .n_ops = 1 };
	struct zk_tree_stats st;
	struct zk_link_result res;
	struct zk_op op;
	size_t len = 0;
	u32 i;

	if (!zt_check(path && tree))
		return;
	for (i = 0; i < DEPTH; i++) {
		len += sprintf(path + len, "/level%u", i);
		create(tree, path, path, 6);
	}
	zt_verify(tree);
	zt_equal(num_children(tree, path), 0);
	/* Down with all of it at once: nothing here may recurse. */
	op = zt_delete("/level0");
	txn.ops = &op;
	txn.zxid = zk_tree_zxid(tree) + 1;
	zt_equal(zk_tree_apply(tree, &txn, &res), 0);
	zk_tree_stats(tree, &st);
	zt_equal(st.nodes, 1);
	zt_equal(st.data_bytes, 1);
	zt_verify(tree);
	zt_tree_done(tree);
	kvfree(path);
}

static void check_there(struct zk_tree *tree, const char *path, size_t len)
{
	rcu_read_lock();
	zt_check(zk_lookup(tree, path, len, zk_tree_zxid(tree)));
	rcu_read_unlock();
}

void zt_names(void)
{
	static const char odd[] = "/\x01\x02 \xff\xfe\xc0\x00z.\\..";
	size_t long_len = ZK_PATH_MAX, len;
	char *path = kvmalloc(long_len + 2, GFP_KERNEL);
	char *back = kvmalloc(long_len + 2, GFP_KERNEL);
	struct zk_tree *tree = zt_tree(0);
	struct zk_node *node;
	struct zk_op op;

	if (!zt_check(path && back && tree))
		return;
	/* One name as long as a path can be; one byte more is refused. */
	memset(path, 'n', long_len + 1);
	path[0] = '/';
	path[long_len + 1] = 0;
	op = zt_create(path, "d", 1, 6);
	zt_equal(zt_apply(tree, &op, 1), -EINVAL);
	path[long_len] = 0;
	create(tree, path, "d", 1);
	rcu_read_lock();
	node = zk_lookup(tree, path, long_len, zk_tree_zxid(tree));
	if (zt_check(node)) {
		zt_equal(zk_path(node, back, 10), long_len);
		len = zk_path(node, back, long_len);
		zt_equal(len, long_len);
		zt_check(!memcmp(path, back, long_len));
	}
	zt_check(!zk_lookup(tree, path, long_len - 1, zk_tree_zxid(tree)));
	rcu_read_unlock();
	op = zt_delete(path);
	zt_equal(zt_apply(tree, &op, 1), 0);

	/* Any bytes but a slash, a NUL among them. */
	op = zt_create("/x", "d", 1, 0);
	op.path = odd;
	op.path_len = sizeof(odd) - 1;
	op.crc = zt_crc(odd, op.path_len, "d", 1);
	zt_equal(zt_apply(tree, &op, 1), 0);
	check_there(tree, odd, sizeof(odd) - 1);
	rcu_read_lock();
	zt_check(!zk_lookup(tree, odd, 8, zk_tree_zxid(tree)));
	rcu_read_unlock();
	zt_verify(tree);
	zt_tree_done(tree);
	kvfree(path);
	kvfree(back);
}

static void refuse(struct zk_tree *tree, struct zk_op op, int err)
{
	zt_equal(zt_apply(tree, &op, 1), err);
}

static void bad_acls(struct zk_tree *tree)
{
	static const u8 nul[4] = { 0xff, 0xff, 0xff, 0xff };
	struct zk_op op = zt_create("/acl", NULL, 0, 0);
	u32 len = op.acl_len, i;
	u8 acl[64];

	/* Every shorter length, and a longer one. */
	memset(acl, 0, sizeof(acl));
	memcpy(acl, op.acl, len);
	op.acl = acl;
	for (i = 0; i < len; i++) {
		op.acl_len = i;
		refuse(tree, op, -EINVAL);
	}
	op.acl_len = len + 1;
	refuse(tree, op, -EINVAL);
	/* Lengths inside that lie. */
	op.acl_len = len;
	for (i = 0; i < len; i++) {
		if (i >= 4 && i < 8)
			continue;	/* perms: any */
		acl[i] ^= 0x80;
		if (i < 12 || (i > 16 && i < 21))
			refuse(tree, op, -EINVAL);
		acl[i] ^= 0x80;
	}
	acl[0] = 0x7f;
	refuse(tree, op, -EINVAL);
	/* The null vector is the open ACL. */
	op.acl = nul;
	op.acl_len = sizeof(nul);
	refuse(tree, op, 0);
	rcu_read_lock();
	{
		u64 zxid = zk_tree_zxid(tree);
		struct zk_node *node = zk_lookup(tree, "/acl", 4, zxid);
		struct zk_view view;

		zt_check(node && zk_view(node, zxid, &view) && view.acl->world == 31);
	}
	rcu_read_unlock();
}

void zt_bad_input(void)
{
	static const char * const paths[] = {
		"", "a", "//", "//a", "/a/", "/a//b", "a/b", "/a/b/",
	};
	struct zk_tree *tree = zt_tree(0);
	struct zk_op op;
	u32 i;

	create(tree, "/a", NULL, 0);
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		op = zt_create(paths[i], NULL, 0, 0);
		zt_check(zt_apply(tree, &op, 1) < 0);
		op.type = ZK_OP_DELETE;
		zt_check(zt_apply(tree, &op, 1) < 0);
		op.type = ZK_OP_SETDATA;
		zt_check(zt_apply(tree, &op, 1) < 0);
		op.type = ZK_OP_SETACL;
		zt_check(zt_apply(tree, &op, 1) < 0);
		rcu_read_lock();
		zt_check(!zk_lookup(tree, paths[i], strlen(paths[i]), ZK_ZXID_LATEST));
		rcu_read_unlock();
	}
	refuse(tree, zt_delete("/"), -EINVAL);
	refuse(tree, zt_create("/", NULL, 0, 0), -EEXIST);
	refuse(tree, zt_create("/a", NULL, 0, 0), -EEXIST);
	refuse(tree, zt_create("/b/c", NULL, 0, 0), -ENOENT);
	refuse(tree, zt_set("/b", NULL, 0, 0), -ENOENT);
	refuse(tree, zt_create("/b", NULL, -2, 0), -EINVAL);
	op = zt_create("/b", NULL, 0, 0);
	op.type = 0;
	refuse(tree, op, -EINVAL);
	op.type = ZK_OP_CREATE;
	zt_equal(zt_apply_at(tree, zk_tree_zxid(tree), &op, 1), -EINVAL);
	zt_equal(zt_apply_at(tree, ZK_ZXID_LATEST, &op, 1), -EINVAL);
	bad_acls(tree);
	/* No operation: only the zxid moves. */
	zt_equal(zt_apply_at(tree, 1000, NULL, 0), 0);
	zt_equal(zk_tree_zxid(tree), 1000);
	zt_verify(tree);
	zt_tree_done(tree);
}
