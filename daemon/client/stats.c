// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Counters of connections and I/O threads, as ZooKeeper's ServerCnxn and
 * ServerStats keep them. Each is written by one thread only and may be read by any:
 * relaxed atomics, no lock. Resetting bumps a generation; whoever writes next starts
 * anew, and whoever reads counters of an older generation takes them for zero.
 */
#include <stdlib.h>

#include "daemon/base/metrics.h"
#include "daemon/client/internal.h"
#include "daemon/server/prepare.h"

#define SET(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define GET(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)

static struct conn_stats *of_conn(struct conn *c)
{
	struct conn_stats *s = &c->stats;
	u32 gen = GET(c->cs->conn_gen);

	if (s->gen == gen)
		return s;
	SET(s->received, 0);
	SET(s->sent, 0);
	SET(s->op, -1);
	SET(s->last_cxid, -1);
	SET(s->last_zxid, ~0ULL);
	SET(s->last_ms, 0);
	SET(s->last_latency, 0);
	SET(s->min_latency, 0);
	SET(s->max_latency, 0);
	SET(s->total_latency, 0);
	SET(s->count, 0);
	SET(s->gen, gen);
	return s;
}

static struct io_stats *of_io(struct io *io)
{
	struct io_stats *s = &io->stats;
	u32 gen = GET(io->cs->io_gen);

	if (s->gen == gen)
		return s;
	SET(s->received, 0);
	SET(s->sent, 0);
	SET(s->min_latency, 0);
	SET(s->max_latency, 0);
	SET(s->total_latency, 0);
	SET(s->count, 0);
	SET(s->last_size, -1);
	SET(s->min_size, -1);
	SET(s->max_size, -1);
	SET(s->gen, gen);
	return s;
}

/* Owner: packets came in. */
void stats_received(struct conn *c, u64 packets)
{
	struct conn_stats *s = of_conn(c);
	struct io_stats *t = of_io(c->io);

	SET(s->received, s->received + packets);
	SET(t->received, t->received + packets);
}


static void count_size(struct io *io, struct io_stats *t, s64 size)
{
	SET(t->sized_ms, io->now_ms);
	SET(t->last_size, size);
	if (t->min_size < 0 || size < t->min_size)
		SET(t->min_size, size);
	if (size > t->max_size)
		SET(t->max_size, size);
}

/* Owner: a packet that is no answer to a request (events, auth). */
void stats_sent(struct conn *c, u32 size)
{
	struct conn_stats *s = of_conn(c);
	struct io_stats *t = of_io(c->io);

	SET(s->sent, s->sent + 1);
	SET(t->sent, t->sent + 1);
	if (size)
		count_size(c->io, t, size);
}

static void count_latency(struct io_stats *t, u64 ms)
{
	if (!t->count || ms < t->min_latency)
		SET(t->min_latency, ms);
	if (ms > t->max_latency)
		SET(t->max_latency, ms);
	SET(t->total_latency, t->total_latency + ms);
	SET(t->count, t->count + 1);
}

static bool is_update(s32 op)
{
	return prep_is_write(op) || op == OP_CLOSESESSION || op == OP_CREATESESSION;
}

/* Owner: as ServerStats.updateLatency(), what got a transaction's header or not. */
void stats_answered(struct conn *c, s32 op, s32 xid, u64 zxid, u64 ms, u32 size)
{
	struct conn_stats *s = of_conn(c);
	struct io_stats *t = of_io(c->io);

	SET(s->sent, s->sent + 1);
	SET(s->op, op);
	if (xid >= 0)
		SET(s->last_cxid, xid);
	SET(s->last_zxid, zxid);
	SET(s->last_ms, c->io->now_ms);
	SET(s->last_latency, ms);
	if (!s->count || ms < s->min_latency)
		SET(s->min_latency, ms);
	if (ms > s->max_latency)
		SET(s->max_latency, ms);
	SET(s->total_latency, s->total_latency + ms);
	SET(s->count, s->count + 1);

	SET(t->sent, t->sent + 1);
	count_latency(t, ms);
	if (size)
		count_size(c->io, t, size);
	if (op != OP_PING)
		metric_count(METRIC_response_bytes, size);
	metric_add(is_update(op) ? METRIC_updatelatency : METRIC_readlatency, ms);
}

/* Owner: a ConnectResponse. Only a new session is a request in ZooKeeper's pipeline,
 * with a transaction. */
void stats_connected(struct conn *c, u64 zxid, u64 ms)
{
	if (zxid)
		stats_answered(c, OP_CREATESESSION, 0, zxid, ms, 0);
	else
		stats_sent(c, 0);
}

/* Of several threads: the last answer's; the least; the greatest. */
static void add_sizes(struct io_stats *sum, const struct io_stats *s)
{
	s64 min = GET(s->min_size), max = GET(s->max_size);
	u64 at = GET(s->sized_ms);

	if (max < 0)
		return;
	if (sum->max_size < 0 || at >= sum->sized_ms) {
		sum->sized_ms = at;
		sum->last_size = GET(s->last_size);
	}
	if (sum->min_size < 0 || min < sum->min_size)
		sum->min_size = min;
	if (max > sum->max_size)
		sum->max_size = max;
}

