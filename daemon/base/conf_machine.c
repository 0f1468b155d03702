// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zkernd --check: what only this machine can tell of a configuration, as the user who
 * asks: directories, the server's id, the module's device. Nothing is changed.
 */
#include <linux/types.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/conf_impl.h"

#define CONTROL		"/dev/zkern"

/* The findings of settings that a line of the file gave are about that line. */
static void at_key(struct conf_load *l, const char *key)
{
	l->entry = conf_find(l, key);
}

/* The nearest directory above @path that is there, into @up. */
static void ancestor(const char *path, char *up, size_t len)
{
	struct stat st;
	char *slash;

	snprintf(up, len, "%s", path);
	while (stat(up, &st) && errno == ENOENT) {
		slash = strrchr(up, '/');
		if (!slash) {
			snprintf(up, len, ".");
			return;
		}
		slash[slash == up ? 1 : 0] = '\0';
	}
}

static int check_dir(struct conf_load *l, const char *key, const char *dir)
{
	char up[PATH_MAX];
	struct stat st;

	at_key(l, key);
	if (!stat(dir, &st)) {
		if (!S_ISDIR(st.st_mode))
			return conf_wrong(l, key, "%.200s is not a directory", dir);
		if (access(dir, R_OK | W_OK | X_OK))
			return conf_wrong(l, key, "%.200s cannot be written by user %u: %s",
					  dir, geteuid(), strerror(errno));
		return 0;
	}
	if (errno != ENOENT)
		return conf_wrong(l, key, "%.200s: %s", dir, strerror(errno));
	ancestor(dir, up, sizeof(up));
	if (access(up, W_OK | X_OK))
		return conf_wrong(l, key,
				  "%.150s is not there, and user %u cannot make it in %.150s: %s",
				  dir, geteuid(), up, strerror(errno));
	return conf_say(l, CONFIG_NOTE, key, "%.200s is not there, it will be made", dir);
}

/* A file that is appended to: it, or a new one in its directory. */
static int check_file(struct conf_load *l, const char *key, const char *file)
{
	char dir[PATH_MAX], *slash;

	if (!file || !access(file, W_OK))
		return 0;
	at_key(l, key);
	if (errno != ENOENT)
		return conf_wrong(l, key, "%.200s cannot be written by user %u: %s", file,
				  geteuid(), strerror(errno));
	snprintf(dir, sizeof(dir), "%s", file);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir ? 1 : 0] = '\0';
	else
		snprintf(dir, sizeof(dir), ".");
	if (access(dir, W_OK | X_OK))
		return conf_wrong(l, key, "user %u cannot make a file in %.200s: %s",
				  geteuid(), dir, strerror(errno));
	return 0;
}

/* myid: not needed by one server, but Apache ZooKeeper reads it if it is there. That of
 * an ensemble's was looked at before. */
static int check_myid(struct conf_load *l)
{
	char why[400], line[32];
	s64 id = -1;
	int rc;

	l->entry = NULL;
	if (l->together)
		return 0;
	rc = conf_read_myid(l->cfg, &id, why, sizeof(why));
	if (rc == -ENOENT && !l->servers)
		return 0;
	if (rc == -ENOENT)
		return conf_say(l, CONFIG_WARN, "myid",
				"%s, though there are server.N lines: this server cannot tell which one it is",
				why);
	if (rc)
		return conf_say(l, CONFIG_WARN, "myid", "%s", why);
	snprintf(line, sizeof(line), "server.%lld", (long long)id);
	if (l->servers && !l->cfg->dynamic_file && !conf_find(l, line))
		return conf_say(l, CONFIG_WARN, "myid", "there is no line %s", line);
	return 0;
}

static int check_device(struct conf_load *l)
{
	if (strcmp(l->cfg->store, "kernel") || !access(CONTROL, F_OK))
		return 0;
	at_key(l, "zkern.store");
	return conf_wrong(l, "zkern.store",
			  "kernel is asked for, but there is no " CONTROL
			  ": the module zkern is not loaded");
}

/* Where the members are written when they change: beside the configuration. */
static int check_members_folder(struct conf_load *l)
{
	char dir[PATH_MAX], *slash;

	if (!l->together || !l->cfg->reconfig_enabled || !l->cfg->file)
		return 0;
	snprintf(dir, sizeof(dir), "%s", l->cfg->file);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir ? 1 : 0] = '\0';
	else
		snprintf(dir, sizeof(dir), ".");
	if (!access(dir, W_OK | X_OK))
		return 0;
	at_key(l, "reconfigEnabled");
	return conf_say(l, CONFIG_WARN, "reconfigEnabled",
			"user %u cannot keep the members in %.200s when they change: %s",
			geteuid(), dir, strerror(errno));
}

int conf_check_machine(struct conf_load *l)
{
	int rc = check_dir(l, "dataDir", l->cfg->data_dir);

	if (!rc && strcmp(l->cfg->data_dir, l->cfg->data_log_dir))
		rc = check_dir(l, "dataLogDir", l->cfg->data_log_dir);
	if (!rc)
		rc = check_file(l, "zkern.logFile", l->cfg->log_file);
	if (!rc)
		rc = check_file(l, "zkern.auditFile", l->cfg->audit_file);
	if (!rc)
		rc = check_myid(l);
	if (!rc)
		rc = check_members_folder(l);
	if (!rc)
		rc = check_device(l);
	l->entry = NULL;
	return rc;
}
