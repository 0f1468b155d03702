/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of daemon/disk share. Besides them, only tools that read and write
 * single files include it (tools/zkern/disk_*.c).
 *
 * dir.c        the directory: lock, listing, small files, purge
 * logread.c    the log read: one transaction after the other, over all files
 * logcheck.c   what a place in the log is where no record can be read
 * logwrite.c   the log thread
 * snapread.c   a snapshot read
 * snapwrite.c  a snapshot written, the snapshot thread
 * snapout.c    the stream that it is written to
 * pack.c       packed ones: gzip, snappy
 * aclmap.c     the ACLs in it
 * sessions.c   sessions while the log is replayed
 * room.c       how much room there is
 * cut.c        the end of it all cut off, as a leader wants it
 * receive.c    a leader's tree taken in
 * history.c    a tree, and the log, for learners
 * recover.c    all of them put together at start
 */
#ifndef ZKD_DISK_INTERNAL_H
#define ZKD_DISK_INTERNAL_H

#include <linux/types.h>
#include <limits.h>

#include "daemon/disk/disk.h"

#define LOG_MAGIC	0x5a4b4c47	/* "ZKLG" */
#define SNAP_MAGIC	0x5a4b534e	/* "ZKSN" */
#define FILE_VERSION	2
#define FILE_HEADER_LEN	16		/* magic, version, dbid */
#define RECORD_HEAD	12		/* checksum, length */
#define RECORD_EOR	'B'
#define DIGEST_VERSION	2
#define ADLER_INIT	1	/* of no bytes */

/*
 * What one fdatasync covers at most, a single record apart: a group cut by a power
 * failure spans no more than this.
 */
#define LOG_GROUP_MAX	(1024 * 1024)

struct logw;
struct snapw;

/* What was said of a file system's room; the log thread's. */
struct room {
	bool low;
	u64 said;		/* bytes free when it was said */
};

struct disk {
	struct disk_params p;		/* strings are ours */
	char *snap_path;		/* dataDir/version-2 */
	char *log_path;			/* dataLogDir/version-2 */
	int snap_dfd;
	int log_dfd;			/* may be equal to snap_dfd */
	int lock_fd[2];			/* of dataDir and dataLogDir */
	bool apart;			/* dataLogDir is another file system or directory */
	struct logw *log;
	struct snapw *snap;
	const char *config;		/* disk_config_node(), or NULL */
	bool config_follows;
	u64 config_version;
	struct room room[2];		/* of dataLogDir and dataDir */
	u64 room_ms;			/* when it was looked at */
	/* relaxed, read by all */
	u64 room_free, room_warnings;
	bool room_low;
	bool count_acks;
};

