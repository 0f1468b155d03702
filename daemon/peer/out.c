// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is queued to go out on a link: packets, and streams that a thread of their own
 * sends when their turn comes. The thread "peers"; item_free() any thread that may use
 * the store.
 */
#include <stdlib.h>
#include <sys/uio.h>

#include "daemon/peer/internal.h"

#define IOV_MAX_OUT	96

struct item *item_new(enum item_kind kind, u64 link)
{
	struct item *it = calloc(1, sizeof(*it));

	if (!it)
		return NULL;
	it->cmd.type = CMD_SEND;
	it->cmd.link = link;
	it->kind = kind;
	return it;
}

void item_free(struct item *it)
{
	if (!it)
		return;
	if (it->bytes)
		zab_bytes_put(it->bytes);
	if (it->txn)
		txn_put(it->txn);
	if (it->chunk)
		chunk_put(it->chunk);
	if (it->snap)
		it->st->ops->snap_close(it->snap);
	free(it->sessions);
	free(it);
}

static size_t item_len(const struct item *it)
{
	switch (it->kind) {
	case ITEM_BYTES:
		return it->bytes->len;
	case ITEM_TXN:
		return TXN_HEAD + (size_t)it->txn->len + TXN_TAIL;
	case ITEM_RUN:
		return it->len;
	default:
		return 0;
	}
}

static void set_bytes(struct outq *q, u64 n)
{
	__atomic_store_n(&q->bytes, n, __ATOMIC_RELAXED);
}

/* In memory. A chunk is kept whole, by however many runs of it in a row. */
static size_t item_cost(const struct item *it, const struct item *before)
{
	if (it->kind != ITEM_RUN)
		return item_len(it);
	return before && before->chunk == it->chunk ? 0 : sizeof(*it->chunk);
}

void outq_add(struct outq *q, struct item *it)
{
	it->cmd.next = NULL;
	it->cost = item_cost(it, q->last);
	q->held += it->cost;
	if (q->last)
		q->last->cmd.next = &it->cmd;
	else
		q->first = it;
	q->last = it;
	set_bytes(q, q->bytes + item_len(it));
	tally_queued(q, it);
}

struct item *outq_take(struct outq *q)
{
	struct item *it = q->first;

	if (!it)
		return NULL;
	q->first = (struct item *)it->cmd.next;
	if (!q->first)
		q->last = NULL;
	set_bytes(q, q->bytes - item_len(it));
	q->held -= it->cost;
	tally_sent(q, it);
	q->sent = 0;
	return it;
}

void outq_clear(struct outq *q)
{
	q->counted = false;	/* these are not sent */
	while (q->first)
		item_free(outq_take(q));
}

/* Adds what of @p is behind the first *@skip bytes. */
static int add(struct iovec *iov, int n, const void *p, size_t len, size_t *skip)
{
	size_t s = *skip < len ? *skip : len;

	*skip -= s;
	if (s == len)
		return n;
	iov[n] = (struct iovec){ (u8 *)p + s, len - s };
	return n + 1;
}

static int gather(const struct outq *q, struct iovec *iov)
{
	static const u8 tail[TXN_TAIL] = { 0xff, 0xff, 0xff, 0xff };
	size_t skip = q->sent;
	int n = 0;

	for (const struct item *it = q->first; it && n + 3 <= IOV_MAX_OUT;
	     it = (const struct item *)it->cmd.next) {
		if (it->kind == ITEM_BYTES) {
			n = add(iov, n, it->bytes->bytes, it->bytes->len, &skip);
		} else if (it->kind == ITEM_TXN) {
			n = add(iov, n, it->head, TXN_HEAD, &skip);
			n = add(iov, n, it->txn->bytes, it->txn->len, &skip);
			n = add(iov, n, tail, TXN_TAIL, &skip);
		} else if (it->kind == ITEM_RUN) {
			n = add(iov, n, it->chunk->bytes + it->at, it->len, &skip);
		} else {
			break;
		}
	}
	return n;
}

static void sent(struct outq *q, size_t n)
{
	q->sent += n;
	while (q->first && q->first->kind < ITEM_TREE && q->sent >= item_len(q->first)) {
		size_t rest = q->sent - item_len(q->first);

		item_free(outq_take(q));
		q->sent = rest;
	}
}

int outq_write(struct outq *q, int fd)
{
	struct iovec iov[IOV_MAX_OUT];
	struct msghdr m = { .msg_iov = iov };
	ssize_t n;

	while (q->first) {
		m.msg_iovlen = gather(q, iov);
		if (!m.msg_iovlen && q->first->kind >= ITEM_TREE)
			return 2;
		n = m.msg_iovlen ? sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
		if (n < 0 && errno == EAGAIN)
			return 1;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n >= 0)
			sent(q, n);
	}
	return 0;
}
