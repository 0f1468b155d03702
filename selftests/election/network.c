// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whole elections: servers with a clock of the test's own, and a network between them
 * that delays, reorders, loses, and is cut, all by a seed. Servers crash and come back
 * without their round, give up leaders that do not lead, and leaders without a quorum
 * give up; a leader with a quorum begins a new epoch. Once that stops, all that are up
 * must follow one leader within a bounded time, and keep to it.
 *
 * What passes between them are the bytes of packet.c.
 */
#include <stdarg.h>
#include <string.h>

#include "daemon/zab/election.h"
#include "selftests/election/election.h"

#define NODES_MAX	12
#define MSGS_MAX	20000
#define SEEDS		500

#define QUIET_MS	300000	/* after the faults: all agree within this, */
#define KEEP_MS		15000	/* and for so long */
#define PATIENCE_MS	4000	/* with a leader that does not lead, or no quorum */

struct node {
	u64 id;
	struct election *el;	/* NULL: down */
	bool observer;
	bool over;		/* follows or leads: */
	u64 leader;
	u64 well;		/* when it last was with a leader that leads */
	u64 epoch;
	u64 zxid;
	u64 up_at;		/* down until */
};

struct msg {
	u64 at;
	u64 from;
	u64 to;
	size_t len;
	u8 *bytes;
};

static struct node nodes[NODES_MAX];
static u32 n_nodes;
static struct msg msgs[MSGS_MAX];
static u32 n_msgs;
static struct ensemble *all;
static u64 now, epoch_max;
static u32 loss, slowest;	/* percent; ms */
static u64 cut_from, cut_until;	/* the servers of this half of the ids, alone */
static u32 n_sent, n_lost;

