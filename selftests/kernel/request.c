// SPDX-License-Identifier: GPL-2.0-or-later
/* ZKERN_REQUEST: what is asked, taken and answered; signals, timeouts, limits. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "tap.h"

static int id, owner, fd;

static void test_refused(void)
{
	static const int foreign[] = { 0, 3, 4, 6, 8, 11, 12, 13, 16, 20, 22, 100, 101, 102, 106,
				       -1, -10, -11 };
	struct asker a;
	struct call c;
	int ro = zk_open(id, O_RDONLY);

	is(ask_now(ro, "x", 0, 0), -EBADF, "a file that is open for reading cannot write");
	close(ro);
	ask_fill(&a, fd, "x", 0);
	a.q.flags = 2;
	is(zk_ioctl(fd, ZKERN_REQUEST, &a.q), -EINVAL, "an unknown flag");
	ask_fill(&a, fd, "x", 0);
	a.q.cookie = 1;
	is(zk_ioctl(fd, ZKERN_REQUEST, &a.q), -EINVAL, "a cookie");
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		ask_fill(&a, fd, "x", 0);
		a.q.op = foreign[i];
		is(zk_ioctl(fd, ZKERN_REQUEST, &a.q), -EOPNOTSUPP, "operation %d", a.q.op);
	}
	ask_fill(&a, fd, "x", 0);
	a.q.buf_len = ZKERN_REQUEST_MAX + 1;
	is(zk_ioctl(fd, ZKERN_REQUEST, &a.q), -EMSGSIZE, "too long");
	is(a.q.fate, ZKERN_FATE_NONE, "  had no effect");
	ask_fill(&a, fd, "x", 0);
	a.q.buf = 8;
	is(zk_ioctl(fd, ZKERN_REQUEST, &a.q), -EFAULT, "a bad address");
	is(owner_try(fd, &c), -EPERM, "no other can take");
	is(owner_say(fd, &c, ZKERN_REPLY_EXPIRED), -EPERM, "  nor answer");
	is(owner_try(owner, &c), 0, "none of that came to the owner");
}

static void test_answer(void)
{
	struct asker a;
	struct call c;

	ok(!owner_polls(owner, 0), "there is nothing to take");
	ask(&a, fd, "record", 0);
	is(owner_take(owner, &c), 1, "a request is taken");
	ok(c.head.kind == ZKERN_CALL_REQUEST && c.head.op == OP_SET && c.head.uid == getuid() &&
	   c.head.gid == getgid() && c.head.pid == getpid() && c.head.body_len == 6 &&
	   !strcmp(c.body, "record"), "  as it was made");
	ok(!owner_polls(owner, 0), "  once");
	ok(!ask_over(&a), "  and waits");
	is(owner_session(owner, &c, 0x1234), 0, "the owner says which session");
	is(owner_answer(owner, &c, 10, -101, "answer"), 0, "  and what became of it");
	is(ask_join(&a), 0, "it is answered");
	ok(a.q.err == -101 && a.q.zxid == 10 && a.q.out_len == 6 && !strcmp(a.out, "answer") &&
	   a.q.fate == ZKERN_FATE_ANSWERED && a.q.session == 0x1234 && a.q.session_ms == 4321,
	   "  as was said");
	ask(&a, fd, "record", 0);
	is(owner_take(owner, &c), 1, "another one");
	is(owner_answer(owner, &c, 11, 0,
			"longer than the sixty-four bytes of room that it has been given: cut"),
	   0, "is answered at length");
	is(ask_join(&a), -EMSGSIZE, "  too long for it");
	ok(a.q.out_len == 68 && a.q.fate == ZKERN_FATE_ANSWERED &&
	   !memcmp(a.out, "longer than", 11), "  but it knows that it is done");
	is(owner_answer(owner, &c, 12, 0, ""), 0, "a second answer is passed over");
}

static void test_seen(void)
{
	char buf[16];
	struct zkern_get get = { 0 };
	struct asker a;
	struct call c;

	ask(&a, fd, "x", 0);
	need(owner_take(owner, &c) == 1, "take");
	is(owner_answer(owner, &c, 50, 0, ""), 0, "an answer at a zxid");
	is(ask_join(&a), 0, "  which the tree does not have");
	is(zk_get(fd, "/c", buf, sizeof(buf), &get), -ESTALE, "nothing older is read then");
	zk_set(owner, 50, "/c", "new", 0);
	get = (struct zkern_get){ 0 };
	is(zk_get(fd, "/c", buf, sizeof(buf), &get), 0, "  but when it has");
	is(get.zxid, 50, "  it is that");
}

static void test_order(void)
{
	struct asker a[8];
	struct call c[8];
	char body[8];
	int bad = 0;

	for (int i = 0; i < 8; i++) {
		snprintf(body, sizeof(body), "%d", i);
		ask(&a[i], fd, body, 0);
		/* in this order */
		need(owner_take(owner, &c[i]) == 1, "take");
		bad += strcmp(c[i].body, body) || c[i].head.file != c[0].head.file ||
		       (i && c[i].head.seq <= c[i - 1].head.seq);
	}
	is(bad, 0, "many threads' requests in a file");
	for (int i = 7; i >= 0; i--)
		owner_answer(owner, &c[i], 50, -i, "");
	for (int i = 0; i < 8; i++)
		bad += ask_join(&a[i]) || a[i].q.err != -i;
	is(bad, 0, "  each gets its answer");
}

