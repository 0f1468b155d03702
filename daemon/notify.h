/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the service manager is told (sd_notify(3)). Nothing is done, and no thread made,
 * where there is none to tell.
 */
#ifndef ZKD_NOTIFY_H
#define ZKD_NOTIFY_H

#include "daemon/server/core.h"

/*
 * From here to notify_ready() or notify_end() it is asked for more time again and again
 * (EXTEND_TIMEOUT_USEC), as long as the process gets on: uses its processor or its disk.
 */
void notify_busy(const char *status);
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
void notify_end(void);
/*
 * While serving, main()'s, at least every notify_every_ms(): tells the watchdog that
 * all is well if the core thread has answered since the last call, and what is being
 * served.
 */
void notify_alive(struct core *c);
u64 notify_every_ms(void);

#endif
