// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store in this process: kmod/tree over liburcu.
 *
 * m->home is the served tree, found by RCU; the core thread alone replaces it.
 * Readers stay in one RCU section per call and note the zxid once; a snapshot holds
 * a pin (and through it the tree) and walks in short sections.
 */
#include <linux/types.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <linux/rcupdate.h>

#include "daemon/store/backend.h"

/* A tree and its number among this store's trees. */
struct home {
	struct zk_tree *tree;
	u32 number;
};

struct memory {
	struct store st;
	struct home *home;		/* RCU */
	struct home *loading;		/* the core thread's */
	u32 trees;
};

struct store_snap {
	struct home home;		/* the pin holds the tree */
	struct zk_pin pin;
	bool used;
};

static struct memory *to_memory(struct store *st)
{
	return (struct memory *)st;
}

static struct home *home_new(struct memory *m)
{
	struct home *h = malloc(sizeof(*h));

	if (!h)
		return NULL;
	h->tree = zk_tree_alloc(NULL);
	if (!h->tree) {
		free(h);
		return NULL;
	}
	h->number = m->trees++;
	return h;
}

static void home_free(struct home *h)
{
	if (!h)
		return;
	zk_tree_put(h->tree);
	free(h);
}

/* ---------------------------------------------------------------- reading */

static void fill_node(struct store_node *node, const struct home *h, u64 zxid,
		      const struct zk_view *v)
{
	node->zxid = zxid;
	node->acl_id = store_acl_id(h->number, v->acl->id);
	node->crc = v->crc;
	node->data_len = v->data_len;
	node->stat = v->stat;
}

/* RCU: the node at @path now; -ENOENT with node->zxid set. */
static int look(struct home *h, const char *path, u32 len, struct store_node *node,
		struct zk_node **found, struct zk_view *v)
{
	u64 zxid = zk_tree_zxid(h->tree);
	struct zk_node *n = zk_lookup(h->tree, path, len, zxid);

	if (!n || !zk_view(n, zxid, v)) {
		node->zxid = zxid;
		return -ENOENT;
	}
	fill_node(node, h, zxid, v);
	*found = n;
	return 0;
}

static int memory_get(struct store *st, const char *path, u32 len, struct store_node *node,
		      void *buf, u32 cap)
{
	struct memory *m = to_memory(st);
	struct zk_node *n;
	struct zk_view v;
	int rc;

	rcu_read_lock();
	rc = look(rcu_dereference(m->home), path, len, node, &n, &v);
	if (!rc && buf && v.data_len > 0) {
		if ((u32)v.data_len <= cap)
			memcpy(buf, v.data, v.data_len);
		else
			rc = -EMSGSIZE;
	}
	rcu_read_unlock();
	return rc;
}

static int memory_acl(struct store *st, const char *path, u32 len, struct store_node *node,
		      struct jw *out)
{
	struct memory *m = to_memory(st);
	struct zk_node *n;
	struct zk_view v;
	int rc;

	rcu_read_lock();
	rc = look(rcu_dereference(m->home), path, len, node, &n, &v);
	if (!rc) {
		jw_bytes(out, v.acl->jute, v.acl->len);
		rc = out->err;
	}
	rcu_read_unlock();
	return rc;
}

static int memory_children(struct store *st, const char *path, u32 len,
			   struct store_node *node, struct jw *out)
{
	struct memory *m = to_memory(st);
	size_t at = out->len;
	struct zk_node *n, *c;
	struct zk_view v;
	const char *name;
	u32 name_len;
	s32 count = 0;
	int rc;

	rcu_read_lock();
	rc = look(rcu_dereference(m->home), path, len, node, &n, &v);
	if (!rc) {
		jw_int(out, 0);
		for (c = zk_first_child(n, node->zxid); c && !out->err;
		     c = zk_next_child(c, node->zxid)) {
			name = zk_name(c, &name_len);
			jw_str(out, name, name_len);
			count++;
		}
		rc = out->err;
		if (rc)
			out->len = at;
		else
			jute_put32(out->buf + at, count);
	}
	rcu_read_unlock();
	return rc;
}

