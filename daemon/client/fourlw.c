// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Four-letter words: a connection whose first four bytes are one gets a text and
 * is closed (the classes of org.apache.zookeeper.server.command, and what they
 * print). Runs on the I/O thread that owns the connection.
 *
 * Words that are in the table without a function are known, so that they are not
 * taken for a frame's length, and answered as if they were not in the whitelist.
 */
#include <dirent.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/client/internal.h"

/* As Java's Version.getFullVersion(): the ZooKeeper that we answer like, and whose
 * server it is; no date, so that builds are reproducible. */
#define FULL_VERSION	"3.8.0-zkern-0.1.0"

#define DIR_DEPTH	8

static void put(struct jw *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct jw *out, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		jw_bytes(out, line, n < (int)sizeof(line) ? n : (int)sizeof(line) - 1);
}

/* A double as Java prints it after rounding to four places: "0.0", "1.25". */
static const char *average(u64 total, u64 count, char *buf, size_t len)
{
	size_t n;

	snprintf(buf, len, "%.4f", count ? (double)total / count : 0.0);
	n = strlen(buf);
	while (buf[n - 1] == '0' && buf[n - 2] != '.')
		buf[--n] = 0;
	return buf;
}

/* ------------------------------------------------------------ sizes of folders */

static u64 dir_size(const char *path, int depth)
{
	DIR *d = opendir(path);
	struct dirent *e;
	u64 sum = 0;

	while (d && (e = readdir(d))) {
		char sub[4096];
		struct stat st;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name) >= (int)sizeof(sub) ||
		    stat(sub, &st))
			continue;
		if (!S_ISDIR(st.st_mode))
			sum += st.st_size;
		else if (depth < DIR_DEPTH)
			sum += dir_size(sub, depth + 1);
	}
	if (d)
		closedir(d);
	return sum;
}

static u64 version_dir_size(const char *dir)
{
	char path[4096];

	if (!dir || snprintf(path, sizeof(path), "%s/version-2", dir) >= (int)sizeof(path))
		return 0;
	return dir_size(path, 0);
}

static const char *log_dir(const struct config *cfg)
{
	return cfg->data_log_dir ? cfg->data_log_dir : cfg->data_dir;
}

/* ------------------------------------------------------------ connections */

static void put_conn(struct jw *out, const struct conn *c, bool brief)
{
	struct conn_stats s = stats_of(c);
	u64 session = __atomic_load_n(&c->session_id, __ATOMIC_RELAXED);
	u8 state = __atomic_load_n(&c->state, __ATOMIC_RELAXED);

	/* interest in reading is 1: SelectionKey.OP_READ */
	put(out, " %s[%d](queued=%u,recved=%llu,sent=%llu", c->name,
	    state == CONN_NEW || state == CONN_OPEN,
	    __atomic_load_n(&c->asked_n, __ATOMIC_RELAXED), s.received, s.sent);
	if (!brief && session) {
		put(out, ",sid=0x%llx,lop=%s,est=%llu,to=%d", session,
		    s.op == -1 ? "NA" : stats_op(s.op), s.established_ms,
		    __atomic_load_n(&c->session_timeout, __ATOMIC_RELAXED));
		if (s.last_cxid >= 0)
			put(out, ",lcxid=0x%llx", (u64)s.last_cxid);
		put(out, ",lzxid=0x%llx,lresp=%llu,llat=%llu,minlat=%llu,avglat=%llu,maxlat=%llu",
		    s.last_zxid, s.last_ms, s.last_latency, s.min_latency,
		    s.count ? s.total_latency / s.count : 0, s.max_latency);
	}
	put(out, ")\n");
}

static void put_conns(struct conn *c, struct jw *out, bool brief)
{
	struct client_side *cs = c->cs;
	const struct conn *each;

	pthread_mutex_lock(&cs->lock);
	list_for_each_entry(each, &cs->conns, all)
		put_conn(out, each, brief);
	pthread_mutex_unlock(&cs->lock);
}

static u32 count_conns(struct client_side *cs)
{
	u32 n;

	pthread_mutex_lock(&cs->lock);
	n = cs->n_conns;
	pthread_mutex_unlock(&cs->lock);
	return n;
}

/* ------------------------------------------------------------ the words */

static void say_ruok(struct conn *c, struct jw *out)
{
	(void)c;
	put(out, "imok");
}

static void say_isro(struct conn *c, struct jw *out)
{
	(void)c;
	put(out, "rw");
}

