// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zoo.cfg: which keys there are, their bounds and defaults, and what follows from
 * them (QuorumPeerConfig.parseProperties; for what ZooKeeper takes from system
 * properties, the class that reads it).
 */
#include <linux/types.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "daemon/base/conf_impl.h"
#include "daemon/disk/disk.h"

#define PURGE_RETAIN_MIN	3
#define UNSET		(-1)

#define AT(field)	offsetof(struct config, field)

/*
 * One row a key. To have a new one: its row here, its field in config.h, its default
 * in config_default() if that is not 0, its entry in zkernd(8); what it means together
 * with other keys in conf_settle(); and its row in conf_foreign.c goes.
 */
const struct conf_key conf_keys[] = {
	{ "dataDir", DIRECTORY, AT(data_dir), 0, 0 },
	{ "dataLogDir", DIRECTORY, AT(data_log_dir), 0, 0 },
	{ "clientPortAddress", STR, AT(client_addr), 0, 0 },
	{ "tickTime", NUM, AT(tick_ms), 1, INT_MAX / 20 },
	{ "minSessionTimeout", NUM, AT(min_session_ms), -1, INT_MAX },
	{ "maxSessionTimeout", NUM, AT(max_session_ms), -1, INT_MAX },
	{ "maxClientCnxns", NUM_LOW, AT(max_client_cnxns), 0, INT_MAX },
	{ "maxCnxns", NUM_LOW, AT(max_cnxns), 0, INT_MAX },
	{ "snapCount", NUM_LOW, AT(snap_count), 2, INT_MAX },
	{ "snapSizeLimitInKb", KIB, AT(snap_bytes), 0, 1LL << 40 },
	{ "preAllocSize", KIB, AT(prealloc_bytes), 0, 16 * 1024 * 1024 },
	{ "txnLogSizeLimitInKb", KIB, AT(log_bytes_max), 0, 1LL << 40 },
	{ "fsync.warningthresholdms", NUM, AT(fsync_warn_ms), 0, INT_MAX },
	{ "jute.maxbuffer", NUM, AT(max_buffer), 1024, 1024 * 1024 * 1024 },
	{ "globalOutstandingLimit", NUM, AT(global_outstanding), 1, INT_MAX },
	{ "autopurge.snapRetainCount", NUM_LOW, AT(purge_retain), PURGE_RETAIN_MIN, INT_MAX },
	{ "autopurge.purgeInterval", NUM_LOW, AT(purge_hours), 0, 24 * 365 * 100 },
	{ "forceSync", YES, AT(force_sync), 0, 0 },
	{ "digest.enabled", BOOL, AT(digest_enabled), 0, 0 },
	{ "extendedTypesEnabled", BOOL, AT(extended_types), 0, 0 },
	{ "skipACL", YES, AT(skip_acl), 0, 0 },
	{ "enforceQuota", BOOL, AT(enforce_quota), 0, 0 },
	{ "reconfigEnabled", BOOL, AT(reconfig_enabled), 0, 0 },
	{ "znode.container.checkIntervalMs", NUM, AT(container_check_ms), 1, INT_MAX },
	{ "znode.container.maxPerMinute", NUM, AT(container_per_minute), 1, INT_MAX },
	{ "znode.container.maxNeverUsedIntervalMs", NUM, AT(container_unused_ms), 0, INT_MAX },
	{ "snapshot.trust.empty", BOOL, AT(trust_empty), 0, 0 },
	{ "DigestAuthenticationProvider.superDigest", STR, AT(super_digest), 0, 0 },
	{ "4lw.commands.whitelist", STR, AT(fourlw_whitelist), 0, 0 },
	{ "zkern.roomWarningInKb", KIB, AT(room_warn_bytes), 0, 1LL << 40 },
	{ "zkern.trustGaps", BOOL, AT(trust_gaps), 0, 0 },
	{ "zkern.ioThreads", NUM, AT(io_threads), 0, 256 },
	{ "zkern.clientWatchLimitInKb", KIB, AT(watch_limit), 0, 1LL << 40 },

	{ "secureClientPort", LATER, 0, 0, 0 },
	{ "secureClientPortAddress", LATER, 0, 0, 0 },
	{ "admin.enableServer", BOOL, AT(admin_enable), 0, 0 },
	{ "admin.serverPort", NUM, AT(admin_port), 0, 65535 },
	{ "admin.serverAddress", STR, AT(admin_addr), 0, 0 },
	{ "admin.idleTimeout", NUM, AT(admin_idle_ms), 0, INT_MAX },
	{ "metricsProvider.httpPort", NUM, AT(metrics_port), 0, 65535 },
	{ "metricsProvider.httpHost", STR, AT(metrics_addr), 0, 0 },
	{ "metricsProvider.exportJvmInfo", BOOL, AT(process_info), 0, 0 },
	{ "audit.enable", LATER, 0, 0, 0 },
};
const size_t conf_n_keys = sizeof(conf_keys) / sizeof(conf_keys[0]);

