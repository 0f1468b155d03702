// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guarantees of watches (linux/zkern.h, F to M), each with a writer that never stops.
 * Every test runs for a number of transactions, not for a time.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "ev.h"

#define SETS	4000
#define ROUNDS	200

static int inst, owner;
static uint64_t zxid = 1;	/* the writer's: published */
static atomic_bool stop;

static int open_watcher(void)
{
	int f = zk_open(inst, O_RDONLY | O_NONBLOCK);

	need(f >= 0, "open");
	return f;
}

/* Sets @path to its zxid, as text. */
static void set_to_zxid(const char *path)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)zxid + 1);
	zk_set(owner, zxid + 1, path, text, 0);
	zxid++;
}

/* @n transactions that change @arg, one after the other; then or when told to, the end. */
struct writer {
	pthread_t thread;
	const char *path;
	int n;
};

static void *write_thread(void *arg)
{
	struct writer *w = arg;
	int i;

	for (i = 0; i < w->n && !stop; i++)
		set_to_zxid(w->path);
	stop = true;
	return NULL;
}

static void start(struct writer *w, const char *path, int n)
{
	stop = false;
	w->path = path;
	w->n = n;
	need(!pthread_create(&w->thread, NULL, write_thread, w), "thread");
}

static void finish(struct writer *w)
{
	need(!pthread_join(w->thread, NULL), "join");
}

/*
 * F, G, and no gaps (I): each zxid is one event. @read is what a read of the node's data
 * answers with; it is the zxid that set it.
 */
static void test_order(void)
{
	long reads = 0, events = 0, unoffered = 0, silent = 0, early = 0, gaps = 0;
	int f = open_watcher(), err;
	struct zkern_get get = {};
	struct ev_buf b = {};
	struct writer w;
	uint64_t last;
	struct ev ev;
	char buf[32];

	need(!ev_queue(f, 1 << 20), "queue");
	need(!ev_add(f, ZKERN_WATCH_PERSISTENT, "/n"), "add");
	last = zxid;
	start(&w, "/n", SETS);
	while (!stop || last < zxid) {
		memset(&get, 0, sizeof(get));
		need(!zk_get(f, "/n", buf, sizeof(buf), &get), "get");
		reads++;
		if (!get.events && get.zxid > last)
			silent++;
		b.at = b.len;
		/* all up to what was read is there without waiting */
		while (last < get.zxid && (err = ev_next(f, &b, &ev)) == 1) {
			gaps += ev.e.type != ZKERN_EV_CHANGED || ev.e.zxid != last + 1;
			last = ev.e.zxid;
			events++;
		}
		if (last < get.zxid)
			unoffered++;
		/* and what it tells of can be seen */
		err = ev_next(f, &b, &ev);
		while (err == 1) {
			gaps += ev.e.type != ZKERN_EV_CHANGED || ev.e.zxid != last + 1;
			last = ev.e.zxid;
			events++;
			if (b.at < b.len) {
				err = ev_next(f, &b, &ev);
				continue;
			}
			need(!zk_get(f, "/n", buf, sizeof(buf), &get), "get");
			early += get.zxid < last || strtoull(buf, NULL, 10) < last;
			break;
		}
		if (unoffered + silent + early + gaps > 5)
			break;
	}
	stop = true;
	finish(&w);
	is(unoffered, 0, "F: who reads at Z has been offered all up to Z");
	is(silent, 0, "F: and the answer says when there are any");
	is(early, 0, "G: who has an event reads what it tells of, or later");
	is(gaps, 0, "I: each zxid's event, in order (%ld events, %ld reads)", events, reads);
	close(f);
}

/* H: the watch fires at the first change after what was read with it. */
static void test_set_and_read(void)
{
	long rounds = 0, missed = 0, wrong = 0;
	int f = open_watcher(), kind = 0, err;
	struct pollfd p = { .fd = f, .events = POLLIN };
	struct zkern_get get;
	struct writer w;
	struct ev_buf b;
	struct ev ev;
	char buf[32];

	start(&w, "/n", INT32_MAX);
	while (rounds < ROUNDS) {
		memset(&get, 0, sizeof(get));
		memset(&b, 0, sizeof(b));
		kind = !kind;
		err = kind ? ev_get(f, "/n", buf, sizeof(buf), &get) : ev_exists(f, "/n", &get);
		need(!err, "get");
		wrong += get.stat.mzxid != get.zxid ||
			 (kind && strtoull(buf, NULL, 10) != get.zxid);
		need(poll(&p, 1, LONG * 1000) == 1, "no event comes");
		err = ev_next(f, &b, &ev);
		missed += err != 1 || ev.e.zxid != get.zxid + 1;
		rounds++;
	}
	stop = true;
	finish(&w);
	is(wrong, 0, "H: the value is that of the zxid");
	is(missed, 0, "H: its watch fires at the next change (%ld times)", rounds);
	close(f);
}

