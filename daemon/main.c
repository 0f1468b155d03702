// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zkernd: the order in which the parts come up, and its reverse.
 *
 *   config -> audit -> disk (lock) -> store -> recovery -> peers -> core -> clients
 *   -> "serving"
 *
 * The main thread then waits for signals, purges old files, and tells the service
 * manager that all is well, between. SIGTERM and SIGINT end the daemon: it stops
 * listening, finishes what was proposed, answers, and leaves the log whole and a snapshot
 * behind it, so that the next start has little to do; a second one ends it at once, as
 * a crash would. Until it serves it ends at the first.
 */
#include <linux/types.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/admin/admin.h"
#include "daemon/base/config.h"
#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/client/client.h"
#include "daemon/disk/disk.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "daemon/peer/peer.h"
#include "daemon/server/audit.h"
#include "daemon/server/core.h"
#include "daemon/server/epoch.h"
#include "daemon/store/store.h"

#define MAX_TXN_BYTES	INT32_MAX	/* what a record can say */
#define ABORT_FLUSH_MS	1000
#define BIND_RETRY_MS	1000	/* QuorumCnxManager's */
#define PEER_IN_MAX	(64ull * 1024 * 1024)	/* bytes of a link that wait for the core */
#define PEER_OUT_MAX	(256ull * 1024 * 1024)	/* and to be sent */

struct daemon {
	struct options opt;
	struct config cfg;
	struct disk *disk;
	struct store *store;
	struct epochs epochs;
	struct core *core;
	struct peers *peers;		/* NULL: a single server */
	struct client_side *clients;
	pthread_mutex_t move_lock;	/* clients, as the core thread sees it, and: */
	char *host;			/* where clients are to be served; NULL: any */
	u16 port;
	bool moved;			/* before clients were there */
	struct admin *admin;		/* or NULL */
	struct disk_recovery recovery;
	char why[512];
	enum log_level level;		/* as configured, or as reread */
};

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* ---------------------------------------------------------------- configuration */

static const char *source_name(const struct options *o)
{
	return o->src.file ? o->src.file : "(no file)";
}

/* What was found goes into the log; an error is one in any case. */
static void log_findings(const struct config_report *rep, const char *name)
{
	char text[1024];
	size_t i;

	for (i = 0; i < rep->n; i++) {
		const struct config_finding *f = &rep->list[i];

		config_finding_print(f, name, text, sizeof(text));
		log_print(f->level == CONFIG_ERROR ? LOG_ERROR :
			  f->level == CONFIG_WARN ? LOG_WARN : LOG_DEBUG, "%s", text);
	}
}

static int over(char **field, const char *value)
{
	char *s = strdup(value);

	if (!s)
		return -ENOMEM;
	free(*field);
	*field = s;
	return 0;
}

/* What the command line says goes over the file, but for definitions. */
static int configure(struct daemon *d)
{
	struct config_report rep = { 0 };
	int rc = config_default(&d->cfg);

	if (!rc) {
		rc = config_read(&d->cfg, &d->opt.src, &rep);
		log_set_level(d->cfg.log_level);
		log_findings(&rep, source_name(&d->opt));
	}
	if (d->opt.instance >= 0)
		d->cfg.instance = d->opt.instance;
	if (!rc && d->opt.store)
		rc = over(&d->cfg.store, d->opt.store);
	if (rc && !rep.errors)
		log_error("configuration: %s", strerror(-rc));
	config_report_free(&rep);
	d->level = d->cfg.log_level;
	return rc;
}

static int check(struct daemon *d)
{
	struct config_report rep = { 0 };
	int rc = config_default(&d->cfg);

	if (!rc)
		rc = config_read(&d->cfg, &d->opt.src, &rep);
	if (rc == -ENOMEM ||
	    config_report_print(stdout, &rep, source_name(&d->opt), d->opt.json)) {
		fprintf(stderr, "zkernd: out of memory\n");
		rc = -ENOMEM;
	}
	if (rep.warnings)
		rc = -EINVAL;
	config_report_free(&rep);
	config_free(&d->cfg);
	return rc ? EXIT_OTHER : EXIT_FINE;
}

