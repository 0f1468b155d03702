// SPDX-License-Identifier: GPL-2.0-only
/*
 * The locks of an instance: who gets them, what the owner is asked, the lease. See lock.h.
 *
 * Tokens: the upper half of one is the czxid of the host's node, given by the owner with the
 * grant; the lower half is counted here, for all locks of all instances together, so that it
 * grows through all that can become of a lock's object, an instance or an owner. It begins
 * with the boot time in ns, so that it grows through a reload of the module as well.
 */
#include "lock.h"

#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/jhash.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/once.h>
#include <linux/poll.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "instance.h"

static uint lock_cache = 1024;
module_param(lock_cache, uint, 0644);
MODULE_PARM_DESC(lock_cache, "locks of an instance that the host keeps though no file refers to them");

#define RING_MAX	256	/* holders that are looked at in search of a ring */
#define BATCH		64	/* locks between two breaths */

static atomic64_t tokens;

void zkern_locks_init(void)
{
	atomic64_set(&tokens, ktime_get_boottime_ns());
}

/* ------------------------------------------------------------ what the owner is asked */

bool zkern_locks_news(struct zkern_inst *inst)
{
	struct zkern_locks *ls = inst->locks;
	bool some;

	spin_lock(&ls->lock);
	some = zkern_inst_serves(inst) && !list_empty(&ls->news);
	spin_unlock(&ls->lock);
	return some;
}

static void lock_unidle(struct zkern_locks *ls, struct zkern_plock *l)
{
	if (list_empty(&l->idle))
		return;
	list_del_init(&l->idle);
	ls->n_idle--;
}

/* The host has nothing of @l, and wants @mode: from the beginning, whatever was before. */
static void lock_ask(struct zkern_locks *ls, struct zkern_plock *l, u8 mode)
{
	l->want = ls->ended ? ZKERN_LOCK_NONE : mode;
	l->grant = ZKERN_LOCK_NONE;
	l->others = false;
	l->behind = false;
	l->seq++;
	lock_unidle(ls, l);
	if (ls->ended || (!l->want && !l->known)) {
		list_del_init(&l->news);
		return;
	}
	if (list_empty(&l->news))
		list_add_tail(&l->news, &ls->news);
	wake_up_interruptible_poll(&ls->inst->asks, EPOLLRDBAND);
}

void zkern_lock_told(struct zkern_locks *ls, struct zkern_plock *l)
{
	list_del_init(&l->news);
	l->known = l->want;
}

void zkern_lock_untold(struct zkern_locks *ls, struct zkern_plock *l)
{
	l->known = true;
	if (!ls->ended)
		list_move(&l->news, &ls->news);
}

/* ------------------------------------------------------------ who has it */

static struct zkern_lock_file *first_waiter(struct zkern_plock *l)
{
	return list_first_entry_or_null(&l->waiters, struct zkern_lock_file, link);
}

/* Beside those who hold it? */
static bool lock_fits(struct zkern_plock *l, const struct zkern_lock_file *lf)
{
	struct zkern_lock_file *holder;

	if (lf->mode > l->grant)
		return false;
	holder = list_first_entry_or_null(&l->holders, struct zkern_lock_file, link);
	return !holder || (lf->mode == ZKERN_LOCK_SHARED && holder->mode == ZKERN_LOCK_SHARED);
}

/* One more, though other hosts may wait? */
static bool lock_turn(struct zkern_plock *l, s64 now)
{
	if (!l->others)
		return true;
	if (!l->turns || now >= l->turns_ns)
		return false;
	l->turns--;
	return true;
}

static void lf_set(struct zkern_lock_file *lf, enum zkern_lock_file_state state, __poll_t key)
{
	hash_del(&lf->waiting);
	WRITE_ONCE(lf->state, state);
	wake_up_poll(&lf->wait, key);
}

static void lf_take(struct zkern_plock *l, struct zkern_lock_file *lf)
{
	lf->base = l->base;
	lf->token = atomic64_inc_return(&tokens);
	list_move_tail(&lf->link, &l->holders);
	lf_set(lf, ZKERN_LF_HELD, EPOLLIN | EPOLLRDNORM);
}

