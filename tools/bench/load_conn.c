// SPDX-License-Identifier: GPL-2.0-or-later
/* One connection of the load generator. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "load.h"

#define SESSION_MS	30000
#define ANSWER_MS	30000
#define RX_BYTES	(256 * 1024)

static void frame_begin(struct jw *w, size_t *at)
{
	*at = w->len;
	jw_int(w, 0);
}

static void frame_end(struct jw *w, size_t at)
{
	if (!w->err)
		jute_put32(w->buf + at, w->len - at - 4);
}

static int write_all(struct conn *c)
{
	while (c->tx_at < c->tx.len) {
		ssize_t n = send(c->fd, c->tx.buf + c->tx_at, c->tx.len - c->tx_at,
				 MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		c->tx_at += n;
	}
	c->tx.len = 0;
	c->tx_at = 0;
	return c->tx.err;
}

static int shake_hands(struct conn *c)
{
	u8 answer[64];
	size_t at;
	ssize_t n;
	int err;

	frame_begin(&c->tx, &at);
	jw_int(&c->tx, 0);
	jw_long(&c->tx, 0);
	jw_int(&c->tx, SESSION_MS);
	jw_long(&c->tx, c->session);
	jw_str(&c->tx, c->passwd, sizeof(c->passwd));
	jw_bool(&c->tx, false);
	frame_end(&c->tx, at);
	err = write_all(c);
	if (err)
		return err;
	n = recv(c->fd, answer, 4, MSG_WAITALL);
	if (n != 4)
		return n < 0 ? -errno : -ECONNRESET;
	at = jute_get32(answer);
	if (at < 36 || at > sizeof(answer))
		return -EPROTO;
	if (recv(c->fd, answer, at, MSG_WAITALL) != (ssize_t)at)
		return -ECONNRESET;
	c->session = jute_get64(answer + 8);
	memcpy(c->passwd, answer + 20, sizeof(c->passwd));
	return c->session ? 0 : -ECONNREFUSED;
}

int load_server(struct load *l, const char *s)
{
	struct sockaddr_in *a = &l->addrs[l->n_addrs];
	const char *colon = strrchr(s, ':');
	char host[64];

	if (l->n_addrs == MAX_SERVERS)
		return -E2BIG;
	if (!colon || colon - s >= (long)sizeof(host))
		return -EINVAL;
	memcpy(host, s, colon - s);
	host[colon - s] = '\0';
	a->sin_family = AF_INET;
	a->sin_port = htons(atoi(colon + 1));
	if (inet_pton(AF_INET, host, &a->sin_addr) != 1)
		return -EINVAL;
	l->n_addrs++;
	return 0;
}

int conn_again(struct conn *c, unsigned int wait_ms)
{
	struct timeval tv = { .tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000 };
	const struct sockaddr_in *to = &c->load->addrs[c->id % c->load->n_addrs];
	int one = 1;

	if (c->fd >= 0)
		close(c->fd);
	c->out = 0;
	c->rx_len = 0;
	c->tx_at = 0;
	c->tx.len = 0;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (connect(c->fd, (const struct sockaddr *)to, sizeof(*to)))
		return -errno;
	return shake_hands(c);
}

int conn_open(struct conn *c, struct load *load, unsigned int id)
{
	memset(c, 0, sizeof(*c));
	c->load = load;
	c->id = id;
	c->fd = -1;
	c->rx = malloc(RX_BYTES);
	c->rx_cap = RX_BYTES;
	jw_init(&c->tx, 0);
	return c->rx ? conn_again(c, ANSWER_MS) : -ENOMEM;
}

int conn_nonblock(struct conn *c)
{
	return fcntl(c->fd, F_SETFL, O_NONBLOCK) ? -errno : 0;
}

void conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->rx);
	jw_free(&c->tx);
}

static u64 next_random(struct load *l)
{
	l->seed ^= l->seed << 13;
	l->seed ^= l->seed >> 7;
	l->seed ^= l->seed << 17;
	return l->seed;
}

static void put_create(struct jw *w, const char *path, const u8 *data, u32 size)
{
	jw_str(w, path, strlen(path));
	jw_str(w, data, size);
	jw_int(w, 1);
	jw_int(w, PERM_ALL);
	jw_str(w, "world", 5);
	jw_str(w, "anyone", 6);
	jw_int(w, CREATE_PERSISTENT);
}

/* The same names as tools/bench/reads.c uses. */
static void node_path(const struct load *l, unsigned int i, char *path, size_t len)
{
	if (l->parents == 1)
		snprintf(path, len, "/bench/n%08u", i);
	else
		snprintf(path, len, "/bench/p%03u/n%08u", i % l->parents, i);
}

static void put_request(struct conn *c)
{
	struct load *l = c->load;
	struct jw *w = &c->tx;
	char path[64];
	size_t at;

	node_path(l, next_random(l) % l->nodes, path, sizeof(path));
	frame_begin(w, &at);
	jw_int(w, ++c->xid);
	switch (l->op) {
	case LOAD_GET:
		jw_int(w, OP_GETDATA);
		jw_str(w, path, strlen(path));
		jw_bool(w, false);
		break;
	case LOAD_SET:
		jw_int(w, OP_SETDATA);
		jw_str(w, path, strlen(path));
		jw_str(w, l->data, l->size);
		jw_int(w, -1);
		break;
	case LOAD_CREATE:
		snprintf(path, sizeof(path), "/bench/c%08x-%u-%llu", l->run, c->id,
			 (unsigned long long)c->created++);
		jw_int(w, OP_CREATE);
		put_create(w, path, l->data, l->size);
		break;
	case LOAD_PING:
		jw_int(w, OP_EXISTS);
		jw_str(w, "/", 1);
		jw_bool(w, false);
		break;
	}
	frame_end(w, at);
	c->sent[c->xid % MAX_DEPTH] = now_ns();
	c->out++;
}

