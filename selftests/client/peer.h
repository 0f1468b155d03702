/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Both ends of the client side, for tests: sockets that talk to it, and the
 * core's part, which the test plays (core_submit() and core_stats() are here).
 */
#ifndef CLIENT_PEER_H
#define CLIENT_PEER_H

#include "daemon/client/client.h"
#include "selftests/client/test.h"

#define WAIT_MS	20000	/* in which anything must have happened */

/* --- the server */
extern struct config cfg;
extern struct store *st;
extern struct client_side *side;

/* A server over test_store() with the configuration in cfg, which these reset. */
void server_defaults(void);
void server_start(void);
void server_stop(void);

/* --- the core's part: the test's thread only */
/* The next request that I/O threads submitted, or NULL after @ms. */
struct request *core_next(int ms);
void request_free(struct request *r);
/* Posts, with a reference to @c taken; wakes unless @quiet. */
void post_bytes(struct conn *c, enum message_kind kind, const void *p, u32 len,
		struct session *s);
void post_reply(struct conn *c, s32 xid, u64 zxid);
void post_event(struct conn *c, u64 zxid, u32 len, bool quiet);
void post_close(struct conn *c);
/* Takes the connect request, answers it; the session's conn, with a reference. */
struct conn *core_accept(struct session *s);
/* Drops requests until REQ_GONE of @c came. False: it did not. */
bool core_gone(struct conn *c);

/* --- a client */
int dial(void);
/* dial(), connect request, its answer read; *c: the core's end, with a reference. */
int login(struct conn **c, struct session *s);
void hang_up(int fd, struct conn *c);
bool put_all(int fd, const void *p, size_t len);
bool get_all(int fd, void *p, size_t len);
/* Whether the server closes (having sent nothing more). */
bool closed(int fd);
bool put_connect(int fd);
bool put_request(int fd, s32 xid, s32 op, const void *body, u32 len);
bool put_read(int fd, s32 xid, s32 op, const char *path, bool watch);
/* Reads one frame; the header into the arguments (may be NULL), what is behind it
 * is left in frame_body. */
bool get_frame(int fd, s32 *xid, u64 *zxid, s32 *err);
extern u8 *frame_body;
extern u32 frame_len;

#endif
