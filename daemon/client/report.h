/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The thread that works out long texts for four-letter words, so that the thread
 * which owns the asking connection goes on serving its others: it may wait for the
 * core, walk the store, read directories.
 */
#ifndef ZKD_CLIENT_REPORT_H
#define ZKD_CLIENT_REPORT_H

#include "daemon/client/internal.h"

struct reports;

/* NULL: no memory, no thread. */
struct reports *reports_new(void);
/* What is queued is dropped. Before the core is stopped. */
void reports_free(struct reports *rs);
/*
 * I/O thread: @say is to write @c its text, which is posted as MSG_TEXT. Takes its own
 * reference. -EBUSY: too many wait; -ENOMEM.
 */
int report_submit(struct reports *rs, struct conn *c,
		  void (*say)(struct client_side *cs, struct jw *out));

#endif
