// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The small parts: queue, CRC, paths.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "daemon/base/crc32.h"
#include "daemon/base/queue.h"
#include "daemon/server/path.h"
#include "selftests/core/core.h"

#define PRODUCERS	3
#define ITEMS		100000

struct item {
	struct item *next;
	long producer;
	long n;
};

static struct queue q;

static void *produce(void *arg)
{
	for (long n = 0; n < ITEMS; n++) {
		struct item *i = malloc(sizeof(*i));

		i->producer = (long)arg;
		i->n = n;
		queue_push(&q, i);
		if (n % 1000 == 0)
			usleep(10);
	}
	return NULL;
}

/* Takes what there is; the number of items, or -1 if they are out of order. */
static long consume(long *last)
{
	struct item *i = queue_take(&q), *next;
	long n = 0;

	for (; i; i = next, n++) {
		next = i->next;
		if (i->n != ++last[i->producer])
			return -1;
		free(i);
	}
	return n;
}

void test_queue(void)
{
	long last[PRODUCERS] = { -1, -1, -1 }, total = 0, n = 0;
	pthread_t threads[PRODUCERS];

	check(!queue_init(&q));
	for (long i = 0; i < PRODUCERS; i++)
		pthread_create(&threads[i], NULL, produce, (void *)i);
	while (total < PRODUCERS * ITEMS && n >= 0) {
		struct pollfd fd = { .fd = queue_fd(&q), .events = POLLIN };

		n = consume(last);
		total += n;
		if (n || !queue_may_sleep(&q))
			continue;
		if (!poll(&fd, 1, 20000) && queue_empty(&q)) {
			check(!"woken up");
			break;
		}
		queue_awake(&q);
	}
	check(n >= 0);
	check_eq(total, PRODUCERS * ITEMS);
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	queue_destroy(&q);
}

static int readable(void)
{
	struct pollfd fd = { .fd = queue_fd(&q), .events = POLLIN };

	return poll(&fd, 1, 0);
}

/* A producer that has seen the consumer asleep, and is held up before it writes. */
static void half_kick(void)
{
	check_eq(__atomic_exchange_n(&q.sleeping, 0, __ATOMIC_SEQ_CST), 1);
}

static void other_half(void)
{
	uint64_t one = 1;

	check_eq(write(q.fd, &one, sizeof(one)), sizeof(one));
}

/* The consumer wakes for another reason first: what is written late ends one sleep
 * early and not all that follow. */
void test_late_kick(void)
{
	check(!queue_init(&q));
	for (int others = 0; others < 2; others++) {
		check(queue_may_sleep(&q));
		half_kick();
		queue_awake(&q);
		check(queue_may_sleep(&q));
		if (others) {
			queue_kick(&q);
			check_eq(readable(), 1);
		}
		queue_awake(&q);
		other_half();
		for (int n = 0; n < 2; n++) {
			check(queue_may_sleep(&q));
			check_eq(readable(), !n);
			queue_awake(&q);
		}
	}
	queue_destroy(&q);
}

void test_crc32(void)
{
	static u8 bytes[70000];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = rnd(256);
	for (u32 len = 0; len < 600; len++) {
		for (u32 at = 0; at < 17; at++) {
			u32 seed = rnd(~0U);

			check_eq(crc32_fast(seed, bytes + at, len),
				 crc32_z(seed, bytes + at, len));
		}
	}
	check_eq(crc32_fast(0, bytes, sizeof(bytes)), crc32_z(0, bytes, sizeof(bytes)));
}

static const char *const good[] = {
	"/", "/a", "/a/b", "/...", "/.a", "/a.", "/a../b", "/a b", "/\xc3\xa9",
	"/\xef\xa4\x80", "/\xef\xbf\xaf", "/zookeeper",
};

static const char *const bad[] = {
	"", "a", "a/b", "/a/", "//", "//a", "/a//b", "/.", "/..", "/a/.", "/a/..", "/./a",
	"/../a", "/a/../b", "/a\x01", "/a\x1f", "/a\x7f", "/\xc2\x80", "/\xc2\x9f",
	"/\xed\xa0\x80", "/\xee\x80\x80", "/\xef\xa3\xbf", "/\xef\xbf\xb0",
	"/\xef\xbf\xbf", "/\xf0\x9f\x98\x80", "/\xff", "/\x80", "/\xc3", "/\xe2\x82",
	"/\xc0\xaf",
};

static void check_recode(const char *in, const char *out)
{
	u8 buf[64];
	u32 n = path_recode((const u8 *)in, strlen(in), buf);

	check_eq(n, strlen(out));
	check(!memcmp(buf, out, n));
}

void test_paths(void)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		check(path_valid(good[i], strlen(good[i])));
		check(path_possible(good[i], strlen(good[i])));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (path_valid(bad[i], strlen(bad[i])))
			printf("# taken: \"%s\"\n", bad[i]);
		check(!path_valid(bad[i], strlen(bad[i])));
	}
	check(!path_valid("/a\0b", 4));
	check(!path_possible("/a\0b", 4));
	check(!path_possible("/a/", 3) && !path_possible("//", 2) && !path_possible("", 0));
	check_eq(path_parent("/a", 2), 1);
	check_eq(path_parent("/a/b", 4), 2);
	check_eq(path_parent("/a/", 3), 2);
	check_eq(path_parent("/", 1), 1);
	check_recode("/a", "/a");
	check_recode("/\xff", "/\xef\xbf\xbd");
	check_recode("/\xe2\x82", "/\xef\xbf\xbd");
	check_recode("/\xf0\x9f\x98\x80", "/\xed\xa0\xbd\xed\xb8\x80");
}