/* J: threads share a file; each record goes to one of them, whole. */
static struct {
	int fd;
	uint64_t base;
	atomic_uchar times[SETS + 1];
	atomic_long other;
} shared;

static void *share_thread(void *arg)
{
	struct pollfd p = { .fd = shared.fd, .events = POLLIN };
	size_t room = 48 + 8 * (long)arg;
	struct ev_buf b = {};
	struct ev ev;
	ssize_t n;

	for (;;) {
		n = read(shared.fd, b.bytes, room);
		if (n < 0) {
			if (errno != EAGAIN)
				atomic_fetch_add(&shared.other, 1);
			if (stop && poll(&p, 1, 0) == 0)
				return NULL;
			poll(&p, 1, 10);
			continue;
		}
		b.at = 0;
		b.len = n;
		while (b.at < b.len) {
			ev_take(&b, &ev);
			if (ev.e.type == ZKERN_EV_CHANGED && !strcmp(ev.path, "/n") &&
			    ev.e.zxid - shared.base <= SETS)
				atomic_fetch_add(&shared.times[ev.e.zxid - shared.base], 1);
			else
				atomic_fetch_add(&shared.other, 1);
		}
	}
}

static void test_shared(void)
{
	long i, once = 0, n;
	pthread_t t[4];
	struct writer w;

	shared.fd = open_watcher();
	shared.base = zxid;
	need(!ev_queue(shared.fd, 1 << 20), "queue");
	need(!ev_add(shared.fd, ZKERN_WATCH_PERSISTENT, "/n"), "add");
	start(&w, "/n", SETS);
	for (i = 0; i < 4; i++)
		need(!pthread_create(&t[i], NULL, share_thread, (void *)(i * i * i)), "thread");
	finish(&w);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	n = zxid - shared.base;
	for (i = 1; i <= n; i++)
		once += shared.times[i] == 1;
	is(once, n, "J: each record to one reader, once");
	is(shared.other, 0, "J: and nothing else");
	close(shared.fd);
}

/* K: a short queue and a reader who dawdles: what is missing is said to be. */
static void test_overflow(void)
{
	long gaps = 0, overflows = 0, lost = 0, silent = 0;
	struct zkern_get get;
	int f = open_watcher();
	struct ev_buf b = {};
	struct writer w;
	uint64_t last;
	struct ev ev;
	int n = 0, err;

	need(!ev_queue(f, ZKERN_WATCH_QUEUE_MIN), "queue");
	need(!ev_add(f, ZKERN_WATCH_PERSISTENT, "/n"), "add");
	last = zxid;
	start(&w, "/n", SETS);
	while (!stop || last < zxid) {
		memset(&get, 0, sizeof(get));
		need(!zk_exists(f, "/n", &get), "get");
		silent += b.at == b.len && !get.events && get.zxid > last;
		err = ev_next(f, &b, &ev);
		if (err == -EAGAIN)
			continue;
		need(err == 1, "read");
		if (ev.e.type == ZKERN_EV_OVERFLOW) {
			gaps += ev.e.zxid != last + ev.e.arg || !ev.e.arg;
			overflows++;
			lost += ev.e.arg;
		} else {
			gaps += ev.e.zxid != last + 1;
		}
		last = ev.e.zxid;
		/* four times what the queue can hold */
		while (n % 64 == 0 && !stop && zxid < last + ZKERN_WATCH_QUEUE_MIN / 10)
			usleep(1000);
		n++;
	}
	finish(&w);
	is(gaps, 0, "K: what is missing is counted, to the event (%ld times, %ld of %d)", overflows,
	   lost, SETS);
	ok(overflows > 0, "K: which was tried");
	is(silent, 0, "F: and answers say when it waits");
	close(f);
}

/* ------------------------------------------------------------ a cache of nodes */

/*
 * The one thing that watches are for: a copy of some nodes that is read again when, and
 * only when, an event says so. At the end it is what the tree is.
 */
#define NODES	12

