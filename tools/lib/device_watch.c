// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Watches over the device. They belong to the open file, that is to the handle, and outlive
 * the daemon: nothing has to be set again. A session's ends and beginnings are here those
 * of the tree's state: DISCONNECTED while its server has no quorum, is gone, or has no
 * tree to be seen.
 */
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "device.h"

#define EVENTS_BUF	(64 * 1024)

static int watch_cmd(struct zkern *zk, struct zkern_watch *w, const char *path)
{
	int err;

	w->size = sizeof(*w);
	w->path = (uintptr_t)path;
	w->path_len = path ? strlen(path) : 0;
	err = dev_ioctl(dev_of(zk)->fd, ZKERN_WATCH, w);
	if (!err)
		return 0;
	if (err == -ENOTTY)
		return zkern_fail(zk, -EOPNOTSUPP, "%s: the loaded module has no watches yet",
				  dev_of(zk)->name);
	if (err == -EDQUOT || err == -ENOSPC)
		return zkern_fail(zk, -ENOSPC, "%s: more watches than one %s may have",
				  path ? path : dev_of(zk)->name,
				  err == -EDQUOT ? "handle" : "user");
	return dev_fail(zk, err, path);
}

static bool is_connected(u32 state)
{
	return state != ZKERN_STATE_EMPTY && state != ZKERN_STATE_DISCONNECTED &&
	       state != ZKERN_STATE_ORPHANED;
}

int dev_watch_begin(struct zkern *zk)
{
	struct zkern_watch w = { .cmd = ZKERN_WATCH_ADD, .kind = ZKERN_WATCH_STATE };
	struct zkern_info info = { .size = sizeof(info) };
	struct device *d = dev_of(zk);
	int err;

	if (d->states)
		return 0;
	err = watch_cmd(zk, &w, NULL);
	if (!err)
		err = dev_ioctl(d->fd, ZKERN_INFO, &info);
	if (err)
		return err;
	d->states = true;
	d->connected = is_connected(info.state);
	return 0;
}

int dev_add_watch(struct zkern *zk, const char *path, bool recursive)
{
	struct zkern_watch w = {
		.cmd = ZKERN_WATCH_ADD,
		.kind = recursive ? ZKERN_WATCH_RECURSIVE : ZKERN_WATCH_PERSISTENT,
	};
	int err = dev_watch_begin(zk);

	return err ? err : watch_cmd(zk, &w, path);
}

/* ------------------------------------------------------------ events */

/* The record at d->at; false: there is none. */
static bool peek(const struct device *d, struct zkern_watch_event *ev)
{
	if (d->len - d->at < sizeof(*ev))
		return false;
	memcpy(ev, d->events + d->at, sizeof(*ev));
	return ev->len <= d->len - d->at && ev->len >= sizeof(*ev) &&
	       ev->path_len <= ev->len - sizeof(*ev);
}

bool dev_events_wait(const struct device *d, u64 zxid, u32 kernel)
{
	struct zkern_watch_event ev;

	return peek(d, &ev) ? ev.zxid <= zxid : kernel;
}

/* Room for the next record, however long. */
static int grow(struct zkern *zk)
{
	struct zkern_watch w = { .cmd = ZKERN_WATCH_COUNT };
	struct device *d = dev_of(zk);
	size_t cap = EVENTS_BUF;
	u8 *b;
	int err;

	if (d->cap) {
		err = watch_cmd(zk, &w, NULL);
		if (err)
			return err;
		/* it may have been another reader's of a copy of the file */
		if (w.next <= d->cap)
			return 0;
		cap = w.next;
	}
	b = realloc(d->events, cap);
	if (!b)
		return dev_fail(zk, -ENOMEM, NULL);
	d->events = b;
	d->cap = cap;
	return 0;
}

/* Takes what the kernel has. 1: something; 0: nothing; or an error. */
static int fill(struct zkern *zk)
{
	struct device *d = dev_of(zk);
	ssize_t n;
	int err;

	for (;;) {
		n = d->cap ? read(d->fd, d->events, d->cap) : -1;
		if (n > 0) {
			d->at = 0;
			d->len = n;
			return 1;
		}
		if (!d->cap || (n < 0 && errno == EINVAL)) {
			err = grow(zk);
			if (err)
				return err;
			continue;
		}
		if (n < 0 && errno == EAGAIN)
			return 0;
		return dev_fail(zk, n < 0 ? -errno : -EPROTO, NULL);
	}
}

/* A state is told of only if it is a session's that ended or began. */
static bool is_news(struct device *d, const struct zkern_watch_event *ev,
		    struct zkern_event *event)
{
	bool connected = is_connected(ev->arg);

	if (connected == d->connected)
		return false;
	d->connected = connected;
	event->type = ZKERN_EVENT_SESSION;
	event->state = connected ? ZKERN_SESSION_CONNECTED : ZKERN_SESSION_DISCONNECTED;
	return true;
}

/* The next event that was read. 1; 0: none; or an error. */
static int pop(struct zkern *zk, struct zkern_event *event)
{
	struct device *d = dev_of(zk);
	struct zkern_watch_event ev;
	bool news;

	while (peek(d, &ev)) {
		event->path = zkern_dup(d->events + d->at + sizeof(ev), ev.path_len);
		if (!event->path)
			return dev_fail(zk, -ENOMEM, NULL);
		event->type = (enum zkern_event_type)ev.type;
		event->state = d->connected ? ZKERN_SESSION_CONNECTED : ZKERN_SESSION_DISCONNECTED;
		event->zxid = ev.zxid;
		news = ev.type != ZKERN_EV_STATE || is_news(d, &ev, event);
		d->at += ev.len;
		if (news)
			return 1;
		zkern_event_free(event);
	}
	return d->at == d->len ? 0 : dev_fail(zk, -EPROTO, NULL);
}

int dev_next_event(struct zkern *zk, int timeout_ms, struct zkern_event *event)
{
	s64 deadline = timeout_ms < 0 ? INT64_MAX : zkern_now_ms() + timeout_ms, left;
	struct pollfd p = { .fd = dev_of(zk)->fd, .events = POLLIN };
	int err = dev_watch_begin(zk);

	if (err)
		return err;

	for (;;) {
		err = pop(zk, event);
		if (!err) {
			err = fill(zk);
			if (err > 0)
				continue;
		}
		if (err)
			return err;
		left = deadline - zkern_now_ms();
		if (timeout_ms >= 0 && left <= 0)
			return 0;
		if (poll(&p, 1, timeout_ms < 0 ? -1 : (int)left) < 0)
			return errno == EINTR ? zkern_fail(zk, -EINTR, "interrupted") :
						dev_fail(zk, -errno, NULL);
	}
}
