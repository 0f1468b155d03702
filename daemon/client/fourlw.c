// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Four-letter words: a connection whose first four bytes are one gets a text and
 * is closed (the classes of org.apache.zookeeper.server.command, and what they
 * print).
 *
 * Words that are answered in no time are so by the I/O thread that owns the
 * connection; the others by the thread of report.h.
 */
#include <dirent.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemon/admin/values.h"
#include "daemon/base/digestlog.h"
#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/client/fourlw.h"
#include "daemon/client/report.h"
#include "daemon/server/walk.h"
#include "daemon/zab/ensemble.h"

#define DIR_DEPTH	8
#define STMK		0x73746d6b
#define HASH		0x68617368
#define TEXTS_MAX	(64 * 1024 * 1024)	/* bytes waiting to be sent */

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

/* As ZooKeeper has them in all it prints: the two the wrong way round. */
u64 data_dir_size(const struct config *cfg)
{
	return version_dir_size(log_dir(cfg));
}

u64 log_dir_size(const struct config *cfg)
{
	return version_dir_size(cfg->data_dir);
}

/* ------------------------------------------------------------ connections */

static void put_conn(struct jw *out, const struct conn_view *v, bool brief)
{
	const struct conn_stats *s = &v->stats;

	jw_printf(out, " %s[%d](queued=%u,recved=%llu,sent=%llu", v->name, v->reads, v->asked,
		  s->received, s->sent);
	if (!brief && v->session) {
		jw_printf(out, ",sid=0x%llx,lop=%s,est=%llu,to=%d", v->session, stats_op(s->op),
			  s->established_ms, v->timeout);
		if (s->last_cxid >= 0)
			jw_printf(out, ",lcxid=0x%llx", (u64)s->last_cxid);
		jw_printf(out, ",lzxid=0x%llx,lresp=%llu,llat=%llu", s->last_zxid, s->last_ms,
			  s->last_latency);
		jw_printf(out, ",minlat=%llu,avglat=%llu,maxlat=%llu", s->min_latency,
			  s->count ? s->total_latency / s->count : 0, s->max_latency);
	}
	jw_printf(out, ")\n");
}

static void put_conns(struct client_side *cs, struct jw *out, bool brief)
{
	struct conn_view *v;
	u32 n;

	if (conns_view(cs, &v, &n)) {
		out->err = -ENOMEM;
		return;
	}
	for (u32 i = 0; i < n; i++)
		put_conn(out, &v[i], brief);
	free(v);
}

/* ------------------------------------------------------------ quick words */

static void say_ruok(struct client_side *cs, struct jw *out)
{
	(void)cs;
	jw_printf(out, "imok");
}

static void say_isro(struct client_side *cs, struct jw *out)
{
	static const char *const words[] = { "rw", "null", "ro" };

	jw_printf(out, "%s", words[values_serves(cs)]);
}

static void say_crst(struct client_side *cs, struct jw *out)
{
	stats_reset_conns(cs);
	jw_printf(out, "Connection stats reset.\n");
}

static void say_srst(struct client_side *cs, struct jw *out)
{
	stats_reset_server(cs);
	jw_printf(out, "Server stats reset.\n");
}

static void say_gtmk(struct client_side *cs, struct jw *out)
{
	jw_printf(out, "%lld", (s64)__atomic_load_n(&cs->trace_mask, __ATOMIC_RELAXED));
}

/* Of a leader (BufferStats). */
static void put_proposals(struct client_side *cs, struct jw *out)
{
	struct core_stats s = { .zxid = 0 };

	if (strcmp(values_state(cs), "leader"))
		return;
	core_stats(cs->core, &s);
	jw_printf(out, "Proposal sizes last/min/max: %lld/%lld/%lld\n", s.last_size,
		  s.min_size, s.max_size);
}

