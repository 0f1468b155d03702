// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libzkern's mapped nodes over a device: what the page does not have is read all the same,
 * and nobody sees that it comes another way.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "tools/lib/zkern.h"
#include "zk.h"

#define LONGEST	70000

static int inst, owner;
static uint64_t zxid = 10;
static struct zkern *zk;
static char data[LONGEST + 1], buf[LONGEST + 1];
static struct zkern_map_got got;
static struct zkern_stat stat;

static void set(const char *path, unsigned int len, char byte)
{
	struct zkern_value v;

	memset(data, byte, len);
	data[len] = '\0';
	need(!zkern_exists(zk, path, NULL, &v), "exists");
	zk_set(owner, ++zxid, path, data, v.stat.version + 1);
}

static void remove_node(const char *path)
{
	struct batch b = {};

	batch_txn(&b, ++zxid);
	batch_delete(&b, path);
	need(!zk_apply(owner, &b, NULL), "delete");
	batch_free(&b);
}

/* Is what is read @len times @byte, at the tree's zxid? */
static bool reads(struct zkern_mapping *map, unsigned int len, char byte)
{
	int err = zkern_map_get(map, buf, sizeof(buf), &got, &stat);

	memset(data, byte, len);
	if (!err && got.len == len && !memcmp(buf, data, len) && got.zxid == zxid &&
	    stat.data_len == (int)len)
		return true;
	printf("# %d: %s; %lld bytes at %#llx\n", err, zkern_message(zk), (long long)got.len,
	       (unsigned long long)got.zxid);
	return false;
}

static void test_sizes(struct zkern_mapping *map)
{
	static const unsigned int lens[] = { 0, 1, 15, 16, 17, 100, 511, 512, 513, 1856, 1857,
					     30000, 65536, 65537, LONGEST, 65536, 10 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		set("/l", lens[i], 'a' + i);
		ok(reads(map, lens[i], 'a' + i), "%u bytes are read", lens[i]);
	}
	set("/l", 100, 'x');
	is(zkern_map_get(map, buf, 99, &got, NULL), -EMSGSIZE, "a buffer of 99 for 100");
	ok(got.len == 100, "  is told how much it wants");
	set("/l", LONGEST, 'x');
	is(zkern_map_get(map, buf, 99, &got, NULL), -EMSGSIZE, "  and for %d", LONGEST);
	ok(got.len == LONGEST, "  as well");
	set("/l", 3, 'x');
}

static void test_revoked(struct zkern_mapping *map)
{
	struct zkern_seen seen;

	remove_node("/l");
	is(zkern_map_get(map, buf, sizeof(buf), &got, NULL), -ENOENT, "a node that is gone");
	ok(got.zxid == zxid && got.version == 0, "  as of a zxid");
	is(zkern_map_get(map, buf, sizeof(buf), &got, NULL), -ENOENT, "  stays gone");
	is(zkern_map_wait(map, got.version, -1), -ENOENT, "  and is not waited for");
	zk_create(owner, ++zxid, "/l", "yy");
	ok(reads(map, 2, 'y'), "  until it is made again");
	ok(zkern_map_fd(map) >= 0, "  and mapped");
	is(zk_state(owner, ZKERN_STATE_EMPTY, 0), 0, "a tree that is hidden");
	is(zkern_map_get(map, buf, sizeof(buf), &got, NULL), -ESTALE, "  cannot be read");
	is(zk_state(owner, ZKERN_STATE_LEADING, 0), 0, "  but when it is shown");
	ok(reads(map, 2, 'y'), "  it can");
	zkern_map_seen(map, &seen);
	ok(seen.state == ZKERN_STATE_LEADING && seen.zxid == zxid && seen.age_ms < 1000ull * LONG,
	   "its state and age (%llu ms) are there", (unsigned long long)seen.age_ms);
}

/* The tree that is swapped in is older: nothing goes back in time. */
static void test_back(struct zkern_mapping *map)
{
	struct zkern_load load = { .zxid = zxid - 5 };
	struct batch b = {};

	batch_node(&b, "/l", "zzz", 3, &open_acl);
	need(!zk_load(owner, ZKERN_LOAD_BEGIN, NULL, NULL), "begin");
	need(!zk_load(owner, ZKERN_LOAD_NODES, &b, NULL), "nodes");
	need(!zk_load(owner, ZKERN_LOAD_COMMIT, NULL, &load), "commit");
	is(zkern_map_get(map, buf, sizeof(buf), &got, NULL), -ESTALE,
	   "a tree that is behind what was read is not read");
	is(zkern_map_get(map, buf, sizeof(buf), &got, NULL), -ESTALE, "  however often");
	zk_set(owner, ++zxid, "/l", "zzzz", 1);
	ok(reads(map, 4, 'z'), "  until it has come as far");
	batch_free(&b);
}

