// SPDX-License-Identifier: GPL-2.0-or-later
/* See calls.h. */
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "calls.h"
#include "tap.h"

void ask_fill(struct asker *a, int fd, const char *body, uint32_t timeout_ms)
{
	memset(a, 0, sizeof(*a));
	a->fd = fd;
	snprintf(a->in, sizeof(a->in), "%s", body);
	a->q = (struct zkern_request){
		.size = sizeof(a->q), .op = OP_SET, .timeout_ms = timeout_ms, .buf = ptr(a->in),
		.buf_len = strlen(a->in), .out = ptr(a->out), .out_cap = sizeof(a->out),
		.fate = 77,
	};
}

int ask_now(int fd, const char *body, uint32_t timeout_ms, uint32_t flags)
{
	struct asker a;

	ask_fill(&a, fd, body, timeout_ms);
	a.q.flags = flags;
	return zk_ioctl(fd, ZKERN_REQUEST, &a.q);
}

static void *ask_thread(void *arg)
{
	struct asker *a = arg;

	a->err = zk_ioctl(a->fd, ZKERN_REQUEST, &a->q);
	__atomic_store_n(&a->over, 1, __ATOMIC_RELEASE);
	return NULL;
}

void ask_start(struct asker *a)
{
	need(!pthread_create(&a->thread, NULL, ask_thread, a), "thread");
}

void ask(struct asker *a, int fd, const char *body, uint32_t timeout_ms)
{
	ask_fill(a, fd, body, timeout_ms);
	ask_start(a);
}

bool ask_over(const struct asker *a)
{
	return __atomic_load_n(&a->over, __ATOMIC_ACQUIRE);
}

int ask_join(struct asker *a)
{
	need(!pthread_join(a->thread, NULL), "join");
	return a->err;
}

bool owner_polls(int owner, int ms)
{
	struct pollfd p = { .fd = owner, .events = POLLPRI };

	return poll(&p, 1, ms) == 1 && (p.revents & POLLPRI);
}

int owner_try(int owner, struct call *call)
{
	char buf[1024] __attribute__((aligned(8)));
	struct zkern_take t = { .size = sizeof(t), .buf = ptr(buf) };
	const struct zkern_call *head = (const void *)buf;
	int err;

	memset(call, 0, sizeof(*call));
	err = zk_ioctl(owner, ZKERN_TAKE, &t);
	if (!err)
		return 0;
	if (err != -EMSGSIZE || t.used > sizeof(buf))
		return err < 0 ? err : -EPROTO;
	/* one at a time */
	t.buf_len = t.used;
	err = zk_ioctl(owner, ZKERN_TAKE, &t);
	if (err || !t.count)
		return err;
	need(t.count == 1 && head->len == t.used, "one record");
	call->head = *head;
	memcpy(call->groups, head + 1, head->n_groups * sizeof(uint32_t));
	memcpy(call->body, (const char *)(head + 1) + head->n_groups * sizeof(uint32_t),
	       head->body_len);
	return 1;
}

int owner_take(int owner, struct call *call)
{
	return owner_polls(owner, LONG * 1000) ? owner_try(owner, call) : 0;
}

static int reply(int owner, struct zkern_reply *r, const char *body, uint32_t len)
{
	char buf[sizeof(*r) + 256] __attribute__((aligned(8))) = { 0 };
	struct zkern_answer a = { .size = sizeof(a), .buf = ptr(buf) };

	r->body_len = len;
	r->len = sizeof(*r) + (len + 7) / 8 * 8;
	a.buf_len = r->len;
	memcpy(buf, r, sizeof(*r));
	if (len)
		memcpy(buf + sizeof(*r), body, len);
	return zk_ioctl(owner, ZKERN_ANSWER, &a);
}

int owner_answer(int owner, const struct call *call, uint64_t zxid, int32_t err, const char *body)
{
	struct zkern_reply r = {
		.kind = ZKERN_REPLY_ANSWER, .file = call->head.file, .seq = call->head.seq,
		.zxid = zxid, .err = err,
	};

	return reply(owner, &r, body, strlen(body));
}

int owner_fail(int owner, const struct call *call, int err, uint32_t fate)
{
	struct zkern_reply r = {
		.kind = ZKERN_REPLY_FAILED, .file = call->head.file, .seq = call->head.seq,
		.err = err, .fate = fate,
	};

	return reply(owner, &r, NULL, 0);
}

int owner_session(int owner, const struct call *call, uint64_t id)
{
	struct zkern_reply r = {
		.kind = ZKERN_REPLY_SESSION, .file = call->head.file, .zxid = id, .err = 4321,
	};

	return reply(owner, &r, "0123456789abcdef", ZKERN_PASSWD_LEN);
}

int owner_say(int owner, const struct call *call, uint32_t kind)
{
	struct zkern_reply r = { .kind = kind, .file = call->head.file };

	return reply(owner, &r, NULL, 0);
}

int owner_file(int owner, int instance, uint64_t id, struct call *call)
{
	struct asker a;
	int fd = zk_open(instance, O_RDWR | O_CLOEXEC);

	need(fd >= 0, "open");
	ask(&a, fd, "first", 0);
	need(owner_take(owner, call) == 1, "take");
	need(!owner_session(owner, call, id), "session");
	need(!owner_answer(owner, call, 0, 0, ""), "answer");
	need(!ask_join(&a), "asked");
	return fd;
}
