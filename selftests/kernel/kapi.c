// SPDX-License-Identifier: GPL-2.0-or-later
/* Znodes for other modules, as kapi_user.ko reads and watches them. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"

#define ZKERN_KEV_GONE	0	/* of zkern_kapi.h */

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

/* ------------------------------------------------------------ watching */

#define STORM	3000

/* What the callback was told since the last time. */
struct told {
	unsigned int events, left_out, wrong, type;
	unsigned long long zxid;
	char path[128];
};

static struct told told(void)
{
	char line[256] = "";
	struct told t = { 0 };
	int fd;

	need(!say("told"), "asking");
	fd = open(PROC, O_RDONLY | O_CLOEXEC);
	need(fd >= 0 && read(fd, line, sizeof(line) - 1) > 0, PROC);
	close(fd);
	need(sscanf(line, "%u %u %u %u %llu %127s", &t.events, &t.left_out, &t.wrong, &t.type,
		    &t.zxid, t.path) >= 3, "its answer");
	return t;
}

/* Waits until it was told of @n in all, left out ones too; of how many wrongly counts. */
static struct told wait_told(unsigned int n)
{
	struct told t, sum = { 0 };
	int tries;

	for (tries = 0; tries < 6000 && sum.events + sum.left_out < n; tries++) {
		t = told();
		t.events += sum.events;
		t.left_out += sum.left_out;
		t.wrong += sum.wrong;
		if (t.events == sum.events) {
			usleep(10000);
			continue;
		}
		sum = t;
	}
	return sum;
}

static bool last_is(const struct told *t, unsigned int type, unsigned long long zxid,
		    const char *path)
{
	return t->type == type && t->zxid == zxid && !strcmp(t->path, path) && !t->wrong;
}

static void watches(void)
{
	struct told t;

	is(say("close"), 0, "a handle goes");
	is(say("watch 4 /a"), -EINVAL, "none, no watch");
	is(say("open %d", inst), 0, "one that only reads");
	is(say("watch 4 /a"), -EINVAL, "  cannot watch");
	is(say("close"), 0, "  and goes");
	is(say("events 200"), -ENODEV, "no such instance");
	is(say("events %d", inst), 0, "one that can");
	is(say("unwatch 4 /w"), -ENOENT, "  has none yet");
	is(say("watch 4 w"), -EINVAL, "  and gets none on what is no path");
	is(say("watch 4"), -EINVAL, "  or on nothing");
	is(say("watch 3 /w"), -EINVAL, "  or of a kind that there is not");
	is(say("watch 4 /w"), 0, "  but one on a node that is not there yet");
	zk_create(owner, 10, "/w", "");
	t = wait_told(1);
	ok(last_is(&t, ZKERN_EV_CREATED, 10, "/w"), "which is created");
	zk_set(owner, 11, "/w", "x", 1);
	t = wait_told(1);
	ok(last_is(&t, ZKERN_EV_CHANGED, 11, "/w"), "  set");
	zk_create(owner, 12, "/w/c", "");
	t = wait_told(1);
	ok(last_is(&t, ZKERN_EV_CHILDREN, 12, "/w"), "  and gets a child");
	is(say("unwatch 4 /w"), 0, "it is not watched any more");
	is(say("watch 5 /w"), 0, "all below is");
	zk_set(owner, 13, "/w/c", "x", 1);
	t = wait_told(1);
	ok(t.events == 1 && last_is(&t, ZKERN_EV_CHANGED, 13, "/w/c"), "  a node there is set");
}

static void storm(void)
{
	unsigned long long zxid;
	struct told t;

	for (zxid = 100; zxid < 100 + STORM; zxid++)
		zk_set(owner, zxid, "/w/c", "y", zxid - 98);
	t = wait_told(STORM);
	is(t.events + t.left_out, STORM, "each of a storm is told or counted");
	is(t.wrong, 0, "  in order, and when it can be read");
	is(say("slow 20"), 0, "who is slow");
	for (; zxid < 100 + 2 * STORM; zxid++)
		zk_set(owner, zxid, "/w/c", "y", zxid - 98);
	t = told();
	ok(t.events < STORM, "  is behind");
	is(say("close"), 0, "a handle goes while he is told");
	is(say("slow 0"), 0, "he hurries");
	is(say("events %d", inst), 0, "another comes");
	is(say("watch 6"), 0, "  which watches the state");
	need(!zk_state(owner, ZKERN_STATE_DISCONNECTED, 0), "a state");
	t = wait_told(1);
	is(t.type, ZKERN_EV_STATE, "that changes");
}

static void ends(void)
{
	struct told t;

	is(syscall(SYS_delete_module, "zkern", O_NONBLOCK) ? -errno : 0, -EWOULDBLOCK,
	   "the module stays while another one needs it");
	close(owner);
	is(zk_del(inst, 0), 0, "an instance goes, whoever has a handle");
	is(get("get", "/a").err, -ENODEV, "who then reads nothing");
	t = wait_told(1);
	while (t.events && t.type != ZKERN_KEV_GONE)
		t = wait_told(1);
	is(t.type, ZKERN_KEV_GONE, "and is told so");
	is(say("watch 4 /a"), -ENODEV, "  and watches nothing");
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
	watches();
	storm();
	ends();
	return tap_end();
}
