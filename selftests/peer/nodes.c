// SPDX-License-Identifier: GPL-2.0-or-later
#include "selftests/peer/nodes.h"
#include "daemon/peer/internal.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stddef.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <sys/un.h>
#include <unistd.h>

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ------------------------------------------------------------ nodes */

/* False: another test has it (free_port() in ../lib/zktest/proc.py). Held to our end. */
static bool reserve(u16 port)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int n = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1, "zkern-port-%u", port);

	if (!bind(fd, (struct sockaddr *)&sun, offsetof(struct sockaddr_un, sun_path) + 1 + n))
		return true;
	close(fd);
	return false;
}

u16 free_port(void)
{
	static bool used[65536];

	for (;;) {
		struct sockaddr_in sa = {
			.sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		};
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		u16 port;
		bool good;

		need(getrandom(&port, sizeof(port), 0) == sizeof(port), "no random numbers");
		port = 20000 + port % 12000;
		sa.sin_port = htons(port);
		good = !used[port] && reserve(port) &&
		       !bind(fd, (struct sockaddr *)&sa, sizeof(sa));
		close(fd);
		used[port] = true;
		if (good)
			return port;
	}
}

void lan_init(struct lan *lan, u32 n)
{
	char text[1024] = "", why[256];
	size_t at = 0;

	lan->n = n;
	for (u32 i = 1; i <= n; i++) {
		lan->quorum[i] = free_port();
		lan->election[i] = free_port();
		at += snprintf(text + at, sizeof(text) - at, "server.%u=127.0.0.1:%u:%u\n", i,
			       lan->quorum[i], lan->election[i]);
	}
	lan->e = ensemble_parse(text, at, why, sizeof(why));
	need(lan->e, "%s", why);
}

void lan_free(struct lan *lan)
{
	ensemble_put(lan->e);
}

static void deliver(void *arg, struct peer_event *ev)
{
	struct node *n = arg;

	pthread_mutex_lock(&n->lock);
	ev->next = NULL;
	if (n->last)
		n->last->next = ev;
	else
		n->first = ev;
	n->last = ev;
	n->bytes += ev->len;
	n->delivered++;
	pthread_mutex_unlock(&n->lock);
}

static void wake(void *arg)
{
	struct node *n = arg;

	pthread_mutex_lock(&n->lock);
	pthread_cond_broadcast(&n->more);
	pthread_mutex_unlock(&n->lock);
}

void node_init(struct node *n, struct lan *lan, u64 id)
{
	memset(n, 0, sizeof(*n));
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->more, NULL);
	n->pp = (struct peers_params){
		.myid = id,
		.ensemble = lan->e,
		.connect_ms = WAIT_MS,
		.hello_ms = WAIT_MS,
		.sync_ms = WAIT_MS,
		.init_ms = WAIT_MS,
		.leader_ms = WAIT_MS,
		.max_packet = 2 * 1024 * 1024,
		.in_max = 64 * 1024 * 1024,
		.out_max = 64 * 1024 * 1024,
		.deliver = deliver,
		.wake = wake,
		.arg = n,
	};
}

void node_start(struct node *n)
{
	char why[256];

	need(!peers_start(&n->pp, &n->p, why, sizeof(why)), "server %llu: %s", n->pp.myid, why);
}

void node_stop(struct node *n)
{
	struct peer_event *ev;

	if (!n->p)
		return;
	peers_stop(n->p);
	while ((ev = n->first)) {
		n->first = ev->next;
		peer_event_free(n->p, ev);
	}
	n->last = NULL;
	n->bytes = 0;
	peers_free(n->p);
	n->p = NULL;
}

void node_up(struct node *n, struct lan *lan, u64 id)
{
	node_init(n, lan, id);
	node_start(n);
}

/* Its next packet as an event of its own, if it is not its last one. */
static struct peer_event *split(struct peer_event *ev)
{
	struct peer_event *one;
	u32 from = ev->at, len;

	if (ev->type != PEER_PACKETS)
		return NULL;
	need(peer_event_packet(ev), "an event without a packet");
	if (ev->at == ev->len)
		return NULL;
	len = ev->at - from;
	one = event_new(PEER_PACKETS, ev->link, len);
	need(one, "no memory");
	memcpy(one->bytes, ev->bytes + from, len);
	while (peer_event_packet(one))
		;
	return one;
}

