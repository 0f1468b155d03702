// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zkern status: the instances of this kernel, or what a server says of itself
 * (its four-letter word "srvr").
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "cli.h"

#define SRVR_MAX	4096

static bool no_opt(int c, const char *arg)
{
	(void)c;
	(void)arg;
	return false;
}

static json_t *json_info(const struct zkern_info *i)
{
	char digest[24];

	snprintf(digest, sizeof(digest), "0x%llx", (unsigned long long)i->digest);
	return json_pack("{si ss% ss sI sI ss sI sI sI sI sI sI si}",
			 "instance", i->instance,
			 "label", (const char *)i->label,
			 strnlen((const char *)i->label, sizeof(i->label)),
			 "state", zkern_state_name(i->state),
			 "zxid", (json_int_t)i->zxid, "age_ms", (json_int_t)i->age_ms,
			 "digest", digest, "nodes", (json_int_t)i->nodes,
			 "ephemerals", (json_int_t)i->ephemerals,
			 "data_bytes", (json_int_t)i->data_bytes,
			 "bytes", (json_int_t)i->bytes, "retained", (json_int_t)i->retained,
			 "snapshots", (json_int_t)i->snapshots, "owner_pid", i->owner_pid);
}

static int print_info(void *arg, const struct zkern_info *i)
{
	struct cli *cli = arg;
	int len = strnlen((const char *)i->label, sizeof(i->label));

	if (cli->json)
		return out_print_json(json_info(i));
	printf("/dev/zkern%u%s%.*s\n", i->instance, len ? "  " : "", len, i->label);
	printf("  state       %s\n", zkern_state_name(i->state));
	printf("  zxid        0x%llx\n", (unsigned long long)i->zxid);
	printf("  heard       %llu.%03llu s ago\n", (unsigned long long)i->age_ms / 1000,
	       (unsigned long long)i->age_ms % 1000);
	if (i->owner_pid)
		printf("  owner       pid %u\n", i->owner_pid);
	else
		printf("  owner       none\n");
	printf("  znodes      %llu (%llu ephemeral)\n", (unsigned long long)i->nodes,
	       (unsigned long long)i->ephemerals);
	printf("  data        %llu bytes\n", (unsigned long long)i->data_bytes);
	printf("  memory      %llu bytes (%llu held by %llu snapshots)\n",
	       (unsigned long long)i->bytes, (unsigned long long)i->retained,
	       (unsigned long long)i->snapshots);
	return 0;
}

static int status_one(struct cli *cli)
{
	struct zkern_info info;
	int err;

	err = cli_open_reader(cli);
	if (!err) {
		err = zkern_info(cli->zk, &info);
		if (err)
			cli_failed(cli, err);
	}
	return err ? err : print_info(cli, &info);
}

static int status_all(struct cli *cli)
{
	int err = zkern_instance_each(cli->zk, print_info, cli);

	return err && err != -ENOMEM ? cli_failed(cli, err) : err;
}

/* ------------------------------------------------------------ srvr */

static long left_ms(const struct timespec *until)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (until->tv_sec - now.tv_sec) * 1000 + (until->tv_nsec - now.tv_nsec) / 1000000;
}

static int wait_fd(int fd, short events, const struct timespec *until)
{
	struct pollfd p = { .fd = fd, .events = events };
	long ms = left_ms(until);
	int n;

	if (ms <= 0)
		return -ETIMEDOUT;
	n = poll(&p, 1, ms);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int dial(const struct addrinfo *ai, const struct timespec *until, int *fd)
{
	socklen_t len = sizeof(int);
	int err = 0;
	int s;

	s = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s < 0)
		return -errno;
	if (connect(s, ai->ai_addr, ai->ai_addrlen)) {
		err = errno == EINPROGRESS ? wait_fd(s, POLLOUT, until) : -errno;
		if (!err && !getsockopt(s, SOL_SOCKET, SO_ERROR, &err, &len))
			err = -err;
	}
	if (err)
		close(s);
	else
		*fd = s;
	return err;
}

