// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One server's election against notifications made by hand: what it then votes for, whom
 * it tells, when it is over. The names are of FastLeaderElection where a rule has one.
 */
#include <string.h>

#include "daemon/zab/election.h"
#include "selftests/election/election.h"

#define THREE	"server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"
#define FIVE	THREE "server.4=d:1:2\nserver.5=e:1:2\n"
#define SENT	64

/* What was sent, since last looked at. */
static struct {
	u64 to;
	struct zab_vote v;
	char config[512];
} sent[SENT];
static u32 n_sent;

static void take(void *arg, u64 to, const struct zab_vote *v)
{
	check(arg == &n_sent);
	need(n_sent < SENT && v->config_len < sizeof(sent[0].config));
	sent[n_sent].to = to;
	sent[n_sent].v = *v;
	memcpy(sent[n_sent].config, v->config, v->config_len);
	sent[n_sent].config[v->config_len] = '\0';
	n_sent++;
}

static struct election *start(u64 myid, const char *text, u64 zxid, u64 epoch)
{
	struct election *el = election_new(myid, take, &n_sent);
	struct ensemble *e = members(text);

	need(el);
	n_sent = 0;
	check_eq(election_begin(el, e, zxid, epoch, 1000), 0);
	ensemble_put(e);
	return el;
}

/* A notification, of version 2. */
static void hear_at(struct election *el, u64 now, u64 from, s32 state, u64 leader, u64 zxid,
		    u64 round, u64 epoch)
{
	const struct zab_vote v = {
		.state = state, .leader = leader, .zxid = zxid, .round = round,
		.epoch = epoch, .version = 2,
	};

	election_vote(el, from, &v, now);
}
#define hear(el, ...)	hear_at(el, 1000, __VA_ARGS__)

/* All that was sent is one vote to each of @to (a 0 ends them). */
static void check_sent(const u64 *to, s32 state, u64 leader, u64 zxid, u64 round, u64 epoch,
		       int line)
{
	u32 i, n;

	for (n = 0; to[n]; n++)
		;
	if (n_sent != n && wrong++ < 10)
		printf("# line %d: %u sent, not %u\n", line, n_sent, n);
	for (i = 0; i < n_sent && i < n; i++) {
		const struct zab_vote *v = &sent[i].v;

		if ((sent[i].to != to[i] || v->state != state || v->leader != leader ||
		     v->zxid != zxid || v->round != round || v->epoch != epoch) && wrong++ < 10)
			printf("# line %d: to %llu: state %d %lld 0x%llx round %llu epoch %llu\n",
			       line, (unsigned long long)sent[i].to, v->state, (long long)v->leader,
			       (unsigned long long)v->zxid, (unsigned long long)v->round,
			       (unsigned long long)v->epoch);
	}
	n_sent = 0;
}
#define TO(...)		((const u64[]){ __VA_ARGS__, 0 })
#define NOBODY_TOLD	((const u64[]){ 0 })
#define told(to, ...)	check_sent(to, __VA_ARGS__, __LINE__)
#define told_none()	check_sent(NOBODY_TOLD, 0, 0, 0, 0, 0, __LINE__)

static bool over(const struct election *el, u64 leader)
{
	struct zab_vote v;

	return election_over(el, &v) && v.leader == leader;
}

static bool still(const struct election *el)
{
	struct zab_vote v;

	return !election_over(el, &v);
}

