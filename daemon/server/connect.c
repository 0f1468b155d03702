// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections and sessions come and go (ZooKeeperServer.processConnectRequest,
 * reopenSession, finishSessionInit). Core thread only.
 *
 * A session has at most one connection; a later one takes it over and the earlier
 * is closed at once, right password or not. A struct client lives from the connect
 * request to REQ_GONE; a session's memory lives until all clients that served it
 * are gone, as their I/O threads may still note signs of life in it.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/server/core_impl.h"

#define CLIENTS_MIN	256
#define NAP_MS		10	/* short of memory */

/* ------------------------------------------------------------ clients */

static struct client **client_slot(struct core *c, const struct conn *conn)
{
	struct client **p;

	p = &c->clients[hash_u64(0, (uintptr_t)conn) & (c->clients_size - 1)];
	while (*p && (*p)->conn != conn)
		p = &(*p)->next;
	return p;
}

struct sess *connect_session(struct core *c, u64 id)
{
	struct sess *s = session_find(c->sessions, id);

	return s ? s : session_find(c->locals, id);
}

struct client *client_find(struct core *c, const struct conn *conn)
{
	return c->clients_size ? *client_slot(c, conn) : NULL;
}

static int clients_grow(struct core *c)
{
	u32 n = c->clients_size ? c->clients_size * 2 : CLIENTS_MIN;
	struct client **t = calloc(n, sizeof(*t)), *cl, *next;

	if (!t)
		return -ENOMEM;
	for (u32 i = 0; i < c->clients_size; i++) {
		for (cl = c->clients[i]; cl; cl = next) {
			struct client **p;

			next = cl->next;
			p = &t[hash_u64(0, (uintptr_t)cl->conn) & (n - 1)];
			cl->next = *p;
			*p = cl;
		}
	}
	free(c->clients);
	c->clients = t;
	c->clients_size = n;
	return 0;
}

static struct client *client_new(struct core *c, struct conn *conn, struct auth_set *auth)
{
	struct client *cl, **slot;

	if (c->n_clients == c->clients_size && clients_grow(c) && !c->clients_size)
		return NULL;
	cl = calloc(1, sizeof(*cl));
	if (!cl)
		return NULL;
	cl->conn = conn_get(conn);
	cl->auth = auth_set_get(auth);
	cl->watcher = WATCHER_NONE;
	INIT_LIST_HEAD(&cl->keeping);
	slot = client_slot(c, conn);
	*slot = cl;
	list_add_tail(&cl->link, &c->all_clients);
	c->n_clients++;
	c->side = conn_side(conn);
	return cl;
}

static void end_local(struct core *c, struct sess *s)
{
	remote_forget(c, s);
	session_end(c->locals, s);
}

/* One that only this server knows, and that was to be closed, ends with its connection. */
static void detach_session(struct core *c, struct sess *s)
{
	s->client = NULL;
	if (s->local && s->pub.closing)
		end_local(c, s);
}

/* It hears of no watch any more, and serves no session. */
static void client_detach(struct core *c, struct client *cl)
{
	if (cl->watcher != WATCHER_NONE) {
		watcher_gone(c->watches, cl->watcher);
		cl->watcher = WATCHER_NONE;
		c->sweep = true;
	}
	confirm_forget(cl);
	if (cl->sess)
		detach_session(c, cl->sess);
	cl->sess = NULL;
}

static void client_drop(struct client *cl)
{
	if (cl->user_of)
		session_unuse(cl->user_of);
	auth_set_put(cl->auth);
	conn_put(cl->conn);
	free(cl);
}

static void client_attach(struct client *cl, struct sess *s)
{
	cl->sess = s;
	cl->user_of = s;
	s->client = cl;
	s->users++;
}

/* Closing needs memory like any message; without it the connection is left to its
 * own end, unanswered. */
static void post_close(struct core *c, struct conn *conn)
{
	struct message *m = message_new(conn, MSG_CLOSE, 0);

	if (m)
		post_message(c, m);
	else
		log_ratelimited(LOG_ERROR, "no memory to close %s with", conn_name(conn));
}

void client_close(struct core *c, struct client *cl)
{
	client_detach(c, cl);
	post_close(c, cl->conn);
}

void connect_gone(struct core *c, struct request *r)
{
	struct client **slot, *cl = client_find(c, r->conn);

	if (cl) {
		slot = client_slot(c, r->conn);
		*slot = cl->next;
		list_del(&cl->link);
		c->n_clients--;
		client_detach(c, cl);
		client_drop(cl);
	}
	request_free(r);
}

