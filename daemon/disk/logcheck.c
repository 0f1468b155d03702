// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a log holds at a place where no valid record can be read: its end, a write
 * that a crash cut short, or damage to what may have been acknowledged.
 *
 * A record that a crash cut short lacks bytes: the file ends, or what was not
 * written yet reads as the zeros of the preallocation, to the end or in whole
 * sectors (a disk writes sectors, in no order). It belongs to the last group, so
 * nothing lies further behind it than LOG_GROUP_MAX. A record with all of its
 * bytes there and a wrong checksum was not cut short. Where both could be, damage
 * is assumed: refusing to start loses nothing.
 */
#include <linux/types.h>
#include <errno.h>
#include <unistd.h>
#include <libdeflate.h>

#include "daemon/disk/internal.h"

#define SECTOR		512
#define BLOCK		(256 * 1024)
#define MIN_TXN		32	/* a header alone */
/* Bytes to put through the checksum in search of later records, at most. */
#define SEARCH_BUDGET	(256ULL * 1024 * 1024)

/* One past the last byte at or after @pos that is not zero; @pos if there is none. */
static int nonzero_end(struct window *w, u64 pos, u64 *end)
{
	u64 at = pos;

	*end = pos;
	while (at < w->size) {
		off_t data = lseek(w->fd, at, SEEK_DATA);
		const u8 *p;
		size_t n, i;

		if (data < 0 && errno == ENXIO)
			break;
		if (data > 0 && (u64)data > at)
			at = data;
		n = w->size - at < BLOCK ? w->size - at : BLOCK;
		p = window_at(w, at, n);
		if (!p)
			return w->err ? w->err : -EIO;
		for (i = n; i && !p[i - 1]; i--)
			;
		if (i)
			*end = at + i;
		at += n;
	}
	return 0;
}

/* Whether [@from, @to) is all zeros; <0 on error. */
static int all_zero(struct window *w, u64 from, u64 to)
{
	const u8 *p = window_at(w, from, to - from);
	u64 i;

	if (!p)
		return w->err ? w->err : -EIO;
	for (i = 0; i < to - from; i++) {
		if (p[i])
			return 0;
	}
	return 1;
}

/*
 * Whether a record of some other length begins at @pos: its checksum fits the
 * bytes up to an end mark. Then only the length is damaged.
 */
static int other_length_fits(struct window *w, u64 pos, u64 end)
{
	const u8 *p = window_at(w, pos, RECORD_HEAD);
	u32 a = 1, b = 0, want;
	u64 at = pos + RECORD_HEAD;

	if (!p)
		return w->err ? w->err : 0;
	want = jute_get64(p);
	while (at < end) {
		size_t n = end - at < BLOCK ? end - at : BLOCK, i;

		p = window_at(w, at, n);
		if (!p)
			return w->err ? w->err : -EIO;
		for (i = 0; i < n; i++) {
			if (p[i] == RECORD_EOR && (b << 16 | a) == want &&
			    at + i >= pos + RECORD_HEAD + MIN_TXN)
				return 1;
			a = (a + p[i]) % 65521;
			b = (b + a) % 65521;
		}
		at += n;
	}
	return 0;
}

/* Whether a valid record of a zxid after @last begins at @pos. */
static int record_at(struct window *w, u64 pos, u64 end, u64 last, u64 *budget)
{
	const u8 *p = window_at(w, pos, RECORD_HEAD);
	u64 zxid;
	u32 want, len;

	if (!p)
		return w->err;
	want = jute_get32(p + 4);
	len = jute_get32(p + 8);
	if (jute_get32(p) || len < MIN_TXN || len > end - pos ||
	    pos + RECORD_HEAD + len >= end)
		return 0;
	p = window_at(w, pos + RECORD_HEAD + len, 1);
	if (!p)
		return w->err;
	if (*p != RECORD_EOR)
		return 0;
	if (*budget < len)
		return 1;
	*budget -= len;
	p = window_at(w, pos + RECORD_HEAD, len);
	if (!p)
		return w->err;
	return libdeflate_adler32(ADLER_INIT, p, len) == want &&
	       !txn_peek_zxid(p, len, &zxid) && zxid > last;
}

