// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Locks within one host, by the letters of the UAPI header ("locks"): LA to LF, LJ. The test is
 * the owner, so it says what other hosts do.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lock_host.h"

/* ------------------------------------------------------------ LA, LC */

static void test_modes(void)
{
	struct locker w, r;
	struct lcall c;
	int f[4];

	granted("/modes", f, 4, EXCLUSIVE, 0x10, &c);
	is(lk(f[0], SHARED, 0, 0, NULL), 0, "LA: it is shared");
	is(lk(f[1], SHARED, 0, 0, NULL), 0, "  by two");
	locker_start(&w, f[2], EXCLUSIVE, 0, 0);
	ok(!locker_over(&w), "  who wants it alone waits");
	locker_start(&r, f[3], SHARED, 0, 0);
	ok(!locker_over(&r), "LC: who would share waits behind him");
	ok(lk_poll(f[0], 0) == POLLPRI, "those who have it see that others wait");
	is(lk_un(f[0]), 0, "one gives it back");
	ok(!locker_over(&w), "  which is not enough");
	is(lk_un(f[1]), 0, "the other one does");
	is(locker_join(&w), 0, "  he has it");
	ok(!locker_over(&r), "  alone");
	is(lk(f[0], SHARED, ZKERN_LOCK_TRY, 0, NULL), -EAGAIN, "  who tries gets no other");
	is(lk_un(f[2]), 0, "he gives it back");
	is(locker_join(&r), 0, "  the next one shares it");
	is(lk(f[0], SHARED, ZKERN_LOCK_TRY, 0, NULL), 0, "  and another who tries");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_TRY, 0, NULL), -EAGAIN, "  but nobody has it alone");
	ok(quiet(), "LD: all without a word to the owner");
	close_all(f, 4);
	ok(quiet(), "  and so it is kept");
}

#define QUEUE	6

static void test_order(void)
{
	struct locker t[QUEUE];
	struct zkern_lock last;
	struct lcall c;
	int f[QUEUE + 1], in_order = 0, greater = 0;

	granted("/order", f, QUEUE + 1, EXCLUSIVE, 0x20, &c);
	need(!lk(f[QUEUE], EXCLUSIVE, 0, 0, &last), "lock");
	for (int i = 0; i < QUEUE; i++)
		locker_start(&t[i], f[i], EXCLUSIVE, 0, i == 2 ? 50 : 0);
	is(locker_join(&t[2]), -ETIMEDOUT, "LC: one who waits in the middle leaves");
	lk_un(f[QUEUE]);
	for (int i = 0; i < QUEUE; i++) {
		if (i == 2)
			continue;
		in_order += !locker_join(&t[i]);
		greater += lk_cmp(&t[i].q, &last) > 0;
		last = t[i].q;
		for (int k = i + 1; k < QUEUE; k++)
			in_order -= k != 2 && locker_over(&t[k]);
		lk_un(f[i]);
	}
	is(in_order, QUEUE - 1, "  the others get it in the order in which they asked");
	is(greater, QUEUE - 1, "LF: each with a greater token");
	close_all(f, QUEUE + 1);
}

/* ------------------------------------------------------------ LB */

