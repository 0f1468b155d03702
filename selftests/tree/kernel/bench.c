// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * insmod zkern_tree_test.ko bench=1000000 only=none: what a znode of 100 bytes takes in
 * the kernel, under 1,000 parents: by the machine's free memory and by the tree's count.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>

#include "bench.h"
#include "zt.h"

#define DATA	100
#define PARENTS	1000

static u64 free_bytes(void)
{
	struct sysinfo info;

	si_meminfo(&info);
	return (u64)info.freeram << PAGE_SHIFT;
}

static u32 path_of(char *path, u32 i)
{
	return sprintf(path, "/p%03u/node%06u", i % PARENTS, i / PARENTS);
}

static int fill(struct zk_tree *tree, u32 nodes)
{
	static const u8 data[DATA];
	struct zk_op op;
	char path[32];
	int err = 0;
	u32 i;

	for (i = 0; i < PARENTS && !err; i++) {
		sprintf(path, "/p%03u", i);
		op = zt_create(path, NULL, 0, 0);
		err = zt_apply(tree, &op, 1);
	}
	for (i = 0; i < nodes && !err; i++) {
		path_of(path, i);
		op = zt_create(path, data, DATA, 0);
		err = zt_apply(tree, &op, 1);
		cond_resched();
	}
	return err;
}

static u32 look_up(struct zk_tree *tree, u32 nodes)
{
	struct zk_node *node;
	struct zk_view view;
	u8 copy[DATA];
	char path[32];
	u32 i, len, found = 0;
	u64 zxid;

	for (i = 0; i < nodes; i++) {
		len = path_of(path, (u32)(i * 2654435761U) % nodes);
		rcu_read_lock();
		zxid = zk_tree_zxid(tree);
		node = zk_lookup(tree, path, len, zxid);
		if (node && zk_view(node, zxid, &view)) {
			memcpy(copy, view.data, DATA);
			found += !copy[i % DATA];
		}
		rcu_read_unlock();
		cond_resched();
	}
	return found;
}

static void report(struct zk_tree *tree, u32 nodes, u64 before, u64 create_ns)
{
	struct zk_tree_stats st;
	u64 after, start, ns;
	u32 found;

	zk_tree_reclaim(tree, true);
	after = free_bytes();
	zk_tree_stats(tree, &st);
	start = ktime_get_ns();
	found = look_up(tree, nodes);
	ns = ktime_get_ns() - start;
	pr_info("# bench: %u znodes of %d bytes: %llu bytes/znode taken, %llu counted\n", nodes,
		DATA, div_u64(before - after, nodes), div_u64(st.bytes, nodes));
	pr_info("# bench: create %llu ns, lookup and copy %llu ns (%u found)\n",
		div_u64(create_ns, nodes), div_u64(ns, nodes), found);
}

int zt_bench(u32 nodes)
{
	u64 before = free_bytes(), start = ktime_get_ns();
	struct zk_tree *tree = zk_tree_alloc(NULL);
	int err;

	if (!tree)
		return -ENOMEM;
	err = fill(tree, nodes);
	if (!err)
		report(tree, nodes, before, ktime_get_ns() - start);
	zk_tree_put(tree);
	return err;
}
