// SPDX-License-Identifier: GPL-2.0-or-later
/* See zt.h. */
#include <asm/unaligned.h>
#include <linux/crc32.h>

#include "zt.h"

/* ------------------------------------------------------------ checks */

static struct {
	bool failed;
	char what[256];
} now;

void zt_fail(const char *file, int line, const char *what, u64 got, u64 want)
{
	/*
	 * Threads may fail together; the first text is the one that is kept whole
	 * enough to read.
	 */
	if (READ_ONCE(now.failed))
		return;
	WRITE_ONCE(now.failed, true);
	snprintf(now.what, sizeof(now.what), "# %s:%d: %s: %lld (0x%llx), not %lld", file,
		 line, what, (long long)got, (unsigned long long)got, (long long)want);
}

bool zt_failed(void)
{
	return READ_ONCE(now.failed);
}

/* ------------------------------------------------------------ the suite */

u64 zt_seed;
u32 zt_scale = 1;
void (*zt_memory_fails)(bool now);

static bool wanted(const struct zt_case *c, const char *only)
{
	return !only || !*only || strstr(c->name, only);
}

static u32 run_table(const struct zt_case *c, const char *only, u32 *n,
		     void (*print)(const char *line))
{
	char line[160];
	u32 bad = 0;

	for (; c->name; c++) {
		if (!wanted(c, only))
			continue;
		now.failed = false;
		c->run();
		snprintf(line, sizeof(line), "%s %u - %s", now.failed ? "not ok" : "ok", ++*n,
			 c->name);
		print(line);
		if (now.failed)
			print(now.what);
		bad += now.failed;
	}
	return bad;
}

int zt_run(const struct zt_case * const *tables, const char *only,
	   void (*print)(const char *line))
{
	const struct zt_case * const *table;
	const struct zt_case *c;
	u32 n = 0, bad = 0;
	char line[64];

	for (table = tables; *table; table++)
		for (c = *table; c->name; c++)
			n += wanted(c, only);
	snprintf(line, sizeof(line), "1..%u", n);
	print(line);
	snprintf(line, sizeof(line), "# seed %llu", (unsigned long long)zt_seed);
	print(line);
	n = 0;
	for (table = tables; *table; table++)
		bad += run_table(*table, only, &n, print);
	return bad;
}

/* ------------------------------------------------------------ small tools */

u32 zt_rand(struct zt_rand *r)
{
	u64 z;

	/* splitmix64 */
	r->state += 0x9e3779b97f4a7c15ULL;
	z = r->state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (u32)((z ^ (z >> 31)) >> 16);
}

u32 zt_below(struct zt_rand *r, u32 n)
{
	return zt_rand(r) % n;
}

u32 zt_crc(const char *path, size_t len, const void *data, s32 data_len)
{
	u32 crc = ~0U;

	if (len > 1)
		crc = crc32_le(crc, (const u8 *)path, len);
	if (data_len > 0)
		crc = crc32_le(crc, data, data_len);
	return ~crc;
}

#define WORLD(perms) "\0\0\0" perms "\0\0\0\5world\0\0\0\6anyone"
#define DIGEST(perms) "\0\0\0" perms "\0\0\0\6digest\0\0\0\4me:x"
#define ACL(n, jute, w) { (const u8 *)("\0\0\0" n jute), sizeof("\0\0\0" n jute) - 1, w }

const struct zt_acl zt_acls[ZT_ACLS] = {
	ACL("\1", WORLD("\37"), 31),
	ACL("\1", WORLD("\1"), 1),
	ACL("\1", DIGEST("\37"), 0),
	ACL("\2", DIGEST("\37") WORLD("\3"), 3),
};

struct zk_op zt_create(const char *path, const void *data, s32 len, u64 owner)
{
	struct zk_op op = {
		.type = ZK_OP_CREATE,
		.path = path,
		.path_len = strlen(path),
		.data = data,
		.data_len = len,
		.acl = zt_acls[0].jute,
		.acl_len = zt_acls[0].len,
		.pcversion = -1,
		.owner = owner,
	};

	op.crc = zt_crc(path, op.path_len, data, len);
	return op;
}

