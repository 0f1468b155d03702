// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions, with a clock of the test's own.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/server/session.h"
#include "selftests/core/core.h"

#define TICK	100

/* From an Apache ZooKeeper 3.8.0: ids and the passwords it gave out. */
static const struct {
	u64 id;
	u8 passwd[ZK_PASSWD_LEN];
} known[] = {
	{ 0x100003884150000ULL, { 0xa1, 0xdd, 0x6f, 0x06, 0x1a, 0x35, 0xc1, 0xf9,
				  0xe7, 0xc3, 0xf1, 0x14, 0xf3, 0x3b, 0x88, 0xa1 } },
	{ 0x100003884150001ULL, { 0xb4, 0xfe, 0x69, 0x06, 0xba, 0x80, 0xa0, 0x3e,
				  0xdc, 0x06, 0x59, 0x40, 0xc7, 0xc4, 0x9c, 0x6e } },
};

void test_passwords(void)
{
	u8 p[ZK_PASSWD_LEN];

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		session_passwd(known[i].id, p);
		check(!memcmp(p, known[i].passwd, sizeof(p)));
	}
}

void test_session_ids(void)
{
	struct sessions *ss = sessions_new(TICK, 1, 1700000000000ULL, 0);
	u64 first = session_first_id(1, 1700000000000ULL);
	struct sessions *other;
	struct sess *s;

	check_eq(first >> 56, 1);
	check_eq(first & 0xffff, 0);
	check_eq(session_first_id(0x80, 0), (1ULL << 63) + 1);
	/* one that is there already is not given out again */
	check(session_restore(ss, first + 1, 1000, 0) != NULL);
	check(!session_restore(ss, first + 1, 1000, 0));
	s = session_create(ss, 1000, 0);
	check_eq(s->pub.id, first);
	s = session_create(ss, 1000, 0);
	check_eq(s->pub.id, first + 2);
	check_eq(sessions_total(ss), 3);
	check_eq(sessions_count(ss), 0);
	s->committed = true;
	check_eq(sessions_count(ss), 1);
	for (int i = 0; i < 5000; i++)
		session_create(ss, 1000, 0);
	for (int i = 0; i < 5000; i++)
		check(session_find(ss, first + 3 + i) != NULL);
	other = sessions_new(TICK, 0, 0, 0);
	check_eq(session_new_id(ss), first + 5003);
	session_move(ss, other, s);
	check(!session_find(ss, first + 2));
	check(session_find(other, first + 2) == s);
	check_eq(sessions_total(other), 1);
	session_move(other, ss, s);
	check(session_find(ss, first + 2) == s);
	check_eq(sessions_total(other), 0);
	sessions_free(other);
	/* the memory of one that has users stays until they are gone */
	s->users = 2;
	session_end(ss, s);
	check(!session_find(ss, first + 2));
	check(s->ended && s->pub.closing);
	session_unuse(s);
	check(s->ended);
	session_unuse(s);
	sessions_free(ss);
}

struct expired {
	struct sessions *ss;
	u64 now;
	u64 *heard;
	s32 *timeout;
	bool *gone;
	u64 first;
	u32 n;
};

/* SessionTrackerImpl: at the end of the tick in which timeout after the last sign
 * of life falls. */
static u64 due(u64 heard, s32 timeout)
{
	return ((heard + timeout) / TICK + 1) * TICK;
}

static void on_expired(void *arg, struct sess *s)
{
	struct expired *e = arg;
	u64 i = s->pub.id - e->first;

	check(s->pub.closing);
	check(!e->gone[i]);
	check(due(e->heard[i], e->timeout[i]) <= e->now);
	e->gone[i] = true;
	e->n++;
	session_end(e->ss, s);
}

void test_expiry(void)
{
	enum { N = 2000 };
	static u64 heard[N];
	static s32 timeout[N];
	static bool gone[N];
	struct expired e = { .heard = heard, .timeout = timeout, .gone = gone };
	static struct sess *s[N];
	u64 now = 12345;
	u32 before;

	e.ss = sessions_new(TICK, 1, 1, now);
	e.first = session_first_id(1, 1);
	for (int i = 0; i < N; i++) {
		timeout[i] = 2 * TICK + rnd(18 * TICK);
		heard[i] = now;
		s[i] = session_create(e.ss, timeout[i], now);
	}
	for (int step = 0; step < 3000; step++) {
		now += rnd(TICK / 2);
		/* half of them are alive, as their I/O threads note */
		for (int k = 0; k < 100 && step < 2000; k++) {
			int i = rnd(N / 2);

			if (gone[i])
				continue;
			heard[i] = now;
			__atomic_store_n(&s[i]->pub.heard_ms, now, __ATOMIC_RELAXED);
		}
		if (rnd(10) == 0) {
			int i = rnd(N);

			if (!gone[i]) {
				timeout[i] = 2 * TICK + rnd(18 * TICK);
				heard[i] = now;
				session_touch(e.ss, s[i], timeout[i], now);
			}
		}
		e.now = now;
		for (before = e.n; sessions_next_ms(e.ss) <= now; before = e.n) {
			u32 room = 1 + rnd(4);

			sessions_expire(e.ss, now, 3, room, on_expired, &e);
			check(e.n - before <= 3 && e.n - before <= room);
		}
		check(sessions_next_ms(e.ss) > now && sessions_next_ms(e.ss) <= now + TICK);
		for (int i = 0; i < N; i++)
			if (!gone[i] && due(heard[i], timeout[i]) <= now)
				check(!"expired in its tick");
	}
	check_eq(e.n, N);
	check_eq(sessions_total(e.ss), 0);
	sessions_free(e.ss);
}

void test_expiry_far(void)
{
	static u64 heard[3];
	static s32 timeout[3] = { 1000 * TICK, 5 * TICK, 2000000000 };
	static bool gone[3];
	struct expired e = { .heard = heard, .timeout = timeout, .gone = gone };
	struct sess *s;

	e.ss = sessions_new(TICK, 1, 1, 0);
	e.first = session_first_id(1, 1);
	for (int i = 0; i < 3; i++)
		session_create(e.ss, timeout[i], 0);
	for (u64 now = 0; now < due(0, 1000 * TICK); now += TICK / 2) {
		e.now = now;
		sessions_expire(e.ss, now, ~0U, ~0U, on_expired, &e);
		check_eq(gone[1], now >= due(0, 5 * TICK));
		check(!gone[0]);
	}
	e.now = due(0, 1000 * TICK);
	sessions_expire(e.ss, e.now, ~0U, ~0U, on_expired, &e);
	check(gone[0]);
	/* one that closes does not expire; reopened it has its timeout again */
	s = session_find(e.ss, e.first + 2);
	session_closing(s);
	e.now = 3000000000ULL;
	sessions_expire(e.ss, e.now, ~0U, ~0U, on_expired, &e);
	check(!gone[2]);
	heard[2] = e.now;
	session_reopen(e.ss, s, e.now);
	/* a stop of days: all buckets are looked at at once */
	e.now = 4999999999ULL;
	sessions_expire(e.ss, e.now, ~0U, ~0U, on_expired, &e);
	check(!gone[2]);
	e.now = 9000000000ULL;
	sessions_expire(e.ss, e.now, ~0U, 0, on_expired, &e);
	check(!gone[2] && sessions_next_ms(e.ss) <= e.now);
	sessions_expire(e.ss, e.now, ~0U, ~0U, on_expired, &e);
	check(gone[2]);
	sessions_free(e.ss);
}
