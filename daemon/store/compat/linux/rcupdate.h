/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel RCU's names over liburcu, memb flavour (link with -lurcu).
 *
 * What a thread owes
 * ------------------
 * Every thread that calls anything of kmod/tree/tree.h, readers and writers
 * alike, is registered: rcu_register_thread() before its first call,
 * rcu_unregister_thread() after its last. (call_rcu() itself enters a read
 * section, so also threads that only take and drop pins are readers.)
 * zk_tree_init() starts one thread of ours, liburcu one for call_rcu(): a program
 * that handles signals in threads of its choice blocks them before that.
 * With ZK_COMPAT_DEBUG, dereferences outside a read section, sleeping inside one
 * and locks that are not held end the process with a message.
 */
#ifndef COMPAT_LINUX_RCUPDATE_H
#define COMPAT_LINUX_RCUPDATE_H

#ifndef _LGPL_SOURCE
#define _LGPL_SOURCE	/* GPL code: take the inline read side */
#endif
#include <urcu.h>

#include <linux/bug.h>
#include <linux/compiler.h>

void compat_check(bool ok, const char *what, const char *file, int line);

#undef rcu_dereference
#undef rcu_assign_pointer

#ifdef ZK_COMPAT_DEBUG
#define compat_rcu_check(c)	compat_check((c), #c, __FILE__, __LINE__)
#else
#define compat_rcu_check(c)	((void)sizeof(!!(c)))
#endif

/*
 * The read is volatile and the use depends on it; that is what the kernel relies
 * on too (READ_ONCE() and an address dependency).
 */
#define rcu_dereference_check(p, c) ({					\
	compat_rcu_check((c) || rcu_read_ongoing());			\
	READ_ONCE(p);							\
})
#define rcu_dereference(p)		rcu_dereference_check(p, false)
#define rcu_dereference_raw(p)		READ_ONCE(p)
#define rcu_dereference_protected(p, c) ({				\
	compat_rcu_check(c);						\
	(p);								\
})
#define rcu_access_pointer(p)		READ_ONCE(p)
#define rcu_assign_pointer(p, v) \
	__atomic_store_n(&(p), (__typeof__(p))(v), __ATOMIC_RELEASE)
#define RCU_INIT_POINTER(p, v)		WRITE_ONCE(p, (__typeof__(p))(v))

#ifdef __SANITIZE_THREAD__
/*
 * liburcu is not built for the thread sanitizer, which so sees no grace periods: it is
 * told here that what was done before one's begin, by readers too, comes before what
 * is done after its end. (A nested function that uses nothing of its surroundings is
 * one like all others.)
 */
extern char compat_gp;
void __tsan_acquire(void *p);
void __tsan_release(void *p);

static inline void compat_read_unlock(void)
{
	__tsan_release(&compat_gp);
	rcu_read_unlock();
}

static inline void compat_synchronize_rcu(void)
{
	__tsan_release(&compat_gp);
	synchronize_rcu();
	__tsan_acquire(&compat_gp);
}

static inline void compat_call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *))
{
	__tsan_release(&compat_gp);
	call_rcu(head, func);
}

#undef rcu_read_unlock
#define rcu_read_unlock()	compat_read_unlock()
#undef synchronize_rcu
#define synchronize_rcu()	compat_synchronize_rcu()
#undef call_rcu
#define call_rcu(head, func) ({						\
	void __over(struct rcu_head *h)					\
	{								\
		__tsan_acquire(&compat_gp);				\
		func(h);						\
	}								\
	compat_call_rcu(head, __over);					\
})
#endif

#define synchronize_rcu_expedited()	synchronize_rcu()

#endif
