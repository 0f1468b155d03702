// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue of one open file: records go in under w->lock, and come out by read(2) once
 * what they tell of can be seen. See watch_impl.h, "What may be read".
 */
#include <linux/err.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "watch_impl.h"

/* ------------------------------------------------------------ going in */

static void ring_put(struct zkern_watcher *q, u64 at, const void *from, u32 len)
{
	u32 pos = at % q->cap, n = min(len, q->cap - pos);

	memcpy(q->ring + pos, from, n);
	memcpy(q->ring, from + n, len - n);
}

static void ring_zero(struct zkern_watcher *q, u64 at, u32 len)
{
	static const u8 zeros[8];

	ring_put(q, at, zeros, len);
}

/* Whoever was told something is woken when it can be seen. */
static void note_woken(struct zkern_watcher *q)
{
	if (list_empty(&q->woken))
		list_add_tail(&q->woken, &q->w->woken);
}

void watch_lose(struct zkern_watcher *q, u64 era, u64 zxid)
{
	lockdep_assert_held(&q->w->lock);
	spin_lock(&q->lock);
	if (!q->lost)
		q->lost_first = zxid;
	if (q->lost < U32_MAX)
		WRITE_ONCE(q->lost, q->lost + 1);
	q->lost_zxid = zxid;
	q->lost_era = era;
	spin_unlock(&q->lock);
	note_woken(q);
}

void watch_push(struct zkern_watcher *q, u32 type, u64 era, u64 zxid, u32 arg,
		const char *path, u32 len)
{
	struct zkern_watch_event ev = {
		.len = ALIGN(sizeof(ev) + len, 8),
		.type = type,
		.zxid = zxid,
		.era = era,
		.arg = arg,
		.path_len = len,
	};
	bool room;

	lockdep_assert_held(&q->w->lock);
	spin_lock(&q->lock);
	room = !q->lost && q->cap - (q->tail - q->head) >= ev.len;
	spin_unlock(&q->lock);
	if (!room) {
		watch_lose(q, era, zxid);
		return;
	}
	/* room only grows meanwhile */
	ring_put(q, q->tail, &ev, sizeof(ev));
	ring_put(q, q->tail + sizeof(ev), path, len);
	ring_zero(q, q->tail + sizeof(ev) + len, ev.len - sizeof(ev) - len);
	spin_lock(&q->lock);
	WRITE_ONCE(q->tail, q->tail + ev.len);
	spin_unlock(&q->lock);
	note_woken(q);
}

void watch_wake(struct zkern_watches *w)
{
	struct zkern_watcher *q, *next;

	lockdep_assert_held(&w->lock);
	list_for_each_entry_safe(q, next, &w->woken, woken) {
		list_del_init(&q->woken);
		wake_up_interruptible_poll(&q->zf->events, EPOLLIN | EPOLLRDNORM);
		cond_resched();
	}
}

/* ------------------------------------------------------------ what may be read */

/* Whether something can be seen, and if so, whether it is of another tree than is now. */
enum shown { SHOWN_NOT, SHOWN, SHOWN_BEFORE };

/*
 * Can what happened at @zxid of @era be seen? The tree is looked at first: whoever finds the
 * one that was swapped in finds its era, too. Who finds an older one is woken later.
 */
static enum shown shown(struct zkern_watches *w, u64 era, u64 zxid)
{
	struct zk_tree *tree, *coming;
	enum shown yes = SHOWN_BEFORE;
	unsigned int seq;
	u64 now;

	if (READ_ONCE(w->inst->state) == ZKERN_STATE_EMPTY) {
		/* pairs with zkern_watch_state_begin() */
		smp_rmb();
		if (rcu_access_pointer(w->inst->tree))
			return era < READ_ONCE(w->hidden_from) ? SHOWN_BEFORE : SHOWN_NOT;
	}
	rcu_read_lock();
	tree = rcu_dereference(w->inst->tree);
	if (tree) {
		/* pairs with rcu_assign_pointer() of the tree */
		smp_rmb();
		do {
			seq = read_seqcount_begin(&w->seq);
			coming = w->coming;
			now = w->era;
		} while (read_seqcount_retry(&w->seq, seq));
		if (tree != coming)
			now--;
		if (era >= now)
			yes = era == now && zxid <= zk_tree_zxid(tree) ? SHOWN : SHOWN_NOT;
	}
	rcu_read_unlock();
	return yes;
}

