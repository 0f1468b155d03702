// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Java's properties files, as java.util.Properties.load reads them: logical lines
 * (a backslash at the end goes on, white space at the begin of the next is dropped),
 * comments by '#' and '!', a key up to '=', ':' or white space, escapes. Seen by
 * comparison with OpenJDK 17, which differs from its description where a line is
 * nothing but a backslash.
 */
#include <linux/types.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/props.h"

struct text {
	const char *p;
	const char *end;
	int line;
};

/* A logical line: escapes still in it, and NULs, hence its length. */
struct logical {
	char *s;
	size_t len;
	int line;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

static bool is_eol(char c)
{
	return c == '\n' || c == '\r';
}

/* Its length: at the end of the text 0, else 1, or 2 for CR LF. */
static int skip_eol(struct text *t)
{
	const char *from = t->p;

	if (t->p < t->end && *t->p == '\r')
		t->p++;
	if (t->p < t->end && *t->p == '\n')
		t->p++;
	t->line += t->p > from;
	return t->p - from;
}

/* The rest of a natural line to @out; true if it goes on in the next. */
static bool natural_line(struct text *t, struct logical *out)
{
	while (t->p < t->end && is_space(*t->p))
		t->p++;
	while (t->p < t->end && !is_eol(*t->p)) {
		if (*t->p == '\\') {
			if (t->p + 1 == t->end || is_eol(t->p[1])) {
				t->p++;
				return true;
			}
			out->s[out->len++] = *t->p++;
		}
		out->s[out->len++] = *t->p++;
	}
	return false;
}

/* To the next line that is neither blank nor a comment; false at the end. */
static bool find_line(struct text *t)
{
	for (; t->p < t->end; skip_eol(t)) {
		while (t->p < t->end && is_space(*t->p))
			t->p++;
		if (t->p == t->end)
			return false;
		if (*t->p != '#' && *t->p != '!' && !is_eol(*t->p))
			return true;
		while (t->p < t->end && !is_eol(*t->p))
			t->p++;
	}
	return false;
}

/*
 * False at the end. A comment does not go on by a backslash. A line with nothing but
 * a backslash is as a blank one, but at the end, where it is an entry (of nothing),
 * unless CR LF follows.
 */
static bool logical_line(struct text *t, struct logical *out)
{
	bool more = true;

	out->len = 0;
	while (more && !out->len) {
		if (!find_line(t))
			return false;
		out->line = t->line;
		more = natural_line(t, out);
		if (skip_eol(t) < 2 && t->p == t->end)
			return true;
	}
	while (more && t->p < t->end) {
		more = natural_line(t, out);
		skip_eol(t);
	}
	return true;
}

static int hex4(const char *s, const char *end)
{
	int v = 0, i;

	if (end - s < 4)
		return -1;
	for (i = 0; i < 4; i++) {
		char c = s[i];

		v <<= 4;
		if (c >= '0' && c <= '9')
			v |= c - '0';
		else if (c >= 'a' && c <= 'f')
			v |= c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			v |= c - 'A' + 10;
		else
			return -1;
	}
	return v;
}

static char *put_utf8(char *out, int v)
{
	if (v < 0x80) {
		*out++ = v;
		return out;
	}
	if (v < 0x800) {
		*out++ = 0xc0 | v >> 6;
	} else {
		if (v < 0x10000) {
			*out++ = 0xe0 | v >> 12;
		} else {
			*out++ = 0xf0 | v >> 18;
			*out++ = 0x80 | (v >> 12 & 0x3f);
		}
		*out++ = 0x80 | (v >> 6 & 0x3f);
	}
	*out++ = 0x80 | (v & 0x3f);
	return out;
}

/* Where the key ends and the value begins, both still escaped. */
static void cut_key(const struct logical *l, size_t *key_len, size_t *value)
{
	const char *s = l->s;
	size_t n = l->len, i = 0;

	while (i < n && s[i] != '=' && s[i] != ':' && !is_space(s[i]))
		i += s[i] == '\\' && i + 1 < n ? 2 : 1;
	*key_len = i;
	while (i < n && is_space(s[i]))
		i++;
	if (i < n && (s[i] == '=' || s[i] == ':'))
		i++;
	while (i < n && is_space(s[i]))
		i++;
	*value = i;
}

/* \uXXXX at @s (after the u): a code point, with its second half if it is a pair. */
static const char *unicode(const char *s, const char *end, int *v)
{
	int low;

	*v = hex4(s, end);
	if (*v < 0)
		return "malformed \\uXXXX";
	if (*v < 0xd800 || *v > 0xdfff)
		return NULL;
	if (*v > 0xdbff || end - s < 10 || s[4] != '\\' || s[5] != 'u')
		return "half a surrogate pair";
	low = hex4(s + 6, end);
	if (low < 0xdc00 || low > 0xdfff)
		return "half a surrogate pair";
	*v = 0x10000 + ((*v - 0xd800) << 10) + (low - 0xdc00);
	return NULL;
}

static char simple_escape(char c)
{
	switch (c) {
	case 't':
		return '\t';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 'f':
		return '\f';
	}
	return c;
}

/*
 * Resolves the escapes of @s to @out, which has room for twice as much (a byte above
 * 0x7f becomes two), NUL-terminated. NULL, or what is wrong.
 */
static const char *unescape(const char *s, size_t len, char *out)
{
	const char *end = s + len, *bad = NULL;
	int v;

	while (s < end && !bad) {
		v = (unsigned char)*s++;
		if (v == '\\' && s == end)
			break;
		if (v == '\\' && *s == 'u') {
			bad = unicode(s + 1, end, &v);
			s += !bad && v > 0xffff ? 11 : 5;
		} else if (v == '\\') {
			v = (unsigned char)simple_escape(*s++);
		}
		if (!bad && !v)
			bad = "a NUL character";
		if (!bad)
			out = put_utf8(out, v);
	}
	*out = '\0';
	return bad;
}

int props_parse(const char *text, size_t len,
		int (*fn)(void *arg, int line, char *key, char *value), void *arg)
{
	struct text t = { text, text + len, 1 };
	char *buf = malloc(3 * len + 2), *key, *value;
	struct logical l = { .s = buf };
	size_t key_len, at;
	const char *bad;
	int rc = 0;

	if (!buf)
		return -ENOMEM;
	key = buf + len;
	while (!rc && logical_line(&t, &l)) {
		cut_key(&l, &key_len, &at);
		bad = unescape(l.s, key_len, key);
		value = key + strlen(key) + 1;
		if (!bad)
			bad = unescape(l.s + at, l.len - at, value);
		rc = bad ? fn(arg, l.line, NULL, (char *)bad) : fn(arg, l.line, key, value);
	}
	free(buf);
	return rc;
}
