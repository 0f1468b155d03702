// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a learner needs to have the leader's history (LearnerHandler.syncFollower,
 * queueCommittedProposals, Leader.startForwarding): DIFF, TRUNC or SNAP, the
 * transactions behind that, what is outstanding, NEWLEADER.
 *
 * Before this leader is established "the history" is all that it had when it was
 * elected, committed or not: that is what the quorum is to agree on. PROPOSAL and COMMIT
 * are sent for all of it, as Apache's does; a learner of ours applies none of it before
 * UPTODATE.
 *
 * A zxid names one transaction, whoever has it: one leader an epoch, and it numbers
 * without gaps. So the learner's last zxid is in our history, or our last one before it
 * is of the same epoch (TRUNC to that), or we cannot tell where it left our history:
 * SNAP. TRUNC to another epoch is not sent, the learner's log need not have such a place.
 *
 * A zxid with a zero counter is what a server of Apache's has when it led or took a
 * snapshot in a new epoch before anything was proposed: it has all of the epochs before
 * (they were established then), and so has this leader. It gets DIFF.
 *
 * Who may not have on disk what it acknowledges, an Apache's, gets the tree from a leader that
 * is not established yet (is_risky()).
 *
 * At most so many at once: an observer that comes while the bound is reached is refused and
 * comes again. Followers count, and are never refused (LearnerSyncThrottler).
 */
#include <assert.h>

#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/zab/zab_impl.h"

struct plan {
	s32 op;			/* ZP_DIFF, ZP_TRUNC, ZP_SNAP */
	u64 zxid;		/* what it says */
	bool disk;		/* the logs' part comes first */
	u64 from;		/* index of the first one sent from memory */
};

/* Whether the logs lead from @peer to what is in memory, and @peer is in our history. */
static bool on_disk(const struct zab *z, u64 peer)
{
	const struct window *w = &z->w;

	if (!peer || z->logged_from > peer + 1)
		return false;
	if (!COUNT_OF(peer))
		return true;
	/* numbered without a gap, so it is there */
	return EPOCH_OF(peer) == EPOCH_OF(w->floor) && w->floor - peer <= DISK_HISTORY_MAX;
}

static struct plan plan_tree(const struct zab *z)
{
	assert(z->applied >= z->w.floor);
	return (struct plan){ .op = ZP_SNAP, .zxid = z->applied,
			      .from = win_after(&z->w, z->applied) };
}

/* @end: the index behind the history that it is to have. */
static struct plan make_plan(const struct zab *z, u64 peer, u64 end)
{
	const struct window *w = &z->w;
	u64 last = win_before(w, end), i, prev;

	if (z->p.force_snap)
		return plan_tree(z);
	if (peer == last)
		return (struct plan){ .op = ZP_DIFF, .zxid = peer, .from = end };
	if (peer < w->floor) {
		if (on_disk(z, peer))
			return (struct plan){ .op = ZP_DIFF, .zxid = last, .disk = true,
					      .from = w->first };
		return plan_tree(z);
	}
	i = win_after(w, peer);
	if (i > end)
		i = end;
	prev = win_before(w, i);
	if (prev == peer || !COUNT_OF(peer))
		return (struct plan){ .op = ZP_DIFF, .zxid = last, .from = i };
	if (EPOCH_OF(prev) == EPOCH_OF(peer) && COUNT_OF(prev))
		return (struct plan){ .op = ZP_TRUNC, .zxid = prev, .from = i };
	return plan_tree(z);
}

/*
 * Whether @l must not be sent @p. Apache's follower saves the epoch when NEWLEADER comes and
 * logs what DIFF brought after that, at some time (Learner.syncWithLeader(), ZOOKEEPER-4643,
 * 4646, 4785). If the leader goes in between, it votes with the new epoch and the old
 * history, wins against who has all that was ever acknowledged, and cuts that off. Once
 * this epoch is established that cannot be: a quorum has the epoch and the history, so one of
 * any quorum that elects. Until then it gets the tree, which 3.8 saves before the epoch.
 *
 * TRUNC cuts its log, and not the snapshot which it made of that when it was elected, by
 * itself perhaps: it loads that again, and shows what nobody acknowledged. A tree that is later
 * than all it has is what it goes on with, whenever it starts.
 */
static bool is_risky(const struct zab *z, const struct learner *l, const struct plan *p, u64 end)
{
	if (l->durable || p->op == ZP_SNAP)
		return false;
	if (p->op == ZP_TRUNC)
		return win_before(&z->w, end) > l->last;
	return z->phase == ZAB_SYNC && (p->disk || p->from < end);
}

static void emit_op(struct zab *z, struct learner *l, const struct plan *p)
{
	struct zab_action *a;

	if (p->op == ZP_SNAP) {
		a = zab_emit(z, ZAB_DO_SEND_TREE);
		a->link = l->link;
		a->zxid = p->zxid;
		return;
	}
	zab_emit_packet(z, l->link, p->op, p->zxid, NULL, -1);
	if (p->disk) {
		a = zab_emit(z, ZAB_DO_SEND_HISTORY);
		a->link = l->link;
		a->zxid = l->last;
		a->to = z->w.floor;
		a->observer = l->observer;
	}
}

