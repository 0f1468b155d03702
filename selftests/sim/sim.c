// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sim [--seed N] [--count N] [--servers N] [--observers N] [--seconds N] [--reconfig]
 *     [--masters] [--strange] [--kernels] [--trace]
 *
 * Runs ensembles, one from each seed, each in a process of its own, and says what did
 * not hold, with the seed that shows it again. Exits with 1 then.
 */
#include <getopt.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "selftests/sim/sim.h"

static u64 fake_random;

/* Keys of hash tables: the same in each run. */
ssize_t getrandom(void *buf, size_t len, unsigned int flags)
{
	(void)flags;
	memset(buf, 0, len);
	fake_random += 0x9e3779b97f4a7c15ULL;
	memcpy(buf, &fake_random, len < 8 ? len : 8);
	return len;
}

void tell(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->trace)
		return;
	printf("%10.4f ", s->now / 1e6);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void wrong(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (s->wrong[0])
		return;
	va_start(ap, fmt);
	vsnprintf(s->wrong, sizeof(s->wrong), fmt, ap);
	va_end(ap);
	tell(s, "WRONG: %s", s->wrong);
}

struct options {
	u64 seed;
	u32 count, servers, observers, seconds;
	bool reconfig, masters, strange, kernels, trace;
};

struct outcome {
	struct counts counts;
	char wrong[512];
};

/* Until it is so, or for @us. */
static bool wait_until(struct sim *s, bool (*so)(struct sim *s), u64 us)
{
	u64 end = s->now + us;

	while (s->now < end && !s->wrong[0]) {
		if (so(s))
			return true;
		world_run(s, s->now + 100 * US_MS);
	}
	return !s->wrong[0] && so(s);
}

static bool answered(struct sim *s)
{
	return !clients_waiting(s);
}

static void run_one(const struct options *o, u64 seed, struct outcome *out)
{
	struct sim *s = calloc(1, sizeof(*s));
	u32 voters = o->servers;
	u32 observers = o->observers;
	u64 acked;

	/* mostly of three; of five and seven, too */
	if (!voters)
		voters = seed % 50 == 9 ? 7 : seed % 10 == 7 ? 5 : 3;
	if (observers == ~0U)
		observers = seed % 3 == 1 ? 1 + seed % 2 : 0;
	if (voters + observers > SERVERS_MAX)
		observers = SERVERS_MAX - voters;
	s->masters = observers && (o->masters || (seed % 3 == 1 && seed % 4 >= 2));

	s->trace = o->trace;
	s->reconfig = o->reconfig || seed % 5 == 3;
	s->strange = o->strange || seed % 7 == 3 || seed % 7 == 5;
	s->kernels = o->kernels || seed % 11 == 2 || seed % 11 == 4 || seed % 11 == 9;
	world_init(s, seed, voters, observers);
	clients_init(s, 3 + rnd(s, 5));
	for (u32 i = 0; i < s->n; i++)
		server_start(&s->servers[i]);
	harm_start(s);
	world_run(s, s->now + o->seconds * US_S);
	if (!s->wrong[0])
		harm_end(s);
	if (!wait_until(s, oracle_settled, 60 * US_S))
		wrong(s, "a minute after all harm has ended there is no whole ensemble");
	acked = s->counts.writes_acked;
	world_run(s, s->now + 8 * US_S);
	if (s->counts.writes_acked == acked)
		wrong(s, "and no client gets its writes done");
	s->clients_rest = true;
	if (!wait_until(s, answered, 20 * US_S))
		wrong(s, "and requests stay without an answer");
	/* sessions whose clients are gone expire meanwhile, on all alike */
	world_run(s, s->now + 10 * US_S);
	if (!s->wrong[0])
		oracle_end(s);
	out->counts = s->counts;
	memcpy(out->wrong, s->wrong, sizeof(out->wrong));
	if (!s->wrong[0])
		world_free(s);
}

static void add(struct counts *sum, const struct counts *c)
{
	u64 *to = (u64 *)sum;
	const u64 *from = (const u64 *)c;

	for (size_t i = 0; i < sizeof(*c) / sizeof(u64); i++)
		to[i] += from[i];
}

