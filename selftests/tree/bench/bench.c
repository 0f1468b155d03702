// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench [NODES [PARENTS]]: what the tree costs in the user home, 1 M znodes of 100 bytes
 * under 1,000 parents unless told otherwise: memory for each, time to create, set and
 * look up with a copy of data and stat; beside it a bare cds_lfht with the same keys (the
 * full paths, hashed alike) and the same copy.
 */
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/siphash.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <urcu/rculfhash.h>

#include "zt.h"

#define DATA		100
#define LOOKUPS		4000000

static u32 nodes = 1000000, parents = 1000;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
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

/* The loop itself, with its keys made, is what both share and neither is charged. */
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

static double loop_alone(u32 *sum)
{
	double start = now();
	char path[32];
	u32 i;

	for (i = 0; i < LOOKUPS; i++)
		*sum += path_of(path, (u32)(i * 2654435761u) % nodes) + path[5];
	return (now() - start) / LOOKUPS;
}

/* ------------------------------------------------------------ cds_lfht */

struct plain {
	struct cds_lfht_node node;
	struct zk_stat stat;
	u8 *data;
	u32 len;
	char path[];
};

static siphash_key_t key;

struct wanted {
	const char *path;
	u32 len;
};

static int plain_is(struct cds_lfht_node *node, const void *arg)
{
	const struct plain *p = caa_container_of(node, struct plain, node);
	const struct wanted *want = arg;

	return p->len == want->len && !memcmp(p->path, want->path, want->len);
}

static void plain_fill(struct cds_lfht *ht, const u8 *data)
{
	struct plain *p;
	char path[32];
	u32 i, len;

	for (i = 0; i < nodes; i++) {
		len = path_of(path, i);
		p = malloc(sizeof(*p) + len);
		if (!p)
			exit(1);
		p->data = malloc(DATA);
		if (!p->data)
			exit(1);
		memset(&p->stat, 0, sizeof(p->stat));
		memcpy(p->data, data, DATA);
		p->len = len;
		memcpy(p->path, path, len);
		cds_lfht_node_init(&p->node);
		rcu_read_lock();
		cds_lfht_add(ht, siphash(path, len, &key), &p->node);
		rcu_read_unlock();
	}
}

static double plain_look_up(struct cds_lfht *ht, u32 *found)
{
	struct cds_lfht_iter iter;
	struct cds_lfht_node *node;
	struct copied copied;
	struct plain *p;
	char path[32];
	double start = now();
	u32 i, len;

	for (i = 0; i < LOOKUPS; i++) {
		struct wanted want = { path, 0 };

		len = path_of(path, (u32)(i * 2654435761u) % nodes);
		want.len = len;
		rcu_read_lock();
		cds_lfht_lookup(ht, siphash(path, len, &key), plain_is, &want, &iter);
		node = cds_lfht_iter_get_node(&iter);
		if (node) {
			p = caa_container_of(node, struct plain, node);
			memcpy(copied.data, p->data, DATA);
			copied.stat = p->stat;
			*found += copied.data[i % DATA] == 'x';
		}
		rcu_read_unlock();
	}
	return (now() - start) / LOOKUPS;
}

int main(int argc, char **argv)
{
	struct zk_tree_stats st;
	struct zk_tree *tree;
	struct cds_lfht *ht;
	double t, loop, ours, plain;
	u32 found = 0, i;
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
	ours = 1;
	for (i = 0; i < 3; i++) {
		found = 0;
		t = look_up(tree, &found);
		ours = t < ours ? t : ours;
	}
	printf("lookup and copy: %.0f ns (%u of %u found)\n", (ours - loop) * 1e9, found,
	       LOOKUPS);
	printf("set: %.0f ns\n", set_all(tree, data, nodes) * 1e9);
	zk_tree_put(tree);

	get_random_bytes(&key, sizeof(key));
	ht = cds_lfht_new(1 << 16, 1 << 16, 0, CDS_LFHT_AUTO_RESIZE, NULL);
	if (!ht)
		return 1;
	plain_fill(ht, data);
	plain = 1;
	for (i = 0; i < 3; i++) {
		found = 0;
		t = plain_look_up(ht, &found);
		plain = t < plain ? t : plain;
	}
	printf("cds_lfht, the same: %.0f ns (%u found)\n", (plain - loop) * 1e9, found);
	printf("ratio: %.2f\n", (ours - loop) / (plain - loop));
	zk_tree_exit();
	return 0;
}
