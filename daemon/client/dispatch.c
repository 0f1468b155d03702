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
 * of a transaction X <= Z for this connection. If the core had a request of this
 * connection when it made E, it added E's message to the I/O thread's queue before
 * the answer to that (request.h), which has been delivered: no request is at the
 * core now. Otherwise it added E's message before it published X, hence before it
 * published Z, with release semantics; the store read Z with acquire semantics when
 * it made the answer. So when put_events() looks after that, E's message is either in the
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

bool conn_throttled(const struct conn *c)
{
	u32 max = c->cs->cfg->throttle_max;

	return max && __atomic_load_n(&c->cs->outstanding, __ATOMIC_RELAXED) >= max;
}

bool conn_may_take(const struct conn *c)
{
	const struct client_side *cs = c->cs;

	if (conn_unsent(c) >= OUT_HIGH || c->large || !list_empty(&c->wait) ||
	    conn_throttled(c))
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

static bool is_large(const struct conn *c, u32 len)
{
	s32 threshold = c->cs->cfg->large_threshold;

	return threshold >= 0 && len > (u32)threshold;
}

static void count_large(struct conn *c, u32 len, int sign)
{
	if (is_large(c, len))
		__atomic_add_fetch(&c->cs->large_requests, sign * (s64)len, __ATOMIC_RELAXED);
}

int conn_may_be_large(struct conn *c, u32 len)
{
	struct client_side *cs = c->cs;

	if (!is_large(c, len) ||
	    __atomic_load_n(&cs->large_requests, __ATOMIC_RELAXED) + len <= cs->cfg->large_max)
		return 0;
	metric_count(METRIC_large_requests_rejected, 1);
	return conn_refuse(c,
			   "a request of %u bytes is one large too many (largeRequestMaxBytes=%u)",
			   len, cs->cfg->large_max);
}

static int asked_add(struct conn *c, s32 xid, s32 op, u32 len, u64 answer)
{
	if (c->asked_n == c->asked_cap && asked_grow(c))
		return -ENOMEM;
	c->asked[(c->asked_first + c->asked_n) & (c->asked_cap - 1)] = (struct asked){
		.xid = xid, .op = op, .len = len, .cost = len + answer,
		.at_ms = c->io->now_ms,
	};
	__atomic_store_n(&c->asked_n, c->asked_n + 1, __ATOMIC_RELAXED);
	c->asked_bytes += len + answer;
	count_large(c, len, 1);
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
	c->asked_bytes -= a.cost;
	count_large(c, a.len, -1);
	if (c->large_asked) {
		c->large_asked = false;
		large_made(c, m->len);
	}
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
	for (u32 i = 0; i < c->asked_n; i++)
		count_large(c, c->asked[(c->asked_first + i) & (c->asked_cap - 1)].len, -1);
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

static int ask_core(struct conn *c, s32 xid, s32 op, const u8 *body, u32 len, u64 answer)
{
	struct request *r = request_new(c, REQ_OP, body, len);

	if (!r)
		return -ENOMEM;
	r->large = c->large;
	if (asked_add(c, xid, op, len, answer)) {
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

/*
 * A read that the core is to answer. What may be long goes there alone, with its part
 * of the budget; what needs the core for its place only is answered here when that
 * has answered all else.
 */
static int ask_read(struct conn *c, s32 xid, s32 op, const u8 *body, u32 len)
{
	u64 guess = large_guess(c, op, body, len);

	if (guess > ANSWER_SMALL / 2) {
		if (c->asked_n) {
			conn_wait(c);
			return TAKE_LATER;
		}
		if (!large_take(c, guess, body, len))
			return TAKE_LATER;
		c->large_asked = true;
		guess = 0;	/* the budget's, not its own */
	}
	return ask_core(c, xid, op, body, len, guess);
}

int conn_take_connect(struct conn *c, const u8 *frame, u32 len)
{
	struct request *r;
	struct jr in;
	s64 session;

	jr_init(&in, frame, len);
	jr_int(&in);	/* protocolVersion */
	jr_long(&in);	/* lastZxidSeen */
	jr_int(&in);	/* timeOut */
	session = jr_long(&in);
	jr_str(&in);	/* passwd; then readOnly, or not */
	stats_received(c, 1);
	metric_count(METRIC_connection_request_count, 1);
	c->hello_ms = c->io->now_ms;
	if (in.err)	/* the length stands before it */
		return conn_refuse(c,
				   "a frame of %u bytes, no connect request; it looks like %s",
				   len, junk_name(frame - 4, len + 4));
	if (!throttle_admits(&c->cs->throttle, session, c->io->now_ms)) {
		metric_count(METRIC_connection_rejected, 1);
		return conn_refuse(c, "too many connect (connection_throttle_tokens)");
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

/* @most: bytes of the answer; -EMSGSIZE if it would be longer. */
static int try_read(struct conn *c, s32 xid, s32 op, const u8 *body, u32 len, u32 most,
		    struct read_watch *w)
{
	struct jw *out = conn_out(c);
	size_t limit = out->limit;
	int err;

	out->limit = out->len + most;
	err = read_answer(c->cs->st, c->auth, c->session_id, xid, op, body, len, out, w);
	out->limit = limit;
	if (err == -EMSGSIZE)
		out->err = 0;
	return err;
}

/* The same for an answer that is longer than one made unasked. */
static int try_large(struct conn *c, s32 xid, s32 op, const u8 *body, u32 len,
		     struct read_watch *w)
{
	u64 guess = large_guess(c, op, body, len);
	size_t before = conn_out(c)->len;
	int err;

	if (!large_take(c, guess > ANSWER_SMALL ? guess : ANSWER_UNKNOWN, body, len))
		return TAKE_LATER;
	err = try_read(c, xid, op, body, len,
		       guess == ANSWER_UNKNOWN ? ANSWER_UNKNOWN : ANSWER_MAX, w);
	if (!err)
		large_made(c, conn_out(c)->len - before);
	else
		large_drop(c);
	return err;
}

static int answer_read(struct conn *c, s32 xid, s32 op, const u8 *body, u32 len)
{
	struct jw *out = conn_out(c);
	size_t start = out->len, size;
	struct read_watch w;
	int err;

	err = c->wants_large ? -EMSGSIZE :
			       try_read(c, xid, op, body, len, ANSWER_SMALL, &w);
	if (err == -EMSGSIZE)
		err = try_large(c, xid, op, body, len, &w);
	if (err == -EAGAIN)
		return ask_read(c, xid, op, body, len);
	if (err == TAKE_LATER)
		return err;
	if (err)
		return conn_refuse(c, "cannot answer a read: %s", strerror(-err));
	/* meanwhile another tree may have taken the place of the one that it has seen */
	if (__atomic_load_n(&c->session->closing, __ATOMIC_ACQUIRE)) {
		out->len = start;
		return conn_refuse(c, "its session ended");
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
	struct request *r;
	s32 err = ZAUTHFAILED;
	char scheme[16] = "";
	struct jstr name, auth;
	struct jr in;

	jr_init(&in, body, len);
	jr_int(&in);
	name = jr_str(&in);
	auth = jr_str(&in);
	if (in.err)
		return conn_refuse(c, "an auth request that cannot be read");
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
	/* Before the client can know: events from then on are by what it has proved. */
	r = request_new(c, REQ_AUTH, NULL, 0);
	if (!r)
		return -ENOMEM;
	core_submit(c->cs->core, r);
	return 0;
}

/* What a ZooKeeper without a JAAS login answers: an empty token, no error. */
static int take_sasl(struct conn *c, s32 xid, const u8 *body, u32 len)
{
	struct jr in;

	jr_init(&in, body, len);
	if (jr_str(&in).len < 0)
		return conn_refuse(c, "a sasl request that cannot be read");
	put_head(conn_out(c), 4, xid, 0, ZOK);
	jw_int(conn_out(c), -1);
	stats_sent(c, REPLY_HEAD + 4);
	return 0;
}

/* Who has waited too long in conn_throttled(): -127 in the place of an answer
 * (RequestThrottler.shouldThrottleOp). */
static bool waited_too_long(const struct conn *c, s32 op)
{
	u32 most = c->cs->cfg->throttle_wait_ms;

	return most && c->waits_ms && c->io->now_ms - c->waits_ms > most && op != OP_PING &&
	       op != OP_CLOSESESSION && op != OP_CREATESESSION;
}

static int answer_throttled(struct conn *c, s32 xid, s32 op)
{
	struct jw *out = conn_out(c);
	size_t start = out->len;
	u64 zxid = store_zxid(c->cs->st);

	if (c->asked_n) {
		conn_wait(c);
		return TAKE_LATER;
	}
	put_head(out, 0, xid, zxid, ZTHROTTLEDOP);
	put_events(c, out, start, zxid);
	metric_count(METRIC_throttled_ops, 1);
	stats_answered(c, op, xid, zxid, c->io->now_ms - c->waits_ms, REPLY_HEAD);
	return 0;
}

/* Request.isStale(), its latency part. */
static bool is_stale(const struct conn *c)
{
	const struct config *cfg = c->cs->cfg;

	return cfg->throttle_max && cfg->throttle_drop_stale && cfg->stale_latency &&
	       c->waits_ms && c->io->now_ms - c->waits_ms > (u64)c->session_timeout;
}

static int take(struct conn *c, s32 xid, s32 op, const u8 *body, u32 len)
{
	bool watch = read_wants_watch(op, body, len);

	if (op == OP_AUTH)
		return take_auth(c, xid, body, len);
	if (op == OP_SASL)
		return take_sasl(c, xid, body, len);
	/* As in 3.8, those two do not keep a session alive; all else does. */
	__atomic_store_n(&c->session->heard_ms, c->io->now_ms, __ATOMIC_RELAXED);
	if (waited_too_long(c, op))
		return answer_throttled(c, xid, op);
	if (c->asked_n || __atomic_load_n(&c->session->closing, __ATOMIC_RELAXED))
		return read_is_read(op) ? ask_read(c, xid, op, body, len) :
					  ask_core(c, xid, op, body, len, 0);
	if (op == OP_PING) {
		answer_ping(c);
		return 0;
	}
	if (!read_is_read(op))
		return ask_core(c, xid, op, body, len, 0);
	return watch || c->cs->confirms ? ask_read(c, xid, op, body, len) :
					  answer_read(c, xid, op, body, len);
}

int conn_take(struct conn *c, const u8 *frame, u32 len)
{
	int err;

	if (len < 8)
		return conn_refuse(c, "a frame of %u bytes, too short for a request", len);
	if (is_stale(c)) {
		metric_count(METRIC_stale_requests, 1);
		metric_count(METRIC_stale_requests_dropped, 1);
		return conn_refuse(c, "its request waited for longer than its session lives");
	}
	err = take(c, jute_get32(frame), jute_get32(frame + 4), frame + 8, len - 8);
	if (!err)
		stats_received(c, 1);
	return err;
}
