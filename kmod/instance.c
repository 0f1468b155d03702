// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of instances and the life of each; see instance.h for who may touch
 * what. Lock order: inst->lock, then table_lock; meta_lock is a leaf.
 */
#include "instance.h"

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/kdev_t.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/user_namespace.h>
#include <linux/xarray.h>

#include "lock.h"
#include "map.h"
#include "netlink.h"
#include "request.h"
#include "trace.h"
#include "watch.h"

static uint retain_mb = 256;
module_param(retain_mb, uint, 0644);
MODULE_PARM_DESC(retain_mb,
		 "MiB of old versions that snapshots may hold back, per tree (for trees made from now on)");

/* As with /dev/fuse anyone may open the node: the ACLs guard what is in it. */
static ushort dev_mode = 0666;
module_param(dev_mode, ushort, 0444);
MODULE_PARM_DESC(dev_mode,
		 "mode of /dev/zkernN; without read for others, netlink too reads only for CAP_SYS_ADMIN");

static DEFINE_MUTEX(table_lock);
static DEFINE_XARRAY_ALLOC(table);	/* changed under table_lock */
static bool closed;			/* under table_lock: no more new ones */

static struct class *inst_class;
static dev_t inst_devt;
static struct cdev inst_cdev;

bool zkern_inst_open_to_all(void)
{
	return dev_mode & 0004;
}

struct zk_tree *zkern_tree_alloc(void)
{
	struct zk_tree_params params = {
		.retain_limit = (u64)READ_ONCE(retain_mb) << 20,
	};

	return zk_tree_alloc(&params);
}

/*
 * The coarse clock costs a few loads, and no read of a clock chip, which in a
 * virtual machine may be an exit. It is behind by less than a tick.
 */
static s64 boot_ns(void)
{
	return ktime_get_coarse_boottime_ns();
}

u64 zkern_age_ms(s64 heard_ns)
{
	s64 age;

	if (heard_ns == ZKERN_NEVER_HEARD)
		return U64_MAX;
	age = boot_ns() + TICK_NSEC - heard_ns;
	return age > 0 ? div_u64(age, NSEC_PER_MSEC) : 0;
}

u64 zkern_inst_age_slow(struct zkern_inst *inst)
{
	u64 tick = (u32)jiffies, age = zkern_age_ms(READ_ONCE(inst->heard_ns));

	if (age <= U32_MAX)
		WRITE_ONCE(inst->age_cache, tick << 32 | age);
	return age;
}

s64 zkern_heard_ns(u64 ms)
{
	if (ms > (u64)S64_MAX / (2 * NSEC_PER_MSEC))
		return ZKERN_NEVER_HEARD;
	return boot_ns() - (s64)(ms * NSEC_PER_MSEC);
}

static void inst_release(struct kref *ref)
{
	struct zkern_inst *inst = container_of(ref, struct zkern_inst, ref);

	WARN_ON_ONCE(rcu_access_pointer(inst->tree) || inst->owner);
	zkern_maps_free(inst->maps);
	zkern_watches_free(inst->watches);
	zkern_locks_free(inst->locks);
	mutex_destroy(&inst->lock);
	kfree_rcu(inst, rcu);		/* zkern_inst_peek() */
}

void zkern_inst_get(struct zkern_inst *inst)
{
	kref_get(&inst->ref);
}

void zkern_inst_put(struct zkern_inst *inst)
{
	kref_put(&inst->ref, inst_release);
}

struct zkern_inst *zkern_inst_find(u32 id)
{
	struct zkern_inst *inst;

	mutex_lock(&table_lock);
	inst = xa_load(&table, id);
	if (inst)
		zkern_inst_get(inst);
	mutex_unlock(&table_lock);
	return inst;
}

struct zkern_inst *zkern_inst_peek(u32 id)
{
	return xa_load(&table, id);
}

struct zkern_inst *zkern_inst_next(u32 id)
{
	struct zkern_inst *inst;
	unsigned long index = id;

	mutex_lock(&table_lock);
	inst = xa_find(&table, &index, ZKERN_MAX_INSTANCES - 1, XA_PRESENT);
	if (inst)
		zkern_inst_get(inst);
	mutex_unlock(&table_lock);
	return inst;
}

