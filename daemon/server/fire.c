// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The events of committed transactions (DataTree.createNode, deleteNode, setData,
 * killSession), in the order of their zxids and before they are published.
 *
 * Nobody hears of a node that he may not read: by the node's own ACL, for a change
 * of children by the parent's. A standard watch is spent all the same
 * (NIOServerCnxn.process since CVE-2024-23944 was closed).
 *
 * A transaction may have any number of events: a closeSession deletes a million
 * nodes, a node has a hundred thousand watchers. They are posted a budget at a time,
 * so that the core thread takes requests and proposes writes between (pipeline.c
 * sees to it that nothing looks at watches or is published meanwhile); c->firing is
 * how far it has come.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/server/access.h"
#include "daemon/server/core_impl.h"
#include "daemon/server/path.h"

/* int length, int xid, long zxid, int err, int type, int state, string path */
struct blob *fire_blob(int event, const char *path, u32 len)
{
	u32 frame = 4 + 16 + 4 + 4 + 4 + len;
	struct blob *b = malloc(sizeof(*b) + frame);

	if (!b)
		return NULL;
	b->refs = 1;
	b->len = frame;
	jute_put32(b->bytes, frame - 4);
	jute_put32(b->bytes + 4, XID_NOTIFICATION);
	jute_put64(b->bytes + 8, ~0ULL);
	jute_put32(b->bytes + 16, ZOK);
	jute_put32(b->bytes + 20, event);
	jute_put32(b->bytes + 24, STATE_SYNCCONNECTED);
	jute_put32(b->bytes + 28, len);
	memcpy(b->bytes + 32, path, len);
	return b;
}

/* Who cannot be told of an event must not go on as if there had been none. */
static void lost(struct core *c, struct client *cl)
{
	log_ratelimited(LOG_ERROR, "closing %s: no memory for an event", conn_name(cl->conn));
	if (cl->sess)
		client_close(c, cl);
}

static struct message *event_for(struct core *c, struct client *cl, struct blob *b, u64 zxid)
{
	struct message *m = message_new(cl->conn, MSG_EVENT, 0);

	if (!m) {
		lost(c, cl);
		return NULL;
	}
	m->zxid = zxid;
	m->blob = b;
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return m;
}

void fire_to(struct core *c, struct client *cl, struct blob *b, u64 zxid)
{
	struct message *m = event_for(c, cl, b, zxid);

	if (m)
		conn_post(m);
}

/*
 * A client that waits for answers gets the event between them, where 3.8 sends it:
 * it goes with the proposal that fired it, or with the client's last one if that is
 * an earlier one. Until then the client's I/O thread answers nothing by itself. To
 * others it is posted now, but nobody is woken for it before it may be sent: when it
 * is published.
 */
static void post_event(struct event *e, struct client *cl, struct message *m)
{
	struct proposal *p = e->c->firing.p;

	if (!pipeline_busy(e->c, cl)) {
		conn_post(m);
		return;
	}
	if (cl->last_zxid < e->zxid)
		p = cl->last;
	m->next = NULL;
	*p->events_tail = m;
	p->events_tail = &m->next;
}

/* The last of what is outstanding, up to the event's operation, that gave the node an
 * ACL; or NULL. */
static const struct zk_op *acl_op(const struct event *e)
{
	const struct firing *f = &e->c->firing;
	const struct zk_op *last = NULL;

	for (const struct proposal *p = e->c->head; p; p = p->next) {
		u32 n = p == f->p ? f->op + 1 : p->txn->n_ops;

		for (u32 i = 0; i < n; i++) {
			const struct zk_op *op = &p->txn->ops[i];

			if ((op->type == ZK_OP_CREATE || op->type == ZK_OP_SETACL) &&
			    op->path_len == e->len && !memcmp(op->path, e->path, e->len))
				last = op;
		}
		if (p == f->p)
			break;
	}
	return last;
}

/*
 * The ACL as of the operation. The record of the node has the newest, which mostly is
 * that one; it may be a later transaction's, or have been dropped for want of memory.
 * Then the transactions that are outstanding tell, or the store, which is behind them.
 */
static void learn_acl(struct event *e)
{
	struct change *rec = change_peek(&e->c->ch, e->path, e->len);
	const struct zk_op *op;
	struct store_node node;
	struct jw out;

	e->acl_known = true;
	if (rec && rec->acl && (rec->acl_zxid < e->zxid ||
				(rec->acl_zxid == e->zxid &&
				 e->c->firing.p->txn->n_ops == 1))) {
		e->acl = zacl_get(rec->acl);
		return;
	}
	op = acl_op(e);
	if (op) {
		e->acl = zacl_make(&e->c->ch, op->acl, op->acl_len);
		return;
	}
	jw_init(&out, 0);
	if (path_possible(e->path, e->len) &&
	    !e->c->st->ops->acl(e->c->st, e->path, e->len, &node, &out) && !out.err)
		e->acl = zacl_make(&e->c->ch, out.buf, out.len);
	jw_free(&out);
}

