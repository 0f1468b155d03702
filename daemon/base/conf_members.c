// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * server.N, group.N, weight.N, in zoo.cfg or in the file that dynamicConfigFile names,
 * the server's own id, and what must be there with them (QuorumPeerConfig:
 * parseDynamicConfig(), setupMyId(), setupClientPort(), setupPeerType(),
 * checkValidity()). What makes no ensemble is one server by itself.
 */
#include <linux/types.h>
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/conf_impl.h"
#include "daemon/base/props.h"
#include "daemon/zab/ensemble.h"

#define DYNAMIC		"dynamicConfigFile"

bool conf_is_member(const char *key)
{
	return (!strncmp(key, "server.", 7) && key[7] >= '0' && key[7] <= '9') ||
	       !strncmp(key, "group", 5) || !strncmp(key, "weight", 6);
}

/* What is to be said about one key; @key MEMBERS: about all the lines, at the first. */
#define MEMBERS		"server.N"

static int say_at(struct conf_load *l, enum config_level level, const char *key,
		  const char *text)
{
	size_t i;
	int rc;

	l->entry = conf_find(l, key);
	for (i = 0; !strcmp(key, MEMBERS) && !l->entry && i < l->all->n; i++)
		if (conf_is_member(conf_plain(l->all->list[i].key)))
			l->entry = &l->all->list[i];
	if (!l->entry && !strcmp(key, MEMBERS))
		l->entry = conf_find(l, DYNAMIC);
	rc = conf_say(l, level, key, "%s", text);
	l->entry = NULL;
	return rc;
}

static int wrong_at(struct conf_load *l, const char *key, const char *text)
{
	return say_at(l, CONFIG_ERROR, key, text);
}

static int warn_at(struct conf_load *l, const char *key, const char *text)
{
	return say_at(l, CONFIG_WARN, key, text);
}

/* ---------------------------------------------------------------- the lines */

/* What ensemble_make() found wrong, "key: text", at that key's line. */
static int wrong_line(struct conf_load *l, char *why)
{
	char *colon = strstr(why, ": ");

	if (!colon)
		return wrong_at(l, MEMBERS, why);
	*colon = '\0';
	return wrong_at(l, strcmp(why, "server") ? why : MEMBERS, colon + 2);
}

/* From zoo.cfg itself. NULL with 0: refused, and reported. */
static int from_static(struct conf_load *l, struct ensemble **e)
{
	struct ensemble_line *lines = calloc(l->all->n + 1, sizeof(*lines));
	char why[256];
	size_t i;
	int rc = 0;

	if (!lines)
		return -ENOMEM;
	for (i = 0; i < l->all->n; i++) {
		const char *key = conf_plain(l->all->list[i].key);
		bool taken = conf_is_member(key) || !strcmp(key, "version");

		lines[i].key = taken ? key : "";
		lines[i].value = l->all->list[i].value;
	}
	*e = ensemble_make(lines, l->all->n, why, sizeof(why));
	if (!*e)
		rc = wrong_line(l, why);
	free(lines);
	return rc;
}

struct dynamic {
	struct conf_load *l;
	const char *file;
	u32 servers;
	char *text;		/* what is wrong */
	size_t len;
};

/* No other keys than these may be in it. */
static int dynamic_entry(void *arg, int line, char *key, char *value)
{
	struct dynamic *d = arg;

	if (!key)
		snprintf(d->text, d->len, "%.150s:%d: %.80s", d->file, line, value);
	else if (!strcmp(key, "version"))
		snprintf(d->text, d->len, "%.150s:%d: the version is in the file's name alone",
			 d->file, line);
	else if (!conf_is_member(key))
		snprintf(d->text, d->len,
			 "%.150s:%d: only server.N, group.N and weight.N may be there: %.60s",
			 d->file, line, key);
	else
		d->servers += key[0] == 's';
	return *d->text ? -EINVAL : 0;
}

/* getVersionFromFilename(): the hexadecimal number behind the last dot, if it is one. */
static bool name_version(const char *file, u64 *version)
{
	const char *dot = strrchr(file, '.');
	char *end;

	if (!dot || !dot[1] || strspn(dot + 1, "0123456789abcdefABCDEF") != strlen(dot + 1))
		return false;
	errno = 0;
	*version = strtoull(dot + 1, &end, 16);
	return !errno && !(*version >> 63);
}

