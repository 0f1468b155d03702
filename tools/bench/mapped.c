// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a mapped read takes of a processor: libzkern's inlined zkern_map_get() of 100 bytes
 * from pages as the kernel writes them (include/uapi/linux/zkern.h), here in memory of our
 * own, so that it can be measured where the module is not loaded; beside the same copy under
 * a bare sequence counter, and clock_gettime() through the vDSO. Loops of reads, the
 * median of many. Prints NAME_ns=VALUE lines.
 */
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "zkern.h"

#define DATA	100
#define READS	10000
#define ROUNDS	301
#define SLOT	1984	/* of a node in one page */

static alignas(4096) struct {
	struct zkern_map_tree tree;
} tree_page;

static alignas(4096) struct {
	struct zkern_map_node node;
	uint8_t slots[2 * SLOT];
} node_page;

static alignas(64) struct {
	uint32_t seq;
	char data[DATA];
} bare;

static double ns[ROUNDS];

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(const char *name)
{
	qsort(ns, ROUNDS, sizeof(*ns), by_value);
	printf("%s_ns=%.2f\n", name, ns[ROUNDS / 2]);
}

/* So that the compiler can neither leave a read out nor keep it for the next one. */
static inline void used(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* One version, number 2, that is current at zxid 100. */
static struct zkern_mapping fill(void)
{
	struct zkern_mapping map = {
		.tree = &tree_page.tree,
		.node = &node_page.node,
		.slot_len = SLOT,
		.room = SLOT - sizeof(struct zkern_map_slot),
	};
	struct zkern_map_slot *slot = (void *)node_page.slots;

	tree_page.tree.zxid = 100;
	node_page.node.begun = 2;
	node_page.node.done = 2;
	node_page.node.slot_len = SLOT;
	slot->zxid = 90;
	slot->stat.data_len = DATA;
	memset(slot->data, 'x', DATA);
	return map;
}

static void bench_mapped(const char *name, struct zkern_stat *stat)
{
	struct zkern_mapping map = fill();
	struct zkern_map_got got;
	char buf[DATA];
	unsigned int i, j;

	for (i = 0; i < ROUNDS; i++) {
		double t = now_ns();

		for (j = 0; j < READS; j++) {
			if (zkern_map_get(&map, buf, sizeof(buf), &got, stat))
				exit(1);
			used(buf);
		}
		ns[i] = (now_ns() - t) / READS;
	}
	if (got.zxid != 100 || got.len != DATA || buf[DATA - 1] != 'x')
		exit(1);
	report(name);
}

static void bench_bare(void)
{
	unsigned int i, j;
	char buf[DATA];

	for (i = 0; i < ROUNDS; i++) {
		double t = now_ns();

		for (j = 0; j < READS; j++) {
			uint32_t seq;

			do {
				seq = __atomic_load_n(&bare.seq, __ATOMIC_ACQUIRE);
				memcpy(buf, bare.data, DATA);
				__atomic_thread_fence(__ATOMIC_ACQUIRE);
			} while (seq & 1 || __atomic_load_n(&bare.seq, __ATOMIC_RELAXED) != seq);
			used(buf);
		}
		ns[i] = (now_ns() - t) / READS;
	}
	report("seqcount");
}

static void bench_clock(void)
{
	struct timespec ts;
	unsigned int i, j;

	for (i = 0; i < ROUNDS; i++) {
		double t = now_ns();

		for (j = 0; j < READS; j++) {
			clock_gettime(CLOCK_MONOTONIC, &ts);
			used(&ts);
		}
		ns[i] = (now_ns() - t) / READS;
	}
	report("clock_gettime");
}

int main(void)
{
	struct zkern_stat stat;

	bench_mapped("mapped", NULL);
	bench_mapped("mapped_stat", &stat);
	bench_bare();
	bench_clock();
	return 0;
}
