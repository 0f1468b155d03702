// SPDX-License-Identifier: GPL-2.0-or-later
/* Time, what is to happen, and servers. */
#include "selftests/lib/members.h"
#include "selftests/sim/sim.h"

#define TICK_MS		200
#define INIT_LIMIT	20
#define SYNC_LIMIT	5
#define EPOCH_WALL	1700000000000ULL

/* ---------------------------------------------------------------- chance */

static u64 next_rnd(struct sim *s)
{
	u64 z = s->rnd += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

u32 rnd(struct sim *s, u32 below)
{
	return below ? next_rnd(s) % below : 0;
}

bool chance(struct sim *s, u32 percent)
{
	return rnd(s, 100) < percent;
}

/* ---------------------------------------------------------------- what is to happen */

static bool before(const struct happening *a, const struct happening *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void swap(struct sim *s, u32 i, u32 j)
{
	struct happening *h = s->heap[i];

	s->heap[i] = s->heap[j];
	s->heap[j] = h;
}

void happen(struct sim *s, u64 after, struct server *sv,
	    void (*fn)(struct sim *s, struct happening *h), void *p, u64 x)
{
	struct happening *h = calloc(1, sizeof(*h));
	u32 i;

	h->at = s->now + after;
	h->seq = s->seq++;
	h->fn = fn;
	h->sv = sv;
	h->life = sv ? sv->life : 0;
	h->p = p;
	h->x = x;
	if (s->n_heap == s->heap_room) {
		s->heap_room = s->heap_room ? 2 * s->heap_room : 256;
		s->heap = realloc(s->heap, s->heap_room * sizeof(*s->heap));
	}
	i = s->n_heap++;
	s->heap[i] = h;
	for (; i && before(s->heap[i], s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(s, i, (i - 1) / 2);
}

static struct happening *take_first(struct sim *s)
{
	struct happening *h = s->heap[0];
	u32 i = 0, k;

	s->heap[0] = s->heap[--s->n_heap];
	while ((k = 2 * i + 1) < s->n_heap) {
		if (k + 1 < s->n_heap && before(s->heap[k + 1], s->heap[k]))
			k++;
		if (!before(s->heap[k], s->heap[i]))
			break;
		swap(s, i, k);
		i = k;
	}
	return h;
}

void world_run(struct sim *s, u64 until)
{
	while (!s->wrong[0] && s->n_heap && s->heap[0]->at <= until) {
		struct happening *h = take_first(s);

		s->now = h->at;
		h->fn(s, h);
		free(h);
		s->counts.steps++;
	}
	if (s->now < until && !s->wrong[0])
		s->now = until;
}

/* ---------------------------------------------------------------- clocks */

static u64 mono_ms(void *arg)
{
	struct server *sv = arg;

	/* the kernel's clock does not begin at zero */
	return 1000000 + sv->sim->now / US_MS;
}

static u64 wall_ms(void *arg)
{
	struct server *sv = arg;

	return EPOCH_WALL + sv->sim->now / US_MS + sv->wall_off;
}

static void nap(void *arg, u32 ms)
{
	(void)arg;
	(void)ms;
}

/* ---------------------------------------------------------------- servers */

struct server *server_by_id(struct sim *s, u64 id)
{
	for (u32 i = 0; i < s->n; i++)
		if (s->servers[i].id == id)
			return &s->servers[i];
	return NULL;
}

static void round_due(struct sim *s, struct happening *h)
{
	struct server *sv = h->sv;
	int wait;

	if (!sv->up || sv->life != h->life || sv->round_at != h->at)
		return;
	sv->round_at = 0;
	if (sv->paused_until > s->now) {
		server_wake(sv, sv->paused_until - s->now);
		return;
	}
	core_round(sv->core);
	if (sv->dead) {
		s->counts.mid_crashes++;
		server_crash(sv);
		return;
	}
	oracle_look(sv);
	wait = core_wait_ms(sv->core);
	server_wake(sv, wait > 0 ? wait * US_MS : 100);
}

void server_wake(struct server *sv, u64 after)
{
	struct sim *s = sv->sim;

	if (!sv->up || (sv->round_at && sv->round_at <= s->now + after))
		return;
	sv->round_at = s->now + after;
	happen(s, after, sv, round_due, NULL, 0);
}

bool server_falls(struct server *sv)
{
	if (!sv->dead && sv->sim->harming && !rnd(sv->sim, 4000)) {
		tell(sv->sim, "server %llu falls in the middle of a step", sv->id);
		sv->dead = true;
	}
	return sv->dead;
}

/* The store's apply(), watched. */
static int watched_apply(struct store *st, const struct zk_txn *txns, int n, u64 *digests,
			 int *err)
{
	struct server *sv = (struct server *)((char *)st->ops - offsetof(struct server, ops));
	u64 own[n];
	int done;

	/* who is dead does not do this any more */
	if (sv->dead)
		sv->shown = false;
	done = sv->real->apply(st, txns, n, own, err);
	for (int i = 0; i < done; i++) {
		if (digests)
			digests[i] = own[i];
		/* the node of the members, by no transaction */
		if (!sv->dead && !(txns[i].flags & ZK_TXN_ASIDE))
			oracle_applied(sv, txns[i].zxid, own[i]);
	}
	oracle_shown(sv);
	return done;
}

/* The same of set_state(). */
static int watched_state(struct store *st, enum store_state state, u64 heard_ms)
{
	struct server *sv = (struct server *)((char *)st->ops - offsetof(struct server, ops));

	if (!sv->dead)
		sv->shown = sv->outlives && state != STORE_HIDDEN;
	oracle_shown(sv);
	return sv->real->set_state(st, state, heard_ms);
}

/* Another tree than the one that it left behind, if any, is of no use. */
static void recover(struct server *sv, struct disk_recovery *rec)
{
	const struct store_params sp = { .kind = "memory" };
	const char *why = "";

	disk_config_node(&sv->disk, sv->cfg.ensemble->text, sv->cfg.ensemble->version, true);
	sv->st = sv->left;
	sv->left = NULL;
	if (sv->st && disk_model_keep(&sv->disk, sv->st, rec))
		return;
	if (!sv->st && store_open(&sp, &sv->st, &why)) {
		fprintf(stderr, "store: %s\n", why);
		exit(2);
	}
	disk_model_recover(&sv->disk, sv->st, rec);
}

/* What a server keeps of its members in its files. */
static void keep_members(void *arg, struct ensemble *e, bool in_force)
{
	struct server *sv = arg;

	if (server_falls(sv))
		return;
	tell(sv->sim, "server %llu: members of version 0x%llx%s", sv->id, e->version,
	     in_force ? " are in force" : "");
	members_keep(&sv->cfg, e, in_force);
}

void server_start(struct server *sv)
{
	const struct core_env env = {
		.mono_ms = mono_ms, .wall_ms = wall_ms, .nap = nap, .arg = sv,
	};
	struct disk_recovery rec = { 0 };

	if (sv->up)
		return;
	sv->life++;
	sv->dead = false;
	sv->paused_until = 0;
	sv->round_at = 0;
	recover(sv, &rec);
	sv->real = sv->st->ops;
	sv->ops = *sv->real;
	sv->ops.apply = watched_apply;
	sv->ops.set_state = watched_state;
	if (sv->outlives)
		sv->ops.kind = "kernel";
	sv->st->ops = &sv->ops;
	sv->core = core_new_in(&env, &sv->cfg, sv->st, &sv->disk, &rec);
	if (!sv->core) {
		fprintf(stderr, "no core\n");
		exit(2);
	}
	sv->applied = rec.zxid;
	sv->state = ZAB_LOOKING;
	sv->phase = ZAB_ELECTION;
	core_join(sv->core, &sv->peers, sv->disk.accepted, sv->disk.current);
	core_on_members(sv->core, keep_members, sv);
	sv->up = true;
	tell(sv->sim, "server %llu starts, 0x%llx, epochs %llu %llu%s, logged 0x%llx", sv->id,
	     rec.zxid, sv->disk.accepted, sv->disk.current, rec.kept ? ", its tree is there" : "",
	     disk_logged(&rec));
	for (u32 i = 0; i < rec.n_tail; i++)
		txn_put(rec.tail[i]);
	free(rec.tail);
	free(rec.sessions);
	core_begin(sv->core);
	net_server_up(sv);
	server_wake(sv, 0);
}

static void crash(struct server *sv, bool silent)
{
	if (!sv->up)
		return;
	tell(sv->sim, "server %llu crashes%s", sv->id, silent ? " without a word" : "");
	sv->up = false;
	sv->dead = true;
	sv->life++;
	net_server_down(sv, silent);
	clients_server_down(sv);
	disk_model_crash(&sv->disk);
	core_free(sv->core);
	sv->core = NULL;
	sv->st->ops = sv->real;
	if (sv->shown)
		sv->left = sv->st;
	else
		sv->real->close(sv->st);
	sv->st = NULL;
	sv->sim->counts.crashes++;
}

void server_crash(struct server *sv)
{
	crash(sv, false);
}

void server_vanish(struct server *sv)
{
	crash(sv, true);
}

/* ---------------------------------------------------------------- the world */

static struct ensemble *make_ensemble(u32 voters, u32 observers)
{
	char text[2048], why[256];
	size_t n = 0;

	for (u32 i = 1; i <= voters + observers; i++)
		n += snprintf(text + n, sizeof(text) - n, "server.%u=10.0.0.%u:2888:3888%s\n", i,
			      i, i > voters ? ":observer" : "");
	struct ensemble *e = ensemble_parse(text, n, why, sizeof(why));

	if (!e) {
		fprintf(stderr, "ensemble: %s\n", why);
		exit(2);
	}
	return e;
}

void world_init(struct sim *s, u64 seed, u32 voters, u32 observers)
{
	s->seed = seed;
	s->rnd = seed * 0x2545f4914f6cdd1dULL + 1;
	s->voters = voters;
	s->n = voters + observers;
	s->now = US_S;
	s->next_link = 1;
	s->linearizable = seed % 2;
	s->ensemble = make_ensemble(voters, observers);
	oracle_init(s);
	for (u32 i = 0; i < s->n; i++) {
		struct server *sv = &s->servers[i];

		sv->sim = s;
		sv->index = i;
		sv->id = i + 1;
		sv->disk.sv = sv;
		sv->outlives = s->kernels && (seed / 11 + i) % 4;
		sv->disk.us = 300;
		sv->peers.sv = sv;
		if (config_default(&sv->cfg)) {
			fprintf(stderr, "config\n");
			exit(2);
		}
		sv->cfg.tick_ms = TICK_MS;
		sv->cfg.min_session_ms = 2 * TICK_MS;
		sv->cfg.max_session_ms = 20 * TICK_MS;
		sv->cfg.init_limit = INIT_LIMIT;
		sv->cfg.sync_limit = SYNC_LIMIT;
		sv->cfg.commit_log_count = 20 + rnd(s, 100);
		sv->cfg.ensemble = ensemble_get(s->ensemble);
		sv->cfg.myid = sv->id;
		/* some ensembles come to the end of their epochs */
		if (s->seed % 8 == 5)
			sv->cfg.first_count = ~0U - 20 - 10 * (s->seed / 8 % 40);
		sv->cfg.linearizable_reads = s->linearizable;
		/* some have sessions of one server, some serve readers without a quorum */
		sv->cfg.local_sessions = s->seed % 4 == 1;
		sv->cfg.local_upgrade = true;
		sv->cfg.readonly_mode = s->seed % 4 == 3;
		sv->cfg.reconfig_enabled = s->reconfig;
		sv->cfg.election_delay_ms = 0;
		if (s->masters) {
			sv->cfg.observer_port = 2191;
			sv->cfg.election_delay_ms = s->seed % 2 ? 200 : 0;
			sv->cfg.reconnect_delay_ms = s->seed % 3 ? 300 : 0;
		}
		sv->cfg.standalone_enabled = false;
		for (u32 k = 0; k < s->n; k++)
			s->latency[i][k] = 100 + rnd(s, 2000);
	}
}

void world_free(struct sim *s)
{
	s->harming = false;
	for (u32 i = 0; i < s->n; i++)
		server_crash(&s->servers[i]);
	clients_free_all(s);
	net_free(s);
	for (u32 i = 0; i < s->n; i++) {
		disk_model_free(&s->servers[i].disk);
		if (s->servers[i].left)
			s->servers[i].left->ops->close(s->servers[i].left);
		config_free(&s->servers[i].cfg);
	}
	while (s->n_heap)
		free(s->heap[--s->n_heap]);
	free(s->heap);
	oracle_free(s);
	ensemble_put(s->ensemble);
}
