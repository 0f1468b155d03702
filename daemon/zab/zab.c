// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The life of the machine: its states and what may follow them, the dispatch of events,
 * looking for a leader, time. One thread uses it; nothing here looks at a clock, a
 * socket, a file or another thread.
 *
 * Time is counted in half ticks, as Leader.lead() counts: a process that was stopped
 * has missed one, not all, and reads what came in meanwhile before it gives anybody up.
 *
 * A single server: zxids go on from the last one found at start, as
 * ZooKeeperServer.getNextZxid does; its epoch is that of its log and does not change.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/zab/zab_impl.h"

#define FAILS_FREE	2	/* attempts that follow each other at once */
#define FAIL_WAIT_MS	50

static const struct {
	enum zab_state state;
	enum zab_phase phase;
	enum zab_state to;
	enum zab_phase to_phase;
} transitions[] = {
	{ ZAB_LOOKING, ZAB_ELECTION, ZAB_LEADING, ZAB_DISCOVERY },
	{ ZAB_LOOKING, ZAB_ELECTION, ZAB_FOLLOWING, ZAB_DISCOVERY },
	{ ZAB_LOOKING, ZAB_ELECTION, ZAB_OBSERVING, ZAB_DISCOVERY },
	/* a single server: there is nobody to agree with */
	{ ZAB_LOOKING, ZAB_ELECTION, ZAB_LEADING, ZAB_BROADCAST },
	{ ZAB_LEADING, ZAB_DISCOVERY, ZAB_LEADING, ZAB_SYNC },
	{ ZAB_LEADING, ZAB_SYNC, ZAB_LEADING, ZAB_BROADCAST },
	{ ZAB_FOLLOWING, ZAB_DISCOVERY, ZAB_FOLLOWING, ZAB_SYNC },
	{ ZAB_FOLLOWING, ZAB_SYNC, ZAB_FOLLOWING, ZAB_BROADCAST },
	{ ZAB_OBSERVING, ZAB_DISCOVERY, ZAB_OBSERVING, ZAB_SYNC },
	{ ZAB_OBSERVING, ZAB_SYNC, ZAB_OBSERVING, ZAB_BROADCAST },
	{ ZAB_LEADING, ZAB_DISCOVERY, ZAB_LOOKING, ZAB_ELECTION },
	{ ZAB_LEADING, ZAB_SYNC, ZAB_LOOKING, ZAB_ELECTION },
	{ ZAB_LEADING, ZAB_BROADCAST, ZAB_LOOKING, ZAB_ELECTION },
	{ ZAB_FOLLOWING, ZAB_DISCOVERY, ZAB_LOOKING, ZAB_ELECTION },
	{ ZAB_FOLLOWING, ZAB_SYNC, ZAB_LOOKING, ZAB_ELECTION },
	{ ZAB_FOLLOWING, ZAB_BROADCAST, ZAB_LOOKING, ZAB_ELECTION },
	{ ZAB_OBSERVING, ZAB_DISCOVERY, ZAB_LOOKING, ZAB_ELECTION },
	{ ZAB_OBSERVING, ZAB_SYNC, ZAB_LOOKING, ZAB_ELECTION },
	{ ZAB_OBSERVING, ZAB_BROADCAST, ZAB_LOOKING, ZAB_ELECTION },
};

static bool allowed(const struct zab *z, enum zab_state state, enum zab_phase phase)
{
	for (size_t i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++)
		if (transitions[i].state == z->state && transitions[i].phase == z->phase &&
		    transitions[i].to == state && transitions[i].to_phase == phase)
			return true;
	return false;
}

void zab_become(struct zab *z, enum zab_state state, enum zab_phase phase)
{
	struct zab_action *a;

	assert(allowed(z, state, phase));
	z->state = state;
	z->phase = phase;
	a = zab_emit(z, ZAB_DO_STATE);
	a->zxid = z->committed;
	if (state == ZAB_FOLLOWING || state == ZAB_OBSERVING)
		a->link = z->leader;
	if (phase == ZAB_BROADCAST) {
		z->fails = 0;
		/* less than before if a quorum had it cut off */
		z->sure = z->committed;
		choose_done(z);
	}
}

