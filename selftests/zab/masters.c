// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A follower that serves observers, packet by packet, and an observer's choice.
 */
#include <stdlib.h>
#include <string.h>

#include "selftests/zab/wire.h"

#define Z(e, n)	ZXID(e, n)

static const u8 sync_request[20] = { [7] = 7, [15] = 9 };
static const u8 write_request[20] = { [7] = 7, [11] = 3, [15] = 5 };

/* It follows server 2 in epoch 4, at 0x300000002, and may serve observers. */
static struct zab *live(u64 *out)
{
	struct zab *z = wire_new(Z(3, 2), 3, 3, 500);

	z->p.masters = true;
	*out = wire_follow(z, 4);
	wire_live(z, *out, Z(3, 2), 4);
	return z;
}

/* The same, and server 4 observes on link 4. */
static struct zab *with_observer(u64 *out)
{
	struct zab *z = live(out);

	wire_info(z, 4, 4, 3);
	wire_ackepoch(z, 4, 3, Z(3, 2));
	check(!wire_packet(z, 4, ZP_ACK, Z(4, 0), NULL, -1));
	wire_skip(z);
	return z;
}

/* Of an observer of any number. */
static void observer_info(struct zab *z, u64 link, u64 sid, u64 accepted)
{
	u8 data[20] = { 0 };

	jute_put64(data, sid);
	jute_put32(data + 8, 0x10000);
	check(!wire_event(z, ZAB_EV_LINK_UP, link, 0));
	check(!wire_packet(z, link, ZP_OBSERVERINFO, accepted << 32, data, 20));
}

static void propose(struct zab *z, u64 out, u64 zxid)
{
	check(!wire_txn(z, out, ZP_PROPOSAL, zxid));
	check(!wire_event(z, ZAB_EV_DURABLE, 0, zxid));
}

/* All the way from coming to going. */
void test_master_wire(void)
{
	static const u8 to[8] = { [7] = 2 };
	u64 out;
	struct zab *z = live(&out);
	struct zab_learner l;

	wire_info(z, 4, 4, 3);
	wire_expect(z, ">4:LEADERINFO 400000000 [00010000]");
	propose(z, out, Z(4, 1));
	wire_skip(z);
	/* what is not committed here does not go to it yet */
	wire_ackepoch(z, 4, 3, Z(3, 1));
	check(!zab_learners(z, &l, 0));
	check_eq(zab_learners(z, &l, 1), 1);
	check(l.observer && !l.synced && l.sid == 4);
	wire_skip(z);
	check(!wire_packet(z, out, ZP_COMMIT, Z(4, 1), NULL, -1));
	wire_expect(z, ">4:INFORM 400000001, commit 400000001");
	check(!wire_packet(z, 4, ZP_ACK, Z(4, 0), NULL, -1));
	wire_expect(z, ">4:UPTODATE ffffffffffffffff");
	check(!wire_packet(z, 4, ZP_ACK, Z(4, 0), NULL, -1));
	/* a PING is the leader's, passed on with a word that it is */
	check(!wire_packet(z, out, ZP_PING, Z(4, 1), NULL, -1));
	wire_expect(z, "up PING from 2, >4:PING 400000001 [01]");
	check(!wire_packet(z, 4, ZP_PING, Z(4, 1), "", 0));
	wire_expect(z, "");
	check(!wire_packet(z, 4, ZP_PING, Z(4, 1), "abcdefghijkl", 12));
	wire_expect(z, "up PING from 4");
	/* what comes into force here does so there */
	propose(z, out, Z(4, 2));
	wire_skip(z);
	check(!wire_packet(z, out, ZP_COMMITANDACTIVATE, Z(4, 2), to, 8));
	check(z->ld.activation == NULL);
	wire_skip(z);
	propose(z, out, Z(4, 3));
	wire_skip(z);
	check(!wire_packet(z, out, ZP_COMMIT, Z(4, 3), NULL, -1));
	wire_expect(z, ">4:INFORM 400000003, commit 400000003");
	/* with the leader they go */
	check(!wire_event(z, ZAB_EV_LINK_DOWN, out, 0));
	wire_expect(z, "close 4, fail 400000003, state 0/0");
	/* and nobody is served before the next one */
	check(!wire_event(z, ZAB_EV_LINK_UP, 5, 0));
	wire_expect(z, "close 5");
	wire_free(z);
}

