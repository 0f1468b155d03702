// SPDX-License-Identifier: GPL-2.0-only
/*
 * Setting, removing and listing watches: what files do. watch_impl.h has the structure
 * and the locks.
 *
 * A watch is set, and the zxid that is read pinned, in one hold of w->lock. The writer
 * publishes nothing meanwhile, so what is read is the value from which the watch counts.
 * The reading itself is done after, from the pin, without the lock.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "access.h"
#include "watch_impl.h"

#define BOTH		(BIT(WATCH_DATA) | BIT(WATCH_CHILD))
#define LIST_CHUNK	(64 * 1024)
#define LIST_HASHES	4096		/* in one hold of the lock */

/* ------------------------------------------------------------ of the instance */

struct zkern_watches *zkern_watches_new(struct zkern_inst *inst)
{
	struct zkern_watches *w = kzalloc(sizeof(*w), GFP_KERNEL_ACCOUNT);

	if (!w)
		return NULL;
	w->inst = inst;
	mutex_init(&w->lock);
	seqcount_init(&w->seq);
	zk_index_init(&w->rows, &w->mem);
	get_random_bytes(&w->key, sizeof(w->key));
	xa_init_flags(&w->files, XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
	INIT_LIST_HEAD(&w->woken);
	init_waitqueue_head(&w->gone);
	w->coming = rcu_access_pointer(inst->tree);
	w->era = 1;
	w->hidden_from = 1;
	return w;
}

void zkern_watches_free(struct zkern_watches *w)
{
	if (!w)
		return;
	WARN_ON_ONCE(w->rows.count || w->base.tree || !xa_empty(&w->files));
	zk_index_destroy(&w->rows);
	WARN_ON_ONCE(w->mem.bytes);
	xa_destroy(&w->files);
	kvfree(w->path);
	mutex_destroy(&w->lock);
	kfree(w);
}

/* ------------------------------------------------------------ of a file */

static void watcher_free(struct zkern_watcher *q)
{
	watch_discharge(q, q->charged);
	kvfree(q->ring);
	kvfree(q->hashes);
	put_cred(q->cred);
	mutex_destroy(&q->reading);
	kfree(q);
}

static struct zkern_watcher *watcher_alloc(struct zkern_file *zf)
{
	struct zkern_watcher *q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);
	int err;

	if (!q)
		return ERR_PTR(-ENOMEM);
	q->w = zf->inst->watches;
	q->zf = zf;
	q->cred = get_cred(zf->cred);
	INIT_LIST_HEAD(&q->woken);
	mutex_init(&q->reading);
	spin_lock_init(&q->lock);
	q->cap = ZKERN_WATCH_QUEUE_LEN;
	err = watch_charge(q, q->cap);
	if (err)
		goto fail;
	q->charged = q->cap;
	err = -ENOMEM;
	q->ring = kvmalloc(q->cap, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!q->ring)
		goto fail;
	return q;

fail:
	watcher_free(q);
	return ERR_PTR(err);
}

/* The file's watcher, made if need be. Sleeps. -EINVAL: a snapshot has none. */
static struct zkern_watcher *watcher_get(struct zkern_file *zf)
{
	struct zkern_watcher *q = smp_load_acquire(&zf->watcher);	/* pairs with below */
	struct zkern_watches *w = zf->inst->watches;
	int err;

	if (q)
		return q;
	if (zf->pinned)
		return ERR_PTR(-EINVAL);
	q = watcher_alloc(zf);
	if (IS_ERR(q))
		return q;
	err = xa_alloc(&w->files, &q->id, q, XA_LIMIT(0, WSET_MAX_ID), GFP_KERNEL);
	if (err) {
		watcher_free(q);
		return ERR_PTR(err == -EBUSY ? -ENOSPC : err);
	}
	mutex_lock(&w->lock);
	if (!zf->watcher) {
		/* pairs with above, and with readers in watch_queue.c */
		smp_store_release(&zf->watcher, q);
		mutex_unlock(&w->lock);
		return q;
	}
	/* another thread was first */
	xa_erase(&w->files, q->id);
	mutex_unlock(&w->lock);
	watcher_free(q);
	return zf->watcher;
}

void zkern_watch_release(struct zkern_file *zf)
{
	struct zkern_watcher *q = zf->watcher;
	struct zkern_watches *w;
	bool more;

	if (!q)
		return;
	w = q->w;
	do {
		mutex_lock(&w->lock);
		more = watch_remove_some(q);
		if (!more) {
			xa_erase(&w->files, q->id);
			list_del(&q->woken);
		}
		mutex_unlock(&w->lock);
		cond_resched();
	} while (more);
	WARN_ON_ONCE(q->count);
	watcher_free(q);
}

