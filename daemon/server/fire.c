// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The events of committed transactions (DataTree.createNode, deleteNode, setData,
 * killSession), in the order of their zxids and before they are published.
 *
 * Nobody hears of a node that he may not read: by the node's own ACL, for a change
 * of children by the parent's. A standard watch is spent all the same
 * (NIOServerCnxn.process since CVE-2024-23944 was closed).
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/server/access.h"
#include "daemon/server/core_impl.h"
#include "daemon/server/path.h"

/* One event on its way to all who watch for it. */
struct event {
	struct core *c;
	u64 zxid;
	int type;
	const char *path;
	u32 len;
	bool acl_known;
	struct zacl *acl;	/* reference; NULL: could not be read, nobody hears */
	struct blob *blob;	/* made when the first one hears of it */
};

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

void fire_to(struct core *c, struct client *cl, struct blob *b, u64 zxid)
{
	struct message *m = message_new(cl->conn, MSG_EVENT, 0);

	if (!m) {
		lost(c, cl);
		return;
	}
	m->zxid = zxid;
	m->blob = b;
	__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	post_message(c, m);
}

/* The ACL as of the transaction: the record of the node has it, unless it was
 * dropped for want of memory; then the store, which is one batch behind. */
static void learn_acl(struct event *e)
{
	struct change *rec = change_peek(&e->c->ch, e->path, e->len);
	struct store_node node;
	struct jw out;

	e->acl_known = true;
	if (rec && rec->acl) {
		e->acl = zacl_get(rec->acl);
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

	if (!e->acl_known)
		learn_acl(e);
	if (!e->acl || !zacl_allows(e->acl, PERM_READ, cl->auth))
		return;
	if (!e->blob)
		e->blob = fire_blob(e->type, e->path, e->len);
	if (e->blob)
		fire_to(e->c, cl, e->blob, e->zxid);
	else
		lost(e->c, cl);
}

static void event_init(struct event *e, struct core *c, u64 zxid, int type,
		       const char *path, u32 len)
{
	memset(e, 0, sizeof(*e));
	e->c = c;
	e->zxid = zxid;
	e->type = type;
	e->path = path;
	e->len = len;
}

static void event_done(struct event *e)
{
	zacl_put(e->acl);
	blob_put(e->blob);
}

static void fire(struct core *c, u64 zxid, enum watch_table t, int type, const char *path,
		 u32 len)
{
	struct event e;

	event_init(&e, c, zxid, type, path, len);
	watch_fire(c->watches, t, type, path, len, watch_stamp(c->watches), tell, &e);
	event_done(&e);
}

static void fire_created(struct core *c, u64 zxid, const char *path, u32 len)
{
	fire(c, zxid, WATCH_DATA, EVENT_CREATED, path, len);
	fire(c, zxid, WATCH_CHILD, EVENT_CHILDREN, path, path_parent(path, len));
}

/* Who has both kinds of watch on the node hears of its deletion once. */
static void fire_deleted(struct core *c, u64 zxid, const char *path, u32 len)
{
	u32 stamp = watch_stamp(c->watches);
	struct event e;

	event_init(&e, c, zxid, EVENT_DELETED, path, len);
	watch_fire(c->watches, WATCH_DATA, EVENT_DELETED, path, len, stamp, tell, &e);
	watch_fire(c->watches, WATCH_CHILD, EVENT_DELETED, path, len, stamp, tell, &e);
	event_done(&e);
	fire(c, zxid, WATCH_CHILD, EVENT_CHILDREN, path, path_parent(path, len));
}

/* The paths stand in CloseSessionTxn, behind the header of 32 bytes. */
static void fire_closed(struct core *c, const struct txn *t)
{
	struct jr r;
	s32 n;

	jr_init(&r, t->bytes, t->len);
	jr_take(&r, 32);
	for (n = jr_int(&r); n > 0 && !r.err; n--) {
		struct jstr path = jr_str(&r);

		if (path.len > 0)
			fire_deleted(c, t->zxid, (const char *)path.p, path.len);
	}
}

void fire_txn(struct core *c, const struct txn *t)
{
	for (u32 i = 0; i < t->n_ops; i++) {
		const struct zk_op *op = &t->ops[i];

		switch (op->type) {
		case ZK_OP_CREATE:
			fire_created(c, t->zxid, op->path, op->path_len);
			break;
		case ZK_OP_DELETE:
			fire_deleted(c, t->zxid, op->path, op->path_len);
			break;
		case ZK_OP_SETDATA:
			fire(c, t->zxid, WATCH_DATA, EVENT_DATACHANGED, op->path,
			     op->path_len);
			break;
		case ZK_OP_CLOSE:
			fire_closed(c, t);
			break;
		case ZK_OP_SETACL:
			break;
		}
	}
}
