/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A line of those who wait: ephemeral sequential children of one node. Who stands in it is
 * served in the order of the numbers that the server gave. An election is a line.
 */
#ifndef ZKERN_LINE_H
#define ZKERN_LINE_H

#include "internal.h"

#pragma GCC visibility push(hidden)

#define LINE_GUID	36	/* of a UUID, as text */

/**
 * struct line - one place in a line.
 * @zk:   the handle, whose session holds the place; not the line's
 * @dir:  the node whose children stand in line
 * @kind: what their names end with, before the number: "latch-"
 * @guid: what our name begins with, by which it is found if the answer to its create is lost
 * @name: ours; NULL: we do not stand there
 * @lost: whether we do is not known: it was asked for, and no answer came
 * @zxid: at which our node was made: later ones' are higher, whoever makes them
 */
struct line {
	struct zkern *zk;
	char *dir;
	const char *kind;
	char guid[LINE_GUID + 1];
	char *name;
	bool lost;
	u64 zxid;
};

/* @dir is copied, @kind borrowed. 0, or -ENOMEM, -EINVAL (a path that cannot be), with a
 * message. line_free() in any case.
 */
int line_init(struct line *l, struct zkern *zk, const char *dir, const char *kind);
/* Leaves without a word: line_leave() first. */
void line_free(struct line *l);

/*
 * Takes a place at the end, with @data of @len bytes in our node; the parents are made if they
 * are not there. Returns 0, also when we stand there already; or the error of a write. Then
 * l->lost tells that we may stand there all the same: line_join() again finds out.
 */
int line_join(struct line *l, const void *data, size_t len);

/*
 * Where we stand: *@place others before us. *@ahead (may be NULL): the path of the nearest of
 * those, free(3) it; NULL if there is none. Returns 0, -ESHUTDOWN (our node is gone),
 * or the error of a read.
 */
int line_place(struct line *l, u32 *place, char **ahead);

/*
 * Waits until nobody is before us. Woken by the end of the one just ahead, not by all others'
 * (no herd). 1; 0 after @timeout_ms (-1: none); an error.
 */
int line_wait(struct line *l, int timeout_ms);
/*
 * Waits while our place is ours: 0 after @timeout_ms (-1: none) it still is, as confirmed by
 * the server not longer ago than a third of the session's timeout, a call's included;
 * -ESHUTDOWN it is gone; another error: nobody can be asked.
 */
int line_stay(struct line *l, int timeout_ms);

/* Gives the place up. 0, also if it was gone; or why that is not known. */
int line_leave(struct line *l);

/* The path of who stands first at @dir, free(3) it; NULL: nobody. 0, or a read's error. */
int line_first(struct zkern *zk, const char *dir, const char *kind, char **path);

/* ------------------------------------------------------------ for others of this kind */

/* A version 4 UUID into @out. 0, -errno of getrandom(2). */
int zkern_guid(char out[LINE_GUID + 1]);
/* "@dir/@name"; NULL: memory. free(3). */
char *zkern_join(const char *dir, const char *name);
/* Makes @path, and what it stands on, as plain nodes of everybody's. 0, or a write's error. */
int zkern_make_path(struct zkern *zk, const char *path);
/* Whether a write that failed so may have been done all the same. */
bool zkern_maybe_done(const struct zkern *zk, int err);
/*
 * Sleeps until the node at @path is another than now, or gone: 1; 0 after @timeout_ms (-1:
 * none), or earlier where our own session's end would not be noticed here.
 */
int zkern_wait_change(struct zkern *zk, const char *path, int timeout_ms);
/* What is left of a time, for a wait; @end: of zkern_now_ms(), -1: for ever. */
int zkern_left_ms(s64 end);

#pragma GCC visibility pop

#endif
