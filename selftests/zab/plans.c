// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a leader sends to a learner that joins, byte for byte, and what it takes.
 */
#include <stdlib.h>
#include <string.h>

#include "selftests/zab/wire.h"

#define Z(e, n)	ZXID(e, n)

/* A leader of epoch 4 that had 0x300000002 at its start, and has committed @n since. */
static struct zab *leader(u32 n, u32 history)
{
	struct zab *z = wire_new(Z(3, 2), 3, 3, history);

	wire_lead(z);
	check_eq(zab_epoch(z), 4);
	for (u32 i = 1; i <= n; i++) {
		check(!wire_propose(z, Z(4, i)));
		check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, i)));
		check(!wire_packet(z, 2, ZP_ACK, Z(4, i), NULL, -1));
		zab_applied(z, Z(4, i));
	}
	check_eq(zab_committed(z), n ? Z(4, n) : Z(3, 2));
	wire_skip(z);
	return z;
}

/* Server @sid comes, on link @sid, and says that it has @last. */
static void join(struct zab *z, u64 sid, u64 last)
{
	char text[64];

	wire_info(z, sid, sid, 4);
	snprintf(text, sizeof(text), ">%llx:LEADERINFO 400000000 [00010000]", sid);
	wire_expect(z, text);
	wire_ackepoch(z, sid, -1, last);
}

#define EXPECT_JOIN(n, history, first, sid, last, text) do {	\
	struct zab *z_ = leader(n, history);			\
								\
	zab_logged_from(z_, first);				\
	join(z_, sid, last);					\
	wire_expect(z_, text);					\
	wire_free(z_);						\
} while (0)

void test_plan_diff(void)
{
	struct zab *z;

	/* has all; has a part; has what was there at the start */
	EXPECT_JOIN(3, 500, ~0ULL, 3, Z(4, 3), ">3:DIFF 400000003, >3:NEWLEADER 400000000");
	EXPECT_JOIN(3, 500, ~0ULL, 3, Z(4, 1),
		    ">3:DIFF 400000003, >3:PROPOSAL 400000002, >3:PROPOSAL 400000003, "
		    ">3:COMMIT 400000002, >3:COMMIT 400000003, >3:NEWLEADER 400000000");
	EXPECT_JOIN(1, 500, ~0ULL, 3, Z(3, 2),
		    ">3:DIFF 400000001, >3:PROPOSAL 400000001, >3:COMMIT 400000001, "
		    ">3:NEWLEADER 400000000");
	EXPECT_JOIN(2, 500, ~0ULL, 4, Z(4, 1),
		    ">4:DIFF 400000002, >4:INFORM 400000002, >4:NEWLEADER 400000000");

	/* what is outstanding goes with it; its COMMIT waits for UPTODATE */
	z = leader(1, 500);
	check(!wire_propose(z, Z(4, 2)));
	wire_expect(z, ">2:PROPOSAL 400000002, log 400000002");
	join(z, 3, Z(4, 1));
	wire_expect(z, ">3:DIFF 400000001, >3:PROPOSAL 400000002, >3:NEWLEADER 400000000");
	join(z, 4, Z(4, 1));
	wire_expect(z, ">4:DIFF 400000001, >4:NEWLEADER 400000000");
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 2)));
	wire_expect(z, "");
	check(!wire_packet(z, 2, ZP_ACK, Z(4, 2), NULL, -1));
	wire_expect(z, ">2:COMMIT 400000002, >4:INFORM 400000002, commit 400000002");
	check(!wire_propose(z, Z(4, 3)));
	wire_expect(z, ">2:PROPOSAL 400000003, >3:PROPOSAL 400000003, log 400000003");
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 0), NULL, -1));
	wire_expect(z, ">3:UPTODATE ffffffffffffffff, >3:COMMIT 400000002");
	check(!wire_packet(z, 4, ZP_ACK, Z(4, 0), NULL, -1));
	wire_expect(z, ">4:UPTODATE ffffffffffffffff");
	/* its second one */
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 0), NULL, -1));
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 2), NULL, -1));
	wire_expect(z, "");
	/* two followers without the leader */
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 3), NULL, -1));
	check(!wire_packet(z, 4, ZP_ACK, Z(4, 3), NULL, -1));
	wire_expect(z, "");
	check(!wire_packet(z, 2, ZP_ACK, Z(4, 3), NULL, -1));
	wire_expect(z, ">2:COMMIT 400000003, >3:COMMIT 400000003, >4:INFORM 400000003, "
		       "commit 400000003");
	wire_free(z);
}

