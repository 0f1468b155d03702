// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads on one host, way by way: device (ZKERN_GET of one node, and of random
 * ones; ZKERN_READ of 64), a mapped node, generic netlink, and getData over loopback
 * TCP, beside getppid() and clock_gettime(). One thread, one read after the other; each
 * is timed by itself, less what reading the clock takes (mapped ones, and the clock, a
 * thousand at a time). Prints NAME_p50_ns, NAME_p99_ns lines.
 *
 *   reads DEVICE HOST:PORT NODES PARENTS    (nodes made by `load --prepare`)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "zkern.h"

#define DATA	100
#define BATCH	64
#define LOOP	1000
#define MAX_SAMPLES 200000
#define MIN_SAMPLES 2000
#define MAX_NS	5000000000ULL	/* of one kind of read, if it is slow */

struct bench {
	int fd;
	struct zkern *dev;
	struct zkern *nl;
	struct zkern *tcp;
	unsigned int nodes;
	unsigned int parents;
	uint64_t seed;
	uint64_t clock_ns;
	uint64_t until;
	uint32_t *ns;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "bench/reads: %s: %s\n", what, strerror(-err));
	exit(1);
}

static unsigned int random_node(struct bench *b)
{
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 7;
	b->seed ^= b->seed << 17;
	return b->seed % b->nodes;
}

/* The same names as tools/bench/load_conn.c makes. */
static unsigned int node_path(struct bench *b, unsigned int i, char path[64])
{
	if (b->parents == 1)
		return snprintf(path, 64, "/bench/n%08u", i);
	return snprintf(path, 64, "/bench/p%03u/n%08u", i % b->parents, i);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(struct bench *b, const char *name, unsigned int n, unsigned int per)
{
	qsort(b->ns, n, sizeof(*b->ns), by_value);
	printf("%s_p50_ns=%.1f\n%s_p99_ns=%.1f\n", name, (double)b->ns[n / 2] / per, name,
	       (double)b->ns[n - 1 - n / 100] / per);
	fflush(stdout);
}

static void begin(struct bench *b)
{
	b->until = now_ns() + MAX_NS;
}

/* Is sample @i of @n to be taken? */
static bool more(struct bench *b, unsigned int i, unsigned int n)
{
	return i < n && (i < MIN_SAMPLES || i % 64 || now_ns() < b->until);
}

static void sample(struct bench *b, unsigned int i, uint64_t t)
{
	uint64_t ns = now_ns() - t;

	ns = ns > b->clock_ns ? ns - b->clock_ns : 0;
	b->ns[i] = ns > UINT32_MAX ? UINT32_MAX : ns;
}

static void bench_clock(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < MAX_SAMPLES; i++)
		sample(b, i, now_ns());
	qsort(b->ns, i, sizeof(*b->ns), by_value);
	b->clock_ns = b->ns[i / 2];
	printf("clock_ns=%llu\n", (unsigned long long)b->clock_ns);
}

static void bench_getppid(struct bench *b, unsigned int n)
{
	unsigned int i;

	begin(b);
	for (i = 0; more(b, i, n); i++) {
		uint64_t t = now_ns();

		syscall(SYS_getppid);
		sample(b, i, t);
	}
	report(b, "getppid", i, 1);
}

static void fill(struct zkern_get *g, const char *path, unsigned int len, char *buf)
{
	memset(g, 0, sizeof(*g));
	g->size = sizeof(*g);
	g->path = (uintptr_t)path;
	g->path_len = len;
	g->buf = (uintptr_t)buf;
	g->buf_len = DATA;
}

static void bench_get(struct bench *b, const char *name, unsigned int n, bool hot)
{
	char path[64], buf[DATA];
	unsigned int i, len = node_path(b, random_node(b), path);
	struct zkern_get g;
	uint64_t t;

	begin(b);
	for (i = 0; more(b, i, n); i++) {
		if (!hot)
			len = node_path(b, random_node(b), path);
		t = now_ns();
		fill(&g, path, len, buf);
		if (ioctl(b->fd, ZKERN_GET, &g))
			die(path, -errno);
		sample(b, i, t);
		if (g.len != DATA)
			die(path, -EPROTO);
	}
	report(b, name, i, 1);
}

static void bench_read(struct bench *b, unsigned int n)
{
	static char path[BATCH][64], buf[BATCH][DATA];
	static struct zkern_get gets[BATCH];
	unsigned int len[BATCH], i, j;

	begin(b);
	for (i = 0; more(b, i, n); i++) {
		struct zkern_read r = { .size = sizeof(r), .count = BATCH };
		uint64_t t;

		for (j = 0; j < BATCH; j++)
			len[j] = node_path(b, random_node(b), path[j]);
		t = now_ns();
		for (j = 0; j < BATCH; j++)
			fill(&gets[j], path[j], len[j], buf[j]);
		r.gets = (uintptr_t)gets;
		if (ioctl(b->fd, ZKERN_READ, &r))
			die("ZKERN_READ", -errno);
		sample(b, i, t);
		for (j = 0; j < BATCH; j++)
			if (gets[j].err || gets[j].len != DATA)
				die(path[j], -(int)gets[j].err);
	}
	report(b, "read64", i, BATCH);
}