static void ring_get(const struct zkern_watcher *q, u64 at, void *to, u32 len)
{
	u32 pos = at % q->cap, n = min(len, q->cap - pos);

	memcpy(to, q->ring + pos, n);
	memcpy(to + n, q->ring, len - n);
}

/* What comes next, to be seen or not: a record of the ring, or that some were lost. */
static bool peek(struct zkern_watcher *q, struct zkern_watch_event *ev, u64 *first)
{
	bool any = true;

	spin_lock(&q->lock);
	if (q->head != q->tail) {
		ring_get(q, q->head, ev, sizeof(*ev));
		*first = ev->zxid;
	} else if (q->lost) {
		*ev = (struct zkern_watch_event){
			.len = sizeof(*ev),
			.type = ZKERN_EV_OVERFLOW,
			.zxid = q->lost_zxid,
			.era = q->lost_era,
			.arg = q->lost,
		};
		*first = q->lost_first;
	} else {
		any = false;
	}
	spin_unlock(&q->lock);
	return any;
}

/*
 * The same, if it may be read now. Of what was lost, the last may not be seen yet while
 * the first can: that is a matter of the writer's being done. Sleeps for it if
 * @settle.
 */
static bool peek_shown(struct zkern_watcher *q, struct zkern_watch_event *ev, bool settle)
{
	u64 first;

	if (!peek(q, ev, &first))
		return false;
	if (shown(q->w, ev->era, ev->zxid) != SHOWN_NOT)
		return true;
	if (ev->type != ZKERN_EV_OVERFLOW || shown(q->w, ev->era, first) == SHOWN_NOT)
		return false;
	if (!settle)
		return true;
	mutex_lock(&q->w->lock);
	mutex_unlock(&q->w->lock);
	return peek(q, ev, &first) && shown(q->w, ev->era, ev->zxid) != SHOWN_NOT;
}

u32 watch_ready(struct zkern_watcher *q)
{
	struct zkern_watch_event ev;

	return peek_shown(q, &ev, false) ? ev.len : 0;
}

u32 zkern_watch_waits_slow(struct zkern_file *zf, u64 zxid)
{
	/* pairs with watcher_get() */
	struct zkern_watcher *q = smp_load_acquire(&zf->watcher);
	struct zkern_watch_event ev;
	u64 first;

	if (READ_ONCE(q->head) == READ_ONCE(q->tail) && !READ_ONCE(q->lost))
		return 0;
	if (!peek(q, &ev, &first))
		return 0;
	switch (shown(q->w, ev.era, first)) {
	case SHOWN:
		return first <= zxid;
	case SHOWN_BEFORE:
		/* zxids of two trees are not compared: the answer may be of the later one */
		return 1;
	case SHOWN_NOT:
		break;
	}
	return 0;
}

int watch_ring_swap(struct zkern_watcher *q, u8 **ring, u32 *cap)
{
	u32 used = q->tail - q->head, first = min_t(u32, used, q->cap - q->head % q->cap);

	if (used > *cap)
		return -EBUSY;
	if (*cap > q->cap && q->bytes + *cap > watch_file_limit())
		return -EDQUOT;
	memcpy(*ring, q->ring + q->head % q->cap, first);
	memcpy(*ring + first, q->ring, used - first);
	spin_lock(&q->lock);
	swap(q->ring, *ring);
	q->charged += *cap;
	swap(q->cap, *cap);
	q->charged -= *cap;
	q->head = 0;
	q->tail = used;
	spin_unlock(&q->lock);
	return 0;
}

