// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keys of ZooKeeper 3.8 that are not heeded here, and why. Together with the
 * tables in config.c these are all there are: what is documented (zookeeperAdmin.md),
 * what QuorumPeerConfig reads, and the system properties that the server's classes
 * read. A key that has come to be heeded (config.c) is looked for there first.
 */
#include <linux/types.h>

#include "daemon/base/conf_impl.h"

#define NODELAY		"nothing between servers waits to fill a packet"
#define NO_WAIT		"nothing waits for another server's connection"
#define PIPELINE	"Apache ZooKeeper's own choice of threads"
#define JVM		"there is no Java virtual machine"
#define THREADS		"zkern.ioThreads says how many threads serve connections"
#define CLIENT		"a client's property"
#define IN_PLACE	"answers are read from the tree in place, not kept"
#define WATCHES		"there is one kind of watch table, and it needs no cleaning thread"
#define STATS		"this version keeps no such statistics"
#define PACING		"transactions are grouped by what is waiting, without a delay"
#define LATER		"has no effect in this version"
#define NO_TLS		"TLS is not supported by this version"
#define NO_SASL		"SASL is not supported by this version"

const struct conf_foreign conf_foreigns[] = {
	/* what peers agree on */
	{ "electionAlg", IGNORED, "3", "there is but one election algorithm, 3" },
	{ "syncEnabled", IGNORED, "true", "an observer keeps logs and snapshots, always" },
	{ "observer.syncEnabled", IGNORED, "true",
	  "an observer keeps logs and snapshots, always" },
	{ "quorumCnxnTimeoutMs", IGNORED, "-1", LATER },
	{ "quorum.cnxn.threads.size", IDLE, NULL,
	  "one thread has all connections between servers" },
	{ "fastleader.minNotificationInterval", IGNORED, "200", "it is 200 ms" },
	{ "fastleader.maxNotificationInterval", IGNORED, "60000", "it is a minute" },
	{ "follower.nodelay", IGNORED, "true", NODELAY },
	{ "leader.nodelay", IGNORED, "true", NODELAY },
	{ "follower.skipLearnerRequestToNextProcessor", IDLE, NULL, PIPELINE },
	{ "forward_learner_requests_to_commit_processor_disabled", IDLE, NULL, PIPELINE },
	{ "leader.maxTimeToWaitForEpoch", IGNORED, "-1", "initLimit is for that, too" },
	{ "leader.closeSocketAsync", IDLE, NULL, NO_WAIT },
	{ "learner.closeSocketAsync", IDLE, NULL, NO_WAIT },
	{ "learner.asyncSending", IDLE, NULL, NO_WAIT },
	{ "leaderConnectDelayDuringRetryMs", IGNORED, "100", LATER },
	{ "tcpKeepAlive", IDLE, NULL, "connections between servers always have it" },
	{ "snapshotSizeFactor", IGNORED, "0.33", LATER },
	{ "portUnification", REFUSED, "false", NO_TLS },
	{ "messageTracker.BufferSize", IDLE, NULL, STATS },
	{ "messageTracker.Enabled", IGNORED, "false", STATS },
	{ "db.autocreate", IGNORED, "true", "an empty directory is a new server's" },
	{ "version", IDLE, NULL, "it is taken with server.N alone" },

	{ "oraclePath", REFUSED, NULL, "no oracle is asked in this version" },
	{ "sslQuorum", REFUSED, "false", NO_TLS },
	{ "sslQuorumReloadCertFiles", IDLE, NULL, NO_TLS },
	{ "ssl.quorum.*", IDLE, NULL, "sslQuorum is not supported" },
	{ "quorum.auth.enableSasl", REFUSED, "false", NO_SASL },
	{ "quorum.auth.serverRequireSasl", REFUSED, "false", NO_SASL },
	{ "quorum.auth.learnerRequireSasl", REFUSED, "false", NO_SASL },
	{ "quorum.auth.*", IDLE, NULL, NO_SASL },
	{ "ensembleAuthName", REFUSED, NULL, "the scheme \"ensemble\" is not supported" },

	/* who may do what */
	{ "secureClientPortAddress", IDLE, NULL, NO_TLS },
	{ "client.portUnification", REFUSED, "false", NO_TLS },
	{ "ssl.*", IGNORED, NULL, NO_TLS },
	{ "X509AuthenticationProvider.superUser", IGNORED, NULL, NO_TLS },
	{ "authProvider*", IGNORED, NULL,
	  "no classes are loaded; the schemes are world, auth, digest, ip" },
	{ "sessionRequireClientSASLAuth", REFUSED, "false", NO_SASL },
	{ "enforce.auth.enabled", REFUSED, "false", LATER },
	{ "enforce.auth.schemes", IDLE, NULL, "enforce.auth.enabled is not" },
	{ "allowSaslFailedClients", IDLE, NULL, NO_SASL },
	{ "letAnySaslUserDoX", IGNORED, NULL, NO_SASL },
	{ "superUser", IGNORED, NULL, NO_SASL },
	{ "SASLAuthenticationProvider.superPassword", IGNORED, NULL, NO_SASL },
	{ "sasl.serverconfig", IDLE, NULL, NO_SASL },
	{ "kerberos.*", IDLE, NULL, NO_SASL },
	{ "security.auth_to_local", IDLE, NULL, NO_SASL },
	{ "requireKerberosConfig", IDLE, NULL, NO_SASL },
	{ "DigestAuthenticationProvider.enabled", REFUSED, "true",
	  "digest cannot be switched off" },
	{ "DigestAuthenticationProvider.digestAlg", REFUSED, "SHA1",
	  "passwords are digested by SHA1 alone" },
	{ "enableEagerACLCheck", IDLE, NULL,
	  "the leader checks: the answer is the same, a little later" },

	/* connections and load */
	{ "serverCnxnFactory", IDLE, NULL, JVM },
	{ "nio.*", IDLE, NULL, THREADS },
	{ "netty.*", IDLE, NULL, JVM },
	{ "commitProcessor.*", IDLE, NULL, THREADS },
	{ "request_stale_connection_check", IDLE, NULL,
	  "what a closed connection asked is dropped" },
	{ "request_throttle_stall_time", IDLE, NULL,
	  "a request that waits for others goes on as soon as there is room" },
	{ "request_throttler.shutdownTimeout", IDLE, NULL,
	  "no request waits longer than its client" },
	{ "jute.maxbuffer.extrasize", IDLE, NULL,
	  "what the server writes is not measured by jute.maxbuffer" },
	{ "intBufferStartingSizeBytes", IDLE, NULL, JVM },
	{ "maxResponseCacheSize", IDLE, NULL, IN_PLACE },
	{ "maxGetChildrenResponseCacheSize", IDLE, NULL, IN_PLACE },
	{ "flushDelay", IDLE, NULL, PACING },
	{ "maxWriteQueuePollTime", IDLE, NULL, PACING },
	{ "maxBatchSize", IDLE, NULL, PACING },

	/* the tree */
	{ "closeSessionTxn.enabled", IGNORED, "true",
	  "a session's end always lists its ephemerals" },
	{ "emulate353TTLNodes", REFUSED, "false", "TTL nodes of 3.5.3 are not understood" },
	{ "watchManagerName", IDLE, NULL, WATCHES },
	{ "watcherClean*", IDLE, NULL, WATCHES },
	{ "maxInProcessingDeadWatchers", IDLE, NULL, WATCHES },
	{ "bitHashCacheSize", IDLE, NULL, WATCHES },

	/* files */
	{ "datadir.autocreate", IGNORED, "true", "directories are made where they are missing" },

	/* telling */
	{ "admin.forceHttps", REFUSED, "false", NO_TLS },
	{ "admin.portUnification", REFUSED, "false", NO_TLS },
	{ "admin.httpVersion", IDLE, NULL, "the admin server speaks HTTP/1.1" },
	{ "admin.*", IGNORED, NULL, LATER },
	{ "metricsProvider.*", IGNORED, NULL, LATER },
	{ "pathStats.*", IGNORED, NULL, STATS },
	{ "jmx.*", IDLE, NULL, JVM },
	{ "jvm.pause.*", IDLE, NULL, JVM },

	/* other programs' */
	{ "client.secure", IDLE, NULL, CLIENT },
	{ "clientCnxnSocket", IDLE, NULL, CLIENT },
	{ "disableAutoWatchReset", IDLE, NULL, CLIENT },
	{ "request.timeout", IDLE, NULL, CLIENT },
	{ "sasl.client*", IDLE, NULL, CLIENT },
	{ "server.principal", IDLE, NULL, CLIENT },
	{ "server.realm", IDLE, NULL, CLIENT },
	{ "kinit", IDLE, NULL, CLIENT },
	{ "controllerPort", IDLE, NULL, "for ZooKeeper's own tests alone" },
	{ "log.*", IDLE, NULL, "the log goes to standard error, or zkern.logFile" },
	{ "root.logger", IDLE, NULL, "zkern.logLevel says what is logged" },
	{ "console.threshold", IDLE, NULL, "zkern.logLevel says what is logged" },
	{ "auditlog.*", IDLE, NULL, "zkern.auditFile is the audit's file" },
	{ "audit.logger", IDLE, NULL, "zkern.auditFile is the audit's file" },
	{ "tracelog.*", IDLE, NULL, JVM },
	{ "logback.*", IDLE, NULL, JVM },
	{ "log4j.*", IDLE, NULL, JVM },
	{ "java.*", IDLE, NULL, JVM },
	{ "javax.*", IDLE, NULL, JVM },
	{ "sun.*", IDLE, NULL, JVM },
	{ "com.sun.*", IDLE, NULL, JVM },
	{ "org.slf4j.*", IDLE, NULL, JVM },
	{ "file.encoding", IDLE, NULL, JVM },
	{ "user.timezone", IDLE, NULL, JVM },
};
const size_t conf_n_foreigns = sizeof(conf_foreigns) / sizeof(conf_foreigns[0]);