static void trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void trace(const char *fmt, ...)
{
	va_list ap;

	if (!tracing)
		return;
	printf("# %llu.%03llu ", (unsigned long long)now / 1000, (unsigned long long)now % 1000);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

static struct node *node_of(u64 id)
{
	u32 i;

	for (i = 0; i < n_nodes; i++)
		if (nodes[i].id == id)
			return &nodes[i];
	return NULL;
}

static bool cut(u64 a, u64 b)
{
	return now < cut_until && (a < cut_from) != (b < cut_from);
}

static void carry(void *arg, u64 to, const struct zab_vote *v)
{
	struct node *n = arg;
	struct jw w;

	if (!node_of(to) || n_msgs == MSGS_MAX)
		return;
	n_sent++;
	if (cut(n->id, to) || rnd(100) < loss) {
		n_lost++;
		return;
	}
	jw_init(&w, 0);
	zab_vote_write(&w, v);
	need(!w.err);
	msgs[n_msgs++] = (struct msg) {
		.at = now + 1 + (rnd(4) ? rnd(20) : rnd(slowest)),
		.from = n->id, .to = to, .len = w.len, .bytes = w.buf,
	};
}

/* ---------------------------------------------------------------- servers */

static void look(struct node *n)
{
	n->over = false;
	trace("%llu looks, epoch %llu zxid 0x%llx", (unsigned long long)n->id,
	      (unsigned long long)n->epoch, (unsigned long long)n->zxid);
	need(!election_begin(n->el, all, n->zxid, n->epoch, now));
}

static void boot(struct node *n)
{
	n->el = election_new(n->id, carry, n);
	need(n->el);
	look(n);
}

static void crash(struct node *n)
{
	trace("%llu is down", (unsigned long long)n->id);
	election_free(n->el);
	n->el = NULL;
	n->over = false;
	n->up_at = now + rnd(8000);
}

static void see_end(struct node *n)
{
	struct zab_vote v;

	if (n->over || !election_over(n->el, &v))
		return;
	n->over = true;
	n->leader = v.leader;
	n->well = now;
	trace("%llu: %llu leads, round %llu", (unsigned long long)n->id,
	      (unsigned long long)v.leader, (unsigned long long)v.round);
	check(ensemble_votes(all, v.leader));
	check(n->id != v.leader || !n->observer);
}

static s32 state_of(const struct node *n)
{
	return n->observer ? PEER_OBSERVING : n->leader == n->id ? PEER_LEADING : PEER_FOLLOWING;
}

static void deliver(struct msg *m)
{
	struct node *n = node_of(m->to);
	/* no more than there is: what reads beyond is found */
	u8 *copy = malloc(m->len);
	struct zab_vote v;

	need(copy);
	memcpy(copy, m->bytes, m->len);
	free(m->bytes);
	check_eq(zab_vote_read(copy, m->len, &v), 0);
	if (n->el && n->over)
		election_answer(n->el, m->from, &v, state_of(n));
	else if (n->el)
		election_vote(n->el, m->from, &v, now);
	if (n->el)
		see_end(n);
	free(copy);
}

/* Is with a leader that leads, or leads with a quorum. */
static bool is_well(const struct node *n)
{
	struct idset with = { 0 };
	struct node *leader = node_of(n->leader);
	u32 i;

	if (!leader || !leader->el || !leader->over || leader->leader != leader->id ||
	    cut(n->id, leader->id))
		return false;
	for (i = 0; i < n_nodes; i++)
		if (nodes[i].el && nodes[i].over && nodes[i].leader == n->leader &&
		    !cut(nodes[i].id, n->leader))
			idset_add(&with, nodes[i].id);
	return ensemble_quorum(all, &with);
}

/* What discovery and broadcast would do, from time to time. */
static void live(struct node *n)
{
	struct node *leader;

	if (!n->el || !n->over)
		return;
	if (!is_well(n)) {
		if (now - n->well > PATIENCE_MS)
			look(n);
		return;
	}
	n->well = now;
	leader = node_of(n->leader);
	if (leader == n && (n->zxid >> 32 != epoch_max || n->epoch != epoch_max)) {
		n->epoch = ++epoch_max;
		n->zxid = n->epoch << 32;
		trace("%llu begins epoch %llu", (unsigned long long)n->id,
		      (unsigned long long)n->epoch);
	} else if (leader == n && !rnd(3)) {
		n->zxid++;
	}
	if (leader->zxid >> 32 == leader->epoch) {
		n->epoch = leader->epoch;
		n->zxid = leader->zxid;
		election_settle(n->el, n->epoch);
	}
}

/* ---------------------------------------------------------------- time */

static u64 next_event(u64 until)
{
	u64 at = until;
	u32 i;

	for (i = 0; i < n_msgs; i++)
		at = msgs[i].at < at ? msgs[i].at : at;
	for (i = 0; i < n_nodes; i++)
		if (nodes[i].el && election_deadline(nodes[i].el) < at)
			at = election_deadline(nodes[i].el);
	return at > now ? at : now;
}

/* Everything up to @until. */
static void run(u64 until)
{
	u32 i;

	for (;;) {
		now = next_event(until);
		for (i = 0; i < n_msgs; i++) {
			struct msg m = msgs[i];

			if (m.at > now)
				continue;
			msgs[i--] = msgs[--n_msgs];
			deliver(&m);
		}
		for (i = 0; i < n_nodes; i++) {
			if (!nodes[i].el || election_deadline(nodes[i].el) > now)
				continue;
			election_tick(nodes[i].el, now);
			see_end(&nodes[i]);
		}
		if (now == until)
			return;
	}
}

/* A tenth of a second. */
static void step(void)
{
	u32 i;

	run(now + 100);
	for (i = 0; i < n_nodes; i++) {
		if (!nodes[i].el && now >= nodes[i].up_at)
			boot(&nodes[i]);
		if (!rnd(3))
			live(&nodes[i]);
	}
}

static void fault(void)
{
	struct node *n = &nodes[rnd(n_nodes)];

	switch (rnd(60)) {
	case 0:
		if (n->el)
			crash(n);
		break;
	case 1:
		n = node_of(n->leader);
		if (n && n->el && n->over)
			crash(n);
		break;
	case 2:
		cut_from = n->id;
		cut_until = now + rnd(10000);
		trace("cut below %llu", (unsigned long long)cut_from);
		break;
	case 3:
		loss = rnd(2) ? rnd(40) : 0;
		slowest = rnd(2) ? 100 : 100 + rnd(1500);
		break;
	}
}

static bool agree(void)
{
	u64 leader = 0;
	bool any = false;
	u32 i;

	for (i = 0; i < n_nodes; i++) {
		if (!nodes[i].el)
			continue;
		if (!nodes[i].over || (any && nodes[i].leader != leader))
			return false;
		leader = nodes[i].leader;
		any = true;
	}
	return any && is_well(node_of(leader));
}

/* ---------------------------------------------------------------- ensembles */

static void lines(char *text, size_t len, u32 voters, bool groups)
{
	size_t n = 0;
	u32 i;

	for (i = 0; i < n_nodes; i++)
		n += snprintf(text + n, len - n, "server.%llu=h%u:1:2%s\n",
			      (unsigned long long)nodes[i].id, i, i < voters ? "" : ":observer");
	if (!groups)
		return;
	for (i = 0; i < 3; i++) {
		u32 k, count = 0;

		n += snprintf(text + n, len - n, "group.%u=", i);
		for (k = i; k < voters; k += 3)
			n += snprintf(text + n, len - n, "%s%llu", count++ ? ":" : "",
				      (unsigned long long)nodes[k].id);
		n += snprintf(text + n, len - n, "\n");
	}
	for (i = 0; i < voters; i++)
		if (!rnd(3))
			n += snprintf(text + n, len - n, "weight.%llu=%u\n",
				      (unsigned long long)nodes[i].id, rnd(3));
}

/* A few may stay down, if the rest can do without them. */
static void leave_down(void)
{
	struct node *gone = &nodes[rnd(n_nodes)];
	struct idset up = { 0 };
	u32 i;

	for (i = 0; i < n_nodes; i++)
		if (&nodes[i] != gone)
			idset_add(&up, nodes[i].id);
	for (i = 0; i < n_nodes; i++)
		nodes[i].up_at = nodes[i].el ? nodes[i].up_at : now;
	if (rnd(2) && ensemble_quorum(all, &up)) {
		if (gone->el)
			crash(gone);
		gone->up_at = ~0ULL;
	}
}

static void make(u64 seed)
{
	char text[2000], why[256];
	u32 voters, i;

	rnd_seed(seed);
	memset(nodes, 0, sizeof(nodes));
	now = 1000000;
	n_msgs = 0;
	n_sent = 0;
	n_lost = 0;
	cut_until = 0;
	loss = rnd(30);
	slowest = 300;
	epoch_max = rnd(5);
	voters = 3 + 2 * rnd(3);
	n_nodes = voters + rnd(3);
	for (i = 0; i < n_nodes; i++) {
		nodes[i].id = i ? nodes[i - 1].id + 1 + rnd(3) : rnd(3);
		nodes[i].observer = i >= voters;
		nodes[i].epoch = rnd(epoch_max + 1);
		nodes[i].zxid = nodes[i].epoch << 32 | rnd(5);
		nodes[i].up_at = now + (rnd(2) ? rnd(300) : rnd(20000));
	}
	do {
		lines(text, sizeof(text), voters, !rnd(4));
		all = ensemble_parse(text, strlen(text), why, sizeof(why));
		need(all);
		/* at least all of them are a quorum */
		struct idset s = { 0 };

		for (i = 0; i < n_nodes; i++)
			idset_add(&s, nodes[i].id);
		if (ensemble_quorum(all, &s))
			break;
		ensemble_put(all);
	} while (1);
	trace("%s", text);
}

static bool settle(u64 *took)
{
	u64 from = now, since = 0;

	while (now - from < QUIET_MS) {
		step();
		if (!agree())
			since = 0;
		else if (!since)
			since = now;
		if (since && now - since >= KEEP_MS) {
			*took = since - from;
			return true;
		}
	}
	return false;
}

bool network(u64 seed)
{
	u64 took = 0, end;
	unsigned int before = wrong;
	bool good;
	u32 i;

	make(seed);
	end = now + 20000 + rnd(60000);
	while (now < end) {
		step();
		fault();
	}
	loss = 0;
	slowest = 100;
	cut_until = 0;
	leave_down();
	good = settle(&took);
	trace("%s after %llu ms; %u sent, %u lost", good ? "agreed" : "NOT AGREED",
	      (unsigned long long)took, n_sent, n_lost);
	for (i = 0; i < n_nodes; i++)
		election_free(nodes[i].el);
	while (n_msgs)
		free(msgs[--n_msgs].bytes);
	ensemble_put(all);
	return good && wrong == before;
}

void test_network(void)
{
	u64 seed;

	for (seed = 1; seed <= SEEDS; seed++) {
		bool good = network(seed);

		if (!good)
			printf("# seed %llu\n", (unsigned long long)seed);
		check(good);
	}
}
