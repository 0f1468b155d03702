/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit log (org.apache.zookeeper.audit): who changed what, with what result, a
 * line each, in the form that ZooKeeper 3.8 gives them:
 *
 *   session=0x1000..	user=127.0.0.1,joe	ip=127.0.0.1	operation=create	znode=/a
 *	znode_type=persistent	result=success
 *
 * To a file of its own (zkern.auditFile), each line with time, level and logger as
 * log4j's "%d{ISO8601} %p %c{2}: %m%n" has them, by a thread of its own; or, without
 * one, into the log. As in 3.8 there are no lines for createTTL, for a check alone and
 * for reads. Control characters of what clients send are written as \uXXXX: nobody
 * makes a field, or a line, of his own.
 *
 * Nothing is done while audit.enable is false.
 */
#ifndef ZKD_SERVER_AUDIT_H
#define ZKD_SERVER_AUDIT_H

#include "daemon/base/config.h"
#include "daemon/disk/txn.h"
#include "daemon/server/request.h"

enum audit_result { AUDIT_SUCCESS, AUDIT_FAILURE, AUDIT_INVOKED };

/* main(), before the core is made. 0, or -errno and a sentence in @why. */
int audit_open(const struct config *cfg, char *why, size_t why_len);
/* main(), when nothing is audited any more. */
void audit_close(void);
/* main(): the file is opened anew. 0 or -errno. */
int audit_reopen(void);
/* main(): "serverStart", "serverStop". */
void audit_server(const char *operation, enum audit_result result);

/* Any thread. */
bool audit_on(void);
/* Whether the core waits for room in the audit's queue (zkern.auditFull=stall). */
bool audit_stalled(void);

/*
 * Core thread. The lines of a client's write that was prepared as @t, to be handed to
 * audit_write() when it is applied, or free()d. NULL: there are none to write, or no
 * memory (which is logged).
 */
char *audit_lines(const struct request *r, const struct txn *t, s32 err);
void audit_write(char *lines);
/* Core thread: a session's end was applied: a line for each of its ephemerals. */
void audit_session_end(const struct txn *t);

#endif
