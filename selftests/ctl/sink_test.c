// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines through a bounded queue: order, loss, stalling, a slow reader, failing writes. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "selftests/ctl/ctl.h"

#include "daemon/base/sink.h"

#define PATIENCE_MS	60000

static void nap(void)
{
	struct timespec ts = { .tv_nsec = 1000000 };

	nanosleep(&ts, NULL);
}

/* Waits for @cond; false: it did not come to be. */
#define comes(cond) ({								\
	int left_ = PATIENCE_MS;						\
										\
	while (!(cond) && left_--)						\
		nap();								\
	(cond);									\
})

static int numbers_in(const char *path, int first)
{
	FILE *f = fopen(path, "r");
	int v, n = 0;

	need(f);
	while (fscanf(f, "%d", &v) == 1)
		n += v == first + n;
	fclose(f);
	return n;
}

static void put_number(struct sink *s, int i)
{
	char line[16];

	sink_put(s, line, snprintf(line, sizeof(line), "%d\n", i));
}

static void test_order(void)
{
	struct sink_params p = { .name = "t", .bytes = 1 << 20 };
	char path[128], moved[160];
	struct sink *s;
	int i;

	snprintf(path, sizeof(path), "%s/lines", temp_dir());
	snprintf(moved, sizeof(moved), "%s.1", path);
	p.path = path;
	need(!sink_new(&p, &s));
	for (i = 0; i < 100; i++)
		put_number(s, i);
	need(!sink_start(s));
	for (; i < 20000; i++)
		put_number(s, i);
	ok(sink_flush(s, PATIENCE_MS), "all is written");
	ok(numbers_in(path, 0) == 20000, "in order");
	need(!rename(path, moved) && !sink_reopen(s));
	for (; i < 20100; i++)
		put_number(s, i);
	sink_free(s, PATIENCE_MS);
	ok(numbers_in(path, 20000) == 100, "after reopening into the new file");
	ok(numbers_in(moved, 0) == 20000, "and the one moved away is as it was");
}

static char long_line[1001];

/* A pipe that is full. */
static void full_pipe(int fd[2])
{
	need(!pipe2(fd, O_NONBLOCK));
	while (write(fd[1], "x", 1) == 1)
		;
	need(!fcntl(fd[1], F_SETFL, 0));
}

/* A pipe that nobody reads: lines are lost, nobody waits. */
static void test_loss(void)
{
	struct sink_params p = { .name = "t", .bytes = 64 * 1024 };
	unsigned long lines = 0;
	struct sink *s;
	char buf[4096];
	int fd[2], i;
	ssize_t n;

	full_pipe(fd);
	p.fd = fd[1];
	need(!sink_new(&p, &s) && !sink_start(s));
	for (i = 0; i < 1000; i++)
		sink_put(s, long_line, 1000);
	ok(sink_lost(s) > 900 && sink_lost(s) < 1000, "a full pipe loses lines: %lu of 1000",
	   sink_lost(s));
	ok(!sink_flush(s, 10), "and is told from one that is empty");
	while (lines < 1000 - sink_lost(s)) {
		n = read(fd[0], buf, sizeof(buf));
		for (i = 0; i < n; i++)
			lines += buf[i] == '\n';
		if (n < 0)
			nap();
	}
	ok(sink_flush(s, PATIENCE_MS), "the others come when it is read");
	sink_free(s, PATIENCE_MS);
	close(fd[0]);
	close(fd[1]);
}

struct stalling {
	struct sink *s;
	int done;
};

static void *producer(void *arg)
{
	struct stalling *t = arg;
	int i;

	for (i = 0; i < 1000; i++)
		sink_put(t->s, long_line, 1000);
	__atomic_store_n(&t->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void test_stall(void)
{
	struct sink_params p = { .name = "t", .bytes = 64 * 1024, .stall = true };
	struct stalling t = { 0 };
	unsigned long lines = 0;
	char buf[4096];
	pthread_t th;
	int fd[2], i;
	ssize_t n;

	full_pipe(fd);
	p.fd = fd[1];
	need(!sink_new(&p, &t.s) && !sink_start(t.s));
	need(!pthread_create(&th, NULL, producer, &t));
	ok(comes(sink_stalled(t.s)) && !__atomic_load_n(&t.done, __ATOMIC_ACQUIRE),
	   "a sink that stalls lets its producer wait");
	while (lines < 1000) {
		n = read(fd[0], buf, sizeof(buf));
		for (i = 0; i < n; i++)
			lines += buf[i] == '\n';
		if (n < 0)
			nap();
	}
	pthread_join(th, NULL);
	ok(!sink_lost(t.s) && !sink_failed(t.s) && !sink_stalled(t.s), "and loses nothing");
	sink_free(t.s, PATIENCE_MS);
	close(fd[0]);
	close(fd[1]);
}

static void note_failure(void *arg, int err)
{
	if (err)
		__atomic_store_n((int *)arg, err, __ATOMIC_RELEASE);
}

static void test_failure(void)
{
	int err = 0, fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct sink_params p = {
		.name = "t", .bytes = 64 * 1024, .fd = fd, .failed = note_failure, .arg = &err,
	};
	struct sink *s;

	need(fd >= 0 && !sink_new(&p, &s) && !sink_start(s));
	sink_put(s, "a\nb\n", 4);
	ok(comes(sink_failed(s) == 2), "lines whose write fails are counted");
	ok(__atomic_load_n(&err, __ATOMIC_ACQUIRE) == -ENOSPC, "and why is told");
	sink_free(s, PATIENCE_MS);
	p.stall = true;
	err = 0;
	need(!sink_new(&p, &s) && !sink_start(s));
	sink_put(s, "a\n", 2);
	need(comes(__atomic_load_n(&err, __ATOMIC_ACQUIRE) == -ENOSPC));
	need(dup2(open("/dev/null", O_WRONLY), fd) == fd);
	ok(sink_flush(s, PATIENCE_MS) && !sink_failed(s),
	   "a sink that stalls tries again until there is room");
	sink_free(s, PATIENCE_MS);
	close(fd);
}

void test_sink(void)
{
	memset(long_line, 'x', 999);
	long_line[999] = '\n';
	test_order();
	test_loss();
	test_stall();
	test_failure();
}
