// SPDX-License-Identifier: GPL-2.0-or-later
/* How locks are lost, by the letters of the UAPI header ("locks"): LG, LH; and LI. */
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lock_host.h"

/* ------------------------------------------------------------ LG, LH */

static void is_lost(int fd, const char *what)
{
	struct pollfd p = { .fd = fd };

	ok(poll(&p, 1, LONG * 1000) == 1 && p.revents == (POLLERR | POLLHUP), "%s: poll says so",
	   what);
	is(lk_held(fd, NULL), -ESTALE, "  and who asks");
	is(lk(fd, SHARED, 0, 0, NULL), -ESTALE, "  and who would lock");
	is(lk_un(fd), -ESTALE, "  and who gives it back");
	is(lk_un(fd), -ENOLCK, "  once");
}

static void test_lease(void)
{
	struct zkern_lock q;
	struct locker t;
	struct lcall c, d;
	int f[3];
	double begin;

	forget(0x1234);
	granted("/lease", f, 3, EXCLUSIVE, 0x80, &c);
	is(lk(f[0], EXCLUSIVE, 0, 0, &q), 0, "LG: it is locked");
	ok(q.end_ns > q.now_ns && q.end_ns - q.now_ns <= HOUR * 1000000LL, "  until a time");
	locker_start(&t, f[1], EXCLUSIVE, 0, 0);
	begin = now();
	is(lo_lease(owner, 0x1234, 300), 0, "the lease is for a while");
	is_lost(f[0], "LH: it ends, and the owner does nothing");
	ok(now() - begin >= 0.3, "  not before it is over");
	ok(!locker_over(&t), "  and nobody else gets it");
	is(lo_take(owner, &d), 1, "the owner is told");
	ok(d.head.lock == c.head.lock && d.head.seq > c.head.seq && d.head.mode == EXCLUSIVE &&
	   !d.head.base, "  to ask for it anew");
	is(lo_grant(owner, &d, 0x81), 0, "a grant without a lease");
	is(lo_take(owner, &c), 1, "  is asked for once more");
	ok(c.head.seq > d.head.seq && !locker_over(&t), "  and gives nothing");
	is(lo_lease(owner, 0x1234, HOUR), 0, "a lease");
	is(lo_grant(owner, &c, 0x82), 0, "  and a grant");
	is(locker_join(&t), 0, "  give it");
	is(lo_lease(owner, 0x1235, HOUR), 0, "a lease of another session");
	is_lost(f[1], "  what was before");
	is_given_back(&c, "  of which the owner is told");
	is(lo_lease(owner, 0x1235, HOUR + 60000), -EINVAL, "a lease that is too long");
	is(lo_lease(owner, 0, HOUR), -EINVAL, "a lease without a session");
	locker_start(&t, f[2], SHARED, 0, 0);
	lo_serve(owner, SHARED, 0x83, &c);
	is(locker_join(&t), 0, "it is locked");
	is(lo_lease(owner, 0x1235, -1), 0, "a lease that has ended");
	is_lost(f[2], "  is none");
	is_given_back(&c, "  of which the owner is told");
	is(lo_lease(owner, 0x1235, HOUR), 0, "a lease");
	locker_start(&t, f[2], SHARED, 0, 0);
	lo_serve(owner, SHARED, 0x84, &c);
	is(locker_join(&t), 0, "  it is locked");
	need(!lo_lease(owner, 0x1235, 1500 * zk_times()), "lease");
	need(!lo_lease(owner, 0x1235, HOUR), "renew");
	usleep(1700000 * zk_times());
	is(lk_held(f[2], NULL), 0, "a lease that is renewed does not end");
	is(lo_say(owner, &c, (struct zkern_lock_reply){ .kind = ZKERN_LOCK_LOST }), 0,
	   "the owner says that one lock is lost");
	is_lost(f[2], "  it is");
	is_given_back(&c, "  of which he is told");
	close_all(f, 3);
}

