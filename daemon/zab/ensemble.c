// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who is in the ensemble: made of its lines (ensemble_line.c), and the questions asked of
 * it afterwards. The text that tells it to others is made at once (ensemble_text.c), as
 * its order depends on what the lines were.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/props.h"
#include "daemon/zab/ensemble_impl.h"

#define LINES_MAX	2000		/* of a text */
#define OURS_MAX	(3 * ENSEMBLE_MAX + 1)

/* ---------------------------------------------------------------- the whole */

/* What QuorumHierarchical has the defaults of, and checks, when all lines are read. */
static int settle_groups(struct draft *d)
{
	u32 i;

	for (i = 0; i < d->n_servers; i++) {
		u32 id = d->servers[i];

		snprintf(d->own_key, sizeof(d->own_key), "server.%u", id);
		d->key = d->own_key;
		if (d->peers[id].observer)
			continue;
		if (!d->group_of[id])
			return draft_wrong(d, "is not in a group");
		if (!d->has_weight[id]) {
			d->has_weight[id] = true;
			d->weight[id] = 1;
			d->weighed[d->n_weighed++] = id;
		}
	}
	for (i = 0; i < d->n_grouped; i++) {
		u32 id = d->grouped[i];
		struct peer_group *g = &d->groups[d->group_of[id] - 1];

		snprintf(d->own_key, sizeof(d->own_key), "group.%lld", (long long)g->id);
		d->key = d->own_key;
		if (!d->has_weight[id])
			return draft_wrong(d, d->is_server[id] ?
				     "server %u is an observer, and has no weight" :
				     "there is no server %u, nor a weight of it", id);
		g->weight += d->weight[id];
	}
	return 0;
}

static struct ensemble *from_draft(struct draft *d)
{
	struct ensemble *e = calloc(1, sizeof(*e) + d->n_servers * sizeof(e->peers[0]));
	u32 id;

	if (!e)
		return NULL;
	e->refs = 1;
	e->version = d->version;
	e->groups = d->hierarchical;
	if (d->n_groups) {
		e->group = calloc(d->n_groups, sizeof(e->group[0]));
		if (!e->group)
			goto fail;
		memcpy(e->group, d->groups, d->n_groups * sizeof(e->group[0]));
		e->n_groups = d->n_groups;
	}
	e->text = ensemble_text(d);
	if (!e->text)
		goto fail;
	for (id = 0; id <= ID_MAX; id++) {
		struct peer *p = &e->peers[e->n];

		if (!d->is_server[id])
			continue;
		*p = d->peers[id];
		d->is_server[id] = false;	/* its strings have moved */
		p->id = id;
		p->weight = d->hierarchical ? d->weight[id] : 1;
		p->grouped = d->group_of[id];
		p->group = p->grouped ? d->groups[d->group_of[id] - 1].id : 0;
		e->n++;
	}
	return e;
fail:
	free(e->group);
	free(e);
	return NULL;
}

