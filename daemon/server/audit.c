// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The audit log (audit.h). What is said of a write is known when it is prepared, as its
 * answer is; it waits in the proposal, and is written before the answer leaves.
 *
 * AuditHelper.java says which requests have a line, and with which path: of one that was
 * refused the path that was asked for, of one that was done the path that was made.
 */
#include <linux/types.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/sink.h"
#include "daemon/server/audit.h"
#include "daemon/server/identity.h"
#include "daemon/server/prepare.h"

#define QUEUE_BYTES	(4 * 1024 * 1024)
#define END_MS		5000
#define LOGGER		"audit.Slf4jAuditLogger: "
#define TXN_HEADER	32

static bool on;
static struct sink *sink;		/* NULL: into the log */
static char user[64];			/* the server's: ServerCnxnFactory.getUserName() */

bool audit_on(void)
{
	return on;
}

bool audit_stalled(void)
{
	return sink && sink_stalled(sink);
}

/* ---------------------------------------------------------------- fields */

static void put_escaped(FILE *f, const void *bytes, size_t len)
{
	const u8 *s = bytes, *end = s + len;

	for (; s < end; s++) {
		if (*s < 0x20 || *s == 0x7f)
			fprintf(f, "\\u%04x", *s);
		else
			fputc(*s, f);
	}
}

static void put_jstr(FILE *f, struct jstr s)
{
	if (s.len > 0)
		put_escaped(f, s.p, s.len);
}

static const char *const mode_names[] = {
	"persistent", "ephemeral", "persistent_sequential", "ephemeral_sequential",
	"container", "persistent_with_ttl", "persistent_sequential_with_ttl",
};

static const char *mode_name(s32 flags)
{
	return flags >= 0 && (size_t)flags < sizeof(mode_names) / sizeof(mode_names[0]) ?
	       mode_names[flags] : NULL;
}

/* AuthUtil.getUsers: names without proof, of the schemes that have a provider. */
static void put_users(FILE *f, const struct auth_set *auth)
{
	u32 i, n = 0, len;

	for (i = 0; auth && i < auth->n; i++) {
		const struct auth_id *id = &auth->ids[i];

		if (!strcmp(id->scheme, "super"))
			continue;
		len = identity_user_len(id);
		if (!len)
			continue;
		fputs(n++ ? "," : "\tuser=", f);
		put_escaped(f, id->id, len);
	}
}

static void put_ip(FILE *f, const struct auth_set *auth)
{
	u32 i;

	for (i = 0; auth && i < auth->n; i++) {
		if (strcmp(auth->ids[i].scheme, "ip"))
			continue;
		fputs("\tip=", f);
		put_escaped(f, auth->ids[i].id, strlen(auth->ids[i].id));
		return;
	}
}

/* ZKUtil.aclToString: nothing between one entry and the next. */
static void put_acl(FILE *f, const struct wish *w)
{
	static const char letters[] = "rwcda", order[] = "cdrwa";
	struct jr r;
	s32 n, perms;
	const char *c;

	jr_init(&r, w->acl, w->acl_len);
	fputs("\tacl=", f);
	for (n = jr_int(&r); n > 0 && !r.err; n--) {
		struct jstr scheme, id;

		perms = jr_int(&r);
		scheme = jr_str(&r);
		id = jr_str(&r);
		put_jstr(f, scheme);
		fputc(':', f);
		put_jstr(f, id);
		fputc(':', f);
		for (c = order; *c; c++)
			if (perms & 1 << (strchr(letters, *c) - letters))
				fputc(*c, f);
	}
}

/* A line begins with one letter for its level: audit_write() takes it off. */
static void begin(FILE *f, const struct request *r, u64 session, const char *operation,
		  enum audit_result result)
{
	fprintf(f, "%csession=0x%llx", result == AUDIT_FAILURE ? 'E' : 'I',
		(unsigned long long)session);
	put_users(f, r->auth);
	put_ip(f, r->auth);
	fprintf(f, "\toperation=%s", operation);
}

static void put_path(FILE *f, const void *path, size_t len)
{
	fputs("\tznode=", f);
	put_escaped(f, path, len);
}

static void end(FILE *f, enum audit_result result)
{
	static const char *const names[] = { "success", "failure", "invoked" };

	fprintf(f, "\tresult=%s\n", names[result]);
}

/* ---------------------------------------------------------------- single writes */

