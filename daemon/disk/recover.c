// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Recovery: from what is on disk to a store and a session table
 * (FileTxnSnapLog.restore, DataTree.processTxn, compareDigest).
 *
 *  1. A tree that the store came with is kept if the log says that it is right:
 *     it has a transaction with the tree's zxid, and the digest recorded with it
 *     is the tree's. The sessions come from the newest snapshot at or before that
 *     zxid and the log behind it; what is behind the zxid is applied. Readers see
 *     the tree all the while. A member of an ensemble applies none of it: the tree has
 *     all that was known to be committed, and what is behind may be cut off (tail_one()).
 *  2. Else another tree is built beside it: the newest valid snapshot, then the
 *     log, and swapped in. A member's is hidden from readers until the ensemble has
 *     settled what of it is committed.
 *  3. With nothing on disk at all, the tree of a new server, and snapshot.0 of it,
 *     without which ZooKeeper does not accept a log.
 *
 * ZooKeeper's snapshots are fuzzy, they may have some of what the log has behind
 * their zxid; so replay passes over what it finds done. Digests are compared from
 * the zxid on at which the snapshot says that it is whole.
 *
 * A snapshot that cannot be read is passed over. But when the log then does not
 * lead to it, or somewhere lacks a transaction, or ends before the last one that a
 * snapshot has the work of, acknowledged transactions would be lost: that is an
 * error, where ZooKeeper goes on. zkern.trustGaps goes on too.
 */
#include <linux/types.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <time.h>

#include "daemon/base/digestlog.h"
#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/disk/internal.h"
#include "daemon/proto/zookeeper.h"

#define NODE_BYTES	256	/* of a snapshot, for a node with its path and data */
#define TAIL_MAX	65536	/* transactions behind a tree that are not applied, */
#define TAIL_BYTES	(64u * 1024 * 1024)	/* and bytes of them */

struct recovery {
	struct disk *d;
	struct store *st;
	struct disk_recovery *r;
	char *why;
	size_t why_len;
	struct disk_file *snaps;
	u32 n_snaps;
	struct session_table sessions;
	struct snap_head head;		/* of the snapshot taken */
	u64 config_zxid;		/* /zookeeper/config was written at */
	u64 must_reach;			/* zxid of an unreadable snapshot, 0: none */
	u64 gap;			/* first transaction missing in the log */
	bool fuzzy;			/* digests don't count yet */
	/* the tree that the store came with */
	u64 kept_zxid;
	u64 kept_digest;
	bool sure;			/* the log has this zxid with this digest */
	u32 tail_room;			/* of r->tail */
	u64 tail_bytes;
};

#define NOT_KEPT	1

static const char config_path[] = "/zookeeper/config";

static int why(struct recovery *rec, int rc, const char *what)
{
	if (rc == -E2BIG)	/* the kernel's store */
		return disk_why(rec->why, rec->why_len, rc,
				"%s: the loaded module zkern is older than this zkernd, load the one that came with it",
				what);
	return disk_why(rec->why, rec->why_len, rc, "%s: %s", what, strerror(-rc));
}

/* ---------------------------------------------------------------- transactions */

/* FileTxnSnapLog.processTransaction */
static int count_session(struct recovery *rec, const struct txn *t)
{
	int rc = 0;

	if (t->type == OP_CREATESESSION)
		rc = stab_put(&rec->sessions, t->session, t->timeout);
	else if (t->type == OP_CLOSESESSION)
		stab_del(&rec->sessions, t->session);
	return rc ? why(rec, rc, "sessions") : 0;
}

static void mismatch(struct recovery *rec, u64 zxid, u64 want, u64 got)
{
	metric_count(METRIC_digest_mismatches_count, 1);
	if (!rec->r->digest_mismatches++)
		log_error("digest mismatch at 0x%llx: %llx is recorded, the tree has %llx",
			  zxid, want, got);
}

/* DataTree.compareSnapshotDigests, compareDigest */
static void compare(struct recovery *rec, const struct txn *t, u64 digest)
{
	const struct snap_head *h = &rec->head;

	if (rec->fuzzy && t->zxid >= h->digest_zxid) {
		if (t->zxid == h->digest_zxid && h->digest != digest)
			mismatch(rec, t->zxid, h->digest, digest);
		if (t->zxid > h->digest_zxid)
			log_warn("the transaction 0x%llx of the snapshot's digest is not in the log",
				 h->digest_zxid);
		rec->fuzzy = false;
	} else if (!rec->fuzzy && t->has_digest && t->digest_version == DIGEST_VERSION &&
		   t->digest != digest) {
		mismatch(rec, t->zxid, t->digest, digest);
	}
}

