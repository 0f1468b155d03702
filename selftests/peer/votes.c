// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The election port between servers that mean well: votes, who keeps which connection,
 * what is said again after it was lost, servers that no configuration knows.
 */
#include "selftests/peer/nodes.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static void two(struct lan *lan)
{
	struct peer_event *ev;
	struct node a, b;
	bool good = true;
	u64 r;

	node_up(&a, lan, 1);
	node_up(&b, lan, 2);
	notify(&a, 2, 1);
	ok(hears(&b, 1, 1), "the smaller id's vote reaches the greater, which dials back");
	notify(&b, 1, 2);
	ok(hears(&a, 2, 2), "the greater id's vote reaches the smaller");
	for (r = 3; r < 203; r++)
		good = good && votes_go(&a, &b, r);
	ok(good, "200 votes each way");

	node_stop(&b);
	node_start(&b);
	notify(&b, 1, 300);
	ok(hears(&a, 2, 300), "the greater one was started anew, and its vote arrives");
	ok(hears(&b, 1, 202), "it is told the last vote that was sent before");
	node_stop(&a);
	node_start(&a);
	notify(&a, 2, 301);
	ok(hears(&b, 1, 301), "the smaller one was started anew, and its vote arrives");
	ok(hears(&a, 2, 300), "it is told the last vote that was sent before");

	node_stop(&b);
	for (r = 400; r < 500 || (r < 50000 && !node_count(&a, PEER_ABSENT, ~0ULL)); r++) {
		notify(&a, 2, r);
		usleep(1000);
	}
	ev = node_take(&a, PEER_ABSENT, ~0ULL);
	ok(ev && ev->from == 2, "that nobody is there is told");
	peer_event_free(a.p, ev);
	node_start(&b);
	notify(&a, 2, r);
	ev = node_take(&b, PEER_VOTE, ~0ULL);
	ok(ev && ev->vote.round == r, "a server that was away hears the newest vote alone");
	peer_event_free(b.p, ev);
	node_stop(&a);
	node_stop(&b);
}

/* What was missed of older ones is no matter; the last ones all arrive. */
static void all_to_all(struct lan *lan)
{
	struct node n[4];
	bool good = true;
	u64 rnd_state = 4711;

	for (u64 i = 1; i <= 3; i++)
		node_up(&n[i], lan, i);
	for (u64 r = 1; r <= 300; r++) {
		u64 from = 1 + rnd(&rnd_state, 3), to = 1 + rnd(&rnd_state, 3);

		if (from != to)
			notify(&n[from], to, r);
		if (r % 100 == 0) {
			node_stop(&n[to]);
			node_start(&n[to]);
		}
	}
	for (u64 i = 1; i <= 3; i++)
		for (u64 k = 1; k <= 3; k++)
			if (i != k)
				notify(&n[i], k, 1000 + i);
	for (u64 i = 1; i <= 3; i++) {
		u32 heard = 0;
		struct peer_event *ev;

		while (heard < 2 && (ev = node_take(&n[i], PEER_VOTE, ~0ULL))) {
			heard += ev->vote.round == 1000 + ev->from;
			peer_event_free(n[i].p, ev);
		}
		good = good && heard >= 2;
	}
	ok(good, "three servers that start anew between votes: the last ones all arrive");
	for (u64 i = 1; i <= 3; i++)
		node_stop(&n[i]);
}

void test_votes(void)
{
	struct lan lan;

	lan_init(&lan, 3);
	two(&lan);
	all_to_all(&lan);
	lan_free(&lan);
}

/* ------------------------------------------------------------ hellos */

static void greater(struct node *a, u16 port)
{
	int fd = raw_connect(port), again;
	u8 buf[1024];
	struct zab_bytes *b = vote_of(2, 77);
	struct zab_vote v;

	raw_hello(fd, 9, "127.0.0.1:1");
	raw_vote(fd, 5);
	ok(node_await(a, PEER_VOTE, ~0ULL), "a server of a greater id that nobody knows is heard");
	need(!peer_notify(a->p, 9, b), "no memory");
	ok(raw_read(fd, buf, 4) && jute_get32(buf) == b->len &&
	   raw_read(fd, buf, b->len) && !zab_vote_read(buf, b->len, &v) && v.round == 77,
	   "and answered, with a length before the vote");
	again = raw_connect(port);
	raw_hello(again, 9, "127.0.0.1:1");
	ok(raw_read(again, buf, 4 + b->len) && !zab_vote_read(buf + 4, b->len, &v) && v.round == 77,
	   "on its new connection what was said last is said again");
	raw_vote(again, 6);
	ok(raw_closed(fd) && node_await(a, PEER_VOTE, ~0ULL),
	   "which ends the old one with its first vote");
	zab_bytes_put(b);
	close(fd);
	close(again);
}

