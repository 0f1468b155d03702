// SPDX-License-Identifier: GPL-2.0-or-later
/* See drive_quorum.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/config.h"
#include "daemon/base/log.h"
#include "daemon/peer/peer.h"
#include "daemon/server/epoch.h"
#include "selftests/fuzz/drive_quorum.h"
#include "selftests/lib/members.h"

#define TURNS_MAX	20000	/* of one pump: then something never ends */
#define PATIENCE_MS	30000	/* for the threads, of real time */
#define HISTORY		6	/* transactions */

struct fuzz_server server;

static const char *top;
static char work[256], history[256];
static u64 now_ms = 1000000;
static u64 wall = 1700000000000;

/* ---------------------------------------------------------------- time */

u64 __wrap_peer_now_ms(void);

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags);

/* Keys of hash tables: the same in each run. */
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags)
{
	(void)flags;
	memset(buf, 7, len);
	return len;
}

u64 srv_now(void)
{
	return __atomic_load_n(&now_ms, __ATOMIC_SEQ_CST);
}

u64 __wrap_peer_now_ms(void)
{
	return srv_now();
}

static u64 mono_ms(void *arg)
{
	(void)arg;
	return srv_now();
}

static u64 wall_ms(void *arg)
{
	(void)arg;
	return wall + srv_now();
}

static void nap(void *arg, u32 ms)
{
	(void)arg;
	(void)ms;
	fuzz_fail("no memory");
}

void srv_pass(u32 ms)
{
	__atomic_add_fetch(&now_ms, ms, __ATOMIC_SEQ_CST);
	sock_receiver_looks();
	srv_pump();
}

/* ---------------------------------------------------------------- the disk's news */

/*
 * What is appended is durable at once; the core hears of it when the fuzzer likes. Linked
 * in the place of the disk's functions.
 */
int __real_disk_start(struct disk *d, u64 last, void (*durable)(void *arg, u64 zxid),
		      void (*failed)(void *arg, int err, const char *text), void *arg);
int __wrap_disk_start(struct disk *d, u64 last, void (*durable)(void *arg, u64 zxid),
		      void (*failed)(void *arg, int err, const char *text), void *arg);
int __real_disk_truncate(struct disk *d, u64 zxid, char *why, size_t why_len);
int __wrap_disk_truncate(struct disk *d, u64 zxid, char *why, size_t why_len);
int __real_disk_reload(struct disk *d, struct store *st, struct disk_recovery *r, char *why,
		       size_t why_len);
int __wrap_disk_reload(struct disk *d, struct store *st, struct disk_recovery *r, char *why,
		       size_t why_len);

static struct {
	void (*tell)(void *arg, u64 zxid);
	void *arg;
	u64 durable, told;
	bool hold;
} news;

static void on_durable(void *arg, u64 zxid)
{
	(void)arg;
	news.durable = zxid;
}

static void on_failed(void *arg, int err, const char *text)
{
	(void)arg;
	(void)err;
	fuzz_fail(text);
}

static void begin_at(u64 zxid)
{
	news.durable = zxid;
	news.told = zxid;
}

int __wrap_disk_start(struct disk *d, u64 last, void (*durable)(void *arg, u64 zxid),
		      void (*failed)(void *arg, int err, const char *text), void *arg)
{
	(void)failed;
	news.tell = durable;
	news.arg = arg;
	news.hold = false;
	begin_at(last);
	return __real_disk_start(d, last, on_durable, on_failed, NULL);
}

int __wrap_disk_truncate(struct disk *d, u64 zxid, char *why, size_t why_len)
{
	int rc = __real_disk_truncate(d, zxid, why, why_len);

	if (!rc)
		begin_at(zxid);
	return rc;
}

int __wrap_disk_reload(struct disk *d, struct store *st, struct disk_recovery *r, char *why,
		       size_t why_len)
{
	int rc = __real_disk_reload(d, st, r, why, why_len);

	if (!rc)
		begin_at(r->zxid);
	return rc;
}

void srv_hold_disk(bool hold)
{
	news.hold = hold;
}

/* Whether there was something to write, or to tell. */
static bool disk_turn(void)
{
	bool wrote = drive_log_turn(server.disk);

	if (news.hold || news.durable == news.told)
		return wrote;
	news.told = news.durable;
	news.tell(news.arg, news.durable);
	return true;
}

