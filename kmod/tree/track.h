/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The text in the nodes of a quota (StatsTrack.java): "count=4,bytes=50", and what
 * else there is behind that: "count=4,bytes=50=;byteHardLimit=100".
 *
 * Any thread; nothing is allocated, keys point into the text that was parsed.
 */
#ifndef ZK_TRACK_H
#define ZK_TRACK_H

#include <linux/types.h>

/*
 * Longest text that is looked at, and how many different keys it may have: quotas
 * have four. Whatever is beyond this is no quota's.
 */
#define ZK_TRACK_MAX	2048
#define ZK_TRACK_PAIRS	32

struct zk_track_pair {
	const char *key;
	u32 len;
	s64 value;
};

struct zk_track {
	u32 n;
	struct zk_track_pair pair[ZK_TRACK_PAIRS];
};

/* Bytes that zk_track_print() needs at most. */
#define ZK_TRACK_TEXT	(ZK_TRACK_MAX + 24 * (ZK_TRACK_PAIRS + 2))

/* 0, or -EINVAL for what StatsTrack() throws at; @len -1: null. */
int zk_track_parse(struct zk_track *t, const char *text, s32 len);
/* A key's value, -1 if it is not there. */
s64 zk_track_get(const struct zk_track *t, const char *key);
/* Writes it out with these values for count and bytes; its length. */
u32 zk_track_print(struct zk_track *t, s64 count, s64 bytes, char *text);

#endif
