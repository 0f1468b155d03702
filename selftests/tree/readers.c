// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A writer whose transactions keep invariants, and readers that check them: the sum of
 * numbers spread over nodes, the number of children that move between two parents,
 * digests of whole trees under pins.
 */
#include <linux/err.h>

#include "zt.h"

#define ACCOUNTS	24
#define TOTAL		(ACCOUNTS * 1000LL)
#define TOKENS		40
#define READERS		2

struct bank {
	struct zk_tree *tree;
	struct zt_rand rand;
	s64 balance[ACCOUNTS];
	bool in_y[TOKENS];
	u64 rounds[READERS];	/* of each reader */
};

struct reader {
	struct bank *bank;
	u32 number;
	bool pins;
	struct task_struct *task;
};

static void account_path(char *path, u32 i)
{
	sprintf(path, "/sum/n%u", i);
}

static void token_path(char *path, bool y, u32 i)
{
	sprintf(path, "/%c/t%u", y ? 'y' : 'x', i);
}

static void set_up(struct bank *b)
{
	static const char * const dirs[] = { "/sum", "/x", "/y" };
	struct zk_op op;
	char path[32];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		op = zt_create(dirs[i], NULL, 0, 0);
		zt_equal(zt_apply(b->tree, &op, 1), 0);
	}
	for (i = 0; i < ACCOUNTS; i++) {
		b->balance[i] = TOTAL / ACCOUNTS;
		account_path(path, i);
		op = zt_create(path, &b->balance[i], sizeof(b->balance[i]), 0);
		zt_equal(zt_apply(b->tree, &op, 1), 0);
	}
	for (i = 0; i < TOKENS; i++) {
		token_path(path, false, i);
		op = zt_create(path, "token", 5, i % 3 ? 0 : 5);
		zt_equal(zt_apply(b->tree, &op, 1), 0);
	}
}

static void transfer(struct bank *b)
{
	u32 from = zt_below(&b->rand, ACCOUNTS), to = zt_below(&b->rand, ACCOUNTS);
	s64 amount = zt_below(&b->rand, 500);
	struct zk_op op[2];
	char path[2][32];

	b->balance[from] -= amount;
	account_path(path[0], from);
	op[0] = zt_set(path[0], &b->balance[from], sizeof(s64), 1);
	b->balance[to] += amount;
	account_path(path[1], to);
	op[1] = zt_set(path[1], &b->balance[to], sizeof(s64), 1);
	if (from == to)
		op[0] = op[1];
	zt_equal(zt_apply(b->tree, op, 2), 0);
}

static void move_tokens(struct bank *b)
{
	struct zk_op op[8];
	char path[8][32];
	u32 n = 0, i;

	while (n < 8) {
		i = (zt_below(&b->rand, TOKENS / 4) * 4 + n / 2) % TOKENS;
		token_path(path[n], b->in_y[i], i);
		token_path(path[n + 1], !b->in_y[i], i);
		b->in_y[i] = !b->in_y[i];
		op[n] = zt_delete(path[n]);
		op[n + 1] = zt_create(path[n + 1], "token", 5, i % 3 ? 0 : 5);
		n += 2;
	}
	zt_equal(zt_apply(b->tree, op, n), 0);
}

/*
 * What readers come by without seeing it: nodes and versions that are taken back. Their
 * memory must outlast whoever stands on it.
 */
static void link_and_abort(struct bank *b)
{
	struct zk_txn txn = { .zxid = zk_tree_zxid(b->tree) + 1, .n_ops = 6 };
	u32 i = zt_below(&b->rand, ACCOUNTS);
	struct zk_link_result res;
	struct zk_op op[6];
	char path[32];

	account_path(path, i);
	op[0] = zt_create("/x/never", "n", 1, 5);
	op[1] = zt_create("/y/never", "n", 1, 6);
	op[2] = zt_create("/y/never/more", "n", 1, 0);
	op[3] = zt_set(path, "12345678", 8, 1);
	op[4] = zt_set("/x/never", "changed", 7, 1);
	op[5] = zt_delete("/y/never/more");
	txn.ops = op;
	if (zt_equal(zk_tree_link(b->tree, &txn, &res), 0))
		zk_tree_abort(b->tree);
}

/* RCU: the children, counted by hand and as the stat says. */
static s32 children(struct bank *b, const char *path, u64 zxid)
{
	struct zk_node *dir = zk_lookup(b->tree, path, strlen(path), zxid);
	struct zk_node *child;
	struct zk_view view;
	s32 n = 0;

	if (!zt_check(dir) || !zt_check(zk_view(dir, zxid, &view)))
		return 0;
	for (child = zk_first_child(dir, zxid); child; child = zk_next_child(child, zxid))
		n++;
	zt_equal(n, view.stat.num_children);
	return n;
}

static void check_once(struct bank *b)
{
	struct zk_node *node;
	struct zk_view view;
	char path[32];
	s64 sum = 0, balance;
	u64 zxid;
	u32 i;

	rcu_read_lock();
	zxid = zk_tree_zxid(b->tree);
	for (i = 0; i < ACCOUNTS; i++) {
		account_path(path, i);
		node = zk_lookup(b->tree, path, strlen(path), zxid);
		if (!zt_check(node) || !zt_check(zk_view(node, zxid, &view)))
			break;
		memcpy(&balance, view.data, sizeof(balance));
		sum += balance;
		zt_check(view.stat.mzxid <= zxid);
	}
	if (i == ACCOUNTS) {
		zt_equal(sum, TOTAL);
		zt_equal(children(b, "/x", zxid) + children(b, "/y", zxid), TOKENS);
	}
	rcu_read_unlock();
}

