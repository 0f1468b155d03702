/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CRC-32 (IEEE 802.3, zlib's): digests of nodes are made of it, and each write
 * computes several of some hundred bytes, for which zlib's own takes most of a
 * microsecond.
 */
#ifndef ZKD_BASE_CRC32_H
#define ZKD_BASE_CRC32_H

#include <stddef.h>
#include <linux/types.h>

/* As zlib's crc32_z(): @crc is that of the bytes before, 0 to begin with. Any
 * thread. */
u32 crc32_fast(u32 crc, const void *bytes, size_t len);

#endif
