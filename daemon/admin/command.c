// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See command.h: the table of commands, and those whose answers are short. The ones
 * that show tables are in tables.c.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/admin/command.h"
#include "daemon/admin/members.h"
#include "daemon/admin/tables.h"
#include "daemon/admin/values.h"
#include "daemon/base/digestlog.h"
#include "daemon/base/metrics.h"
#include "daemon/base/props.h"
#include "daemon/zab/zab.h"

/* ------------------------------------------------------------ shorthands */

static void string(struct jout *j, const char *key, const char *v)
{
	jout_key(j, key);
	jout_string(j, v);
}

static void boolean(struct jout *j, const char *key, bool v)
{
	jout_key(j, key);
	jout_bool(j, v);
}

static void nothing(struct jout *j, const char *key, bool array)
{
	struct jout in;

	jout_key(j, key);
	if (array) {
		jout_array(j, &in);
		jout_array_end(j, &in);
	} else {
		jout_object(j, &in);
		jout_object_end(j, &in);
	}
}

static void folder(struct jout *j, const char *key, const char *dir)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/version-2", dir);
	string(j, key, path);
}

/* ------------------------------------------------------------ the commands */

/* What a command has to do with. ->error: told instead of null. */
struct ask {
	struct client_side *cs;
	const char *mask;
	char error[256];
};

static void do_crst(struct ask *a, struct jout *j)
{
	(void)j;
	stats_reset_conns(a->cs);
}

static void do_conf(struct ask *a, struct jout *j)
{
	const struct config *cfg = a->cs->cfg;

	jout_field(j, "client_port", client_port(a->cs));
	folder(j, "data_dir", cfg->data_dir);
	folder(j, "data_log_dir", cfg->data_log_dir ? cfg->data_log_dir : cfg->data_dir);
	jout_field(j, "tick_time", cfg->tick_ms);
	jout_field(j, "max_client_cnxns", cfg->max_client_cnxns);
	jout_field(j, "min_session_timeout", cfg->min_session_ms);
	jout_field(j, "max_session_timeout", cfg->max_session_ms);
	jout_field(j, "server_id", cfg->ensemble ? cfg->myid : 0);
	jout_field(j, "client_port_listen_backlog", -1);
}

static void do_cons(struct ask *a, struct jout *j)
{
	jout_key(j, "connections");
	table_connections(a->cs, j, false);
	nothing(j, "secure_connections", true);
}

static void do_dirs(struct ask *a, struct jout *j)
{
	jout_field(j, "datadir_size", data_dir_size(a->cs->cfg));
	jout_field(j, "logdir_size", log_dir_size(a->cs->cfg));
}

static void do_dump(struct ask *a, struct jout *j)
{
	table_sessions(a->cs, j);
}

static void put_entry(void *j, const char *key, const char *value)
{
	string(j, key, value);
}

static void do_envi(struct ask *a, struct jout *j)
{
	(void)a;
	environment_each(put_entry, j);
}

static void do_gtmk(struct ask *a, struct jout *j)
{
	jout_field(j, "tracemask", __atomic_load_n(&a->cs->trace_mask, __ATOMIC_RELAXED));
}

static void do_hash(struct ask *a, struct jout *j)
{
	jout_key(j, "digests");
	table_digests(a->cs, j);
}

static void do_icfg(struct ask *a, struct jout *j)
{
	const char *text = a->cs->cfg->initial;

	string(j, "initial_configuration", text ? text : "");
}

static void do_isro(struct ask *a, struct jout *j)
{
	boolean(j, "read_only", values_serves(a->cs) == CORE_SERVES_READERS);
}

/* The newest whole snapshot: files get their names when they are. */
static void do_lsnp(struct ask *a, struct jout *j)
{
	char path[4096], hex[32] = "ffffffffffffffff";
	s64 newest = -1, at = -1;
	struct dirent *e;
	struct stat st;
	DIR *d;

	snprintf(path, sizeof(path), "%s/version-2", a->cs->cfg->data_dir);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		s64 zxid;
		char *end;

		if (strncmp(e->d_name, "snapshot.", 9))
			continue;
		zxid = strtoull(e->d_name + 9, &end, 16);
		if ((*end && *end != '.') || zxid < newest || fstatat(dirfd(d), e->d_name, &st, 0))
			continue;
		newest = zxid;
		at = st.st_mtime;
	}
	if (d)
		closedir(d);
	if (newest >= 0)
		snprintf(hex, sizeof(hex), "%llx", newest);
	string(j, "zxid", hex);
	jout_field(j, "timestamp", at);
}

