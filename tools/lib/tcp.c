// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The session: made when the handle is opened, taken to another connection when
 * one breaks, ended with the handle. Requests go one at a time; a reply that comes
 * after its call timed out is recognised by its xid and dropped.
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include "tcp.h"

#define DEFAULT_MS	10000
#define MAX_FRAME	(64U * 1024 * 1024)
#define MAX_HOSTS	64
#define PROTOCOL_VERSION 0
#define CLOSE_MS	1000	/* how long closing waits for the server's word */

s64 tcp_deadline(const struct tcp *t)
{
	return zkern_now_ms() + t->p.timeout_ms;
}

/* ------------------------------------------------------------ handshake */

static int expire(struct tcp *t)
{
	tcp_hangup(t);
	t->expired = true;
	t->zk.zk_error = ZSESSIONEXPIRED;
	tcp_session_event(t, ZKERN_SESSION_EXPIRED);
	return zkern_fail(&t->zk, -ESHUTDOWN, "the session has expired");
}

static int connect_request(struct tcp *t, s64 deadline)
{
	struct jw w;
	int err;

	jw_init(&w, 0);
	jw_int(&w, 0);
	jw_int(&w, PROTOCOL_VERSION);
	jw_long(&w, t->last_zxid);
	jw_int(&w, t->p.session_ms);
	jw_long(&w, t->session);
	jw_str(&w, t->passwd, ZK_PASSWD_LEN);
	jw_bool(&w, false);
	err = tcp_send(t, &w, deadline);
	jw_free(&w);
	return err;
}

static int connect_response(struct tcp *t, s64 deadline)
{
	struct jstr passwd;
	const u8 *p;
	struct jr r;
	size_t len;
	s32 timeout;
	u64 session;
	int err;

	t->session_ms = 0;	/* no pings yet */
	err = tcp_recv(t, &p, &len, deadline);
	if (err)
		return err;
	jr_init(&r, p, len);
	jr_int(&r);
	timeout = jr_int(&r);
	session = jr_long(&r);
	passwd = jr_str(&r);
	if (r.err || (passwd.p && passwd.len != ZK_PASSWD_LEN) || timeout < 0) {
		tcp_hangup(t);
		return zkern_fail(&t->zk, -EPROTO, "the server does not speak ZooKeeper's "
				  "protocol");
	}
	if ((!timeout || !session) && !t->session) {
		tcp_hangup(t);
		return zkern_fail(&t->zk, -ECONNREFUSED, "the server gives no session");
	}
	if (!timeout || !session)
		return expire(t);
	t->session = session;
	t->session_ms = timeout;
	if (passwd.p)
		memcpy(t->passwd, passwd.p, ZK_PASSWD_LEN);
	return 0;
}

static int send_cred(struct tcp *t, const struct tcp_cred *c, s64 deadline)
{
	struct op_reply r;
	struct jw w;
	int err;

	zkern_begin(&w, OP_AUTH);
	jw_int(&w, 0);
	jw_str(&w, c->scheme, strlen(c->scheme));
	jw_str(&w, c->cred, c->len);
	err = tcp_call_xid(t, &w, XID_AUTH, &r, deadline);
	if (err)
		return err;
	if (r.err) {
		tcp_hangup(t);
		t->zk.zk_error = r.err;
		return zkern_fail(&t->zk, zkern_errno_of(r.err), "scheme %s: %s", c->scheme,
				  zkern_code_text(r.err) ?: "refused by the server");
	}
	return 0;
}

/* One try at one host; everything that belongs to the session is set up again. */
static int attach(struct tcp *t, s64 deadline)
{
	const struct tcp_cred *c;
	int err;

	err = tcp_dial(t, deadline);
	if (err)
		return err;
	err = connect_request(t, deadline);
	if (!err)
		err = connect_response(t, deadline);
	for (c = t->creds; !err && c; c = c->next)
		err = send_cred(t, c, deadline);
	if (!err)
		err = tcp_watches_send(t, deadline);
	if (err)
		tcp_hangup(t);
	else
		tcp_session_event(t, ZKERN_SESSION_CONNECTED);
	return err;
}

static bool worth_retry(int err)
{
	return err == -ECONNREFUSED || err == -ECONNRESET || err == -ECONNABORTED ||
	       err == -EHOSTUNREACH || err == -ENETUNREACH || err == -EPIPE;
}

int tcp_ensure(struct tcp *t, s64 deadline)
{
	struct timespec pause = { 0, 50 * ZKERN_NS_PER_MS };
	int err = -ECONNREFUSED;
	size_t i;

	if (t->expired) {
		t->zk.zk_error = ZSESSIONEXPIRED;
		return zkern_fail(&t->zk, -ESHUTDOWN, "the session has expired");
	}
	if (t->fd >= 0)
		return 0;
	for (;;) {
		for (i = 0; i < t->n_hosts; i++) {
			err = attach(t, deadline);
			if (!err || !worth_retry(err))
				return err;
		}
		/* The first connection: the caller wants to know at once. */
		if (!t->session || zkern_now_ms() >= deadline)
			return err;
		if (nanosleep(&pause, NULL))
			return zkern_fail(&t->zk, -EINTR, "interrupted");
		if (pause.tv_nsec < 800 * ZKERN_NS_PER_MS)
			pause.tv_nsec *= 2;
	}
}

