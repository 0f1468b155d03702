// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reconfig: a change of the membership (PrepRequestProcessor.pRequest2Txn at 3.8). What is
 * asked for is checked in its order, and becomes a setData of /zookeeper/config whose text
 * is the membership, numbered with the transaction's zxid.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/server/access.h"
#include "daemon/server/prepare.h"
#include "daemon/zab/zab.h"

#define CONFIG_NODE	"/zookeeper/config"
#define VERSION_MAX	32	/* bytes of a version's line */

#define JOINERS_MAX	(8 * ENSEMBLE_MAX)	/* in one request */

/* The servers as they are to be, by id. */
struct draft {
	struct prep *p;
	char *spec[ENSEMBLE_MAX];		/* behind "server.N="; NULL: there is none */
	const struct peer *peer[ENSEMBLE_MAX];	/* what it says: one of those there are, or */
	struct peer own[ENSEMBLE_MAX];		/* one who joins */
	u32 joiners;
	int fail;				/* -ENOMEM */
};

static s32 refuse(s32 err, const char *why)
{
	log_ratelimited(LOG_WARN, "reconfig is refused: %s", why);
	return err;
}

/* What Java's exceptions come to. */
static s32 code_of(struct draft *d, int fault, const char *why)
{
	if (fault == -ENOMEM) {
		d->fail = fault;
		return ZSYSTEMERROR;
	}
	if (fault == -ENOENT)
		return refuse(d->p->cfg->standalone_enabled ? ZBADARGUMENTS :
			      ZMARSHALLINGERROR, why);
	return refuse(fault == -ERANGE ? ZMARSHALLINGERROR : ZBADARGUMENTS, why);
}

/* ------------------------------------------------------------ words */

static bool is_blank(char c)
{
	return (u8)c <= ' ';
}

/* String.trim() */
static void trim(const char **s, size_t *len)
{
	while (*len && is_blank(**s)) {
		(*s)++;
		(*len)--;
	}
	while (*len && is_blank((*s)[*len - 1]))
		(*len)--;
}

/* StringUtils.split(): the next part that is more than blanks. False: none is left. */
static bool next_part(const char **s, size_t *left, char by, const char **part, size_t *len)
{
	while (*left) {
		const char *end = memchr(*s, by, *left);

		*part = *s;
		*len = end ? (size_t)(end - *s) : *left;
		*left -= *len + !!end;
		*s += *len + !!end;
		trim(part, len);
		if (*len)
			return true;
	}
	return false;
}

/* Long.parseLong(). False: it is no number. */
static bool number(const char *s, size_t len, s64 *v)
{
	char text[24], *end;

	if (!len || len >= sizeof(text) || (*s != '-' && *s != '+' && (*s < '0' || *s > '9')))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	errno = 0;
	*v = strtoll(text, &end, 10);
	return !errno && end == text + len && end[-1] >= '0';
}

/* ------------------------------------------------------------ incremental */

static void drop_spec(struct draft *d, u64 id)
{
	free(d->spec[id]);
	d->spec[id] = NULL;
	d->peer[id] = NULL;
	peer_clear(&d->own[id]);
}

static int set_spec(struct draft *d, u64 id, const char *s, size_t len)
{
	drop_spec(d, id);
	d->spec[id] = strndup(s, len);
	return d->spec[id] ? 0 : -ENOMEM;
}

/* The lines that there are: of a text of our own. */
static int begin(struct draft *d, const struct ensemble *last)
{
	const char *s = last->text, *end;
	int rc = 0;
	u32 id;

	for (; !rc && s; s = end ? end + 1 : NULL) {
		const char *eq = strchr(s, '=');

		end = strchr(s, '\n');
		if (eq && sscanf(s, "server.%u=", &id) == 1 && id < ENSEMBLE_MAX)
			rc = set_spec(d, id, eq + 1, end ? (size_t)(end - eq - 1) :
				      strlen(eq + 1));
	}
	for (u32 i = 0; i < last->n; i++)
		d->peer[last->peers[i].id] = &last->peers[i];
	return rc;
}

