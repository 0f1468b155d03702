// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which way to the tree a command takes: what was asked for, else the first
 * device, else TCP to this host.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

static bool instance_name(const char *name, uint32_t *n)
{
	unsigned long v;
	char *end;

	if (strncmp(name, "zkern", 5) || name[5] < '0' || name[5] > '9')
		return false;
	v = strtoul(name + 5, &end, 10);
	if (*end || v >= ZKERN_MAX_INSTANCES)
		return false;
	*n = v;
	return true;
}

bool cli_find_device(char *path, size_t len)
{
	uint32_t best = ~0U, n;
	struct dirent *e;
	DIR *d = opendir("/dev");

	if (!d)
		return false;
	while ((e = readdir(d)))
		if (instance_name(e->d_name, &n) && n < best)
			best = n;
	closedir(d);
	if (best == ~0U)
		return false;
	snprintf(path, len, "/dev/zkern%u", best);
	return true;
}

bool cli_instance(const struct cli *cli, uint32_t *n)
{
	const char *base;
	uint64_t v;

	*n = 0;
	if (!cli->device)
		return true;
	base = strrchr(cli->device, '/');
	if (base) {
		if (instance_name(base + 1, n))
			return true;
		cli_error("--device '%s': not /dev/zkernN", cli->device);
		return false;
	}
	if (!cli_number("--device", cli->device, ZKERN_MAX_INSTANCES - 1, &v))
		return false;
	*n = v;
	return true;
}

static int open_device(struct cli *cli, const char *path)
{
	char why[512];
	int err;

	err = zkern_open_device(path, &cli->zk, why, sizeof(why));
	if (err)
		cli_error("%s", why);
	/* No device is no missing znode. */
	return err == -ENOENT || err == -ENXIO || err == -ENOTTY ? -ENODEV : err;
}

static int open_netlink(struct cli *cli)
{
	char why[512];
	uint32_t n;
	int err;

	if (!cli_instance(cli, &n))
		return -EINVAL;
	err = zkern_open_netlink(n, &cli->zk, why, sizeof(why));
	if (err)
		cli_error("%s", why);
	return err;
}

static int open_tcp(struct cli *cli)
{
	struct zkern_tcp_params p = { .size = sizeof(p), .timeout_ms = cli->timeout_ms };
	char why[512];
	int err, i;

	err = zkern_connect(cli->tcp ? cli->tcp : DEFAULT_TCP, &p, &cli->zk, why, sizeof(why));
	if (err) {
		cli_error("%s", why);
		return err;
	}
	for (i = 0; i < cli->n_auth; i++) {
		const char *cred = strchr(cli->auth[i], ':') + 1;
		char *scheme = strndup(cli->auth[i], cred - 1 - cli->auth[i]);

		err = scheme ? zkern_add_auth(cli->zk, scheme, cred, strlen(cred)) : -ENOMEM;
		free(scheme);
		if (err)
			return cli_failed(cli, err);
	}
	return 0;
}

static int open_best(struct cli *cli)
{
	char path[64];
	uint32_t n;

	if (cli->device && cli->device[0] == '/')
		return open_device(cli, cli->device);
	if (cli->device) {
		if (!cli_instance(cli, &n))
			return -EINVAL;
		snprintf(path, sizeof(path), "/dev/zkern%u", n);
		return open_device(cli, path);
	}
	if (cli->tcp || cli->n_auth || !cli_find_device(path, sizeof(path)))
		return open_tcp(cli);
	return open_device(cli, path);
}

int cli_open_reader(struct cli *cli)
{
	return cli->netlink ? open_netlink(cli) : open_best(cli);
}

int cli_open_writer(struct cli *cli)
{
	int err;

	if (cli->netlink) {
		cli_error("writes go through the device or over TCP, not by netlink");
		return -EOPNOTSUPP;
	}
	if (cli->tcp)
		return open_tcp(cli);
	err = open_best(cli);
	if (!err)
		zkern_set_timeout(cli->zk, cli->timeout_ms);
	return err;
}

int cli_open_watcher(struct cli *cli)
{
	if (cli->netlink) {
		cli_error("watches go through the device or over TCP, not by netlink");
		return -EOPNOTSUPP;
	}
	return cli_open_reader(cli);
}
