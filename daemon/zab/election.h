/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FastLeaderElection as a pure state machine: one round of it, part of struct zab.
 * Notifications come in, notifications and, in the end, a winner come out. Time is an
 * argument.
 */
#ifndef ZKD_ZAB_ELECTION_H
#define ZKD_ZAB_ELECTION_H

#include "daemon/zab/ensemble.h"
#include "daemon/zab/packet.h"

/* Beyond the last notification, FastLeaderElection.finalizeWait, and the bounds of the
 * time after which it asks again; ms. */
#define ELECTION_FINALIZE_MS	200
#define ELECTION_ASK_MIN_MS	200
#define ELECTION_ASK_MAX_MS	60000

struct election;

/* Carries a notification to peer @to; what @v points at lives until it returns. */
typedef void (*election_send)(void *arg, u64 to, const struct zab_vote *v);

struct election *election_new(u64 myid, election_send send, void *arg);
void election_free(struct election *el);

/*
 * Begins a new round among the voters of @e (lookForLeader): votes for itself with
 * @zxid and @epoch unless it is an observer, and tells everybody. Takes a reference to
 * @e. -ENOMEM: nothing happened.
 */
int election_begin(struct election *el, struct ensemble *e, u64 zxid, u64 epoch, u64 now_ms);
/*
 * The membership that was proposed but is not in force yet, if there is one
 * (lastSeenQuorumVerifier): its voters take part as well, and who wins has a quorum in
 * both. Takes a reference; NULL: there is none (any more). For the rounds that begin
 * after it.
 */
void election_pending(struct election *el, struct ensemble *next);
/*
 * All up to @zxid is known to be committed, and this server has it: nobody who has less is
 * voted for. For the rounds that begin after it; 0: nothing is known.
 */
void election_floor(struct election *el, u64 zxid);
/* A notification from @from while this server looks for a leader. */
void election_vote(struct election *el, u64 from, const struct zab_vote *v, u64 now_ms);
/*
 * Voter @id does not run, it seems: there is no waiting for a vote of it. For this round,
 * or until it is heard of.
 */
void election_absent(struct election *el, u64 id);
/* Time has passed. */
void election_tick(struct election *el, u64 now_ms);
/* When election_tick() has something to do next; ~0ULL: never. */
u64 election_deadline(const struct election *el);
/* True once it is over: *@v is the vote that won (no config in it); v->leader may be this
 * server. */
bool election_over(const struct election *el, struct zab_vote *v);
/*
 * The newest membership that a notification of this round brought, if it is newer than
 * the one that the round began with, else NULL; the election's reference, good until the
 * next election_begin(). A server that looks for a leader adopts it and begins anew
 * (WorkerReceiver, processReconfig()): that is the caller's to do, and to believe.
 */
struct ensemble *election_newer(const struct election *el);
/*
 * After it: a notification from @from, which may be looking. Answers with @state (of
 * this server) and the vote it holds (FastLeaderElection.WorkerReceiver; the vote's
 * epoch is brought up to date by election_settle()).
 */
void election_answer(struct election *el, u64 from, const struct zab_vote *v, s32 state);
/* QuorumPeer.updateElectionVote(): the ensemble has settled on epoch @epoch. */
void election_settle(struct election *el, u64 epoch);
/* The membership in force is another one now: others are told. Takes a reference. */
void election_members(struct election *el, struct ensemble *e);
/*
 * There was no election: a reconfiguration of zxid @zxid says that @leader leads
 * (QuorumPeer.updateVote()). What election_answer() says from now on.
 */
void election_suggest(struct election *el, u64 leader, u64 zxid);
/* The round that it is in. */
u64 election_round(const struct election *el);

#endif
