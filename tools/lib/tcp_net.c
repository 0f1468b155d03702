// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Sockets of the TCP way: dialling with a bound, whole frames in and out. The
 * receive buffer belongs to the handle and never grows beyond p.max_frame and a
 * little; a length outside that ends the connection.
 */
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tcp.h"

#define RX_CHUNK	(64 * 1024)

static int wait_for(int fd, short events, s64 deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	s64 left = deadline - zkern_now_ms();
	int n;

	if (left < 0)
		left = 0;
	n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int dial_addr(const struct addrinfo *ai, s64 deadline, int *fd)
{
	int one = 1, err = 0, s;
	socklen_t len = sizeof(err);

	s = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -errno;
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(s, ai->ai_addr, ai->ai_addrlen)) {
		err = -errno;
		if (err == -EINPROGRESS)
			err = wait_for(s, POLLOUT, deadline);
		if (!err && !getsockopt(s, SOL_SOCKET, SO_ERROR, &err, &len))
			err = -err;
	}
	if (err) {
		close(s);
		return err;
	}
	*fd = s;
	return 0;
}

int tcp_dial(struct tcp *t, s64 deadline)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *ai;
	struct tcp_host *h = &t->host[t->next_host];
	int err;

	t->next_host = (t->next_host + 1) % t->n_hosts;
	err = getaddrinfo(h->host, h->port, &hints, &list);
	if (err)
		return zkern_fail(&t->zk, -ECONNREFUSED, "%s:%s: %s", h->host, h->port,
				  gai_strerror(err));
	err = -ECONNREFUSED;
	for (ai = list; ai; ai = ai->ai_next) {
		err = dial_addr(ai, deadline, &t->fd);
		if (!err || err == -EINTR)
			break;
	}
	freeaddrinfo(list);
	if (err)
		return zkern_fail(&t->zk, err, "%s:%s: cannot connect: %s", h->host, h->port,
				  strerror(-err));
	t->rx_at = 0;
	t->rx_len = 0;
	t->heard = zkern_now_ms();
	t->sent = t->heard;
	return 0;
}

void tcp_hangup(struct tcp *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	t->rx_at = 0;
	t->rx_len = 0;
}

static int lost(struct tcp *t, int err, const char *why)
{
	tcp_hangup(t);
	return zkern_fail(&t->zk, err, "connection lost: %s", why);
}

int tcp_send(struct tcp *t, struct jw *w, s64 deadline)
{
	size_t at = 0;
	int err;

	if (w->err)
		return zkern_fail(&t->zk, w->err, "request: %s", strerror(-w->err));
	if (w->len - 4 > INT32_MAX)
		return zkern_fail(&t->zk, -EMSGSIZE, "request of %zu bytes: too long", w->len);
	jute_put32(w->buf, w->len - 4);
	while (at < w->len) {
		ssize_t n = send(t->fd, w->buf + at, w->len - at, MSG_NOSIGNAL);

		if (n >= 0) {
			at += n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return lost(t, -ECONNRESET, strerror(errno));
		/* Half a frame cannot be taken back: no way but to hang up. */
		err = wait_for(t->fd, POLLOUT, deadline);
		if (err && err != -EINTR)
			return lost(t, err, "the server does not take the request");
	}
	t->sent = zkern_now_ms();
	return 0;
}

static int send_ping(struct tcp *t)
{
	struct jw w;
	int err;

	jw_init(&w, 0);
	jw_int(&w, 0);
	jw_int(&w, XID_PING);
	jw_int(&w, OP_PING);
	err = tcp_send(t, &w, zkern_now_ms() + t->p.timeout_ms);
	jw_free(&w);
	return err;
}

/* Room for at least one chunk, and for a frame whose length is known. */
static int rx_room(struct tcp *t)
{
	size_t need = t->rx_len + RX_CHUNK;
	u8 *b;

	if (t->rx_at) {
		memmove(t->rx, t->rx + t->rx_at, t->rx_len);
		t->rx_at = 0;
	}
	if (t->rx_len >= 4) {
		size_t frame = 4 + (size_t)jute_get32(t->rx);

		/* Never more than twice what has really come. */
		if (frame > need && frame > 2 * need)
			need = 2 * need;
		else if (frame > need)
			need = frame;
	}
	if (need <= t->rx_cap)
		return 0;
	b = realloc(t->rx, need);
	if (!b)
		return -ENOMEM;
	t->rx = b;
	t->rx_cap = need;
	return 0;
}

/* 1: a whole frame is there; 0: not yet. */
static int rx_frame(struct tcp *t, const u8 **p, size_t *len)
{
	const u8 *b = t->rx + t->rx_at;
	u32 n;

	if (t->rx_len < 4)
		return 0;
	n = jute_get32(b);
	if (n > t->p.max_frame) {
		tcp_hangup(t);
		return zkern_fail(&t->zk, -EPROTO, "an answer of %u bytes: more than %u allowed",
				  n, t->p.max_frame);
	}
	if (t->rx_len - 4 < n)
		return 0;
	*p = b + 4;
	*len = n;
	t->rx_at += 4 + (size_t)n;
	t->rx_len -= 4 + (size_t)n;
	return 1;
}

static int rx_more(struct tcp *t)
{
	ssize_t n;

	if (rx_room(t))
		return lost(t, -ENOMEM, "out of memory");
	n = recv(t->fd, t->rx + t->rx_len, t->rx_cap - t->rx_len, 0);
	if (n > 0) {
		t->rx_len += n;
		t->heard = zkern_now_ms();
		return 0;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return lost(t, -ECONNRESET, n ? strerror(errno) : "closed by the server");
}

/* When to wake: the deadline, the next ping, or the end of patience. */
static s64 next_wake(const struct tcp *t, s64 deadline)
{
	s64 wake = deadline;

	if (!t->session_ms)
		return wake;
	if (t->sent + t->session_ms / 3 < wake)
		wake = t->sent + t->session_ms / 3;
	if (t->heard + t->session_ms * 2 / 3 < wake)
		wake = t->heard + t->session_ms * 2 / 3;
	return wake;
}

int tcp_recv(struct tcp *t, const u8 **p, size_t *len, s64 deadline)
{
	for (;;) {
		int err = rx_frame(t, p, len);
		s64 now;

		if (err)
			return err < 0 ? err : 0;
		err = wait_for(t->fd, POLLIN, next_wake(t, deadline));
		if (!err)
			err = rx_more(t);
		if (err && err != -ETIMEDOUT)
			return err;
		if (!err)
			continue;
		now = zkern_now_ms();
		if (t->session_ms && now >= t->heard + t->session_ms * 2 / 3)
			return lost(t, -ECONNRESET, "nothing heard from the server");
		if (now >= deadline)
			return zkern_fail(&t->zk, -ETIMEDOUT, "no answer in time");
		if (t->session_ms && now >= t->sent + t->session_ms / 3) {
			err = send_ping(t);
			if (err)
				return err;
		}
	}
}
