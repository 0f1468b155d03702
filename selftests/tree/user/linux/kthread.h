/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel threads' names for the tests' threads, registered with liburcu. */
#ifndef ZT_LINUX_KTHREAD_H
#define ZT_LINUX_KTHREAD_H

#include <stdbool.h>

struct task_struct;

/* NULL if there is no thread to be had; IS_ERR() is for kernels. */
struct task_struct *kthread_run(int (*fn)(void *arg), void *arg, const char *name);
bool kthread_should_stop(void);
/* Tells it to stop, waits, and returns what it returned. */
int kthread_stop(struct task_struct *task);

#endif
