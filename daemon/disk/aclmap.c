// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ACLs that a snapshot's map has, by the store's id, numbered from 0 in the
 * order in which they were met. The snapshot thread alone uses it, or whoever
 * writes a snapshot while there is none.
 */
#include <linux/types.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/disk/internal.h"

static u32 hash_id(u64 id, u32 cap)
{
	return (u32)((id * 0x9e3779b97f4a7c15ULL) >> 32) & (cap - 1);
}

struct acl_map_entry *acl_map_find(struct acl_map *map, u64 id)
{
	u32 h, i;

	if (!map->index_cap)
		return NULL;
	for (h = hash_id(id, map->index_cap); (i = map->index[h]);
	     h = (h + 1) & (map->index_cap - 1)) {
		if (map->acls[i - 1].id == id)
			return &map->acls[i - 1];
	}
	return NULL;
}

static void index_add(struct acl_map *map, u32 number)
{
	u32 h = hash_id(map->acls[number].id, map->index_cap);

	while (map->index[h])
		h = (h + 1) & (map->index_cap - 1);
	map->index[h] = number + 1;
}

/* Indexes all again, with room for twice as many. */
static int index_all(struct acl_map *map)
{
	u32 cap = 64, i;
	u32 *index;

	while (cap < map->n * 4)
		cap *= 2;
	index = calloc(cap, sizeof(*index));
	if (!index)
		return -ENOMEM;
	free(map->index);
	map->index = index;
	map->index_cap = cap;
	for (i = 0; i < map->n; i++)
		index_add(map, i);
	return 0;
}

int acl_map_add(struct acl_map *map, u64 id, const u8 *jute, u32 len)
{
	struct acl_map_entry *a;
	int rc;

	if (map->n == map->cap) {
		u32 cap = map->cap ? map->cap * 2 : 16;

		a = realloc(map->acls, cap * sizeof(*a));
		if (!a)
			return -ENOMEM;
		map->acls = a;
		map->cap = cap;
	}
	if (map->n * 2 >= map->index_cap) {
		rc = index_all(map);
		if (rc)
			return rc;
	}
	a = &map->acls[map->n];
	a->id = id;
	a->len = len;
	a->used = true;
	a->jute = malloc(len ? len : 1);
	if (!a->jute)
		return -ENOMEM;
	memcpy(a->jute, jute, len);
	index_add(map, map->n++);
	return 0;
}

/*
 * The one ACL that every tree has beside the open one, so that a server's first
 * snapshot need not learn it on the way.
 */
void acl_map_seed(struct acl_map *map, struct store *st)
{
	static const char path[] = "/zookeeper/config";
	struct store_node node;
	struct jw acl;

	jw_init(&acl, 0);
	if (!map->n && !st->ops->acl(st, path, sizeof(path) - 1, &node, &acl) &&
	    (acl.len != TXN_OPEN_ACL_LEN || memcmp(acl.buf, txn_open_acl, acl.len)))
		acl_map_add(map, node.acl_id, acl.buf, acl.len);
	jw_free(&acl);
}

/* Forgets the ACLs that the snapshot just written had no use for. */
void acl_map_sweep(struct acl_map *map)
{
	u32 i, n = 0;

	for (i = 0; i < map->n; i++) {
		if (map->acls[i].used)
			map->acls[n++] = map->acls[i];
		else
			free(map->acls[i].jute);
	}
	if (n == map->n)
		return;
	map->n = n;
	if (index_all(map)) {
		while (map->n)
			free(map->acls[--map->n].jute);
		memset(map->index, 0, map->index_cap * sizeof(*map->index));
	}
}

void acl_map_free(struct acl_map *map)
{
	u32 i;

	for (i = 0; i < map->n; i++)
		free(map->acls[i].jute);
	free(map->acls);
	free(map->index);
}
