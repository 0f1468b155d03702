// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The main instance's owner: one thread that applies transactions, says states, swaps
 * trees, goes away and comes back; another that answers who wants to be confirmed; and one
 * that makes the same tree anew elsewhere, of a dump.
 *
 * A call of the owner's that failed did nothing, unless only its answer was lost (EFAULT):
 * INFO tells, and is asked until it answers.
 */
#include "model.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../kernel/tap.h"

int main_inst;

/* The owner's file, which round_answer() uses too: under its lock while it is replaced. */
static pthread_rwlock_t file_lock = PTHREAD_RWLOCK_INITIALIZER;
static int file = -1;
/* What the tree has, as far as it matters; the owner thread's. */
static uint64_t zxid, group_zxid[GROUPS];
static uint32_t list_first;
static uint64_t sessions[8];	/* those with ephemerals; 0: none */
static uint64_t last_session;
static uint32_t private_uid;
static uint8_t text[BIG];

static const struct acl *acl_of(uint32_t uid)
{
	static struct acl acl[2];
	struct acl *a = &acl[uid == USER_B];
	char id[16];

	if (!a->len) {
		snprintf(id, sizeof(id), "%u", uid);
		acl_none(a);
		acl_add(a, ALL, "uid", id);
	}
	return a;
}

/* What a transaction does to the lists above once it is known to have been applied. */
struct change {
	int group;
	bool list;
	uint64_t opened, closed;
	uint32_t private_uid;
};

static void put_group(struct batch *b, int group, uint64_t z)
{
	uint32_t len = text_len(group, z);
	char path[8];
	int i;

	text_of(z, len, text);
	for (i = 0; i < MEMBERS; i++) {
		snprintf(path, sizeof(path), "/g%d/%d", group, i);
		batch_op(b, ZKERN_OP_SETDATA, path, text, len, NULL, 0)->version = -1;
	}
}

static void put_list(struct batch *b)
{
	char path[24];

	snprintf(path, sizeof(path), "/list/c%08u", list_first);
	batch_delete(b, path);
	snprintf(path, sizeof(path), "/list/c%08u", list_first + LISTED);
	batch_create(b, path, "child");
}

static void put_session(struct batch *b, uint64_t session)
{
	char path[40];
	int i;

	for (i = 0; i < BATCH; i++) {
		snprintf(path, sizeof(path), "/live/s%llu-%d", (unsigned long long)session, i);
		batch_op(b, ZKERN_OP_CREATE, path, "x", 1, &open_acl, session);
	}
}

static void put_private(struct batch *b, uint32_t uid)
{
	const uint8_t mark[4] = { uid - USER_A };

	/* nobody sees the one without the other: they are one transaction */
	batch_op(b, ZKERN_OP_SETACL, "/private", NULL, 0, acl_of(uid), 0)->version = -1;
	batch_op(b, ZKERN_OP_SETDATA, "/private", mark, 4, NULL, 0)->version = -1;
}

static uint64_t *session_slot(uint64_t session)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sessions); i++) {
		if (sessions[i] == session)
			return &sessions[i];
	}
	return NULL;
}

/* Fills the batch with a transaction at @z. */
static struct change compose(struct worker *w, struct batch *b, uint64_t z)
{
	struct change c = { .group = -1 };
	unsigned int what;
	uint64_t *slot;

	batch_reset(b);
	batch_txn(b, z);
	what = rnd(w, 6);
	slot = session_slot(0);
	c.closed = what == 2 ? sessions[rnd(w, ARRAY_SIZE(sessions))] : 0;
	if (what == 0) {
		c.list = true;
		put_list(b);
	} else if (what == 1 && slot) {
		c.opened = last_session + 1;
		put_session(b, c.opened);
	} else if (c.closed) {
		batch_op(b, ZKERN_OP_CLOSE, "", NULL, -1, NULL, c.closed);
	} else if (what <= 3) {
		c.private_uid = rnd(w, 2) ? USER_A : USER_B;
		put_private(b, c.private_uid);
	} else {
		c.group = rnd(w, 4) ? rnd(w, GROUPS - 2) : rnd(w, GROUPS);
		put_group(b, c.group, z);
	}
	return c;
}

