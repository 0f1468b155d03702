/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What only the user home tests. */
#ifndef ZT_USER_H
#define ZT_USER_H

#include "zt.h"

/* Failing allocations: needs ZK_COMPAT_DEBUG. */
extern const struct zt_case zt_user_cases[];

#endif
