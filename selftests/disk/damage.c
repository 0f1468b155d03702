// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Logs cut short and spoilt. A write that was not finished is cut off; anything
 * else is an error with file and offset, and the file is left as it is.
 */
#include "selftests/disk/common.h"

#include <unistd.h>
#include <zlib.h>

#define RECORDS	12

/* A directory with one log of RECORDS records, and where each of them begins. */
struct victim {
	char *dir;		/* as written */
	char *work;		/* a copy to be spoilt */
	u8 *log;
	size_t len;		/* with padding */
	size_t end;		/* of the last record */
	size_t at[RECORDS + 1];
	struct store *trees[RECORDS + 1];
	u64 digests[RECORDS + 1];
};

static void victim_make(struct victim *v, u64 seed)
{
	struct try t;
	struct world w;
	size_t at = 16;
	struct store_info info;
	int i;

	v->dir = strdup(temp_dir());
	v->work = strdup(temp_dir());
	world_init(&w, seed);
	need(!try_open(&t, v->dir), "%s", t.why);
	try_start(&t);
	t.st->ops->info(t.st, &info);
	v->digests[0] = info.digest;
	for (i = 0; i < RECORDS; i++) {
		feed(&t, &w, 1);
		t.st->ops->info(t.st, &info);
		v->digests[i + 1] = info.digest;
	}
	disk_flush(t.d);
	try_close(&t);
	world_free(&w);
	v->log = read_file(file_in(v->dir, "log.1"), &v->len);
	for (i = 0; i < RECORDS; i++) {
		v->at[i] = at;
		at += 12 + jute_get32(v->log + at + 8) + 1;
	}
	v->at[RECORDS] = at;
	v->end = at;
	copy_dir(v->dir, v->work);
}

static void victim_free(struct victim *v)
{
	free(v->dir);
	free(v->work);
	free(v->log);
}

/* Recovers the work copy with the log given: the error, or the last zxid. */
static long recovered(struct victim *v, const u8 *log, size_t len, char *why)
{
	struct store_info info;
	struct try t;
	long rc;

	unlink(file_in(v->work, "log.1"));
	write_file(file_in(v->work, "log.1"), log, len);
	rc = try_open(&t, v->work);
	if (why)
		strcpy(why, t.why);
	if (!rc) {
		t.st->ops->info(t.st, &info);
		rc = t.r.zxid;
		if (rc > RECORDS || info.digest != v->digests[rc] || t.r.digest_mismatches)
			rc = -EPROTO;
	}
	try_close(&t);
	return rc;
}

/* What is there of the log afterwards. */
static bool log_is(struct victim *v, const u8 *want, size_t len)
{
	size_t n = 0;
	bool same;
	u8 *b;

	if (access(file_in(v->work, "log.1"), F_OK))
		return !len;
	b = read_file(file_in(v->work, "log.1"), &n);
	same = n == len && !memcmp(b, want, n);
	free(b);
	return same;
}

static void test_torn(struct victim *v)
{
	size_t from = v->at[RECORDS - 1], k;
	int bad = 0, left = 0;
	u8 *b = malloc(v->len);

	for (k = from; k < v->end; k++) {
		bad += recovered(v, v->log, k, NULL) != RECORDS - 1;
		/* a checksum's first four bytes are zeros, as the padding is */
		left += !log_is(v, v->log, k <= from + 4 ? k : from);
	}
	is(bad, 0, "the file ends at each byte of the last record: that one is gone");
	is(left, 0, "and cut off the file");

	bad = 0;
	left = 0;
	for (k = from; k < v->end; k++) {
		/* a byte of 0 that is not written yet looks no different */
		bool missing = false;
		size_t i;

		memcpy(b, v->log, v->len);
		memset(b + k, 0, v->end - k);
		for (i = k; i < v->end; i++)
			missing |= v->log[i] != 0;
		bad += recovered(v, b, v->len, NULL) != (missing ? RECORDS - 1 : RECORDS);
	}
	is(bad, 0, "zeros from each byte of the last record on");

	bad = 0;
	for (k = 0; k <= 16; k++)
		bad += recovered(v, v->log, k, NULL) != 0;
	is(bad, 0, "a file that ends in its header, or right behind");
	ok(log_is(v, NULL, 0), "goes altogether");
	memset(b, 0, v->len);
	is(recovered(v, b, v->len, NULL), 0, "a file of zeros has nothing");
	is(recovered(v, v->log, v->end, NULL), RECORDS, "a file without padding");
	free(b);
}

