/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quotas that are enforced (enforceQuota=true). What is at and below a path is kept by
 * the tree, kmod/tree/quota.c; here it is held against the limits. Core thread only.
 */
#ifndef ZKD_SERVER_QUOTA_H
#define ZKD_SERVER_QUOTA_H

#include "daemon/server/prepare.h"

/*
 * Whether @path's quota allows @count more nodes and @bytes more bytes of data
 * (ZooKeeperServer.checkQuota). ZOK; ZQUOTAEXCEEDED for a hard limit, while a soft
 * one is only logged; ZMARSHALLINGERROR for figures that are none; p->fail set.
 *
 * As in 3.8 it is the tree as applied that is asked: what is under way, be it other
 * parts of the same multi, does not count yet.
 */
s32 quota_check(struct prep *p, const char *path, u32 len, s64 count, s64 bytes);

/*
 * The tree changes data of quotas' stats nodes by itself: brings such a record's
 * length up to date, for an answer with its Stat.
 */
void quota_freshen(struct prep *p, struct change *rec);

#endif