/* ---------------------------------------------------------------- special keys */

static int set_port(struct conf_load *l, const char *key, const char *value)
{
	s64 v;

	if (conf_number(l, key, value, 0, 65535, &v)) {
		l->cfg->client_port = v;	/* 0: a free one, said when it serves */
		l->port_given = true;
	}
	return 0;
}

static int set_store(struct conf_load *l, const char *key, const char *value)
{
	if (strcmp(value, "auto") && strcmp(value, "kernel") && strcmp(value, "memory"))
		return conf_wrong(l, key, "not one of auto, kernel, memory: %.100s", value);
	return conf_set_str(&l->cfg->store, value);
}

static int set_instance(struct conf_load *l, const char *key, const char *value)
{
	s64 v;

	if (conf_number(l, key, value, 0, 255, &v))
		l->cfg->instance = v;
	return 0;
}

static int set_standalone(struct conf_load *l, const char *key, const char *value)
{
	conf_bool(l, key, value, "true", "false", &l->standalone);
	return 0;
}

/* SnapStream.StreamMode.fromString: what it does not know is "checked", not packed. */
static int set_packed(struct conf_load *l, const char *key, const char *value)
{
	l->cfg->snap_packed = FILE_PLAIN;
	if (!strcasecmp(value, "gz"))
		l->cfg->snap_packed = FILE_GZIP;
	else if (!strcasecmp(value, "snappy"))
		l->cfg->snap_packed = FILE_SNAPPY;
	else if (*value && strcasecmp(value, "checked") && strcasecmp(value, "none"))
		return conf_say(l, CONFIG_WARN, key,
				"neither gz nor snappy: %.100s; snapshots are not packed", value);
	return 0;
}

/* A path of our own; "/" would leave none for the commands' list. */
static int set_command_url(struct conf_load *l, const char *key, const char *value)
{
	size_t n = strlen(value);

	if (value[0] != '/' || n < 2 || n > 255 || value[n - 1] == '/')
		return conf_wrong(l, key, "not a path like /commands: %.100s", value);
	return conf_set_str(&l->cfg->admin_url, value);
}

static int set_metrics_provider(struct conf_load *l, const char *key, const char *value)
{
	static const char *const own[] = {
		"org.apache.zookeeper.metrics.impl.DefaultMetricsProvider",
		"org.apache.zookeeper.metrics.impl.NullMetricsProvider",
	};

	if (!strcmp(value, "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider")) {
		l->cfg->prometheus = true;
		return 0;
	}
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (!strcmp(value, own[i]))
			return 0;
	return conf_wrong(l, key, "no such class here: %.100s", value);
}

