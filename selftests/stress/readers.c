// SPDX-License-Identifier: GPL-2.0-or-later
/* Who reads through the device and through snapshots. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>

#include "../kernel/mapped.h"
#include "model.h"

/* A member of some group; its path in @path. Smaller groups are more often asked for. */
static int some_member(struct worker *w, char path[8])
{
	int group = rnd(w, 3) ? rnd(w, GROUPS - 2) : rnd(w, GROUPS);

	snprintf(path, 8, "/g%d/%d", group, (int)rnd(w, MEMBERS));
	return group;
}

/*
 * Was the call good? ESTALE is, when the tree may have been hidden: then nothing was
 * shown, and this is false too.
 */
static bool shown(struct worker *w, long err, const struct before *b, const char *what)
{
	return may_fail_also(w, err, hidden_since(b) ? -ESTALE : 0, "%s", what);
}

void round_get(struct worker *w)
{
	struct zkern_get get = {};
	struct before b;
	char path[8];
	int group = some_member(w, path), err;
	bool small = !rnd(w, 8), stat_only = !rnd(w, 8);

	b = before_read(group);
	if (stat_only)
		err = zk_exists(w->fd, path, &get);
	else
		err = zk_get(w->fd, path, w->buf, small ? 4 : BIG, &get);
	if (err == -EMSGSIZE && small && get.len > 4)
		err = 0;
	else
		small = false;
	if (shown(w, err, &b, "get")) {
		check_zxid(w, &b, get.zxid);
		right(w, get.stat.mzxid >= b.group_zxid && get.stat.mzxid <= get.zxid,
		      "at %llu, %s of %llu after %llu was published",
		      (unsigned long long)get.zxid, path, (unsigned long long)get.stat.mzxid,
		      (unsigned long long)b.group_zxid);
		check_member(w, group, &get.stat, small || stat_only ? NULL : w->buf, get.len);
		if (!small && !stat_only && !rnd(w, 16))
			right(w, get.crc == crc_of(path, w->buf, get.len), "the CRC of %s", path);
	}
	if (!rnd(w, 64))
		reopen(w);
}

/* A whole group, and a node that is not there, at one zxid. */
void round_many(struct worker *w)
{
	int group = rnd(w, GROUPS - 1), err, i;
	struct zkern_get gets[MEMBERS + 1] = {};
	struct zkern_read req = { .size = sizeof(req), .gets = ptr(gets), .count = MEMBERS + 1 };
	char path[MEMBERS + 1][8];
	struct before b;

	for (i = 0; i <= MEMBERS; i++) {
		snprintf(path[i], sizeof(path[i]), "/g%d/%d", group, i);
		gets[i].size = sizeof(gets[i]);
		gets[i].path = ptr(path[i]);
		gets[i].path_len = strlen(path[i]);
		gets[i].buf = ptr(w->buf + i * 20000);
		gets[i].buf_len = 20000;
	}
	b = before_read(group);
	err = zk_ioctl(w->fd, ZKERN_READ, &req);
	if (!shown(w, err, &b, "read"))
		return;
	check_zxid(w, &b, req.zxid);
	right(w, gets[MEMBERS].err == ENOENT || w->armed, "a node that is none: error %u",
	      gets[MEMBERS].err);
	for (i = 0; i < MEMBERS; i++) {
		if (gets[i].err) {
			may_fail(w, -(int)gets[i].err, "an entry of read");
			return;
		}
		right(w, gets[i].zxid == req.zxid, "entries of %llu and %llu in one answer",
		      (unsigned long long)gets[i].zxid, (unsigned long long)req.zxid);
		right(w, gets[i].stat.mzxid == gets[0].stat.mzxid &&
		      gets[i].stat.mzxid >= b.group_zxid, "a transaction seen in part");
		check_member(w, group, &gets[i].stat, w->buf + i * 20000, gets[i].len);
	}
}

/* The numbers of a page of /list's children, without those there already are. */
static bool page(struct worker *w, const struct zkern_list *list, uint32_t *first, uint32_t *last,
		 char *after)
{
	uint32_t off = 0, len, i;
	int64_t number;

	for (i = 0; i < list->count; i++) {
		if (off + 4 > list->used)
			break;
		memcpy(&len, w->buf + off, 4);
		if (len != 9 || off + 4 + len > list->used)
			break;
		number = listed_number((char *)w->buf + off + 4, len);
		memcpy(after, w->buf + off + 4, len);
		after[len] = '\0';
		if (number < 0)
			break;
		if (number < *first)
			*first = number;
		if (number > *last)
			*last = number;
		off += 4 + len;
	}
	right(w, i == list->count && off == list->used, "a bad page: entry %u of %u", i,
	      list->count);
	return i == list->count;
}