/* [from, end) with a COMMIT for each (INFORM for an observer), then what is outstanding. */
static void emit_history(struct zab *z, struct learner *l, u64 from, u64 end,
			 struct zab_bytes *commits)
{
	for (u64 i = from; i < end; i++)
		zab_emit_txn(z, l->link, l->observer ? ZP_INFORM : ZP_PROPOSAL, win_at(&z->w, i));
	if (commits) {
		for (u64 i = from; i < end; i++)
			zab_put_empty(commits->bytes + (i - from) * ZP_HEAD, ZP_COMMIT,
				      win_at(&z->w, i)->zxid);
		zab_emit_bytes(z, l->link, commits);
	}
	if (!l->observer)
		for (u64 i = end; i < z->w.end; i++)
			zab_emit_txn(z, l->link, ZP_PROPOSAL, win_at(&z->w, i));
}

/* How many have not acknowledged yet what they were sent (getSyncInProgress()). */
static u32 in_progress(const struct zab *z, bool tree)
{
	u32 n = 0;

	for (u32 i = 0; i < z->ld.n; i++)
		n += !z->ld.learners[i]->gone && z->ld.learners[i]->stage == STAGE_SYNC &&
		     z->ld.learners[i]->tree == tree;
	return n;
}

/* LearnerSyncThrottler.beginSync() */
static bool refused(struct zab *z, struct learner *l, bool tree)
{
	u32 max = tree ? z->p.snap_syncs : z->p.diff_syncs, n = in_progress(z, tree);

	if (!l->observer || !max || n < max)
		return false;
	handler_drop(z, l, "%u learners are sent %s, and leader.maxConcurrent%sSyncs is %u", n,
		     tree ? "the tree" : "what they lack", tree ? "Snap" : "Diff", max);
	return true;
}

static void count_progress(const struct zab *z, bool tree)
{
	metric_add(tree ? METRIC_inflight_snap_count : METRIC_inflight_diff_count,
		   in_progress(z, tree));
}

void handler_synced(struct zab *z, struct learner *l)
{
	l->stage = STAGE_ACKED;
	count_progress(z, l->tree);
}

bool handler_sync(struct zab *z, struct learner *l)
{
	u64 end = z->phase == ZAB_BROADCAST ? z->w.commit : z->w.end, n;
	struct plan p = make_plan(z, l->last, end);
	struct zab_bytes *commits = NULL;

	if (is_risky(z, l, &p, end))
		p = plan_tree(z);
	/* SNAP may be of more than @end only if more is applied than committed */
	assert(p.from <= end);
	n = end - p.from;
	if (!zab_room(z, n + (z->w.end - end) + 4, 1))
		return false;
	if (refused(z, l, p.op == ZP_SNAP))
		return true;
	if (n && !l->observer) {
		commits = zab_bytes_new(n * ZP_HEAD);
		if (!commits) {
			z->starved = true;
			return false;
		}
	}
	log_info("ensemble: %s %lld is at 0x%llx, this server at 0x%llx: %s 0x%llx%s, %llu transactions",
		 l->observer ? "observer" : "follower", (long long)l->sid, l->last,
		 win_before(&z->w, end), zab_packet_name(p.op), p.zxid,
		 p.disk ? " from the logs" : "", n);
	emit_op(z, l, &p);
	emit_history(z, l, p.from, end, commits);
	zab_emit_bytes(z, l->link, zab_bytes_get(z->ld.newleader));
	l->told = win_before(&z->w, end);
	l->stage = STAGE_SYNC;
	l->tree = p.op == ZP_SNAP;
	l->due = 0;
	metric_count(l->tree ? METRIC_snap_count : METRIC_diff_count, 1);
	count_progress(z, l->tree);
	return true;
}

/* Leader.processAck(): of those that are not committed yet, which says nothing of late ones. */
void leader_tell_acks(struct zab *z, u64 sid, u64 from, u64 to)
{
	u64 every = z->p.tell_acks;

	if (!every || !z->e || z->state != ZAB_LEADING || z->phase != ZAB_BROADCAST)
		return;
	if (from < z->committed)
		from = z->committed;
	if (from < z->ld.base)
		from = z->ld.base;
	if (to > z->last)
		to = z->last;
	for (u64 zxid = (from / every + 1) * every; zxid <= to; zxid += every) {
		u64 i = win_after(&z->w, zxid - 1);
		struct zab_action *a;

		if (i == z->w.end || !zab_room(z, 1, 0))
			return;
		a = zab_emit(z, ZAB_DO_ACKED);
		a->from = sid;
		a->zxid = win_at(&z->w, i)->zxid;
		a->to = win_at(&z->w, i)->time;
	}
}
