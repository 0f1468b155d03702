// SPDX-License-Identifier: GPL-2.0-or-later
/* See files.h. One store serves all inputs: each recovery swaps its tree in. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/disk/disk.h"
#include "selftests/fuzz/drive.h"
#include "selftests/fuzz/files.h"

static const char *dir;
static char sub[256];
static struct store *st;

static void empty(void)
{
	DIR *d = opendir(sub);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
}

static void start(void)
{
	const struct store_params sp = { .kind = "memory", .label = "fuzz" };
	const char *why;

	if (st)
		return;
	log_set_level(getenv("FUZZ_LOG") ? LOG_DEBUG : LOG_ERROR);
	store_thread_init();
	dir = fuzz_dir();
	if (store_open(&sp, &st, &why))
		fuzz_fail("cannot start");
	snprintf(sub, sizeof(sub), "%s/version-2", dir);
	mkdir(sub, 0700);
}

static void write_file(const char *name, const void *bytes, size_t len)
{
	char path[sizeof(sub) + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", sub, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		fuzz_fail("cannot write");
	close(fd);
}

static int count(void *arg, const struct store_rec *rec)
{
	u64 *n = arg;

	if (!rec->path_len || rec->path[0] != '/')
		fuzz_fail("a node with a wrong path");
	(*n)++;
	return 0;
}

/* Every node that the tree counts can be walked to. */
static void check_tree(void)
{
	u64 zxid, digest, nodes, n = 0;
	struct store_snap *snap;

	if (st->ops->snap_open(st, &snap, &zxid, &digest, &nodes))
		fuzz_fail("no picture of the tree");
	if (st->ops->snap_each(snap, "/", 1, count, &n) || n != nodes)
		fuzz_fail("the tree is not whole");
	st->ops->snap_close(snap);
}

void files_recover(const char *name, const void *bytes, size_t len, bool trust_empty)
{
	struct disk_params p = {
		.prealloc_bytes = 64 * 1024, .max_txn_bytes = 1 << 30,
		.trust_empty = trust_empty,
	};
	struct disk_recovery rec = { 0 };
	char why[512] = "";
	struct disk *d;

	start();
	empty();
	write_file(name, bytes, len);
	p.data_dir = dir;
	p.log_dir = dir;
	if (disk_open(&p, &d, why, sizeof(why)))
		fuzz_fail("cannot open the directory");
	if (!disk_recover(d, st, &rec, why, sizeof(why)))
		check_tree();
	else if (!why[0])
		fuzz_fail("refused without a word");
	free(rec.sessions);
	disk_close(d);
}
