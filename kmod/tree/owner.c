// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who owns what: a list of ephemerals for each session that has any, and one list
 * of containers and TTL nodes for whoever reaps them.
 *
 * Locking: the tree's writer lock; zk_owner_find() and the lists in an RCU read
 * section. A list without nodes of any life leaves the index and is freed after a
 * grace period.
 */
#include <linux/rculist.h>

#include "internal.h"

static u32 hash_of(const struct zk_tree *tree, u64 id)
{
	return (u32)siphash(&id, sizeof(id), &tree->key);
}

struct zk_owner *zk_owner_find(struct zk_tree *tree, u64 id)
{
	struct zk_hnode *h = zk_index_first(&tree->owners, hash_of(tree, id));
	struct zk_owner *owner;

	for (; h; h = zk_index_next(h)) {
		owner = container_of(h, struct zk_owner, hash);
		if (owner->id == id)
			return owner;
	}
	return NULL;
}

static struct zk_owner *owner_new(struct zk_tree *tree, u64 id)
{
	struct zk_owner *owner = zk_mem_alloc(&tree->mem, ZK_MEM_META, sizeof(*owner));

	if (!owner)
		return NULL;
	owner->id = id;
	owner->live = 0;
	INIT_LIST_HEAD(&owner->nodes);
	owner->hash.hash = hash_of(tree, id);
	zk_index_insert(&tree->owners, &owner->hash);
	return owner;
}

struct zk_owner *zk_owner_get(struct zk_tree *tree, u64 id)
{
	struct zk_owner *owner;

	if (zk_owner_is_timed(id))
		return &tree->timed;
	rcu_read_lock();
	owner = zk_owner_find(tree, id);
	rcu_read_unlock();
	return owner ? owner : owner_new(tree, id);
}

static void owner_release(struct zk_mem *mem, struct zk_dead *dead)
{
	zk_mem_free(mem, ZK_MEM_META, container_of(dead, struct zk_owner, dead),
		    sizeof(struct zk_owner));
}

void zk_owner_put(struct zk_tree *tree, struct zk_owner *owner, u64 at)
{
	if (owner == &tree->timed || !list_empty(&owner->nodes))
		return;
	zk_index_remove(&tree->owners, &owner->hash);
	owner->dead.at = at;
	owner->dead.release = owner_release;
	list_add_tail(&owner->dead.link, &tree->dead);
}

void zk_owner_count(struct zk_tree *tree, struct zk_node *node, bool added)
{
	struct zk_owner *owner;

	if (!(zk_node_meta(node) & ZK_NODE_OWNED))
		return;
	owner = zk_owned_of(node)->home;
	if (added) {
		if (owner != &tree->timed) {
			tree->next.ephemerals++;
			tree->next.owners += !owner->live;
		}
		owner->live++;
		return;
	}
	owner->live--;
	if (owner != &tree->timed) {
		tree->next.ephemerals--;
		tree->next.owners -= !owner->live;
	}
}

void zk_owners_destroy(struct zk_tree *tree)
{
	struct zk_hnode *h;

	while ((h = zk_index_pop(&tree->owners)))
		zk_mem_free(&tree->mem, ZK_MEM_META,
			    container_of(h, struct zk_owner, hash),
			    sizeof(struct zk_owner));
	zk_index_destroy(&tree->owners);
}
