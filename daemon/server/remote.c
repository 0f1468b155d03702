// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests that cross between servers (Learner.request, validateSession, ping;
 * LearnerHandler.run; FollowerRequestProcessor, CommitProcessor).
 *
 * A learner sends its clients' writes to the leader and keeps them, in the order in
 * which they were sent, on their session's list. When the leader's transactions come
 * back agreed, the one with the session and cxid of the list's head answers it. Later
 * requests of the same client wait on it as they wait on a leader's proposals.
 *
 * The leader prepares what its learners send with the identities that they vouch for. A
 * session belongs to the link through which it was last opened, resumed or first heard
 * of; who asks through another one is told that it has moved.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/server/access.h"
#include "daemon/base/metrics.h"
#include "daemon/server/core_impl.h"

#define HEAD_LEN	16	/* of a REQUEST: long session, int cxid, int type */
#define NO_ZXID		(~0ULL)

/* ------------------------------------------------------------ a learner's requests */

static void scratch(struct jw *w)
{
	if (w->err) {
		jw_free(w);
		jw_init(w, 0);
	}
	w->len = 0;
}

static void put_head(struct core *c, u64 session, s32 cxid, s32 op)
{
	scratch(&c->wire);
	scratch(&c->wire_auth);
	jw_long(&c->wire, session);
	jw_int(&c->wire, cxid);
	jw_int(&c->wire, op);
}

/* What stands in c->wire, and c->wire_auth if there is anything. */
static int send_wire(struct core *c, u64 link, s32 type, u64 zxid, bool sync)
{
	struct zab_packet pkt = {
		.type = type,
		.zxid = zxid,
		.data = c->wire.buf,
		.len = c->wire.len,
		.auth = c->wire_auth.len ? c->wire_auth.buf : NULL,
		.auth_len = c->wire_auth.len,
	};

	if (c->wire.err || c->wire_auth.err)
		return -ENOMEM;
	return sync ? zab_sync(c->zab, &pkt) : zab_send(c->zab, link, &pkt);
}

static int send_request(struct core *c, const struct request *r, u64 session, bool sync)
{
	put_head(c, session, r->xid, r->op);
	jw_bytes(&c->wire, r->body, r->len);
	access_put_auth(&c->wire_auth, r->auth);
	return send_wire(c, 0, ZP_REQUEST, NO_ZXID, sync);
}

static void keep(struct sess *s, struct proposal *p)
{
	if (s->asked)
		s->asked_last->next = p;
	else
		s->asked = p;
	s->asked_last = p;
}

int remote_write(struct core *c, struct client *cl, struct request *r, s32 refused)
{
	struct proposal *p = proposal_new(c);
	int rc = p ? send_request(c, r, cl->sess->pub.id, false) : -ENOMEM;

	if (rc) {
		if (p)
			proposal_free(c, p);
		return rc;
	}
	p->cxid = r->xid;
	p->request = r;
	/* as a part of a multi it fails as the leader says: nobody knows the session */
	if (r->op != OP_MULTI)
		p->refused = refused;
	keep(cl->sess, p);
	pipeline_last(cl, p);
	return 0;
}

/* A session's begin or end; the timeout is the begin's body. */
static int send_own(struct core *c, enum proposal_kind kind, struct sess *s, s32 cxid,
		    struct client *cl, struct message *reply)
{
	struct proposal *p = proposal_new(c);
	int rc = -ENOMEM;

	put_head(c, s->pub.id, cxid, kind == PROPOSAL_OPEN ? OP_CREATESESSION :
							     OP_CLOSESESSION);
	if (kind == PROPOSAL_OPEN)
		jw_int(&c->wire, s->pub.timeout);
	if (p)
		rc = send_wire(c, 0, ZP_REQUEST, NO_ZXID, false);
	if (rc) {
		if (p)
			proposal_free(c, p);
		return rc;
	}
	p->kind = kind;
	p->sess = s;
	p->cxid = cxid;
	p->reply = reply;
	keep(s, p);
	if (cl)
		pipeline_last(cl, p);
	return 0;
}

