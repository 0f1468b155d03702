/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The zkern command: what its files share. main.c reads the options that all
 * commands have and finds the command; each command is one file with one struct
 * command; conn.c opens the way to the tree; out.c prints.
 *
 * One thread. A command's run() returns a negative errno after it has said what
 * was wrong (cli_error()), or 0; main turns that into the exit code (cli_exit()).
 */
#ifndef ZKERN_CLI_H
#define ZKERN_CLI_H

#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "zkern.h"

#define DEFAULT_TCP	"127.0.0.1:2181"

/* Exit codes; told in `zkern help exit` and zkern(1). */
enum {
	EXIT_OK = 0,
	EXIT_USAGE = 1,
	EXIT_NO_NODE = 2,
	EXIT_NO_AUTH = 3,
	EXIT_BAD_VERSION = 4,
	EXIT_NODE_EXISTS = 5,
	EXIT_NOT_EMPTY = 6,
	EXIT_STALE = 7,
	EXIT_CONNECTION = 8,
	EXIT_TIMEOUT = 9,
	EXIT_NOT_OFFERED = 10,
	EXIT_OTHER = 11,
	EXIT_DAMAGED = 12,
};

/* The options that every command has. */
struct cli {
	const char *device;	/* --device as given, or NULL */
	const char *tcp;	/* --tcp as given, or NULL */
	bool netlink;
	bool json;
	const char *auth[16];	/* "scheme:credentials" */
	int n_auth;
	uint32_t timeout_ms;
	struct zkern *zk;	/* open way, closed by main */
	int status;		/* of a program that was run: what main exits with; -1: none */
};

struct command {
	const char *name;
	const char *args;	/* "PATH", for the usage line */
	const char *summary;	/* one line */
	const char *help;	/* options and examples */
	const char *shorts;	/* getopt's */
	const struct option *longs;
	/* Takes option @c; false: its argument is wrong, and that was said. */
	bool (*opt)(int c, const char *arg);
	int min_args;
	int max_args;
	int (*run)(struct cli *cli, int argc, char **argv);
};

extern const struct command cmd_get;
extern const struct command cmd_ls;
extern const struct command cmd_stat;
extern const struct command cmd_create;
extern const struct command cmd_set;
extern const struct command cmd_delete;
extern const struct command cmd_watch;
extern const struct command cmd_dump;
extern const struct command cmd_log;
extern const struct command cmd_snapshot;
extern const struct command cmd_status;
extern const struct command cmd_instance;
extern const struct command cmd_elect;

/* ------------------------------------------------------------ main.c */

/* "zkern: text" on standard error. */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The handle's message on standard error; returns @err. */
int cli_failed(struct cli *cli, int err);
/* Numbers from the command line; false after having said what was wrong. */
bool cli_number(const char *what, const char *arg, uint64_t max, uint64_t *n);
bool cli_seconds(const char *what, const char *arg, uint32_t *ms);
/* Makes SIGINT and SIGTERM interrupt what waits and set cli_stop to their number. */
void cli_catch_signals(void);
extern volatile sig_atomic_t cli_stop;
/* All of a file (or of standard input for "-"); free(3) it. 0 or negative errno. */
int cli_read_file(const char *name, char **data, size_t *len);

/* ------------------------------------------------------------ conn.c */

/* Opens the way to read, write or watch by, into cli->zk. */
int cli_open_reader(struct cli *cli);
int cli_open_writer(struct cli *cli);
int cli_open_watcher(struct cli *cli);
/* The number in --device, 0 if there is none; false: not a number or device. */
bool cli_instance(const struct cli *cli, uint32_t *n);
/* The first /dev/zkernN there is: false if none. */
bool cli_find_device(char *path, size_t len);

/* ------------------------------------------------------------ run.c */

/*
 * Runs a program as long as @hold() says 0 and the program has not ended; that gets SIGTERM
 * when it does not, and our own SIGINT, SIGTERM and SIGHUP. @name=@token is in its environment.
 * @hold: waits @ms at most, returns an errno if what is held is not held any more; -EINTR is
 * none. Sets cli->status. 0, or what @hold() said, or -errno of what could not be begun.
 */
int cli_run_while(struct cli *cli, char **argv, const char *name, uint64_t token,
		  int (*hold)(void *arg, int ms), void *arg);

/* ------------------------------------------------------------ fresh.c */

/* --min-zxid, --max-age, --linearizable: shared by the reading commands. */
#define FRESH_LONGS						\
	{ "min-zxid", required_argument, NULL, OPT_MIN_ZXID },	\
	{ "max-age", required_argument, NULL, OPT_MAX_AGE },	\
	{ "linearizable", no_argument, NULL, OPT_LINEARIZABLE }
#define FRESH_HELP								\
	"  --min-zxid Z    wait until the tree has reached zxid Z (device)\n"	\
	"  --max-age SEC   fail with 7 if a quorum was last heard from longer ago (device)\n" \
	"  --linearizable  see every write that anybody was told is done (device)\n"
enum { OPT_MIN_ZXID = 1000, OPT_MAX_AGE, OPT_LINEARIZABLE };
bool fresh_opt(int c, const char *arg, struct zkern_want *want);
/* The options are read: how long what they want may be waited for. */
void fresh_timeout(const struct cli *cli, struct zkern_want *want);

/* ------------------------------------------------------------ out.c */

/* Adds "data" and "encoding" ("utf-8", "base64"), null data as null. */
int out_json_data(json_t *o, const void *data, size_t len);
json_t *out_json_stat(const struct zkern_stat *st);
/* An object with path, zxid, state, age_ms and via; @seen may be NULL. */
json_t *out_json(struct cli *cli, const char *path, const struct zkern_seen *seen);
/* Prints an object on one line, flushes, and drops it. NULL: memory was short. */
int out_print_json(json_t *o);
/* The stat and where it was read, one "name value" a line. */
void out_stat(FILE *f, struct cli *cli, const struct zkern_stat *st,
	      const struct zkern_seen *seen);
const char *out_via(struct cli *cli);
/* "2026-01-31T12:00:00.123Z" */
const char *out_time(int64_t ms, char buf[32]);
/* Data as one field of a line: \t \n \r \\ and \xHH escaped; null as "\0". */
void out_escaped(FILE *f, const void *data, size_t len);

#endif
