/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the machine share. A test says what it finds wrong and goes on. */
#ifndef SELFTESTS_ZAB_TESTS_H
#define SELFTESTS_ZAB_TESTS_H

#include <stdbool.h>
#include <stdio.h>
#include <linux/types.h>

#include "selftests/lib/check.h"

/* The @n-th allocation from now on fails (0: none does), and those after it. */
void fail_allocation(unsigned int n);

/* faults.c: one run of a seed; false: something did not hold. */
bool faults_run(u64 seed, bool verbose);
void faults_total(void);

void test_three(void);
void test_five_leader_dies(void);
void test_observers(void);
void test_observers_at_once(void);
void test_resign(void);
void test_last_number(void);
void test_disk_of_leader(void);
void test_reconfig(void);
void test_faults(void);

void test_plan_diff(void);
void test_plan_trunc(void);
void test_plan_snap(void);
void test_plan_logs(void);
void test_plan_zero(void);
void test_plan_forced(void);
void test_plan_doubt(void);
void test_plan_limits(void);
void test_tell_acks(void);
void test_connect_limit(void);
void test_leader_wire(void);
void test_early_acks(void);
void test_leader_junk(void);
void test_strangers(void);
void test_learner_wire(void);
void test_learner_trunc(void);
void test_found_tail(void);
void test_no_hollow_leader(void);
void test_learner_snap(void);
void test_learner_junk(void);
void test_syncs(void);
void test_confirm_leader(void);
void test_confirm_asked(void);
void test_confirm_learner(void);
void test_confirm_plain(void);
void test_master_wire(void);
void test_master_answers(void);
void test_master_junk(void);
void test_choose(void);
void test_memory(void);

#endif
