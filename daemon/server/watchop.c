// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests about watches (FinalRequestProcessor, DataTree.setWatches, addWatch,
 * containsWatcher, removeWatch). No path is checked, no permission asked: as 3.8.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/server/core_impl.h"
#include "daemon/server/path.h"

bool watchop_is(s32 op)
{
	switch (op) {
	case OP_SETWATCHES:
	case OP_SETWATCHES2:
	case OP_ADDWATCH:
	case OP_CHECKWATCHES:
	case OP_REMOVEWATCHES:
		return true;
	}
	return false;
}

/*
 * The path as Java has it, which need not be the bytes that came (path_recode): for
 * them an event names it, and by them its watch is found. *@own is to be freed.
 */
static int decode(struct jstr *path, u8 **own)
{
	s32 i = 0;

	*own = NULL;
	while (i < path->len && path->p[i] < 0x80)
		i++;
	if (i >= path->len)
		return 0;
	*own = malloc(3 * (size_t)path->len);
	if (!*own)
		return -ENOMEM;
	path->len = path_recode(path->p, path->len, *own);
	path->p = *own;
	return 0;
}

static bool over_limit(struct core *c, struct client *cl)
{
	u64 bytes = watcher_bytes(c->watches, cl->watcher), limit = c->cfg->watch_limit;

	if (!limit || bytes <= limit)
		return false;
	log_ratelimited(LOG_WARN, "%s, session 0x%llx: its watches would take %llu "
			"bytes, at most %llu (zkern.clientWatchLimitInKb)", conn_name(cl->conn),
			cl->sess->pub.id, bytes, limit);
	return true;
}

static int add(struct core *c, struct client *cl, enum watch_table t, struct jstr path,
	       enum watch_mode mode)
{
	int rc;

	if (cl->watcher == WATCHER_NONE) {
		cl->watcher = watcher_new(c->watches, cl);
		if (cl->watcher == WATCHER_NONE)
			return -ENOMEM;
	}
	rc = watch_add(c->watches, t, (const char *)path.p, path.len, cl->watcher, mode);
	if (rc == 1 && over_limit(c, cl)) {
		watch_remove(c->watches, t, (const char *)path.p, path.len, cl->watcher);
		return -EDQUOT;
	}
	return rc < 0 ? rc : 0;
}

int watch_read(struct core *c, struct client *cl, enum watch_table t, const void *path,
	       u32 len)
{
	struct jstr s = { path, len };
	u8 *own;
	int rc = decode(&s, &own);

	if (!rc)
		rc = add(c, cl, t, s, WATCH_STANDARD);
	free(own);
	return rc;
}

static int watch_both(struct core *c, struct client *cl, struct jstr path, enum watch_mode mode)
{
	int rc = add(c, cl, WATCH_DATA, path, mode);

	return rc ? rc : add(c, cl, WATCH_CHILD, path, mode);
}

/* ------------------------------------------------------------ setWatches */

enum list { DATA, EXIST, CHILD, PERSISTENT, RECURSIVE, N_LISTS };

/* The event that a client missed of a node; 0: none, set the watch; negative: the
 * store's error. The empty path is the root's, as in all reads. */
static int missed(struct core *c, enum list list, struct jstr path, u64 since)
{
	struct store_node node;
	int rc = -ENOENT;

	if (!path.len)
		path = (struct jstr){ (const u8 *)"/", 1 };
	if (path_possible((const char *)path.p, path.len))
		rc = c->st->ops->get(c->st, (const char *)path.p, path.len, &node, NULL, 0);
	if (rc && rc != -ENOENT)
		return rc;
	if (list == EXIST)
		return rc ? 0 : EVENT_CREATED;
	if (rc)
		return EVENT_DELETED;
	if (list == DATA)
		return (s64)node.stat.mzxid > (s64)since ? EVENT_DATACHANGED : 0;
	return (s64)node.stat.pzxid > (s64)since ? EVENT_CHILDREN : 0;
}

static int tell_missed(struct core *c, struct client *cl, int event, struct jstr path)
{
	struct blob *b = fire_blob(event, (const char *)path.p, path.len);

	if (!b)
		return -ENOMEM;
	fire_to(c, cl, b, c->applied);
	blob_put(b);
	return 0;
}

static int set_one(struct core *c, struct client *cl, enum list list, struct jstr path,
		   u64 since)
{
	int event;

	if (list == PERSISTENT)
		return watch_both(c, cl, path, WATCH_PERSISTENT);
	if (list == RECURSIVE)
		return watch_both(c, cl, path, WATCH_RECURSIVE);
	event = missed(c, list, path, since);
	if (!event)
		return add(c, cl, list == CHILD ? WATCH_CHILD : WATCH_DATA, path,
			   WATCH_STANDARD);
	return event < 0 ? event : tell_missed(c, cl, event, path);
}

/* Five lists, or three. */
static bool lists_ok(struct jr in, u32 n_lists)
{
	for (u32 i = 0; i < n_lists; i++) {
		s32 n = jr_int(&in);

		for (; !in.err && n > 0; n--)
			jr_str(&in);
	}
	return !in.err;
}

