/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A workqueue is one thread, registered with liburcu, that runs items in order. */
#ifndef COMPAT_LINUX_WORKQUEUE_H
#define COMPAT_LINUX_WORKQUEUE_H

#include <linux/types.h>

#define WQ_UNBOUND		0u
#define WQ_MEM_RECLAIM		0u

struct workqueue_struct;
struct work_struct;
typedef void (*work_func_t)(struct work_struct *work);

struct work_struct {
	struct work_struct *next;
	work_func_t func;
	bool pending;
};

#define INIT_WORK(w, f) do {						\
	(w)->next = NULL;						\
	(w)->func = (f);						\
	(w)->pending = false;						\
} while (0)

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags,
					 int max_active);
/* Runs what is queued, then ends the thread. */
void destroy_workqueue(struct workqueue_struct *wq);
/* Waits until nothing is queued or running. */
void flush_workqueue(struct workqueue_struct *wq);
/* False if it was queued already and has not begun to run. */
bool queue_work(struct workqueue_struct *wq, struct work_struct *work);

#endif
