// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Records of nodes as they will be: see change.h.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/crc32.h"
#include "daemon/base/hash.h"
#include "daemon/base/metrics.h"
#include "daemon/server/access.h"
#include "daemon/server/change.h"
#include "daemon/server/path.h"

#define BUCKETS_MIN	1024
#define MAX_CACHED	(2 * 1024 * 1024)	/* bytes of cached records */
#define MAX_ACL		4096	/* bytes of an ACL that is remembered */
#define UNDO_MIN	64

/* A record as it was before the transaction that is being made. */
struct undo {
	struct change *rec;
	bool fresh;		/* it was not there at all */
	bool exists;
	s32 data_len;
	u32 crc;
	u32 digest;
	u64 zxid;
	struct zk_stat stat;
	struct zacl *acl;	/* own reference */
	u64 acl_zxid;
};

/* ------------------------------------------------------------ ACLs */

struct zacl *zacl_get(struct zacl *a)
{
	a->refs++;
	return a;
}

void zacl_put(struct zacl *a)
{
	if (a && !--a->refs)
		free(a);
}

static bool is(struct jstr s, const char *lit)
{
	return s.len == (s32)strlen(lit) && !memcmp(s.p, lit, s.len);
}

static u32 world_bits(const u8 *bytes, u32 len)
{
	u32 bits = 0;
	struct jr r;
	s32 n;

	jr_init(&r, bytes, len);
	n = jr_int(&r);
	if (n <= 0)
		return ~0U;	/* no ACL forbids nothing */
	for (; n > 0 && !r.err; n--) {
		u32 perms = jr_int(&r);
		struct jstr scheme = jr_str(&r), id = jr_str(&r);

		if (!r.err && is(scheme, "world") && is(id, "anyone"))
			bits |= perms;
	}
	return bits;
}

static bool same(const struct zacl *a, const u8 *bytes, u32 len)
{
	return a && a->len == len && !memcmp(a->bytes, bytes, len);
}

struct zacl *zacl_make(struct changes *ch, const u8 *bytes, u32 len)
{
	struct zacl **slot, *a;

	slot = &ch->acls[hash_bytes(ch->key, bytes, len) % CHANGE_ACLS];
	if (same(*slot, bytes, len))
		return zacl_get(*slot);
	a = malloc(sizeof(*a) + len);
	if (!a)
		return NULL;
	a->refs = 1;
	a->len = len;
	memcpy(a->bytes, bytes, len);
	a->world = world_bits(bytes, len);
	if (len <= MAX_ACL) {
		zacl_put(*slot);
		*slot = zacl_get(a);
	}
	return a;
}

bool zacl_allows(const struct zacl *a, u32 perms, const struct auth_set *auth)
{
	return a->world & perms || access_allowed(a->bytes, a->len, perms, auth);
}

/* The ACL of a node just read from the store. */
static int load_acl(struct changes *ch, const char *path, u32 len, u64 id, struct zacl **out)
{
	struct change_acl_id *slot = &ch->acl_ids[id % CHANGE_ACLS];
	struct store_node node;
	int rc;

	if (slot->acl && slot->id == id) {
		*out = zacl_get(slot->acl);
		return 0;
	}
	ch->scratch.len = 0;
	rc = ch->st->ops->acl(ch->st, path, len, &node, &ch->scratch);
	if (!rc)
		rc = ch->scratch.err;
	if (rc) {
		jw_free(&ch->scratch);
		jw_init(&ch->scratch, 0);
		return rc;
	}
	*out = zacl_make(ch, ch->scratch.buf, ch->scratch.len);
	if (!*out)
		return -ENOMEM;
	if ((*out)->len <= MAX_ACL) {
		zacl_put(slot->acl);
		slot->acl = zacl_get(*out);
		slot->id = id;
	}
	return 0;
}

/* ------------------------------------------------------------ the table */

int changes_init(struct changes *ch, struct store *st, u64 zxid, u64 digest, bool digests)
{
	memset(ch, 0, sizeof(*ch));
	ch->buckets = calloc(BUCKETS_MIN, sizeof(*ch->buckets));
	ch->undo = malloc(UNDO_MIN * sizeof(*ch->undo));
	if (!ch->buckets || !ch->undo) {
		free(ch->buckets);
		free(ch->undo);
		return -ENOMEM;
	}
	ch->st = st;
	ch->key = hash_key();
	ch->n_buckets = BUCKETS_MIN;
	ch->undo_room = UNDO_MIN;
	ch->max_cached = MAX_CACHED;
	ch->applied = zxid;
	ch->digest = digest;
	ch->digests = digests;
	INIT_LIST_HEAD(&ch->outstanding);
	INIT_LIST_HEAD(&ch->born);
	INIT_LIST_HEAD(&ch->cached);
	INIT_LIST_HEAD(&ch->ends);
	for (u32 i = 0; i < CHANGE_ENDS; i++)
		INIT_LIST_HEAD(&ch->end_chains[i]);
	jw_init(&ch->scratch, 0);
	return 0;
}

