// SPDX-License-Identifier: GPL-2.0-only
/*
 * The owner's commands: ZKERN_OWN, ZKERN_APPLY, ZKERN_LOAD, ZKERN_SET_STATE,
 * ZKERN_CONFIRM.
 *
 * All of them run under inst->lock, and zf->own (the buffers, the tree being
 * loaded) is only touched there. What the owner hands over is copied once, into a
 * buffer of ours that is kept for the next time, and parsed from there: he cannot
 * change it under our hands. records.c checks every length.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "file.h"
#include "lock.h"
#include "map.h"
#include "records.h"
#include "request.h"
#include "trace.h"
#include "watch.h"

#define STAGE_KEEP	(1024 * 1024)	/* larger buffers are not kept */

/*
 * struct zkern_owner - what a file has because it owns.
 * @stage, @stage_cap: the copy of what was handed over
 * @ops:  the operations of the transaction being parsed
 * @load: the tree being built, or NULL
 * @load_zxid, @load_digest: last replayed on it
 */
struct zkern_owner {
	void *stage;
	u32 stage_cap;
	struct zkern_ops ops;
	struct zk_tree *load;
	u64 load_zxid;
	u64 load_digest;
};

/* Takes inst->lock for the owner. -EPERM, -ENODEV, -EINTR: not taken. */
static int owner_enter(struct zkern_file *zf)
{
	struct zkern_inst *inst = zf->inst;
	int err = 0;

	if (!zkern_file_is_owner(zf))
		return -EPERM;
	if (mutex_lock_killable(&inst->lock))
		return -EINTR;
	if (!rcu_access_pointer(inst->tree))
		err = -ENODEV;
	else if (inst->owner != zf)
		err = -EPERM;
	if (err)
		mutex_unlock(&inst->lock);
	return err;
}

static void owner_leave(struct zkern_file *zf)
{
	mutex_unlock(&zf->inst->lock);
}

static struct zk_tree *owner_tree(struct zkern_file *zf)
{
	return rcu_dereference_protected(zf->inst->tree, lockdep_is_held(&zf->inst->lock));
}

/* The caller's bytes in our buffer: @left of them at @at. */
struct stage {
	const void *at;
	u32 left;
};

static int stage_in(struct zkern_owner *own, u64 uptr, u32 len, struct stage *stage)
{
	if (!len || len > ZKERN_APPLY_MAX || len % 8)
		return -EINVAL;
	if (len > own->stage_cap) {
		kvfree(own->stage);
		own->stage_cap = 0;
		own->stage = kvmalloc(len, GFP_KERNEL_ACCOUNT);
		if (!own->stage)
			return -ENOMEM;
		own->stage_cap = len;
	}
	if (copy_from_user(own->stage, u64_to_user_ptr(uptr), len))
		return -EFAULT;
	stage->at = own->stage;
	stage->left = len;
	return 0;
}

static void stage_done(struct zkern_owner *own)
{
	if (own->stage_cap > STAGE_KEEP) {
		kvfree(own->stage);
		own->stage = NULL;
		own->stage_cap = 0;
	}
	zkern_ops_trim(&own->ops);
}

static void stage_next(struct stage *stage, u32 len)
{
	stage->at += len;
	stage->left -= len;
	cond_resched();
}

/* ------------------------------------------------------------ apply */

static int apply_one(struct zkern_file *zf, struct zk_tree *tree, const struct zk_txn *txn,
		     struct zk_link_result *res)
{
	u64 start = trace_zkern_apply_enabled() ? ktime_get_ns() : 0;
	int err;

	err = zk_tree_link(tree, txn, res);
	if (!err) {
		zkern_watch_apply_begin(zf->inst->watches, tree, txn);
		zkern_maps_apply(zf->inst->maps, tree, txn);
		zk_tree_publish(tree);
		zkern_maps_publish(zf->inst->maps);
		zkern_watch_apply_end(zf->inst->watches);
		zkern_inst_wake(zf->inst);
	}
	if (trace_zkern_apply_enabled())
		trace_zkern_apply(zf->inst->id, txn->zxid, txn->n_ops, err,
				  start ? ktime_get_ns() - start : 0);
	return err;
}

static int apply_batch(struct zkern_file *zf, struct zk_tree *tree, struct zkern_apply *req)
{
	struct zkern_owner *own = zf->own;
	struct zk_link_result res = {};
	struct stage stage;
	struct zk_txn txn;
	int len, err;

	err = stage_in(own, req->buf, req->buf_len, &stage);
	while (!err && stage.left) {
		len = zkern_txn_parse(stage.at, stage.left, &own->ops, &txn);
		err = len < 0 ? len : apply_one(zf, tree, &txn, &res);
		if (err)
			break;
		req->applied++;
		stage_next(&stage, len);
		if (fatal_signal_pending(current))
			err = -EINTR;
	}
	req->failed_op = err ? res.failed_op : 0;
	stage_done(own);
	return err;
}