static void do_lead(struct ask *a, struct jout *j)
{
	struct ensemble *e = core_members(a->cs->core);
	struct core_stats s = { .zxid = 0 };
	const struct peer *lead;

	core_stats(a->cs->core, &s);
	if (!e || s.serves == CORE_SERVES_READERS) {
		snprintf(a->error, sizeof(a->error), "server is not initialized");
		return;
	}
	lead = ensemble_find(e, s.leader);
	boolean(j, "is_leader", s.leader == a->cs->cfg->myid);
	jout_field(j, "leader_id", (s64)s.leader);
	string(j, "leader_ip", lead ? lead->addrs[0].host : "");
	ensemble_put(e);
}

static void put_value(void *arg, const struct value *v)
{
	struct jout *j = arg;

	jout_key(j, v->name);
	switch (v->kind) {
	case VALUE_TEXT:
		jout_string(j, v->text);
		break;
	case VALUE_WHOLE:
		jout_number(j, v->whole);
		break;
	case VALUE_REAL:
		jout_real(j, v->real);
		break;
	}
}

static void do_mntr(struct ask *a, struct jout *j)
{
	values_each(a->cs, put_value, j);
}

static void do_nothing(struct ask *a, struct jout *j)
{
	(void)a;
	(void)j;
}

static void do_obsr(struct ask *a, struct jout *j)
{
	members_observers(a->cs, j);
}

static void do_orst(struct ask *a, struct jout *j)
{
	(void)j;
	core_links_reset(a->cs->core);
}

static void do_stmk(struct ask *a, struct jout *j)
{
	char *end;
	s64 mask;

	if (!a->mask) {
		snprintf(a->error, sizeof(a->error),
			 "setTraceMask requires long traceMask argument");
		return;
	}
	errno = 0;
	mask = strtoll(a->mask, &end, 10);
	if (errno || *end || end == a->mask || strspn(a->mask, " \t\n\v\f\r")) {
		snprintf(a->error, sizeof(a->error),
			 "setTraceMask requires long traceMask argument, got %.128s", a->mask);
		return;
	}
	__atomic_store_n(&a->cs->trace_mask, mask, __ATOMIC_RELAXED);
	jout_field(j, "tracemask", mask);
}

static void put_sizes(struct jout *j, const char *key, s64 last, s64 min, s64 max)
{
	struct jout in;

	jout_key(j, key);
	jout_object(j, &in);
	jout_field(j, "last_buffer_size", last);
	jout_field(j, "min_buffer_size", min);
	jout_field(j, "max_buffer_size", max);
	jout_object_end(j, &in);
}

static void put_answers(struct jout *j, const char *key, const struct io_stats *s)
{
	put_sizes(j, key, s->last_size, s->min_size, s->max_size);
}

static void put_stats(struct client_side *cs, struct jout *j, const struct io_stats *s)
{
	struct jout in;
	double avg = s->count ? (double)s->total_latency / s->count : 0;
	struct disk_stats disk;

	disk_stats(cs->disk, &disk);
	jout_key(j, "server_stats");
	jout_object(j, &in);
	jout_field(j, "packets_sent", s->sent);
	jout_field(j, "packets_received", s->received);
	jout_field(j, "fsync_threshold_exceed_count", disk.fsyncs_slow);
	put_answers(j, "client_response_stats", s);
	boolean(j, "provider_null", false);
	jout_field(j, "data_dir_size", data_dir_size(cs->cfg));
	jout_field(j, "log_dir_size", log_dir_size(cs->cfg));
	string(j, "server_state", values_state(cs));
	jout_field(j, "last_processed_zxid", store_zxid(cs->st));
	jout_field(j, "outstanding_requests", __atomic_load_n(&cs->outstanding, __ATOMIC_RELAXED));
	jout_key(j, "avg_latency");
	jout_real(j, avg);
	jout_field(j, "max_latency", s->max_latency);
	jout_field(j, "min_latency", s->min_latency);
	jout_field(j, "num_alive_client_connections", conns_count(cs));
	jout_field(j, "uptime", coarse_ms() - cs->started_ms);
	jout_field(j, "auth_failed_count", __atomic_load_n(&cs->auth_failed, __ATOMIC_RELAXED));
	jout_field(j, "non_mtlsremote_conn_count", 0);
	jout_field(j, "non_mtlslocal_conn_count", 0);
	jout_object_end(j, &in);
}

