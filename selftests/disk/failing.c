// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each call that writes or reads fails at each time that it is made, in turn, with
 * each error that it may give: what was said to be durable is there at the next
 * start, and nothing that was not appended; a disk that got room again takes writes
 * again; a file whose fdatasync() failed is never touched again.
 */
#include "selftests/disk/common.h"
#include "selftests/disk/faults.h"

#include <fcntl.h>
#include <unistd.h>

#define TXNS	60
#define MOST	400		/* times a call is made, surely */

struct story {
	const char *base;	/* a directory with a few transactions */
	const char *work;
	struct txn *txns[TXNS];	/* what follows them */
	struct world w;
	u64 first;		/* zxid of txns[0] */
};

static void story_make(struct story *s)
{
	struct try t;
	int i;

	memset(s, 0, sizeof(*s));
	s->base = temp_dir();
	s->work = temp_dir();
	world_init(&s->w, 70);
	need(!try_open(&t, s->base), "%s", t.why);
	try_start(&t);
	feed(&t, &s->w, 20);
	disk_flush(t.d);
	try_close(&t);
	s->first = s->w.zxid + 1;
	for (i = 0; i < TXNS; i++)
		s->txns[i] = world_next(&s->w);
}

static void story_free(struct story *s)
{
	int i;

	for (i = 0; i < TXNS; i++)
		txn_put(s->txns[i]);
	world_free(&s->w);
}

/* What was durable goes into the tree, as the core does it. */
static void follow(struct story *s, struct try *t, u64 *applied)
{
	u64 durable = __atomic_load_n(&t->durable, __ATOMIC_ACQUIRE);
	struct zk_txn zk;
	int err;

	for (; *applied < durable; ++*applied) {
		txn_to_zk(s->txns[*applied + 1 - s->first], &zk);
		need(t->st->ops->apply(t->st, &zk, 1, NULL, &err) == 1, "apply");
	}
}

/*
 * Appends all, from the last durable one anew after each failure; a snapshot on the
 * way. @room: the want of it ends. Returns the last zxid that was durable, ~0: it
 * did not come back.
 */
static u64 play(struct story *s, struct try *t, bool room, u64 *sent)
{
	u64 applied = s->first - 1, at = s->first;
	int fails = 0, rc;

	__atomic_store_n(&t->durable, applied, __ATOMIC_RELEASE);
	*sent = applied;
	while (at < s->first + TXNS) {
		u64 end = at + 4 < s->first + TXNS ? at + 4 : s->first + TXNS;

		for (; at < end; at++)
			disk_append(t->d, s->txns[at - s->first]);
		if (*sent < at - 1)
			*sent = at - 1;
		disk_flush(t->d);
		follow(s, t, &applied);
		if (__atomic_load_n(&t->err, __ATOMIC_ACQUIRE)) {
			if (room)
				fault_disarm();
			__atomic_store_n(&t->err, 0, __ATOMIC_RELEASE);
			rc = disk_retry(t->d);
			if (rc == -EIO || ++fails > 3)
				break;
			at = applied + 1;
		}
		/* some fail, none may do harm */
		if (applied >= s->first + 20 && applied < s->first + 40)
			disk_snapshot(t->d, t->st, NULL, 0);
	}
	disk_flush(t->d);
	return applied;
}

/* The directory after it all, without faults: 0, or what is wrong with it. */
static const char *look_after(struct story *s, u64 durable, u64 sent)
{
	static char text[700];
	struct try t;
	int rc;

	rc = try_open(&t, s->work);
	text[0] = '\0';
	if (rc)
		snprintf(text, sizeof(text), "does not start: %s", t.why);
	else if (t.r.zxid < durable || t.r.zxid > sent)
		snprintf(text, sizeof(text), "has 0x%llx; durable was 0x%llx, sent 0x%llx",
			 t.r.zxid, durable, sent);
	else if (t.r.digest_mismatches)
		snprintf(text, sizeof(text), "digests differ");
	else if (count_files(s->work, ".snapshot."))
		snprintf(text, sizeof(text), "half a snapshot is left");
	try_close(&t);
	return text[0] ? text : NULL;
}

/* One run: 1 when the fault came to be, 0 when there were not so many calls. */
static int one(struct story *s, enum fault_call call, int nth, int err, int times, int *bad)
{
	bool room = err == ENOSPC || err == EDQUOT, all;
	const char *wrong = NULL;
	u64 durable, sent;
	struct try t;
	int fired;

	copy_dir(s->base, s->work);
	need(!try_open(&t, s->work), "%s", t.why);
	fault_arm(call, nth, err, times);
	try_start(&t);
	durable = play(s, &t, room, &sent);
	fault_disarm();
	try_close(&t);
	fired = fault_fired();
	all = durable == s->first + TXNS - 1;
	/* whatever it was, but a write or a sync of the log, is got over */
	if (!all && (!err || (room && call != FAULT_FDATASYNC && call != FAULT_FSYNC)))
		wrong = "it did not go on";
	else if (fault_distrusted())
		wrong = "a file was used whose fdatasync() had failed";
	else
		wrong = look_after(s, durable, sent);
	if (wrong) {
		printf("# %s %d, error %d: %s\n", fault_names[call], nth, err, wrong);
		++*bad;
	}
	return fired > 0;
}

