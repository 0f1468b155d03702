// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Watches and events over TCP. The handle remembers each watch it has left on the
 * server, and sets them again on a new connection (setWatches2, with the last zxid
 * seen, so that the server fires those that were missed). A one-shot watch is
 * forgotten when it fires. Events wait in a bounded queue.
 */
#include "tcp.h"

/* One setWatches2 holds about so many bytes of paths (ZooKeeper.java splits too). */
#define SET_WATCHES_BYTES	(128 * 1024)

static struct tcp_watch *find(struct tcp *t, enum tcp_watch_kind kind, const char *path)
{
	size_t i;

	for (i = 0; i < t->n_watches; i++)
		if (t->watches[i].kind == kind && !strcmp(t->watches[i].path, path))
			return &t->watches[i];
	return NULL;
}

int tcp_watch_add(struct tcp *t, enum tcp_watch_kind kind, const char *path)
{
	struct tcp_watch *w;

	w = find(t, kind, path);
	if (w) {
		w->quiet = false;
		return 0;
	}
	if (t->n_watches == TCP_WATCHES_MAX)
		return zkern_fail(&t->zk, -ENOSPC, "more than %d watches on one handle",
				  TCP_WATCHES_MAX);
	if (t->n_watches == t->cap_watches) {
		size_t cap = t->cap_watches ? t->cap_watches * 2 : 16;

		w = reallocarray(t->watches, cap, sizeof(*w));
		if (!w)
			return zkern_fail(&t->zk, -ENOMEM, "out of memory");
		t->watches = w;
		t->cap_watches = cap;
	}
	w = &t->watches[t->n_watches];
	w->kind = kind;
	w->quiet = false;
	w->path = zkern_dup(path, strlen(path));
	if (!w->path)
		return zkern_fail(&t->zk, -ENOMEM, "out of memory");
	t->n_watches++;
	return 0;
}

/* Does an event of @type end a one-shot watch of @kind (ZKWatchManager.java)? */
static bool ends(enum tcp_watch_kind kind, int type)
{
	switch (type) {
	case EVENT_CREATED:
	case EVENT_DATACHANGED:
		return kind == TCP_WATCH_DATA || kind == TCP_WATCH_EXIST;
	case EVENT_CHILDREN:
		return kind == TCP_WATCH_CHILD;
	case EVENT_DELETED:
		return kind < TCP_WATCH_PERSISTENT;
	default:
		return false;
	}
}

/* Is an event of @type at @path news to a watch? */
static bool concerns(const struct tcp_watch *w, int type, const char *path)
{
	size_t len = strlen(w->path);

	if (w->kind == TCP_WATCH_PERSISTENT)
		return !strcmp(w->path, path);
	if (w->kind == TCP_WATCH_RECURSIVE)
		return !strncmp(w->path, path, len) &&
		       (len == 1 || !path[len] || path[len] == '/');
	return ends(w->kind, type) && !strcmp(w->path, path);
}

/* Is it news to none but watches that make no event? */
static bool is_quiet(const struct tcp *t, int type, const char *path)
{
	bool quiet = false;
	size_t i;

	for (i = 0; i < t->n_watches; i++) {
		if (!concerns(&t->watches[i], type, path))
			continue;
		if (!t->watches[i].quiet)
			return false;
		quiet = true;
	}
	return quiet;
}

static void forget_fired(struct tcp *t, int type, const char *path)
{
	size_t i, kept = 0;

	for (i = 0; i < t->n_watches; i++) {
		if (ends(t->watches[i].kind, type) && !strcmp(t->watches[i].path, path))
			free(t->watches[i].path);
		else
			t->watches[kept++] = t->watches[i];
	}
	t->n_watches = kept;
}

static void queue(struct tcp *t, struct tcp_event *e)
{
	*t->events_end = e;
	t->events_end = &e->next;
	t->n_events++;
}

void tcp_session_event(struct tcp *t, int state)
{
	struct tcp_event *e;

	if (t->n_events >= 2 * TCP_EVENTS_MAX)
		return;
	e = calloc(1, sizeof(*e));
	if (!e)
		return;
	e->ev.type = ZKERN_EVENT_SESSION;
	e->ev.state = state;
	queue(t, e);
}

int tcp_notified(struct tcp *t, struct jr *body, s64 zxid)
{
	s32 type = jr_int(body), state = jr_int(body);
	struct jstr path = jr_str(body);
	struct tcp_event *e;
	bool quiet;

	if (body->err)
		return zkern_fail(&t->zk, -EPROTO, "a malformed notification");
	if (type < EVENT_CREATED || type > EVENT_CHILDREN)
		return 0;	/* of watches removed: no news to who removed them */
	if (t->n_events >= TCP_EVENTS_MAX)
		return zkern_fail(&t->zk, -ENOBUFS, "more than %d events wait to be taken",
				  TCP_EVENTS_MAX);
	e = calloc(1, sizeof(*e));
	if (e)
		e->ev.path = zkern_dup(path.p, path.p ? path.len : 0);
	if (!e || !e->ev.path) {
		free(e);
		return zkern_fail(&t->zk, -ENOMEM, "out of memory");
	}
	e->ev.type = (enum zkern_event_type)type;
	e->ev.state = state;
	e->ev.zxid = zxid > 0 ? zxid : 0;
	quiet = is_quiet(t, type, e->ev.path);
	forget_fired(t, type, e->ev.path);
	if (quiet) {
		free(e->ev.path);
		free(e);
	} else {
		queue(t, e);
	}
	return 0;
}

