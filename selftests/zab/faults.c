// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ensembles under clients, with what goes wrong drawn from a seed.
 */
#include "daemon/zab/zab_impl.h"
#include "selftests/zab/cluster.h"
#include "selftests/zab/tests.h"

#define SEEDS		60
#define FAULTY_MS	60000
#define HEALED_MS	120000

static struct {
	u64 runs, faults, elections, commits, diffs, truncs, reloads, snaps, histories, synced,
		confirmed, starved, died;
} total;

static void start_all(struct cluster *c)
{
	c->clients = true;
	for (u32 i = 0; i < c->n; i++)
		cluster_start(c, i);
}

static void go_on(void *arg, u64 node, u64 unused)
{
	struct cluster *c = arg;

	(void)unused;
	cluster_pause(c, node, false);
}

static void again(void *arg, u64 node, u64 unused)
{
	struct cluster *c = arg;

	(void)unused;
	cluster_start(c, node);
}

static void cut(struct cluster *c)
{
	u32 a = world_rnd(c->w, c->n), b;

	if (world_once_in(c->w, 2)) {
		/* one alone */
		for (b = 0; b < c->n; b++) {
			net_cut(c->net, a, b, true);
			net_cut(c->net, b, a, !world_once_in(c->w, 4));
		}
		return;
	}
	b = world_rnd(c->w, c->n);
	net_cut(c->net, a, b, true);
	if (world_once_in(c->w, 2))
		net_cut(c->net, b, a, true);
}

static void crash(struct cluster *c, u32 node)
{
	cluster_crash(c, node);
	world_at(c->w, world_now(c->w) + world_rnd(c->w, 3000), again, c, node, 0, NULL);
}

/* All at once, or most of them. */
static void power_cut(struct cluster *c)
{
	u32 spared = world_rnd(c->w, 2 * c->n);

	for (u32 i = 0; i < c->n; i++)
		if (i != spared)
			crash(c, i);
}

/* Who votes is drawn anew: at least one of those who do, and three in all. */
static void reconfig(struct cluster *c)
{
	struct node *l = cluster_leader(c);
	struct idset v = { { 0 } }, o = { { 0 } };
	u32 n = 0;

	if (!l || !c->reconfig)
		return;
	for (u32 i = 0; i < c->n; i++) {
		bool votes = !world_once_in(c->w, 3);

		idset_add(votes ? &v : &o, i);
		n += votes;
	}
	if (n >= 3)
		cluster_reconfig(c, &v, &o);
}

static void one_fault(struct cluster *c)
{
	u32 node = world_rnd(c->w, c->n);
	struct node *n = &c->nodes[node];

	/* the leader more often than its share */
	if (world_once_in(c->w, 3) && cluster_leader(c)) {
		n = cluster_leader(c);
		node = n->id;
	}
	total.faults++;
	if (world_once_in(c->w, 4))
		reconfig(c);
	switch (world_rnd(c->w, 14)) {
	case 0:
	case 1:
		crash(c, node);
		break;
	case 12:
	case 13:
		power_cut(c);
		break;
	case 2:
		if (n->up) {
			cluster_pause(c, node, true);
			world_at(c->w, world_now(c->w) + world_rnd(c->w, 4000), go_on, c, node, 0,
				 NULL);
		}
		break;
	case 3:
	case 4:
		cut(c);
		break;
	case 5:
	case 6:
		net_heal(c->net);
		for (u32 i = 0; i < c->n; i++)
			c->nodes[i].paused = false;
		break;
	case 7:
		net_break_one(c->net, node);
		break;
	case 8:
		if (!n->paused)
			cluster_disk_fail(c, node);
		break;
	case 9:
		n->fsync_ms = 1 + world_rnd(c->w, world_once_in(c->w, 2) ? 1500 : 30);
		net_latency(c->net, 1 + world_rnd(c->w, world_once_in(c->w, 4) ? 300 : 20));
		break;
	case 10:
		cluster_snapshot(c, node);
		break;
	case 11:
		if (n->up && !n->paused)
			cluster_step(n, &(struct zab_event){ .type = ZAB_EV_RESIGN });
	}
}