long zkern_ioctl_apply(struct zkern_file *zf, void __user *arg)
{
	struct zk_tree_stats st;
	struct zkern_apply req;
	struct zk_tree *tree;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	if (req.flags || req.pad)
		return -EINVAL;
	err = owner_enter(zf);
	if (err)
		return err;
	tree = owner_tree(zf);
	req.applied = 0;
	err = apply_batch(zf, tree, &req);
	zk_tree_stats(tree, &st);
	owner_leave(zf);
	req.zxid = st.zxid;
	req.digest = st.digest;
	if (zkern_struct_out_from(&req, applied, arg, size))
		err = -EFAULT;
	return err;
}

/* ------------------------------------------------------------ load */

static void load_drop(struct zkern_owner *own)
{
	if (own->load)
		zk_tree_put(own->load);
	own->load = NULL;
	own->load_zxid = 0;
	own->load_digest = 0;
}

static int load_begin(struct zkern_owner *own, u64 nodes)
{
	load_drop(own);
	own->load = zkern_tree_alloc();
	if (!own->load)
		return -ENOMEM;
	zk_tree_load_begin(own->load, nodes);
	return 0;
}

static int load_node(struct zkern_owner *own, const struct stage *stage)
{
	struct zkern_load_node node;
	int len, err;

	len = zkern_node_parse(stage->at, stage->left, &node);
	if (len < 0)
		return len;
	err = zk_tree_load(own->load, node.path, node.path_len, &node.view, node.acl, node.acl_len);
	return err ?: len;
}

static int load_txn(struct zkern_owner *own, const struct stage *stage)
{
	struct zk_link_result res;
	struct zk_txn txn;
	int len, err;

	len = zkern_txn_parse(stage->at, stage->left, &own->ops, &txn);
	if (len < 0)
		return len;
	err = zk_tree_apply(own->load, &txn, &res);
	if (err)
		return err;
	own->load_zxid = txn.zxid;
	own->load_digest = res.digest;
	return len;
}

static int load_records(struct zkern_owner *own, struct zkern_load *req)
{
	struct stage stage;
	int len, err;

	err = stage_in(own, req->buf, req->buf_len, &stage);
	while (!err && stage.left) {
		len = req->cmd == ZKERN_LOAD_NODES ? load_node(own, &stage) :
						     load_txn(own, &stage);
		if (len < 0) {
			err = len;
			break;
		}
		req->done++;
		stage_next(&stage, len);
		if (fatal_signal_pending(current))
			err = -EINTR;
	}
	stage_done(own);
	return err;
}

static int load_commit(struct zkern_file *zf, u64 zxid)
{
	struct zkern_owner *own = zf->own;
	struct zk_tree *tree = own->load;
	int err;

	if (zxid < own->load_zxid)
		return -EINVAL;
	err = zk_tree_load_done(tree, zxid);
	if (err)
		return err;
	own->load = NULL;
	own->load_zxid = 0;
	own->load_digest = 0;
	zkern_inst_swap_tree(zf->inst, tree);
	return 0;
}

/* Under inst->lock. */
static int load_command(struct zkern_file *zf, struct zkern_load *req)
{
	struct zkern_owner *own = zf->own;
	bool records = req->cmd == ZKERN_LOAD_NODES || req->cmd == ZKERN_LOAD_TXNS;

	if (!records && (req->buf || req->buf_len))
		return -EINVAL;
	if (req->cmd == ZKERN_LOAD_BEGIN)
		return load_begin(own, req->nodes);
	if (!own->load)
		return -EINVAL;
	if (records)
		return load_records(own, req);
	if (req->cmd == ZKERN_LOAD_COMMIT)
		return load_commit(zf, req->zxid);
	if (req->cmd == ZKERN_LOAD_ABORT) {
		load_drop(own);
		return 0;
	}
	return -EINVAL;
}

long zkern_ioctl_load(struct zkern_file *zf, void __user *arg)
{
	struct zk_tree_stats st;
	struct zkern_load req;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	err = owner_enter(zf);
	if (err)
		return err;
	req.done = 0;
	err = load_command(zf, &req);
	req.zxid = zf->own->load_zxid;
	req.digest = zf->own->load_digest;
	if (!err && req.cmd == ZKERN_LOAD_COMMIT) {
		zk_tree_stats(owner_tree(zf), &st);
		req.zxid = st.zxid;
		req.digest = st.digest;
	}
	owner_leave(zf);
	if (zkern_struct_out_from(&req, done, arg, size))
		err = -EFAULT;
	return err;
}

/* ------------------------------------------------------------ own, state */

/* Under inst->lock. */
static void meta_set(struct zkern_inst *inst, struct pid *pid, const u8 *label)
{
	struct pid *old;

	spin_lock(&inst->meta_lock);
	old = inst->owner_pid;
	inst->owner_pid = pid;
	if (label) {
		memcpy(inst->label, label, sizeof(inst->label));
		inst->label[sizeof(inst->label) - 1] = '\0';
	} else {
		memset(inst->label, 0, sizeof(inst->label));
	}
	spin_unlock(&inst->meta_lock);
	put_pid(old);
}

