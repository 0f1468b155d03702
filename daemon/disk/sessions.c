// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sessions open at a point of the log, while it is replayed: a hash table by
 * id, linear probing. One thread.
 */
#include <linux/types.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/disk/internal.h"

static u32 slot_of(const struct session_table *t, u64 id)
{
	return (u32)((id * 0x9e3779b97f4a7c15ULL) >> 32) & (t->cap - 1);
}

/* The slot that has @id, or the free one where it belongs. */
static struct disk_session *find(const struct session_table *t, u64 id)
{
	u32 i = slot_of(t, id);

	while (t->slots[i].id && t->slots[i].id != id)
		i = (i + 1) & (t->cap - 1);
	return &t->slots[i];
}

static int grow(struct session_table *t)
{
	struct session_table old = *t;
	u32 cap = old.cap ? old.cap * 2 : 64;
	u32 i;

	if (cap < old.cap)
		return -ENOMEM;
	t->slots = calloc(cap, sizeof(*t->slots));
	if (!t->slots) {
		t->slots = old.slots;
		return -ENOMEM;
	}
	t->cap = cap;
	for (i = 0; i < old.cap; i++) {
		if (old.slots[i].id)
			*find(t, old.slots[i].id) = old.slots[i];
	}
	free(old.slots);
	return 0;
}

int stab_put(struct session_table *t, u64 id, s32 timeout)
{
	struct disk_session *s;
	int rc;

	if (!id) {
		t->zero = true;
		t->zero_timeout = timeout;
		return 0;
	}
	if (t->n >= t->cap / 2) {
		rc = grow(t);
		if (rc)
			return rc;
	}
	s = find(t, id);
	if (!s->id)
		t->n++;
	s->id = id;
	s->timeout = timeout;
	return 0;
}

/* Frees the slot and moves up what had to make way for it. */
void stab_del(struct session_table *t, u64 id)
{
	struct disk_session *hole, *s;
	u32 h, i, home;

	if (!id) {
		t->zero = false;
		return;
	}
	if (!t->cap)
		return;
	hole = find(t, id);
	if (!hole->id)
		return;
	h = hole - t->slots;
	for (i = (h + 1) & (t->cap - 1); t->slots[i].id; i = (i + 1) & (t->cap - 1)) {
		s = &t->slots[i];
		home = slot_of(t, s->id);
		if (((i - home) & (t->cap - 1)) >= ((i - h) & (t->cap - 1))) {
			t->slots[h] = *s;
			h = i;
		}
	}
	t->slots[h].id = 0;
	t->n--;
}

int stab_list(const struct session_table *t, struct disk_session **s, u32 *n)
{
	struct disk_session *out;
	u32 i, k = 0;

	out = malloc(((size_t)t->n + 1) * sizeof(*out));
	if (!out)
		return -ENOMEM;
	if (t->zero)
		out[k++] = (struct disk_session){ .id = 0, .timeout = t->zero_timeout };
	for (i = 0; i < t->cap; i++) {
		if (t->slots[i].id)
			out[k++] = t->slots[i];
	}
	*s = out;
	*n = k;
	return 0;
}

void stab_free(struct session_table *t)
{
	free(t->slots);
	memset(t, 0, sizeof(*t));
}
