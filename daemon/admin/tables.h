/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables of the server as JSON, each as one value, for the admin server's commands.
 * They may wait for the core. Memory running short is put into the output's ->err.
 */
#ifndef ZKD_ADMIN_TABLES_H
#define ZKD_ADMIN_TABLES_H

#include "daemon/admin/jout.h"
#include "daemon/client/internal.h"

void table_connections(struct client_side *cs, struct jout *j, bool brief);
/* Two keys with theirs: sessions by the time they expire, ephemerals by session. */
void table_sessions(struct client_side *cs, struct jout *j);
void table_digests(struct client_side *cs, struct jout *j);
void table_watches(struct client_side *cs, struct jout *j, bool by_session);
/* Three keys. */
void table_watch_summary(struct client_side *cs, struct jout *j);

#endif
