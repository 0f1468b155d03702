// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zoo.cfg: which keys there are, their bounds, and what follows from them
 * (QuorumPeerConfig.parseProperties; for what ZooKeeper takes from system
 * properties, the class that reads it).
 */
#include <linux/types.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "daemon/base/config.h"
#include "daemon/base/log.h"
#include "daemon/base/props.h"

#define CONFIG_FILE_MAX	(1024 * 1024)
#define PURGE_RETAIN_MIN	3
#define UNSET		(-1)

enum kind {
	STR,		/* char * */
	NUM,		/* u32, @min..@max */
	NUM_LOW,	/* u32; what is below @min becomes @min, with a warning */
	KIB,		/* u64 bytes, given in KiB; not positive: 0 */
	BOOL,		/* true, false */
	YES,		/* bool: yes, no */
	IDLE,		/* has a meaning only in an ensemble or for a JVM */
	LATER,		/* not in this version: said in a warning */
	REFUSE,		/* going on without it would be less safe than asked for */
};

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	s64 min;
	s64 max;
};

#define AT(field)	offsetof(struct config, field)

static const struct key keys[] = {
	{ "dataDir", STR, AT(data_dir), 0, 0 },
	{ "dataLogDir", STR, AT(data_log_dir), 0, 0 },
	{ "clientPortAddress", STR, AT(client_addr), 0, 0 },
	{ "tickTime", NUM, AT(tick_ms), 1, INT_MAX / 20 },
	{ "minSessionTimeout", NUM, AT(min_session_ms), -1, INT_MAX },
	{ "maxSessionTimeout", NUM, AT(max_session_ms), -1, INT_MAX },
	{ "maxClientCnxns", NUM_LOW, AT(max_client_cnxns), 0, INT_MAX },
	{ "maxCnxns", NUM_LOW, AT(max_cnxns), 0, INT_MAX },
	{ "snapCount", NUM_LOW, AT(snap_count), 2, INT_MAX },
	{ "snapSizeLimitInKb", KIB, AT(snap_bytes), 0, 1LL << 40 },
	{ "preAllocSize", KIB, AT(prealloc_bytes), 0, 16 * 1024 * 1024 },
	{ "jute.maxbuffer", NUM, AT(max_buffer), 1024, 1024 * 1024 * 1024 },
	{ "globalOutstandingLimit", NUM, AT(global_outstanding), 1, INT_MAX },
	{ "autopurge.snapRetainCount", NUM_LOW, AT(purge_retain), PURGE_RETAIN_MIN, INT_MAX },
	{ "autopurge.purgeInterval", NUM_LOW, AT(purge_hours), 0, 24 * 365 * 100 },
	{ "forceSync", YES, AT(force_sync), 0, 0 },
	{ "digest.enabled", BOOL, AT(digest_enabled), 0, 0 },
	{ "extendedTypesEnabled", BOOL, AT(extended_types), 0, 0 },
	{ "skipACL", YES, AT(skip_acl), 0, 0 },
	{ "znode.container.checkIntervalMs", NUM, AT(container_check_ms), 1, INT_MAX },
	{ "znode.container.maxPerMinute", NUM, AT(container_per_minute), 1, INT_MAX },
	{ "znode.container.maxNeverUsedIntervalMs", NUM, AT(container_unused_ms), 0, INT_MAX },
	{ "snapshot.trust.empty", BOOL, AT(trust_empty), 0, 0 },
	{ "DigestAuthenticationProvider.superDigest", STR, AT(super_digest), 0, 0 },
	{ "4lw.commands.whitelist", STR, AT(fourlw_whitelist), 0, 0 },
	{ "zkern.ioThreads", NUM, AT(io_threads), 0, 256 },
	{ "zkern.clientWatchLimitInKb", KIB, AT(watch_limit), 0, 1LL << 40 },

	{ "initLimit", IDLE, 0, 0, 0 },
	{ "syncLimit", IDLE, 0, 0, 0 },
	{ "connectToLearnerMasterLimit", IDLE, 0, 0, 0 },
	{ "electionAlg", IDLE, 0, 0, 0 },
	{ "electionPortBindRetry", IDLE, 0, 0, 0 },
	{ "quorumListenOnAllIPs", IDLE, 0, 0, 0 },
	{ "peerType", IDLE, 0, 0, 0 },
	{ "syncEnabled", IDLE, 0, 0, 0 },
	{ "cnxTimeout", IDLE, 0, 0, 0 },
	{ "leaderServes", IDLE, 0, 0, 0 },
	{ "standaloneEnabled", IDLE, 0, 0, 0 },
	{ "reconfigEnabled", IDLE, 0, 0, 0 },
	{ "localSessionsEnabled", IDLE, 0, 0, 0 },
	{ "localSessionsUpgradingEnabled", IDLE, 0, 0, 0 },
	{ "observerMasterPort", IDLE, 0, 0, 0 },
	{ "fsync.warningthresholdms", IDLE, 0, 0, 0 },
	{ "jvm.pause.monitor", IDLE, 0, 0, 0 },
	{ "jvm.pause.warn-threshold.ms", IDLE, 0, 0, 0 },
	{ "jvm.pause.info-threshold.ms", IDLE, 0, 0, 0 },
	{ "jvm.pause.sleep.time.ms", IDLE, 0, 0, 0 },
	{ "datadir.autocreate", IDLE, 0, 0, 0 },
	{ "db.autocreate", IDLE, 0, 0, 0 },
	{ "serverCnxnFactory", IDLE, 0, 0, 0 },
	{ "clientPortListenBacklog", IDLE, 0, 0, 0 },

	{ "secureClientPort", LATER, 0, 0, 0 },
	{ "secureClientPortAddress", LATER, 0, 0, 0 },
	{ "admin.enableServer", LATER, 0, 0, 0 },
	{ "admin.serverPort", LATER, 0, 0, 0 },
	{ "admin.serverAddress", LATER, 0, 0, 0 },
	{ "admin.commandURL", LATER, 0, 0, 0 },
	{ "metricsProvider.className", LATER, 0, 0, 0 },
	{ "metricsProvider.httpPort", LATER, 0, 0, 0 },
	{ "metricsProvider.httpHost", LATER, 0, 0, 0 },
	{ "enforceQuota", LATER, 0, 0, 0 },
	{ "audit.enable", LATER, 0, 0, 0 },

	{ "sessionRequireClientSASLAuth", REFUSE, 0, 0, 0 },
	{ "enforce.auth.enabled", REFUSE, 0, 0, 0 },
	{ "sslQuorum", REFUSE, 0, 0, 0 },
	{ "quorum.auth.enableSasl", REFUSE, 0, 0, 0 },
};

