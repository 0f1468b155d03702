/* SPDX-License-Identifier: GPL-2.0-only */
/* How many of something each user (uid) has, all instances together. */
#ifndef ZKERN_QUOTA_H
#define ZKERN_QUOTA_H

#include <linux/uidgid.h>
#include <linux/xarray.h>

#define ZKERN_QUOTA_MAX	64	/* pictures of trees: snapshots and netlink dumps */

/*
 * Any; sleeps. Counts @n more for @uid in @counts, which belongs to one kind of thing and
 * is touched by these two alone: 0, -ENOSPC (that would be more than @max) or -ENOMEM.
 */
int zkern_quota_take_of(struct xarray *counts, kuid_t uid, unsigned long n, unsigned long max);
/* Any; sleeps. @n less; 0: nothing is done. */
void zkern_quota_drop_of(struct xarray *counts, kuid_t uid, unsigned long n);

/* The same for pictures of trees. */
int zkern_quota_take(kuid_t uid);
void zkern_quota_drop(kuid_t uid);

#endif
