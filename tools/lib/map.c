// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Mapped nodes: what zkern_map.h leaves over, that is mapping a node, and every read that
 * is not plain. A mapping that was revoked is given up and made anew; while there is none,
 * the node is read as zkern_get() does.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"

/* A node may be changed again and again while it is read: then the kernel is asked. */
#define TRIES		16
/* Reads until a node that could not be mapped is tried again. */
#define PAUSE		256
/*
 * An answer that the page has given is in the tree as soon as the writer has run on
 * for a few instructions.
 */
#define PUBLISH_MS	10000
#define EPOCH_STEP	(1ULL << 48)

/**
 * struct mapping - behind the part that programs see.
 * @fd:    of the mapping, or -1
 * @base, @len: what is mapped
 * @tree:  its number, as @seen is of it
 * @shift_ns: our CLOCK_BOOTTIME less the kernel's (time namespaces)
 * @pause: so many reads to go until mapping it is tried again
 * @mzxid: tcp: that was read last, 0: it was not there
 */
struct mapping {
	struct zkern_mapping pub;
	struct zkern *zk;
	int fd;
	void *base;
	size_t len;
	u64 tree;
	s64 shift_ns;
	u32 pause;
	u64 mzxid;
	char path[];
};

static struct mapping *mapping_of(struct zkern_mapping *map)
{
	return (struct mapping *)map;
}

static s64 boot_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (s64)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void unmap(struct mapping *m)
{
	if (m->base)
		munmap(m->base, m->len);
	if (m->fd >= 0)
		close(m->fd);
	m->base = NULL;
	m->fd = -1;
	m->pub.tree = NULL;
	m->pub.node = NULL;
}

/* Is the answer the kernel's word about the node, and not about the mapping? */
static bool is_final(int err)
{
	return err == -ENOENT || err == -EACCES || err == -ESTALE || err == -ENODEV ||
	       err == -EINVAL;
}

/* The node's page in place of the one before, if any; @zxid: that the tree is at. */
static int map_again(struct mapping *m, uint64_t *zxid)
{
	struct zkern_map req;
	s64 ours = boot_ns();
	void *base;
	u64 tree;
	int err;

	unmap(m);
	err = m->zk->way->map(m->zk, m->path, &req);
	*zxid = req.zxid;
	if (err)
		return err;
	if (req.map_len < req.node_off + sizeof(struct zkern_map_node) ||
	    req.map_len < req.tree_off + sizeof(struct zkern_map_tree)) {
		close(req.fd);
		return zkern_fail(m->zk, -EPROTO, "%s: a mapping of %u bytes", m->path,
				  req.map_len);
	}
	base = mmap(NULL, req.map_len, PROT_READ, MAP_SHARED | MAP_POPULATE, req.fd, 0);
	if (base == MAP_FAILED) {
		err = -errno;
		close(req.fd);
		return zkern_fail_path(m->zk, err, m->path);
	}
	m->fd = req.fd;
	m->base = base;
	m->len = req.map_len;
	/* from before the call: the age is rather too high */
	m->shift_ns = ours - req.now_ns;
	m->pub.tree = base + req.tree_off;
	m->pub.node = base + req.node_off;
	m->pub.slot_len = m->pub.node->slot_len;
	m->pub.room = req.data_max;
	m->pub.epoch += EPOCH_STEP;
	tree = zkern_map_load(&m->pub.tree->tree);
	if (tree != m->tree && m->tree && zkern_map_load(&m->pub.tree->zxid) < m->pub.seen)
		return zkern_fail(m->zk, -ESTALE, "%s: the tree has gone back to %#llx", m->path,
				  (unsigned long long)*zxid);
	m->tree = tree;
	return 0;
}

/* The last version, or NULL if there is none. It may be overwritten any time. */
static const struct zkern_map_slot *last_slot(const struct mapping *m)
{
	u64 n = zkern_map_load(&m->pub.node->done);

	return n ? zkern_map_slot(&m->pub, n) : NULL;
}

