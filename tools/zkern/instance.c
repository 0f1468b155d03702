// SPDX-License-Identifier: GPL-2.0-or-later
/* zkern instance: lists, makes and removes instances, by generic netlink. */
#include <errno.h>
#include <string.h>
#include "cli.h"

static struct {
	uint64_t uid;
	bool force;
} opts = { .uid = ~0U };

static const struct option longs[] = {
	{ "owner", required_argument, NULL, 'o' },
	{ "force", no_argument, NULL, 'f' },
	{ NULL, 0, NULL, 0 }
};

static bool opt(int c, const char *arg)
{
	if (c == 'o')
		return cli_number("--owner", arg, UINT32_MAX - 1, &opts.uid);
	opts.force = true;
	return true;
}

static int print(void *arg, const struct zkern_info *i)
{
	struct cli *cli = arg;
	int len = strnlen((const char *)i->label, sizeof(i->label));

	if (cli->json)
		return out_print_json(json_pack("{si ss sI si ss%}", "instance", i->instance,
						"state", zkern_state_name(i->state),
						"zxid", (json_int_t)i->zxid,
						"owner_pid", i->owner_pid,
						"label", (const char *)i->label, (size_t)len));
	printf("%u\t%s\t0x%llx\t%.*s\n", i->instance, zkern_state_name(i->state),
	       (unsigned long long)i->zxid, len, i->label);
	return 0;
}

static int list(struct cli *cli)
{
	int err = zkern_instance_each(cli->zk, print, cli);

	return err && err != -ENOMEM ? cli_failed(cli, err) : err;
}

static int make(struct cli *cli, uint32_t id)
{
	int err = zkern_instance_new(cli->zk, &id, opts.uid);

	if (err)
		return cli_failed(cli, err);
	if (cli->json)
		return out_print_json(json_pack("{si}", "instance", id));
	printf("%u\n", id);
	return 0;
}

static int run(struct cli *cli, int argc, char **argv)
{
	const char *verb = argc ? argv[0] : "list";
	uint64_t id = ~0U;
	char why[512];
	int err;

	if (argc > 1 && !cli_number("instance", argv[1], ZKERN_MAX_INSTANCES - 1, &id))
		return -EINVAL;
	if (strcmp(verb, "list") && strcmp(verb, "new") && strcmp(verb, "del")) {
		cli_error("instance: '%s' is none of list, new, del", verb);
		return -EINVAL;
	}
	if (!strcmp(verb, "del") && argc < 2) {
		cli_error("instance del: which one? see zkern instance list");
		return -EINVAL;
	}
	err = zkern_open_netlink(0, &cli->zk, why, sizeof(why));
	if (err) {
		cli_error("%s", why);
		return err;
	}
	if (!strcmp(verb, "list"))
		return list(cli);
	if (!strcmp(verb, "new"))
		return make(cli, id);
	err = zkern_instance_del(cli->zk, id, opts.force);
	return err ? cli_failed(cli, err) : 0;
}

const struct command cmd_instance = {
	.name = "instance",
	.args = "[list | new [N] | del N]",
	.summary = "list, make and remove trees in this kernel",
	.help = "  list     one line each: number, state, zxid, what its owner calls itself\n"
		"  new [N]  make instance N, or the first free one; prints its number (root)\n"
		"  del N    remove it and its tree (root)\n"
		"\n"
		"Options:\n"
		"      --owner UID  new: this user may own it, besides root\n"
		"      --force      del: although a daemon owns it\n"
		"\n"
		"Examples:\n"
		"  zkern instance new\n"
		"  zkern instance new 3 --owner \"$(id -u zkern)\"\n"
		"  zkern instance del 3\n",
	.shorts = "",
	.longs = longs,
	.opt = opt,
	.min_args = 0,
	.max_args = 2,
	.run = run,
};
