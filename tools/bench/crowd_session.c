// SPDX-License-Identifier: GPL-2.0-or-later
/* The crowd's scenes about sessions. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "tools/bench/crowd.h"

#define DEPTH	512
#define TOP	"/crowd"
#define OTHER	"/crowd-other"

struct ticket {
	u64 sid;
	u8 passwd[ZK_PASSWD_LEN];
};

static u64 ms_since(u64 began)
{
	return (now_ns() - began) / 1000000;
}

static void all_off(struct crowd *c)
{
	for (u32 i = 0; i < c->n_peers; i++)
		peer_stop(c, &c->peers[i]);
}

/* Connects the sessions from @at on, or makes them if they have no id; as many as
 * there are peers. */
static u32 wave(struct crowd *c, struct ticket *t, u32 at)
{
	u32 n = c->count - at < c->n_peers ? c->count - at : c->n_peers;

	for (u32 i = 0; i < n; i++) {
		c->peers[i].sid = t[at + i].sid;
		memcpy(c->peers[i].passwd, t[at + i].passwd, ZK_PASSWD_LEN);
	}
	crowd_up(c, n, 256);
	for (u32 i = 0; i < n; i++) {
		t[at + i].sid = c->peers[i].sid;
		memcpy(t[at + i].passwd, c->peers[i].passwd, ZK_PASSWD_LEN);
	}
	return n;
}

static int by_id(const void *a, const void *b)
{
	u64 x = ((const struct ticket *)a)->sid, y = ((const struct ticket *)b)->sid;

	return x < y ? -1 : x > y;
}

void scene_sessions(struct crowd *c)
{
	struct ticket *t = calloc(c->count, sizeof(*t));
	u32 n, at, lost = 0;
	u64 began;

	crowd_open(c, c->at_once < c->count ? c->at_once : c->count);
	if (!t || crowd_hook(c, "before"))
		die("the hook failed");
	began = now_ns();
	n = wave(c, t, 0);
	printf("connected=%u connect_ms=%llu\n", n, ms_since(began));
	if (crowd_hook(c, "after"))
		die("the hook failed");
	all_off(c);
	began = now_ns();
	for (at = n; at < c->count; at += n) {
		n = wave(c, t, at);
		all_off(c);
	}
	printf("sessions=%u made_ms=%llu\n", c->count, ms_since(began));
	if (crowd_hook(c, "end"))
		die("the hook failed");
	/* every one is there, and no two are the same */
	began = now_ns();
	for (at = 0; at < c->count; at += n) {
		n = wave(c, t, at);
		all_off(c);
	}
	for (u32 i = 0; i < c->n_peers; i++)
		lost += c->peers[i].lost;
	qsort(t, c->count, sizeof(*t), by_id);
	for (u32 i = 1; i < c->count; i++)
		if (t[i].sid == t[i - 1].sid)
			die("two sessions have the id 0x%llx", t[i].sid);
	printf("found=%u lost=%u found_ms=%llu\n", c->count - lost, lost, ms_since(began));
	free(t);
}

void scene_reconnect(struct crowd *c)
{
	u64 began;
	u32 lost = 0;

	crowd_open(c, c->clients);
	crowd_up(c, c->clients, 256);
	all_off(c);
	if (crowd_hook(c, "restart"))
		die("the server does not start again");
	began = now_ns();
	crowd_up(c, c->clients, c->clients);
	for (u32 i = 0; i < c->clients; i++)
		lost += c->peers[i].lost;
	printf("reconnected=%u lost=%u refused=%llu reconnect_ms=%llu\n", c->clients, lost,
	       c->failed - lost, ms_since(began));
}

/* ------------------------------------------------------------ ephemerals */

static u64 worst, listed;
static struct peer *writer;

static void take_ok(struct crowd *c, struct peer *p, s32 err, const u8 *body, u32 len)
{
	u64 ns = now_ns() - p->sent_ns;

	(void)c;
	if (err && err != ZNODEEXISTS)
		die("the server answered %d", err);
	if (p == writer)
		worst = ns > worst ? ns : worst;
	else if (len >= 4)
		listed = jute_get32(body);
}

static void make_node(struct crowd *c, struct peer *p, const char *path, s32 flags)
{
	put_create(peer_request(c, p, OP_CREATE), path, flags);
	peer_send(c, p);
}

