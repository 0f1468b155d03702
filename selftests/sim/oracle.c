// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What must hold, whatever goes wrong:
 *
 *  - one leader to an epoch;
 *  - every server that applies a transaction has the same tree behind it (the digests
 *    of all are compared, for each zxid), so what is agreed is one sequence;
 *  - a server's zxids only grow;
 *  - a tree in a kernel, which programs read whether its server is there or not, shows
 *    nothing that is not committed, and so nothing that is cut off later;
 *  - a server whose disk has failed neither leads nor follows;
 *  - who begins to lead has everything that a client was told is done, or that any
 *    server has taken for agreed, unless there is a later leader;
 *  - a value that was read is the one that its transaction wrote;
 *  - where reads are linearizable, one that a server with a quorum answers has every write
 *    that was acknowledged, to any client, before it was sent (client.c);
 *  - when the harm is over there is one leader, all others are with it, and after a
 *    while without requests all trees and sessions are the same, and the members.
 */
#include "selftests/sim/sim.h"

#define TABLE	(1u << 16)
#define EPOCHS	4096
#define REGS	8

struct fact {
	u64 zxid;
	u64 digest;
};

struct seen {
	u64 mzxid;
	char value[32];
};

struct oracle {
	struct fact facts[TABLE];	/* by zxid */
	struct seen seen[REGS][1u << 12];
	u64 leaders[EPOCHS];		/* server id */
	u64 acked;			/* the last one */
	u64 agreed;			/* the last one that a server has applied */
	u64 committed;			/* the last one that one with a quorum knows to be */
};

void oracle_init(struct sim *s)
{
	s->oracle = calloc(1, sizeof(*s->oracle));
}

void oracle_free(struct sim *s)
{
	free(s->oracle);
}

static u64 mix(u64 z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	return z ^ (z >> 27);
}

/* At @zxid there is one tree. */
static void note_tree(struct server *sv, u64 zxid, u64 digest)
{
	u32 i = mix(zxid) & (TABLE - 1);

	for (u32 n = 0; n < TABLE / 2; n++, i = (i + 1) & (TABLE - 1)) {
		struct fact *f = &sv->sim->oracle->facts[i];

		if (!f->zxid) {
			f->zxid = zxid;
			f->digest = digest;
			return;
		}
		if (f->zxid != zxid)
			continue;
		if (f->digest != digest)
			wrong(sv->sim, "server %llu: the tree at 0x%llx has digest %llx, "
			      "on another server it had %llx",
			      sv->id, zxid, digest, f->digest);
		return;
	}
}

static void note_committed(struct server *sv)
{
	struct oracle *o = sv->sim->oracle;
	struct zab *z = sv->core->zab;

	if (zab_phase(z) == ZAB_BROADCAST && zab_committed(z) > o->committed)
		o->committed = zab_committed(z);
}

void oracle_shown(struct server *sv)
{
	struct oracle *o = sv->sim->oracle;
	struct store_info info;

	if (!sv->shown || sv->dead)
		return;
	if (sv->core)
		note_committed(sv);
	if (sv->st->ops->info(sv->st, &info))
		abort();
	if (info.zxid > o->committed && info.zxid > o->agreed)
		wrong(sv->sim, "server %llu shows its tree at 0x%llx, and only 0x%llx is committed",
		      sv->id, info.zxid, o->committed > o->agreed ? o->committed : o->agreed);
	if (info.zxid)
		note_tree(sv, info.zxid, info.digest);
}

void oracle_applied(struct server *sv, u64 zxid, u64 digest)
{
	struct oracle *o = sv->sim->oracle;

	if (zxid <= sv->applied)
		wrong(sv->sim, "server %llu applies 0x%llx after 0x%llx", sv->id, zxid,
		      sv->applied);
	sv->applied = zxid;
	if (zxid > o->agreed)
		o->agreed = zxid;
	note_tree(sv, zxid, digest);
}

u64 oracle_agreed(const struct sim *s)
{
	return s->oracle->agreed > s->oracle->acked ? s->oracle->agreed : s->oracle->acked;
}

