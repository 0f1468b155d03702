// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zkern dump: a subtree at one zxid, as lines to read or, with --json, as JSON lines
 * with every field. Over a device or netlink: a ZooKeeper server has no such read.
 */
#include <errno.h>
#include <string.h>
#include "cli.h"

static bool no_opt(int c, const char *arg)
{
	(void)c;
	(void)arg;
	return false;
}

struct dump {
	struct cli *cli;
	struct zkern_seen *seen;
	bool begun;
};

static int print_line(void *arg, const struct zkern_record *rec)
{
	struct dump *d = arg;

	if (!d->begun)
		printf("# zxid 0x%llx\n", (unsigned long long)rec->zxid);
	d->begun = true;
	fputs(rec->path, stdout);
	putchar('\t');
	if (rec->left_out)
		printf("\\?\t# %s", rec->left_out == ZKERN_LEFT_HIDDEN ?
		       "not readable" : "too long for netlink");
	else
		out_escaped(stdout, rec->data, rec->len);
	putchar('\n');
	return 0;
}

static int print_json(void *arg, const struct zkern_record *rec)
{
	struct dump *d = arg;
	struct zkern_seen seen = *d->seen;
	json_t *o;
	int err;

	seen.zxid = rec->zxid;
	o = out_json(d->cli, rec->path, &seen);
	err = !o || json_object_set_new(o, "stat", out_json_stat(&rec->stat));
	if (!err && rec->left_out)
		err = json_object_set_new(o, "left_out",
					  json_string(rec->left_out == ZKERN_LEFT_HIDDEN ?
						      "not readable" : "too long"));
	else if (!err)
		err = out_json_data(o, rec->data, rec->len);
	if (!err)
		err = json_dumpf(o, stdout, JSON_COMPACT);
	json_decref(o);
	if (err) {
		cli_error("out of memory");
		return -ENOMEM;
	}
	putchar('\n');
	return ferror(stdout) ? -EPIPE : 0;
}

static int dump(struct cli *cli, const char *path)
{
	struct zkern_seen seen;
	struct dump d = { .cli = cli, .seen = &seen };
	int err;

	err = cli_open_reader(cli);
	if (err)
		return err;
	err = zkern_dump(cli->zk, path, cli->json ? print_json : print_line, &d, &seen);
	return err && err != -ENOMEM && err != -EPIPE ? cli_failed(cli, err) : err;
}

static int run_dump(struct cli *cli, int argc, char **argv)
{
	return dump(cli, argc ? argv[0] : "/");
}

const struct command cmd_dump = {
	.name = "dump",
	.args = "[PATH]",
	.summary = "print a subtree, all of it as of one zxid",
	.help = "PATH is / if left out. First a line '# zxid 0x...', then one a znode: its path,\n"
		"a tab, its data with \\n, \\t, \\r, \\\\ and \\xHH written out; \\0 is null data,\n"
		"\\? data that may not be read. A parent comes before its children. Needs a\n"
		"device or --netlink.\n"
		"\n"
		"Examples:\n"
		"  zkern dump /app\n"
		"  zkern dump --json /app | jq -r '[.path,.data]|@tsv'\n"
		"  zkern dump --json / | gzip >tree.jsonl.gz\n",
	.shorts = "",
	.opt = no_opt,
	.min_args = 0,
	.max_args = 1,
	.run = run_dump,
};