static void put_server(struct client_side *cs, struct jw *out)
{
	struct io_stats s = stats_sum(cs);
	struct store_info info = { .zxid = store_zxid(cs->st) };
	char avg[32];

	cs->st->ops->info(cs->st, &info);
	jw_printf(out, "Latency min/avg/max: %llu/%s/%llu\n", s.min_latency,
		  values_real(s.count ? (double)s.total_latency / s.count : 0, avg), s.max_latency);
	jw_printf(out, "Received: %llu\nSent: %llu\n", s.received, s.sent);
	jw_printf(out, "Connections: %u\n", conns_count(cs));
	jw_printf(out, "Outstanding: %u\n", __atomic_load_n(&cs->outstanding, __ATOMIC_RELAXED));
	jw_printf(out, "Zxid: 0x%llx\nMode: %s\n", info.zxid, values_state(cs));
	jw_printf(out, "Node count: %llu\n", values_nodes(&info));
	put_proposals(cs, out);
}

static void put_version(struct client_side *cs, struct jw *out)
{
	jw_printf(out, "Zookeeper version: %s\n", VALUES_VERSION);
	if (values_serves(cs) == CORE_SERVES_READERS)
		jw_printf(out, "READ-ONLY mode; serving only read-only clients\n");
}

static void say_srvr(struct client_side *cs, struct jw *out)
{
	put_version(cs, out);
	put_server(cs, out);
}

/* ------------------------------------------------------------ the others */

static void say_stat(struct client_side *cs, struct jw *out)
{
	put_version(cs, out);
	jw_printf(out, "Clients:\n");
	put_conns(cs, out, true);
	jw_printf(out, "\n");
	put_server(cs, out);
}

static void say_cons(struct client_side *cs, struct jw *out)
{
	put_conns(cs, out, false);
	jw_printf(out, "\n");
}

static void say_dirs(struct client_side *cs, struct jw *out)
{
	jw_printf(out, "datadir_size: %llu\n", data_dir_size(cs->cfg));
	jw_printf(out, "logdir_size: %llu\n", log_dir_size(cs->cfg));
}

static void put_ports(struct jw *out, const struct peer *me, bool election)
{
	jw_printf(out, election ? "electionPort=" : "quorumPort=");
	for (u32 i = 0; i < me->n_addrs; i++)
		jw_printf(out, "%s%u", i ? "|" : "", election ? me->addrs[i].election_port :
								 me->addrs[i].quorum_port);
	jw_printf(out, "\n");
}

/* QuorumZooKeeperServer.dumpConf(), ReadOnlyZooKeeperServer.dumpConf() */
static void put_ensemble(struct client_side *cs, bool readers, struct jw *out)
{
	const struct config *cfg = cs->cfg;
	struct ensemble *e = core_members(cs->core);
	const struct peer *me = ensemble_find(e, cfg->myid);

	/* removed: where it was */
	if (!me)
		me = ensemble_find(cfg->ensemble, cfg->myid);
	jw_printf(out, "initLimit=%u\nsyncLimit=%u\nelectionAlg=3\n", cfg->init_limit,
		  cfg->sync_limit);
	put_ports(out, me, true);
	put_ports(out, me, false);
	jw_printf(out, "peerType=%d\n", me->observer);
	if (!readers) {
		jw_printf(out, "membership: \n");
		jw_bytes(out, e->text, strlen(e->text));
	}
	ensemble_put(e);
}

static void say_conf(struct client_side *cs, struct jw *out)
{
	const struct config *cfg = cs->cfg;

	jw_printf(out, "clientPort=%u\nsecureClientPort=-1\n", client_port(cs));
	jw_printf(out, "dataDir=%s/version-2\n", cfg->data_dir);
	jw_printf(out, "dataDirSize=%llu\n", data_dir_size(cfg));
	jw_printf(out, "dataLogDir=%s/version-2\n", log_dir(cfg));
	jw_printf(out, "dataLogSize=%llu\n", log_dir_size(cfg));
	jw_printf(out, "tickTime=%u\nmaxClientCnxns=%u\n", cfg->tick_ms, cfg->max_client_cnxns);
	jw_printf(out, "minSessionTimeout=%u\nmaxSessionTimeout=%u\n", cfg->min_session_ms,
		  cfg->max_session_ms);
	jw_printf(out, "clientPortListenBacklog=-1\nserverId=%llu\n",
		  cfg->ensemble ? cfg->myid : 0ULL);
	if (cfg->ensemble)
		put_ensemble(cs, values_serves(cs) == CORE_SERVES_READERS, out);
}

