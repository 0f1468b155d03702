// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages of mapped nodes; see map.h for locks and the UAPI header for how they are
 * read. The order of the writer's stores, which readers count on:
 *
 *   a version   begun = n, (wmb) the slot of n, (release) done = n
 *   publishing  all of a transaction's versions, (release) the tree page's zxid, then
 *               the tree's own zxid (zk_tree_publish())
 *   revoking    why, (release) done = 0, begun = beyond all, (wmb) zeros
 *
 * A reader that has loaded anything of a slot's next version finds, behind his fence,
 * begun at that version at least. A reader of zxid z finds all versions up to it in
 * done, since they were stored before z was. An ioctl that has answered at Z has seen
 * the tree's zxid, so the page's had been stored before.
 *
 * The writer may be preempted anywhere: the version before the one that it writes stands
 * until z is published, and longer.
 */
#include "map.h"

#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/math.h>
#include <linux/mm.h>
#include <linux/rhashtable.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "access.h"
#include "file.h"

static_assert(sizeof(struct zkern_map_node) == 64);
static_assert(offsetof(struct zkern_map_slot, data) == 128);

static const struct rhashtable_params table_params = {
	.key_len = sizeof_field(struct zkern_mapped, node),
	.key_offset = offsetof(struct zkern_mapped, node),
	.head_offset = offsetof(struct zkern_mapped, hash),
	.automatic_shrinking = true,
};

/* ------------------------------------------------------------ pages */

/* Bytes of a slot for @len bytes of data: slots begin on lines of their own. */
static size_t slot_len(u32 len)
{
	return ALIGN(offsetof(struct zkern_map_slot, data) + len, 64);
}

static struct zkern_map_slot *slot_of(const struct zkern_mapped *mapped, u64 n)
{
	return (void *)(mapped->pages + 1) + (n & 1) * mapped->slot_len;
}

static void *pages_alloc(u32 n)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN;

	/* one page needs no mapping in the kernel; several can lie anywhere */
	return n == 1 ? (void *)__get_free_page(gfp) : __vmalloc(n * PAGE_SIZE, gfp);
}

static void pages_free(void *pages, u32 n)
{
	if (n == 1)
		free_page((unsigned long)pages);
	else
		vfree(pages);
}

struct page *zkern_mapped_page(const struct zkern_mapped *mapped, unsigned long index)
{
	void *at = (void *)mapped->pages + index * PAGE_SIZE;

	return mapped->n_pages == 1 ? virt_to_page(at) : vmalloc_to_page(at);
}

struct zkern_mapped *zkern_mapped_alloc(u32 len)
{
	struct zkern_mapped *mapped = kzalloc(sizeof(*mapped), GFP_KERNEL_ACCOUNT);
	size_t slot;

	if (!mapped)
		return NULL;
	mapped->n_pages = DIV_ROUND_UP(sizeof(struct zkern_map_node) + 2 * slot_len(len),
				       PAGE_SIZE);
	mapped->pages = pages_alloc(mapped->n_pages);
	if (!mapped->pages) {
		kfree(mapped);
		return NULL;
	}
	slot = mapped->n_pages * PAGE_SIZE - sizeof(struct zkern_map_node);
	slot = ALIGN_DOWN(slot / 2, 64);
	mapped->slot_len = slot;
	mapped->pages->slot_len = slot;
	mapped->room = min_t(size_t, slot - offsetof(struct zkern_map_slot, data),
			     ZKERN_MAP_DATA_MAX);
	INIT_LIST_HEAD(&mapped->link);
	INIT_LIST_HEAD(&mapped->changed);
	init_waitqueue_head(&mapped->wait);
	return mapped;
}

void zkern_mapped_free(struct zkern_mapped *mapped)
{
	if (!mapped)
		return;
	pages_free(mapped->pages, mapped->n_pages);
	kfree(mapped);
}

/* ------------------------------------------------------------ writing them */