struct load {
	struct config *cfg;
	const char *file;
	char *why;
	size_t why_len;
	int servers;
	bool standalone;	/* standaloneEnabled */
	bool port_given;
	u16 server_port;	/* from server.N=...;port */
};

static int wrong(struct load *l, int line, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int wrong(struct load *l, int line, const char *key, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (line)
		snprintf(l->why, l->why_len, "%s:%d: %s: %s", l->file, line, key, text);
	else
		snprintf(l->why, l->why_len, "%s: %s: %s", l->file, key, text);
	return -EINVAL;
}

/* ---------------------------------------------------------------- values */

static int set_str(char **field, const char *value)
{
	char *s = strdup(value);

	if (!s)
		return -ENOMEM;
	free(*field);
	*field = s;
	return 0;
}

static int get_num(struct load *l, int line, const char *key, const char *value, s64 *v)
{
	char *end;

	errno = 0;
	*v = strtoll(value, &end, 10);
	if (!*value || *end || errno)
		return wrong(l, line, key, "not a number: %.100s", value);
	return 0;
}

static int get_bool(struct load *l, int line, const char *key, const char *value,
		    const char *yes, const char *no, bool *v)
{
	if (!strcasecmp(value, yes))
		*v = true;
	else if (!strcasecmp(value, no))
		*v = false;
	else
		return wrong(l, line, key, "neither %s nor %s: %.100s", yes, no, value);
	return 0;
}

static int set_num(struct load *l, int line, const struct key *k, const char *value)
{
	u32 *field = (u32 *)((char *)l->cfg + k->offset);
	s64 v;
	int rc = get_num(l, line, k->name, value, &v);

	if (rc)
		return rc;
	if (k->kind == NUM_LOW && v < k->min) {
		if (k->min)
			log_warn("%s:%d: %s: %lld is too low, taken as %lld", l->file, line,
				 k->name, v, k->min);
		v = k->min;
	}
	if (v < k->min || v > k->max)
		return wrong(l, line, k->name, "%lld is not in %lld to %lld", v, k->min, k->max);
	*field = v;
	return 0;
}

static int set_kib(struct load *l, int line, const struct key *k, const char *value)
{
	u64 *field = (u64 *)((char *)l->cfg + k->offset);
	s64 v;
	int rc = get_num(l, line, k->name, value, &v);

	if (rc)
		return rc;
	if (v > k->max)
		return wrong(l, line, k->name, "%lld is more than %lld", v, k->max);
	*field = v > 0 ? (u64)v * 1024 : 0;
	return 0;
}

static int set_key(struct load *l, int line, const struct key *k, const char *value)
{
	char *field = (char *)l->cfg + k->offset;
	bool on;
	int rc;

	switch (k->kind) {
	case STR:
		if (!*value)
			return wrong(l, line, k->name, "is empty");
		return set_str((char **)field, value);
	case NUM:
	case NUM_LOW:
		return set_num(l, line, k, value);
	case KIB:
		return set_kib(l, line, k, value);
	case BOOL:
		return get_bool(l, line, k->name, value, "true", "false", (bool *)field);
	case YES:
		return get_bool(l, line, k->name, value, "yes", "no", (bool *)field);
	case LATER:
		if (!strcasecmp(value, "false"))
			return 0;
		log_warn("%s:%d: %s: has no effect in this version", l->file, line, k->name);
		return 0;
	case REFUSE:
		rc = get_bool(l, line, k->name, value, "true", "false", &on);
		if (!rc && on)
			rc = wrong(l, line, k->name, "not supported by this version");
		return rc;
	case IDLE:
		break;
	}
	return 0;
}

/* ---------------------------------------------------------------- special keys */

static int set_port(struct load *l, int line, const char *key, const char *value)
{
	s64 v;
	int rc = get_num(l, line, key, value, &v);

	if (rc)
		return rc;
	if (v < 0 || v > 65535)
		return wrong(l, line, key, "%lld is not a port", v);
	l->cfg->client_port = v;	/* 0: a free one, said when it serves */
	l->port_given = true;
	return 0;
}

/* server.N=host:quorum:election[:role][;[address:]clientPort] */
static int add_server(struct load *l, int line, const char *key, const char *value)
{
	const char *port = strchr(value, ';');
	s64 v;
	int rc;

	if (++l->servers > 1)
		return wrong(l, line, key, "ensembles are not supported by this version");
	if (strcasestr(value, ":observer"))
		return wrong(l, line, key, "observers are not supported by this version");
	if (port) {
		const char *colon = strrchr(port, ':');

		rc = get_num(l, line, key, colon ? colon + 1 : port + 1, &v);
		if (rc)
			return rc;
		if (v < 1 || v > 65535)
			return wrong(l, line, key, "%lld is not a port", v);
		l->server_port = v;
	}
	return 0;
}

static int set_store(struct load *l, int line, const char *key, const char *value)
{
	if (strcmp(value, "auto") && strcmp(value, "kernel") && strcmp(value, "memory"))
		return wrong(l, line, key, "not one of auto, kernel, memory: %.100s", value);
	return set_str(&l->cfg->store, value);
}

static int set_instance(struct load *l, int line, const char *key, const char *value)
{
	s64 v;
	int rc = get_num(l, line, key, value, &v);

	if (rc)
		return rc;
	if (v < 0 || v > 255)
		return wrong(l, line, key, "%lld is not in 0 to 255", v);
	l->cfg->instance = v;
	return 0;
}

static bool has_prefix(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

static int one_key(void *arg, int line, char *key, char *value)
{
	struct load *l = arg;
	size_t i;

	if (has_prefix(key, "zookeeper."))
		key += strlen("zookeeper.");
	if (!strcmp(key, "clientPort"))
		return set_port(l, line, key, value);
	if (!strcmp(key, "zkern.store"))
		return set_store(l, line, key, value);
	if (!strcmp(key, "zkern.instance"))
		return set_instance(l, line, key, value);
	if (has_prefix(key, "server."))
		return add_server(l, line, key, value);
	if (!strcmp(key, "dynamicConfigFile") || has_prefix(key, "group.") ||
	    has_prefix(key, "weight."))
		return wrong(l, line, key, "ensembles are not supported by this version");
	if (!strcmp(key, "standaloneEnabled"))
		return get_bool(l, line, key, value, "true", "false", &l->standalone);
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!strcmp(key, keys[i].name))
			return set_key(l, line, &keys[i], value);
	}
	log_warn("%s:%d: unknown key %.100s: ignored", l->file, line, key);
	return 0;
}

