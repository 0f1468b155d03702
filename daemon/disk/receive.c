// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A leader's tree on its way into a snapshot file (Learner.syncWithLeader, SNAP). The
 * stream is a snapshot's body with nothing to tell its length, so it is walked item by
 * item; an item is written when it is whole. Memory holds one item and what came with
 * it, bounded by the tree's own limits and never by what a length claims.
 */
#include <linux/types.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/disk/internal.h"

#define NODE_TAIL	68	/* number of the ACL, StatPersisted */

enum part { PART_SESSIONS, PART_SESSION, PART_ACLS, PART_ACL, PART_NODE, PART_DONE };

struct disk_receive {
	struct disk *d;
	u64 zxid;
	enum part part;
	s64 left;		/* sessions or ACLs to come */
	u64 nodes;
	struct snap_out out;
	u8 *buf;		/* what came and is no whole item yet */
	size_t len, cap;
	char tmp[64];
};

#define MORE	1	/* of item_size(): not known yet */

/* The length of a string or buffer at @at, with its own four bytes; -1: null. */
static int str_size(const u8 *p, size_t len, size_t at, s32 max, size_t *end)
{
	s32 n;

	if (at + 4 > len) {
		*end = at + 4;
		return MORE;
	}
	n = jute_get32(p + at);
	if (n < -1 || n > max)
		return -EBADMSG;
	*end = at + 4 + (n > 0 ? (size_t)n : 0);
	return 0;
}

/* long id, vector<ACL> */
static int acl_size(const u8 *p, size_t len, size_t *size)
{
	size_t at = 12;
	s32 n;
	int rc;

	*size = at;
	if (len < at)
		return MORE;
	n = jute_get32(p + 8);
	if (n < -1)
		return -EBADMSG;
	for (; n > 0; n--) {
		at += 4;
		for (int i = 0; i < 2; i++) {
			rc = str_size(p, len, at, ZK_ACL_MAX, &at);
			*size = at;
			if (rc)
				return rc;
		}
		if (at > ZK_ACL_MAX)
			return -EBADMSG;
	}
	*size = at;
	return 0;
}

/* string path, buffer data, number of the ACL, StatPersisted; or the string "/" alone */
static int node_size(const u8 *p, size_t len, size_t *size)
{
	size_t at;
	int rc = str_size(p, len, 0, ZK_PATH_MAX, &at);

	*size = at;
	if (rc)
		return rc;
	if (at == 4 && jute_get32(p) == 0xffffffff)
		return -EBADMSG;
	if (at == 5) {
		if (len < 5)
			return MORE;
		if (p[4] == '/')
			return 0;
	}
	rc = str_size(p, len, at, ZK_DATA_MAX, &at);
	*size = at;
	if (!rc)
		*size += NODE_TAIL;
	return rc;
}

/* How long the item is that begins at @p; MORE: at least *@size bytes are needed to
 * tell. */
static int item_size(const struct disk_receive *rx, const u8 *p, size_t len, size_t *size)
{
	switch (rx->part) {
	case PART_SESSIONS:
	case PART_ACLS:
		*size = 4;
		return 0;
	case PART_SESSION:
		*size = 12;
		return 0;
	case PART_ACL:
		return acl_size(p, len, size);
	case PART_NODE:
		return node_size(p, len, size);
	case PART_DONE:
		break;
	}
	return -EINVAL;
}

/* The item at @p is whole: what comes next. */
static int step(struct disk_receive *rx, const u8 *p, size_t size)
{
	switch (rx->part) {
	case PART_SESSIONS:
	case PART_ACLS:
		rx->left = (s32)jute_get32(p);
		if (rx->left < 0)
			return -EBADMSG;
		rx->part++;
		break;
	case PART_SESSION:
	case PART_ACL:
		rx->left--;
		break;
	case PART_NODE:
		if (size == 5 && p[4] == '/')
			rx->part = PART_DONE;
		else
			rx->nodes++;
		return 0;
	case PART_DONE:
		return -EINVAL;
	}
	/* none of them, or none any more */
	if (!rx->left && (rx->part == PART_SESSION || rx->part == PART_ACL))
		rx->part++;
	return 0;
}

/* Takes whole items from @p; *@used bytes of them. */
static int items(struct disk_receive *rx, const u8 *p, size_t len, size_t *used)
{
	size_t size, at = 0;
	int rc = 0;

	while (rx->part != PART_DONE) {
		rc = item_size(rx, p + at, len - at, &size);
		if (rc < 0)
			break;
		if (rc == MORE || size > len - at) {
			rc = 0;
			break;
		}
		rc = sout_bytes(&rx->out, p + at, size);
		if (!rc)
			rc = step(rx, p + at, size);
		if (rc)
			break;
		at += size;
	}
	*used = at;
	return rc;
}

static int keep(struct disk_receive *rx, const u8 *p, size_t len)
{
	if (!len)
		return 0;
	if (rx->cap - rx->len < len) {
		size_t cap = rx->cap ? rx->cap * 2 : 64 * 1024;
		u8 *b;

		if (cap < rx->len + len)
			cap = rx->len + len;
		b = realloc(rx->buf, cap);
		if (!b)
			return -ENOMEM;
		rx->buf = b;
		rx->cap = cap;
	}
	memcpy(rx->buf + rx->len, p, len);
	rx->len += len;
	return 0;
}

