/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Locks and the owner who grants them, for the tests of both. */
#ifndef LOCKS_H
#define LOCKS_H

#include <pthread.h>
#include <stdbool.h>

#include "zk.h"

#define SHARED		ZKERN_LOCK_SHARED
#define EXCLUSIVE	ZKERN_LOCK_EXCLUSIVE

/* ------------------------------------------------------------ who locks */

int lk_open(int fd, const char *path);			/* fd */
int lk(int fd, uint32_t mode, uint32_t flags, uint32_t timeout_ms, struct zkern_lock *q);
int lk_un(int fd);
int lk_held(int fd, struct zkern_lock *q);		/* @q may be NULL, as above */
/* What poll(2) says of it within so many ms; asks for everything. */
int lk_poll(int fd, int ms);
/* -1, 0, 1: as a's token is smaller, the same, greater. */
int lk_cmp(const struct zkern_lock *a, const struct zkern_lock *b);

/* A ZKERN_LOCK in a thread of its own. */
struct locker {
	pthread_t thread;
	int fd;
	uint32_t mode, flags, timeout_ms;
	struct zkern_lock q;
	int err;
	int over;
	pid_t tid;
};

/* Returns when the thread waits in the kernel, or is done. */
void locker_start(struct locker *t, int fd, uint32_t mode, uint32_t flags, uint32_t timeout_ms);
bool locker_over(const struct locker *t);
int locker_join(struct locker *t);			/* its result */

/* ------------------------------------------------------------ the owner */

struct lcall {
	struct zkern_lock_call head;
	char path[256];
};

bool lo_polls(int owner, int ms);
/* The next one: 1, 0 (there is none), or a negative errno. Waits up to LONG for it. */
int lo_take(int owner, struct lcall *call);
int lo_say(int owner, const struct lcall *call, struct zkern_lock_reply r);
int lo_grant(int owner, const struct lcall *call, uint64_t base);
int lo_revoke(int owner, const struct lcall *call, uint32_t turns, uint32_t ms);
/* A lease for so many ms from now. */
int lo_lease(int owner, uint64_t session, int64_t ms);
/* Takes a wish of this mode and grants it; or ends the test. */
void lo_serve(int owner, uint32_t mode, uint64_t base, struct lcall *call);

#endif
