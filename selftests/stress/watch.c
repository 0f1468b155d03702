// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who watches. What a file was told is compared with what is read through it: by guarantee
 * F of linux/zkern.h who reads a node that was set at zxid Z finds an event of Z, or of
 * later, in the queue; or that some were left out. A swapped tree changes none of that: what
 * differs from the one before is told as of its zxid.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../kernel/ev.h"
#include "model.h"

#define MOST_READS	1000	/* that fail, of one event */

/**
 * struct sight - a file that watches, as long as its round lasts.
 * @member:  the last event of each group's first member, and of /private
 * @since:   the zxid from which each of them is watched; 0: it is not
 * @loose:   it may be watched since before that
 * @lost:    how often some events were left out
 */
struct sight {
	int fd;
	uint64_t era, zxid;
	uint64_t member[GROUPS + 1], since[GROUPS + 1];
	bool loose[GROUPS + 1];
	long events, lost;
	uint8_t buf[8192] __attribute__((aligned(8)));
};

#define PRIVATE	GROUPS

static void path_of(int which, char path[16])
{
	if (which == PRIVATE)
		strcpy(path, "/private");
	else
		snprintf(path, 16, "/g%d/0", which);
}

static int which_of(const struct zkern_watch_event *ev, const char *path)
{
	if (ev->path_len == 8 && !memcmp(path, "/private", 8))
		return PRIVATE;
	if (ev->path_len == 5 && path[4] == '0')
		return group_of(path, 5);
	return -1;
}

static bool sight_open(struct worker *w, struct sight *s, int flags)
{
	memset(s, 0, sizeof(*s));
	s->fd = zk_open(main_inst, flags);
	w->seen = 0;
	return may_fail(w, s->fd, "open by a watcher");
}

/* One event: is it as it must be? */
static void see(struct worker *w, struct sight *s, const struct zkern_watch_event *ev,
		const char *path)
{
	int which, i;

	right(w, ev->era > s->era || (ev->era == s->era && ev->zxid >= s->zxid),
	      "an event of %llu, era %llu, after one of %llu, era %llu",
	      (unsigned long long)ev->zxid, (unsigned long long)ev->era,
	      (unsigned long long)s->zxid, (unsigned long long)s->era);
	s->era = ev->era;
	s->zxid = ev->zxid;
	s->events++;
	/* what is read from now on is as of then, or later */
	if (ev->zxid > w->seen)
		w->seen = ev->zxid;
	if (ev->type == ZKERN_EV_OVERFLOW) {
		right(w, ev->arg && !ev->path_len, "%u events were left out", ev->arg);
		s->lost++;
		for (i = 0; i <= GROUPS; i++)
			if (s->member[i] < ev->zxid)
				s->member[i] = ev->zxid;
		return;
	}
	if (ev->type != ZKERN_EV_CHANGED)
		return;
	which = which_of(ev, path);
	if (which < 0)
		return;
	right(w, ev->zxid > s->since[which] || s->loose[which],
	      "%.*s is told of %llu, watched since %llu", (int)ev->path_len, path,
	      (unsigned long long)ev->zxid, (unsigned long long)s->since[which]);
	s->member[which] = ev->zxid;
	if (which == PRIVATE && w->job->uid)
		right(w, private_at(ev->zxid) == w->job->uid, "uid %u was told of /private at %llu",
		      w->job->uid, (unsigned long long)ev->zxid);
}

/* Reads until nothing is left; false: it cannot. */
static bool drain(struct worker *w, struct sight *s)
{
	int tries = 0;
	ssize_t n, at;

	do {
		n = read(s->fd, s->buf, sizeof(s->buf));
		if (n < 0) {
			n = -errno;
			continue;
		}
		for (at = 0; at + (ssize_t)sizeof(struct zkern_watch_event) <= n;) {
			struct zkern_watch_event *ev = (void *)(s->buf + at);

			if (ev->len % 8 || ev->len < sizeof(*ev) + ev->path_len ||
			    ev->len > n - at) {
				wrong(w, "a record of %u bytes of %zd", ev->len, n - at);
				return false;
			}
			see(w, s, ev, (char *)(ev + 1));
			at += ev->len;
		}
		right(w, n && at == n, "events of %zd bytes", n);
	} while (n > 0 || (n == -EFAULT && w->armed && tries++ < MOST_READS));
	if (n != -EAGAIN)
		may_fail(w, n, "reading events");
	return n == -EAGAIN;
}

