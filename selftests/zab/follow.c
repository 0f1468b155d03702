// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a learner answers to its leader, byte for byte, and what it does not take.
 */
#include <stdlib.h>
#include <string.h>

#include "selftests/zab/wire.h"

#define Z(e, n)	ZXID(e, n)

/* A follower of epoch 4 that has 0x300000002, up to ACKEPOCH. */
static struct zab *follower(u64 *out)
{
	struct zab *z = wire_new(Z(3, 2), 3, 3, 500);

	*out = wire_follow(z, 4);
	return z;
}

/* The same, and it follows. */
static struct zab *live(u64 *out)
{
	struct zab *z = follower(out);

	wire_live(z, *out, Z(3, 2), 4);
	return z;
}

/* How many ticks server 1 stays with a leader that it cannot connect to. */
static u64 ticks_to_connect(u32 limit)
{
	struct zab *z = wire_new(Z(3, 2), 3, 3, 500);
	struct zab_event ev = { .type = ZAB_EV_TICK };
	u64 from;

	z->p.connect_limit = limit;
	wire_elect(z, 2);
	from = zab_deadline(z);
	for (int i = 0; i < 200 && zab_state(z) != ZAB_LOOKING; i++) {
		ev.now_ms = zab_deadline(z);
		check(!zab_step(z, &ev));
		wire_skip(z);
	}
	wire_free(z);
	return (ev.now_ms - from) / 200;
}

void test_connect_limit(void)
{
	check_eq(ticks_to_connect(0), 10);
	check_eq(ticks_to_connect(3), 3);
	check_eq(ticks_to_connect(30), 30);
}

void test_learner_wire(void)
{
	u64 out;
	struct zab *z = follower(&out);

	wire_expect(z, "state 1/1, connect 2, "
		       ">out:FOLLOWERINFO 300000000 [00000000000000010001000000000000000000007a6b726e], "
		       "accepted 4, >out:ACKEPOCH 300000002 [00000003], state 1/2");
	check(!wire_packet(z, out, ZP_DIFF, Z(3, 4), NULL, -1));
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(3, 3)));
	check(!wire_packet(z, out, ZP_COMMIT, Z(3, 3), NULL, -1));
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(3, 4)));
	check(!wire_packet(z, out, ZP_COMMIT, Z(3, 4), NULL, -1));
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 1)));
	check(!wire_packet(z, out, ZP_NEWLEADER, Z(4, 0), NULL, -1));
	/* behind NEWLEADER: not waited for */
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 2)));
	wire_expect(z, "log 300000003, log 300000004, log 400000001, log 400000002");
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(3, 4)));
	wire_expect(z, "");
	/* the log, then the epoch, then NEWLEADER's ACK, then the proposals' */
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 1)));
	wire_expect(z, "current 4, >out:ACK 400000000, >out:ACK 400000001");
	check(!wire_packet(z, out, ZP_COMMIT, Z(4, 1), NULL, -1));
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 2)));
	check(!wire_packet(z, out, ZP_PING, Z(4, 2), NULL, -1));
	wire_expect(z, ">out:ACK 400000002");
	/* nothing of all this is applied before */
	check(!wire_packet(z, out, ZP_UPTODATE, ~0ULL, NULL, -1));
	wire_expect(z, ">out:ACK 400000000, commit 300000003, commit 300000004, "
		       "commit 400000001, state 1/3");
	check(!wire_packet(z, out, ZP_COMMIT, Z(4, 2), NULL, -1));
	check(!wire_packet(z, out, ZP_PING, Z(4, 2), NULL, -1));
	wire_expect(z, "commit 400000002, up PING from 2");
	wire_free(z);
}

