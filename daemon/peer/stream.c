// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is too long to be queued: a tree (LearnerHandler, SNAP) and the history from the
 * logs (DIFF). Each is sent by a thread of its own, READ_CHUNK bytes at a time, that has
 * the socket's writing side to itself until it pushes CMD_SENT; the packets behind it
 * wait in the link's queue. A reader that takes nothing for init_ms ends it, and so
 * does a shutdown() of the socket.
 */
#include <poll.h>
#include <stdlib.h>

#include "daemon/peer/internal.h"

#define LATE_MS		20	/* to look again for what is not durable yet */

/* ------------------------------------------------------------ bytes */

static int wait_for(struct stream *s, short what, int ms)
{
	struct pollfd pfd = { .fd = s->fd, .events = what };
	int n;

	do {
		n = poll(&pfd, 1, ms);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n ? 0 : -ETIMEDOUT;
}

static int send_all(struct stream *s, const u8 *p, size_t len)
{
	while (len) {
		ssize_t n = send(s->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			n = wait_for(s, POLLOUT, s->p->p.init_ms);
		else if (n < 0)
			n = errno == EINTR ? 0 : -errno;
		if (n < 0)
			return n;
		p += n;
		len -= n;
		s->total += n;
	}
	return 0;
}

static int flush(struct stream *s)
{
	size_t len = s->len;

	s->len = 0;
	return send_all(s, s->buf, len);
}

/* For disk_tree_write(). */
static int put(void *arg, const void *bytes, size_t len)
{
	struct stream *s = arg;
	int err = 0;

	if (len > sizeof(s->buf) - s->len)
		err = flush(s);
	if (err)
		return err;
	if (len > sizeof(s->buf))
		return send_all(s, bytes, len);
	memcpy(s->buf + s->len, bytes, len);
	s->len += len;
	return 0;
}

/* A packet with @data (NULL: none) and no ids. */
static int put_packet(struct stream *s, s32 type, u64 zxid, const u8 *data, s32 len)
{
	u8 head[TXN_HEAD], tail[TXN_TAIL];
	int err;

	s->packets++;
	jute_put32(head, type);
	jute_put64(head + 4, zxid);
	jute_put32(head + 12, data ? len : -1);
	jute_put32(tail, -1);
	err = put(s, head, sizeof(head));
	if (!err && data)
		err = put(s, data, len);
	return err ? err : put(s, tail, sizeof(tail));
}

/* ------------------------------------------------------------ a tree */

static int send_tree(struct stream *s)
{
	static const char seal[] = "BenWasHere";
	struct item *it = s->item;
	u8 len[4];
	int err;

	err = put_packet(s, ZP_SNAP, it->zxid, NULL, -1);
	if (!err) {
		struct store_snap *snap = it->snap;

		it->snap = NULL;	/* closed by it */
		err = disk_tree_write(s->p->p.disk, it->st, snap, it->sessions,
				      it->n_sessions, put, s);
	}
	jute_put32(len, sizeof(seal) - 1);
	if (!err)
		err = put(s, len, sizeof(len));
	if (!err)
		err = put(s, seal, sizeof(seal) - 1);
	return err ? err : flush(s);
}

/* ------------------------------------------------------------ history */

/* Everything there is now after *@last; 1: up to the end, 0: there is more to come. */
static int send_some(struct stream *s, u64 *last)
{
	struct item *it = s->item;
	struct disk_history *h;
	const u8 *bytes;
	ssize_t n;
	u64 zxid;
	int err;

	err = disk_history_open(s->p->p.disk, *last, &h);
	if (err)
		return err;
	while (!err && *last < it->to) {
		n = disk_history_next(h, &bytes, &zxid);
		if (n <= 0) {
			err = n;
			break;
		}
		if (zxid > it->to) {
			err = -ENOENT;	/* @to is no transaction of this history */
			break;
		}
		err = put_packet(s, it->observer ? ZP_INFORM : ZP_PROPOSAL, zxid, bytes, n);
		if (!err && !it->observer)
			err = put_packet(s, ZP_COMMIT, zxid, NULL, -1);
		*last = zxid;
	}
	disk_history_close(h);
	return err ? err : *last >= it->to;
}

/* What others have made a quorum for may not be durable here yet. */
static int send_history(struct stream *s)
{
	u64 last = s->item->zxid, before, since = peer_now_ms();
	int err;

	for (;;) {
		before = last;
		err = send_some(s, &last);
		if (err)
			break;
		if (last != before)
			since = peer_now_ms();
		else if (peer_now_ms() - since > s->p->p.init_ms)
			return -ETIMEDOUT;
		err = flush(s);
		if (err)
			return err;
		/* wakes for a socket that is shut down */
		err = wait_for(s, 0, LATE_MS);
		if (err != -ETIMEDOUT)
			return err ? err : -EPIPE;
	}
	return err < 0 ? err : flush(s);
}

/* ------------------------------------------------------------ the thread */

static void *stream_main(void *arg)
{
	struct stream *s = arg;
	u64 begun = peer_now_ms();
	bool tree = s->item->kind == ITEM_TREE;

	store_thread_init();
	s->err = tree ? send_tree(s) : send_history(s);
	if (s->err)
		log_warn("%s could not be sent to a learner: %s", tree ? "the tree" : "the history",
			 strerror(-s->err));
	else
		log_info("%s was sent to a learner: %llu bytes in %llu ms",
			 tree ? "the tree" : "the history", s->total, peer_now_ms() - begun);
	item_free(s->item);
	s->item = NULL;
	store_thread_exit();
	queue_push(&s->p->inbox, s);
	return NULL;
}

int stream_start(struct peers *p, struct link *l, struct item *it)
{
	struct stream *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (s) {
		s->cmd.type = CMD_SENT;
		s->p = p;
		s->link = l;
		s->item = it;
		s->fd = l->w.fd;
		l->tx = s;
		err = -pthread_create(&s->thread, NULL, stream_main, s);
	}
	if (err) {
		l->tx = NULL;
		free(s);
		item_free(it);
	}
	return err;
}
