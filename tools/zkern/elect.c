// SPDX-License-Identifier: GPL-2.0-or-later
/* zkern elect: stands for election, and runs a program while it leads; or says who leads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

#define TOKEN	"ZKERN_ELECTION_TOKEN"

static struct {
	const char *id;
	uint32_t wait_ms;	/* 0: as long as it takes */
} opts;

static const struct option longs[] = {
	{ "id", required_argument, NULL, 'i' },
	{ "wait", required_argument, NULL, 'w' },
	{ NULL, 0, NULL, 0 }
};

static bool opt(int c, const char *arg)
{
	if (c == 'i') {
		opts.id = arg;
		return true;
	}
	return cli_seconds("-w", arg, &opts.wait_ms);
}

static int say_leader(struct cli *cli, const char *path)
{
	struct zkern_value v;
	int err = cli_open_reader(cli);
	json_t *o;

	if (err)
		return err;
	err = zkern_election_leader(cli->zk, path, &v);
	if (err)
		return cli_failed(cli, err);
	if (cli->json) {
		o = out_json(cli, path, &v.seen);
		if (o && out_json_data(o, v.data, v.len)) {
			json_decref(o);
			o = NULL;
		}
		if (o)
			json_object_set_new(o, "token", json_integer(v.stat.czxid));
		err = out_print_json(o);
	} else {
		out_escaped(stdout, v.data, v.len);
		putchar('\n');
	}
	zkern_value_free(&v);
	return err;
}

static int hold(void *arg, int ms)
{
	return zkern_election_hold(arg, ms);
}

/* Until we lead, or a signal comes. */
static int wait_for_it(struct cli *cli, struct zkern_election *e, const char *path)
{
	int err = zkern_election_wait(e, opts.wait_ms ? (int)opts.wait_ms : -1);

	if (err == 1)
		return 0;
	if (!err) {
		cli_error("%s: another one still leads after %g s", path, opts.wait_ms / 1e3);
		return -ETIMEDOUT;
	}
	return err == -EINTR && cli_stop ? err : cli_failed(cli, err);
}

static int lead(struct cli *cli, const char *path, char **argv)
{
	char host[256] = "", id[300];
	struct zkern_election *e;
	int err, left;

	cli_catch_signals();
	err = cli_open_writer(cli);
	if (err)
		return err;
	gethostname(host, sizeof(host) - 1);
	snprintf(id, sizeof(id), "%s:%d", host, (int)getpid());
	if (!opts.id)
		opts.id = id;
	err = zkern_election_join(cli->zk, path, opts.id, strlen(opts.id), &e);
	if (err)
		return cli_failed(cli, err);
	err = wait_for_it(cli, e, path);
	if (!err) {
		err = cli_run_while(cli, argv, TOKEN, zkern_election_token(e), hold, e);
		if (err)
			cli_error("%s: no longer the leader: %s", path, zkern_message(cli->zk));
	}
	if (err == -EINTR && cli_stop)
		cli->status = 128 + cli_stop;
	left = zkern_election_leave(e);
	if (left && !err)
		cli_error("%s: %s", path, zkern_message(cli->zk));
	return err ? err : left;
}

static int run(struct cli *cli, int argc, char **argv)
{
	return argc == 1 ? say_leader(cli, argv[0]) : lead(cli, argv[0], argv + 1);
}

const struct command cmd_elect = {
	.name = "elect",
	.args = "PATH [-- COMMAND [ARG...]]",
	.summary = "run a program while being the leader; or say who is",
	.help = "Stands for election at PATH and waits until it leads, then runs COMMAND, and\n"
		"gives leadership up when that ends. When leadership is lost before, COMMAND gets\n"
		"SIGTERM; others lead when the session has ended. " TOKEN " in its\n"
		"environment grows from leader to leader. Without COMMAND: prints the leader's id.\n"
		"Curator's LeaderLatch can stand at the same path.\n"
		"\n"
		"Exit code: COMMAND's, or 128 and the signal that ended it; 127 if there is none.\n"
		"Else, and if it never led, as all commands.\n"
		"\n"
		"Options:\n"
		"  -i, --id TEXT       what others read of us (HOST:PID)\n"
		"  -w, --wait SECONDS  how long to wait for it, else exit code 9 (for ever)\n"
		"\n"
		"Examples:\n"
		"  zkern elect /app/leader -- /usr/bin/app primary\n"
		"  zkern elect /app/leader\n",
	.shorts = "i:w:",
	.longs = longs,
	.opt = opt,
	.min_args = 1,
	.max_args = 1 << 20,
	.run = run,
};
