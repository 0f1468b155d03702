/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls that fail when they are told to: of files in version-2 only. Linked into a
 * test they stand before libc's; as a shared object, preloaded into the daemon,
 * which then looks at a file for what to do (see faults.c).
 */
#ifndef SELFTESTS_DISK_FAULTS_H
#define SELFTESTS_DISK_FAULTS_H

#include <stdbool.h>

enum fault_call {
	FAULT_PWRITE,		/* the log's records */
	FAULT_WRITE,		/* snapshots, small files */
	FAULT_SENDFILE,
	FAULT_FDATASYNC,
	FAULT_FSYNC,
	FAULT_FTRUNCATE,
	FAULT_FALLOCATE,
	FAULT_OPENAT,
	FAULT_RENAMEAT,
	FAULT_UNLINKAT,
	FAULT_READ,
	FAULT_PREAD,
	FAULT_CALLS,
};

extern const char *const fault_names[FAULT_CALLS];

/*
 * From now on the @nth call fails with @err, and @times - 1 more (-1: all). @err 0:
 * writes only a part. Not while other threads are at it.
 */
void fault_arm(enum fault_call call, int nth, int err, int times);
void fault_disarm(void);
/* How many calls failed, or were cut short, since it was armed. */
int fault_fired(void);
/* Whether a file was written or synced whose fdatasync() had failed. */
bool fault_distrusted(void);

#endif
