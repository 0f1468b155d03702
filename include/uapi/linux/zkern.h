/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * zkern: the interface between zkern.ko and user space.
 *
 * /dev/zkern       control node: makes and removes instances
 * /dev/zkernN      one instance: one tree of znodes, at most one owner (zkernd)
 * snapshot fd      made by ZKERN_SNAPSHOT: the tree as of one zxid, until closed
 * mapped node      made by ZKERN_MAP: one node, read without a system call
 * lock             made by ZKERN_LOCK_OPEN: a znode's path as a lock of the cluster
 * generic netlink  family "zkern", see the end of this file
 *
 * Conventions
 *  - Every struct begins with its own size, set by the caller to the sizeof() it
 *    was compiled with. A shorter struct than the kernel's is filled up with
 *    zeros; a longer one is accepted if what the kernel does not know is zero,
 *    else E2BIG (as openat2(2)). Results are written back up to that size.
 *  - Pointers are __u64, all structs have the same layout for 32 and 64 bits;
 *    unknown flags and non-zero padding are EINVAL.
 *  - Paths are absolute, given by pointer and length, without a final NUL.
 *  - Fields marked [out] are written by the kernel.
 *
 * Guarantees
 *  A) Every answer is exact at one zxid, which it carries (@zxid). All entries of
 *     one ZKERN_READ, and everything read through one snapshot fd, share one.
 *  B) A transaction (a multi too) is seen whole or not at all.
 *  C) zxids seen through one file never go backwards. Should the owner swap in a
 *     tree with a lower zxid, files that have seen more get ESTALE until the tree
 *     has reached that again; a file opened anew reads on at once. ZKERN_INFO
 *     always says how things are, and neither heeds nor counts.
 *  D) Reads go on while the instance has no owner; @state says so, @age_ms how
 *     long ago the tree last heard from a quorum.
 *  E) A caller sees what the znode's ACL gives to his identities (uid and gid
 *     as the kernel knows them in the initial user namespace, world:anyone) and
 *     nothing else: without READ no data, no child names (EACCES). As in
 *     ZooKeeper, existence and stat of a node are open to all.
 *  Guarantees F to M are about watches: see ZKERN_WATCH.
 *
 * Reading and watching need the file open for reading; ZKERN_REQUEST, ZKERN_LOCK_OPEN and
 * ZKERN_OWN for writing (EBADF). An error that a look at the tree found (ENOENT, EACCES,
 * EMSGSIZE, ESTALE) fills in the results too, as far as they are known: the zxid above all.
 *
 * Errors common to all reads: ENOENT no such znode; EACCES by its ACL; EINVAL
 * malformed request or path; E2BIG see above; EMSGSIZE the buffer is too small
 * (the needed size is in the struct); ESTALE not as fresh as asked, or a snapshot
 * was revoked; ENODEV the instance was removed; EFAULT; ETIMEDOUT min_zxid was
 * not reached in time; EINTR.
 *
 * Changelog: 1 - first version.
 *            2 - struct zkern_load: nodes.
 *            3 - ZKERN_LINEARIZABLE, ZKERN_CONFIRM, poll(2) for the owner,
 *                ZKERN_TXN_ASIDE.
 *            4 - ZKERN_SET_STATE: EMPTY.
 *            5 - ZKERN_REQUEST; for the owner ZKERN_TAKE, ZKERN_ANSWER.
 *                Since then, ENOTTY or EINVAL where it is missing: ZKERN_WATCH,
 *                ZKERN_WATCH_ONCE, @events of reads and requests. ZKERN_LOCK_OPEN and what
 *                belongs to it.
 */
#ifndef _UAPI_LINUX_ZKERN_H
#define _UAPI_LINUX_ZKERN_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define ZKERN_API_VERSION	5
#define ZKERN_MAX_INSTANCES	256
#define ZKERN_PATH_MAX		(1024 * 1024)

/* What an instance is doing, as its owner last said. */
enum zkern_state {
	ZKERN_STATE_EMPTY = 0,		/* has no tree to be seen: reads fail with ESTALE */
	ZKERN_STATE_LEADING = 1,
	ZKERN_STATE_FOLLOWING = 2,
	ZKERN_STATE_OBSERVING = 3,
	ZKERN_STATE_DISCONNECTED = 4,	/* owner is there but has no quorum */
	ZKERN_STATE_ORPHANED = 5,	/* owner is gone; the tree is as it left it */
	ZKERN_STATE_STANDALONE = 6,	/* a single server */
};

/* A znode's stat, as a ZooKeeper client is shown it. */
struct zkern_stat {
	__u64 czxid;
	__u64 mzxid;
	__u64 pzxid;
	__s64 ctime;			/* ms since 1970 */
	__s64 mtime;
	__s32 version;
	__s32 cversion;			/* changes of the child list */
	__s32 aversion;
	__s32 data_len;			/* bytes; -1: null data */
	__s32 num_children;
	__s32 cversion_stored;		/* as in snapshots: children ever created */
	__u64 ephemeral_owner;		/* session, or 0 */
	__u64 owner_stored;		/* as in snapshots: also tells container, TTL */
};

/* -------------------------------------------------------------- reading */

/*
 * A flag of ZKERN_GET, ZKERN_READ and ZKERN_CHILDREN on the device (a snapshot shows
 * one moment: EINVAL): the answer has every write that anybody, on any host, was told
 * is done before the call. The owner has a quorum confirm that first; the call waits
 * for it, at most @timeout_ms (0: ZKERN_CONFIRM_MS), then ETIMEDOUT. ENOTCONN: there is
 * no owner or it has no quorum, or lost it meanwhile. The tree of a single server
 * (STANDALONE) has all there is; nothing is asked.
 */
#define ZKERN_LINEARIZABLE	0x100
#define ZKERN_CONFIRM_MS	30000

/*
 * A flag of ZKERN_GET (without ZKERN_GET_ACL) and of ZKERN_CHILDREN's first page, on the
 * device: also sets a one-shot watch, at the zxid that is read (guarantee H): for
 * ZKERN_GET a data watch, with ZKERN_GET_NODATA also where there is no node yet; for
 * ZKERN_CHILDREN a child watch. Where the answer is ENOENT (but for NODATA) or EACCES
 * no watch is set. Any other error that comes with an answer (EMSGSIZE) leaves it set.
 */
#define ZKERN_WATCH_ONCE	0x200

#define ZKERN_GET_NODATA	1	/* stat only (exists) */
#define ZKERN_GET_ACL		2	/* the ACL (jute vector<ACL>) instead of data;
					 * needs READ or ADMIN, as getACL does
					 */

/**
 * struct zkern_get - ZKERN_GET, and one entry of ZKERN_READ.
 * @min_zxid:  wait until the tree has reached it, 0: do not wait
 * @timeout_ms: bound of that wait, 0: none (ETIMEDOUT); of a ZKERN_LINEARIZABLE one,
 *             which comes before it, too
 * @max_age_ms: ESTALE if the last word from a quorum is older, 0: any age
 * @buf, @buf_len: where the data goes; EMSGSIZE if it does not fit: @len and
 *             @stat are written, the buffer is not
 * @len:       [out] bytes of data or ACL (0 for null data, see stat.data_len)
 * @err:       [out] in ZKERN_READ: this entry's errno (positive) or 0
 * @crc:       [out] CRC-32 of path and data (0 for a caller without READ)
 * @acl_id:    [out] equal ids: equal ACLs, for as long as the tree lives
 * @events:    [out] 1: watch events up to @zxid wait on this file, see ZKERN_WATCH
 */
