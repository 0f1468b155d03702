// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zkernd --check and --keys: findings and keys for people and for scripts.
 */
#include <linux/types.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/conf_impl.h"

static const char *const level_names[] = { "note", "warning", "error" };

static void plural(FILE *out, size_t n, const char *what)
{
	fprintf(out, "%zu %s%s", n, what, n == 1 ? "" : "s");
}

static void print_text(FILE *out, const struct config_report *rep, const char *file)
{
	const struct config_finding *f;
	size_t i;

	for (i = 0; i < rep->n; i++) {
		f = &rep->list[i];
		fprintf(out, "%s:", file);
		if (f->line)
			fprintf(out, "%d:", f->line);
		fprintf(out, " %s: %s%s%s\n", level_names[f->level], f->key,
			*f->key ? ": " : "", f->text);
	}
	if (rep->left_out)
		fprintf(out, "%s: %zu more not shown\n", file, rep->left_out);
	fprintf(out, "%s: ", file);
	if (!rep->errors && !rep->warnings) {
		fprintf(out, "fine\n");
		return;
	}
	plural(out, rep->errors, "error");
	fprintf(out, ", ");
	plural(out, rep->warnings, "warning");
	fprintf(out, "\n");
}

/* Values may hold anything; JSON holds UTF-8. */
static json_t *text(const char *s)
{
	json_t *j = json_string(s);

	return j ? j : json_sprintf("(%zu bytes that are no UTF-8)", strlen(s));
}

static json_t *finding_json(const struct config_finding *f)
{
	json_t *o = json_object();

	if (!o)
		return NULL;
	json_object_set_new(o, "line", f->line ? json_integer(f->line) : json_null());
	json_object_set_new(o, "level", json_string(level_names[f->level]));
	json_object_set_new(o, "key", *f->key ? text(f->key) : json_null());
	json_object_set_new(o, "text", text(f->text));
	return o;
}

static int print_json(FILE *out, const struct config_report *rep, const char *file)
{
	json_t *o = json_object(), *list = json_array();
	size_t i;
	int rc;

	for (i = 0; i < rep->n; i++)
		json_array_append_new(list, finding_json(&rep->list[i]));
	json_object_set_new(o, "file", text(file));
	json_object_set_new(o, "fine", json_boolean(!rep->errors && !rep->warnings));
	json_object_set_new(o, "errors", json_integer(rep->errors));
	json_object_set_new(o, "warnings", json_integer(rep->warnings));
	json_object_set_new(o, "not_shown", json_integer(rep->left_out));
	json_object_set_new(o, "findings", list);
	rc = json_dumpf(o, out, JSON_INDENT(2)) ? -ENOMEM : 0;
	fputc('\n', out);
	json_decref(o);
	return rc;
}

int config_report_print(FILE *out, const struct config_report *rep, const char *file, bool json)
{
	if (json)
		return print_json(out, rep, file);
	print_text(out, rep, file);
	return 0;
}

/* ---------------------------------------------------------------- keys */

static void print_default(FILE *out, const struct conf_key *k, const struct config *cfg)
{
	const char *field = (const char *)cfg + k->offset;

	switch (k->kind) {
	case STR:
	case DIRECTORY:
		fprintf(out, "%s", *(char **)field ? *(char **)field : "");
		break;
	case NUM:
	case NUM_LOW:
		fprintf(out, "%d", *(s32 *)field);
		break;
	case SHARE:
		fprintf(out, "%g", *(double *)field);
		break;
	case KIB:
		fprintf(out, "%llu", (unsigned long long)(*(u64 *)field / 1024));
		break;
	case BOOL:
		fprintf(out, "%s", *(bool *)field ? "true" : "false");
		break;
	case YES:
		fprintf(out, "%s", *(bool *)field ? "yes" : "no");
		break;
	}
}

int config_keys_print(FILE *out)
{
	static const char *const kinds[] = { "idle", "ignored", "refused" };
	struct config cfg;
	size_t i;
	int rc = config_default(&cfg);

	if (rc)
		return rc;
	for (i = 0; i < conf_n_keys; i++) {
		fprintf(out, "%s\theeded\t", conf_keys[i].name);
		print_default(out, &conf_keys[i], &cfg);
		fputc('\n', out);
	}
	for (i = 0; i < conf_n_specials; i++)
		fprintf(out, "%s\theeded\t\n", conf_specials[i].name);
	for (i = 0; i < conf_n_foreigns; i++)
		fprintf(out, "%s\t%s\t%s\n", conf_foreigns[i].name,
			kinds[conf_foreigns[i].kind], conf_foreigns[i].why);
	for (i = 0; i < conf_n_aliases; i++)
		fprintf(out, "%s\tas\t%s\n", conf_aliases[i].name, conf_aliases[i].real);
	config_free(&cfg);
	return 0;
}