static void test_flipped(struct victim *v)
{
	u8 *b = malloc(v->len);
	int bad = 0, unclear = 0, changed = 0;
	char why[512], want[64];
	size_t k;
	int r;

	memcpy(b, v->log, v->len);
	for (r = 0; r < RECORDS; r++) {
		for (k = v->at[r]; k < v->at[r + 1]; k++) {
			b[k] ^= 0xff;
			if (recovered(v, b, v->len, why) != -EBADMSG) {
				bad++;
				printf("# record %d, byte %zu\n", r, k - v->at[r]);
			}
			snprintf(want, sizeof(want), "log.1: damaged at offset %zu:", v->at[r]);
			unclear += !strstr(why, want);
			changed += !log_is(v, b, v->len);
			b[k] ^= 0xff;
		}
	}
	is(bad, 0, "any byte of any record changed is damage");
	is(unclear, 0, "and the place is said");
	is(changed, 0, "and the file left as it is");
	bad = 0;
	for (r = 0; r < RECORDS; r++) {
		for (k = v->at[r] + 4; k < v->at[r] + 12; k++) {
			int bit;

			for (bit = 0; bit < 8; bit++) {
				b[k] ^= 1 << bit;
				bad += recovered(v, b, v->len, why) != -EBADMSG;
				b[k] ^= 1 << bit;
			}
		}
	}
	is(bad, 0, "so is any bit of any length and checksum");
	bad = 0;
	for (k = 0; k < 4; k++) {
		b[k] ^= 0xff;
		bad += recovered(v, b, v->len, why) != -EBADMSG;
		b[k] ^= 0xff;
	}
	is(bad, 0, "a file that is no log is an error: %s", why);
	b[v->end + 14] = 1;
	is(recovered(v, b, v->len, why), -EBADMSG, "something in the padding: %s", why);
	free(b);
}

/* Sectors that did not get to the disk, though later ones of the group did. */
static void test_sectors(void)
{
	const char *dir = temp_dir(), *work = temp_dir();
	struct try t;
	struct world w;
	size_t len, s, at, start = 0;
	int bad = 0, tried = 0, n = 0;
	u64 zxid;
	u8 *log, *b;

	world_init(&w, 77);
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	feed(&t, &w, 40);
	disk_flush(t.d);
	try_close(&t);
	log = read_file(file_in(dir, "log.1"), &len);
	b = malloc(len);
	for (at = 16; jute_get32(log + at + 8); at += 12 + jute_get32(log + at + 8) + 1) {
		if (n++ == 20)
			start = at;	/* all before is taken for durable */
	}
	for (s = (start + 511) / 512 * 512; s < at; s += 512) {
		size_t p = 16;

		/* the first record that the lost sector touches */
		for (zxid = 0; p + 12 + jute_get32(log + p + 8) + 1 <= s; zxid++)
			p += 12 + jute_get32(log + p + 8) + 1;
		copy_dir(dir, work);
		memcpy(b, log, len);
		memset(b + s, 0, s + 512 < len ? 512 : len - s);
		write_file(file_in(work, "log.1"), b, len);
		tried++;
		if (try_open(&t, work) || t.r.zxid != zxid) {
			printf("# sector at %zu: %lld, not %lld: %s\n", s, t.r.zxid, zxid, t.why);
			bad++;
		}
		try_close(&t);
	}
	ok(tried > 5 && !bad, "each of %d sectors lost: all before it is there", tried);
	free(b);
	free(log);
	world_free(&w);
}

