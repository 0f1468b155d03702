// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Container and TTL nodes that have had their time (ContainerManager.java): every
 * checkIntervalMs each such node is looked at; a container that had children and has
 * none any more goes, one that never had any after maxNeverUsedIntervalMs, and a TTL
 * node that has none and was not changed for longer than its TTL. They go through the
 * pipeline like any write, at most maxPerMinute of them.
 *
 * There may be millions. They are looked at by a thread that lives as long as that
 * takes and leaves a list; the core thread then deletes from the list, a few a round,
 * after another look at each: its turn may come an hour later.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/server/core_impl.h"

#define SLICE		256	/* deleted in one round */
#define TTL_BITS	0xffffffffffULL

struct reaper {
	struct core *c;
	pthread_t thread;
	bool scanning;		/* the thread is to be joined */
	int stop;		/* atomic: for the thread */
	/* the thread's, while it scans */
	struct request *done;	/* made ahead: tells the core of the end */
	struct jw found;	/* paths, as jute strings */
	u64 n_found;
	int rc;
	/* the core's, between */
	bool deleting;
	struct jr left;		/* of found */
	u64 check_ms;		/* when to scan next */
	u64 pace_ms;		/* when to delete next */
};

static bool is_due(const struct config *cfg, u64 wall_ms, const struct store_node *node)
{
	const struct zk_stat *st = &node->stat;
	s64 age = wall_ms - st->mtime;

	if (st->num_children)
		return false;
	if (st->owner == ZK_OWNER_CONTAINER)
		return st->cversion > 0 || (cfg->container_unused_ms &&
					    age > (s64)cfg->container_unused_ms);
	if (!cfg->extended_types || (st->owner & ZK_OWNER_TTL_MASK) != ZK_OWNER_TTL_MASK)
		return false;
	return (st->owner & TTL_BITS) && age > (s64)(st->owner & TTL_BITS);
}

static bool is_due_now(const struct core *c, const char *path, u32 len)
{
	struct store_node node;

	return !c->st->ops->get(c->st, path, len, &node, NULL, 0) &&
	       is_due(c->cfg, core_wall_ms(c), &node);
}

/* ------------------------------------------------------------ the thread */

static int look(void *arg, const char *path, u32 len)
{
	struct reaper *r = arg;

	if (__atomic_load_n(&r->stop, __ATOMIC_RELAXED))
		return -EINTR;
	if (!is_due_now(r->c, path, len))
		return 0;
	jw_str(&r->found, path, len);
	r->n_found++;
	return r->found.err;
}

static void *scan(void *arg)
{
	struct reaper *r = arg;
	struct request *done = r->done;

	store_thread_init();
	r->rc = r->c->st->ops->timed(r->c->st, look, r);
	store_thread_exit();
	r->done = NULL;
	core_submit(r->c, done);
	return NULL;
}

/* ------------------------------------------------------------ the core thread */

static void forget(struct reaper *r)
{
	jw_free(&r->found);
	jw_init(&r->found, 0);
	r->n_found = 0;
	r->deleting = false;
}

/* The thread is through. */
static void scanned(void *arg)
{
	struct core *c = arg;
	struct reaper *r = c->reaper;

	pthread_join(r->thread, NULL);
	r->scanning = false;
	if (r->rc < 0) {
		log_ratelimited(LOG_ERROR, "looking for containers to delete failed: %s",
				strerror(-r->rc));
		forget(r);
	}
	if (r->n_found) {
		log_info("deleting %llu containers and TTL nodes", r->n_found);
		r->deleting = true;
		jr_init(&r->left, r->found.buf, r->found.len);
	}
	r->pace_ms = c->now_ms;
	c->reap_ms = c->now_ms;
}

static int start_scan(struct core *c)
{
	struct reaper *r = c->reaper;
	int rc;

	if (!r) {
		r = calloc(1, sizeof(*r));
		if (!r)
			return -ENOMEM;
		r->c = c;
		r->check_ms = c->now_ms;
		jw_init(&r->found, 0);
		c->reaper = r;
	}
	r->check_ms += c->cfg->container_check_ms;
	if (r->check_ms < c->now_ms)
		r->check_ms = c->now_ms;
	r->done = calloc(1, sizeof(*r->done));
	if (!r->done)
		return -ENOMEM;
	r->done->kind = REQ_TASK;
	r->done->task = scanned;
	r->done->arg = c;
	rc = -pthread_create(&r->thread, NULL, scan, r);
	if (rc) {
		free(r->done);
		return rc;
	}
	pthread_setname_np(r->thread, "reaper");
	r->scanning = true;
	return 0;
}

/* Some from the list, as fast as maxPerMinute lets us. */
static void delete_some(struct core *c)
{
	u64 step = 60000 / c->cfg->container_per_minute;
	struct reaper *r = c->reaper;

	for (u32 n = 0; n < SLICE && r->pace_ms <= c->now_ms; n++) {
		struct jstr path;

		if (!jr_left(&r->left)) {
			forget(r);
			return;
		}
		path = jr_str(&r->left);
		if (!is_due_now(c, (const char *)path.p, path.len))
			continue;
		if (pipeline_delete_container(c, (const char *)path.p, path.len)) {
			log_ratelimited(LOG_ERROR, "cannot delete containers now");
			forget(r);
			return;
		}
		r->pace_ms += step;
	}
	c->reap_ms = r->pace_ms;
}

void reap(struct core *c)
{
	struct reaper *r = c->reaper;
	int rc;

	if (c->now_ms < c->reap_ms || (r && r->scanning))
		return;
	if (r && r->deleting) {
		delete_some(c);
		if (r->deleting)
			return;
	} else if (c->leading && c->env.threads && (!r || c->now_ms >= r->check_ms)) {
		rc = start_scan(c);
		if (rc)
			log_ratelimited(LOG_ERROR, "cannot look for containers: %s",
					strerror(-rc));
	}
	c->reap_ms = c->now_ms + c->cfg->container_check_ms;
	if (c->reaper && c->reaper->scanning)
		c->reap_ms = ~0ULL;
	else if (c->reaper && c->reaper->check_ms > c->now_ms)
		c->reap_ms = c->reaper->check_ms;
}

void reap_free(struct core *c)
{
	struct reaper *r = c->reaper;

	if (!r)
		return;
	__atomic_store_n(&r->stop, 1, __ATOMIC_RELAXED);
	if (r->scanning)
		pthread_join(r->thread, NULL);
	jw_free(&r->found);
	free(r);
	c->reaper = NULL;
}
