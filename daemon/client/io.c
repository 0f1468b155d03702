// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An I/O thread: waits for its sockets and its queue, in rounds.
 *
 * The queue's eventfd and the listening socket (first thread only) are in the same
 * epoll set as the connections, told apart by the pointer that comes with the
 * event.
 */
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/client/internal.h"

#define EVENTS	256
#define HOLDERS_MS 1000	/* to look again whether long answers are fetched */
#define HELD_MS	50	/* at most, to look again whether held events are published */

u64 coarse_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* The owner: monotonic ns, the same for a whole round. */
u64 io_now_ns(struct io *io)
{
	struct timespec ts;

	if (!io->now_ns) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		io->now_ns = ts.tv_sec * 1000000000ULL + ts.tv_nsec;
	}
	return io->now_ns;
}

/* Puts the connection on a list of those that time out, in the order of their
 * deadlines: each list has one length of time. */
void io_timed(struct conn *c, struct list_head *list, u64 ms)
{
	c->deadline_ms = c->io->now_ms + ms;
	list_del_init(&c->timed);
	list_add_tail(&c->timed, list);
}

/* Any thread that owns the message. */
void message_free(struct message *m)
{
	if (m->kind == MSG_EVENT)
		blob_put(m->blob);
	if (m->conn)
		conn_put(m->conn);
	free(m);
}

static void stop_conns(struct io *io)
{
	struct conn *c, *next;

	io->stopping = true;
	listen_stop(io);
	/* their time is shorter: a list has one length of time */
	list_for_each_entry_safe(c, next, &io->conns, in_io) {
		if (c->state == CONN_DRAIN)
			c->deadline_ms = io->now_ms + STOP_MS;
		else
			conn_drain(c, STOP_MS);
		list_del_init(&c->work);
		list_add_tail(&c->work, &io->work);
	}
}

static void take_message(struct io *io, struct message *m)
{
	struct conn *c = m->conn;

	m->next = NULL;
	switch ((int)m->kind) {
	case MSG_ADOPT:
		m->conn = NULL;		/* its reference is now the thread's */
		conn_adopt(c);
		message_free(m);
		return;
	case MSG_STOP:
		io->stop_asked = true;
		message_free(m);
		return;
	case MSG_MOVE:
		listen_move(io, m->len ? (const char *)m->bytes : NULL, m->zxid);
		message_free(m);
		return;
	}
	if (c->state == CONN_DEAD) {
		message_free(m);
		return;
	}
	if (c->msgs)
		c->last_msg->next = m;
	else
		c->msgs = m;
	c->last_msg = m;
	if (list_empty(&c->work))
		list_add_tail(&c->work, &io->work);
}

/* Moves all messages from the queue to their connections; handles none of them,
 * so it may be called while a connection is being handled. */
void io_drain(struct io *io)
{
	struct message *m = queue_take(&io->inbox), *next;

	for (; m; m = next) {
		next = m->next;
		take_message(io, m);
	}
}

/* Many may be done with at once (sessions that expire), and to close a socket takes a
 * while: in each round some, so that the others' requests and replies pass between. */
static void close_some(struct io *io)
{
	while (io->closes < CLOSES_MAX && !list_empty(&io->closing)) {
		io->closes++;
		conn_close(list_first_entry(&io->closing, struct conn, wait));
	}
}

static u64 first_deadline(const struct list_head *list, u64 best)
{
	const struct conn *c;

	if (list_empty(list))
		return best;
	c = list_first_entry(list, struct conn, timed);
	return c->deadline_ms < best ? c->deadline_ms : best;
}

/* For epoll_wait(). */
static int timeout_ms(const struct io *io)
{
	u64 at = first_deadline(&io->fresh, first_deadline(&io->draining, ~0ULL));
	u64 now = coarse_ms();

	if (!list_empty(&io->closing))
		return 0;
	if (io->no_accept && io->accept_at_ms < at)
		at = io->accept_at_ms;
	if (io->device && device_next_ms(io->device) < at)
		at = device_next_ms(io->device);
	if (!list_empty(&io->held) && now + HELD_MS < at)
		at = now + HELD_MS;
	if (!list_empty(&io->waiting) && now + RETRY_MS < at)
		at = now + RETRY_MS;
	if (!list_empty(&io->holders) && now + HOLDERS_MS < at)
		at = now + HOLDERS_MS;
	if (at == ~0ULL)
		return -1;
	return at <= now ? 0 : (int)(at - now) + 5;	/* the clock is coarse */
}