/* What is logged and not committed stays, through elections, until a leader settles it. */
void test_learner_trunc(void)
{
	u64 out;
	struct zab *z = live(&out);

	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 1)));
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 2)));
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 3)));
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 3)));
	check(!wire_event(z, ZAB_EV_LINK_DOWN, out, 0));
	wire_expect(z, "log 400000001, log 400000002, log 400000003, >out:ACK 400000001, "
		       ">out:ACK 400000002, >out:ACK 400000003, fail 300000002, state 0/0");
	out = wire_follow(z, 5);
	wire_expect(z, "state 1/1, connect 2, "
		       ">out:FOLLOWERINFO 400000000 [00000000000000010001000000000000000000007a6b726e], "
		       "accepted 5, >out:ACKEPOCH 400000003 [00000004], state 1/2");
	/* cut in what is not applied: no reload; the rest is the leader's */
	check(!wire_packet(z, out, ZP_TRUNC, Z(4, 2), NULL, -1));
	wire_expect(z, "truncate 400000002");
	check(wire_packet(z, out, ZP_NEWLEADER, Z(5, 0), NULL, -1) == -EINVAL);
	check(!wire_event(z, ZAB_EV_TRUNCATED, 0, Z(4, 2)));
	check(!wire_packet(z, out, ZP_NEWLEADER, Z(5, 0), NULL, -1));
	wire_expect(z, "current 5, >out:ACK 500000000");
	check(!wire_packet(z, out, ZP_UPTODATE, ~0ULL, NULL, -1));
	wire_expect(z, ">out:ACK 500000000, commit 400000001, commit 400000002, state 1/3");
	wire_free(z);

	/* cut in what was found at start, and is in the tree */
	z = follower(&out);
	wire_skip(z);
	check(!wire_packet(z, out, ZP_TRUNC, Z(3, 1), NULL, -1));
	wire_expect(z, "truncate+reload 300000001");
	check(!wire_event(z, ZAB_EV_TRUNCATED, 0, Z(3, 1)));
	check_eq(zab_committed(z), Z(3, 1));
	check_eq(zab_last_zxid(z), Z(3, 1));
	wire_free(z);

	/* the log ended elsewhere: another election, from there */
	z = follower(&out);
	wire_skip(z);
	check(!wire_packet(z, out, ZP_TRUNC, Z(3, 1), NULL, -1));
	check(!wire_event(z, ZAB_EV_TRUNCATED, 0, Z(2, 7)));
	wire_expect(z, "truncate+reload 300000001, close out, state 0/0");
	check_eq(zab_last_zxid(z), Z(2, 7));
	wire_free(z);
	/* nothing was cut, as there is no such end: the same, and what is durable still is */
	z = live(&out);
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 1)));
	check(!wire_event(z, ZAB_EV_LINK_DOWN, out, 0));
	out = wire_follow(z, 5);
	wire_skip(z);
	check(!wire_packet(z, out, ZP_TRUNC, Z(2, 9), NULL, -1));
	check(!wire_event(z, ZAB_EV_TRUNCATED, 0, Z(4, 1)));
	wire_expect(z, "truncate+reload 200000009, close out, state 0/0");
	check_eq(zab_last_zxid(z), Z(4, 1));
	check_eq(z->committed, Z(3, 2));
	check_eq(z->durable, Z(3, 2));
	wire_free(z);
}

/* As it voted and was elected: the log's end counts, and nothing of it is committed. */
static struct zab *with_tail(u64 *out)
{
	struct zab *z = wire_new_tail(Z(3, 2), Z(3, 5), 3, 3);

	check_eq(zab_last_zxid(z), Z(3, 5));
	check_eq(zab_committed(z), Z(3, 2));
	check_eq(zab_outstanding(z), 3);
	if (!out)
		return z;
	*out = wire_follow(z, 4);
	wire_expect(z, "state 1/1, connect 2, "
		       ">out:FOLLOWERINFO 300000000 [00000000000000010001000000000000000000007a6b726e], "
		       "accepted 4, >out:ACKEPOCH 300000005 [00000003], state 1/2");
	return z;
}

