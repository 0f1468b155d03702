// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long the others hold a dead program for alive: gone DEVICE HOLDER WATCHER N
 *
 * N times: a child holds an ephemeral, through the device, or with "-" for DEVICE over TCP
 * to HOLDER (least session timeout that it gives); this watches it over TCP to WATCHER,
 * kills the child with SIGKILL, and prints how many ms later it is told.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "zkern.h"

static void die(const char *what, const char *why)
{
	fprintf(stderr, "gone: %s: %s\n", what, why);
	exit(1);
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static struct zkern *connected(const char *hosts, uint32_t session_ms)
{
	struct zkern_tcp_params p = { .size = sizeof(p), .session_ms = session_ms,
				      .timeout_ms = 60000 };
	struct zkern *zk;
	char why[512];

	if (zkern_connect(hosts, &p, &zk, why, sizeof(why)))
		die(hosts, why);
	return zk;
}

/* The child: never returns. */
static void hold(const char *device, const char *holder, const char *path, int ready)
{
	struct zkern_create_params p = { .flags = ZKERN_EPHEMERAL };
	struct zkern_event ev;
	struct zkern *zk;
	char why[512];

	if (strcmp(device, "-")) {
		if (zkern_open_device(device, &zk, why, sizeof(why)))
			die(device, why);
	} else {
		zk = connected(holder, 1);
	}
	zkern_set_timeout(zk, 60000);
	if (zkern_create(zk, path, "x", 1, &p, NULL, NULL))
		die("create", zkern_message(zk));
	if (write(ready, "x", 1) != 1)
		die("write", strerror(errno));
	for (;;) {
		if (zkern_via(zk) == ZKERN_VIA_TCP)
			zkern_next_event(zk, -1, &ev);
		else
			pause();
	}
}

/* Waits until @path is there and watched; the server may be behind. */
static void watch(struct zkern *zk, const char *path)
{
	struct zkern_want want = { .flags = ZKERN_WANT_WATCH };
	struct zkern_value v;

	if (zkern_sync(zk, path) || zkern_exists(zk, path, &want, &v))
		die(path, zkern_message(zk));
}

static double once(const char *device, const char *holder, struct zkern *zk, int n)
{
	struct zkern_event ev;
	char path[64], byte;
	double began;
	int fds[2], rc;
	pid_t pid;

	snprintf(path, sizeof(path), "/gone-%d-%d", (int)getpid(), n);
	if (pipe(fds))
		die("pipe", strerror(errno));
	pid = fork();
	if (!pid)
		hold(device, holder, path, fds[1]);
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1)
		die("holder", "it ended");
	close(fds[0]);
	watch(zk, path);
	began = now_ms();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	do {
		rc = zkern_next_event(zk, 120000, &ev);
		if (rc <= 0)
			die("event", rc ? zkern_message(zk) : "none came");
	} while (ev.type == ZKERN_EVENT_SESSION);
	if (ev.type != ZKERN_EVENT_DELETED || strcmp(ev.path, path))
		die("event", "another one came");
	zkern_event_free(&ev);
	return now_ms() - began;
}

int main(int argc, char **argv)
{
	struct zkern *zk;

	if (argc != 5)
		return 2;
	zk = connected(argv[3], 60000);
	for (int i = 0; i < atoi(argv[4]); i++)
		printf("%.1f\n", once(argv[1], argv[2], zk, i));
	zkern_close(zk);
	return 0;
}
