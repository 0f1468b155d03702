// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The single writes: what each checks, in which order, what it writes and what it
 * answers (PrepRequestProcessor.pRequest2Txn at 3.8, FinalRequestProcessor).
 *
 * All checks come before the first change of a record.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/server/access.h"
#include "daemon/server/path.h"
#include "daemon/server/prepare.h"
#include "daemon/server/quota.h"
#include "daemon/server/read.h"

#define TTL_MAX		0xffffffffffLL	/* EphemeralType.TTL.maxValue() */
#define VERSION_ANY	(-1)
#define NO_TTL		ZK_OWNER_TTL_MASK	/* a TTL is not 0 */

static bool read_acl(struct jr *r, struct wish *w)
{
	s32 n;

	w->acl = r->p;
	n = jr_int(r);
	for (; !r->err && n > 0; n--) {
		jr_int(r);
		jr_str(r);
		jr_str(r);
	}
	w->acl_len = r->p - w->acl;
	return !r->err;
}

bool wish_read(struct jr *r, s32 type, struct wish *w)
{
	memset(w, 0, sizeof(*w));
	w->type = type;
	w->ttl = -1;
	switch (type) {
	case OP_CREATE:
	case OP_CREATE2:
	case OP_CREATECONTAINER:
	case OP_CREATETTL:
		w->path = jr_str(r);
		w->data = jr_str(r);
		read_acl(r, w);
		w->flags = jr_int(r);
		if (type == OP_CREATETTL)
			w->ttl = jr_long(r);
		break;
	case OP_DELETE:
	case OP_CHECK:
		w->path = jr_str(r);
		w->version = jr_int(r);
		break;
	case OP_SETDATA:
		w->path = jr_str(r);
		w->data = jr_str(r);
		w->version = jr_int(r);
		break;
	case OP_SETACL:
		w->path = jr_str(r);
		read_acl(r, w);
		w->version = jr_int(r);
		break;
	case OP_RECONFIG:
		w->joining = jr_str(r);
		w->leaving = jr_str(r);
		w->members = jr_str(r);
		w->from = jr_long(r);
		break;
	case OP_DELETECONTAINER:
		break;
	default:
		return false;
	}
	return !r->err;
}

/* ------------------------------------------------------------ checks */

static const char *chars(struct jstr s)
{
	return (const char *)s.p;
}

static s64 bytes_of(struct jstr data)
{
	return data.len > 0 ? data.len : 0;
}

s32 prep_get_node(struct prep *p, const char *path, u32 len, struct change **rec)
{
	int rc = change_get(p->ch, path, len, rec);

	if (rc == -ENOENT)
		return ZNONODE;
	return rc ? prep_fail(p, rc) : ZOK;
}

static bool may(const struct prep *p, const struct change *rec, u32 perms)
{
	return zacl_allows(rec->acl, perms, p->auth);
}

/* The path's last slash and no NUL: else Java's code throws. */
static s32 check_has_parent(struct jstr path)
{
	if (path.len < 0)
		return ZMARSHALLINGERROR;
	if (!memchr(path.p, '/', path.len) || memchr(path.p, 0, path.len))
		return ZBADARGUMENTS;
	return ZOK;
}

static s32 check_path(struct jstr path)
{
	return path.len > 0 && path_valid(chars(path), path.len) ? ZOK : ZBADARGUMENTS;
}

static s32 check_version(s32 now, s32 wanted)
{
	return wanted == VERSION_ANY || wanted == now ? ZOK : ZBADVERSION;
}

static s32 next_version(s32 v)
{
	return (u32)v + 1;
}

/* Whether a node with this owner is an ephemeral of a session (EphemeralType.get). */
static bool is_ephemeral(const struct prep *p, u64 owner)
{
	if (!owner || owner == ZK_OWNER_CONTAINER)
		return false;
	return !(p->cfg->extended_types && (owner & ZK_OWNER_TTL_MASK) == ZK_OWNER_TTL_MASK);
}

