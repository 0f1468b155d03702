// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Freeing what transactions have superseded, after the grace periods it needs, and
 * keeping pins from holding back too much. internal.h has the picture.
 *
 * Locking: the cursors and the queue are the writer's; work is done in batches
 * between which the lock is given up. Grace periods end in the tree's own work
 * (call_rcu(), one at a time) or in whoever waits in zk_tree_reclaim(); both know
 * how far the cursors may go (struct zk_grace) and the later one finds its work done.
 */
#include <linux/kernel.h>
#include <linux/rculist.h>
#include <linux/sched.h>

#include "internal.h"

#define BATCH	512

static enum zk_retired_kind kind_of(const struct zk_step *step)
{
	return zk_tag_of(step->what);
}

/* The first zxid at which nobody needs it. */
static u64 zxid_of(const struct zk_step *step)
{
	bool aside = kind_of(step) == ZK_RETIRED_DATA_ASIDE ||
		     kind_of(step) == ZK_RETIRED_BIRTH_ASIDE;

	return ((const struct zk_ver *)step->by)->zxid + aside;
}

/* ------------------------------------------------------------ one entry */

/*
 * A deleted node goes with the last of each chain; what they superseded stands in
 * the queue before it.
 */
static size_t node_cost(struct zk_tree *tree, const struct zk_node *node,
			const struct zk_ver *tomb)
{
	struct zk_dir *dir = zk_deref(tree, node->dir);

	return zk_node_cost(node) + zk_data_cost(zk_tagged(tomb, ZK_TAG_TOMB)) +
	       zk_data_cost(zk_deref(tree, tomb->older)) +
	       zk_aclver_cost(zk_deref(tree, node->acl)) +
	       (dir ? zk_dir_cost() + zk_dirver_cost() : 0);
}

static size_t cost_of(struct zk_tree *tree, const struct zk_step *step)
{
	void *obj = zk_untag(step->what);

	switch (kind_of(step)) {
	case ZK_RETIRED_DATA:
	case ZK_RETIRED_DATA_ASIDE:
		return zk_data_cost(obj);
	case ZK_RETIRED_BIRTH:
	case ZK_RETIRED_BIRTH_ASIDE:
		return zk_data_cost(zk_tagged(obj, ZK_TAG_BIRTH));
	case ZK_RETIRED_ACLVER:
		return zk_aclver_cost(obj);
	case ZK_RETIRED_ACL:
		return 0;
	case ZK_RETIRED_DIRVER:
		return zk_dirver_cost();
	case ZK_RETIRED_NODE:
		return node_cost(tree, obj, step->by);
	}
	return 0;
}

void zk_retire(struct zk_tree *tree, enum zk_retired_kind kind, void *obj,
	       struct zk_ver *by)
{
	struct zk_step step = { zk_tagged(obj, kind), by };
	size_t cost = cost_of(tree, &step);

	zk_steps_append(&tree->retired, step.what, step.by);
	WRITE_ONCE(tree->retained, tree->retained + cost);
	WRITE_ONCE(tree->held, tree->held + cost);
}

/* After the first grace period nobody looks for it any more: out of reach. */
static void unlink_entry(struct zk_tree *tree, const struct zk_step *step, u64 at)
{
	struct zk_ver *by = step->by;
	void *obj = zk_untag(step->what);

	switch (kind_of(step)) {
	case ZK_RETIRED_NODE:
		zk_detach(tree, obj, at);
		zk_acl_put(&tree->acls,
			   zk_acl_of(zk_deref(tree, ((struct zk_node *)obj)->acl)), at);
		return;
	case ZK_RETIRED_ACLVER:
		zk_acl_put(&tree->acls, ((struct zk_aclver *)obj)->acl, at);
		break;
	case ZK_RETIRED_ACL:
		zk_acl_put(&tree->acls, obj, at);
		break;
	case ZK_RETIRED_DATA:
	case ZK_RETIRED_DATA_ASIDE:
	case ZK_RETIRED_BIRTH:
	case ZK_RETIRED_BIRTH_ASIDE:
	case ZK_RETIRED_DIRVER:
		break;
	}
	RCU_INIT_POINTER(by->older, NULL);
}