/* SIGHUP: the level as the file has it now, and the files opened anew. */
static void reload(struct daemon *d)
{
	struct config_report rep = { 0 };
	struct config cfg;
	int rc = config_default(&cfg);

	if (!rc) {
		rc = config_read(&cfg, &d->opt.src, &rep);
		if (rep.errors)
			log_findings(&rep, source_name(&d->opt));
		else if (!rc)
			d->level = cfg.log_level;
		config_free(&cfg);
	}
	config_report_free(&rep);
	if (!rc)
		log_set_level(d->level);
	log_info("SIGHUP: %s log level %s; other keys are read at start", rc ? "kept" : "reread",
		 log_level_names[log_get_level()]);
	rc = log_reopen();
	if (rc)
		log_error("%s: %s: logging goes on to the old file", d->cfg.log_file,
			  strerror(-rc));
	rc = audit_reopen();
	if (rc)
		log_error("%s: %s: the audit goes on to the old file", d->cfg.audit_file,
			  strerror(-rc));
}

/* Said whatever the level: who asked wants to see it. */
static void step_level(int step)
{
	int level = (int)log_get_level() + step, n;
	char line[64];

	if (level < LOG_ERROR || level > LOG_TRACE)
		return;
	log_set_level(level);
	n = snprintf(line, sizeof(line), "log level is now %s\n", log_level_names[level]);
	log_raw(LOG_INFO, line, n);
}

/* ---------------------------------------------------------------- up and down */

static int open_log(struct daemon *d)
{
	int rc = d->cfg.log_file ? log_open_file(d->cfg.log_file) : 0;

	if (rc)
		log_error("%s: %s", d->cfg.log_file, strerror(-rc));
	return rc;
}

static int open_audit(struct daemon *d)
{
	int rc = audit_open(&d->cfg, d->why, sizeof(d->why));

	if (rc)
		log_error("%s", d->why);
	return rc;
}

static int open_disk(struct daemon *d)
{
	const struct disk_params p = {
		.data_dir = d->cfg.data_dir,
		.log_dir = d->cfg.data_log_dir,
		.prealloc_bytes = d->cfg.prealloc_bytes,
		.max_txn_bytes = MAX_TXN_BYTES,
		.packed = d->cfg.snap_packed,
		.log_bytes_max = d->cfg.log_bytes_max,
		.fsync_warn_ms = d->cfg.fsync_warn_ms,
		.room_warn_bytes = d->cfg.room_warn_bytes,
		.trust_gaps = d->cfg.trust_gaps,
		.member = d->cfg.ensemble,
		.fsync = d->cfg.force_sync,
		.trust_empty = d->cfg.trust_empty,
	};
	int rc = disk_open(&p, &d->disk, d->why, sizeof(d->why));

	if (rc)
		log_error("%s", d->why);
	else if (d->cfg.ensemble)
		disk_config_node(d->disk, d->cfg.ensemble->text, d->cfg.ensemble->version,
				 d->cfg.reconfig_enabled);
	return rc;
}

static int open_store(struct daemon *d)
{
	const struct store_params p = {
		.kind = d->cfg.store,
		.instance = d->cfg.instance,
		.label = "zkernd",
	};
	const char *why = "";
	int rc = store_open(&p, &d->store, &why);

	if (rc)
		log_error("store: %s", why);
	return rc;
}

/* Whoever wants to end us meanwhile need not wait: nothing is being written. */
static void let_end(sigset_t *old)
{
	sigset_t end;

	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	pthread_sigmask(SIG_UNBLOCK, &end, old);
}

