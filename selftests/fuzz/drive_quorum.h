/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole server of an ensemble in one thread, for the fuzzers of the two ports between
 * servers: the daemon's own core, ZAB, peers, disk and memory store; the loops of the core,
 * of the thread "peers" and of the log are turned by hand, the clock goes when it is told
 * to, and its sockets lead to the fuzzer, who is all the other servers (drive_sock.c). An input has
 * run its whole course when srv_pump() returns, and the same input does the same again.
 *
 * The server is number 1 of 1, 2, 3 (and 4, an observer), or an observer of 2, 3, 4. Each
 * input has a new one, on files of its own.
 *
 *   drive_peers.c    the thread "peers"
 *   drive_log.c      the log's
 *   drive_sock.c     sockets
 *   drive_quorum.c   the server, time
 *   drive_honest.c   what honest servers say; after each input, an ensemble with them
 *   drive_events.c   an input's bytes as what happens
 */
#ifndef FUZZ_DRIVE_QUORUM_H
#define FUZZ_DRIVE_QUORUM_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/server/core_impl.h"
#include "daemon/zab/zab_impl.h"
#include "selftests/fuzz/drive_peers.h"

#define QUORUM_TICK_MS	100
#define ELECTION_PORT	3000	/* and the server's number */
#define QUORUM_PORT	2000

/* --- drive_quorum.c */
struct fuzz_server {
	struct config cfg;
	struct store *st;
	struct disk *disk;
	struct peers *peers;
	struct core *core;
	bool observer;
};
extern struct fuzz_server server;

/* A new server; with @history it has some, and has been in an ensemble. */
void srv_start(bool observer, bool reconfig, bool history);
/* Stops it; its files must be those of a server. */
void srv_stop(void);
/* Turns the loops until nothing moves any more. */
void srv_pump(void);
/* Time goes on, then the same. */
void srv_pass(u32 ms);
u64 srv_now(void);
/* Whether the core hears what is durable. */
void srv_hold_disk(bool hold);

static inline struct zab *machine(void)
{
	return server.core->zab;
}

/* --- drive_sock.c */
/* Who connects to other servers' quorum ports finds somebody there. */
void sock_welcome(bool yes);
/* The fuzzer's end of a connection to a port of the server; -1: nobody listens there. */
int sock_connect(u16 port);
/* The fuzzer's end of one that the server made to a quorum port; -1: there is none. */
int sock_accepted(void);
/* Sends; what is not taken is dropped. */
void sock_send(int fd, const void *p, size_t len);
/* Reads and drops what came. False: it is closed. */
bool sock_drain(int fd);
void sock_reset(void);
/* Whether the thread that receives a tree has seen that there is no more for it; it is to
 * look again, as something was sent, closed, or time has gone on. */
bool sock_receiver_waits(void);
void sock_receiver_looks(void);

/* --- drive_honest.c */
/* The fuzzer's election connection as server @sid, opened if it is not; -1. */
int honest_econn(u64 sid);
/* @sid's vote for @leader, as good as the server's own, of so many rounds later. */
void honest_vote(u64 sid, u64 leader, u32 rounds);
/* Server @leader of 1 and 2 is elected. False: it is not, for a long time. */
bool honest_elect(u64 leader);
/* What a follower says next on @fd, a link to the server, which leads. */
void honest_follower(int fd, u64 sid, u32 *stage);
/* What the leader of the server says next. */
void honest_leader(int fd, u32 *stage);
void honest_packet(int fd, s32 type, u64 zxid, const void *data, s32 len);
/* A transaction createSession, or another one of @type with @more behind its header. */
void honest_txn(struct jw *w, u64 zxid, s32 type, const void *more, size_t len);
/* After an input: closes all connections; the server must come to be in an ensemble. */
void honest_check(void);
void honest_end(void);
/* Reads what the server says. */
void honest_drain(void);

/* --- drive_events.c */
enum srv_role { SERVER_LOOKS, SERVER_FOLLOWS, SERVER_LEADS };
int srv_run(enum srv_role role, const u8 *data, size_t len);

/* --- util.c */
void fuzz_fail(const char *what) __attribute__((noreturn));
const char *fuzz_dir(void);

#endif
