// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server's TCP sockets are pairs of local ones here, of which the fuzzer has the other
 * end: nothing is late, no port is taken. Linked in the place of libc's functions.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "selftests/fuzz/drive_quorum.h"

#define FDS		4096
#define WAITING		64

int __real_socket(int domain, int type, int proto);
int __wrap_socket(int domain, int type, int proto);
int __wrap_bind(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_listen(int fd, int backlog);
int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
int __wrap_getsockname(int fd, struct sockaddr *sa, socklen_t *len);
int __wrap_getpeername(int fd, struct sockaddr *sa, socklen_t *len);
int __real_poll(struct pollfd *fds, nfds_t n, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms);

/* By the server's descriptor. */
static struct sock {
	int other;		/* the fuzzer's end, + 1; 0: it is no such socket, or gone */
	u16 port;		/* bound to */
	bool listens;
	int waiting[WAITING];	/* to be accepted */
	u32 n_waiting;
} socks[FDS];

static int came[WAITING];
static u32 n_came;
static bool welcome;

static u16 port_of(const struct sockaddr *sa)
{
	return ntohs(((const struct sockaddr_in *)sa)->sin_port);
}

static void forget(struct sock *s)
{
	if (s->other)
		close(s->other - 1);
	for (u32 i = 0; i < s->n_waiting; i++)
		close(s->waiting[i]);
	memset(s, 0, sizeof(*s));
}

int __wrap_socket(int domain, int type, int proto)
{
	int sv[2];

	if (domain != AF_INET && domain != AF_INET6)
		return __real_socket(domain, type, proto);
	if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv))
		return -1;
	if (sv[0] >= FDS || sv[1] >= FDS)
		fuzz_fail("too many sockets");
	forget(&socks[sv[0]]);
	socks[sv[0]].other = sv[1] + 1;
	return sv[0];
}

int __wrap_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	(void)len;
	socks[fd].port = port_of(sa);
	return 0;
}

int __wrap_listen(int fd, int backlog)
{
	(void)backlog;
	socks[fd].listens = true;
	return 0;
}

int __wrap_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	u16 port = port_of(sa);

	(void)len;
	if (!welcome || port / 1000 != QUORUM_PORT / 1000 || n_came == WAITING) {
		errno = ECONNREFUSED;
		return -1;
	}
	came[n_came++] = socks[fd].other - 1;
	socks[fd].other = 0;
	return 0;
}

int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(4711) };
	struct sock *s = &socks[fd];
	char bell;
	int got;

	(void)flags;
	if (recv(fd, &bell, 1, MSG_DONTWAIT) != 1 || !s->n_waiting) {
		errno = EAGAIN;
		return -1;
	}
	got = s->waiting[0];
	memmove(s->waiting, s->waiting + 1, --s->n_waiting * sizeof(got));
	if (sa) {
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		memcpy(sa, &in, *len < sizeof(in) ? *len : sizeof(in));
		*len = sizeof(in);
	}
	return got;
}

int __wrap_getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(socks[fd].port) };

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memcpy(sa, &in, *len < sizeof(in) ? *len : sizeof(in));
	*len = sizeof(in);
	return 0;
}

int __wrap_getpeername(int fd, struct sockaddr *sa, socklen_t *len)
{
	(void)fd;
	(void)sa;
	(void)len;
	errno = ENOTCONN;
	return -1;
}

/* ---------------------------------------------------------------- the fuzzer's side */

void sock_welcome(bool yes)
{
	welcome = yes;
}

static bool is_closed(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	return !n || (n < 0 && errno != EAGAIN);
}

int sock_connect(u16 port)
{
	for (int fd = 0; fd < FDS; fd++) {
		struct sock *s = &socks[fd];
		int sv[2];

		if (!s->other || !s->listens || s->port != port)
			continue;
		if (is_closed(s->other - 1)) {
			forget(s);
			continue;
		}
		if (s->n_waiting == WAITING)
			return -1;
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv))
			fuzz_fail("no sockets");
		s->waiting[s->n_waiting++] = sv[0];
		sock_send(s->other - 1, "!", 1);
		return sv[1];
	}
	return -1;
}

int sock_accepted(void)
{
	int fd;

	if (!n_came)
		return -1;
	fd = came[0];
	memmove(came, came + 1, --n_came * sizeof(fd));
	return fd;
}

void sock_send(int fd, const void *p, size_t len)
{
	ssize_t n = 1;

	for (size_t sent = 0; sent < len && n > 0; sent += n)
		n = send(fd, (const u8 *)p + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
	sock_receiver_looks();
}

bool sock_drain(int fd)
{
	static u8 buf[65536];
	ssize_t n;

	do {
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	} while (n > 0);
	return n < 0 && errno == EAGAIN;
}

void sock_reset(void)
{
	for (int fd = 0; fd < FDS; fd++)
		forget(&socks[fd]);
	while (n_came)
		close(came[--n_came]);
	welcome = false;
}

/* ---------------------------------------------------------------- who receives a tree */

static bool waits;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool sock_receiver_waits(void)
{
	bool w;

	pthread_mutex_lock(&lock);
	w = waits;
	pthread_mutex_unlock(&lock);
	return w;
}

void sock_receiver_looks(void)
{
	pthread_mutex_lock(&lock);
	waits = false;
	pthread_mutex_unlock(&lock);
}

/* Its limit is told by the clock that stands still otherwise. */
int __wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
	u64 begun = srv_now();
	int rc;

	if (fds->events != POLLIN)
		return __real_poll(fds, n, ms);
	for (;;) {
		pthread_mutex_lock(&lock);
		rc = __real_poll(fds, n, 0);
		waits = !rc && srv_now() < begun + ms;
		pthread_mutex_unlock(&lock);
		if (rc || srv_now() >= begun + ms)
			return rc;
		__real_poll(fds, n, 1);
	}
}
