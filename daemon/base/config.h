/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zoo.cfg: Java properties as ZooKeeper reads them (QuorumPeerConfig.java).
 * Unknown keys are named in a warning and otherwise ignored; wrong values are
 * errors naming file, line and key. Immutable after start.
 */
#ifndef ZKD_BASE_CONFIG_H
#define ZKD_BASE_CONFIG_H

#include <linux/types.h>

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
	u32 max_buffer;			/* jute.maxbuffer, 0xfffff */
	u32 global_outstanding;		/* globalOutstandingLimit, 1000 */
	u32 purge_retain;		/* autopurge.snapRetainCount, 3 */
	u32 purge_hours;		/* autopurge.purgeInterval, 0: never */
	bool force_sync;		/* forceSync */
	bool digest_enabled;		/* zookeeper.digest.enabled */
	bool extended_types;		/* extendedTypesEnabled: TTL nodes */
	bool skip_acl;			/* skipACL */
	bool trust_empty;		/* snapshot.trust.empty */
	u32 container_check_ms;		/* znode.container.checkIntervalMs, 60000 */
	u32 container_per_minute;	/* znode.container.maxPerMinute, 10000 */
	u32 container_unused_ms;	/* znode.container.maxNeverUsedIntervalMs, 0: keep */
	char *super_digest;		/* DigestAuthenticationProvider.superDigest */
	char *fourlw_whitelist;		/* 4lw.commands.whitelist, "srvr" */
	/* zkern's own keys */
	char *store;			/* zkern.store: auto, kernel, memory */
	int instance;			/* zkern.instance: N of /dev/zkernN */
	u32 io_threads;			/* zkern.ioThreads; 0: by the cores */
	u64 watch_limit;		/* zkern.clientWatchLimitInKb: bytes of one client's
					 * watches, 256 MiB; 0: no bound
					  */
};

/*
 * Sensible defaults with no file at all: data in /var/lib/zkern when it can be
 * written, else in $XDG_STATE_HOME/zkern or ~/.local/state/zkern.
 */
int config_default(struct config *cfg);
/*
 * Reads @file over the defaults. @why: "zoo.cfg:12: tickTime: ...". Keys may also be
 * given with the system property's prefix "zookeeper.".
 */
int config_load(struct config *cfg, const char *file, char *why, size_t why_len);
void config_free(struct config *cfg);

#endif
