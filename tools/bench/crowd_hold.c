// SPDX-License-Identifier: GPL-2.0-or-later
/* The crowd's scenes about sessions that stay, and about what their end costs another. */
#include <signal.h>
#include <stdio.h>
#include "tools/bench/crowd.h"

#define NODE	"/crowd-witness"
#define GAP_MS	5	/* between a reply and the next write */

static volatile sig_atomic_t tell, stop;

static void on_signal(int sig)
{
	if (sig == SIGTERM)
		stop = 1;
	else
		tell = 1;
}

static u64 ms_since(u64 began)
{
	return (now_ns() - began) / 1000000;
}

/* All at once, and until all are answered. */
static void ping_all(struct crowd *c)
{
	u64 began = now_ns();

	for (u32 i = 0; i < c->n_peers; i++) {
		c->peers[i].pongs = 0;
		c->peers[i].pinged_ns = 0;
	}
	c->ponged = 0;
	while (c->ponged < c->up)
		crowd_step(c, 10);
	printf("all_pinged_ms=%llu\n", ms_since(began));
}

/* Who is connected, and how often the least heard one's pings were answered. */
static void tell_kept(struct crowd *c)
{
	u32 least = ~0U;

	for (u32 i = 0; i < c->n_peers; i++)
		if (c->peers[i].pongs < least)
			least = c->peers[i].pongs;
	printf("kept=%u pongs=%u\n", c->up, least);
}

void scene_hold(struct crowd *c)
{
	u64 began = now_ns();

	crowd_open(c, c->count);
	crowd_up(c, c->count, 256);
	printf("connected=%u connect_ms=%llu refused=%llu\n", c->up, ms_since(began),
	       c->failed);
	for (u32 i = 0; i < c->n_peers; i++)
		c->peers[i].pongs = 0;
	began = now_ns();
	while (ms_since(began) < c->seconds * 1000ULL)
		crowd_step(c, 10);
	tell_kept(c);
	signal(SIGUSR1, on_signal);
	for (;;) {
		crowd_step(c, 10);
		if (tell)
			ping_all(c);
		tell = 0;
	}
}

/* ------------------------------------------------------------ witness */

static u64 worst, writes;

static void take_written(struct crowd *c, struct peer *p, s32 err, const u8 *body, u32 len)
{
	u64 ns = now_ns() - p->sent_ns;

	(void)c;
	(void)body;
	(void)len;
	if (err && err != ZNODEEXISTS)
		die("the server answered %d", err);
	writes++;
	worst = ns > worst ? ns : worst;
}

static void tell_writes(void)
{
	printf("writes=%llu worst_us=%llu\n", writes, worst / 1000);
	writes = 0;
	worst = 0;
}

static void write_once(struct crowd *c, struct peer *p)
{
	struct jw *w = peer_request(c, p, OP_SETDATA);

	jw_str(w, NODE, strlen(NODE));
	jw_str(w, "x", 1);
	jw_int(w, -1);
	peer_send(c, p);
	crowd_drain(c, 0);
}

void scene_witness(struct crowd *c)
{
	crowd_open(c, 1);
	crowd_up(c, 1, 1);
	c->on_reply = take_written;
	put_create(peer_request(c, &c->peers[0], OP_CREATE), NODE, 0);
	peer_send(c, &c->peers[0]);
	crowd_drain(c, 0);
	signal(SIGUSR1, on_signal);
	signal(SIGTERM, on_signal);
	printf("up=1\n");
	while (!stop) {
		write_once(c, &c->peers[0]);
		crowd_step(c, GAP_MS);
		if (tell)
			tell_writes();
		tell = 0;
	}
	tell_writes();
}