static void do_srvr(struct ask *a, struct jout *j)
{
	struct io_stats s = stats_sum(a->cs);
	struct store_info info = { .zxid = 0 };
	struct core_stats core = { .zxid = 0 };

	a->cs->st->ops->info(a->cs->st, &info);
	string(j, "version", VALUES_VERSION);
	boolean(j, "read_only", values_serves(a->cs) == CORE_SERVES_READERS);
	put_stats(a->cs, j, &s);
	put_answers(j, "client_response", &s);
	core_stats(a->cs->core, &core);
	if (a->cs->cfg->ensemble && core.state == ZAB_LEADING)
		put_sizes(j, "proposal_stats", core.last_size, core.min_size, core.max_size);
	jout_field(j, "node_count", values_nodes(&info));
}

static void do_stat(struct ask *a, struct jout *j)
{
	do_srvr(a, j);
	jout_key(j, "connections");
	table_connections(a->cs, j, true);
	nothing(j, "secure_connections", true);
}

static void do_srst(struct ask *a, struct jout *j)
{
	(void)j;
	stats_reset_server(a->cs);
}

/* Keys that QuorumPeerConfig takes for itself; all others of the file become system
 * properties, under "zookeeper.". */
static bool is_property(const char *key)
{
	static const char *const own[] = {
		"dataDir", "dataLogDir", "clientPort", "clientPortAddress",
		"secureClientPort", "secureClientPortAddress", "tickTime", "maxClientCnxns",
		"minSessionTimeout", "maxSessionTimeout", "clientPortListenBacklog",
		"initLimit", "syncLimit", "electionAlg", "autopurge.snapRetainCount",
		"autopurge.purgeInterval", "quorumListenOnAllIPs", "peerType", "syncEnabled",
		"dynamicConfigFile", "standaloneEnabled", "reconfigEnabled", "sslQuorum",
		"localSessionsEnabled", "localSessionsUpgradingEnabled", "portUnification",
		"connectToLearnerMasterLimit", "observerMasterPort", "multiAddress.enabled",
		"multiAddress.reachabilityCheckEnabled",
		"multiAddress.reachabilityCheckTimeoutMs",
	};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (!strcmp(key, own[i]))
			return false;
	return strncmp(key, "metricsProvider.", 16) &&
	       !strstr(key, "superDigest");
}

static int put_property(void *arg, int line, char *key, char *value)
{
	char full[512];

	(void)line;
	if (!strncmp(key, "zookeeper.", 10))
		key += 10;
	if (!is_property(key))
		return 0;
	snprintf(full, sizeof(full), "zookeeper.%s", key);
	string(arg, full, value);
	return 0;
}

/* Of a process without a JVM: what the system and the file say. */
static void put_system(void *arg, const char *key, const char *value)
{
	if (!strncmp(key, "os.", 3) ? strncmp(key, "os.memory", 9) : !strncmp(key, "user.", 5))
		string(arg, key, value);
}

static void do_sysp(struct ask *a, struct jout *j)
{
	const char *text = a->cs->cfg->initial;

	environment_each(put_system, j);
	if (text)
		props_parse(text, strlen(text), put_property, j);
}

static void do_voting(struct ask *a, struct jout *j)
{
	members_view(a->cs, j);
}

static void do_wchc(struct ask *a, struct jout *j)
{
	jout_key(j, "session_id_to_watched_paths");
	table_watches(a->cs, j, true);
}

static void do_wchp(struct ask *a, struct jout *j)
{
	jout_key(j, "path_to_session_ids");
	table_watches(a->cs, j, false);
}

static void do_wchs(struct ask *a, struct jout *j)
{
	table_watch_summary(a->cs, j);
}

