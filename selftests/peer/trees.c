// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Trees and history: what a leader streams from its store and its logs becomes a
 * learner's files, whole or not at all, and nobody else waits for it.
 */
#include "selftests/peer/nodes.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT		(1ULL << 63)
#define INFO_LEN	27		/* FOLLOWERINFO as join() says it */

static const struct disk_session sessions[] = { { 0x100000000000001ULL, 4000 },
						{ 0x200000000000002ULL, 30000 } };

/* A node with a disk of its own. */
struct server {
	struct node n;
	struct try t;
	const char *dir;
};

static void server_up(struct server *s, struct lan *lan, u64 id)
{
	s->dir = temp_dir();
	need(!try_open(&s->t, s->dir), "%s", s->t.why);
	try_start(&s->t);
	node_init(&s->n, lan, id);
	s->n.pp.disk = s->t.d;
	node_start(&s->n);
}

static void server_down(struct server *s)
{
	node_stop(&s->n);
	try_close(&s->t);
}

static void world_grow(struct world *w, u32 n)
{
	while (n--)
		txn_put(world_next(w));
}

/* A node of a million bytes. */
static void world_big(struct world *w, u32 i)
{
	static char data[1000000];
	struct zk_txn zk;
	struct txn *t;
	struct jw out;
	char path[32];
	u64 digest;
	int err;

	snprintf(path, sizeof(path), "/big%u", i);
	memset(data, 'a' + i % 26, sizeof(data));
	jw_init(&out, 0);
	b_header(&out, 0x77, 1, ++w->zxid, 1700000000000, OP_CREATE);
	b_create(&out, path, data, sizeof(data), false, 1 + i);
	t = b_done(&out);
	txn_to_zk(t, &zk);
	need(w->st->ops->apply(w->st, &zk, 1, &digest, &err) == 1, "%s", strerror(-err));
	txn_put(t);
}

static void send_tree(struct server *s, u64 link, struct world *w)
{
	struct store_snap *snap;
	u64 zxid, digest, nodes;

	need(!w->st->ops->snap_open(w->st, &snap, &zxid, &digest, &nodes), "no snapshot");
	need(!peer_send_tree(s->n.p, link, zxid, w->st, snap, sessions, 2), "no memory");
}

/* The learner is told of a tree, and takes it. */
static bool takes_tree(struct node *n, u64 link, u64 zxid)
{
	struct peer_event *ev = node_take(n, PEER_PACKETS, link);
	bool good = ev && ev->packet.type == ZP_SNAP && ev->packet.zxid == zxid;

	peer_event_free(n->p, ev);
	if (good)
		need(!peer_receive(n->p, link, zxid), "no memory");
	return good;
}

static bool received(struct node *n, u64 link, u64 zxid)
{
	struct peer_event *ev = node_take(n, PEER_RECEIVED, link);
	bool good = ev && ev->zxid == zxid && !ev->err;

	peer_event_free(n->p, ev);
	return good;
}

static bool same_tree(struct server *s, struct world *w)
{
	struct disk_recovery r;
	u32 found = 0;
	bool good;

	if (disk_reload(s->t.d, s->t.st, &r, s->t.why, sizeof(s->t.why))) {
		printf("# %s\n", s->t.why);
		return false;
	}
	good = r.zxid == w->zxid && r.n_sessions == 2;
	for (u32 i = 0; good && i < 2; i++)
		for (u32 k = 0; k < 2; k++)
			found += r.sessions[i].id == sessions[k].id &&
				 r.sessions[i].timeout == sessions[k].timeout;
	good = good && found == 2;
	free(r.sessions);
	return good && !compare_stores(s->t.st, w->st);
}