int remote_open(struct core *c, struct sess *s, struct client *cl, struct message *reply)
{
	return send_own(c, PROPOSAL_OPEN, s, 0, cl, reply);
}

int remote_close(struct core *c, struct sess *s, s32 cxid, struct client *cl,
		 struct message *reply)
{
	return send_own(c, PROPOSAL_CLOSE, s, cxid, cl, reply);
}

int remote_sync(struct core *c, struct client *cl, struct request *r)
{
	struct proposal *p = proposal_new(c);
	int rc = p ? send_request(c, r, cl->sess->pub.id, true) : -ENOMEM;

	if (rc) {
		if (p)
			proposal_free(c, p);
		return rc;
	}
	p->kind = PROPOSAL_SYNC;
	pipeline_last(cl, p);
	pipeline_after(c, cl, r, false);
	if (c->syncs)
		c->syncs_last->next = p;
	else
		c->syncs = p;
	c->syncs_last = p;
	return 0;
}

/* Those that waited for a sync wait for what is agreed and not applied, or wait no more. */
static void move_waiting(struct core *c, struct proposal *p, struct proposal *to)
{
	struct request *r = p->after;

	for (; r; r = r->next) {
		struct client *cl = client_find(c, r->conn);

		if (cl && cl->last == p) {
			cl->last = to;
			cl->last_zxid = to ? to->txn->zxid : 0;
		}
	}
}

void remote_synced(struct core *c)
{
	struct proposal *p = c->syncs;
	struct request *r;

	if (!p)
		return;		/* given up meanwhile */
	c->syncs = p->next;
	move_waiting(c, p, c->tail);
	if (c->tail) {
		*c->tail->after_tail = p->after;
		c->tail->after_tail = p->after_tail;
		c->tail->read_after |= p->read_after;
		p->after = NULL;
	}
	while ((r = p->after)) {
		p->after = r->next;
		op_run_after(c, r, c->applied);
	}
	proposal_free(c, p);
}

static enum proposal_kind kind_of(s32 type)
{
	return type == OP_CREATESESSION ? PROPOSAL_OPEN :
	       type == OP_CLOSESESSION ? PROPOSAL_CLOSE : PROPOSAL_WRITE;
}

/* An end that the leader itself thought of has cxid 0, as a client's write may have. */
struct proposal *remote_take(struct core *c, const struct txn *t)
{
	struct sess *s = connect_session(c, t->session);
	struct proposal *p = s ? s->asked : NULL;

	if (!p || p->cxid != t->cxid || p->kind != kind_of(t->type))
		return NULL;
	s->asked = p->next;
	p->next = NULL;
	return p;
}

void remote_forget(struct core *c, struct sess *s)
{
	struct proposal *p;

	while ((p = s->asked)) {
		s->asked = p->next;
		proposal_free(c, p);
	}
}

static bool is_ending(const struct sess *s)
{
	for (const struct proposal *p = s->asked; p; p = p->next)
		if (p->kind == PROPOSAL_CLOSE)
			return true;
	return false;
}

static void drop_one(void *arg, struct sess *s)
{
	struct core *c = arg;

	if (is_ending(s))
		session_reopen(c->sessions, s, c->now_ms);
	remote_forget(c, s);
}

static void reviving_free(struct reviving *v)
{
	conn_put(v->conn);
	free(v);
}

static void drop_below(struct core *c)
{
	for (u32 i = 0; i < c->n_below; i++) {
		struct sess *s = session_find(c->sessions, c->below[i]);

		if (s)
			s->below = false;
	}
	c->n_below = 0;
}

void remote_drop(struct core *c)
{
	struct proposal *p;
	struct reviving *v;

	sessions_each(c->sessions, drop_one, c);
	sessions_each(c->locals, drop_one, c);
	drop_below(c);
	while ((p = c->syncs)) {
		c->syncs = p->next;
		proposal_free(c, p);
	}
	while ((v = c->revivals)) {
		struct client *cl = client_find(c, v->conn);

		c->revivals = v->next;
		if (cl)
			client_close(c, cl);
		reviving_free(v);
	}
}