void environment_each(void (*fn)(void *arg, const char *key, const char *value), void *arg)
{
	static const char *const java[] = {
		"java.version", "java.vendor", "java.home", "java.class.path",
		"java.library.path", "java.io.tmpdir", "java.compiler",
	};
	char host[256] = "<NA>", dir[4096], user[1024], mb[32];
	struct passwd pw, *found = NULL;
	struct utsname un;
	struct sysinfo si;

	uname(&un);
	sysinfo(&si);
	gethostname(host, sizeof(host) - 1);
	getpwuid_r(getuid(), &pw, user, sizeof(user), &found);
	fn(arg, "zookeeper.version", VALUES_VERSION);
	fn(arg, "host.name", host);
	for (size_t i = 0; i < sizeof(java) / sizeof(*java); i++)
		fn(arg, java[i], "<NA>");
	fn(arg, "os.name", un.sysname);
	fn(arg, "os.arch", strcmp(un.machine, "x86_64") ? un.machine : "amd64");
	fn(arg, "os.version", un.release);
	fn(arg, "user.name", found ? found->pw_name : "<NA>");
	fn(arg, "user.home", found ? found->pw_dir : "<NA>");
	fn(arg, "user.dir", getcwd(dir, sizeof(dir)) ? dir : "<NA>");
	snprintf(mb, sizeof(mb), "%lluMB", (u64)si.freeram * si.mem_unit >> 20);
	fn(arg, "os.memory.free", mb);
	snprintf(mb, sizeof(mb), "%lluMB", (u64)si.totalram * si.mem_unit >> 20);
	fn(arg, "os.memory.max", mb);
	fn(arg, "os.memory.total", mb);
}

static void put_entry(void *out, const char *key, const char *value)
{
	jw_bytes(out, key, strlen(key));
	jw_bytes(out, "=", 1);
	jw_bytes(out, value, strlen(value));
	jw_bytes(out, "\n", 1);
}

static void say_envi(struct client_side *cs, struct jw *out)
{
	(void)cs;
	jw_printf(out, "Environment:\n");
	environment_each(put_entry, out);
}

static void put_value(void *arg, const struct value *v)
{
	struct jw *out = arg;
	char real[32];

	switch (v->kind) {
	case VALUE_TEXT:
		jw_printf(out, "zk_%s\t%s\n", v->name, v->text);
		break;
	case VALUE_WHOLE:
		jw_printf(out, "zk_%s\t%lld\n", v->name, v->whole);
		break;
	case VALUE_REAL:
		jw_printf(out, "zk_%s\t%s\n", v->name, values_real(v->real, real));
		break;
	}
}

static void say_mntr(struct client_side *cs, struct jw *out)
{
	values_each(cs, put_value, out);
}

static void say_hash(struct client_side *cs, struct jw *out)
{
	struct digest_entry *e = malloc(DIGEST_LOG_MAX * sizeof(*e));
	u32 n = 0;

	if (!e)
		out->err = -ENOMEM;
	else if (cs->cfg->digest_enabled)
		n = digest_log_copy(e);
	for (u32 i = 0; i < n; i++)
		jw_printf(out, "%llx: %lld\n", e[i].zxid, (s64)e[i].digest);
	free(e);
}

/* ------------------------------------------------------------ the table */

