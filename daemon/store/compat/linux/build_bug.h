/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMPAT_LINUX_BUILD_BUG_H
#define COMPAT_LINUX_BUILD_BUG_H

#include <assert.h>

#define BUILD_BUG_ON(c)	_Static_assert(!(c), #c)

#endif
