/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zoo.cfg: Java properties as ZooKeeper reads them (QuorumPeerConfig.java).
 * Unknown keys are named in a warning and otherwise ignored; wrong values are
 * errors naming file, line and key. Immutable after start.
 */
#ifndef ZKD_BASE_CONFIG_H
#define ZKD_BASE_CONFIG_H

#include <linux/types.h>
#include <stdio.h>

struct ensemble;

struct config {
	char *data_dir;			/* dataDir; default: see config_default() */
	char *data_log_dir;		/* dataLogDir or data_dir */
	char *client_addr;		/* clientPortAddress, NULL: any */
	u16 client_port;		/* clientPort, 2181; 0: any that is free */
	u32 tick_ms;			/* tickTime, 3000 */
	u32 min_session_ms;		/* minSessionTimeout, 2 ticks */
	u32 max_session_ms;		/* maxSessionTimeout, 20 ticks */
	u32 max_client_cnxns;		/* maxClientCnxns per address, 60; 0: no bound */
	u32 max_cnxns;			/* maxCnxns, all; 0: no bound */
	u32 snap_count;			/* snapCount, 100000 */
	u64 snap_bytes;			/* snapSizeLimitInKb, 4 GiB */
	u64 prealloc_bytes;		/* preAllocSize in KiB, 64 MiB */
	u64 log_bytes_max;		/* txnLogSizeLimitInKb, 0: none */
	u32 snap_packed;		/* snapshot.compression.method: enum file_how */
	u32 fsync_warn_ms;		/* fsync.warningthresholdms, 1000 */
	u32 max_buffer;			/* jute.maxbuffer, 0xfffff */
	u32 global_outstanding;		/* globalOutstandingLimit, 1000 */
	s32 listen_backlog;		/* clientPortListenBacklog, -1: the system's most */
	bool tcp_keepalive;		/* clientTcpKeepAlive */
	u32 sessionless_ms;		/* nio.sessionlessCnxnTimeout, 10000 */
	s32 large_threshold;		/* largeRequestThreshold, bytes; -1: none is large */
	u32 large_max;			/* largeRequestMaxBytes, of all large ones, 100 MiB */
	u32 throttle_max;		/* request_throttle_max_requests, 0: no bound */
	u32 throttle_wait_ms;		/* throttled_op_wait_time, 0: for ever */
	bool throttle_drop_stale;	/* request_throttle_drop_stale, true */
	bool stale_latency;		/* request_stale_latency_check */
	/* connection_throttle_*: tokens (0: no bound), _fill_time in ms, _fill_count,
	 * _freeze_time in ms (-1: nothing by chance), _drop_increase, _drop_decrease,
	 * _decrease_ratio, _weight_enabled, _{local,global,renew}_session_weight */
	u32 connect_tokens;
	u32 connect_fill_ms;
	u32 connect_fill_count;
	s32 connect_freeze_ms;
	double connect_drop_increase;
	double connect_drop_decrease;
	double connect_decrease_ratio;
	bool connect_weighed;
	u32 connect_weight_local;
	u32 connect_weight_new;
	u32 connect_weight_renew;
	u32 purge_retain;		/* autopurge.snapRetainCount, 3 */
	u32 purge_hours;		/* autopurge.purgeInterval, 0: never */
	bool force_sync;		/* forceSync */
	bool digest_enabled;		/* zookeeper.digest.enabled */
	bool extended_types;		/* extendedTypesEnabled: TTL nodes */
	bool skip_acl;			/* skipACL */
	bool enforce_quota;		/* enforceQuota */
	bool reconfig_enabled;		/* reconfigEnabled */
	bool trust_empty;		/* snapshot.trust.empty */
	u32 container_check_ms;		/* znode.container.checkIntervalMs, 60000 */
	u32 container_per_minute;	/* znode.container.maxPerMinute, 10000 */
	u32 container_unused_ms;	/* znode.container.maxNeverUsedIntervalMs, 0: keep */
	char *super_digest;		/* DigestAuthenticationProvider.superDigest */
	char *fourlw_whitelist;		/* 4lw.commands.whitelist, "srvr" */
	bool admin_enable;		/* admin.enableServer, true */
	u32 admin_port;			/* admin.serverPort, 8080; 0: any that is free */
	char *admin_addr;		/* admin.serverAddress, NULL: any */
	char *admin_url;		/* admin.commandURL, "/commands" */
	u32 admin_idle_ms;		/* admin.idleTimeout, 30000 */
	bool prometheus;		/* metricsProvider.className: PrometheusMetricsProvider */
	u32 metrics_port;		/* metricsProvider.httpPort, 7000; 0: any that is free */
	char *metrics_addr;		/* metricsProvider.httpHost, NULL: any */
	bool process_info;		/* metricsProvider.exportJvmInfo, true */
	char *initial;			/* the file as it was read; NULL: none */
	/* what makes an ensemble; the limits are in ticks */
	struct ensemble *ensemble;	/* server.N, group.N, weight.N, here or in
					 * dynamicConfigFile; a reference. NULL: one server
					 * by itself */
	u64 myid;			/* the file dataDir/myid, 0 without it; one of ensemble's */
	u32 init_limit;			/* initLimit, > 0 with an ensemble */
	u32 sync_limit;			/* syncLimit, > 0 with an ensemble */
	u32 connect_limit;		/* connectToLearnerMasterLimit; 0: initLimit */
	u32 snap_syncs;			/* leader.maxConcurrentSnapSyncs, 10 */
	u32 diff_syncs;			/* leader.maxConcurrentDiffSyncs, 100 */
	bool trust_followers;		/* zkern.trustFollowers */
	bool force_snap;		/* forceSnapshotSync */
	u32 tell_acks;			/* leader.ackLoggingFrequency, 1000; 0: none */
	u32 cnx_timeout_ms;		/* cnxTimeout, 5000 */
	u32 bind_tries;			/* electionPortBindRetry, 3; 0: for ever */
	bool quorum_listen_all;		/* quorumListenOnAllIPs */
	bool leader_serves;		/* leaderServes, true */
	u32 observer_port;		/* observerMasterPort; 0: observers go to the leader */
	u32 observer_queue;		/* observerMaster.sizeLimit: bytes of transactions kept for
					 * observers; 0: as many as a leader keeps */
	u32 reconnect_delay_ms;		/* observer.reconnectDelayMs, 0 */
	u32 election_delay_ms;		/* observer.election.DelayMs, 200 */
	bool multi_addr;		/* multiAddress.enabled */
	bool reach_check;		/* multiAddress.reachabilityCheckEnabled, true */
	u32 reach_ms;			/* multiAddress.reachabilityCheckTimeoutMs, 1000 */
	u32 commit_log_count;		/* commitLogCount, 500 */
	u32 first_count;		/* testingonly.initialZxid: see struct zab_params */
	bool readonly_mode;		/* readonlymode.enabled */
	bool local_sessions;		/* localSessionsEnabled */
	bool local_upgrade;		/* localSessionsUpgradingEnabled */
	char *dynamic_file;		/* dynamicConfigFile; NULL: none */
	struct ensemble *next_ensemble;	/* proposed, when it last ran (FILE.dynamic.next), if
					 * later than ensemble; a reference. NULL: none */
	bool standalone_enabled;	/* standaloneEnabled, true */
	char *file;			/* where it was read from; NULL: no file */
	/* zkern's own keys */
	char *store;			/* zkern.store: auto, kernel, memory */
	int instance;			/* zkern.instance: N of /dev/zkernN */
	u64 room_warn_bytes;		/* zkern.roomWarningInKb; see disk_params */
	bool trust_gaps;		/* zkern.trustGaps: start where the log lacks some */
	u32 io_threads;			/* zkern.ioThreads; 0: by the cores */
	u64 watch_limit;		/* zkern.clientWatchLimitInKb: bytes of one client's
					 * watches, 256 MiB; 0: no bound
					  */
	bool linearizable_reads;	/* zkern.linearizableReads */
	u32 device_session_ms;		/* zkern.deviceSessionTimeout; 0: 5 ticks */
	u32 log_level;			/* zkern.logLevel: enum log_level */
	char *log_file;			/* zkern.logFile, NULL: standard error */
	bool audit;			/* audit.enable */
	bool audit_stall;		/* zkern.auditFull: stall, or drop */
	char *audit_file;		/* zkern.auditFile, NULL: by the log */
};

