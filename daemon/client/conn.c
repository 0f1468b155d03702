// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A connection's life and its two directions of bytes. Everything here runs on
 * the I/O thread that owns the connection, but for conn_new() and the counting of
 * references.
 *
 * In. One recv() per readiness into the thread's buffer, and as many frames out of
 * it as there are. What is left over, a part of a frame or frames that must wait
 * (conn_may_take()), is kept in ->in. A frame larger than the thread's buffer is
 * received into ->in, which grows as its bytes arrive.
 *
 * Out. Replies are made in the thread's buffer and leave with one send() when the
 * connection has been handled. Only what the socket does not take is kept, in
 * ->out; then later replies are added there.
 *
 * So an idle connection holds no buffer at all.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/client/internal.h"

/* ------------------------------------------------------------ life */

struct conn *conn_get(struct conn *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void conn_put(struct conn *c)
{
	if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	auth_set_put(c->auth);
	client_side_put(c->cs);
	free(c);
}

const char *conn_name(const struct conn *c)
{
	return c->name;
}

static void addr_to_v6(const struct sockaddr_storage *sa, struct in6_addr *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

	if (sa->ss_family == AF_INET6) {
		*a = ((const struct sockaddr_in6 *)sa)->sin6_addr;
		return;
	}
	memset(a, 0, sizeof(*a));
	a->s6_addr[10] = 0xff;
	a->s6_addr[11] = 0xff;
	memcpy(&a->s6_addr[12], &in->sin_addr, 4);
}

static u64 wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* Any thread: a connection for @io. Takes over @auth, on success only. NULL: no memory. */
static struct conn *conn_alloc(struct client_side *cs, struct io *io, const char *name,
			       struct auth_set *auth)
{
	size_t n = strlen(name) + 1;
	struct conn *c = calloc(1, sizeof(*c) + n);

	if (!c)
		return NULL;
	memcpy(c->name, name, n);
	c->auth = auth;
	c->refs = 1;
	c->cs = client_side_get(cs);
	c->io = io;
	c->fd = -1;
	c->state = CONN_NEW;
	c->first = true;
	c->stats.op = -1;
	c->stats.last_cxid = -1;
	c->stats.established_ms = wall_ms();
	jw_init(&c->out, 0);
	INIT_LIST_HEAD(&c->all);
	INIT_LIST_HEAD(&c->in_io);
	INIT_LIST_HEAD(&c->timed);
	INIT_LIST_HEAD(&c->work);
	INIT_LIST_HEAD(&c->wait);
	INIT_LIST_HEAD(&c->hold);
	return c;
}

/* Any thread: a connection for @io, which gets it by MSG_ADOPT. Owns @fd on
 * success only. NULL: no memory. */
struct conn *conn_new(struct client_side *cs, struct io *io, int fd,
		      const struct sockaddr_storage *sa)
{
	char name[ADDR_MAX], host[ADDR_MAX];
	struct auth_set *auth;
	struct conn *c;

	addr_name(sa, name, sizeof(name));
	addr_host(sa, host, sizeof(host));
	auth = access_initial(host);
	c = auth ? conn_alloc(cs, io, name, auth) : NULL;
	if (!c) {
		auth_set_put(auth);
		return NULL;
	}
	addr_to_v6(sa, &c->addr);
	c->fd = fd;
	return c;
}

/* It is counted and listed as any, but no limit is for it: the kernel has its own. */
struct conn *conn_new_device(struct client_side *cs, struct io *io, struct device_file *file,
			     const char *name, struct auth_set *auth)
{
	struct conn *c = conn_alloc(cs, io, name, auth);

	if (!c)
		return NULL;
	c->file = file;
	c->device = true;
	c->first = false;
	pthread_mutex_lock(&cs->lock);
	cs->n_conns++;
	list_add_tail(&c->all, &cs->conns);
	pthread_mutex_unlock(&cs->lock);
	list_add_tail(&c->in_io, &io->conns);
	return c;
}

bool conn_is_device(const struct conn *c)
{
	return c->device;
}

static int watch_fd(struct conn *c, int op)
{
	struct epoll_event ev = { .data.ptr = c };

	if (c->device)
		return 0;
	ev.events = (c->in_off ? 0 : EPOLLIN) | (c->out_on ? EPOLLOUT : 0);
	return epoll_ctl(c->io->epfd, op, c->fd, &ev) ? -errno : 0;
}

/* Its I/O thread's first sight of it. */
void conn_adopt(struct conn *c)
{
	list_add_tail(&c->in_io, &c->io->conns);
	if (c->io->stopping || watch_fd(c, EPOLL_CTL_ADD)) {
		conn_close(c);
		return;
	}
	io_timed(c, &c->io->fresh, c->cs->cfg->sessionless_ms);
}

void conn_drain(struct conn *c, u64 ms)
{
	if (c->state == CONN_DRAIN || c->state == CONN_DEAD)
		return;
	c->state = CONN_DRAIN;
	c->session = NULL;
	io_timed(c, &c->io->draining, ms);
}

static void free_messages(struct conn *c)
{
	struct message *m;

	while ((m = c->msgs)) {
		c->msgs = m->next;
		message_free(m);
	}
}

static void leave_count(struct conn *c)
{
	struct client_side *cs = c->cs;

	pthread_mutex_lock(&cs->lock);
	list_del_init(&c->all);
	cs->n_conns--;
	if (!c->device)
		addr_put(cs->addrs, &c->addr);
	pthread_mutex_unlock(&cs->lock);
}

void conn_discard(struct conn *c)
{
	c->state = CONN_DEAD;
	close(c->fd);
	c->fd = -1;
	leave_count(c);
}

static void close_socket(struct conn *c)
{
	u8 rest[512];

	/* Unread input would make a reset of our close, which could overtake the
	 * last reply. */
	(void)!recv(c->fd, rest, sizeof(rest), MSG_DONTWAIT);
	shutdown(c->fd, SHUT_RDWR);
	close(c->fd);
	c->fd = -1;
}

/* Closes at once. The struct lives on until the end of the round, for pointers
 * that epoll_wait() has given out, and then as long as there are references. */
void conn_close(struct conn *c)
{
	if (c->state == CONN_DEAD)
		return;
	c->state = CONN_DEAD;
	c->session = NULL;
	/* Before the peer can see the end: whoever asks something then, on another
	 * connection, is to find this one's watches gone, as with 3.8. */
	conn_forget(c);
	if (c->device)
		device_lost(c);
	else
		close_socket(c);
	leave_count(c);
	__atomic_sub_fetch(&c->cs->texts, c->text_len, __ATOMIC_RELAXED);
	large_drop(c);
	jw_free(&c->out);
	free(c->in);
	c->in = NULL;
	c->in_len = 0;
	free_messages(c);
	list_del_init(&c->timed);
	list_del_init(&c->in_io);
	list_del_init(&c->wait);
	list_del_init(&c->work);
	list_add_tail(&c->work, &c->io->dead);
}

/* ------------------------------------------------------------ out */

struct jw *conn_out(struct conn *c)
{
	return c->out.len ? &c->out : &c->io->out;
}

static int want_out(struct conn *c, bool on)
{
	if (c->out_on == on)
		return 0;
	c->out_on = on;
	return watch_fd(c, EPOLL_CTL_MOD);
}

/* Keeps what was not sent of @w. A lot of it is taken over with its buffer. */
static int keep_unsent(struct conn *c, struct jw *w, size_t sent)
{
	if (w == &c->out) {
		c->out_off = sent;
		if (sent > IO_OUT_KEEP && sent > w->len / 2) {
			memmove(w->buf, w->buf + sent, w->len - sent);
			w->len -= sent;
			c->out_off = 0;
		}
	} else if (w->len - sent > IO_IN_BYTES) {
		c->out = *w;
		c->out_off = sent;
		jw_init(w, 0);
	} else {
		jw_bytes(&c->out, w->buf + sent, w->len - sent);
		c->out_off = 0;
		w->len = 0;
	}
	return c->out.err ? c->out.err : want_out(c, true);
}

/* Sends what there is. */
static int push_out(struct conn *c)
{
	struct jw *w = conn_out(c);
	size_t at = w == &c->out ? c->out_off : 0;
	ssize_t n;

	if (w->err)
		return w->err;
	if (w->len == at)
		return 0;
	if (c->device)
		return device_out(c, w);
	do {
		n = send(c->fd, w->buf + at, w->len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return -errno;
	at += n > 0 ? n : 0;
	if (at < w->len)
		return keep_unsent(c, w, at);
	if (w == &c->out) {
		jw_free(w);
		jw_init(w, 0);
		c->out_off = 0;
	}
	w->len = 0;
	if (!c->large_asked)
		large_drop(c);
	return want_out(c, false);
}

/* The same, unless we know that the socket is full. */
static int flush(struct conn *c)
{
	return c->out_on ? conn_out(c)->err : push_out(c);
}

/* ------------------------------------------------------------ in */

static bool reads(const struct conn *c)
{
	return (c->state == CONN_NEW || c->state == CONN_OPEN) && !c->stuck;
}

static int want_in(struct conn *c, bool on)
{
	if (c->in_off == !on)
		return 0;
	c->in_off = !on;
	return watch_fd(c, EPOLL_CTL_MOD);
}

int conn_refuse(struct conn *c, const char *fmt, ...)
{
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	log_ratelimited(LOG_WARN, "closing %s: %s", c->name, why);
	return -EPROTO;
}

/* @buf: from the frame's length on. */
static int refuse_length(struct conn *c, const u8 *buf, size_t len)
{
	s32 n = jute_get32(buf);

	if (c->first)
		return conn_refuse(c, "it looks like %s", junk_name(buf, len));
	return conn_refuse(c, "a frame of %d bytes, at most %u are taken (jute.maxbuffer)", n,
			   c->cs->cfg->max_buffer);
}

void conn_wait(struct conn *c)
{
	if (!c->waits_ms)
		c->waits_ms = c->io->now_ms;
	if (list_empty(&c->wait))
		list_add_tail(&c->wait, &c->io->waiting);
}

/*
 * Handles the frames in @buf. Returns the bytes used up, or negative errno. Stops
 * early (->stuck) when the next one has to wait.
 */
static ssize_t take_frames(struct conn *c, const u8 *buf, size_t len)
{
	size_t at = 0;
	int err = 0;

	c->stuck = false;
	while (len - at >= 4 && reads(c)) {
		u32 n = jute_get32(buf + at);

		if (c->first && fourlw_run(c, n, buf + at + 4, len - at - 4))
			return len;
		if (n > c->cs->cfg->max_buffer)
			return refuse_length(c, buf + at, len - at);
		err = conn_may_be_large(c, n);
		if (err)
			return err;
		if (len - at - 4 < n)
			break;
		if (c->state == CONN_OPEN && !conn_may_take(c)) {
			c->stuck = true;
			break;
		}
		if (c->state == CONN_NEW)
			err = conn_take_connect(c, buf + at + 4, n);
		else
			err = conn_take(c, buf + at + 4, n);
		if (err == TAKE_LATER) {
			c->stuck = true;
			break;
		}
		c->first = false;
		c->waits_ms = 0;
		if (!err && conn_out(c)->len > OUT_HIGH)
			err = flush(c);
		if (err)
			return err;
		at += 4 + n;
	}
	if (c->state == CONN_WAIT && at < len)
		c->stuck = true;
	if (at)
		metric_count(METRIC_bytes_received_count, at);
	return at;
}

/* ->in holds @len bytes at @from from now on, which may be inside it. */
static int keep_in(struct conn *c, const u8 *from, size_t len)
{
	if (!len) {
		free(c->in);
		c->in = NULL;
		c->in_len = 0;
		c->in_cap = 0;
		return 0;
	}
	if (len > c->in_cap) {
		u8 *b = malloc(len);

		if (!b)
			return -ENOMEM;
		memcpy(b, from, len);
		free(c->in);
		c->in = b;
		c->in_cap = len;
	} else {
		memmove(c->in, from, len);
	}
	c->in_len = len;
	return 0;
}

/* Handles frames that waited in ->in. */
static int take_kept(struct conn *c)
{
	ssize_t n;

	if (c->device)
		return device_feed(c);
	n = take_frames(c, c->in, c->in_len);
	return n < 0 ? (int)n : keep_in(c, c->in + n, c->in_len - n);
}

static ssize_t receive(struct conn *c, u8 *buf, size_t room)
{
	ssize_t n;

	do {
		n = recv(c->fd, buf, room, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (!n) {
		metric_count(METRIC_connection_drop_count, 1);
		return -ECONNRESET;	/* the client went */
	}
	return n;
}

/* A frame too large for the thread's buffer: into ->in, which grows with it. */
static int read_large(struct conn *c)
{
	u32 need = 4 + jute_get32(c->in);
	ssize_t n;

	if (c->in_len == c->in_cap) {
		u32 cap = need - c->in_cap > c->in_cap ? 2 * c->in_cap : need;
		u8 *b = realloc(c->in, cap);

		if (!b)
			return -ENOMEM;
		c->in = b;
		c->in_cap = cap;
	}
	n = receive(c, c->in + c->in_len, (need < c->in_cap ? need : c->in_cap) - c->in_len);
	if (n < 0)
		return n;
	c->in_len += n;
	return c->in_len < need ? 0 : take_kept(c);
}

static int read_small(struct conn *c)
{
	u8 *buf = c->io->in;
	size_t len = c->in_len;
	ssize_t n;

	if (len)
		memcpy(buf, c->in, len);
	n = receive(c, buf + len, IO_IN_BYTES - len);
	if (n <= 0)
		return n;
	len += n;
	n = take_frames(c, buf, len);
	return n < 0 ? (int)n : keep_in(c, buf + n, len - n);
}

static int read_in(struct conn *c)
{
	if (!reads(c))
		return want_in(c, false);
	return c->in_len > IO_IN_BYTES / 2 ? read_large(c) : read_small(c);
}

/* ------------------------------------------------------------ rounds */

/* That a client goes is no news, unless it went in its first words. */
static void say_why(struct conn *c, int err)
{
	if (err == -EPROTO || c->state == CONN_DEAD)
		return;
	if (err != -ECONNRESET && err != -EPIPE)
		conn_refuse(c, "%s", strerror(-err));
	else if (c->state == CONN_NEW && c->in_len)
		conn_refuse(c, "it went after %u bytes that look like %s", c->in_len,
			    junk_name(c->in, c->in_len));
}

/* It is done with; see close_some(). */
static void close_in_turn(struct conn *c)
{
	struct io *io = c->io;

	list_del_init(&c->wait);
	if (io->closes < CLOSES_MAX && list_empty(&io->closing)) {
		io->closes++;
		conn_close(c);
	} else {
		list_del_init(&c->timed);
		list_add_tail(&c->wait, &io->closing);
	}
}

/* The end of each handling of a connection: nothing of it is left in the thread's
 * buffers. */
static void settle(struct conn *c, int err)
{
	if (!err)
		err = flush(c);
	while (!err && c->stuck && c->state == CONN_OPEN && conn_may_take(c)) {
		err = take_kept(c);
		if (!err)
			err = flush(c);
	}
	if (!err && c->stuck && c->state == CONN_OPEN && conn_throttled(c))
		conn_wait(c);
	if (!err && reads(c))
		err = want_in(c, true);
	if (err)
		say_why(c, err);
	if (err)
		conn_close(c);
	else if (c->state == CONN_DRAIN && !conn_unsent(c))
		close_in_turn(c);
	c->io->out.len = 0;
	c->io->out.err = 0;
}

void conn_retry(struct conn *c)
{
	list_del_init(&c->wait);
	if (c->wants_large && c->io->large_refused)
		conn_wait(c);	/* those before it have the first call */
	else
		settle(c, 0);
}

void conn_event(struct conn *c, u32 events)
{
	int err = 0;

	if (c->state == CONN_DEAD)
		return;
	if (events & EPOLLOUT)
		err = push_out(c);
	if (!err && (events & EPOLLIN))
		err = read_in(c);
	else if (!err && (events & (EPOLLERR | EPOLLHUP)))
		err = -ECONNRESET;
	settle(c, err);
}

static int deliver_connected(struct conn *c, const struct message *m)
{
	if (c->state != CONN_WAIT)
		return 0;
	jw_bytes(conn_out(c), m->bytes, m->len);
	stats_connected(c, m->zxid, c->io->now_ms - c->hello_ms);
	if (!m->session) {
		conn_drain(c, DRAIN_MS);
		return 0;
	}
	c->session = m->session;
	c->session_timeout = m->len >= 20 ? (s32)jute_get32(m->bytes + 8) : 0;
	__atomic_store_n(&c->session_id, m->len >= 20 ? jute_get64(m->bytes + 12) : 0,
			 __ATOMIC_RELAXED);
	c->state = CONN_OPEN;
	return 0;
}

static int deliver_event(struct conn *c, const struct message *m)
{
	if (c->state != CONN_OPEN)
		return 0;
	if (conn_unsent(c) > OUT_EVENTS_MAX + c->large) {
		log_ratelimited(LOG_WARN, "closing %s: it does not read its watch events",
				c->name);
		return -ENOBUFS;
	}
	jw_bytes(conn_out(c), m->blob->bytes, m->blob->len);
	stats_sent(c, m->blob->len - 4);
	metric_count(METRIC_watch_bytes, m->blob->len - 4);
	return 0;
}

static void deliver_text(struct conn *c, const struct message *m)
{
	if (c->state != CONN_WAIT)
		return;
	jw_bytes(conn_out(c), m->bytes, m->len);
	c->text_len = m->len;
	__atomic_add_fetch(&c->cs->texts, c->text_len, __ATOMIC_RELAXED);
	stats_sent(c, 0);
	conn_drain(c, DRAIN_MS);
}

static int deliver(struct conn *c, const struct message *m)
{
	if ((int)m->kind == MSG_TEXT) {
		deliver_text(c, m);
		return 0;
	}
	switch (m->kind) {
	case MSG_CONNECTED:
		return deliver_connected(c, m);
	case MSG_REPLY:
		conn_answered(c, m);
		if (c->state == CONN_OPEN)
			jw_bytes(conn_out(c), m->bytes, m->len);
		return 0;
	case MSG_EVENT:
		return deliver_event(c, m);
	case MSG_CLOSE:
		conn_drain(c, DRAIN_MS);
		return 0;
	}
	return 0;
}

/*
 * An event waits until its transaction is published: who is told of a change and
 * then reads must find it (the core posts events first, then publishes, then wakes
 * us again). What was posted after it waits too.
 */
static bool must_wait(const struct conn *c, const struct message *m)
{
	return m->kind == MSG_EVENT && c->state == CONN_OPEN &&
	       m->zxid > store_zxid(c->cs->st);
}

void conn_work(struct conn *c)
{
	struct message *m;
	int err = 0;

	list_del_init(&c->work);
	while (!err && (m = c->msgs)) {
		if (must_wait(c, m)) {
			list_add_tail(&c->work, &c->io->held);
			break;
		}
		c->msgs = m->next;
		err = deliver(c, m);
		if (!err && conn_out(c)->len > OUT_HIGH)
			err = flush(c);
		message_free(m);
	}
	settle(c, err);
}
