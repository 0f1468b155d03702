// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The index by itself, with hashes of our choice: what no key would give in a lifetime
 * (many equal ones, neighbours, the two ends) is what it is asked here.
 */
#include <linux/err.h>

#include "index.h"
#include "zt.h"

struct item {
	struct zk_hnode h;
	u32 key;
};

static struct item *find(struct zk_index *index, u32 hash, u32 key)
{
	struct zk_hnode *h;
	struct item *item;

	for (h = zk_index_first(index, hash); h; h = zk_index_next(h)) {
		item = container_of(h, struct item, h);
		if (item->key == key)
			return item;
	}
	return NULL;
}

typedef u32 (*hash_fn)(u32 key);

/* In the middle, where level 1 splits. */
static u32 all_equal(u32 key)
{
	return (key & 0) | 0x80000000;
}

static u32 few(u32 key)
{
	static const u32 hashes[] = {
		0, 1, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff,
		0x40000000, 0xc0000000,
	};

	return hashes[key % ARRAY_SIZE(hashes)];
}

static u32 ascending(u32 key)
{
	return key;
}

static u32 spread(u32 key)
{
	return key * 2654435761u;
}

static u32 high(u32 key)
{
	return 0xffffffff - key;
}

static void insert_all(struct zk_index *index, struct item *items, u32 n, hash_fn hash)
{
	u32 i;

	for (i = 0; i < n; i++) {
		items[i].key = i;
		items[i].h.hash = hash(i);
		zk_index_insert(index, &items[i].h);
		if (i % 3 == 0)
			zk_index_grow(index, i % 17);
	}
}

static void check_all(struct zk_index *index, struct item *items, u32 n, hash_fn hash,
		      u32 gone)
{
	u32 i;

	rcu_read_lock();
	for (i = 0; i < n; i++)
		zt_check(find(index, hash(i), i) == (i % 3 < gone ? NULL : &items[i]));
	zt_check(!find(index, hash(n) ^ 0x10101, n));
	for (i = 0; i < n + 9; i++)
		zt_equal(zk_index_lacks(index, hash(i) + 1),
			 !zk_index_first(index, hash(i) + 1));
	rcu_read_unlock();
}

static void try_hash(struct item *items, u32 n, hash_fn hash, u32 reserve)
{
	struct zk_mem mem = { };
	struct zk_index index;
	u32 gone, i;

	zk_index_init(&index, &mem);
	zk_index_reserve(&index, reserve);
	zt_check(1ULL << index.level >= reserve);
	insert_all(&index, items, n, hash);
	for (gone = 0; gone < 3; gone++) {
		check_all(&index, items, n, hash, gone);
		for (i = gone; i < n; i += 3)
			zk_index_remove(&index, &items[i].h);
		zk_index_grow(&index, 1000);
	}
	zt_equal(index.count, 0);
	check_all(&index, items, n, hash, 3);
	zk_index_destroy(&index);
	zt_equal(mem.bytes, 0);
}

void zt_index_hashes(void)
{
	static const hash_fn hashes[] = { all_equal, few, ascending, spread, high };
	u32 n = 3000, i;
	struct item *items = kvmalloc(n * sizeof(*items), GFP_KERNEL);

	if (!zt_check(items))
		return;
	for (i = 0; i < ARRAY_SIZE(hashes); i++)
		try_hash(items, n, hashes[i], i % 2 ? 2 * n : 0);
	for (i = 0; i < ARRAY_SIZE(hashes); i++)
		try_hash(items, n, hashes[i], i % 2 ? n / 7 : 100000);
	kvfree(items);
}

/* ------------------------------------------------------------ under readers */

#define LASTING	512

struct shared {
	struct zk_index index;
	struct item lasting[LASTING];	/* always there */
	u64 rounds;
};

static int look(void *arg)
{
	struct shared *s = arg;
	u32 i;

	while (!kthread_should_stop()) {
		rcu_read_lock();
		for (i = 0; i < LASTING; i++)
			zt_check(find(&s->index, spread(i), i) == &s->lasting[i]);
		rcu_read_unlock();
		WRITE_ONCE(s->rounds, s->rounds + 1);
		cond_resched();
	}
	return 0;
}

/*
 * Items come and go around the lasting ones; freed after grace periods, which here
 * are waited for.
 */
static void churn(struct shared *s, struct item *items, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++) {
		items[i].key = LASTING + i;
		items[i].h.hash = spread(LASTING + i / 2);
		zk_index_insert(&s->index, &items[i].h);
		zk_index_grow(&s->index, 2);
		if (i % 1024 == 0)
			cond_resched();
	}
	for (i = 0; i < n; i++)
		zk_index_remove(&s->index, &items[i].h);
	synchronize_rcu();
}

void zt_index_readers(void)
{
	struct shared *s = kvmalloc(sizeof(*s), GFP_KERNEL | __GFP_ZERO);
	u32 n = 40000 * zt_scale, rounds;
	struct item *items = kvmalloc(n * sizeof(*items), GFP_KERNEL | __GFP_ZERO);
	struct zk_mem mem = { };
	struct task_struct *task;

	if (!zt_check(s && items))
		return;
	for (rounds = 0; rounds < 5 && !zt_failed(); rounds++) {
		s->rounds = 0;
		zk_index_init(&s->index, &mem);
		insert_all(&s->index, s->lasting, LASTING, spread);
		task = kthread_run(look, s, "zt_look");
		if (!zt_check(!IS_ERR_OR_NULL(task)))
			break;
		do {
			churn(s, items, n);
		} while (READ_ONCE(s->rounds) < 100 && !zt_failed());
		kthread_stop(task);
		zk_index_destroy(&s->index);
	}
	zt_equal(mem.bytes, 0);
	kvfree(items);
	kvfree(s);
}
