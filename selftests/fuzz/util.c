// SPDX-License-Identifier: GPL-2.0-or-later
/* What all targets share. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "selftests/fuzz/drive.h"

static char *dir;

void fuzz_fail(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static int rm(const char *path, const struct stat *sb, int flag, struct FTW *ftw)
{
	(void)sb;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void remove_dir(void)
{
	nftw(dir, rm, 8, FTW_DEPTH | FTW_PHYS);
	free(dir);
}

const char *fuzz_dir(void)
{
	const char *top = getenv("TMPDIR");

	if (asprintf(&dir, "%s/zkern-fuzz-XXXXXX", top ? top : "/tmp") < 0 || !mkdtemp(dir))
		fuzz_fail("cannot make a directory");
	atexit(remove_dir);
	return dir;
}
