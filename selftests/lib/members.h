/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a server's files would keep of its members (core_on_members()). */
#ifndef SELFTESTS_LIB_MEMBERS_H
#define SELFTESTS_LIB_MEMBERS_H

#include "daemon/base/config.h"
#include "daemon/zab/ensemble.h"

static inline void members_keep(struct config *cfg, struct ensemble *e, bool in_force)
{
	ensemble_put(cfg->next_ensemble);
	cfg->next_ensemble = in_force ? NULL : ensemble_get(e);
	if (!in_force)
		return;
	ensemble_put(cfg->ensemble);
	cfg->ensemble = ensemble_get(e);
}

#endif
