// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A snapshot. The first byte: its low two bits say how the file is packed, by its name
 * (plain, gzip, snappy); 4 has the rest put right before, the head and each seal, which
 * are found by walking the records; 8 then packs it by gzip, so that what is read is
 * well packed.
 */
#include <zlib.h>

#include "daemon/proto/jute.h"
#include "selftests/fuzz/drive.h"
#include "selftests/fuzz/files.h"

#define HEAD	16
#define SEAL	13	/* long, string "/" */
#define STAT	60

static void skip_sessions(struct jr *in)
{
	for (s32 n = jr_int(in); n > 0 && !in->err; n--) {
		jr_long(in);
		jr_int(in);
	}
}

static void skip_acls(struct jr *in)
{
	for (s32 n = jr_int(in); n > 0 && !in->err; n--) {
		jr_long(in);
		for (s32 k = jr_int(in); k > 0 && !in->err; k--) {
			jr_int(in);
			jr_str(in);
			jr_str(in);
		}
	}
}

static void skip_nodes(struct jr *in)
{
	for (;;) {
		struct jstr path = jr_str(in);

		if (in->err || (path.len == 1 && path.p[0] == '/'))
			return;
		jr_str(in);
		jr_take(in, 8 + STAT);
	}
}

/* Seals all up to where @in stands. */
static bool seal(struct jr *in, u8 *b)
{
	size_t at = in->p - b;

	if (in->err || jr_left(in) < SEAL)
		return false;
	jute_put64(b + at, adler32(1, b, at));
	memcpy(b + at + 8, "\0\0\0\1/", 5);
	in->p += SEAL;
	return true;
}

static void put_right(u8 *b, size_t len)
{
	struct jr in;

	if (len < HEAD)
		return;
	memcpy(b, "ZKSN\0\0\0\2", 8);
	jr_init(&in, b, len);
	jr_take(&in, HEAD);
	skip_sessions(&in);
	skip_acls(&in);
	skip_nodes(&in);
	if (!seal(&in, b))
		return;
	jr_take(&in, 20);		/* ZxidDigest */
	if (!seal(&in, b))
		return;
	jr_take(&in, 8);		/* 3.9's zxid */
	seal(&in, b);
}

static u8 *gzip(const u8 *b, size_t len, size_t *out)
{
	z_stream z = { 0 };
	size_t room = compressBound(len) + 64;
	u8 *p = malloc(room);

	if (!p || deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	z.next_in = (u8 *)b;
	z.avail_in = len;
	z.next_out = p;
	z.avail_out = room;
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	*out = z.total_out;
	deflateEnd(&z);
	return p;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	static const char *const names[] = {
		"snapshot.1", "snapshot.1.gz", "snapshot.1.snappy", "snapshot.0",
	};
	const char *name;
	size_t n = len - 1;
	u8 *b;

	if (!len)
		return 0;
	name = names[*data & 3];
	b = malloc(len);
	if (!b)
		return 0;
	memcpy(b, data + 1, n);
	if (*data & 4)
		put_right(b, n);
	if (*data & 8) {
		u8 *packed = gzip(b, n, &n);

		free(b);
		b = packed;
		name = names[1];
	}
	files_recover(name, b, n, false);
	free(b);
	return 0;
}
