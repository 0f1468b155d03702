/* SPDX-License-Identifier: GPL-2.0-only */
/* How many pictures of trees a user holds open: snapshots and netlink dumps. */
#ifndef ZKERN_QUOTA_H
#define ZKERN_QUOTA_H

#include <linux/uidgid.h>

#define ZKERN_QUOTA_MAX	64	/* per uid, all instances together */

/* Any; sleeps. Counts one more for @uid: 0, -ENOSPC or -ENOMEM. */
int zkern_quota_take(kuid_t uid);
/* Any; sleeps. */
void zkern_quota_drop(kuid_t uid);

#endif