static int replay_one(struct recovery *rec, struct txn *t)
{
	struct zk_txn zk;
	u64 digest = 0;
	int rc;

	rc = count_session(rec, t);
	if (rc)
		return rc;
	txn_to_zk(t, &zk);
	zk.flags = ZK_TXN_REPLAY;
	rc = rec->st->ops->load_txn(rec->st, &zk, &digest);
	if (rc)
		return disk_why(rec->why, rec->why_len, rc, "cannot replay transaction 0x%llx: %s",
				t->zxid, strerror(-rc));
	compare(rec, t, digest);
	digest_log_note(t->zxid, digest);
	if (t->type == OP_RECONFIG)
		rec->config_zxid = t->zxid;
	rec->r->zxid = t->zxid;
	rec->r->replayed++;
	return 0;
}

static int cannot_reach(struct recovery *rec)
{
	return disk_why(rec->why, rec->why_len, -EBADMSG,
			"%s/snapshot.%llx cannot be read, and the log does not lead to it",
			rec->d->snap_path, rec->must_reach);
}

/* Says besides what the reader said how to go on. */
static int explain_gap(struct recovery *rec)
{
	size_t n = strlen(rec->why);

	if (rec->must_reach && rec->gap <= rec->must_reach)
		return cannot_reach(rec);
	if (n < rec->why_len)
		snprintf(rec->why + n, rec->why_len - n,
			 " (the log file with it was removed or cut; zkern.trustGaps=true starts without)");
	return -EBADMSG;
}

/* Calls @fn for every transaction after @from. */
static int each_txn(struct recovery *rec, u64 from,
		    int (*fn)(struct recovery *rec, struct txn *t))
{
	struct logr *lr;
	struct txn *t;
	int rc;

	rc = logr_open(rec->d, from, true, &lr, rec->why, rec->why_len);
	if (rc)
		return rc;
	while ((rc = logr_next(lr, &t, rec->why, rec->why_len)) == 1) {
		rc = fn(rec, t);
		txn_put(t);
		if (rc)
			break;
	}
	rec->gap = logr_gap(lr);
	logr_close(lr);
	return rec->gap && rc == -EBADMSG ? explain_gap(rec) : rc;
}

/* ---------------------------------------------------------------- keeping */

static int add_session(void *arg, u64 id, s32 timeout)
{
	struct recovery *rec = arg;

	return stab_put(&rec->sessions, id, timeout);
}

static int apply_one(struct recovery *rec, const struct txn *t)
{
	struct zk_txn zk;
	u64 digest;
	int err;

	txn_to_zk(t, &zk);
	if (rec->st->ops->apply(rec->st, &zk, 1, &digest, &err) != 1) {
		log_warn("transaction 0x%llx does not fit the tree found: %s", t->zxid,
			 strerror(-err));
		return NOT_KEPT;
	}
	compare(rec, t, digest);
	rec->r->replayed++;
	return 0;
}

/* Behind a member's tree: for the machine, which knows when it is committed. */
static int tail_one(struct recovery *rec, struct txn *t)
{
	struct disk_recovery *r = rec->r;
	struct txn **more;

	if (!rec->sure)
		return NOT_KEPT;
	rec->tail_bytes += t->len;
	if (r->n_tail == TAIL_MAX || rec->tail_bytes > TAIL_BYTES) {
		log_warn("the log has too much behind the tree found at 0x%llx", rec->kept_zxid);
		return NOT_KEPT;
	}
	if (r->n_tail == rec->tail_room) {
		rec->tail_room = rec->tail_room ? 2 * rec->tail_room : 64;
		more = realloc(r->tail, rec->tail_room * sizeof(*more));
		if (!more)
			return why(rec, -ENOMEM, "the end of the log");
		r->tail = more;
	}
	r->tail[r->n_tail++] = txn_get(t);
	return 0;
}

static int keep_one(struct recovery *rec, struct txn *t)
{
	int rc;

	if (rec->d->p.member && t->zxid > rec->kept_zxid)
		return tail_one(rec, t);
	rc = count_session(rec, t);
	if (rc)
		return rc;
	if (t->zxid == rec->kept_zxid)
		rec->sure = t->has_digest && t->digest_version == DIGEST_VERSION &&
			    t->digest == rec->kept_digest;
	if (t->zxid >= rec->kept_zxid && !rec->sure)
		return NOT_KEPT;
	if (t->has_digest && t->digest_version == DIGEST_VERSION)
		digest_log_note(t->zxid, t->digest);
	if (t->zxid > rec->kept_zxid)
		rc = apply_one(rec, t);
	rec->r->zxid = t->zxid;
	return rc;
}

