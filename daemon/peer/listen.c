// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The two ports: bound, accepted from, and bound again whenever that fails. Nothing
 * that happens to a connection ends the listening.
 *
 * Who connects is a stranger until his first words are those of a server: a hello on
 * the election port, a learner's first packet on the quorum port. Strangers have
 * hello_ms and STRANGER_BYTES, and there are STRANGERS_MAX at once for each port: for
 * one more the oldest of the address that has the most goes, after a last look whether
 * he has spoken by now.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/peer/internal.h"

#define ACCEPTS		64	/* in one round */
#define PAUSE_MS	100	/* when the kernel has no memory for another */
#define BACKLOG		128

struct listener {
	struct watch w;
	struct list_head node;		/* peers.listeners */
	struct lookup *lookup;
	bool quorum;			/* for learners: either one */
	bool master;			/* the one for observers */
	bool stale;			/* of a configuration that was */
	char *host;			/* as configured; NULL: any */
	u16 port;			/* 0: any, until it is bound */
	u64 again_ms;			/* to be bound then; 0: it is, or the name is asked for */
};

struct stranger {
	struct watch w;
	struct list_head node;		/* peers.strangers */
	bool quorum;
	u64 until_ms;
	struct sockaddr_storage sa;
	size_t len;
	u8 buf[STRANGER_BYTES];
};

static const char *port_name(bool quorum)
{
	return quorum ? "learners' port" : "election port";
}

static const char *name_of(const struct listener *l)
{
	return l->master ? "observers' port" : l->quorum ? "quorum port" : "election port";
}

/* ------------------------------------------------------------ strangers */

static void stranger_end(struct peers *p, struct stranger *s)
{
	p->n_strangers[s->quorum]--;
	list_del(&s->node);
	watch_bury(p, &s->w);
}

/* The socket is somebody's now. */
static int stranger_hand_over(struct peers *p, struct stranger *s)
{
	int fd = s->w.fd;

	watch_set(p, &s->w, 0);
	s->w.fd = -1;
	s->w.mask = 0;
	stranger_end(p, s);
	return fd;
}

static void refuse(struct peers *p, struct stranger *s, const char *why)
{
	char name[NAME_LEN], bytes[33] = "";

	sock_name(&s->sa, name, sizeof(name));
	for (size_t i = 0; i < s->len && i < 16; i++)
		snprintf(bytes + 2 * i, 3, "%02x", s->buf[i]);
	log_ratelimited(LOG_WARN, "%s: %s %s%s%s", port_name(s->quorum), name, why,
			s->len ? "; it began with 0x" : "", bytes);
	stranger_end(p, s);
}

/* Looks at what has come. The struct is good until the end of the round. */
static void look(struct peers *p, struct stranger *s)
{
	struct zab_packet pkt;
	struct zab_hello h;
	size_t need = 0;
	ssize_t n;

	if (s->quorum)
		n = zab_packet_read(s->buf, s->len, STRANGER_BYTES - ZP_HEAD, &pkt, &need);
	else
		n = zab_hello_read(s->buf, s->len, &h, &need);
	if (n < 0 || (s->quorum && n > 0 && pkt.type != ZP_FOLLOWERINFO &&
		      pkt.type != ZP_OBSERVERINFO)) {
		refuse(p, s, "is no server");
	} else if (!n) {
		if (s->len == sizeof(s->buf) || need > sizeof(s->buf))
			refuse(p, s, "says too much");
	} else if (s->quorum) {
		link_accept(p, stranger_hand_over(p, s), &s->sa, s->buf, s->len);
	} else {
		elect_hello(p, stranger_hand_over(p, s), &s->sa, &h, s->buf + n, s->len - n);
	}
}

static void stranger_ready(struct peers *p, struct watch *w, u32 events)
{
	struct stranger *s = container_of(w, struct stranger, w);
	ssize_t n;

	(void)events;
	n = recv(w->fd, s->buf + s->len, sizeof(s->buf) - s->len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		log_debug("%s: a connection ended before it said who it is", port_name(s->quorum));
		stranger_end(p, s);
		return;
	}
	s->len += n;
	look(p, s);
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return !memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
		       &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr));
}

/* The one to go: the oldest of the address with the most. */
static struct stranger *crowd(struct peers *p, bool quorum)
{
	struct stranger *s, *t, *victim = NULL;
	u32 most = 0;

	list_for_each_entry(s, &p->strangers, node) {
		u32 n = 0;

		if (s->quorum != quorum)
			continue;
		list_for_each_entry(t, &p->strangers, node)
			n += t->quorum == quorum && same_host(&s->sa, &t->sa);
		if (n > most) {
			most = n;
			victim = s;
		}
	}
	return victim;
}

