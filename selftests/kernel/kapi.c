// SPDX-License-Identifier: GPL-2.0-or-later
/* Znodes for other modules, as kapi_user.ko reads them. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"

#define PROC	"/proc/zkern_kapi"

static int inst, owner;

/* What zkern_kget() gave. */
struct got {
	int err;
	unsigned int len, state;
	int version;
	unsigned long long zxid;
	char data[65];
};

/* 0, or -errno of the line itself. */
static int say(const char *fmt, ...)
{
	char line[128];
	va_list ap;
	int fd, n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	fd = open(PROC, O_WRONLY | O_CLOEXEC);
	need(fd >= 0, PROC);
	n = write(fd, line, n) == n ? 0 : -errno;
	close(fd);
	return n;
}

static struct got get(const char *how, const char *path)
{
	char line[256] = "";
	struct got g = { 0 };
	int fd;

	need(!say("%s %s", how, path), "asking");
	fd = open(PROC, O_RDONLY | O_CLOEXEC);
	need(fd >= 0 && read(fd, line, sizeof(line) - 1) > 0, PROC);
	close(fd);
	need(sscanf(line, "%d %u %u %d %llu %64s", &g.err, &g.len, &g.state, &g.version,
		    &g.zxid, g.data) >= 5, "its answer");
	return g;
}

static int load(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return rc;
}

static void reads(void)
{
	char large[100];
	struct got g;

	is(say("open 200"), -ENODEV, "no such instance");
	is(say("open %d", inst), 0, "a handle");
	g = get("get", "/a");
	is(g.err, -ENOENT, "no such node");
	zk_create(owner, 1, "/a", "value");
	g = get("get", "/a");
	ok(!g.err && g.len == 5 && !strcmp(g.data, "value") && !g.version, "a node");
	ok(g.zxid == 1 && g.state == ZKERN_STATE_STANDALONE, "zxid and state");
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	zk_set(owner, 2, "/a", large, 1);
	g = get("get", "/a");
	ok(g.err == -EMSGSIZE && g.len == 99 && g.version == 1,
	   "data that does not fit: its length and its stat");
	is(get("get", "a").err, -EINVAL, "a path without a slash");
	is(get("get", "/a/").err, -EINVAL, "a path that ends in one");
}

static int mine(void *path)
{
	return -get("mine", path).err;
}

static void acls(void)
{
	struct batch b = { 0 };
	struct acl acl;

	acl_none(&acl);
	acl_add(&acl, READ, "uid", "1000");
	batch_txn(&b, 3);
	batch_create_acl(&b, "/theirs", "secret", &acl);
	need(!zk_apply(owner, &b, NULL), "a node of one user's");
	batch_free(&b);
	is(get("get", "/theirs").err, 0, "no ACL binds the kernel");
	is(get("mine", "/theirs").err, -EACCES, "one binds root, as anybody");
	is(as_user(1000, 1000, 1000, mine, "/theirs"), 0, "and lets in whom it names");
	is(as_user(1001, 1000, 1000, mine, "/theirs"), EACCES, "and nobody else");
}

/* A tree with a lower zxid is swapped in, as when a log's tail was cut off. */
static void goes_back(void)
{
	struct zkern_load load = { .zxid = 2 };

	need(!zk_load(owner, ZKERN_LOAD_BEGIN, NULL, NULL), "another tree");
	need(!zk_load(owner, ZKERN_LOAD_COMMIT, NULL, &load), "is swapped in");
	is(get("get", "/").err, -ESTALE, "no handle is shown a tree older than it has seen");
	zk_create(owner, 4, "/later", "");
	is(get("get", "/later").err, 0, "but one that has caught up");
}

static void ends(void)
{
	is(syscall(SYS_delete_module, "zkern", O_NONBLOCK) ? -errno : 0, -EWOULDBLOCK,
	   "the module stays while another one needs it");
	close(owner);
	is(zk_del(inst, 0), 0, "an instance goes, whoever has a handle");
	is(get("get", "/a").err, -ENODEV, "who then reads nothing");
	is(say("close"), 0, "the handle goes");
	is(syscall(SYS_delete_module, "kapi_user", O_NONBLOCK) ? -errno : 0, 0, "its user too");
}

int main(void)
{
	need(!load("/t/kapi_user.ko") && !chmod(PROC, 0666), "loading kapi_user.ko");
	inst = zk_instance(&owner);
	reads();
	acls();
	goes_back();
	ends();
	return tap_end();
}