/* It waits in the machine until a leader settles it, as what is logged later does. */
void test_found_tail(void)
{
	struct txn *t = mtxn_new(Z(3, 2), 1, 0);
	struct zab_event ev = { .type = ZAB_EV_START, .zxid = Z(3, 2), .found = &t, .n_found = 1 };
	struct zab_params p = { .myid = 1 };
	struct zab *z;
	u64 out;

	/* committed with the leader's history, and not before */
	z = with_tail(&out);
	check(!wire_packet(z, out, ZP_DIFF, Z(3, 6), NULL, -1));
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(3, 6)));
	check(!wire_packet(z, out, ZP_COMMIT, Z(3, 6), NULL, -1));
	check(!wire_packet(z, out, ZP_NEWLEADER, Z(4, 0), NULL, -1));
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(3, 6)));
	wire_expect(z, "log 300000006, current 4, >out:ACK 400000000");
	check(!wire_packet(z, out, ZP_UPTODATE, ~0ULL, NULL, -1));
	wire_expect(z, ">out:ACK 400000000, commit 300000003, commit 300000004, commit 300000005, "
		       "commit 300000006, state 1/3");
	wire_free(z);

	/* cut, in part and whole: the tree never had it */
	z = with_tail(&out);
	check(!wire_packet(z, out, ZP_TRUNC, Z(3, 3), NULL, -1));
	wire_expect(z, "truncate 300000003");
	check(!wire_event(z, ZAB_EV_TRUNCATED, 0, Z(3, 3)));
	check(!wire_packet(z, out, ZP_NEWLEADER, Z(4, 0), NULL, -1));
	check(!wire_packet(z, out, ZP_UPTODATE, ~0ULL, NULL, -1));
	wire_expect(z, "current 4, >out:ACK 400000000, >out:ACK 400000000, commit 300000003, "
		       "state 1/3");
	wire_free(z);
	z = with_tail(&out);
	check(!wire_packet(z, out, ZP_TRUNC, Z(3, 2), NULL, -1));
	wire_expect(z, "truncate 300000002");
	check(!wire_event(z, ZAB_EV_TRUNCATED, 0, Z(3, 2)));
	check_eq(zab_outstanding(z), 0);
	check_eq(zab_last_zxid(z), Z(3, 2));
	wire_free(z);

	/* in place of it a tree */
	z = with_tail(&out);
	check(!wire_packet(z, out, ZP_SNAP, Z(4, 1), NULL, -1));
	check(!wire_event(z, ZAB_EV_RECEIVED, out, Z(4, 1)));
	wire_expect(z, "receive 400000001");
	check_eq(zab_outstanding(z), 0);
	check_eq(zab_committed(z), Z(4, 1));
	wire_free(z);

	/* the leader was lost before it had settled it: still not */
	z = with_tail(&out);
	check(!wire_packet(z, out, ZP_DIFF, Z(3, 5), NULL, -1));
	check(!wire_packet(z, out, ZP_NEWLEADER, Z(4, 0), NULL, -1));
	check(!wire_event(z, ZAB_EV_LINK_DOWN, out, 0));
	wire_expect(z, "current 4, >out:ACK 400000000, state 0/0");
	check_eq(zab_committed(z), Z(3, 2));
	check_eq(zab_outstanding(z), 3);
	wire_free(z);

	/* it leads: a quorum has it, so it is */
	z = with_tail(NULL);
	wire_lead(z);
	check_eq(zab_committed(z), Z(3, 5));
	check_eq(zab_outstanding(z), 0);
	wire_free(z);

	/* what is in the tree is not behind it */
	z = zab_new(&p);
	check(z != NULL);
	check_eq(zab_step(z, &ev), -EINVAL);
	zab_free(z);
	txn_put(t);
}

/*
 * Whoever leads next has what is committed. One of a later epoch may lack it: Apache's
 * follower that lost its leader between NEWLEADER and UPTODATE.
 */