/* ------------------------------------------------------------ requests */

int tcp_take(struct tcp *t, struct op_reply *r, bool event, s64 deadline)
{
	const u8 *p;
	size_t len;
	int err;

	for (;;) {
		err = tcp_recv(t, &p, &len, deadline);
		if (err)
			return err;
		jr_init(&r->body, p, len);
		r->xid = jr_int(&r->body);
		r->zxid = jr_long(&r->body);
		r->err = jr_int(&r->body);
		if (r->body.err) {
			tcp_hangup(t);
			return zkern_fail(&t->zk, -EPROTO, "an answer too short to be one");
		}
		if (r->zxid > 0 && (u64)r->zxid > t->last_zxid)
			t->last_zxid = r->zxid;
		if (r->xid == XID_PING)
			continue;
		if (r->xid != XID_NOTIFICATION)
			return 0;
		err = tcp_notified(t, &r->body, r->zxid);
		if (err) {
			tcp_hangup(t);
			return err;
		}
		if (event)
			return 0;
	}
}

int tcp_call_xid(struct tcp *t, struct jw *w, s32 xid, struct op_reply *r, s64 deadline)
{
	int err;

	if (!w->err)
		jute_put32(w->buf + 4, xid);
	err = tcp_send(t, w, deadline);
	jw_free(w);
	while (!err) {
		err = tcp_take(t, r, false, deadline);
		if (err || r->xid == xid)
			break;
		/* The late reply to a call that timed out. */
		if (xid < 0 || r->xid < xid)
			continue;
		tcp_hangup(t);
		err = zkern_fail(&t->zk, -EPROTO, "an answer to nothing that was asked");
	}
	return err;
}

static s32 next_xid(struct tcp *t)
{
	t->xid = t->xid == INT32_MAX ? 1 : t->xid + 1;
	return t->xid;
}

int tcp_call(struct tcp *t, struct jw *w, bool again, const char *path, struct op_reply *r)
{
	s64 deadline = tcp_deadline(t);
	struct jw copy;
	bool was_up;
	int err;

	t->zk.zk_error = 0;
	for (;;) {
		err = tcp_ensure(t, deadline);
		if (err)
			break;
		jw_init(&copy, 0);
		if (!w->err)
			jw_bytes(&copy, w->buf, w->len);
		else
			copy.err = w->err;
		was_up = t->fd >= 0;
		t->zk.undone = false;
		err = tcp_call_xid(t, &copy, next_xid(t), r, deadline);
		if (!err || t->fd >= 0)
			break;
		if (was_up)
			tcp_session_event(t, ZKERN_SESSION_DISCONNECTED);
		if (err != -ECONNRESET || !again)
			break;
	}
	jw_free(w);
	if (err)
		return err;
	r->events = t->n_events > 0;
	if (!r->err)
		return 0;
	t->zk.zk_error = r->err;
	t->zk.undone = true;
	if (r->err == ZSESSIONEXPIRED)
		return expire(t);
	return zkern_fail_path(&t->zk, zkern_errno_of(r->err), path);
}

static int tcp_add_auth(struct zkern *zk, const char *scheme, const void *cred, size_t len)
{
	struct tcp *t = tcp_of(zk);
	s64 deadline = tcp_deadline(t);
	struct tcp_cred *c;
	int err;

	zk->zk_error = 0;
	if (len > INT32_MAX)
		return zkern_fail(zk, -EINVAL, "credentials too long");
	err = tcp_ensure(t, deadline);
	if (err)
		return err;
	c = calloc(1, sizeof(*c));
	if (!c)
		return zkern_fail(zk, -ENOMEM, "out of memory");
	c->scheme = zkern_dup(scheme, strlen(scheme));
	c->cred = zkern_dup(cred, len);
	c->len = len;
	err = c->scheme && c->cred ? send_cred(t, c, deadline) :
				     zkern_fail(zk, -ENOMEM, "out of memory");
	if (err) {
		free(c->scheme);
		free(c->cred);
		free(c);
		return err;
	}
	c->next = t->creds;
	t->creds = c;
	return 0;
}

/* ------------------------------------------------------------ life */