static void sweep(struct story *s, enum fault_call call, int err, int times)
{
	int nth, bad = 0, step = 1;

	for (nth = 1; nth < MOST && bad < 5; nth += step) {
		if (!one(s, call, nth, err, times, &bad))
			break;
	}
	ok(!bad && nth > 1, "%s: %s, all of %d times%s", fault_names[call],
	   err ? strerror(err) : "writes a part", nth - 1, times < 0 ? " and from then on" : "");
}

static void test_writing(void)
{
	static const struct {
		enum fault_call call;
		int err, times;
	} cases[] = {
		{ FAULT_PWRITE, ENOSPC, 1 }, { FAULT_PWRITE, ENOSPC, -1 },
		{ FAULT_PWRITE, EDQUOT, -1 }, { FAULT_PWRITE, EIO, 1 },
		{ FAULT_PWRITE, 0, -1 }, { FAULT_WRITE, ENOSPC, 1 },
		{ FAULT_WRITE, EIO, -1 }, { FAULT_WRITE, 0, -1 },
		{ FAULT_FDATASYNC, EIO, 1 }, { FAULT_FDATASYNC, ENOSPC, 1 },
		{ FAULT_FSYNC, EIO, 1 }, { FAULT_FSYNC, EIO, -1 },
		{ FAULT_FALLOCATE, ENOSPC, -1 }, { FAULT_FALLOCATE, EIO, 1 },
		{ FAULT_OPENAT, EMFILE, 1 }, { FAULT_OPENAT, ENOSPC, -1 },
		{ FAULT_RENAMEAT, EIO, -1 },
	};
	struct story s;
	size_t i;

	story_make(&s);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		sweep(&s, cases[i].call, cases[i].err, cases[i].times);
	story_free(&s);
}

/* At start: an error that names the file, or all is read; nothing is harmed. */
static void test_reading(void)
{
	static const enum fault_call calls[] = {
		FAULT_READ, FAULT_PREAD, FAULT_OPENAT, FAULT_FTRUNCATE, FAULT_UNLINKAT,
		FAULT_FDATASYNC,
	};
	const char *base = temp_dir(), *work = temp_dir();
	struct world w;
	struct try t;
	size_t i;
	int fd;

	world_init(&w, 71);
	need(!try_open(&t, base), "%s", t.why);
	try_start(&t);
	feed(&t, &w, 60);
	disk_flush(t.d);
	need(!disk_snapshot(t.d, t.st, NULL, 0), "snapshot");
	feed(&t, &w, 60);
	disk_flush(t.d);
	try_close(&t);
	/* an unfinished write, to be cut off */
	fd = open(newest(base, "log."), O_RDWR);
	need(fd >= 0, "open");
	{
		const u8 head[12] = { 0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 1, 0 };
		size_t len, at = 16;
		u8 *b = read_file(newest(base, "log."), &len);

		while (jute_get32(b + at + 8))
			at += 12 + jute_get32(b + at + 8) + 1;
		free(b);
		need(pwrite(fd, head, sizeof(head), at) == sizeof(head), "pwrite");
	}
	close(fd);
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		int nth, bad = 0, refused = 0, fired = 1;

		for (nth = 1; fired && nth < MOST && bad < 5; nth++) {
			int rc;

			copy_dir(base, work);
			fault_arm(calls[i], nth, EIO, 1);
			rc = try_open(&t, work);
			fired = fault_fired();
			fault_disarm();
			refused += rc != 0;
			if (rc ? !strstr(t.why, work) : t.r.zxid != 120) {
				printf("# %s %d: %d, zxid %llu: %s\n", fault_names[calls[i]],
				       nth, rc, t.r.zxid, t.why);
				bad++;
			}
			try_close(&t);
			if (!bad && (try_open(&t, work) || t.r.zxid != 120)) {
				printf("# %s %d: afterwards: %s\n", fault_names[calls[i]], nth,
				       t.why);
				bad++;
			}
			if (t.d)
				try_close(&t);
		}
		ok(!bad, "at start, %s: EIO, each of %d times; %d refused",
		   fault_names[calls[i]], nth - 2, refused);
	}
	world_free(&w);
}

void test_failing(void)
{
	test_writing();
	test_reading();
}
