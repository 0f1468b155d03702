// SPDX-License-Identifier: GPL-2.0-only
/*
 * What watches are told when the tree that is read is not changed but replaced
 * (guarantee L): the differences. Of the tree of before a pin is held meanwhile, if need be
 * from its being hidden to another's being shown.
 *
 * A path that is watched by itself is looked up in both trees. Below a recursive watch both
 * trees are walked, the old one for what has gone, then the new one for the rest.
 * All of it under w->lock, by the writer; as long as inst->lock is held nobody changes
 * either tree.
 */
#include <linux/err.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "walk.h"
#include "watch_impl.h"

/* Two trees: @old was seen last, @e.tree and @e.at is to be seen now. */
struct diff {
	struct watch_event e;
	struct zk_tree *old;
	u64 old_at;
	bool lost;
};

/* A node in one tree. @acl stays where it is: the tree does. */
struct side {
	bool there;
	struct zk_stat stat;
	u32 crc;
};

static void look(struct zk_tree *tree, u64 zxid, const char *path, u32 len, struct side *side)
{
	const struct zkern_at at = { .tree = tree, .zxid = zxid };
	struct zk_view view;

	rcu_read_lock();
	side->there = !IS_ERR(zkern_find(&at, path, len, &view));
	if (side->there) {
		side->stat = view.stat;
		side->crc = view.crc;
	}
	rcu_read_unlock();
}

static bool data_differs(const struct side *a, const struct side *b)
{
	return a->stat.czxid != b->stat.czxid || a->stat.mzxid != b->stat.mzxid ||
	       a->stat.version != b->stat.version || a->crc != b->crc;
}

static bool list_differs(const struct side *a, const struct side *b)
{
	return a->stat.czxid != b->stat.czxid || a->stat.pzxid != b->stat.pzxid ||
	       a->stat.cversion != b->stat.cversion ||
	       a->stat.num_children != b->stat.num_children;
}

/* A node that is gone is asked for its ACL where it was. */
static void gone(struct diff *d, const char *path, u32 len)
{
	struct zk_tree *tree = d->e.tree;
	u64 at = d->e.at;

	d->e.tree = d->old;
	d->e.at = d->old_at;
	watch_deleted(&d->e, path, len);
	d->e.tree = tree;
	d->e.at = at;
}

/* What DataTree.setWatches() would tell, for all watches of the path and above. */
static void compare(struct diff *d, const char *path, u32 len)
{
	struct side a, b;

	look(d->old, d->old_at, path, len, &a);
	look(d->e.tree, d->e.at, path, len, &b);
	if (a.there && !b.there) {
		gone(d, path, len);
	} else if (!a.there && b.there) {
		watch_created(&d->e, path, len);
	} else if (a.there && b.there) {
		if (data_differs(&a, &b))
			watch_changed(&d->e, path, len);
		if (list_differs(&a, &b))
			watch_children(&d->e, path, len);
	}
}

static void lost(struct diff *d)
{
	watch_lose_all(d->e.w, d->e.era, d->e.zxid);
	d->lost = true;
}

/* All nodes at and below the @len bytes of w->path in one of the trees. */
static void walk(struct diff *d, struct zk_tree *tree, u64 at, u32 len, bool only_gone)
{
	struct zkern_watches *w = d->e.w;
	struct zk_node *top, *node;
	struct side b;

	if (d->lost)
		return;
	rcu_read_lock();
	top = zk_lookup(tree, w->path, len, at);
	rcu_read_unlock();
	for (node = top; node;) {
		if (!watch_path_of(w, node, &len)) {
			lost(d);
			return;
		}
		if (only_gone)
			look(d->e.tree, d->e.at, w->path, len, &b);
		if (!only_gone)
			compare(d, w->path, len);
		else if (!b.there)
			gone(d, w->path, len);
		rcu_read_lock();
		node = zkern_walk_next(top, node, at, true);
		rcu_read_unlock();
		cond_resched();
	}
}

static bool has_recursive(struct zkern_watches *w, const char *path, u32 len)
{
	u32 hash = watch_hash(w, path, len);

	return wrow_find(w, hash, path, len, WATCH_DATA, WATCH_RECURSIVE) ||
	       wrow_find(w, hash, path, len, WATCH_CHILD, WATCH_RECURSIVE);
}

/* Does the walk for a recursive watch above come by? */
static bool is_below(struct zkern_watches *w, const char *path, u32 len)
{
	if (!w->n_recursive[WATCH_DATA] && !w->n_recursive[WATCH_CHILD])
		return false;
	while ((len = watch_parent_len(path, len)))
		if (has_recursive(w, path, len))
			return true;
	return false;
}

