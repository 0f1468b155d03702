// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The listening socket, and who may connect how often. The first I/O thread
 * accepts and hands connections to all threads in turn (one socket, not one per
 * thread: SO_REUSEPORT would let a second server share the port unnoticed, and
 * would spread few connections unevenly).
 *
 * The counts per address are under client_side.lock: connections end on all
 * threads.
 */
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/client/internal.h"

#define ACCEPTS		64	/* in one round */
#define PAUSE_MS	100	/* when the kernel has no memory for another */

/* ------------------------------------------------------------ addresses */

struct addr_count {
	struct in6_addr addr;
	u32 n;			/* 0: free */
};

/* Open addressing; grows, never shrinks: bounded by the connections there were at
 * one time. */
struct addr_table {
	struct addr_count *slots;
	u32 mask;
	u32 used;
};

struct addr_table *addr_table_new(void)
{
	struct addr_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->mask = 63;
	t->slots = calloc(t->mask + 1, sizeof(*t->slots));
	if (!t->slots) {
		free(t);
		return NULL;
	}
	return t;
}

void addr_table_free(struct addr_table *t)
{
	if (t)
		free(t->slots);
	free(t);
}

static u32 addr_hash(const struct in6_addr *a)
{
	u64 hi, lo;

	memcpy(&hi, a->s6_addr, 8);
	memcpy(&lo, a->s6_addr + 8, 8);
	return ((hi * 0x9e3779b97f4a7c15ULL ^ lo) * 0xd6e8feb86659fd93ULL) >> 32;
}

/* The entry of @a, or the free one where it would be. */
static struct addr_count *addr_find(struct addr_table *t, const struct in6_addr *a)
{
	u32 i = addr_hash(a) & t->mask;

	while (t->slots[i].n && memcmp(&t->slots[i].addr, a, sizeof(*a)))
		i = (i + 1) & t->mask;
	return &t->slots[i];
}

static int addr_grow(struct addr_table *t)
{
	struct addr_table big = { .mask = 2 * t->mask + 1 };

	big.slots = calloc(big.mask + 1, sizeof(*big.slots));
	if (!big.slots)
		return -ENOMEM;
	for (u32 i = 0; i <= t->mask; i++)
		if (t->slots[i].n)
			*addr_find(&big, &t->slots[i].addr) = t->slots[i];
	free(t->slots);
	t->slots = big.slots;
	t->mask = big.mask;
	return 0;
}

int addr_get(struct addr_table *t, const struct in6_addr *a, u32 max)
{
	struct addr_count *s;

	if (2 * t->used > t->mask && addr_grow(t))
		return -ENOMEM;
	s = addr_find(t, a);
	if (max && s->n >= max)
		return -EBUSY;
	if (!s->n++) {
		s->addr = *a;
		t->used++;
	}
	return 0;
}

void addr_put(struct addr_table *t, const struct in6_addr *a)
{
	struct addr_count *s = addr_find(t, a);
	u32 i = s - t->slots;

	if (!s->n || --s->n)
		return;
	t->used--;
	/* Close the gap: whatever follows without one is put where it belongs. */
	for (i = (i + 1) & t->mask; t->slots[i].n; i = (i + 1) & t->mask) {
		struct addr_count moved = t->slots[i];

		t->slots[i].n = 0;
		*addr_find(t, &moved.addr) = moved;
	}
}

void addr_host(const struct sockaddr_storage *sa, char *buf, size_t len)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
	const u8 *a = in6->sin6_addr.s6_addr;
	size_t n = 0;

	if (sa->ss_family == AF_INET)
		a = (const u8 *)&((const struct sockaddr_in *)sa)->sin_addr;
	else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		a += 12;
	else
		n = 8;
	if (!n) {
		snprintf(buf, len, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
		return;
	}
	n = 0;
	for (int i = 0; i < 16; i += 2)
		n += snprintf(buf + n, len - n, "%s%x", i ? ":" : "", a[i] << 8 | a[i + 1]);
	if (in6->sin6_scope_id)
		snprintf(buf + n, len - n, "%%%u", in6->sin6_scope_id);
}