static int decode_and_set(struct core *c, struct client *cl, enum list list,
			  struct jstr path, u64 since)
{
	u8 *own;
	int rc = decode(&path, &own);

	if (!rc)
		rc = set_one(c, cl, list, path, since);
	free(own);
	return rc;
}

static s32 set_watches(struct core *c, struct client *cl, const struct request *r, int *fail)
{
	u32 n_lists = r->op == OP_SETWATCHES2 ? N_LISTS : PERSISTENT;
	u64 since;
	struct jr in;

	jr_init(&in, r->body, r->len);
	since = jr_long(&in);
	if (in.err || !lists_ok(in, n_lists))
		return ZMARSHALLINGERROR;
	/* A null list or path throws in Java, when its turn has come. */
	for (u32 i = 0; i < n_lists; i++) {
		s32 n = jr_int(&in);

		if (n == -1)
			return ZMARSHALLINGERROR;
		for (; n > 0; n--) {
			struct jstr path = jr_str(&in);

			if (path.len < 0)
				return ZMARSHALLINGERROR;
			*fail = decode_and_set(c, cl, i, path, since);
			if (*fail)
				return ZSYSTEMERROR;
		}
	}
	return ZOK;
}

/* ------------------------------------------------------------ the others */

static s32 add_watch(struct core *c, struct client *cl, struct jstr path, s32 mode, int *fail)
{
	if (mode != ADDWATCH_PERSISTENT && mode != ADDWATCH_PERSISTENT_RECURSIVE)
		return ZMARSHALLINGERROR;
	*fail = watch_both(c, cl, path,
			   mode == ADDWATCH_PERSISTENT ? WATCH_PERSISTENT : WATCH_RECURSIVE);
	if (*fail == -EDQUOT) {
		*fail = 0;
		return ZQUOTAEXCEEDED;
	}
	jw_int(&c->out, ZOK);
	return ZOK;
}

/*
 * One table, for anybody's watch. 3.8 climbs from the path to the root, cutting at each
 * slash: where there is none to cut at it throws, at the path itself or, if it climbs
 * since there are recursive watches, above one that nobody watches.
 */
static s32 check_table(struct core *c, enum watch_table t, struct jstr path)
{
	const char *p = (const char *)path.p;

	if (!path.len)
		return ZNOWATCHER;	/* there the climb is over before it begins */
	if (!memchr(p, '/', path.len))
		return ZMARSHALLINGERROR;
	if (watch_any(c->watches, t, p, path.len))
		return ZOK;
	return p[0] != '/' && watch_any_recursive(c->watches, t) ? ZMARSHALLINGERROR :
								   ZNOWATCHER;
}

static s32 check_watches(struct core *c, struct jstr path, s32 type)
{
	s32 child = ZNOWATCHER, data = ZNOWATCHER;

	if (type != WATCHER_DATA)
		child = check_table(c, WATCH_CHILD, path);
	if (type != WATCHER_CHILDREN)
		data = check_table(c, WATCH_DATA, path);
	if (child == ZMARSHALLINGERROR || data == ZMARSHALLINGERROR)
		return ZMARSHALLINGERROR;
	return child == ZOK || data == ZOK ? ZOK : ZNOWATCHER;
}

static s32 remove_watches(struct core *c, struct client *cl, struct jstr path, s32 type)
{
	const char *p = (const char *)path.p;
	bool any = false;

	if (cl->watcher == WATCHER_NONE)
		return ZNOWATCHER;
	if (type != WATCHER_DATA)
		any |= watch_remove(c->watches, WATCH_CHILD, p, path.len, cl->watcher);
	if (type != WATCHER_CHILDREN)
		any |= watch_remove(c->watches, WATCH_DATA, p, path.len, cl->watcher);
	return any ? ZOK : ZNOWATCHER;
}

s32 watchop_run(struct core *c, struct client *cl, const struct request *r, int *fail)
{
	struct jstr path;
	struct jr in;
	s32 arg, err;
	u8 *own;

	if (r->op == OP_SETWATCHES || r->op == OP_SETWATCHES2)
		return set_watches(c, cl, r, fail);
	jr_init(&in, r->body, r->len);
	path = jr_str(&in);
	arg = jr_int(&in);
	if (in.err)
		return ZMARSHALLINGERROR;
	if (path.len < 0 && r->op == OP_REMOVEWATCHES &&
	    arg >= WATCHER_CHILDREN && arg <= WATCHER_ANY)
		return ZNOWATCHER;	/* a set of Java's that has no null in it */
	if (path.len < 0)
		return ZMARSHALLINGERROR;
	if (r->op != OP_ADDWATCH && (arg < WATCHER_CHILDREN || arg > WATCHER_ANY))
		return ZMARSHALLINGERROR;
	*fail = decode(&path, &own);
	if (*fail)
		return ZSYSTEMERROR;
	if (r->op == OP_ADDWATCH)
		err = add_watch(c, cl, path, arg, fail);
	else if (r->op == OP_CHECKWATCHES)
		err = check_watches(c, path, arg);
	else
		err = remove_watches(c, cl, path, arg);
	free(own);
	return err;
}
