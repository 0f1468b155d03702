// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The membership changes (QuorumPeer.processReconfig(), setLastSeenQuorumVerifier()): who
 * must know of it does, before anything that follows from it is done.
 *
 * /zookeeper/config gets its text by the transaction that changes the membership. What
 * came about without one (the first version that a leader gives to the membership of the
 * files; one that others told of in an election) is written into the tree beside the
 * transactions, by each server for itself (initConfigInZKDatabase()).
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/server/core_impl.h"

#define RETRY_MS	100

static const char config_path[] = "/zookeeper/config";

void core_on_members(struct core *c, void (*fn)(void *arg, struct ensemble *e, bool in_force),
		     void *arg)
{
	c->on_members = fn;
	c->on_members_arg = arg;
}

struct ensemble *core_members(struct core *c)
{
	struct ensemble *e;

	pthread_mutex_lock(&c->members_lock);
	e = ensemble_get(c->members);
	pthread_mutex_unlock(&c->members_lock);
	return e;
}

static void set_members(struct core *c, struct ensemble *e)
{
	struct ensemble *old = c->members;

	disk_config_node(c->disk, e->text, e->version, c->cfg->reconfig_enabled);
	ensemble_get(e);
	pthread_mutex_lock(&c->members_lock);
	c->members = e;
	pthread_mutex_unlock(&c->members_lock);
	ensemble_put(old);
}

/*
 * Whether the transaction that writes it is about to be applied. It may never be: one that
 * was cut off is made up for by the next leader that had seen what it proposed.
 */
static bool is_coming(const struct core *c, u64 version)
{
	const struct proposal *p = c->head;

	for (u32 n = c->committed; n && p; n--, p = p->next)
		if (p->txn && p->txn->zxid == version)
			return true;
	return false;
}

/* -ENOENT and others: it cannot be read, so it is not. */
static bool is_there(struct core *c, const struct ensemble *e)
{
	u32 len = strlen(e->text);
	struct store_node node;
	char *buf = malloc(len + 1);
	bool same = buf && !c->st->ops->get(c->st, config_path, sizeof(config_path) - 1, &node,
					    buf, len + 1) &&
		    node.data_len == (s32)len && !memcmp(buf, e->text, len);

	free(buf);
	return same;
}

static void write_node(struct core *c, const struct ensemble *e)
{
	struct zk_op op = {
		.type = ZK_OP_SETDATA,
		.version = -1,
		.path = config_path,
		.path_len = sizeof(config_path) - 1,
		.data = e->text,
		.data_len = strlen(e->text),
		.crc = txn_crc(config_path, sizeof(config_path) - 1, e->text, strlen(e->text)),
	};
	struct zk_txn zk = {
		.zxid = e->version,
		.time = core_wall_ms(c),
		.flags = ZK_TXN_ASIDE | ZK_TXN_REPLAY,
		.n_ops = 1,
		.ops = &op,
	};
	int err;

	while (c->st->ops->apply(c->st, &zk, 1, NULL, &err) != 1) {
		if (err != -ENOMEM) {
			log_error("cannot write %s: %s", config_path, strerror(-err));
			return;
		}
		core_nap(c, RETRY_MS);
	}
}

void reconfig_members(struct core *c, const struct zab_action *a)
{
	if (c->on_members)
		c->on_members(c->on_members_arg, a->ensemble, a->in_force);
	if (peer_ensemble(c->peers, a->ensemble, a->in_force))
		log_ratelimited(LOG_ERROR, "no memory for the new members' addresses");
	if (!a->in_force)
		return;
	/* there may be a later one still */
	if (c->on_members && zab_next_ensemble(c->zab))
		c->on_members(c->on_members_arg, zab_next_ensemble(c->zab), false);
	set_members(c, a->ensemble);
	if (is_coming(c, a->ensemble->version))
		return;
	pipeline_apply_all(c);
	if (!is_there(c, a->ensemble))
		write_node(c, a->ensemble);
}
