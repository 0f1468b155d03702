/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What test programs in C check with: a test says what it finds wrong, ten times at most,
 * and goes on. The program defines @wrong and sets it to zero before each test.
 */
#ifndef SELFTESTS_CHECK_H
#define SELFTESTS_CHECK_H

#include <stdio.h>

extern unsigned int wrong;	/* of the test that runs */

#define check(cond) do {							\
	if (!(cond) && wrong++ < 10)						\
		printf("# %s:%d: not so: %s\n", __FILE__, __LINE__, #cond);	\
} while (0)

/* The same for numbers, with what they were. */
#define check_eq(a, b) do {							\
	unsigned long long a_ = (a), b_ = (b);					\
	if (a_ != b_ && wrong++ < 10)						\
		printf("# %s:%d: %s is %llu, %s is %llu\n", __FILE__, __LINE__,	\
		       #a, a_, #b, b_);						\
} while (0)

#endif