static void whole(struct server *a, u64 in, struct server *b, struct world *w)
{
	bool good = true;

	send_tree(a, in, w);
	for (u32 i = 0; i < 100; i++)
		send_packet(&a->n, in, ZP_REQUEST, i, "behind", 6);
	ok(takes_tree(&b->n, OUT + 1, w->zxid), "the learner hears of a tree");
	ok(received(&b->n, OUT + 1, w->zxid), "and has it on disk");
	ok(same_tree(b, w), "the same as the leader's, with the sessions");
	for (u32 i = 0; i < 100 && good; i++) {
		struct peer_event *ev = node_take(&b->n, PEER_PACKETS, OUT + 1);

		good = ev && ev->packet.zxid == i && ev->packet.len == 6;
		peer_event_free(b->n.p, ev);
	}
	ok(good, "packets sent behind it arrive behind it");
	send_packet(&b->n, OUT + 1, ZP_ACK, 5, NULL, -1);
	ok(node_await(&a->n, PEER_PACKETS, in), "and the learner's own still arrive");
}

/* One learner takes nothing of a long tree: votes and others' packets go on. */
static void beside(struct server *a, u64 in, struct server *b, struct world *w, struct lan *lan)
{
	int fd = raw_connect(lan->quorum[1]);
	struct zab_bytes *info = packet_of(ZP_FOLLOWERINFO, 3, "learner", 7);
	struct peer_event *ev;
	u64 slow = 0;

	raw_send(fd, info->bytes, info->len);
	zab_bytes_put(info);
	ev = node_take(&a->n, PEER_LINK_UP, ~0ULL);
	if (ev)
		slow = ev->link;
	peer_event_free(a->n.p, ev);
	ok(node_await(&a->n, PEER_PACKETS, slow), "another learner");
	for (u32 i = 0; i < 20; i++)
		world_big(w, i);
	send_tree(a, slow, w);
	for (u64 r = 1; r <= 50; r++) {
		send_packet(&a->n, slow, ZP_PING, r, NULL, -1);
		send_packet(&a->n, in, ZP_PING, r, NULL, -1);
		if (!node_await(&b->n, PEER_PACKETS, OUT + 1) || !votes_go(&a->n, &b->n, r))
			break;
		if (r == 50)
			ok(true, "takes nothing of its tree, while packets and votes go on");
	}
	send_tree(a, in, w);
	ok(takes_tree(&b->n, OUT + 1, w->zxid) && received(&b->n, OUT + 1, w->zxid) &&
	   same_tree(b, w), "and a tree of 20 MB to another one");
	close(fd);
	ok(node_await(&a->n, PEER_LINK_DOWN, slow), "the slow one goes");
}

/* ------------------------------------------------------------ interrupted */

static int into(void *arg, const void *p, size_t len)
{
	jw_bytes(arg, p, len);
	return ((struct jw *)arg)->err;
}

/* The bytes of SNAP, the tree and its seal. */
static void stream_of(struct server *a, struct world *w, struct jw *out)
{
	struct zab_bytes *snap_packet = packet_of(ZP_SNAP, w->zxid, NULL, -1);
	struct store_snap *snap;
	u64 zxid, digest, nodes;

	jw_init(out, 0);
	jw_bytes(out, snap_packet->bytes, snap_packet->len);
	zab_bytes_put(snap_packet);
	need(!w->st->ops->snap_open(w->st, &snap, &zxid, &digest, &nodes), "no snapshot");
	need(!disk_tree_write(a->t.d, w->st, snap, sessions, 2, into, out), "no tree");
	jw_str(out, "BenWasHere", 10);
}

/* The learner's connection to a leader that is the test. */
static int fake_leader(struct server *b, int lfd, u64 link)
{
	u8 info[INFO_LEN];
	int fd;

	need(!peer_connect(b->n.p, 1, link, false), "no memory");
	fd = accept(lfd, NULL, NULL);
	need(fd >= 0 && node_await(&b->n, PEER_LINK_UP, link), "no link");
	send_packet(&b->n, link, ZP_FOLLOWERINFO, 2, "learner", 7);
	need(raw_read(fd, info, sizeof(info)), "no FOLLOWERINFO");
	return fd;
}

static bool nothing_left(const char *dir, int snapshots)
{
	return count_files(dir, "snapshot") == snapshots && !count_files(dir, ".snapshot");
}

/* The first @len bytes of the stream; the learner takes it. */
static void offer(struct server *b, int fd, const struct jw *s, u64 zxid, size_t len, u64 link)
{
	raw_send(fd, s->buf, 20);
	need(takes_tree(&b->n, link, zxid), "no SNAP");
	raw_send(fd, s->buf + 20, len - 20);
}