static int from_dynamic(struct conf_load *l, const char *file, struct ensemble **e)
{
	char why[512] = "", problem[256], *text = NULL, *more;
	struct dynamic d = { .l = l, .file = file, .text = why, .len = sizeof(why) };
	u64 version = 0;
	size_t len = 0;
	int rc = conf_read_file(file, &text, &len);

	if (rc == -ENOMEM)
		return rc;
	if (rc) {
		snprintf(why, sizeof(why), "%.200s: %s", file, strerror(-rc));
		return wrong_at(l, DYNAMIC, why);
	}
	rc = props_parse(text, len, dynamic_entry, &d);
	if (!rc && d.servers) {
		l->servers = d.servers;
		more = realloc(text, len + 32);
		if (!more)
			rc = -ENOMEM;
		else
			text = more;
	}
	if (!rc && d.servers) {
		if (name_version(file, &version))
			len += snprintf(text + len, 32, "\n\nversion=%llx\n",
					(unsigned long long)version);
		*e = ensemble_parse(text, len, problem, sizeof(problem));
		if (!*e)
			snprintf(why, sizeof(why), "%.150s: %s", file, problem);
	}
	free(text);
	if (rc == -ENOMEM)
		return rc;
	return *why ? wrong_at(l, DYNAMIC, why) : 0;
}

/* With a dynamic file they must all be there. */
static int none_static(struct conf_load *l)
{
	int rc = 0;
	size_t i;

	for (i = 0; !rc && i < l->all->n; i++) {
		const char *key = conf_plain(l->all->list[i].key);

		if (!conf_is_member(key))
			continue;
		l->entry = &l->all->list[i];
		rc = conf_wrong(l, key, "must be in the file that " DYNAMIC " names");
	}
	l->entry = NULL;
	return rc;
}

/* ---------------------------------------------------------------- the own id */

int conf_read_myid(const struct config *cfg, s64 *id, char *why, size_t len)
{
	char path[PATH_MAX], text[64] = "", *end;
	FILE *f;

	snprintf(path, sizeof(path), "%s/myid", cfg->data_dir);
	f = fopen(path, "re");
	if (!f) {
		snprintf(why, len, "%.200s %s", path,
			 errno == ENOENT ? "is missing" : strerror(errno));
		return -errno;
	}
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	text[strcspn(text, "\r\n")] = '\0';
	errno = 0;
	*id = strtoll(text, &end, 10);
	if (!*text || *end || errno || text[0] == ' ' || text[0] == '\t') {
		snprintf(why, len, "%.200s holds no number: %.40s", path, text);
		return -EINVAL;
	}
	return 0;
}

/* ---------------------------------------------------------------- one server */

/* Without an ensemble a server's own line says at most where it listens. */
static int alone(struct conf_load *l, const struct ensemble *e)
{
	int rc = 0;

	if (e->n > ensemble_voters(e))
		return wrong_at(l, MEMBERS,
				"there are observers, but one participant alone is no ensemble (standaloneEnabled)");
	if (l->observer)
		rc = warn_at(l, "peerType", "one server by itself does not observe");
	if (!l->port_given && e->peers[0].client_port)
		l->cfg->client_port = e->peers[0].client_port;
	l->line_port = e->peers[0].client_port;
	return rc;
}

/* ---------------------------------------------------------------- an ensemble */

static int check_limit(struct conf_load *l, const char *key, u32 ticks)
{
	const struct conf_entry *e = conf_find(l, key);

	if (ticks > INT_MAX / l->cfg->tick_ms)
		return wrong_at(l, key, "so many ticks are too long");
	/* what is no number was told of */
	if (!ticks && (!e || !e->value[strspn(e->value, "+-0")]))
		return wrong_at(l, key, "is not set, or 0: an ensemble needs it");
	return 0;
}

static int check_members(struct conf_load *l, const struct ensemble *e)
{
	u32 voters = ensemble_voters(e), i;
	int rc = 0;

	if (voters <= 2)
		rc = warn_at(l, MEMBERS, "no server may fail: for that at least 3 must vote");
	else if (voters % 2 == 0)
		rc = warn_at(l, MEMBERS,
			     "an even number of voters stands no more failures than one voter less");
	for (i = 0; !rc && i < e->n; i++)
		if (e->peers[i].n_addrs > 1 && !l->cfg->multi_addr)
			return wrong_at(l, "multiAddress.enabled",
					"is not true, but there is a server with several addresses");
	return rc;
}

static bool is_any(const char *host)
{
	return !host || !strcmp(host, "0.0.0.0") || !strcmp(host, "::") ||
	       !strcmp(host, "0:0:0:0:0:0:0:0");
}