/* ---------------------------------------------------------------- the whole */

/* What one key's value says about another's. */
static int settle(struct load *l)
{
	struct config *cfg = l->cfg;

	if (l->servers && !l->standalone)
		return wrong(l, 0, "standaloneEnabled",
			     "ensembles are not supported by this version");
	if (l->server_port && !l->port_given)
		cfg->client_port = l->server_port;
	if (cfg->min_session_ms == (u32)UNSET)
		cfg->min_session_ms = cfg->tick_ms * 2;
	if (cfg->max_session_ms == (u32)UNSET)
		cfg->max_session_ms = cfg->tick_ms * 20;
	if (cfg->min_session_ms > cfg->max_session_ms)
		return wrong(l, 0, "minSessionTimeout", "larger than maxSessionTimeout");
	if (!cfg->data_log_dir)
		return set_str(&cfg->data_log_dir, cfg->data_dir);
	return 0;
}

static int read_file(const char *file, char **text, size_t *len)
{
	FILE *f = fopen(file, "re");
	char *b;
	int rc = 0;

	if (!f)
		return -errno;
	b = malloc(CONFIG_FILE_MAX + 1);
	if (!b) {
		fclose(f);
		return -ENOMEM;
	}
	*len = fread(b, 1, CONFIG_FILE_MAX + 1, f);
	if (ferror(f))
		rc = errno ? -errno : -EIO;
	else if (*len > CONFIG_FILE_MAX)
		rc = -EFBIG;
	fclose(f);
	if (rc)
		free(b);
	else
		*text = b;
	return rc;
}

