// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes through the device, step by step: devwrite DEVICE STEP...
 *
 * Prints a line for each: the step, "ok" or the errno's name, "undone" or "-", the zxid,
 * the session. Steps, whose parts are parted by '=':
 *
 *   id=UID=GID           from now on as this user, with this group alone
 *   create=PATH=DATA=ES  E ephemeral, S sequential, A by the ACL auth::cdrwa
 *   set=PATH=DATA  delete=PATH  sync=PATH  get=PATH
 *   multi=PATH           makes PATH/a and PATH/b, and sets PATH
 *   many=PATH=N          sets PATH to 1 ... N
 *   timeout=MS           of each write from now on; 0: none, as at first
 *   wait=FILE            until it is there
 *   go=FILE              makes it
 *   hold                 for ever
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "zkern.h"

static struct zkern *zk;
static const char *device;

static int opened(void)
{
	char why[512];

	if (zk)
		return 0;
	if (zkern_open_device(device, &zk, why, sizeof(why))) {
		printf("open %s\n", why);
		exit(1);
	}
	zkern_set_timeout(zk, 0);
	return 0;
}

static int create(char **arg)
{
	static const struct zkern_acl mine = { 31, "auth", "" };
	struct zkern_create_params p = { 0 };
	const char *flags = arg[3] ? arg[3] : "";

	if (strchr(flags, 'E'))
		p.flags |= ZKERN_EPHEMERAL;
	if (strchr(flags, 'S'))
		p.flags |= ZKERN_SEQUENTIAL;
	if (strchr(flags, 'A')) {
		p.acl = &mine;
		p.n_acl = 1;
	}
	return zkern_create(zk, arg[1], arg[2], strlen(arg[2]), &p, NULL, NULL);
}

static int multi(const char *path)
{
	struct zkern_multi_op ops[3] = {
		{ .type = ZKERN_MULTI_CREATE, .data = "1", .len = 1 },
		{ .type = ZKERN_MULTI_CREATE, .data = "2", .len = 1 },
		{ .type = ZKERN_MULTI_SET, .path = path, .version = -1, .data = "multi", .len = 5 },
	};
	char a[256], b[256];
	int err;

	snprintf(a, sizeof(a), "%s/a", path);
	snprintf(b, sizeof(b), "%s/b", path);
	ops[0].path = a;
	ops[1].path = b;
	err = zkern_multi(zk, ops, 3);
	free(ops[0].created);
	free(ops[1].created);
	return err;
}

static int many(char **arg)
{
	int n = atoi(arg[2]), err = 0;
	char data[16];

	for (int i = 1; i <= n && !err; i++) {
		snprintf(data, sizeof(data), "%d", i);
		err = zkern_set(zk, arg[1], data, strlen(data), -1, NULL);
	}
	return err;
}

static int get(const char *path)
{
	struct zkern_value v;
	int err = zkern_get(zk, path, NULL, &v);

	if (!err)
		printf("%s is %s at 0x%llx by 0x%llx\n", path, (char *)v.data,
		       (unsigned long long)v.seen.zxid,
		       (unsigned long long)v.stat.ephemeral_owner);
	zkern_value_free(&v);
	return err;
}

static int wait_for(const char *file)
{
	while (access(file, F_OK))
		usleep(5000);
	return 0;
}

static int go(const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	return fd < 0 ? -errno : close(fd);
}

static int become(char **arg)
{
	gid_t gid = atoi(arg[2]);

	if (setgroups(0, NULL) || setgid(gid) || setuid(atoi(arg[1])))
		return -errno;
	return 0;
}

static int step(char **arg)
{
	if (!strcmp(arg[0], "id"))
		return become(arg);
	if (!strcmp(arg[0], "wait"))
		return wait_for(arg[1]);
	if (!strcmp(arg[0], "go"))
		return go(arg[1]);
	opened();
	if (!strcmp(arg[0], "create"))
		return create(arg);
	if (!strcmp(arg[0], "set"))
		return zkern_set(zk, arg[1], arg[2], strlen(arg[2]), -1, NULL);
	if (!strcmp(arg[0], "delete"))
		return zkern_delete(zk, arg[1], -1);
	if (!strcmp(arg[0], "sync"))
		return zkern_sync(zk, arg[1]);
	if (!strcmp(arg[0], "get"))
		return get(arg[1]);
	if (!strcmp(arg[0], "multi"))
		return multi(arg[1]);
	if (!strcmp(arg[0], "many"))
		return many(arg);
	if (!strcmp(arg[0], "timeout")) {
		zkern_set_timeout(zk, atoi(arg[1]));
		return 0;
	}
	while (!strcmp(arg[0], "hold"))
		pause();
	return -EINVAL;
}

int main(int argc, char **argv)
{
	char *arg[8], *next;
	int n, err;

	if (argc < 2)
		return 2;
	device = argv[1];
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 2; i < argc; i++) {
		memset(arg, 0, sizeof(arg));
		printf("begin %s\n", argv[i]);
		next = argv[i];
		for (n = 0; n < 7 && next; n++)
			arg[n] = strsep(&next, "=");
		err = step(arg);
		printf("%s %s %s 0x%llx\n", arg[0], err ? strerrorname_np(-err) : "ok",
		       zk && zkern_undone(zk) ? "undone" : "-",
		       zk ? (unsigned long long)zkern_session_id(zk) : 0);
		if (err)
			printf("# %s\n", zk ? zkern_message(zk) : "");
	}
	zkern_close(zk);
	return 0;
}