/* Everything the server says until it closes, at most @cap - 1 bytes. */
static int exchange(int fd, const struct timespec *until, char *buf, size_t cap)
{
	size_t at = 0;
	ssize_t n;
	int err;

	if (send(fd, "srvr", 4, MSG_NOSIGNAL) != 4)
		return -ECONNRESET;
	while (at < cap - 1) {
		err = wait_fd(fd, POLLIN, until);
		if (err)
			return err;
		n = recv(fd, buf + at, cap - 1 - at, 0);
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (!n)
			break;
		if (n > 0)
			at += n;
	}
	buf[at] = '\0';
	return at ? 0 : -ECONNRESET;
}

static int ask(const char *host, const char *port, uint32_t timeout_ms, char *buf, size_t cap)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *ai;
	struct timespec until;
	int err, fd = -1;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000L;
	err = getaddrinfo(host, port, &hints, &list);
	if (err) {
		cli_error("%s:%s: %s", host, port, gai_strerror(err));
		return -ECONNREFUSED;
	}
	err = -ECONNREFUSED;
	for (ai = list; ai; ai = ai->ai_next) {
		err = dial(ai, &until, &fd);
		if (!err)
			break;
	}
	freeaddrinfo(list);
	if (!err) {
		err = exchange(fd, &until, buf, cap);
		close(fd);
	}
	if (err)
		cli_error("%s:%s: %s", host, port, strerror(-err));
	return err;
}

/* "Zookeeper version: ..." and the like, as an object of its lines. */
static int print_srvr(struct cli *cli, const char *server, char *text)
{
	json_t *o = json_pack("{ss ss}", "server", server, "via", "tcp");
	char *line, *save, *colon, *k;

	for (line = strtok_r(text, "\n", &save); o && line; line = strtok_r(NULL, "\n", &save)) {
		colon = strstr(line, ": ");
		if (!colon)
			continue;
		*colon = '\0';
		for (k = line; *k; k++)
			*k = *k == ' ' || *k == '/' ? '_' : *k | 0x20;
		if (json_object_set_new(o, line, json_string(colon + 2)) &&
		    json_object_set_new(o, line, json_null())) {
			json_decref(o);
			o = NULL;
		}
	}
	(void)cli;
	return out_print_json(o);
}

static int status_tcp(struct cli *cli)
{
	const char *server = cli->tcp ? cli->tcp : DEFAULT_TCP;
	char host[256], *p, *port;
	char buf[SRVR_MAX];
	int err;

	snprintf(host, sizeof(host), "%.*s", (int)strcspn(server, ","), server);
	port = strrchr(host, ':');
	p = strrchr(host, ']');
	if (port && port > p)
		*port++ = '\0';
	else
		port = NULL;
	if (p) {
		*p = '\0';
		p = host + 1;
	} else {
		p = host;
	}
	err = ask(p, port && *port ? port : "2181", cli->timeout_ms, buf, sizeof(buf));
	if (err)
		return err;
	if (strncmp(buf, "Zookeeper version", 17)) {
		cli_error("%s: %.*s", server, (int)strcspn(buf, "\n"), buf);
		return -EPROTO;
	}
	if (cli->json)
		return print_srvr(cli, server, buf);
	printf("%s\n%s", server, buf);
	return 0;
}

static int run(struct cli *cli, int argc, char **argv)
{
	char path[64];

	(void)argc;
	(void)argv;
	if (cli->tcp)
		return status_tcp(cli);
	if (cli->device)
		return status_one(cli);
	if (cli->netlink || cli_find_device(path, sizeof(path))) {
		/* All of them: only netlink tells. */
		if (!zkern_open_netlink(0, &cli->zk, NULL, 0))
			return status_all(cli);
		return status_one(cli);
	}
	return status_tcp(cli);
}

const struct command cmd_status = {
	.name = "status",
	.args = "",
	.summary = "what serves here: state, zxid, znodes, memory",
	.help = "All instances of this kernel; with --device one of them; with --tcp, and where\n"
		"the module is not loaded, a server's own words (srvr).\n"
		"\n"
		"Examples:\n"
		"  zkern status\n"
		"  zkern status --json | jq .state\n"
		"  zkern --tcp db1:2181 status\n",
	.shorts = "",
	.opt = no_opt,
	.min_args = 0,
	.max_args = 0,
	.run = run,
};