/* totalOrderPredicate(): epoch, then zxid, then id. */
void test_order(void)
{
	struct election *el = start(2, FIVE, 0x100000005, 1);

	told(TO(1, 3, 4, 5), PEER_LOOKING, 2, 0x100000005, 1, 1);
	check(strstr(sent[0].config, "server.5=e:1:2:participant\nversion=0"));
	/* whose first one is worse may have missed ours */
	hear(el, 1, PEER_LOOKING, 1, 0x100000005, 1, 1);	/* a lower id */
	told(TO(1), PEER_LOOKING, 2, 0x100000005, 1, 1);
	hear(el, 1, PEER_LOOKING, 5, 0x100000004, 1, 1);	/* a lower zxid */
	told_none();
	hear(el, 1, PEER_LOOKING, 5, 0x100000009, 1, 0);	/* a lower epoch */
	told_none();
	hear(el, 3, PEER_LOOKING, 3, 0x100000005, 1, 1);	/* a higher id */
	told(TO(1, 3, 4, 5), PEER_LOOKING, 3, 0x100000005, 1, 1);
	hear(el, 4, PEER_LOOKING, 1, 0x100000006, 1, 1);	/* a higher zxid */
	told(TO(1, 3, 4, 5), PEER_LOOKING, 1, 0x100000006, 1, 1);
	hear(el, 5, PEER_LOOKING, 3, 0, 1, 2);			/* a higher epoch */
	told(TO(1, 3, 4, 5), PEER_LOOKING, 3, 0, 1, 2);
	hear(el, 5, PEER_LOOKING, 4, ~0ULL, 1, 2);		/* a zxid of -1 is ignored */
	told_none();
	check(still(el));
	election_free(el);
}

void test_rounds(void)
{
	struct election *el = start(2, FIVE, 7, 1);

	told(TO(1, 3, 4, 5), PEER_LOOKING, 2, 7, 1, 1);
	/* a later round: joins it, with the better of that vote and its own first one */
	hear(el, 1, PEER_LOOKING, 1, 5, 4, 1);
	told(TO(1, 3, 4, 5), PEER_LOOKING, 2, 7, 4, 1);
	check_eq(election_round(el), 4);
	hear(el, 3, PEER_LOOKING, 3, 7, 6, 1);
	told(TO(1, 3, 4, 5), PEER_LOOKING, 3, 7, 6, 1);
	/* not with the one it had come to, if the later round's is worse */
	hear(el, 1, PEER_LOOKING, 1, 5, 7, 1);
	told(TO(1, 3, 4, 5), PEER_LOOKING, 2, 7, 7, 1);
	/* who lags is told, and not counted */
	hear(el, 4, PEER_LOOKING, 5, 9, 6, 1);
	told(TO(4), PEER_LOOKING, 2, 7, 7, 1);
	hear(el, 1, PEER_LOOKING, 2, 7, 6, 1);
	hear(el, 3, PEER_LOOKING, 2, 7, 6, 1);
	told(TO(1, 3), PEER_LOOKING, 2, 7, 7, 1);
	election_tick(el, 1200);
	check(still(el));
	/* votes of the round before do not count in this one */
	n_sent = 0;
	hear(el, 1, PEER_LOOKING, 2, 7, 7, 1);
	hear(el, 3, PEER_LOOKING, 2, 7, 8, 1);
	told(TO(1, 3, 4, 5), PEER_LOOKING, 2, 7, 8, 1);
	check_eq(election_deadline(el), 1000 + 2 * ELECTION_ASK_MIN_MS);
	election_tick(el, 1200);
	check(still(el));
	/* the next round is one more */
	n_sent = 0;
	{
		struct ensemble *e = members(FIVE);

		check_eq(election_begin(el, e, 7, 1, 2000), 0);
		ensemble_put(e);
	}
	told(TO(1, 3, 4, 5), PEER_LOOKING, 2, 7, 9, 1);
	election_free(el);
}