/* From which zxid on is it watched? Whoever sets a watch and is not answered asks again. */
static bool watch_one(struct worker *w, struct sight *s, int which)
{
	struct before b = before_read(-1);
	struct zkern_watch add = {};
	char path[16];
	int err;

	path_of(which, path);
	err = ev_cmd(s->fd, ZKERN_WATCH_ADD, ZKERN_WATCH_PERSISTENT, path, &add);
	if (!may_fail_also(w, err, hidden_since(&b) ? -ESTALE : 0, "watching")) {
		s->loose[which] = true;
		return false;
	}
	right(w, add.zxid >= b.zxid, "watched since %llu after %llu was published",
	      (unsigned long long)add.zxid, (unsigned long long)b.zxid);
	right(w, add.watches >= 2 && add.bytes, "%llu watches of %llu bytes",
	      (unsigned long long)add.watches, (unsigned long long)add.bytes);
	s->since[which] = add.zxid;
	if (s->member[which] < add.zxid)
		s->member[which] = add.zxid;
	return true;
}

/* Guarantee F: see above. */
static void compare(struct worker *w, struct sight *s, int which)
{
	struct zkern_get get = {};
	struct before b = before_read(which < GROUPS ? which : -1);
	char path[16];
	int err;

	path_of(which, path);
	err = zk_get(s->fd, path, w->buf, BIG, &get);
	if (which == PRIVATE && err == -EACCES)
		return;
	if (!may_fail_also(w, err, hidden_since(&b) ? -ESTALE : 0, "get by a watcher"))
		return;
	check_zxid(w, &b, get.zxid);
	if (which < GROUPS)
		check_member(w, which, &get.stat, w->buf, get.len);
	if (!drain(w, s))
		return;
	right(w, !s->since[which] || s->member[which] >= get.stat.mzxid,
	      "%s was set at %llu (read at %llu); watched since %llu, told of %llu, era %llu, %ld lost",
	      path, (unsigned long long)get.stat.mzxid, (unsigned long long)get.zxid,
	      (unsigned long long)s->since[which], (unsigned long long)s->member[which],
	      (unsigned long long)s->era, s->lost);
}

/* Other things that one does with watches; none of them is a member's or /private's. */
static void meddle(struct worker *w, struct sight *s)
{
	struct before b = before_read(-1);
	int also = 0, err;
	struct zkern_watch req = { .buf = ptr(w->buf), .buf_len = 32 + rnd(w, 4096) };

	switch (rnd(w, 8)) {
	case 0:
		err = ev_remove(s->fd, ZKERN_WATCH_ANY, "/list");
		also = -ENOENT;
		break;
	case 1:
		err = ev_add(s->fd, ZKERN_WATCH_PERSISTENT, "/list");
		break;
	case 2:
		err = ev_add(s->fd, ZKERN_WATCH_RECURSIVE, rnd(w, 2) ? "/live" : "/g1");
		break;
	case 3:
		err = ev_remove(s->fd, ZKERN_WATCH_ANY, rnd(w, 2) ? "/live" : "/g1");
		also = -ENOENT;
		break;
	case 4:
		err = ev_cmd(s->fd, ZKERN_WATCH_ADD, ZKERN_WATCH_STATE, NULL, NULL);
		break;
	case 5:
		err = ev_cmd(s->fd, ZKERN_WATCH_LIST, 0, NULL, &req);
		also = -EMSGSIZE;
		break;
	case 6:
		err = ev_queue(s->fd, 4096 << rnd(w, 5));
		also = -EBUSY;
		break;
	default:
		err = ev_count(s->fd);
	}
	if (hidden_since(&b) && err == -ESTALE)
		return;
	may_fail_also(w, err, also, "meddling with watches");
}

/* Persistent watches, for a while. */
void round_watch(struct worker *w)
{
	static const uint32_t queues[] = { 4096, 4096, 65536, 1 << 20 };
	int times = rnd(w, 60), which;
	struct sight s;

	if (!sight_open(w, &s, O_RDONLY | O_NONBLOCK))
		return;
	/* /g1 may be watched as a whole */
	s.loose[1] = true;
	may_fail(w, ev_queue(s.fd, queues[rnd(w, ARRAY_SIZE(queues))]), "a queue");
	while (times--) {
		which = w->job->uid ? PRIVATE : (int)rnd(w, GROUPS + 1);
		if (!s.since[which] && !watch_one(w, &s, which))
			continue;
		compare(w, &s, which);
		if (!rnd(w, 3))
			meddle(w, &s);
		if (!rnd(w, 4))
			usleep(rnd(w, 10000));
	}
	close(s.fd);
}