void test_plan_trunc(void)
{
	struct zab *z;

	EXPECT_JOIN(2, 500, ~0ULL, 3, Z(4, 9), ">3:TRUNC 400000002, >3:NEWLEADER 400000000");
	EXPECT_JOIN(1, 500, ~0ULL, 3, Z(3, 7),
		    ">3:TRUNC 300000002, >3:PROPOSAL 400000001, >3:COMMIT 400000001, "
		    ">3:NEWLEADER 400000000");
	/* what is outstanding is no place to stay at: Apache's would not take its COMMIT */
	z = leader(1, 500);
	check(!wire_propose(z, Z(4, 2)));
	wire_skip(z);
	join(z, 3, Z(4, 2));
	wire_expect(z, ">3:TRUNC 400000001, >3:PROPOSAL 400000002, >3:NEWLEADER 400000000");
	wire_free(z);
	/* never to another epoch */
	EXPECT_JOIN(0, 500, ~0ULL, 3, Z(4, 9), "tree 3 300000002, >3:NEWLEADER 400000000");
	EXPECT_JOIN(1, 500, ~0ULL, 3, Z(5, 1), "tree 3 400000001, >3:NEWLEADER 400000000");
}

void test_plan_snap(void)
{
	struct zab *z;

	/* an empty one; one that is too old for what is kept */
	EXPECT_JOIN(2, 500, Z(3, 1), 3, 0, "tree 3 400000002, >3:NEWLEADER 400000000");
	EXPECT_JOIN(5, 2, ~0ULL, 3, Z(4, 2), "tree 3 400000005, >3:NEWLEADER 400000000");
	EXPECT_JOIN(5, 2, ~0ULL, 3, Z(4, 3),
		    ">3:DIFF 400000005, >3:PROPOSAL 400000004, >3:PROPOSAL 400000005, "
		    ">3:COMMIT 400000004, >3:COMMIT 400000005, >3:NEWLEADER 400000000");
	EXPECT_JOIN(1, 500, ~0ULL, 3, Z(2, 7), "tree 3 400000001, >3:NEWLEADER 400000000");

	/* the tree lags behind: what it lacks is not let go, and follows */
	z = leader(2, 0);
	for (u32 i = 3; i <= 5; i++) {
		check(!wire_propose(z, Z(4, i)));
		check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, i)));
		check(!wire_packet(z, 2, ZP_ACK, Z(4, i), NULL, -1));
	}
	zab_applied(z, Z(4, 3));
	wire_skip(z);
	join(z, 3, Z(4, 1));
	wire_expect(z, "tree 3 400000003, >3:PROPOSAL 400000004, >3:PROPOSAL 400000005, "
		       ">3:COMMIT 400000004, >3:COMMIT 400000005, >3:NEWLEADER 400000000");
	wire_free(z);
}

/* LearnerHandler.FORCE_SNAP_SYNC */
void test_plan_forced(void)
{
	struct zab *z = leader(3, 500);

	z->p.force_snap = true;
	join(z, 3, Z(4, 3));
	wire_expect(z, "tree 3 400000003, >3:NEWLEADER 400000000");
	join(z, 4, Z(4, 2));
	wire_expect(z, "tree 4 400000003, >4:NEWLEADER 400000000");
	wire_free(z);
	/* before it is established, too */
	z = wire_new(Z(3, 2), 3, 3, 500);
	z->p.force_snap = true;
	wire_elect(z, 1);
	wire_info(z, 7, 2, 3);
	wire_ackepoch(z, 7, 3, Z(3, 2));
	wire_expect(z, "state 2/1, accepted 4, >7:LEADERINFO 400000000 [00010000], state 2/2, "
		       "current 4, tree 7 300000002, >7:NEWLEADER 400000000");
	wire_free(z);
}

