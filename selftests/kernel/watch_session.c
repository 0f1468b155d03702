// SPDX-License-Identifier: GPL-2.0-or-later
/* A file that watches and is a session: neither knows of the other but for the order. */
#include <fcntl.h>

#include "calls.h"
#include "ev.h"

static int id, owner, fd;
static uint64_t zxid = 1;
static struct call call;

static void set(const char *path)
{
	static int32_t version;

	zk_set(owner, ++zxid, path, "x", ++version);
}

/* The owner takes what @a asked. */
static void asks(struct asker *a, const char *body)
{
	ask(a, fd, body, 0);
	need(owner_take(owner, &call) == 1 && call.head.kind == ZKERN_CALL_REQUEST, "take");
}

static void answers(struct asker *a)
{
	need(!owner_answer(owner, &call, zxid, 0, ""), "answer");
	need(!ask_join(a), "asked");
}

static void test_own(void)
{
	struct asker a;

	is(ev_add(fd, ZKERN_WATCH_PERSISTENT, "/a"), 0, "a file with a session watches");
	asks(&a, "set /a");
	ok(ev_polls(fd, 0), "what it asks for is no event until it is done");
	set("/a");
	answers(&a);
	ok(a.q.zxid == zxid && a.q.events == 1, "the answer says that an event waits");
	ev_is(fd, "changed /a", "  its own");
	asks(&a, "set /b");
	set("/b");
	answers(&a);
	is(a.q.events, 0, "another answer says that there is none");
	asks(&a, "set /a");
	set("/a");
	ev_is(fd, "changed /a", "events are read while an answer is waited for");
	ok(!ask_over(&a), "  as it still is");
	answers(&a);
	is(a.q.events, 0, "  which tells only of those that were not read");
}

static void test_unknown(void)
{
	struct asker a;

	is(ev_exists(fd, "/b", NULL), 0, "a watch");
	asks(&a, "set /b");
	need(!owner_fail(owner, &call, ECONNRESET, ZKERN_FATE_UNKNOWN), "fail");
	is(ask_join(&a), -ECONNRESET, "there is no answer");
	ok(a.q.fate == ZKERN_FATE_UNKNOWN && !a.q.events, "  and nothing is known");
	set("/b");
	ev_is(fd, "changed /b", "  but the watch tells, when it is done");
}

static void test_expired(void)
{
	is(owner_say(owner, &call, ZKERN_REPLY_EXPIRED), 0, "the session expires");
	is(ask_now(fd, "x", 0, 0), -ESHUTDOWN, "  which requests are told");
	set("/a");
	ev_is(fd, "changed /a", "  and watches go on");
	is(ev_exists(fd, "/b", NULL), 0, "  others can be set");
	is(ev_count(fd), 3, "  beside them");
}

static void test_modes(void)
{
	int r = zk_open(id, O_RDONLY | O_NONBLOCK), w = zk_open(id, O_WRONLY | O_NONBLOCK);
	char buf[64];

	need(r >= 0 && w >= 0, "open");
	is(ev_add(r, ZKERN_WATCH_PERSISTENT, "/a"), 0, "who may only read watches");
	is(ask_now(r, "x", 0, 0), -EBADF, "  and asks nothing");
	is(ev_add(w, ZKERN_WATCH_PERSISTENT, "/a"), -EBADF, "who may only write watches nothing");
	is(read(w, buf, sizeof(buf)), -1, "  and reads no events");
	is(errno, EBADF, "  at all");
	close(r);
	close(w);
}

static void is_close(uint64_t file, const char *what)
{
	struct call c;

	is(owner_take(owner, &c), 1, "%s", what);
	ok(c.head.kind == ZKERN_CALL_CLOSE && c.head.file == file, "  which the owner is told");
	is(owner_say(owner, &c, ZKERN_REPLY_ENDED), 0, "  and takes note of");
}

/* With events that nobody has read, and copies. */
static void test_close(void)
{
	int other = zk_open(id, O_RDONLY | O_NONBLOCK), copy;

	need(other >= 0, "open");
	fd = owner_file(owner, id, 0x301, &call);
	need(!fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
	is(ev_add(fd, ZKERN_WATCH_RECURSIVE, "/"), 0, "a file watches all");
	is(ev_add(other, ZKERN_WATCH_RECURSIVE, "/"), 0, "and another one");
	set("/a");
	copy = dup(fd);
	close(fd);
	is(ev_count(copy), 2, "its copy has the watches");
	ok(!owner_polls(owner, 30), "  and the session");
	close(copy);
	is_close(call.head.file, "the last copy is closed");
	set("/b");
	ev_is(other, "changed /a, changed /b", "the other one heard it all");
	close(other);
}

int main(void)
{
	id = zk_instance(&owner);
	zk_create(owner, zxid, "/a", "");
	zk_create(owner, ++zxid, "/b", "");
	fd = owner_file(owner, id, 0x300, &call);
	need(!fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
	test_own();
	test_unknown();
	test_expired();
	close(fd);
	is_close(call.head.file, "the file is closed");
	test_modes();
	test_close();
	close(owner);
	is(zk_del(id, 0), 0, "the instance goes");
	return tap_end();
}
