/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the client side share.
 *
 *   client.c   start and stop, what other parts of the daemon call
 *   listen.c   the listening socket, limits per address
 *   io.c       an I/O thread: its loop, its messages, its timeouts
 *   conn.c     a connection's life and its two directions of bytes
 *   dispatch.c what becomes of each frame
 *   large.c    long answers, in turn
 *   throttle.c how many may connect a second
 *   device.c   connections that are open files of the device, in place of sockets
 *   junk.c     what speaks to us that is no client
 *   fourlw.c   four-letter words
 *   report.c   the thread that works out the long ones' texts
 *   stats.c    counters
 *
 * Ownership. An I/O thread owns its connections: all of struct conn but what is
 * marked otherwise is touched by that thread only. Connections are made by the
 * thread that accepts (the first one) and handed over by message.
 *
 * What one client can make us hold, whatever it sends and does not read:
 *
 *   input       a partial frame, as far as it has come: jute.maxbuffer; and what
 *               came with it: IO_IN_BYTES. Nothing is read while a frame waits
 *   at the core ASKED_BYTES_MAX of requests and the answers that reads among them
 *               are guessed to have, and one request more; CORE_MAX in number. Their
 *               answers: of a write about four times the request (a multi of setData),
 *               of a read 4 MiB, of which CORE_MAX_READS
 *   output      OUT_HIGH, and the answer with which that was passed: ANSWER_SMALL;
 *               or one long answer, ANSWER_MAX, whose sum over all clients is
 *               LARGE_SUM or a single one (large.c). Then no more is read
 *   events      OUT_EVENTS_MAX unsent; then the client is closed
 *   identities  a fixed number (server/identity.c), of limited length; then auth fails
 *   watches     zkern.clientWatchLimitInKb (server/watchop.c)
 *
 * All times the number of clients: maxClientCnxns, maxCnxns; requests at the core of all
 * of them: globalOutstandingLimit, and one of each; long requests of all of them:
 * largeRequestMaxBytes. selftests/hostile drives each of these to its bound.
 */
#ifndef ZKD_CLIENT_INTERNAL_H
#define ZKD_CLIENT_INTERNAL_H

#include <linux/list.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>

#include "daemon/base/queue.h"
#include "daemon/client/client.h"
#include "daemon/server/access.h"

#define IO_IN_BYTES	65536		/* an I/O thread's receive buffer */
#define IO_OUT_KEEP	(1024 * 1024)	/* of its send buffer when idle */
#define ANSWER_SMALL	(1024 * 1024)	/* bytes of an answer that is made unasked */
#define ANSWER_UNKNOWN	(128 * 1024 * 1024) /* of one that cannot be guessed, at most */
#define LARGE_SUM	(256 * 1024 * 1024) /* of all longer ones under way, but one */
#define RETRY_MS	20		/* to look again at those who wait in io.waiting */
#define OUT_HIGH	(256 * 1024)	/* unsent bytes at which we stop reading */
#define OUT_EVENTS_MAX	(16 * 1024 * 1024) /* unsent bytes at which an event closes */
#define CORE_MAX	1000		/* requests of one connection at the core */
#define CORE_MAX_READS	32		/* of these, ones whose answer may be long */
#define DRAIN_MS	5000		/* for the last bytes of a closing one */
#define STOP_MS		2000		/* the same when the server stops */
#define CLOSES_MAX	32		/* done with, closed in one round of a thread */
#define IO_MAX_THREADS	64
#define ADDR_MAX	96		/* bytes of an address as text */

enum conn_state {
	CONN_NEW,	/* nothing read yet but, maybe, a part of the first frame */
	CONN_WAIT,	/* the connect request is at the core */
	CONN_OPEN,
	CONN_DRAIN,	/* only sends what is queued, then closes */
	CONN_DEAD,	/* closed; the struct lives on for those who refer to it */
};

/* A request at the core. */
struct asked {
	s32 xid;
	s32 op;
	u32 len;		/* of the request */
	u32 cost;		/* with what its answer may take */
	u64 at_ms;
};

/* Written by the owner, read by all (relaxed); zero and started anew when @gen is
 * not the generation that the reset commands count. */
struct conn_stats {
	u32 gen;
	s32 op;			/* last answered; -1: none */
	u64 established_ms;	/* wall clock */
	u64 received;
	u64 sent;
	s64 last_cxid;
	u64 last_zxid;
	u64 last_ms;		/* monotonic */
	u64 last_latency;
	u64 min_latency;
	u64 max_latency;
	u64 total_latency;
	u64 count;
};

