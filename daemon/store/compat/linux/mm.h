/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMPAT_LINUX_MM_H
#define COMPAT_LINUX_MM_H

#include <linux/slab.h>

#endif
