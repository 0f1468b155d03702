/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as it is written, in the layout of Jackson's DefaultPrettyPrinter: scripts that
 * look for a line of ZooKeeper's answers find it in ours. Nothing is built up but the
 * text, so a list may be long. Errors are sticky in the output's ->err.
 */
#ifndef ZKD_ADMIN_JSON_H
#define ZKD_ADMIN_JSON_H

#include "daemon/proto/jute.h"

struct json {
	struct jw *out;
	u32 depth;		/* of objects; arrays do not indent */
	bool first;		/* nothing in this object or array yet */
	bool in_array;
};

void json_begin(struct json *j, struct jw *out);	/* the outermost object */
void json_end(struct json *j);
/* In an object, before each value. */
void json_key(struct json *j, const char *key);
void json_key_number(struct json *j, s64 key);
/* A value in its place: after a key, or the next of an array. */
void json_number(struct json *j, s64 v);
void json_real(struct json *j, double v);	/* rounded to four places */
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
void json_text(struct json *j, const char *s, size_t len);
void json_string(struct json *j, const char *s);
/* Nested ones. @saved is the caller's until the closing call. */
void json_object(struct json *j, struct json *saved);
void json_object_end(struct json *j, const struct json *saved);
void json_array(struct json *j, struct json *saved);
void json_array_end(struct json *j, const struct json *saved);

#endif
