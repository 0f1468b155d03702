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

static void harm(struct sim *s, struct happening *h)
{
	(void)h;
	if (!s->harming)
		return;
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
		sv->paused_until = 0;
		if (!sv->up)
			server_start(sv);
		for (u32 k = 0; k < s->n; k++)
			s->latency[i][k] = 500;
	}
	tell(s, "all harm is over");
}