static void wait_idle(u32 ms)
{
	const struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
	sigset_t old;

	let_end(&old);
	nanosleep(&ts, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static int recover(struct daemon *d)
{
	u64 began = now_ms();
	sigset_t old;
	int rc;

	metrics_turn(began);
	notify_busy("reading the data");
	let_end(&old);
	rc = disk_recover(d->disk, d->store, &d->recovery, d->why, sizeof(d->why));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc)
		log_error("%s", d->why);
	metric_add(METRIC_dbinittime, now_ms() - began);
	return rc;
}

static int make_core(struct daemon *d)
{
	int rc = 0;

	if (d->cfg.ensemble)
		rc = epochs_load(d->disk, disk_logged(&d->recovery), &d->epochs, d->why,
				 sizeof(d->why));
	if (rc) {
		log_error("%s", d->why);
		return rc;
	}
	d->core = core_new(&d->cfg, d->store, d->disk, &d->recovery);
	if (!d->core) {
		log_error("out of memory");
		return -ENOMEM;
	}
	disk_recovery_drop_tail(&d->recovery);
	return 0;
}

/* ---------------------------------------------------------------- the members */

static bool same_text(const char *a, const char *b)
{
	return !a || !b ? a == b : !strcmp(a, b);
}

/* The clients' address of the membership in force, where it is given: our line's. */
static void serve_at(struct daemon *d, const struct peer *me)
{
	const char *host = me->client_host;

	if (!strcmp(host, "0.0.0.0") || !strcmp(host, "0:0:0:0:0:0:0:0"))
		host = NULL;
	pthread_mutex_lock(&d->move_lock);
	if (me->client_port != d->port || !same_text(host, d->host)) {
		free(d->host);
		d->host = host ? strdup(host) : NULL;
		d->port = me->client_port;
		if (d->clients && client_move(d->clients, d->host, d->port))
			log_error("no memory to serve clients at another address");
		d->moved = !d->clients;
	}
	pthread_mutex_unlock(&d->move_lock);
}

/* Core thread: keeps it in the files, and serves clients where it says. */
static void on_members(void *arg, struct ensemble *e, bool in_force)
{
	struct daemon *d = arg;
	const struct peer *me = ensemble_find(e, d->cfg.myid);
	const char *file = d->cfg.file;

	if (!in_force) {
		if (file)
			config_keep_next(file, e);
		return;
	}
	if (file && !config_keep(file, e, me && me->client_host))
		config_drop_next(file);
	if (me && me->client_host)
		serve_at(d, me);
}

/* As long as it has members of its own, zoo.cfg may come to be changed. */
static void back_up(struct daemon *d)
{
	if (d->cfg.reconfig_enabled && d->cfg.file && !d->cfg.dynamic_file)
		config_backup(d->cfg.file);
}

/* All that is kept may be sent at once, and as much again may come meanwhile. */
static u64 observer_out_max(const struct config *cfg)
{
	if (!cfg->observer_queue)
		return PEER_OUT_MAX;
	return 2ULL * (cfg->observer_queue + core_max_packet(cfg));
}

static int start_peers(struct daemon *d)
{
	const struct config *cfg = &d->cfg;
	struct peers_params p = {
		.myid = cfg->myid,
		.ensemble = cfg->ensemble,
		.listen_all = cfg->quorum_listen_all,
		.multi_address = cfg->multi_addr,
		.keepalive = true,
		.reach_ms = cfg->multi_addr && cfg->reach_check ? cfg->reach_ms : 0,
		.connect_ms = cfg->cnx_timeout_ms,
		.hello_ms = cfg->cnx_timeout_ms,
		.sync_ms = cfg->tick_ms * cfg->sync_limit,
		.init_ms = cfg->tick_ms * cfg->init_limit,
		.leader_ms = cfg->tick_ms * (cfg->connect_limit ? cfg->connect_limit :
					     cfg->init_limit),
		.observer_port = cfg->observer_port,
		.observer_out_max = observer_out_max(cfg),
		.max_packet = core_max_packet(cfg),
		.in_max = PEER_IN_MAX,
		.out_max = PEER_OUT_MAX,
		.disk = d->disk,
		.deliver = core_deliver,
		.wake = core_wake,
		.arg = d->core,
	};
	int rc;

	if (!cfg->ensemble)
		return 0;
	rc = peers_start(&p, &d->peers, d->why, sizeof(d->why));
	for (u32 i = 1; rc == -EADDRNOTAVAIL && (!cfg->bind_tries || i < cfg->bind_tries); i++) {
		log_warn("%s: trying again", d->why);
		notify_busy("waiting for the election port");
		wait_idle(BIND_RETRY_MS);
		rc = peers_start(&p, &d->peers, d->why, sizeof(d->why));
	}
	if (rc) {
		log_error("%s", d->why);
		return rc;
	}
	if (cfg->next_ensemble)
		rc = peer_ensemble(d->peers, cfg->next_ensemble, false);
	d->port = cfg->client_port;
	d->host = cfg->client_addr ? strdup(cfg->client_addr) : NULL;
	core_join(d->core, d->peers, d->epochs.accepted, d->epochs.current);
	core_on_members(d->core, on_members, d);
	back_up(d);
	return rc;
}

static int start_core(struct daemon *d)
{
	int rc = core_start(d->core);

	if (rc)
		log_error("cannot start: %s", strerror(-rc));
	return rc;
}

static int start_clients(struct daemon *d)
{
	struct client_side *cs;
	int rc = client_start(&d->cfg, d->core, d->store, d->disk, &cs, d->why,
			      sizeof(d->why));

	if (rc) {
		log_error("%s", d->why);
		return rc;
	}
	pthread_mutex_lock(&d->move_lock);
	d->clients = cs;
	if (d->moved)
		rc = client_move(cs, d->host, d->port);
	pthread_mutex_unlock(&d->move_lock);
	return rc;
}

/* In this order; the first that fails says with which status we end. */
static const struct {
	int (*up)(struct daemon *d);
	enum exit_code failed;
} steps[] = {
	{ configure, EXIT_CONFIG },
	{ open_log, EXIT_CONFIG },
	{ open_audit, EXIT_CONFIG },
	{ open_disk, EXIT_DATA },
	{ open_store, EXIT_STORE },
	{ recover, EXIT_DATA },
	{ make_core, EXIT_DATA },
	{ start_peers, EXIT_PORT },
	{ start_core, EXIT_OTHER },
	{ start_clients, EXIT_PORT },
};

static enum exit_code come_up(struct daemon *d)
{
	size_t i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int rc = steps[i].up(d);

		if (rc)
			return rc == -ENOMEM ? EXIT_OTHER : steps[i].failed;
	}
	return EXIT_FINE;
}

