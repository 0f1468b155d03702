/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the device way share: device.c (reading) and device_watch.c (watches
 * and events).
 */
#ifndef ZKERN_LIB_DEVICE_H
#define ZKERN_LIB_DEVICE_H

#include "internal.h"

#pragma GCC visibility push(hidden)

/*
 * @readonly: the device may not be opened for writing
 * @timeout_ms: for a write
 * @session, @session_ms: as the last write said
 * @answer: to the last write
 * @events: records that read(2) gave and nobody has taken: [@at, @len) of @cap bytes
 * @states: changes of the tree's state are watched
 * @connected: the state last told of, as a session's
 */
struct device {
	struct zkern zk;
	int fd;
	char name[64];
	bool readonly;
	u32 timeout_ms;
	u64 session;
	u32 session_ms;
	u8 *answer;
	u32 answer_cap;
	u8 *events;
	size_t at, len, cap;
	bool states;
	bool connected;
};

static inline struct device *dev_of(struct zkern *zk)
{
	return (struct device *)zk;
}

/* ---- device.c */
/* ioctl(2) that returns a negative errno. */
int dev_ioctl(int fd, unsigned long cmd, void *arg);
/* zkern_fail() for an errno of the device; @path may be NULL. */
int dev_fail(struct zkern *zk, int err, const char *path);

/* ---- device_watch.c */
/* What a read with ZKERN_WANT_WATCH wants to be told besides: changes of state. */
int dev_watch_begin(struct zkern *zk);
/* Events up to @zxid wait, here or, as @kernel says, in the kernel. */
bool dev_events_wait(const struct device *d, u64 zxid, u32 kernel);
int dev_add_watch(struct zkern *zk, const char *path, bool recursive);
int dev_next_event(struct zkern *zk, int timeout_ms, struct zkern_event *event);

#pragma GCC visibility pop

#endif