/* Room for what it emits is always there (zab_room()). */
void zab_give_up(struct zab *z, const char *fmt, ...)
{
	bool lost = z->phase == ZAB_BROADCAST;
	enum zab_state was = z->state;
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (z->e)
		log_warn("ensemble: looking for a leader again: %s", why);
	handlers_end(z);
	if (z->state != ZAB_LEADING)
		learner_end(z);
	confirm_end(z);
	if (lost)
		zab_emit(z, ZAB_DO_FAIL)->zxid = z->committed;
	else
		z->fails++;
	z->ran = lost;
	z->leader = ~0ULL;
	z->epoch = z->current;
	/* Who does not get along with its leader must not keep everybody busy. */
	z->look_ms = z->now + (was == ZAB_OBSERVING ? choose_wait(z) : 0);
	if (z->fails > FAILS_FREE) {
		u64 wait = (u64)(z->fails - FAILS_FREE) * FAIL_WAIT_MS;

		z->look_ms += wait < z->p.tick_ms ? wait : z->p.tick_ms;
	}
	zab_become(z, ZAB_LOOKING, ZAB_ELECTION);
}

void zab_commit_one(struct zab *z)
{
	struct txn *t = win_commit(&z->w);
	struct zab_action *a = zab_emit(z, ZAB_DO_COMMIT);

	assert(t->zxid > z->committed);
	z->committed = t->zxid;
	if (z->phase == ZAB_BROADCAST)
		z->sure = t->zxid;
	a->txn = txn_get(t);
	a->zxid = t->zxid;
	confirm_committed(z, t);
}

/*
 * The epoch that this server's history is of. A leader's transactions come behind all of
 * its history, so that to have one of an epoch's is as good as to have acknowledged its
 * NEWLEADER, whatever the file says (which is saved behind them: a server may end between
 * a tree or a proposal and that; QuorumPeer.loadDataBase() refuses to start then). By the
 * file alone somebody could be preferred who has less of that epoch, and want this
 * server to cut off what its snapshot has.
 */
u64 zab_standing(const struct zab *z)
{
	u64 logged = EPOCH_OF(z->last);

	return z->current > logged ? z->current : logged;
}

void zab_limit(struct zab *z, u32 ticks)
{
	z->limit = z->halves + 2ULL * ticks;
}

void zab_clock(struct zab *z)
{
	z->halves++;
	z->half_ms = z->now + (z->p.tick_ms + 1) / 2;
}

/* ---------------------------------------------------------------- election */

static void notify(void *arg, u64 to, const struct zab_vote *v)
{
	struct zab *z = arg;
	struct zab_action *a;
	struct zab_bytes *b;
	struct jw w;

	if (to == z->p.myid || !zab_room(z, 1, 0))
		return;
	jw_init(&w, 0);
	zab_vote_write(&w, v);
	b = w.err ? NULL : zab_bytes_new(w.len);
	if (b) {
		memcpy(b->bytes, w.buf, w.len);
		a = zab_emit(z, ZAB_DO_NOTIFY);
		a->to = to;
		a->bytes = b;
	}
	jw_free(&w);
}

/* Leaves LOOKING for what the vote says (QuorumPeer.run()). */
static void elected(struct zab *z, const struct zab_vote *v)
{
	/* its actions, and the link that is asked for */
	if (!zab_room(z, 4, 0))
		return;
	z->electing = false;
	if (v->leader == z->p.myid && !z->observer) {
		leader_begin(z);
		return;
	}
	if (learner_begin(z, v->leader))
		z->look_ms = z->now + FAIL_WAIT_MS;
}