/* What is to be said about one key. */
enum config_level {
	CONFIG_NOTE,		/* harmless: said by --check alone */
	CONFIG_WARN,		/* surely not meant so; the daemon starts */
	CONFIG_ERROR,		/* the daemon does not start */
};

struct config_finding {
	enum config_level level;
	int line;		/* 0: none, or the command line's */
	u32 seq;		/* the order in which they were found */
	char *key;		/* "" where it is about none */
	char *text;
};

/* All that was found in one reading. Zeroed before its first use. */
struct config_report {
	struct config_finding *list;
	size_t n;
	size_t errors;
	size_t warnings;
	size_t left_out;	/* found, but too many to keep */
};

/* Where a configuration comes from. */
struct config_source {
	const char *file;		/* NULL: none */
	const char *const *defines;	/* "name=value", as -D gives them */
	size_t n_defines;
	bool machine;			/* look at what it names, too: directories, ... */
};

/*
 * Sensible defaults with no file at all: data in /var/lib/zkern when it can be
 * written, else in $XDG_STATE_HOME/zkern or ~/.local/state/zkern.
 */
int config_default(struct config *cfg);
/*
 * Reads @src over the defaults, first the definitions, then the file, which goes over
 * them (as in ZooKeeper, where a key of zoo.cfg becomes the system property). Keys may
 * also be given with the system properties' prefix "zookeeper.". What is wrong goes
 * into @rep, all of it, in the file's order. -ENOMEM; -errno and a finding if the file
 * cannot be read; -EINVAL if there are errors.
 */
