// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tree's life, its statistics, and pins.
 *
 * Locking: see tree.h. The last reference is dropped anywhere; what it takes to free
 * a tree is done after a grace period, in the workqueue of all trees.
 */
#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "internal.h"

#define DEFAULT_RETAIN_LIMIT	(256ULL << 20)

struct workqueue_struct *zk_wq;

static atomic_t trees = ATOMIC_INIT(0);

int zk_tree_init(void)
{
	int err = zk_mem_init();

	if (err)
		return err;
	zk_wq = alloc_workqueue("zkern_tree", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!zk_wq) {
		zk_mem_exit();
		return -ENOMEM;
	}
	return 0;
}

void zk_tree_exit(void)
{
	int rounds;

	/*
	 * A dropped tree is at most a few grace periods and works from its end:
	 * those that free what it has retired, and the one that frees itself.
	 */
	for (rounds = 0; atomic_read(&trees) && rounds < 16; rounds++) {
		rcu_barrier();
		flush_workqueue(zk_wq);
	}
	WARN_ON(atomic_read(&trees));
	destroy_workqueue(zk_wq);
	zk_mem_exit();
}

/* ------------------------------------------------------------ alloc, free */

static int make_root(struct zk_tree *tree)
{
	struct zk_birth *birth;
	struct zk_acl_ref *acl;
	int err;

	err = zk_acl_get(&tree->acls, &tree->mem, zk_acl_open, zk_acl_open_len, &acl);
	if (err)
		return err;
	/* The CRC-32 of nothing is 0. */
	birth = zk_birth_new(&tree->mem, NULL, 0, 0);
	if (!birth)
		return -ENOMEM;
	tree->root = zk_node_new(&tree->mem, "", 0, 0);
	if (!tree->root) {
		zk_data_free(&tree->mem, zk_tagged(birth, ZK_TAG_BIRTH));
		return -ENOMEM;
	}
	INIT_LIST_HEAD(&tree->root->sibling);
	zk_node_mark(tree->root, ZK_NODE_LOADED);
	RCU_INIT_POINTER(tree->root->data, zk_tagged(birth, ZK_TAG_BIRTH));
	RCU_INIT_POINTER(tree->root->acl, zk_tagged(acl, ZK_TAG_ACL));
	tree->next.nodes = 1;
	tree->next.data_bytes = 1;
	rcu_read_lock();
	tree->next.digest = zk_node_digest(tree->root, ZK_ZXID_LATEST);
	rcu_read_unlock();
	tree->now = tree->next;
	return 0;
}

/* A node with the newest of each chain; older ones were freed with @retired. */
static void free_whole(struct zk_tree *tree, struct zk_node *node)
{
	struct zk_dir *dir = zk_deref(tree, node->dir);

	zk_data_free(&tree->mem, zk_deref(tree, node->data));
	zk_aclver_free(&tree->mem, zk_deref(tree, node->acl));
	if (dir) {
		zk_dirver_free(&tree->mem, zk_deref(tree, dir->top));
		zk_dir_free(&tree->mem, dir);
	}
	zk_node_free(&tree->mem, node);
}

/* Nobody has the tree. The index's list has all nodes, so there is no recursion. */
static void tree_free(struct zk_tree *tree)
{
	struct zk_hnode *h;

	mutex_lock(&tree->lock);
	zk_reclaim_destroy(tree);
	while ((h = zk_index_pop(&tree->nodes))) {
		free_whole(tree, container_of(h, struct zk_node, hash));
		cond_resched();
	}
	if (tree->root)
		free_whole(tree, tree->root);
	zk_index_destroy(&tree->nodes);
	zk_owners_destroy(tree);
	zk_acls_destroy(&tree->acls, &tree->mem);
	zk_steps_destroy(&tree->undo);
	zk_steps_destroy(&tree->retired);
	WARN_ON_ONCE(tree->mem.bytes || tree->retained);
	mutex_unlock(&tree->lock);
	mutex_destroy(&tree->lock);
	kfree(tree);
	atomic_dec(&trees);
}

static void free_work(struct work_struct *work)
{
	tree_free(container_of(work, struct zk_tree, free_work));
}

