// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A snapshot, written: the form is described in snapread.c. Exact at one zxid, by
 * a thread of its own that reads a store snapshot; writes go on meanwhile. It comes
 * to be under its name only when it is whole and on the disk.
 *
 * The file's map of ACLs stands before the nodes. The writer keeps the ACLs that
 * the last snapshot had (they seldom change) and begins with those. When it then
 * meets others, they are numbered behind, and the nodes are in the end copied into
 * another file, behind a map that has them all. The tree is walked once.
 */
#include <linux/types.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>
#include <libdeflate.h>
#include <zlib.h>

#include "daemon/base/log.h"
#include "daemon/disk/internal.h"

#define OUT_BUF		(1024 * 1024)
#define WRITEBACK	(8 * 1024 * 1024)	/* begin writing back so often */
#define ACL_OPEN	(-1LL)

struct snapw {
	struct disk *d;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t done;
	bool running;		/* under @lock */
	bool joinable;		/* the core thread's */

	/* of the snapshot being written */
	struct store *st;
	struct store_snap *snap;
	u64 zxid, digest, nodes;
	struct disk_session *sessions;
	u32 n_sessions;
	char name[40];

	struct acl_map acls;	/* kept from one to the next */

	/* the file */
	int fd;
	u8 *buf;
	size_t len;
	uLong sum;
	u64 written, flushed;
	u32 mapped;		/* ACLs in the map written */

	u64 count, last_zxid, last_ms;	/* relaxed */
};

/* ---------------------------------------------------------------- the stream */

static int out_flush(struct snapw *sw)
{
	const u8 *p = sw->buf;
	size_t n = sw->len;
	ssize_t w;

	sw->sum = libdeflate_adler32(sw->sum, p, n);
	for (; n; p += w, n -= w) {
		w = write(sw->fd, p, n);
		if (w < 0 && errno == EINTR)
			w = 0;
		else if (w < 0)
			return -errno;
	}
	sw->written += sw->len;
	sw->len = 0;
	if (sw->written - sw->flushed >= WRITEBACK) {
		sync_file_range(sw->fd, sw->flushed, sw->written - sw->flushed,
				SYNC_FILE_RANGE_WRITE);
		sw->flushed = sw->written;
	}
	return 0;
}

static int out_bytes(struct snapw *sw, const void *bytes, size_t n)
{
	const u8 *p = bytes;
	size_t part;
	int rc;

	while (n) {
		if (sw->len == OUT_BUF) {
			rc = out_flush(sw);
			if (rc)
				return rc;
		}
		part = OUT_BUF - sw->len < n ? OUT_BUF - sw->len : n;
		memcpy(sw->buf + sw->len, p, part);
		sw->len += part;
		p += part;
		n -= part;
	}
	return 0;
}

static int out_int(struct snapw *sw, s32 v)
{
	u8 b[4];

	jute_put32(b, v);
	return out_bytes(sw, b, sizeof(b));
}

static int out_long(struct snapw *sw, s64 v)
{
	u8 b[8];

	jute_put64(b, v);
	return out_bytes(sw, b, sizeof(b));
}

static int out_str(struct snapw *sw, const void *p, s32 len)
{
	int rc = out_int(sw, len);

	return rc || len <= 0 ? rc : out_bytes(sw, p, len);
}

static int out_seal(struct snapw *sw)
{
	int rc = out_flush(sw);

	if (!rc)
		rc = out_long(sw, sw->sum);
	return rc ? rc : out_str(sw, "/", 1);
}

/* ---------------------------------------------------------------- its parts */

static int put_head(struct snapw *sw)
{
	u32 i;
	int rc;

	rc = out_int(sw, SNAP_MAGIC);
	if (!rc)
		rc = out_int(sw, FILE_VERSION);
	if (!rc)
		rc = out_long(sw, -1);
	if (!rc)
		rc = out_int(sw, sw->n_sessions);
	for (i = 0; i < sw->n_sessions && !rc; i++) {
		rc = out_long(sw, sw->sessions[i].id);
		if (!rc)
			rc = out_int(sw, sw->sessions[i].timeout);
	}
	if (!rc)
		rc = out_int(sw, sw->acls.n);
	for (i = 0; i < sw->acls.n && !rc; i++) {
		rc = out_long(sw, i + 1);
		if (!rc)
			rc = out_bytes(sw, sw->acls.acls[i].jute, sw->acls.acls[i].len);
	}
	sw->mapped = sw->acls.n;
	return rc ? rc : out_flush(sw);
}

/* The number of the node's ACL in the map; learns those that are not there. */
static int acl_number(struct snapw *sw, const struct store_rec *rec, s64 *number)
{
	struct acl_map_entry *a;
	int rc;

	*number = ACL_OPEN;
	if (rec->acl_len == TXN_OPEN_ACL_LEN &&
	    !memcmp(rec->acl, txn_open_acl, TXN_OPEN_ACL_LEN))
		return 0;
	a = acl_map_find(&sw->acls, rec->node.acl_id);
	if (!a) {
		rc = acl_map_add(&sw->acls, rec->node.acl_id, rec->acl, rec->acl_len);
		if (rc)
			return rc;
		a = &sw->acls.acls[sw->acls.n - 1];
	}
	a->used = true;
	*number = a - sw->acls.acls + 1;
	return 0;
}

