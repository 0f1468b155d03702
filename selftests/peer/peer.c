// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs the tests of daemon/peer and prints TAP; with names, only those. With --talk it
 * is a server of its own (talk.c).
 */
#include <signal.h>
#include <sys/resource.h>

#include "daemon/base/log.h"
#include "selftests/peer/nodes.h"

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "votes", test_votes },
	{ "hellos", test_hellos },
	{ "links", test_links },
	{ "bounds", test_bounds },
	{ "trees", test_trees },
	{ "history", test_history },
	{ "strangers", test_strangers },
	{ "ports", test_ports },
};

int main(int argc, char **argv)
{
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
	setrlimit(RLIMIT_NOFILE, &files);
	log_set_level(getenv("PEER_TEST_LOG") ? LOG_TRACE : LOG_ERROR);
	store_thread_init();
	if (argc == 4 && !strcmp(argv[1], "--talk"))
		return talk(argv[2], argv[3]);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		bool chosen = argc == 1;

		for (int k = 1; k < argc; k++)
			chosen = chosen || !strcmp(argv[k], tests[i].name);
		if (chosen)
			tests[i].run();
	}
	store_thread_exit();
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}