static void applied(const struct change *c, uint64_t z)
{
	zxid = z;
	if (c->list)
		list_first++;
	if (c->opened) {
		last_session = c->opened;
		*session_slot(0) = c->opened;
	}
	if (c->closed)
		*session_slot(c->closed) = 0;
	if (c->private_uid)
		private_uid = c->private_uid;
	if (c->group >= 0) {
		group_zxid[c->group] = z;
		group_published[c->group] = z;
	}
	published = z;
}

/* How things are, though calls fail. */
static void ask(struct worker *w, struct zkern_info *info)
{
	calm(w);
	need(!zk_info(file, info), "info of the owner");
	harm(w);
}

static void apply_one(struct worker *w)
{
	uint64_t z = zxid + 1 + rnd(w, 2);
	struct change c = compose(w, &w->batch, z);
	struct zkern_apply res;
	struct zkern_info info;
	int err;

	private_note(z, c.private_uid ?: private_uid);
	err = zk_apply(file, &w->batch, &res);
	if (may_fail(w, err, "apply (operation %u)", res.failed_op)) {
		right(w, res.zxid == z && res.applied == 1, "apply says %llu for %llu",
		      (unsigned long long)res.zxid, (unsigned long long)z);
		applied(&c, z);
		return;
	}
	ask(w, &info);
	right(w, info.zxid == zxid || (info.zxid == z && err == -EFAULT),
	      "a failed apply of %llu left %llu", (unsigned long long)z,
	      (unsigned long long)info.zxid);
	if (info.zxid == z)
		applied(&c, z);
}

/* The whole tree as of the lists above, for a load. */
static struct zkern_node *put_node(struct batch *b, const char *path, const void *data, int32_t len,
				   const struct acl *acl, uint64_t mzxid)
{
	struct zkern_node *node = batch_node(b, path, data, len, acl);

	node->stat.czxid = 1;
	node->stat.mzxid = mzxid;
	node->stat.pzxid = 1;
	return node;
}

static void put_tree(struct batch *b)
{
	const uint8_t mark[4] = { private_uid - USER_A };
	char path[40];
	unsigned int i, k;

	batch_reset(b);
	put_node(b, "/", "", 0, &open_acl, 1);
	for (i = 0; i < GROUPS; i++) {
		uint32_t len = text_len(i, group_zxid[i]);

		snprintf(path, sizeof(path), "/g%u", i);
		put_node(b, path, "", 0, &open_acl, 1);
		text_of(group_zxid[i], len, text);
		for (k = 0; k < MEMBERS; k++) {
			snprintf(path, sizeof(path), "/g%u/%u", i, k);
			put_node(b, path, text, len, &open_acl, group_zxid[i]);
		}
	}
	put_node(b, "/list", "", 0, &open_acl, 1);
	for (i = 0; i < LISTED; i++) {
		snprintf(path, sizeof(path), "/list/c%08u", list_first + i);
		put_node(b, path, "child", 5, &open_acl, 1);
	}
	put_node(b, "/live", "", 0, &open_acl, 1);
	for (i = 0; i < ARRAY_SIZE(sessions); i++) {
		for (k = 0; sessions[i] && k < BATCH; k++) {
			snprintf(path, sizeof(path), "/live/s%llu-%u",
				 (unsigned long long)sessions[i], k);
			put_node(b, path, "x", 1, &open_acl, 1)->stat.owner_stored = sessions[i];
		}
	}
	put_node(b, "/private", mark, 4, acl_of(private_uid), 1);
}

