// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * zkern snapshot: snapshots printed, checked, as JSON lines, and made from those.
 *
 * JSON, in the order of the file: {"snapshot","version","dbid"}, {"sessions":count},
 * {"session","timeout"}..., {"acls":count}, {"acl","entries"}..., one object a node,
 * {"digest"}, {"lastZxid"} (3.9 and later), {"end":{"nodes"}}. In memory are the
 * ACLs and one node.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "disk.h"

/* ------------------------------------------------------------ printing */

/* The ACLs of the file's map, for nodes to be printed with. */
struct acl_text {
	s64 id;
	char *text;
};

struct show {
	const char *name;
	bool json;
	bool quiet;		/* only checked */
	struct acl_text *acls;
	u32 n, cap;
	s32 sessions;
};

static int done(json_t *o, int rc)
{
	if (!rc)
		return dj_line(o);
	json_decref(o);
	return rc == -EBADMSG ? rc : dj_line(NULL);
}

static int show_begin(void *arg, const struct snap_head *head)
{
	struct show *s = arg;
	json_t *o;
	int rc;

	if (s->quiet)
		return 0;
	if (!s->json) {
		printf("# %s zxid 0x%llx\n", s->name, head->zxid);
		return 0;
	}
	o = json_object();
	rc = dj_put_str(o, "snapshot", s->name, strlen(s->name));
	if (!rc)
		rc = dj_put_int(o, "version", FILE_VERSION);
	if (!rc)
		rc = dj_put_int(o, "dbid", head->dbid);
	return done(o, rc);
}

static int show_count(struct show *s, const char *what, s32 count)
{
	json_t *o;

	if (s->quiet || !s->json)
		return 0;
	o = json_object();
	return done(o, dj_put_int(o, what, count));
}

static int show_sessions(void *arg, s32 count)
{
	struct show *s = arg;

	s->sessions = count;
	return show_count(s, "sessions", count);
}

static int show_session(void *arg, u64 id, s32 timeout)
{
	struct show *s = arg;
	json_t *o;
	int rc;

	if (s->quiet)
		return 0;
	if (!s->json) {
		printf("session 0x%llx timeout=%d\n", id, timeout);
		return 0;
	}
	o = json_object();
	rc = dj_put_hex(o, "session", id);
	return done(o, rc ? rc : dj_put_int(o, "timeout", timeout));
}

static int show_acls(void *arg, s32 count)
{
	return show_count(arg, "acls", count);
}

static int keep_acl(struct show *s, s64 id, const u8 *jute, u32 len)
{
	struct acl_text *a;
	struct jw text;
	int rc;

	if (s->n == s->cap) {
		u32 cap = s->cap ? s->cap * 2 : 64;

		a = realloc(s->acls, cap * sizeof(*a));
		if (!a)
			return dj_line(NULL);
		s->acls = a;
		s->cap = cap;
	}
	jw_init(&text, 0);
	rc = dj_acl_text(&text, jute, len);
	jw_bytes(&text, "", 1);
	if (rc || text.err) {
		jw_free(&text);
		return rc ? rc : dj_line(NULL);
	}
	s->acls[s->n].id = id;
	s->acls[s->n++].text = (char *)text.buf;
	return 0;
}

static int show_acl(void *arg, s64 id, const u8 *jute, u32 len)
{
	struct show *s = arg;
	json_t *o;
	int rc;

	if (s->quiet)
		return 0;
	if (!s->json)
		return keep_acl(s, id, jute, len);
	o = json_object();
	rc = dj_put_int(o, "acl", id);
	return done(o, rc ? rc : dj_put_acl(o, "entries", jute, len));
}

static const char *acl_name(const struct show *s, s64 id)
{
	u32 i;

	/* most are numbered from 1 on */
	if (id > 0 && id <= s->n && s->acls[id - 1].id == id)
		return s->acls[id - 1].text;
	for (i = 0; i < s->n; i++) {
		if (s->acls[i].id == id)
			return s->acls[i].text;
	}
	return id == -1 ? "world:anyone:rwcda" : "(in the log)";
}

static int node_line(struct show *s, const struct store_rec *rec)
{
	const struct zk_stat *st = &rec->node.stat;
	char c[32], m[32];

	out_escaped(stdout, rec->path, rec->path_len);
	if (rec->node.data_len < 0)
		fputs(" data=null", stdout);
	else
		printf(" data=%d", rec->node.data_len);
	printf(" czxid=0x%llx mzxid=0x%llx pzxid=0x%llx ctime=%s mtime=%s "
	       "version=%d cversion=%d aversion=%d owner=0x%llx acl=",
	       st->czxid, st->mzxid, st->pzxid, out_time(st->ctime, c),
	       out_time(st->mtime, m), st->version, st->cversion, st->aversion, st->owner);
	out_escaped(stdout, acl_name(s, rec->node.acl_id),
		    strlen(acl_name(s, rec->node.acl_id)));
	putchar('\n');
	return ferror(stdout) ? -EPIPE : 0;
}

