/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * zkern log and zkern snapshot: what their files share. They read a server's files,
 * running or not, and write others; daemon/disk has the formats, these files turn
 * them into text, JSON lines, and back.
 *
 * disk_json.c      values in JSON, both ways
 * disk_txn.c       a transaction's bytes, both ways
 * disk_options.c   what both can be asked for
 * disk_log.c       zkern log
 * disk_snapshot.c  zkern snapshot
 * disk_verify.c    zkern log --verify: a whole directory
 *
 * In JSON, zxids and times are numbers; session ids, owners and digests strings in
 * hex; data is base64. Errors are said with cli_error() where they are found;
 * -EBADMSG: a file is damaged, or JSON is not what it should be.
 */
#ifndef ZKERN_CLI_DISK_H
#define ZKERN_CLI_DISK_H

#include <linux/types.h>

#include "cli.h"
#include "daemon/disk/internal.h"

#define DISK_MAX_TXN	INT32_MAX
#define DISK_WHY	1024

/* ------------------------------------------------------------ disk_json.c */

/*
 * Adds to an object; -ENOMEM. A string that is not UTF-8 becomes {"base64": ...},
 * a null one null.
 */
int dj_put_int(json_t *o, const char *key, s64 v);
int dj_put_bool(json_t *o, const char *key, bool v);
int dj_put_hex(json_t *o, const char *key, u64 v);
int dj_put_str(json_t *o, const char *key, const void *p, s32 len);
int dj_put_data(json_t *o, const char *key, const void *p, s32 len);
/* A jute vector<ACL> as a list of {"perms","scheme","id"}, or null. */
int dj_put_acl(json_t *o, const char *key, const void *jute, u32 len);
json_t *dj_string(const void *p, s32 len);

/* Take from an object; false: it is not there or not of that kind. */
bool dj_get_int(const json_t *o, const char *key, s64 *v);
bool dj_get_hex(const json_t *o, const char *key, u64 *v);
/* Appends a string or data in jute; false also for want of memory. */
bool dj_get_str(const json_t *v, struct jw *w);
bool dj_get_data(const json_t *v, struct jw *w);
bool dj_get_acl(const json_t *v, struct jw *w);

/* Prints one object on a line and drops it; NULL: memory was short, which is said. */
int dj_line(json_t *o);
/* The next object of a stream; NULL at its end, with @err what was wrong, or 0. */
json_t *dj_next(FILE *f, int *err);

/* "world:anyone:cdrwa,digest:u:hash:r"; @out grows. */
int dj_acl_text(struct jw *out, const void *jute, u32 len);

/* ------------------------------------------------------------ disk_txn.c */

/* The transaction as an object from which txn_from_json() makes the same bytes. */
int txn_to_json(const u8 *bytes, u32 len, json_t **o);
/* Appends the bytes; @what: what is wrong with the object. */
int txn_from_json(const json_t *o, struct jw *out, const char **what);
/* One line to read. */
int txn_print(FILE *f, const u8 *bytes, u32 len);

/* ------------------------------------------------------------ disk_log.c */

/* Splits "DIR/NAME", opens the directory for reading. */
int disk_open_dir_of(const char *path, struct disk **d, const char **name);
/* A new file to write to ("-": standard output), not over an old one. */
int disk_create(const char *path, FILE **f);
/* Closes it; with an error (@err or a new one) it is removed. */
int disk_created(const char *path, FILE *f, int err);

/* ------------------------------------------------------------ disk_options.c */

/* What both commands can be asked for, --from-json and --verify. */
struct disk_asked {
	bool from_json;
	bool verify;
};

extern struct disk_asked disk_asked;
extern const struct option disk_longs[];	/* struct command.longs */
bool disk_opt(int c, const char *arg);		/* struct command.opt */

/* ------------------------------------------------------------ disk_verify.c */

/* @dir: dataDir or its version-2; @log_dir: dataLogDir, or NULL. */
int disk_verify(const char *dir, const char *log_dir, bool json);

#endif
