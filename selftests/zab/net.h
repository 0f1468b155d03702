/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network between up to NET_MAX servers of a world, as their machines see it
 * (daemon/zab/zab.h): votes, and links that keep order, break, and carry packets, parts
 * of a log and whole trees. It is daemon/peer's model.
 *
 * A direction between two servers can be cut: what is sent then waits, as TCP's does,
 * and a link that waited for too long breaks. Votes are lost at once.
 */
#ifndef SELFTESTS_ZAB_NET_H
#define SELFTESTS_ZAB_NET_H

#include "daemon/zab/zab.h"
#include "selftests/zab/world.h"

#define NET_MAX		16

struct net;

/* What the network does to server @node. The event is good during the call. */
typedef void (*net_deliver)(void *arg, u32 node, const struct zab_event *ev);
/* A tree came whole on @link: becomes the server's own, before RECEIVED is delivered. */
typedef void (*net_tree)(void *arg, u32 node, u64 link, u64 zxid, void *tree);

struct net_params {
	struct world *w;
	u32 nodes;		/* ids are indices */
	u32 init_ms;		/* a link asked for that did not come to be is down then,
				 * one on which nothing passed for as long breaks */
	net_deliver deliver;
	net_tree tree;
	void (*tree_free)(void *tree);
	void *arg;
};

struct net *net_new(const struct net_params *p);
void net_free(struct net *n);

/* The server runs: it gets things. Not: all its links break, what was sent is lost. */
void net_up(struct net *n, u32 node, bool up);
/* It takes learners. */
void net_lead(struct net *n, u32 node, bool leads);
/* It is stopped: what comes waits until it goes on. */
void net_pause(struct net *n, u32 node, bool paused);
void net_cut(struct net *n, u32 from, u32 to, bool cut);
void net_heal(struct net *n);
/* Breaks a link of it, if it has any. */
void net_break_one(struct net *n, u32 node);
/* ms that everything takes, at most, from now on. */
void net_latency(struct net *n, u32 ms);

/* The actions. */
void net_notify(struct net *n, u32 from, u64 to, struct zab_bytes *b);
void net_connect(struct net *n, u32 node, u64 to, u64 link);
/* Takes a reference. */
void net_send(struct net *n, u32 node, u64 link, struct zab_bytes *b);
void net_send_packet(struct net *n, u32 node, u64 link, s32 type, u64 zxid, const void *data,
		     s32 len);
/* Takes @tree over. */
void net_send_tree(struct net *n, u32 node, u64 link, u64 zxid, void *tree);
/* What follows the SNAP that was delivered on @link is the tree. */
void net_receive(struct net *n, u32 node, u64 link);
void net_close(struct net *n, u32 node, u64 link);
/* If set, it sees each packet as it is delivered. */
typedef void (*net_spy)(void *arg, u32 from, u32 to, const struct zab_packet *p);
void net_set_spy(struct net *n, net_spy spy);

#endif
