// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guarantees of mapped nodes under a writer that does not stop, with more readers than
 * processors; on a kernel that preempts only where it says so and, where that can be
 * switched (PREEMPT_DYNAMIC), on one that preempts everywhere. The writer is of a lower
 * priority, so that readers preempt it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tap.h"
#include "mapped.h"

#define READERS	4
#define ROUND	0.5		/* seconds of each race, at least */
#define ENOUGH	500		/* reads and writes in it, at least */
#define USER	1000
#define LENS	700

static int inst, owner, fd;
static uint64_t zxid = 10;
static int over;

static bool stop(void)
{
	return __atomic_load_n(&over, __ATOMIC_ACQUIRE);
}

/* ------------------------------------------------------------ the writer */

static struct batch batch;

static void begin(void)
{
	batch_reset(&batch);
	batch_txn(&batch, ++zxid);
}

static void apply(void)
{
	need(!zk_apply(owner, &batch, NULL), "apply %#llx", (unsigned long long)zxid);
}

/* Data is the zxid, as many times as a length has it that goes with the zxid. */
static unsigned int len_at(uint64_t z)
{
	return 8 + 8 * (z * 7 % (LENS / 8));
}

static void put(uint32_t type, const char *path)
{
	static uint64_t data[LENS / 8 + 1];
	unsigned int i, len = len_at(zxid);

	for (i = 0; i < len / 8; i++)
		data[i] = zxid;
	batch_op(&batch, type, path, data, len, type == ZKERN_OP_CREATE ? &open_acl : NULL,
		 0)->version = zxid;
}

/* An even zxid sets both nodes, an odd one another. */
static void write_one(void)
{
	begin();
	if (zxid & 1) {
		put(ZKERN_OP_SETDATA, "/o");
	} else {
		put(ZKERN_OP_SETDATA, "/s");
		put(ZKERN_OP_SETDATA, "/p");
	}
	apply();
}

static uint64_t value_at(uint64_t z)
{
	return z & ~1ull;
}

/* ------------------------------------------------------------ the readers */

struct reader {
	pthread_t thread;
	void (*fn)(struct reader *r);
	int fd;
	struct mapped s, p;
	uint64_t reads;
	uint64_t again;
	uint64_t bad;
	uint64_t z;
	uint64_t data[LENS / 8 + 1];
	uint64_t pair[LENS / 8 + 1];
};