void test_plan_logs(void)
{
	EXPECT_JOIN(5, 2, Z(4, 2), 3, Z(4, 2),
		    ">3:DIFF 400000005, logs 3 400000002..400000003, >3:PROPOSAL 400000004, "
		    ">3:PROPOSAL 400000005, >3:COMMIT 400000004, >3:COMMIT 400000005, "
		    ">3:NEWLEADER 400000000");
	EXPECT_JOIN(5, 2, Z(4, 2), 3, Z(4, 1),
		    ">3:DIFF 400000005, logs 3 400000001..400000003, >3:PROPOSAL 400000004, "
		    ">3:PROPOSAL 400000005, >3:COMMIT 400000004, >3:COMMIT 400000005, "
		    ">3:NEWLEADER 400000000");
	EXPECT_JOIN(5, 1, Z(4, 2), 4, Z(4, 2),
		    ">4:DIFF 400000005, logs 4 400000002..400000004 observer, "
		    ">4:INFORM 400000005, >4:NEWLEADER 400000000");
	/* they begin too late */
	EXPECT_JOIN(5, 2, Z(4, 3), 3, Z(4, 1), "tree 3 400000005, >3:NEWLEADER 400000000");
	/* whether it left our history in another epoch is not known */
	EXPECT_JOIN(5, 2, Z(3, 1), 3, Z(3, 1), "tree 3 400000005, >3:NEWLEADER 400000000");
}

void test_plan_zero(void)
{
	/* isPeerNewEpochZxid: it has what there was before that epoch */
	EXPECT_JOIN(1, 500, ~0ULL, 3, Z(4, 0),
		    ">3:DIFF 400000001, >3:PROPOSAL 400000001, >3:COMMIT 400000001, "
		    ">3:NEWLEADER 400000000");
	EXPECT_JOIN(0, 500, ~0ULL, 3, Z(4, 0), ">3:DIFF 300000002, >3:NEWLEADER 400000000");
	EXPECT_JOIN(0, 500, ~0ULL, 3, Z(3, 0), "tree 3 300000002, >3:NEWLEADER 400000000");
	EXPECT_JOIN(0, 500, Z(3, 1), 3, Z(3, 0),
		    ">3:DIFF 300000002, logs 3 300000000..300000002, >3:NEWLEADER 400000000");
}

static void synced(struct zab *z, u64 link)
{
	char text[64];

	check(!wire_packet(z, link, ZP_ACK, Z(4, 0), NULL, -1));
	snprintf(text, sizeof(text), ">%llx:UPTODATE ffffffffffffffff", link);
	wire_expect(z, text);
}

/* LearnerSyncThrottler: of observers, one more is refused; followers count. */
void test_plan_limits(void)
{
	struct zab *z = leader(3, 1);

	z->p.snap_syncs = 1;
	z->p.diff_syncs = 2;
	join(z, 3, Z(4, 1));
	wire_expect(z, "tree 3 400000003, >3:NEWLEADER 400000000");
	join(z, 4, Z(4, 1));
	wire_expect(z, "close 4");
	/* the other kind is counted by itself */
	join(z, 5, Z(4, 2));
	wire_expect(z, ">5:DIFF 400000003, >5:INFORM 400000003, >5:NEWLEADER 400000000");
	join(z, 6, Z(4, 3));
	wire_expect(z, ">6:DIFF 400000003, >6:NEWLEADER 400000000");
	join(z, 7, Z(4, 3));
	wire_expect(z, "close 7");
	/* until one of them is through, or gone */
	synced(z, 3);
	join(z, 4, Z(4, 1));
	wire_expect(z, "tree 4 400000003, >4:NEWLEADER 400000000");
	check(!wire_event(z, ZAB_EV_LINK_DOWN, 6, 0));
	join(z, 7, Z(4, 3));
	wire_expect(z, ">7:DIFF 400000003, >7:NEWLEADER 400000000");
	synced(z, 5);
	/* a follower is essential */
	wire_info(z, 0x13, 3, 4);
	wire_expect(z, ">13:LEADERINFO 400000000 [00010000]");
	wire_ackepoch(z, 0x13, -1, Z(4, 1));
	wire_expect(z, "close 3, tree 13 400000003, >13:NEWLEADER 400000000");
	wire_free(z);
}

