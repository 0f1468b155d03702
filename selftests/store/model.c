// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selftests/store/model.h"

static u8 acls[N_ACLS][64];
static u32 acl_lens[N_ACLS];

/* 0 is OPEN_ACL_UNSAFE, 1 is empty, the others are somebody's. */
static void make_acls(void)
{
	int i;

	for (i = 0; i < N_ACLS; i++) {
		u8 *p = acls[i];
		char id[20];
		int n;

		if (i == 0)
			strcpy(id, "anyone");
		else
			snprintf(id, sizeof(id), "user%d:x", i);
		jute_put32(p, i == 1 ? 0 : 1);
		p += 4;
		if (i != 1) {
			const char *scheme = i ? "digest" : "world";

			jute_put32(p, i ? i : 31);
			p += 4;
			for (n = 0; n < 2; n++) {
				const char *s = n ? id : scheme;

				jute_put32(p, strlen(s));
				memcpy(p + 4, s, strlen(s));
				p += 4 + strlen(s);
			}
		}
		acl_lens[i] = p - acls[i];
	}
}

const u8 *test_acl(int i, u32 *len)
{
	if (!acl_lens[0])
		make_acls();
	*len = acl_lens[i];
	return acls[i];
}

int test_acl_number(const u8 *acl, u32 len)
{
	int i;

	for (i = 0; i < N_ACLS; i++) {
		if (len == acl_lens[i] && !memcmp(acl, acls[i], len))
			return i;
	}
	return -1;
}

static struct mnode *add(struct model *m, const char *path, size_t len)
{
	struct mnode *n;

	m->nodes = realloc(m->nodes, (m->n + 1) * sizeof(*m->nodes));
	n = &m->nodes[m->n++];
	memset(n, 0, sizeof(*n));
	n->path = strndup(path, len);
	return n;
}

static void set_data(struct mnode *n, const void *data, s32 len)
{
	free(n->data);
	n->data = malloc(len > 0 ? len : 1);
	if (len > 0)
		memcpy(n->data, data, len);
	n->data_len = len;
}

void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	set_data(add(m, "/", 1), NULL, 0);
}

void model_copy(struct model *to, const struct model *from)
{
	u32 i;

	memset(to, 0, sizeof(*to));
	to->zxid = from->zxid;
	for (i = 0; i < from->n; i++) {
		const struct mnode *f = &from->nodes[i];
		struct mnode *t = add(to, f->path, strlen(f->path));

		t->acl = f->acl;
		t->stat = f->stat;
		set_data(t, f->data, f->data_len);
	}
}

static void drop(struct model *m, struct mnode *n)
{
	free(n->path);
	free(n->data);
	*n = m->nodes[--m->n];
}

void model_free(struct model *m)
{
	while (m->n)
		drop(m, &m->nodes[m->n - 1]);
	free(m->nodes);
	m->nodes = NULL;
}

struct mnode *model_find(const struct model *m, const char *path, size_t len)
{
	u32 i;

	for (i = 0; i < m->n; i++) {
		if (strlen(m->nodes[i].path) == len && !memcmp(m->nodes[i].path, path, len))
			return &m->nodes[i];
	}
	return NULL;
}

static size_t parent_len(const char *path, size_t len)
{
	while (path[len - 1] != '/')
		len--;
	return len > 1 ? len - 1 : 1;
}

u32 model_children(const struct model *m, const char *path)
{
	size_t len = strlen(path);
	u32 i, n = 0;

	for (i = 0; i < m->n; i++) {
		const char *p = m->nodes[i].path;

		n += strlen(p) > 1 && parent_len(p, strlen(p)) == len && !memcmp(p, path, len);
	}
	return n;
}

static void create(struct model *m, const struct zk_txn *t, const struct zk_op *op)
{
	struct mnode *p = model_find(m, op->path, parent_len(op->path, op->path_len));
	s32 cversion = op->pcversion == -1 ? p->stat.cversion + 1 : op->pcversion;
	struct mnode *n;

	if (cversion > p->stat.cversion) {
		p->stat.cversion = cversion;
		p->stat.pzxid = t->zxid;
	}
	n = add(m, op->path, op->path_len);
	set_data(n, op->data, op->data_len);
	n->acl = test_acl_number(op->acl, op->acl_len);
	n->stat.czxid = n->stat.mzxid = n->stat.pzxid = t->zxid;
	n->stat.ctime = n->stat.mtime = t->time;
	n->stat.owner = op->owner;
}

static void delete(struct model *m, const struct zk_txn *t, struct mnode *n)
{
	size_t len = parent_len(n->path, strlen(n->path));
	struct mnode *p = model_find(m, n->path, len);

	if (t->zxid > p->stat.pzxid)
		p->stat.pzxid = t->zxid;
	drop(m, n);
}

static void apply_op(struct model *m, const struct zk_txn *t, const struct zk_op *op)
{
	struct mnode *n = op->path_len ? model_find(m, op->path, op->path_len) : NULL;
	u32 i;

	switch (op->type) {
	case ZK_OP_CREATE:
		create(m, t, op);
		break;
	case ZK_OP_DELETE:
		delete(m, t, n);
		break;
	case ZK_OP_SETDATA:
		set_data(n, op->data, op->data_len);
		n->stat.version = op->version;
		n->stat.mzxid = t->zxid;
		n->stat.mtime = t->time;
		break;
	case ZK_OP_SETACL:
		n->acl = test_acl_number(op->acl, op->acl_len);
		n->stat.aversion = op->version;
		break;
	case ZK_OP_CLOSE:
		for (i = m->n; i-- > 0; ) {
			if (m->nodes[i].stat.owner == op->owner)
				delete(m, t, &m->nodes[i]);
		}
		break;
	}
}

void model_apply(struct model *m, const struct zk_txn *txn)
{
	u32 i;

	for (i = 0; i < txn->n_ops; i++)
		apply_op(m, txn, &txn->ops[i]);
	m->zxid = txn->zxid;
}