/* ------------------------------------------------------------ signals, time */

static void on_signal(int sig)
{
	(void)sig;
}

static void catch(int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	sigaction(SIGUSR1, &sa, NULL);
}

static void quorum(bool there)
{
	need(!zk_state(owner, there ? ZKERN_STATE_STANDALONE : ZKERN_STATE_DISCONNECTED, 0),
	     "state");
}

/* It may not be in the call yet when the first one comes. */
static void signal_until_over(const struct asker *a)
{
	double end = now() + LONG;

	while (!ask_over(a) && now() < end) {
		pthread_kill(a->thread, SIGUSR1);
		usleep(10000);
	}
}

static void test_signal(void)
{
	struct asker a;
	struct call c;

	catch(0);
	quorum(false);
	ask(&a, fd, "x", 0);
	usleep(20000);
	ok(!ask_over(&a) && !owner_polls(owner, 0), "without a quorum a request waits");
	signal_until_over(&a);
	is(ask_join(&a), -EINTR, "a signal ends that");
	is(a.q.fate, ZKERN_FATE_NONE, "  without an effect");
	quorum(true);
	is(owner_try(owner, &c), 0, "  for good");

	ask(&a, fd, "y", 0);
	need(owner_take(owner, &c) == 1, "take");
	for (int i = 0; i < 5; i++) {
		pthread_kill(a.thread, SIGUSR1);
		usleep(10000);
	}
	ok(!ask_over(&a), "a signal to one that is taken does not end it");
	is(owner_answer(owner, &c, 50, 0, "done"), 0, "  the answer");
	is(ask_join(&a), 0, "  does");
	is(a.q.fate, ZKERN_FATE_ANSWERED, "  with what became of it");
}

static void test_restart(void)
{
	struct asker a;
	struct call c;

	catch(SA_RESTART);
	quorum(false);
	ask(&a, fd, "again", 0);
	for (int i = 0; i < 5; i++) {
		usleep(10000);
		pthread_kill(a.thread, SIGUSR1);
	}
	ok(!ask_over(&a), "with SA_RESTART it goes on after signals");
	quorum(true);
	is(owner_take(owner, &c), 1, "  is taken");
	owner_answer(owner, &c, 50, 0, "");
	is(ask_join(&a), 0, "  and answered");
	is(owner_try(owner, &c), 0, "  once");
	quorum(false);
	ask(&a, fd, "timed", LONG * 1000);
	signal_until_over(&a);
	is(ask_join(&a), -EINTR, "but not if that made its time longer");
	quorum(true);
	signal(SIGUSR1, SIG_IGN);
}

static int die_asking(void *arg)
{
	return ask_now(*(int *)arg, "last words", 0, 0) ? 1 : 0;
}

/* A child asks; it is killed when that is taken. */
static void test_kill(void)
{
	struct call c;
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(die_asking(&fd));
	need(owner_take(owner, &c) == 1, "take");
	kill(pid, SIGKILL);
	is(waitpid(pid, &status, 0), pid, "who is killed need not wait for the owner");
	is(owner_answer(owner, &c, 50, 0, ""), 0, "  who answers nobody");
	ok(!owner_polls(owner, 0), "  the file is open elsewhere, its session goes on");
}

