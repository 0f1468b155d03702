/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Generic netlink: reads for tools, management of instances, events. The family
 * is documented at the end of include/uapi/linux/zkern.h.
 */
#ifndef ZKERN_NETLINK_H
#define ZKERN_NETLINK_H

#include <linux/types.h>
#include <net/genetlink.h>

#include "access.h"

struct zkern_inst;

/*
 * Any context that may sleep, while the family is registered: tells the listeners
 * of the group "state" what @inst is now. @removed: it is going. Best effort, as
 * all multicast: without memory nothing is said.
 */
void zkern_netlink_event(struct zkern_inst *inst, bool removed);

int zkern_netlink_init(void);
void zkern_netlink_exit(void);

/* ------------------------------------------------------------ within netlink*.c */

extern struct genl_family zkern_genl_family;

/*
 * In the sender's context: may he read by netlink at all, past the device nodes?
 * @req: his message. 0 or -EPERM (with a word in @extack).
 */
int zkern_netlink_may_read(struct sk_buff *req, struct netlink_ext_ack *extack);
/*
 * In the sender's context: who asks. Both the sender and whoever opened his socket
 * must be let in, as with netlink_capable(): else a set-uid program that is handed
 * the socket as its standard output would lend its powers. The creds are borrowed.
 */
struct zkern_caller zkern_netlink_caller(struct sk_buff *req);
/* The instance that @attrs name (a reference), or NULL with *@err set. */
struct zkern_inst *zkern_netlink_inst(struct nlattr **attrs, struct netlink_ext_ack *extack,
				      int *err);
/* The path in @attrs, or NULL. */
const char *zkern_netlink_path(struct nlattr **attrs, struct netlink_ext_ack *extack, u32 *len);
/* Puts INSTANCE and INFO into a message. -EMSGSIZE, or -ENODEV after removal. */
int zkern_netlink_put_info(struct sk_buff *skb, struct zkern_inst *inst, bool pid);

/* netlink_dump.c: the dumps' callbacks. */
int zkern_dump_start_children(struct netlink_callback *cb);
int zkern_dump_start_subtree(struct netlink_callback *cb);
int zkern_dump_nodes(struct sk_buff *skb, struct netlink_callback *cb);
int zkern_dump_done(struct netlink_callback *cb);
int zkern_dump_start_status(struct netlink_callback *cb);
int zkern_dump_status(struct sk_buff *skb, struct netlink_callback *cb);

#endif
