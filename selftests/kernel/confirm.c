// SPDX-License-Identifier: GPL-2.0-or-later
/* ZKERN_LINEARIZABLE: readers ask, the owner is told and answers. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"

#define MANY	16

static int owner, fd;

/* A read in a thread. */
struct reader {
	pthread_t thread;
	struct zkern_get get;
	int err;
	int over;
};

static void *read_thread(void *arg)
{
	struct reader *r = arg;

	r->err = zk_get(fd, "/c", NULL, 0, &r->get);
	__atomic_store_n(&r->over, 1, __ATOMIC_RELEASE);
	return NULL;
}

static bool over(const struct reader *r)
{
	return __atomic_load_n(&r->over, __ATOMIC_ACQUIRE);
}

static void start(struct reader *r, uint32_t timeout_ms)
{
	*r = (struct reader){ .get = { .flags = ZKERN_LINEARIZABLE | ZKERN_GET_NODATA,
				       .timeout_ms = timeout_ms } };
	need(!pthread_create(&r->thread, NULL, read_thread, r), "thread");
}

static int join(struct reader *r)
{
	need(!pthread_join(r->thread, NULL), "join");
	return r->err;
}

static uint64_t asked;

static int confirm(int who, uint64_t done)
{
	struct zkern_confirm q = { .size = sizeof(q), .done = done };
	int rc = zk_ioctl(who, ZKERN_CONFIRM, &q);

	if (!rc)
		asked = q.asked;
	return rc;
}

