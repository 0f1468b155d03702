// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An open file is a session: who holds it, when the owner hears of its end, and what an
 * owner finds that comes after another.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "tap.h"

static int id, owner;

static bool quiet(void)
{
	return !owner_polls(owner, 30);
}

static void is_close(uint64_t file, const char *what)
{
	struct call c;

	is(owner_take(owner, &c), 1, "%s: its end is told", what);
	ok(c.head.kind == ZKERN_CALL_CLOSE && c.head.file == file, "  of this file");
	ok(quiet(), "  once");
	is(owner_say(owner, &c, ZKERN_REPLY_ENDED), 0, "  and taken note of");
}

static void test_close(void)
{
	struct call c;
	int fd = owner_file(owner, id, 0x100, &c), copy;

	copy = dup(fd);
	close(fd);
	ok(quiet(), "a copy (dup) holds the session");
	close(copy);
	is_close(c.head.file, "the last copy is closed");
	fd = zk_open(id, O_RDWR);
	close(fd);
	ok(quiet(), "a file that asked nothing is no session");
}

/* A child that holds the file until it is killed. */
static pid_t holder(int fd)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	(void)fd;
	for (;;)
		pause();
}

static void test_fork(void)
{
	struct call c;
	int fd = owner_file(owner, id, 0x101, &c);
	pid_t pid = holder(fd);

	close(fd);
	ok(quiet(), "a child holds the session");
	kill(pid, SIGKILL);
	need(waitpid(pid, NULL, 0) == pid, "wait");
	is_close(c.head.file, "the child is killed");
}

static void test_pass(void)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
	struct call c;
	int fd = owner_file(owner, id, 0x102, &c), pair[2];

	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	need(sendmsg(pair[0], &msg, 0) == 1, "sendmsg");
	close(fd);
	ok(quiet(), "one that is under way in a socket (SCM_RIGHTS) holds the session");
	close(pair[0]);
	close(pair[1]);
	is_close(c.head.file, "it was never received");
}