/* ackLoggingFrequency: of each second one, those that came before it was committed. */
void test_tell_acks(void)
{
	struct zab *z = leader(1, 500);

	join(z, 3, Z(4, 1));
	wire_expect(z, ">3:DIFF 400000001, >3:NEWLEADER 400000000");
	synced(z, 3);
	z->p.tell_acks = 2;
	for (u32 i = 2; i <= 5; i++)
		check(!wire_propose(z, Z(4, i)));
	wire_skip(z);
	check(!wire_packet(z, 2, ZP_ACK, Z(4, 3), NULL, -1));
	wire_expect(z, "acked 400000002 by 2 at 0");
	/* one for many */
	check(!wire_packet(z, 2, ZP_ACK, Z(4, 5), NULL, -1));
	wire_expect(z, "acked 400000004 by 2 at 0");
	check(!wire_packet(z, 2, ZP_ACK, Z(4, 5), NULL, -1));
	wire_expect(z, "");
	/* the own one; it is committed before the third server's */
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 3)));
	wire_expect(z, "acked 400000002 by 1 at 0, >2:COMMIT 400000002, >2:COMMIT 400000003, "
		       ">3:COMMIT 400000002, >3:COMMIT 400000003, commit 400000002, "
		       "commit 400000003");
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 5), NULL, -1));
	wire_expect(z, "acked 400000004 by 3 at 0, >2:COMMIT 400000004, >2:COMMIT 400000005, "
		       ">3:COMMIT 400000004, >3:COMMIT 400000005, commit 400000004, "
		       "commit 400000005");
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 5)));
	wire_expect(z, "");
	wire_free(z);
}

/* From LOOKING to BROADCAST, each packet. */
void test_leader_wire(void)
{
	struct zab *z = wire_new(Z(3, 2), 3, 3, 500);

	wire_elect(z, 1);
	wire_expect(z, "state 2/1");
	wire_info(z, 7, 2, 5);
	wire_expect(z, "accepted 6, >7:LEADERINFO 600000000 [00010000]");
	wire_info(z, 8, 3, 6);
	wire_expect(z, ">8:LEADERINFO 600000000 [00010000]");
	wire_info(z, 9, 4, 0);
	wire_expect(z, ">9:LEADERINFO 600000000 [00010000]");
	/* an ACKEPOCH that is none does not make a quorum */
	wire_ackepoch(z, 8, -1, Z(3, 2));
	wire_expect(z, "");
	/* ahead of us by its epoch: not with this leader */
	wire_ackepoch(z, 7, 4, Z(3, 1));
	wire_expect(z, "close 7");
	wire_info(z, 0x17, 2, 5);
	wire_ackepoch(z, 0x17, 3, Z(3, 2));
	wire_expect(z, ">17:LEADERINFO 600000000 [00010000], state 2/2, current 6, "
		       ">8:DIFF 300000002, >8:NEWLEADER 600000000, "
		       ">17:DIFF 300000002, >17:NEWLEADER 600000000");
	/* an observer waits until there is something to observe */
	wire_ackepoch(z, 9, 1, Z(3, 2));
	wire_expect(z, "");
	check(!wire_packet(z, 0x17, ZP_ACK, Z(6, 0), NULL, -1));
	check(!wire_event(z, ZAB_EV_TICK, 0, 0));
	wire_expect(z, "state 2/3, >9:DIFF 300000002, >9:NEWLEADER 600000000, "
		       ">17:UPTODATE ffffffffffffffff");
	check_eq(zab_next_zxid(z), Z(6, 1));
	wire_free(z);

	/* an own tail that nobody is known to have: in DIFF as if committed, as Apache's */
	z = wire_new(Z(3, 2), 3, 3, 500);
	wire_lead(z);
	check(!wire_propose(z, Z(4, 1)));
	check(!wire_event(z, ZAB_EV_LINK_DOWN, 2, 0));
	wire_skip(z);
	for (int i = 0; i < 40 && zab_state(z) == ZAB_LEADING; i++) {
		struct zab_event ev = { .type = ZAB_EV_TICK, .now_ms = zab_deadline(z) };

		check(!zab_step(z, &ev));
	}
	wire_expect(z, "fail 300000002, state 0/0");
	wire_elect(z, 1);
	wire_info(z, 0x12, 2, 4);
	wire_ackepoch(z, 0x12, 4, Z(3, 2));
	wire_expect(z, "state 2/1, accepted 5, >12:LEADERINFO 500000000 [00010000], state 2/2, "
		       ">12:DIFF 400000001, >12:PROPOSAL 400000001, >12:COMMIT 400000001, "
		       ">12:NEWLEADER 500000000");
	/* the own part needs the own disk */
	check(!wire_packet(z, 0x12, ZP_ACK, Z(5, 0), NULL, -1));
	wire_expect(z, "");
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 1)));
	wire_expect(z, "current 5");
	check(!wire_event(z, ZAB_EV_TICK, 0, 0));
	wire_expect(z, "commit 400000001, state 2/3, >12:UPTODATE ffffffffffffffff");
	wire_free(z);
}

