// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The keys of ZooKeeper 3.8 that are not heeded here, and why. Together with the
 * tables in config.c these are all: what is documented (zookeeperAdmin.md), what
 * QuorumPeerConfig reads, and the system properties that the server's classes read.
 */
#include <linux/types.h>

#include "daemon/base/conf_impl.h"

#define ENSEMBLE	"one server has no peers"
#define JVM		"there is no Java virtual machine"
#define NO_ENSEMBLE	"ensembles are not supported by this version"

const struct conf_foreign conf_foreigns[] = {
	{ "initLimit", IDLE, ENSEMBLE },
	{ "syncLimit", IDLE, ENSEMBLE },
	{ "connectToLearnerMasterLimit", IDLE, ENSEMBLE },
	{ "electionAlg", IDLE, ENSEMBLE },
	{ "electionPortBindRetry", IDLE, ENSEMBLE },
	{ "quorumListenOnAllIPs", IDLE, ENSEMBLE },
	{ "peerType", IDLE, ENSEMBLE },
	{ "syncEnabled", IDLE, ENSEMBLE },
	{ "cnxTimeout", IDLE, ENSEMBLE },
	{ "leaderServes", IDLE, ENSEMBLE },
	{ "localSessionsEnabled", IDLE, ENSEMBLE },
	{ "localSessionsUpgradingEnabled", IDLE, ENSEMBLE },
	{ "observerMasterPort", IDLE, ENSEMBLE },
	{ "jvm.pause.*", IDLE, JVM },
	{ "datadir.autocreate", IDLE, "" },
	{ "db.autocreate", IDLE, "" },
	{ "serverCnxnFactory", IDLE, JVM },
	{ "clientPortListenBacklog", IDLE, "" },
	{ "admin.httpVersion", IDLE, "the admin server speaks HTTP/1.1" },
	{ "metricsProvider.numWorkerThreads", IDLE, "metrics need no threads" },
	{ "metricsProvider.maxQueueSize", IDLE, "metrics need no queue" },
	{ "metricsProvider.workerShutdownTimeoutMs", IDLE, "metrics need no threads" },

	{ "dynamicConfigFile", REFUSED, NO_ENSEMBLE },
	{ "group.*", REFUSED, NO_ENSEMBLE },
	{ "weight.*", REFUSED, NO_ENSEMBLE },
	{ "sessionRequireClientSASLAuth", REFUSED_ON, "not supported by this version" },
	{ "enforce.auth.enabled", REFUSED_ON, "not supported by this version" },
	{ "admin.forceHttps", REFUSED_ON, "TLS is not supported by this version" },
	{ "admin.portUnification", REFUSED_ON, "TLS is not supported by this version" },
	{ "sslQuorum", REFUSED_ON, "not supported by this version" },
	{ "quorum.auth.enableSasl", REFUSED_ON, "not supported by this version" },
};
const size_t conf_n_foreigns = sizeof(conf_foreigns) / sizeof(conf_foreigns[0]);
