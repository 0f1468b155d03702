// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The suite as a program: test_tree [-s SEED] [-x SCALE] [NAME]
 * Without a seed each run has its own; it is printed, and given again replays it.
 */
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "user.h"

static const struct zt_case * const tables[] = { zt_cases, zt_user_cases, NULL };

static void print(const char *line)
{
	puts(line);
	fflush(stdout);
}

static u64 new_seed(void)
{
	u64 seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		perror("getrandom");
	return seed;
}

int main(int argc, char **argv)
{
	int bad, opt;

	zt_seed = new_seed();
	while ((opt = getopt(argc, argv, "s:x:")) != -1) {
		if (opt == 's') {
			zt_seed = strtoull(optarg, NULL, 0);
		} else if (opt == 'x') {
			zt_scale = strtoul(optarg, NULL, 0);
		} else {
			fprintf(stderr, "usage: %s [-s SEED] [-x SCALE] [NAME]\n", argv[0]);
			return 2;
		}
	}
	rcu_register_thread();
	if (zk_tree_init()) {
		puts("Bail out! no memory");
		return 1;
	}
	bad = zt_run(tables, argv[optind], print);
	zk_tree_exit();
	rcu_unregister_thread();
	return bad ? 1 : 0;
}
