// SPDX-License-Identifier: GPL-2.0-only
/*
 * Netlink dumps: the children of a node, a subtree, the status of all instances.
 *
 * A dump of nodes is begun by its sender, whose identities it then keeps, and goes
 * on whenever its socket is read, by whomever. Its zxid is pinned for as long as
 * it runs, which the socket's owner may draw out for ever; so it is counted as a
 * snapshot of his, and is as revocable: then it ends with ESTALE. The socket's own
 * lock keeps the callbacks of one dump apart.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include "file.h"
#include "netlink.h"
#include "quota.h"
#include "trace.h"
#include "walk.h"

#define DUMP_STEPS	512	/* messages per RCU section; an skb seldom holds more */

/*
 * struct nl_dump - a dump of nodes.
 * @live:  how file.c sees us; holds the instance
 * @who:   who began it; owns references to the creds
 * @cmd:   ZKERN_CMD_CHILDREN or _SUBTREE
 * @uid:   counted for
 * @next:  the next node to tell of, NULL: at the end
 */
struct nl_dump {
	struct zkern_file live;
	struct zkern_pinned pinned;
	struct zkern_caller who;
	u8 cmd;
	kuid_t uid;
	struct zk_node *top;
	struct zk_node *next;
};

/* RCU, pinned: where the dump begins. */
static int dump_find(struct nl_dump *dump, const struct zkern_at *at, const char *path, u32 len)
{
	struct zk_node *top;
	struct zk_view view;

	top = zkern_find(at, path, len, &view);
	if (IS_ERR(top))
		return PTR_ERR(top);
	dump->top = top;
	dump->next = top;
	if (dump->cmd == ZKERN_CMD_SUBTREE)
		return 0;
	if (!zkern_may(view.acl, ZKERN_PERM_READ, &dump->who))
		return -EACCES;
	dump->next = zk_first_child(dump->top, at->zxid);
	return 0;
}

static void dump_explain(struct netlink_callback *cb, struct nlattr *path, int err)
{
	if (err == -ENOENT)
		NL_SET_ERR_MSG_ATTR(cb->extack, path, "no such znode");
	else if (err == -EACCES)
		NL_SET_ERR_MSG_ATTR(cb->extack, path, "the znode's ACL does not let you read");
	else if (err == -EINVAL)
		NL_SET_ERR_MSG_ATTR(cb->extack, path, "malformed path");
	else if (err == -ESTALE)
		NL_SET_ERR_MSG(cb->extack, "the instance has no tree yet");
	else if (err == -ENOSPC)
		NL_SET_ERR_MSG(cb->extack, "too many snapshots and dumps of this user");
}

/* Pins the zxid, finds the node. On error nothing is left. */
static int dump_pin(struct nl_dump *dump, const char *path, u32 len)
{
	struct zkern_pinned *p;
	struct zkern_at at;
	int err;

	dump->uid = dump->who.cred->uid;
	err = zkern_quota_take(dump->uid);
	if (err)
		return err;
	err = zkern_pin(&dump->live, &dump->pinned, &p);
	if (err)
		goto err_quota;
	rcu_read_lock();
	err = zkern_pinned_at(&dump->pinned, &at);
	if (!err)
		err = dump_find(dump, &at, path, len);
	rcu_read_unlock();
	if (!err)
		return 0;
	zkern_unpin(&dump->pinned, p);
err_quota:
	zkern_quota_drop(dump->uid);
	return err;
}

static int dump_start(struct netlink_callback *cb, u8 cmd)
{
	struct nlattr **attrs = genl_dumpit_info(cb)->attrs;
	struct nl_dump *dump;
	const char *path;
	u32 len;
	int err;

	err = zkern_netlink_may_read(cb->skb, cb->extack);
	if (err)
		return err;
	path = zkern_netlink_path(attrs, cb->extack, &len);
	if (!path)
		return -EINVAL;
	dump = kzalloc(sizeof(*dump), GFP_KERNEL_ACCOUNT);
	if (!dump)
		return -ENOMEM;
	dump->cmd = cmd;
	dump->who = zkern_netlink_caller(cb->skb);
	dump->live.inst = zkern_netlink_inst(attrs, cb->extack, &err);
	if (!dump->live.inst)
		goto err_free;
	err = dump_pin(dump, path, len);
	if (err) {
		dump_explain(cb, attrs[ZKERN_A_PATH], err);
		goto err_inst;
	}
	get_cred(dump->who.cred);
	if (dump->who.also)
		get_cred(dump->who.also);
	cb->args[0] = (long)dump;
	return 0;

err_inst:
	zkern_inst_put(dump->live.inst);
err_free:
	kfree(dump);
	return err;
}

int zkern_dump_start_children(struct netlink_callback *cb)
{
	return dump_start(cb, ZKERN_CMD_CHILDREN);
}

int zkern_dump_start_subtree(struct netlink_callback *cb)
{
	return dump_start(cb, ZKERN_CMD_SUBTREE);
}

int zkern_dump_done(struct netlink_callback *cb)
{
	struct nl_dump *dump = (struct nl_dump *)cb->args[0];

	if (!dump)
		return 0;
	zkern_unpin(&dump->pinned, &dump->pinned);
	zkern_quota_drop(dump->uid);
	put_cred(dump->who.cred);
	if (dump->who.also)
		put_cred(dump->who.also);
	zkern_inst_put(dump->live.inst);
	kfree(dump);
	return 0;
}

/* ------------------------------------------------------------ messages */