struct zkern_get {
	__u32 size;
	__u32 flags;
	__u64 path;
	__u32 path_len;
	__u32 timeout_ms;
	__u64 min_zxid;
	__u32 max_age_ms;
	__u32 buf_len;
	__u64 buf;
	/* [out] */
	__u32 len;
	__u32 err;
	__u32 crc;
	__u32 state;
	__u64 zxid;
	__u64 acl_id;
	__u64 age_ms;
	struct zkern_stat stat;
	__u32 events;
	__u32 pad;
};

/**
 * struct zkern_read - ZKERN_READ: many paths at one zxid.
 * @gets: array of @count struct zkern_get (each with its size set; their
 *        min_zxid, timeout and max_age must be 0, the ones here count)
 * @events: [out] as in struct zkern_get; the entries' are 0
 * The call succeeds if the array could be worked through; look at each err.
 */
struct zkern_read {
	__u32 size;
	__u32 flags;
	__u64 gets;
	__u32 count;
	__u32 timeout_ms;
	__u64 min_zxid;
	__u32 max_age_ms;
	__u32 state;			/* [out] */
	__u64 zxid;			/* [out] */
	__u32 events;			/* [out] */
	__u32 pad;
};
#define ZKERN_READ_MAX	65536

/**
 * struct zkern_list - ZKERN_CHILDREN, and for the owner ZKERN_OWNED, ZKERN_TIMED.
 * @path:   CHILDREN: the parent. OWNED, TIMED: unused (0)
 * @owner:  OWNED: the session id
 * @after:  go on after this entry (the last one of the page before), or 0. On a
 *          snapshot fd the pages make one picture; on the device each page is
 *          exact at its own zxid and going on after an entry that has gone
 *          is ESTALE
 * @buf:    [out] entries: __u32 length, bytes; packed. CHILDREN: names; OWNED,
 *          TIMED: whole paths
 * @used, @count: [out] bytes and entries in @buf; EMSGSIZE: @used is what the
 *          first entry wants
 * @more:   [out] 1 if there are more
 * @events: [out] as in struct zkern_get
 */
struct zkern_list {
	__u32 size;
	__u32 flags;
	__u64 path;
	__u32 path_len;
	__u32 after_len;
	__u64 after;
	__u64 owner;
	__u64 min_zxid;
	__u32 timeout_ms;
	__u32 max_age_ms;
	__u64 buf;
	__u32 buf_len;
	/* [out] */
	__u32 used;
	__u32 count;
	__u32 more;
	__u32 state;
	__u32 events;
	__u64 zxid;
	__u64 age_ms;
	struct zkern_stat stat;		/* CHILDREN: the parent's */
};

/**
 * struct zkern_info - ZKERN_INFO: what the instance is and holds.
 */
struct zkern_info {
	__u32 size;
	__u32 api;			/* ZKERN_API_VERSION */
	__u32 instance;
	__u32 state;
	__u64 zxid;
	__u64 digest;			/* of the tree at zxid (DigestCalculator v2) */
	__u64 age_ms;			/* since a quorum was last heard from; ~0: never */
	__u64 tree;			/* changes when another tree is swapped in */
	__u64 nodes;
	__u64 ephemerals;
	__u64 data_bytes;		/* of data, and characters (UTF-16) of paths */
	__u64 bytes;			/* memory held */
	__u64 retained;			/* of it, old versions that snapshots hold */
	__u64 snapshots;
	__u32 owner_pid;		/* in the reader's pid namespace, 0: none */
	__u32 pad;
	__u8  label[64];		/* what the owner calls itself, NUL-padded */
};

/**
 * struct zkern_snapshot - ZKERN_SNAPSHOT: a picture of the tree as a file.
 * @fd: [out] O_CLOEXEC. Takes INFO, GET, READ, CHILDREN; read(2) returns whole
 *      struct zkern_node records, @path's subtree in pre-order, 0 at the end;
 *      EMSGSIZE when not even one fits. Nodes below a parent that the caller may
 *      not READ are left out; data he may not READ is flagged ZKERN_NODE_HIDDEN.
 *      A snapshot can be revoked when it holds back too much memory: ESTALE.
 *      The owner's are not revoked. It lives on when the instance is removed. At
 *      most 64 of a user (uid) at a time, the owner's not counted.
 * Errors: EMFILE; ENOSPC too many snapshots of this user.
 */
struct zkern_snapshot {
	__u32 size;
	__u32 flags;
	__u64 path;			/* 0: the whole tree */
	__u32 path_len;
	__s32 fd;
	__u64 zxid;			/* [out] */
	__u64 digest;			/* [out] */
	__u64 nodes;			/* [out] in the whole tree */
};

#define ZKERN_NODE_HIDDEN	1	/* data withheld by the ACL */

/**
 * struct zkern_node - one node in a dump or a load; path, data and ACL (jute
 * vector<ACL>) follow in this order, then zeros up to a multiple of 8.
 * @len:  of the whole record
 * @stat: as stored counts: cversion_stored and owner_stored; on load the two
 *        shown ones are ignored, and so is num_children
 */
struct zkern_node {
	__u32 len;
	__u32 flags;
	__u32 path_len;
	__s32 data_len;			/* -1: null */
	__u32 acl_len;
	__u32 crc;
	__u64 acl_id;			/* ignored on load */
	struct zkern_stat stat;
};

/* -------------------------------------------------------------- watching */