/* Answers go to who asked, in the order in which the leader was asked. */
void test_master_answers(void)
{
	static const u8 seven[12] = { [7] = 7 }, eight[12] = { [7] = 8 };
	static const u8 yes7[9] = { [7] = 7, [8] = 1 }, yes8[9] = { [7] = 8, [8] = 1 };
	const struct zab_packet own = { .type = ZP_REQUEST, .zxid = ~0ULL,
					.data = sync_request, .len = 20 };
	const struct zab_packet valid = { .type = ZP_REVALIDATE, .zxid = ~0ULL,
					  .data = seven, .len = 12 };
	u64 out;
	struct zab *z = with_observer(&out);

	check(!wire_packet(z, 4, ZP_REQUEST, ~0ULL, write_request, 20));
	wire_expect(z, ">out:REQUEST ffffffffffffffff "
		       "[0000000000000007000000030000000500000000]");
	check(!wire_packet(z, 4, ZP_REQUEST, ~0ULL, sync_request, 20));
	check(!zab_sync(z, &own));
	check(!zab_sync(z, &own));
	for (int i = 0; i < 20; i++)
		check(!wire_packet(z, 4, ZP_REQUEST, ~0ULL, sync_request, 20));
	check_eq(z->fo.sync_waiting.n, 3);
	wire_skip(z);
	check(!wire_packet(z, out, ZP_SYNC, 0, NULL, -1));
	wire_expect(z, ">4:SYNC 0");
	check(!wire_packet(z, out, ZP_SYNC, 0, NULL, -1));
	check(!wire_packet(z, out, ZP_SYNC, 0, NULL, -1));
	wire_expect(z, "synced, synced");
	for (int i = 0; i < 20; i++)
		check(!wire_packet(z, out, ZP_SYNC, 0, NULL, -1));
	wire_skip(z);
	check_eq(z->fo.syncs, 0);
	check(!wire_packet(z, out, ZP_SYNC, 0, NULL, -1));
	wire_expect(z, "");

	/* two ask for one session, this server second */
	check(!wire_packet(z, 4, ZP_REVALIDATE, ~0ULL, seven, 12));
	check(!zab_send(z, 0, &valid));
	for (int i = 0; i < 20; i++)
		check(!wire_packet(z, 4, ZP_REVALIDATE, ~0ULL, eight, 12));
	wire_skip(z);
	/* not in order: it is found */
	check(!wire_packet(z, out, ZP_REVALIDATE, ~0ULL, yes8, 9));
	wire_expect(z, ">4:REVALIDATE ffffffffffffffff [000000000000000801]");
	check(!wire_packet(z, out, ZP_REVALIDATE, ~0ULL, yes7, 9));
	wire_expect(z, ">4:REVALIDATE ffffffffffffffff [000000000000000701]");
	check(!wire_packet(z, out, ZP_REVALIDATE, ~0ULL, yes7, 9));
	wire_expect(z, "up REVALIDATE from 2");
	/* who asked is gone */
	check(!wire_event(z, ZAB_EV_LINK_DOWN, 4, 0));
	check(!wire_packet(z, out, ZP_REVALIDATE, ~0ULL, yes8, 9));
	wire_expect(z, "");
	wire_free(z);
}

/* Whom it does not serve, or not yet. */
void test_master_junk(void)
{
	u64 out;
	struct zab *z = live(&out);

	/* one that follows */
	wire_info(z, 3, 3, 3);
	wire_expect(z, "close 3");
	/* one that knows a later leader */
	wire_info(z, 4, 4, 5);
	wire_expect(z, "close 4");
	/* one that another master has told more: it waits for that to be here */
	wire_info(z, 5, 4, 4);
	wire_ackepoch(z, 5, -1, Z(4, 2));
	propose(z, out, Z(4, 1));
	wire_skip(z);
	check(!wire_packet(z, out, ZP_COMMIT, Z(4, 1), NULL, -1));
	wire_expect(z, "commit 400000001");
	propose(z, out, Z(4, 2));
	wire_skip(z);
	check(!wire_packet(z, out, ZP_COMMIT, Z(4, 2), NULL, -1));
	check(handler_find(z, 5)->stage == STAGE_SYNC);
	wire_skip(z);
	check(!wire_packet(z, 5, ZP_ACK, Z(4, 0), NULL, -1));
	check(handler_find(z, 5)->stage == STAGE_LIVE);
	wire_skip(z);
	/* what is of an epoch before and was never agreed on is cut off */
	observer_info(z, 6, 5, 3);
	wire_ackepoch(z, 6, 3, Z(3, 9));
	check(handler_find(z, 6)->stage == STAGE_SYNC);
	wire_skip(z);
	/* and one that has what never comes does not stay */
	observer_info(z, 7, 6, 4);
	wire_ackepoch(z, 7, -1, Z(4, 9));
	wire_skip(z);
	for (int i = 0; i < 50 && handler_find(z, 7); i++) {
		struct zab_event tick = { .type = ZAB_EV_TICK, .now_ms = zab_deadline(z) };

		check(!zab_step(z, &tick));
		check(!wire_packet(z, out, ZP_PING, Z(4, 2), NULL, -1));
		check(!wire_packet(z, 5, ZP_PING, Z(4, 2), NULL, -1));
	}
	check(!handler_find(z, 7) && handler_find(z, 5));
	wire_free(z);
}

/* An observer tries all that follow, in any order, again and again, and then the leader. */
void test_choose(void)
{
	struct zab *z = wire_new(Z(3, 2), 3, 3, 500);
	u64 seen[2], id, was[5] = { 0 };
	bool master;

	check_eq(choose_master(z, 3, &master), 3);
	check(!master);
	z->p.masters = true;
	z->observer = true;
	for (int i = 0; i < 40; i++) {
		for (int round = 0; round < 3; round++) {
			for (int k = 0; k < 2; k++) {
				seen[k] = choose_master(z, 3, &master);
				check(master && (seen[k] == 1 || seen[k] == 2));
			}
			check(seen[0] != seen[1]);
			was[seen[0]]++;
		}
		check_eq(choose_master(z, 3, &master), 3);
		check(!master);
		/* another membership: another order */
		z->ch.version = i;
	}
	check(was[1] && was[2]);
	/* who served it is followed by the next one, and the leader is far away again */
	z->ch.version = z->e->version;
	seen[0] = ~0ULL;
	for (int i = 0; i < 20; i++) {
		id = choose_master(z, 3, &master);
		check(master && id != seen[0]);
		seen[0] = id;
		choose_done(z);
	}
	/* how long it waits: by chance, more when all had their turn */
	z->p.election_delay_ms = 200;
	z->p.reconnect_delay_ms = 1000;
	id = 0;
	for (int i = 0; i < 200; i++) {
		u64 ms = choose_wait(z);

		check(ms < 1200);
		id |= ms > 200;
		choose_master(z, 3, &master);
		choose_done(z);
	}
	check(id);
	z->observer = false;
	check_eq(choose_wait(z), 0);
	wire_free(z);
}
