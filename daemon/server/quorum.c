// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ZAB's driver: feeds the machine (daemon/zab) what peers, disk and clock bring, and
 * carries out what it wants done, in order, before the next event. What this server is,
 * and whom it may serve, follows from that; other threads and the store are told here.
 *
 * Nobody is served but in BROADCAST (for readers there is readonly.c). On leaving it what
 * is agreed is applied, what is not is dropped, and all connections are closed
 * (Leader.shutdown, Learner.shutdown). Until then a learner's transactions are applied as
 * a replay: a tree that came from an Apache ZooKeeper may hold the outcome of transactions
 * that follow it.
 *
 * A single server goes through the same: it has no peers, and only its disk can make it
 * stop leading; its connections stay then, as reads go on.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/server/core_impl.h"

#define RETRY_MIN_MS	10
#define RETRY_MAX_MS	1000
#define EVENTS_MAX	4096	/* of peers, packets among them, in one round: about */
#define LEARNERS_MAX	512
#define RESIGN_MS	1000	/* for another one to lead */

static const char *state_name(enum zab_state s)
{
	static const char *const names[] = { "looking", "following", "leading", "observing" };

	return names[s];
}

/* ------------------------------------------------------------ what we are */

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
static void tell_store(struct core *c)
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

void quorum_tell(struct core *c)
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

static void set_state(struct core *c, const struct zab_action *a)
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
	tell_store(c);
	quorum_tell(c);
}

/* ------------------------------------------------------------ actions */

void quorum_break(struct core *c, u64 link)
{
	peer_close(c->peers, link);
	for (u32 i = 0; i < c->n_broken; i++)
		if (c->broken[i] == link)
			return;
	if (c->n_broken == BROKEN_MAX) {
		log_error("too many links are broken at once, stopping");
		abort();
	}
	c->broken[c->n_broken++] = link;
}

/* What could not be done for a link ends it. */
static void for_link(struct core *c, const struct zab_action *a, int rc)
{
	if (!rc)
		return;
	log_ratelimited(LOG_ERROR, "giving up the link of a server: %s", strerror(-rc));
	quorum_break(c, a->link);
}

/* A promise that is not on the disk is none: nothing behind it is carried out. */
static void save_epoch(struct core *c, const char *name, u64 epoch)
{
	int rc = disk_epoch_write(c->disk, name, epoch);

	if (!rc)
		return;
	log_error("cannot write %s: %s", name, strerror(-rc));
	c->save_failed = true;
}

/* An event that follows from the step at hand. */
static void follow(struct core *c, enum zab_event_type type, u64 link, u64 zxid)
{
	if (c->n_after == AFTER_MAX) {
		log_error("too much follows from one step, stopping");
		abort();
	}
	c->after[c->n_after++] = (struct zab_event){ .type = type, .link = link, .zxid = zxid };
}

/* The tree and the sessions as the files have them now. */
static void reload(struct core *c, const char *what)
{
	struct disk_recovery rec = { 0 };
	char why[512] = "";
	int rc;

	readonly_end(c);
	c->hidden = c->outlives;
	rc = disk_reload(c->disk, c->st, &rec, why, sizeof(why));
	if (!rc) {
		c->applied = rec.zxid;
		__atomic_store_n(&c->durable, rec.zxid, __ATOMIC_RELEASE);
		pipeline_reset(c);
		rc = core_restore(c, &rec);
	}
	free(rec.sessions);
	if (!rc)
		return;
	log_error("%s: cannot read the data back: %s, stopping", what,
		  *why ? why : strerror(-rc));
	abort();
}

static void truncate_log(struct core *c, const struct zab_action *a)
{
	char why[512] = "";
	int rc;

	pipeline_apply_all(c);
	log_info("the leader has no transaction after 0x%llx: cutting ours off", a->zxid);
	rc = disk_truncate(c->disk, a->zxid, why, sizeof(why));
	if (rc == -ENOENT) {
		log_error("cannot cut the log off after 0x%llx: %s", a->zxid, why);
		follow(c, ZAB_EV_TRUNCATED, 0, zab_last_zxid(c->zab));
		return;
	}
	if (rc) {
		log_error("cannot cut the log off after 0x%llx: %s, stopping", a->zxid,
			  *why ? why : strerror(-rc));
		abort();
	}
	__atomic_store_n(&c->durable, a->zxid, __ATOMIC_RELEASE);
	if (a->reload)
		reload(c, "after cutting the log off");
	follow(c, ZAB_EV_TRUNCATED, 0, a->zxid);
}

