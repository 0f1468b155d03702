/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A test that is the owner of its instance, and so all other hosts. */
#ifndef LOCK_HOST_H
#define LOCK_HOST_H

#include <fcntl.h>
#include <unistd.h>

#include "locks.h"
#include "tap.h"

#define HOUR	(3600 * 1000)

static int id, owner, dev;
static uint64_t zxid = 100;

static inline bool quiet(void)
{
	return !lo_polls(owner, 30);
}

/* Lock files of a new node, @n of them. */
static inline void files(const char *path, int *fds, int n)
{
	zk_create(owner, ++zxid, path, "");
	for (int i = 0; i < n; i++) {
		fds[i] = lk_open(dev, path);
		need(fds[i] >= 0, "lock file");
	}
}

/* The same, and the host has it in this mode; nobody holds it. */
static inline void granted(const char *path, int *fds, int n, uint32_t mode, uint64_t base,
			   struct lcall *call)
{
	struct locker t;

	files(path, fds, n);
	locker_start(&t, fds[0], mode, 0, 0);
	lo_serve(owner, mode, base, call);
	need(!locker_join(&t) && !lk_un(fds[0]), "granted");
}

static inline void close_all(const int *fds, int n)
{
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

/* The owner is told that nothing is wanted of @call's lock. */
static inline void is_given_back(const struct lcall *call, const char *what)
{
	struct lcall c;

	is(lo_take(owner, &c), 1, "%s", what);
	ok(c.head.lock == call->head.lock && c.head.mode == ZKERN_LOCK_NONE &&
	   c.head.seq > call->head.seq, "  it is given back");
}

/* Another session: the host has nothing of what it had. */
static inline void forget(uint64_t session)
{
	struct lcall c;

	need(!lo_lease(owner, session, HOUR), "lease");
	while (lo_polls(owner, 0))
		need(lo_take(owner, &c) == 1, "take");
}

/* The instance, and a lease. */
static inline void begin(void)
{
	id = zk_instance(&owner);
	dev = zk_open(id, O_RDWR);
	need(dev >= 0 && !lo_lease(owner, 0x1000, HOUR), "lease");
}

#endif
