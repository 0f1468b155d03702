// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * As a shared object: the file that FAULTS_FILE names has "call nth errno times",
 * looked at before each call and taken when it changed; it is made anew to be armed
 * again, and removed to be disarmed.
 */
#include "selftests/disk/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const fault_names[FAULT_CALLS] = {
	"pwrite", "write", "sendfile", "fdatasync", "fsync", "ftruncate", "fallocate",
	"openat", "renameat", "unlinkat", "read", "pread",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int armed = -1, left, errnum, more, fired;
static ino_t distrusted;
static bool touched;

void fault_arm(enum fault_call call, int nth, int err, int times)
{
	pthread_mutex_lock(&lock);
	armed = call;
	left = nth;
	errnum = err;
	more = times;
	fired = 0;
	distrusted = 0;
	touched = false;
	pthread_mutex_unlock(&lock);
}

void fault_disarm(void)
{
	pthread_mutex_lock(&lock);
	armed = -1;
	pthread_mutex_unlock(&lock);
}

int fault_fired(void)
{
	return __atomic_load_n(&fired, __ATOMIC_RELAXED);
}

bool fault_distrusted(void)
{
	return __atomic_load_n(&touched, __ATOMIC_RELAXED);
}

/* The next definition of a function: libc's, or a sanitizer's. */
static void *next(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (!f)
		abort();
	return f;
}

#define NEXT(name) ((__typeof__(name) *)next(#name))

/* The daemon's orders, from the file. */
static void look(void)
{
	static struct timespec seen;
	const char *name = getenv("FAULTS_FILE");
	struct stat st;
	char call[16];
	int i, n, err, times;
	FILE *f;

	if (!name)
		return;
	if (stat(name, &st)) {
		armed = -1;
		seen = (struct timespec){ 0 };
		return;
	}
	if (st.st_mtim.tv_sec == seen.tv_sec && st.st_mtim.tv_nsec == seen.tv_nsec)
		return;
	seen = st.st_mtim;
	f = fopen(name, "r");
	if (f && fscanf(f, "%15s %d %d %d", call, &n, &err, &times) == 4) {
		for (i = 0; i < FAULT_CALLS; i++) {
			if (!strcmp(call, fault_names[i]))
				armed = i;
		}
		left = n;
		errnum = err;
		more = times;
	}
	if (f)
		fclose(f);
}

static bool ours(int fd, ino_t *ino)
{
	char link[40], path[4096];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return false;
	path[n] = '\0';
	*ino = fstat(fd, &st) ? 0 : st.st_ino;
	return strstr(path, "/version-2");
}

/* Whether this call is to fail; errno is set then. */
static bool fails(enum fault_call call, int fd)
{
	int keep = errno;
	bool hit = false;
	ino_t ino = 0;

	if (!ours(fd, &ino)) {
		errno = keep;
		return false;
	}
	pthread_mutex_lock(&lock);
	look();
	if (ino && ino == distrusted &&
	    (call == FAULT_PWRITE || call == FAULT_FDATASYNC || call == FAULT_FTRUNCATE))
		touched = true;
	if ((int)call == armed && more && --left <= 0) {
		hit = true;
		fired++;
		if (more > 0)
			more--;
		if (call == FAULT_FDATASYNC)
			distrusted = ino;
	}
	pthread_mutex_unlock(&lock);
	errno = hit && errnum ? errnum : keep;
	return hit;
}

#define FAIL_OR_PART(call, fd, n)			\
	do {						\
		if (fails(call, fd)) {			\
			if (errnum)			\
				return -1;		\
			(n) -= (n) / 2;			\
		}					\
	} while (0)

ssize_t pwrite(int fd, const void *buf, size_t n, off_t pos)
{
	FAIL_OR_PART(FAULT_PWRITE, fd, n);
	return NEXT(pwrite)(fd, buf, n, pos);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	FAIL_OR_PART(FAULT_WRITE, fd, n);
	return NEXT(write)(fd, buf, n);
}

ssize_t sendfile(int out, int in, off_t *at, size_t n)
{
	FAIL_OR_PART(FAULT_SENDFILE, out, n);
	return NEXT(sendfile)(out, in, at, n);
}

ssize_t read(int fd, void *buf, size_t n)
{
	FAIL_OR_PART(FAULT_READ, fd, n);
	return NEXT(read)(fd, buf, n);
}

ssize_t pread(int fd, void *buf, size_t n, off_t pos)
{
	FAIL_OR_PART(FAULT_PREAD, fd, n);
	return NEXT(pread)(fd, buf, n, pos);
}

int fdatasync(int fd)
{
	return fails(FAULT_FDATASYNC, fd) ? -1 : NEXT(fdatasync)(fd);
}

int fsync(int fd)
{
	return fails(FAULT_FSYNC, fd) ? -1 : NEXT(fsync)(fd);
}

int ftruncate(int fd, off_t len)
{
	return fails(FAULT_FTRUNCATE, fd) ? -1 : NEXT(ftruncate)(fd, len);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
	return fails(FAULT_FALLOCATE, fd) ? -1 : NEXT(fallocate)(fd, mode, at, len);
}

int openat(int dfd, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if (dfd != AT_FDCWD && fails(FAULT_OPENAT, dfd))
		return -1;
	return NEXT(openat)(dfd, path, flags, mode);
}

int renameat(int from, const char *a, int to, const char *b)
{
	return fails(FAULT_RENAMEAT, from) ? -1 : NEXT(renameat)(from, a, to, b);
}

int unlinkat(int dfd, const char *path, int flags)
{
	if (dfd != AT_FDCWD && fails(FAULT_UNLINKAT, dfd))
		return -1;
	return NEXT(unlinkat)(dfd, path, flags);
}
