// SPDX-License-Identifier: GPL-2.0-or-later
/* The disk's tests; with arguments: only those parts. */
#include "selftests/disk/common.h"

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {
	{ "txn", test_txn },
	{ "log", test_log },
	{ "damage", test_damage },
	{ "snapshot", test_snapshot },
	{ "recover", test_recover },
	{ "room", test_room },
	{ "config", test_config },
};

int main(int argc, char **argv)
{
	size_t i;
	int k;

	if (!getenv("DISK_LOG"))
		need(freopen("/dev/null", "w", stderr), "/dev/null");
	store_thread_init();
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		bool wanted = argc < 2;

		for (k = 1; k < argc; k++)
			wanted |= !strcmp(argv[k], parts[i].name);
		if (wanted) {
			printf("# %s\n", parts[i].name);
			parts[i].run();
		}
	}
	store_thread_exit();
	return tap_end();
}
