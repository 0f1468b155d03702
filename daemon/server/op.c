// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests of connected clients: writes go to the pipeline; what is no write is
 * answered here, in its place among the same client's writes. Core thread only.
 *
 * A request whose session is being closed, or whose connection lost its session to
 * another, is dropped without an answer, as 3.8 does: the connection is closed.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/server/core_impl.h"
#include "daemon/server/path.h"
#include "daemon/server/read.h"

#define FRAME_HEAD	20	/* int length, int xid, long zxid, int err */
#define ANSWER_UNASKED	(4u * 1024 * 1024)	/* of a read that was not let be longer */
#define OUT_KEEP	(256 * 1024)

/* ------------------------------------------------------------ messages */

void request_free(struct request *r)
{
	if (r->conn)
		conn_put(r->conn);
	auth_set_put(r->auth);
	free(r);
}

static void message_init(struct message *m, struct conn *conn, enum message_kind kind,
			 u32 len)
{
	m->next = NULL;
	m->kind = kind;
	m->conn = conn;
	m->zxid = 0;
	m->session = NULL;
	m->blob = NULL;
	m->len = len;
}

struct message *message_new(struct conn *conn, enum message_kind kind, u32 len)
{
	struct message *m = malloc(sizeof(*m) + len);

	if (m)
		message_init(m, conn_get(conn), kind, len);
	return m;
}

static void reply_fill(struct message *m, s32 xid, u64 zxid, s32 err, const void *body,
		       u32 len)
{
	jute_put32(m->bytes, 16 + len);
	jute_put32(m->bytes + 4, xid);
	jute_put64(m->bytes + 8, zxid);
	jute_put32(m->bytes + 16, err);
	if (len)
		memcpy(m->bytes + FRAME_HEAD, body, len);
}

struct message *reply_new(struct conn *conn, s32 xid, u64 zxid, s32 err,
			  const void *body, u32 len)
{
	struct message *m = message_new(conn, MSG_REPLY, FRAME_HEAD + len);

	if (m)
		reply_fill(m, xid, zxid, err, body, len);
	return m;
}

/* Most answers to writes are shorter than the requests: the block that came from the
 * I/O thread goes back to it, with its reference to the connection. */
struct message *reply_for(struct request *r, u64 zxid, s32 err, const void *body, u32 len)
{
	size_t room = sizeof(*r) + r->len;
	struct conn *conn = r->conn;
	s32 xid = r->xid;
	struct message *m;

	if (sizeof(*m) + FRAME_HEAD + len > room) {
		m = reply_new(conn, xid, zxid, err, body, len);
		if (m)
			request_free(r);
		return m;
	}
	auth_set_put(r->auth);
	m = (struct message *)(void *)r;
	message_init(m, conn, MSG_REPLY, FRAME_HEAD + len);
	reply_fill(m, xid, zxid, err, body, len);
	return m;
}

void post_message(struct core *c, struct message *m)
{
	c->posted = true;
	conn_post(m);
}

void post(struct core *c, struct client *cl, struct message *m)
{
	if (m) {
		post_message(c, m);
		return;
	}
	log_ratelimited(LOG_ERROR, "closing %s: no memory for an answer", conn_name(cl->conn));
	client_close(c, cl);
}

/* ------------------------------------------------------------ answers */

static void close_for(struct core *c, struct client *cl, int err)
{
	log_ratelimited(LOG_WARN, "closing %s: cannot answer: %s", conn_name(cl->conn),
			strerror(-err));
	client_close(c, cl);
}

static enum watch_table table_of(s32 op)
{
	return op == OP_GETCHILDREN || op == OP_GETCHILDREN2 ? WATCH_CHILD : WATCH_DATA;
}

/* The scratch buffer, empty; what one long answer has blown up is given back. */
static void clear_out(struct core *c)
{
	if (c->out.err || c->out.cap > OUT_KEEP) {
		jw_free(&c->out);
		jw_init(&c->out, 0);
	}
	c->out.len = 0;
}

static void read_now(struct core *c, struct client *cl, const struct request *r)
{
	struct read_watch w = { 0 };
	struct message *m;
	int rc;

	clear_out(c);
	c->out.limit = r->large ? ANSWER_MAX : ANSWER_UNASKED;
	rc = read_answer(c->st, r->auth, cl->sess->pub.id, r->xid, r->op, r->body, r->len,
			 &c->out, &w);
	c->out.limit = (size_t)-1;
	if (!rc)
		rc = c->out.err;
	/* A watch is set where the node was found, and by exists where it was not. */
	if (!rc && w.wanted && (w.err == ZOK || (w.err == ZNONODE && r->op == OP_EXISTS)))
		rc = watch_read(c, cl, table_of(r->op), w.path, w.path_len);
	if (rc == -EDQUOT) {
		post(c, cl, reply_new(cl->conn, r->xid, c->applied, ZQUOTAEXCEEDED, NULL, 0));
		return;
	}
	if (rc) {
		close_for(c, cl, rc);
		return;
	}
	m = message_new(cl->conn, MSG_REPLY, c->out.len);
	if (m)
		memcpy(m->bytes, c->out.buf, c->out.len);
	if (r->large)
		clear_out(c);
	post(c, cl, m);
}

static s32 sync_now(struct core *c, const struct request *r)
{
	struct jstr path;
	struct jr in;
	u8 *p;

	jr_init(&in, r->body, r->len);
	path = jr_str(&in);
	if (in.err)
		return ZMARSHALLINGERROR;
	if (path.len < 0) {
		jw_int(&c->out, -1);
		return ZOK;
	}
	p = jw_room(&c->out, 4 + 3 * (size_t)path.len);
	if (!p)
		return ZOK;	/* c->out.err says it */
	jute_put32(p, path_recode(path.p, path.len, p + 4));
	c->out.len += 4 + jute_get32(p);
	return ZOK;
}

