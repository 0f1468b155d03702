// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pipeline: prepare, propose, log, commit, apply, fire, answer (DESIGN 6).
 *
 * What can be known of a write's outcome is known when it is prepared, its answer
 * included; the answer waits in the proposal until the transaction is applied (apply.c).
 *
 * A request that is no write but comes after one of the same client waits on that
 * proposal (->after). If it looks at the tree, the group that is applied together
 * ends with that proposal, so that it sees the tree as of its place.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/digestlog.h"
#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/server/audit.h"
#include "daemon/server/core_impl.h"
#include "daemon/server/read.h"

/* ------------------------------------------------------------ proposals */

struct proposal *proposal_new(struct core *c)
{
	struct proposal *p = c->spare;

	if (p)
		c->spare = p->next;
	else
		p = malloc(sizeof(*p));
	if (p) {
		memset(p, 0, sizeof(*p));
		p->began_ms = c->now_ms;
		p->after_tail = &p->after;
		p->events_tail = &p->events;
	}
	return p;
}

void proposal_free(struct core *c, struct proposal *p)
{
	struct request *r;
	struct message *m;

	txn_put(p->txn);
	while ((m = p->events)) {
		p->events = m->next;
		blob_put(m->blob);
		conn_put(m->conn);
		free(m);
	}
	while ((r = p->after)) {
		p->after = r->next;
		request_free(r);
	}
	if (p->reply) {
		conn_put(p->reply->conn);
		free(p->reply);
	}
	if (p->request)
		request_free(p->request);
	free(p->audit);
	p->next = c->spare;
	c->spare = p;
}

void pipeline_free(struct core *c)
{
	struct proposal *p;

	while ((p = c->head)) {
		c->head = p->next;
		proposal_free(c, p);
	}
	while ((p = c->spare)) {
		c->spare = p->next;
		free(p);
	}
	fire_free(c);
	free(c->batch);
	free(c->digests);
}

struct prep_ask pipeline_ask(const struct core *c, u64 session, s32 cxid,
			     const struct auth_set *auth)
{
	return (struct prep_ask){
		.zxid = zab_next_zxid(c->zab),
		.time = core_wall_ms(c),
		.session = session,
		.cxid = cxid,
		.auth = auth,
	};
}

static void enqueue(struct core *c, struct proposal *p)
{
	if (c->tail)
		c->tail->next = p;
	else
		c->head = p;
	c->tail = p;
}

/* BufferStats: the leader's figures. */
static void note_size(struct core_stats *s, u64 len)
{
	__atomic_store_n(&s->last_size, len, __ATOMIC_RELAXED);
	if (len < s->min_size)
		__atomic_store_n(&s->min_size, len, __ATOMIC_RELAXED);
	if (s->max_size == ~0ULL || len > s->max_size)
		__atomic_store_n(&s->max_size, len, __ATOMIC_RELAXED);
}

/* Hands a prepared transaction to ZAB. Takes @t and @p over in any case; on error
 * the records are as they were before it was prepared, and @p->reply is gone. */
static int propose(struct core *c, struct proposal *p, struct txn *t)
{
	struct zab_event ev = { .type = ZAB_EV_PROPOSE, .now_ms = c->now_ms, .txn = t };
	int rc;

	p->txn = t;
	rc = zab_step(c->zab, &ev);
	if (rc) {
		changes_undo(&c->ch);
		proposal_free(c, p);
		return rc;
	}
	changes_keep(&c->ch);
	enqueue(c, p);
	if (!c->proposed)
		c->proposed = p;
	__atomic_store_n(&c->stats.proposals, c->stats.proposals + 1, __ATOMIC_RELAXED);
	if (c->peers)
		note_size(&c->stats, t->len);
	quorum_drain(c);
	return 0;
}

void pipeline_last(struct client *cl, struct proposal *p)
{
	cl->last = p;
	cl->last_zxid = p->txn ? p->txn->zxid : ZXID_UNKNOWN;
}

/* One alone with success: 3.8.0 never answers, later ones refuse the opcode. */
static void unanswerable(struct core *c, struct client *cl, struct request *r)
{
	post(c, cl, reply_new(r->conn, r->xid, ~0ULL, ZUNIMPLEMENTED, NULL, 0));
	client_close(c, cl);
	request_free(r);
}

/* A prepared write becomes a proposal. Takes @t and @r over in any case. */
static int propose_write(struct core *c, struct request *r, struct txn *t, s32 err)
{
	struct proposal *p = proposal_new(c);

	if (p)
		p->reply = reply_for(r, t->zxid, err, c->prep.out.buf,
				     err ? 0 : c->prep.out.len);
	if (p && p->reply)
		return propose(c, p, t);
	changes_undo(&c->ch);
	txn_put(t);
	if (p)
		proposal_free(c, p);
	request_free(r);
	return -ENOMEM;
}

const char *pipeline_error(int rc)
{
	return rc == -EROFS ? "no leader, or it is about to go" : strerror(-rc);
}

