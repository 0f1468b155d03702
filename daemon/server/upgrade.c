// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sessions that only this server knows become the ensemble's (UpgradeableSessionTracker,
 * QuorumZooKeeperServer.checkUpgradeSession, makeUpgradeRequest). Core thread only.
 *
 * With localSessionsEnabled a new session is its server's alone: no transaction, nothing
 * that the others keep. It can do all but own ephemerals. When it is about to, and that
 * is allowed, its createSession is sent ahead of the request; from then on it is a
 * session like any other, with the same id, whatever becomes of the request.
 */
#include "daemon/server/core_impl.h"

static bool is_create(s32 type)
{
	return type == OP_CREATE || type == OP_CREATE2;
}

/* Of a create: 1, it is of an ephemeral; 0, it is not; negative: nothing that is. */
static int makes_ephemeral(const struct wish *w)
{
	if (w->flags < CREATE_PERSISTENT || w->flags > CREATE_TTL_SEQ)
		return -EINVAL;
	return w->flags == CREATE_EPHEMERAL || w->flags == CREATE_EPHEMERAL_SEQ;
}

/* A multi that is malformed, however far down, changes nothing; nor does one that has a
 * create of no known mode before the first ephemeral. */
static bool multi_makes_ephemeral(struct jr *r)
{
	int made = 0;
	struct wish w;
	s32 type;

	while (prep_multi_next(r, &type, &w))
		if (is_create(type) && !made)
			made = makes_ephemeral(&w);
	return !r->err && made > 0;
}

static bool request_makes_ephemeral(const struct request *r)
{
	struct wish w;
	struct jr in;

	jr_init(&in, r->body, r->len);
	if (r->op == OP_MULTI)
		return multi_makes_ephemeral(&in);
	return is_create(r->op) && wish_read(&in, r->op, &w) && makes_ephemeral(&w) > 0;
}

int upgrade_session(struct core *c, struct client *cl, const struct request *r, s32 *refused)
{
	struct sess *s = cl->sess;
	int rc;

	*refused = ZOK;
	if (!s->local || !request_makes_ephemeral(r))
		return 0;
	if (!c->cfg->local_upgrade) {
		*refused = ZEPHEMERALONLOCALSESSION;
		return 0;
	}
	s->local = false;
	session_move(c->locals, c->sessions, s);
	rc = pipeline_open(c, s, cl, NULL);
	if (rc) {
		s->local = true;
		session_move(c->sessions, c->locals, s);
	}
	return rc;
}
