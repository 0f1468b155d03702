// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is known of the links of learners (LearnerHandler.getLearnerHandlerInfo()). The
 * thread "peers" counts, with stores that are only marked relaxed; whoever asks reads,
 * under a lock that keeps the links there.
 */
#include <string.h>
#include <time.h>

#include "daemon/base/metrics.h"
#include "daemon/peer/internal.h"

#define MARK_EVERY	1000	/* LearnerHandler.markerPacketInterval */

static u64 get(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void set(u64 *p, u64 v)
{
	__atomic_store_n(p, v, __ATOMIC_RELAXED);
}

void tally_add(struct peers *p, struct link *l)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	l->stats.since_ms = ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
	set(&l->q.stats.last_zxid, ~0ULL);
	pthread_mutex_lock(&p->stats_lock);
	list_add_tail(&l->stats.node, &p->stats);
	pthread_mutex_unlock(&p->stats_lock);
}

void tally_drop(struct peers *p, struct link *l)
{
	if (!l->stats.node.next)
		return;
	pthread_mutex_lock(&p->stats_lock);
	list_del(&l->stats.node);
	pthread_mutex_unlock(&p->stats_lock);
}

/* Who it is; then, as there, nothing up to NEWLEADER's ACK. */
static void received_one(struct link *l, const struct zab_packet *pkt)
{
	struct link_stats *s = &l->stats;

	if (pkt->type == ZP_ACKEPOCH)
		return;
	if (pkt->type == ZP_FOLLOWERINFO || pkt->type == ZP_OBSERVERINFO) {
		set(&s->sid, pkt->len >= 8 ? jute_get64(pkt->data) : 0);
		set(&s->observer, pkt->type == ZP_OBSERVERINFO);
		l->q.server = s->sid;
		l->q.counted = true;
	} else if (!s->acked) {
		s->acked = true;
	} else {
		set(&s->received, s->received + 1);
		if (pkt->type == ZP_REQUEST)
			set(&s->requests, s->requests + 1);
	}
}

void tally_received(struct link *l, const u8 *at, size_t len)
{
	struct zab_packet pkt;
	size_t need;
	ssize_t n;

	for (; !l->out && len; at += n, len -= n) {
		n = zab_packet_read(at, len, INT32_MAX, &pkt, &need);
		if (n <= 0)
			return;		/* they were read before */
		received_one(l, &pkt);
	}
}

/* How many packets without ids are in @b, and the last of their zxids that is one. */
static u32 packets_in(const struct zab_bytes *b, u64 *zxid)
{
	u64 at = 0;
	u32 n = 0;

	while (at + ZP_HEAD <= b->len) {
		u64 z = jute_get64(b->bytes + at + 4);
		s32 len = jute_get32(b->bytes + at + 12);

		if ((s64)z > 0)
			*zxid = z;
		at += ZP_HEAD + (len > 0 ? len : 0);
		n++;
	}
	return n ? n : 1;
}

void tally_queued(struct outq *q, struct item *it)
{
	if (!q->counted)
		return;
	it->last_zxid = 0;
	it->packets = it->kind == ITEM_BYTES ? packets_in(it->bytes, &it->last_zxid) : 1;
	if (it->kind != ITEM_BYTES)
		it->last_zxid = it->kind == ITEM_TXN ? it->txn->zxid :
				it->kind == ITEM_TREE ? it->zxid : it->to;
	if (q->stats.marks++ % MARK_EVERY == 0)
		it->queued_ms = peer_now_ms();
	set(&q->stats.queued, q->stats.queued + it->packets);
}

void tally_sent(struct outq *q, const struct item *it)
{
	if (!q->counted || !it->packets)
		return;
	set(&q->stats.queued, q->stats.queued - it->packets);
	metric_add_server(METRIC_learner_handler_qp_size, q->server, q->stats.queued);
	if (it->queued_ms)
		metric_add_server(METRIC_learner_handler_qp_time_ms, q->server,
				  peer_now_ms() - it->queued_ms);
	set(&q->stats.sent, q->stats.sent + it->packets);
	if (it->last_zxid)
		set(&q->stats.last_zxid, it->last_zxid);
}

/* What was taken as one when its turn came. */
void tally_streamed(struct link *l, u64 packets)
{
	if (packets > 1)
		set(&l->q.stats.sent, l->q.stats.sent + packets - 1);
}

static void copy(const struct link *l, struct peer_link *out)
{
	const struct link_stats *s = &l->stats;

	*out = (struct peer_link){
		.link = l->id,
		.sid = get(&s->sid),
		.observer = get(&s->observer),
		.settled = get(&s->settled),
		.since_ms = s->since_ms,
		.received = get(&s->received) - get(&s->received_before),
		.requests = get(&s->requests) - get(&s->requests_before),
		.sent = get(&l->q.stats.sent) - get(&l->q.stats.sent_before),
		.last_zxid = get(&l->q.stats.last_zxid),
		.queued = get(&l->q.stats.queued),
		.queued_bytes = get(&l->q.bytes),
	};
	snprintf(out->name, sizeof(out->name), "%s", l->name);
}

u32 peer_links(struct peers *p, struct peer_link *out, u32 max)
{
	const struct link *l;
	u32 n = 0;

	pthread_mutex_lock(&p->stats_lock);
	list_for_each_entry(l, &p->stats, stats.node)
		if (n < max)
			copy(l, &out[n++]);
	pthread_mutex_unlock(&p->stats_lock);
	return n;
}

void peer_links_reset(struct peers *p)
{
	struct link *l;

	pthread_mutex_lock(&p->stats_lock);
	list_for_each_entry(l, &p->stats, stats.node) {
		if (!get(&l->stats.observer))
			continue;
		set(&l->stats.received_before, get(&l->stats.received));
		set(&l->stats.requests_before, get(&l->stats.requests));
		set(&l->q.stats.sent_before, get(&l->q.stats.sent));
		set(&l->q.stats.last_zxid, ~0ULL);
	}
	pthread_mutex_unlock(&p->stats_lock);
}