/* The page's word if it has one. 1: it has none. */
static int by_page(struct mapping *m, void *buf, size_t cap, struct zkern_map_got *got,
		   struct zkern_stat *stat)
{
	const struct zkern_map_slot *slot;
	int err, i;
	u64 z;

	for (i = 0; i < TRIES; i++) {
		slot = last_slot(m);
		if (!slot || slot->flags & ZKERN_MAP_LONG)
			break;
		z = zkern_map_load(&m->pub.tree->zxid);
		err = zkern_map_get_at(&m->pub, z, buf, cap, got, stat);
		if (!err || err == -EMSGSIZE) {
			m->pub.seen = z;
			return err;
		}
	}
	return 1;
}

/* Is there data that would fit into a larger mapping, or none at all any more? */
static bool to_map(const struct mapping *m)
{
	const struct zkern_map_slot *slot = m->pub.node ? last_slot(m) : NULL;

	return !slot || (slot->flags & ZKERN_MAP_LONG &&
			 slot->stat.data_len <= ZKERN_MAP_DATA_MAX);
}

/* As zkern_get(), not older than what was read of the page. */
static int by_call(struct mapping *m, void *buf, size_t cap, struct zkern_map_got *got,
		   struct zkern_stat *stat)
{
	struct zkern_want want = { .min_zxid = m->pub.seen, .timeout_ms = PUBLISH_MS };
	struct zkern_value v;
	int err;

	if (!m->zk->way->map)
		want = (struct zkern_want){ 0 };
	/* changes from here on are news to who waits for another version than this */
	if (m->pub.node)
		got->version = m->pub.epoch | zkern_map_load(&m->pub.node->done);
	err = zkern_get(m->zk, m->path, &want, &v);
	got->zxid = v.seen.zxid;
	if (err == -ETIMEDOUT && want.min_zxid)
		err = zkern_fail(m->zk, -ESTALE, "%s: the tree has gone back", m->path);
	if (!m->pub.node)
		got->version = m->mzxid = err ? 0 : v.stat.mzxid;
	if (err)
		return err;
	got->len = v.stat.data_len < 0 ? -1 : (s64)v.len;
	if (stat)
		*stat = v.stat;
	if (v.len > cap)
		err = zkern_fail(m->zk, -EMSGSIZE, "%s: %zu bytes, and room for %zu", m->path,
				 v.len, cap);
	else if (v.len)
		memcpy(buf, v.data, v.len);
	if (v.seen.zxid > m->pub.seen)
		m->pub.seen = v.seen.zxid;
	zkern_value_free(&v);
	return err;
}

/* Maps it if it is time to. 0, or an error that is final. */
static int refresh(struct mapping *m, struct zkern_map_got *got)
{
	int err;

	if (!m->zk->way->map || !to_map(m))
		return 0;
	if (m->pause) {
		m->pause--;
		return 0;
	}
	err = map_again(m, &got->zxid);
	if (is_final(err)) {
		unmap(m);
		got->version = 0;
		return err;
	}
	if (err)
		m->pause = PAUSE;
	return 0;
}

int zkern_map_get_slow(struct zkern_mapping *map, void *buf, size_t cap,
		       struct zkern_map_got *got, struct zkern_stat *stat)
{
	struct mapping *m = mapping_of(map);
	int err = 1;

	memset(got, 0, sizeof(*got));
	m->zk->msg[0] = '\0';
	m->zk->zk_error = 0;
	if (m->pub.node)
		err = by_page(m, buf, cap, got, stat);
	if (err == 1) {
		err = refresh(m, got);
		if (err)
			return err;
		err = m->pub.node ? by_page(m, buf, cap, got, stat) : 1;
	}
	if (err == 1)
		return by_call(m, buf, cap, got, stat);
	if (err)
		zkern_fail(m->zk, err, "%s: %lld bytes, and room for %zu", m->path,
			   (long long)got->len, cap);
	return err;
}

