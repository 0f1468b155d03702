/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers to reads, built from the store: used by I/O threads for plain reads
 * and by the core thread for reads that set a watch, so there is one place that
 * knows what each read checks and answers (FinalRequestProcessor.java).
 */
#ifndef ZKD_SERVER_READ_H
#define ZKD_SERVER_READ_H

#include "daemon/server/request.h"
#include "daemon/store/store.h"

/* What the core needs to know to set the watch that a read asked for. */
struct read_watch {
	bool wanted;		/* the request's watch flag */
	const u8 *path;		/* inside the request's body */
	u32 path_len;
	s32 err;		/* ZOK or the error answered: exists sets its watch
				 * on ZNONODE too */
	u64 zxid;
};

/* Whether @op is a read that read_answer() knows. */
bool read_is_read(s32 op);
/* Whether @body asks for a watch, so that it must go to the core. Malformed bodies
 * say false: the I/O thread answers them. */
bool read_wants_watch(s32 op, const u8 *body, u32 len);
/*
 * Appends the whole reply frame (length, header, body) to @out and fills @watch
 * (may be NULL). @session: who asks, for getEphemerals. Any thread with
 * store_thread_init(); keeps a per-thread cache of ACLs.
 *
 * Protocol errors, malformed requests among them (ZMARSHALLINGERROR), are in the
 * frame. Negative errno, with nothing appended: -EAGAIN, on other threads than the
 * core's only: the answer takes several looks at the store, and transactions kept
 * coming between; let the core thread answer. All others close the connection
 * (-ENOMEM, -EMSGSIZE, the store's own).
 */
int read_answer(struct store *st, const struct auth_set *auth, u64 session, s32 xid,
		s32 op, const u8 *body, u32 len, struct jw *out,
		struct read_watch *watch);

/* Writes the 68 bytes of a Stat as a client sees it (DataNode.copyStat). @data_len:
 * -1 for null data. */
void stat_put(u8 *p, const struct zk_stat *st, s32 data_len);

#endif
