// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Links: packets of all sizes both ways, who listens when, what ends a link, and how
 * much may wait.
 */
#include "selftests/peer/nodes.h"

#include <sys/socket.h>
#include <unistd.h>

#define OUT	(1ULL << 63)

static void fill(u8 *p, u32 len, u32 seed)
{
	for (u32 i = 0; i < len; i++)
		p[i] = seed * 31 + i * 7 + (i >> 8);
}

/* The sizes that are at the edges of something, then others. */
static s32 size_of(u32 i, u32 max)
{
	static const s32 edges[] = { -1, 0, 1, 3, 4, 5, 19, 20, 21, 4095, 4096, 65515, 65516,
				     65517, 65536, 131072, 1024 * 1024, 1024 * 1024 + 1 };
	u64 state = i;

	if (i < sizeof(edges) / sizeof(edges[0]))
		return edges[i];
	if (i == 20)
		return max;
	return rnd(&state, i % 10 ? 2000 : 200000);
}

static bool arrives(struct node *n, u64 link, u32 i, u32 max, const u8 *data)
{
	struct peer_event *ev = node_take(n, PEER_PACKETS, link);
	s32 len = size_of(i, max);
	bool good;

	if (!ev)
		return false;
	good = ev->packet.type == ZP_REQUEST && ev->packet.zxid == i && ev->packet.len == len &&
	       (len <= 0 || !memcmp(ev->packet.data, data + i, len));
	peer_event_free(n->p, ev);
	return good;
}

static void packets(struct node *a, u64 in, struct node *b, u64 out)
{
	u32 max = 2 * 1024 * 1024, n = 300;
	u8 *data = malloc(max + n);
	bool good = true;

	fill(data, max + n, 1);
	for (u32 i = 0; i < n; i++) {
		send_packet(a, in, ZP_REQUEST, i, size_of(i, max) < 0 ? NULL : data + i,
			    size_of(i, max));
		send_packet(b, out, ZP_REQUEST, i, size_of(i, max) < 0 ? NULL : data + i,
			    size_of(i, max));
	}
	for (u32 i = 0; i < n; i++)
		good = good && arrives(b, out, i, max, data) && arrives(a, in, i, max, data);
	ok(good, "packets of all sizes both ways, in order");
	free(data);
}

static void txns(struct node *a, u64 in, struct node *b, u64 out)
{
	struct txn *t[200];
	struct world w;
	bool good = true;

	world_init(&w, 5);
	for (u32 i = 0; i < 200; i++) {
		t[i] = world_next(&w);
		need(!peer_send_txn(a->p, in, i % 2 ? ZP_INFORM : ZP_PROPOSAL, t[i]), "no memory");
		send_packet(a, in, ZP_COMMIT, t[i]->zxid, NULL, -1);
	}
	for (u32 i = 0; i < 200; i++) {
		struct peer_event *ev = node_take(b, PEER_PACKETS, out);
		struct peer_event *c = node_take(b, PEER_PACKETS, out);

		good = good && ev && c && ev->packet.type == (i % 2 ? ZP_INFORM : ZP_PROPOSAL) &&
		       ev->packet.zxid == t[i]->zxid && ev->packet.len == (s32)t[i]->len &&
		       !memcmp(ev->packet.data, t[i]->bytes, t[i]->len) && !ev->packet.auth &&
		       c->packet.type == ZP_COMMIT && c->packet.zxid == t[i]->zxid &&
		       c->packet.len == -1;
		peer_event_free(b->p, ev);
		peer_event_free(b->p, c);
		txn_put(t[i]);
	}
	ok(good, "transactions arrive as they stand in the log");
	world_free(&w);
}

/*
 * Sent by @b in one piece. Acknowledgements may be left out only where a later one of the
 * same epoch's transactions comes right behind.
 */