/* Another tree with the same in it, at the next zxid. */
static void swap(struct worker *w)
{
	struct zkern_load res = {};
	uint64_t z = zxid + 1, tree;
	struct zkern_info info;
	int err;

	ask(w, &info);
	tree = info.tree;
	put_tree(&w->batch);
	if (!may_fail(w, zk_load(file, ZKERN_LOAD_BEGIN, NULL, &res), "load: begin"))
		return;
	err = zk_load(file, ZKERN_LOAD_NODES, &w->batch, &res);
	if (!may_fail(w, err, "load: nodes (record %u)", res.done) || !rnd(w, 8)) {
		/* or the next BEGIN, or the file's end, drops it */
		if (rnd(w, 2))
			may_fail(w, zk_load(file, ZKERN_LOAD_ABORT, NULL, &res), "load: abort");
		return;
	}
	res = (struct zkern_load){ .zxid = z };
	private_note(z, private_uid);
	err = zk_load(file, ZKERN_LOAD_COMMIT, NULL, &res);
	may_fail(w, err, "load: commit");
	ask(w, &info);
	right(w, err ? info.tree == tree || err == -EFAULT : info.tree != tree && info.zxid == z,
	      "a load that ended with %d left tree %llu of %llu", err,
	      (unsigned long long)info.tree, (unsigned long long)info.zxid);
	if (info.tree != tree) {
		zxid = z;
		published = z;
	}
}

/* A state that lets read, whatever it takes. */
static void say_state(struct worker *w, uint32_t state)
{
	calm(w);
	need(!zk_state(file, state, rnd(w, 100)), "state");
	harm(w);
}

static void states(struct worker *w)
{
	static const uint32_t some[] = {
		ZKERN_STATE_LEADING, ZKERN_STATE_FOLLOWING, ZKERN_STATE_OBSERVING,
		ZKERN_STATE_DISCONNECTED, ZKERN_STATE_STANDALONE,
	};

	if (!rnd(w, 6)) {
		empty++;
		may_fail(w, zk_state(file, ZKERN_STATE_EMPTY, 0), "hiding");
		usleep(rnd(w, 20000));
		say_state(w, ZKERN_STATE_LEADING);
		empty++;
	} else {
		may_fail(w, zk_state(file, some[rnd(w, ARRAY_SIZE(some))], 0), "state");
		usleep(rnd(w, 3000));
	}
	say_state(w, ZKERN_STATE_LEADING);
}

/* Goes, and comes back to what it left. */
static void come_and_go(struct worker *w)
{
	struct zkern_own own = { .label = "stress" };
	int err;

	pthread_rwlock_wrlock(&file_lock);
	close(file);
	do {
		file = zk_open(main_inst, O_RDWR);
	} while (!may_fail(w, file, "open by the owner"));
	err = zk_own(file, &own);
	if (!may_fail(w, err, "own")) {
		/* the answer may have been lost: it is the owner then */
		calm(w);
		err = zk_own(file, &own);
		right(w, !err || err == -EBUSY, "own: %d", err);
		harm(w);
	} else {
		right(w, own.zxid == zxid, "owned at %llu, left at %llu",
		      (unsigned long long)own.zxid, (unsigned long long)zxid);
	}
	pthread_rwlock_unlock(&file_lock);
	say_state(w, ZKERN_STATE_LEADING);
}

void round_owner(struct worker *w)
{
	unsigned int what = rnd(w, 200);

	if (what < 180)
		apply_one(w);
	else if (what < 190)
		states(w);
	else if (what < 196)
		swap(w);
	else
		come_and_go(w);
	usleep(rnd(w, 4000));
}

int owner_enter(void)
{
	pthread_rwlock_rdlock(&file_lock);
	return file;
}

void owner_leave(void)
{
	pthread_rwlock_unlock(&file_lock);
}

/* Who asks is answered: the tree has all there is. */
void round_answer(struct worker *w)
{
	struct zkern_confirm req = { .size = sizeof(req), .done = w->state[0] };
	struct pollfd p = { .events = POLLIN };
	int err;

	pthread_rwlock_rdlock(&file_lock);
	p.fd = file;
	if (poll(&p, 1, 0) > 0) {
		err = zk_ioctl(file, ZKERN_CONFIRM, &req);
		/* another owner's file counts anew what it was told */
		if (err == -EINVAL)
			w->state[0] = 0;
		else if (may_fail(w, err, "confirm"))
			w->state[0] = req.asked;
	} else {
		w->good++;
		req.done = w->state[0];
		err = zk_ioctl(file, ZKERN_CONFIRM, &req);
		if (err && err != -EINVAL)
			may_fail(w, err, "confirm again");
	}
	pthread_rwlock_unlock(&file_lock);
	usleep(1000);
}