struct conn {
	u32 refs;			/* atomic, anybody */
	struct client_side *cs;		/* constant */
	struct io *io;			/* constant */
	struct list_head all;		/* client_side.conns, its lock */
	struct list_head in_io;		/* io.conns */
	struct list_head timed;		/* io.fresh or io.draining */
	struct list_head work;		/* io.work: has messages; io.held; or io.dead */
	struct list_head wait;		/* io.waiting: its next frame waits for the server;
					 * or io.closing */
	struct list_head hold;		/* io.holders: has some of the budget (large.c) */
	u64 deadline_ms;		/* while on timed */
	u64 waits_ms;			/* since when; 0: not. Not ended by a look in vain */

	int fd;				/* -1: closed */
	u8 state;			/* enum conn_state */
	bool in_off;			/* EPOLLIN is off */
	bool out_on;			/* EPOLLOUT is on */
	bool stuck;			/* bytes in ->in wait for what conn_may_take() says */
	bool first;			/* nothing decoded yet: may be a four-letter word */
	bool large_asked;		/* the core makes its long answer */
	bool wants_large;		/* waits for the budget of long answers */
	struct session *session;	/* see request.h, "A session's end" */
	u64 session_id;			/* also read by others, relaxed */
	u64 hello_ms;			/* when its connect request came */
	size_t text_len;		/* of client_side.texts, what is ours */
	s32 session_timeout;
	u64 seen_zxid;			/* the newest in an answer made here */
	struct auth_set *auth;
	struct request *gone;		/* made ahead, so that closing cannot fail */

	struct message *msgs;		/* taken from the queue, not handled yet */
	struct message *last_msg;

	u8 *in;				/* an incomplete frame, or frames that wait */
	u32 in_len;
	u32 in_cap;
	struct jw out;			/* what the socket did not take */
	size_t out_off;			/* of these, already sent */

	struct asked *asked;		/* ring of requests at the core */
	u32 asked_first;
	u32 asked_n;			/* also read by others, relaxed */
	u32 asked_cap;
	u32 asked_reads;
	size_t asked_bytes;

	u64 large;			/* bytes taken from the budget of long answers */
	u64 large_ms;			/* since when */
	char large_path[96];		/* what it is about, cut */

	struct conn_stats stats;
	struct in6_addr addr;		/* IPv4 as mapped; constant */
	struct device_file *file;	/* of the device, in place of a socket (fd -1), until it
					 * is closed; or NULL
					 */
	bool device;			/* it is such a one; constant */
	char name[];			/* conn_name(); constant */
};

/* Counters of one I/O thread, as struct conn_stats. */
struct io_stats {
	u32 gen;
	u64 received;
	u64 sent;
	u64 min_latency;	/* ms */
	u64 max_latency;
	u64 total_latency;
	u64 count;
	u64 sized_ms;		/* when the last answer was sent; */
	s64 last_size;		/* the bytes of its frame, and of the least and */
	s64 min_size;		/* greatest one; -1: none yet */
	s64 max_size;
};

struct io {
	struct queue inbox;		/* struct message; any thread may add */
	struct client_side *cs;
	pthread_t thread;
	int epfd;
	bool running;			/* pthread_join() is due */
	bool stop_asked;		/* MSG_STOP came in this round */
	bool stopping;
	u64 now_ms;			/* monotonic, of this round */
	u64 now_ns;			/* the same, fine; 0: not asked for yet */
	u8 *in;				/* IO_IN_BYTES */
	struct jw out;			/* of the connection being handled */
	struct list_head conns;
	struct list_head fresh;		/* by deadline, as all wait equally long */
	struct list_head draining;	/* the same */
	struct list_head work;
	struct list_head held;		/* their next event is not published yet */
	struct list_head waiting;	/* looked at each round, and every RETRY_MS */
	struct list_head closing;	/* drained, their turn to be closed has not come */
	u32 closes;			/* closed in this round, of such */
	struct list_head holders;
	bool large_refused;	/* the budget did not do for one who waits, this round */
	struct list_head dead;
	struct io_stats stats;
	struct device *device;		/* that this thread serves, or NULL */
	bool no_accept;			/* listener taken out for a while (no memory) */
	u64 accept_at_ms;
};

struct addr_table;
struct reports;

/* throttle.c: new connections a second, BlueThrottle. */
struct throttle {
	pthread_mutex_t lock;
	const struct config *cfg;
	u32 max;		/* tokens; 0: no limit */
	u32 fill;		/* so many in cfg->connect_fill_ms */
	u32 tokens;
	u64 filled_ms;
	u64 frozen_ms;		/* the chance was looked at last */
	double drop;		/* the chance to be refused */
	unsigned int seed;
};

