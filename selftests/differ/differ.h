/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The differential run: one stream of actions, drawn from a seed, given to two
 * servers in lockstep; every frame that comes back is compared at once.
 *
 * An action (struct action) is all that is ever done to the servers. The
 * generator (gen.c, body.c) makes them, the executor (act.c) does them and
 * keeps them, so that a trace of them can be replayed and made smaller. An action that
 * makes no sense where it stands (a request on a closed slot) is passed over, alike
 * on every run.
 *
 * A client's requests go out in batches: the next is sent without the answer to the
 * one before, to both servers, and then all that comes back is compared, order
 * included. One client's at a time, as the order in which a server takes up what lies
 * on two connections is its own (conc.c is for that). What the generator learns of
 * answers (names of sequential nodes) it learns where a batch ends, which only the
 * sequence itself decides: the same seed gives the same one whatever the servers. A
 * batch ends where 3.8's own answer to a request in flight would be chance:
 *
 *   setACL        a write behind it is checked by the old ACL or the new one (reads stay)
 *   closeSession  a write behind it has no answer or -112
 *   auth, what closes the connection: answered past those in flight
 *
 * Two servers answer alike when canon.c makes the same text of both answers. What
 * it normalises, and nothing else:
 *
 *   time        only its consistency is compared: within one server a zxid has one
 *               time, which lies within the run; zxid 0 has time 0
 *   session id  the slot's number of sessions so far, as the servers name them anew
 *   password    "right" if it is the one that ZooKeeper computes for the session id
 *   zxid        as it is, both count alike. Only where clients ran at the same time
 *               (conc.c), are the zxids of their writes mapped one to one
 *   children    sorted, ephemerals and whoAmI too: Java's order of a HashSet
 *   ACL entries with the bit 64 in their perms, sorted where they stand next to each
 *               other: only "auth" entries are given that bit, and what they stand for
 *               comes in the order of a HashSet
 *   events of a session's end  sorted for each connection: its nodes go in the order of
 *               a HashSet. The same while clients run at the same time, for the others'
 *   client's IP in whoAmI: where one server is in the VM, it sees another address
 *
 * One thread. Failure ends the program: exit status 2 is a difference.
 */
#ifndef DIFFER_H
#define DIFFER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/proto/jute.h"
#include "daemon/proto/zookeeper.h"

#define SIDES		2
#define WALKER		0	/* the slot that reads whole trees, as super */
#define FIRST_SLOT	1	/* those of random clients */
#define LAST_SLOT	6
#define SHORT_SLOT	7	/* a session that is made to expire */
#define CONC_SLOT	8	/* those of clients that run at the same time */
#define CONC_CLIENTS	4
#define SLOTS		(CONC_SLOT + CONC_CLIENTS)

#define PENDING_MAX	256	/* requests in flight on a connection */
#define DEPTH		64	/* as many in a batch of random ones, unless told else */
#define BURST_BYTES	(256 * 1024)
#define ANSWER_MS	120000	/* a server that takes longer has not answered */
#define REL_LAST	(-77)	/* setWatches: the slot's last zxid */
#define AUTH_BIT	64	/* perms of "auth" entries */
#define SUPER_AUTH	"super:secret"

/* ------------------------------------------------------------ actions */

enum action_kind {
	A_OPEN,		/* a new session; value: timeout in ms */
	A_REQ,		/* a request: op, xid, body */
	A_RAW,		/* bytes sent as they are: the server must close */
	A_DROP,		/* close the connection, not the session */
	A_RECON,	/* reconnect; value: enum recon */
	A_EXPIRE,	/* drop, wait until the ephemeral that body names is gone */
	A_HELLO,	/* body as the first bytes of a connection */
	A_WORD,		/* body: a four-letter word */
	A_BARRIER,	/* all events so far are here and compared */
	A_WALK,		/* compare the whole trees */
	A_RESTART,	/* value: enum restart */
	A_CONC,		/* value: a seed; op: requests of each client */
	A_CLOSE,	/* the walker's session, last of all */
	A_KINDS
};