void test_no_hollow_leader(void)
{
	struct zab *z;
	u64 out;

	z = live(&out);
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 1)));
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 1)));
	check(!wire_packet(z, out, ZP_COMMIT, Z(4, 1), NULL, -1));
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 2)));
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 2)));
	check(!wire_event(z, ZAB_EV_LINK_DOWN, out, 0));
	check_eq(zab_state(z), ZAB_LOOKING);
	check_eq(wire_vote(z, 3, Z(3, 2), 5), ZAB_LOOKING);
	/* one that has it, though not what is not committed */
	check_eq(wire_vote(z, 3, Z(4, 1), 5), ZAB_FOLLOWING);
	check_eq(zab_leader(z), 3);
	wire_free(z);

	/* of what was only found at start nothing is known to be committed */
	z = wire_new(Z(4, 1), 4, 4, 500);
	check_eq(wire_vote(z, 3, Z(3, 2), 5), ZAB_FOLLOWING);
	wire_free(z);
}

void test_learner_snap(void)
{
	u64 out;
	struct zab *z = follower(&out);

	wire_skip(z);
	check(!wire_packet(z, out, ZP_SNAP, Z(4, 7), NULL, -1));
	wire_expect(z, "receive 400000007");
	check_eq(zab_last_zxid(z), Z(3, 2));
	check(!wire_event(z, ZAB_EV_RECEIVED, out, Z(4, 7)));
	check_eq(zab_committed(z), Z(4, 7));
	/* Apache's repeats what went into the tree while it was sent */
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 7)));
	check(!wire_packet(z, out, ZP_COMMIT, Z(4, 7), NULL, -1));
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 8)));
	check(!wire_packet(z, out, ZP_COMMIT, Z(4, 8), NULL, -1));
	check(!wire_packet(z, out, ZP_NEWLEADER, Z(4, 0), NULL, -1));
	wire_expect(z, "log 400000008");
	check(!wire_event(z, ZAB_EV_DURABLE, 0, Z(4, 8)));
	wire_expect(z, "current 4, >out:ACK 400000000, >out:ACK 400000008");
	check(!wire_packet(z, out, ZP_UPTODATE, ~0ULL, NULL, -1));
	wire_expect(z, ">out:ACK 400000000, commit 400000008, state 1/3");
	wire_free(z);

	/* it is lost before NEWLEADER: of which epoch the history is says the tree, not the
	 * file; and the same after another start */
	z = follower(&out);
	check(!wire_packet(z, out, ZP_SNAP, Z(4, 7), NULL, -1));
	check(!wire_event(z, ZAB_EV_RECEIVED, out, Z(4, 7)));
	check(!wire_event(z, ZAB_EV_LINK_DOWN, out, 0));
	wire_skip(z);
	wire_follow(z, 6);
	wire_expect(z, "state 1/1, connect 2, "
		       ">out:FOLLOWERINFO 400000000 [00000000000000010001000000000000000000007a6b726e], "
		       "accepted 6, >out:ACKEPOCH 400000007 [00000004], state 1/2");
	wire_free(z);
	z = wire_new(Z(4, 7), 4, 3, 100);
	wire_follow(z, 6);
	wire_expect(z, "state 1/1, connect 2, "
		       ">out:FOLLOWERINFO 400000000 [00000000000000010001000000000000000000007a6b726e], "
		       "accepted 6, >out:ACKEPOCH 400000007 [00000004], state 1/2");
	wire_free(z);

	/* the stream breaks: all is as it was */
	z = follower(&out);
	check(!wire_packet(z, out, ZP_SNAP, Z(4, 7), NULL, -1));
	wire_skip(z);
	check(!wire_event(z, ZAB_EV_LINK_DOWN, out, 0));
	wire_expect(z, "state 0/0");
	check_eq(zab_last_zxid(z), Z(3, 2));
	wire_free(z);

	/* the disk fails meanwhile: no election before it is known what there is */
	z = follower(&out);
	check(!wire_packet(z, out, ZP_SNAP, Z(4, 7), NULL, -1));
	wire_skip(z);
	check(!wire_event(z, ZAB_EV_DISK_FAILED, 0, 0));
	wire_expect(z, "close out, state 0/0");
	check(!wire_event(z, ZAB_EV_RECEIVED, out, Z(4, 7)));
	check(!wire_event(z, ZAB_EV_DISK_BACK, 0, Z(4, 7)));
	check_eq(zab_last_zxid(z), Z(4, 7));
	out = wire_follow(z, 5);
	wire_free(z);
}

