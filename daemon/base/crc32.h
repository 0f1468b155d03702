/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CRC-32 (IEEE 802.3) in zlib's convention, with the tree's fast implementation.
 */
#ifndef ZKD_BASE_CRC32_H
#define ZKD_BASE_CRC32_H

#include <linux/crc32.h>

/* As zlib's crc32_z(): @crc is that of the bytes before, 0 to begin with. */
static inline u32 crc32_fast(u32 crc, const void *bytes, size_t len)
{
	return ~crc32_le(~crc, bytes, len);
}

#endif