void oracle_look(struct server *sv)
{
	struct sim *s = sv->sim;
	struct zab *z = sv->core->zab;
	u64 epoch = zab_epoch(z);
	enum zab_state state = zab_state(z);
	enum zab_phase phase = zab_phase(z);

	note_committed(sv);
	oracle_shown(sv);
	if (sv->disk.refused && state != ZAB_LOOKING)
		wrong(s, "server %llu goes on (state %d) although its disk has failed", sv->id,
		      state);
	if (sv->wiped && phase == ZAB_BROADCAST && sv->applied >= oracle_agreed(s))
		sv->wiped = false;
	if (state == sv->state && phase == sv->phase)
		return;
	tell(s, "server %llu: state %d phase %d epoch %llu committed 0x%llx last 0x%llx", sv->id,
	     state, phase, epoch, zab_committed(z), zab_last_zxid(z));
	sv->state = state;
	sv->phase = phase;
	if (state != ZAB_LEADING || phase != ZAB_BROADCAST)
		return;
	s->counts.elections++;
	if (epoch >= EPOCHS) {
		wrong(s, "epoch %llu", epoch);
		return;
	}
	if (s->oracle->leaders[epoch] && s->oracle->leaders[epoch] != sv->id)
		wrong(s, "servers %llu and %llu both lead epoch %llu", s->oracle->leaders[epoch],
		      sv->id, epoch);
	s->oracle->leaders[epoch] = sv->id;
	/* one that slept since its followers came has been succeeded: nobody follows it now */
	if (zab_committed(z) < s->oracle->acked && s->oracle->acked >> 32 <= epoch)
		wrong(s, "server %llu leads epoch %llu from 0x%llx on, but 0x%llx was acknowledged",
		      sv->id, epoch, zab_committed(z), s->oracle->acked);
	if (zab_committed(z) < s->oracle->agreed && s->oracle->agreed >> 32 <= epoch)
		wrong(s, "server %llu leads epoch %llu from 0x%llx on, but 0x%llx was applied",
		      sv->id, epoch, zab_committed(z), s->oracle->agreed);
}

void oracle_acked(struct sim *s, u64 zxid)
{
	s->counts.writes_acked++;
	if (zxid > s->oracle->acked)
		s->oracle->acked = zxid;
}

u64 oracle_done(const struct sim *s)
{
	return s->oracle->acked;
}

void oracle_read(struct sim *s, u32 reg, u64 mzxid, const u8 *value, s32 len)
{
	u32 i = mix(mzxid) & 0xfff;
	char text[32] = "";

	if (len > 0)
		memcpy(text, value, len < 31 ? len : 31);
	for (u32 n = 0; n < 2048; n++, i = (i + 1) & 0xfff) {
		struct seen *e = &s->oracle->seen[reg % REGS][i];

		if (!e->mzxid) {
			e->mzxid = mzxid;
			memcpy(e->value, text, sizeof(text));
			return;
		}
		if (e->mzxid != mzxid)
			continue;
		if (memcmp(e->value, text, sizeof(text)))
			wrong(s, "register %u at 0x%llx was read as %s and as %s", reg, mzxid,
			      e->value, text);
		return;
	}
}

bool oracle_settled(struct sim *s)
{
	u32 leaders = 0;

	for (u32 i = 0; i < s->n; i++) {
		const struct server *sv = &s->servers[i];

		if (!sv->up || sv->phase != ZAB_BROADCAST)
			return false;
		leaders += sv->state == ZAB_LEADING;
	}
	return leaders == 1;
}

static int by_id(const void *a, const void *b)
{
	const struct disk_session *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* /zookeeper/config counts in no digest. */
static void same_members(struct sim *s)
{
	static const char path[] = "/zookeeper/config";
	char text[2][2048];

	for (u32 i = 0; i < s->n && !s->wrong[0]; i++) {
		struct server *sv = &s->servers[i];
		char *to = text[i > 0];
		struct store_node node;

		memset(to, 0, sizeof(text[0]));
		if (sv->st->ops->get(sv->st, path, sizeof(path) - 1, &node, to,
				     sizeof(text[0]) - 1))
			wrong(s, "server %llu has no members at the end", sv->id);
		else if (strcmp(to, sv->cfg.ensemble->text))
			wrong(s, "server %llu has other members in its tree than in its files",
			      sv->id);
		else if (strcmp(to, text[0]))
			wrong(s, "at the end server %llu has other members than the first", sv->id);
	}
}

void oracle_end(struct sim *s)
{
	struct disk_session *first = NULL, *list;
	struct store_info a, b;
	u32 n_first = 0, n, same;

	for (u32 i = 0; i < s->n; i++) {
		struct server *sv = &s->servers[i];

		same = 0;
		list = core_sessions(sv->core, &n);
		qsort(list, n, sizeof(*list), by_id);
		sv->st->ops->info(sv->st, i ? &b : &a);
		if (!i) {
			first = list;
			n_first = n;
			continue;
		}
		if (b.zxid != a.zxid || b.digest != a.digest)
			wrong(s, "at the end server %llu is at 0x%llx with digest %llx, "
			      "the first at 0x%llx with %llx",
			      sv->id, b.zxid, b.digest, a.zxid, a.digest);
		for (u32 k = 0; k < n && n == n_first; k++)
			same += list[k].id == first[k].id && list[k].timeout == first[k].timeout;
		if (n != n_first || same != n)
			wrong(s, "at the end server %llu has %u sessions, the first %u, or others",
			      sv->id, n, n_first);
		free(list);
	}
	if (a.zxid < s->oracle->acked)
		wrong(s, "at the end all are at 0x%llx, but 0x%llx was acknowledged", a.zxid,
		      s->oracle->acked);
	free(first);
	same_members(s);
}
