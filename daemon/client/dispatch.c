// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of each frame: authentication is handled here, plain reads and
 * pings are answered here while the core has nothing of the connection, all else
 * goes to the core (ZooKeeperServer.processPacket). Runs on the I/O thread that
 * owns the connection.
 *
 * The order of replies. Those made here are made only while no request of the
 * connection is at the core, and later requests are read only after them; the core
 * answers in the order of submission. (auth and sasl are answered at once, as
 * ZooKeeper does: their xid tells them from all others.)
 *
 * Watch before data. Let a read be answered here as of zxid Z, and let E be an event
 * of a transaction X <= Z for this connection. The core added E's message to the
 * I/O thread's queue before it published X (request.h), hence before it published
 * Z, with release semantics; the store read Z with acquire semantics when it made
 * the answer. So when put_events() looks after that, E's message is either in the
 * queue, or it was taken out before and stands in the connection's list, or it was
 * delivered earlier. put_events() puts all that are left before the answer. It
 * finds them at the list's head: no reply can stand before them, as no request is
 * at the core, and events come in the order of their transactions. The same holds
 * for pings: a client that was told Z asks for no event up to Z when it comes back
 * (setWatches).
 */
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/client/internal.h"
#include "daemon/server/read.h"

#define ASKED_MIN	8
#define REPLY_HEAD	16	/* bytes: ReplyHeader */
#define ASKED_BYTES_MAX	(1024 * 1024)	/* of requests at the core, one more at most */

/* ------------------------------------------------------------ to the core */

bool conn_may_take(const struct conn *c)
{
	const struct client_side *cs = c->cs;

	if (conn_unsent(c) >= OUT_HIGH)
		return false;
	if (!c->asked_n)
		return true;
	return c->asked_n < CORE_MAX && c->asked_reads < CORE_MAX_READS &&
	       c->asked_bytes < ASKED_BYTES_MAX &&
	       __atomic_load_n(&cs->outstanding, __ATOMIC_RELAXED) <=
	       cs->cfg->global_outstanding;
}

static int asked_grow(struct conn *c)
{
	u32 cap = c->asked_cap ? 2 * c->asked_cap : ASKED_MIN;
	struct asked *a = malloc(cap * sizeof(*a));

	if (!a)
		return -ENOMEM;
	for (u32 i = 0; i < c->asked_n; i++)
		a[i] = c->asked[(c->asked_first + i) & (c->asked_cap - 1)];
	free(c->asked);
	c->asked = a;
	c->asked_cap = cap;
	c->asked_first = 0;
	return 0;
}

static int asked_add(struct conn *c, s32 xid, s32 op, u32 len)
{
	if (c->asked_n == c->asked_cap && asked_grow(c))
		return -ENOMEM;
	c->asked[(c->asked_first + c->asked_n) & (c->asked_cap - 1)] = (struct asked){
		.xid = xid, .op = op, .len = len, .at_ms = c->io->now_ms,
	};
	__atomic_store_n(&c->asked_n, c->asked_n + 1, __ATOMIC_RELAXED);
	c->asked_bytes += len;
	c->asked_reads += read_is_read(op);
	__atomic_add_fetch(&c->cs->outstanding, 1, __ATOMIC_RELAXED);
	return 0;
}

void conn_answered(struct conn *c, const struct message *m)
{
	struct asked a;
	u64 zxid = 0;

	if (!c->asked_n) {
		log_ratelimited(LOG_ERROR, "%s: a reply to no request", c->name);
		return;
	}
	a = c->asked[c->asked_first];
	c->asked_first = (c->asked_first + 1) & (c->asked_cap - 1);
	__atomic_store_n(&c->asked_n, c->asked_n - 1, __ATOMIC_RELAXED);
	c->asked_bytes -= a.len;
	c->asked_reads -= read_is_read(a.op);
	__atomic_sub_fetch(&c->cs->outstanding, 1, __ATOMIC_RELAXED);
	if (m->len >= 16)
		zxid = jute_get64(m->bytes + 8);
	stats_answered(c, a.op, a.xid, zxid, c->io->now_ms - a.at_ms, m->len - 4);
	if (!c->asked_n && c->asked_cap > ASKED_MIN) {
		free(c->asked);
		c->asked = NULL;
		c->asked_cap = 0;
		c->asked_first = 0;
	}
}