/* What has changed may let somebody have it, or change what is to be asked. */
static void lock_run(struct zkern_locks *ls, struct zkern_plock *l, s64 now)
{
	struct zkern_lock_file *lf = first_waiter(l);
	u8 mode = lf ? lf->mode : ZKERN_LOCK_NONE;

	if (!l->grant) {
		/* what is more than enough is not given up for less: it would be the last again */
		if (lf ? mode > l->want : l->want)
			lock_ask(ls, l, mode);
		return;
	}
	while (lf && lock_fits(l, lf) && lock_turn(l, now)) {
		lf_take(l, lf);
		lf = first_waiter(l);
	}
	if (!list_empty(&l->holders))
		return;
	if (lf)
		lock_ask(ls, l, lf->mode);
	else if (l->others)
		lock_ask(ls, l, ZKERN_LOCK_NONE);
}

/* It is on no list any more. */
static void lf_out(struct zkern_lock_file *lf, int error)
{
	list_del_init(&lf->link);
	lf->error = error;
	lf_set(lf, ZKERN_LF_IDLE, EPOLLIN | EPOLLRDNORM);
}

/* Those who hold it are told that others wait. */
static void lock_nudge(struct zkern_plock *l)
{
	struct zkern_lock_file *lf;

	list_for_each_entry(lf, &l->holders, link)
		wake_up_poll(&lf->wait, EPOLLPRI);
}

void zkern_lock_queue(struct zkern_locks *ls, struct zkern_lock_file *lf, s64 now)
{
	struct zkern_plock *l = lf->lock;
	bool first = list_empty(&l->waiters);

	lf->state = ZKERN_LF_WAITS;
	lf->error = 0;
	lf->fetched = false;
	list_add_tail(&lf->link, &l->waiters);
	lock_run(ls, l, now);
	if (first && lf->state == ZKERN_LF_WAITS)
		lock_nudge(l);
}

void zkern_lock_drop(struct zkern_locks *ls, struct zkern_lock_file *lf, int error, s64 now)
{
	lf_out(lf, error);
	lock_run(ls, lf->lock, now);
}

int zkern_lock_tries(struct zkern_plock *l, const struct zkern_lock_file *lf)
{
	return l->grant || l->behind || first_waiter(l) != lf ? -EAGAIN : 0;
}

/* ------------------------------------------------------------ rings */

static bool same_thread(const struct zkern_lock_file *a, const struct zkern_lock_file *b)
{
	return a->pid == b->pid && a->born == b->born;
}

/* Where the thread that took @holder waits, or NULL. */
static struct zkern_lock_file *waits_for(struct zkern_locks *ls,
					 const struct zkern_lock_file *holder)
{
	struct zkern_lock_file *lf;

	hash_for_each_possible(ls->waiting, lf, waiting, holder->pid)
		if (same_thread(lf, holder))
			return lf;
	return NULL;
}

static void walk_to(struct zkern_locks *ls, struct zkern_plock *l, struct list_head *todo)
{
	if (l->walk == ls->walk)
		return;
	l->walk = ls->walk;
	list_add_tail(&l->walking, todo);
}

/* Whether one who holds @l is @lf's thread; else where they wait is put on @todo. */
static bool walk_holders(struct zkern_locks *ls, struct zkern_plock *l,
			 const struct zkern_lock_file *lf, struct list_head *todo, u32 *left)
{
	struct zkern_lock_file *holder, *next;

	list_for_each_entry(holder, &l->holders, link) {
		if (!*left)
			return false;
		--*left;
		if (holder->passed)
			continue;
		if (same_thread(holder, lf))
			return true;
		next = waits_for(ls, holder);
		if (next)
			walk_to(ls, next->lock, todo);
	}
	return false;
}

