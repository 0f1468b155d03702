// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The text of a membership, byte by byte what Apache ZooKeeper makes of the same lines.
 * It walks java.util.HashMap's by numbers (servers, weights, groups), filled in the order
 * in which a java.util.Properties, a ConcurrentHashMap by strings, is walked. So does
 * this, by the arithmetic of those two classes: with ids below 16 it is the order of the
 * ids; beyond, ids of one bucket stand in the order in which they came. (Two strings of
 * one bucket are taken as they came, which a table that has grown may have turned round:
 * it takes two dozen servers whose ids are far apart to see that.)
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/proto/jute.h"
#include "daemon/zab/ensemble_impl.h"

#define TABLE_MIN	16

static u32 spread(u32 h)
{
	return h ^ h >> 16;
}

/* ---------------------------------------------------------------- Properties */

static u32 string_bucket(const char *s, u32 table)
{
	u32 h = 0;

	for (; *s; s++)
		h = h * 31 + (u8)*s;
	return spread(h) & (table - 1);
}

void ensemble_hash_order(const struct ensemble_line *lines, u32 *order, u32 n, u32 n_keys)
{
	u32 table = TABLE_MIN, i, k;

	/* grows as soon as it is three quarters full */
	while (n_keys >= table / 4 * 3)
		table *= 2;
	for (i = 1; i < n; i++) {
		u32 this = order[i], bucket = string_bucket(lines[this].key, table);

		for (k = i; k && string_bucket(lines[order[k - 1]].key, table) > bucket; k--)
			order[k] = order[k - 1];
		order[k] = this;
	}
}

/* ---------------------------------------------------------------- HashMap<Long, ...> */

static u32 long_bucket(u64 v, u32 table)
{
	return spread((u32)v ^ (u32)(v >> 32)) & (table - 1);
}

/* Puts @n keys, in the order in which they were put into the map, into that of its walk. */
static void map_order(u64 *keys, u32 n)
{
	u32 table = TABLE_MIN, i, k;

	/* grows when it is more than three quarters full */
	while (n > table / 4 * 3)
		table *= 2;
	for (i = 1; i < n; i++) {
		u64 this = keys[i];
		u32 bucket = long_bucket(this, table);

		for (k = i; k && long_bucket(keys[k - 1], table) > bucket; k--)
			keys[k] = keys[k - 1];
		keys[k] = this;
	}
}

/* ---------------------------------------------------------------- the lines */

static void put_host(struct jw *w, const char *host)
{
	jw_printf(w, strchr(host, ':') ? "[%.900s]" : "%.900s", host);
}

/* QuorumServer.toString() */
static void put_server(struct jw *w, u64 id, const struct peer *p)
{
	u32 i;

	jw_printf(w, "server.%llu=", (unsigned long long)id);
	for (i = 0; i < p->n_addrs; i++) {
		if (i)
			jw_bytes(w, "|", 1);
		put_host(w, p->addrs[i].host);
		jw_printf(w, ":%u:%u", p->addrs[i].quorum_port, p->addrs[i].election_port);
	}
	jw_printf(w, p->observer ? ":observer" : ":participant");
	if (p->client_host) {
		jw_bytes(w, ";", 1);
		put_host(w, p->client_host);
		jw_printf(w, ":%u", p->client_port);
	}
	jw_bytes(w, "\n", 1);
}

static u32 ids_of(const u8 *list, u32 n, u64 *ids)
{
	u32 i;

	for (i = 0; i < n; i++)
		ids[i] = list[i];
	map_order(ids, n);
	return n;
}

static void put_groups(struct jw *w, const struct draft *d)
{
	u64 ids[DRAFT_IDS], groups[DRAFT_IDS];
	u32 n = ids_of(d->grouped, d->n_grouped, ids), n_groups = 0, i, k;

	for (i = 0; i < n; i++) {
		u64 g = d->groups[d->group_of[ids[i]] - 1].id;

		for (k = 0; k < n_groups && groups[k] != g; k++)
			;
		if (k == n_groups)
			groups[n_groups++] = g;
	}
	map_order(groups, n_groups);
	for (k = 0; k < n_groups; k++) {
		const char *before = "";

		jw_printf(w, "group.%lld=", (long long)groups[k]);
		for (i = 0; i < n; i++) {
			if (d->groups[d->group_of[ids[i]] - 1].id != groups[k])
				continue;
			jw_printf(w, "%s%llu", before, (unsigned long long)ids[i]);
			before = ":";
		}
		jw_bytes(w, "\n", 1);
	}
}

char *ensemble_text(const struct draft *d)
{
	u64 ids[DRAFT_IDS];
	struct jw w;
	u32 n, i;

	jw_init(&w, 0);
	n = ids_of(d->servers, d->n_servers, ids);
	for (i = 0; i < n; i++)
		put_server(&w, ids[i], &d->peers[ids[i]]);
	if (d->hierarchical) {
		put_groups(&w, d);
		n = ids_of(d->weighed, d->n_weighed, ids);
		for (i = 0; i < n; i++)
			jw_printf(&w, "weight.%llu=%llu\n", (unsigned long long)ids[i],
				  (unsigned long long)d->weight[ids[i]]);
	}
	jw_printf(&w, "version=%llx", (unsigned long long)d->version);
	jw_bytes(&w, "", 1);
	if (w.err) {
		jw_free(&w);
		return NULL;
	}
	return (char *)w.buf;
}
