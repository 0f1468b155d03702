// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Owning: who may, what applies, what is refused and leaves no trace, orphans,
 * and swapping trees.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"

#define USER	1234

static int inst, owner, fd;

static int try_own(void *arg)
{
	int o = zk_open(*(int *)arg, O_RDWR);

	return -zk_own(o, NULL);
}

static int try_new(void *arg)
{
	(void)arg;
	return -zk_new(~0u, ~0u);
}

static void test_who(void)
{
	struct zkern_own own = { .label = "the first" };
	struct zkern_info info;
	int other, theirs, o, status;
	pid_t pid;

	inst = zk_new(~0u, ~0u);
	need(inst >= 0, "cannot make an instance (%d)", inst);
	is(zk_new(inst, ~0u), -EEXIST, "a number that is taken");
	is(zk_new(ZKERN_MAX_INSTANCES, ~0u), -EINVAL, "a number that is too large");
	theirs = zk_new(200, USER);
	is(theirs, 200, "an instance for a user, by number");
	is(as_user(USER, USER, USER, try_new, NULL), EACCES, "he makes none himself");
	is(as_user(USER, USER, USER, try_own, &inst), EPERM, "he does not own what is not his");
	is(as_user(USER, USER, USER, try_own, &theirs), 0, "he owns what is");
	is(as_user(USER + 1, USER, USER, try_own, &theirs), EPERM, "another one does not");

	owner = zk_open(inst, O_RDWR);
	is(zk_own(owner, &own), 0, "root owns");
	ok(own.state == ZKERN_STATE_EMPTY && !own.zxid, "  an empty instance");
	other = zk_open(inst, O_RDWR);
	is(zk_own(other, NULL), -EBUSY, "there is one owner");
	is(zk_own(owner, NULL), -EBUSY, "  and he is it only once");
	is(zk_del(inst, 0), -EBUSY, "  and keeps it from being removed");
	is(zk_state(other, ZKERN_STATE_LEADING, 0), -EPERM, "only the owner sets the state");
	is(zk_state(owner, ZKERN_STATE_ORPHANED, 0), -EINVAL, "  which is not ORPHANED");
	is(zk_state(owner, 7, 0), -EINVAL, "  or unknown");
	zk_create(owner, 5, "/kept", "kept");
	is(zk_exists(other, "/kept", NULL), -ESTALE, "before the first state nothing is read");
	is(zk_state(owner, ZKERN_STATE_LEADING, 0), 0, "the owner leads");
	is(zk_exists(other, "/kept", NULL), 0, "  and his tree is read");
	is(zk_state(owner, ZKERN_STATE_EMPTY, ~0ull), 0, "he does not vouch for it any more");
	is(zk_exists(other, "/kept", NULL), -ESTALE, "  nothing is read");
	is(zk_exists(owner, "/kept", NULL), 0, "  but by himself");
	is(zk_state(owner, ZKERN_STATE_LEADING, 0), 0, "he does again");
	is(zk_exists(other, "/kept", NULL), 0, "  and it is read");

	/* a copy in another process keeps the ownership */
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	close(owner);
	is(zk_own(other, NULL), -EBUSY, "a copy of the file still owns");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	is(zk_info(other, &info), 0, "when it is gone");
	ok(info.state == ZKERN_STATE_ORPHANED && !info.owner_pid && !info.label[0],
	   "  the instance is an orphan");
	is(zk_exists(other, "/kept", NULL), 0, "  and still read");

	o = zk_open(inst, O_RDWR);
	memset(&own, 0, sizeof(own));
	is(zk_own(o, &own), 0, "it is taken up");
	ok(own.state == ZKERN_STATE_ORPHANED && own.zxid == 5 && own.digest == info.digest,
	   "  at its zxid and digest");
	is(zk_info(other, &info), 0, "now");
	ok(info.state == ZKERN_STATE_DISCONNECTED, "  it has no quorum yet");
	zk_create(o, 6, "/kept/more", "");
	is(zk_exists(other, "/kept/more", NULL), 0, "  and goes on");
	close(o);
	close(other);
	is(zk_del(inst, 0), 0, "an orphan is removed");
	is(zk_del(theirs, 0), 0, "the user's too");
}

