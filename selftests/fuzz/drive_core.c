// SPDX-License-Identifier: GPL-2.0-or-later
/* The core's loop, turned by hand: this is the daemon's own file, with a door. */
#include "daemon/server/core.c"

#include "selftests/fuzz/drive.h"

/* Linked in the place of the disk's: the log takes it, and tells of it as it would. */
void __wrap_disk_append_later(struct disk *d, struct txn *txn);

static struct core *the_core;

void __wrap_disk_append_later(struct disk *d, struct txn *txn)
{
	(void)d;
	on_durable(the_core, txn->zxid);
}

struct core *drive_core_new(const struct config *cfg, struct store *st, struct disk *disk,
			    const struct disk_recovery *rec)
{
	struct core *c = core_new(cfg, st, disk, rec);

	if (!c || disk_start(disk, c->applied, on_durable, on_failed, c))
		fuzz_fail("no core");
	the_core = c;
	begin(c);
	return c;
}

bool drive_core_turn(struct core *c)
{
	round_once(c);
	return c->head || !queue_empty(&c->queue);
}