/* A membership that others told about: WorkerReceiver's processReconfig(). */
static void learn_members(struct zab *z)
{
	struct ensemble *e = z->p.reconfig ? election_newer(z->el) : NULL;

	if (!e || e->version <= z->e->version || !zab_room(z, 1, 0))
		return;
	ensemble_get(e);
	members_adopt(z, e);
	ensemble_put(e);
	z->electing = false;
}

/* A reconfiguration said who leads: no election (QuorumPeer.updateServerState()). */
static bool follow_suggestion(struct zab *z)
{
	struct zab_vote v = { .leader = z->suggested };

	if (z->suggested == ~0ULL || !zab_room(z, 4, 0))
		return false;
	z->suggested = ~0ULL;
	if (!ensemble_votes(z->e, v.leader) ||
	    (v.leader == z->p.myid && !ensemble_votes(z->e, z->p.myid)))
		return false;
	election_suggest(z->el, v.leader, z->e->version);
	elected(z, &v);
	return true;
}

static void look_pump(struct zab *z)
{
	struct zab_vote v;

	if (!z->born || z->disk_bad || z->busy != BUSY_NO)
		return;
	if (!z->e) {
		/* The only vote there is was cast. */
		if (zab_room(z, 1, 0)) {
			z->leader = z->p.myid;
			zab_become(z, ZAB_LEADING, ZAB_BROADCAST);
		}
		return;
	}
	if (z->electing)
		learn_members(z);
	if (!z->electing) {
		if (follow_suggestion(z) || z->now < z->look_ms)
			return;
		election_floor(z->el, z->sure < z->last ? z->sure : z->last);
		/* lookForLeader(): the vote is the last zxid logged, currentEpoch */
		if (election_begin(z->el, z->e, z->last, zab_standing(z), z->now)) {
			z->starved = true;
			return;
		}
		z->electing = true;
	}
	if (election_over(z->el, &v))
		elected(z, &v);
}

static int on_vote(struct zab *z, const struct zab_event *ev)
{
	if (!z->e || !ev->vote)
		return -EINVAL;
	if (z->state != ZAB_LOOKING)
		election_answer(z->el, ev->from, ev->vote, z->state);
	else if (z->electing)
		election_vote(z->el, ev->from, ev->vote, z->now);
	return 0;
}

/*
 * While an ensemble runs this is one that died. Where it only begins to, as all are started,
 * it is one that comes up a moment later, and is worth waiting for as ever.
 */
static int on_absent(struct zab *z, const struct zab_event *ev)
{
	if (!z->e)
		return -EINVAL;
	if (z->state == ZAB_LOOKING && z->electing && z->ran)
		election_absent(z->el, ev->from);
	return 0;
}

/* ---------------------------------------------------------------- time */

static void on_tick(struct zab *z)
{
	if (!z->e)
		return;
	if (z->state == ZAB_LOOKING) {
		if (z->electing)
			election_tick(z->el, z->now);
		return;
	}
	if (z->now < z->half_ms)
		return;
	zab_clock(z);
	if (z->state == ZAB_LEADING)
		leader_half_tick(z);
	else
		learner_half_tick(z);
}

u64 zab_deadline(const struct zab *z)
{
	u64 d = ~0ULL, el;

	if (z->cf.wanted && !z->cf.flying && !z->starved)
		return z->now;
	if (!z->e)
		return z->starved ? z->now + STARVED_MS : d;
	if (z->ld.saving)
		return z->now;
	if (z->state != ZAB_LOOKING)
		d = z->half_ms;
	else if (z->electing)
		d = election_deadline(z->el);
	else if (z->born && !z->disk_bad && z->busy == BUSY_NO)
		d = z->look_ms;
	el = z->now + STARVED_MS;
	return z->starved && el < d ? el : d;
}

/* ---------------------------------------------------------------- the own disk */

static void restart(struct zab *z, u64 zxid)
{
	win_reset(&z->w, zxid);
	z->last = zxid;
	z->durable = zxid;
	z->committed = zxid;
	z->applied = zxid;
}

