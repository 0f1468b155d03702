/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches with little typing, for the tests: ZKERN_WATCH, and events one by one out of
 * a buffer that read(2) fills.
 */
#ifndef EV_H
#define EV_H

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "tap.h"
#include "zk.h"

static inline int ev_cmd(int fd, uint32_t cmd, uint32_t kind, const char *path,
			 struct zkern_watch *w)
{
	struct zkern_watch mine = {};

	if (!w)
		w = &mine;
	w->size = sizeof(*w);
	w->cmd = cmd;
	w->kind = kind;
	w->path = ptr(path);
	w->path_len = path ? strlen(path) : 0;
	return zk_ioctl(fd, ZKERN_WATCH, w);
}

static inline int ev_add(int fd, uint32_t kind, const char *path)
{
	return ev_cmd(fd, ZKERN_WATCH_ADD, kind, path, NULL);
}

static inline int ev_remove(int fd, uint32_t kind, const char *path)
{
	return ev_cmd(fd, ZKERN_WATCH_REMOVE, kind, path, NULL);
}

static inline int ev_queue(int fd, uint32_t bytes)
{
	struct zkern_watch w = { .queue = bytes };

	return ev_cmd(fd, ZKERN_WATCH_QUEUE, 0, NULL, &w);
}

/* How many watches the file has. */
static inline long ev_count(int fd)
{
	struct zkern_watch w = {};
	int err = ev_cmd(fd, ZKERN_WATCH_COUNT, 0, NULL, &w);

	return err ? err : (long)w.watches;
}

/* The three reads that leave a one-shot watch. @get may be NULL. */
static inline int ev_get(int fd, const char *path, void *buf, uint32_t len, struct zkern_get *get)
{
	struct zkern_get mine = {};

	if (!get)
		get = &mine;
	get->flags = ZKERN_WATCH_ONCE;
	return zk_get(fd, path, buf, len, get);
}

static inline int ev_exists(int fd, const char *path, struct zkern_get *get)
{
	struct zkern_get mine = {};

	if (!get)
		get = &mine;
	get->flags = ZKERN_WATCH_ONCE | ZKERN_GET_NODATA;
	return zk_get(fd, path, NULL, 0, get);
}

static inline int ev_children(int fd, const char *path)
{
	char buf[4096];
	struct zkern_list list = {
		.size = sizeof(list), .flags = ZKERN_WATCH_ONCE, .path = ptr(path),
		.path_len = strlen(path), .buf = ptr(buf), .buf_len = sizeof(buf),
	};

	return zk_ioctl(fd, ZKERN_CHILDREN, &list);
}

/* An event with its path; the buffer between two reads. */
struct ev {
	struct zkern_watch_event e;
	char path[256];
};

struct ev_buf {
	size_t at, len;
	uint8_t bytes[4096] __attribute__((aligned(8)));
};

/* One record off the buffer; whole and well-formed, or the test ends. */
static inline void ev_take(struct ev_buf *b, struct ev *ev)
{
	need(b->len - b->at >= sizeof(ev->e), "a record is cut short");
	memcpy(&ev->e, b->bytes + b->at, sizeof(ev->e));
	need(ev->e.len % 8 == 0 && ev->e.len <= b->len - b->at &&
	     ev->e.len == (sizeof(ev->e) + ev->e.path_len + 7) / 8 * 8 &&
	     ev->e.path_len < sizeof(ev->path), "a record of %u bytes, path %u, in %zu",
	     ev->e.len, ev->e.path_len, b->len - b->at);
	memcpy(ev->path, b->bytes + b->at + sizeof(ev->e), ev->e.path_len);
	ev->path[ev->e.path_len] = '\0';
	b->at += ev->e.len;
}

/* The next event: 1; or read(2)'s negative errno. @fd may block. */
static inline int ev_next(int fd, struct ev_buf *b, struct ev *ev)
{
	ssize_t n;

	if (b->at == b->len) {
		n = read(fd, b->bytes, sizeof(b->bytes));
		if (n < 0)
			return -errno;
		need(n > 0, "read(2) gives nothing");
		b->at = 0;
		b->len = n;
	}
	ev_take(b, ev);
	return 1;
}

static inline const char *ev_name(uint32_t type)
{
	static const char *const name[] = {
		"none", "created", "deleted", "changed", "children", "overflow", "state",
	};

	return type < ARRAY_SIZE(name) ? name[type] : "?";
}

/*
 * All that waits on a non-blocking file, as text: "created /a, children /"; "" for
 * nothing. States: "state 5".
 */
static inline const char *ev_all(int fd)
{
	static char text[8192];
	struct ev_buf b = {};
	size_t n = 0;
	struct ev ev;
	int err;

	text[0] = '\0';
	while ((err = ev_next(fd, &b, &ev)) == 1 && n < sizeof(text) - 400) {
		n += snprintf(text + n, sizeof(text) - n, "%s%s", n ? ", " : "",
			      ev_name(ev.e.type));
		if (ev.e.type == ZKERN_EV_STATE || ev.e.type == ZKERN_EV_OVERFLOW)
			n += snprintf(text + n, sizeof(text) - n, " %u", ev.e.arg);
		else
			n += snprintf(text + n, sizeof(text) - n, " %s", ev.path);
	}
	if (err != -EAGAIN)
		snprintf(text + n, sizeof(text) - n, " (%s)", strerror(-err));
	return text;
}

static inline bool ev_same(const char *file, int line, int fd, const char *want,
			   const char *what)
{
	const char *got = ev_all(fd);
	bool good = tap_say(!strcmp(got, want), file, line, "%s", what);

	if (!good)
		printf("# got: %s\n# wanted: %s\n", got, want);
	return good;
}

/* Just these events wait; they are taken. */
#define ev_is(fd, want, what)	ev_same(__FILE__, __LINE__, fd, want, what)

static inline bool ev_polls(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) >= 0 && p.revents == events;
}

#endif