void test_sure(void)
{
	struct election *el = start(3, THREE, 7, 1);

	told(TO(1, 2), PEER_LOOKING, 3, 7, 1, 1);
	hear_at(el, 1010, 1, PEER_LOOKING, 3, 7, 1, 1);
	check_eq(election_deadline(el), 1010 + ELECTION_FINALIZE_MS);
	election_tick(el, 1209);
	check(still(el));
	/* what is not better makes the wait longer, and is not counted */
	hear_at(el, 1150, 2, PEER_LOOKING, 2, 7, 1, 1);
	check_eq(election_deadline(el), 1150 + ELECTION_FINALIZE_MS);
	told(TO(2), PEER_LOOKING, 3, 7, 1, 1);
	/* not even a later round */
	hear_at(el, 1160, 2, PEER_LOOKING, 2, 7, 9, 1);
	check_eq(election_round(el), 1);
	told_none();
	election_tick(el, 1360);
	check(over(el, 3));
	check_eq(election_deadline(el), ~0ULL);
	election_free(el);

	/* who says the same again and again, or what is of an earlier round, does not keep
	 * it from its end */
	for (u32 better = 0; better < 2; better++) {
		u64 now = 1010;

		el = start(3, THREE, 7, 1);
		hear_at(el, now, 1, PEER_LOOKING, 3, 7, 1, 1);
		for (; now < 60000 && still(el); now += 100) {
			n_sent = 0;
			hear_at(el, now, better ? 2 : 1, PEER_LOOKING, better ? 2 : 3,
				better ? 8 : 7, better ? 0 : 1, 1);
			election_tick(el, now);
		}
		check(over(el, 3));
		check(now < 1010 + 10 * ELECTION_FINALIZE_MS);
		election_free(el);
	}

	/* a better one ends the wait */
	el = start(2, THREE, 7, 1);
	told(TO(1, 3), PEER_LOOKING, 2, 7, 1, 1);
	hear_at(el, 1010, 1, PEER_LOOKING, 2, 7, 1, 1);
	hear_at(el, 1100, 3, PEER_LOOKING, 3, 7, 1, 1);
	told(TO(1, 3), PEER_LOOKING, 3, 7, 1, 1);
	check_eq(election_deadline(el), 1100 + ELECTION_FINALIZE_MS);	/* 2 and 3 are two */
	election_tick(el, 1300);
	check(over(el, 3));
	told_none();
	election_free(el);

	/* a vote that is changed does not count for the old one */
	el = start(1, FIVE, 7, 1);
	hear(el, 2, PEER_LOOKING, 1, 7, 1, 1);
	hear(el, 2, PEER_LOOKING, 2, 7, 1, 1);
	hear(el, 3, PEER_LOOKING, 3, 7, 1, 1);
	election_tick(el, 1200);
	check(still(el));
	election_free(el);

	/* an ensemble of one */
	el = start(1, "server.1=a:1:2", 7, 1);
	told_none();
	check(over(el, 1));
	election_free(el);
}

/* Who heard of this round too early hears of it again. */
void test_deaf(void)
{
	struct election *el = start(3, THREE, 7, 1);

	n_sent = 0;
	hear(el, 1, PEER_FOLLOWING, 2, 6, 0, 1);
	told_none();
	hear(el, 1, PEER_LOOKING, 1, 7, 1, 1);
	told(TO(1), PEER_LOOKING, 3, 7, 1, 1);
	/* once */
	hear(el, 1, PEER_LOOKING, 1, 7, 1, 1);
	told_none();
	/* whose vote is better is told so as all are */
	hear(el, 2, PEER_FOLLOWING, 1, 6, 0, 1);
	hear(el, 2, PEER_LOOKING, 2, 8, 1, 1);
	told(TO(1, 2), PEER_LOOKING, 2, 8, 1, 1);
	told_none();
	election_free(el);
}

/* Nothing better can come: no wait. */
void test_all_sure(void)
{
	struct election *el = start(2, THREE, 7, 1);

	hear(el, 1, PEER_LOOKING, 2, 7, 1, 1);
	hear(el, 3, PEER_LOOKING, 1, 7, 1, 1);
	check(still(el));
	hear(el, 3, PEER_LOOKING, 2, 7, 2, 1);	/* of another round */
	check(still(el));
	hear(el, 3, PEER_LOOKING, 2, 7, 1, 1);
	check(over(el, 2));
	election_free(el);

	/* the last one missing is the one that makes the quorum */
	el = start(1, FIVE, 7, 1);
	hear(el, 5, PEER_LOOKING, 5, 7, 1, 1);
	hear(el, 2, PEER_LOOKING, 5, 7, 1, 1);
	hear(el, 3, PEER_LOOKING, 5, 7, 1, 1);
	check(still(el));
	hear(el, 4, PEER_LOOKING, 5, 7, 1, 1);
	check(over(el, 5));
	election_free(el);

	/* nobody is where 3 was: known before or after the quorum */
	el = start(1, THREE, 7, 1);
	election_absent(el, 3);
	check(still(el));
	hear(el, 2, PEER_LOOKING, 2, 7, 1, 1);
	check(over(el, 2));
	election_free(el);
	el = start(1, THREE, 7, 1);
	hear(el, 2, PEER_LOOKING, 2, 7, 1, 1);
	check(still(el));
	election_absent(el, 1);			/* nonsense */
	election_absent(el, ~0ULL);
	check(still(el));
	election_absent(el, 3);
	check(over(el, 2));
	election_free(el);

	/* it is there after all, and another one is not */
	el = start(1, FIVE, 7, 1);
	election_absent(el, 5);
	election_absent(el, 4);
	hear(el, 5, PEER_LOOKING, 5, 6, 1, 1);
	hear(el, 2, PEER_LOOKING, 3, 7, 1, 1);
	hear(el, 3, PEER_LOOKING, 3, 7, 1, 1);
	check(still(el));
	hear(el, 5, PEER_LOOKING, 3, 7, 1, 1);
	check(over(el, 3));
	election_free(el);

	/* nor is there a hurry for one that is gone itself; nor without a quorum */
	el = start(1, THREE, 7, 1);
	hear(el, 2, PEER_LOOKING, 3, 7, 1, 1);
	election_absent(el, 3);
	check(still(el));
	election_free(el);
	el = start(1, THREE, 7, 1);
	election_absent(el, 2);
	election_absent(el, 3);
	check(still(el));
	election_free(el);
}