static int show_node(void *arg, const struct store_rec *rec)
{
	const struct zk_stat *st = &rec->node.stat;
	struct show *s = arg;
	json_t *o;
	int rc;

	if (s->quiet)
		return 0;
	if (!s->json)
		return node_line(s, rec);
	o = json_object();
	rc = dj_put_str(o, "path", rec->path, rec->path_len) ||
	     dj_put_data(o, "data", rec->data, rec->node.data_len) ||
	     dj_put_int(o, "acl", rec->node.acl_id) ||
	     dj_put_int(o, "czxid", st->czxid) || dj_put_int(o, "mzxid", st->mzxid) ||
	     dj_put_int(o, "ctime", st->ctime) || dj_put_int(o, "mtime", st->mtime) ||
	     dj_put_int(o, "version", st->version) ||
	     dj_put_int(o, "cversion", st->cversion) ||
	     dj_put_int(o, "aversion", st->aversion) ||
	     dj_put_hex(o, "ephemeralOwner", st->owner) ||
	     dj_put_int(o, "pzxid", st->pzxid);
	return done(o, rc ? -ENOMEM : 0);
}

static int json_end(const struct snap_head *h)
{
	json_t *o = json_object(), *d = json_object();
	int rc = 0;

	if (h->digest_there) {
		rc = dj_put_int(d, "zxid", h->digest_zxid) ||
		     dj_put_int(d, "version", h->digest_version) ||
		     dj_put_hex(d, "value", h->digest) || json_object_set(o, "digest", d);
		rc = done(o, rc ? -ENOMEM : 0);
		o = json_object();
	}
	if (!rc && h->last_there) {
		rc = done(o, dj_put_int(o, "lastZxid", h->last_zxid));
		o = json_object();
	}
	json_object_clear(d);
	if (!rc)
		rc = done(o, dj_put_int(d, "nodes", h->nodes) ||
			  json_object_set(o, "end", d) ? -ENOMEM : 0);
	else
		json_decref(o);
	json_decref(d);
	return rc;
}

/* What the digest says, where the snapshot is exact: ZooKeeper's are not always. */
static int check_digest(const char *path, const struct snap_head *h)
{
	if (!h->digest_there || h->digest_version != DIGEST_VERSION || !h->digest_zxid ||
	    h->digest_zxid != h->zxid || h->sum == h->digest)
		return 0;
	cli_error("%s: its nodes have digest 0x%llx, but it says 0x%llx", path, h->sum,
		  h->digest);
	return -EBADMSG;
}

static void text_end(struct show *s, const struct snap_head *h)
{
	printf("# %llu nodes, %d sessions, %llu bytes", h->nodes, s->sessions, h->bytes);
	if (h->digest_there)
		printf(", digest %d:0x%llx at 0x%llx%s", h->digest_version, h->digest,
		       h->digest_zxid, h->digest_zxid == h->zxid ? "" :
		       " (written while it changed)");
	putchar('\n');
}

/* The zxid and packing that the name tells; a name of another kind: plain, 0. */
static void by_name(struct disk_file *f, const char *name)
{
	const char *dot = strchr(name, '.');
	char *end;

	memset(f, 0, sizeof(*f));
	snprintf(f->name, sizeof(f->name), "%s", name);
	if (!strncmp(name, "snapshot.", 9)) {
		f->zxid = strtoull(name + 9, &end, 16);
		pack_by_ending(end, &f->how);
		return;
	}
	while (dot && !pack_by_ending(dot, &f->how))
		dot = strchr(dot + 1, '.');
}

static int show_file(struct cli *cli, const char *path)
{
	struct show s = { .json = cli->json, .quiet = disk_asked.verify };
	const struct snap_sink sink = {
		.arg = &s, .all = true, .begin = show_begin, .sessions = show_sessions,
		.session = show_session, .acls = show_acls, .acl = show_acl,
		.node = show_node,
	};
	struct snap_head head;
	struct disk_file f;
	char why[DISK_WHY] = "";
	struct disk *d;
	int rc = disk_open_dir_of(path, &d, &s.name);

	if (rc)
		return rc;
	by_name(&f, s.name);
	rc = snap_read(d, &f, &sink, &head, why, sizeof(why));
	if (rc && rc != -EPIPE)
		cli_error("%s", why);
	if (!rc && !s.quiet && s.json)
		rc = json_end(&head);
	else if (!rc)
		text_end(&s, &head);
	if (!rc)
		rc = check_digest(path, &head);
	while (s.n)
		free(s.acls[--s.n].text);
	free(s.acls);
	disk_close(d);
	return rc == -EBADMSG || rc == -EPIPE || rc == -ENOMEM || !rc ? rc : -EIO;
}

