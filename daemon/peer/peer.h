/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network between servers: the election port (QuorumCnxManager: one connection
 * for each pair of servers, votes) and the quorum port (a link between a learner and
 * its leader: packets, the stream of a tree), or, for an observer and its master, the
 * port for observers. It knows bytes, addresses and time
 * limits; what they mean is ZAB's.
 *
 * Threads: one, "peers", with an epoll set, owns all sockets; a thread of its own for
 * each stream of a tree that is sent or received, as those read or write a disk or walk
 * the store. The core thread calls in, and gets what came through deliver(). Nothing
 * here ever blocks the core; names are resolved anew for every connection, by a thread
 * that may take its time (getaddrinfo_a or one of our own).
 *
 * Bounds. What came in and was not given back by peer_event_free() is bounded for each
 * link and in all: a link over its share is not read from. What is queued to go out is
 * bounded for each link (@out_max bytes, streams not counted): one over it is closed. A
 * vote that is not sent yet is replaced by a later one to the same server. Connections
 * that do not say who they are within a time limit are closed; there are at most a few
 * of those at once, the oldest goes first. Nothing that a stranger sends stops listening.
 */
#ifndef ZKD_PEER_PEER_H
#define ZKD_PEER_PEER_H

#include "daemon/disk/disk.h"
#include "daemon/zab/zab.h"

struct peers;

enum peer_event_type {
	PEER_VOTE,		/* @from, @vote (points into the event) */
	PEER_ABSENT,		/* @from, a member: it has closed its election connection, or
				 * each of its addresses refused one */
	PEER_LINK_UP,		/* @link */
	PEER_LINK_DOWN,		/* @link; the last one of it */
	PEER_PACKETS,		/* @link, one or more, in order: peer_event_packet() */
	PEER_RECEIVED,		/* @link, @zxid: a stream came whole and is a snapshot file
				 * on disk (peer_receive()) */
	PEER_RECEIVE_FAILED,	/* @link, @err: the disk; else it is a LINK_DOWN */
};

/* Where learners may come. */
enum peer_port {
	PEER_PORT_NONE,
	PEER_PORT_QUORUM,	/* of a leader */
	PEER_PORT_OBSERVERS,	/* of an observer master */
};

struct peer_event {
	struct peer_event *next;
	enum peer_event_type type;
	u64 from;
	u64 link;
	u64 zxid;
	int err;
	struct zab_vote vote;
	struct zab_packet packet;	/* the one at hand; points into the event */
	u32 at;				/* of @bytes, behind that one */
	u32 len;
	u8 bytes[];
};
/*
 * PACKETS: the next packet, into ->packet. Of acknowledgements one behind the other the
 * last stands for all (zab.h); the others are passed over. False: there was none left.
 */
bool peer_event_packet(struct peer_event *ev);
void peer_event_free(struct peers *p, struct peer_event *ev);

struct peers_params {
	u64 myid;
	struct ensemble *ensemble;
	bool listen_all;		/* quorumListenOnAllIPs */
	bool multi_address;		/* multiAddress.enabled: hellos name all addresses */
	bool keepalive;			/* tcpKeepAlive, of election connections */
	u32 reach_ms;			/* with several addresses of a server: for what was sent on
					 * an election connection to be received; then another
					 * one is tried. 0: as with one address */
	u32 connect_ms;			/* to open an election connection (cnxTimeout, 5000) */
	u32 hello_ms;			/* for a stranger to say who he is */
	u32 sync_ms;			/* of silence on a link, when the leader is sure to
					 * have sent pings: syncLimit ticks */
	u32 init_ms;			/* the same until then: initLimit ticks */
	u32 leader_ms;			/* to connect to a leader (connectToLearnerMasterLimit
					 * ticks, else initLimit ticks) */
	u16 observer_port;		/* of all masters of observers; 0: there are none */
	u64 observer_out_max;		/* @out_max for an observer that came to it */
	u32 max_packet;			/* bytes of a packet (jute.maxbuffer and some) */
	u64 in_max;			/* bytes that came in and wait for the core, a link */
	u64 out_max;			/* bytes that wait to go out, a link */
	struct disk *disk;
	/* on the thread "peers": takes the event over; after some of them, wakes who is
	 * to handle them */
	void (*deliver)(void *arg, struct peer_event *ev);
	void (*wake)(void *arg);
	void *arg;
};