/* ---------------------------------------------------------------- the loops */

static u64 core_due;

static bool core_turn(void)
{
	struct core *c = server.core;
	bool more = !queue_empty(&c->queue) || !queue_empty(&c->peer_queue) || c->peer_todo;

	if (!more && srv_now() < core_due)
		return false;
	core_round(c);
	core_due = srv_now() + core_wait_ms(c);
	return true;
}

/* A thread that has something to do. */
static bool threads_busy(void)
{
	bool receives;
	u32 n = drive_peers_threads(server.peers, &receives);

	return n > (receives && sock_receiver_waits());
}

void srv_pump(void)
{
	const struct timespec moment = { .tv_nsec = 20000 };
	u32 turns = 0, waits = 0;	/* of real time: for threads that stream */

	for (;;) {
		bool moved = drive_peers_turn(server.peers);

		moved |= core_turn();
		moved |= disk_turn();
		honest_drain();
		if (moved) {
			if (++turns > TURNS_MAX)
				fuzz_fail("it never ends");
			continue;
		}
		if (!threads_busy() && !drive_peers_news(server.peers))
			return;
		nanosleep(&moment, NULL);
		if (++waits > PATIENCE_MS * 10)
			fuzz_fail("a thread hangs");
	}
}

/* ---------------------------------------------------------------- files */

static void each_file(const char *dir, void (*fn)(const char *path, const char *name))
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[600];

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_type == DT_REG)
			fn(path, e->d_name);
	}
	if (d)
		closedir(d);
}

static void drop_file(const char *path, const char *name)
{
	(void)name;
	unlink(path);
}

static void copy_file(const char *path, const char *name)
{
	static char buf[1 << 20];
	FILE *in = fopen(path, "re"), *out;
	char to[600];
	size_t n;

	snprintf(to, sizeof(to), "%s/version-2/%s", work, name);
	out = fopen(to, "we");
	if (!in || !out)
		fuzz_fail("cannot copy a file");
	while ((n = fread(buf, 1, sizeof(buf), in)))
		if (fwrite(buf, 1, n, out) != n)
			fuzz_fail("cannot write a file");
	fclose(in);
	fclose(out);
}

static void new_files(bool with_history)
{
	char dir[300];

	snprintf(dir, sizeof(dir), "%s/version-2", work);
	mkdir(work, 0700);
	mkdir(dir, 0700);
	each_file(dir, drop_file);
	snprintf(dir, sizeof(dir), "%s/version-2", history);
	if (with_history)
		each_file(dir, copy_file);
}

/* ---------------------------------------------------------------- life */

static struct ensemble *members(bool observer)
{
	char text[512], why[256];
	size_t n = 0;
	struct ensemble *e;

	for (u32 i = 1; i <= 4; i++)
		n += snprintf(text + n, sizeof(text) - n, "server.%u=127.0.0.1:%u:%u%s\n", i,
			      QUORUM_PORT + i, ELECTION_PORT + i,
			      i == (observer ? 1 : 4) ? ":observer" : "");
	e = ensemble_parse(text, n, why, sizeof(why));
	if (!e)
		fuzz_fail(why);
	return e;
}

static void configure(bool observer, bool reconfig)
{
	struct config *cfg = &server.cfg;

	if (config_default(cfg))
		fuzz_fail("no configuration");
	free(cfg->data_dir);
	free(cfg->data_log_dir);
	cfg->data_dir = strdup(work);
	cfg->data_log_dir = strdup(work);
	cfg->tick_ms = QUORUM_TICK_MS;
	cfg->init_limit = 10;
	cfg->sync_limit = 5;
	cfg->min_session_ms = 2 * QUORUM_TICK_MS;
	cfg->max_session_ms = 20 * QUORUM_TICK_MS;
	cfg->max_buffer = 100000;
	cfg->prealloc_bytes = 4096;
	cfg->commit_log_count = 5;
	cfg->reconfig_enabled = reconfig;
	cfg->ensemble = members(observer);
	cfg->myid = 1;
}

static void keep_members(void *arg, struct ensemble *e, bool in_force)
{
	(void)arg;
	members_keep(&server.cfg, e, in_force);
}

