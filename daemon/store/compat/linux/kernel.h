/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMPAT_LINUX_KERNEL_H
#define COMPAT_LINUX_KERNEL_H

#include_next <linux/kernel.h>
#include <linux/bug.h>
#include <linux/container_of.h>
#include <linux/types.h>
#include <stdio.h>

#ifndef ALIGN
#define ALIGN(x, a)	(((x) + (a) - 1) & ~((__typeof__(x))(a) - 1))
#endif
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif
#ifndef DIV_ROUND_UP
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#endif
#ifndef U64_MAX
#define U64_MAX	((u64)~0ULL)
#endif
#ifndef U32_MAX
#define U32_MAX	((u32)~0U)
#endif

#define min_t(type, a, b) ({						\
	type __a = (a), __b = (b);					\
									\
	__a < __b ? __a : __b;						\
})
#define max_t(type, a, b) ({						\
	type __a = (a), __b = (b);					\
									\
	__a > __b ? __a : __b;						\
})

/*
 * A place where a function may wait. With ZK_COMPAT_DEBUG it must not be inside
 * an RCU read section.
 */
void compat_might_sleep(const char *file, int line);
#define might_sleep()	compat_might_sleep(__FILE__, __LINE__)

#endif