static int on_start(struct zab *z, const struct zab_event *ev)
{
	if (z->state != ZAB_LOOKING || (z->born && z->e) ||
	    (ev->n_found && ev->found[0]->zxid <= ev->zxid))
		return -EINVAL;
	if (win_reserve(&z->w, ev->n_found))
		return -ENOMEM;
	restart(z, ev->zxid);
	for (u32 i = 0; i < ev->n_found; i++)
		win_push(&z->w, ev->found[i]);
	/* what membership is proposed in it the files say, which were written before */
	z->last = win_before(&z->w, z->w.end);
	z->durable = z->last;
	z->accepted = ev->accepted;
	z->current = ev->current;
	/* QuorumPeer.loadDataBase(): a single server's directory has no epoch files. */
	if (z->accepted < z->current)
		z->accepted = z->current;
	if (z->accepted < EPOCH_OF(z->last))
		z->accepted = EPOCH_OF(z->last);
	z->epoch = z->current;
	z->born = true;
	z->disk_bad = false;
	z->look_ms = z->now;
	return 0;
}

static int on_durable(struct zab *z, const struct zab_event *ev)
{
	/* The log cannot hold what was never proposed. */
	if (ev->zxid > z->last)
		return -EINVAL;
	/* all that may commit by it, so that it is taken with what follows or not at all */
	if (!z->e && !zab_room(z, z->w.end - z->w.commit, 0))
		return -ENOMEM;
	leader_tell_acks(z, z->p.myid, z->durable, ev->zxid);
	if (ev->zxid > z->durable)
		z->durable = ev->zxid;
	return 0;
}

static int on_disk_failed(struct zab *z)
{
	zab_take_back(z);
	if (!zab_room(z, 0, 0))
		return -ENOMEM;
	z->disk_bad = true;
	if (z->busy == BUSY_TRUNCATE)
		z->busy = BUSY_NO;
	z->electing = false;
	z->ld.saving = false;
	if (z->state != ZAB_LOOKING)
		zab_give_up(z, "the disk failed");
	/* A single server's proposals are not heard of again. */
	if (!z->e)
		win_cut(&z->w, z->committed);
	if (!z->e)
		z->last = z->committed;
	return 0;
}

/*
 * The log ends at @zxid. What others committed while it was not durable here must go
 * to it again; what nobody is known to have committed is gone.
 */
static int on_disk_back(struct zab *z, const struct zab_event *ev)
{
	u64 end = ev->zxid > z->committed ? ev->zxid : z->committed, i;

	if (z->state != ZAB_LOOKING || !z->disk_bad)
		return -EINVAL;
	if (ev->zxid > z->last || ev->zxid < z->w.floor)
		return -EINVAL;
	i = win_after(&z->w, ev->zxid);
	if (!zab_room(z, z->w.end - i, 0))
		return -ENOMEM;
	win_cut(&z->w, end);
	for (; i < z->w.end; i++) {
		struct zab_action *a = zab_emit(z, ZAB_DO_LOG);

		a->txn = win_at(&z->w, i);
		a->zxid = a->txn->zxid;
	}
	z->last = win_before(&z->w, z->w.end);
	z->durable = ev->zxid < z->last ? ev->zxid : z->last;
	z->disk_bad = false;
	z->look_ms = z->now;
	return 0;
}

static int on_truncated(struct zab *z, const struct zab_event *ev)
{
	if (z->busy != BUSY_TRUNCATE)
		return -EINVAL;
	z->busy = BUSY_NO;
	/* else nothing was cut */
	if (ev->zxid != z->last || ev->zxid == z->busy_zxid) {
		win_cut(&z->w, ev->zxid);
		z->durable = ev->zxid;
	}
	z->last = ev->zxid;
	members_cut(z);
	if (z->committed > ev->zxid) {
		z->committed = ev->zxid;
		z->applied = ev->zxid;
	}
	if (ev->zxid != z->busy_zxid)
		zab_give_up(z, "the log ends at 0x%llx, it was to be cut at 0x%llx",
			    ev->zxid, z->busy_zxid);
	else
		learner_truncated(z);
	return 0;
}