/* The Java server counts the root twice, as "" and "/". */
static void put_server(struct conn *c, struct jw *out)
{
	struct io_stats s = stats_sum(c->cs);
	struct store_info info = { .zxid = store_zxid(c->cs->st) };
	char avg[32];

	c->cs->st->ops->info(c->cs->st, &info);
	put(out, "Latency min/avg/max: %llu/%s/%llu\n", s.min_latency,
	    average(s.total_latency, s.count, avg, sizeof(avg)), s.max_latency);
	put(out, "Received: %llu\nSent: %llu\n", s.received, s.sent);
	put(out, "Connections: %u\n", count_conns(c->cs));
	put(out, "Outstanding: %u\n", __atomic_load_n(&c->cs->outstanding, __ATOMIC_RELAXED));
	put(out, "Zxid: 0x%llx\nMode: standalone\n", info.zxid);
	put(out, "Node count: %llu\n", info.stats.nodes + 1);
}

static void say_srvr(struct conn *c, struct jw *out)
{
	put(out, "Zookeeper version: %s\n", FULL_VERSION);
	put_server(c, out);
}

static void say_stat(struct conn *c, struct jw *out)
{
	put(out, "Zookeeper version: %s\nClients:\n", FULL_VERSION);
	put_conns(c, out, true);
	put(out, "\n");
	put_server(c, out);
}

static void say_cons(struct conn *c, struct jw *out)
{
	put_conns(c, out, false);
	put(out, "\n");
}

static void say_crst(struct conn *c, struct jw *out)
{
	__atomic_add_fetch(&c->cs->conn_gen, 1, __ATOMIC_RELAXED);
	put(out, "Connection stats reset.\n");
}

static void say_srst(struct conn *c, struct jw *out)
{
	__atomic_add_fetch(&c->cs->io_gen, 1, __ATOMIC_RELAXED);
	put(out, "Server stats reset.\n");
}

/* ZooKeeper has the two sizes the wrong way round, here as in conf. */
static void say_dirs(struct conn *c, struct jw *out)
{
	const struct config *cfg = c->cs->cfg;

	put(out, "datadir_size: %llu\n", version_dir_size(log_dir(cfg)));
	put(out, "logdir_size: %llu\n", version_dir_size(cfg->data_dir));
}

static void say_conf(struct conn *c, struct jw *out)
{
	const struct config *cfg = c->cs->cfg;

	put(out, "clientPort=%u\nsecureClientPort=-1\n", c->cs->port);
	put(out, "dataDir=%s/version-2\n", cfg->data_dir);
	put(out, "dataDirSize=%llu\n", version_dir_size(log_dir(cfg)));
	put(out, "dataLogDir=%s/version-2\n", log_dir(cfg));
	put(out, "dataLogSize=%llu\n", version_dir_size(cfg->data_dir));
	put(out, "tickTime=%u\nmaxClientCnxns=%u\n", cfg->tick_ms, cfg->max_client_cnxns);
	put(out, "minSessionTimeout=%u\nmaxSessionTimeout=%u\n", cfg->min_session_ms,
	    cfg->max_session_ms);
	put(out, "clientPortListenBacklog=-1\nserverId=0\n");
}

static void put_env_java(struct jw *out)
{
	static const char *const keys[] = {
		"java.version", "java.vendor", "java.home", "java.class.path",
		"java.library.path", "java.io.tmpdir", "java.compiler",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		put(out, "%s=<NA>\n", keys[i]);
}

static void say_envi(struct conn *c, struct jw *out)
{
	char host[256] = "<NA>", dir[4096], user[1024];
	struct passwd pw, *found = NULL;
	struct utsname un;
	struct sysinfo si;

	(void)c;
	uname(&un);
	sysinfo(&si);
	gethostname(host, sizeof(host) - 1);
	getpwuid_r(getuid(), &pw, user, sizeof(user), &found);
	put(out, "Environment:\nzookeeper.version=%s\nhost.name=%s\n", FULL_VERSION, host);
	put_env_java(out);
	put(out, "os.name=%s\nos.arch=%s\nos.version=%s\n", un.sysname,
	    strcmp(un.machine, "x86_64") ? un.machine : "amd64", un.release);
	put(out, "user.name=%s\nuser.home=%s\n", found ? found->pw_name : "<NA>",
	    found ? found->pw_dir : "<NA>");
	put(out, "user.dir=%s\n", getcwd(dir, sizeof(dir)) ? dir : "<NA>");
	put(out, "os.memory.free=%lluMB\n", (u64)si.freeram * si.mem_unit >> 20);
	put(out, "os.memory.max=%lluMB\nos.memory.total=%lluMB\n",
	    (u64)si.totalram * si.mem_unit >> 20, (u64)si.totalram * si.mem_unit >> 20);
}

static u64 count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	u64 n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n > 3 ? n - 3 : 0;	/* ".", ".." and the folder's own */
}

