// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A watcher over the device beside one over TCP, of the same zkernd: whatever is done, by
 * either of them or by a third, both are told the same events in the same order. zkernd
 * runs in the VM, and what is done is random, from a seed.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"
#include "tools/lib/zkern.h"

#define STEPS	500	/* or as many as */
#define SECONDS	60	/* allow, but */
#define STEPS_LEAST	40
#define LONG	120
#define INSTANCE	9
#define TEXT_(n)	#n
#define TEXT(n)		TEXT_(n)
#define PORT	"21810"
#define SERVER	"127.0.0.1:" PORT

static const char *const path[] = {
	"/s", "/s/a", "/s/b", "/s/a/a", "/s/a/b", "/s/b/a", "/s/a/b/c",
};
#define N	((int)ARRAY_SIZE(path))

static struct zkern *tcp, *dev, *writer;	/* who writes is any of them */
static uint32_t seed = 7;

static uint32_t any(uint32_t n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* ------------------------------------------------------------ zkernd */

static char dir[32];
static pid_t server;

static void write_config(const char *file)
{
	FILE *f = fopen(file, "w");

	need(f, "%s", file);
	fprintf(f, "dataDir=%s/data\nclientPort=" PORT "\nclientPortAddress=127.0.0.1\n"
		"extendedTypesEnabled=true\nadmin.enableServer=false\n", dir);
	need(!fclose(f), "%s", file);
}

static void start_server(void)
{
	char config[64], data[64], log[64];

	strcpy(dir, "/tmp/side.XXXXXX");
	need(mkdtemp(dir), "mkdtemp");
	snprintf(config, sizeof(config), "%s/zoo.cfg", dir);
	snprintf(data, sizeof(data), "%s/data", dir);
	snprintf(log, sizeof(log), "%s/log", dir);
	need(!mkdir(data, 0755), "%s", data);
	write_config(config);
	fflush(stdout);
	server = fork();
	need(server >= 0, "fork");
	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		need(freopen(log, "w", stderr) && freopen("/dev/null", "w", stdout), "log");
		execl("/bin/zkernd", "zkernd", "--store", "kernel", "--instance",
		      TEXT(INSTANCE), config, NULL);
		_exit(127);
	}
}

static int connect_server(struct zkern **zk, char *why, size_t len)
{
	struct zkern_tcp_params p = { .size = sizeof(p), .session_ms = 40000, .timeout_ms = 60000 };
	double end = now() + LONG;
	int err;

	do {
		err = zkern_connect(SERVER, &p, zk, why, len);
		if (err)
			usleep(100000);
	} while (err && now() < end);
	return err;
}

static void stop_server(void)
{
	if (server <= 0)
		return;
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	server = 0;
}

/* The tree stays when its server goes; other tests count the instances. */
static void remove_instance(void)
{
	struct zkern *zk;
	char why[256];

	need(!zkern_open_netlink(INSTANCE, &zk, why, sizeof(why)), "%s", why);
	is(zkern_instance_del(zk, INSTANCE, false), 0, "the instance goes");
	zkern_close(zk);
}

/* ------------------------------------------------------------ doing things */

static int session_nodes;

/* A session of its own, with some ephemerals, that ends. */
static void short_session(void)
{
	struct zkern_create_params p = { .flags = ZKERN_EPHEMERAL };
	struct zkern *zk;
	char why[256], name[64];
	int i, n = 1 + any(4);

	need(!connect_server(&zk, why, sizeof(why)), "%s", why);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/e%d", path[any(3)], session_nodes++);
		zkern_create(zk, name, "", 0, &p, NULL, NULL);
	}
	zkern_close(zk);
}

static struct zkern *some_writer(void)
{
	struct zkern *all[] = { tcp, dev, writer };

	return all[any(ARRAY_SIZE(all))];
}

static void a_multi(void)
{
	struct zkern_multi_op ops[6] = {};
	int i, n = 1 + any(6);

	for (i = 0; i < n; i++) {
		ops[i].type = any(3);
		ops[i].version = -1;
		ops[i].path = path[any(N)];
		ops[i].data = "m";
		ops[i].len = 1;
	}
	zkern_multi(some_writer(), ops, n);
	for (i = 0; i < n; i++)
		free(ops[i].created);
}

