// SPDX-License-Identifier: GPL-2.0-only
/*
 * Znodes for BPF programs: kfuncs, for XDP, tc, tracing, LSM and syscall programs.
 *
 *   extern int bpf_zkern_get(u32 instance, const void *path, u32 path__sz,
 *                            void *data, u32 data__sz) __ksym;
 *   extern int bpf_zkern_stat(u32 instance, const void *path, u32 path__sz,
 *                             void *stat, u32 stat__sz) __ksym;
 *   extern int bpf_zkern_state(u32 instance, void *state, u32 state__sz) __ksym;
 *
 * A program has no identity: it reads what world:anyone may read, and nothing where the
 * device nodes are closed to others (dev_mode), whatever its loader may. Each call
 * is exact at the tree's zxid of that moment; two calls may see two moments, which the
 * zxid in struct zkern_bpf_state tells. No lock is taken, in any context.
 *
 * A path ends at path__sz or at its first NUL, so that a char array will do. The verifier
 * of 6.1 wants memory that the program may write, for all of the three: stack or map
 * values, not .rodata.
 *
 * Without BTF in the module (it is made where vmlinux can be had) there are no kfuncs and
 * all else works.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "kapi.h"

/* As zkern_age_ms(), by the one clock that may be asked where the others are being set. */
static u64 age_ms(s64 heard_ns)
{
	s64 age;

	if (heard_ns == ZKERN_NEVER_HEARD)
		return U64_MAX;
	age = ktime_get_boot_fast_ns() - heard_ns;
	return age > 0 ? div_u64(age, NSEC_PER_MSEC) : 0;
}

/* RCU: the tree that everybody may see now. -ENODEV, -EACCES, -ESTALE. */
static int bpf_at(u32 instance, struct zkern_inst **inst, struct zkern_at *at)
{
	if (!zkern_inst_open_to_all())
		return -EACCES;
	*inst = zkern_inst_peek(instance);
	if (!*inst)
		return -ENODEV;
	at->tree = rcu_dereference((*inst)->tree);
	if (!at->tree)
		return -ENODEV;
	if (READ_ONCE((*inst)->state) == ZKERN_STATE_EMPTY)
		return -ESTALE;
	at->zxid = zk_tree_zxid(at->tree);
	return 0;
}

static int bpf_read(u32 instance, const char *path, u32 size, struct zkern_kget *get)
{
	struct zkern_inst *inst;
	struct zkern_at at;
	int err;

	rcu_read_lock();
	err = bpf_at(instance, &inst, &at);
	if (!err)
		err = zkern_kread(&at, path, strnlen(path, size), NULL, get);
	rcu_read_unlock();
	return err;
}

/*
 * Copies the node's data into @data. Returns its bytes (null data has none), or -ENOENT,
 * -EINVAL (path), -EACCES, -EMSGSIZE (it does not fit: nothing was copied), -ESTALE (no
 * tree yet), -ENODEV.
 */
noinline int bpf_zkern_get(u32 instance, const void *path, u32 path__sz, void *data,
			   u32 data__sz)
{
	struct zkern_kget get = { .buf = data, .buf_len = data__sz };
	int err;

	err = bpf_read(instance, path, path__sz, &get);
	return err ? err : (int)get.len;
}

/* Copies the node's struct zkern_stat into @stat, of which it must have the size. As above. */
noinline int bpf_zkern_stat(u32 instance, const void *path, u32 path__sz, void *stat,
			    u32 stat__sz)
{
	struct zkern_kget get = { };
	int err;

	if (stat__sz != sizeof(get.stat))
		return -EINVAL;
	err = bpf_read(instance, path, path__sz, &get);
	if (err && err != -EMSGSIZE)
		return err;
	memcpy(stat, &get.stat, sizeof(get.stat));
	return 0;
}

/*
 * What the daemon is doing, the tree's zxid and its age, into a struct zkern_bpf_state, of
 * which @state__sz must be the size. Errors as above; a tree that is not there yet is a
 * state as well.
 */
noinline int bpf_zkern_state(u32 instance, void *state, u32 state__sz)
{
	struct zkern_bpf_state *out = state;
	struct zkern_inst *inst;
	struct zkern_at at;
	int err;

	if (state__sz != sizeof(*out))
		return -EINVAL;
	rcu_read_lock();
	err = bpf_at(instance, &inst, &at);
	if (!err || err == -ESTALE) {
		out->zxid = err ? 0 : at.zxid;
		out->age_ms = age_ms(READ_ONCE(inst->heard_ns));
		out->state = err ? ZKERN_STATE_EMPTY : READ_ONCE(inst->state);
		out->__pad = 0;
		err = 0;
	}
	rcu_read_unlock();
	return err;
}

BTF_SET8_START(kfuncs)
BTF_ID_FLAGS(func, bpf_zkern_get)
BTF_ID_FLAGS(func, bpf_zkern_stat)
BTF_ID_FLAGS(func, bpf_zkern_state)
BTF_SET8_END(kfuncs)

static const struct btf_kfunc_id_set kfunc_set = {
	.owner = THIS_MODULE,
	.set = &kfuncs,
};

int zkern_bpf_init(void)
{
	static const enum bpf_prog_type types[] = {
		BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_TRACING,
		BPF_PROG_TYPE_SYSCALL,
	};
	int i, err;

	/* the build has filled them in, or there is no BTF */
	if (!kfuncs.cnt)
		return -ENOENT;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		err = register_btf_kfunc_id_set(types[i], &kfunc_set);
		if (err)
			return err;
	}
	return 0;
}
