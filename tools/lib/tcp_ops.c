// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Each reading operation of the client protocol: its request written, its reply taken
 * apart (zookeeper.jute at 3.8); write.c has the writing ones. Replies are read with
 * bounds from the frame that tcp_call() leaves in the handle.
 */
#include "tcp.h"

static int malformed(struct tcp *t, const char *path)
{
	tcp_hangup(t);
	return zkern_fail(&t->zk, -EPROTO, "%.400s: the answer is malformed", path);
}

/* Freshness is the server's affair here: it refuses to serve a client that has
 * seen more than it has.
 */
static int check_want(struct zkern *zk, const struct zkern_want *want)
{
	if (want->flags & ZKERN_WANT_LINEARIZABLE)
		return zkern_fail(zk, -EOPNOTSUPP,
				  "over TCP the server's configuration says whether reads are linearizable");
	if (want->min_zxid || want->max_age_ms)
		return zkern_fail(zk, -EOPNOTSUPP,
				  "min_zxid and max_age are not offered over TCP");
	return 0;
}

int tcp_get(struct zkern *zk, const char *path, const struct zkern_want *want, bool data,
	    struct zkern_value *value)
{
	bool watch = want->flags & ZKERN_WANT_WATCH;
	struct jstr bytes = { NULL, -1 };
	struct tcp *t = tcp_of(zk);
	struct op_reply r;
	struct jw w;
	int err;

	err = check_want(zk, want);
	if (err)
		return err;
	zkern_begin(&w, data ? OP_GETDATA : OP_EXISTS);
	zkern_put_path(&w, path);
	jw_bool(&w, watch);
	err = tcp_call(t, &w, true, path, &r);
	value->seen.zxid = t->last_zxid;
	value->seen.events = t->n_events > 0;
	if (err == -ENOENT && watch && !data)
		tcp_watch_add(t, TCP_WATCH_EXIST, path);
	if (err)
		return err;
	if (data)
		bytes = jr_str(&r.body);
	zkern_take_stat(&r.body, &value->stat);
	if (r.body.err)
		return malformed(t, path);
	if (data && bytes.len < 0)
		value->stat.data_len = -1;
	if (bytes.p) {
		value->data = zkern_dup(bytes.p, bytes.len);
		if (!value->data)
			return zkern_fail(zk, -ENOMEM, "%.400s: out of memory", path);
		value->len = bytes.len;
	}
	err = watch ? tcp_watch_add(t, TCP_WATCH_DATA, path) : 0;
	if (err)
		zkern_value_free(value);
	return err;
}

int tcp_children(struct zkern *zk, const char *path, const struct zkern_want *want,
		 struct zkern_children *c)
{
	bool watch = want->flags & ZKERN_WANT_WATCH;
	struct tcp *t = tcp_of(zk);
	struct op_reply r;
	size_t cap = 0;
	struct jw w;
	s32 n, i;
	int err;

	err = check_want(zk, want);
	if (err)
		return err;
	zkern_begin(&w, OP_GETCHILDREN2);
	zkern_put_path(&w, path);
	jw_bool(&w, watch);
	err = tcp_call(t, &w, true, path, &r);
	c->seen.zxid = t->last_zxid;
	c->seen.events = t->n_events > 0;
	if (err)
		return err;
	n = jr_int(&r.body);
	for (i = 0; i < n && !r.body.err; i++) {
		struct jstr name = jr_str(&r.body);

		if (r.body.err)
			break;
		err = zkern_children_add(c, &cap, name.p, name.p ? name.len : 0);
		if (err)
			return zkern_fail(zk, err, "%.400s: out of memory", path);
	}
	zkern_take_stat(&r.body, &c->stat);
	if (r.body.err)
		return malformed(t, path);
	return watch ? tcp_watch_add(t, TCP_WATCH_CHILD, path) : 0;
}

int tcp_get_acl(struct zkern *zk, const char *path, struct zkern_acls *acls)
{
	struct tcp *t = tcp_of(zk);
	struct op_reply r;
	struct jw w;
	int err;

	zkern_begin(&w, OP_GETACL);
	zkern_put_path(&w, path);
	err = tcp_call(t, &w, true, path, &r);
	acls->seen.zxid = t->last_zxid;
	acls->seen.events = t->n_events > 0;
	if (err)
		return err;
	err = zkern_acls_parse(&r.body, acls);
	if (err == -ENOMEM)
		return zkern_fail(zk, err, "%.400s: out of memory", path);
	zkern_take_stat(&r.body, &acls->stat);
	return err || r.body.err ? malformed(t, path) : 0;
}