static struct change **slot_of(struct changes *ch, const char *path, u32 len, u32 hash)
{
	struct change **p = &ch->buckets[hash & (ch->n_buckets - 1)];

	for (; *p; p = &(*p)->next)
		if ((*p)->hash == hash && (*p)->len == len && !memcmp((*p)->path, path, len))
			break;
	return p;
}

static void drop(struct changes *ch, struct change *rec)
{
	*slot_of(ch, rec->path, rec->len, rec->hash) = rec->next;
	list_del(&rec->link);
	list_del(&rec->born);
	zacl_put(rec->acl);
	ch->n--;
	free(rec);
}

static void end_drop(struct change_end *e)
{
	list_del(&e->link);
	list_del(&e->chain);
	free(e);
}

static void ends_drop(struct changes *ch)
{
	while (!list_empty(&ch->ends))
		end_drop(list_first_entry(&ch->ends, struct change_end, link));
}

void changes_free(struct changes *ch)
{
	ends_drop(ch);
	while (!list_empty(&ch->outstanding))
		drop(ch, list_first_entry(&ch->outstanding, struct change, link));
	while (!list_empty(&ch->cached))
		drop(ch, list_first_entry(&ch->cached, struct change, link));
	for (u32 i = 0; i < CHANGE_ACLS; i++) {
		zacl_put(ch->acls[i]);
		zacl_put(ch->acl_ids[i].acl);
	}
	jw_free(&ch->scratch);
	free(ch->buckets);
	free(ch->undo);
}

static void grow(struct changes *ch)
{
	u32 n = ch->n_buckets * 2;
	struct change **b = calloc(n, sizeof(*b)), *rec, *next;

	if (!b)
		return;
	for (u32 i = 0; i < ch->n_buckets; i++) {
		for (rec = ch->buckets[i]; rec; rec = next) {
			next = rec->next;
			rec->next = b[rec->hash & (n - 1)];
			b[rec->hash & (n - 1)] = rec;
		}
	}
	free(ch->buckets);
	ch->buckets = b;
	ch->n_buckets = n;
}

/* A record that is in the table and on neither list yet. */
static struct change *insert(struct changes *ch, struct change **slot, const char *path,
			     u32 len, u32 hash)
{
	struct change *rec = malloc(sizeof(*rec) + len);

	if (!rec)
		return NULL;
	memset(rec, 0, sizeof(*rec));
	rec->hash = hash;
	rec->len = len;
	memcpy(rec->path, path, len);
	/* "/" counts as "" in digests */
	rec->path_crc = 0;
	if (len > 1)
		rec->path_crc = crc32_fast(rec->path_crc, (const u8 *)path, len);
	INIT_LIST_HEAD(&rec->link);
	INIT_LIST_HEAD(&rec->born);
	*slot = rec;
	/* Half full: most that are looked up in a large transaction are not there. */
	if (++ch->n > ch->n_buckets / 2)
		grow(ch);
	return rec;
}

static size_t bytes_of(const struct change *rec)
{
	return sizeof(*rec) + rec->len;
}

static bool is_outstanding(const struct changes *ch, const struct change *rec)
{
	return rec->zxid > ch->applied;
}

/* In a long list, the bucket of the record after @rec is wanted next. */
static void warm_next(const struct changes *ch, const struct change *rec)
{
	const struct change *next;

	if (rec->link.next == &ch->outstanding)
		return;
	next = list_next_entry(rec, link);
	__builtin_prefetch(&ch->buckets[next->hash & (ch->n_buckets - 1)], 1);
}

static void to_tail(struct list_head *list, struct change *rec)
{
	list_del_init(&rec->link);
	list_add_tail(&rec->link, list);
}

/* ------------------------------------------------------------ digests */

static bool counts(const char *path, u32 len)
{
	static const char subtree[] = "/zookeeper/";
	u32 n = sizeof(subtree) - 1;

	return !(len >= n && !memcmp(path, subtree, n));
}

static u32 digest_of(const struct changes *ch, const char *path, u32 len, u32 crc,
		     const struct zk_stat *s)
{
	u8 b[60];

	if (!ch->digests || !counts(path, len))
		return 0;
	jute_put64(b, s->czxid);
	jute_put64(b + 8, s->mzxid);
	jute_put64(b + 16, s->pzxid);
	jute_put64(b + 24, s->ctime);
	jute_put64(b + 32, s->mtime);
	jute_put32(b + 40, s->version);
	jute_put32(b + 44, s->cversion);
	jute_put32(b + 48, s->aversion);
	jute_put64(b + 52, s->owner);
	return crc32_fast(crc, b, sizeof(b));
}

