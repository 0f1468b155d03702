/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back ends, to store.c alone.
 */
#ifndef ZKD_STORE_BACKEND_H
#define ZKD_STORE_BACKEND_H

#include "daemon/store/store.h"

/* -ENODEV: no module; otherwise as store_open(). */
int kernel_store_open(const struct store_params *p, struct store **st, const char **why);
int memory_store_open(struct store **st, const char **why);

/*
 * An ACL id that stays unique when another tree is swapped in: trees number their
 * own from 1. @tree counts the trees of this store.
 */
static inline u64 store_acl_id(u32 tree, u64 id)
{
	return (u64)tree << 44 | id;
}

#endif
