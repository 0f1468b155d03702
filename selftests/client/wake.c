// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An I/O thread does not go to sleep on what it has to do. The core's part is played by
 * the test (peer.h), from inside the store too: so it can post at the very moment that
 * matters.
 */
#include "selftests/client/peer.h"

static struct session sessions[2] = {
	{ .id = 0x1111, .timeout = 6000 }, { .id = 0x2222, .timeout = 6000 },
};

static const struct store_ops *inner;	/* the store's own */
static struct conn *told;		/* who is answered while the store is asked */

static int owned(struct store *s, u64 session,
		 int (*fn)(void *arg, const char *path, u32 len), void *arg)
{
	if (told)
		post_reply(told, 5, 11);
	told = NULL;
	return inner->owned(s, session, fn, arg);
}

/* The request that reaches the core next is this one; its answer is still to come. */
static bool asked(s32 xid)
{
	struct request *r = core_next(WAIT_MS);
	bool ok = r && r->kind == REQ_OP && r->xid == xid;

	if (r)
		request_free(r);
	return ok;
}

/* A write and getEphemerals, which is to be answered after it; sent as one. */
static bool put_both(int fd)
{
	struct jw w;
	bool ok;

	jw_init(&w, 0);
	jw_int(&w, 8 + 1);
	jw_int(&w, 1);
	jw_int(&w, OP_CREATE);
	jw_bytes(&w, "x", 1);
	jw_int(&w, 8 + 5);
	jw_int(&w, 2);
	jw_int(&w, OP_GETEPHEMERALS);
	jw_str(&w, "/", 1);
	ok = put_all(fd, w.buf, w.len);
	jw_free(&w);
	return ok;
}

/*
 * One client's getEphemerals waits until the core has answered what is before it. Just
 * when its turn has come the core answers another client: the thread comes across that
 * while it looks for events to go before its own answer. Nothing happens after that.
 */
static bool test_found_late(void)
{
	struct store_ops ops;
	struct conn *c[2];
	int fd[2];
	s32 xid;

	server_defaults();
	cfg.io_threads = 1;
	server_start();
	inner = st->ops;
	ops = *inner;
	ops.owned = owned;
	st->ops = &ops;
	for (int i = 0; i < 2; i++)
		fd[i] = login(&c[i], &sessions[i]);
	CHECK(put_request(fd[1], 5, OP_CREATE, "x", 1) && asked(5));
	CHECK(put_both(fd[0]) && asked(1));
	told = c[1];
	post_reply(c[0], 1, 11);
	CHECK(get_frame(fd[0], &xid, NULL, NULL) && xid == 1);
	CHECK(get_frame(fd[0], &xid, NULL, NULL) && xid == 2);
	CHECK(!told);
	CHECK(get_frame(fd[1], &xid, NULL, NULL) && xid == 5);
	for (int i = 0; i < 2; i++)
		hang_up(fd[i], c[i]);
	st->ops = inner;
	server_stop();
	return true;
}

const struct test wake_tests[] = {
	{ "an answer come across late is sent", test_found_late },
	{ NULL, NULL },
};
