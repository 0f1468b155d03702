// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mapped reads that are preempted between any two instructions. A child that is traced
 * reads; it is stopped before its first, second, ... instruction, by a breakpoint, and
 * meanwhile the node is changed, in each of several ways. What it reads then must be what
 * was there at the zxid that it names, or nothing. x86 only, as the breakpoints are.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "tap.h"
#include "mapped.h"

#define MOST	4000		/* instructions of a read, at most */
#define PLACES	256		/* of them so many are stopped at, at most, for each change */
#define ZXIDS	(1 << 20)
#define LEN	48		/* bytes of data: a version's number, six times */

static int inst, owner, fd;
static uint64_t zxid = 10;
static int32_t acl_version;

/* What "/s" is at each zxid, 0: it is not there. */
static uint32_t model[ZXIDS];

/* Between parent and child. */
struct shared {
	int reading;
	int map;		/* the child has to map them again */
	int err;
	int pair_err;
	struct zkern_map_got got;
	struct zkern_map_got pair;
	struct zkern_stat stat;
	uint64_t data[LEN / 8];
	uint64_t pair_data[LEN / 8];
};

static struct shared *sh;
static struct mapped s, p;

/* ------------------------------------------------------------ changes */

static struct batch batch;

static void begin(void)
{
	need(zxid + 1 < ZXIDS, "too many transactions");
	batch_reset(&batch);
	batch_txn(&batch, ++zxid);
	model[zxid] = model[zxid - 1];
}

static void apply(void)
{
	need(!zk_apply(owner, &batch, NULL), "apply");
}

static void put(uint32_t type, const char *path)
{
	uint64_t data[LEN / 8];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(data); i++)
		data[i] = zxid;
	batch_op(&batch, type, path, data, LEN, type == ZKERN_OP_CREATE ? &open_acl : NULL,
		 0)->version = zxid;
}

/* Both nodes in one multi. */
static void set(void)
{
	begin();
	put(ZKERN_OP_SETDATA, "/s");
	put(ZKERN_OP_SETDATA, "/p");
	model[zxid] = zxid;
	apply();
}

static void change_nothing(void)
{
}

static void change_others(void)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		begin();
		put(ZKERN_OP_SETDATA, "/o");
		apply();
	}
}

static void change_once(void)
{
	set();
}

static void change_twice(void)
{
	set();
	set();
}

static void change_often(void)
{
	change_twice();
	change_others();
	change_twice();
	set();
}

static void change_acl(void)
{
	struct acl acl;

	acl_none(&acl);
	/* another one each time */
	acl_add(&acl, acl_version & 1 ? ALL : READ, "uid", "0");
	begin();
	batch_op(&batch, ZKERN_OP_SETACL, "/s", NULL, 0, &acl, 0)->version = ++acl_version;
	apply();
}

static void change_life(void)
{
	begin();
	batch_delete(&batch, "/s");
	model[zxid] = 0;
	apply();
	begin();
	put(ZKERN_OP_CREATE, "/s");
	model[zxid] = zxid;
	apply();
}

/*
 * @revokes: the mapping is of no more use
 * @always: the read must come to an end all the same: the version that it reads stands
 */
static const struct change {
	const char *what;
	void (*fn)(void);
	bool revokes;
	bool always;
} changes[] = {
	{ "nothing", change_nothing, false, true },
	{ "other nodes", change_others, false, true },
	{ "one transaction", change_once, false, true },
	{ "two", change_twice, false, false },
	{ "many", change_often, false, false },
	{ "the ACL", change_acl, true, false },
	{ "delete and create", change_life, true, false },
};

/* ------------------------------------------------------------ the child */

/* Two nodes at one zxid, as MB has it; the first one is a read of its own. */
static void read_both(void)
{
	uint64_t tree = zkern_map_load(&s.map.tree->tree);
	uint64_t z = zkern_map_load(&s.map.tree->zxid);

	sh->err = zkern_map_get_at(&s.map, z, sh->data, LEN, &sh->got, &sh->stat);
	sh->pair_err = zkern_map_get_at(&p.map, z, sh->pair_data, LEN, &sh->pair, NULL);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (zkern_map_load(&s.map.tree->tree) != tree)
		sh->pair_err = -EAGAIN;
}

static void map_both(void)
{
	need(!mapped_open(fd, "/s", &s) && !mapped_open(fd, "/p", &p), "map");
}

static void unmap_both(void)
{
	mapped_close(&s);
	mapped_close(&p);
}

static void child(void)
{
	alarm(2 * LONG);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	map_both();
	for (;;) {
		raise(SIGSTOP);
		if (sh->map) {
			unmap_both();
			map_both();
		}
		__atomic_store_n(&sh->reading, 1, __ATOMIC_SEQ_CST);
		read_both();
		__atomic_store_n(&sh->reading, 0, __ATOMIC_SEQ_CST);
	}
}

static pid_t pid;

/* Until the child stops. */
static void stopped(void)
{
	int status;

	need(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status), "the child has ended");
}

static void resume(int request)
{
	need(!ptrace(request, pid, NULL, NULL), "ptrace");
	stopped();
}

static void spawn(void)
{
	fflush(stdout);
	pid = fork();
	need(pid >= 0, "fork");
	if (!pid)
		child();
	stopped();
}

static void reap(void)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ------------------------------------------------------------ the parent */

