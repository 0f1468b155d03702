/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A WARN is a message on stderr; with ZK_COMPAT_DEBUG it ends the process. */
#ifndef COMPAT_LINUX_BUG_H
#define COMPAT_LINUX_BUG_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/types.h>

void compat_warn(const char *what, const char *file, int line);

#define WARN_ON(c) ({							\
	bool __warned = !!(c);						\
									\
	if (unlikely(__warned))						\
		compat_warn(#c, __FILE__, __LINE__);			\
	unlikely(__warned);						\
})

#define WARN_ON_ONCE(c) ({						\
	static bool __once;						\
	bool __bad = !!(c);						\
									\
	if (unlikely(__bad) && !__atomic_exchange_n(&__once, true, __ATOMIC_RELAXED)) \
		compat_warn(#c, __FILE__, __LINE__);			\
	unlikely(__bad);						\
})

#endif
