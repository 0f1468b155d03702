// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vm-agent PORT TOKENFILE: process 1 of the test VM once /init has set it up.
 *
 * It listens on PORT and runs one command per connection (see wire.h) as root,
 * each in a session of its own. The listening process only forks and, by
 * ignoring SIGCHLD, reaps; a worker owns its connection and its command.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tools/vm/wire.h"

#define LINGER_MS	10000	/* for the host to close */

/* One command: its descriptors on our side, -1 once closed. */
struct cmd {
	int conn;
	int sigfd;
	int in, out, err;
	pid_t pid;
	int status;		/* of waitpid(), once @done */
	int done;
	char pend[VM_FRAME_MAX + 1];	/* stdin not yet taken by the command */
	uint32_t pend_len, pend_off;
};

static char token[VM_TOKEN_MAX];

static void die(const char *what)
{
	fprintf(stderr, "vm-agent: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Compares without a hint of where the difference is. */
static int token_ok(const char *got, uint32_t len)
{
	unsigned char diff = len != strlen(token);
	size_t i;

	for (i = 0; token[i]; i++)
		diff |= token[i] ^ (i < len ? got[i] : 0);
	return !diff;
}

/* Frames up to GO: the arguments, NULL-terminated, and the environment. */
static char **read_command(int conn)
{
	static char buf[VM_FRAME_MAX + 1];
	char **argv = calloc(VM_ARGS_MAX + 1, sizeof(*argv));
	uint32_t len = 0;
	int argc = 0, type;

	if (!argv || vm_recv(conn, buf, &len) != VM_TOKEN || !token_ok(buf, len))
		return NULL;
	if (vm_send(conn, VM_HELLO, "", 0))
		return NULL;
	while ((type = vm_recv(conn, buf, &len)) != VM_GO) {
		if (type == VM_ARG && argc < VM_ARGS_MAX)
			argv[argc] = strdup(buf);
		else if (type == VM_ENV)
			putenv(strdup(buf));
		else
			return NULL;
		if (type == VM_ARG && !argv[argc++])
			return NULL;
	}
	return argc ? argv : NULL;
}

static void child(char **argv, int in, int out, int err)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	execvp(argv[0], argv);
	dprintf(2, "vm: %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void spawn(struct cmd *c, char **argv)
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		die("pipe");
	c->pid = fork();
	if (c->pid < 0)
		die("fork");
	if (!c->pid)
		child(argv, in[0], out[1], err[1]);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	c->in = in[1];
	c->out = out[0];
	c->err = err[0];
	fcntl(c->in, F_SETFL, O_NONBLOCK);
	fcntl(c->out, F_SETFL, O_NONBLOCK);
	fcntl(c->err, F_SETFL, O_NONBLOCK);
}

/* Passes on what is there. Closes at the end of it. True if there was some. */
static int relay(struct cmd *c, int *fd, int type)
{
	static char buf[VM_FRAME_MAX];
	ssize_t n;

	if (*fd < 0)
		return 0;
	n = read(*fd, buf, sizeof(buf));
	if (n > 0) {
		if (vm_send(c->conn, type, buf, n)) {
			kill(-c->pid, SIGKILL);
			exit(1);
		}
		return 1;
	}
	if (!n || errno != EAGAIN) {
		close(*fd);
		*fd = -1;
	}
	return 0;
}

/* The next frame of stdin; a host that is gone ends the command. */
static void read_stdin(struct cmd *c)
{
	if (vm_recv(c->conn, c->pend, &c->pend_len) != VM_STDIN) {
		kill(-c->pid, SIGKILL);
		exit(1);
	}
	c->pend_off = c->in < 0 ? c->pend_len : 0;
	if (!c->pend_len && c->in >= 0) {
		close(c->in);
		c->in = -1;
	}
}

static void write_stdin(struct cmd *c)
{
	ssize_t n;

	n = write(c->in, c->pend + c->pend_off, c->pend_len - c->pend_off);
	if (n > 0) {
		c->pend_off += n;
	} else if (errno != EAGAIN) {	/* it does not want the rest */
		close(c->in);
		c->in = -1;
		c->pend_off = c->pend_len;
	}
}

/* The worker forks once, but inherits orphans of nobody: one child to wait for. */
static void reap(struct cmd *c)
{
	struct signalfd_siginfo si;

	if (read(c->sigfd, &si, sizeof(si)) < 0)
		return;
	if (waitpid(c->pid, &c->status, WNOHANG) == c->pid)
		c->done = 1;
}

/* A close with input unread is a reset, and that may overtake what was sent last. */
static void linger(int conn)
{
	static char rest[VM_FRAME_MAX];
	struct pollfd p = { .fd = conn, .events = POLLIN };

	shutdown(conn, SHUT_WR);
	while (poll(&p, 1, LINGER_MS) == 1 && read(conn, rest, sizeof(rest)) > 0)
		;
}

static void serve(struct cmd *c)
{
	uint32_t code;

	while (!c->done) {
		int pending = c->pend_off < c->pend_len;
		struct pollfd p[] = {
			{ .fd = pending ? -1 : c->conn, .events = POLLIN },
			{ .fd = c->sigfd, .events = POLLIN },
			{ .fd = c->out, .events = POLLIN },
			{ .fd = c->err, .events = POLLIN },
			{ .fd = pending ? c->in : -1, .events = POLLOUT },
		};

		if (poll(p, 5, -1) < 0 && errno != EINTR)
			die("poll");
		if (p[2].revents)
			relay(c, &c->out, VM_OUT);
		if (p[3].revents)
			relay(c, &c->err, VM_ERR);
		if (p[4].revents)
			write_stdin(c);
		if (p[0].revents)
			read_stdin(c);
		if (p[1].revents)
			reap(c);
	}
	/* What it left in the pipes; its background children may keep them. */
	while (relay(c, &c->out, VM_OUT) || relay(c, &c->err, VM_ERR))
		;
	code = htole32(WIFEXITED(c->status) ? WEXITSTATUS(c->status) :
		       128 + WTERMSIG(c->status));
	vm_send(c->conn, VM_EXIT, &code, sizeof(code));
	linger(c->conn);
}

static void worker(int conn)
{
	static struct cmd c;
	char **argv;
	sigset_t set;
	int one = 1;

	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	argv = read_command(conn);
	if (!argv)
		exit(1);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	c.conn = conn;
	c.sigfd = signalfd(-1, &set, SFD_CLOEXEC);
	spawn(&c, argv);
	serve(&c);
	exit(0);
}

static void load_token(const char *path)
{
	FILE *f = fopen(path, "re");

	if (!f || !fgets(token, sizeof(token), f))
		die(path);
	token[strcspn(token, "\n")] = '\0';
	fclose(f);
}

int main(int argc, char **argv)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd, conn, one = 1;

	if (argc != 3) {
		fprintf(stderr, "usage: vm-agent PORT TOKENFILE\n");
		return 2;
	}
	load_token(argv[2]);
	signal(SIGCHLD, SIG_IGN);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	sin.sin_port = htons(atoi(argv[1]));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) || listen(fd, 64))
		die("listen");
	for (;;) {
		conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (conn < 0)
			continue;
		if (!fork()) {
			close(fd);
			worker(conn);
		}
		close(conn);
	}
}