int conn_push(struct conn *c)
{
	while (c->load->sending && c->out < c->load->depth)
		put_request(c);
	return write_all(c);
}

static int take_reply(struct conn *c, const u8 *p, u32 len)
{
	struct load *l = c->load;
	s32 xid, err;

	if (len < 16)
		return -EPROTO;
	xid = jute_get32(p);
	err = jute_get32(p + 12);
	if (xid < 0)
		return 0;
	/* ZooKeeper answers a session's requests in their order. */
	if (!c->out || (u32)xid != c->xid - c->out + 1) {
		fprintf(stderr, "load: reply %d out of order\n", xid);
		return -EPROTO;
	}
	if (err) {
		fprintf(stderr, "load: the server answered %d\n", err);
		return -EREMOTEIO;
	}
	if (l->op == LOAD_GET && len != 16 + 4 + l->size + ZK_STAT_LEN) {
		fprintf(stderr, "load: a reply of %u bytes\n", len);
		return -EPROTO;
	}
	c->out--;
	if (l->measuring) {
		l->done++;
		hist_add(l->hist, now_ns() - c->sent[xid % MAX_DEPTH]);
	}
	return 0;
}

/* All whole frames in the buffer. */
static int take_frames(struct conn *c)
{
	size_t at = 0;
	int err;

	while (c->rx_len - at >= 4) {
		u32 len = jute_get32(c->rx + at);

		if (len > c->rx_cap - 4)
			return -EPROTO;
		if (c->rx_len - at - 4 < len)
			break;
		err = take_reply(c, c->rx + at + 4, len);
		if (err)
			return err;
		at += 4 + len;
	}
	c->rx_len -= at;
	memmove(c->rx, c->rx + at, c->rx_len);
	return 0;
}

int conn_pull(struct conn *c)
{
	size_t room;
	ssize_t n;
	int err;

	/* Edge-triggered: until there is no more. */
	do {
		room = c->rx_cap - c->rx_len;
		n = recv(c->fd, c->rx + c->rx_len, room, 0);
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (!n)
			return -ECONNRESET;
		c->rx_len += n;
		err = take_frames(c);
	} while (!err && (size_t)n == room);
	return err;
}

/* First /bench, then the parents, then the nodes. */
static void put_node(struct conn *c, unsigned int i)
{
	unsigned int parents = c->load->parents == 1 ? 0 : c->load->parents;
	bool leaf = i > parents;
	char path[64] = "/bench";
	size_t at;

	if (leaf)
		node_path(c->load, i - 1 - parents, path, sizeof(path));
	else if (i)
		snprintf(path, sizeof(path), "/bench/p%03u", i - 1);
	frame_begin(&c->tx, &at);
	jw_int(&c->tx, 1000000 + i);
	jw_int(&c->tx, OP_CREATE);
	put_create(&c->tx, path, c->load->data, leaf ? c->load->size : 0);
	frame_end(&c->tx, at);
}

static int take_created(const u8 *p, u32 len)
{
	s32 err = len >= 16 ? (s32)jute_get32(p + 12) : ZMARSHALLINGERROR;

	if (err && err != ZNODEEXISTS) {
		fprintf(stderr, "load: creating the nodes: error %d\n", err);
		return -EREMOTEIO;
	}
	return 0;
}

/* Blocking: the next frame is at ->rx; its length, or -errno. */
static ssize_t read_frame(struct conn *c)
{
	ssize_t n;
	u8 head[4];
	u32 len;

	n = recv(c->fd, head, 4, MSG_WAITALL);
	if (n != 4)
		return n < 0 ? -errno : -ECONNRESET;
	len = jute_get32(head);
	if (len > c->rx_cap)
		return -EPROTO;
	n = recv(c->fd, c->rx, len, MSG_WAITALL);
	if (n != (ssize_t)len)
		return n < 0 ? -errno : -ECONNRESET;
	return n;
}

int conn_call(struct conn *c)
{
	ssize_t n;
	int err;

	put_request(c);
	err = write_all(c);
	if (err)
		return err;
	n = read_frame(c);
	return n < 0 ? n : take_reply(c, c->rx, n);
}

int conn_prepare(struct conn *c, unsigned int depth)
{
	unsigned int sent = 0, got = 0, all = c->load->nodes + 1;
	ssize_t n;
	int err;

	if (c->load->parents > 1)
		all += c->load->parents;
	while (got < all) {
		/* /bench first, alone. */
		while (sent < all && sent - got < (got ? depth : 1))
			put_node(c, sent++);
		err = write_all(c);
		if (err)
			return err;
		n = read_frame(c);
		err = n < 0 ? n : take_created(c->rx, n);
		if (err)
			return err;
		got++;
	}
	return 0;
}