static int receive(struct core *c, const struct zab_action *a)
{
	c->receiving = a->link;
	return peer_receive(c->peers, a->link, a->zxid);
}

/* The files are the leader's: so is the tree now. */
static void received(struct core *c, u64 link, u64 zxid)
{
	c->receiving = 0;
	reload(c, "after receiving a tree");
	c->mixed = true;
	if (c->applied != zxid)
		log_warn("the leader's tree is as of 0x%llx, it said 0x%llx", c->applied, zxid);
	follow(c, ZAB_EV_RECEIVED, link, c->applied);
}

/* A tree that is on its way on it comes to its end first. */
static void close_link(struct core *c, const struct zab_action *a)
{
	bool whole = peer_close(c->peers, a->link) == 1;

	if (c->receiving != a->link)
		return;
	if (whole) {
		received(c, a->link, c->applied);
	} else {
		c->receiving = 0;
		follow(c, ZAB_EV_LINK_DOWN, a->link, 0);
	}
}

static int send_tree(struct core *c, const struct zab_action *a)
{
	u64 zxid, digest, nodes;
	struct disk_session *s;
	struct store_snap *snap;
	u32 n;
	int rc;

	s = core_sessions(c, &n);
	if (!s)
		return -ENOMEM;
	rc = c->st->ops->snap_open(c->st, &snap, &zxid, &digest, &nodes);
	if (!rc && zxid != a->zxid) {
		log_error("a learner is to get the tree as of 0x%llx, it is as of 0x%llx",
			  a->zxid, zxid);
		c->st->ops->snap_close(snap);
		rc = -EUCLEAN;
	}
	if (!rc)
		rc = peer_send_tree(c->peers, a->link, zxid, c->st, snap, s, n);
	free(s);
	return rc;
}

static void keep_packet(struct core *c, const struct zab_action *a)
{
	if (c->n_packets == PACKETS_MAX) {
		for_link(c, a, -ENOBUFS);
		return;
	}
	c->packets[c->n_packets++] = *a;
}

static void act(struct core *c, const struct zab_action *a)
{
	switch (a->type) {
	case ZAB_DO_LOG:
		count_proposal(c, a);
		disk_append_later(c->disk, a->txn);
		break;
	case ZAB_DO_COMMIT:
		count_commit(c, a);
		pipeline_commit(c, a->txn);
		break;
	case ZAB_DO_STATE:
		set_state(c, a);
		break;
	case ZAB_DO_FAIL:
		pipeline_drop(c);
		break;
	case ZAB_DO_NOTIFY:
		if (peer_notify(c->peers, a->to, a->bytes))
			log_ratelimited(LOG_ERROR, "no memory for a vote");
		break;
	case ZAB_DO_CONNECT:
		c->out_link = a->link;
		for_link(c, a, peer_connect(c->peers, a->to, a->link, a->master));
		break;
	case ZAB_DO_SEND:
		for_link(c, a, peer_send(c->peers, a->link, a->bytes));
		break;
	case ZAB_DO_SEND_TXN:
		for_link(c, a, peer_send_txn(c->peers, a->link, a->packet_type, a->txn));
		break;
	case ZAB_DO_SEND_HISTORY:
		for_link(c, a, peer_send_history(c->peers, a->link, a->zxid, a->to,
						 a->observer));
		break;
	case ZAB_DO_SEND_TREE:
		for_link(c, a, send_tree(c, a));
		break;
	case ZAB_DO_CLOSE:
		close_link(c, a);
		break;
	case ZAB_DO_SAVE_ACCEPTED:
		save_epoch(c, "acceptedEpoch", a->zxid);
		break;
	case ZAB_DO_SAVE_CURRENT:
		save_epoch(c, "currentEpoch", a->zxid);
		break;
	case ZAB_DO_TRUNCATE:
		truncate_log(c, a);
		break;
	case ZAB_DO_RECEIVE:
		for_link(c, a, receive(c, a));
		break;
	case ZAB_DO_PACKET:
		keep_packet(c, a);
		break;
	case ZAB_DO_MEMBERS:
		reconfig_members(c, a);
		break;
	case ZAB_DO_SYNCED:
		remote_synced(c);
		break;
	case ZAB_DO_CONFIRMED:
		c->confirmed = a->zxid;
		break;
	case ZAB_DO_ACKED:
		count_acked(c, a);
		break;
	}
}

