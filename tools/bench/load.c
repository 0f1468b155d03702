// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The load generator: the same requests to any server that speaks ZooKeeper's
 * client protocol. Prints one line of NAME=VALUE for tools/bench/run:
 *
 *   ops=... seconds=... rate=... p50_us=... p99_us=... p999_us=... max_us=... cpu_us=...
 *
 * cpu_us is the servers' CPU time per operation (all of them, all their threads, user
 * and system), -1 without --pid. Connections are spread over the servers named.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "load.h"

#define PREPARE_DEPTH	256
#define FIRST_ANSWER_NS	60000000000ULL

static const char usage[] =
	"usage: load [OPTION]... HOST:PORT...\n"
	"  --op get|set|create|exists   (get)\n"
	"  --conns N     connections (16)\n"
	"  --depth M     outstanding on each (16)\n"
	"  --nodes N     among so many nodes below /bench, made first (1000)\n"
	"  --parents P   which are spread over so many parents below it (1: none)\n"
	"  --size B      bytes of data (100)\n"
	"  --warm S      seconds before measuring (1)\n"
	"  --seconds S   of measuring (3); a SIGTERM ends it\n"
	"  --tell        a line \"measuring\" when it begins to measure\n"
	"  --prepare     only make the nodes\n"
	"  --pid P       a server, for its CPU time; once for each\n";

struct options {
	double warm;
	double seconds;
	int pids[MAX_SERVERS];
	unsigned int n_pids;
	bool tell;
	bool prepare;
};

static volatile sig_atomic_t enough;

static void on_term(int sig)
{
	(void)sig;
	enough = 1;
}

static int parse_op(const char *s, enum load_op *op)
{
	static const char *const names[] = { "get", "set", "create", "exists" };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		if (!strcmp(s, names[i])) {
			*op = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse(int argc, char **argv, struct load *l, struct options *o)
{
	static const struct option longs[] = {
		{ "op", 1, NULL, 'o' }, { "conns", 1, NULL, 'c' }, { "depth", 1, NULL, 'd' },
		{ "nodes", 1, NULL, 'n' }, { "size", 1, NULL, 's' }, { "warm", 1, NULL, 'w' },
		{ "seconds", 1, NULL, 't' }, { "pid", 1, NULL, 'p' },
		{ "prepare", 0, NULL, 'P' }, { "parents", 1, NULL, 'm' }, { "tell", 0, NULL, 'T' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'o':
			if (parse_op(optarg, &l->op))
				return -EINVAL;
			break;
		case 'c':
			l->conns = atoi(optarg);
			break;
		case 'd':
			l->depth = atoi(optarg);
			break;
		case 'n':
			l->nodes = atoi(optarg);
			break;
		case 's':
			l->size = atoi(optarg);
			break;
		case 'w':
			o->warm = atof(optarg);
			break;
		case 't':
			o->seconds = atof(optarg);
			break;
		case 'p':
			if (o->n_pids == MAX_SERVERS)
				return -EINVAL;
			o->pids[o->n_pids++] = atoi(optarg);
			break;
		case 'm':
			l->parents = atoi(optarg);
			break;
		case 'T':
			o->tell = true;
			break;
		case 'P':
			o->prepare = true;
			break;
		default:
			return -EINVAL;
		}
	}
	for (; optind < argc; optind++)
		if (load_server(l, argv[optind]))
			return -EINVAL;
	if (!l->n_addrs || !l->conns || l->conns > 10000 || !l->depth ||
	    l->depth > MAX_DEPTH || !l->nodes || !l->parents || l->parents > 1000 ||
	    l->size > 1000000)
		return -EINVAL;
	return 0;
}

static u64 cpu_of_all(const struct options *o)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < o->n_pids; i++)
		sum += cpu_of(o->pids[i]);
	return sum;
}

/* Until @until (ns) or a SIGTERM; a load has one answer at least, if there is one. */
static bool time_left(const struct load *l, u64 until)
{
	if (l->measuring && !l->done)
		until += FIRST_ANSWER_NS;
	else if (l->sending && enough)
		return false;
	return now_ns() < until;
}

