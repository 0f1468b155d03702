// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Generic netlink family "zkern" through libnl-3: the reads of the device, and
 * making, removing and listing instances. An error's text is the kernel's extended
 * ack where there is one. An attribute holds less than 64 KiB: longer data is
 * -EMSGSIZE here, and left out (ZKERN_LEFT_LONG) in a dump.
 */
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <sys/socket.h>
#include "internal.h"

#define RX_BYTES	(1024 * 1024)

struct nlway {
	struct zkern zk;
	struct nl_sock *sk;
	int family;
	u32 instance;
	char ack[200];		/* the kernel's words to the last error */
};

/* One request on its way: what to do with each answer. */
struct call {
	struct nlway *nw;
	/* Negative errno, or non-zero to want no more. */
	int (*take)(struct call *c, struct nlattr **tb);
	void *arg;
	int err;		/* the kernel's, or of take() */
	bool done;
	bool answered;
};

static struct nlway *nl_of(struct zkern *zk)
{
	return (struct nlway *)zk;
}

/* ------------------------------------------------------------ the exchange */

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct nlattr *tb[ZKERN_A_MAX + 1];
	struct call *c = arg;

	if (c->err)
		return NL_OK;	/* drains what is left of a dump */
	if (genlmsg_parse(nlmsg_hdr(msg), 0, tb, ZKERN_A_MAX, NULL) < 0) {
		c->err = -EPROTO;
		return NL_OK;
	}
	c->answered = true;
	if (c->take)
		c->err = c->take(c, tb);
	return NL_OK;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct call *c = arg;

	(void)msg;
	c->done = true;
	return NL_STOP;
}

/* The end of a dump carries an error as its payload. */
static int on_finish(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	struct call *c = arg;

	if (!c->err && nlmsg_datalen(h) >= (int)sizeof(int))
		c->err = *(int *)nlmsg_data(h);
	c->done = true;
	return NL_STOP;
}

static void note_ack(struct nlway *nw, struct nlmsgerr *e)
{
	struct nlmsghdr *h = (void *)((char *)e - NLMSG_HDRLEN);
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];
	size_t skip = sizeof(*e);

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(e->msg.nlmsg_len) - NLMSG_HDRLEN;
	if (skip > (size_t)nlmsg_datalen(h))
		return;
	if (nla_parse(tb, NLMSGERR_ATTR_MAX, (struct nlattr *)((char *)e + skip),
		      nlmsg_datalen(h) - skip, NULL) < 0)
		return;
	if (tb[NLMSGERR_ATTR_MSG])
		snprintf(nw->ack, sizeof(nw->ack), "%.*s",
			 nla_len(tb[NLMSGERR_ATTR_MSG]),
			 (char *)nla_data(tb[NLMSGERR_ATTR_MSG]));
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct call *c = arg;

	(void)from;
	if (!c->err)
		c->err = e->error;
	note_ack(c->nw, e);
	c->done = true;
	return NL_STOP;
}

static struct nl_msg *begin(struct nlway *nw, int cmd, int flags, size_t room)
{
	struct nl_msg *msg = nlmsg_alloc_size(NLMSG_HDRLEN + GENL_HDRLEN + 256 + room);

	if (!msg)
		return NULL;
	if (genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, nw->family, 0, flags, cmd,
			ZKERN_GENL_VERSION))
		return msg;
	nlmsg_free(msg);
	return NULL;
}

/* Sends @msg (NULL: memory was short) and works off the answers; frees it. */
static int exchange(struct nlway *nw, struct nl_msg *msg, struct call *c)
{
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int n = -NLE_NOMEM;

	nw->ack[0] = '\0';
	c->nw = nw;
	if (!msg || !cb)
		goto out;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, c);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, c);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, c);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, c);
	n = nl_send_auto(nw->sk, msg);
	while (n >= 0 && !c->done)
		n = nl_recvmsgs(nw->sk, cb);
out:
	nl_cb_put(cb);
	nlmsg_free(msg);
	if (c->done || c->err)
		return c->err;
	if (n == -NLE_NOMEM)
		return -ENOMEM;
	return n == -NLE_DUMP_INTR ? -EAGAIN : -EPROTO;
}

