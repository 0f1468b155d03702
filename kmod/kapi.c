// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads for other modules: see include/linux/zkern_kapi.h. A handle is an open file
 * without a descriptor, so that what holds for files holds for it.
 */
#include <linux/zkern_kapi.h>

#include <linux/err.h>
#include <linux/export.h>
#include <linux/string.h>

#include "access.h"
#include "file.h"
#include "kapi.h"

struct zkern_file *zkern_kopen(u32 id)
{
	return zkern_file_new(id);
}
EXPORT_SYMBOL_GPL(zkern_kopen);

void zkern_kclose(struct zkern_file *zf)
{
	zkern_kevents_end(zf);
	zkern_file_free(zf);
}
EXPORT_SYMBOL_GPL(zkern_kclose);

int zkern_kread(const struct zkern_at *at, const char *path, u32 path_len,
		const struct zkern_caller *who, struct zkern_kget *get)
{
	struct zk_node *node;
	struct zk_view view;

	if (!path_len || path_len > ZKERN_PATH_MAX)
		return -EINVAL;
	node = zkern_find(at, path, path_len, &view);
	if (IS_ERR(node))
		return PTR_ERR(node);
	if (!(who ? zkern_may(view.acl, ZKERN_PERM_READ, who) : view.acl->world & ZKERN_PERM_READ))
		return -EACCES;
	zkern_stat_fill(&get->stat, &view);
	get->len = view.data_len > 0 ? view.data_len : 0;
	if (get->len > get->buf_len)
		return -EMSGSIZE;
	if (get->len)
		memcpy(get->buf, view.data, get->len);
	return 0;
}

int zkern_kget(struct zkern_file *zf, const char *path, u32 path_len, const struct cred *cred,
	       struct zkern_kget *get)
{
	struct zkern_caller who = { .cred = cred, .owner = !cred };
	struct zkern_at at;
	int err;

	get->len = 0;
	get->zxid = 0;
	rcu_read_lock();
	err = zkern_file_at(zf, &at);
	if (!err) {
		get->zxid = at.zxid;
		get->state = READ_ONCE(zf->inst->state);
		get->age_ms = zkern_inst_age_ms(zf->inst);
		err = zkern_kread(&at, path, path_len, &who, get);
	}
	rcu_read_unlock();
	return err;
}
EXPORT_SYMBOL_GPL(zkern_kget);
