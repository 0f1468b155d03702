/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FAULTS_H
#define FAULTS_H

#include "stress.h"

/* Makes the kernel ready to fail; false: it cannot (with_faults says so from then on). */
bool faults_begin(void);

/* The calling thread: is to fail from now on, if anything can. */
void worker_arm(struct worker *w, bool armed);

#endif
