// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sockets: options, addresses as text, the epoll set, input buffers. The thread
 * "peers"; what has no struct peers in it, any thread.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "daemon/peer/internal.h"

#define KEEP_BYTES	(256 * 1024)	/* of a buffer that is empty */

u64 peer_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Without anything to wait for it leaves the set: errors are told regardless else. */
int watch_set(struct peers *p, struct watch *w, u32 mask)
{
	struct epoll_event ev = { .events = mask, .data.ptr = w };
	int op = !w->mask ? EPOLL_CTL_ADD : mask ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

	if (mask == w->mask || w->fd < 0)
		return 0;
	if (epoll_ctl(p->epfd, op, w->fd, &ev))
		return -errno;
	w->mask = mask;
	return 0;
}

void watch_close(struct peers *p, struct watch *w)
{
	if (w->fd >= 0) {
		watch_set(p, w, 0);
		close(w->fd);
	}
	w->fd = -1;
	w->mask = 0;
}

void watch_bury(struct peers *p, struct watch *w)
{
	watch_close(p, w);
	w->dead = p->dead;
	p->dead = w;
}

void sock_options(int fd, bool keepalive)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (keepalive)
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

socklen_t sock_len(const struct sockaddr_storage *sa)
{
	return sa->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* The port is at the same place in both families. */
void sock_set_port(struct sockaddr_storage *sa, u16 port)
{
	((struct sockaddr_in *)sa)->sin_port = htons(port);
}

u16 sock_port(const struct sockaddr_storage *sa)
{
	return ntohs(((const struct sockaddr_in *)sa)->sin_port);
}

void sock_name(const struct sockaddr_storage *sa, char *buf, size_t len)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
	char host[INET6_ADDRSTRLEN] = "?";

	if (sa->ss_family == AF_INET) {
		inet_ntop(AF_INET, &((const struct sockaddr_in *)sa)->sin_addr, host, sizeof(host));
		snprintf(buf, len, "%s:%u", host, sock_port(sa));
	} else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, host, sizeof(host));
		snprintf(buf, len, "%s:%u", host, sock_port(sa));
	} else {
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(buf, len, "[%s]:%u", host, sock_port(sa));
	}
}

/* Room for @n more bytes behind what there is. */
static int inbuf_room(struct inbuf *b, size_t n)
{
	size_t cap;
	u8 *p;

	if (b->at == b->len)
		b->at = b->len = 0;
	if (b->cap - b->len >= n)
		return 0;
	if (b->at) {
		memmove(b->p, b->p + b->at, b->len - b->at);
		b->len -= b->at;
		b->at = 0;
		if (b->cap - b->len >= n)
			return 0;
	}
	cap = b->len + n;
	p = realloc(b->p, cap);
	if (!p)
		return -ENOMEM;
	b->p = p;
	b->cap = cap;
	return 0;
}

ssize_t inbuf_read(struct inbuf *b, int fd, size_t want)
{
	ssize_t n;
	int err = inbuf_room(b, want);

	if (err)
		return err;
	do {
		n = recv(fd, b->p + b->len, want, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	b->len += n;
	return n ? n : -EPIPE;
}

int inbuf_add(struct inbuf *b, const u8 *p, size_t n)
{
	int err;

	if (!n)
		return 0;
	err = inbuf_room(b, n);
	if (err)
		return err;
	memcpy(b->p + b->len, p, n);
	b->len += n;
	return 0;
}

void inbuf_used(struct inbuf *b, size_t n)
{
	b->at += n;
	if (b->at == b->len && b->cap > KEEP_BYTES)
		inbuf_free(b);
}

void inbuf_free(struct inbuf *b)
{
	free(b->p);
	memset(b, 0, sizeof(*b));
}
