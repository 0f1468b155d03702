// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of zkern log and zkern snapshot: see disk.h. */
#include "disk.h"

enum { OPT_FROM_JSON = 1100, OPT_VERIFY };

struct disk_asked disk_asked;

const struct option disk_longs[] = {
	{ "from-json", no_argument, NULL, OPT_FROM_JSON },
	{ "verify", no_argument, NULL, OPT_VERIFY },
	{ NULL, 0, NULL, 0 }
};

bool disk_opt(int c, const char *arg)
{
	(void)arg;
	if (c == OPT_FROM_JSON)
		disk_asked.from_json = true;
	else
		disk_asked.verify = true;
	return true;
}
