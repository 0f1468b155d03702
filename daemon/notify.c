// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sd_notify: readiness, status, the watchdog.
 *
 * The watchdog is fed by the core thread's word, not by the main thread's being awake:
 * a task is sent through the core's queue, and only when it was run is the service
 * manager told. A core that waits for the audit's file, because it is configured to
 * stall, is no failure that a restart would mend.
 */
#include <linux/types.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/notify.h"
#include "daemon/server/audit.h"

#define EXTEND_EVERY_MS		5000
#define EXTEND_BY_US		30000000ULL
#define STATUS_EVERY_MS		5000

static pthread_t extender;
static bool extending;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;

static bool managed(void)
{
	return getenv("NOTIFY_SOCKET");
}

static u64 now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

/* ---------------------------------------------------------------- more time */

static bool got_on(void)
{
	static struct rusage last;
	struct rusage now;
	bool on;

	if (getrusage(RUSAGE_SELF, &now))
		return false;
	on = now.ru_utime.tv_sec != last.ru_utime.tv_sec ||
	     now.ru_utime.tv_usec / 10000 != last.ru_utime.tv_usec / 10000 ||
	     now.ru_stime.tv_sec != last.ru_stime.tv_sec ||
	     now.ru_stime.tv_usec / 10000 != last.ru_stime.tv_usec / 10000 ||
	     now.ru_inblock != last.ru_inblock || now.ru_oublock != last.ru_oublock;
	last = now;
	return on;
}

static void *extend(void *arg)
{
	struct timespec ts;

	(void)arg;
	pthread_mutex_lock(&lock);
	while (extending) {
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_sec += EXTEND_EVERY_MS / 1000;
		pthread_cond_timedwait(&wake, &lock, &ts);
		if (extending && got_on())
			sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%llu", EXTEND_BY_US);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

void notify_busy(const char *status)
{
	if (!managed())
		return;
	sd_notifyf(0, "STATUS=%s\nEXTEND_TIMEOUT_USEC=%llu", status, EXTEND_BY_US);
	if (extending)
		return;
	extending = true;
	if (pthread_create(&extender, NULL, extend, NULL)) {
		extending = false;
		log_warn("cannot ask the service manager for more time");
	}
}

void notify_end(void)
{
	bool was;

	pthread_mutex_lock(&lock);
	was = extending;
	extending = false;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
	if (was)
		pthread_join(extender, NULL);
}

/* ---------------------------------------------------------------- states */

void notify_ready(void)
{
	int rc;

	notify_end();
	rc = sd_notifyf(0, "READY=1\nMAINPID=%lu", (unsigned long)getpid());
	if (rc < 0)
		log_warn("cannot tell the service manager: %s", strerror(-rc));
}

void notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", now_us());
}

void notify_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}

/* ---------------------------------------------------------------- alive */

static int core_was_here;	/* atomic */
static bool asked;

static void here(void *arg)
{
	__atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE);
}

static void ask_core(struct core *c)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return;
	__atomic_store_n(&core_was_here, 0, __ATOMIC_RELAXED);
	r->kind = REQ_TASK;
	r->task = here;
	r->arg = &core_was_here;
	asked = true;
	core_submit(c, r);
}

static void tell_status(struct core *c)
{
	static u64 next_us;
	struct core_stats s;

	if (now_us() < next_us)
		return;
	next_us = now_us() + STATUS_EVERY_MS * 1000;
	core_stats(c, &s);
	sd_notifyf(0, "STATUS=%s: zxid 0x%llx, %llu sessions, %llu requests outstanding",
		   s.serves == CORE_SERVES_ALL ? "serving" :
		   s.serves == CORE_SERVES_READERS ? "without a quorum, for readers" :
						     "without a quorum",
		   s.zxid, s.sessions, s.outstanding);
}

void notify_alive(struct core *c)
{
	bool here_now = asked && __atomic_load_n(&core_was_here, __ATOMIC_ACQUIRE);

	if (!managed())
		return;
	tell_status(c);
	if (sd_watchdog_enabled(0, NULL) <= 0)
		return;
	if (here_now || audit_stalled())
		sd_notify(0, "WATCHDOG=1");
	if (here_now || !asked)
		ask_core(c);
}

u64 notify_every_ms(void)
{
	uint64_t us;

	if (!managed())
		return 3600 * 1000;
	if (sd_watchdog_enabled(0, &us) > 0 && us / 4000 < STATUS_EVERY_MS)
		return us / 4000 ? us / 4000 : 1;
	return STATUS_EVERY_MS;
}