static s32 leave(struct draft *d, const struct jstr *list)
{
	const char *s = (const char *)list->p, *part;
	size_t left = list->len > 0 ? list->len : 0, len;
	s64 id;

	while (next_part(&s, &left, ',', &part, &len)) {
		if (!number(part, len, &id))
			return refuse(ZMARSHALLINGERROR, "who leaves is no number");
		if (id < 0 || id >= ENSEMBLE_MAX)
			continue;
		drop_spec(d, id);
	}
	return ZOK;
}

/* Which no two servers may have, as far as one can tell (excludedSpecialAddresses()). */
static bool is_special(const char *host)
{
	return !strncmp(host, "127.", 4) || !strcmp(host, "0.0.0.0") ||
	       !strcmp(host, "0:0:0:0:0:0:0:0") || !strcmp(host, "0:0:0:0:0:0:0:1") ||
	       !strcmp(host, "localhost");
}

struct address {
	const char *host;
	u16 port;
};

static u32 addresses(const struct peer *p, struct address *out)
{
	u32 n = 0;

	for (u32 i = 0; i < p->n_addrs; i++) {
		if (is_special(p->addrs[i].host))
			continue;
		out[n++] = (struct address){ p->addrs[i].host, p->addrs[i].quorum_port };
		out[n++] = (struct address){ p->addrs[i].host, p->addrs[i].election_port };
	}
	if (p->client_host && !is_special(p->client_host))
		out[n++] = (struct address){ p->client_host, p->client_port };
	return n;
}

/* QuorumServer.checkAddressDuplicate() */
static bool collide(const struct peer *a, const struct peer *b)
{
	struct address x[2 * PEER_ADDRS_MAX + 1], y[2 * PEER_ADDRS_MAX + 1];
	u32 n = addresses(a, x), m = addresses(b, y);

	for (u32 i = 0; i < n; i++)
		for (u32 k = 0; k < m; k++)
			if (x[i].port == y[k].port && !strcmp(x[i].host, y[k].host))
				return true;
	return false;
}

static s32 check_joiner(const struct draft *d, const struct peer *p)
{
	if (!p->client_host)
		return refuse(ZBADARGUMENTS, "who joins has no address for clients");
	if (p->n_addrs > 1 && !d->p->cfg->multi_addr)
		return refuse(ZBADARGUMENTS, "several addresses, without multiAddress.enabled");
	for (u32 id = 0; id < ENSEMBLE_MAX; id++)
		if (d->peer[id] && id != p->id && collide(p, d->peer[id]))
			return refuse(ZBADARGUMENTS, "two servers with the same address");
	return ZOK;
}

/* The node of the members, which whoever changes them must be allowed to write. */
static s32 config_node(struct prep *p, struct change **rec)
{
	static const char path[] = CONFIG_NODE;
	int rc = change_get(p->ch, path, sizeof(path) - 1, rec);

	if (rc)
		return prep_fail(p, rc == -ENOENT ? -EUCLEAN : rc);
	return zacl_allows((*rec)->acl, PERM_WRITE, p->auth) ? ZOK : ZNOAUTH;
}

/* A number that Apache's takes: who may not write is told that, as there. */
static s32 out_of_range(struct draft *d)
{
	struct change *rec;
	s32 err = config_node(d->p, &rec);

	return err ? err : refuse(ZBADARGUMENTS, "who joins has a number out of range");
}

