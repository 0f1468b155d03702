// SPDX-License-Identifier: GPL-2.0-or-later
/* See linux/kthread.h. */
#include <linux/kthread.h>
#include <linux/rcupdate.h>

#include <pthread.h>
#include <stdlib.h>

struct task_struct {
	pthread_t thread;
	int (*fn)(void *arg);
	void *arg;
	bool stop;
};

static __thread struct task_struct *self;

static void *run(void *arg)
{
	long result;

	self = arg;
	rcu_register_thread();
	result = self->fn(self->arg);
	rcu_unregister_thread();
	return (void *)result;
}

struct task_struct *kthread_run(int (*fn)(void *arg), void *arg, const char *name)
{
	struct task_struct *task = calloc(1, sizeof(*task));

	(void)name;
	if (!task)
		return NULL;
	task->fn = fn;
	task->arg = arg;
	if (!pthread_create(&task->thread, NULL, run, task))
		return task;
	free(task);
	return NULL;
}

bool kthread_should_stop(void)
{
	return __atomic_load_n(&self->stop, __ATOMIC_ACQUIRE);
}

int kthread_stop(struct task_struct *task)
{
	void *result;

	__atomic_store_n(&task->stop, true, __ATOMIC_RELEASE);
	pthread_join(task->thread, &result);
	free(task);
	return (int)(long)result;
}
