/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What servers say to each other, as bytes: QuorumPacket (leader and learner, no frame
 * around it), and the notifications of FastLeaderElection. Decoders take what a
 * stranger may have sent: they say how much is missing, or that it is no such thing.
 */
#ifndef ZKD_ZAB_PACKET_H
#define ZKD_ZAB_PACKET_H

#include "daemon/proto/jute.h"

enum zab_packet_type {		/* Leader.java */
	ZP_REQUEST = 1,
	ZP_PROPOSAL = 2,
	ZP_ACK = 3,
	ZP_COMMIT = 4,
	ZP_PING = 5,
	ZP_REVALIDATE = 6,
	ZP_SYNC = 7,
	ZP_INFORM = 8,
	ZP_COMMITANDACTIVATE = 9,
	ZP_NEWLEADER = 10,
	ZP_FOLLOWERINFO = 11,
	ZP_UPTODATE = 12,
	ZP_DIFF = 13,
	ZP_TRUNC = 14,
	ZP_SNAP = 15,
	ZP_OBSERVERINFO = 16,
	ZP_LEADERINFO = 17,
	ZP_ACKEPOCH = 18,
	ZP_INFORMANDACTIVATE = 19,
};

/* @data and @auth point into the bytes that were decoded, or at the caller's. */
struct zab_packet {
	s32 type;
	u64 zxid;
	const u8 *data;
	s32 len;		/* -1: null */
	const u8 *auth;		/* vector<Id> as it stands, its count included; NULL: null */
	u32 auth_len;
};

#define ZP_HEAD		20	/* bytes: type, zxid, length of data, count of ids */

/*
 * Reads one packet from @len bytes. > 0: it is whole and took so many bytes; 0: more
 * bytes are needed (*@need: how many there must be in all, at least); -EBADMSG: type
 * unknown, a length that is negative, or data and ids that are more than @max together.
 */
ssize_t zab_packet_read(const u8 *p, size_t len, u32 max, struct zab_packet *pkt, size_t *need);
void zab_packet_write(struct jw *w, const struct zab_packet *pkt);
const char *zab_packet_name(s32 type);

/* FastLeaderElection's state of a server. */
enum zab_peer_state { PEER_LOOKING, PEER_FOLLOWING, PEER_LEADING, PEER_OBSERVING };

struct zab_vote {
	s32 state;		/* of who sends it */
	u64 leader;		/* whom he votes for */
	u64 zxid;		/* that one's last */
	u64 round;		/* logical clock: electionEpoch */
	u64 epoch;		/* peerEpoch of the one voted for */
	s32 version;		/* of the form, 2 here; 0 in those of 28 and 40 bytes, which
				 * say none. zab_vote_write() goes by @config */
	const char *config;	/* his membership as text; NULL: none (old forms) */
	u32 config_len;
};

/* The longest body that QuorumCnxManager takes. */
#define ZE_VOTE_MAX	(512 * 1024)
/*
 * The body of a message of the election port, without its length (WorkerReceiver.run()).
 * 0, and @v->config points into it; -EBADMSG: none of the forms there are, or a state
 * that is none.
 */
int zab_vote_read(const u8 *p, size_t len, struct zab_vote *v);
/* With @v->config in the form of version 2, without in that of 40 bytes (buildMsg()). */
void zab_vote_write(struct jw *w, const struct zab_vote *v);

/* What a server says first on an election connection that it opened. */
#define ZE_V1		(-65536LL)
#define ZE_V2		(-65535LL)
#define ZE_HELLO_MAX	2048	/* bytes of the address list */

#define ZE_NO_ID	0x7fffffffffffffffULL

struct zab_hello {
	s64 version;
	u64 sid;
	const char *addrs;	/* "host:port" or "host:port|host:port" */
	u32 len;
};
/*
 * As zab_packet_read(), InitialMessage.parse(). @version 0 and no @addrs: the form from
 * before there were versions, the sid alone. What the addresses are is not looked at. A
 * sid of Long.MAX_VALUE is an observer's that has no id.
 */
ssize_t zab_hello_read(const u8 *p, size_t len, struct zab_hello *h, size_t *need);
/* By @version, one of ZE_V1 and ZE_V2. */
void zab_hello_write(struct jw *w, const struct zab_hello *h);

#endif
