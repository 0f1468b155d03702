// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zkern: finds the command, reads its options and those that all have, runs it,
 * and turns what came of it into the exit code.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

#define DEFAULT_TIMEOUT_MS	10000
#define MAX_LONGS		32

volatile sig_atomic_t cli_stop;

static const struct command *const commands[] = {
	&cmd_get, &cmd_ls, &cmd_stat, &cmd_create, &cmd_set, &cmd_delete, &cmd_watch,
	&cmd_dump, &cmd_status, &cmd_instance, &cmd_log, &cmd_snapshot, &cmd_elect,
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

enum { OPT_DEVICE = 2000, OPT_TCP, OPT_NETLINK, OPT_JSON, OPT_AUTH, OPT_TIMEOUT, OPT_VERSION };

static const struct option global_longs[] = {
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "tcp", required_argument, NULL, OPT_TCP },
	{ "netlink", no_argument, NULL, OPT_NETLINK },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "auth", required_argument, NULL, OPT_AUTH },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 }
};

static const char global_help[] =
	"Options of all commands:\n"
	"  --device N|PATH     read /dev/zkernN\n"
	"  --tcp HOST:PORT     talk to a server (several: HOST:PORT,HOST:PORT)\n"
	"  --netlink           read by generic netlink (with --device N: that instance)\n"
	"  --json              print JSON\n"
	"  --auth digest:USER:PASSWORD\n"
	"                      who to be for the server (may be repeated)\n"
	"  --timeout SECONDS   how long to wait for an answer (10)\n"
	"  -h, --help          this, or a command's own help\n"
	"      --version\n"
	"\n"
	"Without --device, --netlink and --tcp, all goes over the first device /dev/zkernN\n"
	"if there is one and no --auth is given, else over TCP to " DEFAULT_TCP ".\n";

static const char exit_help[] =
	"Exit codes:\n"
	"  0  done\n"
	"  1  wrong usage or malformed path\n"
	"  2  no such znode\n"
	"  3  permission denied, or authentication failed\n"
	"  4  the version is not the one expected\n"
	"  5  the znode already exists\n"
	"  6  the znode has children\n"
	"  7  the tree is not as fresh as asked\n"
	"  8  no connection, no device, or the session was lost\n"
	"  9  no answer in time\n"
	" 10  not offered the way it was asked for (device, netlink, TCP)\n"
	" 11  anything else\n"
	" 12  a file is damaged: a log, a snapshot, JSON lines to make one of\n";