/* notTimeout: 200 ms, then twice as long each time, a minute at most. */
void test_asking(void)
{
	struct election *el = start(2, THREE, 7, 1);
	u64 now = 1000, wait = ELECTION_ASK_MIN_MS;
	int i;

	n_sent = 0;
	for (i = 0; i < 14; i++) {
		check_eq(election_deadline(el), now + wait);
		election_tick(el, now + wait - 1);
		told_none();
		now += wait;
		election_tick(el, now);
		told(TO(1, 3), PEER_LOOKING, 2, 7, 1, 1);
		wait = wait * 2 < ELECTION_ASK_MAX_MS ? wait * 2 : ELECTION_ASK_MAX_MS;
	}
	/* what is heard puts it off */
	hear_at(el, now + 1000, 1, PEER_LOOKING, 1, 7, 1, 1);
	check_eq(election_deadline(el), now + 1000 + ELECTION_ASK_MAX_MS);
	election_free(el);
}

void test_settled(void)
{
	struct election *el = start(1, FIVE, 7, 1);

	n_sent = 0;
	/* followers alone are not enough: the leader may be gone (checkLeader()) */
	hear(el, 2, PEER_FOLLOWING, 3, 7, 1, 1);
	hear(el, 4, PEER_FOLLOWING, 3, 7, 1, 1);
	hear(el, 5, PEER_FOLLOWING, 3, 7, 1, 1);
	check(still(el));
	hear(el, 3, PEER_LEADING, 3, 7, 1, 1);
	check(over(el, 3));
	told_none();
	election_free(el);

	/* nor one that is there but does not lead */
	el = start(1, FIVE, 7, 1);
	hear(el, 3, PEER_FOLLOWING, 3, 7, 5, 1);
	hear(el, 4, PEER_FOLLOWING, 3, 7, 5, 1);
	hear(el, 5, PEER_FOLLOWING, 3, 7, 5, 1);
	check(still(el));
	election_free(el);

	/* nor is a leader without followers */
	el = start(1, FIVE, 7, 1);
	hear(el, 3, PEER_LEADING, 3, 7, 1, 1);
	hear(el, 2, PEER_FOLLOWING, 3, 7, 1, 1);
	check(still(el));
	/* a vote of who still looks counts in this round if it is all the same */
	hear(el, 4, PEER_LOOKING, 3, 7, 1, 1);
	check(still(el));
	election_tick(el, 1000 + ELECTION_FINALIZE_MS);
	check(over(el, 3));
	election_free(el);

	/* all say that this server leads, in this round */
	el = start(3, THREE, 7, 1);
	hear(el, 1, PEER_FOLLOWING, 3, 7, 1, 1);
	check(over(el, 3));
	election_free(el);

	/* in another one: it is not, any more */
	el = start(3, THREE, 7, 1);
	hear(el, 1, PEER_FOLLOWING, 3, 7, 9, 1);
	hear(el, 2, PEER_FOLLOWING, 3, 7, 9, 1);
	check(still(el));
	check_eq(election_round(el), 1);
	election_free(el);
}

