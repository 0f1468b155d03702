// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The steps of the transaction being linked: noted as they are done, then either
 * taken back in reverse order or, once published, turned into what is to be
 * reclaimed. There may be a million of them (a session's ephemerals), so each pass
 * over them gives way.
 *
 * Locking: the writer lock is held throughout.
 */
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "internal.h"

static enum zk_step_kind kind_of(const struct zk_step *step)
{
	return zk_tag_of(step->what);
}

int zk_step_reserve(struct zk_tree *tree)
{
	int err = zk_steps_reserve(&tree->undo, 1);

	if (!err)
		err = zk_steps_reserve(&tree->retired, tree->superseding + 1);
	return err;
}

void zk_step_note(struct zk_tree *tree, enum zk_step_kind kind, struct zk_node *node,
		  void *by)
{
	zk_steps_append(&tree->undo, zk_tagged(node, kind), by);
	switch (kind) {
	case ZK_STEP_NODE:
		tree->created++;
		break;
	case ZK_STEP_DATA:
	case ZK_STEP_TOMB:
	case ZK_STEP_ACL:
	case ZK_STEP_DIRVER:
		tree->superseding++;
		break;
	case ZK_STEP_TOUCH:
	case ZK_STEP_DIR:
		break;
	}
}

static void steps_done(struct zk_tree *tree)
{
	zk_steps_reset(&tree->undo);
	zk_steps_unreserve(&tree->retired);
	tree->superseding = 0;
	tree->created = 0;
}

void zk_steps_digest(struct zk_tree *tree)
{
	struct zk_cursor at = zk_steps_begin(&tree->undo);
	struct zk_step *step;
	struct zk_node *node;

	while (at.pos != tree->undo.end.pos) {
		cond_resched();
		step = zk_steps_next(&at);
		if (kind_of(step) != ZK_STEP_NODE && kind_of(step) != ZK_STEP_TOUCH)
			continue;
		node = zk_untag(step->what);
		zk_node_unmark(node, ZK_NODE_TOUCHED | ZK_NODE_DIR_TOUCHED);
		rcu_read_lock();
		tree->next.digest += zk_node_digest(node, ZK_ZXID_LATEST);
		rcu_read_unlock();
	}
}

/* Each node has one step of these kinds: touch() and create() see to that. */
void zk_tree_touched(struct zk_tree *tree,
		     void (*fn)(void *arg, const struct zk_node *node, u64 zxid), void *arg)
{
	struct zk_cursor at = zk_steps_begin(&tree->undo);
	struct zk_step *step;

	lockdep_assert_held(&tree->lock);
	while (at.pos != tree->undo.end.pos) {
		cond_resched();
		step = zk_steps_next(&at);
		if (kind_of(step) == ZK_STEP_NODE || kind_of(step) == ZK_STEP_TOUCH)
			fn(arg, zk_untag(step->what), tree->link_zxid);
	}
}

/* ------------------------------------------------------------ taking back */

static void take_back(struct zk_tree *tree, struct zk_step *step)
{
	struct zk_node *node = zk_untag(step->what);
	struct zk_ver *ver = step->by;
	u64 at = tree->unlinked.pos;
	struct zk_dir *dir;

	switch (kind_of(step)) {
	case ZK_STEP_NODE:
		zk_owner_count(tree, node, false);
		zk_detach(tree, node, at);
		zk_acl_put(&tree->acls, zk_acl_of(zk_deref(tree, node->acl)), at);
		break;
	case ZK_STEP_TOUCH:
		zk_node_unmark(node, ZK_NODE_TOUCHED | ZK_NODE_DIR_TOUCHED);
		break;
	case ZK_STEP_TOMB:
		zk_owner_count(tree, node, true);
		fallthrough;
	case ZK_STEP_DATA:
		rcu_assign_pointer(node->data, zk_deref(tree, ver->older));
		break;
	case ZK_STEP_ACL:
		rcu_assign_pointer(node->acl, zk_deref(tree, ver->older));
		zk_acl_put(&tree->acls, ((struct zk_aclver *)ver)->acl, at);
		break;
	case ZK_STEP_DIR:
		dir = zk_deref(tree, node->dir);
		RCU_INIT_POINTER(node->dir, NULL);
		step->by = dir;
		break;
	case ZK_STEP_DIRVER:
		dir = zk_deref(tree, node->dir);
		rcu_assign_pointer(dir->top, zk_deref(tree, ver->older));
		break;
	}
}

static void free_step(struct zk_tree *tree, struct zk_step *step)
{
	struct zk_node *node = zk_untag(step->what);

	switch (kind_of(step)) {
	case ZK_STEP_NODE:
		zk_data_free(&tree->mem, zk_deref(tree, node->data));
		zk_node_free(&tree->mem, node);
		break;
	case ZK_STEP_TOUCH:
		break;
	case ZK_STEP_TOMB:
		zk_data_free(&tree->mem, zk_tagged(step->by, ZK_TAG_TOMB));
		break;
	case ZK_STEP_DATA:
		zk_data_free(&tree->mem, step->by);
		break;
	case ZK_STEP_ACL:
		zk_aclver_free(&tree->mem, step->by);
		break;
	case ZK_STEP_DIR:
		zk_dir_free(&tree->mem, step->by);
		break;
	case ZK_STEP_DIRVER:
		zk_dirver_free(&tree->mem, step->by);
		break;
	}
}

void zk_undo_all(struct zk_tree *tree)
{
	struct zk_cursor at = tree->undo.end;
	bool any = at.pos || !list_empty(&tree->dead);

	while (at.pos) {
		take_back(tree, zk_steps_prev(&at));
		cond_resched();
	}
	tree->next = tree->now;
	tree->acls.next_id = tree->acl_mark;
	if (any) {
		/*
		 * Readers may have come by what was linked. Expedited: the writer lock
		 * is held.
		 */
		synchronize_rcu_expedited();
		while (at.pos != tree->undo.end.pos) {
			free_step(tree, zk_steps_next(&at));
			cond_resched();
		}
		zk_free_dead(tree, ~0ULL);
	}
	steps_done(tree);
}

/* ------------------------------------------------------------ published */

static enum zk_retired_kind retired_data(const struct zk_tree *tree, const void *old)
{
	if (zk_tag_of(old) == ZK_TAG_BIRTH)
		return tree->link_aside ? ZK_RETIRED_BIRTH_ASIDE : ZK_RETIRED_BIRTH;
	return tree->link_aside ? ZK_RETIRED_DATA_ASIDE : ZK_RETIRED_DATA;
}

static void retire_step(struct zk_tree *tree, const struct zk_step *step)
{
	struct zk_ver *ver = step->by;
	void *old;

	switch (kind_of(step)) {
	case ZK_STEP_TOMB:
		zk_retire(tree, ZK_RETIRED_NODE, zk_untag(step->what), ver);
		break;
	case ZK_STEP_DATA:
		old = zk_deref(tree, ver->older);
		zk_retire(tree, retired_data(tree, old), zk_untag(old), ver);
		break;
	case ZK_STEP_ACL:
		old = zk_deref(tree, ver->older);
		zk_retire(tree, zk_tag_of(old) == ZK_TAG_ACL ? ZK_RETIRED_ACL :
			  ZK_RETIRED_ACLVER, zk_untag(old), ver);
		break;
	case ZK_STEP_DIRVER:
		old = zk_deref(tree, ver->older);
		if (old)
			zk_retire(tree, ZK_RETIRED_DIRVER, old, ver);
		break;
	case ZK_STEP_NODE:
	case ZK_STEP_TOUCH:
	case ZK_STEP_DIR:
		break;
	}
}

void zk_retire_all(struct zk_tree *tree)
{
	struct zk_cursor at = zk_steps_begin(&tree->undo);

	while (at.pos != tree->undo.end.pos) {
		retire_step(tree, zk_steps_next(&at));
		cond_resched();
	}
	steps_done(tree);
}