static int put_node(void *arg, const struct store_rec *rec)
{
	const struct zk_stat *st = &rec->node.stat;
	struct snapw *sw = arg;
	u32 path_len = rec->path_len == 1 ? 0 : rec->path_len;
	u8 b[68];
	s64 acl;
	int rc;

	rc = acl_number(sw, rec, &acl);
	if (rc)
		return rc;
	jute_put64(b, acl);
	jute_put64(b + 8, st->czxid);
	jute_put64(b + 16, st->mzxid);
	jute_put64(b + 24, st->ctime);
	jute_put64(b + 32, st->mtime);
	jute_put32(b + 40, st->version);
	jute_put32(b + 44, st->cversion);
	jute_put32(b + 48, st->aversion);
	jute_put64(b + 52, st->owner);
	jute_put64(b + 60, st->pzxid);
	rc = out_str(sw, rec->path, path_len);
	if (!rc)
		rc = out_str(sw, rec->data, rec->node.data_len);
	return rc ? rc : out_bytes(sw, b, sizeof(b));
}

/* The end mark, the digest (none of a tree that has seen no transaction), seals. */
static int put_tail(struct snapw *sw)
{
	int rc = out_str(sw, "/", 1);

	if (!rc)
		rc = out_seal(sw);
	if (!rc)
		rc = out_long(sw, sw->zxid);
	if (!rc)
		rc = out_int(sw, DIGEST_VERSION);
	if (!rc)
		rc = out_long(sw, sw->zxid ? sw->digest : 0);
	if (!rc)
		rc = out_seal(sw);
	return rc ? rc : out_flush(sw);
}

/* ---------------------------------------------------------------- the file */

