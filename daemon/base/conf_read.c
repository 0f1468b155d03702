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

#include "daemon/base/conf_impl.h"
#include "daemon/base/log.h"
#include "daemon/base/props.h"

#define CONFIG_FILE_MAX	(1024 * 1024)
#define ENTRIES_MAX	10000
#define PREFIX		"zookeeper."

struct entries {
	struct conf_entry *list;
	size_t n;
	struct config_report *rep;
};

/* ---------------------------------------------------------------- entries */

static int add_entry(struct entries *e, int line, const char *key, const char *value)
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

static void free_entries(struct entries *e)
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
	struct entries *e = arg;

	if (!key)
		return conf_report_add(e->rep, CONFIG_ERROR, line, "", value);
	return add_entry(e, line, key, value);
}

static int add_defines(struct entries *e, const struct config_source *src)
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

static int read_file(const char *file, char **text, size_t *len)
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
static int add_file(struct entries *e, const char *file, char **kept)
{
	char *text = NULL;
	size_t len = 0;
	int rc = read_file(file, &text, &len);

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

static const char *plain(const char *key)
{
	size_t n = strlen(PREFIX);

	return strncmp(key, PREFIX, n) ? key : key + n;
}

static int foreign(struct conf_load *l, const struct conf_foreign *f, const char *key,
		   const char *value)
{
	bool on;

	switch (f->kind) {
	case IDLE:
		return conf_say(l, CONFIG_NOTE, key, "has no meaning here: %s", f->why);
	case IGNORED:
		return conf_say(l, CONFIG_WARN, key, "ignored: %s", f->why);
	case REFUSED_ON:
		if (!conf_bool(l, key, value, "true", "false", &on) || !on)
			return 0;
		break;
	case REFUSED:
		break;
	}
	return conf_wrong(l, key, "%s", f->why);
}

static bool foreign_is(const struct conf_foreign *f, const char *key)
{
	size_t n = strlen(f->name);

	if (f->name[n - 1] == '*')
		return !strncmp(f->name, key, n - 1);
	return !strcmp(f->name, key);
}

static int one_key(struct conf_load *l, const char *key, const char *value)
{
	size_t i;

	for (i = 0; i < conf_n_keys; i++)
		if (!strcmp(key, conf_keys[i].name))
			return conf_set(l, &conf_keys[i], value);
	for (i = 0; i < conf_n_specials; i++)
		if (!strcmp(key, conf_specials[i].name))
			return conf_specials[i].set(l, key, value);
	if (!strncmp(key, "server.", 7))
		return conf_server(l, key, value);
	for (i = 0; i < conf_n_foreigns; i++)
		if (foreign_is(&conf_foreigns[i], key))
			return foreign(l, &conf_foreigns[i], key, value);
	return conf_say(l, CONFIG_WARN, key, "unknown key: ignored");
}

/* The entry that has the last word over entry @i, or NULL if that is @i. */
static const struct conf_entry *overridden(const struct entries *e, size_t i)
{
	const char *key = plain(e->list[i].key);
	size_t k;

	for (k = e->n - 1; k > i; k--)
		if (!strcmp(key, plain(e->list[k].key)))
			return &e->list[k];
	return NULL;
}

static int all_keys(struct conf_load *l, const struct entries *e)
{
	const struct conf_entry *by;
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < e->n; i++) {
		l->entry = &e->list[i];
		by = overridden(e, i);
		if (by)
			rc = conf_say(l, CONFIG_WARN, plain(l->entry->key),
				      "given again in line %d, which holds", by->line);
		else
			rc = one_key(l, plain(l->entry->key), l->entry->value);
	}
	l->entry = NULL;
	return rc;
}

/* ---------------------------------------------------------------- the whole */

int config_read(struct config *cfg, const struct config_source *src, struct config_report *rep)
{
	struct conf_load l = { .cfg = cfg, .rep = rep, .standalone = true };
	struct entries e = { .rep = rep };
	int rc = add_defines(&e, src);

	if (!rc && src->file)
		rc = add_file(&e, src->file, &cfg->initial);
	conf_unsettle(cfg);
	if (!rc)
		rc = all_keys(&l, &e);
	if (!rc)
		rc = conf_settle(&l);
	free_entries(&e);
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