const struct conf_alias conf_aliases[] = {
	{ "connectionMaxTokens", "connection_throttle_tokens" },
	{ "connectionTokenFillTime", "connection_throttle_fill_time" },
	{ "connectionTokenFillCount", "connection_throttle_fill_count" },
	{ "connectionFreezeTime", "connection_throttle_freeze_time" },
	{ "connectionDropIncrease", "connection_throttle_drop_increase" },
	{ "connectionDropDecrease", "connection_throttle_drop_decrease" },
	{ "connectionDecreaseRatio", "connection_throttle_decrease_ratio" },
	{ "requestThrottleLimit", "request_throttle_max_requests" },
	{ "requestThrottleStallTime", "request_throttle_stall_time" },
	{ "requestThrottleDropStale", "request_throttle_drop_stale" },
	{ "requestStaleLatencyCheck", "request_stale_latency_check" },
	{ "requestStaleConnectionCheck", "request_stale_connection_check" },
	{ "throttledOpWaitTime", "throttled_op_wait_time" },
	{ "advancedFlowControlEnabled", "netty.advancedFlowControl.enabled" },
	{ "outstandingHandshake.limit", "netty.server.outstandingHandshake.limit" },
	{ "maxConcurrentSnapSyncs", "leader.maxConcurrentSnapSyncs" },
	{ "maxConcurrentDiffSyncs", "leader.maxConcurrentDiffSyncs" },
	{ "maxTimeToWaitForEpoch", "leader.maxTimeToWaitForEpoch" },
};
const size_t conf_n_aliases = sizeof(conf_aliases) / sizeof(conf_aliases[0]);