/* What is lost, and not given back, is not locked again behind its holder's back. */
static void test_lost_waits(void)
{
	struct lcall c;
	int f[1];

	granted("/lost", f, 1, EXCLUSIVE, 0x88, &c);
	need(!lk(f[0], EXCLUSIVE, 0, 0, NULL), "lock");
	lo_say(owner, &c, (struct zkern_lock_reply){ .kind = ZKERN_LOCK_LOST });
	is_given_back(&c, "lost");
	is(lk(f[0], EXCLUSIVE, ZKERN_LOCK_ASYNC, 0, NULL), -ESTALE, "LH: it cannot be asked for");
	ok(quiet(), "  and is not");
	close(f[0]);
}

/* ------------------------------------------------------------ LI */

static void next_owner(void)
{
	owner = zk_open(id, O_RDWR);
	need(owner >= 0 && !zk_own(owner, NULL), "owner");
	need(!lo_polls(owner, 0), "nothing before it serves");
	need(!zk_state(owner, ZKERN_STATE_STANDALONE, 0), "state");
}

static void test_owner_dies(void)
{
	struct zkern_lease l = { .size = sizeof(l), .flags = ZKERN_LEASE_ASK };
	struct locker held, waits, tries;
	struct lcall c, d, e;
	int f[3], g[2], h[1], seen = 0;

	granted("/dies", f, 3, EXCLUSIVE, 0x90, &c);
	granted("/kept", h, 1, SHARED, 0x91, &e);
	files("/wanted", g, 2);
	locker_start(&held, f[0], EXCLUSIVE, 0, 0);
	locker_start(&waits, g[0], SHARED, 0, 0);
	need(lo_take(owner, &d) == 1, "take");
	need(!lo_lease(owner, 0x1236, HOUR) && !locker_join(&held), "held");
	/* another session: all anew */
	is(lk_un(f[0]), -ESTALE, "another session");
	while (lo_polls(owner, 0)) {
		need(lo_take(owner, &e) == 1, "take");
		if (e.head.mode) {
			seen++;
			d = e;
		}
	}
	is(seen, 1, "  what waits is asked for anew");
	locker_start(&held, f[0], EXCLUSIVE, 0, 0);
	lo_serve(owner, EXCLUSIVE, 0x92, &c);
	need(!locker_join(&held), "held");
	locker_start(&tries, f[1], EXCLUSIVE, 0, 0);
	close(owner);
	is(lk_held(f[0], NULL), 0, "LI: the owner goes, what is held stays");
	is(lk(g[1], SHARED, ZKERN_LOCK_TRY, 0, NULL), -ENOTCONN, "  who tries does not wait");
	is(lk_un(f[0]), 0, "  and it goes from one to the next");
	is(locker_join(&tries), 0, "  as ever");
	next_owner();
	is(zk_ioctl(owner, ZKERN_LEASE, &l), 0, "the next owner asks");
	ok(l.session == 0x1236 && l.timeout == 4321 && l.end_ns > l.now_ns &&
	   !memcmp(l.passwd, "0123456789abcdef", 16), "  for the session and its lease");
	seen = 0;
	while (lo_polls(owner, 0)) {
		need(lo_take(owner, &e) == 1, "take");
		if (!strcmp(e.path, "/dies"))
			seen += e.head.base == 0x92 && e.head.seq == c.head.seq &&
				e.head.mode == EXCLUSIVE;
		else if (!strcmp(e.path, "/wanted"))
			seen += !e.head.base && e.head.mode == SHARED && e.head.seq == d.head.seq;
		else
			seen += 100;
	}
	is(seen, 2, "  is told of what the host has and wants, and of nothing else");
	is(lo_lease(owner, 0x1236, HOUR), 0, "  renews the lease");
	is(lk_held(f[1], NULL), 0, "  and nothing is lost");
	is(lo_grant(owner, &d, 0x93), 0, "  and grants what was wanted");
	is(locker_join(&waits), 0, "  to who has waited all the time");
	close(owner);
	is(lk(h[0], SHARED, ZKERN_LOCK_TRY, 0, NULL), -ENOTCONN, "no owner: who tries is told");
	next_owner();
	need(!lo_lease(owner, 0x1236, 500), "lease");
	locker_start(&waits, f[2], EXCLUSIVE, 0, 0);
	close(owner);
	is_lost(f[1], "LG: no owner, the lease ends by itself");
	is(locker_join(&waits), -ENOTCONN, "LI: and who waits does not any more");
	is(lk(f[2], EXCLUSIVE, 0, 0, NULL), -ENOTCONN, "  nor does who comes later");
	next_owner();
	need(!lo_lease(owner, 0x1236, HOUR), "lease");
	ok(quiet(), "the next owner is not told of what is gone");
	close_all(f, 3);
	close_all(g, 2);
	close_all(h, 1);
	ok(quiet(), "  nor of its end");
}