/* Also for a link that was closed: the files are what they are. */
static int on_received(struct zab *z, const struct zab_event *ev)
{
	if (z->busy != BUSY_RECEIVE || ev->link != z->busy_link)
		return -EINVAL;
	z->busy = BUSY_NO;
	restart(z, ev->zxid);
	if (z->state != ZAB_LOOKING)
		learner_received(z);
	return 0;
}

/* ---------------------------------------------------------------- links */

/* Whether there are links that came in. */
static bool serves(const struct zab *z)
{
	return z->state == ZAB_LEADING || master_is(z);
}

static int on_link_up(struct zab *z, const struct zab_event *ev)
{
	if (!z->e)
		return -EINVAL;
	if (ev->link & ZAB_LINK_OUT)
		return ev->link == z->fo.link && z->fo.connected ? learner_link_up(z) : 0;
	if (serves(z))
		return handler_link_up(z, ev->link);
	/* nobody leads here */
	zab_emit(z, ZAB_DO_CLOSE)->link = ev->link;
	return 0;
}

static int on_link_down(struct zab *z, const struct zab_event *ev)
{
	if (!z->e)
		return -EINVAL;
	if (z->busy == BUSY_RECEIVE && ev->link == z->busy_link)
		z->busy = BUSY_NO;
	if (!(ev->link & ZAB_LINK_OUT))
		handler_link_down(z, ev->link);
	else if (ev->link == z->fo.link && z->fo.connected)
		learner_link_down(z);
	return 0;
}

static int on_packet(struct zab *z, const struct zab_event *ev)
{
	if (!z->e || !ev->packet)
		return -EINVAL;
	if (!(ev->link & ZAB_LINK_OUT))
		return serves(z) ? handler_packet(z, ev) : 0;
	if (ev->link != z->fo.link || !z->fo.connected)
		return 0;
	return z->busy != BUSY_NO ? -EINVAL : learner_packet(z, ev);
}

static int on_resign(struct zab *z)
{
	if (z->state == ZAB_LEADING && z->e)
		z->ld.resigning = true;
	return 0;
}

static int dispatch(struct zab *z, const struct zab_event *ev)
{
	switch (ev->type) {
	case ZAB_EV_START:
		return on_start(z, ev);
	case ZAB_EV_TICK:
		on_tick(z);
		return 0;
	case ZAB_EV_VOTE:
		return on_vote(z, ev);
	case ZAB_EV_ABSENT:
		return on_absent(z, ev);
	case ZAB_EV_LINK_UP:
		return on_link_up(z, ev);
	case ZAB_EV_LINK_DOWN:
		return on_link_down(z, ev);
	case ZAB_EV_PACKET:
		return on_packet(z, ev);
	case ZAB_EV_PROPOSE:
		return leader_propose(z, ev);
	case ZAB_EV_DURABLE:
		return on_durable(z, ev);
	case ZAB_EV_TRUNCATED:
		return on_truncated(z, ev);
	case ZAB_EV_RECEIVED:
		return on_received(z, ev);
	case ZAB_EV_DISK_FAILED:
		return on_disk_failed(z);
	case ZAB_EV_DISK_BACK:
		return on_disk_back(z, ev);
	case ZAB_EV_RESIGN:
		return on_resign(z);
	}
	return -EINVAL;
}

/* Does all that can be done now; a state may lead to the next at once. */
static void pump(struct zab *z)
{
	enum zab_state state;
	u64 keep;

	do {
		state = z->state;
		if (state == ZAB_LOOKING)
			look_pump(z);
		else if (state == ZAB_LEADING)
			leader_pump(z);
		else
			learner_pump(z);
	} while (z->state != state);
	keep = z->applied < z->durable ? z->applied : z->durable;
	if (z->e)
		win_trim(&z->w, z->p.history_max, z->p.history_bytes, keep);
	else
		win_trim(&z->w, 0, 0, ~0ULL);
}

