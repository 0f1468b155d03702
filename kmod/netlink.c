// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic netlink family: single requests, instance management, events. The
 * dumps are in netlink_dump.c.
 *
 * The core runs a request in its sender's context, holding a lock of its own
 * shared with all families; so nothing here waits for anything that a user may
 * draw out (MIN_ZXID does not wait, it refuses).
 *
 * Netlink goes past the device nodes, and so past their mode and past the /dev
 * that a container was or was not given. It must not give more than they would:
 * reading takes a sender in the initial network namespace and nodes that are open
 * to all (module parameter dev_mode), or CAP_SYS_ADMIN. Events go to the initial
 * network namespace only. The ACLs come on top, as on the device.
 */
#include "netlink.h"

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/net.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "file.h"
#include "trace.h"

/* An attribute's length has 16 bits. */
#define NL_DATA_MAX	(U16_MAX - NLA_HDRLEN)
#define NL_TRIES	8

/* Everything in an answer but DATA. */
#define NL_ANSWER_SIZE	(nla_total_size(sizeof(u32)) * 2 +		\
			 nla_total_size_64bit(sizeof(u64)) * 2 +	\
			 nla_total_size(sizeof(struct zkern_stat)))
#define NL_INFO_SIZE	(nla_total_size(sizeof(u32)) * 2 + nla_total_size(0) +	\
			 nla_total_size_64bit(sizeof(u64)) +			\
			 nla_total_size(sizeof(struct zkern_info)))

/* ------------------------------------------------------------ the request */

int zkern_netlink_may_read(struct sk_buff *req, struct netlink_ext_ack *extack)
{
	if (zkern_inst_open_to_all() && net_eq(sock_net(NETLINK_CB(req).sk), &init_net))
		return 0;
	if (netlink_capable(req, CAP_SYS_ADMIN))
		return 0;
	NL_SET_ERR_MSG(extack, "reading by netlink needs the initial network namespace");
	return -EPERM;
}

struct zkern_caller zkern_netlink_caller(struct sk_buff *req)
{
	struct zkern_caller who = zkern_caller_current(false);
	struct socket *sock = NETLINK_CB(req).sk->sk_socket;

	if (sock && sock->file)
		who.also = sock->file->f_cred;
	return who;
}

struct zkern_inst *zkern_netlink_inst(struct nlattr **attrs, struct netlink_ext_ack *extack,
				      int *err)
{
	struct nlattr *attr = attrs[ZKERN_A_INSTANCE];
	struct zkern_inst *inst;

	if (!attr) {
		NL_SET_ERR_MSG(extack, "an instance is needed");
		*err = -EINVAL;
		return NULL;
	}
	inst = zkern_inst_find(nla_get_u32(attr));
	if (!inst) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "no such instance");
		*err = -ENODEV;
	}
	return inst;
}

const char *zkern_netlink_path(struct nlattr **attrs, struct netlink_ext_ack *extack, u32 *len)
{
	struct nlattr *attr = attrs[ZKERN_A_PATH];
	const char *path;

	if (!attr || !nla_len(attr)) {
		NL_SET_ERR_MSG(extack, "a path is needed");
		return NULL;
	}
	path = nla_data(attr);
	if (path[0] != '/') {
		NL_SET_ERR_MSG_ATTR(extack, attr, "a path begins with a slash");
		return NULL;
	}
	*len = nla_len(attr);
	return path;
}

/* ------------------------------------------------------------ get, exists */

/*
 * struct nl_get - one request being answered.
 * @live: how file.c sees us: a file that has seen nothing
 */
struct nl_get {
	struct zkern_file live;
	struct zkern_caller who;
	const char *path;
	u32 path_len;
	u64 min_zxid;
	bool exists;
	u64 zxid;
	u32 data_len;
};

/* RCU: @view, and how much data the answer has. */
static int nl_get_look(struct nl_get *get, struct zk_view *view)
{
	struct zkern_at at;
	struct zk_node *node;
	int err;

	err = zkern_file_at(&get->live, &at);
	if (err)
		return err;
	get->zxid = at.zxid;
	if (at.zxid < get->min_zxid)
		return -ESTALE;
	node = zkern_find(&at, get->path, get->path_len, view);
	if (IS_ERR(node))
		return PTR_ERR(node);
	get->data_len = 0;
	if (get->exists)
		return 0;
	if (!zkern_may(view->acl, ZKERN_PERM_READ, &get->who))
		return -EACCES;
	if (view->data_len > 0)
		get->data_len = view->data_len;
	return 0;
}

