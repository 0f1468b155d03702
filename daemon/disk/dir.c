// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The data directory itself: made, locked, listed, purged; the epoch files.
 *
 * The lock is flock() on dataDir/zkernd.lock (and dataLogDir's): the kernel
 * drops it when its holder ends, however that happens.
 */
#include <linux/types.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/disk/internal.h"

#define LOCK_NAME	"zkernd.lock"
#define VERSION_DIR	"version-2"
#define SNAP_TMP	".snapshot."	/* a snapshot while it is written */

int disk_why(char *why, size_t why_len, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (why && why_len)
		vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return err;
}

/* ---------------------------------------------------------------- listing */

/* Takes "<hex>" off @s; a leading zero apart, as Long.toHexString writes it. */
static bool parse_hex(const char **s, u64 *v)
{
	int digits = 0;
	u64 x = 0;

	for (; digits < 17; digits++, (*s)++) {
		char c = **s;

		if (c >= '0' && c <= '9')
			x = x << 4 | (c - '0');
		else if (c >= 'a' && c <= 'f')
			x = x << 4 | (c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			x = x << 4 | (c - 'A' + 10);
		else
			break;
	}
	*v = x;
	return digits > 0 && digits <= 16;
}

static bool parse_name(const char *name, const char *prefix, bool packed,
		       struct disk_file *f)
{
	size_t n = strlen(prefix);
	const char *s = name + n + 1;

	if (strncmp(name, prefix, n) || name[n] != '.' || strlen(name) >= sizeof(f->name))
		return false;
	if (!parse_hex(&s, &f->zxid))
		return false;
	if (!pack_by_ending(s, &f->how) || (f->how != FILE_PLAIN && !packed))
		return false;
	strcpy(f->name, name);
	return true;
}

static int by_zxid(const void *a, const void *b)
{
	const struct disk_file *x = a, *y = b;

	if (x->zxid != y->zxid)
		return x->zxid < y->zxid ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* A stream over a directory that leaves @dfd alone. */
static DIR *open_dir(int dfd)
{
	int fd = openat(dfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir;

	if (fd < 0)
		return NULL;
	dir = fdopendir(fd);
	if (!dir)
		close(fd);
	return dir;
}

int disk_list(int dfd, const char *prefix, bool packed, struct disk_file **files, u32 *n)
{
	struct disk_file *list = NULL, *bigger, f;
	struct dirent *e;
	u32 cap = 0;
	int rc = 0;
	DIR *dir;

	*files = NULL;
	*n = 0;
	dir = open_dir(dfd);
	if (!dir)
		return -errno;
	for (;;) {
		errno = 0;
		e = readdir(dir);
		if (!e) {
			rc = -errno;
			break;
		}
		if (!parse_name(e->d_name, prefix, packed, &f))
			continue;
		if (*n == cap) {
			cap = cap ? cap * 2 : 16;
			bigger = realloc(list, cap * sizeof(*list));
			if (!bigger) {
				rc = -ENOMEM;
				break;
			}
			list = bigger;
		}
		list[(*n)++] = f;
	}
	closedir(dir);
	if (rc) {
		free(list);
		*n = 0;
		return rc;
	}
	if (*n)
		qsort(list, *n, sizeof(*list), by_zxid);
	*files = list;
	return 0;
}

bool disk_snapshot_plausible(int dfd, const struct disk_file *f)
{
	static const u8 end[5] = { 0, 0, 0, 1, '/' };
	int fd = openat(dfd, f->name, O_RDONLY | O_CLOEXEC);
	bool ok = false;
	u8 b[5];
	off_t size;

	if (fd < 0)
		return false;
	size = lseek(fd, 0, SEEK_END);
	switch (f->how) {
	case FILE_PLAIN:
		ok = size >= 10 && pread(fd, b, 5, size - 5) == 5 && !memcmp(b, end, 5);
		break;
	case FILE_GZIP:
		ok = pread(fd, b, 2, 0) == 2 && b[0] == 0x1f && b[1] == 0x8b;
		break;
	case FILE_SNAPPY:
		ok = pread(fd, b, 5, 0) == 5 && b[0] == 0x82 && !memcmp(b + 1, "SNAP", 4);
		break;
	}
	close(fd);
	return ok;
}

/* ---------------------------------------------------------------- open, close */

/* mkdir(), durable: its parent's entry is on the disk. */
static int make_dir(char *path)
{
	char *slash = strrchr(path, '/');
	int fd, rc = 0;

	if (mkdir(path, 0755))
		return errno == EEXIST ? 0 : -errno;
	if (slash && slash > path)
		*slash = '\0';
	fd = open(!slash ? "." : slash > path ? path : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (slash && slash > path)
		*slash = '/';
	if (fd < 0 || fsync(fd))
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* mkdir -p. */
static int make_dirs(const char *path)
{
	char *copy = strdup(path);
	int rc = 0;
	char *s;

	if (!copy)
		return -ENOMEM;
	for (s = copy + 1; *s; s++) {
		if (*s != '/')
			continue;
		*s = '\0';
		rc = make_dir(copy);
		*s = '/';
		if (rc)
			break;
	}
	if (!rc)
		rc = make_dir(copy);
	free(copy);
	return rc;
}

static int lock_dir(const char *dir, int *fd, char *why, size_t why_len)
{
	char path[PATH_MAX];
	int rc;

	if ((size_t)snprintf(path, sizeof(path), "%s/" LOCK_NAME, dir) >= sizeof(path))
		return disk_why(why, why_len, -ENAMETOOLONG, "%s: the path is too long", dir);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (*fd < 0) {
		rc = -errno;
		return disk_why(why, why_len, rc, "cannot write to data directory %s: %s", dir,
				strerror(-rc));
	}
	if (flock(*fd, LOCK_EX | LOCK_NB)) {
		rc = -errno;
		close(*fd);
		*fd = -1;
		if (rc == -EWOULDBLOCK)
			return disk_why(why, why_len, -EBUSY,
					"data directory %s is in use by another zkernd", dir);
		return disk_why(why, why_len, rc, "cannot lock %s: %s", path, strerror(-rc));
	}
	return 0;
}

/* Makes @dir/version-2 and opens it. */
static int open_version(const char *dir, char **path, int *dfd, char *why, size_t why_len)
{
	int rc;

	if (asprintf(path, "%s/" VERSION_DIR, dir) < 0) {
		*path = NULL;
		return disk_why(why, why_len, -ENOMEM, "out of memory");
	}
	rc = make_dirs(*path);
	if (rc)
		return disk_why(why, why_len, rc, "cannot make data directory %s: %s", *path,
				strerror(-rc));
	*dfd = open(*path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*dfd < 0) {
		rc = -errno;
		return disk_why(why, why_len, rc, "cannot open data directory %s: %s", *path,
				strerror(-rc));
	}
	if (faccessat(*dfd, ".", R_OK | W_OK | X_OK, AT_EACCESS)) {
		rc = -errno;
		return disk_why(why, why_len, rc, "cannot write to data directory %s: %s", *path,
				strerror(-rc));
	}
	return 0;
}

/* FileTxnSnapLog.checkLogDir, checkSnapDir: two directories, not mixed up. */
static int check_kinds(struct disk *d, char *why, size_t why_len)
{
	struct disk_file *f;
	u32 n;
	int rc;

	rc = disk_list(d->log_dfd, "snapshot", true, &f, &n);
	free(f);
	if (!rc && n)
		return disk_why(why, why_len, -EINVAL,
				"log directory %s has snapshots: are dataDir and dataLogDir right?",
				d->log_path);
	if (!rc) {
		rc = disk_list(d->snap_dfd, "log", false, &f, &n);
		free(f);
		if (!rc && n)
			return disk_why(why, why_len, -EINVAL,
					"data directory %s has logs: are dataDir and dataLogDir right?",
					d->snap_path);
	}
	return rc ? disk_why(why, why_len, rc, "cannot list %s: %s", d->snap_path,
			     strerror(-rc)) : 0;
}

/* What a crash left of a snapshot that was being written. */
static void drop_leftovers(struct disk *d)
{
	DIR *dir = open_dir(d->snap_dfd);
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		if (!strncmp(e->d_name, SNAP_TMP, strlen(SNAP_TMP)))
			unlinkat(d->snap_dfd, e->d_name, 0);
	}
	closedir(dir);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int disk_open(const struct disk_params *p, struct disk **out, char *why, size_t why_len)
{
	const char *log_dir = p->log_dir ? p->log_dir : p->data_dir;
	struct disk *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return disk_why(why, why_len, -ENOMEM, "out of memory");
	d->p = *p;
	d->snap_dfd = -1;
	d->log_dfd = -1;
	d->lock_fd[0] = -1;
	d->lock_fd[1] = -1;
	d->p.data_dir = strdup(p->data_dir);
	d->p.log_dir = strdup(log_dir);
	rc = -ENOMEM;
	if (!d->p.data_dir || !d->p.log_dir) {
		disk_why(why, why_len, rc, "out of memory");
		goto err;
	}
	rc = open_version(d->p.data_dir, &d->snap_path, &d->snap_dfd, why, why_len);
	if (!rc)
		rc = open_version(d->p.log_dir, &d->log_path, &d->log_dfd, why, why_len);
	if (!rc)
		rc = lock_dir(d->p.data_dir, &d->lock_fd[0], why, why_len);
	d->apart = !rc && !same_file(d->snap_dfd, d->log_dfd);
	if (d->apart) {
		rc = lock_dir(d->p.log_dir, &d->lock_fd[1], why, why_len);
		if (!rc)
			rc = check_kinds(d, why, why_len);
	}
	if (rc)
		goto err;
	drop_leftovers(d);
	rc = logw_new(d, &d->log);
	if (!rc)
		rc = snapw_new(d, &d->snap);
	if (rc) {
		disk_why(why, why_len, rc, "out of memory");
		goto err;
	}
	*out = d;
	return 0;
err:
	disk_close(d);
	return rc;
}

int disk_open_files(const char *dir, u64 max_txn_bytes, struct disk **out, char *why,
		    size_t why_len)
{
	struct disk *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return disk_why(why, why_len, -ENOMEM, "out of memory");
	d->p.max_txn_bytes = max_txn_bytes;
	d->lock_fd[0] = -1;
	d->lock_fd[1] = -1;
	d->log_dfd = -1;
	d->snap_path = strdup(dir);
	d->log_path = strdup(dir);
	d->snap_dfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = -errno;
	if (d->snap_dfd >= 0) {
		d->log_dfd = fcntl(d->snap_dfd, F_DUPFD_CLOEXEC, 0);
		rc = d->log_dfd < 0 ? -errno : 0;
	}
	if (!rc && (!d->snap_path || !d->log_path))
		rc = -ENOMEM;
	if (rc) {
		disk_why(why, why_len, rc, "cannot open %s: %s", dir, strerror(-rc));
		disk_close(d);
		return rc;
	}
	*out = d;
	return 0;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Ends the snapshot thread, then the log thread with what is queued written. */
void disk_close(struct disk *d)
{
	if (!d)
		return;
	if (d->snap)
		snapw_free(d->snap);
	if (d->log)
		logw_free(d->log);
	close_fd(d->lock_fd[0]);
	close_fd(d->lock_fd[1]);
	close_fd(d->snap_dfd);
	close_fd(d->log_dfd);
	free(d->snap_path);
	free(d->log_path);
	free((char *)d->p.data_dir);
	free((char *)d->p.log_dir);
	free(d);
}

int disk_snapshot(struct disk *d, struct store *st, const struct disk_session *s,
		  u32 n_sessions)
{
	int rc = snapw_start(d->snap, st, s, n_sessions);

	if (!rc)
		logw_roll(d->log);
	return rc;
}

void disk_snapshot_last(struct disk *d, struct store *st, const struct disk_session *s,
			u32 n_sessions)
{
	char why[512];

	snapw_wait(d->snap);
	if (snapw_zxid(d->snap) != store_zxid(st) &&
	    snapw_write_now(d->snap, st, s, n_sessions, why, sizeof(why)))
		log_error("%s", why);
}

void disk_flush(struct disk *d)
{
	logw_flush(d->log);
	snapw_wait(d->snap);
}

void disk_count_acks(struct disk *d, bool yes)
{
	if (d)
		__atomic_store_n(&d->count_acks, yes, __ATOMIC_RELAXED);
}

void disk_stats(struct disk *d, struct disk_stats *s)
{
	memset(s, 0, sizeof(*s));
	if (!d)
		return;
	logw_stats(d->log, s);
	snapw_stats(d->snap, s);
	room_stats(d, s);
}

/* ---------------------------------------------------------------- small files */

static int write_all(int fd, const char *p, size_t n)
{
	ssize_t w;

	for (; n; p += w, n -= w) {
		w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			w = 0;
		else if (w < 0)
			return -errno;
	}
	return 0;
}

int disk_write_atomic(int dfd, const char *name, const void *bytes, size_t len)
{
	char tmp[NAME_MAX];
	int fd, rc;

	if ((size_t)snprintf(tmp, sizeof(tmp), ".%s.tmp", name) >= sizeof(tmp))
		return -ENAMETOOLONG;
	fd = openat(dfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, bytes, len);
	if (!rc && fsync(fd))
		rc = -errno;
	if (close(fd) && !rc)
		rc = -errno;
	if (!rc && renameat(dfd, tmp, dfd, name))
		rc = -errno;
	if (rc)
		unlinkat(dfd, tmp, 0);
	else if (fsync(dfd))
		rc = -errno;
	return rc;
}

int disk_epoch_read(struct disk *d, const char *name, u64 *epoch)
{
	char b[32], *end;
	ssize_t n;
	int fd;

	fd = openat(d->snap_dfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, b, sizeof(b) - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	b[n] = '\0';
	b[strcspn(b, "\r\n")] = '\0';
	errno = 0;
	*epoch = strtoull(b, &end, 10);
	if (b[0] >= '0' && b[0] <= '9' && !*end && !errno)
		return 0;
	log_error("%s/%s: damaged at offset %td: not a number", d->snap_path, name,
		  b[0] >= '0' && b[0] <= '9' ? end - b : 0);
	return -EBADMSG;
}

int disk_epoch_write(struct disk *d, const char *name, u64 epoch)
{
	char b[32];
	int n = snprintf(b, sizeof(b), "%llu", epoch);

	return disk_write_atomic(d->snap_dfd, name, b, n);
}

/* ---------------------------------------------------------------- purge */

static int remove_below(int dfd, const char *dir, const struct disk_file *f, u32 n, u64 zxid)
{
	int rc = 0;
	u32 i;

	for (i = 0; i < n && f[i].zxid < zxid; i++) {
		if (unlinkat(dfd, f[i].name, 0)) {
			rc = -errno;
			log_warn("cannot remove %s/%s: %s", dir, f[i].name, strerror(-rc));
		} else {
			log_info("removed %s/%s", dir, f[i].name);
		}
	}
	return rc;
}

/*
 * PurgeTxnLog.purge: the oldest snapshot kept is the bound; of the logs, the last
 * one that begins at or before it is still needed.
 */
int disk_purge(struct disk *d, int keep)
{
	struct disk_file *snaps = NULL, *logs = NULL;
	u32 n_snaps, n_logs, i;
	u64 least = 0, log_least = 0;
	int rc, rc2, left = keep;

	if (keep < 3)
		return -EINVAL;
	rc = disk_list(d->snap_dfd, "snapshot", true, &snaps, &n_snaps);
	if (rc)
		return rc;
	rc = disk_list(d->log_dfd, "log", false, &logs, &n_logs);
	if (rc)
		goto out;
	for (i = n_snaps; i-- > 0 && left > 0; ) {
		if (disk_snapshot_plausible(d->snap_dfd, &snaps[i])) {
			least = snaps[i].zxid;
			left--;
		}
	}
	if (left == keep)
		goto out;
	for (i = 0; i < n_logs && logs[i].zxid <= least; i++)
		log_least = logs[i].zxid;
	rc = remove_below(d->snap_dfd, d->snap_path, snaps, n_snaps, least);
	rc2 = remove_below(d->log_dfd, d->log_path, logs, n_logs, log_least);
	if (!rc)
		rc = rc2;
out:
	free(snaps);
	free(logs);
	return rc;
}
