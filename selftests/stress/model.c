// SPDX-License-Identifier: GPL-2.0-or-later
/* What is true of the main instance's tree; see model.h. */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Atomic uint64_t published, group_published[GROUPS];
_Atomic unsigned int empty;

static _Atomic uint32_t private_uids[PRIVATE_KEPT];

uint32_t private_at(uint64_t zxid)
{
	return private_uids[zxid % PRIVATE_KEPT];
}

void private_note(uint64_t zxid, uint32_t uid)
{
	private_uids[zxid % PRIVATE_KEPT] = uid;
}

uint32_t text_len(int group, uint64_t zxid)
{
	static const uint32_t base[GROUPS] = { 0, 8, 60, 300, 1000, 4090, 16000, 70000 };

	return base[group] + zxid % 13;
}

static uint8_t text_byte(uint64_t zxid, uint32_t i)
{
	return zxid * 131 + i * 7 + (i >> 8);
}

void text_of(uint64_t zxid, uint32_t len, uint8_t *buf)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		buf[i] = text_byte(zxid, i);
}

bool text_is(uint64_t zxid, uint32_t len, const uint8_t *buf)
{
	uint32_t i;

	for (i = 0; i < len; i++) {
		if (buf[i] != text_byte(zxid, i))
			return false;
	}
	return true;
}

int group_of(const char *path, uint32_t len)
{
	if (len != 5 || path[0] != '/' || path[1] != 'g' || path[3] != '/')
		return -1;
	if (path[2] < '0' || path[2] >= '0' + GROUPS)
		return -1;
	return path[2] - '0';
}

void check_member(struct worker *w, int group, const struct zkern_stat *stat,
		  const uint8_t *data, uint32_t len)
{
	uint32_t want = text_len(group, stat->mzxid);

	right(w, (uint32_t)stat->data_len == want, "group %d at %llu has %d bytes, not %u", group,
	      (unsigned long long)stat->mzxid, stat->data_len, want);
	if (data)
		right(w, len == want && text_is(stat->mzxid, len, data),
		      "group %d at %llu: other data (%u bytes)", group,
		      (unsigned long long)stat->mzxid, len);
}

struct before before_read(int group)
{
	struct before b;

	b.empty = empty;
	b.zxid = published;
	b.group_zxid = group < 0 ? 0 : group_published[group];
	return b;
}

bool hidden_since(const struct before *b)
{
	return (b->empty & 1) || empty != b->empty;
}

void check_zxid(struct worker *w, const struct before *b, uint64_t zxid)
{
	right(w, zxid >= b->zxid, "an answer of %llu after %llu was published",
	      (unsigned long long)zxid, (unsigned long long)b->zxid);
	right(w, zxid >= w->seen, "an answer of %llu after one of %llu",
	      (unsigned long long)zxid, (unsigned long long)w->seen);
	w->seen = zxid;
}

int64_t listed_number(const char *name, uint32_t len)
{
	int64_t n = 0;
	uint32_t i;

	if (len != 9 || name[0] != 'c')
		return -1;
	for (i = 1; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -1;
		n = n * 10 + name[i] - '0';
	}
	return n;
}

void picture_begin(struct picture *p, uint64_t zxid)
{
	memset(p, 0, sizeof(*p));
	p->zxid = zxid;
	p->first = ~0u;
}

static void picture_member(struct worker *w, struct picture *p, int group,
			   const struct zkern_stat *stat, const uint8_t *data, uint32_t len)
{
	check_member(w, group, stat, data, len);
	if (!p->members[group]++)
		p->group_zxid[group] = stat->mzxid;
	right(w, stat->mzxid == p->group_zxid[group], "in one picture, group %d at %llu and %llu",
	      group, (unsigned long long)stat->mzxid,
	      (unsigned long long)p->group_zxid[group]);
}

void picture_node(struct worker *w, struct picture *p, const char *path, uint32_t path_len,
		  const struct zkern_stat *stat, const uint8_t *data, uint32_t len)
{
	int group = group_of(path, path_len);
	int64_t number;

	p->nodes++;
	right(w, stat->mzxid <= p->zxid && stat->czxid <= stat->mzxid && stat->pzxid <= p->zxid,
	      "a picture of %llu has %.*s of %llu, %llu, %llu", (unsigned long long)p->zxid,
	      (int)path_len, path, (unsigned long long)stat->czxid,
	      (unsigned long long)stat->mzxid, (unsigned long long)stat->pzxid);
	if (group >= 0) {
		picture_member(w, p, group, stat, data, len);
	} else if (path_len > 6 && !memcmp(path, "/list/", 6)) {
		number = listed_number(path + 6, path_len - 6);
		right(w, number >= 0, "a picture has %.*s", (int)path_len, path);
		p->listed++;
		if (number < p->first)
			p->first = number;
		if (number > p->last)
			p->last = number;
	} else if (path_len > 6 && !memcmp(path, "/live/", 6)) {
		right(w, stat->ephemeral_owner || stat->owner_stored, "%.*s has no session",
		      (int)path_len, path);
		p->live++;
	}
}

void picture_end(struct worker *w, struct picture *p)
{
	int i;

	for (i = 0; i < GROUPS; i++)
		right(w, p->members[i] == MEMBERS, "a picture has %u members of group %d",
		      p->members[i], i);
	right(w, p->listed == LISTED && p->last - p->first + 1 == LISTED,
	      "a picture has %u children of /list, from %u to %u", p->listed, p->first, p->last);
	right(w, p->live % BATCH == 0, "a picture has %u ephemerals", p->live);
}