int config_read(struct config *cfg, const struct config_source *src,
		struct config_report *rep);
/*
 * The same from @file alone; warnings are logged. @why: the first error, as
 * "zoo.cfg:12: tickTime: ...".
 */
int config_load(struct config *cfg, const char *file, char *why, size_t why_len);
void config_free(struct config *cfg);

/*
 * conf_keep.c: the membership as it changes, in files beside @file, the configuration
 * (QuorumPeerConfig.writeDynamicConfig(), editStaticConfig()). Each is written anew, synced
 * and renamed. -errno, said on the log. One thread at a time.
 */
#define CONFIG_NEXT	".dynamic.next"
/* It is proposed: @file.dynamic.next. */
int config_keep_next(const char *file, const struct ensemble *e);
void config_drop_next(const char *file);
/* It is in force: @file.dynamic.<version>, which @file names from now on instead of what it
 * had of members; if @erase_client, not what it had of the clients' address either. */
int config_keep(const char *file, const struct ensemble *e, bool erase_client);
/* A copy of @file before it is changed for the first time: @file.bak. */
int config_backup(const char *file);

/* "FILE:LINE: key: text" into @buf. */
void config_finding_print(const struct config_finding *f, const char *file, char *buf,
			  size_t len);
/* All of them, for zkernd --check: as text, or as one JSON object. -ENOMEM. */
int config_report_print(FILE *out, const struct config_report *rep, const char *file, bool json);
void config_report_free(struct config_report *rep);
/*
 * Every key that is known, a line each: name, TAB, "heeded", "idle" (no meaning here),
 * "ignored", "refused" or "as" (another name), TAB, the default, reason or other name.
 */
int config_keys_print(FILE *out);

#endif