/*
 * Watches are ZooKeeper's, of an open file of the device: they belong to what dup(2),
 * fork(2) and SCM_RIGHTS share, and end when its last copy is closed. A node is told of
 * by its path, which need not exist. In each of two tables, data and children, a file
 * has at most one watch on a path; setting another makes it what was set last.
 *
 *   one-shot data      created, deleted, or its data set; then the watch is spent
 *   one-shot children  deleted, or a child of it created or deleted; then spent
 *   persistent         both of these, again and again
 *   recursive          persistent, of the node and all below it, without CHILDREN
 *
 * read(2) gives whole records of struct zkern_watch_event, in the order in which things
 * happened. It waits for one (O_NONBLOCK: EAGAIN); a signal ends the wait: EINTR, or it is
 * begun again (SA_RESTART). EINVAL: the buffer is too small for the next record
 * (struct zkern_watch, @next), or nothing was ever watched through the file. ENODEV: the
 * instance was removed, and what had happened before has been read. Readers of one file
 * share its events; each gets to one of them. poll(2): EPOLLIN there is something to
 * be read; EPOLLERR and EPOLLHUP the instance was removed.
 *
 * Guarantees, as far as the ACL lets the file's opener READ (see M)
 *  F) What a file has been told by an answer with @zxid Z, it has been offered the events
 *     of before: when a read through a file, or ZKERN_REQUEST, returns Z, read(2) on that
 *     file gives every event of it up to Z without waiting, and @events of the answer is
 *     1 if there are any that have not been read. (Mapped nodes are no answers: who has
 *     read at z there makes a call with @min_zxid z first.)
 *  G) An event is given only when its transaction is there to be seen: what is read after
 *     an event of zxid Z was, in whatever way, is exact at Z or later, or of a later @era.
 *  H) A watch is set and the value read at one zxid: the first change after it fires.
 *     For one that is set alone (ZKERN_WATCH_ADD) that zxid is @zxid.
 *  I) Events come in the order of their zxids; those of one transaction in the order of
 *     its operations: created or deleted before the parent's CHILDREN. One change is told
 *     once, however many watches of the file it is in; but CHILDREN of the parent is
 *     told beside a recursive watch's CREATED or DELETED.
 *  J) Records are whole: never torn over two reads, never mixed, each given once.
 *  K) Nothing is lost silently. Where the queue is full, or memory short, what does not
 *     fit any more is left out until the queue has been read to its end: there stands a
 *     record ZKERN_EV_OVERFLOW, with how many were left out (@arg) and the zxid of the
 *     last of them. One-shot watches that fired are spent all the same. Who reads it
 *     must take everything as changed: read all that he watches again, with the flag
 *     for one-shot watches. What happened later than that zxid is told as ever.
 *  L) Watches outlive the daemon. If another tree is put in the place of the one that
 *     is read (the server was sent a snapshot, or cut off its log's tail), they
 *     get the differences at that moment, as events of the new tree's zxid, which may be
 *     lower; @era has grown then. The differences are what a client that connects
 *     again is told (setWatches): DELETED, CREATED, CHANGED if it was set or made anew,
 *     CHILDREN if the list was changed; for recursive watches of each node below.
 *     While no tree is to be seen (EMPTY) nothing is told; when one is again, the
 *     differences between the two are.
 *  M) An event is told only if the ACL of the node (CHILDREN: of the parent) as of the
 *     change, for DELETED as of before, lets the opener of the file READ; else it is
 *     dropped, and a one-shot watch is spent all the same (3.8's rule since
 *     CVE-2024-23944 was closed). A change of the ACL alone is no event.
 *
 * Watches and the session of the same file (ZKERN_REQUEST)
 *  - Neither waits for the other: while threads wait for answers, others read events.
 *    read(2) and poll(2) are of events alone; an answer is given by the call that asked.
 *  - What the file's own session does fires its watches like anything else: such an event
 *    is offered before the answer is given (F). When there is no answer, and @fate is
 *    UNKNOWN, a watch that was set before tells it, should it come to be done.
 *  - The file does not lose its watches when its session expires, or was never made: its
 *    requests fail (ESHUTDOWN), its events go on, those of its ephemerals' end among them.
 *  - Events are told as the opener of the file may READ; requests are done as their
 *    callers may.
 *  - When the last copy is closed both end: the session is closed first, and others hear of
 *    its ephemerals; the file itself hears nothing any more.
 *
 * What may be held: a file's watches and queue, ZKERN's module parameter watch_file_kb
 * (EDQUOT); all of a user's (uid of the opener) together, watch_user_kb (ENOSPC). Both
 * count what a watch costs that shares its path with no other: 96 bytes and the path.
 * The memory is charged to the memory cgroup of who sets the watch.
 */
enum zkern_watch_event_type {
	ZKERN_EV_CREATED = 1,
	ZKERN_EV_DELETED = 2,
	ZKERN_EV_CHANGED = 3,
	ZKERN_EV_CHILDREN = 4,
	ZKERN_EV_OVERFLOW = 5,
	ZKERN_EV_STATE = 6,		/* @arg: enum zkern_state, see ZKERN_WATCH_STATE */
};

/**
 * struct zkern_watch_event - what read(2) gives; the path follows, without a NUL, then
 * zeros to a multiple of 8.
 * @len:  of the whole record
 * @zxid: of the transaction
 * @era:  grows when another tree is put in the place of the one that is read, or a
 *        tree that was hidden is to be seen again: zxids of one era can be compared
 * @arg:  OVERFLOW: how many events were left out; STATE: the new state
 */
struct zkern_watch_event {
	__u32 len;
	__u32 type;
	__u64 zxid;
	__u64 era;
	__u32 arg;
	__u32 path_len;
};

enum zkern_watch_cmd {
	ZKERN_WATCH_COUNT = 0,		/* nothing but the [out] fields */
	ZKERN_WATCH_ADD = 1,		/* PERSISTENT, RECURSIVE, STATE */
	ZKERN_WATCH_REMOVE = 2,		/* DATA, CHILDREN, ANY, STATE; ENOENT: there was none */
	ZKERN_WATCH_LIST = 3,
	ZKERN_WATCH_QUEUE = 4,		/* makes the queue @queue bytes long */
};

enum zkern_watch_kind {
	ZKERN_WATCH_CHILDREN = 1,	/* as in ZooKeeper's removeWatches */
	ZKERN_WATCH_DATA = 2,
	ZKERN_WATCH_ANY = 3,
	ZKERN_WATCH_PERSISTENT = 4,
	ZKERN_WATCH_RECURSIVE = 5,
	ZKERN_WATCH_STATE = 6,		/* no path: tells of each change of the state */
};

#define ZKERN_WATCH_QUEUE_MIN	4096
#define ZKERN_WATCH_QUEUE_MAX	(16 * 1024 * 1024)
#define ZKERN_WATCH_QUEUE_LEN	(64 * 1024)	/* if nothing else was said */

/**
 * struct zkern_watch - ZKERN_WATCH.
 * @kind:  enum zkern_watch_kind; 0 for COUNT, LIST, QUEUE
 * @queue: QUEUE: EBUSY if what waits does not fit; rounded up to a multiple of 8
 * @buf, @buf_len: LIST: struct zkern_watch_entry records, in no promised order; EMSGSIZE:
 *         @used is what the next wants
 * @after: LIST: 0 begins; [out] goes on, 0: this was the last page. A watch that is
 *         neither set nor spent meanwhile is listed once
 * @events: [out] as in struct zkern_get
 * @next:  [out] bytes of the next record for read(2), 0: none
 * @watches: [out] of the file; on one path data and children count as two
 * @bytes: [out] what they and the queue count against the file's limit
 * @zxid:  [out] that the answer is exact at
 * Errors: EDQUOT, ENOSPC see above; ESTALE there is no tree to be seen (ADD); EINVAL
 * a path that no node can have.
 */
struct zkern_watch {
	__u32 size;
	__u32 cmd;
	__u64 path;
	__u32 path_len;
	__u32 kind;
	__u64 buf;
	__u32 buf_len;
	__u32 queue;
	__u64 after;
	/* [out] */
	__u32 used;
	__u32 count;			/* records in @buf */
	__u32 events;
	__u32 next;
	__u64 watches;
	__u64 bytes;
	__u64 zxid;
};

/* One path of a list; the path follows, then zeros to a multiple of 8. @len counts all. */
struct zkern_watch_entry {
	__u32 len;
	__u32 path_len;
	__u8  data;			/* 0 none, 1 one-shot, 2 persistent, 3 recursive */
	__u8  children;
	__u8  pad[6];
};

/* -------------------------------------------------------------- mapped nodes */