/* 0: the store's own tree was brought up to date; NOT_KEPT; or an error. */
static int keep_tree(struct recovery *rec)
{
	const struct snap_sink sink = { .arg = rec, .session = add_session };
	const struct snap_head *h = &rec->head;
	const struct disk_file *f;
	int rc;

	if (!rec->n_snaps)
		return NOT_KEPT;
	f = &rec->snaps[rec->n_snaps - 1];
	if (f->zxid > rec->kept_zxid)
		return NOT_KEPT;
	rc = snap_read(rec->d, f, &sink, &rec->head, rec->why, rec->why_len);
	if (rc)
		return rc == -ENOMEM ? rc : NOT_KEPT;
	rec->r->zxid = f->zxid;
	rec->r->snapshot_zxid = f->zxid;
	rec->sure = f->zxid == rec->kept_zxid && h->has_digest && h->digest_zxid == f->zxid &&
		    h->digest_version == DIGEST_VERSION && h->digest == rec->kept_digest;
	rc = each_txn(rec, f->zxid, keep_one);
	if (rc)
		return rc;
	/* the machine's numbers have no gaps */
	if (!rec->sure || (rec->r->n_tail && rec->gap))
		return NOT_KEPT;
	if (rec->r->n_tail)
		log_info("the log goes on to 0x%llx behind the tree found at 0x%llx: %u transactions wait until a leader says what is committed",
			 disk_logged(rec->r), rec->kept_zxid, rec->r->n_tail);
	return 0;
}

/* ---------------------------------------------------------------- building */

static void forget(struct recovery *rec)
{
	digest_log_clear();
	stab_free(&rec->sessions);
	disk_recovery_free(rec->r);
	memset(rec->r, 0, sizeof(*rec->r));
	memset(&rec->head, 0, sizeof(rec->head));
	rec->gap = 0;
}

static int load_node(void *arg, const struct store_rec *node)
{
	struct recovery *rec = arg;

	if (node->path_len == sizeof(config_path) - 1 &&
	    !memcmp(node->path, config_path, node->path_len))
		rec->config_zxid = node->node.stat.mzxid;
	return rec->st->ops->load_node(rec->st, node);
}

/* About how many nodes a snapshot has, by its size; rather too few. */
static u64 nodes_in(const struct disk *d, const struct disk_file *f)
{
	struct stat st;

	if (fstatat(d->snap_dfd, f->name, &st, 0) || !S_ISREG(st.st_mode))
		return 0;
	return st.st_size / NODE_BYTES;
}

static int load_snapshot(struct recovery *rec, const struct disk_file *f)
{
	const struct snap_sink sink = {
		.arg = rec, .session = add_session, .node = load_node, .replayed = true,
	};
	int rc = rec->st->ops->load_begin(rec->st, nodes_in(rec->d, f));

	if (rc)
		return why(rec, rc, "building the tree");
	rc = snap_read(rec->d, f, &sink, &rec->head, rec->why, rec->why_len);
	if (rc)
		return rc;
	if (rec->head.strangers)
		log_info("%s/%s: the log has the ACLs of %llu nodes", rec->d->snap_path, f->name,
			 rec->head.strangers);
	rec->r->zxid = f->zxid;
	rec->r->snapshot_zxid = f->zxid;
	rec->fuzzy = rec->head.has_digest && rec->head.digest_version == DIGEST_VERSION &&
		     rec->head.digest_zxid > f->zxid;
	return 0;
}

/* An error of the file, and not of this machine. */
static bool is_of_file(int rc)
{
	return rc == -EBADMSG || rc == -EINVAL || rc == -ENOENT || rc == -EEXIST || rc == -EIO ||
	       rc == -EISDIR;
}

