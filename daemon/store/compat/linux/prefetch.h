/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMPAT_LINUX_PREFETCH_H
#define COMPAT_LINUX_PREFETCH_H

#define prefetch(p) __builtin_prefetch(p)

#endif