void cli_error(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("zkern: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int cli_failed(struct cli *cli, int err)
{
	const char *msg = zkern_message(cli->zk);

	cli_error("%s", *msg ? msg : zkern_strerror(err));
	return err;
}

static int exit_code(int err)
{
	switch (err) {
	case 0:
		return EXIT_OK;
	case -EINVAL:
		return EXIT_USAGE;
	case -ENOENT:
		return EXIT_NO_NODE;
	case -EACCES:
	case -EPERM:
	case -EKEYREJECTED:
		return EXIT_NO_AUTH;
	case -EBADE:
		return EXIT_BAD_VERSION;
	case -EEXIST:
		return EXIT_NODE_EXISTS;
	case -ENOTEMPTY:
		return EXIT_NOT_EMPTY;
	case -ESTALE:
	case -ENOTCONN:
		return EXIT_STALE;
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -ECONNABORTED:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
	case -EPROTO:
	case -ENODEV:
	case -ESHUTDOWN:
		return EXIT_CONNECTION;
	case -ETIMEDOUT:
		return EXIT_TIMEOUT;
	case -EOPNOTSUPP:
		return EXIT_NOT_OFFERED;
	case -EBADMSG:
		return EXIT_DAMAGED;
	default:
		return EXIT_OTHER;
	}
}

bool cli_number(const char *what, const char *arg, uint64_t max, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = strtoull(arg, &end, 0);
	if (!isdigit((unsigned char)*arg) || *end || errno || *n > max) {
		cli_error("%s '%s': not a number from 0 to %llu", what, arg,
			  (unsigned long long)max);
		return false;
	}
	return true;
}

bool cli_seconds(const char *what, const char *arg, uint32_t *ms)
{
	char *end;
	double s = strtod(arg, &end);

	if (end == arg || *end || !isfinite(s) || s <= 0 || s > 1e6) {
		cli_error("%s '%s': not a number of seconds", what, arg);
		return false;
	}
	*ms = s * 1000 < 1 ? 1 : (uint32_t)(s * 1000);
	return true;
}

static void on_signal(int sig)
{
	cli_stop = sig;
}

void cli_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

int cli_read_file(const char *name, char **data, size_t *len)
{
	bool std = !strcmp(name, "-");
	FILE *f = std ? stdin : fopen(name, "r");
	size_t cap = 0, n;
	int err = 0;

	*data = NULL;
	*len = 0;
	if (!f)
		goto fail;
	do {
		if (*len == cap) {
			char *b = realloc(*data, cap = cap ? cap * 2 : 4096);

			if (!b)
				goto fail;
			*data = b;
		}
		n = fread(*data + *len, 1, cap - *len, f);
		*len += n;
	} while (n);
	if (ferror(f))
		goto fail;
	if (!std)
		fclose(f);
	return 0;
fail:
	err = -errno;
	cli_error("%s: %s", std ? "standard input" : name, strerror(errno));
	if (f && !std)
		fclose(f);
	free(*data);
	*data = NULL;
	/* The file's ENOENT is no znode's. */
	return err == -ENOENT || err == -EACCES ? -EINVAL : err;
}

static void print_help(FILE *f)
{
	size_t i;

	fputs("zkern: read and write a ZooKeeper tree, over a device or TCP\n"
	      "\n"
	      "Usage: zkern [OPTION...] COMMAND [ARG...]\n"
	      "\n"
	      "Commands:\n", f);
	for (i = 0; i < N_COMMANDS; i++)
		fprintf(f, "  %-10s%s\n", commands[i]->name, commands[i]->summary);
	fputs("  help      zkern help COMMAND: how to use it; zkern help exit: exit codes\n"
	      "\n", f);
	fputs(global_help, f);
	fputs("\n"
	      "Examples:\n"
	      "  zkern create /app/db -p 'host=db1'     make a znode and its parents\n"
	      "  zkern get /app/db                      its data\n"
	      "  zkern ls -R /app                       what is below\n"
	      "  zkern watch -r /app                    changes as they come\n"
	      "  zkern status                           what serves here, and its state\n", f);
}

static void print_command_help(FILE *f, const struct command *cmd)
{
	fprintf(f, "zkern %s: %s\n\nUsage: zkern %s [OPTION...]%s%s\n\n%s\n%s", cmd->name,
		cmd->summary, cmd->name, *cmd->args ? " " : "", cmd->args, cmd->help,
		global_help);
}

static const struct command *find(const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int help(int argc, char **argv)
{
	const struct command *cmd;

	if (!argc) {
		print_help(stdout);
		return EXIT_OK;
	}
	if (!strcmp(argv[0], "exit")) {
		fputs(exit_help, stdout);
		return EXIT_OK;
	}
	cmd = find(argv[0]);
	if (!cmd) {
		cli_error("no command '%s'; see zkern --help", argv[0]);
		return EXIT_USAGE;
	}
	print_command_help(stdout, cmd);
	return EXIT_OK;
}

/* An option that all commands have: 1 taken, 0 not one of them, -1 wrong. */
static int global_opt(struct cli *cli, int c, char *arg)
{
	switch (c) {
	case OPT_DEVICE:
		cli->device = arg;
		return 1;
	case OPT_TCP:
		cli->tcp = arg;
		return 1;
	case OPT_NETLINK:
		cli->netlink = true;
		return 1;
	case OPT_JSON:
		cli->json = true;
		return 1;
	case OPT_AUTH:
		if (!strchr(arg, ':') || arg[0] == ':') {
			cli_error("--auth: not SCHEME:CREDENTIALS (digest:USER:PASSWORD)");
			return -1;
		}
		if (cli->n_auth == (int)(sizeof(cli->auth) / sizeof(cli->auth[0]))) {
			cli_error("--auth: given too often");
			return -1;
		}
		cli->auth[cli->n_auth++] = arg;
		return 1;
	case OPT_TIMEOUT:
		return cli_seconds("--timeout", arg, &cli->timeout_ms) ? 1 : -1;
	default:
		return 0;
	}
}

/* -1: go on; else the exit code. @cmd NULL: the options before the command. */
static int parse(struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	struct option longs[MAX_LONGS + sizeof(global_longs) / sizeof(global_longs[0])];
	char shorts[64];
	int n = 0, c, r;

	while (cmd && cmd->longs && cmd->longs[n].name && n < MAX_LONGS) {
		longs[n] = cmd->longs[n];
		n++;
	}
	memcpy(longs + n, global_longs, sizeof(global_longs));
	snprintf(shorts, sizeof(shorts), "%s:h%s", cmd ? "" : "+",
		 cmd && cmd->shorts ? cmd->shorts : "");
	opterr = 0;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == 'h') {
			if (cmd)
				print_command_help(stdout, cmd);
			else
				print_help(stdout);
			return EXIT_OK;
		}
		if (c == OPT_VERSION) {
			printf("zkern, interface version %d\n", ZKERN_API_VERSION);
			return EXIT_OK;
		}
		if (c == '?' || c == ':') {
			cli_error("option '%s': %s; see zkern %s%s", argv[optind - 1],
				  c == ':' ? "needs a value" : "not known, or takes no value",
				  cmd ? "help " : "--help", cmd ? cmd->name : "");
			return EXIT_USAGE;
		}
		r = global_opt(cli, c, optarg);
		if (r < 0 || (!r && !cmd->opt(c, optarg)))
			return EXIT_USAGE;
	}
	return -1;
}

static int run(struct cli *cli, const struct command *cmd, int argc, char **argv)
{
	int err;

	if (argc < cmd->min_args || argc > cmd->max_args) {
		cli_error("%s: %s; usage: zkern %s [OPTION...] %s", cmd->name,
			  argc < cmd->min_args ? "something is missing" : "too many arguments",
			  cmd->name, cmd->args);
		return EXIT_USAGE;
	}
	if (cli->n_auth && (cli->device || cli->netlink) && !cli->tcp) {
		cli_error("--auth is for TCP: over a device and netlink the kernel knows who "
			  "you are");
		return EXIT_USAGE;
	}
	err = cmd->run(cli, argc, argv);
	zkern_close(cli->zk);
	if (fflush(stdout) || ferror(stdout)) {
		cli_error("standard output: %s", strerror(errno));
		return EXIT_OTHER;
	}
	return cli->status >= 0 ? cli->status : exit_code(err);
}

int main(int argc, char **argv)
{
	struct cli cli = { .timeout_ms = DEFAULT_TIMEOUT_MS, .status = -1 };
	const struct command *cmd;
	int code;

	code = parse(&cli, NULL, argc, argv);
	if (code >= 0)
		return code;
	if (optind == argc) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	argv += optind;
	argc -= optind;
	if (!strcmp(argv[0], "help"))
		return help(argc - 1, argv + 1);
	cmd = find(argv[0]);
	if (!cmd) {
		cli_error("no command '%s'; see zkern --help", argv[0]);
		return EXIT_USAGE;
	}
	optind = 0;	/* glibc: begin anew */
	code = parse(&cli, cmd, argc, argv);
	if (code >= 0)
		return code;
	return run(&cli, cmd, argc - optind, argv + optind);
}
