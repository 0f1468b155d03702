// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The device: /dev/zkernN through its ioctls (linux/zkern.h). One system call for
 * a read that fits the first buffer; a list too long for one page, and a subtree,
 * are read through a snapshot fd, so that all of it is one moment. Writes are records of
 * ZooKeeper's protocol, which the daemon has done (write.c).
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "device.h"

#define FIRST_BUF	4096
#define LIST_BUF	(256 * 1024)
#define DUMP_BUF	(1024 * 1024)
/* A node may grow between two tries; a writer cannot win for ever. */
#define TRIES		16
#define DEFAULT_MS	10000	/* for a write */
/* Bytes of the answer to a write: for each of the request's at most so many (a multi of
 * setData), and some more.
 */
#define ANSWER_RATIO	4
#define ANSWER_MORE	512

int dev_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

int dev_fail(struct zkern *zk, int err, const char *path)
{
	struct device *d = dev_of(zk);

	if (err == -ENODEV)
		return zkern_fail(zk, err, "%s: the instance was removed", d->name);
	if (err == -ENOTTY)
		return zkern_fail(zk, err, "%s: not a zkern device", d->name);
	if (err == -ENOTCONN)
		return zkern_fail(zk, err, "%s: there is no quorum to ask", d->name);
	if (err == -ENOMEM || !path)
		return zkern_fail(zk, err, "%s: %s", path ? path : d->name,
				  zkern_strerror(err));
	return zkern_fail_path(zk, err, path);
}

static void dev_close(struct zkern *zk)
{
	close(dev_of(zk)->fd);
	free(dev_of(zk)->events);
	free(dev_of(zk)->answer);
	free(zk);
}

static void fill_get(struct zkern_get *g, const char *path, u32 flags, void *buf, u32 len)
{
	memset(g, 0, sizeof(*g));
	g->size = sizeof(*g);
	g->flags = flags;
	g->path = (uintptr_t)path;
	g->path_len = strlen(path);
	g->buf = (uintptr_t)buf;
	g->buf_len = len;
}

/* The flags that reads of one node have for what is wanted of each. */
static u32 want_flags(const struct zkern_want *want)
{
	return (want->flags & ZKERN_WANT_LINEARIZABLE ? ZKERN_LINEARIZABLE : 0) |
	       (want->flags & ZKERN_WANT_WATCH ? ZKERN_WATCH_ONCE : 0);
}

static void seen_of_get(struct zkern *zk, struct zkern_seen *seen, const struct zkern_get *g)
{
	seen->events = dev_events_wait(dev_of(zk), g->zxid, g->events);
	seen->zxid = g->zxid;
	seen->state = g->state;
	seen->age_ms = g->age_ms;
}

/* ZKERN_GET into a buffer that grows as needed; *@buf is the caller's on success. */
static int get_growing(struct zkern *zk, const char *path, const struct zkern_want *want,
		       u32 flags, struct zkern_get *g, char **buf)
{
	u32 room = FIRST_BUF;
	int err, i;

	*buf = NULL;
	for (i = 0; i < TRIES; i++) {
		char *b = realloc(*buf, (size_t)room + 1);

		err = -ENOMEM;
		if (!b)
			break;
		*buf = b;
		fill_get(g, path, flags | want_flags(want), b, room);
		g->min_zxid = want->min_zxid;
		g->timeout_ms = want->timeout_ms;
		g->max_age_ms = want->max_age_ms;
		err = dev_ioctl(dev_of(zk)->fd, ZKERN_GET, g);
		if (err != -EMSGSIZE)
			break;
		if (g->len <= room || g->len > INT32_MAX) {
			err = -EPROTO;
			break;
		}
		room = g->len;
	}
	if (!err && g->len > room)
		err = -EPROTO;
	if (!err) {
		(*buf)[g->len] = '\0';
		return 0;
	}
	free(*buf);
	*buf = NULL;
	return dev_fail(zk, err, path);
}

