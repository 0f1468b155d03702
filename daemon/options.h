/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zkernd's command line, and its exit status.
 */
#ifndef ZKD_OPTIONS_H
#define ZKD_OPTIONS_H

#include "daemon/base/config.h"

/* The first four are Apache ZooKeeper's (ExitCode.java). */
enum exit_code {
	EXIT_FINE = 0,		/* an orderly end; --check: nothing to say */
	EXIT_OTHER = 1,		/* what is none of these; --check: there are problems */
	EXIT_USAGE = 2,
	EXIT_DATA = 3,		/* the data cannot be opened, or are damaged */
	EXIT_CONFIG = 5,	/* the configuration is wrong */
	EXIT_STORE = 6,		/* the kernel's tree cannot be had */
	EXIT_PORT = 7,		/* a port cannot be listened on */
};

#define DEFINES_MAX	512

struct options {
	struct config_source src;	/* file and definitions */
	const char *defines[DEFINES_MAX];
	char *dynamic;			/* the definition that --dynamic is */
	char *flags;			/* a copy of the environment's, cut into words */
	const char *store;		/* NULL: as configured */
	int instance;			/* -1: as configured */
	bool check;
	bool json;
};

/* -1: go on; else the exit status, and what is to be said is said. @o zeroed. */
int options_read(struct options *o, int argc, char **argv);
void options_free(struct options *o);

#endif
