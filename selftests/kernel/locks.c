// SPDX-License-Identifier: GPL-2.0-or-later
/* See locks.h. */
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "locks.h"
#include "tap.h"

int lk_open(int fd, const char *path)
{
	struct zkern_lock_open q = {
		.size = sizeof(q), .path = ptr(path), .path_len = strlen(path), .fd = -1,
	};
	int err = zk_ioctl(fd, ZKERN_LOCK_OPEN, &q);

	return err ? err : q.fd;
}

int lk(int fd, uint32_t mode, uint32_t flags, uint32_t timeout_ms, struct zkern_lock *q)
{
	struct zkern_lock own;

	if (!q)
		q = &own;
	*q = (struct zkern_lock){
		.size = sizeof(*q), .flags = flags, .mode = mode, .timeout_ms = timeout_ms,
	};
	return zk_ioctl(fd, ZKERN_LOCK, q);
}

int lk_un(int fd)
{
	return zk_ioctl(fd, ZKERN_UNLOCK, NULL);
}

int lk_held(int fd, struct zkern_lock *q)
{
	struct zkern_lock own;

	if (!q)
		q = &own;
	*q = (struct zkern_lock){ .size = sizeof(*q) };
	return zk_ioctl(fd, ZKERN_LOCKED, q);
}

int lk_poll(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLPRI };

	return poll(&p, 1, ms) == 1 ? p.revents : 0;
}

int lk_cmp(const struct zkern_lock *a, const struct zkern_lock *b)
{
	if (a->token_hi != b->token_hi)
		return a->token_hi < b->token_hi ? -1 : 1;
	return a->token_lo < b->token_lo ? -1 : a->token_lo > b->token_lo;
}

static void *lock_thread(void *arg)
{
	struct locker *t = arg;

	__atomic_store_n(&t->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	t->err = lk(t->fd, t->mode, t->flags, t->timeout_ms, &t->q);
	__atomic_store_n(&t->over, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* The thread sleeps in an ioctl. */
static bool waits(pid_t tid)
{
	char path[64], text[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	return atoi(text) == SYS_ioctl;		/* "running", if it does not sleep */
}

void locker_start(struct locker *t, int fd, uint32_t mode, uint32_t flags, uint32_t timeout_ms)
{
	double end = now() + LONG;

	*t = (struct locker){ .fd = fd, .mode = mode, .flags = flags, .timeout_ms = timeout_ms };
	need(!pthread_create(&t->thread, NULL, lock_thread, t), "thread");
	while (!locker_over(t) && !waits(__atomic_load_n(&t->tid, __ATOMIC_ACQUIRE))) {
		need(now() < end, "waits");
		usleep(1000);
	}
}

bool locker_over(const struct locker *t)
{
	return __atomic_load_n(&t->over, __ATOMIC_ACQUIRE);
}

int locker_join(struct locker *t)
{
	need(!pthread_join(t->thread, NULL), "join");
	return t->err;
}

/* ------------------------------------------------------------ the owner */

bool lo_polls(int owner, int ms)
{
	struct pollfd p = { .fd = owner, .events = POLLRDBAND };

	return poll(&p, 1, ms) == 1 && (p.revents & POLLRDBAND);
}

int lo_take(int owner, struct lcall *call)
{
	char buf[sizeof(*call)] __attribute__((aligned(8))) = { 0 };
	struct zkern_take t = { .size = sizeof(t), .buf = ptr(buf) };
	const struct zkern_lock_call *head = (const void *)buf;
	int err;

	memset(call, 0, sizeof(*call));
	if (!lo_polls(owner, LONG * 1000))
		return 0;
	err = zk_ioctl(owner, ZKERN_LOCK_TAKE, &t);
	if (!err)
		return 0;
	if (err != -EMSGSIZE || t.used > sizeof(buf))
		return err < 0 ? err : -EPROTO;
	/* one at a time */
	t.buf_len = t.used;
	err = zk_ioctl(owner, ZKERN_LOCK_TAKE, &t);
	if (err || !t.count)
		return err;
	need(t.count == 1 && head->len == t.used, "one record");
	call->head = *head;
	memcpy(call->path, head + 1, head->path_len);
	return 1;
}

int lo_say(int owner, const struct lcall *call, struct zkern_lock_reply r)
{
	struct zkern_lock_answer a = { .size = sizeof(a), .buf = ptr(&r), .count = 1 };

	r.lock = call->head.lock;
	r.seq = call->head.seq;
	return zk_ioctl(owner, ZKERN_LOCK_ANSWER, &a);
}

int lo_grant(int owner, const struct lcall *call, uint64_t base)
{
	return lo_say(owner, call, (struct zkern_lock_reply){ .kind = ZKERN_LOCK_GRANT,
							      .base = base });
}

int lo_revoke(int owner, const struct lcall *call, uint32_t turns, uint32_t ms)
{
	return lo_say(owner, call, (struct zkern_lock_reply){ .kind = ZKERN_LOCK_REVOKE,
							      .turns = turns, .ms = ms });
}

int lo_lease(int owner, uint64_t session, int64_t ms)
{
	struct zkern_lease q = { .size = sizeof(q), .flags = ZKERN_LEASE_ASK };
	int err = zk_ioctl(owner, ZKERN_LEASE, &q);

	if (err)
		return err;
	q.flags = 0;
	q.session = session;
	q.timeout = 4321;
	memcpy(q.passwd, "0123456789abcdef", sizeof(q.passwd));
	q.end_ns = q.now_ns + ms * 1000000;
	return zk_ioctl(owner, ZKERN_LEASE, &q);
}

void lo_serve(int owner, uint32_t mode, uint64_t base, struct lcall *call)
{
	need(lo_take(owner, call) == 1, "take");
	need(call->head.mode == mode, "mode");
	need(!lo_grant(owner, call, base), "grant");
}
