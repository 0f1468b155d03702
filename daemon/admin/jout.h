/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as it is written, in the layout of Jackson's DefaultPrettyPrinter: scripts that
 * look for a line of ZooKeeper's answers find it in ours. Nothing is built up but the
 * text, so a list may be long. Errors are sticky in the output's ->err. (Its names are
 * not those of jansson, which is linked in too.)
 */
#ifndef ZKD_ADMIN_JOUT_H
#define ZKD_ADMIN_JOUT_H

#include "daemon/proto/jute.h"

struct jout {
	struct jw *out;
	u32 depth;		/* of objects; arrays do not indent */
	bool first;		/* nothing in this object or array yet */
	bool in_array;
};

void jout_begin(struct jout *j, struct jw *out);	/* the outermost object */
void jout_end(struct jout *j);
/* In an object, before each value. */
void jout_key(struct jout *j, const char *key);
void jout_key_number(struct jout *j, s64 key);
/* A value in its place: after a key, or the next of an array. */
void jout_number(struct jout *j, s64 v);
void jout_real(struct jout *j, double v);	/* rounded to four places */
void jout_bool(struct jout *j, bool v);
void jout_null(struct jout *j);
void jout_text(struct jout *j, const char *s, size_t len);
void jout_string(struct jout *j, const char *s);
/* In an object: a key and its number. */
void jout_field(struct jout *j, const char *key, s64 v);
/* Nested ones. @saved is the caller's until the closing call. */
void jout_object(struct jout *j, struct jout *saved);
void jout_object_end(struct jout *j, const struct jout *saved);
void jout_array(struct jout *j, struct jout *saved);
void jout_array_end(struct jout *j, const struct jout *saved);

#endif