static const char *operation_of(s32 op)
{
	switch (op) {
	case OP_CREATE:
	case OP_CREATE2:
	case OP_CREATECONTAINER:
		return "create";
	case OP_DELETE:
	case OP_DELETECONTAINER:
		return "delete";
	case OP_SETDATA:
		return "setData";
	case OP_SETACL:
		return "setAcl";
	case OP_RECONFIG:
		return "reconfig";
	}
	return NULL;
}

/* What 3.8 cannot read again, or has no name for, has no line. */
static void one(FILE *f, const struct request *r, const struct txn *t, s32 err)
{
	enum audit_result result = err ? AUDIT_FAILURE : AUDIT_SUCCESS;
	const char *operation = operation_of(r->op), *mode = NULL;
	bool is_create = r->op == OP_CREATE || r->op == OP_CREATE2 || r->op == OP_CREATECONTAINER;
	struct wish w;
	struct jr in;

	jr_init(&in, r->body, r->len);
	if (!operation || !wish_read(&in, r->op, &w))
		return;
	if (is_create) {
		mode = mode_name(w.flags);
		if (!mode)
			return;
	}
	begin(f, r, t->session, operation, result);
	if (!err && t->n_ops)
		put_path(f, t->ops[0].path, t->ops[0].path_len);
	else if (err && r->op != OP_RECONFIG && w.path.len >= 0)
		put_path(f, w.path.p, w.path.len);
	if (mode)
		fprintf(f, "\tznode_type=%s", mode);
	if (r->op == OP_SETACL)
		put_acl(f, &w);
	end(f, result);
}

/* ---------------------------------------------------------------- multi */

/* The mode in which the last create of @path in the request asks for it; a name that was
 * completed by a number is not found, as in 3.8. */
static const char *asked_mode(const struct request *r, const char *path, u32 len)
{
	const char *mode = NULL;
	struct wish w;
	struct jr in;
	s32 type;
	bool last;

	jr_init(&in, r->body, r->len);
	for (;;) {
		type = jr_int(&in);
		last = jr_bool(&in);
		jr_int(&in);
		if (in.err || last || !wish_read(&in, type, &w))
			return mode;
		if ((type == OP_CREATE || type == OP_CREATE2 || type == OP_CREATECONTAINER) &&
		    w.path.len == (s32)len && !memcmp(w.path.p, path, len))
			mode = mode_name(w.flags);
	}
}

/* Whether the multi was refused: one of its records is an error. */
static bool refused(const struct txn *t)
{
	struct jr r;
	s32 n, type;

	jr_init(&r, t->bytes + TXN_HEADER, t->len - TXN_HEADER);
	for (n = jr_int(&r); n > 0 && !r.err; n--) {
		type = jr_int(&r);
		jr_str(&r);
		if (type == OP_ERROR)
			return true;
	}
	return false;
}

static void multi(FILE *f, const struct request *r, const struct txn *t, s32 err)
{
	const char *mode;
	u32 i;

	if (err || refused(t)) {
		begin(f, r, t->session, "multiOperation", AUDIT_FAILURE);
		end(f, AUDIT_FAILURE);
		return;
	}
	for (i = 0; i < t->n_ops; i++) {
		const struct zk_op *op = &t->ops[i];

		begin(f, r, t->session, op->type == ZK_OP_CREATE ? "create" :
		      op->type == ZK_OP_DELETE ? "delete" : "setData", AUDIT_SUCCESS);
		put_path(f, op->path, op->path_len);
		mode = op->type == ZK_OP_CREATE ? asked_mode(r, op->path, op->path_len) : NULL;
		if (mode)
			fprintf(f, "\tznode_type=%s", mode);
		end(f, AUDIT_SUCCESS);
	}
}

/* ---------------------------------------------------------------- writing */

char *audit_lines(const struct request *r, const struct txn *t, s32 err)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f) {
		if (r->op == OP_MULTI)
			multi(f, r, t, err);
		else
			one(f, r, t, err);
	}
	if (!f || fclose(f)) {
		free(text);
		log_ratelimited(LOG_ERROR, "no memory for an audit line of zxid 0x%llx", t->zxid);
		return NULL;
	}
	if (len)
		return text;
	free(text);
	return NULL;
}

static int put_head(char *buf, size_t size, bool failure)
{
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	return snprintf(buf, size, "%04d-%02d-%02d %02d:%02d:%02d,%03ld %s " LOGGER,
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			tm.tm_sec, ts.tv_nsec / 1000000, failure ? "ERROR" : "INFO");
}

