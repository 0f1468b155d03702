/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the core thread's parts share. A test is a function; what it
 * finds wrong it reports with check(), and goes on.
 */
#ifndef SELFTESTS_CORE_H
#define SELFTESTS_CORE_H

#include <stdbool.h>
#include <stdio.h>
#include <linux/types.h>

#include "selftests/lib/check.h"

/* Random numbers that are the same in each run. */
void rnd_seed(u64 seed);
u32 rnd(u32 below);

/* The @n-th allocation from now on fails (0: none does), and those after it. */
void fail_allocation(unsigned int n);

void test_queue(void);
void test_late_kick(void);
void test_crc32(void);
void test_paths(void);
void test_zab_states(void);
void test_zab_order(void);
void test_zab_memory(void);
void test_passwords(void);
void test_session_ids(void);
void test_expiry(void);
void test_expiry_far(void);
void test_wset(void);
void test_watch_model(void);
void test_watch_dense(void);
void test_watch_sparse(void);
void test_watch_sweep(void);
void test_watch_memory(void);
void test_watch_storm(void);
void test_watch_cost(void);
void test_walk_watches(void);
void test_walk_sessions(void);
void test_metrics(void);
void test_metrics_window(void);
void test_metric_names(void);
void test_digest_log(void);
void test_prepare_random(void);
void test_prepare_multi(void);
void test_prepare_close(void);
void test_prepare_close_unseen(void);
void test_prepare_close_many(void);
void test_prepare_memory(void);
void test_prepare_wrap(void);

#endif
