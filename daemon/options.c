// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zkernd's command line. Definitions are Java's (-Dname=value), from the environment's
 * SERVER_JVMFLAGS and JVMFLAGS, which zkServer.sh passes to the JVM, and then from the
 * command line; so an environment file of ZooKeeper's goes on to hold.
 */
#include <linux/types.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/options.h"

static const char usage_text[] =
	"usage: zkernd [--store auto|kernel|memory] [--instance N] [-D NAME=VALUE]... [CONFIG]\n"
	"       zkernd --check [--json] [-D NAME=VALUE]... [CONFIG]\n"
	"\n"
	"A ZooKeeper server whose tree is in the kernel (zkern.ko) or in its own memory.\n"
	"\n"
	"CONFIG is a zoo.cfg. Without one: port 2181, data in /var/lib/zkern or, where\n"
	"that cannot be written, in ~/.local/state/zkern.\n"
	"\n"
	"  -s, --store KIND      auto: the kernel where the module is loaded, else memory\n"
	"  -i, --instance N      the kernel's /dev/zkernN; made if missing (default 0)\n"
	"  -D, --define NAME=VALUE\n"
	"                        a key, or a system property of ZooKeeper's; CONFIG goes\n"
	"                        over it. SERVER_JVMFLAGS and JVMFLAGS are looked through\n"
	"                        for such, too\n"
	"  -c, --check           say all that is wrong with CONFIG, and end:\n"
	"                        0 nothing, 1 something, 2 wrong usage\n"
	"  -j, --json            ... as JSON\n"
	"  -k, --keys            all keys that are known, and what becomes of them\n"
	"  -h, --help            this text\n"
	"  -V, --version         the version\n"
	"\n"
	"Signals: TERM, INT end it, HUP rereads the log's level and opens its files anew,\n"
	"USR1 logs more, USR2 less.\n";

static int usage_error(const char *what, const char *arg)
{
	fprintf(stderr, "zkernd: %s%s\n%s", what, arg, usage_text);
	return EXIT_USAGE;
}

static bool define(struct options *o, const char *what)
{
	if (o->src.n_defines == DEFINES_MAX)
		return false;
	o->defines[o->src.n_defines++] = what;
	return true;
}

/* The -D words of the environment; what else is there is for a JVM. */
static int environment(struct options *o)
{
	const char *a = getenv("SERVER_JVMFLAGS"), *b = getenv("JVMFLAGS");
	char *word, *save = NULL;

	if (asprintf(&o->flags, "%s %s", a ? a : "", b ? b : "") < 0) {
		o->flags = NULL;
		return -ENOMEM;
	}
	for (word = strtok_r(o->flags, " \t\n", &save); word;
	     word = strtok_r(NULL, " \t\n", &save))
		if (!strncmp(word, "-D", 2) && word[2] && !define(o, word + 2))
			return -E2BIG;
	return 0;
}

static int one_option(struct options *o, int c)
{
	char *end;

	switch (c) {
	case 's':
		if (strcmp(optarg, "auto") && strcmp(optarg, "kernel") &&
		    strcmp(optarg, "memory"))
			return usage_error("no such store: ", optarg);
		o->store = optarg;
		return -1;
	case 'i':
		o->instance = strtol(optarg, &end, 10);
		if (!*optarg || *end || o->instance < 0 || o->instance > 255)
			return usage_error("no such instance: ", optarg);
		return -1;
	case 'D':
		if (!*optarg || *optarg == '=')
			return usage_error("no name to define: ", optarg);
		return define(o, optarg) ? -1 : usage_error("too many definitions: ", optarg);
	case 'c':
		o->check = true;
		return -1;
	case 'j':
		o->json = true;
		return -1;
	case 'k':
		return config_keys_print(stdout) ? EXIT_OTHER : EXIT_FINE;
	case 'd':
		if (o->dynamic)
			return usage_error("a second dynamic file: ", optarg);
		if (asprintf(&o->dynamic, "dynamicConfigFile=%s", optarg) < 0)
			o->dynamic = NULL;
		if (!o->dynamic)
			return EXIT_OTHER;
		return define(o, o->dynamic) ? -1 : usage_error("too many definitions: ", optarg);
	case 'h':
		fputs(usage_text, stdout);
		return EXIT_FINE;
	case 'V':
		puts("zkernd " ZKERN_VERSION);
		return EXIT_FINE;
	}
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}

int options_read(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "store", required_argument, NULL, 's' },
		{ "instance", required_argument, NULL, 'i' },
		{ "define", required_argument, NULL, 'D' },
		{ "check", no_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "keys", no_argument, NULL, 'k' },
		{ "dynamic", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c, rc = environment(o);

	if (rc) {
		fprintf(stderr, "zkernd: JVMFLAGS: %s\n", strerror(-rc));
		return EXIT_OTHER;
	}
	o->instance = -1;
	rc = -1;
	while (rc < 0 && (c = getopt_long(argc, argv, "s:i:D:cjkhV", longs, NULL)) != -1)
		rc = one_option(o, c);
	if (rc >= 0)
		return rc;
	if (argc - optind > 1)
		return usage_error("one configuration file at most: ", argv[optind + 1]);
	if (o->json && !o->check)
		return usage_error("--json is for --check", "");
	o->src.file = argv[optind];
	o->src.defines = o->defines;
	o->src.machine = o->check;
	return -1;
}

void options_free(struct options *o)
{
	free(o->flags);
	free(o->dynamic);
}