void quorum_drain(struct core *c)
{
	struct zab_action a;

	while (!c->save_failed && zab_next(c->zab, &a)) {
		act(c, &a);
		/* a commit's goes to its proposal */
		if (a.type == ZAB_DO_COMMIT)
			a.txn = NULL;
		zab_action_drop(&a);
	}
}

void quorum_flush(struct core *c)
{
	if (c->peers)
		peer_flush(c->peers);
}

void quorum_run(struct core *c)
{
	quorum_drain(c);
	pipeline_apply(c, &c->budget);
	confirm_release(c);
}

/* ------------------------------------------------------------ events */

static void step_once(struct core *c, const struct zab_event *ev)
{
	struct zab_event e = *ev;
	u32 wait = RETRY_MIN_MS;
	int rc;

	e.now_ms = c->now_ms;
	if (e.type != ZAB_EV_DISK_FAILED)
		quorum_drain(c);
	while ((rc = zab_step(c->zab, &e)) == -ENOMEM) {
		log_ratelimited(LOG_ERROR, "no memory in ZAB, waiting");
		core_nap(c, wait);
		wait = wait * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : wait * 2;
	}
	if (rc) {
		log_error("ZAB does not take event %d in state %d", e.type, zab_state(c->zab));
		abort();
	}
	quorum_drain(c);
}

/* What came with the step, and what the step itself brought about. */
static void after_step(struct core *c)
{
	for (u32 i = 0; i < c->n_packets; i++)
		remote_packet(c, &c->packets[i]);
	c->n_packets = 0;
	if (c->begun) {
		c->begun = false;
		if (c->leading)
			orphans_close(c);
	}
}

/* What follows from the last one, if anything. */
static bool next_event(struct core *c, struct zab_event *ev)
{
	if (c->save_failed) {
		*ev = (struct zab_event){ .type = ZAB_EV_DISK_FAILED };
		c->save_failed = false;
		c->disk_failed = true;
		c->retry_ms = c->now_ms + RETRY_DISK_MS;
	} else if (c->n_after) {
		*ev = c->after[0];
		memmove(c->after, c->after + 1, --c->n_after * sizeof(*ev));
	} else if (c->n_broken) {
		*ev = (struct zab_event){ .type = ZAB_EV_LINK_DOWN,
					  .link = c->broken[--c->n_broken] };
		if (c->receiving == ev->link)
			c->receiving = 0;
	} else {
		return false;
	}
	return true;
}

void quorum_step(struct core *c, const struct zab_event *ev)
{
	struct zab_event next;

	step_once(c, ev);
	after_step(c);
	while (next_event(c, &next)) {
		step_once(c, &next);
		after_step(c);
	}
}

void quorum_start(struct core *c)
{
	struct zab_event ev = {
		.type = ZAB_EV_START,
		.zxid = c->applied,
		.accepted = c->accepted,
		.current = c->current,
		.found = c->found,
		.n_found = c->n_found,
	};

	if (c->peers)
		tell_store(c);
	count_state(c, ZAB_LOOKING, ZAB_ELECTION);
	readonly_look(c);
	quorum_step(c, &ev);
	core_drop_tail(c);
}

void quorum_durable(struct core *c)
{
	struct zab_event ev = {
		.type = ZAB_EV_DURABLE,
		.zxid = __atomic_load_n(&c->durable, __ATOMIC_ACQUIRE),
	};

	if (__atomic_load_n(&c->disk_errno, __ATOMIC_ACQUIRE) || c->disk_failed)
		return;
	if (c->peers || (ev.zxid > zab_committed(c->zab) && c->serving))
		quorum_step(c, &ev);
}

void quorum_disk_failed(struct core *c)
{
	struct zab_event ev = { .type = ZAB_EV_DISK_FAILED };

	if (c->disk_failed)
		return;
	c->disk_failed = true;
	log_error(c->peers ? "the disk failed: out of the ensemble until it works again" :
			     "the disk failed: no writes are taken, reads go on");
	c->retry_ms = c->now_ms + RETRY_DISK_MS;
	quorum_step(c, &ev);
}