static int dev_get(struct zkern *zk, const char *path, const struct zkern_want *want,
		   bool data, struct zkern_value *value)
{
	struct zkern_get g;
	char *buf = NULL;
	int err;

	err = want->flags & ZKERN_WANT_WATCH ? dev_watch_begin(zk) : 0;
	if (err)
		return err;
	if (data) {
		err = get_growing(zk, path, want, 0, &g, &buf);
	} else {
		fill_get(&g, path, ZKERN_GET_NODATA | want_flags(want), NULL, 0);
		g.min_zxid = want->min_zxid;
		g.timeout_ms = want->timeout_ms;
		g.max_age_ms = want->max_age_ms;
		err = dev_ioctl(dev_of(zk)->fd, ZKERN_GET, &g);
		if (err)
			dev_fail(zk, err, path);
	}
	seen_of_get(zk, &value->seen, &g);
	if (err)
		return err;
	value->stat = g.stat;
	if (data && g.stat.data_len >= 0) {
		value->data = buf;
		value->len = g.len;
	} else {
		free(buf);
	}
	return 0;
}

/* One ZKERN_READ of all the entries that have no buffer of the right size yet is
 * not one moment with the others: so all are read again, with the sizes learnt.
 */
static int read_once(struct zkern *zk, struct zkern_get *gets, size_t n,
		     const struct zkern_want *want, struct zkern_read *r)
{
	memset(r, 0, sizeof(*r));
	r->size = sizeof(*r);
	r->flags = want_flags(want) & ZKERN_LINEARIZABLE;
	r->gets = (uintptr_t)gets;
	r->count = n;
	r->min_zxid = want->min_zxid;
	r->timeout_ms = want->timeout_ms;
	r->max_age_ms = want->max_age_ms;
	return dev_ioctl(dev_of(zk)->fd, ZKERN_READ, r);
}

/* A larger buffer for each entry that did not fit; how many did not. */
static int grow_bufs(struct zkern_get *gets, size_t n)
{
	int short_of = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		u32 len = gets[i].len;
		void *b;

		if (gets[i].err != EMSGSIZE)
			continue;
		if (len <= gets[i].buf_len || len > INT32_MAX)
			return -EPROTO;
		b = realloc((void *)(uintptr_t)gets[i].buf, (size_t)len + 1);
		if (!b)
			return -ENOMEM;
		gets[i].buf = (uintptr_t)b;
		gets[i].buf_len = len;
		short_of++;
	}
	return short_of;
}

static int dev_get_many(struct zkern *zk, const char *const *paths, size_t n,
			const struct zkern_want *want, struct zkern_value *values)
{
	struct zkern_get *gets = calloc(n, sizeof(*gets));
	bool nodata = want->flags & ZKERN_WANT_NODATA;
	struct zkern_read r;
	size_t i;
	int err = -ENOMEM, tries = 0;

	if (!gets)
		return dev_fail(zk, err, NULL);
	for (i = 0; i < n; i++) {
		void *b = nodata ? NULL : malloc(FIRST_BUF + 1);

		fill_get(&gets[i], paths[i], nodata ? ZKERN_GET_NODATA : 0, b,
			 nodata ? 0 : FIRST_BUF);
		if (!b && !nodata)
			goto out;
	}
	do {
		err = read_once(zk, gets, n, want, &r);
		if (!err)
			err = grow_bufs(gets, n);
	} while (err > 0 && ++tries < TRIES);
	if (err > 0)
		err = -EAGAIN;
	for (i = 0; !err && i < n; i++) {
		values[i].seen.zxid = r.zxid;
		values[i].seen.events = dev_events_wait(dev_of(zk), r.zxid, r.events);
		values[i].seen.state = r.state;
		values[i].seen.age_ms = gets[i].age_ms;
		values[i].stat = gets[i].stat;
		values[i].err = -(int)gets[i].err;
		if (nodata || gets[i].err || gets[i].stat.data_len < 0 ||
		    gets[i].len > gets[i].buf_len)
			continue;
		values[i].data = (void *)(uintptr_t)gets[i].buf;
		values[i].len = gets[i].len;
		((char *)values[i].data)[values[i].len] = '\0';
		gets[i].buf = 0;
	}
out:
	for (i = 0; i < n; i++)
		free((void *)(uintptr_t)gets[i].buf);
	free(gets);
	return err ? dev_fail(zk, err, NULL) : 0;
}

