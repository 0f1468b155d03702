// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A snapshot, written: the form is described in snapread.c. Exact at one zxid, by
 * a thread of its own that reads a store snapshot; writes go on meanwhile. It comes
 * to be under its name only when it is whole and on the disk.
 *
 * The file's map of ACLs stands before the nodes. The writer keeps the ACLs that
 * the last snapshot had (they seldom change) and begins with those. When it then
 * meets others, they are numbered behind, and the nodes are in the end copied into
 * another file, behind a map that has them all. The tree is walked once; what was
 * packed stays so.
 */
#include <linux/types.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/disk/internal.h"

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
	char name[48];

	struct acl_map acls;	/* kept from one to the next */

	struct snap_out out;
	u32 mapped;		/* ACLs in the map written */

	u64 count, errors, last_zxid, last_ms;	/* relaxed */
	u64 newest;		/* zxid of the newest there is; ~0: none */
};

/* ---------------------------------------------------------------- its parts */

static int put_head(struct snapw *sw)
{
	struct snap_out *so = &sw->out;
	u32 i;
	int rc;

	rc = sout_int(so, SNAP_MAGIC);
	if (!rc)
		rc = sout_int(so, FILE_VERSION);
	if (!rc)
		rc = sout_long(so, -1);
	if (!rc)
		rc = sout_int(so, sw->n_sessions);
	for (i = 0; i < sw->n_sessions && !rc; i++) {
		rc = sout_long(so, sw->sessions[i].id);
		if (!rc)
			rc = sout_int(so, sw->sessions[i].timeout);
	}
	if (!rc)
		rc = sout_int(so, sw->acls.n);
	for (i = 0; i < sw->acls.n && !rc; i++) {
		rc = sout_long(so, i + 1);
		if (!rc)
			rc = sout_bytes(so, sw->acls.acls[i].jute, sw->acls.acls[i].len);
	}
	sw->mapped = sw->acls.n;
	return rc ? rc : sout_flush(so);
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
	struct snapw *sw = arg;
	s64 acl;
	int rc = acl_number(sw, rec, &acl);

	return rc ? rc : sout_node(&sw->out, rec, acl);
}

/* The end mark, the digest (none of a tree that has seen no transaction), seals. */
static int put_tail(struct snapw *sw)
{
	int rc = sout_nodes_end(&sw->out);

	if (!rc)
		rc = sout_digest(&sw->out, sw->zxid, DIGEST_VERSION, sw->zxid ? sw->digest : 0);
	return rc ? rc : sout_flush(&sw->out);
}

/* ---------------------------------------------------------------- the file */