static uint64_t digest_now(void)
{
	struct zkern_info info;

	need(!zk_info(fd, &info), "info");
	return info.digest;
}

/* What must be refused, and leave the tree as it is. */
static void refused(struct batch *b, int err, uint32_t op, const char *what)
{
	uint64_t before = digest_now();
	struct zkern_apply res;

	is(zk_apply(owner, b, &res), err, "%s", what);
	ok(!res.applied && res.failed_op == op && res.digest == before && digest_now() == before,
	   "  changes nothing");
	batch_reset(b);
}

static void test_refused(void)
{
	struct batch b = {};
	struct zkern_apply res;
	struct zkern_get get = {};
	char buf[64];

	batch_txn(&b, 10);
	batch_create(&b, "/a", "a");
	batch_create(&b, "/a/b", "b");
	need(!zk_apply(owner, &b, NULL), "apply");
	is(zk_apply(fd, &b, NULL), -EPERM, "only the owner applies");
	batch_reset(&b);

	batch_txn(&b, 11);
	batch_set(&b, "/a", "changed", 1);
	batch_create(&b, "/a/c", "c");
	batch_create(&b, "/a/b", "again");
	refused(&b, -EEXIST, 2, "creating what is there");
	is(zk_get(fd, "/a", buf, sizeof(buf), &get), 0, "what it did before");
	ok(get.len == 1 && !get.stat.version && get.stat.num_children == 1, "  was not done");
	batch_txn(&b, 11);
	batch_create(&b, "/x/y", "");
	refused(&b, -ENOENT, 0, "creating without a parent");
	batch_txn(&b, 11);
	batch_create(&b, "/z", "");
	batch_delete(&b, "/a");
	refused(&b, -ENOTEMPTY, 1, "deleting a parent");
	batch_txn(&b, 11);
	batch_delete(&b, "/nope");
	refused(&b, -ENOENT, 0, "deleting nothing");
	batch_txn(&b, 11);
	batch_set(&b, "/nope", "", 0);
	refused(&b, -ENOENT, 0, "setting nothing");
	batch_txn(&b, 10);
	refused(&b, -EINVAL, 0, "a zxid that does not grow");
	batch_txn(&b, 11);
	batch_create(&b, "/a/", "");
	refused(&b, -EINVAL, 0, "a malformed path");

	batch_txn(&b, 11);
	batch_create(&b, "/ok1", "");
	batch_txn(&b, 12);
	batch_create(&b, "/ok2", "");
	batch_txn(&b, 13);
	batch_create(&b, "/ok1", "");
	batch_txn(&b, 14);
	batch_create(&b, "/not", "");
	is(zk_apply(owner, &b, &res), -EEXIST, "the third of four refused");
	ok(res.applied == 2 && res.zxid == 12 && !res.failed_op, "  two are applied");
	is(zk_exists(fd, "/ok2", NULL), 0, "  and seen");
	is(zk_exists(fd, "/not", NULL), -ENOENT, "  what came after is not");

	batch_reset(&b);
	batch_txn(&b, 13);
	is(zk_apply(owner, &b, &res), 0, "a transaction of nothing");
	ok(res.zxid == 13, "  moves the zxid");
	batch_free(&b);
}

