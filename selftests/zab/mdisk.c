// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "daemon/proto/zookeeper.h"
#include "selftests/zab/mdisk.h"

void mtree_free(struct mtree *t)
{
	free(t->r);
	memset(t, 0, sizeof(*t));
}

void mtree_add(struct mtree *t, u64 zxid, u64 id)
{
	if (t->n == t->size) {
		t->size = t->size ? 2 * t->size : 64;
		t->r = realloc(t->r, t->size * sizeof(*t->r));
		if (!t->r)
			abort();
	}
	t->r[t->n++] = (struct mrec){ zxid, id };
}

void mtree_copy(struct mtree *to, const struct mtree *from, u32 n)
{
	to->n = n;
	to->size = n ? n : 1;
	to->r = malloc(to->size * sizeof(*to->r));
	if (!to->r)
		abort();
	if (n)
		memcpy(to->r, from->r, n * sizeof(*to->r));
}

u64 mtree_zxid(const struct mtree *t)
{
	return t->n ? t->r[t->n - 1].zxid : 0;
}

void mdisk_init(struct mdisk *d)
{
	memset(d, 0, sizeof(*d));
	d->n_snaps = 1;
}

static void cut(struct mdisk *d, u32 n)
{
	while (d->n > n)
		txn_put(d->log[--d->n]);
	if (d->durable > n)
		d->durable = n;
}

void mdisk_free(struct mdisk *d)
{
	cut(d, 0);
	free(d->log);
	while (d->n_snaps)
		mtree_free(&d->snaps[--d->n_snaps]);
}

void mdisk_append(struct mdisk *d, struct txn *t)
{
	if (d->n == d->size) {
		d->size = d->size ? 2 * d->size : 64;
		d->log = realloc(d->log, d->size * sizeof(*d->log));
		if (!d->log)
			abort();
	}
	d->log[d->n++] = txn_get(t);
}

void mdisk_crash(struct mdisk *d, struct world *w)
{
	u32 some = d->n - d->durable;

	cut(d, d->durable + (some ? world_rnd(w, some + 1) : 0));
	d->durable = d->n;
}

void mdisk_take_back(struct mdisk *d)
{
	cut(d, d->durable);
}

u64 mdisk_durable(const struct mdisk *d)
{
	return d->durable ? d->log[d->durable - 1]->zxid : mtree_zxid(&d->snaps[d->n_snaps - 1]);
}

static void load_from(const struct mdisk *d, const struct mtree *snap, struct mtree *t)
{
	mtree_copy(t, snap, snap->n);
	for (u32 i = 0; i < d->n; i++)
		if (d->log[i]->zxid > mtree_zxid(snap))
			mtree_add(t, d->log[i]->zxid, d->log[i]->session);
}

void mdisk_load(const struct mdisk *d, struct mtree *t)
{
	load_from(d, &d->snaps[d->n_snaps - 1], t);
}

bool mdisk_truncate(struct mdisk *d, u64 zxid)
{
	u32 n = d->n;
	u64 end;

	while (n && d->log[n - 1]->zxid > zxid)
		n--;
	cut(d, n);
	d->durable = d->n;
	while (d->n_snaps > 1 && mtree_zxid(&d->snaps[d->n_snaps - 1]) > zxid)
		mtree_free(&d->snaps[--d->n_snaps]);
	end = mtree_zxid(&d->snaps[d->n_snaps - 1]);
	if (d->n && d->log[d->n - 1]->zxid > end)
		end = d->log[d->n - 1]->zxid;
	return end == zxid;
}

void mdisk_replace(struct mdisk *d, const struct mtree *t)
{
	cut(d, 0);
	while (d->n_snaps)
		mtree_free(&d->snaps[--d->n_snaps]);
	mtree_copy(&d->snaps[0], t, t->n);
	d->n_snaps = 1;
}

void mdisk_snapshot(struct mdisk *d, const struct mtree *t, u32 n)
{
	u32 gone = 0;

	if (d->n_snaps == MDISK_SNAPS) {
		mtree_free(&d->snaps[0]);
		memmove(&d->snaps[0], &d->snaps[1], (MDISK_SNAPS - 1) * sizeof(d->snaps[0]));
		d->n_snaps--;
	}
	mtree_copy(&d->snaps[d->n_snaps++], t, n);
	while (gone < d->durable && d->log[gone]->zxid <= mtree_zxid(&d->snaps[0]))
		txn_put(d->log[gone++]);
	memmove(d->log, d->log + gone, (d->n - gone) * sizeof(*d->log));
	d->n -= gone;
	d->durable -= gone;
}

u64 mdisk_first(const struct mdisk *d)
{
	return d->durable ? d->log[0]->zxid : ~0ULL;
}

static void header(struct jw *w, u64 zxid, u64 id, s32 type)
{
	jw_init(w, 0);
	jw_long(w, id);
	jw_int(w, 0);
	jw_long(w, zxid);
	jw_long(w, 0);
	jw_int(w, type);
}

static struct txn *decode(struct jw *w)
{
	struct txn *t;

	if (w->err || txn_decode(w->buf, w->len, &t, NULL))
		abort();
	jw_free(w);
	return t;
}

struct txn *mtxn_new(u64 zxid, u64 id, u32 timeout)
{
	struct jw w;

	header(&w, zxid, id, OP_CREATESESSION);
	jw_int(&w, timeout);
	return decode(&w);
}

struct txn *mtxn_members(u64 zxid, u64 id, const char *text)
{
	static const char path[] = "/zookeeper/config";
	struct jw w;

	header(&w, zxid, id, OP_RECONFIG);
	jw_str(&w, path, strlen(path));
	jw_str(&w, text, strlen(text));
	jw_int(&w, -1);
	return decode(&w);
}
