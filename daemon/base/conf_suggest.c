// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "Did you mean": the known name that a misspelt one is nearest to, by the number of
 * letters inserted, left out, changed or swapped, whatever their case.
 */
#include <linux/types.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "daemon/base/conf_impl.h"

#define NAME_MAX_LEN	64

static u32 min3(u32 a, u32 b, u32 c)
{
	u32 m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment; both at most NAME_MAX_LEN long. */
static u32 distance(const char *a, size_t n, const char *b, size_t m)
{
	u32 d[3][NAME_MAX_LEN + 1];
	size_t i, k;

	for (k = 0; k <= m; k++)
		d[0][k] = k;
	for (i = 1; i <= n; i++) {
		u32 *row = d[i % 3], *up = d[(i - 1) % 3], *up2 = d[(i + 1) % 3];

		row[0] = i;
		for (k = 1; k <= m; k++) {
			int x = tolower((unsigned char)a[i - 1]);
			int y = tolower((unsigned char)b[k - 1]);

			row[k] = min3(up[k] + 1, row[k - 1] + 1, up[k - 1] + (x != y));
			if (i > 1 && k > 1 && x != y &&
			    x == tolower((unsigned char)b[k - 2]) &&
			    y == tolower((unsigned char)a[i - 2]) && up2[k - 2] + 1 < row[k])
				row[k] = up2[k - 2] + 1;
		}
	}
	return d[n % 3][m];
}

struct nearest {
	const char *key;
	size_t len;
	const char *best;
	u32 score;
};

/* The part after the last dot alone is nearly as good: purgeInterval. */
static void look(struct nearest *s, const char *name)
{
	size_t n = strlen(name);
	const char *dot = strrchr(name, '.');
	u32 score;

	if (name[n - 1] == '*' || n > NAME_MAX_LEN)
		return;
	/* no nearer than the difference of their lengths */
	score = n > s->len ? n - s->len : s->len - n;
	if (score < s->score)
		score = distance(s->key, s->len, name, n);
	if (score > 1 && dot && s->len > 4 && !strcasecmp(s->key, dot + 1))
		score = 1;
	if (score < s->score) {
		s->score = score;
		s->best = name;
	}
}

const char *conf_suggest(const char *key)
{
	struct nearest s = { .key = key, .len = strlen(key) };
	size_t i;

	if (s.len < 3 || s.len > NAME_MAX_LEN)
		return NULL;
	s.score = s.len < 6 ? 2 : s.len / 4 + 2;	/* not that far */
	for (i = 0; i < conf_n_keys; i++)
		look(&s, conf_keys[i].name);
	for (i = 0; i < conf_n_specials; i++)
		look(&s, conf_specials[i].name);
	for (i = 0; i < conf_n_foreigns; i++)
		look(&s, conf_foreigns[i].name);
	for (i = 0; i < conf_n_aliases; i++)
		look(&s, conf_aliases[i].name);
	return s.best;
}