/* The leader: prepares it. Takes @r over in any case. @refused: upgrade_session(). */
static int prepare_write(struct core *c, struct client *cl, struct request *r, s32 refused)
{
	struct prep_ask a = pipeline_ask(c, cl->sess->pub.id, r->xid, r->auth);
	int rc = -EROFS;
	char *audit = NULL;
	struct txn *t;
	s32 err;

	if (cl->sess->local)
		a.no_ephemerals = refused ? refused : ZSESSIONEXPIRED;
	if (a.zxid)
		rc = prep_request(&c->prep, &a, r->op, r->body, r->len, &t, &err);
	if (rc == -EOPNOTSUPP) {
		unanswerable(c, cl, r);
		return 0;
	}
	if (rc) {
		request_free(r);
		return rc;
	}
	if (audit_on())
		audit = audit_lines(r, t, err);
	rc = propose_write(c, r, t, err);
	if (rc) {
		free(audit);
		return rc;
	}
	c->tail->audit = audit;
	pipeline_last(cl, c->tail);
	return 0;
}

void pipeline_write(struct core *c, struct client *cl, struct request *r)
{
	s32 refused = ZOK;
	int rc = c->serving ? upgrade_session(c, cl, r, &refused) : -EROFS;

	if (!rc && c->leading) {
		rc = prepare_write(c, cl, r, refused);
	} else {
		if (!rc)
			rc = remote_write(c, cl, r, refused);
		if (rc)
			request_free(r);
	}
	if (!rc)
		return;
	log_ratelimited(rc == -EROFS ? LOG_INFO : LOG_ERROR, "closing %s: cannot take a write: %s",
			conn_name(cl->conn), pipeline_error(rc));
	client_close(c, cl);
}

/* A session's begin or end, or what the server itself wants. @sess may be NULL. */
static int propose_own(struct core *c, enum proposal_kind kind, struct sess *s,
		       struct message *reply, struct txn *t)
{
	struct proposal *p = proposal_new(c);
	int rc;

	if (!p) {
		changes_undo(&c->ch);
		txn_put(t);
		return -ENOMEM;
	}
	p->kind = kind;
	p->sess = s;
	rc = propose(c, p, t);
	if (!rc)
		p->reply = reply;
	return rc;
}

int pipeline_propose(struct core *c, enum proposal_kind kind, struct sess *s, struct txn *t)
{
	return propose_own(c, kind, s, NULL, t);
}

/* Where the answer's zxid stands is told only now, or when it is committed. */
static void number_reply(enum proposal_kind kind, struct message *m, u64 zxid)
{
	if (m && kind == PROPOSAL_OPEN)
		m->zxid = zxid;	/* the I/O thread counts it as a request */
	else if (m)
		jute_put64(m->bytes + 8, zxid);
}

int pipeline_open(struct core *c, struct sess *s, struct client *cl, struct message *reply)
{
	struct prep_ask a;
	struct txn *t;
	int rc;

	if (!c->serving)
		return -EROFS;
	if (!c->leading)
		return remote_open(c, s, cl, reply);
	s->owner = SESSION_LOCAL;
	a = pipeline_ask(c, s->pub.id, 0, NULL);
	if (!a.zxid)
		return -EROFS;
	number_reply(PROPOSAL_OPEN, reply, a.zxid);
	rc = prep_create_session(&c->prep, &a, s->pub.timeout, &t);
	if (!rc)
		rc = propose_own(c, PROPOSAL_OPEN, s, reply, t);
	if (!rc && cl)
		pipeline_last(cl, c->tail);
	return rc;
}

int pipeline_close(struct core *c, struct sess *s, s32 cxid, struct client *cl,
		   struct message *reply)
{
	u64 from = core_coarse_ms(c);
	struct prep_ask a;
	struct txn *t;
	int rc;

	if (!c->serving)
		return -EROFS;
	if (!c->leading)
		return remote_close(c, s, cxid, cl, reply);
	a = pipeline_ask(c, s->pub.id, cxid, NULL);
	if (!a.zxid)
		return -EROFS;
	number_reply(PROPOSAL_CLOSE, reply, a.zxid);
	rc = prep_close_session(&c->prep, &a, &t);
	metric_add(METRIC_close_session_prep_time, core_coarse_ms(c) - from);
	if (!rc)
		rc = propose_own(c, PROPOSAL_CLOSE, s, reply, t);
	if (!rc && cl)
		pipeline_last(cl, c->tail);
	return rc;
}

int pipeline_delete_container(struct core *c, const char *path, u32 len)
{
	struct prep_ask a = pipeline_ask(c, 0, 0, NULL);
	struct txn *t;
	s32 err;
	int rc;

	if (!c->leading || !a.zxid)
		return -EROFS;
	rc = prep_delete_container(&c->prep, &a, path, len, &t, &err);
	return rc ? rc : propose_own(c, PROPOSAL_WRITE, NULL, NULL, t);
}

bool pipeline_busy(const struct core *c, const struct client *cl)
{
	return cl->last_zxid > c->applied;
}

bool pipeline_firing(const struct core *c)
{
	return c->firing.zxid;
}

