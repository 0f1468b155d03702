// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The end of what is on disk cut off, as a leader wants it of a server that has what
 * was never agreed on (FileTxnLog.truncate, FileTxnSnapLog.truncateLog).
 *
 * Whatever has transactions behind the cut goes: snapshots first, then logs, the
 * newest of each first; so a crash between leaves files that lead somewhere without
 * a gap. The log that has the last one to stay is cut there.
 */
#include <linux/types.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/disk/internal.h"

/* Where the first record after @zxid begins in the file @name; *@last: the zxid of the
 * last one before. The size of what is valid if there is none. */
static int find_cut(struct disk *d, const char *name, u64 zxid, u64 *last, u64 *at)
{
	struct logr *lr;
	const u8 *bytes;
	char why[512];
	u64 pos, z;
	u32 len;
	int rc;

	*last = 0;
	*at = FILE_HEADER_LEN;
	rc = logr_open_file(d, name, &lr, why, sizeof(why));
	if (rc)
		goto out;
	while ((rc = logr_next_raw(lr, &bytes, &len, &pos, why, sizeof(why))) == 1) {
		if (txn_peek_zxid(bytes, len, &z))
			continue;	/* of no transaction: the reader says so at start */
		if (z > zxid)
			break;
		*last = z;
		*at = pos + RECORD_HEAD + len + 1;
	}
	logr_close(lr);
out:
	if (rc < 0)
		log_error("%s", why);
	return rc < 0 ? rc : 0;
}

static int cut_file(struct disk *d, const char *name, u64 at)
{
	int fd, rc = 0;

	if (at <= FILE_HEADER_LEN)
		return unlinkat(d->log_dfd, name, 0) ? -errno : 0;
	fd = openat(d->log_dfd, name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, at) || fdatasync(fd))
		rc = -errno;
	close(fd);
	return rc;
}

/* Removes the files of the sorted list that begin after @zxid, the last one first. */
static int remove_after(int dfd, const struct disk_file *f, u32 n, u64 zxid, u32 *left)
{
	while (n && f[n - 1].zxid > zxid) {
		if (unlinkat(dfd, f[n - 1].name, 0) && errno != ENOENT)
			return -errno;
		/* one after the other, so that none stays whose forerunner is gone */
		if (fsync(dfd))
			return -errno;
		n--;
	}
	*left = n;
	return 0;
}

int cut_after(struct disk *d, u64 zxid)
{
	struct disk_file *snaps = NULL, *logs = NULL;
	u32 n_snaps, n_logs;
	u64 last, at;
	int rc;

	rc = disk_list(d->snap_dfd, "snapshot", true, &snaps, &n_snaps);
	if (!rc)
		rc = disk_list(d->log_dfd, "log", false, &logs, &n_logs);
	if (!rc)
		rc = remove_after(d->snap_dfd, snaps, n_snaps, zxid, &n_snaps);
	if (!rc)
		rc = remove_after(d->log_dfd, logs, n_logs, zxid, &n_logs);
	if (!rc && n_logs) {
		rc = find_cut(d, logs[n_logs - 1].name, zxid, &last, &at);
		if (!rc)
			rc = cut_file(d, logs[n_logs - 1].name, at);
		if (!rc && fsync(d->log_dfd))
			rc = -errno;
	}
	snapw_found(d->snap, n_snaps ? snaps[n_snaps - 1].zxid : ~0ULL);
	free(snaps);
	free(logs);
	return rc;
}

/* Whether @zxid is the end of something that is there: a record, a snapshot, or the
 * begin of an epoch, which is no transaction. */
static int has_zxid(struct disk *d, u64 zxid)
{
	struct disk_file *f;
	u64 last, at;
	u32 n, i;
	int rc;

	rc = disk_list(d->snap_dfd, "snapshot", true, &f, &n);
	if (rc)
		return rc;
	for (i = 0; i < n && f[i].zxid != zxid; i++)
		;
	free(f);
	if (i < n || !(u32)zxid)
		return 0;
	rc = disk_list(d->log_dfd, "log", false, &f, &n);
	if (rc)
		return rc;
	while (n && f[n - 1].zxid > zxid)
		n--;
	rc = n ? find_cut(d, f[n - 1].name, zxid, &last, &at) : -ENOENT;
	free(f);
	if (rc)
		return rc;
	return last == zxid ? 0 : -ENOENT;
}

int disk_truncate(struct disk *d, u64 zxid, char *why, size_t why_len)
{
	int rc;

	disk_flush(d);
	rc = has_zxid(d, zxid);
	if (rc == -ENOENT)
		return disk_why(why, why_len, rc,
				"the leader wants all after 0x%llx forgotten, but this is not in %s",
				zxid, d->log_path);
	if (!rc)
		rc = cut_after(d, zxid);
	logw_roll(d->log);
	if (rc)
		return disk_why(why, why_len, rc, "cannot cut the logs in %s after 0x%llx: %s",
				d->log_path, zxid, strerror(-rc));
	log_info("cut all after 0x%llx off %s", zxid, d->log_path);
	return 0;
}
