/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A mapped node in a test: read by libzkern's inlined protocol, nothing else of it. */
#ifndef MAPPED_H
#define MAPPED_H

#include <sys/mman.h>
#include <unistd.h>

#include "tools/lib/zkern.h"
#include "zk.h"

struct mapped {
	struct zkern_mapping map;
	struct zkern_map req;
	int fd;
	void *base;
};

/* ZKERN_MAP alone; the results in m->req, the descriptor in m->fd. */
static inline int mapped_fd(int f, const char *path, struct mapped *m)
{
	int err;

	memset(m, 0, sizeof(*m));
	m->req.size = sizeof(m->req);
	m->req.path = ptr(path);
	m->req.path_len = strlen(path);
	err = zk_ioctl(f, ZKERN_MAP, &m->req);
	m->fd = err ? -1 : m->req.fd;
	return err;
}

static inline int mapped_open(int f, const char *path, struct mapped *m)
{
	int err = mapped_fd(f, path, m);

	if (err)
		return err;
	m->base = mmap(NULL, m->req.map_len, PROT_READ, MAP_SHARED, m->fd, 0);
	if (m->base == MAP_FAILED) {
		err = -errno;
		close(m->fd);
		return err;
	}
	m->map.tree = (void *)((char *)m->base + m->req.tree_off);
	m->map.node = (void *)((char *)m->base + m->req.node_off);
	m->map.slot_len = m->map.node->slot_len;
	m->map.room = m->req.data_max;
	return 0;
}

static inline void mapped_close(struct mapped *m)
{
	munmap(m->base, m->req.map_len);
	close(m->fd);
}

/* One try of the protocol. */
static inline int mapped_get(struct mapped *m, void *buf, size_t cap, struct zkern_map_got *got,
			     struct zkern_stat *stat)
{
	return zkern_map_get_at(&m->map, zkern_map_load(&m->map.tree->zxid), buf, cap, got, stat);
}

/* What it says, as a string, or why it says nothing. */
static inline bool mapped_says(struct mapped *m, const char *want)
{
	struct zkern_map_got got;
	char buf[256] = "";
	int err = mapped_get(m, buf, sizeof(buf) - 1, &got, NULL);

	if (!err && got.len == (int64_t)strlen(want) && !memcmp(buf, want, got.len))
		return true;
	printf("# %d: '%s', wanted '%s'\n", err, buf, want);
	return false;
}

static inline unsigned int mapped_why(const struct mapped *m)
{
	return zkern_map_load(&m->map.node->done) ? 0 : m->map.node->why;
}

#endif
