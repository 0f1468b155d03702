// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zkern log --verify: everything in a data directory. Each snapshot is read whole;
 * then the oldest good one is loaded and the logs replayed behind it, each digest on
 * record (of transactions and of later snapshots) compared with the tree's. Where
 * transactions are missing it is said, and gone on from the next snapshot.
 *
 * Reads only, takes no lock: what a running server is writing is no error.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "disk.h"
#include "daemon/store/store.h"

struct snap {
	struct disk_file file;
	struct snap_head head;
	bool good;
};

struct verify {
	struct disk *d;		/* of the snapshots */
	struct disk *logs;	/* and of the logs */
	bool json;
	struct snap *snaps;
	u32 n;
	struct store *st;
	u64 txns, digests, problems;
	u64 first, last;	/* zxids replayed */
	char why[DISK_WHY];
};

static void problem(struct verify *v, const char *text)
{
	v->problems++;
	cli_error("%s", text);
}

/* ------------------------------------------------------------ snapshots */

static int no_session(void *arg, u64 id, s32 timeout)
{
	(void)arg;
	(void)id;
	(void)timeout;
	return 0;
}

static int load_node(void *arg, const struct store_rec *rec)
{
	struct verify *v = arg;

	return v->st->ops->load_node(v->st, rec);
}

/* Whether the digest is that of the nodes: the snapshot is of one zxid. */
static bool is_exact(const struct snap_head *h)
{
	return h->has_digest && h->digest_version == DIGEST_VERSION && h->digest_zxid == h->zxid;
}

static void check_snapshot(struct verify *v, struct snap *s)
{
	const struct snap_sink sink = { .arg = v, .all = true, .session = no_session };
	char text[DISK_WHY];
	int rc = snap_read(v->d, &s->file, &sink, &s->head, v->why, sizeof(v->why));

	if (rc) {
		problem(v, v->why);
		return;
	}
	s->good = true;
	if (is_exact(&s->head) && s->head.sum != s->head.digest) {
		snprintf(text, sizeof(text),
			 "%s/%s: its nodes have digest 0x%llx, but it says 0x%llx", v->d->snap_path,
			 s->file.name, s->head.sum, s->head.digest);
		problem(v, text);
		s->good = false;
	}
	if (!v->json)
		printf("%s: %llu nodes, %s\n", s->file.name, s->head.nodes,
		       s->good ? "good" : "bad");
}

static int list_snapshots(struct verify *v)
{
	struct disk_file *files;
	u32 i;
	int rc = disk_list(v->d->snap_dfd, "snapshot", true, &files, &v->n);

	if (rc) {
		cli_error("cannot list %s: %s", v->d->snap_path, strerror(-rc));
		return -EIO;
	}
	v->snaps = calloc(v->n + 1, sizeof(*v->snaps));
	for (i = 0; v->snaps && i < v->n; i++) {
		v->snaps[i].file = files[i];
		check_snapshot(v, &v->snaps[i]);
	}
	free(files);
	if (!v->snaps)
		cli_error("out of memory");
	return v->snaps ? 0 : -ENOMEM;
}

/* ------------------------------------------------------------ logs */

static void compare(struct verify *v, u64 zxid, u64 want, u64 got, const char *where)
{
	char text[DISK_WHY];

	v->digests++;
	if (want == got)
		return;
	snprintf(text, sizeof(text),
		 "%s has digest 0x%llx for 0x%llx, but the tree replayed has 0x%llx", where, want,
		 zxid, got);
	problem(v, text);
}

/* What snapshots say of the tree at @zxid. */
static void compare_snapshots(struct verify *v, u64 zxid, u64 digest)
{
	u32 i;

	for (i = 0; i < v->n; i++) {
		const struct snap_head *h = &v->snaps[i].head;

		if (v->snaps[i].good && h->has_digest && h->digest_zxid == zxid &&
		    h->digest_version == DIGEST_VERSION)
			compare(v, zxid, h->digest, digest, v->snaps[i].file.name);
	}
}

static int replay_one(struct verify *v, const struct snap_head *h, const struct txn *t)
{
	struct zk_txn zk;
	u64 digest = 0;
	int rc;

	txn_to_zk(t, &zk);
	zk.flags = ZK_TXN_REPLAY;
	rc = v->st->ops->load_txn(v->st, &zk, &digest);
	if (rc) {
		cli_error("cannot replay transaction 0x%llx: %s", t->zxid, strerror(-rc));
		return rc;
	}
	v->txns++;
	v->last = t->zxid;
	/* until there, a snapshot that was written while it changed is not whole */
	if (h->has_digest && t->zxid < h->digest_zxid)
		return 0;
	compare_snapshots(v, t->zxid, digest);
	if (t->has_digest && t->digest_version == DIGEST_VERSION)
		compare(v, t->zxid, t->digest, digest, "the log");
	return 0;
}