/* RCU: appends a node's path with its length before it. */
static int add_path(struct jw *w, const struct zk_node *n)
{
	size_t len = zk_path(n, NULL, 0);
	u8 *p;

	jw_int(w, len);
	p = jw_add(w, len);
	if (!p)
		return w->err;
	zk_path(n, (char *)p, len);
	return 0;
}

/* The gathered paths, one by one; outside of RCU, so that @fn may do as it likes. */
static int hand_out(struct jw *w, int (*fn)(void *arg, const char *path, u32 len), void *arg)
{
	struct jr r;
	int rc = w->err;

	jr_init(&r, w->buf, w->len);
	while (!rc && jr_left(&r)) {
		struct jstr s = jr_str(&r);

		rc = r.err ? r.err : fn(arg, (const char *)s.p, s.len);
	}
	jw_free(w);
	return rc;
}

static int memory_owned(struct store *st, u64 session,
			int (*fn)(void *arg, const char *path, u32 len), void *arg)
{
	struct memory *m = to_memory(st);
	struct zk_tree *tree;
	struct zk_node *n;
	struct jw w;
	u64 zxid;

	jw_init(&w, 0);
	rcu_read_lock();
	tree = rcu_dereference(m->home)->tree;
	zxid = zk_tree_zxid(tree);
	for (n = zk_first_owned(tree, session, zxid); n; n = zk_next_owned(n, zxid)) {
		if (add_path(&w, n))
			break;
	}
	rcu_read_unlock();
	return hand_out(&w, fn, arg);
}

static int memory_timed(struct store *st, int (*fn)(void *arg, const char *path, u32 len),
			void *arg)
{
	struct memory *m = to_memory(st);
	struct zk_tree *tree;
	struct zk_node *n;
	struct jw w;
	u64 zxid;

	jw_init(&w, 0);
	rcu_read_lock();
	tree = rcu_dereference(m->home)->tree;
	zxid = zk_tree_zxid(tree);
	for (n = zk_first_timed(tree, zxid); n; n = zk_next_timed(n, zxid)) {
		if (add_path(&w, n))
			break;
	}
	rcu_read_unlock();
	return hand_out(&w, fn, arg);
}

static int memory_info(struct store *st, struct store_info *info)
{
	struct memory *m = to_memory(st);

	memset(info, 0, sizeof(*info));
	rcu_read_lock();
	zk_tree_stats(rcu_dereference(m->home)->tree, &info->stats);
	rcu_read_unlock();
	info->kind = "memory";
	info->zxid = info->stats.zxid;
	info->digest = info->stats.digest;
	return 0;
}

/* ---------------------------------------------------------------- snapshots */

static int memory_snap_open(struct store *st, struct store_snap **out, u64 *zxid, u64 *digest,
			    u64 *nodes)
{
	struct memory *m = to_memory(st);
	struct store_snap *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	rcu_read_lock();
	s->home = *rcu_dereference(m->home);
	zk_pin_take(s->home.tree, &s->pin);
	rcu_read_unlock();
	*zxid = s->pin.zxid;
	*digest = s->pin.digest;
	*nodes = s->pin.nodes;
	*out = s;
	return 0;
}

static void memory_snap_close(struct store_snap *s)
{
	zk_pin_drop(s->home.tree, &s->pin);
	free(s);
}

/* RCU: @rec for a node of the snapshot; its path goes to @path. */
static int fill_rec(struct store_snap *s, const struct zk_node *n, struct jw *path,
		    struct store_rec *rec)
{
	struct zk_view v;
	size_t len;

