/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The data directory, in ZooKeeper's own formats: version-2/log.*,
 * version-2/snapshot.* (../proto facts: PROTOCOL "Txn log", "Snapshot";
 * FileTxnLog.java, FileSnap.java, SnapStream.java).
 *
 * The log thread owns the open log file: it takes transactions from a queue,
 * writes what is there as one group, calls fdatasync once, and reports the last
 * durable zxid. A file is rolled when a snapshot is taken. A snapshot is written
 * by its own thread from a store snapshot, exact at one zxid, and does not stop
 * writes.
 */
#ifndef ZKD_DISK_DISK_H
#define ZKD_DISK_DISK_H

#include "daemon/disk/txn.h"
#include "daemon/store/store.h"

struct disk;

/* How a snapshot is packed (SnapStream.StreamMode). */
enum file_how { FILE_PLAIN, FILE_GZIP, FILE_SNAPPY };

#define DISK_ROOM_AUTO	(~0ULL)

struct disk_params {
	const char *data_dir;	/* dataDir: snapshots (in version-2/) */
	const char *log_dir;	/* dataLogDir, or the same */
	u64 prealloc_bytes;	/* preAllocSize (given in KiB in zoo.cfg), 64 MiB */
	u64 max_txn_bytes;	/* bound on one record when reading (jute.maxbuffer +
				 * extrasize does not bound closeSession: generous)
				  */
	enum file_how packed;	/* snapshot.compression.method */
	u64 log_bytes_max;	/* txnLogSizeLimitInKb: a log of more is rolled; 0: none */
	u32 fsync_warn_ms;	/* fsync.warningthresholdms */
	u64 room_warn_bytes;	/* zkern.roomWarningInKb: say when less is free, 0: never,
				 * DISK_ROOM_AUTO: a tenth of the disk, 1 GiB at most
				  */
	bool fsync;		/* forceSync, default yes */
	bool trust_empty;	/* snapshot.trust.empty: logs without any snapshot are
				 * replayed over an empty tree
				  */
	bool trust_gaps;	/* zkern.trustGaps: transactions missing in the logs are
				 * said, and no error
				  */
	bool member;		/* of an ensemble: what is in the log need not be
				 * committed
				  */
};

/* A session as the snapshot and the log know it. */
struct disk_session {
	u64 id;
	s32 timeout;		/* ms */
};

/*
 * Opens the directory (making it if missing), takes its lock (one server a
 * directory), and names the first problem found in @why (a sentence with file
 * and offset). Does not read data yet.
 */
int disk_open(const struct disk_params *p, struct disk **d, char *why, size_t why_len);
void disk_close(struct disk *d);

/*
 * On the thread that recovers: @text, which the caller keeps, is what /zookeeper/config has
 * in each tree that is built from now on, as written at zxid @version without a transaction
 * (ZKDatabase.initConfigInZKDatabase). @follows (reconfigEnabled): what a tree has that is
 * of that version, or was written later, is kept.
 */
void disk_config_node(struct disk *d, const char *text, u64 version, bool follows);

struct disk_recovery {
	u64 zxid;		/* last transaction recovered */
	u64 snapshot_zxid;
	u64 replayed;		/* transactions replayed into the store */
	u64 digest_mismatches;	/* of the log and the tree; the first is logged */
	bool kept;		/* the store's own tree was taken up and only what
				 * was missing was replayed
				  */
	struct txn **tail;	/* of a member that kept its tree: the log behind @zxid,
				 * which nobody is known to have committed; or NULL
				  */
	u32 n_tail;
	struct disk_session *sessions;	/* malloc'ed; caller frees */
	u32 n_sessions;
};

/*
 * Recovery: brings @st to the last transaction on disk: newest valid snapshot
 * (an invalid one is passed over with a log line), then the logs. A torn last
 * record is cut off (said on the log); damage elsewhere is -EBADMSG with file
 * and offset in @why. If the store came with a tree (store_info.taken_up) whose
 * zxid is in the log and whose digest is the one recorded there, only what
 * follows is applied to it; else another tree is built and swapped in.
 *
 * Of a member of an ensemble (disk_params.member), what follows is not applied, as it may
 * never be committed, but given in @r->tail; where it is too much another tree is built.
 * One that is built here, or by disk_reload(), has all of the log: it is STORE_HIDDEN.
 */
int disk_recover(struct disk *d, struct store *st, struct disk_recovery *r,
		 char *why, size_t why_len);

/* What disk_recover() gave; its tail alone, which is large, once the core has it. */
void disk_recovery_free(struct disk_recovery *r);
void disk_recovery_drop_tail(struct disk_recovery *r);
/* The last transaction in the log. */
static inline u64 disk_logged(const struct disk_recovery *r)
{
	return r->n_tail ? r->tail[r->n_tail - 1]->zxid : r->zxid;
}

/*
 * Starts the log thread. @durable is called on the log thread after each group
 * with the last zxid that fdatasync covers; @failed when the disk refuses (errno,
 * text): nothing after the last durable zxid is acknowledged.
 */
int disk_start(struct disk *d, u64 last_zxid,
	       void (*durable)(void *arg, u64 zxid),
	       void (*failed)(void *arg, int err, const char *text), void *arg);
/* Any thread, in zxid order: queues for the log; takes its own reference. */
void disk_append(struct disk *d, struct txn *txn);
/* The same, but the log thread may sleep on until disk_kick(), which must follow. */
void disk_append_later(struct disk *d, struct txn *txn);
/* Any thread: wakes the log thread if it sleeps and something was appended. */
void disk_kick(struct disk *d);
/*
 * Any thread, after @failed was called and its outstanding transactions were
 * given up: what was appended since is dropped, and appending begins anew behind
 * the last durable zxid. 0; -EIO when the file cannot be trusted any more (a write
 * failed for another reason than want of space): only a new start helps.
 */
