/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The four-letter words that print tables, for fourlw.c's list: each appends its text
 * to @out, or sets ->err. Run on the thread of report.h.
 */
#ifndef ZKD_CLIENT_FOURLW_H
#define ZKD_CLIENT_FOURLW_H

#include "daemon/client/internal.h"

void say_dump(struct client_side *cs, struct jw *out);
void say_wchs(struct client_side *cs, struct jw *out);
void say_wchc(struct client_side *cs, struct jw *out);
void say_wchp(struct client_side *cs, struct jw *out);

#endif
