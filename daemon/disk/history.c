// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a learner gets from a leader's disk: transactions from the logs
 * (FileTxnLog.read, ZKDatabase.getProposalsFromTxnLog), and a tree, by way of a file
 * (LearnerHandler: SNAP).
 */
#include <linux/types.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/disk/internal.h"

#define SEND_CHUNK	(256 * 1024)

struct disk_history {
	struct logr *lr;
	struct txn *txn;	/* the one handed out, or the first, not yet handed out */
	bool pending;
};

/* The next one that is later than what was there: 1, 0, or an error. */
static int step(struct disk_history *h)
{
	char why[512];
	int rc;

	txn_put(h->txn);
	h->txn = NULL;
	rc = logr_next(h->lr, &h->txn, why, sizeof(why));
	if (rc < 0)
		log_warn("reading the log for a learner: %s", why);
	return rc;
}

/* Reads up to @after itself, so that it is sure to be in the log. */
static int find(struct disk_history *h, u64 after)
{
	int rc;

	while ((rc = step(h)) == 1) {
		if (h->txn->zxid == after)
			return 0;
		if (h->txn->zxid > after)
			break;
	}
	if (rc < 0)
		return rc == -EBADMSG ? -ENOENT : rc;
	/* the begin of an epoch is no transaction */
	if (rc && !(u32)after && h->txn->zxid == after + 1) {
		h->pending = true;
		return 0;
	}
	return -ENOENT;
}

int disk_history_open(struct disk *d, u64 after, struct disk_history **out)
{
	struct disk_history *h = calloc(1, sizeof(*h));
	char why[512];
	int rc;

	if (!h)
		return -ENOMEM;
	/* from the one before it on: that shows whether it is there */
	rc = logr_open(d, after ? after - 1 : 0, false, &h->lr, why, sizeof(why));
	if (rc)
		log_warn("%s", why);
	else
		rc = find(h, after);
	if (rc) {
		disk_history_close(h);
		return rc;
	}
	*out = h;
	return 0;
}

ssize_t disk_history_next(struct disk_history *h, const u8 **p, u64 *zxid)
{
	int rc = h->pending ? 1 : step(h);

	h->pending = false;
	if (rc <= 0)
		return rc;
	*p = h->txn->bytes;
	*zxid = h->txn->zxid;
	return h->txn->len;
}

void disk_history_close(struct disk_history *h)
{
	txn_put(h->txn);
	logr_close(h->lr);
	free(h);
}

u64 disk_history_first(struct disk *d)
{
	struct disk_file *f;
	u64 first = ~0ULL;
	u32 n;

	if (disk_list(d->log_dfd, "log", false, &f, &n))
		return first;
	if (n)
		first = f[0].zxid;
	free(f);
	return first;
}

static int send(int fd, u64 from, u64 to, u8 *buf,
		int (*out)(void *arg, const void *p, size_t len), void *arg)
{
	int rc = 0;

	while (from < to && !rc) {
		size_t n = to - from < SEND_CHUNK ? to - from : SEND_CHUNK;
		ssize_t r = pread(fd, buf, n, from);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? -errno : -EIO;
		rc = out(arg, buf, r);
		from += r;
	}
	return rc;
}

int disk_tree_write(struct disk *d, struct store *st, struct store_snap *snap,
		    const struct disk_session *s, u32 n,
		    int (*out)(void *arg, const void *p, size_t len), void *arg)
{
	u64 from, to;
	u8 *buf;
	int fd, rc;

	rc = snapw_spool(d, st, snap, s, n, &fd, &from, &to);
	st->ops->snap_close(snap);
	if (rc)
		return rc;
	buf = malloc(SEND_CHUNK);
	rc = buf ? send(fd, from, to, buf, out, arg) : -ENOMEM;
	free(buf);
	close(fd);
	return rc;
}
