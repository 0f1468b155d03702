// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What was found in a configuration, in the order in which it was found.
 */
#include <linux/types.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/conf_impl.h"

#define TEXT_MAX	512

/* Makes room for one more; false: there are too many, or no memory (@rc). */
static bool grow(struct config_report *rep, int *rc)
{
	struct config_finding *list;

	*rc = 0;
	if (rep->n == FINDINGS_MAX) {
		rep->left_out++;
		return false;
	}
	if (rep->n % 16)
		return true;
	list = realloc(rep->list, (rep->n + 16) * sizeof(*list));
	if (!list) {
		*rc = -ENOMEM;
		return false;
	}
	rep->list = list;
	return true;
}

int conf_report_add(struct config_report *rep, enum config_level level, int line,
		    const char *key, const char *text)
{
	struct config_finding *f;
	int rc;

	/* counted also when not kept: they decide whether the daemon starts */
	rep->errors += level == CONFIG_ERROR;
	rep->warnings += level == CONFIG_WARN;
	if (!grow(rep, &rc))
		return rc;
	f = &rep->list[rep->n];
	f->level = level;
	f->line = line;
	f->seq = rep->n;
	f->key = strndup(key, TEXT_MAX);
	f->text = strdup(text);
	if (!f->key || !f->text) {
		free(f->key);
		free(f->text);
		return -ENOMEM;
	}
	rep->n++;
	return 0;
}

int conf_say(struct conf_load *l, enum config_level level, const char *key, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return conf_report_add(l->rep, level, l->entry ? l->entry->line : 0, key, text);
}

void config_finding_print(const struct config_finding *f, const char *file, char *buf, size_t len)
{
	int n;

	if (f->line)
		n = snprintf(buf, len, "%s:%d: ", file, f->line);
	else
		n = snprintf(buf, len, "%s: ", file);
	if (n > 0 && (size_t)n < len)
		snprintf(buf + n, len - n, "%s%s%s", f->key, *f->key ? ": " : "", f->text);
}

void config_report_free(struct config_report *rep)
{
	size_t i;

	for (i = 0; i < rep->n; i++) {
		free(rep->list[i].key);
		free(rep->list[i].text);
	}
	free(rep->list);
	memset(rep, 0, sizeof(*rep));
}
