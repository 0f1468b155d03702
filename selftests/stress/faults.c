// SPDX-License-Identifier: GPL-2.0-or-later
/* What fails, for whom, and what may be wrong. */
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../kernel/tap.h"
#include "faults.h"

#define SHOWN	20	/* wrong answers that are shown */

bool with_faults;

static bool set(const char *attr, const char *file, const char *value)
{
	char path[128];
	bool good;
	int f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", attr, file);
	f = open(path, O_WRONLY | O_CLOEXEC);
	if (f < 0)
		return false;
	good = write(f, value, strlen(value)) == (ssize_t)strlen(value);
	close(f);
	return good;
}

static const char * const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };

bool faults_begin(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		/* in those tasks alone that ask for it, silently, for ever */
		if (!set(kinds[i], "task-filter", "Y") || !set(kinds[i], "verbose", "0") ||
		    !set(kinds[i], "times", "-1"))
			return false;
	}
	if (!set("failslab", "ignore-gfp-wait", "N") ||
	    !set("fail_page_alloc", "ignore-gfp-wait", "N") ||
	    !set("fail_page_alloc", "min-order", "0"))
		return false;
	with_faults = true;
	return true;
}

void chance(int percent)
{
	char text[8];
	unsigned int i;

	if (!with_faults)
		return;
	snprintf(text, sizeof(text), "%d", percent);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		need(set(kinds[i], "probability", text), "%s", kinds[i]);
}

/* The call that ends it may fail itself. */
static void arm(struct worker *w, const char *on)
{
	if (!w->armed)
		return;
	while (pwrite(w->make_it_fail, on, 1, 0) != 1)
		;
}

void calm(struct worker *w)
{
	arm(w, "0");
}

void harm(struct worker *w)
{
	arm(w, "1");
}

void worker_arm(struct worker *w, bool armed)
{
	w->make_it_fail = -1;
	if (!armed || !with_faults)
		return;
	w->make_it_fail = open("/proc/thread-self/make-it-fail", O_RDWR | O_CLOEXEC);
	need(w->make_it_fail >= 0, "make-it-fail");
	w->armed = true;
	harm(w);
}

static pthread_mutex_t show_lock = PTHREAD_MUTEX_INITIALIZER;
static int shown;

static void show(struct worker *w, const char *fmt, va_list ap)
{
	w->wrongs++;
	calm(w);
	pthread_mutex_lock(&show_lock);
	if (shown++ < SHOWN) {
		printf("# %s: ", w->job->name);
		vprintf(fmt, ap);
		printf("\n");
		fflush(stdout);
	}
	pthread_mutex_unlock(&show_lock);
	harm(w);
}

void wrong(struct worker *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	show(w, fmt, ap);
	va_end(ap);
}

bool may_fail_also(struct worker *w, long err, int also, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	if (err >= 0) {
		w->good++;
		return true;
	}
	if (w->armed && (err == -ENOMEM || err == -EFAULT)) {
		w->failed++;
		return false;
	}
	if (err == also)
		return false;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	wrong(w, "%s: %s", text, strerror(-err));
	return false;
}