/* Writes the text of an error and returns @err. */
int disk_why(char *why, size_t why_len, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* ---------------------------------------------------------------- room.c */

#define ROOM_IDLE_MS	10000

/* The log thread: looks how much is free, not more often than makes sense. */
void room_look(struct disk *d);
void room_stats(const struct disk *d, struct disk_stats *s);

/* ---------------------------------------------------------------- dir.c */

struct disk_file {
	u64 zxid;
	enum file_how how;
	char name[NAME_MAX + 1];
};

/*
 * For tools: the files in @dir, read only and without the lock, a running server's
 * too. Only what reads can be done with it, and disk_close().
 */
int disk_open_files(const char *dir, u64 max_txn_bytes, struct disk **d, char *why,
		    size_t why_len);
/*
 * The files "@prefix.<hex zxid>" of a directory, lowest zxid first; with @packed
 * also those with a compression's ending. malloc'ed.
 */
int disk_list(int dfd, const char *prefix, bool packed, struct disk_file **files, u32 *n);
/* Writes a small file so that after a crash there is the old or the new one. */
int disk_write_atomic(int dfd, const char *name, const void *bytes, size_t len);
/* Whether the end of a snapshot looks as it should (SnapStream.isValidSnapshot). */
bool disk_snapshot_plausible(int dfd, const struct disk_file *f);

/* ---------------------------------------------------------------- logread.c */

/* A window on a file that grows to what is asked for, never beyond the file. */
struct window {
	int fd;
	u64 size;		/* of the file */
	u64 start;		/* of what is in @buf */
	size_t len;
	size_t cap;
	u8 *buf;
	int err;
};

/*
 * @n bytes at @pos, valid until the next call; NULL: not in the file (err 0), or
 * ->err says why.
 */
const u8 *window_at(struct window *w, u64 pos, size_t n);

struct logr;

/*
 * Reads on after @from: opens the files that may have a greater zxid. @repair: the
 * torn end of the newest file is cut off.
 */
int logr_open(struct disk *d, u64 from, bool repair, struct logr **lr, char *why,
	      size_t why_len);
/* 1: a transaction, the caller's reference; 0: the end; else an error, @why. */
int logr_next(struct logr *lr, struct txn **txn, char *why, size_t why_len);
/* The first zxid that is missing between two transactions read so far, 0: none. */
u64 logr_gap(const struct logr *lr);
void logr_close(struct logr *lr);

/*
 * For tools: one file of d->log_path, whatever its name, its records as they are,
 * whatever their zxids. After the end: what was there, and the bytes of any part.
 */
int logr_open_file(struct disk *d, const char *name, struct logr **lr, char *why,
		   size_t why_len);
/* 1: a record, valid until the next call; @pos: its offset. 0: the end. */
int logr_next_raw(struct logr *lr, const u8 **bytes, u32 *len, u64 *pos, char *why,
		  size_t why_len);
int logr_bytes(struct logr *lr, u64 pos, size_t n, const u8 **bytes);

struct logr_end {
	bool headed;		/* the file has its header, */
	u64 dbid;		/* and this in it */
	u64 pos;		/* behind the last record */
	u64 size;		/* of the file */
	bool torn;		/* an unfinished write follows */
};

const struct logr_end *logr_end(const struct logr *lr);

/* What a log begins with, and what stands before each record. */
static inline void log_file_header(u8 h[FILE_HEADER_LEN], u64 dbid)
{
	jute_put32(h, LOG_MAGIC);
	jute_put32(h + 4, FILE_VERSION);
	jute_put64(h + 8, dbid);
}

void log_record_head(u8 h[RECORD_HEAD], const void *bytes, u32 len);

/* Whether @zxid may follow @last: the next one, or the first of a later epoch. */
static inline bool zxid_follows(u64 last, u64 zxid)
{
	return zxid == last + 1 || (zxid >> 32 > last >> 32 && (u32)zxid <= 1);
}

/* ---------------------------------------------------------------- logcheck.c */

enum log_end {
	LOG_END_CLEAN,		/* nothing but zeros follow */
	LOG_END_TORN,		/* a write that was not finished */
	LOG_END_DAMAGED,	/* anything else */
};

/*
 * What is at @pos, where there is no valid record. @last: zxid of the one before;
 * @why: a few words. Negative errno if reading fails.
 */
int log_check_end(struct window *w, u64 pos, u64 last, u64 max_txn, const char **why);

/* ---------------------------------------------------------------- logwrite.c */

int logw_new(struct disk *d, struct logw **lw);
void logw_free(struct logw *lw);
/* The next transaction appended begins a new file. */
void logw_roll(struct logw *lw);
void logw_flush(struct logw *lw);
void logw_stats(struct logw *lw, struct disk_stats *s);

/* ---------------------------------------------------------------- pack.c */

/* "", ".gz", ".snappy" */
const char *pack_ending(enum file_how how);
bool pack_by_ending(const char *s, enum file_how *how);

struct unpack;

/*
 * Reads what is packed in the file open at @fd, from where it stands; takes over
 * @fd, also on an error: -EBADMSG if it does not begin as it should.
 */
int unpack_open(int fd, enum file_how how, struct unpack **u);
/* Some bytes, at most @n; 0 at the end; -EBADMSG: not packed as it should be. */
ssize_t unpack_read(struct unpack *u, void *buf, size_t n);
void unpack_close(struct unpack *u);

struct pack;

int pack_new(enum file_how how, struct pack **p);
void pack_free(struct pack *p);
/* What a file begins with. */
const void *pack_head(const struct pack *p, size_t *n);
/* Packs @n bytes as a piece of its own; @out is valid until the next call. */
int pack_piece(struct pack *p, const void *bytes, size_t n, const void **out, size_t *len);

/* ---------------------------------------------------------------- snapout.c */

/*
 * A snapshot's stream on its way into a file: summed up, packed, written. One
 * thread. All return 0 or a negative errno.
 */
struct snap_out {
	int fd;
	struct pack *pack;
	u8 *buf;
	size_t len;
	u32 sum;		/* Adler-32 of what was flushed since it was set */
	u64 plain;		/* bytes flushed */
	u64 written;		/* and bytes that they take in the file */
	u64 flushed;		/* of these, writing back has begun */
};

int sout_init(struct snap_out *so, enum file_how how);
void sout_free(struct snap_out *so);
/* Begins anew, with a file that is empty. */
int sout_begin(struct snap_out *so, int fd);
int sout_flush(struct snap_out *so);
int sout_bytes(struct snap_out *so, const void *bytes, size_t n);
int sout_int(struct snap_out *so, s32 v);
int sout_long(struct snap_out *so, s64 v);
/* A string or buffer; -1: null. */
int sout_str(struct snap_out *so, const void *p, s32 len);
/* The checksum of all so far, and "/". */
int sout_seal(struct snap_out *so);
/* Takes @bytes of the file @from behind @skip, as they are, to the end. */
int sout_copy(struct snap_out *so, int from, u64 skip, u64 bytes);
/* StatPersisted behind the number of an ACL; @path "/" is written as "". */
int sout_node(struct snap_out *so, const struct store_rec *rec, s64 acl);
/* The end of the nodes. */
int sout_nodes_end(struct snap_out *so);
/* ZxidDigest and its seal. */
int sout_digest(struct snap_out *so, u64 zxid, s32 version, u64 digest);

/* ---------------------------------------------------------------- snapread.c */

/* What a snapshot holds beside nodes and sessions. */
struct snap_head {
	u64 zxid;		/* of the file's name */
	u64 dbid;
	bool digest_there;	/* there is one at all */
	bool has_digest;	/* and it counts */
	s32 digest_version;
	u64 digest_zxid;
	u64 digest;
	bool last_there;	/* of 3.9 and later */
	u64 last_zxid;
	u64 nodes;
	u64 strangers;		/* of these, with an ACL that is not in the map */
	u64 sum;		/* digest of the nodes read */
	u64 bytes;		/* read, unpacked */
};

/*
 * Who takes what a snapshot holds, in the order in which it is there. Only session
 * must be there; NULL for node: they are only checked for their form.
 */
struct snap_sink {
	void *arg;
	/* for tools: to the end of the file, as 3.9 writes it; and head.sum */
	bool all;
	int (*begin)(void *arg, const struct snap_head *head);
	int (*sessions)(void *arg, s32 count);
	int (*session)(void *arg, u64 id, s32 timeout);
	int (*acls)(void *arg, s32 count);
	int (*acl)(void *arg, s64 id, const u8 *jute, u32 len);
	/* node.acl_id: of the file's own map */
	int (*node)(void *arg, const struct store_rec *rec);
	/*
	 * The log is replayed behind it: nodes that it makes and whose ACL is not in
	 * the map are left out (see snapread.c).
	 */
	bool replayed;
};

/*
 * Reads and checks a whole snapshot. -EBADMSG with @why: not a valid one; other
 * errors are the sink's or the system's.
 */
int snap_read(struct disk *d, const struct disk_file *f, const struct snap_sink *sink,
	      struct snap_head *head, char *why, size_t why_len);

/* ---------------------------------------------------------------- treecheck.c */

/* Whether the store can be built from the snapshot @f. 0; -EBADMSG and @why; -errno. */
int tree_check(struct disk *d, const struct disk_file *f, char *why, size_t why_len);

/* ---------------------------------------------------------------- aclmap.c */

struct acl_map_entry {
	u64 id;			/* the store's */
	u8 *jute;
	u32 len;
	bool used;		/* by a node of the snapshot being written */
};

struct acl_map {
	struct acl_map_entry *acls;
	u32 n, cap;
	u32 *index;		/* hash of id -> number + 1 */
	u32 index_cap;
};

struct acl_map_entry *acl_map_find(struct acl_map *map, u64 id);
/* Copies the ACL in, as the last one, in use. -ENOMEM. */
int acl_map_add(struct acl_map *map, u64 id, const u8 *jute, u32 len);
/* Begins an empty map with what nearly every tree has. */
void acl_map_seed(struct acl_map *map, struct store *st);
/* Forgets what is not in use; the others are numbered anew. */
void acl_map_sweep(struct acl_map *map);
void acl_map_free(struct acl_map *map);

/* ---------------------------------------------------------------- snapwrite.c */

int snapw_new(struct disk *d, struct snapw **sw);
void snapw_free(struct snapw *sw);
/* Writes a snapshot of the store now, on this thread. */
int snapw_write_now(struct snapw *sw, struct store *st, const struct disk_session *s,
		    u32 n_sessions, char *why, size_t why_len);
int snapw_start(struct snapw *sw, struct store *st, const struct disk_session *s,
		u32 n_sessions);
void snapw_wait(struct snapw *sw);
/*
 * The same into a file without a name, plain, as it stands in the file: from *@from to
 * *@to of it is the body. Any thread, beside one that is being written.
 */
int snapw_spool(struct disk *d, struct store *st, struct store_snap *snap,
		const struct disk_session *s, u32 n_sessions, int *fd, u64 *from, u64 *to);
/* The zxid of the newest snapshot: written, or said by who recovered from it. */
u64 snapw_zxid(const struct snapw *sw);
void snapw_found(struct snapw *sw, u64 zxid);
void snapw_stats(struct snapw *sw, struct disk_stats *s);

/* ---------------------------------------------------------------- cut.c */

/* Removes what logs and snapshots have after @zxid, whether they have @zxid or not. */
int cut_after(struct disk *d, u64 zxid);

/* ---------------------------------------------------------------- sessions.c */

struct session_table {
	struct disk_session *slots;	/* id 0: free */
	u32 cap;			/* power of two */
	u32 n;
	bool zero;			/* whether session 0 is there, */
	s32 zero_timeout;		/* and its timeout */
};

int stab_put(struct session_table *t, u64 id, s32 timeout);
void stab_del(struct session_table *t, u64 id);
/* A malloc'ed array of all of them; -ENOMEM. */
int stab_list(const struct session_table *t, struct disk_session **s, u32 *n);
void stab_free(struct session_table *t);

#endif