static void test_timeouts(void)
{
	struct asker a;
	struct call c;
	double began;

	quorum(false);
	is(ask_now(fd, "x", 0, ZKERN_REQUEST_NOWAIT), -ENOTCONN, "who does not want to wait");
	began = now();
	ask(&a, fd, "x", 50);
	is(ask_join(&a), -ETIMEDOUT, "who does not want to wait for long");
	ok(now() - began >= 0.05, "  not a moment too early");
	is(a.q.fate, ZKERN_FATE_NONE, "  without an effect");
	quorum(true);
	is(owner_try(owner, &c), 0, "  for good");
	do {		/* a loaded machine may be too slow once */
		ask(&a, fd, "x", 300);
	} while (!owner_polls(owner, 200) && ask_join(&a) == -ETIMEDOUT);
	if (owner_take(owner, &c) == 1) {
		is(ask_join(&a), -ETIMEDOUT, "one that is taken and not answered in time");
		is(a.q.fate, ZKERN_FATE_UNKNOWN, "  may be done");
		is(owner_answer(owner, &c, 50, 0, ""), 0, "  as it is, later");
	}
	ask(&a, fd, "x", 0);
	need(owner_take(owner, &c) == 1, "take");
	is(owner_fail(owner, &c, EMSGSIZE, ZKERN_FATE_NONE), 0, "the owner refuses one");
	is(ask_join(&a), -EMSGSIZE, "  with an error of his");
	is(a.q.fate, ZKERN_FATE_NONE, "  and says that it is not done");
}

/* ------------------------------------------------------------ the owner's mistakes */

static void test_take(void)
{
	struct zkern_take t = { .size = sizeof(t), .buf = 8, .buf_len = 4096 };
	struct zkern_answer w = { .size = sizeof(w) };
	struct zkern_reply r = { .kind = 9, .len = sizeof(r) };
	struct asker a;
	struct call c;

	ask(&a, fd, "x", 0);
	need(owner_polls(owner, LONG * 1000), "poll");
	is(zk_ioctl(owner, ZKERN_TAKE, &t), -EFAULT, "taken to nowhere");
	t.buf_len = 8;
	is(zk_ioctl(owner, ZKERN_TAKE, &t), -EMSGSIZE, "taken to where it does not fit");
	is(t.used, 56, "  which says how much it wants");
	is(owner_take(owner, &c), 1, "  is still there");
	w.buf = ptr(&r);
	w.buf_len = sizeof(r);
	is(zk_ioctl(owner, ZKERN_ANSWER, &w), -EINVAL, "an answer of no kind");
	r.kind = ZKERN_REPLY_ANSWER;
	r.body_len = 1;
	is(zk_ioctl(owner, ZKERN_ANSWER, &w), -EINVAL, "  longer than it is");
	r.body_len = 0;
	r.len += 8;
	is(zk_ioctl(owner, ZKERN_ANSWER, &w), -EINVAL, "  of a record that ends too late");
	w.buf_len = 8;
	is(zk_ioctl(owner, ZKERN_ANSWER, &w), -EINVAL, "  too short to be one");
	w.buf = 8;
	w.buf_len = sizeof(r);
	is(zk_ioctl(owner, ZKERN_ANSWER, &w), -EFAULT, "  from nowhere");
	owner_answer(owner, &c, 50, 0, "");
	is(ask_join(&a), 0, "the answer");
}

/*
 * A buffer that ends, with its page, in the middle of the second record. Should that not be
 * there yet in some round, nothing is shown by it.
 */
static void test_take_part(void)
{
	const size_t whole = sizeof(struct zkern_call) + 8, page = sysconf(_SC_PAGESIZE);
	char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	char *at = pages + page - whole - sizeof(struct zkern_call);
	int wrong = 0, both = 0;
	struct asker a[2];
	struct call c = { 0 };

	need(pages != MAP_FAILED && !mprotect(pages + page, page, PROT_NONE), "mmap");
	for (int i = 0; i < 20; i++) {
		struct zkern_take t = { .size = sizeof(t), .buf = ptr(at), .buf_len = page };

		ask(&a[0], fd, "x", 0);
		ask(&a[1], fd, "x", 0);
		need(owner_polls(owner, LONG * 1000), "poll");
		usleep(20000);
		need(!zk_ioctl(owner, ZKERN_TAKE, &t) && t.count == 1, "take");
		wrong += t.used != whole;
		both += owner_polls(owner, 0);
		memcpy(&c.head, at, sizeof(c.head));
		owner_answer(owner, &c, 50, 0, "");
		need(owner_take(owner, &c) == 1, "take");
		owner_answer(owner, &c, 50, 0, "");
		need(!ask_join(&a[0]) && !ask_join(&a[1]), "asked");
	}
	is(wrong, 0, "of a record that does not go in, nothing counts (%d)", both);
	munmap(pages, 2 * page);
}

/* ------------------------------------------------------------ limits */

