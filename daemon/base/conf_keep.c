// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The files of a membership that changes (QuorumPeerConfig.writeDynamicConfig(),
 * editStaticConfig(), backupOldConfig(); AtomicFileWritingIdiom): written beside, synced,
 * renamed. What zoo.cfg has is written as Java writes it: each entry on a line of its own,
 * in the order of Java's table, without comments. (What Java's own writing would break, a
 * backslash or a blank at the beginning of a value, is written so that it can be read.)
 */
#include <linux/types.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/conf_impl.h"
#include "daemon/base/log.h"
#include "daemon/base/props.h"
#include "daemon/zab/ensemble.h"

/* ---------------------------------------------------------------- one file */

static int sync_dir(const char *path)
{
	char dir[PATH_MAX];
	int fd, rc;

	snprintf(dir, sizeof(dir), "%s", path);
	fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) ? -errno : 0;
	close(fd);
	return rc;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= n;
	}
	return fsync(fd) ? -errno : 0;
}

/* Who may read @like may read it, and nobody else: there may be secrets in it. */
static int write_file(const char *path, const char *text, size_t len, const char *like)
{
	char tmp[PATH_MAX];
	struct stat st;
	int fd, rc;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	if (stat(like, &st))
		return -errno;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	rc = fd < 0 ? -errno : 0;
	/* another owner is given up to whoever may */
	if (!rc && fchown(fd, st.st_uid, st.st_gid))
		st.st_mode &= ~06070;
	if (!rc && fchmod(fd, st.st_mode & 0777))
		rc = -errno;
	if (!rc)
		rc = write_all(fd, text, len);
	if (fd >= 0 && close(fd) && !rc)
		rc = -errno;
	if (!rc && rename(tmp, path))
		rc = -errno;
	if (rc && fd >= 0)
		unlink(tmp);
	return rc ? rc : sync_dir(path);
}

static int said(int rc, const char *path)
{
	if (rc)
		log_error("%s: cannot be written: %s", path, strerror(-rc));
	return rc;
}

/* ---------------------------------------------------------------- the members */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of @e's text, sorted; its version, which the name has, only if @versioned. */
static char *sorted(const struct ensemble *e, bool versioned)
{
	char *lines[3 * ENSEMBLE_MAX + 2], *text = strdup(e->text), *out, *s, *save = NULL;
	size_t n = 0;

	out = malloc(strlen(e->text) + 2);
	if (!text || !out) {
		free(text);
		free(out);
		return NULL;
	}
	for (s = strtok_r(text, "\n", &save); s && n < sizeof(lines) / sizeof(lines[0]);
	     s = strtok_r(NULL, "\n", &save))
		if (versioned || strncmp(s, "version", 7))
			lines[n++] = s;
	qsort(lines, n, sizeof(lines[0]), by_text);
	*out = '\0';
	for (size_t i = 0; i < n; i++) {
		if (i)
			strcat(out, "\n");
		strcat(out, lines[i]);
	}
	free(text);
	return out;
}

static int keep_members(const char *path, const struct ensemble *e, bool versioned,
			const char *like)
{
	char *text = sorted(e, versioned);
	int rc = text ? write_file(path, text, strlen(text), like) : -ENOMEM;

	free(text);
	return rc;
}

int config_keep_next(const char *file, const struct ensemble *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s" CONFIG_NEXT, file);
	return said(keep_members(path, e, true, file), path);
}

void config_drop_next(const char *file)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s" CONFIG_NEXT, file);
	if (unlink(path) && errno != ENOENT)
		log_warn("%s: cannot be removed: %s", path, strerror(errno));
}

/* ---------------------------------------------------------------- zoo.cfg */

struct edit {
	struct ensemble_line *list;	/* malloc'ed strings */
	u32 n;
};