static int open_tmp(struct snapw *sw, const char *tmp)
{
	sw->fd = openat(sw->d->snap_dfd, tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (sw->fd < 0)
		return -errno;
	sw->len = 0;
	sw->written = 0;
	sw->flushed = 0;
	sw->sum = ADLER_INIT;
	return 0;
}

/* The nodes of @from, behind @skip, to the end of the file being written. */
static int copy_nodes(struct snapw *sw, int from, u64 skip, u64 bytes)
{
	off_t at = skip;
	ssize_t n;

	while (bytes) {
		n = sendfile(sw->fd, from, &at, bytes < WRITEBACK ? bytes : WRITEBACK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		bytes -= n;
		sw->written += n;
		sync_file_range(sw->fd, sw->flushed, sw->written - sw->flushed,
				SYNC_FILE_RANGE_WRITE);
		sw->flushed = sw->written;
	}
	return 0;
}

/* Begins anew with the whole map; the nodes come from the file written so far. */
static int put_again(struct snapw *sw, const char *tmp, u64 head, u64 nodes, uLong nodes_sum)
{
	int old = sw->fd, rc;

	if (unlinkat(sw->d->snap_dfd, tmp, 0)) {
		rc = -errno;
		goto out;
	}
	rc = open_tmp(sw, tmp);
	if (rc) {
		sw->fd = old;
		return rc;
	}
	rc = put_head(sw);
	if (!rc)
		rc = copy_nodes(sw, old, head, nodes);
	sw->sum = adler32_combine(sw->sum, nodes_sum, nodes);
out:
	if (old != sw->fd)
		close(old);
	return rc;
}

static int put_all(struct snapw *sw, const char *tmp)
{
	uLong head_sum, nodes_sum;
	u64 head, nodes;
	u32 i;
	int rc;

	for (i = 0; i < sw->acls.n; i++)
		sw->acls.acls[i].used = false;
	rc = put_head(sw);
	if (rc)
		return rc;
	head = sw->written;
	head_sum = sw->sum;
	sw->sum = ADLER_INIT;
	rc = sw->st->ops->snap_each(sw->snap, "/", 1, put_node, sw);
	if (!rc)
		rc = out_flush(sw);
	if (rc)
		return rc;
	nodes = sw->written - head;
	nodes_sum = sw->sum;
	if (sw->mapped == sw->acls.n)
		sw->sum = adler32_combine(head_sum, nodes_sum, nodes);
	else
		rc = put_again(sw, tmp, head, nodes, nodes_sum);
	return rc ? rc : put_tail(sw);
}

static int write_file(struct snapw *sw, const char *tmp)
{
	int rc, dfd = sw->d->snap_dfd;

	sw->buf = malloc(OUT_BUF);
	if (!sw->buf)
		return -ENOMEM;
	rc = open_tmp(sw, tmp);
	if (rc)
		goto out;
	rc = put_all(sw, tmp);
	if (!rc && fsync(sw->fd))
		rc = -errno;
	if (close(sw->fd) && !rc)
		rc = -errno;
	if (!rc && renameat(dfd, tmp, dfd, sw->name))
		rc = -errno;
	if (rc)
		unlinkat(dfd, tmp, 0);
	else if (fsync(dfd))
		rc = -errno;
out:
	free(sw->buf);
	sw->buf = NULL;
	return rc;
}

/* ---------------------------------------------------------------- the whole */

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* Takes the picture; the caller's thread. */
static int begin(struct snapw *sw, struct store *st, const struct disk_session *s,
		 u32 n_sessions)
{
	int rc;

	sw->sessions = malloc(((size_t)n_sessions + 1) * sizeof(*s));
	if (!sw->sessions)
		return -ENOMEM;
	if (n_sessions)
		memcpy(sw->sessions, s, (size_t)n_sessions * sizeof(*s));
	sw->n_sessions = n_sessions;
	sw->st = st;
	acl_map_seed(&sw->acls, st);
	rc = st->ops->snap_open(st, &sw->snap, &sw->zxid, &sw->digest, &sw->nodes);
	if (rc) {
		free(sw->sessions);
		sw->sessions = NULL;
	}
	snprintf(sw->name, sizeof(sw->name), "snapshot.%llx", sw->zxid);
	return rc;
}

static int finish(struct snapw *sw)
{
	u64 t0 = now_ms(), ms;
	char tmp[64];
	int rc;

	snprintf(tmp, sizeof(tmp), ".%s.tmp", sw->name);
	rc = write_file(sw, tmp);
	sw->st->ops->snap_close(sw->snap);
	free(sw->sessions);
	sw->sessions = NULL;
	if (rc)
		return rc;
	acl_map_sweep(&sw->acls);
	ms = now_ms() - t0;
	log_info("wrote %s/%s: %llu nodes, %llu bytes in %llu ms",
		 sw->d->snap_path, sw->name, sw->nodes, sw->written,
		 ms);
	__atomic_store_n(&sw->last_zxid, sw->zxid, __ATOMIC_RELAXED);
	__atomic_store_n(&sw->last_ms, ms, __ATOMIC_RELAXED);
	__atomic_add_fetch(&sw->count, 1, __ATOMIC_RELAXED);
	return 0;
}

static void *snap_main(void *arg)
{
	struct snapw *sw = arg;
	int rc;

	store_thread_init();
	rc = finish(sw);
	if (rc)
		log_error("cannot write snapshot %s/%s: %s", sw->d->snap_path, sw->name,
			  strerror(-rc));
	store_thread_exit();
	pthread_mutex_lock(&sw->lock);
	sw->running = false;
	pthread_cond_broadcast(&sw->done);
	pthread_mutex_unlock(&sw->lock);
	return NULL;
}

static void join(struct snapw *sw)
{
	if (sw->joinable)
		pthread_join(sw->thread, NULL);
	sw->joinable = false;
}

int snapw_start(struct snapw *sw, struct store *st, const struct disk_session *s,
		u32 n_sessions)
{
	bool running;
	int rc;

	pthread_mutex_lock(&sw->lock);
	running = sw->running;
	pthread_mutex_unlock(&sw->lock);
	if (running)
		return -EBUSY;
	join(sw);
	rc = begin(sw, st, s, n_sessions);
	if (rc)
		return rc;
	sw->running = true;
	rc = pthread_create(&sw->thread, NULL, snap_main, sw);
	if (rc) {
		sw->running = false;
		st->ops->snap_close(sw->snap);
		free(sw->sessions);
		sw->sessions = NULL;
		return -rc;
	}
	sw->joinable = true;
	return 0;
}

int snapw_write_now(struct snapw *sw, struct store *st, const struct disk_session *s,
		    u32 n_sessions, char *why, size_t why_len)
{
	int rc = begin(sw, st, s, n_sessions);

	if (!rc)
		rc = finish(sw);
	if (rc)
		disk_why(why, why_len, rc, "cannot write snapshot %s/%s: %s", sw->d->snap_path,
			 sw->name, strerror(-rc));
	return rc;
}

void snapw_wait(struct snapw *sw)
{
	pthread_mutex_lock(&sw->lock);
	while (sw->running)
		pthread_cond_wait(&sw->done, &sw->lock);
	pthread_mutex_unlock(&sw->lock);
}

void snapw_stats(struct snapw *sw, struct disk_stats *s)
{
	s->snapshots = __atomic_load_n(&sw->count, __ATOMIC_RELAXED);
	s->last_snapshot_zxid = __atomic_load_n(&sw->last_zxid, __ATOMIC_RELAXED);
	s->last_snapshot_ms = __atomic_load_n(&sw->last_ms, __ATOMIC_RELAXED);
}

int snapw_new(struct disk *d, struct snapw **out)
{
	struct snapw *sw = calloc(1, sizeof(*sw));

	if (!sw)
		return -ENOMEM;
	sw->d = d;
	pthread_mutex_init(&sw->lock, NULL);
	pthread_cond_init(&sw->done, NULL);
	*out = sw;
	return 0;
}

void snapw_free(struct snapw *sw)
{
	join(sw);
	acl_map_free(&sw->acls);
	pthread_cond_destroy(&sw->done);
	pthread_mutex_destroy(&sw->lock);
	free(sw);
}
