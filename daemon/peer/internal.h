/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of daemon/peer share.
 *
 *   peers.c    life, the thread's loop, its timers, what other threads call
 *   sock.c     sockets: options, names, the epoll set, input buffers
 *   event.c    events for the core thread, and the bounds on them
 *   listen.c   the two ports, strangers until they have said who they are
 *   resolve.c  names, each by a thread that may take its time
 *   dial.c     connecting: all addresses of a server, in turn and anew
 *   elect.c    election connections: who keeps which, votes
 *   link.c     links: packets in, life and time limits
 *   packets.c  the packets of one event
 *   send.c     what the core sends, gathered
 *   out.c      what is queued to go out on a link
 *   tally.c    what is known of links, for operators
 *   stream.c   threads that send a tree or the history
 *   receive.c  the thread that receives a tree
 *
 * Unless it says otherwise, everything belongs to the thread "peers" and is called on
 * it. What crosses threads comes as a struct cmd through the inbox.
 */
#ifndef ZKD_PEER_INTERNAL_H
#define ZKD_PEER_INTERNAL_H

#include <linux/list.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "daemon/base/log.h"
#include "daemon/base/queue.h"
#include "daemon/peer/peer.h"

#define VOTE_MAX	(512 * 1024)	/* QuorumCnxManager.PACKETMAXSIZE */
#define VOTES_IN_MAX	(1024 * 1024)	/* bytes of one server's votes at the core */
#define IN_TOTAL	8		/* times in_max: what all links have at the core */
#define STRANGERS_MAX	64		/* a port */
#define STRANGER_BYTES	4096		/* the first packet, the hello */
#define UNKNOWN_MAX	32		/* election connections of ids not in the ensemble */
#define LINKS_MAX	1024		/* that came in */
#define RETRY_MS	1000		/* until a port is bound again (QuorumCnxManager) */
#define NAME_LEN	80		/* bytes of an address as text */
#define READ_CHUNK	65536
#define EVENT_BYTES	65536	/* of packets in one event, unless it is only one */

/* ------------------------------------------------------------ sock.c */

/* The first member of everything that has a socket. */
struct watch {
	int fd;			/* -1: closed */
	u32 mask;		/* what epoll is asked for; 0: it is not in the set */
	void (*ready)(struct peers *p, struct watch *w, u32 events);
	struct watch *dead;	/* to be freed when this round is over */
};

struct inbuf {
	u8 *p;
	size_t at;		/* of the first byte that is not used yet */
	size_t len;
	size_t cap;
};

u64 peer_now_ms(void);
int watch_set(struct peers *p, struct watch *w, u32 mask);
/* Closes the socket; the object is freed when nobody can refer to it any more. */
void watch_close(struct peers *p, struct watch *w);
void watch_bury(struct peers *p, struct watch *w);
void sock_options(int fd, bool keepalive);
void sock_name(const struct sockaddr_storage *sa, char *buf, size_t len);
socklen_t sock_len(const struct sockaddr_storage *sa);
void sock_set_port(struct sockaddr_storage *sa, u16 port);
u16 sock_port(const struct sockaddr_storage *sa);
/* Not more than @want bytes; > 0; 0: nothing there now; -EPIPE: it ended; -errno. */
ssize_t inbuf_read(struct inbuf *b, int fd, size_t want);
int inbuf_add(struct inbuf *b, const u8 *p, size_t n);
void inbuf_used(struct inbuf *b, size_t n);
void inbuf_free(struct inbuf *b);

static inline const u8 *inbuf_at(const struct inbuf *b)
{
	return b->p ? b->p + b->at : NULL;
}

static inline size_t inbuf_left(const struct inbuf *b)
{
	return b->len - b->at;
}

/* ------------------------------------------------------------ commands */

enum cmd_type {
	CMD_ENSEMBLE,
	CMD_NOTIFY,
	CMD_LEAD,
	CMD_CONNECT,
	CMD_SEND,
	CMD_RECEIVE,
	CMD_CLOSE,
	CMD_SETTLED,
	/* from our own threads */
	CMD_RESOLVED,
	CMD_SENT,
	CMD_RECEIVED,
};

struct cmd {
	struct cmd *next;
	enum cmd_type type;
	u64 link;
	u64 to;			/* server, zxid, yes or no */
	void *arg;		/* a reference, or what CONNECT made */
};

