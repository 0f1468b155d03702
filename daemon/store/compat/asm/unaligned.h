/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef COMPAT_ASM_UNALIGNED_H
#define COMPAT_ASM_UNALIGNED_H

#include <endian.h>
#include <linux/types.h>
#include <string.h>

static inline u32 get_unaligned_be32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static inline void put_unaligned_be32(u32 v, void *p)
{
	v = htobe32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void put_unaligned_be64(u64 v, void *p)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

#endif