static void tell(void *arg, void *owner)
{
	struct client *cl = owner;
	struct event *e = arg;
	struct message *m;

	e->told++;
	if (!e->acl_known)
		learn_acl(e);
	if (!e->acl || !zacl_allows(e->acl, PERM_READ, cl->auth))
		return;
	if (!e->blob)
		e->blob = fire_blob(e->type, e->path, e->len);
	m = e->blob ? event_for(e->c, cl, e->blob, e->zxid) : NULL;
	if (m)
		post_event(e, cl, m);
	else if (!e->blob)
		lost(e->c, cl);
}

/* ------------------------------------------------------------ what fires when */

/* One look at one table of watches. @same: the event is the one before it, for the
 * other table: who has both kinds of watch hears of it once. */
struct shot {
	enum watch_table table;
	int type;
	bool parent;
	bool same;
};

static const struct shot created[] = {
	{ WATCH_DATA, EVENT_CREATED, false, false },
	{ WATCH_CHILD, EVENT_CHILDREN, true, false },
	{ }
};

static const struct shot deleted[] = {
	{ WATCH_DATA, EVENT_DELETED, false, false },
	{ WATCH_CHILD, EVENT_DELETED, false, true },
	{ WATCH_CHILD, EVENT_CHILDREN, true, false },
	{ }
};

static const struct shot changed[] = {
	{ WATCH_DATA, EVENT_DATACHANGED, false, false },
	{ }
};

/* WatchManager.triggerWatch's figures: of each table by itself. */
static void count_told(struct event *e)
{
	static const enum metric_summary of[] = {
		[EVENT_CREATED] = METRIC_node_created_watch_count,
		[EVENT_DELETED] = METRIC_node_deleted_watch_count,
		[EVENT_DATACHANGED] = METRIC_node_changed_watch_count,
		[EVENT_CHILDREN] = METRIC_node_children_watch_count,
	};

	if (e->told)
		metric_add(of[e->type], e->told);
	e->told = 0;
}

static void event_done(struct event *e)
{
	zacl_put(e->acl);
	blob_put(e->blob);
	memset(e, 0, sizeof(*e));
}

static void event_begin(struct core *c, u64 zxid, int type, const char *path, u32 len)
{
	struct event *e = &c->firing.event;

	e->c = c;
	e->zxid = zxid;
	e->type = type;
	e->path = path;
	e->len = len;
	e->stamp = watch_stamp(c->watches);
}

/* What the change of one node fires, from c->firing.shot on. */
static bool fire_node(struct core *c, u64 zxid, const struct shot *shots, const char *path,
		      u32 len, u32 *budget)
{
	struct firing *f = &c->firing;
	struct event *e = &f->event;

	for (const struct shot *s = shots + f->shot; s->type; s++, f->shot++) {
		if (!e->c)
			event_begin(c, zxid, s->type, path,
				    s->parent ? path_parent(path, len) : len);
		if (!watch_fire(c->watches, s->table, e->type, e->path, e->len, e->stamp,
				&f->at, budget, tell, e))
			return false;
		memset(&f->at, 0, sizeof(f->at));
		count_told(e);
		if (!s[1].same)
			event_done(e);
	}
	f->shot = 0;
	return true;
}

/* The paths stand in CloseSessionTxn, behind the header of 32 bytes, or beside it. */
static void closed_paths(const struct txn *t, struct firing *f)
{
	if (t->unlisted) {
		jr_init(&f->paths, t->unlisted, t->unlisted_len);
		jr_take(&f->paths, t->unlisted_at);
	} else {
		jr_init(&f->paths, t->bytes, t->len);
		jr_take(&f->paths, 32);
	}
	f->n_paths = jr_int(&f->paths);
	f->path = (struct jstr){ NULL, -1 };
	f->in_paths = true;
}

static bool fire_closed(struct core *c, const struct txn *t, u32 *budget)
{
	struct firing *f = &c->firing;

	if (!f->in_paths)
		closed_paths(t, f);
	for (;;) {
		if (f->path.len > 0 && !fire_node(c, t->zxid, deleted, (const char *)f->path.p,
						  f->path.len, budget))
			return false;
		f->path.len = -1;
		if (f->n_paths-- <= 0 || f->paths.err)
			break;
		f->path = jr_str(&f->paths);
	}
	f->in_paths = false;
	return true;
}

static bool fire_op(struct core *c, const struct txn *t, const struct zk_op *op, u32 *budget)
{
	switch (op->type) {
	case ZK_OP_CREATE:
		return fire_node(c, t->zxid, created, op->path, op->path_len, budget);
	case ZK_OP_DELETE:
		return fire_node(c, t->zxid, deleted, op->path, op->path_len, budget);
	case ZK_OP_SETDATA:
		return fire_node(c, t->zxid, changed, op->path, op->path_len, budget);
	case ZK_OP_CLOSE:
		return fire_closed(c, t, budget);
	case ZK_OP_SETACL:
		break;
	}
	return true;
}

bool fire_txn(struct core *c, struct proposal *p, u32 *budget)
{
	const struct txn *t = p->txn;
	struct firing *f = &c->firing;

	if (!f->zxid && !watches_exist(c->watches))
		return true;
	f->p = p;
	for (f->zxid = t->zxid; f->op < t->n_ops; f->op++)
		if (!fire_op(c, t, &t->ops[f->op], budget))
			return false;
	memset(f, 0, sizeof(*f));
	return true;
}

void fire_free(struct core *c)
{
	event_done(&c->firing.event);
}
