/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMPAT_LINUX_SCHED_H
#define COMPAT_LINUX_SCHED_H

#include_next <linux/sched.h>
#include <linux/kernel.h>

/* User space is preempted anyway. */
#define cond_resched()	might_sleep()

#endif
