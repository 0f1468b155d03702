/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of the daemon's base share. One thread but where said. */
#ifndef CTL_TEST_H
#define CTL_TEST_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One test; what follows a failure is said in a comment line. */
bool tap_ok(bool good, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#define ok(cond, ...)	tap_ok(cond, __FILE__, __LINE__, __VA_ARGS__)
/* What a test cannot go on without. */
#define need(cond) do {								\
	if (!(cond)) {								\
		printf("Bail out! %s:%d: " #cond "\n", __FILE__, __LINE__);	\
		exit(1);							\
	}									\
} while (0)

/* A directory that is removed at the end. */
const char *temp_dir(void);
void write_file(const char *path, const char *text, size_t len);

void test_props(const char *cases);
void test_config(void);
void test_members(void);
void test_sink(void);

/* props_test.c: what @file holds, an entry a line; for comparison with Java. */
int print_props(const char *file);

#endif