/* 3.8 answers with the zxid that a request has before it is processed: -1; then it
 * closes the connection. */
static void unknown_now(struct core *c, struct client *cl, const struct request *r)
{
	log_ratelimited(LOG_WARN, "closing %s: unknown request type %d", conn_name(cl->conn),
			r->op);
	post(c, cl, reply_new(cl->conn, r->xid, ~0ULL, ZUNIMPLEMENTED, NULL, 0));
	if (cl->sess)
		client_close(c, cl);
}

/* A session that nobody else knows. */
static void close_local(struct core *c, struct client *cl, const struct request *r, u64 zxid)
{
	struct sess *s = cl->sess;

	post(c, cl, reply_new(cl->conn, r->xid, zxid, ZOK, NULL, 0));
	if (cl->sess)
		connect_local_ended(c, s);
}

/* What is no write, when its turn has come: behind the transaction @zxid. */
static void run(struct core *c, struct client *cl, struct request *r, u64 zxid)
{
	s32 err, xid = r->xid;
	int fail = 0;

	if (read_is_read(r->op)) {
		read_now(c, cl, r);
		return;
	}
	if (r->op == OP_CLOSESESSION) {
		close_local(c, cl, r, zxid);
		return;
	}
	clear_out(c);
	if (watchop_is(r->op)) {
		err = watchop_run(c, cl, r, &fail);
	} else if (r->op == OP_SYNC) {
		err = sync_now(c, r);
	} else if (r->op == OP_PING) {
		err = ZOK;
		xid = XID_PING;
	} else if (r->op == OP_RECONFIG) {
		err = ZMARSHALLINGERROR;
	} else {
		unknown_now(c, cl, r);
		return;
	}
	if (!fail)
		fail = c->out.err;
	if (fail) {
		close_for(c, cl, fail);
		return;
	}
	post(c, cl, reply_new(cl->conn, xid, zxid, err, c->out.buf,
			      err ? 0 : c->out.len));
}

/* ------------------------------------------------------------ requests */

/* A reconfig that does not parse is no write: 3.8 reads it before it takes a zxid. */
static bool is_write(const struct request *r)
{
	struct wish w;
	struct jr in;

	if (r->op != OP_RECONFIG)
		return prep_is_write(r->op);
	jr_init(&in, r->body, r->len);
	return wish_read(&in, r->op, &w);
}

static void note_auth(struct client *cl, const struct request *r)
{
	if (cl->auth == r->auth)
		return;
	auth_set_put(cl->auth);
	cl->auth = auth_set_get(r->auth);
}

void op_auth(struct core *c, struct request *r)
{
	struct client *cl = client_find(c, r->conn);

	if (cl)
		note_auth(cl, r);
	request_free(r);
}

static void close_session(struct core *c, struct client *cl, struct request *r)
{
	struct sess *s = cl->sess;
	struct message *m = reply_new(r->conn, r->xid, 0, ZOK, NULL, 0);
	int rc = m ? pipeline_close(c, s, r->xid, cl, m) : -ENOMEM;

	if (!rc) {
		session_closing(s);
	} else {
		if (m) {
			conn_put(m->conn);
			free(m);
		}
		close_for(c, cl, rc);
	}
	request_free(r);
}

static void ask_sync(struct core *c, struct client *cl, struct request *r)
{
	int rc = remote_sync(c, cl, r);

	if (!rc)
		return;
	close_for(c, cl, rc);
	request_free(r);
}

/* What was agreed when a read was confirmed is to be in the tree; it may not be yet. */
static bool lacks_agreed(const struct core *c, const struct client *cl, const struct request *r)
{
	return r->round && c->committed &&
	       (!pipeline_busy(c, cl) || cl->last_zxid <= zab_committed(c->zab));
}

static void go(struct core *c, struct client *cl, struct request *r)
{
	if (r->op == OP_CLOSESESSION && cl->sess->local)
		session_closing(cl->sess);
	if (readonly_refuses(c, r->op)) {
		post(c, cl, reply_new(r->conn, r->xid, c->applied, ZNOTREADONLY, NULL, 0));
		request_free(r);
	} else if (is_write(r)) {
		pipeline_write(c, cl, r);
	} else if (r->op == OP_CLOSESESSION && !cl->sess->local) {
		close_session(c, cl, r);
	} else if (r->op == OP_SYNC && c->serving && !c->leading) {
		ask_sync(c, cl, r);
	} else if (lacks_agreed(c, cl, r)) {
		pipeline_after(c, cl, r, true);
	} else if (pipeline_busy(c, cl) || pipeline_firing(c)) {
		pipeline_after(c, cl, r, r->op == OP_SYNC);
	} else if (r->op == OP_SYNC && c->tail) {
		pipeline_after(c, cl, r, true);
	} else {
		run(c, cl, r, c->applied);
		request_free(r);
	}
}

void op_request(struct core *c, struct request *r)
{
	struct client *cl = client_find(c, r->conn);

	if (!cl || !cl->sess || cl->sess->pub.closing) {
		metric_count(METRIC_stale_requests, 1);
		metric_count(METRIC_stale_requests_dropped, 1);
		request_free(r);
		return;
	}
	note_auth(cl, r);
	if (!confirm_keep(c, cl, r))
		go(c, cl, r);
}

void op_go(struct core *c, struct client *cl, struct request *r)
{
	if (cl->sess && !cl->sess->pub.closing)
		go(c, cl, r);
	else
		request_free(r);
}

void op_run_after(struct core *c, struct request *r, u64 zxid)
{
	struct client *cl = client_find(c, r->conn);

	if (cl && cl->sess)
		run(c, cl, r, zxid);
	request_free(r);
}