static void test_exec(bool cloexec)
{
	struct call c;
	int fd = owner_file(owner, id, 0x103 + cloexec, &c), status;
	pid_t pid;

	if (!cloexec)
		need(!fcntl(fd, F_SETFD, 0), "fcntl");
	pid = fork();
	if (!pid) {
		execl("/bin/sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	close(fd);
	if (cloexec)
		is_close(c.head.file, "exec closes it");
	else
		ok(quiet() && !waitpid(pid, &status, WNOHANG), "exec without O_CLOEXEC does not");
	kill(pid, SIGKILL);
	need(waitpid(pid, NULL, 0) == pid, "wait");
	if (!cloexec)
		is_close(c.head.file, "its end does");
}

static int ask_as(void *arg)
{
	return -ask_now(*(int *)arg, "x", 0, 0);
}

/* Who asks is the caller, not who opened the file. */
static void test_identity(void)
{
	struct call c;
	int fd = owner_file(owner, id, 0x105, &c), status;
	pid_t pid = fork();

	if (!pid)
		_exit(as_user(1001, 1002, 1003, ask_as, &fd));
	need(owner_take(owner, &c) == 1, "take");
	ok(c.head.uid == 1001 && c.head.gid == 1002 && c.head.n_groups == 1 &&
	   c.groups[0] == 1003, "who asks is the caller of the moment");
	owner_answer(owner, &c, 0, 0, "");
	need(waitpid(pid, &status, 0) == pid, "wait");
	ok(WIFEXITED(status) && !WEXITSTATUS(status), "  who gets the answer");
	close(fd);
	is_close(c.head.file, "this file");
}

/* ------------------------------------------------------------ another owner */

static void next_owner(void)
{
	owner = zk_open(id, O_RDWR);
	need(owner >= 0, "open");
	is(zk_own(owner, NULL), 0, "another owner comes");
	ok(!owner_polls(owner, 0), "  and is told nothing before it serves");
	need(!zk_state(owner, ZKERN_STATE_STANDALONE, 0), "state");
}

static bool attaches(const struct call *c, uint64_t file, uint64_t session)
{
	return c->head.kind == ZKERN_CALL_ATTACH && c->head.file == file &&
	       c->head.seq == session && c->head.op == 4321 &&
	       c->head.body_len == ZKERN_PASSWD_LEN &&
	       !memcmp(c->body, "0123456789abcdef", ZKERN_PASSWD_LEN);
}

/* Of two sessions, the second one's file is closed; in any order, but for that end. */
static void is_told(uint64_t file, uint64_t session, uint64_t file2, uint64_t session2)
{
	int first = 0, second = 0, end = 0;
	struct call c;

	for (int i = 0; i < 3; i++) {
		need(owner_take(owner, &c) == 1, "take");
		first += attaches(&c, file, session);
		second += attaches(&c, file2, session2);
		end += second && c.head.kind == ZKERN_CALL_CLOSE && c.head.file == file2;
	}
	ok(first == 1 && second == 1, "it is told of the sessions that there are");
	ok(end == 1, "  and that one's file was closed meanwhile");
	c.head.file = file2;
	is(owner_say(owner, &c, ZKERN_REPLY_ENDED), 0, "  which it takes note of");
}

static void test_owner_dies(void)
{
	struct asker taken, waits, fresh;
	struct call c, b;
	int fd = owner_file(owner, id, 0x200, &c), gone = owner_file(owner, id, 0x201, &b);
	int none = zk_open(id, O_RDWR);

	ask(&taken, fd, "taken", 0);
	need(owner_take(owner, &c) == 1, "take");
	ask(&fresh, none, "fresh", 0);
	need(owner_take(owner, &c) == 1, "take");
	need(!zk_state(owner, ZKERN_STATE_DISCONNECTED, 0), "state");
	ask(&waits, fd, "waits", 0);
	usleep(20000);
	close(owner);
	is(ask_join(&taken), -ECONNRESET, "the owner goes: what it has taken");
	is(taken.q.fate, ZKERN_FATE_UNKNOWN, "  may be done");
	is(ask_join(&fresh), -ECONNRESET, "  that of a file without a session, too");
	ok(!ask_over(&waits), "what it has not taken waits");
	is(ask_now(fd, "x", 0, ZKERN_REQUEST_NOWAIT), -ENOTCONN, "who does not want to");
	close(gone);
	close(none);
	next_owner();
	is_told(b.head.file - 1, 0x200, b.head.file, 0x201);
	is(owner_take(owner, &c), 1, "it takes what waited");
	ok(c.head.file == b.head.file - 1 && !strcmp(c.body, "waits"), "  of the same file");
	owner_answer(owner, &c, 0, 0, "");
	is(ask_join(&waits), 0, "  and answers");
	ok(quiet(), "that was all");
	close(owner);
	next_owner();
	is(owner_take(owner, &b), 1, "it is told of the session that there is");
	ok(attaches(&b, c.head.file, 0x200), "  with all that takes it up again");
	is(owner_say(owner, &c, ZKERN_REPLY_EXPIRED), 0, "the session has expired");
	is(ask_now(fd, "x", 0, 0), -ESHUTDOWN, "  which the file is told");
	close(owner);
	next_owner();
	ok(quiet(), "the next one need not know of it");
	is(ask_now(fd, "x", 0, 0), -ESHUTDOWN, "  but the file still does");
	close(fd);
	ok(quiet(), "  and its end is no news");
}

int main(void)
{
	id = zk_instance(&owner);
	test_close();
	test_fork();
	test_pass();
	test_exec(true);
	test_exec(false);
	test_identity();
	test_owner_dies();
	close(owner);
	is(zk_del(id, 0), 0, "the instance goes");
	return tap_end();
}
