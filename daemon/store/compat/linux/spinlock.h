/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A mutex underneath: user space is preempted while it holds locks. */
#ifndef COMPAT_LINUX_SPINLOCK_H
#define COMPAT_LINUX_SPINLOCK_H

#include <linux/lockdep.h>

typedef struct {
	struct compat_lock c;
} spinlock_t;

static inline void spin_lock_init(spinlock_t *l)
{
	pthread_mutex_init(&l->c.mutex, NULL);
	l->c.owner = NULL;
}

static inline void spin_lock(spinlock_t *l)
{
	compat_rcu_check(!lockdep_is_held(l));
	pthread_mutex_lock(&l->c.mutex);
	WRITE_ONCE(l->c.owner, compat_self());
}

static inline void spin_unlock(spinlock_t *l)
{
	compat_rcu_check(lockdep_is_held(l));
	WRITE_ONCE(l->c.owner, NULL);
	pthread_mutex_unlock(&l->c.mutex);
}

#endif