/* All of the tree, by whoever is slow: read and poll wait, the queue overflows. */
void round_watch_all(struct worker *w)
{
	struct before b = before_read(-1);
	struct pollfd p = { .events = POLLIN };
	int times = 1 + rnd(w, 20), err;
	struct sight s;

	if (!sight_open(w, &s, O_RDONLY | O_NONBLOCK))
		return;
	may_fail(w, ev_queue(s.fd, ZKERN_WATCH_QUEUE_MIN), "a queue");
	err = ev_add(s.fd, ZKERN_WATCH_RECURSIVE, "/");
	if (!may_fail_also(w, err, hidden_since(&b) ? -ESTALE : 0, "watching all"))
		times = 0;
	p.fd = s.fd;
	while (times-- && !stopping) {
		if (poll(&p, 1, 1000) < 0)
			may_fail(w, -errno, "poll by a watcher");
		usleep(rnd(w, 40000));
		drain(w, &s);
	}
	close(s.fd);
}

/* One-shot watches: the first change after what was read, and no other. */
void round_watch_once(struct worker *w)
{
	int group = rnd(w, GROUPS), tries, err;
	struct pollfd p = { .events = POLLIN };
	struct before b = before_read(group);
	struct zkern_get get = {};
	char path[16];
	struct sight s;

	if (!sight_open(w, &s, O_RDONLY | O_NONBLOCK))
		return;
	path_of(group, path);
	err = ev_get(s.fd, path, w->buf, BIG, &get);
	if (!may_fail_also(w, err, hidden_since(&b) ? -ESTALE : 0, "a one-shot watch"))
		goto out;
	check_member(w, group, &get.stat, w->buf, get.len);
	s.since[group] = get.zxid;
	p.fd = s.fd;
	for (tries = rnd(w, 5); tries-- && !stopping && !s.events;) {
		if (!rnd(w, 4)) {
			b = before_read(-1);
			err = rnd(w, 2) ? ev_exists(s.fd, "/nowhere", NULL) :
					  ev_children(s.fd, "/live");
			may_fail_also(w, err, hidden_since(&b) ? -ESTALE : -ENOENT,
				      "another one-shot watch");
		}
		poll(&p, 1, 100);
		drain(w, &s);
	}
	if (s.member[group] && !s.lost) {
		b = before_read(group);
		err = zk_get(s.fd, path, w->buf, BIG, &get);
		if (may_fail_also(w, err, hidden_since(&b) ? -ESTALE : 0, "get after an event"))
			check_zxid(w, &b, get.zxid);
	}
out:
	close(s.fd);
}

#define SHARED	4

static int shared[SHARED];		/* never closed, but replaced */
static pthread_once_t shared_once = PTHREAD_ONCE_INIT;

static void shared_begin(void)
{
	int i;

	for (i = 0; i < SHARED; i++) {
		do {
			shared[i] = zk_open(main_inst, O_RDONLY | O_NONBLOCK);
		} while (shared[i] < 0);
	}
}

void shared_watchers_end(void)
{
	int i;

	for (i = 0; i < SHARED; i++)
		close(shared[i]);
}

/* A file of several threads, whose last copy may be closed at any time. */
void round_watch_shared(struct worker *w)
{
	int fd, err = 0, f;
	struct pollfd p;

	pthread_once(&shared_once, shared_begin);
	fd = shared[rnd(w, SHARED)];
	switch (rnd(w, 7)) {
	case 0:
		f = zk_open(main_inst, O_RDONLY | O_NONBLOCK);
		if (f < 0)
			break;
		err = dup2(f, fd) < 0 ? -errno : 0;
		close(f);
		break;
	case 1:
		err = ev_add(fd, ZKERN_WATCH_RECURSIVE, rnd(w, 2) ? "/g3" : "/");
		break;
	case 2:
		err = ev_remove(fd, ZKERN_WATCH_ANY, rnd(w, 2) ? "/g3" : "/");
		break;
	case 3:
		err = ev_queue(fd, 4096 << rnd(w, 4));
		break;
	case 4:
		err = ev_count(fd);
		break;
	default:
		p = (struct pollfd){ .fd = fd, .events = POLLIN };
		poll(&p, 1, rnd(w, 20));
		err = read(fd, w->buf, 64 + rnd(w, 8192));
		err = err < 0 ? -errno : 0;
	}
	switch (err) {
	case -ESTALE:
	case -ENOENT:
	case -EBUSY:
	case -EAGAIN:
	case -EINVAL:
		return;
	}
	may_fail(w, err, "a shared watcher");
}