static u32 node_digest(const struct changes *ch, const struct change *rec)
{
	return rec->exists ? digest_of(ch, rec->path, rec->len, rec->crc, &rec->stat) : 0;
}

void change_digest(struct changes *ch, struct change *rec)
{
	u32 now = node_digest(ch, rec);

	ch->digest += (u64)now - rec->digest;
	rec->digest = now;
}

u32 change_crc(const struct change *rec, const void *data, s32 data_len)
{
	return data_len > 0 ? crc32_fast(rec->path_crc, data, data_len) : rec->path_crc;
}

/* ------------------------------------------------------------ records */

/* A record of what the store has. */
static int load(struct changes *ch, struct change **slot, const char *path, u32 len, u32 hash,
		struct change **out)
{
	struct store_node node;
	struct change *rec;
	struct zacl *acl;
	int rc;

	if (!path_possible(path, len))
		return -ENOENT;
	rc = ch->st->ops->get(ch->st, path, len, &node, NULL, 0);
	if (rc)
		return rc;
	if (node.stat.owner && changes_ended(ch, node.stat.owner))
		return -ENOENT;
	rc = load_acl(ch, path, len, node.acl_id, &acl);
	if (rc)
		return rc;
	rec = insert(ch, slot, path, len, hash);
	if (!rec) {
		zacl_put(acl);
		return -ENOMEM;
	}
	rec->exists = true;
	rec->acl = acl;
	rec->stat = node.stat;
	rec->data_len = node.data_len;
	rec->crc = node.crc;
	rec->digest = node_digest(ch, rec);
	list_add_tail(&rec->link, &ch->cached);
	ch->cached_bytes += bytes_of(rec);
	*out = rec;
	return 0;
}

int change_get(struct changes *ch, const char *path, u32 len, struct change **out)
{
	u32 hash = hash_bytes(ch->key, path, len);
	struct change **slot = slot_of(ch, path, len, hash), *rec = *slot;

	if (!rec)
		return load(ch, slot, path, len, hash, out);
	if (!is_outstanding(ch, rec))
		to_tail(&ch->cached, rec);
	*out = rec;
	return rec->exists ? 0 : -ENOENT;
}

struct change *change_peek(struct changes *ch, const char *path, u32 len)
{
	return *slot_of(ch, path, len, hash_bytes(ch->key, path, len));
}

static int remember(struct changes *ch, struct change *rec, bool fresh)
{
	struct undo *u;

	if (ch->n_undo == ch->undo_room) {
		u = realloc(ch->undo, 2 * ch->undo_room * sizeof(*u));
		if (!u)
			return -ENOMEM;
		ch->undo = u;
		ch->undo_room *= 2;
	}
	u = &ch->undo[ch->n_undo++];
	u->rec = rec;
	u->fresh = fresh;
	u->exists = rec->exists;
	u->data_len = rec->data_len;
	u->crc = rec->crc;
	u->digest = rec->digest;
	u->zxid = rec->zxid;
	u->stat = rec->stat;
	u->acl = rec->acl ? zacl_get(rec->acl) : NULL;
	u->acl_zxid = rec->acl_zxid;
	return 0;
}

static void count_queued(const struct changes *ch, u32 n)
{
	if (!ch->quiet)
		metric_count(METRIC_outstanding_changes_queued, n);
}

int change_touch(struct changes *ch, struct change *rec, u64 zxid)
{
	if (rec->zxid == zxid)
		return 0;
	if (remember(ch, rec, false))
		return -ENOMEM;
	if (!is_outstanding(ch, rec)) {
		ch->cached_bytes -= bytes_of(rec);
		count_queued(ch, 1);
	}
	rec->zxid = zxid;
	to_tail(&ch->outstanding, rec);
	return 0;
}

int change_add(struct changes *ch, const char *path, u32 len, u64 zxid, struct change **out)
{
	u32 hash = hash_bytes(ch->key, path, len);
	struct change **slot = slot_of(ch, path, len, hash), *rec = *slot;

	if (rec) {
		*out = rec;
		return change_touch(ch, rec, zxid);
	}
	rec = insert(ch, slot, path, len, hash);
	if (!rec)
		return -ENOMEM;
	list_add_tail(&rec->link, &ch->outstanding);
	count_queued(ch, 1);
	rec->zxid = zxid;
	if (remember(ch, rec, true)) {
		drop(ch, rec);
		return -ENOMEM;
	}
	*out = rec;
	return 0;
}

