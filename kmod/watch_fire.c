// SPDX-License-Identifier: GPL-2.0-only
/*
 * The events of a transaction (DataTree.createNode, deleteNode, setData, killSession), put
 * into the queues between linking and publishing it. What fires when is zkernd's
 * daemon/server/fire.c, which tells clients over TCP of the same transactions.
 *
 * All of it under w->lock, by the writer: he holds the tree's lock too, so that nodes and
 * ACLs that exist at the published zxid or were linked just now stay where they are
 * outside of RCU sections.
 *
 * Nothing here fails. The one thing that wants memory is the path of a node that is longer
 * than any before (of a session's ephemerals, of a swapped tree); where there
 * is none, everybody has lost an event.
 */
#include <linux/err.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "access.h"
#include "watch_impl.h"

#define TELL_BATCH	256		/* watchers between two chances to reschedule */

/* ------------------------------------------------------------ paths */

u32 watch_parent_len(const char *path, u32 len)
{
	if (len <= 1)
		return 0;
	while (path[len - 1] != '/')
		len--;
	return len > 1 ? len - 1 : 1;
}

static bool path_room(struct zkern_watches *w, size_t len)
{
	char *path;

	if (len <= w->path_cap)
		return true;
	path = kvmalloc(len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!path)
		return false;
	kvfree(w->path);
	w->path = path;
	w->path_cap = len;
	return true;
}

bool watch_path_of(struct zkern_watches *w, const struct zk_node *node, u32 *len)
{
	size_t n;

	rcu_read_lock();
	n = zk_path(node, w->path, w->path_cap);
	rcu_read_unlock();
	if (n > w->path_cap) {
		if (!path_room(w, n))
			return false;
		rcu_read_lock();
		zk_path(node, w->path, w->path_cap);
		rcu_read_unlock();
	}
	*len = n;
	return true;
}

bool watch_path_copy(struct zkern_watches *w, const char *path, u32 len)
{
	if (!path_room(w, len))
		return false;
	memcpy(w->path, path, len);
	return true;
}

void watch_lose_all(struct zkern_watches *w, u64 era, u64 zxid)
{
	struct zkern_watcher *q;
	unsigned long id;

	xa_for_each(&w->files, id, q)
		if (q->count)
			watch_lose(q, era, zxid);
}

/* ------------------------------------------------------------ the ACL */

/* The ACL that the transaction has given the node so far, or NULL. */
static const struct zk_op *acl_op(const struct watch_event *e)
{
	const struct zk_op *op;
	u32 i;

	for (i = e->op + 1; i-- > 0;) {
		op = &e->txn->ops[i];
		if ((op->type == ZK_OP_CREATE || op->type == ZK_OP_SETACL) &&
		    op->path_len == e->len && !memcmp(op->path, e->path, e->len))
			return op;
	}
	return NULL;
}

static void learn_acl(struct watch_event *e)
{
	const struct zk_op *op = e->txn ? acl_op(e) : NULL;
	const struct zkern_at at = { .tree = e->tree, .zxid = e->at };
	struct zk_view view;

	e->acl_known = true;
	e->acl = NULL;
	if (op) {
		e->raw.jute = op->acl;
		e->raw.len = op->acl_len;
		e->acl = &e->raw;
		return;
	}
	rcu_read_lock();
	if (!IS_ERR(zkern_find(&at, e->path, e->len, &view)))
		e->acl = view.acl;
	rcu_read_unlock();
}

/* ------------------------------------------------------------ telling */

static void tell(struct watch_event *e, struct zkern_watcher *q)
{
	struct zkern_caller who = { .cred = q->cred, .owner = !q->cred };

	if (q->stamp == e->stamp)
		return;
	q->stamp = e->stamp;
	if (!e->acl_known)
		learn_acl(e);
	if (e->acl && zkern_may(e->acl, ZKERN_PERM_READ, &who))
		watch_push(q, e->type, e->era, e->zxid, 0, e->path, e->len);
}

static void tell_row(struct watch_event *e, struct wrow *row)
{
	bool once = wrow_mode(row) == WATCH_ONCE;
	struct zkern_watcher *q;
	u32 id, n = 0;

	for (id = 0; wset_next(&row->set, &id); id++) {
		q = xa_load(&e->w->files, id);
		if (once)
			watch_uncount(q, wrow_len(row));
		tell(e, q);
		if (!(++n % TELL_BATCH))
			cond_resched();
	}
	if (once)
		wrow_free(e->w, row);
}