static void test_many(struct zkern_mapping *map)
{
	struct zkern_map_read r[2] = { };
	struct zkern_mapping *other;
	static char second[LONGEST];
	unsigned int i, bad = 0;
	struct batch b = {};

	zk_create(owner, ++zxid, "/l2", "");
	need(!zkern_map_open(zk, "/l2", &other), "map");
	r[0] = (struct zkern_map_read){ .map = map, .buf = buf, .cap = sizeof(buf),
					.stat = &stat };
	r[1] = (struct zkern_map_read){ .map = other, .buf = second, .cap = sizeof(second) };
	for (i = 1; i < 60; i++) {
		/* mapped, and too long to be */
		unsigned int len = i % 3 ? i : LONGEST - i;

		memset(data, '0' + i % 10, len);
		data[len] = '\0';
		batch_reset(&b);
		batch_txn(&b, ++zxid);
		batch_set(&b, "/l", data, 100 + i);
		batch_set(&b, "/l2", data, i);
		need(!zk_apply(owner, &b, NULL), "multi");
		bad += zkern_map_get_many(r, 2) || r[0].err || r[1].err ||
		       r[0].got.zxid != zxid || r[1].got.zxid != zxid || r[0].got.len != len ||
		       r[1].got.len != len || memcmp(buf, data, len) || memcmp(second, data, len);
	}
	is(bad, 0, "two nodes at one zxid, however long");
	remove_node("/l2");
	is(zkern_map_get_many(r, 2), 0, "one of two is gone");
	ok(!r[0].err && r[1].err == -ENOENT && r[0].got.zxid == zxid, "  the other is read");
	zkern_map_close(other);
	batch_free(&b);
}

static void *set_later(void *arg)
{
	usleep(20000);
	zk_set(owner, ++zxid, arg, "later", 1000);
	return NULL;
}

static void test_wait(struct zkern_mapping *map)
{
	struct pollfd p = { .events = POLLIN };
	pthread_t thread;
	uint64_t version;

	set("/l", 3, 'w');
	need(reads(map, 3, 'w'), "read");
	is(zkern_map_wait(map, got.version, 0), 0, "nothing has changed");
	is(zkern_map_wait(map, got.version, 20), 0, "  nor does it");
	need(!pthread_create(&thread, NULL, set_later, "/l"), "thread");
	is(zkern_map_wait(map, got.version, LONG * 1000), 1, "it changes");
	pthread_join(thread, NULL);
	version = got.version;
	need(!zkern_map_get(map, buf, sizeof(buf), &got, NULL), "read");
	ok(got.len == 5 && got.version != version, "  and has done so");
	p.fd = zkern_map_fd(map);
	is(poll(&p, 1, 0), 1, "poll says so");
	zkern_map_ack(map);
	is(poll(&p, 1, 0), 0, "  until it is acknowledged");
	set("/l", LONGEST, 'v');
	is(zkern_map_wait(map, got.version, LONG * 1000), 1, "what is too long is a change");
	need(reads(map, LONGEST, 'v'), "read");
	is(zkern_map_wait(map, got.version, 20), 0, "  and no other one");
	version = got.version;
	remove_node("/l");
	is(zkern_map_wait(map, version, LONG * 1000), 1, "that it goes is one");
	zk_create(owner, ++zxid, "/l", "");
	need(reads(map, 0, 0), "read");
	is(zkern_map_wait(map, version, LONG * 1000), 1,
	   "a version of a mapping that was is another one");
}

/* Without a descriptor to be had there is no mapping, but data. */
static void test_no_fd(void)
{
	struct rlimit old, none;
	struct zkern_mapping *map;
	int top = dup(0);

	close(top);
	need(!getrlimit(RLIMIT_NOFILE, &old), "getrlimit");
	none = old;
	none.rlim_cur = top;
	set("/l", 7, 'n');
	need(!setrlimit(RLIMIT_NOFILE, &none), "setrlimit");
	is(zkern_map_open(zk, "/l", &map), 0, "a node is mapped with no descriptor left");
	ok(zkern_map_fd(map) < 0 && reads(map, 7, 'n'), "  and is read all the same");
	is(zkern_map_wait(map, got.version, -1), -EMFILE, "  if not waited for");
	need(!setrlimit(RLIMIT_NOFILE, &old), "setrlimit");
	zkern_map_close(map);
}

int main(void)
{
	struct zkern_mapping *map;
	char path[32], why[256];

	alarm(2 * LONG);
	inst = zk_instance(&owner);
	snprintf(path, sizeof(path), "/dev/zkern%d", inst);
	need(!zkern_open_device(path, &zk, why, sizeof(why)), "%s", why);
	is(zkern_map_open(zk, "/l", &map), -ENOENT, "what is not there is not mapped");
	zk_create(owner, ++zxid, "/l", "");
	is(zkern_map_open(zk, "l", &map), -EINVAL, "nor what is no path");
	is(zkern_map_open(zk, "/l", &map), 0, "a node is");
	test_sizes(map);
	test_revoked(map);
	test_back(map);
	test_many(map);
	test_wait(map);
	test_no_fd();
	is(zk_del(inst, ZKERN_DEL_FORCE), 0, "the instance is removed");
	is(zkern_map_get(map, buf, sizeof(buf), &got, NULL), -ENODEV, "  which a reader is told");
	zkern_map_close(map);
	zkern_close(zk);
	close(owner);
	return tap_end();
}
