// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs the tests and prints TAP. */
#include <string.h>

#include "daemon/zab/ensemble.h"
#include "selftests/election/election.h"

unsigned int wrong;
const char *texts_file;
bool tracing;

static u64 state;

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

struct ensemble *members(const char *text)
{
	char why[256] = "";
	struct ensemble *e = ensemble_parse(text, strlen(text), why, sizeof(why));

	if (!e)
		printf("# %s\n", why);
	need(e);
	return e;
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "memberships: the text is Apache's", test_texts },
	{ "memberships: hosts and ports", test_hosts },
	{ "memberships: bounds, and what is refused says why", test_bounds },
	{ "quorums: majorities", test_majority },
	{ "quorums: groups and weights", test_groups },
	{ "packets are Apache's, and come in pieces", test_packets },
	{ "packets: what is refused", test_packet_refusals },
	{ "notifications: all forms, and what is none", test_votes },
	{ "first words: all forms, and what is none", test_hellos },
	{ "election: the order of votes", test_order },
	{ "election: rounds", test_rounds },
	{ "election: a quorum, and the wait after it", test_sure },
	{ "election: no wait where nothing better can come", test_all_sure },
	{ "election: told again, who had a leader still", test_deaf },
	{ "election: how often it asks", test_asking },
	{ "election: those who have settled, in this round", test_settled },
	{ "election: late, into any round", test_late },
	{ "election: votes without a version", test_old_forms },
	{ "election: an observer", test_observer },
	{ "election: who is no voter", test_strangers },
	{ "election: who has no weight", test_weightless },
	{ "election: answers once it is over", test_answers },
	{ "election: a newer membership is told of", test_newer },
	{ "election: who lacks what is committed", test_floor },
	{ "election: two memberships", test_pending },
	{ "election: networks that delay, reorder, lose", test_network },
};
#define TESTS	(sizeof(tests) / sizeof(tests[0]))

int main(int argc, char **argv)
{
	unsigned int i, failed = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: election TEXTS [SEED]\n");
		return 2;
	}
	texts_file = argv[1];
	setlinebuf(stdout);
	if (argc > 2) {
		tracing = true;
		return !network(strtoull(argv[2], NULL, 0));
	}
	printf("1..%zu\n", TESTS);
	for (i = 0; i < TESTS; i++) {
		wrong = 0;
		tests[i].run();
		failed += wrong > 0;
		printf("%sok %u - %s\n", wrong ? "not " : "", i + 1, tests[i].name);
	}
	return failed > 0;
}
