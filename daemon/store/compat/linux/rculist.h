/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMPAT_LINUX_RCULIST_H
#define COMPAT_LINUX_RCULIST_H

#include <linux/list.h>
#include <linux/rcupdate.h>

#define list_next_rcu(list)	((list)->next)
#define list_entry_rcu(ptr, type, member) \
	container_of(READ_ONCE(ptr), type, member)

static inline void list_add_tail_rcu(struct list_head *entry, struct list_head *head)
{
	struct list_head *last = head->prev;

	entry->next = head;
	entry->prev = last;
	rcu_assign_pointer(last->next, entry);
	head->prev = entry;
}

/* The entry keeps its next: readers standing on it go on. */
static inline void list_del_rcu(struct list_head *entry)
{
	entry->next->prev = entry->prev;
	WRITE_ONCE(entry->prev->next, entry->next);
	entry->prev = NULL;
}

#endif