/* ------------------------------------------------------------ setting */

/* What is set, and where the zxid that it is set at goes. */
struct setting {
	struct zkern_file *zf;
	enum watch_mode mode;
	u32 tables;
	const char *path;
	u32 len;
	bool read;			/* with zkern_watch_pin(): */
	enum zkern_watch_read what;
	struct zkern_pinned *pinned, **p;
	u64 zxid;			/* else */
};

/* w->lock: does what is read at this zxid leave a watch? Or a negative errno. */
static int wanted(const struct setting *s)
{
	struct zkern_caller who = zkern_caller_current(zkern_file_is_owner(s->zf));
	struct zkern_inst *inst = s->zf->inst;
	struct zkern_at at;
	struct zk_view view;
	int want;

	/* also for the owner: what happens to a tree that is hidden fires nothing */
	if (READ_ONCE(inst->state) == ZKERN_STATE_EMPTY)
		return rcu_access_pointer(inst->tree) ? -ESTALE : -ENODEV;
	if (!s->read || s->what == ZKERN_WATCH_READ_EXISTS) {
		want = zkern_path_error(s->path, s->len);
		return want == -ENOENT ? 1 : want;
	}
	rcu_read_lock();
	at.tree = rcu_dereference(inst->tree);
	want = at.tree ? 0 : -ENODEV;
	if (at.tree) {
		at.zxid = zk_tree_zxid(at.tree);
		want = !IS_ERR(zkern_find(&at, s->path, s->len, &view)) &&
		       zkern_may(view.acl, ZKERN_PERM_READ, &who);
	}
	rcu_read_unlock();
	return want;
}

/* w->lock: the zxid that it is set at. */
static int pin_or_note(struct setting *s)
{
	struct zkern_at at;
	int err;

	if (s->read)
		return zkern_pin(s->zf, s->pinned, s->p);
	rcu_read_lock();
	err = zkern_file_at(s->zf, &at);
	rcu_read_unlock();
	s->zxid = at.zxid;
	return err;
}

static int set_locked(struct zkern_watcher *q, struct setting *s, struct watch_spare *spare)
{
	int want = wanted(s), err;

	if (want < 0)
		return want;
	/* before the watch: it may be refused, the pin cannot fail after */
	err = pin_or_note(s);
	if (err || !want)
		return err;
	err = watch_add(q, s->tables, s->mode, s->path, s->len, spare);
	if (err && s->read)
		zkern_unpin(s->pinned, *s->p);
	return err;
}

static int set(struct setting *s)
{
	struct watch_spare spare = {};
	struct zkern_watcher *q;
	int err;

	q = watcher_get(s->zf);
	if (IS_ERR(q))
		return PTR_ERR(q);
	do {
		if (mutex_lock_killable(&q->w->lock)) {
			err = -EINTR;
			break;
		}
		err = set_locked(q, s, &spare);
		mutex_unlock(&q->w->lock);
		if (err == -EAGAIN)
			err = watch_spare_fill(q, &spare, s->path, s->len) ?: -EAGAIN;
	} while (err == -EAGAIN);
	watch_spare_free(q, &spare);
	return err;
}

int zkern_watch_pin(struct zkern_file *zf, enum zkern_watch_read what, const char *path,
		    u32 len, struct zkern_pinned *pinned, struct zkern_pinned **p)
{
	struct setting s = {
		.zf = zf,
		.mode = WATCH_ONCE,
		.tables = BIT(what == ZKERN_WATCH_READ_CHILDREN ? WATCH_CHILD : WATCH_DATA),
		.path = path,
		.len = len,
		.read = true,
		.what = what,
		.pinned = pinned,
		.p = p,
	};

	return set(&s);
}

/* ------------------------------------------------------------ the command */

static u32 tables_of(u32 kind)
{
	switch (kind) {
	case ZKERN_WATCH_DATA:
		return BIT(WATCH_DATA);
	case ZKERN_WATCH_CHILDREN:
		return BIT(WATCH_CHILD);
	case ZKERN_WATCH_ANY:
		return BOTH;
	}
	return 0;
}

static int states(struct zkern_file *zf, bool on)
{
	struct zkern_watcher *q = watcher_get(zf);
	bool were;

	if (IS_ERR(q))
		return PTR_ERR(q);
	mutex_lock(&q->w->lock);
	were = q->states;
	q->states = on;
	mutex_unlock(&q->w->lock);
	return on || were ? 0 : -ENOENT;
}

