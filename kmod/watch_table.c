// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who watches which path: rows in the index, hashes in the watchers. See watch_impl.h.
 * All of it under w->lock but for what says otherwise.
 */
#include <linux/errno.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "quota.h"
#include "watch_impl.h"

#define HASHES_MIN	4
#define GROW_STEPS	4		/* of the index, for each new row */
#define REMOVE_SOME	256
#define CHARGE_STEP	(16 * 1024)	/* the user's count is changed in steps of this */

static uint watch_file_kb = 16 * 1024;
module_param(watch_file_kb, uint, 0644);
MODULE_PARM_DESC(watch_file_kb, "KiB that the watches of one open file and its queue may count");

static uint watch_user_kb = 256 * 1024;
module_param(watch_user_kb, uint, 0644);
MODULE_PARM_DESC(watch_user_kb, "KiB that the watches of all open files of one user may count");

static DEFINE_XARRAY(watch_quota);	/* bytes; quota.h */

/* ------------------------------------------------------------ rows */

u32 watch_hash(const struct zkern_watches *w, const char *path, u32 len)
{
	return (u32)siphash(path, len, &w->key);
}

static size_t wrow_size(u32 len)
{
	return sizeof(struct wrow) + len;
}

static bool wrow_is(const struct wrow *row, const char *path, u32 len, enum watch_table t)
{
	return wrow_len(row) == len && wrow_table(row) == t && !memcmp(row->path, path, len);
}

/* The index is read under RCU elsewhere; here w->lock keeps it as it is. */
static struct wrow *wrow_first(struct zkern_watches *w, u32 hash)
{
	struct zk_hnode *h;

	lockdep_assert_held(&w->lock);
	rcu_read_lock();
	h = zk_index_first(&w->rows, hash);
	rcu_read_unlock();
	return h ? container_of(h, struct wrow, node) : NULL;
}

static struct wrow *wrow_next(struct wrow *row)
{
	struct zk_hnode *h;

	rcu_read_lock();
	h = zk_index_next(&row->node);
	rcu_read_unlock();
	return h ? container_of(h, struct wrow, node) : NULL;
}

bool wrow_find_all(struct zkern_watches *w, u32 hash, const char *path, u32 len,
		   enum watch_table t, struct wrow *rows[WATCH_MODES])
{
	struct wrow *row;
	bool any = false;

	memset(rows, 0, WATCH_MODES * sizeof(*rows));
	for (row = wrow_first(w, hash); row; row = wrow_next(row)) {
		if (!wrow_is(row, path, len, t))
			continue;
		rows[wrow_mode(row)] = row;
		any = true;
	}
	return any;
}

struct wrow *wrow_find(struct zkern_watches *w, u32 hash, const char *path, u32 len,
		       enum watch_table t, enum watch_mode mode)
{
	struct wrow *rows[WATCH_MODES];

	wrow_find_all(w, hash, path, len, t, rows);
	return rows[mode];
}

struct wrow *wrow_of_hash(struct zkern_watches *w, u32 hash, struct wrow *row)
{
	return row ? wrow_next(row) : wrow_first(w, hash);
}

struct wrow *wrow_next_unseen(struct zkern_watches *w, u32 hash)
{
	struct wrow *row;

	for (row = wrow_first(w, hash); row; row = wrow_next(row)) {
		if ((row->node.meta & WROW_PASS) == w->pass)
			continue;
		row->node.meta ^= WROW_PASS;
		return row;
	}
	return NULL;
}

void wrow_mark_path(struct zkern_watches *w, u32 hash, const char *path, u32 len)
{
	struct wrow *row;

	for (row = wrow_first(w, hash); row; row = wrow_next(row))
		if (wrow_len(row) == len && !memcmp(row->path, path, len))
			row->node.meta = (row->node.meta & ~WROW_PASS) | w->pass;
}

void wrow_free(struct zkern_watches *w, struct wrow *row)
{
	zk_index_remove(&w->rows, &row->node);
	wset_clear(&row->set, &w->mem);
	zk_mem_free(&w->mem, ZK_MEM_META, row, wrow_size(wrow_len(row)));
}

static void wrow_insert(struct zkern_watches *w, struct wrow *row, u32 hash,
			enum watch_table t, enum watch_mode mode)
{
	row->node.hash = hash;
	row->node.meta |= w->pass | mode << WROW_MODE_SHIFT | (t == WATCH_CHILD ? WROW_CHILD : 0);
	zk_index_insert(&w->rows, &row->node);
	zk_index_grow(&w->rows, GROW_STEPS);
}

/* ------------------------------------------------------------ counting */

static void watch_count(struct zkern_watcher *q, u32 len)
{
	q->count++;
	q->bytes += watch_cost(len);
}

void watch_uncount(struct zkern_watcher *q, u32 len)
{
	q->count--;
	q->bytes -= watch_cost(len);
}

/* Takes @q out of a row's set, if it is there. */
static bool wrow_drop(struct zkern_watcher *q, struct wrow *row)
{
	struct zkern_watches *w = q->w;

	if (!row || !wset_del(&row->set, q->id, &w->mem))
		return false;
	if (wrow_mode(row) == WATCH_RECURSIVE)
		w->n_recursive[wrow_table(row)]--;
	if (wset_empty(&row->set))
		wrow_free(w, row);
	return true;
}