static const struct word {
	const char *name;
	u32 word;
	bool quick;		/* answered by the I/O thread */
	bool always;		/* whether clients are served or not */
	void (*say)(struct client_side *cs, struct jw *out);
} words[] = {
	{ "conf", 0x636f6e66, false, false, say_conf },
	{ "cons", 0x636f6e73, false, false, say_cons },
	{ "crst", 0x63727374, true, false, say_crst },
	{ "dirs", 0x64697273, false, false, say_dirs },
	{ "dump", 0x64756d70, false, false, say_dump },
	{ "envi", 0x656e7669, false, true, say_envi },
	{ "gtmk", 0x67746d6b, true, true, say_gtmk },
	{ "hash", HASH, false, false, say_hash },
	{ "isro", 0x6973726f, true, true, say_isro },
	{ "mntr", 0x6d6e7472, false, false, say_mntr },
	{ "ruok", 0x72756f6b, true, true, say_ruok },
	{ "srst", 0x73727374, true, false, say_srst },
	{ "srvr", 0x73727672, true, false, say_srvr },
	{ "stat", 0x73746174, false, false, say_stat },
	{ "stmk", STMK, true, true, NULL },
	/* what telnet sends at its end: known, and nothing is answered */
	{ "telnet close", 0xfff4fffd, true, true, NULL },
	{ "wchc", 0x77636863, false, false, say_wchc },
	{ "wchp", 0x77636870, false, false, say_wchp },
	{ "wchs", 0x77636873, false, false, say_wchs },
};

/* srvr always, and isro where clients need it to find a server that writes; else what the
 * list, separated by commas, names, or all for "*". */
static bool allowed(const struct config *cfg, const char *name)
{
	const char *list = cfg->fourlw_whitelist;
	size_t len = strlen(name);

	if (!strcmp(name, "srvr") || (cfg->readonly_mode && !strcmp(name, "isro")))
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

/* Eight bytes follow the word: the mask, a Java long. It is kept and means nothing
 * here. ZooKeeper closes if they did not come with the word. */
static void set_trace_mask(struct conn *c, const u8 *rest, size_t len)
{
	u64 mask;

	if (len < 8)
		return;
	mask = jute_get64(rest);
	__atomic_store_n(&c->cs->trace_mask, mask, __ATOMIC_RELAXED);
	jw_printf(conn_out(c), "%lld", (s64)mask);
}

/* The connection reads no more, and waits for its text. It says so before the text,
 * which may show it, is worked out. */
static bool report(struct conn *c, const struct word *w)
{
	u8 state = c->state;
	int err = -EBUSY;

	if (__atomic_load_n(&c->cs->texts, __ATOMIC_RELAXED) <= TEXTS_MAX) {
		__atomic_store_n(&c->state, CONN_WAIT, __ATOMIC_RELAXED);
		err = report_submit(c->cs->reports, c, w->say);
	}
	if (!err) {
		list_del_init(&c->timed);
		return true;
	}
	c->state = state;
	jw_printf(conn_out(c), "%s is not executed: %s.\n", w->name,
		  err == -EBUSY ? "too many commands are under way" : "out of memory");
	return false;
}

bool fourlw_run(struct conn *c, u32 word, const u8 *rest, size_t len)
{
	struct jw *out = conn_out(c);
	const struct word *w = NULL;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words) && !w; i++)
		if (words[i].word == word)
			w = &words[i];
	if (!w)
		return false;
	stats_received(c, 1);
	metric_count(METRIC_bytes_received_count, 4);
	if (!allowed(c->cs->cfg, w->name))
		jw_printf(out, "%s is not executed because it is not in the whitelist.\n",
			  w->name);
	else if (word == STMK)
		set_trace_mask(c, rest, len);
	else if (!w->always && values_serves(c->cs) == CORE_SERVES_NOBODY)
		/* HashCommand ends no line */
		jw_printf(out, "This ZooKeeper instance is not currently serving requests%s",
			  word == HASH ? "" : "\n");
	else if (w->quick && w->say)
		w->say(c->cs, out);
	else if (w->say && report(c, w))
		return true;
	conn_drain(c, DRAIN_MS);
	stats_sent(c, 0);
	return true;
}
