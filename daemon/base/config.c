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
#include "daemon/base/log.h"
#include "daemon/disk/disk.h"
#include "daemon/zab/ensemble.h"

#define PURGE_RETAIN_MIN	3
#define COMMIT_LOG_MIN	500
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
	{ "clientPortListenBacklog", NUM, AT(listen_backlog), -1, INT_MAX },
	{ "clientTcpKeepAlive", BOOL, AT(tcp_keepalive), 0, 0 },
	{ "nio.sessionlessCnxnTimeout", NUM, AT(sessionless_ms), 1, INT_MAX },
	{ "largeRequestThreshold", NUM, AT(large_threshold), -1, INT_MAX },
	{ "largeRequestMaxBytes", NUM, AT(large_max), 1, INT_MAX },
	{ "request_throttle_max_requests", NUM, AT(throttle_max), 0, INT_MAX },
	{ "request_throttle_drop_stale", BOOL, AT(throttle_drop_stale), 0, 0 },
	{ "request_stale_latency_check", BOOL, AT(stale_latency), 0, 0 },
	{ "throttled_op_wait_time", NUM, AT(throttle_wait_ms), 0, INT_MAX },
	{ "connection_throttle_tokens", NUM, AT(connect_tokens), 0, INT_MAX / 16 },
	{ "connection_throttle_fill_time", NUM, AT(connect_fill_ms), 1, INT_MAX },
	{ "connection_throttle_fill_count", NUM, AT(connect_fill_count), 0, INT_MAX / 16 },
	{ "connection_throttle_freeze_time", NUM, AT(connect_freeze_ms), -1, INT_MAX },
	{ "connection_throttle_drop_increase", SHARE, AT(connect_drop_increase), 0, 1 },
	{ "connection_throttle_drop_decrease", SHARE, AT(connect_drop_decrease), 0, 1 },
	{ "connection_throttle_decrease_ratio", SHARE, AT(connect_decrease_ratio), 0, 1 },
	{ "connection_throttle_weight_enabled", BOOL, AT(connect_weighed), 0, 0 },
	{ "connection_throttle_local_session_weight", NUM, AT(connect_weight_local), 1, 16 },
	{ "connection_throttle_global_session_weight", NUM, AT(connect_weight_new), 1, 16 },
	{ "connection_throttle_renew_session_weight", NUM, AT(connect_weight_renew), 1, 16 },
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
	{ "initLimit", NUM, AT(init_limit), 0, INT_MAX },
	{ "syncLimit", NUM, AT(sync_limit), 0, INT_MAX },
	{ "connectToLearnerMasterLimit", NUM_LOW, AT(connect_limit), 0, INT_MAX },
	{ "leader.maxConcurrentSnapSyncs", NUM, AT(snap_syncs), 1, INT_MAX },
	{ "leader.maxConcurrentDiffSyncs", NUM, AT(diff_syncs), 1, INT_MAX },
	{ "forceSnapshotSync", BOOL, AT(force_snap), 0, 0 },
	{ "leader.ackLoggingFrequency", NUM_LOW, AT(tell_acks), 0, INT_MAX },
	{ "cnxTimeout", NUM, AT(cnx_timeout_ms), 1, INT_MAX },
	{ "electionPortBindRetry", NUM, AT(bind_tries), 0, INT_MAX },
	{ "quorumListenOnAllIPs", BOOL, AT(quorum_listen_all), 0, 0 },
	{ "leaderServes", YES, AT(leader_serves), 0, 0 },
	{ "observerMasterPort", NUM_LOW, AT(observer_port), 0, 65535 },
	{ "observerMaster.sizeLimit", NUM_LOW, AT(observer_queue), 0, INT_MAX },
	{ "observer.reconnectDelayMs", NUM_LOW, AT(reconnect_delay_ms), 0, INT_MAX },
	{ "observer.election.DelayMs", NUM_LOW, AT(election_delay_ms), 0, INT_MAX },
	{ "testingonly.initialZxid", NUM, AT(first_count), 0, 0xfffffffeLL },
	{ "commitLogCount", NUM_LOW, AT(commit_log_count), COMMIT_LOG_MIN, INT_MAX },
	{ "localSessionsEnabled", BOOL, AT(local_sessions), 0, 0 },
	{ "localSessionsUpgradingEnabled", BOOL, AT(local_upgrade), 0, 0 },
	{ "readonlymode.enabled", BOOL, AT(readonly_mode), 0, 0 },
	{ "multiAddress.enabled", BOOL, AT(multi_addr), 0, 0 },
	{ "multiAddress.reachabilityCheckEnabled", BOOL, AT(reach_check), 0, 0 },
	{ "multiAddress.reachabilityCheckTimeoutMs", NUM, AT(reach_ms), 1, INT_MAX },
	{ "zkern.roomWarningInKb", KIB, AT(room_warn_bytes), 0, 1LL << 40 },
	{ "zkern.trustGaps", BOOL, AT(trust_gaps), 0, 0 },
	{ "zkern.trustFollowers", YES, AT(trust_followers), 0, 0 },
	{ "zkern.ioThreads", NUM, AT(io_threads), 0, 256 },
	{ "zkern.clientWatchLimitInKb", KIB, AT(watch_limit), 0, 1LL << 40 },
	{ "zkern.linearizableReads", YES, AT(linearizable_reads), 0, 0 },
	{ "zkern.deviceSessionTimeout", NUM, AT(device_session_ms), 0, INT_MAX },
	{ "zkern.logFile", DIRECTORY, AT(log_file), 0, 0 },
	{ "audit.enable", BOOL, AT(audit), 0, 0 },
	{ "zkern.auditFile", DIRECTORY, AT(audit_file), 0, 0 },
	{ "admin.enableServer", BOOL, AT(admin_enable), 0, 0 },
	{ "admin.serverPort", NUM, AT(admin_port), 0, 65535 },
	{ "admin.serverAddress", STR, AT(admin_addr), 0, 0 },
	{ "admin.idleTimeout", NUM, AT(admin_idle_ms), 0, INT_MAX },
	{ "metricsProvider.httpPort", NUM, AT(metrics_port), 0, 65535 },
	{ "metricsProvider.httpHost", STR, AT(metrics_addr), 0, 0 },
	{ "metricsProvider.exportJvmInfo", BOOL, AT(process_info), 0, 0 },
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