static void free_node(struct zk_tree *tree, struct zk_node *node, struct zk_ver *tomb)
{
	struct zk_dir *dir = zk_deref(tree, node->dir);

	zk_data_free(&tree->mem, zk_deref(tree, tomb->older));
	zk_data_free(&tree->mem, zk_tagged(tomb, ZK_TAG_TOMB));
	zk_aclver_free(&tree->mem, zk_deref(tree, node->acl));
	if (dir) {
		zk_dirver_free(&tree->mem, zk_deref(tree, dir->top));
		zk_dir_free(&tree->mem, dir);
	}
	zk_node_free(&tree->mem, node);
}

/* After the second nobody can be standing on it. */
static void free_entry(struct zk_tree *tree, const struct zk_step *step)
{
	void *obj = zk_untag(step->what);

	WRITE_ONCE(tree->retained, tree->retained - cost_of(tree, step));
	switch (kind_of(step)) {
	case ZK_RETIRED_DATA:
	case ZK_RETIRED_DATA_ASIDE:
		zk_data_free(&tree->mem, obj);
		break;
	case ZK_RETIRED_BIRTH:
	case ZK_RETIRED_BIRTH_ASIDE:
		zk_data_free(&tree->mem, zk_tagged(obj, ZK_TAG_BIRTH));
		break;
	case ZK_RETIRED_ACLVER:
		zk_aclver_free(&tree->mem, obj);
		break;
	case ZK_RETIRED_ACL:
		break;
	case ZK_RETIRED_DIRVER:
		zk_dirver_free(&tree->mem, obj);
		break;
	case ZK_RETIRED_NODE:
		free_node(tree, obj, step->by);
		break;
	}
}

void zk_free_dead(struct zk_tree *tree, u64 at)
{
	struct zk_dead *dead, *next;

	list_for_each_entry_safe(dead, next, &tree->dead, link) {
		if (dead->at > at)
			return;
		list_del(&dead->link);
		dead->release(&tree->mem, dead);
		cond_resched();
	}
}

/* ------------------------------------------------------------ the cursors */

/* Frees and unlinks up to @n entries; false when @grace is used up. */
static bool advance(struct zk_tree *tree, const struct zk_grace *grace, unsigned int n)
{
	struct zk_step *step;

	while (n--) {
		if (tree->freed.pos < grace->free_to) {
			free_entry(tree, zk_steps_next(&tree->freed));
			zk_steps_trim(&tree->retired, &tree->freed);
			continue;
		}
		if (tree->unlinked.pos >= grace->unlink_to)
			break;
		step = zk_steps_next(&tree->unlinked);
		unlink_entry(tree, step, tree->unlinked.pos);
	}
	if (tree->freed.pos >= grace->free_to)
		zk_free_dead(tree, grace->free_to);
	return tree->freed.pos < grace->free_to ||
	       tree->unlinked.pos < grace->unlink_to;
}

/* Moves @loose over what no pin needs. */
static void loosen(struct zk_tree *tree)
{
	struct zk_cursor at = tree->loose;
	u64 oldest = ~0ULL;
	struct zk_step *step;

	spin_lock(&tree->pin_lock);
	if (!list_empty(&tree->pins))
		oldest = list_first_entry(&tree->pins, struct zk_pin, link)->zxid;
	spin_unlock(&tree->pin_lock);

	while (at.pos != tree->retired.end.pos) {
		step = zk_steps_next(&at);
		if (zxid_of(step) > oldest)
			return;
		WRITE_ONCE(tree->held, tree->held - cost_of(tree, step));
		tree->loose = at;
		cond_resched();
	}
}

/* The oldest pin if it may be revoked: revoking another would free nothing. */
static bool revoke_oldest(struct zk_tree *tree)
{
	struct zk_pin *pin;
	bool revoked = false;

	spin_lock(&tree->pin_lock);
	if (!list_empty(&tree->pins)) {
		pin = list_first_entry(&tree->pins, struct zk_pin, link);
		if (pin->revocable) {
			WRITE_ONCE(pin->revoked, true);
			list_del_init(&pin->link);
			revoked = true;
		}
	}
	spin_unlock(&tree->pin_lock);
	return revoked;
}

static void loosen_and_revoke(struct zk_tree *tree)
{
	loosen(tree);
	while (tree->held > tree->retain_limit && revoke_oldest(tree))
		loosen(tree);
}

/* What a grace period that begins now will allow. */
static struct zk_grace grace_from_now(const struct zk_tree *tree)
{
	struct zk_grace grace = {
		.free_to = tree->unlinked.pos,
		.unlink_to = tree->loose.pos,
	};