/* Takes the entries of one page. @last: the last name, to go on after. */
static int take_page(struct zkern_children *c, size_t *cap, const u8 *buf,
		     const struct zkern_list *l)
{
	u32 at = 0, i;
	int err;

	if (l->used > l->buf_len)
		return -EPROTO;
	for (i = 0; i < l->count; i++) {
		u32 len;

		if (l->used - at < sizeof(len))
			return -EPROTO;
		memcpy(&len, buf + at, sizeof(len));
		at += sizeof(len);
		if (l->used - at < len)
			return -EPROTO;
		err = zkern_children_add(c, cap, buf + at, len);
		if (err)
			return err;
		at += len;
	}
	return l->more && !l->count ? -EPROTO : 0;
}

static void fill_list(struct zkern_list *l, const char *path, void *buf, u32 len)
{
	memset(l, 0, sizeof(*l));
	l->size = sizeof(*l);
	l->path = (uintptr_t)path;
	l->path_len = strlen(path);
	l->buf = (uintptr_t)buf;
	l->buf_len = len;
}

/* All pages, through a snapshot fd. */
static int list_pages(int fd, const char *path, u8 *buf, struct zkern_children *c)
{
	struct zkern_list l;
	const char *last;
	size_t cap = 0;
	int err;

	do {
		fill_list(&l, path, buf, LIST_BUF);
		if (c->count) {
			last = c->name[c->count - 1];
			l.after = (uintptr_t)last;
			l.after_len = strlen(last);
		}
		err = dev_ioctl(fd, ZKERN_CHILDREN, &l);
		if (!err)
			err = take_page(c, &cap, buf, &l);
	} while (!err && l.more);
	c->stat = l.stat;
	return err;
}

static int take_snapshot(struct zkern *zk, const char *path, struct zkern_snapshot *s)
{
	memset(s, 0, sizeof(*s));
	s->size = sizeof(*s);
	s->path = (uintptr_t)path;
	s->path_len = path ? strlen(path) : 0;
	s->fd = -1;
	return dev_ioctl(dev_of(zk)->fd, ZKERN_SNAPSHOT, s);
}

/* More children than fit a page. A snapshot that was revoked is taken again. */
static int list_long(struct zkern *zk, const char *path, u8 *buf, struct zkern_children *c)
{
	struct zkern_snapshot s;
	int err, i;

	for (i = 0; i < TRIES; i++) {
		zkern_children_free(c);
		err = take_snapshot(zk, path, &s);
		if (err)
			return err;
		err = list_pages(s.fd, path, buf, c);
		close(s.fd);
		c->seen.zxid = s.zxid;
		if (err != -ESTALE)
			break;
	}
	return err;
}

static int dev_children(struct zkern *zk, const char *path, const struct zkern_want *want,
			struct zkern_children *c)
{
	struct zkern_list l;
	size_t cap = 0;
	u8 *buf;
	int err;

	err = want->flags & ZKERN_WANT_WATCH ? dev_watch_begin(zk) : 0;
	if (err)
		return err;
	buf = malloc(LIST_BUF);
	if (!buf)
		return dev_fail(zk, -ENOMEM, path);
	fill_list(&l, path, buf, LIST_BUF);
	l.flags = want_flags(want);
	l.min_zxid = want->min_zxid;
	l.timeout_ms = want->timeout_ms;
	l.max_age_ms = want->max_age_ms;
	err = dev_ioctl(dev_of(zk)->fd, ZKERN_CHILDREN, &l);
	c->seen.zxid = l.zxid;
	c->seen.events = dev_events_wait(dev_of(zk), l.zxid, l.events);
	c->seen.state = l.state;
	c->seen.age_ms = l.age_ms;
	c->stat = l.stat;
	if (!err && l.more)
		err = list_long(zk, path, buf, c);
	else if (!err)
		err = take_page(c, &cap, buf, &l);
	free(buf);
	return err ? dev_fail(zk, err, path) : 0;
}

static int dev_get_acl(struct zkern *zk, const char *path, struct zkern_acls *acls)
{
	static const struct zkern_want any;
	struct zkern_get g;
	struct jr r;
	char *buf;
	int err;

	err = get_growing(zk, path, &any, ZKERN_GET_ACL, &g, &buf);
	if (err)
		return err;
	seen_of_get(zk, &acls->seen, &g);
	acls->stat = g.stat;
	jr_init(&r, buf, g.len);
	err = zkern_acls_parse(&r, acls);
	free(buf);
	return err ? dev_fail(zk, err, path) : 0;
}

