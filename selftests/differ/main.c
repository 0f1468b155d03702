// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * differ: the program that selftests/differ/run starts beside two servers. See differ.h.
 */
#include <getopt.h>
#include <signal.h>
#include "differ.h"

static void usage(void)
{
	fprintf(stderr,
		"usage: differ --ports A,B [--seed S] [--ops N] [--restarts N] [--walks N]\n"
		"              [--expiries N] [--conc N] [--depth N] [--same-ip] [--answers]\n"
		"              [--trace FILE] [--replay FILE]\n"
		"each N: requests between two of them, 0: none; of --depth: requests in a\n"
		"batch at most, 1: one by one\n");
	exit(1);
}

static u64 number(const char *s)
{
	char *end;
	u64 v = strtoull(s, &end, 0);

	if (*end || end == s)
		usage();
	return v;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ports", 1, NULL, 'p' }, { "seed", 1, NULL, 's' }, { "ops", 1, NULL, 'o' },
		{ "restarts", 1, NULL, 'r' }, { "walks", 1, NULL, 'w' },
		{ "expiries", 1, NULL, 'e' }, { "conc", 1, NULL, 'c' }, { "depth", 1, NULL, 'd' },
		{ "same-ip", 0, NULL, 'i' },
		{ "answers", 0, NULL, 'a' }, { "trace", 1, NULL, 't' },
		{ "replay", 1, NULL, 'R' }, { NULL, 0, NULL, 0 } };
	struct plan plan = { .ops = 20000, .walk_every = 10000 };
	struct dataset ds[SIDES] = { { .second = false }, { .second = true } };
	static struct differ d;
	const char *replay = NULL;
	unsigned int a = 0, b = 0;
	int o;

	d.seed = 1;
	d.depth = DEPTH;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'p':
			if (sscanf(optarg, "%u,%u", &a, &b) != 2)
				usage();
			break;
		case 's':
			d.seed = number(optarg);
			break;
		case 'o':
			plan.ops = number(optarg);
			break;
		case 'r':
			plan.restart_every = number(optarg);
			break;
		case 'w':
			plan.walk_every = number(optarg);
			break;
		case 'e':
			plan.expire_every = number(optarg);
			break;
		case 'c':
			plan.conc_every = number(optarg);
			break;
		case 'd':
			d.depth = number(optarg);
			break;
		case 'i':
			d.same_ip = true;
			break;
		case 'a':
			d.answers = true;
			break;
		case 't':
			d.trace = optarg;
			break;
		case 'R':
			replay = optarg;
			break;
		default:
			usage();
		}
	}
	if (!a || !b || optind != argc || !d.depth || d.depth >= PENDING_MAX)
		usage();
	signal(SIGPIPE, SIG_IGN);
	d.port[0] = a;
	d.port[1] = b;
	d.ds[0] = &ds[0];
	d.ds[1] = &ds[1];
	d.started_ms = now_ms();
	rnd_seed(d.seed);
	open_walker(&d);
	if (replay)
		trace_run(&d, replay);
	else
		generate(&d, &plan);
	barrier(&d, false);
	if (replay)
		walk(&d, NULL, NULL);
	act_simple(&d, A_CLOSE, WALKER, 0, NULL, 0);
	printf("equal: %llu requests, %llu events, %u actions, seed %llu\n",
	       (unsigned long long)d.ops, (unsigned long long)d.events, d.nacts,
	       (unsigned long long)d.seed);
	printf("sequence: %016llx\n", (unsigned long long)trace_hash(&d));
	return 0;
}