static int open_tmp(struct snapw *sw, const char *tmp)
{
	int fd = openat(sw->d->snap_dfd, tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int rc;

	if (fd < 0)
		return -errno;
	rc = sout_begin(&sw->out, fd);
	if (rc)
		close(fd);
	return rc;
}

/* The nodes as they were written, for another file behind another map. */
struct nodes_done {
	u64 at;			/* in the file, packed */
	u64 bytes;
	u64 plain;
	u32 sum;
};

/* Begins anew with the whole map; the nodes come from the file written so far. */
static int put_again(struct snapw *sw, const char *tmp, const struct nodes_done *nodes)
{
	int old = sw->out.fd, rc;

	if (unlinkat(sw->d->snap_dfd, tmp, 0)) {
		rc = -errno;
		goto out;
	}
	rc = open_tmp(sw, tmp);
	if (rc) {
		sw->out.fd = old;
		return rc;
	}
	rc = put_head(sw);
	if (!rc)
		rc = sout_copy(&sw->out, old, nodes->at, nodes->bytes);
	sw->out.sum = adler32_combine(sw->out.sum, nodes->sum, nodes->plain);
out:
	if (old != sw->out.fd)
		close(old);
	return rc;
}

static int put_all(struct snapw *sw, const char *tmp)
{
	struct snap_out *so = &sw->out;
	struct nodes_done nodes;
	u32 head_sum, i;
	int rc;

	for (i = 0; i < sw->acls.n; i++)
		sw->acls.acls[i].used = false;
	rc = put_head(sw);
	if (rc)
		return rc;
	nodes.at = so->written;
	nodes.plain = so->plain;
	head_sum = so->sum;
	so->sum = ADLER_INIT;
	rc = sw->st->ops->snap_each(sw->snap, "/", 1, put_node, sw);
	if (!rc)
		rc = sout_flush(so);
	if (rc)
		return rc;
	nodes.bytes = so->written - nodes.at;
	nodes.plain = so->plain - nodes.plain;
	nodes.sum = so->sum;
	if (sw->mapped == sw->acls.n)
		so->sum = adler32_combine(head_sum, nodes.sum, nodes.plain);
	else
		rc = put_again(sw, tmp, &nodes);
	return rc ? rc : put_tail(sw);
}

static int write_file(struct snapw *sw, const char *tmp)
{
	int rc, dfd = sw->d->snap_dfd;

	rc = sout_init(&sw->out, sw->d->p.packed);
	if (rc)
		return rc;
	rc = open_tmp(sw, tmp);
	if (rc)
		goto out;
	rc = put_all(sw, tmp);
	if (!rc && fsync(sw->out.fd))
		rc = -errno;
	if (close(sw->out.fd) && !rc)
		rc = -errno;
	if (!rc && renameat(dfd, tmp, dfd, sw->name))
		rc = -errno;
	if (rc)
		unlinkat(dfd, tmp, 0);
	else if (fsync(dfd))
		rc = -errno;
out:
	sout_free(&sw->out);
	return rc;
}

/* Behind the body: the seal of the nodes, the digest and its seal. */
#define TAIL_LEN	(13 + 20 + 13)

int snapw_spool(struct disk *d, struct store *st, struct store_snap *snap,
		const struct disk_session *s, u32 n_sessions, int *fd, u64 *from, u64 *to)
{
	struct snapw sw = {
		.d = d, .st = st, .snap = snap,
		.sessions = (struct disk_session *)s, .n_sessions = n_sessions,
	};
	static u32 serial;
	char tmp[64];
	int rc;

	snprintf(tmp, sizeof(tmp), ".snapshot.spool.%u.tmp",
		 __atomic_add_fetch(&serial, 1, __ATOMIC_RELAXED));
	rc = sout_init(&sw.out, FILE_PLAIN);
	if (rc)
		return rc;
	acl_map_seed(&sw.acls, st);
	rc = open_tmp(&sw, tmp);
	if (rc)
		goto out;
	rc = put_all(&sw, tmp);
	unlinkat(d->snap_dfd, tmp, 0);
	*from = FILE_HEADER_LEN;
	*to = sw.out.written - TAIL_LEN;
	*fd = sw.out.fd;
	if (rc)
		close(sw.out.fd);
out:
	acl_map_free(&sw.acls);
	sout_free(&sw.out);
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
	snprintf(sw->name, sizeof(sw->name), "snapshot.%llx%s", sw->zxid,
		 pack_ending(sw->d->p.packed));
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
	if (rc) {
		__atomic_add_fetch(&sw->errors, 1, __ATOMIC_RELAXED);
		return rc;
	}
	acl_map_sweep(&sw->acls);
	ms = now_ms() - t0;
	log_info("wrote %s/%s: %llu nodes, %llu bytes in %llu ms",
		 sw->d->snap_path, sw->name, sw->nodes, sw->out.written,
		 ms);
	metric_add(METRIC_snapshottime, ms);
	__atomic_store_n(&sw->last_zxid, sw->zxid, __ATOMIC_RELAXED);
	snapw_found(sw, sw->zxid);
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

u64 snapw_zxid(const struct snapw *sw)
{
	return __atomic_load_n(&sw->newest, __ATOMIC_RELAXED);
}

void snapw_found(struct snapw *sw, u64 zxid)
{
	__atomic_store_n(&sw->newest, zxid, __ATOMIC_RELAXED);
}

void snapw_stats(struct snapw *sw, struct disk_stats *s)
{
	s->snapshot_errors = __atomic_load_n(&sw->errors, __ATOMIC_RELAXED);
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
	sw->newest = ~0ULL;
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