/*
 * A follower of Apache's logs what came before NEWLEADER when NEWLEADER comes, and its thread
 * that syncs may be quicker with its ACKs than the one that acknowledges NEWLEADER
 * (Learner.syncWithLeader(), ZOOKEEPER-4685). To close its link then makes it vote with the new
 * epoch and an old tree.
 */
void test_early_acks(void)
{
	struct zab *z = leader(2, 500);

	join(z, 3, Z(4, 1));
	check(!wire_propose(z, Z(4, 3)));
	wire_skip(z);
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 2), NULL, -1));
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 3), NULL, -1));
	wire_expect(z, "");
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 0), NULL, -1));
	wire_expect(z, ">3:UPTODATE ffffffffffffffff");
	/* it has that on disk */
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 3)));
	wire_expect(z, ">2:COMMIT 400000003, >3:COMMIT 400000003, commit 400000003");
	check(!wire_event(z, ZAB_EV_LINK_DOWN, 3, 0));
	join(z, 3, Z(4, 2));
	wire_skip(z);
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 4), NULL, -1));
	wire_expect(z, "close 3");
	wire_free(z);

	/* before it is established: they make no quorum */
	z = wire_new(Z(3, 2), 3, 3, 500);
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(3, 2)));
	wire_elect(z, 1);
	wire_info(z, 7, 2, 3);
	wire_ackepoch(z, 7, 3, Z(3, 1));
	wire_skip(z);
	check(!wire_packet(z, 7, ZP_ACK, Z(3, 2), NULL, -1));
	check(!wire_event(z, ZAB_EV_TICK, 0, 0));
	wire_expect(z, "");
	check(!wire_packet(z, 7, ZP_ACK, Z(4, 0), NULL, -1));
	check(!wire_event(z, ZAB_EV_TICK, 0, 0));
	wire_expect(z, "state 2/3, >7:UPTODATE ffffffffffffffff");
	wire_free(z);
}

/* What @follower is sent by a leader who is not established and has 2:4, 3:1 and 3:2. */
static void expect_first(bool apache, bool trust, u64 last, const char *text)
{
	struct zab *z = wire_new(Z(2, 4), 2, 2, 500);

	z->p.trust = trust;
	wire_lead(z);
	for (u32 i = 1; i <= 2; i++) {
		check(!wire_propose(z, Z(3, i)));
		check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(3, i)));
		check(!wire_packet(z, 2, ZP_ACK, Z(3, i), NULL, -1));
		zab_applied(z, Z(3, i));
	}
	check(!wire_event(z, ZAB_EV_LINK_DOWN, 2, 0));
	for (int i = 0; i < 40 && zab_state(z) == ZAB_LEADING; i++) {
		struct zab_event ev = { .type = ZAB_EV_TICK, .now_ms = zab_deadline(z) };

		check(!zab_step(z, &ev));
	}
	wire_elect(z, 1);
	wire_skip(z);
	(apache ? wire_info_apache : wire_info)(z, 7, 2, 3);
	wire_ackepoch(z, 7, 2, last);
	wire_expect(z, text);
	check(!wire_packet(z, 7, ZP_ACK, Z(4, 0), NULL, -1));
	check(!wire_event(z, ZAB_EV_TICK, 0, 0));
	wire_expect(z, "state 2/3, >7:UPTODATE ffffffffffffffff");
	wire_free(z);
}

/*
 * A follower that says nothing of its disk: before there is a quorum for the epoch it gets no
 * history to log, and what it acknowledges counts when it is known to have UPTODATE.
 */
