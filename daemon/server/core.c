// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The core thread: its life and its loop. What the loop drives is listed in
 * core_impl.h.
 *
 * A round: take all that other threads have queued and handle it, in order; carry
 * out what ZAB wants done; commit what has become durable; look at the timers;
 * wake the threads that send, to servers and to clients, once. Then sleep until there
 * is more. So under load a round is a group: one append of the log, one apply, one wake-up.
 *
 * The log thread reports by one item that is its own: it is in the queue at most
 * once, however many reports there were.
 */
#include <stddef.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/server/access.h"
#include "daemon/server/core_impl.h"

#define SWEEP_ROWS	4096	/* per round */
#define EXPIRE_LOOKS	1024	/* sessions looked at per round */
#define EXPIRE_FLIGHT	256	/* expired ones whose end is not applied yet */
#define SLEEP_MAX_MS	60000
#define BACK_OFF_MAX_MS	1000
#define SERVER_ID	1	/* ZooKeeperServer.createSessionTrackerServerId */
#define HISTORY_BYTES	(64u * 1024 * 1024)	/* kept for learners that were away */
#define PACKET_SLACK	(64u * 1024)

static u64 clock_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

static u64 wall_ms(void *arg)
{
	(void)arg;
	return clock_ms(CLOCK_REALTIME);
}

static u64 mono_ms(void *arg)
{
	(void)arg;
	return clock_ms(CLOCK_MONOTONIC_COARSE);
}

static void nap(void *arg, u32 ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	(void)arg;
	nanosleep(&ts, NULL);
}

static const struct core_env this_world = {
	.mono_ms = mono_ms,
	.wall_ms = wall_ms,
	.nap = nap,
	.threads = true,
};

u64 core_wall_ms(const struct core *c)
{
	return c->env.wall_ms(c->env.arg);
}

u64 core_coarse_ms(const struct core *c)
{
	return c->env.mono_ms(c->env.arg);
}

void core_nap(struct core *c, u32 ms)
{
	/* what waits to go out holds memory */
	quorum_flush(c);
	c->env.nap(c->env.arg, ms);
}

u32 core_back_off(struct core *c, u32 ms)
{
	core_nap(c, ms);
	return ms * 2 > BACK_OFF_MAX_MS ? BACK_OFF_MAX_MS : ms * 2;
}

static void set(u64 *counter, u64 v)
{
	__atomic_store_n(counter, v, __ATOMIC_RELAXED);
}

void core_count(struct core *c)
{
	struct watch_counts w;

	watch_counts(c->watches, &w);
	set(&c->stats.zxid, c->applied);
	set(&c->stats.outstanding, zab_outstanding(c->zab));
	set(&c->stats.sessions, sessions_total(c->sessions));
	set(&c->stats.local_sessions, sessions_total(c->locals));
	set(&c->stats.watches, w.watches);
	set(&c->stats.watched_paths, w.paths);
	set(&c->stats.watchers, w.watchers);
	set(&c->stats.watch_bytes, w.bytes);
}