static void test_death(void)
{
	struct locker t;
	struct lcall c;
	int f[2], copy, pipes[2], status;
	char byte;
	pid_t pid;

	granted("/death", f, 2, EXCLUSIVE, 0x30, &c);
	need(!lk(f[0], EXCLUSIVE, 0, 0, NULL), "lock");
	copy = dup(f[0]);
	locker_start(&t, f[1], EXCLUSIVE, 0, 0);
	close(f[0]);
	usleep(20000);
	ok(!locker_over(&t), "LB: a copy (dup) holds it");
	close(copy);
	is(locker_join(&t), 0, "  the last copy is closed: it is free");
	lk_un(f[1]);
	need(!pipe(pipes), "pipe");
	pid = fork();
	if (!pid) {
		int fd = lk_open(dev, "/death");

		close(pipes[0]);
		if (lk(fd, EXCLUSIVE, 0, 0, NULL) || write(pipes[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(pipes[1]);
	need(read(pipes[0], &byte, 1) == 1, "child");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_TRY, 0, NULL), -EAGAIN, "another process has it");
	locker_start(&t, f[1], EXCLUSIVE, 0, 0);
	kill(pid, SIGKILL);
	is(locker_join(&t), 0, "  it is killed: it is free");
	need(waitpid(pid, &status, 0) == pid, "wait");
	ok(quiet(), "  and nobody was asked");
	lk_un(f[1]);
	pid = fork();
	if (!pid) {
		struct locker w;

		close(f[1]);
		locker_start(&w, lk_open(dev, "/death"), EXCLUSIVE, 0, 0);
		raise(SIGKILL);
	}
	need(waitpid(pid, &status, 0) == pid, "wait");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_TRY, 0, NULL), 0, "the dead hold nothing");
	close(f[1]);
	close(pipes[0]);
}

/* ------------------------------------------------------------ asking the owner */

static void test_wish(void)
{
	struct locker t, u;
	struct lcall c, d;
	int f[2];

	files("/wish", f, 2);
	locker_start(&t, f[0], SHARED, 0, 100);
	is(lo_take(owner, &c), 1, "the owner is asked");
	ok(c.head.mode == SHARED && !strcmp(c.path, "/wish") && !c.head.base, "  for what");
	is(locker_join(&t), -ETIMEDOUT, "who waits gives up");
	is_given_back(&c, "the owner hears of it");
	is(lo_grant(owner, &c, 0x40), 0, "a grant that comes too late");
	is(lk(f[0], SHARED, ZKERN_LOCK_TRY, 20, NULL), -ETIMEDOUT, "  is none");
	locker_start(&t, f[0], SHARED, 0, 0);
	locker_start(&u, f[1], EXCLUSIVE, 0, 0);
	lo_serve(owner, SHARED, 0x41, &c);
	is(locker_join(&t), 0, "a shared grant");
	ok(t.q.token_hi == 0x41 && t.q.end_ns > t.q.now_ns, "  its token, and until when");
	ok(!locker_over(&u), "  is not enough for who wants it alone");
	ok(quiet(), "  who waits for the other first");
	lk_un(f[0]);
	is(lo_take(owner, &d), 1, "then another one is asked for");
	ok(d.head.lock == c.head.lock && d.head.seq > c.head.seq && d.head.mode == EXCLUSIVE,
	   "  in its place");
	is(lo_grant(owner, &d, 0x40), -EINVAL, "LF: it cannot be older than the last");
	is(lo_grant(owner, &d, 0x42), 0, "  but younger");
	is(locker_join(&u), 0, "  and then he has it");
	ok(lk_cmp(&u.q, &t.q) > 0, "  with a greater token");
	lk_un(f[1]);
	is(lk(f[0], SHARED, 0, 0, NULL), 0, "LD: what is exclusive is enough to share");
	close_all(f, 2);
}

