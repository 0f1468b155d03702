// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The pipeline's end: what is committed is applied and answered.
 *
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
 * A tree in the kernel is there after this process, for readers, and for the next one to
 * go on from its zxid by the log. So it never has what the own log does not: what a quorum
 * has logged without this server waits for it. (In its own memory it does not wait, as in
 * Apache ZooKeeper's.)
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/digestlog.h"
#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/server/audit.h"
#include "daemon/server/core_impl.h"

#define BATCH_MIN	64
#define BATCH_MAX	1024

static void check_digests(struct core *c, struct proposal *p, int n)
{
	for (int i = 0; i < n; i++, p = p->next) {
		digest_log_note(p->txn->zxid, c->digests[i]);
		/* what another server is still sending may hold what comes twice */
		if (!p->txn->has_digest || p->txn->digest == c->digests[i] || !c->serving)
			continue;
		metric_count(METRIC_digest_mismatches_count, 1);
		log_ratelimited(LOG_ERROR, "digest of the tree at zxid 0x%llx is 0x%llx, the "
				"transaction says 0x%llx", p->txn->zxid, c->digests[i],
				p->txn->digest);
	}
}

/* FinalRequestProcessor's propagation latency, DataTree.updateWriteStat(). */
static void count_writes(const struct core *c, const struct proposal *p, int n)
{
	struct metric_run run = { .s = METRIC_propagation_latency };
	s64 now = core_wall_ms(c);

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
	u32 wait = CORE_RETRY_MS;
	struct proposal *first = p;
	int done = 0, err;

	for (int i = 0; i < n; i++, p = p->next) {
		txn_to_zk(p->txn, &c->batch[i]);
		if (!c->serving)
			c->batch[i].flags |= ZK_TXN_REPLAY;
	}
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
		wait = core_back_off(c, wait);
	}
	check_digests(c, first, n);
	count_writes(c, first, n);
	c->applied = c->batch[n - 1].zxid;
	changes_applied(&c->ch, c->applied);
	zab_applied(c->zab, c->applied);
	__atomic_store_n(&c->stats.commits, c->stats.commits + n, __ATOMIC_RELAXED);
}

/* Its session is served elsewhere by now: it is told nothing (FinalRequestProcessor). */
static void close_moved(struct core *c, const struct txn *t)
{
	struct sess *s = connect_session(c, t->session);

	if (s && s->client)
		client_close(c, s->client);
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
	if (p->moved)
		close_moved(c, p->txn);
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
	u64 began = core_coarse_ms(c);

	apply_batch(c, c->head, n);
	count_applied(c, c->head, n, began);
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

/* Others may have committed what the own log does not have yet. */
static bool is_kept(const struct core *c, const struct proposal *p)
{
	return !c->outlives || p->txn->zxid <= __atomic_load_n(&c->durable, __ATOMIC_ACQUIRE);
}

bool pipeline_may_apply(const struct core *c)
{
	return c->committed && is_kept(c, c->head);
}

/* How many of those that are committed have had all their events posted. The last one
 * whose are not goes on from there the next time. */
static u32 fire_batch(struct core *c, u32 *budget, bool all)
{
	struct proposal *p = c->head;
	u32 n = 0;

	while (n < c->committed && n < BATCH_MAX && (all || is_kept(c, p))) {
		while (n == c->batch_room && reserve_batch(c)) {
			if (n)
				return n;
			core_nap(c, CORE_RETRY_MS);
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

static void apply(struct core *c, u32 *budget, bool all)
{
	u32 n;

	while (c->committed) {
		n = fire_batch(c, budget, all);
		if (!n)
			break;
		complete(c, n);
	}
}

void pipeline_apply(struct core *c, u32 *budget)
{
	apply(c, budget, false);
}

/*
 * A log that does not have it in that time is given up on: were this process to end before
 * it has, the tree would be of no use to the next one, which builds it anew.
 */
void pipeline_apply_all(struct core *c)
{
	u32 all;

	disk_kick(c->disk);
	for (u32 ms = 0; c->committed && ms < c->cfg->tick_ms; ms++) {
		all = ~0U;
		apply(c, &all, false);
		if (__atomic_load_n(&c->disk_errno, __ATOMIC_ACQUIRE))
			break;
		if (c->committed && !pipeline_may_apply(c))
			core_nap(c, 1);
	}
	while (c->committed) {
		all = ~0U;
		apply(c, &all, true);
	}
}
