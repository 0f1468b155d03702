/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of sessions and when they expire (SessionTrackerImpl.java,
 * ExpiryQueue.java). Core thread only, but for what struct session (core.h) says
 * of I/O threads. Time is an argument: milliseconds of any monotonic clock.
 *
 * Expiry goes by buckets of one tick: a session expires at the end of the tick in
 * which its last sign of life plus its timeout fell. Signs of life are noted by
 * I/O threads in heard_ms and not told here; a session whose bucket comes up is
 * moved to where it belongs by then, or expires. So each session is looked at once
 * a timeout, and a tick costs what is due in it; if that is much, several calls share
 * it.
 */
#ifndef ZKD_SERVER_SESSION_H
#define ZKD_SERVER_SESSION_H

#include <linux/list.h>

#include "daemon/proto/zookeeper.h"
#include "daemon/server/core.h"

struct client;
struct proposal;

/* A session as the core knows it. */
struct sess {
	struct session pub;	/* what the I/O threads see */
	struct sess *next;	/* hash chain */
	struct list_head due;	/* bucket; empty: does not expire (closing) */
	struct client *client;	/* the connection it lives on, or NULL */
	u32 users;		/* connections whose I/O thread may still touch it */
	u64 owner;		/* on the leader: the learner's link that it is served
				 * through, SESSION_LOCAL, or 0: who asks first
				 */
	struct proposal *asked;	/* on a learner: sent to the leader, not committed yet */
	struct proposal *asked_last;
	bool below;		/* on an observer master: in core's ->below */
	bool committed;		/* its createSession is applied */
	bool local;		/* of this server alone: in core's ->locals */
	bool ending;		/* its closeSession is agreed and will be */
	bool ended;		/* out of the table; freed with its last user */
};

#define SESSION_LOCAL	(~0ULL)

struct sessions;

/* @server_id: the top byte of ids made here. @wall_ms: seeds them. */
struct sessions *sessions_new(u32 tick_ms, u64 server_id, u64 wall_ms, u64 now_ms);
/* Frees the sessions too, whoever uses them. */
void sessions_free(struct sessions *ss);

/* An id that is not in use in this table, and is not given out again. */
u64 session_new_id(struct sessions *ss);
/* A new id, not in use, heard of @now_ms; NULL: -ENOMEM. */
struct sess *session_create(struct sessions *ss, s32 timeout, u64 now_ms);
/* A known one: from the disk, or a leader. NULL: memory, or @id is there already. */
struct sess *session_restore(struct sessions *ss, u64 id, s32 timeout, u64 now_ms);
struct sess *session_find(struct sessions *ss, u64 id);
/* A sign of life now, with a (new) timeout. */
void session_touch(struct sessions *ss, struct sess *s, s32 timeout, u64 now_ms);
/* It is being closed: does not expire any more, its requests are refused. */
void session_closing(struct sess *s);
/* It was not closed after all: has its whole timeout again. */
void session_reopen(struct sessions *ss, struct sess *s, u64 now_ms);
/*
 * Its connection is to see no more of it (this server serves nobody for a while): in the
 * table another one takes its place, and this one is freed with its last user. -ENOMEM:
 * nothing was done.
 */
int session_renew(struct sessions *ss, struct sess *s);
/* From one table into another, where its id is not. */
void session_move(struct sessions *from, struct sessions *to, struct sess *s);
/* Its closeSession is applied: out of the table. */
void session_end(struct sessions *ss, struct sess *s);
/* All go: another table takes their place. Their connections are closed by then. */
void sessions_clear(struct sessions *ss);
/* All that are not committed go. */
void sessions_prune(struct sessions *ss);
/* A user of @s is gone. */
void session_unuse(struct sess *s);

/* Calls @fn for each session that is due by @now_ms, marked closing before, and no
 * more than @room times; looks at no more than @max of them. */
void sessions_expire(struct sessions *ss, u64 now_ms, u32 max, u32 room,
		     void (*fn)(void *arg, struct sess *s), void *arg);
/* When sessions_expire() has something to look at next; it may have passed. */
u64 sessions_next_ms(const struct sessions *ss);
/* Some of them, about @n a call: begin with @cursor 0, go on with what is returned,
 * until that is 0. A session that is there all the time is seen once. */
u32 sessions_some(struct sessions *ss, u32 cursor, u32 n,
		  void (*fn)(void *arg, struct sess *s), void *arg);
/* The same, of all; @fn may renew the session that it is given. */
void sessions_replace(struct sessions *ss, void (*fn)(void *arg, struct sess *s), void *arg);
void sessions_each(struct sessions *ss, void (*fn)(void *arg, struct sess *s), void *arg);
u32 sessions_total(const struct sessions *ss);
/* Committed sessions are counted, and written to @out (room for all), for a snapshot. */
u32 sessions_count(const struct sessions *ss);
u32 sessions_list(const struct sessions *ss, struct disk_session *out);

/* The password of a session: any server can tell it (ZooKeeperServer.generatePasswd). */
void session_passwd(u64 id, u8 out[ZK_PASSWD_LEN]);
/* An id to begin with (SessionTrackerImpl.initializeNextSessionId). */
u64 session_first_id(u64 server_id, u64 ms);

#endif
