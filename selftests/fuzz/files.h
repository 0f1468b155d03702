/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A data directory with one file of the input's bytes, and the daemon's recovery from
 * it. What a start refuses is fine; what it takes must be a whole tree. */
#ifndef FUZZ_FILES_H
#define FUZZ_FILES_H

#include <stddef.h>
#include <linux/types.h>

/* Recovers from a directory that has only "version-2/@name" with these bytes.
 * @trust_empty: a log goes without a snapshot. */
void files_recover(const char *name, const void *bytes, size_t len, bool trust_empty);

#endif