static void expect_lost(const char *what, bool is_live, s32 type, u64 zxid, const void *data,
			s32 len)
{
	u64 out;
	struct zab *z = is_live ? live(&out) : follower(&out);
	unsigned int before = wrong;

	wire_skip(z);
	check(!wire_packet(z, out, type, zxid, data, len));
	wire_expect(z, is_live ? "close out, fail 300000002, state 0/0" : "close out, state 0/0");
	check_eq(zab_leader(z), ~0ULL);
	/* what still comes on that link is nobody's */
	check(!wire_packet(z, out, ZP_PING, 0, NULL, -1));
	wire_expect(z, "");
	if (wrong != before)
		printf("# %s\n", what);
	wire_free(z);
}

void test_learner_junk(void)
{
	struct txn *gap = mtxn_new(Z(4, 2), 1, 0), *old = mtxn_new(Z(3, 2), 1, 0);
	struct txn *far = mtxn_new(Z(5, 1), 1, 0), *next = mtxn_new(Z(4, 1), 1, 0);
	u64 out;
	struct zab *z;

	expect_lost("no DIFF, TRUNC, SNAP", false, ZP_NEWLEADER, Z(4, 0), NULL, -1);
	expect_lost("TRUNC to what is not there", false, ZP_TRUNC, Z(3, 3), NULL, -1);
	expect_lost("TRUNC to -1", false, ZP_TRUNC, ~0ULL, NULL, -1);
	expect_lost("COMMIT of nothing", true, ZP_COMMIT, Z(4, 1), NULL, -1);
	expect_lost("PROPOSAL without data", true, ZP_PROPOSAL, Z(4, 1), NULL, -1);
	expect_lost("PROPOSAL of junk", true, ZP_PROPOSAL, Z(4, 1), "junk", 4);
	expect_lost("PROPOSAL cut", true, ZP_PROPOSAL, Z(4, 1), next->bytes, next->len - 5);
	expect_lost("another zxid inside", true, ZP_PROPOSAL, Z(4, 2), next->bytes, next->len);
	expect_lost("an older one", true, ZP_PROPOSAL, Z(3, 2), old->bytes, old->len);
	expect_lost("of a later epoch", true, ZP_PROPOSAL, Z(5, 1), far->bytes, far->len);
	expect_lost("an epoch that does not begin with its first one", true, ZP_PROPOSAL, Z(4, 2),
		    gap->bytes, gap->len);
	expect_lost("SNAP of a later epoch", false, ZP_SNAP, Z(5, 1), NULL, -1);
	expect_lost("SNAP of -1", false, ZP_SNAP, ~0ULL, NULL, -1);
	expect_lost("INFORM", true, ZP_INFORM, Z(4, 1), next->bytes, next->len);
	expect_lost("a second UPTODATE", true, ZP_UPTODATE, ~0ULL, NULL, -1);
	expect_lost("a second NEWLEADER", true, ZP_NEWLEADER, Z(4, 0), NULL, -1);
	expect_lost("REQUEST", true, ZP_REQUEST, 0, gap->bytes, gap->len);

	/* a gap, once there is something before it */
	z = live(&out);
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 1)));
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 3)));
	wire_expect(z, "log 400000001, close out, fail 300000002, state 0/0");
	wire_free(z);
	/* COMMIT of another than the oldest */
	z = live(&out);
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 1)));
	check(!wire_txn(z, out, ZP_PROPOSAL, Z(4, 2)));
	check(!wire_packet(z, out, ZP_COMMIT, Z(4, 2), NULL, -1));
	wire_expect(z, "log 400000001, log 400000002, close out, fail 300000002, state 0/0");
	wire_free(z);
	/* UPTODATE before NEWLEADER is acknowledged; a leader of an epoch gone by */
	z = follower(&out);
	check(!wire_packet(z, out, ZP_DIFF, Z(3, 2), NULL, -1));
	wire_skip(z);
	check(!wire_packet(z, out, ZP_UPTODATE, ~0ULL, NULL, -1));
	wire_expect(z, "close out, state 0/0");
	wire_elect(z, 2);
	check(!wire_event(z, ZAB_EV_LINK_UP, z->fo.link, 0));
	wire_skip(z);
	check(!wire_packet(z, z->fo.link, ZP_LEADERINFO, Z(3, 0), "\0\1\0\0", 4));
	wire_expect(z, "close out, state 0/0");
	/* the epoch that it has accepted, and not from this leader: no vote, but history */
	wire_elect(z, 2);
	check(!wire_event(z, ZAB_EV_LINK_UP, z->fo.link, 0));
	wire_skip(z);
	check(!wire_packet(z, z->fo.link, ZP_LEADERINFO, Z(4, 0), "\0\1\0\0", 4));
	wire_expect(z, ">out:ACKEPOCH 300000002 [ffffffff], state 1/2");
	wire_free(z);
	txn_put(gap);
	txn_put(old);
	txn_put(far);
	txn_put(next);
}

