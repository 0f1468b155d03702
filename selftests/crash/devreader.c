// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads a znode from a device without pause, whatever its daemon is doing:
 *
 *   devreader DEVICE PATH [PAUSE_US]
 *
 * Prints "ready" after the first read, then reads, with that pause between two if
 * one is asked for, until SIGTERM, then prints
 * "reads N opens N states MASK longest_us N" and ends with 0. Any read that fails
 * is the end, with status 1 and a message; so is a zxid that goes backwards, and
 * data that is not the decimal number of the version it came with (whoever writes
 * the node sees to that).
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/zkern.h>

/* Reads through one file before another is opened, as a new program would. */
#define READS_PER_OPEN	1000

static volatile sig_atomic_t ended;

static void on_term(int sig)
{
	(void)sig;
	ended = 1;
}

static void die(const char *what, unsigned long long n)
{
	fprintf(stderr, "devreader: %s: %s (read %llu)\n", what, strerror(errno), n);
	exit(1);
}

static unsigned long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

/* One read; gives the instance's state. */
static unsigned int read_once(int fd, const char *path, unsigned long long *zxid,
			      unsigned long long nth)
{
	char data[64];
	struct zkern_get g = {
		.size = sizeof(g),
		.path = (unsigned long)path,
		.path_len = strlen(path),
		.buf = (unsigned long)data,
		.buf_len = sizeof(data) - 1,
	};

	if (ioctl(fd, ZKERN_GET, &g))
		die("ZKERN_GET", nth);
	if (g.len >= sizeof(data)) {
		errno = EMSGSIZE;
		die("more data than asked for", nth);
	}
	data[g.len] = '\0';
	if (!g.len || atoi(data) != g.stat.version) {
		fprintf(stderr, "devreader: \"%s\" with version %d (read %llu)\n", data,
			g.stat.version, nth);
		exit(1);
	}
	if (g.zxid < *zxid) {
		fprintf(stderr, "devreader: zxid 0x%llx after 0x%llx (read %llu)\n",
			(unsigned long long)g.zxid, *zxid, nth);
		exit(1);
	}
	*zxid = g.zxid;
	return g.state;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_term };
	unsigned long long reads = 0, opens = 0, longest = 0, zxid = 0, t, took;
	unsigned int states = 0;
	int fd = -1;

	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: devreader DEVICE PATH [PAUSE_US]\n");
		return 2;
	}
	sigaction(SIGTERM, &sa, NULL);
	while (!ended) {
		if (fd < 0 || reads % READS_PER_OPEN == 0) {
			if (fd >= 0)
				close(fd);
			fd = open(argv[1], O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				die(argv[1], reads);
			opens++;
		}
		t = now_us();
		states |= 1U << (read_once(fd, argv[2], &zxid, reads) & 31);
		took = now_us() - t;
		if (took > longest)
			longest = took;
		if (!reads++) {
			puts("ready");
			fflush(stdout);
		}
		if (argc == 4)
			usleep(atoi(argv[3]));
	}
	printf("reads %llu opens %llu states 0x%x longest_us %llu\n", reads, opens, states,
	       longest);
	return 0;
}
