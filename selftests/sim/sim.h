/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A simulator of whole ensembles: the daemon's core thread (pipeline, sessions, watches,
 * ZAB) and its store in memory, several of them in one process and one thread; network,
 * disks, clocks and clients are models. All that happens follows from a seed, so a run
 * that fails can be had again, step by step.
 *
 *   sim.c     options, seeds, the process
 *   world.c   time, events, servers: they start, crash, pause
 *   net.c     daemon/peer/peer.h: votes and links, late, cut, one way or both
 *   disk.c    daemon/disk/disk.h: a log of which what is not synced may be lost
 *   client.c  daemon/client/client.h, and clients that use the servers
 *   harm.c    what goes wrong, and when
 *   oracle.c  what must hold after each step
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/disk/disk.h"
#include "daemon/peer/peer.h"
#include "daemon/server/core.h"
#include "daemon/server/core_impl.h"
#include "daemon/store/store.h"
#include "daemon/zab/zab.h"

#define SERVERS_MAX	9
#define CLIENTS_MAX_	16
#define US_MS		1000ULL
#define US_S		1000000ULL

struct sim;
struct server;
struct link;

/* Something that happens at a time, in microseconds. */
struct happening {
	u64 at;
	u64 seq;
	void (*fn)(struct sim *s, struct happening *h);
	struct server *sv;	/* whom it is for; and of which life of his */
	u32 life;
	void *p;
	u64 x;
};

/* A tree as a leader sent it, immutable. */
struct image_node {
	char *path;
	u8 *acl;
	u8 *data;
	struct store_rec rec;
};

struct image {
	u32 refs;
	u64 zxid;
	u32 n, room;
	struct image_node *nodes;
	struct disk_session *sessions;
	u32 n_sessions;
};

/* A server's disk; outlives its crashes. */
struct disk {
	struct server *sv;
	struct image *base;	/* NULL: the tree of a new server */
	struct txn **log;	/* references, in order, all after base's zxid */
	u32 n, room;
	u32 synced;		/* of these, durable */
	u32 written;		/* of these, handed to the disk: the sync under way */
	bool syncing;
	u64 accepted, current;
	u64 us;			/* a sync takes about so long */
	const char *config;	/* disk_config_node() */
	u64 config_version;
	bool failing;		/* refuses writes */
	bool dying;		/* the next fsync returns an error */
	bool broken;		/* one did: what was written since the last may be there or not,
				 * and nothing can be written any more, until another start */
	bool refused;		/* has told the core so */
	void (*durable)(void *arg, u64 zxid);
	void (*failed)(void *arg, int err, const char *text);
	void *arg;
};

/* The last vote to each other server, sent again until it arrives. */
struct vote_slot {
	struct zab_bytes *bytes;
	bool pending;
	bool trying;
	bool refused;		/* since this vote was sent */
};

struct peers {
	struct server *sv;
	enum peer_port open;
	struct vote_slot votes[SERVERS_MAX];
};

struct server {
	struct sim *sim;
	u32 index;
	u64 id;
	bool up;
	bool dead;		/* crashed in the middle of a step: nothing more leaves it */
	bool wiped;		/* its disk was: it has not got all back yet */
	u32 life;
	u64 paused_until;
	u64 round_at;		/* 0: none is due */
	s64 wall_off;		/* ms, of its clock */
	struct config cfg;
	struct disk disk;
	struct peers peers;
	bool outlives;		/* its tree is as one in a kernel: there when the server is not */
	bool shown;		/* that one can be read by others */
	struct store *left;	/* by its last life; NULL: it is gone */
	struct store *st;
	struct store_ops ops;	/* the store's with apply() and set_state() watched */
	const struct store_ops *real;
	struct core *core;
	u64 applied;		/* last seen by the oracle */
	enum zab_state state;
	enum zab_phase phase;
};

struct client_model;

struct counts {
	u64 steps, crashes, mid_crashes, pauses, cuts, resets, slow_links, slow_disks,
	    bad_disks, jumps, lost_txns, power_cuts;
	u64 elections, truncs, trees, histories, diffs, kept, tails;
	u64 requests, writes_acked, unknown, reads, fresh, events, sessions_lost, connects,
	    readers, reconfigs, no_reconfigs, masters;
	u64 strange, fsync_errors, wipes, voter_wipes, half_open, found_out, junk, strangers,
	    repeated_votes;
};