/* Binds the election port of the own addresses, or (-EADDRNOTAVAIL, to be tried again) of
 * none; @why names what could not be bound. The quorum port is listened on only between
 * peer_lead(p, PEER_PORT_QUORUM) and another one. */
int peers_start(const struct peers_params *p, struct peers **out, char *why, size_t why_len);
/* Closes everything and joins; deliver() is not called any more after it. */
void peers_stop(struct peers *p);
void peers_free(struct peers *p);

/* All of these: core thread; they queue and return. -ENOMEM: not done. */

/*
 * The membership changed, or (not @in_force) is to be another one: addresses, and whose
 * connections are welcome. While one is proposed those of both are known.
 */
int peer_ensemble(struct peers *p, struct ensemble *e, bool in_force);
/* ZAB_DO_NOTIFY: connects if need be. Takes a reference to @b. */
int peer_notify(struct peers *p, u64 to, struct zab_bytes *b);
/* From now on this one is listened on; what came in on another one is closed. */
int peer_lead(struct peers *p, enum peer_port port);
/* ZAB_DO_CONNECT (@master: to the port for observers): tries all addresses, again and again
 * within leader_ms (Learner.connectToLeader); LINK_DOWN if in vain. */
int peer_connect(struct peers *p, u64 to, u64 link, bool master);
/* These take a reference of their own to @b, @t. peer_flush() must follow, once for
 * however many there were, before the core sleeps: it wakes the thread that sends. */
void peer_flush(struct peers *p);
int peer_send(struct peers *p, u64 link, struct zab_bytes *b);
int peer_send_txn(struct peers *p, u64 link, s32 packet_type, struct txn *t);
/* ZAB_DO_SEND_HISTORY, from the logs on disk. */
int peer_send_history(struct peers *p, u64 link, u64 after, u64 to, bool observer);
/* ZAB_DO_SEND_TREE. @snap is of the store at @zxid and is closed by this (unless it says
 * -ENOMEM); the sessions are copied. Sends the packet SNAP, the stream and "BenWasHere". */
int peer_send_tree(struct peers *p, u64 link, u64 zxid, struct store *st,
		   struct store_snap *snap, const struct disk_session *s, u32 n);
/* ZAB_DO_RECEIVE: what follows the SNAP packet on @link is a stream, not packets. Until
 * this is called nothing behind a SNAP packet is read. */
int peer_receive(struct peers *p, u64 link, u64 zxid);
/*
 * Besides: 1: the tree that came on @link (peer_receive()) is on disk already, and its
 * PEER_RECEIVED was not given back yet: the files are those of the leader, so the caller
 * takes it as received, by disk_reload(). May wait for that to be on disk; after it
 * nothing of @link touches the files.
 */
int peer_close(struct peers *p, u64 link);
/* The link has told a whole tick's silence is no end: from now on sync_ms, not init_ms. */
int peer_settled(struct peers *p, u64 link);

/* A learner's link. Packets are counted from NEWLEADER's ACK on, and what is sent behind it. */
struct peer_link {
	u64 link;
	u64 sid;		/* as it says */
	bool observer;		/* as it says */
	bool settled;		/* peer_settled(): it has all */
	char name[80];		/* address and port */
	u64 since_ms;		/* when it came; wall clock */
	u64 received;		/* packets */
	u64 requests;		/* of these */
	u64 sent;
	u64 last_zxid;		/* of the last packet that had one; ~0: none */
	u64 queued;		/* packets that wait to go out, ... */
	u64 queued_bytes;	/* ... streams not counted */
};
/* Any thread: the links of learners, @max of them at most, the oldest first. How many. */
u32 peer_links(struct peers *p, struct peer_link *out, u32 max);
/* Any thread: observers' packets are counted from now on. */
void peer_links_reset(struct peers *p);

/* The election and quorum ports that it is bound to (the file may say 0), of the first
 * own address. */
u16 peer_election_port(const struct peers *p);
u16 peer_quorum_port(const struct peers *p);

#endif
