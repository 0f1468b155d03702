// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rounds that confirm who leads, packet by packet.
 */
#include <stdlib.h>
#include <string.h>

#include "selftests/zab/wire.h"

#define Z(e, n)	ZXID(e, n)

static void tick(struct zab *z)
{
	check(!wire_event(z, ZAB_EV_TICK, 0, 0));
}

static void pong(struct zab *z, u64 link)
{
	check(!wire_packet(z, link, ZP_PING, Z(4, 0), "", 0));
}

/* It leads epoch 4 with server 2 on link 2, and with 3 on link 3. */
static struct zab *leader_of_three(void)
{
	struct zab *z = wire_new(Z(3, 2), 3, 3, 500);

	wire_lead(z);
	wire_info(z, 3, 3, 4);
	wire_ackepoch(z, 3, 3, Z(3, 2));
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 0), NULL, -1));
	wire_skip(z);
	return z;
}

void test_confirm_leader(void)
{
	struct zab *z = leader_of_three();
	u64 first = zab_confirm(z);

	/* whoever asks until it begins is in it, for one PING and one answer each */
	for (int i = 0; i < 1000; i++)
		check_eq(zab_confirm(z), first);
	check_eq(zab_deadline(z), z->now);
	tick(z);
	wire_expect(z, ">2:PING 300000002, >3:PING 300000002");
	check(zab_deadline(z) > z->now);
	/* who comes later is not */
	check_eq(zab_confirm(z), first + 1);
	check_eq(zab_confirm(z), first + 1);
	tick(z);
	wire_expect(z, "");
	/* an answer makes a majority of three; the next round begins at once */
	pong(z, 3);
	wire_expect(z, "confirmed 1, >2:PING 300000002, >3:PING 300000002");
	/* this is the answer to the first one's PING */
	pong(z, 2);
	wire_expect(z, "");
	pong(z, 2);
	wire_expect(z, "confirmed 2");
	pong(z, 3);
	tick(z);
	wire_expect(z, "");

	/* PINGs of every half tick are answered too, and not taken for a round's */
	check(!zab_step(z, &(struct zab_event){ .type = ZAB_EV_TICK, .now_ms = zab_deadline(z) }));
	wire_expect(z, ">2:PING 300000002, >3:PING 300000002");
	check_eq(zab_confirm(z), 3);
	tick(z);
	wire_expect(z, ">2:PING 300000002, >3:PING 300000002");
	pong(z, 2);
	pong(z, 3);
	wire_expect(z, "");
	/* one that comes anew is asked, another's answer went with its link */
	check(!wire_event(z, ZAB_EV_LINK_DOWN, 3, 0));
	wire_info(z, 0x33, 3, 4);
	wire_ackepoch(z, 0x33, -1, Z(3, 2));
	wire_skip(z);
	check(!wire_packet(z, 0x33, ZP_ACK, Z(4, 0), NULL, -1));
	wire_expect(z, ">33:UPTODATE ffffffffffffffff, >33:PING 300000002");
	pong(z, 0x33);
	wire_expect(z, "confirmed 3");

	/* an observer is not asked; a leader that is none any more answers nobody */
	wire_info(z, 4, 4, 4);
	wire_ackepoch(z, 4, -1, Z(3, 2));
	check(!wire_packet(z, 4, ZP_ACK, Z(4, 0), NULL, -1));
	wire_skip(z);
	check_eq(zab_confirm(z), 4);
	tick(z);
	wire_expect(z, ">2:PING 300000002, >33:PING 300000002");
	check(!wire_event(z, ZAB_EV_DISK_FAILED, 0, 0));
	wire_skip(z);
	check_eq(zab_confirm(z), 0);
	tick(z);
	wire_expect(z, "");
	wire_free(z);
}