bool zkern_lock_in_ring(struct zkern_locks *ls, struct zkern_lock_file *lf)
{
	struct zkern_plock *l, *next;
	u32 left = RING_MAX;
	bool ring = false;
	LIST_HEAD(todo);

	ls->walk++;
	walk_to(ls, lf->lock, &todo);
	list_for_each_entry(l, &todo, walking) {
		ring = walk_holders(ls, l, lf, &todo, &left);
		if (ring || !left)
			break;
	}
	list_for_each_entry_safe(l, next, &todo, walking)
		list_del_init(&l->walking);
	return ring;
}

/* ------------------------------------------------------------ the table */

static u32 path_hash(const char *path, u32 len)
{
	static u32 seed;

	get_random_once(&seed, sizeof(seed));
	return jhash(path, len, seed);
}

static struct zkern_plock *lock_of_path(struct zkern_locks *ls, const char *path, u32 len,
					u32 hash)
{
	struct zkern_plock *l;

	hash_for_each_possible(ls->by_path, l, by_path, hash)
		if (l->path_len == len && !memcmp(l->path, path, len))
			return l;
	return NULL;
}

struct zkern_plock *zkern_lock_find(struct zkern_locks *ls, u64 id)
{
	struct zkern_plock *l;

	hash_for_each_possible(ls->by_id, l, by_id, id)
		if (l->id == id)
			return l;
	return NULL;
}

static struct zkern_plock *lock_alloc(const char *path, u32 len)
{
	struct zkern_plock *l = kzalloc(struct_size(l, path, len), GFP_KERNEL_ACCOUNT);

	if (!l)
		return NULL;
	INIT_LIST_HEAD(&l->news);
	INIT_LIST_HEAD(&l->idle);
	INIT_LIST_HEAD(&l->walking);
	INIT_LIST_HEAD(&l->holders);
	INIT_LIST_HEAD(&l->waiters);
	l->path_len = len;
	memcpy(l->path, path, len);
	return l;
}

struct zkern_plock *zkern_lock_get(struct zkern_locks *ls, const char *path, u32 len)
{
	struct zkern_plock *fresh = lock_alloc(path, len), *l;
	u32 hash = path_hash(path, len);

	if (!fresh)
		return ERR_PTR(-ENOMEM);
	spin_lock(&ls->lock);
	l = lock_of_path(ls, path, len, hash);
	if (!l && !ls->ended) {
		l = fresh;
		fresh = NULL;
		l->id = ++ls->last_id;
		l->term = ls->term;
		hash_add(ls->by_path, &l->by_path, hash);
		hash_add(ls->by_id, &l->by_id, l->id);
		list_add_tail(&l->all, &ls->all);
	}
	if (l) {
		l->refs++;
		lock_unidle(ls, l);
	}
	spin_unlock(&ls->lock);
	kfree(fresh);
	return l ?: ERR_PTR(-ENODEV);
}

/* Nobody may refer to @l any more: it is kept as long as it is good for something. */
static void lock_rest(struct zkern_locks *ls, struct zkern_plock *l)
{
	struct zkern_plock *oldest;

	if (l->refs)
		return;
	if (l->grant && list_empty(&l->idle)) {
		list_add_tail(&l->idle, &ls->idle);
		if (ls->n_idle++ < READ_ONCE(lock_cache))
			return;
		oldest = list_first_entry(&ls->idle, struct zkern_plock, idle);
		lock_ask(ls, oldest, ZKERN_LOCK_NONE);
		/* an owner who was not told that it is there need not be told that it is not */
		l = oldest;
	}
	if (l->want || !list_empty(&l->news))
		return;
	hash_del(&l->by_path);
	hash_del(&l->by_id);
	list_del(&l->all);
	kfree(l);
}

void zkern_lock_put(struct zkern_locks *ls, struct zkern_plock *l)
{
	l->refs--;
	lock_rest(ls, l);
}

/* ------------------------------------------------------------ the lease */

/* Those who wait, or only those who just try, do so no longer. */
static void waiters_out(struct zkern_plock *l, bool tries, int error)
{
	struct zkern_lock_file *lf, *next;

	list_for_each_entry_safe(lf, next, &l->waiters, link)
		if (!tries || lf->try)
			lf_out(lf, error);
}