static struct peer_event *look(struct node *n, enum peer_event_type type, u64 link)
{
	struct peer_event *ev, *one, *before = NULL;

	for (ev = n->first; ev; before = ev, ev = ev->next)
		if ((type == ANY_EVENT || ev->type == type) && (link == ~0ULL || ev->link == link))
			break;
	if (!ev)
		return NULL;
	one = split(ev);
	if (one)
		return one;
	if (before)
		before->next = ev->next;
	else
		n->first = ev->next;
	if (n->last == ev)
		n->last = before;
	n->bytes -= ev->len;
	return ev;
}

/* Under the lock; false: the limit was reached. */
static bool wait_more(struct node *n, u64 until)
{
	struct timespec ts;
	u64 left = until > now_ms() ? until - now_ms() : 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += left / 1000 + 1;
	pthread_cond_timedwait(&n->more, &n->lock, &ts);
	return now_ms() < until;
}

struct peer_event *node_take(struct node *n, enum peer_event_type type, u64 link)
{
	u64 until = now_ms() + WAIT_MS;
	struct peer_event *ev;

	pthread_mutex_lock(&n->lock);
	while (!(ev = look(n, type, link)) && wait_more(n, until))
		;
	pthread_mutex_unlock(&n->lock);
	return ev;
}

bool node_await(struct node *n, enum peer_event_type type, u64 link)
{
	struct peer_event *ev = node_take(n, type, link);

	if (ev)
		peer_event_free(n->p, ev);
	return ev;
}

u32 node_count(struct node *n, enum peer_event_type type, u64 link)
{
	u32 count = 0;

	pthread_mutex_lock(&n->lock);
	for (struct peer_event *ev = n->first; ev; ev = ev->next)
		count += ev->type == type && (link == ~0ULL || ev->link == link);
	pthread_mutex_unlock(&n->lock);
	return count;
}

bool node_holds(struct node *n, u64 from, u64 round)
{
	bool any = false;

	pthread_mutex_lock(&n->lock);
	for (struct peer_event *ev = n->first; ev; ev = ev->next)
		any = any || (ev->type != PEER_VOTE ? ev->type != PEER_ABSENT :
			      ev->from != from || ev->vote.round > round);
	pthread_mutex_unlock(&n->lock);
	return any;
}

bool node_until(struct node *n, bool (*cond)(struct node *n, void *arg), void *arg)
{
	u64 until = now_ms() + WAIT_MS;
	bool is;

	pthread_mutex_lock(&n->lock);
	while (!(is = cond(n, arg)) && wait_more(n, until))
		;
	pthread_mutex_unlock(&n->lock);
	return is;
}

/* ------------------------------------------------------------ votes */

struct zab_bytes *bytes_of(struct jw *w)
{
	struct zab_bytes *b;

	need(!w->err, "no memory");
	b = malloc(sizeof(*b) + w->len);
	need(b, "no memory");
	b->refs = 1;
	b->len = w->len;
	memcpy(b->bytes, w->buf, w->len);
	jw_free(w);
	return b;
}

struct zab_bytes *vote_of(u64 leader, u64 round)
{
	static const char config[] = "server.1=a:1:2\nversion=0";
	struct zab_vote v = {
		.state = PEER_LOOKING,
		.leader = leader,
		.zxid = 0x500000007ULL,
		.round = round,
		.epoch = 5,
		.config = config,
		.config_len = sizeof(config) - 1,
	};
	struct jw w;

	jw_init(&w, 0);
	zab_vote_write(&w, &v);
	return bytes_of(&w);
}

void notify(struct node *n, u64 to, u64 round)
{
	struct zab_bytes *b = vote_of(n->pp.myid, round);

	need(!peer_notify(n->p, to, b), "no memory");
	zab_bytes_put(b);
}

bool hears(struct node *n, u64 from, u64 round)
{
	struct peer_event *ev;
	bool found = false;

	while (!found && (ev = node_take(n, PEER_VOTE, ~0ULL))) {
		found = ev->from == from && ev->vote.round == round;
		if (found)
			found = ev->vote.leader == from && ev->vote.zxid == 0x500000007ULL &&
				ev->vote.state == PEER_LOOKING && ev->vote.epoch == 5 &&
				ev->vote.config_len == 24 &&
				!memcmp(ev->vote.config, "server.1=a:1:2\nversion=0", 24);
		peer_event_free(n->p, ev);
	}
	return found;
}