static void acks(struct node *a, u64 in, struct node *b, u64 out)
{
	static const struct ack {
		s32 type;
		u64 zxid;
		bool must;
	} acks[] = {
		{ ZP_ACK, 2ULL << 32, true }, { ZP_ACK, 2ULL << 32 | 1, false },
		{ ZP_ACK, 2ULL << 32 | 2, false }, { ZP_ACK, 2ULL << 32 | 3, true },
		{ ZP_PING, 0, true }, { ZP_ACK, 2ULL << 32 | 4, false },
		{ ZP_ACK, 2ULL << 32 | 6, true }, { ZP_ACK, 2ULL << 32 | 5, true },
		{ ZP_ACK, 3ULL << 32, true }, { ZP_ACK, 3ULL << 32 | 1, true },
		{ ZP_ACK, 4ULL << 32 | 2, true }, { ZP_PING, 1, true },
	};
	const u32 n = sizeof(acks) / sizeof(acks[0]);
	struct zab_bytes *all;
	struct peer_event *ev;
	bool good = true;
	struct jw w;
	u32 i;

	jw_init(&w, 0);
	for (i = 0; i < n; i++) {
		struct zab_packet p = { .type = acks[i].type, .zxid = acks[i].zxid, .len = -1 };

		zab_packet_write(&w, &p);
	}
	all = bytes_of(&w);
	need(!peer_send(b->p, out, all), "no memory");
	zab_bytes_put(all);
	peer_flush(b->p);
	for (i = 0; i < n && good; i++) {
		ev = node_take(a, PEER_PACKETS, in);
		while (ev && !acks[i].must && ev->packet.zxid != acks[i].zxid)
			i++;
		good = ev && ev->packet.type == acks[i].type && ev->packet.zxid == acks[i].zxid;
		peer_event_free(a->p, ev);
	}
	ok(good, "of acknowledgements the last of each row arrives");
}

/* What a leader sends in rounds to two learners: the same, another one, one of them
 * nothing, something twice, something long. */
#define STEPS	1500
#define ROUND	40

static u32 times(u32 i, u32 who)
{
	return i % 5 == 4 ? !who : i % 7 == 3 ? 2 : 1;
}

static s32 step_len(u32 i, u32 who)
{
	u64 state = 2 * i + (i % 3 ? 0 : who);

	return rnd(&state, i % 17 ? 300 : 70000);
}

static void say_step(struct node *n, u64 link, u32 i, u32 who, const u8 *data)
{
	struct zab_bytes *b;

	for (u32 k = 0; k < times(i, who); k++) {
		b = packet_of(ZP_REQUEST, i, data + (i % 3 ? 0 : who), step_len(i, who));
		need(!peer_send(n->p, link, b), "no memory");
		zab_bytes_put(b);
	}
}

static bool hears_all(struct node *n, u64 link, u32 who, const u8 *data)
{
	struct peer_event *ev;
	bool good = true;

	for (u32 i = 0; i < STEPS; i++) {
		for (u32 k = 0; k < times(i, who) && good; k++) {
			ev = node_take(n, PEER_PACKETS, link);
			good = ev && ev->packet.zxid == i && ev->packet.len == step_len(i, who) &&
			       !memcmp(ev->packet.data, data + (i % 3 ? 0 : who), ev->packet.len);
			peer_event_free(n->p, ev);
		}
	}
	return good;
}

static void rounds(struct node *a, u64 in, struct node *b, struct lan *lan)
{
	u8 *data = malloc(70001);
	struct node c;
	u64 in2;

	fill(data, 70001, 3);
	node_up(&c, lan, 3);
	in2 = join(&c, a, 1, OUT + 1);
	for (u32 i = 0; i < STEPS; i++) {
		say_step(a, in, i, 0, data);
		say_step(a, in2, i, 1, data);
		if (i % ROUND == ROUND - 1)
			peer_flush(a->p);
	}
	peer_flush(a->p);
	ok(hears_all(b, OUT + 1, 0, data) && hears_all(&c, OUT + 1, 1, data),
	   "two learners get what was sent to each, in order");
	node_stop(&c);
	ok(node_await(a, PEER_LINK_DOWN, in2), "one of them is gone");
	free(data);
}

