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
 * NUL-terminated, escapes resolved, in UTF-8 (a file is ISO-8859-1, as in Java; the
 * rest of Unicode comes by \uXXXX), and live until @fn returns. Blanks after the value
 * are part of it. A malformed entry has @key NULL, and @value says what is wrong with it:
 * a bad \u, half a surrogate pair, or a NUL (which Java takes, and no path or number
 * can hold). @fn's first non-zero answer ends it and is returned. -ENOMEM.
 */
int props_parse(const char *text, size_t len,
		int (*fn)(void *arg, int line, char *key, char *value), void *arg);

#endif