static void put_mntr_fds(struct jw *out)
{
	struct rlimit lim = { 0, 0 };

	getrlimit(RLIMIT_NOFILE, &lim);
	put(out, "zk_open_file_descriptor_count\t%llu\n", count_fds());
	put(out, "zk_max_file_descriptor_count\t%llu\n", (u64)lim.rlim_cur);
}

static void say_mntr(struct conn *c, struct jw *out)
{
	struct client_side *cs = c->cs;
	struct io_stats s = stats_sum(cs);
	struct store_info info = { .zxid = 0 };
	struct core_stats core = { .zxid = 0 };
	char avg[32];

	cs->st->ops->info(cs->st, &info);
	core_stats(cs->core, &core);
	put(out, "zk_version\t%s\nzk_server_state\tstandalone\n", FULL_VERSION);
	put(out, "zk_uptime\t%llu\n", c->io->now_ms - cs->started_ms);
	put(out, "zk_avg_latency\t%s\n", average(s.total_latency, s.count, avg, sizeof(avg)));
	put(out, "zk_max_latency\t%llu\nzk_min_latency\t%llu\n", s.max_latency, s.min_latency);
	put(out, "zk_packets_received\t%llu\nzk_packets_sent\t%llu\n", s.received, s.sent);
	put(out, "zk_num_alive_connections\t%u\n", count_conns(cs));
	put(out, "zk_outstanding_requests\t%u\n",
	    __atomic_load_n(&cs->outstanding, __ATOMIC_RELAXED));
	put(out, "zk_znode_count\t%llu\n", info.stats.nodes + 1);
	put(out, "zk_watch_count\t%llu\n", core.watches);
	put(out, "zk_ephemerals_count\t%llu\n", info.stats.ephemerals);
	put(out, "zk_approximate_data_size\t%llu\n", info.stats.data_bytes);
	put(out, "zk_global_sessions\t%llu\nzk_local_sessions\t0\n", core.sessions);
	put(out, "zk_proposal_count\t%llu\nzk_commit_count\t%llu\n", core.proposals,
	    core.commits);
	put(out, "zk_connection_rejected\t%llu\n",
	    __atomic_load_n(&cs->rejected, __ATOMIC_RELAXED));
	put_mntr_fds(out);
}

static void say_wchs(struct conn *c, struct jw *out)
{
	struct core_stats core = { .zxid = 0 };

	core_stats(c->cs->core, &core);
	put(out, "%llu connections watching %llu paths\nTotal watches:%llu\n", core.watchers,
	    core.watched_paths, core.watches);
}

static const struct word {
	const char *name;
	u32 word;
	void (*say)(struct conn *c, struct jw *out);
} words[] = {
	{ "conf", 0x636f6e66, say_conf },
	{ "cons", 0x636f6e73, say_cons },
	{ "crst", 0x63727374, say_crst },
	{ "dirs", 0x64697273, say_dirs },
	{ "dump", 0x64756d70, NULL },
	{ "envi", 0x656e7669, say_envi },
	{ "gtmk", 0x67746d6b, NULL },
	{ "hash", 0x68617368, NULL },
	{ "isro", 0x6973726f, say_isro },
	{ "mntr", 0x6d6e7472, say_mntr },
	{ "ruok", 0x72756f6b, say_ruok },
	{ "srst", 0x73727374, say_srst },
	{ "srvr", 0x73727672, say_srvr },
	{ "stat", 0x73746174, say_stat },
	{ "stmk", 0x73746d6b, NULL },
	{ "telnet close", 0xfff4fffd, NULL },
	{ "wchc", 0x77636863, NULL },
	{ "wchp", 0x77636870, NULL },
	{ "wchs", 0x77636873, say_wchs },
};

/* srvr always; else what the list, separated by commas, names, or all for "*". */
static bool allowed(const char *list, const char *name)
{
	size_t len = strlen(name);

	if (!strcmp(name, "srvr"))
		return true;
	while (list && *list) {
		size_t n;

		list += strspn(list, " \t,");
		n = strcspn(list, ",");
		while (n && (list[n - 1] == ' ' || list[n - 1] == '\t'))
			n--;
		if ((n == 1 && *list == '*') || (n == len && !memcmp(list, name, n)))
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

bool fourlw_run(struct conn *c, u32 word)
{
	struct jw *out = conn_out(c);

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		const struct word *w = &words[i];

		if (w->word != word)
			continue;
		stats_received(c, 1);
		conn_drain(c, DRAIN_MS);
		if (w->say && allowed(c->cs->cfg->fourlw_whitelist, w->name))
			w->say(c, out);
		else
			put(out, "%s is not executed because it is not in the whitelist.\n",
			    w->name);
		stats_sent(c, 1);
		return true;
	}
	return false;
}