/* RCU: the answer's attributes. */
static int nl_get_put(struct sk_buff *skb, struct nl_get *get, const struct zk_view *view)
{
	struct zkern_inst *inst = get->live.inst;
	struct zkern_stat stat = {};

	zkern_stat_fill(&stat, view);
	if (nla_put_u32(skb, ZKERN_A_INSTANCE, inst->id) ||
	    nla_put_u64_64bit(skb, ZKERN_A_ZXID, get->zxid, ZKERN_A_PAD) ||
	    nla_put_u32(skb, ZKERN_A_STATE, READ_ONCE(inst->state)) ||
	    nla_put_u64_64bit(skb, ZKERN_A_AGE_MS, zkern_inst_age_ms(inst), ZKERN_A_PAD) ||
	    nla_put(skb, ZKERN_A_STAT, sizeof(stat), &stat))
		return -EMSGSIZE;
	if (get->exists || view->data_len < 0)
		return 0;
	return nla_put(skb, ZKERN_A_DATA, view->data_len, view->data);
}

/* Answers into *@reply, whose room for data is @room; -EAGAIN: it takes more. */
static int nl_get_try(struct nl_get *get, struct genl_info *info, u8 cmd, u32 room,
		      struct sk_buff **reply)
{
	struct zk_view view;
	struct sk_buff *skb;
	void *head;
	int err;

	skb = genlmsg_new(NL_ANSWER_SIZE + nla_total_size(room), GFP_KERNEL_ACCOUNT);
	if (!skb)
		return -ENOMEM;
	head = genlmsg_put_reply(skb, info, &zkern_genl_family, 0, cmd);
	err = head ? 0 : -EMSGSIZE;
	rcu_read_lock();
	if (!err)
		err = nl_get_look(get, &view);
	if (!err)
		err = get->data_len > room ? -EAGAIN : nl_get_put(skb, get, &view);
	rcu_read_unlock();
	if (err) {
		nlmsg_free(skb);
		return err;
	}
	genlmsg_end(skb, head);
	*reply = skb;
	return 0;
}

/* The data may grow between our learning its length and our making room. */
static int nl_get_answer(struct nl_get *get, struct genl_info *info, u8 cmd)
{
	struct sk_buff *reply;
	int tries, err = -EAGAIN;
	u32 room = 1024;

	for (tries = 0; err == -EAGAIN && tries < NL_TRIES; tries++) {
		err = nl_get_try(get, info, cmd, room, &reply);
		if (get->data_len > NL_DATA_MAX) {
			GENL_SET_ERR_MSG(info, "too much data for netlink: use the device");
			return -EMSGSIZE;
		}
		room = get->data_len;
	}
	return err ?: genlmsg_reply(reply, info);
}

static void nl_get_explain(struct genl_info *info, int err)
{
	struct nlattr *path = info->attrs[ZKERN_A_PATH];

	if (err == -ENOENT)
		NL_SET_ERR_MSG_ATTR(info->extack, path, "no such znode");
	else if (err == -EACCES)
		NL_SET_ERR_MSG_ATTR(info->extack, path, "the znode's ACL does not let you read");
	else if (err == -EINVAL)
		NL_SET_ERR_MSG_ATTR(info->extack, path, "malformed path");
	else if (err == -ESTALE && info->attrs[ZKERN_A_MIN_ZXID])
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[ZKERN_A_MIN_ZXID],
				    "the tree has not reached it yet");
	else if (err == -ESTALE)
		GENL_SET_ERR_MSG(info, "the instance has no tree yet");
}

