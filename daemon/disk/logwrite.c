// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The log thread: it alone touches the open log file. Others hand it transactions
 * through a queue (base/queue.h), to which adding cannot fail; ->rolls of one says
 * that it begins a new file. The core thread adds all that a round of it brings and
 * then wakes the log thread once, so that a round is a group.
 *
 * The thread takes from the queue under the mutex, as whoever drops what is queued
 * does: what was added before disk_retry() is never written after it.
 *
 * A group is what was queued, up to LOG_GROUP_MAX bytes: one or a few pwrite()s and
 * one fdatasync(), then @durable. A group never spans two files, so what is in a
 * file was durable before the next one came to be.
 *
 * The file grows as FilePadding's does: by prealloc_bytes whenever the end is
 * nearer than 4 KiB.
 *
 * When a write fails for want of room the file is taken back to the last durable
 * record, @failed is called once, and everything queued is dropped until
 * disk_retry(); the same when a new file cannot be opened. When that cannot be done,
 * a write failed otherwise, or fdatasync() did (the kernel then forgets which pages
 * it did not write), the log is closed for good.
 */
#include <linux/types.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <libdeflate.h>

#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/base/queue.h"
#include "daemon/disk/internal.h"

#define CHUNK		(256 * 1024)	/* bytes to gather before a write */
#define PAD_NEAR	4096
#define PAD_AGAIN	1024		/* groups before padding is tried again */
#define KICK_EVERY	256		/* transactions added without waking */

struct logw {
	struct queue queue;		/* of struct txn, a reference each */
	struct disk *d;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t done;		/* others: the queue was emptied */
	void (*durable)(void *arg, u64 zxid);
	void (*failed)(void *arg, int err, const char *text);
	void *arg;

	/* under @lock */
	bool running;
	bool busy;
	int err;			/* 0, or why nothing is taken */
	bool broken;			/* for good */

	bool stop;			/* atomic */
	bool roll_next;			/* atomic: the next one appended rolls */
	u32 unkicked;			/* atomic: added since it was woken last */

	/* the thread's */
	int fd;
	bool fresh;			/* the directory does not have it for sure yet */
	char name[40];
	u64 pos;			/* end of the last record written */
	u64 good;			/* end of the last durable record */
	u64 size;			/* of the file, padding and all */
	u32 pad_wait;
	u64 last;			/* zxid written last */
	u8 *buf;
	size_t len;

	/* relaxed, read by all */
	u64 bytes, fsyncs, fsync_ns, fsync_max, slow, errors;
	/* appended since the last snapshot */
	u64 since_txns, since_bytes;
	u64 rand;
};

