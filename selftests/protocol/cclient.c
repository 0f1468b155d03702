// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The C client (libzookeeper_mt) against a server: cclient HOST:PORT prints TAP;
 * with "rewatch" behind, it prints "ready" and reads a line when it has set its
 * watches.
 *
 * The library's own threads call watcher() and the completions; what those write
 * is under lock, and the main thread waits on cond. Everything else here belongs
 * to the main thread.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zookeeper/zookeeper.h>

#define ROOT		"/c-client"
#define WAIT_SECONDS	60
#define MAX_EVENTS	64

struct event {
	int type;
	char path[128];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static struct event events[MAX_EVENTS];
static int nr_events;
static int nr_done;
static int tests;
static int failures;

static void ok(bool good, const char *name)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tests, name);
	fflush(stdout);
	if (!good)
		failures++;
}

static void rc_is(int rc, int want, const char *name)
{
	ok(rc == want, name);
	if (rc != want)
		printf("# got %d (%s), want %d (%s)\n", rc, zerror(rc), want,
		       zerror(want));
}

static struct timespec deadline(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += WAIT_SECONDS;
	return t;
}

/* Waits until *count reaches n; false after WAIT_SECONDS. */
static bool wait_count(const int *count, int n)
{
	struct timespec end = deadline();
	int err = 0;
	bool good;

	pthread_mutex_lock(&lock);
	while (*count < n && !err)
		err = pthread_cond_timedwait(&cond, &lock, &end);
	good = *count >= n;
	pthread_mutex_unlock(&lock);
	return good;
}

static void watcher(zhandle_t *zh, int type, int state, const char *path, void *ctx)
{
	(void)zh;
	(void)ctx;
	pthread_mutex_lock(&lock);
	if (type == ZOO_SESSION_EVENT) {
		if (state == ZOO_CONNECTED_STATE)
			pthread_cond_broadcast(&cond);
	} else if (nr_events < MAX_EVENTS) {
		events[nr_events].type = type;
		snprintf(events[nr_events].path, sizeof(events[0].path), "%s", path);
		nr_events++;
		pthread_cond_broadcast(&cond);
	}
	pthread_mutex_unlock(&lock);
}

static void data_done(int rc, const char *value, int len, const struct Stat *stat,
		      const void *data)
{
	const int *want = data;

	(void)value;
	(void)stat;
	pthread_mutex_lock(&lock);
	/* Completions come in the order of the calls. */
	if (rc == ZOK && len == 4 && want == (const int *)0 + nr_done)
		nr_done++;
	else
		nr_done = -1000000;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&lock);
}

static void void_done(int rc, const void *data)
{
	(void)data;
	pthread_mutex_lock(&lock);
	nr_done = rc == ZOK ? nr_done + 1 : -1000000;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&lock);
}

static void string_done(int rc, const char *value, const void *data)
{
	(void)value;
	void_done(rc, data);
}

static zhandle_t *connect_to(const char *host, const clientid_t *id)
{
	zhandle_t *zh = zookeeper_init(host, watcher, 30000, id, NULL, 0);
	struct timespec end = deadline(), now;

	if (!zh)
		return NULL;
	do {
		if (zoo_state(zh) == ZOO_CONNECTED_STATE)
			return zh;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
		clock_gettime(CLOCK_REALTIME, &now);
	} while (now.tv_sec < end.tv_sec);
	zookeeper_close(zh);
	return NULL;
}

/* The next event is type on path. */
static void event_is(int nth, int type, const char *path, const char *name)
{
	bool good = wait_count(&nr_events, nth + 1);

	pthread_mutex_lock(&lock);
	good = good && events[nth].type == type && !strcmp(events[nth].path, path);
	pthread_mutex_unlock(&lock);
	ok(good, name);
}

