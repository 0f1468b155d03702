/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The thread "peers" and that of the log without threads; see drive_quorum.h. */
#ifndef FUZZ_DRIVE_PEERS_H
#define FUZZ_DRIVE_PEERS_H

#include <stdbool.h>
#include <linux/types.h>

struct disk;
struct peers;

/* One round; whether there is more to do. */
bool drive_peers_turn(struct peers *p);
/* How many threads run for it; whether one receives a tree. */
u32 drive_peers_threads(const struct peers *p, bool *receives);
bool drive_peers_news(const struct peers *p);
/* Bytes that wait at the core. */
u64 drive_peers_in(struct peers *p);

/* --- drive_log.c */
/* Writes what was appended; false: there was nothing. */
bool drive_log_turn(struct disk *d);

#endif