static void test_try(void)
{
	struct locker t;
	struct lcall c;
	int f[2];

	files("/try", f, 2);
	locker_start(&t, f[0], EXCLUSIVE, ZKERN_LOCK_TRY, 0);
	need(lo_take(owner, &c) == 1, "take");
	ok(!locker_over(&t), "who tries waits until the owner knows more");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_TRY, 0, NULL), -EAGAIN, "  but not behind another");
	lo_say(owner, &c, (struct zkern_lock_reply){ .kind = ZKERN_LOCK_QUEUED });
	is(locker_join(&t), -EAGAIN, "  others have it");
	is_given_back(&c, "the owner hears of it");
	locker_start(&t, f[0], EXCLUSIVE, ZKERN_LOCK_TRY, 0);
	lo_serve(owner, EXCLUSIVE, 0x50, &c);
	is(locker_join(&t), 0, "nobody has it: he does");
	lk_un(f[0]);
	lo_revoke(owner, &c, 0, 0);
	is_given_back(&c, "LE: nobody has it and others wait");
	locker_start(&t, f[0], EXCLUSIVE, 0, 0);
	need(lo_take(owner, &c) == 1, "take");
	lo_say(owner, &c, (struct zkern_lock_reply){ .kind = ZKERN_LOCK_QUEUED });
	usleep(20000);
	ok(!locker_over(&t), "who does not just try waits behind others");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_TRY, 0, NULL), -EAGAIN, "  who just tries does not");
	lo_say(owner, &c, (struct zkern_lock_reply){ .kind = ZKERN_LOCK_REFUSE, .err = ENOENT });
	is(locker_join(&t), -ENOENT, "the owner says that it cannot be had");
	is_given_back(&c, "nobody wants it any more");
	is(lo_say(owner, &c, (struct zkern_lock_reply){ .kind = ZKERN_LOCK_REFUSE }), -EINVAL,
	   "a refusal needs a reason");
	is(lo_say(owner, &c, (struct zkern_lock_reply){ .kind = 77 }), -EINVAL,
	   "and an answer a kind");
	close_all(f, 2);
}

static void test_async(void)
{
	struct zkern_lock q;
	struct lcall c;
	int f[2];

	files("/async", f, 2);
	is(lk(f[0], EXCLUSIVE, ZKERN_LOCK_ASYNC | ZKERN_LOCK_PASSED, 0, NULL), -EINPROGRESS,
	   "asked, not waited for");
	is(lk(f[0], EXCLUSIVE, ZKERN_LOCK_ASYNC, 0, NULL), -EINPROGRESS, "  is still asked");
	is(lk(f[0], SHARED, ZKERN_LOCK_ASYNC, 0, NULL), -EBUSY, "  in one mode");
	is(lk_held(f[0], NULL), -ENOLCK, "  and not there");
	is(lk_poll(f[0], 0), 0, "  which poll says");
	lo_serve(owner, EXCLUSIVE, 0x60, &c);
	is(lk_poll(f[0], LONG * 1000), POLLIN, "it is there, poll says");
	is(lk(f[0], EXCLUSIVE, ZKERN_LOCK_ASYNC, 0, &q), 0, "  and is fetched");
	is(q.token_hi, 0x60, "  with its token");
	is(lk(f[0], EXCLUSIVE, 0, 0, NULL), -EDEADLK, "  once");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_ASYNC, 0, NULL), -EINPROGRESS, "the next one asks");
	is(lk_poll(f[0], 0), POLLPRI, "  which who has it sees");
	is(lk_un(f[1]), 0, "  and takes it back");
	is(lk_poll(f[0], 0), 0, "  which is seen, too");
	is(lk_un(f[1]), -ENOLCK, "  and that was all");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_ASYNC, 0, NULL), -EINPROGRESS, "he asks again");
	is(lk(f[1], EXCLUSIVE, 0, 20, NULL), -ETIMEDOUT, "  and waits after all, in vain");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_ASYNC, 0, NULL), -EINPROGRESS, "  and again");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_TRY, 0, NULL), -EAGAIN, "  and would rather not wait");
	is(lk_un(f[1]), -ENOLCK, "  which was all");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_ASYNC, 0, NULL), -EINPROGRESS, "he asks once more");
	lk_un(f[0]);
	is(lk_poll(f[1], 0), POLLIN, "  until it is there");
	is(lk_un(f[1]), 0, "  and may be given back unseen");
	lo_revoke(owner, &c, 0, 0);
	is_given_back(&c, "others wait");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_ASYNC, 0, NULL), -EINPROGRESS, "what is asked");
	need(lo_take(owner, &c) == 1, "take");
	lo_say(owner, &c, (struct zkern_lock_reply){ .kind = ZKERN_LOCK_REFUSE, .err = EACCES });
	is(lk_poll(f[1], 0), POLLIN, "  and refused, poll says");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_ASYNC, 0, NULL), -EACCES, "  and it is told");
	is_given_back(&c, "nobody wants it");
	close_all(f, 2);
}