/* ------------------------------------------------------------ going out */

/* q->reading held: the record at the head is not overwritten. */
static int ring_out(struct zkern_watcher *q, char __user *to, u32 len)
{
	u32 pos = q->head % q->cap, n = min(len, q->cap - pos);

	if (copy_to_user(to, q->ring + pos, n) || copy_to_user(to + n, q->ring, len - n))
		return -EFAULT;
	return 0;
}

static void took(struct zkern_watcher *q, const struct zkern_watch_event *ev)
{
	spin_lock(&q->lock);
	if (ev->type == ZKERN_EV_OVERFLOW) {
		/* what was lost since then is another record's to tell */
		WRITE_ONCE(q->lost, q->lost - ev->arg);
		q->lost_first = ev->zxid;
	} else {
		WRITE_ONCE(q->head, q->head + ev->len);
	}
	spin_unlock(&q->lock);
}

/* Under q->reading: whole records. Their bytes, 0: none may be read, or an error. */
static ssize_t take(struct zkern_watcher *q, char __user *buf, size_t room)
{
	struct zkern_watch_event ev;
	size_t done = 0;
	int err = 0;

	while (!err && peek_shown(q, &ev, true)) {
		if (ev.len > room - done) {
			err = -EINVAL;
			break;
		}
		if (ev.type == ZKERN_EV_OVERFLOW)
			err = copy_to_user(buf + done, &ev, sizeof(ev)) ? -EFAULT : 0;
		else
			err = ring_out(q, buf + done, ev.len);
		if (err)
			break;
		took(q, &ev);
		done += ev.len;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	return done ?: err;
}

static bool gone(struct zkern_watches *w)
{
	return !rcu_access_pointer(w->inst->tree);
}

static ssize_t read_once(struct zkern_watcher *q, char __user *buf, size_t len)
{
	bool was_gone = gone(q->w);
	ssize_t n;

	if (mutex_lock_interruptible(&q->reading))
		return -ERESTARTSYS;
	n = take(q, buf, len);
	mutex_unlock(&q->reading);
	return !n && was_gone ? -ENODEV : n;
}

ssize_t zkern_watch_read(struct zkern_file *zf, bool nonblock, char __user *buf, size_t len)
{
	/* pairs with watcher_get() */
	struct zkern_watcher *q = smp_load_acquire(&zf->watcher);
	ssize_t n;

	if (!q)
		return -EINVAL;
	for (;;) {
		n = read_once(q, buf, len);
		if (n)
			return n;
		if (nonblock)
			return -EAGAIN;
		if (wait_event_interruptible(zf->events, watch_ready(q) || gone(q->w)))
			return -ERESTARTSYS;
	}
}

bool zkern_watch_next(struct zkern_file *zf, struct zkern_watch_event *ev, char *path, u32 room)
{
	/* pairs with watcher_get() */
	struct zkern_watcher *q = smp_load_acquire(&zf->watcher);
	bool any;

	if (!q)
		return false;
	mutex_lock(&q->reading);
	any = peek_shown(q, ev, true) && ev->path_len <= room;
	if (any) {
		/* the record at the head is not overwritten */
		ring_get(q, q->head + sizeof(*ev), path, ev->path_len);
		took(q, ev);
	}
	mutex_unlock(&q->reading);
	return any;
}

bool zkern_watch_is_gone(struct zkern_file *zf)
{
	return gone(zf->inst->watches);
}

__poll_t zkern_watch_poll(struct zkern_file *zf, struct file *file, poll_table *wait)
{
	struct zkern_watches *w = zf->inst->watches;
	struct zkern_watcher *q;
	__poll_t mask = 0;

	poll_wait(file, &zf->events, wait);
	poll_wait(file, &w->gone, wait);
	q = smp_load_acquire(&zf->watcher);	/* pairs with watcher_get() */
	if (q && watch_ready(q))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (gone(w))
		mask |= EPOLLERR | EPOLLHUP;
	return mask;
}
