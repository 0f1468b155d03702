// SPDX-License-Identifier: GPL-2.0-or-later
/* How many may connect a second (BlueThrottle), and what first bytes look like. */
#include <string.h>

#include "daemon/base/config.h"
#include "daemon/client/internal.h"
#include "selftests/client/test.h"

static struct config limits;
static struct throttle t;

static void begin(u32 tokens, u32 fill_ms, u32 fill_count)
{
	memset(&limits, 0, sizeof(limits));
	limits.connect_tokens = tokens;
	limits.connect_fill_ms = fill_ms;
	limits.connect_fill_count = fill_count;
	limits.connect_freeze_ms = -1;
	limits.connect_weight_new = 3;
	limits.connect_weight_renew = 2;
	throttle_init(&t, &limits, 1000);
}

/* How many of @n are admitted. */
static u32 admitted(u32 n, bool renew, u64 now_ms)
{
	u32 ok = 0;

	while (n--)
		ok += throttle_admits(&t, renew, now_ms);
	return ok;
}

static bool test_no_limit(void)
{
	begin(0, 1, 1);
	CHECK(admitted(100000, false, 1000) == 100000);
	throttle_destroy(&t);
	return true;
}

static bool test_bucket(void)
{
	begin(10, 100, 2);
	CHECK(admitted(20, false, 1000) == 10);
	/* not before more than the fill time has passed, and then by the whole of it */
	CHECK(admitted(20, false, 1100) == 0);
	CHECK(admitted(20, false, 1101) == 2);
	CHECK(admitted(20, false, 1401) == 6);
	CHECK(admitted(20, true, 1000000) == 10);
	CHECK(admitted(20, true, ~0ULL / 2) == 10);
	throttle_destroy(&t);
	return true;
}

static bool test_weights(void)
{
	begin(2, 100, 1);
	limits.connect_weighed = true;
	throttle_init(&t, &limits, 1000);
	CHECK(admitted(5, false, 1000) == 2);
	CHECK(admitted(5, true, 1101) == 1);	/* 3 came, 2 are taken */
	CHECK(admitted(5, false, 1202) == 1);	/* 1 + 3 */
	throttle_destroy(&t);
	return true;
}

static bool test_chance(void)
{
	begin(100, 1, 100);
	limits.connect_freeze_ms = 10;
	limits.connect_drop_increase = 0.5;
	limits.connect_drop_decrease = 0.25;
	limits.connect_decrease_ratio = 0.9;
	CHECK(admitted(100, false, 1000) == 100);
	/* found empty twice, a freeze time apart: then nobody is lucky */
	t.fill = 0;
	CHECK(!throttle_admits(&t, false, 1011) && t.drop == 0.5);
	CHECK(!throttle_admits(&t, false, 1015) && t.drop == 0.5);
	CHECK(!throttle_admits(&t, false, 1022) && t.drop == 1);
	CHECK(!throttle_admits(&t, false, 1033) && t.drop == 1);
	/* full again: a quarter of the chance goes each time */
	t.fill = 100;
	throttle_admits(&t, false, 1044);
	CHECK(t.drop == 0.75 && t.tokens >= 99);
	for (u64 now = 1055; t.drop > 0; now += 11) {
		throttle_admits(&t, false, now);
		CHECK(now < 1200);
	}
	CHECK(admitted(50, false, 2000) == 50);
	throttle_destroy(&t);
	return true;
}

static bool test_junk(void)
{
	CHECK(!strcmp(junk_name((const u8 *)"\x16\x03\x01", 3), "a TLS hello"));
	CHECK(!strcmp(junk_name((const u8 *)"GET / HT", 8), "HTTP"));
	CHECK(!strcmp(junk_name((const u8 *)"GE", 2), "text"));
	CHECK(!strcmp(junk_name((const u8 *)"hello\nworld", 11), "text"));
	CHECK(!strcmp(junk_name((const u8 *)"\0\1\2\3", 4), "no protocol that we know"));
	CHECK(!strcmp(junk_name((const u8 *)"", 0), "no protocol that we know"));
	return true;
}

const struct test throttle_tests[] = {
	{ "no limit of connects", test_no_limit },
	{ "connects by a bucket of tokens", test_bucket },
	{ "sessions weigh", test_weights },
	{ "connects refused by chance", test_chance },
	{ "what first bytes look like", test_junk },
	{ NULL, NULL },
};
