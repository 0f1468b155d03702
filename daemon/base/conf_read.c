// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads a configuration: definitions and a file into entries, each key's last entry
 * into its field. Everything that is wrong is found in one go.
 *
 * A key given twice is the last one's, as in java.util.Properties; the earlier value
 * is not even looked at.
 */
#include <linux/types.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/base/conf_impl.h"
#include "daemon/base/log.h"
#include "daemon/base/props.h"

#define CONFIG_FILE_MAX	(1024 * 1024)
#define ENTRIES_MAX	10000
#define PREFIX		"zookeeper."

/* QuorumPeerConfig trims what Properties gives it: all up to U+0020. */
static char *trim(char *s)
{
	size_t n;

	while (*s && (unsigned char)*s <= ' ')
		s++;
	for (n = strlen(s); n && (unsigned char)s[n - 1] <= ' '; n--)
		s[n - 1] = '\0';
	return s;
}

/* ---------------------------------------------------------------- entries */

static int add_entry(struct conf_entries *e, int line, const char *key, const char *value)
{
	struct conf_entry *new;

	if (e->n == ENTRIES_MAX) {
		e->rep->left_out++;
		return 0;
	}
	if (e->n % 64 == 0) {
		new = realloc(e->list, (e->n + 64) * sizeof(*new));
		if (!new)
			return -ENOMEM;
		e->list = new;
	}
	new = &e->list[e->n];
	new->line = line;
	new->key = strdup(key);
	new->value = strdup(value);
	if (!new->key || !new->value) {
		free(new->key);
		free(new->value);
		return -ENOMEM;
	}
	e->n++;
	return 0;
}

static void free_entries(struct conf_entries *e)
{
	size_t i;

	for (i = 0; i < e->n; i++) {
		free(e->list[i].key);
		free(e->list[i].value);
	}
	free(e->list);
}

static int file_entry(void *arg, int line, char *key, char *value)
{
	struct conf_entries *e = arg;

	if (!key)
		return conf_report_add(e->rep, CONFIG_ERROR, line, "", value);
	return add_entry(e, line, trim(key), value);
}

static int add_defines(struct conf_entries *e, const struct config_source *src)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < src->n_defines; i++) {
		const char *def = src->defines[i], *eq = strchr(def, '=');
		char *key;

		if (!eq) {
			/* Java: such a property is the empty string */
			rc = add_entry(e, 0, def, "");
			continue;
		}
		key = strndup(def, eq - def);
		if (!key)
			return -ENOMEM;
		rc = add_entry(e, 0, key, eq + 1);
		free(key);
	}
	return rc;
}

int conf_read_file(const char *file, char **text, size_t *len)
{
	FILE *f = fopen(file, "re");
	char *b;
	int rc = 0;

	if (!f)
		return -errno;
	b = malloc(CONFIG_FILE_MAX + 1);
	if (!b) {
		fclose(f);
		return -ENOMEM;
	}
	*len = fread(b, 1, CONFIG_FILE_MAX + 1, f);
	if (ferror(f))
		rc = errno ? -errno : -EIO;
	else if (*len > CONFIG_FILE_MAX)
		rc = -EFBIG;
	fclose(f);
	if (rc)
		free(b);
	else
		*text = b;
	return rc;
}

/* The text is kept in *@kept. */
static int add_file(struct conf_entries *e, const char *file, char **kept)
{
	char *text = NULL;
	size_t len = 0;
	int rc = conf_read_file(file, &text, &len);

	if (rc == -ENOMEM)
		return rc;
	if (rc) {
		conf_report_add(e->rep, CONFIG_ERROR, 0, "", strerror(-rc));
		return rc;
	}
	rc = props_parse(text, len, file_entry, e);
	text[len] = '\0';	/* there is room for one byte more than may be read */
	free(*kept);
	*kept = text;
	return rc;
}

/* ---------------------------------------------------------------- keys */

const char *conf_plain(const char *key)
{
	size_t n = strlen(PREFIX);

	return strncmp(key, PREFIX, n) ? key : key + n;
}

static int foreign(struct conf_load *l, const struct conf_foreign *f, const char *key,
		   const char *value)
{
	if (f->fine && !strcasecmp(value, f->fine))
		return 0;
	switch (f->kind) {
	case IDLE:
		return conf_say(l, CONFIG_NOTE, key, "has no meaning here: %s", f->why);
	case IGNORED:
		return conf_say(l, CONFIG_WARN, key, "ignored: %s", f->why);
	case REFUSED:
		break;
	}
	return conf_wrong(l, key, "%s", f->why);
}

/* "name*" matches what begins with name, and must not be shorter than "name". */
static bool foreign_is(const struct conf_foreign *f, const char *key)
{
	size_t n = strlen(f->name);

	if (f->name[n - 1] == '*')
		return !strncmp(f->name, key, n - 1);
	return !strcmp(f->name, key);
}

static const struct conf_foreign *find_foreign(const char *key)
{
	size_t i;

	for (i = 0; i < conf_n_foreigns; i++)
		if (foreign_is(&conf_foreigns[i], key))
			return &conf_foreigns[i];
	return NULL;
}

