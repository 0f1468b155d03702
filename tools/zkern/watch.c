// SPDX-License-Identifier: GPL-2.0-or-later
/* zkern watch: prints what happens to a znode, or to a subtree, as it happens. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

static struct {
	uint64_t events;	/* 0: no end */
	bool recursive;
} opts;

static const struct option longs[] = {
	{ "recursive", no_argument, NULL, 'r' },
	{ "events", required_argument, NULL, 'n' },
	{ NULL, 0, NULL, 0 }
};

static bool opt(int c, const char *arg)
{
	if (c == 'r') {
		opts.recursive = true;
		return true;
	}
	return cli_number("-n", arg, UINT64_MAX, &opts.events);
}

static const char *what(enum zkern_event_type type)
{
	switch (type) {
	case ZKERN_EVENT_CREATED:
		return "created";
	case ZKERN_EVENT_DELETED:
		return "deleted";
	case ZKERN_EVENT_CHANGED:
		return "changed";
	case ZKERN_EVENT_CHILDREN:
		return "children";
	case ZKERN_EVENT_OVERFLOW:
		return "overflow";
	default:
		return "session";
	}
}

static int print(struct cli *cli, const struct zkern_event *ev)
{
	json_t *o;

	if (!cli->json) {
		printf("%s%s%s\n", what(ev->type), ev->path[0] ? " " : "", ev->path);
		fflush(stdout);
		return 0;
	}
	o = json_pack("{ss ss ss}", "event", what(ev->type), "path", ev->path, "via",
		      out_via(cli));
	if (o && ev->zxid)
		json_object_set_new(o, "zxid", json_integer(ev->zxid));
	return out_print_json(o);
}

/* Watches of a device outlive the server: what changes meanwhile is told. */
static void print_session(struct cli *cli, int state)
{
	bool device = zkern_via(cli->zk) == ZKERN_VIA_DEVICE;

	if (state == ZKERN_SESSION_DISCONNECTED)
		cli_error(device ? "the server is gone or has no quorum" :
				   "connection lost, connecting again; events may be missed");
	else if (state == ZKERN_SESSION_CONNECTED)
		cli_error(device ? "the server is back" : "connected again");
}

static int run(struct cli *cli, int argc, char **argv)
{
	struct zkern_event ev;
	uint64_t seen = 0;
	int n, err;

	(void)argc;
	cli_catch_signals();
	err = cli_open_watcher(cli);
	if (err)
		return err;
	err = zkern_add_watch(cli->zk, argv[0], opts.recursive);
	if (err)
		return cli_failed(cli, err);
	cli_error("watching %s", argv[0]);
	while (!err && !cli_stop && (!opts.events || seen < opts.events)) {
		n = zkern_next_event(cli->zk, -1, &ev);
		if (n == -EINTR || n == 0)
			continue;
		if (n < 0)
			return cli_failed(cli, n);
		if (ev.type == ZKERN_EVENT_SESSION) {
			print_session(cli, ev.state);
		} else {
			err = print(cli, &ev);
			seen++;
		}
		zkern_event_free(&ev);
	}
	return err;
}

const struct command cmd_watch = {
	.name = "watch",
	.args = "PATH",
	.summary = "print changes of a znode as they come",
	.help = "One line an event: created, deleted, changed (the data) or children (the list\n"
		"of them), then the path. The znode need not exist yet. Ends with Ctrl-C. Over\n"
		"the device 'overflow' tells that more came than could be kept. Over TCP lost\n"
		"connections are made anew; that is told on standard error.\n"
		"\n"
		"Options:\n"
		"  -r, --recursive  all below it too (then without 'children' events)\n"
		"  -n, --events N   end after so many\n"
		"\n"
		"Examples:\n"
		"  zkern watch /app/db\n"
		"  zkern watch -r /app --json | jq -r .path\n"
		"  zkern watch -n 1 /app/go && ./start\n",
	.shorts = "rn:",
	.longs = longs,
	.opt = opt,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
