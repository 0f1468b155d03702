/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of a multiRead's body. Any thread; nothing is kept. */
#ifndef ZKD_SERVER_READ_MULTI_H
#define ZKD_SERVER_READ_MULTI_H

#include "daemon/proto/jute.h"

/* May an operation of this kind be part of a multiRead? */
bool is_multi_read(s32 type);
/* The head of the next part; false at the end, or if there is none (in->err). */
bool multi_next(struct jr *in, s32 *type);
/* A multi parses if every part does and none reads among writes. */
bool multi_parses(struct jr in);

#endif
