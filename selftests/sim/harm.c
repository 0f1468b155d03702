// SPDX-License-Identifier: GPL-2.0-or-later
/* What goes wrong: chosen anew every now and then, each for a while. */
#include "selftests/sim/sim.h"

static struct server *any(struct sim *s)
{
	return &s->servers[rnd(s, s->n)];
}

static void start_again(struct sim *s, struct happening *h)
{
	(void)s;
	server_start(h->p);
}

static void crash(struct sim *s, struct server *sv)
{
	server_crash(sv);
	happen(s, 10 * US_MS + rnd(s, 4 * US_S), NULL, start_again, sv, 0);
}

static void restart_broken(struct sim *s, struct happening *h)
{
	struct server *sv = h->sv;

	if (sv->up && sv->life == h->life)
		crash(s, sv);
}

/* The power of all of them. */
static void crash_all(struct sim *s)
{
	s->counts.power_cuts++;
	for (u32 i = 0; i < s->n; i++)
		crash(s, &s->servers[i]);
}

/* One that fell in the middle of a step is helped up, too. */
static void look_after(struct sim *s, struct happening *h)
{
	(void)h;
	for (u32 i = 0; i < s->n; i++)
		if (!s->servers[i].up && chance(s, 20))
			server_start(&s->servers[i]);
	if (s->harming)
		happen(s, 300 * US_MS, NULL, look_after, NULL, 0);
}

static void mend_cut(struct sim *s, struct happening *h)
{
	s->cut[h->x / SERVERS_MAX][h->x % SERVERS_MAX] = false;
}

static void cut_one(struct sim *s, u32 a, u32 b, u64 us)
{
	if (a == b)
		return;
	s->cut[a][b] = true;
	happen(s, us, NULL, mend_cut, NULL, a * SERVERS_MAX + b);
}

/* A group is cut off from the rest: both ways, or one. */
static void partition(struct sim *s)
{
	u64 us = 100 * US_MS + rnd(s, 5 * US_S);
	u32 side = rnd(s, (1u << s->n) - 1) + 1, way = rnd(s, 3);

	tell(s, "servers of %x are cut off, way %u, %llu ms", side, way, us / US_MS);
	s->counts.cuts++;
	for (u32 a = 0; a < s->n; a++) {
		for (u32 b = 0; b < s->n; b++) {
			if (!(side >> a & 1) || (side >> b & 1))
				continue;
			if (way != 1)
				cut_one(s, a, b, us);
			if (way != 2)
				cut_one(s, b, a, us);
		}
	}
}

/* Each is alone, for long enough to serve readers. */
static void isolate_all(struct sim *s)
{
	u64 us = 5 * US_S + rnd(s, 4 * US_S);

	tell(s, "every server is cut off from every other, %llu ms", us / US_MS);
	s->counts.cuts++;
	for (u32 a = 0; a < s->n; a++)
		for (u32 b = 0; b < s->n; b++)
			cut_one(s, a, b, us);
}

static void quick_again(struct sim *s, struct happening *h)
{
	s->latency[h->x / SERVERS_MAX][h->x % SERVERS_MAX] = 100 + rnd(s, 2000);
}

static void slow_link(struct sim *s)
{
	u32 a = rnd(s, s->n), b = rnd(s, s->n);

	s->latency[a][b] = 10 * US_MS + rnd(s, 400 * US_MS);
	s->counts.slow_links++;
	happen(s, rnd(s, 6 * US_S), NULL, quick_again, NULL, a * SERVERS_MAX + b);
}

static void disk_well(struct sim *s, struct happening *h)
{
	struct disk *d = h->p;

	(void)s;
	d->us = 300;
	d->failing = false;
}

static void slow_disk(struct sim *s)
{
	struct server *sv = any(s);

	sv->disk.us = 5 * US_MS + rnd(s, 800 * US_MS);
	s->counts.slow_disks++;
	happen(s, rnd(s, 6 * US_S), NULL, disk_well, &sv->disk, 0);
}

static void bad_disk(struct sim *s)
{
	struct server *sv = any(s);

	tell(s, "the disk of server %llu is full", sv->id);
	sv->disk.failing = true;
	s->counts.bad_disks++;
	happen(s, rnd(s, 4 * US_S), NULL, disk_well, &sv->disk, 0);
}

static void pause_one(struct sim *s)
{
	struct server *sv = any(s);

	if (!sv->up)
		return;
	sv->paused_until = s->now + rnd(s, 5 * US_S);
	s->counts.pauses++;
	tell(s, "server %llu pauses for %llu ms", sv->id, (sv->paused_until - s->now) / US_MS);
}

static void jump(struct sim *s)
{
	any(s)->wall_off = (s64)rnd(s, 7200000) - 3600000;
	s->counts.jumps++;
}

/* ---------------------------------------------------------------- the stranger things */