static void test_nodes(zhandle_t *zh)
{
	char path[128], buf[64];
	struct Stat stat;
	int len = sizeof(buf);

	rc_is(zoo_create(zh, ROOT, "root", 4, &ZOO_OPEN_ACL_UNSAFE, 0, path,
			 sizeof(path)), ZOK, "create");
	ok(!strcmp(path, ROOT), "its path");
	rc_is(zoo_create(zh, ROOT, "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0),
	      ZNODEEXISTS, "create again");
	rc_is(zoo_create(zh, ROOT "/no/x", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0),
	      ZNONODE, "create without a parent");
	rc_is(zoo_create2(zh, ROOT "/a", "12345", 5, &ZOO_OPEN_ACL_UNSAFE, 0, path,
			  sizeof(path), &stat), ZOK, "create2");
	ok(stat.dataLength == 5 && stat.czxid == stat.mzxid && !stat.version,
	   "its stat");
	rc_is(zoo_get(zh, ROOT "/a", 0, buf, &len, &stat), ZOK, "get");
	ok(len == 5 && !memcmp(buf, "12345", 5), "its data");
	rc_is(zoo_set2(zh, ROOT "/a", "new", 3, 0, &stat), ZOK, "set");
	ok(stat.version == 1 && stat.dataLength == 3, "its stat");
	rc_is(zoo_set(zh, ROOT "/a", "", 0, 0), ZBADVERSION, "set of another version");
	rc_is(zoo_set(zh, ROOT "/a", NULL, -1, -1), ZOK, "set null");
	len = sizeof(buf);
	rc_is(zoo_get(zh, ROOT "/a", 0, buf, &len, NULL), ZOK, "get null");
	ok(len == -1, "null data has length -1");
	rc_is(zoo_exists(zh, ROOT "/none", 0, &stat), ZNONODE, "exists of nothing");
	rc_is(zoo_delete(zh, ROOT, -1), ZNOTEMPTY, "delete with children");
	rc_is(zoo_delete(zh, ROOT "/a", 7), ZBADVERSION, "delete another version");
	rc_is(zoo_delete(zh, ROOT "/a", 2), ZOK, "delete");
}

static void test_modes(zhandle_t *zh)
{
	const clientid_t *id = zoo_client_id(zh);
	struct String_vector kids;
	char path[128];
	struct Stat stat;

	rc_is(zoo_create(zh, ROOT "/seq-", "", 0, &ZOO_OPEN_ACL_UNSAFE,
			 ZOO_PERSISTENT_SEQUENTIAL, path, sizeof(path)), ZOK,
	      "sequential");
	ok(!strcmp(path, ROOT "/seq-0000000001"), "its number");
	rc_is(zoo_create2(zh, ROOT "/eph-", "", 0, &ZOO_OPEN_ACL_UNSAFE,
			  ZOO_EPHEMERAL_SEQUENTIAL, path, sizeof(path), &stat), ZOK,
	      "ephemeral sequential");
	ok(stat.ephemeralOwner == id->client_id, "its owner");
	rc_is(zoo_create(zh, ROOT "/box", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER,
			 path, sizeof(path)), ZOK, "container");
	rc_is(zoo_create_ttl(zh, ROOT "/ttl", "", 0, &ZOO_OPEN_ACL_UNSAFE,
			     ZOO_PERSISTENT_WITH_TTL, 1000, path, sizeof(path)),
	      ZUNIMPLEMENTED, "TTL, which is off by default");
	rc_is(zoo_get_children2(zh, ROOT, 0, &kids, &stat), ZOK, "children");
	ok(kids.count == 3 && stat.numChildren == 3, "three of them");
	deallocate_String_vector(&kids);
}

static void test_acl(zhandle_t *zh, const char *host)
{
	zhandle_t *other = connect_to(host, NULL);
	struct ACL_vector acl;
	struct Stat stat;
	char buf[16];
	int len = sizeof(buf), before = nr_done;

	ok(other, "a second client");
	if (!other)
		return;
	rc_is(zoo_add_auth(zh, "digest", "u:p", 3, void_done, NULL), ZOK, "add_auth");
	ok(wait_count(&nr_done, before + 1), "its answer");
	rc_is(zoo_create(zh, ROOT "/mine", "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0),
	      ZOK, "a node of one's own");
	rc_is(zoo_get(other, ROOT "/mine", 0, buf, &len, NULL), ZNOAUTH,
	      "others cannot read it");
	rc_is(zoo_get_acl(zh, ROOT "/mine", &acl, &stat), ZOK, "get_acl");
	ok(acl.count == 1 && !strcmp(acl.data[0].id.scheme, "digest") &&
	   !strncmp(acl.data[0].id.id, "u:", 2), "the ACL names the user");
	deallocate_ACL_vector(&acl);
	rc_is(zoo_set_acl(zh, ROOT "/mine", 0, &ZOO_READ_ACL_UNSAFE), ZOK, "set_acl");
	len = sizeof(buf);
	rc_is(zoo_get(other, ROOT "/mine", 0, buf, &len, NULL), ZOK,
	      "others can read it then");
	rc_is(zoo_set(other, ROOT "/mine", "", 0, -1), ZNOAUTH, "not write it");
	rc_is(zoo_create(zh, ROOT "/bad", "", 0, &(struct ACL_vector){ 0 }, 0, NULL, 0),
	      ZINVALIDACL, "an empty ACL");
	zookeeper_close(other);
}

static void test_multi(zhandle_t *zh)
{
	char path[128];
	struct Stat stat;
	zoo_op_result_t res[4];
	zoo_op_t good[4], bad[3];

	zoo_create_op_init(&good[0], ROOT "/m", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, path,
			   sizeof(path));
	zoo_check_op_init(&good[1], ROOT "/m", 0);
	zoo_set_op_init(&good[2], ROOT "/m", "22", 2, 0, &stat);
	zoo_create_op_init(&good[3], ROOT "/m/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL,
			   0);
	rc_is(zoo_multi(zh, 4, good, res), ZOK, "multi");
	ok(!res[0].err && !res[1].err && !res[2].err && !res[3].err, "each part");
	ok(!strcmp(path, ROOT "/m") && stat.version == 1, "what the parts give");
	zoo_delete_op_init(&bad[0], ROOT "/m/c", -1);
	zoo_check_op_init(&bad[1], ROOT "/m", 99);
	zoo_delete_op_init(&bad[2], ROOT "/m", -1);
	rc_is(zoo_multi(zh, 3, bad, res), ZBADVERSION, "a multi that fails");
	ok(!res[0].err && res[1].err == ZBADVERSION &&
	   res[2].err == ZRUNTIMEINCONSISTENCY, "its parts");
	rc_is(zoo_exists(zh, ROOT "/m/c", 0, &stat), ZOK, "nothing of it was done");
}

static void test_watches(zhandle_t *zh)
{
	struct String_vector kids;
	char buf[16];
	int len = sizeof(buf), n;

	pthread_mutex_lock(&lock);
	n = nr_events;
	pthread_mutex_unlock(&lock);
	zoo_exists(zh, ROOT "/w", 1, NULL);
	zoo_get_children(zh, ROOT, 1, &kids);
	deallocate_String_vector(&kids);
	zoo_create(zh, ROOT "/w", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
	event_is(n, ZOO_CREATED_EVENT, ROOT "/w", "created");
	event_is(n + 1, ZOO_CHILD_EVENT, ROOT, "child");
	zoo_get(zh, ROOT "/w", 1, buf, &len, NULL);
	zoo_set(zh, ROOT "/w", "x", 1, -1);
	event_is(n + 2, ZOO_CHANGED_EVENT, ROOT "/w", "changed");
	zoo_wexists(zh, ROOT "/w", watcher, NULL, NULL);
	rc_is(zoo_remove_watches(zh, ROOT "/w", ZWATCHTYPE_DATA, watcher, NULL, 0), ZOK,
	      "remove_watches");
	zoo_set(zh, ROOT "/w", "y", 1, -1);
	zoo_exists(zh, ROOT "/w", 1, NULL);
	zoo_delete(zh, ROOT "/w", -1);
	event_is(n + 3, ZOO_DELETED_EVENT, ROOT "/w", "deleted, and nothing before it");
}

static void test_async(zhandle_t *zh)
{
	long i;
	int before, bad = 0;

	pthread_mutex_lock(&lock);
	before = nr_done;
	pthread_mutex_unlock(&lock);
	for (i = 0; i < 1000; i++) {
		char path[64];

		snprintf(path, sizeof(path), ROOT "/async-%ld", i);
		bad |= zoo_acreate(zh, path, "1234", 4, &ZOO_OPEN_ACL_UNSAFE, 0,
				   string_done, NULL);
	}
	ok(!bad && wait_count(&nr_done, before + 1000), "1000 creates in flight");
	pthread_mutex_lock(&lock);
	nr_done = 0;
	pthread_mutex_unlock(&lock);
	for (i = 0; i < 1000; i++) {
		char path[64];

		snprintf(path, sizeof(path), ROOT "/async-%ld", i);
		bad |= zoo_aget(zh, path, 0, data_done, (const int *)0 + i);
	}
	ok(!bad && wait_count(&nr_done, 1000), "1000 gets, answered in order");
}

/*
 * A process makes a session with an ephemeral node and dies; another takes the
 * session up by its id and password. To be called before there are threads.
 */
static void test_reattach(const char *host)
{
	static const char path[] = "/c-client-reattach";
	clientid_t id = { 0 };
	zhandle_t *zh;
	struct Stat stat;
	int fds[2];
	pid_t pid;

	if (pipe(fds)) {
		ok(false, "pipe");
		return;
	}
	pid = fork();
	if (!pid) {
		zh = connect_to(host, NULL);
		if (!zh || zoo_create(zh, path, "", 0, &ZOO_OPEN_ACL_UNSAFE,
				      ZOO_EPHEMERAL, NULL, 0))
			_exit(1);
		_exit(write(fds[1], zoo_client_id(zh), sizeof(id)) != sizeof(id));
	}
	close(fds[1]);
	ok(pid > 0 && read(fds[0], &id, sizeof(id)) == sizeof(id),
	   "a process with a session");
	close(fds[0]);
	waitpid(pid, NULL, 0);
	zh = connect_to(host, &id);
	ok(zh, "another takes it up");
	if (!zh)
		return;
	ok(zoo_client_id(zh)->client_id == id.client_id, "and has it");
	rc_is(zoo_exists(zh, path, 0, &stat), ZOK, "its node is there");
	ok(stat.ephemeralOwner == id.client_id, "and its own");
	rc_is(zookeeper_close(zh), ZOK, "close");
	zh = connect_to(host, NULL);
	ok(zh, "a new session");
	if (!zh)
		return;
	rc_is(zoo_exists(zh, path, 0, &stat), ZNONODE,
	      "the closed session's node is gone");
	zookeeper_close(zh);
}

/*
 * The server goes away while we hold watches; whoever runs us changes the nodes
 * before we are back. The library sets the watches again, and events come.
 */
static int test_rewatch(const char *host)
{
	static const char base[] = "/c-rewatch";
	zhandle_t *zh = connect_to(host, NULL);
	struct String_vector kids;
	char buf[16], line[16];
	int len = sizeof(buf);
	long long id;

	ok(zh, "connect");
	if (!zh)
		return 1;
	id = zoo_client_id(zh)->client_id;
	zoo_create(zh, base, "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
	zoo_create(zh, "/c-rewatch/gone", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
	rc_is(zoo_get(zh, base, 1, buf, &len, NULL), ZOK, "a data watch");
	rc_is(zoo_exists(zh, "/c-rewatch/new", 1, NULL), ZNONODE, "an exists watch");
	rc_is(zoo_get_children(zh, "/c-rewatch/gone", 1, &kids), ZOK, "a child watch");
	deallocate_String_vector(&kids);
	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	ok(wait_count(&nr_events, 3), "three events");
	/* The library keeps its watches in hash tables: any order. */
	for (int want = ZOO_CREATED_EVENT; want <= ZOO_CHANGED_EVENT; want++) {
		const char *path = want == ZOO_CHANGED_EVENT ? base :
			want == ZOO_CREATED_EVENT ? "/c-rewatch/new" : "/c-rewatch/gone";
		bool seen = false;

		pthread_mutex_lock(&lock);
		for (int i = 0; i < nr_events; i++)
			seen |= events[i].type == want && !strcmp(events[i].path, path);
		pthread_mutex_unlock(&lock);
		ok(seen, path);
	}
	ok(zoo_client_id(zh)->client_id == id, "the session is the same");
	zookeeper_close(zh);
	printf("1..%d\n", tests);
	return failures ? 1 : 0;
}

int main(int argc, char **argv)
{
	zhandle_t *zh;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: %s HOST:PORT [rewatch]\n", argv[0]);
		return 2;
	}
	zoo_set_debug_level((ZooLogLevel)0);
	if (argc == 3)
		return test_rewatch(argv[1]);
	test_reattach(argv[1]);
	zh = connect_to(argv[1], NULL);
	ok(zh, "connect");
	if (!zh)
		return 1;
	test_nodes(zh);
	test_modes(zh);
	test_acl(zh, argv[1]);
	test_multi(zh);
	test_watches(zh);
	test_async(zh);
	zookeeper_close(zh);
	printf("1..%d\n", tests);
	return failures ? 1 : 0;
}