static void print(const struct counts *c, u32 runs)
{
	printf("# %u runs, %llu steps; %llu crashes (%llu in the middle of a step, "
	       "%llu of all at once), %llu transactions lost unsynced, %llu pauses, "
	       "%llu cuts, %llu resets, %llu slow links, %llu slow and %llu full disks, "
	       "%llu clocks set\n",
	       runs, c->steps, c->crashes, c->mid_crashes, c->power_cuts, c->lost_txns, c->pauses,
	       c->cuts, c->resets, c->slow_links, c->slow_disks, c->bad_disks, c->jumps);
	printf("# %llu leaders, %llu DIFF, %llu from the log, %llu TRUNC, %llu SNAP; "
	       "%llu requests, %llu writes and %llu reads (%llu linearizable) answered, %llu unknown, "
	       "%llu events, %llu connections, %llu of readers without a quorum, "
	       "%llu sessions lost; the members changed %llu times, %llu times not; "
	       "observers came to masters %llu times; trees were there at %llu starts, at %llu of "
	       "them the log went on behind\n",
	       c->elections, c->diffs, c->histories, c->truncs, c->trees, c->requests,
	       c->writes_acked, c->reads, c->fresh, c->unknown, c->events,
	       c->connects, c->readers, c->sessions_lost, c->reconfigs, c->no_reconfigs,
	       c->masters, c->kept, c->tails);
	printf("# strange things, %llu: %llu fsyncs failed, %llu disks empty (%llu of voters), "
	       "%llu links left half open (%llu told by a reset or a limit), %llu links got junk, "
	       "%llu strangers, %llu votes came twice\n",
	       c->strange, c->fsync_errors, c->wipes, c->voter_wipes, c->half_open, c->found_out,
	       c->junk, c->strangers, c->repeated_votes);
}

static int run_all(const struct options *o)
{
	struct outcome *out = mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct counts sum = { 0 };
	u32 bad = 0;

	for (u64 seed = o->seed; seed < o->seed + o->count; seed++) {
		int status;
		pid_t pid;

		fflush(stdout);
		memset(out, 0, sizeof(*out));
		pid = fork();
		if (!pid) {
			alarm(300);
			store_thread_init();
			run_one(o, seed, out);
			fflush(stdout);
			_exit(out->wrong[0] != 0);
		}
		waitpid(pid, &status, 0);
		add(&sum, &out->counts);
		if (!status)
			continue;
		bad++;
		if (WIFSIGNALED(status))
			printf("# seed %llu: ended by signal %d\n", seed, WTERMSIG(status));
		else
			printf("# seed %llu: %s\n", seed, out->wrong);
	}
	print(&sum, o->count);
	printf("# %u of %u seeds wrong\n", bad, o->count);
	return bad != 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'n' },
		{ "servers", required_argument, NULL, 'v' },
		{ "observers", required_argument, NULL, 'o' },
		{ "seconds", required_argument, NULL, 't' },
		{ "reconfig", no_argument, NULL, 'r' },
		{ "masters", no_argument, NULL, 'm' },
		{ "strange", no_argument, NULL, 'g' },
		{ "kernels", no_argument, NULL, 'k' },
		{ "trace", no_argument, NULL, 'x' },
		{ 0 },
	};
	struct options o = { .seed = 1, .count = 1, .observers = ~0U, .seconds = 30 };
	int c;

	/* addresses must not be chance */
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE) &&
	    personality(ADDR_NO_RANDOMIZE) != -1)
		execv("/proc/self/exe", argv);
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			o.seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			o.count = strtoul(optarg, NULL, 0);
			break;
		case 'v':
			o.servers = strtoul(optarg, NULL, 0);
			break;
		case 'o':
			o.observers = strtoul(optarg, NULL, 0);
			break;
		case 't':
			o.seconds = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			o.reconfig = true;
			break;
		case 'm':
			o.masters = true;
			break;
		case 'g':
			o.strange = true;
			break;
		case 'k':
			o.kernels = true;
			break;
		case 'x':
			o.trace = true;
			break;
		default:
			return 2;
		}
	}
	if (o.servers + (o.observers == ~0U ? 2 : o.observers) > SERVERS_MAX) {
		fprintf(stderr, "sim: at most %d servers\n", SERVERS_MAX);
		return 2;
	}
	log_set_level(o.trace ? LOG_INFO : LOG_ERROR);
	return run_all(&o);
}
