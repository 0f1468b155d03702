// SPDX-License-Identifier: GPL-2.0-or-later
/* Sharing of ACLs; replay over a fuzzy snapshot; loading. */
#include "zt.h"

static bool view_of(struct zk_tree *tree, const char *path, struct zk_view *view)
{
	u64 zxid = zk_tree_zxid(tree);
	struct zk_node *node;
	bool there;

	rcu_read_lock();
	node = zk_lookup(tree, path, strlen(path), zxid);
	there = node && zk_view(node, zxid, view);
	rcu_read_unlock();
	return there;
}

/* ------------------------------------------------------------ ACLs */

static u64 acl_id(struct zk_tree *tree, const char *path)
{
	struct zk_view view = { };

	if (!zt_check(view_of(tree, path, &view)))
		return 0;
	return view.acl->id;
}

static bool acl_there(struct zk_tree *tree, u64 id)
{
	bool there;

	rcu_read_lock();
	there = zk_acl_by_id(tree, id);
	rcu_read_unlock();
	return there;
}

void zt_acls_shared(void)
{
	struct zk_tree *tree = zt_tree(0);
	struct zk_op op;
	u64 open, mine;
	char path[16];
	u32 i;

	for (i = 0; i < 300; i++) {
		sprintf(path, "/n%u", i);
		op = zt_create(path, NULL, 0, 0);
		op.acl = zt_acls[i % 2 * 2].jute;
		op.acl_len = zt_acls[i % 2 * 2].len;
		zt_equal(zt_apply(tree, &op, 1), 0);
	}
	open = acl_id(tree, "/");
	mine = acl_id(tree, "/n1");
	zt_check(open != mine);
	zt_equal(acl_id(tree, "/n0"), open);
	zt_equal(acl_id(tree, "/n298"), open);
	zt_equal(acl_id(tree, "/n299"), mine);

	/* The last user gone, it goes; should it come back, it is another one. */
	for (i = 1; i < 300; i += 2) {
		zk_tree_reclaim(tree, true);
		zt_check(acl_there(tree, mine));
		sprintf(path, "/n%u", i);
		op = i % 4 == 1 ? zt_delete(path) : zt_create(path, NULL, 0, 0);
		if (op.type == ZK_OP_CREATE)
			op.type = ZK_OP_SETACL;
		zt_equal(zt_apply(tree, &op, 1), 0);
	}
	zk_tree_reclaim(tree, true);
	zt_check(!acl_there(tree, mine));
	zt_check(acl_there(tree, open));
	op = zt_create("/new", NULL, 0, 0);
	op.acl = zt_acls[2].jute;
	op.acl_len = zt_acls[2].len;
	zt_equal(zt_apply(tree, &op, 1), 0);
	zt_check(acl_id(tree, "/new") != mine);
	zt_tree_done(tree);
}

/* ------------------------------------------------------------ replay, load */

static void load(struct zk_tree *tree, const char *path, const char *data,
		 const struct zk_stat *stat)
{
	struct zk_view view = { .data = data, .data_len = strlen(data), .stat = *stat };

	view.crc = zt_crc(path, strlen(path), data, view.data_len);
	zt_equal(zk_tree_load(tree, path, strlen(path), &view, zt_acls[0].jute,
			      zt_acls[0].len), 0);
}

static void replay(struct zk_tree *tree, u64 zxid, struct zk_op op)
{
	struct zk_txn txn = {
		.zxid = zxid, .time = (s64)zxid * 10, .flags = ZK_TXN_REPLAY, .n_ops = 1,
		.ops = &op,
	};
	struct zk_link_result res;

	zt_equal(zk_tree_apply(tree, &txn, &res), 0);
}

static struct zk_op with_pcversion(struct zk_op op, s32 pcversion)
{
	op.pcversion = pcversion;
	return op;
}

/*
 * A snapshot begun at zxid 10 that ended at 20, so that it has some of what 11 to 20
 * did, and the log of 11 to 20: the outcome is what a server that saw them in order has.
 */
