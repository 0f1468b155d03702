/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMPAT_LINUX_MUTEX_H
#define COMPAT_LINUX_MUTEX_H

#include <linux/kernel.h>
#include <linux/lockdep.h>

struct mutex {
	struct compat_lock c;
};

static inline void mutex_init(struct mutex *m)
{
	pthread_mutex_init(&m->c.mutex, NULL);
	m->c.owner = NULL;
}

static inline void mutex_destroy(struct mutex *m)
{
	pthread_mutex_destroy(&m->c.mutex);
}

static inline void mutex_lock(struct mutex *m)
{
	might_sleep();
	compat_rcu_check(!lockdep_is_held(m));
	pthread_mutex_lock(&m->c.mutex);
	WRITE_ONCE(m->c.owner, compat_self());
}

static inline void mutex_unlock(struct mutex *m)
{
	compat_rcu_check(lockdep_is_held(m));
	WRITE_ONCE(m->c.owner, NULL);
	pthread_mutex_unlock(&m->c.mutex);
}

#endif
