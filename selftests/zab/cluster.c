// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selftests/zab/cluster.h"
#include "selftests/zab/tests.h"

#define OUTSTANDING_MAX	200
#define OP_SYNC		9

void cluster_fail(struct cluster *c, const char *fmt, ...)
{
	va_list ap;

	if (c->failed)
		return;
	c->failed = true;
	printf("# at %llu ms: ", world_now(c->w));
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

static void say(struct node *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct node *n, const char *fmt, ...)
{
	va_list ap;

	if (!n->c->verbose)
		return;
	printf("# %8llu server %u: ", world_now(n->c->w), n->id);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

/* ---------------------------------------------------------------- what must hold */

/* B: position @i of everybody's list. */
static void check_at(struct node *n, u32 i)
{
	struct cluster *c = n->c;
	const struct mrec *r = &n->tree.r[i], *g;

	if (i > c->agreed.n) {
		cluster_fail(c, "server %u has %u transactions, %u are committed", n->id, i + 1,
			     c->agreed.n);
		return;
	}
	if (i == c->agreed.n) {
		if (i && c->agreed.r[i - 1].zxid >= r->zxid)
			cluster_fail(c, "0x%llx is committed after 0x%llx", r->zxid,
				     c->agreed.r[i - 1].zxid);
		mtree_add(&c->agreed, r->zxid, r->id);
		c->commits++;
		return;
	}
	g = &c->agreed.r[i];
	if (g->zxid != r->zxid || g->id != r->id)
		cluster_fail(c, "server %u has 0x%llx (%llu) as number %u, agreed is 0x%llx (%llu)",
			     n->id, r->zxid, r->id, i, g->zxid, g->id);
}

/* What a server found at its start was not known to be committed; once it commits
 * anything, or serves, it is. */
static void check_all(struct node *n)
{
	while (n->checked < n->tree.n && !n->c->failed)
		check_at(n, n->checked++);
}

static void on_state(struct node *n, const struct zab_action *a)
{
	struct cluster *c = n->c;
	u64 epoch = zab_epoch(n->z);

	say(n, "state %d phase %d, epoch %llu, committed 0x%llx of 0x%llx", a->state, a->phase,
	    epoch, zab_committed(n->z), zab_last_zxid(n->z));
	net_lead(c->net, n->id, a->state == ZAB_LEADING);
	if (a->phase != ZAB_BROADCAST)
		return;
	check_all(n);
	if (a->state != ZAB_LEADING)
		return;
	c->elections++;
	/* one that was stopped meanwhile may find that it was, before others led */
	if (epoch > c->newest && n->tree.n != c->agreed.n)
		cluster_fail(c, "server %u leads with %u of %u committed transactions", n->id,
			     n->tree.n, c->agreed.n);
	if (epoch >= EPOCHS_MAX || c->owner[epoch])
		cluster_fail(c, "server %u establishes epoch %llu, server %u did", n->id, epoch,
			     epoch >= EPOCHS_MAX ? 0 : c->owner[epoch] - 1);
	else
		c->owner[epoch] = n->id + 1;
	if (epoch > c->newest)
		c->newest = epoch;
}

/* ---------------------------------------------------------------- the own disk */

static void synced(void *arg, u64 life, u64 count);
static void plan_tick(struct node *n);

static void start_sync(struct node *n)
{
	struct cluster *c = n->c;

	if (n->syncing || n->disk_bad || n->disk.durable == n->disk.n)
		return;
	n->syncing = true;
	world_at(c->w, world_now(c->w) + 1 + world_rnd(c->w, n->fsync_ms), synced, n,
		 n->disk_life, n->disk.n, NULL);
}

static void tell_logged(struct node *n)
{
	zab_logged_from(n->z, mdisk_first(&n->disk));
}

static void synced(void *arg, u64 life, u64 count)
{
	struct node *n = arg;
	struct zab_event ev = { .type = ZAB_EV_DURABLE };

	if (life != n->disk_life || !n->up)
		return;
	if (n->paused) {
		world_at(n->c->w, world_now(n->c->w) + 20, synced, n, life, count, NULL);
		return;
	}
	n->syncing = false;
	n->disk.durable = count;
	ev.zxid = mdisk_durable(&n->disk);
	tell_logged(n);
	start_sync(n);
	cluster_step(n, &ev);
}

static void forget_syncs(struct node *n)
{
	n->disk_life++;
	n->syncing = false;
}

static void later(struct node *n, const struct zab_event *ev)
{
	if (n->n_later == sizeof(n->later) / sizeof(n->later[0]))
		abort();
	n->later[n->n_later++] = *ev;
}

static void truncate_log(struct node *n, const struct zab_action *a)
{
	struct zab_event ev = { .type = ZAB_EV_TRUNCATED, .zxid = a->zxid };

	n->c->truncs++;
	say(n, "truncate to 0x%llx%s", a->zxid, a->reload ? ", reload" : "");
	forget_syncs(n);
	if (!mdisk_truncate(&n->disk, a->zxid))
		cluster_fail(n->c, "server %u cannot cut its log at 0x%llx", n->id, a->zxid);
	if (a->reload) {
		n->c->reloads++;
		mtree_free(&n->tree);
		mdisk_load(&n->disk, &n->tree);
		n->applied = n->tree.n;
		n->checked = 0;
	}
	tell_logged(n);
	later(n, &ev);
}

static void got_tree(void *arg, u32 node, u64 link, u64 zxid, void *tree)
{
	struct cluster *c = arg;
	struct node *n = &c->nodes[node];
	struct mtree *t = tree;

	(void)link;
	say(n, "received the tree as of 0x%llx", zxid);
	if (mtree_zxid(t) != zxid)
		cluster_fail(c, "a tree as of 0x%llx goes to 0x%llx", zxid, mtree_zxid(t));
	forget_syncs(n);
	mdisk_replace(&n->disk, t);
	mtree_free(&n->tree);
	n->tree = *t;
	n->applied = n->tree.n;
	n->checked = 0;
	free(t);
	tell_logged(n);
}

static void tree_free(void *tree)
{
	mtree_free(tree);
	free(tree);
}

/* ---------------------------------------------------------------- the tree */

static void apply(void *arg, u64 life, u64 unused)
{
	struct node *n = arg;
	struct cluster *c = n->c;
	u32 left;

	(void)unused;
	if (life != n->life || !n->up)
		return;
	n->applying = false;
	left = n->tree.n - n->applied;
	if (left)
		n->applied += 1 + world_rnd(c->w, left);
	if (n->applied)
		zab_applied(n->z, n->tree.r[n->applied - 1].zxid);
	if (n->applied < n->tree.n) {
		n->applying = true;
		world_at(c->w, world_now(c->w) + world_rnd(c->w, 10), apply, n, n->life, 0, NULL);
	}
}

static void commit(struct node *n, const struct zab_action *a)
{
	if (n->tree.n && mtree_zxid(&n->tree) >= a->txn->zxid)
		cluster_fail(n->c, "server %u commits 0x%llx after 0x%llx", n->id, a->txn->zxid,
			     mtree_zxid(&n->tree));
	mtree_add(&n->tree, a->txn->zxid, a->txn->session);
	check_all(n);
	if (!n->applying) {
		n->applying = true;
		world_at(n->c->w, world_now(n->c->w) + world_rnd(n->c->w, 5), apply, n, n->life, 0,
			 NULL);
	}
}

static void send_tree(struct node *n, const struct zab_action *a)
{
	struct mtree *t = calloc(1, sizeof(*t));

	n->c->snaps++;
	mtree_copy(t, &n->tree, n->applied);
	if (mtree_zxid(t) != a->zxid)
		cluster_fail(n->c, "server %u is to send the tree as of 0x%llx, it is of 0x%llx",
			     n->id, a->zxid, mtree_zxid(t));
	net_send_tree(n->c->net, n->id, a->link, a->zxid, t);
}

static void send_history(struct node *n, const struct zab_action *a)
{
	u64 before = a->zxid;
	struct txn *t = NULL;

	n->c->histories++;
	if (mdisk_first(&n->disk) > a->zxid + 1)
		cluster_fail(n->c, "server %u has no log back to 0x%llx", n->id, a->zxid);
	for (u32 i = 0; i < n->disk.durable; i++) {
		t = n->disk.log[i];
		if (t->zxid <= a->zxid || t->zxid > a->to)
			continue;
		if (t->zxid >> 32 == before >> 32 && t->zxid != before + 1)
			cluster_fail(n->c, "server %u has a gap in its log", n->id);
		before = t->zxid;
		net_send_packet(n->c->net, n->id, a->link,
				a->observer ? ZP_INFORM : ZP_PROPOSAL, t->zxid, t->bytes, t->len);
		if (!a->observer)
			net_send_packet(n->c->net, n->id, a->link, ZP_COMMIT, t->zxid, NULL, -1);
	}
	if (before != a->to)
		cluster_fail(n->c, "server %u's log goes to 0x%llx, 0x%llx was to be sent", n->id,
			     before, a->to);
}

/* ---------------------------------------------------------------- clients */

static bool propose(struct node *n, u64 id)
{
	struct zab_event ev = { .type = ZAB_EV_PROPOSE };
	u64 zxid = n->up ? zab_next_zxid(n->z) : 0;

	if (!zxid || zab_state(n->z) != ZAB_LEADING || zab_phase(n->z) != ZAB_BROADCAST ||
	    zab_outstanding(n->z) > OUTSTANDING_MAX)
		return false;
	ev.txn = mtxn_new(zxid, id, 1000);
	n->c->proposals++;
	cluster_step(n, &ev);
	txn_put(ev.txn);
	return true;
}

bool cluster_propose(struct node *n)
{
	return propose(n, ++n->c->ids);
}

static void ask_leader(struct node *n, s32 type)
{
	u8 body[20];
	struct zab_packet p = { .type = ZP_REQUEST, .zxid = ~0ULL, .data = body, .len = 20 };

	jute_put64(body, ++n->c->ids);
	jute_put32(body + 8, 0);
	jute_put32(body + 12, type);
	jute_put32(body + 16, 0);
	if (type != OP_SYNC)
		zab_send(n->z, 0, &p);
	else if (n->sync_tail - n->sync_head < 1024 && !zab_sync(n->z, &p))
		n->syncs[n->sync_tail++ & 1023] = n->c->nodes[zab_leader(n->z)].tree.n;
}

static void on_packet(struct node *n, const struct zab_action *a, u64 *id)
{
	u8 body[12] = { 0 };
	struct zab_packet p = { .type = a->packet.type, .data = body, .len = 12 };

	switch (a->packet.type) {
	case ZP_REQUEST:
		*id = jute_get64(a->packet.data);
		return;
	case ZP_PING:
		if (zab_state(n->z) != ZAB_LEADING)
			zab_send(n->z, a->link, &p);
		return;
	case ZP_REVALIDATE:
		if (zab_state(n->z) == ZAB_LEADING)
			zab_send(n->z, a->link, &p);
		else
			n->answers++;
		return;
	}
	cluster_fail(n->c, "a packet %d came up", a->packet.type);
}

static void ask(struct node *n)
{
	u64 round;

	if (n->ask_tail - n->ask_head == 1024)
		return;
	round = zab_confirm(n->z);
	if (!round) {
		cluster_fail(n->c, "server %u serves, and cannot ask who leads", n->id);
		return;
	}
	n->asks[n->ask_tail & 1023].round = round;
	n->asks[n->ask_tail++ & 1023].agreed = n->c->agreed.n;
}

/* Invokes what one client does, and goes on. */
static void client(void *arg, u64 unused, u64 unused2)
{
	struct cluster *c = arg;
	struct node *n = &c->nodes[world_rnd(c->w, c->n)];
	static const u8 body[12];
	struct zab_packet p = { .type = ZP_REVALIDATE, .data = body, .len = 12 };

	(void)unused;
	(void)unused2;
	world_at(c->w, world_now(c->w) + 1 + world_rnd(c->w, 20), client, c, 0, 0, NULL);
	if (!c->clients || !n->up || n->paused || zab_phase(n->z) != ZAB_BROADCAST)
		return;
	if (++c->calls % 2) {
		ask(n);
		/* the machine is to see it soon: zab_deadline() */
		plan_tick(n);
	}
	if (zab_state(n->z) == ZAB_LEADING) {
		for (u32 i = world_rnd(c->w, 4); i > 0 && cluster_propose(n); i--)
			;
		return;
	}
	switch (world_rnd(c->w, 4)) {
	case 0:
		ask_leader(n, OP_SYNC);
		break;
	case 1:
		zab_send(n->z, 0, &p);
		break;
	default:
		ask_leader(n, 1);
	}
	/* zab_send() appends to the list */
	cluster_step(n, &(struct zab_event){ .type = ZAB_EV_TICK });
}

static void on_synced(struct node *n)
{
	u64 was;

	if (n->sync_head == n->sync_tail) {
		cluster_fail(n->c, "server %u has an answer to no sync()", n->id);
		return;
	}
	was = n->syncs[n->sync_head++ & 1023];
	n->c->synced++;
	if (n->tree.n < was)
		cluster_fail(n->c, "server %u answers a sync() with %u of %llu transactions", n->id,
			     n->tree.n, was);
}

static void on_confirmed(struct node *n, u64 round)
{
	for (; n->ask_head != n->ask_tail && n->asks[n->ask_head & 1023].round <= round;
	     n->ask_head++) {
		u64 was = n->asks[n->ask_head & 1023].agreed;

		n->c->confirmed++;
		if (n->tree.n < was)
			cluster_fail(n->c, "server %u is confirmed with %u of %llu transactions",
				     n->id, n->tree.n, was);
	}
}

/* ---------------------------------------------------------------- the driver */

static void on_members(struct node *n, const struct zab_action *a)
{
	say(n, "membership 0x%llx%s", a->zxid, a->in_force ? " is in force" : "");
	ensemble_put(n->next);
	n->next = NULL;
	if (a->in_force) {
		ensemble_put(n->e);
		n->e = ensemble_get(a->ensemble);
	} else {
		n->next = ensemble_get(a->ensemble);
	}
}

static void carry_out(struct node *n, struct zab_action *a, u64 *id)
{
	struct net *net = n->c->net;

	switch (a->type) {
	case ZAB_DO_LOG:
		mdisk_append(&n->disk, a->txn);
		break;
	case ZAB_DO_COMMIT:
		commit(n, a);
		break;
	case ZAB_DO_STATE:
		on_state(n, a);
		break;
	case ZAB_DO_FAIL:
		n->sync_head = n->sync_tail;
		n->ask_head = n->ask_tail;
		break;
	case ZAB_DO_NOTIFY:
		net_notify(net, n->id, a->to, a->bytes);
		break;
	case ZAB_DO_CONNECT:
		net_connect(net, n->id, a->to, a->link);
		break;
	case ZAB_DO_SEND:
		net_send(net, n->id, a->link, a->bytes);
		break;
	case ZAB_DO_SEND_TXN:
		net_send_packet(net, n->id, a->link, a->packet_type, a->txn->zxid, a->txn->bytes,
				a->txn->len);
		break;
	case ZAB_DO_SEND_HISTORY:
		send_history(n, a);
		break;
	case ZAB_DO_SEND_TREE:
		send_tree(n, a);
		break;
	case ZAB_DO_CLOSE:
		net_close(net, n->id, a->link);
		n->c->closed += a->state == ZAB_LEADING;
		break;
	case ZAB_DO_SAVE_ACCEPTED:
		n->disk.accepted = a->zxid;
		break;
	case ZAB_DO_SAVE_CURRENT:
		n->disk.current = a->zxid;
		break;
	case ZAB_DO_TRUNCATE:
		truncate_log(n, a);
		break;
	case ZAB_DO_RECEIVE:
		net_receive(net, n->id, a->link);
		break;
	case ZAB_DO_PACKET:
		on_packet(n, a, id);
		break;
	case ZAB_DO_MEMBERS:
		on_members(n, a);
		break;
	case ZAB_DO_SYNCED:
		on_synced(n);
		break;
	case ZAB_DO_ACKED:
		break;
	case ZAB_DO_CONFIRMED:
		on_confirmed(n, a->zxid);
		break;
	}
}

static void tick(void *arg, u64 life, u64 at)
{
	struct node *n = arg;
	struct zab_event ev = { .type = ZAB_EV_TICK };

	if (life != n->life || !n->up || at != n->tick_at)
		return;
	n->tick_at = ~0ULL;
	if (n->paused) {
		n->tick_at = world_now(n->c->w) + 20;
		world_at(n->c->w, n->tick_at, tick, n, life, n->tick_at, NULL);
		return;
	}
	cluster_step(n, &ev);
}

static void plan_tick(struct node *n)
{
	u64 at = zab_deadline(n->z), now = world_now(n->c->w);

	if (at < now)
		at = now;
	if (at == ~0ULL || at >= n->tick_at)
		return;
	n->tick_at = at;
	world_at(n->c->w, at, tick, n, n->life, at, NULL);
}

static void revive(void *arg, u64 life, u64 unused)
{
	struct node *n = arg;

	(void)unused;
	if (!n->up && n->life == life)
		cluster_start(n->c, n->id);
}

/* In the middle of a list of actions. */
static void die(struct node *n)
{
	n->c->died++;
	cluster_crash(n->c, n->id);
	world_at(n->c->w, world_now(n->c->w) + world_rnd(n->c->w, 2000), revive, n, n->life, 0,
		 NULL);
}

/* More often where the order of two actions matters most. */
static bool dies(struct cluster *c, enum zab_action_type type)
{
	bool epoch = type == ZAB_DO_SAVE_ACCEPTED || type == ZAB_DO_SAVE_CURRENT;

	return c->sudden && world_once_in(c->w, epoch ? 1 + c->sudden / 50 : c->sudden);
}

static void step_one(struct node *n, struct zab_event ev)
{
	struct cluster *c = n->c;
	struct zab_action a;
	u64 id = 0;
	int rc;

	ev.now_ms = world_now(n->c->w);
	n->stepping = true;
	/* sometimes there is no memory, for a part of the step or for all of it */
	if (c->starve && world_once_in(c->w, c->starve))
		fail_allocation(1 + world_rnd(c->w, 6));
	rc = zab_step(n->z, &ev);
	fail_allocation(0);
	if (rc == -ENOMEM) {
		c->starved++;
		rc = zab_step(n->z, &ev);
	}
	if (rc)
		cluster_fail(c, "server %u: event %d is refused in state %d: %s", n->id, ev.type,
			     zab_state(n->z), strerror(-rc));
	while (zab_next(n->z, &a)) {
		if (dies(c, a.type)) {
			zab_action_drop(&a);
			n->stepping = false;
			die(n);
			return;
		}
		carry_out(n, &a, &id);
		zab_action_drop(&a);
	}
	n->stepping = false;
	start_sync(n);
	if (id)
		propose(n, id);
}

void cluster_step(struct node *n, const struct zab_event *ev)
{
	if (!n->up || n->c->failed)
		return;
	if (n->stepping) {
		later(n, ev);
		return;
	}
	step_one(n, *ev);
	while (n->n_later && n->up) {
		struct zab_event first = n->later[0];

		memmove(n->later, n->later + 1, --n->n_later * sizeof(first));
		step_one(n, first);
	}
	if (n->up)
		plan_tick(n);
}

static void deliver(void *arg, u32 node, const struct zab_event *ev)
{
	struct cluster *c = arg;

	cluster_step(&c->nodes[node], ev);
}

static void spy(void *arg, u32 from, u32 to, const struct zab_packet *p)
{
	struct cluster *c = arg;

	c->diffs += p->type == ZP_DIFF;
	if (c->verbose && p->type != ZP_PING)
		printf("# %8llu   %u -> %u: %s 0x%llx\n", world_now(c->w), from, to,
		       zab_packet_name(p->type), p->zxid);
}

/* ---------------------------------------------------------------- life */

#define TEXT_MAX	4096

static void membership_text(char *text, const struct idset *voters,
			    const struct idset *observers, u64 version)
{
	size_t len = 0;

	for (u32 i = 0; i < NET_MAX; i++)
		if (idset_has(voters, i) || idset_has(observers, i))
			len += snprintf(text + len, TEXT_MAX - len,
					"server.%u=127.0.0.1:%u:%u:%s\n", i, 2000 + i, 3000 + i,
					idset_has(voters, i) ? "participant" : "observer");
	snprintf(text + len, TEXT_MAX - len, "version=%llx", version);
}

bool cluster_reconfig(struct cluster *c, const struct idset *voters,
		      const struct idset *observers)
{
	struct zab_event ev = { .type = ZAB_EV_PROPOSE };
	struct node *n = cluster_leader(c);
	char text[TEXT_MAX], why[256];
	struct ensemble *e;
	bool synced;
	u64 zxid = n ? zab_next_zxid(n->z) : 0;

	if (!zxid || zab_next_ensemble(n->z))
		return false;
	membership_text(text, voters, observers, zxid);
	e = ensemble_parse(text, strlen(text), why, sizeof(why));
	synced = zab_quorum_synced(n->z, e);
	ensemble_put(e);
	if (!synced)
		return false;
	ev.txn = mtxn_members(zxid, ++c->ids, text);
	c->proposals++;
	cluster_step(n, &ev);
	txn_put(ev.txn);
	return true;
}

static struct ensemble *membership(u32 voters, u32 observers)
{
	struct idset v = { { 0 } }, o = { { 0 } };
	char text[TEXT_MAX], why[256];
	struct ensemble *e;

	for (u32 i = 0; i < voters + observers; i++)
		idset_add(i < voters ? &v : &o, i);
	membership_text(text, &v, &o, 0);
	e = ensemble_parse(text, strlen(text), why, sizeof(why));
	if (!e) {
		printf("# %s\n", why);
		abort();
	}
	return e;
}

struct cluster *cluster_new(u64 seed, u32 voters, u32 observers)
{
	struct cluster *c = calloc(1, sizeof(*c));
	struct net_params p = {
		.nodes = voters + observers,
		.init_ms = INIT_LIMIT * TICK_MS,
		.deliver = deliver,
		.tree = got_tree,
		.tree_free = tree_free,
		.arg = c,
	};

	c->w = world_new(seed);
	p.w = c->w;
	c->net = net_new(&p);
	net_set_spy(c->net, spy);
	c->e = membership(voters, observers);
	c->n = voters + observers;
	c->history_max = 500;
	for (u32 i = 0; i < c->n; i++) {
		c->nodes[i].c = c;
		c->nodes[i].id = i;
		c->nodes[i].fsync_ms = 10;
		mdisk_init(&c->nodes[i].disk);
	}
	world_at(c->w, 0, client, c, 0, 0, NULL);
	return c;
}

void cluster_free(struct cluster *c)
{
	for (u32 i = 0; i < c->n; i++) {
		zab_free(c->nodes[i].z);
		mdisk_free(&c->nodes[i].disk);
		mtree_free(&c->nodes[i].tree);
		ensemble_put(c->nodes[i].e);
		ensemble_put(c->nodes[i].next);
	}
	net_free(c->net);
	world_free(c->w);
	mtree_free(&c->agreed);
	ensemble_put(c->e);
	free(c);
}

void cluster_start(struct cluster *c, u32 node)
{
	struct node *n = &c->nodes[node];
	struct zab_params p = {
		.myid = node,
		.ensemble = n->e ? n->e : c->e,
		.next = n->next,
		.reconfig = c->reconfig,
		.tick_ms = TICK_MS,
		.init_limit = INIT_LIMIT,
		.sync_limit = SYNC_LIMIT,
		.snap_syncs = c->snap_syncs,
		.diff_syncs = c->diff_syncs,
		.history_max = c->history_max,
		.history_bytes = 1 << 20,
		.max_packet = 1 << 20,
		.leader_serves = true,
		.masters = c->masters,
		.chance = node * 7 + n->life,
		.election_delay_ms = c->masters ? 100 : 0,
	};
	struct zab_event ev = { .type = ZAB_EV_START };

	if (n->up)
		return;
	n->life++;
	n->up = true;
	n->tick_at = ~0ULL;
	n->z = zab_new(&p);
	if (!n->z) {
		cluster_fail(c, "no machine");
		n->up = false;
		return;
	}
	mtree_free(&n->tree);
	mdisk_load(&n->disk, &n->tree);
	n->applied = n->tree.n;
	n->checked = 0;
	n->applying = false;
	n->n_later = 0;
	n->stepping = false;
	n->sync_head = n->sync_tail;
	n->ask_head = n->ask_tail;
	net_up(c->net, node, true);
	tell_logged(n);
	ev.zxid = mtree_zxid(&n->tree);
	ev.accepted = n->disk.accepted;
	ev.current = n->disk.current;
	say(n, "starts at 0x%llx, accepted %llu, current %llu", ev.zxid, ev.accepted, ev.current);
	cluster_step(n, &ev);
}

void cluster_crash(struct cluster *c, u32 node)
{
	struct node *n = &c->nodes[node];

	if (!n->up)
		return;
	say(n, "crashes");
	n->up = false;
	n->paused = false;
	n->disk_bad = false;
	zab_free(n->z);
	n->z = NULL;
	forget_syncs(n);
	mdisk_crash(&n->disk, c->w);
	net_up(c->net, node, false);
}

void cluster_pause(struct cluster *c, u32 node, bool paused)
{
	c->nodes[node].paused = paused;
	net_pause(c->net, node, paused);
	say(&c->nodes[node], paused ? "is stopped" : "goes on");
}

static void disk_back(void *arg, u64 life, u64 unused)
{
	struct node *n = arg;
	struct zab_event ev = { .type = ZAB_EV_DISK_BACK };

	(void)unused;
	if (life != n->life || !n->up || !n->disk_bad)
		return;
	n->disk_bad = false;
	mdisk_take_back(&n->disk);
	ev.zxid = mdisk_durable(&n->disk);
	say(n, "the disk is back at 0x%llx", ev.zxid);
	cluster_step(n, &ev);
}

void cluster_disk_fail(struct cluster *c, u32 node)
{
	struct node *n = &c->nodes[node];
	struct zab_event ev = { .type = ZAB_EV_DISK_FAILED };

	if (!n->up || n->disk_bad)
		return;
	say(n, "the disk fails");
	n->disk_bad = true;
	forget_syncs(n);
	mdisk_take_back(&n->disk);
	world_at(c->w, world_now(c->w) + world_rnd(c->w, 3000), disk_back, n, n->life, 0, NULL);
	cluster_step(n, &ev);
}

void cluster_snapshot(struct cluster *c, u32 node)
{
	struct node *n = &c->nodes[node];

	if (!n->up || n->disk_bad || !n->applied || zab_phase(n->z) != ZAB_BROADCAST ||
	    n->tree.r[n->applied - 1].zxid > mdisk_durable(&n->disk) ||
	    n->tree.r[n->applied - 1].zxid <= mtree_zxid(&n->disk.snaps[n->disk.n_snaps - 1]))
		return;
	forget_syncs(n);
	mdisk_snapshot(&n->disk, &n->tree, n->applied);
	tell_logged(n);
	start_sync(n);
}

void cluster_run(struct cluster *c, u32 ms)
{
	u64 until = world_now(c->w) + ms;

	while (!c->failed && world_step(c->w, until))
		;
}

bool cluster_until(struct cluster *c, u32 ms, bool (*so)(struct cluster *c))
{
	u64 until = world_now(c->w) + ms;

	while (!c->failed && !so(c))
		if (!world_step(c->w, until))
			return false;
	return !c->failed;
}

struct node *cluster_leader(struct cluster *c)
{
	for (u32 i = 0; i < c->n; i++) {
		struct node *n = &c->nodes[i];

		if (n->up && zab_state(n->z) == ZAB_LEADING && zab_phase(n->z) == ZAB_BROADCAST)
			return n;
	}
	return NULL;
}

bool cluster_whole(struct cluster *c)
{
	struct node *leader = cluster_leader(c);

	if (!leader)
		return false;
	for (u32 i = 0; i < c->n; i++) {
		struct node *n = &c->nodes[i];

		if (!n->up || zab_phase(n->z) != ZAB_BROADCAST || n->tree.n != c->agreed.n ||
		    zab_outstanding(n->z) ||
		    (zab_leader(n->z) != leader->id && !c->masters))
			return false;
	}
	return true;
}