/* ------------------------------------------------------------ LE */

static void test_turns(void)
{
	struct locker t[4];
	struct lcall c, d;
	int f[5];

	granted("/turns", f, 5, EXCLUSIVE, 0x70, &c);
	need(!lk(f[4], EXCLUSIVE, 0, 0, NULL), "lock");
	for (int i = 0; i < 4; i++)
		locker_start(&t[i], f[i], EXCLUSIVE, 0, 0);
	is(lo_revoke(owner, &c, 2, HOUR), 0, "LE: others wait; two more may have it");
	is(lo_revoke(owner, &c, 9, HOUR), 0, "  which is not more when it is said again");
	lk_un(f[4]);
	is(locker_join(&t[0]), 0, "  the first");
	lk_un(f[0]);
	is(locker_join(&t[1]), 0, "  the second");
	ok(quiet(), "  it is not given back before");
	lk_un(f[1]);
	is(lo_take(owner, &d), 1, "it is given back");
	ok(d.head.seq > c.head.seq && d.head.mode == EXCLUSIVE && !d.head.base,
	   "  and asked for anew, behind the others");
	ok(!locker_over(&t[2]), "  the third waits");
	is(lo_grant(owner, &d, 0x71), 0, "the host has it again");
	is(locker_join(&t[2]), 0, "  the third has it");
	is(lo_revoke(owner, &d, 1000, 1), 0, "others wait, and time is short");
	usleep(20000);
	lk_un(f[2]);
	is(lo_take(owner, &c), 1, "it is given back at once");
	ok(!locker_over(&t[3]), "  the fourth waits");
	is(lo_grant(owner, &c, 0x72), 0, "  and the host gets it again");
	is(locker_join(&t[3]), 0, "  and he");
	close_all(f, 5);
	lo_revoke(owner, &c, 1, 1);
	is_given_back(&c, "a lock that no file refers to");
	ok(quiet(), "  and is forgotten");
}

/* ------------------------------------------------------------ LJ */

/* A thread that locks @a, then waits for @b; told when it is to give up @a. */
struct ring {
	pthread_t thread;
	int a, b, err;
	uint32_t flags;
	pthread_barrier_t *all;
};

static void *ring_thread(void *arg)
{
	struct ring *r = arg;

	need(!lk(r->a, EXCLUSIVE, r->flags, 0, NULL), "lock");
	pthread_barrier_wait(r->all);
	r->err = lk(r->b, EXCLUSIVE, 0, r->flags ? 100 : 0, NULL);
	lk_un(r->a);
	if (!r->err)
		lk_un(r->b);
	return NULL;
}

/* @n threads in a ring: how many were told of it, and how many got both. */
static void ring(const char *prefix, int n, uint32_t flags, int *told, int *got)
{
	pthread_barrier_t all;
	struct ring r[8];
	struct lcall c;
	char path[64];
	int f[2];

	need(!pthread_barrier_init(&all, NULL, n), "barrier");
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/%s%d", prefix, i);
		granted(path, f, 2, EXCLUSIVE, 0xa0, &c);
		r[i].a = f[0];
		r[(i + n - 1) % n].b = f[1];
	}
	for (int i = 0; i < n; i++) {
		r[i].all = &all;
		r[i].flags = flags;
		need(!pthread_create(&r[i].thread, NULL, ring_thread, &r[i]), "thread");
	}
	*told = *got = 0;
	for (int i = 0; i < n; i++) {
		need(!pthread_join(r[i].thread, NULL), "join");
		*told += r[i].err == -EDEADLK;
		*got += !r[i].err;
		close(r[i].a);
		close(r[i].b);
	}
	pthread_barrier_destroy(&all);
}

