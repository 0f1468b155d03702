/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The part of mapped reads that is compiled into the program: the protocol of linux/zkern.h
 * ("mapped nodes"), step by step. zkern.h includes it; nothing here but zkern_map_get() is
 * for programs. What is copied from a page while the kernel may overwrite it is not
 * believed before step 5 has looked.
 */
#ifndef ZKERN_MAP_INLINE_H
#define ZKERN_MAP_INLINE_H

#include <errno.h>
#include <string.h>

/**
 * struct zkern_mapping - what the functions here need of a mapping.
 * @tree, @node: NULL if the node is not mapped
 * @room:  bytes that a slot has for data
 * @slot_len: as in @node
 * @seen:  the highest zxid read
 * @epoch: of this mapping, in the upper 16 bits: versions of different ones differ
 */
struct zkern_mapping {
	const struct zkern_map_tree *tree;
	const struct zkern_map_node *node;
	uint32_t room;
	uint32_t slot_len;
	uint64_t seen;
	uint64_t epoch;
};

int zkern_map_get_slow(struct zkern_mapping *map, void *buf, size_t cap,
		       struct zkern_map_got *got, struct zkern_stat *stat);

/* 64 bits that the kernel stores at once, with what was stored before. */
static inline uint64_t zkern_map_load(const __u64 *p)
{
#if __SIZEOF_POINTER__ == 8
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
#else
	const uint32_t *half = (const uint32_t *)p;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	const uint32_t *upper = half + 1, *lower = half;
#else
	const uint32_t *upper = half, *lower = half + 1;
#endif
	uint32_t before, after, low;

	/* it only grows: an upper half that has not changed was that of the lower one */
	do {
		before = __atomic_load_n(upper, __ATOMIC_ACQUIRE);
		low = __atomic_load_n(lower, __ATOMIC_ACQUIRE);
		after = __atomic_load_n(upper, __ATOMIC_ACQUIRE);
	} while (before != after);
	return (uint64_t)after << 32 | low;
#endif
}

static inline void zkern_map_copy(void *to, const void *from, size_t len)
{
	uint8_t *t = (uint8_t *)to;
	const uint8_t *f = (const uint8_t *)from;
	size_t at = 0;

	if (len > 512) {
		memcpy(to, from, len);
		return;
	}
	/* short ones without a call; the last step may go over bytes a second time */
	if (len < 16) {
		for (; at < len; at++)
			t[at] = f[at];
		return;
	}
	for (; at + 16 <= len; at += 16)
		memcpy(t + at, f + at, 16);
	memcpy(t + len - 16, f + len - 16, 16);
}

static inline const struct zkern_map_slot *zkern_map_slot(const struct zkern_mapping *map,
							  uint64_t n)
{
	return (const struct zkern_map_slot *)((const uint8_t *)(map->node + 1) +
					       (n & 1) * map->slot_len);
}

/* Steps 2 to 5 at @z. -EAGAIN: not so, or not now. */
static inline int zkern_map_get_at(const struct zkern_mapping *map, uint64_t z, void *buf,
				   size_t cap, struct zkern_map_got *got,
				   struct zkern_stat *stat)
{
	uint64_t n = zkern_map_load(&map->node->done);
	const struct zkern_map_slot *slot = zkern_map_slot(map, n);
	size_t len;
	int err = 0;

	if (__builtin_expect(!n, 0))
		return -EAGAIN;
	if (__builtin_expect(zkern_map_load(&slot->zxid) > z, 0)) {
		slot = zkern_map_slot(map, --n);
		if (!n || zkern_map_load(&slot->zxid) > z)
			return -EAGAIN;
	}
	got->zxid = z;
	got->version = map->epoch | n;
	got->len = __atomic_load_n(&slot->stat.data_len, __ATOMIC_RELAXED);
	len = got->len > 0 ? got->len : 0;
	if (__builtin_expect(slot->flags & ZKERN_MAP_LONG || len > map->room, 0))
		return -EAGAIN;
	if (len <= cap)
		zkern_map_copy(buf, slot->data, len);
	else
		err = -EMSGSIZE;
	if (stat)
		zkern_map_copy(stat, &slot->stat, sizeof(*stat));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__builtin_expect(zkern_map_load(&map->node->begun) - n >= 2, 0))
		return -EAGAIN;
	return err;
}

static inline int zkern_map_get(struct zkern_mapping *map, void *buf, size_t cap,
				struct zkern_map_got *got, struct zkern_stat *stat)
{
	uint64_t z;
	int err;

	if (__builtin_expect(!map->node, 0))
		return zkern_map_get_slow(map, buf, cap, got, stat);
	z = zkern_map_load(&map->tree->zxid);
	err = zkern_map_get_at(map, z, buf, cap, got, stat);
	if (__builtin_expect(err, 0))
		return zkern_map_get_slow(map, buf, cap, got, stat);
	map->seen = z;
	return 0;
}

#endif