static void heal(struct cluster *c)
{
	net_heal(c->net);
	c->starve = 0;
	c->sudden = 0;
	c->clients = false;
	for (u32 i = 0; i < c->n; i++) {
		c->nodes[i].paused = false;
		c->nodes[i].fsync_ms = 10;
		cluster_start(c, i);
	}
}

static void count(const struct cluster *c)
{
	total.runs++;
	total.elections += c->elections;
	total.commits += c->commits;
	total.diffs += c->diffs;
	total.truncs += c->truncs;
	total.reloads += c->reloads;
	total.snaps += c->snaps;
	total.histories += c->histories;
	total.synced += c->synced;
	total.confirmed += c->confirmed;
	total.starved += c->starved;
	total.died += c->died;
}

void faults_total(void)
{
	printf("# %llu seeds, %llu faults: %llu leaders, %llu commits, %llu syncs, ", total.runs,
	       total.faults, total.elections, total.commits, total.synced);
	printf("%llu confirmed, %llu diffs, %llu from logs, ", total.confirmed, total.diffs,
	       total.histories);
	printf("%llu truncated (%llu reloads), %llu trees, ", total.truncs, total.reloads,
	       total.snaps);
	printf("%llu times no memory, %llu deaths between actions\n", total.starved, total.died);
}

static void say_who(struct cluster *c)
{
	for (u32 i = 0; i < c->n; i++) {
		struct node *n = &c->nodes[i];

		if (n->up)
			printf("# server %u: state %d, phase %d, epoch %llu, leader %lld, "
			       "0x%llx of 0x%llx, %u of %u\n",
			       i, zab_state(n->z), zab_phase(n->z), zab_epoch(n->z),
			       (long long)zab_leader(n->z), zab_committed(n->z),
			       zab_last_zxid(n->z), n->tree.n, c->agreed.n);
	}
}

bool faults_run(u64 seed, bool verbose)
{
	static const u32 history[] = { 5, 40, 500 };
	struct world *w = world_new(seed ^ 0x5eed);
	u32 voters = world_once_in(w, 3) ? 5 : 3;
	struct cluster *c = cluster_new(seed, voters, world_rnd(w, 3));
	u64 end;
	bool good;

	c->history_max = history[world_rnd(w, 3)];
	c->starve = world_once_in(w, 3) ? 50 : 0;
	c->reconfig = world_once_in(w, 3);
	c->masters = seed % 3 == 0;
	c->sudden = world_once_in(w, 2) ? 0 : world_once_in(w, 2) ? 5000 : 500;
	c->verbose = verbose;
	world_free(w);
	start_all(c);
	end = world_now(c->w) + FAULTY_MS;
	while (!c->failed && world_now(c->w) < end) {
		cluster_run(c, 1 + world_rnd(c->w, 1500));
		if (!c->failed)
			one_fault(c);
	}
	heal(c);
	if (!c->failed && !cluster_until(c, HEALED_MS, cluster_whole)) {
		cluster_fail(c, "nothing is wrong any more, but not all serve");
		say_who(c);
	}
	/* E: and writes go on, everywhere */
	if (!c->failed && (!cluster_leader(c) || !cluster_propose(cluster_leader(c)) ||
			   !cluster_until(c, HEALED_MS, cluster_whole))) {
		cluster_fail(c, "nothing is wrong any more, but writes do not commit");
		say_who(c);
	}
	count(c);
	good = !c->failed;
	cluster_free(c);
	return good;
}

void test_faults(void)
{
	for (u64 seed = 1; seed <= SEEDS && wrong < 5; seed++)
		if (!faults_run(seed, false)) {
			wrong++;
			printf("# seed %llu; again with all it does: "
			       "selftests/zab/run --seed %llu\n",
			       seed, seed);
		}
	faults_total();
}

/* ---------------------------------------------------------------- one thing at a time */

static void expect_whole(struct cluster *c, u32 ms)
{
	check(cluster_until(c, ms, cluster_whole));
	check(cluster_leader(c) != NULL);
}

static void load(struct cluster *c, u32 ms)
{
	u32 before = c->agreed.n;

	c->clients = true;
	cluster_run(c, ms);
	c->clients = false;
	check(c->agreed.n > before);
	expect_whole(c, 10000);
}