/* Who held it has lost it, who waits goes on waiting. */
static void lock_lose(struct zkern_locks *ls, struct zkern_plock *l)
{
	struct zkern_lock_file *lf, *next;

	list_for_each_entry_safe(lf, next, &l->holders, link) {
		list_del_init(&lf->link);
		lf_set(lf, ZKERN_LF_LOST, EPOLLERR | EPOLLHUP);
	}
	lf = first_waiter(l);
	lock_ask(ls, l, lf ? lf->mode : ZKERN_LOCK_NONE);
}

void zkern_lock_settle(struct zkern_locks *ls, struct zkern_plock *l, s64 now)
{
	if (likely(l->term == ls->term))
		return;
	l->term = ls->term;
	list_move_tail(&l->all, &ls->all);
	if (ls->ended)
		waiters_out(l, false, -ENODEV);
	else if (!ls->owned)
		waiters_out(l, false, -ENOTCONN);
	if (l->want)
		lock_lose(ls, l);
}

/* All grants are void. */
static void lease_end(struct zkern_locks *ls)
{
	ls->end_ns = 0;
	ls->term++;
	if (!ls->ended)
		queue_work(system_highpri_wq, &ls->work);
}

struct zkern_plock *zkern_lock_next(struct zkern_locks *ls, s64 now)
{
	struct zkern_plock *l;

	for (;;) {
		l = list_first_entry_or_null(&ls->news, struct zkern_plock, news);
		if (!l || l->term == ls->term)
			return l;
		zkern_lock_settle(ls, l, now);
		lock_rest(ls, l);
	}
}

s64 zkern_locks_enter(struct zkern_locks *ls) __acquires(&ls->lock)
{
	s64 now;

	spin_lock(&ls->lock);
	/* not the coarse clock: after a stop it may be as far behind as that was long */
	now = ktime_get_boottime_ns();
	if (unlikely(ls->end_ns && now >= ls->end_ns))
		lease_end(ls);
	return now;
}

void zkern_locks_leave(struct zkern_locks *ls) __releases(&ls->lock)
{
	spin_unlock(&ls->lock);
}

void zkern_lease_set(struct zkern_locks *ls, s64 end_ns, bool fresh, s64 now)
{
	if ((fresh || end_ns <= now) && !ls->ended)
		lease_end(ls);
	if (end_ns <= now || ls->ended)
		return;
	ls->end_ns = end_ns;
	hrtimer_start(&ls->timer, ns_to_ktime(end_ns), HRTIMER_MODE_ABS);
}

void zkern_locks_settle(struct zkern_locks *ls)
{
	s64 now = zkern_locks_enter(ls);
	struct zkern_plock *l;
	u32 n = 0;

	while (!list_empty(&ls->all)) {
		l = list_first_entry(&ls->all, struct zkern_plock, all);
		if (l->term == ls->term)
			break;
		zkern_lock_settle(ls, l, now);
		lock_rest(ls, l);
		if (++n % BATCH)
			continue;
		zkern_locks_leave(ls);
		cond_resched();
		now = zkern_locks_enter(ls);
	}
	zkern_locks_leave(ls);
}

static void locks_work(struct work_struct *work)
{
	zkern_locks_settle(container_of(work, struct zkern_locks, work));
}

static enum hrtimer_restart lease_timer(struct hrtimer *timer)
{
	struct zkern_locks *ls = container_of(timer, struct zkern_locks, timer);

	queue_work(system_highpri_wq, &ls->work);
	return HRTIMER_NORESTART;
}

/* ------------------------------------------------------------ what the owner says */

int zkern_lock_granted(struct zkern_locks *ls, struct zkern_plock *l, u64 base, s64 now)
{
	if (!base || base < l->base)
		return -EINVAL;
	if (!l->want || l->grant)
		return 0;
	if (!ls->end_ns) {
		lock_ask(ls, l, l->want);
		return 0;
	}
	l->base = base;
	l->grant = l->want;
	lock_run(ls, l, now);
	return 0;
}