/* RCU, pinned. */
static int put_child(struct sk_buff *skb, const struct zk_node *node)
{
	const char *name;
	u32 len;

	name = zk_name(node, &len);
	return nla_put(skb, ZKERN_A_NAME, len, name);
}

static int put_path(struct sk_buff *skb, const struct zk_node *node)
{
	struct nlattr *attr;
	size_t len;

	len = zk_path(node, NULL, 0);
	if (len > U16_MAX - NLA_HDRLEN)
		return -EMSGSIZE;
	attr = nla_reserve(skb, ZKERN_A_PATH, len);
	if (!attr)
		return -EMSGSIZE;
	zk_path(node, nla_data(attr), len);
	return 0;
}

/* RCU, pinned: @empty: there will be no roomier message than this one. */
static int put_subtree_node(struct sk_buff *skb, const struct zk_node *node,
			    const struct zkern_rec *rec, bool empty)
{
	struct zkern_stat stat = {};
	int err;

	zkern_stat_fill(&stat, &rec->view);
	err = put_path(skb, node) ?: nla_put(skb, ZKERN_A_STAT, sizeof(stat), &stat);
	if (err || !rec->readable || rec->view.data_len < 0)
		return err;
	if (rec->view.data_len <= U16_MAX - NLA_HDRLEN &&
	    !nla_put(skb, ZKERN_A_DATA, rec->view.data_len, rec->view.data))
		return 0;
	if (!empty && rec->view.data_len <= U16_MAX - NLA_HDRLEN)
		return -EMSGSIZE;
	return nla_put_flag(skb, ZKERN_A_TRUNCATED);
}

/* RCU, pinned: one message about @dump->next. -EMSGSIZE: @skb is full. */
static int dump_one(struct sk_buff *skb, struct netlink_callback *cb, struct nl_dump *dump,
		    const struct zkern_rec *rec)
{
	bool empty = !skb->len;
	void *head;
	int err;

	head = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &zkern_genl_family, NLM_F_MULTI, dump->cmd);
	if (!head)
		return -EMSGSIZE;
	err = nla_put_u64_64bit(skb, ZKERN_A_ZXID, dump->pinned.pin.zxid, ZKERN_A_PAD);
	if (!err && dump->cmd == ZKERN_CMD_CHILDREN)
		err = put_child(skb, dump->next);
	else if (!err)
		err = put_subtree_node(skb, dump->next, rec, empty);
	if (err) {
		genlmsg_cancel(skb, head);
		return err;
	}
	genlmsg_end(skb, head);
	return 0;
}

/* RCU, pinned: tells of nodes until the message buffer is full. */
static int dump_fill(struct sk_buff *skb, struct netlink_callback *cb, struct nl_dump *dump,
		     u64 zxid)
{
	struct zkern_rec rec;
	int err = 0;
	u32 steps;

	for (steps = 0; dump->next && steps < DUMP_STEPS; steps++) {
		if (dump->cmd == ZKERN_CMD_SUBTREE)
			zkern_rec_look(dump->next, zxid, &dump->who, &rec);
		err = dump_one(skb, cb, dump, &rec);
		if (err)
			break;
		if (dump->cmd == ZKERN_CMD_CHILDREN)
			dump->next = zk_next_child(dump->next, zxid);
		else
			dump->next = zkern_walk_next(dump->top, dump->next, zxid, rec.readable);
	}
	return err;
}

int zkern_dump_nodes(struct sk_buff *skb, struct netlink_callback *cb)
{
	u64 start = trace_zkern_read_enabled() ? ktime_get_ns() : 0;
	struct nl_dump *dump = (struct nl_dump *)cb->args[0];
	struct zkern_at at;
	int err;

	rcu_read_lock();
	err = zkern_pinned_at(&dump->pinned, &at);
	if (!err)
		err = dump_fill(skb, cb, dump, at.zxid);
	rcu_read_unlock();
	/* full is no error, unless a node's name alone fills it */
	if (skb->len)
		err = err == -EMSGSIZE ? 0 : err;
	if (trace_zkern_read_enabled())
		trace_zkern_read(dump->live.inst->id, dump->cmd == ZKERN_CMD_CHILDREN ?
				 ZKERN_TRACE_CHILDREN : ZKERN_TRACE_SUBTREE, "", 0,
				 dump->pinned.pin.zxid, skb->len, err,
				 start ? ktime_get_ns() - start : 0);
	return err ?: skb->len;
}

/* ------------------------------------------------------------ status */

int zkern_dump_start_status(struct netlink_callback *cb)
{
	return zkern_netlink_may_read(cb->skb, cb->extack);
}

static int dump_status_one(struct sk_buff *skb, struct netlink_callback *cb,
			   struct zkern_inst *inst)
{
	void *head;
	int err;

	head = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   &zkern_genl_family, NLM_F_MULTI, ZKERN_CMD_STATUS);
	if (!head)
		return -EMSGSIZE;
	err = zkern_netlink_put_info(skb, inst, true);
	if (err) {
		genlmsg_cancel(skb, head);
		return err;
	}
	genlmsg_end(skb, head);
	return 0;
}

int zkern_dump_status(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct zkern_inst *inst;
	u32 id = cb->args[0];
	int err = 0;

	while (err != -EMSGSIZE && (inst = zkern_inst_next(id))) {
		err = dump_status_one(skb, cb, inst);
		/* -ENODEV: it was removed just now */
		if (err != -EMSGSIZE)
			id = inst->id + 1;
		zkern_inst_put(inst);
	}
	cb->args[0] = id;
	return skb->len;
}