/* Two addresses, none of them a name, that are different. */
static bool differ(const char *a, const char *b)
{
	struct in6_addr x, y;
	int kind;

	for (kind = AF_INET; ; kind = AF_INET6) {
		if (inet_pton(kind, a, &x) == 1)
			return inet_pton(kind, b, &y) == 1 ?
			       memcmp(&x, &y, kind == AF_INET ? 4 : 16) :
			       inet_pton(kind == AF_INET ? AF_INET6 : AF_INET, b, &y) == 1;
		if (kind == AF_INET6)
			return false;
	}
}

/* Where this server listens: its line says, and clientPort must not say other things. */
static int client_address(struct conf_load *l, const struct peer *me)
{
	struct config *cfg = l->cfg;
	const char *host = me->client_host;
	int rc;

	if (!host)
		return 0;
	if (l->port_given && (cfg->client_port != me->client_port ||
			      (!is_any(cfg->client_addr) && differ(cfg->client_addr, host)))) {
		l->entry = conf_find(l, "clientPort");
		rc = conf_wrong(l, "clientPort", "not what server.%llu says: %.100s:%u, %.100s:%u",
				(unsigned long long)me->id, cfg->client_addr ?: "0.0.0.0",
				cfg->client_port, host, me->client_port);
		l->entry = NULL;
		return rc;
	}
	cfg->client_port = me->client_port;
	l->line_port = true;
	if (!is_any(host))
		return conf_set_str(&cfg->client_addr, host);
	free(cfg->client_addr);
	cfg->client_addr = NULL;
	return 0;
}

static int who_am_i(struct conf_load *l, struct ensemble *e)
{
	const struct peer *me;
	char why[400];
	s64 id = -1;
	int rc = conf_read_myid(l->cfg, &id, why, sizeof(why));

	if (rc)
		return conf_wrong(l, "myid", "%s", why);
	me = id < 0 ? NULL : ensemble_find(e, id);
	if (!me)
		return conf_wrong(l, "myid", "there is no line server.%lld", (long long)id);
	l->cfg->myid = id;
	if (l->peer_type && l->observer != me->observer)
		rc = warn_at(l, "peerType", me->observer ?
			     "is not what its server line says: observer" :
			     "is not what its server line says: participant");
	return rc ? rc : client_address(l, me);
}

static int together(struct conf_load *l, struct ensemble *e)
{
	int rc = check_members(l, e);

	if (!rc)
		rc = check_limit(l, "initLimit", l->cfg->init_limit);
	if (!rc)
		rc = check_limit(l, "syncLimit", l->cfg->sync_limit);
	if (!rc)
		rc = who_am_i(l, e);
	if (!rc)
		l->cfg->ensemble = ensemble_get(e);
	return rc;
}

/*
 * The one that was proposed before this server ended: whether it was agreed on it does not
 * know. What cannot be read is passed over.
 */
static int from_next(struct conf_load *l, const struct ensemble *now)
{
	char path[PATH_MAX], why[256], *text;
	struct ensemble *e;
	size_t len;
	int rc;

	if (!l->cfg->file)
		return 0;
	snprintf(path, sizeof(path), "%s" CONFIG_NEXT, l->cfg->file);
	rc = conf_read_file(path, &text, &len);
	if (rc)
		return rc == -ENOMEM ? rc : 0;
	e = ensemble_parse(text, len, why, sizeof(why));
	free(text);
	if (!e) {
		snprintf(path, sizeof(path), "%.150s" CONFIG_NEXT ": %.200s", l->cfg->file, why);
		return warn_at(l, DYNAMIC, path);
	}
	if (e->version > now->version)
		l->cfg->next_ensemble = e;
	else
		ensemble_put(e);
	return 0;
}

int conf_members(struct conf_load *l)
{
	const struct conf_entry *dynamic = conf_find(l, DYNAMIC);
	struct ensemble *e = NULL;
	int rc = 0;

	if (dynamic)
		rc = none_static(l);
	if (!rc && dynamic && !l->servers)
		rc = from_dynamic(l, dynamic->value, &e);
	else if (!rc && !dynamic && l->servers)
		rc = from_static(l, &e);
	if (rc)
		return rc;
	if (!e && !l->servers && !l->cfg->standalone_enabled)
		return wrong_at(l, "standaloneEnabled", "is false, but there is no server.N");
	if (!e && !l->servers && l->observer)
		return warn_at(l, "peerType", "one server by itself does not observe");
	if (!e)
		return 0;
	l->together = !l->cfg->standalone_enabled || ensemble_voters(e) > 1;
	rc = l->together ? together(l, e) : alone(l, e);
	if (!rc && l->together && dynamic && l->cfg->reconfig_enabled)
		rc = from_next(l, e);
	ensemble_put(e);
	return rc;
}
