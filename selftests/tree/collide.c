// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paths and ACLs with equal hashes, found by trying (the key is the tree's, so that only
 * the tree can say): each must be itself all the same.
 */
#include "internal.h"
#include "zt.h"

#define SLOTS	1048576U
#define TRIES	2000000

typedef u32 (*hash_fn)(struct zk_tree *tree, u32 i);

/* Two numbers whose things have the same hash; false if none came up. */
static bool collide(struct zk_tree *tree, hash_fn hash, u32 *a, u32 *b)
{
	u32 *slot = kvmalloc(SLOTS * sizeof(*slot), GFP_KERNEL | __GFP_ZERO);
	u32 i, h;

	*a = 0;
	for (i = 1; slot && i < TRIES && !*a; i++) {
		h = hash(tree, i);
		if (slot[h / 4096] && hash(tree, slot[h / 4096]) == h) {
			*a = slot[h / 4096];
			*b = i;
		}
		slot[h / 4096] = i;
		if (i % 4096 == 0)
			cond_resched();
	}
	kvfree(slot);
	return *a;
}

static u32 path_hash(struct zk_tree *tree, u32 i)
{
	char path[16];

	return zk_path_hash(tree, path, sprintf(path, "/n%07u", i));
}

/* world:<7 digits>, perms 31 */
static u32 acl_of(u8 *jute, u32 i)
{
	u32 len = zt_acls[0].len;

	memcpy(jute, zt_acls[0].jute, len - 10);
	jute[len - 7] = 7;
	jute[len - 8] = 0;
	jute[len - 9] = 0;
	jute[len - 10] = 0;
	sprintf((char *)jute + len - 6, "%07u", i);
	return len + 1;
}

static u32 acl_hash(struct zk_tree *tree, u32 i)
{
	u8 jute[64];

	return (u32)siphash(jute, acl_of(jute, i), &tree->acls.key);
}

static struct zk_node *find(struct zk_tree *tree, const char *path)
{
	struct zk_node *node;

	rcu_read_lock();
	node = zk_lookup(tree, path, strlen(path), zk_tree_zxid(tree));
	rcu_read_unlock();
	return node;
}

static void paths(struct zk_tree *tree, u32 a, u32 b)
{
	char path[2][16];
	struct zk_op op;

	sprintf(path[0], "/n%07u", a);
	sprintf(path[1], "/n%07u", b);
	op = zt_create(path[0], "a", 1, 0);
	zt_equal(zt_apply(tree, &op, 1), 0);
	zt_check(find(tree, path[0]) && !find(tree, path[1]));
	op = zt_delete(path[1]);
	zt_equal(zt_apply(tree, &op, 1), -ENOENT);
	op = zt_create(path[1], "b", 1, 0);
	zt_equal(zt_apply(tree, &op, 1), 0);
	zt_check(find(tree, path[0]) && find(tree, path[1]));
	zt_check(find(tree, path[0]) != find(tree, path[1]));
	zt_verify(tree);
	op = zt_delete(path[0]);
	zt_equal(zt_apply(tree, &op, 1), 0);
	zk_tree_reclaim(tree, true);
	zt_check(!find(tree, path[0]) && find(tree, path[1]));
	zt_verify(tree);
}

static const struct zk_acl *acl_at(struct zk_tree *tree, const char *path)
{
	struct zk_view view = { };
	struct zk_node *node = find(tree, path);

	rcu_read_lock();
	zt_check(node && zk_view(node, zk_tree_zxid(tree), &view));
	rcu_read_unlock();
	return view.acl;
}

static void acls(struct zk_tree *tree, u32 a, u32 b)
{
	static const char * const path[] = { "/acl-a", "/acl-b", "/acl-again" };
	const struct zk_acl *acl[3];
	struct zk_op op;
	u8 jute[64];
	u32 i;

	for (i = 0; i < 3; i++) {
		op = zt_create(path[i], NULL, 0, 0);
		op.acl_len = acl_of(jute, i == 1 ? b : a);
		op.acl = jute;
		zt_equal(zt_apply(tree, &op, 1), 0);
		acl[i] = acl_at(tree, path[i]);
		if (!zt_check(acl[i]))
			return;
		zt_check(acl[i]->len == op.acl_len &&
			 !memcmp(acl[i]->jute, jute, op.acl_len));
	}
	zt_check(acl[0] == acl[2] && acl[0] != acl[1]);
}

void zt_collisions(void)
{
	struct zk_tree *tree = zt_tree(0);
	u32 a, b;

	if (zt_check(collide(tree, path_hash, &a, &b)))
		paths(tree, a, b);
	if (zt_check(collide(tree, acl_hash, &a, &b)))
		acls(tree, a, b);
	zt_tree_done(tree);
}
