// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zkern log: transaction logs printed, as JSON lines, and made from those again;
 * --verify is in disk_verify.c.
 *
 * JSON: {"log","version","dbid"}, one object a transaction, then for what is behind
 * the last one and not zero {"tail":{"at","data"}}, and {"end":{"size"}}. No more
 * than one transaction is in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "disk.h"

#define TAIL_BLOCK	(64 * 1024)


/* ------------------------------------------------------------ files */

int disk_open_dir_of(const char *path, struct disk **d, const char **name)
{
	const char *slash = strrchr(path, '/');
	char why[DISK_WHY];
	char *dir;
	int rc;

	*name = slash ? slash + 1 : path;
	if (!**name || strlen(*name) > NAME_MAX) {
		cli_error("%s: not a file's name", path);
		return -EINVAL;
	}
	dir = slash ? strndup(path, slash == path ? 1 : slash - path) : strdup(".");
	if (!dir) {
		cli_error("out of memory");
		return -ENOMEM;
	}
	rc = disk_open_files(dir, DISK_MAX_TXN, d, why, sizeof(why));
	free(dir);
	if (rc)
		cli_error("%s", why);
	return rc ? -EIO : 0;
}

int disk_create(const char *path, FILE **f)
{
	int fd;

	if (!strcmp(path, "-")) {
		*f = stdout;
		return 0;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	*f = fd < 0 ? NULL : fdopen(fd, "w");
	if (*f)
		return 0;
	cli_error("%s: %s", path, strerror(errno));
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	return -EIO;
}

int disk_created(const char *path, FILE *f, int err)
{
	if (fflush(f) || ferror(f) || (f != stdout && fsync(fileno(f)))) {
		if (!err)
			cli_error("%s: %s", path, strerror(errno));
		err = -EIO;
	}
	if (f == stdout)
		return err;
	fclose(f);
	if (err)
		unlink(path);
	return err;
}

/* ------------------------------------------------------------ printing */

static int head_line(const char *name, const struct logr_end *end)
{
	json_t *o = json_object();
	int rc;

	if (!o)
		return dj_line(NULL);
	rc = dj_put_str(o, "log", name, strlen(name));
	if (!rc)
		rc = dj_put_int(o, "version", FILE_VERSION);
	if (!rc)
		rc = end->headed ? dj_put_int(o, "dbid", end->dbid) : 0;
	if (rc) {
		json_decref(o);
		o = NULL;
	}
	return dj_line(o);
}

static int tail_line(u64 at, const u8 *p, size_t n)
{
	json_t *o = json_object(), *t = json_object();

	if (!o || !t || dj_put_int(t, "at", at) || dj_put_data(t, "data", p, n) ||
	    json_object_set(o, "tail", t)) {
		json_decref(o);
		o = NULL;
	}
	json_decref(t);
	return dj_line(o);
}

static int end_line(const struct logr_end *end)
{
	json_t *o = json_object(), *e = json_object();

	if (!o || !e || dj_put_int(e, "size", end->size) || json_object_set(o, "end", e)) {
		json_decref(o);
		o = NULL;
	}
	json_decref(e);
	return dj_line(o);
}

static bool all_zero(const u8 *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

/* What is behind the last transaction, but for zeros. */
static int tail_lines(struct logr *lr, const char *path)
{
	const struct logr_end *end = logr_end(lr);
	const u8 *p;
	u64 at;
	size_t n;
	int rc = 0;

	for (at = end->pos; !rc && at < end->size; at += n) {
		n = end->size - at < TAIL_BLOCK ? end->size - at : TAIL_BLOCK;
		rc = logr_bytes(lr, at, n, &p);
		if (rc)
			cli_error("cannot read %s: %s", path, strerror(-rc));
		else if (!all_zero(p, n))
			rc = tail_line(at, p, n);
	}
	return rc;
}

static int print_one(struct cli *cli, const char *path, u64 pos, const u8 *bytes, u32 len)
{
	json_t *o;
	int rc;

	if (cli->json) {
		rc = txn_to_json(bytes, len, &o);
		if (!rc)
			return dj_line(o);
	} else {
		rc = txn_print(stdout, bytes, len);
		if (!rc)
			return ferror(stdout) ? -EPIPE : 0;
	}
	if (rc == -EBADMSG)
		cli_error("%s: damaged at offset %llu: malformed transaction", path, pos);
	else
		cli_error("out of memory");
	return rc;
}

static int print_end(struct cli *cli, struct logr *lr, const char *path, u64 count)
{
	const struct logr_end *end = logr_end(lr);
	int rc;

	if (cli->json) {
		rc = tail_lines(lr, path);
		return rc ? rc : end_line(end);
	}
	if (end->torn)
		printf("# offset %llu: an unfinished write\n", end->pos);
	printf("# %llu transactions, %llu of %llu bytes\n", count, end->pos, end->size);
	return 0;
}

static int print_file(struct cli *cli, const char *path)
{
	char why[DISK_WHY] = "";
	struct logr *lr = NULL;
	struct disk *d = NULL;
	const char *name;
	u64 pos, count = 0;
	const u8 *bytes;
	bool headed = false;
	u32 len;
	int rc = disk_open_dir_of(path, &d, &name);

	if (rc)
		return rc;
	rc = logr_open_file(d, name, &lr, why, sizeof(why));
	while (!rc) {
		rc = logr_next_raw(lr, &bytes, &len, &pos, why, sizeof(why));
		if (rc < 0)
			break;
		if (!headed) {
			headed = true;
			if (cli->json)
				rc = head_line(name, logr_end(lr)) ? -EPIPE : rc;
			else
				printf("# %s dbid %llu\n", path, logr_end(lr)->dbid);
		}
		if (rc != 1)
			break;
		why[0] = '\0';
		rc = print_one(cli, path, pos, bytes, len);
		count++;
	}
	if (rc < 0 && why[0])
		cli_error("%s", why);
	if (!rc)
		rc = print_end(cli, lr, path, count);
	logr_close(lr);
	disk_close(d);
	return rc == -EBADMSG || rc == -EPIPE || rc == -ENOMEM || !rc ? rc : -EIO;
}

/* A directory stands for its logs: of version-2, if that is there. */
static int print_dir(struct cli *cli, const char *dir)
{
	char why[DISK_WHY], path[PATH_MAX];
	struct disk_file *files;
	struct disk *d;
	struct stat st;
	u32 n, i;
	int rc;

	snprintf(path, sizeof(path), "%s/version-2", dir);
	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return print_dir(cli, path);
	rc = disk_open_files(dir, DISK_MAX_TXN, &d, why, sizeof(why));
	if (!rc) {
		rc = disk_list(d->log_dfd, "log", false, &files, &n);
		disk_why(why, sizeof(why), rc, "cannot list %s: %s", dir, strerror(-rc));
		disk_close(d);
	}
	if (rc) {
		cli_error("%s", why);
		return -EIO;
	}
	for (i = 0; i < n && !rc; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
		rc = print_file(cli, path);
	}
	free(files);
	return rc;
}

/* ------------------------------------------------------------ from JSON */

struct make {
	FILE *f;
	u64 pos;
	bool headed;
	bool ended;
};

static int zeros(struct make *m, u64 to)
{
	static const u8 none[4096];
	size_t n;

	while (m->pos < to && !ferror(m->f)) {
		n = to - m->pos < sizeof(none) ? to - m->pos : sizeof(none);
		fwrite(none, 1, n, m->f);
		m->pos += n;
	}
	return 0;
}

static int make_head(struct make *m, const json_t *o)
{
	u8 h[FILE_HEADER_LEN];
	s64 version, dbid;

	if (m->headed || !dj_get_int(o, "version", &version) || version != FILE_VERSION) {
		cli_error("standard input: malformed \"log\" line");
		return -EBADMSG;
	}
	m->headed = true;
	/* a file that was left before it had its header */
	if (!dj_get_int(o, "dbid", &dbid))
		return 0;
	log_file_header(h, dbid);
	fwrite(h, 1, sizeof(h), m->f);
	m->pos = sizeof(h);
	return 0;
}

static int make_txn(struct make *m, const json_t *o)
{
	const char *what = "";
	u8 h[RECORD_HEAD];
	struct jw w;
	int rc;

	jw_init(&w, DISK_MAX_TXN);
	rc = txn_from_json(o, &w, &what);
	if (!rc) {
		log_record_head(h, w.buf, w.len);
		fwrite(h, 1, sizeof(h), m->f);
		fwrite(w.buf, 1, w.len, m->f);
		putc(RECORD_EOR, m->f);
		m->pos += sizeof(h) + w.len + 1;
	} else if (rc == -EBADMSG) {
		cli_error("standard input: a transaction (zxid %lld) without a good \"%s\"",
			  (long long)json_integer_value(json_object_get(o, "zxid")), what);
	} else {
		cli_error("%s", strerror(-rc));
	}
	jw_free(&w);
	return rc;
}

static int make_tail(struct make *m, const json_t *t)
{
	struct jw w;
	s64 at;
	int rc = 0;

	jw_init(&w, 0);
	if (dj_get_int(t, "at", &at) && at >= 0 && (u64)at >= m->pos &&
	    dj_get_data(json_object_get(t, "data"), &w)) {
		zeros(m, at);
		fwrite(w.buf + 4, 1, w.len - 4, m->f);
		m->pos += w.len - 4;
	} else {
		cli_error("standard input: malformed \"tail\" line");
		rc = -EBADMSG;
	}
	jw_free(&w);
	return rc;
}

static int make_end(struct make *m, const json_t *e)
{
	s64 size;

	if (!dj_get_int(e, "size", &size) || size < 0 || (u64)size < m->pos) {
		cli_error("standard input: the log's size is less than what it has");
		return -EBADMSG;
	}
	m->ended = true;
	return zeros(m, size);
}

static int make_line(struct make *m, const json_t *o)
{
	if (json_object_get(o, "log"))
		return make_head(m, o);
	if (!m->headed || m->ended) {
		cli_error("standard input: not the JSON of one log, "
			  "from its \"log\" line to its \"end\" line");
		return -EBADMSG;
	}
	if (json_object_get(o, "tail"))
		return make_tail(m, json_object_get(o, "tail"));
	if (json_object_get(o, "end"))
		return make_end(m, json_object_get(o, "end"));
	return make_txn(m, o);
}

static int make_file(const char *path)
{
	struct make m = { 0 };
	json_t *o;
	int rc = disk_create(path, &m.f);

	if (rc)
		return rc;
	while (!rc && (o = dj_next(stdin, &rc))) {
		rc = make_line(&m, o);
		json_decref(o);
		if (!rc && ferror(m.f))
			rc = -EIO;
	}
	if (!rc && !m.ended) {
		cli_error("standard input: no \"end\" line: it was cut short");
		rc = -EBADMSG;
	}
	return disk_created(path, m.f, rc);
}

/* ------------------------------------------------------------ the command */

static int run(struct cli *cli, int argc, char **argv)
{
	bool from_json = disk_asked.from_json, verify = disk_asked.verify;
	struct stat st;
	int i, rc = 0;

	if ((from_json && (verify || argc != 1)) || (verify && argc > 2)) {
		cli_error("log: --from-json takes one FILE, --verify DATADIR [DATALOGDIR]");
		return -EINVAL;
	}
	if (from_json)
		return make_file(argv[0]);
	if (verify)
		return disk_verify(argv[0], argc > 1 ? argv[1] : NULL, cli->json);
	for (i = 0; i < argc && !rc; i++) {
		if (!stat(argv[i], &st) && S_ISDIR(st.st_mode))
			rc = print_dir(cli, argv[i]);
		else
			rc = print_file(cli, argv[i]);
	}
	return rc;
}

const struct command cmd_log = {
	.name = "log",
	.args = "FILE|DIR...",
	.summary = "print, check or make a server's transaction logs",
	.help = "Reads log.* files, a running server's too; a DIR stands for its logs. One line a\n"
		"transaction: zxid, time, session, cxid, type, paths, the other fields, digest.\n"
		"\n"
		"  --json          JSON lines that have every byte of the file\n"
		"  --from-json     make the log FILE (- is standard output) of the JSON lines on\n"
		"                  standard input\n"
		"  --verify        read all of DATADIR [DATALOGDIR]: every checksum, and each\n"
		"                  digest against a tree that the log is replayed into\n"
		"\n"
		"What is damaged is named with its offset, and the exit code is 12.\n"
		"\n"
		"Examples:\n"
		"  zkern log /var/lib/zookeeper/version-2/log.1\n"
		"  zkern log --json log.1 | jq -r 'select(.type==\"delete\").path'\n"
		"  zkern log --json log.1 | zkern log --from-json copy\n"
		"  zkern log --verify /var/lib/zookeeper\n",
	.shorts = "",
	.longs = disk_longs,
	.opt = disk_opt,
	.min_args = 1,
	.max_args = 4096,
	.run = run,
};
