// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs on this host that write through the device: /dev/zkernN hands us what their
 * open files ask (linux/zkern.h, "writing"), and here each such file is a connection
 * without a socket. From there on all is as for any client: the frames go through
 * dispatch.c to the core, which knows no difference but that the session is never a local
 * one, and the answers come back through device_out().
 *
 * One I/O thread serves the device: all here is its own. It reads calls as poll(2) on the
 * owner's file says (POLLPRI), and gives the kernel the answers of a round at its end.
 *
 * A file's session outlives its connection. When the core closes that (it serves nobody for
 * a while), what it had not answered has no known outcome; what was not sent to it yet
 * waits, and another connection takes up the session as soon as the core serves. Signs of
 * life are given here, as the program has none to give. The kernel is told of a new session
 * before anything is done in it: if we die, the next daemon finds it there.
 *
 * What the kernel lets programs queue is bounded for each user; when TAKEN_MAX bytes of it
 * are here, the rest stays there.
 */
#include <linux/zkern.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "daemon/base/log.h"
#include "daemon/client/internal.h"

#define BUF_MIN		(256u * 1024)	/* for calls, and of answers at most before they go */
#define TAKEN_MAX	(64u * 1024 * 1024)
#define RETRY_MS_CORE	100	/* to connect again */
#define TICKS		5	/* a session's timeout, if it is not configured */
#define BUCKETS		1024
#define CONNECT_LEN	(4 + 8 + 4 + 8 + 4 + ZK_PASSWD_LEN + 1)

/* A request. @bytes: the groups, then room for a header, then the body. */
struct call {
	struct call *next;
	s32 xid;
	struct zkern_call head;
	u8 bytes[];
};

struct calls {
	struct call *first;
	struct call **last;
};

/* An open file. */
struct device_file {
	struct device_file *next;	/* in its bucket */
	struct device *dev;
	u64 id;
	struct conn *conn;		/* NULL: not connected */
	bool connected;			/* the core has said yes */
	bool expired;
	bool closing;			/* the file is closed */
	bool ended;			/* and so is the session */
	u64 session;			/* 0: none yet */
	s32 timeout;
	u8 passwd[ZK_PASSWD_LEN];
	s32 xid;			/* the last one used */
	s32 close_xid;			/* of closeSession; 0: not sent */
	struct calls waiting;		/* not sent to the core, */
	struct calls asked;		/* not answered by it */
	struct zkern_call *who;		/* whose identities the connection has, groups behind */
};

struct device {
	struct io *io;
	struct store *st;
	int fd;
	u8 *buf;
	u32 cap;
	struct jw out;			/* struct zkern_reply records */
	u64 taken;			/* bytes of calls here */
	bool full;			/* TAKEN_MAX: nothing is taken */
	bool retry;			/* some file wants to be connected */
	u32 n_files;
	u64 next_ms;
	struct device_file *files[BUCKETS];
};

/* ------------------------------------------------------------ answers */

static void answer(struct device *d, const void *buf, size_t len)
{
	int rc = d->st->ops->calls_answer(d->st, buf, len);

	if (rc)
		log_ratelimited(LOG_ERROR, "cannot answer local programs: %s", strerror(-rc));
}

void device_flush(struct device *d)
{
	if (d->out.len)
		answer(d, d->out.buf, d->out.len);
	d->out.len = 0;
	if (d->out.cap > BUF_MIN) {
		jw_free(&d->out);
		jw_init(&d->out, 0);
	}
}

static void put_record(struct device *d, struct zkern_reply *a, const void *body)
{
	u8 small[sizeof(*a) + ZK_PASSWD_LEN] = { 0 }, *p;
	u32 len = sizeof(*a) + ((a->body_len + 7) & ~7u);

	if (d->out.len + len > BUF_MIN)
		device_flush(d);
	p = jw_add(&d->out, len);
	if (!p && len > sizeof(small)) {
		/* no memory for it: at least nobody waits for ever */
		*a = (struct zkern_reply){ .kind = ZKERN_REPLY_FAILED, .file = a->file,
					   .seq = a->seq, .err = ECONNRESET,
					   .fate = ZKERN_FATE_UNKNOWN };
		len = sizeof(*a);
	}
	a->len = len;
	d->out.err = 0;
	if (!p)
		device_flush(d);
	memset(p ? p : small, 0, len);
	memcpy(p ? p : small, a, sizeof(*a));
	if (a->body_len)
		memcpy((p ? p : small) + sizeof(*a), body, a->body_len);
	if (!p)
		answer(d, small, len);
}