/* ------------------------------------------------------------ from JSON */

enum part { P_START, P_HEAD, P_SESSIONS, P_ACLS, P_NODES_END, P_END };

struct make {
	struct snap_out out;
	enum part part;
	s64 left;		/* sessions or ACLs to come */
	u64 nodes;
	struct jw w;		/* scratch */
};

static int wrong(const char *what)
{
	cli_error("standard input: %s", what);
	return -EBADMSG;
}

static int make_head(struct make *m, const json_t *o)
{
	s64 version, dbid;
	int rc;

	if (m->part != P_START || !dj_get_int(o, "version", &version) ||
	    version != FILE_VERSION || !dj_get_int(o, "dbid", &dbid))
		return wrong("malformed \"snapshot\" line");
	m->part = P_HEAD;
	rc = sout_int(&m->out, SNAP_MAGIC);
	if (!rc)
		rc = sout_int(&m->out, version);
	return rc ? rc : sout_long(&m->out, dbid);
}

static int make_count(struct make *m, const json_t *o, const char *key, enum part after,
		      enum part part)
{
	if (m->part != after || m->left > 0 || !dj_get_int(o, key, &m->left) ||
	    m->left != (s32)m->left)
		return wrong("a count of sessions or ACLs where none belongs");
	m->part = part;
	return sout_int(&m->out, m->left);
}

static int make_session(struct make *m, const json_t *o)
{
	s64 timeout;
	u64 id;
	int rc;

	if (m->part != P_SESSIONS || m->left-- <= 0 || !dj_get_hex(o, "session", &id) ||
	    !dj_get_int(o, "timeout", &timeout))
		return wrong("a malformed session, or more than were announced");
	rc = sout_long(&m->out, id);
	return rc ? rc : sout_int(&m->out, timeout);
}

static int make_acl(struct make *m, const json_t *o)
{
	s64 id;
	int rc;

	m->w.len = 0;
	if (m->part != P_ACLS || m->left-- <= 0 || !dj_get_int(o, "acl", &id) ||
	    !dj_get_acl(json_object_get(o, "entries"), &m->w))
		return wrong("a malformed ACL, or more than were announced");
	rc = sout_long(&m->out, id);
	return rc ? rc : sout_bytes(&m->out, m->w.buf, m->w.len);
}

static bool get_stat(const json_t *o, struct zk_stat *st, s64 *acl)
{
	s64 version, cversion, aversion, czxid, mzxid, pzxid, ctime, mtime;
	u64 owner;

	if (!dj_get_int(o, "acl", acl) || !dj_get_int(o, "czxid", &czxid) ||
	    !dj_get_int(o, "mzxid", &mzxid) || !dj_get_int(o, "pzxid", &pzxid) ||
	    !dj_get_int(o, "ctime", &ctime) || !dj_get_int(o, "mtime", &mtime) ||
	    !dj_get_int(o, "version", &version) || !dj_get_int(o, "cversion", &cversion) ||
	    !dj_get_int(o, "aversion", &aversion) ||
	    !dj_get_hex(o, "ephemeralOwner", &owner))
		return false;
	st->czxid = czxid;
	st->mzxid = mzxid;
	st->pzxid = pzxid;
	st->ctime = ctime;
	st->mtime = mtime;
	st->version = version;
	st->cversion = cversion;
	st->aversion = aversion;
	st->owner = owner;
	return true;
}

static int make_node(struct make *m, const json_t *o)
{
	struct store_rec rec = { 0 };
	size_t data;
	s64 acl;

	m->w.len = 0;
	if (m->part != P_ACLS || m->left > 0 || !dj_get_str(json_object_get(o, "path"), &m->w))
		return wrong("not the JSON of a snapshot: a line that does not belong here");
	data = m->w.len;
	if (!dj_get_data(json_object_get(o, "data"), &m->w) ||
	    !get_stat(o, &rec.node.stat, &acl))
		return wrong("a malformed node");
	rec.path = (const char *)m->w.buf + 4;
	rec.path_len = data - 4;
	rec.data = m->w.buf + data + 4;
	rec.node.data_len = jute_get32(m->w.buf + data);
	m->nodes++;
	return sout_node(&m->out, &rec, acl);
}

static int make_nodes_end(struct make *m)
{
	if (m->part != P_ACLS || m->left > 0)
		return wrong("the end comes too soon");
	m->part = P_NODES_END;
	return sout_nodes_end(&m->out);
}

