// SPDX-License-Identifier: GPL-2.0-or-later
/* See epoch.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/server/epoch.h"

#define ACCEPTED	"acceptedEpoch"
#define CURRENT		"currentEpoch"
#define CURRENT_TMP	"currentEpoch.tmp"

static int fail(char *why, size_t why_len, const char *name, const char *what, int rc)
{
	snprintf(why, why_len, "cannot %s %s: %s", what, name, strerror(-rc));
	return rc;
}

static int read_or_make(struct disk *d, const char *name, u64 otherwise, u64 *epoch, char *why,
			size_t why_len)
{
	int rc = disk_epoch_read(d, name, epoch);

	if (!rc)
		return 0;
	if (rc != -ENOENT)
		return fail(why, why_len, name, "read", rc);
	log_info("there is no file %s, making it with the log's epoch, %llu", name, otherwise);
	*epoch = otherwise;
	rc = disk_epoch_write(d, name, otherwise);
	return rc ? fail(why, why_len, name, "write", rc) : 0;
}

/* A server that died while it wrote the file had all that the new epoch asks for. */
static int take_tmp(struct disk *d, char *why, size_t why_len)
{
	u64 epoch;
	int rc;

	if (disk_epoch_read(d, CURRENT_TMP, &epoch))
		return 0;	/* none, or not whole */
	log_info("there is a file %s: the epoch is %llu", CURRENT_TMP, epoch);
	rc = disk_epoch_write(d, CURRENT, epoch);
	return rc ? fail(why, why_len, CURRENT, "write", rc) : 0;
}

int epochs_load(struct disk *d, u64 zxid, struct epochs *e, char *why, size_t why_len)
{
	u64 log = zxid >> 32;
	int rc = read_or_make(d, CURRENT, log, &e->current, why, why_len);

	if (!rc && log > e->current) {
		rc = take_tmp(d, why, why_len);
		if (!rc)
			rc = read_or_make(d, CURRENT, log, &e->current, why, why_len);
	}
	if (rc)
		return rc;
	if (log > e->current) {
		snprintf(why, why_len, "%s says %llu, but the log's last transaction, 0x%llx, "
			 "is of a later epoch",
			 CURRENT, e->current, zxid);
		return -EBADMSG;
	}
	rc = read_or_make(d, ACCEPTED, log, &e->accepted, why, why_len);
	if (rc)
		return rc;
	if (e->accepted < e->current) {
		snprintf(why, why_len, "%s says %llu, %s says %llu, which is later", ACCEPTED,
			 e->accepted, CURRENT, e->current);
		return -EBADMSG;
	}
	return 0;
}
