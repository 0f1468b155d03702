// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pipeline: prepare, propose, log, commit, apply, fire, answer (DESIGN 6).
 *
 * What can be known of a write's outcome is known when it is prepared, its answer
 * included; the answer waits in the proposal until the transaction is applied.
 * Transactions that became durable together are applied in one call of the store:
 * first the events of all of them are posted, then they are published, then the
 * answers are posted, in the order of their zxids. A client that waits for answers
 * gets its events with them (fire.c).
 *
 * Events are many at times, so a round of the core's loop posts a bounded number of
 * them. A transaction whose events are not all posted stays at the head, committed
 * and unpublished, until the next rounds have done it; those between are free to
 * take, prepare, propose and log other requests. What looks at watches waits for the
 * head meanwhile, as the head's events are for the watches that were there before.
 *
 * A request that is no write but comes after one of the same client waits on that
 * proposal (->after). If it looks at the tree, the group that is applied together
 * ends with that proposal, so that it sees the tree as of its place.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/digestlog.h"
#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/server/audit.h"
#include "daemon/server/core_impl.h"
#include "daemon/server/read.h"

#define BATCH_MIN	64
#define BATCH_MAX	1024
#define RETRY_MIN_MS	10
#define RETRY_MAX_MS	1000

/* ------------------------------------------------------------ proposals */

static struct proposal *proposal_new(struct core *c)
{
	struct proposal *p = c->spare;

	if (p)
		c->spare = p->next;
	else
		p = malloc(sizeof(*p));
	if (p) {
		memset(p, 0, sizeof(*p));
		p->after_tail = &p->after;
		p->events_tail = &p->events;
	}
	return p;
}

static void proposal_free(struct core *c, struct proposal *p)
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

static struct prep_ask ask(const struct core *c, u64 session, s32 cxid,
			   const struct auth_set *auth)
{
	return (struct prep_ask){
		.zxid = zab_next_zxid(c->zab),
		.time = core_wall_ms(),
		.session = session,
		.cxid = cxid,
		.auth = auth,
	};
}

/* Hands a prepared transaction to ZAB. Takes @t and @p over in any case; on error
 * the records are as they were before it was prepared, and @p->reply is gone. */
