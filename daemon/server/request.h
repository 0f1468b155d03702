/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What passes between the I/O threads, which own connections, and the core
 * thread, which owns sessions, watches, the pipeline and ZAB.
 *
 *   I/O -> core   struct request, through core_submit() (any I/O thread)
 *   core -> I/O   struct message, through conn_post() (core thread only)
 *
 * Order on one connection. A plain read (no watch) or a ping that comes while the
 * core has nothing of this connection is answered by the I/O thread itself, from
 * the store. Whatever else is sent to the core at once, and so is a plain read or
 * a ping that comes after it: run earlier it would miss a write of the same client,
 * run later it would see one that the client sent after it. The core answers one
 * connection's requests in the order in which they were submitted, each read on
 * the tree as of its place in that order. So replies leave in request order, and
 * writes are pipelined.
 *
 * Watch before data, data with the watch. The core posts the events of transaction
 * Z before it publishes Z in the store, and calls client_flush() after that; to a
 * connection that waits for answers, at the latest before the last of those. An I/O
 * thread sends an event only when its transaction is published, so that who is told
 * of a change finds it. When it answered a read at zxid Z it drains its queue and
 * sends the connection's events with zxid <= Z before that reply, later ones after
 * it (daemon/client/dispatch.c proves it). A read that sets a watch runs on the core
 * thread, where no transaction can come between.
 *
 * A session's end. A struct session that MSG_CONNECTED gave to an I/O thread stays
 * until the core has handled that connection's REQ_GONE.
 *
 * Lifetime. struct conn is reference counted; the core holds a reference from the
 * connect request until it has handled REQ_GONE, requests and messages hold one
 * each while they are under way.
 */
#ifndef ZKD_SERVER_REQUEST_H
#define ZKD_SERVER_REQUEST_H

#include "daemon/proto/jute.h"
#include "daemon/proto/zookeeper.h"

/* Bytes of an answer at most, however large the node: beyond it the client is closed. */
#define ANSWER_MAX	(512u * 1024 * 1024)

struct conn;
struct session;

/* One identity that a client proved: e.g. "ip" "127.0.0.1", "digest"
 * "user:base64". "world:anyone" is not listed, it goes without saying. */
struct auth_id {
	const char *scheme;
	const char *id;
};

/* The identities of a connection: immutable, shared by reference (atomic). The
 * I/O thread replaces the connection's whole set when a client adds one. @super:
 * passes every ACL. */
struct auth_set {
	u32 refs;
	u32 n;
	bool super;
	struct auth_id ids[];
};
struct auth_set *auth_set_get(struct auth_set *a);
void auth_set_put(struct auth_set *a);

enum request_kind {
	REQ_CONNECT,	/* body: the ConnectRequest */
	REQ_OP,		/* a request of a connected client */
	REQ_AUTH,	/* it has another auth_set: events are filtered by it */
	REQ_GONE,	/* the connection is closed; the last one of a conn */
	REQ_TASK,	/* run @task on the core thread (admin, timers) */
};

struct request {
	struct request *next;
	enum request_kind kind;
	struct conn *conn;
	struct session *session;	/* of the conn; NULL for CONNECT */
	struct auth_set *auth;		/* own reference */
	s32 xid;
	s32 op;
	bool large;			/* its answer may be long (client/large.c) */
	u64 received_ns;		/* monotonic, for latency figures */
	u64 round;			/* the core's: waits for it to be confirmed; 0: none */
	void (*task)(void *arg);
	void *arg;
	u32 len;			/* bytes of the body: after the RequestHeader */
	u8 body[];
};

/* Bytes that many messages share: a watch event's body. */
struct blob {
	u32 refs;	/* atomic */
	u32 len;
	u8 bytes[];
};
void blob_put(struct blob *b);

enum message_kind {
	MSG_CONNECTED,	/* bytes: a whole ConnectResponse frame (with its length);
			 * @session is the conn's from now on. After it the I/O thread
			 * starts reading requests. NULL session: send, then close */
	MSG_REPLY,	/* bytes: whole frame of the reply to the oldest request that
			 * is at the core */
	MSG_EVENT,	/* blob: whole frame of a notification; @zxid that fired it */
	MSG_CLOSE,	/* send what is queued, then close */
};

struct message {
	struct message *next;
	enum message_kind kind;
	struct conn *conn;	/* reference */
	u64 zxid;
	struct session *session;
	struct blob *blob;	/* EVENT: reference */
	u32 len;
	u8 bytes[];
};

#endif