void zt_replay_rules(void)
{
	struct zk_tree *tree = zt_tree(0), *straight = zt_tree(0);
	struct zk_stat root = { .pzxid = 5, .cversion = 1 };
	struct zk_stat a = {
		.czxid = 5, .mzxid = 5, .pzxid = 8, .ctime = 50, .mtime = 50, .cversion = 3,
	};
	struct zk_stat b = {
		.czxid = 8, .mzxid = 8, .pzxid = 8, .ctime = 80, .mtime = 80,
	};
	struct zk_stat a_late = a, b_late = b, new_late;
	struct zk_op log[10];
	struct zk_tree_stats st, want;
	struct zk_view view = { };
	u32 i;

	log[0] = zt_set("/a/b", "set11", 5, 1);
	log[1] = with_pcversion(zt_create("/a/e", "e", 1, 9), 4);
	log[2] = zt_set("/a/b", "set13", 5, 2);
	log[3] = zt_delete("/a/e");
	log[4] = with_pcversion(zt_create("/a/new", "new", 3, 0), 5);
	log[5] = with_pcversion(zt_create("/a/new/kid", "kid", 3, 0), 1);
	log[6] = zt_delete("/a/new/kid");
	log[7] = zt_delete("/a/new");
	log[8] = with_pcversion(zt_create("/a/new", "again", 5, 0), 6);
	log[9] = with_pcversion(zt_create("/a/new/other", "o", 1, 0), 1);

	load(straight, "/", "", &root);
	load(straight, "/a", "a", &a);
	load(straight, "/a/b", "b", &b);
	zt_equal(zk_tree_load_done(straight, 10), 0);
	for (i = 0; i < 10; i++)
		replay(straight, 11 + i, log[i]);

	/* The fuzzy one: all is there already that 20 left. */
	a_late.pzxid = 19;
	a_late.cversion = 6;
	b_late.mzxid = 13;
	b_late.mtime = 130;
	b_late.version = 2;
	new_late = (struct zk_stat){
		.czxid = 19, .mzxid = 19, .pzxid = 20, .ctime = 190, .mtime = 190,
		.cversion = 1,
	};
	load(tree, "/", "", &root);
	load(tree, "/a", "a", &a_late);
	load(tree, "/a/b", "set13", &b_late);
	load(tree, "/a/new", "again", &new_late);
	new_late = (struct zk_stat){
		.czxid = 20, .mzxid = 20, .pzxid = 20, .ctime = 200, .mtime = 200,
	};
	load(tree, "/a/new/other", "o", &new_late);
	for (i = 0; i < 10; i++)
		replay(tree, 11 + i, log[i]);
	zt_equal(zk_tree_load_done(tree, 20), 0);

	zt_verify(tree);
	zt_verify(straight);
	zk_tree_stats(tree, &st);
	zk_tree_stats(straight, &want);
	zt_equal(st.digest, want.digest);
	zt_equal(st.nodes, want.nodes);
	zt_equal(st.data_bytes, want.data_bytes);
	zt_check(view_of(tree, "/a", &view));
	zt_equal(view.stat.cversion, 6);
	zt_equal(view.stat.pzxid, 19);
	zt_equal(view.stat.num_children, 2);
	zt_tree_done(tree);
	zt_tree_done(straight);
}

/* A fuzzy snapshot may hold what is newer than the zxid that its tree is given. */
static void load_future(void)
{
	struct zk_stat root = { .pzxid = 120, .cversion = 1 };
	struct zk_stat stat = {
		.czxid = 120, .mzxid = 130, .pzxid = 140, .version = 1, .cversion = 2,
		.aversion = 1,
	};
	struct zk_tree *tree = zt_tree(0);
	struct zk_view view = { };
	struct zk_op op;

	load(tree, "/", "", &root);
	load(tree, "/changed", "x", &stat);
	stat = (struct zk_stat){ .czxid = 120, .mzxid = 120, .pzxid = 125, .mtime = 5 };
	load(tree, "/changed/born", "y", &stat);
	zt_equal(zk_tree_load_done(tree, 100), 0);
	zt_equal(zk_tree_zxid(tree), 100);
	zt_equal(zt_verify(tree).nodes, 3);
	zt_check(view_of(tree, "/changed", &view));
	zt_equal(view.stat.mzxid, 130);
	zt_equal(view.stat.pzxid, 140);
	zt_equal(view.stat.aversion, 1);
	zt_equal(view.stat.num_children, 1);
	zt_check(view_of(tree, "/changed/born", &view));
	zt_equal(view.stat.mzxid, 120);
	zt_equal(view.stat.pzxid, 125);
	zt_equal(view.stat.mtime, 5);
	zt_equal(view.stat.ctime, 0);
	op = zt_set("/changed/born", "z", 1, 1);
	zt_equal(zt_apply(tree, &op, 1), 0);
	op = zt_delete("/changed/born");
	zt_equal(zt_apply(tree, &op, 1), 0);
	zk_tree_reclaim(tree, true);
	zt_equal(zt_verify(tree).nodes, 2);
	zt_tree_done(tree);
}