static void say_serving(struct daemon *d, u64 began)
{
	const struct disk_recovery *r = &d->recovery;
	struct store_info info = { 0 };

	if (d->store->ops->info(d->store, &info))
		info.kind = d->store->ops->kind;
	log_info("%s %s:%u: store %s, zxid 0x%llx, %llu nodes, %u sessions; %s 0x%llx, %llu transactions replayed, up in %llu ms",
		 d->cfg.ensemble ? "looking for the ensemble, clients at" : "serving",
		 d->cfg.client_addr ? d->cfg.client_addr : "*", client_port(d->clients),
		 info.kind, r->zxid, info.stats.nodes, r->n_sessions,
		 r->kept ? "kept the kernel's tree, sessions of snapshot" : "snapshot",
		 r->snapshot_zxid, r->replayed, now_ms() - began);
	if (r->digest_mismatches)
		log_warn("%llu digests of the log differ from the tree's",
			 r->digest_mismatches);
}

/*
 * The process ends: that gives a tree's memory back at once, and its file of the
 * kernel's store, where giving up millions of nodes one by one takes seconds. Whoever
 * looks for leaks wants them given up.
 */
static void leave_store(struct store *st)
{
#if defined(__SANITIZE_ADDRESS__)
	st->ops->close(st);
#else
	(void)st;
#endif
}

/*
 * Whatever is up, in the reverse order. No client is let in any more; the core
 * finishes what is proposed; the answers leave; then nothing changes the tree.
 */
static void shut_down(struct daemon *d)
{
	admin_stop(d->admin);
	if (d->clients)
		client_stop_listening(d->clients);
	if (d->core)
		core_stop(d->core);
	if (d->clients) {
		client_stop(d->clients);
		client_free(d->clients);
	}
	if (d->peers)
		peers_stop(d->peers);
	if (d->core) {
		core_snapshot(d->core);
		core_free(d->core);
	}
	if (d->peers)
		peers_free(d->peers);
	disk_recovery_free(&d->recovery);
	free(d->host);
	disk_close(d->disk);
	if (d->store)
		leave_store(d->store);
	audit_close();
}