void test_plan_doubt(void)
{
#define FIRST "accepted 4, >7:LEADERINFO 400000000 [00010000], state 2/2, current 4, "
	static const char all[] = FIRST ">7:DIFF 300000002, >7:PROPOSAL 300000002, "
		">7:COMMIT 300000002, >7:NEWLEADER 400000000";
	static const char tree[] = FIRST "tree 7 300000002, >7:NEWLEADER 400000000";
	struct zab *z;

	expect_first(false, false, Z(3, 1), all);
	expect_first(true, true, Z(3, 1), all);
	expect_first(true, false, Z(3, 1), tree);
	expect_first(true, false, Z(2, 4), tree);
	expect_first(true, false, Z(2, 6), tree);
	/* what needs nothing to be logged */
	expect_first(true, false, Z(3, 2), FIRST ">7:DIFF 300000002, >7:NEWLEADER 400000000");
	expect_first(true, false, Z(3, 3), FIRST ">7:TRUNC 300000002, >7:NEWLEADER 400000000");
#undef FIRST

	/* it may have a snapshot of what is to be cut off: a later tree, if there is one */
	z = leader(1, 500);
	wire_info_apache(z, 3, 3, 4);
	wire_skip(z);
	wire_ackepoch(z, 3, -1, Z(3, 7));
	wire_expect(z, "tree 3 400000001, >3:NEWLEADER 400000000");
	wire_free(z);
	z = leader(1, 500);
	wire_info_apache(z, 3, 3, 4);
	wire_skip(z);
	wire_ackepoch(z, 3, -1, Z(4, 2));
	wire_expect(z, ">3:TRUNC 400000001, >3:NEWLEADER 400000000");
	wire_free(z);

	/* a quorum has the epoch: only what is lacking */
	z = leader(2, 500);
	wire_info_apache(z, 3, 3, 4);
	wire_expect(z, ">3:LEADERINFO 400000000 [00010000]");
	wire_ackepoch(z, 3, -1, Z(4, 1));
	wire_expect(z, ">3:DIFF 400000002, >3:PROPOSAL 400000002, >3:COMMIT 400000002, "
		       ">3:NEWLEADER 400000000");
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 0), NULL, -1));
	wire_expect(z, ">3:UPTODATE ffffffffffffffff");
	check(!wire_propose(z, Z(4, 3)));
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 3)));
	wire_skip(z);
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 3), NULL, -1));
	wire_expect(z, "");
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 0), NULL, -1));
	wire_expect(z, ">2:COMMIT 400000003, >3:COMMIT 400000003, commit 400000003");
	wire_free(z);
}

static void expect_closed(const char *what, s32 type, u64 zxid, const void *data, s32 len)
{
	struct zab *z = leader(1, 500);

	check(!wire_event(z, ZAB_EV_LINK_UP, 3, 0));
	check(!wire_packet(z, 3, type, zxid, data, len));
	wire_expect(z, "close 3");
	/* what still comes from it is nobody's */
	check(!wire_packet(z, 3, ZP_ACK, 5, NULL, -1));
	wire_expect(z, "");
	if (wrong)
		printf("# %s\n", what);
	wire_free(z);
}

void test_leader_junk(void)
{
	u8 info[20] = { 0 };
	struct zab *z;

	expect_closed("ACK first", ZP_ACK, 1, NULL, -1);
	expect_closed("no data", ZP_FOLLOWERINFO, 0, NULL, -1);
	expect_closed("short data", ZP_FOLLOWERINFO, 0, info, 11);
	jute_put64(info, 3);
	expect_closed("an old protocol", ZP_FOLLOWERINFO, 0, info, 20);
	jute_put32(info + 8, 0x10000);
	expect_closed("an epoch beyond all", ZP_FOLLOWERINFO, ~0ULL, info, 20);
	expect_closed("a later epoch", ZP_FOLLOWERINFO, Z(5, 0), info, 20);
	jute_put64(info + 12, 9);
	expect_closed("a later membership", ZP_FOLLOWERINFO, 0, info, 20);
	jute_put64(info, 1);
	expect_closed("this server's own id", ZP_FOLLOWERINFO, 0, info, 12);

	z = leader(1, 500);
	/* a live one's */
	check(!wire_packet(z, 2, ZP_ACK, Z(4, 2), NULL, -1));
	wire_expect(z, "close 2");
	join(z, 2, Z(4, 1));
	wire_skip(z);
	check(!wire_packet(z, 2, ZP_ACK, Z(3, 0), NULL, -1));
	wire_expect(z, "close 2");
	join(z, 2, Z(4, 1));
	wire_skip(z);
	check(!wire_packet(z, 2, ZP_PING, 0, NULL, -1));
	wire_expect(z, "close 2");
	join(z, 2, Z(4, 1));
	check(!wire_packet(z, 2, ZP_ACK, Z(4, 0), NULL, -1));
	wire_skip(z);
	check(!wire_packet(z, 2, ZP_REQUEST, 0, "123456789012345", 15));
	wire_expect(z, "close 2");
	check_eq(zab_state(z), ZAB_LEADING);
	/* who only knows an id takes nobody's place */
	join(z, 3, Z(4, 1));
	check(!wire_packet(z, 3, ZP_ACK, Z(4, 0), NULL, -1));
	wire_skip(z);
	wire_info(z, 0x35, 3, 9);
	wire_expect(z, "close 35");
	check_eq(zab_state(z), ZAB_LEADING);
	wire_info(z, 0x33, 3, 4);
	wire_expect(z, ">33:LEADERINFO 400000000 [00010000]");
	/* a server that comes twice has one link */
	wire_ackepoch(z, 0x33, -1, Z(4, 1));
	wire_expect(z, "close 3, >33:DIFF 400000001, >33:NEWLEADER 400000000");
	check(!wire_event(z, ZAB_EV_LINK_DOWN, 0x33, 0));
	wire_expect(z, "");
	/* an id of no server: gets everything, counts for nothing */
	wire_info(z, 0x34, 9999, 4);
	wire_ackepoch(z, 0x34, -1, Z(4, 1));
	check(!wire_packet(z, 0x34, ZP_ACK, Z(4, 0), NULL, -1));
	wire_expect(z, ">34:LEADERINFO 400000000 [00010000], >34:DIFF 400000001, "
		       ">34:NEWLEADER 400000000, >34:UPTODATE ffffffffffffffff");
	check(!wire_propose(z, Z(4, 2)));
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 2)));
	check(!wire_packet(z, 0x34, ZP_ACK, Z(4, 2), NULL, -1));
	wire_expect(z, ">34:PROPOSAL 400000002, log 400000002");
	wire_free(z);
}