static void expire(struct io *io)
{
	struct list_head *lists[] = { &io->fresh, &io->draining };

	for (int i = 0; i < 2; i++) {
		while (!list_empty(lists[i])) {
			struct conn *c = list_first_entry(lists[i], struct conn, timed);

			if (c->deadline_ms > io->now_ms)
				break;
			if (!i)
				metric_count(METRIC_sessionless_connections_expired, 1);
			if (c->state == CONN_NEW)
				conn_refuse(c, "no connect request in %u ms%s%s",
					    io->cs->cfg->sessionless_ms,
					    c->in_len ? "; it looks like " : "",
					    c->in_len ? junk_name(c->in, c->in_len) : "");
			conn_close(c);
		}
	}
	large_expire(io);
	if (io->device && !io->stopping)
		device_timer(io->device);
	if (io->no_accept && io->accept_at_ms <= io->now_ms)
		listen_resume(io);
}

static void bury(struct io *io)
{
	while (!list_empty(&io->dead)) {
		struct conn *c = list_first_entry(&io->dead, struct conn, work);

		list_del_init(&c->work);
		conn_put(c);
	}
}

/* Gives back a send buffer that one large answer has blown up. */
static void shrink(struct io *io)
{
	if (io->out.cap > IO_OUT_KEEP) {
		jw_free(&io->out);
		jw_init(&io->out, 0);
	}
}

/* Events that waited for their transaction: have another look. */
static void take_held(struct io *io)
{
	while (!list_empty(&io->held)) {
		struct conn *c = list_first_entry(&io->held, struct conn, work);

		list_del_init(&c->work);
		list_add_tail(&c->work, &io->work);
	}
}

static bool held_is_due(const struct io *io)
{
	const struct conn *c;

	list_for_each_entry(c, &io->held, work)
		if (!c->msgs || c->msgs->zxid <= store_zxid(io->cs->st))
			return true;
	return false;
}

/* Those whose next frame waited for something that others had. */
static void take_waiting(struct io *io)
{
	struct list_head *last = io->waiting.prev, *at, *next;

	io->large_refused = false;
	if (list_empty(&io->waiting))
		return;
	/* who waits on goes to the end, behind @last */
	for (at = io->waiting.next; ; at = next) {
		bool end = at == last;

		next = at->next;
		conn_retry(list_entry(at, struct conn, wait));
		if (end)
			break;
	}
}

static void handle_work(struct io *io)
{
	while (!list_empty(&io->work))
		conn_work(list_first_entry(&io->work, struct conn, work));
}

/* Ends with no message left that was taken from the queue: nobody wakes us for those. */
static void one_round(struct io *io, struct epoll_event *ev, int n)
{
	io->now_ms = coarse_ms();
	metrics_turn(io->now_ms);
	io->now_ns = 0;
	io->closes = 0;
	io_drain(io);
	for (int i = 0; i < n; i++) {
		if (ev[i].data.ptr == &io->cs->listen_fd)
			listen_ready(io);
		else if (ev[i].data.ptr == io->device)
			device_ready(io->device);
		else if (ev[i].data.ptr != io)
			conn_event(ev[i].data.ptr, ev[i].events);
	}
	take_held(io);
	handle_work(io);
	take_waiting(io);
	handle_work(io);	/* what was come across while looking for events */
	if (io->stop_asked && !io->stopping) {
		stop_conns(io);
		handle_work(io);
	}
	close_some(io);
	expire(io);
	if (io->device)
		device_flush(io->device);
	bury(io);
	shrink(io);
}

/* The thread. Ends after MSG_STOP, when its last connection is closed. */
void *io_main(void *arg)
{
	struct epoll_event ev[EVENTS];
	struct io *io = arg;
	int n;

	store_thread_init();
	if (io->device)
		device_ready(io->device);
	while (!io->stopping || !list_empty(&io->conns)) {
		if (queue_may_sleep(&io->inbox)) {
			/* What is published from here on comes with a wake-up. */
			n = epoll_wait(io->epfd, ev, EVENTS,
				       held_is_due(io) ? 0 : timeout_ms(io));
			queue_awake(&io->inbox);
		} else {
			n = epoll_wait(io->epfd, ev, EVENTS, 0);
		}
		one_round(io, ev, n);
	}
	store_thread_exit();
	return NULL;
}