/* One line, newline included, of level 'I' or 'E'. */
static void write_line(char level, const char *line, size_t len)
{
	char stack[1024], *buf = stack;
	size_t room = sizeof(stack);
	int n;

	if (len + 96 > room) {
		room = len + 96;
		buf = malloc(room);
		if (!buf) {
			log_ratelimited(LOG_ERROR, "no memory for an audit line");
			return;
		}
	}
	n = sink ? put_head(buf, room, level == 'E') : sprintf(buf, LOGGER);
	memcpy(buf + n, line, len);
	if (!sink)
		log_raw(level == 'E' ? LOG_ERROR : LOG_INFO, buf, n + len);
	else if (!sink_put(sink, buf, n + len))
		log_ratelimited(LOG_ERROR, "the audit's queue is full: %lu lines are lost",
				sink_lost(sink));
	if (buf != stack)
		free(buf);
}

void audit_write(char *lines)
{
	char *s = lines, *nl;

	for (; *s; s = nl + 1) {
		nl = strchr(s, '\n');
		write_line(*s, s + 1, nl + 1 - (s + 1));
	}
	free(lines);
}

void audit_session_end(const struct txn *t)
{
	char *text = NULL;
	struct jr r;
	size_t len;
	FILE *f;
	s32 n;

	jr_init(&r, t->bytes + TXN_HEADER, t->len - TXN_HEADER);
	for (n = jr_int(&r); n > 0 && !r.err; n--) {
		struct jstr path = jr_str(&r);

		f = r.err || path.len < 0 ? NULL : open_memstream(&text, &len);
		if (!f)
			return;
		fprintf(f, "Isession=0x%llx\tuser=%s\toperation=%s", (unsigned long long)t->session,
			user, "ephemeralZNodeDeletionOnSessionCloseOrExpire");
		put_path(f, path.p, path.len);
		end(f, AUDIT_SUCCESS);
		if (!fclose(f))
			audit_write(text);
		else
			free(text);
		text = NULL;
	}
}

void audit_server(const char *operation, enum audit_result result)
{
	char *text = NULL;
	size_t len;
	FILE *f;

	if (!on)
		return;
	f = open_memstream(&text, &len);
	if (!f)
		return;
	fprintf(f, "%cuser=%s\toperation=%s", result == AUDIT_FAILURE ? 'E' : 'I', user,
		operation);
	end(f, result);
	if (!fclose(f))
		audit_write(text);
}

/* ---------------------------------------------------------------- life */

/* The writer's thread. */
static void file_failed(void *arg, int err)
{
	const struct config *cfg = arg;

	if (!err)
		log_warn("audit: %s takes lines again", cfg->audit_file);
	else if (cfg->audit_stall)
		log_error("audit: %s: %s: nothing is changed until it can be written",
			  cfg->audit_file, strerror(-err));
	else
		log_error("audit: %s: %s: lines are lost, %lu so far", cfg->audit_file,
			  strerror(-err), sink_lost(sink) + sink_failed(sink));
}

static void note_user(void)
{
	struct passwd pw, *found = NULL;
	char buf[4096];

	if (!getpwuid_r(geteuid(), &pw, buf, sizeof(buf), &found) && found)
		snprintf(user, sizeof(user), "%s", pw.pw_name);
	else
		snprintf(user, sizeof(user), "%u", geteuid());
}

int audit_open(const struct config *cfg, char *why, size_t why_len)
{
	const struct sink_params p = {
		.name = "audit", .path = cfg->audit_file, .bytes = QUEUE_BYTES,
		.stall = cfg->audit_stall, .failed = file_failed, .arg = (void *)cfg,
	};
	int rc = 0;

	if (!cfg->audit)
		return 0;
	note_user();
	if (cfg->audit_file) {
		rc = sink_new(&p, &sink);
		if (!rc)
			rc = sink_start(sink);
	}
	if (rc)
		snprintf(why, why_len, "audit: %s: %s", cfg->audit_file, strerror(-rc));
	on = !rc;
	return rc;
}

int audit_reopen(void)
{
	return sink ? sink_reopen(sink) : 0;
}

void audit_close(void)
{
	on = false;
	if (!sink)
		return;
	if (!sink_flush(sink, END_MS))
		log_error("audit: lines that could not be written are lost");
	sink_free(sink, 0);
	sink = NULL;
}
