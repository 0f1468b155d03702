// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One TCP connection: bytes out, frames in.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include "differ.h"

void conn_open(struct conn *c, u16 port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1;

	conn_close(c);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->out.limit = SIZE_MAX;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (void *)&sa, sizeof(sa)))
		die("connect to port %u: %s", port, strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* As close() is to the server, but for its own close being waited for. */
bool conn_hang_up(struct conn *c)
{
	if (c->fd < 0)
		return true;
	shutdown(c->fd, SHUT_WR);
	return conn_wait_eof(c);
}

void conn_close(struct conn *c)
{
	if (c->fd > 0)
		close(c->fd);
	c->fd = -1;
	c->eof = false;
	c->len = 0;
	c->parsed = 0;
	c->nframes = 0;
	c->out.len = 0;
}

/* What a closing server does not take is for who reads to tell. */
void conn_send(struct conn *c, const void *p, size_t len)
{
	const u8 *b = p;

	while (len && !c->eof) {
		ssize_t n = send(c->fd, b, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		b += n;
		len -= n;
	}
}

void conn_flush(struct conn *c)
{
	conn_send(c, c->out.buf, c->out.len);
	c->out.len = 0;
}

static void add_frame(struct conn *c, u32 off, u32 len)
{
	if (c->nframes == c->fcap) {
		c->fcap = c->fcap ? 2 * c->fcap : 64;
		c->frames = must(realloc(c->frames, c->fcap * sizeof(*c->frames)));
	}
	c->frames[c->nframes].off = off;
	c->frames[c->nframes++].len = len;
}

static void parse(struct conn *c)
{
	while (!c->plain && c->len - c->parsed >= 4) {
		u32 n = jute_get32(c->buf + c->parsed);

		if (n > 64 * 1024 * 1024)
			die("a frame of length %d", (s32)n);
		if (c->len - c->parsed < 4 + n)
			break;
		add_frame(c, c->parsed + 4, n);
		c->parsed += 4 + n;
	}
}

bool conn_read(struct conn *c, int timeout_ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	ssize_t n;

	if (c->eof)
		return true;
	if (poll(&p, 1, timeout_ms) <= 0)
		return false;
	if (c->cap - c->len < 65536) {
		c->cap = c->cap ? 2 * c->cap : 1 << 18;
		c->buf = must(realloc(c->buf, c->cap));
	}
	n = recv(c->fd, c->buf + c->len, c->cap - c->len, MSG_DONTWAIT);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n <= 0) {
		c->eof = true;
		return true;
	}
	c->len += n;
	parse(c);
	return true;
}

u32 conn_replies(const struct conn *c)
{
	u32 i, n = 0;

	for (i = 0; i < c->nframes; i++)
		n += !frame_is_event(conn_frame(c, i), c->frames[i].len);
	return n;
}

bool conn_wait(struct conn *c, u32 replies)
{
	s64 end = now_ms() + ANSWER_MS;

	while (!c->eof && conn_replies(c) < replies) {
		if (!conn_read(c, 1000) && now_ms() > end)
			return false;
	}
	return true;
}

bool conn_wait_eof(struct conn *c)
{
	s64 end = now_ms() + ANSWER_MS;

	while (!c->eof) {
		if (!conn_read(c, 1000) && now_ms() > end)
			return false;
	}
	return true;
}

void conn_consume(struct conn *c)
{
	memmove(c->buf, c->buf + c->parsed, c->len - c->parsed);
	c->len -= c->parsed;
	c->parsed = 0;
	c->nframes = 0;
}

void connect_request(struct jw *w, u64 zxid, s32 timeout, u64 sid, const u8 *passwd, bool ro)
{
	u32 at = w->len;

	jw_int(w, 0);
	jw_int(w, 0);
	jw_long(w, zxid);
	jw_int(w, timeout);
	jw_long(w, sid);
	jw_str(w, passwd, ZK_PASSWD_LEN);
	if (ro)
		jw_bool(w, false);
	jute_put32(w->buf + at, w->len - at - 4);
}
