// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Recovery: sessions, fuzzy snapshots, digests, directories that lack something;
 * files that claim more than they hold.
 */
#include "selftests/disk/common.h"

#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

static void append(struct try *t, struct jw *w)
{
	struct txn *x = b_done(w);

	disk_append(t->d, x);
	txn_put(x);
	jw_init(w, 0);
}

static void session(struct try *t, u64 id, u64 zxid, s32 timeout)
{
	struct jw w;

	jw_init(&w, 0);
	b_header(&w, id, 0, zxid, 1, timeout ? OP_CREATESESSION : OP_CLOSESESSION);
	jw_int(&w, timeout);	/* closeSession: no paths */
	append(t, &w);
}

static void test_sessions(void)
{
	const char *dir = temp_dir();
	u64 id, zxid = 0, sum = 0;
	struct try t;
	u32 i;

	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	for (id = 1; id <= 2000; id++)
		session(&t, id * 0x10001, ++zxid, 1000 + id);
	for (id = 1; id <= 2000; id++) {
		if (id % 3)
			session(&t, id * 0x10001, ++zxid, 0);
	}
	disk_flush(t.d);
	try_close(&t);
	is(try_open(&t, dir), 0, "sessions opened and closed: %s", t.why);
	is(t.r.n_sessions, 666, "those still open");
	for (i = 0; i < t.r.n_sessions; i++) {
		id = t.r.sessions[i].id / 0x10001;
		sum += id % 3 == 0 && t.r.sessions[i].timeout == (s32)(1000 + id) ? id : 0;
	}
	is(sum, 3 * 666 * 667 / 2, "are the right ones");
	try_close(&t);
}

static void test_missing(void)
{
	const char *dir = temp_dir();
	struct disk_params p = params(dir);
	struct world w;
	struct try t;

	world_init(&w, 30);
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	feed(&t, &w, 20);
	disk_flush(t.d);
	try_close(&t);
	unlink(file_in(dir, "snapshot.0"));
	is(try_open(&t, dir), -EBADMSG, "a log without any snapshot");
	ok(strstr(t.why, "trust.empty"), "%s", t.why);
	try_close(&t);
	p.trust_empty = true;
	is(try_open_params(&t, &p), 0, "with snapshot.trust.empty: %s", t.why);
	is(compare_stores(w.st, t.st), 0, "the tree is the same");
	is(count_files(dir, "snapshot."), 1, "and a snapshot is written");
	try_close(&t);
	world_free(&w);
}

/* The digest in a log spoilt, the record whole: counted, as ZooKeeper does. */
static void test_digest(void)
{
	const char *dir = temp_dir();
	size_t len, at = 16, n;
	struct world w;
	struct try t;
	u32 l;
	u8 *b;

	world_init(&w, 31);
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	feed(&t, &w, 20);
	disk_flush(t.d);
	try_close(&t);
	b = read_file(file_in(dir, "log.1"), &len);
	for (n = 0; n < 10; n++)
		at += 12 + jute_get32(b + at + 8) + 1;
	l = jute_get32(b + at + 8);
	b[at + 12 + l - 1] ^= 1;
	jute_put64(b + at, adler32(1, b + at + 12, l));
	write_file(file_in(dir, "log.1"), b, len);
	is(try_open(&t, dir), 0, "a wrong digest in the log: %s", t.why);
	is(t.r.digest_mismatches, 1, "is counted");
	is(t.r.zxid, 20, "and passed over");
	try_close(&t);
	free(b);
	world_free(&w);
}

/*
 * A fuzzy snapshot: named by a zxid, it has later transactions' work in part, and
 * the digest of the zxid from which on it is whole.
 */
static void test_fuzzy(void)
{
	const char *dir = temp_dir(), *work = temp_dir();
	struct world w;
	struct try t;
	char from[700];
	int k, bad = 0;

	world_init(&w, 32);
	need(!try_open(&t, dir), "%s", t.why);
	try_start(&t);
	feed(&t, &w, 200);
	disk_flush(t.d);
	need(!disk_snapshot(t.d, t.st, NULL, 0), "snapshot");
	disk_flush(t.d);
	feed(&t, &w, 60);
	disk_flush(t.d);
	try_close(&t);
	/* all of it may be there already: called by an earlier zxid */
	for (k = 1; k < 200; k += 7) {
		char name[40];

		copy_dir(dir, work);
		unlink(file_in(work, "snapshot.0"));
		snprintf(from, sizeof(from), "%s", file_in(work, "snapshot.c8"));
		snprintf(name, sizeof(name), "snapshot.%x", 200 - k);
		need(!rename(from, file_in(work, name)), "rename");
		if (try_open(&t, work) || t.r.zxid != 260 || t.r.digest_mismatches ||
		    compare_stores(w.st, t.st)) {
			printf("# %d behind: %llu mismatches, %s\n", k, t.r.digest_mismatches,
			       t.why);
			bad++;
		}
		try_close(&t);
	}
	is(bad, 0, "snapshots that are ahead of their name, and replay over them");
	world_free(&w);
}

/* ------------------------------------------------------------ bounds */

static void snapshot_head(struct jw *w)
{
	jw_int(w, 0x5a4b534e);
	jw_int(w, 2);
	jw_long(w, -1);
}

