// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Both trees, each node by every read, compared as any answers are; the walker is the
 * super user.
 */
#include "differ.h"

#define AHEAD 60	/* nodes asked for at a time; four requests each */

struct todo {
	char **v;
	u32 n, cap;
};

static struct todo todo;
static const char *at[AHEAD];	/* of the requests in flight */
static u32 children[AHEAD], seen;

static int cmp_path(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void push(const char *parent, struct jstr name)
{
	char *p = must(malloc(strlen(parent) + name.len + 2));

	sprintf(p, "%s/%.*s", strcmp(parent, "/") ? parent : "", (int)name.len, name.p);
	if (todo.n == todo.cap) {
		todo.cap = todo.cap ? 2 * todo.cap : 1024;
		todo.v = must(realloc(todo.v, todo.cap * sizeof(*todo.v)));
	}
	todo.v[todo.n++] = p;
}

static void on_reply(struct differ *d, u32 slot, s32 op, s32 err, struct jr *r)
{
	u32 first = todo.n;
	s32 i, n;

	(void)d;
	if (slot != WALKER || op != OP_GETCHILDREN)
		return;
	children[seen] = 0;
	if (!err) {
		n = jr_int(r);
		children[seen] = n;
		for (i = 0; i < n; i++)
			push(at[seen], jr_str(r));
		/* what is drawn for each node is not to hang on Java's order */
		qsort(todo.v + first, todo.n - first, sizeof(*todo.v), cmp_path);
	}
	seen++;
}

static void ask(struct differ *d, s32 op, const char *path)
{
	struct action a = { .op = op };
	struct jw w;

	jw_init(&w, 0);
	jw_str(&w, path, strlen(path));
	if (op != OP_GETACL)
		jw_bool(&w, false);
	a.body = w.buf;
	a.len = w.len;
	slot_request(d, WALKER, &a, d->nacts - 1);
	jw_free(&w);
}

u32 walk(struct differ *d, void (*each)(void *arg, const char *path, u32 children), void *arg)
{
	void (*was)(struct differ *, u32, s32, s32, struct jr *) = d->on_reply;
	u64 ops = d->ops;
	u32 i, n, total = 0;
	char *done[AHEAD];

	flush_current(d);
	d->on_reply = on_reply;
	push("", (struct jstr){ (const u8 *)"", 0 });
	while (todo.n) {
		n = todo.n < AHEAD ? todo.n : AHEAD;
		seen = 0;
		for (i = 0; i < n; i++) {
			done[i] = todo.v[--todo.n];
			at[i] = done[i];
			ask(d, OP_EXISTS, at[i]);
			ask(d, OP_GETDATA, at[i]);
			ask(d, OP_GETACL, at[i]);
			ask(d, OP_GETCHILDREN, at[i]);
		}
		slot_flush(d, WALKER, false, false);
		for (i = 0; i < n; i++) {
			if (each)
				each(arg, done[i], children[i]);
			free(done[i]);
		}
		total += n;
	}
	d->on_reply = was;
	d->ops = ops;	/* only the clients' are counted */
	return total;
}
