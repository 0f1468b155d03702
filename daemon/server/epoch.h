/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two promises of an ensemble's member, in files beside its log: acceptedEpoch, below
 * which it follows nobody, and currentEpoch, whose leader it last followed or was.
 */
#ifndef ZKD_SERVER_EPOCH_H
#define ZKD_SERVER_EPOCH_H

#include "daemon/disk/disk.h"

struct epochs {
	u64 accepted;
	u64 current;
};

/*
 * Reads them, before the core starts; @zxid is the log's last. A file that is missing is
 * made, with @zxid's epoch (QuorumPeer.loadDataBase). -EBADMSG: they contradict the log,
 * or each other; -errno of the disk. @why names what is wrong.
 */
int epochs_load(struct disk *d, u64 zxid, struct epochs *e, char *why, size_t why_len);

#endif