/* One setWatches2 with the watches [@from, @to). */
static int send_some(struct tcp *t, size_t from, size_t to, s64 deadline)
{
	/* The order of the vectors in SetWatches2 is that of enum tcp_watch_kind. */
	enum tcp_watch_kind kind;
	struct op_reply r;
	struct jw w;
	int err;

	zkern_begin(&w, OP_SETWATCHES2);
	jw_long(&w, t->last_zxid);
	for (kind = 0; kind < TCP_WATCH_KINDS; kind++) {
		s32 n = 0;
		size_t i;

		for (i = from; i < to; i++)
			n += t->watches[i].kind == kind;
		jw_int(&w, n);
		for (i = from; i < to; i++)
			if (t->watches[i].kind == kind)
				jw_str(&w, t->watches[i].path, strlen(t->watches[i].path));
	}
	err = tcp_call_xid(t, &w, XID_SETWATCHES, &r, deadline);
	if (err || !r.err)
		return err;
	t->zk.zk_error = r.err;
	return zkern_fail(&t->zk, zkern_errno_of(r.err), "setting the watches again: %s",
			  zkern_code_text(r.err) ?: "refused by the server");
}

int tcp_watches_send(struct tcp *t, s64 deadline)
{
	size_t from = 0, to, bytes, before;
	int err;

	while (from < t->n_watches) {
		bytes = 0;
		for (to = from; to < t->n_watches && bytes < SET_WATCHES_BYTES; to++)
			bytes += 4 + strlen(t->watches[to].path);
		before = t->n_watches;
		err = send_some(t, from, to, deadline);
		if (err)
			return err;
		/* Those that fired meanwhile have left the list and moved the rest. */
		from = to - (before - t->n_watches < to ? before - t->n_watches : to);
	}
	return 0;
}

void tcp_watches_free(struct tcp *t)
{
	size_t i;

	while (t->events) {
		struct tcp_event *e = t->events;

		t->events = e->next;
		free(e->ev.path);
		free(e);
	}
	t->events_end = &t->events;
	t->n_events = 0;
	for (i = 0; i < t->n_watches; i++)
		free(t->watches[i].path);
	free(t->watches);
	t->watches = NULL;
	t->n_watches = 0;
	t->cap_watches = 0;
}

int tcp_add_watch(struct zkern *zk, const char *path, bool recursive)
{
	struct tcp *t = tcp_of(zk);
	struct op_reply r;
	struct jw w;
	int err;

	zkern_begin(&w, OP_ADDWATCH);
	jw_str(&w, path, strlen(path));
	jw_int(&w, recursive ? ADDWATCH_PERSISTENT_RECURSIVE : ADDWATCH_PERSISTENT);
	err = tcp_call(t, &w, true, path, &r);
	if (err)
		return err;
	return tcp_watch_add(t, recursive ? TCP_WATCH_RECURSIVE : TCP_WATCH_PERSISTENT, path);
}

static bool pop(struct tcp *t, struct zkern_event *event)
{
	struct tcp_event *e = t->events;

	if (!e)
		return false;
	t->events = e->next;
	if (!t->events)
		t->events_end = &t->events;
	t->n_events--;
	*event = e->ev;
	free(e);
	if (!event->path)
		event->path = zkern_dup("", 0);
	return true;
}

/* Takes what comes next, having reconnected if need be. As tcp_next_event(); 1: went on. */
static int go_on(struct tcp *t, s64 deadline)
{
	struct op_reply r;
	s64 until;
	int err;

	if (t->fd >= 0) {
		/* What is no notification is a late reply. */
		err = tcp_take(t, &r, true, deadline);
		if (err == -ETIMEDOUT)
			return 0;
		if (err == -EINTR || (err && t->fd >= 0))
			return err;
		if (err)
			tcp_session_event(t, ZKERN_SESSION_DISCONNECTED);
		return 1;
	}
	until = tcp_deadline(t);
	err = tcp_ensure(t, until < deadline ? until : deadline);
	if (err == -EINTR || err == -ESHUTDOWN || err == -EKEYREJECTED)
		return err;
	return !err || zkern_now_ms() < deadline;
}

static s64 deadline_in(int timeout_ms)
{
	return timeout_ms < 0 ? INT64_MAX : zkern_now_ms() + timeout_ms;
}

int tcp_next_event(struct zkern *zk, int timeout_ms, struct zkern_event *event)
{
	s64 deadline = deadline_in(timeout_ms);
	struct tcp *t = tcp_of(zk);
	int err;

	zk->zk_error = 0;
	do {
		if (pop(t, event))
			return event->path ? 1 : zkern_fail(zk, -ENOMEM, "out of memory");
		err = go_on(t, deadline);
	} while (err > 0);
	return err;
}

/* The watch that an exists leaves, if it has not fired. */
static struct tcp_watch *left_by_exists(struct tcp *t, const char *path)
{
	struct tcp_watch *w = find(t, TCP_WATCH_DATA, path);

	return w ? w : find(t, TCP_WATCH_EXIST, path);
}

int tcp_wait(struct zkern *zk, const char *path, u64 mzxid, int timeout_ms)
{
	const struct zkern_want want = { .flags = ZKERN_WANT_WATCH };
	s64 deadline = deadline_in(timeout_ms);
	struct tcp *t = tcp_of(zk);
	struct tcp_watch *w;
	int err = 1;

	while (err > 0) {
		bool there = left_by_exists(t, path) && !left_by_exists(t, path)->quiet;
		struct zkern_value v = { 0 };

		err = tcp_get(zk, path, &want, false, &v);
		w = left_by_exists(t, path);
		if (w && !there)
			w->quiet = true;
		if (err && err != -ENOENT)
			return err;
		if ((err ? 0 : v.stat.mzxid) != mzxid)
			return 1;
		err = 1;
		while (err > 0 && left_by_exists(t, path))
			err = go_on(t, deadline);
	}
	return err;
}
