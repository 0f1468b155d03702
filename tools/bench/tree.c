// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tree in the user home against a bare cds_lfht: 1 M nodes under 1,000 parents,
 * 100 bytes each, looked up by full path in random order and copied out, by one
 * thread. Both use SipHash-2-4 over the path, the same paths in the same order and
 * the same copy, and each entry of the table is an allocation of its own, as things
 * that come and go are; the table has its final size from the start, the tree grows
 * its index. Rounds alternate; the median is taken. Prints NAME=VALUE lines.
 */
#include <urcu.h>
#include <urcu/rculfhash.h>
#include <errno.h>
#include <linux/rcupdate.h>
#include <linux/siphash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include "kmod/tree/tree.h"

#define PARENTS	1000
#define NODES	1000000
#define DATA	100
#define ROUNDS	7
#define LOOKUPS	1000000
#define KEY_MAX	24

static const u8 acl_open[] = {
	0, 0, 0, 1, 0, 0, 0, 31, 0, 0, 0, 5, 'w', 'o', 'r', 'l', 'd',
	0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e',
};

struct key {
	u8 len;
	char path[KEY_MAX];
};

/* What the bare table holds: no more than is needed to do the same. */
struct entry {
	struct cds_lfht_node node;
	struct key key;
	char data[DATA];
};

struct bench {
	struct key *keys;	/* in random order */
	struct zk_tree *tree;
	struct cds_lfht *ht;
	siphash_key_t sip;
	char data[DATA];
};