/*
 * ZKERN_MAP makes a file of one node, to be mapped (mmap(2), PROT_READ, MAP_SHARED)
 * and read without a system call. In it are the tree's page (struct zkern_map_tree, one
 * for the instance) and the node's (struct zkern_map_node, one for all who map it);
 * the kernel keeps both current. The node's has room for two versions, of which the
 * older one is being overwritten or is still good.
 *
 * To read ("acquire": no later load before it; where 64 bits are not loaded at once,
 * load upper, lower, upper half until both upper ones are equal):
 *
 *  1. z = tree->zxid, acquire
 *  2. n = node->done, acquire; if 0: the node is revoked, see node->why
 *  3. version n is (n & 1) * node->slot_len bytes behind struct zkern_map_node; if its
 *     zxid is above z, take n - 1 instead, and begin anew if that is 0 or has a zxid
 *     above z as well
 *  4. use or copy what is there; believe nothing of it yet
 *  5. acquire fence; if node->begun - n is 2 or more, begin anew
 *
 * libzkern's zkern_map_read() does that, and what else there is to do.
 *
 * Guarantees
 *  MA) Data, stat and CRC that such a read gets are of one version, and are what
 *      ZKERN_GET answers at zxid z.
 *  MB) Nodes read with one z, loaded before all of them, and with the same tree->tree
 *      loaded before that and after the last: all as of z. So a transaction, and a
 *      multi, is seen whole or not at all.
 *  MC) No reader waits for anybody. Whoever is preempted, stopped or traced anywhere,
 *      reader or writer, holds up no reader; one begins anew only when a change of the
 *      node was begun since it loaded z, and there was another one just before.
 *  MD) z never goes backwards, but where the owner swaps in a tree with a lower zxid;
 *      then tree->tree is another number, and all nodes that were mapped are revoked.
 *  ME) Who has seen an answer at zxid Z, through whatever call and whoever told him, finds
 *      z >= Z. Who has read at z and then makes a call, gives it @min_zxid z: it waits
 *      no longer than the writer takes to finish that transaction.
 *  MF) READ is checked for whoever calls ZKERN_MAP; the file, and what is mapped of it,
 *      can be handed on as any file. All are revoked together: when the node is
 *      deleted; when its ACL changes, unless world:anyone has READ before and after;
 *      when another tree is swapped in, or the tree is hidden (EMPTY); when the
 *      instance is removed. The data is overwritten by zeros before the zxid of such a
 *      transaction is published, and nothing is written to the page any more. It
 *      stays mapped: no access to it ever gives a signal.
 *  MG) There is nothing in the pages but this node's versions under its present ACL, and
 *      zeros.
 *  MH) Waiting misses nothing: ZKERN_MAP_WAIT, read(2) and poll(2) end, or say ready,
 *      once a version other than the one named is to be seen, or the node is revoked.
 *      Several changes may be met as one.
 *
 * Data longer than the page has room for is left out (ZKERN_MAP_LONG): ask ZKERN_GET.
 * When it would have fitted into a larger one, the next ZKERN_MAP makes that, and
 * revokes the one that is (ZKERN_MAP_GROWN).
 *
 * What was written to a page costs the writer the same, however many have it mapped.
 */

/* Data of at most so many bytes can be mapped, whatever the page size. */
#define ZKERN_MAP_DATA_MAX	65536

/**
 * struct zkern_map - ZKERN_MAP on the device.
 * @fd:       [out] O_CLOEXEC. mmap(2) it from offset 0, @map_len bytes; it may be closed
 *            then. poll(2) says POLLIN when the node has changed since the last
 *            read(2) or, before that, since it was made; POLLHUP too when it is revoked.
 *            read(2) gives the version (__u64), 0 bytes when it is revoked, and waits
 *            until it is another one than before (EAGAIN with O_NONBLOCK)
 * @tree_off, @node_off: [out] where in the mapping the two structs are
 * @data_max: [out] data of so many bytes fits
 * @zxid:     [out] that the tree is at
 * @now_ns:   [out] what CLOCK_BOOTTIME says at the call, outside of time namespaces
 * Errors: as of reads; ENOSPC: this user (uid) has as many as the module parameter
 * map_max says; EMFILE, ENFILE, ENOMEM.
 */
struct zkern_map {
	__u32 size;
	__u32 flags;
	__u64 path;
	__u32 path_len;
	__s32 fd;
	__u32 map_len;
	__u32 tree_off;
	__u32 node_off;
	__u32 data_max;
	__u64 zxid;
	__s64 now_ns;
};

/**
 * struct zkern_map_wait - ZKERN_MAP_WAIT on such a file: returns when the node's
 * version is another one than @version, at once if it is.
 * @version: in the n of the read protocol; [out] what it is now, 0: revoked
 * @timeout_ms: 0: none. Errors: ETIMEDOUT; EINTR
 */
struct zkern_map_wait {
	__u32 size;
	__u32 flags;
	__u64 version;
	__u32 timeout_ms;
	__u32 pad;
};

#define ZKERN_MAP_NEVER		(-9223372036854775807LL - 1)

/* What the owner last said; see struct zkern_map_tree. */
struct zkern_map_said {
	__s64 heard_ns;			/* CLOCK_BOOTTIME, or ZKERN_MAP_NEVER */
	__u32 state;			/* enum zkern_state */
	__u32 pad;
};

/**
 * struct zkern_map_tree - the tree's page.
 * @zxid: published
 * @tree: as in struct zkern_info; 0: the instance was removed
 * @said_n, @said: load @said_n (acquire), use said[@said_n & 1], then (acquire fence)
 *        @said_n must be the same still, else begin anew
 */
struct zkern_map_tree {
	__u64 zxid;
	__u64 tree;
	__u64 said_n;
	__u64 pad;
	struct zkern_map_said said[2];
};

/* Why a node is revoked: for people, a program tries ZKERN_MAP again in each case. */
enum zkern_map_why {
	ZKERN_MAP_DELETED = 1,
	ZKERN_MAP_ACL = 2,
	ZKERN_MAP_GROWN = 3,		/* there is a mapping with more room */
	ZKERN_MAP_TREE = 4,		/* another tree, or none to be seen */
	ZKERN_MAP_REMOVED = 5,		/* the instance */
};

/**
 * struct zkern_map_node - the node's page, or pages.
 * @begun: the version that was begun last, and may not be whole yet
 * @done:  the last one that is; 0: revoked
 * @why:   enum zkern_map_why
 * @slot_len: from one slot to the next; never changes
 */
struct zkern_map_node {
	__u64 begun;
	__u64 done;
	__u32 why;
	__u32 slot_len;
	__u64 pad[5];
};

#define ZKERN_MAP_LONG	1		/* the data does not fit, and is not there */

/**
 * struct zkern_map_slot - one version.
 * @zxid: the node is like this since, or since before if the mapping begins with it
 * @crc:  of path and data
 * @data: stat.data_len bytes, unless ZKERN_MAP_LONG
 */
struct zkern_map_slot {
	__u64 zxid;
	__u32 flags;
	__u32 crc;
	struct zkern_stat stat;
	__u64 pad[4];
	__u8  data[];
};

/* -------------------------------------------------------------- writing */

/*
 * Writes go to the owner, which answers when they are committed and in this tree.
 *
 * An open file is a session
 *  - The first ZKERN_REQUEST of a file makes one in the ensemble. It does not expire as
 *    long as the file is open and the owner lives and has a quorum; the owner gives the
 *    signs of life. If the host dies it expires after its timeout (@session_ms).
 *  - It belongs to the open file (open(2)'s), not to a process: who has a copy (fork,
 *    dup, exec without O_CLOEXEC, SCM_RIGHTS) shares it. When the last copy is closed,
 *    however that comes about, the session is closed in the ensemble at once and its
 *    ephemerals go. The notice of that cannot be lost: if there is no owner then, the
 *    next one gets it.
 *  - An owner that goes, and comes back before the session's timeout is over, takes it
 *    up again. If it has expired (or was closed by somebody else), that file's requests
 *    fail with ESHUTDOWN from then on: there is never silently another session, without
 *    the ephemerals. Reads go on; open the device anew for another session.
 *
 * Order
 *  - Requests of one file are done and answered in the order in which they were queued;
 *    those of threads that call at the same time, in some order.
 *  - Who got an answer at @zxid and then reads through the same file sees a tree that
 *    has it (guarantee C: the file has seen @zxid).
 *
 * What became of it, when there is no answer: @fate, written in any case but EFAULT,
 * EINVAL and E2BIG. NONE: it had no effect and will have none. UNKNOWN: it may have been
 * done, or be done later.
 *
 *   not taken by the owner yet       a signal: withdrawn, NONE; EINTR, or restarted as
 *                                    sigaction(2) says (SA_RESTART) if there is no
 *                                    @timeout_ms. The timeout: withdrawn, NONE,
 *                                    ETIMEDOUT. The owner goes: it stays for the next
 *                                    one, as long as the caller waits
 *   taken                            a signal that has a handler waits until the call
 *                                    returns; one that kills ends the wait, UNKNOWN. The
 *                                    timeout: UNKNOWN, ETIMEDOUT. The owner goes, or
 *                                    loses its quorum: UNKNOWN, ECONNRESET
 *
 * Requests are not given to an owner that has no quorum: they wait as not taken.
 *
 * Who asks: ACLs are checked for the caller of each ZKERN_REQUEST, as for reads: scheme
 * "uid" with his file-system uid, "gid" with his file-system gid and supplementary
 * groups (the first ZKERN_CALL_GROUPS of them), in the initial user namespace, and world.
 * "auth" in an ACL that he sets stands for his uid. An ensemble that is led by a server
 * that is no zkernd knows no such schemes: there he is world:anyone.
 */
