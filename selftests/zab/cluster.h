/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machines (daemon/zab) on a network and disks of a world, with clients, and what must
 * hold after each thing that happens:
 *
 *   A  an epoch is established by one server, once
 *   B  what is committed anywhere is one list, of which each server that serves has a
 *      beginning, and a leader of a new epoch has all
 *   C  zxids only grow
 *   D  a sync() sees what its leader had committed when it was asked for; who is
 *      confirmed has what anybody had committed when he asked
 *   E  when nothing goes wrong any more, everybody serves again, and writes commit
 */
#ifndef SELFTESTS_ZAB_CLUSTER_H
#define SELFTESTS_ZAB_CLUSTER_H

#include "selftests/zab/mdisk.h"
#include "selftests/zab/net.h"

#define TICK_MS		200
#define INIT_LIMIT	10
#define SYNC_LIMIT	5
#define EPOCHS_MAX	8192

struct cluster;

struct node {
	struct cluster *c;
	u32 id;
	u32 life;		/* so many starts */
	bool up;
	bool paused;
	bool disk_bad;
	struct zab *z;
	struct mdisk disk;
	u32 disk_life;		/* an fsync of an older one is not told */
	bool syncing;
	u32 fsync_ms;		/* at most */
	struct mtree tree;	/* all that is committed here ... */
	u32 checked;		/* ... of which so many are known to be everybody's ... */
	u32 applied;		/* ... and so many are in the tree */
	bool applying;
	u64 tick_at;
	bool stepping;
	struct zab_event later[8];	/* that came while the actions were carried out */
	u32 n_later;
	u64 syncs[1024];	/* what the leader had when each sync() was asked for */
	u32 sync_head, sync_tail;
	struct {
		u64 round;
		u64 agreed;
	} asks[1024];		/* zab_confirm(), and what was committed anywhere by then */
	u32 ask_head, ask_tail;
	u32 answers;		/* REVALIDATE */
	struct ensemble *e, *next;	/* its files of the membership; NULL: the cluster's */
};

struct cluster {
	struct world *w;
	struct net *net;
	struct ensemble *e;
	u32 n;
	struct node nodes[NET_MAX];
	struct mtree agreed;	/* what was committed anywhere */
	u32 owner[EPOCHS_MAX];	/* who established an epoch, and one */
	u64 newest;		/* the last epoch that was */
	u64 ids;
	u64 calls;
	bool clients;
	bool reconfig;
	bool masters;
	u32 history_max;
	u32 snap_syncs, diff_syncs;
	u32 sudden;		/* once in so many actions a server dies before it; 0: never */
	u32 starve;		/* once in so many steps there is no memory; 0: never */
	bool failed;
	bool verbose;
	/* how much of what there was */
	u64 proposals, commits, elections, diffs, truncs, snaps, histories, reloads, synced,
	    confirmed,
	    starved, died,
	    closed;		/* by leaders */
};

/* Servers 0..@voters-1 vote, @observers more observe. */
struct cluster *cluster_new(u64 seed, u32 voters, u32 observers);
void cluster_free(struct cluster *c);
void cluster_start(struct cluster *c, u32 node);
void cluster_crash(struct cluster *c, u32 node);
void cluster_pause(struct cluster *c, u32 node, bool paused);
void cluster_disk_fail(struct cluster *c, u32 node);
void cluster_snapshot(struct cluster *c, u32 node);
/* An event for a machine. */
void cluster_step(struct node *n, const struct zab_event *ev);
/* Runs for @ms, or until something does not hold. */
void cluster_run(struct cluster *c, u32 ms);
/* Runs until it is so, at most @ms; false: it never was. */
bool cluster_until(struct cluster *c, u32 ms, bool (*so)(struct cluster *c));
/* Everybody serves and has all that is committed. */
bool cluster_whole(struct cluster *c);
/* The one that leads and serves, or NULL. */
struct node *cluster_leader(struct cluster *c);
/* The leader proposes one; false: there is none, or it takes none. */
bool cluster_propose(struct node *n);
/* The leader proposes that servers of @voters vote, and those of @observers observe. */
bool cluster_reconfig(struct cluster *c, const struct idset *voters,
		      const struct idset *observers);
void cluster_fail(struct cluster *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