/* The ACL to be stored, for a client's. The bytes are good until the next call. */
static s32 fixup(struct prep *p, const struct wish *w, const u8 **acl, u32 *len)
{
	static const u8 open[] = {
		0, 0, 0, 1, 0, 0, 0, PERM_ALL,
		0, 0, 0, 5, 'w', 'o', 'r', 'l', 'd',
		0, 0, 0, 6, 'a', 'n', 'y', 'o', 'n', 'e',
	};
	s32 err;

	*acl = w->acl;
	*len = w->acl_len;
	if (w->acl_len == sizeof(open) && !memcmp(w->acl, open, sizeof(open)))
		return ZOK;
	p->acl.len = 0;
	err = access_fixup(w->acl, w->acl_len, p->auth, &p->acl);
	if (err == ZSYSTEMERROR)
		return prep_fail(p, -ENOMEM);
	*acl = p->acl.buf;
	*len = p->acl.len;
	return err;
}

/* ------------------------------------------------------------ results */

void prep_put_stat(struct prep *p, const struct change *rec)
{
	u8 *b = jw_add(&p->out, ZK_STAT_LEN);

	if (b)
		stat_put(b, &rec->stat, rec->data_len);
}

/* ------------------------------------------------------------ create */

struct creation {
	const char *path;	/* in full, sequence number and all */
	u32 len;
	u32 parent_len;
	const u8 *acl;
	u32 acl_len;
	bool ephemeral;
	bool sequential;
	u64 owner;
	struct change *parent;
};

static s32 check_mode(const struct prep *p, const struct wish *w, struct creation *c)
{
	bool ttl = w->flags == CREATE_TTL || w->flags == CREATE_TTL_SEQ;

	if (w->flags < CREATE_PERSISTENT || w->flags > CREATE_TTL_SEQ)
		return ZBADARGUMENTS;
	if (ttl && !p->cfg->extended_types)
		return ZUNIMPLEMENTED;
	if (ttl ? w->ttl <= 0 || w->ttl > TTL_MAX : w->ttl >= 0)
		return ZBADARGUMENTS;
	c->ephemeral = w->flags == CREATE_EPHEMERAL || w->flags == CREATE_EPHEMERAL_SEQ;
	c->sequential = w->flags == CREATE_PERSISTENT_SEQ ||
			w->flags == CREATE_EPHEMERAL_SEQ || w->flags == CREATE_TTL_SEQ;
	/* The owner that applying the record will give it: by the record's type, not
	 * by the flags. */
	if (w->type == OP_CREATECONTAINER)
		c->owner = ZK_OWNER_CONTAINER;
	else if (w->type == OP_CREATETTL)
		c->owner = ttl ? ZK_OWNER_TTL_MASK | (u64)w->ttl : NO_TTL;
	else
		c->owner = c->ephemeral ? p->session : 0;
	return c->ephemeral ? p->no_ephemerals : ZOK;
}

/* How many children were ever created, as this transaction has it. */
static s32 cversion_of(const struct prep *p, const struct change *parent)
{
	return parent->cversion_zxid == p->zxid ? parent->cversion : parent->stat.cversion;
}

static s32 full_name(struct prep *p, const struct wish *w, struct creation *c)
{
	char digits[16];
	int n;

	c->path = chars(w->path);
	c->len = w->path.len;
	if (!c->sequential)
		return ZOK;
	n = snprintf(digits, sizeof(digits), "%010d", cversion_of(p, c->parent));
	p->path.len = 0;
	jw_bytes(&p->path, w->path.p, w->path.len);
	jw_bytes(&p->path, digits, n);
	if (p->path.err)
		return prep_fail(p, p->path.err);
	c->path = (const char *)p->path.buf;
	c->len = p->path.len;
	return ZOK;
}

