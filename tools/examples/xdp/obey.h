/* SPDX-License-Identifier: GPL-2.0-only */
/* What the XDP program and who loads it agree on. */
#ifndef OBEY_H
#define OBEY_H

#define OBEY_PATH	256	/* bytes of a path, its NUL among them */
#define OBEY_DIGITS	5

#endif
