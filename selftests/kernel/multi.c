// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Readers against a writer: each transaction moves something from one node to
 * another and renames a child, so that half of one would show: the sum would be
 * wrong, or the children not be as many as ever. And readers against removal.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"

#define NODES	8
#define EACH	1000
#define CHILDREN 50
#define ROUNDS	4000

static int inst, owner;
static atomic_bool stop;

/* What a reader found; @bad with its place in the source. */
struct found {
	long reads;
	long bad;
	int line;
};

#define CHECK(f, cond) do {		\
	if (!(cond)) {			\
		(f)->bad++;		\
		(f)->line = __LINE__;	\
	}				\
} while (0)

static void fill(void)
{
	struct batch b = {};
	char path[32];
	int i;

	batch_txn(&b, 1);
	batch_create(&b, "/kids", "");
	for (i = 0; i < NODES; i++) {
		snprintf(path, sizeof(path), "/n%d", i);
		batch_create(&b, path, "1000");
	}
	for (i = 0; i < CHILDREN; i++) {
		snprintf(path, sizeof(path), "/kids/%d", i);
		batch_create(&b, path, path);
	}
	need(!zk_apply(owner, &b, NULL), "apply");
	batch_free(&b);
}

/* Reads all nodes in one call; their sum. */
static void read_all(int f, struct found *found, uint64_t *last)
{
	struct zkern_get gets[NODES];
	struct zkern_read req = { .size = sizeof(req), .gets = ptr(gets), .count = NODES };
	char buf[NODES][16], path[NODES][8];
	int i, sum = 0;

	memset(gets, 0, sizeof(gets));
	for (i = 0; i < NODES; i++) {
		snprintf(path[i], sizeof(path[i]), "/n%d", i);
		gets[i].size = sizeof(gets[i]);
		gets[i].path = ptr(path[i]);
		gets[i].path_len = 3;
		gets[i].buf = ptr(buf[i]);
		gets[i].buf_len = 15;
	}
	if (zk_ioctl(f, ZKERN_READ, &req)) {
		CHECK(found, false);
		return;
	}
	for (i = 0; i < NODES; i++) {
		CHECK(found, !gets[i].err && gets[i].zxid == req.zxid);
		buf[i][gets[i].len] = '\0';
		CHECK(found, gets[i].crc == crc_of(path[i], buf[i], gets[i].len));
		sum += atoi(buf[i]);
	}
	CHECK(found, sum == NODES * EACH);
	CHECK(found, req.zxid >= *last);
	*last = req.zxid;
	found->reads++;
}

static void *many_reader(void *arg)
{
	struct found *found = arg;
	int f = zk_open(inst, O_RDONLY);
	uint64_t last = 0;

	while (!stop)
		read_all(f, found, &last);
	close(f);
	return NULL;
}

static void *children_reader(void *arg)
{
	struct found *found = arg;
	int f = zk_open(inst, O_RDONLY);
	struct zkern_list list;
	char buf[4096];

	while (!stop) {
		int err = zk_children(f, "/kids", "", buf, sizeof(buf), &list);

		CHECK(found, !err && list.count == CHILDREN && !list.more);
		CHECK(found, list.stat.num_children == CHILDREN);
		found->reads++;
	}
	close(f);
	return NULL;
}

/* A snapshot must say the same as often as it is asked, in all its ways. */
static void *snapshot_reader(void *arg)
{
	struct found *found = arg;
	int f = zk_open(inst, O_RDONLY), snap, n;
	struct zkern_snapshot s;
	uint8_t buf[32768];
	uint64_t last;
	ssize_t len, off;

	while (!stop) {
		snap = zk_snapshot(f, NULL, &s);
		if (snap < 0) {
			CHECK(found, false);
			break;
		}
		last = s.zxid;
		read_all(snap, found, &last);
		CHECK(found, last == s.zxid);
		for (n = 0; (len = read(snap, buf, sizeof(buf))) > 0;) {
			for (off = 0; off < len; n++)
				off += ((struct zkern_node *)(buf + off))->len;
		}
		CHECK(found, !len && n == (int)s.nodes && n == 2 + NODES + CHILDREN);
		read_all(snap, found, &last);
		close(snap);
	}
	close(f);
	return NULL;
}

static void *point_reader(void *arg)
{
	struct found *found = arg;
	int f = zk_open(inst, O_RDONLY);
	struct zkern_get get = {}, last = {};
	char buf[16];

	while (!stop) {
		int err = zk_get(f, "/n3", buf, sizeof(buf), &get);

		CHECK(found, !err && get.crc == crc_of("/n3", buf, get.len));
		CHECK(found, get.zxid >= last.zxid && get.stat.mzxid <= get.zxid);
		CHECK(found, get.stat.version >= last.stat.version);
		last = get;
		found->reads++;
	}
	close(f);
	return NULL;
}