	if (!zk_view(n, s->pin.zxid, &v))
		return -ESTALE;
	len = zk_path(n, (char *)path->buf, path->cap);
	if (len > path->cap) {
		path->len = 0;
		if (!jw_add(path, len))
			return path->err;
		zk_path(n, (char *)path->buf, path->cap);
	}
	rec->path = (const char *)path->buf;
	rec->path_len = len;
	rec->acl = v.acl->jute;
	rec->acl_len = v.acl->len;
	rec->data = v.data;
	fill_node(&rec->node, &s->home, s->pin.zxid, &v);
	return 0;
}

/* The pin keeps what a record points to; RCU is for the step to the next node. */
static int memory_snap_each(struct store_snap *s, const char *top, u32 top_len,
			    int (*fn)(void *arg, const struct store_rec *rec), void *arg)
{
	u64 zxid = s->pin.zxid;
	struct zk_node *first, *n;
	struct store_rec rec;
	struct jw path;
	int rc;

	if (s->used)
		return -ESPIPE;
	s->used = true;
	jw_init(&path, 0);
	rcu_read_lock();
	first = zk_pin_valid(&s->pin) ? zk_lookup(s->home.tree, top, top_len, zxid) : NULL;
	rc = first ? 0 : -ENOENT;
	for (n = first; n && !rc; ) {
		rc = zk_pin_valid(&s->pin) ? fill_rec(s, n, &path, &rec) : -ESTALE;
		rcu_read_unlock();
		if (!rc)
			rc = fn(arg, &rec);
		rcu_read_lock();
		if (!rc && !zk_pin_valid(&s->pin))
			rc = -ESTALE;
		if (!rc)
			n = zk_next_preorder(first, n, zxid);
	}
	rcu_read_unlock();
	jw_free(&path);
	return rc;
}

/* There may be a million; the pin keeps one until the next is found. */
static int memory_owned_nodes(struct store *st, u64 session,
			      int (*fn)(void *arg, const char *path, u32 len,
					const struct store_node *node), void *arg)
{
	struct store_snap s = { .used = true };
	struct store_rec rec;
	struct zk_node *n;
	struct jw path;
	int rc = 0;

	jw_init(&path, 0);
	rcu_read_lock();
	s.home = *rcu_dereference(to_memory(st)->home);
	zk_pin_take(s.home.tree, &s.pin);
	n = zk_first_owned(s.home.tree, session, s.pin.zxid);
	while (n && !rc) {
		rc = fill_rec(&s, n, &path, &rec);
		rcu_read_unlock();
		if (!rc)
			rc = fn(arg, rec.path, rec.path_len, &rec.node);
		rcu_read_lock();
		n = zk_next_owned(n, s.pin.zxid);
	}
	rcu_read_unlock();
	zk_pin_drop(s.home.tree, &s.pin);
	jw_free(&path);
	return rc;
}

/* ---------------------------------------------------------------- writing */

static void publish_zxid(struct store *st, u64 zxid)
{
	__atomic_store_n(&st->zxid, zxid, __ATOMIC_RELEASE);
}

static int memory_apply(struct store *st, const struct zk_txn *txns, int n, u64 *digests,
			int *err)
{
	struct zk_tree *tree = to_memory(st)->home->tree;
	struct zk_link_result res;
	int i, rc = 0;

	for (i = 0; i < n; i++) {
		rc = zk_tree_apply(tree, &txns[i], &res);
		if (rc)
			break;
		publish_zxid(st, zk_tree_zxid(tree));
		if (digests)
			digests[i] = res.digest;
	}
	*err = rc;
	return i;
}

static void memory_load_abort(struct store *st)
{
	struct memory *m = to_memory(st);

	home_free(m->loading);
	m->loading = NULL;
}

static int memory_load_begin(struct store *st, u64 nodes)
{
	struct memory *m = to_memory(st);

	memory_load_abort(st);
	m->loading = home_new(m);
	if (!m->loading)
		return -ENOMEM;
	zk_tree_load_begin(m->loading->tree, nodes);
	return 0;
}