/* On the device, all in one page; on a snapshot in several. */
static void list_all(struct worker *w, int fd, uint32_t page_len, bool live)
{
	struct before b = before_read(-1);
	uint32_t first = ~0u, last = 0, count = 0;
	struct zkern_list list;
	char after[16] = "";
	int err;

	do {
		err = zk_children(fd, "/list", after, w->buf, page_len, &list);
		if (live ? !shown(w, err, &b, "children") :
			   !may_fail_also(w, err, -ESTALE, "children in a snapshot"))
			return;
		if (!page(w, &list, &first, &last, after))
			return;
		count += list.count;
	} while (list.more);
	if (live)
		check_zxid(w, &b, list.zxid);
	right(w, count == LISTED && last - first + 1 == LISTED &&
	      list.stat.num_children == LISTED, "children of /list: %u, from %u to %u; stat: %d",
	      count, first, last, list.stat.num_children);
}

void round_children(struct worker *w)
{
	struct before b;
	int snap;

	if (rnd(w, 4)) {
		list_all(w, w->fd, BIG, true);
		return;
	}
	b = before_read(-1);
	snap = zk_snapshot(w->fd, rnd(w, 2) ? "/list" : NULL, NULL);
	if (!shown(w, snap, &b, "snapshot"))
		return;
	list_all(w, snap, 13 + rnd(w, 600), false);
	close(snap);
}

static void dump_records(struct worker *w, struct picture *p, ssize_t n)
{
	const struct zkern_node *node;
	const uint8_t *data;
	ssize_t off = 0;

	while (off < n) {
		node = (void *)(w->buf + off);
		if (n - off < (ssize_t)sizeof(*node) || node->len > n - off ||
		    node->len < sizeof(*node) + node->path_len) {
			wrong(w, "a dump has half a record");
			return;
		}
		data = (uint8_t *)(node + 1) + node->path_len;
		picture_node(w, p, (char *)(node + 1), node->path_len, &node->stat,
			     node->flags & ZKERN_NODE_HIDDEN ? NULL : data,
			     node->data_len < 0 ? 0 : node->data_len);
		off += node->len;
	}
}

/* A read that failed can be repeated; so it is, until the end or ESTALE. */
void round_snapshot(struct worker *w)
{
	struct before b = before_read(-1);
	struct zkern_snapshot req;
	struct picture p;
	int snap = zk_snapshot(w->fd, NULL, &req), tries = 0;
	ssize_t n;

	if (!shown(w, snap, &b, "snapshot"))
		return;
	picture_begin(&p, req.zxid);
	right(w, req.zxid >= b.zxid, "a snapshot of %llu after %llu was published",
	      (unsigned long long)req.zxid, (unsigned long long)b.zxid);
	do {
		n = read(snap, w->buf, 80000 + rnd(w, BIG - 80000));
		n = n < 0 ? -errno : n;
		if (n > 0)
			dump_records(w, &p, n);
		/* closed in the middle */
		if (!rnd(w, 50) || stopping)
			goto out;
	} while (n > 0 || ((n == -EFAULT || n == -ENOMEM) && w->armed && tries++ < 1000));
	if (may_fail_also(w, n, -ESTALE, "reading a snapshot")) {
		picture_end(w, &p);
		right(w, p.nodes == req.nodes, "a dump of %u nodes of %llu", p.nodes,
		      (unsigned long long)req.nodes);
	}
out:
	close(snap);
}

/* Waits for what is about to come, or for what will not. */
void round_wait(struct worker *w)
{
	bool never = !rnd(w, 4);
	struct zkern_get get = {
		.min_zxid = never ? published + (1ull << 40) : published + rnd(w, 3),
		.timeout_ms = never ? 1 + rnd(w, 20) : 0,
	};
	struct before b = before_read(-1);
	uint64_t want = get.min_zxid;
	int err = zk_exists(w->fd, "/list", &get);

	if (never) {
		if (err != -ETIMEDOUT && !hidden_since(&b))
			may_fail(w, err ? err : -EINVAL, "waiting for what never comes");
		return;
	}
	if (!shown(w, err, &b, "waiting"))
		return;
	check_zxid(w, &b, get.zxid);
	right(w, get.zxid >= want, "%llu for who waited for %llu", (unsigned long long)get.zxid,
	      (unsigned long long)want);
}