static int set_secure_port(struct conf_load *l, const char *key, const char *value)
{
	s64 v;

	/* without a plain port the default one would be opened in its place */
	if (!conf_number(l, key, value, 0, 65535, &v) || !v)
		return 0;
	if (conf_find(l, "clientPort"))
		return conf_say(l, CONFIG_WARN, key,
				"ignored: TLS is not supported by this version");
	return conf_wrong(l, key,
			  "TLS is not supported by this version, and there is no clientPort");
}

/* The index of @value in @words, which end in NULL; reported if it is none of them. */
static int one_of(struct conf_load *l, const char *key, const char *value,
		  const char *const *words)
{
	char all[128] = "";
	int i;

	for (i = 0; words[i]; i++) {
		if (!strcasecmp(value, words[i]))
			return i;
		snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? ", " : "",
			 words[i]);
	}
	conf_wrong(l, key, "not one of %s: %.100s", all, value);
	return -1;
}

static int set_store(struct conf_load *l, const char *key, const char *value)
{
	static const char *const words[] = { "auto", "kernel", "memory", NULL };
	int i = one_of(l, key, value, words);

	return i < 0 ? 0 : conf_set_str(&l->cfg->store, words[i]);
}

static int set_instance(struct conf_load *l, const char *key, const char *value)
{
	s64 v;

	if (conf_number(l, key, value, 0, 255, &v))
		l->cfg->instance = v;
	return 0;
}

static int set_peer_type(struct conf_load *l, const char *key, const char *value)
{
	static const char *const words[] = { "participant", "observer", NULL };
	int i = one_of(l, key, value, words);

	l->peer_type = i >= 0;
	l->observer = i == 1;
	return 0;
}

static int set_dynamic(struct conf_load *l, const char *key, const char *value)
{
	if (!*value)
		return conf_wrong(l, key, "is empty");
	return conf_set_str(&l->cfg->dynamic_file, value);
}