static void purge(struct daemon *d)
{
	int rc = disk_purge(d->disk, d->cfg.purge_retain);

	if (rc)
		log_warn("autopurge: %s", strerror(-rc));
}

/* ---------------------------------------------------------------- signals */

/* False: it is to end. */
static bool handle_signal(struct daemon *d, int sig)
{
	switch (sig) {
	case SIGTERM:
	case SIGINT:
		log_info("%s: shutting down; a second one ends at once",
			 sig == SIGTERM ? "SIGTERM" : "SIGINT");
		return false;
	case SIGHUP:
		notify_reloading();
		reload(d);
		notify_ready();
		break;
	case SIGUSR1:
		step_level(1);
		break;
	case SIGUSR2:
		step_level(-1);
		break;
	}
	return true;
}

/* Until a signal says to end; purges now and every purge_hours (autopurge). */
static void serve(struct daemon *d, const sigset_t *signals)
{
	u64 step = (u64)d->cfg.purge_hours * 3600 * 1000, next = now_ms();
	u64 wait = notify_every_ms(), now;
	struct timespec ts;
	int sig;

	do {
		now = now_ms();
		if (step && now >= next) {
			purge(d);
			next = now + step;
		}
		notify_alive(d->core);
		if (step && next - now < wait)
			wait = next - now + 1;
		ts.tv_sec = wait / 1000;
		ts.tv_nsec = wait % 1000 * 1000000;
		wait = notify_every_ms();
		sig = sigtimedwait(signals, NULL, &ts);
	} while (sig < 0 || handle_signal(d, sig));
}

/* From now on as if nobody had asked to be told: the second one ends us. */
static void let_signals_end_us(void)
{
	sigset_t end;

	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigaddset(&end, SIGINT);
	pthread_sigmask(SIG_UNBLOCK, &end, NULL);
}

/* As many files as we may have: each client is one. */
static void raise_limits(void)
{
	struct rlimit lim;

	if (!getrlimit(RLIMIT_NOFILE, &lim) && lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &lim))
			log_warn("cannot raise the limit of open files: %s", strerror(errno));
	}
}

/* Who aborts has said why: let it be read. */
static void on_abort(int sig)
{
	(void)sig;
	log_flush(ABORT_FLUSH_MS);
}

/* Signals are for this thread alone; the others inherit that they are blocked. */
static void take_signals(sigset_t *signals)
{
	static const int ours[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGABRT, on_abort);
	sigemptyset(signals);
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(signals, ours[i]);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static enum exit_code run(struct daemon *d, const sigset_t *signals, u64 began)
{
	enum exit_code status = come_up(d);

	if (status) {
		audit_server("serverStart", AUDIT_FAILURE);
	} else {
		audit_server("serverStart", AUDIT_SUCCESS);
		d->admin = admin_start(&d->cfg, d->clients);
		say_serving(d, began);
		if (log_start())
			log_warn("the log has no thread of its own: it may make others wait");
		notify_ready();
		serve(d, signals);
		audit_server("serverStop", AUDIT_INVOKED);
		notify_stopping();
		notify_busy("ending");
		let_signals_end_us();
	}
	shut_down(d);
	notify_end();
	log_stop();
	config_free(&d->cfg);
	return status;
}

int main(int argc, char **argv)
{
	static struct daemon d = { .move_lock = PTHREAD_MUTEX_INITIALIZER };
	u64 began = now_ms();
	sigset_t signals;
	int rc;

	rc = options_read(&d.opt, argc, argv);
	if (rc < 0 && d.opt.check)
		rc = check(&d);
	if (rc < 0) {
		umask(027);
		take_signals(&signals);
		raise_limits();
		store_thread_init();
		rc = run(&d, &signals, began);
		store_thread_exit();
	}
	options_free(&d.opt);
	return rc;
}
