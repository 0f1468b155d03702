// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paths: see path.h. The rules are written for UTF-16 there; what they come to in
 * UTF-8: no sequence of four bytes (its surrogates are refused), and whatever is
 * not UTF-8 decodes to U+FFFD, which is refused too.
 */
#include <string.h>

#include "daemon/server/path.h"

/* Bytes of the UTF-8 character at @p, its value into @c; 0: none, and *@bad bytes
 * are what Java's decoder replaces by one U+FFFD. */
static u32 utf8(const u8 *p, u32 left, u32 *c, u32 *bad)
{
	u32 need, min, v = p[0];

	*bad = 1;
	if (v < 0x80) {
		*c = v;
		return 1;
	}
	if (v >= 0xc2 && v <= 0xdf) {
		need = 2, min = 0x80, v &= 0x1f;
	} else if (v >= 0xe0 && v <= 0xef) {
		need = 3, min = 0x800, v &= 0x0f;
	} else if (v >= 0xf0 && v <= 0xf4) {
		need = 4, min = 0x10000, v &= 0x07;
	} else {
		return 0;
	}
	for (u32 i = 1; i < need; i++) {
		u32 lo = 0x80, hi = 0xbf;

		/* The second byte's range excludes overlong forms and what lies
		 * beyond U+10FFFF; surrogates are told by the whole value. */
		if (i == 1 && p[0] == 0xe0)
			lo = 0xa0;
		if (i == 1 && p[0] == 0xf0)
			lo = 0x90;
		if (i == 1 && p[0] == 0xf4)
			hi = 0x8f;
		if (i >= left || p[i] < lo || p[i] > hi) {
			*bad = i;
			return 0;
		}
		v = v << 6 | (p[i] & 0x3f);
	}
	if (v >= 0xd800 && v <= 0xdfff) {
		*bad = need;
		return 0;
	}
	*c = v;
	return v < min ? 0 : need;
}

static bool allowed(u32 c)
{
	return !(c <= 0x1f || (c >= 0x7f && c <= 0x9f) ||
		 (c >= 0xd800 && c <= 0xf8ff) || c >= 0xfff0);
}

static bool name_ok(const char *name, u32 len)
{
	if (!len)
		return false;
	if (name[0] != '.')
		return true;
	return !(len == 1 || (len == 2 && name[1] == '.'));
}

bool path_valid(const char *path, u32 len)
{
	u32 start = 1, i = 1;

	if (!len || path[0] != '/')
		return false;
	if (len == 1)
		return true;
	while (i < len) {
		u32 c, bad, n;

		if (path[i] == '/') {
			if (!name_ok(path + start, i - start))
				return false;
			start = ++i;
			continue;
		}
		/* what nearly all are made of */
		if ((u8)path[i] > 0x1f && (u8)path[i] < 0x7f) {
			i++;
			continue;
		}
		n = utf8((const u8 *)path + i, len - i, &c, &bad);
		if (!n || !allowed(c))
			return false;
		i += n;
	}
	return name_ok(path + start, len - start);
}

bool path_possible(const char *path, u32 len)
{
	if (!len || path[0] != '/' || memchr(path, 0, len))
		return false;
	if (len == 1)
		return true;
	for (u32 i = 1; i < len; i++)
		if (path[i] == '/' && path[i - 1] == '/')
			return false;
	return path[len - 1] != '/';
}

u32 path_parent(const char *path, u32 len)
{
	while (len && path[len - 1] != '/')
		len--;
	return len > 1 ? len - 1 : len;
}

static u32 put_surrogate(u32 unit, u8 *out)
{
	out[0] = 0xe0 | unit >> 12;
	out[1] = 0x80 | (unit >> 6 & 0x3f);
	out[2] = 0x80 | (unit & 0x3f);
	return 3;
}

static u32 recode(const u8 *in, u32 len, u8 *out, bool surrogates)
{
	u32 n = 0;

	for (u32 i = 0; i < len;) {
		u32 c, bad, k = utf8(in + i, len - i, &c, &bad);

		if (k == 4 && surrogates) {
			n += put_surrogate(0xd800 + ((c - 0x10000) >> 10), out + n);
			n += put_surrogate(0xdc00 + (c & 0x3ff), out + n);
		} else if (k) {
			memcpy(out + n, in + i, k);
			n += k;
		} else {
			memcpy(out + n, "\xef\xbf\xbd", 3);
			n += 3;
		}
		i += k ? k : bad;
	}
	return n;
}

u32 path_recode(const u8 *in, u32 len, u8 *out)
{
	return recode(in, len, out, true);
}

u32 utf8_clean(const u8 *in, u32 len, u8 *out)
{
	return recode(in, len, out, false);
}