/* One struct zkern_node at @p, of which @left bytes are there. */
static int dump_one(const u8 *p, size_t left, u64 zxid, size_t *used,
		    int (*fn)(void *arg, const struct zkern_record *rec), void *arg)
{
	struct zkern_record rec = { .zxid = zxid };
	struct zkern_node n;
	size_t data_len, body;
	char *path;
	int err;

	if (left < sizeof(n))
		return -EPROTO;
	memcpy(&n, p, sizeof(n));
	data_len = n.data_len > 0 ? n.data_len : 0;
	body = (size_t)n.path_len + data_len + n.acl_len;
	if (n.len > left || n.len < sizeof(n) || body > n.len - sizeof(n) ||
	    n.path_len > ZKERN_PATH_MAX)
		return -EPROTO;
	path = zkern_dup(p + sizeof(n), n.path_len);
	if (!path)
		return -ENOMEM;
	rec.path = path;
	rec.stat = n.stat;
	if (n.flags & ZKERN_NODE_HIDDEN) {
		rec.left_out = ZKERN_LEFT_HIDDEN;
	} else if (n.data_len >= 0) {
		rec.data = p + sizeof(n) + n.path_len;
		rec.len = data_len;
	}
	err = fn(arg, &rec);
	free(path);
	*used = n.len;
	return err;
}

static int dump_fd(int fd, u64 zxid, int (*fn)(void *arg, const struct zkern_record *rec),
		   void *arg)
{
	size_t room = DUMP_BUF, at, used;
	u8 *buf = malloc(room), *b;
	int err = buf ? 0 : -ENOMEM;
	ssize_t n;

	while (!err) {
		n = read(fd, buf, room);
		if (n < 0 && errno == EMSGSIZE && room < (1U << 30)) {
			b = realloc(buf, room * 2);
			if (!b) {
				err = -ENOMEM;
				break;
			}
			buf = b;
			room *= 2;
			continue;
		}
		if (n <= 0) {
			err = n < 0 ? -errno : 0;
			break;
		}
		for (at = 0; !err && at < (size_t)n; at += used)
			err = dump_one(buf + at, n - at, zxid, &used, fn, arg);
	}
	free(buf);
	return err;
}

static int dev_info(struct zkern *zk, struct zkern_info *info)
{
	int err;

	info->size = sizeof(*info);
	err = dev_ioctl(dev_of(zk)->fd, ZKERN_INFO, info);
	return err ? dev_fail(zk, err, NULL) : 0;
}

static int dev_dump(struct zkern *zk, const char *path,
		    int (*fn)(void *arg, const struct zkern_record *rec), void *arg,
		    struct zkern_seen *seen)
{
	struct zkern_info info = { 0 };
	struct zkern_snapshot s;
	int err;

	err = dev_info(zk, &info);
	if (err)
		return err;
	seen->state = info.state;
	seen->age_ms = info.age_ms;
	err = take_snapshot(zk, path, &s);
	if (err)
		return dev_fail(zk, err, path);
	seen->zxid = s.zxid;
	err = dump_fd(s.fd, s.zxid, fn, arg);
	close(s.fd);
	if (err == -ESTALE)
		return zkern_fail(zk, err, "%s: the snapshot was revoked: it held back "
				  "too much memory", path);
	return err < 0 ? dev_fail(zk, err, path) : err;
}

static int dev_map(struct zkern *zk, const char *path, struct zkern_map *req)
{
	int err;

	memset(req, 0, sizeof(*req));
	req->size = sizeof(*req);
	req->path = (uintptr_t)path;
	req->path_len = strlen(path);
	err = dev_ioctl(dev_of(zk)->fd, ZKERN_MAP, req);
	return err ? dev_fail(zk, err, path) : 0;
}

/* ------------------------------------------------------------ writing */

static int answer_room(struct device *d, u32 len)
{
	u64 want = (u64)len * ANSWER_RATIO + ANSWER_MORE;
	u8 *p;

	if (want > ZKERN_REQUEST_MAX)
		want = ZKERN_REQUEST_MAX;
	if (d->answer_cap >= want && d->answer_cap <= LIST_BUF)
		return 0;
	p = realloc(d->answer, want);
	if (!p)
		return -ENOMEM;
	d->answer = p;
	d->answer_cap = want;
	return 0;
}