static void test_file_limit(void)
{
	struct asker a[ZKERN_FILE_REQUESTS];
	struct call c[ZKERN_FILE_REQUESTS], end;
	int bad = 0;

	for (int i = 0; i < ZKERN_FILE_REQUESTS; i++) {
		ask(&a[i], fd, "x", 0);
		need(owner_take(owner, &c[i]) == 1, "take");
	}
	is(ask_now(fd, "x", 0, 0), -EAGAIN, "a file has so many requests and no more");
	owner_say(owner, &c[0], ZKERN_REPLY_EXPIRED);
	is(ask_now(fd, "x", 0, 0), -ESHUTDOWN, "its session ends: nothing more is asked");
	for (int i = 0; i < ZKERN_FILE_REQUESTS; i++)
		owner_fail(owner, &c[i], ECONNRESET, ZKERN_FATE_UNKNOWN);
	for (int i = 0; i < ZKERN_FILE_REQUESTS; i++)
		bad += ask_join(&a[i]) != -ECONNRESET || a[i].q.fate != ZKERN_FATE_UNKNOWN;
	is(bad, 0, "  what had been taken has its answer");
	close(fd);
	is(owner_take(owner, &end), 1, "the file's end");
	is(end.head.kind, ZKERN_CALL_CLOSE, "  is told");
	is(owner_say(owner, &end, ZKERN_REPLY_ENDED), 0, "  and taken note of");
	fd = zk_open(id, O_RDWR);
}

static void test_user_limit(void)
{
	struct asker a[2], more;
	struct call c[2];

	for (int i = 0; i < 2; i++) {
		ask_fill(&a[i], fd, "x", 0);
		a[i].q.out_cap = ZKERN_REQUEST_MAX;
		ask_start(&a[i]);
		need(owner_take(owner, &c[i]) == 1, "take");
	}
	is(ask_now(fd, "x", 0, 0), -EAGAIN, "a user has so many bytes and no more");
	owner_answer(owner, &c[0], 50, 0, "");
	is(ask_join(&a[0]), 0, "one is answered");
	ask(&more, fd, "x", 0);
	is(owner_take(owner, &c[0]), 1, "  and another one asked");
	owner_answer(owner, &c[0], 50, 0, "");
	owner_answer(owner, &c[1], 50, 0, "");
	is(ask_join(&more), 0, "  it is answered");
	is(ask_join(&a[1]), 0, "  as the other one");
}

static void test_sessions_limit(void)
{
	struct rlimit lim = { ZKERN_USER_SESSIONS + 100, ZKERN_USER_SESSIONS + 100 };
	int files[ZKERN_USER_SESSIONS], n = 0, err;

	need(!setrlimit(RLIMIT_NOFILE, &lim), "files");
	quorum(false);
	is(ask_now(fd, "x", 0, ZKERN_REQUEST_NOWAIT), -ENOTCONN, "a session");
	do {
		files[n] = zk_open(id, O_RDWR);
		need(files[n] >= 0, "open");
		err = ask_now(files[n++], "x", 0, ZKERN_REQUEST_NOWAIT);
	} while (err == -ENOTCONN && n < ZKERN_USER_SESSIONS);
	is(err, -ENOSPC, "a user has so many sessions and no more");
	is(n, ZKERN_USER_SESSIONS, "  with the first one");
	close(files[0]);
	is(ask_now(files[n - 1], "x", 0, ZKERN_REQUEST_NOWAIT), -ENOTCONN, "  until one goes");
	while (--n > 0)
		close(files[n]);
	quorum(true);
	ok(!owner_polls(owner, 0), "what no owner has heard of no owner is told of");
}

static void test_removal(void)
{
	struct asker a, b;
	struct call c;

	ask(&a, fd, "taken", 0);
	need(owner_take(owner, &c) == 1, "take");
	quorum(false);
	ask(&b, fd, "waits", 0);
	usleep(20000);
	is(zk_del(id, ZKERN_DEL_FORCE), 0, "the instance is removed");
	is(ask_join(&a), -ENODEV, "one that is taken");
	is(a.q.fate, ZKERN_FATE_UNKNOWN, "  has no known end");
	is(ask_join(&b), -ENODEV, "one that waits");
	is(b.q.fate, ZKERN_FATE_NONE, "  has none");
	is(ask_now(fd, "x", 0, 0), -ENODEV, "no more is asked");
	is(owner_try(owner, &c), -ENODEV, "  nor taken");
	close(fd);
	close(owner);
}

int main(void)
{
	id = zk_instance(&owner);
	fd = zk_open(id, O_RDWR | O_CLOEXEC);
	need(fd >= 0, "open");
	zk_create(owner, 5, "/c", "old");
	test_refused();
	test_answer();
	test_seen();
	test_order();
	test_signal();
	test_restart();
	test_kill();
	test_timeouts();
	test_take();
	test_take_part();
	test_user_limit();
	test_file_limit();
	test_sessions_limit();
	test_removal();
	return tap_end();
}
