// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ephemerals without a session, as snapshots of other servers may hold them: their
 * owners' sessions are closed before clients come (ZooKeeperServer.loadData). Not by
 * deleting behind the log's back, but through the pipeline.
 *
 * Whether there are any is told by numbers: the tree counts the owners of
 * ephemerals; only if there are more than sessions with ephemerals is the whole tree
 * walked to find them.
 */
#include "daemon/base/log.h"
#include "daemon/server/core_impl.h"

static int found_one(void *arg, const char *path, u32 len)
{
	(void)arg;
	(void)path;
	(void)len;
	return 1;
}

struct counting {
	struct core *c;
	u64 n;
};

static void count_owner(void *arg, struct sess *s)
{
	struct counting *k = arg;

	k->n += k->c->st->ops->owned(k->c->st, s->pub.id, found_one, NULL) == 1;
}

static bool is_session(u64 owner)
{
	return owner && owner != ZK_OWNER_CONTAINER &&
	       (owner & ZK_OWNER_TTL_MASK) != ZK_OWNER_TTL_MASK;
}

/* Makes a session for an owner that has none, so that it can be closed. */
static int adopt(void *arg, const struct store_rec *rec)
{
	struct core *c = arg;
	u64 owner = rec->node.stat.owner;
	struct sess *s;

	if (!is_session(owner) || session_find(c->sessions, owner))
		return 0;
	s = session_restore(c->sessions, owner, c->cfg->min_session_ms, c->now_ms);
	if (!s)
		return -ENOMEM;
	s->committed = true;
	log_warn("session 0x%llx is gone, but its ephemerals are there: closing it", owner);
	session_closing(s);
	return pipeline_close(c, s, 0, NULL, NULL);
}

void orphans_close(struct core *c)
{
	struct counting k = { .c = c };
	struct store *st = c->st;
	struct store_snap *snap;
	struct store_info info;
	u64 zxid, digest, nodes;
	int rc;

	sessions_each(c->sessions, count_owner, &k);
	rc = st->ops->info(st, &info);
	if (!rc && info.stats.owners <= k.n)
		return;
	if (!rc)
		rc = st->ops->snap_open(st, &snap, &zxid, &digest, &nodes);
	if (!rc) {
		rc = st->ops->snap_each(snap, "/", 1, adopt, c);
		st->ops->snap_close(snap);
	}
	if (rc)
		log_error("cannot look for ephemerals without a session: %d", rc);
	quorum_run(c);
}
