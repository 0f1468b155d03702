/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * By libdeflate (link with -ldeflate), which is some ten times faster than zlib on
 * the hundred bytes that a node's digest takes. The kernel leaves CRC-32's first and
 * last inversion to the caller, libdeflate does both.
 */
#ifndef COMPAT_LINUX_CRC32_H
#define COMPAT_LINUX_CRC32_H

#include <libdeflate.h>
#include <linux/types.h>

static inline u32 crc32_le(u32 crc, unsigned char const *p, size_t len)
{
	/* libdeflate takes a NULL for the beginning of another sum. */
	return len ? ~libdeflate_crc32(~crc, p, len) : crc;
}

#endif
