// SPDX-License-Identifier: GPL-2.0-or-later
/* The loop of the thread "peers", turned by hand: this is the daemon's own file, whose
 * thread is none. Threads of streams and receivers are real ones. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/peer/internal.h"

#define pthread_create(t, attr, fn, arg)	((void)(fn), (void)(attr), 0)
#define pthread_setname_np(t, name)		((void)(name))
#define pthread_join(t, res)			wind_up(p)
#include "daemon/peer/peers.c"
#undef pthread_create
#undef pthread_setname_np
#undef pthread_join

#include "selftests/fuzz/drive_peers.h"

bool drive_peers_turn(struct peers *p)
{
	struct cmd *c = queue_take(&p->inbox), *next;
	struct epoll_event evs[EVENTS];
	bool moved = c;
	int n;

	for (; c; c = next) {
		next = c->next;
		run(p, c);
	}
	p->now_ms = peer_now_ms();
	if (__atomic_exchange_n(&p->resume, false, __ATOMIC_SEQ_CST)) {
		elect_resume(p);
		link_resume(p);
		moved = true;
	}
	link_flush_dirty(p);
	moved |= p->now_ms >= p->due_ms;
	timers(p);
	free_dead(p);
	n = epoll_wait(p->epfd, evs, EVENTS, 0);
	for (int i = 0; i < n; i++) {
		struct watch *w = evs[i].data.ptr;

		if (w->fd >= 0 && w->mask && w != &p->inbox_w)
			w->ready(p, w, evs[i].events);
	}
	wake_core(p);
	return moved || n > 0 || !queue_empty(&p->inbox);
}

u32 drive_peers_threads(const struct peers *p, bool *receives)
{
	*receives = p->rx;
	return p->n_threads;
}

bool drive_peers_news(const struct peers *p)
{
	return !queue_empty(&p->inbox);
}

u64 drive_peers_in(struct peers *p)
{
	return __atomic_load_n(&p->in_bytes, __ATOMIC_SEQ_CST);
}
