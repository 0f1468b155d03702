/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A crowd of clients in one process: as many connections as there may be
 * descriptors, one thread, epoll. What its files share.
 *
 *   crowd.c          options, which scene is played
 *   crowd_peer.c     one client: connecting, frames in and out
 *   crowd_watch.c    the scenes about watches
 *   crowd_session.c  the scenes about sessions
 *   crowd_hold.c     the scenes about sessions that stay, and about their end
 *
 * Sessions are asked for with a long timeout, so nobody pings, unless --timeout says
 * otherwise: then each client pings once in a third of it.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <linux/types.h>
#include <linux/list.h>
#include "daemon/proto/jute.h"
#include "daemon/proto/zookeeper.h"
#include "tools/bench/load.h"

#define CROWD_SESSION_MS	600000

enum peer_state { PEER_OFF, PEER_CONNECTING, PEER_SHAKING, PEER_UP };

struct peer {
	int fd;
	enum peer_state state;
	u32 id;
	u64 sid;		/* 0: a new session at the next connect */
	u8 passwd[ZK_PASSWD_LEN];
	s32 xid;		/* of its last request */
	u32 out;		/* requests without a reply */
	bool closing;		/* the server may close the connection */
	u64 sent_ns;		/* the last one */
	u64 events;
	u64 pinged_ns;		/* or connected */
	struct list_head turn;	/* to ping: by that time */
	u32 pongs;
	u32 lost;		/* sessions that the server did not know */
	struct jw tx;
	size_t tx_at;
	u8 *rx;
	size_t rx_len;
	size_t rx_cap;
	size_t frame_at;
};

struct crowd {
	struct sockaddr_in addr;
	const char *hook;	/* a command, run with what has come about */
	const char *scene;
	const char *kind;
	u32 clients;
	u32 paths;
	u32 count;
	u32 at_once;
	u32 batch;		/* creates in one multi; 1: none */
	u32 timeout_ms;		/* of sessions */
	u32 ping_ms;		/* 0: nobody pings */
	u32 seconds;		/* that are looked at */
	u32 patience_s;		/* for anything that is awaited */
	int ep;
	struct peer *peers;
	u32 n_peers;
	u32 up;			/* in PEER_UP */
	u32 trying;		/* on the way there */
	struct list_head turns;	/* of those that are up */
	u32 out;		/* replies awaited, of all */
	u64 events;
	u32 ponged;		/* clients, since their ->pongs were set to 0 */
	u64 failed;		/* connections refused or broken */
	/* each reply; may be NULL. The error is ZOK or what the scene can bear. */
	void (*on_reply)(struct crowd *c, struct peer *p, s32 err, const u8 *body, u32 len);
};

/* ---- crowd_peer.c: all end the process, with a word, on what should not be */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void crowd_open(struct crowd *c, u32 n);
void crowd_close(struct crowd *c);
/* Begins to connect; p->sid says which session. */
void peer_start(struct crowd *c, struct peer *p);
/* Breaks the connection off; the session lives on. */
void peer_stop(struct crowd *c, struct peer *p);
/* A request's header; its body is to be written to the result, then peer_send(). */
struct jw *peer_request(struct crowd *c, struct peer *p, s32 op);
void peer_send(struct crowd *c, struct peer *p);
/* One round of epoll. */
void crowd_step(struct crowd *c, int timeout_ms);
/* Until all of the first @n peers are up; those that are refused try again. */
void crowd_up(struct crowd *c, u32 n, u32 parallel);
/* Until no more than @left replies are awaited. */
void crowd_drain(struct crowd *c, u32 left);
/* Runs the hook; its exit status. */
int crowd_hook(struct crowd *c, const char *what);
void put_create(struct jw *w, const char *path, s32 flags);

/* ---- the scenes */
void scene_watches(struct crowd *c);
void scene_storm(struct crowd *c);
void scene_sessions(struct crowd *c);
void scene_reconnect(struct crowd *c);
void scene_ephemerals(struct crowd *c);
void scene_hold(struct crowd *c);
void scene_witness(struct crowd *c);

#endif