static void end(struct cluster *c)
{
	check(!c->failed);
	cluster_free(c);
}

void test_three(void)
{
	struct cluster *c = cluster_new(1, 3, 0);

	start_all(c);
	c->clients = false;
	expect_whole(c, 5000);
	check_eq(zab_epoch(cluster_leader(c)->z), 1);
	check_eq(cluster_leader(c)->id, 2);
	load(c, 5000);
	check(c->synced > 0);
	check(c->confirmed > 0);
	check_eq(c->elections, 1);
	end(c);
}

void test_five_leader_dies(void)
{
	struct cluster *c = cluster_new(2, 5, 0);
	struct node *leader;

	start_all(c);
	load(c, 3000);
	for (int i = 0; i < 3; i++) {
		u32 id;

		leader = cluster_leader(c);
		check(leader != NULL);
		if (!leader)
			break;
		id = leader->id;
		c->clients = true;
		cluster_run(c, 500);
		cluster_crash(c, id);
		cluster_run(c, 3000);
		cluster_start(c, id);
		c->clients = false;
		expect_whole(c, 20000);
	}
	check_eq(c->elections, 4);
	end(c);
}

void test_observers(void)
{
	struct cluster *c = cluster_new(3, 3, 2);

	c->history_max = 20;
	start_all(c);
	load(c, 2000);
	cluster_crash(c, 4);
	c->clients = true;
	cluster_run(c, 5000);
	/* voters are a quorum without them */
	cluster_crash(c, 3);
	cluster_run(c, 2000);
	cluster_start(c, 3);
	cluster_start(c, 4);
	load(c, 2000);
	check_eq(zab_state(c->nodes[3].z), ZAB_OBSERVING);
	check_eq(zab_state(c->nodes[4].z), ZAB_OBSERVING);
	check(c->histories + c->snaps > 0);
	check_eq(c->elections, 1);
	end(c);
}

/* More observers than the leader serves trees or transactions to at once: all get theirs. */
void test_observers_at_once(void)
{
	struct cluster *c = cluster_new(4, 3, 8);

	c->history_max = 20;
	c->snap_syncs = 1;
	c->diff_syncs = 1;
	start_all(c);
	load(c, 2000);
	check(c->closed > 0);
	for (u32 round = 0; round < 3; round++) {
		for (u32 i = 3; i < c->n; i++)
			cluster_crash(c, i);
		c->clients = true;
		cluster_run(c, 1000);
		for (u32 i = 3; i < c->n; i++)
			cluster_start(c, i);
		load(c, 1000);
	}
	check_eq(c->elections, 1);
	end(c);
}

static void resign_one(u64 seed)
{
	struct cluster *c = cluster_new(seed, 3, 0);
	struct node *old;
	u64 from;

	start_all(c);
	load(c, 1000);
	c->clients = true;
	cluster_run(c, 500);
	old = cluster_leader(c);
	check(old != NULL);
	if (old) {
		from = world_now(c->w);
		cluster_step(old, &(struct zab_event){ .type = ZAB_EV_RESIGN });
		check(!zab_next_zxid(old->z));
		while (cluster_leader(c) == old && !c->failed)
			world_step(c->w, ~0ULL);
		while (!cluster_leader(c) && !c->failed && world_now(c->w) < from + 60000)
			world_step(c->w, ~0ULL);
		check(cluster_leader(c) && cluster_leader(c) != old);
		/* less than a tick and what an election waits for its last votes */
		check(world_now(c->w) - from < TICK_MS + ELECTION_FINALIZE_MS);
		c->clients = false;
		expect_whole(c, 10000);
		check(cluster_leader(c) != old);
	}
	end(c);
}

void test_resign(void)
{
	for (u64 seed = 4; seed < 24; seed++)
		resign_one(seed);
}