/* Whether any valid record begins in (@pos, @end). */
static int later_record(struct window *w, u64 pos, u64 end, u64 last)
{
	u64 budget = SEARCH_BUDGET;
	u64 at;
	int rc;

	for (at = pos + 1; at + RECORD_HEAD + MIN_TXN < end; at++) {
		const u8 *p = window_at(w, at, RECORD_HEAD);

		if (!p)
			return w->err ? w->err : -EIO;
		/* cheap first: the checksum's upper half is zero */
		if (jute_get32(p))
			continue;
		rc = record_at(w, at, end, last, &budget);
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * Whether sectors of [@pos, @rec_end) were never written: the rest of the one that
 * @pos is in, the begin of the one that ends it, or a whole one between; and
 * whether what follows can be of the same group.
 */
static int lost_sectors(struct window *w, u64 pos, u64 rec_end, u64 end)
{
	u64 s;
	int rc;

	if (end > rec_end && end - pos > LOG_GROUP_MAX)
		return 0;
	for (s = pos - pos % SECTOR; s < rec_end; s += SECTOR) {
		u64 from = s < pos ? pos : s;
		u64 to = s + SECTOR < rec_end ? s + SECTOR : rec_end;

		/* the head's first four bytes are zero in any record */
		if (to - from <= 4)
			continue;
		rc = all_zero(w, from, to);
		if (rc)
			return rc;
	}
	return 0;
}

static int torn_or(int rc, enum log_end otherwise)
{
	return rc < 0 ? rc : rc ? LOG_END_TORN : (int)otherwise;
}

static int damaged_or(int rc, enum log_end otherwise)
{
	return rc < 0 ? rc : rc ? LOG_END_DAMAGED : (int)otherwise;
}

/* The length at @pos says that the record goes beyond the file. */
static int check_overlong(struct window *w, u64 pos, u64 end, u64 last)
{
	int rc = other_length_fits(w, pos, end);

	if (!rc)
		rc = later_record(w, pos, end, last);
	return damaged_or(rc, LOG_END_TORN);
}

/* The whole record is inside the file and is not valid. */
static int check_inside(struct window *w, u64 pos, u64 rec_end, u64 end, const char **why)
{
	const u8 *p = window_at(w, rec_end - 1, 1);
	u8 eor;

	if (!p)
		return w->err ? w->err : -EIO;
	eor = *p;
	if (eor == RECORD_EOR) {
		*why = "wrong checksum";
		return torn_or(lost_sectors(w, pos, rec_end, end), LOG_END_DAMAGED);
	}
	*why = "record without its end mark";
	if (eor)
		return LOG_END_DAMAGED;
	if (end <= rec_end) {
		*why = "wrong length";
		return damaged_or(other_length_fits(w, pos, end), LOG_END_TORN);
	}
	return torn_or(lost_sectors(w, pos, rec_end, end), LOG_END_DAMAGED);
}

int log_check_end(struct window *w, u64 pos, u64 last, u64 max_txn, const char **why)
{
	u64 end, rec_end;
	const u8 *p;
	s32 len;
	int rc;

	*why = "unfinished write";
	rc = nonzero_end(w, pos, &end);
	if (rc)
		return rc;
	if (end <= pos)
		return LOG_END_CLEAN;
	if (w->size - pos < RECORD_HEAD)
		return LOG_END_TORN;
	p = window_at(w, pos, RECORD_HEAD);
	if (!p)
		return w->err ? w->err : -EIO;
	len = jute_get32(p + 8);
	if (len < 0 || (max_txn && (u64)len > max_txn)) {
		*why = "impossible length of a record";
		return LOG_END_DAMAGED;
	}
	if (!len) {
		*why = "record without a length";
		if (end <= pos + RECORD_HEAD)
			return LOG_END_TORN;
		/* the sectors that the head is in, to their ends */
		rec_end = (pos + RECORD_HEAD + SECTOR - 1) / SECTOR * SECTOR;
		return torn_or(lost_sectors(w, pos, rec_end, end), LOG_END_DAMAGED);
	}
	if ((u64)len > w->size - pos - RECORD_HEAD - 1 || w->size - pos == RECORD_HEAD) {
		*why = "record longer than its file";
		return check_overlong(w, pos, end, last);
	}
	return check_inside(w, pos, pos + RECORD_HEAD + len + 1, end, why);
}
