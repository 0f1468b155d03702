/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TAP, as the runner reads it. A test is one ok(); what follows a failure is said
 * in a comment line. The program ends with `return tap_end();`.
 */
#ifndef TAP_H
#define TAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

static int tap_count, tap_failed;

static inline bool tap_say(bool good, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static inline bool tap_say(bool good, const char *file, int line, const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	va_start(ap, fmt);
	printf("%sok %d - ", good ? "" : "not ", ++tap_count);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	if (!good) {
		tap_failed++;
		printf("# %s:%d (errno %d: %s)\n", file, line, err, strerror(err));
	}
	fflush(stdout);
	return good;
}

#define ok(cond, ...)	tap_say(cond, __FILE__, __LINE__, __VA_ARGS__)

/* @got is a negative errno or a result; what it is, is said when it is not @want. */
#define is(got, want, ...) ({						\
	long long tap_got = (got), tap_want = (want);			\
	bool tap_good = ok(tap_got == tap_want, __VA_ARGS__);		\
									\
	if (!tap_good)							\
		printf("# got %lld (%s), wanted %lld\n", tap_got,	\
		       tap_got < 0 ? strerror(-tap_got) : "", tap_want); \
	tap_good;							\
})

/* What a test cannot go on without. */
#define need(cond, ...) do {						\
	if (!(cond)) {							\
		printf("# %s:%d: %s (errno %d: %s)\n", __FILE__, __LINE__, #cond, \
		       errno, strerror(errno));				\
		printf("Bail out! " __VA_ARGS__);			\
		putchar('\n');						\
		exit(1);						\
	}								\
} while (0)

static inline int tap_end(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
