// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of the ensemble's machine. Without arguments: TAP of all. --seed N: one run of
 * the faults, told step by step. --seeds N: the faults of seeds 1 to N alone.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "selftests/zab/tests.h"

unsigned int wrong;

static unsigned int fail_in;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool fails(void)
{
	if (fail_in > 1)
		fail_in--;
	return fail_in == 1;
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
	fail_in = n ? n + 1 : 0;
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "a leader, packet by packet", test_leader_wire },
	{ "joining: DIFF", test_plan_diff },
	{ "joining: TRUNC, within an epoch", test_plan_trunc },
	{ "joining: SNAP", test_plan_snap },
	{ "joining: SNAP, if it is to be", test_plan_forced },
	{ "joining: from the logs", test_plan_logs },
	{ "joining: with a zxid of a new epoch", test_plan_zero },
	{ "joining: who may not have on disk what it acknowledges", test_plan_doubt },
	{ "joining: no more than so many at once", test_plan_limits },
	{ "how long acknowledgements take", test_tell_acks },
	{ "ACKs before NEWLEADER's", test_early_acks },
	{ "what a leader does not take", test_leader_junk },
	{ "who does not say who he is", test_strangers },
	{ "requests and SYNC", test_syncs },
	{ "a leader asks whether it leads", test_confirm_leader },
	{ "a leader is asked whether it leads", test_confirm_asked },
	{ "a learner asks its leader whether it leads", test_confirm_learner },
	{ "and one of Apache's kind", test_confirm_plain },
	{ "an observer master, packet by packet", test_master_wire },
	{ "an observer master passes answers on", test_master_answers },
	{ "whom an observer master does not serve", test_master_junk },
	{ "an observer chooses a master", test_choose },
	{ "a learner, packet by packet", test_learner_wire },
	{ "how long a learner tries to reach its leader", test_connect_limit },
	{ "a learner's log is cut", test_learner_trunc },
	{ "what is found at start and not known to be committed", test_found_tail },
	{ "who lacks what is committed does not lead", test_no_hollow_leader },
	{ "a learner gets a tree", test_learner_snap },
	{ "what a learner does not take", test_learner_junk },
	{ "each allocation fails", test_memory },
	{ "three servers: a leader, writes, requests of followers", test_three },
	{ "five servers: leaders die", test_five_leader_dies },
	{ "observers", test_observers },
	{ "observers that all come at once", test_observers_at_once },
	{ "a leader resigns", test_resign },
	{ "the last number of an epoch", test_last_number },
	{ "the leader's disk fails", test_disk_of_leader },
	{ "the membership changes", test_reconfig },
	{ "faults from seeds", test_faults },
};

static int seeds(u64 n)
{
	u64 bad = 0;

	for (u64 s = 1; s <= n; s++)
		if (!faults_run(s, false)) {
			printf("# seed %llu\n", s);
			bad++;
		}
	faults_total();
	printf("# %llu of %llu seeds are bad\n", bad, n);
	return bad != 0;
}

int main(int argc, char **argv)
{
	const unsigned int n = sizeof(tests) / sizeof(tests[0]);
	unsigned int failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	log_set_level(LOG_ERROR);
	if (argc == 3 && !strcmp(argv[1], "--seed")) {
		log_set_level(LOG_INFO);
		return !faults_run(strtoull(argv[2], NULL, 0), true);
	}
	if (argc == 3 && !strcmp(argv[1], "--seeds"))
		return seeds(strtoull(argv[2], NULL, 0));
	printf("1..%u\n", n);
	for (unsigned int i = 0; i < n; i++) {
		wrong = 0;
		tests[i].run();
		printf("%sok %u - %s\n", wrong ? "not " : "", i + 1, tests[i].name);
		failed += wrong != 0;
	}
	return failed != 0;
}