void zkern_lock_behind(struct zkern_locks *ls, struct zkern_plock *l, s64 now)
{
	if (l->grant)
		return;
	l->behind = true;
	waiters_out(l, true, -EAGAIN);
	lock_run(ls, l, now);
}

void zkern_lock_revoke(struct zkern_locks *ls, struct zkern_plock *l, u32 turns, u32 ms, s64 now)
{
	s64 until = now + (s64)ms * NSEC_PER_MSEC;

	if (!l->grant)
		return;
	l->turns = l->others ? min(l->turns, turns) : turns;
	l->turns_ns = l->others ? min(l->turns_ns, until) : until;
	l->others = true;
	lock_nudge(l);
	lock_run(ls, l, now);
}

void zkern_lock_lost(struct zkern_locks *ls, struct zkern_plock *l, s64 now)
{
	if (l->grant)
		lock_lose(ls, l);
}

void zkern_lock_refuse(struct zkern_locks *ls, struct zkern_plock *l, int error, s64 now)
{
	if (l->grant)
		return;
	waiters_out(l, false, error);
	lock_run(ls, l, now);
}

/* ------------------------------------------------------------ life */

void zkern_locks_orphan(struct zkern_locks *ls)
{
	s64 now = zkern_locks_enter(ls);
	struct zkern_plock *l, *next;

	ls->owned = false;
	list_for_each_entry_safe(l, next, &ls->all, all) {
		zkern_lock_settle(ls, l, now);
		l->known = false;
		l->behind = false;
		waiters_out(l, ls->end_ns, -ENOTCONN);
		lock_run(ls, l, now);
		if (l->want)
			list_move_tail(&l->news, &ls->news);
		else
			list_del_init(&l->news);
		lock_rest(ls, l);
	}
	zkern_locks_leave(ls);
}

void zkern_locks_state(struct zkern_locks *ls)
{
	s64 now = zkern_locks_enter(ls);
	struct zkern_plock *l, *next;

	if (zkern_inst_serves(ls->inst)) {
		if (!list_empty(&ls->news))
			wake_up_interruptible_poll(&ls->inst->asks, EPOLLRDBAND);
		goto out;
	}
	/* where there is no grant, who tries waits for the owner */
	list_for_each_entry_safe(l, next, &ls->all, all) {
		zkern_lock_settle(ls, l, now);
		if (l->grant)
			continue;
		waiters_out(l, true, -ENOTCONN);
		lock_run(ls, l, now);
	}
out:
	zkern_locks_leave(ls);
}

void zkern_locks_end(struct zkern_locks *ls)
{
	zkern_locks_enter(ls);
	lease_end(ls);
	ls->ended = true;
	zkern_locks_leave(ls);
	zkern_locks_settle(ls);
	hrtimer_cancel(&ls->timer);
	cancel_work_sync(&ls->work);
}

struct zkern_locks *zkern_locks_alloc(struct zkern_inst *inst)
{
	struct zkern_locks *ls = kvzalloc(sizeof(*ls), GFP_KERNEL_ACCOUNT);

	if (!ls)
		return NULL;
	ls->inst = inst;
	ls->term = 1;
	spin_lock_init(&ls->lock);
	INIT_LIST_HEAD(&ls->all);
	INIT_LIST_HEAD(&ls->news);
	INIT_LIST_HEAD(&ls->idle);
	hash_init(ls->by_path);
	hash_init(ls->by_id);
	hash_init(ls->waiting);
	hrtimer_init(&ls->timer, CLOCK_BOOTTIME, HRTIMER_MODE_ABS);
	ls->timer.function = lease_timer;
	INIT_WORK(&ls->work, locks_work);
	return ls;
}

void zkern_locks_free(struct zkern_locks *ls)
{
	WARN_ON_ONCE(ls && !list_empty(&ls->all));
	kvfree(ls);
}
