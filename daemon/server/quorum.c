// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ZAB's driver: feeds the machine (daemon/zab) what peers, disk and clock bring, and
 * carries out what it wants done, in order, before the next event. What this server is,
 * and whom it may serve, follows from that (role.c).
 *
 * A single server goes through the same: it has no peers, and only its disk can make it
 * stop leading; its connections stay then, as reads go on.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/server/core_impl.h"

#define EVENTS_MAX	4096	/* of peers, packets among them, in one round: about */
#define RESIGN_MS	1000	/* for another one to lead */

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
		role_set(c, a);
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
	u32 wait = CORE_RETRY_MS;
	int rc;

	e.now_ms = c->now_ms;
	if (e.type != ZAB_EV_DISK_FAILED)
		quorum_drain(c);
	while ((rc = zab_step(c->zab, &e)) == -ENOMEM) {
		log_ratelimited(LOG_ERROR, "no memory in ZAB, waiting");
		wait = core_back_off(c, wait);
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
		role_tell_store(c);
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
		role_tell_store(c);
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