static void ends(struct node *a, struct node *b, struct lan *lan)
{
	u64 in = join(b, a, 1, OUT + 2), in2;

	ok(in, "another link");
	need(!peer_close(b->p, OUT + 2), "closed");
	ok(node_await(a, PEER_LINK_DOWN, in), "closed by the learner, it is down for the leader");
	in = join(b, a, 1, OUT + 3);
	in2 = join(b, a, 1, OUT + 4);
	ok(in && in2 && in != in2, "two links, of different numbers");
	need(!peer_close(a->p, in), "closed");
	ok(node_await(b, PEER_LINK_DOWN, OUT + 3), "closed by the leader, down for the learner");
	send_packet(b, OUT + 4, ZP_PING, 9, NULL, -1);
	ok(node_await(a, PEER_PACKETS, in2), "the other one stays");
	is(node_count(a, PEER_LINK_DOWN, in), 0, "who closes is not told");
	need(!peer_lead(a->p, PEER_PORT_NONE), "no memory");
	ok(node_await(b, PEER_LINK_DOWN, OUT + 4), "who leads no more has no learners");
	ok(node_await(a, PEER_LINK_DOWN, in2), "and is told so");
	need(!peer_connect(b->p, 1, OUT + 5, false), "no memory");
	ok(node_await(b, PEER_LINK_DOWN, OUT + 5), "nor does he listen: it is tried in vain");
	is(node_count(b, PEER_LINK_UP, ~0ULL), 0, "and was never up");
	lead(a, lan, 1);
	ok(join(b, a, 1, OUT + 6), "he leads again");
	node_stop(a);
	ok(node_await(b, PEER_LINK_DOWN, OUT + 6), "and is gone");
}

static void bad_packets(struct lan *lan)
{
	static const u8 first[][32] = {
		{ 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
	};
	static const u8 bad[][16] = {
		{ 0, 0, 0, 0 },
		{ 0, 0, 0, 20 },
		{ 0xff, 0xff, 0xff, 0xff },
		{ 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe },
		{ 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff },
	};
	struct node a;

	node_up(&a, lan, 1);
	lead(&a, lan, 1);
	for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int fd = raw_connect(lan->quorum[1]);

		raw_send(fd, first[0], 20);
		ok(node_await(&a, PEER_LINK_UP, ~0ULL) && node_await(&a, PEER_PACKETS, ~0ULL),
		   "a learner");
		raw_send(fd, bad[i], 16);
		ok(raw_closed(fd) && node_await(&a, PEER_LINK_DOWN, ~0ULL),
		   "who sends what is no packet is lost");
		close(fd);
	}
	node_stop(&a);
}

static void silence(struct lan *lan)
{
	struct node a, b;
	u64 in;

	node_init(&a, lan, 1);
	a.pp.sync_ms = 300;
	node_start(&a);
	node_up(&b, lan, 2);
	lead(&a, lan, 1);
	in = join(&b, &a, 1, OUT + 1);
	need(!peer_settled(a.p, in), "no memory");
	ok(node_await(&a, PEER_LINK_DOWN, in), "a settled link on which nothing is heard is lost");
	ok(node_await(&b, PEER_LINK_DOWN, OUT + 1), "for the other side too");
	node_stop(&a);
	node_stop(&b);
}

void test_links(void)
{
	struct node a, b;
	struct lan lan;
	u64 in;

	lan_init(&lan, 3);
	node_up(&a, &lan, 1);
	node_up(&b, &lan, 2);
	ok(raw_connect(lan.quorum[1]) == -ECONNREFUSED, "who does not lead does not listen");
	lead(&a, &lan, 1);
	in = join(&b, &a, 1, OUT + 1);
	ok(in && !(in & OUT), "a learner connects and says what it is");
	packets(&a, in, &b, OUT + 1);
	txns(&a, in, &b, OUT + 1);
	acks(&a, in, &b, OUT + 1);
	rounds(&a, in, &b, &lan);
	ends(&a, &b, &lan);
	node_stop(&b);
	bad_packets(&lan);
	silence(&lan);
	lan_free(&lan);
}

/* ------------------------------------------------------------ bounds */

#define CHUNK	(64 * 1024)

static bool has_bytes(struct node *n, void *arg)
{
	return n->bytes >= *(u64 *)arg;
}

