// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stress SECONDS [SEED]: all jobs at once for so long, while calls fail with a chance that
 * changes every second; then the tree must be what a dump says it is; then the module
 * comes and goes under load. Without fault injection in the kernel nothing fails, and the
 * rest is the same.
 */
#include "stress.h"

#include <fcntl.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../kernel/tap.h"
#include "faults.h"
#include "model.h"
#include "net.h"

/* Every interface of the module, once. */
static const struct job jobs[] = {
	{ .name = "get", .threads = 3, .round = round_get },
	{ .name = "read", .threads = 2, .round = round_many },
	{ .name = "children", .threads = 2, .round = round_children },
	{ .name = "snapshot", .threads = 2, .round = round_snapshot },
	{ .name = "map", .threads = 3, .round = round_map },
	{ .name = "wait", .threads = 2, .round = round_wait },
	{ .name = "linearizable", .threads = 2, .round = round_confirmed },
	{ .name = "info", .threads = 1, .round = round_info },
	{ .name = "user A", .threads = 1, .round = round_private, .uid = USER_A },
	{ .name = "user B", .threads = 1, .round = round_private, .uid = USER_B },
	{ .name = "watch", .threads = 2, .round = round_watch },
	{ .name = "watch, user A", .threads = 1, .round = round_watch, .uid = USER_A },
	{ .name = "watch all", .threads = 1, .round = round_watch_all },
	{ .name = "watch once", .threads = 2, .round = round_watch_once },
	{ .name = "watch shared", .threads = 3, .round = round_watch_shared },
	{ .name = "request", .threads = 3, .round = round_request },
	{ .name = "quota", .threads = 1, .round = round_quota, .uid = 1002 },
	{ .name = "netlink get", .threads = 1, .round = round_netlink_get },
	{ .name = "netlink dump", .threads = 2, .round = round_netlink_dump, .uid = 1003 },
	{ .name = "netlink status", .threads = 1, .round = round_netlink_status },
	{ .name = "rebuild", .threads = 1, .round = round_rebuild },
	{ .name = "instances", .threads = 2, .round = round_instances },
	{ .name = "closed", .threads = 3, .round = round_shared_file },
	{ .name = "killed", .threads = 2, .round = round_killed, .uid = 1004 },
	{ .name = "junk", .threads = 1, .round = round_junk },
	{ .name = "owner", .threads = 1, .round = round_owner, .last = true },
	{ .name = "confirm", .threads = 1, .round = round_answer, .last = true },
	{ .name = "serve", .threads = 1, .round = round_serve, .last = true },
};

#define MAX_WORKERS	64

atomic_bool stopping;
static atomic_bool stopping_last;
static unsigned int seed = 1;

static struct {
	pthread_t thread;
	struct worker w;
} workers[MAX_WORKERS];
static int n_workers;

unsigned int rnd(struct worker *w, unsigned int n)
{
	return rand_r(&w->seed) % n;
}

void reopen(struct worker *w)
{
	int fd = zk_open(main_inst, O_RDONLY);

	if (!may_fail(w, fd, "open"))
		return;
	close(w->fd);
	w->fd = fd;
	w->seen = 0;
}

void worker_begin(struct worker *w, const struct job *job, int number, unsigned int s, bool armed)
{
	memset(w, 0, sizeof(*w));
	w->job = job;
	w->number = number;
	w->seed = s * 1000 + number;
	/* touched, so that it is there */
	w->buf = malloc(BIG);
	w->batch.cap = 4 * BIG;
	w->batch.buf = malloc(w->batch.cap);
	need(w->buf && w->batch.buf, "memory");
	memset(w->buf, 0, BIG);
	memset(w->batch.buf, 0, w->batch.cap);
	w->fd = zk_open(main_inst, O_RDONLY);
	need(w->fd >= 0 && !net_open(w), "open");
	/* this thread alone, which glibc's functions would not do */
	if (job->uid)
		need(!prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) &&
		     !syscall(SYS_setresuid, job->uid, job->uid, job->uid), "setresuid");
	worker_arm(w, armed);
}