static void test_ring(void)
{
	int told, got, f[2];
	struct lcall c;

	granted("/self", f, 2, EXCLUSIVE, 0xa0, &c);
	need(!lk(f[0], EXCLUSIVE, 0, 0, NULL), "lock");
	is(lk(f[0], EXCLUSIVE, 0, 0, NULL), -EDEADLK, "LJ: a file that has it");
	is(lk(f[1], EXCLUSIVE, 0, 0, NULL), -EDEADLK, "  another file of who has it");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_TRY, 0, NULL), -EAGAIN, "  if it would wait");
	need(!lk_un(f[0]) && !lk(f[0], EXCLUSIVE, ZKERN_LOCK_PASSED, 0, NULL), "lock");
	is(lk(f[1], EXCLUSIVE, 0, 20, NULL), -ETIMEDOUT, "  and nobody else gives it back");
	close_all(f, 2);
	ring("two", 2, 0, &told, &got);
	ok(told == 1 && got == 1, "two in a ring: one is told, the other gets on");
	ring("seven", 7, 0, &told, &got);
	ok(told == 1 && got == 6, "  seven");
	ring("passed", 2, ZKERN_LOCK_PASSED, &told, &got);
	is(told, 0, "  who may be helped is not told");
}

/* ------------------------------------------------------------ signals */

static volatile int signals;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void catch(int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	need(!sigaction(SIGUSR1, &sa, NULL), "sigaction");
	signals = 0;
}

static void hit(struct locker *t)
{
	double end = now() + LONG;

	signals = 0;
	need(!pthread_kill(t->thread, SIGUSR1), "kill");
	while (!signals && now() < end && !locker_over(t) && !(t->flags & ZKERN_LOCK_KILLABLE))
		usleep(1000);
	usleep(20000);
}

static void test_signals(void)
{
	struct lcall c;
	struct locker t;
	int f[2];

	granted("/signals", f, 2, EXCLUSIVE, 0xb0, &c);
	need(!lk(f[0], EXCLUSIVE, 0, 0, NULL), "lock");
	catch(0);
	locker_start(&t, f[1], EXCLUSIVE, 0, 0);
	hit(&t);
	is(locker_join(&t), -EINTR, "a signal ends the wait");
	catch(SA_RESTART);
	locker_start(&t, f[1], EXCLUSIVE, 0, 0);
	hit(&t);
	ok(signals == 1 && !locker_over(&t), "  or begins it anew");
	lk_un(f[0]);
	is(locker_join(&t), 0, "  and he gets it");
	locker_start(&t, f[0], EXCLUSIVE, 0, LONG * 1000);
	hit(&t);
	is(locker_join(&t), -EINTR, "  but not with a time limit");
	locker_start(&t, f[0], EXCLUSIVE, ZKERN_LOCK_KILLABLE, LONG * 1000);
	hit(&t);
	ok(!signals && !locker_over(&t), "who may only be killed waits on");
	is(lk(f[0], EXCLUSIVE, 0, 0, NULL), -EBUSY, "  and nobody else with that file");
	is(lk_un(f[0]), -EBUSY, "  nor gives it back");
	lk_un(f[1]);
	is(locker_join(&t), 0, "  until he has it");
	is(lk(f[1], EXCLUSIVE, ZKERN_LOCK_KILLABLE, 20, NULL), -ETIMEDOUT, "  or his time is over");
	close_all(f, 2);
}

/* ------------------------------------------------------------ access, bounds */

static int open_as(void *arg)
{
	int fd = lk_open(dev, arg);

	return fd >= 0 ? 0 : -fd;
}

