/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One machine, whose peers are the test: what they send is given as packets, what it
 * sends is compared as bytes.
 */
#ifndef SELFTESTS_ZAB_WIRE_H
#define SELFTESTS_ZAB_WIRE_H

#include "daemon/zab/zab_impl.h"
#include "selftests/zab/mdisk.h"
#include "selftests/zab/tests.h"

/* Server 1 of three voters (1, 2, 3) and an observer (4), started at @zxid. */
struct zab *wire_new(u64 zxid, u64 accepted, u64 current, u32 history);
/* The same, whose log goes on to @last, of the same epoch, behind the tree's @zxid. */
struct zab *wire_new_tail(u64 zxid, u64 last, u64 accepted, u64 current);
void wire_free(struct zab *z);

int wire_event(struct zab *z, enum zab_event_type type, u64 link, u64 zxid);
int wire_packet(struct zab *z, u64 link, s32 type, u64 zxid, const void *data, s32 len);
/* A PROPOSAL, or INFORM, of a transaction told by its zxid. */
int wire_txn(struct zab *z, u64 link, s32 type, u64 zxid);
int wire_propose(struct zab *z, u64 zxid);
/* All actions so far go into a text: one word each, see wire.c. */
void wire_expect_at(struct zab *z, const char *text, const char *file, int line);
#define wire_expect(z, text) wire_expect_at(z, text, __FILE__, __LINE__)
void wire_skip(struct zab *z);

/* A round in which servers 2 and 3 want @leader to lead, as one of @epoch with @zxid; what
 * it is then. */
enum zab_state wire_vote(struct zab *z, u64 leader, u64 zxid, u64 epoch);
/* It is elected, by votes of servers 2 and 3, and leads; or follows server 2. */
void wire_elect(struct zab *z, u64 leader);
/* A learner on @link with its FOLLOWERINFO (OBSERVERINFO for servers 4 to 9). */
void wire_info(struct zab *z, u64 link, u64 sid, u64 accepted);
/* As Apache ZooKeeper says it. */
void wire_info_apache(struct zab *z, u64 link, u64 sid, u64 accepted);
void wire_ackepoch(struct zab *z, u64 link, s32 current, u64 zxid);
/* It leads, established with server 2 on link 2, which has all. */
void wire_lead(struct zab *z);
/* It follows server 2 in @epoch and has sent ACKEPOCH; its link. */
u64 wire_follow(struct zab *z, u64 epoch);
/* Behind that: it lacks nothing up to @last, and is up to date. */
void wire_live(struct zab *z, u64 link, u64 last, u64 epoch);

#endif