static s32 check_create(struct prep *p, const struct wish *w, struct creation *c)
{
	struct change *rec;
	s32 err = check_mode(p, w, c);

	if (!err)
		err = check_has_parent(w->path);
	if (!err)
		err = fixup(p, w, &c->acl, &c->acl_len);
	if (err)
		return err;
	c->parent_len = path_parent(chars(w->path), w->path.len);
	err = prep_get_node(p, chars(w->path), c->parent_len, &c->parent);
	if (err)
		return err;
	if (!may(p, c->parent, PERM_CREATE))
		return ZNOAUTH;
	err = full_name(p, w, c);
	if (err)
		return err;
	if (!path_valid(c->path, c->len))
		return ZBADARGUMENTS;
	err = prep_get_node(p, c->path, c->len, &rec);
	if (err != ZNONODE)
		return err ? err : ZNODEEXISTS;
	if (is_ephemeral(p, c->parent->stat.owner))
		return ZNOCHILDRENFOREPHEMERALS;
	err = quota_check(p, c->path, c->len, 1, bytes_of(w->data));
	/* 3.8 takes a createTTL whose flags say nothing of TTL, and dies applying it. */
	if (!err && w->type == OP_CREATETTL && c->owner == NO_TTL)
		return ZBADARGUMENTS;
	return err;
}

/* CreateTxn, CreateTTLTxn, CreateContainerTxn */
static void record_create(struct prep *p, const struct wish *w, const struct creation *c,
			  s32 pcversion, u32 crc)
{
	struct zk_op *op = prep_add_op(p, ZK_OP_CREATE);

	if (!op)
		return;
	op->path = prep_put(p, c->path, c->len);
	op->path_len = c->len;
	op->data = prep_put(p, w->data.p, w->data.len);
	op->data_len = w->data.len;
	op->acl = (const u8 *)(uintptr_t)p->txn.len;
	op->acl_len = c->acl_len;
	op->owner = c->owner;
	op->pcversion = pcversion;
	op->crc = crc;
	jw_bytes(&p->txn, c->acl, c->acl_len);
	if (w->type == OP_CREATE || w->type == OP_CREATE2)
		jw_bool(&p->txn, c->ephemeral);
	jw_int(&p->txn, pcversion);
	if (w->type == OP_CREATETTL)
		jw_long(&p->txn, w->ttl);
}

/*
 * One more child. The number after 2^31-1 is -2^31, which goes into the record of the
 * transaction; but applying it, DataTree.createNode() takes only a greater one, so
 * that the parent keeps the greatest, and its pzxid. What comes next within the same
 * transaction is prepared by the number; after it, what the tree has counts.
 *
 * -1 in the record means "one more", which it is, too.
 */
static void count_child(struct prep *p, struct change *parent, s32 n)
{
	s32 next = n;

	parent->cversion = n;
	parent->cversion_zxid = p->zxid;
	if (n == -1)
		next = next_version(parent->stat.cversion);
	if (next > parent->stat.cversion) {
		parent->stat.cversion = next;
		parent->stat.pzxid = p->zxid;
	}
	parent->stat.num_children++;
	change_digest(p->ch, parent);
}

s32 prep_add_node(struct prep *p, struct change *parent, const struct zk_op *op,
		  struct change **out)
{
	struct change *rec;

	if (change_touch(p->ch, parent, p->zxid) ||
	    change_add(p->ch, op->path, op->path_len, p->zxid, &rec))
		return prep_fail(p, -ENOMEM);
	zacl_put(rec->acl);
	rec->acl = zacl_make(p->ch, op->acl, op->acl_len);
	if (!rec->acl)
		return prep_fail(p, -ENOMEM);
	rec->acl_zxid = p->zxid;
	rec->exists = true;
	rec->data_len = op->data_len;
	rec->crc = change_crc(rec, op->data, op->data_len);
	memset(&rec->stat, 0, sizeof(rec->stat));
	rec->stat.czxid = p->zxid;
	rec->stat.mzxid = p->zxid;
	rec->stat.pzxid = p->zxid;
	rec->stat.ctime = p->time;
	rec->stat.mtime = p->time;
	rec->stat.owner = op->owner;
	if (is_ephemeral(p, op->owner))
		change_born(p->ch, rec);
	change_digest(p->ch, rec);
	count_child(p, parent, op->pcversion);
	*out = rec;
	return ZOK;
}

