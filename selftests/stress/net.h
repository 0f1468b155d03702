/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NET_H
#define NET_H

#include "stress.h"

/* Calm: opens the worker's socket, and asks for the number of the module's family: 0 or -1. */
int net_open(struct worker *w);
/* Asks again, since the module may have gone and come. */
int net_family(struct worker *w);
/* All instances; 0 or a negative errno. */
int net_status(struct worker *w);

#endif