struct zk_op zt_delete(const char *path)
{
	struct zk_op op = {
		.type = ZK_OP_DELETE,
		.path = path,
		.path_len = strlen(path),
	};

	return op;
}

struct zk_op zt_set(const char *path, const void *data, s32 len, s32 version)
{
	struct zk_op op = zt_create(path, data, len, 0);

	op.type = ZK_OP_SETDATA;
	op.version = version;
	return op;
}

int zt_apply_at(struct zk_tree *tree, u64 zxid, const struct zk_op *ops, u32 n)
{
	struct zk_txn txn = {
		.zxid = zxid,
		.time = (s64)(1000000 + zxid),
		.n_ops = n,
		.ops = ops,
	};
	struct zk_link_result res;

	return zk_tree_apply(tree, &txn, &res);
}

int zt_apply(struct zk_tree *tree, const struct zk_op *ops, u32 n)
{
	return zt_apply_at(tree, zk_tree_zxid(tree) + 1, ops, n);
}

/* ------------------------------------------------------------ walks */

#define PATH_CAP	8192

static u32 node_digest(const char *path, size_t len, const struct zk_view *v)
{
	u32 crc = ~zt_crc(path, len, v->data, v->data_len);
	u8 b[60];

	if (len > 11 && !memcmp(path, "/zookeeper/", 11))
		return 0;
	put_unaligned_be64(v->stat.czxid, b);
	put_unaligned_be64(v->stat.mzxid, b + 8);
	put_unaligned_be64(v->stat.pzxid, b + 16);
	put_unaligned_be64(v->stat.ctime, b + 24);
	put_unaligned_be64(v->stat.mtime, b + 32);
	put_unaligned_be32(v->stat.version, b + 40);
	put_unaligned_be32(v->stat.cversion, b + 44);
	put_unaligned_be32(v->stat.aversion, b + 48);
	put_unaligned_be64(v->stat.owner, b + 52);
	return ~crc32_le(crc, b, sizeof(b));
}

static s32 count_children(const struct zk_node *node, u64 zxid)
{
	const struct zk_node *child = zk_first_child(node, zxid);
	s32 n = 0;

	for (; child; child = zk_next_child(child, zxid))
		n++;
	return n;
}

struct zt_sum zt_walk(struct zk_tree *tree, u64 zxid)
{
	char *path = kvmalloc(PATH_CAP, GFP_KERNEL);
	struct zk_node *root, *node;
	struct zt_sum sum = { };
	struct zk_view view;
	size_t len;

	if (!zt_check(path))
		return sum;
	rcu_read_lock();
	root = zk_lookup(tree, "/", 1, zxid);
	zt_check(root);
	for (node = root; node; node = zk_next_preorder(root, node, zxid)) {
		len = zk_path(node, path, PATH_CAP);
		if (!zt_check(len <= PATH_CAP) || !zt_check(zk_view(node, zxid, &view)))
			break;
		zt_check(zk_lookup(tree, path, len, zxid) == node);
		zt_equal(zt_crc(path, len, view.data, view.data_len), view.crc);
		zt_equal(count_children(node, zxid), view.stat.num_children);
		sum.digest += node_digest(path, len, &view);
		sum.order = sum.order * 1000003 + zt_crc(path, len, view.data, view.data_len);
		sum.nodes++;
		if (zt_failed())
			break;
	}
	rcu_read_unlock();
	kvfree(path);
	return sum;
}

struct zt_sum zt_verify(struct zk_tree *tree)
{
	struct zk_tree_stats st;
	struct zt_sum sum;

	zk_tree_stats(tree, &st);
	sum = zt_walk(tree, st.zxid);
	zt_equal(sum.digest, st.digest);
	zt_equal(sum.nodes, st.nodes);
	return sum;
}

struct zk_tree *zt_tree(u64 retain_limit)
{
	struct zk_tree_params params = { .retain_limit = retain_limit };
	struct zk_tree *tree = zk_tree_alloc(&params);

	zt_check(tree);
	return tree;
}

void zt_tree_done(struct zk_tree *tree)
{
	struct zk_tree_stats st;

	zk_tree_reclaim(tree, true);
	zk_tree_stats(tree, &st);
	zt_equal(st.retained, 0);
	zt_equal(st.pins, 0);
	zk_tree_put(tree);
}
