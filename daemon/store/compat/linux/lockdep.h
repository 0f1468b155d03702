/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who holds a lock: kept always, checked with ZK_COMPAT_DEBUG. */
#ifndef COMPAT_LINUX_LOCKDEP_H
#define COMPAT_LINUX_LOCKDEP_H

#include <linux/rcupdate.h>
#include <pthread.h>

struct compat_lock {
	pthread_mutex_t mutex;
	const void *owner;	/* compat_self() of the holder, else NULL */
};

extern __thread char compat_thread;

static inline const void *compat_self(void)
{
	return &compat_thread;
}

#define lockdep_is_held(l) \
	(READ_ONCE((l)->c.owner) == compat_self())
#define lockdep_assert_held(l)	compat_rcu_check(lockdep_is_held(l))

#endif