/* ------------------------------------------------------------ many */

static bool all_mapped(struct zkern_map_read *reads, size_t n)
{
	struct zkern_map_got got;
	size_t i;

	for (i = 0; i < n; i++) {
		struct mapping *m = mapping_of(reads[i].map);

		if (m->zk != mapping_of(reads[0].map)->zk)
			return false;
		if (to_map(m) && (refresh(m, &got) || !m->pub.node))
			return false;
	}
	return true;
}

/* All of them at one zxid from the pages; false: not so. */
static bool many_by_page(struct zkern_map_read *reads, size_t n)
{
	const struct zkern_map_tree *tree = reads[0].map->tree;
	u64 before = zkern_map_load(&tree->tree);
	u64 z = zkern_map_load(&tree->zxid);
	size_t i;

	for (i = 0; i < n; i++) {
		struct zkern_map_read *r = &reads[i];

		r->err = zkern_map_get_at(r->map, z, r->buf, r->cap, &r->got, r->stat);
		if (r->err == -EAGAIN)
			return false;
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (zkern_map_load(&tree->tree) != before)
		return false;
	for (i = 0; i < n; i++)
		reads[i].map->seen = z;
	return true;
}

static void take_value(struct zkern_map_read *r, struct zkern_value *v)
{
	struct mapping *m = mapping_of(r->map);

	r->err = v->err;
	r->got.zxid = v->seen.zxid;
	if (v->seen.zxid > m->pub.seen)
		m->pub.seen = v->seen.zxid;
	if (r->err)
		return;
	r->got.len = v->stat.data_len < 0 ? -1 : (s64)v->len;
	if (r->stat)
		*r->stat = v->stat;
	if (v->len > r->cap)
		r->err = -EMSGSIZE;
	else if (v->len)
		memcpy(r->buf, v->data, v->len);
}

static int many_by_call(struct zkern_map_read *reads, size_t n)
{
	struct mapping *first = mapping_of(reads[0].map);
	struct zkern_want want = { .timeout_ms = PUBLISH_MS };
	struct zkern_value *values = calloc(n, sizeof(*values));
	const char **paths = calloc(n, sizeof(*paths));
	int err = -ENOMEM;
	size_t i;

	if (!values || !paths) {
		zkern_fail(first->zk, err, "out of memory");
		goto out;
	}
	for (i = 0; i < n; i++) {
		struct mapping *m = mapping_of(reads[i].map);

		paths[i] = m->path;
		if (m->pub.seen > want.min_zxid)
			want.min_zxid = m->pub.seen;
		memset(&reads[i].got, 0, sizeof(reads[i].got));
		if (m->pub.node)
			reads[i].got.version = m->pub.epoch |
					       zkern_map_load(&m->pub.node->done);
	}
	err = zkern_get_many(first->zk, paths, n, &want, values);
	if (err == -ETIMEDOUT)
		err = zkern_fail(first->zk, -ESTALE, "the tree has gone back");
	for (i = 0; !err && i < n; i++)
		take_value(&reads[i], &values[i]);
	for (i = 0; i < n; i++)
		zkern_value_free(&values[i]);
out:
	free(values);
	free(paths);
	return err;
}

int zkern_map_get_many(struct zkern_map_read *reads, size_t n)
{
	size_t i;

	if (!n)
		return 0;
	for (i = 0; i < n; i++)
		if (mapping_of(reads[i].map)->zk != mapping_of(reads[0].map)->zk)
			return zkern_fail(mapping_of(reads[0].map)->zk, -EINVAL,
					  "mappings of several handles");
	for (i = 0; i < TRIES && all_mapped(reads, n); i++)
		if (many_by_page(reads, n))
			return 0;
	return many_by_call(reads, n);
}

/* ------------------------------------------------------------ waiting, freshness */

/* It is mapped anew if that is possible: there is no waiting without. */
static int wait_unmapped(struct mapping *m, uint64_t version)
{
	uint64_t zxid;
	int err = map_again(m, &zxid);

	if (!err)
		return 1;
	unmap(m);
	/* gone since it was read, or gone already then */
	return version && is_final(err) ? 1 : err;
}

int zkern_map_wait(struct zkern_mapping *map, uint64_t version, int timeout_ms)
{
	struct mapping *m = mapping_of(map);
	struct zkern_map_wait req = { .size = sizeof(req) };

	if (!m->zk->way->map) {
		if (!m->zk->way->wait)
			return zkern_fail(m->zk, -EOPNOTSUPP, "waiting is not offered over %s",
					  m->zk->way->name);
		return m->zk->way->wait(m->zk, m->path, version, timeout_ms);
	}
	if (!m->pub.node)
		return wait_unmapped(m, version);
	/* of an earlier mapping: there is something to be looked at */
	if ((version & ~(EPOCH_STEP - 1)) != m->pub.epoch)
		return 1;
	req.version = version & (EPOCH_STEP - 1);
	if (!timeout_ms)
		return zkern_map_load(&m->pub.node->done) != req.version;
	req.timeout_ms = timeout_ms < 0 ? 0 : timeout_ms;
	if (!ioctl(m->fd, ZKERN_MAP_WAIT, &req))
		return 1;
	if (errno == ETIMEDOUT)
		return 0;
	return zkern_fail_path(m->zk, -errno, m->path);
}

int zkern_map_fd(const struct zkern_mapping *map)
{
	return ((const struct mapping *)map)->fd;
}

void zkern_map_ack(struct zkern_mapping *map)
{
	struct mapping *m = mapping_of(map);
	struct pollfd p = { .fd = m->fd, .events = POLLIN };
	u64 version;

	/* without O_NONBLOCK, which would be everybody's who has the file: looked at first */
	if (m->fd >= 0 && poll(&p, 1, 0) == 1 && read(m->fd, &version, sizeof(version)) < 0)
		return;
}

void zkern_map_seen(struct zkern_mapping *map, struct zkern_seen *seen)
{
	struct mapping *m = mapping_of(map);
	struct zkern_map_said said;
	s64 age;
	u64 n;

	memset(seen, 0, sizeof(*seen));
	seen->state = ZKERN_STATE_UNKNOWN;
	seen->age_ms = ZKERN_AGE_UNKNOWN;
	seen->zxid = m->pub.seen;
	if (!m->pub.tree)
		return;
	seen->zxid = zkern_map_load(&m->pub.tree->zxid);
	do {
		n = zkern_map_load(&m->pub.tree->said_n);
		said = m->pub.tree->said[n & 1];
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (zkern_map_load(&m->pub.tree->said_n) != n);
	seen->state = said.state;
	if (said.heard_ns == ZKERN_MAP_NEVER)
		return;
	age = boot_ns() - m->shift_ns - said.heard_ns;
	seen->age_ms = age > 0 ? age / ZKERN_NS_PER_MS : 0;
}

/* ------------------------------------------------------------ opening */

int zkern_map_open(struct zkern *zk, const char *path, struct zkern_mapping **map)
{
	struct zkern_map_got got = { 0 };
	struct zkern_value v;
	struct mapping *m;
	int err;

	err = zkern_check_path(zk, path);
	if (err)
		return err;
	m = calloc(1, sizeof(*m) + strlen(path) + 1);
	if (!m)
		return zkern_fail(zk, -ENOMEM, "%.400s: out of memory", path);
	strcpy(m->path, path);
	m->zk = zk;
	m->fd = -1;
	if (zk->way->map) {
		err = refresh(m, &got);
	} else {
		err = zkern_exists(zk, path, NULL, &v);
		m->mzxid = v.stat.mzxid;
	}
	if (err) {
		unmap(m);
		free(m);
		return err;
	}
	*map = &m->pub;
	return 0;
}

void zkern_map_close(struct zkern_mapping *map)
{
	if (!map)
		return;
	unmap(mapping_of(map));
	free(mapping_of(map));
}
