/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libzkern: read and write a zkern or ZooKeeper tree.
 *
 * One handle type, three ways to the tree:
 *
 *   device   /dev/zkernN: reads in one system call each, no server asked; writes, which
 *            the daemon of this host has done
 *   netlink  the same reads through generic netlink
 *   tcp      ZooKeeper's client protocol, to zkernd or Apache ZooKeeper: reads,
 *            writes, watches
 *
 * What a way does not offer fails with -EOPNOTSUPP.
 *
 * Rules
 *  - A handle may be used by one thread at a time; different handles are
 *    independent. There are no globals, no threads, no signals inside.
 *  - Functions return 0 or a count, or a negative errno. zkern_message() then says
 *    in one line what was wrong, zkern_zk_error() gives ZooKeeper's code if a
 *    server sent one.
 *  - Paths are NUL-terminated, absolute, as ZooKeeper has them.
 *  - What a function allocates for the caller is released with the function that
 *    its comment names. Inputs are borrowed for the call.
 *  - A device handle is a session from its first write on; it lives until the handle is
 *    closed or the program ends (linux/zkern.h: an open file is a session). After a
 *    fork(2) parent and child share it, and only one of them may use the handle.
 *  - A TCP handle is a session. It lives as long as the program calls in at least
 *    every third of the session's timeout (zkern_next_event() pings while it waits).
 *
 * errno            ZooKeeper's code
 *  ENOENT           NONODE
 *  EEXIST           NODEEXISTS
 *  ENOTEMPTY        NOTEMPTY
 *  EBADE            BADVERSION
 *  EACCES           NOAUTH
 *  EKEYREJECTED     AUTHFAILED
 *  ENOTDIR          NOCHILDRENFOREPHEMERALS
 *  EINVAL           BADARGUMENTS, INVALIDACL, a malformed path
 *  EDQUOT           QUOTAEXCEEDED
 *  EROFS            NOTREADONLY
 *  EBUSY            THROTTLEDOP
 *  EAGAIN           device: too much of this user's is queued; nothing was done
 *  ESHUTDOWN        SESSIONEXPIRED, SESSIONMOVED: the handle is of no more use
 *  ECONNRESET       the connection broke; a write may or may not have been done
 *  ECONNREFUSED     no server could be reached
 *  ETIMEDOUT        no answer in time; the same, but see zkern_undone()
 *  EINTR            a signal came first; the same
 *  ESTALE           the tree is not as fresh as was asked
 *  ENOTCONN         no quorum can be asked
 *  ENODEV           the instance is not there (any more)
 *  EOPNOTSUPP       UNIMPLEMENTED, or not offered this way
 *  EPROTO           the answer made no sense
 *  EREMOTEIO        any other code
 */
#ifndef ZKERN_H
#define ZKERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/zkern.h>

