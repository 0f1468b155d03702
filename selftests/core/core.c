// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs the tests of the core thread's parts and prints TAP.
 */
#include <stdlib.h>

#include "selftests/core/core.h"

unsigned int wrong;

static u64 state;
static unsigned int fail_in;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool fails(void)
{
	if (!fail_in)
		return false;
	if (fail_in > 1)
		return --fail_in == 0;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

void fail_allocation(unsigned int n)
{
	fail_in = n;
}

void rnd_seed(u64 seed)
{
	state = seed * 0x9e3779b97f4a7c15ULL + 1;
}

u32 rnd(u32 below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 16) % below;
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "queue: order, and no sleeper is forgotten", test_queue },
	{ "queue: a late wake-up ends one sleep", test_late_kick },
	{ "crc32 is zlib's", test_crc32 },
	{ "paths: which are valid, and their recoding", test_paths },
	{ "zab: states and what is refused in them", test_zab_states },
	{ "zab: commits follow the log, in order", test_zab_order },
	{ "zab: short of memory nothing is taken", test_zab_memory },
	{ "sessions: passwords", test_passwords },
	{ "sessions: ids", test_session_ids },
	{ "sessions: expiry by ticks", test_expiry },
	{ "sessions: expiry beyond the wheel, and after a long stop", test_expiry_far },
	{ "watcher sets against a model", test_wset },
	{ "watches against a model", test_watch_model },
	{ "watches: memory when dense", test_watch_dense },
	{ "watches: memory when sparse", test_watch_sparse },
	{ "watches: the dead are swept out", test_watch_sweep },
	{ "watches: a storm is as much work as was asked for", test_watch_storm },
	{ "watches: what each watcher's cost", test_watch_cost },
	{ "walks: a table of watches that grows", test_walk_watches },
	{ "walks: a table of sessions that grows", test_walk_sessions },
	{ "metrics: what threads counted, percentiles, resetting", test_metrics },
	{ "metrics: quantiles of the last ten minutes", test_metrics_window },
	{ "metrics: more names than are kept", test_metric_names },
	{ "digests: the newest of every 128th", test_digest_log },
	{ "prepare: random writes, applied and decoded", test_prepare_random },
	{ "prepare: a refused multi leaves nothing", test_prepare_multi },
	{ "prepare: closing sessions", test_prepare_close },
	{ "prepare: closing one whose nodes have no records", test_prepare_close_unseen },
	{ "prepare: closing one with more than its record lists", test_prepare_close_many },
	{ "prepare: every allocation fails once", test_prepare_memory },
	{ "prepare: the end of sequence numbers", test_prepare_wrap },
	{ "watches: their memory is counted", test_watch_memory },
};

int main(void)
{
	const unsigned int n = sizeof(tests) / sizeof(tests[0]);
	unsigned int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%u\n", n);
	for (unsigned int i = 0; i < n; i++) {
		wrong = 0;
		rnd_seed(i + 1);
		tests[i].run();
		printf("%sok %u - %s\n", wrong ? "not " : "", i + 1, tests[i].name);
		failed += wrong != 0;
	}
	return failed != 0;
}