static s32 do_create(struct prep *p, const struct wish *w)
{
	struct creation c = { 0 };
	struct zk_op op = { .type = ZK_OP_CREATE };
	struct change *rec;
	s32 err = check_create(p, w, &c);

	if (err)
		return err;
	op.path = c.path;
	op.path_len = c.len;
	op.data = w->data.p;
	op.data_len = w->data.len;
	op.acl = c.acl;
	op.acl_len = c.acl_len;
	op.owner = c.owner;
	op.pcversion = next_version(cversion_of(p, c.parent));
	err = prep_add_node(p, c.parent, &op, &rec);
	if (err)
		return err;
	record_create(p, w, &c, op.pcversion, rec->crc);
	jw_str(&p->out, c.path, c.len);
	if (w->type != OP_CREATE)
		prep_put_stat(p, rec);
	return ZOK;
}

/* ------------------------------------------------------------ delete */

/* DataTree.isSpecialPath */
static bool is_special(struct jstr path)
{
	static const char *const special[] = {
		"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config",
	};

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (path.len == (s32)strlen(special[i]) &&
		    !memcmp(path.p, special[i], path.len))
			return true;
	return false;
}

s32 prep_forget(struct prep *p, struct change *parent, struct change *rec)
{
	if (change_touch(p->ch, parent, p->zxid) || change_touch(p->ch, rec, p->zxid))
		return prep_fail(p, -ENOMEM);
	parent->stat.num_children--;
	parent->stat.pzxid = p->zxid;
	change_digest(p->ch, parent);
	rec->exists = false;
	change_digest(p->ch, rec);
	return ZOK;
}

static s32 check_delete(struct prep *p, const struct wish *w, struct change **parent,
			struct change **rec)
{
	s32 err = check_has_parent(w->path);

	if (!err && is_special(w->path))
		err = ZBADARGUMENTS;
	if (err)
		return err;
	err = prep_get_node(p, chars(w->path), path_parent(chars(w->path), w->path.len), parent);
	if (err)
		return err;
	if (!may(p, *parent, PERM_DELETE))
		return ZNOAUTH;
	err = prep_get_node(p, chars(w->path), w->path.len, rec);
	if (!err)
		err = check_version((*rec)->stat.version, w->version);
	if (!err && (*rec)->stat.num_children > 0)
		err = ZNOTEMPTY;
	return err;
}

/* By the reaper; a client's request of this type is refused in any case. */
static s32 check_delete_container(struct prep *p, const struct wish *w,
				  struct change **parent, struct change **rec)
{
	s32 err;

	if (w->path.len <= 0 || is_special(w->path))
		return ZBADARGUMENTS;
	err = prep_get_node(p, chars(w->path), w->path.len, rec);
	if (err)
		return err;
	if ((*rec)->stat.num_children > 0)
		return ZNOTEMPTY;
	if (is_ephemeral(p, (*rec)->stat.owner))
		return ZBADVERSION;
	return prep_get_node(p, chars(w->path), path_parent(chars(w->path), w->path.len), parent);
}

static s32 do_delete(struct prep *p, const struct wish *w)
{
	struct change *parent, *rec;
	struct zk_op *op;
	s32 err;

	if (w->type == OP_DELETECONTAINER)
		err = check_delete_container(p, w, &parent, &rec);
	else
		err = check_delete(p, w, &parent, &rec);
	if (!err)
		err = prep_forget(p, parent, rec);
	if (err)
		return err;
	op = prep_add_op(p, ZK_OP_DELETE);
	if (!op)
		return ZSYSTEMERROR;
	op->path = prep_put(p, w->path.p, w->path.len);
	op->path_len = w->path.len;
	return ZOK;
}

/* ------------------------------------------------------------ setData, setACL, check */

s32 prep_new_data(struct prep *p, struct change *rec, const void *data, s32 len, s32 version)
{
	if (change_touch(p->ch, rec, p->zxid))
		return prep_fail(p, -ENOMEM);
	rec->stat.version = version;
	rec->stat.mtime = p->time;
	rec->stat.mzxid = p->zxid;
	rec->data_len = len;
	rec->crc = change_crc(rec, data, len);
	change_digest(p->ch, rec);
	return ZOK;
}