/* Under maps->lock: the next version. @zxid: since when. */
static void mapped_write(struct zkern_mapped *mapped, const struct zk_view *view, u64 zxid)
{
	u64 n = mapped->version + 1;
	struct zkern_map_slot *slot = slot_of(mapped, n);
	u32 *filled = &mapped->filled[n & 1];
	u32 len = max_t(s32, view->data_len, 0);
	bool fits = len <= mapped->room;

	WRITE_ONCE(mapped->pages->begun, n);
	/* who sees anything of it knows that it was begun */
	smp_wmb();
	slot->zxid = zxid;
	slot->flags = fits ? 0 : ZKERN_MAP_LONG;
	slot->crc = view->crc;
	zkern_stat_fill(&slot->stat, view);
	if (!fits)
		len = 0;
	if (len)
		memcpy(slot->data, view->data, len);
	if (len < *filled)
		memset(slot->data + len, 0, *filled - len);
	*filled = len;
	/* who sees that it is done sees all of it */
	smp_store_release(&mapped->pages->done, n);
	mapped->version = n;
	mapped->acl_id = view->acl->id;
	mapped->world = view->acl->world & ZKERN_PERM_READ;
}

/* Under maps->lock: leaves the table, and its pages have nothing in them any more. */
static void mapped_wipe(struct zkern_maps *maps, struct zkern_mapped *mapped,
			enum zkern_map_why why)
{
	struct zkern_map_node *pages = mapped->pages;

	rhashtable_remove_fast(&maps->table, &mapped->hash, table_params);
	list_del_init(&mapped->link);
	mapped->revoked = true;
	WRITE_ONCE(pages->why, why);
	/* who sees that there is none sees why */
	smp_store_release(&pages->done, 0);
	WRITE_ONCE(pages->begun, mapped->version + 2);
	/* who sees anything of the zeros finds no version good */
	smp_wmb();
	memset(pages + 1, 0, mapped->n_pages * PAGE_SIZE - sizeof(*pages));
}

/* Under maps->lock: what was written is to be seen. */
static void mapped_show(struct zkern_mapped *mapped)
{
	/* pairs with zkern_mapped_shown() */
	smp_store_release(&mapped->shown, mapped->revoked ? 0 : mapped->version);
	if (wq_has_sleeper(&mapped->wait))
		wake_up_all(&mapped->wait);
}

void zkern_mapped_revoke(struct zkern_maps *maps, struct zkern_mapped *mapped,
			 enum zkern_map_why why)
{
	lockdep_assert_held(&maps->lock);
	mapped_wipe(maps, mapped, why);
	mapped_show(mapped);
}

/* Under maps->lock. */
static void revoke_all(struct zkern_maps *maps, enum zkern_map_why why)
{
	struct zkern_mapped *mapped, *next;

	list_for_each_entry_safe(mapped, next, &maps->all, link) {
		zkern_mapped_revoke(maps, mapped, why);
		cond_resched();
	}
}

/* ------------------------------------------------------------ the table */

struct zkern_mapped *zkern_mapped_find(struct zkern_maps *maps, const struct zk_node *node)
{
	lockdep_assert_held(&maps->lock);
	return rhashtable_lookup_fast(&maps->table, &node, table_params);
}

int zkern_mapped_add(struct zkern_maps *maps, struct zkern_mapped *mapped,
		     const struct zk_node *node, const struct zk_view *view, u64 zxid)
{
	int err;

	lockdep_assert_held(&maps->lock);
	mapped->node = node;
	err = rhashtable_insert_fast(&maps->table, &mapped->hash, table_params);
	if (err)
		return -ENOMEM;
	list_add_tail(&mapped->link, &maps->all);
	mapped_write(mapped, view, zxid);
	mapped_show(mapped);
	return 0;
}

void zkern_mapped_put(struct zkern_maps *maps, struct zkern_mapped *mapped)
{
	bool last;

	mutex_lock(&maps->lock);
	last = !--mapped->files;
	if (last && !mapped->revoked) {
		rhashtable_remove_fast(&maps->table, &mapped->hash, table_params);
		list_del(&mapped->link);
	}
	mutex_unlock(&maps->lock);
	if (last)
		zkern_mapped_free(mapped);
}

/* ------------------------------------------------------------ the writer */

/*
 * Under maps->lock and the tree's writer lock: @node is changed by what was linked. In the
 * writer's view nothing is freed under the latter.
 */