void clients_free(struct core *c)
{
	struct client *cl, *next;

	for (u32 i = 0; i < c->clients_size; i++) {
		for (cl = c->clients[i]; cl; cl = next) {
			next = cl->next;
			cl->user_of = NULL;	/* sessions_free() takes it */
			confirm_forget(cl);
			client_drop(cl);
		}
	}
	free(c->clients);
}

/* ------------------------------------------------------------ connecting */

struct hello {
	s64 last_zxid;
	s32 timeout;
	u64 id;
	struct jstr passwd;
	bool reads;		/* the readOnly flag: it is content with reading */
	bool old;		/* before 3.4: no such flag, nor one in the answer */
};

static bool hello_read(const struct request *r, struct hello *h)
{
	struct jr in;

	jr_init(&in, r->body, r->len);
	jr_int(&in);		/* protocolVersion */
	h->last_zxid = jr_long(&in);
	h->timeout = jr_int(&in);
	h->id = jr_long(&in);
	h->passwd = jr_str(&in);
	h->old = !jr_left(&in);
	h->reads = !h->old && jr_bool(&in);
	return !in.err;
}

struct message *connect_answer(const struct core *c, struct conn *conn, struct sess *s,
			       bool old)
{
	u32 body = 4 + 4 + 8 + 4 + ZK_PASSWD_LEN + !old;
	struct message *m = message_new(conn, MSG_CONNECTED, 4 + body);

	if (!m)
		return NULL;
	memset(m->bytes, 0, m->len);
	jute_put32(m->bytes, body);
	jute_put32(m->bytes + 20, ZK_PASSWD_LEN);
	if (s) {
		jute_put32(m->bytes + 8, s->pub.timeout);
		jute_put64(m->bytes + 12, s->pub.id);
		session_passwd(s->pub.id, m->bytes + 24);
		m->session = &s->pub;
	}
	if (!old)
		m->bytes[m->len - 1] = c->readonly;
	return m;
}

static s32 clamp_timeout(const struct core *c, s32 t)
{
	if (t < (s64)c->cfg->min_session_ms)
		t = c->cfg->min_session_ms;
	if (t > (s64)c->cfg->max_session_ms)
		t = c->cfg->max_session_ms;
	return t;
}

static void open_session(struct core *c, struct client *cl, const struct hello *h)
{
	struct sess *s = session_create(c->sessions, h->timeout, c->now_ms);
	struct message *m = NULL;
	int rc = -ENOMEM;

	if (s) {
		client_attach(cl, s);
		m = connect_answer(c, cl->conn, s, h->old);
	}
	if (m)
		rc = pipeline_open(c, s, cl, m);
	if (!rc)
		return;
	log_ratelimited(rc == -EROFS ? LOG_INFO : LOG_ERROR, "closing %s: no new session: %s",
			conn_name(cl->conn), pipeline_error(rc));
	if (m) {
		conn_put(m->conn);
		free(m);
	}
	client_close(c, cl);
	if (s)
		session_end(c->sessions, s);
}

/* One that the ensemble does not hear of: there is nothing to wait for. */
static void open_local(struct core *c, struct client *cl, const struct hello *h)
{
	struct sess *s = session_restore(c->locals, session_new_id(c->sessions), h->timeout,
					 c->now_ms);
	struct message *m;

	if (!s) {
		log_ratelimited(LOG_ERROR, "closing %s: no memory for a session",
				conn_name(cl->conn));
		client_close(c, cl);
		return;
	}
	s->local = true;
	client_attach(cl, s);
	m = connect_answer(c, cl->conn, s, h->old);
	if (m)
		m->zxid = c->applied;
	post(c, cl, m);
}

static bool passwd_right(const struct hello *h)
{
	u8 right[ZK_PASSWD_LEN];

	if (!h->id || h->passwd.len != ZK_PASSWD_LEN)
		return false;
	session_passwd(h->id, right);
	return !memcmp(right, h->passwd.p, ZK_PASSWD_LEN);
}

static void resume_session(struct core *c, struct client *cl, const struct hello *h)
{
	struct sess *s = connect_session(c, h->id);
	bool local;
	int rc;

	if (s && !s->local && c->readonly) {
		log_ratelimited(LOG_INFO, "closing %s: session 0x%llx is the ensemble's, and there "
				"is no quorum", conn_name(cl->conn), h->id);
		client_close(c, cl);
		return;
	}
	local = s && s->local;
	metric_count(METRIC_connection_revalidate_count, 1);
	if (s && s->client)
		client_close(c, s->client);
	if (!passwd_right(h)) {
		log_ratelimited(LOG_WARN, "%s: wrong password for session 0x%llx",
				conn_name(cl->conn), h->id);
		s = NULL;
	} else if (c->serving && !c->leading && !local) {
		/* the leader knows, and is told who serves it from now on */
		rc = remote_revive(c, cl, h->id, h->timeout, h->old);
		if (rc) {
			log_ratelimited(LOG_ERROR, "closing %s: cannot ask for its session: %s",
					conn_name(cl->conn), strerror(-rc));
			client_close(c, cl);
		}
		return;
	} else if (!s || s->pub.closing) {
		log_ratelimited(LOG_INFO, "%s: session 0x%llx is not valid, probably expired",
				conn_name(cl->conn), h->id);
		s = NULL;
	}
	if (s) {
		s->owner = SESSION_LOCAL;
		session_touch(s->local ? c->locals : c->sessions, s, h->timeout, c->now_ms);
		client_attach(cl, s);
	}
	post(c, cl, connect_answer(c, cl->conn, s, h->old));
}