/* Each field of a good batch made bad. */
static void test_malformed(void)
{
	struct batch b = {};
	struct zkern_txn *txn;
	struct zkern_op *op;
	struct zkern_apply req = { .size = sizeof(req) };

#define BROKEN(what, change) do {				\
	batch_reset(&b);					\
	batch_txn(&b, 100);					\
	op = batch_op(&b, ZKERN_OP_CREATE, "/broken", "x", 1, &open_acl, 0); \
	txn = (void *)b.buf;					\
	(void)op;						\
	(void)txn;						\
	change;							\
	refused(&b, -EINVAL, 0, what);				\
} while (0)

	BROKEN("a transaction shorter than itself", txn->len = 8);
	BROKEN("one that ends before its operation", txn->len = sizeof(*txn));
	BROKEN("one longer than what is there", txn->len += 8);
	BROKEN("one of huge length", txn->len = 0xfffffff8);
	BROKEN("one of odd length", txn->len -= 4);
	BROKEN("one with unknown flags", txn->flags = 2);
	BROKEN("one with padding", txn->pad = 1);
	BROKEN("one with more operations than there are", txn->n_ops = 2);
	BROKEN("one with very many", txn->n_ops = 0xffffffff);
	BROKEN("one with fewer", txn->n_ops = 0);
	BROKEN("an operation of length 0", op->len = 0);
	BROKEN("one longer than its transaction", op->len += 8);
	BROKEN("one of unknown type", op->type = 6);
	BROKEN("one of type 0", op->type = 0);
	BROKEN("a path that ends elsewhere", op->path_len += 8);
	BROKEN("a path of huge length", op->path_len = 0xffffffff);
	BROKEN("a path of no length", op->path_len = 0);
	BROKEN("data of huge length", op->data_len = 0x7fffffff);
	BROKEN("data of length -2", op->data_len = -2);
	BROKEN("an ACL of huge length", op->acl_len = 0xffffffff);
	BROKEN("an ACL that is cut", op->acl_len -= 1);
	BROKEN("lengths that add up to 2^32", op->path_len = 0x80000000; op->acl_len = 0x80000000);
	BROKEN("bytes in the padding", b.buf[b.len - 1] = 1);
	BROKEN("half a transaction", b.len = 8);
#undef BROKEN

	is(zk_ioctl(owner, ZKERN_APPLY, &req), -EINVAL, "an empty batch");
	req.buf = 8;
	req.buf_len = 64;
	is(zk_ioctl(owner, ZKERN_APPLY, &req), -EFAULT, "a batch that is not there");
	req.buf_len = ZKERN_APPLY_MAX + 8;
	is(zk_ioctl(owner, ZKERN_APPLY, &req), -EINVAL, "a batch over the limit");
	req.buf_len = 64;
	req.flags = 1;
	is(zk_ioctl(owner, ZKERN_APPLY, &req), -EINVAL, "an unknown flag");
	batch_free(&b);
}

/* Random damage: nothing may happen but a refusal or a harmless application. */
static void test_fuzz(void)
{
	struct batch good = {}, b = {};
	unsigned int seed = 1, refusals = 0, i, k, hits;
	struct zkern_info info;

	for (i = 0; i < 4000; i++) {
		need(!zk_info(fd, &info), "info");
		batch_reset(&b);
		batch_txn(&b, info.zxid + 1);
		batch_create(&b, "/fuzz", "some data");
		batch_set(&b, "/fuzz", "other data", 1);
		batch_op(&b, ZKERN_OP_SETACL, "/fuzz", NULL, 0, &open_acl, 0);
		batch_delete(&b, "/fuzz");
		hits = 1 + rand_r(&seed) % 3;
		for (k = 0; k < hits; k++) {
			size_t at = rand_r(&seed) % b.len;

			/* zxids that leave no room for the next are no damage */
			if (at >= 8 && at < 24)
				continue;
			b.buf[at] = rand_r(&seed) % 4 ? b.buf[at] ^ (1 << rand_r(&seed) % 8) :
							rand_r(&seed);
		}
		if (zk_apply(owner, &b, NULL))
			refusals++;
	}
	ok(refusals > 1000, "4,000 damaged batches: %u refused, nothing broken", refusals);
	is(zk_exists(fd, "/a/b", NULL), 0, "  and the tree is there");
	batch_free(&good);
	batch_free(&b);
}

static void root_node(struct batch *b)
{
	batch_node(b, "/", "", 0, &open_acl);
}