void remote_free(struct core *c)
{
	struct proposal *p;
	struct reviving *v;

	if (c->sessions)
		sessions_each(c->sessions, drop_one, c);
	if (c->locals)
		sessions_each(c->locals, drop_one, c);
	while ((p = c->syncs)) {
		c->syncs = p->next;
		proposal_free(c, p);
	}
	while ((v = c->revivals)) {
		c->revivals = v->next;
		reviving_free(v);
	}
	auth_set_put(c->ids.auth);
	free(c->ids.bytes);
	free(c->below);
	jw_free(&c->wire);
	jw_free(&c->wire_auth);
}

/* ------------------------------------------------------------ a learner's sessions */

int remote_revive(struct core *c, struct client *cl, u64 id, s32 timeout, bool old)
{
	struct reviving **at = &c->revivals, *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return -ENOMEM;
	scratch(&c->wire);
	scratch(&c->wire_auth);
	jw_long(&c->wire, id);
	jw_int(&c->wire, timeout);
	rc = send_wire(c, 0, ZP_REVALIDATE, NO_ZXID, false);
	if (rc) {
		free(v);
		return rc;
	}
	v->conn = conn_get(cl->conn);
	v->id = id;
	v->timeout = timeout;
	v->old = old;
	while (*at)
		at = &(*at)->next;
	*at = v;
	return 0;
}

/* The leader's answer: long session, bool valid. */
static void revived(struct core *c, const struct zab_packet *pkt)
{
	struct reviving **at = &c->revivals, *v;
	struct jr r;
	bool valid;
	u64 id;

	jr_init(&r, pkt->data, pkt->len > 0 ? pkt->len : 0);
	id = jr_long(&r);
	valid = jr_bool(&r);
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	v = *at;
	if (r.err || !v)
		return;
	*at = v->next;
	connect_revived(c, v, valid);
	reviving_free(v);
}

/* Of connected ones, those that gave a sign of life since the last ping. */
static void put_touched(struct core *c, u64 since)
{
	struct client *cl;

	list_for_each_entry(cl, &c->all_clients, link) {
		struct sess *s = cl->sess;

		if (!s || s->local || __atomic_load_n(&s->pub.heard_ms, __ATOMIC_RELAXED) < since)
			continue;
		jw_long(&c->wire, s->pub.id);
		jw_int(&c->wire, s->pub.timeout);
	}
}

static void put_below(struct core *c)
{
	for (u32 i = 0; i < c->n_below; i++) {
		struct sess *s = session_find(c->sessions, c->below[i]);

		if (!s)
			continue;
		s->below = false;
		jw_long(&c->wire, s->pub.id);
		jw_int(&c->wire, s->pub.timeout);
	}
	c->n_below = 0;
}

/* An observer's answer to a PING: the next one to the leader's says the same. */
static int touch_below(struct core *c, const struct zab_packet *pkt)
{
	struct jr r;

	jr_init(&r, pkt->data, pkt->len > 0 ? pkt->len : 0);
	while (jr_left(&r) >= 12) {
		struct sess *s = session_find(c->sessions, jr_long(&r));

		jr_int(&r);
		if (!s || s->below)
			continue;
		if (c->n_below == c->below_size) {
			u32 size = c->below_size ? 2 * c->below_size : 64;
			u64 *p = realloc(c->below, size * sizeof(*p));

			if (!p)
				return -ENOMEM;
			c->below = p;
			c->below_size = size;
		}
		s->below = true;
		c->below[c->n_below++] = s->pub.id;
	}
	return 0;
}

/*
 * A quorum was heard of: now, by the leader or a master that passes its pings on. One of
 * Apache's pings as long as it believes in its leader, which may be silent for syncLimit.
 */
void remote_heard(struct core *c, bool passed_on)
{
	u64 late = (u64)c->cfg->sync_limit * c->cfg->tick_ms, when = c->now_ms;

	if (zab_master(c->zab) != zab_leader(c->zab) && !passed_on)
		when = when > late ? when - late : 1;
	if (when > c->heard_ms)
		c->heard_ms = when;
}