/* A vote of that round is what comes next. */
static bool told(int fd, u64 round)
{
	struct zab_vote v;
	u8 buf[1024];
	u32 len;

	if (!raw_read(fd, buf, 4))
		return false;
	len = jute_get32(buf);
	return len <= sizeof(buf) && raw_read(fd, buf, len) && !zab_vote_read(buf, len, &v) &&
	       v.round == round;
}

/* A vote of server 8's, of that round, is the next one that comes. */
static bool eight(struct node *n, u64 round)
{
	struct peer_event *ev = node_take(n, PEER_VOTE, ~0ULL);
	bool good = ev && ev->from == 8 && ev->vote.round == round;

	peer_event_free(n->p, ev);
	return good;
}

/* Who only says that he is a server that is there: CLAIMS_MAX of them, and more. */
static void claims(struct node *a, u16 port)
{
	int fd = raw_connect(port), fds[70];
	bool good = true;

	raw_hello(fd, 8, "127.0.0.1:1");
	raw_vote(fd, 1);
	need(eight(a, 1), "no vote");
	notify(a, 8, 80);
	good = told(fd, 80);
	for (u32 i = 0; i < 70; i++) {
		fds[i] = raw_connect(port);
		raw_hello(fds[i], 8, "127.0.0.1:1");
		good = good && told(fds[i], 80);
	}
	ok(good, "who says that he is a server is told what it was told");
	for (u32 i = 0; i < 6; i++)
		good = good && raw_closed(fds[i]);
	ok(good, "of 70 the first 6 had to go for others");
	raw_vote(fd, 2);
	ok(eight(a, 2), "the server is heard as before");
	notify(a, 8, 81);
	ok(told(fd, 81) && told(fds[6], 81) && told(fds[7], 81) && told(fds[69], 81),
	   "and what is new is told to all");
	raw_vote(fds[6], 3);
	ok(eight(a, 3) && raw_closed(fd), "who votes is the server, and no longer another one");
	raw_send(fds[69], "\xff\xff\xff\xff", 4);
	ok(raw_closed(fds[69]), "a length that cannot be ends one");
	close(fds[6]);
	notify(a, 8, 82);
	ok(told(fds[7], 82), "the server's connection ends: others are told still");
	raw_vote(fds[7], 4);
	ok(eight(a, 4), "and the next one that votes is the server");
	close(fd);
	for (u32 i = 0; i < 70; i++)
		if (i != 6)
			close(fds[i]);
}

/* Who was there first, and again and again, in the name of a server that says nothing
 * unless it is asked. */
static void squatter(struct lan *lan)
{
	struct node a, b;
	int fd, older;
	u64 r;

	node_up(&a, lan, 1);
	fd = raw_connect(lan->election[1]);
	raw_hello(fd, 2, "127.0.0.1:1");
	notify(&a, 2, 1);
	need(told(fd, 1), "not connected");
	node_up(&b, lan, 2);
	for (r = 2; r < 60000 && !node_count(&b, PEER_VOTE, ~0ULL); r++) {
		notify(&a, 2, r);
		usleep(1000);
		if (r % 16)
			continue;
		older = fd;
		fd = raw_connect(lan->election[1]);
		raw_hello(fd, 2, "127.0.0.1:1");
		close(older);
	}
	ok(node_await(&b, PEER_VOTE, ~0ULL), "another one has its place: it is asked to connect");
	notify(&b, 1, 70000);
	notify(&a, 2, 70000);
	ok(hears(&a, 2, 70000) && hears(&b, 1, 70000), "and they hear each other");
	close(fd);
	node_stop(&a);
	node_stop(&b);
}

static int listen_raw(u16 port)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	need(!bind(fd, (struct sockaddr *)&sa, sizeof(sa)) && !listen(fd, 5), "port %u", port);
	return fd;
}

