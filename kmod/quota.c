// SPDX-License-Identifier: GPL-2.0-only
/* Counters by uid, present only while they are not zero. Under quota_lock. */
#include "quota.h"

#include <linux/bug.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

static DEFINE_MUTEX(quota_lock);
static DEFINE_XARRAY(quota);

/* Under quota_lock. */
static unsigned long quota_count(kuid_t uid)
{
	void *entry = xa_load(&quota, __kuid_val(uid));

	return entry ? xa_to_value(entry) : 0;
}

int zkern_quota_take(kuid_t uid)
{
	unsigned long n;
	int err = -ENOSPC;

	mutex_lock(&quota_lock);
	n = quota_count(uid);
	if (n < ZKERN_QUOTA_MAX)
		err = xa_err(xa_store(&quota, __kuid_val(uid), xa_mk_value(n + 1), GFP_KERNEL));
	mutex_unlock(&quota_lock);
	return err;
}

void zkern_quota_drop(kuid_t uid)
{
	unsigned long n;

	mutex_lock(&quota_lock);
	n = quota_count(uid);
	if (WARN_ON_ONCE(!n))
		goto out;
	/* storing over what is there allocates nothing and cannot fail */
	if (n > 1)
		xa_store(&quota, __kuid_val(uid), xa_mk_value(n - 1), GFP_KERNEL);
	else
		xa_erase(&quota, __kuid_val(uid));
out:
	mutex_unlock(&quota_lock);
}