struct client_side {
	u32 refs;			/* atomic: the starter's, one for each struct conn */
	bool stopped;			/* atomic: nobody takes messages any more */
	const struct config *cfg;
	struct core *core;
	struct store *st;
	struct disk *disk;
	u32 n_io;
	u32 next_io;			/* accepting thread: whose turn it is */
	int listen_fd;
	bool unheard;			/* nobody is let in any more */
	int spare_fd;			/* given up for a moment when there are none left */
	u16 port;
	u64 started_ms;
	u32 outstanding;		/* atomic: requests of all connections at the core */
	u32 conn_gen;			/* atomic: crst */
	u32 io_gen;			/* atomic: srst */
	bool confirms;			/* reads go to the core (server/confirm.c) */
	s64 large_requests;		/* atomic: bytes of large requests at the core */
	u64 large_bytes;		/* atomic: budget of long answers, spent */
	struct throttle throttle;
	u64 auth_failed;		/* atomic */
	u64 trace_mask;			/* atomic: stmk; means nothing here */
	u64 texts;			/* atomic: bytes of words' texts not sent yet */
	struct reports *reports;
	pthread_mutex_t lock;		/* conns, n_conns, addrs */
	struct list_head conns;
	u32 n_conns;
	struct addr_table *addrs;
	struct io io[];
};

/* Messages between I/O threads, beside those of request.h. */
enum {
	MSG_ADOPT = 100,	/* a fresh connection for you */
	MSG_STOP,
	MSG_MOVE,		/* for the first: the listener goes to @zxid, the port, of
				 * the host in bytes; none: any */
	MSG_TEXT,		/* bytes: a word's text; send, then close */
};

/*
 * --- conn.c: the owner, but for conn_new(). Calls that return int: 0, or negative
 * errno after which the connection must be closed; only conn_event(), conn_work()
 * and the timeouts close.
 */
struct conn *conn_new(struct client_side *cs, struct io *io, int fd,
		      const struct sockaddr_storage *sa);
/* The owner: the connection of @file, which begins when that gives it its first frame. */
struct conn *conn_new_device(struct client_side *cs, struct io *io, struct device_file *file,
			     const char *name, struct auth_set *auth);