static void test_load(void)
{
	struct zkern_load load = {};
	struct zkern_info before, after;
	struct zkern_get get = {};
	struct batch b = {};
	struct zkern_node *node;
	char buf[64];
	int old;

	is(zk_load(fd, ZKERN_LOAD_BEGIN, NULL, NULL), -EPERM, "only the owner loads");
	is(zk_load(owner, ZKERN_LOAD_COMMIT, NULL, NULL), -EINVAL, "nothing was begun");
	is(zk_load(owner, 5, NULL, NULL), -EINVAL, "an unknown command");
	need(!zk_info(fd, &before), "info");
	old = zk_open(inst, O_RDONLY);
	need(!zk_exists(old, "/a", NULL), "exists");

	is(zk_load(owner, ZKERN_LOAD_BEGIN, NULL, NULL), 0, "a tree is begun");
	root_node(&b);
	node = batch_node(&b, "/l", "loaded", 6, &open_acl);
	node->stat.czxid = 3;
	node->stat.mzxid = 4;
	node->stat.pzxid = 5;
	node->stat.ctime = 6;
	node->stat.mtime = 7;
	node->stat.version = 8;
	node->stat.cversion_stored = 9;
	node->stat.aversion = 10;
	batch_node(&b, "/l/n", NULL, -1, &open_acl)->stat.owner_stored = 77;
	is(zk_load(owner, ZKERN_LOAD_NODES, &b, &load), 0, "nodes");
	ok(load.done == 3, "  are three");
	batch_reset(&b);
	batch_node(&b, "/no/parent", "", 0, &open_acl);
	is(zk_load(owner, ZKERN_LOAD_NODES, &b, &load), -ENOENT, "a node without a parent");
	batch_reset(&b);
	batch_node(&b, "/l", "", 0, &open_acl);
	is(zk_load(owner, ZKERN_LOAD_NODES, &b, &load), -EEXIST, "a node twice");
	batch_reset(&b);
	batch_node(&b, "/hidden", "", 0, &open_acl)->flags = ZKERN_NODE_HIDDEN;
	is(zk_load(owner, ZKERN_LOAD_NODES, &b, &load), -EINVAL, "a hidden node");
	batch_reset(&b);
	batch_node(&b, "/long", "", 0, &open_acl)->path_len = 0xfffffff0;
	is(zk_load(owner, ZKERN_LOAD_NODES, &b, &load), -EINVAL, "a node with a bad length");
	is(zk_exists(fd, "/l", NULL), -ENOENT, "nothing of it is seen");
	is(zk_exists(fd, "/a", NULL), 0, "  and the old tree is");

	batch_reset(&b);
	batch_txn(&b, 6)->flags = ZKERN_TXN_REPLAY;
	batch_create(&b, "/l/n", "there already");
	batch_create(&b, "/r", "replayed");
	batch_txn(&b, 7)->flags = ZKERN_TXN_REPLAY;
	batch_delete(&b, "/gone");
	is(zk_load(owner, ZKERN_LOAD_TXNS, &b, &load), 0, "transactions are replayed");
	ok(load.done == 2 && load.zxid == 7, "  two, up to 7");
	load.zxid = 6;
	is(zk_load(owner, ZKERN_LOAD_COMMIT, NULL, &load), -EINVAL, "not below what was replayed");
	load.zxid = 8;
	is(zk_load(owner, ZKERN_LOAD_COMMIT, NULL, &load), 0, "the tree is swapped in");
	need(!zk_info(fd, &after), "info");
	ok(load.zxid == 8 && after.zxid == 8 && after.digest == load.digest &&
	   after.digest != before.digest && after.tree != before.tree && after.nodes == 4,
	   "  at its zxid");

	/* guarantee C */
	is(zk_exists(old, "/r", &get), -ESTALE, "a file that has seen more");
	is(zk_info(old, &after), 0, "  is told so, and how things are");
	ok(after.zxid == 8, "  at 8");
	close(fd);
	fd = zk_open(inst, O_RDONLY);
	is(zk_get(fd, "/l", buf, sizeof(buf), &get), 0, "a new file reads");
	ok(get.zxid == 8 && get.len == 6 && get.stat.czxid == 3 && get.stat.mzxid == 4 &&
	   get.stat.ctime == 6 && get.stat.mtime == 7 && get.stat.version == 8 &&
	   get.stat.aversion == 10, "  what was loaded");
	/* the child that was there already counts once more (DataTree.loadDatabase) */
	ok(get.stat.pzxid == 6 && get.stat.cversion_stored == 10 && get.stat.cversion == 19,
	   "  and replayed over");
	is(zk_get(fd, "/r", buf, sizeof(buf), NULL), 0, "  and replayed");
	is(zk_exists(fd, "/a", NULL), -ENOENT, "  and nothing else");
	is(zk_exists(owner, "/r", NULL), 0, "the owner reads on");
	zk_create(owner, before.zxid - 1, "/almost", "");
	is(zk_exists(old, "/r", &get), -ESTALE, "the old file still waits");
	zk_create(owner, before.zxid, "/reached", "");
	is(zk_exists(old, "/r", &get), 0, "  until its zxid is reached");
	close(old);

	is(zk_load(owner, ZKERN_LOAD_BEGIN, NULL, NULL), 0, "another tree is begun");
	is(zk_load(owner, ZKERN_LOAD_ABORT, NULL, NULL), 0, "  and dropped");
	is(zk_load(owner, ZKERN_LOAD_NODES, &b, NULL), -EINVAL, "  and is not there");
	is(zk_load(owner, ZKERN_LOAD_BEGIN, NULL, NULL), 0, "one is left as it is");
	batch_free(&b);
}