/* The owner comes and goes, and tells whether there is a quorum: ENOTCONN. */
void round_confirmed(struct worker *w)
{
	struct zkern_get get = { .timeout_ms = 1 + rnd(w, 2000) };
	int group, err;
	struct before b;
	char path[8];

	group = some_member(w, path);
	get.flags = ZKERN_LINEARIZABLE;
	b = before_read(group);
	err = zk_get(w->fd, path, w->buf, BIG, &get);
	if (err == -ENOTCONN || err == -ETIMEDOUT)
		return;
	if (!shown(w, err, &b, "a confirmed read"))
		return;
	check_zxid(w, &b, get.zxid);
	right(w, get.stat.mzxid >= b.group_zxid, "a confirmed read of %llu after %llu",
	      (unsigned long long)get.stat.mzxid, (unsigned long long)b.group_zxid);
	check_member(w, group, &get.stat, w->buf, get.len);
}

void round_info(struct worker *w)
{
	struct before b = before_read(-1);
	struct zkern_info info;

	if (!may_fail(w, zk_info(w->fd, &info), "info"))
		return;
	right(w, info.zxid >= b.zxid, "info says %llu after %llu", (unsigned long long)info.zxid,
	      (unsigned long long)b.zxid);
	right(w, info.instance == (uint32_t)main_inst && info.nodes > LISTED,
	      "info: %u, %llu nodes", info.instance, (unsigned long long)info.nodes);
	usleep(2000);
}

/* One of two users; /private is the one's or the other's, and says so. */
void round_private(struct worker *w)
{
	struct zkern_get get = {};
	struct before b = before_read(-1);
	bool acl = !rnd(w, 4);
	int err;

	get.flags = acl ? ZKERN_GET_ACL : 0;
	err = zk_get(w->fd, "/private", w->buf, BIG, &get);
	if (err == -EACCES) {
		w->good++;
		usleep(500);
		return;
	}
	if (!shown(w, err, &b, "get of what may be private") || acl)
		return;
	check_zxid(w, &b, get.zxid);
	right(w, get.len == 4 && w->buf[0] == w->job->uid - USER_A,
	      "uid %u was shown /private (%u bytes)", w->job->uid, get.len);
}

/* As many snapshots as a user may have; not one more. */
void round_quota(struct worker *w)
{
	struct before b = before_read(-1);
	int fds[80], n, err = 0;

	for (n = 0; n < 80; n++) {
		err = zk_snapshot(w->fd, NULL, NULL);
		if (err < 0)
			break;
		fds[n] = err;
	}
	right(w, n <= 64, "%d snapshots of one user", n);
	if (err == -ENOSPC && n == 64)
		w->good++;
	/* a child that is to be killed may have copies of those before */
	else if (err != -ENOSPC && !hidden_since(&b))
		may_fail(w, err, "snapshot %d of a user", n);
	while (n--)
		close(fds[n]);
	usleep(20000);
}

/* One read of a mapped node. False: it is revoked, and rightly. */
static bool read_mapped(struct worker *w, struct mapped *m, const char *path, int group)
{
	struct before b = before_read(group);
	struct zkern_map_got got;
	struct zkern_stat stat;
	unsigned int why;
	int err;

	err = mapped_get(m, w->buf, BIG, &got, &stat);
	why = mapped_why(m);
	if (err) {
		/* it has fallen behind, or was too long for this mapping */
		right(w, err == -EAGAIN, "a mapped read: %s", strerror(-err));
		right(w, !why || why == ZKERN_MAP_TREE || why == ZKERN_MAP_GROWN,
		      "%s was revoked because of %u", path, why);
		return !why;
	}
	w->good++;
	right(w, (uint64_t)stat.mzxid <= got.zxid, "%s of %llu mapped at %llu", path,
	      (unsigned long long)stat.mzxid, (unsigned long long)got.zxid);
	right(w, hidden_since(&b) || (got.zxid >= b.zxid && stat.mzxid >= b.group_zxid),
	      "mapped at %llu, %s of %llu after %llu was published",
	      (unsigned long long)got.zxid, path, (unsigned long long)stat.mzxid,
	      (unsigned long long)b.group_zxid);
	check_member(w, group, &stat, w->buf, got.len);
	return true;
}

/* Mapped, read while it changes, waited for, and given back. */
void round_map(struct worker *w)
{
	struct zkern_map_wait wait = { .size = sizeof(wait), .timeout_ms = 20 };
	char path[8];
	int group = some_member(w, path), times = rnd(w, 40), err;
	struct before b = before_read(group);
	struct mapped m;

	if (!shown(w, mapped_open(w->fd, path, &m), &b, "map"))
		return;
	while (times-- && read_mapped(w, &m, path, group)) {
		if (rnd(w, 4))
			continue;
		wait.version = m.map.node->done;
		err = zk_ioctl(m.fd, ZKERN_MAP_WAIT, &wait);
		may_fail_also(w, err, -ETIMEDOUT, "waiting for a mapped node");
	}
	mapped_close(&m);
	if (!rnd(w, 16))
		reopen(w);
}