/* An owner that is there, and can do nothing. */
static void test_stuck(void)
{
	struct epoll_event ev = { .events = EPOLLRDBAND };
	int f[2], ep = epoll_create1(0);
	struct locker t;
	struct lcall c;

	files("/stuck", f, 2);
	need(ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, owner, &ev), "epoll");
	locker_start(&t, f[0], EXCLUSIVE, ZKERN_LOCK_TRY, 0);
	need(lo_take(owner, &c) == 1, "take");
	need(!zk_state(owner, ZKERN_STATE_DISCONNECTED, 0), "state");
	is(locker_join(&t), -ENOTCONN, "the ensemble is gone: who tries is told");
	is(lk(f[0], EXCLUSIVE, ZKERN_LOCK_TRY, 0, NULL), -ENOTCONN, "  and who tries then");
	locker_start(&t, f[0], EXCLUSIVE, 0, 0);
	ok(!locker_over(&t), "  who waits waits");
	is(epoll_wait(ep, &ev, 1, 30), 0, "  of which the owner is told nothing");
	need(!zk_state(owner, ZKERN_STATE_STANDALONE, 0), "state");
	is(epoll_wait(ep, &ev, 1, LONG * 1000), 1, "  until the ensemble is back");
	lo_serve(owner, EXCLUSIVE, 0xe0, &c);
	is(locker_join(&t), 0, "  and then he gets it");
	lo_revoke(owner, &c, 0, 0);
	close_all(f, 2);
	is_given_back(&c, "others want it");
	close(ep);
}

/* An owner that does not know of locks. */
static void test_no_part(void)
{
	int own, fd, f, inst = zk_instance(&own);

	zk_create(own, 100, "/node", "");
	fd = zk_open(inst, O_RDWR);
	f = lk_open(fd, "/node");
	need(f >= 0, "lock file");
	is(lk(f, EXCLUSIVE, 0, 0, NULL), -ENOTCONN, "LI: no owner takes part in locks");
	is(lk(f, SHARED, ZKERN_LOCK_TRY, 0, NULL), -ENOTCONN, "  nor for who tries");
	close(f);
	close(fd);
	close(own);
	is(zk_del(inst, 0), 0, "  the instance goes");
}

static void test_removed(void)
{
	struct locker t;
	struct lcall c;
	int f[2];

	granted("/removed", f, 2, EXCLUSIVE, 0xd0, &c);
	need(!lk(f[0], EXCLUSIVE, 0, 0, NULL), "lock");
	locker_start(&t, f[1], EXCLUSIVE, 0, 0);
	is(zk_del(id, ZKERN_DEL_FORCE), 0, "the instance is removed");
	is(locker_join(&t), -ENODEV, "who waits is told");
	is_lost(f[0], "LH: what is held is lost");
	is(lk(f[0], EXCLUSIVE, 0, 0, NULL), -ENODEV, "nothing is locked any more");
	is(lo_lease(owner, 1, 1), -ENODEV, "  nor granted");
	close_all(f, 2);
}

int main(void)
{
	begin();
	test_lease();
	test_lost_waits();
	forget(0x1235);
	test_owner_dies();
	forget(0x1237);
	test_stuck();
	test_no_part();
	test_removed();
	close(dev);
	close(owner);
	return tap_end();
}
