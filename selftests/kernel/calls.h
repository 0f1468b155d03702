/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of files and the owner who answers them, for the tests of both. */
#ifndef CALLS_H
#define CALLS_H

#include <pthread.h>
#include <stdbool.h>

#include "zk.h"

/* ------------------------------------------------------------ who asks */

#define OP_CREATE	1
#define OP_SET		5

/* A ZKERN_REQUEST in a thread of its own. */
struct asker {
	pthread_t thread;
	int fd;
	struct zkern_request q;
	char in[64];
	char out[64];
	int err;
	int over;
};

/* Fills in a request whose record is @body. */
void ask_fill(struct asker *a, int fd, const char *body, uint32_t timeout_ms);
/* In this thread; @body and timeout as given. */
int ask_now(int fd, const char *body, uint32_t timeout_ms, uint32_t flags);
/* What was filled in. */
void ask_start(struct asker *a);
void ask(struct asker *a, int fd, const char *body, uint32_t timeout_ms);
bool ask_over(const struct asker *a);
/* Its result. */
int ask_join(struct asker *a);

/* ------------------------------------------------------------ the owner */

/* What was taken last, a record and its body. */
struct call {
	struct zkern_call head;
	uint32_t groups[64];
	char body[256];
};

/* Whether the owner has something to take, within so many ms. */
bool owner_polls(int owner, int ms);
/* The next one: 1, 0 (there is nothing), or a negative errno. Waits up to LONG for it. */
int owner_take(int owner, struct call *call);
/* Without waiting. */
int owner_try(int owner, struct call *call);
int owner_answer(int owner, const struct call *call, uint64_t zxid, int32_t err,
		 const char *body);
int owner_fail(int owner, const struct call *call, int err, uint32_t fate);
/* The file of @call has session @id. */
int owner_session(int owner, const struct call *call, uint64_t id);
int owner_say(int owner, const struct call *call, uint32_t kind);
/* A file with a session @id: open, asked once, answered. The call in @call. */
int owner_file(int owner, int instance, uint64_t id, struct call *call);

#endif
