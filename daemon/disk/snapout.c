// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The stream that a snapshot is written to: gathered in a buffer, summed up as it
 * leaves that, packed piece by piece (pack.c), written, and its writing back begun
 * early so that the fsync() at the end has little left to do.
 */
#include <linux/types.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include <libdeflate.h>

#include "daemon/disk/internal.h"

#define OUT_BUF		(1024 * 1024)
#define WRITEBACK	(8 * 1024 * 1024)	/* begin writing back so often */
#define NODE_TAIL	68			/* number of the ACL, StatPersisted */

int sout_init(struct snap_out *so, enum file_how how)
{
	int rc;

	memset(so, 0, sizeof(*so));
	so->fd = -1;
	so->buf = malloc(OUT_BUF);
	if (!so->buf)
		return -ENOMEM;
	rc = pack_new(how, &so->pack);
	if (rc) {
		free(so->buf);
		so->buf = NULL;
	}
	return rc;
}

void sout_free(struct snap_out *so)
{
	pack_free(so->pack);
	free(so->buf);
	so->pack = NULL;
	so->buf = NULL;
}

/* Does nothing for a pipe, which is all the same. */
static void write_back(struct snap_out *so)
{
	if (so->written - so->flushed < WRITEBACK)
		return;
	sync_file_range(so->fd, so->flushed, so->written - so->flushed, SYNC_FILE_RANGE_WRITE);
	so->flushed = so->written;
}

static int write_all(struct snap_out *so, const u8 *p, size_t n)
{
	ssize_t w;

	for (; n; p += w, n -= w) {
		w = write(so->fd, p, n);
		if (w < 0 && errno == EINTR)
			w = 0;
		else if (w < 0)
			return -errno;
		so->written += w;
	}
	write_back(so);
	return 0;
}

int sout_begin(struct snap_out *so, int fd)
{
	const void *head;
	size_t n;

	so->fd = fd;
	so->len = 0;
	so->sum = ADLER_INIT;
	so->plain = 0;
	so->written = 0;
	so->flushed = 0;
	head = pack_head(so->pack, &n);
	return write_all(so, head, n);
}

int sout_flush(struct snap_out *so)
{
	const void *packed;
	size_t n;
	int rc;

	so->sum = libdeflate_adler32(so->sum, so->buf, so->len);
	so->plain += so->len;
	rc = pack_piece(so->pack, so->buf, so->len, &packed, &n);
	so->len = 0;
	return rc ? rc : write_all(so, packed, n);
}

int sout_bytes(struct snap_out *so, const void *bytes, size_t n)
{
	const u8 *p = bytes;
	size_t part;
	int rc;

	while (n) {
		if (so->len == OUT_BUF) {
			rc = sout_flush(so);
			if (rc)
				return rc;
		}
		part = OUT_BUF - so->len < n ? OUT_BUF - so->len : n;
		memcpy(so->buf + so->len, p, part);
		so->len += part;
		p += part;
		n -= part;
	}
	return 0;
}

int sout_int(struct snap_out *so, s32 v)
{
	u8 b[4];

	jute_put32(b, v);
	return sout_bytes(so, b, sizeof(b));
}

int sout_long(struct snap_out *so, s64 v)
{
	u8 b[8];

	jute_put64(b, v);
	return sout_bytes(so, b, sizeof(b));
}

int sout_str(struct snap_out *so, const void *p, s32 len)
{
	int rc = sout_int(so, len);

	return rc || len <= 0 ? rc : sout_bytes(so, p, len);
}

int sout_seal(struct snap_out *so)
{
	int rc = sout_flush(so);

	if (!rc)
		rc = sout_long(so, so->sum);
	return rc ? rc : sout_str(so, "/", 1);
}

int sout_copy(struct snap_out *so, int from, u64 skip, u64 bytes)
{
	off_t at = skip;
	ssize_t n;

	while (bytes) {
		n = sendfile(so->fd, from, &at, bytes < WRITEBACK ? bytes : WRITEBACK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		bytes -= n;
		so->written += n;
		write_back(so);
	}
	return 0;
}

int sout_node(struct snap_out *so, const struct store_rec *rec, s64 acl)
{
	const struct zk_stat *st = &rec->node.stat;
	u8 b[NODE_TAIL];
	int rc;

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
	rc = sout_str(so, rec->path, rec->path_len == 1 ? 0 : rec->path_len);
	if (!rc)
		rc = sout_str(so, rec->data, rec->node.data_len);
	return rc ? rc : sout_bytes(so, b, sizeof(b));
}

int sout_nodes_end(struct snap_out *so)
{
	int rc = sout_str(so, "/", 1);

	return rc ? rc : sout_seal(so);
}

int sout_digest(struct snap_out *so, u64 zxid, s32 version, u64 digest)
{
	int rc = sout_long(so, zxid);

	if (!rc)
		rc = sout_int(so, version);
	if (!rc)
		rc = sout_long(so, digest);
	return rc ? rc : sout_seal(so);
}
