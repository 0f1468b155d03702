// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ZAB of a single server.
 */
#include <stdlib.h>

#include "daemon/zab/zab.h"
#include "selftests/core/core.h"

static struct zab *fresh(void)
{
	struct zab_params p = { .myid = 7 };
	struct zab *z = zab_new(&p);

	check(z != NULL);
	return z;
}

static int feed(struct zab *z, enum zab_event_type type, u64 zxid)
{
	struct zab_event ev = { .type = type, .zxid = zxid };

	return zab_step(z, &ev);
}

static struct txn *numbered(u64 zxid)
{
	struct txn *t = calloc(1, sizeof(*t));

	t->refs = 1;
	t->zxid = zxid;
	return t;
}

static int propose(struct zab *z, u64 zxid)
{
	struct txn *t = numbered(zxid);
	struct zab_event ev = { .type = ZAB_EV_PROPOSE, .txn = t };
	int rc = zab_step(z, &ev);

	txn_put(t);
	return rc;
}

static void expect(struct zab *z, enum zab_action_type type, u64 zxid)
{
	struct zab_action a;
	bool got = zab_next(z, &a);

	check(got);
	if (!got)
		return;
	check_eq(a.type, type);
	check_eq(a.zxid, zxid);
	if (a.type == ZAB_DO_COMMIT)
		txn_put(a.txn);
}

static void expect_none(struct zab *z)
{
	struct zab_action a;

	check(!zab_next(z, &a));
}

void test_zab_states(void)
{
	struct zab *z = fresh();

	check_eq(zab_state(z), ZAB_LOOKING);
	check(propose(z, 1) == -EINVAL);
	check(!feed(z, ZAB_EV_DISK_FAILED, 0));
	expect_none(z);
	check(!feed(z, ZAB_EV_START, 0x500000007));
	expect(z, ZAB_DO_STATE, 0x500000007);
	check_eq(zab_state(z), ZAB_LEADING);
	check_eq(zab_next_zxid(z), 0x500000008);
	check(feed(z, ZAB_EV_START, 9) == -EINVAL);
	check(propose(z, 0x500000009) == -EINVAL);
	check(feed(z, ZAB_EV_DURABLE, 0x500000008) == -EINVAL);
	check(!propose(z, 0x500000008));
	expect(z, ZAB_DO_LOG, 0x500000008);
	check(!feed(z, ZAB_EV_TICK, 0));
	expect_none(z);
	check(!feed(z, ZAB_EV_DISK_FAILED, 0));
	expect(z, ZAB_DO_FAIL, 0x500000007);
	expect(z, ZAB_DO_STATE, 0x500000007);
	check_eq(zab_state(z), ZAB_LOOKING);
	check_eq(zab_outstanding(z), 0);
	check(propose(z, 0x500000009) == -EINVAL);
	/* the disk took writes again */
	check(!feed(z, ZAB_EV_START, 0x500000007));
	expect(z, ZAB_DO_STATE, 0x500000007);
	check(!propose(z, 0x500000008));
	expect(z, ZAB_DO_LOG, 0x500000008);
	check(!feed(z, ZAB_EV_DISK_FAILED, 0));
	expect(z, ZAB_DO_FAIL, 0x500000007);
	expect(z, ZAB_DO_STATE, 0x500000007);
	check(!feed(z, ZAB_EV_DISK_BACK, 0x500000007));
	expect(z, ZAB_DO_STATE, 0x500000007);
	check_eq(zab_phase(z), ZAB_BROADCAST);
	check_eq(zab_next_zxid(z), 0x500000008);
	zab_free(z);
	zab_free(NULL);
}

void test_zab_order(void)
{
	u64 proposed = 0, durable = 0, committed = 0;
	struct zab *z = fresh();
	struct zab_action a;

	feed(z, ZAB_EV_START, 0);
	zab_next(z, &a);
	for (int i = 0; i < 200000; i++) {
		if (rnd(3)) {
			check(!propose(z, ++proposed));
		} else {
			durable += rnd(proposed - durable + 1);
			check(!feed(z, ZAB_EV_DURABLE, durable));
		}
		while (zab_next(z, &a)) {
			if (a.type == ZAB_DO_COMMIT) {
				check_eq(a.txn->zxid, ++committed);
				txn_put(a.txn);
			} else {
				check_eq(a.type, ZAB_DO_LOG);
				check_eq(a.txn->zxid, proposed);
			}
		}
		check_eq(committed, durable);
		check_eq(zab_committed(z), committed);
		check_eq(zab_outstanding(z), proposed - committed);
	}
	/* old news changes nothing */
	check(!feed(z, ZAB_EV_DURABLE, 1));
	expect_none(z);
	zab_free(z);
}

void test_zab_memory(void)
{
	struct zab *z = fresh();
	struct zab_action a;
	u64 n;

	feed(z, ZAB_EV_START, 0);
	zab_next(z, &a);
	for (n = 1; n <= 1000; n++) {
		struct txn *t = numbered(n);
		struct zab_event ev = { .type = ZAB_EV_PROPOSE, .txn = t };
		int rc;

		fail_allocation(1);
		rc = zab_step(z, &ev);
		fail_allocation(0);
		if (rc == -ENOMEM) {
			check_eq(zab_next_zxid(z), n);
			check_eq(zab_outstanding(z), n - 1);
			check_eq(t->refs, 1);
			check(!zab_step(z, &ev));
		}
		txn_put(t);
		while (zab_next(z, &a))
			check_eq(a.zxid, n);
	}
	fail_allocation(1);
	check(feed(z, ZAB_EV_DURABLE, 1000) == -ENOMEM);
	fail_allocation(0);
	expect_none(z);
	check(!feed(z, ZAB_EV_DURABLE, 1000));
	for (n = 1; n <= 1000; n++)
		expect(z, ZAB_DO_COMMIT, n);
	zab_free(z);
}
