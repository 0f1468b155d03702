// SPDX-License-Identifier: GPL-2.0-or-later
/* One client of the crowd, and the rounds in which all are served. */
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tools/bench/crowd.h"

#define EVENTS		512
#define ADDRESSES	32	/* 127.0.0.1 and on, so that there are ports enough */
#define SPARE_FDS	64
#define RX_MIN		512
#define PINGS		64	/* in a round: replies are read in between */

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "crowd: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	exit(1);
}

void crowd_open(struct crowd *c, u32 n)
{
	struct rlimit lim;

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
	if (n + SPARE_FDS > lim.rlim_cur)
		die("%u connections, but only %llu open files", n,
		    (unsigned long long)lim.rlim_cur);
	c->ep = epoll_create1(EPOLL_CLOEXEC);
	c->peers = calloc(n, sizeof(*c->peers));
	if (c->ep < 0 || !c->peers)
		die("no memory");
	c->n_peers = n;
	INIT_LIST_HEAD(&c->turns);
	for (u32 i = 0; i < n; i++) {
		c->peers[i].fd = -1;
		c->peers[i].id = i;
		INIT_LIST_HEAD(&c->peers[i].turn);
		jw_init(&c->peers[i].tx, 0);
	}
}

void crowd_close(struct crowd *c)
{
	for (u32 i = 0; i < c->n_peers; i++) {
		peer_stop(c, &c->peers[i]);
		jw_free(&c->peers[i].tx);
		free(c->peers[i].rx);
	}
	free(c->peers);
	close(c->ep);
}

int crowd_hook(struct crowd *c, const char *what)
{
	char cmd[1024];
	int status;

	if (!c->hook)
		return 0;
	snprintf(cmd, sizeof(cmd), "%s %s", c->hook, what);
	fflush(stdout);
	status = system(cmd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* ------------------------------------------------------------ a connection */

static void broken(struct crowd *c, struct peer *p)
{
	if (p->state == PEER_UP && !p->closing)
		die("the server closed the connection of client %u", p->id);
	c->failed++;
	peer_stop(c, p);
}

void peer_stop(struct crowd *c, struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	if (p->state == PEER_UP)
		c->up--;
	else if (p->state != PEER_OFF)
		c->trying--;
	c->out -= p->out;
	p->out = 0;
	p->fd = -1;
	p->state = PEER_OFF;
	list_del_init(&p->turn);
	p->rx_len = 0;
	p->tx.len = 0;
	p->tx_at = 0;
}

void peer_start(struct crowd *c, struct peer *p)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLRDHUP | EPOLLOUT | EPOLLET, .data.ptr = p,
	};
	int one = 1;

	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(p->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + p->id % ADDRESSES);
	if (bind(p->fd, (struct sockaddr *)&from, sizeof(from)))
		die("bind: %s", strerror(errno));
	p->state = PEER_CONNECTING;
	c->trying++;
	p->closing = false;
	if (connect(p->fd, (struct sockaddr *)&c->addr, sizeof(c->addr)) &&
	    errno != EINPROGRESS) {
		broken(c, p);
		return;
	}
	if (epoll_ctl(c->ep, EPOLL_CTL_ADD, p->fd, &ev))
		die("epoll: %s", strerror(errno));
}

static void flush(struct crowd *c, struct peer *p)
{
	ssize_t n;

	if (p->tx.err)
		die("no memory");
	while (p->tx_at < p->tx.len) {
		n = send(p->fd, p->tx.buf + p->tx_at, p->tx.len - p->tx_at, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno != EAGAIN)
				broken(c, p);
			return;
		}
		p->tx_at += n;
	}
	jw_free(&p->tx);
	jw_init(&p->tx, 0);
	p->tx_at = 0;
}

static void frame_begin(struct peer *p)
{
	p->frame_at = p->tx.len;
	jw_int(&p->tx, 0);
}

static void frame_end(struct peer *p)
{
	if (!p->tx.err)
		jute_put32(p->tx.buf + p->frame_at, p->tx.len - p->frame_at - 4);
}

static void shake_hands(struct crowd *c, struct peer *p)
{
	frame_begin(p);
	jw_int(&p->tx, 0);
	jw_long(&p->tx, 0);
	jw_int(&p->tx, c->timeout_ms);
	jw_long(&p->tx, p->sid);
	jw_str(&p->tx, p->passwd, sizeof(p->passwd));
	jw_bool(&p->tx, false);
	frame_end(p);
	p->state = PEER_SHAKING;
	flush(c, p);
}

struct jw *peer_request(struct crowd *c, struct peer *p, s32 op)
{
	frame_begin(p);
	jw_int(&p->tx, ++p->xid);
	jw_int(&p->tx, op);
	p->out++;
	c->out++;
	return &p->tx;
}

void peer_send(struct crowd *c, struct peer *p)
{
	frame_end(p);
	p->sent_ns = now_ns();
	flush(c, p);
}

void put_create(struct jw *w, const char *path, s32 flags)
{
	jw_str(w, path, strlen(path));
	jw_str(w, "", 0);
	jw_int(w, 1);
	jw_int(w, PERM_ALL);
	jw_str(w, "world", 5);
	jw_str(w, "anyone", 6);
	jw_int(w, flags);
}

