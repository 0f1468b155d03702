/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hashing of byte strings for tables in the daemon's memory. Keyed, so that who
 * chooses the strings (clients) cannot choose where they fall.
 */
#ifndef ZKD_BASE_HASH_H
#define ZKD_BASE_HASH_H

#include <string.h>
#include <sys/random.h>
#include <linux/types.h>

/* A key for one table. Falls back on addresses where there is no randomness yet. */
static inline u64 hash_key(void)
{
	u64 key;

	if (getrandom(&key, sizeof(key), GRND_NONBLOCK) != sizeof(key))
		key = (u64)(uintptr_t)&key * 0x9e3779b97f4a7c15ULL;
	return key;
}

static inline u64 hash_mix(u64 a, u64 b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (u64)m ^ (u64)(m >> 64);
}

static inline u64 hash_load64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline u32 hash_load32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Sixteen bytes a multiplication, as wyhash does. */
static inline u64 hash_bytes(u64 key, const void *data, size_t len)
{
	const u64 k0 = 0xa0761d6478bd642fULL, k1 = 0xe7037ed1a0b428dbULL;
	const u8 *p = data;
	size_t left = len;
	u64 h = key ^ k0, a = 0, b = 0;

	for (; left > 16; left -= 16, p += 16)
		h = hash_mix(hash_load64(p) ^ k1, hash_load64(p + 8) ^ h);
	if (left >= 8) {
		a = hash_load64(p);
		b = hash_load64(p + left - 8);
	} else if (left >= 4) {
		a = hash_load32(p);
		b = hash_load32(p + left - 4);
	} else if (left) {
		a = (u64)p[0] << 16 | (u64)p[left >> 1] << 8 | p[left - 1];
	}
	return hash_mix(k1 ^ len, hash_mix(a ^ k1, b ^ h));
}

static inline u64 hash_u64(u64 key, u64 v)
{
	return hash_mix(v ^ key, 0x9e3779b97f4a7c15ULL);
}

/*
 * The bucket to look at after @cursor in a table of @n (a power of two) that may grow
 * by doubling between two looks; 0: that was the last. The bits are counted up from
 * the highest one down, so that a bucket that was seen splits into two that count as
 * seen.
 */
static inline u32 hash_cursor_next(u32 cursor, u32 n)
{
	u32 bit = n >> 1;

	while (bit && (cursor & bit)) {
		cursor &= ~bit;
		bit >>= 1;
	}
	return bit ? cursor | bit : 0;
}

#endif
