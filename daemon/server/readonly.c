// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Serving readers without a quorum (ReadOnlyZooKeeperServer, ReadOnlyRequestProcessor;
 * when it begins and ends: QuorumPeer.run()). Core thread only.
 *
 * A server that has looked for a leader for a while lets in clients that said they are
 * content with reading. What they read is the tree as it is: of a server that ran, all
 * that it knew to be committed, and nothing else; of one that was started since, what
 * its files hold, as in Apache ZooKeeper, but for what is behind a tree that the kernel
 * had kept. (By a device a tree that was built from the files is not to be read yet.)
 * Their sessions are this server's alone, whatever localSessionsEnabled
 * says. Once there is a leader all are closed, and these sessions end.
 */
#include "daemon/base/log.h"
#include "daemon/server/core_impl.h"

#define GRACE_MIN_MS	2000

void readonly_look(struct core *c)
{
	u32 grace = c->cfg->tick_ms > GRACE_MIN_MS ? c->cfg->tick_ms : GRACE_MIN_MS;

	if (!c->cfg->readonly_mode || !c->peers)
		return;
	if (zab_state(c->zab) != ZAB_LOOKING) {
		c->alone_ms = 0;
		readonly_end(c);
	} else if (!c->readonly && !c->alone_ms) {
		c->alone_ms = c->now_ms + grace;
	}
}

void readonly_end(struct core *c)
{
	if (!c->readonly)
		return;
	c->readonly = false;
	c->open = false;
	connect_close_all(c);
	role_tell(c);
	log_info("not serving readers any more");
}

static void begin(struct core *c)
{
	c->readonly = true;
	c->open = true;
	role_tell(c);
	log_info("no quorum: serving those who only read, zxid 0x%llx", c->applied);
}

/* What is committed and not applied, or a tree that is being received, comes first. */
void readonly_timer(struct core *c)
{
	if (!c->alone_ms || c->now_ms < c->alone_ms)
		return;
	if (c->head || c->receiving) {
		c->alone_ms = c->now_ms + c->cfg->tick_ms;
		return;
	}
	c->alone_ms = 0;
	if (c->mixed)
		log_warn("no quorum, and the tree is not whole yet: serving nobody");
	else
		begin(c);
}

bool readonly_refuses(const struct core *c, s32 op)
{
	return c->readonly && (prep_is_write(op) || op == OP_SYNC);
}