/* A learner's question: SYNC behind what is committed, not behind what is outstanding. */
void test_confirm_asked(void)
{
	static const u8 ask[21] = { [15] = 9, [20] = 1 }, sync[20] = { [15] = 9 };
	static const u8 path[23] = { [15] = 9, [19] = 2, [20] = 1, [21] = 1 };
	struct zab *z = leader_of_three();

	check(!wire_packet(z, 2, ZP_REQUEST, ~0ULL, ask, 21));
	/* the first one from there: it is told that it will be answered */
	wire_expect(z, ">2:SYNC ffffffffffffffff, >2:PING 300000002, >3:PING 300000002");
	check(!wire_packet(z, 3, ZP_REQUEST, ~0ULL, ask, 21));
	wire_expect(z, ">3:SYNC ffffffffffffffff");
	check(!wire_propose(z, Z(4, 1)));
	wire_skip(z);
	/* 3's came when the round was under way */
	pong(z, 3);
	wire_expect(z, ">2:SYNC 400000000, confirmed 1, >2:PING 400000001, >3:PING 400000001");
	/* one of a client's waits for what is outstanding, and none waits for the other */
	check(!wire_packet(z, 2, ZP_REQUEST, ~0ULL, sync, 20));
	check(!wire_packet(z, 2, ZP_REQUEST, ~0ULL, ask, 21));
	wire_expect(z, "");
	pong(z, 3);
	wire_expect(z, ">3:SYNC 400000000, confirmed 2, >2:PING 400000001, >3:PING 400000001");
	pong(z, 3);
	wire_expect(z, ">2:SYNC 400000000, confirmed 3");
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 1)));
	check(!wire_packet(z, 2, ZP_ACK, Z(4, 1), NULL, -1));
	wire_expect(z, ">2:COMMIT 400000001, >3:COMMIT 400000001, commit 400000001, >2:SYNC 0");
	/* a path is not the byte behind it; nor is a path that is cut */
	check(!wire_packet(z, 2, ZP_REQUEST, ~0ULL, path, 22));
	check(!wire_packet(z, 2, ZP_REQUEST, ~0ULL, path, 21));
	check(!wire_packet(z, 2, ZP_REQUEST, ~0ULL, path, 16));
	wire_expect(z, ">2:SYNC 0, >2:SYNC 0, >2:SYNC 0");
	check(!wire_packet(z, 2, ZP_REQUEST, ~0ULL, path, 23));
	wire_expect(z, ">2:SYNC 0");
	/* an observer asks, and is not asked */
	wire_info(z, 4, 4, 4);
	wire_ackepoch(z, 4, -1, Z(3, 2));
	wire_skip(z);
	check(!wire_packet(z, 4, ZP_ACK, Z(4, 0), NULL, -1));
	wire_skip(z);
	check(!wire_packet(z, 4, ZP_REQUEST, ~0ULL, ask, 21));
	wire_expect(z, ">4:SYNC ffffffffffffffff, >2:PING 400000001, >3:PING 400000001");
	wire_free(z);
}

static void prepare(struct zab_packet *p, u8 *body)
{
	memset(body, 0, 20);
	body[15] = 9;
	*p = (struct zab_packet){ .type = ZP_REQUEST, .data = body, .len = 20 };
}

/* A follower of epoch 4 that is up to date, with a tag of its own. */
static struct zab *follower(u64 *out)
{
	struct zab *z = wire_new(Z(3, 2), 3, 3, 500);

	z->p.chance = 0xabcd00;
	*out = wire_follow(z, 4);
	check(!wire_packet(z, *out, ZP_DIFF, Z(3, 2), NULL, -1));
	check(!wire_packet(z, *out, ZP_NEWLEADER, Z(4, 0), NULL, -1));
	check_eq(zab_confirm(z), 0);
	check(!wire_packet(z, *out, ZP_UPTODATE, ~0ULL, NULL, -1));
	wire_skip(z);
	return z;
}