struct cache {
	pthread_t thread;
	uint32_t queue;
	bool recursive;			/* else a one-shot watch each */
	long reads, events, overflows;
	struct copy {
		bool there;
		uint64_t mzxid;
	} node[NODES];
};

static void node_path(int i, char path[32])
{
	snprintf(path, 32, "/c/%d", i);
}

static bool refresh(struct cache *c, int f, int i)
{
	struct zkern_get get = {};
	char path[32];
	int err;

	node_path(i, path);
	err = c->recursive ? zk_exists(f, path, &get) : ev_exists(f, path, &get);
	if (err == -ESTALE)
		return false;
	need(!err || err == -ENOENT, "exists");
	c->node[i].there = !err;
	c->node[i].mzxid = err ? 0 : get.stat.mzxid;
	c->reads++;
	return true;
}

/* Reads again what may have changed; false: the tree is hidden, later. */
static bool refresh_all(struct cache *c, int f, bool dirty[NODES])
{
	int i;

	for (i = 0; i < NODES; i++) {
		if (dirty[i] && !refresh(c, f, i))
			return false;
		dirty[i] = false;
	}
	return true;
}

static void *cache_thread(void *arg)
{
	struct cache *c = arg;
	int f = open_watcher(), i, err;
	struct pollfd p = { .fd = f, .events = POLLIN };
	bool dirty[NODES], clean = false, last = false;
	struct ev_buf b = {};
	struct ev ev;

	memset(dirty, true, sizeof(dirty));
	need(!ev_queue(f, c->queue), "queue");
	while (c->recursive && (err = ev_add(f, ZKERN_WATCH_RECURSIVE, "/c")))
		need(err == -ESTALE, "add");
	for (;;) {
		last = stop;
		while ((err = ev_next(f, &b, &ev)) == 1) {
			c->events++;
			if (ev.e.type == ZKERN_EV_OVERFLOW) {
				c->overflows++;
				memset(dirty, true, sizeof(dirty));
			} else if (!strncmp(ev.path, "/c/", 3)) {
				i = atoi(ev.path + 3);
				need(i >= 0 && i < NODES, "an event of %s", ev.path);
				dirty[i] = true;
			}
			clean = false;
		}
		need(err == -EAGAIN, "read");
		/* a file that has seen more than a tree that was cut off, has to wait for it */
		if (!clean)
			clean = refresh_all(c, f, dirty);
		if (clean && last && poll(&p, 1, 0) == 0)
			break;
		if (clean)
			poll(&p, 1, 10);
	}
	close(f);
	return NULL;
}

static void check_cache(struct cache *c, const char *what)
{
	int f = open_watcher(), i, err, wrong = 0;
	char path[32];

	for (i = 0; i < NODES; i++) {
		struct zkern_get get = {};

		node_path(i, path);
		err = zk_exists(f, path, &get);
		if (c->node[i].there != !err || (!err && c->node[i].mzxid != get.stat.mzxid)) {
			wrong++;
			printf("# %s: %d/%#llx, is %d/%#llx\n", path, c->node[i].there,
			       (unsigned long long)c->node[i].mzxid, !err,
			       (unsigned long long)get.stat.mzxid);
		}
	}
	is(wrong, 0, "%s (%ld reads, %ld events, %ld overflows)", what, c->reads, c->events,
	   c->overflows);
	close(f);
}

/* What the tree has, so that the writer knows what can be done. */
static uint64_t model[NODES];
static uint32_t seed = 1;

