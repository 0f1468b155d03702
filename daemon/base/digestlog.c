// SPDX-License-Identifier: GPL-2.0-or-later
/* See digestlog.h: a ring under a lock, which is taken every 128 transactions. */
#include <linux/types.h>
#include <pthread.h>

#include "daemon/base/digestlog.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct digest_entry ring[DIGEST_LOG_MAX];
static u64 put;		/* since the last clear */

void digest_log_put(u64 zxid, u64 digest)
{
	pthread_mutex_lock(&lock);
	ring[put++ % DIGEST_LOG_MAX] = (struct digest_entry){ zxid, digest };
	pthread_mutex_unlock(&lock);
}

u32 digest_log_copy(struct digest_entry *out)
{
	u64 from;
	u32 n = 0;

	pthread_mutex_lock(&lock);
	from = put > DIGEST_LOG_MAX ? put - DIGEST_LOG_MAX : 0;
	while (from < put)
		out[n++] = ring[from++ % DIGEST_LOG_MAX];
	pthread_mutex_unlock(&lock);
	return n;
}

void digest_log_clear(void)
{
	pthread_mutex_lock(&lock);
	put = 0;
	pthread_mutex_unlock(&lock);
}