#define ZKERN_REQUEST_NOWAIT	1	/* ENOTCONN, if the owner has no quorum or there is none */

enum zkern_fate {
	ZKERN_FATE_NONE = 0,
	ZKERN_FATE_UNKNOWN = 1,
	ZKERN_FATE_ANSWERED = 2,
};

/**
 * struct zkern_request - ZKERN_REQUEST: one operation, as a ZooKeeper client asks it.
 * @flags:  ZKERN_REQUEST_*
 * @op:     ZooDefs.OpCode: create 1, delete 2, setData 5, setACL 7, sync 9, multi 14,
 *          create2 15, createContainer 19, createTTL 21, whoAmI 107
 * @timeout_ms: how long to wait for the answer, 0: for as long as it takes
 * @buf, @buf_len: the request's record (zookeeper.jute), without a header
 * @out, @out_cap: where the response's record goes
 * @cookie: 0
 * @out_len: [out] bytes of the record; if more than @out_cap (EMSGSIZE, answered) it was
 *          cut
 * @err:    [out] KeeperException.Code of the answer
 * @fate:   [out] enum zkern_fate
 * @session_ms: [out] the session's timeout as agreed, 0: there is no session yet
 * @zxid:   [out] of the answer
 * @session: [out] its id, or 0
 * @events: [out] 1: watch events up to @zxid wait on this file, see ZKERN_WATCH. 0 if
 *          there was no answer
 *
 * Returns 0 if there was an answer; look at @err. Errors: EOPNOTSUPP another @op;
 * EMSGSIZE more than ZKERN_REQUEST_MAX, or than the ensemble takes (jute.maxbuffer);
 * EAGAIN this file or its user has as much queued as it may: ZKERN_FILE_REQUESTS,
 * ZKERN_USER_BYTES; ENOSPC the user has ZKERN_USER_SESSIONS; ESHUTDOWN, EINTR, ETIMEDOUT,
 * ECONNRESET, ENOTCONN see above; ENOMEM; ENODEV. A session's user is the (file-system)
 * uid that made it; requests whose caller has gone count until they are answered.
 */
struct zkern_request {
	__u32 size;
	__u32 flags;
	__s32 op;
	__u32 timeout_ms;
	__u64 buf;
	__u32 buf_len;
	__u32 out_cap;
	__u64 out;
	__u64 cookie;
	/* [out] */
	__u32 out_len;
	__s32 err;
	__u32 fate;
	__u32 session_ms;
	__u64 zxid;
	__u64 session;
	__u32 events;
	__u32 pad;
};
#define ZKERN_REQUEST_MAX	(8 * 1024 * 1024)	/* @buf_len, and @out_cap */
#define ZKERN_FILE_REQUESTS	64
#define ZKERN_USER_BYTES	(16 * 1024 * 1024)	/* the greater of @buf_len, @out_cap */
#define ZKERN_USER_SESSIONS	1024

/* -------------------------------------------------------------- locks */

/*
 * ZKERN_LOCK_OPEN on the device makes a file that stands for the lock of one znode's path;
 * ZKERN_LOCK and ZKERN_UNLOCK on that file take it and give it back, cluster-wide. Between
 * hosts it is ZooKeeper's recipe (ephemeral sequential children of the node), which the owner
 * plays in a session of the host's own; what it wins is the host's grant, which the kernel
 * hands out to the host's files, and keeps when none of them holds it.
 *
 *  LA) Of all files of all hosts one holds the lock exclusively, or any number share it, as
 *      long as their leases last.
 *  LB) A lock is the open file's (open(2)'s): copies of it (fork, dup, exec, SCM_RIGHTS)
 *      share it. A file holds it once. When the last copy is closed,
 *      however that comes about, it is free for the next one before close(2) or exit is done.
 *  LC) Files of one host get it in the order in which they asked; one who would share waits
 *      behind one who asked before and would not. Who waits and leaves, leaves no trace.
 *  LD) A host that has the grant and that nobody else has asked for it, locks and unlocks
 *      without a word to the owner.
 *  LE) Once the owner says that others wait (ZKERN_LOCK_REVOKE), the host's files get it at
 *      most so many times more, and for so long; then, as soon as nobody holds it, the grant
 *      is given back, and the host's files that wait are asked for anew, behind the others.
 *  LF) Each time that it is taken there is a token, @token_hi and @token_lo (one number of
 *      128 bits; as text 32 hexadecimal digits, which sort as it does). One who takes it
 *      exclusively has a greater one than all who had it before; one who shares it a greater
 *      one than all who had it exclusively before. @token_hi is the zxid that made the host's
 *      node of this grant (its czxid: nodes of the recipe get the lock in that order),
 *      @token_lo counts, in this kernel, every time that any lock is taken. A resource that
 *      refuses who comes with a smaller token than it has seen is safe, whatever clocks do.
 *  LG) A grant is good until the lease ends: at @end_ns of CLOCK_BOOTTIME, which goes on while
 *      the machine sleeps. The owner puts that off as long as the ensemble hears the host, and
 *      so that it is before the session can expire. The kernel needs nobody for the end of it:
 *      from @end_ns on every call says that the lock is lost, and nobody is given it. A clock
 *      that stands still while those of others go on (a virtual machine that is stopped) does
 *      not end a lease; the token shows that, too.
 *  LH) Who holds a lock that is lost (the lease ended, the owner said so, the instance was
 *      removed), learns it: poll(2) says POLLERR and POLLHUP, ZKERN_LOCKED and ZKERN_LOCK fail
 *      with ESTALE, and so does ZKERN_UNLOCK, once, and with it the file is as new. Before
 *      that the file does not get it again.
 *  LI) An owner that goes takes nothing with it: grants last as long as the lease, and so
 *      long who waits goes on waiting. The next one is told of the session, of all grants and
 *      of all who wait, and may renew the lease (ZKERN_LEASE). Once there is neither a lease
 *      nor an owner that takes part (who has called ZKERN_LOCK_TAKE or ZKERN_LEASE), whoever
 *      waits or would wait gets ENOTCONN.
 *  LJ) A thread that would wait for what it will not get, as those who hold it wait, each in
 *      one thread, for each other in a ring, gets EDEADLK instead. Whoever took a lock is
 *      taken to be the thread that will give it back, unless it said ZKERN_LOCK_PASSED; the
 *      ring has to be of one instance of one host, and of not too many files.
 *
 * poll(2) on a lock file: POLLIN a lock asked for with ZKERN_LOCK_ASYNC is there, or has
 * failed: ZKERN_LOCK says which; POLLPRI it is held, and others wait, of this host or
 * another; POLLERR | POLLHUP it is lost.
 */