/* Logs in several files, as ZooKeeper leaves them after crashes. */
static void test_files(struct victim *v)
{
	static const u8 head[16] = { 'Z', 'K', 'L', 'G', 0, 0, 0, 2 };
	size_t cut = v->at[6], len;
	struct disk_params p;
	struct try t;
	u8 *b = malloc(v->len);

	/* 1..6 and a torn 7; then 7..12 in the next file */
	copy_dir(v->dir, v->work);
	write_file(file_in(v->work, "log.1"), v->log, v->at[7] - 5);
	memcpy(b, head, 16);
	memcpy(b + 16, v->log + cut, v->end - cut);
	len = 16 + v->end - cut;
	write_file(file_in(v->work, "log.7"), b, len);
	is(try_open(&t, v->work), 0, "an older file with a torn end: %s", t.why);
	is(t.r.zxid, RECORDS, "to the end of the next");
	try_close(&t);

	/* the same, but 7 is nowhere */
	memcpy(b + 16, v->log + v->at[7], v->end - v->at[7]);
	unlink(file_in(v->work, "log.7"));
	write_file(file_in(v->work, "log.8"), b, 16 + v->end - v->at[7]);
	is(try_open(&t, v->work), -EBADMSG, "a torn end, and what follows is not in the next file");
	ok(strstr(t.why, "log.1: damaged at offset"), "%s", t.why);
	try_close(&t);

	/* without the torn end: ZooKeeper reads on over a gap, we only when told to */
	write_file(file_in(v->work, "log.1"), v->log, cut);
	is(try_open(&t, v->work), -EBADMSG, "a gap alone is an error");
	ok(strstr(t.why, "log.8: offset 16 has transaction 0x8, but the one before it is 0x6"),
	   "%s", t.why);
	try_close(&t);
	p = params(v->work);
	p.trust_gaps = true;
	is(try_open_params(&t, &p), 0, "zkern.trustGaps goes on: %s", t.why);
	is(t.r.zxid, RECORDS, "to the end");
	try_close(&t);

	/* 1..12 again, and again 5..12 in another file */
	copy_dir(v->dir, v->work);
	memcpy(b + 16, v->log + v->at[4], v->end - v->at[4]);
	write_file(file_in(v->work, "log.5"), b, 16 + v->end - v->at[4]);
	is(try_open(&t, v->work), 0, "transactions twice: %s", t.why);
	ok(t.r.zxid == RECORDS && t.r.replayed == RECORDS && !t.r.digest_mismatches,
	   "each is replayed once");
	try_close(&t);

	/* files without any record between and behind */
	copy_dir(v->dir, v->work);
	write_file(file_in(v->work, "log.0"), head, 16);
	write_file(file_in(v->work, "log.d"), head, 16);
	write_file(file_in(v->work, "log.c"), "", 0);
	write_file(file_in(v->work, "log.zz"), "x", 1);
	write_file(file_in(v->work, "log.1.bak"), "x", 1);
	is(try_open(&t, v->work), 0, "files without records, names that are none: %s", t.why);
	is(t.r.zxid, RECORDS, "all is there");
	try_start(&t);
	ok(access(file_in(v->work, "log.d"), F_OK), "the name of the next transaction is free");
	try_close(&t);

	/* a log of which nothing is after the snapshot */
	free(b);
}

/* A log cut off is written on behind the cut. */
static void test_go_on(void)
{
	const char *dir = temp_dir();
	struct world w;
	struct try t;
	size_t len, at = 16, last = 16;
	u8 *b;
	int i;

	world_init(&w, 99);
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	feed(&t, &w, 20);
	disk_flush(t.d);
	try_close(&t);
	b = read_file(file_in(dir, "log.1"), &len);
	while (jute_get32(b + at + 8)) {
		last = at;
		at += 12 + jute_get32(b + at + 8) + 1;
	}
	/* a write of half a record behind the last */
	memcpy(b + at, b + last, (at - last) / 2);
	write_file(file_in(dir, "log.1"), b, len);
	free(b);
	for (i = 0; i < 3; i++) {
		is(try_open(&t, dir), 0, "start %d: %s", i, t.why);
		is(t.r.zxid, 20 + i * 5, "zxid");
		try_start(&t);
		feed(&t, &w, 5);
		disk_flush(t.d);
		try_close(&t);
	}
	need(!try_open(&t, dir), "%s", t.why);
	is(compare_stores(w.st, t.st), 0, "the tree is the same in the end");
	try_close(&t);
	world_free(&w);
}

void test_damage(void)
{
	struct victim v;

	victim_make(&v, 10);
	test_torn(&v);
	test_flipped(&v);
	test_files(&v);
	victim_free(&v);
	test_sectors();
	test_go_on();
}