static bool all_are(const uint64_t *data, uint64_t want)
{
	unsigned int i;

	for (i = 0; i < LEN / 8; i++)
		if (data[i] != want)
			return false;
	return true;
}

/* Is what the child has read what was there at the zxid that it says? */
static bool good(void)
{
	if (sh->err && sh->err != -EAGAIN)
		return false;
	if (!sh->err && (sh->got.zxid >= ZXIDS || sh->got.len != LEN ||
			 !all_are(sh->data, model[sh->got.zxid]) ||
			 sh->stat.mzxid != model[sh->got.zxid] || sh->stat.data_len != LEN))
		return false;
	if (sh->pair_err)
		return sh->pair_err == -EAGAIN;
	/* not revoked by what revokes the first one */
	return sh->pair.len == LEN && (sh->err || sh->pair.zxid == sh->got.zxid);
}

/* Both were read: of one moment? The second node is never set but with the first. */
static bool together(void)
{
	return sh->err || sh->pair_err || all_are(sh->pair_data, sh->data[0]);
}

/* An instruction of a read: where it is, and how often it has been executed before. */
static struct {
	uintptr_t at;
	unsigned int times;
} insn[MOST];

static unsigned int insns;

static uintptr_t *counter(struct user_regs_struct *regs)
{
#ifdef __x86_64__
	return (uintptr_t *)&regs->rip;
#else
	return (uintptr_t *)&regs->eip;
#endif
}

static uintptr_t where(void)
{
	struct user_regs_struct regs;

	need(!ptrace(PTRACE_GETREGS, pid, NULL, &regs), "ptrace");
	return *counter(&regs);
}

/* All instructions of a read, which nobody disturbs. */
static void record(void)
{
	unsigned int i;

	spawn();
	do
		resume(PTRACE_SINGLESTEP);
	while (!__atomic_load_n(&sh->reading, __ATOMIC_SEQ_CST));
	while (__atomic_load_n(&sh->reading, __ATOMIC_SEQ_CST) && insns < MOST) {
		insn[insns].at = where();
		for (i = 0; i < insns; i++)
			insn[insns].times += insn[i].at == insn[insns].at;
		insns++;
		resume(PTRACE_SINGLESTEP);
	}
	reap();
	ok(insns > 20 && insns < MOST, "two nodes are read in %u instructions", insns);
}

static long text(uintptr_t at)
{
	errno = 0;
	return ptrace(PTRACE_PEEKTEXT, pid, (void *)at, NULL);
}

static void set_text(uintptr_t at, long word)
{
	need(!ptrace(PTRACE_POKETEXT, pid, (void *)at, (void *)word), "ptrace");
}

/* The child goes on to the instruction, the next time that it comes there. */
static void run_to(uintptr_t at)
{
	struct user_regs_struct regs;
	long word = text(at);

	set_text(at, (word & ~0xffl) | 0xcc);
	resume(PTRACE_CONT);
	set_text(at, word);
	need(!ptrace(PTRACE_GETREGS, pid, NULL, &regs), "ptrace");
	need(*counter(&regs) == at + 1, "stopped at %#lx, not at %#lx",
	     (unsigned long)*counter(&regs), (unsigned long)at);
	*counter(&regs) = at;
	need(!ptrace(PTRACE_SETREGS, pid, NULL, &regs), "ptrace");
}

/* The child reads, and @change happens before its instruction number @n. */
static void one(const struct change *change, unsigned int n)
{
	unsigned int i;

	run_to(insn[n].at);
	for (i = 0; i < insn[n].times; i++) {
		resume(PTRACE_SINGLESTEP);
		run_to(insn[n].at);
	}
	change->fn();
	resume(PTRACE_CONT);
}

static void test(const struct change *change)
{
	unsigned int steps, bad = 0, apart = 0, again = 0, first = 0;
	/* 32-bit code has more: then each change has places of its own */
	unsigned int stride = (insns + PLACES - 1) / PLACES;

	sh->map = 0;
	spawn();
	for (steps = (change - changes) % stride; steps < insns; steps += stride) {
		sh->err = 1;
		sh->pair_err = 1;
		one(change, steps);
		if (!good() || (change->always && (sh->err || sh->pair_err))) {
			if (!bad++)
				first = steps;
		}
		apart += change->fn != change_life && !together();
		again += sh->err || sh->pair_err;
		sh->map = change->revokes;
	}
	reap();
	ok(!bad, "MA, MC: %s between any two instructions (%u begin anew)", change->what, again);
	if (bad)
		printf("# %u bad, the first before instruction %u; last %d at %#llx\n", bad, first,
		       sh->err, (unsigned long long)sh->got.zxid);
	is(apart, 0, "MB:   two nodes are of one moment");
	if (!change->always)
		ok(again > 0 && again < steps, "  and not each has to begin anew");
}

int main(void)
{
	unsigned int i;

	alarm(2 * LONG);
	inst = zk_instance(&owner);
	fd = zk_open(inst, O_RDONLY);
	need(fd >= 0, "open");
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(sh != MAP_FAILED, "mmap");
	begin();
	put(ZKERN_OP_CREATE, "/s");
	put(ZKERN_OP_CREATE, "/p");
	put(ZKERN_OP_CREATE, "/o");
	model[zxid] = zxid;
	apply();
	record();
	for (i = 0; i < ARRAY_SIZE(changes); i++)
		test(&changes[i]);
	batch_free(&batch);
	close(fd);
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