/* Until time is up, or until nothing is outstanding if not sending. */
static int turn(struct load *l, struct conn *conns, int ep, u64 until)
{
	struct epoll_event ev[64];
	unsigned int i, out;
	int n, j, err;

	while (time_left(l, until)) {
		for (i = 0, out = 0; !l->sending && i < l->conns; i++)
			out += conns[i].out;
		if (!l->sending && !out)
			return 0;
		n = epoll_wait(ep, ev, 64, 100);
		for (j = 0; j < n; j++) {
			struct conn *c = ev[j].data.ptr;

			err = ev[j].events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? conn_pull(c) : 0;
			if (!err)
				err = conn_push(c);
			if (err)
				return err;
		}
	}
	return l->sending ? 0 : -ETIMEDOUT;
}

static int measure(struct load *l, struct conn *conns, const struct options *o)
{
	u64 t0, t1, cpu0, cpu1;
	int ep = epoll_create1(EPOLL_CLOEXEC), err = 0;
	unsigned int i;

	l->sending = true;
	for (i = 0; i < l->conns && !err; i++) {
		struct epoll_event ev = { EPOLLIN | EPOLLOUT | EPOLLET, { .ptr = &conns[i] } };

		err = conn_nonblock(&conns[i]);
		if (err)
			break;
		if (epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &ev))
			err = -errno;
		else
			err = conn_push(&conns[i]);
	}
	if (!err)
		err = turn(l, conns, ep, now_ns() + o->warm * 1e9);
	if (o->tell && !err) {
		printf("measuring\n");
		fflush(stdout);
	}
	l->measuring = true;
	t0 = now_ns();
	cpu0 = cpu_of_all(o);
	if (!err)
		err = turn(l, conns, ep, t0 + o->seconds * 1e9);
	cpu1 = cpu_of_all(o);
	t1 = now_ns();
	l->measuring = false;
	l->sending = false;
	if (!err)
		err = turn(l, conns, ep, now_ns() + 10000000000ULL);
	close(ep);
	if (err)
		return err;
	if (!l->done || (o->n_pids && cpu1 <= cpu0)) {
		fprintf(stderr, "load: nothing was measured\n");
		return -ENODATA;
	}
	printf("ops=%llu seconds=%.3f rate=%.0f p50_us=%.1f p99_us=%.1f p999_us=%.1f "
	       "max_us=%.1f cpu_us=%.3f\n",
	       (unsigned long long)l->done, (t1 - t0) / 1e9, l->done / ((t1 - t0) / 1e9),
	       hist_at(l->hist, 0.5) / 1e3, hist_at(l->hist, 0.99) / 1e3,
	       hist_at(l->hist, 0.999) / 1e3, hist_at(l->hist, 1) / 1e3,
	       o->n_pids ? (cpu1 - cpu0) / 1e3 / l->done : -1.0);
	return 0;
}

int main(int argc, char **argv)
{
	struct load l = { .conns = 16, .depth = 16, .nodes = 1000, .parents = 1,
			  .size = 100 };
	struct options o = { .warm = 1, .seconds = 3 };
	struct conn *conns;
	unsigned int i;
	int err = 0;

	if (parse(argc, argv, &l, &o)) {
		fputs(usage, stderr);
		return 1;
	}
	l.run = (u32)now_ns() ^ getpid();
	l.seed = now_ns() | 1;
	l.hist = hist_new();
	l.data = malloc(l.size + 1);
	conns = calloc(l.conns, sizeof(*conns));
	if (!l.hist || !l.data || !conns)
		return 1;
	memset(l.data, 'x', l.size);
	signal(SIGTERM, on_term);
	for (i = 0; i < l.conns && !err; i++)
		err = conn_open(&conns[i], &l, i);
	if (!err)
		err = conn_prepare(&conns[0], PREPARE_DEPTH);
	if (!err && !o.prepare)
		err = measure(&l, conns, &o);
	while (i--)
		conn_close(&conns[i]);
	free(conns);
	free(l.data);
	free(l.hist);
	if (err)
		fprintf(stderr, "load: %s\n", strerror(-err));
	return err ? 1 : 0;
}