/* WatchManager.triggerWatch() of one table: the path's own watches, and those above. */
static void fire(struct watch_event *e, enum watch_table t)
{
	struct wrow *rows[WATCH_MODES];
	u32 here = e->len;
	int m;

	wrow_find_all(e->w, watch_hash(e->w, e->path, here), e->path, here, t, rows);
	for (m = 0; m < WATCH_MODES; m++)
		if (rows[m] && (m != WATCH_RECURSIVE || e->type != ZKERN_EV_CHILDREN))
			tell_row(e, rows[m]);
	if (e->type == ZKERN_EV_CHILDREN)
		return;
	while (e->w->n_recursive[t] && (here = watch_parent_len(e->path, here))) {
		rows[0] = wrow_find(e->w, watch_hash(e->w, e->path, here), e->path, here, t,
				    WATCH_RECURSIVE);
		if (rows[0])
			tell_row(e, rows[0]);
	}
}

static void begin(struct watch_event *e, u32 type, const char *path, u32 len)
{
	struct zkern_watcher *q;
	unsigned long id;

	e->type = type;
	e->path = path;
	e->len = len;
	e->acl_known = false;
	e->stamp = ++e->w->stamp;
	if (e->stamp)
		return;
	/* all numbers were used: no watcher has this one any more */
	xa_for_each(&e->w->files, id, q)
		q->stamp = 0;
	e->stamp = ++e->w->stamp;
}

void watch_children(struct watch_event *e, const char *path, u32 len)
{
	begin(e, ZKERN_EV_CHILDREN, path, len);
	fire(e, WATCH_CHILD);
}

static void parent_changed(struct watch_event *e, const char *path, u32 len)
{
	len = watch_parent_len(path, len);
	if (len)
		watch_children(e, path, len);
}

void watch_created(struct watch_event *e, const char *path, u32 len)
{
	begin(e, ZKERN_EV_CREATED, path, len);
	fire(e, WATCH_DATA);
}

/* Who has both kinds of watch hears of it once. */
void watch_deleted(struct watch_event *e, const char *path, u32 len)
{
	begin(e, ZKERN_EV_DELETED, path, len);
	fire(e, WATCH_DATA);
	fire(e, WATCH_CHILD);
}

void watch_changed(struct watch_event *e, const char *path, u32 len)
{
	begin(e, ZKERN_EV_CHANGED, path, len);
	fire(e, WATCH_DATA);
}

/* ------------------------------------------------------------ transactions */

/* A session's ephemerals, in the order in which they were created. */
static void fire_close(struct watch_event *e, u64 owner)
{
	struct zk_node *node, *next;
	struct zk_view view;
	bool stays;
	u32 len;

	rcu_read_lock();
	node = zk_first_owned(e->tree, owner, e->at);
	rcu_read_unlock();
	for (; node; node = next) {
		rcu_read_lock();
		next = zk_next_owned(node, e->at);
		stays = zk_view(node, ZK_ZXID_LATEST, &view);
		rcu_read_unlock();
		if (stays)
			continue;
		if (!watch_path_of(e->w, node, &len)) {
			watch_lose_all(e->w, e->era, e->zxid);
			return;
		}
		watch_deleted(e, e->w->path, len);
		parent_changed(e, e->w->path, len);
		cond_resched();
	}
}

static void fire_op(struct watch_event *e, const struct zk_op *op)
{
	switch (op->type) {
	case ZK_OP_CREATE:
		watch_created(e, op->path, op->path_len);
		parent_changed(e, op->path, op->path_len);
		break;
	case ZK_OP_DELETE:
		watch_deleted(e, op->path, op->path_len);
		parent_changed(e, op->path, op->path_len);
		break;
	case ZK_OP_SETDATA:
		watch_changed(e, op->path, op->path_len);
		break;
	case ZK_OP_CLOSE:
		fire_close(e, op->owner);
		break;
	case ZK_OP_SETACL:
		break;
	}
}

void zkern_watch_apply_begin(struct zkern_watches *w, struct zk_tree *tree,
			     const struct zk_txn *txn)
{
	struct watch_event e = {
		.w = w,
		.zxid = txn->zxid,
		.tree = tree,
		.at = zk_tree_zxid(tree),
		.txn = txn,
	};

	mutex_lock(&w->lock);
	if (!w->rows.count || w->inst->state == ZKERN_STATE_EMPTY || txn->flags & ZK_TXN_ASIDE)
		return;
	e.era = w->era;
	for (e.op = 0; e.op < txn->n_ops; e.op++) {
		fire_op(&e, &txn->ops[e.op]);
		cond_resched();
	}
}

void zkern_watch_apply_end(struct zkern_watches *w)
{
	watch_wake(w);
	mutex_unlock(&w->lock);
}