void conn_forget(struct conn *c)
{
	__atomic_sub_fetch(&c->cs->outstanding, c->asked_n, __ATOMIC_RELAXED);
	__atomic_store_n(&c->asked_n, 0, __ATOMIC_RELAXED);
	free(c->asked);
	c->asked = NULL;
	if (c->gone)
		core_submit(c->cs->core, c->gone);
	c->gone = NULL;
}

static struct request *request_new(struct conn *c, enum request_kind kind, const u8 *body,
				   u32 len)
{
	struct request *r = malloc(sizeof(*r) + len);

	if (!r)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->kind = kind;
	r->conn = conn_get(c);
	r->session = c->session;
	r->auth = auth_set_get(c->auth);
	r->received_ns = io_now_ns(c->io);
	r->len = len;
	if (len)
		memcpy(r->body, body, len);
	return r;
}

static int ask_core(struct conn *c, s32 xid, s32 op, const u8 *body, u32 len)
{
	struct request *r = request_new(c, REQ_OP, body, len);

	if (!r)
		return -ENOMEM;
	if (asked_add(c, xid, op, len)) {
		auth_set_put(r->auth);
		conn_put(c);
		free(r);
		return -ENOMEM;
	}
	r->xid = xid;
	r->op = op;
	core_submit(c->cs->core, r);
	return 0;
}

int conn_take_connect(struct conn *c, const u8 *frame, u32 len)
{
	struct request *r;
	struct jr in;

	jr_init(&in, frame, len);
	jr_int(&in);	/* protocolVersion */
	jr_long(&in);	/* lastZxidSeen */
	jr_int(&in);	/* timeOut */
	jr_long(&in);	/* sessionId */
	jr_str(&in);	/* passwd; then readOnly, or not */
	stats_received(c, 1);
	metric_count(METRIC_connection_request_count, 1);
	metric_add(METRIC_connection_token_deficit, 0);	/* tokens are not limited */
	c->hello_ms = c->io->now_ms;
	if (in.err) {
		log_ratelimited(LOG_WARN, "closing %s: no connect request", c->name);
		return -EBADMSG;
	}
	c->gone = request_new(c, REQ_GONE, NULL, 0);
	r = c->gone ? request_new(c, REQ_CONNECT, frame, len) : NULL;
	if (!r) {
		if (c->gone) {
			auth_set_put(c->gone->auth);
			conn_put(c);
			free(c->gone);
			c->gone = NULL;
		}
		return -ENOMEM;
	}
	c->state = CONN_WAIT;
	list_del_init(&c->timed);
	core_submit(c->cs->core, r);
	return 0;
}

/* ------------------------------------------------------------ answered here */

static void put_head(struct jw *out, u32 body, s32 xid, u64 zxid, s32 err)
{
	u8 *p = jw_add(out, 20);

	if (!p)
		return;
	jute_put32(p, 16 + body);
	jute_put32(p + 4, xid);
	jute_put64(p + 8, zxid);
	jute_put32(p + 16, err);
}

static size_t events_before(struct conn *c, u64 zxid)
{
	size_t n = 0;

	for (struct message *m = c->msgs; m; m = m->next) {
		if (m->kind != MSG_EVENT || m->zxid > zxid)
			break;
		n += m->blob->len;
	}
	return n;
}

/* Events up to @zxid go before the answer that begins at @start; the file's head
 * says why these are all. */
static void put_events(struct conn *c, struct jw *out, size_t start, u64 zxid)
{
	struct message *m;
	size_t n;
	u8 *p;

	if (!c->msgs && queue_empty(&c->io->inbox))
		return;
	io_drain(c->io);
	n = events_before(c, zxid);
	if (!n || !jw_room(out, n))
		return;
	p = out->buf + start;
	memmove(p + n, p, out->len - start);
	out->len += n;
	while (n) {
		m = c->msgs;
		memcpy(p, m->blob->bytes, m->blob->len);
		p += m->blob->len;
		n -= m->blob->len;
		c->msgs = m->next;
		stats_sent(c, m->blob->len - 4);
		metric_count(METRIC_watch_bytes, m->blob->len - 4);
		message_free(m);
	}
}