int disk_retry(struct disk *d);
/*
 * Core thread: take a snapshot now (in the background), at the store's zxid;
 * the log is rolled. -EBUSY if one is being written. The session table as of
 * that zxid is given by the caller and copied.
 */
int disk_snapshot(struct disk *d, struct store *st, const struct disk_session *s,
		  u32 n_sessions);
/*
 * At an orderly end, when nobody appends any more: a snapshot at the store's zxid,
 * on this thread, unless the newest one has all there is. What goes wrong is
 * logged: the log has everything.
 */
void disk_snapshot_last(struct disk *d, struct store *st, const struct disk_session *s,
			u32 n_sessions);
/*
 * Core thread: whether it's time for one, ZooKeeper's way (SyncRequestProcessor:
 * snapCount/2 plus a random part up to snapCount/2, or by bytes).
 */
bool disk_snapshot_due(struct disk *d, u32 snap_count, u64 snap_bytes);
/* Waits for the queue to be durable and a running snapshot to end. */
void disk_flush(struct disk *d);
/* autopurge: keep the newest @keep (>= 3) snapshots and the logs they need. */
int disk_purge(struct disk *d, int keep);

struct disk_stats {
	u64 log_bytes;
	u64 fsyncs;
	u64 fsync_ns_total;
	u64 fsync_ns_max;
	u64 fsyncs_slow;	/* that took longer than fsync_warn_ms */
	u64 log_errors;		/* times that the log could not be written */
	u64 snapshots;
	u64 snapshot_errors;
	u64 last_snapshot_zxid;
	u64 last_snapshot_ms;	/* how long it took */
	u64 room_free;		/* bytes, where there is less of them */
	u64 room_warnings;
	bool room_low;		/* less than was asked to be warned of */
};
/* Any thread: whether what becomes durable is acknowledged (proposal_ack_creation_latency). */
void disk_count_acks(struct disk *d, bool yes);
/* @d NULL: there is no disk, and all is 0. */
void disk_stats(struct disk *d, struct disk_stats *s);

/* acceptedEpoch, currentEpoch: -ENOENT if there is none. */
int disk_epoch_read(struct disk *d, const char *name, u64 *epoch);
int disk_epoch_write(struct disk *d, const char *name, u64 epoch);

/* ---- for ensembles ---- */

/*
 * Core thread, nobody appends: forgets everything after @zxid, in logs and snapshots
 * (FileTxnLog.truncate). 0; -ENOENT: @zxid is not in them, nothing was cut; or an errno
 * of the disk's. The caller reloads the store by disk_reload() if it had more. Cut by a
 * crash half-way it has forgotten a part of that, the last ones first.
 */
int disk_truncate(struct disk *d, u64 zxid, char *why, size_t why_len);
/*
 * Core thread, nobody appends: builds the tree anew from the files and swaps it in. The
 * log goes on behind what was found.
 */
int disk_reload(struct disk *d, struct store *st, struct disk_recovery *r, char *why,
		size_t why_len);

/*
 * A tree that a leader sends (Leader.SNAP): spooled into a snapshot file. Any one thread.
 * The stream is the body of a snapshot without header and seals.
 */
struct disk_receive;
int disk_receive_begin(struct disk *d, u64 zxid, struct disk_receive **rx);
/* Takes bytes of it. *@used: how many were; true in *@whole: the body ended there, what
 * follows is somebody else's. -EBADMSG: no tree; -errno of the disk. */
int disk_receive_bytes(struct disk_receive *rx, const u8 *p, size_t len, size_t *used,
		       bool *whole);
/*
 * Makes the file durable as snapshot.ZXID, the newest there is. What logs and snapshots
 * say after @zxid is cut off before (the leader, whom a quorum follows, never had it),
 * and the logs are removed behind it, as they may not be a part of its history. Nobody
 * may append. Ends @rx. -EBADMSG: the store could not be built from it; nothing changed.
 *
 * Apache ZooKeeper's tree may have some of what it will send after it: until UPTODATE
 * transactions are to be applied with ZK_TXN_REPLAY, and their digests say nothing.
 */
int disk_receive_end(struct disk_receive *rx);
void disk_receive_abort(struct disk_receive *rx);

/*
 * The transactions in the logs after @after, in order, as they stand there. Any thread,
 * beside the log thread, up to what was durable when it was opened. -ENOENT: @after is
 * not in the logs (and not the begin of an epoch that they have the first one of).
 */
struct disk_history;
int disk_history_open(struct disk *d, u64 after, struct disk_history **h);
/* > 0: bytes of the next one, at *@p until the next call; 0: no more; -EBADMSG, -EIO. */
ssize_t disk_history_next(struct disk_history *h, const u8 **p, u64 *zxid);
void disk_history_close(struct disk_history *h);
/* The first zxid that disk_history_open() could give; ~0ULL: none. */
u64 disk_history_first(struct disk *d);

/*
 * The body of a snapshot (sessions, ACLs, nodes, "/") to @out. Any thread; @snap is
 * closed as soon as it is read, which is before the first call of @out: a slow receiver
 * holds no memory of the tree's, but a nameless file in dataDir. 0; what @out returned;
 * or an errno of the disk's.
 */
int disk_tree_write(struct disk *d, struct store *st, struct store_snap *snap,
		    const struct disk_session *s, u32 n,
		    int (*out)(void *arg, const void *p, size_t len), void *arg);

#endif