static int nl_read(struct sk_buff *req, struct genl_info *info, u8 cmd)
{
	u64 start = trace_zkern_read_enabled() ? ktime_get_ns() : 0;
	struct nl_get get = { .exists = cmd == ZKERN_CMD_EXISTS };
	int err;

	err = zkern_netlink_may_read(req, info->extack);
	if (err)
		return err;
	get.path = zkern_netlink_path(info->attrs, info->extack, &get.path_len);
	if (!get.path)
		return -EINVAL;
	if (info->attrs[ZKERN_A_MIN_ZXID])
		get.min_zxid = nla_get_u64(info->attrs[ZKERN_A_MIN_ZXID]);
	get.who = zkern_netlink_caller(req);
	get.live.inst = zkern_netlink_inst(info->attrs, info->extack, &err);
	if (!get.live.inst)
		return err;
	err = nl_get_answer(&get, info, cmd);
	nl_get_explain(info, err);
	if (trace_zkern_read_enabled())
		trace_zkern_read(get.live.inst->id,
				 get.exists ? ZKERN_TRACE_EXISTS : ZKERN_TRACE_GET,
				 get.path, get.path_len, get.zxid, get.data_len, err,
				 start ? ktime_get_ns() - start : 0);
	zkern_inst_put(get.live.inst);
	return err;
}

static int nl_get(struct sk_buff *req, struct genl_info *info)
{
	return nl_read(req, info, ZKERN_CMD_GET);
}

static int nl_exists(struct sk_buff *req, struct genl_info *info)
{
	return nl_read(req, info, ZKERN_CMD_EXISTS);
}

/* ------------------------------------------------------------ status */

int zkern_netlink_put_info(struct sk_buff *skb, struct zkern_inst *inst, bool pid)
{
	struct zkern_info zi;
	int err;

	err = zkern_inst_info(inst, &zi, pid);
	if (err)
		return err;
	return nla_put_u32(skb, ZKERN_A_INSTANCE, inst->id) ?:
	       nla_put_u32(skb, ZKERN_A_STATE, zi.state) ?:
	       nla_put_u64_64bit(skb, ZKERN_A_ZXID, zi.zxid, ZKERN_A_PAD) ?:
	       nla_put(skb, ZKERN_A_INFO, sizeof(zi), &zi);
}

static int nl_status(struct sk_buff *req, struct genl_info *info)
{
	struct zkern_inst *inst;
	struct sk_buff *reply;
	void *head;
	int err;

	err = zkern_netlink_may_read(req, info->extack);
	if (err)
		return err;
	inst = zkern_netlink_inst(info->attrs, info->extack, &err);
	if (!inst)
		return err;
	reply = genlmsg_new(NL_INFO_SIZE, GFP_KERNEL_ACCOUNT);
	if (!reply) {
		err = -ENOMEM;
		goto out;
	}
	head = genlmsg_put_reply(reply, info, &zkern_genl_family, 0, ZKERN_CMD_STATUS);
	err = head ? zkern_netlink_put_info(reply, inst, true) : -EMSGSIZE;
	if (err) {
		nlmsg_free(reply);
		goto out;
	}
	genlmsg_end(reply, head);
	err = genlmsg_reply(reply, info);
out:
	zkern_inst_put(inst);
	return err;
}

/* ------------------------------------------------------------ management */

static int nl_new_reply(struct genl_info *info, u32 id)
{
	struct sk_buff *reply;
	void *head;

	reply = genlmsg_new(nla_total_size(sizeof(u32)), GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	head = genlmsg_put_reply(reply, info, &zkern_genl_family, 0, ZKERN_CMD_NEW);
	if (!head || nla_put_u32(reply, ZKERN_A_INSTANCE, id)) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, head);
	return genlmsg_reply(reply, info);
}

static int nl_new(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *id = info->attrs[ZKERN_A_INSTANCE], *uid = info->attrs[ZKERN_A_UID];
	int n, err;

	if (!netlink_capable(req, CAP_SYS_ADMIN))
		return -EPERM;
	n = zkern_inst_new(id ? nla_get_u32(id) : U32_MAX, uid ? nla_get_u32(uid) : U32_MAX);
	if (n == -EEXIST)
		NL_SET_ERR_MSG_ATTR(info->extack, id, "the instance exists");
	else if (n == -EINVAL)
		NL_SET_ERR_MSG_ATTR(info->extack, id, "no such number");
	else if (n == -ENOSPC)
		GENL_SET_ERR_MSG(info, "all instances are in use");
	if (n < 0)
		return n;
	err = nl_new_reply(info, n);
	if (err)
		zkern_inst_del(n, true);
	return err;
}