static void make_varied(struct zk_tree *tree)
{
	struct zk_op op[3];
	char path[32];
	u32 i;

	op[0] = zt_create("/d", "dir", 3, 0);
	op[1] = zt_create("/d/null", NULL, -1, 0);
	op[2] = zt_set("/", "root", 4, 1);
	zt_equal(zt_apply(tree, op, 3), 0);
	for (i = 0; i < 50; i++) {
		sprintf(path, "/d/n%u", i);
		op[0] = zt_create(path, path, i % 8, i % 4 == 1 ? i % 3 + 1 :
				  i % 4 == 2 ? ZK_OWNER_CONTAINER : 0);
		op[1] = zt_set(path, path, i % 5, i);
		op[2] = zt_create(path, NULL, 0, 0);
		op[2].type = ZK_OP_SETACL;
		op[2].version = i;
		op[2].acl = zt_acls[i % ZT_ACLS].jute;
		op[2].acl_len = zt_acls[i % ZT_ACLS].len;
		zt_equal(zt_apply(tree, op, 1 + i % 3), 0);
	}
	op[0] = zt_delete("/d/n3");
	zt_equal(zt_apply(tree, op, 1), 0);
	op[0] = zt_create("/d/n2/kid", "k", 1, 0);
	op[1] = zt_delete("/d/n2/kid");
	zt_equal(zt_apply(tree, op, 2), 0);
}

/* Every node with its stat, parents first, from one tree into another. */
static void copy(struct zk_tree *from, struct zk_tree *to)
{
	u64 zxid = zk_tree_zxid(from);
	struct zk_pin pin = { .revocable = false };
	struct zk_node *root, *node;
	struct zk_view view;
	char path[64];
	size_t len;

	zk_pin_take(from, &pin);
	rcu_read_lock();
	root = zk_lookup(from, "/", 1, zxid);
	for (node = root; node; node = zk_next_preorder(root, node, zxid)) {
		len = zk_path(node, path, sizeof(path));
		zt_check(zk_view(node, zxid, &view));
		rcu_read_unlock();
		/* The pin keeps what the view points to. */
		zt_equal(zk_tree_load(to, path, len, &view, view.acl->jute, view.acl->len), 0);
		zt_equal(zk_tree_load(to, path, len, &view, view.acl->jute, view.acl->len),
			 -EEXIST);
		rcu_read_lock();
	}
	rcu_read_unlock();
	zk_pin_drop(from, &pin);
	zt_equal(zk_tree_load_done(to, zxid), 0);
}

void zt_load(void)
{
	struct zk_tree *from = zt_tree(0), *to = zt_tree(0);
	struct zk_tree_stats a, b;
	struct zk_view orphan = { };
	struct zk_op op;

	load_future();
	make_varied(from);
	zt_equal(zk_tree_load(to, "/no/parent", 10, &orphan, zt_acls[0].jute,
			      zt_acls[0].len), -ENOENT);
	zt_equal(zk_tree_load(to, "/bad/", 5, &orphan, zt_acls[0].jute, zt_acls[0].len),
		 -EINVAL);
	zt_equal(zk_tree_load(to, "/acl", 4, &orphan, zt_acls[0].jute, 7), -EINVAL);
	copy(from, to);
	zt_equal(zt_verify(from).order, zt_verify(to).order);
	zk_tree_stats(from, &a);
	zk_tree_stats(to, &b);
	zt_equal(b.zxid, a.zxid);
	zt_equal(b.digest, a.digest);
	zt_equal(b.nodes, a.nodes);
	zt_equal(b.ephemerals, a.ephemerals);
	zt_equal(b.owners, a.owners);
	zt_equal(b.data_bytes, a.data_bytes);
	zt_equal(b.retained, 0);

	/* From here on both go the same way. */
	op = (struct zk_op){ .type = ZK_OP_CLOSE, .owner = 2 };
	zt_equal(zt_apply(from, &op, 1), 0);
	zt_equal(zt_apply(to, &op, 1), 0);
	op = zt_create("/d/more", "x", 1, 0);
	zt_equal(zt_apply(from, &op, 1), 0);
	zt_equal(zt_apply(to, &op, 1), 0);
	zt_equal(zt_verify(from).order, zt_verify(to).order);
	zk_tree_stats(from, &a);
	zk_tree_stats(to, &b);
	zt_equal(b.digest, a.digest);
	zt_equal(zk_tree_load(to, "/late", 5, &orphan, zt_acls[0].jute, zt_acls[0].len),
		 -EINVAL);
	zt_tree_done(from);
	zt_tree_done(to);
}

