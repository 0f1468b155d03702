/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this test share: TAP, and a store to read from. */
#ifndef CLIENT_TEST_H
#define CLIENT_TEST_H

#include <stdio.h>
#include <stdlib.h>

#include "daemon/server/access.h"
#include "daemon/server/identity.h"
#include "daemon/server/read.h"
#include "daemon/store/store.h"

/* One test is a function; it returns false after the first check that fails. */
#define CHECK(cond)							\
	do {								\
		if (!(cond)) {						\
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			return false;					\
		}							\
	} while (0)

struct test {
	const char *name;
	bool (*fn)(void);
};

extern const struct test access_tests[], read_tests[], conn_tests[], throttle_tests[], wake_tests[];

/* An ACL as jute: "31 world anyone, 1 digest u:x"; in a static buffer (one of 4). */
struct jstr acl_of(const char *text);
/* A memory store with some nodes; read.c says which. Closed with store_close_. */
struct store *test_store(void);
void test_store_close(struct store *st);
/* Applies one operation as a transaction at the next zxid, or aborts. */
void test_create(struct store *st, const char *path, const void *data, s32 len, u64 owner,
		 const char *acl);
void test_set(struct store *st, const char *path, const void *data, s32 len, s32 version);
void test_setacl(struct store *st, const char *path, const char *acl, s32 version);
void test_delete(struct store *st, const char *path);

#endif
