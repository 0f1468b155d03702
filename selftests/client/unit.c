// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs the tests of all files and prints TAP. With an argument: those whose name
 * has it. */
#include <string.h>

#include "daemon/base/log.h"
#include "selftests/client/test.h"

static int run(const struct test *t, const char *only, int *n)
{
	int failed = 0;

	for (; t->name; t++) {
		bool ok;

		if (only && !strstr(t->name, only))
			continue;
		ok = t->fn();
		printf("%sok %d - %s\n", ok ? "" : "not ", ++*n, t->name);
		fflush(stdout);
		failed += !ok;
	}
	return failed;
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	int n = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	log_set_level(LOG_ERROR);
	store_thread_init();
	failed += run(access_tests, only, &n);
	failed += run(read_tests, only, &n);
	failed += run(throttle_tests, only, &n);
	failed += run(conn_tests, only, &n);
	failed += run(wake_tests, only, &n);
	store_thread_exit();
	printf("1..%d\n", n);
	return failed ? 1 : 0;
}