/**
 * struct zkern_lock_open - ZKERN_LOCK_OPEN on the device, which is open for writing.
 * @fd: [out] O_CLOEXEC
 * The node has to be there; CREATE and READ are checked for whoever makes this call, and the
 * file can be handed on as any file.
 * Errors: as of reads; ENAMETOOLONG a path of more than ZKERN_LOCK_PATH_MAX bytes; ENOSPC this
 * user (uid) has as many as the module parameter lock_max says; EMFILE, ENFILE, ENOMEM.
 */
struct zkern_lock_open {
	__u32 size;
	__u32 flags;
	__u64 path;
	__u32 path_len;
	__s32 fd;
};
#define ZKERN_LOCK_PATH_MAX	4096

enum zkern_lock_mode {
	ZKERN_LOCK_NONE = 0,
	ZKERN_LOCK_SHARED = 1,
	ZKERN_LOCK_EXCLUSIVE = 2,
};

/* EAGAIN rather than wait until others, here or elsewhere, have given it back. */
#define ZKERN_LOCK_TRY		1
/* Does not wait: EINPROGRESS; poll(2) says when, and ZKERN_LOCK fetches it. */
#define ZKERN_LOCK_ASYNC	2
/* Only a signal that kills ends the wait. */
#define ZKERN_LOCK_KILLABLE	4
/* Another thread may give it back: no deadlock is seen through it. */
#define ZKERN_LOCK_PASSED	8

/**
 * struct zkern_lock - ZKERN_LOCK; ZKERN_LOCKED: does the file hold it, and how?
 * @flags:  ZKERN_LOCK_TRY, ... (LOCKED: 0)
 * @mode:   enum zkern_lock_mode; LOCKED: [out]
 * @timeout_ms: 0: wait for as long as it takes (LOCKED: 0)
 * @token_hi, @token_lo: [out] see above
 * @end_ns: [out] when the lease ends unless it is renewed; CLOCK_BOOTTIME, outside of time
 *          namespaces
 * @now_ns: [out] what that clock says
 *
 * Errors of ZKERN_LOCK, after each of which but EBUSY and EDEADLK (the file has it) the file
 * neither has it nor waits for it: EAGAIN see TRY; ETIMEDOUT; EINTR, or if there is no
 * @timeout_ms restarted as sigaction(2) says (SA_RESTART), at the end of those who wait;
 * EDEADLK the file has it already, or see LJ; EBUSY another thread waits with this file, or it
 * asked with ASYNC for another mode; ESTALE see LH; ENOTCONN see LI, or TRY, the host has not
 * got it and the owner cannot ask for it now (there is none, or the state does not serve);
 * ENODEV; and what the owner says: ENOENT the node is gone, ...
 * Of ZKERN_LOCKED: ENOLCK it has not; ESTALE.
 * ZKERN_UNLOCK (no argument; also takes back what was asked with ASYNC): ENOLCK it has not;
 * EBUSY a thread waits with this file; ESTALE.
 */
struct zkern_lock {
	__u32 size;
	__u32 flags;
	__u32 mode;
	__u32 timeout_ms;
	/* [out] */
	__u64 token_hi;
	__u64 token_lo;
	__s64 end_ns;
	__s64 now_ns;
};

/* -------------------------------------------------------------- owning */

/**
 * struct zkern_own - ZKERN_OWN: become the instance's owner with this file.
 * Needs CAP_SYS_ADMIN or the uid that the instance was made for. EBUSY: there is
 * one. Ownership ends when the last copy of the file is closed; the tree stays.
 * An ORPHANED instance becomes DISCONNECTED; an EMPTY one stays that, readable to
 * its owner alone, until the first ZKERN_SET_STATE.
 */
struct zkern_own {
	__u32 size;
	__u32 flags;
	__u8  label[64];
	__u64 zxid;			/* [out] of the tree found, */
	__u64 digest;			/* [out] so that it can be taken up */
	__u32 state;			/* [out] EMPTY or ORPHANED */
	__u32 pad;
};

enum zkern_op_type {
	ZKERN_OP_CREATE = 1,
	ZKERN_OP_DELETE = 2,
	ZKERN_OP_SETDATA = 3,
	ZKERN_OP_SETACL = 4,
	ZKERN_OP_CLOSE = 5,
};

/*
 * One operation; path, data, acl bytes follow, then zeros to a multiple of 8.
 * The fields mean what struct zk_op's do (kmod/tree/tree.h).
 */
struct zkern_op {
	__u32 len;
	__u32 type;
	__s32 version;
	__s32 pcversion;
	__u32 path_len;
	__s32 data_len;
	__u32 acl_len;
	__u32 crc;
	__u64 owner;
};

#define ZKERN_TXN_REPLAY	1	/* over a fuzzy snapshot */
#define ZKERN_TXN_ASIDE		2	/* of no log: the zxid stays, @zxid is an mzxid */

/* One transaction; @n_ops struct zkern_op records follow. @len counts all. */
struct zkern_txn {
	__u32 len;
	__u32 flags;
	__u64 zxid;
	__s64 time;
	__u32 n_ops;
	__u32 pad;
};

/**
 * struct zkern_apply - ZKERN_APPLY: apply committed transactions in order.
 * @buf, @buf_len: struct zkern_txn records
 * @applied: [out] how many were applied and published: on error all before the
 *           one that failed, which left no trace
 * @failed_op: [out] on error, the index of the refused operation
 * Errors: EPERM not the owner; EINVAL malformed or zxid not growing; EEXIST,
 * ENOENT, ENOTEMPTY an operation does not fit the tree; ENOMEM.
 */
struct zkern_apply {
	__u32 size;
	__u32 flags;
	__u64 buf;
	__u32 buf_len;
	__u32 applied;
	__u32 failed_op;
	__u32 pad;
	__u64 zxid;			/* [out] published now */
	__u64 digest;			/* [out] */
};
#define ZKERN_APPLY_MAX	(64 * 1024 * 1024)

/**
 * struct zkern_load - builds another tree beside the one that is read, and swaps
 * it in. BEGIN (drops one that was begun), then NODES with struct zkern_node
 * records (parents first), then TXNS with struct zkern_txn records to replay
 * (optional), then COMMIT at @zxid. Closing the owner's file drops it.
 */
enum zkern_load_cmd {
	ZKERN_LOAD_BEGIN = 0,
	ZKERN_LOAD_NODES = 1,
	ZKERN_LOAD_TXNS = 2,
	ZKERN_LOAD_COMMIT = 3,
	ZKERN_LOAD_ABORT = 4,
};

struct zkern_load {
	__u32 size;
	__u32 cmd;
	__u64 buf;
	__u32 buf_len;
	__u32 done;			/* [out] records taken from @buf */
	__u64 zxid;			/* COMMIT: in; the others [out]: last replayed */
	__u64 digest;			/* [out] of the tree being built */
	__u64 nodes;			/* BEGIN: about how many are to come, if known */
};

/**
 * struct zkern_set_state - ZKERN_SET_STATE: what the owner is doing.
 * @state: not ORPHANED, which is the kernel's to say. EMPTY: nobody but the owner is to
 *         see the tree, or the next one that is swapped in, until another state is said
 * @heard_ms: how long ago a quorum was heard from, ~0: never
 */
struct zkern_set_state {
	__u32 size;
	__u32 state;
	__u64 heard_ms;
};

/**
 * struct zkern_confirm - ZKERN_CONFIRM: what readers ask the owner (ZKERN_LINEARIZABLE).
 * @done:  of those who ask, so many have been answered: when the owner was told of the
 *         last one of them by @asked, it asked a quorum, and what that said is in the
 *         tree. Lower than before: as before
 * @asked: [out] so many have asked
 * poll(2) on the owner's file says POLLIN while some have asked since the last call.
 * Errors: EINVAL more are done than the owner knows to have asked.
 */
