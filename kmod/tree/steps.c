// SPDX-License-Identifier: GPL-2.0-or-later
/* See steps.h. */
#include "steps.h"

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/sched.h>

static struct zk_steps_chunk *chunk_alloc(struct zk_steps *steps)
{
	struct zk_steps_chunk *chunk;

	chunk = zk_mem_alloc(steps->mem, ZK_MEM_META, sizeof(*chunk));
	if (!chunk)
		return NULL;
	chunk->next = NULL;
	chunk->prev = steps->last;
	return chunk;
}

static void chunk_free(struct zk_steps *steps, struct zk_steps_chunk *chunk)
{
	zk_mem_free(steps->mem, ZK_MEM_META, chunk, sizeof(*chunk));
}

/* Frees what comes after @keep. */
static void cut_after(struct zk_steps *steps, struct zk_steps_chunk *keep)
{
	struct zk_steps_chunk *chunk, *next;

	for (chunk = keep->next; chunk; chunk = next) {
		next = chunk->next;
		chunk_free(steps, chunk);
		cond_resched();
	}
	keep->next = NULL;
	steps->last = keep;
}

int zk_steps_init(struct zk_steps *steps, struct zk_mem *mem)
{
	steps->mem = mem;
	steps->last = NULL;
	steps->first = chunk_alloc(steps);
	if (!steps->first)
		return -ENOMEM;
	steps->last = steps->first;
	steps->end.chunk = steps->first;
	steps->end.i = 0;
	steps->end.pos = 0;
	steps->room = ZK_STEPS_CHUNK;
	return 0;
}

void zk_steps_destroy(struct zk_steps *steps)
{
	if (!steps->first)
		return;
	cut_after(steps, steps->first);
	chunk_free(steps, steps->first);
}

int zk_steps_reserve(struct zk_steps *steps, u64 n)
{
	struct zk_steps_chunk *chunk;

	while (steps->room < n) {
		chunk = chunk_alloc(steps);
		if (!chunk)
			return -ENOMEM;
		steps->last->next = chunk;
		steps->last = chunk;
		steps->room += ZK_STEPS_CHUNK;
	}
	return 0;
}

/* A cursor at the end of its chunk goes on in the next one. */
static void settle(struct zk_cursor *at)
{
	if (at->i < ZK_STEPS_CHUNK)
		return;
	at->chunk = at->chunk->next;
	at->i = 0;
}

void zk_steps_append(struct zk_steps *steps, void *what, void *by)
{
	struct zk_step *step = zk_steps_next(&steps->end);

	step->what = what;
	step->by = by;
	steps->room--;
}

void zk_steps_unreserve(struct zk_steps *steps)
{
	cut_after(steps, steps->end.chunk);
	steps->room = ZK_STEPS_CHUNK - steps->end.i;
}

void zk_steps_reset(struct zk_steps *steps)
{
	cut_after(steps, steps->first);
	steps->end.chunk = steps->first;
	steps->end.i = 0;
	steps->end.pos = 0;
	steps->room = ZK_STEPS_CHUNK;
}

struct zk_cursor zk_steps_begin(const struct zk_steps *steps)
{
	struct zk_cursor at = { .chunk = steps->first };

	return at;
}

struct zk_step *zk_steps_next(struct zk_cursor *at)
{
	settle(at);
	at->pos++;
	return &at->chunk->step[at->i++];
}

struct zk_step *zk_steps_prev(struct zk_cursor *at)
{
	if (!at->i) {
		at->chunk = at->chunk->prev;
		at->i = ZK_STEPS_CHUNK;
	}
	at->pos--;
	return &at->chunk->step[--at->i];
}

void zk_steps_trim(struct zk_steps *steps, const struct zk_cursor *at)
{
	struct zk_steps_chunk *chunk;

	while (steps->first != at->chunk) {
		chunk = steps->first;
		steps->first = chunk->next;
		steps->first->prev = NULL;
		chunk_free(steps, chunk);
	}
}