static int memory_load_node(struct store *st, const struct store_rec *rec)
{
	struct memory *m = to_memory(st);
	struct zk_view v = {
		.data = rec->data,
		.data_len = rec->node.data_len,
		.crc = rec->node.crc,
		.stat = rec->node.stat,
	};

	if (!m->loading)
		return -EINVAL;
	return zk_tree_load(m->loading->tree, rec->path, rec->path_len, &v, rec->acl,
			    rec->acl_len);
}

static int memory_load_txn(struct store *st, const struct zk_txn *txn, u64 *digest)
{
	struct memory *m = to_memory(st);
	struct zk_link_result res;
	int rc;

	if (!m->loading)
		return -EINVAL;
	rc = zk_tree_apply(m->loading->tree, txn, &res);
	if (!rc && digest)
		*digest = res.digest;
	return rc;
}

/* Swaps; the old tree goes when nobody looks at it any more. */
static int memory_load_commit(struct store *st, u64 zxid)
{
	struct memory *m = to_memory(st);
	struct home *old = m->home;
	int rc;

	if (!m->loading)
		return -EINVAL;
	rc = zk_tree_load_done(m->loading->tree, zxid);
	if (rc)
		return rc;
	rcu_assign_pointer(m->home, m->loading);
	m->loading = NULL;
	publish_zxid(st, zxid);
	synchronize_rcu();
	home_free(old);
	return 0;
}

static int memory_set_state(struct store *st, enum store_state state, u64 heard_ms)
{
	(void)st;
	(void)state;
	(void)heard_ms;
	return 0;
}

/* ---------------------------------------------------------------- open, close */

/* The trees' common part is there as long as any store of this process is. */
static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;
static int users;

/*
 * liburcu starts its thread for call_rcu() when first there is need for it, and who
 * needs it first may let signals in just then (main.c, recover()): they would end the
 * process whenever the main thread does not wait for them.
 */
static void start_call_rcu(void)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	get_default_call_rcu_data();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static int trees_get(void)
{
	int rc = 0;

	pthread_mutex_lock(&users_lock);
	if (!users)
		rc = zk_tree_init();
	if (!users && !rc)
		start_call_rcu();
	if (!rc)
		users++;
	pthread_mutex_unlock(&users_lock);
	return rc;
}

static void trees_put(void)
{
	pthread_mutex_lock(&users_lock);
	if (!--users)
		zk_tree_exit();
	pthread_mutex_unlock(&users_lock);
}

static void memory_close(struct store *st)
{
	struct memory *m = to_memory(st);

	memory_load_abort(st);
	home_free(m->home);
	free(m);
	trees_put();
}

static const struct store_ops memory_ops = {
	.kind = "memory",
	.close = memory_close,
	.info = memory_info,
	.get = memory_get,
	.acl = memory_acl,
	.children = memory_children,
	.owned = memory_owned,
	.owned_nodes = memory_owned_nodes,
	.timed = memory_timed,
	.snap_open = memory_snap_open,
	.snap_each = memory_snap_each,
	.snap_close = memory_snap_close,
	.apply = memory_apply,
	.load_begin = memory_load_begin,
	.load_node = memory_load_node,
	.load_txn = memory_load_txn,
	.load_commit = memory_load_commit,
	.load_abort = memory_load_abort,
	.set_state = memory_set_state,
};

int memory_store_open(struct store **st, const char **why)
{
	struct memory *m;
	int rc;

	*why = "out of memory";
	rc = trees_get();
	if (rc)
		return rc;
	m = calloc(1, sizeof(*m));
	if (m)
		m->home = home_new(m);
	if (!m || !m->home) {
		free(m);
		trees_put();
		return -ENOMEM;
	}
	m->st.ops = &memory_ops;
	*st = &m->st;
	return 0;
}