/* Frees one that is not carried out. */
void cmd_drop(struct cmd *c);

/* ------------------------------------------------------------ event.c */

/* What one source has at the core. Counted by any thread. */
struct share {
	u32 refs;		/* atomic */
	u64 bytes;		/* atomic */
};

struct share *share_new(void);
void share_put(struct share *s);
/* Whether @cost more bytes of @s may go to the core, which may have @max of it. False:
 * resume_all() comes when it is time to look again. */
bool share_take(struct peers *p, struct share *s, u64 cost, u64 max, bool *stalled);
void share_unstall(struct peers *p, bool *stalled);
/* An event with room for @len bytes behind it. NULL: memory. */
struct peer_event *event_new(enum peer_event_type type, u64 link, u32 len);
/* The same, counted for @s until it is freed: share_take() was true for @cost. */
struct peer_event *event_of(struct peers *p, struct share *s, u64 cost,
			    enum peer_event_type type, u64 link, u32 len);
void event_drop(struct peer_event *ev);
/* To the core, which is woken before this thread waits. */
void event_deliver(struct peers *p, struct peer_event *ev);

/* ------------------------------------------------------------ resolve.c */

#define ADDRS_MAX	8	/* of one name */

struct names;

struct lookup {
	struct cmd cmd;
	struct names *names;
	void *owner;		/* NULL: nobody waits any more */
	/* peers: it is over; @l is freed behind it */
	void (*done)(struct peers *p, void *owner, struct lookup *l);
	char host[256];
	u16 port;
	bool passive;		/* to bind to */
	u32 n;
	struct sockaddr_storage addrs[ADDRS_MAX];
};

struct names *names_new(struct peers *p);
/* After it nothing is pushed into the inbox any more. Any thread. */
void names_end(struct names *n);
/* At once if @host is an address: true. */
bool names_numeric(const char *host, u16 port, struct sockaddr_storage *sa);
/* Waits as long as it takes. Any thread; how many of ADDRS_MAX there are. */
u32 names_resolve(const char *host, u16 port, struct sockaddr_storage *sas);
/* NULL: memory, or too many under way. */
struct lookup *names_ask(struct names *n, const char *host, u16 port, bool passive,
			 void *owner,
			 void (*done)(struct peers *p, void *owner, struct lookup *l));

/* ------------------------------------------------------------ dial.c */

struct dial;

struct dial_params {
	u64 sid;
	bool quorum;		/* which port */
	u16 port;		/* this one instead; 0: none */
	const char *more;	/* "host:port|..." besides those of the ensemble; NULL */
	u32 ms;			/* for all of it */
	u32 tries;
	void *owner;
	/* @fd < 0: in vain; -ECONNREFUSED: all addresses refused. The dial is gone. */
	void (*done)(struct peers *p, void *owner, int fd, const struct sockaddr_storage *sa);
};

/* NULL: memory. Calls done() from the loop, never from in here. */
struct dial *dial_new(struct peers *p, const struct dial_params *dp);
/* Gives up; done() is not called. */
void dial_end(struct peers *p, struct dial *d);
void dial_timers(struct peers *p);

/* ------------------------------------------------------------ listen.c */

int listen_start(struct peers *p, char *why, size_t why_len);
/* The own addresses may have changed. */
void listen_ensemble(struct peers *p);
void listen_lead(struct peers *p, enum peer_port port);
void listen_timers(struct peers *p);
void listen_end(struct peers *p);
/* The first own address, as a hello names it. */
void listen_hello(struct peers *p, char *buf, size_t len);

/* ------------------------------------------------------------ elect.c */

void elect_notify(struct peers *p, u64 to, struct zab_bytes *b);
/* A stranger has said hello: the socket is taken over. @rest came behind it. */
void elect_hello(struct peers *p, int fd, const struct sockaddr_storage *sa,
		 const struct zab_hello *h, const u8 *rest, size_t len);
void elect_resume(struct peers *p);
void elect_end(struct peers *p);

/* ------------------------------------------------------------ send.c */

#define CHUNK_BYTES	(32 * 1024 - 64)

/* Packets, one behind the other. The core writes behind ->used of the last one; what is
 * before that does not change any more. */
