// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who asks the owner to do something, and what the owner's side of that does: it answers
 * with what it was asked, fails, expires the session, or says nothing until it goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

#define OP_SET		5
#define BODY_MOST	300
#define TAKE_ROOM	16384
#define FAILS_WITH	ENOTSUP

/* ------------------------------------------------------------ who asks */

/* What may become of a request, other than an answer. */
static bool refused(int err)
{
	switch (err) {
	case -ETIMEDOUT:
	case -ECONNRESET:
	case -ESHUTDOWN:
	case -EAGAIN:
	case -ENOSPC:
	case -ENOTCONN:
	case -FAILS_WITH:
		return true;
	}
	return false;
}

static void check_answer(struct worker *w, const struct zkern_request *q, const uint8_t *body)
{
	right(w, q->fate == ZKERN_FATE_ANSWERED && q->session && q->session_ms,
	      "an answer of fate %u, session %llu of %u ms", q->fate,
	      (unsigned long long)q->session, q->session_ms);
	right(w, q->out_len == q->buf_len && !memcmp(w->buf, body, q->buf_len),
	      "%u bytes for %u that were asked", q->out_len, q->buf_len);
	right(w, q->zxid >= w->seen && q->zxid <= published, "an answer of %llu at %llu",
	      (unsigned long long)q->zxid, (unsigned long long)published);
	w->seen = q->zxid;
}

/* One request of the file: is it good for others? */
static bool ask_once(struct worker *w, int fd)
{
	uint8_t body[BODY_MOST];
	struct zkern_request q = {
		.size = sizeof(q), .op = OP_SET, .buf = ptr(body), .buf_len = rnd(w, BODY_MOST),
		.out = ptr(w->buf), .out_cap = BODY_MOST,
		.timeout_ms = rnd(w, 8) ? 1 + rnd(w, 300) : 0,
		.flags = rnd(w, 4) ? 0 : ZKERN_REQUEST_NOWAIT,
		.fate = 77,
	};
	int err;

	text_of(rnd(w, 1000), q.buf_len, body);
	err = zk_ioctl(fd, ZKERN_REQUEST, &q);
	if (refused(err)) {
		right(w, q.fate != ZKERN_FATE_ANSWERED, "request: %s, and fate %u", strerror(-err),
		      q.fate);
		return err != -ESHUTDOWN;
	}
	if (may_fail(w, err, "request"))
		check_answer(w, &q, body);
	return true;
}

/* A file with a session, which ends with it; it watches now and then. */
void round_request(struct worker *w)
{
	struct zkern_watch add = {
		.size = sizeof(add), .cmd = ZKERN_WATCH_ADD, .kind = ZKERN_WATCH_RECURSIVE,
		.path = ptr("/g2"), .path_len = 3,
	};
	int fd = zk_open(main_inst, O_RDWR | O_NONBLOCK), times = rnd(w, 12);

	w->seen = 0;
	if (!may_fail(w, fd, "open by who asks"))
		return;
	if (!rnd(w, 3))
		zk_ioctl(fd, ZKERN_WATCH, &add);
	while (times-- && !stopping && ask_once(w, fd))
		;
	close(fd);
}

/* ------------------------------------------------------------ the owner */

static void reply(struct worker *w, int owner, struct zkern_reply *r, const void *body,
		  uint32_t len)
{
	uint8_t buf[sizeof(*r) + BODY_MOST + 8] __attribute__((aligned(8))) = { 0 };
	struct zkern_answer a = { .size = sizeof(a), .buf = ptr(buf) };
	int err;

	r->body_len = len;
	r->len = sizeof(*r) + (len + 7) / 8 * 8;
	a.buf_len = r->len;
	memcpy(buf, r, sizeof(*r));
	memcpy(buf + sizeof(*r), body, len);
	err = zk_ioctl(owner, ZKERN_ANSWER, &a);
	/* it is not to be told twice, but if it is, nothing happens */
	if (!may_fail(w, err, "answer")) {
		calm(w);
		a.done = 0;
		err = zk_ioctl(owner, ZKERN_ANSWER, &a);
		right(w, !err && a.done == 1, "answer once more: %d", err);
		harm(w);
	}
}