/* Under inst->lock. */
static int own_take(struct zkern_file *zf, struct zkern_own *req)
{
	struct zkern_inst *inst = zf->inst;
	struct zk_tree_stats st;

	if (!rcu_access_pointer(inst->tree))
		return -ENODEV;
	if (inst->owner)
		return -EBUSY;
	zf->own = kzalloc(sizeof(*zf->own), GFP_KERNEL_ACCOUNT);
	if (!zf->own)
		return -ENOMEM;
	inst->owner = zf;
	WRITE_ONCE(zf->owner, true);
	meta_set(inst, get_pid(task_tgid(current)), req->label);
	zk_tree_stats(owner_tree(zf), &st);
	req->zxid = st.zxid;
	req->digest = st.digest;
	req->state = inst->state;
	/* not orphaned any more; what else it is, the owner will say */
	if (inst->state == ZKERN_STATE_ORPHANED)
		zkern_inst_set_state(inst, ZKERN_STATE_DISCONNECTED);
	return 0;
}

/*
 * Under inst->lock: @zf owns. A tree that it does not vouch for by a state stays EMPTY to
 * readers.
 */
static void own_drop(struct zkern_file *zf)
{
	struct zkern_inst *inst = zf->inst;
	struct zkern_owner *own = zf->own;

	load_drop(own);
	kvfree(own->stage);
	zkern_ops_free(&own->ops);
	kfree(own);
	zf->own = NULL;
	WRITE_ONCE(zf->owner, false);
	inst->owner = NULL;
	zkern_calls_orphan(inst);
	zkern_locks_orphan(inst->locks);
	meta_set(inst, NULL, NULL);
	if (inst->state != ZKERN_STATE_EMPTY)
		zkern_inst_set_state(inst, ZKERN_STATE_ORPHANED);
}

long zkern_ioctl_own(struct zkern_file *zf, void __user *arg)
{
	struct zkern_inst *inst = zf->inst;
	struct zkern_own req;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	if (req.flags || req.pad)
		return -EINVAL;
	if (!uid_eq(current_euid(), inst->owner_uid) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (mutex_lock_killable(&inst->lock))
		return -EINTR;
	err = own_take(zf, &req);
	if (!err && zkern_struct_out_from(&req, zxid, arg, size)) {
		own_drop(zf);
		err = -EFAULT;
	}
	mutex_unlock(&inst->lock);
	return err;
}

void zkern_owner_release(struct zkern_file *zf)
{
	struct zkern_inst *inst = zf->inst;

	/* nobody else has the file any more; readers need not wait for the lock */
	if (!zf->own)
		return;
	mutex_lock(&inst->lock);
	own_drop(zf);
	mutex_unlock(&inst->lock);
}

static bool state_is_owners(u32 state)
{
	switch (state) {
	case ZKERN_STATE_EMPTY:
	case ZKERN_STATE_LEADING:
	case ZKERN_STATE_FOLLOWING:
	case ZKERN_STATE_OBSERVING:
	case ZKERN_STATE_DISCONNECTED:
	case ZKERN_STATE_STANDALONE:
		return true;
	}
	return false;
}

long zkern_ioctl_set_state(struct zkern_file *zf, void __user *arg)
{
	struct zkern_set_state req;
	bool hides;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	if (!state_is_owners(req.state))
		return -EINVAL;
	err = owner_enter(zf);
	if (err)
		return err;
	hides = req.state == ZKERN_STATE_EMPTY && zf->inst->state != req.state;
	zkern_inst_set_heard(zf->inst, zkern_heard_ns(req.heard_ms));
	zkern_inst_set_state(zf->inst, req.state);
	/* who has seen another state may look at a tree: not at one that is swapped in later */
	if (hides)
		synchronize_rcu();
	owner_leave(zf);
	return 0;
}

long zkern_ioctl_confirm(struct zkern_file *zf, void __user *arg)
{
	struct zkern_inst *inst = zf->inst;
	struct zkern_confirm req;
	u32 size;
	int err;

	err = zkern_struct_in(&req, sizeof(req), arg, &size);
	if (err)
		return err;
	if (req.flags)
		return -EINVAL;
	err = owner_enter(zf);
	if (err)
		return err;
	if (req.done > inst->told) {
		err = -EINVAL;
	} else {
		req.asked = atomic64_read(&inst->asked);
		WRITE_ONCE(inst->told, req.asked);
		if (req.done > inst->confirmed) {
			/* pairs with inst_answered(); the tree has it */
			smp_store_release(&inst->confirmed, req.done);
			zkern_inst_wake(inst);
		}
	}
	owner_leave(zf);
	if (!err && zkern_struct_out_from(&req, asked, arg, size))
		err = -EFAULT;
	return err;
}
