// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What this server is, and whom it may serve: what follows from ZAB's state. Other threads
 * and the store are told here.
 *
 * Nobody is served but in BROADCAST (for readers there is readonly.c). On leaving it what
 * is agreed is applied, what is not is dropped, and all connections are closed
 * (Leader.shutdown, Learner.shutdown). Until then a learner's transactions are applied as
 * a replay: a tree that came from an Apache ZooKeeper may hold the outcome of transactions
 * that follow it.
 */
#include "daemon/base/log.h"
#include "daemon/server/core_impl.h"

#define LEARNERS_MAX	512

static const char *state_name(enum zab_state s)
{
	static const char *const names[] = { "looking", "following", "leading", "observing" };

	return names[s];
}

static void set_stat(u64 *stat, u64 v)
{
	__atomic_store_n(stat, v, __ATOMIC_RELAXED);
}

static enum store_state store_state(const struct core *c)
{
	if (c->hidden)
		return STORE_HIDDEN;
	if (!c->serving)
		return STORE_DISCONNECTED;
	if (!c->peers)
		return STORE_STANDALONE;
	switch (zab_state(c->zab)) {
	case ZAB_FOLLOWING:
		return STORE_FOLLOWING;
	case ZAB_LEADING:
		return STORE_LEADING;
	case ZAB_OBSERVING:
		return STORE_OBSERVING;
	case ZAB_LOOKING:
		break;
	}
	return STORE_DISCONNECTED;
}

/* Since when a quorum, with us, has been heard from: the latest moment at which all of
 * one had been. Who has not come to follow may be anybody. */
static u64 quorum_heard(const struct core *c, const struct zab_learner *l, u32 n)
{
	const struct ensemble *e = zab_ensemble(c->zab);
	struct idset self = { 0 };
	u64 best = 0;

	idset_add(&self, c->cfg->myid);
	if (ensemble_quorum(e, &self))
		return c->now_ms;
	for (u32 i = 0; i < n; i++) {
		struct idset s = self;

		if (l[i].observer || !l[i].synced || l[i].heard_ms <= best)
			continue;
		for (u32 k = 0; k < n; k++)
			if (!l[k].observer && l[k].synced && l[k].heard_ms >= l[i].heard_ms)
				idset_add(&s, l[k].sid);
		if (ensemble_quorum(e, &s))
			best = l[i].heard_ms;
	}
	return best;
}

/* A leader looks at its learners, a master at its observers: who has all is to be heard of
 * within syncLimit. */
static void look_at_learners(struct core *c)
{
	struct zab_learner l[LEARNERS_MAX];
	u32 n = zab_learners(c->zab, l, LEARNERS_MAX), followers = 0, observers = 0;
	u64 heard;

	for (u32 i = 0; i < n; i++) {
		if (!l[i].synced)
			continue;
		followers += !l[i].observer;
		observers += l[i].observer;
		peer_settled(c->peers, l[i].link);
	}
	set_stat(&c->stats.learners, n);
	set_stat(&c->stats.followers, followers);
	set_stat(&c->stats.observers, observers);
	set_stat(&c->stats.pending_syncs, zab_pending_syncs(c->zab));
	heard = zab_state(c->zab) == ZAB_LEADING ? quorum_heard(c, l, n) : 0;
	if (heard > c->heard_ms)
		c->heard_ms = heard;
}

/*
 * Local readers judge by it how old the tree may be. A single server is a quorum by
 * itself; a learner has heard from one when its leader pings.
 */
void role_tell_store(struct core *c)
{
	u64 age = 0;

	if (c->port != PEER_PORT_NONE)
		look_at_learners(c);
	if (c->peers)
		age = c->heard_ms ? c->now_ms - c->heard_ms : ~0ULL;
	c->fresh_ms = c->now_ms + c->cfg->tick_ms / 2;
	if (c->st->ops->set_state(c->st, store_state(c), age))
		log_ratelimited(LOG_WARN, "cannot tell the store about our state");
}

void role_tell(struct core *c)
{
	set_stat(&c->stats.serves, c->readonly ? CORE_SERVES_READERS :
				   c->open ? CORE_SERVES_ALL : CORE_SERVES_NOBODY);
	set_stat(&c->stats.state, zab_state(c->zab));
	set_stat(&c->stats.phase, zab_phase(c->zab));
	set_stat(&c->stats.leader, zab_leader(c->zab));
	set_stat(&c->stats.master, zab_master(c->zab));
	set_stat(&c->stats.epoch, zab_epoch(c->zab));
	if (c->port != PEER_PORT_NONE)
		return;
	set_stat(&c->stats.learners, 0);
	set_stat(&c->stats.followers, 0);
	set_stat(&c->stats.observers, 0);
}

static void touch_one(void *arg, struct sess *s)
{
	struct core *c = arg;

	s->owner = 0;
	if (!s->pub.closing)
		session_touch(c->sessions, s, s->pub.timeout, c->now_ms);
}

static void begin_serving(struct core *c)
{
	pipeline_apply_all(c);
	pipeline_reset(c);
	c->leading = zab_state(c->zab) == ZAB_LEADING;
	c->ch.quiet = !c->leading;
	c->serving = true;
	c->open = !c->peers || !c->leading || c->cfg->leader_serves;
	c->begun = true;
	c->mixed = false;
	c->hidden = false;
	c->pinged_ms = 0;
	if (!c->peers)
		return;
	remote_heard(c, false);
	/* whoever led before knew when each was last heard of */
	if (c->leading) {
		set_stat(&c->stats.leads_since_ms, core_coarse_ms(c));
		sessions_each(c->sessions, touch_one, c);
	} else {
		peer_settled(c->peers, c->out_link);
	}
	log_info("%s, epoch 0x%llx, zxid 0x%llx: serving", state_name(zab_state(c->zab)),
		 zab_epoch(c->zab), c->applied);
}

static void end_serving(struct core *c)
{
	if (c->peers)
		pipeline_drop(c);
	c->serving = false;
	c->leading = false;
	confirm_lost(c);
	if (!c->peers)
		return;
	c->open = false;
	connect_close_all(c);
	log_info("not serving any more: %s", state_name(zab_state(c->zab)));
}

/* Where learners may come: a leader's in, or observers of a follower that has all. */
static enum peer_port port_for(const struct core *c, const struct zab_action *a)
{
	if (a->state == ZAB_LEADING)
		return PEER_PORT_QUORUM;
	return c->cfg->observer_port && a->state == ZAB_FOLLOWING && a->phase == ZAB_BROADCAST ?
	       PEER_PORT_OBSERVERS : PEER_PORT_NONE;
}

void role_set(struct core *c, const struct zab_action *a)
{
	bool serve = a->state != ZAB_LOOKING && a->phase == ZAB_BROADCAST;
	enum peer_port port = port_for(c, a);

	if (c->peers && port != c->port) {
		if (peer_lead(c->peers, port))
			log_error("cannot open the port for learners");
		c->port = port;
	}
	if (serve && !c->serving)
		begin_serving(c);
	else if (!serve && c->serving)
		end_serving(c);
	count_state(c, a->state, a->phase);
	readonly_look(c);
	role_tell_store(c);
	role_tell(c);
}
