// SPDX-License-Identifier: GPL-2.0-or-later
/* zkern set: changes a znode's data. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

static struct {
	const char *file;
	int32_t version;
	bool null;
} opts = { .version = -1 };

enum { OPT_NULL = 1100 };

static const struct option longs[] = {
	{ "version-is", required_argument, NULL, 'v' },
	{ "file", required_argument, NULL, 'f' },
	{ "null", no_argument, NULL, OPT_NULL },
	{ NULL, 0, NULL, 0 }
};

static bool opt(int c, const char *arg)
{
	uint64_t n;

	switch (c) {
	case 'v':
		if (!cli_number("-v", arg, INT32_MAX, &n))
			return false;
		opts.version = n;
		return true;
	case 'f':
		opts.file = arg;
		return true;
	default:
		opts.null = true;
		return true;
	}
}

static int run(struct cli *cli, int argc, char **argv)
{
	size_t len = argc > 1 ? strlen(argv[1]) : 0;
	const char *data = argc > 1 ? argv[1] : NULL;
	struct zkern_value v;
	char *read = NULL;
	json_t *o;
	int err;

	if ((argc > 1) + !!opts.file + opts.null != 1) {
		cli_error("set: give the data once: DATA, --file or --null");
		return -EINVAL;
	}
	if (opts.file) {
		err = cli_read_file(opts.file, &read, &len);
		if (err)
			return err;
		data = read ? read : "";
	}
	err = cli_open_writer(cli);
	if (!err) {
		err = zkern_set(cli->zk, argv[0], data, len, opts.version, &v);
		if (err)
			cli_failed(cli, err);
	}
	free(read);
	if (err || !cli->json)
		return err;
	o = out_json(cli, argv[0], &v.seen);
	if (o && json_object_set_new(o, "stat", out_json_stat(&v.stat))) {
		json_decref(o);
		o = NULL;
	}
	return out_print_json(o);
}

const struct command cmd_set = {
	.name = "set",
	.args = "PATH DATA",
	.summary = "change a znode's data",
	.help = "Options:\n"
		"  -v, --version-is N  only if its version is N, else exit code 4\n"
		"  -f, --file FILE     take the data from a file (-: standard input)\n"
		"      --null          null data, which is not empty data\n"
		"\n"
		"Examples:\n"
		"  zkern set /app/db 'host=db2'\n"
		"  zkern set -v 3 /app/db 'host=db2' || echo somebody else changed it\n"
		"  zkern set /app/cert --file cert.pem\n",
	.shorts = "v:f:",
	.longs = longs,
	.opt = opt,
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