int config_load(struct config *cfg, const char *file, char *why, size_t why_len)
{
	struct load l = {
		.cfg = cfg, .file = file, .why = why, .why_len = why_len, .standalone = true,
	};
	size_t len = 0;
	char *text = NULL;
	int rc, line;

	rc = read_file(file, &text, &len);
	if (rc) {
		snprintf(why, why_len, "%s: %s", file, strerror(-rc));
		return rc;
	}
	/* what is derived is derived anew */
	free(cfg->data_log_dir);
	cfg->data_log_dir = NULL;
	cfg->min_session_ms = UNSET;
	cfg->max_session_ms = UNSET;
	why[0] = '\0';
	rc = props_parse(text, len, &line, one_key, &l);
	free(text);
	if (!rc)
		rc = settle(&l);
	if (rc && !why[0])
		snprintf(why, why_len, "%s:%d: %s", file, line,
			 rc == -ENOMEM ? "out of memory" : "malformed");
	return rc;
}

/* Where data goes when nobody says: the first that can be written, or made. */
static int default_dir(char **dir)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (!access("/var/lib/zkern", W_OK | X_OK) ||
	    (access("/var/lib/zkern", F_OK) && !access("/var/lib", W_OK | X_OK)))
		return set_str(dir, "/var/lib/zkern");
	if (state && state[0] == '/')
		return asprintf(dir, "%s/zkern", state) < 0 ? -ENOMEM : 0;
	if (home && home[0] == '/')
		return asprintf(dir, "%s/.local/state/zkern", home) < 0 ? -ENOMEM : 0;
	return set_str(dir, "/var/lib/zkern");
}

int config_default(struct config *cfg)
{
	int rc;

	memset(cfg, 0, sizeof(*cfg));
	cfg->client_port = 2181;
	cfg->tick_ms = 3000;
	cfg->min_session_ms = 2 * 3000;
	cfg->max_session_ms = 20 * 3000;
	cfg->max_client_cnxns = 60;
	cfg->snap_count = 100000;
	cfg->snap_bytes = 4ULL << 30;
	cfg->prealloc_bytes = 64 << 20;
	cfg->max_buffer = 0xfffff;
	cfg->global_outstanding = 1000;
	cfg->container_check_ms = 60000;
	cfg->container_per_minute = 10000;
	cfg->watch_limit = 256ULL << 20;
	cfg->purge_retain = PURGE_RETAIN_MIN;
	cfg->force_sync = true;
	cfg->digest_enabled = true;
	rc = default_dir(&cfg->data_dir);
	if (!rc)
		rc = set_str(&cfg->data_log_dir, cfg->data_dir);
	if (!rc)
		rc = set_str(&cfg->fourlw_whitelist, "srvr");
	if (!rc)
		rc = set_str(&cfg->store, "auto");
	if (rc)
		config_free(cfg);
	return rc;
}

void config_free(struct config *cfg)
{
	free(cfg->data_dir);
	free(cfg->data_log_dir);
	free(cfg->client_addr);
	free(cfg->super_digest);
	free(cfg->fourlw_whitelist);
	free(cfg->store);
	memset(cfg, 0, sizeof(*cfg));
}