void test_last_number(void)
{
	struct cluster *c = cluster_new(5, 3, 0);
	struct node *l;
	u64 epoch;

	start_all(c);
	c->clients = false;
	expect_whole(c, 5000);
	l = cluster_leader(c);
	epoch = zab_epoch(l->z);
	/* as zookeeper.testingonly.initialZxid does, which all have then */
	for (u32 i = 0; i < c->n; i++)
		c->nodes[i].z->p.skip = 1;
	l->z->last = ZXID(epoch, 0xfffffff0);
	l->z->ld.base = l->z->last;
	check_eq(zab_next_zxid(l->z), ZXID(epoch, 0xfffffff1));
	for (int i = 0; i < 14; i++)
		check(cluster_propose(l));
	check_eq(zab_next_zxid(l->z), 0);
	check(!cluster_propose(l));
	expect_whole(c, 20000);
	l = cluster_leader(c);
	check_eq(c->agreed.n, 14);
	check(l && zab_epoch(l->z) == epoch + 1);
	load(c, 1000);
	check_eq(c->elections, 2);
	end(c);
}

static bool members_are(struct cluster *c, const struct idset *voters)
{
	for (u32 i = 0; i < c->n; i++) {
		struct ensemble *e = zab_ensemble(c->nodes[i].z);

		if (zab_next_ensemble(c->nodes[i].z))
			return false;
		for (u32 k = 0; k < c->n; k++)
			if (ensemble_votes(e, k) != idset_has(voters, k))
				return false;
	}
	return true;
}

static struct idset set_of(u32 bits)
{
	return (struct idset){ { bits } };
}

void test_reconfig(void)
{
	struct idset all = set_of(0xf), most = set_of(0xe), two = set_of(0x6), none = set_of(0);
	struct idset one = set_of(0x1);
	struct cluster *c = cluster_new(7, 3, 1);
	u32 leader;

	c->reconfig = true;
	start_all(c);
	load(c, 1000);
	/* the files' membership has a number */
	check_eq(zab_ensemble(c->nodes[0].z)->version, ZXID(1, 0));
	/* the observer votes */
	check_eq(zab_state(c->nodes[3].z), ZAB_OBSERVING);
	check(cluster_reconfig(c, &all, &none));
	check(!cluster_reconfig(c, &all, &none));
	load(c, 2000);
	check(members_are(c, &all));
	check_eq(zab_state(c->nodes[3].z), ZAB_FOLLOWING);
	check_eq(c->elections, 1);
	/* server 0 observes, and nobody waits for it */
	check(cluster_reconfig(c, &most, &one));
	load(c, 2000);
	check(members_are(c, &most));
	check_eq(zab_state(c->nodes[0].z), ZAB_OBSERVING);
	/* the leader is to vote no more: another one leads, and knows everything */
	leader = cluster_leader(c)->id;
	check_eq(leader, 2);
	most = set_of(0xa);
	one = set_of(0x5);
	check(cluster_reconfig(c, &most, &one));
	cluster_run(c, 500);
	load(c, 5000);
	check(members_are(c, &most));
	check(cluster_leader(c) && cluster_leader(c)->id != leader);
	/* starts anew with what its files say; the other two do without */
	cluster_crash(c, 2);
	cluster_crash(c, 1);
	cluster_run(c, 2000);
	cluster_start(c, 1);
	cluster_start(c, 2);
	load(c, 2000);
	check(members_are(c, &most));
	/* a quorum of both is needed: 1 is not there */
	cluster_crash(c, 1);
	cluster_run(c, 3000);
	check(!cluster_leader(c));
	cluster_start(c, 1);
	expect_whole(c, 10000);
	/* 2 only observes: it could not agree to it */
	check(!cluster_reconfig(c, &two, &none));
	most = set_of(0xe);
	check(cluster_reconfig(c, &most, &none));
	load(c, 4000);
	check(members_are(c, &most));
	check(cluster_reconfig(c, &two, &none));
	load(c, 8000);
	check(members_are(c, &two));
	end(c);
}

void test_disk_of_leader(void)
{
	struct cluster *c = cluster_new(6, 3, 0);
	struct node *l;

	start_all(c);
	load(c, 1000);
	l = cluster_leader(c);
	c->clients = true;
	cluster_run(c, 500);
	cluster_disk_fail(c, l->id);
	check_eq(zab_state(l->z), ZAB_LOOKING);
	cluster_run(c, 4000);
	c->clients = false;
	expect_whole(c, 20000);
	check_eq(c->elections, 2);
	end(c);
}