/* ------------------------------------------------------------ aside */

#define CONFIG	"/zookeeper/config"

static int set_aside(struct zk_tree *tree, u64 mzxid, u32 flags, struct zk_op op)
{
	struct zk_txn txn = {
		.zxid = mzxid, .time = 77, .flags = ZK_TXN_ASIDE | flags, .n_ops = 1,
		.ops = &op,
	};
	struct zk_link_result res;

	return zk_tree_apply(tree, &txn, &res);
}

static void config_is(struct zk_tree *tree, const char *data, u64 mzxid)
{
	struct zk_view view = { };

	if (!zt_check(view_of(tree, CONFIG, &view)))
		return;
	zt_equal(view.data_len, strlen(data));
	zt_check(!memcmp(view.data, data, strlen(data)));
	zt_equal(view.stat.mzxid, mzxid);
	zt_equal(view.stat.mtime, 77);
	zt_equal(view.stat.version, -1);
}

/* The zxid stays, whatever the mzxid; who holds a pin keeps what he found. */
void zt_aside(void)
{
	struct zk_tree *tree = zt_tree(0);
	struct zk_pin pin = { };
	struct zk_tree_stats st;
	struct zk_view held = { };
	struct zk_node *node;
	struct zk_op op;
	u64 digest, zxid;
	int i;

	op = zt_create("/zookeeper", NULL, 0, 0);
	zt_equal(zt_apply(tree, &op, 1), 0);
	op = zt_create(CONFIG, "first", 5, 0);
	zt_equal(zt_apply(tree, &op, 1), 0);
	zk_tree_stats(tree, &st);
	digest = st.digest;
	zxid = st.zxid;

	zk_pin_take(tree, &pin);
	rcu_read_lock();
	node = zk_lookup(tree, CONFIG, strlen(CONFIG), pin.zxid);
	zt_check(node && zk_view(node, pin.zxid, &held));
	rcu_read_unlock();
	for (i = 0; i < 3; i++) {
		op = zt_set(CONFIG, "0123" + i, 4 - i, -1);
		zt_equal(set_aside(tree, zxid + 1000 * i, i % 2 ? ZK_TXN_REPLAY : 0, op), 0);
		config_is(tree, "0123" + i, zxid + 1000 * i);
		zt_equal(zk_tree_zxid(tree), zxid);
	}
	zk_tree_reclaim(tree, true);
	zt_check(held.data_len == 5 && !memcmp(held.data, "first", 5));
	zt_equal(zt_verify(tree).digest, digest);
	zk_pin_drop(tree, &pin);

	op = zt_set("/zookeeper", "x", 1, -1);
	zt_equal(set_aside(tree, zxid, 0, op), -EINVAL);
	op = zt_create("/zookeeper/x", "x", 1, 0);
	zt_equal(set_aside(tree, zxid, 0, op), -EINVAL);
	op = zt_set("/zookeeper/none", "x", 1, -1);
	zt_equal(set_aside(tree, zxid, 0, op), -ENOENT);
	zt_equal(set_aside(tree, zxid, ZK_TXN_REPLAY, op), 0);

	op = zt_set(CONFIG, "by a transaction", 16, 5);
	zt_equal(zt_apply(tree, &op, 1), 0);
	zt_equal(zk_tree_zxid(tree), zxid + 1);
	zt_tree_done(tree);
}