static int set_standalone(struct conf_load *l, const char *key, const char *value)
{
	conf_bool(l, key, value, "true", "false", &l->cfg->standalone_enabled);
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

static int set_log_level(struct conf_load *l, const char *key, const char *value)
{
	int i = one_of(l, key, value, log_level_names);

	if (i >= 0)
		l->cfg->log_level = i;
	return 0;
}

static int set_audit_full(struct conf_load *l, const char *key, const char *value)
{
	static const char *const words[] = { "drop", "stall", NULL };
	int i = one_of(l, key, value, words);

	if (i >= 0)
		l->cfg->audit_stall = i;
	return 0;
}

static int set_audit_class(struct conf_load *l, const char *key, const char *value)
{
	if (strcmp(value, "org.apache.zookeeper.audit.Slf4jAuditLogger"))
		return conf_wrong(l, key, "no classes are loaded: %.200s", value);
	return 0;
}

/* "super:" and the digest, as DigestAuthenticationProvider.generateDigest() makes it. */
static int set_super(struct conf_load *l, const char *key, const char *value)
{
	const char *colon = strchr(value, ':');
	int err = 0;

	if (!colon || strlen(colon + 1) != 28 || value[strlen(value) - 1] != '=')
		err = conf_say(l, CONFIG_WARN, key,
			       "is not NAME:BASE64(SHA1(NAME:PASSWORD)): nobody can be that user");
	return err ?: conf_set_str(&l->cfg->super_digest, value);
}

static bool is_word(const char *s, size_t n)
{
	static const char words[] = "conf cons crst dirs dump envi gtmk hash isro mntr ruok "
				    "srst srvr stat stmk wchc wchp wchs ";
	char word[6];

	if (n == 1)
		return *s == '*';
	if (n != 4)
		return false;
	snprintf(word, sizeof(word), "%.4s ", s);
	return strstr(words, word);
}

/* FourLetterCommands.isEnabled: words between commas, blanks around them. */
static int set_words(struct conf_load *l, const char *key, const char *value)
{
	const char *s = value;
	int rc = 0;

	while (!rc && *s) {
		size_t n;

		s += strspn(s, " \t,");
		n = strcspn(s, " \t,");
		if (n && !is_word(s, n))
			rc = conf_say(l, CONFIG_WARN, key, "there is no four-letter word %.*s",
				      n > 40 ? 40 : (int)n, s);
		s += n;
	}
	return rc ? rc : conf_set_str(&l->cfg->fourlw_whitelist, value);
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
	{ "secureClientPort", set_secure_port },
	{ "standaloneEnabled", set_standalone },
	{ "peerType", set_peer_type },
	{ "dynamicConfigFile", set_dynamic },
	{ "DigestAuthenticationProvider.superDigest", set_super },
	{ "4lw.commands.whitelist", set_words },
	{ "audit.impl.class", set_audit_class },
	{ "zkern.store", set_store },
	{ "zkern.instance", set_instance },
	{ "zkern.logLevel", set_log_level },
	{ "zkern.auditFull", set_audit_full },
};
const size_t conf_n_specials = sizeof(conf_specials) / sizeof(conf_specials[0]);

/* ---------------------------------------------------------------- the whole */

void conf_unsettle(struct config *cfg)
{
	free(cfg->data_log_dir);
	cfg->data_log_dir = NULL;
	cfg->min_session_ms = UNSET;
	cfg->max_session_ms = UNSET;
}

/* Ports that one server cannot have twice; whoever takes no part has none. */
static int settle_ports(struct conf_load *l)
{
	static const char *const names[] = {
		"clientPort", "secureClientPort", "admin.serverPort",
		"metricsProvider.httpPort", "observerMasterPort",
	};
	const struct conf_entry *a, *b;
	size_t i, k;
	int rc = 0;

	for (i = 0; !rc && i < sizeof(names) / sizeof(names[0]); i++) {
		a = conf_find(l, names[i]);
		if (!a || atoi(a->value) <= 0)
			continue;
		for (k = 0; !rc && k < i; k++) {
			b = conf_find(l, names[k]);
			if (!b || atoi(a->value) != atoi(b->value))
				continue;
			l->entry = a;
			rc = conf_wrong(l, names[i], "the same port as %s: %d", names[k],
					atoi(a->value));
		}
	}
	l->entry = NULL;
	return rc;
}

/* @key, if it is there, does nothing without @needs. */
static int settle_needs(struct conf_load *l, const char *key, const char *needs)
{
	const struct conf_entry *e = conf_find(l, key);
	int rc;

	if (!e || conf_find(l, needs))
		return 0;
	l->entry = e;
	rc = conf_say(l, CONFIG_NOTE, key, "has no effect without %s", needs);
	l->entry = NULL;
	return rc;
}

static int note_at(struct conf_load *l, const char *key, const char *text)
{
	int rc;

	l->entry = conf_find(l, key);
	rc = conf_say(l, CONFIG_NOTE, key, "%s", text);
	l->entry = NULL;
	return rc;
}

static int settle_rest(struct conf_load *l)
{
	struct config *cfg = l->cfg;
	int rc = 0;

	if (!conf_find(l, "dataDir"))
		rc = conf_say(l, CONFIG_NOTE, "dataDir", "is not set: %.200s", cfg->data_dir);
	if (!rc && !l->port_given && !l->line_port)
		rc = conf_say(l, CONFIG_NOTE, "clientPort", "is not set: %u", cfg->client_port);
	if (!rc)
		rc = settle_needs(l, "clientPortAddress", "clientPort");
	if (!rc)
		rc = settle_needs(l, "autopurge.snapRetainCount", "autopurge.purgeInterval");
	if (!rc)
		rc = settle_needs(l, "zkern.auditFile", "audit.enable");
	if (!rc)
		rc = settle_needs(l, "localSessionsUpgradingEnabled", "localSessionsEnabled");
	if (!rc && l->together && cfg->reconfig_enabled && !cfg->super_digest && !cfg->skip_acl)
		rc = note_at(l, "reconfigEnabled",
			     "nobody may change the members, without superDigest or skipACL");
	if (!rc && !l->together && cfg->reconfig_enabled)
		rc = note_at(l, "reconfigEnabled", "has no effect on a server that is alone");
	if (!rc && cfg->max_cnxns && cfg->max_client_cnxns > cfg->max_cnxns)
		rc = conf_say(l, CONFIG_NOTE, "maxClientCnxns",
			      "%u of one address are more than the %u of maxCnxns",
			      cfg->max_client_cnxns, cfg->max_cnxns);
	return rc;
}

int conf_settle(struct conf_load *l)
{
	struct config *cfg = l->cfg;
	int rc;

	rc = conf_members(l);
	if (cfg->min_session_ms == (u32)UNSET)
		cfg->min_session_ms = cfg->tick_ms * 2;
	if (cfg->max_session_ms == (u32)UNSET)
		cfg->max_session_ms = cfg->tick_ms * 20;
	l->entry = conf_find(l, "minSessionTimeout");
	if (!rc && cfg->min_session_ms > cfg->max_session_ms)
		rc = conf_wrong(l, "minSessionTimeout", "larger than maxSessionTimeout: %u, %u",
				cfg->min_session_ms, cfg->max_session_ms);
	l->entry = NULL;
	if (!rc)
		rc = settle_ports(l);
	if (!rc)
		rc = settle_rest(l);
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
	cfg->listen_backlog = -1;
	cfg->sessionless_ms = 10000;
	cfg->large_threshold = -1;
	cfg->large_max = 100 << 20;
	cfg->throttle_drop_stale = true;
	cfg->connect_fill_ms = 1;
	cfg->connect_fill_count = 1;
	cfg->connect_freeze_ms = -1;
	cfg->connect_drop_increase = 0.02;
	cfg->connect_drop_decrease = 0.002;
	cfg->connect_weight_local = 1;
	cfg->connect_weight_new = 3;
	cfg->connect_weight_renew = 2;
	cfg->purge_retain = PURGE_RETAIN_MIN;
	cfg->fsync_warn_ms = 1000;
	cfg->room_warn_bytes = DISK_ROOM_AUTO;
	cfg->force_sync = true;
	cfg->digest_enabled = true;
	cfg->log_level = LOG_INFO;
	cfg->admin_enable = true;
	cfg->admin_port = 8080;
	cfg->admin_idle_ms = 30000;
	cfg->metrics_port = 7000;
	cfg->process_info = true;
	cfg->snap_syncs = 10;
	cfg->diff_syncs = 100;
	cfg->tell_acks = 1000;
	cfg->cnx_timeout_ms = 5000;
	cfg->bind_tries = 3;
	cfg->reach_check = true;
	cfg->reach_ms = 1000;
	cfg->leader_serves = true;
	cfg->election_delay_ms = 200;
	cfg->standalone_enabled = true;
	cfg->commit_log_count = COMMIT_LOG_MIN;
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
	free(cfg->log_file);
	free(cfg->audit_file);
	free(cfg->admin_addr);
	free(cfg->admin_url);
	free(cfg->metrics_addr);
	free(cfg->initial);
	free(cfg->dynamic_file);
	free(cfg->file);
	ensemble_put(cfg->ensemble);
	ensemble_put(cfg->next_ensemble);
	memset(cfg, 0, sizeof(*cfg));
}