/* Loads @s and replays what follows it: 0 at the end of the logs, else an error. */
static int replay_from(struct verify *v, struct snap *s)
{
	const struct snap_sink sink = {
		.arg = v, .session = no_session, .node = load_node, .replayed = true,
	};
	struct snap_head head;
	struct logr *lr;
	struct txn *t;
	int rc = v->st->ops->load_begin(v->st, 0);

	if (!rc)
		rc = snap_read(v->d, &s->file, &sink, &head, v->why, sizeof(v->why));
	if (rc) {
		cli_error("%s: cannot be loaded: %s", s->file.name, strerror(-rc));
		return rc;
	}
	v->last = s->head.zxid;
	rc = logr_open(v->logs, s->head.zxid, false, &lr, v->why, sizeof(v->why));
	if (rc) {
		cli_error("%s", v->why);
		return rc;
	}
	while ((rc = logr_next(lr, &t, v->why, sizeof(v->why))) == 1) {
		rc = replay_one(v, &s->head, t);
		txn_put(t);
		if (rc)
			break;
		v->why[0] = '\0';
	}
	if (rc < 0 && v->why[0])
		problem(v, v->why);
	logr_close(lr);
	v->st->ops->load_abort(v->st);
	return rc;
}

/* From the oldest good snapshot on; where that ends early, from a later one. */
static int replay(struct verify *v)
{
	u64 reached = 0;
	bool first = true;
	int rc = 0;
	u32 i;

	for (i = 0; i < v->n; i++) {
		if (!v->snaps[i].good || (!first && v->snaps[i].head.zxid <= reached))
			continue;
		if (first)
			v->first = v->snaps[i].head.zxid;
		first = false;
		rc = replay_from(v, &v->snaps[i]);
		if (rc == -ENOMEM)
			return rc;
		reached = v->last;
		if (!rc)
			break;
	}
	if (first)
		problem(v, "no good snapshot: digests cannot be checked");
	return 0;
}

/* The logs that are older than all snapshots too: their checksums. */
static int check_logs(struct verify *v, u32 *n)
{
	struct disk_file *files;
	struct logr *lr;
	const u8 *bytes;
	u64 pos, count;
	u32 len, i;
	int rc = disk_list(v->logs->log_dfd, "log", false, &files, n);

	if (rc) {
		cli_error("cannot list %s: %s", v->logs->log_path, strerror(-rc));
		return -EIO;
	}
	for (i = 0; i < *n; i++) {
		rc = logr_open_file(v->logs, files[i].name, &lr, v->why, sizeof(v->why));
		for (count = 0; !rc; count++) {
			rc = logr_next_raw(lr, &bytes, &len, &pos, v->why, sizeof(v->why));
			if (rc <= 0)
				break;
			rc = 0;
		}
		if (rc)
			problem(v, v->why);
		else if (!v->json)
			printf("%s: %llu transactions%s\n", files[i].name, count,
			       logr_end(lr)->torn ? ", the last one unfinished" : "");
		logr_close(lr);
	}
	free(files);
	return 0;
}

/* ------------------------------------------------------------ the whole */

static int open_dir(const char *dir, struct disk **d)
{
	char path[PATH_MAX], why[DISK_WHY];
	struct stat st;
	int rc;

	if ((size_t)snprintf(path, sizeof(path), "%s/version-2", dir) >= sizeof(path) ||
	    stat(path, &st) || !S_ISDIR(st.st_mode))
		snprintf(path, sizeof(path), "%s", dir);
	rc = disk_open_files(path, DISK_MAX_TXN, d, why, sizeof(why));
	if (rc)
		cli_error("%s", why);
	return rc ? -EIO : 0;
}

static int report(struct verify *v, u32 logs)
{
	json_t *o;

	if (!v->json) {
		printf("%u snapshots, %u logs; from 0x%llx to 0x%llx %llu transactions replayed",
		       v->n, logs, v->first, v->last, v->txns);
		printf(", %llu digests compared; %llu problems\n", v->digests, v->problems);
		return v->problems ? -EBADMSG : 0;
	}
	o = json_object();
	if (dj_put_int(o, "snapshots", v->n) || dj_put_int(o, "logs", logs) ||
	    dj_put_int(o, "first_zxid", v->first) || dj_put_int(o, "last_zxid", v->last) ||
	    dj_put_int(o, "transactions", v->txns) || dj_put_int(o, "digests", v->digests) ||
	    dj_put_int(o, "problems", v->problems)) {
		json_decref(o);
		o = NULL;
	}
	return dj_line(o) ? -ENOMEM : v->problems ? -EBADMSG : 0;
}

static int verify_all(struct verify *v)
{
	u32 logs = 0;
	int rc = list_snapshots(v);

	if (!rc)
		rc = check_logs(v, &logs);
	if (!rc && !v->n && !logs) {
		cli_error("%s: neither snapshots nor logs", v->d->snap_path);
		return -EIO;
	}
	if (!rc)
		rc = replay(v);
	return rc ? rc : report(v, logs);
}

int disk_verify(const char *dir, const char *log_dir, bool json)
{
	const struct store_params sp = { .kind = "memory" };
	struct verify v = { .json = json };
	const char *why = "";
	int rc = open_dir(dir, &v.d);

	if (rc)
		return rc;
	rc = open_dir(log_dir ? log_dir : dir, &v.logs);
	if (!rc) {
		store_thread_init();
		rc = store_open(&sp, &v.st, &why);
		if (rc) {
			cli_error("%s", why);
		} else {
			rc = verify_all(&v);
			v.st->ops->close(v.st);
		}
		store_thread_exit();
	}
	free(v.snaps);
	disk_close(v.d);
	disk_close(v.logs);
	return rc;
}
