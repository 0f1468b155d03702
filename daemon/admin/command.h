/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The admin server's commands: Commands.java. Their answers, field by field, are those
 * of a standalone 3.8.0. On the admin thread.
 */
#ifndef ZKD_ADMIN_COMMAND_H
#define ZKD_ADMIN_COMMAND_H

#include "daemon/client/internal.h"

/* Answers the command called @name, which may be an alias, or unknown. @mask: the
 * request's traceMask, or NULL. */
void command_run(struct client_side *cs, const char *name, const char *mask, struct jw *out);
/* Links to all of them. @url: admin.commandURL. */
void command_index(const char *url, struct jw *out);

#endif
