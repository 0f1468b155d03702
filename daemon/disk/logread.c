// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The transaction log, read (FileTxnLog.FileTxnIterator): the records of all files
 * that may have something after a zxid, in order, each checked.
 *
 * A record: int64 Adler-32 of the transaction's bytes, int32 their length, the
 * bytes, 'B'. A file ends where the length is zero (its preallocated rest) or with
 * the file.
 *
 * Where ZooKeeper takes a place that cannot be read for the end of a file, and so
 * may lose what was acknowledged, this reader looks closer (logcheck.c). An older
 * file may end in an unfinished write: ZooKeeper leaves it there and begins the
 * next file with the same zxid. If something is missing between the two, the log
 * is damaged.
 */
#include <linux/types.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <libdeflate.h>

#include "daemon/base/log.h"
#include "daemon/disk/internal.h"

#define WINDOW_MIN	(1024 * 1024)

struct logr {
	struct disk *d;
	struct disk_file *files;
	u32 n;
	u32 cur;		/* the file open in @w, if w.fd >= 0; else the next */
	struct window w;
	u64 pos;
	u64 from;		/* only what is greater is handed out */
	u64 last;		/* zxid handed out or passed over last; 0: none */
	u64 gap;
	bool repair;
	bool gaps;		/* what is missing is said, and no error */
	bool repeated;		/* said that @cur has zxids of earlier files */
	/* an unfinished write at the end of an earlier file */
	bool torn;
	u32 torn_file;
	u64 torn_pos;
	struct logr_end end;	/* of the file read last */
};

/* ---------------------------------------------------------------- window */

static int window_open(struct window *w, int dfd, const char *name)
{
	struct stat st;

	w->fd = openat(dfd, name, O_RDONLY | O_CLOEXEC);
	if (w->fd < 0)
		return -errno;
	if (fstat(w->fd, &st)) {
		int rc = -errno;

		close(w->fd);
		w->fd = -1;
		return rc;
	}
	w->size = st.st_size;
	w->start = 0;
	w->len = 0;
	w->err = 0;
	return 0;
}