static void answer_ping(struct core *c, const struct zab_packet *pkt)
{
	scratch(&c->wire);
	scratch(&c->wire_auth);
	if (!jw_room(&c->wire, 12))	/* none is not null */
		return;
	put_touched(c, c->pinged_ms);
	put_below(c);
	c->pinged_ms = c->now_ms;
	remote_heard(c, pkt->len > 0);
	if (send_wire(c, 0, ZP_PING, pkt->zxid, false))
		log_ratelimited(LOG_ERROR, "cannot answer the leader's ping");
}

/* ------------------------------------------------------------ the leader */

/* The identities in a packet, which mostly are those of the one before. */
static struct auth_set *ids_of(struct core *c, const struct zab_packet *pkt)
{
	struct ids_cache *k = &c->ids;
	u8 *bytes;

	if (!pkt->auth)
		return access_read_auth(NULL, 0);
	if (k->auth && k->len == pkt->auth_len && !memcmp(k->bytes, pkt->auth, k->len))
		return auth_set_get(k->auth);
	auth_set_put(k->auth);
	k->auth = access_read_auth(pkt->auth, pkt->auth_len);
	if (!k->auth)
		return NULL;
	bytes = realloc(k->bytes, pkt->auth_len);
	if (!bytes) {
		auth_set_put(k->auth);
		k->auth = NULL;
		return NULL;
	}
	memcpy(bytes, pkt->auth, pkt->auth_len);
	k->bytes = bytes;
	k->len = pkt->auth_len;
	return auth_set_get(k->auth);
}

/* LeaderSessionTracker.checkSession: one that is not known may be another server's own. */
static s32 check_session(const struct core *c, u64 id, u64 link)
{
	struct sess *s = session_find(c->sessions, id);

	if (!s && c->cfg->local_sessions && id >> 56 != c->cfg->myid)
		return ZOK;
	if (!s || s->pub.closing)
		return ZSESSIONEXPIRED;
	if (!s->owner)
		s->owner = link;
	return s->owner == link ? ZOK : ZSESSIONMOVED;
}

/* createSession: PrepRequestProcessor tracks it before it is agreed. */
static int begin_session(struct core *c, const struct prep_ask *a, u64 link, struct jr *r)
{
	struct sess *s = session_find(c->sessions, a->session);
	enum proposal_kind kind = PROPOSAL_OPEN;
	s32 timeout = jr_int(r);
	struct txn *t;
	int rc;

	if (r->err)
		return -EBADMSG;
	if (s)
		kind = PROPOSAL_WRITE;
	else
		s = session_restore(c->sessions, a->session, timeout, c->now_ms);
	if (!s)
		return -ENOMEM;
	s->owner = link;
	rc = prep_create_session(&c->prep, a, timeout, &t);
	if (!rc)
		rc = pipeline_propose(c, kind, s, t);
	if (rc && kind == PROPOSAL_OPEN)
		session_end(c->sessions, s);
	return rc;
}

static int end_session(struct core *c, const struct prep_ask *a)
{
	struct sess *s = session_find(c->sessions, a->session);
	enum proposal_kind kind = PROPOSAL_WRITE;
	struct txn *t;
	int rc = prep_close_session(&c->prep, a, &t);

	if (rc)
		return rc;
	if (s && !s->pub.closing) {
		session_closing(s);
		kind = PROPOSAL_CLOSE;
	}
	rc = pipeline_propose(c, kind, s, t);
	if (rc && kind == PROPOSAL_CLOSE)
		session_reopen(c->sessions, s, c->now_ms);
	return rc;
}

static int prepare(struct core *c, struct prep_ask *a, u64 link, s32 op, struct jr *r)
{
	s32 err = check_session(c, a->session, link);
	struct txn *t;
	int rc;

	if (!session_find(c->sessions, a->session))
		a->no_ephemerals = ZSESSIONEXPIRED;
	if (err) {
		rc = prep_refuse(&c->prep, a, err, &t);
	} else {
		rc = prep_request(&c->prep, a, op, r->p, jr_left(r), &t, &err);
		/* its server waits for an answer, and has no reason to close */
		if (rc == -EOPNOTSUPP)
			rc = prep_refuse(&c->prep, a, ZUNIMPLEMENTED, &t);
	}
	return rc ? rc : pipeline_propose(c, PROPOSAL_WRITE, NULL, t);
}

