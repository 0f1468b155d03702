// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long writes pause when the leader of an ensemble is killed:
 *
 *   failover PID HOST:PORT...     PID leads, the others are named
 *
 * A client of each of those writes, one request after the other. Then PID gets a SIGKILL,
 * and what counts is the first answer to a write that was sent after it. Whoever loses
 * his connection comes back to the same server with the same session, every RETRY_MS.
 * Prints, as NAME=VALUE: pause_ms; down_ms, until a client lost his connection; up_ms,
 * until a session was taken again.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "load.h"

#define BEFORE_MS	300
#define RETRY_MS	5
#define ANSWER_MS	5000	/* then it is tried anew */
#define PAUSE_MAX_MS	120000

static u64 killed_ns;		/* all of them atomic */
static u64 down_ns;
static u64 up_ns;
static u64 written_ns;

/* The first one counts. */
static void note(u64 *when)
{
	u64 none = 0;

	if (__atomic_load_n(&killed_ns, __ATOMIC_SEQ_CST))
		__atomic_compare_exchange_n(when, &none, now_ns(), false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
}

static bool over(void)
{
	return __atomic_load_n(&written_ns, __ATOMIC_SEQ_CST);
}

static void come_back(struct conn *c)
{
	note(&down_ns);
	while (!over() && conn_again(c, ANSWER_MS))
		usleep(RETRY_MS * 1000);
	note(&up_ns);
}

static void *write_on(void *arg)
{
	struct conn *c = arg;

	while (!over()) {
		u64 killed = __atomic_load_n(&killed_ns, __ATOMIC_SEQ_CST);
		int err = conn_call(c);

		if (!err && killed)
			note(&written_ns);
		if (err)
			come_back(c);
	}
	return NULL;
}

static int run(int pid, struct conn *conns, unsigned int n)
{
	pthread_t threads[MAX_SERVERS];
	unsigned int i;
	u64 t0;

	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, write_on, &conns[i]))
			return -EAGAIN;
	usleep(BEFORE_MS * 1000);
	if (kill(pid, SIGKILL))
		return -errno;
	t0 = now_ns();
	__atomic_store_n(&killed_ns, t0, __ATOMIC_SEQ_CST);
	while (!over() && now_ns() - t0 < PAUSE_MAX_MS * 1000000ULL)
		usleep(1000);
	if (!over())
		return -ETIMEDOUT;
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("pause_ms=%.1f down_ms=%.1f up_ms=%.1f\n", (written_ns - t0) / 1e6,
	       down_ns ? (down_ns - t0) / 1e6 : -1.0, up_ns ? (up_ns - t0) / 1e6 : -1.0);
	return 0;
}

int main(int argc, char **argv)
{
	struct load l = { .op = LOAD_SET, .conns = 1, .depth = 1, .nodes = 1, .parents = 1,
			  .size = 100, .seed = 1 }, loads[MAX_SERVERS];
	struct conn conns[MAX_SERVERS];
	int pid = argc > 2 ? atoi(argv[1]) : 0, i, err = 0;

	for (i = 2; i < argc && !err; i++)
		err = load_server(&l, argv[i]);
	if (pid <= 0 || err) {
		fprintf(stderr, "usage: failover PID HOST:PORT...\n");
		return 1;
	}
	l.data = calloc(1, l.size);
	if (!l.data)
		return 1;
	for (i = 0; i < (int)l.n_addrs && !err; i++) {
		loads[i] = l;	/* of a thread's own */
		err = conn_open(&conns[i], &loads[i], i);
	}
	if (!err)
		err = conn_prepare(&conns[0], 1);
	if (!err)
		err = run(pid, conns, l.n_addrs);
	/* the end of the process is the end of what is left */
	if (err)
		fprintf(stderr, "failover: %s\n", strerror(-err));
	return err ? 1 : 0;
}
