// SPDX-License-Identifier: GPL-2.0-or-later
/* ctl CASES: the tests; ctl --props FILE: the entries of a properties file. */
#include <ftw.h>
#include <stdarg.h>
#include <unistd.h>

#include "selftests/ctl/ctl.h"

#include "daemon/base/log.h"

static int count, failed;
static char dir[64];

bool tap_ok(bool good, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (!good) {
		failed++;
		printf("# %s:%d\n", file, line);
	}
	fflush(stdout);
	return good;
}

static int rm_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void rm_dir(void)
{
	nftw(dir, rm_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *temp_dir(void)
{
	const char *base = getenv("TMPDIR");

	if (!dir[0]) {
		snprintf(dir, sizeof(dir), "%s/zkern-ctl-XXXXXX", base ? base : "/tmp");
		need(mkdtemp(dir));
		atexit(rm_dir);
	}
	return dir;
}

void write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	need(f && fwrite(text, 1, len, f) == len && !fclose(f));
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--props"))
		return print_props(argv[2]);
	need(argc == 2);
	log_set_level(LOG_ERROR);
	test_props(argv[1]);
	test_config();
	test_members();
	test_sink();
	printf("1..%d\n", count);
	return failed ? 1 : 0;
}