void worker_end(struct worker *w)
{
	calm(w);
	close(w->fd);
	close(w->nl);
	close(w->make_it_fail);
	free(w->buf);
	free(w->batch.buf);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	const struct job *job = w->job;

	worker_begin(w, job, w->number, seed, true);
	while (!(job->last ? stopping_last : stopping)) {
		job->round(w);
		w->rounds++;
	}
	worker_end(w);
	return NULL;
}

static void start_all(void)
{
	unsigned int i;
	int k;

	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		for (k = 0; k < jobs[i].threads; k++, n_workers++) {
			need(n_workers < MAX_WORKERS, "workers");
			workers[n_workers].w.job = &jobs[i];
			workers[n_workers].w.number = n_workers;
			need(!pthread_create(&workers[n_workers].thread, NULL, work,
					     &workers[n_workers].w), "thread");
		}
	}
}

static void join_all(bool last)
{
	int i;

	for (i = 0; i < n_workers; i++) {
		if (workers[i].w.job->last == last)
			pthread_join(workers[i].thread, NULL);
	}
}

/* The sums of a job's threads. */
static struct worker score(const struct job *job)
{
	struct worker sum = {};
	int i;

	for (i = 0; i < n_workers; i++) {
		const struct worker *w = &workers[i].w;

		if (w->job != job)
			continue;
		sum.rounds += w->rounds;
		sum.good += w->good;
		sum.failed += w->failed;
		sum.wrongs += w->wrongs;
	}
	return sum;
}

/* Has each job had an answer? A machine that is busy may take its time for that. */
static bool all_had_one(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		if (!score(&jobs[i]).good)
			return false;
	}
	return true;
}

static void judge_all(void)
{
	struct worker sum;
	long failed = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		sum = score(&jobs[i]);
		failed += sum.failed;
		ok(!sum.wrongs && sum.good,
		   "%s: %ld rounds, %ld good calls, %ld made to fail, %ld wrong", jobs[i].name,
		   sum.rounds, (long)sum.good, sum.failed, sum.wrongs);
	}
	if (with_faults)
		ok(failed, "%ld calls were made to fail", failed);
	else
		ok(true, "calls that fail # SKIP this kernel injects no faults");
}

/* None is left that nobody was told of. */
static int left_over(void)
{
	int i, n = 0;

	for (i = 0; i < ZKERN_MAX_INSTANCES; i++)
		n += !zk_del(i, ZKERN_DEL_FORCE);
	return n;
}

static void run_all(int seconds)
{
	static const int chances[] = { 0, 0, 1, 2, 5, 10, 30 };
	double end = now() + seconds;
	struct worker me;
	int percent;

	owner_begin();
	worker_begin(&me, &jobs[0], MAX_WORKERS, seed, false);
	start_all();
	while (now() < end || (!all_had_one() && now() < end + LONG)) {
		percent = chances[rnd(&me, ARRAY_SIZE(chances))];
		chance(now() < end ? percent : 0);
		sleep(1);
	}
	chance(0);
	/* who does not end is a failure */
	alarm(LONG);
	stopping = true;
	join_all(false);
	stopping_last = true;
	join_all(true);
	alarm(0);
	shared_files_end();
	shared_watchers_end();
	judge_all();
	ok(rebuilt_is_same(&me), "the tree is what its dump says");
	worker_end(&me);
	owner_end();
	is(left_over(), 0, "no instance is left that nobody was told of");
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 10;
	struct lives lives;

	if (argc > 2)
		seed = strtoul(argv[2], NULL, 0);
	printf("# stress of %d seconds, seed %u\n", seconds, seed);
	faults_begin();
	run_all(seconds);
	lives = unload(seed, 10 + seconds / 20);
	is(lives.err, 0, "%d times loaded and unloaded under its users", lives.cycles);
	ok(lives.used, "  who used it %ld times", lives.used);
	if (with_faults)
		ok(lives.failed, "  and %d loads were made to fail", lives.failed);
	return tap_end();
}
