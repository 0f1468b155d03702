// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See walk.h. What the core thread copies goes into blocks of memory that it never
 * has to move, as moving millions of entries would take it long.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/server/core_impl.h"
#include "daemon/server/walk.h"

#define AT_ONCE		4096	/* entries a turn, about */
#define CHUNK		(64 * 1024)

/* ------------------------------------------------------------ calls */

struct call {
	struct core *c;
	bool (*fn)(struct core *c, void *arg);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
	int err;
};

static void call_turn(void *arg);

static int call_submit(struct call *call)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->kind = REQ_TASK;
	r->task = call_turn;
	r->arg = call;
	core_submit(call->c, r);
	return 0;
}

/* Core thread. */
static void call_turn(void *arg)
{
	struct call *call = arg;
	int err = 0;

	if (call->fn(call->c, call->arg)) {
		err = call_submit(call);
		if (!err)
			return;
	}
	pthread_mutex_lock(&call->lock);
	call->err = err;
	call->done = true;
	pthread_cond_signal(&call->cond);
	pthread_mutex_unlock(&call->lock);
}

int core_call(struct core *c, bool (*fn)(struct core *c, void *arg), void *arg)
{
	struct call call = {
		.c = c, .fn = fn, .arg = arg,
		.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER,
	};
	int err = call_submit(&call);

	if (err)
		return err;
	pthread_mutex_lock(&call.lock);
	while (!call.done)
		pthread_cond_wait(&call.cond, &call.lock);
	pthread_mutex_unlock(&call.lock);
	return call.err;
}

/* ------------------------------------------------------------ memory */

struct walk_chunk {
	struct walk_chunk *next;
	size_t used, size;
	char bytes[];
};

struct arena {
	struct walk_chunk *first, *last;
	int err;
};

static void *take(struct arena *a, size_t n)
{
	struct walk_chunk *k = a->last;
	size_t size = n > CHUNK ? n : CHUNK;

	n = (n + 7) & ~(size_t)7;
	if (a->err)
		return NULL;
	if (!k || k->size - k->used < n) {
		k = malloc(sizeof(*k) + size + 8);
		if (!k) {
			a->err = -ENOMEM;
			return NULL;
		}
		k->next = NULL;
		k->used = 0;
		k->size = size + 8;
		if (a->last)
			a->last->next = k;
		else
			a->first = k;
		a->last = k;
	}
	k->used += n;
	return k->bytes + k->used - n;
}

static void chunks_free(struct walk_chunk *k)
{
	struct walk_chunk *next;

	for (; k; k = next) {
		next = k->next;
		free(k);
	}
}

/* All entries of @size bytes, one behind the other; malloc'ed, never NULL for none. */
static void *gather(const struct arena *a, size_t size, u64 *n)
{
	size_t bytes = 0;
	char *all;

	for (const struct walk_chunk *k = a->first; k; k = k->next)
		bytes += k->used;
	all = malloc(bytes + 1);
	*n = bytes / size;
	bytes = 0;
	for (const struct walk_chunk *k = a->first; all && k; k = k->next) {
		memcpy(all + bytes, k->bytes, k->used);
		bytes += k->used;
	}
	return all;
}

/* ------------------------------------------------------------ sessions */

struct session_walk {
	struct arena found;
	u32 cursor;
	bool locals;
};

static void see_session(void *arg, struct sess *s)
{
	struct session_walk *w = arg;
	struct walk_session *e;

	if (s->pub.closing)
		return;
	e = take(&w->found, sizeof(*e));
	if (!e)
		return;
	e->id = s->pub.id;
	e->expires_ms = __atomic_load_n(&s->pub.heard_ms, __ATOMIC_RELAXED) + s->pub.timeout;
	e->timeout = s->pub.timeout;
	e->local = s->local;
}

static bool sessions_turn(struct core *c, void *arg)
{
	struct session_walk *w = arg;

	w->cursor = sessions_some(w->locals ? c->locals : c->sessions, w->cursor, AT_ONCE,
				  see_session, w);
	if (!w->cursor && !w->locals) {
		w->locals = true;
		return !w->found.err;
	}
	return w->cursor && !w->found.err;
}

static int by_expiry(const void *a, const void *b)
{
	const struct walk_session *x = a, *y = b;

	if (x->expires_ms != y->expires_ms)
		return x->expires_ms < y->expires_ms ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

int walk_sessions(struct core *c, struct walk_session **out, u32 *n)
{
	struct session_walk w = { .cursor = 0 };
	int err = core_call(c, sessions_turn, &w);
	u64 found = 0;

	*out = NULL;
	if (!err)
		err = w.found.err;
	if (!err) {
		*out = gather(&w.found, sizeof(**out), &found);
		if (!*out)
			err = -ENOMEM;
	}
	chunks_free(w.found.first);
	*n = found;
	if (*out)
		qsort(*out, found, sizeof(**out), by_expiry);
	return err;
}

/* ------------------------------------------------------------ watches */

struct watch_walk {
	struct arena found, paths;
	u64 n_paths;
	u32 cursor;
	const void *row;		/* the table's path that @path is a copy of */
	struct walk_path *path;
};

static struct walk_path *copy_path(struct watch_walk *w, const char *path, u32 len)
{
	struct walk_path *p = take(&w->paths, sizeof(*p) + len);

	if (p) {
		p->len = len;
		memcpy(p->path, path, len);
		w->n_paths++;
	}
	return p;
}

static void see_watch(void *arg, const char *path, u32 len, void *owner)
{
	struct watch_walk *w = arg;
	struct client *cl = owner;
	struct walk_watch *e;

	if (!cl->sess)
		return;
	if (w->row != path) {
		w->path = copy_path(w, path, len);
		w->row = path;
	}
	e = take(&w->found, sizeof(*e));
	if (!e || !w->path)
		return;
	e->session = cl->sess->pub.id;
	e->path = w->path;
}

static bool watches_turn(struct core *c, void *arg)
{
	struct watch_walk *w = arg;

	w->row = NULL;
	w->cursor = watches_some(c->watches, WATCH_DATA, w->cursor, AT_ONCE, see_watch, w);
	return w->cursor && !w->found.err && !w->paths.err;
}

int walk_watches(struct core *c, struct walk_watches *out)
{
	struct watch_walk w = { .cursor = 0 };
	int err = core_call(c, watches_turn, &w);

	memset(out, 0, sizeof(*out));
	if (!err)
		err = w.found.err ? w.found.err : w.paths.err;
	if (!err) {
		out->watches = gather(&w.found, sizeof(*out->watches), &out->n);
		if (!out->watches)
			err = -ENOMEM;
	}
	chunks_free(w.found.first);
	if (err) {
		chunks_free(w.paths.first);
		return err;
	}
	out->n_paths = w.n_paths;
	out->chunks = w.paths.first;
	return 0;
}

static int by_session(const void *a, const void *b)
{
	const struct walk_watch *x = a, *y = b;

	if (x->session != y->session)
		return x->session < y->session ? -1 : 1;
	return x->path < y->path ? -1 : x->path > y->path;
}

void walk_by_session(struct walk_watches *w)
{
	qsort(w->watches, w->n, sizeof(*w->watches), by_session);
}

u64 walk_count_sessions(const struct walk_watches *w)
{
	u64 n = 0;

	for (u64 i = 0; i < w->n; i++)
		n += !i || w->watches[i].session != w->watches[i - 1].session;
	return n;
}

void walk_free(struct walk_watches *w)
{
	free(w->watches);
	chunks_free(w->chunks);
	memset(w, 0, sizeof(*w));
}