static int nl_del(struct sk_buff *req, struct genl_info *info)
{
	struct nlattr *id = info->attrs[ZKERN_A_INSTANCE];
	int err;

	if (!netlink_capable(req, CAP_SYS_ADMIN))
		return -EPERM;
	if (!id) {
		GENL_SET_ERR_MSG(info, "an instance is needed");
		return -EINVAL;
	}
	err = zkern_inst_del(nla_get_u32(id), nla_get_flag(info->attrs[ZKERN_A_FORCE]));
	if (err == -ENODEV)
		NL_SET_ERR_MSG_ATTR(info->extack, id, "no such instance");
	else if (err == -EBUSY)
		NL_SET_ERR_MSG_ATTR(info->extack, id, "the instance has an owner");
	return err;
}

/* ------------------------------------------------------------ events */

#define NL_GROUP_STATE	0	/* its place in nl_groups */

void zkern_netlink_event(struct zkern_inst *inst, bool removed)
{
	struct sk_buff *skb;
	void *head;

	if (!genl_has_listeners(&zkern_genl_family, &init_net, NL_GROUP_STATE))
		return;
	skb = genlmsg_new(NL_INFO_SIZE, GFP_KERNEL);
	if (!skb)
		return;
	head = genlmsg_put(skb, 0, 0, &zkern_genl_family, 0, ZKERN_CMD_EVENT);
	if (!head || zkern_netlink_put_info(skb, inst, false) ||
	    (removed && nla_put_flag(skb, ZKERN_A_REMOVED))) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, head);
	/*
	 * an error says that nobody listens, or that a listener is behind, which the
	 * core tells him itself
	 */
	genlmsg_multicast_netns(&zkern_genl_family, &init_net, skb, 0, NL_GROUP_STATE, GFP_KERNEL);
}

/* ------------------------------------------------------------ the family */

static const struct nla_policy nl_policy[ZKERN_A_MAX + 1] = {
	[ZKERN_A_INSTANCE] = { .type = NLA_U32 },
	[ZKERN_A_PATH] = { .type = NLA_BINARY },
	[ZKERN_A_MIN_ZXID] = { .type = NLA_U64 },
	[ZKERN_A_UID] = { .type = NLA_U32 },
	[ZKERN_A_FORCE] = { .type = NLA_FLAG },
};

static const struct genl_ops nl_ops[] = {
	{ .cmd = ZKERN_CMD_GET, .doit = nl_get },
	{ .cmd = ZKERN_CMD_EXISTS, .doit = nl_exists },
	{
		.cmd = ZKERN_CMD_CHILDREN,
		.start = zkern_dump_start_children,
		.dumpit = zkern_dump_nodes,
		.done = zkern_dump_done,
	},
	{
		.cmd = ZKERN_CMD_SUBTREE,
		.start = zkern_dump_start_subtree,
		.dumpit = zkern_dump_nodes,
		.done = zkern_dump_done,
	},
	{ .cmd = ZKERN_CMD_NEW, .doit = nl_new },
	{ .cmd = ZKERN_CMD_DEL, .doit = nl_del },
	{
		.cmd = ZKERN_CMD_STATUS,
		.doit = nl_status,
		.start = zkern_dump_start_status,
		.dumpit = zkern_dump_status,
	},
};

static const struct genl_multicast_group nl_groups[] = {
	[NL_GROUP_STATE] = { .name = ZKERN_GENL_GROUP_STATE },
};

struct genl_family zkern_genl_family __ro_after_init = {
	.name = ZKERN_GENL_NAME,
	.version = ZKERN_GENL_VERSION,
	.maxattr = ZKERN_A_MAX,
	.policy = nl_policy,
	.netnsok = true,
	.parallel_ops = true,
	.module = THIS_MODULE,
	.ops = nl_ops,
	.n_ops = ARRAY_SIZE(nl_ops),
	.mcgrps = nl_groups,
	.n_mcgrps = ARRAY_SIZE(nl_groups),
};

int zkern_netlink_init(void)
{
	return genl_register_family(&zkern_genl_family);
}

void zkern_netlink_exit(void)
{
	genl_unregister_family(&zkern_genl_family);
}
