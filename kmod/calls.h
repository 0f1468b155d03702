/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the open files of an instance ask its owner to do: the queue of requests, and the
 * sessions (ZKERN_REQUEST, ZKERN_TAKE, ZKERN_ANSWER). request.c has the callers' side,
 * calls.c the owner's.
 *
 * All of struct zkern_calls, and of what hangs on it but where it is said otherwise, is
 * under calls->lock. That is a leaf; nothing sleeps or copies under it.
 *
 * A request is on calls->queue until the owner takes it, then on its session's @taken
 * until it is answered; while its answer is being copied it is on no list. Two references
 * hold it: the caller's and the list's (then the answerer's). A caller who goes first
 * leaves it there: it counts until it is answered or the owner goes.
 *
 * A session is its open file's until that is closed (@closed), then it stays for the owner
 * to be told so, until he has said that it is done or there is nothing to be done. Whoever
 * drops the lock may find it gone by then, but for the file's own callers.
 */
#ifndef ZKERN_CALLS_H
#define ZKERN_CALLS_H

#include <linux/completion.h>
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>
#include <linux/zkern.h>

struct cred;

#define ZKERN_CALLS_BITS	8

struct zkern_calls {
	spinlock_t lock;		/* all of this */
	bool ended;			/* the instance was removed */
	bool taken;			/* this owner takes requests */
	u64 last_file;
	u64 last_seq;
	struct list_head queue;		/* struct zkern_req, not taken */
	struct list_head news;		/* sessions that the owner is to be told something of */
	struct list_head users;
	DECLARE_HASHTABLE(sessions, ZKERN_CALLS_BITS);	/* by ->file */
};

/* Whose sessions these are; there while it has some. */
struct zkern_user {
	struct list_head link;
	kuid_t uid;
	u32 sessions;
	u64 bytes;			/* of requests */
};

/**
 * struct zkern_session - what an open file is in the ensemble.
 * @file:    constant
 * @user:    constant
 * @id:      0: the owner has not made it yet
 * @n:       requests that are not answered
 * @told:    this owner knows of the file
 * @close_told: and that it is closed
 * @dropped: forgotten, but for a request whose answer is being copied
 */
struct zkern_session {
	struct hlist_node by_file;
	struct list_head news;
	struct list_head taken;
	struct zkern_user *user;
	u64 file;
	u64 id;
	s32 timeout;
	u32 n;
	u8 passwd[ZKERN_PASSWD_LEN];
	bool expired;
	bool closed;
	bool told;
	bool close_told;
	bool dropped;
};

enum zkern_req_state {
	ZKERN_REQ_QUEUED,
	ZKERN_REQ_TAKEN,
	ZKERN_REQ_ANSWERED,	/* its answer is being copied, by who took it off its list */
	ZKERN_REQ_DONE,
};

/**
 * struct zkern_req - a request.
 * @refs:  atomic
 * @done:  when it is ZKERN_REQ_DONE
 * @state: enum zkern_req_state
 * @gone:  nobody waits for it any more
 * @cost:  bytes that its user pays for
 * @cred, @pid, @op, @buf, @len: constant until it is taken, then @buf is for the answer
 * @cap:   bytes of it that the caller wants
 * @error, ...: the answer; the caller's once it is done
 */
struct zkern_req {
	struct list_head link;
	struct zkern_session *session;
	struct completion done;
	refcount_t refs;
	u8 state;
	bool gone;
	u64 seq;
	u32 cost;
	const struct cred *cred;
	pid_t pid;
	s32 op;
	void *buf;
	u32 len;
	u32 cap;
	int error;
	u32 fate;
	s32 err;
	u32 out_len;
	u64 zxid;
};

#endif