/* ---------------------------------------------------------------- the file */

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void add_relaxed(u64 *v, u64 n)
{
	__atomic_store_n(v, __atomic_load_n(v, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static int write_at(int fd, const u8 *p, size_t n, u64 pos)
{
	ssize_t w;

	for (; n; p += w, n -= w, pos += w) {
		w = pwrite(fd, p, n, pos);
		if (w < 0 && errno == EINTR)
			w = 0;
		else if (w < 0)
			return -errno;
	}
	return 0;
}

/*
 * FilePadding.calculateFileSizeWithPadding, and for all that is @coming. Padding is
 * a convenience: where there is no room for it, records are written as long as there
 * is room for them.
 */
static void pad(struct logw *lw, size_t coming)
{
	u64 step = lw->d->p.prealloc_bytes, size = lw->size;

	if (!step || lw->pos + coming + PAD_NEAR < size)
		return;
	if (lw->pad_wait) {
		lw->pad_wait--;
		return;
	}
	if (lw->pos + PAD_NEAR >= size)
		size += step;
	while (lw->pos + coming + PAD_NEAR >= size)
		size += step;
	if (fallocate(lw->fd, 0, lw->size, size - lw->size) == 0) {
		lw->size = size;
	} else if (errno == EOPNOTSUPP && !ftruncate(lw->fd, size)) {
		lw->size = size;
	} else {
		lw->pad_wait = PAD_AGAIN;
		if (ftruncate(lw->fd, lw->size))
			log_warn("%s/%s: %s", lw->d->log_path, lw->name, strerror(errno));
	}
}

static int write_out(struct logw *lw)
{
	int rc = 0;

	if (lw->len) {
		rc = write_at(lw->fd, lw->buf, lw->len, lw->pos);
		if (!rc)
			lw->pos += lw->len;
		if (lw->pos > lw->size)
			lw->size = lw->pos;
		lw->len = 0;
	}
	return rc;
}

static int put(struct logw *lw, const void *p, size_t n)
{
	int rc;

	if (lw->len + n > CHUNK) {
		rc = write_out(lw);
		if (rc)
			return rc;
		if (n > CHUNK / 2) {
			rc = write_at(lw->fd, p, n, lw->pos);
			if (!rc)
				lw->pos += n;
			if (lw->pos > lw->size)
				lw->size = lw->pos;
			return rc;
		}
	}
	memcpy(lw->buf + lw->len, p, n);
	lw->len += n;
	return 0;
}

static int open_file(struct logw *lw, u64 zxid)
{
	u8 h[FILE_HEADER_LEN];
	int rc;

	snprintf(lw->name, sizeof(lw->name), "log.%llx", zxid);
	lw->fd = openat(lw->d->log_dfd, lw->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (lw->fd < 0)
		return -errno;
	lw->pos = 0;
	lw->good = 0;
	lw->size = 0;
	lw->pad_wait = 0;
	lw->fresh = true;
	log_file_header(h, 0);
	rc = put(lw, h, sizeof(h));
	return rc ? rc : write_out(lw);
}

static void close_file(struct logw *lw)
{
	if (lw->fd >= 0)
		close(lw->fd);
	lw->fd = -1;
	lw->len = 0;
}

static u64 record_size(const struct txn *t)
{
	return RECORD_HEAD + (u64)t->len + 1;
}

void log_record_head(u8 h[RECORD_HEAD], const void *bytes, u32 len)
{
	jute_put64(h, libdeflate_adler32(ADLER_INIT, bytes, len));
	jute_put32(h + 8, len);
}

static int put_record(struct logw *lw, const struct txn *t)
{
	static const u8 eor = RECORD_EOR;
	u8 h[RECORD_HEAD];
	int rc;

	log_record_head(h, t->bytes, t->len);
	rc = put(lw, h, sizeof(h));
	if (!rc)
		rc = put(lw, t->bytes, t->len);
	return rc ? rc : put(lw, &eor, 1);
}

/* Makes what was written durable; @broke: not known what is on the disk now. */
static int sync_file(struct logw *lw, bool *broke)
{
	u64 t0 = now_ns(), ns;

	if (lw->d->p.fsync) {
		if (fdatasync(lw->fd) || (lw->fresh && fsync(lw->d->log_dfd))) {
			*broke = true;
			return -errno;
		}
	}
	ns = now_ns() - t0;
	metric_add(METRIC_fsynctime, ns / 1000000);
	metric_add(METRIC_sync_processor_queue_flush_time_ms, ns / 1000000);
	lw->fresh = false;
	lw->good = lw->pos;
	add_relaxed(&lw->fsyncs, 1);
	add_relaxed(&lw->fsync_ns, ns);
	if (ns > __atomic_load_n(&lw->fsync_max, __ATOMIC_RELAXED))
		__atomic_store_n(&lw->fsync_max, ns, __ATOMIC_RELAXED);
	if (lw->d->p.fsync && ns / 1000000 > lw->d->p.fsync_warn_ms) {
		add_relaxed(&lw->slow, 1);
		log_ratelimited(LOG_WARN,
				"%s/%s: fdatasync took %llu ms (fsync.warningthresholdms=%u): writes wait for it",
				lw->d->log_path, lw->name, ns / 1000000,
				lw->d->p.fsync_warn_ms);
	}
	return 0;
}

/* Writes [from, to) to the open file. */
static int write_group(struct logw *lw, const struct txn *from, const struct txn *to,
		       u64 bytes, bool *broke)
{
	int rc;

	pad(lw, bytes);
	for (; from != to; from = from->next) {
		rc = put_record(lw, from);
		if (rc)
			return rc;
	}
	rc = write_out(lw);
	if (!rc)
		rc = sync_file(lw, broke);
	if (!rc)
		add_relaxed(&lw->bytes, bytes);
	return rc;
}

/* Takes the file back to its last durable record. */
static int take_back(struct logw *lw)
{
	int rc = 0;

	lw->len = 0;
	if (lw->fd < 0)
		return 0;
	if (lw->good <= FILE_HEADER_LEN) {
		close_file(lw);
		return unlinkat(lw->d->log_dfd, lw->name, 0) ? -errno : 0;
	}
	if (ftruncate(lw->fd, lw->good) || fdatasync(lw->fd))
		rc = -errno;
	lw->pos = lw->good;
	lw->size = lw->good;
	lw->pad_wait = 0;
	return rc;
}

/* ---------------------------------------------------------------- the thread */

/* Drops the list up to @end (NULL: all of it); returns what is left. */
static struct txn *put_all(struct txn *t, const struct txn *end)
{
	struct txn *next;

	for (; t != end; t = next) {
		next = t->next;
		txn_put(t);
	}
	return t;
}

static void fail(struct logw *lw, int rc, bool broke)
{
	char text[PATH_MAX + 256];
	bool room = lw->fd < 0 || rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG;

	if (!broke)
		broke = !room || take_back(lw);
	add_relaxed(&lw->errors, 1);
	snprintf(text, sizeof(text), "cannot write to the transaction log %s/%s: %s%s",
		 lw->d->log_path, lw->name, strerror(-rc),
		 broke ? "; it is not trusted any more: no writes until a new start" :
		 "; no writes until there is room");
	log_error("%s", text);
	if (broke)
		close_file(lw);
	pthread_mutex_lock(&lw->lock);
	lw->err = rc;
	lw->broken = broke;
	put_all(queue_take(&lw->queue), NULL);
	pthread_mutex_unlock(&lw->lock);
	lw->failed(lw->arg, -rc, text);
}

/* Where the group that begins at @from ends; its bytes and last zxid. */
static struct txn *group_end(struct txn *from, u64 *bytes, u64 *last)
{
	struct txn *t = from;

	*bytes = 0;
	do {
		*bytes += record_size(t);
		*last = t->zxid;
		t = t->next;
	} while (t && !t->rolls && *bytes + record_size(t) <= LOG_GROUP_MAX);
	return t;
}

static int one_group(struct logw *lw, const struct txn *from, const struct txn *to,
		     u64 bytes, bool *broke)
{
	int rc = 0;

	if (from->rolls || (lw->d->p.log_bytes_max && lw->pos > lw->d->p.log_bytes_max))
		close_file(lw);
	if (lw->fd < 0)
		rc = open_file(lw, from->zxid);
	return rc ? rc : write_group(lw, from, to, bytes, broke);
}

static s64 wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* SyncRequestProcessor's figures of a group: how long its transactions were under way
 * when it began and when it was durable, by the time in their headers; and those of
 * AckRequestProcessor and SendAckRequestProcessor, if @acks. */
static void count_group(const struct txn *t, const struct txn *end, s64 began, bool acks)
{
	struct metric_run acked = { .s = METRIC_proposal_ack_creation_latency };
	struct metric_run queued = { .s = METRIC_sync_processor_queue_time_ms };
	struct metric_run all = { .s = METRIC_sync_processor_queue_and_flush_time_ms };
	s64 now = wall_ms();
	u64 n = 0;

	for (; t != end; t = t->next, n++) {
		metric_run_add(&queued, began > t->time ? began - t->time : 0);
		metric_run_add(&all, now > t->time ? now - t->time : 0);
		if (acks && now >= t->time)
			metric_run_add(&acked, now - t->time);
	}
	metric_run_end(&acked);
	metric_run_end(&queued);
	metric_run_end(&all);
	metric_count(METRIC_sync_processor_request_queued, n);
	metric_add(METRIC_sync_processor_batch_size, n);
	metric_add(METRIC_sync_process_time, now > began ? now - began : 0);
}

static void count_queue(const struct txn *t)
{
	u64 n = 0;

	for (; t; t = t->next)
		n++;
	metric_add(METRIC_sync_processor_queue_size, n);
}

static void work_off(struct logw *lw, struct txn *t)
{
	bool broke = false;
	u64 bytes, last;
	struct txn *to;
	int rc = 0;

	count_queue(t);
	while (t && !rc) {
		s64 began = wall_ms();

		to = group_end(t, &bytes, &last);
		rc = one_group(lw, t, to, bytes, &broke);
		if (!rc) {
			lw->last = last;
			count_group(t, to, began,
				    __atomic_load_n(&lw->d->count_acks, __ATOMIC_RELAXED));
			lw->durable(lw->arg, last);
		}
		t = put_all(t, to);
	}
	put_all(t, NULL);
	if (rc)
		fail(lw, rc, broke);
}

/* What is to be written now, or NULL; then whoever waits for that is told. */
static struct txn *take(struct logw *lw)
{
	struct txn *t;

	pthread_mutex_lock(&lw->lock);
	t = queue_take(&lw->queue);
	if (lw->err)
		t = put_all(t, NULL);
	lw->busy = t;
	if (!t)
		pthread_cond_broadcast(&lw->done);
	pthread_mutex_unlock(&lw->lock);
	return t;
}

static bool stopping(const struct logw *lw)
{
	return __atomic_load_n(&lw->stop, __ATOMIC_SEQ_CST);
}

static void wait_for_work(struct logw *lw)
{
	struct pollfd fd = { .fd = queue_fd(&lw->queue), .events = POLLIN };

	if (!queue_may_sleep(&lw->queue))
		return;
	if (!stopping(lw))
		poll(&fd, 1, ROOM_IDLE_MS);
	queue_awake(&lw->queue);
}

static void *log_main(void *arg)
{
	struct logw *lw = arg;
	struct txn *t;
	bool stop;

	store_thread_init();
	for (;;) {
		/* in this order: what was appended before the end is written */
		stop = stopping(lw);
		t = take(lw);
		room_look(lw->d);
		if (t)
			work_off(lw, t);
		else if (stop)
			break;
		else
			wait_for_work(lw);
	}
	store_thread_exit();
	return NULL;
}

/* ---------------------------------------------------------------- the others */

void disk_append_later(struct disk *d, struct txn *txn)
{
	struct logw *lw = d->log;

	add_relaxed(&lw->since_txns, 1);
	add_relaxed(&lw->since_bytes, record_size(txn));
	txn->rolls = __atomic_load_n(&lw->roll_next, __ATOMIC_RELAXED);
	if (txn->rolls)
		__atomic_store_n(&lw->roll_next, false, __ATOMIC_RELAXED);
	queue_add(&lw->queue, txn_get(txn));
	if (__atomic_add_fetch(&lw->unkicked, 1, __ATOMIC_RELAXED) == KICK_EVERY)
		disk_kick(d);
}

void disk_kick(struct disk *d)
{
	struct logw *lw = d->log;

	if (!__atomic_load_n(&lw->unkicked, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&lw->unkicked, 0, __ATOMIC_RELAXED);
	queue_kick(&lw->queue);
}

void disk_append(struct disk *d, struct txn *txn)
{
	disk_append_later(d, txn);
	disk_kick(d);
}

void logw_roll(struct logw *lw)
{
	__atomic_store_n(&lw->since_txns, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&lw->since_bytes, 0, __ATOMIC_RELAXED);
	lw->rand = lw->rand * 6364136223846793005ULL + 1442695040888963407ULL;
	__atomic_store_n(&lw->roll_next, true, __ATOMIC_RELAXED);
}

/*
 * SyncRequestProcessor.shouldSnapshot: half of the bound, and a part of the other
 * half by chance, so that an ensemble's servers don't all do it at once.
 */
bool disk_snapshot_due(struct disk *d, u32 snap_count, u64 snap_bytes)
{
	struct logw *lw = d->log;
	u64 part = lw->rand >> 33;	/* 31 bits */
	u64 txns = __atomic_load_n(&lw->since_txns, __ATOMIC_RELAXED);
	u64 bytes = __atomic_load_n(&lw->since_bytes, __ATOMIC_RELAXED);

	if (txns > snap_count / 2 + (snap_count / 2) * part / (1ULL << 31))
		return true;
	return snap_bytes &&
	       bytes > snap_bytes / 2 + (u64)(snap_bytes / 2 * ((double)part / (1ULL << 31)));
}

int disk_retry(struct disk *d)
{
	struct logw *lw = d->log;
	int rc = 0;

	pthread_mutex_lock(&lw->lock);
	put_all(queue_take(&lw->queue), NULL);
	if (lw->broken)
		rc = -EIO;
	else
		lw->err = 0;
	pthread_mutex_unlock(&lw->lock);
	return rc;
}

void logw_flush(struct logw *lw)
{
	disk_kick(lw->d);
	pthread_mutex_lock(&lw->lock);
	while (lw->running && (lw->busy || !queue_empty(&lw->queue)))
		pthread_cond_wait(&lw->done, &lw->lock);
	pthread_mutex_unlock(&lw->lock);
}

void logw_stats(struct logw *lw, struct disk_stats *s)
{
	s->log_bytes = __atomic_load_n(&lw->bytes, __ATOMIC_RELAXED);
	s->fsyncs = __atomic_load_n(&lw->fsyncs, __ATOMIC_RELAXED);
	s->fsync_ns_total = __atomic_load_n(&lw->fsync_ns, __ATOMIC_RELAXED);
	s->fsync_ns_max = __atomic_load_n(&lw->fsync_max, __ATOMIC_RELAXED);
	s->fsyncs_slow = __atomic_load_n(&lw->slow, __ATOMIC_RELAXED);
	s->log_errors = __atomic_load_n(&lw->errors, __ATOMIC_RELAXED);
}

int disk_start(struct disk *d, u64 last_zxid, void (*durable)(void *arg, u64 zxid),
	       void (*failed)(void *arg, int err, const char *text), void *arg)
{
	struct logw *lw = d->log;
	int rc;

	lw->last = last_zxid;
	lw->durable = durable;
	lw->failed = failed;
	lw->arg = arg;
	rc = pthread_create(&lw->thread, NULL, log_main, lw);
	if (rc)
		return -rc;
	pthread_setname_np(lw->thread, "log");
	lw->running = true;
	return 0;
}

int logw_new(struct disk *d, struct logw **out)
{
	struct logw *lw = aligned_alloc(_Alignof(struct logw), sizeof(*lw));
	int rc = -ENOMEM;

	if (!lw)
		return rc;
	memset(lw, 0, sizeof(*lw));
	lw->buf = malloc(CHUNK);
	if (lw->buf)
		rc = queue_init(&lw->queue);
	if (rc) {
		free(lw->buf);
		free(lw);
		return rc;
	}
	lw->d = d;
	lw->fd = -1;
	lw->rand = now_ns() * 6364136223846793005ULL + 1442695040888963407ULL;
	pthread_mutex_init(&lw->lock, NULL);
	pthread_cond_init(&lw->done, NULL);
	*out = lw;
	return 0;
}

void logw_free(struct logw *lw)
{
	if (lw->running) {
		__atomic_store_n(&lw->stop, true, __ATOMIC_SEQ_CST);
		queue_kick(&lw->queue);
		pthread_join(lw->thread, NULL);
	}
	put_all(queue_take(&lw->queue), NULL);
	queue_destroy(&lw->queue);
	close_file(lw);
	pthread_cond_destroy(&lw->done);
	pthread_mutex_destroy(&lw->lock);
	free(lw->buf);
	free(lw);
}