struct sim {
	u64 seed;
	u64 rnd;
	u64 now;		/* microseconds */
	u64 seq;
	struct happening **heap;
	u32 n_heap, heap_room;
	struct server servers[SERVERS_MAX];
	u32 n, voters;
	bool linearizable;	/* reads are (zkern.linearizableReads) */
	bool kernels;		/* some servers' trees are in kernels */
	struct ensemble *ensemble;
	/* cut[a][b]: what a sends to b does not arrive */
	bool cut[SERVERS_MAX][SERVERS_MAX];
	u64 latency[SERVERS_MAX][SERVERS_MAX];	/* us */
	struct link *links;
	u64 next_link;
	struct client_model *clients;
	u32 n_clients;
	bool reconfig;		/* who votes changes */
	bool masters;		/* followers serve the observers */
	bool strange;		/* more goes wrong: harm_strange() */
	bool clients_rest;	/* they ask for nothing more */
	bool harming;
	bool trace;
	struct counts counts;
	char wrong[512];	/* what does not hold; empty: all does */
	struct oracle *oracle;
};

/* ---- sim.c ---- */
/* Says what happens, if anyone wants to see it. */
void tell(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* It does not hold. The first one counts. */
void wrong(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- world.c ---- */
u32 rnd(struct sim *s, u32 below);
bool chance(struct sim *s, u32 percent);
/* @after microseconds from now; for @sv as it lives now (NULL: whoever). */
void happen(struct sim *s, u64 after, struct server *sv,
	    void (*fn)(struct sim *s, struct happening *h), void *p, u64 x);
void world_init(struct sim *s, u64 seed, u32 voters, u32 observers);
void world_free(struct sim *s);
/* Until the time @until, or until something is wrong. */
void world_run(struct sim *s, u64 until);
void server_start(struct server *sv);
void server_crash(struct server *sv);
/* Its host goes without a word: those who are connected find out when they send something
 * after it is back, or after a long time. */
void server_vanish(struct server *sv);
/* It has something to do. */
void server_wake(struct server *sv, u64 after);
/* The middle of a step: a crash may come here. True: it has crashed. */
bool server_falls(struct server *sv);
struct server *server_by_id(struct sim *s, u64 id);

/* ---- net.c ---- */
void net_free(struct sim *s);
void net_server_up(struct server *sv);
void net_server_down(struct server *sv, bool silent);
/* Breaks a link by chance. */
void net_reset_one(struct sim *s);
/* One end of a link gets what is no packet. */
void net_junk_one(struct sim *s);
/* Somebody who is no server, or not the one that he says, connects to a leader. */
void net_stranger(struct sim *s);
/* The last vote of a server to another one comes once more. */
void net_vote_again(struct sim *s);

/* ---- disk.c ---- */
/* Brings a new store to what is on the disk. */
void disk_model_recover(struct disk *d, struct store *st, struct disk_recovery *r);
/* Takes up the tree that is in @st. False: it is not what is on the disk. */
bool disk_model_keep(struct disk *d, struct store *st, struct disk_recovery *r);
/* Power is lost: of what is not synced a part may be there, from its begin. */
void disk_model_crash(struct disk *d);
void disk_model_free(struct disk *d);
/* There is nothing on it any more. */
void disk_model_wipe(struct disk *d);
/* What a leader sent replaces what is there. Takes the reference. */
void disk_model_install(struct disk *d, struct image *im);
u64 disk_model_last(const struct disk *d);
void image_put(struct image *im);

/* ---- client.c ---- */
void clients_init(struct sim *s, u32 n);
void clients_free_all(struct sim *s);
void clients_server_down(struct server *sv);
/* Requests without an answer. */
u32 clients_waiting(const struct sim *s);

/* ---- harm.c ---- */
void harm_start(struct sim *s);
/* All up, whole and quick again. */
void harm_end(struct sim *s);

/* ---- oracle.c ---- */
void oracle_init(struct sim *s);
void oracle_free(struct sim *s);
/* @sv has applied @zxid, its tree has @digest. */
void oracle_applied(struct server *sv, u64 zxid, u64 digest);
/* Others read @sv's tree, if they see it. */
void oracle_shown(struct server *sv);
/* After each round of a server's. */
void oracle_look(struct server *sv);
/* The last transaction that a server has applied, or that was acknowledged. */
u64 oracle_agreed(const struct sim *s);
/* A client was told that its write is done. */
void oracle_acked(struct sim *s, u64 zxid);
/* The last write that anybody was told is done. */
u64 oracle_done(const struct sim *s);
/* A client read the value of a register. */
void oracle_read(struct sim *s, u32 reg, u64 mzxid, const u8 *value, s32 len);
/* After all harm has ended and clients rest: all servers are alike. */
void oracle_end(struct sim *s);
/* One leads, the others are with it. */
bool oracle_settled(struct sim *s);

#endif
