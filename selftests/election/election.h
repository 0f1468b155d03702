/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of memberships, messages and elections share. */
#ifndef ELECTION_TEST_H
#define ELECTION_TEST_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/types.h>

#include "selftests/lib/check.h"

/* What a test cannot go on without. */
#define need(cond) do {								\
	if (!(cond)) {								\
		printf("Bail out! %s:%d: " #cond "\n", __FILE__, __LINE__);	\
		exit(1);							\
	}									\
} while (0)

/* Random numbers that are the same in each run of a seed. */
void rnd_seed(u64 seed);
u32 rnd(u32 below);

/* The membership of these lines; the program ends if there is none. */
struct ensemble *members(const char *text);

extern const char *texts_file;
extern bool tracing;

void test_texts(void);
void test_hosts(void);
void test_bounds(void);
void test_majority(void);
void test_groups(void);

void test_packets(void);
void test_packet_refusals(void);
void test_votes(void);
void test_hellos(void);

void test_order(void);
void test_rounds(void);
void test_sure(void);
void test_all_sure(void);
void test_deaf(void);
void test_asking(void);
void test_settled(void);
void test_late(void);
void test_old_forms(void);
void test_observer(void);
void test_strangers(void);
void test_weightless(void);
void test_answers(void);
void test_newer(void);
void test_floor(void);
void test_pending(void);

/* The networks of one seed; false: printed and counted. */
bool network(u64 seed);
void test_network(void);

#endif
