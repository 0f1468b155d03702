// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The membership while it changes: the one in force (QuorumPeer.quorumVerifier) and, if
 * there is one, the one that was proposed (lastSeenQuorumVerifier). A leader needs a
 * quorum of both from the proposal on until it is committed.
 *
 * With reconfiguration switched off (reconfigEnabled, the default) there is only the
 * first, and what others say of theirs is passed over, as Apache's does.
 */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/proto/zookeeper.h"
#include "daemon/zab/zab_impl.h"

bool members_in(const struct txn *t)
{
	return t->type == OP_RECONFIG;
}

int members_of(const struct txn *t, struct ensemble **e)
{
	char why[128] = "it has no data";

	*e = NULL;
	if (t->n_ops == 1 && t->ops[0].data_len > 0)
		*e = ensemble_parse(t->ops[0].data, t->ops[0].data_len, why, sizeof(why));
	if (*e)
		return 0;
	log_error("ensemble: the membership in transaction 0x%llx: %s", t->zxid, why);
	return strcmp(why, "out of memory") ? -EBADMSG : -ENOMEM;
}

/* QuorumVerifier.setVersion(). NULL: memory. */
struct ensemble *members_renumber(const struct ensemble *e, u64 version)
{
	char *text = ensemble_print(e), *end, *all, why[128];
	struct ensemble *n = NULL;
	size_t len;

	if (!text)
		return NULL;
	end = strstr(text, "version=");
	len = end ? (size_t)(end - text) : strlen(text);
	all = malloc(len + 32);
	if (all) {
		memcpy(all, text, len);
		len += sprintf(all + len, "version=%llx", version);
		n = ensemble_parse(all, len, why, sizeof(why));
	}
	free(all);
	free(text);
	return n;
}

static void tell(struct zab *z, struct ensemble *e, bool in_force)
{
	struct zab_action *a = zab_emit(z, ZAB_DO_MEMBERS);

	a->ensemble = e;
	a->in_force = in_force;
	a->zxid = e->version;
}

static void set_next(struct zab *z, struct ensemble *e)
{
	ensemble_put(z->next);
	z->next = e;
	election_pending(z->el, e);
}

void members_seen(struct zab *z, struct ensemble *e)
{
	u64 known = z->next ? z->next->version : z->e->version;

	/* setLastSeenQuorumVerifier(): a version is one membership */
	if (e->version <= known) {
		ensemble_put(e);
		return;
	}
	log_info("ensemble: a membership is proposed, version 0x%llx", e->version);
	set_next(z, e);
	tell(z, e, false);
}

bool members_adopt(struct zab *z, struct ensemble *e)
{
	const struct peer *me;
	bool was = z->observer;

	/* setQuorumVerifier() */
	if (e->version <= z->e->version)
		return false;
	log_info("ensemble: a membership is in force, version 0x%llx", e->version);
	ensemble_get(e);
	if (z->next && z->next->version <= e->version)
		set_next(z, NULL);
	/* what was there before may be named by an action that is not read yet */
	ensemble_put(z->was);
	z->was = z->e;
	z->e = e;
	election_members(z->el, e);
	tell(z, e, true);
	/* updateLearnerType(): who is not in it is a follower that does not vote */
	me = ensemble_find(e, z->p.myid);
	z->observer = me && me->observer;
	return z->observer != was;
}

void members_cut(struct zab *z)
{
	/* it was proposed in what is cut off */
	if (z->next && z->next->version > z->last && COUNT_OF(z->next->version))
		set_next(z, NULL);
}

static bool same_address(const struct peer *a, const struct peer *b)
{
	return a && b && a->n_addrs && b->n_addrs &&
	       a->addrs[0].quorum_port == b->addrs[0].quorum_port &&
	       !strcmp(a->addrs[0].host, b->addrs[0].host);
}

u64 members_leader(const struct zab *z, u64 zxid)
{
	const struct learner *best = NULL;

	/* Leader.getDesignatedLeader() */
	if (ensemble_votes(z->next, z->p.myid) &&
	    same_address(ensemble_find(z->e, z->p.myid), ensemble_find(z->next, z->p.myid)))
		return z->p.myid;
	for (u32 i = 0; i < z->ld.n; i++) {
		const struct learner *l = z->ld.learners[i];

		if (l->gone || l->observer || l->stage < STAGE_ACKED || l->acked < zxid ||
		    !ensemble_votes(z->next, l->sid))
			continue;
		if (!best || l->acked > best->acked)
			best = l;
	}
	return best ? best->sid : z->p.myid;
}