static struct zkern_inst *inst_alloc(u32 uid)
{
	struct zkern_inst *inst;
	struct zk_tree *tree;

	inst = kzalloc(sizeof(*inst), GFP_KERNEL_ACCOUNT);
	if (!inst)
		return NULL;
	tree = zkern_tree_alloc();
	RCU_INIT_POINTER(inst->tree, tree);
	inst->maps = zkern_maps_alloc();
	inst->watches = zkern_watches_new(inst);
	inst->locks = zkern_locks_alloc(inst);
	if (!tree || !inst->maps || !inst->watches || !inst->locks) {
		zkern_watches_free(inst->watches);
		zkern_maps_free(inst->maps);
		zkern_locks_free(inst->locks);
		if (tree)
			zk_tree_put(tree);
		kfree(inst);
		return NULL;
	}
	inst->generation = 1;
	inst->state = ZKERN_STATE_EMPTY;
	inst->heard_ns = ZKERN_NEVER_HEARD;
	inst->owner_uid = uid == U32_MAX ? INVALID_UID : make_kuid(&init_user_ns, uid);
	init_waitqueue_head(&inst->wait);
	init_waitqueue_head(&inst->asks);
	zkern_calls_init(&inst->calls);
	mutex_init(&inst->lock);
	spin_lock_init(&inst->meta_lock);
	kref_init(&inst->ref);
	return inst;
}

/* Under table_lock: finds a number and makes the node. */
static int inst_register(struct zkern_inst *inst, u32 want)
{
	struct xa_limit limit = XA_LIMIT(want, want);
	struct device *dev;
	int err;

	if (closed)
		return -ENODEV;
	if (want == U32_MAX)
		limit = XA_LIMIT(0, ZKERN_MAX_INSTANCES - 1);
	err = xa_alloc(&table, &inst->id, inst, limit, GFP_KERNEL);
	if (err)
		return err == -EBUSY ? (want == U32_MAX ? -ENOSPC : -EEXIST) : err;
	dev = device_create(inst_class, NULL, MKDEV(MAJOR(inst_devt), inst->id), NULL,
			    "zkern%u", inst->id);
	if (IS_ERR(dev)) {
		xa_erase(&table, inst->id);
		return PTR_ERR(dev);
	}
	return 0;
}

/* Whoever has the lock, or the only reference, takes the tree away for good. */
static void inst_drop_tree(struct zkern_inst *inst)
{
	zk_tree_put(rcu_replace_pointer(inst->tree, NULL, true));
	zkern_maps_end(inst->maps);
}

int zkern_inst_new(u32 want, u32 uid)
{
	struct zkern_inst *inst;
	int err;

	if (want != U32_MAX && want >= ZKERN_MAX_INSTANCES)
		return -EINVAL;
	inst = inst_alloc(uid);
	if (!inst)
		return -ENOMEM;
	zkern_inst_get(inst);
	mutex_lock(&table_lock);
	err = inst_register(inst, want);
	mutex_unlock(&table_lock);
	if (err) {
		inst_drop_tree(inst);
		zkern_inst_put(inst);
	} else {
		err = inst->id;
		trace_zkern_state(inst->id, ZKERN_STATE_EMPTY, 0);
		zkern_netlink_event(inst, false);
	}
	zkern_inst_put(inst);
	return err;
}

int zkern_inst_del(u32 id, bool force)
{
	struct zkern_inst *inst;
	int err = 0;

	inst = zkern_inst_find(id);
	if (!inst)
		return -ENODEV;
	mutex_lock(&inst->lock);
	if (!rcu_access_pointer(inst->tree))
		err = -ENODEV;		/* another DEL was first */
	else if (inst->owner && !force)
		err = -EBUSY;
	if (err)
		goto out;
	zkern_netlink_event(inst, true);
	inst_drop_tree(inst);
	wake_up_all(&inst->wait);
	zkern_calls_end(inst);
	zkern_watch_gone(inst->watches);
	zkern_locks_end(inst->locks);

	mutex_lock(&table_lock);
	device_destroy(inst_class, MKDEV(MAJOR(inst_devt), inst->id));
	xa_erase(&table, inst->id);
	mutex_unlock(&table_lock);
	zkern_inst_put(inst);		/* the table's */
out:
	mutex_unlock(&inst->lock);
	zkern_inst_put(inst);
	return err;
}