void change_born(struct changes *ch, struct change *rec)
{
	list_del_init(&rec->born);
	list_add_tail(&rec->born, &ch->born);
}

static struct list_head *end_chain(struct changes *ch, u64 session)
{
	return &ch->end_chains[hash_u64(ch->key, session) % CHANGE_ENDS];
}

void change_ends(struct changes *ch, const char *path, u32 len, const struct store_node *node)
{
	ch->digest -= digest_of(ch, path, len, node->crc, &node->stat);
}

int changes_end(struct changes *ch, u64 session, u64 zxid, u32 nodes)
{
	struct change_end *e = malloc(sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->session = session;
	e->zxid = zxid;
	e->nodes = nodes;
	list_add_tail(&e->link, &ch->ends);
	list_add_tail(&e->chain, end_chain(ch, session));
	ch->undo_end = e;
	count_queued(ch, nodes);
	return 0;
}

bool changes_ended(const struct changes *ch, u64 session)
{
	const struct change_end *e;

	list_for_each_entry(e, end_chain((struct changes *)ch, session), chain)
		if (e->session == session)
			return true;
	return false;
}

void changes_begin(struct changes *ch)
{
	ch->n_undo = 0;
	ch->undo_end = NULL;
	ch->undo_digest = ch->digest;
}

void changes_keep(struct changes *ch)
{
	while (ch->n_undo)
		zacl_put(ch->undo[--ch->n_undo].acl);
	ch->undo_end = NULL;
}

/* Back among the outstanding ones, where its zxid belongs. */
static void back_in_order(struct changes *ch, struct change *rec)
{
	struct list_head *at = ch->outstanding.prev;

	while (at != &ch->outstanding && list_entry(at, struct change, link)->zxid > rec->zxid)
		at = at->prev;
	list_add_tail(&rec->link, at->next);
}

static void take_back(struct changes *ch, const struct undo *u)
{
	struct change *rec = u->rec;

	if (u->fresh) {
		drop(ch, rec);
		return;
	}
	zacl_put(rec->acl);
	rec->acl = u->acl;
	rec->acl_zxid = u->acl_zxid;
	rec->exists = u->exists;
	rec->data_len = u->data_len;
	rec->crc = u->crc;
	rec->digest = u->digest;
	rec->stat = u->stat;
	rec->zxid = u->zxid;
	rec->cversion_zxid = 0;
	list_del_init(&rec->link);
	if (is_outstanding(ch, rec)) {
		back_in_order(ch, rec);
	} else {
		list_del_init(&rec->born);
		list_add_tail(&rec->link, &ch->cached);
		ch->cached_bytes += bytes_of(rec);
	}
}

void changes_undo(struct changes *ch)
{
	while (ch->n_undo)
		take_back(ch, &ch->undo[--ch->n_undo]);
	if (ch->undo_end)
		end_drop(ch->undo_end);
	ch->undo_end = NULL;
	ch->digest = ch->undo_digest;
}

/* How many nodes went with them. */
static u64 ends_applied(struct changes *ch, u64 zxid)
{
	u64 nodes = 0;

	while (!list_empty(&ch->ends)) {
		struct change_end *e = list_first_entry(&ch->ends, struct change_end, link);

		if (e->zxid > zxid)
			break;
		nodes += e->nodes;
		end_drop(e);
	}
	return nodes;
}

void changes_applied(struct changes *ch, u64 zxid)
{
	u64 removed = 0;

	ch->applied = zxid;
	while (!list_empty(&ch->outstanding)) {
		struct change *rec = list_first_entry(&ch->outstanding, struct change, link);

		if (rec->zxid > zxid)
			break;
		removed++;
		warm_next(ch, rec);
		if (!rec->exists) {
			drop(ch, rec);
			continue;
		}
		list_del_init(&rec->born);
		to_tail(&ch->cached, rec);
		ch->cached_bytes += bytes_of(rec);
	}
	removed += ends_applied(ch, zxid);
	if (!ch->quiet)
		metric_count(METRIC_outstanding_changes_removed, removed);
	changes_trim(ch, false);
}

void changes_reset(struct changes *ch, u64 digest)
{
	ends_drop(ch);
	while (!list_empty(&ch->outstanding))
		drop(ch, list_first_entry(&ch->outstanding, struct change, link));
	changes_trim(ch, true);
	ch->digest = digest;
}

void changes_trim(struct changes *ch, bool all)
{
	u64 keep = all ? 0 : ch->max_cached;

	while (ch->cached_bytes > keep) {
		struct change *rec = list_first_entry(&ch->cached, struct change, link);

		ch->cached_bytes -= bytes_of(rec);
		drop(ch, rec);
	}
}
