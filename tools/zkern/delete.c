// SPDX-License-Identifier: GPL-2.0-or-later
/* zkern delete: removes a znode, or with -r all below it too. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

#define MAX_DEPTH	4096

static struct {
	int32_t version;
	bool recursive;
} opts = { .version = -1 };

static const struct option longs[] = {
	{ "recursive", no_argument, NULL, 'r' },
	{ "version-is", required_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 }
};

static bool opt(int c, const char *arg)
{
	uint64_t n;

	if (c == 'r') {
		opts.recursive = true;
		return true;
	}
	if (!cli_number("-v", arg, INT32_MAX, &n))
		return false;
	opts.version = n;
	return true;
}

/* Children first. What goes meanwhile, or comes, is no error until the end. */
static int delete_all(struct cli *cli, const char *path, int depth)
{
	struct zkern_children c;
	char *child;
	size_t i;
	int err;

	if (depth > MAX_DEPTH) {
		cli_error("%.200s...: deeper than %d", path, MAX_DEPTH);
		return -ELOOP;
	}
	err = zkern_children(cli->zk, path, NULL, &c);
	if (err == -ENOENT && depth)
		return 0;
	if (err)
		return cli_failed(cli, err);
	for (i = 0; !err && i < c.count; i++) {
		if (asprintf(&child, "%s/%s", path, c.name[i]) < 0) {
			cli_error("out of memory");
			err = -ENOMEM;
			break;
		}
		err = delete_all(cli, child, depth + 1);
		free(child);
	}
	zkern_children_free(&c);
	if (err)
		return err;
	err = zkern_delete(cli->zk, path, depth ? -1 : opts.version);
	if (err == -ENOENT && depth)
		return 0;
	return err ? cli_failed(cli, err) : 0;
}

static int run(struct cli *cli, int argc, char **argv)
{
	int err;

	(void)argc;
	if (!strcmp(argv[0], "/")) {
		cli_error("/: the root cannot be deleted");
		return -EINVAL;
	}
	err = cli_open_writer(cli);
	if (err)
		return err;
	if (opts.recursive) {
		err = delete_all(cli, argv[0], 0);
	} else {
		err = zkern_delete(cli->zk, argv[0], opts.version);
		if (err)
			cli_failed(cli, err);
	}
	return err || !cli->json ? err : out_print_json(out_json(cli, argv[0], NULL));
}

const struct command cmd_delete = {
	.name = "delete",
	.args = "PATH",
	.summary = "remove a znode",
	.help = "Options:\n"
		"  -r, --recursive     all below it first\n"
		"  -v, --version-is N  only if its version is N, else exit code 4\n"
		"\n"
		"Examples:\n"
		"  zkern delete /app/db\n"
		"  zkern delete -r /app\n",
	.shorts = "rv:",
	.longs = longs,
	.opt = opt,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