static void check_pinned(struct bank *b)
{
	struct zk_pin pin = { .revocable = false };
	struct zt_sum first, again;

	zk_pin_take(b->tree, &pin);
	first = zt_walk(b->tree, pin.zxid);
	zt_equal(first.digest, pin.digest);
	zt_equal(first.nodes, pin.nodes);
	cond_resched();
	again = zt_walk(b->tree, pin.zxid);
	zt_equal(again.order, first.order);
	zt_check(zk_pin_valid(&pin));
	zk_pin_drop(b->tree, &pin);
}

static int reader(void *arg)
{
	struct reader *r = arg;

	while (!kthread_should_stop()) {
		if (r->pins)
			check_pinned(r->bank);
		else
			check_once(r->bank);
		WRITE_ONCE(r->bank->rounds[r->number], r->bank->rounds[r->number] + 1);
		cond_resched();
	}
	return 0;
}

static bool start(struct reader *r, struct bank *b, bool pins)
{
	u32 i;

	for (i = 0; i < READERS; i++) {
		r[i] = (struct reader){ .bank = b, .number = i, .pins = pins };
		r[i].task = kthread_run(reader, &r[i], "zt_reader");
		if (!zt_check(!IS_ERR_OR_NULL(r[i].task)))
			return false;
	}
	return true;
}

/* Writes until every reader has looked often enough, at least @n transactions. */
static void write_along(struct bank *b, u32 n, u32 rounds)
{
	u32 i = 0;

	while (!zt_failed() && (i < n || READ_ONCE(b->rounds[0]) < rounds ||
				READ_ONCE(b->rounds[1]) < rounds)) {
		if (zt_below(&b->rand, 2))
			transfer(b);
		else
			move_tokens(b);
		if (!zt_below(&b->rand, 16))
			link_and_abort(b);
		if (!zt_below(&b->rand, 64))
			zk_tree_reclaim(b->tree, true);
		i++;
		cond_resched();
	}
}

static void run(u64 seed, u32 n, u32 rounds, bool pins)
{
	struct bank *b = kvmalloc(sizeof(*b), GFP_KERNEL | __GFP_ZERO);
	struct reader r[READERS];
	u32 i;

	if (!zt_check(b))
		return;
	b->rand.state = seed;
	b->tree = zt_tree(0);
	set_up(b);
	if (start(r, b, pins))
		write_along(b, n, rounds);
	for (i = 0; i < READERS && !IS_ERR_OR_NULL(r[i].task); i++)
		kthread_stop(r[i].task);
	zt_verify(b->tree);
	zt_tree_done(b->tree);
	kvfree(b);
}

void zt_readers(void)
{
	run(zt_seed, 20000 * zt_scale, 500 * zt_scale, false);
}

void zt_pins_stable(void)
{
	run(zt_seed, 10000 * zt_scale, 100 * zt_scale, true);
}

/* ------------------------------------------------------------ zxid and digest */

struct pairs {
	struct zk_tree *tree;
	u64 rounds;
	u64 digest[];		/* after each zxid, noted before it is published */
};

static int match(void *arg)
{
	struct zk_pin pin = { .revocable = true };
	struct pairs *p = arg;
	struct zk_tree_stats st;

	while (!kthread_should_stop()) {
		zk_pin_take(p->tree, &pin);
		zt_equal(pin.digest, READ_ONCE(p->digest[pin.zxid]));
		zt_equal(pin.nodes, 1 + pin.zxid % 2);
		zk_pin_drop(p->tree, &pin);
		zk_tree_stats(p->tree, &st);
		zt_equal(st.digest, READ_ONCE(p->digest[st.zxid]));
		zt_equal(st.nodes, 1 + st.zxid % 2);
		WRITE_ONCE(p->rounds, p->rounds + 1);
		cond_resched();
	}
	return 0;
}

static void toggle(struct pairs *p)
{
	struct zk_op op = zt_create("/t", "data", 4, 0);
	struct zk_txn txn = { .zxid = zk_tree_zxid(p->tree) + 1, .n_ops = 1, .ops = &op };
	struct zk_link_result res;

	if (!(txn.zxid % 2))
		op.type = ZK_OP_DELETE;
	if (!zt_equal(zk_tree_link(p->tree, &txn, &res), 0))
		return;
	WRITE_ONCE(p->digest[txn.zxid], res.digest);
	zk_tree_publish(p->tree);
}

void zt_pairs(void)
{
	u32 n = 100000 * zt_scale, i;
	struct pairs *p = kvmalloc(sizeof(*p) + (n + 1) * sizeof(u64),
				   GFP_KERNEL | __GFP_ZERO);
	struct task_struct *task;
	struct zk_tree_stats st;

	if (!zt_check(p))
		return;
	p->tree = zt_tree(0);
	zk_tree_stats(p->tree, &st);
	p->digest[0] = st.digest;
	task = kthread_run(match, p, "zt_match");
	if (zt_check(!IS_ERR_OR_NULL(task))) {
		while (!READ_ONCE(p->rounds))
			cond_resched();
		for (i = 0; i < n && !zt_failed(); i++) {
			toggle(p);
			cond_resched();
		}
		kthread_stop(task);
	}
	zt_tree_done(p->tree);
	kvfree(p);
}
