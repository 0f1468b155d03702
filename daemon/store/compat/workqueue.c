// SPDX-License-Identifier: GPL-2.0-or-later
/* Workqueues for the user home: see linux/workqueue.h. */
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct workqueue_struct {
	pthread_mutex_t lock;		/* everything below, and work->pending */
	pthread_cond_t wake;		/* something queued, or stop */
	pthread_cond_t idle;		/* nothing queued or running */
	struct work_struct *first, **end;
	bool running, stop;
	pthread_t thread;
};

static void *worker(void *arg)
{
	struct workqueue_struct *wq = arg;
	struct work_struct *work;

	rcu_register_thread();
	pthread_mutex_lock(&wq->lock);
	for (;;) {
		while (!wq->first && !wq->stop)
			pthread_cond_wait(&wq->wake, &wq->lock);
		work = wq->first;
		if (!work)
			break;
		wq->first = work->next;
		if (!wq->first)
			wq->end = &wq->first;
		work->pending = false;
		wq->running = true;
		pthread_mutex_unlock(&wq->lock);
		work->func(work);	/* may free the work */
		pthread_mutex_lock(&wq->lock);
		wq->running = false;
		if (!wq->first)
			pthread_cond_broadcast(&wq->idle);
	}
	pthread_mutex_unlock(&wq->lock);
	rcu_unregister_thread();
	return NULL;
}

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags,
					 int max_active)
{
	struct workqueue_struct *wq = calloc(1, sizeof(*wq));
	sigset_t all, old;
	int err;

	(void)name;
	(void)flags;
	(void)max_active;
	if (!wq)
		return NULL;
	pthread_mutex_init(&wq->lock, NULL);
	pthread_cond_init(&wq->wake, NULL);
	pthread_cond_init(&wq->idle, NULL);
	wq->end = &wq->first;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&wq->thread, NULL, worker, wq);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		free(wq);
		return NULL;
	}
	return wq;
}

void flush_workqueue(struct workqueue_struct *wq)
{
	pthread_mutex_lock(&wq->lock);
	while (wq->first || wq->running)
		pthread_cond_wait(&wq->idle, &wq->lock);
	pthread_mutex_unlock(&wq->lock);
}

void destroy_workqueue(struct workqueue_struct *wq)
{
	flush_workqueue(wq);
	pthread_mutex_lock(&wq->lock);
	wq->stop = true;
	pthread_cond_signal(&wq->wake);
	pthread_mutex_unlock(&wq->lock);
	pthread_join(wq->thread, NULL);
	pthread_cond_destroy(&wq->idle);
	pthread_cond_destroy(&wq->wake);
	pthread_mutex_destroy(&wq->lock);
	free(wq);
}

bool queue_work(struct workqueue_struct *wq, struct work_struct *work)
{
	bool fresh;

	pthread_mutex_lock(&wq->lock);
	fresh = !work->pending;
	if (fresh) {
		work->pending = true;
		work->next = NULL;
		*wq->end = work;
		wq->end = &work->next;
		pthread_cond_signal(&wq->wake);
	}
	pthread_mutex_unlock(&wq->lock);
	return fresh;
}
