// SPDX-License-Identifier: GPL-2.0-or-later
/* The tracepoints, as tracefs shows them. */
#include <fcntl.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"

#define TRACE	"/sys/kernel/tracing/"

static char text[1 << 20];

static void put(const char *file, const char *what)
{
	char path[128];
	int f;

	snprintf(path, sizeof(path), TRACE "%s", file);
	f = open(path, O_WRONLY | O_TRUNC);
	need(f >= 0 && write(f, what, strlen(what)) == (ssize_t)strlen(what), "%s", path);
	close(f);
}

/* What was traced since the last time. */
static void collect(void)
{
	int f = open(TRACE "trace", O_RDONLY);
	ssize_t n;
	size_t len = 0;

	need(f >= 0, "trace");
	while (len < sizeof(text) - 1 && (n = read(f, text + len, sizeof(text) - 1 - len)) > 0)
		len += n;
	text[len] = '\0';
	close(f);
	f = open(TRACE "trace", O_WRONLY | O_TRUNC);
	close(f);
}

#define seen(...) ({						\
	char want[512];						\
								\
	snprintf(want, sizeof(want), __VA_ARGS__);		\
	!!strstr(text, want);				\
})

static void requests(int fd, int owner, uint64_t zxid)
{
	char buf[64], longest[400];
	struct zkern_list list;
	struct batch b = {};
	int snap;

	zk_create(owner, zxid, "/traced", "12345");
	batch_txn(&b, zxid + 1);
	batch_create(&b, "/traced", "");
	zk_apply(owner, &b, NULL);
	zk_get(fd, "/traced", buf, sizeof(buf), NULL);
	zk_exists(fd, "/traced", NULL);
	zk_get(fd, "/nope", buf, sizeof(buf), NULL);
	zk_children(fd, "/", "", buf, sizeof(buf), &list);
	snap = zk_snapshot(fd, "/traced", NULL);
	need(read(snap, text, sizeof(text)) > 0, "dump");
	close(snap);
	memset(longest, 'l', sizeof(longest));
	longest[0] = '/';
	longest[399] = '\0';
	zk_exists(fd, longest, NULL);
	zk_state(owner, ZKERN_STATE_LEADING, 0);
	batch_reset(&b);
	batch_txn(&b, zxid + 2);
	batch_delete(&b, "/traced");
	need(!zk_apply(owner, &b, NULL), "delete");
	batch_free(&b);
}

int main(void)
{
	char cut[300] = "";
	int owner, inst, fd;

	inst = zk_instance(&owner);
	fd = zk_open(inst, O_RDONLY);
	put("tracing_on", "1");
	put("trace_clock", "mono");
	put("events/zkern/zkern_read/filter", "0");
	collect();
	put("events/zkern/enable", "1");
	requests(fd, owner, 16);
	put("events/zkern/enable", "0");
	collect();
	ok(seen("zkern_apply: instance=%d zxid=0x10 ops=1 err=0 ns=", inst), "a transaction");
	ok(seen("zkern_apply: instance=%d zxid=0x11 ops=1 err=-17 ns=", inst), "a refused one");
	ok(seen("zkern_read: instance=%d op=get path=/traced zxid=0x10 bytes=5 err=0 ns=", inst),
	   "get");
	ok(seen("zkern_read: instance=%d op=exists path=/traced zxid=0x10 bytes=0 err=0", inst),
	   "exists");
	ok(seen("zkern_read: instance=%d op=get path=/nope zxid=0x10 bytes=0 err=-2", inst),
	   "a read that fails");
	ok(seen("zkern_read: instance=%d op=children path=/ zxid=0x10 bytes=10 err=0", inst),
	   "children");
	ok(seen("zkern_snapshot: instance=%d open zxid=0x10", inst) &&
	   seen("zkern_snapshot: instance=%d close zxid=0x10", inst), "a snapshot, open and close");
	ok(seen("zkern_read: instance=%d op=dump path=/traced zxid=0x10", inst), "its dump");
	memset(cut, 'l', 254);
	ok(seen("path=/%s zxid", cut), "a long path, cut");
	ok(seen("zkern_state: instance=%d state=leading zxid=0x10", inst), "a change of state");
	ok(!seen("ns=0 "), "and how long each took");

	requests(fd, owner, 32);
	collect();
	ok(!strstr(text, ": zkern_"), "switched off, nothing is traced");
	put("events/zkern/zkern_read/filter", "err == -2");
	put("events/zkern/zkern_read/enable", "1");
	requests(fd, owner, 48);
	put("events/zkern/zkern_read/enable", "0");
	collect();
	ok(seen("path=/nope") && !seen("path=/traced"), "a filter filters");
	put("events/zkern/zkern_read/filter", "0");
	close(fd);
	close(owner);
	is(zk_del(inst, 0), 0, "the instance is removed");
	return tap_end();
}
