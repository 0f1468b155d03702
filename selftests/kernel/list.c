// SPDX-License-Identifier: GPL-2.0-or-later
/* Children page by page, at the device and at a snapshot, and the owner's lists. */
#include <fcntl.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"

#define MANY	100000
#define PAGE	(64 * 1024)

static int owner, fd, inst;
static char page[PAGE];

static void fill(void)
{
	struct batch b = {};
	char path[64];
	int i;

	batch_txn(&b, 1);
	batch_create(&b, "/many", "");
	batch_create(&b, "/few", "");
	batch_create(&b, "/few/one", "");
	batch_create(&b, "/few/two", "");
	batch_create(&b, "/few/three", "");
	need(!zk_apply(owner, &b, NULL), "apply");
	for (i = 0; i < MANY;) {
		batch_reset(&b);
		batch_txn(&b, 2 + i);
		do {
			snprintf(path, sizeof(path), "/many/child-%06d", i);
			batch_create(&b, path, "");
		} while (++i % 1000);
		need(!zk_apply(owner, &b, NULL), "apply at %d", i);
	}
	batch_free(&b);
}

static void test_few(void)
{
	struct zkern_list list;
	char name[64];

	is(zk_children(fd, "/few", "", page, PAGE, &list), 0, "children");
	ok(list.count == 3 && !list.more && list.used == 4 * 3 + 11 && list.zxid &&
	   list.state == ZKERN_STATE_STANDALONE && list.stat.num_children == 3 &&
	   list.stat.czxid == 1, "  are three, with the parent's stat");
	ok(!strcmp(entry(&list, 0, name, sizeof(name)), "one") &&
	   !strcmp(entry(&list, 1, name, sizeof(name)), "two") &&
	   !strcmp(entry(&list, 2, name, sizeof(name)), "three"), "  in order of creation");
	is(zk_children(fd, "/few", "two", page, PAGE, &list), 0, "children after the second");
	ok(list.count == 1 && !strcmp(entry(&list, 0, name, sizeof(name)), "three"), "  is one");
	is(zk_children(fd, "/few", "three", page, PAGE, &list), 0, "children after the last");
	ok(!list.count && !list.used && !list.more, "  are none");
	is(zk_children(fd, "/few/one", "", page, PAGE, &list), 0, "children of a leaf");
	ok(!list.count && !list.more, "  are none");
	is(zk_children(fd, "/", "few", page, PAGE, &list), 0, "children of the root after one");
	is(zk_children(fd, "/", "", page, PAGE, &list), 0, "children of the root");
	ok(list.count == 2, "  are two");

	is(zk_children(fd, "/few", "", page, 6, &list), -EMSGSIZE, "no room for the first");
	ok(list.used == 7 && list.more && list.zxid, "  which wants 7");
	is(zk_children(fd, "/few", "", page, 7, &list), 0, "room for the first");
	ok(list.count == 1 && list.more, "  and no more");
	is(zk_children(fd, "/few", "", page, 14, &list), 0, "room for two");
	ok(list.count == 2 && list.more, "  and no more");
}

static void test_bad(void)
{
	struct zkern_list list = {};

	is(zk_children(fd, "/nope", "", page, PAGE, &list), -ENOENT, "children of nothing");
	is(zk_children(fd, "/few", "four", page, PAGE, &list), -ESTALE, "after what is not there");
	is(zk_children(fd, "/", "few/one", page, PAGE, &list), -EINVAL, "after somebody else's");
	is(zk_children(fd, "few", "", page, PAGE, &list), -EINVAL, "a bad path");
	is(zk_children(fd, "", "", page, PAGE, &list), -EINVAL, "an empty path");
	is(zk_children(fd, "/few", "", (void *)8, PAGE, &list), -EFAULT, "a bad buffer");
	list.buf = ptr(page);
	list.flags = 1;
	is(zk_ioctl(fd, ZKERN_CHILDREN, &list), -EINVAL, "an unknown flag");
	list.flags = 0;
	list.owner = 1;
	is(zk_ioctl(fd, ZKERN_CHILDREN, &list), -EINVAL, "an owner");
	list.owner = 0;
	list.after = 8;
	is(zk_ioctl(fd, ZKERN_CHILDREN, &list), -EINVAL, "something after of no length");
	list.after_len = 3;
	is(zk_ioctl(fd, ZKERN_CHILDREN, &list), -EFAULT, "a bad pointer to it");
	list.after = 0;
	list.after_len = 0;
	list.path = 8;
	is(zk_ioctl(fd, ZKERN_CHILDREN, &list), -EFAULT, "a bad pointer to the path");
}

