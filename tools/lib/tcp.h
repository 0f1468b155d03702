/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ZooKeeper's client protocol: one connection, one session, one request at a time.
 *
 *   tcp_net.c    sockets: dialling, whole frames in and out, pings
 *   tcp.c        the session: handshake, reconnect, a request and its reply
 *   tcp_watch.c  watches to set again after a reconnect, the queue of events
 *   tcp_ops.c    encoding and decoding of each reading operation
 */
#ifndef ZKERN_LIB_TCP_H
#define ZKERN_LIB_TCP_H

#include "internal.h"

/* Nothing here is part of the library's interface. */
#pragma GCC visibility push(hidden)

/* Events kept while nobody asks for them; beyond, the connection is given up. */
#define TCP_EVENTS_MAX	65536
#define TCP_WATCHES_MAX	65536

enum tcp_watch_kind {
	TCP_WATCH_DATA,		/* left by get, and exists of what is there */
	TCP_WATCH_EXIST,	/* left by exists of what is not */
	TCP_WATCH_CHILD,
	TCP_WATCH_PERSISTENT,
	TCP_WATCH_RECURSIVE,
	TCP_WATCH_KINDS,
};

/* @quiet: tcp_wait()'s own: it makes no event */
struct tcp_watch {
	enum tcp_watch_kind kind;
	bool quiet;
	char *path;
};

struct tcp_event {
	struct tcp_event *next;
	struct zkern_event ev;
};

struct tcp_cred {
	struct tcp_cred *next;
	char *scheme;
	void *cred;
	size_t len;
};

struct tcp_host {
	char *host;
	char *port;
};

struct tcp {
	struct zkern zk;
	struct zkern_tcp_params p;
	struct tcp_host *host;
	size_t n_hosts;
	size_t next_host;	/* to dial */

	int fd;			/* -1: not connected */
	bool expired;
	u64 session;		/* 0: none yet */
	u8 passwd[ZK_PASSWD_LEN];
	u32 session_ms;		/* as agreed */
	u64 last_zxid;
	s32 xid;		/* of the last request sent */
	s64 heard;		/* zkern_now_ms() of the last byte in, */
	s64 sent;		/* and of the last request out */

	u8 *rx;			/* bytes [rx_at, rx_at + rx_len) came and were not used */
	size_t rx_at;
	size_t rx_len;
	size_t rx_cap;

	struct tcp_event *events;
	struct tcp_event **events_end;
	size_t n_events;
	struct tcp_watch *watches;
	size_t n_watches;
	size_t cap_watches;
	struct tcp_cred *creds;
};

static inline struct tcp *tcp_of(struct zkern *zk)
{
	return (struct tcp *)zk;
}

/* ------------------------------------------------------------ tcp_net.c */

/* All deadlines are in zkern_now_ms(). Errors: -ECONNREFUSED, -ETIMEDOUT, -EINTR,
 * -ECONNRESET, -ENOMEM, ...; the message is set.
 */

/* Connects t->fd to the next host of the list. */
int tcp_dial(struct tcp *t, s64 deadline);
/* Drops the connection, what was half received with it. */
void tcp_hangup(struct tcp *t);
/* Sends a payload with its length before it; hangs up on error. @w begins with
 * four bytes of room for that length.
 */
int tcp_send(struct tcp *t, struct jw *w, s64 deadline);
/* The next frame's payload; @p points into t->rx until the next call. Pings when
 * it is time. -ETIMEDOUT at @deadline leaves the connection up; other errors but
 * -EINTR hang up.
 */
int tcp_recv(struct tcp *t, const u8 **p, size_t *len, s64 deadline);

/* ------------------------------------------------------------ tcp.c */

/*
 * Sends @w and waits for its reply; frees @w. Reconnects first if need be, and
 * sends again after a lost connection if @again (the request changes nothing).
 * Returns 0 with @r filled in (body valid until the next call), the errno of
 * r->err with t->zk.zk_error set, or a transport error. @path: for the message.
 */
int tcp_call(struct tcp *t, struct jw *w, bool again, const char *path, struct op_reply *r);
/* For add_auth and set watches, whose xids are special. Connected only. */
int tcp_call_xid(struct tcp *t, struct jw *w, s32 xid, struct op_reply *r, s64 deadline);
/* Makes sure that there is a connection with the session. */
int tcp_ensure(struct tcp *t, s64 deadline);
/* Takes what comes until a frame that is no ping and no notification; with @event,
 * a notification that was queued ends it too (r->xid XID_NOTIFICATION).
 */
int tcp_take(struct tcp *t, struct op_reply *r, bool event, s64 deadline);
/* The deadline of a call that begins now. */
s64 tcp_deadline(const struct tcp *t);

/* ------------------------------------------------------------ tcp_watch.c */

int tcp_watch_add(struct tcp *t, enum tcp_watch_kind kind, const char *path);
/* Sets all of them again on a new connection. */
int tcp_watches_send(struct tcp *t, s64 deadline);
/* Queues the notification in @body, forgetting the one-shot watches that fired. */
int tcp_notified(struct tcp *t, struct jr *body, s64 zxid);
/* Queues a ZKERN_EVENT_SESSION. */
void tcp_session_event(struct tcp *t, int state);
void tcp_watches_free(struct tcp *t);
int tcp_add_watch(struct zkern *zk, const char *path, bool recursive);
int tcp_next_event(struct zkern *zk, int timeout_ms, struct zkern_event *event);
/*
 * Until @path's mzxid is not @mzxid (0: it is not there): 1, or 0 after @timeout_ms. By a
 * watch that the caller does not see. Errors as tcp_next_event().
 */
int tcp_wait(struct zkern *zk, const char *path, u64 mzxid, int timeout_ms);

/* ------------------------------------------------------------ tcp_ops.c */

int tcp_get(struct zkern *zk, const char *path, const struct zkern_want *want, bool data,
	    struct zkern_value *value);
int tcp_children(struct zkern *zk, const char *path, const struct zkern_want *want,
		 struct zkern_children *c);
int tcp_get_acl(struct zkern *zk, const char *path, struct zkern_acls *acls);

#pragma GCC visibility pop

#endif