enum recon { RECON_RIGHT, RECON_PASSWORD, RECON_SESSION, RECON_FUTURE, RECON_OLD };
enum restart { RESTART_KILL, RESTART_STOP, RESTART_SWAP };

#define F_FLUSH		1	/* take in all answers before going on */
#define F_CLOSES	2	/* the server closes the connection after it */
#define F_ALONE		4	/* nothing else may be in flight */

struct action {
	u8 kind;
	u8 slot;
	u8 flags;
	s32 op;
	s32 xid;	/* 0: the slot's next */
	s64 value;
	u32 len;
	u8 *body;	/* owned */
};

/* ------------------------------------------------------------ the two servers */

/* What belongs to a data directory, and changes sides with it. */
struct dataset {
	bool second;		/* its zxids are mapped to the first's */
	u64 *zkey, *zval;	/* hash: a zxid to the first's, where they differ */
	u32 zcap, zcount;
	s64 *times;		/* by zxid, 0: not seen */
	u32 ntimes;
};

struct frame {
	u32 off, len;
};

struct conn {
	int fd;
	bool eof;
	bool plain;		/* what comes is no frames */
	u8 *buf;
	u32 len, cap, parsed;
	struct frame *frames;
	u32 nframes, fcap;
	struct jw out;
};

struct pending {
	s32 xid, op;
	u32 action;	/* its number */
	const struct action *part;	/* of a concurrent action: this one's */
};

struct slot {
	bool live;	/* has a session */
	bool up;	/* is connected */
	u32 serial;	/* of its session: S0, S1 ... in texts */
	s32 xid;
	u64 sid[SIDES], last_zxid[SIDES];	/* by data set: 0 the first */
	struct conn c[SIDES];
	struct pending q[PENDING_MAX];
	u32 nq;
	bool acl_set;	/* a setACL is among them */
	struct pending *all;	/* instead of q, where more are compared at once */
	u32 nall;
};

struct differ {
	u16 port[SIDES];
	struct dataset *ds[SIDES];	/* which each side serves from */
	struct slot slots[SLOTS];
	u32 serials;			/* sessions so far */
	u64 *sids[SIDES];		/* theirs, by serial, for each data set */
	u64 seed;
	s64 started_ms;		/* wall clock */
	u64 ops;		/* requests compared */
	u64 events;
	const struct action *part;	/* being compared, of a concurrent action */
	u32 depth;		/* requests in a batch at most; 1: one by one */
	bool answers;		/* print them all */
	bool same_ip;		/* both see 127.0.0.1 */
	struct action *acts;	/* all done so far */
	u32 nacts, acts_cap;
	const char *trace;	/* where to write them on a difference */
	/* called with the first server's reply to each request, after comparing */
	void (*on_reply)(struct differ *d, u32 slot, s32 op, s32 err, struct jr *body);
};

static inline u32 ds_of(const struct differ *d, int side)
{
	return d->ds[side]->second;
}

/* util.c */
extern const char *const side_name[SIDES];
u64 rnd64(void);
u32 rnd(u32 n);				/* 0 .. n-1 */
void rnd_seed(u64 seed);
u64 rnd_state(void);
void *must(void *p);			/* no memory ends the program */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
s64 now_ms(void);			/* wall clock */
const char *op_name(s32 op);
void session_password(u64 sid, u8 *out);
/* Known users' digest ids, "uN:base64": N in 0..3. */
#define USERS 4
const char *user_auth(u32 n);
const char *user_id(u32 n);

/* text.c: text that grows; cut at 1 MiB. */
struct text {
	char *s;
	u32 len, cap;
};