static void cut(struct server *b, int lfd, const struct jw *s, u64 zxid, size_t len, u64 link,
		const char *what)
{
	int snapshots = count_files(b->dir, "snapshot");
	int fd = fake_leader(b, lfd, link);

	offer(b, fd, s, zxid, len, link);
	close(fd);
	ok(node_await(&b->n, PEER_LINK_DOWN, link) && nothing_left(b->dir, snapshots) &&
	   !node_count(&b->n, PEER_RECEIVED, link),
	   "%s (%zu of %zu bytes): the link is down, and nothing is left", what, len, s->len);
}

static void broken(struct server *b, int lfd, const struct jw *s, u64 zxid, u64 link)
{
	int snapshots = count_files(b->dir, "snapshot"), fd;
	u8 *bytes = malloc(s->len);
	/* the count of the sessions; a character of the seal */
	const size_t at[] = { 20, s->len - 1 };

	for (int i = 0; i < 2; i++) {
		memcpy(bytes, s->buf, s->len);
		bytes[at[i]] ^= 0x80;
		fd = fake_leader(b, lfd, link + i);
		raw_send(fd, bytes, 20);
		need(takes_tree(&b->n, link + i, zxid), "no SNAP");
		raw_send(fd, bytes + 20, s->len - 20);
		ok(node_await(&b->n, PEER_LINK_DOWN, link + i) && raw_closed(fd) &&
		   nothing_left(b->dir, snapshots), "a damaged tree: the same");
		close(fd);
	}
	free(bytes);
}

static void called_off(struct server *b, int lfd, const struct jw *s, u64 zxid, u64 link)
{
	int snapshots = count_files(b->dir, "snapshot"), fd, fd2;

	fd = fake_leader(b, lfd, link);
	offer(b, fd, s, zxid, s->len - 10, link);
	is(peer_close(b->n.p, link), 0, "the learner calls it off");
	ok(raw_closed(fd), "and the link is closed");
	fd2 = fake_leader(b, lfd, link + 1);
	offer(b, fd2, s, zxid, s->len, link + 1);
	ok(received(&b->n, link + 1, zxid), "the next one is taken");
	is(count_files(b->dir, ".snapshot"), 0, "nothing of the first is left");
	ok(count_files(b->dir, "snapshot") >= snapshots, "a snapshot is there");
	is(peer_close(b->n.p, link + 1), 0, "closed, its tree having been taken");
	is(node_count(&b->n, PEER_RECEIVED, link), 0, "no word of the first");
	close(fd);
	close(fd2);
}

/* Closed when it is on disk, and the core has not looked yet: it is told. */
static void too_late(struct server *b, int lfd, const struct jw *s, u64 zxid, u64 link)
{
	struct peer_event *ev;
	int fd = fake_leader(b, lfd, link);

	offer(b, fd, s, zxid, s->len, link);
	ev = node_take(&b->n, PEER_RECEIVED, link);
	is(peer_close(b->n.p, link), 1, "closed too late: the tree is on disk");
	peer_event_free(b->n.p, ev);
	close(fd);
}

static void interrupted(struct server *a, struct world *w, struct lan *lan)
{
	struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons(lan->quorum[1]),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct server b;
	struct jw s;

	setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	need(!bind(lfd, (struct sockaddr *)&sa, sizeof(sa)) && !listen(lfd, 5), "no port");
	stream_of(a, w, &s);
	server_up(&b, lan, 3);
	cut(&b, lfd, &s, w->zxid, 20, OUT + 1, "SNAP and no more");
	cut(&b, lfd, &s, w->zxid, 21, OUT + 2, "cut in the first number");
	cut(&b, lfd, &s, w->zxid, s.len / 2, OUT + 3, "cut half-way");
	cut(&b, lfd, &s, w->zxid, s.len - 14, OUT + 4, "without its seal");
	cut(&b, lfd, &s, w->zxid, s.len - 1, OUT + 5, "without the seal's last byte");
	broken(&b, lfd, &s, w->zxid, OUT + 10);
	called_off(&b, lfd, &s, w->zxid, OUT + 20);
	too_late(&b, lfd, &s, w->zxid, OUT + 30);
	ok(same_tree(&b, w), "it is the leader's tree");
	server_down(&b);
	close(lfd);
	jw_free(&s);
}

