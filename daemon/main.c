// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zkernd: options, the order in which the parts come up, and its reverse.
 *
 *   config -> disk (lock) -> store -> recovery -> core -> clients -> "serving"
 *
 * The main thread then waits for signals, and purges old files between. SIGTERM
 * and SIGINT end the daemon: it stops listening, finishes what was proposed, leaves
 * the log whole, and a snapshot behind it, so that the next start has little to do.
 */
#include <linux/types.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/admin/admin.h"
#include "daemon/base/config.h"
#include "daemon/base/log.h"
#include "daemon/base/metrics.h"
#include "daemon/client/client.h"
#include "daemon/disk/disk.h"
#include "daemon/server/core.h"
#include "daemon/store/store.h"

#define EXIT_USAGE	2
#define MAX_TXN_BYTES	INT32_MAX	/* what a record can say */

static const char usage_text[] =
	"usage: zkernd [--store auto|kernel|memory] [--instance N] [CONFIG]\n"
	"\n"
	"A ZooKeeper server whose tree is in the kernel (zkern.ko) or in its own memory.\n"
	"\n"
	"CONFIG is a zoo.cfg. Without one: port 2181, data in /var/lib/zkern or, where\n"
	"that cannot be written, in ~/.local/state/zkern.\n"
	"\n"
	"  -s, --store KIND   auto: the kernel where the module is loaded, else memory\n"
	"  -i, --instance N   the kernel's /dev/zkernN; made if missing (default 0)\n"
	"  -h, --help         this text\n"
	"  -V, --version      the version\n";

struct daemon {
	struct config cfg;
	struct disk *disk;
	struct store *store;
	struct core *core;
	struct client_side *clients;
	struct admin *admin;		/* or NULL */
	struct disk_recovery recovery;
	char why[512];
};

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* ---------------------------------------------------------------- options */

static int usage_error(const char *what, const char *arg)
{
	fprintf(stderr, "zkernd: %s%s\n%s", what, arg, usage_text);
	return EXIT_USAGE;
}

/* -1: go on; else the exit status. What the command line says goes over the file. */
static int options(int argc, char **argv, const char **store, int *instance,
		   const char **file)
{
	static const struct option longs[] = {
		{ "store", required_argument, NULL, 's' },
		{ "instance", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "s:i:hV", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			if (strcmp(optarg, "auto") && strcmp(optarg, "kernel") &&
			    strcmp(optarg, "memory"))
				return usage_error("no such store: ", optarg);
			*store = optarg;
			break;
		case 'i':
			*instance = strtol(optarg, &end, 10);
			if (!*optarg || *end || *instance < 0 || *instance > 255)
				return usage_error("no such instance: ", optarg);
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		case 'V':
			puts("zkernd " ZKERN_VERSION);
			return 0;
		default:
			fputs(usage_text, stderr);
			return EXIT_USAGE;
		}
	}
	if (argc - optind > 1)
		return usage_error("one configuration file at most: ", argv[optind + 1]);
	*file = argv[optind];
	return -1;
}

static int configure(struct daemon *d, const char *store, int instance, const char *file)
{
	int rc = config_default(&d->cfg);

	if (rc) {
		log_error("out of memory");
		return rc;
	}
	if (file) {
		rc = config_load(&d->cfg, file, d->why, sizeof(d->why));
		if (rc) {
			log_error("%s", d->why);
			return rc;
		}
	}
	if (instance >= 0)
		d->cfg.instance = instance;
	if (store) {
		char *s = strdup(store);

		if (!s)
			return -ENOMEM;
		free(d->cfg.store);
		d->cfg.store = s;
	}
	return 0;
}

/* ---------------------------------------------------------------- systemd */

/* sd_notify(3): one datagram to the socket that the environment names. */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t len;
	int fd;

	if (!path || (path[0] != '/' && path[0] != '@'))
		return;
	len = strlen(path);
	if (len >= sizeof(sa.sun_path))
		return;
	memcpy(sa.sun_path, path, len);
	if (path[0] == '@')
		sa.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sa,
		   offsetof(struct sockaddr_un, sun_path) + len) < 0)
		log_warn("cannot tell systemd: %s", strerror(errno));
	close(fd);
}

/* ---------------------------------------------------------------- up and down */

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
		.fsync = d->cfg.force_sync,
		.trust_empty = d->cfg.trust_empty,
	};
	int rc = disk_open(&p, &d->disk, d->why, sizeof(d->why));

	if (rc)
		log_error("%s", d->why);
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

