// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tree that comes in behind the packet SNAP (Learner.syncWithLeader): a thread of its
 * own reads it from the socket into a snapshot file, and pushes CMD_RECEIVED. What came
 * behind the tree it leaves in ->in.
 *
 * The last step changes what the server would start from. The core may take back what
 * it asked for until that begins (peer_close() and struct rx_gate); from then on it
 * waits for the end of it.
 */
#include <poll.h>
#include <stdlib.h>

#include "daemon/peer/internal.h"

static const u8 seal[] = "\0\0\0\x0a" "BenWasHere";

#define SEAL_LEN	(sizeof(seal) - 1)

/* Waits for at least one more byte. */
static int more(struct receiver *r)
{
	struct pollfd pfd = { .fd = r->fd, .events = POLLIN };
	ssize_t n;

	for (;;) {
		n = inbuf_read(&r->in, r->fd, READ_CHUNK);
		if (n)
			return n < 0 ? n : 0;
		n = poll(&pfd, 1, r->p->p.init_ms);
		if (!n)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int take_body(struct receiver *r, struct disk_receive *rx)
{
	bool whole = false;
	size_t used;
	int err = 0;

	while (!whole && !err) {
		if (!inbuf_left(&r->in))
			err = more(r);
		if (err)
			break;
		err = disk_receive_bytes(rx, inbuf_at(&r->in), inbuf_left(&r->in), &used, &whole);
		if (err) {
			r->disk = err != -EBADMSG;
			break;
		}
		inbuf_used(&r->in, used);
	}
	return err;
}

static int take_seal(struct receiver *r)
{
	int err = 0;

	while (!err && inbuf_left(&r->in) < SEAL_LEN)
		err = more(r);
	if (err)
		return err;
	if (memcmp(inbuf_at(&r->in), seal, SEAL_LEN))
		return -EBADMSG;
	inbuf_used(&r->in, SEAL_LEN);
	return 0;
}

/* The file becomes the newest snapshot, if it is still wanted. */
static int end(struct receiver *r, struct disk_receive *rx)
{
	struct rx_gate *g = &r->p->gate;
	bool wanted;
	int err;

	pthread_mutex_lock(&g->lock);
	wanted = g->link == r->id;
	g->ending = wanted;
	pthread_mutex_unlock(&g->lock);
	if (!wanted) {
		disk_receive_abort(rx);
		return -ECANCELED;
	}
	err = disk_receive_end(rx);
	pthread_mutex_lock(&g->lock);
	g->ending = false;
	g->ended = !err;
	pthread_cond_broadcast(&g->over);
	pthread_mutex_unlock(&g->lock);
	r->disk = err && err != -EBADMSG;
	return err;
}

static void *receiver_main(void *arg)
{
	struct receiver *r = arg;
	u64 begun = peer_now_ms();
	struct disk_receive *rx;

	r->err = disk_receive_begin(r->p->p.disk, r->zxid, &rx);
	r->disk = r->err;
	if (!r->err) {
		r->err = take_body(r, rx);
		if (!r->err)
			r->err = take_seal(r);
		if (r->err)
			disk_receive_abort(rx);
		else
			r->err = end(r, rx);
	}
	if (r->err)
		log_warn("the leader's tree as of 0x%llx was not received: %s", r->zxid,
			 r->err == -EBADMSG ? "it is damaged" : strerror(-r->err));
	else
		log_info("the leader's tree as of 0x%llx was received in %llu ms", r->zxid,
			 peer_now_ms() - begun);
	queue_push(&r->p->inbox, r);
	return NULL;
}

int receiver_start(struct peers *p, struct link *l, u64 zxid)
{
	struct receiver *r = calloc(1, sizeof(*r));
	int err = -ENOMEM;

	if (r)
		r->event = event_new(PEER_RECEIVED, l->id, 0);
	if (r && r->event) {
		r->cmd.type = CMD_RECEIVED;
		r->p = p;
		r->link = l;
		r->id = l->id;
		r->zxid = zxid;
		r->event->zxid = zxid;
		r->fd = l->w.fd;
		/* nobody but the thread reads the socket from here on */
		watch_set(p, &l->w, 0);
		r->in = l->in;
		memset(&l->in, 0, sizeof(l->in));
		l->rx = r;
		err = -pthread_create(&r->thread, NULL, receiver_main, r);
	}
	if (err) {
		if (r) {
			l->in = r->in;
			event_drop(r->event);
		}
		l->rx = NULL;
		free(r);
	}
	return err;
}