static void test_access(void)
{
	struct zkern_lock_open q = { .size = sizeof(q), .path = ptr("/modes"), .path_len = 6 };
	struct batch b = {};
	struct acl acl;
	int fd, rd;

	acl_none(&acl);
	acl_add(&acl, READ | CREATE, "uid", "1001");
	acl_add(&acl, READ, "uid", "1002");
	acl_add(&acl, CREATE, "uid", "1003");
	batch_txn(&b, ++zxid);
	batch_create_acl(&b, "/access", "", &acl);
	need(!zk_apply(owner, &b, NULL), "apply");
	batch_free(&b);
	is(as_user(1001, 1, 1, open_as, "/access"), 0, "who may create and read may lock");
	is(as_user(1002, 1, 1, open_as, "/access"), EACCES, "  who may only read may not");
	is(as_user(1003, 1, 1, open_as, "/access"), EACCES, "  nor who may only create");
	is(lk_open(dev, "/none"), -ENOENT, "no node, no lock");
	is(lk_open(dev, "/x//y"), -EINVAL, "no path");
	rd = zk_open(id, O_RDONLY);
	is(lk_open(rd, "/modes"), -EBADF, "a file that may not write");
	close(rd);
	q.flags = 1;
	is(zk_ioctl(dev, ZKERN_LOCK_OPEN, &q), -EINVAL, "flags that are none");
	q = (struct zkern_lock_open){ .size = sizeof(q), .path_len = 5000, .path = ptr("/") };
	is(zk_ioctl(dev, ZKERN_LOCK_OPEN, &q), -ENAMETOOLONG, "a path that is too long");
	fd = lk_open(dev, "/modes");
	is(lk(fd, 0, 0, 0, NULL), -EINVAL, "no mode");
	is(lk(fd, 3, 0, 0, NULL), -EINVAL, "  or none that there is");
	is(lk(fd, 1, 16, 0, NULL), -EINVAL, "a flag that is none");
	is(zk_ioctl(fd, ZKERN_GET, &q), -ENOTTY, "what is not a lock's to do");
	is(zk_ioctl(dev, ZKERN_LOCK, &q), -ENOTTY, "what is only a lock's");
	is(lo_lease(dev, 1, 1), -EPERM, "who is not the owner");
	close(fd);
}

static void set_param(const char *name, const char *value)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/zkern/parameters/%s", name);
	f = fopen(path, "w");
	need(f && fputs(value, f) >= 0 && !fclose(f), "parameter");
}

static int open_three(void *arg)
{
	int i, fd = 0;

	for (i = 0; i < 3 && fd >= 0; i++)
		fd = lk_open(dev, arg);
	return fd >= 0 ? 0 : fd == -ENOSPC && i == 3 ? 1 : 2;
}

static void test_bounds(void)
{
	struct lcall kept[3];
	char path[16];
	int f[1];

	set_param("lock_max", "2");
	is(as_user(1001, 1, 1, open_three, "/modes"), 1, "a user has so many lock files");
	set_param("lock_max", "4096");
	is(as_user(1001, 1, 1, open_three, "/modes"), 0, "  and no longer when they are closed");
	forget(0x2000);
	set_param("lock_cache", "2");
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/kept%d", i);
		granted(path, f, 1, EXCLUSIVE, 0xc0 + i, &kept[i]);
		ok(i == 2 || quiet(), "nobody refers to lock %d", i);
		close(f[0]);
	}
	is_given_back(&kept[0], "so many are kept");
	ok(quiet(), "  and no fewer");
	set_param("lock_cache", "1024");
	f[0] = lk_open(dev, "/kept1");
	is(lk(f[0], EXCLUSIVE, ZKERN_LOCK_TRY, 0, NULL), 0, "what is kept is there");
	close(f[0]);
}

int main(void)
{
	begin();
	test_modes();
	test_order();
	test_death();
	test_wish();
	test_try();
	test_async();
	test_turns();
	test_ring();
	test_signals();
	test_access();
	test_bounds();
	close(dev);
	close(owner);
	is(zk_del(id, 0), 0, "the instance goes");
	return tap_end();
}