const struct conf_special conf_specials[] = {
	{ "admin.commandURL", set_command_url },
	{ "metricsProvider.className", set_metrics_provider },
	{ "clientPort", set_port },
	{ "snapshot.compression.method", set_packed },
	{ "standaloneEnabled", set_standalone },
	{ "zkern.store", set_store },
	{ "zkern.instance", set_instance },
};
const size_t conf_n_specials = sizeof(conf_specials) / sizeof(conf_specials[0]);

/* server.N=host:quorum:election[:role][;[address:]clientPort] */
int conf_server(struct conf_load *l, const char *key, const char *value)
{
	const char *port = strchr(value, ';'), *colon;
	s64 v;

	if (l->servers++)
		return conf_wrong(l, key, "ensembles are not supported by this version");
	if (strcasestr(value, ":observer"))
		return conf_wrong(l, key, "observers are not supported by this version");
	if (port) {
		colon = strrchr(port, ':');
		if (conf_number(l, key, colon ? colon + 1 : port + 1, 1, 65535, &v))
			l->server_port = v;
	}
	return 0;
}

/* ---------------------------------------------------------------- the whole */

void conf_unsettle(struct config *cfg)
{
	free(cfg->data_log_dir);
	cfg->data_log_dir = NULL;
	cfg->min_session_ms = UNSET;
	cfg->max_session_ms = UNSET;
}

int conf_settle(struct conf_load *l)
{
	struct config *cfg = l->cfg;
	int rc = 0;

	if (l->servers && !l->standalone)
		rc = conf_wrong(l, "standaloneEnabled",
				"ensembles are not supported by this version");
	if (l->server_port && !l->port_given)
		cfg->client_port = l->server_port;
	if (cfg->min_session_ms == (u32)UNSET)
		cfg->min_session_ms = cfg->tick_ms * 2;
	if (cfg->max_session_ms == (u32)UNSET)
		cfg->max_session_ms = cfg->tick_ms * 20;
	if (!rc && cfg->min_session_ms > cfg->max_session_ms)
		rc = conf_wrong(l, "minSessionTimeout", "larger than maxSessionTimeout: %u, %u",
				cfg->min_session_ms, cfg->max_session_ms);
	if (!rc && !cfg->data_log_dir)
		rc = conf_set_str(&cfg->data_log_dir, cfg->data_dir);
	return rc;
}

/* Where data goes when nobody says: the first that can be written, or made. */
static int default_dir(char **dir)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (!access("/var/lib/zkern", W_OK | X_OK) ||
	    (access("/var/lib/zkern", F_OK) && !access("/var/lib", W_OK | X_OK)))
		return conf_set_str(dir, "/var/lib/zkern");
	if (state && state[0] == '/')
		return asprintf(dir, "%s/zkern", state) < 0 ? -ENOMEM : 0;
	if (home && home[0] == '/')
		return asprintf(dir, "%s/.local/state/zkern", home) < 0 ? -ENOMEM : 0;
	return conf_set_str(dir, "/var/lib/zkern");
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
	cfg->fsync_warn_ms = 1000;
	cfg->room_warn_bytes = DISK_ROOM_AUTO;
	cfg->force_sync = true;
	cfg->digest_enabled = true;
	cfg->admin_enable = true;
	cfg->admin_port = 8080;
	cfg->admin_idle_ms = 30000;
	cfg->metrics_port = 7000;
	cfg->process_info = true;
	rc = default_dir(&cfg->data_dir);
	if (!rc)
		rc = conf_set_str(&cfg->data_log_dir, cfg->data_dir);
	if (!rc)
		rc = conf_set_str(&cfg->fourlw_whitelist, "srvr");
	if (!rc)
		rc = conf_set_str(&cfg->store, "auto");
	if (!rc)
		rc = conf_set_str(&cfg->admin_url, "/commands");
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
	free(cfg->admin_addr);
	free(cfg->admin_url);
	free(cfg->metrics_addr);
	free(cfg->initial);
	memset(cfg, 0, sizeof(*cfg));
}