struct chunk {
	u32 refs;		/* atomic */
	u32 used;		/* the core's */
	u8 bytes[CHUNK_BYTES];
};

void chunk_put(struct chunk *c);

int send_init(struct peers *p);
/* Any thread, when the core calls in no more. */
void send_free(struct peers *p);
/* Core: what is queued from now on comes behind what was sent. */
void send_before(struct peers *p);

/* ------------------------------------------------------------ out.c */

enum item_kind { ITEM_BYTES, ITEM_TXN, ITEM_RUN, ITEM_TREE, ITEM_HISTORY };

#define TXN_HEAD	16	/* type, zxid, length of the data */
#define TXN_TAIL	4	/* no ids */

struct item {
	struct cmd cmd;		/* first */
	enum item_kind kind;
	struct zab_bytes *bytes;
	struct txn *txn;
	u8 head[TXN_HEAD];
	size_t cost;		/* of what its queue holds */
	/* RUN: so much of it */
	struct chunk *chunk;
	u32 at;
	u32 len;
	/* TREE: as of @zxid; HISTORY: after @zxid up to @to */
	u64 zxid;
	u64 to;
	bool observer;
	struct store *st;
	struct store_snap *snap;
	struct disk_session *sessions;
	u32 n_sessions;
	/* tally.c, if it is counted */
	u32 packets;
	u64 last_zxid;
	u64 queued_ms;		/* 0: not measured */
};

struct outq {
	struct item *first;
	struct item *last;
	u64 bytes;		/* streams not counted; read by any thread */
	u64 held;		/* that it keeps in memory, of the same */
	size_t sent;		/* of the first */
	bool counted;		/* it goes to a learner, ... */
	u64 server;		/* ... to this one */
	struct {
		u64 queued;	/* packets */
		u64 sent, sent_before;
		u64 last_zxid;
		u64 marks;
	} stats;
};

struct item *item_new(enum item_kind kind, u64 link);
void item_free(struct item *it);
void outq_add(struct outq *q, struct item *it);
void outq_clear(struct outq *q);
/* Writes until the socket takes no more (1), a stream is the first (2) or all is gone
 * (0); -errno. */
int outq_write(struct outq *q, int fd);
/* Takes the first off. */
struct item *outq_take(struct outq *q);

/* ------------------------------------------------------------ tally.c */

struct link_stats {
	struct list_head node;	/* peers.stats */
	u64 since_ms;
	bool acked;
	/* read by any thread */
	u64 sid;
	u64 observer;
	u64 settled;
	u64 received, received_before;
	u64 requests, requests_before;
};

struct link;
/* A learner's link has a name, and goes. */
void tally_add(struct peers *p, struct link *l);
void tally_drop(struct peers *p, struct link *l);
/* So many bytes, which are whole packets. */
void tally_received(struct link *l, const u8 *at, size_t len);
/* @it comes to the end of @q; it is sent. */
void tally_queued(struct outq *q, struct item *it);
void tally_sent(struct outq *q, const struct item *it);
void tally_streamed(struct link *l, u64 packets);

/* ------------------------------------------------------------ link.c */

struct link {
	struct watch w;
	struct list_head node;		/* peers.links */
	struct link *chain;		/* of its hash */
	struct link *dirty_next;
	u64 id;
	char name[NAME_LEN];
	bool out;			/* this server asked for it */
	bool master;			/* it is between an observer and its master */
	bool up;			/* LINK_UP was said */
	bool closing;			/* no event any more; waits for its threads */
	bool settled;
	bool dirty;
	bool stalled;			/* the core has too much of it */
	bool await;			/* behind a SNAP packet */
	bool ending;			/* goes down when rx is over */
	u64 rx_zxid;			/* asked for while another rx was ending */
	bool rx_wait;
	struct inbuf in;
	size_t need;
	struct outq q;
	struct share *share;
	struct peer_event *down;	/* made in advance */
	struct dial *dial;
	struct stream *tx;
	struct receiver *rx;
	u64 heard_ms;
	struct link_stats stats;
};

/* For peer_connect(), any thread. */
struct link *link_new(u64 id, bool out);
void link_free(struct link *l);
struct link *link_find(struct peers *p, u64 id);
void link_connect(struct peers *p, struct link *l, u64 to);
/* A stranger whose first packet was a learner's, still in @rest. */
void link_accept(struct peers *p, int fd, const struct sockaddr_storage *sa, const u8 *rest,
		 size_t len);
