/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world for servers that live in one process: a clock that moves when nothing is left
 * to do now, random numbers from a seed, and what is to happen, in the order of its time
 * and, at the same time, of its making. So a seed is a run, exactly.
 */
#ifndef SELFTESTS_ZAB_WORLD_H
#define SELFTESTS_ZAB_WORLD_H

#include <stdbool.h>
#include <linux/types.h>

struct world;

/* Something that happens; @a and @b are whatever its maker put there. */
typedef void (*world_fn)(void *arg, u64 a, u64 b);

struct world *world_new(u64 seed);
void world_free(struct world *w);
u64 world_now(const struct world *w);		/* ms */
/* At @at, or now if that is past. @drop (may be NULL) frees @arg if it never happens. */
void world_at(struct world *w, u64 at, world_fn fn, void *arg, u64 a, u64 b,
	      void (*drop)(void *arg));
/* The next thing happens. False: there is nothing, or nothing before @until. */
bool world_step(struct world *w, u64 until);
u32 world_rnd(struct world *w, u32 below);
/* True once in @n times. */
bool world_once_in(struct world *w, u32 n);
u64 world_events(const struct world *w);

#endif
