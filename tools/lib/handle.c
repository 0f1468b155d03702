// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The handle: every public call enters here, has its path checked and its results
 * zeroed, and goes on to the way that the handle was opened with.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "internal.h"

s64 zkern_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (s64)ts.tv_sec * 1000 + ts.tv_nsec / ZKERN_NS_PER_MS;
}

void *zkern_dup(const void *p, size_t len)
{
	char *d = len < SIZE_MAX ? malloc(len + 1) : NULL;

	if (!d)
		return NULL;
	if (len)
		memcpy(d, p, len);
	d[len] = '\0';
	return d;
}

int zkern_children_add(struct zkern_children *c, size_t *cap, const void *name, size_t len)
{
	if (c->count == *cap) {
		size_t n = *cap ? *cap * 2 : 64;
		char **p = reallocarray(c->name, n, sizeof(*p));

		if (!p)
			return -ENOMEM;
		c->name = p;
		*cap = n;
	}
	c->name[c->count] = zkern_dup(name, len);
	if (!c->name[c->count])
		return -ENOMEM;
	c->count++;
	return 0;
}

int zkern_acls_parse(struct jr *r, struct zkern_acls *acls)
{
	s32 n = jr_int(r), i;

	/* An entry takes 12 bytes at least: no count from outside is believed. */
	if (r->err || n < -1 || (n > 0 && (size_t)n > jr_left(r) / 12))
		return -EPROTO;
	acls->acl = n > 0 ? calloc(n, sizeof(*acls->acl)) : NULL;
	if (n > 0 && !acls->acl)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct zkern_acl *a = &acls->acl[acls->count++];
		struct jstr scheme, id;

		a->perms = jr_int(r);
		scheme = jr_str(r);
		id = jr_str(r);
		if (r->err)
			return -EPROTO;
		a->scheme = zkern_dup(scheme.p, scheme.p ? scheme.len : 0);
		a->id = zkern_dup(id.p, id.p ? id.len : 0);
		if (!a->scheme || !a->id)
			return -ENOMEM;
	}
	return 0;
}

/* What PathUtils.validatePath refuses, less what only UTF-8 decoding would find:
 * the server sees to that. @seq: a name is to be added, "/a/" will do.
 */