static int newest_snapshot(struct recovery *rec)
{
	size_t n;
	u32 i;
	int rc;

	for (i = rec->n_snaps; i-- > 0; ) {
		rc = load_snapshot(rec, &rec->snaps[i]);
		if (!rc)
			return 0;
		rec->st->ops->load_abort(rec->st);
		if (!is_of_file(rc))
			return rc;
		log_warn("snapshot passed over: %s", rec->why);
		if (rec->snaps[i].zxid > rec->must_reach)
			rec->must_reach = rec->snaps[i].zxid;
		forget(rec);
	}
	n = strlen(rec->why);
	if (n < rec->why_len)
		snprintf(rec->why + n, rec->why_len - n, "; no other snapshot can be read");
	return -EBADMSG;
}

/*
 * DataTree(): root, /zookeeper, and below it quota and config, which anyone may
 * read and nobody write (ZOOKEEPER-2014).
 */
static int load_new_tree(struct recovery *rec)
{
	static const char *const paths[] = {
		"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config",
	};
	u8 read_only[TXN_OPEN_ACL_LEN];
	size_t i;
	int rc = rec->st->ops->load_begin(rec->st, 0);

	memcpy(read_only, txn_open_acl, sizeof(read_only));
	jute_put32(read_only + 4, PERM_READ);
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]) && !rc; i++) {
		bool config = !strcmp(paths[i], config_path);
		struct store_rec node = {
			.path = paths[i],
			.path_len = strlen(paths[i]),
			.acl = config ? read_only : txn_open_acl,
			.acl_len = TXN_OPEN_ACL_LEN,
			.node.crc = txn_crc(paths[i], strlen(paths[i]), NULL, 0),
			.node.stat.aversion = config ? -1 : 0,
		};

		rc = rec->st->ops->load_node(rec->st, &node);
	}
	return rc ? why(rec, rc, "building the tree") : 0;
}

static int found_txn(struct recovery *rec, struct txn *t)
{
	return disk_why(rec->why, rec->why_len, -EBADMSG,
			"no snapshot in %s, but transaction 0x%llx in the log: something is missing (snapshot.trust.empty=true goes on without)",
			rec->d->snap_path, t->zxid);
}

/* Whether all is there that was acknowledged, as far as the names of files tell. */
static int check_reach(struct recovery *rec)
{
	if (rec->must_reach &&
	    (rec->r->zxid < rec->must_reach || (rec->gap && rec->gap <= rec->must_reach)))
		return cannot_reach(rec);
	if (!rec->fuzzy || rec->r->zxid >= rec->head.digest_zxid)
		return 0;
	disk_why(rec->why, rec->why_len, -EBADMSG,
		 "the log in %s ends with transaction 0x%llx, but %s/snapshot.%llx was written until 0x%llx: what is between them is missing (zkern.trustGaps=true starts without)",
		 rec->d->log_path, rec->r->zxid, rec->d->snap_path, rec->head.zxid,
		 rec->head.digest_zxid);
	if (!rec->d->p.trust_gaps)
		return -EBADMSG;
	log_warn("%s", rec->why);
	return 0;
}

void disk_config_node(struct disk *d, const char *text, u64 version, bool follows)
{
	d->config = text;
	d->config_version = version;
	d->config_follows = follows;
}

/* Not being a transaction it counts in no digest, as nothing below /zookeeper does. */
static int put_config(struct recovery *rec)
{
	const struct disk *d = rec->d;
	struct zk_op op = { .type = ZK_OP_SETDATA, .version = -1 };
	struct zk_txn zk = { .zxid = d->config_version, .n_ops = 1, .ops = &op,
			     .flags = ZK_TXN_REPLAY | ZK_TXN_ASIDE };
	struct timespec now;
	int rc;

	if (!d->config || (d->config_follows && rec->config_zxid &&
			   rec->config_zxid >= d->config_version))
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	zk.time = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
	op.path = config_path;
	op.path_len = sizeof(config_path) - 1;
	op.data = d->config;
	op.data_len = strlen(d->config);
	op.crc = txn_crc(config_path, op.path_len, d->config, op.data_len);
	rc = rec->st->ops->load_txn(rec->st, &zk, NULL);
	/* initConfigInZKDatabase() is DataTree.setData() */
	if (!rc)
		metric_add_path(METRIC_write_per_namespace, op.path, op.path_len,
				op.path_len + op.data_len);
	return rc;
}

