// SPDX-License-Identifier: GPL-2.0-only
/* What dumps (snapshot.c) and netlink's subtrees share; see walk.h. No state. */
#include "walk.h"

#include <linux/string.h>

bool zkern_rec_look(const struct zk_node *node, u64 zxid, const struct zkern_caller *who,
		    struct zkern_rec *rec)
{
	if (!zk_view(node, zxid, &rec->view))
		return false;
	rec->readable = zkern_may(rec->view.acl, ZKERN_PERM_READ, who);
	rec->admin = zkern_may(rec->view.acl, ZKERN_PERM_ADMIN, who);
	rec->acl_len = 0;
	if (rec->admin)
		rec->acl_len = rec->view.acl->len;
	else if (rec->readable)
		rec->acl_len = zkern_acl_masked(rec->view.acl, NULL, 0);
	return true;
}

void zkern_rec_acl(const struct zkern_rec *rec, u8 *buf, u32 cap)
{
	if (rec->acl_len > cap || !rec->acl_len)
		return;
	if (rec->admin)
		memcpy(buf, rec->view.acl->jute, rec->acl_len);
	else
		zkern_acl_masked(rec->view.acl, buf, cap);
}

struct zk_node *zkern_walk_next(const struct zk_node *top, struct zk_node *node, u64 zxid,
				bool into)
{
	struct zk_node *next;

	if (into) {
		next = zk_first_child(node, zxid);
		if (next)
			return next;
	}
	while (node && node != top) {
		next = zk_next_child(node, zxid);
		if (next)
			return next;
		node = zk_parent(node);
	}
	return NULL;
}