/* server.N=... */
static s32 join_one(struct draft *d, const char *part, size_t len)
{
	const char *words[2] = { NULL }, *word, *dot;
	size_t lens[2] = { 0 }, n = 0, word_len;
	struct peer p;
	char why[256];
	bool known;
	int rc;
	s64 id;
	s32 err;

	if (d->joiners++ == JOINERS_MAX)
		return refuse(ZBADARGUMENTS, "too many join");
	for (; next_part(&part, &len, '=', &word, &word_len); n++)
		if (n < 2)
			words[n] = word, lens[n] = word_len;
	if (n != 2 || memchr(words[1], 0, lens[1]))
		return refuse(ZBADARGUMENTS, "who joins is not server.N=...");
	dot = memrchr(words[0], '.', lens[0]);
	dot = dot ? dot + 1 : words[0];
	if (!number(dot, lens[0] - (dot - words[0]), &id))
		return refuse(ZMARSHALLINGERROR, "who joins has no number");
	/* what it says is looked at first */
	known = id >= 0 && id < ENSEMBLE_MAX;
	word = strndup(words[1], lens[1]);
	rc = word ? peer_parse(known ? id : 0, word, &p, why, sizeof(why)) : -ENOMEM;
	err = rc ? code_of(d, rc, why) : check_joiner(d, &p);
	if (!err && !known)
		err = out_of_range(d);
	if (!err && set_spec(d, id, word, lens[1]))
		err = code_of(d, -ENOMEM, "");
	if (!err) {
		d->own[id] = p;
		d->peer[id] = &d->own[id];
	} else if (!rc) {
		peer_clear(&p);
	}
	free((char *)word);
	return err;
}

static s32 join(struct draft *d, const struct jstr *list)
{
	const char *s = (const char *)list->p, *part;
	size_t left = list->len > 0 ? list->len : 0, len;
	s32 err = ZOK;

	while (!err && next_part(&s, &left, ',', &part, &len))
		err = join_one(d, part, len);
	return err;
}

static s32 parse(struct draft *d, const char *text, size_t len, struct ensemble **e)
{
	char why[256];
	int fault;

	*e = ensemble_parse_fault(text, len, why, sizeof(why), &fault);
	return *e ? ZOK : code_of(d, fault, why);
}

static s32 put_together(struct draft *d, u64 version, struct ensemble **e)
{
	struct jw w;
	char line[64];
	s32 err;

	jw_init(&w, 0);
	for (u32 id = 0; id < ENSEMBLE_MAX; id++) {
		if (!d->spec[id])
			continue;
		jw_bytes(&w, line, snprintf(line, sizeof(line), "server.%u=", id));
		jw_bytes(&w, d->spec[id], strlen(d->spec[id]));
		jw_bytes(&w, "\n", 1);
	}
	jw_bytes(&w, line, snprintf(line, sizeof(line), "version=%llx", version));
	err = w.err ? code_of(d, -ENOMEM, "") : parse(d, (char *)w.buf, w.len, e);
	/* it was all right in its parts: there is nobody left to vote */
	if (err == ZMARSHALLINGERROR)
		err = ZBADARGUMENTS;
	jw_free(&w);
	return err;
}

static s32 incremental(struct draft *d, const struct wish *w, const struct ensemble *last,
		       struct ensemble **e)
{
	s32 err;

	if (last->groups)
		return refuse(ZBADARGUMENTS, "incremental, but there are groups");
	if (begin(d, last))
		return code_of(d, -ENOMEM, "");
	err = leave(d, &w->leaving);
	if (!err)
		err = join(d, &w->joining);
	return err ? err : put_together(d, d->p->zxid, e);
}

/* ------------------------------------------------------------ all of them */

static bool is_version(const char *line, size_t n)
{
	return n >= 7 && !memcmp(line, "version", 7) && (n == 7 || strchr(" \t\f=:", line[7]));
}

/* QuorumPeerConfig.parseDynamicConfig(): only these keys. */
static bool known_keys(const char *text, size_t len)
{
	const char *line;
	size_t n;

	while (next_part(&text, &len, '\n', &line, &n)) {
		if (*line == '#' || *line == '!')
			continue;
		if (!(n > 7 && !memcmp(line, "server.", 7)) &&
		    !(n > 5 && !memcmp(line, "group", 5)) &&
		    !(n > 6 && !memcmp(line, "weight", 6)) &&
		    !is_version(line, n))
			return false;
	}
	return true;
}

static bool several_addresses(const struct ensemble *e)
{
	for (u32 i = 0; i < e->n; i++)
		if (e->peers[i].n_addrs > 1)
			return true;
	return false;
}

