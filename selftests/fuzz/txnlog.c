// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A transaction log. An odd first byte has the file put right before it is read: its
 * head, and each record's checksum, length, zxid and end mark, so that what is in the
 * transactions is reached.
 */
#include <zlib.h>

#include "daemon/proto/jute.h"
#include "selftests/fuzz/drive.h"
#include "selftests/fuzz/files.h"

#define HEAD	16
#define RECORD	12	/* checksum, length */

static void put_right(u8 *b, size_t len)
{
	u64 zxid = 1;
	size_t at = HEAD;

	if (len < HEAD)
		return;
	memcpy(b, "ZKLG\0\0\0\2", 8);
	while (len - at > RECORD + 1) {
		size_t left = len - at - RECORD - 1;
		u32 n = jute_get32(b + at + 8);

		if (!n)
			return;
		if (n > left)
			n = n % left + 1;
		jute_put32(b + at + 8, n);
		if (n >= 20)	/* TxnHeader: session, cxid, zxid */
			jute_put64(b + at + RECORD + 12, zxid++);
		jute_put64(b + at, adler32(1, b + at + RECORD, n));
		b[at + RECORD + n] = 'B';
		at += RECORD + n + 1;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
	u8 *b;

	if (!len)
		return 0;
	b = malloc(len);
	if (!b)
		return 0;
	memcpy(b, data + 1, len - 1);
	if (*data & 1)
		put_right(b, len - 1);
	files_recover("log.1", b, len - 1, true);
	free(b);
	return 0;
}