static void tcp_free(struct tcp *t)
{
	size_t i;

	tcp_hangup(t);
	tcp_watches_free(t);
	while (t->creds) {
		struct tcp_cred *c = t->creds;

		t->creds = c->next;
		free(c->scheme);
		explicit_bzero(c->cred, c->len);
		free(c->cred);
		free(c);
	}
	for (i = 0; i < t->n_hosts; i++) {
		free(t->host[i].host);
		free(t->host[i].port);
	}
	free(t->host);
	free(t->rx);
	explicit_bzero(t->passwd, sizeof(t->passwd));
	free(t);
}

static void tcp_close(struct zkern *zk)
{
	struct tcp *t = tcp_of(zk);
	struct op_reply r;
	struct jw w;

	if (t->fd >= 0 && t->session) {
		zkern_begin(&w, OP_CLOSESESSION);
		tcp_call_xid(t, &w, next_xid(t), &r, zkern_now_ms() + CLOSE_MS);
	}
	tcp_free(t);
}

static u64 tcp_session_id(const struct zkern *zk)
{
	return ((const struct tcp *)zk)->session;
}

static u32 tcp_session_timeout(const struct zkern *zk)
{
	return ((const struct tcp *)zk)->session_ms;
}

static int tcp_way_call(struct zkern *zk, struct jw *w, bool again, const char *path,
			struct op_reply *r)
{
	return tcp_call(tcp_of(zk), w, again, path, r);
}

static void tcp_broken(struct zkern *zk)
{
	tcp_hangup(tcp_of(zk));
}

static void tcp_set_timeout(struct zkern *zk, u32 ms)
{
	tcp_of(zk)->p.timeout_ms = ms;
}

static const struct zkern_way way_tcp = {
	.via = ZKERN_VIA_TCP,
	.name = "TCP",
	.close = tcp_close,
	.get = tcp_get,
	.children = tcp_children,
	.get_acl = tcp_get_acl,
	.wait = tcp_wait,
	.call = tcp_way_call,
	.broken = tcp_broken,
	.set_timeout = tcp_set_timeout,
	.add_auth = tcp_add_auth,
	.add_watch = tcp_add_watch,
	.next_event = tcp_next_event,
	.session_id = tcp_session_id,
	.session_timeout = tcp_session_timeout,
};

/* One "host", "host:port", "[v6]" or "[v6]:port" of @len bytes. */
static int add_host(struct tcp *t, const char *s, size_t len)
{
	const char *end = s + len, *host = s, *host_end, *port;
	struct tcp_host *h = &t->host[t->n_hosts];

	if (*s == '[') {
		host = s + 1;
		host_end = memchr(s, ']', len);
		if (!host_end)
			return -EINVAL;
		port = host_end + 1;
	} else {
		host_end = memchr(s, ':', len);
		if (!host_end)
			host_end = end;
		port = host_end;
	}
	if (host_end == host || (port < end && *port != ':') || port + 1 == end)
		return -EINVAL;
	h->host = zkern_dup(host, host_end - host);
	h->port = port < end ? zkern_dup(port + 1, end - port - 1) : zkern_dup("2181", 4);
	t->n_hosts++;
	return h->host && h->port ? 0 : -ENOMEM;
}

static int parse_hosts(struct tcp *t, const char *hosts)
{
	const char *p = hosts;
	int err;

	t->host = calloc(MAX_HOSTS, sizeof(*t->host));
	if (!t->host)
		return zkern_fail(&t->zk, -ENOMEM, "out of memory");
	for (;;) {
		size_t len = strcspn(p, ",");

		err = t->n_hosts < MAX_HOSTS && len ? add_host(t, p, len) : -EINVAL;
		if (err)
			return zkern_fail(&t->zk, err, "server '%.200s': not HOST:PORT", hosts);
		if (!p[len])
			return 0;
		p += len + 1;
	}
}

int zkern_connect(const char *hosts, const struct zkern_tcp_params *params,
		  struct zkern **zk, char *why, size_t why_len)
{
	struct tcp *t = calloc(1, sizeof(*t));
	int err;

	if (!t) {
		if (why)
			snprintf(why, why_len, "out of memory");
		return -ENOMEM;
	}
	t->zk.way = &way_tcp;
	t->fd = -1;
	t->events_end = &t->events;
	if (params)
		memcpy(&t->p, params, params->size < sizeof(t->p) ? params->size :
							     sizeof(t->p));
	t->p.size = sizeof(t->p);
	if (!t->p.session_ms || t->p.session_ms > INT32_MAX)
		t->p.session_ms = DEFAULT_MS;
	if (!t->p.timeout_ms)
		t->p.timeout_ms = DEFAULT_MS;
	if (!t->p.max_frame || t->p.max_frame > INT32_MAX)
		t->p.max_frame = MAX_FRAME;
	err = parse_hosts(t, hosts);
	if (!err)
		err = tcp_ensure(t, tcp_deadline(t));
	if (err) {
		zkern_why(&t->zk, why, why_len);
		tcp_free(t);
		return err;
	}
	/* The first connection is no news. */
	tcp_watches_free(t);
	*zk = &t->zk;
	return 0;
}