static u64 clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* This thread's own time: others may use the processor, too. */
static u64 now_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static u64 resident(void)
{
	unsigned long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*s %llu", &pages) != 1)
		exit(1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static void die(const char *what, int err)
{
	fprintf(stderr, "bench/tree: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void create(struct bench *b, u64 zxid, const char *path, u32 len, s32 data_len)
{
	struct zk_op op = {
		.type = ZK_OP_CREATE, .pcversion = -1, .path = path, .path_len = len,
		.data = b->data, .data_len = data_len, .acl = acl_open,
		.acl_len = sizeof(acl_open),
	};
	struct zk_txn txn = { .zxid = zxid, .time = 1, .n_ops = 1, .ops = &op };
	struct zk_link_result res;
	int err;

	op.crc = crc32(crc32(0, (const Bytef *)path, len), (const Bytef *)b->data, data_len);
	err = zk_tree_apply(b->tree, &txn, &res);
	if (err)
		die(path, err);
}

static void make_keys(struct bench *b)
{
	u32 i;

	b->keys = calloc(NODES, sizeof(*b->keys));
	if (!b->keys)
		die("keys", -ENOMEM);
	for (i = 0; i < NODES; i++)
		b->keys[i].len = snprintf(b->keys[i].path, KEY_MAX, "/p%03u/n%09u", i % PARENTS,
					  i);
}

/* Before filling, and again before looking up: the keys are read one after the
 * other, what they lead to lies in memory in another order.
 */
static void shuffle_keys(struct bench *b, u64 seed)
{
	u32 i;

	for (i = NODES - 1; i; i--) {
		struct key k = b->keys[i];
		u32 j;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		j = seed % (i + 1);
		b->keys[i] = b->keys[j];
		b->keys[j] = k;
	}
}

static void fill_tree(struct bench *b)
{
	u64 t = now_ns(), before = resident(), zxid = 0;
	struct zk_tree_stats st;
	char path[KEY_MAX];
	u32 i;

	b->tree = zk_tree_alloc(NULL);
	if (!b->tree)
		die("tree", -ENOMEM);
	for (i = 0; i < PARENTS; i++)
		create(b, ++zxid, path, snprintf(path, sizeof(path), "/p%03u", i), 0);
	for (i = 0; i < NODES; i++)
		create(b, ++zxid, b->keys[i].path, b->keys[i].len, DATA);
	zk_tree_reclaim(b->tree, true);
	t = now_ns() - t;
	zk_tree_stats(b->tree, &st);
	printf("apply_ns=%.1f\n", (double)t / (NODES + PARENTS));
	printf("bytes_per_znode=%.1f\n", (double)st.bytes / st.nodes);
	printf("resident_per_znode=%.1f\n", (double)(resident() - before) / st.nodes);
}

static void fill_table(struct bench *b)
{
	u32 i;

	/* A bucket for each node and not one more, to begin with and for ever. */
	b->ht = cds_lfht_new(1 << 20, 1 << 20, 1 << 20, 0, NULL);
	if (!b->ht)
		die("table", -ENOMEM);
	rcu_read_lock();
	for (i = 0; i < NODES; i++) {
		struct entry *e = malloc(sizeof(*e));

		if (!e)
			die("entry", -ENOMEM);
		e->key = b->keys[i];
		memcpy(e->data, b->data, DATA);
		cds_lfht_add(b->ht, siphash(e->key.path, e->key.len, &b->sip), &e->node);
	}
	rcu_read_unlock();
}

static int match(struct cds_lfht_node *node, const void *key)
{
	const struct entry *e = caa_container_of(node, struct entry, node);
	const struct key *k = key;

	return e->key.len == k->len && !memcmp(e->key.path, k->path, k->len);
}

static double table_round(struct bench *b)
{
	char copy[DATA];
	u64 t = now_ns();
	u32 i;

	for (i = 0; i < LOOKUPS; i++) {
		const struct key *k = &b->keys[i];
		struct cds_lfht_iter iter;
		struct cds_lfht_node *n;

		rcu_read_lock();
		cds_lfht_lookup(b->ht, siphash(k->path, k->len, &b->sip), match, k, &iter);
		n = cds_lfht_iter_get_node(&iter);
		if (!n)
			die(k->path, -ENOENT);
		memcpy(copy, caa_container_of(n, struct entry, node)->data, DATA);
		rcu_read_unlock();
		__asm__ volatile("" : : "r"(copy) : "memory");
	}
	return (double)(now_ns() - t) / LOOKUPS;
}

static double tree_round(struct bench *b)
{
	char copy[DATA];
	u64 t = now_ns();
	u32 i;

	for (i = 0; i < LOOKUPS; i++) {
		const struct key *k = &b->keys[i];
		struct zk_node *n;
		struct zk_view v;
		u64 zxid;

		rcu_read_lock();
		zxid = zk_tree_zxid(b->tree);
		n = zk_lookup(b->tree, k->path, k->len, zxid);
		if (!n || !zk_view(n, zxid, &v) || v.data_len != DATA)
			die(k->path, -ENOENT);
		memcpy(copy, v.data, DATA);
		rcu_read_unlock();
		__asm__ volatile("" : : "r"(copy) : "memory");
	}
	return (double)(now_ns() - t) / LOOKUPS;
}

static double clock_round(struct bench *b)
{
	u64 t = now_ns();
	u32 i;

	(void)b;
	for (i = 0; i < LOOKUPS; i++)
		clock_ns(CLOCK_MONOTONIC);
	return (double)(now_ns() - t) / LOOKUPS;
}

static double getppid_round(struct bench *b)
{
	u64 t = now_ns();
	u32 i;

	(void)b;
	for (i = 0; i < LOOKUPS; i++)
		getppid();
	return (double)(now_ns() - t) / LOOKUPS;
}

/* The whole tree in pre-order, as a snapshot walks it. */
static double walk_round(struct bench *b)
{
	u64 t = now_ns(), zxid, n = 0;
	struct zk_node *node, *top;
	struct zk_view v;

	rcu_read_lock();
	zxid = zk_tree_zxid(b->tree);
	top = zk_lookup(b->tree, "/", 1, zxid);
	for (node = top; node; node = zk_next_preorder(top, node, zxid))
		n += zk_view(node, zxid, &v);
	rcu_read_unlock();
	return (double)(now_ns() - t) / n;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	static const struct {
		const char *name;
		double (*fn)(struct bench *b);
	} what[] = {
		{ "tree_ns", tree_round }, { "lfht_ns", table_round },
		{ "walk_ns", walk_round }, { "clock_gettime_ns", clock_round },
		{ "getppid_ns", getppid_round },
	};
	static struct bench b = { .sip = { { 0x0706050403020100, 0x0f0e0d0c0b0a0908 } } };
	double ns[5][ROUNDS];
	unsigned int i, j;

	rcu_register_thread();
	if (zk_tree_init())
		die("zk_tree_init", -ENOMEM);
	memset(b.data, 'x', DATA);
	make_keys(&b);
	shuffle_keys(&b, 88172645463325252ULL);
	fill_tree(&b);
	fill_table(&b);
	shuffle_keys(&b, 4101842887655102017ULL);
	for (j = 0; j < ROUNDS; j++)
		for (i = 0; i < 5; i++)
			ns[i][j] = what[i].fn(&b);
	for (i = 0; i < 5; i++) {
		qsort(ns[i], ROUNDS, sizeof(double), by_value);
		printf("%s=%.1f\n", what[i].name, ns[i][ROUNDS / 2]);
	}
	fflush(stdout);
	zk_tree_put(b.tree);
	cds_lfht_destroy(b.ht, NULL);
	rcu_unregister_thread();
	_exit(0);
}