/* @what of a snapshot has a length or count of @claim, and nothing behind it. */
static void claim(struct jw *w, int what, s32 n)
{
	snapshot_head(w);
	if (what == 0) {		/* sessions */
		jw_int(w, n);
		return;
	}
	jw_int(w, 0);
	if (what == 1) {		/* ACLs */
		jw_int(w, n);
		return;
	}
	jw_int(w, what <= 3 ? 1 : 0);
	if (what == 2 || what == 3) {	/* entries of an ACL, a scheme in it */
		jw_long(w, 1);
		jw_int(w, what == 2 ? n : 1);
		jw_int(w, 31);
		jw_int(w, n);
		return;
	}
	if (what == 4) {		/* a path */
		jw_int(w, n);
		return;
	}
	jw_int(w, 0);			/* data */
	jw_int(w, n);
}

static void test_claims(void)
{
	static const s32 claims[] = { 0x7fffffff, 0x70000000, 0x10000000, -2, -0x7fffffff };
	const char *dir = temp_dir();
	struct rlimit old, small;
	int what, bad = 0, tried = 0;
	char tail[64] = { 0 };
	struct try t;
	size_t i;

	getrlimit(RLIMIT_AS, &old);
#ifndef __SANITIZE_ADDRESS__
	{
		/* what we have, and not much more */
		char b[100];
		FILE *f = fopen("/proc/self/statm", "r");
		unsigned long pages = 0;

		need(f && fgets(b, sizeof(b), f) && (pages = strtoul(b, NULL, 10)), "statm");
		fclose(f);
		small = old;
		small.rlim_cur = pages * sysconf(_SC_PAGESIZE) + (192UL << 20);
		need(!setrlimit(RLIMIT_AS, &small), "RLIMIT_AS");
	}
#else
	(void)small;
#endif
	need(!try_open(&t, dir), "%s", t.why);
	try_close(&t);
	for (what = 0; what <= 5; what++) {
		for (i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
			struct jw w;

			jw_init(&w, 0);
			claim(&w, what, claims[i]);
			/* a little behind it, so that it is not only the end */
			jw_bytes(&w, tail, sizeof(tail));
			write_file(file_in(dir, "snapshot.5"), w.buf, w.len);
			jw_free(&w);
			unlink(file_in(dir, "snapshot.0"));
			tried++;
			if (try_open(&t, dir) != -EBADMSG) {
				printf("# part %d, %d: %s\n", what, claims[i], t.why);
				bad++;
			}
			try_close(&t);
		}
	}
	is(bad, 0, "%d snapshots that claim gigabytes and hold nothing", tried);

	/* packed, a claim is cheap to back: 300 MB of nothing in 300 KB */
	{
		static const u8 none[1 << 16];
		struct jw w;
		gzFile gz;
		int k;

		jw_init(&w, 0);
		claim(&w, 4, 0x7fffffff);
		gz = gzopen(file_in(dir, "snapshot.6.gz"), "wb1");
		need(gz && gzwrite(gz, w.buf, w.len) == (int)w.len, "gzip");
		for (k = 0; k < 4800; k++)
			need(gzwrite(gz, none, sizeof(none)) == sizeof(none), "gzip");
		need(gzclose(gz) == Z_OK, "gzip");
		jw_free(&w);
		unlink(file_in(dir, "snapshot.5"));
		is(try_open(&t, dir), -EBADMSG, "a path of gigabytes, packed: %s", t.why);
		try_close(&t);
		unlink(file_in(dir, "snapshot.6.gz"));
	}

	bad = 0;
	unlink(file_in(dir, "snapshot.5"));
	need(!try_open(&t, dir), "%s", t.why);
	try_close(&t);
	for (i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		struct jw w;

		jw_init(&w, 0);
		jw_int(&w, 0x5a4b4c47);
		jw_int(&w, 2);
		jw_long(&w, 0);
		jw_long(&w, 0x12345678);
		jw_int(&w, claims[i]);
		memset(tail, 'x', sizeof(tail));
		jw_bytes(&w, tail, sizeof(tail));
		write_file(file_in(dir, "log.1"), w.buf, w.len);
		jw_free(&w);
		if (try_open(&t, dir) == -ENOMEM)
			bad++;
		try_close(&t);
	}
	is(bad, 0, "records that claim gigabytes");
	setrlimit(RLIMIT_AS, &old);
}

/* What recovery finds in a directory, for a script to compare. */
int child_show(const char *dir)
{
	struct store_info info;
	struct try t;
	int rc = try_open(&t, dir);

	if (rc) {
		printf("error=%s\n", t.why);
		return 1;
	}
	t.st->ops->info(t.st, &info);
	printf("zxid=%llu\nnodes=%llu\nsessions=%u\nmismatches=%llu\nephemerals=%llu\n"
	       "data=%llu\nsnapshot=%llu\n",
	       t.r.zxid, info.stats.nodes, t.r.n_sessions, t.r.digest_mismatches,
	       info.stats.ephemerals, info.stats.data_bytes, t.r.snapshot_zxid);
	try_close(&t);
	return 0;
}

void test_recover(void)
{
	test_sessions();
	test_missing();
	test_digest();
	test_fuzzy();
	test_claims();
}
