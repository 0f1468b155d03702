// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The floor: a server that looks nothing up. One thread, epoll; a session for
 * everybody, and to each request the same reply (100 bytes of data and a stat)
 * with the request's xid. What it costs is what the network costs.
 *
 *   canned PORT     prints "ready" once it listens on 127.0.0.1
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "load.h"

#define BUF	(64 * 1024)
#define DATA	100
#define REPLY	(4 + 16 + 4 + DATA + ZK_STAT_LEN)

struct client {
	int fd;
	bool greeted;
	size_t len;
	u8 in[BUF];
};

static void greet(struct client *c)
{
	u8 r[41] = { 0 };

	jute_put32(r, 37);
	jute_put32(r + 8, 30000);
	jute_put64(r + 12, 0x100000000000000ULL + c->fd);
	jute_put32(r + 20, ZK_PASSWD_LEN);
	c->greeted = true;
	if (send(c->fd, r, sizeof(r), MSG_NOSIGNAL) != sizeof(r))
		shutdown(c->fd, SHUT_RDWR);
}

/* Answers all whole requests in c->in, with one send. */
static void answer(struct client *c, u8 *out)
{
	size_t at = 0, len = 0;

	while (c->len - at >= 4 && len + REPLY <= BUF) {
		u32 n = jute_get32(c->in + at);
		u8 *r = out + len;

		if (n > BUF - 4) {
			shutdown(c->fd, SHUT_RDWR);
			return;
		}
		if (c->len - at - 4 < n)
			break;
		if (!c->greeted) {
			greet(c);
		} else {
			memset(r, 0, REPLY);
			jute_put32(r, REPLY - 4);
			memcpy(r + 4, c->in + at + 4, 4);
			jute_put64(r + 8, 1);
			jute_put32(r + 20, DATA);
			memset(r + 24, 'x', DATA);
			len += REPLY;
		}
		at += 4 + n;
	}
	c->len -= at;
	memmove(c->in, c->in + at, c->len);
	if (len && send(c->fd, out, len, MSG_NOSIGNAL) != (ssize_t)len)
		shutdown(c->fd, SHUT_RDWR);
}

static void pull(struct client *c, u8 *out)
{
	ssize_t n = recv(c->fd, c->in + c->len, BUF - c->len, 0);

	if (n <= 0) {
		close(c->fd);
		free(c);
		return;
	}
	c->len += n;
	answer(c, out);
}

static void welcome(int ls, int ep)
{
	struct client *c = calloc(1, sizeof(*c));
	struct epoll_event ev = { EPOLLIN, { .ptr = c } };
	int one = 1;

	if (!c)
		exit(1);
	c->fd = accept(ls, NULL, NULL);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (c->fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev))
		exit(1);
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct epoll_event ev = { EPOLLIN, { .ptr = NULL } }, evs[64];
	static u8 out[BUF];
	int ls, ep, one = 1, n, i;

	if (argc != 2)
		return 1;
	a.sin_port = htons(atoi(argv[1]));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ls = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	ep = epoll_create1(0);
	if (bind(ls, (struct sockaddr *)&a, sizeof(a)) || listen(ls, 128) ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, ls, &ev)) {
		perror("canned");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		n = epoll_wait(ep, evs, 64, -1);
		for (i = 0; i < n; i++) {
			if (evs[i].data.ptr)
				pull(evs[i].data.ptr, out);
			else
				welcome(ls, ep);
		}
	}
}