bool votes_go(struct node *a, struct node *b, u64 round)
{
	notify(a, b->pp.myid, round);
	notify(b, a->pp.myid, round);
	return hears(b, a->pp.myid, round) && hears(a, b->pp.myid, round);
}

/* ------------------------------------------------------------ links */

struct zab_bytes *packet_of(s32 type, u64 zxid, const void *data, s32 len)
{
	struct zab_packet pkt = { .type = type, .zxid = zxid, .data = data, .len = len };
	struct jw w;

	jw_init(&w, 0);
	zab_packet_write(&w, &pkt);
	return bytes_of(&w);
}

void send_packet(struct node *n, u64 link, s32 type, u64 zxid, const void *data, s32 len)
{
	struct zab_bytes *b = packet_of(type, zxid, data, len);

	need(!peer_send(n->p, link, b), "no memory");
	zab_bytes_put(b);
	peer_flush(n->p);
}

void lead(struct node *leader, struct lan *lan, u64 id)
{
	need(!peer_lead(leader->p, PEER_PORT_QUORUM), "no memory");
	need(raw_listens(lan->quorum[id]), "the leader does not listen");
}

u64 join(struct node *learner, struct node *leader, u64 leader_id, u64 link)
{
	struct peer_event *ev;
	u64 in = 0;

	need(!peer_connect(learner->p, leader_id, link, false), "no memory");
	if (!node_await(learner, PEER_LINK_UP, link))
		return 0;
	send_packet(learner, link, ZP_FOLLOWERINFO, learner->pp.myid, "learner", 7);
	ev = node_take(leader, PEER_LINK_UP, ~0ULL);
	if (ev) {
		in = ev->link;
		peer_event_free(leader->p, ev);
		ev = node_take(leader, PEER_PACKETS, in);
	}
	if (!ev)
		return 0;
	if (ev->packet.type != ZP_FOLLOWERINFO || ev->packet.zxid != learner->pp.myid ||
	    ev->packet.len != 7 || memcmp(ev->packet.data, "learner", 7))
		in = 0;
	peer_event_free(leader->p, ev);
	return in;
}

/* ------------------------------------------------------------ bare sockets */

int raw_connect(u16 port)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

bool raw_listens(u16 port)
{
	u64 until = now_ms() + WAIT_MS;
	int fd;

	while ((fd = raw_connect(port)) < 0 && now_ms() < until)
		usleep(2000);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void raw_send(int fd, const void *p, size_t len)
{
	const u8 *b = p;

	while (len) {
		ssize_t n = send(fd, b, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		b += n;
		len -= n;
	}
}

/* > 0, 0 at its end, -1: the limit. */
static ssize_t read_some(int fd, void *p, size_t len, u64 until)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	u64 now = now_ms();
	ssize_t n;

	if (now >= until || poll(&pfd, 1, until - now) <= 0)
		return -1;
	n = recv(fd, p, len, 0);
	return n < 0 ? 0 : n;
}

bool raw_read(int fd, void *p, size_t len)
{
	u64 until = now_ms() + WAIT_MS;
	u8 *b = p;

	while (len) {
		ssize_t n = read_some(fd, b, len, until);

		if (n <= 0)
			return false;
		b += n;
		len -= n;
	}
	return true;
}

bool raw_closed(int fd)
{
	u64 until = now_ms() + WAIT_MS;
	char buf[4096];
	ssize_t n;

	while ((n = read_some(fd, buf, sizeof(buf), until)) > 0)
		;
	return !n;
}

void raw_hello(int fd, u64 sid, const char *addr)
{
	struct jw w;

	jw_init(&w, 0);
	jw_long(&w, ZE_V1);
	jw_long(&w, sid);
	jw_str(&w, addr, strlen(addr));
	raw_send(fd, w.buf, w.len);
	jw_free(&w);
}

void raw_vote(int fd, u64 round)
{
	struct zab_bytes *b = vote_of(1, round);
	u8 len[4];

	jute_put32(len, b->len);
	raw_send(fd, len, 4);
	raw_send(fd, b->bytes, b->len);
	zab_bytes_put(b);
}
