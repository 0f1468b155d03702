// SPDX-License-Identifier: GPL-2.0-or-later
/* The disk's tests; with arguments: only those parts. */
#include "selftests/disk/common.h"

static const struct {
	const char *name;
	void (*run)(void);
	bool module;	/* only when asked for: wants the module */
} parts[] = {
	{ "txn", test_txn, false },
	{ "log", test_log, false },
	{ "damage", test_damage, false },
	{ "snapshot", test_snapshot, false },
	{ "recover", test_recover, false },
	{ "room", test_room, false },
	{ "failing", test_failing, false },
	{ "start", test_start, false },
	{ "keys", test_keys, false },
	{ "learner", test_learner, false },
	{ "keep", test_keep, true },
};

/* What test programs of several processes do in the other one: see spawn(). */
static int child(const char *what, const char *dir)
{
	tap_prefix = "# ";
	store_thread_init();
	if (!strcmp(what, "write"))
		child_write(dir);
	else if (!strcmp(what, "make"))
		return child_make(dir);
	else if (!strcmp(what, "show"))
		return child_show(dir);
	else if (!strcmp(what, "room"))
		return child_room(dir);
	else if (!strcmp(what, "rights"))
		return child_rights(dir);
	return 1;
}

int main(int argc, char **argv)
{
	const struct store_params sp = { .kind = "memory" };
	struct store *st;
	const char *why;
	size_t i;
	int k;

	if (!getenv("DISK_LOG"))
		need(freopen("/dev/null", "w", stderr), "/dev/null");
	if (argc == 4 && !strcmp(argv[1], "--child"))
		return child(argv[2], argv[3]);
	store_thread_init();
	/* while one is open, others are opened and closed without waiting */
	need(!store_open(&sp, &st, &why), "store: %s", why);
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		bool wanted = argc < 2 && !parts[i].module;

		for (k = 1; k < argc; k++)
			wanted |= !strcmp(argv[k], parts[i].name);
		if (wanted) {
			printf("# %s\n", parts[i].name);
			parts[i].run();
		}
	}
	st->ops->close(st);
	store_thread_exit();
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}