void addr_name(const struct sockaddr_storage *sa, char *buf, size_t len)
{
	/* the port is at the same place in both */
	unsigned int port = ntohs(((const struct sockaddr_in *)sa)->sin_port);
	char host[ADDR_MAX - 16];
	bool v6;

	addr_host(sa, host, sizeof(host));
	v6 = strchr(host, ':');
	snprintf(buf, len, "/%s%s%s:%u", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

/* ------------------------------------------------------------ the socket */

static int bind_one(struct client_side *cs, const struct addrinfo *ai)
{
	int fd, on = 1, off = 0, err, backlog = cs->cfg->listen_backlog;

	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) ||
	    listen(fd, backlog < 0 ? SOMAXCONN : backlog)) {
		err = -errno;
		close(fd);
		return err;
	}
	cs->listen_fd = fd;
	return 0;
}

/* Binds to the first of the addresses that works; without an address in the
 * configuration IPv6's any, which takes IPv4 as well, and IPv4's if there is no
 * IPv6. */
static int bind_any(struct client_side *cs, const char *host, u16 number, char *why,
		    size_t why_len)
{
	struct addrinfo hints = {
		.ai_flags = AI_PASSIVE | AI_ADDRCONFIG * !!host,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *list, *ai;
	char port[8];
	int err, first = 0;

	snprintf(port, sizeof(port), "%u", number);
	err = getaddrinfo(host, port, &hints, &list);
	if (err) {
		snprintf(why, why_len, "clientPortAddress %s: %s", host ? host : "*",
			 gai_strerror(err));
		return -EADDRNOTAVAIL;
	}
	err = -EAFNOSUPPORT;
	for (int pass = 0; pass < 2 && err; pass++) {
		for (ai = list; ai && err; ai = ai->ai_next) {
			if (!host && (ai->ai_family == AF_INET6) != !pass)
				continue;
			err = bind_one(cs, ai);
			if (err && (!first || first == -EAFNOSUPPORT))
				first = err;
			/* taken is taken: do not slip in on the other family */
			if (err == -EADDRINUSE || err == -EACCES)
				break;
		}
		if (host || err == -EADDRINUSE || err == -EACCES)
			break;
	}
	freeaddrinfo(list);
	if (err)
		snprintf(why, why_len, "cannot listen on %s port %u: %s", host ? host : "*",
			 number, strerror(-first));
	return err ? first : 0;
}

static int watch_listener(struct client_side *cs, int op)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &cs->listen_fd };

	return epoll_ctl(cs->io[0].epfd, op, cs->listen_fd, &ev) ? -errno : 0;
}

static void note_port(struct client_side *cs)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(cs->listen_fd, (struct sockaddr *)&sa, &len) == 0)
		__atomic_store_n(&cs->port, ntohs(((struct sockaddr_in *)&sa)->sin_port),
				 __ATOMIC_RELAXED);
}

int listen_open(struct client_side *cs, char *why, size_t why_len)
{
	int err;

	err = bind_any(cs, cs->cfg->client_addr, cs->cfg->client_port, why, why_len);
	if (err)
		return err;
	note_port(cs);
	cs->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return watch_listener(cs, EPOLL_CTL_ADD);
}

/*
 * NIOServerCnxnFactory.reconfigure(): who is in stays. The old place goes first, as the new
 * one may be a part of it. If that one cannot be had the old one is taken again.
 */
