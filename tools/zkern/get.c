// SPDX-License-Identifier: GPL-2.0-or-later
/* zkern get: a znode's data, as it is. */
#include <errno.h>
#include <string.h>
#include "cli.h"

static struct {
	struct zkern_want want;
	bool stat;
} opts;

static const struct option longs[] = {
	{ "stat", no_argument, NULL, 'v' },
	FRESH_LONGS,
	{ NULL, 0, NULL, 0 }
};

static bool opt(int c, const char *arg)
{
	if (c != 'v')
		return fresh_opt(c, arg, &opts.want);
	opts.stat = true;
	return true;
}

static int print(struct cli *cli, const char *path, const struct zkern_value *v)
{
	json_t *o;

	if (!cli->json) {
		fwrite(v->data ? v->data : "", 1, v->len, stdout);
		if (!opts.stat)
			return 0;
		if (v->len && ((char *)v->data)[v->len - 1] != '\n')
			putchar('\n');
		out_stat(stdout, cli, &v->stat, &v->seen);
		return 0;
	}
	o = out_json(cli, path, &v->seen);
	if (o && (out_json_data(o, v->data, v->len) ||
		  json_object_set_new(o, "stat", out_json_stat(&v->stat)))) {
		json_decref(o);
		o = NULL;
	}
	return out_print_json(o);
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct zkern_value v;
	int err;

	(void)argc;
	err = cli_open_reader(cli);
	if (err)
		return err;
	fresh_timeout(cli, &opts.want);
	err = zkern_get(cli->zk, argv[0], &opts.want, &v);
	if (err)
		return cli_failed(cli, err);
	err = print(cli, argv[0], &v);
	zkern_value_free(&v);
	return err;
}

const struct command cmd_get = {
	.name = "get",
	.args = "PATH",
	.summary = "print a znode's data",
	.help = "The data is printed as it is, with nothing added.\n"
		"\n"
		"Options:\n"
		"  -v, --stat      print the stat and the zxid of the answer after it\n"
		FRESH_HELP
		"\n"
		"Examples:\n"
		"  zkern get /app/db\n"
		"  zkern get --json /app/db | jq -r .data\n"
		"  zkern --tcp db1:2181 get /app/db\n",
	.shorts = "v",
	.longs = longs,
	.opt = opt,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
