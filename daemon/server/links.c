// SPDX-License-Identifier: GPL-2.0-or-later
/* The links of learners, for operators (any thread): see core.h. */
#include "daemon/server/core_impl.h"

u32 core_links(struct core *c, struct peer_link *out, u32 max)
{
	return c->peers ? peer_links(c->peers, out, max) : 0;
}

void core_links_reset(struct core *c)
{
	if (c->peers)
		peer_links_reset(c->peers);
}
