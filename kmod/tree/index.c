// SPDX-License-Identifier: GPL-2.0-or-later
/* See index.h. */
#include "index.h"

#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/prefetch.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/string.h>

#define WORD_TAG	1UL
#define END		((void *)WORD_TAG)
#define RESERVE_STEPS	65536

static bool is_word(const void *p)
{
	return (unsigned long)p & WORD_TAG;
}

static void *tag_word(struct zk_hword *word)
{
	return (void *)((unsigned long)word | WORD_TAG);
}

static struct zk_hword *untag_word(const void *p)
{
	return (struct zk_hword *)((unsigned long)p & ~WORD_TAG);
}

/* The writer's read of a word. */
static void *next_of(const struct zk_hword *word)
{
	return rcu_dereference_protected(word->next, true);
}

void zk_index_init(struct zk_index *index, struct zk_mem *mem)
{
	memset(index, 0, sizeof(*index));
	RCU_INIT_POINTER(index->head.next, END);
	index->ready = 1;
	index->mem = mem;
}

static size_t level_size(u32 level)
{
	return sizeof(struct zk_hword) << (level - 1);
}

void zk_index_destroy(struct zk_index *index)
{
	u32 level;

	for (level = 1; level <= index->level; level++)
		zk_mem_free(index->mem, ZK_MEM_META, index->split[level],
			    level_size(level));
}

/*
 * The word that begins bucket @b of 2^@level, set up or not. Bucket b != 0 came in
 * at the level where its number was odd, splitting the bucket before it.
 */
static struct zk_hword *word_of(const struct zk_index *index, u32 level, u32 b)
{
	u32 shift;

	if (!b)
		return (struct zk_hword *)&index->head;
	shift = __ffs(b);
	return &index->split[level - shift][b >> shift >> 1];
}

/* The nearest word that is set up at or before @hash. */
static struct zk_hword *start(const struct zk_index *index, u32 hash)
{
	/* Pairs with add_level(): the level's words are there. */
	u32 level = smp_load_acquire(&index->level);
	u32 b = level ? hash >> (32 - level) : 0;
	struct zk_hword *word = word_of(index, level, b);

	/* A bucket that is not set up is reached from the one it splits. */
	while (unlikely(!rcu_access_pointer(word->next))) {
		b &= b - 1;
		word = word_of(index, level, b);
	}
	return word;
}

/*
 * RCU: the first node from @p on with @hash. Buckets' words are passed over: which
 * hash they stand for cannot be seen from them, and during growth they may come
 * before the node that is sought.
 */
static struct zk_hnode *seek(void *p, u32 hash)
{
	struct zk_hnode *node;

	for (;;) {
		if (is_word(p)) {
			if (p == END)
				return NULL;
			p = rcu_dereference(untag_word(p)->next);
			continue;
		}
		node = p;
		/* Most are longer than a cache line; the rest is wanted next. */
		prefetch((const char *)p + 64);
		if (node->hash >= hash)
			return node->hash == hash ? node : NULL;
		p = rcu_dereference(node->word.next);
	}
}

struct zk_hnode *zk_index_first(const struct zk_index *index, u32 hash)
{
	return seek(rcu_dereference(start(index, hash)->next), hash);
}

struct zk_hnode *zk_index_next(const struct zk_hnode *node)
{
	return seek(rcu_dereference(node->word.next), node->hash);
}

/*
 * Writer: the last word from @word on that comes before all nodes of @hash and
 * above. Starting from the nearest bucket, the next bucket is above @hash too, so
 * that the walk ends there.
 */
static struct zk_hword *before(struct zk_hword *word, u32 hash)
{
	void *p = next_of(word);

	while (!is_word(p) && ((struct zk_hnode *)p)->hash < hash) {
		word = &((struct zk_hnode *)p)->word;
		p = next_of(word);
	}
	return word;
}

bool zk_index_lacks(const struct zk_index *index, u32 hash)
{
	const void *p = next_of(before(start(index, hash), hash));

	return is_word(p) || ((const struct zk_hnode *)p)->hash != hash;
}

void zk_index_insert(struct zk_index *index, struct zk_hnode *node)
{
	struct zk_hword *prev = before(start(index, node->hash), node->hash);

	RCU_INIT_POINTER(node->word.next, next_of(prev));
	rcu_assign_pointer(prev->next, node);
	index->count++;
}

void zk_index_remove(struct zk_index *index, struct zk_hnode *node)
{
	struct zk_hword *prev = before(start(index, node->hash), node->hash);

	while (next_of(prev) != node)
		prev = &((struct zk_hnode *)next_of(prev))->word;
	/* Readers that stand on the node still find the way on. */
	rcu_assign_pointer(prev->next, next_of(&node->word));
	index->count--;
}

/* Writer: links the @i-th word of the newest level into the list. */
static void set_up(struct zk_index *index, u32 i)
{
	u32 hash = (2 * i + 1) << (32 - index->level);
	struct zk_hword *word = &index->split[index->level][i];
	struct zk_hword *prev = before(start(index, hash), hash);

	/* Whoever finds the word by its number may go on from it at once. */
	rcu_assign_pointer(word->next, next_of(prev));
	rcu_assign_pointer(prev->next, tag_word(word));
}

static void add_level(struct zk_index *index)
{
	u32 level = index->level + 1;

	if (index->count < index->retry_at)
		return;
	index->split[level] = zk_mem_zalloc(index->mem, level_size(level));
	if (!index->split[level]) {
		index->retry_at = index->count + index->count / 16 + 1;
		return;
	}
	index->retry_at = 0;
	index->ready = 0;
	/* Pairs with start(). */
	smp_store_release(&index->level, level);
}

/* Towards buckets for @count nodes; true: there is more to do. */
static bool grow(struct zk_index *index, u64 count, unsigned int steps)
{
	while (steps--) {
		u32 words = index->level ? 1U << (index->level - 1) : 1;

		if (index->ready < words) {
			set_up(index, index->ready++);
			continue;
		}
		if (count <= 1ULL << index->level || index->level == ZK_INDEX_LEVELS)
			return false;
		add_level(index);
		if (index->ready)
			return false;
	}
	return true;
}

void zk_index_grow(struct zk_index *index, unsigned int steps)
{
	for (; steps > RESERVE_STEPS; steps -= RESERVE_STEPS) {
		if (!grow(index, index->count, RESERVE_STEPS))
			return;
		cond_resched();
	}
	grow(index, index->count, steps);
}

void zk_index_reserve(struct zk_index *index, u64 count)
{
	count = min_t(u64, count, 1ULL << ZK_INDEX_RESERVE);
	while (grow(index, count, RESERVE_STEPS))
		cond_resched();
}

void zk_index_warm_bucket(const struct zk_index *index, u32 hash)
{
	u32 level = smp_load_acquire(&index->level);	/* pairs with add_level() */

	prefetch(word_of(index, level, level ? hash >> (32 - level) : 0));
}

void zk_index_warm_node(const struct zk_index *index, u32 hash)
{
	const void *p = rcu_access_pointer(start(index, hash)->next);

	if (!is_word(p))
		prefetch(p);
}

struct zk_hnode *zk_index_pop(struct zk_index *index)
{
	void *p = next_of(&index->head);
	struct zk_hnode *node;

	while (is_word(p)) {
		if (p == END) {
			RCU_INIT_POINTER(index->head.next, END);
			return NULL;
		}
		p = next_of(untag_word(p));
	}
	node = p;
	RCU_INIT_POINTER(index->head.next, next_of(&node->word));
	return node;
}
