// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs the tests of daemon/peer and prints TAP; with names, only those.
 */
#include <signal.h>

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
};

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_level(getenv("PEER_TEST_LOG") ? LOG_TRACE : LOG_ERROR);
	store_thread_init();
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
