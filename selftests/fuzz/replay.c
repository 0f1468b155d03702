// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a fuzzer's target over files, each named on the command line, or all of a
 * folder: what libFuzzer's own main does with them, for compilers without it. Says
 * which one it runs, so that a crash has a name.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "selftests/fuzz/drive.h"

static int files;

static int run_file(const char *path)
{
	FILE *f = fopen(path, "re");
	size_t len = 0, cap = 0, n;
	u8 *b = NULL, *exact;

	if (!f) {
		perror(path);
		return 1;
	}
	do {
		cap = 2 * cap + 4096;
		b = realloc(b, cap);
		if (!b)
			abort();
		n = fread(b + len, 1, cap - len, f);
		len += n;
	} while (n);
	fclose(f);
	/* a block of the input's length: what reads behind it is caught */
	exact = malloc(len);
	if (len && !exact)
		abort();
	memcpy(exact ? exact : b, b, len);
	free(b);
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	files++;
	return 0;
}

static int run_dir(const char *path)
{
	struct dirent **list;
	int rc = 0, n = scandir(path, &list, NULL, alphasort);

	if (n < 0) {
		perror(path);
		return 1;
	}
	for (int i = 0; i < n; i++) {
		char *name;

		if (list[i]->d_name[0] != '.') {
			if (asprintf(&name, "%s/%s", path, list[i]->d_name) < 0)
				abort();
			rc |= run_file(name);
			free(name);
		}
		free(list[i]);
	}
	free(list);
	return rc;
}

int main(int argc, char **argv)
{
	struct stat st;
	int rc = 0;

	for (int i = 1; i < argc; i++) {
		if (!stat(argv[i], &st) && S_ISDIR(st.st_mode))
			rc |= run_dir(argv[i]);
		else
			rc |= run_file(argv[i]);
	}
	printf("%d files\n", files);
	return rc || !files;
}
