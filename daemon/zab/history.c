// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The window of transactions in memory: ZKDatabase.committedLog and, behind it,
 * Leader.outstandingProposals or FollowerZooKeeperServer.pendingTxns, as one queue.
 */
#include <assert.h>
#include <stdlib.h>

#include "daemon/zab/zab_impl.h"

#define WINDOW_MIN	64

int win_init(struct window *w)
{
	memset(w, 0, sizeof(*w));
	w->slots = calloc(WINDOW_MIN, sizeof(*w->slots));
	if (!w->slots)
		return -ENOMEM;
	w->size = WINDOW_MIN;
	return 0;
}

void win_free(struct window *w)
{
	if (w->slots)
		win_reset(w, 0);
	free(w->slots);
	w->slots = NULL;
}

/* Room for @n more. */
int win_reserve(struct window *w, u32 n)
{
	struct txn **slots;
	u64 size = w->size;

	while (w->end - w->first + n > size)
		size *= 2;
	if (size == w->size)
		return 0;
	if (size > 1U << 31)
		return -ENOMEM;
	slots = malloc(size * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (u64 i = w->first; i != w->end; i++)
		slots[i & (size - 1)] = win_at(w, i);
	free(w->slots);
	w->slots = slots;
	w->size = size;
	return 0;
}

/* Takes a reference; room was reserved. */
void win_push(struct window *w, struct txn *t)
{
	assert(w->end - w->first < w->size);
	w->slots[w->end++ & (w->size - 1)] = txn_get(t);
}

struct txn *win_commit(struct window *w)
{
	struct txn *t = win_at(w, w->commit);

	assert(w->commit != w->end);
	w->commit++;
	w->bytes += t->len;
	return t;
}

void win_cut(struct window *w, u64 zxid)
{
	while (w->end != w->first && win_at(w, w->end - 1)->zxid > zxid) {
		struct txn *t = win_at(w, --w->end);

		if (w->end < w->commit) {
			w->commit = w->end;
			w->bytes -= t->len;
		}
		txn_put(t);
	}
	if (w->floor > zxid)
		w->floor = zxid;
}

void win_reset(struct window *w, u64 floor)
{
	while (w->end != w->first)
		txn_put(win_at(w, --w->end));
	w->commit = w->first;
	w->bytes = 0;
	w->floor = floor;
}

void win_trim(struct window *w, u32 count, u64 bytes, u64 keep)
{
	while (w->first != w->commit &&
	       (w->commit - w->first > count || w->bytes > bytes)) {
		struct txn *t = win_at(w, w->first);

		if (t->zxid > keep)
			break;
		w->floor = t->zxid;
		w->bytes -= t->len;
		w->first++;
		txn_put(t);
	}
}

u64 win_after(const struct window *w, u64 zxid)
{
	u64 lo = w->first, hi = w->end;

	while (lo < hi) {
		u64 mid = lo + (hi - lo) / 2;

		if (win_at(w, mid)->zxid > zxid)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}
