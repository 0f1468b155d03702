// SPDX-License-Identifier: GPL-2.0-or-later
/* See track.h. Numbers are Long.parseLong()'s, pairs are those of String.split(). */
#include "track.h"

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

/* An optional sign and digits, nothing else. */
static int parse_long(const char *p, u32 len, s64 *out)
{
	bool minus = len && *p == '-';
	u64 max = (1ULL << 63) - !minus, v = 0;
	u32 i = len && (*p == '-' || *p == '+');

	if (i == len)
		return -EINVAL;
	for (; i < len; i++) {
		u32 digit = (u8)p[i] - '0';

		if (digit > 9 || v > (max - digit) / 10)
			return -EINVAL;
		v = v * 10 + digit;
	}
	*out = minus ? (s64)(0 - v) : (s64)v;
	return 0;
}

static bool is_key(const struct zk_track_pair *pair, const char *key, u32 len)
{
	return pair->len == len && !memcmp(pair->key, key, len);
}

static int put(struct zk_track *t, const char *key, u32 len, s64 value)
{
	u32 i = 0;

	while (i < t->n && !is_key(&t->pair[i], key, len))
		i++;
	if (i == ZK_TRACK_PAIRS)
		return -EINVAL;
	if (i == t->n)
		t->n++;
	t->pair[i].key = key;
	t->pair[i].len = len;
	t->pair[i].value = value;
	return 0;
}

static u32 find(const char *p, u32 from, u32 len, char c)
{
	while (from < len && p[from] != c)
		from++;
	return from;
}

/*
 * "key=value", or "key=value=anything". An empty value is -1, if anything but more
 * "=" follows; else split() drops it, and there is none.
 */
static int parse_pair(struct zk_track *t, const char *p, u32 len)
{
	u32 eq, end;
	s64 value = -1;

	while (len && p[len - 1] == '=')
		len--;
	eq = find(p, 0, len, '=');
	if (eq == len)
		return -EINVAL;
	end = find(p, eq + 1, len, '=');
	if (end > eq + 1 && parse_long(p + eq + 1, end - eq - 1, &value))
		return -EINVAL;
	return put(t, p, eq, value);
}

static bool separates(char c)
{
	return c == ',' || c == ';';
}

int zk_track_parse(struct zk_track *t, const char *text, s32 len)
{
	u32 at = 0, end;

	t->n = 0;
	if (len < 0 || len > ZK_TRACK_MAX)
		return -EINVAL;
	while (len && separates(text[len - 1]))
		len--;
	while (at < (u32)len) {
		end = at;
		while (end < (u32)len && !separates(text[end]))
			end++;
		if (parse_pair(t, text + at, end - at))
			return -EINVAL;
		for (at = end; at < (u32)len && separates(text[at]); at++)
			;
	}
	return 0;
}

s64 zk_track_get(const struct zk_track *t, const char *key)
{
	u32 i;

	for (i = 0; i < t->n; i++)
		if (is_key(&t->pair[i], key, strlen(key)))
			return t->pair[i].value;
	return -1;
}

static char *put_text(char *to, const char *from, u32 len)
{
	memcpy(to, from, len);
	return to + len;
}

static char *put_long(char *to, s64 value)
{
	u64 v = value < 0 ? 0 - (u64)value : (u64)value;
	char digits[20];
	u32 i = sizeof(digits);

	if (value < 0)
		*to++ = '-';
	do {
		digits[--i] = '0' + v % 10;
		v /= 10;
	} while (v);
	return put_text(to, digits + i, sizeof(digits) - i);
}

static bool after(const struct zk_track_pair *a, const struct zk_track_pair *b)
{
	u32 n = a->len < b->len ? a->len : b->len;
	int c = memcmp(a->key, b->key, n);

	return c > 0 || (!c && a->len > b->len);
}

static void sort(struct zk_track *t)
{
	u32 i, j;

	for (i = 1; i < t->n; i++) {
		struct zk_track_pair pair = t->pair[i];

		for (j = i; j && after(&t->pair[j - 1], &pair); j--)
			t->pair[j] = t->pair[j - 1];
		t->pair[j] = pair;
	}
}

/*
 * count and bytes come first, and "=" before the others, so that parsers of old
 * (3.4) do not see these.
 */
u32 zk_track_print(struct zk_track *t, s64 count, s64 bytes, char *text)
{
	bool others = false;
	char *to = text;
	u32 i;

	to = put_long(put_text(to, "count=", 6), count);
	to = put_long(put_text(to, ",bytes=", 7), bytes);
	sort(t);
	for (i = 0; i < t->n; i++) {
		const struct zk_track_pair *pair = &t->pair[i];

		if (is_key(pair, "count", 5) || is_key(pair, "bytes", 5))
			continue;
		if (!others)
			*to++ = '=';
		others = true;
		*to++ = ';';
		to = put_text(to, pair->key, pair->len);
		*to++ = '=';
		to = put_long(to, pair->value);
	}
	return to - text;
}
