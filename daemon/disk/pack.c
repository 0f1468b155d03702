// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Packed snapshots (SnapStream.StreamMode): what java.util.zip.GZIPOutputStream and
 * snappy-java's SnappyOutputStream make, read and written.
 *
 * A packed file is a run of pieces, each of which can be unpacked alone: gzip
 * members, or snappy blocks behind their stream's header. So a file's parts can be
 * packed apart and be put together. Readers of gzip take any number of members.
 *
 * snappy: "\x82SNAPPY\0", int version, int lowest version that can read it; then
 * blocks, int32 length and the bytes of one snappy block. The header may come again
 * between blocks, where streams were put together.
 */
#include <linux/types.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <libdeflate.h>
#include <snappy-c.h>
#include <zlib.h>

#include "daemon/disk/internal.h"

#define SNAPPY_HEAD	16
#define SNAPPY_BLOCK	(32 * 1024)	/* what snappy-java packs at a time */
#define SNAPPY_MAX	(16 * 1024 * 1024)	/* of a block read, unpacked */
#define GZIP_LEVEL	6
#define IN_BUF		(256 * 1024)

static const u8 snappy_head[SNAPPY_HEAD] = {
	0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
};

/* ---------------------------------------------------------------- names */

const char *pack_ending(enum file_how how)
{
	switch (how) {
	case FILE_GZIP:
		return ".gz";
	case FILE_SNAPPY:
		return ".snappy";
	default:
		return "";
	}
}

bool pack_by_ending(const char *s, enum file_how *how)
{
	enum file_how h;

	for (h = FILE_PLAIN; h <= FILE_SNAPPY; h++) {
		if (!strcmp(s, pack_ending(h))) {
			*how = h;
			return true;
		}
	}
	return false;
}

/* ---------------------------------------------------------------- reading */

struct unpack {
	enum file_how how;
	int fd;
	gzFile gz;
	/* snappy: the packed block, and the last one unpacked, of which @pos was used */
	u8 *in;
	u8 *block;
	size_t in_cap, cap, len, pos;
};