	return grace;
}

static bool nothing_loose(const struct zk_tree *tree)
{
	return tree->freed.pos == tree->loose.pos && list_empty(&tree->dead);
}

/* ------------------------------------------------------------ by itself */

static void grace_over(struct rcu_head *head)
{
	struct zk_tree *tree = container_of(head, struct zk_tree, grace_rcu);

	queue_work(zk_wq, &tree->grace_work);
}

/* The grace period under way holds a reference to the tree. */
void zk_reclaim_kick(struct zk_tree *tree)
{
	lockdep_assert_held(&tree->lock);
	loosen_and_revoke(tree);
	if (tree->waiting || nothing_loose(tree))
		return;
	tree->waiting = true;
	tree->grace = grace_from_now(tree);
	zk_tree_get(tree);
	call_rcu(&tree->grace_rcu, grace_over);
}

static void run_grace(struct zk_tree *tree, const struct zk_grace *grace)
{
	bool more;

	do {
		mutex_lock(&tree->lock);
		more = advance(tree, grace, BATCH);
		mutex_unlock(&tree->lock);
		cond_resched();
	} while (more);
}

static void grace_work(struct work_struct *work)
{
	struct zk_tree *tree = container_of(work, struct zk_tree, grace_work);

	/* Nobody writes @grace while @waiting. */
	run_grace(tree, &tree->grace);
	mutex_lock(&tree->lock);
	tree->waiting = false;
	zk_reclaim_kick(tree);
	mutex_unlock(&tree->lock);
	zk_tree_put(tree);
}

static void kick_work(struct work_struct *work)
{
	struct zk_tree *tree = container_of(work, struct zk_tree, kick_work);

	mutex_lock(&tree->lock);
	zk_reclaim_kick(tree);
	mutex_unlock(&tree->lock);
	zk_tree_put(tree);
}

void zk_reclaim_poke(struct zk_tree *tree)
{
	zk_tree_get(tree);
	if (!queue_work(zk_wq, &tree->kick_work))
		zk_tree_put(tree);
}

/* ------------------------------------------------------------ waited for */

/* Is anything up to entry @goal not freed? */
static bool unfinished(const struct zk_tree *tree, u64 goal)
{
	if (tree->freed.pos < goal)
		return true;
	return !list_empty(&tree->dead) &&
	       list_first_entry(&tree->dead, struct zk_dead, link)->at <= goal;
}

void zk_tree_reclaim(struct zk_tree *tree, bool wait)
{
	struct zk_grace grace;
	u64 goal;

	might_sleep();
	mutex_lock(&tree->lock);
	zk_reclaim_kick(tree);
	goal = tree->loose.pos;
	while (wait && unfinished(tree, goal)) {
		grace = grace_from_now(tree);
		mutex_unlock(&tree->lock);
		synchronize_rcu_expedited();
		run_grace(tree, &grace);
		mutex_lock(&tree->lock);
	}
	mutex_unlock(&tree->lock);
}

void zk_reclaim_throttle(struct zk_tree *tree)
{
	/* A glance without the lock: the next call will do as well. */
	u64 retained = READ_ONCE(tree->retained);
	u64 held = READ_ONCE(tree->held);

	if (retained > held && retained - held > tree->retain_limit)
		zk_tree_reclaim(tree, true);
}

/* ------------------------------------------------------------ life */

void zk_reclaim_init(struct zk_tree *tree)
{
	INIT_WORK(&tree->grace_work, grace_work);
	INIT_WORK(&tree->kick_work, kick_work);
	tree->freed = zk_steps_begin(&tree->retired);
	tree->unlinked = tree->freed;
	tree->loose = tree->freed;
}

void zk_reclaim_destroy(struct zk_tree *tree)
{
	struct zk_grace grace = {
		.free_to = tree->retired.end.pos,
		.unlink_to = tree->retired.end.pos,
	};
	struct zk_step *step;

	/* Nobody reads: what is unlinked may be freed at once. */
	while (tree->unlinked.pos != grace.unlink_to) {
		step = zk_steps_next(&tree->unlinked);
		unlink_entry(tree, step, tree->unlinked.pos);
		cond_resched();
	}
	while (advance(tree, &grace, BATCH))
		cond_resched();
	zk_free_dead(tree, ~0ULL);
}