/* outofelection: joins what has settled, whatever its round and zxids. */
void test_late(void)
{
	struct election *el = start(1, FIVE, 0x900000001, 9);
	struct zab_vote v;

	n_sent = 0;
	hear(el, 3, PEER_LEADING, 3, 0x100000000, 40, 2);
	hear(el, 4, PEER_FOLLOWING, 3, 0x100000007, 41, 2);
	check(still(el));
	/* of another epoch */
	hear(el, 5, PEER_FOLLOWING, 3, 0x100000007, 41, 1);
	check(still(el));
	hear(el, 2, PEER_FOLLOWING, 3, 0x100000008, 39, 2);
	check(election_over(el, &v) && v.leader == 3 && v.zxid == 0x100000008 && v.round == 39 &&
	      v.epoch == 2);
	check_eq(election_round(el), 39);
	told_none();
	election_free(el);
}

/* Vote.equals() with forms of 28 and 40 bytes: the epoch is not compared. */
void test_old_forms(void)
{
	struct election *el = start(1, FIVE, 7, 1);
	struct zab_vote v = { .state = PEER_LEADING, .leader = 3, .zxid = 7, .round = 5,
			      .epoch = 2 };

	election_vote(el, 3, &v, 1000);
	hear(el, 4, PEER_FOLLOWING, 3, 7, 5, 1);
	check(still(el));
	v.state = PEER_FOLLOWING;
	v.epoch = 3;
	election_vote(el, 5, &v, 1000);
	check(still(el));		/* with 4 alone: 3's, of no version either, differs */
	hear(el, 2, PEER_FOLLOWING, 3, 7, 5, 9);
	check(over(el, 3));		/* with 3 and 5 */
	election_free(el);
}

#define WITH_OBSERVER	THREE "server.9=o:1:2:observer\n"

void test_observer(void)
{
	const u64 nobody = 1ULL << 63;
	struct election *el = start(9, WITH_OBSERVER, 0x900000000, 9);

	told(TO(1, 2, 3), PEER_LOOKING, nobody, nobody, 0, nobody);
	/* learns from those who look, */
	hear(el, 1, PEER_LOOKING, 1, 7, 5, 1);
	told(TO(1, 2, 3), PEER_LOOKING, 1, 7, 5, 1);
	election_tick(el, 1200);
	check(still(el));		/* its own vote is none */
	n_sent = 0;
	hear_at(el, 1300, 2, PEER_LOOKING, 1, 7, 5, 1);
	check_eq(election_deadline(el), 1300 + ELECTION_FINALIZE_MS);
	election_tick(el, 1500);
	check(over(el, 1));
	/* and when it looks once more, of whatever round they are */
	{
		struct ensemble *e = members(WITH_OBSERVER);

		check_eq(election_begin(el, e, 0x900000000, 9, 2000), 0);
		ensemble_put(e);
	}
	told(TO(1, 2, 3), PEER_LOOKING, nobody, nobody, 0, nobody);
	hear_at(el, 2000, 1, PEER_LOOKING, 1, 7, 2, 1);
	hear_at(el, 2000, 2, PEER_LOOKING, 1, 7, 2, 1);
	election_tick(el, 2000 + ELECTION_FINALIZE_MS);
	check(over(el, 1));
	election_free(el);
	/* and from those who have settled */
	el = start(9, WITH_OBSERVER, 0x900000000, 9);
	hear(el, 1, PEER_FOLLOWING, 3, 7, 5, 1);
	hear(el, 3, PEER_LEADING, 3, 7, 5, 1);
	check(over(el, 3));
	election_free(el);
	/* it never wins, and is nobody's candidate */
	el = start(1, WITH_OBSERVER, 7, 1);
	n_sent = 0;
	hear(el, 2, PEER_LOOKING, 9, 0x900000000, 1, 9);
	hear(el, 3, PEER_FOLLOWING, 9, 0x900000000, 1, 9);
	told_none();
	check(still(el));
	election_free(el);
}