void owner_begin(void)
{
	struct batch b = {};
	int i;

	main_inst = zk_instance(&file);
	need(!zk_state(file, ZKERN_STATE_LEADING, 0), "state");
	zxid = 1;
	for (i = 0; i < GROUPS; i++)
		group_zxid[i] = group_published[i] = 1;
	list_first = 1;
	private_uid = USER_A;
	private_note(1, private_uid);
	put_tree(&b);
	need(!zk_load(file, ZKERN_LOAD_BEGIN, NULL, NULL) &&
	     !zk_load(file, ZKERN_LOAD_NODES, &b, NULL) &&
	     !zk_load(file, ZKERN_LOAD_COMMIT, NULL, &(struct zkern_load){ .zxid = 1 }), "load");
	published = 1;
	batch_free(&b);
}

void owner_end(void)
{
	close(file);
	file = -1;
	need(!zk_del(main_inst, 0), "the main instance goes");
}

/* The tree of @snap, loaded into the instance of @f; true if it went as far as COMMIT. */
static bool load_dump(struct worker *w, int f, int snap, uint64_t z)
{
	struct zkern_load res = {};
	struct batch b = { .buf = w->buf };
	ssize_t n;

	if (!may_fail(w, zk_load(f, ZKERN_LOAD_BEGIN, NULL, &res), "rebuilding: begin"))
		return false;
	for (;;) {
		n = read(snap, w->buf, BIG);
		if (!may_fail_also(w, n < 0 ? -errno : 0, -ESTALE, "rebuilding: dump"))
			return false;
		if (!n)
			break;
		b.len = n;
		if (!may_fail(w, zk_load(f, ZKERN_LOAD_NODES, &b, &res), "rebuilding: nodes"))
			return false;
	}
	res = (struct zkern_load){ .zxid = z };
	return may_fail(w, zk_load(f, ZKERN_LOAD_COMMIT, NULL, &res), "rebuilding: commit");
}

static bool compare(struct worker *w, int f, const struct zkern_snapshot *snap)
{
	struct zkern_info info;
	bool same;

	if (!may_fail(w, zk_info(f, &info), "rebuilding: info"))
		return false;
	same = info.digest == snap->digest && info.nodes == snap->nodes && info.zxid == snap->zxid;
	right(w, same, "a tree of %llu nodes at %llu rebuilt of a dump of %llu at %llu is another",
	      (unsigned long long)info.nodes, (unsigned long long)info.zxid,
	      (unsigned long long)snap->nodes, (unsigned long long)snap->zxid);
	return same;
}

static bool rebuild(struct worker *w)
{
	struct zkern_snapshot req;
	bool same = false;
	int snap, inst, f;

	/* the owner sees all, and so do its snapshots */
	pthread_rwlock_rdlock(&file_lock);
	snap = zk_snapshot(file, NULL, &req);
	pthread_rwlock_unlock(&file_lock);
	if (!may_fail(w, snap, "the owner's snapshot"))
		return false;
	inst = zk_new(~0u, ~0u);
	if (!may_fail(w, inst, "new"))
		goto out_snap;
	/* its node may be what failed */
	f = zk_open(inst, O_RDWR);
	if (!may_fail_also(w, f, w->armed ? -ENOENT : 0, "open"))
		goto out_inst;
	if (may_fail(w, zk_own(f, NULL), "own") && load_dump(w, f, snap, req.zxid))
		same = compare(w, f, &req);
	close(f);
out_inst:
	calm(w);
	need(!zk_del(inst, ZKERN_DEL_FORCE), "del");
	harm(w);
out_snap:
	close(snap);
	return same;
}

void round_rebuild(struct worker *w)
{
	rebuild(w);
	usleep(rnd(w, 200000));
}

bool rebuilt_is_same(struct worker *w)
{
	return rebuild(w);
}
