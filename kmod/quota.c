// SPDX-License-Identifier: GPL-2.0-only
/* Counters by uid, present only while they are not zero. Under quota_lock. */
#include "quota.h"

#include <linux/bug.h>
#include <linux/mutex.h>

static DEFINE_MUTEX(quota_lock);
static DEFINE_XARRAY(pictures);

/* Under quota_lock. */
static unsigned long quota_count(struct xarray *counts, kuid_t uid)
{
	void *entry = xa_load(counts, __kuid_val(uid));

	return entry ? xa_to_value(entry) : 0;
}

int zkern_quota_take_of(struct xarray *counts, kuid_t uid, unsigned long n, unsigned long max)
{
	unsigned long had;
	int err = -ENOSPC;

	mutex_lock(&quota_lock);
	had = quota_count(counts, uid);
	if (had <= max && n <= max - had)
		err = xa_err(xa_store(counts, __kuid_val(uid), xa_mk_value(had + n), GFP_KERNEL));
	mutex_unlock(&quota_lock);
	return err;
}

void zkern_quota_drop_of(struct xarray *counts, kuid_t uid, unsigned long n)
{
	unsigned long had;

	if (!n)
		return;
	mutex_lock(&quota_lock);
	had = quota_count(counts, uid);
	if (WARN_ON_ONCE(had < n))
		goto out;
	/* storing over what is there allocates nothing and cannot fail */
	if (had > n)
		xa_store(counts, __kuid_val(uid), xa_mk_value(had - n), GFP_KERNEL);
	else
		xa_erase(counts, __kuid_val(uid));
out:
	mutex_unlock(&quota_lock);
}

int zkern_quota_take(kuid_t uid)
{
	return zkern_quota_take_of(&pictures, uid, 1, ZKERN_QUOTA_MAX);
}

void zkern_quota_drop(kuid_t uid)
{
	zkern_quota_drop_of(&pictures, uid, 1);
}