void test_strangers(void)
{
	struct election *el = start(1, WITH_OBSERVER, 7, 1);
	const struct zab_vote settled = { .state = PEER_FOLLOWING, .leader = 3, .round = 1 };

	n_sent = 0;
	/* an observer that looks is told, but not counted */
	hear(el, 9, PEER_LOOKING, 1, 7, 1, 1);
	told(TO(9), PEER_LOOKING, 1, 7, 1, 1);
	check_eq(election_deadline(el), 1000 + ELECTION_ASK_MIN_MS);
	/* so is one that nobody knows: he may be about to join */
	hear(el, 77, PEER_LOOKING, 77, 7, 99, 1);
	told(TO(77), PEER_LOOKING, 1, 7, 1, 1);
	check_eq(election_round(el), 1);
	hear(el, ~0ULL, PEER_LOOKING, 3, 7, 99, 1);
	told(TO(~0ULL), PEER_LOOKING, 1, 7, 1, 1);
	/* one that has settled gets no answer: they would never end */
	election_vote(el, 77, &settled, 1000);
	election_vote(el, 9, &settled, 1000);
	told_none();
	/* votes for strangers, and what seems to be its own */
	hear(el, 2, PEER_LOOKING, 77, 9, 1, 1);
	hear(el, 2, PEER_LOOKING, ~0ULL, 9, 1, 1);
	hear(el, 2, PEER_LOOKING, 1ULL << 63, 9, 1, 1);
	hear(el, 1, PEER_LOOKING, 3, 9, 5, 1);
	/* a voter that says it observes */
	hear(el, 3, PEER_OBSERVING, 3, 9, 1, 1);
	told_none();
	check(still(el));
	election_free(el);
}

/* Who has no weight is not preferred to anyone, but may stand until it hears of one. */
void test_weightless(void)
{
	static const char text[] = THREE "group.1=1:2:3\nweight.3=0\n";
	struct election *el = start(1, text, 7, 1);

	n_sent = 0;
	hear(el, 3, PEER_LOOKING, 3, 9, 1, 1);
	told_none();
	hear(el, 2, PEER_LOOKING, 2, 7, 1, 1);
	told(TO(2, 3), PEER_LOOKING, 2, 7, 1, 1);
	election_tick(el, 1200);
	check(over(el, 2));
	election_free(el);
	/* its own voice has no weight either */
	el = start(1, text, 7, 1);
	hear(el, 3, PEER_LOOKING, 1, 7, 1, 1);
	election_tick(el, 1200);
	check(still(el));
	election_free(el);
}

static void answer(struct election *el, u64 from, s32 his, s32 mine)
{
	const struct zab_vote v = { .state = his, .leader = from, .zxid = 1, .round = 1 };

	election_answer(el, from, &v, mine);
}

void test_answers(void)
{
	struct election *el = start(2, WITH_OBSERVER, 7, 1);

	n_sent = 0;
	answer(el, 1, PEER_LOOKING, PEER_LOOKING);
	told_none();			/* it has nothing to say yet */
	hear(el, 3, PEER_LEADING, 3, 7, 5, 1);
	hear(el, 1, PEER_FOLLOWING, 3, 8, 6, 1);
	check(over(el, 3));
	told_none();
	answer(el, 1, PEER_LOOKING, PEER_FOLLOWING);
	told(TO(1), PEER_FOLLOWING, 3, 8, 6, 1);
	election_settle(el, 4);
	answer(el, 1, PEER_LOOKING, PEER_FOLLOWING);
	answer(el, 9, PEER_LOOKING, PEER_FOLLOWING);
	answer(el, 77, PEER_LOOKING, PEER_FOLLOWING);
	told(TO(1, 9, 77), PEER_FOLLOWING, 3, 8, 6, 4);
	answer(el, 3, PEER_LEADING, PEER_FOLLOWING);
	answer(el, 77, PEER_OBSERVING, PEER_FOLLOWING);
	answer(el, 2, PEER_LOOKING, PEER_FOLLOWING);
	told_none();
	/* what is heard now changes nothing */
	hear(el, 1, PEER_LOOKING, 1, 99, 99, 99);
	election_tick(el, 99999);
	check(over(el, 3));
	election_free(el);
}