/* Pages through /many on @from; returns how many came, in their order, or -errno. */
static int walk(int from, uint32_t size, uint64_t *zxids, int *pages)
{
	char after[64] = "", name[64], want[64];
	struct zkern_list list;
	uint64_t zxid = 0;
	int n = 0, err;
	uint32_t off, len, i;

	*zxids = 0;
	*pages = 0;
	do {
		err = zk_children(from, "/many", after, page, size, &list);
		if (err)
			return err;
		for (i = 0, off = 0; i < list.count; i++, off += 4 + len, n++) {
			memcpy(&len, page + off, 4);
			snprintf(name, sizeof(name), "%.*s", (int)len, page + off + 4);
			snprintf(want, sizeof(want), "child-%06d", n);
			if (strcmp(name, want))
				return -EBADMSG;
		}
		if (off != list.used)
			return -EBADMSG;
		strcpy(after, name);
		if (list.zxid != zxid)
			++*zxids;
		zxid = list.zxid;
		++*pages;
	} while (list.more);
	return n;
}

static void test_many(void)
{
	struct zkern_list list;
	struct batch b = {};
	uint64_t zxids, zxid = 1000000;
	int pages, snap, i;

	is(walk(fd, PAGE, &zxids, &pages), MANY, "100,000 children in pages of 64 KiB");
	ok(pages == 25, "  are 25 pages (%d)", pages);
	is(walk(fd, 1000, &zxids, &pages), MANY, "100,000 children in pages of 1,000 bytes");

	snap = zk_snapshot(fd, "/many", NULL);
	need(snap >= 0, "snapshot");
	/* every other one goes, as many come */
	for (i = 0; i < MANY; i += 2) {
		char path[64];

		if (i % 1000 == 0)
			batch_txn(&b, zxid++);
		snprintf(path, sizeof(path), "/many/child-%06d", i);
		batch_delete(&b, path);
		snprintf(path, sizeof(path), "/many/new-%06d", i);
		batch_create(&b, path, "");
		if (i % 1000 == 998) {
			need(!zk_apply(owner, &b, NULL), "apply");
			batch_reset(&b);
		}
	}
	is(walk(snap, PAGE, &zxids, &pages), MANY, "a snapshot has the same 100,000 after changes");
	ok(zxids == 1 && pages == 25, "  at one zxid");
	is(zk_children(fd, "/many", "child-000000", page, PAGE, &list), -ESTALE,
	   "the device cannot go on after one that has gone");
	is(zk_children(snap, "/many", "child-000000", page, PAGE, &list), 0, "  the snapshot can");
	is(zk_children(fd, "/many", "child-000001", page, PAGE, &list), 0,
	   "the device goes on after one that is there");
	ok(list.count && !memcmp(page + 4, "child-000003", 12), "  with the next that is there");
	close(snap);
	batch_free(&b);
}

