// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Room on the file systems of the data directory, watched so that a disk that
 * fills up is said before writes fail. The log thread looks, at most once a second
 * and at least every ROOM_IDLE_MS; anyone may read what it saw.
 */
#include <linux/types.h>
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "daemon/base/log.h"
#include "daemon/disk/internal.h"

#define LOOK_EVERY_MS	1000
#define AUTO_MAX	(1ULL << 30)
#define AUTO_PART	10	/* of the file system's size */

/* What is free for us, and below which it is too little. */
static int look(int dfd, u64 asked, u64 *free_bytes, u64 *least)
{
	struct statvfs fs;
	u64 size;

	if (fstatvfs(dfd, &fs))
		return -errno;
	*free_bytes = (u64)fs.f_bavail * fs.f_frsize;
	size = (u64)fs.f_blocks * fs.f_frsize;
	*least = asked;
	if (asked == DISK_ROOM_AUTO)
		*least = size / AUTO_PART < AUTO_MAX ? size / AUTO_PART : AUTO_MAX;
	return 0;
}

/* Says it when it becomes too little, and again each time that half of it went. */
static void judge(struct disk *d, struct room *r, const char *path, u64 free_bytes, u64 least)
{
	if (free_bytes >= least) {
		/* not for every file that comes and goes */
		if (r->low && free_bytes >= least + least / 4) {
			log_info("%s: %llu MiB are free again", path, free_bytes >> 20);
			r->low = false;
		}
		return;
	}
	if (r->low && free_bytes > r->said / 2)
		return;
	log_warn("%s: only %llu KiB are free (a warning from %llu KiB on): when there is no more room writes are refused",
		 path, free_bytes >> 10, least >> 10);
	r->low = true;
	r->said = free_bytes;
	__atomic_add_fetch(&d->room_warnings, 1, __ATOMIC_RELAXED);
}

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

void room_look(struct disk *d)
{
	u64 free_bytes, other, least, now = now_ms();

	if (d->room_ms && now - d->room_ms < LOOK_EVERY_MS)
		return;
	d->room_ms = now;
	if (look(d->log_dfd, d->p.room_warn_bytes, &free_bytes, &least))
		return;
	judge(d, &d->room[0], d->log_path, free_bytes, least);
	if (d->apart && !look(d->snap_dfd, d->p.room_warn_bytes, &other, &least)) {
		judge(d, &d->room[1], d->snap_path, other, least);
		if (other < free_bytes)
			free_bytes = other;
	}
	__atomic_store_n(&d->room_free, free_bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&d->room_low, d->room[0].low || d->room[1].low, __ATOMIC_RELAXED);
}

void room_stats(const struct disk *d, struct disk_stats *s)
{
	s->room_free = __atomic_load_n(&d->room_free, __ATOMIC_RELAXED);
	s->room_low = __atomic_load_n(&d->room_low, __ATOMIC_RELAXED);
	s->room_warnings = __atomic_load_n(&d->room_warnings, __ATOMIC_RELAXED);
}
