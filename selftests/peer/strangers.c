// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What comes to the two ports and is no server: scanners, other protocols, lengths
 * that cannot be, connections that say nothing or little. Servers hear each other all
 * the while; nothing of that reaches the core, and the ports stay.
 */
#include "selftests/peer/nodes.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT	(1ULL << 63)

struct junk {
	const char *name;
	const char *bytes;
	size_t len;
};

#define JUNK(name, bytes)	{ name, bytes, sizeof(bytes) - 1 }

static const struct junk junk[] = {
	JUNK("a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" "0123456789abcdef0123"),
	JUNK("HTTP", "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: scanner\r\n\r\n"),
	JUNK("SSH", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
	JUNK("0xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
	     "\xff\xff\xff\xff\xff\xff\xff\xff"),
	JUNK("a hello of a version to come", "\xff\xff\xff\xff\xff\xff\x00\x02\0\0\0\0\0\0\0\x09"
	     "\0\0\0\x05" "a:1|b"),
	JUNK("a hello of a negative length", "\xff\xff\xff\xff\xff\xff\x00\x00\0\0\0\0\0\0\0\x09"
	     "\xff\xff\xff\xff"),
	JUNK("a hello of length 0", "\xff\xff\xff\xff\xff\xff\x00\x00\0\0\0\0\0\0\0\x09\0\0\0\0"),
	JUNK("a hello of 2 GB",
	     "\xff\xff\xff\xff\xff\xff\x00\x00\0\0\0\0\0\0\0\x09\x7f\xff\xff\xff"),
	JUNK("a negative id", "\xff\xff\xff\xff\xff\xff\x00\x00\xff\xff\xff\xff\xff\xff\xff\x09"
	     "\0\0\0\x03" "a:1"),
	JUNK("a packet that no learner begins with", "\0\0\0\x05\0\0\0\0\0\0\0\0\xff\xff\xff\xff"
	     "\xff\xff\xff\xff\xff\xff\xff\xff"),
	JUNK("FOLLOWERINFO of a negative length", "\0\0\0\x0b\0\0\0\0\0\0\0\0\xff\xff\xff\x00"
	     "\xff\xff\xff\xff"),
	JUNK("FOLLOWERINFO of 2 GB", "\0\0\0\x0b\0\0\0\0\0\0\0\0\x7f\xff\xff\x00\xff\xff\xff\xff"),
	JUNK("FOLLOWERINFO of a million ids", "\0\0\0\x0b\0\0\0\0\0\0\0\0\0\0\0\0\0\x0f\xff\xff"),
};

struct pair {
	struct node a, b;
	struct lan lan;
	u64 in;
	u64 round;
};

static void pair_up(struct pair *s, u32 hello_ms)
{
	lan_init(&s->lan, 3);
	node_init(&s->a, &s->lan, 2);
	node_init(&s->b, &s->lan, 1);
	s->a.pp.hello_ms = hello_ms;
	node_start(&s->a);
	node_start(&s->b);
	s->round = 0;
	lead(&s->a, &s->lan, 2);
	s->in = join(&s->b, &s->a, 2, OUT + 1);
	need(s->in, "no link");
	/* the greater one dials, and nobody else */
	notify(&s->a, 1, 0);
	need(hears(&s->b, 2, 0), "no vote");
}

static void pair_down(struct pair *s)
{
	node_stop(&s->a);
	node_stop(&s->b);
	lan_free(&s->lan);
}

/* Servers hear each other, on both ports, and nothing else was heard; a vote may come
 * twice, with a new connection. */
static bool goes_on(struct pair *s)
{
	u64 r = ++s->round;

	send_packet(&s->a, s->in, ZP_PING, r, NULL, -1);
	send_packet(&s->b, OUT + 1, ZP_PING, r, NULL, -1);
	return votes_go(&s->a, &s->b, r) && node_await(&s->a, PEER_PACKETS, s->in) &&
	       node_await(&s->b, PEER_PACKETS, OUT + 1) && !node_holds(&s->a, 1, r) &&
	       !node_holds(&s->b, 2, r);
}

static u16 port_of(struct pair *s, int quorum)
{
	return quorum ? s->lan.quorum[2] : s->lan.election[2];
}

static void all_junk(struct pair *s)
{
	bool good = true;

	for (u32 i = 0; i < 2 * sizeof(junk) / sizeof(junk[0]); i++) {
		const struct junk *j = &junk[i / 2];
		int fd = raw_connect(port_of(s, i % 2));

		raw_send(fd, j->bytes, j->len);
		if (!raw_closed(fd) || !goes_on(s)) {
			printf("# %s, %s\n", j->name, i % 2 ? "quorum port" : "election port");
			good = false;
		}
		close(fd);
	}
	ok(good, "%zu kinds of junk on each port are closed; servers go on",
	   sizeof(junk) / sizeof(junk[0]));
}

/* Each byte alone, for ever, or none: the time is for all of them. */
static void drip(struct pair *s)
{
	static const u8 hello[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0,
				    9, 0, 0, 8, 0 };
	static const u8 info[] = { 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0 };
	struct pollfd pfd[4];
	u32 n, left = 4;

	for (int i = 0; i < 4; i++)
		pfd[i] = (struct pollfd){ .fd = raw_connect(port_of(s, i % 2)), .events = POLLIN };
	for (n = 0; n < 1900 && left; n++) {
		u8 e = n < sizeof(hello) ? hello[n] : 'x', q = n < sizeof(info) ? info[n] : 'x';

		usleep(20000);
		raw_send(pfd[0].fd, &e, 1);
		raw_send(pfd[1].fd, &q, 1);
		poll(pfd, 4, 0);
		left = 0;
		for (int i = 0; i < 4; i++)
			left += !pfd[i].revents;
	}
	ok(!left && goes_on(s), "dripping bytes and silence end with the time limit");
	for (int i = 0; i < 4; i++)
		close(pfd[i].fd);
}

static void flood(struct pair *s, int quorum)
{
	static int fds[1000];
	u32 shut = 0, open_ = 0;
	bool good = true;

	for (u32 i = 0; i < 1000; i++) {
		fds[i] = raw_connect(port_of(s, quorum));
		good = good && fds[i] >= 0;
		if (i % 3 == 1)
			raw_send(fds[i], "\xff\xff\xff", 3);
		if (i % 100 == 99)
			good = good && goes_on(s);
	}
	ok(good, "%s: 1000 connections that say nothing or little; servers go on",
	   quorum ? "quorum" : "election");
	for (u32 i = 0; i < 1000 - 64; i++)
		shut += raw_closed(fds[i]);
	is(shut, 1000 - 64, "all but the last 64 were closed");
	for (u32 i = 1000 - 64; i < 1000; i++) {
		struct pollfd pfd = { .fd = fds[i], .events = POLLIN };

		open_ += !poll(&pfd, 1, 0);
	}
	ok(open_ >= 60, "which have their time (%u)", open_);
	for (u32 i = 0; i < 1000; i++)
		close(fds[i]);
}

void test_strangers(void)
{
	struct pair s;

	pair_up(&s, WAIT_MS);
	all_junk(&s);
	flood(&s, 0);
	flood(&s, 1);
	ok(goes_on(&s), "servers go on");
	pair_down(&s);

	pair_up(&s, 5000);
	drip(&s);
	pair_down(&s);
}

/* ------------------------------------------------------------ ports */

/* The greatest descriptor in use. */
static int top_fd(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int top = 0;

	while ((e = readdir(d)))
		if (atoi(e->d_name) > top && atoi(e->d_name) != dirfd(d))
			top = atoi(e->d_name);
	closedir(d);
	return top;
}

/* Every descriptor is in use but for one, which our own connection takes. */
static void no_descriptor(struct pair *s)
{
	struct rlimit old, few;
	int fill[4096], n = 0, fd;
	bool good = true;

	getrlimit(RLIMIT_NOFILE, &old);
	few = old;
	few.rlim_cur = top_fd() + 2;
	need(goes_on(s) && !setrlimit(RLIMIT_NOFILE, &few), "setrlimit");
	while (n < 4096 && (fill[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	for (int i = 0; i < 20; i++) {
		close(fill[--n]);
		fd = raw_connect(port_of(s, i % 2));
		good = good && fd >= 0 && raw_closed(fd) && goes_on(s);
		if (fd >= 0)
			close(fd);
		fill[n++] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	while (n)
		close(fill[--n]);
	setrlimit(RLIMIT_NOFILE, &old);
	ok(good, "without a descriptor left connections are turned away; servers go on");
	node_stop(&s->b);
	node_start(&s->b);
	ok(votes_go(&s->a, &s->b, 5000), "with some again they are taken");
}

/* What listens on @port; in this process. */
static int listening_fd(u16 port)
{
	for (int fd = 0; fd < 4096; fd++) {
		int is = 0;
		socklen_t len = sizeof(is);
		struct sockaddr_in sa;

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is, &len) || !is)
			continue;
		len = sizeof(sa);
		if (!getsockname(fd, (struct sockaddr *)&sa, &len) && ntohs(sa.sin_port) == port)
			return fd;
	}
	return -1;
}

static void broken(struct pair *s, int quorum)
{
	int fd = listening_fd(port_of(s, quorum));

	ok(fd >= 0 && !shutdown(fd, SHUT_RDWR), "%s port: the listening socket breaks",
	   quorum ? "quorum" : "election");
	ok(raw_listens(port_of(s, quorum)), "it is bound again");
}

/* Who comes first must let go: the port is tried for until then. */
static void taken(struct pair *s)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons(port_of(s, 1)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd, on = 1;

	need(!peer_lead(s->a.p, PEER_PORT_NONE), "no memory");
	need(node_await(&s->b, PEER_LINK_DOWN, ~0ULL), "no end");
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	need(!bind(fd, (struct sockaddr *)&sa, sizeof(sa)) && !listen(fd, 1), "no port");
	need(!peer_lead(s->a.p, PEER_PORT_QUORUM), "no memory");
	need(votes_go(&s->a, &s->b, 6000), "no votes");
	close(fd);
	ok(raw_listens(port_of(s, 1)), "a port that another one had is bound when it is free");
	s->in = join(&s->b, &s->a, 2, OUT + 2);
	ok(s->in, "and learners come");
}

static void at_start(void)
{
	struct node n;
	struct lan lan;
	char why[256];
	struct peers *p;
	int fd;
	struct node other;

	lan_init(&lan, 3);
	node_up(&other, &lan, 1);
	node_init(&n, &lan, 1);
	is(peers_start(&n.pp, &p, why, sizeof(why)), -EADDRNOTAVAIL,
	   "no start where another one is");
	ok(strstr(why, "127.0.0.1") && strstr(why, "election port"), "and it says so: %s", why);
	node_stop(&other);
	n.pp.listen_all = true;
	node_start(&n);
	is(peer_election_port(n.p), lan.election[1], "the port that it is bound to");
	fd = raw_connect(lan.election[1]);
	raw_hello(fd, 9, "127.0.0.1:1");
	raw_vote(fd, 1);
	ok(node_await(&n, PEER_VOTE, ~0ULL), "on all addresses");
	close(fd);
	node_stop(&n);
	lan_free(&lan);
}

/* The server's ports change while it runs. */
static void moved(struct pair *s)
{
	struct lan to;

	lan_init(&to, 3);
	need(!peer_ensemble(s->a.p, to.e, true) && !peer_ensemble(s->b.p, to.e, true), "no memory");
	ok(raw_listens(to.election[2]) && raw_listens(to.quorum[2]),
	   "another configuration: the new ports are listened on");
	lan_free(&s->lan);
	s->lan = to;
	node_stop(&s->b);
	s->b.pp.ensemble = to.e;
	node_start(&s->b);
	ok(votes_go(&s->a, &s->b, 7000) && join(&s->b, &s->a, 2, OUT + 3), "and used");
}

void test_ports(void)
{
	struct pair s;

	at_start();
	pair_up(&s, 5000);
	no_descriptor(&s);
	broken(&s, 0);
	broken(&s, 1);
	need(!peer_connect(s.b.p, 2, OUT + 1, false), "no memory");
	need(node_await(&s.b, PEER_LINK_UP, OUT + 1), "no link");
	taken(&s);
	moved(&s);
	pair_down(&s);
}
