// SPDX-License-Identifier: GPL-2.0-or-later
/* min_zxid, timeouts, signals, ages. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"

static int inst, owner, fd;

/* A read that waits, in a thread. */
struct waiter {
	pthread_t thread;
	pid_t tid;
	struct zkern_get get;
	int err;
	double took;
};

static void *wait_thread(void *arg)
{
	struct waiter *w = arg;
	double start = now();

	__atomic_store_n(&w->tid, gettid(), __ATOMIC_RELEASE);
	w->err = zk_exists(fd, "/w", &w->get);
	w->took = now() - start;
	return NULL;
}

/* Is the thread asleep? As /proc has it. */
static bool asleep(pid_t tid)
{
	char path[64], line[256], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (fgets(line, sizeof(line), f) && strrchr(line, ')'))
		sscanf(strrchr(line, ')'), ") %c", &state);
	fclose(f);
	return state == 'S';
}

/* Sleeps now, or will when it has looked why it was woken. */
static bool falls_asleep(pid_t tid)
{
	double end = now() + LONG;

	while (!asleep(tid)) {
		if (now() > end)
			return false;
		usleep(1000);
	}
	return true;
}

static void start(struct waiter *w, uint64_t min_zxid, uint32_t timeout_ms)
{
	double end = now() + LONG;

	memset(w, 0, sizeof(*w));
	w->get.min_zxid = min_zxid;
	w->get.timeout_ms = timeout_ms;
	need(!pthread_create(&w->thread, NULL, wait_thread, w), "thread");
	while (!__atomic_load_n(&w->tid, __ATOMIC_ACQUIRE)) {
		need(now() < end, "the reader does not start");
		usleep(1000);
	}
	need(falls_asleep(w->tid), "the reader does not wait");
}

static void join(struct waiter *w)
{
	need(!pthread_join(w->thread, NULL), "join");
}

static void on_signal(int sig)
{
	(void)sig;
}

static void test_wait(void)
{
	struct zkern_list list = {};
	struct zkern_read req = { .size = sizeof(req), .min_zxid = 11, .timeout_ms = 20 };
	struct waiter w, v;
	char buf[64];

	start(&w, 11, 0);
	start(&v, 12, 0);
	zk_set(owner, 11, "/w", "11", 1);
	join(&w);
	is(w.err, 0, "a read that waits for 11");
	ok(w.get.zxid >= 11, "  sees it");
	ok(falls_asleep(v.tid), "  one that waits for 12 goes on waiting");
	zk_set(owner, 12, "/w", "12", 2);
	join(&v);
	is(v.err, 0, "  until it is there");
	ok(v.get.zxid >= 12 && v.get.stat.version == 2, "  and sees it");

	w.get = (struct zkern_get){ .min_zxid = 12, .timeout_ms = 1 };
	is(zk_exists(fd, "/w", &w.get), 0, "what is there is not waited for");
	w.get = (struct zkern_get){ .min_zxid = 13, .timeout_ms = 100 };
	w.took = now();
	is(zk_exists(fd, "/w", &w.get), -ETIMEDOUT, "what does not come in time");
	w.took = now() - w.took;
	ok(w.took >= 0.1, "  is waited for that long (%.3f s)", w.took);
	req.min_zxid = 13;
	is(zk_ioctl(fd, ZKERN_READ, &req), -ETIMEDOUT, "reading many waits too");
	list = (struct zkern_list){
		.size = sizeof(list), .path = ptr("/"), .path_len = 1, .buf = ptr(buf),
		.buf_len = sizeof(buf), .min_zxid = 13, .timeout_ms = 20,
	};
	is(zk_ioctl(fd, ZKERN_CHILDREN, &list), -ETIMEDOUT, "listing as well");

	start(&w, 14, 0);
	pthread_kill(w.thread, SIGUSR1);
	join(&w);
	is(w.err, -EINTR, "a signal ends the wait");
}

static void test_age(void)
{
	struct zkern_get get = {};
	struct zkern_info info;

	is(zk_state(owner, ZKERN_STATE_FOLLOWING, 0), 0, "just heard of");
	is(zk_exists(fd, "/w", &get), 0, "a read");
	ok(get.age_ms < 60000, "  says so (%llu ms)", (unsigned long long)get.age_ms);
	get = (struct zkern_get){ .max_age_ms = 60000 };
	is(zk_exists(fd, "/w", &get), 0, "young enough");
	is(zk_state(owner, ZKERN_STATE_FOLLOWING, 90000), 0, "heard of 90 s ago");
	get = (struct zkern_get){ .max_age_ms = 90000 };
	is(zk_exists(fd, "/w", &get), -ESTALE, "  is more than 90 s");
	get = (struct zkern_get){ .max_age_ms = 200000 };
	is(zk_exists(fd, "/w", &get), 0, "  and less than 200 s");
	ok(get.age_ms >= 90000 && get.age_ms < 200000, "  as the answer has it");
	is(zk_state(owner, ZKERN_STATE_DISCONNECTED, ~0ull), 0, "never heard of");
	get = (struct zkern_get){ .max_age_ms = ~0u };
	is(zk_exists(fd, "/w", &get), -ESTALE, "  is too old for anybody");
	get = (struct zkern_get){};
	is(zk_exists(fd, "/w", &get), 0, "  but for who does not ask");
	ok(get.age_ms == ~0ull && get.state == ZKERN_STATE_DISCONNECTED, "  and says so");
	is(zk_info(fd, &info), 0, "info");
	ok(info.age_ms == ~0ull, "  as well");
}

/* An instance without a tree is waited for; one that is removed is not. */
static void test_ends(void)
{
	struct waiter w, v;
	int old = fd, id, o;

	id = zk_new(~0u, ~0u);
	need(id >= 0, "new");
	o = zk_open(id, O_RDWR);
	fd = zk_open(id, O_RDONLY);
	need(!zk_own(o, NULL), "own");
	zk_create(o, 7, "/w", "");
	start(&w, 7, 0);
	ok(falls_asleep(w.tid), "a read waits for an instance that is still empty");
	is(zk_state(o, ZKERN_STATE_LEADING, 0), 0, "  until its owner says what it is");
	join(&w);
	is(w.err, 0, "  and reads");
	start(&w, 8, 0);
	start(&v, 9, LONG * 1000);
	is(zk_del(id, ZKERN_DEL_FORCE), 0, "the instance is removed under those who wait");
	join(&w);
	join(&v);
	is(w.err, -ENODEV, "  who are told");
	is(v.err, -ENODEV, "  all");
	close(o);
	close(fd);
	fd = old;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGUSR1, &sa, NULL);
	inst = zk_instance(&owner);
	fd = zk_open(inst, O_RDONLY);
	need(fd >= 0, "open");
	zk_create(owner, 10, "/w", "10");
	test_wait();
	test_age();
	test_ends();
	close(fd);
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