/* The core takes nothing: the sender is cut off, the receiver holds its share. */
static void slow_reader(struct lan *lan)
{
	static u8 data[CHUNK];
	struct peer_event *ev;
	struct node a, b;
	u64 in, held = 0;
	bool down;

	node_init(&a, lan, 1);
	a.pp.in_max = 1024 * 1024;
	node_start(&a);
	node_init(&b, lan, 2);
	b.pp.out_max = 4 * 1024 * 1024;
	node_start(&b);
	lead(&a, lan, 1);
	in = join(&b, &a, 1, OUT + 1);
	for (u32 i = 0; i < 1024; i++)
		send_packet(&b, OUT + 1, ZP_REQUEST, i, data, sizeof(data));
	ok(node_await(&b, PEER_LINK_DOWN, OUT + 1), "who does not read is cut off");
	pthread_mutex_lock(&a.lock);
	held = a.bytes;
	pthread_mutex_unlock(&a.lock);
	ok(held <= 1024 * 1024, "and holds %llu bytes of 64 MiB", held);
	do {
		ev = node_take(&a, ANY_EVENT, in);
		down = ev && ev->type == PEER_LINK_DOWN;
		peer_event_free(a.p, ev);
	} while (ev && !down);
	ok(down, "once it reads it hears of that");
	node_stop(&a);
	node_stop(&b);
}

static void reads_on(struct lan *lan)
{
	static u8 data[CHUNK];
	u64 most = 1024 * 1024 - 2 * CHUNK, in;
	struct peer_event *ev;
	struct node a, b;
	bool good = true;

	node_init(&a, lan, 1);
	a.pp.in_max = 1024 * 1024;
	node_start(&a);
	node_up(&b, lan, 2);
	lead(&a, lan, 1);
	in = join(&b, &a, 1, OUT + 1);
	for (u32 i = 0; i < 512; i++)
		send_packet(&b, OUT + 1, ZP_REQUEST, i, data, sizeof(data));
	ok(node_until(&a, has_bytes, &most), "it takes its share");
	for (u32 i = 0; i < 512 && good; i++) {
		ev = node_take(&a, PEER_PACKETS, in);
		good = ev && ev->packet.zxid == i;
		pthread_mutex_lock(&a.lock);
		good = good && a.bytes + CHUNK <= 1024 * 1024;
		pthread_mutex_unlock(&a.lock);
		peer_event_free(a.p, ev);
	}
	ok(good, "and all the rest as it gives back, never more");
	node_stop(&a);
	node_stop(&b);
}

/* One server's votes are bounded as well, and come again. */
static void many_votes(struct lan *lan)
{
	u64 some = 128 * 1024;
	struct peer_event *ev;
	struct node a;
	int fd;
	bool good = true;
	u32 n = 0;
	u8 *all;
	struct zab_bytes *b = vote_of(1, 1);
	u32 each = 4 + b->len;

	node_up(&a, lan, 1);
	fd = raw_connect(lan->election[1]);
	raw_hello(fd, 9, "127.0.0.1:1");
	all = malloc(each);
	jute_put32(all, b->len);
	memcpy(all + 4, b->bytes, b->len);
	/* as many as the buffers take, and no fewer than the share */
	for (n = 0; n < 200000; n++)
		if (send(fd, all, each, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)each)
			break;
	ok(node_until(&a, has_bytes, &some) || n < 3000, "votes come");
	for (u32 i = 0; i + 1 < n && good; i++) {
		ev = node_take(&a, PEER_VOTE, ~0ULL);
		good = ev;
		pthread_mutex_lock(&a.lock);
		good = good && a.bytes <= 1024 * 1024;
		pthread_mutex_unlock(&a.lock);
		peer_event_free(a.p, ev);
	}
	ok(good, "%u votes at once: never more than its share", n);
	close(fd);
	free(all);
	zab_bytes_put(b);
	node_stop(&a);
}

void test_bounds(void)
{
	struct lan lan;

	lan_init(&lan, 3);
	slow_reader(&lan);
	reads_on(&lan);
	many_votes(&lan);
	lan_free(&lan);
}