static void write_rounds(void)
{
	int value[NODES], version[NODES] = {}, i, from, to, amount, kid = CHILDREN;
	unsigned int seed = 42;
	struct batch b = {};
	char path[32], data[16];

	for (i = 0; i < NODES; i++)
		value[i] = EACH;
	for (i = 0; i < ROUNDS; i++) {
		from = rand_r(&seed) % NODES;
		to = (from + 1 + rand_r(&seed) % (NODES - 1)) % NODES;
		amount = rand_r(&seed) % 100;
		value[from] -= amount;
		value[to] += amount;
		batch_reset(&b);
		batch_txn(&b, 2 + i);
		snprintf(path, sizeof(path), "/n%d", from);
		snprintf(data, sizeof(data), "%d", value[from]);
		batch_set(&b, path, data, ++version[from]);
		snprintf(path, sizeof(path), "/kids/%d", kid - CHILDREN);
		batch_delete(&b, path);
		snprintf(path, sizeof(path), "/kids/%d", kid++);
		batch_create(&b, path, path);
		snprintf(path, sizeof(path), "/n%d", to);
		snprintf(data, sizeof(data), "%d", value[to]);
		batch_set(&b, path, data, ++version[to]);
		need(!zk_apply(owner, &b, NULL), "apply");
	}
	batch_free(&b);
}

static void test_readers(void)
{
	void *(* const readers[])(void *) = {
		many_reader, many_reader, children_reader, snapshot_reader, point_reader,
	};
	static const char * const names[] = {
		"many paths", "many paths again", "children", "snapshots", "one path",
	};
	struct found found[5] = {};
	pthread_t t[5];
	int i;

	for (i = 0; i < 5; i++)
		need(!pthread_create(&t[i], NULL, readers[i], &found[i]), "thread");
	write_rounds();
	stop = 1;
	for (i = 0; i < 5; i++) {
		pthread_join(t[i], NULL);
		ok(!found[i].bad && found[i].reads,
		   "%s under %d multis: %ld reads, %ld bad (line %d)", names[i], ROUNDS,
		   found[i].reads, found[i].bad, found[i].line);
	}
}

/* Opens and reads whatever instance there is, until told to stop. */
static void *del_reader(void *arg)
{
	struct found *found = arg;
	struct zkern_list list;
	char buf[4096];

	while (!stop) {
		int f = zk_open(inst, O_RDONLY), err = 0, snap;

		if (f < 0) {
			CHECK(found, f == -ENOENT || f == -ENODEV || f == -ENXIO);
			continue;
		}
		snap = zk_snapshot(f, NULL, NULL);
		while (!stop && !err) {
			err = zk_get(f, "/n1", buf, sizeof(buf), NULL);
			if (!err)
				err = zk_children(f, "/kids", "", buf, sizeof(buf), &list);
			found->reads++;
		}
		CHECK(found, !err || err == -ENODEV || err == -ESTALE || err == -ENOENT);
		if (snap >= 0) {
			/* taken before there was anything, or all of it */
			err = zk_exists(snap, "/n1", NULL);
			CHECK(found, !err || err == -ENOENT);
			close(snap);
		}
		close(f);
	}
	return NULL;
}

static void test_removal(void)
{
	struct found found[3] = {};
	pthread_t t[3];
	int i, failed = 0;

	stop = 0;
	for (i = 0; i < 3; i++)
		need(!pthread_create(&t[i], NULL, del_reader, &found[i]), "thread");
	for (i = 0; i < 100; i++) {
		usleep(5000);
		failed += !!zk_del(inst, ZKERN_DEL_FORCE);
		close(owner);
		failed += zk_new(inst, ~0u) != inst;
		owner = zk_open(inst, O_RDWR);
		failed += !!zk_own(owner, NULL);
		fill();
		failed += !!zk_state(owner, ZKERN_STATE_STANDALONE, 0);
	}
	stop = 1;
	is(failed, 0, "100 times removed and made again under readers");
	for (i = 0; i < 3; i++) {
		pthread_join(t[i], NULL);
		ok(!found[i].bad && found[i].reads, "  %ld reads, %ld bad (line %d)",
		   found[i].reads, found[i].bad, found[i].line);
	}
}

int main(void)
{
	inst = zk_instance(&owner);
	fill();
	test_readers();
	test_removal();
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