void t_reset(struct text *t);
void t_str(struct text *t, const char *s);
void t_num(struct text *t, s64 v);
void t_fmt(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void t_bytes(struct text *t, const u8 *p, s32 len);	/* quoted; long ones by a hash */

/* canon.c */
u64 zxid_canon(const struct dataset *ds, u64 zxid);
/* Say that these two are one transaction; false if that cannot be. */
bool zxid_pair(struct differ *d, u64 zxid0, u64 zxid1);
bool frame_is_event(const u8 *p, u32 len);
/* A reply to @op, or an event; @loose: without the header's zxid. */
void canon(struct differ *d, int side, struct slot *s, s32 op, bool loose, const u8 *p,
	   u32 len, struct text *t);
void describe(const struct action *a, struct text *t);

/* conn.c: all of them wait ANSWER_MS at most. */
void conn_open(struct conn *c, u16 port);
void conn_close(struct conn *c);
bool conn_hang_up(struct conn *c);		/* until the server has seen it */
void conn_send(struct conn *c, const void *p, size_t len);
void conn_flush(struct conn *c);
bool conn_read(struct conn *c, int timeout_ms);	/* false: nothing came; EOF counts */
bool conn_wait(struct conn *c, u32 replies);	/* false: timed out. EOF ends it too */
bool conn_wait_eof(struct conn *c);
u32 conn_replies(const struct conn *c);
static inline const u8 *conn_frame(const struct conn *c, u32 i)
{
	return c->buf + c->frames[i].off;
}
void conn_consume(struct conn *c);		/* the frames had so far */
void connect_request(struct jw *w, u64 zxid, s32 timeout, u64 sid, const u8 *passwd, bool ro);

/* pair.c: slots, compared */
void put_frame(struct jw *w, s32 xid, s32 op, const void *body, u32 len);
void slot_request(struct differ *d, u32 n, const struct action *a, u32 number);
void slot_flush(struct differ *d, u32 n, bool closes, bool unordered);
void slot_down(struct slot *s);
void slot_drop(struct differ *d, u32 n);
void flush_current(struct differ *d);
void barrier(struct differ *d, bool unordered);
void compare_frames(struct differ *d, u32 n, bool unordered, bool loose);
bool op_is_write(s32 op);

/* session.c */
void open_walker(struct differ *d);
void do_open(struct differ *d, u32 n, s32 timeout);
void do_recon(struct differ *d, u32 n, enum recon how);
void do_expire(struct differ *d, u32 n, const struct action *a);
void do_hello(struct differ *d, const struct action *a);
void do_word(struct differ *d, const struct action *a);
void do_restart(struct differ *d, enum restart how);

/* walk.c: gives the number of nodes; calls each() (may be NULL) with each path */
u32 walk(struct differ *d, void (*each)(void *arg, const char *path, u32 children), void *arg);

/* conc.c */
void do_conc(struct differ *d, u64 seed, u32 requests);

/* act.c */
void act(struct differ *d, struct action *a);	/* takes @a's body */
void act_req(struct differ *d, u32 slot, s32 op, u32 flags, struct jw *body);
void act_simple(struct differ *d, u32 kind, u32 slot, s64 value, const void *body, u32 len);
void trace_write(const struct differ *d, const char *file);
u64 trace_hash(const struct differ *d);
void trace_run(struct differ *d, const char *file);
/* A difference: says which action, both texts, and what was done to the path before. */
void differs(struct differ *d, u32 action, const char *what, const char *a, const char *b)
	__attribute__((noreturn));

/* body.c */
struct scope {
	const char *prefix;	/* "" or "/cN": all paths lie there */
	bool conc;		/* nothing that others could see */
};

/* A random request of scope: gives op, flags and body. */
s32 body_random(const struct scope *sc, struct jw *w, u32 *flags);
void body_path(const struct scope *sc, struct jw *w);
void learn_path(const u8 *p, u32 len);
void body_auth(struct jw *w, const char *scheme, const char *auth);
void body_create(struct jw *w, const char *path, s32 flags);

/* gen.c */
struct plan {
	u64 ops;		/* requests to do */
	u64 restart_every;	/* requests between restarts, 0: none */
	u64 walk_every;
	u64 expire_every;
	u64 conc_every;
};
void generate(struct differ *d, const struct plan *p);

#endif
