/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel leaves CRC-32's first and last inversion to the caller, zlib (link
 * with -lz) does both.
 */
#ifndef COMPAT_LINUX_CRC32_H
#define COMPAT_LINUX_CRC32_H

#include <linux/types.h>

u32 crc32_le(u32 crc, unsigned char const *p, size_t len);

#endif
