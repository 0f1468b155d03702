/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ZAB, the agreement on the order of transactions: a pure state machine. Events
 * go in through zab_step(), actions come out of it as a list; inside there is no
 * clock, socket, file, thread or random number. The core thread is its driver:
 * it feeds events and carries out the actions in their order.
 *
 * A single server is an ensemble of one voter: it elects itself, its own log is
 * the quorum, and a proposal commits when its log says that it is durable. The
 * same states, events and actions serve an ensemble (election, discovery,
 * synchronisation, broadcast add their messages to both lists).
 *
 *   LOOKING --elected--> LEADING --lost quorum / STOP--> LOOKING
 *                        FOLLOWING, OBSERVING (ensembles)
 */
#ifndef ZKD_ZAB_ZAB_H
#define ZKD_ZAB_ZAB_H

#include "daemon/disk/txn.h"

enum zab_state {
	ZAB_LOOKING,
	ZAB_FOLLOWING,
	ZAB_LEADING,
	ZAB_OBSERVING,
};

enum zab_event_type {
	ZAB_EV_START,		/* last_zxid: what recovery found */
	ZAB_EV_PROPOSE,		/* txn: numbered by zab_next_zxid(); LEADING only */
	ZAB_EV_DURABLE,		/* zxid: the own log is durable up to it */
	ZAB_EV_TICK,		/* now_ms */
	ZAB_EV_DISK_FAILED,	/* nothing more becomes durable here */
};

struct zab_event {
	enum zab_event_type type;
	u64 zxid;
	u64 now_ms;
	struct txn *txn;
};

enum zab_action_type {
	ZAB_DO_LOG,		/* txn: append to the own log */
	ZAB_DO_COMMIT,		/* txn: agreed; apply in this order. The action owns
				 * one reference */
	ZAB_DO_STATE,		/* state: what this server is now */
	ZAB_DO_FAIL,		/* outstanding proposals will not commit: zxid is
				 * the last one that did */
};

struct zab_action {
	enum zab_action_type type;
	enum zab_state state;
	u64 zxid;
	struct txn *txn;
};

struct zab;

struct zab_params {
	u64 myid;
	u64 voters[1];		/* an ensemble's come with the ensemble */
	u32 n_voters;
};

struct zab *zab_new(const struct zab_params *p);
void zab_free(struct zab *z);
/* Feeds one event. The actions are read with zab_next() until it says false,
 * before the next event. -ENOMEM: the event was not taken. */
int zab_step(struct zab *z, const struct zab_event *ev);
bool zab_next(struct zab *z, struct zab_action *a);
enum zab_state zab_state(const struct zab *z);
/* LEADING: the zxid that the next proposal must carry. */
u64 zab_next_zxid(const struct zab *z);
u64 zab_committed(const struct zab *z);
/* Proposed and not committed yet. */
u32 zab_outstanding(const struct zab *z);

#endif
