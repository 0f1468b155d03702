/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SipHash-2-4 by libsodium (link with -lsodium). */
#ifndef COMPAT_LINUX_SIPHASH_H
#define COMPAT_LINUX_SIPHASH_H

#include <linux/types.h>

typedef struct {
	u64 key[2];
} siphash_key_t;

u64 siphash(const void *data, size_t len, const siphash_key_t *key);

#endif