static void do_something(void)
{
	const struct zkern_acl closed = { 30, "world", "anyone" }, open = { 31, "world", "anyone" };
	const char *p = path[any(N)];

	switch (any(16)) {
	case 0:
		short_session();
		break;
	case 1:
	case 2:
	case 3:
		a_multi();
		break;
	case 4:
		zkern_set_acl(some_writer(), p, any(3) ? &open : &closed, 1, -1);
		break;
	case 5:
	case 6:
	case 7:
		zkern_delete(some_writer(), p, -1);
		break;
	case 8:
	case 9:
	case 10:
	case 11:
		zkern_create(some_writer(), p, "", 0, NULL, NULL, NULL);
		break;
	default:
		zkern_set(some_writer(), p, "x", 1, -1, NULL);
	}
}

/* ------------------------------------------------------------ watching */

/* The same on both; also what it says is the same. */
static int watch_with(struct zkern *zk, int how, const char *p)
{
	const struct zkern_want want = { .flags = ZKERN_WANT_WATCH };
	struct zkern_children children;
	struct zkern_value value;
	int err;

	switch (how) {
	case 0:
		err = zkern_get(zk, p, &want, &value);
		zkern_value_free(&value);
		return err;
	case 1:
		err = zkern_exists(zk, p, &want, &value);
		zkern_value_free(&value);
		return err;
	case 2:
		err = zkern_children(zk, p, &want, &children);
		zkern_children_free(&children);
		return err;
	}
	return zkern_add_watch(zk, p, how == 4);
}

static bool watch_both(void)
{
	/* persistent ones only now and then: they stay */
	int how = any(40) ? any(3) : 3 + any(2), i = any(N), a, b;

	a = watch_with(tcp, how, path[i]);
	b = watch_with(dev, how, path[i]);
	if (a != b)
		printf("# watch %d on %s: tcp %d, device %d\n", how, path[i], a, b);
	return a == b;
}

struct told {
	int n;
	struct {
		int type;
		char path[64];
	} e[64];
};

/* All that has been told by now: on both what was done has been done. */
static void take(struct zkern *zk, struct told *t)
{
	struct zkern_value value;
	struct zkern_event e;
	int n;

	/* its answer comes behind the events */
	zkern_exists(zk, "/", NULL, &value);
	t->n = 0;
	while ((n = zkern_next_event(zk, 0, &e)) == 1) {
		need(t->n < (int)ARRAY_SIZE(t->e), "too many events");
		t->e[t->n].type = e.type;
		snprintf(t->e[t->n++].path, sizeof(t->e[0].path), "%s", e.path);
		zkern_event_free(&e);
	}
	need(!n, "events: %s", zkern_message(zk));
}

static void print(const char *who, const struct told *t)
{
	int i;

	printf("# %s:", who);
	for (i = 0; i < t->n; i++)
		printf(" %d %s", t->e[i].type, t->e[i].path);
	printf("\n");
}

static bool same(const struct told *a, const struct told *b)
{
	int i;

	for (i = 0; i < a->n && i < b->n; i++)
		if (a->e[i].type != b->e[i].type || strcmp(a->e[i].path, b->e[i].path))
			return false;
	return a->n == b->n;
}

int main(void)
{
	static struct told a, b;
	int i, k, answers = 0, differ = 0, events = 0;
	char why[256];
	double end;

	signal(SIGPIPE, SIG_IGN);
	atexit(stop_server);
	start_server();
	need(!connect_server(&tcp, why, sizeof(why)), "%s", why);
	need(!connect_server(&writer, why, sizeof(why)), "%s", why);
	need(!zkern_open_device("/dev/zkern" TEXT(INSTANCE), &dev, why, sizeof(why)), "%s", why);
	for (i = 0; i < N; i++)
		zkern_create(writer, path[i], "", 0, NULL, NULL, NULL);
	end = now() + SECONDS;
	/* a machine that is busy does fewer steps */
	for (i = 0; i < STEPS && (i < STEPS_LEAST || now() < end); i++) {
		for (k = 1 + any(4); k > 0; k--)
			answers += !watch_both();
		do_something();
		take(tcp, &a);
		take(dev, &b);
		events += a.n;
		if (same(&a, &b))
			continue;
		differ++;
		printf("# step %d\n", i);
		print("tcp", &a);
		print("device", &b);
		if (differ > 5)
			break;
	}
	is(answers, 0, "what is read with a watch is the same over TCP and the device");
	is(differ, 0, "  and so are the events, in their order (%d)", events);
	ok(events > i / 10, "  of which there are enough (%d steps)", i);
	zkern_close(tcp);
	zkern_close(dev);
	zkern_close(writer);
	stop_server();
	remove_instance();
	return tap_end();
}