static bool begins(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* A key has the place of its first line and the value of its last one. */
static bool given_before(const struct ensemble_line *lines, u32 i)
{
	u32 k;

	for (k = 0; k < i; k++)
		if (!strcmp(lines[k].key, lines[i].key))
			return true;
	return false;
}

static const char *last_value(const struct ensemble_line *lines, u32 n, u32 i)
{
	u32 k;

	for (k = n - 1; strcmp(lines[k].key, lines[i].key); k--)
		;
	return lines[k].value;
}

static bool is_ours(const char *key)
{
	return begins(key, "server.") || begins(key, "group") || begins(key, "weight") ||
	       !strcmp(key, "version");
}

static int all_lines(struct draft *d, const struct ensemble_line *lines, u32 n)
{
	u32 i, ours = 0, *order;
	int rc = 0;

	order = calloc(n ? n : 1, sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		ours += is_ours(lines[i].key);
	d->key = "server";
	if (ours > OURS_MAX)
		rc = draft_wrong(d, "more than %d lines", OURS_MAX);
	d->n_keys = n - ours;
	for (i = 0, ours = 0; !rc && i < n; i++) {
		if (!is_ours(lines[i].key) || given_before(lines, i))
			continue;
		order[ours++] = i;
		d->n_keys++;
	}
	ensemble_hash_order(lines, order, ours, d->n_keys);
	for (i = 0; !rc && i < ours; i++) {
		d->key = lines[order[i]].key;
		d->hierarchical = d->hierarchical || begins(d->key, "group") ||
				  begins(d->key, "weight");
		rc = draft_line(d, last_value(lines, n, order[i]));
	}
	free(order);
	return rc;
}

static int check_draft(struct draft *d)
{
	u32 i;

	d->key = "server";
	if (!d->n_servers) {
		draft_wrong(d, "there is no server.N");
		return -ENOENT;
	}
	for (i = 0; i < d->n_servers; i++)
		if (!d->peers[d->servers[i]].observer)
			return d->hierarchical ? settle_groups(d) : 0;
	return draft_range(d, "there are observers but no participant");
}

static struct ensemble *make(const struct ensemble_line *lines, u32 n, char *why,
			     size_t why_len, int *fault)
{
	struct draft *d = calloc(1, sizeof(*d));
	struct ensemble *e = NULL;
	int rc = -ENOMEM;
	u32 id;

	if (d) {
		d->why = why;
		d->why_len = why_len;
		rc = all_lines(d, lines, n);
	}
	if (!rc)
		rc = check_draft(d);
	if (!rc)
		e = from_draft(d);
	if (!e && (!rc || rc == -ENOMEM))
		snprintf(why, why_len, "out of memory");
	*fault = rc ? rc : -ENOMEM;
	for (id = 0; d && id <= ID_MAX; id++)
		if (d->is_server[id])
			draft_peer_clear(&d->peers[id]);
	free(d);
	return e;
}

struct ensemble *ensemble_make(const struct ensemble_line *lines, u32 n, char *why,
			       size_t why_len)
{
	int fault;

	return make(lines, n, why, why_len, &fault);
}

int peer_parse(u64 id, const char *value, struct peer *p, char *why, size_t why_len)
{
	struct draft *d = calloc(1, sizeof(*d));
	int rc;

	memset(p, 0, sizeof(*p));
	snprintf(why, why_len, "out of memory");
	if (!d)
		return -ENOMEM;
	d->why = why;
	d->why_len = why_len;
	d->key = d->own_key;
	snprintf(d->own_key, sizeof(d->own_key), "server.%llu", id);
	rc = draft_line(d, value);
	if (!rc)
		*p = d->peers[id];
	free(d);
	p->id = id;
	return rc;
}

void peer_clear(struct peer *p)
{
	draft_peer_clear(p);
	memset(p, 0, sizeof(*p));
}

/* ---------------------------------------------------------------- from text */

struct lines {
	struct ensemble_line *list;
	u32 n;
	char bad[128];		/* what is wrong with the syntax */
};

static int take_line(void *arg, int line, char *key, char *value)
{
	struct lines *l = arg;
	struct ensemble_line *new;

	if (!key) {
		snprintf(l->bad, sizeof(l->bad), "line %d: %.80s", line, value);
		return -EINVAL;
	}
	if (l->n == LINES_MAX) {
		snprintf(l->bad, sizeof(l->bad), "more than %d lines", LINES_MAX);
		return -EINVAL;
	}
	if (l->n % 64 == 0) {
		new = realloc(l->list, (l->n + 64) * sizeof(*new));
		if (!new)
			return -ENOMEM;
		l->list = new;
	}
	new = &l->list[l->n];
	new->key = strdup(key);
	new->value = strdup(value);
	l->n++;
	return new->key && new->value ? 0 : -ENOMEM;
}

struct ensemble *ensemble_parse(const char *text, size_t len, char *why, size_t why_len)
{
	int fault;

	return ensemble_parse_fault(text, len, why, why_len, &fault);
}

struct ensemble *ensemble_parse_fault(const char *text, size_t len, char *why, size_t why_len,
				      int *fault)
{
	struct lines l = { 0 };
	struct ensemble *e = NULL;
	int rc = props_parse(text, len, take_line, &l);
	u32 i;

	*fault = rc == -EINVAL ? -ERANGE : rc;
	if (!rc)
		e = make(l.list, l.n, why, why_len, fault);
	else
		snprintf(why, why_len, "%s", rc == -EINVAL ? l.bad : "out of memory");
	for (i = 0; i < l.n; i++) {
		free((char *)l.list[i].key);
		free((char *)l.list[i].value);
	}
	free(l.list);
	return e;
}

/* ---------------------------------------------------------------- questions */

struct ensemble *ensemble_get(struct ensemble *e)
{
	if (e)
		__atomic_add_fetch(&e->refs, 1, __ATOMIC_RELAXED);
	return e;
}

void ensemble_put(struct ensemble *e)
{
	u32 i;

	if (!e || __atomic_sub_fetch(&e->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (i = 0; i < e->n; i++)
		draft_peer_clear(&e->peers[i]);
	free(e->group);
	free(e->text);
	free(e);
}

char *ensemble_print(const struct ensemble *e)
{
	return strdup(e->text);
}

const struct peer *ensemble_find(const struct ensemble *e, u64 id)
{
	u32 low = 0, high = e->n;

	while (low < high) {
		u32 mid = (low + high) / 2;

		if (e->peers[mid].id == id)
			return &e->peers[mid];
		if (e->peers[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

bool ensemble_votes(const struct ensemble *e, u64 id)
{
	const struct peer *p = ensemble_find(e, id);

	return p && !p->observer;
}

u32 ensemble_voters(const struct ensemble *e)
{
	u32 i, n = 0;

	for (i = 0; i < e->n; i++)
		n += !e->peers[i].observer;
	return n;
}

/* QuorumHierarchical.containsQuorum(): groups without any weight are not counted. */
static bool groups_quorum(const struct ensemble *e, const struct idset *s)
{
	u32 i, k, counted = 0, have = 0;

	for (i = 0; i < e->n_groups; i++) {
		u64 weight = 0;

		for (k = 0; k < e->n; k++) {
			const struct peer *p = &e->peers[k];

			if (!p->observer && p->grouped && p->group == e->group[i].id &&
			    idset_has(s, p->id))
				weight += p->weight;
		}
		counted += e->group[i].weight > 0;
		have += weight > e->group[i].weight / 2;
	}
	return have > counted / 2;
}

bool ensemble_quorum(const struct ensemble *e, const struct idset *s)
{
	u32 i, have = 0;

	if (e->groups)
		return groups_quorum(e, s);
	for (i = 0; i < e->n; i++)
		have += !e->peers[i].observer && idset_has(s, e->peers[i].id);
	return have > ensemble_voters(e) / 2;
}