/* Who has less than what is committed is not voted for, whatever his epoch. */
void test_floor(void)
{
	struct election *el = election_new(2, take, &n_sent);
	struct ensemble *e = members(FIVE);

	need(el);
	n_sent = 0;
	election_floor(el, 0x300000005);
	check_eq(election_begin(el, e, 0x300000007, 3, 1000), 0);
	told(TO(1, 3, 4, 5), PEER_LOOKING, 2, 0x300000007, 1, 3);
	hear(el, 3, PEER_LOOKING, 3, 0x300000004, 1, 4);
	hear(el, 4, PEER_LOOKING, 3, 0x300000004, 1, 4);
	told(TO(3, 4), PEER_LOOKING, 2, 0x300000007, 1, 3);
	/* nor in a later round */
	hear(el, 5, PEER_LOOKING, 3, 0x300000004, 2, 4);
	told(TO(1, 3, 4, 5), PEER_LOOKING, 2, 0x300000007, 2, 3);
	/* who has it is, though he has less than this server */
	hear(el, 1, PEER_LOOKING, 1, 0x300000005, 2, 4);
	told(TO(1, 3, 4, 5), PEER_LOOKING, 1, 0x300000005, 2, 4);
	check(still(el));
	/* a leader that others have elected is the leader */
	hear(el, 3, PEER_LEADING, 3, 0x300000004, 7, 4);
	hear(el, 4, PEER_FOLLOWING, 3, 0x300000004, 7, 4);
	check(still(el));
	hear(el, 5, PEER_FOLLOWING, 3, 0x300000004, 7, 4);
	check(over(el, 3));
	election_free(el);
	ensemble_put(e);
}

static void hear_config(struct election *el, u64 from, const char *config)
{
	const struct zab_vote v = {
		.state = PEER_LOOKING, .leader = 1, .zxid = 1, .round = 1, .version = 2,
		.config = config, .config_len = strlen(config),
	};

	election_vote(el, from, &v, 1000);
}

void test_newer(void)
{
	struct election *el = start(2, THREE "version=10", 7, 1);
	struct ensemble *e;

	check(!election_newer(el));
	hear_config(el, 1, "");
	hear_config(el, 1, "server.1=");
	hear_config(el, 1, THREE "version=10");
	hear_config(el, 1, FIVE "version=f");
	check(!election_newer(el));
	hear_config(el, 77, FIVE "version=11");
	e = election_newer(el);
	check(e && e->version == 0x11 && e->n == 5);
	hear_config(el, 1, FIVE "version=10");
	hear_config(el, 1, FIVE "server.6=f:1:2\nversion=12");
	e = election_newer(el);
	check(e && e->version == 0x12 && e->n == 6);
	/* adopted */
	ensemble_get(e);
	n_sent = 0;
	check_eq(election_begin(el, e, 7, 1, 1000), 0);
	ensemble_put(e);
	told(TO(1, 3, 4, 5, 6), PEER_LOOKING, 2, 7, 2, 1);
	check(strstr(sent[0].config, "version=12"));
	check(!election_newer(el));
	election_free(el);
}

void test_pending(void)
{
	struct election *el = election_new(1, take, &n_sent);
	struct ensemble *e = members("server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=1");
	struct ensemble *next = members("server.1=a:1:2\nserver.4=d:1:2\n"
					"server.5=e:1:2\nversion=2");

	need(el);
	n_sent = 0;
	election_pending(el, next);
	check_eq(election_begin(el, e, 7, 1, 1000), 0);
	told(TO(2, 3, 4, 5), PEER_LOOKING, 1, 7, 1, 1);
	hear(el, 2, PEER_LOOKING, 1, 7, 1, 1);
	check_eq(election_deadline(el), 1000 + ELECTION_ASK_MIN_MS);
	election_tick(el, 1200);
	check(still(el));		/* a quorum of the old one alone */
	hear_at(el, 1300, 4, PEER_LOOKING, 1, 7, 1, 1);
	election_tick(el, 1500);
	check(over(el, 1));
	/* one that is older than what is in force is none */
	election_pending(el, e);
	n_sent = 0;
	check_eq(election_begin(el, next, 7, 1, 1000), 0);
	told(TO(4, 5), PEER_LOOKING, 1, 7, 2, 1);
	election_pending(el, NULL);
	election_free(el);
	ensemble_put(e);
	ensemble_put(next);
}