/* There is no answer. */
static int unanswered(struct zkern *zk, int err, const char *path)
{
	const char *after = zk->undone ? "" : ": it may have been done, or not";

	if (err == -ESHUTDOWN)
		zk->zk_error = ZSESSIONEXPIRED;
	if (err == -EINTR)
		return zkern_fail(zk, err, "%.400s: interrupted%s", path, after);
	if (err == -ETIMEDOUT)
		return zkern_fail(zk, err, "%.400s: no answer in time%s", path, after);
	if (err == -ECONNRESET)
		return zkern_fail(zk, err, "%.400s: the daemon went, or lost its quorum%s", path,
				  after);
	if (err == -EAGAIN || err == -ENOSPC)
		return zkern_fail(zk, err, "%.400s: too much of this user's is queued or open",
				  path);
	return dev_fail(zk, err, path);
}

static int dev_call(struct zkern *zk, struct jw *w, bool again, const char *path,
		    struct op_reply *r)
{
	struct device *d = dev_of(zk);
	struct zkern_request q = { .size = sizeof(q), .timeout_ms = d->timeout_ms };
	int err = w->err;

	(void)again;		/* nothing is lost that could be asked again */
	zk->zk_error = 0;
	if (!err && d->readonly)
		err = -EPERM;
	if (!err)
		err = answer_room(d, w->len);
	if (!err) {
		q.op = jute_get32(w->buf + OP_HEAD - 4);
		q.buf = (uintptr_t)(w->buf + OP_HEAD);
		q.buf_len = w->len - OP_HEAD;
		q.out = (uintptr_t)d->answer;
		q.out_cap = d->answer_cap;
		err = dev_ioctl(d->fd, ZKERN_REQUEST, &q);
		zk->undone = q.fate == ZKERN_FATE_NONE;
		d->session = q.session;
		d->session_ms = q.session_ms;
	}
	jw_free(w);
	if (err)
		return unanswered(zk, err, path);
	r->xid = 0;
	r->zxid = q.zxid;
	r->events = dev_events_wait(d, q.zxid, q.events);
	r->err = q.err;
	jr_init(&r->body, d->answer, q.out_len);
	if (!r->err)
		return 0;
	zk->zk_error = r->err;
	zk->undone = true;
	return zkern_fail_path(zk, zkern_errno_of(r->err), path);
}

static void dev_set_timeout(struct zkern *zk, u32 ms)
{
	dev_of(zk)->timeout_ms = ms;
}

static u64 dev_session_id(const struct zkern *zk)
{
	return ((const struct device *)zk)->session;
}

static u32 dev_session_timeout(const struct zkern *zk)
{
	return ((const struct device *)zk)->session_ms;
}

static const struct zkern_way way_device = {
	.via = ZKERN_VIA_DEVICE,
	.name = "a device",
	.close = dev_close,
	.get = dev_get,
	.get_many = dev_get_many,
	.children = dev_children,
	.get_acl = dev_get_acl,
	.dump = dev_dump,
	.info = dev_info,
	.map = dev_map,
	.add_watch = dev_add_watch,
	.next_event = dev_next_event,
	.call = dev_call,
	.set_timeout = dev_set_timeout,
	.session_id = dev_session_id,
	.session_timeout = dev_session_timeout,
};

int zkern_open_device(const char *path, struct zkern **zk, char *why, size_t why_len)
{
	struct zkern_info info;
	struct device *d;
	int err;

	d = calloc(1, sizeof(*d));
	if (!d) {
		if (why)
			snprintf(why, why_len, "%s: out of memory", path);
		return -ENOMEM;
	}
	d->zk.way = &way_device;
	snprintf(d->name, sizeof(d->name), "%s", path);
	d->timeout_ms = DEFAULT_MS;
	d->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (d->fd < 0 && errno == EACCES) {
		d->readonly = true;
		d->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	if (d->fd < 0) {
		err = -errno;
		zkern_fail(&d->zk, err, "%s: %s", path, strerror(errno));
		goto fail;
	}
	err = zkern_info(&d->zk, &info);
	if (err)
		goto fail_fd;
	*zk = &d->zk;
	return 0;
fail_fd:
	close(d->fd);
fail:
	zkern_why(&d->zk, why, why_len);
	free(d);
	return err;
}