int disk_receive_bytes(struct disk_receive *rx, const u8 *p, size_t len, size_t *used,
		       bool *whole)
{
	size_t n = 0, before = rx->len;
	int rc;

	*used = len;
	if (!before) {
		rc = items(rx, p, len, &n);
		if (!rc && rx->part != PART_DONE)
			rc = keep(rx, p + n, len - n);
	} else {
		rc = keep(rx, p, len);
		if (!rc)
			rc = items(rx, rx->buf, rx->len, &n);
		if (!rc && rx->part != PART_DONE) {
			memmove(rx->buf, rx->buf + n, rx->len - n);
			rx->len -= n;
		}
	}
	*whole = rx->part == PART_DONE;
	if (*whole)
		*used = n - before;
	return rc;
}

int disk_receive_begin(struct disk *d, u64 zxid, struct disk_receive **out)
{
	struct disk_receive *rx = calloc(1, sizeof(*rx));
	int fd, rc;

	if (!rx)
		return -ENOMEM;
	rx->d = d;
	rx->zxid = zxid;
	snprintf(rx->tmp, sizeof(rx->tmp), ".snapshot.received.%llx.tmp", zxid);
	rc = sout_init(&rx->out, d->p.packed);
	if (rc)
		goto free;
	fd = openat(d->snap_dfd, rx->tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0) {
		rc = -errno;
		goto out;
	}
	rc = sout_begin(&rx->out, fd);
	if (!rc)
		rc = sout_int(&rx->out, SNAP_MAGIC);
	if (!rc)
		rc = sout_int(&rx->out, FILE_VERSION);
	if (!rc)
		rc = sout_long(&rx->out, -1);
	if (!rc) {
		*out = rx;
		return 0;
	}
	close(fd);
	unlinkat(d->snap_dfd, rx->tmp, 0);
out:
	sout_free(&rx->out);
free:
	free(rx);
	return rc;
}

static void receive_free(struct disk_receive *rx)
{
	sout_free(&rx->out);
	free(rx->buf);
	free(rx);
}

void disk_receive_abort(struct disk_receive *rx)
{
	close(rx->out.fd);
	unlinkat(rx->d->snap_dfd, rx->tmp, 0);
	receive_free(rx);
}

/* The seal, and no digest: as of no one zxid (DataTree.deserializeZxidDigest: 0). */
static int put_end(struct disk_receive *rx)
{
	int rc = sout_seal(&rx->out);

	if (!rc)
		rc = sout_digest(&rx->out, 0, DIGEST_VERSION, 0);
	if (!rc)
		rc = sout_flush(&rx->out);
	if (!rc && fsync(rx->out.fd))
		rc = -errno;
	return rc;
}

static int remove_logs(struct disk *d)
{
	struct disk_file *f;
	u32 n;
	int rc = disk_list(d->log_dfd, "log", false, &f, &n);

	if (rc)
		return rc;
	while (n-- && !rc)
		rc = unlinkat(d->log_dfd, f[n].name, 0) ? -errno : 0;
	free(f);
	if (!rc && fsync(d->log_dfd))
		rc = -errno;
	return rc;
}

static int can_be_built(struct disk_receive *rx)
{
	struct disk_file f = { .zxid = rx->zxid, .how = rx->d->p.packed };
	char why[512] = "";
	int rc;

	snprintf(f.name, sizeof(f.name), "%s", rx->tmp);
	rc = tree_check(rx->d, &f, why, sizeof(why));
	if (rc)
		log_warn("what the leader sent is no tree: %s", *why ? why : strerror(-rc));
	return rc;
}

static int install(struct disk_receive *rx)
{
	struct disk *d = rx->d;
	char name[48];
	int rc;

	snprintf(name, sizeof(name), "snapshot.%llx%s", rx->zxid, pack_ending(d->p.packed));
	rc = put_end(rx);
	if (!rc)
		rc = can_be_built(rx);
	if (rc)
		return rc;
	disk_flush(d);
	logw_roll(d->log);
	rc = cut_after(d, rx->zxid);
	if (rc)
		return rc;
	if (renameat(d->snap_dfd, rx->tmp, d->snap_dfd, name) || fsync(d->snap_dfd))
		return -errno;
	snapw_found(d->snap, rx->zxid);
	log_info("received %s/%s: %llu nodes, %llu bytes", d->snap_path, name, rx->nodes,
		 rx->out.written);
	return remove_logs(d);
}

int disk_receive_end(struct disk_receive *rx)
{
	int rc;

	if (rx->part != PART_DONE) {
		disk_receive_abort(rx);
		return -EINVAL;
	}
	rc = install(rx);
	close(rx->out.fd);
	if (rc)
		unlinkat(rx->d->snap_dfd, rx->tmp, 0);
	receive_free(rx);
	return rc;
}
