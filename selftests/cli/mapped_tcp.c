// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libzkern's mapped nodes where there is no device: the same functions over TCP, by
 * ordinary reads and watches that nobody sees.
 *
 *   mapped_tcp HOST:PORT
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tools/lib/zkern.h"

#define LONG_MS	120000

static struct zkern *zk, *writer;

#define must(cond) do {								\
	if (!(cond)) {								\
		fprintf(stderr, "%s:%d: %s ('%s', '%s')\n", __FILE__, __LINE__, #cond, \
			zkern_message(zk), zkern_message(writer));		\
		exit(1);							\
	}									\
} while (0)

static void set(const char *path, const char *data)
{
	must(!zkern_set(writer, path, data, strlen(data), -1, NULL));
}

static bool reads(struct zkern_mapping *map, const char *want, struct zkern_map_got *got)
{
	char buf[64];
	int err = zkern_map_get(map, buf, sizeof(buf), got, NULL);

	return !err && got->len == (int64_t)strlen(want) && !memcmp(buf, want, got->len);
}

/* Waits until the change that a thread makes is there. */
struct waiter {
	struct zkern_mapping *map;
	uint64_t version;
	int rc;
};

static void *wait_thread(void *arg)
{
	struct waiter *w = arg;

	w->rc = zkern_map_wait(w->map, w->version, LONG_MS);
	return NULL;
}

static int changed_by(struct zkern_mapping *map, uint64_t version, void (*change)(void))
{
	struct waiter w = { .map = map, .version = version };
	pthread_t thread;

	must(!pthread_create(&thread, NULL, wait_thread, &w));
	/* most often it sleeps by then */
	usleep(50000);
	change();
	pthread_join(thread, NULL);
	return w.rc;
}

static void change_data(void)
{
	set("/mapped", "two");
}

static void change_gone(void)
{
	must(!zkern_delete(writer, "/mapped", -1));
}

static void change_back(void)
{
	must(!zkern_create(writer, "/mapped", "again", 5, NULL, NULL, NULL));
}

static void test_wait(struct zkern_mapping *map)
{
	struct zkern_map_got got;
	char buf[64];

	must(reads(map, "one", &got));
	must(zkern_map_wait(map, got.version, 50) == 0);
	must(changed_by(map, got.version, change_data) == 1);
	must(reads(map, "two", &got));
	must(changed_by(map, got.version, change_gone) == 1);
	must(zkern_map_get(map, buf, sizeof(buf), &got, NULL) == -ENOENT && !got.version);
	must(changed_by(map, got.version, change_back) == 1);
	must(reads(map, "again", &got));
}

/* What is waited for makes no event; what the program watches itself does. */
static void test_events(struct zkern_mapping *map)
{
	const struct zkern_want watch = { .flags = ZKERN_WANT_WATCH };
	struct zkern_map_got got;
	struct zkern_value v;
	struct zkern_event e;

	must(zkern_next_event(zk, 0, &e) == 0);
	must(reads(map, "again", &got));
	must(zkern_map_wait(map, got.version, 50) == 0);
	set("/mapped", "unseen");
	must(!zkern_sync(zk, "/mapped"));
	must(zkern_next_event(zk, 50, &e) == 0);
	must(zkern_map_wait(map, got.version, LONG_MS) == 1);
	must(reads(map, "unseen", &got));
	must(zkern_map_wait(map, got.version, 50) == 0);
	must(!zkern_get(zk, "/mapped", &watch, &v));
	zkern_value_free(&v);
	set("/mapped", "seen");
	must(zkern_map_wait(map, got.version, LONG_MS) == 1);
	must(zkern_next_event(zk, LONG_MS, &e) == 1);
	must(e.type == ZKERN_EVENT_CHANGED && !strcmp(e.path, "/mapped"));
	zkern_event_free(&e);
	must(zkern_next_event(zk, 0, &e) == 0);
}

int main(int argc, char **argv)
{
	/* either handle may be left alone for a while */
	const struct zkern_tcp_params params = { .size = sizeof(params), .session_ms = 40000,
						 .timeout_ms = LONG_MS };
	struct zkern_mapping *map;
	struct zkern_map_got got;
	struct zkern_seen seen;
	struct zkern_stat stat;
	char why[256] = "", buf[2];

	if (argc != 2)
		return 2;
	if (zkern_connect(argv[1], &params, &zk, why, sizeof(why)) ||
	    zkern_connect(argv[1], &params, &writer, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	must(zkern_map_open(zk, "/mapped", &map) == -ENOENT);
	must(!zkern_create(writer, "/mapped", "one", 3, NULL, NULL, NULL));
	must(!zkern_sync(zk, "/mapped"));
	must(!zkern_map_open(zk, "/mapped", &map));
	must(zkern_map_fd(map) < 0);
	must(zkern_map_get(map, buf, sizeof(buf), &got, &stat) == -EMSGSIZE && got.len == 3 &&
	     stat.data_len == 3);
	test_wait(map);
	test_events(map);
	zkern_map_seen(map, &seen);
	must(seen.zxid && seen.state == ZKERN_STATE_UNKNOWN);
	zkern_map_close(map);
	must(!zkern_delete(writer, "/mapped", -1));
	zkern_close(writer);
	zkern_close(zk);
	return 0;
}