static void say(struct worker *w, int owner, const struct zkern_call *c, uint32_t kind)
{
	struct zkern_reply r = { .kind = kind, .file = c->file };

	reply(w, owner, &r, "", 0);
}

static void give_session(struct worker *w, int owner, const struct zkern_call *c)
{
	struct zkern_reply r = {
		.kind = ZKERN_REPLY_SESSION, .file = c->file, .zxid = c->file, .err = 4000,
	};

	reply(w, owner, &r, "0123456789abcdef", ZKERN_PASSWD_LEN);
}

static void do_request(struct worker *w, int owner, const struct zkern_call *c)
{
	const uint8_t *body = (const uint8_t *)(c + 1) + c->n_groups * sizeof(uint32_t);
	struct zkern_reply r = { .file = c->file, .seq = c->seq, .zxid = published };

	give_session(w, owner, c);
	switch (rnd(w, 40)) {
	case 0:
		say(w, owner, c, ZKERN_REPLY_EXPIRED);
		break;
	case 1:
		/* whoever waits does so until the owner goes */
		break;
	case 2:
	case 3:
		r.kind = ZKERN_REPLY_FAILED;
		r.err = FAILS_WITH;
		reply(w, owner, &r, "", 0);
		break;
	default:
		r.kind = ZKERN_REPLY_ANSWER;
		reply(w, owner, &r, body, c->body_len);
	}
}

static void do_call(struct worker *w, int owner, const struct zkern_call *c)
{
	switch (c->kind) {
	case ZKERN_CALL_REQUEST:
		do_request(w, owner, c);
		break;
	case ZKERN_CALL_ATTACH:
		right(w, c->seq == c->file, "file %llu had session %llu",
		      (unsigned long long)c->file, (unsigned long long)c->seq);
		if (rnd(w, 4))
			give_session(w, owner, c);
		else
			say(w, owner, c, ZKERN_REPLY_EXPIRED);
		break;
	case ZKERN_CALL_CLOSE:
		say(w, owner, c, ZKERN_REPLY_ENDED);
		break;
	default:
		wrong(w, "a call of kind %u", c->kind);
	}
}

/* Records up to @used bytes, just those that were counted. */
static void do_all(struct worker *w, int owner, const struct zkern_take *t, const uint8_t *buf)
{
	uint32_t at = 0, n;

	for (n = 0; at + sizeof(struct zkern_call) <= t->used; n++) {
		const struct zkern_call *c = (const void *)(buf + at);

		if (c->len % 8 || c->len > t->used - at ||
		    c->len < sizeof(*c) + c->n_groups * sizeof(uint32_t) + c->body_len) {
			wrong(w, "a call of %u bytes of %u", c->len, t->used - at);
			return;
		}
		do_call(w, owner, c);
		at += c->len;
	}
	right(w, n == t->count && at == t->used, "%u calls taken of %u, %u bytes of %u", n,
	      t->count, at, t->used);
}

void round_serve(struct worker *w)
{
	uint8_t buf[TAKE_ROOM] __attribute__((aligned(8)));
	struct zkern_take t = { .size = sizeof(t), .buf = ptr(buf), .buf_len = sizeof(buf) };
	int owner = owner_enter(), err;
	struct pollfd p = { .fd = owner, .events = POLLPRI };

	if (poll(&p, 1, 0) > 0 || !rnd(w, 16)) {
		err = zk_ioctl(owner, ZKERN_TAKE, &t);
		if (may_fail(w, err, "take"))
			do_all(w, owner, &t, buf);
	}
	owner_leave();
	usleep(rnd(w, 2000));
}
