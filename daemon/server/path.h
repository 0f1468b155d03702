/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which byte strings are paths, by ZooKeeper's rules (PathUtils.validatePath).
 */
#ifndef ZKD_SERVER_PATH_H
#define ZKD_SERVER_PATH_H

#include <linux/types.h>

/* May be the path of a new node: everything that PathUtils.validatePath asks. */
bool path_valid(const char *path, u32 len);
/* Can be the path of a node at all (nodes of old may have names that are no longer
 * allowed): absolute, no empty name, no NUL. What stores take. */
bool path_possible(const char *path, u32 len);
/* Length of the parent's path: up to the last slash, which must be there; the
 * root's for a child of the root. */
u32 path_parent(const char *path, u32 len);
/* Copies a string to @out (room for 3 * @len) as Java's jute gives it back: what is
 * not UTF-8 is replaced by U+FFFD, and characters beyond U+FFFF become two surrogates
 * of three bytes each (BinaryOutputArchive.stringToByteBuffer). Returns the length. */
u32 path_recode(const u8 *in, u32 len, u8 *out);
/* The same with characters beyond U+FFFF left as they are: what Java's getBytes()
 * makes of a string. */
u32 utf8_clean(const u8 *in, u32 len, u8 *out);

#endif