static int check_path(struct zkern *zk, const char *path, bool seq)
{
	const char *p, *end;

	zk->zk_error = 0;
	zk->undone = true;
	zk->msg[0] = '\0';
	if (!path || path[0] != '/')
		return zkern_fail(zk, -EINVAL, "path '%s': must begin with '/'",
				  path ? path : "");
	if (strlen(path) > ZKERN_PATH_MAX)
		return zkern_fail(zk, -EINVAL, "path of %zu bytes: too long", strlen(path));
	if (!path[1])
		return 0;
	for (p = path; *p == '/'; p = end) {
		size_t len = strcspn(++p, "/");

		end = p + len;
		if (!len && !*end)
			return seq ? 0 : zkern_fail(zk, -EINVAL,
						    "path '%s': must not end with '/'", path);
		if (!len)
			return zkern_fail(zk, -EINVAL, "path '%s': empty name in it", path);
		if ((len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
			return zkern_fail(zk, -EINVAL, "path '%s': '.' and '..' are not allowed",
					  path);
		for (; p < end; p++)
			if ((u8)*p < 0x20 || *p == 0x7f)
				return zkern_fail(zk, -EINVAL,
						  "path: control character \\x%02x in it", (u8)*p);
	}
	return 0;
}

int zkern_check_path(struct zkern *zk, const char *path)
{
	return check_path(zk, path, false);
}

static int not_offered(struct zkern *zk, const char *what)
{
	return zkern_fail(zk, -EOPNOTSUPP, "%s is not offered over %s", what, zk->way->name);
}

#define NEED(zk, op, what)					\
	do {							\
		if (!(zk)->way->op)				\
			return not_offered(zk, what);		\
	} while (0)

static void no_value(struct zkern_value *v)
{
	memset(v, 0, sizeof(*v));
	v->seen.state = ZKERN_STATE_UNKNOWN;
	v->seen.age_ms = ZKERN_AGE_UNKNOWN;
}

void zkern_close(struct zkern *zk)
{
	if (zk)
		zk->way->close(zk);
}

enum zkern_via zkern_via(const struct zkern *zk)
{
	return zk->way->via;
}

const char *zkern_message(const struct zkern *zk)
{
	return zk->msg;
}

int zkern_zk_error(const struct zkern *zk)
{
	return zk->zk_error;
}

static int get(struct zkern *zk, const char *path, const struct zkern_want *want, bool data,
	       struct zkern_value *value)
{
	static const struct zkern_want any;
	int err;

	no_value(value);
	err = check_path(zk, path, false);
	if (err)
		return err;
	NEED(zk, get, "reading");
	return zk->way->get(zk, path, want ? want : &any, data, value);
}

int zkern_get(struct zkern *zk, const char *path, const struct zkern_want *want,
	      struct zkern_value *value)
{
	return get(zk, path, want, true, value);
}

int zkern_exists(struct zkern *zk, const char *path, const struct zkern_want *want,
		 struct zkern_value *value)
{
	return get(zk, path, want, false, value);
}

void zkern_value_free(struct zkern_value *value)
{
	free(value->data);
	value->data = NULL;
	value->len = 0;
}

int zkern_get_many(struct zkern *zk, const char *const *paths, size_t n,
		   const struct zkern_want *want, struct zkern_value *values)
{
	static const struct zkern_want any;
	size_t i;
	int err;

	for (i = 0; i < n; i++)
		no_value(&values[i]);
	if (n > ZKERN_READ_MAX)
		return zkern_fail(zk, -EINVAL, "%zu paths: at most %d at once", n,
				  ZKERN_READ_MAX);
	for (i = 0; i < n; i++) {
		err = check_path(zk, paths[i], false);
		if (err)
			return err;
	}
	NEED(zk, get_many, "reading many paths at one zxid");
	return n ? zk->way->get_many(zk, paths, n, want ? want : &any, values) : 0;
}

int zkern_children(struct zkern *zk, const char *path, const struct zkern_want *want,
		   struct zkern_children *children)
{
	static const struct zkern_want any;
	int err;

	memset(children, 0, sizeof(*children));
	children->seen.state = ZKERN_STATE_UNKNOWN;
	children->seen.age_ms = ZKERN_AGE_UNKNOWN;
	err = check_path(zk, path, false);
	if (err)
		return err;
	NEED(zk, children, "listing");
	err = zk->way->children(zk, path, want ? want : &any, children);
	if (err)
		zkern_children_free(children);
	return err;
}

void zkern_children_free(struct zkern_children *children)
{
	size_t i;

	for (i = 0; i < children->count; i++)
		free(children->name[i]);
	free(children->name);
	children->name = NULL;
	children->count = 0;
}

int zkern_get_acl(struct zkern *zk, const char *path, struct zkern_acls *acls)
{
	int err;

	memset(acls, 0, sizeof(*acls));
	acls->seen.state = ZKERN_STATE_UNKNOWN;
	acls->seen.age_ms = ZKERN_AGE_UNKNOWN;
	err = check_path(zk, path, false);
	if (err)
		return err;
	NEED(zk, get_acl, "reading ACLs");
	err = zk->way->get_acl(zk, path, acls);
	if (err)
		zkern_acls_free(acls);
	return err;
}

void zkern_acls_free(struct zkern_acls *acls)
{
	size_t i;

	for (i = 0; i < acls->count; i++) {
		free((char *)acls->acl[i].scheme);
		free((char *)acls->acl[i].id);
	}
	free(acls->acl);
	acls->acl = NULL;
	acls->count = 0;
}

int zkern_dump(struct zkern *zk, const char *path,
	       int (*fn)(void *arg, const struct zkern_record *rec), void *arg,
	       struct zkern_seen *seen)
{
	struct zkern_seen dummy;
	int err = check_path(zk, path, false);

	if (err)
		return err;
	NEED(zk, dump, "a subtree at one zxid");
	if (!seen)
		seen = &dummy;
	memset(seen, 0, sizeof(*seen));
	seen->state = ZKERN_STATE_UNKNOWN;
	seen->age_ms = ZKERN_AGE_UNKNOWN;
	return zk->way->dump(zk, path, fn, arg, seen);
}

int zkern_info(struct zkern *zk, struct zkern_info *info)
{
	memset(info, 0, sizeof(*info));
	NEED(zk, info, "an instance's status");
	return zk->way->info(zk, info);
}

static int check_create(struct zkern *zk, const char *path,
			const struct zkern_create_params *p)
{
	int err = check_path(zk, path, p->flags & ZKERN_SEQUENTIAL);

	if (err)
		return err;
	if (p->flags & ~(ZKERN_EPHEMERAL | ZKERN_SEQUENTIAL | ZKERN_CONTAINER | ZKERN_TTL) ||
	    ((p->flags & ZKERN_CONTAINER) && p->flags != ZKERN_CONTAINER) ||
	    ((p->flags & ZKERN_TTL) && (p->flags & ZKERN_EPHEMERAL)))
		return zkern_fail(zk, -EINVAL, "%s: kinds of node that do not go together",
				  path);
	if ((p->flags & ZKERN_TTL) && !p->ttl_ms)
		return zkern_fail(zk, -EINVAL, "%s: a TTL node needs a TTL", path);
	return 0;
}

int zkern_create(struct zkern *zk, const char *path, const void *data, size_t len,
		 const struct zkern_create_params *params, char **created,
		 struct zkern_value *value)
{
	static const struct zkern_create_params plain;
	struct zkern_value dummy;
	char *made = NULL;
	int err;

	if (!params)
		params = &plain;
	if (!value)
		value = &dummy;
	no_value(value);
	err = check_create(zk, path, params);
	if (err)
		return err;
	NEED(zk, call, "writing");
	err = zkern_do_create(zk, path, data, len, params, &made, value);
	if (!err && created)
		*created = made;
	else
		free(made);
	return err;
}

int zkern_set(struct zkern *zk, const char *path, const void *data, size_t len,
	      int32_t version, struct zkern_value *value)
{
	struct zkern_value dummy;
	int err;

	if (!value)
		value = &dummy;
	no_value(value);
	err = check_path(zk, path, false);
	if (err)
		return err;
	NEED(zk, call, "writing");
	return zkern_do_set(zk, path, data, len, version, value);
}

int zkern_delete(struct zkern *zk, const char *path, int32_t version)
{
	int err = check_path(zk, path, false);

	if (err)
		return err;
	NEED(zk, call, "writing");
	return zkern_do_delete(zk, path, version);
}

int zkern_set_acl(struct zkern *zk, const char *path, const struct zkern_acl *acl,
		  size_t n, int32_t aversion)
{
	int err = check_path(zk, path, false);

	if (err)
		return err;
	NEED(zk, call, "writing");
	return zkern_do_set_acl(zk, path, acl, n, aversion);
}

int zkern_sync(struct zkern *zk, const char *path)
{
	int err = check_path(zk, path, false);

	if (err)
		return err;
	NEED(zk, call, "sync");
	return zkern_do_sync(zk, path);
}

int zkern_multi(struct zkern *zk, struct zkern_multi_op *ops, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		ops[i].created = NULL;
		ops[i].err = 0;
		memset(&ops[i].stat, 0, sizeof(ops[i].stat));
	}
	for (i = 0; i < n; i++) {
		bool create = ops[i].type == ZKERN_MULTI_CREATE;

		ops[i].err = create ? check_create(zk, ops[i].path, &ops[i].params) :
				      check_path(zk, ops[i].path, false);
		if (ops[i].err)
			return ops[i].err;
	}
	NEED(zk, call, "writing");
	return n ? zkern_do_multi(zk, ops, n) : 0;
}

bool zkern_undone(const struct zkern *zk)
{
	return zk->undone;
}

void zkern_set_timeout(struct zkern *zk, uint32_t ms)
{
	if (zk->way->set_timeout)
		zk->way->set_timeout(zk, ms);
}

int zkern_add_auth(struct zkern *zk, const char *scheme, const void *cred, size_t len)
{
	NEED(zk, add_auth, "add_auth");
	return zk->way->add_auth(zk, scheme, cred, len);
}

int zkern_add_watch(struct zkern *zk, const char *path, bool recursive)
{
	int err = check_path(zk, path, false);

	if (err)
		return err;
	NEED(zk, add_watch, "watching");
	return zk->way->add_watch(zk, path, recursive);
}

int zkern_next_event(struct zkern *zk, int timeout_ms, struct zkern_event *event)
{
	memset(event, 0, sizeof(*event));
	NEED(zk, next_event, "watching");
	return zk->way->next_event(zk, timeout_ms, event);
}

void zkern_event_free(struct zkern_event *event)
{
	free(event->path);
	event->path = NULL;
}

uint64_t zkern_session_id(const struct zkern *zk)
{
	return zk->way->session_id ? zk->way->session_id(zk) : 0;
}

uint32_t zkern_session_timeout(const struct zkern *zk)
{
	return zk->way->session_timeout ? zk->way->session_timeout(zk) : 0;
}

int zkern_instance_new(struct zkern *zk, uint32_t *id, uint32_t uid)
{
	NEED(zk, instance_new, "making instances");
	return zk->way->instance_new(zk, id, uid);
}

int zkern_instance_del(struct zkern *zk, uint32_t id, bool force)
{
	NEED(zk, instance_del, "removing instances");
	return zk->way->instance_del(zk, id, force);
}

int zkern_instance_each(struct zkern *zk,
			int (*fn)(void *arg, const struct zkern_info *info), void *arg)
{
	NEED(zk, instance_each, "listing instances");
	return zk->way->instance_each(zk, fn, arg);
}