static int nl_fail(struct nlway *nw, int err, const char *path)
{
	if (nw->ack[0])
		return zkern_fail(&nw->zk, err, "%.200s%s%s", path ? path : "",
				  path ? ": " : "", nw->ack);
	if (err == -ENODEV)
		return zkern_fail(&nw->zk, err, "instance %u: no such instance", nw->instance);
	if (err == -EMSGSIZE && path)
		return zkern_fail(&nw->zk, err, "%.200s: too long for netlink", path);
	if (path)
		return zkern_fail_path(&nw->zk, err, path);
	return zkern_fail(&nw->zk, err, "%s", err == -EPERM ?
			  "only root may do that" : zkern_strerror(err));
}

static struct nl_msg *begin_path(struct nlway *nw, int cmd, int flags, const char *path)
{
	size_t len = strlen(path);
	struct nl_msg *msg;

	msg = begin(nw, cmd, flags, len);
	if (msg && (nla_put_u32(msg, ZKERN_A_INSTANCE, nw->instance) ||
		    nla_put(msg, ZKERN_A_PATH, len, path))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

/* ------------------------------------------------------------ attributes */

static u64 get_u64(const struct nlattr *a)
{
	return a && nla_len(a) >= (int)sizeof(u64) ? nla_get_u64(a) : 0;
}

static void get_struct(void *to, size_t size, const struct nlattr *a)
{
	size_t n = a ? (size_t)nla_len(a) : 0;

	memset(to, 0, size);
	if (a)
		memcpy(to, nla_data(a), n < size ? n : size);
}

static void get_seen(struct zkern_seen *seen, struct nlattr **tb)
{
	seen->zxid = get_u64(tb[ZKERN_A_ZXID]);
	if (tb[ZKERN_A_STATE] && nla_len(tb[ZKERN_A_STATE]) >= 4)
		seen->state = nla_get_u32(tb[ZKERN_A_STATE]);
	if (tb[ZKERN_A_AGE_MS])
		seen->age_ms = get_u64(tb[ZKERN_A_AGE_MS]);
}

/* ------------------------------------------------------------ reading */

static int take_value(struct call *c, struct nlattr **tb)
{
	struct zkern_value *v = c->arg;
	const struct nlattr *d = tb[ZKERN_A_DATA];

	if (!tb[ZKERN_A_STAT])
		return -EPROTO;
	get_struct(&v->stat, sizeof(v->stat), tb[ZKERN_A_STAT]);
	get_seen(&v->seen, tb);
	if (!d || v->stat.data_len < 0 || v->data)
		return 0;
	v->data = zkern_dup(nla_data(d), nla_len(d));
	v->len = nla_len(d);
	return v->data ? 0 : -ENOMEM;
}

static int nlway_get(struct zkern *zk, const char *path, const struct zkern_want *want,
		     bool data, struct zkern_value *value)
{
	struct call c = { .take = take_value, .arg = value };
	struct nlway *nw = nl_of(zk);
	struct nl_msg *msg;
	int err;

	if (want->flags || want->max_age_ms)
		return zkern_fail(zk, -EOPNOTSUPP, "watches and max_age are not offered over "
				  "netlink");
	msg = begin_path(nw, data ? ZKERN_CMD_GET : ZKERN_CMD_EXISTS, NLM_F_ACK, path);
	if (msg && want->min_zxid && nla_put_u64(msg, ZKERN_A_MIN_ZXID, want->min_zxid)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	err = exchange(nw, msg, &c);
	if (!err && !c.answered)
		err = -EPROTO;
	if (!err && data && !value->data && value->stat.data_len == 0)
		err = (value->data = zkern_dup("", 0)) ? 0 : -ENOMEM;
	if (err) {
		zkern_value_free(value);
		return nl_fail(nw, err, path);
	}
	return 0;
}

struct name_list {
	struct zkern_children *c;
	size_t cap;
};

static int take_name(struct call *c, struct nlattr **tb)
{
	struct name_list *l = c->arg;

	get_seen(&l->c->seen, tb);
	if (!tb[ZKERN_A_NAME])
		return 0;
	return zkern_children_add(l->c, &l->cap, nla_data(tb[ZKERN_A_NAME]),
				  nla_len(tb[ZKERN_A_NAME]));
}

static int nlway_children(struct zkern *zk, const char *path, const struct zkern_want *want,
			  struct zkern_children *children)
{
	struct name_list l = { .c = children };
	struct call c = { .take = take_name, .arg = &l };
	struct nlway *nw = nl_of(zk);
	int err;

	if (want->flags || want->max_age_ms || want->min_zxid)
		return zkern_fail(zk, -EOPNOTSUPP, "watches, min_zxid and max_age are not "
				  "offered for lists over netlink");
	err = exchange(nw, begin_path(nw, ZKERN_CMD_CHILDREN, NLM_F_DUMP, path), &c);
	return err ? nl_fail(nw, err, path) : 0;
}

struct dumping {
	int (*fn)(void *arg, const struct zkern_record *rec);
	void *arg;
	struct zkern_seen *seen;
	int said;		/* what fn ended it with */
};

static int take_record(struct call *c, struct nlattr **tb)
{
	struct dumping *d = c->arg;
	struct zkern_record rec = { 0 };
	char *path;

	if (!tb[ZKERN_A_PATH] || !tb[ZKERN_A_STAT])
		return -EPROTO;
	get_seen(d->seen, tb);
	get_struct(&rec.stat, sizeof(rec.stat), tb[ZKERN_A_STAT]);
	path = zkern_dup(nla_data(tb[ZKERN_A_PATH]), nla_len(tb[ZKERN_A_PATH]));
	if (!path)
		return -ENOMEM;
	rec.path = path;
	rec.zxid = d->seen->zxid;
	if (tb[ZKERN_A_TRUNCATED]) {
		rec.left_out = ZKERN_LEFT_LONG;
	} else if (tb[ZKERN_A_DATA]) {
		rec.data = nla_data(tb[ZKERN_A_DATA]);
		rec.len = nla_len(tb[ZKERN_A_DATA]);
	} else if (rec.stat.data_len > 0) {
		rec.left_out = ZKERN_LEFT_HIDDEN;
	}
	d->said = d->fn(d->arg, &rec);
	free(path);
	return d->said;
}

static int nlway_dump(struct zkern *zk, const char *path,
		      int (*fn)(void *arg, const struct zkern_record *rec), void *arg,
		      struct zkern_seen *seen)
{
	struct dumping d = { .fn = fn, .arg = arg, .seen = seen };
	struct call c = { .take = take_record, .arg = &d };
	struct nlway *nw = nl_of(zk);
	int err;

	err = exchange(nw, begin_path(nw, ZKERN_CMD_SUBTREE, NLM_F_DUMP, path), &c);
	if (d.said)
		return d.said;
	return err ? nl_fail(nw, err, path) : 0;
}

static int take_info(struct call *c, struct nlattr **tb)
{
	if (!tb[ZKERN_A_INFO])
		return -EPROTO;
	get_struct(c->arg, sizeof(struct zkern_info), tb[ZKERN_A_INFO]);
	return 0;
}

static int nlway_info(struct zkern *zk, struct zkern_info *info)
{
	struct call c = { .take = take_info, .arg = info };
	struct nlway *nw = nl_of(zk);
	struct nl_msg *msg = begin(nw, ZKERN_CMD_STATUS, NLM_F_ACK, 0);
	int err;

	if (msg && nla_put_u32(msg, ZKERN_A_INSTANCE, nw->instance)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	err = exchange(nw, msg, &c);
	if (!err && !c.answered)
		err = -EPROTO;
	return err ? nl_fail(nw, err, NULL) : 0;
}

/* ------------------------------------------------------------ instances */

static int take_instance(struct call *c, struct nlattr **tb)
{
	const struct nlattr *a = tb[ZKERN_A_INSTANCE];

	if (!a || nla_len(a) < 4)
		return -EPROTO;
	*(u32 *)c->arg = nla_get_u32(a);
	return 0;
}

static int nlway_new(struct zkern *zk, u32 *id, u32 uid)
{
	struct call c = { .take = take_instance, .arg = id };
	struct nlway *nw = nl_of(zk);
	struct nl_msg *msg = begin(nw, ZKERN_CMD_NEW, NLM_F_ACK, 0);
	u32 wanted = *id;
	int err;

	if (msg && ((wanted != ~0U && nla_put_u32(msg, ZKERN_A_INSTANCE, wanted)) ||
		    (uid != ~0U && nla_put_u32(msg, ZKERN_A_UID, uid)))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	err = exchange(nw, msg, &c);
	if (!err && !c.answered)
		err = -EPROTO;
	if (err == -EEXIST)
		return zkern_fail(zk, err, "instance %u: exists already", wanted);
	return err ? nl_fail(nw, err, NULL) : 0;
}

static int nlway_del(struct zkern *zk, u32 id, bool force)
{
	struct call c = { 0 };
	struct nlway *nw = nl_of(zk);
	struct nl_msg *msg = begin(nw, ZKERN_CMD_DEL, NLM_F_ACK, 0);
	int err;

	if (msg && (nla_put_u32(msg, ZKERN_A_INSTANCE, id) ||
		    (force && nla_put_flag(msg, ZKERN_A_FORCE)))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	err = exchange(nw, msg, &c);
	if (err == -ENODEV)
		return zkern_fail(zk, err, "instance %u: no such instance", id);
	if (err == -EBUSY)
		return zkern_fail(zk, err, "instance %u: has an owner (--force removes it "
				  "all the same)", id);
	return err ? nl_fail(nw, err, NULL) : 0;
}

struct each {
	int (*fn)(void *arg, const struct zkern_info *info);
	void *arg;
	int said;
};

static int take_each(struct call *c, struct nlattr **tb)
{
	struct zkern_info info;
	struct each *e = c->arg;

	if (!tb[ZKERN_A_INFO])
		return -EPROTO;
	get_struct(&info, sizeof(info), tb[ZKERN_A_INFO]);
	e->said = e->fn(e->arg, &info);
	return e->said;
}

static int nlway_each(struct zkern *zk,
		      int (*fn)(void *arg, const struct zkern_info *info), void *arg)
{
	struct each e = { .fn = fn, .arg = arg };
	struct call c = { .take = take_each, .arg = &e };
	struct nlway *nw = nl_of(zk);
	int err;

	err = exchange(nw, begin(nw, ZKERN_CMD_STATUS, NLM_F_DUMP, 0), &c);
	if (e.said)
		return e.said;
	return err ? nl_fail(nw, err, NULL) : 0;
}

/* ------------------------------------------------------------ life */

static void nlway_close(struct zkern *zk)
{
	nl_socket_free(nl_of(zk)->sk);
	free(zk);
}

static const struct zkern_way way_netlink = {
	.via = ZKERN_VIA_NETLINK,
	.name = "netlink",
	.close = nlway_close,
	.get = nlway_get,
	.children = nlway_children,
	.dump = nlway_dump,
	.info = nlway_info,
	.instance_new = nlway_new,
	.instance_del = nlway_del,
	.instance_each = nlway_each,
};

int zkern_open_netlink(uint32_t instance, struct zkern **zk, char *why, size_t why_len)
{
	struct nlway *nw = calloc(1, sizeof(*nw));
	int err = -ENOMEM, one = 1, n;

	if (why && why_len)
		snprintf(why, why_len, "out of memory");
	if (!nw)
		return err;
	nw->zk.way = &way_netlink;
	nw->instance = instance;
	nw->sk = nl_socket_alloc();
	if (!nw->sk)
		goto fail;
	n = genl_connect(nw->sk);
	if (n < 0) {
		err = -EPROTONOSUPPORT;
		if (why)
			snprintf(why, why_len, "netlink: %s", nl_geterror(n));
		goto fail;
	}
	nw->family = genl_ctrl_resolve(nw->sk, ZKERN_GENL_NAME);
	if (nw->family < 0) {
		err = -ENODEV;
		if (why)
			snprintf(why, why_len, "no netlink family \"%s\": is zkern.ko loaded?",
				 ZKERN_GENL_NAME);
		goto fail;
	}
	nl_socket_enable_msg_peek(nw->sk);
	nl_socket_set_buffer_size(nw->sk, RX_BYTES, 0);
	setsockopt(nl_socket_get_fd(nw->sk), SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	*zk = &nw->zk;
	return 0;
fail:
	nl_socket_free(nw->sk);
	free(nw);
	return err;
}