/* Any thread: all I/O threads together. */
struct io_stats stats_sum(const struct client_side *cs)
{
	struct io_stats sum = {
		.gen = GET(cs->io_gen), .last_size = -1, .min_size = -1, .max_size = -1,
	};

	for (u32 i = 0; i < cs->n_io; i++) {
		const struct io_stats *s = &cs->io[i].stats;
		u64 n = GET(s->count), min = GET(s->min_latency), max = GET(s->max_latency);

		if (GET(s->gen) != sum.gen)
			continue;
		sum.received += GET(s->received);
		sum.sent += GET(s->sent);
		if (n && (!sum.count || min < sum.min_latency))
			sum.min_latency = min;
		if (max > sum.max_latency)
			sum.max_latency = max;
		sum.total_latency += GET(s->total_latency);
		sum.count += n;
		add_sizes(&sum, s);
	}
	return sum;
}

/* Any thread that keeps the connection from going (client_side.lock). */
struct conn_stats stats_of(const struct conn *c)
{
	const struct conn_stats *s = &c->stats;
	struct conn_stats copy = {
		.gen = GET(s->gen), .op = -1, .last_cxid = -1, .last_zxid = ~0ULL,
		.established_ms = s->established_ms,
	};

	if (copy.gen != GET(c->cs->conn_gen))
		return copy;
	copy.op = GET(s->op);
	copy.received = GET(s->received);
	copy.sent = GET(s->sent);
	copy.last_cxid = GET(s->last_cxid);
	copy.last_zxid = GET(s->last_zxid);
	copy.last_ms = GET(s->last_ms);
	copy.last_latency = GET(s->last_latency);
	copy.min_latency = GET(s->min_latency);
	copy.max_latency = GET(s->max_latency);
	copy.total_latency = GET(s->total_latency);
	copy.count = GET(s->count);
	return copy;
}

void stats_reset_conns(struct client_side *cs)
{
	__atomic_add_fetch(&cs->conn_gen, 1, __ATOMIC_RELAXED);
}

/* What Prometheus reads only grows: there the metrics stay, as in ZooKeeper. */
void stats_reset_server(struct client_side *cs)
{
	__atomic_add_fetch(&cs->io_gen, 1, __ATOMIC_RELAXED);
	if (!cs->cfg->prometheus)
		metrics_reset();
}

u32 conns_count(struct client_side *cs)
{
	u32 n;

	pthread_mutex_lock(&cs->lock);
	n = cs->n_conns;
	pthread_mutex_unlock(&cs->lock);
	return n;
}

static void view(struct conn_view *v, const struct conn *c)
{
	u8 state = GET(c->state);

	v->stats = stats_of(c);
	v->session = GET(c->session_id);
	v->timeout = GET(c->session_timeout);
	v->asked = GET(c->asked_n);
	v->reads = state == CONN_NEW || state == CONN_OPEN;
	snprintf(v->name, sizeof(v->name), "%s", c->name);
}

int conns_view(struct client_side *cs, struct conn_view **out, u32 *n)
{
	const struct conn *c;
	u32 room = conns_count(cs) + 16;	/* some may come meanwhile */
	struct conn_view *v = calloc(room, sizeof(*v));

	*out = v;
	*n = 0;
	if (!v)
		return -ENOMEM;
	pthread_mutex_lock(&cs->lock);
	list_for_each_entry(c, &cs->conns, all)
		if (*n < room)
			view(&v[(*n)++], c);
	pthread_mutex_unlock(&cs->lock);
	return 0;
}

/* FinalRequestProcessor's lastOp. */
const char *stats_op(s32 op)
{
	switch (op) {
	case OP_PING:
		return "PING";
	case OP_CREATESESSION:
		return "SESS";
	case OP_MULTI:
		return "MULT";
	case OP_MULTIREAD:
		return "MLTR";
	case OP_CREATE:
	case OP_CREATE2:
	case OP_CREATETTL:
	case OP_CREATECONTAINER:
		return "CREA";
	case OP_DELETE:
	case OP_DELETECONTAINER:
		return "DELE";
	case OP_SETDATA:
		return "SETD";
	case OP_RECONFIG:
		return "RECO";
	case OP_SETACL:
		return "SETA";
	case OP_CLOSESESSION:
		return "CLOS";
	case OP_SYNC:
		return "SYNC";
	case OP_CHECK:
		return "CHEC";
	case OP_EXISTS:
		return "EXIS";
	case OP_GETDATA:
		return "GETD";
	case OP_SETWATCHES:
		return "SETW";
	case OP_SETWATCHES2:
		return "STW2";
	case OP_ADDWATCH:
		return "ADDW";
	case OP_GETACL:
		return "GETA";
	case OP_GETCHILDREN:
	case OP_GETCHILDREN2:
		return "GETC";
	case OP_GETALLCHILDRENNUMBER:
		return "GETACN";
	case OP_CHECKWATCHES:
		return "CHKW";
	case OP_REMOVEWATCHES:
		return "REMW";
	case OP_WHOAMI:
		return "HOMI";
	case OP_GETEPHEMERALS:
		return "GETE";
	}
	return "NA";
}
