/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the admin server's commands say of the ensemble's members, as 3.8.0 writes it
 * (Commands.VotingViewCommand, ZabStateCommand; Jackson's view of MultipleAddresses).
 * Any thread.
 */
#ifndef ZKD_ADMIN_MEMBERS_H
#define ZKD_ADMIN_MEMBERS_H

#include "daemon/admin/jout.h"
#include "daemon/client/internal.h"

/* "current_config": who votes, by the membership in force; {} for a single server. */
void members_view(struct client_side *cs, struct jout *j);
/* "quorum_address", "election_address", "client_address": this server's own in @e; none
 * if it is not in it. */
void members_own(struct client_side *cs, const struct ensemble *e, struct jout *j);
/* "synced_observers", "observers": who follows this server without a vote
 * (ObserverCommand, LearnerHandler.getLearnerHandlerInfo()). */
void members_observers(struct client_side *cs, struct jout *j);

#endif