void test_trees(void)
{
	struct server a, b;
	struct world w;
	struct lan lan;
	u64 in;

	lan_init(&lan, 3);
	server_up(&a, &lan, 1);
	server_up(&b, &lan, 2);
	world_init(&w, 11);
	world_grow(&w, 2000);
	lead(&a.n, &lan, 1);
	in = join(&b.n, &a.n, 1, OUT + 1);
	need(in, "no link");
	whole(&a, in, &b, &w);
	beside(&a, in, &b, &w, &lan);
	need(!peer_lead(a.n.p, PEER_PORT_NONE), "no memory");
	ok(node_await(&b.n, PEER_LINK_DOWN, OUT + 1), "the leader ends");
	interrupted(&a, &w, &lan);
	server_down(&a);
	server_down(&b);
	world_free(&w);
	lan_free(&lan);
}

/* ------------------------------------------------------------ history */

static bool next_is(struct node *n, s32 type, u64 zxid, struct txn *t)
{
	struct peer_event *ev = node_take(n, PEER_PACKETS, OUT + 1);
	bool good = ev && ev->packet.type == type && ev->packet.zxid == zxid;

	if (good && t)
		good = ev->packet.len == (s32)t->len && !memcmp(ev->packet.data, t->bytes, t->len);
	else if (good)
		good = ev->packet.len == -1;
	peer_event_free(n->p, ev);
	return good;
}

void test_history(void)
{
	struct txn *t[600];
	struct server a, b;
	struct world w;
	struct lan lan;
	bool good = true;
	u64 in;

	lan_init(&lan, 3);
	server_up(&a, &lan, 1);
	server_up(&b, &lan, 2);
	world_init(&w, 12);
	for (u32 i = 0; i < 600; i++) {
		t[i] = world_next(&w);
		if (i < 500)
			disk_append(a.t.d, t[i]);
	}
	disk_flush(a.t.d);
	lead(&a.n, &lan, 1);
	in = join(&b.n, &a.n, 1, OUT + 1);
	need(in, "no link");
	send_packet(&a.n, in, ZP_DIFF, t[399]->zxid, NULL, -1);
	need(!peer_send_history(a.n.p, in, t[99]->zxid, t[399]->zxid, false), "no memory");
	send_packet(&a.n, in, ZP_NEWLEADER, 9, NULL, -1);
	good = next_is(&b.n, ZP_DIFF, t[399]->zxid, NULL);
	for (u32 i = 100; i < 400; i++)
		good = good && next_is(&b.n, ZP_PROPOSAL, t[i]->zxid, t[i]) &&
		       next_is(&b.n, ZP_COMMIT, t[i]->zxid, NULL);
	ok(good && next_is(&b.n, ZP_NEWLEADER, 9, NULL),
	   "the history from the logs, between the packets around it");

	need(!peer_send_history(a.n.p, in, t[399]->zxid, t[599]->zxid, true), "no memory");
	good = true;
	for (u32 i = 400; i < 500; i++)
		good = good && next_is(&b.n, ZP_INFORM, t[i]->zxid, t[i]);
	for (u32 i = 500; i < 600; i++)
		disk_append(a.t.d, t[i]);
	for (u32 i = 500; i < 600; i++)
		good = good && next_is(&b.n, ZP_INFORM, t[i]->zxid, t[i]);
	ok(good, "to an observer, some of it being written only now");

	need(!peer_send_history(a.n.p, in, 0x700000003ULL, 0x700000009ULL, false), "no memory");
	ok(node_await(&b.n, PEER_LINK_DOWN, OUT + 1) && node_await(&a.n, PEER_LINK_DOWN, in),
	   "a history that is not in the logs ends the link");
	for (u32 i = 0; i < 600; i++)
		txn_put(t[i]);
	server_down(&a);
	server_down(&b);
	world_free(&w);
	lan_free(&lan);
}