static void test_lists(void)
{
	const uint64_t session = 0x1000000000000abc, ttl = 0xff00000000001234;
	struct zkern_list list = {
		.size = sizeof(list), .owner = session, .buf = ptr(page), .buf_len = PAGE,
	};
	struct batch b = {};
	char name[64];

	batch_txn(&b, 2000000);
	batch_op(&b, ZKERN_OP_CREATE, "/few/e1", NULL, -1, &open_acl, session);
	batch_op(&b, ZKERN_OP_CREATE, "/few/e2", NULL, -1, &open_acl, session);
	batch_op(&b, ZKERN_OP_CREATE, "/few/other", NULL, -1, &open_acl, session + 1);
	batch_op(&b, ZKERN_OP_CREATE, "/few/box", NULL, -1, &open_acl, 1ull << 63);
	batch_op(&b, ZKERN_OP_CREATE, "/few/ttl", NULL, -1, &open_acl, ttl);
	need(!zk_apply(owner, &b, NULL), "apply");

	is(zk_ioctl(fd, ZKERN_OWNED, &list), -EPERM, "the owner's lists are for him alone");
	is(zk_ioctl(owner, ZKERN_OWNED, &list), 0, "a session's ephemerals");
	ok(list.count == 2 && !list.more && list.zxid == 2000000, "  are two");
	ok(!strcmp(entry(&list, 0, name, sizeof(name)), "/few/e1") &&
	   !strcmp(entry(&list, 1, name, sizeof(name)), "/few/e2"), "  by their paths");
	list.after = ptr("/few/e1");
	list.after_len = 7;
	is(zk_ioctl(owner, ZKERN_OWNED, &list), 0, "those after the first");
	ok(list.count == 1, "  are one");
	list.after = ptr("/few/other");
	list.after_len = 10;
	is(zk_ioctl(owner, ZKERN_OWNED, &list), -ESTALE, "those after another session's");
	list.after = ptr("/few/one");
	list.after_len = 8;
	is(zk_ioctl(owner, ZKERN_OWNED, &list), -ESTALE, "  or after nobody's");
	list.owner = 0;
	is(zk_ioctl(owner, ZKERN_OWNED, &list), -EINVAL, "nobody's ephemerals");
	list.owner = 1ull << 63;
	is(zk_ioctl(owner, ZKERN_OWNED, &list), -EINVAL, "containers are no session's");

	list.owner = 0;
	list.after = 0;
	list.after_len = 0;
	is(zk_ioctl(owner, ZKERN_TIMED, &list), 0, "containers and TTL nodes");
	ok(list.count == 2 && !strcmp(entry(&list, 0, name, sizeof(name)), "/few/box") &&
	   !strcmp(entry(&list, 1, name, sizeof(name)), "/few/ttl"), "  are two");
	list.after = ptr("/few/e1");
	list.after_len = 7;
	is(zk_ioctl(owner, ZKERN_TIMED, &list), -ESTALE, "  and not after an ephemeral");
	list.after = ptr("/few/box");
	list.after_len = 8;
	is(zk_ioctl(owner, ZKERN_TIMED, &list), 0, "  but after a container");
	ok(list.count == 1, "  is one");

	batch_reset(&b);
	batch_txn(&b, 2000001);
	batch_op(&b, ZKERN_OP_CLOSE, "", NULL, 0, NULL, session);
	is(zk_apply(owner, &b, NULL), 0, "the session is closed");
	list.owner = session;
	list.after = 0;
	list.after_len = 0;
	is(zk_ioctl(owner, ZKERN_OWNED, &list), 0, "its ephemerals");
	ok(!list.count && !list.more, "  are none");
	is(zk_exists(fd, "/few/e1", NULL), -ENOENT, "  and gone");
	is(zk_exists(fd, "/few/other", NULL), 0, "  the other session's are not");
	batch_free(&b);
}

static void test_stats(void)
{
	struct zkern_get get = {};

	is(zk_exists(fd, "/few/box", &get), 0, "a container's stat");
	ok(!get.stat.ephemeral_owner && get.stat.owner_stored == 1ull << 63,
	   "  shows no owner, but keeps it");
	is(zk_exists(fd, "/few/ttl", &get), 0, "a TTL node's stat");
	ok(!get.stat.ephemeral_owner && get.stat.owner_stored == 0xff00000000001234, "  as well");
	is(zk_exists(fd, "/few/other", &get), 0, "an ephemeral's stat");
	ok(get.stat.ephemeral_owner == 0x1000000000000abd, "  shows its session");
	is(zk_exists(fd, "/few", &get), 0, "their parent's stat");
	/* 8 were created, 2 deleted */
	ok(get.stat.cversion_stored == 8 && get.stat.num_children == 6 &&
	   get.stat.cversion == 2 * 8 - 6, "  counts changes as a client sees them");
}

int main(void)
{
	inst = zk_instance(&owner);
	fd = zk_open(inst, O_RDONLY);
	need(fd >= 0, "open");
	fill();
	test_few();
	test_bad();
	test_many();
	test_lists();
	test_stats();
	close(fd);
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
