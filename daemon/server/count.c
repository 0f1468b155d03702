// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What ZooKeeper counts in an ensemble (ServerMetrics.java), counted where it happens here,
 * by the core thread: elections (QuorumPeer, Leader, Follower, Observer), proposals and
 * commits (Leader.propose(), commit(); Follower, Observer.processPacket()), and of the
 * CommitProcessor what there is without its queues: reads do not pass there.
 *
 * Latencies are by the time in a transaction's header, which is the leader's: where clocks
 * differ so that they would be negative they are left out, as there
 * (Request.logLatency()).
 */
#include "daemon/base/metrics.h"
#include "daemon/server/core_impl.h"

static void elected(struct core *c, enum zab_state state)
{
	if (state != ZAB_OBSERVING && c->counts.looks_ms)
		metric_add(METRIC_election_time, c->now_ms - c->counts.looks_ms);
	c->counts.looks_ms = 0;
}

static void established(struct core *c, enum zab_state state)
{
	u64 gone = c->now_ms - c->counts.lost_ms;

	if (state == ZAB_FOLLOWING)
		metric_add(METRIC_follower_sync_time, c->now_ms - c->counts.syncs_ms);
	else if (state == ZAB_OBSERVING)
		metric_add(METRIC_observer_sync_time, c->now_ms - c->counts.syncs_ms);
	if (!c->counts.lost_ms)
		return;
	metric_add(METRIC_unavailable_time, gone);
	if (state == ZAB_LEADING)
		metric_add(METRIC_leader_unavailable_time, gone);
	c->counts.lost_ms = 0;
}

void count_state(struct core *c, enum zab_state state, enum zab_phase phase)
{
	if (!c->peers)
		return;
	disk_count_acks(c->disk, state == ZAB_LEADING || state == ZAB_FOLLOWING);
	switch (phase) {
	case ZAB_ELECTION:
		metric_count(METRIC_looking_count, 1);
		if (!c->counts.lost_ms)
			c->counts.lost_ms = c->now_ms;
		if (!c->counts.looks_ms)
			c->counts.looks_ms = c->now_ms;
		break;
	case ZAB_DISCOVERY:
		elected(c, state);
		break;
	case ZAB_SYNC:
		c->counts.syncs_ms = c->now_ms;
		break;
	case ZAB_BROADCAST:
		established(c, state);
		break;
	}
}

static void latency(enum metric_summary s, const struct core *c, s64 since)
{
	s64 ms = core_wall_ms(c) - since;

	if (ms >= 0)
		metric_add(s, ms);
}

void count_proposal(struct core *c, const struct zab_action *a)
{
	if (!c->peers || a->phase != ZAB_BROADCAST)
		return;
	if (a->state == ZAB_LEADING) {
		metric_count(METRIC_proposal_count, 1);
	} else if (a->state == ZAB_FOLLOWING) {
		metric_count(METRIC_learner_proposal_received_count, 1);
		latency(METRIC_proposal_latency, c, a->txn->time);
	}
}

/* A change of the membership has its own way, Leader.commitAndActivate(). */
void count_commit(struct core *c, const struct zab_action *a)
{
	bool members = a->txn->type == OP_RECONFIG;

	if (!c->peers || a->phase != ZAB_BROADCAST)
		return;
	metric_count(METRIC_request_commit_queued, 1);
	if (a->state != ZAB_LEADING) {
		metric_count(METRIC_learner_commit_received_count, 1);
		latency(METRIC_commit_propagation_latency, c, a->txn->time);
	} else if (!members) {
		metric_count(METRIC_commit_count, 1);
		latency(METRIC_quorum_ack_latency, c, a->txn->time);
	}
}

void count_acked(struct core *c, const struct zab_action *a)
{
	s64 ms = core_wall_ms(c) - (s64)a->to;

	if (ms >= 0)
		metric_add_server(METRIC_ack_latency, a->from, ms);
}

void count_applied(struct core *c, const struct proposal *p, u32 n, u64 began_ms)
{
	struct metric_run own = { .s = METRIC_local_write_committed_time_ms };
	struct metric_run others = { .s = METRIC_server_write_committed_time_ms };
	struct metric_run whole = { .s = METRIC_write_commitproc_time_ms };
	u64 now = core_coarse_ms(c), took = now - began_ms;

	if (!c->peers || !c->serving)
		return;
	metric_add(METRIC_commit_commit_proc_req_queued, c->committed);
	metric_add(METRIC_write_commit_proc_issued, n);
	metric_add(METRIC_write_batch_time_in_commit_processor, took);
	metric_add(METRIC_commit_process_time, took);
	metric_add_n(METRIC_write_final_proc_time_ms, took / n, n);
	for (u32 i = 0; i < n; i++, p = p->next) {
		/* a leader's own are all that it proposed */
		bool mine = c->leading || p->reply;

		metric_run_add(mine ? &own : &others, began_ms - p->committed_ms);
		if (mine)
			metric_run_add(&whole, began_ms - p->began_ms);
	}
	metric_run_end(&own);
	metric_run_end(&others);
	metric_run_end(&whole);
}

void count_requests(struct core *c, u64 n, struct metric_run *waited)
{
	u64 ms;

	/* FollowerRequestProcessor, ObserverRequestProcessor */
	if (c->peers && !c->leading) {
		metric_add(METRIC_learner_request_processor_queue_size, n);
		return;
	}
	metric_run_end(waited);
	metric_count(METRIC_prep_processor_request_queued, n);
	metric_add(METRIC_prep_processor_queue_size, n);
	/* as if each had taken as long; the rest of the division is the last one's */
	ms = core_coarse_ms(c) - c->now_ms;
	if (n > 1)
		metric_add_n(METRIC_prep_process_time, ms / n, n - 1);
	metric_add(METRIC_prep_process_time, ms / n + ms % n);
}
