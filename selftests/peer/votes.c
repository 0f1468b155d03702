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
	ok(raw_closed(fd), "its new connection ends the old one");
	ok(raw_read(again, buf, 4 + b->len) && !zab_vote_read(buf + 4, b->len, &v) && v.round == 77,
	   "and what was said last is said again");
	zab_bytes_put(b);
	close(fd);
	close(again);
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
	lan_free(&lan);
}