struct zk_tree *zk_tree_alloc(const struct zk_tree_params *params)
{
	struct zk_tree *tree = kzalloc(sizeof(*tree), GFP_KERNEL_ACCOUNT);

	if (!tree)
		return NULL;
	atomic_inc(&trees);
	mutex_init(&tree->lock);
	spin_lock_init(&tree->pin_lock);
	INIT_LIST_HEAD(&tree->pins);
	INIT_LIST_HEAD(&tree->dead);
	INIT_LIST_HEAD(&tree->timed.nodes);
	INIT_WORK(&tree->free_work, free_work);
	kref_init(&tree->kref);
	get_random_bytes(&tree->key, sizeof(tree->key));
	tree->retain_limit = params && params->retain_limit ? params->retain_limit :
							     DEFAULT_RETAIN_LIMIT;
	zk_index_init(&tree->nodes, &tree->mem);
	zk_index_init(&tree->owners, &tree->mem);
	zk_acls_init(&tree->acls, &tree->mem, &tree->dead);
	if (zk_steps_init(&tree->undo, &tree->mem) ||
	    zk_steps_init(&tree->retired, &tree->mem))
		goto fail;
	zk_reclaim_init(tree);
	if (make_root(tree))
		goto fail;
	return tree;

fail:
	tree_free(tree);
	return NULL;
}

struct zk_tree *zk_tree_get(struct zk_tree *tree)
{
	kref_get(&tree->kref);
	return tree;
}

bool zk_tree_tryget(struct zk_tree *tree)
{
	return kref_get_unless_zero(&tree->kref);
}

static void free_rcu_done(struct rcu_head *head)
{
	struct zk_tree *tree = container_of(head, struct zk_tree, free_rcu);

	queue_work(zk_wq, &tree->free_work);
}

static void tree_release(struct kref *kref)
{
	struct zk_tree *tree = container_of(kref, struct zk_tree, kref);

	call_rcu(&tree->free_rcu, free_rcu_done);
}

void zk_tree_put(struct zk_tree *tree)
{
	kref_put(&tree->kref, tree_release);
}

/* ------------------------------------------------------------ state */

u64 zk_tree_zxid(const struct zk_tree *tree)
{
	/* Pairs with zk_tree_publish(): all that was linked up to it is seen. */
	return smp_load_acquire(&tree->zxid);
}

void zk_tree_stats(struct zk_tree *tree, struct zk_tree_stats *st)
{
	struct zk_counts now;

	spin_lock(&tree->pin_lock);
	st->zxid = tree->zxid;
	st->pins = tree->n_pins;
	now = tree->now;
	spin_unlock(&tree->pin_lock);
	st->digest = now.digest;
	st->nodes = now.nodes;
	st->ephemerals = now.ephemerals;
	st->data_bytes = now.data_bytes;
	st->owners = now.owners;
	st->bytes = READ_ONCE(tree->mem.bytes) + sizeof(*tree);
	st->retained = READ_ONCE(tree->retained);
}

/* ------------------------------------------------------------ pins */

void zk_pin_take(struct zk_tree *tree, struct zk_pin *pin)
{
	zk_tree_get(tree);
	pin->revoked = false;
	spin_lock(&tree->pin_lock);
	pin->zxid = tree->zxid;
	pin->digest = tree->now.digest;
	pin->nodes = tree->now.nodes;
	/* The published zxid only grows: the list stays in order. */
	list_add_tail(&pin->link, &tree->pins);
	tree->n_pins++;
	spin_unlock(&tree->pin_lock);
}

void zk_pin_drop(struct zk_tree *tree, struct zk_pin *pin)
{
	bool was_oldest;

	spin_lock(&tree->pin_lock);
	was_oldest = tree->pins.next == &pin->link;
	/* A revoked pin is on no list, which is what it then stays on. */
	list_del_init(&pin->link);
	tree->n_pins--;
	spin_unlock(&tree->pin_lock);
	if (was_oldest && READ_ONCE(tree->held))
		zk_reclaim_poke(tree);
	zk_tree_put(tree);
}

bool zk_pin_valid(const struct zk_pin *pin)
{
	return !READ_ONCE(pin->revoked);
}