void link_send(struct peers *p, struct item *it);
void link_flush_dirty(struct peers *p);
void link_settled(struct peers *p, u64 id);
void link_receive(struct peers *p, u64 id, u64 zxid);
void link_close(struct peers *p, u64 id);
/* All that came in: there is no leader here any more. */
void link_close_in(struct peers *p);
void link_sent(struct peers *p, struct stream *s);
void link_received(struct peers *p, struct receiver *r);
void link_resume(struct peers *p);
void link_timers(struct peers *p);
/* Closes all; true once no thread is left. */
bool link_end(struct peers *p);

/* ------------------------------------------------------------ stream.c, receive.c */

struct stream {
	struct cmd cmd;		/* first: SENT */
	struct peers *p;
	struct link *link;
	struct item *item;
	pthread_t thread;
	int fd;
	int err;
	u64 total;
	u64 packets;
	size_t len;
	u8 buf[READ_CHUNK];
};

/* Sends @it on @l, which is not written to until CMD_SENT. -errno: @it is freed. */
int stream_start(struct peers *p, struct link *l, struct item *it);

struct receiver {
	struct cmd cmd;		/* first: RECEIVED */
	struct peers *p;
	struct link *link;
	u64 id;			/* of @link */
	u64 zxid;
	pthread_t thread;
	int fd;
	int err;		/* 0: it is on disk */
	bool disk;		/* @err is the disk's */
	struct inbuf in;	/* came in before; in the end what came behind it */
	struct peer_event *event;
};

/* Takes @l->in over. */
int receiver_start(struct peers *p, struct link *l, u64 zxid);

/*
 * The tree that may become the newest snapshot: shared by the core thread and the
 * receiver, as the core can take back what it asked for (peer_close()).
 */
struct rx_gate {
	pthread_mutex_t lock;
	pthread_cond_t over;
	u64 link;		/* whose stream is asked for; 0: none */
	bool ending;		/* the files are being changed */
	bool ended;		/* they were, and the core has not heard it yet */
};

/* ------------------------------------------------------------ peers.c */

#define LINK_HASH	256

struct peers {
	struct peers_params p;
	struct ensemble *ens;
	struct ensemble *next;		/* proposed; NULL: none */
	struct queue inbox;
	struct watch inbox_w;
	pthread_t thread;
	bool started;
	bool stopping;			/* atomic */
	bool resume;			/* atomic: the core gave something back */
	struct sender *sender;		/* core */
	int epfd;
	int spare_fd;
	u64 now_ms;
	u64 due_ms;			/* when timers are to be looked at */
	struct watch *dead;
	struct names *names;
	struct list_head dials;
	struct list_head stats;		/* links of learners; stats_lock */
	pthread_mutex_t stats_lock;

	/* listen.c */
	struct list_head listeners;
	struct list_head strangers;	/* oldest first */
	u32 n_strangers[2];
	enum peer_port open;		/* to learners */
	bool want_again;		/* memory was short */
	u64 accept_at_ms;		/* accepting is suspended until then; 0: it is not */
	u16 ports[2];			/* atomic: election, quorum */
	struct sockaddr_storage own;	/* election address that is bound; family 0: none */

	/* elect.c */
	struct list_head epeers;
	u32 n_unknown;
	u32 n_claims;
	u64 anonymous;			/* the last number given to one */

	/* link.c */
	struct list_head links;
	struct link *by_id[LINK_HASH];
	struct link *dirty;
	u64 next_link;
	u32 n_in;
	u32 n_threads;
	struct receiver *rx;

	/* event.c */
	bool delivered;			/* and the core was not woken yet */
	u64 in_bytes;			/* atomic */
	u32 n_stalled;			/* atomic */
	struct rx_gate gate;
};

/* peers.c: in the membership in force, or in the proposed one; NULL: in neither. */
const struct peer *peers_find(const struct peers *p, u64 sid);

/* The timers are to be looked at, at @ms. */
static inline void peers_due(struct peers *p, u64 ms)
{
	if (ms < p->due_ms)
		p->due_ms = ms;
}

#endif