/* Each allocation of a whole life fails once: nothing is lost by it, nothing half done. */
static u64 life(u32 fail)
{
	static const u8 sync[20] = { [15] = 9 };
	struct zab_packet request = { .type = ZP_REQUEST, .data = sync, .len = 20 };
	u64 out, seen = 0;
	struct zab *z = live(&out);

	for (u32 i = 1; i <= 200; i++) {
		struct txn *t = mtxn_new(Z(4, i), i, 0);
		struct zab_packet p = {
			.type = ZP_PROPOSAL, .zxid = Z(4, i), .data = t->bytes, .len = t->len,
		};
		struct zab_packet c = { .type = ZP_COMMIT, .zxid = Z(4, i), .len = -1 };
		struct zab_event ev[] = {
			{ .type = ZAB_EV_PACKET, .link = out, .packet = &p },
			{ .type = ZAB_EV_DURABLE, .zxid = Z(4, i) },
			{ .type = ZAB_EV_PACKET, .link = out, .packet = &c },
			{ .type = ZAB_EV_TICK },
		};
		struct zab_action a;

		for (u32 k = 0; k < 4; k++) {
			int rc;

			fail_allocation(i == fail ? 1 + k : 0);
			rc = zab_step(z, &ev[k]);
			fail_allocation(0);
			if (rc)
				check_eq(rc, -ENOMEM);
			if (rc)
				check(!zab_step(z, &ev[k]));
			while (zab_next(z, &a)) {
				if (a.type == ZAB_DO_LOG || a.type == ZAB_DO_COMMIT)
					check_eq(a.txn->zxid, Z(4, i));
				seen += a.type == ZAB_DO_LOG || a.type == ZAB_DO_COMMIT;
				seen += a.type == ZAB_DO_SEND ? a.bytes->len : 0;
				zab_action_drop(&a);
			}
		}
		fail_allocation(i == fail ? 1 : 0);
		if (zab_sync(z, &request))
			check(i == fail && !(fail_allocation(0), zab_sync(z, &request)));
		fail_allocation(0);
		txn_put(t);
	}
	check_eq(zab_committed(z), Z(4, 200));
	check_eq(z->fo.syncs, 200);
	wire_free(z);
	return seen;
}

void test_memory(void)
{
	u64 whole = life(0);

	for (u32 fail = 1; fail <= 200; fail++)
		check_eq(life(fail), whole);
}