/* One key, one entry: the last one. */
static int take(void *arg, int line, char *key, char *value)
{
	struct edit *ed = arg;
	struct ensemble_line *l = NULL;
	char *copy;

	(void)line;
	if (!key)
		return -EBADMSG;
	for (u32 i = 0; i < ed->n; i++)
		if (!strcmp(ed->list[i].key, key))
			l = &ed->list[i];
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	if (l) {
		free((char *)l->value);
		l->value = copy;
		return 0;
	}
	l = realloc(ed->list, (ed->n + 1) * sizeof(*l));
	key = strdup(key);
	if (l)
		ed->list = l;
	if (!l || !key) {
		free(key);
		free(copy);
		return -ENOMEM;
	}
	ed->list[ed->n++] = (struct ensemble_line){ .key = key, .value = copy };
	return 0;
}

static bool goes(const char *key, bool erase_client)
{
	static const char *const words[] = {
		"server.", "group", "weight", "dynamicConfigFile", "peerType",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strncmp(key, words[i], strlen(words[i])))
			return true;
	return erase_client && (!strcmp(key, "clientPort") || !strcmp(key, "clientPortAddress"));
}

/* So that Properties.load() reads it back. */
static void put_text(FILE *f, const char *s, bool key)
{
	if (!key && (*s == ' ' || *s == '\t' || *s == '\f'))
		fputc('\\', f);
	for (; *s; s++) {
		if (*s == '\\' || (key && strchr(" \t\f=:#!", *s)))
			fputc('\\', f);
		if (*s == '\n')
			fputs("\\n", f);
		else if (*s == '\r')
			fputs("\\r", f);
		else
			fputc(*s, f);
	}
}

static int print(const struct edit *ed, const char *dynamic, bool erase_client, char **text,
		 size_t *len)
{
	u32 *order = calloc(ed->n + 1, sizeof(*order));
	FILE *f = order ? open_memstream(text, len) : NULL;
	u32 i;

	if (!f) {
		free(order);
		return -ENOMEM;
	}
	for (i = 0; i < ed->n; i++)
		order[i] = i;
	ensemble_hash_order(ed->list, order, ed->n, ed->n);
	for (i = 0; i < ed->n; i++) {
		const struct ensemble_line *l = &ed->list[order[i]];

		if (goes(l->key, erase_client))
			continue;
		put_text(f, l->key, true);
		fputc('=', f);
		put_text(f, l->value, false);
		fputc('\n', f);
	}
	fprintf(f, "dynamicConfigFile=");
	put_text(f, dynamic, false);
	fputc('\n', f);
	free(order);
	if (!ferror(f) && !fclose(f))
		return 0;
	free(*text);
	*text = NULL;
	return -ENOMEM;
}

static int edit(const char *file, const char *dynamic, bool erase_client)
{
	char *text = NULL, *whole = NULL, *canonical = realpath(dynamic, NULL);
	char *itself = realpath(file, NULL);	/* not a link to it */
	struct edit ed = { 0 };
	size_t len;
	int rc = canonical && itself ? conf_read_file(file, &text, &len) : -errno;

	if (!rc)
		rc = props_parse(text, len, take, &ed);
	if (!rc)
		rc = print(&ed, canonical, erase_client, &whole, &len);
	if (!rc)
		rc = write_file(itself, whole, len, itself);
	for (u32 i = 0; i < ed.n; i++) {
		free((char *)ed.list[i].key);
		free((char *)ed.list[i].value);
	}
	free(ed.list);
	free(whole);
	free(text);
	free(canonical);
	free(itself);
	return rc;
}

int config_keep(const char *file, const struct ensemble *e, bool erase_client)
{
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "%s.dynamic.%llx", file, e->version);
	rc = said(keep_members(path, e, false, file), path);
	return rc ? rc : said(edit(file, path, erase_client), file);
}

int config_backup(const char *file)
{
	char path[PATH_MAX], *text = NULL;
	size_t len;
	int rc = conf_read_file(file, &text, &len);

	snprintf(path, sizeof(path), "%s.bak", file);
	if (!rc)
		rc = write_file(path, text, len, file);
	free(text);
	return said(rc, path);
}
