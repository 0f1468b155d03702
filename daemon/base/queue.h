/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A queue from many threads to one, with a wake-up: how work crosses threads.
 *
 * Intrusive and singly linked: the first member of an item is its pointer to the
 * next item. Producers push with one compare-and-exchange and never wait for each
 * other; the consumer takes all that is there at once, oldest first. What one
 * producer pushed keeps its order.
 *
 * The consumer sleeps on an eventfd (alone or in an epoll set):
 *
 *	for (;;) {
 *		item = queue_take(q);
 *		if (!item && queue_may_sleep(q)) {
 *			poll(queue_fd(q), ...);
 *			queue_awake(q);
 *			continue;
 *		}
 *		...
 *	}
 *
 * A producer makes the system call that wakes it only if it sleeps, and only one
 * producer does.
 */
#ifndef ZKD_BASE_QUEUE_H
#define ZKD_BASE_QUEUE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What each item begins with, whatever its own type calls it. */
struct queue_item {
	struct queue_item *next;
} __attribute__((may_alias));

struct queue {
	struct queue_item *newest __attribute__((aligned(64)));	/* producers */
	int sleeping;		/* 1: the consumer sleeps or is about to */
	int fd;
	uint64_t unread;	/* consumer: writes to fd, made or to come, not read yet */
};

/* Not thread-safe, before and after use. Negative errno (EMFILE, ENFILE, ENOMEM). */
static inline int queue_init(struct queue *q)
{
	q->newest = NULL;
	q->sleeping = 0;
	q->unread = 0;
	q->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return q->fd < 0 ? -errno : 0;
}

/* The items left in it stay the caller's: queue_take() them first. */
static inline void queue_destroy(struct queue *q)
{
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
}

static inline int queue_fd(const struct queue *q)
{
	return q->fd;
}

/* Any thread: appends without waking; queue_kick() must follow, once for however
 * many were added. */
static inline void queue_add(struct queue *q, void *item)
{
	struct queue_item *i = item;
	struct queue_item *old = __atomic_load_n(&q->newest, __ATOMIC_RELAXED);

	do {
		i->next = old;
	} while (!__atomic_compare_exchange_n(&q->newest, &old, i, true,
					      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

/* Any thread: wakes the consumer if it sleeps. */
static inline void queue_kick(struct queue *q)
{
	uint64_t one = 1;

	/* Pairs with queue_may_sleep(): either it sees what we did before, an item or
	 * anything else, or we see it sleep. Reading by writing is the full barrier
	 * that a load is not. */
	if (!__atomic_fetch_or(&q->sleeping, 0, __ATOMIC_SEQ_CST))
		return;
	if (!__atomic_exchange_n(&q->sleeping, 0, __ATOMIC_SEQ_CST))
		return;
	/* An eventfd refuses only when its counter is full: awake anyway. */
	while (write(q->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static inline void queue_push(struct queue *q, void *item)
{
	queue_add(q, item);
	queue_kick(q);
}

static inline bool queue_empty(const struct queue *q)
{
	return !__atomic_load_n(&q->newest, __ATOMIC_RELAXED);
}

/* Consumer: all items, oldest first, linked by their first member; or NULL. */
static inline void *queue_take(struct queue *q)
{
	struct queue_item *i, *next, *list = NULL;

	if (queue_empty(q))
		return NULL;
	i = __atomic_exchange_n(&q->newest, NULL, __ATOMIC_ACQUIRE);
	for (; i; i = next) {
		next = i->next;
		i->next = list;
		list = i;
	}
	return list;
}

/* Consumer: no sleeper any more. Who has found it asleep writes to the eventfd, which
 * may be a while later. */
static inline void queue_rise(struct queue *q)
{
	if (!__atomic_exchange_n(&q->sleeping, 0, __ATOMIC_SEQ_CST))
		q->unread++;
}

/* Consumer: says that it goes to sleep. False: something came in, take it first.
 * After true it must wait for queue_fd() to be readable (or for whatever else it
 * waits for) and then call queue_awake(). */
static inline bool queue_may_sleep(struct queue *q)
{
	__atomic_exchange_n(&q->sleeping, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&q->newest, __ATOMIC_SEQ_CST))
		return true;
	queue_rise(q);
	return false;
}

/* Consumer: after sleeping, for whatever reason it woke. */
static inline void queue_awake(struct queue *q)
{
	uint64_t count;

	queue_rise(q);
	/* A write that comes after this read ends one more sleep early. */
	if (q->unread && read(q->fd, &count, sizeof(count)) == sizeof(count))
		q->unread -= count;
}

#endif