#ifdef __cplusplus
extern "C" {
#endif

struct zkern;

enum zkern_via { ZKERN_VIA_DEVICE, ZKERN_VIA_NETLINK, ZKERN_VIA_TCP };

#define ZKERN_STATE_UNKNOWN	(~0U)		/* a server does not tell */
#define ZKERN_AGE_UNKNOWN	(~0ULL)

/* ------------------------------------------------------------ opening */

/**
 * struct zkern_tcp_params - how to connect; zeros mean the default.
 * @size:       sizeof(struct zkern_tcp_params)
 * @session_ms: session timeout to ask for; default 10000
 * @timeout_ms: bound of each call, connecting included; default 10000
 * @max_frame:  longest answer taken, bytes; default 64 MiB
 */
struct zkern_tcp_params {
	uint32_t size;
	uint32_t session_ms;
	uint32_t timeout_ms;
	uint32_t max_frame;
};

/* All of them: *@zk is set on success only, and then belongs to the caller. Where
 * there is no handle there is no zkern_message(): @why (may be NULL) gets the
 * line, cut to @why_len bytes with its NUL.
 */

/* @path: "/dev/zkern0". Errors: ENOENT, ENODEV, EACCES, ... of open(2). */
int zkern_open_device(const char *path, struct zkern **zk, char *why, size_t why_len);
/* @instance: the N of /dev/zkernN. ENODEV: the module is not loaded. */
int zkern_open_netlink(uint32_t instance, struct zkern **zk, char *why, size_t why_len);
/* @hosts: "host:port,host:port", tried in turn; port 2181 if left out; an IPv6
 * address in brackets. Connects and makes a session before it returns.
 */
int zkern_connect(const char *hosts, const struct zkern_tcp_params *params,
		  struct zkern **zk, char *why, size_t why_len);
/* Ends the session (its ephemerals go) and frees the handle; NULL is fine. */
void zkern_close(struct zkern *zk);

enum zkern_via zkern_via(const struct zkern *zk);
/* The last failed call's message; "" if none failed. Valid until the next call. */
const char *zkern_message(const struct zkern *zk);
/* The last failed call's code as in KeeperException.Code, 0 if no server sent one. */
int zkern_zk_error(const struct zkern *zk);
/* "no such znode" for -ENOENT, and so on; falls back to strerror(3). @err: negative
 * errno. Static text or, for strerror's, valid until the thread's next call.
 */
const char *zkern_strerror(int err);
/* "leading" for ZKERN_STATE_LEADING, and so on; "unknown". Static. */
const char *zkern_state_name(uint32_t state);

/* ------------------------------------------------------------ reading */

#define ZKERN_WANT_WATCH	1	/* device, tcp: leave a one-shot watch there */
#define ZKERN_WANT_NODATA	2	/* zkern_get_many(): stats only */
#define ZKERN_WANT_LINEARIZABLE	4	/* device: see every write that anybody was told is
					 * done, after a quorum confirmed it; ENOTCONN
					 * if there is none to ask. Over TCP that is the
					 * server's zkern.linearizableReads
					 */

/**
 * struct zkern_want - how fresh an answer must be; NULL: as it is.
 * @flags:      ZKERN_WANT_*
 * @min_zxid:   device, netlink: wait until the tree has reached it, 0: do not
 * @timeout_ms: device: bound of that wait, 0: none (LINEARIZABLE: half a minute)
 * @max_age_ms: device: ESTALE if a quorum was last heard from longer ago, 0: any
 */
struct zkern_want {
	uint32_t flags;
	uint32_t timeout_ms;
	uint64_t min_zxid;
	uint32_t max_age_ms;
	uint32_t pad;
};

/**
 * struct zkern_seen - what an answer was read from.
 * @zxid:   device, netlink: the answer is exact at it; tcp: the server's last
 * @state:  enum zkern_state or ZKERN_STATE_UNKNOWN
 * @age_ms: since a quorum was last heard from, or ZKERN_AGE_UNKNOWN
 * @events: 1: events of what had changed by then wait; zkern_next_event() gives them at
 *          once. Who has taken them before he acts on the answer knows all that led to it
 */
struct zkern_seen {
	uint64_t zxid;
	uint64_t age_ms;
	uint32_t state;
	uint32_t events;
};

/**
 * struct zkern_value - a node.
 * @data: allocated, with a NUL behind it that does not count; NULL for null data
 *        and where no data was asked for
 * @len:  bytes
 * @err:  zkern_get_many(): this path's negative errno, or 0
 */
struct zkern_value {
	void *data;
	size_t len;
	int err;
	int pad;
	struct zkern_stat stat;
	struct zkern_seen seen;
};

void zkern_value_free(struct zkern_value *value);

/* Data and stat. With an error, @value holds nothing to free; its seen is set if
 * the tree was reached. cversion_stored and owner_stored are 0 over tcp.
 */
int zkern_get(struct zkern *zk, const char *path, const struct zkern_want *want,
	      struct zkern_value *value);
/* Stat only; -ENOENT if the node is not there. */
int zkern_exists(struct zkern *zk, const char *path, const struct zkern_want *want,
		 struct zkern_value *value);
/* @n paths at one zxid (device). Each values[i] is set as by zkern_get(), with err;
 * free each. Fails as a whole only if none could be read. @n <= ZKERN_READ_MAX.
 */
int zkern_get_many(struct zkern *zk, const char *const *paths, size_t n,
		   const struct zkern_want *want, struct zkern_value *values);

/**
 * struct zkern_children - a node's children, all as of one moment.
 * @name: @count NUL-terminated names, in no promised order
 */
struct zkern_children {
	char **name;
	size_t count;
	struct zkern_stat stat;		/* the parent's; netlink: zeros */
	struct zkern_seen seen;
};

int zkern_children(struct zkern *zk, const char *path, const struct zkern_want *want,
		   struct zkern_children *children);
void zkern_children_free(struct zkern_children *children);

/**
 * struct zkern_acl - one entry of an ACL.
 * @perms: bits: 1 read, 2 write, 4 create, 8 delete, 16 admin
 */
struct zkern_acl {
	uint32_t perms;
	const char *scheme;
	const char *id;
};

struct zkern_acls {
	struct zkern_acl *acl;
	size_t count;
	struct zkern_stat stat;
	struct zkern_seen seen;
};

/* Device and tcp. */
int zkern_get_acl(struct zkern *zk, const char *path, struct zkern_acls *acls);
void zkern_acls_free(struct zkern_acls *acls);

/**
 * struct zkern_record - one node of a dump; pointers live until the callback returns.
 * @path:   NUL-terminated
 * @data:   NULL for null data, and if it was left out
 * @left_out: 0; ZKERN_LEFT_HIDDEN withheld by the ACL; ZKERN_LEFT_LONG too long for
 *          the way it came (netlink)
 */
#define ZKERN_LEFT_HIDDEN	1
#define ZKERN_LEFT_LONG		2
struct zkern_record {
	const char *path;
	const void *data;
	size_t len;
	uint32_t left_out;
	uint32_t pad;
	struct zkern_stat stat;
	uint64_t zxid;
};

/* The subtree at @path in pre-order, exact at one zxid, however long @fn takes
 * (device, netlink). @fn returns non-zero to end it; that is returned. @seen: may
 * be NULL. -ESTALE: the snapshot was revoked meanwhile.
 */
int zkern_dump(struct zkern *zk, const char *path,
	       int (*fn)(void *arg, const struct zkern_record *rec), void *arg,
	       struct zkern_seen *seen);

/* What the instance is and holds (device, netlink). */
int zkern_info(struct zkern *zk, struct zkern_info *info);

/* ------------------------------------------------------------ mapped nodes */

/*
 * A node that is read without a system call where it can be (a device): its data is in a
 * page that the kernel keeps current, for all programs one. Where it cannot (data longer than
 * ZKERN_MAP_DATA_MAX, or another way than a device, or too many mapped nodes), and when the
 * mapping was revoked, because the node was deleted and made again, its ACL changed, or
 * the server has put another tree in the place of the one that was, the same functions read as
 * zkern_get() does, and map the node again, unseen but for the time that it takes.
 *
 * A mapping belongs to its handle: one thread at a time uses both. Threads that read
 * much each open a handle and map the node: all share the page.
 */
struct zkern_mapping;

/**
 * struct zkern_map_got - what zkern_map_get() has read.
 * @zxid:    that it is exact at, as struct zkern_seen has it
 * @version: for zkern_map_wait()
 * @len:     bytes of data; -1: null data
 */
struct zkern_map_got {
	uint64_t zxid;
	uint64_t version;
	int64_t len;
};

/*
 * Maps the node at @path, which has to be there: -ENOENT, -EACCES, and so on. *@map is set on
 * success only; zkern_map_close() it before the handle.
 */
int zkern_map_open(struct zkern *zk, const char *path, struct zkern_mapping **map);
/* NULL is fine. */
void zkern_map_close(struct zkern_mapping *map);

/*
 * Data of the node into @buf, which has room for @cap bytes, and its stat into @stat
 * unless that is NULL. Returns 0, or as zkern_get(): -EMSGSIZE: @cap is less than got->len,
 * and nothing was copied; -ENOENT the node is not there now, perhaps later; -ESTALE: the tree
 * has gone back behind what was read by this mapping. got->zxid is set if the tree was
 * reached. One mapping never goes back in time.
 */
static inline int zkern_map_get(struct zkern_mapping *map, void *buf, size_t cap,
				struct zkern_map_got *got, struct zkern_stat *stat);

/**
 * struct zkern_map_read - one entry of zkern_map_get_many().
 * @err: [out] this node's negative errno, or 0
 */
struct zkern_map_read {
	struct zkern_mapping *map;
	void *buf;
	size_t cap;
	struct zkern_stat *stat;
	struct zkern_map_got got;
	int err;
	int pad;
};

/*
 * @n mapped nodes of one handle (device), all as of one zxid: what a multi has done is seen of
 * all of them or of none. Fails as a whole only if none could be read.
 */
int zkern_map_get_many(struct zkern_map_read *reads, size_t n);

/*
 * Sleeps until the node is another than at @version (got.version): 1, also when it is gone or
 * has to be mapped again; 0 after @timeout_ms (-1: none). Whoever reads then misses only what
 * has been overwritten since. Over tcp the data alone is waited for, not what else is
 * in the stat, and a node that was gone until it is there. -EINTR: a signal came. Device:
 * -ENOENT the node was gone at @version and is; -EMFILE, -ENOSPC, -ENOMEM: it cannot be
 * mapped, so not waited for. -EOPNOTSUPP: netlink.
 */
int zkern_map_wait(struct zkern_mapping *map, uint64_t version, int timeout_ms);
/*
 * For poll(2) and epoll(7): readable when the node has changed since the last
 * zkern_map_ack() (then read it), POLLHUP when it has to be mapped again, which the next
 * zkern_map_get() does: the descriptor is another one after that. -1: there is none.
 */
int zkern_map_fd(const struct zkern_mapping *map);
/* What there is now counts as seen. Call it before the node is read. */
void zkern_map_ack(struct zkern_mapping *map);
/* What the tree is now, and how fresh: no system call, but for the clock's. */
void zkern_map_seen(struct zkern_mapping *map, struct zkern_seen *seen);

#include "zkern_map.h"

/* ------------------------------------------------------------ writing (device, tcp) */

/* How long a write (over tcp any call) may wait for its answer; 0, device only: for as long
 * as it takes. Default 10000.
 */
void zkern_set_timeout(struct zkern *zk, uint32_t ms);
/* Whether the last call, a write that failed, is known to have had no effect and to have
 * none later. False also means: not known. A refusal by the server (zkern_zk_error()) is
 * one.
 */
bool zkern_undone(const struct zkern *zk);

#define ZKERN_EPHEMERAL		1
#define ZKERN_SEQUENTIAL	2
#define ZKERN_CONTAINER		4	/* alone */
#define ZKERN_TTL		8	/* with ZKERN_SEQUENTIAL or alone; see @ttl_ms */

/**
 * struct zkern_create_params - what to create; zeros are a plain node.
 * @flags:  ZKERN_EPHEMERAL ...
 * @ttl_ms: ZKERN_TTL: removed when childless and unchanged for so long
 * @acl:    NULL: everything to world:anyone
 */
struct zkern_create_params {
	uint32_t flags;
	uint32_t n_acl;
	const struct zkern_acl *acl;
	uint64_t ttl_ms;
};

/* @data NULL with @len 0: null data. @created (may be NULL): the path made, free(3)
 * it. @value (may be NULL): stat and seen; no data.
 */
int zkern_create(struct zkern *zk, const char *path, const void *data, size_t len,
		 const struct zkern_create_params *params, char **created,
		 struct zkern_value *value);
/* @version: the one expected, -1: any. */
int zkern_set(struct zkern *zk, const char *path, const void *data, size_t len,
	      int32_t version, struct zkern_value *value);
int zkern_delete(struct zkern *zk, const char *path, int32_t version);
int zkern_set_acl(struct zkern *zk, const char *path, const struct zkern_acl *acl,
		  size_t n, int32_t aversion);
/* Lets the server catch up with its leader before what follows is read. */
int zkern_sync(struct zkern *zk, const char *path);

enum zkern_multi_type {
	ZKERN_MULTI_CREATE,
	ZKERN_MULTI_SET,
	ZKERN_MULTI_DELETE,
	ZKERN_MULTI_CHECK,
};

/**
 * struct zkern_multi_op - one of a multi's operations.
 * @created: [out] CREATE: the path made, free(3) it
 * @err:     [out] negative errno; in a multi that failed, -ECANCELED for those that
 *           did not cause it
 */
struct zkern_multi_op {
	enum zkern_multi_type type;
	int32_t version;		/* SET, DELETE, CHECK */
	const char *path;
	const void *data;		/* CREATE, SET */
	size_t len;
	struct zkern_create_params params;	/* CREATE */
	char *created;
	struct zkern_stat stat;		/* [out] SET, CREATE */
	int err;
	int pad;
};

/* All or nothing. Returns 0, or the error of the operation that was refused. */
int zkern_multi(struct zkern *zk, struct zkern_multi_op *ops, size_t n);

/* @scheme "digest": @cred is "user:password". Also sent again on reconnect. */
int zkern_add_auth(struct zkern *zk, const char *scheme, const void *cred, size_t len);

/* ------------------------------------------------------------ watching (device, tcp) */

enum zkern_event_type {
	ZKERN_EVENT_SESSION = -1,	/* @state changed: see enum zkern_session */
	ZKERN_EVENT_CREATED = 1,
	ZKERN_EVENT_DELETED = 2,
	ZKERN_EVENT_CHANGED = 3,
	ZKERN_EVENT_CHILDREN = 4,
	ZKERN_EVENT_OVERFLOW = 5,	/* device: more came than could be kept: take all that
					 * is watched as changed, set one-shot watches again
					 */
};

enum zkern_session {
	ZKERN_SESSION_DISCONNECTED = 0,
	ZKERN_SESSION_CONNECTED = 3,
	ZKERN_SESSION_EXPIRED = -112,
};

/* @path: allocated; zkern_event_free(). "" with ZKERN_EVENT_SESSION. */
struct zkern_event {
	enum zkern_event_type type;
	int state;
	uint64_t zxid;			/* 0 where the server does not tell (3.8) */
	char *path;
};

/* A watch that stays: @recursive: on the whole subtree. */
int zkern_add_watch(struct zkern *zk, const char *path, bool recursive);
/*
 * The next event: 1, or 0 after @timeout_ms without one (-1: wait on), or an error:
 * -EINTR a signal came; -ESHUTDOWN the session has expired; -ENODEV the instance was
 * removed. Lost connections are made anew inside and the watches set again; a
 * ZKERN_EVENT_SESSION tells of both. Over a device that event tells that the host's
 * server has lost its quorum or is gone, and is back: watches stay, and what has
 * changed meanwhile is told.
 */
int zkern_next_event(struct zkern *zk, int timeout_ms, struct zkern_event *event);
void zkern_event_free(struct zkern_event *event);

/* The session's id, 0 without one; and the timeout agreed on, ms. */
uint64_t zkern_session_id(const struct zkern *zk);
uint32_t zkern_session_timeout(const struct zkern *zk);

/* ------------------------------------------------------------ election (device, tcp) */

/*
 * Who stands for election at a path, one leads: who has stood there longest. The next one
 * leads when he leaves, his handle is closed, his program ends (at once on a device, by
 * closing the session over TCP) or his session times out. The nodes are those of Curator's
 * LeaderLatch, which may stand at the same path; kazoo's Election may not.
 *
 * A leader who is cut off learns it no later than others can lead if he asks
 * zkern_election_hold() all the time, with zkern_set_timeout() at a third of the session's
 * timeout or less; what he does to others' things still wants the token looked at there:
 * a later leader's is higher.
 *
 * An election belongs to its handle: one thread at a time uses both.
 */
struct zkern_election;

/* Stands for election at @path, made with its parents if it is not there; @id of @len bytes is
 * what the others can read of us. *@election is set on success only; zkern_election_leave() it
 * before the handle is closed. Success may also mean that it is not known whether we stand
 * there (the connection was lost): zkern_election_wait() finds out.
 */
int zkern_election_join(struct zkern *zk, const char *path, const void *id, size_t len,
			struct zkern_election **election);
/* Waits until we lead: 1; 0 after @timeout_ms (-1: none). -ESHUTDOWN: we do not stand there any
 * more (the session has ended, or somebody deleted our node).
 */
int zkern_election_wait(struct zkern_election *election, int timeout_ms);
/* Waits while we stand there: 0 after @timeout_ms (-1: none) we still do, as the tree said a
 * moment ago; an error: we do not (-ESHUTDOWN), or nobody can be asked.
 */
int zkern_election_hold(struct zkern_election *election, int timeout_ms);
/* Of our leading; higher than those of all who led before. */
uint64_t zkern_election_token(const struct zkern_election *election);
/* Frees it in any case; NULL is fine. 0, or why it is not known whether we still stand there:
 * the end of the session makes sure.
 */
int zkern_election_leave(struct zkern_election *election);
/* Who leads at @path: his node's data (what he gave as @id) and stat; -ENOENT: nobody. */
int zkern_election_leader(struct zkern *zk, const char *path, struct zkern_value *leader);

/* ------------------------------------------------------------ instances (netlink) */

/* Any netlink handle will do. @id: in the number wanted or ~0U for any, out the
 * number. @uid: who may own it besides root, ~0U: nobody.
 */
int zkern_instance_new(struct zkern *zk, uint32_t *id, uint32_t uid);
int zkern_instance_del(struct zkern *zk, uint32_t id, bool force);
/* Calls @fn for each instance until it returns non-zero, and returns that. */
int zkern_instance_each(struct zkern *zk,
			int (*fn)(void *arg, const struct zkern_info *info), void *arg);

#ifdef __cplusplus
}
#endif

#endif