static int recover(struct daemon *d)
{
	u64 began = now_ms();
	int rc = disk_recover(d->disk, d->store, &d->recovery, d->why, sizeof(d->why));

	if (rc)
		log_error("%s", d->why);
	metric_add(METRIC_dbinittime, now_ms() - began);
	return rc;
}

static int start_core(struct daemon *d)
{
	int rc;

	d->core = core_new(&d->cfg, d->store, d->disk, &d->recovery);
	if (!d->core) {
		log_error("out of memory");
		return -ENOMEM;
	}
	rc = core_start(d->core);
	if (rc)
		log_error("cannot start: %s", strerror(-rc));
	return rc;
}

static int start_clients(struct daemon *d)
{
	int rc = client_start(&d->cfg, d->core, d->store, d->disk, &d->clients, d->why,
			      sizeof(d->why));

	if (rc)
		log_error("%s", d->why);
	return rc;
}

static void say_serving(struct daemon *d, u64 began)
{
	const struct disk_recovery *r = &d->recovery;
	struct store_info info = { 0 };

	if (d->store->ops->info(d->store, &info))
		info.kind = d->store->ops->kind;
	log_info("serving %s:%u: store %s, zxid 0x%llx, %llu nodes, %u sessions; %s 0x%llx, %llu transactions replayed, up in %llu ms",
		 d->cfg.client_addr ? d->cfg.client_addr : "*", client_port(d->clients),
		 info.kind, r->zxid, info.stats.nodes, r->n_sessions,
		 r->kept ? "kept the kernel's tree, sessions of snapshot" : "snapshot",
		 r->snapshot_zxid, r->replayed, now_ms() - began);
	if (r->digest_mismatches)
		log_warn("%llu digests of the log differ from the tree's",
			 r->digest_mismatches);
}

/* Whatever is up, in the reverse order. */
static void shut_down(struct daemon *d)
{
	admin_stop(d->admin);
	if (d->clients)
		client_stop(d->clients);
	if (d->core)
		core_stop(d->core);
	if (d->clients)
		client_free(d->clients);
	if (d->core) {
		core_snapshot(d->core);
		core_free(d->core);
	}
	free(d->recovery.sessions);
	disk_close(d->disk);
	if (d->store)
		d->store->ops->close(d->store);
	config_free(&d->cfg);
}

static void purge(struct daemon *d)
{
	int rc = disk_purge(d->disk, d->cfg.purge_retain);

	if (rc)
		log_warn("autopurge: %s", strerror(-rc));
}

/* Until a signal says to end; purges now and every purge_hours (autopurge). */
static void wait_for_end(struct daemon *d, const sigset_t *signals)
{
	u64 step = (u64)d->cfg.purge_hours * 3600 * 1000, next = now_ms();
	struct timespec ts;
	u64 now;
	int sig;

	for (;;) {
		now = now_ms();
		if (step && now >= next) {
			purge(d);
			next = now + step;
		}
		ts.tv_sec = step ? (next - now) / 1000 + 1 : 3600;
		ts.tv_nsec = 0;
		sig = sigtimedwait(signals, NULL, &ts);
		if (sig == SIGTERM || sig == SIGINT) {
			log_info("%s: shutting down", sig == SIGTERM ? "SIGTERM" : "SIGINT");
			return;
		}
	}
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

/* Signals are for this thread alone; the others inherit that they are blocked. */
static void take_signals(sigset_t *signals)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
}

int main(int argc, char **argv)
{
	const char *store = NULL, *file = NULL;
	static struct daemon d;
	u64 began = now_ms();
	sigset_t signals;
	int rc, instance = -1;

	rc = options(argc, argv, &store, &instance, &file);
	if (rc >= 0)
		return rc;
	umask(027);
	take_signals(&signals);
	raise_limits();
	store_thread_init();
	rc = configure(&d, store, instance, file);
	if (!rc)
		rc = open_disk(&d);
	if (!rc)
		rc = open_store(&d);
	if (!rc)
		rc = recover(&d);
	if (!rc)
		rc = start_core(&d);
	if (!rc)
		rc = start_clients(&d);
	if (!rc) {
		d.admin = admin_start(&d.cfg, d.clients);
		say_serving(&d, began);
		notify("READY=1");
		wait_for_end(&d, &signals);
		notify("STOPPING=1");
	}
	shut_down(&d);
	store_thread_exit();
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
