// SPDX-License-Identifier: GPL-2.0-or-later
/* --min-zxid, --max-age and --linearizable of the reading commands. */
#include "cli.h"

bool fresh_opt(int c, const char *arg, struct zkern_want *want)
{
	if (c == OPT_MIN_ZXID)
		return cli_number("--min-zxid", arg, UINT64_MAX, &want->min_zxid);
	if (c == OPT_LINEARIZABLE) {
		want->flags |= ZKERN_WANT_LINEARIZABLE;
		return true;
	}
	return cli_seconds("--max-age", arg, &want->max_age_ms);
}

void fresh_timeout(const struct cli *cli, struct zkern_want *want)
{
	bool waits = want->min_zxid || (want->flags & ZKERN_WANT_LINEARIZABLE);

	want->timeout_ms = waits ? cli->timeout_ms : 0;
}