void core_stats(struct core *c, struct core_stats *s)
{
	u64 *from = (u64 *)&c->stats, *to = (u64 *)s;

	for (size_t i = 0; i < sizeof(*s) / sizeof(u64); i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------ life */

/* A transaction may be longer than the request that it came from: names of many created
 * nodes are completed. */
u32 core_max_packet(const struct config *cfg)
{
	return 2 * cfg->max_buffer + PACKET_SLACK;
}

static struct zab *new_zab(const struct config *cfg)
{
	struct zab_params p = {
		.myid = cfg->ensemble ? cfg->myid : SERVER_ID,
		.ensemble = cfg->ensemble,
		.tick_ms = cfg->tick_ms,
		.init_limit = cfg->init_limit,
		.sync_limit = cfg->sync_limit,
		.connect_limit = cfg->connect_limit,
		.snap_syncs = cfg->snap_syncs,
		.diff_syncs = cfg->diff_syncs,
		.force_snap = cfg->force_snap,
		.trust = cfg->trust_followers,
		.tell_acks = cfg->tell_acks,
		.history_max = cfg->commit_log_count,
		.history_bytes = HISTORY_BYTES,
		.max_packet = core_max_packet(cfg),
		.leader_serves = cfg->leader_serves,
		.skip = cfg->first_count,
		.reconfig = cfg->reconfig_enabled,
		.next = cfg->next_ensemble,
		.masters = cfg->observer_port,
		.election_delay_ms = cfg->election_delay_ms,
		.reconnect_delay_ms = cfg->reconnect_delay_ms,
	};

	if (cfg->observer_port && cfg->observer_queue && cfg->observer_queue < HISTORY_BYTES)
		p.history_bytes = cfg->observer_queue;
	/* as early as in the boot: the time is nobody else's either */
	if (getrandom(&p.chance, sizeof(p.chance), GRND_NONBLOCK) != sizeof(p.chance))
		p.chance = clock_ms(CLOCK_REALTIME);
	return zab_new(&p);
}

/* Sessions that were there when the server last stopped have their whole timeout
 * from now on. */
int core_restore(struct core *c, const struct disk_recovery *rec)
{
	sessions_clear(c->sessions);
	for (u32 i = 0; i < rec->n_sessions; i++) {
		const struct disk_session *d = &rec->sessions[i];
		struct sess *s = session_restore(c->sessions, d->id, d->timeout, c->now_ms);

		if (!s)
			return -ENOMEM;
		s->committed = true;
	}
	return 0;
}

/* Until quorum_start(). */
static int take_tail(struct core *c, const struct disk_recovery *rec)
{
	if (!rec->n_tail)
		return 0;
	c->found = malloc(rec->n_tail * sizeof(*c->found));
	if (!c->found)
		return -ENOMEM;
	for (u32 i = 0; i < rec->n_tail; i++)
		c->found[i] = txn_get(rec->tail[i]);
	c->n_found = rec->n_tail;
	return 0;
}

void core_drop_tail(struct core *c)
{
	for (u32 i = 0; i < c->n_found; i++)
		txn_put(c->found[i]);
	free(c->found);
	c->found = NULL;
	c->n_found = 0;
}

struct core *core_new(const struct config *cfg, struct store *st, struct disk *disk,
		      const struct disk_recovery *rec)
{
	return core_new_in(&this_world, cfg, st, disk, rec);
}

struct core *core_new_in(const struct core_env *env, const struct config *cfg,
			 struct store *st, struct disk *disk,
			 const struct disk_recovery *rec)
{
	struct core *c = calloc(1, sizeof(*c));
	struct store_info info;

	if (!c)
		return NULL;
	c->env = *env;
	c->cfg = cfg;
	c->st = st;
	c->disk = disk;
	c->queue.fd = -1;
	c->peer_queue.fd = -1;
	c->ask_fd = cfg->ensemble && st->ops->ask_fd ? st->ops->ask_fd(st) : -1;
	c->durable_item.kind = REQ_TASK;
	c->outlives = !strcmp(st->ops->kind, "kernel");
	c->hidden = c->outlives && cfg->ensemble && !rec->kept;
	c->applied = rec->zxid;
	c->durable = disk_logged(rec);
	c->now_ms = core_coarse_ms(c);
	c->reap_ms = c->now_ms + cfg->container_check_ms;
	INIT_LIST_HEAD(&c->all_clients);
	INIT_LIST_HEAD(&c->keeping);
	pthread_mutex_init(&c->members_lock, NULL);
	c->members = ensemble_get(cfg->ensemble);
	c->stats.leader = ~0ULL;
	c->stats.master = ~0ULL;
	c->stats.last_size = ~0ULL;
	c->stats.min_size = ~0ULL;
	c->stats.max_size = ~0ULL;
	c->open = !cfg->ensemble;
	jw_init(&c->out, 0);
	jw_init(&c->wire, 0);
	jw_init(&c->wire_auth, 0);
	access_configure(cfg->skip_acl);
	if (st->ops->info(st, &info) || queue_init(&c->queue))
		goto fail;
	if (changes_init(&c->ch, st, rec->zxid, info.digest, cfg->digest_enabled) ||
	    prep_init(&c->prep, cfg, &c->ch))
		goto fail;
	c->zab = new_zab(cfg);
	c->watches = watches_new();
	c->sessions = sessions_new(cfg->tick_ms, cfg->ensemble ? cfg->myid : SERVER_ID,
				   core_wall_ms(c), c->now_ms);
	c->locals = sessions_new(cfg->tick_ms, 0, 0, c->now_ms);
	if (!c->zab || !c->watches || !c->sessions || !c->locals || core_restore(c, rec) ||
	    take_tail(c, rec))
		goto fail;
	core_count(c);
	return c;
fail:
	core_free(c);
	return NULL;
}

void core_free(struct core *c)
{
	struct request *r, *next;

	if (!c)
		return;
	reap_free(c);
	for (r = c->queue.fd < 0 ? NULL : queue_take(&c->queue); r; r = next) {
		next = r->next;
		if (r != &c->durable_item)
			request_free(r);
	}
	quorum_free(c);
	remote_free(c);
	pipeline_free(c);
	clients_free(c);
	sessions_free(c->sessions);
	sessions_free(c->locals);
	watches_free(c->watches);
	core_drop_tail(c);
	zab_free(c->zab);
	if (c->ch.buckets)
		changes_free(&c->ch);
	prep_free(&c->prep);
	ensemble_put(c->members);
	pthread_mutex_destroy(&c->members_lock);
	jw_free(&c->out);
	queue_destroy(&c->queue);
	free(c);
}

void core_submit(struct core *c, struct request *r)
{
	queue_push(&c->queue, r);
}

void core_join(struct core *c, struct peers *p, u64 accepted, u64 current)
{
	c->peers = p;
	c->prep.zab = c->zab;
	c->stats.serves = CORE_SERVES_NOBODY;
	c->accepted = accepted;
	c->current = current;
}

/* The core sleeps on one queue, and looks at both before it does. */
void core_deliver(void *core, struct peer_event *ev)
{
	struct core *c = core;

	queue_add(&c->peer_queue, ev);
}

void core_wake(void *core)
{
	struct core *c = core;

	queue_kick(&c->queue);
}

/* ------------------------------------------------------------ the log thread's news */

static void post_news(struct core *c)
{
	if (!__atomic_exchange_n(&c->durable_posted, 1, __ATOMIC_SEQ_CST))
		queue_push(&c->queue, &c->durable_item);
}

static void on_durable(void *arg, u64 zxid)
{
	struct core *c = arg;

	__atomic_store_n(&c->durable, zxid, __ATOMIC_RELEASE);
	post_news(c);
}

static void on_failed(void *arg, int err, const char *text)
{
	struct core *c = arg;

	(void)text;	/* the disk has logged it */
	__atomic_store_n(&c->disk_errno, err ? err : -EIO, __ATOMIC_RELEASE);
	post_news(c);
}

static void take_news(struct core *c)
{
	__atomic_store_n(&c->durable_posted, 0, __ATOMIC_SEQ_CST);
	quorum_durable(c);
	if (__atomic_load_n(&c->disk_errno, __ATOMIC_ACQUIRE))
		quorum_disk_failed(c);
}

/* ------------------------------------------------------------ the loop */

static void handle(struct core *c, struct request *r)
{
	switch (r->kind) {
	case REQ_CONNECT:
		if (__atomic_load_n(&c->stopping, __ATOMIC_RELAXED))
			request_free(r);
		else
			connect_request(c, r);
		break;
	case REQ_OP:
		if (__atomic_load_n(&c->stopping, __ATOMIC_RELAXED))
			request_free(r);
		else
			op_request(c, r);
		break;
	case REQ_AUTH:
		op_auth(c, r);
		break;
	case REQ_GONE:
		connect_gone(c, r);
		break;
	case REQ_TASK:
		if (r == &c->durable_item) {
			take_news(c);
			break;
		}
		r->task(r->arg);
		request_free(r);
		break;
	}
}

/* One of a client; how long it was in the queue, as well as a coarse clock tells. */
static bool count_request(const struct core *c, const struct request *r,
			  struct metric_run *waited)
{
	u64 came = r->received_ns / 1000000;

	if (r->kind != REQ_OP && r->kind != REQ_CONNECT)
		return false;
	if (!c->peers || c->leading)
		metric_run_add(waited, c->now_ms > came ? c->now_ms - came : 0);
	return true;
}

static void handle_all(struct core *c)
{
	struct metric_run waited = { .s = METRIC_prep_processor_queue_time_ms };
	struct request *r = queue_take(&c->queue), *next;
	u64 n = 0;

	for (; r; r = next) {
		next = r->next;
		n += count_request(c, r, &waited);
		handle(c, r);
	}
	if (n)
		count_requests(c, n, &waited);
}

struct disk_session *core_sessions(struct core *c, u32 *n)
{
	struct disk_session *list = malloc((sessions_count(c->sessions) + 1) * sizeof(*list));

	if (list)
		*n = sessions_list(c->sessions, list);
	else
		log_ratelimited(LOG_ERROR, "no memory for a snapshot's sessions");
	return list;
}

static void snapshot(struct core *c)
{
	struct disk_session *list;
	u32 n;
	int rc;

	if (!c->serving || !disk_snapshot_due(c->disk, c->cfg->snap_count, c->cfg->snap_bytes))
		return;
	list = core_sessions(c, &n);
	if (!list)
		return;
	rc = disk_snapshot(c->disk, c->st, list, n);
	if (rc == -EBUSY)
		log_ratelimited(LOG_WARN, "too busy to snapshot, skipping");
	else if (rc)
		log_ratelimited(LOG_ERROR, "no snapshot: %s", strerror(-rc));
	free(list);
}

/* A full disk may have been given room. */
static void retry_disk(struct core *c)
{
	int rc;

	if (!c->disk_failed || c->now_ms < c->retry_ms)
		return;
	c->retry_ms = c->now_ms + RETRY_DISK_MS;
	__atomic_store_n(&c->disk_errno, 0, __ATOMIC_RELEASE);
	rc = disk_retry(c->disk);
	if (!rc) {
		log_info("the disk takes writes again");
		quorum_disk_back(c);
		return;
	}
	__atomic_store_n(&c->disk_errno, rc, __ATOMIC_RELEASE);
}

static bool may_expire(const struct core *c)
{
	return c->expiring < EXPIRE_FLIGHT;
}

/* However many expire at once: no more than a few are on their way to the disk and
 * the tree at a time, so that another's write has only those before it. */
static void expire(struct core *c)
{
	if (c->leading && may_expire(c))
		sessions_expire(c->sessions, c->now_ms, EXPIRE_LOOKS,
				EXPIRE_FLIGHT - c->expiring, connect_expired, c);
	if (sessions_total(c->locals))
		sessions_expire(c->locals, c->now_ms, EXPIRE_LOOKS, EXPIRE_LOOKS,
				connect_local_expired, c);
}

static void timers(struct core *c)
{
	retry_disk(c);
	quorum_timers(c);
	readonly_timer(c);
	expire(c);
	reap(c);
	snapshot(c);
	if (c->sweep && !pipeline_firing(c))
		c->sweep = watch_sweep(c->watches, SWEEP_ROWS);
}

static int sleep_ms(const struct core *c)
{
	u64 next = quorum_next_ms(c);

	if (c->sweep || pipeline_may_apply(c) || c->peer_todo)
		return 0;
	/* else what was proposed wakes us when it is durable */
	if (c->leading && may_expire(c) && sessions_next_ms(c->sessions) < next)
		next = sessions_next_ms(c->sessions);
	if (sessions_total(c->locals) && sessions_next_ms(c->locals) < next)
		next = sessions_next_ms(c->locals);
	if (c->alone_ms && c->alone_ms < next)
		next = c->alone_ms;
	if (c->disk_failed && c->retry_ms < next)
		next = c->retry_ms;
	if (c->reap_ms < next)
		next = c->reap_ms;
	if (next > c->now_ms + SLEEP_MAX_MS)
		return SLEEP_MAX_MS;
	/* the clock is coarse: not a moment too early */
	return next > c->now_ms ? (int)(next - c->now_ms) + 4 : 0;
}

static void wait_for_work(struct core *c)
{
	struct pollfd fds[2] = {
		{ .fd = queue_fd(&c->queue), .events = POLLIN },
		{ .fd = c->ask_fd, .events = POLLIN },	/* below 0: passed over */
	};

	if (!queue_may_sleep(&c->queue))
		return;
	/* Pairs with core_wake(): it sees us asleep, or we see what it added. */
	if (__atomic_load_n(&c->peer_queue.newest, __ATOMIC_SEQ_CST)) {
		queue_awake(&c->queue);
		return;
	}
	if (poll(fds, 2, sleep_ms(c)) >= 0) {
		c->local.told = fds[1].revents;
		c->local.polled = true;
	}
	queue_awake(&c->queue);
}

static bool round_once(struct core *c)
{
	bool more;

	c->now_ms = core_coarse_ms(c);
	metrics_turn(c->now_ms);
	c->budget = FIRE_BUDGET;
	handle_all(c);
	quorum_events(c);
	quorum_flush(c);
	quorum_run(c);
	confirm_local(c);
	timers(c);
	more = !__atomic_load_n(&c->stopping, __ATOMIC_RELAXED) || quorum_ending(c);
	quorum_run(c);
	quorum_flush(c);
	disk_kick(c->disk);
	core_count(c);
	if (c->posted && c->side)
		client_flush(c->side);
	c->posted = false;
	return more;
}

static void begin(struct core *c)
{
	c->now_ms = core_coarse_ms(c);
	c->budget = FIRE_BUDGET;
	quorum_start(c);
	quorum_flush(c);
}

int core_begin(struct core *c)
{
	int rc = disk_start(c->disk, c->durable, on_durable, on_failed, c);

	if (!rc)
		begin(c);
	return rc;
}

bool core_round(struct core *c)
{
	return round_once(c);
}

int core_wait_ms(struct core *c)
{
	return queue_empty(&c->queue) && queue_empty(&c->peer_queue) ? sleep_ms(c) : 0;
}

void core_end(struct core *c)
{
	c->served = true;
	__atomic_store_n(&c->stopping, 1, __ATOMIC_SEQ_CST);
}

static void *core_main(void *arg)
{
	struct core *c = arg;

	store_thread_init();
	begin(c);
	while (round_once(c))
		wait_for_work(c);
	store_thread_exit();
	return NULL;
}

int core_start(struct core *c)
{
	sigset_t all, old;
	int rc;

	rc = disk_start(c->disk, c->durable, on_durable, on_failed, c);
	if (rc)
		return rc;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -pthread_create(&c->thread, NULL, core_main, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	c->started = !rc;
	if (!rc)
		pthread_setname_np(c->thread, "core");
	return rc;
}

void core_stop(struct core *c)
{
	if (!c->started)
		return;
	core_end(c);
	post_news(c);
	pthread_join(c->thread, NULL);
	c->started = false;
}

void core_snapshot(struct core *c)
{
	struct disk_session *list;
	u32 n;

	if (!c->served)
		return;
	list = core_sessions(c, &n);
	if (list)
		disk_snapshot_last(c->disk, c->st, list, n);
	free(list);
}
