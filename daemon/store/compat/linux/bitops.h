/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMPAT_LINUX_BITOPS_H
#define COMPAT_LINUX_BITOPS_H

/* Undefined for 0, as in the kernel. */
static inline unsigned long __ffs(unsigned long x)
{
	return (unsigned long)__builtin_ctzl(x);
}

static inline unsigned int hweight64(__UINT64_TYPE__ x)
{
	return __builtin_popcountll(x);
}

#endif