static int make_digest(struct make *m, const json_t *d)
{
	s64 zxid, version;
	u64 value;
	int rc;

	if (!dj_get_int(d, "zxid", &zxid) || !dj_get_int(d, "version", &version) ||
	    !dj_get_hex(d, "value", &value))
		return wrong("malformed \"digest\" line");
	rc = make_nodes_end(m);
	return rc ? rc : sout_digest(&m->out, zxid, version, value);
}

static int make_last(struct make *m, const json_t *o)
{
	s64 zxid;
	int rc;

	if (m->part != P_NODES_END || !dj_get_int(o, "lastZxid", &zxid))
		return wrong("malformed \"lastZxid\" line");
	rc = sout_long(&m->out, zxid);
	return rc ? rc : sout_seal(&m->out);
}

static int make_end(struct make *m, const json_t *e)
{
	s64 nodes;
	int rc = m->part == P_NODES_END ? 0 : make_nodes_end(m);

	if (!rc && (!dj_get_int(e, "nodes", &nodes) || (u64)nodes != m->nodes))
		return wrong("nodes are missing");
	m->part = P_END;
	return rc;
}

static int make_line(struct make *m, const json_t *o)
{
	if (m->part == P_END)
		return wrong("more than one snapshot");
	if (json_object_get(o, "path"))
		return make_node(m, o);
	if (json_object_get(o, "snapshot"))
		return make_head(m, o);
	if (json_object_get(o, "sessions"))
		return make_count(m, o, "sessions", P_HEAD, P_SESSIONS);
	if (json_object_get(o, "session"))
		return make_session(m, o);
	if (json_object_get(o, "acls"))
		return make_count(m, o, "acls", P_SESSIONS, P_ACLS);
	if (json_object_get(o, "acl"))
		return make_acl(m, o);
	if (json_object_get(o, "digest"))
		return make_digest(m, json_object_get(o, "digest"));
	if (json_object_get(o, "lastZxid"))
		return make_last(m, o);
	if (json_object_get(o, "end"))
		return make_end(m, json_object_get(o, "end"));
	return wrong("not the JSON of a snapshot");
}

static int make_all(struct make *m, FILE *f)
{
	json_t *o;
	int rc = sout_begin(&m->out, fileno(f));

	while (!rc && (o = dj_next(stdin, &rc))) {
		rc = make_line(m, o);
		json_decref(o);
	}
	if (!rc && m->part != P_END)
		rc = wrong("no \"end\" line: it was cut short");
	return rc ? rc : sout_flush(&m->out);
}

static int make_file(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct disk_file by;
	struct make m = { 0 };
	FILE *f;
	int rc;

	by_name(&by, slash ? slash + 1 : path);
	rc = disk_create(path, &f);
	if (rc)
		return rc;
	jw_init(&m.w, 0);
	rc = sout_init(&m.out, by.how);
	if (!rc) {
		rc = make_all(&m, f);
		sout_free(&m.out);
	}
	if (rc && rc != -EBADMSG)
		cli_error("%s: %s", path, strerror(-rc));
	jw_free(&m.w);
	rc = disk_created(path, f, rc);
	return rc == -EBADMSG || !rc ? rc : -EIO;
}

/* ------------------------------------------------------------ the command */

static int run(struct cli *cli, int argc, char **argv)
{
	int i, rc = 0;

	if (disk_asked.from_json && (disk_asked.verify || argc != 1)) {
		cli_error("snapshot: --from-json takes one FILE");
		return -EINVAL;
	}
	if (disk_asked.from_json)
		return make_file(argv[0]);
	for (i = 0; i < argc && !rc; i++)
		rc = show_file(cli, argv[i]);
	return rc;
}

const struct command cmd_snapshot = {
	.name = "snapshot",
	.args = "FILE...",
	.summary = "print, check or make a server's snapshots",
	.help = "Reads snapshot.* files, packed ones (.gz, .snappy) too, and checks them: every\n"
		"checksum, and the digest where the snapshot is of one zxid. One line a session\n"
		"and a node: path, data's length, stat, ACL.\n"
		"\n"
		"  --json          JSON lines that have every byte of what is packed\n"
		"  --from-json     make the snapshot FILE of the JSON lines on standard input,\n"
		"                  packed as its name ends; - is standard output, not packed\n"
		"  --verify        only the last line: what there is\n"
		"\n"
		"What is damaged is named with its offset, and the exit code is 12. A running\n"
		"server's tree: zkern dump.\n"
		"\n"
		"Examples:\n"
		"  zkern snapshot /var/lib/zookeeper/version-2/snapshot.5\n"
		"  zkern snapshot --json snapshot.5.gz | jq -r .path\n"
		"  zkern snapshot --json snapshot.5 | zkern snapshot --from-json snapshot.5.gz\n",
	.shorts = "",
	.longs = disk_longs,
	.opt = disk_opt,
	.min_args = 1,
	.max_args = 4096,
	.run = run,
};
