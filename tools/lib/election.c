// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Leader election: who is first in line leads. The names are those of Curator's LeaderLatch,
 * whose users can stand for election at the same path.
 */
#include <errno.h>
#include <stdlib.h>

#include "line.h"

#define KIND	"latch-"

struct zkern_election {
	struct line line;
};

int zkern_election_join(struct zkern *zk, const char *path, const void *id, size_t len,
			struct zkern_election **election)
{
	struct zkern_election *e = calloc(1, sizeof(*e));
	int err;

	*election = NULL;
	if (!e)
		return zkern_fail(zk, -ENOMEM, "out of memory");
	err = line_init(&e->line, zk, path, KIND);
	if (!err)
		err = line_join(&e->line, id, len);
	if (err && !e->line.lost) {
		line_free(&e->line);
		free(e);
		return err;
	}
	/* if it is not known whether we stand there, who waits finds out */
	*election = e;
	return 0;
}

int zkern_election_wait(struct zkern_election *e, int timeout_ms)
{
	int err = e->line.lost ? line_join(&e->line, NULL, 0) : 0;

	return err ? err : line_wait(&e->line, timeout_ms);
}

int zkern_election_hold(struct zkern_election *e, int timeout_ms)
{
	return line_stay(&e->line, timeout_ms);
}

uint64_t zkern_election_token(const struct zkern_election *e)
{
	return e->line.zxid;
}

int zkern_election_leave(struct zkern_election *e)
{
	int err;

	if (!e)
		return 0;
	err = line_leave(&e->line);
	line_free(&e->line);
	free(e);
	return err;
}

int zkern_election_leader(struct zkern *zk, const char *path, struct zkern_value *leader)
{
	int err;

	/* the first may go while we look for what it says */
	do {
		char *first;

		err = line_first(zk, path, KIND, &first);
		if (err)
			return err;
		if (!first)
			return zkern_fail(zk, -ENOENT, "%s: nobody leads", path);
		err = zkern_get(zk, first, NULL, leader);
		free(first);
	} while (err == -ENOENT);
	return err;
}
