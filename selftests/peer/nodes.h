/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of daemon/peer share: servers on loopback ("nodes"), each a struct
 * peers whose events wait in a list until the test takes them, and bare sockets. A wait
 * has a limit that only a failure reaches.
 */
#ifndef SELFTESTS_PEER_NODES_H
#define SELFTESTS_PEER_NODES_H

#include <pthread.h>

#include "daemon/peer/peer.h"
#include "selftests/disk/common.h"

#define WAIT_MS	120000
#define ANY_EVENT	((enum peer_event_type)99)

struct node {
	struct peers *p;
	struct peers_params pp;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct peer_event *first, *last;	/* not taken yet */
	u64 bytes;				/* of these */
	u64 delivered;				/* events ever */
};

/* A loopback port below the range of outgoing connections, never given twice. */
u16 free_port(void);
/* The ports of servers 1..n; observers from @voters on. */
struct lan {
	u32 n;
	u16 quorum[8];
	u16 election[8];
	struct ensemble *e;
};
void lan_init(struct lan *lan, u32 n);
void lan_free(struct lan *lan);

/* Generous limits; the test may change node.pp before node_start(). */
void node_init(struct node *n, struct lan *lan, u64 id);
void node_start(struct node *n);
void node_stop(struct node *n);
/* node_init() and node_start(). */
void node_up(struct node *n, struct lan *lan, u64 id);
/*
 * The first event of @type not taken yet (on @link, or ~0: on any), taken; waits for it.
 * Of PACKETS one packet at a time, in ->packet. NULL: it did not come. The caller frees it.
 */
struct peer_event *node_take(struct node *n, enum peer_event_type type, u64 link);
/* Takes and frees it: whether it came. */
bool node_await(struct node *n, enum peer_event_type type, u64 link);
/* How many events of @type are there now. */
u32 node_count(struct node *n, enum peer_event_type type, u64 link);
/* Whether any event was not taken but votes of @from of @round and before. */
bool node_holds(struct node *n, u64 from, u64 round);
/* Waits until @cond of the node says true. */
bool node_until(struct node *n, bool (*cond)(struct node *n, void *arg), void *arg);

/* ---- votes ---- */

/* A vote of which @round tells it from others; one reference. */
struct zab_bytes *vote_of(u64 leader, u64 round);
void notify(struct node *n, u64 to, u64 round);
/* Waits for a vote of @from with that round; those before it are dropped. */
bool hears(struct node *n, u64 from, u64 round);
/* Votes go both ways between these two, @round being new to both. */
bool votes_go(struct node *a, struct node *b, u64 round);

/* ---- links ---- */

/* @data @len bytes (-1: null); one reference. */
/* What was written; frees the writer. */
struct zab_bytes *bytes_of(struct jw *w);
struct zab_bytes *packet_of(s32 type, u64 zxid, const void *data, s32 len);
void send_packet(struct node *n, u64 link, s32 type, u64 zxid, const void *data, s32 len);
/* @leader leads and listens. */
void lead(struct node *leader, struct lan *lan, u64 id);
/* @learner connects to @leader as @link and says FOLLOWERINFO; the leader's number of
 * the link, 0: it failed. */
u64 join(struct node *learner, struct node *leader, u64 leader_id, u64 link);

/* ---- bare sockets ---- */

int raw_connect(u16 port);
/* Until somebody listens there. */
bool raw_listens(u16 port);
void raw_send(int fd, const void *p, size_t len);
/* @len bytes; false: it ended before. */
bool raw_read(int fd, void *p, size_t len);
/* Reads until it is closed; false: it is not. */
bool raw_closed(int fd);
/* A hello of the form of 3.8. */
void raw_hello(int fd, u64 sid, const char *addr);
void raw_vote(int fd, u64 round);

int talk(const char *id, const char *file);

void test_votes(void);
void test_hellos(void);
void test_links(void);
void test_bounds(void);
void test_trees(void);
void test_history(void);
void test_strangers(void);
void test_ports(void);

#endif
