// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * closeSession: the ephemerals that go with a session, those that are applied and those
 * that are only proposed (PrepRequestProcessor.pRequest2Txn at 3.8). A session may have
 * millions: who is in the store alone gets no record.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/server/path.h"
#include "daemon/server/prepare.h"

struct closing {
	struct prep *p;
	struct change *parent;	/* of the last one, and most have the same */
	bool parent_changed;	/* its digest does not say so yet */
	u64 session;
	u32 n;
	u32 n_unseen;		/* of these, without a record */
};

static void parent_done(struct closing *c)
{
	if (c->parent_changed)
		change_digest(c->p->ch, c->parent);
	c->parent_changed = false;
}

static s32 closing_parent(struct closing *c, const char *path, u32 len)
{
	u32 up = path_parent(path, len);

	if (c->parent && c->parent->len == up && !memcmp(c->parent->path, path, up))
		return 0;
	parent_done(c);
	return prep_get_node(c->p, path, up, &c->parent);
}

/* As prep_forget(), where only the store knows of the node. */
static s32 forget_unseen(struct closing *c, const char *path, u32 len,
			 const struct store_node *node)
{
	if (change_touch(c->p->ch, c->parent, c->p->zxid))
		return prep_fail(c->p, -ENOMEM);
	c->parent->stat.num_children--;
	c->parent->stat.pzxid = c->p->zxid;
	c->parent_changed = true;
	change_ends(c->p->ch, path, len, node);
	c->n_unseen++;
	return ZOK;
}

static int closed(struct closing *c, const char *path, u32 len, s32 err)
{
	if (err) {
		prep_fail(c->p, -EUCLEAN);	/* unless set: a node without a parent */
		return -1;
	}
	prep_put(c->p, path, len);
	c->n++;
	return 0;
}

/* One that has a record. */
static int close_seen(struct closing *c, struct change *rec)
{
	s32 err;

	/* Deleted, or another's by now. */
	if (!rec->exists || rec->stat.owner != c->session)
		return 0;
	err = closing_parent(c, rec->path, rec->len);
	if (!err)
		err = prep_forget(c->p, c->parent, rec);
	return closed(c, rec->path, rec->len, err);
}

static int close_applied(void *arg, const char *path, u32 len, const struct store_node *node)
{
	struct closing *c = arg;
	struct change *rec = change_peek(c->p->ch, path, len);
	s32 err;

	if (rec)
		return close_seen(c, rec);
	err = closing_parent(c, path, len);
	if (!err)
		err = forget_unseen(c, path, len, node);
	return closed(c, path, len, err);
}

static int close_all_applied(struct closing *c)
{
	struct store *st = c->p->ch->st;
	int rc;

	/* What the store has went with an end of it that is not applied. */
	if (changes_ended(c->p->ch, c->session))
		return 0;
	rc = st->ops->owned_nodes(st, c->session, close_applied, c);
	parent_done(c);
	if (!rc && c->n_unseen)
		rc = changes_end(c->p->ch, c->session, c->p->zxid, c->n_unseen);
	return rc;
}

/* Ephemerals that are proposed and not in the store yet. */
static int close_outstanding(struct closing *c)
{
	struct changes *ch = c->p->ch;
	struct change **list, *rec;
	u32 n = 0, k = 0;
	int rc = 0;

	changes_for_each_born(ch, rec)
		n += rec->exists && rec->stat.owner == c->session;
	if (!n)
		return 0;
	list = malloc(n * sizeof(*list));
	if (!list)
		return prep_fail(c->p, -ENOMEM);
	changes_for_each_born(ch, rec)
		if (rec->exists && rec->stat.owner == c->session)
			list[k++] = rec;
	for (k = 0; k < n && !rc; k++)
		rc = close_seen(c, list[k]);
	free(list);
	return rc;
}

/* Keeps the header in p->txn, with an empty list, and moves the rest away. */
static void unlist(struct prep *p, size_t count_at)
{
	p->unlisted = p->txn;
	p->unlisted_at = count_at;
	jw_init(&p->txn, 0);
	jw_bytes(&p->txn, p->unlisted.buf, count_at);
	jw_int(&p->txn, 0);
}

int prep_close(struct prep *p, u64 session)
{
	struct closing c = { .p = p, .session = session };
	size_t count_at = p->txn.len;
	struct zk_op *op;
	int rc;

	jw_int(&p->txn, 0);
	rc = close_all_applied(&c);
	if (!rc)
		rc = close_outstanding(&c);
	if (rc)
		return prep_fail(p, rc < -1 ? rc : -EIO);
	op = prep_add_op(p, ZK_OP_CLOSE);
	if (!op || p->txn.err)
		return prep_fail(p, -ENOMEM);
	op->owner = session;
	jute_put32(p->txn.buf + count_at, c.n);
	if (p->txn.len > p->cfg->max_buffer)
		unlist(p, count_at);
	if (p->txn.err)
		return prep_fail(p, p->txn.err);
	return 0;
}
