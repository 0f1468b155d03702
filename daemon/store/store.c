// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which store: the kernel's where zkern.ko is, else one in this process.
 */
#include <linux/types.h>
#include <errno.h>
#include <string.h>

#include <linux/rcupdate.h>

#include "daemon/base/log.h"
#include "daemon/store/backend.h"

void store_thread_init(void)
{
	rcu_register_thread();
}

void store_thread_exit(void)
{
	rcu_unregister_thread();
}

int store_open(const struct store_params *p, struct store **st, const char **why)
{
	bool is_auto = !p->kind || !strcmp(p->kind, "auto");
	int rc;

	if (is_auto || !strcmp(p->kind, "kernel")) {
		rc = kernel_store_open(p, st, why);
		if (!rc || !is_auto)
			return rc;
		/* no module, or not for us; an owner there already is an error */
		if (rc != -ENODEV && rc != -EACCES && rc != -EPERM)
			return rc;
		log_info("store: %s; the tree is kept in this process", *why);
		return memory_store_open(st, why);
	}
	if (!strcmp(p->kind, "memory"))
		return memory_store_open(st, why);
	*why = "no such kind of store: auto, kernel and memory there are";
	return -EINVAL;
}