static void *reader_thread(void *arg)
{
	struct reader *r = arg;

	setpriority(PRIO_PROCESS, gettid(), 0);
	while (!stop()) {
		r->fn(r);
		__atomic_add_fetch(&r->reads, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static bool is_value(const uint64_t *data, int64_t len, uint64_t value)
{
	unsigned int i;

	if (len != len_at(value))
		return false;
	for (i = 0; i < len / 8; i++)
		if (data[i] != value)
			return false;
	return true;
}

/* MA, MD: one node, exact at its zxid, which does not go back. */
static void read_one(struct reader *r)
{
	struct zkern_map_got got;
	struct zkern_stat st;
	int err = mapped_get(&r->s, r->data, sizeof(r->data), &got, &st);

	if (err == -EAGAIN) {
		r->again++;
		return;
	}
	r->bad += err || got.zxid < r->z || !is_value(r->data, got.len, value_at(got.zxid)) ||
		  st.mzxid != value_at(got.zxid) || st.data_len != got.len ||
		  (uint32_t)st.version != (uint32_t)value_at(got.zxid);
	r->z = got.zxid;
}

/* MB: two nodes of one moment. */
static void read_two(struct reader *r)
{
	uint64_t z = zkern_map_load(&r->s.map.tree->zxid);
	struct zkern_map_got a, b;
	int err;

	err = zkern_map_get_at(&r->s.map, z, r->data, sizeof(r->data), &a, NULL) ?:
	      zkern_map_get_at(&r->p.map, z, r->pair, sizeof(r->pair), &b, NULL);
	if (err == -EAGAIN) {
		r->again++;
		return;
	}
	r->bad += err || !is_value(r->data, a.len, value_at(z)) ||
		  !is_value(r->pair, b.len, value_at(z));
}

/* ME: what a call has answered, the page has as well; and the other way by min_zxid. */
static void read_after(struct reader *r)
{
	struct zkern_get get = {};
	struct zkern_map_got got;
	int err;

	err = zk_get(r->fd, "/s", r->pair, sizeof(r->pair), &get);
	r->bad += err || !is_value(r->pair, get.len, value_at(get.zxid)) ||
		  zkern_map_load(&r->s.map.tree->zxid) < get.zxid;
	err = mapped_get(&r->s, r->data, sizeof(r->data), &got, NULL);
	if (err == -EAGAIN) {
		r->again++;
		return;
	}
	r->bad += err || got.zxid < get.zxid || r->data[0] < r->pair[0];
	get = (struct zkern_get){ .min_zxid = got.zxid, .timeout_ms = LONG * 1000 };
	err = zk_get(r->fd, "/s", r->pair, sizeof(r->pair), &get);
	r->bad += err || get.zxid < got.zxid || r->pair[0] < r->data[0];
}

static struct reader readers[READERS];

static bool enough(uint64_t writes)
{
	unsigned int i;

	for (i = 0; i < READERS; i++)
		if (__atomic_load_n(&readers[i].reads, __ATOMIC_RELAXED) < ENOUGH)
			return false;
	return writes >= ENOUGH;
}

static void race(const char *what, void (*fn)(struct reader *r))
{
	uint64_t reads = 0, again = 0, bad = 0, writes = 0, begun, more;
	double end = now() + ROUND;
	bool held = true;
	unsigned int i;

	__atomic_store_n(&over, 0, __ATOMIC_RELEASE);
	/* others have counted the zxid up */
	do
		write_one();
	while (zxid & 1);
	for (i = 0; i < READERS; i++) {
		struct reader *r = &readers[i];

		memset(r, 0, sizeof(*r));
		r->fn = fn;
		r->fd = zk_open(inst, O_RDONLY);
		need(r->fd >= 0 && !mapped_open(r->fd, "/s", &r->s) &&
		     !mapped_open(r->fd, "/p", &r->p), "map");
	}
	begun = zkern_map_load(&readers[0].s.map.node->begun);
	for (i = 0; i < READERS; i++)
		need(!pthread_create(&readers[i].thread, NULL, reader_thread, &readers[i]),
		     "thread");
	for (; now() < end || !enough(writes); writes++)
		write_one();
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	for (i = 0; i < READERS; i++)
		pthread_join(readers[i].thread, NULL);
	more = zkern_map_load(&readers[0].s.map.node->begun) - begun;
	for (i = 0; i < READERS; i++) {
		reads += readers[i].reads;
		again += readers[i].again;
		bad += readers[i].bad;
		/* none of them without a change of its own */
		held &= readers[i].again <= more + 1;
		mapped_close(&readers[i].s);
		mapped_close(&readers[i].p);
		close(readers[i].fd);
	}
	ok(!bad, "%s: %llu reads, %llu transactions, none is wrong", what,
	   (unsigned long long)reads, (unsigned long long)writes);
	if (bad)
		printf("# %llu are\n", (unsigned long long)bad);
	ok(held, "MC: %llu reads begin anew, no more than there were changes",
	   (unsigned long long)again);
}

/* ------------------------------------------------------------ revoking */

/* A user who may read what is public, and meets nothing that is secret. */
static int public_only(void *arg)
{
	int ready = *(int *)arg, bad = 0, maps = 0, got = 0;
	double end = now() + ROUND;
	struct zkern_map_got g;
	char buf[64];
	struct mapped m;

	while ((now() < end || got < 100) && !bad) {
		if (mapped_open(fd, "/acl", &m))
			continue;
		if (!maps++ && write(ready, "", 1) != 1)
			return 3;
		do {
			memset(buf, 0, sizeof(buf));
			if (!mapped_get(&m, buf, sizeof(buf), &g, NULL)) {
				got++;
				bad += memcmp(buf, "public", 6) != 0;
			}
			bad += memmem(m.base, m.req.map_len, "secret", 6) != NULL;
		} while (zkern_map_load(&m.map.node->done));
		mapped_close(&m);
	}
	return bad ? 1 : 0;
}

static void set_acl(const char *scheme, const char *id)
{
	struct acl acl;

	acl_none(&acl);
	acl_add(&acl, ALL, scheme, id);
	begin();
	batch_op(&batch, ZKERN_OP_SETACL, "/acl", NULL, 0, &acl, 0)->version = zxid;
	apply();
}

static void set_text(const char *text)
{
	begin();
	batch_set(&batch, "/acl", text, zxid);
	apply();
}

static void test_revoked(void)
{
	unsigned int rounds = 0;
	int pipes[2], status;
	char byte;
	pid_t pid;

	need(!pipe(pipes), "pipe");
	fflush(stdout);
	pid = fork();
	need(pid >= 0, "fork");
	if (!pid)
		_exit(as_user(USER, USER, USER, public_only, &pipes[1]));
	need(read(pipes[0], &byte, 1) == 1, "the reader does not map");
	while (!waitpid(pid, &status, WNOHANG)) {
		set_acl("uid", "0");
		set_text("secret 1");
		set_text("secret 2");
		if (rounds++ % 4 == 0) {
			begin();
			batch_delete(&batch, "/acl");
			batch_create(&batch, "/acl", "public again");
			apply();
			continue;
		}
		set_text("public");
		set_acl("world", "anyone");
		usleep(200);
	}
	ok(WIFEXITED(status) && !WEXITSTATUS(status),
	   "MF: %u times made secret, nothing of it was seen by who may not", rounds);
	close(pipes[0]);
	close(pipes[1]);
}

/* ------------------------------------------------------------ waiting */

#define CHANGES	200

static uint64_t noticed;

/* Each change is made only when the one before was noticed: one that is missed hangs. */
static void *wait_thread(void *arg)
{
	struct mapped *m = arg;
	struct zkern_map_wait req = { .size = sizeof(req), .timeout_ms = LONG * 1000 };
	struct zkern_map_got got;
	uint64_t data[LENS / 8 + 1];

	while (__atomic_load_n(&noticed, __ATOMIC_RELAXED) < CHANGES) {
		while (mapped_get(m, data, sizeof(data), &got, NULL))
			;
		__atomic_store_n(&noticed, data[0], __ATOMIC_RELEASE);
		req.version = got.version;
		if (data[0] < CHANGES && zk_ioctl(m->fd, ZKERN_MAP_WAIT, &req))
			return (void *)1;
	}
	return NULL;
}

static void test_wait(void)
{
	pthread_t thread[2];
	struct mapped m;
	uint64_t i;
	void *failed;
	int bad = 0;

	begin();
	i = 0;
	batch_op(&batch, ZKERN_OP_CREATE, "/w", &i, sizeof(i), &open_acl, 0);
	apply();
	noticed = 0;
	need(!mapped_open(fd, "/w", &m), "map");
	need(!pthread_create(&thread[0], NULL, wait_thread, &m), "thread");
	need(!pthread_create(&thread[1], NULL, wait_thread, &m), "thread");
	for (i = 1; i <= CHANGES; i++) {
		begin();
		batch_op(&batch, ZKERN_OP_SETDATA, "/w", &i, sizeof(i), NULL, 0)->version = i;
		apply();
		while (__atomic_load_n(&noticed, __ATOMIC_ACQUIRE) < i)
			sched_yield();
	}
	pthread_join(thread[0], &failed);
	bad += failed != NULL;
	pthread_join(thread[1], &failed);
	bad += failed != NULL;
	is(bad, 0, "MH: %d changes, each noticed before the next", CHANGES);
	mapped_close(&m);
	begin();
	batch_delete(&batch, "/w");
	apply();
}

/* ------------------------------------------------------------ kernels */

static bool preempt(const char *how)
{
	bool good;
	int f;

	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	f = open("/sys/kernel/debug/sched/preempt", O_WRONLY);
	if (f < 0)
		return false;
	good = write(f, how, strlen(how)) == (ssize_t)strlen(how);
	close(f);
	return good;
}

static void all(const char *how)
{
	bool can = preempt(how);

	printf("# preempt=%s%s\n", how, can ? "" : " cannot be switched to: as it is");
	race("MA, MD", read_one);
	race("MB", read_two);
	race("ME", read_after);
	test_revoked();
	test_wait();
}

int main(void)
{
	alarm(2 * LONG);
	inst = zk_instance(&owner);
	fd = zk_open(inst, O_RDONLY);
	need(fd >= 0, "open");
	zxid |= 1;
	begin();		/* an even one */
	put(ZKERN_OP_CREATE, "/s");
	put(ZKERN_OP_CREATE, "/p");
	put(ZKERN_OP_CREATE, "/o");
	batch_create(&batch, "/acl", "public");
	apply();
	/* of this thread alone */
	need(!setpriority(PRIO_PROCESS, gettid(), 5), "setpriority");
	all("full");
	all("voluntary");
	batch_free(&batch);
	close(fd);
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