/* REQUEST: long session, int cxid, int type, body. */
static int take_request(struct core *c, u64 link, const struct zab_packet *pkt)
{
	struct prep_ask a;
	struct auth_set *auth;
	u64 session;
	s32 cxid, op;
	struct jr r;
	int rc;

	jr_init(&r, pkt->data, pkt->len > 0 ? pkt->len : 0);
	session = jr_long(&r);
	cxid = jr_int(&r);
	op = jr_int(&r);
	if (r.err)
		return -EBADMSG;
	auth = ids_of(c, pkt);
	if (!auth)
		return -ENOMEM;
	a = pipeline_ask(c, session, cxid, auth);
	if (!a.zxid)
		rc = -EROFS;
	else if (op == OP_CREATESESSION)
		rc = begin_session(c, &a, link, &r);
	else if (op == OP_CLOSESESSION)
		rc = end_session(c, &a);
	else if (prep_is_write(op))
		rc = prepare(c, &a, link, op, &r);
	else
		rc = -EBADMSG;
	auth_set_put(auth);
	return rc;
}

/* REVALIDATE: long session, int timeout; the answer: long session, bool valid. */
static int revalidate(struct core *c, u64 link, const struct zab_packet *pkt)
{
	struct sess *s;
	s32 timeout;
	struct jr r;
	u64 id;

	jr_init(&r, pkt->data, pkt->len > 0 ? pkt->len : 0);
	id = jr_long(&r);
	timeout = jr_int(&r);
	if (r.err)
		return -EBADMSG;
	metric_count(METRIC_revalidate_count, 1);
	s = session_find(c->sessions, id);
	if (s && s->pub.closing)
		s = NULL;
	if (s) {
		if (s->client)
			client_close(c, s->client);
		s->owner = link;
		session_touch(c->sessions, s, timeout, c->now_ms);
	}
	scratch(&c->wire);
	scratch(&c->wire_auth);
	jw_long(&c->wire, id);
	jw_bool(&c->wire, s);
	return send_wire(c, link, ZP_REVALIDATE, pkt->zxid, false);
}

/* PING's answer: (long session, int timeout) of each that gave a sign of life. */
static int touch(struct core *c, const struct zab_packet *pkt)
{
	struct jr r;

	jr_init(&r, pkt->data, pkt->len > 0 ? pkt->len : 0);
	while (jr_left(&r) >= 12) {
		struct sess *s = session_find(c->sessions, jr_long(&r));
		s32 timeout = jr_int(&r);

		if (s && timeout > 0)
			session_touch(c->sessions, s, timeout, c->now_ms);
	}
	return 0;
}

static int from_learner(struct core *c, const struct zab_action *a)
{
	switch (a->packet.type) {
	case ZP_REQUEST:
		return take_request(c, a->link, &a->packet);
	case ZP_REVALIDATE:
		return revalidate(c, a->link, &a->packet);
	case ZP_PING:
		return touch(c, &a->packet);
	}
	return -EBADMSG;
}

void remote_packet(struct core *c, const struct zab_action *a)
{
	int rc = 0;

	if (zab_state(c->zab) != ZAB_LEADING) {
		if (!(a->link & ZAB_LINK_OUT))
			rc = touch_below(c, &a->packet);
		else if (a->packet.type == ZP_PING)
			answer_ping(c, &a->packet);
		else if (a->packet.type == ZP_REVALIDATE)
			revived(c, &a->packet);
		if (rc)
			log_ratelimited(LOG_ERROR, "no memory for an observer's sessions");
		return;
	}
	rc = c->leading || a->packet.type == ZP_PING ? from_learner(c, a) : -EROFS;
	if (!rc)
		return;
	/* It must not wait for an answer that will not come: let it begin anew. */
	log_ratelimited(rc == -EROFS ? LOG_INFO : LOG_ERROR,
			"closing the link of server %llu: its %s cannot be taken: %s",
			a->from, zab_packet_name(a->packet.type), pipeline_error(rc));
	quorum_break(c, a->link);
}
