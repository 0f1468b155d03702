// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether a tree that a leader sent can be built, before it replaces what is there: the
 * store takes nodes whose parents came before them, each once. What was met is remembered
 * by a keyed hash of eight bytes.
 */
#include <linux/types.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "daemon/disk/internal.h"
#include "linux/siphash.h"

struct seen {
	siphash_key_t key;
	u64 *slots;		/* 0: free */
	u64 n, size;		/* a power of two */
	bool root;
};

static u64 name_of(const struct seen *s, const char *path, u32 len)
{
	u64 h = siphash(path, len, &s->key);

	return h ? h : 1;
}

/* Where @h is, or is to be. */
static u64 *slot(const struct seen *s, u64 h)
{
	u64 i = h & (s->size - 1);

	while (s->slots[i] && s->slots[i] != h)
		i = (i + 1) & (s->size - 1);
	return &s->slots[i];
}

static int grow(struct seen *s)
{
	struct seen old = *s;

	s->size = old.size ? 2 * old.size : 4096;
	s->slots = calloc(s->size, sizeof(*s->slots));
	if (!s->slots) {
		*s = old;
		return -ENOMEM;
	}
	for (u64 i = 0; i < old.size; i++)
		if (old.slots[i])
			*slot(s, old.slots[i]) = old.slots[i];
	free(old.slots);
	return 0;
}

static int root(struct seen *s, const struct store_rec *rec)
{
	if (s->root || rec->node.stat.owner)
		return -EBADMSG;
	s->root = true;
	return 0;
}

/* As zk_tree_load() takes them (kmod/tree/load.c). */
static int node(void *arg, const struct store_rec *rec)
{
	u32 len = rec->path_len, slash = len;
	struct seen *s = arg;
	u64 *at;

	if (len == 1 && rec->path[0] == '/')
		return root(s, rec);
	if (!len || rec->path[0] != '/')
		return -EBADMSG;
	while (rec->path[slash - 1] != '/')
		slash--;
	if (slash == len || slash == 2 ||
	    (slash > 1 && (!s->size || !*slot(s, name_of(s, rec->path, slash - 1)))))
		return -EBADMSG;
	if (4 * s->n >= 3 * s->size && grow(s))
		return -ENOMEM;
	at = slot(s, name_of(s, rec->path, len));
	if (*at)
		return -EBADMSG;
	*at = name_of(s, rec->path, len);
	s->n++;
	return 0;
}

static int session(void *arg, u64 id, s32 timeout)
{
	(void)arg;
	(void)id;
	(void)timeout;
	return 0;
}

int tree_check(struct disk *d, const struct disk_file *f, char *why, size_t why_len)
{
	struct seen s = { .n = 0 };
	const struct snap_sink sink = {
		.arg = &s, .session = session, .node = node, .replayed = true,
	};
	struct snap_head head = { 0 };
	int rc;

	/* as early as in the boot: only who knows the key could use it */
	if (getrandom(&s.key, sizeof(s.key), GRND_NONBLOCK) != sizeof(s.key))
		s.key.key[0] = (uintptr_t)&s ^ f->zxid;
	rc = snap_read(d, f, &sink, &head, why, why_len);
	free(s.slots);
	return rc;
}