static int propose(struct core *c, struct proposal *p, struct txn *t)
{
	struct zab_event ev = { .type = ZAB_EV_PROPOSE, .txn = t };
	int rc;

	p->txn = t;
	rc = zab_step(c->zab, &ev);
	if (rc) {
		changes_undo(&c->ch);
		proposal_free(c, p);
		return rc;
	}
	changes_keep(&c->ch);
	if (c->tail)
		c->tail->next = p;
	else
		c->head = p;
	c->tail = p;
	__atomic_store_n(&c->stats.proposals, c->stats.proposals + 1, __ATOMIC_RELAXED);
	return 0;
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

void pipeline_write(struct core *c, struct client *cl, struct request *r)
{
	struct prep_ask a = ask(c, cl->sess->pub.id, r->xid, r->auth);
	int rc = -EROFS;
	char *audit = NULL;
	struct txn *t;
	s32 err;

	if (c->serving)
		rc = prep_request(&c->prep, &a, r->op, r->body, r->len, &t, &err);
	if (rc == -EOPNOTSUPP) {
		unanswerable(c, cl, r);
		return;
	}
	if (!rc && audit_on())
		audit = audit_lines(r, t, err);
	if (rc)
		request_free(r);
	else
		rc = propose_write(c, r, t, err);
	if (rc) {
		free(audit);
		log_ratelimited(LOG_ERROR, "closing %s: cannot take a write: %s",
				conn_name(cl->conn), strerror(-rc));
		client_close(c, cl);
		return;
	}
	c->tail->audit = audit;
	cl->last = c->tail;
	cl->last_zxid = a.zxid;
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

int pipeline_open(struct core *c, struct sess *s, struct message *reply)
{
	struct prep_ask a = ask(c, s->pub.id, 0, NULL);
	struct txn *t;
	int rc;

	if (!c->serving)
		return -EROFS;
	reply->zxid = a.zxid;	/* the I/O thread counts it as a request */
	rc = prep_create_session(&c->prep, &a, s->pub.timeout, &t);
	return rc ? rc : propose_own(c, PROPOSAL_OPEN, s, reply, t);
}

/* @reply's zxid is filled in here: it is known only now. */
int pipeline_close(struct core *c, struct sess *s, s32 cxid, struct message *reply)
{
	struct prep_ask a = ask(c, s->pub.id, cxid, NULL);
	u64 from = core_coarse_ms();
	struct txn *t;
	int rc;

	if (!c->serving)
		return -EROFS;
	if (reply)
		jute_put64(reply->bytes + 8, a.zxid);
	rc = prep_close_session(&c->prep, &a, &t);
	metric_add(METRIC_close_session_prep_time, core_coarse_ms() - from);
	return rc ? rc : propose_own(c, PROPOSAL_CLOSE, s, reply, t);
}

int pipeline_delete_container(struct core *c, const char *path, u32 len)
{
	struct prep_ask a = ask(c, 0, 0, NULL);
	struct txn *t;
	s32 err;
	int rc;

	if (!c->serving)
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
	cl->last = p;
	cl->last_zxid = p->txn->zxid;
}

/* ------------------------------------------------------------ apply */

static void nap(u32 ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static void check_digests(struct core *c, struct proposal *p, int n)
{
	for (int i = 0; i < n; i++, p = p->next) {
		digest_log_note(p->txn->zxid, c->digests[i]);
		if (!p->txn->has_digest || p->txn->digest == c->digests[i])
			continue;
		metric_count(METRIC_digest_mismatches_count, 1);
		log_ratelimited(LOG_ERROR, "digest of the tree at zxid 0x%llx is 0x%llx, the "
				"transaction says 0x%llx", p->txn->zxid, c->digests[i],
				p->txn->digest);
	}
}

/* FinalRequestProcessor's propagation latency, DataTree.updateWriteStat(). */
static void count_writes(const struct proposal *p, int n)
{
	struct metric_run run = { .s = METRIC_propagation_latency };
	s64 now = core_wall_ms();

	for (int i = 0; i < n; i++, p = p->next) {
		const struct txn *t = p->txn;

		metric_run_add(&run, now > t->time ? now - t->time : 0);
		for (u32 k = 0; k < t->n_ops; k++) {
			const struct zk_op *op = &t->ops[k];
			u32 bytes = zk_chars(op->path, op->path_len);

			if (op->type != ZK_OP_CREATE && op->type != ZK_OP_DELETE &&
			    op->type != ZK_OP_SETDATA)
				continue;
			if (op->type != ZK_OP_DELETE && op->data_len > 0)
				bytes += op->data_len;
			metric_add_path(METRIC_write_per_namespace, op->path, op->path_len, bytes);
		}
	}
	metric_run_end(&run);
}

/*
 * Publishes @n transactions, from @p on. Short of memory it waits and tries again,
 * and nothing goes on meanwhile. Anything else means that tree and log disagree:
 * the server stops before it can serve from a wrong tree.
 */
static void apply_batch(struct core *c, struct proposal *p, int n)
{
	u32 wait = RETRY_MIN_MS;
	struct proposal *first = p;
	int done = 0, err;

	for (int i = 0; i < n; i++, p = p->next)
		txn_to_zk(p->txn, &c->batch[i]);
	for (;;) {
		err = 0;
		done += c->st->ops->apply(c->st, c->batch + done, n - done,
					  c->digests + done, &err);
		if (done == n)
			break;
		if (err != -ENOMEM) {
			log_error("cannot apply transaction 0x%llx: %s; the tree differs from "
				  "the log, stopping", c->batch[done].zxid, strerror(-err));
			abort();
		}
		log_ratelimited(LOG_ERROR, "no memory to apply transaction 0x%llx, waiting",
				c->batch[done].zxid);
		changes_trim(&c->ch, true);
		nap(wait);
		wait = wait * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : wait * 2;
	}
	check_digests(c, first, n);
	count_writes(first, n);
	c->applied = c->batch[n - 1].zxid;
	changes_applied(&c->ch, c->applied);
	__atomic_store_n(&c->stats.commits, c->stats.commits + n, __ATOMIC_RELAXED);
}

/* What follows from one applied transaction. */
static void answer(struct core *c, struct proposal *p)
{
	struct request *r;
	struct message *m;

	while ((m = p->events)) {
		p->events = m->next;
		post_message(c, m);
	}
	if (p->kind == PROPOSAL_OPEN)
		connect_opened(c, p->sess);
	if (p->audit)
		audit_write(p->audit);
	p->audit = NULL;
	if (p->kind == PROPOSAL_CLOSE && audit_on())
		audit_session_end(p->txn);
	if (p->reply)
		post_message(c, p->reply);
	p->reply = NULL;
	if (p->kind == PROPOSAL_CLOSE)
		connect_ended(c, p->sess);
	c->expiring -= p->expired;
	while ((r = p->after)) {
		p->after = r->next;
		op_run_after(c, r, p->txn->zxid);
	}
	proposal_free(c, p);
}

/* Applies and answers the first @n outstanding proposals. */
static void complete(struct core *c, int n)
{
	struct proposal *p;

	apply_batch(c, c->head, n);
	c->committed -= n;
	c->posted = true;	/* events may wait for this in the I/O threads */
	while (n--) {
		p = c->head;
		c->head = p->next;
		if (!c->head)
			c->tail = NULL;
		answer(c, p);
	}
}

static int reserve_batch(struct core *c)
{
	u32 room = c->batch_room ? c->batch_room * 2 : BATCH_MIN;
	struct zk_txn *b = realloc(c->batch, room * sizeof(*b));
	u64 *d;

	if (!b)
		return -ENOMEM;
	c->batch = b;
	d = realloc(c->digests, room * sizeof(*d));
	if (!d)
		return -ENOMEM;
	c->digests = d;
	c->batch_room = room;
	return 0;
}

/* How many of those that are committed have had all their events posted. The last one
 * whose are not goes on from there the next time. */
static u32 fire_batch(struct core *c, u32 *budget)
{
	struct proposal *p = c->head;
	u32 n = 0;

	while (n < c->committed && n < BATCH_MAX) {
		while (n == c->batch_room && reserve_batch(c)) {
			if (n)
				return n;
			nap(RETRY_MIN_MS);
		}
		if (!fire_txn(c, p, budget))
			break;
		n++;
		if (p->read_after)
			break;
		p = p->next;
	}
	return n;
}

/* Applies what is committed, as far as @budget reaches. */
static void apply_committed(struct core *c, u32 *budget)
{
	u32 n;

	while (c->committed) {
		n = fire_batch(c, budget);
		if (!n)
			break;
		complete(c, n);
	}
}

/* ------------------------------------------------------------ ZAB's driver */

static void reset_changes(struct core *c)
{
	struct store_info info;

	if (c->st->ops->info(c->st, &info)) {
		log_error("cannot read the store's digest, stopping");
		abort();
	}
	changes_reset(&c->ch, info.digest);
}

static void drop_outstanding(struct core *c)
{
	u32 all = ~0U;
	struct proposal *p;

	/* what was committed before stays committed */
	while (c->committed) {
		apply_committed(c, &all);
		all = ~0U;
	}
	/* Their clients must not wait for answers that will not come. */
	for (u32 i = 0; i < c->clients_size; i++)
		for (struct client *cl = c->clients[i]; cl; cl = cl->next)
			if (pipeline_busy(c, cl))
				client_close(c, cl);
	while ((p = c->head)) {
		c->head = p->next;
		if (p->kind == PROPOSAL_OPEN)
			session_end(c->sessions, p->sess);
		if (p->kind == PROPOSAL_CLOSE)
			session_reopen(c->sessions, p->sess, c->now_ms);
		proposal_free(c, p);
	}
	c->tail = NULL;
	c->expiring = 0;
	reset_changes(c);
}

static void set_state(struct core *c, enum zab_state state)
{
	enum store_state st = state == ZAB_LEADING ? STORE_STANDALONE : STORE_DISCONNECTED;

	c->serving = state == ZAB_LEADING;
	c->fresh_ms = c->now_ms + c->cfg->tick_ms / 2;
	if (c->st->ops->set_state(c->st, st, 0))
		log_ratelimited(LOG_WARN, "cannot tell the store about our state");
}

void pipeline_fresh(struct core *c)
{
	if (c->serving && c->now_ms >= c->fresh_ms)
		set_state(c, ZAB_LEADING);
}

void pipeline_run(struct core *c)
{
	struct zab_action a;

	while (zab_next(c->zab, &a)) {
		switch (a.type) {
		case ZAB_DO_LOG:
			disk_append_later(c->disk, a.txn);
			break;
		case ZAB_DO_COMMIT:
			txn_put(a.txn);	/* the proposal has its own reference */
			c->committed++;
			break;
		case ZAB_DO_STATE:
			set_state(c, a.state);
			break;
		case ZAB_DO_FAIL:
			drop_outstanding(c);
			break;
		}
	}
	apply_committed(c, &c->budget);
}

static void step(struct core *c, const struct zab_event *ev)
{
	u32 wait = RETRY_MIN_MS;
	int rc;

	while ((rc = zab_step(c->zab, ev)) == -ENOMEM) {
		log_ratelimited(LOG_ERROR, "no memory in ZAB, waiting");
		nap(wait);
		wait = wait * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : wait * 2;
	}
	if (rc) {
		log_error("ZAB does not take event %d in state %d", ev->type,
			  zab_state(c->zab));
		abort();
	}
	pipeline_run(c);
}

void pipeline_start(struct core *c)
{
	struct zab_event ev = { .type = ZAB_EV_START, .zxid = c->applied };

	step(c, &ev);
}

void pipeline_durable(struct core *c)
{
	struct zab_event ev = {
		.type = ZAB_EV_DURABLE,
		.zxid = __atomic_load_n(&c->durable, __ATOMIC_ACQUIRE),
	};

	if (ev.zxid > zab_committed(c->zab) && c->serving)
		step(c, &ev);
}

void pipeline_disk_failed(struct core *c)
{
	struct zab_event ev = { .type = ZAB_EV_DISK_FAILED };

	if (!c->serving)
		return;
	log_error("the disk failed: no writes are taken, reads go on");
	c->retry_ms = c->now_ms + RETRY_DISK_MS;
	step(c, &ev);
}