static int commit_tree(struct recovery *rec)
{
	struct store_info info;
	int rc = put_config(rec);

	if (!rc && rec->d->p.member)
		rc = rec->st->ops->set_state(rec->st, STORE_HIDDEN, ~0ULL);
	if (!rc)
		rc = rec->st->ops->load_commit(rec->st, rec->r->zxid);
	if (rc)
		return why(rec, rc, "building the tree");
	/* no transaction compared it */
	if (!rec->r->replayed && rec->head.has_digest &&
	    rec->head.digest_version == DIGEST_VERSION &&
	    rec->head.digest_zxid == rec->r->zxid) {
		rc = rec->st->ops->info(rec->st, &info);
		if (rc)
			return why(rec, rc, "reading the tree");
		if (info.digest != rec->head.digest)
			mismatch(rec, rec->r->zxid, rec->head.digest, info.digest);
	}
	return 0;
}

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* FileTxnSnapLog.fastForwardFromEdits */
static int replay_log(struct recovery *rec)
{
	u64 began = now_ms();
	int rc = each_txn(rec, rec->r->zxid, replay_one);

	if (!rc && rec->r->replayed) {
		metric_add(METRIC_startup_txns_loaded, rec->r->replayed);
		metric_add(METRIC_startup_txns_load_time, now_ms() - began);
	}
	return rc;
}

static int build_tree(struct recovery *rec)
{
	u64 began = now_ms();
	int rc;

	if (rec->n_snaps) {
		rc = newest_snapshot(rec);
	} else {
		rc = rec->d->p.trust_empty ? 0 : each_txn(rec, 0, found_txn);
		if (!rc)
			rc = load_new_tree(rec);
	}
	if (!rc) {
		metric_add(METRIC_startup_snap_load_time, now_ms() - began);
		rc = replay_log(rec);
	}
	if (!rc)
		rc = check_reach(rec);
	if (!rc)
		rc = commit_tree(rec);
	if (rc)
		rec->st->ops->load_abort(rec->st);
	return rc;
}

/* ---------------------------------------------------------------- the whole */

static int finish(struct recovery *rec)
{
	struct disk_recovery *r = rec->r;
	int rc = stab_list(&rec->sessions, &r->sessions, &r->n_sessions);

	if (rc)
		return why(rec, rc, "sessions");
	snapw_found(rec->d->snap, r->snapshot_zxid);
	if (!rec->n_snaps)
		rc = snapw_write_now(rec->d->snap, rec->st, r->sessions, r->n_sessions,
				     rec->why, rec->why_len);
	if (rc)
		disk_recovery_free(r);
	return rc;
}

void disk_recovery_drop_tail(struct disk_recovery *r)
{
	for (u32 i = 0; i < r->n_tail; i++)
		txn_put(r->tail[i]);
	free(r->tail);
	r->tail = NULL;
	r->n_tail = 0;
}

void disk_recovery_free(struct disk_recovery *r)
{
	disk_recovery_drop_tail(r);
	free(r->sessions);
	r->sessions = NULL;
	r->n_sessions = 0;
}

static int recover(struct disk *d, struct store *st, bool keep, struct disk_recovery *r,
		   char *text, size_t text_len)
{
	struct recovery rec = { .d = d, .st = st, .r = r, .why = text, .why_len = text_len };
	struct store_info info;
	int rc;

	memset(r, 0, sizeof(*r));
	if (text_len)
		text[0] = '\0';
	rc = disk_list(d->snap_dfd, "snapshot", true, &rec.snaps, &rec.n_snaps);
	if (rc)
		return disk_why(text, text_len, rc, "cannot list %s: %s", d->snap_path,
				strerror(-rc));
	rc = st->ops->info(st, &info);
	if (rc) {
		why(&rec, rc, "reading the tree");
		goto out;
	}
	rc = NOT_KEPT;
	if (keep && info.taken_up) {
		rec.kept_zxid = info.zxid;
		rec.kept_digest = info.digest;
		rc = keep_tree(&rec);
		r->kept = !rc;
		if (rc == NOT_KEPT)
			log_warn("the tree found at 0x%llx is not what is on disk: another is built",
				 info.zxid);
	}
	if (rc == NOT_KEPT) {
		forget(&rec);
		rc = build_tree(&rec);
	}
	if (!rc)
		rc = finish(&rec);
out:
	if (rc)
		disk_recovery_free(r);
	stab_free(&rec.sessions);
	free(rec.snaps);
	return rc;
}

int disk_recover(struct disk *d, struct store *st, struct disk_recovery *r, char *text,
		 size_t text_len)
{
	return recover(d, st, true, r, text, text_len);
}

int disk_reload(struct disk *d, struct store *st, struct disk_recovery *r, char *text,
		size_t text_len)
{
	disk_flush(d);
	logw_roll(d->log);
	return recover(d, st, false, r, text, text_len);
}