static void make_room(struct peers *p, bool quorum)
{
	while (p->n_strangers[quorum] >= STRANGERS_MAX) {
		struct stranger *s = crowd(p, quorum);
		u32 before = p->n_strangers[quorum];

		stranger_ready(p, &s->w, EPOLLIN);
		if (p->n_strangers[quorum] == before)
			refuse(p, s, "has not said who it is, and there are too many such");
	}
}

static void take_in(struct peers *p, struct listener *l, int fd, const struct sockaddr_storage *sa)
{
	struct stranger *s;

	make_room(p, l->quorum);
	s = malloc(sizeof(*s));
	if (!s) {
		close(fd);
		return;
	}
	s->w = (struct watch){ .fd = fd, .ready = stranger_ready };
	s->quorum = l->quorum;
	s->sa = *sa;
	s->len = 0;
	s->until_ms = p->now_ms + p->p.hello_ms;
	peers_due(p, s->until_ms);
	sock_options(fd, p->p.keepalive && !l->quorum);
	list_add_tail(&s->node, &p->strangers);
	p->n_strangers[s->quorum]++;
	if (watch_set(p, &s->w, EPOLLIN))
		stranger_end(p, s);
}

/* ------------------------------------------------------------ accepting */

static void bind_later(struct peers *p, struct listener *l, u64 ms)
{
	watch_close(p, &l->w);
	l->again_ms = p->now_ms + ms;
	peers_due(p, l->again_ms);
}

/* No descriptor left: a stranger's is the next to be used; without one the spare one
 * takes the connection out of the kernel's queue, which would wake us again and again. */