void test_confirm_learner(void)
{
	struct zab_packet sync;
	u8 body[20];
	u64 out;
	struct zab *z = follower(&out);

	prepare(&sync, body);
	/* a client's SYNC is before it, another one behind it */
	check(!zab_sync(z, &sync));
	check_eq(zab_confirm(z), 1);
	check_eq(zab_confirm(z), 1);
	tick(z);
	check(!zab_sync(z, &sync));
	wire_expect(z, ">out:REQUEST 0 [0000000000000000000000000000000900000000], "
		       ">out:REQUEST ffffffffffffffff +21, "
		       ">out:REQUEST 0 [0000000000000000000000000000000900000000]");
	check_eq(zab_confirm(z), 2);
	tick(z);
	/* in whatever order they are answered, once it is known who answers */
	check(!wire_packet(z, out, ZP_SYNC, ~0ULL, NULL, -1));
	wire_expect(z, "");
	check(!wire_packet(z, out, ZP_SYNC, 0, NULL, -1));
	check(!wire_packet(z, out, ZP_SYNC, 0, NULL, -1));
	wire_expect(z, "synced, synced");
	check(!wire_packet(z, out, ZP_SYNC, Z(4, 0), NULL, -1));
	wire_expect(z, "confirmed 1, >out:REQUEST ffffffffffffffff +21");
	check(!wire_packet(z, out, ZP_SYNC, Z(4, 0), NULL, -1));
	wire_expect(z, "confirmed 2");
	/* nobody answers when the leader is lost */
	check_eq(zab_confirm(z), 3);
	tick(z);
	wire_skip(z);
	check(!wire_event(z, ZAB_EV_LINK_DOWN, out, 0));
	check_eq(zab_confirm(z), 0);
	wire_expect(z, "fail 300000002, state 0/0");
	wire_free(z);
}

/* A transaction of type error. */
static struct txn *error_txn(u64 zxid, u64 session, s32 cxid)
{
	const char *why = "";
	struct txn *t = NULL;
	struct jw w;

	jw_init(&w, 0);
	jw_long(&w, session);
	jw_int(&w, cxid);
	jw_long(&w, zxid);
	jw_long(&w, 0);
	jw_int(&w, -1);
	jw_int(&w, -8);
	check(!txn_decode(w.buf, w.len, &t, &why));
	jw_free(&w);
	return t;
}

/* An Apache leader's SYNC says nothing: then a transaction that comes back does. */
void test_confirm_plain(void)
{
	u64 out;
	struct zab *z = follower(&out);
	u64 own = 1ULL << 56 | 0xabcd;
	struct zab_packet sync;
	u8 body[20];

	/* it answers in order: a client's, this, a client's */
	prepare(&sync, body);
	check(!zab_sync(z, &sync));
	check_eq(zab_confirm(z), 1);
	tick(z);
	check(!zab_sync(z, &sync));
	wire_skip(z);
	check(!wire_packet(z, out, ZP_SYNC, 0, NULL, -1));
	wire_expect(z, "synced");
	check(!wire_packet(z, out, ZP_SYNC, 0, NULL, -1));
	wire_expect(z, ">out:REQUEST ffffffffffffffff +28");
	check(!wire_packet(z, out, ZP_SYNC, 0, NULL, -1));
	wire_expect(z, "synced");
	/* it is agreed, and not another one's, nor one of before */
	for (u64 i = 1; i <= 4; i++) {
		struct txn *t = error_txn(Z(4, i), i == 2 ? own + 1 : own, i == 4 ? 1 : i + 1);

		check(!wire_packet(z, out, ZP_PROPOSAL, Z(4, i), t->bytes, t->len));
		txn_put(t);
	}
	wire_skip(z);
	check_eq(zab_confirm(z), 2);
	for (u64 i = 1; i <= 3; i++)
		check(!wire_packet(z, out, ZP_COMMIT, Z(4, i), NULL, -1));
	wire_expect(z, "commit 400000001, commit 400000002, commit 400000003");
	/* what that leader's SYNC is worth is known now */
	check(!wire_packet(z, out, ZP_COMMIT, Z(4, 4), NULL, -1));
	wire_expect(z, "commit 400000004, confirmed 1, >out:REQUEST ffffffffffffffff +28");
	wire_free(z);
}
