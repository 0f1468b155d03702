/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A queue of 16-byte entries in chunks, to which room can be added beforehand so
 * that appending does not fail. A tree has two: the steps of the transaction being
 * linked (to undo them), and what published transactions have superseded (to free
 * it after grace periods).
 *
 * Locking: the tree's writer lock.
 */
#ifndef ZK_STEPS_H
#define ZK_STEPS_H

#include "mem.h"

#define ZK_STEPS_CHUNK	126

/* @what: an address with a tag in its three lowest bits. */
struct zk_step {
	void *what;
	void *by;
};

struct zk_steps_chunk {
	struct zk_steps_chunk *next, *prev;
	struct zk_step step[ZK_STEPS_CHUNK];
};

/* A place in the queue: entry number @pos, which is @i in @chunk. */
struct zk_cursor {
	struct zk_steps_chunk *chunk;
	u32 i;
	u64 pos;
};

struct zk_steps {
	struct zk_steps_chunk *first, *last;
	struct zk_cursor end;	/* where the next entry goes */
	u64 room;		/* entries that can be appended */
	struct zk_mem *mem;
};

/* -ENOMEM. One chunk is there from the beginning. Sleeps. */
int zk_steps_init(struct zk_steps *steps, struct zk_mem *mem);
void zk_steps_destroy(struct zk_steps *steps);

/* The next @n appends cannot fail; -ENOMEM if they could. Sleeps. */
int zk_steps_reserve(struct zk_steps *steps, u64 n);
void zk_steps_append(struct zk_steps *steps, void *what, void *by);
/* Gives back reserved chunks that no entry has reached. */
void zk_steps_unreserve(struct zk_steps *steps);
/* Empties the queue; one chunk stays. */
void zk_steps_reset(struct zk_steps *steps);

/* The first entry. Only before anything was trimmed. */
struct zk_cursor zk_steps_begin(const struct zk_steps *steps);
/* The entry at @at, which must be before the end; moves @at past it. */
struct zk_step *zk_steps_next(struct zk_cursor *at);
/* The entry before @at, and moves @at to it; @at must not be the beginning. */
struct zk_step *zk_steps_prev(struct zk_cursor *at);
/* Frees the chunks before @at. */
void zk_steps_trim(struct zk_steps *steps, const struct zk_cursor *at);

#endif