static void bad_fsync(struct sim *s)
{
	struct server *sv = any(s);

	if (!sv->up || sv->dead || sv->disk.dying || sv->disk.broken)
		return;
	sv->disk.dying = true;
	/* whoever looks after it starts it again, in the end */
	happen(s, US_S + rnd(s, 6 * US_S), sv, restart_broken, NULL, 0);
}

static void vanish(struct sim *s, struct server *sv)
{
	if (sv->up)
		server_vanish(sv);
	happen(s, 10 * US_MS + rnd(s, 6 * US_S), NULL, start_again, sv, 0);
}

static bool votes(const struct server *sv)
{
	return ensemble_votes(sv->sim->ensemble, sv->id);
}

/*
 * A voter whose disk is gone has forgotten what it promised and acknowledged. No ensemble
 * can bear that at any time: only when all the others have everything, nothing is under
 * way, and no server is still of an earlier epoch. (Two at a time are a majority's.)
 */
static bool can_be_wiped(struct sim *s, const struct server *sv)
{
	u64 epoch = 0, last = 0;

	for (u32 i = 0; i < s->n; i++)
		if (s->servers[i].wiped)
			return false;
	if (!votes(sv))
		return true;
	for (u32 i = 0; i < s->n; i++) {
		const struct server *o = &s->servers[i];
		const struct zab *z = o->up ? o->core->zab : NULL;

		if (!votes(o))
			continue;
		if (!z || o->dead || o->phase != ZAB_BROADCAST || o->disk.n != o->disk.synced ||
		    zab_committed(z) != zab_last_zxid(z) ||
		    disk_model_last(&o->disk) != zab_last_zxid(z) ||
		    o->paused_until > s->now || (epoch && zab_epoch(z) != epoch) ||
		    (last && zab_last_zxid(z) != last))
			return false;
		epoch = zab_epoch(z);
		last = zab_last_zxid(z);
	}
	return last >= oracle_agreed(s);
}

/* Its time comes, or it does not. */
static void wipe(struct sim *s, struct happening *h)
{
	struct server *sv = h->p;

	if (!s->harming || s->reconfig)
		return;
	if (!can_be_wiped(s, sv)) {
		if (h->x)
			happen(s, 10 * US_MS + rnd(s, 20 * US_MS), NULL, wipe, sv, h->x - 1);
		return;
	}
	tell(s, "the disk of server %llu is replaced by an empty one", sv->id);
	s->counts.wipes++;
	s->counts.voter_wipes += votes(sv);
	crash(s, sv);
	disk_model_wipe(&sv->disk);
	sv->wiped = true;
}

static void harm_strange(struct sim *s)
{
	s->counts.strange++;
	switch (rnd(s, 8)) {
	case 0:
		bad_fsync(s);
		break;
	case 1:
		vanish(s, any(s));
		break;
	case 2:
		happen(s, 0, NULL, wipe, any(s), 200);
		break;
	case 3:
		net_junk_one(s);
		break;
	case 4: case 5:
		net_stranger(s);
		break;
	case 6: case 7:
		for (u32 i = rnd(s, 20); i; i--)
			net_vote_again(s);
		break;
	}
}

static void harm(struct sim *s, struct happening *h)
{
	(void)h;
	if (!s->harming)
		return;
	if (s->strange && !rnd(s, 2))
		harm_strange(s);
	if (s->servers[0].cfg.readonly_mode && !rnd(s, 8))
		isolate_all(s);
	switch (rnd(s, 16)) {
	case 0: case 1: case 2: case 3:
		crash(s, any(s));
		break;
	case 4:
		for (u32 i = 0; i < s->n; i++)
			if (s->servers[i].state == ZAB_LEADING)
				crash(s, &s->servers[i]);
		break;
	case 5:
		if (chance(s, 30))
			crash_all(s);
		break;
	case 6: case 7: case 8:
		partition(s);
		break;
	case 9:
		slow_link(s);
		break;
	case 10:
		slow_disk(s);
		break;
	case 11:
		bad_disk(s);
		break;
	case 12: case 13:
		pause_one(s);
		break;
	case 14:
		jump(s);
		break;
	case 15:
		net_reset_one(s);
		break;
	}
	happen(s, 20 * US_MS + rnd(s, 2 * US_S), NULL, harm, NULL, 0);
}

void harm_start(struct sim *s)
{
	s->harming = true;
	happen(s, rnd(s, 2 * US_S), NULL, harm, NULL, 0);
	happen(s, US_S, NULL, look_after, NULL, 0);
}

void harm_end(struct sim *s)
{
	s->harming = false;
	memset(s->cut, 0, sizeof(s->cut));
	for (u32 i = 0; i < s->n; i++) {
		struct server *sv = &s->servers[i];

		sv->disk.us = 300;
		sv->disk.failing = false;
		sv->disk.dying = false;
		sv->paused_until = 0;
		if (sv->disk.broken)
			server_crash(sv);
		if (!sv->up)
			server_start(sv);
		for (u32 k = 0; k < s->n; k++)
			s->latency[i][k] = 500;
	}
	tell(s, "all harm is over");
}