/* ------------------------------------------------------------ hashes */

static int by_value(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

static bool watches_hash(struct zkern_watcher *q, u32 hash)
{
	struct wrow *row;

	for (row = wrow_first(q->w, hash); row; row = wrow_next(row))
		if (wset_has(&row->set, q->id))
			return true;
	return false;
}

void watch_compact(struct zkern_watcher *q)
{
	u32 i, n = 0;

	sort(q->hashes, q->n_hashes, sizeof(*q->hashes), by_value, NULL);
	for (i = 0; i < q->n_hashes; i++) {
		if (n && q->hashes[n - 1] == q->hashes[i])
			continue;
		if (watches_hash(q, q->hashes[i]))
			q->hashes[n++] = q->hashes[i];
		if (!(i % REMOVE_SOME))
			cond_resched();
	}
	q->n_hashes = n;
}

/* Room for one more. False: @spare says how large an array is wanted. */
static bool hashes_room(struct zkern_watcher *q, struct watch_spare *spare)
{
	if (q->n_hashes < q->cap_hashes)
		return true;
	/* at most half of the array may be stale: each clearing pays for itself */
	if (q->count < q->n_hashes / 2)
		watch_compact(q);
	if (q->n_hashes < q->cap_hashes)
		return true;
	if (spare->cap_hashes > q->cap_hashes) {
		if (q->n_hashes)
			memcpy(spare->hashes, q->hashes, q->n_hashes * sizeof(*q->hashes));
		swap(spare->hashes, q->hashes);
		swap(spare->cap_hashes, q->cap_hashes);
		return true;
	}
	spare->want_hashes = q->cap_hashes ? 2 * q->cap_hashes : HASHES_MIN;
	return false;
}

/* ------------------------------------------------------------ setting */

/* What is to be set in one table, and what is there. */
struct add_table {
	enum watch_table t;
	struct wrow *rows[WATCH_MODES];
	bool had;
};

static void look(struct zkern_watcher *q, u32 hash, const char *path, u32 len,
		 struct add_table *a)
{
	int m;

	wrow_find_all(q->w, hash, path, len, a->t, a->rows);
	for (m = 0; m < WATCH_MODES; m++)
		a->had |= a->rows[m] && wset_has(&a->rows[m]->set, q->id);
}

/* Is there all that it takes? */
static bool table_ready(const struct zkern_watcher *q, const struct add_table *a,
			enum watch_mode mode, struct watch_spare *spare)
{
	const struct wrow *row = a->rows[mode];
	size_t need = row ? wset_need(&row->set, q->id) : 0;

	spare->want_row[a->t] = !row && !spare->row[a->t];
	spare->want_block[a->t] = need > spare->block[a->t].size ? need : 0;
	return !spare->want_row[a->t] && !spare->want_block[a->t];
}

static void table_set(struct zkern_watcher *q, struct add_table *a, enum watch_mode mode,
		      u32 hash, u32 len, struct watch_spare *spare)
{
	struct zkern_watches *w = q->w;
	struct wrow *row = a->rows[mode];
	int m;

	if (!row) {
		row = spare->row[a->t];
		spare->row[a->t] = NULL;
		wrow_insert(w, row, hash, a->t, mode);
	}
	if (mode == WATCH_RECURSIVE && !wset_has(&row->set, q->id))
		w->n_recursive[a->t]++;
	wset_add(&row->set, q->id, &spare->block[a->t]);
	for (m = 0; m < WATCH_MODES; m++)
		if (m != (int)mode)
			wrow_drop(q, a->rows[m]);
	if (!a->had)
		watch_count(q, len);
}

u64 watch_file_limit(void)
{
	return (u64)READ_ONCE(watch_file_kb) * 1024;
}

static int check_limits(const struct zkern_watcher *q, u64 more, struct watch_spare *spare)
{
	u64 total = q->bytes + q->cap + more;

	if (more && total > watch_file_limit())
		return -EDQUOT;
	if (total <= q->charged + spare->charge)
		return 0;
	spare->want_charge = max_t(u64, total - q->charged - spare->charge, CHARGE_STEP);
	return -EAGAIN;
}

/* What @spare has now is its own, the rest of what either had is @w's. */
static void spare_settle(struct zkern_watches *w, struct watch_spare *spare)
{
	u64 left = 0;
	int t;

	for (t = 0; t < WATCH_TABLES; t++) {
		if (spare->row[t])
			left += zk_mem_cost(wrow_size(wrow_len(spare->row[t])));
		if (spare->block[t].mem)
			left += zk_mem_cost(spare->block[t].size);
	}
	w->mem.bytes += spare->mem.bytes - left;
	spare->mem.bytes = left;
}

int watch_add(struct zkern_watcher *q, u32 tables, enum watch_mode mode, const char *path,
	      u32 len, struct watch_spare *spare)
{
	struct add_table a[WATCH_TABLES] = {};
	u32 hash = watch_hash(q->w, path, len);
	bool had = false, ready = true;
	u64 more = 0;
	int t, err;

	lockdep_assert_held(&q->w->lock);
	spare->want_hashes = 0;
	spare->want_charge = 0;
	for (t = 0; t < WATCH_TABLES; t++) {
		a[t].t = t;
		look(q, hash, path, len, &a[t]);
		had |= a[t].had;
		if (!(tables & BIT(t)))
			continue;
		ready &= table_ready(q, &a[t], mode, spare);
		more += a[t].had ? 0 : watch_cost(len);
	}
	if (!had)
		ready &= hashes_room(q, spare);
	err = check_limits(q, more, spare);
	if (err || !ready)
		return err ?: -EAGAIN;
	for (t = 0; t < WATCH_TABLES; t++)
		if (tables & BIT(t))
			table_set(q, &a[t], mode, hash, len, spare);
	if (!had)
		q->hashes[q->n_hashes++] = hash;
	spare_settle(q->w, spare);
	q->charged += spare->charge;
	spare->charge = 0;
	return 0;
}

/* ------------------------------------------------------------ what is brought along */

int watch_charge(struct zkern_watcher *q, u64 n)
{
	if (!q->cred)
		return 0;
	return zkern_quota_take_of(&watch_quota, q->cred->uid, n,
				   (u64)READ_ONCE(watch_user_kb) * 1024);
}

void watch_discharge(struct zkern_watcher *q, u64 n)
{
	if (!q->cred)
		return;
	zkern_quota_drop_of(&watch_quota, q->cred->uid, n);
}

static int fill_table(struct watch_spare *spare, int t, const char *path, u32 len)
{
	struct wset_block *block = &spare->block[t];
	struct wrow *row;

	if (spare->want_row[t]) {
		row = zk_mem_alloc(&spare->mem, ZK_MEM_META, wrow_size(len));
		if (!row)
			return -ENOMEM;
		row->node.meta = len;
		row->set.v = 0;
		memcpy(row->path, path, len);
		spare->row[t] = row;
	}
	if (spare->want_block[t]) {
		zk_mem_free(&spare->mem, ZK_MEM_META, block->mem, block->size);
		block->size = 0;
		block->mem = zk_mem_alloc(&spare->mem, ZK_MEM_META, spare->want_block[t]);
		if (!block->mem)
			return -ENOMEM;
		block->size = spare->want_block[t];
	}
	return 0;
}

int watch_spare_fill(struct zkern_watcher *q, struct watch_spare *spare, const char *path,
		     u32 len)
{
	int t, err;

	for (t = 0; t < WATCH_TABLES; t++) {
		err = fill_table(spare, t, path, len);
		if (err)
			return err;
		spare->want_row[t] = false;
		spare->want_block[t] = 0;
	}
	if (spare->want_hashes) {
		kvfree(spare->hashes);
		spare->cap_hashes = 0;
		spare->hashes = kvmalloc_array(spare->want_hashes, sizeof(*spare->hashes),
					       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!spare->hashes)
			return -ENOMEM;
		spare->cap_hashes = spare->want_hashes;
	}
	if (spare->want_charge) {
		err = watch_charge(q, spare->want_charge);
		if (err)
			return err;
		spare->charge += spare->want_charge;
	}
	return 0;
}

void watch_spare_free(struct zkern_watcher *q, struct watch_spare *spare)
{
	int t;

	for (t = 0; t < WATCH_TABLES; t++) {
		if (spare->row[t])
			zk_mem_free(&spare->mem, ZK_MEM_META, spare->row[t],
				    wrow_size(wrow_len(spare->row[t])));
		zk_mem_free(&spare->mem, ZK_MEM_META, spare->block[t].mem, spare->block[t].size);
	}
	kvfree(spare->hashes);
	watch_discharge(q, spare->charge);
}

/* ------------------------------------------------------------ removing */

u32 watch_remove(struct zkern_watcher *q, u32 tables, const char *path, u32 len)
{
	u32 hash = watch_hash(q->w, path, len), removed = 0;
	struct wrow *rows[WATCH_MODES];
	int t, m;

	for (t = 0; t < WATCH_TABLES; t++) {
		if (!(tables & BIT(t)))
			continue;
		wrow_find_all(q->w, hash, path, len, t, rows);
		for (m = 0; m < WATCH_MODES; m++) {
			if (!wrow_drop(q, rows[m]))
				continue;
			watch_uncount(q, len);
			removed++;
		}
	}
	return removed;
}

/* All rows with this hash that @q is in. */
static void remove_hash(struct zkern_watcher *q, u32 hash)
{
	struct wrow *row, *next;
	u32 len;

	for (row = wrow_first(q->w, hash); row; row = next) {
		next = wrow_next(row);
		len = wrow_len(row);
		if (wrow_drop(q, row))
			watch_uncount(q, len);
	}
}

bool watch_remove_some(struct zkern_watcher *q)
{
	u32 n = REMOVE_SOME;

	while (q->n_hashes && n--)
		remove_hash(q, q->hashes[--q->n_hashes]);
	return q->n_hashes;
}