void conn_adopt(struct conn *c);
void conn_event(struct conn *c, u32 events);
/* Handles what came by message, and input that waited for it. */
void conn_work(struct conn *c);
/* For one that no thread adopted; the server has stopped. */
void conn_discard(struct conn *c);
/* No more input; closes once everything is sent, or after @ms. */
void conn_drain(struct conn *c, u64 ms);
void conn_close(struct conn *c);
/* Where the connection's next bytes go. */
struct jw *conn_out(struct conn *c);
/* Logs why, at most once a second, naming the client: "closing NAME: ...". -EPROTO. */
int conn_refuse(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Its next frame waits for the server: it is looked at again each round. */
void conn_wait(struct conn *c);
/* That other look. */
void conn_retry(struct conn *c);
/* Bytes that the socket did not take. */
static inline size_t conn_unsent(const struct conn *c)
{
	return c->out.len - c->out_off;
}

/* --- dispatch.c: the owner; int as above */
/* Whether another frame may be handled now. */
bool conn_may_take(const struct conn *c);
/* Whether it may not since all clients together have too much at the core
 * (request_throttle_max_requests). */
bool conn_throttled(const struct conn *c);
/* Whether a frame of @len bytes may come, as to largeRequestMaxBytes; 0 or as above. */
int conn_may_be_large(struct conn *c, u32 len);
/* The first frame. */
int conn_take_connect(struct conn *c, const u8 *frame, u32 len);
/* One frame of an open connection, without its length. TAKE_LATER: not taken, it is to
 * come again: the connection waits (conn_wait()). */
#define TAKE_LATER	1
int conn_take(struct conn *c, const u8 *frame, u32 len);
/* The core answered the oldest request that it has of @c. */
void conn_answered(struct conn *c, const struct message *m);
/* The connection is closed: tells the core, if the core knows it. */
void conn_forget(struct conn *c);

/* --- device.c: its I/O thread */
/* What programs on this host ask through the device, from now on; @io is to serve it. 0, or
 * negative errno. Nobody can ask: nothing is done. */
int device_open(struct io *io);
/* After the thread has ended. */
void device_free(struct device *d);
/* There is something to take. */
void device_ready(struct device *d);
/* When device_timer() is to be called next; ~0: never. */
u64 device_next_ms(const struct device *d);
void device_timer(struct device *d);
/* The end of a round: answers go to the kernel. */
void device_flush(struct device *d);
/* A connection of a file: its output, all of @w. 0 or negative errno. */
int device_out(struct conn *c, struct jw *w);
/* It may send requests; conn_take()'s. */
int device_feed(struct conn *c);
/* It is closed. */
void device_lost(struct conn *c);

/* --- client.c */
struct client_side *client_side_get(struct client_side *cs);
void client_side_put(struct client_side *cs);

/* --- io.c */
void message_free(struct message *m);
void *io_main(void *arg);
/* The owner: moves all messages from the queue to their connections. */
void io_drain(struct io *io);
u64 io_now_ns(struct io *io);
void io_timed(struct conn *c, struct list_head *list, u64 ms);
u64 coarse_ms(void);

/* --- listen.c: the accepting thread, but for addr_*() */
int listen_open(struct client_side *cs, char *why, size_t why_len);
void listen_move(struct io *io, const char *host, u16 port);
void listen_ready(struct io *io);
void listen_resume(struct io *io);
void listen_stop(struct io *io);
struct addr_table *addr_table_new(void);
void addr_table_free(struct addr_table *t);
/* Caller holds client_side.lock. @max 0: no bound. -EBUSY when there are @max. */
int addr_get(struct addr_table *t, const struct in6_addr *a, u32 max);
void addr_put(struct addr_table *t, const struct in6_addr *a);
/* InetAddress.getHostAddress() and InetSocketAddress.toString(). */
void addr_host(const struct sockaddr_storage *sa, char *buf, size_t len);
void addr_name(const struct sockaddr_storage *sa, char *buf, size_t len);

/* --- large.c: the owner */
/* About how long an answer will be. */
u64 large_guess(const struct conn *c, s32 op, const u8 *body, u32 len);
/* Takes @bytes from the budget, for an answer to the request with this body. False:
 * not now, the connection waits. */
bool large_take(struct conn *c, u64 bytes, const u8 *body, u32 len);
/* The answer is made, and is as long as this. */
void large_made(struct conn *c, u64 bytes);
/* It is sent, or will never be. */
void large_drop(struct conn *c);
void large_expire(struct io *io);

/* --- throttle.c */
void throttle_init(struct throttle *t, const struct config *cfg, u64 now_ms);
void throttle_destroy(struct throttle *t);
/* Any thread: whether another may connect now; @renew: to an old session. */
bool throttle_admits(struct throttle *t, bool renew, u64 now_ms);
/* Any thread: the chance that a connection is refused, 0 to 1. */
double throttle_drop(struct throttle *t);

/* --- junk.c: what begins like this, in words. */
const char *junk_name(const u8 *p, size_t len);

/* --- fourlw.c: the owner. Whether @word is one; then the answer is queued and the
 * connection drains, or it waits for its MSG_TEXT. @rest: what came behind it. */
bool fourlw_run(struct conn *c, u32 word, const u8 *rest, size_t len);
/* Any thread: sizes of the data and log folders, and Environment.list(). */
u64 data_dir_size(const struct config *cfg);
u64 log_dir_size(const struct config *cfg);
void environment_each(void (*fn)(void *arg, const char *key, const char *value), void *arg);
/* ExpiryQueue.roundToNextInterval(): ms. */
u64 expiry_round(u64 ms, u64 tick);

/* --- stats.c */
void stats_received(struct conn *c, u64 packets);
/* @size: of the answer's frame, without its length; 0: not counted. */
void stats_answered(struct conn *c, s32 op, s32 xid, u64 zxid, u64 ms, u32 size);
void stats_sent(struct conn *c, u32 size);
/* A session was begun, by the transaction @zxid, or resumed (0), @ms after it was asked
 * for. */
void stats_connected(struct conn *c, u64 zxid, u64 ms);
struct io_stats stats_sum(const struct client_side *cs);
struct conn_stats stats_of(const struct conn *c);
const char *stats_op(s32 op);
void stats_reset_conns(struct client_side *cs);		/* crst */
void stats_reset_server(struct client_side *cs);	/* srst */

/* Any thread: what commands show of a connection. */
struct conn_view {
	struct conn_stats stats;
	u64 session;		/* 0: none */
	s32 timeout;
	u32 asked;
	bool reads;		/* its interest in reading, SelectionKey.OP_READ */
	char name[ADDR_MAX];
};

/* All connections as they are now, malloc'ed. -ENOMEM. */
int conns_view(struct client_side *cs, struct conn_view **out, u32 *n);
u32 conns_count(struct client_side *cs);

#endif
