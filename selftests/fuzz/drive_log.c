// SPDX-License-Identifier: GPL-2.0-or-later
/* The log's thread, turned by hand: this is the daemon's own file, whose thread is none. */
#include <pthread.h>

#include "selftests/fuzz/drive_peers.h"

#define pthread_create(t, attr, fn, arg)	((void)(fn), 0)
#define pthread_setname_np(t, name)		((void)(name))
#define pthread_join(t, res)			drive_log_end(lw)
#define pthread_cond_wait(cond, lock)		drive_log_more(lw)

struct logw;
static void drive_log_end(struct logw *lw);
static void drive_log_more(struct logw *lw);

#include "daemon/disk/logwrite.c"

static bool turn(struct logw *lw)
{
	struct txn *t = take(lw);

	if (t)
		work_off(lw, t);
	return t;
}

bool drive_log_turn(struct disk *d)
{
	return turn(d->log);
}

static void drive_log_end(struct logw *lw)
{
	while (turn(lw))
		;
}

static void drive_log_more(struct logw *lw)
{
	pthread_mutex_unlock(&lw->lock);
	turn(lw);
	pthread_mutex_lock(&lw->lock);
}