void listen_move(struct io *io, const char *host, u16 port)
{
	struct client_side *cs = io->cs;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	char why[256], name[ADDR_MAX];
	int err;

	if (io->stopping)
		return;
	pthread_mutex_lock(&cs->lock);
	if (!cs->unheard && !getsockname(cs->listen_fd, (struct sockaddr *)&sa, &len)) {
		if (!io->no_accept)
			watch_listener(cs, EPOLL_CTL_DEL);
		close(cs->listen_fd);
		cs->listen_fd = -1;
		err = bind_any(cs, host, port, why, sizeof(why));
		if (err) {
			addr_name(&sa, name, sizeof(name));
			log_error("clients cannot be served at their new address: %s; "
				  "staying at %s", why, name + 1);
			addr_host(&sa, name, sizeof(name));
			bind_any(cs, name, ntohs(((struct sockaddr_in *)&sa)->sin_port), why,
				 sizeof(why));
		}
		note_port(cs);
		io->no_accept = true;
		io->accept_at_ms = io->now_ms;
		log_info("clients are served at %s port %u", err ? name : host ? host : "*",
			 cs->port);
	}
	pthread_mutex_unlock(&cs->lock);
}

/* ------------------------------------------------------------ accepting */

/* Takes the connection into account, if the limits let it. */
static int admit(struct client_side *cs, struct conn *c)
{
	u32 max = cs->cfg->max_client_cnxns;
	int err;

	pthread_mutex_lock(&cs->lock);
	if (cs->cfg->max_cnxns && cs->n_conns >= cs->cfg->max_cnxns)
		err = -EUSERS;
	else
		err = addr_get(cs->addrs, &c->addr, max);
	if (!err) {
		cs->n_conns++;
		list_add_tail(&c->all, &cs->conns);
	}
	pthread_mutex_unlock(&cs->lock);
	if (err == -EUSERS)
		log_ratelimited(LOG_WARN, "refusing %s: %u connections (maxCnxns)", c->name,
				cs->cfg->max_cnxns);
	else if (err == -EBUSY)
		log_ratelimited(LOG_WARN, "refusing %s: too many connections, max is %u "
				"(maxClientCnxns)", c->name, max);
	return err;
}

static void take_in(struct client_side *cs, int fd, const struct sockaddr_storage *sa)
{
	struct io *io = &cs->io[cs->next_io];
	struct message *m = calloc(1, sizeof(*m));
	struct conn *c = m ? conn_new(cs, io, fd, sa) : NULL;
	int on = 1;

	if (!c || admit(cs, c)) {
		metric_count(METRIC_connection_rejected, 1);
		if (c)
			conn_put(c);
		free(m);
		close(fd);
		return;
	}
	cs->next_io = (cs->next_io + 1) % cs->n_io;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (cs->cfg->tcp_keepalive)
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	m->kind = (enum message_kind)MSG_ADOPT;
	m->conn = c;
	queue_push(&io->inbox, m);
}

/* No descriptor left: with the spare one the client is told by a close, and does
 * not stay in the kernel's queue, which would wake us again and again. */
static bool turn_away(struct client_side *cs)
{
	int fd;

	log_ratelimited(LOG_ERROR, "refusing connections: %s", strerror(errno));
	if (cs->spare_fd < 0)
		return false;
	close(cs->spare_fd);
	fd = accept4(cs->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	cs->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

static void pause_accepting(struct io *io)
{
	watch_listener(io->cs, EPOLL_CTL_DEL);
	io->no_accept = true;
	io->accept_at_ms = io->now_ms + PAUSE_MS;
}

void listen_resume(struct io *io)
{
	if (io->cs->listen_fd < 0 || watch_listener(io->cs, EPOLL_CTL_ADD))
		io->accept_at_ms = io->now_ms + PAUSE_MS;
	else
		io->no_accept = false;
}

void listen_ready(struct io *io)
{
	struct client_side *cs = io->cs;

	if (io->stopping)
		return;
	for (int i = 0; i < ACCEPTS; i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof(sa);
		int fd;

		fd = accept4(cs->listen_fd, (struct sockaddr *)&sa, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take_in(cs, fd, &sa);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
			continue;
		if ((errno == EMFILE || errno == ENFILE) && turn_away(cs))
			continue;
		pause_accepting(io);
		return;
	}
}

/* No more connections; the socket stays until client_stop(). */
void listen_stop(struct io *io)
{
	if (io == &io->cs->io[0] && !io->no_accept)
		watch_listener(io->cs, EPOLL_CTL_DEL);
	io->no_accept = false;
}