static s32 whole(struct draft *d, const struct wish *w, struct ensemble **e)
{
	size_t len = w->members.len;
	char *text = malloc(len + VERSION_MAX);
	s32 err = ZOK;

	if (!text)
		return code_of(d, -ENOMEM, "");
	memcpy(text, w->members.p, len);
	for (size_t i = 0; i < len; i++)
		if (text[i] == ',')
			text[i] = '\n';
	if (!known_keys(text, len))
		err = refuse(ZBADARGUMENTS, "a key that is no member's");
	len += snprintf(text + len, VERSION_MAX, "\nversion=%llx", d->p->zxid);
	if (!err)
		err = parse(d, text, len, e);
	free(text);
	if (err)
		return err;
	if (several_addresses(*e) && !d->p->cfg->multi_addr)
		err = refuse(ZBADARGUMENTS, "several addresses, without multiAddress.enabled");
	else if (d->p->cfg->standalone_enabled && ensemble_voters(*e) == 1 && (*e)->n > 1)
		err = refuse(ZMARSHALLINGERROR, "observers, but one participant");
	return err;
}

static s32 next_ensemble(struct prep *p, const struct wish *w, const struct ensemble *last,
			 struct ensemble **e)
{
	struct draft *d = calloc(1, sizeof(*d));
	s32 err;

	if (!d)
		return prep_fail(p, -ENOMEM);
	d->p = p;
	if (w->members.len >= 0)
		err = whole(d, w, e);
	else
		err = incremental(d, w, last, e);
	for (u32 id = 0; id < ENSEMBLE_MAX; id++)
		drop_spec(d, id);
	if (d->fail)
		err = prep_fail(p, d->fail);
	free(d);
	return err;
}

/* ------------------------------------------------------------ the operation */

/* The change of the node: its version stays -1. */
static s32 set_node(struct prep *p, const struct ensemble *e)
{
	static const char path[] = CONFIG_NODE;
	s32 len = strlen(e->text), err;
	struct change *rec;
	struct zk_op *op;

	err = config_node(p, &rec);
	if (!err)
		err = prep_new_data(p, rec, e->text, len, -1);
	if (err)
		return err;
	op = prep_add_op(p, ZK_OP_SETDATA);
	if (!op)
		return ZSYSTEMERROR;
	op->path = prep_put(p, path, sizeof(path) - 1);
	op->path_len = sizeof(path) - 1;
	op->data = prep_put(p, e->text, len);
	op->data_len = len;
	op->version = -1;
	op->crc = rec->crc;
	jw_int(&p->txn, -1);
	jw_str(&p->out, e->text, len);
	prep_put_stat(p, rec);
	return ZOK;
}

static s32 check_next(const struct prep *p, const struct ensemble *e)
{
	if (p->cfg->standalone_enabled && ensemble_voters(e) < 2)
		return refuse(ZBADARGUMENTS, "fewer than two would vote");
	if (!zab_quorum_synced(p->zab, e))
		return refuse(ZNEWCONFIGNOQUORUM, "no quorum of the new members follows");
	return ZOK;
}

s32 prep_reconfig(struct prep *p, const struct wish *w)
{
	const struct ensemble *last;
	struct ensemble *e = NULL;
	s32 err;

	if (!p->cfg->reconfig_enabled)
		return refuse(ZRECONFIGDISABLED, "reconfigEnabled is not true");
	/* A server that is alone has no members to change. */
	if (!p->zab)
		return ZUNIMPLEMENTED;
	if (zab_next_ensemble(p->zab))
		return refuse(ZRECONFIGINPROGRESS, "another one is under way");
	last = zab_ensemble(p->zab);
	if (w->from != -1 && (u64)w->from != last->version)
		return refuse(ZBADVERSION, "from another version than there is");
	err = next_ensemble(p, w, last, &e);
	if (!err)
		err = check_next(p, e);
	if (!err)
		err = set_node(p, e);
	ensemble_put(e);
	return err;
}