int zab_step(struct zab *z, const struct zab_event *ev)
{
	int rc;

	if (ev->now_ms > z->now)
		z->now = ev->now_ms;
	z->starved = false;
	/* what may be emitted by any event, whatever comes of it */
	if (!zab_room(z, 4, 2))
		return -ENOMEM;
	/* The driver has carried out the last list, so the epoch is on disk. */
	if (z->ld.saving && ev->type != ZAB_EV_DISK_FAILED) {
		z->ld.saving = false;
		z->ld.self_synced = true;
	}
	rc = dispatch(z, ev);
	if (!rc)
		pump(z);
	return rc;
}

/* ---------------------------------------------------------------- life */

struct zab *zab_new(const struct zab_params *p)
{
	const struct peer *me = NULL;
	struct zab *z;

	if (p->ensemble) {
		me = ensemble_find(p->ensemble, p->myid);
		if (!me || !p->tick_ms || !p->init_limit || !p->sync_limit)
			return NULL;
	}
	z = calloc(1, sizeof(*z));
	if (!z)
		return NULL;
	z->p = *p;
	z->leader = ~0ULL;
	z->logged_from = ~0ULL;
	z->suggested = ~0ULL;
	choose_init(z);
	if (win_init(&z->w) || !zab_room(z, 1, 1))
		goto fail;
	if (me) {
		z->observer = me->observer;
		z->el = election_new(p->myid, notify, z);
		if (!z->el)
			goto fail;
		z->e = ensemble_get(p->ensemble);
		if (p->reconfig && p->next && p->next->version > z->e->version) {
			z->next = ensemble_get(p->next);
			election_pending(z->el, z->next);
		}
	}
	z->starved = false;
	return z;
fail:
	zab_free(z);
	return NULL;
}

/* Drops transactions and unread actions with it. NULL is fine. */
void zab_free(struct zab *z)
{
	if (!z)
		return;
	handlers_free(z);
	waiting_free(&z->fo.sync_waiting);
	waiting_free(&z->fo.revalidations);
	zab_actions_free(z);
	win_free(&z->w);
	election_free(z->el);
	ensemble_put(z->e);
	ensemble_put(z->next);
	ensemble_put(z->was);
	free(z);
}

void zab_applied(struct zab *z, u64 zxid)
{
	if (zxid > z->applied)
		z->applied = zxid < z->committed ? zxid : z->committed;
}

void zab_logged_from(struct zab *z, u64 first)
{
	z->logged_from = first;
}

enum zab_state zab_state(const struct zab *z)
{
	return z->state;
}

enum zab_phase zab_phase(const struct zab *z)
{
	return z->phase;
}

u64 zab_next_zxid(const struct zab *z)
{
	u64 next = z->last + 1;

	if (!z->e)
		return next;
	if (z->state != ZAB_LEADING || z->phase != ZAB_BROADCAST || z->ld.resigning ||
	    z->ld.retired)
		return 0;
	if (EPOCH_OF(z->last) < z->epoch)
		next = ZXID(z->epoch, z->p.skip) + 1;
	/* Leader.propose(): all ones are not given out, another epoch must begin. */
	return EPOCH_OF(next) == z->epoch && COUNT_OF(next) != ~0U ? next : 0;
}

u64 zab_committed(const struct zab *z)
{
	return z->committed;
}

u64 zab_last_zxid(const struct zab *z)
{
	return z->last;
}

u32 zab_outstanding(const struct zab *z)
{
	return z->w.end - z->w.commit;
}

u64 zab_epoch(const struct zab *z)
{
	return z->epoch;
}

u64 zab_leader(const struct zab *z)
{
	return z->leader;
}

u64 zab_master(const struct zab *z)
{
	bool learns = z->state == ZAB_FOLLOWING || z->state == ZAB_OBSERVING;

	return learns ? z->fo.whom : z->leader;
}

struct ensemble *zab_ensemble(const struct zab *z)
{
	return z->e;
}

struct ensemble *zab_next_ensemble(const struct zab *z)
{
	return z->next;
}