struct zkern_confirm {
	__u32 size;
	__u32 flags;
	__u64 done;
	__u64 asked;
};

enum zkern_call_kind {
	ZKERN_CALL_REQUEST = 1,	/* body: the request's record */
	ZKERN_CALL_ATTACH = 2,	/* a session that an earlier owner made: @seq its id, @op its
				 * timeout, body its password
				 */
	ZKERN_CALL_CLOSE = 3,	/* the file is closed: close its session. The last of it */
};

/*
 * One call; @n_groups __u32 and the body follow, then zeros to a multiple of 8.
 * @file: which open file; numbers are not used again
 * @seq:  to be given back with the answer
 * @pid:  the caller's in the initial pid namespace
 */
struct zkern_call {
	__u32 len;
	__u32 kind;
	__u64 file;
	__u64 seq;
	__s32 op;
	__u32 body_len;
	__u32 uid;
	__u32 gid;
	__s32 pid;
	__u32 n_groups;
};
#define ZKERN_CALL_GROUPS	1024

/**
 * struct zkern_take - ZKERN_TAKE: what files ask the owner to do.
 * @buf:  [out] struct zkern_call records, in the order in which they are to be done
 * @used, @count: [out] bytes and records in @buf; 0: there is nothing. EMSGSIZE: @used is
 *        what the first record wants
 * poll(2) on the owner's file says POLLPRI while there is something, and the state that
 * the owner said last is one that serves (LEADING, FOLLOWING, OBSERVING, STANDALONE);
 * otherwise there is nothing. Who calls from several threads gets what he gets in no order.
 */
struct zkern_take {
	__u32 size;
	__u32 flags;
	__u64 buf;
	__u32 buf_len;
	__u32 used;
	__u32 count;
	__u32 pad;
};

enum zkern_reply_kind {
	ZKERN_REPLY_ANSWER = 1,	/* to request @seq: @err, @zxid, body: the response's record */
	ZKERN_REPLY_FAILED = 2,	/* there is none: @err a positive errno, @fate */
	ZKERN_REPLY_SESSION = 3,/* @file has one: @zxid its id, @err its timeout, body its
				 * password (ZKERN_PASSWD_LEN). Before its first request is
				 * done
				 */
	ZKERN_REPLY_EXPIRED = 4,/* @file's session has ended, and it gets no other */
	ZKERN_REPLY_ENDED = 5,	/* ZKERN_CALL_CLOSE is done: @file is forgotten */
};
#define ZKERN_PASSWD_LEN	16

/* One answer; the body follows, then zeros to a multiple of 8. */
struct zkern_reply {
	__u32 len;
	__u32 kind;
	__u64 file;
	__u64 seq;
	__u64 zxid;
	__s32 err;
	__u32 fate;
	__u32 body_len;
	__u32 pad;
};

/**
 * struct zkern_answer - ZKERN_ANSWER: what became of them.
 * @buf, @buf_len: struct zkern_reply records
 * @done: [out] how many were taken; on error all before the one that is malformed
 * Who waits for an answer at zxid Z is to find it in the tree: apply first. Answers to
 * what is not there (any more) are passed over.
 * Errors: EPERM not the owner; EINVAL malformed; EFAULT; ENODEV.
 */
struct zkern_answer {
	__u32 size;
	__u32 flags;
	__u64 buf;
	__u32 buf_len;
	__u32 done;
};

/*
 * What the host wants of one lock. Of each lock only the newest is told, and whatever the
 * owner has of an earlier @seq is to be given up: nodes deleted, wishes withdrawn. @mode
 * other than NONE: the recipe is to be played anew, and answered with @lock and @seq.
 * @base: not 0: the host has it, granted by an earlier owner under this czxid; it stays so.
 * The path follows, then zeros to a multiple of 8.
 */
struct zkern_lock_call {
	__u32 len;
	__u32 mode;			/* enum zkern_lock_mode */
	__u64 lock;			/* which: numbers are not used again */
	__u64 seq;
	__u64 base;
	__u32 path_len;
	__u32 pad;
};

/*
 * ZKERN_LOCK_TAKE: struct zkern_take with struct zkern_lock_call records in @buf. poll(2) on
 * the owner's file says POLLRDBAND while there are some, and the state serves. Who takes
 * may be told the same again if @buf could not be written.
 */

enum zkern_lock_reply_kind {
	ZKERN_LOCK_GRANT = 1,	/* the host has it; its node's czxid is @base */
	ZKERN_LOCK_QUEUED = 2,	/* not yet: others have it (who only tries, fails) */
	ZKERN_LOCK_REVOKE = 3,	/* others wait: at most @turns times more within @ms */
	ZKERN_LOCK_LOST = 4,	/* the host had it, and has not any more */
	ZKERN_LOCK_REFUSE = 5,	/* it cannot have it: @err, a positive errno, for who waits */
};

/*
 * What became of it. An answer whose @seq is not the newest is passed over: what is newer
 * is told, or was. A GRANT when there is no lease is not taken: it is asked for anew.
 * @base is not less than in any grant of this lock before (EINVAL); a node that another boot
 * of this host made is never granted.
 */
struct zkern_lock_reply {
	__u32 kind;
	__u32 err;
	__u64 lock;
	__u64 seq;
	__u64 base;
	__u32 turns;
	__u32 ms;
};

/**
 * struct zkern_lock_answer - ZKERN_LOCK_ANSWER.
 * @buf, @count: array of struct zkern_lock_reply
 * @done: [out] how many were taken; on error all before the one that is malformed
 * Errors: EPERM not the owner; EINVAL malformed; EFAULT; ENODEV.
 */
struct zkern_lock_answer {
	__u32 size;
	__u32 flags;
	__u64 buf;
	__u32 count;
	__u32 done;
};

/**
 * struct zkern_lease - ZKERN_LEASE: until when grants are good.
 * @flags:   ZKERN_LEASE_ASK: nothing is changed
 * @session: the session in which the recipe is played. Another one than before: all grants
 *           are lost, what is wanted is told anew. 0: there is none, and no lease
 * @timeout: of the session, ms; @passwd: its password. The kernel keeps both for the next
 *           owner, and looks at neither
 * @end_ns:  CLOCK_BOOTTIME, outside of time namespaces; at most ZKERN_LEASE_MAX_MS ahead. A
 *           time that has come ends it at once, and all grants are lost. A lease that has
 *           ended is not renewed: it is a new one, without grants
 * @now_ns:  [out] what that clock says
 * With ASK all are [out]. Errors: EPERM not the owner; EINVAL; ENODEV.
 */
#define ZKERN_LEASE_ASK		1
#define ZKERN_LEASE_MAX_MS	3600000
struct zkern_lease {
	__u32 size;
	__u32 flags;
	__u64 session;
	__s64 end_ns;
	__s64 now_ns;
	__s32 timeout;
	__u32 pad;
	__u8  passwd[ZKERN_PASSWD_LEN];
};

/* -------------------------------------------------------------- control node */

/**
 * struct zkern_instance - ZKERN_NEW, ZKERN_DEL on /dev/zkern.
 * @id:  NEW: in the number wanted or ~0 for any, [out] the number. DEL: which
 * @uid: NEW: may own it besides CAP_SYS_ADMIN, ~0: nobody else
 * Errors: EPERM without CAP_SYS_ADMIN in the initial user namespace; EEXIST;
 * ENOSPC; ENODEV no such; EBUSY (DEL) it has an owner and FORCE was not given.
 */
