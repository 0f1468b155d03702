/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What operators ask by HTTP: the admin server's commands (JettyAdminServer.java) and
 * the metrics for Prometheus, each on its own port, both on one thread of their own.
 */
#ifndef ZKD_ADMIN_ADMIN_H
#define ZKD_ADMIN_ADMIN_H

#include "daemon/client/client.h"

struct admin;

/*
 * Listens where the configuration says, if it says so. A port that cannot be had, where
 * ZooKeeper would end, is told in a warning and done without: clients come first.
 * NULL: nothing to do, or no memory.
 */
struct admin *admin_start(const struct config *cfg, struct client_side *cs);
/* Before the clients and the core are stopped. NULL is fine. */
void admin_stop(struct admin *a);

#endif
