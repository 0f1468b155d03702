// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "selftests/zab/world.h"

struct happening {
	u64 at, seq;
	world_fn fn;
	void (*drop)(void *arg);
	void *arg;
	u64 a, b;
};

struct world {
	u64 now, seq, state, events;
	struct happening *heap;		/* the earliest first */
	u32 n, size;
};

struct world *world_new(u64 seed)
{
	struct world *w = calloc(1, sizeof(*w));

	w->state = seed * 0x9e3779b97f4a7c15ULL + 1;
	w->now = 1000;
	return w;
}

void world_free(struct world *w)
{
	for (u32 i = 0; i < w->n; i++)
		if (w->heap[i].drop)
			w->heap[i].drop(w->heap[i].arg);
	free(w->heap);
	free(w);
}

u64 world_now(const struct world *w)
{
	return w->now;
}

u64 world_events(const struct world *w)
{
	return w->events;
}

u32 world_rnd(struct world *w, u32 below)
{
	w->state ^= w->state << 13;
	w->state ^= w->state >> 7;
	w->state ^= w->state << 17;
	return (w->state >> 16) % below;
}

bool world_once_in(struct world *w, u32 n)
{
	return world_rnd(w, n) == 0;
}

static bool earlier(const struct happening *a, const struct happening *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void swap(struct happening *a, struct happening *b)
{
	struct happening t = *a;

	*a = *b;
	*b = t;
}

void world_at(struct world *w, u64 at, world_fn fn, void *arg, u64 a, u64 b,
	      void (*drop)(void *arg))
{
	u32 i = w->n++;

	if (i == w->size) {
		w->size = w->size ? 2 * w->size : 256;
		w->heap = realloc(w->heap, w->size * sizeof(*w->heap));
		if (!w->heap)
			abort();
	}
	w->heap[i] = (struct happening){
		.at = at > w->now ? at : w->now,
		.seq = w->seq++,
		.fn = fn,
		.drop = drop,
		.arg = arg,
		.a = a,
		.b = b,
	};
	while (i && earlier(&w->heap[i], &w->heap[(i - 1) / 2])) {
		swap(&w->heap[i], &w->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

static struct happening take(struct world *w)
{
	struct happening h = w->heap[0];
	u32 i = 0;

	w->heap[0] = w->heap[--w->n];
	for (;;) {
		u32 least = i;

		for (u32 k = 2 * i + 1; k <= 2 * i + 2 && k < w->n; k++)
			if (earlier(&w->heap[k], &w->heap[least]))
				least = k;
		if (least == i)
			return h;
		swap(&w->heap[i], &w->heap[least]);
		i = least;
	}
}

bool world_step(struct world *w, u64 until)
{
	struct happening h;

	if (!w->n || w->heap[0].at > until) {
		if (until != ~0ULL && w->now < until)
			w->now = until;
		return false;
	}
	h = take(w);
	w->now = h.at;
	w->events++;
	h.fn(h.arg, h.a, h.b);
	return true;
}