/* True when waiting for @min_zxid is over, well or not. */
static bool inst_reached(struct zkern_inst *inst, u64 min_zxid)
{
	struct zk_tree *tree;
	bool done = true;

	rcu_read_lock();
	tree = rcu_dereference(inst->tree);
	if (tree)
		done = READ_ONCE(inst->state) != ZKERN_STATE_EMPTY &&
		       zk_tree_zxid(tree) >= min_zxid;
	rcu_read_unlock();
	return done;
}

int zkern_inst_wait(struct zkern_inst *inst, u64 min_zxid, u32 timeout_ms)
{
	ktime_t timeout = timeout_ms ? ms_to_ktime(timeout_ms) : KTIME_MAX;
	int err = 0;

	/* a high-resolution timer, since one in ticks may end up to a tick early */
	if (!inst_reached(inst, min_zxid))
		err = wait_event_interruptible_hrtimeout(inst->wait, inst_reached(inst, min_zxid),
							 timeout);
	if (err)
		return err == -ETIME ? -ETIMEDOUT : -EINTR;
	return rcu_access_pointer(inst->tree) ? 0 : -ENODEV;
}

/* True when waiting for the answer to @ticket is over, well or not. */
static bool inst_answered(struct zkern_inst *inst, u64 ticket, u64 lost)
{
	/* pairs with zkern_ioctl_confirm(): the tree has what was confirmed */
	return smp_load_acquire(&inst->confirmed) >= ticket ||
	       READ_ONCE(inst->lost) != lost || !rcu_access_pointer(inst->tree);
}

int zkern_inst_confirm(struct zkern_inst *inst, u32 timeout_ms)
{
	u64 lost, ticket;
	int err;

	/* before the state is looked at: what is lost later is seen to be */
	lost = smp_load_acquire(&inst->lost);
	switch (READ_ONCE(inst->state)) {
	case ZKERN_STATE_STANDALONE:
		return 0;
	case ZKERN_STATE_LEADING:
	case ZKERN_STATE_FOLLOWING:
	case ZKERN_STATE_OBSERVING:
		break;
	default:
		return -ENOTCONN;
	}
	ticket = atomic64_inc_return(&inst->asked);
	wake_up_interruptible_poll(&inst->asks, EPOLLIN | EPOLLRDNORM);
	err = wait_event_interruptible_hrtimeout(inst->wait, inst_answered(inst, ticket, lost),
						 ms_to_ktime(timeout_ms));
	if (err)
		return err == -ETIME ? -ETIMEDOUT : -EINTR;
	/* as in inst_answered() */
	if (smp_load_acquire(&inst->confirmed) >= ticket)
		return 0;
	return rcu_access_pointer(inst->tree) ? -ENOTCONN : -ENODEV;
}

void zkern_inst_set_heard(struct zkern_inst *inst, s64 heard_ns)
{
	WRITE_ONCE(inst->heard_ns, heard_ns);
	WRITE_ONCE(inst->age_cache, 0);
	zkern_maps_say(inst->maps, inst->state, heard_ns);
}

void zkern_inst_set_state(struct zkern_inst *inst, u32 state)
{
	struct zk_tree *tree;

	lockdep_assert_held(&inst->lock);
	if (inst->state == state)
		return;
	zkern_watch_state_begin(inst->watches, state);
	WRITE_ONCE(inst->state, state);
	zkern_maps_say(inst->maps, state, inst->heard_ns);
	if (state == ZKERN_STATE_EMPTY)
		zkern_maps_hide(inst->maps);
	zkern_watch_state_end(inst->watches);
	if (zkern_calls_wait(inst))
		zkern_calls_wake(inst);
	zkern_locks_state(inst->locks);
	if (state == ZKERN_STATE_DISCONNECTED || state == ZKERN_STATE_ORPHANED ||
	    state == ZKERN_STATE_EMPTY)
		/* pairs with zkern_inst_confirm(): who sees it sees the state */
		smp_store_release(&inst->lost, inst->lost + 1);
	tree = rcu_dereference_protected(inst->tree, lockdep_is_held(&inst->lock));
	if (!tree)
		return;
	trace_zkern_state(inst->id, state, zk_tree_zxid(tree));
	zkern_inst_wake(inst);
	zkern_netlink_event(inst, false);
}