static void say(struct device_file *f, u32 kind)
{
	struct zkern_reply a = { .kind = kind, .file = f->id };

	put_record(f->dev, &a, NULL);
}

static void say_session(struct device_file *f)
{
	struct zkern_reply a = {
		.kind = ZKERN_REPLY_SESSION, .file = f->id, .zxid = f->session,
		.err = f->timeout, .body_len = ZK_PASSWD_LEN,
	};

	put_record(f->dev, &a, f->passwd);
	device_flush(f->dev);
}

static void fail_call(struct device_file *f, const struct call *call, int err, u32 fate)
{
	struct zkern_reply a = {
		.kind = ZKERN_REPLY_FAILED, .file = f->id, .seq = call->head.seq, .err = err,
		.fate = fate,
	};

	put_record(f->dev, &a, NULL);
}

/* ------------------------------------------------------------ calls */

static void calls_init(struct calls *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void calls_add(struct calls *q, struct call *call)
{
	call->next = NULL;
	*q->last = call;
	q->last = &call->next;
}

/* The one at @p, which points to it. */
static struct call *calls_take(struct calls *q, struct call **p)
{
	struct call *call = *p;

	*p = call->next;
	if (!*p)
		q->last = p;
	return call;
}

static u8 *call_frame(struct call *call)
{
	return call->bytes + call->head.n_groups * sizeof(u32);
}

static void watch_calls(struct device *d, int op)
{
	struct epoll_event ev = { .events = d->full ? 0 : EPOLLPRI, .data.ptr = d };

	if (epoll_ctl(d->io->epfd, op, d->fd, &ev))
		log_ratelimited(LOG_ERROR, "cannot wait for local programs: %s", strerror(errno));
}

static void call_free(struct device *d, struct call *call)
{
	d->taken -= call->head.len;
	free(call);
	if (d->full && d->taken < TAKEN_MAX / 2) {
		d->full = false;
		watch_calls(d, EPOLL_CTL_MOD);
	}
}

/* All of @q, which nobody will answer. */
static void fail_all(struct device_file *f, struct calls *q, int err, u32 fate)
{
	while (q->first) {
		struct call *call = calls_take(q, &q->first);

		fail_call(f, call, err, fate);
		call_free(f->dev, call);
	}
}

/* ------------------------------------------------------------ files */

static struct device_file **file_slot(struct device *d, u64 id)
{
	struct device_file **p = &d->files[id % BUCKETS];

	while (*p && (*p)->id != id)
		p = &(*p)->next;
	return p;
}

/* NULL: memory. */
static struct device_file *file_get(struct device *d, u64 id)
{
	struct device_file **p = file_slot(d, id), *f = *p;

	if (f)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->dev = d;
	f->id = id;
	calls_init(&f->waiting);
	calls_init(&f->asked);
	*p = f;
	d->n_files++;
	return f;
}

/* It has no connection. */
static void file_drop(struct device_file *f)
{
	struct device *d = f->dev;
	struct device_file **p = file_slot(d, f->id);

	fail_all(f, &f->waiting, ECONNRESET, ZKERN_FATE_NONE);
	fail_all(f, &f->asked, ECONNRESET, ZKERN_FATE_UNKNOWN);
	*p = f->next;
	d->n_files--;
	free(f->who);
	free(f);
}

/* Its session is there no more. The kernel lets it ask nothing from now on. */
static void file_expired(struct device_file *f)
{
	f->expired = true;
	say(f, ZKERN_REPLY_EXPIRED);
	fail_all(f, &f->waiting, ESHUTDOWN, ZKERN_FATE_NONE);
}

/* The file is closed and it has no connection: whether all is done. */
static bool file_over(const struct device_file *f)
{
	return f->closing && (f->ended || f->expired || !f->session);
}

/* The connection is to be by who asks @call. 0, -ENOMEM. */
static int identify(struct device_file *f, struct auth_set **auth, const struct call *call)
{
	const struct zkern_call *head = &call->head;
	u32 bytes = head->n_groups * sizeof(u32);
	struct zkern_call *who = f->who;
	struct auth_set *set;

	if (*auth && who && who->uid == head->uid && who->gid == head->gid &&
	    who->n_groups == head->n_groups && !memcmp(who + 1, call->bytes, bytes))
		return 0;
	who = malloc(sizeof(*who) + bytes);
	set = access_local(head->uid, head->gid, (const u32 *)(const void *)call->bytes,
			   head->n_groups);
	if (!who || !set) {
		free(who);
		auth_set_put(set);
		return -ENOMEM;
	}
	*who = *head;
	memcpy(who + 1, call->bytes, bytes);
	free(f->who);
	f->who = who;
	auth_set_put(*auth);
	*auth = set;
	return 0;
}

/* Who asks nothing. NULL: memory. */
static struct auth_set *nobody(struct device_file *f)
{
	struct auth_set *set = calloc(1, sizeof(*set));

	if (set)
		set->refs = 1;
	free(f->who);
	f->who = NULL;
	return set;
}

/* ------------------------------------------------------------ connections */

static s32 session_ms(const struct config *cfg)
{
	return cfg->device_session_ms ? cfg->device_session_ms : TICKS * cfg->tick_ms;
}

static int send_connect(struct device_file *f, struct conn *c)
{
	u8 frame[4 + CONNECT_LEN] = { 0 };
	s32 timeout = f->timeout ? f->timeout : session_ms(c->cs->cfg);

	jute_put32(frame, CONNECT_LEN);
	jute_put32(frame + 16, timeout);
	jute_put64(frame + 20, f->session);
	jute_put32(frame + 28, ZK_PASSWD_LEN);
	memcpy(frame + 32, f->passwd, ZK_PASSWD_LEN);
	return conn_take_connect(c, frame + 4, CONNECT_LEN);
}

static bool core_serves(const struct device *d)
{
	struct core_stats s;

	core_stats(d->io->cs->core, &s);
	return s.serves == CORE_SERVES_ALL;
}

/* Without memory, or with a core that serves nobody, device_timer() tries again. */
static void file_connect(struct device_file *f)
{
	struct device *d = f->dev;
	struct auth_set *auth = NULL;
	struct conn *c = NULL;
	char name[32];

	d->retry = true;
	if (!core_serves(d))
		return;
	if (f->waiting.first)
		identify(f, &auth, f->waiting.first);
	else
		auth = nobody(f);
	snprintf(name, sizeof(name), "/device:%llu", (unsigned long long)f->id);
	if (auth)
		c = conn_new_device(d->io->cs, d->io, f, name, auth);
	if (!c) {
		auth_set_put(auth);
		return;
	}
	f->conn = c;
	f->connected = false;
	if (send_connect(f, c))
		conn_close(c);
}

static bool wants_conn(const struct device_file *f)
{
	return !f->conn && !f->expired && (f->session || f->waiting.first);
}

void device_lost(struct conn *c)
{
	struct device_file *f = c->file;

	c->file = NULL;
	f->conn = NULL;
	f->close_xid = 0;
	fail_all(f, &f->asked, ECONNRESET, ZKERN_FATE_UNKNOWN);
	if (file_over(f)) {
		say(f, ZKERN_REPLY_ENDED);
		file_drop(f);
	} else if (wants_conn(f)) {
		f->dev->retry = true;
	}
	f->dev->next_ms = 0;
}

static s32 next_xid(struct device_file *f)
{
	f->xid = f->xid == INT32_MAX ? 1 : f->xid + 1;
	return f->xid;
}

/* The session is closed after all that was asked. */
static int feed_close(struct device_file *f, struct conn *c)
{
	u8 frame[8];
	int err;

	jute_put32(frame, f->xid == INT32_MAX ? 1 : f->xid + 1);
	jute_put32(frame + 4, OP_CLOSESESSION);
	err = conn_take(c, frame, sizeof(frame));
	if (!err)
		f->close_xid = next_xid(f);
	return err;
}

static int feed_call(struct device_file *f, struct conn *c)
{
	struct call *call = f->waiting.first;
	u8 *frame = call_frame(call);
	int err;

	err = identify(f, &c->auth, call);
	if (err)
		return err;
	call->xid = f->xid == INT32_MAX ? 1 : f->xid + 1;
	jute_put32(frame, call->xid);
	jute_put32(frame + 4, call->head.op);
	err = conn_take(c, frame, 8 + call->head.body_len);
	if (err)
		return err;
	next_xid(f);
	calls_add(&f->asked, calls_take(&f->waiting, &f->waiting.first));
	return 0;
}

int device_feed(struct conn *c)
{
	struct device_file *f = c->file;
	int err = 0;

	c->stuck = false;
	while (!err && (f->waiting.first || (f->closing && !f->close_xid))) {
		if (c->state != CONN_OPEN)
			return 0;
		if (!conn_may_take(c)) {
			c->stuck = true;
			return 0;
		}
		err = f->waiting.first ? feed_call(f, c) : feed_close(f, c);
	}
	if (err != TAKE_LATER)
		return err;
	c->stuck = true;
	return 0;
}

static int out_connected(struct conn *c, struct jr *r)
{
	struct device_file *f = c->file;
	struct jstr passwd;
	s32 timeout;
	u64 id;

	jr_int(r);
	timeout = jr_int(r);
	id = jr_long(r);
	passwd = jr_str(r);
	if (r->err || passwd.len != ZK_PASSWD_LEN)
		return -EPROTO;
	f->connected = true;
	if (!id || timeout <= 0) {
		file_expired(f);
		return 0;
	}
	if (id != f->session || timeout != f->timeout) {
		f->session = id;
		f->timeout = timeout;
		memcpy(f->passwd, passwd.p, ZK_PASSWD_LEN);
		say_session(f);
	}
	c->stuck = true;	/* device_feed() is next */
	return 0;
}

static int out_reply(struct conn *c, struct jr *r)
{
	struct zkern_reply a = { .kind = ZKERN_REPLY_ANSWER, .file = c->file->id };
	struct device_file *f = c->file;
	struct call **p = &f->asked.first, *call;
	s32 xid = jr_int(r);

	a.zxid = jr_long(r);
	a.err = jr_int(r);
	if (r->err)
		return -EPROTO;
	if (f->close_xid && xid == f->close_xid) {
		f->ended = true;
		return 0;
	}
	while (*p && (*p)->xid != xid)
		p = &(*p)->next;
	if (!*p)
		return conn_refuse(c, "an answer to nothing that it asked");
	call = calls_take(&f->asked, p);
	a.seq = call->head.seq;
	a.body_len = jr_left(r);
	put_record(f->dev, &a, r->p);
	call_free(f->dev, call);
	return 0;
}

int device_out(struct conn *c, struct jw *w)
{
	size_t at = 0;
	int err = 0;

	while (!err && w->len - at >= 4) {
		u32 len = jute_get32(w->buf + at);
		struct jr r;

		if (len > w->len - at - 4)
			return -EPROTO;
		jr_init(&r, w->buf + at + 4, len);
		err = c->file->connected ? out_reply(c, &r) : out_connected(c, &r);
		at += 4 + len;
	}
	w->len = 0;
	return err;
}

/* ------------------------------------------------------------ the kernel's calls */

static void add_request(struct device *d, struct device_file *f, const struct zkern_call *head)
{
	u32 groups = head->n_groups * sizeof(u32);
	const u8 *rest = (const u8 *)(head + 1);
	struct call *call = malloc(sizeof(*call) + groups + 8 + head->body_len);

	if (!call) {
		struct call none = { .head = *head };

		fail_call(f, &none, ENOMEM, ZKERN_FATE_NONE);
		return;
	}
	call->head = *head;
	memcpy(call->bytes, rest, groups);
	memcpy(call_frame(call) + 8, rest + groups, head->body_len);
	d->taken += head->len;
	if (8 + (u64)head->body_len > d->io->cs->cfg->max_buffer) {
		fail_call(f, call, EMSGSIZE, ZKERN_FATE_NONE);
		call_free(d, call);
	} else if (f->expired) {
		fail_call(f, call, ESHUTDOWN, ZKERN_FATE_NONE);
		call_free(d, call);
	} else {
		calls_add(&f->waiting, call);
	}
}

static void take_one(struct device *d, const struct zkern_call *head)
{
	struct device_file *f = file_get(d, head->file);

	if (!f) {
		struct device_file none = { .dev = d, .id = head->file };
		struct call call = { .head = *head };

		log_ratelimited(LOG_ERROR, "no memory for a local program's session");
		if (head->kind == ZKERN_CALL_REQUEST)
			fail_call(&none, &call, ENOMEM, ZKERN_FATE_NONE);
		else
			say(&none, ZKERN_REPLY_EXPIRED);
		return;
	}
	switch (head->kind) {
	case ZKERN_CALL_REQUEST:
		add_request(d, f, head);
		break;
	case ZKERN_CALL_ATTACH:
		f->session = head->seq;
		f->timeout = head->op;
		if (head->body_len == ZK_PASSWD_LEN)
			memcpy(f->passwd, head + 1, ZK_PASSWD_LEN);
		break;
	case ZKERN_CALL_CLOSE:
		f->closing = true;
		fail_all(f, &f->waiting, ECONNRESET, ZKERN_FATE_NONE);
		break;
	}
	if (wants_conn(f)) {
		file_connect(f);
		d->next_ms = 0;
	}
	if (f->conn) {
		f->conn->stuck = true;
		conn_retry(f->conn);
	} else if (file_over(f)) {
		say(f, ZKERN_REPLY_ENDED);
		file_drop(f);
	}
}

static int grow(struct device *d, u32 len)
{
	u8 *p = realloc(d->buf, len);

	if (!p)
		return -ENOMEM;
	d->buf = p;
	d->cap = len;
	return 0;
}

void device_ready(struct device *d)
{
	const struct zkern_call *head;
	u32 used, at;
	int rc;

	if (d->io->stopping || d->full)
		return;
	rc = d->st->ops->calls_take(d->st, d->buf, d->cap, &used);
	if (rc == -EMSGSIZE) {
		rc = grow(d, used);
		if (!rc)
			rc = d->st->ops->calls_take(d->st, d->buf, d->cap, &used);
	}
	if (rc) {
		log_ratelimited(LOG_ERROR, "cannot take what local programs ask: %s",
				strerror(-rc));
		return;
	}
	for (at = 0; at < used; at += head->len) {
		head = (const struct zkern_call *)(const void *)(d->buf + at);
		take_one(d, head);
	}
	if (d->cap > BUF_MIN)
		grow(d, BUF_MIN);
	if (d->taken > TAKEN_MAX) {
		d->full = true;
		watch_calls(d, EPOLL_CTL_MOD);
	}
}

/* ------------------------------------------------------------ time */

u64 device_next_ms(const struct device *d)
{
	return d->n_files ? d->next_ms : ~0ULL;
}

static void file_timer(struct device_file *f)
{
	struct conn *c = f->conn;

	if (c && c->session)
		__atomic_store_n(&c->session->heard_ms, c->io->now_ms, __ATOMIC_RELAXED);
	if (wants_conn(f))
		file_connect(f);
}

void device_timer(struct device *d)
{
	u64 step = d->io->cs->cfg->tick_ms / 2;
	struct device_file *f, *next;

	if (!d->n_files || d->io->now_ms < d->next_ms)
		return;
	d->retry = false;
	for (u32 i = 0; i < BUCKETS; i++) {
		for (f = d->files[i]; f; f = next) {
			next = f->next;
			file_timer(f);
		}
	}
	if (d->retry && step > RETRY_MS_CORE)
		step = RETRY_MS_CORE;
	d->next_ms = d->io->now_ms + (step ? step : 1);
}

/* ------------------------------------------------------------ life */

int device_open(struct io *io)
{
	struct store *st = io->cs->st;
	int fd = st->ops->calls_fd ? st->ops->calls_fd(st) : -1;
	struct device *d;

	if (fd < 0)
		return 0;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->io = io;
	d->st = st;
	d->fd = fd;
	jw_init(&d->out, 0);
	if (grow(d, BUF_MIN)) {
		free(d);
		return -ENOMEM;
	}
	io->device = d;
	watch_calls(d, EPOLL_CTL_ADD);
	return 0;
}

void device_free(struct device *d)
{
	if (!d)
		return;
	for (u32 i = 0; i < BUCKETS; i++) {
		while (d->files[i]) {
			struct device_file *f = d->files[i];

			while (f->waiting.first)
				free(calls_take(&f->waiting, &f->waiting.first));
			d->files[i] = f->next;
			free(f->who);
			free(f);
		}
	}
	jw_free(&d->out);
	free(d->buf);
	free(d);
}