static ssize_t read_some(int fd, void *buf, size_t n)
{
	ssize_t r;

	do {
		r = read(fd, buf, n);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* All @n bytes: 1; none, at the end of the file: 0; some: -EBADMSG. */
static int read_whole(int fd, u8 *buf, size_t n)
{
	size_t have = 0;
	ssize_t r;

	while (have < n) {
		r = read_some(fd, buf + have, n - have);
		if (r < 0)
			return r;
		if (!r)
			return have ? -EBADMSG : 0;
		have += r;
	}
	return 1;
}

static int grow(u8 **buf, size_t *cap, size_t n)
{
	u8 *b;

	if (n <= *cap)
		return 0;
	b = realloc(*buf, n);
	if (!b)
		return -ENOMEM;
	*buf = b;
	*cap = n;
	return 0;
}

/* The packed bytes of a block, @n of them: no more memory than there are bytes. */
static int read_packed(struct unpack *u, size_t n)
{
	size_t have = 0, part;
	int rc;

	while (have < n) {
		part = n - have < IN_BUF ? n - have : IN_BUF;
		rc = grow(&u->in, &u->in_cap, have + part);
		if (!rc)
			rc = read_whole(u->fd, u->in + have, part);
		if (rc <= 0)
			return rc ? rc : -EBADMSG;
		have += part;
	}
	return 0;
}

/* The length of the next block, 0 at the end. */
static ssize_t block_length(struct unpack *u)
{
	u8 h[SNAPPY_HEAD];
	s32 n;
	int rc;

	for (;;) {
		rc = read_whole(u->fd, h, 4);
		if (rc <= 0)
			return rc;
		n = jute_get32(h);
		if (memcmp(h, snappy_head, 4)) {
			if (n <= 0 || (size_t)n > snappy_max_compressed_length(SNAPPY_MAX))
				return -EBADMSG;
			return n;
		}
		rc = read_whole(u->fd, h + 4, SNAPPY_HEAD - 4);
		if (rc <= 0 || memcmp(h, snappy_head, 8) || jute_get32(h + 12) > 1)
			return rc < 0 ? rc : -EBADMSG;
	}
}

/* 1: the next block is there; 0: the end. */
static int next_block(struct unpack *u)
{
	ssize_t n = block_length(u);
	size_t len;
	int rc;

	if (n <= 0)
		return n;
	rc = read_packed(u, n);
	if (rc)
		return rc;
	if (snappy_uncompressed_length((char *)u->in, n, &len) != SNAPPY_OK || len > SNAPPY_MAX)
		return -EBADMSG;
	rc = grow(&u->block, &u->cap, len ? len : 1);
	if (rc)
		return rc;
	if (snappy_uncompress((char *)u->in, n, (char *)u->block, &len) != SNAPPY_OK)
		return -EBADMSG;
	u->len = len;
	u->pos = 0;
	return 1;
}

static ssize_t read_snappy(struct unpack *u, void *buf, size_t n)
{
	int rc;

	while (u->pos == u->len) {
		rc = next_block(u);
		if (rc <= 0)
			return rc;
	}
	if (n > u->len - u->pos)
		n = u->len - u->pos;
	memcpy(buf, u->block + u->pos, n);
	u->pos += n;
	return n;
}

static ssize_t read_gzip(struct unpack *u, void *buf, size_t n)
{
	int err = 0, r = gzread(u->gz, buf, n < INT_MAX ? n : INT_MAX);

	if (r < 0) {
		gzerror(u->gz, &err);
		return err == Z_ERRNO && errno ? -errno : err == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
	}
	/* zlib hands out what is not packed as it is */
	return r && gzdirect(u->gz) ? -EBADMSG : r;
}

ssize_t unpack_read(struct unpack *u, void *buf, size_t n)
{
	switch (u->how) {
	case FILE_GZIP:
		return read_gzip(u, buf, n);
	case FILE_SNAPPY:
		return read_snappy(u, buf, n);
	default:
		return read_some(u->fd, buf, n);
	}
}

static int check_snappy(int fd)
{
	u8 h[SNAPPY_HEAD];
	int rc = read_whole(fd, h, sizeof(h));

	if (rc < 0)
		return rc;
	return !rc || memcmp(h, snappy_head, 8) || jute_get32(h + 12) > 1 ? -EBADMSG : 0;
}

int unpack_open(int fd, enum file_how how, struct unpack **out)
{
	struct unpack *u = calloc(1, sizeof(*u));
	int rc = -ENOMEM;

	if (!u)
		goto err;
	u->fd = fd;
	u->how = how;
	if (how == FILE_SNAPPY) {
		rc = check_snappy(fd);
		if (rc)
			goto err;
	} else if (how == FILE_GZIP) {
		u->gz = gzdopen(fd, "rb");
		if (!u->gz)
			goto err;
		gzbuffer(u->gz, IN_BUF);
	}
	*out = u;
	return 0;
err:
	free(u);
	close(fd);
	return rc;
}

void unpack_close(struct unpack *u)
{
	if (u->gz)
		gzclose(u->gz);
	else
		close(u->fd);
	free(u->in);
	free(u->block);
	free(u);
}

/* ---------------------------------------------------------------- writing */

struct pack {
	enum file_how how;
	struct libdeflate_compressor *gz;
	u8 *out;
	size_t cap;
};

int pack_new(enum file_how how, struct pack **out)
{
	struct pack *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->how = how;
	if (how == FILE_GZIP) {
		p->gz = libdeflate_alloc_compressor(GZIP_LEVEL);
		if (!p->gz) {
			free(p);
			return -ENOMEM;
		}
	}
	*out = p;
	return 0;
}

void pack_free(struct pack *p)
{
	if (!p)
		return;
	if (p->gz)
		libdeflate_free_compressor(p->gz);
	free(p->out);
	free(p);
}

const void *pack_head(const struct pack *p, size_t *n)
{
	*n = p->how == FILE_SNAPPY ? SNAPPY_HEAD : 0;
	return snappy_head;
}

static int pack_snappy(struct pack *p, const u8 *bytes, size_t n, size_t *len)
{
	size_t blocks = (n + SNAPPY_BLOCK - 1) / SNAPPY_BLOCK, at = 0, part, got;
	int rc = grow(&p->out, &p->cap, blocks * (4 + snappy_max_compressed_length(SNAPPY_BLOCK)));

	if (rc)
		return rc;
	for (; n; bytes += part, n -= part) {
		part = n < SNAPPY_BLOCK ? n : SNAPPY_BLOCK;
		got = p->cap - at - 4;
		if (snappy_compress((const char *)bytes, part, (char *)p->out + at + 4,
				    &got) != SNAPPY_OK)
			return -EIO;
		jute_put32(p->out + at, got);
		at += 4 + got;
	}
	*len = at;
	return 0;
}

int pack_piece(struct pack *p, const void *bytes, size_t n, const void **out, size_t *len)
{
	int rc = 0;

	*out = bytes;
	*len = n;
	if (p->how == FILE_PLAIN || !n)
		return 0;
	if (p->how == FILE_SNAPPY) {
		rc = pack_snappy(p, bytes, n, len);
	} else {
		rc = grow(&p->out, &p->cap, libdeflate_gzip_compress_bound(p->gz, n));
		if (rc)
			return rc;
		*len = libdeflate_gzip_compress(p->gz, bytes, n, p->out, p->cap);
		if (!*len)
			rc = -EIO;
	}
	*out = p->out;
	return rc;
}