static void window_close(struct window *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

static int window_fill(struct window *w, u64 pos, size_t n)
{
	size_t have = 0;
	ssize_t r;

	if (!w->buf || n > w->cap) {
		u8 *b = realloc(w->buf, n ? n : 1);	/* an empty file, too, has a place */

		if (!b)
			return -ENOMEM;
		w->buf = b;
		w->cap = n;
	}
	w->len = 0;
	while (have < n) {
		r = pread(w->fd, w->buf + have, n - have, pos + have);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (!r)
			return -EIO;	/* it became shorter under us */
		have += r;
	}
	w->start = pos;
	w->len = n;
	return 0;
}

const u8 *window_at(struct window *w, u64 pos, size_t n)
{
	u64 want = n < WINDOW_MIN ? WINDOW_MIN : n;

	w->err = 0;
	if (pos > w->size || n > w->size - pos)
		return NULL;
	if (!w->buf || pos < w->start || pos + n > w->start + w->len) {
		if (want > w->size - pos)
			want = w->size - pos;
		w->err = window_fill(w, pos, want);
		if (w->err)
			return NULL;
	}
	return w->buf + (pos - w->start);
}

/* ---------------------------------------------------------------- reading */

static struct logr *logr_new(struct disk *d, u64 from, bool repair)
{
	struct logr *lr = calloc(1, sizeof(*lr));

	if (!lr)
		return NULL;
	lr->d = d;
	lr->from = from;
	lr->repair = repair;
	lr->gaps = d->p.trust_gaps;
	lr->w.fd = -1;
	return lr;
}

int logr_open(struct disk *d, u64 from, bool repair, struct logr **out, char *why,
	      size_t why_len)
{
	struct logr *lr = logr_new(d, from, repair);
	u32 i;
	int rc;

	if (!lr)
		return disk_why(why, why_len, -ENOMEM, "out of memory");
	rc = disk_list(d->log_dfd, "log", false, &lr->files, &lr->n);
	if (rc) {
		free(lr);
		return disk_why(why, why_len, rc, "cannot list %s: %s", d->log_path,
				strerror(-rc));
	}
	/* the last file that begins at or before what is wanted, and all after it */
	for (i = 0; i < lr->n && lr->files[i].zxid <= from + 1; i++)
		lr->cur = i;
	*out = lr;
	return 0;
}

int logr_open_file(struct disk *d, const char *name, struct logr **out, char *why,
		   size_t why_len)
{
	struct logr *lr = logr_new(d, 0, false);

	if (lr)
		lr->files = calloc(1, sizeof(*lr->files));
	if (!lr || !lr->files) {
		free(lr);
		return disk_why(why, why_len, -ENOMEM, "out of memory");
	}
	lr->gaps = true;
	lr->n = 1;
	snprintf(lr->files[0].name, sizeof(lr->files[0].name), "%s", name);
	*out = lr;
	return 0;
}

const struct logr_end *logr_end(const struct logr *lr)
{
	return &lr->end;
}

void logr_close(struct logr *lr)
{
	if (!lr)
		return;
	window_close(&lr->w);
	free(lr->w.buf);
	free(lr->files);
	free(lr);
}

u64 logr_gap(const struct logr *lr)
{
	return lr->gap;
}

static const char *cur_name(const struct logr *lr)
{
	return lr->files[lr->cur].name;
}

static int damaged(struct logr *lr, u32 file, u64 pos, const char *what, char *why,
		   size_t why_len)
{
	return disk_why(why, why_len, -EBADMSG, "%s/%s: damaged at offset %llu: %s",
			lr->d->log_path, lr->files[file].name, pos, what);
}

static int io_error(struct logr *lr, int rc, char *why, size_t why_len)
{
	return disk_why(why, why_len, rc, "cannot read %s/%s: %s", lr->d->log_path,
			cur_name(lr), strerror(-rc));
}

/*
 * Takes what is behind the last record off the newest file; one that has none goes
 * altogether, since its name is the next transaction's.
 */
static int cut(struct logr *lr, char *why, size_t why_len)
{
	const char *name = cur_name(lr);
	int fd, rc = 0;

	log_warn("%s/%s: cut off at offset %llu: unfinished write", lr->d->log_path,
		 name, lr->pos);
	if (lr->pos <= FILE_HEADER_LEN) {
		rc = unlinkat(lr->d->log_dfd, name, 0) ? -errno : 0;
	} else {
		fd = openat(lr->d->log_dfd, name, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || ftruncate(fd, lr->pos) || fdatasync(fd))
			rc = -errno;
		if (fd >= 0)
			close(fd);
	}
	if (rc)
		disk_why(why, why_len, rc, "cannot cut off the end of %s/%s: %s",
			 lr->d->log_path, name, strerror(-rc));
	return rc;
}

/* Whether the file has no records at all: its writer came no further than this. */
static int check_header(struct logr *lr, char *why, size_t why_len)
{
	static const u8 none[FILE_HEADER_LEN];
	size_t n = lr->w.size < FILE_HEADER_LEN ? lr->w.size : FILE_HEADER_LEN;
	const u8 *p = window_at(&lr->w, 0, n);
	char what[80];
	u8 magic[4];

	if (!p && n)
		return io_error(lr, lr->w.err, why, why_len);
	jute_put32(magic, LOG_MAGIC);
	if (n == FILE_HEADER_LEN && !memcmp(p, magic, 4)) {
		if (jute_get32(p + 4) == FILE_VERSION) {
			lr->end.headed = true;
			lr->end.dbid = jute_get64(p + 8);
			return 1;
		}
		snprintf(what, sizeof(what), "a log of version %d; this program reads version %d",
			 (s32)jute_get32(p + 4), FILE_VERSION);
		return disk_why(why, why_len, -EBADMSG, "%s/%s: %s (at offset 4)",
				lr->d->log_path, cur_name(lr), what);
	}
	if (!n || !memcmp(p, none, n) || (n < FILE_HEADER_LEN && n >= 4 && !memcmp(p, magic, 4)) ||
	    (n < 4 && !memcmp(p, magic, n)))
		return 0;
	return damaged(lr, lr->cur, 0, "not a transaction log", why, why_len);
}

/* Opens the next file: 1, or 0 when there is none. */
static int next_file(struct logr *lr, char *why, size_t why_len)
{
	int rc;

	while (lr->cur < lr->n) {
		rc = window_open(&lr->w, lr->d->log_dfd, cur_name(lr));
		if (rc)
			return io_error(lr, rc, why, why_len);
		lr->pos = FILE_HEADER_LEN;
		lr->repeated = false;
		lr->end = (struct logr_end){ .size = lr->w.size };
		rc = check_header(lr, why, why_len);
		if (rc)
			return rc;
		log_warn("%s/%s: has no records", lr->d->log_path, cur_name(lr));
		window_close(&lr->w);
		if (lr->repair && lr->cur == lr->n - 1 &&
		    unlinkat(lr->d->log_dfd, cur_name(lr), 0))
			return io_error(lr, -errno, why, why_len);
		lr->cur++;
	}
	return 0;
}

/* The place @pos has no valid record: goes on to the next file, or stops. */
static int file_end(struct logr *lr, char *why, size_t why_len)
{
	const char *what;
	bool newest = lr->cur == lr->n - 1;
	int end = log_check_end(&lr->w, lr->pos, lr->last, lr->d->p.max_txn_bytes, &what);

	if (end < 0)
		return io_error(lr, end, why, why_len);
	if (end == LOG_END_DAMAGED)
		return damaged(lr, lr->cur, lr->pos, what, why, why_len);
	lr->end.pos = lr->pos;
	lr->end.size = lr->w.size;
	lr->end.torn = end == LOG_END_TORN;
	window_close(&lr->w);
	if (end == LOG_END_TORN && !newest && !lr->torn) {
		lr->torn = true;
		lr->torn_file = lr->cur;
		lr->torn_pos = lr->pos;
	}
	if (newest && lr->repair &&
	    (end == LOG_END_TORN || lr->pos == FILE_HEADER_LEN)) {
		end = cut(lr, why, why_len);
		if (end)
			return end;
	}
	lr->cur++;
	return 0;
}

/* The valid record at the position: its bytes, or NULL if there is none. */
static const u8 *record(struct logr *lr, u32 *len)
{
	u64 left = lr->w.size - lr->pos;
	const u8 *p = window_at(&lr->w, lr->pos, RECORD_HEAD);
	u64 sum;

	if (!p || left == RECORD_HEAD)
		return NULL;
	sum = jute_get64(p);
	*len = jute_get32(p + 8);
	if (!*len || *len > left - RECORD_HEAD - 1)
		return NULL;
	if (lr->d->p.max_txn_bytes && *len > lr->d->p.max_txn_bytes)
		return NULL;
	p = window_at(&lr->w, lr->pos, RECORD_HEAD + (size_t)*len + 1);
	if (!p || p[RECORD_HEAD + *len] != RECORD_EOR ||
	    libdeflate_adler32(ADLER_INIT, p + RECORD_HEAD, *len) != sum)
		return NULL;
	return p + RECORD_HEAD;
}

/* Keeps the books of zxids: 1 to hand this one out, 0 to pass over it. */
static int account(struct logr *lr, u64 zxid, char *why, size_t why_len)
{
	u64 before = lr->last > lr->from ? lr->last : lr->from;

	if (lr->last && zxid <= lr->last) {
		if (!lr->repeated)
			log_warn("%s/%s: 0x%llx after 0x%llx: passed over",
				 lr->d->log_path, cur_name(lr), zxid,
				 lr->last);
		lr->repeated = true;
		return 0;
	}
	if (zxid > lr->from && !zxid_follows(before, zxid)) {
		if (lr->torn)
			return damaged(lr, lr->torn_file, lr->torn_pos,
				       "transactions are missing", why, why_len);
		if (!lr->gap)
			lr->gap = before + 1;
		disk_why(why, why_len, -EBADMSG,
			 "%s/%s: offset %llu has transaction 0x%llx, but the one before it is 0x%llx: what is between them is missing",
			 lr->d->log_path, cur_name(lr), lr->pos, zxid, before);
		if (!lr->gaps)
			return -EBADMSG;
		log_warn("%s", why);
	}
	lr->torn = false;
	lr->last = zxid;
	return zxid > lr->from;
}

/* 1: there is a record at the position; 0: the end of the last file. */
static int next_record(struct logr *lr, const u8 **p, u32 *len, char *why, size_t why_len)
{
	int rc;

	for (;;) {
		if (lr->w.fd < 0) {
			rc = next_file(lr, why, why_len);
			if (rc <= 0)
				return rc;
		}
		*p = record(lr, len);
		if (*p)
			return 1;
		if (lr->w.err)
			return io_error(lr, lr->w.err, why, why_len);
		rc = file_end(lr, why, why_len);
		if (rc)
			return rc;
	}
}

int logr_next(struct logr *lr, struct txn **txn, char *why, size_t why_len)
{
	const char *what = NULL;
	const u8 *p;
	u64 zxid;
	u32 len;
	int rc;

	while ((rc = next_record(lr, &p, &len, why, why_len)) == 1) {
		if (txn_peek_zxid(p, len, &zxid))
			return damaged(lr, lr->cur, lr->pos, "malformed transaction header",
				       why, why_len);
		rc = account(lr, zxid, why, why_len);
		if (rc < 0)
			return rc;
		if (rc) {
			rc = txn_decode(p, len, txn, &what);
			if (rc == -EBADMSG)
				return damaged(lr, lr->cur, lr->pos, what, why, why_len);
			if (rc)
				return disk_why(why, why_len, rc, "%s", what);
			rc = 1;
		}
		lr->pos += RECORD_HEAD + (u64)len + 1;
		if (rc)
			return 1;
	}
	return rc;
}

int logr_next_raw(struct logr *lr, const u8 **bytes, u32 *len, u64 *pos, char *why,
		  size_t why_len)
{
	int rc = next_record(lr, bytes, len, why, why_len);

	if (rc == 1) {
		*pos = lr->pos;
		lr->pos += RECORD_HEAD + (u64)*len + 1;
	}
	return rc;
}

int logr_bytes(struct logr *lr, u64 pos, size_t n, const u8 **bytes)
{
	int rc = 0;

	if (lr->w.fd < 0)
		rc = window_open(&lr->w, lr->d->log_dfd, lr->files[0].name);
	if (rc)
		return rc;
	*bytes = window_at(&lr->w, pos, n);
	return *bytes ? 0 : lr->w.err ? lr->w.err : -EIO;
}
