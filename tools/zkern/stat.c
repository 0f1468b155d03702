// SPDX-License-Identifier: GPL-2.0-or-later
/* zkern stat: a znode's stat, without its data. */
#include "cli.h"

static struct zkern_want want;

static const struct option longs[] = {
	FRESH_LONGS,
	{ NULL, 0, NULL, 0 }
};

static bool opt(int c, const char *arg)
{
	return fresh_opt(c, arg, &want);
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct zkern_value v;
	json_t *o;
	int err;

	(void)argc;
	err = cli_open_reader(cli);
	if (err)
		return err;
	fresh_timeout(cli, &want);
	err = zkern_exists(cli->zk, argv[0], &want, &v);
	if (err)
		return cli_failed(cli, err);
	if (!cli->json) {
		out_stat(stdout, cli, &v.stat, &v.seen);
		return 0;
	}
	o = out_json(cli, argv[0], &v.seen);
	if (o && json_object_set_new(o, "stat", out_json_stat(&v.stat))) {
		json_decref(o);
		o = NULL;
	}
	return out_print_json(o);
}

const struct command cmd_stat = {
	.name = "stat",
	.args = "PATH",
	.summary = "print a znode's stat; tells by exit code 2 that it is not there",
	.help = "Options:\n"
		FRESH_HELP
		"\n"
		"Examples:\n"
		"  zkern stat /app/db\n"
		"  zkern stat /app/leader >/dev/null && echo there is one\n",
	.shorts = "",
	.longs = longs,
	.opt = opt,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
