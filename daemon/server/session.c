// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions and their expiry: see session.h.
 *
 * The buckets are a wheel of ticks. A session whose time lies beyond the wheel's
 * horizon sits in the farthest bucket and is placed anew when that comes up.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/server/session.h"

#define WHEEL		256	/* buckets; the usual longest timeout is 20 ticks */
#define BUCKETS_MIN	256
#define HORIZON		(WHEEL - 2)	/* never the bucket that was just emptied */
#define SUPER_SECRET	0xb3415c00ULL

struct sessions {
	u64 key;
	struct sess **buckets;
	u32 n_buckets;
	u32 n;
	u32 tick_ms;
	u64 next_id;
	u64 next_tick;		/* the tick whose end is waited for */
	struct list_head wheel[WHEEL];
};

/* java.util.Random(seed).nextBytes(), 16 of them */
void session_passwd(u64 id, u8 out[ZK_PASSWD_LEN])
{
	const u64 mult = 0x5deece66dULL, mask = (1ULL << 48) - 1;
	u64 seed = (id ^ SUPER_SECRET ^ mult) & mask;

	for (int i = 0; i < ZK_PASSWD_LEN; i += 4) {
		u32 rnd;

		seed = (seed * mult + 0xb) & mask;
		rnd = seed >> 16;
		for (int j = 0; j < 4; j++, rnd >>= 8)
			out[i + j] = rnd;
	}
}

u64 session_first_id(u64 server_id, u64 ms)
{
	u64 id = (ms << 24) >> 8 | server_id << 56;

	return id == ZK_OWNER_CONTAINER ? id + 1 : id;
}

struct sessions *sessions_new(u32 tick_ms, u64 server_id, u64 wall_ms, u64 now_ms)
{
	struct sessions *ss = calloc(1, sizeof(*ss));

	if (!ss)
		return NULL;
	ss->buckets = calloc(BUCKETS_MIN, sizeof(*ss->buckets));
	if (!ss->buckets) {
		free(ss);
		return NULL;
	}
	ss->key = hash_key();
	ss->n_buckets = BUCKETS_MIN;
	ss->tick_ms = tick_ms;
	ss->next_id = session_first_id(server_id, wall_ms);
	ss->next_tick = now_ms / tick_ms + 1;
	for (u32 i = 0; i < WHEEL; i++)
		INIT_LIST_HEAD(&ss->wheel[i]);
	return ss;
}

void sessions_free(struct sessions *ss)
{
	struct sess *s, *next;

	if (!ss)
		return;
	for (u32 i = 0; i < ss->n_buckets; i++) {
		for (s = ss->buckets[i]; s; s = next) {
			next = s->next;
			free(s);
		}
	}
	free(ss->buckets);
	free(ss);
}

static struct sess **slot_of(struct sessions *ss, u64 id)
{
	struct sess **p = &ss->buckets[hash_u64(ss->key, id) & (ss->n_buckets - 1)];

	while (*p && (*p)->pub.id != id)
		p = &(*p)->next;
	return p;
}

struct sess *session_find(struct sessions *ss, u64 id)
{
	return *slot_of(ss, id);
}

static void grow(struct sessions *ss)
{
	u32 n = ss->n_buckets * 2;
	struct sess **b = calloc(n, sizeof(*b)), *s, *next;

	if (!b)
		return;
	for (u32 i = 0; i < ss->n_buckets; i++) {
		for (s = ss->buckets[i]; s; s = next) {
			struct sess **p = &b[hash_u64(ss->key, s->pub.id) & (n - 1)];

			next = s->next;
			s->next = *p;
			*p = s;
		}
	}
	free(ss->buckets);
	ss->buckets = b;
	ss->n_buckets = n;
}

/* Into the bucket of the tick in which it is due; never one that has passed. */
static void place(struct sessions *ss, struct sess *s)
{
	u64 heard = __atomic_load_n(&s->pub.heard_ms, __ATOMIC_RELAXED);
	u64 tick = (heard + s->pub.timeout) / ss->tick_ms + 1;

	if (tick < ss->next_tick)
		tick = ss->next_tick;
	if (tick > ss->next_tick + HORIZON)
		tick = ss->next_tick + HORIZON;
	list_del_init(&s->due);
	list_add_tail(&s->due, &ss->wheel[tick % WHEEL]);
}

static void insert(struct sessions *ss, struct sess *s)
{
	struct sess **slot = slot_of(ss, s->pub.id);

	place(ss, s);
	s->next = NULL;
	*slot = s;
	if (++ss->n > ss->n_buckets)
		grow(ss);
}

struct sess *session_restore(struct sessions *ss, u64 id, s32 timeout, u64 now_ms)
{
	struct sess *s;

	if (session_find(ss, id))
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->pub.id = id;
	s->pub.timeout = timeout;
	s->pub.heard_ms = now_ms;
	INIT_LIST_HEAD(&s->due);
	insert(ss, s);
	return s;
}

u64 session_new_id(struct sessions *ss)
{
	while (session_find(ss, ss->next_id))
		ss->next_id++;
	return ss->next_id++;
}

struct sess *session_create(struct sessions *ss, s32 timeout, u64 now_ms)
{
	return session_restore(ss, session_new_id(ss), timeout, now_ms);
}

void session_touch(struct sessions *ss, struct sess *s, s32 timeout, u64 now_ms)
{
	__atomic_store_n(&s->pub.heard_ms, now_ms, __ATOMIC_RELAXED);
	s->pub.timeout = timeout;
	if (!s->pub.closing)
		place(ss, s);
}