static s32 do_setdata(struct prep *p, const struct wish *w)
{
	struct change *rec;
	struct zk_op *op;
	s32 err = check_path(w->path);

	if (!err)
		err = prep_get_node(p, chars(w->path), w->path.len, &rec);
	if (err)
		return err;
	if (!may(p, rec, PERM_WRITE))
		return ZNOAUTH;
	err = quota_check(p, chars(w->path), w->path.len, 0,
			  bytes_of(w->data) - (rec->data_len > 0 ? rec->data_len : 0));
	if (!err)
		err = check_version(rec->stat.version, w->version);
	if (err)
		return err;
	err = prep_new_data(p, rec, w->data.p, w->data.len, next_version(rec->stat.version));
	if (err)
		return err;

	op = prep_add_op(p, ZK_OP_SETDATA);
	if (!op)
		return ZSYSTEMERROR;
	op->path = prep_put(p, w->path.p, w->path.len);
	op->path_len = w->path.len;
	op->data = prep_put(p, w->data.p, w->data.len);
	op->data_len = w->data.len;
	op->version = rec->stat.version;
	op->crc = rec->crc;
	jw_int(&p->txn, rec->stat.version);
	prep_put_stat(p, rec);
	return ZOK;
}

s32 prep_new_acl(struct prep *p, struct change *rec, const u8 *bytes, u32 len, s32 version)
{
	struct zacl *acl = zacl_make(p->ch, bytes, len);

	if (!acl)
		return prep_fail(p, -ENOMEM);
	if (change_touch(p->ch, rec, p->zxid)) {
		zacl_put(acl);
		return prep_fail(p, -ENOMEM);
	}
	quota_freshen(p, rec);
	zacl_put(rec->acl);
	rec->acl = acl;
	rec->acl_zxid = p->zxid;
	rec->stat.aversion = version;
	change_digest(p->ch, rec);
	return ZOK;
}

static s32 do_setacl(struct prep *p, const struct wish *w)
{
	struct change *rec;
	struct zk_op *op;
	const u8 *bytes;
	u32 len;
	s32 err = check_path(w->path);

	if (!err)
		err = fixup(p, w, &bytes, &len);
	if (!err)
		err = prep_get_node(p, chars(w->path), w->path.len, &rec);
	if (err)
		return err;
	if (!may(p, rec, PERM_ADMIN))
		return ZNOAUTH;
	err = check_version(rec->stat.aversion, w->version);
	if (err)
		return err;
	err = prep_new_acl(p, rec, bytes, len, next_version(rec->stat.aversion));
	if (err)
		return err;

	op = prep_add_op(p, ZK_OP_SETACL);
	if (!op)
		return ZSYSTEMERROR;
	op->path = prep_put(p, w->path.p, w->path.len);
	op->path_len = w->path.len;
	op->acl = (const u8 *)(uintptr_t)p->txn.len;
	op->acl_len = len;
	op->version = rec->stat.aversion;
	jw_bytes(&p->txn, bytes, len);
	jw_int(&p->txn, rec->stat.aversion);
	prep_put_stat(p, rec);
	return ZOK;
}

static s32 do_check(struct prep *p, const struct wish *w)
{
	struct change *rec;
	s32 err = check_path(w->path);

	if (!err)
		err = prep_get_node(p, chars(w->path), w->path.len, &rec);
	if (err)
		return err;
	if (!may(p, rec, PERM_READ))
		return ZNOAUTH;
	err = check_version(rec->stat.version, w->version);
	if (err)
		return err;
	prep_put(p, w->path.p, w->path.len);
	jw_int(&p->txn, next_version(rec->stat.version));
	return ZOK;
}

s32 prep_op(struct prep *p, const struct wish *w, bool in_multi)
{
	switch (w->type) {
	case OP_CREATE:
	case OP_CREATE2:
	case OP_CREATETTL:
	case OP_CREATECONTAINER:
		return do_create(p, w);
	case OP_DELETE:
	case OP_DELETECONTAINER:
		return do_delete(p, w);
	case OP_SETDATA:
		return do_setdata(p, w);
	case OP_SETACL:
		return in_multi ? ZMARSHALLINGERROR : do_setacl(p, w);
	case OP_CHECK:
		return do_check(p, w);
	case OP_RECONFIG:
		return prep_reconfig(p, w);
	}
	return ZUNIMPLEMENTED;
}