/* ------------------------------------------------------------ what comes in */

static void take_hello(struct crowd *c, struct peer *p, const u8 *f, u32 len)
{
	u64 sid;

	if (len < 36)
		die("a connect response of %u bytes", len);
	sid = jute_get64(f + 8);
	if (!sid || (p->sid && sid != p->sid)) {
		p->lost++;
		p->sid = 0;
		broken(c, p);
		return;
	}
	p->sid = sid;
	memcpy(p->passwd, f + 20, sizeof(p->passwd));
	p->state = PEER_UP;
	p->pinged_ns = now_ns();
	list_add_tail(&p->turn, &c->turns);
	c->trying--;
	c->up++;
}

static void take_frame(struct crowd *c, struct peer *p, const u8 *f, u32 len)
{
	s32 xid, err;

	if (p->state == PEER_SHAKING) {
		take_hello(c, p, f, len);
		return;
	}
	if (len < 16)
		die("a reply of %u bytes", len);
	xid = jute_get32(f);
	err = jute_get32(f + 12);
	if (xid == XID_NOTIFICATION) {
		p->events++;
		c->events++;
		return;
	}
	if (xid == XID_PING) {
		c->ponged += !p->pongs++;
		return;
	}
	if (!p->out || xid != p->xid - (s32)p->out + 1)
		die("reply %d out of order", xid);
	p->out--;
	c->out--;
	if (c->on_reply)
		c->on_reply(c, p, err, f + 16, len - 16);
	else if (err)
		die("the server answered %d", err);
}

/* All whole frames; a larger one gets the room that it needs. */
static void take_frames(struct crowd *c, struct peer *p)
{
	size_t at = 0, need = 0;

	while (p->fd >= 0 && p->rx_len - at >= 4) {
		need = 4 + (size_t)jute_get32(p->rx + at);
		if (p->rx_len - at < need)
			break;
		take_frame(c, p, p->rx + at + 4, need - 4);
		at += need;
		need = 0;
	}
	if (p->fd < 0)
		return;
	p->rx_len -= at;
	memmove(p->rx, p->rx + at, p->rx_len);
	if (need > p->rx_cap) {
		p->rx = realloc(p->rx, need);
		p->rx_cap = need;
		if (!p->rx)
			die("no memory");
	}
}

/* @ended: the server has closed, which only another read tells. */
static void pull(struct crowd *c, struct peer *p, bool ended)
{
	size_t room;
	ssize_t n;

	if (!p->rx) {
		p->rx = malloc(RX_MIN);
		p->rx_cap = RX_MIN;
		if (!p->rx)
			die("no memory");
	}
	while (p->fd >= 0) {
		room = p->rx_cap - p->rx_len;
		n = recv(p->fd, p->rx + p->rx_len, room, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			broken(c, p);
			return;
		}
		p->rx_len += n;
		take_frames(c, p);
		if (!ended && (size_t)n < room)
			return;		/* what comes now comes with another event */
	}
}

/* The first in the list is the one whose last ping is the longest ago. */
static void ping_due(struct crowd *c)
{
	u64 now = now_ns();

	for (u32 i = 0; i < PINGS && !list_empty(&c->turns); i++) {
		struct peer *p = list_first_entry(&c->turns, struct peer, turn);

		if (now - p->pinged_ns < c->ping_ms * 1000000ULL)
			return;
		p->pinged_ns = now;
		list_del_init(&p->turn);
		list_add_tail(&p->turn, &c->turns);
		frame_begin(p);
		jw_int(&p->tx, XID_PING);
		jw_int(&p->tx, OP_PING);
		frame_end(p);
		flush(c, p);
	}
}

void crowd_step(struct crowd *c, int timeout_ms)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(c->ep, ev, EVENTS, timeout_ms);

	if (c->ping_ms)
		ping_due(c);
	for (int i = 0; i < n; i++) {
		struct peer *p = ev[i].data.ptr;

		if (p->state == PEER_CONNECTING && ev[i].events & (EPOLLERR | EPOLLHUP))
			broken(c, p);
		else if (p->state == PEER_CONNECTING && ev[i].events & EPOLLOUT)
			shake_hands(c, p);
		else if (p->fd >= 0 && ev[i].events & EPOLLOUT)
			flush(c, p);
		if (p->fd >= 0 && ev[i].events & (EPOLLIN | EPOLLHUP))
			pull(c, p, ev[i].events & (EPOLLHUP | EPOLLRDHUP));
	}
}

static void late(const struct crowd *c, u64 began, const char *what)
{
	if (now_ns() - began > c->patience_s * 1000000000ULL)
		die("waited %u s for %s", c->patience_s, what);
}

void crowd_up(struct crowd *c, u32 n, u32 parallel)
{
	u64 began = now_ns();
	u32 next = 0;

	while (c->up < n) {
		/* those that were refused come last */
		while (c->trying < parallel && c->up + c->trying < n) {
			struct peer *p = &c->peers[next++ % n];

			if (p->state == PEER_OFF)
				peer_start(c, p);
		}
		crowd_step(c, 10);
		late(c, began, "connections");
	}
}

void crowd_drain(struct crowd *c, u32 left)
{
	u64 began = now_ns();

	while (c->out > left) {
		crowd_step(c, 100);
		late(c, began, "replies");
	}
}