static void bench_vdso(struct bench *b, unsigned int n)
{
	struct timespec ts;
	unsigned int i, j;

	begin(b);
	for (i = 0; more(b, i, n); i++) {
		uint64_t t = now_ns();

		for (j = 0; j < LOOP; j++)
			clock_gettime(CLOCK_MONOTONIC, &ts);
		sample(b, i, t);
	}
	report(b, "clock_gettime", i, LOOP);
}

static void bench_mapped(struct bench *b, unsigned int n)
{
	struct zkern_mapping *map;
	struct zkern_map_got got;
	char path[64], buf[DATA];
	unsigned int i, j;
	int err;

	node_path(b, random_node(b), path);
	err = zkern_map_open(b->dev, path, &map);
	if (err)
		die(zkern_message(b->dev), err);
	if (zkern_map_fd(map) < 0)
		die("it is not mapped", -EPROTO);
	begin(b);
	for (i = 0; more(b, i, n); i++) {
		uint64_t t = now_ns();

		for (j = 0; j < LOOP; j++) {
			err = zkern_map_get(map, buf, sizeof(buf), &got, NULL);
			if (err || got.len != DATA)
				die(path, err);
		}
		sample(b, i, t);
	}
	report(b, "mapped", i, LOOP);
	zkern_map_close(map);
}

static void bench_lib(struct bench *b, const char *name, struct zkern *zk, unsigned int n)
{
	struct zkern_value v;
	char path[64];
	unsigned int i;
	int err;

	begin(b);
	for (i = 0; more(b, i, n); i++) {
		uint64_t t;

		node_path(b, random_node(b), path);
		t = now_ns();
		err = zkern_get(zk, path, NULL, &v);
		if (err)
			die(zkern_message(zk), err);
		sample(b, i, t);
		if (v.len != DATA)
			die(path, -EPROTO);
		zkern_value_free(&v);
	}
	report(b, name, i, 1);
}

static int count(void *arg, const struct zkern_record *rec)
{
	(void)rec;
	++*(uint64_t *)arg;
	return 0;
}

/* All children of all parents, then the whole tree through a snapshot. */
static void bench_whole(struct bench *b)
{
	struct zkern_children c;
	uint64_t n = 0, t = now_ns();
	char path[64];
	unsigned int i;
	int err;

	for (i = 0; i < b->parents; i++) {
		snprintf(path, sizeof(path), b->parents == 1 ? "/bench" : "/bench/p%03u", i);
		err = zkern_children(b->dev, path, NULL, &c);
		if (err)
			die(zkern_message(b->dev), err);
		n += c.count;
		zkern_children_free(&c);
	}
	if (n != b->nodes)
		die("not all nodes are listed", -EPROTO);
	printf("list_ms=%.1f\n", (now_ns() - t) / 1e6);
	n = 0;
	t = now_ns();
	err = zkern_dump(b->dev, "/", count, &n, NULL);
	if (err || n < b->nodes)
		die("the snapshot", err ? err : -EPROTO);
	printf("snapshot_ms=%.1f\n", (now_ns() - t) / 1e6);
}

static int open_all(struct bench *b, char **argv, char *why, size_t len)
{
	uint32_t id = atoi(argv[1] + strcspn(argv[1], "0123456789"));
	int err;

	b->fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (b->fd < 0)
		die(argv[1], -errno);
	err = zkern_open_device(argv[1], &b->dev, why, len);
	if (!err)
		err = zkern_open_netlink(id, &b->nl, why, len);
	return err;
}

int main(int argc, char **argv)
{
	struct bench b = { .seed = now_ns() | 1 };
	struct zkern_info info;
	char why[256];
	int err;

	if (argc != 5)
		return 1;
	b.nodes = atoi(argv[3]);
	b.parents = atoi(argv[4]);
	b.ns = malloc(MAX_SAMPLES * sizeof(*b.ns));
	if (!b.ns || !b.nodes || !b.parents)
		return 1;
	err = open_all(&b, argv, why, sizeof(why));
	if (err)
		die(why, err);
	bench_clock(&b);
	bench_getppid(&b, MAX_SAMPLES);
	bench_get(&b, "get_hot", MAX_SAMPLES, true);
	bench_get(&b, "get_random", MAX_SAMPLES, false);
	bench_read(&b, MAX_SAMPLES / BATCH);
	bench_vdso(&b, MAX_SAMPLES / 20);
	bench_mapped(&b, MAX_SAMPLES / 20);
	bench_lib(&b, "netlink", b.nl, MAX_SAMPLES / 8);
	/* Only now: a session must not be left alone for long. */
	err = zkern_connect(argv[2], NULL, &b.tcp, why, sizeof(why));
	if (err)
		die(why, err);
	bench_lib(&b, "tcp", b.tcp, MAX_SAMPLES / 8);
	bench_whole(&b);
	if (zkern_info(b.dev, &info))
		die(zkern_message(b.dev), -EIO);
	printf("nodes=%llu\ntree_bytes=%llu\n", (unsigned long long)info.nodes,
	       (unsigned long long)info.bytes);
	zkern_close(b.tcp);
	zkern_close(b.nl);
	zkern_close(b.dev);
	close(b.fd);
	free(b.ns);
	return 0;
}
