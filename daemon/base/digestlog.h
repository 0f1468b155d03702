/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The digests that the tree had after every 128th transaction, the newest 1024 of
 * them (DataTree's digestLog): what the command "hash" shows, to compare servers by.
 * Any thread.
 */
#ifndef ZKD_BASE_DIGESTLOG_H
#define ZKD_BASE_DIGESTLOG_H

#include <linux/types.h>

#define DIGEST_LOG_EVERY	128
#define DIGEST_LOG_MAX		1024

struct digest_entry {
	u64 zxid;
	u64 digest;
};

void digest_log_put(u64 zxid, u64 digest);

/* After each transaction, in their order. */
static inline void digest_log_note(u64 zxid, u64 digest)
{
	if (zxid % DIGEST_LOG_EVERY == 0)
		digest_log_put(zxid, digest);
}

/* Copies them, oldest first; @out has room for DIGEST_LOG_MAX. How many. */
u32 digest_log_copy(struct digest_entry *out);
/* Forgets them all: the tree is built anew. */
void digest_log_clear(void);

#endif