void pipeline_after(struct core *c, struct client *cl, struct request *r, bool all)
{
	struct proposal *p = all ? c->tail : pipeline_busy(c, cl) ? cl->last : c->head;

	r->next = NULL;
	*p->after_tail = r;
	p->after_tail = &r->next;
	p->read_after |= read_is_read(r->op) || watchop_is(r->op);
	pipeline_last(cl, p);
}

/* ------------------------------------------------------------ commit */

/* The answer to a client of this server, of what the leader made of its request. False:
 * no memory. */
static bool make_answer(struct core *c, struct proposal *p)
{
	struct txn *t = p->txn;
	struct request *r = p->request;
	s32 err = p->refused ? p->refused : t->err;

	if (!r)
		return true;
	if (t->err == ZSESSIONMOVED) {
		p->moved = true;
		return true;
	}
	if (!p->audit && audit_on())
		p->audit = audit_lines(r, t, err);
	p->reply = reply_for(r, t->zxid, err, c->prep.out.buf, err ? 0 : c->prep.out.len);
	if (p->reply)
		p->request = NULL;
	return p->reply;
}

/* Short of memory it waits: it is agreed. */
static void replay(struct core *c, struct proposal *p)
{
	u32 wait = CORE_RETRY_MS;
	int rc;

	for (;;) {
		rc = prep_replay(&c->prep, p->txn);
		if (!rc && make_answer(c, p))
			break;
		if (rc && rc != -ENOMEM) {
			log_error("transaction 0x%llx: %s; the tree differs from the leader's, "
				  "stopping", p->txn->zxid, strerror(-rc));
			abort();
		}
		if (!rc)
			changes_undo(&c->ch);
		log_ratelimited(LOG_ERROR, "no memory for transaction 0x%llx, waiting",
				p->txn->zxid);
		changes_trim(&c->ch, true);
		wait = core_back_off(c, wait);
	}
	changes_keep(&c->ch);
}

/* The session that a transaction of another server begins or ends. */
static void find_session(struct core *c, struct proposal *p)
{
	struct txn *t = p->txn;

	p->sess = connect_session(c, t->session);
	p->kind = PROPOSAL_WRITE;
	if (t->type == OP_CREATESESSION) {
		while (!p->sess) {
			p->sess = session_restore(c->sessions, t->session, t->timeout,
						  c->now_ms);
			if (!p->sess)
				core_nap(c, CORE_RETRY_MS);
		}
		if (!p->sess->ending)
			p->kind = PROPOSAL_OPEN;
	} else if (t->type == OP_CLOSESESSION && p->sess && !p->sess->ending) {
		session_closing(p->sess);
		p->sess->ending = true;
		p->kind = PROPOSAL_CLOSE;
	}
}

/* One that was not proposed here. */
static struct proposal *commit_other(struct core *c, struct txn *t)
{
	struct proposal *p = remote_take(c, t);
	enum proposal_kind kind;

	while (!p) {
		p = proposal_new(c);
		if (!p)
			core_nap(c, CORE_RETRY_MS);
	}
	p->txn = t;
	kind = p->kind;
	find_session(c, p);
	number_reply(kind, p->reply, t->zxid);
	/* nobody is served yet, and the records begin when somebody is */
	if (c->serving)
		replay(c, p);
	if (p->sess && p->sess->client && p->sess->client->last == p)
		p->sess->client->last_zxid = t->zxid;
	enqueue(c, p);
	return p;
}

void pipeline_commit(struct core *c, struct txn *t)
{
	struct proposal *p = c->proposed;

	if (!p) {
		p = commit_other(c, t);
	} else if (p->txn->zxid == t->zxid) {
		c->proposed = p->next;
		txn_put(t);	/* the proposal has its own reference */
	} else {
		log_error("transaction 0x%llx is agreed, 0x%llx was proposed, stopping",
			  t->zxid, p->txn->zxid);
		abort();
	}
	p->committed_ms = c->now_ms;
	c->committed++;
}

void pipeline_reset(struct core *c)
{
	struct store_info info;

	if (c->st->ops->info(c->st, &info)) {
		log_error("cannot read the store's digest, stopping");
		abort();
	}
	changes_reset(&c->ch, info.digest);
	c->ch.applied = c->applied;
}

void pipeline_drop(struct core *c)
{
	struct client *cl;
	struct proposal *p;

	/* what was committed before stays committed */
	pipeline_apply_all(c);
	/* Their clients must not wait for answers that will not come. */
	list_for_each_entry(cl, &c->all_clients, link) {
		if (pipeline_busy(c, cl))
			client_close(c, cl);
		cl->last = NULL;
		cl->last_zxid = 0;
	}
	remote_drop(c);
	while ((p = c->head)) {
		c->head = p->next;
		if (p->kind == PROPOSAL_CLOSE)
			session_reopen(c->sessions, p->sess, c->now_ms);
		proposal_free(c, p);
	}
	c->tail = NULL;
	c->proposed = NULL;
	c->expiring = 0;
	/* those that were to begin; if one does begin, the transaction says so */
	sessions_prune(c->sessions);
	pipeline_reset(c);
}