void quorum_disk_back(struct core *c)
{
	struct zab_event ev = {
		.type = ZAB_EV_DISK_BACK,
		.zxid = __atomic_load_n(&c->durable, __ATOMIC_ACQUIRE),
	};

	c->disk_failed = false;
	if (c->peers)
		quorum_step(c, &ev);
	else
		quorum_start(c);
}

/* How far back the logs reach: they grow, are purged, are cut. Before a learner asks. */
static void look_at_logs(struct core *c)
{
	if (c->now_ms < c->logs_ms)
		return;
	c->logs_ms = c->now_ms + c->cfg->tick_ms / 2;
	zab_logged_from(c->zab, disk_history_first(c->disk));
}

/* What one read brought. Who is not spoken with any more by now is passed over by ZAB. */
static u32 packets(struct core *c, struct peer_event *p)
{
	struct zab_event ev = { .type = ZAB_EV_PACKET, .link = p->link, .packet = &p->packet };
	u32 n = 0;

	for (; peer_event_packet(p); n++)
		quorum_step(c, &ev);
	return n;
}

/* How many it was. */
static u32 peer_event(struct core *c, struct peer_event *p)
{
	struct zab_event ev = { .link = p->link, .from = p->from };

	switch (p->type) {
	case PEER_VOTE:
		ev.type = ZAB_EV_VOTE;
		ev.vote = &p->vote;
		break;
	case PEER_ABSENT:
		ev.type = ZAB_EV_ABSENT;
		break;
	case PEER_LINK_UP:
		ev.type = ZAB_EV_LINK_UP;
		if (!(p->link & ZAB_LINK_OUT))
			look_at_logs(c);
		break;
	case PEER_LINK_DOWN:
		ev.type = ZAB_EV_LINK_DOWN;
		if (p->link == c->receiving)
			c->receiving = 0;
		break;
	case PEER_PACKETS:
		return packets(c, p);
	case PEER_RECEIVED:
		ev.type = ZAB_EV_TICK;
		if (p->link == c->receiving)
			received(c, p->link, p->zxid);
		break;
	case PEER_RECEIVE_FAILED:
		log_error("cannot write the leader's tree down: %s", strerror(-p->err));
		ev.type = ZAB_EV_TICK;
		if (p->link == c->receiving)
			quorum_break(c, p->link);
		break;
	}
	quorum_step(c, &ev);
	return 1;
}

bool quorum_events(struct core *c)
{
	struct peer_event *p;
	u32 n = 0;

	if (!c->peers)
		return false;
	if (!c->peer_todo)
		c->peer_todo = queue_take(&c->peer_queue);
	while ((p = c->peer_todo) && n < EVENTS_MAX) {
		c->peer_todo = p->next;
		n += peer_event(c, p);
		peer_event_free(c->peers, p);
	}
	return c->peer_todo;
}

/* ------------------------------------------------------------ time */

void quorum_timers(struct core *c)
{
	struct zab_event ev = { .type = ZAB_EV_TICK };

	if (c->now_ms >= zab_deadline(c->zab))
		quorum_step(c, &ev);
	if (c->serving && c->now_ms >= c->fresh_ms)
		tell_store(c);
}

u64 quorum_next_ms(const struct core *c)
{
	u64 next = zab_deadline(c->zab);

	return c->serving && c->fresh_ms < next ? c->fresh_ms : next;
}

bool quorum_ending(struct core *c)
{
	struct zab_event ev = { .type = ZAB_EV_RESIGN };
	bool waits = c->leading && zab_outstanding(c->zab);

	if (!c->peers)
		return c->committed || waits;
	if (!c->resigned_ms) {
		if (waits)
			return true;
		c->resigned_ms = c->now_ms;
		if (c->leading)
			quorum_step(c, &ev);
	}
	return c->committed ||
	       (zab_state(c->zab) == ZAB_LEADING && c->now_ms < c->resigned_ms + RESIGN_MS);
}

void quorum_free(struct core *c)
{
	struct peer_event *p, *next;

	if (!c->peers)
		return;
	for (p = c->peer_todo; p; p = next) {
		next = p->next;
		peer_event_free(c->peers, p);
	}
	for (p = queue_take(&c->peer_queue); p; p = next) {
		next = p->next;
		peer_event_free(c->peers, p);
	}
}