static int add(struct zkern_file *zf, struct zkern_watch *req, const char *path)
{
	struct setting s = {
		.zf = zf,
		.mode = req->kind == ZKERN_WATCH_RECURSIVE ? WATCH_RECURSIVE : WATCH_PERSISTENT,
		.tables = BOTH,
		.path = path,
		.len = req->path_len,
	};
	int err;

	if (req->kind != ZKERN_WATCH_RECURSIVE && req->kind != ZKERN_WATCH_PERSISTENT)
		return -EINVAL;
	err = set(&s);
	req->zxid = s.zxid;
	return err;
}

static int remove(struct zkern_file *zf, struct zkern_watch *req, const char *path)
{
	struct zkern_watcher *q = smp_load_acquire(&zf->watcher);	/* as watcher_get() */
	u32 n, tables = tables_of(req->kind);

	if (!tables)
		return -EINVAL;
	if (!q)
		return -ENOENT;
	mutex_lock(&q->w->lock);
	n = watch_remove(q, tables, path, req->path_len);
	mutex_unlock(&q->w->lock);
	return n ? 0 : -ENOENT;
}

/* Another ring, with what waits in the old one. */
static int resize(struct zkern_file *zf, u32 cap)
{
	struct zkern_watcher *q;
	u8 *ring;
	int err;

	if (cap < ZKERN_WATCH_QUEUE_MIN || cap > ZKERN_WATCH_QUEUE_MAX)
		return -EINVAL;
	cap = ALIGN(cap, 8);
	q = watcher_get(zf);
	if (IS_ERR(q))
		return PTR_ERR(q);
	err = watch_charge(q, cap);
	if (err)
		return err;
	ring = kvmalloc(cap, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!ring) {
		watch_discharge(q, cap);
		return -ENOMEM;
	}
	mutex_lock(&q->reading);
	mutex_lock(&q->w->lock);
	err = watch_ring_swap(q, &ring, &cap);
	/* of both, what is not the ring any more is given back */
	mutex_unlock(&q->w->lock);
	mutex_unlock(&q->reading);
	kvfree(ring);
	watch_discharge(q, cap);
	return err;
}

/* ------------------------------------------------------------ the list */

/* A page of a list: the kernel's copy of it. */
struct watch_page {
	u8 *buf;
	u32 cap, used, count;
	u32 need;			/* the next group of entries wants a page of this */
	u64 next;			/* the hash to go on with and one; 0: at the end */
};

/* One path of those with @hash, once for all its rows: by the first of them. */
static bool put_entry(struct zkern_watcher *q, struct wrow *row, struct watch_page *pg)
{
	struct wrow *rows[WATCH_TABLES][WATCH_MODES];
	struct zkern_watch_entry entry = { .path_len = wrow_len(row) };
	bool first = false, found = false;
	u8 *kind[WATCH_TABLES] = { &entry.data, &entry.children };
	int t, m;

	for (t = 0; t < WATCH_TABLES; t++) {
		wrow_find_all(q->w, row->node.hash, row->path, wrow_len(row), t, rows[t]);
		for (m = 0; m < WATCH_MODES; m++) {
			if (!rows[t][m] || !wset_has(&rows[t][m]->set, q->id))
				continue;
			first |= !found && rows[t][m] == row;
			found = true;
			*kind[t] = m + 1;
		}
	}
	if (!first)
		return true;
	entry.len = ALIGN(sizeof(entry) + entry.path_len, 8);
	if (entry.len > pg->cap - pg->used) {
		pg->need += entry.len;
		return false;
	}
	memset(pg->buf + pg->used + entry.len - 8, 0, 8);
	memcpy(pg->buf + pg->used, &entry, sizeof(entry));
	memcpy(pg->buf + pg->used + sizeof(entry), row->path, entry.path_len);
	pg->used += entry.len;
	pg->count++;
	return true;
}

/* All paths with this hash, or none of them: then pg->need says what they want. */
static bool put_hash(struct zkern_watcher *q, u32 hash, struct watch_page *pg)
{
	u32 used = pg->used, count = pg->count;
	struct wrow *row;
	bool fits = true;

	pg->need = 0;
	for (row = wrow_of_hash(q->w, hash, NULL); row; row = wrow_of_hash(q->w, hash, row))
		fits &= put_entry(q, row, pg);
	if (fits)
		return true;
	pg->need += pg->used - used;
	pg->used = used;
	pg->count = count;
	return false;
}

/* w->lock: from the hash @from on. */
static void gather(struct zkern_watcher *q, u64 from, struct watch_page *pg)
{
	u32 i, n = 0;

	pg->used = 0;
	pg->count = 0;
	pg->next = 0;
	watch_compact(q);
	for (i = 0; i < q->n_hashes; i++) {
		if (q->hashes[i] < from)
			continue;
		if (n++ == LIST_HASHES || !put_hash(q, q->hashes[i], pg)) {
			pg->next = (u64)q->hashes[i] + 1;
			return;
		}
	}
}

