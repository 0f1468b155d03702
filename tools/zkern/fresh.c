// SPDX-License-Identifier: GPL-2.0-or-later
/* --min-zxid and --max-age of the reading commands. */
#include "cli.h"

bool fresh_opt(int c, const char *arg, struct zkern_want *want)
{
	if (c == OPT_MIN_ZXID)
		return cli_number("--min-zxid", arg, UINT64_MAX, &want->min_zxid);
	return cli_seconds("--max-age", arg, &want->max_age_ms);
}
