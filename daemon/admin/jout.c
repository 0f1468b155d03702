// SPDX-License-Identifier: GPL-2.0-or-later
/* See json.h. */
#include <linux/types.h>
#include <stdio.h>
#include <string.h>

#include "daemon/admin/jout.h"
#include "daemon/admin/values.h"

static void raw(struct jout *j, const char *s)
{
	jw_bytes(j->out, s, strlen(s));
}

static void line(struct jout *j)
{
	raw(j, "\n");
	for (u32 i = 0; i < j->depth; i++)
		raw(j, "  ");
}

/* Before an entry. */
static void next(struct jout *j)
{
	if (j->in_array)
		raw(j, j->first ? " " : ", ");
	else if (!j->first)
		raw(j, ",");
	if (!j->in_array)
		line(j);
	j->first = false;
}

static void before_value(struct jout *j)
{
	if (j->in_array)
		next(j);
}

/* The length of the well-formed UTF-8 character at @s, or 0. */
static size_t utf8_len(const u8 *s, size_t len)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 :
		   s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((n == 3 && s[0] == 0xe0 && s[1] < 0xa0) || (n == 3 && s[0] == 0xed && s[1] > 0x9f) ||
	    (n == 4 && s[0] == 0xf0 && s[1] < 0x90) || (n == 4 && s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void quoted(struct jout *j, const u8 *s, size_t len)
{
	static const char short_for[] = "btnvfr";	/* \b is 8; \v has none */
	char esc[8];

	raw(j, "\"");
	for (size_t n; len; s += n, len -= n) {
		n = utf8_len(s, len);
		if (!n) {
			raw(j, "\xef\xbf\xbd");
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			snprintf(esc, sizeof(esc), "\\%c", *s);
			raw(j, esc);
		} else if (*s >= 8 && *s <= 13 && *s != 11) {
			snprintf(esc, sizeof(esc), "\\%c", short_for[*s - 8]);
			raw(j, esc);
		} else if (*s < 0x20) {
			snprintf(esc, sizeof(esc), "\\u%04X", *s);
			raw(j, esc);
		} else {
			jw_bytes(j->out, s, n);
		}
	}
	raw(j, "\"");
}

void jout_begin(struct jout *j, struct jw *out)
{
	*j = (struct jout){ .out = out, .depth = 1, .first = true };
	raw(j, "{");
}

void jout_end(struct jout *j)
{
	bool empty = j->first;

	j->depth--;
	if (empty)
		raw(j, " }");
	else
		line(j);
	if (!empty)
		raw(j, "}");
}

void jout_key(struct jout *j, const char *key)
{
	next(j);
	quoted(j, (const u8 *)key, strlen(key));
	raw(j, " : ");
}

void jout_key_number(struct jout *j, s64 key)
{
	char s[32];

	snprintf(s, sizeof(s), "%lld", key);
	jout_key(j, s);
}

void jout_number(struct jout *j, s64 v)
{
	char s[32];

	before_value(j);
	snprintf(s, sizeof(s), "%lld", v);
	raw(j, s);
}

void jout_field(struct jout *j, const char *key, s64 v)
{
	jout_key(j, key);
	jout_number(j, v);
}

void jout_real(struct jout *j, double v)
{
	char s[32];

	before_value(j);
	raw(j, values_real(v, s));
}

void jout_bool(struct jout *j, bool v)
{
	before_value(j);
	raw(j, v ? "true" : "false");
}

void jout_null(struct jout *j)
{
	before_value(j);
	raw(j, "null");
}

void jout_text(struct jout *j, const char *s, size_t len)
{
	before_value(j);
	quoted(j, (const u8 *)s, len);
}

void jout_string(struct jout *j, const char *s)
{
	jout_text(j, s, strlen(s));
}

void jout_object(struct jout *j, struct jout *saved)
{
	before_value(j);
	*saved = *j;
	raw(j, "{");
	j->depth++;
	j->first = true;
	j->in_array = false;
}

void jout_object_end(struct jout *j, const struct jout *saved)
{
	jout_end(j);
	*j = *saved;
}

void jout_array(struct jout *j, struct jout *saved)
{
	before_value(j);
	*saved = *j;
	raw(j, "[");
	j->first = true;
	j->in_array = true;
}

void jout_array_end(struct jout *j, const struct jout *saved)
{
	raw(j, " ]");
	*j = *saved;
}