static uint32_t any(uint32_t n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static void one_change(struct batch *b, int i)
{
	char path[32];

	node_path(i, path);
	if (!model[i]) {
		batch_create(b, path, "");
	} else if (any(3)) {
		batch_set(b, path, "y", 1);
	} else {
		batch_delete(b, path);
		model[i] = 0;
		return;
	}
	model[i] = zxid + 1;
}

static void change_some(struct batch *b, int n)
{
	batch_reset(b);
	batch_txn(b, zxid + 1);
	while (n--)
		one_change(b, any(NODES));
	need(!zk_apply(owner, b, NULL), "apply");
	zxid++;
}

/* Another tree, some nodes of which differ: as if another history had been sent. */
static void swap_tree(struct batch *b)
{
	struct zkern_load l = {};
	char path[32];
	uint64_t at;
	int i;

	/* now and then the log's tail was cut off: zxids of that are not used again */
	at = any(4) ? zxid + 1 + any(3) : zxid - 2;
	if (at > zxid)
		zxid = at;
	batch_reset(b);
	batch_node(b, "/", "", 0, &open_acl);
	batch_node(b, "/n", "", 0, &open_acl);
	batch_node(b, "/c", "", 0, &open_acl);
	for (i = 0; i < NODES; i++) {
		struct zkern_node *node;

		if (!any(3))
			model[i] = any(2) ? at : 0;
		else if (model[i] > at)
			model[i] = at;
		if (!model[i])
			continue;
		node_path(i, path);
		node = batch_node(b, path, "y", 1, &open_acl);
		node->stat.czxid = model[i];
		node->stat.mzxid = model[i];
		node->stat.pzxid = model[i];
	}
	need(!zk_load(owner, ZKERN_LOAD_BEGIN, NULL, NULL), "begin");
	need(!zk_load(owner, ZKERN_LOAD_NODES, b, NULL), "nodes");
	l.zxid = at;
	need(!zk_load(owner, ZKERN_LOAD_COMMIT, NULL, &l), "commit");
}

/* The daemon goes and another one takes the tree up. */
static void restart(void)
{
	close(owner);
	owner = zk_open(inst, O_RDWR);
	need(owner >= 0 && !zk_own(owner, NULL), "own");
	need(!zk_state(owner, ZKERN_STATE_STANDALONE, 0), "state");
}

static void hide_and_show(struct batch *b)
{
	int n = any(4);

	need(!zk_state(owner, ZKERN_STATE_EMPTY, 0), "hide");
	while (n--) {
		if (any(2))
			swap_tree(b);
		else
			change_some(b, 1);
	}
	if (!any(3))
		restart();
	else
		need(!zk_state(owner, ZKERN_STATE_STANDALONE, 0), "show");
}

static void test_cache(void)
{
	struct cache c[4] = {
		{ .queue = 1 << 16 },
		{ .queue = 1 << 16, .recursive = true },
		{ .queue = ZKERN_WATCH_QUEUE_MIN },
		{ .queue = ZKERN_WATCH_QUEUE_MIN, .recursive = true },
	};
	struct batch b = {};
	int i, swaps = 0;

	stop = false;
	zk_create(owner, ++zxid, "/c", "");
	for (i = 0; i < 4; i++)
		need(!pthread_create(&c[i].thread, NULL, cache_thread, &c[i]), "thread");
	for (i = 0; i < 3000; i++) {
		switch (any(100)) {
		case 0:
		case 1:
			swap_tree(&b);
			swaps++;
			break;
		case 2:
			restart();
			break;
		case 3:
			hide_and_show(&b);
			swaps++;
			break;
		case 4:
		case 5:
			usleep(1000);
			break;
		default:
			change_some(&b, any(20) ? 1 : 30);
		}
	}
	change_some(&b, 1);
	stop = true;
	for (i = 0; i < 4; i++)
		need(!pthread_join(c[i].thread, NULL), "join");
	check_cache(&c[0], "K, L: a cache by one-shot watches is what the tree is");
	check_cache(&c[1], "K, L: one by a recursive watch");
	check_cache(&c[2], "K, L: with a short queue, one-shot");
	check_cache(&c[3], "K, L:   and recursive");
	ok(swaps > 20, "  over %d trees", swaps);
	batch_free(&b);
}

/* Files come and go while they are told. */
static void *come_and_go(void *arg)
{
	long *n = arg;
	struct ev_buf b;
	struct ev ev;
	int f;

	while (!stop) {
		f = open_watcher();
		need(!ev_add(f, ZKERN_WATCH_RECURSIVE, "/"), "add");
		ev_exists(f, "/n", NULL);
		if (++*n % 2) {
			memset(&b, 0, sizeof(b));
			ev_next(f, &b, &ev);
		}
		close(f);
	}
	return NULL;
}

static void test_close(void)
{
	long n[3] = {};
	pthread_t t[3];
	struct writer w;
	int i;

	start(&w, "/n", SETS);
	for (i = 0; i < 3; i++)
		need(!pthread_create(&t[i], NULL, come_and_go, &n[i]), "thread");
	finish(&w);
	for (i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	ok(n[0] > 0 && n[1] > 0 && n[2] > 0, "files are closed while they are told (%ld)",
	   n[0] + n[1] + n[2]);
}

int main(void)
{
	inst = zk_instance(&owner);
	zk_create(owner, ++zxid, "/n", "");
	set_to_zxid("/n");
	test_order();
	test_set_and_read();
	test_shared();
	test_overflow();
	test_cache();
	test_close();
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