static void node_changed(void *arg, const struct zk_node *node, u64 zxid)
{
	struct zkern_maps *maps = arg;
	struct zkern_mapped *mapped;
	struct zk_view view;

	mapped = zkern_mapped_find(maps, node);
	if (!mapped)
		return;
	rcu_read_lock();
	if (!zk_view(node, ZK_ZXID_LATEST, &view))
		mapped_wipe(maps, mapped, ZKERN_MAP_DELETED);
	else if (view.acl->id != mapped->acl_id &&
		 !(mapped->world && (view.acl->world & ZKERN_PERM_READ)))
		mapped_wipe(maps, mapped, ZKERN_MAP_ACL);
	else
		mapped_write(mapped, &view, zxid);
	rcu_read_unlock();
	list_add_tail(&mapped->changed, &maps->changed);
}

void zkern_maps_apply(struct zkern_maps *maps, struct zk_tree *tree, const struct zk_txn *txn)
{
	u64 zxid = txn->flags & ZK_TXN_ASIDE ? zk_tree_zxid(tree) : txn->zxid;

	mutex_lock(&maps->lock);
	if (!list_empty(&maps->all))
		zk_tree_touched(tree, node_changed, maps);
	/* who sees it sees all versions up to it */
	smp_store_release(&maps->page->zxid, zxid);
}

void zkern_maps_publish(struct zkern_maps *maps)
{
	struct zkern_mapped *mapped, *next;

	lockdep_assert_held(&maps->lock);
	list_for_each_entry_safe(mapped, next, &maps->changed, changed) {
		list_del_init(&mapped->changed);
		mapped_show(mapped);
	}
	mutex_unlock(&maps->lock);
}

void zkern_maps_swap_begin(struct zkern_maps *maps)
{
	mutex_lock(&maps->lock);
	revoke_all(maps, ZKERN_MAP_TREE);
}

void zkern_maps_swap_end(struct zkern_maps *maps, u64 zxid, u64 generation)
{
	WRITE_ONCE(maps->page->zxid, zxid);
	/* who sees the new number sees no zxid of the old tree any more */
	smp_store_release(&maps->page->tree, generation);
	mutex_unlock(&maps->lock);
}

void zkern_maps_hide(struct zkern_maps *maps)
{
	mutex_lock(&maps->lock);
	revoke_all(maps, ZKERN_MAP_TREE);
	mutex_unlock(&maps->lock);
}

void zkern_maps_end(struct zkern_maps *maps)
{
	mutex_lock(&maps->lock);
	WRITE_ONCE(maps->page->tree, 0);
	revoke_all(maps, ZKERN_MAP_REMOVED);
	mutex_unlock(&maps->lock);
}

void zkern_maps_say(struct zkern_maps *maps, u32 state, s64 heard_ns)
{
	struct zkern_map_tree *page = maps->page;
	struct zkern_map_said *said;
	u64 n = page->said_n + 1;

	said = &page->said[n & 1];
	/* who sees anything of it finds the last store to said_n, if not the next one */
	smp_wmb();
	said->heard_ns = heard_ns;
	said->state = state;
	/* who sees it sees what is said */
	smp_store_release(&page->said_n, n);
}

/* ------------------------------------------------------------ an instance's life */

struct zkern_maps *zkern_maps_alloc(void)
{
	struct zkern_maps *maps = kzalloc(sizeof(*maps), GFP_KERNEL_ACCOUNT);

	if (!maps)
		return NULL;
	maps->page = pages_alloc(1);
	if (!maps->page)
		goto err_free;
	if (rhashtable_init(&maps->table, &table_params))
		goto err_page;
	mutex_init(&maps->lock);
	INIT_LIST_HEAD(&maps->all);
	INIT_LIST_HEAD(&maps->changed);
	maps->page->tree = 1;
	zkern_maps_say(maps, ZKERN_STATE_EMPTY, ZKERN_MAP_NEVER);
	return maps;

err_page:
	pages_free(maps->page, 1);
err_free:
	kfree(maps);
	return NULL;
}

void zkern_maps_free(struct zkern_maps *maps)
{
	if (!maps)
		return;
	WARN_ON_ONCE(!list_empty(&maps->all));
	rhashtable_destroy(&maps->table);
	pages_free(maps->page, 1);
	mutex_destroy(&maps->lock);
	kfree(maps);
}
