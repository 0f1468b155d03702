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

int watch_for(struct core *c, struct client *cl, enum watch_table t, const void *path,
	      u32 len, enum watch_mode mode)
{
	int rc;

	if (cl->watcher == WATCHER_NONE) {
		cl->watcher = watcher_new(c->watches, cl);
		if (cl->watcher == WATCHER_NONE)
			return -ENOMEM;
	}
	rc = watch_add(c->watches, t, path, len, cl->watcher, mode);
	if (rc == 1 && over_limit(c, cl)) {
		watch_remove(c->watches, t, path, len, cl->watcher);
		return -EDQUOT;
	}
	return rc < 0 ? rc : 0;
}

static int watch_both(struct core *c, struct client *cl, struct jstr path, enum watch_mode mode)
{
	int rc = watch_for(c, cl, WATCH_DATA, path.p, path.len, mode);

	return rc ? rc : watch_for(c, cl, WATCH_CHILD, path.p, path.len, mode);
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
		return watch_for(c, cl, list == CHILD ? WATCH_CHILD : WATCH_DATA,
				 path.p, path.len, WATCH_STANDARD);
	return event < 0 ? event : tell_missed(c, cl, event, path);
}

/* Five lists, or three; a null one, or a null path, throws in Java. */
static bool lists_ok(struct jr in, u32 n_lists)
{
	for (u32 i = 0; i < n_lists; i++) {
		s32 n = jr_int(&in);

		if (n == -1)
			return false;
		while (!in.err && n-- > 0)
			if (jr_str(&in).len < 0)
				return false;
	}
	return !in.err;
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
	for (u32 i = 0; i < n_lists; i++) {
		for (s32 n = jr_int(&in); n > 0; n--) {
			*fail = set_one(c, cl, i, jr_str(&in), since);
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

static s32 check_watches(struct core *c, struct jstr path, s32 type)
{
	const char *p = (const char *)path.p;
	bool any = false;

	if (type != WATCHER_DATA)
		any |= watch_any(c->watches, WATCH_CHILD, p, path.len);
	if (type != WATCHER_CHILDREN)
		any |= watch_any(c->watches, WATCH_DATA, p, path.len);
	return any ? ZOK : ZNOWATCHER;
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
	s32 arg;

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
	if (r->op == OP_ADDWATCH)
		return add_watch(c, cl, path, arg, fail);
	if (arg < WATCHER_CHILDREN || arg > WATCHER_ANY)
		return ZMARSHALLINGERROR;
	if (r->op == OP_CHECKWATCHES)
		return check_watches(c, path, arg);
	return remove_watches(c, cl, path, arg);
}