void connect_revived(struct core *c, const struct reviving *v, bool valid)
{
	struct client *cl = client_find(c, v->conn);
	struct sess *s = valid ? session_find(c->sessions, v->id) : NULL;

	if (!cl || cl->sess)
		return;
	/* we may not have heard of its begin yet, but the leader has */
	if (valid && !s)
		s = session_restore(c->sessions, v->id, v->timeout, c->now_ms);
	if (valid && !s) {
		client_close(c, cl);
		return;
	}
	if (s && s->client)
		client_close(c, s->client);
	if (s && !s->pub.closing) {
		session_touch(c->sessions, s, v->timeout, c->now_ms);
		client_attach(cl, s);
	} else {
		s = NULL;
	}
	post(c, cl, connect_answer(c, cl->conn, s, v->old));
}

static void renew_one(void *arg, struct sess *s)
{
	struct core *c = arg;

	while (s->users && session_renew(c->sessions, s))
		core_nap(c, NAP_MS);
}

void connect_close_all(struct core *c)
{
	struct client *cl;

	list_for_each_entry(cl, &c->all_clients, link)
		client_close(c, cl);
	sessions_replace(c->sessions, renew_one, c);
	sessions_clear(c->locals);
}

void connect_request(struct core *c, struct request *r)
{
	struct client *cl = client_new(c, r->conn, r->auth);
	struct hello h;

	if (!cl) {
		log_ratelimited(LOG_ERROR, "closing %s: no memory", conn_name(r->conn));
		post_close(c, r->conn);
	} else if (!c->open) {
		client_close(c, cl);
	} else if (!hello_read(r, &h)) {
		client_close(c, cl);
	} else if (c->readonly && !h.reads) {
		log_ratelimited(LOG_INFO, "closing %s: it wants to write, and there is no quorum",
				conn_name(cl->conn));
		client_close(c, cl);
	} else if (h.last_zxid > (s64)c->applied) {
		log_ratelimited(LOG_INFO, "closing %s: it has seen zxid 0x%llx, our last is "
				"0x%llx", conn_name(cl->conn), (u64)h.last_zxid, c->applied);
		client_close(c, cl);
	} else {
		h.timeout = clamp_timeout(c, h.timeout);
		if (h.id)
			resume_session(c, cl, &h);
		else if (c->readonly || (c->peers && c->cfg->local_sessions &&
					 !conn_is_device(cl->conn)))
			open_local(c, cl, &h);
		else
			open_session(c, cl, &h);
	}
	request_free(r);
}

void connect_opened(struct core *c, struct sess *s)
{
	(void)c;
	s->committed = true;
}

void connect_ended(struct core *c, struct sess *s)
{
	if (s->client)
		client_close(c, s->client);
	remote_forget(c, s);
	session_end(c->sessions, s);
}

void connect_local_ended(struct core *c, struct sess *s)
{
	session_closing(s);
	if (s->client)
		client_close(c, s->client);
	else
		end_local(c, s);
}

void connect_local_expired(void *core, struct sess *s)
{
	metric_count(METRIC_stale_sessions_expired, 1);
	log_info("expiring local session 0x%llx, timeout of %d ms exceeded", s->pub.id,
		 s->pub.timeout);
	connect_local_ended(core, s);
}

void connect_expired(void *core, struct sess *s)
{
	struct core *c = core;
	int rc;

	metric_count(METRIC_stale_sessions_expired, 1);
	log_info("expiring session 0x%llx, timeout of %d ms exceeded", s->pub.id,
		 s->pub.timeout);
	rc = pipeline_close(c, s, 0, NULL, NULL);
	if (!rc) {
		c->tail->expired = true;
		c->expiring++;
		return;
	}
	/* It is not closed unless the ensemble agrees: try again a timeout later. */
	log_ratelimited(LOG_ERROR, "cannot close session 0x%llx: %s", s->pub.id, strerror(-rc));
	session_reopen(c->sessions, s, c->now_ms);
}