void test_strangers(void)
{
	struct zab *z = leader(1, 500);

	for (u64 i = 0; i < STRANGERS_MAX; i++)
		check(!wire_event(z, ZAB_EV_LINK_UP, 100 + i, 0));
	wire_expect(z, "");
	check(!wire_event(z, ZAB_EV_LINK_UP, 500, 0));
	wire_expect(z, "close 64");
	check(!wire_event(z, ZAB_EV_LINK_UP, 501, 0));
	wire_expect(z, "close 65");
	check_eq(zab_learners(z, NULL, 0), 0);
	/* and they go by themselves, the follower does not */
	for (int i = 0; i < 40; i++) {
		struct zab_event ev = { .type = ZAB_EV_TICK, .now_ms = zab_deadline(z) };

		check(!zab_step(z, &ev));
		check(!wire_packet(z, 2, ZP_PING, 0, "", 0));
	}
	check_eq(z->ld.n, 1);
	wire_free(z);
}

/* SYNC is answered behind what was outstanding; requests go up. */
void test_syncs(void)
{
	static const u8 sync[20] = { [15] = 9 }, set[20] = { [15] = 5 };
	struct zab *z = leader(1, 500);

	check(!wire_packet(z, 2, ZP_REQUEST, ~0ULL, sync, 20));
	wire_expect(z, ">2:SYNC 0");
	check(!wire_packet(z, 2, ZP_REQUEST, ~0ULL, set, 20));
	wire_expect(z, "up REQUEST from 2");
	check(!wire_propose(z, Z(4, 2)));
	check(!wire_packet(z, 2, ZP_REQUEST, ~0ULL, sync, 20));
	check(!wire_packet(z, 2, ZP_REQUEST, ~0ULL, sync, 20));
	check(!wire_propose(z, Z(4, 3)));
	check(!wire_packet(z, 2, ZP_REQUEST, ~0ULL, sync, 20));
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 3)));
	wire_skip(z);
	check(!wire_packet(z, 2, ZP_ACK, Z(4, 2), NULL, -1));
	wire_expect(z, ">2:COMMIT 400000002, commit 400000002, >2:SYNC 0, >2:SYNC 0");
	check(!wire_packet(z, 2, ZP_ACK, Z(4, 3), NULL, -1));
	wire_expect(z, ">2:COMMIT 400000003, commit 400000003, >2:SYNC 0");
	check(!wire_packet(z, 2, ZP_REVALIDATE, 0, "123456789012", 12));
	check(!wire_packet(z, 2, ZP_PING, 0, "123456789012", 12));
	check(!wire_packet(z, 2, ZP_PING, 0, "", 0));
	wire_expect(z, "up REVALIDATE from 2, up PING from 2");
	wire_free(z);
}
