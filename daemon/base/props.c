// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Java's properties files, as java.util.Properties.load reads them: logical lines
 * (a backslash at the end goes on, white space at the begin of the next is dropped),
 * comments by '#' and '!', a key up to '=', ':' or white space, escapes.
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

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

static bool is_eol(char c)
{
	return c == '\n' || c == '\r';
}

static void skip_eol(struct text *t)
{
	if (t->p < t->end && *t->p == '\r')
		t->p++;
	if (t->p < t->end && *t->p == '\n')
		t->p++;
	t->line++;
}

/*
 * Copies the next logical line, escapes still in it, to @out; comments too, which
 * never go on. False at the end.
 */
static bool logical_line(struct text *t, char *out, int *line)
{
	bool comment = false, first = true, more = true;

	if (t->p == t->end)
		return false;
	*line = t->line;
	while (more && t->p < t->end) {
		more = false;
		while (t->p < t->end && is_space(*t->p))
			t->p++;
		if (first && t->p < t->end)
			comment = *t->p == '#' || *t->p == '!';
		first = false;
		while (t->p < t->end && !is_eol(*t->p) && !more) {
			if (*t->p == '\\' && !comment) {
				if (t->p + 1 == t->end || is_eol(t->p[1])) {
					t->p++;
					more = true;
					break;
				}
				*out++ = *t->p++;
			}
			*out++ = *t->p++;
		}
		skip_eol(t);
	}
	*out = '\0';
	return true;
}

static int hex4(const char *s)
{
	int v = 0, i;

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

/* \uXXXX at @s into UTF-8; never longer than the six characters it stands for. */
static char *put_utf8(char *out, int v)
{
	if (v < 0x80) {
		*out++ = v;
	} else if (v < 0x800) {
		*out++ = 0xc0 | v >> 6;
		*out++ = 0x80 | (v & 0x3f);
	} else {
		*out++ = 0xe0 | v >> 12;
		*out++ = 0x80 | (v >> 6 & 0x3f);
		*out++ = 0x80 | (v & 0x3f);
	}
	return out;
}

/* Resolves the escapes of @s in place. */
static int unescape(char *s)
{
	char *out = s;
	int v;

	while (*s) {
		if (*s != '\\') {
			*out++ = *s++;
			continue;
		}
		s++;
		switch (*s) {
		case 't':
			*out++ = '\t';
			break;
		case 'n':
			*out++ = '\n';
			break;
		case 'r':
			*out++ = '\r';
			break;
		case 'f':
			*out++ = '\f';
			break;
		case 'u':
			v = hex4(s + 1);
			if (v <= 0)
				return -EINVAL;
			out = put_utf8(out, v);
			s += 4;
			break;
		case '\0':
			continue;
		default:
			*out++ = *s;
		}
		s++;
	}
	*out = '\0';
	return 0;
}

static char *trim(char *s)
{
	size_t n;

	while (*s && (unsigned char)*s <= ' ')
		s++;
	for (n = strlen(s); n && (unsigned char)s[n - 1] <= ' '; n--)
		s[n - 1] = '\0';
	return s;
}

/* Cuts a logical line into key and value, both still escaped. */
static char *cut_key(char *s)
{
	while (*s && *s != '=' && *s != ':' && !is_space(*s)) {
		if (*s == '\\' && s[1])
			s++;
		s++;
	}
	if (!*s)
		return s;
	if (is_space(*s)) {
		*s++ = '\0';
		while (is_space(*s))
			s++;
		if (*s != '=' && *s != ':')
			return s;
	}
	*s++ = '\0';
	while (is_space(*s))
		s++;
	return s;
}

int props_parse(const char *text, size_t len, int *line,
		int (*fn)(void *arg, int line, char *key, char *value), void *arg)
{
	struct text t = { text, text + len, 1 };
	char *buf, *value;
	int rc = 0;

	*line = 1;
	if (memchr(text, '\0', len))
		return -EINVAL;
	buf = malloc(len + 1);
	if (!buf)
		return -ENOMEM;
	while (!rc && logical_line(&t, buf, line)) {
		if (!*buf || *buf == '#' || *buf == '!')
			continue;
		value = cut_key(buf);
		rc = unescape(buf);
		if (!rc)
			rc = unescape(value);
		if (!rc)
			rc = fn(arg, *line, trim(buf), trim(value));
	}
	free(buf);
	return rc;
}
