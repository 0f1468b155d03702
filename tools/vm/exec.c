// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vm-exec: runs one command in the test VM and is to its caller as if it were
 * that command: its output, its errors, its exit status.
 *
 *   vm-exec -p PORT -k TOKENFILE [-q PID] [-w S] [-t S] [-i] -- CMD [ARG]...
 *
 *   -p  loopback port that is forwarded to vm-agent
 *   -k  file with the token
 *   -q  QEMU's process: its end is the end (checked first, so no waiting)
 *   -w  keep trying to reach the agent for S seconds (a booting VM)
 *   -t  give up after S seconds in all: status 124
 *   -i  pass on our standard input; otherwise the command's is empty
 *
 * Status 125: the VM could not be reached or went away.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <time.h>

#include "tools/vm/wire.h"

#define ST_TIMEOUT	124
#define ST_GONE		125

/*
 * How long one try waits for HELLO before it connects anew: a guest whose network
 * is not up yet swallows the first tries; a busy host needs longer ones.
 */
#define HELLO_MS	1000
#define HELLO_MAX_MS	10000
#define RETRY_MS	50

static char buf[VM_FRAME_MAX + 1];
static char token[VM_TOKEN_MAX];
static int port, pidfd = -1, forward_stdin;
static long long deadline;		/* ms of CLOCK_MONOTONIC; 0: none */

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void finish(int status, const char *why)
{
	if (why)
		fprintf(stderr, "vm-exec: %s\n", why);
	exit(status);
}

/* Milliseconds until @t, at most @cap; ends the program past the deadline. */
static int until(long long t, int cap)
{
	long long now = now_ms();

	if (deadline && now >= deadline)
		finish(ST_TIMEOUT, "timed out");
	if (deadline && (!t || deadline < t))
		t = deadline;
	if (!t)
		return cap;
	if (t < now)
		return 0;
	return cap >= 0 && t - now > cap ? cap : (int)(t - now);
}

static int try_connect(int hello_ms)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint32_t len = 0;

	if (fd < 0)
		finish(ST_GONE, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!connect(fd, (struct sockaddr *)&sin, sizeof(sin)) &&
	    !vm_send(fd, VM_TOKEN, token, strlen(token)) &&
	    poll(&p, 1, until(0, hello_ms)) == 1 &&
	    vm_recv(fd, buf, &len) == VM_HELLO)
		return fd;
	close(fd);
	return -1;
}

/* A connection that the agent has greeted; tries for @wait_s seconds. */
static int reach(int wait_s)
{
	long long end = now_ms() + wait_s * 1000LL;
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int fd, hello_ms = HELLO_MS;

	for (;;) {
		fd = try_connect(hello_ms);
		if (fd >= 0)
			return fd;
		if (hello_ms < HELLO_MAX_MS)
			hello_ms += HELLO_MS / 8;
		if (poll(&p, 1, until(0, RETRY_MS)) > 0)
			finish(ST_GONE, "the VM is not running");
		if (now_ms() >= end)
			finish(ST_GONE, "the VM does not answer");
	}
}

/* The next frame; a finished command ends the program with its status. */
static void on_frame(int fd)
{
	uint32_t len = 0, code;
	int err = 0;

	switch (vm_recv(fd, buf, &len)) {
	case VM_OUT:
		err = vm_write_all(1, buf, len);
		break;
	case VM_ERR:
		err = vm_write_all(2, buf, len);
		break;
	case VM_EXIT:
		memcpy(&code, buf, sizeof(code));
		finish(le32toh(code) & 255, NULL);
		break;
	default:
		finish(ST_GONE, "the VM went away");
	}
	if (err)	/* nobody reads us: end the command too */
		finish(128 + SIGPIPE, NULL);
}

static void on_stdin(int fd)
{
	static char in[VM_FRAME_MAX];
	ssize_t n = read(0, in, sizeof(in));

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		forward_stdin = 0;
		n = 0;
	}
	if (vm_send(fd, VM_STDIN, in, n))
		forward_stdin = 0;	/* the exit status is still to come */
}

static void relay(int fd)
{
	for (;;) {
		struct pollfd p[] = {
			{ .fd = fd, .events = POLLIN },
			{ .fd = forward_stdin ? 0 : -1, .events = POLLIN },
			{ .fd = pidfd, .events = POLLIN },
		};

		if (poll(p, 3, until(0, -1)) < 0 && errno != EINTR)
			finish(ST_GONE, strerror(errno));
		if (p[0].revents)
			on_frame(fd);
		else if (p[2].revents)
			finish(ST_GONE, "the VM went away");
		if (p[1].revents)
			on_stdin(fd);
	}
}

static void load_token(const char *path)
{
	FILE *f = fopen(path, "re");

	if (!f || !fgets(token, sizeof(token), f))
		finish(ST_GONE, "cannot read the token");
	token[strcspn(token, "\n")] = '\0';
	fclose(f);
}

static void bad_usage(void)
{
	fprintf(stderr, "vm-exec: wrong arguments\n");
	exit(2);
}

int main(int argc, char **argv)
{
	const char *key = NULL;
	int opt, fd, i, wait_s = 5, pid = 0;

	while ((opt = getopt(argc, argv, "+p:k:q:w:t:i")) != -1) {
		switch (opt) {
		case 'p':
			port = atoi(optarg);
			break;
		case 'k':
			key = optarg;
			break;
		case 'q':
			pid = atoi(optarg);
			break;
		case 'w':
			wait_s = atoi(optarg);
			break;
		case 't':
			if (atoi(optarg) > 0)
				deadline = now_ms() + atoi(optarg) * 1000LL;
			break;
		case 'i':
			forward_stdin = 1;
			break;
		default:
			bad_usage();
		}
	}
	if (!port || !key || optind == argc || argc - optind > VM_ARGS_MAX)
		bad_usage();
	signal(SIGPIPE, SIG_IGN);
	load_token(key);
	if (pid) {
		pidfd = pidfd_open(pid, 0);
		if (pidfd < 0)
			finish(ST_GONE, "the VM is not running");
	}
	fd = reach(wait_s);
	for (i = optind; i < argc; i++)
		if (strlen(argv[i]) > VM_FRAME_MAX || vm_send(fd, VM_ARG, argv[i], strlen(argv[i])))
			finish(ST_GONE, "cannot send the command");
	vm_send(fd, VM_GO, "", 0);
	if (!forward_stdin)
		vm_send(fd, VM_STDIN, "", 0);
	relay(fd);
}