#define ZKERN_DEL_FORCE	1
struct zkern_instance {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 uid;
};

#define ZKERN_IOC		'z'
#define ZKERN_NEW		_IOWR(ZKERN_IOC, 0xa0, struct zkern_instance)
#define ZKERN_DEL		_IOWR(ZKERN_IOC, 0xa1, struct zkern_instance)
#define ZKERN_INFO		_IOWR(ZKERN_IOC, 0xa2, struct zkern_info)
#define ZKERN_GET		_IOWR(ZKERN_IOC, 0xa3, struct zkern_get)
#define ZKERN_READ		_IOWR(ZKERN_IOC, 0xa4, struct zkern_read)
#define ZKERN_CHILDREN		_IOWR(ZKERN_IOC, 0xa5, struct zkern_list)
#define ZKERN_SNAPSHOT		_IOWR(ZKERN_IOC, 0xa6, struct zkern_snapshot)
#define ZKERN_OWN		_IOWR(ZKERN_IOC, 0xa7, struct zkern_own)
#define ZKERN_APPLY		_IOWR(ZKERN_IOC, 0xa8, struct zkern_apply)
#define ZKERN_LOAD		_IOWR(ZKERN_IOC, 0xa9, struct zkern_load)
#define ZKERN_SET_STATE		_IOWR(ZKERN_IOC, 0xaa, struct zkern_set_state)
#define ZKERN_OWNED		_IOWR(ZKERN_IOC, 0xab, struct zkern_list)
#define ZKERN_TIMED		_IOWR(ZKERN_IOC, 0xac, struct zkern_list)
#define ZKERN_CONFIRM		_IOWR(ZKERN_IOC, 0xad, struct zkern_confirm)
#define ZKERN_WATCH		_IOWR(ZKERN_IOC, 0xb0, struct zkern_watch)
#define ZKERN_MAP		_IOWR(ZKERN_IOC, 0xb8, struct zkern_map)
#define ZKERN_MAP_WAIT		_IOWR(ZKERN_IOC, 0xb9, struct zkern_map_wait)
#define ZKERN_REQUEST		_IOWR(ZKERN_IOC, 0xc0, struct zkern_request)
#define ZKERN_TAKE		_IOWR(ZKERN_IOC, 0xc1, struct zkern_take)
#define ZKERN_ANSWER		_IOWR(ZKERN_IOC, 0xc2, struct zkern_answer)
#define ZKERN_LOCK_OPEN		_IOWR(ZKERN_IOC, 0xc8, struct zkern_lock_open)
#define ZKERN_LOCK		_IOWR(ZKERN_IOC, 0xc9, struct zkern_lock)
#define ZKERN_UNLOCK		_IO(ZKERN_IOC, 0xca)
#define ZKERN_LOCKED		_IOWR(ZKERN_IOC, 0xcb, struct zkern_lock)
#define ZKERN_LOCK_TAKE		_IOWR(ZKERN_IOC, 0xcc, struct zkern_take)
#define ZKERN_LOCK_ANSWER	_IOWR(ZKERN_IOC, 0xcd, struct zkern_lock_answer)
#define ZKERN_LEASE		_IOWR(ZKERN_IOC, 0xce, struct zkern_lease)
/*
 * The size is in the struct: the kernel compares only type and number of the
 * command, so that structs can grow.
 */

/* -------------------------------------------------------------- netlink */

/*
 * Generic netlink family "zkern", version 1. Attributes as trees:
 *
 * ZKERN_CMD_GET     -> INSTANCE u32, PATH binary, [MIN_ZXID u64]
 *                   <- INSTANCE, ZXID u64, STATE u32, AGE_MS u64, STAT binary
 *                      (struct zkern_stat), DATA binary (absent: null data);
 *                      ESTALE if the tree is behind MIN_ZXID, without waiting;
 *                      EMSGSIZE if the data has more than 65531 bytes
 * ZKERN_CMD_EXISTS  -> INSTANCE, PATH, [MIN_ZXID]
 *                   <- INSTANCE, ZXID, STATE, AGE_MS, STAT
 * ZKERN_CMD_CHILDREN (dump) -> INSTANCE, PATH  <- many: ZXID, NAME binary
 * ZKERN_CMD_SUBTREE  (dump) -> INSTANCE, PATH  <- many: ZXID, PATH, STAT, [DATA]
 *                      one zxid for the whole dump; data that does not fit a
 *                      message is left out and TRUNCATED (flag) is there; data
 *                      that the ACL withholds is left out without it
 * ZKERN_CMD_NEW     -> [INSTANCE], [UID u32]   <- INSTANCE      (CAP_SYS_ADMIN)
 * ZKERN_CMD_DEL     -> INSTANCE, [FORCE flag]                   (CAP_SYS_ADMIN)
 * ZKERN_CMD_STATUS  -> INSTANCE, or as dump all <- INSTANCE, STATE, ZXID, INFO binary
 *                      (struct zkern_info)
 * ZKERN_CMD_EVENT   multicast to group "state": INSTANCE, STATE, ZXID, INFO:
 *                   an instance was made, removed (REMOVED flag), or changed its
 *                   state or tree
 * Errors as of the device, with an extended ack that names the attribute (for
 * dumps in kernels newer than 6.1 only: those have none before a dump's first
 * message). A dump of nodes counts as a snapshot of its user, and may be revoked like one.
 *
 * Netlink gives no more than the device nodes do: reading takes a sender in the
 * initial network namespace and nodes that others may read (module parameter
 * dev_mode), or CAP_SYS_ADMIN. Both the sender's identities and those of whoever
 * opened the socket must satisfy the ACL. Events go to the initial network
 * namespace; owner_pid in them is 0.
 */
#define ZKERN_GENL_NAME		"zkern"
#define ZKERN_GENL_VERSION	1
#define ZKERN_GENL_GROUP_STATE	"state"

enum zkern_cmd {
	ZKERN_CMD_UNSPEC,
	ZKERN_CMD_GET,
	ZKERN_CMD_EXISTS,
	ZKERN_CMD_CHILDREN,
	ZKERN_CMD_SUBTREE,
	ZKERN_CMD_NEW,
	ZKERN_CMD_DEL,
	ZKERN_CMD_STATUS,
	ZKERN_CMD_EVENT,
	__ZKERN_CMD_MAX,
};

enum zkern_attr {
	ZKERN_A_UNSPEC,
	ZKERN_A_INSTANCE,
	ZKERN_A_PATH,
	ZKERN_A_NAME,
	ZKERN_A_DATA,
	ZKERN_A_STAT,
	ZKERN_A_ZXID,
	ZKERN_A_STATE,
	ZKERN_A_AGE_MS,
	ZKERN_A_MIN_ZXID,
	ZKERN_A_INFO,
	ZKERN_A_UID,
	ZKERN_A_FORCE,
	ZKERN_A_REMOVED,
	ZKERN_A_TRUNCATED,
	ZKERN_A_PAD,
	__ZKERN_A_MAX,
};
#define ZKERN_A_MAX	(__ZKERN_A_MAX - 1)

/* ------------------------------------------------------------ BPF programs */

/**
 * struct zkern_bpf_state - what the kfunc bpf_zkern_state() tells (see kmod/bpf.c).
 * @zxid:   of the tree that everybody sees; 0: EMPTY
 * @age_ms: how long ago a quorum was heard from, ~0: never
 * @state:  enum zkern_state
 */
struct zkern_bpf_state {
	__u64 zxid;
	__u64 age_ms;
	__u32 state;
	__u32 __pad;
};

#endif /* _UAPI_LINUX_ZKERN_H */