static void open_files(struct disk_recovery *rec, struct epochs *ep)
{
	const struct store_params sp = { .kind = "memory", .label = "fuzz" };
	const struct disk_params dp = {
		.data_dir = work, .log_dir = work, .prealloc_bytes = server.cfg.prealloc_bytes,
		.max_txn_bytes = 1 << 30,
	};
	const char *text = "";
	char why[512] = "";

	if (disk_open(&dp, &server.disk, why, sizeof(why)))
		fuzz_fail(why);
	/* one for all: to close it takes time, and recovery swaps another tree in */
	if (!server.st && store_open(&sp, &server.st, &text))
		fuzz_fail(text);
	disk_config_node(server.disk, server.cfg.ensemble->text, server.cfg.ensemble->version,
			 server.cfg.reconfig_enabled);
	if (disk_recover(server.disk, server.st, rec, why, sizeof(why)))
		fuzz_fail(why);
	if (epochs_load(server.disk, rec->zxid, ep, why, sizeof(why)))
		fuzz_fail(why);
}

static void start(void)
{
	const struct core_env env = { .mono_ms = mono_ms, .wall_ms = wall_ms, .nap = nap };
	struct peers_params pp = {
		.myid = 1, .connect_ms = 500, .hello_ms = 500, .in_max = 1 << 16,
		.out_max = 1 << 22, .deliver = core_deliver, .wake = core_wake,
	};
	struct disk_recovery rec = { 0 };
	struct epochs ep;
	char why[512] = "";

	open_files(&rec, &ep);
	server.core = core_new_in(&env, &server.cfg, server.st, server.disk, &rec);
	free(rec.sessions);
	if (!server.core)
		fuzz_fail("no core");
	pp.ensemble = server.cfg.ensemble;
	pp.sync_ms = server.cfg.tick_ms * server.cfg.sync_limit;
	pp.init_ms = server.cfg.tick_ms * server.cfg.init_limit;
	pp.leader_ms = pp.init_ms;
	pp.max_packet = core_max_packet(&server.cfg);
	pp.disk = server.disk;
	pp.arg = server.core;
	if (peers_start(&pp, &server.peers, why, sizeof(why)))
		fuzz_fail(why);
	core_join(server.core, server.peers, ep.accepted, ep.current);
	core_on_members(server.core, keep_members, NULL);
	core_due = 0;
	if (core_begin(server.core))
		fuzz_fail("it does not begin");
	srv_pump();
}

static void stop(void)
{
	peers_stop(server.peers);
	core_free(server.core);
	peers_free(server.peers);
	disk_close(server.disk);
	sock_reset();
}

/* One that led an ensemble and took some writes. */
static void make_history(void)
{
	u32 stage = 0;
	int fd;

	new_files(false);
	configure(false, false);
	start();
	if (!honest_elect(1))
		fuzz_fail("a new server does not lead");
	fd = sock_connect(QUORUM_PORT + 1);
	for (u32 i = 0; i < 7 + 3 * HISTORY; i++) {
		honest_follower(fd, 2, &stage);
		srv_pass(1);
	}
	if (zab_committed(machine()) < ZXID(1, HISTORY))
		fuzz_fail("a new ensemble does not write");
	close(fd);
	honest_end();
	stop();
	config_free(&server.cfg);
	rename(work, history);
}

static void first_time(void)
{
	log_set_level(getenv("FUZZ_LOG") ? LOG_DEBUG : LOG_ERROR);
	store_thread_init();
	top = fuzz_dir();
	snprintf(work, sizeof(work), "%s/work", top);
	snprintf(history, sizeof(history), "%s/history", top);
	make_history();
}

void srv_start(bool observer, bool reconfig, bool with_history)
{
	if (!top)
		first_time();
	__atomic_store_n(&now_ms, 1000000, __ATOMIC_SEQ_CST);
	new_files(with_history);
	configure(observer, reconfig);
	start();
}

void srv_stop(void)
{
	struct disk_recovery rec = { 0 };
	struct epochs ep;
	u64 applied = server.core->applied;

	stop();
	open_files(&rec, &ep);
	free(rec.sessions);
	if (rec.zxid < applied)
		fuzz_fail("the files have less than the tree had");
	disk_close(server.disk);
	config_free(&server.cfg);
}
