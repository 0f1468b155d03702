/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMPAT_LINUX_KREF_H
#define COMPAT_LINUX_KREF_H

#include <linux/bug.h>
#include <linux/types.h>

struct kref {
	unsigned int refs;
};

static inline void kref_init(struct kref *k)
{
	__atomic_store_n(&k->refs, 1, __ATOMIC_RELAXED);
}

static inline void kref_get(struct kref *k)
{
	WARN_ON_ONCE(!__atomic_fetch_add(&k->refs, 1, __ATOMIC_RELAXED));
}

static inline bool kref_get_unless_zero(struct kref *k)
{
	unsigned int old = __atomic_load_n(&k->refs, __ATOMIC_RELAXED);

	while (old)
		if (__atomic_compare_exchange_n(&k->refs, &old, old + 1, true,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
	return false;
}

static inline int kref_put(struct kref *k, void (*release)(struct kref *k))
{
	unsigned int old = __atomic_fetch_sub(&k->refs, 1, __ATOMIC_ACQ_REL);

	WARN_ON_ONCE(!old);
	if (old != 1)
		return 0;
	release(k);
	return 1;
}

#endif