void session_closing(struct sess *s)
{
	__atomic_store_n(&s->pub.closing, true, __ATOMIC_RELAXED);
	list_del_init(&s->due);
}

void session_reopen(struct sessions *ss, struct sess *s, u64 now_ms)
{
	__atomic_store_n(&s->pub.closing, false, __ATOMIC_RELAXED);
	s->ending = false;
	session_touch(ss, s, s->pub.timeout, now_ms);
}

int session_renew(struct sessions *ss, struct sess *s)
{
	struct sess **slot = slot_of(ss, s->pub.id), *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->pub.id = s->pub.id;
	n->pub.timeout = s->pub.timeout;
	n->pub.heard_ms = __atomic_load_n(&s->pub.heard_ms, __ATOMIC_RELAXED);
	n->committed = s->committed;
	INIT_LIST_HEAD(&n->due);
	session_closing(s);
	n->next = s->next;
	*slot = n;
	s->ended = true;
	s->client = NULL;
	if (!s->users)
		free(s);
	place(ss, n);
	return 0;
}

static void take_out(struct sessions *ss, struct sess *s)
{
	struct sess **slot = slot_of(ss, s->pub.id);

	*slot = s->next;
	ss->n--;
	list_del_init(&s->due);
}

void session_move(struct sessions *from, struct sessions *to, struct sess *s)
{
	take_out(from, s);
	insert(to, s);
}

void session_end(struct sessions *ss, struct sess *s)
{
	session_closing(s);
	take_out(ss, s);
	s->ended = true;
	s->client = NULL;
	if (!s->users)
		free(s);
}

void sessions_clear(struct sessions *ss)
{
	for (u32 i = 0; i < ss->n_buckets; i++)
		while (ss->buckets[i])
			session_end(ss, ss->buckets[i]);
}

void sessions_prune(struct sessions *ss)
{
	struct sess *s, *next;

	for (u32 i = 0; i < ss->n_buckets; i++) {
		for (s = ss->buckets[i]; s; s = next) {
			next = s->next;
			if (!s->committed)
				session_end(ss, s);
		}
	}
}

void session_unuse(struct sess *s)
{
	if (!--s->users && s->ended)
		free(s);
}

/* One bucket, of the tick that ended. False: @max or @room are not enough for it. */
static bool expire_bucket(struct sessions *ss, struct list_head *due, u64 passed, u32 *max,
			  u32 *room, void (*fn)(void *arg, struct sess *s), void *arg)
{
	while (!list_empty(due)) {
		struct sess *s = list_first_entry(due, struct sess, due);
		u64 heard = __atomic_load_n(&s->pub.heard_ms, __ATOMIC_RELAXED);

		if (!*max)
			return false;
		--*max;
		if ((heard + s->pub.timeout) / ss->tick_ms + 1 > passed) {
			place(ss, s);
			continue;
		}
		if (!*room)
			return false;
		--*room;
		session_closing(s);
		fn(arg, s);
	}
	return true;
}

void sessions_expire(struct sessions *ss, u64 now_ms, u32 max, u32 room,
		     void (*fn)(void *arg, struct sess *s), void *arg)
{
	u64 passed = now_ms / ss->tick_ms;

	/* After a long stop. */
	if (passed >= ss->next_tick + WHEEL)
		ss->next_tick = passed - WHEEL + 1;	/* each bucket once */
	while (ss->next_tick <= passed) {
		/* nothing is put into a bucket while it is being emptied */
		struct list_head *due = &ss->wheel[ss->next_tick++ % WHEEL];

		if (!expire_bucket(ss, due, passed, &max, &room, fn, arg)) {
			ss->next_tick--;
			return;
		}
	}
}

u64 sessions_next_ms(const struct sessions *ss)
{
	return ss->next_tick * ss->tick_ms;
}

u32 sessions_some(struct sessions *ss, u32 cursor, u32 n,
		  void (*fn)(void *arg, struct sess *s), void *arg)
{
	do {
		for (struct sess *s = ss->buckets[cursor & (ss->n_buckets - 1)]; s; s = s->next)
			fn(arg, s);
		cursor = hash_cursor_next(cursor, ss->n_buckets);
	} while (cursor && --n);
	return cursor;
}

void sessions_each(struct sessions *ss, void (*fn)(void *arg, struct sess *s), void *arg)
{
	for (u32 i = 0; i < ss->n_buckets; i++)
		for (struct sess *s = ss->buckets[i]; s; s = s->next)
			fn(arg, s);
}

void sessions_replace(struct sessions *ss, void (*fn)(void *arg, struct sess *s), void *arg)
{
	struct sess *s, *next;

	for (u32 i = 0; i < ss->n_buckets; i++) {
		for (s = ss->buckets[i]; s; s = next) {
			next = s->next;
			fn(arg, s);
		}
	}
}

u32 sessions_total(const struct sessions *ss)
{
	return ss->n;
}

u32 sessions_count(const struct sessions *ss)
{
	u32 n = 0;

	for (u32 i = 0; i < ss->n_buckets; i++)
		for (struct sess *s = ss->buckets[i]; s; s = s->next)
			n += s->committed;
	return n;
}

u32 sessions_list(const struct sessions *ss, struct disk_session *out)
{
	u32 n = 0;

	for (u32 i = 0; i < ss->n_buckets; i++) {
		for (struct sess *s = ss->buckets[i]; s; s = s->next) {
			if (!s->committed)
				continue;
			out[n].id = s->pub.id;
			out[n++].timeout = s->pub.timeout;
		}
	}
	return n;
}