static const char *real_name(struct conf_load *l, const char *key)
{
	size_t i;

	for (i = 0; i < conf_n_aliases; i++) {
		if (strcmp(key, conf_aliases[i].name))
			continue;
		conf_say(l, CONFIG_NOTE, key, "Apache ZooKeeper 3.8 reads this only as %s",
			 conf_aliases[i].real);
		return conf_aliases[i].real;
	}
	return key;
}

static int unknown(struct conf_load *l, const char *key)
{
	/* not looked for, a search each, when nobody is told */
	const char *meant = l->rep->n < FINDINGS_MAX ? conf_suggest(key) : NULL;

	if (meant)
		return conf_say(l, CONFIG_WARN, key, "unknown key: ignored; did you mean %s?",
				meant);
	return conf_say(l, CONFIG_WARN, key, "unknown key: ignored");
}

static int one_key(struct conf_load *l, const char *given, const char *value)
{
	const char *key = real_name(l, given);
	const struct conf_foreign *f;
	size_t i;

	for (i = 0; i < conf_n_keys; i++)
		if (!strcmp(key, conf_keys[i].name))
			return conf_set(l, &conf_keys[i], value);
	for (i = 0; i < conf_n_specials; i++)
		if (!strcmp(key, conf_specials[i].name))
			return conf_specials[i].set(l, key, value);
	if (conf_is_member(key)) {
		l->servers++;
		return 0;
	}
	f = find_foreign(key);
	return f ? foreign(l, f, given, value) : unknown(l, given);
}

/* Blanks that an editor hides, comments that are none. */
static int look_at_value(struct conf_load *l, const char *key, char *value)
{
	size_t n = strlen(value);
	int rc = 0;

	if (n && (unsigned char)value[n - 1] <= ' ')
		rc = conf_say(l, CONFIG_NOTE, key, "blanks after the value are taken off");
	if (!rc && strstr(value, " #"))
		rc = conf_say(l, CONFIG_WARN, key,
			      "the # is part of the value: a comment must be a line of its own");
	return rc;
}

/* The last entry of a key after entry @i, or NULL. */
static const struct conf_entry *later(const struct conf_entries *e, const char *key, size_t i)
{
	size_t k;

	for (k = e->n; k-- > i;)
		if (!strcmp(key, conf_plain(e->list[k].key)))
			return &e->list[k];
	return NULL;
}

const struct conf_entry *conf_find(const struct conf_load *l, const char *key)
{
	return later(l->all, key, 0);
}

static int say_again(struct conf_load *l, const struct conf_entry *by)
{
	const char *key = conf_plain(l->entry->key);

	if (l->entry->line)
		return conf_say(l, CONFIG_WARN, key, "given again in line %d, which holds",
				by->line);
	if (by->line)
		return conf_say(l, CONFIG_WARN, key,
				"-D%s: the file's line %d holds, as in Apache ZooKeeper",
				l->entry->key, by->line);
	return conf_say(l, CONFIG_NOTE, key, "-D%s: given twice", l->entry->key);
}

static int all_keys(struct conf_load *l)
{
	const struct conf_entries *e = l->all;
	const struct conf_entry *by;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < e->n; i++) {
		const char *key = conf_plain(e->list[i].key);

		l->entry = &e->list[i];
		by = later(e, key, i + 1);
		if (by) {
			rc = say_again(l, by);
			continue;
		}
		rc = look_at_value(l, key, e->list[i].value);
		if (!rc)
			rc = one_key(l, key, trim(e->list[i].value));
	}
	l->entry = NULL;
	return rc;
}

/* ---------------------------------------------------------------- the whole */

static int by_line(const void *a, const void *b)
{
	const struct config_finding *x = a, *y = b;

	return x->line != y->line ? (x->line > y->line) - (x->line < y->line) :
	       (x->seq > y->seq) - (x->seq < y->seq);
}

int config_read(struct config *cfg, const struct config_source *src, struct config_report *rep)
{
	struct conf_entries e = { .rep = rep };
	struct conf_load l = { .cfg = cfg, .rep = rep, .all = &e };
	int rc = add_defines(&e, src);

	if (!rc && src->file)
		rc = add_file(&e, src->file, &cfg->initial);
	if (!rc && src->file)
		rc = conf_set_str(&cfg->file, src->file);
	conf_unsettle(cfg);
	if (!rc)
		rc = all_keys(&l);
	if (!rc)
		rc = conf_settle(&l);
	if (!rc && src->machine)
		rc = conf_check_machine(&l);
	free_entries(&e);
	if (rep->n)
		qsort(rep->list, rep->n, sizeof(rep->list[0]), by_line);
	if (!rc && rep->errors)
		rc = -EINVAL;
	return rc;
}

int config_load(struct config *cfg, const char *file, char *why, size_t why_len)
{
	const struct config_source src = { .file = file };
	struct config_report rep = { 0 };
	bool said = false;
	char text[1024];
	int rc = config_read(cfg, &src, &rep);
	size_t i;

	for (i = 0; i < rep.n; i++) {
		config_finding_print(&rep.list[i], file, text, sizeof(text));
		if (rep.list[i].level == CONFIG_WARN)
			log_warn("%s", text);
		if (rep.list[i].level == CONFIG_ERROR && !said) {
			snprintf(why, why_len, "%s", text);
			said = true;
		}
	}
	if (rc && !said)
		snprintf(why, why_len, "%s: %s", file, strerror(-rc));
	config_report_free(&rep);
	return rc;
}