static void do_zab(struct ask *a, struct jout *j)
{
	static const char *const phases[] = { "election", "discovery", "synchronization",
					      "broadcast" };
	const struct config *cfg = a->cs->cfg;
	struct core_stats s = { .zxid = 0 };
	u64 zxid = store_zxid(a->cs->st);
	char text[32];

	core_stats(a->cs->core, &s);
	if (cfg->ensemble && s.serves == CORE_SERVES_ALL) {
		struct ensemble *e = core_members(a->cs->core);

		snprintf(text, sizeof(text), "0x%llx", zxid);
		jout_field(j, "myid", cfg->myid);
		boolean(j, "is_leader", s.leader == cfg->myid);
		members_own(a->cs, e, j);
		boolean(j, "voting", ensemble_votes(e, cfg->myid));
		ensemble_put(e);
		string(j, "last_zxid", text);
		jout_field(j, "zab_epoch", zxid >> 32);
		jout_field(j, "zab_counter", zxid & 0xffffffff);
		string(j, "zabstate", phases[s.phase & 3]);
		return;
	}
	boolean(j, "voting", false);
	string(j, "zabstate", "");
}

/* ------------------------------------------------------------ the table */

/* By their first names, in the order of the alphabet. */
static const struct command {
	const char *names[3];
	void (*run)(struct ask *a, struct jout *j);
	bool always;		/* whether clients are served or not */
} commands[] = {
	{ { "configuration", "conf", "config" }, do_conf, false },
	{ { "connection_stat_reset", "crst" }, do_crst, false },
	{ { "connections", "cons" }, do_cons, false },
	{ { "dirs" }, do_dirs, false },
	{ { "dump" }, do_dump, false },
	{ { "environment", "env", "envi" }, do_envi, true },
	{ { "get_trace_mask", "gtmk" }, do_gtmk, true },
	{ { "hash" }, do_hash, false },
	{ { "initial_configuration", "icfg" }, do_icfg, false },
	{ { "is_read_only", "isro" }, do_isro, false },
	{ { "last_snapshot", "lsnp" }, do_lsnp, false },
	{ { "leader", "lead" }, do_lead, false },
	{ { "monitor", "mntr" }, do_mntr, true },
	{ { "observer_connection_stat_reset", "orst" }, do_orst, false },
	{ { "observers", "obsr" }, do_obsr, false },
	{ { "ruok" }, do_nothing, false },
	{ { "server_stats", "srvr" }, do_srvr, false },
	{ { "set_trace_mask", "stmk" }, do_stmk, true },
	{ { "stat_reset", "srst" }, do_srst, false },
	{ { "stats", "stat" }, do_stat, false },
	{ { "system_properties", "sysp" }, do_sysp, true },
	{ { "voting_view" }, do_voting, false },
	{ { "watch_summary", "wchs" }, do_wchs, false },
	{ { "watches", "wchc" }, do_wchc, false },
	{ { "watches_by_path", "wchp" }, do_wchp, false },
	{ { "zabstate" }, do_zab, true },
};

#define N_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		for (size_t k = 0; k < 3 && commands[i].names[k]; k++)
			if (!strcmp(commands[i].names[k], name))
				return &commands[i];
	return NULL;
}

/* A command's own error stands before its name, and a null behind, as Java's map has
 * them. */
void command_run(struct client_side *cs, const char *name, const char *mask, struct jw *out)
{
	const struct command *cmd = find(name);
	struct ask a = { .cs = cs, .mask = mask };
	struct jout j;

	jout_begin(&j, out);
	if (cmd && !cmd->always && values_serves(cs) == CORE_SERVES_NOBODY) {
		snprintf(a.error, sizeof(a.error),
			 "This ZooKeeper instance is not currently serving requests");
		string(&j, "command", name);
		string(&j, "error", a.error);
	} else if (cmd) {
		cmd->run(&a, &j);
		if (a.error[0])
			string(&j, "error", a.error);
		string(&j, "command", cmd->names[0]);
		if (!a.error[0]) {
			jout_key(&j, "error");
			jout_null(&j);
		}
	} else {
		snprintf(a.error, sizeof(a.error), "Unknown command: %.200s", name);
		string(&j, "command", name);
		string(&j, "error", a.error);
	}
	jout_end(&j);
}

void command_index(const char *url, struct jw *out)
{
	char text[512];

	for (size_t i = 0; i < N_COMMANDS; i++) {
		const char *name = commands[i].names[0];

		snprintf(text, sizeof(text), "<a href=\"%s/%s\">%s</a>\n<br/>\n", url, name, name);
		jw_bytes(out, text, strlen(text));
	}
}
