// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Properties: a table of files and of what java.util.Properties (OpenJDK 17) makes of
 * them. A line of the table: the file, TAB, its entries in order of their keys, or "!"
 * where Java refuses the file or an entry that we must refuse. All bytes but printable
 * ones, and backslash, are \xHH; entries are KEY=VALUE with = in them as \x3d, between
 * blanks, which are \x20.
 */
#include "selftests/ctl/ctl.h"

#include "daemon/base/props.h"

#define MAX_ENTRIES	64

struct entries {
	char *key[MAX_ENTRIES];
	char *value[MAX_ENTRIES];
	int n;
	bool bad;
};

/* As in Java the last one of a key holds. */
static int add(void *arg, int line, char *key, char *value)
{
	struct entries *e = arg;
	int i;

	(void)line;
	if (!key) {
		e->bad = true;
		return 0;
	}
	for (i = 0; i < e->n && strcmp(e->key[i], key); i++)
		;
	if (i == e->n) {
		need(e->n < MAX_ENTRIES);
		e->key[e->n++] = strdup(key);
	} else {
		free(e->value[i]);
	}
	e->value[i] = strdup(value);
	return 0;
}

static void put(char *out, const char *s)
{
	out += strlen(out);
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || *s == '\\' ||
		    *s == '=')
			out += sprintf(out, "\\x%02x", (unsigned char)*s);
		else
			*out++ = *s;
	*out = '\0';
}

static void sort(struct entries *e)
{
	int i, k;

	for (i = 0; i < e->n; i++)
		for (k = i + 1; k < e->n; k++)
			if (strcmp(e->key[k], e->key[i]) < 0) {
				char *a = e->key[i], *b = e->value[i];

				e->key[i] = e->key[k];
				e->value[i] = e->value[k];
				e->key[k] = a;
				e->value[k] = b;
			}
}

/* The entries of @text in the table's form; malloc'ed. */
static char *entries_of(const char *text, size_t len)
{
	struct entries e = { .n = 0 };
	char *out = calloc(1, 16 * len + 4 * MAX_ENTRIES + 64);
	int i;

	need(out && !props_parse(text, len, add, &e));
	sort(&e);
	for (i = 0; i < e.n; i++) {
		if (i)
			strcat(out, " ");
		put(out, e.key[i]);
		strcat(out, "=");
		put(out, e.value[i]);
		free(e.key[i]);
		free(e.value[i]);
	}
	if (e.bad)
		strcpy(out, "!");
	return out;
}

static size_t unescape(char *s)
{
	char *out = s, *from = s;
	unsigned int v;

	while (*from) {
		if (from[0] == '\\' && from[1] == 'x' && sscanf(from + 2, "%2x", &v) == 1) {
			*out++ = v;
			from += 4;
		} else {
			*out++ = *from++;
		}
	}
	return out - s;
}

int print_props(const char *file)
{
	static char text[1 << 20];
	FILE *f = fopen(file, "r");
	char *out;

	need(f);
	out = entries_of(text, fread(text, 1, sizeof(text), f));
	puts(out);
	free(out);
	fclose(f);
	return 0;
}

void test_props(const char *cases)
{
	FILE *f = fopen(cases, "r");
	int n = 0, wrong = 0;
	char line[4096];

	need(f);
	while (fgets(line, sizeof(line), f)) {
		char *tab = strchr(line, '\t'), *got, shown[sizeof(line)];
		size_t len;

		if (line[0] == '#' || !tab)
			continue;
		*tab = '\0';
		tab[1 + strcspn(tab + 1, "\n")] = '\0';
		snprintf(shown, sizeof(shown), "%s", line);
		len = unescape(line);
		got = entries_of(line, len);
		n++;
		if (strcmp(got, tab + 1)) {
			wrong++;
			printf("# %s\n#   Java: %s\n#   ours: %s\n", shown, tab + 1, got);
		}
		free(got);
	}
	fclose(f);
	ok(n > 100 && !wrong, "%d properties files are read as by Java", n);
}