/* Where a page begins: @after is the hash to go on with and one, so that 0 begins. */
static int list(struct zkern_file *zf, struct zkern_watch *req)
{
	struct zkern_watcher *q = smp_load_acquire(&zf->watcher);	/* as watcher_get() */
	struct watch_page pg = { .cap = min_t(u32, req->buf_len, LIST_CHUNK) };
	u64 from = req->after ? req->after - 1 : 0;
	int err = 0;

	req->after = 0;
	if (!q)
		return 0;
	for (;;) {
		pg.buf = kvmalloc(max_t(u32, pg.cap, 8), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!pg.buf)
			return -ENOMEM;
		mutex_lock(&q->w->lock);
		gather(q, from, &pg);
		mutex_unlock(&q->w->lock);
		if (pg.count || !pg.next || pg.need <= pg.cap || pg.need > req->buf_len)
			break;
		kvfree(pg.buf);
		pg.cap = pg.need;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	req->used = pg.used;
	req->count = pg.count;
	if (pg.next && !pg.count && pg.need > pg.cap) {
		req->used = pg.need;
		err = -EMSGSIZE;
	} else if (copy_to_user(u64_to_user_ptr(req->buf), pg.buf, pg.used)) {
		err = -EFAULT;
	}
	req->after = pg.next;
	kvfree(pg.buf);
	return err;
}

/* ------------------------------------------------------------ all commands */

static bool takes_path(const struct zkern_watch *req)
{
	return (req->cmd == ZKERN_WATCH_ADD || req->cmd == ZKERN_WATCH_REMOVE) &&
	       req->kind != ZKERN_WATCH_STATE;
}

static bool well_formed(const struct zkern_watch *req)
{
	bool names = req->cmd == ZKERN_WATCH_ADD || req->cmd == ZKERN_WATCH_REMOVE;
	bool lists = req->cmd == ZKERN_WATCH_LIST;

	if (req->cmd > ZKERN_WATCH_QUEUE || (!names && req->kind))
		return false;
	if (!takes_path(req) && (req->path || req->path_len))
		return false;
	if (!lists && (req->buf || req->buf_len || req->after))
		return false;
	if (req->after > (u64)U32_MAX + 1)
		return false;
	return req->cmd == ZKERN_WATCH_QUEUE || !req->queue;
}

int zkern_watch_do(struct zkern_file *zf, struct zkern_watch *req, const char *path)
{
	switch (req->cmd) {
	case ZKERN_WATCH_COUNT:
		return 0;
	case ZKERN_WATCH_ADD:
		return path ? add(zf, req, path) : states(zf, true);
	case ZKERN_WATCH_REMOVE:
		return path ? remove(zf, req, path) : states(zf, false);
	case ZKERN_WATCH_LIST:
		return list(zf, req);
	case ZKERN_WATCH_QUEUE:
		return resize(zf, req->queue);
	}
	return -EINVAL;
}

/* What every command says. */
static void fill_out(struct zkern_file *zf, struct zkern_watch *req)
{
	struct zkern_watcher *q = smp_load_acquire(&zf->watcher);	/* as watcher_get() */
	struct zk_tree *tree;

	if (!req->zxid) {
		rcu_read_lock();
		tree = rcu_dereference(zf->inst->tree);
		req->zxid = tree ? zk_tree_zxid(tree) : 0;
		rcu_read_unlock();
	}
	req->watches = 0;
	req->bytes = 0;
	req->events = zkern_watch_waits(zf, req->zxid);
	req->next = 0;
	if (!q)
		return;
	req->next = watch_ready(q);
	mutex_lock(&q->w->lock);
	req->watches = q->count;
	req->bytes = q->bytes + q->cap;
	mutex_unlock(&q->w->lock);
}

long zkern_ioctl_watch(struct zkern_file *zf, void __user *arg)
{
	char small[ZKERN_PATH_SMALL] __uninitialized;
	struct zkern_watch req;
	char *path = NULL;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	if (!well_formed(&req))
		return -EINVAL;
	if (!rcu_access_pointer(zf->inst->tree))
		return -ENODEV;
	if (takes_path(&req)) {
		path = zkern_path_in(small, req.path, req.path_len);
		if (IS_ERR(path))
			return PTR_ERR(path);
	}
	memset_startat(&req, 0, used);
	err = zkern_watch_do(zf, &req, path);
	fill_out(zf, &req);
	if (zkern_struct_out_from(&req, after, arg, size))
		err = -EFAULT;
	if (path)
		zkern_path_free(small, path);
	return err;
}
