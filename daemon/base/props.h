/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Java's properties files (java.util.Properties.load): the syntax alone.
 */
#ifndef ZKD_BASE_PROPS_H
#define ZKD_BASE_PROPS_H

#include <linux/types.h>

/*
 * Reads @len bytes of a properties file and calls @fn for each entry in the file's
 * order, with the number of the line on which it begins. @key and @value are
 * NUL-terminated, white space around them taken off, escapes resolved (\uXXXX to
 * UTF-8), and live until @fn returns. @fn's first non-zero answer ends it and is
 * returned. -ENOMEM; -EINVAL for a NUL byte or a malformed \u (with its @line).
 */
int props_parse(const char *text, size_t len, int *line,
		int (*fn)(void *arg, int line, char *key, char *value), void *arg);

#endif