/* Whether there are readers that the owner does not know of. */
static bool polls(int timeout_ms)
{
	struct pollfd p = { .fd = owner, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1 && (p.revents & POLLIN);
}

/* Until @n in all have asked, as the owner knows. */
static bool until_asked(uint64_t n)
{
	double end = now() + LONG;

	while (asked < n && now() < end) {
		polls(100);
		need(!confirm(owner, 0), "confirm");
	}
	return asked == n;
}

static void test_states(void)
{
	struct zkern_get get = { .flags = ZKERN_LINEARIZABLE };
	char buf[16];

	is(zk_get(fd, "/c", buf, sizeof(buf), &get), 0, "a single server's tree has all");
	is(zk_state(owner, ZKERN_STATE_DISCONNECTED, 0), 0, "without a quorum");
	get = (struct zkern_get){ .flags = ZKERN_LINEARIZABLE };
	is(zk_get(fd, "/c", buf, sizeof(buf), &get), -ENOTCONN, "  there is nobody to ask");
	ok(!polls(0), "  and nobody has been asked");
	is(zk_state(owner, ZKERN_STATE_FOLLOWING, 0), 0, "it follows");
	is(confirm(owner, 1), -EINVAL, "the owner cannot have answered who did not ask");
	is(confirm(fd, 0), -EPERM, "no other can answer");
}

static void test_read(void)
{
	struct reader r, v;

	start(&r, 0);
	ok(polls(LONG * 1000), "a reader asks: the owner wakes");
	is(confirm(owner, 0), 0, "  and takes note");
	ok(asked == 1 && !polls(0), "  of one");
	zk_set(owner, 20, "/c", "20", 1);
	usleep(20000);
	ok(!over(&r), "  who waits");
	start(&v, 0);
	need(until_asked(2), "another one asks");
	zk_set(owner, 21, "/c", "21", 2);
	is(confirm(owner, 1), 0, "the first one is answered");
	is(join(&r), 0, "  and reads");
	ok(r.get.zxid >= 21, "  what is there then");
	usleep(20000);
	ok(!over(&v), "the second one is not");
	is(confirm(owner, 2), 0, "  but is now");
	is(join(&v), 0, "  and reads");
	is(confirm(owner, 1), 0, "an answer is not taken back");
	ok(asked == 2, "  nor was another one asked for");
}

static void test_many(void)
{
	struct reader r[MANY];
	unsigned int bad = 0;

	for (int i = 0; i < MANY; i++)
		start(&r[i], 0);
	need(until_asked(2 + MANY), "many ask");
	is(confirm(owner, 2 + MANY), 0, "one answer is for all");
	for (int i = 0; i < MANY; i++)
		bad += join(&r[i]) != 0;
	is(bad, 0, "  who read");
}

static void test_other_reads(void)
{
	struct zkern_get get = { .size = sizeof(get), .flags = ZKERN_LINEARIZABLE,
				 .path = ptr("/c"), .path_len = 2 };
	struct zkern_read many = { .size = sizeof(many), .flags = ZKERN_LINEARIZABLE,
				   .timeout_ms = 20, .gets = ptr(&get), .count = 1 };
	char buf[64];
	struct zkern_list list = { .size = sizeof(list), .flags = ZKERN_LINEARIZABLE,
				   .path = ptr("/"), .path_len = 1, .buf = ptr(buf),
				   .buf_len = sizeof(buf), .timeout_ms = 20 };
	struct zkern_snapshot snap = {};
	int s;

	is(zk_ioctl(fd, ZKERN_READ, &many), -ETIMEDOUT, "reading many waits too");
	many.flags = 0;
	is(zk_ioctl(fd, ZKERN_READ, &many), -EINVAL, "  but not for one of them");
	is(zk_ioctl(fd, ZKERN_CHILDREN, &list), -ETIMEDOUT, "listing waits");
	get.timeout_ms = 20;
	is(zk_ioctl(fd, ZKERN_GET, &get), -ETIMEDOUT, "getting waits no longer than asked");
	get.flags |= 0x400;
	is(zk_ioctl(fd, ZKERN_GET, &get), -EINVAL, "another flag is none");
	s = zk_snapshot(fd, "/", &snap);
	need(s >= 0, "snapshot");
	get.flags = ZKERN_LINEARIZABLE;
	is(zk_ioctl(s, ZKERN_GET, &get), -EINVAL, "a snapshot is of one moment");
	close(s);
	need(!confirm(owner, 0), "confirm");
}

static void on_signal(int sig)
{
	(void)sig;
}

static void test_ends(void)
{
	struct reader r, v;
	uint64_t before = asked;

	start(&r, 0);
	need(until_asked(before + 1), "asked");
	/* until it is seen: it may not sleep yet */
	while (!over(&r)) {
		pthread_kill(r.thread, SIGUSR1);
		usleep(1000);
	}
	is(join(&r), -EINTR, "a signal ends the wait");

	start(&r, 0);
	start(&v, LONG * 1000);
	need(until_asked(before + 3), "asked");
	is(zk_state(owner, ZKERN_STATE_DISCONNECTED, 0), 0, "the quorum is lost");
	is(join(&r), -ENOTCONN, "  who waits is told");
	is(join(&v), -ENOTCONN, "  everybody");

	is(zk_state(owner, ZKERN_STATE_LEADING, 0), 0, "it leads");
	start(&r, 0);
	need(until_asked(before + 4), "asked");
	is(zk_state(owner, ZKERN_STATE_LEADING, 1), 0, "  goes on leading");
	usleep(20000);
	ok(!over(&r), "  which is no answer");
	close(owner);
	is(join(&r), -ENOTCONN, "the owner goes: who waits is told");
	r.get = (struct zkern_get){ .flags = ZKERN_LINEARIZABLE | ZKERN_GET_NODATA };
	is(zk_get(fd, "/c", NULL, 0, &r.get), -ENOTCONN, "  and who comes");
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	int inst;

	sigaction(SIGUSR1, &sa, NULL);
	alarm(2 * LONG);
	inst = zk_instance(&owner);
	fd = zk_open(inst, O_RDONLY);
	need(fd >= 0, "open");
	zk_create(owner, 10, "/c", "10");
	test_states();
	test_read();
	test_many();
	test_other_reads();
	test_ends();
	close(fd);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
