// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a program while something is held that can be lost. One thread: signals, the program's
 * end among them, interrupt what waits; one that comes just before the wait is seen SLICE_MS
 * later.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli.h"

#define SLICE_MS	1000
#define NOT_FOUND	127	/* as the shell has them */
#define NOT_RUN		126

static volatile sig_atomic_t passed_on;	/* the last signal, to be passed on */

static void on_signal(int sig)
{
	if (sig != SIGCHLD)
		passed_on = sig;
}

static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD };

static void catch(struct sigaction *before)
{
	struct sigaction sa = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof(caught) / sizeof(*caught); i++)
		sigaction(caught[i], &sa, &before[i]);
}

static void restore(const struct sigaction *before)
{
	for (size_t i = 0; i < sizeof(caught) / sizeof(*caught); i++)
		sigaction(caught[i], &before[i], NULL);
}

/* The child: never returns. */
static void become(char **argv, const char *name, uint64_t token, pid_t parent)
{
	char text[24];
	int err;

	snprintf(text, sizeof(text), "%llu", (unsigned long long)token);
	/* what is held is gone with us */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(NOT_RUN);
	if (!setenv(name, text, 1))
		execvp(argv[0], argv);
	err = errno;
	cli_error("%s: %s", argv[0], strerror(err));
	_exit(err == ENOENT ? NOT_FOUND : NOT_RUN);
}

/* As the shell tells it. */
static int status_of(int st)
{
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

int cli_run_while(struct cli *cli, char **argv, const char *name, uint64_t token,
		  int (*hold)(void *arg, int ms), void *arg)
{
	struct sigaction before[sizeof(caught) / sizeof(*caught)];
	pid_t self = getpid(), pid, ended;
	int err = 0, st;

	catch(before);
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		err = -errno;
		cli_error("fork: %s", strerror(errno));
		restore(before);
		return err;
	}
	if (!pid) {
		restore(before);
		become(argv, name, token, self);
	}
	while (!(ended = waitpid(pid, &st, WNOHANG)) && !err) {
		if (passed_on)
			kill(pid, passed_on);
		passed_on = 0;
		err = hold(arg, SLICE_MS);
		if (err == -EINTR)
			err = 0;
	}
	if (!ended) {
		kill(pid, SIGTERM);
		while ((ended = waitpid(pid, &st, 0)) < 0 && errno == EINTR) {
			if (passed_on)
				kill(pid, passed_on);
			passed_on = 0;
		}
	}
	restore(before);
	cli->status = ended == pid ? status_of(st) : EXIT_OTHER;
	return err;
}