void zkern_inst_swap_tree(struct zkern_inst *inst, struct zk_tree *tree)
{
	struct zk_tree *old;

	zkern_watch_swap_begin(inst->watches, tree);
	zkern_maps_swap_begin(inst->maps);
	old = rcu_replace_pointer(inst->tree, tree, lockdep_is_held(&inst->lock));
	WRITE_ONCE(inst->generation, inst->generation + 1);
	zkern_maps_swap_end(inst->maps, zk_tree_zxid(tree), inst->generation);
	zkern_watch_swap_end(inst->watches);
	zk_tree_put(old);
	trace_zkern_state(inst->id, inst->state, zk_tree_zxid(tree));
	zkern_inst_wake(inst);
	zkern_netlink_event(inst, false);
}

int zkern_inst_info(struct zkern_inst *inst, struct zkern_info *info, bool pid)
{
	struct zk_tree_stats st;
	struct zk_tree *tree;

	memset(info, 0, sizeof(*info));
	rcu_read_lock();
	tree = rcu_dereference(inst->tree);
	if (!tree) {
		rcu_read_unlock();
		return -ENODEV;
	}
	info->tree = READ_ONCE(inst->generation);
	zk_tree_stats(tree, &st);
	rcu_read_unlock();

	info->size = sizeof(*info);
	info->api = ZKERN_API_VERSION;
	info->instance = inst->id;
	info->state = READ_ONCE(inst->state);
	info->zxid = st.zxid;
	info->digest = st.digest;
	info->age_ms = zkern_inst_age_ms(inst);
	info->nodes = st.nodes;
	info->ephemerals = st.ephemerals;
	info->data_bytes = st.data_bytes;
	info->bytes = st.bytes;
	info->retained = st.retained;
	info->snapshots = atomic_read(&inst->snapshots);
	spin_lock(&inst->meta_lock);
	memcpy(info->label, inst->label, sizeof(info->label));
	if (pid && inst->owner_pid)
		info->owner_pid = pid_vnr(inst->owner_pid);
	spin_unlock(&inst->meta_lock);
	return 0;
}

static char *inst_devnode(struct device *dev, umode_t *mode)
{
	if (mode)
		*mode = dev_mode & 0666;
	return NULL;
}

int zkern_inst_init(const struct file_operations *fops)
{
	int err;

	zkern_locks_init();
	err = alloc_chrdev_region(&inst_devt, 0, ZKERN_MAX_INSTANCES, "zkern");
	if (err)
		return err;
	inst_class = class_create(THIS_MODULE, "zkern");
	if (IS_ERR(inst_class)) {
		err = PTR_ERR(inst_class);
		goto err_region;
	}
	inst_class->devnode = inst_devnode;
	cdev_init(&inst_cdev, fops);
	inst_cdev.owner = THIS_MODULE;
	err = cdev_add(&inst_cdev, inst_devt, ZKERN_MAX_INSTANCES);
	if (err)
		goto err_class;
	return 0;

err_class:
	class_destroy(inst_class);
err_region:
	unregister_chrdev_region(inst_devt, ZKERN_MAX_INSTANCES);
	return err;
}

void zkern_inst_close(void)
{
	struct zkern_inst *inst;
	u32 id;

	mutex_lock(&table_lock);
	closed = true;
	mutex_unlock(&table_lock);
	while ((inst = zkern_inst_next(0))) {
		id = inst->id;
		zkern_inst_put(inst);
		zkern_inst_del(id, true);
	}
}

void zkern_inst_exit(void)
{
	cdev_del(&inst_cdev);
	class_destroy(inst_class);
	unregister_chrdev_region(inst_devt, ZKERN_MAX_INSTANCES);
}