/* A path that is watched, by whichever of its rows was come by first. */
static void compare_row(struct diff *d, struct wrow *row)
{
	struct zkern_watches *w = d->e.w;
	u32 len = wrow_len(row);

	/* the row may go while it is told */
	if (!watch_path_copy(w, row->path, len)) {
		lost(d);
		return;
	}
	wrow_mark_path(w, row->node.hash, w->path, len);
	if (is_below(w, w->path, len))
		return;
	if (!has_recursive(w, w->path, len)) {
		compare(d, w->path, len);
		return;
	}
	/* all paths that the first walk leaves in w->path begin with this one */
	walk(d, d->old, d->old_at, len, true);
	walk(d, d->e.tree, d->e.at, len, false);
}

/* Every row is in the set of somebody who has its hash. */
static void diff_all(struct diff *d)
{
	struct zkern_watches *w = d->e.w;
	struct zkern_watcher *q;
	unsigned long id;
	struct wrow *row;
	u32 i;

	w->pass ^= WROW_PASS;
	xa_for_each(&w->files, id, q) {
		for (i = 0; i < q->n_hashes; i++) {
			while ((row = wrow_next_unseen(w, q->hashes[i])))
				if (!d->lost)
					compare_row(d, row);
			cond_resched();
		}
	}
}

/* From what is pinned in @base to @tree. */
static void tell_differences(struct zkern_watches *w, const struct zkern_pinned *base,
			     struct zk_tree *tree, u64 era)
{
	struct diff d = {
		.e = {
			.w = w,
			.era = era,
			.zxid = zk_tree_zxid(tree),
			.tree = tree,
			.at = zk_tree_zxid(tree),
		},
		.old = base->tree,
		.old_at = base->pin.zxid,
	};

	diff_all(&d);
}

/* ------------------------------------------------------------ the writer */

static struct zk_tree *live_tree(struct zkern_watches *w)
{
	return rcu_dereference_protected(w->inst->tree, lockdep_is_held(&w->inst->lock));
}

static void base_take(struct zkern_watches *w)
{
	w->base.tree = live_tree(w);
	w->base.pin.revocable = false;
	zk_pin_take(w->base.tree, &w->base.pin);
}

static void base_drop(struct zkern_watches *w)
{
	if (w->base.tree)
		zk_pin_drop(w->base.tree, &w->base.pin);
	w->base.tree = NULL;
}

/* A new era, which is @tree's as soon as that is the live one. */
static void next_era(struct zkern_watches *w, struct zk_tree *tree)
{
	preempt_disable();
	write_seqcount_begin(&w->seq);
	w->coming = tree;
	w->era++;
	write_seqcount_end(&w->seq);
	preempt_enable();
}

void zkern_watch_swap_begin(struct zkern_watches *w, struct zk_tree *tree)
{
	mutex_lock(&w->lock);
	next_era(w, tree);
	if (!w->rows.count || w->inst->state == ZKERN_STATE_EMPTY)
		return;
	base_take(w);
	tell_differences(w, &w->base, tree, w->era);
	base_drop(w);
}

void zkern_watch_swap_end(struct zkern_watches *w)
{
	watch_wake(w);
	mutex_unlock(&w->lock);
}

/* Nothing that happens from now on may be read before another state is said. */
static void hide(struct zkern_watches *w)
{
	if (w->rows.count)
		base_take(w);
	next_era(w, live_tree(w));
	WRITE_ONCE(w->hidden_from, w->era);
	/* pairs with shown() */
	smp_wmb();
}

static void show(struct zkern_watches *w)
{
	if (w->base.tree && w->rows.count)
		tell_differences(w, &w->base, live_tree(w), w->era);
	base_drop(w);
}

void zkern_watch_state_begin(struct zkern_watches *w, u32 state)
{
	mutex_lock(&w->lock);
	if (!live_tree(w))
		return;
	if (state == ZKERN_STATE_EMPTY)
		hide(w);
	else if (w->inst->state == ZKERN_STATE_EMPTY)
		show(w);
}

void zkern_watch_state_end(struct zkern_watches *w)
{
	struct zk_tree *tree = live_tree(w);
	u32 state = w->inst->state;
	struct zkern_watcher *q;
	unsigned long id;
	u64 era = w->era;

	/* that the tree is hidden may be read, as what was before */
	if (state == ZKERN_STATE_EMPTY)
		era--;
	xa_for_each(&w->files, id, q)
		if (q->states && tree)
			watch_push(q, ZKERN_EV_STATE, era, zk_tree_zxid(tree), state, NULL, 0);
	watch_wake(w);
	mutex_unlock(&w->lock);
}

void zkern_watch_gone(struct zkern_watches *w)
{
	struct zkern_watcher *q;
	unsigned long id;

	mutex_lock(&w->lock);
	base_drop(w);
	xa_for_each(&w->files, id, q)
		wake_up_poll(&q->zf->events, EPOLLIN | EPOLLERR | EPOLLHUP);
	wake_up_poll(&w->gone, EPOLLERR | EPOLLHUP);
	mutex_unlock(&w->lock);
}
