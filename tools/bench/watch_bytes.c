// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What zkernd's tables of watches take by their own count (watch_bytes()), for what
 * the crowd's scene "watches" sets over the wire: a million watches of each kind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/server/watch.h"

#define CLIENTS	1000
#define COUNT	1000000

static void measure(const char *kind, const char *shape, enum watch_mode mode, bool both,
		    bool dense)
{
	struct watches *w = watches_new();
	static int owner;
	char path[64];
	u32 id, n;

	for (u32 i = 0; w && i < COUNT; i++) {
		u32 p = dense ? i / CLIENTS : i;

		id = i < CLIENTS ? watcher_new(w, &owner) : i % CLIENTS;
		n = snprintf(path, sizeof(path), "/service/group-%02u/member-%08u", p % 10, p);
		if (id == WATCHER_NONE || watch_add(w, WATCH_DATA, path, n, id, mode) < 0 ||
		    (both && watch_add(w, WATCH_CHILD, path, n, id, mode) < 0))
			exit(1);
	}
	if (!w)
		exit(1);
	printf("%s_%s_own=%llu\n", kind, shape, watch_bytes(w));
	watches_free(w);
}

int main(void)
{
	static const char *const kinds[] = { "data", "persistent", "recursive" };

	for (int k = 0; k < 3; k++) {
		measure(kinds[k], "dense", k, k, true);
		measure(kinds[k], "sparse", k, k, false);
	}
	return 0;
}
