// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench [NODES [PARENTS]]: what the tree costs in the user home, 1 M znodes of 100 bytes
 * under 1,000 parents unless told otherwise: memory for each, time to create, look up
 * with a copy of data and stat, and set; and the memory after that. (tools/bench/tree.c
 * has the comparison with a bare cds_lfht.)
 */
#include <linux/rcupdate.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "zt.h"

#define DATA		100
#define LOOKUPS		4000000

static u32 nodes = 1000000, parents = 1000;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Resident bytes, of /proc/self/statm. */
static u64 resident(void)
{
	unsigned long size = 0, res = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &size, &res) != 2)
		exit(1);
	fclose(f);
	return (u64)res * sysconf(_SC_PAGESIZE);
}

static u32 path_of(char *path, u32 i)
{
	return sprintf(path, "/p%03u/node%06u", i % parents, i / parents);
}

static void must(int err)
{
	if (!err)
		return;
	fprintf(stderr, "apply: %d\n", err);
	exit(1);
}

static void fill(struct zk_tree *tree, const u8 *data)
{
	struct zk_op op;
	char path[32];
	u32 i;

	for (i = 0; i < parents; i++) {
		sprintf(path, "/p%03u", i);
		op = zt_create(path, NULL, 0, 0);
		must(zt_apply(tree, &op, 1));
	}
	for (i = 0; i < nodes; i++) {
		path_of(path, i);
		op = zt_create(path, data, DATA, 0);
		must(zt_apply(tree, &op, 1));
	}
}

static double set_all(struct zk_tree *tree, const u8 *data, u32 n)
{
	double start = now();
	struct zk_op op;
	char path[32];
	u32 i;

	for (i = 0; i < n; i++) {
		path_of(path, (u32)(i * 2654435761u) % nodes);
		op = zt_set(path, data, DATA, 1);
		must(zt_apply(tree, &op, 1));
	}
	return (now() - start) / n;
}

/* What a lookup gives. */
struct copied {
	struct zk_stat stat;
	u8 data[DATA];
};

static double look_up(struct zk_tree *tree, u32 *found)
{
	struct copied copied;
	struct zk_node *node;
	struct zk_view view;
	char path[32];
	double start = now();
	u64 zxid;
	u32 i, len;

	for (i = 0; i < LOOKUPS; i++) {
		len = path_of(path, (u32)(i * 2654435761u) % nodes);
		rcu_read_lock();
		zxid = zk_tree_zxid(tree);
		node = zk_lookup(tree, path, len, zxid);
		if (node && zk_view(node, zxid, &view)) {
			memcpy(copied.data, view.data, DATA);
			copied.stat = view.stat;
			*found += copied.data[i % DATA] == 'x';
		}
		rcu_read_unlock();
	}
	return (now() - start) / LOOKUPS;
}

/* The loop with its keys made, which is not charged to the lookups. */
static double loop_alone(u32 *sum)
{
	double start = now();
	char path[32];
	u32 i;

	for (i = 0; i < LOOKUPS; i++)
		*sum += path_of(path, (u32)(i * 2654435761u) % nodes) + path[5];
	return (now() - start) / LOOKUPS;
}

int main(int argc, char **argv)
{
	struct zk_tree_stats st;
	struct zk_tree *tree;
	double t, loop;
	u32 found = 0;
	u8 data[DATA];
	u64 before;

	if (argc > 1)
		nodes = strtoul(argv[1], NULL, 0);
	if (argc > 2)
		parents = strtoul(argv[2], NULL, 0);
	memset(data, 'x', sizeof(data));
	rcu_register_thread();
	if (!nodes || !parents || zk_tree_init())
		return 1;
	before = resident();
	tree = zk_tree_alloc(NULL);
	if (!tree)
		return 1;
	t = now();
	fill(tree, data);
	t = (now() - t) / (nodes + parents);
	zk_tree_reclaim(tree, true);
	zk_tree_stats(tree, &st);
	printf("znodes: %u of %d bytes under %u parents\n", nodes, DATA, parents);
	printf("resident bytes/znode: %.1f\n", (double)(resident() - before) / nodes);
	printf("counted bytes/znode:  %.1f\n", (double)st.bytes / nodes);
	printf("create: %.0f ns\n", t * 1e9);

	loop = loop_alone(&found);
	found = 0;
	t = look_up(tree, &found) - loop;
	printf("lookup and copy: %.0f ns (%u of %u found)\n", t * 1e9, found, LOOKUPS);
	fflush(stdout);
	printf("set: %.0f ns\n", set_all(tree, data, nodes) * 1e9);
	zk_tree_reclaim(tree, true);
	zk_tree_stats(tree, &st);
	printf("after that, resident bytes/znode: %.1f, counted: %.1f\n",
	       (double)(resident() - before) / nodes, (double)st.bytes / nodes);
	zk_tree_put(tree);
	zk_tree_exit();
	return 0;
}
