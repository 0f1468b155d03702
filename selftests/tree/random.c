// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random transactions against the model: outcomes, digests, and every question of the
 * interface, at the published zxid and at the zxids of pins.
 */
#include <linux/bitops.h>

#include "model.h"

#define PINS	6
#define OPS	6

struct pinned {
	bool taken;
	struct zk_pin pin;
	struct model *model;	/* as it was at the pin's zxid */
};

struct run {
	struct zt_rand rand;
	struct zk_tree *tree;
	struct model *model, *trial;
	struct pinned pinned[PINS];
	bool replay;
	char path[OPS][MODEL_PATH + 16];
	u8 data[OPS][MODEL_DATA];
	struct zk_op op[OPS];
};

static const char * const names[] = {
	"a", "b", "c", "zookeeper", "lock-0001", "d", "e", "\303\251",
};

static void random_path(struct run *r, char *path)
{
	u32 depth = 1 + zt_below(&r->rand, 3);

	*path = 0;
	while (depth--) {
		strcat(path, "/");
		strcat(path, names[zt_below(&r->rand, ARRAY_SIZE(names))]);
	}
	if (!zt_below(&r->rand, 40))
		strcpy(path, "/");
}

static u64 random_owner(struct run *r)
{
	switch (zt_below(&r->rand, 8)) {
	case 0:
		return ZK_OWNER_CONTAINER;
	case 1:
		return ZK_OWNER_TTL_MASK | (1 + zt_below(&r->rand, 3));
	case 2:
	case 3:
	case 4:
		return 1 + zt_below(&r->rand, 7);
	default:
		return 0;
	}
}

static void random_data(struct run *r, u32 i)
{
	struct zk_op *op = &r->op[i];
	s32 n;

	op->data_len = (s32)zt_below(&r->rand, MODEL_DATA + 2) - 1;
	for (n = 0; n < op->data_len; n++)
		r->data[i][n] = zt_rand(&r->rand);
	op->data = r->data[i];
	op->crc = zt_crc(op->path, op->path_len, op->data, op->data_len);
}

static void random_op(struct run *r, u32 i)
{
	const struct zt_acl *acl = &zt_acls[zt_below(&r->rand, ZT_ACLS)];
	struct zk_op *op = &r->op[i];
	u32 dice = zt_below(&r->rand, 100);

	random_path(r, r->path[i]);
	memset(op, 0, sizeof(*op));
	op->path = r->path[i];
	op->path_len = strlen(op->path);
	op->acl = acl->jute;
	op->acl_len = acl->len;
	op->version = zt_below(&r->rand, 100);
	if (dice < 45) {
		op->type = ZK_OP_CREATE;
		op->owner = random_owner(r);
		op->pcversion = zt_below(&r->rand, 10) ? -1 : (s32)zt_below(&r->rand, 200);
		random_data(r, i);
	} else if (dice < 65) {
		op->type = ZK_OP_DELETE;
	} else if (dice < 85) {
		op->type = ZK_OP_SETDATA;
		random_data(r, i);
	} else if (dice < 95) {
		op->type = ZK_OP_SETACL;
	} else {
		op->type = ZK_OP_CLOSE;
		op->owner = 1 + zt_below(&r->rand, 7);
	}
}

static void pin_some(struct run *r)
{
	struct pinned *p = &r->pinned[zt_below(&r->rand, PINS)];

	if (p->taken) {
		zt_check(zk_pin_valid(&p->pin));
		model_compare(p->model, r->tree);
		zk_pin_drop(r->tree, &p->pin);
		p->taken = false;
		return;
	}
	p->pin.revocable = zt_below(&r->rand, 2);
	zk_pin_take(r->tree, &p->pin);
	memcpy(p->model, r->model, sizeof(*p->model));
	zt_equal(p->pin.zxid, r->model->zxid);
	zt_equal(p->pin.digest, model_digest(r->model));
	zt_equal(p->pin.nodes, r->model->n);
	p->taken = true;
}

/* Of a path that is made of @names: one of them has a character of two bytes. */
static u32 chars(const char *path, u32 len)
{
	u32 n = len;

	while (len--)
		n -= path[len] == '\303';
	return n;
}

