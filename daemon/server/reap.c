// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Container and TTL nodes that have had their time (ContainerManager.java): once a
 * minute each such node is looked at; a container that had children and has none
 * any more goes, and a TTL node that has none and was not changed for longer than
 * its TTL. They go through the pipeline like any write.
 */
#include "daemon/base/log.h"
#include "daemon/server/core_impl.h"

#define REAP_MAX	10000	/* at a time: ContainerManager's maxPerMinute */
#define TTL_BITS	0xffffffffffULL

struct reaping {
	struct core *c;
	u64 wall_ms;
	u32 left;
};

static bool is_due(const struct reaping *r, const struct store_node *node)
{
	const struct zk_stat *st = &node->stat;
	s64 age = r->wall_ms - st->mtime;

	if (st->num_children)
		return false;
	if (st->owner == ZK_OWNER_CONTAINER)
		return st->cversion > 0;
	if (!r->c->cfg->extended_types || (st->owner & ZK_OWNER_TTL_MASK) != ZK_OWNER_TTL_MASK)
		return false;
	return (st->owner & TTL_BITS) && age > (s64)(st->owner & TTL_BITS);
}

static int look(void *arg, const char *path, u32 len)
{
	struct reaping *r = arg;
	struct store *st = r->c->st;
	struct store_node node;
	int rc;

	if (st->ops->get(st, path, len, &node, NULL, 0) || !is_due(r, &node))
		return 0;
	rc = pipeline_delete_container(r->c, path, len);
	if (rc)
		return rc;
	return --r->left ? 0 : 1;
}

void reap(struct core *c)
{
	struct reaping r = { .c = c, .wall_ms = core_wall_ms(), .left = REAP_MAX };
	int rc;

	if (c->now_ms < c->reap_ms)
		return;
	c->reap_ms = c->now_ms + REAP_EVERY_MS;
	if (!c->serving)
		return;
	rc = c->st->ops->timed(c->st, look, &r);
	if (rc < 0)
		log_ratelimited(LOG_ERROR, "looking for containers to delete failed: %d", rc);
}
