// SPDX-License-Identifier: GPL-2.0-or-later
/* The crowd's scenes about watches. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "tools/bench/crowd.h"

#define DEPTH		64	/* of each client */
#define WARM_WRITES	500
#define NODE		"/crowd-storm"
#define OTHER		"/crowd-other"

/* What is not there is watched just as well. */
static void take_any(struct crowd *c, struct peer *p, s32 err, const u8 *body, u32 len)
{
	(void)c;
	(void)p;
	(void)body;
	(void)len;
	if (err && err != ZNONODE && err != ZNODEEXISTS)
		die("the server answered %d", err);
}

static void put_watch(struct crowd *c, struct peer *p, u32 path)
{
	char name[64];
	struct jw *w;
	int n;

	n = snprintf(name, sizeof(name), "/service/group-%02u/member-%08u", path % 10, path);
	if (!strcmp(c->kind, "data")) {
		w = peer_request(c, p, OP_EXISTS);
		jw_str(w, name, n);
		jw_bool(w, true);
	} else {
		w = peer_request(c, p, OP_ADDWATCH);
		jw_str(w, name, n);
		jw_int(w, !strcmp(c->kind, "recursive"));
	}
	peer_send(c, p);
}

/* Every client sets its share, a few outstanding at a time. */
void scene_watches(struct crowd *c)
{
	u32 each = c->count / c->clients, done = 0;
	u64 began;

	crowd_open(c, c->clients);
	c->on_reply = take_any;
	crowd_up(c, c->clients, 256);
	if (crowd_hook(c, "before"))
		die("the hook failed");
	began = now_ns();
	while (done < each) {
		u32 n = each - done < DEPTH ? each - done : DEPTH;

		for (u32 i = 0; i < c->clients; i++)
			for (u32 k = 0; k < n; k++)
				put_watch(c, &c->peers[i], c->paths ? (done + k) % c->paths :
					  i * each + done + k);
		crowd_drain(c, 0);
		done += n;
	}
	printf("watches=%u set_ms=%llu\n", each * c->clients, (now_ns() - began) / 1000000);
	if (crowd_hook(c, "after"))
		die("the hook failed");
}

/* ------------------------------------------------------------ storm */

static struct hist *hist;
static u64 worst;
static struct peer *writer;

static void put_set(struct crowd *c, struct peer *p, const char *path)
{
	struct jw *w = peer_request(c, p, OP_SETDATA);

	jw_str(w, path, strlen(path));
	jw_str(w, "x", 1);
	jw_int(w, -1);
	peer_send(c, p);
}

/* The writer writes on; the others' replies are not looked at. */
static void take_written(struct crowd *c, struct peer *p, s32 err, const u8 *body, u32 len)
{
	u64 ns;

	take_any(c, p, err, body, len);
	if (p != writer)
		return;
	ns = now_ns() - p->sent_ns;
	hist_add(hist, ns);
	worst = ns > worst ? ns : worst;
}

static void write_on(struct crowd *c)
{
	if (!writer->out)
		put_set(c, writer, OTHER);
	crowd_step(c, 100);
}

void scene_storm(struct crowd *c)
{
	struct peer *first;
	u64 calm, began, told;
	u32 n = c->clients;

	crowd_open(c, n + 2);
	writer = &c->peers[n];
	first = &c->peers[n + 1];
	c->on_reply = take_any;
	crowd_up(c, n + 2, 256);
	put_create(peer_request(c, first, OP_CREATE), NODE, 0);
	peer_send(c, first);
	put_create(peer_request(c, first, OP_CREATE), OTHER, 0);
	peer_send(c, first);
	crowd_drain(c, 0);
	for (u32 i = 0; i < n; i++) {
		struct jw *w = peer_request(c, &c->peers[i], OP_GETDATA);

		jw_str(w, NODE, strlen(NODE));
		jw_bool(w, true);
		peer_send(c, &c->peers[i]);
	}
	crowd_drain(c, 0);
	hist = hist_new();
	c->on_reply = take_written;
	for (u32 i = 0; i < WARM_WRITES; ) {
		i += !writer->out;
		write_on(c);
	}
	calm = hist_at(hist, 0.5);
	crowd_drain(c, 0);
	worst = 0;
	began = now_ns();
	put_set(c, first, NODE);
	while (c->events < n)
		write_on(c);
	told = now_ns() - began;
	crowd_drain(c, 0);
	/* once each, and no more */
	for (u32 i = 0; i < 20; i++)
		crowd_step(c, 10);
	for (u32 i = 0; i < n; i++)
		if (c->peers[i].events != 1)
			die("client %u heard of it %llu times", i, c->peers[i].events);
	printf("events=%u told_us=%llu worst_us=%llu calm_us=%llu\n", n, told / 1000,
	       worst / 1000, calm / 1000);
}