static void check_state(struct run *r)
{
	struct zk_tree_stats st;
	u64 bytes = 0, ephemerals = 0, owners = 0;
	struct model_node *node;
	u32 i;

	zk_tree_stats(r->tree, &st);
	for (i = 0; i < MODEL_NODES; i++) {
		node = &r->model->node[i];
		if (!node->used)
			continue;
		bytes += chars(node->path, node->path_len) + max_t(s32, node->data_len, 0);
		if (node->stat.owner && node->stat.owner < ZK_OWNER_CONTAINER) {
			ephemerals++;
			owners |= 1ULL << node->stat.owner;
		}
	}
	zt_equal(st.zxid, r->model->zxid);
	zt_equal(st.digest, model_digest(r->model));
	zt_equal(st.nodes, r->model->n);
	zt_equal(st.data_bytes, bytes);
	zt_equal(st.ephemerals, ephemerals);
	zt_equal(st.owners, hweight64(owners));
	model_compare(r->model, r->tree);
}

/* Refused: as the model says. Else linked: invisible; then aborted or published. */
static void one_txn(struct run *r)
{
	struct zk_txn txn = {
		.zxid = r->model->zxid + 1 + zt_below(&r->rand, 3),
		.time = 1600000000000LL + zt_below(&r->rand, 1000000),
		.n_ops = zt_below(&r->rand, 3) ? 1 : zt_below(&r->rand, OPS + 1),
		.ops = r->op,
	};
	struct zk_link_result want, got;
	struct model *swap;
	int want_err, err;
	u32 i;

	if (r->replay && !zt_below(&r->rand, 3))
		txn.flags = ZK_TXN_REPLAY;
	for (i = 0; i < txn.n_ops; i++)
		random_op(r, i);
	memcpy(r->trial, r->model, sizeof(*r->trial));
	want_err = model_apply(r->trial, &txn, &want);
	if (want_err == -ENOSPC)
		return;
	if (zt_memory_fails)
		zt_memory_fails(true);
	err = zk_tree_link(r->tree, &txn, &got);
	if (zt_memory_fails)
		zt_memory_fails(false);
	if (err == -ENOMEM && zt_memory_fails)
		return;
	zt_equal(err, want_err);
	if (err) {
		zt_equal(got.failed_op, want.failed_op);
		return;
	}
	zt_equal(got.closed, want.closed);
	zt_equal(got.digest, model_digest(r->trial));
	zt_equal(zk_tree_zxid(r->tree), r->model->zxid);
	if (!zt_below(&r->rand, 8)) {
		model_compare(r->model, r->tree);
		zk_tree_abort(r->tree);
		return;
	}
	zk_tree_publish(r->tree);
	swap = r->model;
	r->model = r->trial;
	r->trial = swap;
}

static void run_free(struct run *r)
{
	u32 i;

	for (i = 0; i < PINS; i++) {
		if (r->pinned[i].taken)
			zk_pin_drop(r->tree, &r->pinned[i].pin);
		kvfree(r->pinned[i].model);
	}
	if (r->tree)
		zt_tree_done(r->tree);
	kvfree(r->model);
	kvfree(r->trial);
	kvfree(r);
}

static struct run *run_new(u64 seed, bool replay)
{
	struct run *r = kvmalloc(sizeof(*r), GFP_KERNEL | __GFP_ZERO);
	bool whole;
	u32 i;

	if (!r)
		return NULL;
	r->rand.state = seed;
	r->replay = replay;
	r->tree = zt_tree(0);
	r->model = kvmalloc(sizeof(*r->model), GFP_KERNEL);
	r->trial = kvmalloc(sizeof(*r->trial), GFP_KERNEL);
	whole = r->tree && r->model && r->trial;
	for (i = 0; i < PINS; i++) {
		r->pinned[i].model = kvmalloc(sizeof(*r->pinned[i].model), GFP_KERNEL);
		whole &= !!r->pinned[i].model;
	}
	if (whole) {
		model_init(r->model);
		return r;
	}
	run_free(r);
	return NULL;
}

void zt_random_run(u64 seed, bool replay)
{
	struct run *r = run_new(seed, replay);
	u32 i;

	if (!zt_check(r))
		return;
	for (i = 0; i < 12000 * zt_scale && !zt_failed(); i++) {
		one_txn(r);
		if (!zt_below(&r->rand, 16))
			check_state(r);
		if (!zt_below(&r->rand, 12))
			pin_some(r);
		if (!zt_below(&r->rand, 400))
			zk_tree_reclaim(r->tree, true);
		cond_resched();
	}
	check_state(r);
	zt_verify(r->tree);
	run_free(r);
}

void zt_random(void)
{
	zt_random_run(zt_seed, false);
}

void zt_random_replay(void)
{
	zt_random_run(zt_seed + 1, true);
}