static bool turn_away(struct peers *p, struct listener *l)
{
	struct stranger *s;
	int fd;

	log_ratelimited(LOG_ERROR, "%s: refusing connections: %s", name_of(l),
			strerror(errno));
	if (!list_empty(&p->strangers)) {
		s = list_first_entry(&p->strangers, struct stranger, node);
		refuse(p, s, "has not said who it is, and there is no descriptor left");
		return true;
	}
	if (p->spare_fd < 0)
		return false;
	close(p->spare_fd);
	fd = accept4(l->w.fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	p->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

static void pause_all(struct peers *p)
{
	struct listener *l;

	p->accept_at_ms = p->now_ms + PAUSE_MS;
	peers_due(p, p->accept_at_ms);
	list_for_each_entry(l, &p->listeners, node)
		watch_set(p, &l->w, 0);
}

static void listener_ready(struct peers *p, struct watch *w, u32 events)
{
	struct listener *l = container_of(w, struct listener, w);

	(void)events;
	for (int i = 0; i < ACCEPTS && w->fd >= 0; i++) {
		struct sockaddr_storage sa = { 0 };
		socklen_t len = sizeof(sa);
		int fd = accept4(w->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			take_in(p, l, fd, &sa);
			continue;
		}
		switch (errno) {
		case EAGAIN:
			return;
		case EBADF:
		case EINVAL:
		case ENOTSOCK:
		case EOPNOTSUPP:
			log_error("%s %u: accept: %s; binding it again", name_of(l),
				  l->port, strerror(errno));
			bind_later(p, l, RETRY_MS);
			return;
		case EMFILE:
		case ENFILE:
			/* accept() wants one even when nobody is there */
			if (!turn_away(p, l))
				pause_all(p);
			return;
		case ENOBUFS:
		case ENOMEM:
			pause_all(p);
			return;
		default:
			break;	/* that connection's own trouble */
		}
	}
}

/* ------------------------------------------------------------ binding */

static bool is_open(const struct peers *p, const struct listener *l)
{
	return !l->quorum ||
	       p->open == (l->master ? PEER_PORT_OBSERVERS : PEER_PORT_QUORUM);
}

static int listen_on(struct peers *p, struct listener *l)
{
	if (listen(l->w.fd, BACKLOG))
		return -errno;
	return watch_set(p, &l->w, EPOLLIN);
}

/* Binds; listens unless it is the quorum port of one that does not lead. */
static int bind_to(struct peers *p, struct listener *l, struct sockaddr_storage *sa)
{
	socklen_t len = sizeof(*sa);
	int on = 1, off = 0, err;

	sock_set_port(sa, l->port);
	l->w.fd = socket(sa->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->w.fd < 0)
		return -errno;
	setsockopt(l->w.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (sa->ss_family == AF_INET6)
		setsockopt(l->w.fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	err = bind(l->w.fd, (struct sockaddr *)sa, sock_len(sa)) ? -errno : 0;
	if (!err && is_open(p, l))
		err = listen_on(p, l);
	if (err) {
		watch_close(p, &l->w);
		return err;
	}
	getsockname(l->w.fd, (struct sockaddr *)sa, &len);
	l->port = sock_port(sa);
	if (!l->master && !__atomic_load_n(&p->ports[l->quorum], __ATOMIC_RELAXED))
		__atomic_store_n(&p->ports[l->quorum], l->port, __ATOMIC_RELEASE);
	if (!l->quorum && !p->own.ss_family)
		p->own = *sa;
	l->again_ms = 0;
	return 0;
}

/* One of the addresses. -EADDRNOTAVAIL: there is none. */
static int bind_any(struct peers *p, struct listener *l, struct sockaddr_storage *sas, u32 n)
{
	int err = -EADDRNOTAVAIL;

	for (u32 i = 0; i < n && err; i++)
		err = bind_to(p, l, &sas[i]);
	return err;
}

/* IPv6's any takes IPv4 as well. */
static u32 wildcards(struct sockaddr_storage *sas)
{
	memset(sas, 0, 2 * sizeof(*sas));
	sas[0].ss_family = AF_INET6;
	sas[1].ss_family = AF_INET;
	return 2;
}

static void bound(struct peers *p, struct listener *l, int err)
{
	if (err) {
		log_ratelimited(LOG_ERROR, "cannot listen on %s port %u (%s): %s; trying again",
				l->host ? l->host : "*", l->port, name_of(l),
				strerror(-err));
		bind_later(p, l, RETRY_MS);
	} else {
		log_info("%s: %s port %u", name_of(l), l->host ? l->host : "*", l->port);
	}
}

static void resolved(struct peers *p, void *owner, struct lookup *lk)
{
	struct listener *l = owner;

	l->lookup = NULL;
	bound(p, l, bind_any(p, l, lk->addrs, lk->n));
}

static void bind_now(struct peers *p, struct listener *l)
{
	struct sockaddr_storage sas[2];

	l->again_ms = 0;
	if (!l->host) {
		bound(p, l, bind_any(p, l, sas, wildcards(sas)));
	} else if (names_numeric(l->host, l->port, &sas[0])) {
		bound(p, l, bind_any(p, l, sas, 1));
	} else {
		l->lookup = names_ask(p->names, l->host, l->port, true, l, resolved);
		if (!l->lookup)
			bind_later(p, l, RETRY_MS);
	}
}

/* ------------------------------------------------------------ which there are */

static struct listener *find(struct peers *p, bool quorum, bool master, const char *host,
			     u16 port)
{
	struct listener *l;

	list_for_each_entry(l, &p->listeners, node)
		if (l->quorum == quorum && l->master == master &&
		    (l->port == port || !port) &&
		    !l->host == !host && (!host || !strcmp(l->host, host)))
			return l;
	return NULL;
}

/* A new one is not bound yet. */
static struct listener *want(struct peers *p, bool quorum, bool master, const char *host,
			     u16 port)
{
	struct listener *l;

	if (p->p.listen_all)
		host = NULL;
	l = find(p, quorum, master, host, port);
	if (l) {
		l->stale = false;
		return l;
	}
	l = calloc(1, sizeof(*l));
	if (l && host) {
		l->host = strdup(host);
		if (!l->host) {
			free(l);
			l = NULL;
		}
	}
	if (!l)
		return NULL;
	l->w = (struct watch){ .fd = -1, .ready = listener_ready };
	l->quorum = quorum;
	l->master = master;
	l->port = port;
	l->again_ms = 1;
	list_add_tail(&l->node, &p->listeners);
	return l;
}

static void listener_end(struct peers *p, struct listener *l)
{
	if (l->lookup)
		l->lookup->owner = NULL;
	list_del(&l->node);
	free(l->host);
	watch_bury(p, &l->w);
}

/* Makes the listeners be those of the own addresses. */
static int want_all(struct peers *p)
{
	const struct peer *self = ensemble_find(p->ens, p->p.myid);
	struct listener *l, *next;

	if (!self)
		return 0;	/* removed: others may still have something to say to it */
	list_for_each_entry(l, &p->listeners, node)
		l->stale = true;
	for (u32 i = 0; i < self->n_addrs; i++) {
		const struct peer_addr *a = &self->addrs[i];
		u16 port = a->quorum_port ? a->quorum_port : p->ports[1];

		if (!want(p, false, false, a->host, a->election_port))
			return -ENOMEM;
		if (p->open == PEER_PORT_OBSERVERS &&
		    !want(p, true, true, a->host, p->p.observer_port))
			return -ENOMEM;
		/* any port is chosen at start, for others to know it before it leads */
		if ((p->open == PEER_PORT_QUORUM || !port) && !want(p, true, false, a->host, port))
			return -ENOMEM;
	}
	list_for_each_entry_safe(l, next, &p->listeners, node)
		if (l->stale)
			listener_end(p, l);
	return 0;
}

void listen_ensemble(struct peers *p)
{
	p->want_again = want_all(p);
	peers_due(p, p->now_ms + (p->want_again ? RETRY_MS : 0));
}

void listen_lead(struct peers *p, enum peer_port port)
{
	struct stranger *s, *next_s;
	struct listener *l, *next;

	if (port == p->open)
		return;
	if (p->open != PEER_PORT_NONE) {
		list_for_each_entry_safe(l, next, &p->listeners, node)
			if (l->quorum)
				listener_end(p, l);
		list_for_each_entry_safe(s, next_s, &p->strangers, node)
			if (s->quorum)
				stranger_end(p, s);
	}
	p->open = port;
	if (port == PEER_PORT_NONE)
		return;
	/* one that is bound since the start */
	list_for_each_entry(l, &p->listeners, node)
		if (l->quorum && l->w.fd >= 0 && is_open(p, l))
			bound(p, l, listen_on(p, l));
	listen_ensemble(p);
}

void listen_timers(struct peers *p)
{
	struct stranger *s, *next_s;
	struct listener *l;

	list_for_each_entry_safe(s, next_s, &p->strangers, node) {
		if (p->now_ms < s->until_ms) {
			peers_due(p, s->until_ms);
			break;
		}
		refuse(p, s, "has not said who it is in time");
	}
	if (p->want_again)
		listen_ensemble(p);
	if (p->accept_at_ms && p->now_ms >= p->accept_at_ms) {
		p->accept_at_ms = 0;
		if (p->spare_fd < 0)
			p->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	if (p->accept_at_ms)
		peers_due(p, p->accept_at_ms);
	list_for_each_entry(l, &p->listeners, node) {
		if (l->again_ms && p->now_ms >= l->again_ms)
			bind_now(p, l);
		else if (l->again_ms)
			peers_due(p, l->again_ms);
		else if (!p->accept_at_ms && l->w.fd >= 0 && is_open(p, l))
			watch_set(p, &l->w, EPOLLIN);
	}
}

/* main(): names may take their time here, and a port may still be let go by a server
 * that was before. */
int listen_start(struct peers *p, char *why, size_t why_len)
{
	struct sockaddr_storage sas[ADDRS_MAX];
	struct listener *l;
	int err = want_all(p), good = 0;

	snprintf(why, why_len, "%s", err ? "no memory" : "");
	list_for_each_entry(l, &p->listeners, node) {
		u32 n = l->host ? names_resolve(l->host, l->port, sas) : wildcards(sas);
		int rc = l->w.fd >= 0 ? 0 : bind_any(p, l, sas, n);

		good += !rc && !l->quorum;
		if (rc)
			snprintf(why, why_len, "cannot listen on %s port %u (%s): %s",
				 l->host ? l->host : "*", l->port, name_of(l),
				 n ? strerror(-rc) : "no such address");
	}
	return err ? err : good ? 0 : -EADDRNOTAVAIL;
}

void listen_end(struct peers *p)
{
	while (!list_empty(&p->listeners))
		listener_end(p, list_first_entry(&p->listeners, struct listener, node));
	while (!list_empty(&p->strangers))
		stranger_end(p, list_first_entry(&p->strangers, struct stranger, node));
}

void listen_hello(struct peers *p, char *buf, size_t len)
{
	const struct peer *self = ensemble_find(p->ens, p->p.myid);
	size_t at = 0;

	if (!p->p.multi_address && p->own.ss_family && !p->p.listen_all) {
		sock_name(&p->own, buf, len);
		return;
	}
	buf[0] = 0;
	for (u32 i = 0; self && i < (p->p.multi_address ? self->n_addrs : 1); i++) {
		const struct peer_addr *a = &self->addrs[i];
		bool v6 = strchr(a->host, ':');
		u16 port = a->election_port ? a->election_port : p->ports[0];

		at += snprintf(buf + at, len - at, "%s%s%s%s:%u", i ? "|" : "", v6 ? "[" : "",
			       a->host, v6 ? "]" : "", port);
		if (at >= len)
			break;
	}
}