/* It gives up what a smaller id opened, and dials the address in the hello. */
static void smaller(struct node *a, struct lan *lan)
{
	u16 port = free_port();
	int lfd = listen_raw(port), fd = raw_connect(lan->election[2]), back;
	char addr[32], want[32];
	u8 buf[64];

	snprintf(addr, sizeof(addr), "127.0.0.1:%u", port);
	raw_hello(fd, 0, addr);
	ok(raw_closed(fd), "the connection of a smaller id is closed");
	back = accept(lfd, NULL, NULL);
	snprintf(want, sizeof(want), "127.0.0.1:%u", lan->election[2]);
	ok(back >= 0 && raw_read(back, buf, 20 + strlen(want)) && jute_get64(buf) == (u64)ZE_V1 &&
	   jute_get64(buf + 8) == 2 && jute_get32(buf + 16) == strlen(want) &&
	   !memcmp(buf + 20, want, strlen(want)), "and dialed back, with a hello as 3.8 has it");
	raw_vote(back, 6);
	ok(node_await(a, PEER_VOTE, ~0ULL), "its votes are heard");
	close(fd);
	close(back);
	close(lfd);
}

static void without_id(struct node *a, u16 port)
{
	u8 hello[8], buf[1024];
	int fd = raw_connect(port);
	struct zab_bytes *b = vote_of(2, 78);
	struct peer_event *ev;
	u64 from = 0;

	jute_put64(hello, 0x7fffffffffffffffULL);
	raw_send(fd, hello, 8);
	raw_vote(fd, 7);
	ev = node_take(a, PEER_VOTE, ~0ULL);
	if (ev) {
		from = ev->from;
		peer_event_free(a->p, ev);
	}
	ok(ev && from > 0x7fffffffffffffffULL && from != ~0ULL,
	   "an observer without an id is heard, by a number of ours");
	need(!peer_notify(a->p, from, b), "no memory");
	ok(raw_read(fd, buf, 4 + b->len), "and answered");
	zab_bytes_put(b);
	close(fd);
}

static void bad_lengths(struct node *a, u16 port)
{
	static const s32 lens[] = { 0, -1, 512 * 1024 + 1, 0x7fffffff, (s32)0x80000000 };
	u8 len[4], *big = calloc(1, 512 * 1024);
	int fd;

	for (u32 i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		fd = raw_connect(port);
		raw_hello(fd, 9, "127.0.0.1:1");
		jute_put32(len, lens[i]);
		raw_send(fd, len, 4);
		ok(raw_closed(fd), "a length of %d ends it", lens[i]);
		close(fd);
	}
	fd = raw_connect(port);
	raw_hello(fd, 9, "127.0.0.1:1");
	jute_put32(len, 512 * 1024);
	raw_send(fd, len, 4);
	raw_send(fd, big, 512 * 1024);
	jute_put32(len, 1);
	raw_send(fd, len, 4);
	raw_send(fd, big, 1);
	raw_vote(fd, 8);
	ok(node_await(a, PEER_VOTE, ~0ULL), "what is no vote is passed over");
	close(fd);
	free(big);
}

static void many(struct node *a, u16 port)
{
	int fds[40];
	bool good = true;

	for (u64 i = 0; i < 40; i++) {
		fds[i] = raw_connect(port);
		raw_hello(fds[i], 100 + i, "127.0.0.1:1");
		raw_vote(fds[i], i);
		good = good && node_await(a, PEER_VOTE, ~0ULL);
	}
	ok(good, "40 servers that nobody knows are all heard");
	good = true;
	for (u64 i = 0; i < 8; i++)
		good = good && raw_closed(fds[i]);
	ok(good, "of which the first 8 had to go for others");
	raw_vote(fds[8], 1);
	raw_vote(fds[39], 1);
	ok(node_await(a, PEER_VOTE, ~0ULL) && node_await(a, PEER_VOTE, ~0ULL), "and no more");
	for (u64 i = 0; i < 40; i++)
		close(fds[i]);
}

void test_hellos(void)
{
	struct node a, b;
	struct lan lan;
	int fd;

	lan_init(&lan, 3);
	node_up(&a, &lan, 2);
	node_up(&b, &lan, 3);
	greater(&a, lan.election[2]);
	claims(&a, lan.election[2]);
	smaller(&a, &lan);
	without_id(&a, lan.election[2]);
	fd = raw_connect(lan.election[2]);
	raw_hello(fd, 2, "127.0.0.1:1");
	ok(raw_closed(fd), "who says that he is us is closed");
	close(fd);
	bad_lengths(&a, lan.election[2]);
	many(&a, lan.election[2]);
	ok(votes_go(&a, &b, 4711), "servers of the ensemble still hear each other");
	node_stop(&a);
	node_stop(&b);
	squatter(&lan);
	lan_free(&lan);
}