static void ephemeral_path(char *path, size_t size, u32 i)
{
	snprintf(path, size, TOP "/ephemeral-%08u", i);
}

/* Ephemerals from @at on, in one multi. */
static void make_batch(struct crowd *c, struct peer *p, u32 at, u32 n)
{
	struct jw *w = peer_request(c, p, OP_MULTI);
	char path[64];

	for (u32 i = at; i < at + n; i++) {
		ephemeral_path(path, sizeof(path), i);
		jw_int(w, OP_CREATE);
		jw_bool(w, false);
		jw_int(w, -1);
		put_create(w, path, CREATE_EPHEMERAL);
	}
	jw_int(w, -1);
	jw_bool(w, true);
	jw_int(w, -1);
	peer_send(c, p);
}

static void make_ephemerals(struct crowd *c, struct peer *p)
{
	char path[64];

	for (u32 i = 0; i < c->count; i += c->batch) {
		if (c->batch == 1) {
			ephemeral_path(path, sizeof(path), i);
			make_node(c, p, path, CREATE_EPHEMERAL);
		} else {
			make_batch(c, p, i, c->count - i < c->batch ? c->count - i : c->batch);
		}
		crowd_drain(c, DEPTH / c->batch);
	}
	crowd_drain(c, 0);
}

/* Children of TOP, by its stat, as @p sees them. */
static void take_stat(struct crowd *c, struct peer *p, s32 err, const u8 *body, u32 len)
{
	(void)c;
	(void)p;
	if (err || len < ZK_STAT_LEN)
		die("exists %s: %d", TOP, err);
	listed = jute_get32(body + 56);
}

static u64 children_of_top(struct crowd *c, struct peer *p)
{
	struct jw *w;

	c->on_reply = take_stat;
	w = peer_request(c, p, OP_EXISTS);
	jw_str(w, TOP, strlen(TOP));
	jw_bool(w, false);
	peer_send(c, p);
	crowd_drain(c, 0);
	return listed;
}

static void close_and_write_on(struct crowd *c, struct peer *p)
{
	u64 began = now_ns();
	struct jw *w;

	worst = 0;
	p->closing = true;
	peer_request(c, p, OP_CLOSESESSION);
	peer_send(c, p);
	while (p->out) {
		if (!writer->out) {
			w = peer_request(c, writer, OP_SETDATA);
			jw_str(w, OTHER, strlen(OTHER));
			jw_str(w, "x", 1);
			jw_int(w, -1);
			peer_send(c, writer);
		}
		crowd_step(c, 100);
	}
	peer_stop(c, p);
	printf("close_ms=%llu ", ms_since(began));
	crowd_drain(c, 0);
	printf("worst_ms=%llu\n", worst / 1000000);
}

void scene_ephemerals(struct crowd *c)
{
	struct peer *p;
	u64 began;
	struct jw *w;

	crowd_open(c, 2);
	p = &c->peers[0];
	writer = &c->peers[1];
	c->on_reply = take_ok;
	crowd_up(c, 2, 2);
	make_node(c, writer, TOP, 0);
	make_node(c, writer, OTHER, 0);
	crowd_drain(c, 0);
	began = now_ns();
	make_ephemerals(c, p);
	printf("ephemerals=%u created_ms=%llu\n", c->count, ms_since(began));
	if (children_of_top(c, writer) != c->count)
		die("%s has %llu children", TOP, listed);
	c->on_reply = take_ok;
	began = now_ns();
	listed = 0;
	w = peer_request(c, p, OP_GETEPHEMERALS);
	jw_str(w, "", 0);
	peer_send(c, p);
	crowd_drain(c, 0);
	printf("listed=%llu list_ms=%llu\n", listed, ms_since(began));
	close_and_write_on(c, p);
	if (children_of_top(c, writer))
		die("%llu ephemerals are left", listed);
	peer_stop(c, writer);
	began = now_ns();
	if (crowd_hook(c, "restart")) {
		printf("restarted=0\n");
		return;
	}
	printf("restarted=1 restart_ms=%llu ", ms_since(began));
	writer->sid = 0;
	crowd_up(c, 2, 2);
	printf("left=%llu\n", children_of_top(c, writer));
}