/* Readers that run while trees are swapped: @stop ends them. */
static atomic_bool stop;

static void *swap_reader(void *arg)
{
	long bad = 0, reads = 0;
	char buf[64];
	int file;

	(void)arg;
	while (!stop) {
		struct zkern_get get = {}, last = {};
		int i;

		file = zk_open(inst, O_RDONLY);
		for (i = 0; i < 200; i++, reads++) {
			int err = zk_get(file, "/swap", buf, sizeof(buf), &get);

			/* the data is the zxid's parity */
			if (err == -ESTALE)
				break;
			if (err || get.len != 1 || buf[0] != "eo"[get.zxid & 1] ||
			    get.zxid < last.zxid)
				bad++;
			last = get;
		}
		close(file);
	}
	return (void *)(reads ? bad : -1);
}

static void swap_in(uint64_t zxid)
{
	struct zkern_load load = { .zxid = zxid };
	struct batch b = {};

	need(!zk_load(owner, ZKERN_LOAD_BEGIN, NULL, NULL), "begin");
	root_node(&b);
	batch_node(&b, "/swap", zxid & 1 ? "o" : "e", 1, &open_acl);
	need(!zk_load(owner, ZKERN_LOAD_NODES, &b, NULL), "nodes");
	need(!zk_load(owner, ZKERN_LOAD_COMMIT, NULL, &load), "commit");
	batch_free(&b);
}

static void test_swap(void)
{
	pthread_t t[4];
	long bad = 0;
	void *res;
	int i;

	swap_in(1000);
	for (i = 0; i < 4; i++)
		need(!pthread_create(&t[i], NULL, swap_reader, NULL), "thread");
	for (i = 0; i < 500; i++) {
		/* up and down, and a transaction between */
		swap_in(1001 + i % 7);
		zk_set(owner, 1101 + i % 7 * 2 + 1, "/swap",
		       (1102 + i % 7 * 2) & 1 ? "o" : "e", 1);
	}
	stop = 1;
	for (i = 0; i < 4; i++) {
		pthread_join(t[i], &res);
		bad += res ? 1 : 0;
	}
	ok(!bad, "500 swaps under four readers, who see one tree at a time, in order");
}

int main(void)
{
	test_who();
	inst = zk_instance(&owner);
	fd = zk_open(inst, O_RDONLY);
	need(fd >= 0, "open");
	test_refused();
	test_malformed();
	test_fuzz();
	test_load();
	test_swap();
	close(fd);
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