static void answer_ping(struct conn *c)
{
	struct jw *out = conn_out(c);
	size_t start = out->len;
	u64 zxid = store_zxid(c->cs->st);

	/* A read may have seen a transaction that store_zxid() does not tell of yet. */
	if (zxid < c->seen_zxid)
		zxid = c->seen_zxid;
	put_head(out, 0, XID_PING, zxid, ZOK);
	put_events(c, out, start, zxid);
	stats_answered(c, OP_PING, XID_PING, zxid, 0, REPLY_HEAD);
}

static int answer_read(struct conn *c, s32 xid, s32 op, const u8 *body, u32 len)
{
	struct jw *out = conn_out(c);
	size_t start = out->len, size;
	struct read_watch w;
	int err;

	err = read_answer(c->cs->st, c->auth, c->session_id, xid, op, body, len, out, &w);
	if (err == -EAGAIN)
		return ask_core(c, xid, op, body, len);
	if (err) {
		log_ratelimited(LOG_WARN, "closing %s: cannot answer a read: %s", c->name,
				strerror(-err));
		return err;
	}
	if (w.zxid > c->seen_zxid)
		c->seen_zxid = w.zxid;
	size = out->len - start - 4;
	put_events(c, out, start, w.zxid);
	stats_answered(c, op, xid, w.zxid, coarse_ms() - c->io->now_ms, size);
	return 0;
}

static int take_auth(struct conn *c, s32 xid, const u8 *body, u32 len)
{
	struct auth_set *set = NULL;
	s32 err = ZAUTHFAILED;
	char scheme[16] = "";
	struct jstr name, auth;
	struct jr in;

	jr_init(&in, body, len);
	jr_int(&in);
	name = jr_str(&in);
	auth = jr_str(&in);
	if (in.err)
		return -EBADMSG;
	if (name.len > 0 && name.len < (s32)sizeof(scheme) &&
	    !memchr(name.p, 0, name.len)) {
		memcpy(scheme, name.p, name.len);
		set = access_add_auth(c->auth, scheme, auth.p, auth.len < 0 ? 0 : auth.len,
				      c->cs->cfg->super_digest, &err);
	}
	put_head(conn_out(c), 0, xid, 0, err);
	stats_sent(c, REPLY_HEAD);
	if (!set) {
		__atomic_add_fetch(&c->cs->auth_failed, 1, __ATOMIC_RELAXED);
		log_ratelimited(LOG_WARN, "%s: authentication failed, scheme %s", c->name,
				scheme);
		conn_drain(c, DRAIN_MS);
		return 0;
	}
	auth_set_put(c->auth);
	c->auth = set;
	return 0;
}

/* What a ZooKeeper without a JAAS login answers: an empty token, no error. */
static int take_sasl(struct conn *c, s32 xid, const u8 *body, u32 len)
{
	struct jr in;

	jr_init(&in, body, len);
	if (jr_str(&in).len < 0)
		return -EBADMSG;
	put_head(conn_out(c), 4, xid, 0, ZOK);
	jw_int(conn_out(c), -1);
	stats_sent(c, REPLY_HEAD + 4);
	return 0;
}

int conn_take(struct conn *c, const u8 *frame, u32 len)
{
	const u8 *body = frame + 8;
	s32 xid, op;

	stats_received(c, 1);
	if (len < 8)
		return -EBADMSG;
	xid = jute_get32(frame);
	op = jute_get32(frame + 4);
	len -= 8;
	if (op == OP_AUTH)
		return take_auth(c, xid, body, len);
	if (op == OP_SASL)
		return take_sasl(c, xid, body, len);
	/* As in 3.8, those two do not keep a session alive; all else does. */
	__atomic_store_n(&c->session->heard_ms, c->io->now_ms, __ATOMIC_RELAXED);
	if (c->asked_n || __atomic_load_n(&c->session->closing, __ATOMIC_RELAXED))
		return ask_core(c, xid, op, body, len);
	if (op == OP_PING) {
		answer_ping(c);
		return 0;
	}
	if (read_is_read(op) && !read_wants_watch(op, body, len))
		return answer_read(c, xid, op, body, len);
	return ask_core(c, xid, op, body, len);
}
